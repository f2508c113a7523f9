"""What one item is worth by itself: engagement, recency and the base score (SPEC 2).

Belongs here: which observation of an item counts, and what follows from it. Does not belong here:
what counts as spam (`spam`) or as the same page (`urls`), what an item is on its way to
(`momentum`), and how stories rank (`ranking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import polars as pl

from ytap_assets.domain.momentum import measure_gains, measure_items
from ytap_assets.domain.rounding import divide_exactly, round_exactly
from ytap_assets.domain.spam import find_spam
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import SpamRules
from ytap_assets.domain.urls import canonical_urls

SOURCE_WEIGHTS: Mapping[str, float] = {
    "reddit": 1.0,
    "hn": 1.2,
    "youtube": 0.8,
    "youtube_channel": 0.8,
}
OTHER_SOURCE_WEIGHT = 1.0
VIEWS_PER_ENGAGEMENT = 50.0
SPAM_FACTOR = 0.1

_BASES_WITH_LIKES = ("likes", "likes+comments", "points", "points+comments")
_DAY = ("workspace_id", "day")
_ITEM = (*_DAY, "source", "item_id")


def score_items(
    trends: pl.DataFrame,
    *,
    source_weights: Mapping[str, float] | None = None,
    views_per_engagement: float = VIEWS_PER_ENGAGEMENT,
    spam_rules: SpamRules | None = None,
    spam_model: SpamModel | None = None,
) -> pl.DataFrame:
    """Measure and score the items of each workspace and day.

    Of every item's observations one counts (`latest_observations`).

    Args:
        trends: Rows of `raw_trends`, unique by its key, of any days and workspaces, in any order.
        source_weights: Weights by source, over `SOURCE_WEIGHTS`.
        views_per_engagement: How many views are worth one like.
        spam_rules: The workspace's rules; the general ones by default.
        spam_model: The workspace's learned model, where it has one.

    Returns:
        One row per workspace, day, source and item, in this order: the columns of `trend_stories`
        but for those that say which story it tells.
    """
    items = latest_observations(trends)
    items = find_spam(items, spam_rules or SpamRules(), spam_model)
    items = items.with_columns(
        *engagement_columns(views_per_engagement), hours_old_column(), _canonical_urls(items)
    )
    items = items.with_columns(*base_score_columns(source_weights or {}))
    return measure_items(items, measure_gains(trends)).sort(_ITEM)


def latest_observations(trends: pl.DataFrame) -> pl.DataFrame:
    """The observation of each item that counts for each day: the latest made in time.

    In time is until the end of the next day, when its collection looks at the day once more. A
    later one, as of a backfill, counts only for an item that was not seen in time. What was
    observed after the day is dated to the day's last second, as an import is: ages are those of
    the day.

    Args:
        trends: At least workspace_id, ``day``, ``source``, ``item_id``, ``observed_at``.
    """
    end = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(days=1)
    in_time = pl.col("observed_at") < end + pl.duration(days=1)
    return (
        trends.sort(in_time, "observed_at")
        .unique(_ITEM, keep="last", maintain_order=True)
        .with_columns(pl.min_horizontal("observed_at", end - pl.duration(seconds=1)))
    )


def engagement_columns(views_per_engagement: float) -> tuple[pl.Expr, pl.Expr]:
    """``engagement`` and ``engagement_basis``, from points, comments, likes and views.

    Points (upvotes) + comments; where there are no points, likes + comments; where there are no
    likes either, views / ``views_per_engagement``; else comments alone. A count that is not known
    is left out of the sum, and of the basis; with no count at all engagement is null.
    """
    points, comments, likes, views = (
        pl.col(name).cast(pl.Float64) for name in ("points", "comments", "likes", "views")
    )
    known = comments.fill_null(0)
    engagement = pl.coalesce(
        points + known, likes + known, divide_exactly(views, views_per_engagement), comments
    )
    words = ("none", "comments", f"views/{views_per_engagement:g}", *_BASES_WITH_LIKES)
    with_comments = comments.is_not_null().cast(pl.UInt8)
    # Numbers are chosen and words looked up once: choosing among texts takes several times longer.
    place = (
        pl.when(points.is_not_null())
        .then(5 + with_comments)
        .when(likes.is_not_null())
        .then(3 + with_comments)
        .when(views.is_not_null())
        .then(2)
        .otherwise(with_comments)
    )
    basis = pl.lit(pl.Series(words)).gather(place).alias("engagement_basis")
    return engagement.alias("engagement"), basis


def hours_old_column() -> pl.Expr:
    """``hours_old``: from ``published_at`` to ``observed_at``; null where that is not known.

    What a platform says was published after we saw it (clocks differ, premieres are announced) is
    0 hours old.
    """
    age = pl.col("observed_at") - pl.col("published_at")
    hours = divide_exactly(age.dt.total_microseconds(), 3_600_000_000)
    return hours.clip(lower_bound=0).alias("hours_old")


def base_score_columns(source_weights: Mapping[str, float]) -> tuple[pl.Expr, ...]:
    """The base score and its parts, from source, engagement, hours_old and is_spam.

    ``engagement_score`` = min(engagement / 1000, 10), 0 where engagement is unknown;
    ``recency_score`` = max(0, 10 - hours_old / 2), 0 where the age is unknown;
    ``base_score`` = (both) x ``source_weight``, x 0.1 if spam, rounded to two decimals (SPEC 2).
    """
    weights = {**SOURCE_WEIGHTS, **source_weights}
    engagement = divide_exactly(pl.col("engagement"), 1000).clip(upper_bound=10).fill_null(0.0)
    recency = (10 - pl.col("hours_old") / 2).clip(lower_bound=0).fill_null(0.0)
    weight = by_source(weights, OTHER_SOURCE_WEIGHT)
    factor = pl.when("is_spam").then(SPAM_FACTOR).otherwise(1.0)
    return (
        engagement.alias("engagement_score"),
        recency.alias("recency_score"),
        weight.alias("source_weight"),
        round_exactly((engagement + recency) * weight * factor, 2).alias("base_score"),
    )


def by_source(values: Mapping[str, float], other: float) -> pl.Expr:
    """The value of each row's ``source``. A chain of comparisons: looking up takes ten times."""
    return reduce(
        lambda rest, source: (
            pl.when(pl.col("source") == source).then(values[source]).otherwise(rest)
        ),
        values,
        pl.lit(float(other)),
    )


def _canonical_urls(items: pl.DataFrame) -> pl.Series:
    """The canonical URL of each item's page, of its discussion where it has none, else a key."""
    pages = items.select(pl.coalesce(_known_page("url"), _known_page("discussion_url"))).to_series()
    keys = items.select(pl.format("{}:{}", "source", "item_id")).to_series()
    return canonical_urls(pages).fill_null(keys).alias("canonical_url")


def _known_page(name: str) -> pl.Expr:
    return pl.when(pl.col(name).str.contains(r"\S")).then(name)
