"""Put a copy back in the lake's place, or into a temporary one to verify it.

Belongs here: replacing a lake by a copy, all of it or nothing. Does not belong here: whether a copy
is whole (`copies`).
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from ytap_assets.lakehouse.catalog import (
    check_not_empty,
    is_made_by_lake,
    list_journals,
    list_parents,
    list_parquet,
    read_commits,
)
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.copies import (
    Restored,
    check_catalog,
    check_content,
    check_sizes,
    copy_bytes,
    copy_catalog,
    damaged,
    hold_copies,
    link,
    list_copies,
    naming_failures,
    newest_sequence,
    open_backup,
    restored_file,
    scratch,
)
from ytap_assets.lakehouse.disk import translate_errors
from ytap_assets.lakehouse.errors import BackupError, DiskFullError, LakeDamagedError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.manifest import CATALOG_NAME, FILES_NAME, Backup
from ytap_assets.lakehouse.snapshots import count_rows
from ytap_assets.settings import Settings

_RESTORING = re.compile(r"\.restoring-[0-9a-f]{32}(-wal|-shm|-journal)?")
_READERS_S = 30.0


@dataclass(frozen=True)
class Verified:
    """A copy that was verified completely and restored into a temporary folder.

    Attributes:
        backup: The copy.
        tables: Rows by table, counted in the restored lake.
    """

    backup: Backup
    tables: dict[str, int]


def restore(
    settings: Settings, folder: Path, now: datetime, *, readers_s: float = _READERS_S
) -> Backup:
    """Restore a copy; the previous lake is kept beside it as ``*.before-<time>``.

    The files are first copied into a separate folder, and their checksums are verified. Then, under
    the write lock, they are moved beside the existing ones (file names are unique), and the catalog
    is replaced atomically. A failure before that leaves the lake unchanged. Finally the files that
    only the previous lake refers to are moved out and kept. A record beside the catalog marks the
    restored state as intended (`find_newer_copy`).

    Args:
        settings: The installation.
        folder: The copy.
        now: The present; part of the names of kept files.
        readers_s: How long to wait for readers of the catalog that is replaced, in seconds.

    Raises:
        BackupError: The copy is damaged, or was made by a newer DuckDB; or a link, or a folder
            instead of a file, is at a target path.
        LockTimeoutError: A writer still holds the lock.
        DiskFullError: There is no space left for it.
        DiskFailureError: Reading or writing failed because of the disk or a limit of the process.
    """
    backup = check_sizes(folder)
    check_content(folder / CATALOG_NAME, backup.catalog)
    check_catalog(backup)
    if _version(backup.duckdb_version) > _version(duckdb.__version__):
        raise BackupError(
            f"{folder} was made by DuckDB {backup.duckdb_version}, newer than the"
            f" {duckdb.__version__} here: install that version first"
        )
    data_path = settings.data_path
    with naming_failures(data_path), hold_copies(settings):
        remove_restoring(settings)
        _check_ways(data_path, backup)
        staging = data_path / f".restoring-{uuid4().hex}"
        catalog = settings.catalog.with_name(f"{settings.catalog.name}{staging.name}")
        record = settings.catalog.with_name(f"{settings.catalog.name}.restoring-{uuid4().hex}")
        try:
            _stage(backup, staging, catalog)
            _keep_journal(catalog)
            commits = read_commits(folder / CATALOG_NAME, is_copy=True)
            newest = newest_sequence(settings, list_copies(settings))
            meant = Restored(commits.lake_id, commits.newest, newest)
            record.write_text(json.dumps(asdict(meant)), encoding="utf-8")
            with WriteLock(settings.catalog).hold():
                suffix = f".before-{now:%Y%m%dT%H%M%S%f}"
                _Replacement(settings, backup, suffix, readers_s).run(staging, catalog)
                record.replace(restored_file(settings))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            for file in (catalog, *list_journals(catalog), record):
                file.unlink(missing_ok=True)
    return backup


def verify(settings: Settings, folder: Path, now: datetime) -> Verified:
    """Verify a copy, restore it into a temporary folder, and count the rows of its tables.

    The temporary folder is among the backups and needs as much space as the copy.

    Raises:
        BackupError: The copy is damaged, or the row counts of the restored tables differ from the
            manifest.
        DiskFullError: There is no space for the restored lake; the copy is not verified.
        DiskFailureError: Reading or writing failed because of the disk or a limit of the process.
    """
    backup = open_backup(folder)
    try:
        tables = _count_restored(settings, folder, now)
    except DiskFullError as error:
        needed = backup.size_bytes + backup.catalog.size_bytes
        raise DiskFullError(
            f"{settings.backups}: no space to restore {folder} into a temporary place, which takes"
            f" {needed:,} bytes: its files are as they were copied, but it is not verified; free"
            " some space there and verify it again"
        ) from error
    differing = [
        f"{name} has {tables.get(name, 'no')} rows, {rows} when it was copied"
        for name, rows in (backup.tables or {}).items()
        if tables.get(name) != rows
    ]
    if differing:
        raise BackupError(f"{folder}: restored, {'; '.join(differing)}: use another backup")
    return Verified(backup, tables)


def _count_restored(settings: Settings, folder: Path, now: datetime) -> dict[str, int]:
    """Restore a copy into a temporary place; the rows of its tables, of which all are read."""
    with naming_failures(settings.backups), scratch(settings.backups / "verify") as at:
        restored = Settings(at, at / "lake" / CATALOG_NAME, at / "lake" / FILES_NAME)
        restore(restored, folder, now)
        try:
            with (
                translate_errors(restored),
                closing(attach(restored, read_only=True)) as connection,
            ):
                return count_rows(connection, reads_all=True)
        except (duckdb.Error, LakeDamagedError) as error:
            message = " ".join(str(error).split())
            raise BackupError(f"{folder}: restored, it cannot be read: {message}") from error


def remove_restoring(settings: Settings) -> None:
    """Remove what a killed restore left; the caller holds the copies' lock."""
    catalog = settings.catalog
    for path in settings.data_path.glob(".restoring-*"):
        if _RESTORING.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    for path in catalog.parent.glob(f"{glob.escape(catalog.name)}.restoring-*"):
        if _RESTORING.fullmatch(path.name.removeprefix(catalog.name)):
            path.unlink()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.removeprefix("v").split(".") if part.isdecimal())


