"""The kinds of lakes beside plain DuckDB: publish, append, read; 16 processes that publish at once.

The lake has its catalog in SQLite or PostgreSQL, and its files in a folder or in S3 (moto, which
imitates a server). It is compared with a native DuckDB file that is written with plain SQL, and
with the I/O manager of dagster-duckdb-polars. The methods take turns. Each begins with 50
workspaces x 60 days x 20 rows of ``scored_trends``.

- *publish*: a partition of 500 rows that is new, and again to replace it. The lake conforms the
  rows, checks them, holds the write lock and commits; plain SQL deletes and inserts in a
  transaction.
- *append*: 500 rows of ``raw_trends``, of which those that are stored already are left out. The I/O
  manager cannot append.
- *read*: every column of one workspace, or of all, as a Polars frame.
- *16 processes*: 20 publishes each, to partitions of their own. Plain DuckDB lets one process open
  the file; the others try again every 10 ms. The I/O manager does so by itself.

    python benchmarks/catalogs.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic. Without a PostgreSQL server, the lakes in it
are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import polars as pl
from _crowds import PUBLISHES, ROWS, be_quiet, make_rows, measure_crowds, print_errors
from _methods import DAYS, NAMES, InLake, InTable, Method, Native
from _publishers import ephemeral_instance
from _report import finish, print_table, read_arguments, temporary_folder
from _rows import day_after, raw_trends, scored_trends
from _servers import Place, find_places

PER_DAY = 20
CALLS = 40
WRITERS = 16
NATIVE, STOCK = "native DuckDB", "dagster-duckdb-polars"

Times = dict[tuple[str, str], list[float]]


_OPERATIONS = ("publish, new", "publish, again", "append", "read one", "read all")


def main() -> int:
    """Measure, print tables and one JSON object."""
    read_arguments(__doc__)
    be_quiet()
    with find_places() as places:
        with temporary_folder() as folder, ephemeral_instance() as instance:
            methods: dict[str, Method] = {}
            for number, (name, make) in enumerate(list_methods(places).items()):
                (folder / str(number)).mkdir()
                methods[name] = make(folder / str(number), instance)
            times = measure(methods)
        with temporary_folder() as folder:
            crowds = measure_crowds(folder, list_methods(places), WRITERS)
    return report(times, crowds)


def list_methods(places: Mapping[str, Place]) -> dict[str, Callable[..., Method]]:
    """What makes each method, in a new place."""
    ours = {name: partial(InLake, place=place()) for name, place in places.items()}
    return {**ours, NATIVE: Native, STOCK: InTable}


def measure(methods: Mapping[str, Method]) -> Times:
    """Seconds of each call, by operation and method, with the methods in turn."""
    parts = [scored_trends(name, DAYS, PER_DAY) for name in NAMES]
    for method in methods.values():
        method.fill(parts)
    times: Times = {}
    for call in range(CALLS + 1):
        for operation in _OPERATIONS:
            # Not the methods: a machine that is busy for a moment would slow one operation of all.
            for name, method in methods.items():
                work = _prepare(method, operation, call)
                if work is None:
                    continue
                began = perf_counter()
                found = work()
                if call:  # the first is a warm-up
                    times.setdefault((operation, name), []).append(perf_counter() - began)
                _check(operation, call, found)
    return times


def _prepare(method: Method, operation: str, call: int) -> Callable[[], object] | None:
    if operation in ("publish, new", "publish, again"):
        version = 1 + ("again" in operation)
        return method.prepare("tech", day_after(call), make_rows("tech", call, version))
    if operation == "append":
        if isinstance(method, InTable):
            return None
        name = NAMES[call % len(NAMES)]
        return partial(method.append, name, raw_trends(name, 1, ROWS))
    return partial(method.read, None if "all" in operation else NAMES[call % len(NAMES)])


def _check(operation: str, call: int, found: object) -> None:
    """See that a read found all rows."""
    if isinstance(found, pl.DataFrame):
        expected = DAYS * PER_DAY
        if operation == "read all":
            expected = expected * len(NAMES) + ROWS * (call + 1)
        if found.height != expected:
            raise AssertionError(f"{operation}: {found.height} rows instead of {expected}")


def report(times: Times, crowds: dict[str, dict[str, Any]]) -> int:
    """Print the tables and the last line."""
    figures: dict[str, Any] = {}
    for name in crowds:
        figures[name] = {
            operation: _cut(times[operation, name])
            for operation in _OPERATIONS
            if (operation, name) in times
        }
    print_table(
        f"median, p95 in ms, of {CALLS} calls",
        ["", *_OPERATIONS],
        [
            [name, *("{}, {}".format(*one[o]) if o in one else "-" for o in _OPERATIONS)]
            for name, one in figures.items()
        ],
    )
    rows = []
    for name, crowd in crowds.items():
        middle, high = _cut(crowd["seconds"])
        figures[name]["crowd"] = {
            "wall_s": round(crowd["wall_s"], 1),
            "ms": (middle, high),
            "slowest_s": round(max(crowd["seconds"]), 1),
            "errors": len(crowd["errors"]),
            "wrong": crowd["damaged"],
        }
        rows.append([name, f"{crowd['wall_s']:.1f}", middle, high, f"{max(crowd['seconds']):.1f}"])
        rows[-1] += [len(crowd["errors"]), crowd["damaged"]]
    print_table(
        f"{WRITERS} processes, {PUBLISHES} publishes of {ROWS} rows each, at once",
        ["", "wall s", "median ms", "p95 ms", "slowest s", "errors", "wrong partitions"],
        rows,
    )
    print_errors(crowds)
    ours = {name: crowd for name, crowd in crowds.items() if name not in (NATIVE, STOCK)}
    held = {
        f"no_failures_at_{WRITERS}_writers: {name}": not crowd["errors"] and not crowd["damaged"]
        for name, crowd in ours.items()
    }
    return finish("catalogs", {"ms": figures}, held)


def _cut(seconds: list[float]) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    return round(median(seconds) * 1000, 1), round(quantiles(seconds, n=20)[18] * 1000, 1)


if __name__ == "__main__":
    sys.exit(main())
