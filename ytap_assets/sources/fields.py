"""Reading single values that a platform sent, believing none of them.

Every reader returns the value, None where it is unknown, or raises `UnreadableItemError` with a
reason in words. Belongs here: types, ranges, times, texts. Does not belong here: which fields an
item has (the module of each platform).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from html.entities import html5
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ytap_assets.domain.ids import is_channel_id
from ytap_assets.sources.http.exchange import Exchange, MalformedError, describe_url

_LONGEST_NUMBER = 30
_SHOWN = 60


def load_json(exchange: Exchange) -> Any:
    """The body as JSON.

    A number too long for any count stays text, so that only its item is refused and not the
    whole answer.

    Raises:
        MalformedError: It is not JSON, is cut off, or is nested beyond reason.
    """
    try:
        return json.loads(exchange.body, parse_int=_whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(_complaint(exchange, "JSON", error), exchange=exchange) from error


def load_xml(exchange: Exchange) -> Element:
    """The body as XML, without document types, entities or anything from elsewhere.

    Raises:
        MalformedError: It is not XML, is cut off, or brings a document type.
    """
    try:
        root: Element = ElementTree.fromstring(exchange.body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise MalformedError(_complaint(exchange, "XML", error), exchange=exchange) from error
    return root


def write_item(item: object) -> str:
    """An item as it came, as text that can be stored."""
    try:
        if isinstance(item, Element):
            return tostring(item, encoding="unicode")
        text = json.dumps(item, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be written down)"
    return text.encode("utf-8", "replace").decode("utf-8")


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _complaint(exchange: Exchange, expected: str, error: Exception) -> str:
    start = exchange.body[:_SHOWN].decode("utf-8", "replace")
    shown = "".join(char for char in " ".join(start.split()) if char.isprintable())
    why = type(error).__name__ if isinstance(error, RecursionError) else str(error)[:200]
    return (
        f"{describe_url(exchange.url)}: expected {expected}, got {len(exchange.body)} bytes"
        f" starting {shown!r} ({why})"
    )


COUNTS_END = 10**15
"""No count of anything comes near; what does would overflow the sums it goes into."""
_LONGEST_COUNT = 19
_LONGEST_TITLE = 1_000
_LONGEST_URL = 4_096
_FIRST_INSTANT = datetime(2005, 1, 1, tzinfo=UTC)
"""No platform we ask is older."""
_CLOCK_SKEW = timedelta(days=1)
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
"""NUL, and halves of characters, which JSON can spell and UTF-8 cannot."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DURATION = re.compile(
    r"P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})(?:\.\d+)?S)?)?"
)
_DURATION_UNITS = (604_800, 86_400, 3_600, 60, 1)


class UnreadableItemError(ValueError):
    """One item cannot be read; the others go on. Its text is the reason it is quarantined for."""


