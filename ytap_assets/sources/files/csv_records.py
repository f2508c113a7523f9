"""Records of a CSV file, as damaged as recorded tables come.

Python's own reader takes what the recorded tables hold: bare carriage returns, quotes inside
quoted cells, line breaks in cells, an end in the middle of a cell. Where it gives a record up, the
record is put aside and reading goes on with the next line. Does not belong here: what cells mean.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TextIO

from ytap_assets.sources.files.content import is_damaged
from ytap_assets.sources.files.records import Only, Records, RecordsBuilder, find_breach

MAX_RECORD_CHARS = 1024 * 1024
"""The longest record. Cells end at the csv module's own limit, 131,072 characters."""
_BOM = "\ufeff"


class _Record(NamedTuple):
    """One record: its cells, or why it has none."""

    line: int
    raw: str
    cells: list[str]
    fault: str | None


class _Lines:
    """Hands lines to the csv reader and keeps those of the record it is at."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._lines: list[str] = []
        self._length = 0
        self._line_number = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_RECORD_CHARS)
        if not line:
            raise StopIteration
        self._lines.append(line)
        self._length += len(line)
        if self._length > MAX_RECORD_CHARS:
            raise csv.Error(f"longer than {MAX_RECORD_CHARS} characters")
        return line

    def take(self) -> tuple[int, str]:
        """The line the record began at, and its text; the next record begins."""
        raw, line_number = "".join(self._lines), self._line_number
        self._lines, self._length = [], 0
        self._line_number += raw.count("\n")
        return line_number, raw


def _iterate(text: TextIO) -> Iterator[_Record]:
    lines = _Lines(text)
    reader = csv.reader(lines)
    while True:
        try:
            cells = next(reader)
            fault = None
        except csv.Error as error:
            cells, fault = [], f"cannot be taken apart: {error}"
        except StopIteration:
            return
        line, raw = lines.take()
        if cells or fault:
            yield _Record(line, raw, cells, fault)


def read_header(text: TextIO) -> list[str]:
    """The names of the columns: the first record's cells; none where it cannot be read."""
    first = next(_iterate(text), None)
    if first is None or any(is_damaged(cell) or "\0" in cell for cell in first.cells):
        return []
    return _names(first)


def _names(header: _Record) -> list[str]:
    return [cell.lstrip(_BOM).strip() for cell in header.cells]


def read_csv_records(
    text: TextIO, wanted: Sequence[str], only: Mapping[str, Only] | None = None
) -> Records:
    """Read all records after the header.

    Args:
        text: The file's text, line ends kept.
        wanted: The columns to read; those the file lacks are left out of the result.
        only: What the values of some of them must be.

    Returns:
        The records; one of more or fewer cells than the header has a fault.
    """
    records = _iterate(text)
    header = _names(next(records))
    positions = {name: header.index(name) for name in wanted if name in header}
    builder = RecordsBuilder(tuple(positions))
    add = partial(_add, builder, width=len(header), only=only or {})
    previous: _Record | None = None
    for record in records:
        if previous is not None:
            add(previous, positions=positions)
        previous = record
    if previous is not None:
        add(_check_end(previous, header=header, wanted=wanted), positions=positions)
    return builder.build()


def _add(
    builder: RecordsBuilder,
    record: _Record,
    *,
    positions: dict[str, int],
    width: int,
    only: Mapping[str, Only],
) -> None:
    place = f"line {record.line}"
    fault = record.fault
    if fault is None and len(record.cells) != width:
        fault = f"has {len(record.cells)} columns where the header has {width}"
    if fault is None:
        fault = find_breach(
            only, lambda name: record.cells[positions[name]] if name in positions else None
        )
    if fault is not None:
        builder.add_fault(fault, place=place, original=record.raw)
        return
    cells = [record.cells[position] for position in positions.values()]
    builder.add(cells, place=place, original=record.raw)


def _check_end(last: _Record, *, header: Sequence[str], wanted: Sequence[str]) -> _Record:
    """Whether the file's end cut the last record where it matters.

    A quote that is never closed makes all that follows part of one cell: harmless where the file
    was merely cut inside a description nobody reads, not where the cell is wanted or where
    whole records were swallowed.
    """
    if last.fault is not None or not _is_open_ended(last.raw):
        return last
    if header[-1] in wanted:
        return last._replace(fault=f"column {header[-1]} is cut: the file ends inside it")
    swallowed = [len(cells) for cells in csv.reader(last.raw.splitlines()[1:])]
    if len(header) in swallowed:
        return last._replace(fault="a quote that is never closed swallowed the records after it")
    return last


def _is_open_ended(raw: str) -> bool:
    try:
        list(csv.reader([raw], strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False
