"""Backups: whole or refused; a restore brings back what was there, and keeps what it replaced."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.backup import ROTATION, back_up, restore, verify
from ytap_assets.lakehouse.catalog import LakeFile, check_files
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import attach, find_catalog, find_files
from ytap_assets.lakehouse.copies import Backup, hold_copies, open_backup, read_restored
from ytap_assets.lakehouse.errors import (
    BackupError,
    DiskFailureError,
    LakeDamagedError,
    LakeError,
    LakeMissingError,
)
from ytap_assets.lakehouse.files import Copied
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import find_rewritten, maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.lakehouse.samples import DAY, NOTES, RUN, SAMPLES, notes, one_day, publish

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _versions(lake: Lake) -> list[int]:
    return lake.reader("tech").read(NOTES).get_column("version").to_list()


def _publish(lake: Lake, version: int) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))


@pytest.fixture
def backup(lake: Lake, tmp_path: Path) -> Backup:
    """A backup of a lake with two versions, of which the second is the present."""
    _publish(lake, 1)
    _publish(lake, 2)
    return back_up(lake.settings, tmp_path / "backups" / "first ?#%20", NOW)


@pytest.mark.folder
def test_a_backup_says_what_it_holds(lake: Lake, backup: Backup) -> None:
    assert open_backup(backup.folder) == backup
    assert backup.made_at == NOW
    files = {
        path.relative_to(lake.settings.data_path).as_posix(): Copied(
            path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in lake.settings.data_path.rglob("*.parquet")
    }
    assert backup.files == files
    assert backup.size_bytes == sum(file.size_bytes for file in files.values()) > 0
    assert not list(backup.folder.parent.glob("*.part"))


def test_a_restore_brings_back_rows_and_history(lake: Lake, backup: Backup) -> None:
    frame = lake.reader("tech").read(NOTES)
    snapshot = lake.snapshot_id()
    _publish(lake, 3)
    lake.close()
    restore(lake.settings, backup.folder, NOW)
    with Lake.open(lake.settings, tables=SAMPLES) as restored:
        assert_frame_equal(restored.reader("tech").read(NOTES), frame, check_row_order=False)
        assert restored.snapshot_id() == snapshot
        old = restored.reader("tech", as_of=snapshot - 1).read(NOTES)
        assert old.get_column("version").to_list() == [1, 1]
        _publish(restored, 4)
        assert _versions(restored) == [4, 4]
        maintain(restored, datetime.now(UTC) + timedelta(days=40), RUN)
        assert _versions(restored) == [4, 4]


@pytest.mark.folder
@pytest.mark.sqlite
def test_a_restore_keeps_the_old_lake_beside_it(lake: Lake, backup: Backup) -> None:
    _publish(lake, 3)
    lake.close()
    settings = lake.settings
    restore(settings, backup.folder, NOW)
    with Lake.open(settings, tables=SAMPLES) as restored:
        maintain(restored, datetime.now(UTC) + timedelta(days=40), RUN)
    aside = Settings.from_env(
        {
            "YTAP_DATA": str(settings.data),
            "YTAP_CATALOG": f"{settings.catalog}.before-20261120T120000000000",
            "YTAP_DATA_PATH": f"{settings.data_path}.before-20261120T120000000000",
        }
    )
    with Lake.open(aside, tables=SAMPLES) as before:
        assert _versions(before) == [3, 3]


def test_a_restore_under_an_open_lake_is_seen_by_it(lake: Lake, backup: Backup) -> None:
    _publish(lake, 3)
    restore(lake.settings, backup.folder, NOW)
    assert _versions(lake) == [2, 2]
    _publish(lake, 4)
    with Lake.open(lake.settings, tables=SAMPLES) as other:
        assert _versions(other) == [4, 4]


@pytest.mark.sqlite
def test_a_journal_of_the_old_catalog_is_not_read_as_the_new_ones(
    lake: Lake, backup: Backup
) -> None:
    _publish(lake, 3)
    with closing(sqlite3.connect(lake.settings.catalog)) as left_open:
        left_open.execute("PRAGMA wal_autocheckpoint = 0")
        left_open.execute("UPDATE ducklake_snapshot SET snapshot_time = 'long ago'")
        left_open.commit()
        assert Path(f"{lake.settings.catalog}-wal").stat().st_size > 0
        restore(lake.settings, backup.folder, NOW)
        assert _versions(lake) == [2, 2]
    with Lake.open(lake.settings, tables=SAMPLES) as restored:
        assert restored.snapshots().get_column("snapshot_time").dtype.is_temporal()
        _publish(restored, 4)
        assert _versions(restored) == [4, 4]


def test_a_restore_into_the_same_place_keeps_the_mark(lake: Lake, tmp_path: Path) -> None:
    back_up(lake.settings, tmp_path / "empty", NOW)
    _publish(lake, 1)
    back_up(lake.settings, tmp_path / "full", NOW)
    mark = find_files(lake.settings).read_mark()
    assert mark is not None
    lake.close()
    for number, name in enumerate(("full", "empty", "full")):
        restore(lake.settings, tmp_path / name, NOW + timedelta(seconds=number))
        Lake.open(lake.settings, tables=SAMPLES).close()
        assert find_files(lake.settings).read_mark() == mark


@pytest.mark.parametrize("has_files", [True, False])
def test_a_lake_that_was_restored_elsewhere_is_at_home_there(
    lake: Lake, empty_settings: Settings, tmp_path: Path, has_files: bool
) -> None:
    if has_files:
        _publish(lake, 1)
    back_up(lake.settings, tmp_path / "backup", NOW)
    restore(empty_settings, tmp_path / "backup", NOW)
    Lake.open(empty_settings, tables=SAMPLES).close()
    files = find_files(empty_settings)
    assert files.read_mark() not in {None, find_files(lake.settings).read_mark()}
    files.delete(files.list_parquet())
    files.remove_mark()
    restore(empty_settings, tmp_path / "backup", NOW + timedelta(seconds=1))
    with Lake.open(empty_settings, tables=SAMPLES) as again:
        assert _versions(again) == [1, 1] * has_files


def test_no_restore_takes_the_place_of_another_catalog(
    lake: Lake, empty_settings: Settings, tmp_path: Path
) -> None:
    _publish(lake, 1)
    Lake.create(empty_settings, tables=SAMPLES).close()
    back_up(empty_settings, tmp_path / "other", NOW)
    mixed = replace(empty_settings, data_path=lake.settings.data_path, bucket=lake.settings.bucket)
    before = find_files(mixed).list_parquet()
    with pytest.raises(BackupError, match="the place of another catalog's files"):
        restore(mixed, tmp_path / "other", NOW)
    assert find_files(mixed).list_parquet() == before
    assert _versions(lake) == [1, 1]
    _publish(lake, 2)


@pytest.mark.parametrize("has_files", [True, False])
def test_no_restore_moves_a_catalog_to_another_place(
    lake: Lake, tmp_path: Path, has_files: bool
) -> None:
    if has_files:
        _publish(lake, 1)
    back_up(lake.settings, tmp_path / "backup", NOW)
    elsewhere = replace(lake.settings, data_path=tmp_path / "elsewhere", bucket=None)
    with pytest.raises(LakeError, match="is not the place of the files"):
        restore(elsewhere, tmp_path / "backup", NOW)
    _publish(lake, 2)
    assert _versions(lake) == [2, 2]


def test_a_catalog_that_was_thought_lost_is_refused_after_a_restore_in_its_place(
    lake: Lake, empty_settings: Settings, tmp_path: Path
) -> None:
    _publish(lake, 1)
    back_up(lake.settings, tmp_path / "backup", NOW)
    mixed = replace(empty_settings, data_path=lake.settings.data_path, bucket=lake.settings.bucket)
    restore(mixed, tmp_path / "backup", NOW)
    with Lake.open(mixed, tables=SAMPLES) as restored:
        assert _versions(restored) == [1, 1]
    with pytest.raises(LakeError, match="the place of another catalog's files"):
        Lake.open(lake.settings, tables=SAMPLES)
    with pytest.raises(LakeError, match="the place of another catalog's files"):
        _publish(lake, 2)  # which was open all the time


def test_lost_files_are_restored_with_their_place(empty_settings: Settings, tmp_path: Path) -> None:
    lake = Lake.create(empty_settings, tables=SAMPLES)
    _publish(lake, 1)
    back_up(lake.settings, tmp_path / "backup", NOW)
    lake.close()
    files = find_files(lake.settings)
    files.delete(files.list_parquet())
    files.remove_mark()
    restore(lake.settings, tmp_path / "backup", NOW)
    with Lake.open(lake.settings, tables=SAMPLES) as again:
        assert _versions(again) == [1, 1]


def test_a_backup_can_be_restored_where_there_is_no_lake(
    backup: Backup, empty_settings: Settings
) -> None:
    restore(empty_settings, backup.folder, NOW)
    with Lake.open(empty_settings, tables=SAMPLES) as lake:
        assert _versions(lake) == [2, 2]
        _publish(lake, 5)
    assert not list(empty_settings.data.rglob("*.before-*"))
    assert open_backup(backup.folder) == backup


def test_a_restore_replaces_damaged_files(lake: Lake, backup: Backup, tmp_path: Path) -> None:
    copy = tmp_path / "on another disk"
    shutil.copytree(backup.folder, copy)
    for file in lake.settings.data_path.rglob("*.parquet"):
        file.write_bytes(bytes(file.stat().st_size))
    lake.close()
    restore(lake.settings, copy, NOW)
    with Lake.open(lake.settings, tables=SAMPLES) as restored:
        assert _versions(restored) == [2, 2]
    assert not list(lake.settings.data_path.rglob("*.part"))


def test_maintenance_leaves_a_backup_alone(lake: Lake, backup: Backup) -> None:
    for version in range(3, 6):
        _publish(lake, version)
    maintain(lake, datetime.now(UTC) + timedelta(days=40), RUN)
    assert open_backup(backup.folder) == backup
    restore(lake.settings, backup.folder, NOW)
    with Lake.open(lake.settings, tables=SAMPLES) as restored:
        assert _versions(restored) == [2, 2]


@pytest.mark.folder
def test_no_copy_is_made_where_files_are_missing(lake: Lake, tmp_path: Path) -> None:
    _publish(lake, 1)
    elsewhere = replace(lake.settings, data_path=tmp_path / "elsewhere")
    with pytest.raises(BackupError, match=r"1 of 1 files .* table notes.* check YTAP_DATA_PATH"):
        back_up(elsewhere, tmp_path / "backup", NOW)
    assert not list(tmp_path.glob("backup*"))


def test_nothing_is_backed_up_over_another_backup(lake: Lake, backup: Backup) -> None:
    with pytest.raises(BackupError, match="already exists"):
        back_up(lake.settings, backup.folder, NOW)
    assert open_backup(backup.folder) == backup


@pytest.mark.parametrize("place", ["sub", "files/main/sub", "a/b"])
def test_no_backup_inside_another_wherever_that_is(
    lake: Lake, backup: Backup, tmp_path: Path, place: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to(backup.folder)
    for folder in (backup.folder, link):
        with pytest.raises(BackupError, match=r"is inside the backup "):
            back_up(lake.settings, folder / place, NOW)
    assert open_backup(backup.folder) == backup


def test_a_folder_with_another_manifest_is_no_backup(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text("{}")
    made = back_up(lake.settings, tmp_path / "site" / "copy", NOW)
    assert open_backup(made.folder) == made


def test_no_backup_among_the_lakes_own_files(lake: Lake) -> None:
    with pytest.raises(BackupError, match="inside the lake's data path"):
        back_up(lake.settings, lake.settings.data_path / "backups" / "one", NOW)


def test_there_must_be_a_lake_to_back_up(empty_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(LakeMissingError, match="there is no lake at"):
        back_up(empty_settings, tmp_path / "backup", NOW)
    assert not (tmp_path / "backup").exists()


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [1, 8_192, 100_000])
def test_a_limit_on_the_size_of_files_is_no_damage(lake: Lake, tmp_path: Path, size: int) -> None:
    _publish(lake, 1)
    expected = pytest.raises(DiskFailureError, match="ulimit -f")
    with expected as caught, _file_size_limit(size):
        back_up(lake.settings, tmp_path / "copies" / "copy", NOW)
    assert "restore" not in str(caught.value)
    assert not list((tmp_path / "copies").iterdir())
    made = back_up(lake.settings, tmp_path / "copies" / "copy", NOW)
    assert open_backup(made.folder) == made


@pytest.mark.folder
def test_a_limit_on_the_size_of_files_refuses_a_publish(lake: Lake) -> None:
    _publish(lake, 1)
    with pytest.raises(DiskFailureError, match="nothing was changed"), _file_size_limit(1):
        _publish(lake, 2)
    assert _versions(lake) == [1, 1]
    _publish(lake, 3)
    assert _versions(lake) == [3, 3]


@pytest.mark.folder
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (os.mkfifo, "a pipe, not a file"),
        (os.mkdir, "a folder, not a file"),
        (lambda place: place.symlink_to("/dev/zero"), "a symbolic link, which is not followed"),
        (lambda place: os.mknod(place, stat.S_IFSOCK), "not a regular file"),
    ],
    ids=["pipe", "folder", "link to a device", "socket"],
)
def test_what_is_no_file_in_the_place_of_one_is_named_and_not_read(
    lake: Lake,
    backup: Backup,
    tmp_path: Path,
    make: Callable[[Path], object],
    named: str,
) -> None:
    file = next(lake.settings.data_path.rglob("*.parquet"))
    file.unlink()
    make(file)
    for look in (
        lambda: check_files(lake.catalog.read_facts(), lake.catalog, find_files(lake.settings)),
        lambda: back_up(lake.settings, tmp_path / "copy", NOW),
        lambda: maintain(lake, datetime.now(UTC), RUN),
    ):
        with pytest.raises(LakeError, match=f"{file.name} of the table notes, which is {named}"):
            look()
    if file.is_symlink() or file.is_dir():
        with pytest.raises(BackupError, match="first"):
            restore(lake.settings, backup.folder, NOW)
    else:
        restore(lake.settings, backup.folder, NOW)
        assert _versions(lake) == [2, 2]


def _rewrite(folder: Path, **changes: Any) -> None:
    manifest = folder / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, **changes}))


def _first_file(folder: Path) -> Path:
    return sorted((folder / "files").rglob("*.parquet"))[0]


def _link_out(folder: Path) -> None:
    file = _first_file(folder)
    size = file.stat().st_size
    outside = folder.parent / "outside.parquet"
    outside.write_bytes(bytes(size))
    file.unlink()
    file.symlink_to(outside)


def _overwrite(file: Path) -> None:
    """Another content of the same length."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()  # or the lake's own file would change, which may be the same one
    file.write_bytes(content)


