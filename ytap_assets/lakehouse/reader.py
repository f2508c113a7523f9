"""Reading: bound to one workspace, or across all of them under another name.

A reader sees one snapshot per call and never waits for writers. Values are always bound; names of
tables and columns come from the declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import polars as pl

from ytap_assets.lakehouse.connection import LAKE
from ytap_assets.lakehouse.schema import read_earlier
from ytap_assets.lakehouse.snapshots import stored_at
from ytap_assets.tables import Table

Cursors = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
Days = tuple[date, date]
Wanted = Mapping[str, Sequence[str]]
_DAY = timedelta(days=1)


class Reader:
    """Reads the rows of one workspace, now or as of a snapshot."""

    def __init__(self, cursors: Cursors, workspace_id: str, *, as_of: int | None = None) -> None:
        self._cursors = cursors
        self.workspace_id = workspace_id
        self.as_of = as_of

    def read(
        self,
        table: Table,
        *,
        days: Days | None = None,
        columns: Sequence[str] | None = None,
        wanted: Wanted | None = None,
    ) -> pl.DataFrame:
        """The workspace's rows of a table.

        Args:
            table: What to read.
            days: First and last day, both included; all days where None.
            columns: Which columns, in this order; all where None.
            wanted: Column -> values to keep.

        Raises:
            SnapshotMissingError: The snapshot never was, or has expired.
        """
        owner = {"workspace_id": [self.workspace_id]}
        return _read(self._cursors, table, days, columns, {**(wanted or {}), **owner}, self.as_of)


class CrossReader:
    """Reads the rows of every workspace: a separate, visible step over the border between them."""

    def __init__(self, cursors: Cursors, *, as_of: int | None = None) -> None:
        self._cursors = cursors
        self.as_of = as_of

    def read_across(
        self,
        table: Table,
        *,
        days: Days | None = None,
        columns: Sequence[str] | None = None,
        wanted: Wanted | None = None,
    ) -> pl.DataFrame:
        """Rows of a table of all workspaces; arguments and errors as `Reader.read`."""
        return _read(self._cursors, table, days, columns, wanted or {}, self.as_of)

    def last_seqs(self, table: Table) -> dict[str, int]:
        """The number of every workspace's last row in a sequenced table.

        Raises:
            KeyError: The table's rows are not numbered.
        """
        if not table.sequenced:
            raise KeyError(f"{table.name} has no column seq")
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            found = cursor.execute(f"SELECT workspace_id, max(seq) FROM {source} GROUP BY ALL")
            return dict(found.fetchall())

    def first_day(self, table: Table, *, since: date) -> date | None:
        """The earliest day of any workspace's rows, from a day on; None where there are none."""
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            found = cursor.execute(f"SELECT min(day) FROM {source} WHERE day >= ?", [since])
            (first,) = found.fetchall()[0]
            return first if first is None else date.fromisoformat(str(first))

    def count_rows(self, table: Table) -> int:
        """How many rows of a table there are, of all workspaces."""
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            (count,) = cursor.execute(f"SELECT count(*) FROM {source}").fetchall()[0]
            return int(count)

    def count_days(self, table: Table) -> dict[str, dict[date, int]]:
        """How many rows of a day-grained table there are, by workspace and day."""
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            found = cursor.execute(
                f"SELECT workspace_id, day, count(*) FROM {source} GROUP BY ALL ORDER BY ALL"
            )
            counts: dict[str, dict[date, int]] = {}
            for workspace_id, day, count in found.fetchall():
                counts.setdefault(workspace_id, {})[day] = count
            return counts


def unbroken_ranges(days: Iterable[date]) -> list[Days]:
    """Days, in any order, as ranges without gaps."""
    ordered = sorted(set(days))
    breaks = [n for n, (one, other) in enumerate(pairwise(ordered), 1) if other - one > _DAY]
    edges = [0, *breaks, len(ordered)]
    return [(ordered[start], ordered[end - 1]) for start, end in pairwise(edges) if end > start]


def comparable(name: str, values: Iterable[object]) -> str:
    """A column as it can be compared with the values.

    DuckLake looks for a condition's files by a statement in which a text ends at its first NUL
    character, and fails. Then the column goes through an expression, and no file is skipped.
    """
    has_nul = any(isinstance(value, str) and "\x00" in value for value in values)
    return f"(\"{name}\" || '')" if has_nul else f'"{name}"'


def _read(
    cursors: Cursors,
    table: Table,
    days: Days | None,
    columns: Sequence[str] | None,
    wanted: Wanted,
    as_of: int | None,
) -> pl.DataFrame:
    names = list(columns or table.schema)
    unknown = [name for name in (*names, *wanted) if name not in table.schema]
    if unknown:
        raise KeyError(f"{table.name} has no column {', '.join(unknown)}")
    conditions: list[str] = []
    values: list[object] = []
    for name, keep in wanted.items():
        places = ", ".join("?" for _ in keep)
        conditions.append(f"{comparable(name, keep)} IN ({places})" if keep else "false")
        values += list(keep)
    if days is not None:
        conditions.append("day BETWEEN ? AND ?")
        values += list(days)
    selected = ", ".join(f'"{name}"' for name in names)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    with cursors() as cursor:
        source = _source(cursor, table, as_of)
        result = cursor.execute(f"SELECT {selected} FROM {source}{where}", values)
        return result.pl().cast(pl.Schema({name: table.schema[name] for name in names}))


def _source(cursor: duckdb.DuckDBPyConnection, table: Table, as_of: int | None) -> str:
    return f"{LAKE}.{table.name}" if as_of is None else _as_of(cursor, table, int(as_of))


def _as_of(cursor: duckdb.DuckDBPyConnection, table: Table, snapshot: int) -> str:
    """A table as a snapshot has it, with the columns that were declared since as their defaults."""
    stored = stored_at(cursor, table.name, snapshot)
    if stored is None:
        cells = [read_earlier(column, ()) for column in table.columns]
        return f"(SELECT {', '.join(cells)} WHERE false)"
    added = [read_earlier(column, stored) for column in table.columns if column.name not in stored]
    return (
        f"(SELECT {', '.join(['*', *added])} FROM {LAKE}.{table.name} AT (VERSION => {snapshot}))"
    )
