"""Reading: bound to one workspace, or across all of them under another name.

A reader sees one snapshot per call and never waits for writers. Values are always bound; names of
tables and columns come from the declarations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import LAKE
from ytap_assets.lakehouse.connection import stored_at
from ytap_assets.lakehouse.schema import select_declared
from ytap_assets.tables import Table

Cursors = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
Days = tuple[date, date]
Wanted = Mapping[str, Sequence[str]]
AtLeast = Mapping[str, object]
_DAY = timedelta(days=1)
_MANY_VALUES = 16


class BatchReader:
    """Reads the rows of several named workspaces in one statement, now or as of a snapshot."""

    def __init__(
        self, cursors: Cursors, workspace_ids: Sequence[str], *, as_of: int | None = None
    ) -> None:
        self._cursors = cursors
        self.workspace_ids = tuple(workspace_ids)
        self.as_of = as_of

    def read(
        self,
        table: Table,
        *,
        days: Days | None = None,
        columns: Sequence[str] | None = None,
        wanted: Wanted | None = None,
        at_least: AtLeast | None = None,
        seqs: Collection[int] | None = None,
    ) -> pl.DataFrame:
        """These workspaces' rows of a table.

        Args:
            table: What to read.
            days: First and last day, both included; all days if None.
            columns: Which columns, in this order; all if None.
            wanted: Column -> values to keep; of workspaces, only the reader's own.
            at_least: Column -> the least value to keep.
            seqs: The numbers of the rows to keep, of a sequenced table; all rows if None.

        Raises:
            SnapshotMissingError: The snapshot does not exist, or has expired.
        """
        among = set((wanted or {}).get("workspace_id", self.workspace_ids))
        owners = [one for one in self.workspace_ids if one in among]
        kept = {**(wanted or {}), "workspace_id": owners}
        return _read(
            self._cursors, table, days, columns, kept, self.as_of, at_least=at_least, seqs=seqs
        )

    def read_bounds(self, table: Table, column: str) -> dict[str, tuple[int, int]]:
        """The least and the greatest value of a column of numbers, by workspace with rows."""
        conditions, values = select_rows({"workspace_id": self.workspace_ids})
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            found = cursor.execute(
                f'SELECT workspace_id, min("{column}"), max("{column}") FROM {source}'
                f" WHERE {conditions} GROUP BY ALL",
                values,
            )
            return {name: (least, greatest) for name, least, greatest in found.fetchall()}

    def read_unmatched(
        self, table: Table, other: Table, on: Sequence[str], *, wanted: Wanted
    ) -> pl.DataFrame:
        """The values of these workspaces' rows that no row of another table has.

        Args:
            table: What to read.
            other: The other table.
            on: The columns that are compared and returned; each combination once.
            wanted: Column of the table -> values to keep.
        """
        names = ", ".join(f'"{name}"' for name in on)
        conditions, values = select_rows({**wanted, "workspace_id": self.workspace_ids})
        with self._cursors() as cursor:
            rows, others = (_source(cursor, one, self.as_of) for one in (table, other))
            result = cursor.execute(
                f"SELECT DISTINCT {names} FROM (SELECT {names} FROM {rows} WHERE {conditions})"
                f" ANTI JOIN (SELECT {names} FROM {others}) USING ({names})",
                values,
            )
            return result.pl().cast(pl.Schema({name: table.schema[name] for name in on}))

    def read_after(
        self, table: Table, seqs: Mapping[str, int], *, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """These workspaces' rows of a sequenced table that follow a number.

        Args:
            table: What to read.
            seqs: The number by workspace; all rows of a workspace that is absent.
            columns: Which columns, in this order; all if None.
        """
        names = list(columns or table.schema)
        selected = ", ".join(f'"{name}"' for name in names)
        conditions = [
            f"(workspace_id = ? AND seq > {int(seqs.get(name, 0))})" for name in self.workspace_ids
        ]
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            where = " OR ".join(conditions) or "false"
            result = cursor.execute(
                f"SELECT {selected} FROM {source} WHERE {where}", list(self.workspace_ids)
            )
            return result.pl().cast(pl.Schema({name: table.schema[name] for name in names}))

    def count_partitions(
        self, table: Table, *, days: Days | None = None
    ) -> dict[tuple[str, date | None], int]:
        """How many rows there are, by workspace and day; the day is None for a table without days.

        Args:
            table: What to count.
            days: First and last day, both included; all days if None.
        """
        day = "day" if table.by_day else "NULL"
        values: list[object] = list(self.workspace_ids)
        where = f"workspace_id IN ({', '.join('?' for _ in values)})"
        if days is not None and table.by_day:
            where += " AND day BETWEEN ? AND ?"
            values += days
        with self._cursors() as cursor:
            source = _source(cursor, table, self.as_of)
            found = cursor.execute(
                f"SELECT workspace_id, {day}, count(*) FROM {source} WHERE {where} GROUP BY ALL",
                values,
            )
            return {(owner, on): count for owner, on, count in found.fetchall()}


class Reader(BatchReader):
    """Reads the rows of one workspace, now or as of a snapshot."""

    def __init__(self, cursors: Cursors, workspace_id: str, *, as_of: int | None = None) -> None:
        super().__init__(cursors, [workspace_id], as_of=as_of)
        self.workspace_id = workspace_id


class CrossReader:
    """Reads the rows of every workspace: a separate, visible step over the border between them."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def read_across(
        self,
        table: Table,
        *,
        days: Days | None = None,
        columns: Sequence[str] | None = None,
        wanted: Wanted | None = None,
        at_least: AtLeast | None = None,
        seqs: Collection[int] | None = None,
    ) -> pl.DataFrame:
        """Rows of a table of all workspaces; arguments and errors as `BatchReader.read`."""
        kept = wanted or {}
        return _read(self._cursors, table, days, columns, kept, None, at_least=at_least, seqs=seqs)

    def read_spans(
        self,
        table: Table,
        instant: str,
        *,
        by: Sequence[str],
        days: Days | None = None,
        wanted: Wanted | None = None,
    ) -> pl.DataFrame:
        """The first and the last instant of each group of rows, of all workspaces.

        Args:
            table: What to read.
            instant: The column of the instant.
            by: The columns of the groups.
            days: As `BatchReader.read`.
            wanted: As `BatchReader.read`.

        Returns:
            The columns ``by``, ``first_at`` and ``last_at``.
        """
        spans = {"first_at": f'min("{instant}")', "last_at": f'max("{instant}")'}
        return _read(self._cursors, table, days, by, wanted or {}, None, spans=spans)

    def last_seqs(self, table: Table) -> dict[str, int]:
        """The number of every workspace's last row in a sequenced table.

        Raises:
            KeyError: The table's rows are not numbered.
        """
        if not table.sequenced:
            raise KeyError(f"{table.name} has no column seq")
        with self._cursors() as cursor:
            found = cursor.execute(
                f"SELECT workspace_id, max(seq) FROM {LAKE}.{table.name} GROUP BY ALL"
            )
            return dict(found.fetchall())

    def read_newest(self, table: Table, *, columns: Sequence[str]) -> pl.DataFrame:
        """The row of every workspace's last day in a table with one row a day.

        Returns:
            The columns, and ``rows``: how many rows the workspace has. In order of workspace.
        """
        selected = ", ".join(f'"{name}"' for name in columns)
        with self._cursors() as cursor:
            found = cursor.execute(
                f"SELECT unnest(arg_max(t, t.day)), count(*) AS rows"
                f" FROM (SELECT {selected} FROM {LAKE}.{table.name}) t"
                " GROUP BY t.workspace_id ORDER BY t.workspace_id"
            ).pl()
        return found.cast(
            pl.Schema({name: table.schema[name] for name in columns} | {"rows": pl.Int64})
        )

    def first_day(self, table: Table, *, since: date) -> date | None:
        """The earliest day of any workspace's rows, from a day on; None if there are none."""
        with self._cursors() as cursor:
            found = cursor.execute(
                f"SELECT min(day) FROM {LAKE}.{table.name} WHERE day >= ?", [since]
            )
            (first,) = found.fetchall()[0]
            return first if first is None else date.fromisoformat(str(first))

    def count_rows(self, table: Table) -> int:
        """How many rows of a table there are, of all workspaces."""
        with self._cursors() as cursor:
            (count,) = cursor.execute(f"SELECT count(*) FROM {LAKE}.{table.name}").fetchall()[0]
            return int(count)

    def count_days(self, table: Table) -> dict[str, dict[date, int]]:
        """How many rows of a day-grained table there are, by workspace and day."""
        with self._cursors() as cursor:
            found = cursor.execute(
                f"SELECT workspace_id, day, count(*) FROM {LAKE}.{table.name}"
                " GROUP BY ALL ORDER BY ALL"
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
    *,
    at_least: AtLeast | None = None,
    seqs: Collection[int] | None = None,
    spans: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    names, at_least = list(columns or table.schema), at_least or {}
    unknown = [name for name in (*names, *wanted, *at_least) if name not in table.schema]
    if unknown:
        raise KeyError(f"{table.name} has no column {', '.join(unknown)}")
    conditions, values = select_rows(wanted)
    for name, least in at_least.items():
        conditions += f' AND "{name}" >= ?'
        values.append(least)
    if days is not None:
        conditions += " AND day BETWEEN ? AND ?"
        values += list(days)
    if seqs is not None:
        among = "SELECT unnest(from_json(?, '[\"BIGINT\"]'))"
        conditions += f" AND seq BETWEEN ? AND ? AND seq IN ({among})"
        values += [min(seqs, default=0), max(seqs, default=0), json.dumps(sorted(seqs))]
    selected = ", ".join(f'"{name}"' for name in names)
    schema = {name: table.schema[name] for name in names}
    if spans:
        selected = ", ".join([selected, *(f"{span} AS {name}" for name, span in spans.items())])
        schema |= dict.fromkeys(spans, pl.Datetime("us", "UTC"))
    where = f" WHERE {conditions}"
    with cursors() as cursor:
        source = _source(cursor, table, as_of)
        grouped = " GROUP BY ALL" if spans else ""
        result = cursor.execute(f"SELECT {selected} FROM {source}{where}{grouped}", values)
        return result.pl().cast(pl.Schema(schema))


def select_rows(wanted: Wanted) -> tuple[str, list[object]]:
    """A condition that rows have one of the wanted values in each column, and its parameters."""
    conditions, values = ["true"], list[object]()
    for name, keep in wanted.items():
        condition, bound = _is_one_of(name, keep)
        conditions.append(condition)
        values += bound
    return " AND ".join(conditions), values


def _is_one_of(name: str, keep: Sequence[str]) -> tuple[str, list[object]]:
    """A condition on a column's values, and its parameters.

    DuckDB's Python client takes 0.13 ms to bind a value, because it looks for pandas each time, so
    many values are bound as one JSON text. The lake can then skip files by the minimum and maximum
    only. The values of a workspace are bound one by one, since they are the partitions.
    """
    if not keep:
        return "false", []
    column = comparable(name, keep)
    if len(keep) <= _MANY_VALUES or name == "workspace_id" or not column.startswith('"'):
        return f"{column} IN ({', '.join('?' for _ in keep)})", list(keep)
    among = f"{column} IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]')))"
    bound: list[object] = [min(keep), max(keep), json.dumps(list(keep))]
    return f"{column} BETWEEN ? AND ? AND {among}", bound


def _source(cursor: duckdb.DuckDBPyConnection, table: Table, as_of: int | None) -> str:
    return f"{LAKE}.{table.name}" if as_of is None else _as_of(cursor, table, int(as_of))


def _as_of(cursor: duckdb.DuckDBPyConnection, table: Table, snapshot: int) -> str:
    """A table as a snapshot has it, with the columns that are declared today."""
    stored = stored_at(cursor, table.name, snapshot)
    cells = ", ".join(select_declared(column, stored or ()) for column in table.columns)
    if stored is None:
        return f"(SELECT {cells} WHERE false)"
    return f"(SELECT {cells} FROM {LAKE}.{table.name} AT (VERSION => {snapshot}))"
