"""When things happen by themselves. What is due is found by `operations.due`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from ytap_assets.defs.assets import COLLECTION, DUE, METRICS, TARGETS
from ytap_assets.defs.due_runs import (
    Partition,
    find_failed,
    list_active,
    read_past_runs,
    request_runs,
    with_partition,
)
from ytap_assets.defs.jobs import DRILL, MAINTENANCE, STAGE_JOBS
from ytap_assets.defs.table_assets import Stage
from ytap_assets.operations.due import Due, find_due
from ytap_assets.operations.platform import Platform

_ON = dg.DefaultScheduleStatus.RUNNING
_SHOWN = 5


def build_schedules() -> list[dg.ScheduleDefinition]:
    """The collection, the metrics, the nightly maintenance, the weekly restore drill."""
    return [collection_schedule, metrics_schedule, maintenance_schedule, drill_schedule]


@dg.schedule(
    job=STAGE_JOBS[COLLECTION.name],
    cron_schedule="*/10 * * * *",
    default_status=_ON,
    description=(
        "Every 10 minutes: collects and scores the days that are due. Today is due once per"
        " collection interval (`YTAP_EVERY_HOURS`, 6 by default; a workspace may set"
        " `sources.every_hours`); yesterday once more after 02:00 in the workspace's timezone; an"
        " earlier day if a source can still return it, or once to record that it cannot."
    ),
)
def collection_schedule(
    context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every 10 minutes: the days of each workspace that are due, and those that failed."""
    yield from _request_due(context, platform, COLLECTION)


@dg.schedule(
    job=STAGE_JOBS[METRICS.name],
    cron_schedule="5-55/10 * * * *",
    default_status=_ON,
    description="Every 10 minutes: collects the counts of published videos that are an hour old.",
)
def metrics_schedule(
    context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every 10 minutes: the workspaces whose counts are an hour old, and those that failed."""
    yield from _request_due(context, platform, METRICS)


maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_schedule",
    job=MAINTENANCE,
    cron_schedule="30 3 * * *",
    default_status=_ON,
    description="Maintains the lake every night at 03:30 UTC.",
)

drill_schedule = dg.ScheduleDefinition(
    name="drill_schedule",
    job=DRILL,
    cron_schedule="30 5 * * 0",
    default_status=_ON,
    description="Restores the newest backup as a test every Sunday at 05:30 UTC.",
)


def _request_due(
    context: dg.ScheduleEvaluationContext, platform: Platform, stage: Stage
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Runs for what is due of a stage; the log names the workspaces that cannot be worked on."""
    tick = context.scheduled_execution_time.astimezone(UTC)
    wanted = find_wanted(platform, context.instance, stage, tick)
    for name, problem in wanted.problems.items():
        context.log.warning(f"workspace {name!r} is left out: {problem}")
    names = {name for name, _ in {*wanted.due, *wanted.failed}}
    ready = set(with_partition(sorted(names), context.instance, context.log))
    # Of what is due only the targets that are due are asked; what failed is made as a whole.
    options = {TARGETS: DUE} if stage == COLLECTION else None
    requests = [
        request
        for partitions, given in ((wanted.due, options), (wanted.failed, None))
        for request in request_runs(
            stage,
            {one for one in partitions if one[0] in ready},
            f"{tick:%Y-%m-%dT%H:%M}",
            platform.settings.batch_workspaces,
            given,
        )
    ]
    yield from requests
    if not requests:
        left_out = [f"{name}: {why}" for name, why in list(wanted.problems.items())[:_SHOWN]]
        yield dg.SkipReason("; ".join(["nothing is due", *left_out]))


@dataclass(frozen=True)
class Wanted:
    """What runs are requested for.

    Attributes:
        due: Partitions that are due.
        failed: Partitions whose newest run failed, and whose waiting time is over.
        problems: Why workspaces cannot be worked on.
    """

    due: set[Partition]
    failed: set[Partition]
    problems: dict[str, str]


def find_wanted(
    platform: Platform, instance: dg.DagsterInstance, stage: Stage, tick: datetime
) -> Wanted:
    """What is due of a stage, and what of it failed.

    Args:
        platform: The installation. Days are due by its clock, which is fixed under replay.
        instance: The instance with the runs.
        stage: What is collected.
        tick: The real time, by which failures wait.
    """
    failed = find_failed(read_past_runs(instance, stage, tick))
    active = list_active(instance, stage.name)
    at_work = {(name, day) for name, day in active if day is not None}
    due = find_due(platform, platform.now(), in_progress=at_work)
    return Wanted(
        due=_partitions_of(due, stage) - active - failed.keys(),
        failed={one for one, at in failed.items() if at <= tick} - active,
        problems=due.problems,
    )


def _partitions_of(due: Due, stage: Stage) -> set[Partition]:
    days_of = due.collections if stage == COLLECTION else due.metrics
    return {(name, day) for name, days in days_of.items() for day in days}
