"""Reading the fields of one JSON object that anyone may have written.

Belongs here: one reader per kind of value, each of which says what it expected. Does not belong
here: which fields a file has (`inbox`, `decisions`, `uploads`, `manifest`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, TypeVar

from ytap_assets.config_keys import MISTYPED, find_nearest, fold_name

SCRIPT_ID_RULE = "1-100 characters of a-z, 0-9, _ and -, beginning with a letter or digit"

_SCRIPT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_LIMIT = 10**9
_LONGEST_KEY = 100
_SHOWN_KEY = 40
_SHORTEST_KEY = 4
"""Shorter keys are near many words."""
_ALIKE = 0.6

T = TypeVar("T")


class FieldError(ValueError):
    """A line or a field cannot be read; the message says why."""


class Fields:
    """The fields of one object. Blank texts count as absent.

    A key is known once it was asked for. Any other is allowed, unless it is a known one written
    otherwise (`Title`, `topicUrl`, `segment`): what it holds would be read by no rule.
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
        if _is_blank(value):
            written = [other for other in self.content if _find_meant(other, (key,), (key,))]
            advice = f"; is it meant by {_show_key(written[0])}?" if written else ""
            raise FieldError(f"{key}: missing{advice}")
        try:
            return read(value)
        except FieldError as error:
            raise FieldError(f"{key}: {error}") from error

    def read(self, key: str, read: Callable[[Any], T]) -> T | None:
        """A field that may be absent; what is wrong with it is told by `check`."""
        if _is_blank(self.content.get(key)):
            self._known.append(key)
            return None
        try:
            return self.need(key, read)
        except FieldError as error:
            self._problems.append(str(error))
            return None

    def check(self) -> None:
        """Tell what was wrong with the fields, once all that are known were asked for.

        Raises:
            FieldError: All problems, in one message.
        """
        known = tuple(self._known)
        absent = tuple(key for key in known if _is_blank(self.content.get(key)))
        for key in self.unread:
            if (meant := _find_meant(key, known, absent)) is not None:
                self._problems.append(f"{_show_key(key)}: no such key; did you mean `{meant}`?")
        if self._problems:
            raise FieldError("; ".join(self._problems))

    @property
    def unread(self) -> list[str]:
        """The keys that were not asked for."""
        known = set(self._known)
        return [key for key in self.content if key not in known]


@lru_cache(maxsize=4096)
def _find_meant(key: str, known: tuple[str, ...], absent: tuple[str, ...]) -> str | None:
    """The known key that another spelling or a typing slip stands for; None where none is.

    A slip is looked for among the keys that are absent. Keys that differ by a word (``created_by``,
    ``created_at``) are different ones.
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


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


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
    """A reader of texts for which ``rule`` holds; ``expected`` says the rule in words."""

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
        raise FieldError("expected a number")
    if not -_LIMIT <= value <= _LIMIT:
        raise FieldError(f"expected a number between -{_LIMIT:,} and {_LIMIT:,}")
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
        raise FieldError(f"{str(amount)[:40]!r} is not an amount of dollars") from error
    if not dollars.is_finite() or not 0 <= dollars <= _LIMIT:
        raise FieldError(f"expected an amount of dollars between 0 and {_LIMIT:,}")
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
        raise FieldError(f"{text!r} has no zone; write it as 2026-01-31T09:00:00Z")
    return in_utc
