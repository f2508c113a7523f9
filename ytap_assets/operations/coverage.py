"""Coverage of a slice: what its sources answered, and what can still be had."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.coverage import describe_coverage, summarize_by_source
from ytap_assets.operations.platform import Picture, Slice, Written, publish_slice
from ytap_assets.reports.coverage import draw_coverage
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


def cover_slice(slice_: Slice) -> Written:
    """Publish the slice's rows of ``collection_coverage``, with a picture of them.

    What is wanted is what the config says today: what it said then is not recorded, but a target
    that was asked then counts.
    """
    coverage = describe_coverage(
        _plan(slice_), _trend_log(slice_), _read_imported(slice_), today=slice_.now.date()
    )
    written = publish_slice(slice_, COLLECTION_COVERAGE, coverage)
    for day in slice_.each_day():
        counts = coverage.filter(day=day).group_by("state").len().sort("state")
        written.day_notes[day] = {f"targets {state}": rows for state, rows in counts.iter_rows()}
    days = slice_.days
    drawn = days and draw_coverage(summarize_by_source(coverage).iter_rows(), *days)
    if drawn:
        name = f"coverage of {slice_.workspace_id}"
        written.notes[name] = Picture(drawn, f"{name}, {slice_.scope.days_text}")
    return written


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


def _trend_log(slice_: Slice) -> pl.DataFrame:
    """The fetches of trends: those of video counts speak of no list."""
    names = sorted({source.name for source in CATALOG.trends})
    return slice_.read(COLLECTION_LOG).filter(pl.col("source").is_in(names))


def _read_imported(slice_: Slice) -> pl.DataFrame:
    """The slice's observations that came from files.

    A file's entry in the log is that of its last day, so the names are looked for in all days.
    """
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    files = reader.read(COLLECTION_LOG, columns=["collection_id"], wanted={"history": ["file"]})
    columns = ["workspace_id", "day", "source", "collection_id"]
    return slice_.read(RAW_TRENDS, columns=columns).join(files, on="collection_id", how="semi")
