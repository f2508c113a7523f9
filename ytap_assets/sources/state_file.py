"""Small SQLite files in which an installation remembers what outlives a process.

Belongs here: one transaction on such a file, alone over all processes. Does not belong here: what
is remembered (`kept_answers`, `parking`, `ledger`), or anything of the lake.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

_LOG = logging.getLogger(__name__)
_CIRCUMSTANCES = frozenset(
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
T = TypeVar("T")
_PATIENCE_S = 10.0
"""How long another process's transaction is waited for; one takes milliseconds."""


@contextmanager
def open_state(path: Path, *tables: str, is_durable: bool) -> Iterator[sqlite3.Connection]:
    """One transaction: nobody else reads or writes meanwhile, and it is kept as a whole or not.

    The file is opened for it and closed after it, so that no process holds one for long.

    Args:
        path: The file; it and its folder are made where they are missing.
        *tables: The statements that make its tables, where they are missing.
        is_durable: Whether it has to outlive a loss of power; if not, it may be broken by one.

    Raises:
        sqlite3.Error: The file cannot be used: locked for long, no room, or broken.
        OSError: Its folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(_connect(path, is_durable=is_durable)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for table in tables:
                    connection.execute(table)
                yield connection
            except BaseException:
                with suppress(sqlite3.Error):  # what is broken cannot be rolled back either
                    connection.rollback()
                raise
            connection.commit()
    except UnicodeDecodeError as error:  # its own words are damaged, and quoted in a complaint
        raise sqlite3.DatabaseError(str(error)) from error


def make_state(path: Path, *tables: str) -> None:
    """Make a file with its tables, where there is none: it gets its name when it is complete.

    What is there already stays as it is, whatever it holds: an empty file, which SQLite would take
    for a new database, was not made here, and has no tables.

    Raises:
        sqlite3.Error: It cannot be made.
        OSError: Its folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        made = Path(folder, path.name)
        with open_state(made, *tables, is_durable=True):
            pass
        try:
            os.link(made, path)
        except OSError:  # another process made it meanwhile, or there are no links here
            if not path.exists():
                made.replace(path)


def _connect(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    if not is_durable:
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
        except BaseException:
            connection.close()
            raise
    return connection


def try_state(path: Path, *tables: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """What ``work`` brings from a file that is a mere convenience; None where it cannot be used.

    A broken file is removed and begins anew; either way the log tells.
    """
    # The log gets words: an error it held on to would hold on to the lock as well.
    try:
        with open_state(path, *tables, is_durable=False) as connection:
            return work(connection)
    except OSError as error:
        _LOG.warning("%s is left alone: %s", path, str(error))
    except sqlite3.Error as error:
        if _is_passing(error):
            _LOG.warning("%s is left alone: %s", path, str(error))
        else:
            _LOG.warning("%s is broken (%s) and begins anew", path, str(error))
            _remove(path)
    return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # its folder is read-only, say: then nothing can be remembered
        _LOG.warning("%s cannot be removed: %s", path, str(error))


def _is_passing(error: sqlite3.Error) -> bool:
    """Whether the circumstances are to blame (a lock, a full disk) and not what the file holds."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CIRCUMSTANCES
