"""What is requested again, and how partitions become runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.defs.assets import COLLECTION, REGISTRIES, REPORTS
from ytap_assets.defs.liveness import PROCESS_TAG
from ytap_assets.defs.runs import (
    Partition,
    PastRun,
    find_active_runs,
    find_failed,
    find_retries,
    find_scope,
    list_active,
    read_past_runs,
    request_runs,
)
from ytap_assets.defs.table_assets import FAILED_TAG, batch_config
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.platform import Platform

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)
A, B = ("a", DAY), ("b", DAY)


def ended(failed: set[Partition], minutes_ago: int) -> PastRun:
    """A run of both partitions."""
    at = NOW - timedelta(minutes=minutes_ago)
    return PastRun(frozenset({A, B}), frozenset(failed), ended_at=at)


@pytest.mark.parametrize(
    ("runs", "due"),
    [
        ([], set()),
        ([ended(set(), 60)], set()),
        ([ended({A}, 4)], set()),
        ([ended({A}, 5)], {A}),
        ([ended(set(), 5), ended({A}, 60)], set()),
        ([ended({A}, 5), ended({A}, 60)], set()),
        ([ended({A}, 10), ended({A, B}, 60)], {A}),
        ([ended({A}, 9), *[ended({A}, 60)] * 20], set()),
        ([ended({A}, 360), *[ended({A}, 600)] * 20], {A}),
        ([PastRun(frozenset({A}), is_active=True), ended({A, B}, 60)], {B}),
    ],
    ids=[
        "nothing ran",
        "nothing failed",
        "too early",
        "waited",
        "repaired since",
        "failed twice: too early",
        "failed twice: waited",
        "failed often: too early",
        "failed often: six hours at most",
        "at work again",
    ],
)
def test_what_failed_is_requested_again_after_a_growing_wait(
    runs: list[PastRun], due: set[Partition]
) -> None:
    assert {one for one, at in find_failed(runs).items() if at <= NOW} == due


_NAMES = st.text("abc", min_size=1, max_size=3)


@given(st.sets(st.tuples(_NAMES, st.integers(0, 9)), max_size=30), st.integers(1, 5))
def test_requests_name_every_partition_once(wanted: set[tuple[str, int]], most: int) -> None:
    partitions = {(name, DAY + timedelta(number)) for name, number in wanted}

    requests = list(request_runs(COLLECTION, partitions, "now", most))

    found = [
        (name, date.fromisoformat(day))
        for request in requests
        for name, days in request.run_config["ops"]["make_collection"]["config"][
            "workspaces"
        ].items()
        for day in days
    ]
    assert len(found) == len(set(found))
    assert set(found) == partitions
    assert len({request.run_key for request in requests}) == len(requests)


def test_the_same_partitions_are_another_run_on_another_occasion() -> None:
    keys = [next(request_runs(REGISTRIES, [("a", None)], when, 9)).run_key for when in "xxy"]
    assert keys[0] == keys[1] != keys[2]


def test_the_runs_that_work_on_a_workspace_are_found() -> None:
    by_range = {"dagster/asset_partition_range_start": "2026-11-20|a"}
    started, waiting = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED
    config = batch_config(COLLECTION, [Scope("a", DAY, DAY)])
    other = batch_config(COLLECTION, [Scope("aa", DAY, DAY)])
    runs = [
        dg.DagsterRun("collection", status=started, run_config=config),
        dg.DagsterRun("collection", status=waiting, run_config=config),
        dg.DagsterRun("collection", status=started, tags=by_range),
        dg.DagsterRun("collection", status=started, run_config=other),
        dg.DagsterRun("collection", status=dg.DagsterRunStatus.SUCCESS, run_config=config),
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        for run in runs:
            instance.add_run(run)
        assert set(find_active_runs(instance, "a")) == {run.run_id for run in runs[:3]}
        assert find_active_runs(instance, "aa") == [runs[3].run_id]
        assert find_active_runs(instance, "zq") == []


def test_runs_are_read_from_the_instance() -> None:
    parts = [Scope("a", DAY, DAY), Scope("b", DAY, DAY)]
    config = batch_config(COLLECTION, parts)
    with dg.DagsterInstance.ephemeral() as instance:
        part = batch_config(COLLECTION, parts, tables=["raw_trends"])
        for status, tags, given in (
            (dg.DagsterRunStatus.SUCCESS, {}, config),
            (dg.DagsterRunStatus.FAILURE, {FAILED_TAG: '{"a": ["2026-11-20"]}'}, config),
            (dg.DagsterRunStatus.FAILURE, {FAILED_TAG: "{}"}, config),
            (dg.DagsterRunStatus.FAILURE, {}, config),
            (dg.DagsterRunStatus.FAILURE, {PROCESS_TAG: "one.lock"}, config),
            (dg.DagsterRunStatus.STARTED, {}, config),
            (dg.DagsterRunStatus.SUCCESS, {}, part),
        ):
            run = dg.DagsterRun("collection", status=status, run_config=given, tags=tags)
            instance.add_run(run)
        runs = read_past_runs(instance, COLLECTION)
        active = list_active(instance, "collection")

    # A run of some tables settles nothing; one of the command line is not started again.
    seen = [(set(run.partitions), set(run.failed), run.is_active) for run in reversed(runs)]
    both: set[Partition] = {A, B}
    assert seen == [
        (both, set(), False),
        (both, {A}, False),
        (both, set(), False),
        (both, both, False),
        (set(), set(), False),
        (both, set(), True),
    ]
    assert active == both


def test_an_outage_of_a_month_forgets_no_failure(platform: Platform) -> None:
    parts = [Scope("tech", DAY, DAY), Scope("gone", DAY, DAY), Scope("finance", DAY, DAY)]
    finance = platform.workspaces.get("finance").model_copy(update={"status": "archived"})
    platform.workspaces.save(finance)
    run = dg.DagsterRun(
        "reports", status=dg.DagsterRunStatus.FAILURE, run_config=batch_config(REPORTS, parts)
    )
    with dg.DagsterInstance.ephemeral() as instance:
        with time_machine.travel(NOW - timedelta(days=30)):
            instance.add_run(run)
        found = find_retries(instance, platform.workspaces, REPORTS)

    assert set(found) == {("tech", DAY)}


def test_what_a_config_names_wrongly_is_no_slice() -> None:
    days = {"a": ["today", "2026-11-20"], "b": ["2026-13-45"]}
    config = {"ops": {"make_collection": {"config": {"workspaces": days}}}}
    assert find_scope(dg.DagsterRun("collection", run_config=config)) == [Scope("a", DAY, DAY)]


def test_a_run_of_one_partition_key_is_found_by_its_tags() -> None:
    tags = {"dagster/partition/workspace": "a", "dagster/partition/day": "2026-11-20"}
    assert find_scope(dg.DagsterRun("collection", tags=tags)) == [Scope("a", DAY, DAY)]
    assert find_scope(dg.DagsterRun("collection")) == []
