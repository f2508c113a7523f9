"""The assets and the jobs that make them. Every function's docstring is shown in the UI.

- how each table's asset makes a slice, and the stage in which it is made
- tables without their own step, which are written together with other rows: the tables about
  collection, the aliases of stories, the lines read of inbox files, and the stays of scripts in
  states; they are in the same commit
  as these rows, so they are shown as downstream of the assets that write them, and their checks
  read the stored rows
- maintenance of the lake, and the test whether its newest backup can be restored
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg

from ytap_assets.defs.checks import Watch, check_specs, evaluate_stored
from ytap_assets.defs.run_events import RunEvents
from ytap_assets.defs.table_assets import (
    OWNERS,
    Stage,
    TableAsset,
    build_job,
    definition_metadata,
)
from ytap_assets.domain.coverage import find_healable
from ytap_assets.lakehouse.checks import STORED_CHECKS, check_stored, columns_to_check
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import collect_metrics, collect_trends, cover_slices
from ytap_assets.operations.due import find_due
from ytap_assets.operations.history import add_production_notes
from ytap_assets.operations.maintenance import drill_restore, maintain_lake
from ytap_assets.operations.platform import (
    Batch,
    Platform,
    Results,
    publish_batch,
    split_slices,
)
from ytap_assets.operations.production import ALL_PROMOTIONS, advance
from ytap_assets.operations.records import fold_records, list_videos
from ytap_assets.operations.registries import (
    describe_workspaces,
    find_unidentified,
    list_accounts,
    list_channels,
)
from ytap_assets.operations.reporting import make_reports, write_overview
from ytap_assets.operations.trends import cluster_stories, measure_results, score
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    ERASURES,
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    PUSHED_CONFIGS,
    PUSHED_FILES,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SCRIPT_STATES,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    WORKSPACES,
)

EVIDENCE = (COLLECTION_LOG, RAW_PAYLOADS, QUARANTINED_ROWS)
PUSHED = (PUSHED_CONFIGS, PUSHED_FILES)
WRITTEN_BESIDE = (
    *EVIDENCE,
    ERASURES,
    STORY_ALIASES,
    *PUSHED,
    INBOX_CURSORS,
    INBOX_LINES,
    SCRIPT_STATES,
)
_CHECKED_DAYS = 7
PROMOTION = "promotion"
TARGETS, DUE = "targets", "due"

REGISTRIES = Stage(
    "registries",
    "Reads the workspaces, their channels and their accounts from their configs. Runs when a"
    " config has changed.",
    by_day=False,
)
COLLECTION = Stage(
    "collection",
    "Collects and scores the trends of the days that are due.",
    by_day=True,
    config={TARGETS: dg.Field(str, is_required=False)},
)
PRODUCTION = Stage(
    "production",
    "Promotes scripts and updates their records. Started by the promotion sensors.",
    by_day=False,
    config={PROMOTION: dg.Field(str, is_required=False)},
)
METRICS = Stage(
    "metrics",
    "Collects the counts of published videos. The schedule checks every 10 minutes for counts that"
    " are an hour old.",
    by_day=True,
)
REPORTS = Stage(
    "reports",
    "Writes the reports of a day. Runs after every collection and metrics run, including failed"
    " ones.",
    by_day=True,
    is_apart=True,
)


def workspaces(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Read from the workspace's config."""
    rows = describe_workspaces(batch.workspaces.values(), batch.read(WORKSPACES), batch.now)
    return publish_batch(batch, WORKSPACES, split_slices(batch, rows))


