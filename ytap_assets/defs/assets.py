"""What each asset does with a slice. Every function's docstring is shown in the UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ytap_assets.defs.checks import Watch
from ytap_assets.defs.evidence import EVIDENCE
from ytap_assets.defs.table_assets import Stage, TableAsset
from ytap_assets.domain.coverage import find_healable
from ytap_assets.operations.collect import collect_metrics, collect_trends
from ytap_assets.operations.coverage import cover_slices
from ytap_assets.operations.due import find_due
from ytap_assets.operations.performance import measure
from ytap_assets.operations.platform import (
    Batch,
    Results,
    publish_batch,
    split_slices,
)
from ytap_assets.operations.production import ALL_PROMOTIONS, advance, fold_records, list_videos
from ytap_assets.operations.registries import (
    describe_workspaces,
    find_unidentified,
    list_accounts,
    list_channels,
)
from ytap_assets.operations.reporting import make_reports, write_overview
from ytap_assets.operations.scoring import score
from ytap_assets.operations.stories import cluster_stories
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    WORKSPACES,
)

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
    return measure(batch)


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

    What production_events appends is computed in the same commit.
    """
    return fold_records(batch)


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
                "No past day has a target that did not answer and can still be fetched. A backfill"
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
        kinds=frozenset({"python", "duckdb"}),
        beside=(INBOX_CURSORS, INBOX_LINES),
    ),
    TableAsset(PRODUCTION_RECORDS, production_records, PRODUCTION, reads=(PRODUCTION_EVENTS,)),
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
