"""What grows with the number of workspaces: a lake of 250, of 2,500 and of 25,000.

Two days of ``scored_trends`` with 20 rows per workspace are published in commits of 1,000
workspaces. Then single things are timed: a commit of one batch of workspaces, reads of one
workspace, of a batch and of all, attaching the lake, reading what the catalog refers to (which
backups and sweeps do), a backup, and maintenance. The catalog is a SQLite file, and a PostgreSQL
database if a server answers (`YTAP_TEST_POSTGRES`, or the one of this machine).

    python benchmarks/scale.py [DATA_FOLDER] [--workspaces 250,2500]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter

import psycopg2
from _report import finish, print_table, temporary_folder
from _rows import day_after, scored_trends

from ytap_assets.lakehouse.backup import back_up
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_batch
from ytap_assets.lakehouse.connection import attach, find_catalog
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings
from ytap_assets.tables import SCORED_TRENDS

SIZES = (250, 2_500, 25_000)
DAYS, PER_DAY, BATCH, FILL_BATCH = 2, 20, 50, 1_000
ROUNDS = 5
SERVER = os.environ.get("YTAP_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
_RUN = Run("benchmark", "benchmark", "measure growth")
_COLUMNS = ["workspace_id", "day", "position", "final_score"]


def main() -> int:
    """Measure, print a table for each catalog and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("--workspaces", default=",".join(map(str, SIZES)), metavar="N,N,...")
    sizes = [int(size) for size in parser.parse_args().workspaces.split(",")]
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for kind in ("sqlite", "postgres"):
        if kind == "postgres" and not _server_answers():
            print("no PostgreSQL server answers: skipped")
            continue
        measured: dict[str, dict[str, float]] = {}
        for size in sizes:
            with temporary_folder() as folder, place(kind, folder) as settings:
                measured[str(size)] = measure(settings, size, folder)
        figures[kind] = measured
        names = list(next(iter(measured.values())))
        print_table(
            f"{kind}: {DAYS} days x {PER_DAY} rows per workspace",
            ["workspaces", *measured],
            [[name, *(values[name] for values in measured.values())] for name in names],
        )
    return finish("scale", figures, {})


def measure(settings: Settings, size: int, folder: Path) -> dict[str, float]:
    """Fill a lake and time single things."""
    names = [f"channel-{number:05}" for number in range(size)]
    found: dict[str, float] = {}
    with Lake.create(settings) as lake:
        seconds = sum(
            _publish(lake, names[first : first + FILL_BATCH], day)
            for day in range(DAYS)
            for first in range(0, size, FILL_BATCH)
        )
        found["commit, ms per workspace-day"] = round(seconds / (size * DAYS) * 1000, 2)
        commits = [_publish(lake, names[:BATCH], DAYS + turn) for turn in range(ROUNDS)]
        found[f"commit of {BATCH} workspaces, ms"] = round(statistics.median(commits) * 1000, 1)
        for label, some in (("one workspace", names[7:8]), (f"{BATCH} workspaces", names[:BATCH])):
            reader = lake.batch_reader(some)
            found[f"read {label}, ms"] = _median(
                partial(reader.read, SCORED_TRENDS, columns=_COLUMNS)
            )
        found["read all, ms"] = _median(
            lambda: lake.cross_reader().read_newest(SCORED_TRENDS, columns=_COLUMNS)
        )
        found["facts of the catalog, ms"] = _median(find_catalog(settings).read_facts)
        files = find_catalog(settings).read_facts().files
        found["files"] = len(files)
        found["catalog, bytes per file"] = round(_size(settings) / len(files))
        found["Parquet, bytes per file"] = round(
            sum(file.size_bytes for file in files.values()) / len(files)
        )
        found["attach, ms"] = _median(lambda: attach(settings, read_only=True).close())
        began = perf_counter()
        back_up(settings, folder / "backup", datetime.now(UTC))
        found["backup, s"] = round(perf_counter() - began, 1)
        began = perf_counter()
        done = maintain(lake, datetime.now(UTC) + timedelta(minutes=1), _RUN)
        found["maintain, s"] = round(perf_counter() - began, 1)
        found["files after"] = done.files_after
        found["read all, maintained, ms"] = _median(
            lambda: lake.cross_reader().read_newest(SCORED_TRENDS, columns=_COLUMNS)
        )
    return found


def _publish(lake: Lake, names: list[str], day: int) -> float:
    """Publish a day of some workspaces; the seconds of the transaction."""
    frames = {
        Scope(name, day_after(day), day_after(day)): scored_trends(name, 1, PER_DAY, first=day)
        for name in names
    }
    checked = check_batch(SCORED_TRENDS, frames)
    parts = [part for part in checked.values() if isinstance(part, CheckedRows)]
    if len(parts) != len(names):
        raise AssertionError("rows were refused")
    began = perf_counter()
    with lake.write(_RUN) as transaction:
        transaction.publish_all(parts)
    return perf_counter() - began


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return round(statistics.median(times) * 1000, 1)


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Settings]:
    """Where there is no lake yet; of a database, nothing is left."""
    env = {"YTAP_DATA": str(folder / "data")}
    if kind == "sqlite":
        yield Settings.from_env(env)
        return
    name = f"ytap_scale_{os.getpid()}"
    _execute(f'CREATE DATABASE "{name}"')
    try:
        yield Settings.from_env(env | {"YTAP_CATALOG": SERVER.rpartition("/")[0] + f"/{name}"})
    finally:
        _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _size(settings: Settings) -> int:
    if settings.database is None:
        return settings.catalog.stat().st_size
    name = dict(settings.database.parameters)["dbname"]
    return int(str(_execute(f"SELECT pg_database_size('{name}')")[0][0]))


def _execute(statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(SERVER)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def _server_answers() -> bool:
    try:
        _execute("SELECT 1")
    except psycopg2.OperationalError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
