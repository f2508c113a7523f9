"""Copies from lake to lake: the same rows at both ends, or no lake at the target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import attach, find_catalog, find_files
from ytap_assets.lakehouse.copies import find_newer_copy, hold_copies, list_copies
from ytap_assets.lakehouse.errors import BackupError, LakeDamagedError, LakeError, LakeMissingError
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.lake_copy import copy_lake, sum_rows
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import Lakes, Server, change_catalog
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    MARKS,
    NOTES,
    RUN,
    SAMPLES,
    append,
    days,
    logs,
    marks,
    notes,
    one_day,
    publish,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLES = (NOTES, LOGS, MARKS)


class Interrupted(BaseException):
    """The process ends."""


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake of two workspaces: three versions of a day, values of every type, nulls."""
    for version in range(3):
        publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))
        append(lake, LOGS, logs("tech", [f"{version}"]), "tech")
    cells: dict[str, Any] = {"weight": 0.1, "body": b"\0", "tags": [], "is_read": False}
    rows = notes("finance", days(3), "xyz", seen_at=NOW, **cells)
    publish(lake, NOTES, rows, Scope("finance", DAY, days(3)[-1]))
    publish(lake, MARKS, marks("finance", a=1), Scope("finance"))
    return lake


@pytest.fixture
def target(filled: Lake, tmp_path: Path) -> Settings:
    """A folder without a lake."""
    return _elsewhere(filled.settings, tmp_path / "target")


@pytest.fixture
def remote(filled: Lake, server: Server, bucket: str, tmp_path: Path) -> Iterator[Settings]:
    """An empty database, and an empty prefix in S3."""
    place = Lakes(server, bucket).place(tmp_path / "remote")
    yield replace(place, data=filled.settings.data)
    server.drop(str(place.database))


def _elsewhere(settings: Settings, folder: Path) -> Settings:
    return settings.at(
        ("--to-catalog", str(folder / "catalog.sqlite")), ("--to-data", str(folder / "files"))
    )


def _read(lake: Lake) -> list[pl.DataFrame]:
    frames = [lake.cross_reader().read_across(table) for table in TABLES]
    return [frame.sort(*table.key) for frame, table in zip(frames, TABLES, strict=True)]


def _assert_same(lake: Lake, frames: list[pl.DataFrame]) -> None:
    for ours, theirs in zip(_read(lake), frames, strict=True):
        assert_frame_equal(ours, theirs)


def _interrupt_after(files: int) -> Any:
    def interrupt(_name: str, sent: int, _of: int) -> None:
        if sent == files:
            raise Interrupted

    return interrupt


def _damage(file: Path) -> None:
    """Change a byte among the values of the last column."""
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)


