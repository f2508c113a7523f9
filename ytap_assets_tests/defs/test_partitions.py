"""Partitions: keys into ranges, folders into dynamic partitions."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.defs.partitions import (
    group_partitions,
    partition_key,
    partitions_for,
    sync_workspaces,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import SCORED_TRENDS
from ytap_assets.workspaces import Workspace

DAY = date(2026, 11, 16)


def test_a_range_of_days_is_one_group_per_workspace() -> None:
    keys = [partition_key(w, DAY + timedelta(n)) for n in range(3) for w in ("tech", "finance")]

    last = DAY + timedelta(2)
    assert group_partitions(keys) == [("finance", (DAY, last)), ("tech", (DAY, last))]


def test_a_gap_makes_two_groups() -> None:
    keys = [partition_key("tech", DAY + timedelta(n)) for n in (0, 1, 3)]

    assert group_partitions(keys) == [
        ("tech", (DAY, DAY + timedelta(1))),
        ("tech", (DAY + timedelta(3), DAY + timedelta(3))),
    ]


def test_a_workspace_alone_has_no_days() -> None:
    assert group_partitions(["tech"]) == [("tech", None)]


@given(st.sets(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 40)), min_size=1))
def test_groups_cover_exactly_the_keys(parts: set[tuple[str, int]]) -> None:
    wanted = {(workspace, DAY + timedelta(n)) for workspace, n in parts}

    groups = group_partitions([partition_key(*part) for part in wanted])

    covered = [
        (workspace, days[0] + timedelta(n))
        for workspace, days in groups
        if days
        for n in range((days[1] - days[0]).days + 1)
    ]
    assert len(covered) == len(set(covered))
    assert set(covered) == wanted


def test_a_range_lists_its_days_for_every_instance_and_however_often(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    partitions = partitions_for(SCORED_TRENDS, platform.settings)
    first, last, later = (partition_key("tech", DAY + timedelta(n)) for n in (0, 2, 3))

    def keys(of: dg.DagsterInstance, start: str, end: str) -> list[str]:
        with dg.partition_loading_context(dynamic_partitions_store=of):
            return list(partitions.get_partition_keys_in_range(dg.PartitionKeyRange(start, end)))

    days = [partition_key("tech", DAY + timedelta(n)) for n in range(4)]
    assert keys(instance, first, last) == keys(instance, first, last) == days[:3]
    assert keys(instance, last, later) == days[2:]
    assert keys(instance, first, later) == days
    with dg.DagsterInstance.ephemeral() as stranger, pytest.raises(dg.DagsterError):
        keys(stranger, first, later)


def test_partitions_follow_the_folders(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.workspaces.save(Workspace(workspace_id="cooking", name="Cooking", vertical="food"))
    (platform.workspaces.folder("finance") / "config.yaml").unlink()

    assert sync_workspaces(instance, platform.settings) == (["cooking"], ["finance"])
    assert sorted(instance.get_dynamic_partitions("workspace")) == ["cooking", "tech"]
    assert sync_workspaces(instance, platform.settings) == ([], [])


def test_no_folder_at_all_deletes_no_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.settings.workspaces.rename(platform.settings.data / "unmounted")

    assert sync_workspaces(instance, platform.settings) == ([], [])
    platform.settings.workspaces.mkdir()
    assert sync_workspaces(instance, platform.settings) == ([], [])
    assert sorted(instance.get_dynamic_partitions("workspace")) == ["finance", "tech"]
