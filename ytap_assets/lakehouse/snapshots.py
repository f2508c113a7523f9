"""Snapshots: when they were made, and what the lake held at one.

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


def stored_at(
    connection: duckdb.DuckDBPyConnection, table: str, snapshot: int
) -> frozenset[str] | None:
    """A table's columns at a snapshot; None where there was no such table then.

    Raises:
        SnapshotMissingError: The snapshot never was, or has expired.
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
