"""Reading documents and fields of a platform's response, which may hold anything.

Documents: `load_json` and `load_xml` raise `MalformedError`. Fields: every reader returns the
value, None if it is missing, or raises `InvalidItemError` with the reason.

Does not belong here: which fields an item has (the module of each platform).

pydantic's types are not used: they read `true` as 1, accept any year, and rewrite URLs; with these
rules as its validators it takes longer (`docs/adr/0028-libraries.md`).
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

COUNTS_END = 10**15
"""No real count comes near; larger ones would overflow sums."""
_MAX_COUNT_DIGITS = 19
_MAX_TITLE_LENGTH = 1_000
_MAX_URL_LENGTH = 4_096
_FIRST_INSTANT = datetime(2005, 1, 1, tzinfo=UTC)
"""No supported platform is older."""
_CLOCK_SKEW = timedelta(days=1)
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
"""NUL and surrogates, which JSON can encode and UTF-8 cannot."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DURATION = re.compile(
    r"P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})(?:\.\d+)?S)?)?"
)
_DURATION_UNITS = (604_800, 86_400, 3_600, 60, 1)
_MAX_DIGITS = 30
_SHOWN_BYTES = 60


def load_json(exchange: Exchange) -> Any:
    """The body as JSON.

    A number with too many digits for a count stays text, so that only its item is rejected.

    Raises:
        MalformedError: It is not JSON, is truncated, or is nested too deeply.
    """
    try:
        return json.loads(exchange.body, parse_int=_parse_int, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _malformed(exchange, "JSON", error) from error


def load_xml(exchange: Exchange) -> Element:
    """The body as XML, without document types, entities or external references.

    Raises:
        MalformedError: It is not XML, is truncated, or has a document type.
    """
    try:
        root: Element = ElementTree.fromstring(exchange.body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _malformed(exchange, "XML", error) from error
    return root


def dump_item(item: object) -> str:
    """An item as it was received, as text that can be stored."""
    try:
        if isinstance(item, Element):
            return tostring(item, encoding="unicode")
        text = json.dumps(item, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be stored)"
    return text.encode("utf-8", "replace").decode("utf-8")


def _parse_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _malformed(exchange: Exchange, expected: str, error: Exception) -> MalformedError:
    start = exchange.body[:_SHOWN_BYTES].decode("utf-8", "replace")
    shown = "".join(char for char in " ".join(start.split()) if char.isprintable())
    why = type(error).__name__ if isinstance(error, RecursionError) else str(error)[:200]
    return MalformedError(
        f"{describe_url(exchange.url)}: expected {expected}, got {len(exchange.body)} bytes"
        f" starting {shown!r} ({why})",
        exchange=exchange,
    )


class InvalidItemError(ValueError):
    """One item is invalid; the others are read. Its text is the reason for the quarantine."""


def as_object(value: object, name: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        InvalidItemError: It is not an object.
    """
    if not isinstance(value, dict):
        raise InvalidItemError(f"{name} is {_kind(value)}, not an object")
    return value


def optional_object(value: object, name: str) -> Mapping[str, Any]:
    """A JSON object, empty if it is missing."""
    return {} if value is None else as_object(value, name)


def read_text(value: object, name: str) -> str | None:
    """A text, or None if it is missing or blank. Characters that cannot be stored become U+FFFD."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidItemError(f"{name} is {_kind(value)}, not a text")
    return _UNSTORABLE.sub("\ufffd", value).strip() or None


def require_text(value: object, name: str) -> str:
    """A required text."""
    text = read_text(value, name)
    if text is None:
        raise InvalidItemError(f"{name} is missing")
    return text


def decode_entities(text: str) -> str:
    """Decode the HTML entities of a text, once.

    Only complete ones: `&copy=2` and `AT&T` have no semicolon, and `&notes;` is not an entity.
    """
    return _ENTITY.sub(_decode_entity, text)


def _decode_entity(match: re.Match[str]) -> str:
    # `unescape` would decode the start of an unknown name, as the `&not` of `&notes;`.
    is_known = match[0][1] == "#" or match[0][1:] in html5
    return unescape(match[0]) if is_known else match[0]


def read_title(value: object, *, is_html: bool = False) -> str:
    """A title, with white space collapsed to single spaces.

    Args:
        value: The title as it was received.
        is_html: Whether the platform escapes it as HTML, so that its entities are decoded, once.
            Otherwise `&amp;` is what the author wrote.
    """
    title = require_text(value, "title")
    title = " ".join((decode_entities(title) if is_html else title).split())
    if not title:
        raise InvalidItemError("title is missing")
    if len(title) > _MAX_TITLE_LENGTH:
        raise InvalidItemError(f"title has {len(title)} characters")
    return title


def read_count(value: object, name: str) -> int | None:
    """A count: an integer from 0 to below `COUNTS_END`, as a number or as digits.

    `50.0` is accepted: JSON does not distinguish integers from other numbers.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        if len(value) > _MAX_COUNT_DIGITS:
            raise InvalidItemError(f"{name} has {len(value)} digits")
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidItemError(f"{name} is {_kind(value)}, not a whole number")
    if value < 0:
        raise InvalidItemError(f"{name} is negative")
    if value >= COUNTS_END:
        raise InvalidItemError(f"{name} is {COUNTS_END:,} or more")
    return value


def read_flag(value: object, name: str) -> bool | None:
    """True, false or None."""
    if value is None or isinstance(value, bool):
        return value
    raise InvalidItemError(f"{name} is {_kind(value)}, neither true nor false")


def read_unix(value: object, name: str, seen_at: datetime) -> datetime | None:
    """Seconds since 1970, as an instant between 2005 and a day past ``seen_at``."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidItemError(f"{name} is {_kind(value)}, not seconds since 1970")
    latest = (seen_at + _CLOCK_SKEW).timestamp()
    if not _FIRST_INSTANT.timestamp() <= value <= latest:
        raise InvalidItemError(f"{name} is outside 2005 to now")
    return datetime.fromtimestamp(value, UTC)


def read_instant(value: object, name: str, seen_at: datetime) -> datetime | None:
    """An ISO 8601 time with its zone, as an instant between 2005 and a day past ``seen_at``."""
    text = read_text(value, name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidItemError(f"{name} is not an ISO 8601 time") from error
    if instant.tzinfo is None:
        raise InvalidItemError(f"{name} has no timezone")
    if not _FIRST_INSTANT <= instant <= seen_at + _CLOCK_SKEW:
        raise InvalidItemError(f"{name} is outside 2005 to now")
    return instant.astimezone(UTC)


def read_url(value: object, name: str) -> str | None:
    """An http or https URL; others, such as ``javascript:``, are rejected."""
    url = read_text(value, name)
    if url is None:
        return None
    if len(url) > _MAX_URL_LENGTH:
        raise InvalidItemError(f"{name} has {len(url)} characters")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidItemError(f"{name} is not a URL") from error
    has_control = any(char < " " for char in url)
    if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or has_control:
        raise InvalidItemError(f"{name} is not an http or https URL")
    return url


def read_duration(value: object, name: str) -> int | None:
    """An ISO 8601 duration (``PT3M2S``), in whole seconds; 0 (a live stream) is None."""
    text = read_text(value, name)
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise InvalidItemError(f"{name} is not an ISO 8601 duration")
    parts = zip(found.groups(), _DURATION_UNITS, strict=True)
    return sum(int(part or 0) * unit for part, unit in parts) or None


def read_channel_id(value: object, name: str) -> str | None:
    """A YouTube channel id."""
    text = read_text(value, name)
    if text is not None and not is_channel_id(text):
        raise InvalidItemError(f"{name} is not a channel id")
    return text


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
