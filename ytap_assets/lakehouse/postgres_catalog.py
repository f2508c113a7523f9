"""A catalog in a PostgreSQL database: for many machines.

Its tables are in a schema of their own, so a database may hold several lakes. The schema is created
under another name and renamed when it is complete; a restore renames the previous one.

Two commits from the same snapshot cannot both succeed, whoever holds the write lock: each inserts
the next snapshot's number, which is unique, and DuckLake is told not to try again with another
number. So a process that lost the lock with its connection commits nothing over others' rows.

Needs the packages of the extra `cluster`: a driver, and DuckDB's extension.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import duckdb
import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import QuotedString
from psycopg2.extensions import connection as Connection  # noqa: N812

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
from ytap_assets.lakehouse.connection import connect
from ytap_assets.lakehouse.errors import (
    BackupError,
    CatalogBusyError,
    CatalogUnreachableError,
    LakeDamagedError,
    LakeReadOnlyError,
    LockLostError,
    LockTimeoutError,
    RestoreInDoubtError,
    describe_unreachable,
    is_unreachable,
)
from ytap_assets.lakehouse.lock import TIMEOUT_S, Lock, LockHolder
from ytap_assets.lakehouse.sqlite_catalog import SqliteCatalog
from ytap_assets.postgres import connect as connect_database
from ytap_assets.postgres import list_parameters, write_parameters
from ytap_assets.settings import Database

_METADATA = f"__ducklake_metadata_{LAKE}"
_COMMIT_MS = 30_000
_LOCKS = 0x79746170
"""The first of the two numbers of our advisory locks: `ytap` in ASCII."""
_PARTS_MS = 5_000
_UNSAFE = re.compile(r"[^a-z0-9_]+")
_HOLDER = """
SELECT a.application_name, a.state_change FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = %s AND l.objid = %s
"""
_FOREIGN = """
SELECT 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT 'rule', r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = current_schema()::regnamespace
"""
_NOTE = """
SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s
"""
_UNFINISHED = "ytap: not complete; it is removed by the next restore or maintenance"
_TABLE_NAME = re.compile(r"ducklake_[a-z0-9_]{1,54}")
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p') ORDER BY relname
"""


