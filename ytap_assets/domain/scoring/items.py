"""What is measured of an item before it is known which story it belongs to.

The base score (engagement, recency and the weight of a source) and the measures of momentum: what
an item gathers per hour, and its projected count. Belongs here: which observation of an item is
used, and what follows from it. Does not belong here: where an item stands among others of its
source (`baselines`), stories (`final_score`).

The metric used for ranking an item is its points (votes), else views, else likes, else comments.
Comments are not added to votes: on the Reddit history the sum predicts less than votes alone
(`docs/scoring.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import polars as pl

from ytap_assets.domain.rounding import divide_exactly, round_exactly
from ytap_assets.domain.source_profiles import DEFAULT_GROWTH, SOURCE_PROFILES, GrowthCurve
from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.urls import canonical_urls

SOURCE_WEIGHTS: Mapping[str, float] = {
    name: profile.weight for name, profile in SOURCE_PROFILES.items()
}
OTHER_SOURCE_WEIGHT = 1.0
VIEWS_PER_ENGAGEMENT = 50.0
SPAM_FACTOR = 0.1
_BASES_WITH_LIKES = ("likes", "likes+comments", "points", "points+comments")
_DAY = ("workspace_id", "day")
_ITEM = (*_DAY, "source", "item_id")
COUNTS = ("points", "views", "likes", "comments")
"""The metrics that an item can be ranked by, the most predictive first."""
RANK = "rank"
UNKNOWN = "unknown"
_HOUR_US = 3_600_000_000
_SHORTEST_GAP = pl.duration(minutes=15)
_SHORTEST_LIST = 25
SLOWING = 0.2
_MOST_SLOWED = 0.25
_EARLIEST_SHARE = 0.2
"""The share of ``settling_hours`` that every item is given in advance: a first count is never
divided by nothing."""


def add_base_scores(
    items: pl.DataFrame,
    *,
    source_weights: Mapping[str, float] | None = None,
    views_per_engagement: float = VIEWS_PER_ENGAGEMENT,
) -> pl.DataFrame:
    """``items`` with the base score and its parts, in the order of the rows.

    One lazy plan, so that shared expressions are computed once and columns in parallel.

    Args:
        items: source, points, comments, likes, views, published_at, observed_at and is_spam.
        source_weights: Weights by source, over `SOURCE_WEIGHTS`.
        views_per_engagement: How many views are equivalent to one like.

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

    An item in several lists at the same time is observed once. Its row is that of
    the list where it stands highest (without ranks: of the first list by name; within a list, its
    latest part): ``list_name``, ``rank``, ``region`` and ``category`` are that row's own. Each of
    its counts is the highest that was seen: counts grow, so the highest is the latest, in
    whatever order the rows were stored. Anything else it does not know, the next row says.

    Args:
        trends: Rows of `raw_trends`, unique by its key, of any days and workspaces, in any order.

    Returns:
        One row per workspace, day, source, item and ``observed_at``: the columns of ``trends``
        and ``list_length``, the lowest rank seen that day in the row's list.
    """
    measured = trends.with_columns(_list_length())
    instant = [*_ITEM, "observed_at"]
    is_shared = may_repeat(measured, instant)
    if not is_shared.any():
        return measured
    own = ("list_name", "list_length", "part", "rank", "region", "category", "collection_id")
    rest = [name for name in measured.columns if name not in {*instant, *own, *COUNTS}]
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
            pl.col(COUNTS).max(),
            pl.col(rest).drop_nulls().first(),
        )
    )
    return pl.concat([measured.filter(~is_shared), merged.select(measured.columns)])


def may_repeat(frame: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Whether another row may have a row's key, by its hash: true wherever one has it.

    It takes a fifth of the time of a comparison of the keys, of which few are repeated. What
    follows must be right for a row whose key no other has.
    """
    hashes = frame.select(key).hash_rows()
    # `is_duplicated` takes three times as long as sorting does.
    ordered = hashes.sort()
    return hashes.is_in(ordered.filter(ordered == ordered.shift(1)).unique().implode())


def _list_length() -> pl.Expr:
    """How far down the row's list was seen that day: the lowest rank in it.

    Where the list has no name, rows of one category and region are taken for one.
    """
    category = pl.when(pl.col("list_name") == "").then("category")
    lowest = pl.col("rank").max().over(*_DAY, "source", "list_name", "region", category)
    return lowest.alias("list_length")


def latest_observations(trends: pl.DataFrame) -> pl.DataFrame:
    """The observation of each item that counts for each day: the latest made in time.

    In time is until the end of the next day, when its collection observes the day once more. A
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
    is_repeated = may_repeat(trends, _ITEM)
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
    """``hours_old``: from ``published_at`` to ``observed_at``; null if that is not known.

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
    ``base_score`` = (both) x ``source_weight``, x 0.1 if spam, rounded to two decimals.
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


