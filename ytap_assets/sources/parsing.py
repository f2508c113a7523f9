"""From exchanges to rows: the one loop that every platform's parser goes through.

It keeps the count: every wanted item of every document becomes a row or is put aside with a reason,
and a document that cannot be read is named as the fetch's problem while the others go on. Pure: the
same exchanges give the same rows, from the network or from stored payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ytap_assets.sources.documents import write_item
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import UnreadableItemError
from ytap_assets.sources.http.exchange import MalformedError, SourceError


@dataclass(frozen=True)
class Item:
    """One item of a document.

    Attributes:
        content: The item as it came.
        place: Where in the document, in words.
        position: Its place in the list over all pages; 1 is the first.
        exchange: The exchange whose document holds it.
    """

    content: object
    place: str
    position: int
    exchange: Exchange


@dataclass(frozen=True)
class Unreadable:
    """An item that was put aside, and why."""

    origin: str
    place: str
    reason: str
    original: str
    seen_at: datetime


@dataclass
class Parsed:
    """What exchanges held.

    Attributes:
        rows: Columns of the table the source feeds, without the ones every row of a fetch shares.
        unreadable: Items put aside; with ``rows``, all there were.
        problem: What kept the first document that could not be read at all from it.
        remark: What the log should say although nothing went wrong.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    problem: SourceError | None = None
    remark: str | None = None


def parse_exchanges(
    exchanges: Sequence[Exchange],
    *,
    list_items: Callable[[Exchange], Sequence[object]],
    read_item: Callable[[Item], dict[str, Any]],
    noun: str,
    is_wanted: Callable[[Item], bool] = lambda _: True,
) -> Parsed:
    """Read every item of every usable exchange.

    Args:
        exchanges: The exchanges of one fetch, in order; error answers are passed over.
        list_items: Opens a document; raises `MalformedError` where it cannot.
        read_item: Turns an item into a row; raises `UnreadableItemError` where it cannot.
        noun: What an item is called in ``quarantined_rows.place``.
        is_wanted: Whether an item is read at all; others count neither as rows nor as unreadable.
    """
    parsed, position = Parsed(), 0
    for exchange in exchanges:
        if not exchange.is_answer:
            continue
        try:
            contents = list_items(exchange)
        except MalformedError as error:
            parsed.problem = parsed.problem or error
            continue
        for number, content in enumerate(contents, start=1):
            position += 1
            item = Item(content, f"{noun} {number}", position, exchange)
            if is_wanted(item):
                _read(item, read_item, parsed)
    return parsed


def _read(item: Item, read_item: Callable[[Item], dict[str, Any]], parsed: Parsed) -> None:
    try:
        parsed.rows.append(read_item(item))
    except UnreadableItemError as error:
        parsed.unreadable.append(
            Unreadable(
                origin=item.exchange.url,
                place=item.place,
                reason=str(error),
                original=write_item(item.content),
                seen_at=item.exchange.fetched_at,
            )
        )
