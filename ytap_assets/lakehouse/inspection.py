"""Read facts about a lake without changing it: versions, pending changes, ages, commit times.

Opening a `Lake` creates a missing lake and upgrades its tables; an `Inspection` shows whether that
is necessary. Belongs here: facts. Does not belong here: judging them (`operations.doctor`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import INTENT_KEY, LAKE, Catalog
from ytap_assets.lakehouse.connection import attach, commit_times, extension_file, find_catalog
from ytap_assets.lakehouse.errors import LakeError, SchemaConflictError, explain_error
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.lakehouse.schema import SchemaChange, Stored, plan_changes, stored_columns
from ytap_assets.settings import Settings
from ytap_assets.tables import Table

_MOMENTS = ("observed_at", "generated_at", "finished_at", "recorded_at", "fetched_at")


@dataclass(frozen=True)
class LakeFacts:
    """A lake's format, size and pending changes.

    Attributes:
        format_version: The version of the catalog's format.
        created_by: The program that created the catalog.
        snapshots: The number of readable snapshots.
        files: The number of Parquet files of the newest snapshot.
        size_bytes: Their size.
        pending: The steps of an upgrade to the declared tables.
        conflict: Why the tables cannot be upgraded, and what to do; None if they can.
    """

    format_version: str
    created_by: str
    snapshots: int
    files: int
    size_bytes: int
    pending: tuple[SchemaChange, ...]
    conflict: str | None


@dataclass(frozen=True)
class Age:
    """The number and age of a workspace's rows of a table.

    Attributes:
        table: The table.
        workspace_id: The workspace.
        rows: The number of rows.
        newest_at: When the newest row was observed or made; the end of its day if only the day is
            known; None if the table has neither.
    """

    table: str
    workspace_id: str
    rows: int
    newest_at: datetime | None


class Inspection:
    """A lake, attached for reading only."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
        self._connection = connection
        self._catalog = catalog

    @cached_property
    def _stored(self) -> dict[str, dict[str, Stored]]:
        """The stored columns by table and name, read once: the lake is read as of one snapshot."""
        return stored_columns(self._connection, self._catalog)

    def facts(self, tables: Mapping[str, Table]) -> LakeFacts:
        """The lake's facts, with the changes that the declared tables need."""
        options = {
            name: str(value)
            for name, value in self._rows(
                f"SELECT option_name, value FROM ducklake_options('{LAKE}')"
            )
        }
        [(snapshots,)] = self._rows(f"SELECT count(*) FROM ducklake_snapshots('{LAKE}')")
        [(files, size)] = self._rows(
            "SELECT coalesce(sum(file_count), 0), coalesce(sum(file_size_bytes), 0)"
            f" FROM ducklake_table_info('{LAKE}')"
        )
        pending: list[SchemaChange] = []
        conflict = None
        try:
            pending = self.pending(tables)
        except SchemaConflictError as error:
            conflict = str(error)
        return LakeFacts(
            format_version=options.get("version", "unknown"),
            created_by=options.get("created_by", "unknown"),
            snapshots=_int(snapshots),
            files=_int(files),
            size_bytes=_int(size),
            pending=tuple(pending),
            conflict=conflict,
        )

    def pending(self, tables: Mapping[str, Table]) -> list[SchemaChange]:
        """The steps that would bring the tables up to the declarations.

        Raises:
            SchemaConflictError: They cannot be brought up; the message has the way out.
        """
        return plan_changes(self._connection, self._catalog, tables.values())

    def commit_times(self) -> list[datetime]:
        """The commit time of each readable snapshot, in order."""
        return commit_times(self._connection)

    def ages(self, tables: Iterable[Table]) -> list[Age]:
        """The ages by table and workspace, of the tables that exist in the lake."""
        ages = []
        for table in tables:
            columns = self._stored.get(table.name, {})
            if "workspace_id" not in columns:
                continue
            moment = next((name for name in _MOMENTS if name in columns), None)
            newest = f"max({moment})" if moment else _end_of_day(table)
            rows = self._rows(
                f"SELECT workspace_id, count(*), {newest} FROM {LAKE}.{table.name}"
                " GROUP BY ALL ORDER BY ALL"
            )
            ages += [Age(table.name, str(w), _int(n), _instant(at)) for w, n, at in rows]
        return ages

    def has(self, table: Table) -> bool:
        """Whether the table exists in the lake."""
        return table.name in self._stored

    def cross_reader(self) -> CrossReader:
        """Read across workspaces, as of the same snapshot."""
        return CrossReader(lambda: nullcontext(self._connection))

    def read(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        known: str | None = None,
        after: datetime | int | None = None,
    ) -> pl.DataFrame:
        """Rows of all workspaces; no rows if the table does not exist yet.

        Args:
            table: What to read.
            columns: Which columns, in this order.
            known: A column that has to be known, if not all rows are wanted; ``snapshot_id`` is the
                snapshot that added a row.
            after: The value that it has to be after, if not all known ones are wanted.
        """
        if not self.has(table):
            return table.empty().select(columns)
        names = ", ".join(f'"{name}"' for name in columns)
        where = f' WHERE "{known}" IS NOT NULL' if known else ""
        values = [] if after is None else [after]
        if after is not None:
            where += f' AND "{known}" > ?'
        query = f"SELECT {names} FROM {LAKE}.{table.name}{where}"
        return self._connection.execute(query, values).pl()

    def recent(
        self, table: Table, moment: str, since: datetime, columns: Sequence[str]
    ) -> pl.DataFrame:
        """Rows of all workspaces with ``moment`` at or after ``since``, newest first."""
        names = ", ".join(f'"{name}"' for name in (*columns, moment))
        return self._connection.execute(
            f'SELECT {names} FROM {LAKE}.{table.name} WHERE "{moment}" >= ? ORDER BY {moment} DESC',
            [since],
        ).pl()

    def differing_days(
        self, table: Table, other: Table, column: str, *, since: date
    ) -> pl.DataFrame:
        """The days, from one on, on which two day-grained tables differ in a column's values.

        Returns:
            ``workspace_id`` and ``day``, in order.
        """
        values, others = (
            f"SELECT workspace_id, day, {column} FROM {LAKE}.{one.name} WHERE day >= $since"
            for one in (table, other)
        )
        return self._connection.execute(
            f"SELECT DISTINCT workspace_id, day FROM (({values} EXCEPT {others})"
            f" UNION ALL ({others} EXCEPT {values})) ORDER BY ALL",
            {"since": since},
        ).pl()

    def inlined_rows(self) -> dict[str, int]:
        """The number of rows that are inlined in the catalog, by table; without zeros.

        Inlined rows are readable, but never sorted or merged. Only a program that attaches the lake
        with other options writes them.
        """
        kept = self._catalog.query(
            self._connection,
            "SELECT t.table_name, i.table_name AS place FROM ducklake_inlined_data_tables i"
            " JOIN ducklake_table t USING (table_id) WHERE t.end_snapshot IS NULL",
        )
        counts: dict[str, int] = {}
        for table, place in kept:
            [(count,)] = self._catalog.query(
                self._connection, f'SELECT count(*) FROM "{place}" WHERE end_snapshot IS NULL'
            )
            if rows := _int(count):
                counts[str(table)] = counts.get(str(table), 0) + rows
        return counts

    def has_unfinished_erasure(self) -> bool:
        """Whether an erasure was interrupted, so that erased rows may still be in files."""
        return bool(
            self._catalog.query(
                self._connection, f"SELECT 1 FROM ducklake_metadata WHERE key = '{INTENT_KEY}'"
            )
        )

    def _rows(self, statement: str, values: list[object] | None = None) -> list[tuple[object, ...]]:
        return self._connection.execute(statement, values).fetchall()


