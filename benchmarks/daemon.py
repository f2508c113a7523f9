"""Many workspaces under Dagster's daemon, from recordings.

Copies of the demo's workspace `tech`, each with its own scripts and videos, are put into an empty
data folder, and `ytap ui` is started. Its sensors and schedules register the workspaces, promote
the 14 scripts of each, collect the day and its metrics, and write the reports of both. The
benchmark only reads Dagster's runs and /proc. It ends when both were collected and no run was
active or started for 150 seconds. The last line is one JSON object.

    python benchmarks/daemon.py [WORKSPACES]

The time of a stage is from the creation of its first run, when the tick requests it, to the end of
its last run. The time until a tick (schedules tick every 10 minutes) is not included.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from _report import finish, print_table, temporary_folder
from fleet import ROOT, copy_workspaces

from ytap_assets.defs.launch import prepare_home
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_RECORDS, WORKSPACE_REPORTS

WORKSPACES = 40
PORT = 3917
LIMIT_S = 600
"""The most time for promoting every inbox, and for collecting and reporting every workspace."""
_QUIET_S, _GIVE_UP_S = 150, 5400
_STAGES = ("registries", "production", "collection", "metrics", "reports")


def main() -> int:
    """Start the daemon, watch it until it is idle, print a table and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # `make bench` gives every benchmark the folder of real data, which this one does not need.
    parser.add_argument("workspaces", nargs="?", default=str(WORKSPACES), metavar="WORKSPACES")
    given = parser.parse_args().workspaces
    count = int(given) if given.isdigit() else WORKSPACES
    with temporary_folder() as data:
        copy_workspaces(ROOT / "data", data, count)
        watched = watch(data)
        settings = Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"})
        with Lake.open(settings) as lake:
            reader = lake.cross_reader()
            records = reader.read_across(PRODUCTION_RECORDS, columns=["workspace_id", "state"])
            reports = reader.read_across(WORKSPACE_REPORTS, columns=["workspace_id", "day"])
    stages, processes = watched["stages"], watched["processes"]
    print_table(
        f"{count} workspaces under the daemon",
        ["stage", "runs", "failed", "wall s", "processor s"],
        [[name, one["runs"], one["failed"], one["wall_s"], ""] for name, one in stages.items()]
        + [["all", sum(one["runs"] for one in stages.values()), "", "", watched["cpu_s"]]],
    )
    states = dict(sorted(Counter(records["state"]).items()))
    print_table("Scripts", ["state", "scripts"], list(states.items()))
    complete = reports.unique()["workspace_id"].value_counts()
    figures = {
        "workspaces": count,
        **watched,
        "states": states,
        "reports": reports.height,
        "workspaces_with_reports": complete.height,
    }
    held = {
        f"every workspace has reports, at most {LIMIT_S} s after the tick": complete.height == count
        and watched["collecting_s"] <= LIMIT_S,
        f"and again at most {LIMIT_S} s after the metrics' tick": watched["metrics_s"] <= LIMIT_S,
        f"every inbox is promoted in at most {LIMIT_S} s": stages["production"]["wall_s"] <= LIMIT_S
        and records["workspace_id"].n_unique() == count,
    }
    print(
        f"\nfrom the tick to the last report: {watched['collecting_s']} s,"
        f" of the metrics {watched['metrics_s']} s"
    )
    print(f"processes: {processes}, peak memory {watched['peak_mb']} MB")
    return finish("daemon", figures, held)


def watch(data: Path) -> dict[str, Any]:
    """Run `ytap ui` on a data folder until it is idle, and return its cost."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "YTAP_DATA": str(data),
        "YTAP_TRANSPORT": "replay",
    }
    settings = Settings.from_env(environment)
    home = prepare_home(settings)
    command = [sys.executable, "-c", "from ytap_assets.cli import main; main()"]
    began = time.monotonic()
    with (data / "ui.log").open("w") as log:
        ui = subprocess.Popen(
            [*command, "ui", "--port", str(PORT)],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        seen: set[int] = set()
        peak_mb = cpu_s = 0.0
        try:
            with dg.DagsterInstance.from_config(str(home)) as instance:
                newest, quiet_since = 0, time.monotonic()
                while time.monotonic() - quiet_since < _QUIET_S:
                    time.sleep(2)
                    if ui.poll() is not None or time.monotonic() - began > _GIVE_UP_S:
                        raise SystemExit((data / "ui.log").read_text()[-4000:])
                    alive = list(list_session(ui.pid))
                    seen.update(pid for pid, _, _ in alive)
                    peak_mb = max(peak_mb, sum(mb for _, mb, _ in alive))
                    cpu_s = sum(seconds for _, _, seconds in alive)
                    records = instance.get_run_records()
                    is_active = any(not one.dagster_run.is_finished for one in records)
                    has_collected = {"collection", "metrics"} <= {
                        one.dagster_run.job_name for one in records
                    }
                    if is_active or len(records) != newest or not has_collected:
                        newest, quiet_since = len(records), time.monotonic()
        finally:
            os.killpg(ui.pid, signal.SIGINT)
            try:
                ui.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(ui.pid, signal.SIGKILL)
    return {
        **summarize(records),
        "cpu_s": round(cpu_s, 1),
        "processes": len(seen),
        "peak_mb": round(peak_mb),
    }


def list_session(session: int) -> Iterator[tuple[int, float, float]]:
    """Each process of a session: id, megabytes (PSS), and processor seconds with ended children."""
    ticks = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) != session:
                continue
            pss = re.search(r"(?m)^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text())
        except (OSError, IndexError):
            continue  # it has ended
        yield (
            int(folder.name),
            int(pss[1]) / 1024 if pss else 0.0,
            sum(map(int, fields[11:15])) / ticks,
        )


def summarize(records: Sequence[dg.RunRecord]) -> dict[str, Any]:
    """Runs, failures and seconds of each stage, and of both collections with their reports.

    Reports requested before the end of a run of the metrics count as those of the collection.
    """
    by_stage: dict[str, list[dg.RunRecord]] = defaultdict(list)
    for one in records:
        by_stage[one.dagster_run.job_name].append(one)

    def span(of: Sequence[dg.RunRecord]) -> float:
        began = min((one.create_timestamp.timestamp() for one in of), default=0.0)
        return round(max((one.end_time or 0.0 for one in of), default=0.0) - began, 1)

    metrics, reports = by_stage["metrics"], by_stage["reports"]
    first = min((one.end_time or 0.0 for one in metrics), default=0.0)
    later = [one for one in reports if one.create_timestamp.timestamp() > first > 0]
    earlier = [one for one in reports if one not in later]

    stages = {
        name: {
            "runs": len(by_stage[name]),
            "failed": sum(not one.dagster_run.is_success for one in by_stage[name]),
            "wall_s": span(by_stage[name]),
        }
        for name in _STAGES
    }
    return {
        "stages": stages,
        "collecting_s": span([*by_stage["collection"], *earlier]),
        "metrics_s": span([*metrics, *later]),
    }


if __name__ == "__main__":
    sys.exit(main())
