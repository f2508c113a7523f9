"""The catalog of a lake: one interface for a SQLite file and a PostgreSQL database.

A catalog is a set of tables in which DuckLake stores snapshots, tables and the names of files.
Backups, the sweep and the check-up read these tables directly, which is possible also where DuckDB
would refuse the lake, and where nothing may be written.

Belongs here: what differs between the kinds of catalogs (`Catalog`), and what is read from any of
them. Does not belong here: one kind (`sqlite_catalog`, `postgres_catalog`), attaching a lake
(`connection`), the files themselves (`files`), or judging what is found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

import duckdb

from ytap_assets.lakehouse.errors import LakeDamagedError, LakeError
from ytap_assets.lakehouse.files import COMMITS, MARK, Files, find_unsafe_name
from ytap_assets.lakehouse.lock import Lock

LAKE = "lake"
WAY_BACK = "restore a backup with `ytap restore FOLDER` (`ytap doctor` shows the newest)"
Mode = Literal["read", "write", "create"]
"""What a lake is attached for; only `create` makes the catalog's tables."""
Rows = Sequence[tuple[object, ...]]
Select = Callable[[str], Rows]
_FILES = """
SELECT s.path, t.path, f.path, s.path_is_relative AND t.path_is_relative AND f.path_is_relative,
       t.table_name, f.file_size_bytes, f.rows, f.deleted
FROM (
    SELECT d.table_id, d.path, d.path_is_relative, d.file_size_bytes, d.record_count AS rows,
           CASE WHEN d.end_snapshot IS NULL THEN coalesce(x.delete_count, 0) END AS deleted
    FROM ducklake_data_file d
    LEFT JOIN ducklake_delete_file x
        ON x.data_file_id = d.data_file_id AND x.end_snapshot IS NULL
    UNION ALL
    SELECT table_id, path, path_is_relative, file_size_bytes, delete_count,
           CASE WHEN end_snapshot IS NULL THEN delete_count END
    FROM ducklake_delete_file
) f
JOIN (SELECT table_id, schema_id, path, path_is_relative, table_name,
             row_number() OVER (PARTITION BY table_id ORDER BY begin_snapshot DESC) AS place
      FROM ducklake_table) t ON t.table_id = f.table_id AND t.place = 1
JOIN (SELECT schema_id, path, path_is_relative,
             row_number() OVER (PARTITION BY schema_id ORDER BY begin_snapshot DESC) AS place
      FROM ducklake_schema) s ON s.schema_id = t.schema_id AND s.place = 1
"""
_FOLDERS = """
SELECT DISTINCT s.path, t.path, s.path_is_relative AND t.path_is_relative
FROM ducklake_table t JOIN ducklake_schema s USING (schema_id)
"""
_COUNT = """
SELECT (SELECT count(*) FROM ducklake_data_file) + (SELECT count(*) FROM ducklake_delete_file)
"""
_SCHEDULED = "SELECT path, path_is_relative FROM ducklake_files_scheduled_for_deletion"
MARK_KEY = "ytap_place"
"""The key of ``ducklake_metadata`` whose value is the mark of the place of the files."""
INTENT_KEY = "ytap_erasure"
"""The key of ``ducklake_metadata`` whose value is the intent of an erasure that is not complete."""
READ_MARK = f"SELECT value FROM ducklake_metadata WHERE key = '{MARK_KEY}'"
_DATA_PATH = "SELECT value FROM ducklake_metadata WHERE key = 'data_path' AND scope IS NULL"
LAKE_ID = "SELECT schema_uuid FROM ducklake_schema ORDER BY schema_id, begin_snapshot LIMIT 1"


@dataclass(frozen=True)
class LakeFile:
    """A file that a catalog refers to.

    Attributes:
        table: The table it belongs to.
        size_bytes: Its size, as the catalog recorded it when the file was written.
        rows: Its rows, likewise; of a file of deletes, the rows that it deletes.
        deleted: How many of its rows the newest snapshot holds for deleted; None if the newest
            snapshot does not refer to the file.
    """

    table: str
    size_bytes: int
    rows: int
    deleted: int | None


