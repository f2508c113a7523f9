"""A file of recorded trends: its bytes, its text, the days in its name, and its records.

Belongs here: compression, encodings, size limits, dates in file names, and the records (cells of
text with their positions) that both readers return. Does not belong here: CSV and JSON syntax, and
what the cells mean.
"""

from __future__ import annotations

import calendar
import codecs
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from ytap_assets.errors import ImportRefusedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


MAX_BYTES = 256 * 1024 * 1024
"""The largest file, unpacked. Four times the largest known trending table (60 MB)."""
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Content:
    """A file as read.

    Attributes:
        name: The file's name, without folders, always valid Unicode.
        stored: Its bytes as they are on disk.
        sha256: Their hash, in hex.
    """

    name: str
    stored: bytes
    sha256: str

    @contextmanager
    def open_text(self) -> Iterator[TextIO]:
        """Open the file's text from its start; may be called repeatedly.

        Line ends are unchanged and a byte order mark is removed. Invalid bytes of UTF-8 become
        lone surrogates, so that only the rows that contain them are damaged (`is_damaged`). A file
        is read as UTF-16 only if it has a byte order mark; invalid bytes then become U+FFFD.

        Raises:
            ImportRefusedError: The packed data is broken or unpacks to more than `MAX_BYTES`.
        """
        capped = io.BufferedReader(_Capped(self._open_bytes(), self.name))
        encoding, errors = "utf-8-sig", "surrogateescape"
        if capped.peek(2)[:2] in _UTF16_MARKS:
            encoding, errors = "utf-16", "replace"
        yield io.TextIOWrapper(capped, encoding, errors=errors, newline="")

    def _open_bytes(self) -> io.BufferedIOBase | pa.NativeFile:
        if self.stored.startswith(_GZIP_MAGIC):
            return gzip.GzipFile(fileobj=io.BytesIO(self.stored))
        if self.stored.startswith(_ZSTD_MAGIC):
            return pa.CompressedInputStream(pa.BufferReader(self.stored), "zstd")
        return io.BytesIO(self.stored)


class _Capped(io.RawIOBase):
    """A reader of another file that fails after `MAX_BYTES`."""

    def __init__(self, inner: io.BufferedIOBase | pa.NativeFile, name: str) -> None:
        self._inner = inner
        self._name = name
        self._left = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count: int = self._inner.readinto(buffer)
        except (EOFError, zlib.error, OSError) as error:  # of data in memory: it cannot be unpacked
            advice = "fetch the file again, or unpack its readable part and import that"
            if "too much memory" in str(error):
                advice = "its window is too large; unpack it with `zstd -d --long=31`"
            raise ImportRefusedError(
                f"{self._name}: the compressed data is damaged ({error}); {advice}"
            ) from error
        self._left -= count
        if self._left < 0:
            raise ImportRefusedError(
                f"{self._name}: unpacks to more than {MAX_BYTES // 2**20} MiB; split it and "
                "import the parts"
            )
        return count


def read_content(path: Path) -> Content:
    """Read a file.

    Raises:
        ImportRefusedError: There is no such file, it cannot be read, or it is too large.
    """
    name = make_printable(path.name)
    try:
        if path.is_dir():
            raise ImportRefusedError(f"{make_printable(str(path))}: the folder contains no files")
        if not path.is_file():
            raise ImportRefusedError(f"{make_printable(str(path))}: no such file")
        if path.stat().st_size > MAX_BYTES:
            raise ImportRefusedError(f"{name}: larger than {MAX_BYTES // 2**20} MiB; split it")
        stored = path.read_bytes()
    except OSError as error:
        raise ImportRefusedError(f"{name}: cannot be read: {error.strerror}") from error
    return Content(name=name, stored=stored, sha256=hashlib.sha256(stored).hexdigest())


def is_damaged(text: str) -> bool:
    """Whether the text contains invalid Unicode: undecodable bytes or lone surrogates."""
    return not text.isascii() and _SURROGATES.search(text) is not None


def make_printable(text: str) -> str:
    r"""Escape invalid characters and NUL (``\xff``), so that the text can be stored."""
    whole = text if not is_damaged(text) else _escape_surrogates(text)
    return whole.replace("\0", "\\x00")


def _escape_surrogates(text: str) -> str:
    return _SURROGATES.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    # The decoder maps an invalid byte 0xNN to U+DCNN.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)"
    r"(?:(?P<gap>[-_.])(?P<month>\d\d)(?:(?P=gap)(?P<day>\d\d))?|(?P<compact>\d{4}))(?!\d)"
)
_SHORT_END = re.compile(r"_to_(?:(?P<month>\d\d)-)?(?P<day>\d\d)(?![\d-])")


class DaySpan(NamedTuple):
    """A range of days; both ends are included."""

    first: date
    last: date


