"""Where state that outlives a process is: the interface, and a small SQLite file.

`shared_state` is the other place, a PostgreSQL database. The statements of `state` are the same for
both. Does not belong here: what is stored (`state`).
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

LOCK_TIMEOUT_S = 10.0
"""How long to wait for another process's transaction; one takes milliseconds."""
_ENVIRONMENT_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")


class StateError(Exception):
    """State cannot be used; it has no text of anything but the place's own errors.

    Attributes:
        is_damaged: Whether the content is the cause, and not the environment (a lock, a full disk).
    """

    def __init__(self, message: str, *, is_damaged: bool = False) -> None:
        super().__init__(message)
        self.is_damaged = is_damaged


class Rows(Protocol):
    """A transaction: `sqlite3.Connection`, or what behaves like it."""

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Any:
        """Run a statement, whose values are marked by ?; a cursor of its rows."""


class State(Protocol):
    """A place of state, for several processes; its name in a text is what an operator knows."""

    order: str
    """The column that has the order in which rows were inserted."""
    way_out: str
    """What to do with content that is wrong."""

    def is_absent(self) -> bool:
        """Whether it is known, without a look inside, that nothing is stored."""

    def has(self, table: str) -> bool:
        """Whether a table was created; True if that cannot be found out."""

    def open(self, *tables: str, is_durable: bool) -> AbstractContextManager[Rows]:
        """One transaction, committed as a whole or not at all.

        Args:
            *tables: The statements that create its tables, which are missing at first.
            is_durable: Whether a commit survives a crash, and no other durable transaction takes
                place at the same time.

        Raises:
            StateError: It cannot be used: locked for long, no space, not reachable, or damaged.
        """

    def discard(self, *tables: str) -> None:
        """Remove damaged tables, as `open` names them, so that they are created again.

        Raises:
            StateError: They cannot be removed.
        """


def list_names(tables: Sequence[str]) -> list[str]:
    """The names of the tables that statements create."""
    return [match[1] for one in tables if (match := _TABLE.match(one))]


class StateFile:
    """A SQLite file; a transaction excludes every other.

    The file is closed after each transaction, so that no process holds it for long.
    """

    order = "rowid"
    way_out = "move it away"

    def __init__(self, path: Path) -> None:
        """Take the file, which is created with its folder at the first transaction.

        Args:
            path: The file.
        """
        self.path = path

    def __str__(self) -> str:
        """For messages: the path."""
        return str(self.path)

    def is_absent(self) -> bool:
        """See `State.is_absent`."""
        return not self.path.is_file()

    def has(self, table: str) -> bool:  # noqa: ARG002
        """See `State.has`: a file is created with its tables."""
        return not self.is_absent()

    @contextmanager
    def open(self, *tables: str, is_durable: bool) -> Iterator[sqlite3.Connection]:
        """See `State.open`.

        A durable file is created with its tables or not at all: an existing one is left unchanged,
        whatever it holds.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if is_durable:
                _create(self.path, tables)
            with _open(self.path, *([] if is_durable else tables), is_durable=is_durable) as rows:
                yield rows
        except sqlite3.Error as error:
            raise StateError(str(error), is_damaged=not _is_environmental(error)) from None
        except UnicodeDecodeError as error:  # a corrupt name, quoted in SQLite's error message
            raise StateError(str(error), is_damaged=True) from None
        except OSError as error:
            raise StateError(str(error)) from None

    def discard(self, *tables: str) -> None:  # noqa: ARG002
        """See `State.discard`: the file is removed."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:  # for example a read-only folder
            raise StateError(str(error)) from None


@contextmanager
def _open(path: Path, *tables: str, is_durable: bool) -> Iterator[sqlite3.Connection]:
    with closing(_connect(path, is_durable=is_durable)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in tables:
                connection.execute(table)
            yield connection
        except BaseException:
            with suppress(sqlite3.Error):  # a corrupt file cannot be rolled back either
                connection.rollback()
            raise
        connection.commit()


def _create(path: Path, tables: Sequence[str]) -> None:
    """Create a file with its tables if there is none; it is renamed to its path when complete.

    An empty file, which SQLite would take for a new database, was not created here and has no
    tables.
    """
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        created = Path(folder, path.name)
        with _open(created, *tables, is_durable=True):
            pass
        try:
            os.link(created, path)
        except OSError:  # another process created it meanwhile, or links are not supported
            if not path.exists():
                created.replace(path)


def _connect(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
    if not is_durable:
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
        except BaseException:
            connection.close()
            raise
    return connection


def _is_environmental(error: sqlite3.Error) -> bool:
    """Whether the cause is the environment (a lock, a full disk) and not the file's content."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _ENVIRONMENT_CODES
