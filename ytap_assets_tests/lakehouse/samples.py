"""A small set of tables, one of each kind, and short ways to fill and read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import polars as pl

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Appended, Run, Transaction
from ytap_assets.tables.base import (
    Bool,
    Bytes,
    Day,
    Float,
    Instant,
    Int,
    Rows,
    Table,
    Text,
    Texts,
    column,
)

DAY = date(2026, 11, 1)
RUN = Run("run-1", "test", "try it")


class Notes(Rows):
    """One row per note and day, with a column of every type."""

    day: Day = column("The UTC date.")
    note_id: Text = column("Names the note.")
    version: Int = column("Which publish wrote it.", null=True)
    weight: Float = column("A number.", null=True)
    is_read: Bool = column("A truth.", null=True)
    seen_at: Instant = column("An instant.", null=True)
    body: Bytes = column("Bytes.", null=True)
    tags: Texts = column("Texts.", null=True)


class Marks(Rows):
    """One row per mark of a workspace: a whole history."""

    mark_id: Text = column("Names the mark.", str_length={"max_value": 10})
    value: Int = column("What it is worth.", ge=0)


class Logs(Rows):
    """A log, numbered in the order of commits."""

    log_id: Text = column("Names the entry.")
    seq: Int = column("The order of commits.", ge=1)
    subject: Text = column("What it is about.")
    found: Int = column("What was there before.", null=True)
    left: Int = column("What is there now.", null=True)


class Sightings(Rows):
    """What was seen on a day; the day is no part of what names it."""

    day: Day = column("The UTC date.")
    item_id: Text = column("Names the sighting.")
    title: Text = column("Its title.", null=True)


class Looks(Rows):
    """What was seen of an item in a list; the list joined the key later."""

    day: Day = column("The UTC date.")
    item_id: Text = column("Names the item.")
    list_name: Text = column("The list it was seen in.", default="")
    part: Int = column("Numbers the rows of an item and list.", default=0)
    title: Text = column("Its title.", null=True)
    views: Int = column("How often it was seen.", null=True)
    rank: Int = column("Its place in the list.", null=True)
    region: Text = column("Where.", null=True)
    collection_id: Text = column("What brought it.")


NOTES = Table(
    name="notes",
    model=Notes,
    key=("workspace_id", "day", "note_id"),
    grain="workspace_day",
    mode="derived",
    group="samples",
    sort_by=("day", "note_id"),
)
MARKS = Table(
    name="marks",
    model=Marks,
    key=("workspace_id", "mark_id"),
    grain="workspace",
    mode="derived",
    group="samples",
    sort_by=("mark_id",),
)
LOGS = Table(
    name="logs",
    model=Logs,
    key=("workspace_id", "log_id"),
    grain="workspace",
    mode="append",
    group="samples",
    sort_by=("seq",),
    sequenced=True,
)
SIGHTINGS = Table(
    name="sightings",
    model=Sightings,
    key=("workspace_id", "item_id"),
    grain="workspace_day",
    mode="append",
    group="samples",
    sort_by=("day", "item_id"),
)
LOOKS = Table(
    name="looks",
    model=Looks,
    key=("workspace_id", "item_id", "list_name", "part"),
    grain="workspace_day",
    mode="append",
    group="samples",
    sort_by=("day", "item_id"),
    in_parts=True,
    place="rank",
)
SAMPLES = {table.name: table for table in (NOTES, MARKS, LOGS, SIGHTINGS, LOOKS)}


def days(count: int, first: date = DAY) -> list[date]:
    """Days in a row."""
    return [first + timedelta(days=number) for number in range(count)]


def notes(workspace_id: str, on: Iterable[date], ids: Iterable[str], **cells: Any) -> pl.DataFrame:
    """A frame of notes: every id on every day, with the same cells."""
    names = list(ids)
    return NOTES.frame(
        [
            {"workspace_id": workspace_id, "day": day, "note_id": name, **cells}
            for day in on
            for name in names
        ]
    )


def logs(workspace_id: str, ids: Iterable[str], **cells: Any) -> pl.DataFrame:
    """A frame of log entries about the subject ``s``."""
    base = {"workspace_id": workspace_id, "subject": "s"}
    return LOGS.frame([{**base, "log_id": name, **cells} for name in ids])


def marks(workspace_id: str, **values: int) -> pl.DataFrame:
    """A frame of marks: names and what they are worth."""
    rows = [
        {"workspace_id": workspace_id, "mark_id": name, "value": n} for name, n in values.items()
    ]
    return MARKS.frame(rows)


def sightings(workspace_id: str, seen: Iterable[tuple[date, str]], **cells: Any) -> pl.DataFrame:
    """A frame of sightings: days and items."""
    rows = [{"workspace_id": workspace_id, "day": day, "item_id": item} for day, item in seen]
    return SIGHTINGS.frame([{**row, **cells} for row in rows])


def looks(workspace_id: str, *seen: dict[str, Any]) -> pl.DataFrame:
    """A frame of looks at the item ``a``."""
    base = {"workspace_id": workspace_id, "day": DAY, "item_id": "a", "collection_id": "c"}
    return LOOKS.frame([{**base, **row} for row in seen])


def publish(lake: Lake, table: Table, frame: pl.DataFrame, scope: Scope) -> Transaction:
    """Publish in a commit of its own."""
    rows = check_rows(table, frame, scope)
    with lake.write(RUN) as transaction:
        transaction.publish_all([rows])
    return transaction


def append(lake: Lake, table: Table, frame: pl.DataFrame, workspace_id: str) -> Appended:
    """Append in a commit of its own."""
    rows = check_rows(table, frame, Scope(workspace_id))
    with lake.write(RUN) as transaction:
        return transaction.append(rows)


def one_day(workspace_id: str, day: date = DAY) -> Scope:
    """The scope of one day."""
    return Scope(workspace_id, day, day)
