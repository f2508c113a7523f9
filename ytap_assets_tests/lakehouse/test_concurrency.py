"""Many processes at once: no error, no half partition, no lost turn; readers wait for nobody."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.sql_sandbox import open_sql
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import place_of
from ytap_assets_tests.lakehouse.processes import Worker
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    logs,
    notes,
    one_day,
    publish,
)
from ytap_assets_tests.lakehouse.workers import ROWS, SHARED_DAYS


def _run_all(settings: Settings, *, writers: int, readers: int, rounds: int) -> None:
    config = settings.workspaces / "shared" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()  # readers ask for it before it has rows
    place = place_of(settings)
    with Lake.open(settings, tables=SAMPLES) as lake, ExitStack() as stack:
        reading = [
            stack.enter_context(Worker("read", **place, in_sandbox=number == 0))
            for number in range(readers)
        ]
        writing = [
            stack.enter_context(Worker("write", **place, number=number, rounds=rounds))
            for number in range(writers)
        ]
        for worker in reading:
            worker.go()
            worker.wait_for("reading")
        for worker in writing:
            worker.go()
        assert [worker.finish() for worker in writing] == [0] * writers
        for worker in reading:
            worker.stop()
        assert [worker.finish() for worker in reading] == [0] * readers
        for worker in reading:
            assert [report for report in worker.reports if report.startswith("incon")] == []
            assert int(worker.reports[-1].removeprefix("reads ")) >= 2
        _check_end(lake, writers, rounds)


def _check_end(lake: Lake, writers: int, rounds: int) -> None:
    turns = lake.reader("shared").read(LOGS).sort("seq")
    assert turns.get_column("seq").to_list() == list(range(1, writers * rounds + 1))
    everybody = {number * 1000 + turn for number in range(writers) for turn in range(rounds)}
    assert set(turns.get_column("left")) == everybody
    assert turns.get_column("found").to_list()[1:] == turns.get_column("left").to_list()[:-1]
    shared = lake.reader("shared").read(NOTES)
    assert shared.height == len(SHARED_DAYS) * len(ROWS)
    assert shared.get_column("version").unique().to_list() == [turns.get_column("left").item(-1)]
    for number in range(writers):
        own = lake.reader(f"own-{number}").read(NOTES)
        assert own.get_column("version").to_list() == [number * 1000 + rounds - 1] * len(ROWS)


def test_eight_writers_and_four_readers(settings: Settings) -> None:
    _run_all(settings, writers=8, readers=4, rounds=2)


@pytest.mark.soak
def test_eight_writers_and_four_readers_for_long(settings: Settings) -> None:
    _run_all(settings, writers=8, readers=4, rounds=40)


@pytest.mark.sqlite
def test_processes_make_the_lake_together(empty_settings: Settings) -> None:
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker("make", data=str(empty_settings.data))) for _ in range(2)
        ]
        for worker in workers:
            worker.wait_for("ready")
        for worker in workers:
            worker.go()
        assert [worker.finish() for worker in workers] == [0, 0]
        assert [worker.reports[-1] for worker in workers] == [f"rows {len(ROWS)}"] * 2


def test_threads_of_one_process_share_a_lake(lake: Lake) -> None:
    failures: list[BaseException] = []

    def take_turns(name: str) -> None:
        try:
            for turn in range(5):
                frame = notes("tech", [DAY], "abc", version=turn)
                publish(lake, NOTES, frame, one_day("tech"))
                with lake.write(RUN) as transaction:
                    transaction.append(
                        check_rows(LOGS, logs("tech", [f"{name}-{turn}"]), Scope("tech"))
                    )
                assert lake.reader("tech").read(NOTES).get_column("version").n_unique() == 1
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=take_turns, args=[name]) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert lake.reader("tech").read(LOGS).get_column("seq").sort().to_list() == list(range(1, 21))


def test_readers_see_what_was_there_while_a_write_is_under_way(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=1), one_day("tech"))
    with lake.write(RUN) as transaction:
        changed = notes("tech", [DAY], "abc", version=2)
        transaction.publish_all([check_rows(NOTES, changed, one_day("tech"))])
        with Lake.open(lake.settings, tables=SAMPLES) as other:
            assert other.reader("tech").read(NOTES).get_column("version").to_list() == [1, 1]
        assert lake.reader("tech").read(NOTES).get_column("version").to_list() == [1, 1]
        inside = transaction.reader("tech").read(NOTES)
        assert inside.get_column("version").to_list() == [2, 2, 2]
    assert lake.reader("tech").read(NOTES).get_column("version").to_list() == [2, 2, 2]


@pytest.mark.sqlite
def test_readers_do_not_wait_for_a_commit(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=1), one_day("tech"))
    statement = "SELECT count(*) FROM notes"
    # In another process: within one, the locks of DuckDB's SQLite and of Python's are not seen.
    with Worker("commit", catalog=str(lake.settings.catalog)) as committing:
        committing.go()
        committing.wait_for("committing")
        assert lake.reader("tech").read(NOTES).height == 2
        with Lake.open(lake.settings, tables=SAMPLES) as other:
            assert other.cross_reader().read_across(NOTES).height == 2
        with closing(open_sql(lake.settings, statement, workspace_id="tech")) as connection:
            assert connection.execute(statement).fetchall() == [(2,)]
        committing.stop()
        assert committing.finish() == 0
