"""What a SQLite catalog refers to, read from its file without attaching it.

Backups, the sweep and the check-up compare a catalog with the files that are there. They read the
catalog's own tables, which is possible also where DuckDB would refuse the lake, and where nothing
may be written. Belongs here: reading a catalog's tables. Does not belong here: attaching a lake
(`connection`), or judging what is found.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ytap_assets.lakehouse.errors import LakeDamagedError, can_write, explain_error, is_cramped
from ytap_assets.safe_files import describe_kind
from ytap_assets.settings import Settings

WAY_BACK = "restore a backup with `ytap restore FOLDER` (`ytap doctor` shows the newest)"
_BUSY_S = 30.0
_JOURNALS = ("-wal", "-shm", "-journal")
_LONGEST_NAME, _LONGEST_PART = 1024, 255
_LONGEST_SHOWN = 80
_OURS = re.compile(
    r"ducklake-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-delete)?\.parquet"
)
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
JOIN (SELECT table_id, schema_id, max(begin_snapshot), path, path_is_relative, table_name
      FROM ducklake_table GROUP BY table_id) t USING (table_id)
JOIN (SELECT schema_id, max(begin_snapshot), path, path_is_relative
      FROM ducklake_schema GROUP BY schema_id) s USING (schema_id)
"""
_FOLDERS = """
SELECT DISTINCT s.path, t.path, s.path_is_relative AND t.path_is_relative
FROM ducklake_table t JOIN ducklake_schema s USING (schema_id)
"""
_COUNT = """
SELECT (SELECT count(*) FROM ducklake_data_file) + (SELECT count(*) FROM ducklake_delete_file)
"""
_SCHEDULED = "SELECT path, path_is_relative FROM ducklake_files_scheduled_for_deletion"
_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
_REPLACES = re.compile(r"\bON(\s|--[^\n]*\n|/\*.*?\*/)+CONFLICT\b", re.IGNORECASE | re.DOTALL)
"""The conflict clause of a table, which may delete a row where another one is inserted."""
_LAKE_ID = "SELECT schema_uuid FROM ducklake_schema ORDER BY schema_id, begin_snapshot LIMIT 1"


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
    """

    lake_id: str
    snapshot_id: int
    files: dict[str, LakeFile]
    scheduled: frozenset[str]
    folders: frozenset[str]


@dataclass(frozen=True)
class Commits:
    """The commits that a catalog knows.

    Attributes:
        lake_id: Names the lake, whatever its place.
        times: The instant of each readable snapshot, as the catalog stores it, by number.
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


def list_journals(catalog: Path) -> list[Path]:
    """What SQLite may keep beside a catalog."""
    return [catalog.with_name(catalog.name + suffix) for suffix in _JOURNALS]


def check_not_empty(catalog: Path) -> None:
    """See that a catalog has any content.

    It is not opened: to close a file gives up every lock that the process holds on it, those of
    DuckDB's SQLite included. What else is no catalog, SQLite says.

    Raises:
        LakeDamagedError: It has none. SQLite would take that for a new database.
    """
    if not catalog.stat().st_size:
        raise LakeDamagedError(f"{catalog}: the catalog is damaged: the file is empty; {WAY_BACK}")


