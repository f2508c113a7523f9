"""Reading JSON lines that anyone may have written: what is wrong with a line costs that line only.

Belongs here: splitting and decoding lines, storing limits, and one reader per kind of value, each
of which says what it expected. Does not belong here: which fields a file has, or what they mean
(`inbox`, `manifest`). Nothing here trusts its input: a line may be huge, nested without end, in
another encoding, or cut where its writer was interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from ytap_assets.config_keys import MISTYPED, find_nearest, fold_name
from ytap_assets.plain_yaml import unique_keys

SCRIPT_ID_RULE = "1-100 characters of a-z, 0-9, _ and -, beginning with a letter or digit"

_SCRIPT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_LIMIT = 10**9
_LONGEST_KEY = 100
_SHOWN_KEY = 40
_SHOWN_VALUE = 40
_SHORTEST_KEY = 4
"""Shorter keys are near many words."""
_ALIKE = 0.6

T = TypeVar("T")


class FieldError(ValueError):
    """A line or a field cannot be read; the message says why."""


class Fields:
    """The fields of one object. Blank texts count as absent.

    A key becomes known when it is read. Other keys are allowed, except different spellings of a
    known one (`Title`, `topicUrl`, `segment`), since their values would be ignored.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self._known: list[str] = []
        self._problems: list[str] = []

    def need(self, key: str, read: Callable[[Any], T]) -> T:
        """A field without which nothing can be done.

        Raises:
            FieldError: It is absent or wrong.
        """
        self._known.append(key)
        value = self.content.get(key)
        if _is_absent(value):
            written = [other for other in self.content if _find_meant(other, (key,), (key,))]
            advice = f"; did you mean it by {_show_key(written[0])}?" if written else ""
            raise FieldError(f"{key}: missing{advice}")
        try:
            return read(value)
        except FieldError as error:
            raise FieldError(f"{key}: {error}") from error

    def read(self, key: str, read: Callable[[Any], T]) -> T | None:
        """A field that may be absent; `check` reports an invalid one."""
        if _is_absent(self.content.get(key)):
            self._known.append(key)
            return None
        try:
            return self.need(key, read)
        except FieldError as error:
            self._problems.append(str(error))
            return None

    def check(self) -> None:
        """Report the invalid fields, after all known fields were read.

        Raises:
            FieldError: All problems, in one message.
        """
        known = tuple(self._known)
        absent = tuple(key for key in known if _is_absent(self.content.get(key)))
        for key in self.unread:
            if (meant := _find_meant(key, known, absent)) is not None:
                self._problems.append(f"{_show_key(key)}: unknown key; did you mean `{meant}`?")
        if self._problems:
            raise FieldError("; ".join(self._problems))

    @property
    def unread(self) -> list[str]:
        """The keys that were not read."""
        known = set(self._known)
        return [key for key in self.content if key not in known]


@lru_cache(maxsize=4096)
def _find_meant(key: str, known: tuple[str, ...], absent: tuple[str, ...]) -> str | None:
    """The known key of which a key is another spelling or a misspelling; None if there is none.

    A misspelled key is compared with the absent keys only. Keys that differ by a word
    (``created_by``, ``created_at``) are different keys.
    """
    if len(key) > _LONGEST_KEY:
        return None
    plain = _plain_key(key)
    same = next((one for one in known if one != key and _plain_key(one) == plain), None)
    candidates = (one for one in absent if len(one) >= _SHORTEST_KEY and one != key)
    nearest = same or find_nearest(key, candidates, cutoff=MISTYPED)
    return nearest if same or nearest is None or not _differ_by_word(key, nearest) else None


def _differ_by_word(key: str, known: str) -> bool:
    words, others = fold_name(key).split("_"), fold_name(known).split("_")
    if len(words) != len(others):  # a word more or less, such as the unit, is left out or added
        return any(one != other for one, other in zip(words, others, strict=False))
    pairs = ((one, other) for one, other in zip(words, others, strict=True) if one != other)
    return any(SequenceMatcher(None, *pair).ratio() < _ALIKE for pair in pairs)


def _plain_key(key: str) -> str:
    """A key without what its spellings differ in: capitals, width, separators, invisible signs."""
    return "".join(filter(str.isalnum, fold_name(key)))


def _show_key(key: str) -> str:
    return repr(key[:_SHOWN_KEY])


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def show_value(value: object) -> str:
    """The beginning of an invalid value, in quotes, for a message about it."""
    return repr(str(value)[:_SHOWN_VALUE])