def test_a_lake_goes_into_a_database_and_s3_and_back(
    filled: Lake, remote: Settings, tmp_path: Path
) -> None:
    frames, snapshots = _read(filled), filled.snapshots()
    old = filled.reader("tech", as_of=filled.snapshot_id() - 5).read(NOTES)
    filled.close()

    there = copy_lake(filled.settings, remote, RUN)
    home = _elsewhere(remote, tmp_path / "home")
    back = copy_lake(remote, home, RUN)

    for made, settings in ((there, remote), (back, home)):
        assert made.is_equal
        assert made.sent == made.files == len(find_files(settings).list_parquet()) > 4
        assert made.snapshots == snapshots.height
        counts = {one.table: (one.workspaces, one.rows) for one in made.tables}
        assert counts == {
            "notes": (2, 11),
            "logs": (1, 3),
            "marks": (1, 1),
            "looks": (0, 0),
            "sightings": (0, 0),
        }
        assert find_catalog(settings).find_staged() is None
        with Lake.open(settings, tables=SAMPLES) as lake:
            _assert_same(lake, frames)
            assert_frame_equal(lake.snapshots(), snapshots)
            as_of = lake.snapshot_id() - 5
            assert_frame_equal(lake.reader("tech", as_of=as_of).read(NOTES), old)
    with Lake.open(home, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a", version=9), one_day("tech"))
        assert maintain(lake, datetime.now(UTC) + timedelta(days=40), RUN).refusal is None
        assert lake.reader("tech").read(NOTES)["version"].to_list() == [9]


def test_a_copy_without_history_is_one_snapshot_that_says_where_it_is_from(
    filled: Lake, target: Settings
) -> None:
    frames, newest = _read(filled), filled.snapshot_id()
    layout = _read_layout(filled)

    made = copy_lake(filled.settings, target, RUN, "leave")

    assert (made.is_equal, made.snapshots, made.snapshot_id) == (True, 1, newest)
    assert made.files < len(filled.catalog.read_facts().files)
    assert len(find_files(target).list_parquet()) == made.files
    with Lake.open(target, tables=SAMPLES) as lake:
        _assert_same(lake, frames)
        assert _read_layout(lake) == layout
        [snapshot] = lake.snapshots().to_dicts()
        assert snapshot["snapshot_id"] == newest + 1
        origin = f"{filled.settings.catalog_name}, snapshot {newest}"
        assert snapshot["commit_message"] == f"copied from {origin}"
        assert json.loads(snapshot["commit_extra_info"])["copied_from"] == origin
        assert (snapshot["author"], snapshot["run_id"]) == (RUN.actor, RUN.run_id)
        for version in (7, 8):
            append(lake, LOGS, logs("tech", [f"{version}"]), "tech")
        before = lake.catalog.read_facts().files
        done = maintain(lake, datetime.now(UTC) + timedelta(days=40), RUN)
        assert done.refusal is None
        assert done.files_after < len(before)  # files from before the copy are merged with new ones
        assert [file.table for file in lake.catalog.read_facts().files.values()].count("logs") == 1
    with inspect_lake(target) as inspection:
        assert inspection.facts(SAMPLES).pending == ()
    _assert_same(filled, frames)
    assert filled.snapshot_id() == newest


_LAYOUT = (
    "SELECT table_name, 'partition' AS what, p.column_id, p.transform"
    " FROM ducklake_partition_column p JOIN ducklake_table t ON t.table_id = p.table_id",
    "SELECT table_name, 'sort' AS what, sort_key_index, expression"
    " FROM ducklake_sort_expression e JOIN ducklake_table t ON t.table_id = e.table_id",
    "SELECT table_name, 'comment' AS what, 0 AS place, g.value"
    " FROM ducklake_tag g JOIN ducklake_table t ON t.table_id = g.object_id"
    " WHERE g.end_snapshot IS NULL",
    "SELECT table_name, 'column' AS what, g.column_id, g.value"
    " FROM ducklake_column_tag g JOIN ducklake_table t ON t.table_id = g.table_id"
    " WHERE g.end_snapshot IS NULL",
)


def _read_layout(lake: Lake) -> list[tuple[str, ...]]:
    """How each table is partitioned, sorted and described."""
    with lake.cursor() as cursor:
        rows = [row for statement in _LAYOUT for row in lake.catalog.query(cursor, statement)]
    return sorted(tuple(map(str, row)) for row in rows)


@pytest.mark.parametrize("history", ["keep", "leave"])
def test_who_attaches_the_copy_without_a_place_finds_its_own_files(
    filled: Lake, target: Settings, history: Any
) -> None:
    copy_lake(filled.settings, target, RUN, history)
    [(place,)] = change_catalog(
        target, "SELECT value FROM ducklake_metadata WHERE key = 'data_path'"
    )
    assert place == f"{target.data_path}/"


@pytest.mark.parametrize("kind", ["folder", "remote"])
def test_an_interrupted_copy_is_continued(
    filled: Lake, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    target = _elsewhere(filled.settings, tmp_path / "target")
    if kind == "remote":
        target = request.getfixturevalue("remote")
    with pytest.raises(Interrupted):
        copy_lake(filled.settings, target, RUN, progress=_interrupt_after(1))
    assert not find_catalog(target).exists()
    with pytest.raises(LakeMissingError):
        Lake.open(target, tables=SAMPLES)
    files = find_files(target)
    there = files.list_parquet()
    assert there

    publish(filled, NOTES, notes("tech", [DAY], "abc", version=9), one_day("tech"))
    frames = _read(filled)
    made = copy_lake(filled.settings, target, RUN)

    assert made.is_equal
    assert made.sent == made.files - len(there)
    assert set(files.list_parquet()) == set(filled.catalog.read_facts().files)
    with Lake.open(target, tables=SAMPLES) as lake:
        _assert_same(lake, frames)


def test_of_an_interrupted_copy_damaged_files_are_sent_again_and_old_ones_removed(
    filled: Lake, target: Settings
) -> None:
    with pytest.raises(Interrupted):
        copy_lake(filled.settings, target, RUN, progress=_interrupt_after(7))
    there = find_files(target).list_parquet()
    maintain(filled, datetime.now(UTC) + timedelta(days=40), RUN)
    kept = sorted(set(there) & set(filled.catalog.read_facts().files))
    assert 1 < len(kept) < len(there)
    _damage(target.data_path / kept[0])

    made = copy_lake(filled.settings, target, RUN)

    assert made.is_equal
    assert made.sent == made.files - len(kept) + 1
    assert set(find_files(target).list_parquet()) == set(filled.catalog.read_facts().files)


def test_a_copy_that_is_damaged_on_its_way_is_no_lake_and_is_mended(
    filled: Lake, target: Settings
) -> None:
    texts = [f"{'text ' * 20}{number}" for number in range(2000)]
    publish(filled, NOTES, notes("big", [DAY], texts), one_day("big"))
    damaged = []

    def damage(name: str, _sent: int, _of: int) -> None:
        if "workspace_id=big" in name:
            _damage(target.data_path / name)
            damaged.append(name)

    made = copy_lake(filled.settings, target, RUN, progress=damage)

    assert len(damaged) == 1
    assert not made.is_equal
    assert [one.table for one in made.tables if one.problems] == ["notes"]
    assert not find_catalog(target).exists()
    again = copy_lake(filled.settings, target, RUN)
    assert (again.is_equal, again.sent) == (True, 1)


def test_a_readable_file_with_other_rows_is_found_with_its_workspace(
    filled: Lake, target: Settings
) -> None:
    for version in (3, 4):
        publish(filled, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))
    files = {
        name: file
        for name, file in filled.catalog.read_facts().files.items()
        if "notes/workspace_id=tech" in name
    }
    [current] = [name for name, file in files.items() if file.deleted is not None]
    size = files[current].size_bytes
    other = next(n for n, file in files.items() if n != current and file.size_bytes == size)

    def replace_current(_name: str, sent: int, of: int) -> None:
        if sent == of:
            (target.data_path / current).write_bytes((target.data_path / other).read_bytes())

    made = copy_lake(filled.settings, target, RUN, progress=replace_current)

    [problem] = [text for one in made.tables for text in one.problems]
    assert "tech" in problem
    assert "finance" not in problem
    assert not find_catalog(target).exists()


def test_a_file_of_an_old_snapshot_is_compared_too(filled: Lake, target: Settings) -> None:
    facts = filled.catalog.read_facts()
    old = next(name for name, file in facts.files.items() if file.deleted is None)

    def damage(name: str, _sent: int, _of: int) -> None:
        if name == old:
            _damage(target.data_path / name)

    with pytest.raises(LakeError, match="not as they were sent") as error:
        copy_lake(filled.settings, target, RUN, progress=damage)
    assert old in str(error.value)
    assert not find_catalog(target).exists()
    made = copy_lake(filled.settings, target, RUN)
    assert (made.is_equal, made.sent) == (True, 1)


@pytest.mark.parametrize("history", ["keep", "leave"])
def test_tables_of_others_are_copied_and_dropped_ones_are_history(
    filled: Lake, target: Settings, history: Any
) -> None:
    with filled.cursor() as cursor:
        for statement in (
            "CREATE SCHEMA lake.other",
            'CREATE TABLE lake.other."odd ""name" (a INTEGER, l INTEGER[])',
            'INSERT INTO lake.other."odd ""name" VALUES (1, [2]), (1, [2]), (NULL, NULL)',
            "CREATE TABLE lake.gone AS SELECT 1 AS a",
        ):
            cursor.execute(statement)
        before = filled.snapshot_id()
        cursor.execute("DROP TABLE lake.gone")

    made = copy_lake(filled.settings, target, RUN, history)

    assert made.is_equal
    [other] = [one for one in made.tables if one.table == 'other.odd "name']
    assert (other.workspaces, other.rows) == (0, 3)
    assert "gone" not in [one.table for one in made.tables]
    with Lake.open(target, tables=SAMPLES) as lake, lake.cursor() as cursor:
        rows = cursor.execute('FROM lake.other."odd ""name" ORDER BY a').fetchall()
        assert rows == [(1, [2]), (1, [2]), (None, None)]
        if history == "keep":
            assert cursor.execute(f"FROM lake.gone AT (VERSION => {before})").fetchall() == [(1,)]


@pytest.mark.parametrize("history", ["keep", "leave"])
def test_writes_go_on_meanwhile_and_nothing_is_deleted(
    filled: Lake, target: Settings, history: Any
) -> None:
    frames = _read(filled)
    refusals = []

    def write(_name: str, sent: int, _of: int) -> None:
        if sent == 1:
            publish(filled, NOTES, notes("tech", [DAY], "z", version=9), one_day("tech"))
            publish(filled, MARKS, marks("tech", z=9), Scope("tech"))
            refusals.append(maintain(filled, datetime.now(UTC) + timedelta(days=40), RUN).refusal)
            with pytest.raises(BackupError), hold_copies(filled.settings, timeout_s=0.1):
                pass

    made = copy_lake(filled.settings, target, RUN, history, write)

    assert made.is_equal
    assert made.snapshot_id < filled.snapshot_id()
    assert refusals[0] is not None
    with Lake.open(target, tables=SAMPLES) as lake:
        _assert_same(lake, frames)


def test_a_backup_that_is_newer_than_the_copy_is_noticed(filled: Lake, target: Settings) -> None:
    backups = filled.settings.backups
    back_up(filled.settings, backups / "before", NOW)
    copy_lake(filled.settings, target, RUN)
    assert find_newer_copy(target, list_copies(target)) is None
    publish(filled, NOTES, notes("tech", [DAY], "z", version=9), one_day("tech"))
    back_up(filled.settings, backups / "after", NOW)
    assert str(backups / "after") in (find_newer_copy(target, list_copies(target)) or "")


def test_a_copy_is_backed_up_and_restored(filled: Lake, target: Settings, tmp_path: Path) -> None:
    frames = _read(filled)
    copy_lake(filled.settings, target, RUN, "leave")
    backup = back_up(target, tmp_path / "backup", NOW)
    other = _elsewhere(filled.settings, tmp_path / "other")
    restore(other, backup.folder, NOW)
    with Lake.open(other, tables=SAMPLES) as lake:
        _assert_same(lake, frames)


def test_where_something_is_nothing_is_copied(
    filled: Lake, target: Settings, tmp_path: Path
) -> None:
    source = filled.settings
    foreign = target.data_path / "main" / "notes" / "foreign.parquet"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    with pytest.raises(LakeError, match=r"foreign\.parquet"):
        copy_lake(source, target, RUN)
    assert foreign.read_bytes() == b"mine"
    foreign.unlink()
    Lake.create(target, tables=SAMPLES).close()
    with pytest.raises(LakeError, match="existing file"):
        copy_lake(source, target, RUN)
    with pytest.raises(LakeError, match=r"existing file|schema contains"):
        copy_lake(source, replace(source, data_path=tmp_path / "files", bucket=None), RUN)
    assert not (tmp_path / "files").exists()


def test_files_of_the_lake_itself_are_never_taken_for_those_of_a_copy(
    filled: Lake, tmp_path: Path
) -> None:
    """Where one place has two names, only the record of an interrupted copy vouches for files."""
    source, alias = filled.settings, tmp_path / "alias"
    target = _elsewhere(source, tmp_path / "target")
    for name in find_files(source).list_parquet():
        (target.data_path / name).parent.mkdir(parents=True, exist_ok=True)
        find_files(source).fetch(name, target.data_path / name)
    with pytest.raises(LakeError, match="no interrupted copy"):
        copy_lake(source, target, RUN)
    with pytest.raises(Interrupted):
        copy_lake(source, replace(target, data_path=alias), RUN, progress=_interrupt_after(1))
    with pytest.raises(LakeError, match="restore of this lake"):
        copy_lake(source, target, RUN)


@pytest.mark.folder
def test_a_copy_is_not_put_into_its_source(filled: Lake, tmp_path: Path) -> None:
    source = filled.settings
    link = tmp_path / "link"
    link.symlink_to(source.data_path)
    for place in (source.data_path, source.data_path / "in", source.data_path.parent, link):
        target = replace(_elsewhere(source, tmp_path / "target"), data_path=place)
        with pytest.raises(LakeError, match="delete each other's files"):
            copy_lake(source, target, RUN)
    with pytest.raises(LakeError, match="among the backups"):
        copy_lake(source, _elsewhere(source, source.backups / "copy"), RUN)


def test_of_two_lakes_one_is_copied_to_a_place_at_a_time(
    filled: Lake, target: Settings, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        copy_lake(filled.settings, target, RUN, progress=_interrupt_after(1))
    other = _elsewhere(filled.settings, tmp_path / "other")
    Lake.create(other, tables=SAMPLES).close()
    with pytest.raises(LakeError, match="restore of another lake"):
        copy_lake(other, target, RUN)
    assert copy_lake(filled.settings, target, RUN).is_equal


@pytest.mark.folder
def test_a_link_in_the_way_is_not_followed(filled: Lake, target: Settings, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target.data_path.mkdir(parents=True)
    (target.data_path / "main").symlink_to(tmp_path / "outside")
    with pytest.raises(BackupError, match="symbolic link"):
        copy_lake(filled.settings, target, RUN)
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.folder
def test_a_lake_whose_files_are_missing_or_damaged_is_not_copied(
    filled: Lake, target: Settings
) -> None:
    [file] = (filled.settings.data_path / "main" / "marks").rglob("*.parquet")
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(LakeDamagedError, match=file.name):
        copy_lake(filled.settings, target, RUN)
    file.write_bytes(b"\0" * len(content))
    with pytest.raises(LakeDamagedError, match="marks"):
        copy_lake(filled.settings, target, RUN)
    assert not find_catalog(target).exists()


def test_what_was_staged_stays_until_something_else_is(filled: Lake, tmp_path: Path) -> None:
    """It is the record of an interrupted copy, and a process may end at any moment."""
    catalog = filled.catalog
    catalog.copy_to(tmp_path / "copy")
    facts = catalog.stage(tmp_path / "copy", "elsewhere/", "a mark").read_facts()
    assert facts == replace(catalog.read_facts(), data_path="elsewhere/", mark="a mark")
    (tmp_path / "folder").mkdir()
    with pytest.raises((OSError, duckdb.Error)):
        catalog.stage(tmp_path / "folder", "", None)
    staged = catalog.find_staged()
    assert staged is not None
    assert staged.read_facts() == facts
    catalog.remove_staged()
    assert catalog.find_staged() is None


def test_no_lake_no_copy(empty_settings: Settings, tmp_path: Path) -> None:
    target = _elsewhere(empty_settings, tmp_path / "target")
    with pytest.raises(LakeMissingError):
        copy_lake(empty_settings, target, RUN)
    assert not (tmp_path / "target").exists()


def test_the_sums_know_every_value_and_no_order(lake: Lake) -> None:
    def add(workspace: str, *frames: pl.DataFrame) -> None:
        publish(lake, NOTES, pl.concat(frames), one_day(workspace))

    def of(note: str, **cells: Any) -> pl.DataFrame:
        return notes("tech", [DAY], [note], **cells)

    variants: list[list[pl.DataFrame]] = [
        [of("a"), of("b")],
        [of("b"), of("a")],
        [of("a", tags=[]), of("b")],
        [of("a"), of("b", tags=[])],
        [of("a", tags=[""]), of("b")],
        [of("a", body=b""), of("b")],
        [of("a", is_read=False), of("b")],
        [of("a", version=0), of("b")],
        [of("a", version=1), of("b", version=2)],
        [of("a", version=2), of("b", version=1)],
        [of("a", weight=1.0), of("b")],
        [of("a")],
    ]
    sums = []
    for variant in variants:
        add("tech", *variant)
        with closing(attach(lake.settings, read_only=True)) as connection:
            sums.append(sum_rows(connection, "main", "notes", lake.snapshot_id())["tech"])
    assert sums[0] == sums[1]
    assert len(set(sums)) == len(variants) - 1


def test_a_place_is_given_as_the_variables_are(tmp_path: Path) -> None:
    settings = Settings.from_env({"YTAP_DATA": str(tmp_path)})
    catalog, files = "postgresql://ytap@db.example/lakes", "s3://bucket/lake"
    elsewhere = settings.at(("--to-catalog", catalog), ("--to-data", files))
    assert elsewhere == Settings.from_env(
        {"YTAP_DATA": str(tmp_path), "YTAP_CATALOG": catalog, "YTAP_DATA_PATH": files}
    )
    for wrong in (
        ("postgresql://u:swordfish@db/lakes", files),
        ("mysql://u:swordfish@db/lakes", files),
        ("", files),
        (catalog, ""),
        (catalog, "s3://key:swordfish@bucket/lake"),
        (catalog, str(tmp_path / "a*")),
    ):
        with pytest.raises(ConfigError, match="--to-") as error:
            settings.at(("--to-catalog", wrong[0]), ("--to-data", wrong[1]))
        assert "swordfish" not in str(error.value)