def _check_ways(data_path: Path, backup: Backup) -> None:
    """See that no link leads out of the data path, and no folder is, where files will be written.

    Pipes and devices in the place of a file are replaced: they hold nothing of the lake.
    """
    ways = {way for name in backup.files for way in (name, *list_parents(name))}
    for way in sorted(ways):
        place = data_path / way
        if place.is_symlink():
            raise BackupError(f"{place} is a link: nothing is restored through it; remove it first")
        if place.exists() and place.is_dir() == (way in backup.files):
            kinds = ("folder", "file") if way in backup.files else ("file", "folder")
            raise BackupError(
                f"{place} is a {kinds[0]} where a {kinds[1]} is restored: move it away first"
            )


def _stage(backup: Backup, staging: Path, catalog: Path) -> None:
    """Copy a backup's files beside the lake, each compared with its checksum on the way."""
    needed = backup.size_bytes + backup.catalog.size_bytes
    staging.mkdir(parents=True)
    if (free := shutil.disk_usage(staging).free) < needed:
        raise DiskFullError(
            f"{staging.parent}: {needed:,} bytes are needed and {free:,} are free: nothing was"
            " restored and the lake is as it was; free some space and run it again"
        )
    catalog.parent.mkdir(parents=True, exist_ok=True)
    sources = {
        staging / name: (FILES_NAME + "/" + name, file) for name, file in backup.files.items()
    }
    for target, (name, expected) in {**sources, catalog: (CATALOG_NAME, backup.catalog)}.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy_bytes(backup.folder / name, target) != expected:
            raise damaged(backup.folder / name)


class _Replacement:
    """Put staged files and a catalog in the place of a lake's; all of it, or nothing.

    The caller holds the write lock.
    """

    def __init__(self, settings: Settings, backup: Backup, suffix: str, readers_s: float) -> None:
        self._readers_s = readers_s
        self._catalog, self._data_path = settings.catalog, settings.data_path
        self._names = list(backup.files)
        self._old = [
            name
            for name in list_parquet(self._data_path)
            if (is_made_by_lake(name) or name in backup.files) and not _RESTORING.match(name)
        ]
        self._kept_catalog = self._catalog.with_name(self._catalog.name + suffix)
        self._kept_files = self._data_path.with_name(self._data_path.name + suffix)
        self._placed: list[str] = []
        if any(map(os.path.lexists, (self._kept_catalog, self._kept_files))):
            raise BackupError(f"{self._kept_catalog}: is there already: restore again")

    def run(self, staging: Path, catalog: Path) -> None:
        """Replace the lake."""
        try:
            self._keep()
            for name in self._names:
                target = self._data_path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._placed.append(name)
                (staging / name).replace(target)
            _empty_journal(self._catalog, self._readers_s)
            catalog.replace(self._catalog)
        except BaseException:
            self._undo()
            raise
        for name in set(self._old).difference(self._names):
            (self._data_path / name).unlink(missing_ok=True)

    def _keep(self) -> None:
        """Keep what is there: links suffice, since each file of the lake is replaced or removed."""
        if self._catalog.is_file():
            _keep_catalog(self._catalog, self._kept_catalog)
        for name in self._old:
            target = self._kept_files / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not link(self._data_path / name, target):
                copy_bytes(self._data_path / name, target)

    def _undo(self) -> None:
        old = set(self._old)
        for name in self._placed:
            if name in old:
                (self._kept_files / name).replace(self._data_path / name)
            else:
                (self._data_path / name).unlink(missing_ok=True)
        shutil.rmtree(self._kept_files, ignore_errors=True)
        for kept in (self._kept_catalog, *list_journals(self._kept_catalog)):
            kept.unlink(missing_ok=True)


def _keep_journal(catalog: Path) -> None:
    """Have a catalog keep its journal as a lake's does.

    Else the first to attach it would change that, which SQLite refuses at once where another
    program reads the catalog, instead of waiting.
    """
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _keep_catalog(catalog: Path, target: Path) -> None:
    """Keep a catalog that is to be replaced; byte by byte where SQLite cannot read it."""
    try:
        copy_catalog(catalog, target)
    except (LakeDamagedError, sqlite3.Error):
        for journal in list_journals(target):
            journal.unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            if (file := catalog.with_name(catalog.name + suffix)).is_file():
                shutil.copyfile(file, target.with_name(target.name + suffix))


def _empty_journal(catalog: Path, timeout_s: float) -> None:
    """Write the catalog's journal into it: beside another catalog it would be read as its own.

    Raises:
        BackupError: A reader or a writer held the journal for too long.
    """
    if catalog.is_file():
        try:
            check_not_empty(catalog)
            with closing(sqlite3.connect(catalog, timeout=timeout_s)) as connection:
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (LakeDamagedError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # The journal of a catalog that cannot be read was kept with it.
            busy = "locked" in str(error)
        if busy:
            raise BackupError(
                f"{catalog}: another program still reads or writes it; end that program and restore"
                " again"
            )
    for journal in list_journals(catalog):
        journal.unlink(missing_ok=True)
