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
from ytap_assets.operations.platform import Slice, Written
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
    """Taken from the workspace's config. Every run enters a workspace here before its first row."""
    return list_workspace(slice_.workspace, slice_.read(WORKSPACES), slice_.now)


def channels(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Taken from the workspace's config."""
    return list_channels(slice_.workspace)


def accounts(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Taken from the workspace's config; credentials are named, never held."""
    return list_accounts(slice_.workspace)


def raw_trends(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Asks every source of the workspace for every day of the range, and appends what is new.

    Sources that cannot answer for a past day any more are logged as unrecoverable; what was
    collected then stays.
    """
    return collect_trends(slice_)


def collection_coverage(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Judges every target of every day: answered, or healed by a backfill, or lost.

    The picture in the metadata shows the best that is known of each source's day.
    """
    return cover_slice(slice_)


def trend_stories(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Measures every item of the day, and recognizes the stories they tell together.

    Which story an item tells depends on the days before it. Days that are stored already and come
    after the range are grouped again in the same commit, as far as it changes them: they show as
    materializations of their own. An id that is replaced goes into story_aliases.
    """
    return tell_stories(slice_)


def source_performance(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Counts what each source brought on a day, and what was made of it on that day.

    Days after the range are counted again where their lists were ranked again.
    """
    return measure_slice(slice_)


def scored_trends(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Ranks the day's stories by their final score; every factor of it is a column.

    Days that are stored already, up to 28 after the range and on while that changes them, are
    ranked again in the same commit: they show as materializations of their own. first_position and
    first_ranked_at keep the list as it was first made.

    What was produced before the day began is taken from production_events as it stands: trends are
    ranked whatever becomes of the production.
    """
    return score_slice(slice_)


def production_events(slice_: Slice, config: Mapping[str, Any]) -> Written:
    """Reads the workspace's inboxes and promotes scripts, as far as evidence and gates allow.

    Every event is admitted under the write lock only if its script is still in the state that
    the event found.
    """
    return advance(slice_, config.get(PROMOTION, ALL_PROMOTIONS))


def production_records(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """Folds the workspace's events."""
    return fold_records(slice_)


def videos(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
    """The published records."""
    return list_videos(slice_)


def video_metrics(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Asks YouTube for the counts of the workspace's published videos, 50 at a time."""
    return collect_metrics(slice_)


def workspace_reports(slice_: Slice, _config: Mapping[str, Any]) -> Written:
    """Writes one HTML file per day, whatever failed upstream, and says in it what is missing.

    The essentials of the day's report are in the metadata. A page over all workspaces,
    `reports/index.html`, links to the reports.
    """
    return make_reports(slice_)


TABLE_ASSETS: tuple[TableAsset, ...] = (
    TableAsset(
        WORKSPACES,
        workspaces,
        watches=(
            Watch(
                "identity",
                "The workspace's config has a uid, by which a renamed or copied folder is noticed.",
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
                "Every day that is over was answered, or cannot be any more; what is listed would"
                " be brought by a backfill of raw_trends.",
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
