"""Schedules: what a tick requests, in which runs, and what it says of the workspaces left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ytap_assets.defs.assets import COLLECTION, METRICS
from ytap_assets.defs.automation import collection_schedule, find_wanted
from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.table_assets import Stage, batch_config
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform, publish_slice
from ytap_assets.tables import VIDEOS
from ytap_assets.workspaces import Workspace

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TODAY = "2026-11-20"


def wanted(
    platform: Platform,
    instance: dg.DagsterInstance,
    stage: Stage = COLLECTION,
    at: datetime = NOW,
) -> set[tuple[str, str]]:
    """The workspaces and days that a tick requests."""
    found = find_wanted(platform, instance, stage, at)
    return {(name, str(day)) for name, day in {*found.due, *found.failed}}


def evaluate(
    platform: Platform, instance: dg.DagsterInstance
) -> tuple[list[dict[str, Any]], str | None]:
    """The configs of the runs that the daemon would start, and why there are none."""
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=NOW,
        resources={"platform": platform},
        repository_def=build_definitions(platform=platform).get_repository_def(),
    )
    with context:
        seen = collection_schedule.evaluate_tick(context)
    configs = [
        one.run_config["ops"]["make_collection"]["config"] for one in seen.run_requests or []
    ]
    return configs, seen.skip_message


def add_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, days: dict[str, list[str]]
) -> None:
    """A run of the collection that covered these days; where it failed, it failed for them."""
    parts = [
        Scope(name, date.fromisoformat(day), date.fromisoformat(day))
        for name, own in days.items()
        for day in own
    ]
    config = batch_config(COLLECTION, parts)
    run = dg.DagsterRun(COLLECTION.name, status=status, run_config=config)
    instance.add_run(run)


def test_everyone_who_collects_is_in_one_run_that_asks_for_what_is_due(
    platform: Platform, tmp_path: Path
) -> None:
    quiet = Workspace(
        workspace_id="quiet", name="Quiet", vertical="none", data_collection_enabled=False
    )
    platform.workspaces.save(quiet)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("workspace", ["finance", "quiet", "tech"])

        [config], _ = evaluate(platform, instance)
        platform.settings = replace(platform.settings, batch_workspaces=1)
        apart, _ = evaluate(platform, instance)

    assert config["workspaces"] == {"finance": [TODAY], "tech": [TODAY]}
    assert config["options"] == {"targets": "due"}
    assert [list(one["workspaces"]) for one in apart] == [["finance"], ["tech"]]


def test_a_config_that_cannot_be_read_and_a_folder_without_a_partition_stop_no_other(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")
    platform.workspaces.save(Workspace(workspace_id="newest", name="Newest", vertical="news"))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("workspace", ["finance", "tech"])

        [config], _ = evaluate(platform, instance)
        logged = capsys.readouterr().err
        platform.workspaces.folder("tech").rename(tmp_path / "away")
        none, reason = evaluate(platform, instance)

    assert list(config["workspaces"]) == ["tech"]
    assert "workspace 'finance' is left out: " in logged
    assert "no partition yet, so asked for next time: newest" in logged
    assert none == []
    assert "finance: " in str(reason)


def test_what_is_queued_or_at_work_is_not_requested_again(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    add_run(instance, dg.DagsterRunStatus.STARTED, {"tech": [TODAY]})
    assert wanted(platform, instance) == {("finance", TODAY)}

    add_run(instance, dg.DagsterRunStatus.NOT_STARTED, {"finance": [TODAY]})
    assert wanted(platform, instance) == set()


def test_what_failed_is_requested_again_after_a_wait(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    old = ("tech", "2026-11-18")  # nothing of this day is due by itself
    add_run(instance, dg.DagsterRunStatus.FAILURE, {"tech": [old[1]]})
    now = datetime.now(UTC)  # when runs end is Dagster's clock

    assert old not in wanted(platform, instance, at=now + timedelta(minutes=1))
    assert old in wanted(platform, instance, at=now + timedelta(minutes=6))
    later = find_wanted(platform, instance, COLLECTION, now + timedelta(minutes=6))
    assert [(name, str(day)) for name, day in later.failed] == [old]


def test_a_day_whose_run_failed_before_anything_was_logged_waits_too(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.now = lambda: datetime.now(UTC)
    today = str(platform.now().date())
    assert ("tech", today) in wanted(platform, instance, at=platform.now())

    add_run(instance, dg.DagsterRunStatus.FAILURE, {"tech": [today]})

    assert ("tech", today) not in wanted(platform, instance, at=platform.now())


def test_metrics_are_requested_where_videos_are_out(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    assert wanted(platform, instance, METRICS) == set()
    row = {
        "workspace_id": "tech",
        "script_id": "one",
        "video_id": "ytapDemo001",
        "title": "One",
        "published_at": NOW - timedelta(hours=2),
    }
    slice_ = platform.slice("tech", None, Run("run-1", "test", "publish"))
    publish_slice(slice_, VIDEOS, VIDEOS.frame([row]))

    assert wanted(platform, instance, METRICS) == {("tech", TODAY)}
