"""What both readers of records (CSV, JSON) hand over: cells of text, with their places.

Belongs here: the shape of records between reading and converting. Does not belong here: syntax.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ytap_assets.sources.importing.json_paths import Contradiction
from ytap_assets.sources.importing.records import is_damaged, make_printable

FAULT = "fault"
"""The column of `Records.frame` with the reason a record could not be taken apart."""
CELL = "cell:"
"""The prefix of the columns of `Records.frame` that hold the file's cells."""

_SHOWN_CHARS = 80


class Only(BaseModel):
    """What the value of a column must be for a record to be read.

    Attributes:
        values: The texts it may be (``is``); a record without the column is read.
        rule: What any other value means, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[str, ...] = Field(alias="is", min_length=1)
    rule: str


def find_breach(only: Mapping[str, Only], cell_of: Callable[[str], str | None]) -> str | None:
    """Why a record is not to be read, judged by its cells; None where it is."""
    for name, one in only.items():
        cell = cell_of(name)
        if cell is not None and cell not in one.values:
            return f"column {name} holds '{make_printable(cell[:_SHOWN_CHARS])}': {one.rule}"
    return None


@dataclass(frozen=True)
class Records:
    """All records of a file, in order; blank lines are none.

    Attributes:
        frame: One row per record: ``cell:<column>`` texts and ``fault``.
        places: Where each stands: ``line 12``, ``item 3``.
        originals: Each as it came: its text, or the JSON value.
    """

    frame: pl.DataFrame
    places: Sequence[str]
    originals: Sequence[object]

    def original(self, index: int) -> str:
        """One record as it came, fit to be stored."""
        value = self.originals[index]
        if not isinstance(value, str):
            value = _write_json(value)
        return make_printable(value.rstrip("\r\n"))


def _write_json(value: object) -> str:
    try:
        if isinstance(value, Contradiction):
            pairs = (f"{json.dumps(key)}: {_write_json(each)}" for key, each in value.pairs)
            return "{" + ", ".join(pairs) + "}"
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(a value nested too deeply to be written out)"


@dataclass
class RecordsBuilder:
    """Collects records cell by cell.

    Attributes:
        columns: The file's columns that are wanted.
    """

    columns: Sequence[str]
    cells: list[list[str | None]] = field(init=False)
    faults: list[str | None] = field(init=False, default_factory=list)
    places: list[str] = field(init=False, default_factory=list)
    originals: list[object] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.cells = [[] for _ in self.columns]

    def add(self, cells: Sequence[str | None], *, place: str, original: object) -> None:
        """Add a record whose cells are in the order of ``columns``."""
        if is_damaged("".join(filter(None, cells))):
            self.add_fault("holds bytes that are not UTF-8 text", place=place, original=original)
            return
        for column, cell in zip(self.cells, cells, strict=True):
            column.append(cell)
        self._place(None, place, original)

    def add_fault(self, fault: str, *, place: str, original: object) -> None:
        """Add a record that could not be taken apart."""
        for column in self.cells:
            column.append(None)
        self._place(fault, place, original)

    def _place(self, fault: str | None, place: str, original: object) -> None:
        self.faults.append(fault)
        self.places.append(place)
        self.originals.append(original)

    def build(self) -> Records:
        """All that was added."""
        named = zip(self.columns, self.cells, strict=True)
        data = [pl.Series(f"{CELL}{name}", cells, dtype=pl.String) for name, cells in named]
        frame = pl.DataFrame([*data, pl.Series(FAULT, self.faults, dtype=pl.String)])
        return Records(frame=frame, places=self.places, originals=self.originals)
