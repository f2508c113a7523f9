"""The cost of promoting scripts: an inbox of 150,000 lines, and 250 inboxes with 14 scripts each.

The large inbox contains scripts that were submitted and cancelled long ago, so a run finds nothing
new. The small inboxes contain scripts that pass all five promotions, each with its video and its
upload, in one run for each 50 workspaces. Then the same workspaces are examined with nothing new,
by a run and by the five sensors' shared preview. Figures are processor time of this process.

    python benchmarks/production.py [DATA_FOLDER]

The data folder is not used: the files are synthetic.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

from _report import finish, print_table, read_arguments, temporary_folder

from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.due import Previews
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.operations.production import advance
from ytap_assets.operations.records import fold_records, list_videos
from ytap_assets.settings import Settings
from ytap_assets.workspaces import Approval, Workspace

LINES = 150_000
WORKSPACES = 250
SCRIPTS = 14
BATCH = 50
REPEATS = 3
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
POLICY = Approval(scripts="policy", videos="policy")
LARGE_LIMIT_S = 0.2
TICK_LIMIT_S = 1.0
_RUN = Run("benchmark", "benchmark", "promote")


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    with temporary_folder() as folder:
        large = measure_large(open_platform(folder / "large"))
        many = measure_many(open_platform(folder / "many"))
    print_table(
        "processor time",
        ["", "s"],
        [[name, round(value, 4)] for name, value in (large | many).items()],
    )
    held = {
        f"{LINES} lines with nothing new take at most {LARGE_LIMIT_S} s": (
            large["large: production_events with nothing new"] <= LARGE_LIMIT_S
        ),
        f"five ticks over {WORKSPACES} unchanged workspaces take at most {TICK_LIMIT_S} s": (
            many["many: five ticks with nothing new"] <= TICK_LIMIT_S
        ),
    }
    return finish("production", {"seconds": large | many}, held)


def open_platform(folder: Path) -> Platform:
    """An installation with a fixed clock."""
    folder.mkdir()
    settings = Settings.from_env({"YTAP_DATA": str(folder), "YTAP_TRANSPORT": "replay"})
    return Platform(settings, now=lambda: NOW)


def script_line(name: str, workspace_id: str) -> str:
    """A valid script, as a line of the inbox."""
    content = {
        "script_id": name,
        "title": f"About {workspace_id} {name}",
        "hook": "Did you know?",
        "body": f"Something worth knowing about {workspace_id} {name}.",
        "generation_method": "stock",
        "estimated_cost_usd": 1.25,
        "created_at": "2026-11-19T08:00:00Z",
    }
    return json.dumps(content) + "\n"


def measure_large(platform: Platform) -> dict[str, float]:
    """Seconds of the first run over a large inbox, and of a run with nothing new."""
    platform.workspaces.save(Workspace(workspace_id="large", name="L", vertical="any"))
    folder = platform.workspaces.folder("large")
    names = [f"s{number}" for number in range(LINES)]
    cancel = {"act": "cancel", "actor": "Ada", "at": "2026-11-20T09:00:00Z"}
    with (folder / "scripts.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(script_line(name, "large") for name in names)
    with (folder / "approvals.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"script_id": name, **cancel}) + "\n" for name in names)
    with platform.lake:
        first, rows = run_batches(platform, ["large"])
        if rows != 2 * LINES:
            raise AssertionError(f"{rows} events of {LINES} scripts")
        events = min(promote(platform, "large") for _ in range(REPEATS))
        again = min(run_batches(platform, ["large"])[0] for _ in range(REPEATS))
    return {
        "large: the first run": first,
        "large: production_events with nothing new": events,
        "large: a run with nothing new": again,
    }


def promote(platform: Platform, name: str) -> float:
    """Processor seconds of the promotions of one workspace."""
    batch, _ = platform.batch({name: [None]}, _RUN)
    began = process_time()
    advance(batch, "all")
    return process_time() - began


def measure_many(platform: Platform) -> dict[str, float]:
    """Seconds of a run of every promotion, of one with nothing new, and of five ticks."""
    names = [f"w{number:03}" for number in range(WORKSPACES)]
    for name in names:
        platform.workspaces.save(
            Workspace(workspace_id=name, name=name, vertical="any", approval=POLICY)
        )
        fill(platform.workspaces.folder(name), name)
    with platform.lake:
        first, rows = run_batches(platform, names)
        if rows != WORKSPACES * SCRIPTS * 7:  # five moves and two approvals each
            raise AssertionError(f"{rows} events of {WORKSPACES * SCRIPTS} scripts")
        again = min(run_batches(platform, names)[0] for _ in range(REPEATS))
        previews = Previews()
        began = process_time()
        previews.refresh(platform, names, lambda _: 0)
        preview = process_time() - began
        began = process_time()
        for _ in range(5):
            previews.refresh(platform, names, lambda _: 0)
        ticks = process_time() - began
    return {
        "many: a run of all promotions, per workspace": first / WORKSPACES,
        "many: a run with nothing new, per workspace": again / WORKSPACES,
        "many: a preview of all": preview,
        "many: five ticks with nothing new": ticks,
    }


def fill(folder: Path, workspace_id: str) -> None:
    """The scripts of one workspace, each with a finished video and an upload."""
    scripts, uploads = [], []
    for number in range(SCRIPTS):
        name = f"s{number}"
        video = f"{workspace_id} {number}".encode()
        checksum = hashlib.sha256(video).hexdigest()
        target = folder / "videos" / name
        target.mkdir(parents=True)
        (target / "video.mp4").write_bytes(video)
        manifest: dict[str, Any] = {
            "script_id": name,
            "files": [{"name": "video.mp4", "size_bytes": len(video), "sha256": checksum}],
            "cost_usd": 1.5,
            "quality_score": 91,
        }
        (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        scripts.append(script_line(name, workspace_id))
        line = {"script_id": name, "video_id": checksum[:11], "published_at": NOW.isoformat()}
        uploads.append(json.dumps(line) + "\n")
    (folder / "scripts.jsonl").write_text("".join(scripts), encoding="utf-8")
    (folder / "uploads.jsonl").write_text("".join(uploads), encoding="utf-8")


def run_batches(platform: Platform, names: list[str]) -> tuple[float, int]:
    """Processor seconds of production over workspaces, a batch at a time, and the events made."""
    began, rows = process_time(), 0
    for start in range(0, len(names), BATCH):
        batch, _ = platform.batch({name: [None] for name in names[start : start + BATCH]}, _RUN)
        made = advance(batch, "all")
        for results in (made, fold_records(batch), list_videos(batch)):
            for one in results.values():
                if not isinstance(one, Written):
                    raise one
        rows += sum(one.rows for one in made.values() if isinstance(one, Written))
    return process_time() - began, rows


if __name__ == "__main__":
    sys.exit(main())
