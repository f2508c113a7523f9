"""Partitions: keys into ranges, folders into dynamic partitions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.defs.partitions import (
    cut_batches,
    describe_run,
    find_archived,
    group_partitions,
    partition_key,
    partitions_for,
    sync_workspaces,
)
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import SCORED_TRENDS
from ytap_assets.workspaces import Status, Workspace
from ytap_assets_tests.operations.test_store import fetch, store, trend

DAY = date(2026, 11, 16)


def test_a_range_of_days_is_one_group_per_workspace() -> None:
    keys = [partition_key(w, DAY + timedelta(n)) for n in range(3) for w in ("tech", "finance")]

    last = DAY + timedelta(2)
    assert group_partitions(keys) == [Scope("finance", DAY, last), Scope("tech", DAY, last)]


def test_a_gap_makes_two_groups() -> None:
    keys = [partition_key("tech", DAY + timedelta(n)) for n in (0, 1, 3)]

    assert group_partitions(keys) == [
        Scope("tech", DAY, DAY + timedelta(1)),
        Scope("tech", DAY + timedelta(3), DAY + timedelta(3)),
    ]


def test_a_workspace_alone_has_no_days() -> None:
    assert group_partitions(["tech"]) == [Scope("tech")]


@given(st.sets(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 40)), min_size=1))
def test_groups_cover_exactly_the_keys(parts: set[tuple[str, int]]) -> None:
    wanted = {(workspace, DAY + timedelta(n)) for workspace, n in parts}

    groups = group_partitions([partition_key(*part) for part in wanted])

    covered = [(group.workspace_id, day) for group in groups for day in group.each_day()]
    assert len(covered) == len(set(covered))
    assert set(covered) == wanted


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), max_size=30), st.integers(1, 4))
def test_batches_hold_every_slice_once_and_few_workspaces(
    slices: list[tuple[int, int]], most: int
) -> None:
    parts = [Scope(f"w{name}", DAY, DAY + timedelta(days)) for name, days in slices]

    batches = cut_batches(parts, most)

    assert [part for batch in batches for part in batch] == parts
    for batch in batches:
        assert len({part.workspace_id for part in batch}) <= most
        assert len(batch) == 1 or sum(len(list(part.each_day())) for part in batch) <= 500


def test_a_range_lists_its_days_for_every_instance_and_however_often(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    partitions = partitions_for(SCORED_TRENDS, platform.day_range())
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

    assert sync_workspaces(instance, platform) == (["cooking"], ["finance"])
    assert sorted(instance.get_dynamic_partitions("workspace")) == ["cooking", "tech"]
    assert sync_workspaces(instance, platform) == ([], [])


def test_a_copied_folder_gets_no_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.workspaces.save(
        Workspace(workspace_id="news", name="N", vertical="any", uid="01M6A6FT000000000000000001")
    )
    platform.batch({"news": [None]}, Run("run-1", "test", "register"))
    shutil.copytree(platform.workspaces.folder("news"), platform.workspaces.folder("copy"))

    assert sync_workspaces(instance, platform) == (["news"], [])


def test_no_folder_at_all_deletes_no_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.settings.workspaces.rename(platform.settings.data / "unmounted")

    assert sync_workspaces(instance, platform) == ([], [])
    platform.settings.workspaces.mkdir()
    assert sync_workspaces(instance, platform) == ([], [])
    assert sorted(instance.get_dynamic_partitions("workspace")) == ["finance", "tech"]


def archive(platform: Platform, workspace_id: str, status: Status = "archived") -> None:
    workspace = platform.workspaces.get(workspace_id)
    platform.workspaces.save(workspace.model_copy(update={"status": status}))


def test_an_archived_workspace_has_no_partition_until_it_comes_back(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    archive(platform, "finance")
    assert sync_workspaces(instance, platform) == ([], ["finance"])
    assert instance.get_dynamic_partitions("workspace") == ["tech"]

    archive(platform, "finance", "active")
    assert sync_workspaces(instance, platform) == (["finance"], [])


def test_the_last_workspace_that_is_archived_goes_too(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    archive(platform, "finance")
    archive(platform, "tech")

    assert sync_workspaces(instance, platform) == ([], ["finance", "tech"])


def test_a_workspace_that_cannot_be_read_is_not_taken_for_archived(platform: Platform) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("status: [archived")
    archive(platform, "tech")

    assert find_archived(platform.workspaces) == {"tech"}


def days_of(platform: Platform) -> list[str]:
    with dg.partition_loading_context(dynamic_partitions_store=None):
        partitions = partitions_for(SCORED_TRENDS, platform.day_range())
    assert isinstance(partitions, dg.MultiPartitionsDefinition)
    (days,) = (one for one in partitions.partitions_defs if one.name == "day")
    return list(days.partitions_def.get_partition_keys())


def test_the_days_of_an_installation_begin_a_month_before_today(platform: Platform) -> None:
    days = days_of(platform)

    assert days[0] == str(platform.now().date() - timedelta(days=30))
    assert str(platform.now().date()) in days


def test_a_setting_or_an_import_makes_the_first_day_earlier(platform: Platform) -> None:
    platform.settings = replace(platform.settings, first_day=date(2026, 1, 1))
    assert platform.day_range()[0] == date(2026, 1, 1)
    store(platform, fetch([trend("a", day=date(2016, 9, 17))], day=date(2016, 9, 17)))

    assert platform.day_range() == (date(2016, 9, 17), None)
    fresh = Platform(platform.settings, now=platform.now)
    assert fresh.day_range()[0] == date(2016, 9, 17)  # as for any process that starts
    fresh.lake.close()


def test_a_day_before_there_were_platforms_makes_no_partition(platform: Platform) -> None:
    before = platform.day_range()
    store(platform, fetch([trend("a", day=date(1970, 1, 1))], day=date(1970, 1, 1)))

    assert platform.day_range() == before


def test_under_replay_the_days_are_those_of_the_recordings(platform: Platform) -> None:
    for day in ("2026-11-16", "2026-11-17", "2026-11-18"):
        (platform.settings.recordings / day).mkdir(parents=True)

    assert days_of(platform) == ["2026-11-16", "2026-11-17", "2026-11-18"]


def test_the_tags_of_a_run_name_workspaces_and_days() -> None:
    assert describe_run([Scope("tech", DAY, DAY)]) == {"workspace": "tech", "days": "2026-11-16"}
    many = [Scope(f"w{number}", DAY, DAY + timedelta(2)) for number in range(7)]
    assert describe_run(many) == {
        "workspace": "w0, w1, w2, w3, w4 and 2 more",
        "days": "2026-11-16..2026-11-18",
    }
    assert describe_run([Scope("tech")]) == {"workspace": "tech"}
