"""Schedules: whose clock shows the hour, and what is asked for then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.schedules import (
    daily_collection_schedule,
    days_to_collect,
    hourly_metrics_schedule,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.workspaces import Status, Workspace


def _workspace(
    workspace_id: str, timezone: str, *, collects: bool = True, status: Status = "active"
) -> Workspace:
    return Workspace(
        workspace_id=workspace_id,
        name=workspace_id,
        vertical="technology",
        timezone=timezone,
        status=status,
        data_collection_enabled=collects,
    )


def _tick(
    platform: Platform,
    instance: dg.DagsterInstance,
    schedule: dg.ScheduleDefinition,
    at: datetime,
) -> list[dg.RunRequest | dg.SkipReason]:
    context = dg.build_schedule_context(
        scheduled_execution_time=at, resources={"platform": platform}
    )
    with dg.partition_loading_context(dynamic_partitions_store=instance), context:
        asked = schedule(context)
        assert isinstance(asked, Iterator)
        return list(asked)


def _asked(found: list[dg.RunRequest | dg.SkipReason]) -> list[tuple[str | None, str | None]]:
    return [(one.run_key, one.partition_key) for one in found if isinstance(one, dg.RunRequest)]


def test_yesterday_is_asked_for_before_today_and_nothing_before_the_first_day() -> None:
    today = date(2026, 11, 20)

    assert days_to_collect(today, date(2015, 1, 1)) == [date(2026, 11, 19), today]
    assert days_to_collect(today, today) == [today]


def test_the_daily_tick_asks_for_yesterday_and_today_of_each_due_workspace(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)

    assert _asked(_tick(platform, instance, daily_collection_schedule, at)) == [
        ("finance 2026-11-19 2026-11-20T02", "2026-11-19|finance"),
        ("finance 2026-11-20 2026-11-20T02", "2026-11-20|finance"),
        ("tech 2026-11-19 2026-11-20T02", "2026-11-19|tech"),
        ("tech 2026-11-20 2026-11-20T02", "2026-11-20|tech"),
    ]


def test_no_day_before_the_first_partition_is_asked_for(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.settings = replace(platform.settings, first_day=date(2026, 11, 20))
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)

    found = _asked(_tick(platform, instance, daily_collection_schedule, at))

    assert [key for _, key in found] == ["2026-11-20|finance", "2026-11-20|tech"]


def test_a_daily_tick_at_another_hour_says_why_it_asks_for_nothing(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    at = datetime(2026, 11, 20, 3, tzinfo=UTC)

    (skipped,) = _tick(platform, instance, daily_collection_schedule, at)

    assert isinstance(skipped, dg.SkipReason)
    assert "02:00" in str(skipped.skip_message)


def test_the_hourly_tick_asks_for_everyone_who_collects(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.workspaces.save(_workspace("quiet", "UTC", collects=False))
    instance.add_dynamic_partitions("workspace", ["quiet"])
    at = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)

    assert _asked(_tick(platform, instance, hourly_metrics_schedule, at)) == [
        ("finance 2026-11-20 2026-11-20T09", "2026-11-20|finance"),
        ("tech 2026-11-20 2026-11-20T09", "2026-11-20|tech"),
    ]


def test_without_anyone_who_collects_the_hourly_tick_says_so(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    for workspace in platform.workspaces.readable()[0]:
        platform.workspaces.save(workspace.model_copy(update={"data_collection_enabled": False}))
    at = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)

    assert _tick(platform, instance, hourly_metrics_schedule, at) == [
        dg.SkipReason("no workspace collects")
    ]


@pytest.mark.parametrize("schedule", [daily_collection_schedule, hourly_metrics_schedule])
def test_a_config_that_cannot_be_read_costs_its_own_workspace_only(
    platform: Platform,
    instance: dg.DagsterInstance,
    capsys: pytest.CaptureFixture[str],
    schedule: dg.ScheduleDefinition,
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)

    found = _asked(_tick(platform, instance, schedule, at))

    assert {str(key).split("|")[1] for _, key in found} == {"tech"}
    assert "workspace 'finance' is left out: " in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")
@pytest.mark.parametrize("schedule", [daily_collection_schedule, hourly_metrics_schedule])
def test_a_workspace_without_a_partition_waits_for_it(
    platform: Platform,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    schedule: dg.ScheduleDefinition,
) -> None:
    platform.workspaces.save(_workspace("newest", "UTC"))

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("workspace", ["finance", "tech"])
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 20, 2, tzinfo=UTC),
            resources={"platform": platform},
            repository_def=build_definitions(platform=platform).get_repository_def(),
        )
        with context:
            found = schedule.evaluate_tick(context).run_requests

    assert {str(one.partition_key).split("|")[1] for one in found or []} == {"finance", "tech"}
    assert "no partition yet, so asked for next time: newest" in capsys.readouterr().err


def test_tried_without_an_instance_a_schedule_asks_for_everyone(platform: Platform) -> None:
    at = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)
    with dg.build_schedule_context(
        scheduled_execution_time=at, resources={"platform": platform}
    ) as context:
        asked = hourly_metrics_schedule(context)
        assert isinstance(asked, Iterator)
        keys = [key for _, key in _asked(list(asked))]

    assert keys == ["2026-11-20|finance", "2026-11-20|tech"]


def test_a_tick_that_is_made_up_for_after_midnight_asks_for_its_own_day(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    at = datetime(2026, 11, 19, 23, 5, tzinfo=UTC)

    found = _asked(_tick(platform, instance, hourly_metrics_schedule, at))

    assert [key for _, key in found] == ["2026-11-19|finance", "2026-11-19|tech"]