@contextmanager
def open_catalog(catalog: Path, *, is_copy: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a catalog's file for reading.

    Where this process has the lake attached, no transaction may be open on it: to close the file
    gives up the transaction's locks. Who holds the write lock knows that none is.

    Args:
        catalog: The file.
        is_copy: Nobody writes to it: no journal is read, and nothing written beside it.

    Raises:
        LakeDamagedError: It cannot be read; also for what is read while it is open.
        DiskFullError: There is no space left, of which a read needs a little, too.
        CatalogBusyError: Another program keeps it locked.
    """
    check_not_empty(catalog)
    mode = "mode=ro&immutable=1" if is_copy or _is_frozen(catalog) else "mode=ro"
    try:
        uri = f"{catalog.absolute().as_uri()}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite may quote a damaged schema
        if (explained := explain_error(error, catalog, catalog.parent)) is not None:
            raise explained from error
        raise LakeDamagedError(
            f"{catalog}: the catalog is damaged or cannot be read: {error}; {WAY_BACK}"
        ) from error


def read_catalog(catalog: Path, *, is_copy: bool = False) -> CatalogFacts:
    """Read what a catalog refers to.

    Raises:
        LakeDamagedError: It cannot be read, has no snapshot, holds values of a wrong type, or
            refers to a file by a name that leads out of the data path.
    """
    try:
        return _read_facts(catalog, is_copy=is_copy)
    except (TypeError, ValueError, OverflowError) as error:
        raise LakeDamagedError(f"{catalog}: the catalog is damaged: {error}; {WAY_BACK}") from error


def read_commits(catalog: Path, *, is_copy: bool = False) -> Commits:
    """Read which commits a catalog knows; none of its files.

    Raises:
        LakeDamagedError: It cannot be read, or has no snapshot.
    """
    with open_catalog(catalog, is_copy=is_copy) as connection:
        rows = connection.execute("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot")
        times = {number: str(time) for number, time in rows if isinstance(number, int)}
        lake_id = connection.execute(_LAKE_ID).fetchone()
    if not times or lake_id is None:
        raise LakeDamagedError(f"{catalog}: the catalog is damaged: it has no snapshot; {WAY_BACK}")
    return Commits(str(lake_id[0]), times)


def _read_facts(catalog: Path, *, is_copy: bool) -> CatalogFacts:
    with open_catalog(catalog, is_copy=is_copy) as connection:
        connection.execute("BEGIN")  # one moment for all that is read
        files = {
            _join(catalog, *path, is_relative=ours): LakeFile(
                str(table), int(size), int(rows), None if deleted is None else int(deleted)
            )
            for *path, ours, table, size, rows, deleted in connection.execute(_FILES)
        }
        [(count,)] = connection.execute(_COUNT).fetchall()
        [(snapshot,)] = connection.execute(
            "SELECT max(snapshot_id) FROM ducklake_snapshot"
        ).fetchall()
        lake_id = connection.execute(_LAKE_ID).fetchone()
        scheduled = [
            _join(catalog, path, is_relative=ours) for path, ours in connection.execute(_SCHEDULED)
        ]
        folders = [
            _join(catalog, schema, table, "any.parquet", is_relative=ours)
            for schema, table, ours in connection.execute(_FOLDERS)
        ]
    if snapshot is None or lake_id is None:
        raise LakeDamagedError(f"{catalog}: the catalog is damaged: it has no snapshot; {WAY_BACK}")
    if len(files) != count:
        raise LakeDamagedError(
            f"{catalog}: the catalog is damaged: of {count} files, only {len(files)} belong to a"
            f" table and are listed once; {WAY_BACK}"
        )
    return CatalogFacts(
        str(lake_id[0]),
        int(snapshot),
        files,
        frozenset(scheduled),
        frozenset(str(PurePosixPath(name).parent) for name in folders),
    )


def check_integrity(catalog: Path, *, is_copy: bool = False) -> None:
    """Let SQLite look at every page of a catalog, and at what its schema would do by itself.

    Raises:
        LakeDamagedError: A page is damaged, or there is a trigger, a view, or a table that replaces
            rows. DuckLake makes none, and each can change what a later write stores or a read sees.
    """
    with open_catalog(catalog, is_copy=is_copy) as connection:
        [(verdict,), *_] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        schema = connection.execute(_SCHEMA).fetchall()
    if verdict != "ok":
        message = " ".join(str(verdict).split())
        raise LakeDamagedError(f"{catalog}: the catalog is damaged: {message}; {WAY_BACK}")
    for kind, name, sql in schema:
        if kind in ("trigger", "view") or _REPLACES.search(str(sql)):
            what = "conflict clause of the table" if kind == "table" else kind
            raise LakeDamagedError(
                f"{catalog}: contains the {what} {str(name)[:_LONGEST_SHOWN]!r}, which DuckLake"
                " does not create and which can delete or hide rows; drop it from the catalog with"
                f" SQLite; {WAY_BACK}"
            )


def list_parquet(data_path: Path) -> dict[str, os.stat_result]:
    """The regular Parquet files below a folder by their names there; links are not followed."""
    found = {}
    for folder, _, names in os.walk(data_path):
        for name in names:
            path = Path(folder, name)
            if name.endswith(".parquet") and stat.S_ISREG((state := path.lstat()).st_mode):
                found[path.relative_to(data_path).as_posix()] = state
    return found


def check_files(facts: CatalogFacts, settings: Settings) -> None:
    """See that every file a catalog refers to is there, of the size that it records.

    A pipe or a device in the place of a file counts as missing: to read it would wait for ever.

    Raises:
        LakeDamagedError: Some are not; the message names the first, its table, and what to do.
    """
    there = list_parquet(settings.data_path)
    bad = [
        name
        for name, file in sorted(facts.files.items())
        if name not in there or there[name].st_size != file.size_bytes
    ]
    if bad:
        first = facts.files[bad[0]]
        state = f"{there[bad[0]].st_size:,} bytes long" if bad[0] in there else None
        state = state or _describe_place(settings.data_path / bad[0])
        raise LakeDamagedError(
            f"{settings.data_path}: {len(bad)} of {len(facts.files)} files that the catalog"
            f" {settings.catalog} refers to are missing or damaged, such as {bad[0]} of the table"
            f" {first.table}, which is {state} and should have {first.size_bytes:,} bytes; check"
            f" YTAP_DATA_PATH and YTAP_CATALOG; {WAY_BACK}"
        )


def _describe_place(path: Path) -> str:
    """What is in the place of a file, by whose name no regular file is there."""
    try:
        return describe_kind(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def find_unsafe_name(name: str) -> str | None:
    """Why a name below the data path is none that a lake's Parquet file has; None if it is.

    Whoever writes files by such names writes nowhere but below the folder that he means to.
    """
    parts = name.split("/")
    if not name.endswith(".parquet"):
        return "does not end in .parquet"
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "is absolute or is outside the folder"
    if any(sign == "\\" or unicodedata.category(sign) in {"Cc", "Cs"} for sign in name):
        return "contains a backslash or a control character"
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        return "is too long"
    return None


def list_parents(name: str) -> list[str]:
    """The folders above a name, below the data path."""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def is_made_by_lake(name: str) -> bool:
    """Whether a file's name is one that DuckLake gives."""
    return _OURS.fullmatch(PurePosixPath(name).name) is not None


def _is_frozen(catalog: Path) -> bool:
    """Whether nothing can be written beside a catalog that nobody has open."""
    journal, shared = (catalog.with_name(catalog.name + suffix) for suffix in ("-wal", "-shm"))
    is_empty = not journal.is_file() or not journal.stat().st_size
    is_full = is_cramped(catalog.parent) and not shared.exists()
    return is_empty and (is_full or not can_write(catalog.parent))


def _join(catalog: Path, *parts: str, is_relative: int) -> str:
    name = str(PurePosixPath(*parts))
    problem = find_unsafe_name(name) if is_relative else "is absolute"
    if problem:
        raise LakeDamagedError(
            f"{catalog}: refers to the file {name[:200]!r}, whose name {problem}; a lake's files"
            f" are all below its data path; {WAY_BACK}"
        )
    return name
