"""After an erasure, nothing in the lake holds the rows any more; all others are as before."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.connection import attach, find_files
from ytap_assets.lakehouse.erasure import (
    Target,
    count_rows,
    erase,
    find_unfinished,
    finish,
    list_owned_tables,
)
from ytap_assets.lakehouse.errors import (
    ErasureError,
    LakeDamagedError,
    LakeError,
    SweepRefusedError,
)
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.databases import attach_plainly, change_catalog, place_of
from ytap_assets_tests.lakehouse.processes import Worker
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    LOOKS,
    MARKS,
    NOTES,
    RUN,
    SAMPLES,
    SIGHTINGS,
    append,
    days,
    logs,
    looks,
    marks,
    notes,
    publish,
    sightings,
)
from ytap_assets_tests.traces import find_traces

GONE, KEPT = "zqgone", "zqkept"


def _plant(lake: Lake, workspace: str) -> None:
    """Rows of every table and type of column, of which each text has the workspace's name."""
    span = days(4)
    scope = Scope(workspace, span[0], span[-1])
    for version in (1, 2):  # the second leaves files with deleted rows
        frame = notes(
            workspace,
            span,
            [f"{workspace}-{n}" for n in range(30)],
            version=version,
            body=f"{workspace} body".encode(),
            tags=[f"{workspace} tag"],
        )
        publish(lake, NOTES, frame, scope)
        one = frame.filter(pl.col("day") == span[version])
        publish(lake, NOTES, one, Scope(workspace, span[version], span[version]))
    publish(
        lake, MARKS, marks(workspace, **{f"{workspace}1": 7, f"{workspace}2": 8}), Scope(workspace)
    )
    append(
        lake,
        LOGS,
        logs(workspace, [f"{workspace}-a", f"{workspace}-b"], subject=f"of {workspace}"),
        workspace,
    )
    seen = [(day, f"{workspace}-{day}") for day in span]
    append(lake, SIGHTINGS, sightings(workspace, seen, title=f"{workspace} title"), workspace)
    append(
        lake,
        LOOKS,
        looks(workspace, {"item_id": f"{workspace}-i", "title": f"{workspace} look"}),
        workspace,
    )


def _targets(lake: Lake, workspace: str = GONE) -> list[Target]:
    return [Target(table, workspace) for table in list_owned_tables(lake)]


def _read_all(lake: Lake, workspace: str) -> dict[str, pl.DataFrame]:
    reader = lake.reader(workspace)
    return {name: reader.read(table).sort(table.key) for name, table in SAMPLES.items()}


