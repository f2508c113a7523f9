"""Snapshots: their times, and the rows of the lake at a snapshot.

Imports neither Polars nor pandera: `ytap sql --as-of` answers through here.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from ytap_assets.lakehouse.connection import LAKE
from ytap_assets.lakehouse.errors import SnapshotMissingError

_END_OF_NUMBERS = 2**63


def commit_times(connection: duckdb.DuckDBPyConnection) -> list[datetime]:
    """When each readable snapshot was committed, by the clock of the machine, in their order."""
    rows = connection.execute(
        f"SELECT snapshot_time FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
    ).fetchall()
    return [at for (at,) in rows]


def count_rows(connection: duckdb.DuckDBPyConnection, *, reads_all: bool) -> dict[str, int]:
    """Rows by table at the newest snapshot, optionally decoding every value."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
        [LAKE],
    ).fetchall()
    hashed = ", bit_xor(hash(t))" if reads_all else ""
    counts = {}
    for schema, table in tables:
        place = ".".join('"' + part.replace('"', '""') + '"' for part in (LAKE, schema, table))
        row = connection.execute(f"SELECT count(*){hashed} FROM {place} t").fetchone()
        counts[table if schema == "main" else f"{schema}.{table}"] = int(row[0]) if row else 0
    return counts


def stored_at(
    connection: duckdb.DuckDBPyConnection, table: str, snapshot: int
) -> frozenset[str] | None:
    """A table's columns at a snapshot; None if there was no such table then.

    Raises:
        SnapshotMissingError: The snapshot does not exist, or has expired.
    """
    if not 0 <= snapshot < _END_OF_NUMBERS:
        raise SnapshotMissingError(_explain(snapshot))
    try:
        empty = connection.execute(f"FROM {LAKE}.{table} AT (VERSION => {snapshot}) LIMIT 0")
    except duckdb.CatalogException:
        return None
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        raise SnapshotMissingError(_explain(snapshot)) from error
    return frozenset(name for name, *_ in empty.description or ())


def _explain(snapshot: int) -> str:
    return (
        f'snapshot {snapshot} never was, or has expired; `ytap sql "FROM'
        " ducklake_snapshots('lake')\"` lists those that can be read"
    )
