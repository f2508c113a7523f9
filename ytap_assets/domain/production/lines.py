"""Reading JSON lines that anyone may have written: what is wrong with a line costs that line only.

Belongs here: splitting, decoding and storing limits. Does not belong here: single fields
(`fields`), or what they mean (`inbox`, `decisions`, `uploads`, `manifest`). Nothing here trusts its
input: a line may be huge, nested without end, in another encoding, or cut where its writer was
interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, TypeVar

from ytap_assets.domain.production.fields import FieldError, Fields
from ytap_assets.plain_yaml import unique_keys

MAX_LINE_BYTES = 1_000_000
MAX_ORIGINAL = 10_000
MAX_UNREAD = 10

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# LF, CRLF or CR. A CR at the very end may be half of a CRLF that is still being written.
_LINE_END = re.compile(rb"\n|\r(?!\n|\Z)")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 50

T = TypeVar("T")


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read.

    Attributes:
        line: Its number, from 1.
        reason: Why.
        original: The line as it came, cut at `MAX_ORIGINAL` characters. Hostile input.
    """

    line: int
    reason: str
    original: str


@dataclass(frozen=True)
class UnfinishedLine(BadLine):
    """A last line that has no end and is not JSON: its writer is still writing, or was killed.

    Attributes:
        size_bytes: How long it is.
    """

    size_bytes: int


@dataclass(frozen=True)
class Line(Generic[T]):
    """A line that could be read.

    Attributes:
        number: Its number in the file, from 1.
        row: What it says.
        original: Its bytes.
    """

    number: int
    row: T
    original: bytes


@dataclass(frozen=True)
class Lines(Generic[T]):
    """The lines of a file, or of its end, each read by itself; `Parsed` says what they add.

    Attributes:
        good: The lines that could be read.
        bad: Those that could not.
        unfinished: The last line, if it is unfinished: it is left for the next time.
        unread: Keys of the lines that no rule reads, each once; the first `MAX_UNREAD` of them.
            Hostile input.
        ended: How many bytes the lines that have an end take. The last line may have none.
        last_ended: The number of the last line that has an end.
    """

    good: tuple[Line[T], ...]
    bad: tuple[BadLine, ...]
    unfinished: UnfinishedLine | None
    unread: tuple[str, ...]
    ended: int
    last_ended: int


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """What became of a file's lines; each line that is not blank is in exactly one of the four.

    Lines end with LF, CRLF or CR.

    Attributes:
        accepted: The lines that say something new.
        bad: Those that could not be read, or contradict an earlier line.
        repeated: The numbers of the lines that are equal to an earlier line.
        unfinished: The last line, if it is unfinished: it is left for the next time.
        unread: Keys of the lines that no rule reads, each once; the first `MAX_UNREAD` of them.
            Hostile input.
    """

    accepted: tuple[Line[T], ...]
    bad: tuple[BadLine, ...]
    repeated: tuple[int, ...]
    unfinished: UnfinishedLine | None
    unread: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> tuple[T, ...]:
        """What the accepted lines say."""
        return tuple(line.row for line in self.accepted)

    @property
    def duplicates(self) -> int:
        """How many lines are equal to an earlier line."""
        return len(self.repeated)