@dataclass(frozen=True)
class CatalogFacts:
    """What a catalog holds.

    Attributes:
        lake_id: Names the lake, whatever its place.
        snapshot_id: The newest snapshot.
        files: The files of every readable snapshot, by their names below the data path.
        scheduled: Names of the files that no snapshot refers to any more and that wait for their
            deletion.
        folders: The tables' folders below the data path.
        data_path: Where it says that its files are; if they were moved by hand, where they were.
        mark: The mark that the place of the files has, too; None before both get one.
    """

    lake_id: str
    snapshot_id: int
    files: dict[str, LakeFile]
    scheduled: frozenset[str]
    folders: frozenset[str]
    data_path: str
    mark: str | None


@dataclass(frozen=True)
class Commits:
    """The commits that a catalog knows.

    Attributes:
        lake_id: Names the lake, whatever its place.
        times: The instant of each readable snapshot, as text in UTC, by number.
    """

    lake_id: str
    times: dict[int, str]

    @property
    def newest(self) -> int:
        """The newest snapshot."""
        return max(self.times)

    def lacks(self, number: int, time: str) -> bool:
        """Whether a commit of this lake is missing: it is newer, or another has its number."""
        return number > self.newest or self.times.get(number, time) != time


class Catalog(ABC):
    """One catalog. `str` is its name in messages, without a password.

    Attributes:
        extensions: The extensions of DuckDB that attach a lake with such a catalog.
        variables: What DuckDB is told before, as `NAME = VALUE`.
        tables: What DuckDB puts before the name of a table of the catalog.
        may_lose_answers: Whether a commit may be made whose answer does not arrive.
    """

    extensions: tuple[str, ...]
    variables: tuple[str, ...]
    tables: str
    may_lose_answers: bool

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is one.

        Raises:
            CatalogUnreachableError: The server cannot be asked.
        """

    @abstractmethod
    def check_content(self) -> None:
        """See that an existing catalog is not empty.

        Raises:
            LakeDamagedError: It is.
        """

    @abstractmethod
    def find_obstacle(self) -> str | None:
        """What is in the place where a catalog would be created; None if nothing is."""

    @abstractmethod
    def create(self, attach: Callable[[Catalog], None]) -> None:
        """Create an empty catalog; it gets its name when it is complete.

        The caller holds the write lock.

        Args:
            attach: Attaches a lake with another catalog, which creates its tables.
        """

    @abstractmethod
    def attach(self, connection: duckdb.DuckDBPyConnection, data_path: str, mode: Mode) -> None:
        """Attach the lake as `LAKE`, the default database.

        Raises:
            LakeDamagedError: The catalog cannot be read.
            LakeReadOnlyError: It is to be written to, and cannot be.
            DiskFullError: There is no space left for what SQLite keeps beside the catalog.
            CatalogBusyError: Another program keeps the catalog locked for too long.
            CatalogUnreachableError: The server cannot be asked.
        """

    @abstractmethod
    def attach_statement(self, data_path: str, mode: Mode, name: str = LAKE) -> str:
        """The ATTACH statement; the plain DuckDB command line takes it too.

        The data path is overridden so that a data folder can be moved.
        """

    @abstractmethod
    def lock(
        self,
        name: str | None = None,
        *,
        parts: Collection[str] = (),
        timeout_s: float | None = None,
    ) -> Lock:
        """The write lock, or another lock of this lake.

        Args:
            name: The other lock's name.
            parts: What of it is locked; everything if empty. Who locks other parts is not excluded
                by a server; a lock of files has no parts.
            timeout_s: How long to wait for it, in seconds; the lock's default if None.
        """

    @abstractmethod
    def query(self, cursor: duckdb.DuckDBPyConnection, statement: str) -> Rows:
        """Run a query in the catalog's own database, through DuckDB.

        It takes an eighth of what DuckDB needs to join the same tables.

        Args:
            cursor: Where the lake is attached.
            statement: A query of the catalog's tables. Literals in it are part of the program, or
                quoted.
        """

    @abstractmethod
    def touch(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Begin to change the catalog, and undo it, to see whether another program locks it.

        Raises:
            duckdb.Error: It is locked.
        """

    @abstractmethod
    def purge(self) -> None:
        """Rewrite the catalog's storage without what its deleted rows and former values left.

        The caller holds the write lock. What is outside the catalog's own files stays: a server's
        log, its replicas and its backups.

        Raises:
            CatalogBusyError: Other programs used the catalog for too long.
            DiskFullError: There is no space for a second copy of the catalog.
            CatalogUnreachableError: The server cannot be asked.
            LakeReadOnlyError: The user of the server does not own the catalog's tables.
        """

    @abstractmethod
    def select(self) -> AbstractContextManager[Select]:
        """Run queries without attaching the lake, all of them as of one moment.

        Raises:
            LakeDamagedError: The catalog cannot be read; also for what is read meanwhile.
            DiskFullError: There is no space left, of which a read needs a little, too.
            CatalogBusyError: Another program keeps the catalog locked.
            CatalogUnreachableError: The server cannot be asked.
        """

    @abstractmethod
    def check_integrity(self) -> None:
        """See that the catalog is whole, and holds nothing that changes what is written or read.

        Raises:
            LakeDamagedError: It is damaged, or has a trigger, a view, or a table that replaces
                rows. DuckLake makes none.
        """

    @abstractmethod
    def copy_to(self, target: Path) -> None:
        """Copy the catalog, as it is at one moment, to a new SQLite file.

        Raises:
            LakeDamagedError: The catalog cannot be read.
            OSError: The file cannot be written.
        """

    @abstractmethod
    def stage(self, copy: Path, data_path: str, mark: str | None) -> Catalog:
        """Bring a copy, which `copy_to` made, into the place of this catalog, under another name.

        What was staged before is there until the copy is complete, and removed then. Whoever
        attaches it without naming the place of its files is not led to those of the original.

        Args:
            copy: The copy; it is not changed.
            data_path: Where the staged one says that its files are.
            mark: Its mark; None to let it get one when it is opened.

        Raises:
            OSError: There is no space for it.
            CatalogUnreachableError: The server cannot be asked.
        """

    @abstractmethod
    def find_staged(self) -> Catalog | None:
        """What `stage` made, complete; None if there is nothing."""

    @abstractmethod
    def remove_staged(self) -> None:
        """Remove what `stage` made, also what a process left that was killed."""

    @abstractmethod
    def find_kept(self, suffix: str) -> str | None:
        """The catalog that has the name of this one with a suffix; None if there is none."""

    @abstractmethod
    def replace_by(self, staged: Catalog, suffix: str, note: str, timeout_s: float) -> str | None:
        """Replace this catalog by a staged one, at one moment; the caller holds the write lock.

        Args:
            staged: From `stage`.
            suffix: The name under which this catalog is kept, behind its own name.
            note: The note of the catalog from then on.
            timeout_s: How long to wait for readers of this catalog, in seconds.

        Returns:
            Where this catalog is kept; None if there was none.

        Raises:
            BackupError: Readers used it for too long; nothing is changed.
        """

    @abstractmethod
    def read_note(self) -> str | None:
        """The note that the last `replace_by` made; None if there is none, or it is unreadable."""

    def find_commit(self, commit_id: str) -> int | None:
        """The snapshot of a commit, once no commit is under way; None if it was not made.

        Args:
            commit_id: The id that `Transaction` gave it.

        Raises:
            LakeDamagedError: The catalog cannot be read.
            CatalogUnreachableError: The server cannot be asked.
        """
        with self.select() as select:
            rows = select(
                "SELECT snapshot_id FROM ducklake_snapshot_changes WHERE commit_extra_info"
                f" LIKE {quote(f'%{commit_id}%')}"
            )
        return next((_int(number) for (number,) in rows), None)

    def read_facts(self) -> CatalogFacts:
        """Read what the catalog refers to.

        Raises:
            LakeDamagedError: It cannot be read, has no snapshot, holds values of a wrong type, or
                refers to a file by a name that leads out of the data path.
        """
        try:
            with self.select() as select:
                return self._read_facts(select)
        except (TypeError, ValueError, OverflowError) as error:
            raise LakeDamagedError(
                f"{self}: the catalog is damaged: {error}; {WAY_BACK}"
            ) from error

    def read_commits(self) -> Commits:
        """Read which commits the catalog knows; none of its files.

        Raises:
            LakeDamagedError: It cannot be read, or has no snapshot.
        """
        with self.select() as select:
            rows = select("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot")
            times = {number: _in_utc(time) for number, time in rows if isinstance(number, int)}
            lake_id = next(iter(select(LAKE_ID)), None)
        if not times or lake_id is None:
            raise LakeDamagedError(
                f"{self}: the catalog is damaged: it has no snapshot; {WAY_BACK}"
            )
        return Commits(str(lake_id[0]), times)

    def _read_facts(self, select: Select) -> CatalogFacts:
        files = {
            self._join(*path, is_relative=ours): LakeFile(
                str(table), _int(size), _int(rows), None if deleted is None else _int(deleted)
            )
            for *path, ours, table, size, rows, deleted in select(_FILES)
        }
        [(count,)] = select(_COUNT)
        [(snapshot,)] = select("SELECT max(snapshot_id) FROM ducklake_snapshot")
        lake_id = next(iter(select(LAKE_ID)), None)
        mark = next((str(mark) for (mark,) in select(READ_MARK)), None)
        data_path = next((str(path) for (path,) in select(_DATA_PATH)), "")
        scheduled = [self._join(path, is_relative=ours) for path, ours in select(_SCHEDULED)]
        folders = [
            self._join(schema, table, "any.parquet", is_relative=ours)
            for schema, table, ours in select(_FOLDERS)
        ]
        if snapshot is None or lake_id is None:
            raise LakeDamagedError(
                f"{self}: the catalog is damaged: it has no snapshot; {WAY_BACK}"
            )
        if len(files) != count:
            raise self._damaged(
                f"of {count} files, only {len(files)} belong to a table and are listed once"
            )
        return CatalogFacts(
            str(lake_id[0]),
            _int(snapshot),
            files,
            frozenset(scheduled),
            frozenset(str(PurePosixPath(name).parent) for name in folders),
            data_path,
            mark,
        )

    def _damaged(self, why: object) -> LakeDamagedError:
        return LakeDamagedError(f"{self}: the catalog is damaged: {why}; {WAY_BACK}")

    def _join(self, *parts: object, is_relative: object) -> str:
        name = str(PurePosixPath(*_texts(parts)))
        problem = find_unsafe_name(name) if is_relative else "is absolute"
        if problem:
            raise LakeDamagedError(
                f"{self}: refers to the file {name[:200]!r}, whose name {problem}; a lake's files"
                f" are all below its data path; {WAY_BACK}"
            )
        return name


