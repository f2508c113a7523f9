"""A log of 1,000,000 events of 250 workspaces: folds, one more event, and states as of an instant.

The same events are in the lake, in a JSONL file, and in a SQLite database with an index on
workspace, script and seq. The lake computes complete records and stays; the others compute the
state of each script only, which is less. "One more event" stores an event that changes a script's
state, and returns the state; the lake also updates the script's record and stays in the same
commit. JSONL has no index, so the state of a script takes a scan.

Times are medians of calls in turn. Peak memory is that of a process of its own for each method,
with the interpreter and the libraries.

    python benchmarks/production_log.py [DATA_FOLDER]

The data folder is not used: the events are synthetic.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import duckdb
import polars as pl
from _report import finish, median_ms, print_table, read_arguments, take_turns, temporary_folder
from _rows import EVENTS_PER_SCRIPT, day_after, production_events

from ytap_assets.domain.production.history import OCCURRED
from ytap_assets.domain.production.records import find_visits, fold_events
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import list_records_at, refresh_tables
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets.workspaces import Workspace

WORKSPACES = 250
SCRIPTS = 500
BATCH = 50
ROUNDS = 3
WORKSPACE = "channel-7"
SCRIPT = f"{WORKSPACE}-7"
AT = datetime.combine(day_after(20), datetime.min.time(), UTC)
NOW = datetime.combine(day_after(60), datetime.min.time(), UTC)
LAKE = "lake"
ONE, ALL, MORE, AS_OF = "one workspace", "all workspaces", "one more event", "as of an instant"
_RUN = Run("benchmark", "benchmark", "production log")
_COLUMNS = ("workspace_id", "script_id", "seq", "to_state", "occurred_at", "payload")
_MORE = count(10_000_000)

States = Mapping[tuple[str, str], str]
Method = Callable[[Path], States]


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    with temporary_folder() as folder:
        fill(folder)
        medians = {name: measure(methods, folder) for name, methods in METHODS.items()}
        peaks = {name: measure_memory(name, folder) for name in METHODS}
        megabytes = {
            name: sum(one.stat().st_size for one in folder.glob(files) if one.is_file()) / 1e6
            for name, files in (
                ("JSONL", "log.jsonl"),
                ("SQLite", "log.sqlite*"),
                (LAKE, "lake/**/*"),
            )
        }
        close(folder)
    return report(medians, peaks, megabytes)


def fill(folder: Path) -> None:
    """The same events in the lake, in the file and in the database."""
    platform = open_platform(folder)
    platform.workspaces.save(Workspace(workspace_id=WORKSPACE, name="Seven", vertical="any"))
    names = [f"channel-{number}" for number in range(WORKSPACES)]
    for start in range(0, WORKSPACES, BATCH):
        own = names[start : start + BATCH]
        with platform.lake.write(_RUN) as transaction:
            transaction.append_all(
                [
                    check_rows(PRODUCTION_EVENTS, production_events(name, SCRIPTS), Scope(name))
                    for name in own
                ]
            )
            refresh_tables(transaction, [Scope(name) for name in own])
    events = platform.lake.cross_reader().read_across(PRODUCTION_EVENTS).sort("seq")
    events.write_ndjson(folder / "log.jsonl")
    with closing(sqlite3.connect(folder / "log.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        columns = ", ".join(f"{name} {'INTEGER' if name == 'seq' else 'TEXT'}" for name in _COLUMNS)
        database.execute(f"CREATE TABLE events ({columns})")
        rows = events.select(_COLUMNS).with_columns(_as_text(pl.col("occurred_at"))).iter_rows()
        marks = ", ".join("?" for _ in _COLUMNS)
        database.executemany(f"INSERT INTO events VALUES ({marks})", rows)
        database.execute("CREATE INDEX by_script ON events (workspace_id, script_id, seq)")
        database.commit()


def open_platform(folder: Path) -> Platform:
    """The installation in the folder, opened once per process."""
    return _open_platform(folder)


@cache
def _open_platform(folder: Path) -> Platform:
    settings = Settings.from_env({"YTAP_DATA": str(folder)})
    if not any(folder.iterdir()):
        with Lake.open(settings):
            pass
    return Platform(settings, now=lambda: NOW)


@cache
def open_sqlite(folder: Path) -> sqlite3.Connection:
    """The database in the folder, opened once per process."""
    return sqlite3.connect(folder / "log.sqlite")


@cache
def open_sql(folder: Path) -> duckdb.DuckDBPyConnection:
    """The lake in the folder, attached in DuckDB, once per process."""
    return attach(open_platform(folder).settings, read_only=True)


def close(folder: Path) -> None:
    """Close what this process has opened."""
    open_platform(folder).lake.close()
    open_sqlite(folder).close()
    open_sql(folder).close()


def fold_lake(folder: Path, *, is_all: bool = False) -> States:
    """Records and stays, folded from the log."""
    lake = open_platform(folder).lake
    events = (
        lake.cross_reader().read_across(PRODUCTION_EVENTS)
        if is_all
        else lake.reader(WORKSPACE).read(PRODUCTION_EVENTS)
    )
    find_visits(events)
    return _as_states(fold_events(events))


def add_to_lake(folder: Path) -> States:
    """An event, its record and stays, in one commit."""
    lake, number = open_platform(folder).lake, next(_MORE)
    row = {
        **_new_event(number),
        "event_id": str(number),
        "type": "imported",
        "actor": "import",
        "recorded_at": NOW,
    }
    with lake.write(_RUN) as transaction:
        rows = PRODUCTION_EVENTS.frame([row])
        transaction.append(check_rows(PRODUCTION_EVENTS, rows, Scope(WORKSPACE)))
        refresh_tables(transaction, [Scope(WORKSPACE)])
    return {(WORKSPACE, SCRIPT): str(row["to_state"])}


def ask_lake(folder: Path) -> States:
    """The complete records as of an instant."""
    return _as_states(list_records_at(open_platform(folder), WORKSPACE, AT, OCCURRED))


def ask_sql(folder: Path) -> States:
    """The states as of an instant, from ``script_states``."""
    found = open_sql(folder).execute(
        "SELECT workspace_id, script_id, state FROM script_states WHERE workspace_id = ?"
        " AND entered_at <= ? AND (left_at IS NULL OR left_at > ?)",
        [WORKSPACE, AT, AT],
    )
    return {(name, script): state for name, script, state in found.fetchall()}


def scan_json(folder: Path, *, workspace: str | None = WORKSPACE, until: str = "9") -> States:
    """The states, from each line of the file."""
    states = {}
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if (
                event["to_state"]
                and workspace in (None, event["workspace_id"])
                and event["occurred_at"] <= until
            ):
                states[event["workspace_id"], event["script_id"]] = event["to_state"]
    return states


def scan_polars(folder: Path, *, workspace: str | None = WORKSPACE, until: str = "9") -> States:
    """The states, from a lazy scan of the file."""
    events = pl.scan_ndjson(folder / "log.jsonl").filter(
        pl.col("to_state").is_not_null(), pl.col("occurred_at") <= until
    )
    if workspace is not None:
        events = events.filter(workspace_id=workspace)
    last = pl.col("to_state").sort_by("seq").last().alias("state")
    return _as_states(events.group_by("workspace_id", "script_id").agg(last).collect())


def query_sqlite(folder: Path, *, workspace: str | None = WORKSPACE, until: str = "9") -> States:
    """The states, along the index."""
    where = "" if workspace is None else " AND workspace_id = ?"
    found = open_sqlite(folder).execute(
        "SELECT workspace_id, script_id, to_state, max(seq) FROM events"
        f" WHERE to_state IS NOT NULL AND occurred_at <= ?{where} GROUP BY 1, 2",
        [until, *([] if workspace is None else [workspace])],
    )
    return {(name, script): state for name, script, state, _ in found}


def add_to_file(folder: Path, scan: Method) -> States:
    """A line at the end of the file, and a scan for the script's state."""
    row = {**_new_event(next(_MORE)), "occurred_at": _in_text(NOW)}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return {(WORKSPACE, SCRIPT): scan(folder)[WORKSPACE, SCRIPT]}