def read_lines(text: bytes | str, read: Callable[[Fields], T], *, after: int = 0) -> Lines[T]:
    """Read JSON lines, each by itself.

    Args:
        text: A file, or its end from the beginning of a line.
        read: Makes a row of an object, or raises `FieldError`. What it does not ask for is not
            read.
        after: How many lines of the file stand before the text.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    is_whole = after == 0
    lines = _LINE_END.split(content.removeprefix(_BYTE_ORDER_MARK) if is_whole else content)
    good: list[Line[T]] = []
    bad: list[BadLine] = []
    unread: dict[str, None] = {}
    unfinished = _check_last(lines, after)
    for number, line in enumerate(lines[:-1] if unfinished else lines, start=after + 1):
        if _is_blank(line):
            continue
        try:
            fields = Fields(parse_object(line))
            row = read(fields)
        except FieldError as error:
            bad.append(BadLine(number, str(error), _show_original(line)))
            continue
        if len(unread) < MAX_UNREAD:
            unread |= dict.fromkeys(fields.unread[:MAX_UNREAD])
        good.append(Line(number, row, line))
    return Lines(
        tuple(good),
        tuple(bad),
        unfinished,
        tuple(unread)[:MAX_UNREAD],
        ended=len(content) - len(lines[-1]),
        last_ended=after + len(lines) - 1,
    )


def compare_lines(lines: Lines[T], is_new: Callable[[T], bool]) -> Parsed[T]:
    """Tell what is new from what is repeated.

    Args:
        lines: The lines.
        is_new: Whether a row says something new, asked in the order of the lines. It raises
            `FieldError` where the row contradicts an earlier one.
    """
    accepted: list[Line[T]] = []
    bad = list(lines.bad)
    repeated: list[int] = []
    for line in lines.good:
        try:
            if is_new(line.row):
                accepted.append(line)
            else:
                repeated.append(line.number)
        except FieldError as error:
            bad.append(BadLine(line.number, str(error), _show_original(line.original)))
    bad.sort(key=lambda one: one.line)
    return Parsed(tuple(accepted), tuple(bad), tuple(repeated), lines.unfinished, lines.unread)


def _check_last(lines: list[bytes], after: int) -> UnfinishedLine | None:
    last = lines[-1].rstrip(b"\r")
    if _is_blank(last) or len(last) > MAX_LINE_BYTES:
        return None
    try:
        parse_object(last)
    except FieldError as error:
        return UnfinishedLine(after + len(lines), str(error), _show_original(last), len(last))
    return None


def _is_blank(line: bytes) -> bool:
    """Whether nothing is on a line; a single NUL is half of a line end in UTF-16."""
    return line.strip() in (b"", b"\x00")


def parse_object(text: bytes) -> dict[str, Any]:
    """A JSON object, with its fractions as `Decimal`, so that money stays exact.

    Raises:
        FieldError: Not an object, or one that no table can hold.
    """
    if len(text) > MAX_LINE_BYTES:
        raise FieldError(f"longer than {MAX_LINE_BYTES} bytes ({len(text)})")
    if b"\x00" in text:
        raise FieldError("holds NUL bytes: in UTF-16, or damaged; write UTF-8")
    try:
        content = json.loads(
            text.decode("utf-8-sig"),
            parse_float=_parse_fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=unique_keys,
        )
    except UnicodeDecodeError as error:
        raise FieldError(f"not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise FieldError(f"not JSON: {error.msg} (character {error.pos + 1})") from error
    except RecursionError as error:
        raise FieldError(f"nested deeper than {_DEEPEST} levels") from error
    except ValueError as error:
        raise FieldError(str(error)) from error
    if not isinstance(content, dict):
        raise FieldError("expected a JSON object: {...}")
    _check_storable(content)
    return content


def _parse_fraction(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise FieldError("a number is too large") from error
    if value and not -300 < value.adjusted() < 300:
        raise FieldError("a number is too large or too small")
    return value


def _refuse_constant(name: str) -> None:
    raise FieldError(f"{name} is not a number in JSON")


def _check_storable(content: object) -> None:
    """Refuse what no table can hold, wherever it is in the content."""
    waiting: list[tuple[object, int]] = [(content, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise FieldError(f"nested deeper than {_DEEPEST} levels")
        if isinstance(value, str) and _UNSTORABLE.search(value):
            raise FieldError("a text holds a NUL character or half of a surrogate pair")
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in (*value.keys(), *value.values())]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _show_original(line: bytes) -> str:
    text = line[: 4 * MAX_ORIGINAL].decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")[:MAX_ORIGINAL]
