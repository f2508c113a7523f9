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
    description="Collect and score trends of yesterday and today; daily at 02:00 in the"
    " workspace's timezone.",
)
HOURLY_METRICS = dg.define_asset_job(
    "hourly_metrics",
    selection=["video_metrics"],
    description="Collect the counts of published videos; every hour.",
)
PRODUCTION = dg.define_asset_job(
    "production",
    selection=["production_events", "production_records", "videos"],
    description="Promote scripts and fold their events; run by the promotion sensors.",
)
REPORTS = dg.define_asset_job(
    "reports",
    selection=["workspace_reports"],
    description="Build a day's report; run after every collection, failed ones included.",
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
    description="Look after the lake, and check a week's evidence; every night.",
)
DRILL = dg.define_asset_job(
    "drill",
    selection=["restore_drill"],
    description="Restore the newest copy of the lake into a temporary place; every week.",
)
JOBS = [DAILY_COLLECTION, HOURLY_METRICS, PRODUCTION, REPORTS, REGISTRIES, MAINTENANCE, DRILL]
