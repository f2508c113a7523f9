"""Stored state of inbox files: cursors and an index of lines in the lake.

A run parses only the lines after the cursor of their file. New lines are stored in ``inbox_lines``,
so that a decision or an upload without an effect yet can have one later. Lines that cannot be read
go to ``quarantined_rows``, once each. Belongs here: what is stored of inbox files. Does not belong
here: the files (`inbox_files`), or the effects of their lines.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import polars as pl

from ytap_assets.domain.production.events import dump_json
from ytap_assets.domain.production.inbox import Decision, Submission, Upload
from ytap_assets.domain.production.jobs import JobReport, read_job
from ytap_assets.domain.production.lines import BadLine, Fields, Line, parse_object
from ytap_assets.lakehouse.checks import CheckedRows, PublishRefusedError, Scope, check_batch
from ytap_assets.lakehouse.errors import LakeError
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.reader import BatchReader, Days
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    INBOX_FILES,
    JOBS,
    SCRIPTS,
    UPLOADS,
    Cursor,
    InboxFile,
    OpenedFile,
    compare_inbox,
    open_inbox,
)
from ytap_assets.operations.platform import Slice
from ytap_assets.operations.pushed_files import open_pushed
from ytap_assets.settings import Settings
from ytap_assets.tables import (
    COLLECTION_LOG,
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_RECORDS,
    PUSHED_FILES,
    QUARANTINED_ROWS,
    Table,
)
from ytap_assets.workspaces import Workspaces

SOURCE = "inbox"
MANY = 5_000
"""More values than this are not put into a condition: all rows are read, and then filtered."""

_CURSOR = tuple(field.name for field in fields(Cursor))
_CURSOR_COLUMNS = ("workspace_id", "file", *_CURSOR)
_GENERATION = ["workspace_id", "file", "generation"]
Files = Mapping[str, InboxFile]


@dataclass(frozen=True)
class Inboxes:
    """The inbox files of several workspaces.

    Attributes:
        files: The files of each workspace, by name.
        cursors: The cursors that are stored.
        failed: The workspaces whose files cannot be read, with the reason.
    """

    files: dict[str, dict[str, InboxFile]]
    cursors: dict[tuple[str, str], Cursor]
    failed: dict[str, Exception]

    @property
    def read(self) -> pl.DataFrame:
        """The files of which lines are stored: ``workspace_id``, ``file``, ``generation``."""
        return _frame_generations(
            (workspace_id, name, file.opened.cursor.generation)
            for workspace_id, files in self.files.items()
            for name, file in files.items()
            if file.opened.cursor.size_bytes
        )

    def rows(self, workspace_id: str, name: str) -> tuple[Any, ...]:
        """The content of the new lines of a file."""
        return self.files[workspace_id][name].parsed.rows


def _frame_generations(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    schema = {"workspace_id": pl.String, "file": pl.String, "generation": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def open_inboxes(slices: Iterable[Slice], reader: BatchReader) -> Inboxes:
    """Read what is new in the inbox files of several workspaces.

    Args:
        slices: The workspaces.
        reader: Reads these workspaces.
    """
    slices, cursors = list(slices), _read_cursors(reader)
    opened: dict[tuple[str, str], OpenedFile] = {}
    failed: dict[str, Exception] = {}
    if slices and slices[0].platform.settings.workspace_source == "lake":
        opened = open_pushed(reader.read, [one.workspace_id for one in slices], cursors)
        slices = []
    for one in slices:
        folder = one.platform.workspaces.folder(one.workspace_id)
        try:
            for name in INBOX_FILES:
                key = (one.workspace_id, name)
                opened[key] = open_inbox(folder, name, cursors.get(key))
        except Exception as error:  # whatever it is: the other workspaces are worked on
            failed[one.workspace_id] = error
    earlier, accepted = _read_earlier(reader, opened)
    files: dict[str, dict[str, InboxFile]] = defaultdict(dict)
    for (workspace_id, name), one_file in opened.items():
        if workspace_id not in failed:
            files[workspace_id][name] = compare_inbox(
                one_file,
                earlier.get((workspace_id, name), ()),
                accepted=accepted.get(workspace_id) if name == SCRIPTS else None,
            )
    return Inboxes(dict(files), cursors, failed)


def _read_cursors(reader: BatchReader) -> dict[tuple[str, str], Cursor]:
    return _to_cursors(reader.read(INBOX_CURSORS, columns=_CURSOR_COLUMNS))


def _to_cursors(rows: pl.DataFrame) -> dict[tuple[str, str], Cursor]:
    cursors: dict[tuple[str, str], Cursor] = {}
    for workspace_id, name, *values in rows.iter_rows():
        stored: list[Any] = [tuple(one) if isinstance(one, list) else one for one in values]
        cursors[workspace_id, name] = Cursor(*stored)
    return cursors


def _read_earlier(
    reader: BatchReader, opened: Mapping[tuple[str, str], OpenedFile]
) -> tuple[dict[tuple[str, str], list[Any]], dict[str, dict[str, str]]]:
    """What earlier lines say of the scripts and videos in new lines.

    Returns:
        What the earlier lines of a file say, by file; and the digests with which scripts were first
        accepted, also from lines before their file was rewritten, by workspace and script.
    """
    continued = {
        key: one for key, one in opened.items() if one.cursor.size_bytes and one.lines.good
    }
    rewritten = {
        key: one
        for key, one in opened.items()
        if key[1] == SCRIPTS and one.cursor.generation > 1 and one.lines.good
    }
    if not continued and not rewritten:
        return {}, {}
    generations = _frame_generations(
        (*key, one.cursor.generation) for key, one in continued.items()
    )
    scripts = {
        line.row.script_id
        for (_, name), one in (continued | rewritten).items()
        if name != UPLOADS
        for line in one.lines.good
    }
    parts = []
    if scripts:
        parts.append(read_lines_of(reader, scripts, files=(SCRIPTS, APPROVALS, JOBS)))
    if any(name == UPLOADS for _, name in continued):  # a new line may be about any video
        parts.append(reader.read(INBOX_LINES, wanted={"file": [UPLOADS]}))
    stored = pl.concat(parts)
    rows = stored.join(generations, on=generations.columns, how="semi")
    earlier: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows.sort("line").iter_rows(named=True):
        key = (row["workspace_id"], row["file"])
        earlier[key].append(
            (row["script_id"], row["digest"]) if row["file"] == SCRIPTS else _from_row(row)
        )
    accepted: dict[str, dict[str, str]] = defaultdict(dict)
    first = stored.filter(file=SCRIPTS).sort("generation", "line")
    for workspace_id, script_id, digest in first.select(
        "workspace_id", "script_id", "digest"
    ).iter_rows():
        accepted[workspace_id].setdefault(script_id, digest)
    return earlier, accepted


@dataclass(frozen=True)
class InboxState:
    """What a check-up looks at of one workspace's inbox files.

    Attributes:
        files: The files by name, each read from its cursor on.
        ahead: How many decisions are dated ahead of the clock.
        uploads: Its uploads, in the order of the file.
        states: The states of the scripts of these uploads.
    """

    files: dict[str, InboxFile]
    ahead: int
    uploads: list[Upload]
    states: dict[str, str]


def inspect_inboxes(
    settings: Settings, workspaces: Workspaces, now: datetime
) -> dict[str, InboxState] | None:
    """The inbox files of workspaces, by workspace; nothing is changed.

    Where the lake cannot be read, the files are read from their beginning. None if they are in the
    lake, too.

    Args:
        settings: The installation.
        workspaces: Its workspaces.
        now: The present.
    """
    names = workspaces.ids()
    found: dict[tuple[str, str], OpenedFile] | None = None
    stored, ahead, named = INBOX_CURSORS.empty(), INBOX_LINES.empty(), INBOX_LINES.empty()
    records = PRODUCTION_RECORDS.empty().select("workspace_id", "script_id", "state")
    upload = ["script_id", "video_id", "channel_id", "published_at"]
    # What is wrong with the lake is another finding of the same check-up.
    with suppress(LakeError), inspect_lake(settings) as inspection:
        columns = [*_GENERATION, "line", *upload]
        # All or none: cursors without the lines before them would hide these lines.
        stored, ahead, named, records = (
            inspection.read(INBOX_CURSORS, _CURSOR_COLUMNS),
            inspection.read(INBOX_LINES, _GENERATION, known="decided_at", after=now),
            inspection.read(INBOX_LINES, columns, known="video_id").sort("line"),
            inspection.read(PRODUCTION_RECORDS, records.columns),
        )
        if settings.workspace_source == "lake" and inspection.has(PUSHED_FILES):
            read = inspection.cross_reader().read_across
            found = open_pushed(read, names, _to_cursors(stored))
    if settings.workspace_source == "folder":
        cursors = _to_cursors(stored)
        found = {
            (name, file): open_inbox(workspaces.folder(name), file, cursors.get((name, file)))
            for name in names
            for file in INBOX_FILES
        }
    if found is None:
        return None
    current = _frame_generations(
        (*key, one.cursor.generation) for key, one in found.items() if one.cursor.size_bytes
    )
    waiting = Counter(ahead.join(current, on=_GENERATION, how="semi")["workspace_id"])
    uploads: dict[str, list[Upload]] = defaultdict(list)
    known = named.join(current, on=_GENERATION, how="semi", maintain_order="left")
    for workspace_id, *values in known.select("workspace_id", *upload).iter_rows():
        uploads[workspace_id].append(Upload(*values))
    opened: dict[str, dict[str, InboxFile]] = defaultdict(dict)
    for (name, file), one in found.items():
        # A second video of a script is refused, so the first one has to be known.
        opened[name][file] = compare_inbox(one, uploads[name] if file == UPLOADS else ())
    uploaded = {one.script_id for own in uploads.values() for one in own}
    uploaded |= {one.script_id for files in opened.values() for one in files[UPLOADS].parsed.rows}
    states: dict[str, dict[str, str]] = defaultdict(dict)
    for workspace_id, script_id, state in records.filter(
        pl.col("script_id").is_in(list(uploaded))
    ).iter_rows():
        states[workspace_id][script_id] = state
    return {
        name: InboxState(
            files,
            waiting[name] + sum(one.at > now for one in files[APPROVALS].parsed.rows),
            [*uploads[name], *files[UPLOADS].parsed.rows],
            states[name],
        )
        for name, files in opened.items()
    }


def read_lines_of(
    reader: BatchReader, scripts: Collection[str], *, files: Sequence[str]
) -> pl.DataFrame:
    """Rows of ``inbox_lines`` about scripts, of all generations.

    Args:
        reader: Reads the workspaces.
        scripts: The scripts.
        files: The names of the files.
    """
    if not scripts:
        return INBOX_LINES.empty()
    return read_wanted(reader, INBOX_LINES, "script_id", scripts, wanted={"file": files})


def read_wanted(
    reader: BatchReader,
    table: Table,
    column: str,
    values: Collection[str],
    *,
    columns: Sequence[str] | None = None,
    wanted: Mapping[str, Sequence[str]] | None = None,
) -> pl.DataFrame:
    """Rows with one of many values in a column, and others as wanted.

    Args:
        reader: Reads the workspaces.
        table: What to read.
        column: The column.
        values: Its values.
        columns: Which columns, in this order; all if None.
        wanted: Column -> values to keep.
    """
    if not values:
        rows = table.empty()
        return rows.select(columns) if columns else rows
    others = dict(wanted or {})
    if len(values) <= MANY:
        return reader.read(table, columns=columns, wanted={**others, column: sorted(values)})
    names = list(dict.fromkeys([*(columns or table.schema), column]))
    rows = reader.read(table, columns=names, wanted=others)
    kept = rows.join(pl.DataFrame({column: list(values)}), on=column, how="semi")
    return kept.select(columns) if columns else kept


@dataclass(frozen=True)
class Said:
    """What the lines of the inbox files say, by workspace and in the order of the file.

    Attributes:
        decisions: The decisions of people.
        uploads: The uploaded videos.
        jobs: The reports of generators.
    """

    decisions: Mapping[str, Sequence[Decision]]
    uploads: Mapping[str, Sequence[Upload]]
    jobs: Mapping[str, Sequence[JobReport]]


def collect_lines(rows: pl.DataFrame, inboxes: Inboxes) -> Said:
    """What lines say: first stored lines, then the new ones.

    Args:
        rows: Rows of ``inbox_lines``, except those of scripts.
        inboxes: The files.
    """
    current = inboxes.read
    said: dict[str, dict[str, list[Any]]] = {
        file: {name: [] for name in inboxes.files} for file in (APPROVALS, UPLOADS, JOBS)
    }
    stored = rows.join(current, on=current.columns, how="semi").sort("line")
    for row in stored.iter_rows(named=True):
        said[row["file"]][row["workspace_id"]].append(_from_row(row))
    for file, own in said.items():
        for workspace_id in inboxes.files:
            own[workspace_id] += inboxes.rows(workspace_id, file)
    return Said(said[APPROVALS], said[UPLOADS], said[JOBS])


def _from_row(row: Mapping[str, Any]) -> Decision | Upload | JobReport:
    if row["file"] == APPROVALS:
        return Decision(
            row["script_id"], row["act"], row["actor"], row["decided_at"], row["reason"]
        )
    if row["file"] == JOBS:
        return read_job(Fields(parse_object(row["content"].encode())))
    return Upload(row["script_id"], row["video_id"], row["channel_id"], row["published_at"])


def _to_row(workspace_id: str, file: InboxFile, line: Line[Any]) -> dict[str, Any]:
    row = line.row
    shared = {
        "workspace_id": workspace_id,
        "file": file.name,
        "generation": file.opened.cursor.generation,
        "line": line.number,
        "script_id": row.script_id,
    }
    if isinstance(row, Submission):
        return {**shared, "digest": row.digest}
    if isinstance(row, Decision):
        return {
            **shared,
            "act": row.action,
            "actor": row.actor,
            "decided_at": row.at,
            "reason": row.reason,
        }
    if isinstance(row, JobReport):
        return {**shared, "content": dump_json(row.content)}
    return {
        **shared,
        "video_id": row.video_id,
        "channel_id": row.channel_id,
        "published_at": row.published_at,
    }


@dataclass(frozen=True)
class _News:
    """What a file holds that the log does not count yet, and its bad lines that are new."""

    name: str
    counts: Mapping[str, int]
    bad: tuple[BadLine, ...]

    @property
    def fetched(self) -> int:
        return sum(self.counts.values())


class SliceRefusedError(Exception):
    """Rows of some workspaces are refused, so that their commit is undone.

    Attributes:
        reasons: Why, by workspace.
    """

    def __init__(self, reasons: Mapping[str, PublishRefusedError]) -> None:
        super().__init__("; ".join(map(str, reasons.values())))
        self.reasons = reasons


def check_slices(table: Table, frames: Mapping[Scope, pl.DataFrame]) -> list[CheckedRows]:
    """Check rows of several workspaces, each frame as `check_rows` does.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused.
    """
    checked = check_batch(table, frames)
    refused = {
        scope.workspace_id: found
        for scope, found in checked.items()
        if isinstance(found, PublishRefusedError)
    }
    if refused:
        raise SliceRefusedError(refused)
    return [found for found in checked.values() if isinstance(found, CheckedRows)]


def find_news(
    inboxes: Inboxes, reader: BatchReader, now: datetime, workspace_ids: Iterable[str]
) -> set[str]:
    """The workspaces of whose inbox files something is still to be stored.

    Args:
        inboxes: The files.
        reader: Reads the workspaces.
        now: The present.
        workspace_ids: The workspaces asked about.
    """
    asked = list(workspace_ids)
    files = {name: inboxes.files[name] for name in asked}
    return {name for name in asked if _find_moved(inboxes, name)} | {
        *find_new_bad_lines(files, reader, now)
    }


def _find_moved(inboxes: Inboxes, workspace_id: str) -> dict[str, Cursor]:
    """The cursors of a workspace's files that have changed, by file."""
    moved: dict[str, Cursor] = {}
    for name, file in inboxes.files[workspace_id].items():
        before = inboxes.cursors.get((workspace_id, name), Cursor())
        after = file.next_cursor()
        if file.problem is None and after != before and (before.size_bytes or after.size_bytes):
            moved[name] = after
    return moved