def read_name_days(name: str) -> DaySpan | None:
    """Parse the days in a file's name.

    A month stands for all its days; ``A_to_B`` and several dates stand for all days between. A
    year alone is ignored.

    Args:
        name: The file's name, without folders.

    Returns:
        The days, or None if the name contains none.
    """
    spans = []
    for found in _DATE.finditer(name):
        span = _parse_span(found)
        if span is None:
            continue
        spans.append(span)
        end = _SHORT_END.match(name, found.end())
        if end is not None and (last := _parse_short_end(end, start=span.first)) is not None:
            spans.append(DaySpan(last, last))
    if not spans:
        return None
    return DaySpan(min(span.first for span in spans), max(span.last for span in spans))


def _parse_span(found: re.Match[str]) -> DaySpan | None:
    year = int(found["year"])
    month = int(found["month"] or found["compact"][:2])
    day_text = found["day"] or (found["compact"] or "")[2:]
    if not 1 <= month <= 12:
        return None
    days_in_month = calendar.monthrange(year, month)[1]
    if not day_text:
        return DaySpan(date(year, month, 1), date(year, month, days_in_month))
    if not 1 <= int(day_text) <= days_in_month:
        return None
    day = date(year, month, int(day_text))
    return DaySpan(day, day)


def _parse_short_end(end: re.Match[str], *, start: date) -> date | None:
    month = int(end["month"] or start.month)
    try:
        return date(start.year, month, int(end["day"]))
    except ValueError:
        return None


def year_from(first: date) -> DaySpan:
    """The year of days that begins with ``first``: each day and month comes once."""
    return DaySpan(first, _same_day(first, first.year + 1) - timedelta(days=1))


def year_up_to(last: date) -> DaySpan:
    """The year of days that ends with ``last``: each day and month comes once."""
    after = last + timedelta(days=1)
    return DaySpan(_same_day(after, after.year - 1), last)


def _same_day(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


FAULT = "fault"
"""The column of `Records.frame` with the reason a record could not be parsed."""
CELL = "cell:"
"""The prefix of the columns of `Records.frame` that hold the file's cells."""

_SHOWN_CHARS = 80


class Only(BaseModel):
    """The values of a column for which a record is accepted.

    Attributes:
        values: The allowed texts (``is``); a record without the column is accepted.
        rule: The reason for other values, for the message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[str, ...] = Field(alias="is", min_length=1)
    rule: str


def find_exclusion(only: Mapping[str, Only], cell_of: Callable[[str], str | None]) -> str | None:
    """Why a record is excluded by its cells; None if it is not."""
    for name, one in only.items():
        cell = cell_of(name)
        if cell is not None and cell not in one.values:
            return f"column {name} contains '{make_printable(cell[:_SHOWN_CHARS])}': {one.rule}"
    return None


class ConflictingObject(dict[str, object]):
    """An object with a duplicate key whose values differ; none of the values is used.

    Attributes:
        pairs: All its keys and values, in order.
    """

    pairs: list[tuple[str, object]]

    @property
    def duplicate_keys(self) -> list[str]:
        """The keys that have several values."""
        return [key for key in self if any(k == key and v != self[key] for k, v in self.pairs)]


@dataclass(frozen=True)
class Records:
    """All records of a file, in order; blank lines are skipped.

    Attributes:
        frame: One row per record: ``cell:<column>`` texts and ``fault``.
        places: The position of each: ``line 12``, ``item 3``.
        originals: The original of each: its text, or the JSON value.
    """

    frame: pl.DataFrame
    places: Sequence[str]
    originals: Sequence[object]

    def original(self, index: int) -> str:
        """One record's original text, escaped so that it can be stored."""
        value = self.originals[index]
        if not isinstance(value, str):
            value = _write_json(value)
        return make_printable(value.rstrip("\r\n"))


def _write_json(value: object) -> str:
    try:
        if isinstance(value, ConflictingObject):
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
            self.add_fault("contains bytes that are not UTF-8", place=place, original=original)
            return
        for column, cell in zip(self.cells, cells, strict=True):
            column.append(cell)
        self._place(None, place, original)

    def add_fault(self, fault: str, *, place: str, original: object) -> None:
        """Add a record that could not be parsed."""
        for column in self.cells:
            column.append(None)
        self._place(fault, place, original)

    def _place(self, fault: str | None, place: str, original: object) -> None:
        self.faults.append(fault)
        self.places.append(place)
        self.originals.append(original)

    def build(self) -> Records:
        """Build the records that were added."""
        named = zip(self.columns, self.cells, strict=True)
        data = [pl.Series(f"{CELL}{name}", cells, dtype=pl.String) for name, cells in named]
        frame = pl.DataFrame([*data, pl.Series(FAULT, self.faults, dtype=pl.String)])
        return Records(frame=frame, places=self.places, originals=self.originals)
