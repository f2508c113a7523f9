"""The methods compared in `catalogs.py`: ways to store, append and read.

The lakehouse, a native DuckDB file that is written with SQL, and the I/O manager of
dagster-duckdb-polars. Only one process at a time can have a native file open for writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol

import dagster as dg
import duckdb
import polars as pl
from _publishers import Ours, Stock, Storing
from _rows import day_after

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.tables import RAW_TRENDS, SCORED_TRENDS

DAYS = 60
NAMES = [f"channel-{number:03}" for number in range(50)]
_TRY_AGAIN_S, _GIVE_UP_S = 0.01, 120
_RUN = Run("benchmark", "benchmark", "compare catalogs")


class Method(Storing, Protocol):
    """A way to store and read."""

    def fill(self, parts: list[pl.DataFrame]) -> None:
        """Store rows of ``scored_trends``, a frame per workspace."""

    def append(self, workspace_id: str, frame: pl.DataFrame) -> object:
        """Append rows of ``raw_trends``."""

    def read(self, workspace_id: str | None) -> pl.DataFrame:
        """All rows of ``scored_trends`` of a workspace, or of all."""


class InLake(Ours):
    """The lakehouse."""

    def fill(self, parts: list[pl.DataFrame]) -> None:
        checked = [
            check_rows(
                SCORED_TRENDS,
                part,
                Scope(part["workspace_id"][0], day_after(0), day_after(DAYS - 1)),
            )
            for part in parts
        ]
        with self.lake.write(_RUN) as transaction:
            transaction.publish_all(checked)

    def append(self, workspace_id: str, frame: pl.DataFrame) -> object:
        rows = check_rows(RAW_TRENDS, frame, Scope(workspace_id))
        with self.lake.write(_RUN) as transaction:
            return transaction.append(rows)

    def read(self, workspace_id: str | None) -> pl.DataFrame:
        if workspace_id is None:
            return self.lake.cross_reader().read_across(SCORED_TRENDS)
        return self.lake.reader(workspace_id).read(SCORED_TRENDS)


class Native:
    """A DuckDB file, written with SQL."""

    def __init__(self, folder: Path, _instance: dg.DagsterInstance) -> None:
        self._file = folder / "native.duckdb"
        self._kept: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection that is kept, or one for this call, when no other process has one."""
        if self._kept is not None:
            yield self._kept
            return
        with closing(self._open()) as connection:
            yield connection

    def _open(self) -> duckdb.DuckDBPyConnection:
        began = perf_counter()
        while True:
            try:
                return duckdb.connect(str(self._file))
            except duckdb.IOException as error:
                if "lock" not in str(error) or perf_counter() - began > _GIVE_UP_S:
                    raise
            time.sleep(_TRY_AGAIN_S)

    def fill(self, parts: list[pl.DataFrame]) -> None:
        self._kept = self._open()
        frame = pl.concat(parts)
        order = ", ".join(("workspace_id", *SCORED_TRENDS.sort_by))
        self._kept.execute(f"CREATE TABLE scored_trends AS FROM frame ORDER BY {order}")
        raw = RAW_TRENDS.empty()
        self._kept.execute("CREATE TABLE raw_trends AS FROM raw")
        del frame, raw

    def prepare(self, workspace_id: str, day: date, frame: pl.DataFrame) -> Callable[[], object]:
        return partial(self._publish, workspace_id, day, frame)

    def _publish(self, workspace_id: str, day: date, frame: pl.DataFrame) -> None:  # noqa: ARG002
        with self._connect() as connection:
            connection.execute("BEGIN")
            connection.execute("CREATE TABLE IF NOT EXISTS scored_trends AS FROM frame LIMIT 0")
            connection.execute(
                "DELETE FROM scored_trends WHERE workspace_id = ? AND day = ?", [workspace_id, day]
            )
            connection.execute("INSERT INTO scored_trends BY NAME FROM frame")
            connection.execute("COMMIT")

    def append(self, workspace_id: str, frame: pl.DataFrame) -> object:  # noqa: ARG002
        key = ", ".join(RAW_TRENDS.key)
        with self._connect() as connection:
            return connection.execute(
                f"INSERT INTO raw_trends BY NAME FROM frame ANTI JOIN raw_trends USING ({key})"
            )

    def read(self, workspace_id: str | None) -> pl.DataFrame:
        with self._connect() as connection:
            if workspace_id is None:
                return connection.execute("FROM scored_trends").pl()
            return connection.execute(
                "FROM scored_trends WHERE workspace_id = ?", [workspace_id]
            ).pl()

    def fetch(self) -> pl.DataFrame:
        with self._connect() as connection:
            return connection.execute(
                "SELECT workspace_id, day, story_id, members FROM scored_trends"
            ).pl()


class InTable(Stock):
    """The I/O manager."""

    def fill(self, parts: list[pl.DataFrame]) -> None:
        context = dg.build_output_context(
            asset_key=SCORED_TRENDS.name, resource_config=self._config, instance=self._instance
        )
        self._manager.handle_output(context, pl.concat(parts))

    def append(self, workspace_id: str, frame: pl.DataFrame) -> object:
        raise NotImplementedError

    def read(self, workspace_id: str | None) -> pl.DataFrame:
        metadata = {"partition_expr": "workspace_id"} if workspace_id else {}
        context = dg.build_input_context(
            asset_key=SCORED_TRENDS.name,
            upstream_output=dg.build_output_context(
                asset_key=SCORED_TRENDS.name, definition_metadata=metadata
            ),
            asset_partitions_def=dg.StaticPartitionsDefinition(NAMES) if workspace_id else None,
            partition_key=workspace_id,
            dagster_type=dg.PythonObjectDagsterType(pl.DataFrame),
            resource_config=self._config,
            instance=self._instance,
        )
        rows = self._manager.load_input(context)
        assert isinstance(rows, pl.DataFrame)
        return rows