def channels(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Read from the workspace's config."""
    rows = list_channels(batch.workspaces.values())
    return publish_batch(batch, CHANNELS, split_slices(batch, rows))


def accounts(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Read from the workspace's config, which holds the names of credentials and no secrets."""
    rows = list_accounts(batch.workspaces.values())
    return publish_batch(batch, ACCOUNTS, split_slices(batch, rows))


def raw_trends(batch: Batch, config: Mapping[str, Any]) -> Results:
    """Fetches every source of the workspace for every day of the range and appends new rows.

    A scheduled run fetches only what is due. A past day that a source can no longer return is
    logged as unrecoverable. Rows collected earlier are kept.
    """
    is_scheduled = config.get(TARGETS) == DUE
    due = find_due(batch.platform, batch.now).targets if is_scheduled else None
    if due is not None:
        due = {name: due.get(name, {}) for name in batch.workspace_ids}
    return collect_trends(batch, targets=due)


def collection_coverage(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Computes the state of every target on every day; see docs/trends.md for the states.

    The chart in the metadata shows the best state of each source on each day.
    """
    return cover_slices(batch)


def trend_stories(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Measures every item of the day and groups the items into stories.

    The story of an item depends on earlier days. Stored days after the range are grouped again in
    the same commit if their stories change. Each of them has a materialization of its own. A story
    id that is replaced is kept in story_aliases.
    """
    return cluster_stories(batch)


def source_performance(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Counts the items and stories of each source, and the scripts and videos made of them.

    Days after the range are counted again if their stories were ranked again.
    """
    return measure_results(batch)


def scored_trends(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Ranks the day's stories by their final score. Every factor of the score is a column.

    Later days depend on the range. The 28 stored days after it, and further days as long as the
    ranking changes, are ranked again in the same commit. Each of them has a materialization of its
    own. first_position and first_ranked_at keep the first ranking of a day.

    The stories that were already produced when the day began are read from production_events.
    This is not a dependency: trends are ranked even if a production run fails.
    """
    return score(batch)


def production_events(batch: Batch, config: Mapping[str, Any]) -> Results:
    """Reads the workspace's inbox files and promotes the scripts whose gates are open.

    An event is appended only if its script is still in the state that the event was decided on.
    This is checked under the write lock.
    """
    return advance(batch, config.get(PROMOTION, ALL_PROMOTIONS))


def production_records(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Computes only scripts with new events.

    What production_events appends is computed in the same commit. The metadata shows how many
    scripts are in each state, the longest waits, and scripts that are stuck.
    """
    return add_production_notes(batch, fold_records(batch))


def videos(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Selects the published scripts from production_records."""
    return list_videos(batch)


def video_metrics(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Fetches the counts of the workspace's published videos from YouTube, 50 per request."""
    return collect_metrics(batch)


def workspace_reports(batch: Batch, _config: Mapping[str, Any]) -> Results:
    """Writes one HTML file per day, even if upstream assets failed, and lists what is missing.

    The metadata holds a summary of the day's report. The page `reports/index.html` links to the
    reports of all workspaces.
    """
    return make_reports(batch)


TABLE_ASSETS: tuple[TableAsset, ...] = (
    TableAsset(
        WORKSPACES,
        workspaces,
        REGISTRIES,
        reads=(PUSHED_CONFIGS,),
        watches=(
            Watch(
                "identity",
                "The workspace's config has a uid, which detects a renamed or copied folder.",
                find_unidentified,
            ),
        ),
    ),
    TableAsset(CHANNELS, channels, REGISTRIES),
    TableAsset(ACCOUNTS, accounts, REGISTRIES),
    TableAsset(
        RAW_TRENDS,
        raw_trends,
        COLLECTION,
        kinds=frozenset({"python", "duckdb"}),
        is_collected=True,
        beside=EVIDENCE,
    ),
    TableAsset(
        COLLECTION_COVERAGE,
        collection_coverage,
        COLLECTION,
        reads=(COLLECTION_LOG, RAW_TRENDS),
        watches=(
            Watch(
                "healable",
                "No past day has a target that did not respond and can still be fetched. A backfill"
                " of raw_trends fetches the listed targets.",
                find_healable,
            ),
        ),
    ),
    TableAsset(
        TREND_STORIES,
        trend_stories,
        COLLECTION,
        reads=(RAW_TRENDS,),
        beside=(STORY_ALIASES,),
    ),
    TableAsset(SCORED_TRENDS, scored_trends, COLLECTION, reads=(TREND_STORIES,)),
    TableAsset(
        SOURCE_PERFORMANCE,
        source_performance,
        COLLECTION,
        reads=(RAW_TRENDS, TREND_STORIES, SCORED_TRENDS, PRODUCTION_RECORDS, VIDEO_METRICS),
    ),
    TableAsset(
        PRODUCTION_EVENTS,
        production_events,
        PRODUCTION,
        reads=(PUSHED_FILES,),
        kinds=frozenset({"python", "duckdb"}),
        beside=(INBOX_CURSORS, INBOX_LINES),
    ),
    TableAsset(
        PRODUCTION_RECORDS,
        production_records,
        PRODUCTION,
        reads=(PRODUCTION_EVENTS,),
        beside=(SCRIPT_STATES,),
    ),
    TableAsset(VIDEOS, videos, PRODUCTION, reads=(PRODUCTION_RECORDS,)),
    TableAsset(
        VIDEO_METRICS,
        video_metrics,
        METRICS,
        reads=(VIDEOS,),
        kinds=frozenset({"youtube", "duckdb"}),
        is_collected=True,
        beside=EVIDENCE,
    ),
    TableAsset(
        WORKSPACE_REPORTS,
        workspace_reports,
        REPORTS,
        reads=(
            SCORED_TRENDS,
            SOURCE_PERFORMANCE,
            PRODUCTION_RECORDS,
            VIDEO_METRICS,
            COLLECTION_LOG,
            COLLECTION_COVERAGE,
        ),
        kinds=frozenset({"html", "duckdb"}),
        finish=write_overview,
    ),
)


def evidence_specs(assets: Iterable[TableAsset]) -> list[dg.AssetSpec]:
    """These tables, as assets that others write."""
    writers = {
        table: [one.table.name for one in assets if table in one.beside] for table in WRITTEN_BESIDE
    }
    return [
        dg.AssetSpec(
            key=table.name,
            deps=writers[table],
            description=table.description,
            group_name=table.group,
            owners=OWNERS,
            kinds={"duckdb"},
            metadata=definition_metadata(table),
        )
        for table in WRITTEN_BESIDE
    ]


def evidence_checks() -> dg.AssetChecksDefinition:
    """The checks that every table has, over a week's rows, or all without a day, of everybody."""

    @dg.multi_asset_check(
        name="evidence_checks",
        specs=[
            spec for table in WRITTEN_BESIDE for spec in check_specs(table, texts=STORED_CHECKS)
        ],
    )
    def check_evidence(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        events = RunEvents(context.op_execution_context)
        events.add_row_counts(platform, WRITTEN_BESIDE, anew=True)
        events.flush()
        today = platform.now().date()
        since = today - timedelta(days=_CHECKED_DAYS - 1)
        reader = platform.lake.cross_reader()
        for table in WRITTEN_BESIDE:
            columns = columns_to_check(table)
            days = (since, date.max) if table.by_day else None
            frame = reader.read_across(table, days=days, columns=columns)
            owners = platform.workspaces.ids()
            if table is ERASURES:  # its rows own themselves
                owners = frame.get_column("workspace_id").unique().to_list()
            results = check_stored(table, frame, workspace_ids=owners, today=today)
            yield from evaluate_stored(table, results, f"all workspaces since {since}")

    return check_evidence


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
