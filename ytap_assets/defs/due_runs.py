"""From partitions that are due to runs, and from ended runs to what is tried again.

The rules are pure functions of runs and times; `schedules` and `sensors` call them.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from ytap_assets.defs.partitions import (
    DAY,
    WORKSPACE,
    cut_batches,
    describe_run,
    group_partitions,
    partition_key,
)
from ytap_assets.defs.table_assets import FAILED_TAG, Stage, batch_config
from ytap_assets.lakehouse.checks import Scope

FIRST_RETRY = timedelta(minutes=5)
"""How long a partition that failed waits for its next try; each further failure doubles it."""
LONGEST_RETRY = timedelta(hours=6)
_SINCE = timedelta(days=2)
_MOST_RUNS = 1_000
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
Partition = tuple[str, date | None]
"""A workspace and a day; None for assets without days."""


@dataclass(frozen=True)
class PastRun:
    """A run as far as the rules need it.

    Attributes:
        partitions: What it was for.
        failed: Those of them that failed.
        is_active: Whether it has not ended.
        ended_at: When it ended.
    """

    partitions: frozenset[Partition]
    failed: frozenset[Partition] = frozenset()
    is_active: bool = False
    ended_at: datetime | None = None


def find_retries(runs: Iterable[PastRun], now: datetime) -> set[Partition]:
    """The partitions whose newest run failed for them, and whose waiting time is over.

    Args:
        runs: Runs of one job, the newest first.
        now: The present.
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
            ended.setdefault(partition, run.ended_at or now)
    return {
        partition
        for partition, count in failures.items()
        if ended[partition] + min(FIRST_RETRY * 2 ** (count - 1), LONGEST_RETRY) <= now
    }


def find_failures(runs: Iterable[PastRun]) -> dict[tuple[str, date], list[datetime]]:
    """When runs failed for each workspace and day since the last run that did not.

    Args:
        runs: Runs of one job, the newest first.
    """
    failures: dict[tuple[str, date], list[datetime]] = {}
    settled: set[Partition] = set()
    for run in runs:
        settled |= run.partitions - run.failed
        for name, day in run.failed - settled:
            if day is not None and run.ended_at is not None:
                failures.setdefault((name, day), []).append(run.ended_at)
    return failures


def read_past_runs(instance: dg.DagsterInstance, job: str, now: datetime) -> list[PastRun]:
    """The runs of a job of the last two days, the newest first."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job, created_after=now - _SINCE), limit=_MOST_RUNS
    )
    return [_to_past_run(record) for record in records]


def list_active(instance: dg.DagsterInstance, job: str) -> set[Partition]:
    """The partitions of a job's runs that wait or work."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=_ACTIVE))
    return {partition for run in runs for partition in _list_partitions(find_scope(run))}


def find_scope(run: dg.DagsterRun) -> list[Scope]:
    """The slices a run was started for, by its config or by its partition key.

    A range of partition keys, which is started by hand, is none of them.
    """
    steps: Any = run.run_config.get("ops", {})
    configs = [step.get("config", {}) for step in steps.values()]
    days_of = configs[0].get("workspaces", {}) if configs else {}
    if days_of:
        keys = [
            key
            for name, days in days_of.items()
            for key in (
                [partition_key(name, date.fromisoformat(day)) for day in days] if days else [name]
            )
        ]
        return group_partitions(keys)
    workspace_id = run.tags.get(f"dagster/partition/{WORKSPACE}")
    day = run.tags.get(f"dagster/partition/{DAY}")
    if workspace_id and day:
        return [Scope(workspace_id, date.fromisoformat(day), date.fromisoformat(day))]
    return []


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
    """The workspaces whose partition Dagster knows; the log names the others.

    A folder that is newer than the last tick of ``workspace_folders`` waits for the next one.
    """
    asked, known = list(workspace_ids), set(instance.get_dynamic_partitions(WORKSPACE))
    if new := [one for one in asked if one not in known]:
        log.warning(f"no partition yet, so asked for next time: {', '.join(new)}")
    return [one for one in asked if one in known]


def _to_past_run(record: dg.RunRecord) -> PastRun:
    run = record.dagster_run
    partitions = _list_partitions(find_scope(run))
    failed: frozenset[Partition] = frozenset()
    if run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        named: Mapping[str, Sequence[str]] = json.loads(run.tags.get(FAILED_TAG, "{}"))
        failed = frozenset(
            (name, date.fromisoformat(day) if day else None)
            for name, days in named.items()
            for day in days or [""]
        )
    return PastRun(
        partitions,
        # A run that ended without naming any, such as one that was killed, failed for all.
        failed or (partitions if run.status == dg.DagsterRunStatus.FAILURE else frozenset()),
        is_active=run.status in _ACTIVE,
        ended_at=datetime.fromtimestamp(
            record.end_time or record.update_timestamp.timestamp(), UTC
        ),
    )


def _list_partitions(parts: Iterable[Scope]) -> frozenset[Partition]:
    return frozenset(
        (part.workspace_id, day) for part in parts for day in (*part.each_day(),) or (None,)
    )
