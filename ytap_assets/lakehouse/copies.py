"""The copies that are there, and how files are copied onto a disk.

A copy is a folder: ``catalog.sqlite``, ``files/`` and, written last, ``manifest.json``: what was
copied, with the size and the SHA-256 of each file. A manifest may come from anywhere, so it is read
as untrusted input: bounded sizes and counts, names that stay inside the copy.

Belongs here: the manifest, listing copies, checking one, and comparing them with a lake's catalog;
and what backups, restores and verifications share: the lock that keeps them apart, their unfinished
folders, copying bytes, what a failing disk is called. Does not belong here: making or restoring a
copy (`backup`).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from ytap_assets.lakehouse.connection import find_catalog, find_files
from ytap_assets.lakehouse.errors import (
    CHECK_DISK,
    BackupError,
    DiskFailureError,
    DiskFullError,
    LakeDamagedError,
    LakeError,
    LockTimeoutError,
    describe_failure,
    is_failing,
    is_full,
)
from ytap_assets.lakehouse.files import Copied, damaged, describe, find_unsafe_name, list_parents
from ytap_assets.lakehouse.sqlite_catalog import SqliteCatalog
from ytap_assets.plain_yaml import unique_keys
from ytap_assets.settings import Settings

MANIFEST = "manifest.json"
CATALOG_NAME = "catalog.sqlite"
FILES_NAME = "files"
_FORMAT = 3
_READABLE = (2, 3)
_MOST_BYTES = 512 * 2**20
_MOST_FILES = 2_000_000
_MOST_SIZE = 2**50
_MOST_COUNT = 10**15
MOST_SEQUENCE = 10**9
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"v?[0-9]{1,6}(\.[0-9]{1,6}){1,3}[0-9A-Za-z.+-]{0,40}")
_LAKE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
MARKER = ".being-made-by-ytap"
PARTIAL = re.compile(r".+\.[0-9a-f]{32}\.part")
_WAIT_S = 120.0
_UNDONE = "nothing was changed, and incomplete files were removed"


@dataclass(frozen=True)
class Copy:
    """A folder among the backups.

    Attributes:
        folder: Where it is.
        backup: What it says of itself; None if it cannot be read.
        problem: What a look at its manifest and the sizes of its files found wrong.
    """

    folder: Path
    backup: Backup | None
    problem: str | None

    @property
    def order(self) -> tuple[int, str]:
        """Its place among copies: by sequence, never by a clock; those without one are oldest."""
        sequence = self.backup.sequence if self.backup else None
        return (sequence or 0, self.folder.name)


@dataclass(frozen=True)
class Restored:
    """The last restore of a lake: that an older state took the place of a newer one was meant.

    Attributes:
        lake_id: The lake.
        snapshot_id: Its newest snapshot in the copy that was restored.
        sequence: The newest copy among the backups at that time; 0 where there was none.
    """

    lake_id: str
    snapshot_id: int
    sequence: int


def list_copies(settings: Settings) -> list[Copy]:
    """The copies in the folder of backups, oldest first, each with a cheap check.

    The check reads manifests and sizes, no content. Links and folders without a manifest are not
    among them.
    """
    if not settings.backups.is_dir():
        return []
    copies = []
    for folder in settings.backups.iterdir():
        is_one = folder.is_dir() and not folder.is_symlink() and not PARTIAL.fullmatch(folder.name)
        if is_one and os.path.lexists(folder / MANIFEST):
            copies.append(_inspect_copy(folder))
    return sorted(copies, key=lambda copy: copy.order)


def newest_good(copies: list[Copy]) -> Copy | None:
    """The newest copy without a problem."""
    return next((copy for copy in reversed(copies) if copy.problem is None), None)


def find_newer_copy(settings: Settings, copies: Sequence[Copy]) -> str | None:
    """Whether a good copy has commits of this lake that its catalog does not have.

    Such a catalog was replaced by an older one, or lost its journal: files that it does not refer
    to may contain the newer rows. Later commits do not change this, so not only the newest snapshot
    is compared. Copies made before the restore of an older one do not count.

    Args:
        settings: The installation.
        copies: The copies among the backups.

    Returns:
        The problem, and how to resolve it; None if no copy has more commits.

    Raises:
        LakeDamagedError: The catalog cannot be read.
    """
    commits = find_catalog(settings).read_commits()
    restored = read_restored(settings)
    meant = -1
    if restored and restored.lake_id == commits.lake_id and commits.newest >= restored.snapshot_id:
        meant = restored.sequence
    for copy in reversed(copies):
        backup = copy.backup
        if copy.problem or backup is None or backup.lake_id != commits.lake_id:
            continue
        if copy.order[0] <= meant:
            continue
        try:
            known = open_copied(copy.folder).read_commits()
        except LakeDamagedError:  # a full check of the copies says so
            continue
        if commits.lacks(known.newest, known.times[known.newest]):
            return (
                f"{settings.catalog_name} is older than the backup {copy.folder}: it does not have"
                f" the snapshot {known.newest} of {known.times[known.newest]}, and its newest is"
                f" {commits.newest}; the catalog was replaced, or its journal (-wal) was lost;"
                f" restore the newer state with `ytap restore {copy.folder}`; to keep the older"
                " state, make a backup of it with `ytap backup` and restore that backup"
            )
    return None


def newest_sequence(settings: Settings, copies: Sequence[Copy]) -> int:
    """The newest copy's place in their order, also where it was removed after a restore.

    One that leaves no number for the next copy is ignored.
    """
    restored = read_restored(settings)
    known = [restored.sequence] if restored else []
    known += [copy.order[0] for copy in copies]
    return max((number for number in known if number < MOST_SEQUENCE), default=0)


def open_copied(folder: Path) -> SqliteCatalog:
    """The catalog of a copy, whatever kind the lake's own is."""
    return SqliteCatalog(folder / CATALOG_NAME, is_copy=True)


