"""One workspace's records of one state, of a million, compared with a scan of a JSONL file.

Many tools store a list of scripts as JSONL. The queries return 25,000 of 1,000,000 records, and a
mean over them. The lake is queried through `Reader`, as an asset reads, and through SQL; the JSONL
file is scanned with Python's json, with Polars and with DuckDB.

    python benchmarks/records.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
from _report import finish, median_ms, print_table, read_arguments, take_turns, temporary_folder
from _rows import production_records

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_RECORDS
from ytap_assets.tables.production import STATES

WORKSPACES = 10
PER_STATE = 25_000
IN_STATES = 4
ROUNDS = 5
LIMIT = 50.0
WORKSPACE, STATE = "channel-7", STATES[1]
COST = "estimated_cost_usd_micros"
JSONL = "JSONL, json"
LAKE = "lake"
_RUN = Run("benchmark", "benchmark", "publish records")
_WHERE = f"workspace_id = '{WORKSPACE}' AND state = '{STATE}'"

Calls = dict[str, Callable[[], float]]


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    with temporary_folder() as folder:
        settings = Settings.from_env({"YTAP_DATA": str(folder)})
        file = folder / "records.jsonl"
        fill(settings, file)
        with Lake.open(settings) as lake, attach(settings, read_only=True) as connection:
            questions = {
                "the records": ask_for_records(lake, connection, file),
                "the mean of their cost": ask_for_mean(lake, connection, file),
            }
            medians = {question: measure(calls) for question, calls in questions.items()}
        megabytes = file.stat().st_size / 1e6
    return report(medians, megabytes)


def fill(settings: Settings, file: Path) -> None:
    """The same records in the lake and in the file, one workspace after the other."""
    with Lake.open(settings) as lake, file.open("ab") as stream:
        for number in range(WORKSPACES):
            workspace_id = f"channel-{number}"
            rows = production_records(workspace_id, PER_STATE, IN_STATES)
            with lake.write(_RUN) as transaction:
                transaction.publish_all([check_rows(PRODUCTION_RECORDS, rows, Scope(workspace_id))])
            stream.write(rows.write_ndjson().encode())


def ask_for_records(lake: Lake, connection: duckdb.DuckDBPyConnection, file: Path) -> Calls:
    """The methods that read whole records; each returns their number."""
    return {
        LAKE: lambda: float(_read(lake, None).height),
        "lake, SQL": lambda: float(
            connection.execute(f"FROM {PRODUCTION_RECORDS.name} WHERE {_WHERE}").pl().height
        ),
        JSONL: lambda: float(len(_scan(file))),
        "JSONL, Polars": lambda: float(_lazy(file).collect().height),
        "JSONL, DuckDB": lambda: float(
            connection.execute(f"FROM read_json('{file}') WHERE {_WHERE}").pl().height
        ),
    }


def ask_for_mean(lake: Lake, connection: duckdb.DuckDBPyConnection, file: Path) -> Calls:
    """The methods that compute a mean over the records."""
    mean = partial(_mean_of, connection)
    return {
        LAKE: lambda: float(_read(lake, [COST]).get_column(COST).sum() / PER_STATE),
        "lake, SQL": lambda: mean(PRODUCTION_RECORDS.name),
        JSONL: lambda: sum(record[COST] for record in _scan(file)) / PER_STATE,
        "JSONL, Polars": lambda: float(_lazy(file).select(pl.col(COST).mean()).collect().item()),
        "JSONL, DuckDB": lambda: mean(f"read_json('{file}')"),
    }


def measure(calls: Calls) -> dict[str, float]:
    """Median milliseconds of each method, in turn.

    Raises:
        AssertionError: Two methods give different results.
    """
    answers = {name: round(call(), 3) for name, call in calls.items()}
    if len(set(answers.values())) != 1:
        raise AssertionError(f"the ways answer differently: {answers}")
    return {name: median_ms(times) for name, times in take_turns(calls, ROUNDS).items()}


def _read(lake: Lake, columns: list[str] | None) -> pl.DataFrame:
    reader = lake.reader(WORKSPACE)
    return reader.read(PRODUCTION_RECORDS, columns=columns, wanted={"state": [STATE]})


def _scan(file: Path) -> list[dict[str, float]]:
    with file.open(encoding="utf-8") as lines:
        records = map(json.loads, lines)
        return [r for r in records if r["workspace_id"] == WORKSPACE and r["state"] == STATE]


def _lazy(file: Path) -> pl.LazyFrame:
    return pl.scan_ndjson(file).filter(workspace_id=WORKSPACE, state=STATE)


def _mean_of(connection: duckdb.DuckDBPyConnection, rows: str) -> float:
    found = connection.execute(f"SELECT avg({COST}) FROM {rows} WHERE {_WHERE}").fetchone()
    if found is None:
        raise AssertionError("a mean is one row")
    return float(found[0])


def report(medians: dict[str, dict[str, float]], megabytes: float) -> int:
    """Print the table and the last line."""
    faster = {
        question: {name: round(value / times[LAKE], 1) for name, value in times.items()}
        for question, times in medians.items()
    }
    ways = list(next(iter(medians.values())))
    print_table(
        f"{PER_STATE:,} of {WORKSPACES * IN_STATES * PER_STATE:,} records"
        f" ({megabytes:.0f} MB of JSONL), median ms",
        ["", *(cell for question in medians for cell in (question, "to the lake's"))],
        [
            [way, *(cell for q in medians for cell in (medians[q][way], faster[q][way]))]
            for way in ways
        ],
    )
    held = {
        f"{question.replace(' ', '_')}_{LIMIT:g}x_faster_than_jsonl": ratios[JSONL] >= LIMIT
        for question, ratios in faster.items()
    }
    return finish("records", {"median_ms": medians, "times_the_lake": faster}, held)


if __name__ == "__main__":
    sys.exit(main())