def find_new_bad_lines(
    files: Mapping[str, Files], reader: BatchReader, now: datetime
) -> dict[str, list[str]]:
    """The ids of bad lines that are not in quarantine yet, by workspace.

    Args:
        files: The inbox files, by workspace.
        reader: Reads the workspaces.
        now: The present.
    """
    # Files of two workspaces may hold the same line: its id is the same, the workspace is not.
    lines = [
        (workspace_id, _name_line(file.name, line))
        for workspace_id, own in files.items()
        for file in own.values()
        for line in file.new_bad_lines(now)
    ]
    known = _read_quarantined(reader, {name for _, name in lines})
    found: dict[str, list[str]] = defaultdict(list)
    for workspace_id, name in lines:
        if (workspace_id, name) not in known:
            found[workspace_id].append(name)
    return dict(found)


def count_bad_lines(reader: BatchReader, run_id: str, days: Days) -> dict[str, int]:
    """How many bad lines a run put into quarantine, by workspace with any.

    Args:
        reader: Reads the workspaces.
        run_id: The run.
        days: The first and last day on which it may have read the files.
    """
    log = reader.read(
        COLLECTION_LOG,
        days=days,
        columns=["workspace_id", "quarantined"],
        wanted={"source": [SOURCE], "run_id": [run_id]},
    )
    counts = log.remove(quarantined=0).group_by("workspace_id").agg(pl.col("quarantined").sum())
    return dict(counts.sort("workspace_id").iter_rows())