def check_place(facts: CatalogFacts, catalog: object, files: Files) -> bool:
    """See that the files in a place are those of a catalog, and of no other.

    Two catalogs with one place delete each other's files, and files in a wrong place are found by
    no other process. So the catalog and the place have the same mark. Files that are lost are no
    matter here, if others are there (`check_files`).

    Args:
        facts: What the catalog refers to, and its mark.
        catalog: Its name, for the message.
        files: The place.

    Returns:
        Whether both have the same mark. If not (the lake is new, older than marks, restored, or its
        files were moved by hand), both may get a new one.

    Raises:
        LakeError: The place has another mark; or it has none, and only files that the catalog does
            not refer to, or none of those that it refers to; or neither has any, and the catalog
            says that its files are elsewhere.
    """
    mark = files.read_mark()
    if mark is not None and mark == facts.mark:
        return True
    if mark is not None:
        raise LakeError(
            f"{files} is the place of another catalog's files, not of {catalog}: they have"
            f" different marks ({MARK}); nothing was written; check YTAP_CATALOG and"
            " YTAP_DATA_PATH, which belong together; if no other catalog uses the place, remove"
            f" {files.root}{MARK}"
        )
    there = files.list_parquet().keys()
    is_known = facts.mark is None or facts.data_path == files.root
    if facts.files.keys() & there or (not (facts.files or there) and is_known):
        return False
    way = f"; if it is the right place, write {facts.mark} to {files.root}{MARK}"
    raise LakeError(
        f"{files} is not the place of the files of {catalog}: it has no {MARK}, and"
        f" {len(there)} Parquet files, none of them among the {len(facts.files)} that the catalog"
        " refers to; nothing was written; check YTAP_CATALOG and YTAP_DATA_PATH, which belong"
        f" together; if the files are lost, {WAY_BACK}{way if facts.mark else ''}"
    )