@dataclass(frozen=True)
class GrowthCurves:
    """The growth curve of each source. `docs/scoring.md` describes the measurements."""

    by_source: Mapping[str, GrowthCurve] = field(
        default_factory=lambda: {name: profile.growth for name, profile in SOURCE_PROFILES.items()}
    )
    other: GrowthCurve = DEFAULT_GROWTH

    def column(self, name: str) -> pl.Expr:
        """One of the curves' values, by ``source``."""
        values = {source: getattr(course, name) for source, course in self.by_source.items()}
        return by_source(values, getattr(self.other, name))


def measure_items(
    items: pl.DataFrame, gains: pl.DataFrame, curves: GrowthCurves | None = None
) -> pl.DataFrame:
    """Measure each item, from the observation of it that counts and its earlier ones.

    Args:
        items: One row per workspace, day, source and item: those keys, points, views, likes,
            comments, rank, ``list_length`` (`merge_observations`) and ``hours_old``
            (`hours_old_column`).
        gains: The gains from earlier observations (`measure_gains`).
        curves: How items of each source usually gather their counts.

    Returns:
        ``items`` with ``observation_count``, ``gained_per_hour`` and

        - ``momentum_basis``: the metric used for ranking the item (one of `COUNTS`); ``rank``
          where its source tells no count, or no age; else ``unknown``;
        - ``engagement_per_hour``: that count by age, the age being at least about
          ``first_hours``;
        - ``velocity``: the same, but less where the latest observations show that the item slows
          down: x (gained / engagement per hour) ^ 0.2, the ratio held between 1/4 and 1;
        - ``expected_engagement``: the projected count at the usual growth of its source,
          (count + 1) / (share gathered by this age), decayed by age:
          share = 1 - exp(-(age / settling_hours + 0.2)), decay = 1 / (1 + (age / decay_hours)^2);
        - ``rank_share``: rank / (length of the list + 1), where the basis is ``rank``; with a known
          age it decays alike: / decay, at most the last place.

        The measures are null if they are not known. They can be added up.
    """
    curves = curves or GrowthCurves()
    age, count = pl.col("hours_old"), pl.max_horizontal(_count(), pl.lit(0.0))
    first, settling, decay = (
        curves.column(name) for name in ("first_hours", "settling_hours", "decay_hours")
    )
    counted = pl.col("momentum_basis").is_in(COUNTS)
    share = 1 - (-(age / settling + _EARLIEST_SHARE)).exp()
    gravity = 1 + (age / decay).pow(2)
    length = pl.max_horizontal("list_length", pl.lit(_SHORTEST_LIST))
    known = _add_gains(items, gains).with_columns(_basis())
    return known.with_columns(
        pl.when(counted).then(count / _smooth_floor(age, first)).alias("engagement_per_hour"),
        pl.when(counted).then((count + 1) / share / gravity).alias("expected_engagement"),
        pl.when(pl.col("momentum_basis") == RANK)
        .then(pl.min_horizontal(pl.col("rank") * gravity.fill_null(1.0), length) / (length + 1))
        .alias("rank_share"),
    ).with_columns(velocity=pl.col("engagement_per_hour") * _slowing())


def _add_gains(items: pl.DataFrame, gains: pl.DataFrame) -> pl.DataFrame:
    # Only what was observed several times needs the join, the most expensive of these steps.
    count, gained = pl.col("observation_count"), pl.col("gained_per_hour")
    repeated = gains.filter((count > 1) | gained.is_not_null())
    if repeated.is_empty():
        once = gains.select(count, gained).clear(items.height)
        return items.with_columns(once).with_columns(count.fill_null(1))
    joined = items.join(repeated, on=_ITEM, how="left", maintain_order="left")
    return joined.with_columns(count.fill_null(1))


def measure_gains(trends: pl.DataFrame) -> pl.DataFrame:
    """The gains of each item from the earlier observations of a day.

    Compared are the observation that counts (`latest_observations`) and the latest at
    least 15 minutes before it; nothing later is read. Votes that fall are the platform's
    noise (on the Reddit history in one observation of seven), so a loss is no gain, never less.

    Args:
        trends: All observations of the days, one per item and instant
            (`merge_observations`).

    Returns:
        One row per workspace, day, source and item: ``observation_count`` (up to the one that is
        used) and ``gained_per_hour`` (null if there is nothing to compare).
    """
    deadline = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(days=2)
    # Most items were observed once that day, and have nothing to group or compare.
    is_repeated = may_repeat(trends, _ITEM)
    once = trends.filter(~is_repeated).select(
        *_ITEM,
        observation_count=pl.lit(1, pl.get_index_type()),
        gained_per_hour=pl.lit(None, pl.Float64),
    )
    seen = trends.filter(is_repeated).select(
        *_ITEM, "observed_at", count=_count(), basis=_first_known(), in_time=_before(deadline)
    )
    counted = seen.group_by(_ITEM, maintain_order=True).agg(
        all=pl.len(), in_time=pl.col("in_time").sum()
    )
    # What came too late counts only for an item that was not seen in time.
    counts = counted.select(
        *_ITEM,
        observation_count=pl.when(pl.col("in_time") > 0).then("in_time").otherwise("all"),
        is_late=pl.col("in_time") == 0,
    )
    repeated = (
        seen.join(counts.filter(pl.col("observation_count") > 1), on=_ITEM)
        .filter(pl.col("in_time") | pl.col("is_late"))
        .sort("observed_at")
    )
    compared = counts.drop("is_late").join(
        _gains(repeated), on=_ITEM, how="left", maintain_order="left"
    )
    return pl.concat([once, compared])


