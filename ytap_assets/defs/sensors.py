"""Sensors: read a state, let a pure function decide, request runs.

- one per promotion: a script's evidence is there -> promote it
- the workspaces' folders changed -> the partitions follow
- a config changed -> its registries
- a collection or metrics run ended, successful or failed -> the reports of its days
- partitions of registries or reports failed -> the same partitions again
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

import dagster as dg

from ytap_assets.defs.assets import (
    COLLECTION,
    METRICS,
    PRODUCTION,
    PROMOTION,
    REGISTRIES,
    REPORTS,
)
from ytap_assets.defs.due_runs import (
    find_failed,
    find_scope,
    read_past_runs,
    request_runs,
    with_partition,
)
from ytap_assets.defs.jobs import STAGE_JOBS
from ytap_assets.defs.partitions import (
    WORKSPACE,
    WORKSPACES,
    compare_workspaces,
    cut_batches,
    describe_run,
    find_archived,
)
from ytap_assets.defs.table_assets import batch_config
from ytap_assets.domain.production.promotions import PROMOTIONS, Promotion
from ytap_assets.errors import ConfigError, YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.previews import Previewed, Previews
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.workspaces import Workspace

_ON = dg.DefaultSensorStatus.RUNNING
_PROMOTION_SECONDS = 30
_FOLDER_SECONDS = 30
_BUCKET_SECONDS = 600
_RETRY_SECONDS = 300
_SHOWN = 5
RETRIED = (REGISTRIES, REPORTS)
"""The stages whose failures are tried again here. Schedules see to those that are collected, and
the sensors of promotions to production."""
_PREVIEWS: WeakKeyDictionary[Platform, Previews] = WeakKeyDictionary()

Clock = Callable[[], datetime]


def read_clock() -> datetime:
    """The real time, in UTC: also under replay, when the platform's clock is fixed."""
    return datetime.now(UTC)


def build_sensors(clock: Clock = read_clock) -> list[dg.SensorDefinition]:
    """Every sensor of the code location; ``clock`` determines the current bucket."""
    return [
        *(promotion_sensor(promotion, clock) for promotion in PROMOTIONS.values()),
        workspace_folders,
        retry_failures,
        report_after_success,
        report_after_failure,
    ]


def promotion_sensor(promotion: Promotion, clock: Clock = read_clock) -> dg.SensorDefinition:
    """The sensor of one promotion, over all workspaces that are not archived.

    A tick requests one run for each batch of workspaces where something can be promoted. The run
    makes every promotion until nothing moves. The five sensors of a process share one preview of
    each workspace (`Previews`), and of those that have a reason the first one requests the run.

    The cursor holds what was requested per workspace: the reasons and the time bucket. Whatever
    became of the run, the same reasons are requested once per bucket until they are gone.
    """

    @dg.sensor(
        name=promotion.name,
        job=STAGE_JOBS[PRODUCTION.name],
        minimum_interval_seconds=_PROMOTION_SECONDS,
        default_status=_ON,
        description=promotion.description,
    )
    def promote(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult:
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
        for name in with_partition(reasons, context.instance, context.log):
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
    minimum_interval_seconds=_FOLDER_SECONDS,
    default_status=_ON,
    description="Keeps one partition for each workspace that is not archived, and reads workspaces,"
    " channels and accounts again when a config has changed.",
)
def workspace_folders(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult:
    """Add partitions of new folders, delete those of folders that are gone or archived.

    A folder that another one was renamed to, or copied to, waits until that is resolved: its name
    gets no partition that runs could be asked for. The cursor holds a digest of every config that
    runs were requested for.
    """
    known = context.instance.get_dynamic_partitions(WORKSPACE)
    workspaces = platform.workspaces
    added, gone = compare_workspaces(workspaces.ids(), find_archived(workspaces), known)
    try:
        refused = _find_refused(platform, added)
    except YtapError as error:  # without the lake nobody knows whose names they are
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    for name, why in refused.items():
        context.log.warning(f"no partition for {name!r}: {why}")
    added = [name for name in added if name not in refused]
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(WORKSPACES.build_add_request(added))
    if gone:
        changes.append(WORKSPACES.build_delete_request(gone))
    before: dict[str, str] = json.loads(context.cursor or "{}")
    digests = {name: _digest_config(platform, name) for name in {*known, *added} - {*gone}}
    changed = [name for name, digest in digests.items() if before.get(name) != digest]
    requests = request_runs(
        REGISTRIES,
        [(name, None) for name in changed],
        " ".join(sorted(digests[name] for name in changed)),
        platform.settings.batch_workspaces,
    )
    idle = "; ".join(["the folders have not changed", *list(refused.values())[:_SHOWN]])
    return dg.SensorResult(
        run_requests=list(requests),
        dynamic_partitions_requests=changes,
        skip_reason=None if changes or changed else idle,
        cursor=json.dumps(digests, sort_keys=True),
    )


def _digest_config(platform: Platform, workspace_id: str) -> str:
    """A digest of a config's content; of its absence, where it cannot be read."""
    try:
        content = platform.workspaces.read_config(workspace_id)
    except ConfigError:
        content = b""
    return hashlib.sha256(content).hexdigest()[:16]


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
    """Read the runs of the last two days, and request what failed in the newest run of it."""
    now = read_clock()
    archived = find_archived(platform.workspaces)
    requests: list[dg.RunRequest] = []
    for stage in RETRIED:
        failed = find_failed(read_past_runs(context.instance, stage, now))
        failed = {one: at for one, at in failed.items() if at <= now}
        names = set(
            with_partition(
                sorted({name for name, _ in failed} - archived), context.instance, context.log
            )
        )
        due = [one for one in failed if one[0] in names]
        tick = f"{now:%Y-%m-%dT%H:%M}"
        requests += request_runs(stage, due, tick, platform.settings.batch_workspaces)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "nothing failed that is due"
    )


def _find_refused(platform: Platform, names: Sequence[str]) -> dict[str, str]:
    """The folders that were renamed, copied or replaced, and why they get no partition."""
    workspaces: list[Workspace] = []
    for name in names:
        # One that cannot be read yet is left out: runs of it fail and say why.
        with suppress(ConfigError):
            workspaces.append(platform.workspaces.get(name))
    return platform.find_conflicts(workspaces)


def request_reports(run: dg.DagsterRun) -> dg.RunRequest | dg.SkipReason:
    """A run for the reports of the days that a run was about."""
    parts = find_scope(run)
    if not parts:
        return dg.SkipReason("the run was not about one day or a list of days")
    return dg.RunRequest(
        run_key=run.run_id, run_config=batch_config(REPORTS, parts), tags=describe_run(parts)
    )


_COLLECTIONS = [STAGE_JOBS[COLLECTION.name], STAGE_JOBS[METRICS.name]]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=_COLLECTIONS,
    request_job=STAGE_JOBS[REPORTS.name],
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
    default_status=_ON,
    description="Writes the reports of the days of a failed collection or metrics run; they list"
    " what is missing.",
)
def report_after_failure(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """A run failed: write the reports of its days as well."""
    return request_reports(context.dagster_run)