def _read_quarantined(reader: BatchReader, names: Collection[str]) -> set[tuple[str, str]]:
    """The (workspace, id) of those bad lines that are in quarantine."""
    stored = read_wanted(
        reader,
        QUARANTINED_ROWS,
        "quarantine_id",
        names,
        columns=["workspace_id", "quarantine_id"],
        wanted={"source": [SOURCE]},
    )
    return {(workspace_id, name) for workspace_id, name in stored.iter_rows()}


def store_inboxes(
    transaction: Transaction, inboxes: Inboxes, slices: Iterable[Slice], now: datetime
) -> None:
    """Store what is new of inbox files: lines, cursors, bad lines, and what became of all lines.

    A file that another run has read meanwhile is left for the next run. A file with bad lines is
    logged whenever it has grown: each of its lines counts in one entry of ``collection_log``.

    Args:
        transaction: The commit that also appends what follows from the lines.
        inboxes: The files.
        slices: The workspaces whose files are stored.
        now: The present.
    """
    by_id = {one.workspace_id: one for one in slices}
    reader = transaction.batch_reader(list(by_id))
    stored = _read_cursors(reader)
    current = {
        workspace_id
        for workspace_id in by_id
        if all(
            stored.get((workspace_id, name)) == inboxes.cursors.get((workspace_id, name))
            for name in INBOX_FILES
        )
    }
    moved = {name: found for name in sorted(current) if (found := _find_moved(inboxes, name))}
    lines: dict[Scope, pl.DataFrame] = {}
    cursors: dict[Scope, pl.DataFrame] = {}
    for workspace_id, own in moved.items():
        files = inboxes.files[workspace_id]
        scope = by_id[workspace_id].scope
        rows = [
            _to_row(workspace_id, files[name], line)
            for name in own
            for line in files[name].indexed()
        ]
        lines[scope] = INBOX_LINES.frame(rows)
        kept = {
            name: cursor
            for name in INBOX_FILES
            if (cursor := inboxes.cursors.get((workspace_id, name))) is not None
        }
        cursors[scope] = INBOX_CURSORS.frame(
            [_cursor_row(workspace_id, name, one, now) for name, one in (kept | own).items()]
        )
    transaction.append_all(check_slices(INBOX_LINES, lines))
    transaction.publish_all(check_slices(INBOX_CURSORS, cursors))
    _store_bad_lines(transaction, reader, inboxes, [by_id[name] for name in sorted(current)], now)


