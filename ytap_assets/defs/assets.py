"""What each asset does with a slice. Every function's docstring is shown in the UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ytap_assets.defs.checks import Watch
from ytap_assets.defs.evidence import EVIDENCE
from ytap_assets.defs.table_assets import TableAsset
from ytap_assets.domain.coverage import find_healable
from ytap_assets.operations.collect import collect_metrics, collect_trends
from ytap_assets.operations.coverage import cover_slice
from ytap_assets.operations.performance import measure_slice
from ytap_assets.operations.platform import Batch, Slice, Written
from ytap_assets.operations.production import ALL_PROMOTIONS, advance, fold_records, list_videos
from ytap_assets.operations.registries import (
    find_unidentified,
    list_accounts,
    list_channels,
    list_workspace,
)
from ytap_assets.operations.reporting import make_reports, write_overview
from ytap_assets.operations.scoring import score_slice
from ytap_assets.operations.stories import tell_stories
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
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


def workspaces(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Read from the workspace's config. A run registers a workspace before its first row."""
    return list_workspace(slice_.workspace, slice_.read(WORKSPACES), slice_.now)


def channels(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Read from the workspace's config."""
    return list_channels(slice_.workspace)


def accounts(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Read from the workspace's config, which holds the names of credentials and no secrets."""
    return list_accounts(slice_.workspace)


def raw_trends(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Fetches every source of the workspace for every day of the range and appends new rows.

    A source that can no longer answer for a past day is logged as unrecoverable. Rows collected
    earlier are kept.
    """
    return collect_trends(slice_)


def collection_coverage(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Computes the state of every target on every day: answered, healable by a backfill, or lost.

    The picture in the metadata shows the best state of each source on each day.
    """
    return cover_slice(slice_)


def trend_stories(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Measures every item of the day and groups the items into stories.

    The story of an item depends on earlier days. Stored days after the range are grouped again in
    the same commit if their stories change. Each of them has a materialization of its own. A story
    id that is replaced is kept in story_aliases.
    """
    return tell_stories(slice_)


def source_performance(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Counts the items and stories of each source, and the scripts and videos made of them.

    Days after the range are counted again if their stories were ranked again.
    """
    return measure_slice(slice_)


def scored_trends(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Ranks the day's stories by their final score. Every factor of the score is a column.

    Later days depend on the range. The 28 stored days after it, and further days as long as the
    ranking changes, are ranked again in the same commit. Each of them has a materialization of its
    own. first_position and first_ranked_at keep the first ranking of a day.

    The stories that were already produced when the day began are read from production_events.
    This is not a dependency: trends are ranked even if a production run fails.
    """
    return score_slice(slice_)


def production_events(slice_: Slice, config: Mapping[str, Any]) -> Written:
    """Reads the workspace's inbox files and promotes the scripts whose gates are open.

    An event is appended only if its script is still in the state that the event was decided on.
    This is checked under the write lock.
    """
    return advance(slice_, config.get(PROMOTION, ALL_PROMOTIONS))


def production_records(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Computes the current state of every script from its events."""
    return fold_records(slice_)


def videos(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Selects the published scripts from production_records."""
    return list_videos(slice_)


def video_metrics(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Fetches the counts of the workspace's published videos from YouTube, 50 per request."""
    return collect_metrics(slice_)


def workspace_reports(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Writes one HTML file per day, even if upstream assets failed, and lists what is missing.

    The metadata holds a summary of the day's report. The page `reports/index.html` links to the
    reports of all workspaces.
    """
    found = make_reports(Batch(slice_.platform, (slice_,), slice_.run))[slice_.scope]
    if isinstance(found, Exception):
        raise found
    return found


TABLE_ASSETS: tuple[TableAsset, ...] = (
    TableAsset(
        WORKSPACES,
        workspaces,
        watches=(
            Watch(
                "identity",
                "The workspace's config has a uid, which detects a renamed or copied folder.",
                find_unidentified,
            ),
        ),
    ),
    TableAsset(CHANNELS, channels),
    TableAsset(ACCOUNTS, accounts),
    TableAsset(
        RAW_TRENDS,
        raw_trends,
        kinds=frozenset({"python", "duckdb"}),
        is_collected=True,
        beside=EVIDENCE,
    ),
    TableAsset(
        COLLECTION_COVERAGE,
        collection_coverage,
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
    TableAsset(TREND_STORIES, trend_stories, reads=(RAW_TRENDS,), beside=(STORY_ALIASES,)),
    TableAsset(SCORED_TRENDS, scored_trends, reads=(TREND_STORIES,)),
    TableAsset(
        SOURCE_PERFORMANCE,
        source_performance,
        reads=(RAW_TRENDS, TREND_STORIES, SCORED_TRENDS, PRODUCTION_RECORDS, VIDEO_METRICS),
    ),
    TableAsset(
        PRODUCTION_EVENTS,
        production_events,
        config={PROMOTION: dg.Field(str, is_required=False)},
        kinds=frozenset({"python", "duckdb"}),
    ),
    TableAsset(PRODUCTION_RECORDS, production_records, reads=(PRODUCTION_EVENTS,)),
    TableAsset(VIDEOS, videos, reads=(PRODUCTION_RECORDS,)),
    TableAsset(
        VIDEO_METRICS,
        video_metrics,
        reads=(VIDEOS,),
        kinds=frozenset({"youtube", "duckdb"}),
        is_collected=True,
        beside=EVIDENCE,
    ),
    TableAsset(
        WORKSPACE_REPORTS,
        workspace_reports,
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
