"""Runs of stages: which are requested, which are tried again, which are marked as failed.

The rules are functions of runs and times; `automation` calls them. Whether a run is alive is not
theirs to say (`liveness`).
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from ytap_assets.defs.liveness import BEGUN, PROCESS_TAG
from ytap_assets.defs.partitions import (
    DAY,
    WORKSPACE,
    cut_batches,
    describe_run,
    find_archived,
    group_partitions,
    partition_key,
)
from ytap_assets.defs.table_assets import FAILED_TAG, Stage, batch_config
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.workspaces import Workspaces

FIRST_RERUN = timedelta(minutes=5)
"""How long a partition that failed waits for its next try; each further failure doubles it."""
LONGEST_RERUN = timedelta(hours=6)
_MOST_RUNS = 250
_ACTIVE = [dg.DagsterRunStatus.QUEUED, *BEGUN]
_NEVER = datetime.min.replace(tzinfo=UTC)
Partition = tuple[str, date | None]
"""A workspace and a day; None for assets without days."""


@dataclass(frozen=True)
class PastRun:
    """A run as far as the rules need it.

    Attributes:
        partitions: What it was for.
        failed: Those of them that failed.
        is_active: Whether it has not ended.
        ended_at: When it ended, or changed last.
    """

    partitions: frozenset[Partition]
    failed: frozenset[Partition] = frozenset()
    is_active: bool = False
    ended_at: datetime = _NEVER


def find_failed(runs: Iterable[PastRun]) -> dict[Partition, datetime]:
    """The partitions whose newest run failed for them, and when each may be tried again.

    Args:
        runs: Runs of one job, the newest first.
    """
    failures: dict[Partition, int] = {}
    ended: dict[Partition, datetime] = {}
    settled: set[Partition] = set()
    for run in runs:
        for partition in run.partitions - settled:
            if run.is_active or partition not in run.failed:
                settled.add(partition)
                continue
            failures[partition] = failures.get(partition, 0) + 1
            ended.setdefault(partition, run.ended_at)
    return {
        partition: ended[partition] + min(FIRST_RERUN * 2 ** min(count - 1, 20), LONGEST_RERUN)
        for partition, count in failures.items()
    }


def read_past_runs(instance: dg.DagsterInstance, stage: Stage) -> list[PastRun]:
    """The last runs of a stage's job that made all of its tables, newest first.

    They are counted, not dated, so that an outage of any length is no reason to forget a failure.
    What fails runs at least every six hours, and a stage does not have so many runs in that time.
    """
    records = instance.get_run_records(dg.RunsFilter(job_name=stage.name), limit=_MOST_RUNS)
    whole = (one for one in records if not _find_config(one.dagster_run).get("tables"))
    return [_to_past_run(record, stage) for record in whole]


def find_retries(
    instance: dg.DagsterInstance, workspaces: Workspaces, stage: Stage
) -> dict[Partition, datetime]:
    """What failed in the newest run of it (`find_failed`), of the workspaces that can be made.

    Those that are archived or gone have no partition that could be requested.
    """
    failed = find_failed(read_past_runs(instance, stage))
    if not failed:
        return {}
    usable = set(workspaces.ids()) - find_archived(workspaces)
    return {one: at for one, at in failed.items() if one[0] in usable}


def list_active(instance: dg.DagsterInstance, job: str) -> set[Partition]:
    """The partitions of a job's runs that wait or work."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=_ACTIVE))
    return {partition for run in runs for partition in _list_partitions(find_scope(run))}


def find_active_runs(instance: dg.DagsterInstance, workspace_id: str) -> list[str]:
    """The ids of the runs that wait or work and are for a workspace.

    A run whose slices are not known, such as one of a range of partitions, is one of them if its
    config or a tag names the workspace.
    """
    found = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE)):
        scopes = find_scope(run)
        named = {scope.workspace_id for scope in scopes}
        is_named = workspace_id in json.dumps([run.run_config, run.tags], default=str)
        if workspace_id in named or (not scopes and is_named):
            found.append(run.run_id)
    return found