def _cursor_row(workspace_id: str, name: str, cursor: Cursor, now: datetime) -> dict[str, Any]:
    values = {name: getattr(cursor, name) for name in _CURSOR}
    lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {"workspace_id": workspace_id, "file": name, **values, **lists, "read_at": now}


def _store_bad_lines(
    transaction: Transaction,
    reader: BatchReader,
    inboxes: Inboxes,
    slices: Sequence[Slice],
    now: datetime,
) -> None:
    with_bad = {
        one.workspace_id: [
            file
            for file in inboxes.files[one.workspace_id].values()
            if file.count_bad_lines(now) and (file.opened.tail or file.opened.hash_to is not None)
        ]
        for one in slices
    }
    if not any(with_bad.values()):
        return
    logged = reader.read(
        COLLECTION_LOG,
        columns=["workspace_id", "target", "accepted", "duplicates"],
        wanted={"source": [SOURCE]},
    )
    totals = {
        (workspace_id, target): (accepted, duplicates)
        for workspace_id, target, accepted, duplicates in logged.group_by("workspace_id", "target")
        .agg(pl.col("accepted", "duplicates").sum())
        .iter_rows()
    }
    lines = {
        _name_line(file.name, line)
        for own in with_bad.values()
        for file in own
        for line in file.new_bad_lines(now)
    }
    known = _read_quarantined(reader, lines)
    logs: dict[Scope, pl.DataFrame] = {}
    aside: dict[Scope, pl.DataFrame] = {}
    for one in slices:
        found: list[tuple[_News, str]] = []
        for file in with_bad[one.workspace_id]:
            accepted, repeated = totals.get((one.workspace_id, file.name), (0, 0))
            bad = tuple(
                line
                for line in file.new_bad_lines(now)
                if (one.workspace_id, _name_line(file.name, line)) not in known
            )
            # A file is only appended to; where it was cut all the same, nothing counts twice.
            counts = {
                "accepted": max(0, file.accepted - accepted),
                "quarantined": len(bad),
                "duplicates": max(0, file.repeated - repeated),
            }
            news = _News(file.name, counts, bad)
            if news.fetched:
                found.append((news, _name_collection(file, bad)))
        if found:
            entries = [_log(one, now, news, name) for news, name in found]
            rows = [row for news, name in found for row in _rows(one, now, news, name)]
            logs[one.scope] = COLLECTION_LOG.frame(entries)
            aside[one.scope] = QUARANTINED_ROWS.frame(rows)
    transaction.append_all(check_slices(COLLECTION_LOG, logs))
    transaction.append_all(check_slices(QUARANTINED_ROWS, aside))


