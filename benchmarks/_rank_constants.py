"""Choosing the constants of momentum on one half of the posts, and reporting on the other.

The formula of `domain.momentum` and `domain.norms` again, in plain Python over a grid of its five
constants, so that the choice can be repeated. What is usual is here the median of the half.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import polars as pl
from _rank_measures import ndcg, spearman
from _report import print_table

from ytap_assets.domain.momentum import SLOWING, Courses
from ytap_assets.domain.norms import STEEPNESS, TAKE_OFF


class Constants(NamedTuple):
    """The five constants."""

    first_hours: float
    settling_hours: float
    take_off: float
    steepness: float
    slowing: float


GRID = [
    Constants(*values)
    for values in product(
        (0.15, 0.3, 0.6), (0.25, 0.5, 1.0), (1.5, 2.25, 3.0), (3.0, 6.0), (0.0, 0.2)
    )
]
_REDDIT = Courses().by_source["reddit"]
OURS = Constants(_REDDIT.first_hours, _REDDIT.settling_hours, TAKE_OFF, STEEPNESS, SLOWING)

LEAST_SPEARMAN = 0.92
Posts = list[tuple[float, float, float, float | None]]


def choose_constants(ticks: Sequence[pl.DataFrame]) -> None:
    """Print what either half chooses, and how that and ours do on the other."""
    rows = []
    for is_even in (True, False):
        chosen_on, other = _halves(ticks, is_even=is_even)
        best = max(GRID, key=partial(_worth, chosen_on))
        name = "even" if is_even else "odd"
        for title, constants in ((f"best on the {name} half", best), ("the product's", OURS)):
            here, there = _values(chosen_on, constants), _values(other, constants)
            figures = [f"{value:.4f}" for value in (*here, *there)]
            rows.append([title, *(f"{value:g}" for value in constants), *figures])
    print_table(
        "Reddit, the five constants chosen on either half of the posts",
        ["", *Constants._fields, "NDCG here", "Spearman", "NDCG there", "Spearman"],
        rows,
    )


def _worth(ticks: Sequence[Posts], constants: Constants) -> tuple[bool, float]:
    """NDCG@10 decides, among those that order the many well."""
    found, correlation = _values(ticks, constants)
    return correlation >= LEAST_SPEARMAN, found


def _halves(ticks: Sequence[pl.DataFrame], *, is_even: bool) -> tuple[list[Posts], list[Posts]]:
    columns = ("points", "hours_old", "final", "gained_per_hour")
    pair = [
        [tick.filter(pl.col("is_even") == half).select(columns).rows() for tick in ticks]
        for half in (is_even, not is_even)
    ]
    return pair[0], pair[1]


def _values(ticks: Sequence[Posts], constants: Constants) -> tuple[float, float]:
    """Means of NDCG@10 and Spearman over the half hours."""
    usual_expected = statistics.median(
        _expected(points, age, constants) for tick in ticks for points, age, *_ in tick
    )
    usual_pace = statistics.median(
        _pace(points, age, gained, constants) for tick in ticks for points, age, _, gained in tick
    )
    both = []
    for tick in ticks:
        gains = [math.log1p(max(final, 0)) for _, _, final, _ in tick]
        heats = [
            _expected(points, age, constants) / usual_expected
            + (_pace(points, age, gained, constants) / (constants.take_off * usual_pace))
            ** constants.steepness
            for points, age, _, gained in tick
        ]
        both.append((ndcg(heats, gains), spearman(heats, gains)))
    return statistics.fmean(n for n, _ in both), statistics.fmean(s for _, s in both)


def _expected(points: float, age: float, constants: Constants) -> float:
    share = 1 - math.exp(-(age / constants.settling_hours + 0.2))
    return (max(points, 0) + 1) / share / (1 + (age / _REDDIT.fading_hours) ** 2)


def _pace(points: float, age: float, gained: float | None, constants: Constants) -> float:
    speed = float(max(points, 0) / (age**4 + constants.first_hours**4) ** 0.25)
    if gained is None or speed == 0:
        return speed
    return float(speed * min(max(gained / speed, 0.25), 1) ** constants.slowing)
