"""Queries over the whole lake, 250 workspaces x 365 days x 20 rows, and over one Parquet file.

The rows of ``scored_trends`` are published by the product, a quarter of a year at a time, and then
maintained. The same queries are run on the lake and on one Parquet file with the same rows in the
same order (the limit of what DuckDB can do), before maintenance and after.

    python benchmarks/queries.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
from _lakes import DAYS, PER_DAY, WORKSPACES, fill_year
from _report import finish, median_ms, print_table, read_arguments, take_turns, temporary_folder

from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings
from ytap_assets.tables import SCORED_TRENDS

ROUNDS = 15
LIMIT = 3.0
ALL = "all workspaces"
_RUN = Run("benchmark", "benchmark", "maintain")
_ONE = "workspace_id = 'channel-123'"
QUESTIONS = {
    ALL: "SELECT workspace_id, count(*), round(avg(base_score), 6), sum(is_spam::INT) FROM {}"
    " GROUP BY ALL",
    "all, by day": "SELECT day, source, count(*), round(avg(base_score), 6) FROM {} GROUP BY ALL",
    "one workspace": "SELECT day, count(*), round(avg(base_score), 6), max(engagement)"
    f" FROM {{}} WHERE {_ONE} GROUP BY ALL",
    "one day of one workspace": "SELECT position, title, base_score"
    f" FROM {{}} WHERE {_ONE} AND day = DATE '2025-08-09' ORDER BY position",
}

Medians = dict[str, dict[str, float]]


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    with temporary_folder() as folder:
        settings = Settings.from_env({"YTAP_DATA": str(folder)})
        file = folder / "one.parquet"
        began = perf_counter()
        with Lake.open(settings) as lake:
            fill_year(lake)
            published = perf_counter()
            copy_to_file(settings, file)
            before = measure(settings, file)
            began_maintenance = perf_counter()
            done = maintain(lake, settings.now(), _RUN)
        seconds = {"publish": published - began, "maintain": perf_counter() - began_maintenance}
        after = measure(settings, file)
    files = {"before": done.files_before, "after": done.files_after}
    return report(before, after, files, seconds)


def copy_to_file(settings: Settings, file: Path) -> None:
    """The same rows, in the same order, in one Parquet file."""
    order = ", ".join(("workspace_id", *SCORED_TRENDS.sort_by))
    with attach(settings, read_only=True) as connection:
        connection.execute(f"COPY (FROM {SCORED_TRENDS.name} ORDER BY {order}) TO '{file}'")


def measure(settings: Settings, file: Path) -> Medians:
    """Median milliseconds of every query, on the lake and on the file, in turn."""
    medians: Medians = {}
    with attach(settings, read_only=True) as connection:
        for question, statement in QUESTIONS.items():
            lake, one = (
                partial(_ask, connection, statement.format(rows))
                for rows in (SCORED_TRENDS.name, f"'{file}'")
            )
            if sorted(lake(), key=str) != sorted(one(), key=str):
                raise AssertionError(f"{question}: the lake and the file answer differently")
            times = take_turns({"lake": lake, "file": one}, ROUNDS)
            medians[question] = {name: median_ms(values) for name, values in times.items()}
    return medians


def _ask(connection: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
    return connection.execute(statement).fetchall()


def report(
    before: Medians, after: Medians, files: dict[str, int], seconds: dict[str, float]
) -> int:
    """Print the table and the last line."""
    ratios = {q: round(times["lake"] / times["file"], 2) for q, times in after.items()}
    rows: list[list[object]] = [
        [q, before[q]["lake"], after[q]["lake"], after[q]["file"], ratios[q]] for q in QUESTIONS
    ]
    print_table(
        f"{WORKSPACES * DAYS * PER_DAY:,} rows, median ms",
        ["", "lake, before", "lake, maintained", "one Parquet file", "maintained / file"],
        [*rows, ["files", files["before"], files["after"], 1, ""]],
    )
    print(f"published in {seconds['publish']:.0f} s, maintained in {seconds['maintain']:.1f} s")
    figures = {
        "before_ms": {q: times["lake"] for q, times in before.items()},
        "lake_ms": {q: times["lake"] for q, times in after.items()},
        "file_ms": {q: times["file"] for q, times in after.items()},
        "lake_to_file": ratios,
        "files": files,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    return finish("queries", figures, {f"all_workspaces_within_{LIMIT:g}x": ratios[ALL] <= LIMIT})


if __name__ == "__main__":
    sys.exit(main())
