"""A catalog in a SQLite file: for one machine.

Several processes of the machine may use it at a time; a network file system does not do.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from ytap_assets.errors import FileRefusedError
from ytap_assets.lakehouse.catalog import (
    LAKE,
    WAY_BACK,
    Catalog,
    Mode,
    Rows,
    Select,
    list_settlements,
    quote,
)
from ytap_assets.lakehouse.errors import (
    BackupError,
    CatalogBusyError,
    DiskFullError,
    LakeDamagedError,
    LakeReadOnlyError,
    can_write,
    explain_file_error,
    is_cramped,
    is_failing,
    is_full,
    is_locked,
)
from ytap_assets.lakehouse.lock import TIMEOUT_S, WriteLock
from ytap_assets.safe_files import read_below

BUSY_TIMEOUT_S, BUSY_POLL_S = 30.0, 0.1
_JOURNALS = ("-wal", "-shm", "-journal")
_DAMAGES = (
    "disk image is malformed",
    "file is not a database",
    "No snapshot found in DuckLake",
    "new DuckLake is explicitly disabled",
)
_FAILED_READS = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)
_STAGED = re.compile(r"\.restoring-[0-9a-f]{32}(\.part)?(-wal|-shm|-journal)?")
_COMPLETE = re.compile(r"\.restoring-[0-9a-f]{32}$")
_MAX_NOTE_BYTES = 100_000
_LONGEST_SHOWN = 80
_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
_REPLACES = re.compile(r"\bON(\s|--[^\n]*\n|/\*.*?\*/)+CONFLICT\b", re.IGNORECASE | re.DOTALL)
"""The conflict clause of a table, which may delete a row where another one is inserted."""


class SqliteCatalog(Catalog):
    """The file, and what SQLite keeps beside it."""

    extensions = ("ducklake", "sqlite_scanner")
    # A parallel scan of a catalog's table reads up to the largest rowid of an earlier moment. A
    # merge of files that is committed in between replaces rows by ones with larger rowids, so the
    # list of a table's files was empty, and the table with it (`docs/ducklake.md`).
    variables = ("sqlite_disable_multithreaded_scans = true",)
    may_lose_answers = False
    tables = f"__ducklake_metadata_{LAKE}"

    def __init__(
        self,
        path: Path,
        data_path: Path | None = None,
        *,
        is_copy: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the file.

        Args:
            path: The file.
            data_path: The folder of the lake's files, for messages; the file's folder if None.
            is_copy: Nobody writes to it: no journal is read, and nothing written beside it.
            sleep: Waits so many seconds, while another program keeps it locked.
        """
        self.path = path
        self._data_path = data_path or path.parent
        self._is_copy = is_copy
        self._sleep = sleep

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """See `Catalog.exists`."""
        return self.path.is_file()

    def check_content(self) -> None:
        """See `Catalog.check_content`. SQLite would take an empty file for a new database.

        The file is not opened: to close it gives up every lock that the process holds on it, those
        of DuckDB's SQLite included. What else is no catalog, SQLite says.
        """
        if not self.path.stat().st_size:
            raise LakeDamagedError(f"{self}: the catalog is damaged: the file is empty; {WAY_BACK}")

    def find_obstacle(self) -> str | None:
        """See `Catalog.find_obstacle`."""
        if self.path.is_symlink() and not self.path.exists():
            return f"{self} is a broken symbolic link"
        if self.path.exists():
            return f"{self} is {'a folder' if self.path.is_dir() else 'an existing file'}"
        for journal in list_journals(self.path):
            if not journal.name.endswith("-shm") and journal.exists():
                return f"{journal} is the journal of a missing catalog"
        return None

    def create(self, attach: Callable[[Catalog], None]) -> None:
        """See `Catalog.create`.

        A process that finds the file may attach it without waiting, and one that was killed here
        leaves nothing behind that counts.
        """
        making = self.path.with_name(f"{self.path.name}.making")
        for file in (making, *list_journals(making)):
            file.unlink(missing_ok=True)
        attach(SqliteCatalog(making, self._data_path))
        # On a full disk, SQLite leaves what it cannot write into the file in the journal, and says
        # nothing.
        try:
            with closing(sqlite3.connect(making)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise DiskFullError(
                f"{self}: could not be completed: {error}; no lake was created; free some space and"
                " run the command again"
            ) from None
        making.rename(self.path)

    def attach(self, connection: duckdb.DuckDBPyConnection, data_path: str, mode: Mode) -> None:
        """See `Catalog.attach`."""
        statement = self.attach_statement(data_path, mode)
        with _translate_damage(self.path):
            try:
                self._execute_patiently(connection, statement)
                connection.execute(f"USE {LAKE}")
            except duckdb.Error as error:
                explained = explain_file_error(error, self.path, self._data_path)
                if explained is None:
                    raise
                is_spared = isinstance(explained, LakeReadOnlyError | DiskFullError)
                if not (mode == "read" and is_spared and self._attach_copy(connection, data_path)):
                    raise explained from error

    def _execute_patiently(self, connection: duckdb.DuckDBPyConnection, statement: str) -> None:
        """Execute a statement again while another program keeps the catalog locked.

        SQLite waits by itself for most locks, but never to change how a catalog keeps its journal.
        """
        began, waited = time.monotonic(), 0.0
        while True:
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                # What SQLite waited by itself counts, less a second for its rounding.
                has_waited = max(waited, time.monotonic() - began) >= BUSY_TIMEOUT_S - 1
                if not is_locked(error) or has_waited:
                    raise
            else:
                return
            self._sleep(BUSY_POLL_S)
            waited += BUSY_POLL_S

    def _attach_copy(self, connection: duckdb.DuckDBPyConnection, data_path: str) -> bool:
        """Attach a copy of the catalog, for reading; the copy goes with the connection.

        SQLite makes files beside a catalog even to read it. Where it cannot, because the folder is
        read-only or the disk full, nobody else has the catalog open, so that a copy is whole.

        Returns:
            Whether there was a place for the copy.

        Raises:
            CatalogBusyError: Somebody wrote to it meanwhile.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="ytap-catalog-"))
            weakref.finalize(connection, shutil.rmtree, folder, ignore_errors=True)
            before = _stamps(self.path)
            for file in before:
                shutil.copyfile(file, folder / file.name)
        except OSError:
            return False
        if _stamps(self.path) != before:
            raise CatalogBusyError(
                f"{self}: another program wrote to it at the same time; run the command again"
            )
        copied = SqliteCatalog(folder / self.path.name)
        connection.execute(copied.attach_statement(data_path, "read"))
        connection.execute(f"USE {LAKE}")
        return True

    def attach_statement(self, data_path: str, mode: Mode, name: str = LAKE) -> str:
        """See `Catalog.attach_statement`."""
        options = [
            f"DATA_PATH {quote(data_path)}",
            "OVERRIDE_DATA_PATH true",
            f"META_BUSY_TIMEOUT {BUSY_TIMEOUT_S * 1000:.0f}",
        ]
        if mode == "write":
            options.append("CREATE_IF_NOT_EXISTS false")
        if mode == "read":
            options.append("READ_ONLY")
        else:
            # The inlining limit holds for this attachment alone: it is for the tables that a new
            # lake begins with, before the lake's own option is stored (`schema.plan_changes`).
            options += ["META_JOURNAL_MODE 'WAL'", "DATA_INLINING_ROW_LIMIT 0"]
        return f"ATTACH {quote(f'ducklake:sqlite:{self.path}')} AS {name} ({', '.join(options)})"

    def lock(
        self,
        name: str | None = None,
        *,
        parts: Collection[str] = (),
        timeout_s: float | None = None,
    ) -> WriteLock:
        """See `Catalog.lock`."""
        del parts
        beside = self.path.with_name(f"{self.path.name}.{name}") if name else self.path
        return WriteLock(beside, timeout_s=TIMEOUT_S if timeout_s is None else timeout_s)

    def query(self, cursor: duckdb.DuckDBPyConnection, statement: str) -> Rows:
        """See `Catalog.query`."""
        rows: Rows = cursor.execute("FROM sqlite_query(?, ?)", [self.tables, statement]).fetchall()
        return rows

    def touch(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """See `Catalog.touch`."""
        cursor.execute("BEGIN")
        try:
            cursor.execute(
                f"UPDATE {self.tables}.ducklake_metadata SET value = value WHERE key = 'version'"
            )
        finally:
            cursor.execute("ROLLBACK")

    @contextmanager
    def select(self) -> Iterator[Select]:
        """See `Catalog.select`.

        Where this process has the lake attached, no transaction may be open on it: to close the
        file gives up the transaction's locks. Who holds the write lock knows that none is.
        """
        with self._open() as connection:
            connection.execute("BEGIN")
            yield lambda statement: connection.execute(statement).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.check_content()
        is_still = self._is_copy or _is_frozen(self.path)
        uri = f"{self.path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_still else ''}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
                yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite may quote a damaged schema
            if (explained := explain_file_error(error, self.path, self.path.parent)) is not None:
                raise explained from error
            raise LakeDamagedError(
                f"{self}: the catalog is damaged or cannot be read: {error}; {WAY_BACK}"
            ) from error

    def purge(self) -> None:
        """See `Catalog.purge`. The journal is emptied, too: it has the pages as they were."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as connection:
                connection.execute("VACUUM")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if (explained := explain_file_error(error, self.path, self.path.parent)) is not None:
                raise explained from error
            raise
        if busy:
            raise CatalogBusyError(
                f"{self}: another program reads the lake, so that the catalog's journal could not"
                " be emptied; end that program and run the command again"
            )

    def check_integrity(self) -> None:
        """See `Catalog.check_integrity`. SQLite looks at every page."""
        with self._open() as connection:
            [(verdict,), *_] = connection.execute("PRAGMA integrity_check(1)").fetchall()
            schema = connection.execute(_SCHEMA).fetchall()
        if verdict != "ok":
            message = " ".join(str(verdict).split())
            raise LakeDamagedError(f"{self}: the catalog is damaged: {message}; {WAY_BACK}")
        for kind, name, sql in schema:
            if kind in ("trigger", "view") or _REPLACES.search(str(sql)):
                what = "conflict clause of the table" if kind == "table" else kind
                raise LakeDamagedError(
                    f"{self}: contains the {what} {str(name)[:_LONGEST_SHOWN]!r}, which DuckLake"
                    " does not create and which can delete or hide rows; drop it from the catalog"
                    f" with SQLite; {WAY_BACK}"
                )

    def copy_to(self, target: Path) -> None:
        """See `Catalog.copy_to`. The copy holds what is in the journal, and has none."""
        with (
            self._open() as here,
            closing(sqlite3.connect(target)) as there,
            _blame_target(target),
        ):
            here.backup(there)
            there.execute("PRAGMA journal_mode = DELETE")

    def stage(self, copy: Path, data_path: str, mark: str | None) -> SqliteCatalog:
        """See `Catalog.stage`."""
        staged = self.path.with_name(f"{self.path.name}.restoring-{uuid4().hex}")
        staged.parent.mkdir(parents=True, exist_ok=True)
        part = staged.with_name(f"{staged.name}.part")
        shutil.copyfile(copy, part)
        # It keeps its journal as a lake's does. Else the first to attach it would change that,
        # which SQLite refuses at once where another program reads the catalog.
        with closing(sqlite3.connect(part)) as connection:
            with connection:
                for statement in list_settlements("ducklake_metadata", data_path, mark):
                    connection.execute(statement)
            connection.execute("PRAGMA journal_mode = WAL")
        sync(part)
        part.rename(staged)
        for path in self._list_staged():
            if path != staged:
                path.unlink()
        return SqliteCatalog(staged)

    def find_staged(self) -> SqliteCatalog | None:
        """See `Catalog.find_staged`."""
        complete = (path for path in self._list_staged() if _COMPLETE.search(path.name))
        return next((SqliteCatalog(path) for path in complete), None)

    def remove_staged(self) -> None:
        """See `Catalog.remove_staged`."""
        for path in self._list_staged():
            path.unlink()

    def _list_staged(self) -> list[Path]:
        return [
            path
            for path in self.path.parent.glob(f"{glob.escape(self.path.name)}.restoring-*")
            if _STAGED.fullmatch(path.name.removeprefix(self.path.name))
        ]

    def find_kept(self, suffix: str) -> str | None:
        """See `Catalog.find_kept`."""
        kept = self.path.with_name(self.path.name + suffix)
        return str(kept) if os.path.lexists(kept) else None

    def replace_by(self, staged: Catalog, suffix: str, note: str, timeout_s: float) -> str | None:
        """See `Catalog.replace_by`."""
        if not isinstance(staged, SqliteCatalog):
            raise TypeError(f"{staged} is no file")
        kept = self.path.with_name(self.path.name + suffix)
        place = self.path.with_name(f"{self.path.name}.restoring-{uuid4().hex}")
        has_one = self.path.is_file()
        try:
            place.write_text(note, encoding="utf-8")
            if has_one:
                self._keep(kept)
            self._empty_journal(timeout_s)
            staged.path.replace(self.path)
        except BaseException:
            for file in (place, kept, *list_journals(kept)):
                file.unlink(missing_ok=True)
            raise
        place.replace(self._note)
        return str(kept) if has_one else None

    def _keep(self, target: Path) -> None:
        """Keep the catalog under another name; byte by byte where SQLite cannot read it."""
        try:
            self.copy_to(target)
            sync(target)
        except (LakeDamagedError, sqlite3.Error):
            for journal in list_journals(target):
                journal.unlink(missing_ok=True)
            for suffix in ("", "-wal"):
                if (file := self.path.with_name(self.path.name + suffix)).is_file():
                    shutil.copyfile(file, target.with_name(target.name + suffix))

    def _empty_journal(self, timeout_s: float) -> None:
        """Write the journal into the catalog, since SQLite would apply it to another in its place.

        Raises:
            BackupError: A reader or a writer used the journal for too long.
        """
        if self.path.is_file():
            try:
                self.check_content()
                with closing(sqlite3.connect(self.path, timeout=timeout_s)) as connection:
                    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except (LakeDamagedError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
                # The journal of a catalog that cannot be read was kept with it.
                busy = "locked" in str(error)
            if busy:
                raise BackupError(
                    f"{self}: another program still uses it; end that program and run the command"
                    " again"
                )
        for journal in list_journals(self.path):
            journal.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.restored")

    def read_note(self) -> str | None:
        """See `Catalog.read_note`."""
        try:
            kept = read_below(self._note.parent, self._note.name, max_bytes=_MAX_NOTE_BYTES)
            return kept.content.decode() if kept else None
        except (FileRefusedError, UnicodeDecodeError):
            return None


def sync(file: Path) -> None:
    """Have a file written onto the disk itself."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def list_journals(catalog: Path) -> list[Path]:
    """What SQLite may keep beside a catalog."""
    return [catalog.with_name(catalog.name + suffix) for suffix in _JOURNALS]


@contextmanager
def _translate_damage(catalog: Path) -> Iterator[None]:
    """Turn what DuckDB raises over a damaged catalog into an error that says so.

    Raises:
        LakeDamagedError: The catalog cannot be read.
    """
    try:
        yield
    except (duckdb.Error, UnicodeDecodeError) as error:  # DuckDB may quote a damaged schema
        if isinstance(error, duckdb.Error) and not any(sign in str(error) for sign in _DAMAGES):
            raise
        message = " ".join(str(error).split())
        raise LakeDamagedError(
            f"{catalog}: the catalog is damaged: {message}; {WAY_BACK}"
        ) from error


@contextmanager
def _blame_target(target: Path) -> Iterator[None]:
    """Tell what cannot be written from what cannot be read: that would be damage to the source.

    Raises:
        OSError: The target cannot be written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_full(error, target.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        if is_failing(error) and error.sqlite_errorcode not in _FAILED_READS:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target)) from error
        raise


def _stamps(catalog: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of the catalog and of its journal, where there is one."""
    files = [catalog, catalog.with_name(f"{catalog.name}-wal")]
    states = {file: file.stat() for file in files if file.exists()}
    return {file: (state.st_size, state.st_mtime_ns) for file, state in states.items()}


def _is_frozen(catalog: Path) -> bool:
    """Whether nothing can be written beside a catalog that nobody has open."""
    journal, shared = (catalog.with_name(catalog.name + suffix) for suffix in ("-wal", "-shm"))
    is_empty = not journal.is_file() or not journal.stat().st_size
    is_full = is_cramped(catalog.parent) and not shared.exists()
    return is_empty and (is_full or not can_write(catalog.parent))
