"""Build the code location. Importing a module has no effect; `build_definitions` has.

Also here: the resource for your own assets, the lake for `dagster-duckdb`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import Field

from ytap_assets.defs.assets import (
    DRILL,
    MAINTENANCE,
    STAGE_JOBS,
    TABLE_ASSETS,
    evidence_checks,
    evidence_specs,
    lake_maintenance,
    restore_drill,
)
from ytap_assets.defs.automation import build_schedules, build_sensors
from ytap_assets.defs.review import decision_job
from ytap_assets.defs.table_assets import build_stages
from ytap_assets.lakehouse.connection import attach
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings


def build_definitions(*, platform: Platform | None = None) -> dg.Definitions:
    """Every asset, check, job, schedule and sensor, over one platform.

    Args:
        platform: The installation; the one the environment describes if None.

    Raises:
        ConfigError: The environment or a workspace's config is wrong.
        LakeError: There is a lake, from which the first day is read, and it cannot be opened.
    """
    platform = platform or Platform.from_env()
    with warnings.catch_warnings():
        # Versions are pinned and the graph has a snapshot: these would fill every run's log.
        warnings.simplefilter("ignore", dg.BetaWarning)
        definitions = _define(platform)
        definitions.get_repository_def()  # Dagster keeps it; making it warns, too
    return definitions


def _define(platform: Platform) -> dg.Definitions:
    days = platform.day_range()
    return dg.Definitions(
        assets=[
            *build_stages(TABLE_ASSETS, days),
            *evidence_specs(TABLE_ASSETS),
            lake_maintenance,
            restore_drill,
        ],
        asset_checks=[evidence_checks()],
        jobs=[*STAGE_JOBS.values(), MAINTENANCE, DRILL, decision_job],
        schedules=build_schedules(),
        sensors=build_sensors(platform),
        resources={
            "platform": platform,
            "duckdb": LakeDuckDBResource.of(platform.settings),
        },
        # One process a run: on two cores a process per step costs more than it gains.
        executor=dg.in_process_executor,
    )


class LakeDuckDBResource(DuckDBResource):
    """A `DuckDBResource` whose connections have the lake attached read-only.

    For SQL across all workspaces in an asset of your own: ``duckdb.get_connection()``. Writing is
    the lakehouse's: a connection from here refuses it.
    """

    database: str = Field(default=":memory:", description="The lake is attached beside it.")
    data: str = Field(description="The data folder.")
    catalog: str = Field(description="The lake's catalog.")
    data_path: str = Field(description="The folder of the lake's Parquet files.")

    @classmethod
    def of(cls, settings: Settings) -> "LakeDuckDBResource":
        """The resource for an installation."""
        return cls(
            data=str(settings.data),
            catalog=settings.catalog_name,
            data_path=settings.files_name,
        )

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """A DuckDB connection with the lake as its default database, closed at the end.

        Raises:
            LakeMissingError: There is no lake yet.
        """
        places = {"DATA": self.data, "CATALOG": self.catalog, "DATA_PATH": self.data_path}
        settings = Settings.from_env({f"YTAP_{name}": place for name, place in places.items()})
        connection = attach(settings, read_only=True, few_files=None)
        try:
            yield connection
        finally:
            connection.close()