class PostgresCatalog(Catalog):
    """The schema of a database."""

    extensions = ("ducklake", "postgres_scanner")
    variables = ("ducklake_max_retry_count = 0",)
    may_lose_answers = True

    def __init__(self, database: Database) -> None:
        """Take the database; nothing is connected yet."""
        self.database = database
        self.tables = f"{_METADATA}.{database.schema}"

    def __str__(self) -> str:
        return str(self.database)

    def exists(self) -> bool:
        """See `Catalog.exists`."""
        return "ducklake_metadata" in self._list_tables(self.database.schema)

    def check_content(self) -> None:
        """See `Catalog.check_content`. DuckLake says so itself, when it attaches the lake."""

    def find_obstacle(self) -> str | None:
        """See `Catalog.find_obstacle`."""
        if tables := self._list_tables(self.database.schema):
            return f"{self}: the schema contains {len(tables)} tables"
        return None

    def create(self, attach: Callable[[Catalog], None]) -> None:
        """See `Catalog.create`."""
        making = self._beside("making")
        with self._session() as session:
            making._begin(session)
        attach(making)
        with self._session() as session:
            _execute(session, f'DROP SCHEMA IF EXISTS "{self.database.schema}"')
            self._take_name_of(session, making)

    def _begin(self, session: Connection) -> None:
        """Create the schema of a catalog that is not complete, in place of one that was left."""
        schema = self.database.schema
        self._drop_unfinished(session)
        _execute(session, f'CREATE SCHEMA "{schema}"')
        _execute(session, f'COMMENT ON SCHEMA "{schema}" IS {_literal(session, _UNFINISHED)}')

    def _drop_unfinished(self, session: Connection) -> None:
        """Drop the schema of a catalog that was not completed.

        Raises:
            BackupError: The schema is not one that was begun here.
        """
        schema = self.database.schema
        for (note,) in _fetch(session, _NOTE, (schema,)):
            if note != _UNFINISHED:
                raise BackupError(
                    f"{self}: the schema is in the way, and was not made by ytap; rename it"
                )
            _execute(session, f'DROP SCHEMA "{schema}" CASCADE')

    def _take_name_of(self, session: Connection, other: PostgresCatalog) -> None:
        """Rename a complete catalog to this one's name."""
        schema = other.database.schema
        # Without it, each commit reads the whole table (DuckLake's issue 859).
        _execute(
            session,
            f'CREATE INDEX IF NOT EXISTS ytap_column_stats ON "{schema}"'
            ".ducklake_file_column_stats (table_id, column_id)",
        )
        _execute(session, f'COMMENT ON SCHEMA "{schema}" IS NULL')
        _execute(session, f'ALTER SCHEMA "{schema}" RENAME TO "{self.database.schema}"')

    def attach(self, connection: duckdb.DuckDBPyConnection, data_path: str, mode: Mode) -> None:
        """See `Catalog.attach`."""
        statement = self._attach_as(list_parameters(self.database), data_path, mode)
        try:
            connection.execute(statement)
            connection.execute(f"USE {LAKE}")
        except duckdb.Error as error:
            if is_unreachable(error):
                raise describe_unreachable(error, str(self)) from None
            message = " ".join(str(error).split())
            if "permission denied" in message or "read-only transaction" in message:
                raise LakeReadOnlyError(
                    f"{self}: the user may not write to the catalog: {message[-300:]}"
                ) from None
            raise LakeDamagedError(
                f"{self}: the catalog is damaged: {message[-300:]}; {WAY_BACK}"
            ) from None

    def attach_statement(self, data_path: str, mode: Mode, name: str = LAKE) -> str:
        """See `Catalog.attach_statement`. It has no password."""
        parameters = list_parameters(self.database)
        del parameters["application_name"]  # that of another process
        return self._attach_as(parameters, data_path, mode, name)

    def _attach_as(
        self, parameters: dict[str, str], data_path: str, mode: Mode, name: str = LAKE
    ) -> str:
        options = [
            f"DATA_PATH {quote(data_path)}",
            "OVERRIDE_DATA_PATH true",
            f"METADATA_SCHEMA {quote(self.database.schema)}",
        ]
        if mode == "write":
            options.append("CREATE_IF_NOT_EXISTS false")
        options.append("READ_ONLY" if mode == "read" else "DATA_INLINING_ROW_LIMIT 0")
        place = f"ducklake:postgres:{write_parameters(parameters)}"
        return f"ATTACH {quote(place)} AS {name} ({', '.join(options)})"

    def lock(
        self,
        name: str | None = None,
        *,
        parts: Collection[str] = (),
        timeout_s: float | None = None,
    ) -> Lock:
        """See `Catalog.lock`."""
        return AdvisoryLock(self, name, parts, TIMEOUT_S if timeout_s is None else timeout_s)

    def query(self, cursor: duckdb.DuckDBPyConnection, statement: str) -> Rows:
        """See `Catalog.query`."""
        rows: Rows = cursor.execute(
            f"FROM postgres_query({quote(_METADATA)}, {quote(statement)})"
        ).fetchall()
        return rows

    def touch(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """See `Catalog.touch`. The server locks rows, never the catalog."""

    @contextmanager
    def select(self) -> Iterator[Select]:
        """See `Catalog.select`."""
        with self._session(is_reading=True) as session:
            yield lambda statement: _fetch(session, statement)

    def find_commit(self, commit_id: str) -> int | None:
        """See `Catalog.find_commit`.

        A commit has inserted its snapshot before it ends, and with it a lock that this waits for.
        """
        with self._session() as session:
            _execute(session, f"SET LOCAL lock_timeout = {_COMMIT_MS}")
            table = f'"{self.database.schema}".ducklake_snapshot'
            try:
                _execute(session, f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            except psycopg2.Error as error:
                raise describe_unreachable(error, str(self)) from None
        return super().find_commit(commit_id)

    def purge(self) -> None:
        """See `Catalog.purge`. `VACUUM FULL` makes new files of the tables, one after the other.

        `ANALYZE` replaces what the planner's statistics keep of the most common values.
        """
        schema = self.database.schema
        names = sorted(self._list_tables(schema))
        with closing(self.connect()) as session, self._translate():
            _execute(session, f"SET lock_timeout = {_COMMIT_MS}")
            for name in names:
                try:
                    _execute(session, f'VACUUM (FULL, ANALYZE) "{schema}"."{name}"')
                except psycopg2.Error as error:
                    if error.pgcode != errorcodes.LOCK_NOT_AVAILABLE:
                        raise
                    raise CatalogBusyError(
                        f"{self}: other programs read the lake, so that {name} could not be"
                        " rewritten; end them and run the command again"
                    ) from None

    def check_integrity(self) -> None:
        """See `Catalog.check_integrity`. The pages themselves are the server's to check."""
        with self.select() as select:
            found = select(_FOREIGN)
        for kind, name in found:
            raise LakeDamagedError(
                f"{self}: contains the {kind} {str(name)!r}, which DuckLake does not create and"
                f" which can delete or hide rows; drop it from the schema; {WAY_BACK}"
            )

    def copy_to(self, target: Path) -> None:
        """See `Catalog.copy_to`."""
        copy = SqliteCatalog(target)
        with closing(connect(extensions=("ducklake", "sqlite_scanner"))) as connection:
            copy.attach(connection, f"{target.parent}/", "create")
        self._transfer(copy, into_copy=True)
        with closing(sqlite3.connect(target)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")

    def stage(self, copy: Path, data_path: str, mark: str | None) -> PostgresCatalog:
        """See `Catalog.stage`."""
        staging, staged = self._beside("staging"), self._beside("restoring")
        with self._session() as session:
            staging._begin(session)
        with closing(connect(extensions=self.extensions)) as connection:
            staging.attach(connection, f"{copy.parent}/", "create")
        staging._transfer(SqliteCatalog(copy, is_copy=True), into_copy=False)
        with self._session() as session:
            staged._drop_unfinished(session)
            metadata = f'"{staging.database.schema}".ducklake_metadata'
            for statement in list_settlements(metadata, data_path, mark):
                _execute(session, statement)
            _execute(
                session,
                f'ALTER SCHEMA "{staging.database.schema}" RENAME TO "{staged.database.schema}"',
            )
        return staged

    def find_staged(self) -> PostgresCatalog | None:
        """See `Catalog.find_staged`."""
        staged = self._beside("restoring")
        return staged if staged.read_note() == _UNFINISHED and staged.exists() else None

    def remove_staged(self) -> None:
        """See `Catalog.remove_staged`."""
        with self._session() as session:
            for purpose in ("staging", "restoring"):
                self._beside(purpose)._drop_unfinished(session)

    def find_kept(self, suffix: str) -> str | None:
        """See `Catalog.find_kept`."""
        kept = self._keep_as(suffix)
        return str(kept) if self._list_tables(kept.database.schema) else None

    def replace_by(self, staged: Catalog, suffix: str, note: str, timeout_s: float) -> str | None:
        """See `Catalog.replace_by`.

        Who reads the lake holds a lock on the table of snapshots until the end of the transaction.
        A transaction that begins meanwhile finds no snapshot in the new table, and fails.
        """
        if not isinstance(staged, PostgresCatalog):
            raise TypeError(f"{staged} is in no database")
        kept, has_one = self._keep_as(suffix), self.exists()
        try:
            self._replace_by(staged, kept if has_one else None, note, timeout_s)
        except CatalogUnreachableError as error:
            # The server may have committed, and the connection have ended before it said so.
            try:
                is_done = self.read_note() == note
            except CatalogUnreachableError:
                raise RestoreInDoubtError(
                    f"{self}: the connection ended while the catalog was replaced, so it is not"
                    f" known whether it was; both lakes' files are kept, the previous ones under"
                    f" {suffix}; once the server answers, `ytap doctor` shows which lake is there;"
                    " restore the backup again"
                ) from error
            if not is_done:
                raise
        return str(kept) if has_one else None

    def _replace_by(
        self, staged: PostgresCatalog, kept: PostgresCatalog | None, note: str, timeout_s: float
    ) -> None:
        schema = self.database.schema
        with self._session() as session:
            if kept is not None:
                _execute(session, f"SET LOCAL lock_timeout = {max(1, round(timeout_s * 1000))}")
                try:
                    _execute(session, f'LOCK TABLE "{schema}".ducklake_snapshot')
                except psycopg2.Error as error:
                    if error.pgcode != errorcodes.LOCK_NOT_AVAILABLE:
                        raise
                    raise BackupError(
                        f"{self}: another program still uses it; end that program and run the"
                        " command again"
                    ) from None
                rename = f'ALTER SCHEMA "{schema}" RENAME TO "{kept.database.schema}"'
                _execute(session, rename)
            else:
                _execute(session, f'DROP SCHEMA IF EXISTS "{schema}"')
            self._take_name_of(session, staged)
            _execute(session, f'COMMENT ON SCHEMA "{schema}" IS {_literal(session, note)}')

    def read_note(self) -> str | None:
        """See `Catalog.read_note`. It is the comment of the schema."""
        with self._session(is_reading=True) as session:
            rows = _fetch(session, _NOTE, (self.database.schema,))
        return next((str(note) for (note,) in rows if note is not None), None)

    def _keep_as(self, suffix: str) -> PostgresCatalog:
        return self._beside(_UNSAFE.sub("_", suffix.lower()).strip("_"))

    def _transfer(self, copy: SqliteCatalog, *, into_copy: bool) -> None:
        """Copy every row of every table from this catalog into a file, or back.

        Raises:
            LakeDamagedError: The tables have other rows afterwards.
        """
        with closing(connect(extensions=("sqlite_scanner", "postgres_scanner"))) as connection:
            connection.execute("SET GLOBAL threads = 1")
            server = quote(write_parameters(list_parameters(self.database)))
            schema = quote(self.database.schema)
            access = ", READ_ONLY" if into_copy else ""
            connection.execute(
                f"ATTACH {server} AS server (TYPE postgres, SCHEMA {schema}{access})"
            )
            connection.execute(f"ATTACH {quote(str(copy.path))} AS file (TYPE sqlite)")
            here = _list_attached(connection, "server", self.database.schema)
            there = _list_attached(connection, "file", "main")
            source, target = ("server", "file") if into_copy else ("file", "server")
            names = (here if into_copy else there) - {"sqlite_sequence"}
            for name in names:
                if not _TABLE_NAME.fullmatch(name):
                    # A copy is untrusted input, and a name of a table is part of a statement.
                    raise BackupError(
                        f"{copy}: contains the table {name[:80]!r}, which DuckLake does not create"
                    )
            known = there if into_copy else here
            connection.execute("BEGIN")
            for name in sorted(names):
                if name in known:
                    connection.execute(f'DELETE FROM {target}."{name}"')
                    connection.execute(
                        f'INSERT INTO {target}."{name}" BY NAME FROM {source}."{name}"'
                    )
                else:
                    connection.execute(f'CREATE TABLE {target}."{name}" AS FROM {source}."{name}"')
            counts = {
                place: [
                    connection.execute(f'SELECT count(*) FROM {place}."{name}"').fetchone()
                    for name in sorted(names)
                ]
                for place in (source, target)
            }
            if counts[source] != counts[target]:
                raise LakeDamagedError(f"{self}: the copied tables have other numbers of rows")
            connection.execute("COMMIT")

    def _beside(self, purpose: str) -> PostgresCatalog:
        schema = f"{self.database.schema}_{purpose}"
        return PostgresCatalog(replace(self.database, schema=schema))

    def _list_tables(self, schema: str) -> set[str]:
        with self._session(is_reading=True) as session:
            return {str(name) for (name,) in _fetch(session, _TABLES, (schema,))}

    def connect(self) -> Connection:
        """A connection of its own, whose statements commit at once.

        Raises:
            CatalogUnreachableError: The server cannot be reached, or refuses the user.
        """
        try:
            session = connect_database(self.database)
        except psycopg2.Error as error:
            raise describe_unreachable(error, str(self)) from None
        session.autocommit = True
        return session

    @contextmanager
    def _session(self, *, is_reading: bool = False) -> Iterator[Connection]:
        """A transaction: committed at the end, undone by any exception."""
        with closing(self.connect()) as session, self._translate(), session:
            if is_reading:
                session.set_session("REPEATABLE READ", readonly=True, autocommit=False)
            else:
                session.autocommit = False
            yield session

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            message = " ".join(str(error).split())
            if error.pgcode is None or is_unreachable(error):
                raise describe_unreachable(error, str(self)) from None
            if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
                raise LakeReadOnlyError(
                    f"{self}: the user lacks a privilege: {message}; nothing was written"
                ) from None
            raise LakeDamagedError(
                f"{self}: the catalog is damaged or cannot be read: {message}; {WAY_BACK}"
            ) from None


class AdvisoryLock(Lock):
    """A lock of the server, which gives it to those who wait in the order of their arrival.

    It ends with the session that holds it. The session is kept for the next time. Each part is a
    lock of its own. All of them are acquired in one order, so that no two processes wait for each
    other.
    """

    def __init__(
        self, catalog: PostgresCatalog, name: str | None, parts: Collection[str], timeout_s: float
    ) -> None:
        """Configure the lock; nothing is connected yet."""
        self._catalog = catalog
        self._name = name or "write"
        self.timeout_s = timeout_s
        names = [f"{self._name}/{part}" for part in parts] or [self._name]
        schema = catalog.database.schema
        self._numbers = sorted({crc32(f"{schema}:{one}".encode()) - 2**31 for one in names})
        # Parts are many: by chance, one could have the number of the write lock.
        self._kind = _LOCKS + 1 if parts else _LOCKS
        self._held: Connection | None = None
        self._idle: list[Connection] = []
        self._guard = threading.Lock()

    def __str__(self) -> str:
        return f"the {self._name} lock of {self._catalog}"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See `Lock.hold`."""
        session = self._held = self._acquire()
        try:
            yield
        finally:
            self._held = None
            self._release(session)

    def check(self) -> None:
        """See `Lock.check`."""
        if self._held is None:
            return
        try:
            _execute(self._held, "SELECT 1")
        except psycopg2.Error:
            raise LockLostError(
                f"{self}: the server ended the session that held it, so that another process may"
                " hold it by now; nothing was written; start the run again"
            ) from None

    def _acquire(self) -> Connection:
        with self._guard:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._wait(kept)
            except psycopg2.OperationalError:
                kept.close()  # the server has ended it meanwhile
            except LockTimeoutError:
                raise
            except BaseException:
                kept.close()  # interrupted: it may have the lock
                raise
        session = self._catalog.connect()
        try:
            return self._wait(session)
        except psycopg2.Error as error:
            session.close()
            raise describe_unreachable(error, str(self._catalog)) from None
        except LockTimeoutError:
            raise
        except BaseException:
            session.close()
            raise

    def _wait(self, session: Connection) -> Connection:
        """Wait for the lock.

        Raises:
            LockTimeoutError: Others held it for too long.
            psycopg2.OperationalError: The session has ended.
        """
        # 0 would wait for ever.
        limit = max(1, round(self.timeout_s * 1000))
        try:
            # The first begins anew with each part. The second leaves time for parts that are free.
            _execute(session, f"SET lock_timeout = {limit}")
            _execute(session, f"SET statement_timeout = {limit + _PARTS_MS}")
            numbers = ", ".join(map(str, self._numbers))
            _execute(
                session,
                f"SELECT pg_advisory_lock({self._kind}, number)"
                f" FROM unnest(ARRAY[{numbers}]) AS number",
            )
        except psycopg2.Error as error:
            if error.pgcode not in (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.QUERY_CANCELED):
                raise
            self._release(session)  # those of the parts that were free
            raise self._timed_out() from None
        return session

    def _release(self, session: Connection) -> None:
        # Where the session has ended, so has the lock.
        with suppress(psycopg2.Error):
            _execute(session, "SELECT pg_advisory_unlock_all()")
        self._keep(session)

    def _keep(self, session: Connection) -> None:
        if not session.closed:
            with self._guard:
                self._idle.append(session)

    def find_holder(self) -> LockHolder | None:
        """See `Lock.find_holder`."""
        with closing(self._catalog.connect()) as session:
            rows = _fetch(session, _HOLDER, (self._kind, self._numbers[0] % 2**32))
        for application, since in rows:
            return _read_application(str(application), since)
        return None


def _read_application(name: str, since: object) -> LockHolder:
    moment = since if isinstance(since, datetime) else datetime.now(UTC)
    match name.split(maxsplit=3):
        case ["ytap", pid, program, host] if pid.isdecimal():
            return LockHolder(moment.astimezone(UTC), int(pid), program, host)
    return LockHolder(moment.astimezone(UTC))


def _literal(session: Connection, text: str) -> str:
    quoted = QuotedString(text)
    quoted.prepare(session)
    return quoted.getquoted().decode()


def _execute(session: Connection, statement: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement)


def _fetch(session: Connection, statement: str, values: tuple[object, ...] | None = None) -> Rows:
    with session.cursor() as cursor:
        cursor.execute(statement, values)
        rows: Rows = cursor.fetchall()
        return rows


def _list_attached(connection: duckdb.DuckDBPyConnection, database: str, schema: str) -> set[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ?",
        [database, schema],
    ).fetchall()
    return {str(name) for (name,) in rows}
