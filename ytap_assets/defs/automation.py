"""Schedules and sensors: what starts runs by itself.

A schedule requests what `operations.due` finds due, and what failed. A sensor reads a state, lets a
pure function decide, and requests runs:

- one per promotion: a script's evidence is there -> promote it
- workspaces were added, removed or archived -> the partitions follow
- a config changed, and a registry differs from it -> its registries
- a collection or metrics run ended, successful or failed -> the reports of its days
- partitions of registries or reports failed -> the same partitions again
- the process of a run was killed -> the run is marked as failed
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

import dagster as dg

from ytap_assets.defs.assets import (
    COLLECTION,
    DRILL,
    DUE,
    MAINTENANCE,
    METRICS,
    PRODUCTION,
    PROMOTION,
    REGISTRIES,
    REPORTS,
    STAGE_JOBS,
    TARGETS,
)
from ytap_assets.defs.liveness import fail_dead_runs
from ytap_assets.defs.partitions import (
    WORKSPACE,
    WORKSPACES,
    cut_batches,
    describe_run,
    find_changes,
)
from ytap_assets.defs.runs import (
    Partition,
    find_retries,
    find_scope,
    list_active,
    request_runs,
    with_partition,
)
from ytap_assets.defs.table_assets import Stage, batch_config
from ytap_assets.domain.production.promotions import PROMOTIONS, Promotion
from ytap_assets.errors import ConfigError, YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.due import Due, Previewed, Previews, find_due
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.registries import find_outdated
from ytap_assets.workspaces import Workspace

_ON = dg.DefaultSensorStatus.RUNNING
_SCHEDULED = dg.DefaultScheduleStatus.RUNNING
_SECONDS = 60
_REPORT_SECONDS = 15
_BUCKET_SECONDS = 600
_RETRY_SECONDS = 300
_SHOWN = 5
RETRIED = (REGISTRIES, REPORTS)
"""The stages whose failures are tried again here. Schedules see to those that are collected, and
the sensors of promotions to production."""
_PREVIEWS: WeakKeyDictionary[Platform, Previews] = WeakKeyDictionary()

Clock = Callable[[], datetime]


def read_clock() -> datetime:
    """The real time, in UTC: buckets pass under replay too, where the platform's clock stands."""
    return datetime.now(UTC)


def build_sensors(platform: Platform, clock: Clock = read_clock) -> list[dg.SensorDefinition]:
    """Every sensor of the code location; ``clock`` says which bucket it is."""
    return [
        *(promotion_sensor(promotion, platform, clock) for promotion in PROMOTIONS.values()),
        workspace_folders,
        retry_failures,
        report_after_success,
        report_after_failure,
        dead_runs,
    ]


def promotion_sensor(
    promotion: Promotion, platform: Platform, clock: Clock = read_clock
) -> dg.SensorDefinition:
    """The sensor of one promotion, over all workspaces that are not archived.

    A tick requests one run for each batch of workspaces where something can be promoted. The run
    makes every promotion until nothing moves. The five sensors of a process share one preview of
    each workspace (`Previews`), and of those that have a reason the first one requests the run.

    The cursor holds what was requested per workspace: the reasons and the time bucket. Whatever
    became of the run, the same reasons are requested once per bucket until they are gone.

    Dagster opens its storages again for every tick that uses a resource or the instance, which
    costs ten times as much as the rest of an idle tick. So the platform is no resource here, and
    the instance is used only if there is a reason for a run.
    """

    @dg.sensor(
        name=promotion.name,
        job=STAGE_JOBS[PRODUCTION.name],
        minimum_interval_seconds=_SECONDS,
        default_status=_ON,
        description=promotion.description,
    )
    def promote(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before: dict[str, str] = json.loads(context.cursor or "{}")
        now = clock()
        previews = _PREVIEWS.setdefault(platform, Previews())
        try:
            found = previews.refresh(
                platform, platform.workspaces.ids(), lambda name: find_bucket(name, now)
            )
        except YtapError as error:  # nothing can be decided on without the lake
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        failed = {name: one for name, one in found.items() if isinstance(one, Exception)}
        reasons = {
            name: own
            for name, one in found.items()
            if isinstance(one, Previewed) and (own := one.preview.reasons(promotion.name))
        }
        left_out = []
        for name, why in failed.items():
            words = f"workspace {name!r} cannot be examined: {type(why).__name__}: {why}"
            context.log.warning(words)
            left_out.append(words)
        keys = {name: before[name] for name in failed.keys() & before.keys()}
        due: dict[str, str] = {}
        ready = with_partition(reasons, context.instance, context.log) if reasons else []
        for name in ready:
            one = found[name]
            if isinstance(one, Previewed) and previews.claim(name, one.mark, promotion.name):
                keys[name] = name_reasons(reasons[name], find_bucket(name, now))
                if keys[name] != before.get(name):
                    due[name] = keys[name]
        batches = cut_batches(list(map(Scope, sorted(due))), platform.settings.batch_workspaces)
        requests = [request_promotions(promotion.name, scopes, due) for scopes in batches]
        idle = "; ".join(["no script can be promoted", *left_out[:_SHOWN]])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else idle,
            cursor=json.dumps(keys, sort_keys=True),
        )

    return promote


