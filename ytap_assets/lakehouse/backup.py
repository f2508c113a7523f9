"""Copy the lake, verify copies, and put one back.

A copy is a folder: ``catalog.sqlite``, ``files/`` and, written last, ``manifest.json`` with the
size and the SHA-256 of each file. Parquet files never change once written. So a file that the
newest good copy holds must have the same checksum in the lake still, and is linked from that copy;
a new file is decoded once and its bytes are copied. No file of a copy is ever a link to the lake's:
what damages the lake in place leaves its copies as they are.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from ytap_assets.lakehouse.catalog import (
    LakeFile,
    check_files,
    check_integrity,
    check_not_empty,
    is_made_by_lake,
    list_parents,
    list_parquet,
    open_catalog,
    read_catalog,
    read_commits,
)
from ytap_assets.lakehouse.connection import LAKE, attach, require_catalog
from ytap_assets.lakehouse.disk import is_full
from ytap_assets.lakehouse.errors import (
    BackupError,
    DiskFullError,
    LakeDamagedError,
    LakeError,
    LockTimeoutError,
)
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.manifest import (
    MANIFEST,
    MOST_SEQUENCE,
    Backup,
    Copied,
    describe,
    read_manifest,
    write_manifest,
)
from ytap_assets.settings import Settings

_CATALOG = "catalog.sqlite"
_FILES = "files"
_MARKER = ".being-made-by-ytap"
_PARTIAL = re.compile(r".+\.[0-9a-f]{32}\.part")
_RESTORING = re.compile(r"\.restoring-[0-9a-f]{32}")
_READERS_S = 30.0
_WAIT_S = 120.0
_RESTORED = ".restored"
_CHUNK = 1 << 20
_JOURNALS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Copy:
    """A folder among the backups.

    Attributes:
        folder: Where it is.
        backup: What it says of itself; None where it cannot be read.
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
class Verified:
    """A copy that was verified in full and restored into a temporary place.

    Attributes:
        backup: The copy.
        tables: Rows by table, counted in the restored lake.
    """

    backup: Backup
    tables: dict[str, int]


def list_copies(settings: Settings) -> list[Copy]:
    """The copies in the folder of backups, oldest first, each with a cheap check.

    The check reads manifests and sizes, no content. Links and folders without a manifest are not
    among them.
    """
    if not settings.backups.is_dir():
        return []
    copies = []
    for folder in settings.backups.iterdir():
        is_one = folder.is_dir() and not folder.is_symlink() and not _PARTIAL.fullmatch(folder.name)
        if is_one and os.path.lexists(folder / MANIFEST):
            copies.append(_look_at(folder))
    return sorted(copies, key=lambda copy: copy.order)


def newest_good(copies: list[Copy]) -> Copy | None:
    """The newest copy without a problem."""
    return next((copy for copy in reversed(copies) if copy.problem is None), None)


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


def find_newer_copy(
    settings: Settings, copies: Sequence[Copy], catalog: Path, *, is_copy: bool = False
) -> str | None:
    """Whether a good copy has commits of this lake that a catalog does not have.

    Such a catalog is an older one that took the place of the lake's, or lost its journal: files
    that it does not refer to may hold the newer rows. It stays so when more was committed since,
    so not only the newest snapshot is compared. Copies that were there when somebody restored an
    older one do not count.

    Args:
        settings: The installation.
        copies: The copies among the backups.
        catalog: The lake's catalog, or a copy of it.
        is_copy: Nobody writes to the catalog.

    Returns:
        What is wrong, and the ways out; None where no copy has more.

    Raises:
        LakeDamagedError: The catalog cannot be read.
    """
    commits = read_commits(catalog, is_copy=is_copy)
    restored = _read_restored(settings)
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
            known = read_commits(copy.folder / _CATALOG, is_copy=True)
        except LakeDamagedError:  # a full check of the copies says so
            continue
        if commits.lacks(known.newest, known.times[known.newest]):
            return (
                f"{settings.catalog} is older than the copy {copy.folder}: it lacks the snapshot"
                f" {known.newest} of {known.times[known.newest]}, and its newest is"
                f" {commits.newest}; another catalog took the place of the lake's, or its journal"
                f" (-wal) was lost: put the newer state back with `ytap restore {copy.folder}`; if"
                " the older state is meant, make a copy of it with `ytap backup` and restore that"
                " copy, which records it"
            )
    return None


