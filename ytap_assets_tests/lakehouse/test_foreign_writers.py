"""Another program writes to the catalog: it is waited for, or named; the lake is unharmed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
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

OLD, NEW = notes("tech", [DAY], "a", version=1), notes("tech", [DAY], "abc", version=2)

pytestmark = pytest.mark.sqlite


class Holder:
    """Another program that holds the catalog, until somebody has waited for it so often."""

    def __init__(
        self, settings: Settings, *, for_waits: int, meanwhile: str = "", lock: str = "EXCLUSIVE"
    ) -> None:
        self.settings = settings
        self.waits = 0
        self._for_waits = for_waits
        self._meanwhile = meanwhile
        self._worker = Worker("commit", catalog=str(settings.catalog), lock=lock)

    def begin(self) -> None:
        self._worker.go()
        self._worker.wait_for("committing")

    def sleep(self, _seconds: float) -> None:
        self.waits += 1
        if self.waits == self._for_waits:
            self._worker.stop()
            self._worker.finish()
            if self._meanwhile:
                change(self.settings, self._meanwhile)

    def end(self) -> None:
        self._worker.kill()


@pytest.fixture
def hold(settings: Settings, request: pytest.FixtureRequest) -> Callable[..., tuple[Holder, Lake]]:
    """Make a holder, and a lake that waits for it; both end with the test."""

    def make(**arguments: object) -> tuple[Holder, Lake]:
        holder = Holder(settings, **arguments)  # type: ignore[arg-type]
        lake = Lake.open(settings, tables=SAMPLES, sleep=holder.sleep)
        request.addfinalizer(lake.close)
        request.addfinalizer(holder.end)
        publish(lake, NOTES, OLD, one_day("tech"))
        return holder, lake

    return make


def change(settings: Settings, statement: str) -> None:
    """What somebody does who attached the lake for writing, without our lock."""
    with closing(attach(settings, read_only=False)) as connection:
        connection.execute(statement)


def rows(lake: Lake) -> int:
    return lake.reader("tech").read(NOTES).height


def test_a_commit_waits_for_it_and_is_made_as_a_whole(
    hold: Callable[..., tuple[Holder, Lake]],
) -> None:
    holder, lake = hold(for_waits=2)
    before = lake.snapshot_id()
    with lake.write(RUN) as transaction:
        transaction.publish_all([check_rows(NOTES, NEW, one_day("tech"))])
        appended = transaction.append(check_rows(LOGS, logs("tech", ["l1"]), Scope("tech")))
        holder.begin()
    assert holder.waits == 2
    assert appended.accepted.height == 1
    assert (rows(lake), lake.reader("tech").read(LOGS).get_column("seq").to_list()) == (3, [1])
    assert transaction.snapshot_id == before + 1


def test_one_that_never_ends_is_named_and_nothing_is_written(
    hold: Callable[..., tuple[Holder, Lake]],
) -> None:
    holder, lake = hold(for_waits=-1)
    holder.begin()
    with pytest.raises(CatalogBusyError, match="is locked by another program"):
        publish(lake, NOTES, NEW, one_day("tech"))
    assert rows(lake) == 1
    holder.end()
    publish(lake, NOTES, NEW, one_day("tech"))
    assert rows(lake) == 3


def test_what_was_read_before_somebody_else_committed_is_not_written(
    hold: Callable[..., tuple[Holder, Lake]],
) -> None:
    foreign = "INSERT INTO notes (workspace_id, day, note_id) VALUES ('tech', '2026-11-20', 'x')"
    holder, lake = hold(for_waits=1, meanwhile=foreign)
    holder.begin()
    with pytest.raises(CatalogBusyError, match="wrote to the lake at the same time"):
        publish(lake, NOTES, NEW, one_day("tech"))
    assert lake.reader("tech").read(NOTES).get_column("note_id").sort().to_list() == ["a", "x"]


def test_a_conflict_with_it_is_named(lake: Lake) -> None:
    publish(lake, NOTES, OLD, one_day("tech"))
    checked = check_rows(NOTES, NEW, one_day("tech"))

    def publish_while_it_writes() -> None:
        with lake.write(RUN) as transaction:
            transaction.publish_all([checked])
            change(lake.settings, "DELETE FROM notes")

    with pytest.raises(CatalogBusyError, match="another program"):
        publish_while_it_writes()
    assert rows(lake) == 0


def test_new_tables_wait_for_it(hold: Callable[..., tuple[Holder, Lake]]) -> None:
    holder, lake = hold(for_waits=1)
    more = {**SAMPLES, "more": replace(NOTES, name="more")}
    holder.begin()
    assert lake.evolve(more)
    assert holder.waits == 1
    assert lake.evolve(more) == []


def test_maintenance_waits_for_it(hold: Callable[..., tuple[Holder, Lake]]) -> None:
    holder, lake = hold(for_waits=1)
    publish(lake, NOTES, NEW, one_day("tech"))
    holder.begin()
    done = maintain(lake, datetime.now(UTC) + timedelta(days=40), RUN)
    assert holder.waits == 1
    assert done.snapshots_expired > 0
    assert rows(lake) == 3


def test_a_restored_lake_is_attached_and_read_while_somebody_holds_it(
    lake: Lake, tmp_path: Path, empty_settings: Settings
) -> None:
    publish(lake, NOTES, OLD, one_day("tech"))
    copy = back_up(lake.settings, tmp_path / "copy", datetime.now(UTC))
    restore(empty_settings, copy.folder, datetime.now(UTC))
    holder = Holder(empty_settings, for_waits=-1, lock="IMMEDIATE")
    try:
        holder.begin()
        with Lake.open(empty_settings, tables=SAMPLES, sleep=holder.sleep) as restored:
            assert rows(restored) == 1
    finally:
        holder.end()
    assert holder.waits == 0


@pytest.mark.parametrize("for_waits", [2, -1])
def test_attaching_a_catalog_of_another_journal_waits_for_it(
    settings: Settings, for_waits: int
) -> None:
    with closing(sqlite3.connect(settings.catalog)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    holder = Holder(settings, for_waits=for_waits, lock="IMMEDIATE")
    try:
        holder.begin()
        if for_waits < 0:
            with pytest.raises(CatalogBusyError, match="is locked by another program"):
                attach(settings, read_only=False, sleep=holder.sleep)
            assert holder.waits > 200
        else:
            with Lake.open(settings, tables=SAMPLES, sleep=holder.sleep) as lake:
                publish(lake, NOTES, OLD, one_day("tech"))
            assert holder.waits == for_waits
    finally:
        holder.end()


def test_reading_and_attaching_do_not_wait(hold: Callable[..., tuple[Holder, Lake]]) -> None:
    holder, lake = hold(for_waits=-1)
    holder.begin()
    with Lake.open(lake.settings, tables=SAMPLES, sleep=holder.sleep) as other:
        assert rows(other) == rows(lake) == 1
    assert holder.waits == 0
