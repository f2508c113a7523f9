"""The `Lake`: one attached lakehouse per process. Open it, read from it, write to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import WAY_BACK
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import (
    LAKE,
    attach,
    find_obstacle,
    is_made_by_itself,
    make_catalog,
    require_catalog,
)
from ytap_assets.lakehouse.disk import naming_full_disk
from ytap_assets.lakehouse.errors import LakeError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.reader import CrossReader, Reader
from ytap_assets.lakehouse.schema import plan_changes
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES, Table


class Lake:
    """A lakehouse, attached for reading and writing. Its tables are as `tables` declares them."""

    def __init__(self, settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
        self.settings = settings
        self.lock = WriteLock(settings.catalog)
        self._connection = connection
        # What a pipeline reads and writes at a time is small: handing pieces of it from thread to
        # thread cost a publish half as much CPU again, and runs stand side by side in any case.
        connection.execute("SET GLOBAL threads = 1")

    @classmethod
    def open(cls, settings: Settings, *, tables: dict[str, Table] | None = None) -> Self:
        """Attach the lake and bring its tables up to date.

        It is made where there is none, and only at the default place of a data folder that holds
        neither a catalog, nor data files, nor copies of a lake. A lake that is missing elsewhere is
        not an empty lake.

        Raises:
            LakeMissingError: There is none, and making one has to be asked for: `Lake.create`.
            LakeDamagedError: The catalog is there and is none that can be read.
            SchemaConflictError: The stored tables cannot be brought up to the declarations.
            ConfigError: The data path cannot be used.
            DiskFullError: There is no space left.
        """
        is_new = not settings.catalog.is_file()
        if is_new and not is_made_by_itself(settings):
            require_catalog(settings)
        return cls._open(settings, tables, makes=is_new)

    @classmethod
    def create(cls, settings: Settings, *, tables: dict[str, Table] | None = None) -> Self:
        """Make an empty lake wherever the settings say.

        Raises:
            LakeError: A catalog, or what is left of one, or Parquet files are there already.
            ConfigError: The data path cannot be used.
            DiskFullError: There is no space left.
        """
        if obstacle := find_obstacle(settings):
            raise LakeError(f"{obstacle}: no lake is made; {WAY_BACK}")
        return cls._open(settings, tables, makes=True)

    @classmethod
    def _open(cls, settings: Settings, tables: dict[str, Table] | None, *, makes: bool) -> Self:
        if makes:
            with naming_full_disk(settings), WriteLock(settings.catalog).hold():
                # Another process may have made it meanwhile, and written to it.
                if not settings.catalog.is_file() and find_obstacle(settings) is None:
                    make_catalog(settings)
        with naming_full_disk(settings):
            lake = cls(settings, attach(settings, read_only=False))
        lake.evolve(TABLES if tables is None else tables)
        return lake

    def close(self) -> None:
        """Let go of the catalog."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own on the attached lake, for one read or one transaction."""
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def all_cores(self) -> Iterator[None]:
        """Let DuckDB use every core meanwhile: for work on whole tables."""
        self._connection.execute("RESET GLOBAL threads")
        try:
            yield
        finally:
            self._connection.execute("SET GLOBAL threads = 1")

    def reader(self, workspace_id: str, *, as_of: int | None = None) -> Reader:
        """Read one workspace, now or as of a snapshot."""
        return Reader(self.cursor, workspace_id, as_of=as_of)

    def cross_reader(self, *, as_of: int | None = None) -> CrossReader:
        """Read across all workspaces: a step of its own, so that it is seen."""
        return CrossReader(self.cursor, as_of=as_of)

    @contextmanager
    def write(self, run: Run) -> Iterator[Transaction]:
        """One transaction under the write lock; committed at the end, undone by any exception.

        Raises:
            LockTimeoutError: Another process wrote for too long.
            DiskFullError: There is no space left; nothing was written.
        """
        with naming_full_disk(self.settings), self.lock.hold(), self.cursor() as cursor:
            transaction = Transaction(cursor, run)
            transaction.begin()
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.roll_back()
                raise
            transaction.note_snapshot()

    def publish(self, table: Table, frame: pl.DataFrame, scope: Scope, run: Run) -> Transaction:
        """Check a frame and replace what its scope held, in one commit.

        Raises:
            PublishRefusedError: A check failed; nothing was written.
        """
        rows = check_rows(table, frame, scope)
        with self.write(run) as transaction:
            transaction.publish(rows)
        return transaction

    def snapshot_id(self) -> int:
        """The newest snapshot."""
        with self.cursor() as cursor:
            row = cursor.execute(f"SELECT id FROM ducklake_current_snapshot('{LAKE}')").fetchone()
        return int(row[0]) if row else 0

    def snapshots(self) -> pl.DataFrame:
        """Every readable snapshot: snapshot_id, snapshot_time, author, commit_message, run_id."""
        with self.cursor() as cursor:
            return cursor.execute(
                "SELECT snapshot_id, snapshot_time, author, commit_message,"
                " commit_extra_info->>'run_id' AS run_id, commit_extra_info"
                f" FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
            ).pl()

    def evolve(self, tables: dict[str, Table]) -> list[str]:
        """Create missing tables and add missing columns.

        Returns:
            The statements that were needed; empty where nothing was.

        Raises:
            SchemaConflictError: See `schema.plan_changes`.
        """
        with self.cursor() as cursor:
            if not plan_changes(cursor, tables.values()):
                return []
        with self.write(Run("schema", "lakehouse", "bring the tables up to date")) as transaction:
            return transaction.evolve(tables.values())
