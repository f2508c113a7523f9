"""Maintenance: fewer files, the same rows; old snapshots and orphans go, young ones stay."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse import maintenance
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.copies import hold_copies
from ytap_assets.lakehouse.errors import LakeDamagedError, SnapshotMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import find_rewritten
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import change_catalog
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    append,
    days,
    logs,
    notes,
    one_day,
    publish,
)

SOON = timedelta(hours=2)
MONTH = timedelta(days=32)


@pytest.fixture
def present() -> datetime:
    """The machine's present: DuckLake stamps snapshots and files with it."""
    return datetime.now(UTC)


def maintain(lake: Lake, now: datetime, run: Run = RUN) -> maintenance.Maintained:
    return maintenance.maintain(lake, now, run)


def _files(lake: Lake) -> list[Path]:
    return sorted(lake.settings.data_path.rglob("*.parquet"))


def _fill(lake: Lake) -> None:
    for number, day in enumerate(days(6)):
        publish(lake, NOTES, notes("tech", [day], "abc", version=number), one_day("tech", day))
        append(lake, LOGS, logs("tech", [f"{number}"]), "tech")


def test_small_files_are_merged_and_rows_stay(lake: Lake, present: datetime) -> None:
    _fill(lake)
    reader = lake.reader("tech")
    before = {table.name: reader.read(table) for table in (NOTES, LOGS)}
    done = maintain(lake, present)
    assert (done.files_before, done.files_after) == (12, 2)
    for table in (NOTES, LOGS):
        assert_frame_equal(reader.read(table), before[table.name], check_row_order=False)
    again = maintain(lake, present)
    assert (again.files_before, again.files_after, again.files_deleted) == (2, 2, 0)


def test_merging_keeps_every_snapshot_readable(lake: Lake, present: datetime) -> None:
    seen: dict[int, pl.DataFrame] = {}
    for number, day in enumerate(days(5)):
        publish(lake, NOTES, notes("tech", [day], "abc", version=number), one_day("tech", day))
        seen[lake.snapshot_id()] = lake.reader("tech").read(NOTES)
    publish(lake, NOTES, NOTES.empty(), Scope("tech", days(5)[0], days(5)[3]))
    seen[lake.snapshot_id()] = lake.reader("tech").read(NOTES)
    maintain(lake, present)
    for snapshot, rows in seen.items():
        old = lake.reader("tech", as_of=snapshot).read(NOTES)
        assert_frame_equal(old, rows, check_row_order=False)


@pytest.mark.parametrize("deleted", [5, 6])
def test_half_deleted_files_are_rewritten(lake: Lake, present: datetime, deleted: int) -> None:
    publish(lake, NOTES, notes("tech", days(10), "ab"), Scope("tech", days(10)[0], days(10)[9]))
    [name] = lake.catalog.read_facts().files
    publish(lake, NOTES, NOTES.empty(), Scope("tech", days(10)[0], days(10)[deleted - 1]))
    assert name in find_rewritten(lake.catalog.read_facts().files)
    maintain(lake, present)
    live = change_catalog(
        lake.settings, "SELECT record_count FROM ducklake_data_file WHERE end_snapshot IS NULL"
    )
    assert live == [(20 - 2 * deleted,)]
    assert lake.reader("tech").read(NOTES).height == 20 - 2 * deleted


def test_the_snapshot_of_a_merge_names_its_run(lake: Lake, present: datetime) -> None:
    _fill(lake)
    maintain(lake, present, Run("run-9", "dagster", "maintain the lake"))
    [last] = lake.snapshots().tail(1).select("author", "commit_message", "run_id").rows()
    assert last == ("dagster", "maintain the lake", "run-9")


@pytest.mark.folder
def test_old_snapshots_expire_and_their_files_go_a_day_later(lake: Lake, present: datetime) -> None:
    for version in range(3):
        publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))
    old = lake.snapshot_id() - 1
    assert maintain(lake, present + timedelta(days=29)).snapshots_expired == 0
    assert lake.reader("tech", as_of=old).read(NOTES).height == 2
    done = maintain(lake, present + MONTH)
    assert done.snapshots_expired >= 3
    assert done.files_deleted >= 2
    assert len(_files(lake)) == 1
    with pytest.raises(SnapshotMissingError, match=r"`ytap sql"):
        lake.reader("tech", as_of=old).read(NOTES)
    assert lake.reader("tech").read(NOTES).get_column("version").to_list() == [2, 2]