@contextmanager
def hold_copies(settings: Settings, *, timeout_s: float = _WAIT_S) -> Iterator[None]:
    """Let no other backup, restore or sweep of this lake run meanwhile. Writers go on.

    Raises:
        BackupError: Another one ran for longer than the timeout.
    """
    catalog = settings.catalog
    lock = WriteLock(catalog.with_name(f"{catalog.name}.copying"), timeout_s=timeout_s)
    with ExitStack() as held:
        try:
            held.enter_context(lock.hold())
        except LockTimeoutError as error:
            raise BackupError(
                f"{lock.path}: another backup, restore or sweep of this lake is running: wait for"
                " it, or end it (the lock ends with its process)"
            ) from error
        yield


def back_up(settings: Settings, folder: Path, now: datetime) -> Backup:
    """Copy catalog and files into a new folder, as they are at one moment, and verify them.

    Writers wait for the copy of the catalog alone. The copy is there only when it is complete and
    every file of it was read; where anything is wrong with the lake, nothing is left of it.

    Raises:
        LakeMissingError: There is no lake to back up.
        BackupError: The folder is there already or among the lake's own files; another backup is
            running; or the lake is damaged: the message names file, table and the newest good copy.
        LockTimeoutError: Somebody wrote for too long.
        DiskFullError: There is no space left for it.
    """
    _check_target(settings, folder)
    with _naming_failures(folder), hold_copies(settings):
        for place in {settings.backups, folder.parent}:
            remove_leftovers(place)
        copies = list_copies(settings)
        earlier = newest_good(copies)
        with _scratch(folder) as partial, _naming_damage(settings, partial, earlier):
            require_catalog(settings)
            with WriteLock(settings.catalog).hold():
                _copy_catalog(settings.catalog, partial / _CATALOG)
            made = Backup(
                folder,
                made_at=now,
                duckdb_version=duckdb.__version__,
                catalog=describe(partial / _CATALOG),
                files={},
                sequence=1 + _newest_sequence(settings, copies),
            )
            backup = _fill(settings, made, partial, earlier.backup if earlier else None)
            write_manifest(backup, partial)
            if replace(read_manifest(partial), folder=folder) != backup:
                raise BackupError(f"{folder}: its manifest is not read as it was written")
            _sync(partial / MANIFEST)
            partial.rename(folder)
            (folder / _MARKER).unlink()
    return backup


def open_backup(folder: Path) -> Backup:
    """Read a copy's manifest and see that all it names is there, as it was copied.

    Raises:
        BackupError: No manifest, or a file is missing or damaged, or something is not a file.
    """
    backup = check_sizes(folder)
    _check_content(folder / _CATALOG, backup.catalog)
    _check_catalog(backup)
    for name, file in backup.files.items():
        _check_content(folder / _FILES / name, file)
    return backup


def check_sizes(folder: Path) -> Backup:
    """Read a copy's manifest and see that all it names is there; no content is read.

    Raises:
        BackupError: No manifest; a file is missing or of another size; or anything in the folder is
            a link, a device or the like: what they lead to is not the copy's.
    """
    backup = read_manifest(folder)
    there = _list_tree(folder)
    expected = {f"{_FILES}/{name}": file for name, file in backup.files.items()}
    for name, file in {_CATALOG: backup.catalog, **expected}.items():
        if there.get(name) != file.size_bytes:
            raise BackupError(
                f"{folder / name}: missing or not {file.size_bytes} bytes long: use another backup"
            )
    return backup


