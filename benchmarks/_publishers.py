"""The methods compared in `publish.py`: three ways to store a partition's frame.

Each is called as users call it: ours through `Lake.publish`, the I/O managers through
``handle_output`` with an output context built by Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import duckdb
import polars as pl
from _rows import FIRST_DAY
from dagster_duckdb_polars import DuckDBPolarsIOManager
from dagster_polars import PolarsParquetIOManager

from ytap_assets.defs.partitions import DAY, WORKSPACE, partition_key
from ytap_assets.defs.table_assets import Stage, TableAsset, build_stage
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import find_catalog
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import (
    Batch,
    Platform,
    Results,
    publish_batch,
    split_slices,
)
from ytap_assets.settings import Settings
from ytap_assets.tables import SCORED_TRENDS
from ytap_assets.workspaces import Workspace

WORKSPACES = ("tech", *(f"writer-{number}" for number in range(16)))
_RUN = Run("benchmark", "benchmark", "publish a partition")
_NAME = SCORED_TRENDS.name
_EXPRESSIONS = {"partition_expr": {WORKSPACE: "workspace_id", DAY: "day"}}
# Static, since an output context that is built for a call cannot look up dynamic ones.
_PARTITIONS = dg.MultiPartitionsDefinition(
    {
        WORKSPACE: dg.StaticPartitionsDefinition(WORKSPACES),
        DAY: dg.DailyPartitionsDefinition(FIRST_DAY.isoformat()),
    }
)


class Storing(Protocol):
    """A way to store partitions."""

    def prepare(self, workspace_id: str, day: date, frame: pl.DataFrame) -> Callable[[], object]:
        """The call that publishes a partition; Dagster's preparation of a step is done before."""

    def fetch(self) -> pl.DataFrame:
        """All published rows: workspace_id, day, story_id, members."""


class Publisher(Storing, Protocol):
    """A way to publish from a Dagster asset."""

    def asset(self, frame: pl.DataFrame) -> tuple[dg.AssetsDefinition, dict[str, Any]]:
        """A partitioned asset that publishes the frame, and the resources it needs."""


class Ours:
    """The lakehouse: conformed, checked, under the write lock, in one transaction."""

    def __init__(
        self,
        folder: Path,
        _instance: dg.DagsterInstance,
        place: Mapping[str, str] | None = None,
    ) -> None:
        """Take a data folder.

        Args:
            folder: The data folder.
            place: Where the lake is, as variables; in the data folder if None.
        """
        settings = _settings(folder, place or {})
        if place and not find_catalog(settings).exists():
            Lake.create(settings).close()
        self._platform = Platform(settings)
        for workspace_id in WORKSPACES:
            config = Workspace(workspace_id=workspace_id, name=workspace_id, vertical="none")
            if not (self._platform.workspaces.folder(workspace_id) / "config.yaml").is_file():
                self._platform.workspaces.save(config)

    @property
    def lake(self) -> Lake:
        """The lake, attached at the first use."""
        return self._platform.lake

    def prepare(self, workspace_id: str, day: date, frame: pl.DataFrame) -> Callable[[], object]:
        return partial(self._publish, frame, Scope(workspace_id, day, day))

    def _publish(self, frame: pl.DataFrame, scope: Scope) -> None:
        rows = check_rows(SCORED_TRENDS, frame, scope)
        with self.lake.write(_RUN) as transaction:
            transaction.publish_all([rows])

    def asset(self, frame: pl.DataFrame) -> tuple[dg.AssetsDefinition, dict[str, Any]]:
        def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
            return publish_batch(batch, SCORED_TRENDS, split_slices(batch, frame))

        asset = TableAsset(SCORED_TRENDS, compute, Stage("publish", "", by_day=True))
        return build_stage([asset], self._platform.day_range()), {"platform": self._platform}

    def fetch(self) -> pl.DataFrame:
        columns = ["workspace_id", "day", "story_id", "members"]
        return self.lake.cross_reader().read_across(SCORED_TRENDS, columns=columns)


class Stock:
    """``DuckDBPolarsIOManager`` of dagster-duckdb-polars: a native DuckDB table."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self._database = folder / "stock.duckdb"
        self._instance = instance
        self._resource = DuckDBPolarsIOManager(database=str(self._database))
        self._config = {"database": str(self._database), "connection_config": {}}
        self._manager = self._resource.create_io_manager(None)

    def prepare(self, workspace_id: str, day: date, frame: pl.DataFrame) -> Callable[[], object]:
        context = dg.build_output_context(
            asset_key=_NAME,
            definition_metadata=_EXPRESSIONS,
            partition_key=partition_key(workspace_id, day),
            asset_partitions_def=_PARTITIONS,
            resource_config=self._config,
            instance=self._instance,
        )
        return partial(self._manager.handle_output, context, frame)

    def asset(self, frame: pl.DataFrame) -> tuple[dg.AssetsDefinition, dict[str, Any]]:
        return _returning(frame), {"io_manager": self._resource}

    def fetch(self) -> pl.DataFrame:
        with duckdb.connect(str(self._database), read_only=True) as connection:
            return connection.execute(
                f"SELECT workspace_id, day, story_id, members FROM public.{_NAME}"
            ).pl()


class Parquet:
    """``PolarsParquetIOManager`` of dagster-polars: a file per partition."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self._folder = folder / "parquet"
        self._instance = instance
        self._resource = PolarsParquetIOManager(base_dir=str(self._folder))
        self._resource.setup_for_execution(dg.build_init_resource_context(instance=instance))

    def prepare(self, workspace_id: str, day: date, frame: pl.DataFrame) -> Callable[[], object]:
        context = dg.build_output_context(
            asset_key=_NAME,
            definition_metadata={},
            partition_key=partition_key(workspace_id, day),
            asset_partitions_def=_PARTITIONS,
            dagster_type=dg.PythonObjectDagsterType(pl.DataFrame),
            instance=self._instance,
        )
        return partial(self._resource.handle_output, context, frame)

    def asset(self, frame: pl.DataFrame) -> tuple[dg.AssetsDefinition, dict[str, Any]]:
        return _returning(frame), {"io_manager": self._resource}

    def fetch(self) -> pl.DataFrame:
        files = self._folder / _NAME / "**" / "*.parquet"
        return pl.read_parquet(files, columns=["workspace_id", "day", "story_id", "members"])


PUBLISHERS: dict[str, Callable[[Path, dg.DagsterInstance], Publisher]] = {
    "ours": Ours,
    "dagster-duckdb-polars": Stock,
    "dagster-polars": Parquet,
}


def ephemeral_instance() -> dg.DagsterInstance:
    """An in-memory Dagster instance with the workspaces as partitions."""
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions(WORKSPACE, list(WORKSPACES))
    return instance


def _settings(folder: Path, place: Mapping[str, str]) -> Settings:
    first_day = FIRST_DAY.isoformat()
    return Settings.from_env({"YTAP_DATA": str(folder), "YTAP_FIRST_DAY": first_day, **place})


def _returning(frame: pl.DataFrame) -> dg.AssetsDefinition:
    @dg.asset(name=_NAME, partitions_def=_PARTITIONS, metadata=_EXPRESSIONS)
    def returning() -> pl.DataFrame:
        return frame

    return returning
