"""Several worker hosts take a backfill: throughput, faults and failover.

A deployment is made on this machine (`_cluster`): PostgreSQL, S3 and Redis, the control programs of
`deploy/cluster`, and worker hosts with networks, names and data folders of their own. 40 workspaces
are collected for 30 days from recordings that answer after 50 ms, in runs that are launched through
the web server's API. The rows are compared with those of one process on a lake in files.

Workers have no workspaces of their own: they read those that were pushed into the lake.

- `throughput`: the same backfill with 1, 2 and 4 workers.
- `faults`: with 3 workers, one is killed and one cut off the network while they work.
- `failover`: with 2 workers, the web server, the daemon, a worker, the broker and the database are
  restarted, one after the other, while they work.

    python benchmarks/hosts.py [throughput] [faults] [failover] [--workspaces N] [--days N]

Without a name, all three. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import yaml
from _cluster import ROOT, Deployment, find_obstacle
from _report import finish, print_table, temporary_folder
from backfill import LAST, record_day

from ytap_assets.defs.assets import COLLECTION
from ytap_assets.defs.launch import materialize_range
from ytap_assets.defs.partitions import describe_run
from ytap_assets.defs.table_assets import batch_config
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources.http.recordings import append_recording, day_folder
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    TREND_STORIES,
    Table,
)

MODES = ("throughput", "faults", "failover")
WORKSPACES, DAYS = 40, 30
RUNS, LONG_RUNS, MANY_RUNS = 8, 4, 20
"""Into how many runs a backfill is cut: fewer where something fails in their middle, and more where
one failure follows another."""
WORKERS = (1, 2, 4)
_MADE = (RAW_TRENDS, COLLECTION_COVERAGE, TREND_STORIES, SCORED_TRENDS, SOURCE_PERFORMANCE)
_COMPARED = (*_MADE, COLLECTION_LOG, RAW_PAYLOADS, QUARANTINED_ROWS)
_BATCH = "benchmark/batch"
_FOLDER = r"/\S*/recordings/"
_GIVE_UP_S, _IDLE_S = 1200, 45
_BEGUN = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.QUEUED)
_SCHEDULES = ("collection_schedule", "metrics_schedule", "maintenance_schedule", "drill_schedule")
_SENSORS = ("report_after_success", "report_after_failure", "workspace_folders")


@dataclass(frozen=True)
class Backfill:
    """What is to be made.

    Attributes:
        names: The workspaces.
        days: The first and the last day.
    """

    names: Sequence[str]
    days: tuple[date, date]

    def make_workspaces(self, data: Path) -> None:
        """Fill a data folder: workspaces without scripts or videos."""
        demo = (ROOT / "data" / "workspaces" / "tech" / "config.yaml").read_text(encoding="utf-8")
        config = yaml.safe_load(demo)
        config["sources"] = {"hn": {"enabled": True, "min_points": 50}}
        config |= {"channels": [], "accounts": []}
        for number, name in enumerate(self.names):
            folder = data / "workspaces" / name
            folder.mkdir(parents=True)
            own = config | {"uid": f"01M6A6FT00{number:016d}"}
            (folder / "config.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")

    def make_recordings(self, data: Path) -> None:
        """Fill a data folder: a recording of each day."""
        for number in range((self.days[1] - self.days[0]).days + 1):
            day = self.days[0] + timedelta(number)
            append_recording(day_folder(data / "recordings", day), "hn", record_day(day))

    def cut(self, runs: int) -> list[list[Scope]]:
        """The slices of each of so many runs."""
        size = -(-len(self.names) // runs)
        parts = [Scope(name, *self.days) for name in self.names]
        return [parts[n : n + size] for n in range(0, len(parts), size)]

    def make_alone(self, folder: Path) -> dict[str, pl.DataFrame]:
        """The rows that one process makes on a lake in files."""
        self.make_workspaces(folder)
        self.make_recordings(folder)
        platform = Platform(
            Settings.from_env({"YTAP_DATA": str(folder), "YTAP_TRANSPORT": "replay"})
        )
        selection = " or ".join(f"key:{table.name}" for table in _MADE)
        outcomes = materialize_range(platform, selection, workspace_ids=self.names, days=self.days)
        if failed := [outcome.error for outcome in outcomes if not outcome.ok]:
            raise RuntimeError(failed[0])
        platform.lake.close()
        return read_rows(platform.settings)


def read_rows(settings: Settings) -> dict[str, pl.DataFrame]:
    """The rows of each compared table, in order, without what names a run or a snapshot."""
    with Lake.open(settings) as lake:
        reader = lake.cross_reader()
        return {table.name: _order(table, reader.read_across(table)) for table in _COMPARED}


def _order(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    if "detail" in rows.columns:  # names the folder of the recordings of a host
        rows = rows.with_columns(pl.col("detail").str.replace_all(_FOLDER, ""))
    columns = sorted(set(rows.columns) - {"run_id"})
    return rows.sort(list(table.key)).select(columns)


def compare(expected: Mapping[str, pl.DataFrame], found: Mapping[str, pl.DataFrame]) -> list[str]:
    """The tables whose rows differ, and how."""
    problems = []
    for name, rows in expected.items():
        other = found[name]
        if rows.height != other.height:
            problems.append(f"{name}: {other.height} rows instead of {rows.height}")
        elif not rows.equals(other):
            columns = [column for column in rows.columns if not rows[column].equals(other[column])]
            problems.append(f"{name}: other values of {', '.join(columns)}")
    return problems


class Load:
    """A backfill under way in a deployment."""

    def __init__(self, deployment: Deployment, backfill: Backfill, runs: int) -> None:
        """Launch its runs."""
        self._deployment = deployment
        self._batches = backfill.cut(runs)
        self.launched_again = 0
        self.began = self._worked_at = time.monotonic()
        self._instance = deployment.open_instance()
        for number in range(len(self._batches)):
            self._launch(number)

    def _launch(self, number: int) -> None:
        parts = self._batches[number]
        tags = describe_run(parts) | {_BATCH: str(number)}
        self._deployment.launch(COLLECTION.name, batch_config(COLLECTION, parts), tags)

    def list_begun(self) -> set[str]:
        """The ids of its runs that have begun, and perhaps ended."""
        waiting = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING)
        return {run.run_id for run in self.list_runs() if run.status not in waiting}

    def list_runs(self) -> list[dg.DagsterRun]:
        """Its runs, the newest first; those that were tried again are among them."""
        return [run for run in self._instance.get_runs() if _BATCH in run.tags]

    def find_hosts(self) -> dict[str, str]:
        """The host of each of its runs that are at work, by the run's id."""
        hosts = {}
        for one in self.list_runs():
            if one.status != dg.DagsterRunStatus.STARTED:
                continue
            kind = dg.DagsterEventType.ENGINE_EVENT
            for entry in self._instance.all_logs(one.run_id, of_type=kind):
                message = (entry.dagster_event and entry.dagster_event.message) or ""
                if message.startswith("Executed on "):
                    hosts[one.run_id] = message.removeprefix("Executed on ").rstrip(".")
        return hosts

    def has_begun_others(self, before: set[str]) -> bool:
        """Whether runs have begun since, or there is none left to begin."""
        return self.is_done() or not self.list_begun() <= before

    def is_done(self) -> bool:
        """Whether each batch has a run that succeeded.

        Where no run was at work for a while, those of the others are launched again, once. In a
        deployment the schedule does so, which is off here.

        Raises:
            RuntimeError: A batch has none even so.
        """
        runs = self.list_runs()
        made = {run.tags[_BATCH] for run in runs if run.status == dg.DagsterRunStatus.SUCCESS}
        if any(not run.is_finished for run in runs):
            self._worked_at = time.monotonic()
        if len(made) < len(self._batches) and time.monotonic() - self._worked_at > _IDLE_S:
            if self.launched_again:
                raise RuntimeError(f"batches without a run that succeeded: {self._explain(runs)}")
            for number in range(len(self._batches)):
                if str(number) not in made:
                    self._launch(number)
                    self.launched_again += 1
        return len(made) == len(self._batches)

    def _explain(self, runs: Sequence[dg.DagsterRun]) -> list[str]:
        """Why runs failed."""
        kind = dg.DagsterEventType.RUN_FAILURE
        return [
            str(entry.dagster_event and entry.dagster_event.message)
            for run in runs
            if run.status == dg.DagsterRunStatus.FAILURE
            for entry in self._instance.all_logs(run.run_id, of_type=kind)
        ]

    def wait_for(self, what: str, condition: Callable[[], bool]) -> float:
        """Wait; the seconds that it took.

        Raises:
            RuntimeError: It took too long.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > _GIVE_UP_S:
                runs = [
                    (run.run_id, run.status.value, run.tags[_BATCH]) for run in self.list_runs()
                ]
                raise RuntimeError(f"{what}: {runs}")
            time.sleep(0.5)
        return round(time.monotonic() - began, 1)

    def wait_for_work(self) -> dict[str, str]:
        """Wait until two hosts are at work; the ids of their runs, by host."""
        found: dict[str, str] = {}

        def are_at_work() -> bool:
            found.clear()
            found.update({host: one for one, host in self.find_hosts().items()})
            return len(found) > 1

        self.wait_for("runs on two hosts", are_at_work)
        time.sleep(1)
        return found

    def finish(self) -> dict[str, Any]:
        """Wait for its end.

        Returns:
            Seconds, the number of runs in each status, and why others than the last ones failed.
        """
        self.wait_for("the end of the backfill", self.is_done)
        seconds = round(time.monotonic() - self.began, 1)
        self.wait_for(
            "the end of all runs", lambda: not any(run.status in _BEGUN for run in self.list_runs())
        )
        runs = self.list_runs()
        statuses = [run.status.value for run in runs]
        reasons = self._explain(runs)
        self._instance.dispose()
        return {
            "seconds": seconds,
            "runs": {status: statuses.count(status) for status in sorted(set(statuses))},
            "failures": reasons,
        }


@contextlib.contextmanager
def deploy(backfill: Backfill, folder: Path, workers: int) -> Iterator[Deployment]:
    """A deployment whose schedules and reports are off, so that only the backfill writes."""
    with Deployment(folder, backfill.make_workspaces, backfill.make_recordings) as deployment:
        deployment.stop_automation("schedule", *_SCHEDULES)
        deployment.stop_automation("sensor", *_SENSORS)
        for _ in range(workers):
            deployment.add_host()
        yield deployment


def check(deployment: Deployment, expected: Mapping[str, pl.DataFrame]) -> list[str]:
    """How the rows of a deployment's lake differ from the expected ones."""
    environment = deployment.environment(deployment.folder / "control")
    os.environ.update({name: environment[name] for name in environment if name.startswith("AWS_")})
    problems = compare(expected, read_rows(Settings.from_env(environment)))
    for one in problems:
        print(f"  {one}")
    return problems