def _check_equal(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert found.keys() == expected.keys()
    for name, frame in expected.items():
        assert not frame.is_empty()
        assert_frame_equal(found[name], frame)


@pytest.fixture
def planted(lake: Lake) -> Lake:
    """A lake with two workspaces, whose files hold rows of several commits."""
    for workspace in (GONE, KEPT):
        _plant(lake, workspace)
    return lake


def test_nothing_of_a_workspace_is_left(planted: Lake, settings: Settings) -> None:
    before, others = _read_all(planted, GONE), _read_all(planted, KEPT)
    assert len(find_traces(settings, GONE)) > 5
    counts = count_rows(planted, _targets(planted))
    assert counts == {name: frame.height for name, frame in before.items()}
    erased = erase(planted, _targets(planted), RUN, NOW)
    assert dict(erased.rows) == counts
    assert find_traces(settings, GONE) == []
    assert len(find_traces(settings, KEPT)) > 5
    assert planted.snapshots().height == 1
    assert find_unfinished(planted) is None
    with Lake.open(settings, tables=SAMPLES) as again:
        _check_equal(_read_all(again, KEPT), others)
        assert all(frame.is_empty() for frame in _read_all(again, GONE).values())
        assert maintain(again, NOW, RUN).refusal is None


def test_rows_about_a_subject_go_and_those_beside_them_stay(
    planted: Lake, settings: Settings
) -> None:
    name = f"{GONE}-17"
    others = _read_all(planted, GONE) | {"kept": planted.reader(KEPT).read(NOTES)}
    erased = erase(planted, [Target("notes", GONE, {"note_id": [name]})], RUN, NOW)
    assert dict(erased.rows) == {"notes": 4}
    assert find_traces(settings, name) == []
    left = _read_all(planted, GONE)
    assert_frame_equal(left["notes"], others["notes"].filter(pl.col("note_id") != name))
    for table in ("marks", "logs", "sightings", "looks"):
        assert_frame_equal(left[table], others[table])
    assert_frame_equal(planted.reader(KEPT).read(NOTES), others["kept"], check_row_order=False)
    # Time travel ends; what is stored now can be published and maintained on.
    publish(planted, NOTES, notes(GONE, [DAY], "a"), Scope(GONE, DAY, DAY))
    assert maintain(planted, NOW, RUN).refusal is None


def test_only_files_with_rows_of_the_subject_are_rewritten(lake: Lake, settings: Settings) -> None:
    for workspace in (GONE, KEPT, "third"):
        append(lake, SIGHTINGS, sightings(workspace, [(DAY, "a"), (DAY, "b")]), workspace)
    before = find_files(settings).list_parquet().keys()
    erased = erase(lake, [Target("sightings", GONE, {"item_id": ["a"]})], RUN, NOW)
    after = find_files(settings).list_parquet().keys()
    assert erased.files_rewritten == 1
    assert (len(before - after), len(after - before), len(after)) == (1, 1, 3)


def test_numbers_go_on_after_the_newest_rows_are_erased(planted: Lake) -> None:
    append(planted, LOGS, logs(GONE, ["newest"]), GONE)
    last = planted.last_seq(LOGS)
    erase(planted, _targets(planted), RUN, NOW)
    assert planted.last_seq(LOGS) == last
    assert append(planted, LOGS, logs(KEPT, ["next"]), KEPT).accepted["seq"].to_list() == [last + 1]


def test_a_process_that_read_the_statistics_before_does_not_write_them_back(
    planted: Lake, settings: Settings
) -> None:
    with Lake.open(settings, tables=SAMPLES) as other:
        other.reader(GONE).read(LOGS, wanted={"log_id": ["x"]})
        append(other, LOGS, logs(KEPT, ["before"]), KEPT)
        erase(planted, _targets(planted), RUN, NOW)
        append(other, LOGS, logs(KEPT, ["after"]), KEPT)
        append(planted, LOGS, logs(KEPT, ["later"]), KEPT)
    assert find_traces(settings, GONE) == []


def test_rows_that_another_program_stored_in_the_catalog_go_too(
    planted: Lake, settings: Settings
) -> None:
    with closing(attach(settings, read_only=False)) as writer:
        writer.execute("CALL lake.set_option('data_inlining_row_limit', 10)")
        writer.execute("USE memory; DETACH lake")
        writer.execute(attach_plainly(settings))
        for workspace in (GONE, KEPT):
            writer.execute(
                "INSERT INTO lake.sightings BY NAME SELECT ? AS workspace_id, DATE '2026-11-01' AS"
                " day, ? AS item_id, 'inlined' AS title",
                [workspace, f"{workspace}-inlined"],
            )
    others = planted.reader(KEPT).read(SIGHTINGS)
    assert erase(planted, _targets(planted), RUN, NOW).rows["sightings"] == 5
    assert find_traces(settings, GONE) == []
    assert_frame_equal(planted.reader(KEPT).read(SIGHTINGS), others, check_row_order=False)


def test_files_of_killed_writes_go_and_those_of_others_are_named(
    planted: Lake, settings: Settings
) -> None:
    files = find_files(settings)
    [name] = [one for one in files.list_parquet() if f"notes/workspace_id={GONE}" in one][:1]
    orphan = name[: -len("0" * 12 + ".parquet")] + "0" * 12 + ".parquet"
    foreign = f"main/notes/{KEPT}.parquet"
    with planted.cursor() as cursor:
        for target in (orphan, foreign):
            cursor.execute(
                f"COPY (SELECT '{GONE if target == orphan else KEPT}' AS text)"
                f" TO '{files.root}{target}'"
            )
    erased = erase(planted, _targets(planted), RUN, NOW)
    assert erased.foreign_files == (foreign,)
    assert foreign in files.list_parquet()
    assert find_traces(settings, GONE) == []


def test_a_record_is_made_in_the_commit_that_deletes_the_rows(planted: Lake) -> None:
    def record(erasure_id: str, rows: Any, snapshot: int) -> list[CheckedRows]:
        found = [f"{erasure_id}-{sum(rows.values())}-{snapshot}"]
        return [check_rows(LOGS, logs(KEPT, found), Scope(KEPT))]

    before = planted.snapshot_id()
    erased = erase(planted, _targets(planted), RUN, NOW, record=record)
    found = planted.reader(KEPT).read(LOGS)["log_id"].to_list()
    assert f"{erased.erasure_id}-{sum(erased.rows.values())}-{before}" in found


def test_a_failing_record_leaves_everything_as_it_was(planted: Lake) -> None:
    before = _read_all(planted, GONE)

    def record(*_: object) -> list[CheckedRows]:
        raise ValueError("not recorded")

    with pytest.raises(ValueError, match="not recorded"):
        erase(planted, _targets(planted), RUN, NOW, record=record)
    _check_equal(_read_all(planted, GONE), before)
    assert finish(planted, RUN) is None
    assert find_unfinished(planted) is None
    assert planted.snapshots().height > 1


def _lose_a_file(settings: Settings) -> None:
    files = find_files(settings)
    files.delete([min(files.list_parquet())])


def _empty_the_catalog(settings: Settings) -> None:
    for table in ("ducklake_data_file", "ducklake_delete_file"):
        change_catalog(settings, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(_lose_a_file, LakeDamagedError), (_empty_the_catalog, SweepRefusedError)],
)
def test_an_implausible_lake_is_left_as_it_is(
    planted: Lake, settings: Settings, spoil: Any, error: type[Exception]
) -> None:
    spoil(settings)
    there, snapshots = find_files(settings).list_parquet().keys(), planted.snapshots()
    with pytest.raises(error):
        erase(planted, _targets(planted), RUN, NOW)
    assert find_files(settings).list_parquet().keys() == there
    assert_frame_equal(planted.snapshots(), snapshots)
    assert find_unfinished(planted) is None


