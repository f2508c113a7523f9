"""Put the code location together. Importing a module does nothing; this function does."""

import warnings

import dagster as dg

from ytap_assets.defs.assets import TABLE_ASSETS
from ytap_assets.defs.evidence import evidence_checks, evidence_specs
from ytap_assets.defs.jobs import DRILL, MAINTENANCE, STAGE_JOBS
from ytap_assets.defs.liveness import dead_runs
from ytap_assets.defs.maintenance import lake_maintenance, restore_drill
from ytap_assets.defs.resources import LakeDuckDBResource
from ytap_assets.defs.schedules import build_schedules
from ytap_assets.defs.sensors import build_sensors
from ytap_assets.defs.table_assets import build_stages
from ytap_assets.operations.platform import Platform


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
        return _define(platform)


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
        jobs=[*STAGE_JOBS.values(), MAINTENANCE, DRILL],
        schedules=build_schedules(),
        sensors=[*build_sensors(), dead_runs],
        resources={
            "platform": platform,
            "duckdb": LakeDuckDBResource.of(platform.settings),
        },
        # One process a run: on two cores a process per step costs more than it gains.
        executor=dg.in_process_executor,
    )