def as_object(value: object, name: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        UnreadableItemError: It is something else.
    """
    if not isinstance(value, dict):
        raise UnreadableItemError(f"{name} is {_kind(value)}, not an object")
    return value


def optional_object(value: object, name: str) -> Mapping[str, Any]:
    """A JSON object, empty where it is missing."""
    return {} if value is None else as_object(value, name)


def read_text(value: object, name: str) -> str | None:
    """A text, or None where it is missing or blank. What cannot be stored becomes U+FFFD."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnreadableItemError(f"{name} is {_kind(value)}, not a text")
    return _UNSTORABLE.sub("\ufffd", value).strip() or None


def require_text(value: object, name: str) -> str:
    """A text that must be there."""
    text = read_text(value, name)
    if text is None:
        raise UnreadableItemError(f"{name} is missing")
    return text


def decode_entities(text: str) -> str:
    """Decode the HTML entities of a text, once.

    Only whole ones: `&copy=2` and `AT&T` have no semicolon, and `&notes;` is no entity's name.
    """
    return _ENTITY.sub(_decode_entity, text)


def _decode_entity(match: re.Match[str]) -> str:
    # `unescape` would read the beginning of an unknown name, as the `&not` of `&notes;`.
    is_known = match[0][1] == "#" or match[0][1:] in html5
    return unescape(match[0]) if is_known else match[0]


def read_title(value: object, *, is_html: bool = False) -> str:
    """A title: line breaks and other white space made single blanks.

    Args:
        value: The title as it came.
        is_html: Whether the platform escapes it as HTML, so that its entities are decoded, once.
            Otherwise `&amp;` is what the author wrote.
    """
    title = require_text(value, "title")
    title = " ".join((decode_entities(title) if is_html else title).split())
    if not title:
        raise UnreadableItemError("title is missing")
    if len(title) > _LONGEST_TITLE:
        raise UnreadableItemError(f"title has {len(title)} characters")
    return title


def read_count(value: object, name: str) -> int | None:
    """A count: a whole number from 0 to below `COUNTS_END`, written as a number or as digits.

    `50.0` is one, too: JSON does not tell whole numbers from others.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        if len(value) > _LONGEST_COUNT:
            raise UnreadableItemError(f"{name} has {len(value)} digits")
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableItemError(f"{name} is {_kind(value)}, not a whole number")
    if value < 0:
        raise UnreadableItemError(f"{name} is negative")
    if value >= COUNTS_END:
        raise UnreadableItemError(f"{name} is {COUNTS_END:,} or more, beyond any count")
    return value


def read_flag(value: object, name: str) -> bool | None:
    """True, false or unknown."""
    if value is None or isinstance(value, bool):
        return value
    raise UnreadableItemError(f"{name} is {_kind(value)}, neither true nor false")


def read_unix(value: object, name: str, seen_at: datetime) -> datetime | None:
    """Seconds since 1970, as an instant between 2005 and a day past ``seen_at``."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableItemError(f"{name} is {_kind(value)}, not seconds since 1970")
    latest = (seen_at + _CLOCK_SKEW).timestamp()
    if not _FIRST_INSTANT.timestamp() <= value <= latest:
        raise UnreadableItemError(f"{name} is outside 2005 to now")
    return datetime.fromtimestamp(value, UTC)


def read_instant(value: object, name: str, seen_at: datetime) -> datetime | None:
    """An ISO 8601 time with its zone, as an instant between 2005 and a day past ``seen_at``."""
    text = read_text(value, name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnreadableItemError(f"{name} is not an ISO 8601 time") from error
    if instant.tzinfo is None:
        raise UnreadableItemError(f"{name} has no timezone")
    if not _FIRST_INSTANT <= instant <= seen_at + _CLOCK_SKEW:
        raise UnreadableItemError(f"{name} is outside 2005 to now")
    return instant.astimezone(UTC)


def read_url(value: object, name: str) -> str | None:
    """A link to the web; anything else (``javascript:`` and its like) is refused."""
    url = read_text(value, name)
    if url is None:
        return None
    if len(url) > _LONGEST_URL:
        raise UnreadableItemError(f"{name} has {len(url)} characters")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UnreadableItemError(f"{name} is not a URL") from error
    has_control = any(char < " " for char in url)
    if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or has_control:
        raise UnreadableItemError(f"{name} is not an http or https URL")
    return url


def read_duration(value: object, name: str) -> int | None:
    """An ISO 8601 duration (``PT3M2S``), in whole seconds; none (a live stream) is unknown."""
    text = read_text(value, name)
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise UnreadableItemError(f"{name} is not an ISO 8601 duration")
    parts = zip(found.groups(), _DURATION_UNITS, strict=True)
    return sum(int(part or 0) * unit for part, unit in parts) or None


def read_channel_id(value: object, name: str) -> str | None:
    """A YouTube channel id."""
    text = read_text(value, name)
    if text is not None and not is_channel_id(text):
        raise UnreadableItemError(f"{name} is not a channel id")
    return text


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
