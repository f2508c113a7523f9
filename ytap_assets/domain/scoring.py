"""The base score: engagement, recency and the weight of a source (SPEC 2).

Belongs here: which observation of an item counts, and what follows from it. Does not belong here:
what an item is on its way to (`momentum`), everything together (`items`), how stories rank
(`ranking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import polars as pl

from ytap_assets.domain.rounding import divide_exactly, round_exactly
from ytap_assets.domain.source_profiles import SOURCE_PROFILES

SOURCE_WEIGHTS: Mapping[str, float] = {
    name: profile.weight for name, profile in SOURCE_PROFILES.items()
}
OTHER_SOURCE_WEIGHT = 1.0
VIEWS_PER_ENGAGEMENT = 50.0
SPAM_FACTOR = 0.1

_BASES_WITH_LIKES = ("likes", "likes+comments", "points", "points+comments")
_COUNTS = ("points", "comments", "likes", "views")
_DAY = ("workspace_id", "day")
_ITEM = (*_DAY, "source", "item_id")


def add_base_scores(
    items: pl.DataFrame,
    *,
    source_weights: Mapping[str, float] | None = None,
    views_per_engagement: float = VIEWS_PER_ENGAGEMENT,
) -> pl.DataFrame:
    """``items`` with the base score and its parts, in the order of the rows.

    One lazy plan: what is needed several times is computed once, and columns side by side.

    Args:
        items: source, points, comments, likes, views, published_at, observed_at and is_spam.
        source_weights: Weights by source, over `SOURCE_WEIGHTS`.
        views_per_engagement: How many views are worth one like.

    Returns:
        ``items`` with the columns of `engagement_columns`, `hours_old_column` and
        `base_score_columns`.
    """
    measured = items.lazy().with_columns(
        *engagement_columns(views_per_engagement), hours_old_column()
    )
    return measured.with_columns(*base_score_columns(source_weights or {})).collect()


def merge_observations(trends: pl.DataFrame) -> pl.DataFrame:
    """What was observed of each item at each instant, over the lists and parts it is stored in.

    An item that stands in several lists at one instant was still observed once. Its row is that of
    the list where it stands highest (without ranks: of the first list by name; within a list, its
    latest part): ``list_name``, ``rank``, ``region`` and ``category`` are that row's own. Each of
    its counts is the highest that was seen: counts grow, so the highest is the latest look, in
    whatever order the rows were stored. Anything else it does not know, the next row says.

    Args:
        trends: Rows of `raw_trends`, unique by its key, of any days and workspaces, in any order.

    Returns:
        One row per workspace, day, source, item and ``observed_at``: the columns of ``trends``
        and ``list_length``, the lowest rank seen that day in the row's list.
    """
    measured = trends.with_columns(_list_length())
    instant = [*_ITEM, "observed_at"]
    is_shared = measured.select(pl.len().over(instant) > 1).to_series()
    if not is_shared.any():
        return measured
    own = ("list_name", "list_length", "part", "rank", "region", "category", "collection_id")
    rest = [name for name in measured.columns if name not in {*instant, *own, *_COUNTS}]
    merged = (
        measured.filter(is_shared)
        .sort(
            pl.col("rank"),
            pl.col("category").is_null(),
            pl.col("region").is_null(),
            pl.col("list_name"),
            -pl.col("part"),
            nulls_last=True,
        )
        .group_by(instant, maintain_order=True)
        .agg(
            pl.col(own).first(),
            pl.col(_COUNTS).max(),
            pl.col(rest).drop_nulls().first(),
        )
    )
    return pl.concat([measured.filter(~is_shared), merged.select(measured.columns)])


def _list_length() -> pl.Expr:
    """How far down the row's list was seen that day: the lowest rank in it.

    Where the list has no name, rows of one category and region are taken for one.
    """
    category = pl.when(pl.col("list_name") == "").then("category")
    lowest = pl.col("rank").max().over(*_DAY, "source", "list_name", "region", category)
    return lowest.alias("list_length")


def latest_observations(trends: pl.DataFrame) -> pl.DataFrame:
    """The observation of each item that counts for each day: the latest made in time.

    In time is until the end of the next day, when its collection looks at the day once more. A
    later one, as of a backfill, counts only for an item that was not seen in time. What was
    observed after the day is dated to the day's last second, as an import is: ages are those of
    the day.

    Args:
        trends: At least workspace_id, ``day``, ``source``, ``item_id``, ``observed_at``.

    Returns:
        One row per workspace, day, source and item, with ``first_observed_at``, dated alike.
    """
    end = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(days=1)
    in_time = pl.col("observed_at") < end + pl.duration(days=1)
    of_the_day = pl.min_horizontal("observed_at", end - pl.duration(seconds=1))
    # Most items were observed once that day, and need no comparison.
    is_repeated = trends.select(_ITEM).is_duplicated()
    once = trends.filter(~is_repeated).with_columns(first_observed_at=of_the_day)
    latest = (
        trends.filter(is_repeated)
        .with_columns(first_observed_at=of_the_day.min().over(_ITEM))
        .sort(in_time, "observed_at")
        .unique(_ITEM, keep="last", maintain_order=True)
    )
    return pl.concat([once, latest], rechunk=True).with_columns(of_the_day.alias("observed_at"))


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
