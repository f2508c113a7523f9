"""How hot an item is: what it gathers per hour, and what it is on its way to.

Belongs here: what one item's counts and age say, and what its earlier observations add. Does not
belong here: where that stands among other items of its source (`norms`), stories (`final_score`),
or the base score (`scoring`).

Of an item's counts one speaks for it: points (votes), else views, else likes, else comments.
Comments are not added to votes: on the Reddit history the sum foretells less than votes alone
(`docs/scoring.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from ytap_assets.domain.scoring import by_source
from ytap_assets.domain.source_profiles import DEFAULT_GROWTH, SOURCE_PROFILES, GrowthCurve

COUNTS = ("points", "views", "likes", "comments")
"""The counts that can speak for an item, the most telling first."""
RANK = "rank"
UNKNOWN = "unknown"

_HOUR_US = 3_600_000_000
_DAY = ("workspace_id", "day")
_ITEM = (*_DAY, "source", "item_id")
_SHORTEST_GAP = pl.duration(minutes=15)
_SHORTEST_LIST = 25
SLOWING = 0.2
_MOST_SLOWED = 0.25
_EARLIEST_SHARE = 0.2
"""The share of ``settling_hours`` that every item is given in advance: a first look is never
divided by nothing."""


@dataclass(frozen=True)
class Courses:
    """The course of each source. `docs/scoring.md` says which were measured, and on what."""

    by_source: Mapping[str, GrowthCurve] = field(
        default_factory=lambda: {name: profile.growth for name, profile in SOURCE_PROFILES.items()}
    )
    other: GrowthCurve = DEFAULT_GROWTH

    def column(self, name: str) -> pl.Expr:
        """One of the courses' values, by ``source``."""
        values = {source: getattr(course, name) for source, course in self.by_source.items()}
        return by_source(values, getattr(self.other, name))


def measure_items(
    items: pl.DataFrame, gains: pl.DataFrame, courses: Courses | None = None
) -> pl.DataFrame:
    """Measure each item, from the observation of it that counts and its earlier ones.

    Args:
        items: One row per workspace, day, source and item: those keys, points, views, likes,
            comments, rank, ``list_length`` (`scoring.merge_observations`) and ``hours_old``
            (`scoring.hours_old_column`).
        gains: What earlier observations tell (`measure_gains`).
        courses: How items of each source usually gather their counts.

    Returns:
        ``items`` with ``looks``, ``gained_per_hour`` and

        - ``momentum_basis``: the count that speaks for the item (one of `COUNTS`); ``rank``
          where its source tells no count, or no age; else ``unknown``;
        - ``engagement_per_hour``: that count by age, the age being at least about
          ``first_hours``;
        - ``pace``: the same, but less where the latest looks show that the item slows down:
          x (gained / engagement per hour) ^ 0.2, the ratio held between 1/4 and 1;
        - ``expected_engagement``: what the count comes to at the usual course of its source,
          (count + 1) / (share gathered by this age), fading with age:
          share = 1 - exp(-(age / settling_hours + 0.2)), fading = 1 / (1 + (age / fading)^2);
        - ``rank_share``: rank / (length of the list + 1), where the basis is ``rank``; with a known
          age it fades alike: / fading, at most the last place.

        The measures are null where they are not known. They can be added up.
    """
    courses = courses or Courses()
    age, count = pl.col("hours_old"), pl.max_horizontal(_count(), pl.lit(0.0))
    first, settling, fading = (
        courses.column(name) for name in ("first_hours", "settling_hours", "fading_hours")
    )
    counted = pl.col("momentum_basis").is_in(COUNTS)
    share = 1 - (-(age / settling + _EARLIEST_SHARE)).exp()
    gravity = 1 + (age / fading).pow(2)
    length = pl.max_horizontal("list_length", pl.lit(_SHORTEST_LIST))
    known = items.join(gains, on=_ITEM, how="left", maintain_order="left").with_columns(_basis())
    return known.with_columns(
        pl.when(counted).then(count / _smooth_floor(age, first)).alias("engagement_per_hour"),
        pl.when(counted).then((count + 1) / share / gravity).alias("expected_engagement"),
        pl.when(pl.col("momentum_basis") == RANK)
        .then(pl.min_horizontal(pl.col("rank") * gravity.fill_null(1.0), length) / (length + 1))
        .alias("rank_share"),
    ).with_columns(pace=pl.col("engagement_per_hour") * _slowing())