def test_another_catalogs_place_is_left_as_it_is(planted: Lake, settings: Settings) -> None:
    find_files(settings).write_mark("0" * 32)
    there = find_files(settings).list_parquet().keys()
    with pytest.raises(LakeError, match="another catalog"):
        erase(planted, _targets(planted), RUN, NOW)
    assert find_files(settings).list_parquet().keys() == there


@pytest.mark.parametrize(
    "target", [Target("nothing", GONE), Target("notes", GONE, {"colour": ["red"]})]
)
def test_what_is_not_stored_is_refused(planted: Lake, target: Target) -> None:
    before = planted.snapshot_id()
    with pytest.raises(ErasureError, match="nothing was erased"):
        erase(planted, [target], RUN, NOW)
    assert planted.snapshot_id() == before


BEFORE = ["intent", "begin", "erase looks", "commit"]
AFTER = [
    *("done", "compact", "expire", "call ducklake_cleanup", "sweep", "statistics", "purge"),
    "verify",
]
"""The phases of an erasure, by whether the commit that deletes the rows was made before them."""


def _kill_in(phases: list[str], lake: Lake, settings: Settings) -> None:
    """Kill an erasure before each of its phases, complete it, and plant the rows again."""
    others, whole = _read_all(lake, KEPT), _read_all(lake, GONE)
    for number, phase in enumerate(phases):
        with Worker("erase_until", **place_of(settings), workspace=GONE, phase=phase) as worker:
            worker.go()
            worker.wait_for(f"phase {phase}")
        found = _read_all(lake, GONE)
        if phase in BEFORE:
            _check_equal(_drop_numbers(found), _drop_numbers(whole))
            assert finish(lake, RUN) is None
            assert find_unfinished(lake) is None
            erase(lake, _targets(lake), RUN, NOW)
        else:
            assert all(frame.is_empty() for frame in found.values()), phase
            assert find_unfinished(lake) is not None
            assert finish(lake, RUN) if number % 2 else erase(lake, _targets(lake), RUN, NOW)
        assert find_unfinished(lake) is None
        assert find_traces(settings, GONE) == [], phase
        _check_equal(_read_all(lake, KEPT), others)
        _plant(lake, GONE)


def _drop_numbers(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: frame.drop("seq", strict=False) for name, frame in frames.items()}


def test_an_erasure_that_was_killed_is_completed(planted: Lake, settings: Settings) -> None:
    _kill_in(["commit", "done", "call ducklake_cleanup", "purge"], planted, settings)


@pytest.mark.soak
def test_an_erasure_that_was_killed_anywhere_is_completed(
    planted: Lake, settings: Settings
) -> None:
    _kill_in([*BEFORE, *AFTER], planted, settings)
