"""Quality of a ranking compared with later counts: NDCG@10, Spearman, and confidence intervals."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

DEPTH = 10
RESAMPLES = 2000
BLOCK = 5


def ndcg(scores: Sequence[float], gains: Sequence[float], depth: int = DEPTH) -> float:
    """Normalized discounted cumulative gain of the first places; ties stay in the given order."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[:depth]
    best = sorted(gains, reverse=True)[:depth]
    ideal = _discounted(best)
    return _discounted([gains[i] for i in order]) / ideal if ideal > 0 else 1.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation; ties get the mean of their ranks; 0 if one side is constant."""
    a, b = _ranks(one), _ranks(other)
    if len(set(a)) < 2 or len(set(b)) < 2:
        return 0.0
    return statistics.correlation(a, b)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for position in range(start, end + 1):
            ranks[order[position]] = (start + end) / 2
        start = end + 1
    return ranks


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean of consecutive values, by resampling blocks of five.

    A post is in about five ticks in a row, so the interval from single ticks would be too narrow.
    """
    return paired_interval([values], BLOCK)


def paired_interval(parts: Sequence[Sequence[float]], block: int) -> tuple[float, float]:
    """The 95 % interval of a mean over all values, by resampling blocks within each part.

    Args:
        parts: Differences of two methods on the same lists (hence paired), by subreddit, day or
            month. If each part has a single value, the parts are resampled.
        block: How many consecutive values are resampled together; the start of a part follows its
            end.
    """
    if all(len(part) == 1 for part in parts):
        parts, block = [[value for part in parts for value in part]], 1
    rng = random.Random(20261121)
    means = []
    for _ in range(RESAMPLES):
        drawn: list[float] = []
        for part in parts:
            starts = [rng.randrange(len(part)) for _ in range(math.ceil(len(part) / block))]
            around = [part[(start + i) % len(part)] for start in starts for i in range(block)]
            drawn += around[: len(part)]
        means.append(statistics.fmean(drawn))
    means.sort()
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
