"""Make a slice's reports: read what there is, write the pages, publish their numbers.

A report is made whatever failed before it: a table that holds nothing for the day is named in the
report as missing, it is no error.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.domain.reporting.inputs import (
    COVERAGE_DAYS,
    INPUT_COLUMNS,
    RESULT_DAYS,
    ReportInputs,
)
from ytap_assets.domain.reporting.pages import report_days
from ytap_assets.domain.reporting.records import Edition
from ytap_assets.domain.reporting.summary import summarize_days
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.platform import Markdown, Platform, Slice, Written, publish_slice
from ytap_assets.reports.files import index_file, overview_file, report_file, write_report
from ytap_assets.reports.render import (
    OVERVIEW_COLUMNS,
    render_essentials,
    render_index,
    render_overview,
    render_report,
)
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    QUARANTINED_ROWS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    Table,
)

HISTORY_DAYS = 14


def make_reports(slice_: Slice) -> Written:
    """Write one HTML file per day and publish the days' rows of ``workspace_reports``.

    Raises:
        PublishRefusedError: The numbers break the table's structure; the pages are written.
        OSError: A page cannot be written.
    """
    lake, days = slice_.platform.lake, slice_.days or (slice_.now.date(), slice_.now.date())
    edition = Edition(
        workspace_id=slice_.workspace_id,
        name=slice_.workspace.name,
        vertical=slice_.workspace.vertical,
        timezone=slice_.workspace.timezone,
        snapshot_id=lake.snapshot_id(),
        run_id=slice_.run.run_id,
        generated_at=slice_.now,
    )
    inputs = _read_inputs(slice_, edition.snapshot_id, days)
    numbers = _number(slice_, edition, inputs)
    history = _with_history(slice_, days, numbers)
    notes: dict[date, dict[str, Any]] = {}
    for report in report_days(edition, slice_.each_day(), inputs):
        since = report.day - timedelta(days=HISTORY_DAYS - 1)
        recent = history.filter(pl.col("day").is_between(since, report.day))
        path = report_file(slice_.platform.settings, slice_.workspace_id, report.day)
        write_report(path, render_report(report, recent))
        # A browser opens no file for a page it was served, so the report's core is shown itself.
        notes[report.day] = {"essentials": Markdown(render_essentials(report)), "report": path}
    written = publish_slice(slice_, WORKSPACE_REPORTS, numbers)
    _write_index(slice_)
    written.day_notes.update(notes)
    return written


def write_overview(platform: Platform) -> Path:
    """Write the one page over all workspaces: a line for each, with links to its reports.

    The only part of the reports that reads across workspaces. It takes names, days and counts;
    titles and other content stay in the workspaces' own pages.

    Raises:
        OSError: The page cannot be written.
    """
    rows = platform.lake.cross_reader().read_across(WORKSPACE_REPORTS, columns=OVERVIEW_COLUMNS)
    readable, _ = platform.workspaces.readable()
    names = {one.workspace_id: one.name for one in readable}
    return write_report(overview_file(platform.settings), render_overview(names, rows))


def _write_index(slice_: Slice) -> None:
    """The page that lists all of the workspace's reports."""
    everything = slice_.platform.lake.reader(slice_.workspace_id).read(WORKSPACE_REPORTS)
    index = index_file(slice_.platform.settings, slice_.workspace_id)
    write_report(index, render_index(slice_.workspace.name, everything))


def _read_inputs(slice_: Slice, snapshot_id: int, days: Days) -> ReportInputs:
    """Everything from one snapshot, so that the page's numbers agree with each other."""
    reader = slice_.platform.lake.reader(slice_.workspace_id, as_of=snapshot_id)

    def of_the_days(table: Table) -> pl.DataFrame:
        return reader.read(table, days=days, columns=INPUT_COLUMNS.get(table.name))

    def of_days_before(table: Table, number: int) -> pl.DataFrame:
        return reader.read(table, days=(days[0] - timedelta(days=number - 1), days[1]))

    return ReportInputs(
        scored=of_the_days(SCORED_TRENDS),
        raw=of_the_days(RAW_TRENDS),
        quarantined=of_the_days(QUARANTINED_ROWS),
        log=of_the_days(COLLECTION_LOG),
        coverage=of_days_before(COLLECTION_COVERAGE, COVERAGE_DAYS),
        performance=of_days_before(SOURCE_PERFORMANCE, RESULT_DAYS),
        events=reader.read(PRODUCTION_EVENTS),
        videos=reader.read(VIDEOS),
        metrics=reader.read(VIDEO_METRICS, days=(date.min, days[1])),
    )


def _number(slice_: Slice, edition: Edition, inputs: ReportInputs) -> pl.DataFrame:
    """The slice's rows of ``workspace_reports``."""
    settings = slice_.platform.settings
    paths = [
        report_file(settings, slice_.workspace_id, day).relative_to(settings.data).as_posix()
        for day in slice_.each_day()
    ]
    summary = summarize_days(slice_.workspace_id, slice_.each_day(), inputs)
    return summary.with_columns(
        pl.Series("report_path", paths, dtype=pl.String),
        pl.lit(edition.snapshot_id).alias("snapshot_id"),
        pl.lit(edition.generated_at).alias("generated_at"),
    ).select(WORKSPACE_REPORTS.schema.names())


def _with_history(slice_: Slice, days: Days, numbers: pl.DataFrame) -> pl.DataFrame:
    """The numbers with those of the days before, for the charts."""
    before = (days[0] - timedelta(days=HISTORY_DAYS - 1), days[0] - timedelta(days=1))
    earlier = slice_.read(WORKSPACE_REPORTS, days=before)
    return pl.concat([earlier, numbers], how="vertical_relaxed").sort("day")
