"""Export a workspace's scripts, and store the edits of a table that comes back.

Belongs here: reading the lake for an export, reading a table of edits, and the commit of edits.
Does not belong here: what is an edit (`domain.production.edits`), or histories that come back
(`script_imports`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from ulid import ULID

from ytap_assets.config_keys import MISTYPED, find_nearest
from ytap_assets.domain.production.candidates import list_candidates
from ytap_assets.domain.production.edits import (
    COLUMNS,
    Cells,
    Edit,
    EditPlan,
    RefusedCell,
    defuse,
    find_overtaken,
    list_cells,
    make_edit,
    plan_edits,
)
from ytap_assets.domain.production.events import SCRIPT_PENDING_REVIEW, Event, events_to_frame
from ytap_assets.domain.production.records import CONTEXT_TYPES, read_contexts
from ytap_assets.domain.production.script_lines import write_histories
from ytap_assets.errors import ImportRefusedError, TransitionRefusedError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.reader import BatchReader, Reader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.inboxes import read_wanted
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import fold_unfolded, read_records, refresh_tables
from ytap_assets.operations.review import gather_decisions
from ytap_assets.sources.importing.csv_records import match_names, read_csv_records, read_header
from ytap_assets.sources.importing.records import (
    CELL,
    FAULT,
    Content,
    make_printable,
    read_content,
)
from ytap_assets.tables import PRODUCTION_EVENTS, VIDEO_METRICS

_SHOWN_ID = 100


def export_table(platform: Platform, workspace_id: str, state: str | None = None) -> Iterator[str]:
    """A workspace's scripts as CSV in UTF-8, a line of text at a time, ends included.

    Args:
        platform: The installation.
        workspace_id: Whose scripts.
        state: Only scripts in this state; all if None.

    Raises:
        ConfigError: There is no such workspace.
    """
    platform.workspace(workspace_id)
    scripts = _list_scripts(platform.lake.reader(workspace_id))
    wanted = [cells for cells in scripts.values() if state in (None, cells["state"])]
    yield _write_row(COLUMNS)
    for cells in wanted:
        yield _write_row([defuse(cells[name]) for name in COLUMNS])


def export_histories(
    platform: Platform, workspace_id: str, state: str | None = None
) -> Iterator[str]:
    """A workspace's scripts with all their events, as JSON lines, ends included.

    Args:
        platform: The installation.
        workspace_id: Whose scripts.
        state: Only scripts in this state; all events of the workspace if None.

    Raises:
        ConfigError: There is no such workspace.
    """
    platform.workspace(workspace_id)
    reader = platform.lake.reader(workspace_id)
    if state is None:
        events = reader.read(PRODUCTION_EVENTS)
    else:
        records = read_records(reader, fold_unfolded(reader)).filter(state=state)
        scripts = set(records["script_id"])
        events = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts)
    for line in write_histories(events):
        yield f"{line}\n"


def _write_row(cells: Collection[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _list_scripts(
    reader: Reader, scripts: Collection[str] | None = None
) -> dict[str, dict[str, str]]:
    """The values of a workspace's scripts as texts (`list_cells`); of all scripts if None."""
    records = read_records(reader, fold_unfolded(reader))
    wanted = {"type": CONTEXT_TYPES}
    if scripts is None:
        events = reader.read(PRODUCTION_EVENTS, wanted=wanted)
    else:
        records = records.filter(pl.col("script_id").is_in(list(scripts)))
        events = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts, wanted=wanted)
    contexts = read_contexts(events)
    texts = {script_id: context.text for (_, script_id), context in contexts.items()}
    return list_cells(records, texts, _read_views(reader, set(records["video_id"].drop_nulls())))


def _read_views(reader: BatchReader, videos: Collection[str]) -> dict[str, int]:
    """The last known views, by YouTube video."""
    columns = ["video_id", "observed_at", "views"]
    counts = read_wanted(reader, VIDEO_METRICS, "video_id", videos, columns=columns)
    newest = counts.drop_nulls("views").sort("observed_at", "views").unique("video_id", keep="last")
    return dict(newest.select("video_id", "views").iter_rows())


@dataclass(frozen=True)
class EditTable:
    """A table of edits as read.

    Attributes:
        name: The file's name.
        plan: What it would change, and what is refused.
        ignored: Its columns that are not ours. Untrusted input.
        has_revision: Whether it says which values were exported.
    """

    name: str
    plan: EditPlan
    ignored: tuple[str, ...]
    has_revision: bool