def text_up_to(limit: int) -> Callable[[Any], str]:
    """A reader of texts of at most ``limit`` characters."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise FieldError("expected a text")
        if len(value) > limit:
            raise FieldError(f"longer than {limit} characters")
        return value

    return read


def text_matching(rule: Callable[[str], bool], expected: str) -> Callable[[Any], str]:
    """A reader of texts that satisfy ``rule``; ``expected`` describes the rule."""

    def read(value: Any) -> str:
        text = text_up_to(2_000)(value)
        if not rule(text):
            raise FieldError(f"{text[:80]!r} is not {expected}")
        return text

    return read


def is_script_id(text: str) -> bool:
    """Whether the whole text is a valid script id (`SCRIPT_ID_RULE`), safe as a folder's name."""
    return _SCRIPT_ID.fullmatch(text) is not None


read_script_id = text_matching(is_script_id, f"a script's id: {SCRIPT_ID_RULE}")
"""A reader of script ids."""


def read_number(value: Any) -> float:
    """A number between minus and plus a billion.

    Raises:
        FieldError: It is not.
    """
    return float(_as_number(value))


def read_usd_micros(value: Any) -> int:
    """A JSON number of dollars, as micro-dollars.

    Raises:
        FieldError: Not a number between 0 and a billion.
    """
    return usd_to_micros(_as_number(value))


def _as_number(value: Any) -> Decimal | float:
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, float)):
        raise FieldError(f"expected a number, not {show_value(value)}")
    if not -_LIMIT <= value <= _LIMIT:
        limits = f"between -{_LIMIT:,} and {_LIMIT:,}"
        raise FieldError(f"expected a number {limits}, not {show_value(value)}")
    return value


def usd_to_micros(amount: Decimal | float | str) -> int:
    """Dollars as whole micro-dollars, rounded once, half up.

    A float means the shortest decimal that reads as it: 2.35 is 2,350,000 micro-dollars.

    Raises:
        FieldError: Not an amount between 0 and a billion.
    """
    try:
        dollars = Decimal(str(amount))
    except ArithmeticError as error:
        raise FieldError(f"{show_value(amount)} is not an amount of dollars") from error
    if not dollars.is_finite() or not 0 <= dollars <= _LIMIT:
        limits = f"between 0 and {_LIMIT:,}"
        raise FieldError(f"expected an amount of dollars {limits}, not {show_value(amount)}")
    return int((dollars * 1_000_000).to_integral_value(ROUND_HALF_UP))


def read_instant(value: Any) -> datetime:
    """An ISO 8601 instant with its zone, in UTC.

    Raises:
        FieldError: It is not one, or has no zone.
    """
    text = text_up_to(64)(value)
    try:
        instant = datetime.fromisoformat(text)
        in_utc = instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FieldError(f"{text!r} is not an instant such as 2026-01-31T09:00:00Z") from error
    if instant.tzinfo is None:
        raise FieldError(f"{text!r} has no timezone; write it as 2026-01-31T09:00:00Z")
    return in_utc


MAX_LINE_BYTES = 1_000_000
MAX_ORIGINAL = 10_000
MAX_UNREAD = 10

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# LF, CRLF or CR. A CR at the very end may be half of a CRLF that is still being written.
_LINE_END = re.compile(rb"\n|\r(?!\n|\Z)")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST_INTEGER = 300


@dataclass(frozen=True)
class Limits:
    """The largest object that a line can have.

    Attributes:
        size_bytes: The length of the line.
        depth: How deep its values are nested.
    """

    size_bytes: int
    depth: int


