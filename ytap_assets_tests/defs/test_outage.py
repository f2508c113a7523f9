"""Thirty hours without a daemon: what the schedules and sensors of the next ticks start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from ytap_assets.defs.build import build_definitions
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets_tests.operations.test_backfill import answer
from ytap_assets_tests.operations.test_due import (
    QUERYABLE,
    SNAPSHOT,
    at,
    open_live,
    outcomes,
    publish_videos,
)

SENSORS = ("workspace_folders", "retry_failures")
SCHEDULES = ("collection_schedule", "metrics_schedule")
MISSED = date(2026, 11, 17)


class Deployment:
    """The code location in one process: a tick evaluates its automations and makes their runs."""

    def __init__(
        self, platform: Platform, instance: dg.DagsterInstance, clock: list[datetime]
    ) -> None:
        self.platform = platform
        self.instance = instance
        self.clock = clock
        self.repository = build_definitions(platform=platform).get_repository_def()
        self.cursors: dict[str, str | None] = {}

    def tick(self, now: datetime) -> list[tuple[str, str]]:
        """Evaluate every automation at a time of this clock and of Dagster's.

        Returns:
            The job and the days of each run, in order.
        """
        self.clock[0] = now
        made = []
        with freeze_time(now):
            for automation in (*SENSORS, *SCHEDULES):
                for request in self._evaluate(automation, now):
                    made.append((request.job_name or "", request.tags.get("days", "")))
                    self.repository.get_job(request.job_name or "").execute_in_process(
                        instance=self.instance,
                        run_config=request.run_config,
                        tags=request.tags,
                        raise_on_error=False,
                    )
        return made

    def _evaluate(self, name: str, now: datetime) -> list[dg.RunRequest]:
        """What the daemon would start; it adds partitions as it does, too."""
        if name in SCHEDULES:
            schedule = self.repository.get_schedule_def(name)
            with dg.build_schedule_context(
                instance=self.instance,
                scheduled_execution_time=now,
                resources={"platform": self.platform},
                repository_def=self.repository,
            ) as context:
                return list(schedule.evaluate_tick(context).run_requests or [])
        sensor = self.repository.get_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            resources={"platform": self.platform},
            repository_def=self.repository,
        ) as seen:
            found = sensor.evaluate_tick(seen)
        self.cursors[name] = found.cursor
        for change in found.dynamic_partitions_requests or []:
            assert isinstance(change, dg.AddDynamicPartitionsRequest)
            self.instance.add_dynamic_partitions("workspace", list(change.partition_keys))
        return list(found.run_requests or [])


@pytest.fixture
def deployment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """A workspace that collects on a clock which the test moves."""
    clock = [at(16, 3, 0)]
    platform = open_live(settings, clock, [answer], monkeypatch)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, freeze_time(clock[0]):
        yield Deployment(platform, instance, clock)
    platform.lake.close()


def test_after_thirty_hours_the_next_tick_makes_up_for_what_can_be_had(
    deployment: Deployment,
) -> None:
    deployment.tick(at(16, 3))
    publish_videos(deployment.platform, at(15))
    deployment.tick(at(16, 21))

    back = deployment.tick(at(18, 3))
    again = deployment.tick(at(18, 3, 10))

    assert back == [
        ("collection", "2026-11-16..2026-11-18"),
        ("metrics", "2026-11-17..2026-11-18"),
    ]
    assert again == []
    found = outcomes(deployment.platform)
    for source, target in QUERYABLE:
        for day in (MISSED - timedelta(days=1), MISSED):
            assert found[day, source, target][-1] == "ok"
    for source, target in SNAPSHOT:
        assert found[MISSED, source, target] == ["unrecoverable"]
        assert found[MISSED + timedelta(days=1), source, target] == ["ok"]
    assert found[MISSED, "youtube_stats", "video000000"] == ["unrecoverable"]