def find_bucket(workspace_id: str, now: datetime) -> int:
    """The number of the ten minutes an instant is in.

    Each workspace's buckets begin at another second, so that not all are looked at in one tick.
    """
    digest = hashlib.sha256(workspace_id.encode()).digest()
    offset = int.from_bytes(digest[:4], "big") % _BUCKET_SECONDS
    return (int(now.timestamp()) + offset) // _BUCKET_SECONDS


def name_reasons(reasons: Sequence[str], bucket: int) -> str:
    """Names the reasons for a run within a time bucket."""
    return f"{hashlib.sha256(' '.join(reasons).encode()).hexdigest()[:16]} {bucket}"


def request_promotions(
    promotion: str, scopes: Sequence[Scope], keys: Mapping[str, str]
) -> dg.RunRequest:
    """A run of all promotions for a batch of workspaces.

    Args:
        promotion: The promotion whose sensor requests it.
        scopes: The workspaces.
        keys: The reasons by workspace, as `name_reasons` names them.
    """
    named = " ".join(f"{one.workspace_id} {keys[one.workspace_id]}" for one in scopes)
    return dg.RunRequest(
        run_key=f"{promotion} {hashlib.sha256(named.encode()).hexdigest()[:32]}",
        tags=describe_run(scopes),
        run_config=batch_config(PRODUCTION, scopes, options={PROMOTION: ALL_PROMOTIONS}),
    )


