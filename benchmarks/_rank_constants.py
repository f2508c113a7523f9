"""The ranking with constants from other data (cross-validation): each part is left out once.

A part is a subreddit, a day or a month. The constants of momentum are chosen on the other parts,
from a grid, and evaluated on the part that was left out, paired with each rival. The formula of
`domain.scoring.items` and `.baselines` is repeated here in plain Python for the grid. The baselines
of a list are the medians of the other parts, shrunk towards those of the earlier lists of its own
part, as the product does.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import polars as pl
from _rank_measures import ndcg, paired_interval, spearman
from _rank_stories import OURS, RIVALS
from _report import print_table

from ytap_assets.domain.scoring.baselines import DEFAULT_BASELINES, SHRINKAGE, TAKE_OFF
from ytap_assets.domain.scoring.items import SLOWING, GrowthCurves


class Constants(NamedTuple):
    """The constants of momentum."""

    first_hours: float
    settling_hours: float
    take_off: float
    steepness: float
    slowing: float


class Case(NamedTuple):
    """One item of a list."""

    counted: float
    age: float
    gained: float | None


Lists = Sequence[pl.DataFrame]
Pair = tuple[float, float]
GRIDS = {
    "reddit": [
        Constants(*values)
        for values in product(
            (0.15, 0.3, 0.6), (0.25, 0.5, 1.0), (1.5, 2.25, 3.0), (3.0, 6.0), (0.0, 0.2)
        )
    ],
    "youtube": [
        Constants(*values)
        for values in product((3.0, 6.0), (24.0, 48.0, 96.0), (1.5, 2.25, 3.0), (1.0, 6.0), (0.2,))
    ],
}
MEASURES = ("NDCG@10", "Spearman")
REFITTED = "constants of the other parts"
LEAST_DIFFERENCE = -0.005
BEATEN = ("raw count", "base score")
"""Rivals for which the lower bound of the difference must be above 0."""


def own_constants(source: str) -> Constants:
    """The constants of the product."""
    course = GrowthCurves().by_source[source]
    basis = "views" if source == "youtube" else "points"
    steepness = DEFAULT_BASELINES[source, basis].steepness
    return Constants(course.first_hours, course.settling_hours, TAKE_OFF, steepness, SLOWING)


def judge_left_out(
    parts: Mapping[str, Lists], source: str, kind: str, block: int
) -> tuple[dict[str, Any], dict[str, bool]]:
    """The differences from each rival on parts that were not used for tuning; prints them.

    Args:
        parts: The lists of each part: ``count``, ``hours_old``, ``gained_per_hour``, ``final``
            (the later count of each item), and the columns of `RIVALS` and `OURS`.
        source: The source of the lists.
        kind: What a part is, for the table.
        block: How many neighboring lists are resampled together.

    Returns:
        The figures, and which requirements hold: the lower bound of the difference above -0.005
        from each rival, and above 0 from the raw count and the base score. A single part is
        evaluated with the product's constants.
    """
    found = {name: _rivals(lists) for name, lists in parts.items()}
    if len(parts) > 1:
        chosen = {name: _choose(name, parts, found, source) for name in parts}
        for name, constants in chosen.items():
            rest = [one for other, lists in parts.items() if other != name for one in lists]
            found[name][REFITTED] = _values(parts[name], constants, source, rest)
        _print_chosen(chosen, source, kind)
    else:
        print(
            f"\n{source}: a single {kind} leaves none to choose constants on: the product's stand"
        )
        for ways in found.values():
            ways[REFITTED] = ways[OURS]
    differences = {
        (way, rival, measure): [
            [a[number] - b[number] for a, b in zip(one[way], one[rival], strict=True)]
            for one in found.values()
        ]
        for way in (REFITTED, OURS)
        for rival in RIVALS
        for number, measure in enumerate(MEASURES)
    }
    bounds = {key: paired_interval(values, block) for key, values in differences.items()}
    _print_differences(differences, bounds, f"{source}, each {kind} left out once")
    held = {
        f"{source}_{measure}_beside_{rival}".replace(" ", "_"): (
            bounds[REFITTED, rival, measure][0] > (0 if rival in BEATEN else LEAST_DIFFERENCE)
        )
        for rival in RIVALS
        for measure in MEASURES
    }
    figures = {
        f"{rival}, {measure}": [
            round(value, 4)
            for value in (
                _mean_of(differences[REFITTED, rival, measure]),
                *bounds[REFITTED, rival, measure],
            )
        ]
        for rival in RIVALS
        for measure in MEASURES
    }
    means = [
        round(statistics.fmean(pair[number] for one in found.values() for pair in one[REFITTED]), 4)
        for number in range(len(MEASURES))
    ]
    return {f"{source}_left_out": {"means": means, "ahead_of": figures}}, held


def _choose(
    left_out: str,
    parts: Mapping[str, Lists],
    found: Mapping[str, Mapping[str, list[Pair]]],
    source: str,
) -> Constants:
    """The constants that are best on the other parts, with the baselines of each part.

    They are chosen by NDCG@10, among those whose mean Spearman is not below that of any rival.
    """
    others = [name for name in parts if name != left_out]
    least = max(_mean([p for name in others for p in found[name][rival]], 1) for rival in RIVALS)

    def worth(constants: Constants) -> tuple[bool, float]:
        pairs = [
            pair for name in others for pair in _cached_values(name, parts[name], constants, source)
        ]
        return _mean(pairs, 1) >= least, _mean(pairs, 0)

    return max(GRIDS[source], key=worth)


_CACHE: dict[tuple[str, str, Constants], list[Pair]] = {}


def _cached_values(name: str, lists: Lists, constants: Constants, source: str) -> list[Pair]:
    key = (source, name, constants)
    if key not in _CACHE:
        _CACHE[key] = _values(lists, constants, source, lists)
    return _CACHE[key]


def _rivals(lists: Lists) -> dict[str, list[Pair]]:
    """NDCG@10 and Spearman of each rival, and of the product, on each list."""
    ways = {**RIVALS, OURS: pl.col("final_score")}
    return {
        name: [
            _measure(one.select(way.alias("score"))["score"].to_list(), _gains(one))
            for one in lists
        ]
        for name, way in ways.items()
    }


def _values(lists: Lists, constants: Constants, source: str, others: Lists) -> list[Pair]:
    """NDCG@10 and Spearman of the formula on each list.

    Args:
        lists: The lists to rank, in the order of time.
        constants: The constants of the formula.
        source: The source, for its decay.
        others: The lists that give the baselines until there are earlier lists of the part.
    """
    usual = _medians([case for one in others for case in _cases(one)], constants, source)
    pairs, past = [], list[Case]()
    for one in lists:
        cases = _cases(one)
        weight = 0.0 if others is lists else len(past) / (len(past) + SHRINKAGE)
        own = _medians(past, constants, source) if weight else usual
        expected, velocity = (
            math.exp(weight * math.log(a) + (1 - weight) * math.log(b))
            for a, b in zip(own, usual, strict=True)
        )
        heats = [
            _expected(case, constants, source) / expected
            + (_pace(case, constants) / (constants.take_off * velocity)) ** constants.steepness
            for case in cases
        ]
        pairs.append(_measure(heats, _gains(one)))
        past += cases
    return pairs


def _medians(cases: Sequence[Case], constants: Constants, source: str) -> Pair:
    least = 1e-9
    return (
        statistics.median(_expected(case, constants, source) for case in cases),
        max(least, statistics.median(_pace(case, constants) for case in cases)),
    )


def _cases(one: pl.DataFrame) -> list[Case]:
    return [Case(*row) for row in one.select("count", "hours_old", "gained_per_hour").rows()]


def _gains(one: pl.DataFrame) -> list[float]:
    return [math.log1p(max(final, 0)) for final in one["final"]]


def _measure(scores: Sequence[float], gains: Sequence[float]) -> Pair:
    return ndcg(scores, gains), spearman(scores, gains)


def _expected(case: Case, constants: Constants, source: str) -> float:
    share = 1 - math.exp(-(case.age / constants.settling_hours + 0.2))
    fading = GrowthCurves().by_source[source].decay_hours
    return (max(case.counted, 0) + 1) / share / (1 + (case.age / fading) ** 2)


def _pace(case: Case, constants: Constants) -> float:
    speed = float(max(case.counted, 0) / (case.age**4 + constants.first_hours**4) ** 0.25)
    if case.gained is None or speed == 0:
        return speed
    return float(speed * min(max(case.gained / speed, 0.25), 1) ** constants.slowing)


def _mean(pairs: Sequence[Pair], number: int) -> float:
    return statistics.fmean(pair[number] for pair in pairs)


def _mean_of(parts: Sequence[Sequence[float]]) -> float:
    return statistics.fmean(value for part in parts for value in part)


def _print_chosen(chosen: Mapping[str, Constants], source: str, kind: str) -> None:
    rows = [[name, *(f"{value:g}" for value in one)] for name, one in chosen.items()]
    rows.append(["the product's", *(f"{value:g}" for value in own_constants(source))])
    title = f"{source}: constants chosen without the {kind} that they are judged on"
    print_table(title, ["", *Constants._fields], rows)


def _print_differences(
    differences: Mapping[tuple[str, str, str], Sequence[Sequence[float]]],
    bounds: Mapping[tuple[str, str, str], Pair],
    title: str,
) -> None:
    keys = [(way, measure) for way in (REFITTED, OURS) for measure in MEASURES]
    rows = []
    for rival in RIVALS:
        cells = []
        for way, measure in keys:
            low, high = bounds[way, rival, measure]
            mean = _mean_of(differences[way, rival, measure])
            cells.append(f"{mean:+.4f} ({low:+.4f} to {high:+.4f})")
        rows.append([rival, *cells])
    print_table(
        f"{title}: ahead by, with 95 % intervals of paired blocks",
        ["", *MEASURES, *(f"{measure}, product as it is" for measure in MEASURES)],
        rows,
    )
