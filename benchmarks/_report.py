"""Shared code of the benchmarks: calls in turn, tables, and the JSON object of the last line.

The compared methods run in turn within one process, so that a busy machine slows all of them
alike; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

REAL_DATA = Path(__file__).parents[2] / "shared" / "real"
_VERSIONS = ("duckdb", "polars", "pandera", "dagster")


def read_arguments(description: str | None) -> Path:
    """The data folder named on the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, default=REAL_DATA, metavar="DATA_FOLDER")
    given: Path = parser.parse_args().data
    return given


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder, removed at the end even after an error."""
    folder = Path(tempfile.mkdtemp(prefix="ytap-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take_turns(
    contestants: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each call, by method; the first round is a warm-up and not counted."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, call in contestants.items():
            began = perf_counter()
            call()
            if turn:
                times[name].append(perf_counter() - began)
    return times


def median_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return round(statistics.median(seconds) * 1000, 2)


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column left-aligned, the others right-aligned."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip(), flush=True)


def finish(benchmark: str, figures: Mapping[str, Any], held: Mapping[str, bool]) -> int:
    """Print the last line, one JSON object.

    Returns:
        The exit code: 1 if a requirement does not hold.
    """
    result = {"benchmark": benchmark, **figures, "held": dict(held), "machine": _machine()}
    print(json.dumps(result))
    return 0 if all(held.values()) else 1


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in _VERSIONS},
    }
