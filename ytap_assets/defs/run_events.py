"""What a run reports to Dagster: materializations, failed partitions and check results.

A run over hundreds of partitions reports them in batches (ADR 10), since each single report takes a
commit to the event log. A batch has events of one kind, and of a kind that Dagster's logs take in
batches, since the log in PostgreSQL refuses others.
The outputs of the step are not used: Dagster would report one
materialization without a partition for a run that was started without a partition key.
"""

import base64
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from uuid import uuid4

import dagster as dg
import polars as pl
from dagster._core.events import (
    BATCH_WRITABLE_EVENTS,
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    DagsterEventBatchMetadata,
    StepMaterializationData,
)

from ytap_assets.defs.event_log import BatchedEventLog
from ytap_assets.defs.partitions import partition_keys
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.platform import Markdown, Picture, Platform, Written
from ytap_assets.tables import Table

_ROWS = "dagster/row_count"
_PARTITION_ROWS = "dagster/partition_row_count"
_PREVIEW_ROWS = 5
_PREVIEW_COLUMNS = 8
_PREVIEW_WIDTH = 60
Type = dg.DagsterEventType


class RunEvents:
    """Collects the events of a step and stores them in batches."""

    _last_ms: ClassVar[int] = 0
    """The time of the newest event of this process, in ms."""

    def __init__(self, context: dg.OpExecutionContext) -> None:
        """Take the context of the step."""
        self._run = context.run
        self._instance = context.instance
        self._step = context.get_step_execution_context()
        self._events: list[DagsterEvent] = []

    def add_materializations(
        self, table: Table, shown: Mapping[str, Mapping[str, dg.MetadataValue]]
    ) -> None:
        """A materialization of each partition, by key, with its metadata."""
        for key, metadata in shown.items():
            made = dg.AssetMaterialization(table.name, partition=key, metadata=metadata)
            data = StepMaterializationData(made, [])
            self._add(Type.ASSET_MATERIALIZATION, data, f"Materialized {table.name} {key}.")

    def add_failure(self, name: str, scope: Scope) -> None:
        """Mark the partitions of a slice as failed: planned in this run, which fails."""
        if self._run.is_partitioned:
            return  # Dagster planned them itself when the run was made
        for key in partition_keys(scope):
            data = AssetMaterializationPlannedData(dg.AssetKey(name), partition=key)
            self._add(Type.ASSET_MATERIALIZATION_PLANNED, data, f"{name} {key} failed.")

    def add_row_counts(
        self, platform: Platform, tables: Iterable[Table], *, anew: bool = False
    ) -> None:
        """The rows of tables without a step of their own.

        A materialization is what the catalog shows, but it makes the checks before it outdated,
        also failed ones. So it is one where ``anew`` and the first time; otherwise it is an
        observation.
        """
        reader = platform.lake.cross_reader()
        for table in tables:
            key = dg.AssetKey(table.name)
            rows = {_ROWS: reader.count_rows(table)}
            if anew or self._instance.get_latest_materialization_event(key) is None:
                made = dg.AssetMaterialization(key, metadata=rows)
                data = StepMaterializationData(made, [])
                self._add(Type.ASSET_MATERIALIZATION, data, f"Counted the rows of {table.name}.")
            else:
                seen = AssetObservationData(dg.AssetObservation(key, metadata=rows))
                self._add(Type.ASSET_OBSERVATION, seen, f"Counted the rows of {table.name}.")

    def add_checks(self, results: Iterable[dg.AssetCheckEvaluation]) -> None:
        """The result of each check."""
        for one in results:
            outcome = "passed" if one.passed else f"failed: {one.description}"
            text = f"Check {one.check_name} of {one.asset_key.to_user_string()} {outcome}."
            self._add(Type.ASSET_CHECK_EVALUATION, one, text)

    def flush(self) -> None:
        """Store what was collected, in a batch of each kind.

        Materializations are in the order of their partitions, so that the last day of a range is
        the latest one. No two events share a millisecond: the UI shows one event of an asset a
        millisecond, and takes any that share one for the latest.
        """
        events, self._events = self._events, []
        kinds = dict.fromkeys(event.event_type for event in events)
        takes_all = isinstance(self._instance.event_log_storage, BatchedEventLog)
        for kind in kinds:
            batch = str(uuid4())
            own = [event for event in events if event.event_type == kind]
            if kind == Type.ASSET_MATERIALIZATION:
                own.sort(key=_order)
            is_batch = kind in BATCH_WRITABLE_EVENTS or takes_all
            for number, event in enumerate(own, 1):
                part = DagsterEventBatchMetadata(batch, is_end=number == len(own))
                self._instance.report_dagster_event(
                    event,
                    self._run.run_id,
                    batch_metadata=part if is_batch else None,
                    timestamp=self._next_timestamp(),
                )

    @classmethod
    def _next_timestamp(cls) -> float:
        now = time.time()
        cls._last_ms = max(int(now * 1000), cls._last_ms + 1)
        return max(now, (cls._last_ms + 0.2) / 1000)  # not rounded to the one before

    def _add(self, kind: dg.DagsterEventType, data: Any, message: str) -> None:
        self._events.append(
            DagsterEvent(
                event_type_value=kind.value,
                job_name=self._run.job_name,
                step_handle=self._step.step.handle,
                node_handle=self._step.step.node_handle,
                step_kind_value=self._step.step.kind.value,
                logging_tags=self._step.event_tags,
                event_specific_data=data,
                message=message,
                pid=os.getpid(),
            )
        )


