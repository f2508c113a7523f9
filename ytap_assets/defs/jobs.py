"""The jobs that automations run. What is selected by hand needs none of them."""

import dagster as dg

from ytap_assets.defs.evidence import WRITTEN_BESIDE

DAILY_COLLECTION = dg.define_asset_job(
    "daily_collection",
    selection=[
        "raw_trends",
        "collection_coverage",
        "trend_stories",
        "scored_trends",
        "source_performance",
    ],
    description="Collect and score the trends of yesterday and today. Runs daily at 02:00 in the"
    " workspace's timezone.",
)
HOURLY_METRICS = dg.define_asset_job(
    "hourly_metrics",
    selection=["video_metrics"],
    description="Collect the counts of published videos. Runs every hour.",
)
PRODUCTION = dg.define_asset_job(
    "production",
    selection=["production_events", "production_records", "videos"],
    description="Promote scripts and update their records. Started by the promotion sensors.",
)
REPORTS = dg.define_asset_job(
    "reports",
    selection=["workspace_reports"],
    description="Build a day's report. Runs after every collection, including failed ones.",
)
REGISTRIES = dg.define_asset_job(
    "registries",
    selection=["workspaces", "channels", "accounts"],
    description="Read the workspace, its channels and accounts from its config.",
)
MAINTENANCE = dg.define_asset_job(
    "maintenance",
    selection=dg.AssetSelection.assets("lake_maintenance")
    | dg.AssetSelection.checks_for_assets(*(table.name for table in WRITTEN_BESIDE)),
    description="Maintain the lake and check the last week of logs and payloads. Runs every night.",
)
DRILL = dg.define_asset_job(
    "drill",
    selection=["restore_drill"],
    description="Restore the newest backup of the lake into a temporary folder. Runs every week.",
)
JOBS = [DAILY_COLLECTION, HOURLY_METRICS, PRODUCTION, REPORTS, REGISTRIES, MAINTENANCE, DRILL]