@pytest.mark.parametrize("hour", [1, 22])
def test_a_snapshot_younger_than_the_window_never_expires(
    lake: Lake, present: datetime, hour: int
) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a", version=1), one_day("tech"))
    young = lake.snapshot_id()
    publish(lake, NOTES, notes("tech", [DAY], "a", version=2), one_day("tech"))
    now = present.replace(hour=hour, minute=30)
    limit = now - timedelta(days=lake.settings.snapshot_days)
    change_catalog(
        lake.settings,
        "UPDATE ducklake_snapshot SET snapshot_time ="
        f" '{limit + timedelta(minutes=5):%Y-%m-%d %H:%M:%S.%f+00}' WHERE snapshot_id = {young}",
    )
    maintain(lake, now)
    assert lake.reader("tech", as_of=young).read(NOTES).get_column("version").to_list() == [1]


@pytest.mark.parametrize("hour", [0, 12])
def test_files_that_a_reader_may_still_hold_stay_for_an_hour(
    lake: Lake, present: datetime, hour: int
) -> None:
    _fill(lake)
    maintain(lake, present)
    held = _files(lake)
    now = present.replace(hour=hour, minute=30)
    change_catalog(
        lake.settings,
        "UPDATE ducklake_files_scheduled_for_deletion SET schedule_start ="
        f" '{now - timedelta(minutes=55):%Y-%m-%d %H:%M:%S.%f+00}'",
    )
    assert maintain(lake, now).files_deleted == 0
    assert set(held) <= set(_files(lake))
    assert maintain(lake, now + timedelta(days=2)).files_deleted == 12


def _leave(folder: Path, digit: str, written: datetime) -> Path:
    """A file as a killed write leaves it."""
    file = folder / f"ducklake-{digit * 8}-0000-7000-8000-{digit * 12}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"left by a killed write")
    os.utime(file, (written.timestamp(), written.timestamp()))
    return file


@pytest.mark.folder
def test_orphans_are_swept_and_young_ones_stay(lake: Lake, present: datetime) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    folder = _files(lake)[0].parent
    old = _leave(folder, "a", present - timedelta(minutes=65))
    young = _leave(folder, "b", present - timedelta(minutes=55))
    assert maintain(lake, present).orphans_deleted == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert maintain(lake, present + SOON).orphans_deleted == 1
    assert not young.exists()
    assert lake.reader("tech").read(NOTES).height == 1


@pytest.mark.folder
def test_what_the_lake_did_not_make_is_never_swept(lake: Lake, present: datetime) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    long_ago = present - timedelta(days=400)
    folder = _files(lake)[0].parent
    foreign = [
        _leave(lake.settings.data_path / "models", "c", long_ago),
        _leave(folder, "d", long_ago).rename(folder / "export.parquet"),
        _leave(folder, "e", long_ago).rename(folder / "notes.txt"),
    ]
    done = maintain(lake, present)
    assert (done.orphans_deleted, done.foreign_files, done.refusal) == (0, 2, None)
    assert all(file.exists() for file in foreign)


@pytest.mark.folder
def test_no_link_leads_the_sweep_elsewhere(lake: Lake, present: datetime, tmp_path: Path) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    outside = _leave(tmp_path / "outside", "a", present - timedelta(days=400))
    folder = _files(lake)[0].parent
    (folder / "linked").symlink_to(outside.parent)
    (folder / outside.name).symlink_to(outside)
    assert maintain(lake, present).orphans_deleted == 0
    assert outside.exists()


def _other_catalog(lake: Lake, name: str) -> Settings:
    """The same files under an empty catalog of another name, marked as its own by hand."""
    database = lake.settings.database
    if database is not None:
        other = replace(lake.settings, database=replace(database, schema="other"))
    else:
        other = replace(lake.settings, catalog=lake.settings.catalog.with_name(name))
    apart = replace(other, data_path=lake.settings.data / "apart")
    Lake.create(apart, tables=SAMPLES).close()
    find_files(other).write_mark(find_files(apart).read_mark() or "")
    return other


@pytest.mark.folder
def test_an_empty_catalog_sweeps_nothing(lake: Lake, present: datetime) -> None:
    _fill(lake)
    files = _files(lake)
    with Lake.open(_other_catalog(lake, "typo.sqlite"), tables=SAMPLES) as typo:
        done = maintain(typo, present + MONTH)
        assert (done.orphans_deleted, done.snapshots_expired, _files(lake)) == (0, 0, files)
        assert re.search(r" refers to no file, .* contains 12 .*--sweep-anyway", done.refusal or "")
        assert (
            maintenance.maintain(typo, present + MONTH, RUN, sweep_anyway=True).orphans_deleted
            == 12
        )


