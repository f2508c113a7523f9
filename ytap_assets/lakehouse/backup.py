"""Back up the lake, and restore a backup to its place or to a temporary one to verify it.

Parquet files never change once written. So a file that the newest valid backup contains, with the
same name and size, is linked from that backup; a new file is decoded once and its bytes are copied.
A backup never contains a link to a file of the lake, so damage to the lake's files does not change
its backups.

A linked file must still have the same checksum in the lake and in the backup. Both are read if
maintenance may rewrite the file, since damage would be rewritten, too. Of the others, each backup
reads a part, so that `ROTATION` backups read all of them: reading all of them each time would cost
as much as a complete copy. The weekly verification reads all files of the newest backup.

A restore replaces the whole lake or nothing.

Belongs here: creating and restoring a backup. Does not belong here: listing backups, and whether
one is complete (`copies`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from zlib import crc32

import duckdb

from ytap_assets.lakehouse.catalog import (
    LAKE,
    Catalog,
    CatalogFacts,
    LakeFile,
    check_files,
    check_place,
)
from ytap_assets.lakehouse.commit_files import CommitFiles
from ytap_assets.lakehouse.connection import (
    attach,
    find_catalog,
    find_files,
    list_tables,
    require_catalog,
)
from ytap_assets.lakehouse.copies import (
    CATALOG_NAME,
    FILES_NAME,
    MANIFEST,
    MARKER,
    Backup,
    Copy,
    Restored,
    check_catalog,
    check_content,
    check_sizes,
    hold_copies,
    list_copies,
    naming_failures,
    newest_good,
    newest_sequence,
    open_backup,
    open_copied,
    read_manifest,
    remove_leftovers,
    remove_restoring,
    scratch,
    write_manifest,
)
from ytap_assets.lakehouse.errors import (
    BackupError,
    DiskFullError,
    LakeDamagedError,
    LakeError,
    RestoreInDoubtError,
    translate_errors,
)
from ytap_assets.lakehouse.files import (
    MARK,
    Copied,
    Files,
    Staged,
    damaged,
    describe,
    is_below,
    is_made_by_lake,
    link,
)
from ytap_assets.lakehouse.maintenance import find_rewritten
from ytap_assets.lakehouse.sqlite_catalog import sync
from ytap_assets.settings import Settings

ROTATION = 28
"""So many copies in a row compare every file of the lake with its checksum."""
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


def back_up(settings: Settings, folder: Path, now: datetime, *, reads_all: bool = True) -> Backup:
    """Copy catalog and files into a new folder, as they are at one moment, and verify them.

    Writers wait for the copy of the catalog alone. The copy is there only when it is complete;
    where anything is found wrong with the lake, nothing is left of it.

    Args:
        settings: The installation.
        folder: The new folder.
        now: The present, which dates the copy.
        reads_all: Whether every file is compared with its checksum, or only new ones, those that
            maintenance may write anew, and one in `ROTATION` of the others.

    Raises:
        LakeMissingError: There is no lake to back up.
        BackupError: The folder is there already, or among the lake's own files, or inside another
            copy; another backup is running; or the lake is damaged: the message names file, table
            and the newest good copy.
        LockTimeoutError: Other processes wrote for too long.
        DiskFullError: There is no space left for it.
        DiskFailureError: The disk, or a limit of the process, refused to read or write.
    """
    _check_target(settings, folder)
    with naming_failures(folder), hold_copies(settings):
        for place in {settings.backups, folder.parent}:
            remove_leftovers(place)
        copies = list_copies(settings)
        earlier = newest_good(copies)
        with scratch(folder) as partial, _naming_damage(settings, partial, earlier):
            require_catalog(settings)
            catalog = find_catalog(settings)
            with catalog.lock().hold():
                catalog.copy_to(partial / CATALOG_NAME)
            sync(partial / CATALOG_NAME)
            made = Backup(
                folder,
                made_at=now,
                duckdb_version=duckdb.__version__,
                catalog=describe(partial / CATALOG_NAME),
                files={},
                sequence=1 + newest_sequence(settings, copies),
            )
            backup = _fill(
                settings, made, partial, earlier.backup if earlier else None, reads_all=reads_all
            )
            write_manifest(backup, partial)
            if replace(read_manifest(partial), folder=folder) != backup:
                raise BackupError(
                    f"{folder}: the manifest that was written does not match the backup; make the"
                    " backup again"
                )
            sync(partial / MANIFEST)
            partial.rename(folder)
            (folder / MARKER).unlink()
    return backup


def _check_target(settings: Settings, folder: Path) -> None:
    require_catalog(settings)
    if os.path.lexists(folder):
        raise BackupError(f"{folder} already exists; choose another folder for the backup")
    if folder.resolve().is_relative_to(settings.data_path.resolve()):
        raise BackupError(
            f"{folder} is inside the lake's data path, where maintenance would delete it; choose"
            " another folder"
        )
    if settings.database is None:
        catalog = settings.catalog.resolve()
        if folder.resolve().parent == catalog.parent and folder.name.startswith(catalog.name):
            raise BackupError(f"{folder} has the name of a file of {catalog}; choose another name")
    for parent in folder.resolve().parents:
        if _is_copy(parent):
            raise BackupError(f"{folder} is inside the backup {parent}; choose another folder")


def _at(settings: Settings, catalog: Path) -> Settings:
    """The lake's files with another catalog, which is a file."""
    return replace(settings, catalog=catalog, database=None)


