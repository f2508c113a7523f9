"""What a step reports to Dagster, and how it is stored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.storage.event_log import SqliteEventLogStorage

from ytap_assets.defs.run_events import RunEvents
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.tables import SCORED_TRENDS

DAYS = [f"2026-11-{number:02}|tech" for number in (20, 18, 19, 16, 17)]
kind = dg.DagsterEventType
KEY = dg.AssetKey(SCORED_TRENDS.name)


def report(instance: dg.DagsterInstance, keys: Sequence[str]) -> None:
    """A run whose step reports materializations, checks, and a failure."""

    @dg.op
    def make(context: dg.OpExecutionContext) -> None:
        events = RunEvents(context)
        evaluation = dg.AssetCheckEvaluation(KEY, "key", passed=True, metadata={})
        for key in keys:
            events.add_materializations(SCORED_TRENDS, {key: {"rows": dg.MetadataValue.int(1)}})
            events.add_checks([evaluation])
        events.add_failure(SCORED_TRENDS.name, Scope("tech"))
        events.flush()

    @dg.job
    def job() -> None:
        make()

    assert job.execute_in_process(instance=instance).success


def test_materializations_are_in_the_order_of_partitions_and_share_no_millisecond() -> None:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        time_machine.travel("2026-11-20 12:00:00.0001Z", tick=False),
    ):
        report(instance, DAYS)
        report(instance, ["2026-11-21|tech"])
        found = instance.fetch_materializations(KEY, limit=10)

    assert [one.partition_key for one in found.records] == sorted([*DAYS, "2026-11-21|tech"])[::-1]
    stamps = [int(one.timestamp * 1000) for one in found.records]
    assert len(set(stamps)) == len(stamps)
    assert stamps == sorted(stamps, reverse=True)


@pytest.mark.parametrize("takes_all", [True, False])
def test_a_batch_has_events_of_one_kind_that_the_log_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, takes_all: bool
) -> None:
    batches: list[set[Any]] = []
    store = SqliteEventLogStorage.store_event_batch

    def note(log: SqliteEventLogStorage, events: Any) -> None:
        batches.append({event.dagster_event_type for event in events})
        store(log, events)

    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", note)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    log = {"module": "ytap_assets.defs.event_log", "class": "BatchedEventLog"}
    own = {"event_log_storage": log | {"config": {"base_dir": str(tmp_path)}}}
    settings = {"telemetry": {"enabled": False}} | (own if takes_all else {})
    with dg.DagsterInstance.local_temp(str(tmp_path), settings) as instance:
        report(instance, DAYS)
        [run] = instance.get_runs()
        checks = instance.all_logs(run.run_id, of_type=kind.ASSET_CHECK_EVALUATION)

    expected = [{kind.ASSET_MATERIALIZATION}, {kind.ASSET_CHECK_EVALUATION}]
    assert batches == expected[: 2 if takes_all else 1]
    assert len(checks) == len(DAYS)
