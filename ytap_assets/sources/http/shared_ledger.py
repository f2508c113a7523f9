"""The quota ledger of several machines: in the PostgreSQL database of the catalog.

Two machines with one key and a ledger each would spend the quota twice. The ledger has a schema of
its own, `<schema>_state`, which a restore of the lake leaves alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from ytap_assets.domain.source_profiles import BUCKETS, Bucket
from ytap_assets.postgres import connect
from ytap_assets.settings import Database
from ytap_assets.sources.http.exchange import PermanentError
from ytap_assets.sources.http.state import QuotaLedger, check_clock, read_resets

_LOCKS = 0x79746171
"""The first of the two numbers of its lock; the write lock's is one less."""
_TABLE = """
CREATE TABLE IF NOT EXISTS spending (bucket text NOT NULL, resets_at text NOT NULL,
    calls bigint NOT NULL, is_parked integer NOT NULL, position bigserial,
    PRIMARY KEY (bucket, resets_at))
"""


class SharedQuotaLedger(QuotaLedger):
    """`QuotaLedger` in a database; one transaction of any machine at a time."""

    _order = "position"

    def __init__(self, database: Database, buckets: Iterable[Bucket] = BUCKETS) -> None:
        """Take the database; nothing is connected yet.

        To start counting at 0, an operator drops the schema.

        Args:
            database: The database.
            buckets: The known buckets.
        """
        super().__init__(Path(str(database)), buckets)
        self._database = database
        self._schema = f"{database.schema}_state"

    def exists(self) -> bool:
        """See `QuotaLedger.exists`; a server that does not answer is told by what is read next."""
        try:
            with closing(connect(self._database)) as session, session.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s)", (f"{self._schema}.spending",))
                return cursor.fetchone() != (None,)
        except psycopg2.Error:
            return True

    @contextmanager
    def _open(self, now: datetime) -> Iterator[_Statements]:
        number = crc32(self._schema.encode()) - 2**31
        try:
            with closing(connect(self._database)) as session, session, session.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCKS}, {number})")
                cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
                cursor.execute(f'SET LOCAL search_path = "{self._schema}"')
                cursor.execute(_TABLE)
                ledger = _Statements(cursor)
                check_clock(read_resets(ledger, self._known), now)
                yield ledger
        except (psycopg2.Error, ValueError) as error:
            message = " ".join(str(error).split())
            raise PermanentError(
                f"the quotas in {self._database} cannot be used ({message}); requests that count"
                " against a quota are not sent. If they were written with a wrong clock, drop the"
                f" schema {self._schema}; the count then starts at 0",
                attempts=0,
            ) from None


class _Statements:
    """A cursor that takes the statements of SQLite's driver."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def execute(self, statement: str, values: tuple[object, ...] = (), /) -> Any:
        self._cursor.execute(statement.replace("?", "%s"), values)
        return self._cursor