def measure_gains(trends: pl.DataFrame) -> pl.DataFrame:
    """What the earlier observations of a day tell about each item.

    Compared are the observation that counts (`scoring.latest_observations`) and the latest at
    least 15 minutes before it; nothing later is looked at. Votes that fall are the platform's
    noise (on the Reddit history in one observation of seven), so a loss is no gain, never less.

    Args:
        trends: All observations of the days, one per item and instant
            (`scoring.merge_observations`).

    Returns:
        One row per workspace, day, source and item: ``looks`` (observations up to the one that
        counts) and ``gained_per_hour`` (null where there is nothing to compare).
    """
    deadline = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(days=2)
    seen = trends.select(
        *_ITEM, "observed_at", count=_count(), basis=_first_known(), in_time=_before(deadline)
    )
    counted = seen.group_by(_ITEM, maintain_order=True).agg(
        all=pl.len(), in_time=pl.col("in_time").sum()
    )
    # What came too late counts only for an item that was not seen in time.
    looks = counted.select(
        *_ITEM,
        looks=pl.when(pl.col("in_time") > 0).then("in_time").otherwise("all"),
        is_late=pl.col("in_time") == 0,
    )
    repeated = (
        seen.join(looks.filter(pl.col("looks") > 1), on=_ITEM)
        .filter(pl.col("in_time") | pl.col("is_late"))
        .sort("observed_at")
    )
    return looks.drop("is_late").join(_gains(repeated), on=_ITEM, how="left", maintain_order="left")


def _gains(repeated: pl.DataFrame) -> pl.DataFrame:
    """``gained_per_hour`` of items with several looks, given in the order of time."""
    last_at, last = pl.col("observed_at").last(), pl.col("count").last()
    is_earlier = pl.col("observed_at") <= last_at - _SHORTEST_GAP
    usable = is_earlier & (pl.col("basis") == pl.col("basis").last())
    before_at, before = (pl.col(name).filter(usable).last() for name in ("observed_at", "count"))
    hours = (last_at - before_at).dt.total_microseconds() / _HOUR_US
    gained = pl.max_horizontal(last - before, pl.lit(0.0)) / hours
    return repeated.group_by(_ITEM).agg(gained_per_hour=pl.when(before.is_not_null()).then(gained))


def _count() -> pl.Expr:
    return pl.coalesce(pl.col(name).cast(pl.Float64) for name in COUNTS)


def _first_known() -> pl.Expr:
    """The name of the count that speaks for a row; null where there is none."""
    return pl.coalesce(pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in COUNTS)


def _basis() -> pl.Expr:
    known = pl.when(pl.col("hours_old").is_not_null()).then(_first_known())
    ranked = pl.when(pl.col("rank") >= 1).then(pl.lit(RANK))
    return pl.coalesce(known, ranked, pl.lit(UNKNOWN)).alias("momentum_basis")


def _slowing() -> pl.Expr:
    """What is left of an item's speed: 1 unless it gains less than it did on the whole."""
    ratio = pl.col("gained_per_hour") / pl.col("engagement_per_hour")
    known = pl.when(pl.col("engagement_per_hour") > 0).then(ratio.clip(_MOST_SLOWED, 1))
    return known.pow(SLOWING).fill_null(1.0)


def _before(deadline: pl.Expr) -> pl.Expr:
    return pl.col("observed_at") < deadline


def _smooth_floor(age: pl.Expr, floor: pl.Expr) -> pl.Expr:
    """The age, but never below the floor, and without a corner: the 4-norm of the two."""
    return (age.pow(4) + floor.pow(4)).pow(0.25)
