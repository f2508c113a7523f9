"""A day of many workspaces, from recordings, compared with an earlier commit.

Copies of the demo's workspace `tech`, each with its own scripts and videos, are collected,
promoted, ranked and reported for one day: every asset. Each commit runs in its own processes, in
turns with the other. The last line is one JSON object.

    python benchmarks/fleet.py [WORKSPACES] [--commit COMMIT] [--copies]

With `--copies` all workspaces have the same scripts and videos instead. Processor time is that of
the whole process, including its start. Commits to the lake are counted by its snapshots.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from _report import finish, print_table, temporary_folder

from ytap_assets.defs.launch import materialize_range
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import TABLES

ROOT = Path(__file__).parents[1]
BEFORE = "05a2b44"
DAY = date(2026, 11, 19)
FACTOR = 6
"""How many times the processor time of a workspace-day must be lower than at the earlier commit."""
WORKSPACES = 40


def main() -> int:
    """Measure both commits, print a table and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # `make bench` gives every benchmark the folder of real data, which this one does not need.
    parser.add_argument("workspaces", nargs="?", default=str(WORKSPACES), metavar="WORKSPACES")
    parser.add_argument(
        "--commit", default=BEFORE, help="The commit to compare this checkout with."
    )
    parser.add_argument(
        "--copies", action="store_true", help="Give all workspaces the same scripts and videos."
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    count = int(given.workspaces) if given.workspaces.isdigit() else WORKSPACES
    if given.child:
        print(json.dumps(collect_day(given.child, count)))
        return 0
    with temporary_folder() as folder:
        before = folder / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", before, given.commit], check=True)
        try:
            found = {
                name: measure(checkout, folder / "data", count, are_copies=given.copies)
                for name, checkout in {given.commit: before, "this checkout": ROOT}.items()
            }
        finally:
            subprocess.run([*git, "remove", "--force", before], check=True)
    old, new = found.values()
    ratio = old["cpu_s"] / new["cpu_s"]
    print_table(
        f"{count} workspaces{', exact copies' * given.copies}, one day, every asset",
        ["", "cpu s", "cpu s a workspace", "wall s", "runs", "commits", "peak MB", "rows"],
        [
            [
                name,
                f"{one['cpu_s']:.1f}",
                f"{one['cpu_s'] / count:.2f}",
                f"{one['wall_s']:.1f}",
                one["runs"],
                one["commits"],
                one["peak_mb"],
                one["rows"],
            ]
            for name, one in found.items()
        ],
    )
    held = {f"{FACTOR} x less processor time a workspace-day": ratio >= FACTOR}
    figures = {"workspaces": count, "copies": given.copies, "ratio": round(ratio, 2), **found}
    return finish("fleet", figures, held)


def measure(checkout: Path, data: Path, count: int, *, are_copies: bool) -> dict[str, Any]:
    """Run `collect_day` with the package of a checkout, in its own process."""
    shutil.rmtree(data, ignore_errors=True)
    copy_workspaces(checkout / "data", data, count, are_copies=are_copies)
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "PYTHONWARNINGS": "ignore",
        "YTAP_DATA": str(data),
        "YTAP_TRANSPORT": "replay",
    }
    command = [sys.executable, __file__, str(count), "--child", str(data)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def copy_workspaces(demo: Path, data: Path, count: int, *, are_copies: bool = False) -> None:
    """Copy the demo's recordings, and its workspace `tech` the given number of times.

    Each copy has its own uid and, unless they are exact copies, its own scripts and videos.
    """
    shutil.copytree(demo / "recordings", data / "recordings")
    names = [f"tech{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        folder = data / "workspaces" / name
        shutil.copytree(demo / "workspaces" / "tech", folder)
        config = (folder / "config.yaml").read_text(encoding="utf-8")
        config = re.sub(r"(?m)^uid:.*$", f'uid: "01M6A6FT00{number:016d}"', config)
        (folder / "config.yaml").write_text(config, encoding="utf-8")
        if not are_copies:
            make_own(folder, number)


def make_own(folder: Path, number: int) -> None:
    """Change a workspace's scripts and videos so that they are no copies of another's."""
    scripts = folder / "scripts.jsonl"
    lines = scripts.read_text(encoding="utf-8").replace('"title": "', f'"title": "{number} ')
    scripts.write_text(lines, encoding="utf-8")
    uploads = folder / "uploads.jsonl"
    text = uploads.read_text(encoding="utf-8")
    uploads.write_text(re.sub(r"ytap(?=Demo)", f"{number:04}", text), encoding="utf-8")
    for video in (folder / "videos").glob("*/video.mp4"):
        content = video.read_bytes() + str(number).encode()
        video.write_bytes(content)
        manifest = video.with_name("manifest.json")
        if not manifest.is_file():
            continue
        declared = json.loads(manifest.read_text(encoding="utf-8"))
        for file in declared["files"]:
            if file["name"] == video.name:
                file["size_bytes"] += len(str(number))
                file["sha256"] = hashlib.sha256(content).hexdigest()
        manifest.write_text(json.dumps(declared), encoding="utf-8")


def collect_day(data: Path, count: int) -> dict[str, Any]:
    """Make every asset of every workspace for one day, and return the cost."""
    platform = Platform.from_env()
    names = sorted(path.name for path in (data / "workspaces").iterdir())
    began = time.perf_counter()
    outcomes = materialize_range(platform, "*", workspace_ids=names, days=(DAY, DAY))
    wall = time.perf_counter() - began
    failed = [one for one in outcomes if not one.ok]
    if failed or len(names) != count:
        raise SystemExit(f"{len(failed)} of {len(outcomes)} runs failed: {failed[:1]}")
    reader = platform.lake.cross_reader()
    return {
        "cpu_s": round(time.process_time(), 2),
        "wall_s": round(wall, 2),
        "runs": len(outcomes),
        "commits": platform.lake.snapshots().height,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rows": sum(
            reader.read_across(table, columns=["workspace_id"]).height for table in TABLES.values()
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