def measure_throughput(backfill: Backfill, expected: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """The backfill with each number of workers."""
    figures: dict[str, Any] = {}
    partitions = len(backfill.names) * ((backfill.days[1] - backfill.days[0]).days + 1)
    for workers in WORKERS:
        with temporary_folder() as folder, deploy(backfill, folder, workers) as deployment:
            done = Load(deployment, backfill, RUNS).finish()
            problems = check(deployment, expected)
        rate = round(partitions / done["seconds"], 1)
        figures[str(workers)] = {**done, "partitions_per_s": rate, "differences": problems}
        print(f"  {workers} workers: {done}", flush=True)
    rows = [[w, one["seconds"], one["partitions_per_s"]] for w, one in figures.items()]
    print_table("Throughput", ["workers", "s", "partitions/s"], rows)
    return figures


def try_faults(backfill: Backfill, expected: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Kill a worker host and cut another one off, while both work; it comes back later."""
    with temporary_folder() as folder, deploy(backfill, folder, 3) as deployment:
        load = Load(deployment, backfill, LONG_RUNS)
        at_work = load.wait_for_work()
        killed, cut = [host for host in deployment.hosts if host.name in at_work][:2]
        killed.kill()
        cut.set_link("down")
        lost = {at_work[killed.name], at_work[cut.name]}

        def is_noticed() -> bool:
            return lost <= {run.run_id for run in load.list_runs() if run.is_finished}

        noticed = load.wait_for("the lost runs are noticed", is_noticed)
        is_going_on = cut.executes(at_work[cut.name])
        cut.set_link("up")
        stopped = load.wait_for(
            "the run that was taken over stops", lambda: not cut.executes(at_work[cut.name])
        )
        done = load.finish()
        problems = check(deployment, expected)
    figures = {
        **done,
        "noticed_s": noticed,
        "was_going_on": is_going_on,
        "stopped_s": stopped,
        "differences": problems,
    }
    print(f"  {figures}", flush=True)
    return figures


def try_failover(backfill: Backfill, expected: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Kill and restart one part after the other while runs work; how long each took to recover."""
    recovery: dict[str, float] = {}
    queued: dict[str, int] = {}
    with temporary_folder() as folder, deploy(backfill, folder, 2) as deployment:
        load = Load(deployment, backfill, MANY_RUNS)
        load.wait_for_work()
        host = deployment.hosts[0]

        def restart_worker() -> None:
            host.kill()
            deployment.start_worker(host)

        def restart(name: str) -> None:
            deployment.stop(name, signal.SIGKILL)
            # Long enough that what needs it fails.
            time.sleep(10)
            deployment.start(name)

        parts: dict[str, Callable[[], None]] = {
            "webserver": partial(restart, "webserver"),
            "daemon": partial(restart, "daemon"),
            "worker": restart_worker,
            "broker": partial(restart, "broker"),
            "database": deployment.restart_postgres,
        }
        for name, act in parts.items():
            act()
            began, before = time.monotonic(), load.list_begun()
            queued[name] = MANY_RUNS - len(before)
            if name == "webserver":
                deployment.wait_for_webserver()
            else:
                load.wait_for("the next run begins", partial(load.has_begun_others, before))
            recovery[name] = round(time.monotonic() - began, 1)
        done = load.finish()
        problems = check(deployment, expected)
    figures = {
        **done,
        "recovery_s": recovery,
        "waiting_runs": queued,
        "launched_again": load.launched_again,
        "differences": problems,
    }
    print(f"  {figures}", flush=True)
    return figures


def main() -> int:
    """Try the named modes; print tables and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # `make bench` gives every benchmark the folder of real data, which this one does not need.
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--workspaces", type=int, default=WORKSPACES)
    parser.add_argument("--days", type=int, default=DAYS)
    given = parser.parse_args()
    if obstacle := find_obstacle():
        print(f"left out: {obstacle}")
        return finish("hosts", {"left_out": obstacle}, {})
    # Ended as by Ctrl-C, it still ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    names = [f"tech{number:03}" for number in range(given.workspaces)]
    backfill = Backfill(names, (LAST - timedelta(given.days - 1), LAST))
    with temporary_folder() as folder:
        began = time.monotonic()
        expected = backfill.make_alone(folder)
        alone = round(time.monotonic() - began, 1)
    sizes = {name: rows.height for name, rows in expected.items()}
    print(f"one process on a lake in files: {alone} s; rows: {sizes}", flush=True)
    try_mode = {
        "throughput": measure_throughput, "faults": try_faults, "failover": try_failover,
    }  # fmt: skip
    modes = [mode for mode in MODES if mode in given.modes] or list(MODES)
    figures: dict[str, Any] = {"alone_s": alone}
    held: dict[str, bool] = {}
    for mode in modes:
        print(f"{mode}:", flush=True)
        figures[mode] = try_mode[mode](backfill, expected)
        outcomes = figures[mode].values() if mode == "throughput" else [figures[mode]]
        held[f"{mode}: every row is there once"] = not any(one["differences"] for one in outcomes)
    return finish("hosts", figures, held)


if __name__ == "__main__":
    sys.exit(main())
