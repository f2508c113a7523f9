"""Copy the lake, and verify what is copied.

Parquet files never change once written. So a file that the newest good copy holds, with the same
name and size, is linked from that copy; a new file is decoded once and its bytes are copied. No
file of a copy is ever a link to the lake's: what damages the lake in place leaves its copies as
they are.

A file that is linked must have the same checksum in the lake and in the copy still. Both are read
where maintenance may write the file anew, since damage would be written with it; of the others, a
part with each copy, so that `ROTATION` copies read all of them. Reading all of them each time costs
as much as the lake is large. The restore drill reads all of the newest copy.

Belongs here: making a copy. Does not belong here: looking at copies (`copies`), or restoring one
(`restore`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zlib import crc32

import duckdb

from ytap_assets.lakehouse.catalog import (
    CatalogFacts,
    LakeFile,
    check_files,
    check_integrity,
    read_catalog,
)
from ytap_assets.lakehouse.connection import attach, require_catalog
from ytap_assets.lakehouse.copies import (
    MARKER,
    Copy,
    copy_bytes,
    copy_catalog,
    hold_copies,
    link,
    list_copies,
    naming_failures,
    newest_good,
    newest_sequence,
    remove_leftovers,
    scratch,
    sync,
)
from ytap_assets.lakehouse.errors import BackupError, LakeDamagedError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.maintenance import find_rewritten
from ytap_assets.lakehouse.manifest import (
    CATALOG_NAME,
    FILES_NAME,
    MANIFEST,
    Backup,
    Copied,
    describe,
    read_manifest,
    write_manifest,
)
from ytap_assets.lakehouse.snapshots import count_rows
from ytap_assets.settings import Settings

ROTATION = 28
"""So many copies in a row compare every file of the lake with its checksum."""


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
        LockTimeoutError: Somebody wrote for too long.
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
            with WriteLock(settings.catalog).hold():
                copy_catalog(settings.catalog, partial / CATALOG_NAME)
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
                raise BackupError(f"{folder}: its manifest is not read as it was written")
            sync(partial / MANIFEST)
            partial.rename(folder)
            (folder / MARKER).unlink()
    return backup


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
    for parent in folder.resolve().parents:
        if _is_copy(parent):
            raise BackupError(f"{folder} is inside the backup {parent}: choose another place")


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
    catalog = partial / CATALOG_NAME
    check_integrity(catalog, is_copy=True)
    facts = read_catalog(catalog, is_copy=True)
    check_files(facts, settings)
    (partial / FILES_NAME).mkdir()
    rewritten = find_rewritten(facts.files)
    copied: dict[str, Copied] = {}
    with closing(attach(replace(settings, catalog=catalog), read_only=True)) as connection:
        for name, file in sorted(facts.files.items()):
            source, target = settings.data_path / name, partial / FILES_NAME / name
            target.parent.mkdir(parents=True, exist_ok=True)
            is_read = reads_all or name in rewritten or _is_due(name, made.sequence or 0)
            known = None if is_read else _link_unread(source, target, name, file, earlier)
            copied[name] = known or _copy_file(connection, source, target, name, file, earlier)
        tables = _count_rows(connection, settings, facts)
    return replace(
        made, files=copied, lake_id=facts.lake_id, snapshot_id=facts.snapshot_id, tables=tables
    )


def _count_rows(
    connection: duckdb.DuckDBPyConnection, settings: Settings, facts: CatalogFacts
) -> dict[str, int]:
    """Rows by table.

    Raises:
        LakeDamagedError: A file that was not read before is damaged at its end.
    """
    try:
        return count_rows(connection, reads_all=False)
    except duckdb.Error as error:
        for name, file in sorted(facts.files.items()):
            _decode(connection, settings.data_path / name, file)
        message = " ".join(str(error).split())
        raise LakeDamagedError(f"{settings.data_path}: damaged: {message}") from error


def _is_due(name: str, sequence: int) -> bool:
    return (crc32(name.encode()) - sequence) % ROTATION == 0


def _link_unread(
    source: Path, target: Path, name: str, file: LakeFile, earlier: Backup | None
) -> Copied | None:
    """Link a file of the same name and size from the copy before; None if there is none.

    The sizes of the files of both were compared with the catalog's and the manifest's.
    """
    known = earlier.files.get(name) if earlier else None
    if earlier is None or known is None or known.size_bytes != file.size_bytes:
        return None
    kept = earlier.folder / FILES_NAME / name
    # Copies of older versions of ytap are links to the lake's files.
    return known if not kept.samefile(source) and link(kept, target) else None


def _copy_file(
    connection: duckdb.DuckDBPyConnection,
    source: Path,
    target: Path,
    name: str,
    file: LakeFile,
    earlier: Backup | None,
) -> Copied:
    """Take one file into a copy: a link to the same file of the copy before, or its bytes."""
    known = earlier.files.get(name) if earlier else None
    if earlier is None or known is None:
        _decode(connection, source, file)
        return copy_bytes(source, target)
    kept = earlier.folder / FILES_NAME / name
    is_kept = describe(kept) == known  # where it is not, that copy is damaged and says nothing
    if is_kept and describe(source) != known:
        raise LakeDamagedError(
            f"{source}, of the table {file.table}: damaged, its content is not what was copied"
            f" before: {kept} is the same file, undamaged: copy it back, or restore a backup"
        )
    if not is_kept:
        _decode(connection, source, file)
    if is_kept and not kept.samefile(source) and link(kept, target):
        return known
    return copy_bytes(source, target)


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


@contextmanager
def _naming_damage(settings: Settings, partial: Path, earlier: Copy | None) -> Iterator[None]:
    """Say of damage to the lake that no copy was made of it, and which copy is the newest good."""
    try:
        yield
    except LakeDamagedError as error:
        newest = f"the newest good one is {earlier.folder}" if earlier else "there is no good one"
        message = str(error).replace(str(partial / CATALOG_NAME), str(settings.catalog))
        raise BackupError(f"{message}; no copy is made; {newest}") from error
