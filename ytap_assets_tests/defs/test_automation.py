"""Schedules and sensors: what a tick requests, in which runs, and what it says of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ytap_assets.defs.assets import (
    COLLECTION,
    METRICS,
    REGISTRIES,
    REPORTS,
    accounts,
    channels,
    workspaces,
)
from ytap_assets.defs.automation import (
    collection_schedule,
    find_wanted,
    report_after_failure,
    report_after_success,
)
from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.table_assets import Stage, batch_config
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import VIDEOS
from ytap_assets.workspaces import Account, Brand, Status, Workspace
from ytap_assets_tests.defs.inboxes import asked, put_script, tick
from ytap_assets_tests.operations.alone import publish_alone
from ytap_assets_tests.pushing import push

DAY = date(2026, 11, 20)
ONE_DAY = {"dagster/partition/workspace": "tech", "dagster/partition/day": "2026-11-20"}


def test_partitions_follow_the_folders(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.workspaces.save(Workspace(workspace_id="cooking", name="Cooking", vertical="food"))
    (platform.workspaces.folder("finance") / "config.yaml").unlink()

    changes = tick(platform, instance, "workspace_folders").dynamic_partitions_requests

    assert changes is not None
    assert {type(one).__name__: list(one.partition_keys) for one in changes} == {
        "AddDynamicPartitionsRequest": ["cooking"],
        "DeleteDynamicPartitionsRequest": ["finance"],
    }


def test_an_archived_workspace_loses_its_partition_and_gets_it_back(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def change(status: Status) -> dict[str, list[str]]:
        tech = platform.workspaces.get("tech")
        platform.workspaces.save(tech.model_copy(update={"status": status}))
        changes = tick(platform, instance, "workspace_folders").dynamic_partitions_requests
        return {type(one).__name__: list(one.partition_keys) for one in changes or []}

    assert change("archived") == {"DeleteDynamicPartitionsRequest": ["tech"]}
    instance.delete_dynamic_partition("workspace", "tech")
    assert change("archived") == {}
    assert change("active") == {"AddDynamicPartitionsRequest": ["tech"]}


def test_partitions_and_registries_follow_what_is_pushed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    worker = Platform(replace(platform.settings, workspace_source="lake"), now=platform.now)
    nothing = tick(worker, instance, "workspace_folders")
    push(platform)
    instance.delete_dynamic_partition("workspace", "tech")

    seen = tick(worker, instance, "workspace_folders")
    instance.add_dynamic_partitions("workspace", ["tech"])
    make_registries(worker, "finance", "tech")
    unchanged, cursor = request_registries(worker, instance)
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"name": "Technology"}))
    saved, cursor = request_registries(worker, instance, cursor)
    push(platform, "tech")
    pushed, _ = request_registries(worker, instance, cursor)
    worker.lake.close()

    assert not nothing.dynamic_partitions_requests  # as where no folder is mounted
    [added] = seen.dynamic_partitions_requests or []
    assert list(added.partition_keys) == ["tech"]
    assert (unchanged, saved, pushed) == ([], [], ["tech"])


def test_folders_that_are_as_they_were_change_nothing(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    first = tick(platform, instance, "workspace_folders")
    seen = tick(platform, instance, "workspace_folders", first.cursor)

    assert not seen.dynamic_partitions_requests
    assert not seen.run_requests
    assert isinstance(seen.skip_reason, dg.SkipReason)


def request_registries(
    platform: Platform, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[str], str | None]:
    """The workspaces that a tick requests registries for, and its cursor."""
    seen = tick(platform, instance, "workspace_folders", cursor)
    configs = [one.run_config["ops"]["make_registries"] for one in seen.run_requests or []]
    return [name for one in configs for name in one["config"]["workspaces"]], seen.cursor


def test_registries_are_read_again_for_the_configs_that_changed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    first, cursor = request_registries(platform, instance)
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"name": "Technology"}))
    second, cursor = request_registries(platform, instance, cursor)
    third, _ = request_registries(platform, instance, cursor)

    assert (first, second, third) == (["finance", "tech"], ["tech"], [])


def test_registries_that_agree_with_the_configs_are_not_made_again(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    make_registries(platform, "finance", "tech")

    unchanged, cursor = request_registries(platform, instance)
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"brand": Brand(banned_topics=("casinos",))}))
    elsewhere, cursor = request_registries(platform, instance, cursor)
    account = Account(platform="tiktok", handle="tech")
    platform.workspaces.save(tech.model_copy(update={"accounts": (account,)}))
    changed, _ = request_registries(platform, instance, cursor)

    assert (unchanged, elsewhere, changed) == ([], [], ["tech"])


def test_a_config_that_cannot_be_read_is_requested_so_that_its_run_says_why(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    make_registries(platform, "finance", "tech")
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")

    first, cursor = request_registries(platform, instance)

    assert first == ["finance"]
    assert request_registries(platform, instance, cursor)[0] == []


def test_a_change_during_a_run_is_requested_though_the_registries_agree(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    make_registries(platform, "finance", "tech")
    config = batch_config(REGISTRIES, [Scope("tech")])
    run = dg.DagsterRun(REGISTRIES.name, status=dg.DagsterRunStatus.STARTED, run_config=config)
    instance.add_run(run)

    assert request_registries(platform, instance)[0] == ["tech"]


def make_registries(platform: Platform, *names: str) -> None:
    batch, _ = platform.batch({name: [None] for name in names}, Run("run-1", "test", "register"))
    for make in (workspaces, channels, accounts):
        make(batch, {})


SCOPES = [Scope("finance", DAY, DAY), Scope("tech", DAY - timedelta(1), DAY)]


@pytest.mark.parametrize("sensor", [report_after_success, report_after_failure])
@pytest.mark.parametrize(
    ("tags", "run_config", "parts"),
    [
        ({}, batch_config(COLLECTION, SCOPES), SCOPES),
        (ONE_DAY, {}, [Scope("tech", DAY, DAY)]),
        ({"dagster/partition": "tech"}, {}, []),
        ({}, {}, []),
    ],
    ids=["a batch", "one day", "no day", "nothing"],
)
def test_reports_are_asked_for_after_a_collection_whichever_way_it_ended(
    instance: dg.DagsterInstance,
    sensor: dg.RunStatusSensorDefinition,
    tags: dict[str, str],
    run_config: dict[str, Any],
    parts: list[Scope],
) -> None:
    @dg.op(name="make_collection", config_schema=dict)
    def make() -> None:
        pass

    @dg.op
    def wait() -> None:
        pass

    @dg.job(name="collection")
    def collection() -> None:
        _ = make() if run_config else wait()

    ended = collection.execute_in_process(instance=instance, tags=tags, run_config=run_config)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_instance=instance,
        dagster_run=ended.dagster_run,
        dagster_event=ended.get_run_success_event(),
    )

    seen = sensor(context)
    if not parts:
        assert isinstance(seen, dg.SkipReason)
        return
    assert isinstance(seen, dg.RunRequest)
    assert seen.run_config == batch_config(REPORTS, parts)
    assert seen.run_key == ended.run_id


def test_reports_follow_the_daily_and_the_hourly_collection_by_themselves(
    platform: Platform,
) -> None:
    repository = build_definitions(platform=platform).get_repository_def()

    for sensor in (report_after_success, report_after_failure):
        found = repository.get_sensor_def(sensor.name)
        assert {job.name for job in found.jobs} == {"reports"}
        assert found.default_status == dg.DefaultSensorStatus.RUNNING


def test_a_renamed_folder_gets_no_partition_and_is_named(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    uid = "01M6A6FT007CVZTYRQDW4HP9SJ"
    platform.workspaces.save(Workspace(workspace_id="food", name="F", vertical="food", uid=uid))
    platform.slice("food", None, Run("run-1", "test", "enter"))
    platform.workspaces.folder("food").rename(platform.workspaces.folder("cooking"))

    cursor = tick(platform, instance, "workspace_folders").cursor
    for _ in range(2):
        seen = tick(platform, instance, "workspace_folders", cursor)
        assert not seen.dynamic_partitions_requests
        assert "'cooking' has the uid of workspace 'food'" in str(seen.skip_reason)


def test_a_folder_that_was_made_again_is_named_by_every_tick_and_stops_no_other(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    uid = "01M6A6FT007CVZTYRQDW4HP9SJ"
    finance = platform.workspaces.get("finance")
    platform.workspaces.save(finance.model_copy(update={"uid": uid}))
    platform.slice("finance", None, Run("run-1", "test", "enter"))
    platform.workspaces.save(finance.model_copy(update={"uid": f"{uid[:-1]}0"}))
    put_script(platform, "finance", "one")

    idle = tick(platform, instance, "submit_scripts")
    again = tick(platform, instance, "submit_scripts", idle.cursor)
    put_script(platform, "tech", "two")
    busy = tick(platform, instance, "submit_scripts", again.cursor)

    for seen in (idle, again):
        assert not seen.run_requests
        assert f"belong to the uid {uid}" in str(seen.skip_reason)
    assert asked(busy) == ["tech"]


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
    assert "workspace 'finance' is skipped: " in logged
    assert "no partition yet, requested at the next evaluation: newest" in logged
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
    publish_alone(slice_, VIDEOS, VIDEOS.frame([row]))

    assert wanted(platform, instance, METRICS) == {("tech", TODAY)}