def check_files(facts: CatalogFacts, catalog: object, files: Files) -> None:
    """See that every file a catalog refers to is there, of the size that it records.

    A pipe or a device in the place of a file counts as missing: to read it would wait for ever.

    Args:
        facts: What the catalog refers to.
        catalog: Its name, for the message.
        files: The files.

    Raises:
        LakeDamagedError: Some are not; the message names the first, its table, and what to do.
    """
    there = files.list_parquet()
    bad = [
        name
        for name, file in sorted(facts.files.items())
        if name not in there or there[name].size_bytes != file.size_bytes
    ]
    if bad:
        first = facts.files[bad[0]]
        state = f"{there[bad[0]].size_bytes:,} bytes long" if bad[0] in there else None
        state = state or files.describe_absence(bad[0])
        kept = {name.partition("/")[2] for name in files.beside(COMMITS).list_parquet()}
        way = (
            "they belong to a commit whose answer was lost, and were kept; `ytap maintain` puts"
            " them back"
            if kept.issuperset(bad)
            else f"check YTAP_DATA_PATH and YTAP_CATALOG; {WAY_BACK}"
        )
        raise LakeDamagedError(
            f"{files}: {len(bad)} of {len(facts.files)} files that the catalog {catalog} refers to"
            f" are missing or damaged, such as {bad[0]} of the table {first.table}, which is"
            f" {state} and should have {first.size_bytes:,} bytes; {way}"
        )


def list_settlements(metadata: str, data_path: str, mark: str | None) -> list[str]:
    """Statements that make a copied catalog that of files elsewhere, with another mark.

    Args:
        metadata: The name of its table ``ducklake_metadata``.
        data_path: Where its files are.
        mark: Its mark; None for none.
    """
    statements = [
        f"UPDATE {metadata} SET value = {quote(data_path)}"
        " WHERE key = 'data_path' AND scope IS NULL",
        f"DELETE FROM {metadata} WHERE key = {quote(MARK_KEY)}",
    ]
    values = f"{quote(MARK_KEY)}, {quote(mark or '')}"
    return statements + ([f"INSERT INTO {metadata} (key, value) VALUES ({values})"] if mark else [])


def quote(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _in_utc(time: object) -> str:
    """An instant as text: SQLite has it as text in UTC, PostgreSQL as an instant in any zone."""
    try:
        instant = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    except ValueError:
        return str(time)
    return str(instant.astimezone(UTC)) if instant.tzinfo else str(instant)


def _int(value: object) -> int:
    if not isinstance(value, int | float | str):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    return int(value)


def _texts(values: Sequence[object]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{str(value)[:40]!r} is not a text")
    return [str(value) for value in values]
