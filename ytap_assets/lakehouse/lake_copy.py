"""Copy a lake to another catalog and another place of files, of any kind.

The copy is of one snapshot. Writers wait while the catalog is copied. Until the end, backups,
restores and the deletions of maintenance are blocked, so that no file of the snapshot is deleted.

First the catalog is staged at the target; then the files are sent under the same names; then every
row is read at both ends and compared; last the staged catalog gets its name. So there is no lake at
the target before it is complete. The staged catalog is also the record of a copy that was
interrupted: it lists the files that may be there, and the next attempt goes on from them. Files at
the target that no record lists belong to somebody else, and the copy is refused.

Belongs here: the copy from lake to lake, and comparing the rows of two lakes. Does not belong here:
backups, which are folders (`backup`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import duckdb

from ytap_assets.lakehouse.catalog import (
    LAKE,
    Catalog,
    CatalogFacts,
    LakeFile,
    check_files,
    quote,
)
from ytap_assets.lakehouse.connection import (
    attach,
    find_catalog,
    find_files,
    list_tables,
    require_catalog,
)
from ytap_assets.lakehouse.copies import (
    CATALOG_NAME,
    Restored,
    hold_copies,
    list_copies,
    naming_failures,
    newest_sequence,
    remove_leftovers,
    scratch,
)
from ytap_assets.lakehouse.errors import (
    DiskFullError,
    LakeDamagedError,
    LakeError,
    explain_error,
)
from ytap_assets.lakehouse.files import MARK, Copied, Files
from ytap_assets.lakehouse.sqlite_catalog import SqliteCatalog
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings

History = Literal["keep", "leave"]
_SENDERS = 8
"""Files sent at the same time: with S3, most of the time is spent waiting for answers."""
_READERS_S = 30.0
_PLACE = "SELECT value FROM ducklake_metadata WHERE key = 'data_path' AND scope IS NULL"
_SHOWN = 5
_STATE = "the source is unchanged, and the target has no lake yet; files that were sent stay"
Sums = dict[str | None, tuple[int, int]]
"""Rows and checksum by workspace; None for a table without workspaces."""


@dataclass(frozen=True)
class ComparedTable:
    """A table of both lakes.

    Attributes:
        table: Its name.
        workspaces: How many workspaces have rows in it, in the source.
        rows: Its rows in the source.
        problems: What differs in the target; empty if nothing does.
    """

    table: str
    workspaces: int
    rows: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class LakeCopy:
    """A copy of a lake.

    Attributes:
        snapshot_id: The source's snapshot that was copied.
        snapshot_at: When it was committed, as text in UTC.
        snapshots: How many snapshots are readable at the target.
        files: The files of the copy.
        sent: How many of them were sent now; the others were there already.
        sent_bytes: Their size.
        tables: The comparison, by table.
    """

    snapshot_id: int
    snapshot_at: str
    snapshots: int
    files: int
    sent: int
    sent_bytes: int
    tables: tuple[ComparedTable, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the rows are the same; if not, the target has no catalog, so it is no lake."""
        return not any(table.problems for table in self.tables)


