"""A batch of events leaves the same log as its events one by one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage

from ytap_assets.defs.event_log import BatchedEventLog

RUN = "0f0e8f6e-6c1b-4a0a-9c53-0d6b5d0f0a11"
TABLES = {
    "event_logs": "*",
    "asset_keys": "id, asset_key, last_materialization, last_run_id",  # and when it was made
    "asset_event_tags": "*",
    "asset_check_executions": "*",
}


def entry(number: int, event: DagsterEvent) -> EventLogEntry:
    return EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        user_message="",
        level="debug",
        run_id=RUN,
        timestamp=1_700_000_000.0 + number,
        job_name="job",
        step_key="step",
        dagster_event=event,
    )


def events(count: int) -> list[EventLogEntry]:
    """Planned and made partitions of two assets, in turns."""
    found = []
    for number in range(count):
        key, partition = dg.AssetKey(f"asset_{number % 2}"), f"2026-11-{number:02}"
        planned = DagsterEvent.build_asset_materialization_planned_event(
            "job", "step", AssetMaterializationPlannedData(key, partition=partition)
        )
        made = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name="job",
            event_specific_data=StepMaterializationData(
                dg.AssetMaterialization(key, partition=partition, tags={"dagster/x": "1"})
            ),
        )
        found += [entry(2 * number, planned), entry(2 * number + 1, made)]
    return found


def stored(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of both databases."""
    rows = {}
    for shard in (RUN, "index"):
        with closing(sqlite3.connect(folder / f"{shard}.db")) as database:
            for table, columns in TABLES.items():
                found = database.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
                rows[f"{shard} {table}"] = found
    return rows


def test_a_batch_leaves_the_rows_that_its_events_leave(tmp_path: Path) -> None:
    stock = SqliteEventLogStorage(str(tmp_path / "stock"))
    for one in events(20):
        stock.store_event(one)
    BatchedEventLog(str(tmp_path / "ours")).store_event_batch(events(20))
    theirs = stored(tmp_path / "stock")
    assert stored(tmp_path / "ours") == theirs
    assert len(theirs["index event_logs"]) == len(theirs[f"{RUN} event_logs"]) == 40


def test_a_batch_that_cannot_be_stored_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = BatchedEventLog(str(tmp_path))
    log.store_event(events(1)[0])
    before = stored(tmp_path)
    prepare = log.prepare_insert_event
    calls = [0]

    def fail_late(event: EventLogEntry) -> Any:
        calls[0] += 1
        if calls[0] == 7:
            raise OSError("disk full")
        return prepare(event)

    with monkeypatch.context() as broken:
        broken.setattr(log, "prepare_insert_event", fail_late)
        with pytest.raises(OSError, match="disk full"):
            log.store_event_batch(events(5))
    assert stored(tmp_path) == before
    log.store_event(events(1)[1])  # and it goes on as before
    assert len(stored(tmp_path)["index event_logs"]) == 2
