"""Copy the lake aside, and put a copy back.

A backup is a folder: ``catalog.sqlite``, ``files/`` and, written last, ``manifest.json`` with the
size and the SHA-256 of each file. Parquet files never change once written, so on one file system
they are linked instead of copied; what a backup costs there is reading them once.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb

from ytap_assets.lakehouse.disk import naming_full_disk
from ytap_assets.lakehouse.errors import BackupError, LakeMissingError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.manifest import Backup, Copied, describe, read_manifest, write_manifest
from ytap_assets.settings import Settings

_CATALOG = "catalog.sqlite"
_FILES = "files"
_READERS_S = 30.0


def back_up(settings: Settings, folder: Path, now: datetime) -> Backup:
    """Copy catalog and files into a new folder, at one moment, under the write lock.

    Raises:
        LakeMissingError: There is no lake to back up.
        BackupError: The folder is there already or among the lake's own files; or files that the
            catalog refers to are missing.
        DiskFullError: There is no space left for it.
    """
    if not settings.catalog.is_file():
        raise LakeMissingError(f"there is no lake at {settings.catalog}: nothing to back up")
    if folder.exists():
        raise BackupError(f"{folder} is there already: choose another place for the backup")
    if folder.resolve().is_relative_to(settings.data_path.resolve()):
        raise BackupError(
            f"{folder} is among the lake's own files, where it would be swept: choose another place"
        )
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with naming_full_disk(settings), WriteLock(settings.catalog).hold():
        _copy_catalog(settings.catalog, partial / _CATALOG)
        names = _copy_files(settings.data_path, partial / _FILES)
    _check_complete(settings, partial / _CATALOG, names)
    # After the lock, which nobody should wait for while gigabytes are read.
    catalog = describe(partial / _CATALOG)
    files = {name: describe(partial / _FILES / name) for name in names}
    backup = Backup(folder, now, duckdb.__version__, catalog, files)
    with naming_full_disk(settings):
        write_manifest(backup, partial)
    partial.rename(folder)
    return backup


def open_backup(folder: Path) -> Backup:
    """Read a backup's manifest and see that all it names is there, as it was copied.

    Raises:
        BackupError: No manifest, or a file is missing or damaged.
    """
    backup = read_manifest(folder)
    _check_catalog(folder / _CATALOG)
    _check_file(folder, _CATALOG, backup.catalog)
    for name, file in backup.files.items():
        _check_file(folder / _FILES, name, file)
    return backup


def restore(settings: Settings, folder: Path, now: datetime) -> Backup:
    """Put a backup back; what was there is kept beside it as ``*.before-<time>``.

    The files come first, beside those that are there (no two files ever share a name); then the
    catalog is replaced in one step. Killed before that step, the lake is as it was. Files that only
    the lake before knew are orphans now, which maintenance sweeps.

    Raises:
        BackupError: The backup is damaged, or was made by a newer DuckDB.
        LockTimeoutError: Somebody is still writing.
        DiskFullError: There is no space left for it.
    """
    backup = open_backup(folder)
    if _version(backup.duckdb_version) > _version(duckdb.__version__):
        raise BackupError(
            f"{folder} was made by DuckDB {backup.duckdb_version}, newer than the"
            f" {duckdb.__version__} here: install that version first"
        )
    aside = f".before-{now:%Y%m%dT%H%M%S%f}"
    catalog = settings.catalog
    with naming_full_disk(settings), WriteLock(catalog).hold():
        if catalog.is_file():
            _copy_catalog(catalog, catalog.with_name(catalog.name + aside))
            _copy_files(
                settings.data_path,
                settings.data_path.with_name(settings.data_path.name + aside),
            )
        for name in backup.files:
            _link_or_copy(folder / _FILES / name, settings.data_path / name)
        restored = catalog.with_name(f"{catalog.name}.restoring")
        shutil.copyfile(folder / _CATALOG, restored)
        _empty_journal(catalog)
        restored.replace(catalog)
    return backup


def _copy_files(source: Path, target: Path) -> list[str]:
    """Link or copy all Parquet files into a folder; their names there."""
    names = []
    for file in sorted(source.rglob("*.parquet")):
        name = file.relative_to(source).as_posix()
        _link_or_copy(file, target / name)
        names.append(name)
    return names


def _check_complete(settings: Settings, catalog: Path, names: Iterable[str]) -> None:
    """See that all files of a catalog were copied; a half copy would take a whole one's place."""
    with closing(sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        paths = connection.execute(
            "SELECT path FROM ducklake_data_file UNION SELECT path FROM ducklake_delete_file"
        ).fetchall()
    copied = {Path(name).name for name in names}
    if missing := sorted(path for (path,) in paths if Path(path).name not in copied):
        raise BackupError(
            f"{settings.data_path}: {len(missing)} files of the lake are not there, such as"
            f" {missing[0]}: no copy is made; check YTAP_DATA_PATH and YTAP_CATALOG"
        )


def _copy_catalog(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)


def _empty_journal(catalog: Path) -> None:
    """Write the catalog's journal into it: beside another catalog it would be read as its own.

    Raises:
        BackupError: A reader held the journal for too long.
    """
    if not catalog.is_file():
        return
    with closing(sqlite3.connect(catalog, timeout=_READERS_S)) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise BackupError(f"{catalog}: still being read; end the readers and restore again")
    for suffix in ("-wal", "-shm"):
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)


def _check_file(folder: Path, name: str, expected: Copied) -> None:
    try:
        file = (folder / name).resolve()
        is_inside = file.is_relative_to(folder.resolve())
        is_there = is_inside and file.is_file() and file.stat().st_size == expected.size_bytes
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder}: {name!r} is no file's name: {error}") from error
    if not is_inside:
        raise BackupError(f"{folder}: {name!r} leads out of the backup")
    if not is_there:
        raise BackupError(
            f"{file}: missing or not {expected.size_bytes} bytes long: use another backup"
        )
    if describe(file) != expected:
        raise BackupError(
            f"{file}: damaged, its content is not what was copied: use another backup"
        )


def _check_catalog(catalog: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True)) as file:
            verdict = file.execute("PRAGMA quick_check").fetchone()[0]
            snapshots = file.execute("SELECT count(*) FROM ducklake_snapshot").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupError(f"{catalog}: not a readable catalog: {error}") from error
    if verdict != "ok" or not snapshots:
        raise BackupError(f"{catalog}: damaged: {verdict}, {snapshots} snapshots")


def _link_or_copy(source: Path, target: Path) -> None:
    """Put a file in place in one step; a damaged one of that name is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, partial)
    partial.replace(target)
    partial.unlink(missing_ok=True)  # it stays where both names were one file already


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
