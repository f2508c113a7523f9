"""Small SQLite files in which an installation remembers what outlives a process.

Belongs here: one transaction on such a file, alone over all processes. Does not belong here: what
is remembered (`kept_answers`, `ledger`), or anything of the lake.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

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
        sqlite3.Error: The file cannot be used; a `sqlite3.DatabaseError` that is no
            `sqlite3.OperationalError` says that it is broken.
        OSError: Its folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)) as connection:
        if not is_durable:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in tables:
                connection.execute(table)
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
