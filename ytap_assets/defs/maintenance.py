"""The lake's housekeeping as assets: maintain the lake; try whether its newest copy restores."""

import dagster as dg

from ytap_assets.defs.table_assets import OWNERS
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.backups import drill_restore
from ytap_assets.operations.maintain import maintain_lake
from ytap_assets.operations.platform import Platform


@dg.asset(
    group_name="operations",
    owners=OWNERS,
    kinds={"duckdb"},
    description=(
        "Backs up the lake (catalog and data files), deletes payloads past their retention, merges"
        " small files, expires old snapshots, and deletes unreferenced files."
    ),
)
def lake_maintenance(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """Run the maintenance; its counts are the metadata.

    Raises:
        Failure: Something was refused because it was not proved to be safe.
    """
    run = Run(context.run.run_id, "dagster", "maintain the lake")
    done = maintain_lake(platform, run)
    if done.refusals:
        raise dg.Failure("; ".join(done.refusals), metadata=done.as_metadata(), allow_retries=False)
    return dg.MaterializeResult(metadata=done.as_metadata())


@dg.asset(
    group_name="operations",
    owners=OWNERS,
    kinds={"duckdb"},
    description=(
        "Restores the newest backup of the lake into a temporary folder and compares the checksum"
        " of every file and the row count of every table with the backup."
    ),
)
def restore_drill(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """Verify the newest copy; the outcome is the metadata, and `ytap doctor` shows it.

    Raises:
        Failure: The copy cannot be restored as it was copied.
    """
    drill = drill_restore(platform.settings)
    metadata: dict[str, str | int] = {
        "backup": drill.folder,
        "tables": drill.tables,
        "rows": drill.rows,
    }
    if drill.problem is not None:
        raise dg.Failure(drill.problem, metadata=metadata, allow_retries=False)
    return dg.MaterializeResult(metadata=metadata)