def _is_copy(folder: Path) -> bool:
    """Whether a folder is a copy, a damaged or an unfinished one too."""
    return (folder / MARKER).exists() or (
        (folder / MANIFEST).exists()
        and any((folder / name).exists() for name in (CATALOG_NAME, FILES_NAME))
    )


def _fill(
    settings: Settings, made: Backup, partial: Path, earlier: Backup | None, *, reads_all: bool
) -> Backup:
    """Copy what a copied catalog refers to."""
    catalog = open_copied(partial)
    catalog.check_integrity()
    facts = catalog.read_facts()
    files = find_files(settings)
    check_files(facts, settings.catalog_name, files)
    (partial / FILES_NAME).mkdir()
    rewritten = find_rewritten(facts.files)
    copied: dict[str, Copied] = {}
    with closing(attach(_at(settings, catalog.path), read_only=True)) as connection:
        for name, file in sorted(facts.files.items()):
            target = partial / FILES_NAME / name
            target.parent.mkdir(parents=True, exist_ok=True)
            is_read = reads_all or name in rewritten or _is_due(name, made.sequence or 0)
            known = None if is_read else _link_unread(files, target, name, file, earlier)
            copied[name] = known or _copy_file(connection, files, target, name, file, earlier)
        tables = _count_copied(connection, files, catalog, facts)
    return replace(
        made, files=copied, lake_id=facts.lake_id, snapshot_id=facts.snapshot_id, tables=tables
    )


def _count_copied(
    connection: duckdb.DuckDBPyConnection, files: Files, catalog: Catalog, facts: CatalogFacts
) -> dict[str, int]:
    """The number of rows by table.

    Raises:
        LakeDamagedError: A file that was not read before is damaged at its end.
    """
    try:
        return _count_rows(connection, catalog, reads_all=False)
    except duckdb.Error as error:
        for name, file in sorted(facts.files.items()):
            _decode(connection, files.root + name, files.root + name, file)
        message = " ".join(str(error).split())
        raise LakeDamagedError(f"{files}: damaged: {message}") from error


def _is_due(name: str, sequence: int) -> bool:
    return (crc32(name.encode()) - sequence) % ROTATION == 0


def _link_unread(
    files: Files, target: Path, name: str, file: LakeFile, earlier: Backup | None
) -> Copied | None:
    """Link a file of the same name and size from the copy before; None if there is none.

    The sizes of the files of both were compared with the catalog's and the manifest's.
    """
    known = earlier.files.get(name) if earlier else None
    if earlier is None or known is None or known.size_bytes != file.size_bytes:
        return None
    kept = earlier.folder / FILES_NAME / name
    # Copies of older versions of ytap are links to the lake's files.
    return known if not files.is_same(name, kept) and link(kept, target) else None


def _copy_file(
    connection: duckdb.DuckDBPyConnection,
    files: Files,
    target: Path,
    name: str,
    file: LakeFile,
    earlier: Backup | None,
) -> Copied:
    """Take one file into a copy: a link to the same file of the copy before, or its bytes."""
    known = earlier.files.get(name) if earlier else None
    if earlier is None or known is None:
        return _fetch(connection, files, target, name, file)
    kept = earlier.folder / FILES_NAME / name
    is_kept = describe(kept) == known  # where it is not, that copy is damaged and says nothing
    if is_kept and files.describe(name) != known:
        raise LakeDamagedError(
            f"{files.root}{name}, of the table {file.table}: damaged: its content differs from its"
            f" last backup; copy the undamaged file {kept} to its place, or restore a backup"
        )
    if is_kept and not files.is_same(name, kept) and link(kept, target):
        return known
    return _fetch(connection, files, target, name, file)


def _fetch(
    connection: duckdb.DuckDBPyConnection, files: Files, target: Path, name: str, file: LakeFile
) -> Copied:
    """Copy a file's bytes, and read every value of the copy: it may be damaged on its way."""
    copied = files.fetch(name, target)
    _decode(connection, str(target), files.root + name, file)
    if copied.size_bytes != file.size_bytes:
        raise LakeDamagedError(
            f"{files.root}{name}, of the table {file.table}: {copied.size_bytes:,} bytes were read"
            f" instead of {file.size_bytes:,}; check the disk or the server, and try again"
        )
    return copied


