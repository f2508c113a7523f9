"""Backups: whole or refused; a restore brings back what was there, and keeps what it replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.backup import back_up, open_backup, restore
from ytap_assets.lakehouse.errors import BackupError, LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.manifest import Backup, Copied
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


def test_what_an_interrupted_backup_left_is_replaced(lake: Lake, tmp_path: Path) -> None:
    partial = tmp_path / "backup.part"
    partial.mkdir()
    (partial / "manifest.json").write_text("half")
    made = back_up(lake.settings, tmp_path / "backup", NOW)
    assert open_backup(made.folder) == made
    assert not partial.exists()


def test_no_copy_is_made_where_files_are_missing(lake: Lake, tmp_path: Path) -> None:
    _publish(lake, 1)
    elsewhere = replace(lake.settings, data_path=tmp_path / "elsewhere")
    with pytest.raises(BackupError, match=r"1 files of the lake .* check YTAP_DATA_PATH"):
        back_up(elsewhere, tmp_path / "backup", NOW)
    assert not (tmp_path / "backup").exists()


def test_nothing_is_backed_up_over_another_backup(lake: Lake, backup: Backup) -> None:
    with pytest.raises(BackupError, match="is there already: choose another place"):
        back_up(lake.settings, backup.folder, NOW)
    assert open_backup(backup.folder) == backup


def test_no_backup_among_the_lakes_own_files(lake: Lake) -> None:
    with pytest.raises(BackupError, match="where it would be swept"):
        back_up(lake.settings, lake.settings.data_path / "backups" / "one", NOW)


def test_there_must_be_a_lake_to_back_up(empty_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(LakeMissingError, match="nothing to back up"):
        back_up(empty_settings, tmp_path / "backup", NOW)
    assert not (tmp_path / "backup").exists()


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
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "so not a complete backup"),
    "no json": (lambda f: (f / "manifest.json").write_text("{"), "damaged"),
    "no text": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe\x00"), "damaged"),
    "a list": (lambda f: (f / "manifest.json").write_text("[]"), "damaged"),
    "no time": (lambda f: _rewrite(f, made_at="soon"), "damaged"),
    "no files": (lambda f: _rewrite(f, files=["a"]), "damaged"),
    "no size": (lambda f: _rewrite(f, files={"a": {"size_bytes": "big"}}), "damaged"),
    "no checksum": (lambda f: _rewrite(f, files={"a": {"size_bytes": 1}}), "damaged: 'sha256'"),
    "a size alone": (lambda f: _rewrite(f, files={"a": 1}), "damaged"),
    "older format": (lambda f: _rewrite(f, format=None), "a format without checksums"),
    "deep": (lambda f: (f / "manifest.json").write_text("[" * 99_999), "damaged"),
    "file missing": (lambda f: _first_file(f).unlink(), "missing or not"),
    "file cut": (lambda f: os.truncate(_first_file(f), 10), r"missing or not \d+ bytes long"),
    "file overwritten": (lambda f: _overwrite(_first_file(f)), r"files/.*\.parquet: damaged, its"),
    "escape": (lambda f: _rewrite(f, files={"../../etc/passwd": FILE}), "leads out of the backup"),
    "absolute": (lambda f: _rewrite(f, files={"/etc/passwd": FILE}), "leads out of the backup"),
    "nul": (lambda f: _rewrite(f, files={"a\x00b": FILE}), "is no file's name"),
    "long": (lambda f: _rewrite(f, files={"a" * 5000: FILE}), "is no file's name"),
    "link": (_link_out, "leads out of the backup"),
    "no catalog": (lambda f: (f / "catalog.sqlite").unlink(), "not a readable catalog"),
    "damaged catalog": (_damage_catalog, "catalog"),
    "empty catalog": (_empty_catalog, "not a readable catalog"),
    "changed catalog": (_change_snapshot, "catalog.sqlite: damaged, its content"),
    "foreign catalog": (_foreign_catalog, "0 snapshots"),
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


def test_an_older_duckdbs_backup_is_taken(lake: Lake, backup: Backup) -> None:
    _rewrite(backup.folder, duckdb_version="1.4.9")
    _publish(lake, 3)
    assert restore(lake.settings, backup.folder, NOW).duckdb_version == "1.4.9"
    assert _versions(lake) == [2, 2]
