"""A promotion is asked for until it has happened, whatever the evidence is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from ytap_assets.defs.build import build_definitions
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import production_inputs
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import QUARANTINED_ROWS
from ytap_assets.workspaces import Channel, Workspace
from ytap_assets_tests.defs.inboxes import (
    LATER,
    NOW,
    OWN_CHANNEL,
    VIDEO,
    asked,
    promote,
    put_manifest,
    put_script,
    put_upload,
    request_config,
    run_keys,
    see_on_channel,
    tick,
)
from ytap_assets_tests.promoting import stored_records


def test_a_script_in_the_inbox_is_asked_for(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")

    [request] = tick(platform, instance, "submit_scripts").run_requests or []

    assert request.partition_key is None
    assert request.run_config["ops"]["make_production"]["config"] == {
        "workspaces": {"tech": []},
        "tables": [],
        "options": {"promotion": "all"},
    }


def test_what_has_not_happened_is_asked_for_once_per_bucket(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")

    first = tick(platform, instance, "submit_scripts")
    again = tick(platform, instance, "submit_scripts", first.cursor)
    later = tick(platform, instance, "submit_scripts", again.cursor, at=LATER)
    promote(platform, "tech", "submit_scripts")
    done = tick(platform, instance, "submit_scripts", later.cursor, at=LATER)

    assert asked(first) == asked(later) == ["tech"]
    assert asked(again) == []
    assert run_keys(later) != run_keys(first)
    assert asked(done) == []


def test_another_promotion_has_another_run_key(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    one = tick(platform, instance, "submit_scripts")
    put_script(platform, "tech", "two")
    two = tick(platform, instance, "submit_scripts", one.cursor)

    assert run_keys(one) != run_keys(two)


def test_a_video_that_is_seen_on_its_channel_later_is_noticed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    channels = (Channel(id=OWN_CHANNEL),)
    workspace = platform.workspaces.get("tech").model_copy(update={"channels": channels})
    platform.workspaces.save(workspace)
    put_script(platform, "tech", "one")
    put_manifest(platform, "tech").write_bytes(VIDEO)
    put_upload(platform, "tech", None)
    promote(platform, "tech")
    before = tick(platform, instance, "confirm_publications")
    see_on_channel(platform, "tech")

    after = tick(platform, instance, "confirm_publications", before.cursor, at=LATER)

    assert asked(before) == []
    assert asked(after) == ["tech"]


def test_a_publishing_date_that_has_come_is_noticed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    put_manifest(platform, "tech").write_bytes(VIDEO)
    put_upload(platform, "tech", (NOW + timedelta(minutes=5)).isoformat())
    promote(platform, "tech")
    before = tick(platform, instance, "confirm_publications")
    platform.now = lambda: LATER

    after = tick(platform, instance, "confirm_publications", before.cursor, at=LATER)

    assert asked(before) == []
    assert asked(after) == ["tech"]


def test_a_video_that_is_completed_after_its_manifest_is_noticed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    video = put_manifest(platform, "tech")
    promote(platform, "tech")
    before = tick(platform, instance, "review_videos")
    video.write_bytes(VIDEO)

    after = tick(platform, instance, "review_videos", before.cursor, at=LATER)

    assert asked(before) == []
    assert asked(after) == ["tech"]


def test_a_tick_asks_for_a_video_without_reading_it(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_script(platform, "tech", "one")
    promote(platform, "tech")
    put_manifest(platform, "tech").write_bytes(VIDEO)

    def refuse(path: Path, stamp: str) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(production_inputs, "_hash", refuse)

    assert asked(tick(platform, instance, "review_videos")) == ["tech"]


def test_a_video_that_a_run_found_wanting_is_not_asked_for_until_it_changes(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    video = put_manifest(platform, "tech")
    video.write_bytes(b"moving_pictures")
    promote(platform, "tech", "submit_scripts")
    promote(platform, "tech", "start_generation")
    unseen = tick(platform, instance, "review_videos")
    promote(platform, "tech", "review_videos")

    judged = tick(platform, instance, "review_videos", unseen.cursor, at=LATER)
    video.write_bytes(VIDEO)
    fixed = tick(platform, instance, "review_videos", judged.cursor, at=LATER + timedelta(hours=1))

    assert asked(unseen) == asked(fixed) == ["tech"]
    assert asked(judged) == []


def test_a_new_line_after_the_last_look_is_noticed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    first = tick(platform, instance, "submit_scripts")
    put_script(platform, "finance", "two")

    second = tick(platform, instance, "submit_scripts", first.cursor)

    assert asked(second) == ["finance"]


def test_the_run_a_sensor_asks_for_makes_every_promotion(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    definitions = build_definitions(platform=platform)
    [request] = tick(platform, instance, "submit_scripts").run_requests or []

    done = definitions.resolve_job_def("production").execute_in_process(
        instance=instance, run_config=request.run_config
    )

    assert done.success
    slice_ = platform.slice("tech", None, Run("run-1", "test", "look"))
    assert stored_records(slice_)["state"].to_list() == ["ready_for_generation"]
    assert [asked(tick(platform, instance, name)) for name in PROMOTIONS] == [[]] * 5


def test_of_five_sensors_one_requests_the_run(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    put_script(platform, "tech", "one")
    promote(platform, "tech", "submit_scripts")
    put_script(platform, "tech", "two")

    first = {name: tick(platform, instance, name) for name in PROMOTIONS}
    again = {name: tick(platform, instance, name, first[name].cursor) for name in PROMOTIONS}
    later = tick(platform, instance, "start_generation", at=LATER)

    assert {name: asked(seen) for name, seen in first.items() if asked(seen)} == {
        "submit_scripts": ["tech"]
    }
    assert not any(map(asked, again.values()))
    assert asked(later) == ["tech"]  # where the first sensor is switched off


def test_a_tick_requests_a_run_for_each_batch_of_workspaces(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    small = Platform(replace(platform.settings, batch_workspaces=2), now=platform.now)
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        small.workspaces.save(Workspace(workspace_id=name, name=name, vertical="any"))
        put_script(small, name, "one")
    instance.add_dynamic_partitions("workspace", names)

    with small.lake:
        seen = tick(small, instance, "submit_scripts")

    requests = [list(request_config(one)) for one in seen.run_requests or []]
    assert requests == [["a", "b"], ["c", "d"], ["e"]]
    assert len(set(run_keys(seen))) == 3


def test_no_folder_at_all_deletes_no_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.settings.workspaces.rename(platform.settings.data / "unmounted")

    assert not tick(platform, instance, "workspace_folders").dynamic_partitions_requests


def test_a_line_that_cannot_be_read_is_a_reason_to_run_until_it_is_in_quarantine(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    approvals = platform.workspaces.folder("tech") / "approvals.jsonl"
    line = '{"script_id": "one", "act": "aprove", "actor": "Ada", "at": "2026-11-20T09:00:00Z"}\n'
    approvals.write_text(line, encoding="utf-8")

    first = tick(platform, instance, "submit_scripts")
    other = tick(platform, instance, "start_generation")
    promote(platform, "tech", "submit_scripts")
    done = tick(platform, instance, "submit_scripts", first.cursor)
    approvals.write_text(line + line.replace("one", "two"), encoding="utf-8")
    second = tick(platform, instance, "submit_scripts", done.cursor)

    assert (asked(first), asked(other), asked(done), asked(second)) == (["tech"], [], [], ["tech"])
    assert run_keys(first) != run_keys(second)
    [place, reason] = (
        platform.lake.reader("tech").read(QUARANTINED_ROWS).select("place", "reason").row(0)
    )
    assert (place, "'aprove' is not one of" in reason) == ("line 1", True)
