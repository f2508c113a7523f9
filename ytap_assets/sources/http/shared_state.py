"""State of several machines: in the PostgreSQL database of the catalog.

It has a schema of its own, `<schema>_state`, which a restore of the lake leaves alone. Each place
keeps one connection, since making one costs more than a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Any
from zlib import crc32

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from ytap_assets.postgres import connect
from ytap_assets.settings import Database
from ytap_assets.sources.http.state_file import LOCK_TIMEOUT_S, StateError, list_names

_LOCKS = 0x79746172
"""The first of the two numbers of its lock; those of a lake's locks are two and one less."""
_PAUSE_S = 30.0
"""How long a server that was not reached is not asked for what is optional."""


class StateDatabase:
    """A schema of a database; durable transactions of all machines exclude each other.

    Tables of other transactions are not written to the server's log, and are empty after it
    crashed.
    """

    order = "position"

    def __init__(self, database: Database) -> None:
        """Take the database; nothing is connected yet.

        Args:
            database: The database.
        """
        self._database = database
        self._schema = f"{database.schema}_state"
        self.way_out = f"drop the schema {self._schema}"
        self._session: Connection | None = None
        self._made: set[str] = set()
        self._alone = Lock()
        self._paused_until = 0.0

    def __str__(self) -> str:
        """For messages: the database, and the schema."""
        return f"schema {self._schema} of {self._database}"

    def is_absent(self) -> bool:
        """See `State.is_absent`."""
        return False

    def has(self, table: str) -> bool:
        """See `State.has`."""
        try:
            with closing(connect(self._database)) as session, session.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s)", (f"{self._schema}.{table}",))
                return cursor.fetchone() != (None,)
        except psycopg2.Error:
            return True

    @contextmanager
    def open(self, *tables: str, is_durable: bool) -> Iterator[_Statements]:
        """See `State.open`."""
        with self._alone:
            try:
                session = self._begin(tables, is_durable=is_durable)
                try:
                    with session.cursor() as cursor:
                        yield _Statements(cursor)
                    session.commit()
                except BaseException:
                    with suppress(psycopg2.Error):
                        session.rollback()
                    raise
            except psycopg2.Error as error:
                self._end()
                raise StateError(" ".join(str(error).split())) from None

    def discard(self, *tables: str) -> None:
        """See `State.discard`."""
        with self.open(is_durable=True) as rows:
            for name in list_names(tables):
                rows.execute(f"DROP TABLE IF EXISTS {name}")
        self._made.clear()

    def _begin(self, tables: Sequence[str], *, is_durable: bool) -> Connection:
        """A transaction with the tables; a connection that has ended is made again."""
        is_kept = self._session is not None
        try:
            return self._prepare(tables, is_durable=is_durable)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            # What waited for a lock for too long is not tried again.
            if not is_kept or isinstance(error, psycopg2.errors.LockNotAvailable):
                raise
        self._end()
        return self._prepare(tables, is_durable=is_durable)

    def _prepare(self, tables: Sequence[str], *, is_durable: bool) -> Connection:
        if self._session is None:
            if not is_durable and monotonic() < self._paused_until:
                raise psycopg2.OperationalError("the server was not reached a moment ago")
            self._paused_until = monotonic() + _PAUSE_S
            self._session = connect(self._database)
            # Whatever the server's default is: what a lock was waited for has to be seen.
            self._session.set_session(isolation_level="READ COMMITTED")
            self._paused_until = 0.0
        session = self._session
        missing = [one for one in tables if is_durable or one not in self._made]
        with session.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {int(LOCK_TIMEOUT_S * 1000)}")
            if not is_durable:
                cursor.execute("SET LOCAL synchronous_commit = off")
            if is_durable or missing:
                number = crc32(self._schema.encode()) - 2**31
                cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCKS}, {number})")
                cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            cursor.execute(f'SET LOCAL search_path = "{self._schema}"')
            for table in missing:
                cursor.execute(_translate(table, is_durable=is_durable))
            if missing and not is_durable:
                session.commit()
                self._made.update(missing)
                return self._prepare(tables, is_durable=is_durable)
        return session

    def _end(self) -> None:
        if self._session is not None:
            with suppress(psycopg2.Error):
                self._session.close()
        self._session = None
        self._made.clear()


def _translate(table: str, *, is_durable: bool) -> str:
    """A statement of SQLite that creates a table or an index, in PostgreSQL's words."""
    words = table.replace(" BLOB ", " BYTEA ").replace("CREATE TABLE IF NOT EXISTS", "CREATE TABLE")
    kind = "TABLE" if is_durable else "UNLOGGED TABLE"
    words = words.replace("CREATE TABLE", f"CREATE {kind} IF NOT EXISTS")
    return words.replace(", PRIMARY KEY", ", position bigserial, PRIMARY KEY")


class _Statements:
    """A cursor that takes the statements of SQLite's driver."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def execute(self, statement: str, values: Sequence[object] = (), /) -> Any:
        self._cursor.execute(statement.replace("?", "%s"), values)
        return self._cursor