def open_backup(folder: Path) -> Backup:
    """Read a copy's manifest and verify the size and checksum of all its files.

    Raises:
        BackupError: No manifest, or a file is missing or damaged, or something is not a file.
    """
    backup = check_sizes(folder)
    check_content(folder / CATALOG_NAME, backup.catalog)
    check_catalog(backup)
    for name, file in backup.files.items():
        check_content(folder / FILES_NAME / name, file)
    return backup


def check_sizes(folder: Path) -> Backup:
    """Read a copy's manifest and verify the size of all its files, without reading them.

    Raises:
        BackupError: No manifest; a file is missing or of another size; or the folder contains a
            link, a device or another special file.
    """
    backup = read_manifest(folder)
    there = _list_tree(folder)
    expected = {f"{FILES_NAME}/{name}": file for name, file in backup.files.items()}
    for name, file in {CATALOG_NAME: backup.catalog, **expected}.items():
        if there.get(name) != file.size_bytes:
            raise BackupError(
                f"{folder / name}: missing, or not {file.size_bytes} bytes long; use another backup"
            )
    return backup


def read_restored(settings: Settings) -> Restored | None:
    """The record of the last restore; None if there is none, or it cannot be read."""
    note = find_catalog(settings).read_note()
    try:
        restored = Restored(**json.loads(note or ""))
    except (ValueError, TypeError):
        return None
    counts = (restored.snapshot_id, restored.sequence)
    is_whole = all(isinstance(count, int) and count >= 0 for count in counts)
    return restored if is_whole else None


def _inspect_copy(folder: Path) -> Copy:
    try:
        backup = check_sizes(folder)
        if backup.lake_id is None:  # of format 2, whose manifest does not say
            facts = open_copied(folder).read_facts()
            backup = replace(backup, lake_id=facts.lake_id, snapshot_id=facts.snapshot_id)
        return Copy(folder, backup, None)
    except (LakeError, OSError) as error:
        problem = str(error)
    try:
        return Copy(folder, read_manifest(folder), problem)
    except (BackupError, OSError):
        return Copy(folder, None, problem)


