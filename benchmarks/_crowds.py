"""Processes that publish at the same time, each to partitions of its own in one table.

Belongs here: starting them, and counting what is missing or torn afterwards. Does not belong here:
the ways to publish (`_publishers`).
"""

from __future__ import annotations

import logging
import multiprocessing
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import dagster as dg
import duckdb
import polars as pl
from _publishers import Storing, ephemeral_instance
from _rows import day_after, scored_trends

from ytap_assets.errors import YtapError

ROWS = 500
PUBLISHES = 20
_ERRORS = (YtapError, duckdb.Error, pl.exceptions.PolarsError, dg.DagsterError, OSError)
_starts: list[Barrier] = []

Make = Callable[[Path, dg.DagsterInstance], Storing]


def measure_crowds(
    folder: Path, publishers: Mapping[str, Make], writers: int
) -> dict[str, dict[str, Any]]:
    """Let so many processes publish 20 partitions each, one way to publish after the other.

    Args:
        folder: Where each way gets a folder of its own.
        publishers: The ways, by name.
        writers: The number of processes.

    Returns:
        By name: ``wall_s`` from the first begin to the last end, ``seconds`` of each publish,
        ``errors``, and ``damaged``, the number of partitions that are not as they were published.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(writers)
    crowds = {}
    with ProcessPoolExecutor(writers, context, _take_barrier, (start,)) as pool:
        for number, (name, make) in enumerate(publishers.items()):
            place = folder / f"crowd-{number}"
            place.mkdir()
            with ephemeral_instance() as instance:
                publisher = make(place, instance)
                publisher.prepare(
                    "tech", day_after(0), make_rows("tech", 0, 1)
                )()  # makes the table
                parts = list(pool.map(partial(write_many, make, place), range(writers)))
                rows = publisher.fetch().filter(pl.col("workspace_id") != "tech")
            crowds[name] = {
                "wall_s": max(p["end"] for p in parts) - min(p["begin"] for p in parts),
                "seconds": [second for part in parts for second in part["seconds"]],
                "errors": [error for part in parts for error in part["errors"]],
                "damaged": count_damaged(rows, writers * PUBLISHES, 1),
            }
    return crowds


def write_many(make: Make, folder: Path, writer: int) -> dict[str, Any]:
    """The work of one of the processes."""
    be_quiet()
    workspace_id = f"writer-{writer}"
    frames = [make_rows(workspace_id, day, 1) for day in range(PUBLISHES)]
    seconds, errors = [], []
    with ephemeral_instance() as instance:
        publisher = make(folder, instance)
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


def print_errors(crowds: Mapping[str, dict[str, Any]]) -> None:
    """Print the first errors of each way to publish."""
    for name, crowd in crowds.items():
        for error in sorted(set(crowd["errors"]))[:3]:
            print(f"{name}: {error[:200]}")


def be_quiet() -> None:
    """Silence Dagster and its integrations, whose output of each call would hide the tables."""
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)


def _take_barrier(start: Barrier) -> None:
    _starts.append(start)