def _gains(repeated: pl.DataFrame) -> pl.DataFrame:
    """``gained_per_hour`` of items with several observations, given in the order of time."""
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
    """The metric used for ranking a row, as its place in `COUNTS`; null if there is none."""
    return pl.coalesce(
        pl.when(pl.col(name).is_not_null()).then(pl.lit(place, pl.UInt8))
        for place, name in enumerate(COUNTS)
    )


def _basis() -> pl.Expr:
    # Numbers are chosen and words looked up once: choosing among texts takes several times longer.
    words = pl.Series([*COUNTS, RANK, UNKNOWN])
    place = (
        pl.when(pl.col("hours_old").is_not_null() & _first_known().is_not_null())
        .then(_first_known())
        .when(pl.col("rank") >= 1)
        .then(pl.lit(len(COUNTS), pl.UInt8))
        .otherwise(pl.lit(len(COUNTS) + 1, pl.UInt8))
    )
    return pl.lit(words).gather(place).alias("momentum_basis")


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


@dataclass(frozen=True)
class ItemConfig:
    """The settings of a workspace for the measures of items.

    Attributes:
        source_weights: Weights by source, over `SOURCE_WEIGHTS`.
        views_per_engagement: How many views are equivalent to one like.
        spam_rules: The workspace's rules.
        spam_model: The workspace's learned model, where it has one.
    """

    source_weights: Mapping[str, float] = field(default_factory=dict)
    views_per_engagement: float = VIEWS_PER_ENGAGEMENT
    spam_rules: SpamRules = field(default_factory=SpamRules)
    spam_model: SpamModel | None = None


def score_items(
    trends: pl.DataFrame, *, configs: Mapping[str, ItemConfig] | None = None
) -> pl.DataFrame:
    """Measure and score the items of each workspace and day.

    Of every item's observations (`merge_observations`) one is used (`latest_observations`).

    Args:
        trends: Rows of `raw_trends`, unique by its key, of any days and workspaces, in any order.
        configs: By workspace; the defaults where a workspace has none. Workspaces whose configs
            are equal are measured together.

    Returns:
        One row per workspace, day, source and item, in this order: the columns of `trend_stories`
        but for those that say which story it belongs to.
    """
    observations = merge_observations(trends)
    items = latest_observations(observations)
    items = items.with_columns(_canonical_urls(items))
    judged = [
        _judge(items.filter(pl.col("workspace_id").is_in(workspaces)), config)
        for config, workspaces in _group_equal(items.get_column("workspace_id"), configs or {})
    ]
    scored = pl.concat(judged) if judged else _judge(items, ItemConfig())
    return measure_items(scored, measure_gains(observations)).sort(_ITEM)


def _group_equal(
    workspaces: pl.Series, configs: Mapping[str, ItemConfig]
) -> list[tuple[ItemConfig, list[str]]]:
    """The workspaces by their configs; these need not be hashable."""
    groups: list[tuple[ItemConfig, list[str]]] = []
    for workspace in workspaces.unique().sort():
        config = configs.get(workspace, ItemConfig())
        same = next((names for known, names in groups if known == config), None)
        if same is None:
            groups.append((config, [workspace]))
        else:
            same.append(workspace)
    return groups


def _judge(items: pl.DataFrame, config: ItemConfig) -> pl.DataFrame:
    return add_base_scores(
        find_spam(items, config.spam_rules, config.spam_model),
        source_weights=config.source_weights,
        views_per_engagement=config.views_per_engagement,
    )


def _canonical_urls(items: pl.DataFrame) -> pl.Series:
    """The canonical URL of each item's page, of its discussion where that names none, or a key."""
    keys = items.select(pl.format("{}:{}", "source", "item_id")).to_series()
    discussions = canonical_urls(items.get_column("discussion_url")).fill_null(keys)
    return canonical_urls(items.get_column("url")).fill_null(discussions).alias("canonical_url")
