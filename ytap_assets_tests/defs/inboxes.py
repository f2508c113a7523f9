"""What is put in front of the promotion sensors, and what they say to it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from ytap_assets.defs.automation import (
    build_sensors,
)
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import RAW_TRENDS
from ytap_assets_tests.promoting import advance_one

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
CREATED = datetime(2026, 11, 19, 8, 0, tzinfo=UTC)
VIDEO_ID = "ytapDemo001"
OWN_CHANNEL = "UCkPc1TechDemoAb3dEfGh2A"
VIDEO = b"moving pictures"


def put_script(platform: Platform, workspace_id: str, script_id: str) -> None:
    line = {
        "script_id": script_id,
        "title": f"About {script_id}",
        "hook": "Did you know?",
        "body": "Something worth knowing.",
        "generation_method": "stock",
        "estimated_cost_usd": 1.25,
        "created_at": CREATED.isoformat(),
    }
    inbox = platform.workspaces.folder(workspace_id) / "scripts.jsonl"
    with inbox.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def put_upload(platform: Platform, workspace_id: str, published_at: str | None) -> None:
    line = {"script_id": "one", "video_id": VIDEO_ID, "published_at": published_at}
    log = platform.workspaces.folder(workspace_id) / "uploads.jsonl"
    log.write_text(json.dumps(line) + "\n", encoding="utf-8")


def put_manifest(platform: Platform, workspace_id: str) -> Path:
    """A manifest without its video; returns where the video belongs."""
    folder = platform.workspaces.folder(workspace_id) / "videos" / "one"
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(VIDEO).hexdigest()
    manifest = {
        "script_id": "one",
        "files": [{"name": "video.mp4", "size_bytes": len(VIDEO), "sha256": sha256}],
        "cost_usd": 1,
        "quality_score": 95,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder / "video.mp4"


def promote(platform: Platform, workspace_id: str, promotion: str = "all") -> None:
    advance_one(platform.slice(workspace_id, None, Run("run-1", "test", "promote")), promotion)


def see_on_channel(platform: Platform, workspace_id: str) -> None:
    row: dict[str, Any] = {
        "workspace_id": workspace_id,
        "day": NOW.date(),
        "source": "youtube_channel",
        "item_id": VIDEO_ID,
        "channel_id": OWN_CHANNEL,
        "observed_at": NOW,
        "published_at": NOW - timedelta(hours=1),
        "title": "One",
        "collection_id": "c1",
    }
    rows = check_rows(RAW_TRENDS, RAW_TRENDS.frame([row]), Scope(workspace_id))
    with platform.lake.write(Run("run-2", "test", "collect")) as transaction:
        transaction.append(rows)


def tick(
    platform: Platform,
    instance: dg.DagsterInstance,
    name: str,
    cursor: str | None = None,
    *,
    at: datetime = NOW,
) -> dg.SensorResult:
    [sensor] = [one for one in build_sensors(platform, lambda: at) if one.name == name]
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"platform": platform}
    ) as context:
        seen = sensor(context)
    assert isinstance(seen, dg.SensorResult)
    return seen


def asked(seen: dg.SensorResult) -> list[str]:
    """The workspaces of all requests, in order."""
    return [name for request in seen.run_requests or [] for name in request_config(request)]


def request_config(request: dg.RunRequest) -> dict[str, list[str]]:
    config: dict[str, list[str]] = request.run_config["ops"]["make_production"]["config"][
        "workspaces"
    ]
    return config


def run_keys(seen: dg.SensorResult) -> list[str | None]:
    return [request.run_key for request in seen.run_requests or []]
