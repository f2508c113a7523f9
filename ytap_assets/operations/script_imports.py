"""Import scripts from files: records of another program's datastore, and exported histories.

Each line of a file becomes events of a script. All workspaces of a call are stored in one commit,
with the records and videos that follow, the lines that cannot be used and what became of each file.
Belongs here: that, and which workspace a line belongs to. Does not belong here: what a line means
(`domain.production.older_records`, `histories`), or tables with edits (`script_tables`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from ytap_assets.domain.production.events import (
    PUBLISHED,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
    Event,
    Script,
    admit_frame,
    events_to_frame,
)
from ytap_assets.domain.production.evidence import ContentLog, claim_content
from ytap_assets.domain.production.lines import (
    LINE_LIMITS,
    BadLine,
    FieldError,
    Fields,
    Limits,
    Line,
    Lines,
    read_lines,
    show_original,
)
from ytap_assets.domain.production.older_records import (
    BadRecord,
    OlderRecord,
    plan_import,
    read_older_record,
)
from ytap_assets.domain.production.promotions import mark_copy
from ytap_assets.domain.production.script_lines import (
    HISTORY_LIMITS,
    History,
    find_missing,
    read_history,
)
from ytap_assets.errors import ImportRefusedError, TransitionRefusedError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.reader import BatchReader, CrossReader
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.operations.imports import ImportFailedError
from ytap_assets.operations.inboxes import SliceRefusedError, check_slices, read_wanted
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production_inputs import read_holders
from ytap_assets.operations.records import refresh_tables, split_rows
from ytap_assets.sources.importing.json_records import looks_like_json
from ytap_assets.sources.importing.records import read_content
from ytap_assets.tables import COLLECTION_LOG, PRODUCTION_EVENTS, QUARANTINED_ROWS

RECORDS = "records"
HISTORIES = "scripts"
"""The sources of imported lines in ``quarantined_rows`` and ``collection_log``."""
OUTCOME = pl.Schema(
    {
        "target": pl.String,
        "workspace_id": pl.String,
        "fetched": pl.Int64,
        "accepted": pl.Int64,
        "quarantined": pl.Int64,
        "duplicates": pl.Int64,
    }
)
"""What became of a file's lines in a workspace: fetched = accepted + quarantined + duplicates."""
_CAN_BE_COPIES = (SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW, PUBLISHED)
_SHOWN_RANGES = 20
T = TypeVar("T")


@dataclass(frozen=True)
class _Good(Generic[T]):
    """A line that can be used: its row, and the workspace that it belongs to."""

    workspace_id: str
    line: Line[T]


@dataclass(frozen=True)
class _Bad:
    """A line that cannot be used, and the workspace in whose quarantine it is put."""

    workspace_id: str
    line: BadLine


@dataclass(frozen=True)
class _File(Generic[T]):
    """The lines of a file."""

    name: str
    sha256: str
    good: tuple[_Good[T], ...]
    bad: tuple[_Bad, ...]

    @property
    def key(self) -> str:
        """Names the file and its content."""
        return _hash(self.name, self.sha256)

    def place(self, line: Line[T]) -> str:
        """The position of a line, in words."""
        return f"{self.name}, line {line.number}"


@dataclass
class _Plan:
    """What becomes of a workspace's lines.

    Attributes:
        events: The events to be appended, in order.
        accepted: The lines that bring them; all others are repeated.
        refused: The lines that do not fit the log.
        recorded_at: When the events were first stored, by id, if that was not now.
    """

    events: list[Event] = field(default_factory=list)
    accepted: set[tuple[str, int]] = field(default_factory=set)
    refused: dict[tuple[str, int], BadLine] = field(default_factory=dict)
    recorded_at: dict[str, datetime] = field(default_factory=dict)


_Lines = Sequence[tuple[_File[T], Line[T]]]
_MakePlan = Callable[[str, _Lines[T], pl.DataFrame], _Plan]


