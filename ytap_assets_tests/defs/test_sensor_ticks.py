"""One workspace costs a sensor's tick no other, and what has not changed costs it nothing."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ytap_assets.defs.assets import PRODUCTION
from ytap_assets.defs.automation import build_sensors, find_bucket
from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.table_assets import batch_config
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.inbox_files import Cursor, OpenedFile, open_inbox
from ytap_assets.operations.platform import Platform
from ytap_assets.workspaces import Workspace, Workspaces
from ytap_assets_tests.defs.inboxes import (
    NOW,
    asked,
    promote,
    put_script,
    tick,
)


@pytest.mark.parametrize("name", PROMOTIONS)
def test_without_evidence_nothing_is_promoted(
    platform: Platform, instance: dg.DagsterInstance, name: str
) -> None:
    seen = tick(platform, instance, name)

    assert seen.run_requests == []
    assert seen.skip_reason == dg.SkipReason("no script can be promoted")


@pytest.mark.parametrize("name", PROMOTIONS)
def test_a_tick_without_reasons_opens_no_storage_of_dagsters(platform: Platform, name: str) -> None:
    [sensor] = [one for one in build_sensors(platform, lambda: NOW) if one.name == name]
    with dg.build_sensor_context() as context:  # its instance would raise
        seen = sensor(context)

    assert isinstance(seen, dg.SensorResult)
    assert not seen.run_requests
    assert not sensor.required_resource_keys


def test_a_tick_without_news_reads_neither_log_nor_config(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_script(platform, "tech", "one")
    promote(platform, "tech")
    first = tick(platform, instance, "start_generation")
    for name in ("reader", "batch_reader", "cross_reader"):
        monkeypatch.delattr(Lake, name)
    for name in ("get", "read_config"):
        monkeypatch.delattr(Workspaces, name)

    again = [tick(platform, instance, name, first.cursor) for name in PROMOTIONS]

    assert [one.run_requests for one in again] == [[]] * 5


@pytest.mark.parametrize("name", PROMOTIONS)
def test_a_config_that_cannot_be_read_costs_its_own_workspace_only(
    platform: Platform, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")

    put_script(platform, "tech", "one")
    seen = tick(platform, instance, name)

    assert asked(seen) == (["tech"] if name == "submit_scripts" else [])
    assert "workspace 'finance' cannot be examined: ConfigError" in capsys.readouterr().err


def test_an_error_in_one_workspace_costs_that_one_only_and_is_tried_again(
    platform: Platform,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_script(platform, "finance", "one")
    put_script(platform, "tech", "one")

    def stumble(folder: Path, name: str, stored: Cursor | None = None) -> OpenedFile:
        if folder.name == "finance":
            raise OSError("the disk is gone")
        return open_inbox(folder, name, stored)

    with monkeypatch.context() as patched:
        patched.setattr("ytap_assets.operations.inboxes.open_inbox", stumble)
        seen = tick(platform, instance, "submit_scripts")

    assert asked(seen) == ["tech"]
    assert "'finance' cannot be examined: OSError: the disk" in capsys.readouterr().err
    assert asked(tick(platform, instance, "submit_scripts", seen.cursor)) == ["finance"]


def test_a_workspace_without_a_partition_waits_for_it(
    platform: Platform, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.workspaces.save(Workspace(workspace_id="newest", name="Newest", vertical="news"))
    put_script(platform, "newest", "one")
    put_script(platform, "tech", "one")

    first = tick(platform, instance, "submit_scripts")
    instance.add_dynamic_partitions("workspace", ["newest"])
    second = tick(platform, instance, "submit_scripts", first.cursor)

    assert asked(first) == ["tech"]
    assert "no partition yet, requested at the next evaluation: newest" in capsys.readouterr().err
    assert asked(second) == ["newest"]


def test_the_buckets_of_250_workspaces_begin_at_different_times() -> None:
    names = [f"w{number:03}" for number in range(250)]
    ticks = [NOW + timedelta(seconds=30 * n) for n in range(21)]
    buckets = [[find_bucket(name, at) for name in names] for at in ticks]

    changed = [
        sum(old != new for old, new in zip(before, after, strict=True))
        for before, after in itertools.pairwise(buckets)
    ]

    assert sum(changed) == 250
    assert max(changed) < 30


def test_an_archived_workspace_promotes_nothing(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    archived = platform.workspaces.get("tech").model_copy(update={"status": "archived"})
    platform.workspaces.save(archived)

    assert tick(platform, instance, "submit_scripts").run_requests == []


def test_the_ui_shows_each_workspaces_decisions_that_do_nothing(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    act = {"act": "cancel", "actor": "Ada", "at": "2026-11-20T09:00:00Z"}
    for workspace_id in ("finance", "tech"):
        line = json.dumps({"script_id": f"{workspace_id}-1"} | act)
        approvals = platform.workspaces.folder(workspace_id) / "approvals.jsonl"
        approvals.write_text(line + "\n", encoding="utf-8")
    definitions = build_definitions(platform=platform)

    scopes = [Scope("finance"), Scope("tech")]
    done = definitions.resolve_job_def("production").execute_in_process(
        instance=instance,
        run_config=batch_config(PRODUCTION, scopes, tables=["production_events"]),
    )

    entries = instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    key = dg.AssetKey("production_events")
    made = [one.asset_materialization for one in entries if one.asset_materialization]
    made = [one for one in made if one.asset_key == key]
    assert [one.partition for one in made] == ["finance", "tech"]
    for one in made:
        metadata: dict[str, Any] = {name: value.value for name, value in one.metadata.items()}
        assert metadata["ignored_decisions"] == 1
        [text] = metadata["ignored_decisions_reasons"]
        assert text.startswith(f"{one.partition}-1:")
