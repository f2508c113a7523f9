"""Topics that exist already: which scripts the gate `topic` holds, and at what cost.

1. Pairs (MRPC; STS, where a score of 4 or more is the same story): precision, recall and F1 of
   equal titles, which the gate compared before, and of `find_same_topics`.
2. Headlines of stories: each story has one taken script (and three), and every other headline is a
   script in review. How many are held by a script of their story, and how many by others only.
3. Videos of channels with 20 or more: nearly all are different topics, so a video that an earlier
   one holds is nearly always an error. With and without the second condition, for titles of
   channels.
4. Processor time and memory for 100 scripts in review in 50 workspaces with 2,000 taken scripts
   each, made of real titles: equal titles and pages, and the gate.

    python benchmarks/topics.py [DATA_FOLDER]
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any
from unittest.mock import patch

import polars as pl
from _labelled import Headline, Pair, precision_recall, read_headlines, read_pairs
from _report import finish, print_table, read_arguments
from _titles import make_titles, read_videos

from ytap_assets.domain.production.gates import find_topic_rivals, read_topics
from ytap_assets.domain.stories import find_same_topics, read_titles, topics
from ytap_assets.domain.text import comparable_titles
from ytap_assets.domain.urls import canonical_urls

KIND = "near_duplicate_text"
START = datetime(2024, 1, 1, tzinfo=UTC)
LEAST_VIDEOS = 20
WORKSPACES, TAKEN, IN_REVIEW = 50, 2_000, 100
LEAST_PRECISION = 0.95
MOST_VIDEOS_HELD = 0.06
MOST_SECONDS = 12.0


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    figures: dict[str, Any] = {}
    held: dict[str, bool] = {}
    measure_pairs(read_pairs(data / KIND), figures)
    headlines = read_headlines(data / KIND)
    if headlines:
        measure_headlines(headlines, figures, held)
    else:
        print(f"\nno clusters of headlines under {data / KIND}: skipped")
    videos = read_videos(data)
    if videos.height:
        measure_channels(videos, figures, held)
        measure_cost(videos["title"].to_list(), figures, held)
    else:
        print(f"\nno trending tables under {data}: skipped")
    return finish("topics", figures, held)


def make_topics(titles: Sequence[str], workspaces: Sequence[str] | str = "one") -> pl.DataFrame:
    """Topics with these titles only, submitted one after another."""
    at = [START + timedelta(minutes=number) for number in range(len(titles))]
    nothing = pl.lit(None, pl.String)
    rows = pl.DataFrame({"at": at, "since": at}).with_columns(
        workspace_id=pl.lit(workspaces) if isinstance(workspaces, str) else pl.Series(workspaces),
        canonical_url=nothing,
        story_id=nothing,
        until=pl.lit(None, pl.Datetime("us", "UTC")),
    )
    return rows.hstack(read_titles(pl.Series(titles, dtype=pl.String)).get_columns())


def measure_pairs(kinds: dict[str, list[Pair]], figures: dict[str, Any]) -> None:
    """Part 1: each pair in a workspace of its own."""
    for kind, pairs in kinds.items():
        workspaces = [str(number) for number in range(len(pairs))]
        left = make_topics([pair.left for pair in pairs], workspaces)
        right = make_topics([pair.right for pair in pairs], workspaces)
        found = find_same_topics(right, left)
        is_same = pl.Series([pair.is_same for pair in pairs])
        rows: list[Sequence[object]] = []
        for name, claimed in (
            ("equal titles", found.filter(same="title")["asked"]),
            ("the gate", found["asked"]),
        ):
            hits = int(is_same.gather(claimed).sum())
            measures = precision_recall(hits, len(claimed), int(is_same.sum()))
            rows.append((name, *(round(value, 3) for value in measures)))
        share = sum(pair.is_same for pair in pairs) / len(pairs)
        print_table(
            f"{kind}: {len(pairs):,} pairs, {share:.0%} the same",
            ["", "precision", "recall", "F1"],
            rows,
        )
        figures[f"pairs_{kind}"] = {row[0]: row[1:] for row in rows}


def measure_headlines(
    headlines: list[Headline], figures: dict[str, Any], held: dict[str, bool]
) -> None:
    """Part 2."""
    order = random.Random(1).sample(headlines, len(headlines))
    by_story: defaultdict[str, list[Headline]] = defaultdict(list)
    for headline in order:
        by_story[headline.story].append(headline)
    rows: list[Sequence[object]] = []
    for each in (1, 3):
        taken = [one for own in by_story.values() for one in own[:each]]
        asked = [one for own in by_story.values() for one in own[each:]]
        everything = make_topics([one.title for one in taken + asked])
        known = everything.head(len(taken))
        found = find_same_topics(everything.tail(len(asked)), known)
        for name, pairs in (("equal titles", found.filter(same="title")), ("the gate", found)):
            rivals: defaultdict[int, list[bool]] = defaultdict(list)
            for row, rival in pairs.select("asked", "known").iter_rows():
                rivals[row].append(asked[row].story == taken[rival].story)
            right = sum(any(own) for own in rivals.values())
            precision, recall, _ = precision_recall(right, len(rivals), len(asked))
            counts = (len(asked), right, len(rivals) - right)
            measures = (round(precision, 3), round(recall, 3))
            rows.append((f"{each} taken per story, {name}", *counts, *measures))
    print_table(
        f"{len(headlines):,} headlines of {len(by_story)} stories: scripts in review",
        ["", "scripts", "held", "held by others only", "precision", "recall"],
        rows,
    )
    figures["headlines"] = {row[0]: row[1:] for row in rows}
    held["headline_precision"] = all(float(str(row[4])) >= LEAST_PRECISION for row in rows)


def measure_channels(videos: pl.DataFrame, figures: dict[str, Any], held: dict[str, bool]) -> None:
    """Part 3: each channel is a workspace, and its videos are scripts in the order of the files."""
    titles = videos.unique(["channel", "title"], keep="first", maintain_order=True)
    titles = titles.filter(pl.len().over("channel") >= LEAST_VIDEOS)
    everything = make_topics(titles["title"].to_list(), titles["channel"].to_list())
    count = {"the gate": _count_held(everything)}
    with patch.object(topics, "EXTRA_TOPICS", 10**9):  # no word has a share of the earlier topics
        count["without the second condition"] = _count_held(everything)
    rows = [(name, some, round(some / titles.height, 4)) for name, some in count.items()]
    print_table(
        f"{titles.height:,} videos of {titles['channel'].n_unique()} channels",
        ["", "held", "share"],
        rows,
    )
    figures["channels"] = {"videos": titles.height, **{row[0]: row[1:] for row in rows}}
    held["videos_held"] = count["the gate"] <= MOST_VIDEOS_HELD * titles.height


def _count_held(everything: pl.DataFrame) -> int:
    pairs = find_same_topics(everything, everything)
    return pairs.filter(pl.col("asked") > pl.col("known"))["asked"].n_unique()


def measure_cost(real: list[str], figures: dict[str, Any], held: dict[str, bool]) -> None:
    """Part 4, each in its own process."""
    rows: list[Sequence[object]] = []
    for name in ("equal titles and pages", "the gate"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows.append((name, *pool.submit(_cost, real, name).result()))
    print_table(
        f"{IN_REVIEW} scripts in review, {WORKSPACES} workspaces with {TAKEN:,} taken scripts each",
        ["", "reading titles, s", "rivals, s", "peak MB", "MB before", "held"],
        rows,
    )
    figures["cost"] = {row[0]: row[1:] for row in rows}
    held["cost"] = float(str(rows[1][1])) + float(str(rows[1][2])) <= MOST_SECONDS


def _cost(real: list[str], name: str) -> tuple[float, float, int, int, int]:
    count = WORKSPACES * TAKEN + IN_REVIEW
    numbers = range(count)
    records = pl.DataFrame(
        {
            "workspace_id": [f"w{number % WORKSPACES}" for number in numbers],
            "script_id": [f"s{number}" for number in numbers],
            "state": ["published"] * (count - IN_REVIEW) + ["script_pending_review"] * IN_REVIEW,
            "title": make_titles(real, count),
            "topic_url": [f"https://news.example/{number}?utm_source=x" for number in numbers],
            "created_at": [START + timedelta(minutes=number) for number in numbers],
        }
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = process_time()
    if name == "equal titles and pages":
        rows = records.with_columns(
            comparable_titles(records["title"]), canonical_urls(records["topic_url"])
        )
        read = process_time()
        is_later = pl.col("state") == "script_pending_review"
        repeated = (
            is_later
            & pl.col(key).is_not_null()
            & ~pl.struct("workspace_id", key).is_first_distinct()
            for key in ("title", "topic_url")
        )
        found = rows.filter(pl.any_horizontal(repeated)).height
    else:
        rows = read_topics(records)
        read = process_time()
        found = sum(map(len, find_topic_rivals(rows).values()))
    ended = process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        round(read - began, 2),
        round(ended - read, 2),
        peak // 1000,
        before // 1000,
        found,
    )


if __name__ == "__main__":
    sys.exit(main())
