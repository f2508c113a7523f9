"""The rank of an item among the items of its own source: momentum, from 0 to 10.

Belongs here: what is usual for a source (its baseline), measured on a workspace's past days and
drawn to declared defaults while these are few; and placing an item, or a story's sum, in that
distribution. Does not belong here: what is measured of an item (`items`).

Hotness joins the two measures of an item, both in units of what is usual for its source:

    hotness = expected / usual expected + (velocity / (2.25 x usual velocity)) ^ steepness

The first part orders the many that go their usual course. With a steepness of 6 the second takes
over where a thing gathers faster than about twice the usual: votes lift what is fast, so from there
on speed alone says where it ends. Views add up (steepness 1). Both are scale-free, so a small
community is measured by itself.

What is usual is declared in the profiles of some sources (`source_profiles`). Any other has no
scale but that of its own items, and is neutral without them: its items are drawn to the middle, the
more the fewer items are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise

import polars as pl

from ytap_assets.domain.rounding import round_exactly
from ytap_assets.domain.scoring.items import COUNTS, RANK
from ytap_assets.domain.source_profiles import HOTNESS_OF_VIEWS, SOURCE_PROFILES, Baseline

TAKE_OFF = 2.25
SHRINKAGE = 50
"""So many items weigh as much as the declared default, or as the middle where none is declared."""
NEUTRAL_SHARE = 0.5
"""The top share of an item of which nothing is known."""
TOP_SHARES = (0.95, 0.75, 0.5, 0.25, 0.1, 0.01)
"""The share of items that reach each value of ``Baseline.hotness``."""
SCALE = 10.0
CURVE = 0.25
"""momentum = 10 x (1 - top share ^ 0.25): 1.6 in the middle, 4.4 for the top tenth, 6.8 for the
top hundredth."""

FOR_DAY = "for_day"
"""The day that baselines are for, where there are those of several days."""
_KEY = ("source", "momentum_basis")
_KNOTS = tuple(f"hotness_{number}" for number in range(len(TOP_SHARES)))
_LOGS = tuple(f"{knot}_log" for knot in _KNOTS)
_SLOPES = tuple(f"slope_{number}" for number in range(len(_KNOTS) - 1))
_FALLS = tuple(math.log(share) for share in TOP_SHARES)
_LEAST = 1e-9


DEFAULT_BASELINES: Mapping[tuple[str, str], Baseline] = {
    (name, profile.baseline.basis): profile.baseline
    for name, profile in SOURCE_PROFILES.items()
    if profile.baseline is not None
}
_NO_SCALE = Baseline("views", expected=1, velocity=1, hotness=HOTNESS_OF_VIEWS)
"""For any other source and basis: the shape of hotness, which is free of scale. Its medians mean
nothing and are never used."""


def is_declared() -> pl.Expr:
    """Whether the source and basis of a row have a declared baseline."""
    return pl.any_horizontal(_is_of(source, basis) for source, basis in DEFAULT_BASELINES)


def _is_of(source: str, basis: str) -> pl.Expr:
    return (pl.col("source") == source) & (pl.col("momentum_basis") == basis)


def measure_baselines(past: pl.DataFrame) -> pl.DataFrame:
    """The baselines of each source, from the items of past days.

    Medians and quantiles are computed of logarithms and shrunk towards the declared default:
    with n items their weight is n / (n + `SHRINKAGE`). If none is declared, the medians are
    those of the items alone.

    Args:
        past: ``source``, ``momentum_basis``, ``expected_engagement``, ``velocity`` of
            past items, in any order; may be empty. With a column ``workspace_id`` the baselines are
            per workspace, with `FOR_DAY` per day.

    Returns:
        One row per source and basis seen (and workspace and day, where given): these, ``items``,
        ``usual_expected``, ``usual_velocity`` and the hotness of each of `TOP_SHARES`, as `place`
        takes them.
    """
    key = _key_of(past)
    known = past.select(*key, "expected_engagement", "velocity").filter(
        pl.col("momentum_basis").is_in(COUNTS)
    )
    medians = known.group_by(key, maintain_order=True).agg(
        items=pl.len(),
        usual_expected=pl.col("expected_engagement").median(),
        usual_velocity=pl.col("velocity").median(),
    )
    usual = _draw_to_defaults(medians, ("usual_expected", "usual_velocity"), is_scale=True)
    scales = usual.with_columns(steepness=_steepness())
    hotness_of = known.join(scales, on=key).select(*key, _hotness())
    quantiles = hotness_of.group_by(key, maintain_order=True).agg(
        pl.len().alias("items"),
        *(
            pl.col("hotness").quantile(1 - share).alias(knot)
            for knot, share in zip(_KNOTS, TOP_SHARES, strict=True)
        ),
    )
    knots = _draw_to_defaults(quantiles, _KNOTS, is_scale=False).drop("items")
    return usual.join(knots, on=key, maintain_order="left")


def _hotness() -> pl.Expr:
    """``hotness``, from the two measures, what is usual for both, and ``steepness``."""
    usual = pl.col("expected_engagement") / pl.col("usual_expected")
    fast = pl.col("velocity") / (TAKE_OFF * pl.col("usual_velocity"))
    return (usual + fast.pow("steepness")).alias("hotness")


def _steepness() -> pl.Expr:
    return reduce(
        lambda rest, one: pl.when(_is_of(*one[0])).then(one[1].steepness).otherwise(rest),
        DEFAULT_BASELINES.items(),
        pl.lit(_NO_SCALE.steepness),
    )


def place(frame: pl.DataFrame, baselines: pl.DataFrame) -> pl.DataFrame:
    """Rank each row among the items of its source.

    Args:
        frame: ``source``, ``momentum_basis``, ``expected_engagement``, ``velocity``
            and ``rank_share`` of items (`items.measure_items`), or of stories' sums.
        baselines: As `measure_baselines` gives them; a source that is not there has its default.
            Those of workspaces and for days (`FOR_DAY`) are those of the rows' own.

    Returns:
        ``frame`` with ``top_share`` (the share of the source's items of at least that hotness; null
        where nothing is known) and ``momentum`` (10 x (1 - top_share^0.25), 4 decimals), and with
        ``is_compared``: false if fewer than `SHRINKAGE` items say what is usual. Within a
        source and basis momentum orders as hotness does. Without a declared baseline the share is
        shrunk towards 0.5: with n items of the source it is share^w x 0.5^(1 - w),
        w = n / (n + `SHRINKAGE`). Unknown: the neutral momentum.
    """
    key = _key_of(baselines)
    dated = frame.with_columns(pl.col("day").alias(FOR_DAY)) if FOR_DAY in key else frame
    keys = dated.select(key).unique().filter(pl.col("momentum_basis").is_in(COUNTS))
    defaults = _default_baselines(keys.join(baselines, on=key, how="anti"))
    joined = dated.select(*key, "expected_engagement", "velocity", "rank_share").join(
        _add_constants(pl.concat([baselines, defaults.select(baselines.columns)])),
        on=key,
        how="left",
        maintain_order="left",
    )
    counted, is_ranked = pl.col("momentum_basis").is_in(COUNTS), pl.col("momentum_basis") == RANK
    placed = joined.select(
        _hotness(),
        "weight",
        _KNOTS[0],
        *_LOGS,
        *_SLOPES,
        "momentum_basis",
        "rank_share",
    ).select(
        top_share=pl.when(is_ranked)
        .then("rank_share")
        .when(counted & (pl.col("weight") > 0))
        .then(_draw_to_middle(_top_share(), pl.col("weight"))),
        is_compared=is_ranked | (counted & (pl.col("weight") >= 0.5)),
    )
    return frame.with_columns(placed["top_share"], placed["is_compared"]).with_columns(
        momentum_column()
    )


def _add_constants(baselines: pl.DataFrame) -> pl.DataFrame:
    """Add what is the same for all rows of a baseline.

    ``steepness``, ``weight``, the knots' logarithms, and the slope of the line from each to the
    next.
    """
    return baselines.with_columns(
        *(pl.col(knot).log().alias(log) for knot, log in zip(_KNOTS, _LOGS, strict=True)),
        steepness=_steepness(),
        weight=pl.when(is_declared()).then(1.0).otherwise(_weight()),
    ).with_columns(
        ((low - high) / (pl.col(start) - pl.col(end))).alias(slope)
        for slope, (start, end), (low, high) in zip(
            _SLOPES, pairwise(_LOGS), pairwise(_FALLS), strict=True
        )
    )


def _weight() -> pl.Expr:
    """What measured values weigh, by the number of ``items``."""
    return pl.col("items") / (pl.col("items") + SHRINKAGE)


def _draw_to_middle(share: pl.Expr, weight: pl.Expr) -> pl.Expr:
    drawn = (weight * share.log() + (1 - weight) * math.log(NEUTRAL_SHARE)).exp()
    return pl.when(weight < 1).then(drawn).otherwise(share)


def momentum_column() -> pl.Expr:
    """``momentum``, from ``top_share``."""
    share = pl.col("top_share").fill_null(NEUTRAL_SHARE)
    return round_exactly(SCALE * (1 - share.pow(CURVE)), 4).alias("momentum")


def _top_share() -> pl.Expr:
    """The share of items of at least that hotness, linear between the knots, both logarithmic.

    Beyond the last knot the line goes on; below the first the share of the other items goes to 0 in
    proportion to hotness.
    """
    hotness = pl.col("hotness").clip(lower_bound=_LEAST).log()
    line = pl.lit(_FALLS[0])
    for slope, (start, end) in zip(_SLOPES, pairwise(_LOGS), strict=True):
        upper = hotness if end == _LOGS[-1] else pl.min_horizontal(hotness, end)
        line += pl.col(slope) * (pl.max_horizontal(upper, start) - pl.col(start))
    below = 1 - (1 - TOP_SHARES[0]) * pl.col("hotness") / pl.col(_KNOTS[0])
    return pl.when(pl.col("hotness") < pl.col(_KNOTS[0])).then(below).otherwise(line.exp())


def _draw_to_defaults(
    measured: pl.DataFrame, names: Sequence[str], *, is_scale: bool
) -> pl.DataFrame:
    """The measured values drawn toward the declared ones, in logarithms.

    A scale (``is_scale``) of a source without a declared baseline is drawn to nothing.
    """
    weight = _weight()
    if is_scale:
        weight = pl.when(is_declared()).then(weight).otherwise(1.0)
    drawn = (
        (
            weight * pl.col(name).clip(lower_bound=_LEAST).log()
            + (1 - weight) * pl.col(f"{name}_default").log()
        )
        .exp()
        .alias(name)
        for name in names
    )
    key = _key_of(measured)
    defaults = _default_baselines(measured.select(key))
    return measured.join(
        defaults, on=key, how="left", maintain_order="left", suffix="_default"
    ).select(*key, "items", *drawn)


def _key_of(frame: pl.DataFrame) -> tuple[str, ...]:
    return (*(name for name in ("workspace_id", FOR_DAY) if name in frame.columns), *_KEY)


def _default_baselines(keys: pl.DataFrame) -> pl.DataFrame:
    """The declared baselines of sources, as `measure_baselines` gives them; of 0 items."""
    baselines = [
        DEFAULT_BASELINES.get((source, basis), _NO_SCALE)
        for source, basis in keys.select(_KEY).iter_rows()
    ]
    columns = {
        "usual_expected": [baseline.expected for baseline in baselines],
        "usual_velocity": [baseline.velocity for baseline in baselines],
        **{
            knot: [baseline.hotness[number] for baseline in baselines]
            for number, knot in enumerate(_KNOTS)
        },
    }
    return keys.select(
        *_key_of(keys),
        pl.lit(0, pl.get_index_type()).alias("items"),
        *(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()),
    )