def _list_tree(folder: Path) -> dict[str, int]:
    """Sizes of the files in a folder by name.

    Raises:
        BackupError: Something in it is neither a file nor a folder.
    """
    sizes = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place, name)
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                sizes[path.relative_to(folder).as_posix()] = state.st_size
            elif not stat.S_ISDIR(state.st_mode):
                kind = "a symbolic link" if path.is_symlink() else "a special file"
                raise BackupError(
                    f"{path}: {kind}; a backup contains only regular files; use another backup"
                )
    return sizes


def check_content(file: Path, expected: Copied) -> None:
    """Compare a copied file with its size and checksum.

    Raises:
        BackupError: They differ.
    """
    if describe(file) != expected:
        raise damaged(file)


def check_catalog(backup: Backup) -> None:
    """See that a copied catalog can be read and refers to no file that was not copied with it."""
    catalog = open_copied(backup.folder)
    try:
        catalog.check_integrity()
        facts = catalog.read_facts()
    except LakeDamagedError as error:
        raise BackupError(f"{error}; use another backup") from error
    for name, file in facts.files.items():
        copied = backup.files.get(name)
        if copied is None or copied.size_bytes != file.size_bytes:
            raise BackupError(
                f"{catalog}: refers to {name} of {file.size_bytes} bytes, which is not in the"
                " manifest; use another backup"
            )