def _log(slice_: Slice, now: datetime, news: _News, collection_id: str) -> dict[str, Any]:
    lost = len(news.bad)
    return {
        "workspace_id": slice_.workspace_id,
        "day": now.date(),
        "collection_id": collection_id,
        "source": SOURCE,
        "target": news.name,
        "history": "file",
        "outcome": "ok",
        "detail": f"{lost} of {news.fetched} new lines could not be read" if lost else None,
        "attempts": 0,
        "started_at": now,
        "finished_at": now,
        "fetched": news.fetched,
        **news.counts,
        "run_id": slice_.run.run_id,
    }


def _rows(slice_: Slice, now: datetime, news: _News, collection_id: str) -> list[dict[str, Any]]:
    return [
        {
            "workspace_id": slice_.workspace_id,
            "day": now.date(),
            "quarantine_id": _name_line(news.name, bad),
            "collection_id": collection_id,
            "source": SOURCE,
            "origin": news.name,
            "place": f"line {bad.line}",
            "reason": bad.reason,
            "original": bad.original,
            "quarantined_at": now,
        }
        for bad in news.bad
    ]


def _name_collection(file: InboxFile, bad: Iterable[BadLine]) -> str:
    cursor, tail = file.next_cursor(), hashlib.sha256(file.opened.tail).hexdigest()
    return _hash(file.name, cursor.sha256, tail, *(_name_line(file.name, line) for line in bad))


def _name_line(name: str, bad: BadLine) -> str:
    return _hash(name, str(bad.line), bad.original)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
