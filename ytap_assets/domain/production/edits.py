"""Scripts as a table for spreadsheets, and the edits in a table that comes back.

Belongs here: the columns, how values become cells that no spreadsheet runs as a formula, which
differences are edits, and the event of an edit. Does not belong here: reading and writing CSV, or
storing events (`operations.script_tables`).

Cells are compared as texts. The column ``revision`` names the values that were exported, so that an
edit of a value that somebody else has changed since is refused, and a count that has grown since is
no edit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from ytap_assets.domain.production.events import SCRIPT_PENDING_REVIEW, Event, digest
from ytap_assets.domain.production.evidence import script_content_id
from ytap_assets.domain.production.inbox import SCRIPT_TEXTS
from ytap_assets.domain.production.lines import FieldError, text_up_to, usd_to_micros

EDITED = "script_edited"
MAX_CELL = 32_000
"""Spreadsheets cut longer cells (Excel at 32,767 characters)."""
_ONLY_IN_REVIEW = f"only scripts in {SCRIPT_PENDING_REVIEW} can be edited"
_NOT_EXPORTED = "[not exported: "
_QUOTES = "[\\s\"'\u2018\u2019\u201c\u201d\u200b\ufeff]*"
_FORMULA = re.compile(f"{_QUOTES}[=+\\-@\uff1d\uff0b\uff0d\uff20]|{_QUOTES}[\t\r\n]")
_MOST_MICROS = 10**15
_AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _read_amount(cell: str) -> int:
    if not _AMOUNT.fullmatch(cell.strip()):
        raise FieldError(f"{cell[:40]!r} is not an amount of dollars such as 1.85")
    return usd_to_micros(cell.strip())


@dataclass(frozen=True)
class Editable:
    """A column that can be edited.

    Attributes:
        field: What it is called in the payload of an edit.
        read: From a cell to its value.
    """

    field: str
    read: Callable[[str], str | int]


EDITABLE: Mapping[str, Editable] = {
    "title": Editable("title", SCRIPT_TEXTS["title"]),
    "hook": Editable("hook", SCRIPT_TEXTS["hook"]),
    "generation_method": Editable("generation_method", SCRIPT_TEXTS["generation_method"]),
    "estimated_cost_usd": Editable("estimated_cost_usd_micros", _read_amount),
    "topic_url": Editable("topic_url", SCRIPT_TEXTS["topic_url"]),
    "text": Editable("text", text_up_to(200_000)),
}
_DECIDE = "`ytap script approve`, `reject`, `send-back` and `cancel` change it"
_PUBLISH = "a line of uploads.jsonl gives it"
_MANIFEST = "the manifest of the video gives it"
FIXED: Mapping[str, str] = {
    "created_at": "it is the date of the submission; to change it, `ytap script cancel` the script"
    " and submit it under another script_id",
    "state": _DECIDE,
    "views": "`ytap materialize` collects it",
    "state_since": _DECIDE,
    "published_at": _PUBLISH,
    "video_id": _PUBLISH,
    "channel_id": _PUBLISH,
    "cost_usd": _MANIFEST,
    "quality_score": _MANIFEST,
    "script_approved_by": "`ytap script approve` sets it",
    "video_approved_by": "`ytap script approve --video` sets it",
    "failed_gates": "the next run evaluates it",
}
"""The columns that cannot be edited, and what changes their values."""
COLUMNS = (
    "id",
    "title",
    "hook",
    "created_at",
    "state",
    "views",
    "generation_method",
    "estimated_cost_usd",
    "topic_url",
    "text",
    "state_since",
    "published_at",
    "video_id",
    "channel_id",
    "cost_usd",
    "quality_score",
    "script_approved_by",
    "video_approved_by",
    "failed_gates",
    "revision",
)
Cells = Mapping[str, str]
"""The values of a script as texts, by column; an unknown value is empty."""


def defuse(text: str) -> str:
    """A text as a cell that no spreadsheet runs as a formula.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break, also after quotes and
    white space, gets an apostrophe before it. `restore` removes it.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restore(cell: str) -> str:
    """The text of a cell: the inverse of `defuse`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def list_cells(
    records: pl.DataFrame, texts: Mapping[str, str], views: Mapping[str, int]
) -> dict[str, dict[str, str]]:
    """The values of scripts as texts, by script; the first submitted first.

    Args:
        records: Rows of `production_records` of one workspace.
        texts: The spoken texts by script.
        views: The last known views by YouTube video.

    Returns:
        By script, a value for each of `COLUMNS`.
    """
    cells: dict[str, dict[str, str]] = {}
    for row in records.sort("created_at", "script_id").iter_rows(named=True):
        known = {
            **row,
            "id": row["script_id"],
            "views": views.get(row["video_id"] or ""),
            "text": texts.get(row["script_id"], ""),
            "estimated_cost_usd": _dollars(row["estimated_cost_usd_micros"]),
            "cost_usd": _dollars(row["cost_usd_micros"]),
            "failed_gates": " | ".join(row["failed_gates"]),
        }
        own = {name: _to_text(known.get(name)) for name in COLUMNS}
        own["text"] = _shorten(own["text"])
        cells[row["script_id"]] = own | {"revision": _name_revision(own)}
    return cells


def _dollars(micros: int | None) -> str | None:
    return None if micros is None else format((Decimal(micros) / 1_000_000).normalize(), "f")


def _to_text(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _shorten(text: str) -> str:
    if len(text) <= MAX_CELL:
        return text
    return (
        f"{_NOT_EXPORTED}{len(text)} characters are more than a cell can hold; {digest(text)[:8]}]"
    )


def _name_revision(cells: Cells) -> str:
    """Names the values that can be edited, and those that cannot."""
    return ".".join(_name_values(cells, columns) for columns in (EDITABLE, FIXED))


def _name_values(cells: Cells, columns: Iterable[str]) -> str:
    return digest([_normalize(cells[name]) for name in columns])[:12]


def _normalize(cell: str) -> str:
    """A cell without what a spreadsheet changes by itself: the kind of line ends."""
    return cell.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class Change:
    """An edited value.

    Attributes:
        column: The column.
        old: The value that was exported, or is known now; None if it was unknown.
        new: The new value.
    """

    column: str
    old: str | int | None
    new: str | int

    @staticmethod
    def show(value: str | int | None) -> str | None:
        """A value as it is in a cell."""
        return _dollars(value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Edit:
    """The edits of one script.

    Attributes:
        script_id: The script.
        place: The line in the file.
        changes: Its edited values.
    """

    script_id: str
    place: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class RefusedCell:
    """A row, or a cell of it, that cannot be stored. Nothing of its row is.

    Attributes:
        place: The line in the file.
        script_id: The script. Untrusted input.
        column: The column; None if it is the row.
        reason: Why, and what to do.
    """

    place: str
    script_id: str
    column: str | None
    reason: str

    def __str__(self) -> str:
        column = f"{self.column}: " if self.column else ""
        return f"{self.place}: script {self.script_id}: {column}{self.reason}"


@dataclass
class EditPlan:
    """What a table would change.

    Attributes:
        edits: The edits of scripts without a refused cell, in the order of the file.
        refused: What is refused.
    """

    edits: list[Edit] = field(default_factory=list)
    refused: list[RefusedCell] = field(default_factory=list)


def plan_edits(
    rows: Iterable[tuple[str, Mapping[str, str]]], current: Mapping[str, Cells]
) -> EditPlan:
    """Compare a table with the scripts.

    Columns that the table lacks are left alone. A row with a refused cell is refused as a whole.

    Args:
        rows: Each row's place in words, and its cells as they are in the file, by column.
        current: The scripts as `list_cells` gives them, by id.
    """
    plan = EditPlan()
    seen: dict[str, str] = {}
    for place, cells in rows:
        row = {name: _normalize(restore(cell)) for name, cell in cells.items()}
        if not any(map(str.strip, row.values())):
            continue
        script_id = row.get("id", "").strip()
        reason = None
        if script_id not in current:
            reason = "there is no script with this id in the workspace"
        elif script_id in seen:
            reason = f"{seen[script_id]} has the same id"
        if reason is not None:
            plan.refused.append(RefusedCell(place, script_id, None, reason))
            continue
        seen[script_id] = place
        changes, problems = _compare(row, current[script_id])
        plan.refused += [RefusedCell(place, script_id, *problem) for problem in problems]
        if changes and not problems:
            plan.edits.append(Edit(script_id, place, tuple(changes)))
    return plan


_Problem = tuple[str | None, str]


def _compare(row: Cells, current: Cells) -> tuple[list[Change], list[_Problem]]:
    """The edited values of a row, and what is refused."""
    changes: list[Change] = []
    problems: list[_Problem] = list(_find_fixed(row, current))
    for column, editable in EDITABLE.items():
        old = _normalize(current[column])
        if column not in row or row[column] == old:
            continue
        try:
            change = Change(column, _read_old(editable, old), _read_new(editable, row[column]))
        except FieldError as error:
            problems.append((column, str(error)))
            continue
        if change.old != change.new:  # an amount may be written in several ways
            changes.append(change)
    if not changes:
        return changes, problems
    exported = row.get("revision", "").partition(".")[0]
    if exported and exported != current["revision"].partition(".")[0]:
        problems.append((None, "it was edited since the export; export the scripts again"))
    if current["state"] != SCRIPT_PENDING_REVIEW:
        problems.append((None, f"its state is {current['state']}; {_ONLY_IN_REVIEW}"))
    return changes, problems


def _find_fixed(row: Cells, current: Cells) -> Iterable[_Problem]:
    """The cells that were changed and cannot be."""
    exported = row.get("revision", "").partition(".")[2]
    if exported and row.keys() >= FIXED.keys() and _name_values(row, FIXED) == exported:
        return  # as exported: what differs has changed in the lake
    for column, advice in FIXED.items():
        if column in row and row[column].strip() != _normalize(current[column]).strip():
            now = current[column][:100] or "unknown"
            yield column, f"cannot be edited here; it is {now!r}: {advice}"


def _read_old(editable: Editable, cell: str) -> str | int | None:
    if not cell:
        return None
    if cell.startswith(_NOT_EXPORTED):
        raise FieldError(
            "the text is longer than a cell of a spreadsheet and cannot be edited in one; cancel"
            " the script and submit it under another script_id"
        )
    return editable.read(cell) if editable.field.endswith("_micros") else cell


def _read_new(editable: Editable, cell: str) -> str | int:
    if not cell.strip():
        raise FieldError("empty; an edit does not remove a value: write another one")
    if _UNSTORABLE.search(cell):
        raise FieldError("contains a NUL character or half of a surrogate pair")
    return editable.read(cell)


def find_overtaken(edit: Edit, current: Cells | None) -> str | None:
    """Why an edit does not fit the script any more; None if it does.

    Args:
        edit: The edit.
        current: The script as it is now; None if there is none.
    """
    if current is None or current["state"] != SCRIPT_PENDING_REVIEW:
        state = "unknown" if current is None else current["state"]
        return f"its state is {state} by now; {_ONLY_IN_REVIEW}"
    changed = [one.column for one in edit.changes if not _is_unchanged(one, current[one.column])]
    if changed:
        return f"{', '.join(changed)}: changed meanwhile; export the scripts again"
    return None


def _is_unchanged(change: Change, cell: str) -> bool:
    try:
        return _read_old(EDITABLE[change.column], _normalize(cell)) == change.old
    except FieldError:  # a text that is too long for a cell by now
        return False


def make_edit(
    workspace_id: str,
    edit: Edit,
    *,
    title: str | None,
    text: str,
    event_id: str,
    actor: str,
    at: datetime,
) -> Event:
    """The event of an edit.

    Args:
        workspace_id: The workspace.
        edit: The edit.
        title: The script's title before it.
        text: The script's text before it.
        event_id: A ULID.
        actor: Who edited.
        at: When.
    """
    payload = {EDITABLE[one.column].field: {"old": one.old, "new": one.new} for one in edit.changes}
    after = {name: change["new"] for name, change in payload.items()}
    return Event(
        event_id=event_id,
        workspace_id=workspace_id,
        script_id=edit.script_id,
        type=EDITED,
        from_state=SCRIPT_PENDING_REVIEW,
        to_state=None,
        actor=actor,
        occurred_at=at,
        reason=f"edited: {', '.join(one.column for one in edit.changes)}",
        payload=payload,
        content_id=script_content_id(
            {"title": after.get("title", title), "body": after.get("text", text)}
        ),
    )


def read_changes(payload: Mapping[str, Any]) -> None:
    """Check the payload of an edit that comes from a file.

    Raises:
        FieldError: It is not one.
    """
    fields = {one.field: name for name, one in EDITABLE.items()}
    for name, change in payload.items():
        if name not in fields:
            raise FieldError(f"payload: {name[:40]!r} is not a field that can be edited")
        if not isinstance(change, dict) or set(change) != {"old", "new"}:
            raise FieldError(f"payload: {name}: expected an object with old and new")
        kind: type = int if name.endswith("_micros") else str
        for side, value in change.items():
            was_unknown = side == "old" and value is None
            if not was_unknown and (not isinstance(value, kind) or isinstance(value, bool)):
                raise FieldError(f"payload: {name}: {str(value)[:40]!r} is not its kind of value")
        try:
            _check_new(EDITABLE[fields[name]], change["new"])
        except FieldError as error:
            raise FieldError(f"payload: {name}: {error}") from error


def _check_new(editable: Editable, value: str | int) -> None:
    if isinstance(value, str):
        editable.read(value)
    elif not 0 <= value <= _MOST_MICROS:
        raise FieldError("expected a whole number of micro-dollars of at least 0")