def _change_snapshot(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute("UPDATE ducklake_snapshot SET next_file_id = 0")
        connection.commit()


def _damage_catalog(folder: Path) -> None:
    catalog = folder / "catalog.sqlite"
    size = catalog.stat().st_size
    with catalog.open("r+b") as stream:
        stream.seek(size // 4)
        stream.write(os.urandom(size // 2))


def _empty_catalog(folder: Path) -> None:
    (folder / "catalog.sqlite").write_bytes(b"")


def _foreign_catalog(folder: Path) -> None:
    (folder / "catalog.sqlite").unlink()
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute("CREATE TABLE ducklake_snapshot (snapshot_id BIGINT)")
        connection.commit()


FILE = {"size_bytes": 1, "sha256": "0" * 64}


def _named(*names: str) -> Callable[[Path], object]:
    return lambda folder: _rewrite(folder, files=dict.fromkeys(names, FILE))


def _link_folder(folder: Path) -> None:
    (folder / "files").rename(folder.parent / "moved")
    (folder / "files").symlink_to(folder.parent / "moved")


def _link_one(name: str) -> Callable[[Path], object]:
    def link(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return link


def _repeat(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"files": {', '"files": {}, "files": {', 1))


def _refer_out(folder: Path) -> None:
    """A catalog that refers to a file of somebody else's, with a manifest that agrees."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute(
            "UPDATE ducklake_data_file SET path = '/etc/secret.parquet', path_is_relative = 0"
        )
        connection.commit()
    content = (folder / "catalog.sqlite").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    _rewrite(folder, catalog={"size_bytes": len(content), "sha256": digest})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "not a complete backup"),
    "no json": (lambda f: (f / "manifest.json").write_text("{"), "damaged"),
    "no text": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe\x00"), "damaged"),
    "a list": (lambda f: (f / "manifest.json").write_text("[]"), "damaged"),
    "no time": (lambda f: _rewrite(f, made_at="soon"), "damaged"),
    "no zone": (lambda f: _rewrite(f, made_at="2026-11-20T12:00:00"), "no timezone"),
    "no files": (lambda f: _rewrite(f, files=["a.parquet"]), "damaged"),
    "no size": (lambda f: _rewrite(f, files={"a.parquet": {"size_bytes": "big"}}), "whole number"),
    "huge": (
        lambda f: _rewrite(f, files={"a.parquet": FILE | {"size_bytes": 2**60}}),
        "whole number",
    ),
    "no checksum": (lambda f: _rewrite(f, files={"a.parquet": {"size_bytes": 1}}), "'sha256'"),
    "a size alone": (lambda f: _rewrite(f, files={"a.parquet": 1}), "damaged"),
    "a name twice": (_repeat, "occurs twice in one object"),
    "two cases": (_named("main/a.parquet", "main/A.parquet"), "differ only in case"),
    "two accents": (_named("\u00e9.parquet", "e\u0301.parquet"), "differ only in case"),
    "file and folder": (_named("a.parquet", "a.parquet/b.parquet"), "both a file and a folder"),
    "older format": (lambda f: _rewrite(f, format=None), "its format"),
    "no sequence": (lambda f: _rewrite(f, sequence=0), "whole number from 1"),
    "deep": (lambda f: (f / "manifest.json").write_text("[" * 99_999), "damaged"),
    "file missing": (lambda f: _first_file(f).unlink(), "missing"),
    "file cut": (lambda f: os.truncate(_first_file(f), 10), r"not \d+ bytes long"),
    "file overwritten": (lambda f: _overwrite(_first_file(f)), r"files/.*\.parquet: damaged"),
    "escape": (_named("../../etc/a.parquet"), "outside the folder"),
    "escape within": (_named("main/../../a.parquet"), "outside the folder"),
    "absolute": (_named("/etc/a.parquet"), "outside the folder"),
    "backslash": (_named("..\\a.parquet"), "a backslash"),
    "executable": (_named("main/run.sh"), "does not end in .parquet"),
    "nul": (_named("a\x00b.parquet"), "a control character"),
    "long": (_named("a" * 300 + ".parquet"), "is too long"),
    "link": (_link_out, "a symbolic link"),
    "linked folder": (_link_folder, "a symbolic link"),
    "linked catalog": (_link_one("catalog.sqlite"), "a symbolic link"),
    "linked manifest": (_link_one("manifest.json"), "not a regular file"),
    "a pipe": (lambda f: os.mkfifo(f / "files" / "pipe"), "a special file"),
    "no catalog": (lambda f: (f / "catalog.sqlite").unlink(), "missing"),
    "damaged catalog": (_damage_catalog, "catalog.sqlite: damaged"),
    "empty catalog": (_empty_catalog, "missing"),
    "changed catalog": (_change_snapshot, "catalog.sqlite: damaged"),
    "foreign catalog": (_foreign_catalog, "missing"),
    "a catalog that leads out": (_refer_out, "below its data path"),
    "newer": (lambda f: _rewrite(f, duckdb_version="99.0.1"), "newer than the"),
}


@pytest.fixture(scope="module")
def standing(shared_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path]:
    """A lake, and a backup of what it was before."""
    _publish(shared_lake, 2)
    made = back_up(shared_lake.settings, tmp_path_factory.mktemp("backups") / "one", NOW)
    _publish(shared_lake, 3)
    return shared_lake, made.folder


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_backup_is_refused_and_the_lake_stays(
    standing: tuple[Lake, Path],
    tmp_path: Path,
    damage: Callable[[Path], object],
    message: str,
) -> None:
    lake, whole = standing
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    damage(copy)
    files = sorted(lake.settings.data.rglob("*"))
    with pytest.raises(BackupError, match=message):
        restore(lake.settings, copy, NOW)
    assert sorted(lake.settings.data.rglob("*")) == files
    assert _versions(lake) == [3, 3]


@pytest.mark.parametrize("damage", [_link_out, _link_folder, lambda f: _overwrite(_first_file(f))])
def test_a_damaged_copy_is_not_verified(
    standing: tuple[Lake, Path], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    lake, whole = standing
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    assert verify(lake.settings, copy, NOW).tables == {
        "logs": 0,
        "marks": 0,
        "notes": 2,
        "looks": 0,
        "sightings": 0,
    }
    damage(copy)
    with pytest.raises(BackupError):
        verify(lake.settings, copy, NOW)
    assert not list(lake.settings.backups.iterdir())


def test_other_rows_than_were_copied_are_noticed(
    standing: tuple[Lake, Path], tmp_path: Path
) -> None:
    lake, whole = standing
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    _rewrite(copy, tables={"notes": 3, "gone": 1})
    with pytest.raises(BackupError, match="notes has 2 rows instead of 3; gone has no rows"):
        verify(lake.settings, copy, NOW)


def test_a_copy_of_the_format_before_is_taken(lake: Lake, backup: Backup) -> None:
    content = json.loads((backup.folder / "manifest.json").read_text())
    kept = ("made_at", "duckdb_version", "catalog", "files")
    old = {"format": 2, **{name: content[name] for name in kept}}
    (backup.folder / "manifest.json").write_text(json.dumps(old))
    _publish(lake, 3)
    assert open_backup(backup.folder).sequence is None
    restore(lake.settings, backup.folder, NOW)
    assert _versions(lake) == [2, 2]


def _inodes(folder: Path) -> set[int]:
    return {file.stat().st_ino for file in folder.rglob("*.parquet")}


@pytest.mark.folder
def test_a_copy_shares_no_file_with_the_lake(lake: Lake, backup: Backup) -> None:
    assert not _inodes(backup.folder) & _inodes(lake.settings.data_path)
    for file in lake.settings.data_path.rglob("*.parquet"):
        with file.open("r+b") as stream:
            stream.write(bytes(100))
    assert open_backup(backup.folder) == backup
    restore(lake.settings, backup.folder, NOW)
    assert _versions(lake) == [2, 2]
    assert not _inodes(backup.folder) & _inodes(lake.settings.data_path)
    [kept] = lake.settings.data_path.parent.glob("files.before-*")
    assert not _inodes(kept) & _inodes(lake.settings.data_path)


def test_copies_share_the_files_that_did_not_change(lake: Lake) -> None:
    _publish(lake, 1)
    first = back_up(lake.settings, lake.settings.backups / "one", NOW)
    _publish(lake, 2)
    second = back_up(lake.settings, lake.settings.backups / "two", NOW)
    assert len(_inodes(first.folder)) == 1
    assert _inodes(first.folder) < _inodes(second.folder)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (second.snapshot_id, second.tables) == (lake.snapshot_id(), second.tables)
    assert second.rows == 2


@pytest.mark.folder
def test_a_copy_after_one_that_is_linked_to_the_lake_is_not(lake: Lake) -> None:
    _publish(lake, 1)
    first = back_up(lake.settings, lake.settings.backups / "one", NOW)
    [file] = first.folder.rglob("*.parquet")
    file.unlink()
    file.hardlink_to(next(lake.settings.data_path.rglob("*.parquet")))
    second = back_up(lake.settings, lake.settings.backups / "two", NOW)
    assert not _inodes(second.folder) & _inodes(lake.settings.data_path)


def test_a_file_that_the_copy_before_lost_is_copied_anew(lake: Lake) -> None:
    _publish(lake, 1)
    first = back_up(lake.settings, lake.settings.backups / "one", NOW)
    _overwrite(_first_file(first.folder))
    second = back_up(lake.settings, lake.settings.backups / "two", NOW)
    assert open_backup(second.folder) == second


def _flip(file: Path) -> None:
    """Another content of the same length, in place."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


LAKE_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (_flip, "of the table notes: damaged: its content"),
    "cut": (
        lambda file: os.truncate(file, file.stat().st_size // 2),
        "of the table notes, which is",
    ),
    "gone": (lambda file: file.unlink(), "of the table notes, which is missing"),
}


def _flip_twice(file: Path) -> None:
    """Change a file and leave its size and its end, so that only its content tells."""
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.folder
def test_every_file_is_compared_once_in_a_rotation(lake: Lake) -> None:
    _publish(lake, 1)
    first = back_up(lake.settings, lake.settings.backups / "0", NOW)
    [name] = first.files
    _flip_twice(lake.settings.data_path / name)
    made: list[Backup] = []

    def copy_each_night() -> None:
        for number in range(1, ROTATION + 1):
            folder = lake.settings.backups / str(number)
            made.append(back_up(lake.settings, folder, NOW, reads_all=False))

    with pytest.raises(BackupError, match="differs from its last backup"):
        copy_each_night()
    for copy in made[-1:]:
        assert verify(lake.settings, copy.folder, NOW).backup.files == first.files


@pytest.mark.folder
def test_what_maintenance_may_write_anew_is_compared_each_time(lake: Lake) -> None:
    for day in (DAY, DAY + timedelta(days=1)):
        publish(lake, NOTES, notes("tech", [day], "ab", version=1), Scope("tech", day, day))
    facts = lake.catalog.read_facts()
    assert find_rewritten(facts.files) == set(facts.files)
    back_up(lake.settings, lake.settings.backups / "0", NOW)
    _flip_twice(lake.settings.data_path / min(facts.files))
    with pytest.raises(BackupError, match="differs from its last backup"):
        back_up(lake.settings, lake.settings.backups / "1", NOW, reads_all=False)


def test_a_file_that_stands_alone_or_is_of_an_old_snapshot_is_not_written_anew() -> None:
    files = {
        "main/t/w=a/one.parquet": LakeFile("t", 1_000, 10, 0),
        "main/t/w=a/old.parquet": LakeFile("t", 1_000, 10, None),
        "main/t/w=b/one.parquet": LakeFile("t", 1_000, 10, 0),
        "main/t/w=b/large.parquet": LakeFile("t", 2**20, 10, 0),
        "main/t/w=c/halved.parquet": LakeFile("t", 2**27, 10, 5),
        "main/t/w=c/whole.parquet": LakeFile("t", 2**27, 10, 4),
    }
    assert find_rewritten(files) == {"main/t/w=c/halved.parquet"}


@pytest.mark.folder
@pytest.mark.parametrize(("damage", "message"), LAKE_DAMAGES.values(), ids=LAKE_DAMAGES.keys())
def test_no_copy_is_made_of_a_damaged_file(
    lake: Lake, damage: Callable[[Path], object], message: str
) -> None:
    _publish(lake, 1)
    back_up(lake.settings, lake.settings.backups / "good", NOW)
    damage(next(lake.settings.data_path.rglob("*.parquet")))
    with pytest.raises(BackupError, match=f"{message}.* no backup was made; .*good"):
        back_up(lake.settings, lake.settings.backups / "bad", NOW)
    assert [path.name for path in lake.settings.backups.iterdir()] == ["good"]


@pytest.mark.folder
def test_no_first_copy_is_made_of_a_file_that_cannot_be_decoded(lake: Lake, tmp_path: Path) -> None:
    _publish(lake, 1)
    [file] = lake.settings.data_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:4] + bytes(file.stat().st_size - 4))
    with pytest.raises(
        BackupError, match=r"of the table notes: damaged: .*there is no valid backup"
    ):
        back_up(lake.settings, tmp_path / "bad", NOW)
    assert not list(tmp_path.glob("bad*"))


@pytest.mark.sqlite
def test_no_copy_is_made_where_the_catalog_counts_other_rows(lake: Lake, tmp_path: Path) -> None:
    _publish(lake, 1)
    with closing(sqlite3.connect(lake.settings.catalog)) as connection:
        connection.execute("UPDATE ducklake_data_file SET record_count = 3")
        connection.commit()
    with pytest.raises(BackupError, match="2 rows instead of 3"):
        back_up(lake.settings, tmp_path / "bad", NOW)


def _damage_pages(catalog: Path) -> None:
    """Zeroes in the pages of the tables, not in the first ones."""
    with catalog.open("r+b") as stream:
        stream.seek(4096 * 4)
        stream.write(bytes(4096 * 3))


def _damage_unread_page(catalog: Path) -> None:
    """Zeroes in the page of a table that no query of ours reads."""
    with closing(sqlite3.connect(catalog)) as connection:
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ducklake_name_mapping'"
        ).fetchall()
        [(size,)] = connection.execute("PRAGMA page_size").fetchall()
    with catalog.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(bytes(size))


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "damage",
    [_damage_pages, _damage_unread_page, lambda catalog: os.truncate(catalog, 0)],
)
def test_a_damaged_catalog_is_not_copied_and_is_restored(
    lake: Lake, backup: Backup, damage: Callable[[Path], object]
) -> None:
    settings = lake.settings
    lake.close()
    damage(settings.catalog)
    with pytest.raises(LakeError, match="the catalog is damaged"):
        back_up(settings, settings.backups / "bad", NOW)
    assert not settings.backups.exists() or not list(settings.backups.iterdir())
    content = settings.catalog.read_bytes()
    restore(settings, backup.folder, NOW)
    kept = settings.catalog.with_name("catalog.sqlite.before-20261120T120000000000")
    assert len(kept.read_bytes()) == len(content)
    with Lake.open(settings, tables=SAMPLES) as restored:
        assert _versions(restored) == [2, 2]


@pytest.mark.folder
@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["catalog.sqlite", "files"])
def test_an_earlier_lake_is_not_replaced(lake: Lake, backup: Backup, name: str) -> None:
    kept = lake.settings.catalog.with_name(f"{name}.before-20261120T120000000000")
    kept.mkdir()
    with pytest.raises(BackupError, match=f"^{re.escape(str(kept))} already exists"):
        restore(lake.settings, backup.folder, NOW)
    assert list(kept.iterdir()) == []


def test_an_unrelated_folder_stays(lake: Lake, tmp_path: Path) -> None:
    unrelated = tmp_path / "backup.part"
    unrelated.mkdir()
    (unrelated / "novel.txt").write_text("chapter one")
    back_up(lake.settings, tmp_path / "backup", NOW)
    assert (unrelated / "novel.txt").read_text() == "chapter one"


def test_only_what_a_killed_backup_left_is_removed(lake: Lake, tmp_path: Path) -> None:
    left, foreign = (tmp_path / f"x.{digit * 32}.part" for digit in "ab")
    for folder in (left, foreign):
        folder.mkdir()
    (left / ".being-made-by-ytap").touch()
    back_up(lake.settings, tmp_path / "backup", NOW)
    assert (left.exists(), foreign.exists()) == (False, True)


@pytest.mark.folder
def test_a_link_in_the_way_is_not_followed(lake: Lake, backup: Backup, tmp_path: Path) -> None:
    table = lake.settings.data_path / "main" / "notes"
    shutil.move(table, tmp_path / "elsewhere")
    table.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    with pytest.raises(BackupError, match="is a symbolic link"):
        restore(lake.settings, backup.folder, NOW)
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before
    assert not list(lake.settings.catalog.parent.rglob("*before*"))


@pytest.mark.sqlite
def test_a_restore_that_fails_leaves_the_lake_as_it_was(lake: Lake, backup: Backup) -> None:
    _publish(lake, 3)
    catalog, data_path = lake.settings.catalog, lake.settings.data_path
    files = {path: path.read_bytes() for path in data_path.rglob("*.parquet")}
    with closing(sqlite3.connect(catalog)) as reader, closing(sqlite3.connect(catalog)) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM ducklake_snapshot").fetchone()
        writer.execute("UPDATE ducklake_snapshot SET next_catalog_id = next_catalog_id + 1")
        writer.commit()
        with pytest.raises(BackupError, match="another program"):
            restore(lake.settings, backup.folder, NOW, readers_s=0.0)
    assert {path: path.read_bytes() for path in data_path.rglob("*.parquet")} == files
    assert not [*catalog.parent.glob("*before*"), *catalog.parent.rglob("*restoring*")]
    assert _versions(lake) == [3, 3]


@pytest.mark.folder
def test_what_a_copy_names_is_kept_before_it_is_replaced(lake: Lake, backup: Backup) -> None:
    """A file by a name that no lake gives, and the same name in a copy from elsewhere."""
    theirs, content = lake.settings.data_path / "models" / "m.parquet", b"somebody's"
    theirs.parent.mkdir()
    theirs.write_bytes(content)
    other = _first_file(backup.folder)
    (backup.folder / "files" / "models").mkdir()
    shutil.copy(other, backup.folder / "files" / "models" / "m.parquet")
    name = other.relative_to(backup.folder / "files").as_posix()
    content_of = json.loads((backup.folder / "manifest.json").read_text())["files"]
    _rewrite(backup.folder, files=content_of | {"models/m.parquet": content_of[name]})
    restore(lake.settings, backup.folder, NOW)
    [kept] = lake.settings.data.rglob("files.before-*/models/m.parquet")
    assert kept.read_bytes() == content


def test_two_backups_at_once_wait_for_each_other(lake: Lake) -> None:
    with (
        hold_copies(lake.settings),
        pytest.raises(BackupError, match="another backup, restore"),
        hold_copies(lake.settings, timeout_s=0),
    ):
        pass


def test_an_older_duckdbs_backup_is_taken(lake: Lake, backup: Backup) -> None:
    _rewrite(backup.folder, duckdb_version="1.4.9")
    _publish(lake, 3)
    restore(lake.settings, backup.folder, NOW)
    assert _versions(lake) == [2, 2]


def _damage_schema(settings: Settings) -> bytes:
    """Put a byte that no text holds into the catalog's schema; returns the file's bytes."""
    with closing(sqlite3.connect(settings.catalog)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    content = settings.catalog.read_bytes().replace(b"CREATE TABLE", b"CRE\xffTE TABLE")
    settings.catalog.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        Path(f"{settings.catalog}{suffix}").unlink(missing_ok=True)
    return content


@pytest.mark.sqlite
def test_a_schema_that_is_no_text_is_damage_and_a_restore_replaces_it(
    lake: Lake, backup: Backup, tmp_path: Path
) -> None:
    lake.close()
    settings = lake.settings
    damaged = _damage_schema(settings)
    catalog = find_catalog(settings)
    for look in (catalog.check_integrity, catalog.read_facts, catalog.read_commits):
        with pytest.raises(LakeDamagedError, match="the catalog is damaged"):
            look()
    for read_only in (True, False):
        with pytest.raises(LakeDamagedError, match="the catalog is damaged"):
            attach(settings, read_only=read_only)
    with pytest.raises(BackupError, match="the catalog is damaged"):
        back_up(settings, tmp_path / "copy", NOW)
    assert settings.catalog.read_bytes() == damaged
    restore(settings, backup.folder, NOW)
    kept = Path(f"{settings.catalog}.before-20261120T120000000000")
    assert kept.read_bytes() == damaged
    with Lake.open(settings, tables=SAMPLES) as restored:
        assert _versions(restored) == [2, 2]


@pytest.mark.sqlite
def test_a_pipe_in_place_of_the_record_of_a_restore_is_not_waited_for(lake: Lake) -> None:
    record = Path(f"{lake.settings.catalog}.restored")
    os.mkfifo(record)
    assert read_restored(lake.settings) is None


_HOSTILE = {
    "trigger": "CREATE TRIGGER hostile AFTER INSERT ON ducklake_snapshot"
    " BEGIN DELETE FROM ducklake_data_file; END",
    "view": "CREATE VIEW hostile AS SELECT 1",
    "conflict clause": "CREATE TABLE hostile (x UNIQUE ON /* */ CONFLICT REPLACE)",
}


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", _HOSTILE)
def test_what_a_catalog_would_do_by_itself_is_refused(
    lake: Lake, backup: Backup, tmp_path: Path, kind: str
) -> None:
    """A copy that holds it is not restored, nor verified; a lake that does is not copied."""
    lake.close()
    copied = backup.folder / "catalog.sqlite"
    for catalog in (copied, lake.settings.catalog):
        with closing(sqlite3.connect(catalog)) as connection:
            connection.execute(_HOSTILE[kind])
    content = copied.read_bytes()
    changed = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _rewrite(backup.folder, catalog=changed)
    for use in (restore, verify):
        with pytest.raises(
            BackupError, match=f"contains the {kind}.*'hostile'.*use another backup"
        ):
            use(lake.settings, backup.folder, NOW)
    assert not list(lake.settings.catalog.parent.glob("*before*"))
    with pytest.raises(LakeDamagedError, match=f"contains the {kind}.*'hostile'.*drop it"):
        lake.catalog.check_integrity()
    with pytest.raises(BackupError, match=f"contains the {kind}"):
        back_up(lake.settings, tmp_path / "another", NOW)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ducklake_data_file SET path = NULL",
        "UPDATE ducklake_data_file SET path = x'ff'",
        "UPDATE ducklake_data_file SET file_size_bytes = NULL",
        "UPDATE ducklake_data_file SET record_count = 9e999",
        "UPDATE ducklake_table SET path = NULL",
    ],
)
def test_values_of_a_wrong_type_in_a_catalog_are_damage(lake: Lake, change: str) -> None:
    _publish(lake, 1)
    lake.close()
    with closing(sqlite3.connect(lake.settings.catalog)) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises(LakeDamagedError, match="the catalog is damaged"):
        lake.catalog.read_facts()


@pytest.mark.parametrize("sequence", [10**9 - 1, 10**9, 10**15])
def test_a_copy_with_an_absurd_sequence_spoils_no_later_one(lake: Lake, sequence: int) -> None:
    _publish(lake, 1)
    backups = lake.settings.backups
    manifest = back_up(lake.settings, backups / "first", NOW).folder / "manifest.json"
    content = json.loads(manifest.read_text()) | {"sequence": sequence}
    manifest.write_text(json.dumps(content))
    for name in ("second", "third"):
        made = back_up(lake.settings, backups / name, NOW)
        assert open_backup(backups / name) == made


def test_a_pipe_in_place_of_a_marker_hangs_nothing(lake: Lake) -> None:
    left = lake.settings.backups / f"verify.{'0' * 32}.part"
    left.mkdir(parents=True)
    os.mkfifo(left / ".being-made-by-ytap")
    back_up(lake.settings, lake.settings.backups / "first", NOW)
    assert left.is_dir()


@pytest.mark.sqlite
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock", ".restored"])
def test_no_copy_takes_the_place_of_a_file_of_the_catalog(lake: Lake, suffix: str) -> None:
    lake.close()
    folder = Path(f"{lake.settings.catalog}{suffix}")
    folder.unlink(missing_ok=True)
    with pytest.raises(BackupError, match="choose another name"):
        back_up(lake.settings, folder, NOW)
    assert not folder.exists()
