"""The jobs that automations run. What is selected by hand needs none of them."""

import dagster as dg

from ytap_assets.defs.assets import TABLE_ASSETS
from ytap_assets.defs.evidence import WRITTEN_BESIDE
from ytap_assets.defs.table_assets import build_job

STAGE_JOBS = {
    stage.name: build_job([one for one in TABLE_ASSETS if one.stage == stage])
    for stage in dict.fromkeys(one.stage for one in TABLE_ASSETS)
}
"""One job for each stage: it makes the stage's tables."""
MAINTENANCE = dg.define_asset_job(
    "maintenance",
    selection=dg.AssetSelection.assets("lake_maintenance")
    | dg.AssetSelection.checks_for_assets(*(table.name for table in WRITTEN_BESIDE)),
    description="Maintains the lake and checks the tables without a step of their own; for tables"
    " partitioned by day, the last 7 days. Runs every night.",
)
DRILL = dg.define_asset_job(
    "drill",
    selection=["restore_drill"],
    description="Restores the newest backup of the lake into a temporary folder. Runs every week.",
)