@dg.sensor(
    job=STAGE_JOBS[REGISTRIES.name],
    minimum_interval_seconds=_SECONDS,
    default_status=_ON,
    description="Keeps one partition for each workspace that is not archived. Updates workspaces,"
    " channels and accounts when a changed config differs from them.",
)
def workspace_folders(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult:
    """Add partitions of new folders, delete those of folders that are gone or archived.

    A folder that another one was renamed to, or copied to, waits until that is resolved: its name
    gets no partition that runs could be asked for. The cursor holds a digest of every config that
    was compared with the registries.
    """
    known = context.instance.get_dynamic_partitions(WORKSPACE)
    try:
        added, gone, refused = find_changes(platform, known)
    except YtapError as error:  # without the lake nobody knows whose names they are
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    for name, why in refused.items():
        context.log.warning(f"no partition for {name!r}: {why}")
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(WORKSPACES.build_add_request(added))
    if gone:
        changes.append(WORKSPACES.build_delete_request(gone))
    before: dict[str, str] = json.loads(context.cursor or "{}")
    digests = _digest_configs(platform, sorted({*known, *added} - {*gone}))
    changed = [name for name, digest in digests.items() if before.get(name) != digest]
    try:
        outdated = _find_outdated(platform, context.instance, changed)
    except YtapError as error:
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    requests = request_runs(
        REGISTRIES,
        [(name, None) for name in outdated],
        " ".join(sorted(digests[name] for name in outdated)),
        platform.settings.batch_workspaces,
    )
    idle = "; ".join(["the folders have not changed", *list(refused.values())[:_SHOWN]])
    return dg.SensorResult(
        run_requests=list(requests),
        dynamic_partitions_requests=changes,
        skip_reason=None if changes or outdated else idle,
        cursor=json.dumps(digests, sort_keys=True),
    )


def _find_outdated(
    platform: Platform, instance: dg.DagsterInstance, changed: Collection[str]
) -> list[str]:
    """Of the workspaces whose config changed, those whose registries differ from it.

    Two more are among them: one whose config cannot be read, as its run fails and says why; and
    one with an active run, which may write what it read before the change.
    """
    if not changed:
        return []
    outdated = {name for name, _ in list_active(instance, REGISTRIES.name)} & set(changed)
    configs = platform.workspaces.get_all(changed)
    outdated |= {name for name, one in configs.items() if isinstance(one, ConfigError)}
    workspaces = [one for one in configs.values() if isinstance(one, Workspace)]
    reader = platform.lake.batch_reader([one.workspace_id for one in workspaces])
    return sorted(outdated | find_outdated(reader, workspaces, platform.now()))


def _digest_configs(platform: Platform, names: Sequence[str]) -> dict[str, str]:
    """A digest of each config's content, or of the fact that it cannot be read."""
    found = platform.workspaces.read_configs(names)
    contents = {name: one if isinstance(one, bytes) else b"" for name, one in found.items()}
    return {name: hashlib.sha256(content).hexdigest()[:16] for name, content in contents.items()}


@dg.sensor(
    jobs=[STAGE_JOBS[stage.name] for stage in RETRIED],
    minimum_interval_seconds=_RETRY_SECONDS,
    default_status=_ON,
    description="Requests failed partitions of registries and reports again: after 5 minutes, and"
    " after twice the time whenever they fail again, up to 6 hours.",
)
def retry_failures(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult:
    """Read the last runs, and request what failed in the newest run of it."""
    now = read_clock()
    requests: list[dg.RunRequest] = []
    for stage in RETRIED:
        failed = find_retries(context.instance, platform.workspaces, stage)
        failed = {one: at for one, at in failed.items() if at <= now}
        names = sorted({name for name, _ in failed})
        ready = set(with_partition(names, context.instance, context.log))
        due = [one for one in failed if one[0] in ready]
        tick = f"{now:%Y-%m-%dT%H:%M}"
        requests += request_runs(stage, due, tick, platform.settings.batch_workspaces)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "no failed partition is due"
    )


def request_reports(run: dg.DagsterRun) -> dg.RunRequest | dg.SkipReason:
    """A run for the reports of the days that a run was about."""
    parts = find_scope(run)
    if not parts:
        return dg.SkipReason("the run has neither a day nor a list of days")
    return dg.RunRequest(
        run_key=run.run_id, run_config=batch_config(REPORTS, parts), tags=describe_run(parts)
    )


_COLLECTIONS = [STAGE_JOBS[COLLECTION.name], STAGE_JOBS[METRICS.name]]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=_COLLECTIONS,
    request_job=STAGE_JOBS[REPORTS.name],
    # A tick handles one run, and a night of 250 workspaces has five of each job.
    minimum_interval_seconds=_REPORT_SECONDS,
    default_status=_ON,
    description="Writes the reports of the days of every collection and metrics run.",
)
def report_after_success(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """A run succeeded: write the reports of its days."""
    return request_reports(context.dagster_run)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    monitored_jobs=_COLLECTIONS,
    request_job=STAGE_JOBS[REPORTS.name],
    minimum_interval_seconds=_SECONDS,
    default_status=_ON,
    description="Writes the reports of the days of a failed collection or metrics run; they list"
    " what is missing.",
)
def report_after_failure(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """A run failed: write the reports of its days as well."""
    return request_reports(context.dagster_run)


@dg.sensor(
    minimum_interval_seconds=_SECONDS,
    default_status=_ON,
    description="Marks runs whose process was killed as failed, so that the queue is not blocked.",
)
def dead_runs(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SkipReason:
    """Mark killed runs of the command line as failed, every minute."""
    dead = fail_dead_runs(context.instance, platform.settings.dagster_home, daemons_too=False)
    return dg.SkipReason(
        f"marked as failed: {', '.join(dead)}" if dead else "every run has a live process"
    )


def build_schedules() -> list[dg.ScheduleDefinition]:
    """The collection, the metrics, the nightly maintenance, the weekly restore drill."""
    return [collection_schedule, metrics_schedule, maintenance_schedule, drill_schedule]


@dg.schedule(
    job=STAGE_JOBS[COLLECTION.name],
    cron_schedule="*/10 * * * *",
    default_status=_SCHEDULED,
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
    default_status=_SCHEDULED,
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
    default_status=_SCHEDULED,
    description="Maintains the lake every night at 03:30 UTC.",
)

drill_schedule = dg.ScheduleDefinition(
    name="drill_schedule",
    job=DRILL,
    cron_schedule="30 5 * * 0",
    default_status=_SCHEDULED,
    description="Restores the newest backup as a test every Sunday at 05:30 UTC.",
)


def _request_due(
    context: dg.ScheduleEvaluationContext, platform: Platform, stage: Stage
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Runs for what is due of a stage; the log names the workspaces that cannot be worked on."""
    tick = context.scheduled_execution_time.astimezone(UTC)
    wanted = find_wanted(platform, context.instance, stage, tick)
    for name, problem in wanted.problems.items():
        context.log.warning(f"workspace {name!r} is skipped: {problem}")
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
    failed = find_retries(instance, platform.workspaces, stage)
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