def add_to_sqlite(folder: Path) -> States:
    """A row in a transaction, and the script's state along the index."""
    database = open_sqlite(folder)
    row = {**_new_event(next(_MORE)), "occurred_at": _in_text(NOW)}
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    with database:
        database.execute(f"INSERT INTO events ({names}) VALUES ({marks})", list(row.values()))
    [(state, _)] = database.execute(
        "SELECT to_state, max(seq) FROM events WHERE workspace_id = ? AND script_id = ?"
        " AND to_state IS NOT NULL",
        [WORKSPACE, SCRIPT],
    )
    return {(WORKSPACE, SCRIPT): state}


def _new_event(number: int) -> dict[str, object]:
    return {
        "workspace_id": WORKSPACE,
        "script_id": SCRIPT,
        "seq": number,
        "to_state": "published",
        "occurred_at": NOW + timedelta(seconds=number % 1000),
        "payload": "{}",
    }


def _in_text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S.%f}Z"


def _as_text(instant: pl.Expr) -> pl.Expr:
    return instant.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")


def _as_states(rows: pl.DataFrame) -> States:
    columns = rows.select("workspace_id", "script_id", "state").iter_rows()
    return {(name, script): state for name, script, state in columns}


_UNTIL = _in_text(AT)
METHODS: dict[str, dict[str, Method]] = {
    ONE: {
        LAKE: fold_lake,
        "SQLite": query_sqlite,
        "JSONL, Polars": scan_polars,
        "JSONL, json": scan_json,
    },
    ALL: {
        LAKE: partial(fold_lake, is_all=True),
        "SQLite": partial(query_sqlite, workspace=None),
        "JSONL, Polars": partial(scan_polars, workspace=None),
        "JSONL, json": partial(scan_json, workspace=None),
    },
    AS_OF: {
        LAKE: ask_lake,
        "lake, SQL": ask_sql,
        "SQLite": partial(query_sqlite, until=_UNTIL),
        "JSONL, Polars": partial(scan_polars, until=_UNTIL),
        "JSONL, json": partial(scan_json, until=_UNTIL),
    },
    MORE: {
        LAKE: add_to_lake,
        "SQLite": add_to_sqlite,
        "JSONL, Polars": partial(add_to_file, scan=scan_polars),
        "JSONL, json": partial(add_to_file, scan=scan_json),
    },
}


