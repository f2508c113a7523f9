"""Where an item stands among the items of its own source: momentum, from 0 to 10.

Belongs here: what is usual for a source (its norms), measured on a workspace's past days and held
by declared defaults while these are few; and placing an item, or a story's sum, among them. Does
not belong here: what is measured of an item (`momentum`).

Heat joins the two measures of an item, both in units of what is usual for its source:

    heat = expected / usual expected + (pace / (2.25 x usual pace)) ^ 6

The first part orders the many that go their usual course. The second takes over where a thing
gathers faster than about twice the usual: platforms lift what is fast, so from there on speed
alone says where it ends. Both are scale-free, so a small community is measured by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from ytap_assets.domain.momentum import COUNTS, RANK, UNKNOWN
from ytap_assets.domain.rounding import round_exactly

TAKE_OFF = 2.25
STEEPNESS = 6.0
SHRINKAGE = 50
"""So many past items weigh as much as the declared default."""
TOP_SHARES = (0.95, 0.75, 0.5, 0.25, 0.1, 0.01)
"""The share of items at least as hot as each of ``Norm.heat``."""
SCALE = 10.0
CURVE = 0.25
"""momentum = 10 x (1 - top share ^ 0.25): 1.6 in the middle, 4.4 for the top tenth, 6.8 for the
top hundredth."""

FOR_DAY = "for_day"
"""The day that norms are for, where there are those of several days."""
_KEY = ("source", "momentum_basis")
_KNOTS = tuple(f"heat_{number}" for number in range(len(TOP_SHARES)))
_LEAST = 1e-9


@dataclass(frozen=True)
class Norm:
    """What is usual for a source.

    Attributes:
        expected: The median of ``expected_engagement``.
        pace: The median of ``pace``.
        heat: The heat that 95, 75, 50, 25, 10 and 1 % of items reach, rising.
    """

    expected: float
    pace: float
    heat: tuple[float, ...]


_HEAT_OF_VOTES = (0.35, 0.7, 1.05, 2.0, 8.8, 25_000)
_HEAT_OF_VIEWS = (0.16, 0.5, 1.0, 2.8, 100, 3.0e6)
_REDDIT = Norm(expected=46, pace=30, heat=_HEAT_OF_VOTES)
_YOUTUBE = Norm(expected=1.4e6, pace=22_000, heat=_HEAT_OF_VIEWS)
DEFAULT_NORMS: Mapping[tuple[str, str], Norm] = {
    ("reddit", "points"): _REDDIT,
    ("hn", "points"): Norm(expected=150, pace=13.5, heat=_HEAT_OF_VOTES),
    ("youtube", "views"): _YOUTUBE,
}
"""Measured: new posts of one large subreddit; stories of one site with at least 50 points in
their first day; the daily list of one country (`docs/scoring.md`)."""
_OTHERS: Mapping[str, Norm] = {
    "points": _REDDIT,
    "views": _YOUTUBE,
    "likes": Norm(_YOUTUBE.expected / 50, _YOUTUBE.pace / 50, _HEAT_OF_VIEWS),
    "comments": Norm(_REDDIT.expected / 5, _REDDIT.pace / 5, _HEAT_OF_VOTES),
}
"""For a source without an entry, by what speaks for its items. Not measured: a first guess that
the workspace's own days soon outweigh."""


def measure_norms(past: pl.DataFrame) -> pl.DataFrame:
    """What is usual for each source, from the items of past days.

    Medians and quantiles are taken of logarithms and drawn toward the declared default:
    with n items their weight is n / (n + `SHRINKAGE`).

    Args:
        past: ``source``, ``momentum_basis``, ``expected_engagement``, ``pace`` of
            past items, in any order; may be empty. With a column `FOR_DAY`, each row counts for
            the day it names.

    Returns:
        One row per source and basis seen (and `FOR_DAY`, where it is given): these, ``items``,
        ``usual_expected``, ``usual_pace`` and the heat of each of `TOP_SHARES`, as `place` takes
        them.
    """
    key = _key_of(past)
    known = past.filter(pl.col("momentum_basis").is_in(COUNTS)).select(
        *key, "expected_engagement", "pace"
    )
    medians = known.group_by(key, maintain_order=True).agg(
        items=pl.len(),
        usual_expected=pl.col("expected_engagement").median(),
        usual_pace=pl.col("pace").median(),
    )
    usual = _draw_to_defaults(medians, ("usual_expected", "usual_pace"))
    heats = known.join(usual, on=key).select(*key, heat_column())
    quantiles = heats.group_by(key, maintain_order=True).agg(
        pl.len().alias("items"),
        *(
            pl.col("heat").quantile(1 - share).alias(knot)
            for knot, share in zip(_KNOTS, TOP_SHARES, strict=True)
        ),
    )
    knots = _draw_to_defaults(quantiles, _KNOTS).drop("items")
    return usual.join(knots, on=key, maintain_order="left")