def _order(event: DagsterEvent) -> tuple[str, str]:
    key = event.asset_key
    return key.to_user_string() if key else "", event.partition or ""


def describe_partitions(
    table: Table, written: Mapping[Scope, Written], platform: Platform
) -> dict[str, dict[str, Any]]:
    """What the UI shows of every partition that was written, by key: its own, not the run's.

    Days after a slice that were brought up to date with it are among them, unless they are part of
    another slice.
    """
    shown: dict[str, dict[str, Any]] = {}
    stored = _count_stored(written, table, platform) if table.mode == "append" and written else {}
    for scope, one in written.items():
        for own, rows in split_days(table, scope, one.frame).items():
            [key] = partition_keys(own)
            count = stored.get((own.workspace_id, own.first_day), 0) if stored else rows.height
            shown[key] = {
                "rows": count,
                **({"rows_appended": rows.height} if table.mode == "append" else {}),
                _PARTITION_ROWS: count,
                "snapshot_id": one.snapshot_id,
                "preview": dg.MetadataValue.md(preview(rows)),
                **_describe_notes(one, scope, own),
            }
    for scope, one in written.items():
        for day, rows_of_day in one.later.items():
            [key] = partition_keys(Scope(scope.workspace_id, day, day))
            metadata = {
                "snapshot_id": one.snapshot_id,
                "brought_up_to_date_with": str(scope),
                "rows": rows_of_day,
                _PARTITION_ROWS: rows_of_day,
            }
            shown.setdefault(key, metadata)
    return shown


def split_days(table: Table, scope: Scope, frame: pl.DataFrame) -> dict[Scope, pl.DataFrame]:
    """A slice's rows by partition; those of a partition without rows are an empty frame."""
    if not table.by_day or scope.days is None:
        return {scope: frame}
    if scope.first_day == scope.last_day:
        return {scope: frame}
    rows = {day: own for (day,), own in frame.partition_by("day", as_dict=True).items()}
    return {
        Scope(scope.workspace_id, day, day): rows.get(day, frame.clear())
        for day in scope.each_day()
    }


def _count_stored(
    written: Iterable[Scope], table: Table, platform: Platform
) -> dict[tuple[str, Any], int]:
    """The rows that an appended table holds by now, by workspace and day, in one read."""
    scopes = list(written)
    reader = platform.lake.batch_reader(sorted({scope.workspace_id for scope in scopes}))
    ranges = [scope.days for scope in scopes if scope.days is not None]
    whole = (min(days[0] for days in ranges), max(days[1] for days in ranges)) if ranges else None
    return reader.count_partitions(table, days=whole)


def _describe_notes(written: Written, scope: Scope, own: Scope) -> dict[str, Any]:
    """The notes of a partition; those of a range that is longer say which days they are of."""
    of_day = written.day_notes.get(own.first_day, {}) if own.first_day else {}
    of_range = "" if own == scope else f" ({scope.days_text})"
    notes = {
        f"{name}{of_range}": value for name, value in written.notes.items() if name not in of_day
    } | of_day
    return {name: _show_note(value) for name, value in notes.items()}


def _show_note(value: object) -> Any:
    """A note as metadata of the UI; a picture as an image, in which SVG cannot run scripts."""
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    if not isinstance(value, Picture):
        return value
    data = base64.b64encode(value.svg.encode()).decode()
    return dg.MetadataValue.md(f"![{value.words}](data:image/svg+xml;base64,{data})")


def preview(rows: pl.DataFrame) -> str:
    """The first rows and columns as a Markdown table; the workspace is the partition's.

    Cells are untrusted input: each is cut, and is code, in which nothing is markup or a link.
    """
    if rows.is_empty():
        return "no rows"
    names = [
        name for name, dtype in rows.schema.items() if dtype != pl.Binary and name != "workspace_id"
    ]
    head = rows.select(names[:_PREVIEW_COLUMNS]).head(_PREVIEW_ROWS)
    lines = [f"| {' | '.join(head.columns)} |", "|" + " --- |" * head.width]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in head.iter_rows()]
    if more := names[_PREVIEW_COLUMNS:]:
        lines += ["", f"Not shown: {', '.join(more)}"]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    cut = text if len(text) <= _PREVIEW_WIDTH else text[: _PREVIEW_WIDTH - 1] + "…"
    plain = cut.replace("`", "'").replace("|", "¦")
    return f"`{plain}`" if plain else ""
