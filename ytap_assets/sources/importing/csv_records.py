"""Records of a CSV file, including damaged ones.

The csv module can read what occurs in the recorded tables: bare carriage returns, quotes inside
quoted cells, line breaks in cells, an end in the middle of a cell. If it cannot read a record, or
an unclosed quote contains further records, the damaged record is quarantined and reading continues
at the next line that begins a record. DuckDB's reader miscounts some of these files. Does not
belong here: the meaning of the cells.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from operator import methodcaller
from typing import Literal, NamedTuple, TextIO

from ytap_assets.config_keys import fold_name
from ytap_assets.sources.importing.records import (
    Only,
    Records,
    RecordsBuilder,
    find_exclusion,
    is_damaged,
)

MAX_RECORD_CHARS = 1024 * 1024
"""The longest record. Cells end at the csv module's own limit, 131,072 characters."""
_BOM = "\ufeff"
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=([,;\t|])"?\s*', re.IGNORECASE)
# Quotes, JSON objects, URLs and long numbers are values, not names of columns.
_VALUE = re.compile(r'["{]|://|^[\d.,:%+-]{5,}$')
_LINE_ENDS_IN = methodcaller("count", "\n")
_OPEN_QUOTE = "a quote is not closed"
IsRecord = Callable[[Mapping[str, str]], bool]
"""Whether cells, by the names of their columns, look like those of a record."""