LINE_LIMITS = Limits(MAX_LINE_BYTES, 50)


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read.

    Attributes:
        line: Its number, from 1.
        reason: Why.
        original: The line as it came, cut at `MAX_ORIGINAL` characters. Untrusted input.
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
        row: Its content.
        original: Its bytes.
    """

    number: int
    row: T
    original: bytes


@dataclass(frozen=True)
class Lines(Generic[T]):
    """The lines of a file, or of its end, each parsed separately; `Parsed` has the new ones.

    Attributes:
        good: The lines that could be read.
        bad: Those that could not.
        unfinished: The last line, if it is unfinished: it is left for the next time.
        unread: Keys of the lines that no rule reads, each once; the first `MAX_UNREAD` of them.
            Untrusted input.
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
        accepted: The new lines.
        bad: Those that could not be read, or contradict an earlier line.
        repeated: The numbers of the lines that are equal to an earlier line.
        unfinished: The last line, if it is unfinished: it is left for the next time.
        unread: Keys of the lines that no rule reads, each once; the first `MAX_UNREAD` of them.
            Untrusted input.
    """

    accepted: tuple[Line[T], ...]
    bad: tuple[BadLine, ...]
    repeated: tuple[int, ...]
    unfinished: UnfinishedLine | None
    unread: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> tuple[T, ...]:
        """The content of the accepted lines."""
        return tuple(line.row for line in self.accepted)


def read_lines(
    text: bytes | str, read: Callable[[Fields], T], *, after: int = 0, limits: Limits = LINE_LIMITS
) -> Lines[T]:
    """Read JSON lines, each by itself.

    Args:
        text: A file, or its end from the beginning of a line.
        read: Makes a row of an object, or raises `FieldError`. What it does not ask for is not
            read.
        after: The number of lines of the file before the text.
        limits: The largest line.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    is_whole = after == 0
    lines = _LINE_END.split(content.removeprefix(_BYTE_ORDER_MARK) if is_whole else content)
    good: list[Line[T]] = []
    bad: list[BadLine] = []
    unread: dict[str, None] = {}
    unfinished = _check_last(lines, after, limits)
    for number, line in enumerate(lines[:-1] if unfinished else lines, start=after + 1):
        if _is_blank(line):
            continue
        try:
            fields = Fields(parse_object(line, limits))
            row = read(fields)
        except FieldError as error:
            bad.append(BadLine(number, str(error), show_original(line)))
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


def find_last_end(text: bytes) -> int:
    """How many bytes the lines that have an end take; the last line may have none.

    Args:
        text: The end of a file.
    """
    # As `_LINE_END`: of a CR before an LF, the LF is found.
    return max(text.rfind(b"\n"), text.rfind(b"\r", 0, max(len(text) - 1, 0))) + 1


def compare_lines(lines: Lines[T], is_new: Callable[[T], bool]) -> Parsed[T]:
    """Separate new lines from repeated ones.

    Args:
        lines: The lines.
        is_new: Whether a row is new, called in the order of the lines. It raises `FieldError` if
            the row contradicts an earlier one.
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
            bad.append(BadLine(line.number, str(error), show_original(line.original)))
    bad.sort(key=lambda one: one.line)
    return Parsed(tuple(accepted), tuple(bad), tuple(repeated), lines.unfinished, lines.unread)


def _check_last(lines: list[bytes], after: int, limits: Limits) -> UnfinishedLine | None:
    last = lines[-1].rstrip(b"\r")
    if _is_blank(last) or len(last) > limits.size_bytes:
        return None
    try:
        parse_object(last, limits)
    except FieldError as error:
        return UnfinishedLine(after + len(lines), str(error), show_original(last), len(last))
    return None


def _is_blank(line: bytes) -> bool:
    """Whether nothing is on a line; a single NUL is half of a line end in UTF-16."""
    return line.strip() in (b"", b"\x00")


def parse_object(text: bytes, limits: Limits = LINE_LIMITS) -> dict[str, Any]:
    """A JSON object, with its fractions as `Decimal`, so that money stays exact.

    Raises:
        FieldError: Not an object, or one that cannot be stored in a table.
    """
    if len(text) > limits.size_bytes:
        raise FieldError(f"longer than {limits.size_bytes} bytes ({len(text)})")
    if b"\x00" in text:
        raise FieldError("contains NUL bytes: it is in UTF-16, or damaged; write UTF-8")
    try:
        content = json.loads(
            text.decode("utf-8-sig"),
            parse_float=_parse_fraction,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=unique_keys,
        )
    except UnicodeDecodeError as error:
        raise FieldError(f"not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise FieldError(f"not JSON: {error.msg} (character {error.pos + 1})") from error
    except RecursionError as error:
        raise FieldError(f"nested deeper than {limits.depth} levels") from error
    except ValueError as error:
        raise FieldError(str(error)) from error
    if not isinstance(content, dict):
        raise FieldError("expected a JSON object: {...}")
    _check_storable(content, limits.depth)
    return content


def _parse_integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise FieldError("a number is too large or too small")
    return int(text)


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


def _check_storable(content: object, deepest: int) -> None:
    """Refuse what no table can hold, wherever it is in the content."""
    waiting: list[tuple[object, int]] = [(content, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > deepest:
            raise FieldError(f"nested deeper than {deepest} levels")
        if isinstance(value, str) and _UNSTORABLE.search(value):
            raise FieldError("a text contains a NUL character or half of a surrogate pair")
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in (*value.keys(), *value.values())]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def show_original(line: bytes) -> str:
    """A line as text, as it is stored in ``quarantined_rows``: cut at `MAX_ORIGINAL` characters."""
    text = line[: 4 * MAX_ORIGINAL].decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")[:MAX_ORIGINAL]