def heat_column() -> pl.Expr:
    """``heat``, from the two measures and what is usual for both."""
    usual = pl.col("expected_engagement") / pl.col("usual_expected")
    fast = pl.col("pace") / (TAKE_OFF * pl.col("usual_pace"))
    return (usual + fast.pow(STEEPNESS)).alias("heat")


def place(frame: pl.DataFrame, norms: pl.DataFrame) -> pl.DataFrame:
    """Place each row among the items of its source.

    Args:
        frame: ``source``, ``momentum_basis``, ``expected_engagement``, ``pace``
            and ``rank_share`` of items (`momentum.measure_items`), or of stories' sums.
        norms: As `measure_norms` gives them; a source that is not there has its default. Norms
            for days (`FOR_DAY`) are those of the rows' ``day``.

    Returns:
        ``frame`` with ``top_share`` (the share of the source's items at least as hot; null where
        nothing is known) and ``momentum`` (10 x (1 - top_share^0.25), 4 decimals). Within a
        source and basis momentum orders as heat does. Unknown: the momentum of a usual item,
        neither for it nor against.
    """
    key = _key_of(norms)
    dated = frame.with_columns(pl.col("day").alias(FOR_DAY)) if FOR_DAY in key else frame
    keys = dated.filter(pl.col("momentum_basis").is_in(COUNTS)).select(key).unique()
    defaults = _default_norms(keys.join(norms, on=key, how="anti"))
    joined = dated.select(*key, "expected_engagement", "pace", "rank_share").join(
        pl.concat([norms, defaults.select(norms.columns)]),
        on=key,
        how="left",
        maintain_order="left",
    )
    placed = joined.select(heat_column(), *_KNOTS, "momentum_basis", "rank_share").select(
        top_share=pl.when(pl.col("momentum_basis") == RANK)
        .then("rank_share")
        .when(pl.col("momentum_basis") != UNKNOWN)
        .then(_top_share())
    )
    share = placed["top_share"]
    return frame.with_columns(share).with_columns(momentum_column())


def momentum_column() -> pl.Expr:
    """``momentum``, from ``top_share``."""
    share = pl.col("top_share").fill_null(0.5)
    return round_exactly(SCALE * (1 - share.pow(CURVE)), 4).alias("momentum")


def _top_share() -> pl.Expr:
    """The share of items at least as hot: a straight line from knot to knot, both logarithmic.

    Beyond the last knot the line goes on; below the first the share of cooler items goes to 0 in
    proportion to heat.
    """
    heat = pl.col("heat").clip(lower_bound=_LEAST).log()
    falls = [math.log(share) for share in TOP_SHARES]
    line = pl.lit(falls[0])
    for number, (low, high) in enumerate(pairwise(_KNOTS)):
        start, end = pl.col(low).log(), pl.col(high).log()
        slope = (falls[number + 1] - falls[number]) / (end - start)
        is_last = number == len(_KNOTS) - 2
        upper = heat if is_last else pl.min_horizontal(heat, end)
        line += slope * (pl.max_horizontal(upper, start) - start)
    below = 1 - (1 - TOP_SHARES[0]) * pl.col("heat") / pl.col(_KNOTS[0])
    return pl.when(pl.col("heat") < pl.col(_KNOTS[0])).then(below).otherwise(line.exp())


def _draw_to_defaults(measured: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The measured values drawn toward the declared ones, in logarithms."""
    weight = pl.col("items") / (pl.col("items") + SHRINKAGE)
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
    defaults = _default_norms(measured.select(key))
    return measured.join(
        defaults, on=key, how="left", maintain_order="left", suffix="_default"
    ).select(*key, "items", *drawn)


def _key_of(frame: pl.DataFrame) -> tuple[str, ...]:
    return (FOR_DAY, *_KEY) if FOR_DAY in frame.columns else _KEY


def _default_norms(keys: pl.DataFrame) -> pl.DataFrame:
    """The declared norms of sources, as `measure_norms` gives them; of 0 items."""
    norms = [
        DEFAULT_NORMS.get((source, basis), _OTHERS[basis])
        for source, basis in keys.select(_KEY).iter_rows()
    ]
    columns = {
        "usual_expected": [norm.expected for norm in norms],
        "usual_pace": [norm.pace for norm in norms],
        **{knot: [norm.heat[number] for norm in norms] for number, knot in enumerate(_KNOTS)},
    }
    return keys.select(
        *_key_of(keys),
        pl.lit(0, pl.get_index_type()).alias("items"),
        *(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()),
    )