def copy_lake(
    source: Settings,
    target: Settings,
    run: Run,
    history: History = "keep",
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> LakeCopy:
    """Copy the newest snapshot of a lake, and its history, and compare every row.

    The same call again continues a copy that was interrupted: files at the target that have the
    same size and checksum are not sent again.

    Memory does not grow with the lake's rows: a file is sent in pieces, eight files at a time, and
    the rows are summed while they are read.

    Args:
        source: The lake; unchanged afterwards.
        target: Where it is copied to; nothing may be there, except for an interrupted copy.
        run: Who copies; named in the snapshot of a copy without history.
        history: ``keep`` copies every readable snapshot. ``leave`` copies the files of the newest
            one only, as one new snapshot, whose message names the source.
        progress: Called after each file that was sent: its name, how many were sent, and how many
            the copy has.

    Returns:
        What was copied. If it is not equal, the target was not made a lake.

    Raises:
        LakeMissingError: There is no lake to copy.
        LakeDamagedError: The source is damaged.
        LakeError: Another lake, or foreign files, are at the target; or the target is within the
            source.
        BackupError: A backup, a restore or another copy of either is running; or something is in
            the way of a file.
        LockTimeoutError: Other processes wrote for too long.
        DiskFullError: There is no space left.
        CatalogUnreachableError: A server cannot be asked.
        FilesUnreachableError: Likewise.
    """
    require_catalog(source)
    _check_apart(source, target)
    files, catalog = find_files(target), find_catalog(target)
    _check_place(catalog)
    with (
        naming_failures(source.backups if target.bucket else target.data_path, _STATE),
        hold_copies(source),
        hold_copies(target),
    ):
        _check_place(catalog)
        remove_leftovers(source.backups)
        with scratch(source.backups / "copy") as folder:
            copy = _copy_catalog(source, folder)
            commits = copy.read_commits()
            check_files(copy.read_facts(), source.catalog_name, find_files(source))
            if history == "leave":
                origin = f"{source.catalog_name}, snapshot {commits.newest}"
                _drop_history(copy.path, origin, run)
            _forget_deletions(copy.path)
            facts = replace(copy.read_facts(), data_path=files.root, mark=None)
            _clear_target(files, catalog, facts)
            staged = catalog.stage(copy.path, files.root, None)
            if staged.read_facts() != facts:
                raise LakeError(f"{staged}: is not what was written; run the command again")
            snapshots = len(copy.read_commits().times)
        sent = _send(find_files(source), files, facts, progress)
        newest = commits.newest if history == "keep" else facts.snapshot_id
        tables = _compare(source, commits.newest, target, staged, newest)
        if not any(table.problems for table in tables):
            note = Restored(
                facts.lake_id, facts.snapshot_id, newest_sequence(source, list_copies(source))
            )
            with catalog.lock().hold():
                _check_place(catalog)
                catalog.replace_by(staged, ".before-copy", json.dumps(asdict(note)), _READERS_S)
            catalog.remove_staged()
    return LakeCopy(
        snapshot_id=commits.newest,
        snapshot_at=commits.times[commits.newest],
        snapshots=snapshots,
        files=len(facts.files),
        sent=len(sent),
        sent_bytes=sum(facts.files[name].size_bytes for name in sent),
        tables=tables,
    )


def _check_apart(source: Settings, target: Settings) -> None:
    """See that no file of the target is among the source's files or backups, nor the reverse.

    Raises:
        LakeError: One is.
    """
    if source.bucket is None and target.bucket is None:
        ours, theirs = source.data_path.resolve(), target.data_path.resolve()
        is_within = theirs.is_relative_to(ours) or ours.is_relative_to(theirs)
    elif source.bucket is not None and target.bucket is not None:
        ours, theirs = (Path(one.name, one.prefix) for one in (source.bucket, target.bucket))
        is_within = source.bucket.endpoint == target.bucket.endpoint and (
            theirs.is_relative_to(ours) or ours.is_relative_to(theirs)
        )
    else:
        is_within = False
    if is_within:
        raise LakeError(
            f"{target.files_name} and the lake's own files in {source.files_name} are one place, or"
            " one is within the other: two lakes would delete each other's files; choose another"
            " place for the copy"
        )
    folders = [] if target.bucket else [target.data_path]
    folders += [] if target.database else [target.catalog]
    for place in folders:
        if place.resolve().is_relative_to(source.backups.resolve()):
            raise LakeError(f"{place} is among the backups; choose another place for the copy")


def _check_place(catalog: Catalog) -> None:
    if obstacle := catalog.find_obstacle():
        raise LakeError(
            f"{obstacle}; nothing was copied there; choose a place without a lake for the copy"
        )


def _copy_catalog(source: Settings, folder: Path) -> SqliteCatalog:
    """Copy the catalog as it is at this moment; writers wait meanwhile."""
    catalog, copy = find_catalog(source), SqliteCatalog(folder / CATALOG_NAME, is_copy=True)
    with catalog.lock().hold():
        catalog.copy_to(copy.path)
    copy.check_integrity()
    return copy


def _drop_history(catalog: Path, origin: str, run: Run) -> None:
    """Make one snapshot of a copied catalog, whose message names the origin.

    A commit has to change something: a table gets the comment that it has.
    """
    # The folder of its files is an empty one, so nothing that is done here can delete a file.
    place = Settings(catalog.parent, catalog, catalog.with_name("no-files"))
    with closing(attach(place, read_only=False)) as connection:
        tables = list_tables(connection, find_catalog(place))
        if tables:
            name = _quote_name(*tables[0])
            [(comment,)] = connection.execute(
                "SELECT comment FROM duckdb_tables()"
                f" WHERE database_name = '{LAKE}' AND schema_name = ? AND table_name = ?",
                tables[0],
            ).fetchall()
            connection.execute("BEGIN")
            connection.execute(
                f"CALL {LAKE}.set_commit_message(?, ?, extra_info => ?)",
                [
                    run.actor,
                    f"copied from {origin}",
                    json.dumps({"run_id": run.run_id, "copied_from": origin}),
                ],
            )
            text = "NULL" if comment is None else quote(comment)
            connection.execute(f"COMMENT ON TABLE {name} IS {text}")
            connection.execute("COMMIT")
        rows = connection.execute(
            f"SELECT snapshot_id FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id DESC"
        ).fetchall()
        old = [number for (number,) in rows[1:]]
        if old:
            connection.execute(f"CALL ducklake_expire_snapshots('{LAKE}', versions => ?)", [old])


def _forget_deletions(catalog: Path) -> None:
    """Leave out of a copied catalog what waits for its deletion at the source: it is not sent."""
    with closing(sqlite3.connect(catalog)) as connection:
        with connection:
            connection.execute("DELETE FROM ducklake_files_scheduled_for_deletion")
        connection.execute("PRAGMA journal_mode = DELETE")


def _clear_target(files: Files, catalog: Catalog, facts: CatalogFacts) -> None:
    """Prepare the place of the files; of an interrupted copy, remove what is not needed any more.

    Raises:
        LakeError: Files of others are there.
        BackupError: Something is in the way of a file.
        DiskFullError: There is no space.
    """
    if files.read_mark() is not None:
        raise LakeError(
            f"{files}: is the place of another catalog's files: it contains {MARK}; nothing was"
            " copied; choose an empty place, or remove it if no other catalog uses the place"
        )
    earlier = _read_earlier(files, catalog, facts.lake_id)
    there = files.list_parquet()
    if foreign := sorted(there.keys() - earlier):
        raise LakeError(
            f"{files}: contains {len(foreign)} Parquet files that no interrupted copy of this lake"
            f" sent there, such as {foreign[0][:200]}; nothing was copied; choose an empty place"
        )
    files.check_ways(facts.files)
    files.create()
    files.remove_staged()
    files.delete(there.keys() - facts.files.keys())
    needed = sum(file.size_bytes for name, file in facts.files.items() if name not in there)
    free = files.free_bytes()
    if free is not None and free < needed:
        raise DiskFullError(
            f"{files}: {needed:,} bytes are needed and {free:,} are free; nothing was copied; free"
            " some space and run the command again"
        )


def _read_earlier(files: Files, catalog: Catalog, lake_id: str) -> set[str]:
    """The names of the files that an interrupted copy may have sent to this place."""
    staged = catalog.find_staged()
    if staged is None:
        return set()
    facts = staged.read_facts()
    with staged.select() as select:
        [(place,)] = select(_PLACE)
    if facts.lake_id != lake_id or place != files.root:
        which = "this" if facts.lake_id == lake_id else "another"
        raise LakeError(
            f"{staged}: is left of an interrupted copy or restore of {which} lake with files in"
            f" {str(place)[:200]}; continue that one, or delete it, or choose another catalog"
        )
    return set(facts.files)


def _send(
    source: Files, target: Files, facts: CatalogFacts, progress: Callable[[str, int, int], None]
) -> list[str]:
    """Send what is not there, and see that all is there; the names of what was sent.

    Files that only older snapshots refer to are read again at the target, since no row of theirs is
    compared.

    Raises:
        LakeDamagedError: A file of the source has another size than the catalog says.
        LakeError: A file is not at the target as it was sent.
    """
    there = target.list_parquet()

    def send(name: str, file: LakeFile) -> Copied | None:
        state = there.get(name)
        is_there = state is not None and state.size_bytes == file.size_bytes
        if is_there and target.describe(name) == source.describe(name):
            return None
        copied = target.receive(name, source)
        if copied.size_bytes != file.size_bytes:
            raise LakeDamagedError(
                f"{source.root}{name}, of the table {file.table}: {copied.size_bytes:,} bytes were"
                f" read instead of {file.size_bytes:,}; check the disk or the server, and try again"
            )
        return copied

    def differs(name: str) -> bool:
        state = sizes.get(name)
        if name not in facts.files or state is None:
            return True
        file = facts.files[name]
        is_unread = name in sent and file.deleted is None
        return state.size_bytes != file.size_bytes or (
            is_unread and target.describe(name) != sent[name]
        )

    sent: dict[str, Copied] = {}
    pool = ThreadPoolExecutor(_SENDERS)
    try:
        waiting = {pool.submit(send, name, file): name for name, file in facts.files.items()}
        for done in as_completed(waiting):
            if copied := done.result():
                sent[waiting[done]] = copied
                progress(waiting[done], len(sent), len(waiting))
        sizes = target.list_parquet()
        names = sorted(sizes.keys() | facts.files.keys())
        differing = [
            name for name, does in zip(names, pool.map(differs, names), strict=True) if does
        ]
    finally:
        pool.shutdown(cancel_futures=True)
    if differing:
        raise LakeError(
            f"{target}: {len(differing)} files are not as they were sent, such as {differing[0]};"
            " check the disk or the server, end other programs that write there, and run the"
            " command again"
        )
    return list(sent)


def _compare(
    source: Settings, snapshot: int, target: Settings, staged: Catalog, target_snapshot: int
) -> tuple[ComparedTable, ...]:
    """Read every row of a snapshot at both ends, and compare numbers and checksums by workspace.

    One statement for each table and end.

    Raises:
        LakeDamagedError: A table of the source cannot be read.
        CatalogUnreachableError: A server cannot be asked.
        FilesUnreachableError: Likewise.
    """
    compared = []
    with (
        closing(attach(source, read_only=True)) as here,
        closing(attach(target, read_only=True, catalog=staged)) as there,
    ):
        for connection in (here, there):
            # Each file is read once. Kept in memory, they would fill it up to DuckDB's limit.
            connection.execute("SET GLOBAL enable_external_file_cache = false")
        tables = list_tables(here, find_catalog(source), as_of=snapshot)
        copied = list_tables(there, staged, as_of=target_snapshot)
        for schema, table in sorted({*tables, *copied}):
            name = table if schema == "main" else f"{schema}.{table}"
            if (schema, table) not in copied or (schema, table) not in tables:
                compared.append(ComparedTable(name, 0, 0, ("is in one of the two lakes only",)))
                continue
            with _naming_table(source, name):
                ours = sum_rows(here, schema, table, snapshot)
            try:
                with _naming_table(target, name):
                    theirs = sum_rows(there, schema, table, target_snapshot)
                problems = tuple(_find_differences(ours, theirs))
            except LakeDamagedError as error:
                problems = (str(error),)
            rows = sum(count for count, _ in ours.values())
            compared.append(ComparedTable(name, len(ours.keys() - {None}), rows, problems))
    return tuple(compared)


def sum_rows(connection: duckdb.DuckDBPyConnection, schema: str, table: str, snapshot: int) -> Sums:
    """Rows, and the sum of a hash of each row's values, by workspace, in any order of rows."""
    place = f"{_quote_name(schema, table)} AT (VERSION => {snapshot})"
    columns = connection.execute(f"FROM {place} LIMIT 0").description or ()
    values = [_quote_name(name) for name, *_ in columns]
    # To the hash, an empty list is the same as none.
    values += [f"{_quote_name(name)} IS NULL" for name, kind, *_ in columns if "[" in str(kind)]
    owner = "workspace_id" if any(name == "workspace_id" for name, *_ in columns) else "NULL"
    rows = connection.execute(
        f"SELECT {owner}::VARCHAR, count(*), sum(hash({', '.join(values)})::HUGEINT)"
        f" FROM {place} GROUP BY ALL"
    ).fetchall()
    return {workspace: (count, checksum) for workspace, count, checksum in rows}


def _find_differences(ours: Sums, theirs: Sums) -> Iterable[str]:
    differing = [one for one in ours.keys() | theirs.keys() if ours.get(one) != theirs.get(one)]
    names = sorted(differing, key=str)
    for name in names[:_SHOWN]:
        who = "the table" if name is None else f"workspace {name}"
        [(rows, _), (copied, _)] = (sums.get(name, (0, 0)) for sums in (ours, theirs))
        what = "other values" if rows == copied else f"{copied:,} rows"
        yield f"{who} has {rows:,} rows, and {what} in the copy"
    if len(names) > _SHOWN:
        yield f"{len(names) - _SHOWN} more workspaces differ"


@contextmanager
def _naming_table(settings: Settings, table: str) -> Iterator[None]:
    """Turn an error of reading a table into ours.

    Raises:
        LakeDamagedError: A file of it is damaged.
        LakeError: A server cannot be asked, or another cause outside of the lake.
    """
    try:
        yield
    except duckdb.Error as error:
        if (explained := explain_error(error, settings)) is not None:
            raise explained from error
        message = " ".join(str(error).split())
        raise LakeDamagedError(
            f"{settings.files_name}: the table {table} cannot be read: {message[:300]}"
        ) from error


def _quote_name(*parts: str) -> str:
    """A name as part of a statement; of a table, its schema and its name."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