def verify(settings: Settings, folder: Path, now: datetime) -> Verified:
    """Check a copy in full, restore it into a temporary place, and count the rows of its tables.

    The temporary place is among the backups and needs as much space as the copy.

    Raises:
        BackupError: The copy is damaged, or the restored tables hold other numbers of rows than
            the manifest says.
        DiskFullError: There is no space for the restored lake.
    """
    backup = open_backup(folder)
    with _naming_failures(settings.backups), _scratch(settings.backups / "verify") as at:
        restored = Settings(at, at / "lake" / _CATALOG, at / "lake" / _FILES)
        restore(restored, folder, now)
        try:
            with closing(attach(restored, read_only=True)) as connection:
                tables = _count_rows(connection, reads_all=True)
        except (duckdb.Error, LakeDamagedError) as error:
            message = " ".join(str(error).split())
            raise BackupError(f"{folder}: restored, it cannot be read: {message}") from error
    differing = [
        f"{name} has {tables.get(name, 'no')} rows, {rows} when it was copied"
        for name, rows in (backup.tables or {}).items()
        if tables.get(name) != rows
    ]
    if differing:
        raise BackupError(f"{folder}: restored, {'; '.join(differing)}: use another backup")
    return Verified(backup, tables)


def restore(
    settings: Settings, folder: Path, now: datetime, *, readers_s: float = _READERS_S
) -> Backup:
    """Put a copy back; what was there is kept beside it as ``*.before-<time>``.

    The files are copied into a folder of their own first and compared with their checksums. Then,
    under the write lock, they get their places beside those that are there (no two files ever share
    a name), and the catalog is replaced in one step. Whatever fails before that step leaves the
    lake as it was. At last the files that only the lake before knew are taken out; they are kept. A
    record beside the catalog says that this state was meant (`find_newer_copy`).

    Args:
        settings: The installation.
        folder: The copy.
        now: The present; it names what is kept.
        readers_s: How long to wait for those who read the catalog that is replaced.

    Raises:
        BackupError: The copy is damaged, or was made by a newer DuckDB; or a link lies in the way.
        LockTimeoutError: Somebody is still writing.
        DiskFullError: There is no space left for it.
    """
    backup = check_sizes(folder)
    _check_content(folder / _CATALOG, backup.catalog)
    _check_catalog(backup)
    if _version(backup.duckdb_version) > _version(duckdb.__version__):
        raise BackupError(
            f"{folder} was made by DuckDB {backup.duckdb_version}, newer than the"
            f" {duckdb.__version__} here: install that version first"
        )
    data_path = settings.data_path
    with _naming_failures(data_path), hold_copies(settings):
        remove_restoring(settings)
        _check_ways(data_path, backup)
        staging = data_path / f".restoring-{uuid4().hex}"
        catalog = settings.catalog.with_name(f"{settings.catalog.name}{staging.name}")
        record = settings.catalog.with_name(f"{settings.catalog.name}.restoring-{uuid4().hex}")
        try:
            _stage(backup, staging, catalog)
            commits = read_commits(folder / _CATALOG, is_copy=True)
            newest = _newest_sequence(settings, list_copies(settings))
            meant = Restored(commits.lake_id, commits.newest, newest)
            record.write_text(json.dumps(asdict(meant)), encoding="utf-8")
            with WriteLock(settings.catalog).hold():
                suffix = f".before-{now:%Y%m%dT%H%M%S%f}"
                _Replacement(settings, backup, suffix, readers_s).run(staging, catalog)
                record.replace(_restored_file(settings))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            catalog.unlink(missing_ok=True)
            record.unlink(missing_ok=True)
    return backup


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed backups and verifications left in a folder.

    Only folders with our name and our marker, whose lock ended with the process that made them.
    """
    removed = []
    for path in folder.glob("*.part") if folder.is_dir() else ():
        if _PARTIAL.fullmatch(path.name) and not path.is_symlink() and _is_left(path / _MARKER):
            shutil.rmtree(path)
            removed.append(path)
    return removed


def remove_restoring(settings: Settings) -> None:
    """Remove what a killed restore left; the caller holds the copies' lock."""
    catalog = settings.catalog
    for path in settings.data_path.glob(".restoring-*"):
        if _RESTORING.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    for path in catalog.parent.glob(f"{glob.escape(catalog.name)}.restoring-*"):
        if _RESTORING.fullmatch(path.name.removeprefix(catalog.name)):
            path.unlink()


