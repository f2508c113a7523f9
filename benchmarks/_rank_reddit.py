"""Ranking of posts at every half hour of a Reddit score history."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from _rank_constants import judge_left_out
from _rank_measures import BLOCK, interval, ndcg, spearman
from _rank_stories import OURS, RIVALS, measure, rank
from _report import print_table
from _score_history import find_histories, read_history

from ytap_assets.domain.scoring.baselines import measure_baselines

STEP = timedelta(minutes=30)
WINDOW = timedelta(minutes=15)
FULL = 0.2
"""The least share of the posts of the largest half hour for one to be counted: a history begins and
ends with a few posts of the same age."""
FEWEST = 20


@dataclass(frozen=True)
class Tick:
    """One half hour: its candidates with the score of each method, and their later counts."""

    at: datetime
    posts: pl.DataFrame


def rank_reddit(data: Path) -> tuple[dict[str, Any], dict[str, bool]]:
    """Rank each history, print tables, and return the figures and which requirements hold."""
    histories = find_histories(data)
    if not histories:
        print("No Reddit score history (reddit/score_history_*): left out.")
        return {}, {}
    ticks = {name: make_ticks(read_history(files)) for name, files in histories.items()}
    some = [tick for each in ticks.values() for tick in each if tick.posts.height >= FEWEST]
    full = [tick for each in ticks.values() for tick in _full(each)]
    if not full:
        print(f"Reddit score histories, but no half hour with {FEWEST} posts: left out.")
        return {}, {}
    print(f"Reddit score histories: {', '.join(histories)}")
    values = compare(full, lambda posts: posts, f"Reddit, {len(full)} half hours, all posts")
    for title, part, chosen in (
        ("the half of the posts the constants were chosen on", full, lambda p: p.filter("is_even")),
        ("the other half", full, lambda p: p.filter(~pl.col("is_even"))),
        (f"every one of {len(some)} half hours with {FEWEST} posts", some, lambda p: p),
        ("posts that were seen again later, only", full, lambda p: p.filter("is_open")),
    ):
        compare(part, chosen, f"Reddit, {title}")
    parts, kind = _parts_of(ticks)
    figures, held = judge_left_out(parts, "reddit", kind, BLOCK)
    return {**figures_of(values), **figures}, held


def _parts_of(ticks: Mapping[str, Sequence[Tick]]) -> tuple[dict[str, list[pl.DataFrame]], str]:
    """The half hours with enough posts, by subreddit; of a single subreddit, by day."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for name, each in ticks.items():
        for tick in _full(each):
            part = name if len(ticks) > 1 else f"{tick.at:%Y-%m-%d}"
            parts.setdefault(part, []).append(tick.posts.with_columns(count="points"))
    return parts, "subreddit" if len(ticks) > 1 else "day"


def _full(ticks: Sequence[Tick]) -> list[Tick]:
    fullest = max((tick.posts.height for tick in ticks), default=0)
    return [tick for tick in ticks if tick.posts.height >= max(FEWEST, FULL * fullest)]


def figures_of(values: dict[str, tuple[list[float], list[float]]]) -> dict[str, Any]:
    """The figures of the JSON line."""
    ours = values[OURS]
    best = max(RIVALS, key=lambda name: statistics.fmean(values[name][0]))
    ahead = [one - other for one, other in zip(ours[0], values[best][0], strict=True)]
    return {
        "reddit_ndcg10": round(statistics.fmean(ours[0]), 4),
        "reddit_ndcg10_interval": _rounded(interval(ours[0])),
        "reddit_spearman": round(statistics.fmean(ours[1]), 4),
        "reddit_spearman_interval": _rounded(interval(ours[1])),
        "reddit_half_hours": len(ours[0]),
        "reddit_best_other": best,
        "reddit_ndcg10_ahead_of_it": round(statistics.fmean(ahead), 4),
        "reddit_ndcg10_ahead_interval": _rounded(interval(ahead)),
        "reddit_others": {
            name: _rounded([statistics.fmean(value) for value in values[name]]) for name in RIVALS
        },
    }


def make_ticks(rows: pl.DataFrame) -> list[Tick]:
    """The candidates of each half hour, ranked by what is known then, with earlier baselines."""
    finals = rows.group_by("item_id").agg(
        final=pl.col("points").last(), last_at=pl.col("observed_at").last()
    )
    first, last = rows["observed_at"].min(), rows["observed_at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    at = first.replace(minute=0, second=0, microsecond=0)
    ticks: list[Tick] = []
    past: list[pl.DataFrame] = []
    while (at := at + STEP) <= last + STEP:
        known = rows.filter(pl.col("observed_at").is_between(at - timedelta(hours=3), at))
        recent = known.filter(pl.col("observed_at") > at - WINDOW)["item_id"].unique()
        # The day that is collected at this moment; its last one at midnight.
        day = (at - timedelta(microseconds=1)).date()
        seen = known.filter(pl.col("item_id").is_in(recent.implode())).with_columns(day=pl.lit(day))
        if seen.is_empty():
            continue
        items = measure(seen).sort("item_id")
        baselines = measure_baselines(pl.concat(past) if past else items.clear())
        posts = rank(items, baselines).join(finals, on="item_id", maintain_order="left")
        ticks.append(Tick(at, posts.with_columns(*_parts(posts, at))))
        past.append(items)
    return ticks


def _parts(posts: pl.DataFrame, at: datetime) -> tuple[pl.Series, pl.Expr]:
    even = [int(hashlib.sha256(i.encode()).hexdigest(), 16) % 2 == 0 for i in posts["item_id"]]
    return pl.Series("is_even", even), (pl.col("last_at") > at).alias("is_open")


def compare(
    ticks: Sequence[Tick], part: Callable[[pl.DataFrame], pl.DataFrame], title: str
) -> dict[str, tuple[list[float], list[float]]]:
    """NDCG@10 and Spearman of each method at each half hour; prints their means."""
    ways = {**RIVALS, OURS: pl.col("final_score")}
    values: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for tick in ticks:
        posts = part(tick.posts)
        if posts.height < FEWEST:
            continue
        gains = [math.log1p(max(final, 0)) for final in posts["final"]]
        for name, way in ways.items():
            scores = posts.select(way.alias("score"))["score"].to_list()
            values[name][0].append(ndcg(scores, gains))
            values[name][1].append(spearman(scores, gains))
    print_table(
        title,
        ["", "NDCG@10", "95 %", "Spearman", "95 %"],
        [
            [name, *(cell for one in both for cell in (_mean(one), _interval(one)))]
            for name, both in values.items()
        ],
    )
    return values


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.4f}"


def _interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{low:.3f}-{high:.3f}"


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