def match_names(names: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """A header's names, matched to the wanted ones without regard to case and spaces.

    A name is kept where the header also has the wanted one, or has two names that match it.
    """
    folded = [fold_name(name) for name in names]
    matched = list(names)
    for name in wanted:
        places = [place for place, one in enumerate(folded) if one == fold_name(name)]
        if name not in matched and len(places) == 1:
            matched[places[0]] = name
    return matched


class Header(NamedTuple):
    """The names of the columns, and their delimiter."""

    names: list[str]
    delimiter: str


# A defect of a quoted cell: it is never closed; it is closed on a later line in the middle of a
# text; or it is closed right after a delimiter, where another record opens a cell. A cell closed on
# a later line right after a delimiter may be valid ("perhaps merged").
_Defect = Literal["open", "closed in a text", "merged", "perhaps merged"]


class _Record(NamedTuple):
    """One record: its lines, and its cells or the reason it has none."""

    number: int
    lines: list[str]
    cells: list[str]
    fault: str | None = None
    defect: _Defect | None = None

    @property
    def raw(self) -> str:
        return "".join(self.lines)


class _Lines:
    """Lines for the csv reader; keeps those of the current record and can take lines back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._returned: deque[str] = deque()
        self._lines: list[str] = []
        self._length = 0
        self._number = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._returned:
            line = self._returned.popleft()
        elif not (line := self._text.readline(MAX_RECORD_CHARS)):
            raise StopIteration
        if not self._lines:
            line = line.lstrip(_BOM)
        self._lines.append(line)
        self._length += len(line)
        if self._length > MAX_RECORD_CHARS:
            raise csv.Error(f"longer than {MAX_RECORD_CHARS} characters")
        return line

    def take(self) -> tuple[int, list[str]]:
        """Return the record's first line number and its lines, and begin the next record."""
        lines, number = self._lines, self._number
        self._lines, self._length = [], 0
        self._number += _count_lines(lines)
        return number, lines

    def take_back(self, lines: Sequence[str]) -> None:
        """Return the last lines of the record taken before, to be read again."""
        self._returned.extendleft(reversed(lines))
        self._number -= _count_lines(lines)

    def peek(self) -> Iterator[str]:
        """The lines that follow, without consuming them."""
        yield from tuple(self._returned)
        while line := self._text.readline(MAX_RECORD_CHARS):
            self._returned.append(line)
            yield line


def _is_within_a_cell(line: str, record: _Record) -> bool:
    """Whether a line lies within a cell; the line that ends a cell does not."""
    text = line.replace('""', '"').rstrip("\r\n")
    return any(text in cell for cell in record.cells)


def _count_lines(lines: Sequence[str]) -> int:
    return sum(map(_LINE_ENDS_IN, lines))


def _iterate(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    strict = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(strict)
        except csv.Error:
            lines.take_back(lines.take()[1])
            yield _read_loosely(lines, delimiter)
            continue
        except StopIteration:
            return
        number, taken = lines.take()
        if cells:
            yield _Record(number, taken, cells)


def _read_loosely(lines: _Lines, delimiter: str) -> _Record:
    """The next record, if it has malformed quotes."""
    cells: list[str] = []
    fault = None
    try:
        cells = next(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        fault = f"cannot be parsed: {error}"
    number, taken = lines.take()
    return _Record(number, taken, cells, fault, _find_defect("".join(taken), delimiter))


def _find_defect(raw: str, delimiter: str) -> _Defect | None:
    perhaps: _Defect | None = None
    for opened, closed in _find_quoted(raw, delimiter):
        if closed < 0:
            return "open"
        ends_cell = raw[closed + 1 : closed + 2] in {delimiter, "\r", "\n", ""}
        has_lines = "\n" in raw[opened:closed]
        # The opening quote may be followed by quotes that belong to the text.
        follows_delimiter = raw[opened + 1 : closed].rstrip('"').endswith(delimiter)
        if not ends_cell and (has_lines or follows_delimiter):
            return "merged" if follows_delimiter else "closed in a text"
        if has_lines and follows_delimiter:
            perhaps = "perhaps merged"
    return perhaps


def _find_quoted(raw: str, delimiter: str) -> Iterator[tuple[int, int]]:
    """The positions of each quoted cell's opening and closing quote; -1 if not closed."""
    opened = 0 if raw.startswith('"') else raw.find(f'{delimiter}"') + 1 or -1
    while opened >= 0:
        closed = _find_closing(raw, opened)
        yield opened, closed
        opened = raw.find(f'{delimiter}"', closed + 1) + 1 or -1 if closed >= 0 else -1


def _find_closing(raw: str, opened: int) -> int:
    """The position of the closing quote; -1 if there is none."""
    at = raw.find('"', opened + 1)
    while at >= 0 and raw[at + 1 : at + 2] == '"':
        at = raw.find('"', at + 2)
    return at


def read_header(text: TextIO) -> Header:
    """Read the column names from the first record; no names if it cannot be read."""
    return _read_header(_Lines(text))[0]


def _read_header(lines: _Lines) -> tuple[Header, _Record | None]:
    """Read the header; also return the record it was read from."""
    first = next(_iterate(lines, ","), None)
    declared = None if first is None else _SEPARATOR_LINE.fullmatch(first.raw)
    if declared is not None:  # what a spreadsheet writes above the header
        first = next(_iterate(lines, declared[1]), None)
    if first is None or not first.cells or any(map(_is_binary, first.cells)):
        return Header([], ","), None
    if first.defect is not None:
        lines.take_back(first.lines[1:])
        first = first._replace(lines=first.lines[:1])
    delimiters = _DELIMITERS if declared is None else (declared[1],)
    read = [(next(csv.reader(first.lines, delimiter=each), []), each) for each in delimiters]
    cells, delimiter = max(read, key=lambda one: len(one[0]))
    return Header([cell.lstrip(_BOM).strip() for cell in cells], delimiter), first


def _is_binary(cell: str) -> bool:
    return is_damaged(cell) or "\0" in cell


def read_csv_records(
    text: TextIO,
    wanted: Sequence[str],
    only: Mapping[str, Only] | None = None,
    is_record: IsRecord = lambda _: True,
) -> Records:
    """Read all records after the header.

    Args:
        text: The file's text, line ends kept.
        wanted: The columns to read; columns the file lacks are not in the result.
        only: The allowed values of some of them.
        is_record: Whether cells of the header's number look like a record of this file. It is
            asked of the lines within a record of several lines.

    Returns:
        The records; one of more or fewer cells than the header has a fault. A header that is
        repeated is a record with a fault, too; one of other columns is the header of what follows.
        Where no record has as many cells as the first header, and the header looks as if a record
        was joined to its line, its text is a fault after the records.
    """
    lines = _Lines(text)
    header, unmatched = _read_header(lines)
    header = header._replace(names=match_names(header.names, wanted))
    table = _Table(header, wanted, only or {}, is_record, unmatched)
    for record in _iterate(lines, header.delimiter):
        table.add(record, lines)
    return table.build()


@dataclass
class _Table:
    """The state of a table while its records are read."""

    header: Header
    wanted: Sequence[str]
    only: Mapping[str, Only]
    is_record: IsRecord
    unmatched: _Record | None
    """The first header, until a record has the same number of cells."""
    builder: RecordsBuilder = field(init=False)
    positions: dict[str, int] = field(init=False)
    spellings: set[str] = field(init=False)
    """Possible spellings of the names of the columns that are read."""
    other_header: int | None = None
    width: int = field(init=False)
    """The number of columns of the first header."""
    widest: int = 0
    """The number of cells of the widest record with valid quotes."""

    def __post_init__(self) -> None:
        self.positions = self._find_columns(self.header.names)
        names = map(fold_name, self.positions)
        self.spellings = {name.replace("_", sign) for name in names for sign in "_ -"}
        self.builder = RecordsBuilder(tuple(self.positions))
        self.width = len(self.header.names)

    def _find_columns(self, names: Sequence[str]) -> dict[str, int]:
        return {name: names.index(name) for name in self.wanted if name in names}

    def build(self) -> Records:
        """All records, and the header's text if a record may be joined to it."""
        first = self.unmatched
        if first is not None and (
            len(first.lines) > 1 or first.defect or self._is_too_wide() or self._holds_values()
        ):
            self.builder.add_fault(
                f"is a header of {self.width} columns, but no record has as many",
                place=f"line {first.number}",
                original=first.raw,
            )
        return self.builder.build()

    def _is_too_wide(self) -> bool:
        """Whether the header has more columns than any record, and than are read."""
        return max(self.positions.values(), default=0) < self.widest < self.width

    def _holds_values(self) -> bool:
        """Whether a name of the header is a value: a record was joined to it."""
        return any(map(_VALUE.search, self.header.names))

    def add(self, record: _Record, lines: _Lines) -> None:
        """Add a record; records absorbed by it are returned to ``lines`` to be read again."""
        starts = self._find_absorbed(record, lines) if len(record.lines) > 1 else iter(())
        if self._is_header(record):
            self._take_header(record)
        elif record.fault is None and record.defect in {None, "perhaps merged"}:
            self._add_whole(record, list(starts))
        else:
            if (start := next(starts, None)) is not None:
                lines.take_back(record.lines[start:])
                record = self._cut(record, start)
            self._add(record)

    def _add_whole(self, record: _Record, starts: list[int]) -> None:
        """Add a record with valid quotes; its lines at ``starts`` look like other records.

        These are quarantined, because the author of a description can write such lines.
        """
        fault = "looks like a record, but is inside a cell"
        if starts and _find_defect(record.raw, self.header.delimiter) == "perhaps merged":
            fault = "may be damaged: a cell ends where another record begins"
            self._add(record._replace(lines=record.lines[: starts[0]], fault=fault))
        else:
            starts = [start for start in starts if _is_within_a_cell(record.lines[start], record)]
            self._add(record)
        for start, end in pairwise([*starts, len(record.lines)]):
            self.builder.add_fault(
                f"{fault} of line {record.number}",
                place=f"line {record.number + _count_lines(record.lines[:start])}",
                original="".join(record.lines[start:end]),
            )

    def _is_header(self, record: _Record) -> bool:
        # Called for every record: most contain no column name in any spelling.
        if self.spellings.isdisjoint(map(str.casefold, map(str.strip, record.cells))):
            return False
        cells = match_names([cell.strip() for cell in record.cells], self.positions)
        named = sum(cell in self.positions for cell in cells)
        return named >= 2 and 2 * named > len(self.positions)

    def _take_header(self, record: _Record) -> None:
        names = match_names([cell.strip() for cell in record.cells], self.wanted)
        fault = "repeats the header"
        if names != self.header.names:
            fault = "is a second header, of other columns"
            self.header = Header(names, self.header.delimiter)
            found = self._find_columns(names)
            self.other_header = None if found.keys() == self.positions.keys() else record.number
            self.positions = found if self.other_header is None else self.positions
        self.builder.add_fault(fault, place=f"line {record.number}", original=record.raw)

    def _find_absorbed(self, record: _Record, lines: _Lines) -> Iterator[int]:
        """The indexes of its lines, after the first, at which other records begin."""
        for index, line in enumerate(record.lines[1:], start=1):
            if self.header.delimiter in line and self._begins_record(record.lines[index:], lines):
                yield index

    def _begins_record(self, within: Sequence[str], lines: _Lines) -> bool:
        reader = csv.reader(
            chain(within, islice(lines.peek(), 1_000)), delimiter=self.header.delimiter
        )
        try:
            cells = next(reader, [])
        except csv.Error:
            return False
        return len(cells) == len(self.header.names) and self._looks_like_record(cells)

    def _looks_like_record(self, cells: Sequence[str], names: Sequence[str] = ()) -> bool:
        return self.is_record(dict(zip(names or self.header.names, cells, strict=True)))

    def _cut(self, record: _Record, end: int) -> _Record:
        """The part of a record before the line at which another one begins."""
        lines = record.lines[:end]
        try:
            cells = next(csv.reader(lines, delimiter=self.header.delimiter))
        except csv.Error as error:
            return _Record(record.number, lines, [], f"cannot be parsed: {error}")
        return _Record(record.number, lines, cells, defect="open")

    def _add(self, record: _Record) -> None:
        place = f"line {record.number}"
        if record.defect is None:
            self.widest = max(self.widest, len(record.cells))
        if len(record.cells) == self.width:
            self.unmatched = None
        fault = record.fault or self._find_fault(record)
        if fault is not None:
            self.builder.add_fault(fault, place=place, original=record.raw)
            return
        cells = [record.cells[position] for position in self.positions.values()]
        self.builder.add(cells, place=place, original=record.raw)

    def _find_fault(self, record: _Record) -> str | None:
        names, cells = self.header.names, record.cells
        if self.other_header is not None:
            return (
                f"follows the second header in line {self.other_header}, which does not have all"
                " columns"
            )
        if len(cells) != len(names):
            fault = f"has {len(cells)} columns where the header has {len(names)}"
            return fault if record.defect is None else f"{fault}: {_OPEN_QUOTE}"
        if record.defect == "merged":
            return f"{_OPEN_QUOTE}, and ends where another record opens one"
        if record.defect == "open" and names[-1] in self.positions:
            return f"column {names[-1]} is truncated: {_OPEN_QUOTE}"
        if self._hides_record(cells[-1]):
            return "another record begins within its last cell"
        return find_exclusion(
            self.only, lambda name: cells[self.positions[name]] if name in self.positions else None
        )

    def _hides_record(self, cell: str) -> bool:
        """Whether another record was appended to a line of the cell at which a record was cut.

        Where its first cell begins is not known, so it is judged by the others. Later lines that
        are records from their beginning are not meant: they are found as such.
        """
        names, delimiter = self.header.names, self.header.delimiter
        if cell.count(delimiter) < len(names) - 1:
            return False
        for number, line in enumerate(cell.splitlines()):
            cells = line.split(delimiter)
            if number and len(cells) == len(names) and self._looks_like_record(cells):
                continue
            ends = [cell.strip('"') for cell in cells[1 - len(names) :]]
            if len(cells) >= len(names) and self._looks_like_record(ends, names[1:]):
                return True
        return False
