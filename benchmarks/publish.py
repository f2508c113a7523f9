"""Publishing a partition of 500 rows: time, and losses when 8 processes publish at once.

Ours is compared with the I/O managers of dagster-duckdb-polars and dagster-polars. "call" is the
publish itself: `Lake.publish` with conforming, checks, lock and commit; ``handle_output`` with all
its work. "step" is the whole step of a Dagster run, as timed by Dagster; ours includes four asset
checks and the metadata. A partition is published when it is new, and again to replace it.

    python benchmarks/publish.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import quantiles
from time import monotonic, perf_counter
from typing import Any

import dagster as dg
import duckdb
import polars as pl
from _publishers import PUBLISHERS, Publisher, ephemeral_instance
from _report import finish, median_ms, print_table, read_arguments, temporary_folder
from _rows import day_after, scored_trends

from ytap_assets.defs.partitions import partition_key
from ytap_assets.errors import YtapError

ROWS = 500
CALLS = 40
STEPS = range(100, 115)
WRITERS = 8
PUBLISHES = 20
OURS, STOCK = "ours", "dagster-duckdb-polars"
CASES = {"new": 1, "existing": 2}
_ERRORS = (YtapError, duckdb.Error, pl.exceptions.PolarsError, dg.DagsterError, OSError)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_starts: list[Barrier] = []

Times = dict[tuple[str, str], list[float]]


def main() -> int:
    """Measure, print tables and one JSON object."""
    read_arguments(__doc__)
    _be_quiet()
    with temporary_folder() as folder, ephemeral_instance() as instance:
        publishers = {name: make(folder, instance) for name, make in PUBLISHERS.items()}
        calls = measure_calls(publishers)
        steps = measure_steps(publishers, instance)
        damaged = {
            name: count_damaged(one.fetch(), CALLS + len(STEPS), CASES["existing"])
            for name, one in publishers.items()
        }
    with temporary_folder() as folder:
        crowds = measure_crowds(folder)
    return report(calls, steps, damaged, crowds)


def measure_calls(publishers: dict[str, Publisher]) -> Times:
    """Seconds per publish, with the methods in turn, by case and method."""
    times: Times = {(case, name): [] for case in CASES for name in publishers}
    for case, version in CASES.items():
        for day in range(CALLS):
            frame = make_rows("tech", day, version)
            for name, publisher in publishers.items():
                call = publisher.prepare("tech", day_after(day), frame)
                began = perf_counter()
                call()
                times[case, name].append(perf_counter() - began)
    return times


def measure_steps(publishers: dict[str, Publisher], instance: dg.DagsterInstance) -> Times:
    """Seconds per step of a Dagster run, with the methods in turn."""
    times: Times = {(case, name): [] for case in CASES for name in publishers}
    for case, version in CASES.items():
        for day in STEPS:
            frame = make_rows("tech", day, version)
            for name, publisher in publishers.items():
                asset, resources = publisher.asset(frame)
                result = dg.materialize(
                    [asset],
                    partition_key=partition_key("tech", day_after(day)),
                    resources=resources,
                    instance=instance,
                    run_config=_QUIET,
                )
                (event,) = (one for one in result.all_events if one.is_step_success)
                times[case, name].append(event.step_success_data.duration_ms / 1000)
    return times


def measure_crowds(folder: Path) -> dict[str, dict[str, Any]]:
    """Eight processes, each publishing to partitions of its own in one table at the same time."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    crowds = {}
    with ProcessPoolExecutor(WRITERS, context, _take_barrier, (start,)) as pool:
        for name, make in PUBLISHERS.items():
            place = folder / name
            place.mkdir()
            with ephemeral_instance() as instance:
                publisher = make(place, instance)
                publisher.prepare(
                    "tech", day_after(0), make_rows("tech", 0, 1)
                )()  # makes the table
                write = partial(write_many, name, place)
                parts = list(pool.map(write, range(WRITERS)))
                rows = publisher.fetch().filter(pl.col("workspace_id") != "tech")
            seconds = [second for part in parts for second in part["seconds"]]
            errors = [error for part in parts for error in part["errors"]]
            crowds[name] = {
                "wall_s": max(p["end"] for p in parts) - min(p["begin"] for p in parts),
                "seconds": seconds,
                "errors": errors,
                "damaged": count_damaged(rows, WRITERS * PUBLISHES, 1),
            }
    return crowds