def import_records(
    platform: Platform,
    files: Sequence[Path],
    *,
    run: Run,
    workspace_id: str | None = None,
    owners: Mapping[str, str] | None = None,
    progress: Callable[[Path], None] = lambda _: None,
) -> pl.DataFrame:
    """Import the records of yt_autopilot's datastore; importing them again changes nothing.

    Args:
        platform: Where to.
        files: What: JSON lines, optionally compressed with gzip or zstd.
        run: Who imports.
        workspace_id: The workspace of records and lines that name none.
        owners: Our workspaces by the ``workspace_id`` in the records.
        progress: Called with each file before it is read.

    Returns:
        A row per file and workspace, with the columns of `OUTCOME`.

    Raises:
        ConfigError: A workspace does not exist, or is archived. Nothing was written.
        ImportRefusedError: Lines belong to no workspace of ours, with the lines and the option that
            is missing. Nothing was written.
        ImportFailedError: Files could not be read, or contain no record; the others are stored.
        PublishRefusedError: The events are not of the table's shape. Nothing was written.
    """
    named = dict(owners or {})
    for name in sorted({*named.values(), *([workspace_id] if workspace_id else [])}):
        platform.workspaces.get_open(name)
    read, refused = _read_files(files, partial(read_older_record, now=platform.now()), progress)
    assigned = [_assign(one, workspace_id, named) for one in read]
    if problems := [problem for _, found in assigned for problem in found]:
        raise ImportRefusedError("; ".join(problems))
    stored = _store(platform, RECORDS, [file for file, _ in assigned], _plan_records, run)
    failed = [_describe_failure(file, stored) for file, _ in assigned if not file.good]
    if refused or failed:
        raise ImportFailedError(stored, [*refused, *failed], only_refused=not failed)
    return stored


@dataclass(frozen=True)
class _Read(Generic[T]):
    """A file as read: its lines belong to no workspace yet."""

    name: str
    sha256: str
    lines: Lines[T]

    @property
    def broken(self) -> Iterator[BadLine]:
        """The lines that are not JSON; no more will be written at the end of a file."""
        yield from self.lines.bad
        if self.lines.unfinished is not None:
            yield self.lines.unfinished


def looks_like_histories(file: Path) -> bool:
    """Whether a file has JSON lines, and is no table.

    Raises:
        ImportRefusedError: It cannot be read.
    """
    with read_content(file).open_text() as text:
        return looks_like_json(text)