@contextmanager
def hold_copies(settings: Settings, *, timeout_s: float = _WAIT_S) -> Iterator[None]:
    """Block other backups, restores and cleanups of this lake meanwhile; writers are not blocked.

    Raises:
        BackupError: Another one held the lock for longer than the timeout.
    """
    lock = find_catalog(settings).lock("copying", timeout_s=timeout_s)
    with ExitStack() as held:
        try:
            held.enter_context(lock.hold())
        except LockTimeoutError as error:
            raise BackupError(
                f"{lock}: another backup, restore or maintenance of this lake is running; wait"
                " until it ends, or end its process, which releases the lock"
            ) from error
        yield


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed backups and verifications left in a folder.

    Only folders with our name and our marker, whose lock ended with the process that made them.
    """
    removed = []
    for path in folder.glob("*.part") if folder.is_dir() else ():
        if PARTIAL.fullmatch(path.name) and not path.is_symlink() and _is_left(path / MARKER):
            shutil.rmtree(path)
            removed.append(path)
    return removed


def remove_restoring(settings: Settings) -> None:
    """Remove what a killed restore left; the caller holds the copies' lock."""
    find_catalog(settings).remove_staged()
    find_files(settings).remove_staged()


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder beside another, with our marker, that is gone afterwards unless renamed."""
    place = folder.with_name(f"{folder.name[:40]}.{uuid4().hex}.part")
    place.mkdir(parents=True)
    try:
        with (place / MARKER).open("xb") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_left(marker: Path) -> bool:
    """Whether there is a marker that no running process holds."""
    try:
        descriptor = os.open(marker, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def naming_failures(place: Path, state: str = _UNDONE) -> Iterator[None]:
    """Turn failures of the disk and of SQLite into errors that say what to do.

    Args:
        place: Where it is written.
        state: What is true afterwards.

    Raises:
        DiskFullError: There is no space left.
        DiskFailureError: The disk, or a limit of the process, refused to read or write.
        BackupError: SQLite failed otherwise.
    """
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error, UnicodeDecodeError) as error:
        if is_full(error, place):
            raise DiskFullError(
                f"no space left on the disk of {place}; {state}; free some space and run the"
                " command again"
            ) from error
        if is_failing(error):
            raise DiskFailureError(
                f"{place}: {describe_failure(error)}; {state}; {CHECK_DISK}"
            ) from error
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise BackupError(f"{place}: {error}; check the disk and the permissions") from error
        raise


@dataclass(frozen=True)
class Backup:
    """One complete copy.

    Attributes:
        folder: Where it is.
        made_at: When it was made, by the machine's clock, which may have been wrong.
        duckdb_version: The version that wrote it.
        catalog: Its catalog.
        files: Its Parquet files, by their names below the data path.
        sequence: Its position in the order of a folder's copies; None in copies of format 2, which
            are older than all others.
        lake_id: Identifies the lake, independent of its path; None in copies of format 2.
        snapshot_id: The newest snapshot; None in copies of format 2.
        tables: Rows by table at that snapshot; None in copies of format 2.
    """

    folder: Path
    made_at: datetime
    duckdb_version: str
    catalog: Copied
    files: dict[str, Copied]
    sequence: int | None = None
    lake_id: str | None = None
    snapshot_id: int | None = None
    tables: dict[str, int] | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes of its Parquet files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def rows(self) -> int | None:
        """The rows of all tables; None if the copy does not say."""
        return None if self.tables is None else sum(self.tables.values())


def write_manifest(backup: Backup, folder: Path) -> None:
    """Write a copy's manifest into the folder where it is being made."""
    content = {
        "format": _FORMAT,
        "made_at": backup.made_at.isoformat(),
        "duckdb_version": backup.duckdb_version,
        "sequence": backup.sequence,
        "lake_id": backup.lake_id,
        "snapshot_id": backup.snapshot_id,
        "tables": backup.tables,
        "catalog": asdict(backup.catalog),
        "files": {name: asdict(file) for name, file in backup.files.items()},
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Backup:
    """Read the manifest of a copy; `open_backup` verifies it.

    Raises:
        BackupError: No manifest, a damaged one, one without checksums, or one that names what no
            copy of ours holds.
    """
    manifest = folder / MANIFEST
    content = _parse_json(manifest)
    try:
        if content["format"] not in _READABLE:
            raise BackupError(
                f"{manifest}: its format is newer, or has no checksums, so the backup cannot be"
                " verified; use another backup"
            )
        return Backup(
            folder,
            made_at=_parse_instant(content["made_at"]),
            duckdb_version=_match(_VERSION, content["duckdb_version"]),
            catalog=_parse_file(content["catalog"]),
            files={name: _parse_file(file) for name, file in content["files"].items()},
            **(_parse_facts(content) if content["format"] == _FORMAT else {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{manifest}: damaged: {error}") from error


def _parse_json(manifest: Path) -> dict[str, Any]:
    try:
        found = manifest.lstat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    if found is None:
        raise BackupError(f"{manifest.parent}: no {MANIFEST}; it is not a complete backup")
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise BackupError(f"{manifest}: not a regular file of at most {_MOST_BYTES:,} bytes")
    try:
        content: dict[str, Any] = json.loads(manifest.read_bytes(), object_pairs_hook=unique_keys)
        _check_names(content["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"{manifest}: damaged: {error}") from error
    return {"format": None, **content}


def _check_names(files: dict[str, Any]) -> None:
    """Refuse names that lead elsewhere, or of which two would be one file on some file system."""
    if len(files) > _MOST_FILES:
        raise ValueError(f"{len(files):,} files, more than {_MOST_FILES:,}")
    for name in files:
        if problem := find_unsafe_name(name):
            raise ValueError(f"the name {name[:200]!r} {problem}")
    folded = {unicodedata.normalize("NFC", name).casefold() for name in files}
    if len(folded) != len(files):
        raise ValueError("two names differ only in case or accents")
    folders = {parent for name in folded for parent in list_parents(name)}
    if both := folders & folded:
        raise ValueError(f"{min(both)!r} is both a file and a folder")


def _parse_facts(content: dict[str, Any]) -> dict[str, Any]:
    """What format 3 says beyond format 2."""
    return {
        "sequence": _parse_count(content["sequence"], least=1, most=MOST_SEQUENCE),
        "lake_id": _match(_LAKE_ID, content["lake_id"]),
        "snapshot_id": _parse_count(content["snapshot_id"]),
        "tables": {name: _parse_count(rows) for name, rows in content["tables"].items()},
    }


def _parse_file(content: dict[str, Any]) -> Copied:
    size = _parse_count(content["size_bytes"], least=1, most=_MOST_SIZE)
    return Copied(size, _match(_SHA256, content["sha256"]))


def _parse_count(value: object, *, least: int = 0, most: int = _MOST_COUNT) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is not a whole number from {least} to {most}")
    return value


def _parse_instant(value: object) -> datetime:
    instant = datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no timezone")
    return instant


def _match(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} does not match {pattern.pattern}")
    return value
