"""Grouping of titles into stories: quality on labelled texts, stability, and cost.

1. Pairs (MRPC; STS headlines, where a score of 4 or more is the same story): precision, recall
   and F1 of `score_pairs`, compared with exact titles, Jaccard and rapidfuzz, each at the threshold
   that is best on one half of the pairs, reported on the other.
2. Clusters of headlines: B-cubed. The rivals use single links, at the threshold that is best on the
   headlines of one half of the stories; reported on the other half, and on all. Ours uses its
   default options, and is also reported on random halves of the stories. Then day by day, the last
   day first, and one day that is made again repeatedly with more items: how many ids change,
   whether every published id still refers to a story, and whether the order of days has an effect.
3. Titles per second at 10,000, 100,000 and 1,000,000 titles of one day, made of the real ones.

    python benchmarks/stories.py [DATA_FOLDER]

TF-IDF with average links over all pairs (scikit-learn) is not included, since scikit-learn is not a
dependency. ADR 0029 has its figures.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from _labelled import (
    Headline,
    Pair,
    b_cubed,
    is_held_out,
    precision_recall,
    read_headlines,
    read_pairs,
)
from _report import finish, print_table, read_arguments
from _rivals import RIVALS, link_all, plain, single_links
from _story_cost import KNOWN, measure_cost, nothing_known, nothing_renamed
from _titles import read_titles

from ytap_assets.domain.stories import group_stories, rename_stories, score_pairs
from ytap_assets.domain.urls import canonical_urls

KIND = "near_duplicate_text"
DAY = date(2014, 3, 10)
BATCHES = 8
SPLITS = 8
LEAST_F1, LEAST_PRECISION = 0.80, 0.88
SINGLE_LINKS_FROM = 0.6
ITEM = ["workspace_id", "day", "source", "item_id"]

Measures = tuple[float, float, float]


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    figures: dict[str, Any] = {}
    held: dict[str, bool] = {}
    measure_pairs(read_pairs(data / KIND), figures)
    headlines = read_headlines(data / KIND)
    if headlines:
        measure_clusters(headlines, figures, held)
        measure_days(headlines, figures, held)
    else:
        print(f"\nno clusters of headlines under {data / KIND}: skipped")
    real = read_titles(data).get_column("title").to_list()
    if real:
        measure_cost(real, figures, held)
    else:
        print(f"\nno trending tables under {data}: skipped")
    return finish("stories", figures, held)


def measure_pairs(kinds: dict[str, list[Pair]], figures: dict[str, Any]) -> None:
    """Part 1."""
    for kind, pairs in kinds.items():
        scores = {
            name: [like(plain(pair.left), plain(pair.right)) for pair in pairs]
            for name, like in RIVALS.items()
        }
        left = pl.Series([pair.left for pair in pairs])
        right = pl.Series([pair.right for pair in pairs])
        scores["ours"] = score_pairs(left, right).to_list()
        is_test = [is_held_out(pair.left + pair.right) for pair in pairs]
        rows: list[Sequence[object]] = []
        for name, likeness in scores.items():
            tuning = [
                (s, p.is_same) for s, p, t in zip(likeness, pairs, is_test, strict=True) if not t
            ]
            testing = [
                (s, p.is_same) for s, p, t in zip(likeness, pairs, is_test, strict=True) if t
            ]
            best = max(
                {s for s, _ in tuning if s > 0} or {1.0}, key=lambda at: _judge_pairs(tuning, at)[2]
            )
            rows.append((name, round(best, 3), *_rounded(_judge_pairs(testing, best))))
            if name == "ours":
                rows.append(("ours, as it decides", 1, *_rounded(_judge_pairs(testing, 1.0))))
        share = statistics.mean(pair.is_same for pair in pairs)
        print_table(
            f"{kind}: {len(pairs):,} pairs, {share:.0%} the same; on the half not tuned on",
            ["", "threshold", "precision", "recall", "F1"],
            rows,
        )
        figures[f"pairs_{kind}"] = {row[0]: row[1:] for row in rows}


def _judge_pairs(scored: Sequence[tuple[float, bool]], least: float) -> Measures:
    claimed = [is_same for score, is_same in scored if score >= least]
    return precision_recall(sum(claimed), len(claimed), sum(is_same for _, is_same in scored))


def measure_clusters(
    headlines: list[Headline], figures: dict[str, Any], held: dict[str, bool]
) -> None:
    """Part 2: all titles at once."""
    tuning = [h for h in headlines if not is_held_out(h.story)]
    testing = [h for h in headlines if is_held_out(h.story)]
    rows: list[Sequence[object]] = []
    for name in RIVALS:
        group = _rival(name, tuning)
        rows.append((name, *_rounded(group(testing)), *_rounded(group(headlines))))
    ours = _measure(testing), _measure(headlines)
    rows.append(("ours", *_rounded(ours[0]), *_rounded(ours[1])))
    stories = len({h.story for h in headlines})
    print_table(
        f"{len(headlines):,} headlines of {stories} stories, B-cubed: "
        f"{len({h.story for h in testing})} stories of the other half ({len(testing):,}), and all",
        ["", "precision", "recall", "F1", "all: precision", "recall", "F1"],
        rows,
    )
    spread = [
        _measure([h for h in headlines if is_held_out(h.story, str(split)) is side])
        for split in range(SPLITS)
        for side in (False, True)
    ]
    f1 = sorted(measures[2] for measures in spread)
    precision = sorted(measures[0] for measures in spread)
    print(
        f"ours on {len(spread)} random halves of the stories: F1 {f1[0]:.3f} to {f1[-1]:.3f}, "
        f"median {statistics.median(f1):.3f}; precision from {precision[0]:.3f}"
    )
    figures |= {
        "uci_precision": round(ours[0][0], 3),
        "uci_recall": round(ours[0][1], 3),
        "uci_f1": round(ours[0][2], 3),
        "uci_precision_all": round(ours[1][0], 3),
        "uci_recall_all": round(ours[1][1], 3),
        "uci_f1_all": round(ours[1][2], 3),
        "uci_f1_halves": [round(f1[0], 3), round(statistics.median(f1), 3), round(f1[-1], 3)],
        "uci_precision_halves_least": round(precision[0], 3),
        "uci_rivals": {row[0]: row[1:] for row in rows[:-1]},
    }
    held["uci_f1"] = min(ours[0][2], ours[1][2]) >= LEAST_F1
    held["uci_precision"] = min(ours[0][0], ours[1][0]) >= LEAST_PRECISION


def _rival(name: str, tuning: list[Headline]) -> Callable[[list[Headline]], Measures]:
    """A rival at its best threshold."""
    if name == "exact title":
        return lambda some: b_cubed([plain(h.title) for h in some], [h.story for h in some])

    def links_of(some: list[Headline]) -> list[tuple[float, int, int]]:
        return link_all(
            [plain(h.title) for h in some],
            name,
            SINGLE_LINKS_FROM / 2 if name == "title Jaccard" else SINGLE_LINKS_FROM,
        )

    def judge(some: list[Headline], links: list[tuple[float, int, int]], least: float) -> Measures:
        return b_cubed(single_links(len(some), links, least), [h.story for h in some])

    tuned = links_of(tuning)
    steps = [step / 50 for step in range(15, 51)]
    best = max(steps, key=lambda least: judge(tuning, tuned, least)[2])
    return lambda some: judge(some, links_of(some), best)


def _measure(headlines: list[Headline]) -> Measures:
    items = _items(headlines, [DAY] * len(headlines))
    return _judge_members(group_stories(items, nothing_known()), headlines)


def _judge_members(members: pl.DataFrame, headlines: list[Headline]) -> Measures:
    told = {h.item_id: h.story for h in headlines}
    ids = members.get_column("item_id").to_list()
    return b_cubed(members.get_column("story_id").to_list(), [told[item_id] for item_id in ids])


def measure_days(headlines: list[Headline], figures: dict[str, Any], held: dict[str, bool]) -> None:
    """Part 2: day by day."""
    chance = random.Random(1)
    order = chance.sample(range(len(headlines)), len(headlines))
    start = min(h.at for h in headlines)
    first = datetime.fromtimestamp(start / 1000, UTC).date()
    by_time = [datetime.fromtimestamp(h.at / 1000, UTC).date() for h in headlines]
    by_chance = [first + timedelta(days=chance.randrange(3)) for _ in headlines]
    batch = {number: place * BATCHES // len(order) for place, number in enumerate(order)}
    seen = [first_hour(first) + timedelta(hours=batch[number]) for number in range(len(headlines))]
    one_day = _items(headlines, [first] * len(headlines), seen)
    day_by_day = _by_day(headlines, by_time)
    scattered = _by_day(headlines, by_chance)
    ways = {
        "all at once": [_items(headlines, [first] * len(headlines))],
        "day by day": day_by_day,
        "day by day, the last day first": day_by_day[::-1],
        f"one day, made again {BATCHES} times with more": [
            one_day.filter(pl.col("first_observed_at") <= first_hour(first) + timedelta(hours=n))
            for n in range(BATCHES)
        ],
        "every story scattered over 3 days": scattered,
        "the same, the last day first": scattered[::-1],
    }
    rows: list[Sequence[object]] = []
    told: dict[str, pl.DataFrame] = {}
    for way, batches in ways.items():
        told[way], changed, lost = _run(batches)
        rows.append((way, *_rounded(_judge_members(told[way], headlines)), changed, lost))
    print_table(
        "Ours as stories arrive, B-cubed over all days",
        ["", "precision", "recall", "F1", "ids changed", "ids lost"],
        rows,
    )
    figures["uci_arrival"] = {row[0]: row[1:] for row in rows}
    figures["ids_changed_day_by_day"] = rows[1][4]
    held["ids_changed_day_by_day"] = rows[1][4] == rows[4][4] == 0
    held["ids_lost"] = all(row[5] == 0 for row in rows)
    held["same_in_any_order"] = all(
        told[one].equals(told[other])
        for one, other in (
            ("day by day", "day by day, the last day first"),
            ("every story scattered over 3 days", "the same, the last day first"),
        )
    )
    held["uci_f1_day_by_day"] = float(str(rows[1][3])) >= LEAST_F1


def first_hour(day: date) -> datetime:
    """The first instant of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _run(batches: list[pl.DataFrame]) -> tuple[pl.DataFrame, int, int]:
    """Publish batch after batch, each with the days after it, as the lake does.

    Returns:
        The final members in order, how many items ever changed their id, and how many published ids
        do not refer to a story in the end.
    """
    items, known, changed = batches[0].clear(), nothing_known(), 0
    aliases = nothing_renamed()
    published: set[str] = set()
    for batch in [*batches, batches[-1]]:
        first = batch.get_column("day").min()
        items = pl.concat([items.join(batch, on="day", how="anti"), batch])
        past = known.filter(pl.col("day") < first)
        members = group_stories(items.filter(pl.col("day") >= first), past)
        before = known.filter(pl.col("day") >= first)
        both = before.join(members, on=ITEM, suffix="_now")
        changed += both.filter(pl.col("story_id") != pl.col("story_id_now")).height
        aliases = rename_stories(
            aliases, before, members, past.select("workspace_id", "story_id"), first_hour(DAY)
        )
        known = pl.concat([past, members.join(items, on=ITEM).select(KNOWN)])
        published.update(known.get_column("story_id"))
    lost = published - set(known["story_id"]) - set(aliases["former_story_id"])
    return known.sort(ITEM), changed, len(lost)


def _by_day(headlines: list[Headline], days: list[date]) -> list[pl.DataFrame]:
    return _items(headlines, days).sort("day").partition_by("day", maintain_order=True)


def _items(
    headlines: list[Headline], days: list[date], observed: list[datetime] | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "workspace_id": "benchmark",
            "day": days,
            "source": "news",
            "item_id": [h.item_id for h in headlines],
            "title": [h.title for h in headlines],
            "canonical_url": canonical_urls(pl.Series([h.url for h in headlines])),
            "first_observed_at": observed or [first_hour(day) for day in days],
            "published_at": [datetime.fromtimestamp(h.at / 1000, UTC) for h in headlines],
        }
    )


def _rounded(measures: Measures) -> tuple[float, float, float]:
    precision, recall, f1 = measures
    return round(precision, 3), round(recall, 3), round(f1, 3)


if __name__ == "__main__":
    sys.exit(main())
