"""The tracked recordings: complete, reproducible, and in step with the demo workspaces.

A source that the script does not generate may have recordings of some of the days.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.settings import Settings
from ytap_assets.sources.collect import collect_video_metrics, open_session
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, RAW_TRENDS, VIDEO_METRICS
from ytap_assets.workspaces import Workspace, Workspaces
from ytap_assets_tests.sources.support import check_conservation, replay, run

PROJECT = Path(__file__).parents[2]
REPLAY = Settings.from_env({"YTAP_DATA": str(PROJECT / "data"), "YTAP_TRANSPORT": "replay"})
DAYS = [date(2026, 11, 16) + timedelta(days=number) for number in range(5)]
WORKSPACES = ["tech", "fitness", "finance"]
GENERATED = {"hn", "reddit", "youtube", "youtube_channel", "youtube_stats"}
MISHAPS = {
    ("finance", date(2026, 11, 18), "r/personalfinance"): "transient_error",
    ("fitness", date(2026, 11, 19), "UCw8LmZ2yHkR5sVtQbN3oDfA"): "transient_error",
}


def collect(workspace_id: str) -> list[Fetch]:
    workspace = Workspaces(REPLAY).get(workspace_id)
    return replay(workspace, DAYS, REPLAY)


def collect_generated(workspace_id: str) -> list[Fetch]:
    return [fetch for fetch in collect(workspace_id) if fetch.log["source"] in GENERATED]


async def replay_metrics(workspace: Workspace, video_ids: list[str], day: date) -> list[Fetch]:
    async with open_session(REPLAY) as session:
        return await collect_video_metrics(workspace, video_ids, day, session=session, run_id="run")


def read_files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.jsonl")}


def test_the_script_makes_the_tracked_files(tmp_path: Path) -> None:
    script = PROJECT / "scripts" / "make_recordings.py"
    env = {**os.environ, "YTAP_DATA": str(PROJECT / "data"), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, str(script), "--into", str(tmp_path)]
    other = tmp_path / DAYS[0].isoformat() / "lobsters.jsonl"
    other.parent.mkdir()
    other.write_bytes(b"{}\n")
    done = subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
    assert b"exchanges of 5 days" in done.stdout
    assert other.read_bytes() == b"{}\n"  # recordings of other sources are left in place
    other.unlink()
    made, tracked = read_files(tmp_path), read_files(REPLAY.recordings)
    assert {Path(name).stem for name in made} == GENERATED
    assert made == {name: body for name, body in tracked.items() if Path(name).stem in GENERATED}
    assert len(made) == 24
    assert sum(map(len, made.values())) < 3_000_000


@pytest.mark.parametrize("workspace_id", WORKSPACES)
def test_every_request_of_the_demo_is_recorded(workspace_id: str) -> None:
    fetches = collect(workspace_id)
    assert {fetch.log["day"] for fetch in fetches} == set(DAYS)
    for fetch in fetches:
        log = COLLECTION_LOG.model.validate(COLLECTION_LOG.frame([fetch.log])).row(0, named=True)
        expected = {MISHAPS.get((workspace_id, log["day"], log["target"]), "ok")}
        if log["source"] not in GENERATED:
            expected |= {"not_recorded"}
        assert log["outcome"] in expected, log["detail"]
        RAW_TRENDS.model.validate(fetch.rows)
        check_conservation(fetch)
        observed = set(fetch.rows["observed_at"].dt.date())
        assert observed <= {log["day"]}


@pytest.mark.parametrize("workspace_id", WORKSPACES)
def test_a_replay_repeated_is_the_same_to_the_last_id(workspace_id: str) -> None:
    for one, two in zip(collect(workspace_id), collect(workspace_id), strict=True):
        assert one.log == two.log
        assert one.rows.equals(two.rows)
        assert one.quarantined.equals(two.quarantined)
        assert one.payloads.equals(two.payloads)


def test_the_demo_has_invalid_items_and_shared_stories() -> None:
    fetches = [fetch for workspace_id in WORKSPACES for fetch in collect_generated(workspace_id)]
    rows = pl.concat([fetch.rows for fetch in fetches])
    aside = Counter(reason for fetch in fetches for reason in fetch.quarantined["reason"].to_list())
    assert rows.select(RAW_TRENDS.key).is_unique().all()
    assert set(rows["source"]) == {"hn", "reddit", "youtube", "youtube_channel"}
    assert rows.height > 500
    assert set(aside) == {
        "title is missing",
        "null instead of an item",
        "created_utc is outside 2005 to now",
        "id is missing or not a video id",
    }
    # The same story in two sources, with two forms of its URL.
    told = rows.filter(pl.col("url").str.contains("one-file-catalog"))
    assert told["source"].n_unique() == 2
    assert told["url"].n_unique() == 2
    # A story that is observed on several days gains points.
    per_day = rows.filter(source="hn", item_id=told.filter(source="hn")["item_id"][0])
    assert per_day.sort("observed_at")["points"].is_sorted()
    assert per_day["day"].n_unique() >= 2


@pytest.mark.parametrize("workspace_id", WORKSPACES)
def test_the_counts_of_the_published_videos_grow(workspace_id: str) -> None:
    workspace = Workspaces(REPLAY).get(workspace_id)
    uploads = REPLAY.workspaces / workspace_id / "uploads.jsonl"
    lines = [json.loads(line) for line in uploads.read_text(encoding="utf-8").splitlines()]
    published = {
        line["video_id"]: datetime.fromisoformat(line["published_at"]).date()
        for line in lines
        if line["published_at"]
    }
    frames = []
    for day in DAYS:
        asked = [video_id for video_id, since in published.items() if since <= day]
        for fetch in run(replay_metrics(workspace, asked, day)):
            assert fetch.log["outcome"] == "ok", fetch.log["detail"]
            assert fetch.log["detail"] is None
            assert fetch.rows.height == len(asked)
            frames.append(VIDEO_METRICS.model.validate(fetch.rows))
    counts = pl.concat(frames).sort("video_id", "day")
    assert set(counts["video_id"]) == set(published)
    assert set(counts["channel_id"]) == {channel.id for channel in workspace.channels}
    assert counts.filter(pl.col("views").diff().over("video_id") < 0).is_empty()


@pytest.mark.parametrize("asked", [["ytapDemo002"], ["ytapDemo004", "ytapDemo901", "ytapDemo001"]])
def test_any_list_of_videos_is_replayed(asked: list[str]) -> None:
    workspace = Workspaces(REPLAY).get("tech")
    known = [video_id for video_id in asked if video_id != "ytapDemo901"]
    fetches = run(replay_metrics(workspace, asked, DAYS[-1]))
    assert fetches[0].log["outcome"] == "ok"
    assert sorted(fetches[0].rows["video_id"]) == sorted(known)
    assert [fetch.log["outcome"] for fetch in fetches[1:]] == ["not_recorded"] * (
        len(asked) - len(known)
    )
