"""When things happen by themselves. The rule is a pure function; the schedule is its shell."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from ytap_assets.defs.assets import COLLECTION, METRICS
from ytap_assets.defs.due_runs import request_runs
from ytap_assets.defs.jobs import DRILL, MAINTENANCE, STAGE_JOBS
from ytap_assets.defs.ready import ready_workspaces
from ytap_assets.operations.platform import Platform
from ytap_assets.workspaces import Workspace

DAILY_HOUR = 2
_ON = dg.DefaultScheduleStatus.RUNNING
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def due_daily(workspaces: Iterable[Workspace], tick: datetime) -> list[str]:
    """The workspaces that collect and whose local day begins to be collected in a tick's hour.

    Once per local date, whatever its clock does: see `daily_hour`.
    """
    hour = tick.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [
        workspace.workspace_id
        for workspace in workspaces
        if workspace.collects and _is_due(ZoneInfo(workspace.timezone), hour)
    ]


def daily_hour(zone: ZoneInfo, day: date) -> datetime:
    """The first whole UTC hour at or after 02:00 of a local date.

    02:00 is an instant on every date: where the clock shows it twice it is the first of the two,
    and where the clock leaps over it, the moment of the leap or shortly after.
    """
    two = datetime.combine(day, time(DAILY_HOUR), tzinfo=zone).astimezone(UTC)
    whole = two.replace(minute=0, second=0, microsecond=0)
    return whole if whole == two else whole + _HOUR


def days_to_collect(today: date, first_day: date) -> list[date]:
    """Yesterday, which is whole only now, and today, which most sources can only show as it is.

    Args:
        today: The UTC date.
        first_day: The first day there is a partition of; none before it is asked for.
    """
    return [day for day in (today - _DAY, today) if day >= first_day]


def build_schedules() -> list[dg.ScheduleDefinition]:
    """The daily and the hourly collection, the nightly maintenance, the weekly restore drill."""
    return [
        daily_collection_schedule,
        hourly_metrics_schedule,
        maintenance_schedule,
        drill_schedule,
    ]


@dg.schedule(
    job=STAGE_JOBS[COLLECTION.name],
    cron_schedule="0 * * * *",
    default_status=_ON,
    description=(
        "Collects and scores yesterday and today (UTC) at 02:00 in each workspace's timezone."
        " Yesterday is collected again because it is now complete. A source without history is"
        " logged as unrecoverable for yesterday."
    ),
)
def daily_collection_schedule(
    context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """At 02:00 in each workspace's timezone: collect and score yesterday and today."""
    tick = context.scheduled_execution_time
    due = due_daily(ready_workspaces(platform, context), tick)
    if not due:
        yield dg.SkipReason(
            f"it is {DAILY_HOUR:02}:00 in the timezone of no workspace that collects"
        )
    days = days_to_collect(_today(platform, tick), platform.day_range()[0])
    partitions = [(name, day) for name in due for day in days]
    yield from request_runs(
        COLLECTION, partitions, f"{tick:%Y-%m-%dT%H}", platform.settings.batch_workspaces
    )


@dg.schedule(
    job=STAGE_JOBS[METRICS.name],
    cron_schedule="5 * * * *",
    default_status=_ON,
    description="Collects the counts of every workspace's published videos every hour.",
)
def hourly_metrics_schedule(
    context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every hour: the counts of published videos."""
    due = [one.workspace_id for one in ready_workspaces(platform, context) if one.collects]
    if not due:
        yield dg.SkipReason("no workspace collects")
    tick = context.scheduled_execution_time
    partitions = [(name, _today(platform, tick)) for name in due]
    yield from request_runs(
        METRICS, partitions, f"{tick:%Y-%m-%dT%H}", platform.settings.batch_workspaces
    )


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


def _today(platform: Platform, tick: datetime) -> date:
    """The UTC date; a tick that is made up for after midnight asks for no day after its own."""
    return min(platform.now().date(), tick.astimezone(UTC).date())


def _is_due(zone: ZoneInfo, hour: datetime) -> bool:
    # The local date at 02:00 is that of the hour or the one before it, never one further away;
    # a date that a zone left out altogether has no 02:00 of its own.
    today = hour.astimezone(zone).date()
    return any(daily_hour(zone, day) == hour for day in (today - _DAY, today))
