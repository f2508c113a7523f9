"""Reading JSON lines that anyone may have written: what is wrong with a line costs that line only.

Belongs here: splitting, decoding and storing limits. Does not belong here: single fields
(`fields`), or what they mean (`inbox`, `acts`, `uploads`, `manifest`). Nothing here trusts its
input: a line may be huge, nested without end, in another encoding, or cut where its writer was
interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
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
class Parsed(Generic[T]):
    """What became of a file's lines; each line that is not blank is in exactly one of the four.

    Lines end with LF, CRLF or CR.

    Attributes:
        rows: What could be read.
        bad: What could not.
        repeated: The numbers of the lines that said again what an earlier line said.
        unfinished: The last line, if it is unfinished: it is left for the next time.
        unread: Keys of the lines that no rule reads, each once; the first `MAX_UNREAD` of them.
            Hostile input.
    """

    rows: tuple[T, ...]
    bad: tuple[BadLine, ...]
    repeated: tuple[int, ...]
    unfinished: UnfinishedLine | None
    unread: tuple[str, ...] = ()

    @property
    def duplicates(self) -> int:
        """How many lines said again what an earlier line said."""
        return len(self.repeated)


def parse_lines(text: bytes | str, parse: Callable[[Fields], T | None]) -> Parsed[T]:
    """Parse a file of JSON lines.

    Args:
        text: The file.
        parse: Makes a row of an object, None of one that was there before, or raises `FieldError`.
            What it does not ask for is not read.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    lines = _LINE_END.split(content.removeprefix(_BYTE_ORDER_MARK))
    rows: list[T] = []
    bad: list[BadLine] = []
    repeated: list[int] = []
    unread: dict[str, None] = {}
    unfinished = _check_last(lines)
    for number, line in enumerate(lines[:-1] if unfinished else lines, start=1):
        if _is_blank(line):
            continue
        try:
            fields = Fields(parse_object(line))
            row = parse(fields)
        except FieldError as error:
            bad.append(BadLine(number, str(error), _show_original(line)))
            continue
        if len(unread) < MAX_UNREAD:
            unread |= dict.fromkeys(fields.unread[:MAX_UNREAD])
        if row is None:
            repeated.append(number)
        else:
            rows.append(row)
    shown = tuple(unread)[:MAX_UNREAD]
    return Parsed(tuple(rows), tuple(bad), tuple(repeated), unfinished, shown)


def find_unfinished(content: bytes) -> UnfinishedLine | None:
    """The last line of a file, if it is unfinished; no other line is parsed."""
    return _check_last(_LINE_END.split(content.removeprefix(_BYTE_ORDER_MARK)))


def _check_last(lines: list[bytes]) -> UnfinishedLine | None:
    last = lines[-1].rstrip(b"\r")
    if _is_blank(last) or len(last) > MAX_LINE_BYTES:
        return None
    try:
        parse_object(last)
    except FieldError as error:
        return UnfinishedLine(len(lines), str(error), _show_original(last), len(last))
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
