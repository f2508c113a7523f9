"""Partitions: workspaces follow the folders that are not archived, days are UTC with today."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.reader import unbroken_ranges
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import Table
from ytap_assets.workspaces import Workspace, Workspaces, parse_workspace

WORKSPACE = "workspace"
DAY = "day"
_DAY = timedelta(days=1)
_MANY = 5
_MOST_DAYS = 500
"""Workspace-days of a batch, which bound its memory; one slice may have more."""
_Listed = tuple[dg.PartitionKeyRange, Sequence[dg.MultiPartitionKey]]
WORKSPACES = dg.DynamicPartitionsDefinition(name=WORKSPACE)


def cut_batches(parts: Sequence[Scope], most_workspaces: int) -> list[list[Scope]]:
    """Slices in batches of so many workspaces at most, and of `_MOST_DAYS` workspace-days."""
    batches: list[list[Scope]] = []
    names: set[str] = set()
    days = 0
    for part in parts:
        own = max(1, sum(1 for _ in part.each_day()))
        is_full = len(names | {part.workspace_id}) > most_workspaces or days + own > _MOST_DAYS
        if not batches or is_full:
            batches.append([])
            names, days = set(), 0
        batches[-1].append(part)
        names.add(part.workspace_id)
        days += own
    return batches


class WorkspaceDays(dg.MultiPartitionsDefinition):
    """Workspace x day; caches the last requested range per Dagster instance.

    Dagster lists a run's whole range anew for each partition that metadata are added to: a
    quarter of the time that a backfill of a year takes, if nothing is remembered.
    """

    def __init__(self, first_day: date, last_day: date | None = None) -> None:
        """Take the first day and the last one; None for today, whichever day that is."""
        days = dg.DailyPartitionsDefinition(
            start_date=first_day.isoformat(),
            end_date=(last_day + _DAY).isoformat() if last_day else None,
            end_offset=0 if last_day else 1,
        )
        super().__init__({WORKSPACE: WORKSPACES, DAY: days})
        self._listed: WeakKeyDictionary[object, _Listed] = WeakKeyDictionary()

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange, dynamic_partitions_store: Any = None
    ) -> Sequence[dg.MultiPartitionKey]:
        """Every key of the range, in the order of days."""
        with dg.partition_loading_context(dynamic_partitions_store=dynamic_partitions_store) as at:
            instance = at.dynamic_partitions_store
            listed = self._listed.get(instance) if instance is not None else None
            if listed is not None and listed[0] == partition_key_range:
                return listed[1]
            keys: Sequence[Any] = super().get_partition_keys_in_range(partition_key_range)
            if instance is not None:
                self._listed[instance] = (partition_key_range, keys)
            return keys


def partitions_for(table: Table, days: tuple[date, date | None]) -> dg.PartitionsDefinition[str]:
    """How a table's asset is partitioned.

    Args:
        table: The table.
        days: The first day and the last one; None for today, whichever day that is.
    """
    return WorkspaceDays(*days) if table.by_day else WORKSPACES


def partition_key(workspace_id: str, day: date) -> dg.MultiPartitionKey:
    """The key of a workspace's day."""
    return dg.MultiPartitionKey({WORKSPACE: workspace_id, DAY: day.isoformat()})


def partition_keys(scope: Scope) -> list[str]:
    """The keys of a slice's partitions, in the order of days."""
    if scope.days is None:
        return [scope.workspace_id]
    return [partition_key(scope.workspace_id, day) for day in scope.each_day()]


def describe_run(parts: Sequence[Scope]) -> dict[str, str]:
    """The tags that show a run's workspaces and days in the list of runs."""
    names = sorted({part.workspace_id for part in parts})
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    tags = {WORKSPACE: f"{', '.join(names[:_MANY])}{more}"}
    spans = [part.days for part in parts if part.days is not None]
    if spans:
        days = Scope("", min(span[0] for span in spans), max(span[1] for span in spans))
        tags["days"] = days.days_text
    return tags


def group_partitions(keys: Iterable[str]) -> list[Scope]:
    """A run's partition keys as slices, in order: unbroken ranges of a workspace's days.

    Keys of workspace-grained assets have no days.
    """
    days_of: dict[str, list[date]] = defaultdict(list)
    whole: list[Scope] = []
    for key in keys:
        if isinstance(key, dg.MultiPartitionKey):
            parts = key.keys_by_dimension
            days_of[parts[WORKSPACE]].append(date.fromisoformat(parts[DAY]))
        else:
            whole.append(Scope(key))
    return whole + [
        Scope(workspace, *days)
        for workspace in sorted(days_of)
        for days in unbroken_ranges(days_of[workspace])
    ]


def find_archived(workspaces: Workspaces) -> set[str]:
    """The workspaces whose config says that they are archived.

    One whose config cannot be read is not among them: its runs fail and say why. Every config is
    read again at each call, and parsed only where it changed: this is asked every minute.
    """
    archived = set()
    for name, config in workspaces.read_configs().items():
        with suppress(ConfigError):
            if isinstance(config, bytes) and _is_archived(name, config):
                archived.add(name)
    return archived


@lru_cache(maxsize=2048)
def _is_archived(workspace_id: str, config: bytes) -> bool:
    return parse_workspace(workspace_id, config, origin=workspace_id).is_archived


def compare_workspaces(
    folders: Collection[str], archived: Collection[str], known: Collection[str]
) -> tuple[list[str], list[str]]:
    """Which workspaces need a partition that is missing, and which must lose theirs, in order.

    Where there is no folder at all, none counts as gone: it is the disk that is not mounted.

    Args:
        folders: The workspaces that have a folder.
        archived: Those of them that are archived. Their partitions are not offered; what was
            materialized stays in the history, and is shown again when they come back.
        known: The workspaces that have a partition.
    """
    wanted = set(folders) - set(archived)
    gone = set(known) - wanted if folders else set()
    return sorted(wanted - set(known)), sorted(gone)


def find_changes(
    platform: Platform, known: Sequence[str]
) -> tuple[list[str], list[str], dict[str, str]]:
    """Which workspaces need a partition that is missing, which lose theirs, and which get none.

    Args:
        platform: The installation.
        known: The workspaces that have a partition.

    Returns:
        The first two in order. The third are folders that were renamed, copied or replaced, with
        the reason.

    Raises:
        LakeError: The lake cannot be read, so nobody knows whose names they are.
    """
    workspaces = platform.workspaces
    added, gone = compare_workspaces(workspaces.ids(), find_archived(workspaces), known)
    # One that cannot be read yet gets a partition: runs of it fail and say why.
    found = workspaces.get_all(added).values()
    readable = [one for one in found if isinstance(one, Workspace)]
    refused = platform.find_conflicts(readable)
    return [name for name in added if name not in refused], gone, refused


def sync_workspaces(
    instance: dg.DagsterInstance, platform: Platform
) -> tuple[list[str], list[str]]:
    """Make the dynamic partitions those of the workspaces that are not archived (`find_changes`).

    Returns:
        The workspaces that were added, and those that were removed.
    """
    added, removed, _ = find_changes(platform, instance.get_dynamic_partitions(WORKSPACE))
    if added:
        instance.add_dynamic_partitions(WORKSPACE, added)
    for workspace_id in removed:
        instance.delete_dynamic_partition(WORKSPACE, workspace_id)
    return added, removed