@pytest.mark.folder
def test_most_files_are_not_swept(lake: Lake, present: datetime) -> None:
    _fill(lake)
    with Lake.open(_other_catalog(lake, "small.sqlite"), tables=SAMPLES) as small:
        publish(small, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
        files = _files(lake)
        done = maintain(small, present + MONTH)
    assert (done.orphans_deleted, _files(lake)) == (0, files)
    assert "does not refer to 12 of the 13 files" in (done.refusal or "")


@pytest.mark.folder
def test_nothing_is_merged_or_swept_where_files_are_missing(lake: Lake, present: datetime) -> None:
    _fill(lake)
    _files(lake)[0].unlink()
    files, snapshot = _files(lake), lake.snapshot_id()
    with pytest.raises(LakeDamagedError, match=r"1 of 12 files .* logs, which is missing"):
        maintain(lake, present + MONTH)
    assert (_files(lake), lake.snapshot_id()) == (files, snapshot)


def _schedule(lake: Lake, path: str, *, is_relative: str) -> None:
    """Say in the catalog that a file may be deleted since long ago."""
    change_catalog(
        lake.settings,
        "INSERT INTO ducklake_files_scheduled_for_deletion"
        f" VALUES (0, '{path}', {is_relative}, '2020-01-01')",
    )


@pytest.mark.folder
def test_a_file_that_a_snapshot_refers_to_is_never_cleaned_up(
    lake: Lake, present: datetime
) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    [file] = _files(lake)
    name = file.relative_to(lake.settings.data_path).as_posix()
    _schedule(lake, name, is_relative="true")
    done = maintain(lake, present)
    assert done.files_deleted == 0
    assert f"would delete {file}" in (done.refusal or "")
    assert file.exists()


def test_a_scheduled_file_outside_the_lake_is_never_cleaned_up(
    lake: Lake, present: datetime, tmp_path: Path
) -> None:
    _fill(lake)
    outside = _leave(tmp_path / "outside", "a", present)
    _schedule(lake, str(outside), is_relative="false")
    with pytest.raises(LakeDamagedError, match="below its data path"):
        maintain(lake, present + MONTH)
    assert outside.exists()


def test_a_backup_in_the_making_is_not_swept_under(lake: Lake, present: datetime) -> None:
    _fill(lake)
    maintain(lake, present)
    files = _files(lake)
    with hold_copies(lake.settings):
        done = maintain(lake, present + MONTH)
    assert "another backup, restore" in (done.refusal or "")
    assert set(files) <= set(_files(lake))


def test_a_file_of_another_lake_is_no_orphan(lake: Lake, present: datetime) -> None:
    neighbour = lake.settings.data_path.with_name("files2") / "main" / "x.parquet"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_bytes(b"not ours")
    os.utime(neighbour, (0, 0))
    maintain(lake, present + MONTH)
    assert neighbour.exists()


def test_an_empty_lake_is_maintained_too(lake: Lake, present: datetime) -> None:
    done = maintain(lake, present)
    assert (done.files_before, done.files_after, done.orphans_deleted) == (0, 0, 0)


@pytest.mark.folder
def test_a_file_that_is_gone_already_does_not_stop_the_sweep(lake: Lake, present: datetime) -> None:
    _fill(lake)
    before = set(_files(lake))
    maintain(lake, present)
    for file in before:
        file.unlink()
    maintain(lake, present + MONTH)
    assert lake.reader("tech").read(NOTES).height == 18
    assert len(_files(lake)) == 2


@pytest.mark.folder
def test_a_file_is_merged_with_others_of_its_size_only(
    lake: Lake, present: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = days(3)
    many = [f"note {number} {number**7}" for number in range(2_000)]
    publish(lake, NOTES, notes("tech", [first], many, version=1), one_day("tech", first))
    [large] = _files(lake)
    monkeypatch.setattr(maintenance, "MERGE_BELOW", (large.stat().st_size // 2,))
    for day in (second, third):
        publish(lake, NOTES, notes("tech", [day], "ab", version=2), one_day("tech", day))
    before = lake.reader("tech").read(NOTES)
    done = maintain(lake, present + SOON)
    assert (done.files_before, done.files_after) == (3, 2)
    assert large in _files(lake)
    after = lake.reader("tech").read(NOTES)
    assert_frame_equal(before, after, check_row_order=False)