def read_edits(platform: Platform, file: Path, workspace_id: str) -> EditTable:
    """Compare a table with the scripts of a workspace; nothing is written.

    Args:
        platform: The installation.
        file: CSV with the columns of an export, in any order; all but ``id`` may be missing. The
            delimiter may be a comma, a semicolon, a tab or a bar.
        workspace_id: Whose scripts.

    Raises:
        ConfigError: There is no such workspace, or it is archived.
        ImportRefusedError: The file cannot be read, or is no such table.
    """
    platform.workspaces.get_open(workspace_id)
    platform.workspace(workspace_id)
    content = read_content(file)
    with content.open_text() as text:
        header = match_names([make_printable(name) for name in read_header(text).names], COLUMNS)
    _check_header(content, header)
    current = _list_scripts(platform.lake.reader(workspace_id))
    with content.open_text() as text:
        records = read_csv_records(text, COLUMNS, None, lambda cells: cells.get("id") in current)
    names = [name for name in COLUMNS if f"{CELL}{name}" in records.frame.columns]
    rows: list[tuple[str, Mapping[str, str]]] = []
    broken: list[RefusedCell] = []
    cells = records.frame.select(FAULT, *(f"{CELL}{name}" for name in names)).iter_rows()
    for place, (fault, *values) in zip(records.places, cells, strict=True):
        where = f"{content.name}, {place}"
        if fault is not None:
            broken.append(RefusedCell(where, "?", None, fault))
        else:
            rows.append((where, dict(zip(names, [value or "" for value in values], strict=True))))
    plan = plan_edits(rows, current)
    plan.refused[:0] = broken
    ignored = tuple(name for name in header if name and name not in COLUMNS)
    return EditTable(content.name, plan, ignored, "revision" in header)


def _check_header(content: Content, header: list[str]) -> None:
    """Refuse a file that is no table of scripts, or of which a column would be ignored by mistake.

    Raises:
        ImportRefusedError: It is; the message names the columns.
    """
    if "id" not in header:
        raise ImportRefusedError(
            f"{content.name}: has no column `id`; `ytap script export` writes such a table"
        )
    absent = [name for name in COLUMNS if name not in header]
    for name in header:
        if name in COLUMNS and header.count(name) > 1:
            raise ImportRefusedError(f"{content.name}: the column `{name}` is there twice")
        meant = find_nearest(name, absent, cutoff=MISTYPED) if name not in COLUMNS else None
        if meant is not None:
            raise ImportRefusedError(
                f"{content.name}: unknown column {name[:_SHOWN_ID]!r}; did you mean `{meant}`?"
            )


def store_edits(
    platform: Platform, edits: Collection[Edit], *, workspace_id: str, actor: str, run: Run
) -> tuple[list[Edit], list[RefusedCell]]:
    """Store edits of scripts in review, with the records that follow, in one commit.

    An edit is refused if the script has left its review, or a value that it changes is no longer
    the one that it was compared with. Decisions of the approvals file that do not count yet are
    received before the edit, so that they do not count for the edited script.

    Args:
        platform: The installation.
        edits: What `read_edits` found.
        workspace_id: Whose scripts.
        actor: The name of the person who edits.
        run: Who stores them.

    Returns:
        The edits that were stored, and what was refused.

    Raises:
        ConfigError: There is no such workspace, or it is archived.
        TransitionRefusedError: The person may not decide in the workspace: an edit changes what
            the rules for approvals depend on.
    """
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    if not edits:
        return [], []
    slice_ = platform.slice(workspace_id, None, run)
    now = platform.now()
    stored: list[Edit] = []
    refused: list[RefusedCell] = []
    with platform.lake.write(run) as transaction:
        scripts = {edit.script_id for edit in edits}
        current = _list_scripts(transaction.reader(workspace_id), scripts)
        _, evidence = gather_decisions(transaction, slice_, scripts)
        if stranger := evidence.rules.find_stranger(actor):
            raise TransitionRefusedError(f"{stranger}; nothing was stored")
        candidates = {
            one.record.script_id: one
            for one in list_candidates(evidence, "edit", SCRIPT_PENDING_REVIEW, now)
        }
        events: list[Event] = []
        for edit in edits:
            cells: Cells | None = current.get(edit.script_id)
            if (reason := find_overtaken(edit, cells)) is not None:
                refused.append(RefusedCell(edit.place, edit.script_id, None, reason))
                continue
            candidate = candidates[edit.script_id]
            event = make_edit(
                workspace_id,
                edit,
                title=candidate.record.title,
                text=candidate.context.text,
                event_id=str(ULID.from_datetime(now)),
                actor=f"person:{actor}",
                at=max(now, candidate.record.subject_since),
            )
            events += candidate.append(event)
            stored.append(edit)
        if events:
            rows = events_to_frame(events, recorded_at=now)
            transaction.append(check_rows(PRODUCTION_EVENTS, rows, Scope(workspace_id)))
            refresh_tables(transaction, [Scope(workspace_id)])
    return stored, refused
