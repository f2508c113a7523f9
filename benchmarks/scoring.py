"""Scoring a million trends: by columns, compared with the same formula row by row.

Both methods take the same frame and return the same columns with the same values. The row-by-row
method is plain Python: it iterates over the frame's rows, computes each score, and makes a frame of
the results. The time of its formula alone, from dicts to dicts, is shown as well. Then the spam
rules are included, and all further steps of our method up to the final score. Memory is measured in
a separate process for each method.

Our method takes little time, so it is called five times in each turn.

    python benchmarks/scoring.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time

import polars as pl
from _report import finish, print_table, read_arguments, take_turns, temporary_folder
from _rows import raw_trends
from _score_row import score_row, score_row_with_spam

from ytap_assets.domain.scoring.baselines import measure_baselines
from ytap_assets.domain.scoring.final_score import RankingConfig, Topic, score_stories
from ytap_assets.domain.scoring.items import (
    add_base_scores,
    latest_observations,
    measure_gains,
    measure_items,
    merge_observations,
)
from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.rules import SpamRules

TRENDS = 1_000_000
WITH_SPAM = 100_000
ROUNDS = 3
CALLS = 5
LEAST_FASTER = 50
_SCHEMA = {
    "engagement": pl.Float64,
    "engagement_basis": pl.String,
    "hours_old": pl.Float64,
    "engagement_score": pl.Float64,
    "recency_score": pl.Float64,
    "source_weight": pl.Float64,
    "base_score": pl.Float64,
}
SCORES = tuple(_SCHEMA)
_ROW = ("source", "points", "comments", "likes", "views", "published_at", "observed_at", "is_spam")
_TITLE = ("title", "url", "is_promoted")
_TOPIC = Topic(keywords=("rust", "database", "open source"), vertical="technology")
_CONFIGS = {"benchmark": RankingConfig(_TOPIC)}


def main() -> int:
    """Measure, print tables and one JSON object."""
    read_arguments(__doc__)
    trends = make_trends(TRENDS)
    seconds, differences = compare_scores(trends)
    faster = seconds["rows"] / seconds["columns"]
    whole = compare_whole(trends.head(WITH_SPAM))
    steps = time_steps(trends)
    memory = measure_memory(trends.select(_ROW))
    print_table(
        f"Peak memory of scoring {TRENDS:,} trends, MB",
        ["", "in all", "beyond reading them"],
        [[name, *both] for name, both in memory.items()],
    )
    figures = {
        "trends": TRENDS,
        "seconds": seconds,
        "times_faster": round(faster, 1),
        "times_faster_than_the_formula_alone": round(seconds["formula"] / seconds["columns"], 1),
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
    """Score by columns."""
    return add_base_scores(trends).select(SCORES)


def score_rows(trends: pl.DataFrame) -> pl.DataFrame:
    """Score row by row."""
    scores = [score_row(row) for row in trends.iter_rows(named=True)]
    return pl.DataFrame(scores, schema=_SCHEMA)


def compare_scores(trends: pl.DataFrame) -> tuple[dict[str, float], int]:
    """Median seconds of both methods, in turn; and how many trends they score differently."""
    frame = trends.select(_ROW)
    differences = _count_differences(frame)
    rows = frame.to_dicts()
    ours: list[float] = []

    def score_often() -> None:
        for _ in range(CALLS):
            began = perf_counter()
            score_columns(frame)
            ours.append(perf_counter() - began)

    sides: dict[str, Callable[[], object]] = {
        "columns": score_often,
        "rows": lambda: score_rows(frame),
        "formula": lambda: [score_row(row) for row in rows],
    }
    seconds = {name: _median(times) for name, times in take_turns(sides, ROUNDS).items()}
    seconds["columns"] = _median(ours[CALLS:])
    print_table(
        f"The base score and its parts, {TRENDS:,} trends, {differences} scored differently",
        ["", "median s", "trends a second", "to columns"],
        [
            [title, f"{took:.3f}", f"{TRENDS / took:,.0f}", f"{took / seconds['columns']:.1f}"]
            for title, took in zip(
                ("columns at a time", "row by row", "the formula alone, on dicts"),
                seconds.values(),
                strict=True,
            )
        ],
    )
    return seconds, differences


def _count_differences(frame: pl.DataFrame) -> int:
    ours, theirs = score_columns(frame), score_rows(frame)
    same = pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"{n}_row")) for n in SCORES)
    beside = pl.concat([ours, theirs.rename(lambda n: f"{n}_row")], how="horizontal")
    return int(beside.select((~same).sum()).item())


def compare_whole(trends: pl.DataFrame) -> dict[str, float]:
    """Seconds of both methods with the spam rules, on fewer trends."""
    frame = trends.drop("is_spam")
    rows, rules = frame.select({*_ROW, *_TITLE} - {"is_spam"}).to_dicts(), SpamRules()
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
    """Processor time of each step up to the final scores; every trend is its own story."""
    seconds: dict[str, float] = {}

    def timed(step: str, call: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        began = process_time()
        result = call()
        seconds[step] = round(process_time() - began, 2)
        return result

    raw = trends.drop("is_spam")
    seen = timed("lists and parts of one instant", lambda: merge_observations(raw))
    items = timed("the observation that counts", lambda: latest_observations(seen))
    items = timed("spam rules", lambda: find_spam(items, SpamRules()))
    scored = timed("base score", lambda: pl.concat([items, score_columns(items)], how="horizontal"))
    gains = timed("gains of earlier observations", lambda: measure_gains(seen))
    measured = timed("momentum's measures", lambda: measure_items(scored, gains))
    baselines = timed("what is usual", lambda: measure_baselines(measured))
    members = measured.with_columns(story_id="item_id", canonical_url="url")
    timed("final score", lambda: score_stories(members, baselines, configs=_CONFIGS))
    seconds["all"] = round(sum(seconds.values()), 2)
    print_table(f"The whole way, {TRENDS:,} trends", ["", "processor s"], list(seconds.items()))
    return seconds


def measure_memory(frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Peak MB of a process that reads and scores the trends, by method; and without reading."""
    with temporary_folder() as folder:
        file = folder / "trends.parquet"
        frame.write_parquet(file)
        return {name: _peak_megabytes(name, file) for name in ("columns", "rows")}


def _peak_megabytes(side: str, file: Path) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_score_alone, args=(side, file, theirs))
    process.start()
    before, after = ours.recv()
    process.join()
    return after, round(after - before, 1)


def _score_alone(side: str, file: Path, answer: Connection) -> None:
    frame = pl.read_parquet(file)
    before = _peak()
    (score_columns if side == "columns" else score_rows)(frame)
    answer.send((before, _peak()))


def _peak() -> float:
    """The peak memory of this process, in MB.

    On Linux `getrusage` includes the parent's peak in a child; `/proc` does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return round(int(lines["VmHWM"].split()[0]) / 1024, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _median(times: list[float]) -> float:
    return round(statistics.median(times), 4)


if __name__ == "__main__":
    sys.exit(main())