def import_histories(
    platform: Platform, file: Path, *, workspace_id: str, run: Run
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Import what `script_tables.export_histories` wrote; importing it again changes nothing.

    Args:
        platform: Where to.
        file: JSON lines, optionally compressed with gzip or zstd.
        workspace_id: The workspace of the scripts, whichever they were exported from.
        run: Who imports.

    Returns:
        A row with the columns of `OUTCOME`, and the other workspaces that scripts were exported
        from.

    Raises:
        ConfigError: The workspace does not exist, or is archived. Nothing was written.
        ImportRefusedError: The file cannot be read. Nothing was written.
        ImportFailedError: Lines cannot be read, or scripts have other events here; all other
            scripts are stored, and these lines are in ``quarantined_rows``.
    """
    platform.workspaces.get_open(workspace_id)
    read = partial(read_history, now=platform.now())
    found, refused = _read_files([file], read, lambda _: None, HISTORY_LIMITS)
    if refused:
        raise ImportRefusedError(refused[0])
    [one] = found
    good = tuple(_Good(workspace_id, line) for line in one.lines.good)
    bad = tuple(_Bad(workspace_id, broken) for broken in one.broken)
    lines = _File(one.name, one.sha256, good, bad)
    refusals: list[str] = [f"{one.name}, line {each.line.line}: {each.line.reason}" for each in bad]

    def plan(name: str, own: _Lines[History], stored: pl.DataFrame) -> _Plan:
        planned = _plan_histories(name, own, stored)
        refusals.extend(
            f"{one.name}, line {number}: {bad_line.reason}"
            for (_, number), bad_line in planned.refused.items()
        )
        return planned

    outcome = _store(platform, HISTORIES, [lines], plan, run)
    if refusals or not good:
        empty = [f"{one.name}: contains no lines"] if not refusals else []
        raise ImportFailedError(outcome, [*refusals, *empty], only_refused=False)
    others = {line.line.row.workspace_id for line in good} - {workspace_id}
    return outcome, tuple(sorted(others))


def _plan_histories(workspace_id: str, lines: _Lines[History], stored: pl.DataFrame) -> _Plan:
    known: dict[str, dict[str, int]] = defaultdict(dict)
    owners: dict[str, str] = {}
    for script_id, event_id, seq in stored.select("script_id", "event_id", "seq").iter_rows():
        known[script_id][event_id] = seq
        owners[event_id] = script_id
    plan = _Plan()
    for file, line in lines:
        script_id = line.row.script_id
        own = known[script_id]
        try:
            _check_owners(line.row, owners)
            missing = find_missing(line.row, own)
        except FieldError as error:
            broken = BadLine(line.number, str(error), show_original(line.original))
            plan.refused[file.key, line.number] = broken
            continue
        for one in missing:
            plan.events.append(replace(one.event, workspace_id=workspace_id))
            plan.recorded_at[one.event.event_id] = one.recorded_at
            own[one.event.event_id] = max(own.values(), default=0) + 1
        if missing:
            plan.accepted.add((file.key, line.number))
    return plan


def _check_owners(history: History, owners: dict[str, str]) -> None:
    """See that no event is one of another script of the workspace: it would be lost.

    Args:
        history: The events of a script.
        owners: The scripts of known events, by event id; the history's are added.

    Raises:
        FieldError: One is.
    """
    for one in history.events:
        event_id = one.event.event_id
        if (owner := owners.setdefault(event_id, history.script_id)) != history.script_id:
            raise FieldError(f"event {event_id} is one of script {owner}")


def _read_files(
    files: Iterable[Path],
    read: Callable[[Fields], T],
    progress: Callable[[Path], None],
    limits: Limits = LINE_LIMITS,
) -> tuple[list[_Read[T]], list[str]]:
    """The files, each content once, and why others cannot be read."""
    found: dict[tuple[str, str], _Read[T]] = {}
    refused: list[str] = []
    for path in files:
        progress(path)
        try:
            content = read_content(path)
            with content.open_text() as text:
                # Invalid bytes stay as they are, for the message about their line.
                unpacked = text.read().encode("utf-8", "surrogateescape")
        except ImportRefusedError as error:
            refused.append(str(error))
            continue
        one = _Read(content.name, content.sha256, read_lines(unpacked, read, limits=limits))
        found.setdefault((one.name, one.sha256), one)
    return list(found.values()), refused


@dataclass
class _Owners:
    """Finds the workspace of a line, and remembers the lines that have none.

    Attributes:
        default: The workspace of lines that name none.
        named: Our workspaces by the names of theirs.
    """

    default: str | None
    named: Mapping[str, str]
    _unowned: list[int] = field(default_factory=list)
    _unmapped: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def find(self, theirs: str | None, number: int) -> str | None:
        """The workspace of a line; None if it belongs to none."""
        if theirs is None or theirs == self.default:
            if self.default is None:
                self._unowned.append(number)
            return self.default
        if theirs not in self.named:
            self._unmapped[theirs].append(number)
        return self.named.get(theirs)

    def describe(self, file: str) -> list[str]:
        """Why lines of a file belong to no workspace."""
        problems = [
            f"{file}: {_name_lines(numbers)}: the workspace_id {theirs[:100]!r} is not one of ours;"
            f" add `--map {theirs[:100]}=WORKSPACE`"
            for theirs, numbers in self._unmapped.items()
        ]
        if self._unowned:
            problems.append(
                f"{file}: {_name_lines(sorted(self._unowned))}: no workspace_id; add `--workspace"
                " WORKSPACE` for lines without one"
            )
        return problems


def _assign(
    read: _Read[OlderRecord | BadRecord], default: str | None, named: Mapping[str, str]
) -> tuple[_File[OlderRecord], list[str]]:
    """The lines of a file by workspace, and why some belong to none."""
    owners = _Owners(default, named)
    good: list[_Good[OlderRecord]] = []
    bad: list[_Bad] = []
    for line in read.lines.good:
        row, owner = line.row, owners.find(line.row.owner, line.number)
        if owner is None:
            continue
        if isinstance(row, BadRecord):
            broken = BadLine(line.number, row.reason, show_original(line.original))
            bad.append(_Bad(owner, broken))
        else:
            good.append(_Good(owner, Line(line.number, row, line.original)))
    found = [(owners.find(None, broken.line), broken) for broken in read.broken]
    bad += [_Bad(owner, broken) for owner, broken in found if owner is not None]
    return _File(read.name, read.sha256, tuple(good), tuple(bad)), owners.describe(read.name)


def _name_lines(numbers: Sequence[int]) -> str:
    """Line numbers in words: ``lines 1-12, 14``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    shown = ", ".join("-".join(map(str, one)) for one in ranges[:_SHOWN_RANGES])
    rest = " ..." if len(ranges) > _SHOWN_RANGES else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{rest}"


def _plan_records(workspace_id: str, lines: _Lines[OlderRecord], stored: pl.DataFrame) -> _Plan:
    planned = plan_import(
        workspace_id, [(line.row, file.place(line)) for file, line in lines], stored
    )
    plan = _Plan([event for events in planned.values() for event in events])
    waiting = set(planned)
    for file, line in lines:
        if line.row.content in waiting:
            waiting.remove(line.row.content)
            plan.accepted.add((file.key, line.number))
    return plan


def _store(
    platform: Platform,
    source: str,
    files: Sequence[_File[Any]],
    make_plan: _MakePlan[Any],
    run: Run,
) -> pl.DataFrame:
    """Append what the lines become, in one commit with everything that follows from it.

    Returns:
        A row per file and workspace, with the columns of `OUTCOME`.
    """
    lines: dict[str, list[tuple[_File[Any], Line[Any]]]] = defaultdict(list)
    for file in files:
        for one in file.good:
            lines[one.workspace_id].append((file, one.line))
    names = sorted({*lines, *(one.workspace_id for file in files for one in file.bad)})
    if not names:
        return pl.DataFrame(schema=OUTCOME)
    batch, unusable = platform.batch({name: [None] for name in names}, run)
    for error in unusable.values():
        raise error
    scopes = [one.scope for one in batch.slices]
    now = platform.now()
    try:
        with platform.lake.write(run) as transaction:
            reader = transaction.batch_reader(names)
            plans = _append_events(transaction, reader, lines, make_plan, scopes, now)
            kept = [_set_aside(file, plans) for file in files]
            return _store_lines(transaction, reader, source, kept, plans, run, now)
    except SliceRefusedError as error:
        raise next(iter(error.reasons.values())) from error


def _set_aside(file: _File[Any], plans: Mapping[str, _Plan]) -> _File[Any]:
    """The file with the lines that do not fit the log among the bad ones."""
    refused: dict[int, _Bad] = {
        number: _Bad(name, broken)
        for name, plan in plans.items()
        for (key, number), broken in plan.refused.items()
        if key == file.key
    }
    good = tuple(one for one in file.good if one.line.number not in refused)
    return replace(file, good=good, bad=(*file.bad, *refused.values()))


def _append_events(
    transaction: Transaction,
    reader: BatchReader,
    lines: Mapping[str, _Lines[Any]],
    make_plan: _MakePlan[Any],
    scopes: Sequence[Scope],
    now: datetime,
) -> dict[str, _Plan]:
    """Append the events of all workspaces, with the records and videos that follow."""
    scripts = {line.row.script_id for own in lines.values() for _, line in own}
    stored = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts)
    ids = {
        one.event.event_id
        for own in lines.values()
        for _, line in own
        if isinstance(line.row, History)
        for one in line.row.events
    }
    others = read_wanted(reader, PRODUCTION_EVENTS, "event_id", ids)
    stored = pl.concat([stored, others]).unique(["workspace_id", "event_id"])
    plans = {
        name: make_plan(name, own, stored.filter(workspace_id=name)) for name, own in lines.items()
    }
    order = [scope.workspace_id for scope in scopes if scope.workspace_id in plans]
    events = [event for name in order for event in plans[name].events]
    events += _mark_copies(transaction.cross_reader(), order, events, now)
    new = events_to_frame(events, recorded_at=now)
    recorded = {key: at for plan in plans.values() for key, at in plan.recorded_at.items()}
    if recorded:
        at = [recorded.get(event.event_id, now) for event in events]
        new = new.with_columns(pl.Series("recorded_at", at, dtype=new.schema["recorded_at"]))
    rows, admission = admit_frame(new, stored)
    if admission.refused:  # planned on the same rows, under the same lock
        raise TransitionRefusedError("; ".join(one.reason for one in admission.refused))
    parts = check_slices(PRODUCTION_EVENTS, split_rows(rows, scopes))
    transaction.append_all([part for part in parts if not part.frame.is_empty()])
    if events:
        refresh_tables(transaction, scopes)
    return plans