def _newest_sequence(settings: Settings, copies: Sequence[Copy]) -> int:
    """The newest copy's place in their order, also where it was removed after a restore.

    One that leaves no number for the next copy is ignored.
    """
    restored = _read_restored(settings)
    known = [restored.sequence] if restored else []
    known += [copy.order[0] for copy in copies]
    return max((number for number in known if number < MOST_SEQUENCE), default=0)


def _restored_file(settings: Settings) -> Path:
    return settings.catalog.with_name(settings.catalog.name + _RESTORED)


def _read_restored(settings: Settings) -> Restored | None:
    """The record of the last restore; None where there is none, or it cannot be read."""
    try:
        restored = Restored(**json.loads(_restored_file(settings).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    counts = (restored.snapshot_id, restored.sequence)
    is_whole = all(isinstance(count, int) and count >= 0 for count in counts)
    return restored if is_whole else None


def _check_target(settings: Settings, folder: Path) -> None:
    require_catalog(settings)
    if os.path.lexists(folder):
        raise BackupError(f"{folder} is there already: choose another place for the backup")
    if folder.resolve().is_relative_to(settings.data_path.resolve()):
        raise BackupError(
            f"{folder} is among the lake's own files, where it would be swept: choose another place"
        )
    catalog = settings.catalog.resolve()
    if folder.resolve().parent == catalog.parent and folder.name.startswith(catalog.name):
        raise BackupError(
            f"{folder} is named like a file that belongs to the catalog {settings.catalog}: choose"
            " another name"
        )
    for parent in folder.parents:
        if parent.is_relative_to(settings.backups) and (parent / MANIFEST).exists():
            raise BackupError(f"{folder} is inside the backup {parent}: choose another place")


def _fill(settings: Settings, made: Backup, partial: Path, earlier: Backup | None) -> Backup:
    """Copy what a copied catalog refers to, and read every byte of it."""
    catalog = partial / _CATALOG
    check_integrity(catalog, is_copy=True)
    facts = read_catalog(catalog, is_copy=True)
    check_files(facts, settings)
    (partial / _FILES).mkdir()
    with closing(attach(replace(settings, catalog=catalog), read_only=True)) as connection:
        files = {
            name: _copy_file(connection, settings, name, file, partial / _FILES, earlier)
            for name, file in sorted(facts.files.items())
        }
        tables = _count_rows(connection, reads_all=False)
    return replace(
        made, files=files, lake_id=facts.lake_id, snapshot_id=facts.snapshot_id, tables=tables
    )


def _copy_file(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    name: str,
    file: LakeFile,
    folder: Path,
    earlier: Backup | None,
) -> Copied:
    """Take one file into a copy: a link to the same file of the copy before, or its bytes."""
    source, target = settings.data_path / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    known = earlier.files.get(name) if earlier else None
    if earlier is None or known is None:
        _decode(connection, source, file)
        return _copy_bytes(source, target)
    kept = earlier.folder / _FILES / name
    is_kept = describe(kept) == known  # where it is not, that copy is damaged and says nothing
    if is_kept and describe(source) != known:
        raise LakeDamagedError(
            f"{source}, of the table {file.table}: damaged, its content is not what was copied"
            f" before: {kept} is the same file, undamaged: copy it back, or restore a backup"
        )
    if not is_kept:
        _decode(connection, source, file)
    # Copies of older versions of ytap are links to the lake's files.
    if is_kept and not kept.samefile(source) and _link(kept, target):
        return known
    return _copy_bytes(source, target)


def _decode(connection: duckdb.DuckDBPyConnection, source: Path, file: LakeFile) -> None:
    """Read every value of a Parquet file.

    Raises:
        LakeDamagedError: It cannot be read, or holds another number of rows than the catalog says.
    """
    try:
        row = connection.execute(
            "SELECT count(*), bit_xor(hash(f)) FROM read_parquet(?, hive_partitioning => false) f",
            [str(source)],
        ).fetchone()
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise LakeDamagedError(
            f"{source}, of the table {file.table}: damaged: {message}"
        ) from error
    if row is None or row[0] != file.rows:
        raise LakeDamagedError(
            f"{source}, of the table {file.table}: damaged: {row[0] if row else 0} rows instead of"
            f" {file.rows}"
        )


def _count_rows(connection: duckdb.DuckDBPyConnection, *, reads_all: bool) -> dict[str, int]:
    """Rows by table at the newest snapshot; where all is read, every value is decoded."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
        [LAKE],
    ).fetchall()
    hashed = ", bit_xor(hash(t))" if reads_all else ""
    counts = {}
    for schema, table in tables:
        place = ".".join('"' + part.replace('"', '""') + '"' for part in (LAKE, schema, table))
        row = connection.execute(f"SELECT count(*){hashed} FROM {place} t").fetchone()
        counts[table if schema == "main" else f"{schema}.{table}"] = int(row[0]) if row else 0
    return counts


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
            if not _link(self._data_path / name, target):
                _copy_bytes(self._data_path / name, target)

    def _undo(self) -> None:
        old = set(self._old)
        for name in self._placed:
            if name in old:
                (self._kept_files / name).replace(self._data_path / name)
            else:
                (self._data_path / name).unlink(missing_ok=True)
        shutil.rmtree(self._kept_files, ignore_errors=True)
        for suffix in ("", *_JOURNALS):
            kept = self._kept_catalog
            kept.with_name(kept.name + suffix).unlink(missing_ok=True)


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
    sources = {staging / name: (_FILES + "/" + name, file) for name, file in backup.files.items()}
    for target, (name, expected) in {**sources, catalog: (_CATALOG, backup.catalog)}.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if _copy_bytes(backup.folder / name, target) != expected:
            raise _damaged(backup.folder / name)


def _check_ways(data_path: Path, backup: Backup) -> None:
    """See that no link leads out of the data path where files will be written."""
    ways = {way for name in backup.files for way in (name, *list_parents(name))}
    for way in sorted(ways):
        if (data_path / way).is_symlink():
            raise BackupError(
                f"{data_path / way} is a link: nothing is restored through it; remove it first"
            )


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
                kind = "a link, which leads out of the backup" if path.is_symlink() else "no file"
                raise BackupError(f"{path}: {kind}: a backup holds files only; use another backup")
    return sizes


def _look_at(folder: Path) -> Copy:
    try:
        backup = check_sizes(folder)
        if backup.lake_id is None:  # of format 2, whose manifest does not say
            facts = read_catalog(folder / _CATALOG, is_copy=True)
            backup = replace(backup, lake_id=facts.lake_id, snapshot_id=facts.snapshot_id)
        return Copy(folder, backup, None)
    except (LakeError, OSError) as error:
        problem = str(error)
    try:
        return Copy(folder, read_manifest(folder), problem)
    except (BackupError, OSError):
        return Copy(folder, None, problem)


def _check_content(file: Path, expected: Copied) -> None:
    if describe(file) != expected:
        raise _damaged(file)


def _damaged(file: Path) -> BackupError:
    return BackupError(f"{file}: damaged, its content is not what was copied: use another backup")


def _check_catalog(backup: Backup) -> None:
    """See that a copied catalog can be read and refers to no file that was not copied with it."""
    catalog = backup.folder / _CATALOG
    try:
        check_integrity(catalog, is_copy=True)
        facts = read_catalog(catalog, is_copy=True)
    except LakeDamagedError as error:
        raise BackupError(f"{error}; use another backup") from error
    for name, file in facts.files.items():
        copied = backup.files.get(name)
        if copied is None or copied.size_bytes != file.size_bytes:
            raise BackupError(
                f"{catalog}: refers to {name} of {file.size_bytes} bytes, which is not in the"
                " manifest: use another backup"
            )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A new folder beside another, with our marker, that is gone afterwards unless renamed."""
    place = folder.with_name(f"{folder.name[:40]}.{uuid4().hex}.part")
    place.mkdir(parents=True)
    try:
        with (place / _MARKER).open("xb") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_left(marker: Path) -> bool:
    """Whether a marker is there that no living process holds."""
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
def _naming_damage(settings: Settings, partial: Path, earlier: Copy | None) -> Iterator[None]:
    """Say of damage to the lake that no copy was made of it, and which copy is the newest good."""
    try:
        yield
    except LakeDamagedError as error:
        newest = f"the newest good one is {earlier.folder}" if earlier else "there is no good one"
        message = str(error).replace(str(partial / _CATALOG), str(settings.catalog))
        raise BackupError(f"{message}; no copy is made; {newest}") from error


@contextmanager
def _naming_failures(place: Path) -> Iterator[None]:
    """Turn failures of the disk and of SQLite into errors that say what to do."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error, UnicodeDecodeError) as error:
        if is_full(error, place):
            raise DiskFullError(
                f"no space left on the disk of {place}: nothing was changed, and no half of it is"
                " left; free some space and run it again"
            ) from error
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise BackupError(f"{place}: {error}: check its disk and its permissions") from error
        raise


def _copy_catalog(source: Path, target: Path) -> None:
    """Copy a catalog as it is at one moment, with what its journal holds, without a journal."""
    with open_catalog(source) as here, closing(sqlite3.connect(target)) as there:
        try:
            here.backup(there)
        except sqlite3.OperationalError as error:
            if is_full(error, target.parent):  # or it would be taken for damage to the source
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
            raise
        there.execute("PRAGMA journal_mode = DELETE")
    _sync(target)


def _keep_catalog(catalog: Path, target: Path) -> None:
    """Keep a catalog that is to be replaced; byte by byte where SQLite cannot read it."""
    try:
        _copy_catalog(catalog, target)
    except (LakeDamagedError, sqlite3.Error):
        for suffix in _JOURNALS:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            if (file := catalog.with_name(catalog.name + suffix)).is_file():
                shutil.copyfile(file, target.with_name(target.name + suffix))


def _empty_journal(catalog: Path, timeout_s: float) -> None:
    """Write the catalog's journal into it: beside another catalog it would be read as its own.

    Raises:
        BackupError: A reader held the journal for too long.
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
            raise BackupError(f"{catalog}: still being read; end the readers and restore again")
    for suffix in _JOURNALS:
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)


def _link(source: Path, target: Path) -> bool:
    """Give a file a second name; False where the file systems cannot."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links, or too many of them
        return False
    return True


def _copy_bytes(source: Path, target: Path) -> Copied:
    """Copy a regular file to a new name, onto the disk itself, and describe what was read."""
    digest = hashlib.sha256()
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as here, target.open("xb") as there:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BackupError(f"{source}: no file")
        while chunk := here.read(_CHUNK):
            digest.update(chunk)
            there.write(chunk)
        there.flush()
        os.fsync(there.fileno())
        return Copied(there.tell(), digest.hexdigest())


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.removeprefix("v").split(".") if part.isdecimal())
