"""The frames a report is made from.

Belongs here: which rows and columns a report needs. Does not belong here: what is counted in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    QUARANTINED_ROWS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    VIDEO_METRICS,
    VIDEOS,
)

COVERAGE_DAYS = 28
"""How far back a page shows which days are known."""
RESULT_DAYS = 28
"""Over how many days a page adds up what came of each source."""
INPUT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "raw_trends": ("workspace_id", "day", "source", "item_id", "observed_at"),
    "quarantined_rows": ("day", "source", "origin", "place", "reason"),
}
"""Tables of which a report needs these columns only; of the others it takes all."""


def _raw() -> pl.DataFrame:
    return RAW_TRENDS.empty().select(INPUT_COLUMNS["raw_trends"])


def _quarantined() -> pl.DataFrame:
    return QUARANTINED_ROWS.empty().select(INPUT_COLUMNS["quarantined_rows"])


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """One workspace's rows; a frame that is not given is empty, and its absence is reported.

    Attributes:
        scored: Rows of `scored_trends` of the days reported.
        raw: Rows of `raw_trends` of these days, with the columns of `INPUT_COLUMNS`.
        quarantined: Rows of `quarantined_rows` of these days, with the columns of `INPUT_COLUMNS`.
        log: Rows of `collection_log` of these days.
        coverage: Rows of `collection_coverage` of these days and the `COVERAGE_DAYS` before.
        performance: Rows of `source_performance` of these days and the `RESULT_DAYS` before.
        events: All rows of `production_events`, or those until the end of the last day.
        videos: All rows of `videos`.
        metrics: All rows of `video_metrics` until the last day: counts are carried forward.
    """

    scored: pl.DataFrame = field(default_factory=SCORED_TRENDS.empty)
    raw: pl.DataFrame = field(default_factory=_raw)
    quarantined: pl.DataFrame = field(default_factory=_quarantined)
    log: pl.DataFrame = field(default_factory=COLLECTION_LOG.empty)
    coverage: pl.DataFrame = field(default_factory=COLLECTION_COVERAGE.empty)
    performance: pl.DataFrame = field(default_factory=SOURCE_PERFORMANCE.empty)
    events: pl.DataFrame = field(default_factory=PRODUCTION_EVENTS.empty)
    videos: pl.DataFrame = field(default_factory=VIDEOS.empty)
    metrics: pl.DataFrame = field(default_factory=VIDEO_METRICS.empty)


def as_calendar(days: Iterable[date]) -> pl.DataFrame:
    """The days as a frame with the one column ``day``: each once, in order."""
    return pl.DataFrame({"day": sorted(set(days))}, schema={"day": pl.Date})


def carry_forward(calendar: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """What changes amount to by the end of each day.

    Args:
        calendar: ``day``, in order.
        changes: ``day`` and columns of differences, in any order.

    Returns:
        The calendar with the running sums; null before the first change.
    """
    columns = [name for name in changes.columns if name != "day"]
    totals = (
        changes.group_by("day")
        .agg(pl.col(columns).sum())
        .sort("day")
        .with_columns(pl.col(columns).cum_sum())
    )
    return calendar.join_asof(totals, on="day")
