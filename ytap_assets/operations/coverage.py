"""Coverage of a batch: what its sources answered, and what can still be had."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.coverage import describe_coverage, summarize_by_source
from ytap_assets.operations.platform import (
    Batch,
    Picture,
    Results,
    Slice,
    Written,
    for_each_slice,
    isolated,
    publish_batch,
    split_slices,
)
from ytap_assets.reports.charts import draw_coverage
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.tables import COLLECTION_COVERAGE, COLLECTION_LOG, RAW_TRENDS

_PLAN = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "source": pl.String,
        "target": pl.String,
        "history": pl.String,
        "lacks_key": pl.Boolean,
    }
)


@isolated
def cover_slices(batch: Batch) -> Results:
    """Publish the batch's rows of ``collection_coverage``, with a picture of each workspace.

    What is wanted is what the config says today: what it said then is not recorded, but a target
    that was asked then counts.

    Returns:
        As `publish_batch`, or what was raised (`isolated`).
    """
    plans = for_each_slice(batch, _plan)
    planned = [plan for plan in plans.values() if isinstance(plan, pl.DataFrame)]
    coverage = describe_coverage(
        pl.concat([pl.DataFrame(schema=_PLAN), *planned]),
        _trend_log(batch),
        _read_imported(batch),
        today=batch.now.date(),
    )
    failed = {scope: plan for scope, plan in plans.items() if isinstance(plan, Exception)}
    results = publish_batch(batch, COLLECTION_COVERAGE, {**split_slices(batch, coverage), **failed})
    for slice_ in batch.slices:
        written = results[slice_.scope]
        if isinstance(written, Written):
            _describe(slice_, written)
    return results


def _describe(slice_: Slice, written: Written) -> None:
    """Add the counts of each day, and the picture."""
    days = slice_.days
    if days is None:
        return
    states: dict[date, Counter[str]] = {day: Counter() for day in slice_.each_day()}
    for day, state in written.frame.select("day", "state").iter_rows():
        states[day][f"targets {state}"] += 1
    written.day_notes.update({day: dict(sorted(each.items())) for day, each in states.items()})
    drawn = draw_coverage(summarize_by_source(written.frame).iter_rows(), *days)
    if drawn:
        name = f"coverage of {slice_.workspace_id}"
        written.notes[name] = Picture(drawn, f"{name}, {slice_.scope.days_text}")


def _plan(slice_: Slice) -> pl.DataFrame:
    workspace = slice_.workspace
    if not workspace.collects:
        return pl.DataFrame(schema=_PLAN)
    settings = slice_.platform.settings
    is_replay = settings.transport == "replay"

    def present(day: date) -> datetime:
        """Under replay a day is visited in its own present."""
        return datetime.combine(day, time.max, UTC) if is_replay else slice_.now

    lacks_key = {one: not is_replay and one.lacks_key(settings) for one in CATALOG.trends}
    rows = [
        (workspace.workspace_id, day, source.name, target, source.history, lacks_key[source])
        for source in CATALOG.trends
        for target in source.targets(workspace)
        for day in slice_.each_day()
        if source.due_from(day) <= present(day)
    ]
    return pl.DataFrame(rows, schema=_PLAN, orient="row")


def _trend_log(batch: Batch) -> pl.DataFrame:
    """The fetches of trends; those of video counts belong to no list."""
    names = sorted({source.name for source in CATALOG.trends})
    return batch.read(COLLECTION_LOG, wanted={"source": names})


def _read_imported(batch: Batch) -> pl.DataFrame:
    """The batch's observations that came from files.

    A file's entry in the log is that of its last day, so the names are looked for in all days.
    """
    collection = ["workspace_id", "collection_id"]
    files = batch.reader().read(COLLECTION_LOG, columns=collection, wanted={"history": ["file"]})
    columns = [*collection, "day", "source"]
    if files.is_empty():
        return RAW_TRENDS.empty().select(columns)
    return batch.read(RAW_TRENDS, columns=columns).join(files, on=collection, how="semi")
