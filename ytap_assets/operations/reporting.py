"""Make reports: read what there is, write the pages, publish their numbers.

A report is made whatever failed before it: a table that holds nothing for the day is named in the
report as missing, it is no error.

Each table is read once for a whole batch, from one snapshot, so that the numbers of a page agree
with each other. What is read does not grow with the history before the days reported: of older
days, only the events of scripts that changed since, the last counts of videos that were not
observed, and the windows of days that a page shows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from ytap_assets.domain.reporting.numbers import (
    COVERAGE_DAYS,
    FLOW_DAYS,
    INPUT_COLUMNS,
    KEY,
    OBSERVED,
    RECORD_COLUMNS,
    RESULT_DAYS,
    VIDEO,
    ReportInputs,
    as_calendar,
)
from ytap_assets.domain.reporting.pages import Edition, ReportDay, report_days, summarize_days
from ytap_assets.errors import FileRefusedError
from ytap_assets.file_store import FileStore, find_store
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.reader import BatchReader, Days
from ytap_assets.operations.platform import (
    Batch,
    Markdown,
    Platform,
    Results,
    Slice,
    Written,
    isolated,
    publish_batch,
    split_slices,
)
from ytap_assets.operations.production_inputs import workspace_rules
from ytap_assets.operations.records import read_changed_events, read_visits
from ytap_assets.reports.files import (
    OVERVIEW,
    encode_page,
    list_reports,
    name_index,
    name_month,
    name_report,
)
from ytap_assets.reports.render import (
    INDEX_COLUMNS,
    INDEX_DAYS,
    OVERVIEW_COLUMNS,
    link_next_day,
    render_essentials,
    render_index,
    render_month,
    render_overview,
    render_report,
)
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    PRODUCTION_RECORDS,
    QUARANTINED_ROWS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    Table,
)

_LOG = logging.getLogger(__name__)
_DAY = timedelta(days=1)
_MAX_PAGE_BYTES = 64 * 2**20
_LOOK_BACK = (7, 35)
"""How many days back the last counts of an unobserved video are looked for, before all days are."""
_OWNED = ["workspace_id", "video_id"]
_COUNTS = ["views", "likes", "comments", "engagement_rate_pct"]


@isolated
def make_reports(batch: Batch) -> Results:
    """Write one HTML file per day and publish the days' rows of ``workspace_reports``.

    Returns:
        What was written for each slice, or why nothing was: numbers that break the table's
        structure, whose pages are written. Where a page of a slice cannot be written, there is an
        entry for each of its days. Where the index of a workspace cannot be written, the entries of
        its slices say so, and their rows and pages are stored.
    """
    numbers, reports = _count(batch, batch.platform.lake.snapshot_id())
    stored = _read_stored(batch)
    history = _replace_days(stored, numbers)
    notes: dict[Scope, dict[date, dict[str, Any]]] = {}
    frames: dict[Scope, pl.DataFrame | Exception] = {}
    for slice_, rows in zip(batch.slices, split_slices(batch, numbers).values(), strict=True):
        made, failed = _write_pages(slice_, reports, history)
        notes[slice_.scope] = made
        if not failed:
            frames[slice_.scope] = rows
            continue
        for day in slice_.own_days:
            scope = replace(slice_, days=(day, day)).scope
            notes[scope] = made
            frames[scope] = failed.get(day) or rows.filter(pl.col("day") == day)
    results = publish_batch(batch, WORKSPACE_REPORTS, frames)
    for scope, found in results.items():
        if isinstance(found, Written):
            found.day_notes.update(notes[scope])
    published = [one.frame for one in results.values() if isinstance(one, Written)]
    if published:
        _write_indexes(batch, _replace_days(stored, pl.concat(published)), results)
    return results


def write_overview(platform: Platform) -> None:
    """Write the one page over all workspaces: a line for each, with links to its reports.

    The only part of the reports that reads across workspaces. It takes names, days and counts;
    titles and other content stay in the workspaces' own pages.

    Raises:
        OSError: The page cannot be written.
        FileRefusedError: The server cannot be reached, or refused it.
    """
    rows = platform.lake.cross_reader().read_newest(WORKSPACE_REPORTS, columns=OVERVIEW_COLUMNS)
    readable, _ = platform.workspaces.readable()
    names = {one.workspace_id: one.name for one in readable}
    page = encode_page(render_overview(names, rows))
    find_store(platform.settings).write(OVERVIEW, page)


def _count(
    batch: Batch, snapshot_id: int
) -> tuple[pl.DataFrame, dict[tuple[str, date], ReportDay]]:
    """The batch's rows of ``workspace_reports``, and the content of each day's page."""
    now = batch.now
    inputs = _read_inputs(batch, batch.reader(as_of=snapshot_id))
    calendar = as_calendar((one.workspace_id, day) for one in batch.slices for day in one.own_days)
    summary = summarize_days(calendar, inputs)
    editions = {
        name: Edition(
            workspace_id=name,
            name=workspace.name,
            vertical=workspace.vertical,
            timezone=workspace.timezone,
            snapshot_id=snapshot_id,
            run_id=batch.run.run_id,
            generated_at=now,
            rules=workspace_rules(workspace),
        )
        for name, workspace in batch.workspaces.items()
    }
    reports = {
        (report.edition.workspace_id, report.day): report
        for report in report_days(editions, summary, inputs)
    }
    paths = [name_report(*key) for key in summary.select(KEY).iter_rows()]
    numbers = summary.with_columns(
        pl.Series("report_path", paths, dtype=pl.String),
        pl.lit(snapshot_id).alias("snapshot_id"),
        pl.lit(now).alias("generated_at"),
    )
    return numbers.select(WORKSPACE_REPORTS.schema.names()), reports


def _write_pages(
    slice_: Slice, reports: Mapping[tuple[str, date], ReportDay], history: pl.DataFrame
) -> tuple[dict[date, dict[str, Any]], dict[date, Exception]]:
    """Write the page of every day of a slice.

    Returns:
        What a person sees of each day, and why the pages of the other days were not written.
    """
    store = find_store(slice_.platform.settings)
    recent = history.filter(workspace_id=slice_.workspace_id)
    notes: dict[date, dict[str, Any]] = {}
    failed: dict[date, Exception] = {}
    # From the last day on, so that the next day's page exists when a page links to it.
    for day in reversed(slice_.own_days):
        report = reports[slice_.workspace_id, day]
        path, before, after = (
            name_report(slice_.workspace_id, one) for one in (day, day - _DAY, day + _DAY)
        )
        try:
            page = render_report(report, recent)
            page = link_next_day(page, day + _DAY) if store.exists(after) else page
            store.write(path, encode_page(page))
        except Exception as error:  # whatever it is: the other pages are written
            failed[day] = error
        else:
            # A browser opens no file for a page it was served, so the summary is shown itself.
            essentials = Markdown(render_essentials(report))
            notes[day] = {"essentials": essentials, "report": store.locate(path)}
            if day == slice_.own_days[0]:
                _link_from(store, before, day)
    return notes, failed


def _link_from(store: FileStore, before: str, day: date) -> None:
    """Add the link to a day's page to the page of the day before, if there is one.

    That page may have been edited, or replaced. Its other bytes are kept; a page that cannot be
    read or written stays as it is, and a warning is logged: the day's own report does not need it.
    """
    try:
        content = store.read(before, max_bytes=_MAX_PAGE_BYTES)
        if content is None:
            return
        page = content.decode("utf-8", "surrogateescape")
        linked = link_next_day(page, day).encode("utf-8", "surrogateescape")
        if linked != content:
            store.write(before, linked)
    except (FileRefusedError, OSError) as error:
        _LOG.warning("%s gets no link to the report of %s: %s", store.locate(before), day, error)


def _read_inputs(batch: Batch, reader: BatchReader) -> ReportInputs:
    def read(table: Table, before: int = 0) -> pl.DataFrame:
        columns = list(INPUT_COLUMNS[table.name])
        return batch.read(table, before=before, columns=columns, reader=reader)

    days = [day for one in batch.slices for day in one.own_days]
    records = reader.read(PRODUCTION_RECORDS, columns=[*RECORD_COLUMNS, "video_id"])
    # A record holds from its last event on: the others' states on earlier days are in the log.
    events = read_changed_events(reader, datetime.combine(min(days) + _DAY, time(), UTC))
    videos = read(VIDEOS)
    out = pl.concat([videos.select(_OWNED), records.select(_OWNED)])
    published = videos.select(*_OWNED, pl.col("published_at").dt.date().alias("since"))
    unique = out.drop_nulls().unique().join(published.unique(_OWNED), on=_OWNED, how="left")
    return ReportInputs(
        scored=read(SCORED_TRENDS),
        raw=read(RAW_TRENDS),
        quarantined=read(QUARANTINED_ROWS),
        log=read(COLLECTION_LOG),
        coverage=read(COLLECTION_COVERAGE, before=COVERAGE_DAYS - 1),
        performance=read(SOURCE_PERFORMANCE, before=RESULT_DAYS - 1),
        events=events,
        records=records.select(RECORD_COLUMNS),
        visits=read_visits(
            reader, datetime.combine(min(days) + _DAY - timedelta(days=FLOW_DAYS), time(), UTC)
        ),
        videos=videos,
        metrics=_read_metrics(reader, unique, (min(days), max(days))),
    )


def _read_metrics(reader: BatchReader, videos: pl.DataFrame, days: Days) -> pl.DataFrame:
    """Rows of the days and of the one before, and the last counts of videos not observed then.

    Args:
        reader: The reader of the lake.
        videos: ``workspace_id``, ``video_id``, and ``since``: the date of publication, or null.
        days: First and last day reported.

    Returns:
        Rows of `video_metrics`. Earlier observations of a video are combined into one row: the last
        known value of each column, with the day of the last of them. There is none for a video with
        all counts on the day before. For one with some counts, a week is searched; for one that was
        not observed at all, the whole history.
    """
    columns = list(INPUT_COLUMNS[VIDEO_METRICS.name])
    first = days[0] - _DAY
    found = [reader.read(VIDEO_METRICS, days=(first, days[1]), columns=columns)]
    observed = found[0].filter(pl.col("day") == first)
    complete = observed.drop_nulls(_COUNTS)
    unknown = videos.join(complete, on=_OWNED, how="anti")
    for reach in (*_LOOK_BACK, None):
        last = first - _DAY
        begins = unknown["since"].fill_null(date.min).min()
        if not isinstance(begins, date) or begins > last:
            break
        first = begins if reach is None else max(begins, days[0] - timedelta(days=reach + 1))
        ids = unknown["video_id"].unique().to_list()
        rows = reader.read(
            VIDEO_METRICS, days=(first, last), columns=columns, wanted={"video_id": ids}
        ).join(unknown, on=_OWNED, how="semi")
        found.append(_take_last(rows))
        unknown = unknown.join(pl.concat([observed, rows]), on=_OWNED, how="anti")
    return pl.concat(found)


def _take_last(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per video: the last known value of each column."""
    ordered = rows.with_columns(pl.col("engagement_rate_pct").fill_nan(None))
    last = (
        ordered.sort("day", "observed_at")
        .group_by(VIDEO)
        .agg(pl.col("day", "observed_at").last(), pl.col(OBSERVED).drop_nulls().last())
    )
    return last.select(rows.columns)


