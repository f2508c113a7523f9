"""Simple methods to compare with: exact titles, Jaccard, rapidfuzz, each with a threshold.

Belongs here: similarity of two titles, and single-link clusters. Does not belong here: data,
quality measures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from rapidfuzz import fuzz

_WORD = re.compile(r"\w+")

Likeness = Callable[[str, str], float]


def plain(title: str) -> str:
    """The title's words in lower case."""
    return " ".join(_WORD.findall(title.lower()))


def exact(left: str, right: str) -> float:
    """1 for the same words in the same order."""
    return float(left == right)


def jaccard(left: str, right: str) -> float:
    """Shared words / all words, of plain titles."""
    a, b = set(left.split()), set(right.split())
    return len(a & b) / len(a | b) if a or b else 1.0


def token_set_ratio(left: str, right: str) -> float:
    """The token set ratio of rapidfuzz, 0 to 1."""
    return fuzz.token_set_ratio(left, right) / 100


RIVALS: dict[str, Likeness] = {
    "exact title": exact,
    "title Jaccard": jaccard,
    "rapidfuzz token_set_ratio": token_set_ratio,
}


def link_all(titles: Sequence[str], rival: str, least: float) -> list[tuple[float, int, int]]:
    """All pairs with at least the given similarity, most similar first; every pair is compared."""
    links: list[tuple[float, int, int]] = []
    if rival == "title Jaccard":
        sets = [frozenset(title.split()) for title in titles]
        for i, mine in enumerate(sets):
            for j in range(i):
                shared = len(mine & sets[j])
                if shared >= least * (len(mine) + len(sets[j]) - shared):
                    likeness = shared / max(1, len(mine) + len(sets[j]) - shared)
                    links.append((likeness, j, i))
    else:
        compare, cutoff = fuzz.token_set_ratio, least * 100
        for i, title in enumerate(titles):
            for j in range(i):
                likeness = compare(title, titles[j], score_cutoff=cutoff)
                if likeness:
                    links.append((likeness / 100, j, i))
    return sorted(links, reverse=True)


def single_links(count: int, links: Iterable[tuple[float, int, int]], least: float) -> list[int]:
    """The cluster of each title; any link above the threshold joins two clusters."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for likeness, i, j in links:
        if likeness < least:
            break
        parent[root(i)] = root(j)
    return [root(i) for i in range(count)]