def _decode(connection: duckdb.DuckDBPyConnection, place: str, source: str, file: LakeFile) -> None:
    """Read every value of a Parquet file.

    Raises:
        LakeDamagedError: It cannot be read, or its number of rows differs from the catalog.
    """
    try:
        row = connection.execute(
            "SELECT count(*), bit_xor(hash(f)) FROM read_parquet(?, hive_partitioning => false) f",
            [place],
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


@contextmanager
def _naming_damage(settings: Settings, partial: Path, earlier: Copy | None) -> Iterator[None]:
    """Say of damage to the lake that no copy was made of it, and which copy is the newest good."""
    try:
        yield
    except LakeDamagedError as error:
        newest = (
            f"the newest valid backup is {earlier.folder}"
            if earlier
            else "there is no valid backup"
        )
        message = str(error).replace(str(partial / CATALOG_NAME), settings.catalog_name)
        raise BackupError(f"{message}; no backup was made; {newest}") from error


def restore(
    settings: Settings, folder: Path, now: datetime, *, readers_s: float = _READERS_S
) -> list[str]:
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

    Returns:
        Where the previous catalog and its files are kept; empty if there were none.

    Raises:
        BackupError: The copy is damaged, or was made by a newer DuckDB; or a link, or a folder
            instead of a file, is at a target path.
        LockTimeoutError: A writer still holds the lock.
        DiskFullError: There is no space left for it.
        DiskFailureError: The disk, or a limit of the process, refused to read or write.
    """
    backup = check_sizes(folder)
    check_content(folder / CATALOG_NAME, backup.catalog)
    check_catalog(backup)
    if _version(backup.duckdb_version) > _version(duckdb.__version__):
        raise BackupError(
            f"{folder} was made by DuckDB {backup.duckdb_version}, newer than the installed"
            f" {duckdb.__version__}; install that version first"
        )
    files, catalog = find_files(settings), find_catalog(settings)
    with naming_failures(settings.data_path), hold_copies(settings):
        remove_restoring(settings)
        files.check_ways(backup.files)
        try:
            staged_files = files.stage(
                {
                    name: (folder / FILES_NAME / name, expected)
                    for name, expected in backup.files.items()
                }
            )
            copied, current = open_copied(folder), _current_facts(catalog)
            _check_place(files, catalog, current, copied.read_facts().mark)
            # A catalog that was thought lost, and is only elsewhere, is refused by a new mark.
            mark = files.read_mark() if current else None
            facts = replace(copied.read_facts(), data_path=files.root, mark=mark)
            staged = catalog.stage(folder / CATALOG_NAME, files.root, mark)
            if staged.read_facts() != facts:
                raise damaged(copied.path)
            commits = copied.read_commits()
            newest = newest_sequence(settings, list_copies(settings))
            note = json.dumps(asdict(Restored(commits.lake_id, commits.newest, newest)))
            with catalog.lock().hold():
                suffix = f".before-{now:%Y%m%dT%H%M%S%f}"
                current = _current_facts(catalog)
                if mark != (files.read_mark() if current else None):
                    raise BackupError(
                        f"{catalog} was made or opened meanwhile; nothing was restored; run the"
                        " command again"
                    )
                if current and catalog.may_lose_answers:
                    # The previous lake is kept with every file that it refers to.
                    CommitFiles(catalog, files, time.sleep).recover()
                replacement = _Replacement(
                    files, staged_files, list(backup.files), suffix, [facts, *current]
                )
                if place := catalog.find_kept(suffix) or replacement.find_kept():
                    raise BackupError(f"{place} already exists; run the command again")
                if not current:
                    files.remove_mark()
                kept = replacement.run(lambda: catalog.replace_by(staged, suffix, note, readers_s))
        finally:
            with suppress(LakeError, OSError):  # the next restore or maintenance removes it
                remove_restoring(settings)
    return kept


def _check_place(
    files: Files, catalog: Catalog, current: Sequence[CatalogFacts], restored: str | None
) -> None:
    """See that the place is that of the current catalog, or of the lost one that comes back.

    The files of the current one may be lost, but not be somewhere else.

    Raises:
        BackupError: It is that of another catalog, whose files would be moved away.
        LakeError: The current catalog's files are elsewhere.
    """
    found = files.read_mark()
    for facts in current if found is None else ():
        if facts.data_path != files.root:
            check_place(facts, catalog, files)
    expected = current[0].mark if current else restored
    if found is not None and found != expected:
        raise BackupError(
            f"{files} is the place of another catalog's files, not of {catalog} or the backup:"
            f" they have different marks ({MARK}); nothing was restored; check YTAP_CATALOG and"
            " YTAP_DATA_PATH, which belong together; if no other catalog uses the place, remove"
            f" {files.root}{MARK}"
        )


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
            f"{settings.backups}: no space to restore {folder} into a temporary folder, which needs"
            f" {needed:,} bytes; the checksums of its files are correct, but its tables were not"
            " verified; free some space and verify it again"
        ) from error
    differing = [
        f"{name} has {tables.get(name, 'no')} rows instead of {rows}"
        for name, rows in (backup.tables or {}).items()
        if tables.get(name) != rows
    ]
    if differing:
        raise BackupError(
            f"{folder}: the restored tables differ: {'; '.join(differing)}; use another backup"
        )
    return Verified(backup, tables)


def _count_restored(settings: Settings, folder: Path, now: datetime) -> dict[str, int]:
    """Restore a backup to a temporary folder; the rows of its tables, all of which are read."""
    with naming_failures(settings.backups), scratch(settings.backups / "verify") as at:
        restored = Settings(at, at / "lake" / CATALOG_NAME, at / "lake" / FILES_NAME)
        restore(restored, folder, now)
        try:
            with (
                translate_errors(restored),
                closing(attach(restored, read_only=True)) as connection,
            ):
                return _count_rows(connection, find_catalog(restored), reads_all=True)
        except (duckdb.Error, LakeDamagedError) as error:
            message = " ".join(str(error).split())
            raise BackupError(
                f"{folder}: the restored lake cannot be read: {message}; use another backup"
            ) from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.removeprefix("v").split(".") if part.isdecimal())


class _Replacement:
    """The replacement of a lake's files and catalog by staged ones: of all of them or none.

    The caller holds the write lock.
    """

    def __init__(
        self,
        files: Files,
        staged: Staged,
        names: list[str],
        suffix: str,
        facts: Sequence[CatalogFacts],
    ) -> None:
        """Find what is replaced.

        Args:
            files: The lake's files.
            staged: What will be put there.
            names: The names of these files.
            suffix: Behind the name of the place where the previous files are kept.
            facts: Of the backup, and of the current catalog if it can be read: what they refer to
                is never deleted by an undo, and files elsewhere are those of another lake.
        """
        self._files, self._staged, self._names = files, staged, names
        self._referred = {name for one in facts[1:] for name in one.files}
        folders = frozenset(folder for one in facts for folder in one.folders)
        self._old = [
            name
            for name in files.list_parquet()
            if name in names
            or name in self._referred
            or (is_made_by_lake(name) and is_below(name, folders))
        ]
        self._kept = files.beside(suffix)
        self._placed: list[str] = []

    def find_kept(self) -> str | None:
        """The place of the files that are kept, if anything is there already."""
        return str(self._kept) if self._kept.exists() else None

    def run(self, replace_catalog: Callable[[], str | None]) -> list[str]:
        """Replace the lake: the files first, since the catalog refers to them.

        Args:
            replace_catalog: Replaces the catalog; returns where the previous one is kept.

        Returns:
            Where the previous catalog and its files are kept.
        """
        try:
            self._files.keep(self._old, self._kept)
            for name in self._names:
                self._placed.append(name)
                self._staged.put(name)
            kept = replace_catalog()
        except RestoreInDoubtError:
            raise  # either lake may be the one that is there
        except BaseException:
            self._undo()
            raise
        self._files.delete(set(self._old).difference(self._names))
        return [*([kept] if kept else []), *([str(self._kept)] if self._old else [])]

    def _undo(self) -> None:
        old, placed = set(self._old), set(self._placed)
        self._kept.keep(placed & old, self._files)
        self._files.delete(placed - old - self._referred)
        self._kept.remove()


def _current_facts(catalog: Catalog) -> list[CatalogFacts]:
    """What the current catalog refers to, if there is one that can be read."""
    try:
        return [catalog.read_facts()] if catalog.exists() else []
    except LakeDamagedError:
        return []


def _count_rows(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, reads_all: bool
) -> dict[str, int]:
    """Rows by table at the newest snapshot, optionally decoding every value."""
    hashed = ", bit_xor(hash(t))" if reads_all else ""
    counts = {}
    # In one transaction: each statement outside one looks for the newest snapshot itself.
    connection.execute("BEGIN")
    try:
        for schema, table in list_tables(connection, catalog):
            place = ".".join('"' + part.replace('"', '""') + '"' for part in (LAKE, schema, table))
            row = connection.execute(f"SELECT count(*){hashed} FROM {place} t").fetchone()
            counts[table if schema == "main" else f"{schema}.{table}"] = int(row[0]) if row else 0
    finally:
        connection.execute("ROLLBACK")
    return counts
