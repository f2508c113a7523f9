"""The demo's production files: they are what their maker makes, and the line settles as meant."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.domain.production.lines import usd_to_micros
from ytap_assets.domain.production.manifest import FileFact, VideoFolder
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.domain.production.records import fold_events, videos_from_records
from ytap_assets.domain.production.rules import Rules
from ytap_assets.workspaces import parse_workspace
from ytap_assets_tests.domain.production.worlds import (
    World,
    parse_decisions,
    parse_scripts,
    parse_uploads,
)

PROJECT = Path(__file__).parents[3]
WORKSPACES = PROJECT / "data" / "workspaces"
END_OF_RECORDINGS = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
SETTLED = {
    "tech": {
        "published": 5,
        "ready_for_publish": 1,
        "video_pending_review": 2,
        "ready_for_generation": 2,
        "script_pending_review": 3,
        "rejected": 1,
    },
    "fitness": {
        "published": 4,
        "ready_for_publish": 1,
        "video_pending_review": 1,
        "ready_for_generation": 2,
        "script_pending_review": 2,
    },
    "finance": {
        "published": 3,
        "video_pending_review": 1,
        "ready_for_generation": 1,
        "script_pending_review": 2,
        "cancelled": 1,
    },
}
HELD_BACK = {
    "tech": {
        "locked-phone-kit": ["banned_topic: the hook mentions 'jailbreak'"],
        "gpu-prices-four-months-on": [
            "topic: script who-kept-gpus-expensive has the same story: same page"
        ],
        "agents-benchmark-at-length": ["budget: $4.20 is over the budget of $3.00"],
        "router-firmware-line-by-line": [
            "manifest: the checksum of video.mp4 differs from the manifest"
        ],
        "chips-made-of-glass": ["quality: 78 is below 85"],
        "two-databases-one-tab": [
            "upload: video ytapDemo901 has no publication date yet; give published_at in"
            " uploads.jsonl, or wait for the channel's feed"
        ],
    },
    "fitness": {
        "the-week-before-the-beach": ["banned_topic: the body mentions 'crash diet'"],
        "mobility-that-stayed": ["schema: missing hook", "budget: the cost is unknown"],
        "training-with-a-newborn": ["manifest: captions.srt is missing"],
        "the-sandbag-gym": ["quality: 81 is below 85"],
    },
    "finance": {
        "rents-in-nine-cities-again": [
            "topic: script rents-in-nine-cities has the same story: same title"
        ],
        "when-pension-fees-triple": [
            "manifest: this video was in review before; waiting for a new one"
        ],
        "every-assumption-of-a-mortgage": ["budget: $3.40 is over the budget of $3.00"],
    },
}


def read_folder(folder: Path) -> VideoFolder:
    manifest = (folder / "manifest.json").read_bytes()
    found = {}
    for entry in json.loads(manifest)["files"]:
        path = folder / entry["name"]
        if path.is_file():
            content = path.read_bytes()
            found[entry["name"]] = FileFact(len(content), hashlib.sha256(content).hexdigest())
    return VideoFolder(manifest, found)


def demo_world(workspace_id: str) -> World:
    folder = WORKSPACES / workspace_id
    config = parse_workspace(workspace_id, (folder / "config.yaml").read_bytes(), origin="demo")
    return World(
        rules=Rules(
            script_approval=config.approval.scripts,
            video_approval=config.approval.videos,
            budget_usd_micros=usd_to_micros(config.budget.per_video_usd),
            banned_topics=config.brand.banned_topics,
        ),
        submissions=parse_scripts((folder / "scripts.jsonl").read_bytes()).rows,
        decisions=parse_decisions((folder / "approvals.jsonl").read_bytes()).rows,
        folders={path.name: read_folder(path) for path in (folder / "videos").iterdir()},
        uploads=parse_uploads((folder / "uploads.jsonl").read_bytes()).rows,
        now=END_OF_RECORDINGS,
    )


@pytest.mark.parametrize("workspace_id", list(SETTLED))
def test_the_demo_settles_in_all_states(workspace_id: str) -> None:
    world = demo_world(workspace_id)
    # Twice: a video that clear_videos sends back comes before review_videos again.
    for name in [*PROMOTIONS, *PROMOTIONS]:
        world.tick(name)
    assert not any(world.tick(name) for name in PROMOTIONS)
    records = fold_events(world.log)
    states = dict(records["state"].value_counts().iter_rows())
    assert states == SETTLED[workspace_id]
    held = records.filter(pl.col("failed_gates").list.len() > 0)
    assert dict(held.select("script_id", "failed_gates").iter_rows()) == HELD_BACK[workspace_id]
    by_date = world.log.sort("script_id", "seq").filter(pl.col("to_state").is_not_null())
    assert by_date.filter(
        pl.col("occurred_at").diff().over("script_id") <= pl.duration(seconds=0)
    ).is_empty()
    assert world.ignored() == {}


def test_the_demo_publishes_twelve_videos() -> None:
    videos = pl.concat([_published(workspace_id) for workspace_id in SETTLED])
    assert videos["video_id"].to_list() == [f"ytapDemo{number:03}" for number in range(1, 13)]
    assert videos["channel_id"].n_unique() == 3
    assert (
        videos["published_at"]
        .is_between(datetime(2026, 11, 17, tzinfo=UTC), END_OF_RECORDINGS)
        .all()
    )


def _published(workspace_id: str) -> pl.DataFrame:
    world = demo_world(workspace_id)
    world.settle()
    return videos_from_records(fold_events(world.log))


def test_one_line_of_the_demo_cannot_be_read() -> None:
    bad = {
        workspace_id: [
            line.line
            for line in parse_scripts(
                (WORKSPACES / workspace_id / "scripts.jsonl").read_bytes()
            ).bad
        ]
        for workspace_id in SETTLED
    }
    assert bad == {"tech": [15], "fitness": [], "finance": []}


def test_the_demo_files_are_what_their_maker_makes(tmp_path: Path) -> None:
    for workspace_id in SETTLED:
        folder = tmp_path / "workspaces" / workspace_id
        folder.mkdir(parents=True)
        shutil.copy(WORKSPACES / workspace_id / "config.yaml", folder)
    maker = PROJECT / "scripts" / "make_demo_scripts.py"
    subprocess.run([sys.executable, maker, "--data", tmp_path], check=True, capture_output=True)
    made = _contents(tmp_path / "workspaces")
    assert len(made) > 90
    assert {
        name: content for name, content in _contents(WORKSPACES).items() if name in made
    } == made


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
