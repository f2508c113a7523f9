"""When things happen by themselves. What is due is found by `operations.due`."""

from collections.abc import Iterator
from datetime import UTC

import dagster as dg

from ytap_assets.defs.assets import COLLECTION, DUE, METRICS, TARGETS
from ytap_assets.defs.due_runs import (
    Partition,
    find_failures,
    find_retries,
    list_active,
    read_past_runs,
    request_runs,
)
from ytap_assets.defs.jobs import DRILL, MAINTENANCE, STAGE_JOBS
from ytap_assets.defs.ready import with_partition
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
        "Every 10 minutes: collects and scores the days that are due. Today is due every 6 hours;"
        " yesterday once more after 02:00 in the workspace's timezone; an earlier day if a source"
        " can still answer for it, or once to record that it cannot."
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
    # Failures wait by the wall clock; days are due by the platform's, which stands under replay.
    tick = context.scheduled_execution_time.astimezone(UTC)
    runs = read_past_runs(context.instance, stage.name, tick)
    active = list_active(context.instance, stage.name)
    due = find_due(platform, platform.now(), in_progress=active, failed=find_failures(runs))
    for name, problem in due.problems.items():
        context.log.warning(f"workspace {name!r} is left out: {problem}")
    wanted = {*_partitions_of(due, stage), *find_retries(runs, tick)} - active
    names = set(with_partition(sorted({name for name, _ in wanted}), context))
    wanted = {one for one in wanted if one[0] in names}
    options = {TARGETS: DUE} if stage == COLLECTION else None
    most = platform.settings.batch_workspaces
    yield from request_runs(stage, wanted, f"{tick:%Y-%m-%dT%H:%M}", most, options)
    if not wanted:
        left_out = [f"{name}: {why}" for name, why in list(due.problems.items())[:_SHOWN]]
        yield dg.SkipReason("; ".join(["nothing is due", *left_out]))


def _partitions_of(due: Due, stage: Stage) -> set[Partition]:
    days_of = due.collections if stage == COLLECTION else due.metrics
    return {(name, day) for name, days in days_of.items() for day in days}
