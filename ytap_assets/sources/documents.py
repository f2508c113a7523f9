"""From a body's bytes to JSON or XML, whatever the bytes are.

Belongs here: the document as a whole. Does not belong here: its items (`fields`, and the module
of each platform).
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.http.exchange import MalformedError, describe_url

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