def find_scope(run: dg.DagsterRun) -> list[Scope]:
    """The slices a run was started for, by its config or by its partition key.

    A range of partition keys, which is started by hand, is none of them; nor is what a config that
    was written by hand names wrongly: such a run has failed.
    """
    days_of = _find_config(run).get("workspaces", {})
    if days_of:
        keys: list[str] = []
        for name, days in days_of.items():
            keys += [partition_key(name, day) for day in map(_to_day, days) if day]
            keys += [] if days else [name]
        return group_partitions(keys)
    workspace_id = run.tags.get(f"dagster/partition/{WORKSPACE}")
    day = _to_day(run.tags.get(f"dagster/partition/{DAY}", ""))
    return [Scope(workspace_id, day, day)] if workspace_id and day else []


def _find_config(run: dg.DagsterRun) -> Mapping[str, Any]:
    """The config of the one step of a stage's job; empty for other runs."""
    steps: Any = run.run_config.get("ops", {})
    configs = [step.get("config", {}) for step in steps.values()]
    return configs[0] if configs else {}


def _to_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def request_runs(
    stage: Stage,
    partitions: Iterable[Partition],
    occasion: str,
    most_workspaces: int,
    options: Mapping[str, str] | None = None,
) -> Iterator[dg.RunRequest]:
    """Runs of a stage's job for partitions, each for so many workspaces at most.

    Args:
        stage: The stage.
        partitions: What is due.
        occasion: Why, such as the time of the tick. Dagster starts the same partitions once per
            occasion.
        most_workspaces: See `cut_batches`.
        options: See `batch_config`.
    """
    keys = [
        name if day is None else partition_key(name, day)
        for name, day in sorted(partitions, key=lambda one: (one[0], one[1] or date.min))
    ]
    for parts in cut_batches(group_partitions(keys), most_workspaces):
        digest = hashlib.sha256(" ".join([occasion, *map(str, parts)]).encode()).hexdigest()[:16]
        yield dg.RunRequest(
            run_key=f"{stage.name} {digest}",
            job_name=stage.name,
            run_config=batch_config(stage, parts, options=options),
            tags=describe_run(parts),
        )


def with_partition(
    workspace_ids: Iterable[str], instance: dg.DagsterInstance, log: logging.Logger
) -> list[str]:
    """The workspaces that have a partition in Dagster; the log names the others.

    A folder that is newer than the last tick of ``workspace_folders`` waits for the next one.
    """
    asked, known = list(workspace_ids), set(instance.get_dynamic_partitions(WORKSPACE))
    if new := [one for one in asked if one not in known]:
        log.warning(f"no partition yet, requested at the next evaluation: {', '.join(new)}")
    return [one for one in asked if one in known]


def _to_past_run(record: dg.RunRecord, stage: Stage) -> PastRun:
    run = record.dagster_run
    partitions = frozenset(
        one for one in _list_partitions(find_scope(run)) if (one[1] is None) != stage.by_day
    )
    failed: frozenset[Partition] = frozenset()
    if run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        failed = _list_failed(run) & partitions if FAILED_TAG in run.tags else partitions
    if PROCESS_TAG in run.tags:
        # What failed or was interrupted on a command line is not started again by the daemon.
        partitions, failed = partitions - failed, frozenset()
    ended = record.end_time or record.update_timestamp.timestamp()
    return PastRun(
        partitions,
        failed,
        is_active=run.status in _ACTIVE,
        ended_at=datetime.fromtimestamp(ended, UTC),
    )


def _list_failed(run: dg.DagsterRun) -> frozenset[Partition]:
    named: Mapping[str, Sequence[str]] = json.loads(run.tags[FAILED_TAG])
    return frozenset((name, _to_day(day)) for name, days in named.items() for day in days or [""])


def _list_partitions(parts: Iterable[Scope]) -> frozenset[Partition]:
    return frozenset(
        (part.workspace_id, day) for part in parts for day in (*part.each_day(),) or (None,)
    )