def _read_stored(batch: Batch) -> pl.DataFrame:
    """The rows of ``workspace_reports`` that pages of the batch's days, or an index, may list.

    Returns:
        `INDEX_COLUMNS` of the months that end within `INDEX_DAYS` before the first day, and of all
        later days.
    """
    days = (_stored_since(batch), date.max)
    return batch.reader().read(WORKSPACE_REPORTS, days=days, columns=INDEX_COLUMNS)


def _stored_since(batch: Batch) -> date:
    first = min(day for one in batch.slices for day in one.own_days)
    return (first - timedelta(days=INDEX_DAYS - 1)).replace(day=1)


def _replace_days(stored: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Stored rows, with those of the numbers instead where there are any."""
    others = stored.join(numbers, on=KEY, how="anti")
    return pl.concat([others, numbers.select(stored.columns)]).sort(KEY)


def _write_indexes(batch: Batch, rows: pl.DataFrame, results: Results) -> None:
    """Write the pages that list each workspace's reports; one that cannot be written fails alone.

    The index lists the reports of the last `INDEX_DAYS` days. An older month has a page of its own,
    which is written when the index no longer lists all of it, and again when one of its reports is
    made.
    """
    for (name,), own in rows.partition_by("workspace_id", as_dict=True).items():
        mine = [one for one in batch.slices if one.workspace_id == name]
        try:
            _write_index(batch, mine, own)
        except Exception as error:  # whatever it is: the other workspaces have theirs
            results.update(
                {
                    scope: error
                    for scope, found in results.items()
                    if scope.workspace_id == name and isinstance(found, Written)
                }
            )


def _write_index(batch: Batch, slices: list[Slice], rows: pl.DataFrame) -> None:
    store, workspace = find_store(batch.platform.settings), slices[0].workspace
    made = list_reports(store, workspace.workspace_id)
    begin = max(rows["day"]) - timedelta(days=INDEX_DAYS - 1)
    months = sorted({day.replace(day=1) for day in made if day.replace(day=1) < begin})
    new = {day.replace(day=1) for one in slices for day in one.own_days}
    for month in months:
        name = name_month(workspace.workspace_id, month)
        if month in new or not store.exists(name):
            of_month = _read_month(batch, rows, month)
            store.write(name, encode_page(render_month(workspace.name, month, of_month)))
    listed = rows.filter(pl.col("day") >= begin)
    total = listed.height + sum(day < begin for day in made)
    page = render_index(workspace.name, listed, total=total, months=months)
    store.write(name_index(workspace.workspace_id), encode_page(page))


def _read_month(batch: Batch, rows: pl.DataFrame, month: date) -> pl.DataFrame:
    """A workspace's rows of a month; read from the lake if they are not among ``rows``."""
    if month >= _stored_since(batch):
        return rows.filter(pl.col("day").dt.month_start() == month)
    end = (month + timedelta(days=31)).replace(day=1) - _DAY
    reader = batch.platform.lake.reader(rows["workspace_id"][0])
    return reader.read(WORKSPACE_REPORTS, days=(month, end), columns=INDEX_COLUMNS)