def measure(methods: Mapping[str, Method], folder: Path) -> dict[str, float]:
    """Median milliseconds of each method, in turn.

    Raises:
        AssertionError: Two methods give different states.
    """
    calls = {name: partial(method, folder) for name, method in methods.items()}
    answers = {name: call() for name, call in calls.items()}
    first = next(iter(answers.values()))
    if not first or any(answer != first for answer in answers.values()):
        sizes = {name: len(answer) for name, answer in answers.items()}
        raise AssertionError(f"the methods give different states: {sizes}")
    return {name: median_ms(times) for name, times in take_turns(calls, ROUNDS).items()}


def measure_memory(question: str, folder: Path) -> dict[str, int]:
    """Peak memory of each method in MB, each in a process of its own."""
    peaks = {}
    for name in METHODS[question]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            peaks[name] = pool.submit(read_peak, question, name, folder).result()
    return peaks


def read_peak(question: str, name: str, folder: Path) -> int:
    """Call a method once, and read the peak memory of this process."""
    METHODS[question][name](folder)
    # Not from `getrusage`: there, the peak of the process that started this one counts, too.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1000


def report(
    medians: Mapping[str, Mapping[str, float]],
    peaks: Mapping[str, Mapping[str, int]],
    megabytes: Mapping[str, float],
) -> int:
    """Print the tables and the last line."""
    sizes = ", ".join(f"{name} {size:,.0f} MB" for name, size in megabytes.items())
    events = WORKSPACES * SCRIPTS * len(EVENTS_PER_SCRIPT)
    names = list(dict.fromkeys(name for methods in METHODS.values() for name in methods))
    print_table(
        f"{events:,} events of {WORKSPACES} workspaces ({sizes}): median ms, peak MB",
        ["", *(cell for question in medians for cell in (question, "MB"))],
        [
            [
                name,
                *(
                    cell
                    for q in medians
                    for cell in (medians[q].get(name, ""), peaks[q].get(name, ""))
                ),
            ]
            for name in names
        ],
    )
    held = {
        "one_workspace_10x_faster_than_jsonl": medians[ONE]["JSONL, json"]
        >= 10 * medians[ONE][LAKE],
        "as_of_10x_faster_than_jsonl": medians[AS_OF]["JSONL, json"] >= 10 * medians[AS_OF][LAKE],
    }
    figures = {"median_ms": medians, "peak_mb": peaks, "size_mb": megabytes}
    return finish("production_log", figures, held)


if __name__ == "__main__":
    sys.exit(main())