@contextmanager
def inspect_lake(settings: Settings) -> Iterator[Inspection]:
    """Attach the lake read-only, as of one snapshot.

    Raises:
        LakeMissingError: There is no lake.
        LakeError: Its catalog or files cannot be read.
    """
    place: object = settings.catalog_name
    try:
        with closing(attach(settings, read_only=True)) as connection:
            connection.execute("BEGIN")
            place = settings.files_name  # the catalog is readable, so a data file is not
            yield Inspection(connection, find_catalog(settings))
    except duckdb.Error as error:
        if (explained := explain_error(error, settings)) is not None:
            raise explained from error
        message = " ".join(str(error).split())
        raise LakeError(
            f"{place}: cannot be read: {message}; restore a backup with `ytap restore`"
        ) from error


def missing_extensions(names: Iterable[str]) -> list[str]:
    """The extensions for which no installed package has a file for this DuckDB version."""
    files = {name: extension_file(name) for name in names}
    return [name for name, file in files.items() if file is None or not file.is_file()]


def duckdb_version() -> str:
    """The version of the running DuckDB."""
    return duckdb.__version__


def _end_of_day(table: Table) -> str:
    return "max(day::TIMESTAMPTZ + INTERVAL 1 DAY)" if table.by_day else "NULL::TIMESTAMPTZ"


def _int(value: object) -> int:
    return int(str(value))


def _instant(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
