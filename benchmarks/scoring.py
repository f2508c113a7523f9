"""Scoring a million trends: columns at a time beside the same formula row by row.

The row-by-row side is plain Python on a list of dicts, as one would write it from the formula; our
side is the product's functions on a frame. Both give the same columns, and the same values. Then
the whole of what is done to an item: the spam rules with it, and all else that our side does on
the way to the final score. Memory is that of a process of its own for each side. Times are also
given as processor time, of all threads together: a busy machine hardly disturbs it, so the
requirement is held against that.

    python benchmarks/scoring.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import polars as pl
from _report import finish, print_table, read_arguments, take_turns
from _rows import raw_trends
from _score_row import score_row, score_row_with_spam

from ytap_assets.domain.final_score import score_stories
from ytap_assets.domain.momentum import measure_gains, measure_items
from ytap_assets.domain.norms import measure_norms
from ytap_assets.domain.relevance import Topic
from ytap_assets.domain.scoring import (
    VIEWS_PER_ENGAGEMENT,
    base_score_columns,
    engagement_columns,
    hours_old_column,
    latest_observations,
)
from ytap_assets.domain.spam import find_spam
from ytap_assets.domain.spam_rules import SpamRules

TRENDS = 1_000_000
WITH_SPAM = 100_000
ROUNDS = 5
LEAST_FASTER = 50
SCORES = (
    "engagement",
    "engagement_basis",
    "hours_old",
    "engagement_score",
    "recency_score",
    "source_weight",
    "base_score",
)
_ROW = ("source", "points", "comments", "likes", "views", "published_at", "observed_at", "is_spam")
_TITLE = ("title", "url", "is_promoted")
_TOPIC = Topic(keywords=("rust", "database", "open source"), vertical="technology")


def main() -> int:
    """Measure, print tables and one JSON object."""
    read_arguments(__doc__)
    trends = make_trends(TRENDS)
    seconds, processor, differences = compare_scores(trends)
    faster = processor["rows"] / processor["columns"]
    whole = compare_whole(trends.head(WITH_SPAM))
    steps = time_steps(trends)
    memory = {name: peak_megabytes(name) for name in ("columns", "rows")}
    print_table(
        f"Peak memory of scoring {TRENDS:,} trends, MB",
        ["", "with the trends", "beyond them"],
        [[name, *both] for name, both in memory.items()],
    )
    figures = {
        "trends": TRENDS,
        "seconds": seconds,
        "processor_seconds": processor,
        "times_faster_by_the_clock": round(seconds["rows"] / seconds["columns"], 1),
        "times_faster": round(faster, 1),
        "different_scores": differences,
        "with_spam_rules_seconds": whole,
        "whole_way_seconds": steps,
        "peak_mb": {name: both[0] for name, both in memory.items()},
    }
    held = {
        f"{LEAST_FASTER}_times_faster": faster >= LEAST_FASTER,
        "same_scores": differences == 0,
    }
    return finish("scoring", figures, held)


def make_trends(count: int) -> pl.DataFrame:
    """Trends of every kind of count, with spam among the titles, in one workspace's day."""
    number = pl.int_range(pl.len())
    views = number * 7919 % 30_000_000
    return raw_trends("benchmark", 1, count).with_columns(
        source=pl.when(number % 3 == 0)
        .then(pl.lit("youtube"))
        .when(number % 3 == 1)
        .then(pl.lit("reddit"))
        .otherwise(pl.lit("hn")),
        points=pl.when(number % 3 > 0).then(number * 37 % 20_011),
        comments=pl.when(number % 5 > 0).then("comments"),
        likes=pl.when(number % 6 == 0).then(views // 40),
        views=pl.when(number % 3 == 0).then(views),
        published_at=pl.when(number % 11 > 0).then(
            pl.col("observed_at") - pl.duration(minutes=number * 31 % 3000)
        ),
        title=pl.when(number % 97 == 0)
        .then(pl.format("{} free robux generator", "title"))
        .when(number % 53 == 0)
        .then(pl.col("title").str.to_uppercase())
        .otherwise("title"),
        is_spam=number % 17 == 0,
    )


def score_columns(trends: pl.DataFrame) -> pl.DataFrame:
    """Our side."""
    measured = trends.with_columns(*engagement_columns(VIEWS_PER_ENGAGEMENT), hours_old_column())
    return measured.with_columns(*base_score_columns({})).select(SCORES)


def score_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The other side."""
    return [score_row(row) for row in rows]


def compare_scores(trends: pl.DataFrame) -> tuple[dict[str, float], dict[str, float], int]:
    """Seconds and processor seconds of either side; and how many trends they score differently."""
    frame = trends.select(_ROW)
    rows = frame.to_dicts()
    differences = _count_differences(frame, rows)
    processor: dict[str, list[float]] = {"columns": [], "rows": []}

    def clocked(name: str, call: Callable[[], object]) -> None:
        began = process_time()
        call()
        processor[name].append(process_time() - began)

    sides: dict[str, Callable[[], object]] = {
        "columns": lambda: clocked("columns", lambda: score_columns(frame)),
        "rows": lambda: clocked("rows", lambda: score_rows(rows)),
    }
    seconds = {name: _median(times) for name, times in take_turns(sides, ROUNDS).items()}
    used = {name: _median(times[1:]) for name, times in processor.items()}
    print_table(
        f"The base score and its parts, {TRENDS:,} trends, {differences} scored differently",
        ["", "median s", "processor s", "trends a second"],
        [
            [name, seconds[name], used[name], f"{TRENDS / seconds[name]:,.0f}"]
            for name in ("columns", "rows")
        ]
        + [["times faster", *(f"{t['rows'] / t['columns']:.1f}" for t in (seconds, used)), ""]],
    )
    return seconds, used, differences


def _count_differences(frame: pl.DataFrame, rows: list[dict[str, Any]]) -> int:
    ours = score_columns(frame)
    theirs = pl.DataFrame(score_rows(rows), schema=ours.schema)
    same = pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"{n}_row")) for n in SCORES)
    beside = pl.concat([ours, theirs.rename(lambda n: f"{n}_row")], how="horizontal")
    return int(beside.select((~same).sum()).item())


def compare_whole(trends: pl.DataFrame) -> dict[str, float]:
    """Seconds of either side with the spam rules, on fewer trends."""
    frame = trends.select({*_ROW, *_TITLE} - {"is_spam"})
    rows, rules = frame.to_dicts(), SpamRules()
    ours = find_spam(frame, rules)["is_spam"]
    theirs = pl.Series([score_row_with_spam(row, rules)["is_spam"] for row in rows])
    seconds = take_turns(
        {
            "columns": lambda: score_columns(find_spam(frame, rules)),
            "rows": lambda: [score_row_with_spam(row, rules) for row in rows],
        },
        1,
    )
    columns, by_row = (_median(seconds[name]) for name in ("columns", "rows"))
    alike = int((ours == theirs).sum()) / WITH_SPAM
    print_table(
        f"With the spam rules, {WITH_SPAM:,} trends, {alike:.2%} judged alike",
        ["", "s", "trends a second"],
        [
            ["columns at a time", columns, f"{WITH_SPAM / columns:,.0f}"],
            ["row by row", by_row, f"{WITH_SPAM / by_row:,.0f}"],
            ["times faster", f"{by_row / columns:.1f}", ""],
        ],
    )
    return {"columns": columns, "rows": by_row, "trends": WITH_SPAM}


def time_steps(trends: pl.DataFrame) -> dict[str, float]:
    """Seconds of each step from observations to final scores; every trend its own story."""
    seconds: dict[str, float] = {}

    def timed(step: str, call: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        began = perf_counter()
        result = call()
        seconds[step] = round(perf_counter() - began, 2)
        return result

    raw = trends.drop("is_spam")
    items = timed("the observation that counts", lambda: latest_observations(raw))
    items = timed("spam rules", lambda: find_spam(items, SpamRules()))
    scored = timed("base score", lambda: pl.concat([items, score_columns(items)], how="horizontal"))
    gains = timed("gains of earlier observations", lambda: measure_gains(raw))
    measured = timed("momentum's measures", lambda: measure_items(scored, gains))
    norms = timed("what is usual", lambda: measure_norms(measured))
    members = measured.with_columns(story_id="item_id", canonical_url="url")
    timed("final score", lambda: score_stories(members, norms, topic=_TOPIC))
    seconds["all"] = round(sum(seconds.values()), 2)
    print_table(f"The whole way, {TRENDS:,} trends", ["", "s"], list(seconds.items()))
    return seconds


def peak_megabytes(side: str) -> tuple[float, float]:
    """The peak of a process that scores one way; and how much of it came with the scoring."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_score_alone, args=(side, theirs))
    process.start()
    before, after = ours.recv()
    process.join()
    return after, round(after - before, 1)


def _score_alone(side: str, answer: Any) -> None:
    frame = make_trends(TRENDS).select(_ROW)
    if side == "columns":
        before = _peak()
        score_columns(frame)
    else:
        rows = frame.to_dicts()
        before = _peak()
        score_rows(rows)
    answer.send((before, _peak()))


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _median(times: list[float]) -> float:
    return round(statistics.median(times), 4)


if __name__ == "__main__":
    sys.exit(main())
