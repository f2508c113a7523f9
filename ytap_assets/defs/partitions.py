"""Partitions: workspaces follow the folders, days are UTC and today is among them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from ytap_assets.lakehouse.reader import Days, unbroken_ranges
from ytap_assets.settings import Settings
from ytap_assets.tables import Table
from ytap_assets.workspaces import Workspaces

WORKSPACE = "workspace"
DAY = "day"
_Listed = tuple[dg.PartitionKeyRange, Sequence[dg.MultiPartitionKey]]
WORKSPACES = dg.DynamicPartitionsDefinition(name=WORKSPACE)


class WorkspaceDays(dg.MultiPartitionsDefinition):
    """Workspace x day, which remembers the last range it was asked for, per Dagster instance.

    Dagster lists a run's whole range anew for each partition that metadata are added to: a
    quarter of the time that a backfill of a year takes, if nothing is remembered.
    """

    def __init__(self, first_day: date) -> None:
        days = dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), end_offset=1)
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


def partitions_for(table: Table, settings: Settings) -> dg.PartitionsDefinition[str]:
    """How a table's asset is partitioned."""
    return WorkspaceDays(settings.first_day) if table.by_day else WORKSPACES


def partition_key(workspace_id: str, day: date) -> dg.MultiPartitionKey:
    """The key of a workspace's day."""
    return dg.MultiPartitionKey({WORKSPACE: workspace_id, DAY: day.isoformat()})


def range_tags(workspace_id: str, days: Days) -> dict[str, str]:
    """The tags that make one run of a range of a workspace's days."""
    return {
        "dagster/asset_partition_range_start": partition_key(workspace_id, days[0]),
        "dagster/asset_partition_range_end": partition_key(workspace_id, days[1]),
    }


def group_partitions(keys: Iterable[str]) -> list[tuple[str, Days | None]]:
    """A run's partition keys as (workspace, unbroken range of days), in order.

    Keys of workspace-grained assets have no days.
    """
    days_of: dict[str, list[date]] = defaultdict(list)
    whole: list[tuple[str, Days | None]] = []
    for key in keys:
        if isinstance(key, dg.MultiPartitionKey):
            parts = key.keys_by_dimension
            days_of[parts[WORKSPACE]].append(date.fromisoformat(parts[DAY]))
        else:
            whole.append((key, None))
    return whole + [
        (workspace, days)
        for workspace in sorted(days_of)
        for days in unbroken_ranges(days_of[workspace])
    ]


def compare_workspaces(
    folders: Collection[str], known: Collection[str]
) -> tuple[list[str], list[str]]:
    """Which workspaces are new, and which are gone, in order.

    Where there is no folder at all, none counts as gone: it is the disk that is not mounted.
    """
    gone = set(known) - set(folders) if folders else set()
    return sorted(set(folders) - set(known)), sorted(gone)


def sync_workspaces(
    instance: dg.DagsterInstance, settings: Settings
) -> tuple[list[str], list[str]]:
    """Make the dynamic partitions those of the folders.

    Returns:
        The workspaces that were added, and those that were removed.
    """
    known = instance.get_dynamic_partitions(WORKSPACE)
    added, removed = compare_workspaces(Workspaces(settings).ids(), known)
    if added:
        instance.add_dynamic_partitions(WORKSPACE, added)
    for workspace_id in removed:
        instance.delete_dynamic_partition(WORKSPACE, workspace_id)
    return added, removed
