"""The cost of grouping: seconds and memory by the number of titles of one day.

Belongs here: the third part of `stories.py`. Does not belong here: the quality of the groups.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from time import perf_counter, process_time
from typing import Any

import polars as pl
from _report import print_table
from _titles import make_titles

from ytap_assets.domain.stories import group_stories

SIZES = (10_000, 100_000, 1_000_000)
MOST_GROWTH = 1.2
DAY = date(2014, 3, 10)
KNOWN = ("workspace_id", "day", "source", "item_id", "story_id", "title", "canonical_url")


def nothing_known() -> pl.DataFrame:
    """No earlier members."""
    return pl.DataFrame(schema=dict.fromkeys(KNOWN, pl.String) | {"day": pl.Date})


def nothing_renamed() -> pl.DataFrame:
    """No replaced ids."""
    at = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        schema={
            "workspace_id": pl.String,
            "former_story_id": pl.String,
            "story_id": pl.String,
            "renamed_at": at,
        }
    )


def measure_cost(real: list[str], figures: dict[str, Any], held: dict[str, bool]) -> None:
    """Time and memory at each size, each in its own process."""
    rows: list[Sequence[object]] = []
    seconds = []
    for size in SIZES:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            wall, processor, megabytes, before, stories = pool.submit(_cost, real, size).result()
        seconds.append(processor)
        rows.append(
            (
                f"{size:,}",
                round(wall, 1),
                round(processor, 1),
                round(size / wall),
                megabytes,
                before,
                stories,
            )
        )
    growth = _slope([math.log(size) for size in SIZES], [math.log(s) for s in seconds])
    print_table(
        f"One day of titles made of {len(real):,} real ones",
        ["titles", "s", "processor s", "titles / s", "peak MB", "MB before", "stories"],
        rows,
    )
    print(f"processor time grows with the number of titles to the power of {growth:.2f}")
    figures |= {
        "growth_exponent": round(growth, 3),
        "seconds": {row[0]: row[1] for row in rows},
        "processor_seconds": {row[0]: row[2] for row in rows},
        "peak_mb": {row[0]: row[4] for row in rows},
    }
    held["growth_exponent"] = growth < MOST_GROWTH


def _cost(real: list[str], size: int) -> tuple[float, float, int, int, int]:
    titles = make_titles(real, size)
    when = datetime(2014, 3, 10, tzinfo=UTC)
    items = pl.DataFrame(
        {
            "workspace_id": "benchmark",
            "day": DAY,
            "source": "made",
            "item_id": [str(number) for number in range(size)],
            "title": titles,
            "canonical_url": [f"https://example.org/{number}" for number in range(size)],
            "first_observed_at": when,
            "published_at": when,
        }
    )
    del titles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = perf_counter(), process_time()
    members = group_stories(items, nothing_known())
    wall, processor = perf_counter() - wall, process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stories = members.get_column("story_id").n_unique()
    return wall, processor, peak // 1000, before // 1000, stories


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    return statistics.linear_regression(x, y).slope
