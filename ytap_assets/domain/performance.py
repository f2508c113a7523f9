"""Results: the engagement of a video, and the results of each source.

The results of a source are items, stories, scripts, videos, views, costs and revenue. A script is
credited to one source, the first to show its topic, so that sums over sources are sums over
scripts. Belongs here: formulas on the counts of a video, crediting and counting. Does not belong
here: sums over a workspace for a report (`reporting`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from ytap_assets.domain.reporting.numbers import find_gains, pick_top_stories
from ytap_assets.domain.rounding import round_exactly
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    TREND_STORIES,
    VIDEO_METRICS,
)

UNSETTLED_DAYS = 4
"""Platforms revise the counts of the last days; these days, including today, are fetched again."""
UNATTRIBUTED = "unattributed"
TOP = 10
_KEY = ("workspace_id", "day", "source")
_COUNTS = (
    "observations",
    "items",
    "spam_items",
    "stories",
    "top_ten",
    "chosen",
    "published",
)


def engagement_rate_pct(
    views: int | None, likes: int | None, comments: int | None, shares: int | None
) -> float | None:
    """(likes + comments + shares) / views x 100, in percent with two decimals.

    Null without views, or if likes are unknown: a rate without them would be far too low. Comments
    (which may be closed) and shares (which few platforms report) are omitted if unknown. Rates
    above 100 are possible and kept.
    """
    if likes is None or views is None or views <= 0:
        return None
    return round((likes + (comments or 0) + (shares or 0)) / views * 100, 2)


def is_settled(day: date, now: datetime) -> bool:
    """Whether platforms no longer revise the counts of a UTC date."""
    return day <= now.date() - timedelta(days=UNSETTLED_DAYS)


@dataclass(frozen=True, eq=False)
class SourceInputs:
    """Rows of one or more workspaces.

    Attributes:
        observed: ``workspace_id``, ``day``, ``source``: one row per row of `raw_trends`.
        members: Rows of `trend_stories` of the days that are counted.
        scored: Rows of `scored_trends` of these days.
        topic_members: All members, of any day, of the stories about a script's topic: rows of
            `trend_stories` with ``workspace_id``, ``story_id``, ``source``, ``canonical_url``, and
            ``observed_at``, which is here the first observation of the item.
        records: Rows of `production_records`: the scripts that were submitted or published on
            these days, and those with a video in ``metrics``.
        metrics: Rows of `video_metrics` of these days and the one before.
    """

    observed: pl.DataFrame
    members: pl.DataFrame = field(default_factory=TREND_STORIES.empty)
    scored: pl.DataFrame = field(default_factory=SCORED_TRENDS.empty)
    topic_members: pl.DataFrame = field(default_factory=TREND_STORIES.empty)
    records: pl.DataFrame = field(default_factory=PRODUCTION_RECORDS.empty)
    metrics: pl.DataFrame = field(default_factory=VIDEO_METRICS.empty)


def measure_sources(days: pl.Series, inputs: SourceInputs) -> pl.DataFrame:
    """Count the items of each source, and the scripts and videos made of them, per day.

    Returns:
        Rows of `source_performance`; a day on which nothing happened has none.
    """
    credited = credit_scripts(inputs.records, inputs.topic_members)
    parts = [
        inputs.observed.group_by(_KEY).agg(pl.len().alias("observations")),
        _count_items(inputs.members),
        _count_top(inputs.members, inputs.scored),
        _count_scripts(credited, "created_at", "chosen"),
        _count_published(credited),
        _sum_gains(credited, inputs.metrics),
    ]
    whole = pl.concat(
        [part.with_columns(pl.col("day").cast(pl.Date)) for part in parts], how="diagonal_relaxed"
    )
    names = [*_COUNTS, "views_gained", "cost_usd_micros"]
    known = whole.filter(pl.col("day").is_in(days.implode())).group_by(_KEY)
    rows = known.agg(
        pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)
        for name in names
    )
    counted = rows.with_columns(pl.col(_COUNTS).fill_null(0))
    # Of no items, none is judged: 0 of 0 would be a ratio that is no number.
    spam_items = pl.when(pl.col("items") > 0).then("spam_items")
    return (
        counted.with_columns(spam_items)
        .with_columns(
            round_exactly(pl.col("spam_items") * 100.0 / pl.col("items"), 2).alias("spam_pct"),
            pl.lit(None).alias("revenue_usd_micros"),
            pl.lit(None).alias("roi_pct"),
            _say_missing().alias("missing"),
        )
        .select(SOURCE_PERFORMANCE.schema.names())
        .cast(SOURCE_PERFORMANCE.schema)
        .sort(_KEY)
    )


def _say_missing() -> pl.Expr:
    """Why numbers of a row are null, by their names."""
    is_published = pl.col("published") > 0
    reasons = (
        pl.when(pl.col("items") == 0).then(pl.lit("spam_items, spam_pct: it has no items")),
        pl.when(pl.col("views_gained").is_null()).then(
            pl.lit("views_gained: no video of it has counts of this day and the one before")
        ),
        pl.when(pl.col("cost_usd_micros").is_null() & is_published).then(
            pl.lit("cost_usd_micros: the cost of its videos is unknown")
        ),
        pl.when(pl.col("cost_usd_micros").is_null() & ~is_published).then(
            pl.lit("cost_usd_micros: no video of it was published")
        ),
        pl.lit("revenue_usd_micros, roi_pct: revenue is not counted yet"),
    )
    return pl.concat_list(reasons).list.drop_nulls()


def credit_scripts(records: pl.DataFrame, topic_members: pl.DataFrame) -> pl.DataFrame:
    """Each script with the source that was the first to show its topic.

    A script's topic is the page it names. Every member of a story that holds the page counts, if
    it was observed before the script was submitted.

    Args:
        records: Rows of `production_records`.
        topic_members: ``workspace_id``, ``story_id``, ``source``, ``canonical_url`` of stories'
            members, and ``observed_at``: the first observation of each.

    Returns:
        ``records`` with ``source``; `UNATTRIBUTED` where no earlier trend is about the topic.
    """
    topics = records.select("workspace_id", "script_id", "created_at").with_columns(
        canonical_urls(records["topic_url"]).alias("canonical_url")
    )
    stories = topic_members.select("workspace_id", "story_id", "canonical_url").unique()
    members = topic_members.select("workspace_id", "story_id", "source", "observed_at")
    script = ["workspace_id", "script_id"]
    first = (
        topics.drop_nulls("canonical_url")
        .join(stories, on=["workspace_id", "canonical_url"])
        .join(members, on=["workspace_id", "story_id"])
        .filter(pl.col("observed_at") <= pl.col("created_at"))
        .sort("observed_at", "source")
        .unique(script, keep="first", maintain_order=True)
        .select(*script, "source")
    )
    return records.join(first, on=script, how="left", maintain_order="left").with_columns(
        pl.col("source").fill_null(UNATTRIBUTED)
    )


def _count_items(members: pl.DataFrame) -> pl.DataFrame:
    return members.group_by(_KEY).agg(
        pl.len().alias("items"),
        pl.col("is_spam").sum().alias("spam_items"),
        pl.col("story_id").n_unique().alias("stories"),
    )


def _count_top(members: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    best = pick_top_stories(scored, limit=TOP)
    theirs = members.join(best, on=["workspace_id", "day", "story_id"], how="semi")
    return theirs.group_by(_KEY).agg(pl.col("story_id").n_unique().alias("top_ten"))


def _count_scripts(credited: pl.DataFrame, instant: str, name: str) -> pl.DataFrame:
    dated = credited.with_columns(pl.col(instant).dt.date().alias("day")).drop_nulls("day")
    return dated.group_by(_KEY).agg(pl.len().alias(name))


def _count_published(credited: pl.DataFrame) -> pl.DataFrame:
    dated = credited.with_columns(pl.col("published_at").dt.date().alias("day")).drop_nulls("day")
    cost = pl.col("cost_usd_micros")
    return dated.group_by(_KEY).agg(
        pl.len().alias("published"),
        pl.when(cost.is_not_null().any()).then(cost.sum()).alias("cost_usd_micros"),
    )


def _sum_gains(credited: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """Views gained since the day before by the videos of each source's scripts."""
    owners = credited.select("workspace_id", "video_id", "source").drop_nulls()
    theirs = find_gains(metrics, credited).join(owners, on=["workspace_id", "video_id"])
    return theirs.group_by(_KEY).agg(pl.col("gained").sum().alias("views_gained"))