def write_many(name: str, folder: Path, writer: int) -> dict[str, Any]:
    """The work of one of the processes."""
    _be_quiet()
    workspace_id = f"writer-{writer}"
    frames = [make_rows(workspace_id, day, 1) for day in range(PUBLISHES)]
    seconds, errors = [], []
    with ephemeral_instance() as instance:
        publisher = PUBLISHERS[name](folder, instance)
        calls = [
            publisher.prepare(workspace_id, day_after(day), frame)
            for day, frame in enumerate(frames)
        ]
        _starts[0].wait()
        begin = monotonic()
        for call in calls:
            began = perf_counter()
            try:
                call()
            except _ERRORS as error:
                errors.append(f"{type(error).__name__}: {error}")
            seconds.append(perf_counter() - began)
    return {"begin": begin, "end": monotonic(), "seconds": seconds, "errors": errors}


def make_rows(workspace_id: str, day: int, version: int) -> pl.DataFrame:
    """A partition's rows; ``members`` identifies the publish that wrote them."""
    rows = scored_trends(workspace_id, 1, ROWS, first=day)
    return rows.with_columns(members=pl.lit(version, pl.Int64))


def count_damaged(rows: pl.DataFrame, partitions: int, version: int) -> int:
    """The number of partitions that are missing or differ from the last publish."""
    whole = (
        rows.group_by("workspace_id", "day")
        .agg(
            rows=pl.len(),
            stories=pl.col("story_id").n_unique(),
            is_last=(pl.col("members") == version).all(),
        )
        .filter(pl.col("rows") == ROWS, pl.col("stories") == ROWS, "is_last")
    )
    return partitions - whole.height


def report(
    calls: Times, steps: Times, damaged: dict[str, int], crowds: dict[str, dict[str, Any]]
) -> int:
    """Print the tables and the last line."""
    medians = {
        f"{case}_{kind}_ms": {name: median_ms(times[case, name]) for name in PUBLISHERS}
        for kind, times in (("call", calls), ("step", steps))
        for case in CASES
    }
    print_table(
        f"one partition of {ROWS} rows, median ms",
        ["", *(title.removesuffix("_ms").replace("_", ", ") for title in medians), "damaged"],
        [[n, *(values[n] for values in medians.values()), damaged[n]] for n in PUBLISHERS],
    )
    crowd_rows = []
    for name, crowd in crowds.items():
        cuts = quantiles(crowd["seconds"], n=20)
        row = [crowd["wall_s"], cuts[9], cuts[18], max(crowd["seconds"])]
        counts = [len(crowd["errors"]), crowd["damaged"]]
        crowd_rows.append([name, *(f"{value:.2f}" for value in row), *counts])
    print_table(
        f"{WRITERS} processes, {PUBLISHES} publishes each, at once",
        ["", "wall s", "median s", "p95 s", "slowest s", "errors", "lost or torn"],
        crowd_rows,
    )
    for name, crowd in crowds.items():
        for error in sorted(set(crowd["errors"]))[:3]:
            print(f"{name}: {error[:200]}")
    held = {
        f"{case}_at_most_{STOCK}": values[OURS] <= values[STOCK]
        for case, values in medians.items()
        if "call" in case
    }
    ours = crowds[OURS]
    held["no_failures_at_8_writers"] = not ours["errors"] and not ours["damaged"]
    ratios = {case: round(values[OURS] / values[STOCK], 2) for case, values in medians.items()}
    figures = {
        **medians,
        f"ours_to_{STOCK}": ratios,
        "writers": {
            name: {
                "wall_s": round(crowd["wall_s"], 2),
                "median_ms": median_ms(crowd["seconds"]),
                "errors": len(crowd["errors"]),
                "lost_or_torn": crowd["damaged"],
            }
            for name, crowd in crowds.items()
        },
    }
    return finish("publish", figures, held)


def _take_barrier(start: Barrier) -> None:
    _starts.append(start)


def _be_quiet() -> None:
    """Silence Dagster and its integrations, whose output of each call would hide the tables."""
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