def _mark_copies(
    reader: CrossReader, workspace_ids: Sequence[str], events: Sequence[Event], now: datetime
) -> list[Event]:
    """The closed gates of scripts that another workspace had before.

    The workspaces are compared as if they were stored one after another.
    """
    last: dict[Script, Event] = {
        (event.workspace_id, event.script_id): event
        for event in events
        if event.to_state is not None
    }
    moved = {script: event for script, event in last.items() if event.to_state in _CAN_BE_COPIES}
    claims = claim_content(moved, {}, events)
    contents = ContentLog(workspace_ids)
    contents.add_stored(*read_holders(reader, claims))
    contents.replace_pending(events)
    return [
        marked
        for script, claimed in claims.items()
        for marked in mark_copy(moved[script], contents.find_originals(script, claimed), now)
    ]


def _store_lines(
    transaction: Transaction,
    reader: BatchReader,
    source: str,
    files: Sequence[_File[Any]],
    plans: Mapping[str, _Plan],
    run: Run,
    now: datetime,
) -> pl.DataFrame:
    """Store the bad lines, and what became of all lines of each file."""
    bad_ids = {_name_line(file.name, one.line) for file in files for one in file.bad}
    known = set(
        read_wanted(
            reader,
            QUARANTINED_ROWS,
            "quarantine_id",
            bad_ids,
            columns=["workspace_id", "quarantine_id"],
            wanted={"source": [source]},
        ).iter_rows()
    )
    entries: dict[Scope, list[dict[str, Any]]] = defaultdict(list)
    aside: dict[Scope, list[dict[str, Any]]] = defaultdict(list)
    outcome: list[dict[str, Any]] = []
    for file in files:
        lines = [one.workspace_id for one in file.good] + [one.workspace_id for one in file.bad]
        for name, count in sorted(Counter(lines).items()):
            new = {
                line_id: one.line
                for one in file.bad
                if one.workspace_id == name
                and (name, line_id := _name_line(file.name, one.line)) not in known
            }
            known |= {(name, line_id) for line_id in new}
            accepted = plans[name].accepted if name in plans else set()
            counts = {
                "fetched": count,
                "accepted": sum(key == file.key for key, _ in accepted),
                "quarantined": len(new),
            }
            about = {
                "workspace_id": name,
                "day": now.date(),
                "collection_id": _hash(name, file.key),
                "source": source,
            }
            entry = {**about, **_log_file(file, counts, run, now)}
            outcome.append({column: entry[column] for column in OUTCOME})
            if counts["accepted"] or new:  # a file without news is not logged
                entries[Scope(name)].append(entry)
            aside[Scope(name)] += [
                {**about, **_describe_bad(file, line_id, line, now)}
                for line_id, line in new.items()
            ]
    for table, found in ((COLLECTION_LOG, entries), (QUARANTINED_ROWS, aside)):
        frames = {scope: table.frame(rows) for scope, rows in found.items() if rows}
        transaction.append_all(check_slices(table, frames))
    return pl.DataFrame(outcome, schema=OUTCOME)


