"""The lake's housekeeping as an asset: back up, apply retention, merge, expire, sweep."""

import dagster as dg

from ytap_assets.defs.table_assets import OWNERS
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.maintain import maintain_lake
from ytap_assets.operations.platform import Platform


@dg.asset(
    group_name="operations",
    owners=OWNERS,
    kinds={"duckdb"},
    description=(
        "Backs up the catalog, deletes payloads past their retention, merges small files, expires"
        " snapshots past their window, and sweeps files nobody refers to."
    ),
)
def lake_maintenance(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """Run the maintenance under the write lock; its counts are the metadata."""
    run = Run(context.run.run_id, "dagster", "maintain the lake")
    return dg.MaterializeResult(metadata=maintain_lake(platform, run).as_metadata())