def _log_file(
    file: _File[Any], counts: Mapping[str, int], run: Run, now: datetime
) -> dict[str, Any]:
    fetched, accepted, lost = counts["fetched"], counts["accepted"], counts["quarantined"]
    return {
        "target": file.name,
        "history": "file",
        "outcome": "ok",
        "detail": f"{lost} of {fetched} lines could not be used" if lost else None,
        "attempts": 0,
        "started_at": now,
        "finished_at": now,
        **counts,
        "duplicates": fetched - accepted - lost,
        "run_id": run.run_id,
    }


def _describe_bad(file: _File[Any], line_id: str, line: BadLine, now: datetime) -> dict[str, Any]:
    return {
        "quarantine_id": line_id,
        "origin": file.name,
        "place": f"line {line.line}",
        "reason": line.reason,
        "original": line.original,
        "quarantined_at": now,
    }


def _describe_failure(file: _File[Any], stored: pl.DataFrame) -> str:
    """Why nothing of a file was imported."""
    if not file.bad:
        return f"{file.name}: nothing was imported: it contains no lines"
    first = file.bad[0].line
    count = stored.filter(target=file.name)["fetched"].sum()
    return (
        f"{file.name}: nothing was imported: none of {count} lines can be read; the first is line"
        f" {first.line}: {first.reason}; the lines are in quarantined_rows"
    )


def _name_line(name: str, bad: BadLine) -> str:
    return _hash(name, str(bad.line), bad.original)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
