"""What Hacker News' documents hold: Algolia's hits, Firebase's ranking and items.

Titles are HTML in both: `<` is written `&lt;`. Belongs here: the wire formats. Does not belong
here: asking for them (`hn`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from ytap_assets.sources.documents import load_json
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import (
    UnreadableItemError,
    as_object,
    read_count,
    read_text,
    read_title,
    read_unix,
    read_url,
)
from ytap_assets.sources.http.exchange import MalformedError, describe_url
from ytap_assets.sources.parsing import Item
from ytap_assets.sources.trend import Trend

MOST_HITS = 1_000
"""Algolia shows no more hits for one query, however it is paged."""
HIT_FIELDS = ("objectID", "title", "url", "points", "num_comments", "created_at_i")
"""What is read of a hit."""
_WANTED = re.compile(r"points>=([0-9]{1,18})")
_FRONT_PAGE = 30
_STORY_TYPES = frozenset({"story", "job", "poll"})
_ITEM_ID = re.compile(r"[0-9]{1,18}")


def count_hits(exchange: Exchange) -> tuple[int, int]:
    """How many stories Algolia shows for a window, and how many it says there are.

    Where it says nothing that can be read, as many as are shown; one more, if they fill a page.
    """
    try:
        shown = len(list_hits(exchange))
    except MalformedError:
        return 0, 0  # The parser will say so.
    found = _read_number(exchange, "nbHits")
    if found is None:
        page = _read_number(exchange, "hitsPerPage")
        found = shown + 1 if page is not None and shown >= page > 0 else shown
    return shown, max(shown, found)


def is_full(exchange: Exchange) -> bool:
    """Whether a window may have more stories than are shown, so that it must be split."""
    shown, found = count_hits(exchange)
    page = (_read_number(exchange, "hitsPerPage") if shown else None) or MOST_HITS
    return found >= MOST_HITS or found > shown >= page


def mark_wanted(url: str, min_points: int) -> str:
    """The URL of an answer with a note of which stories are wanted of it.

    It is a fragment, which is never sent: the answer is the same for all, and what was wanted of it
    is kept with it in ``raw_payloads``.
    """
    return f"{url}#points>={min_points}"


def is_wanted(item: Item) -> bool:
    """Whether a hit has at least the points that `mark_wanted` noted.

    It has where they are unknown, and an unreadable one is left to the parser.
    """
    wanted = _WANTED.fullmatch(urlsplit(item.exchange.url).fragment)
    try:
        points = read_count(as_object(item.content, "hit").get("points"), "points")
    except UnreadableItemError:
        return True
    return points is None or wanted is None or points >= int(wanted[1])


def _read_number(exchange: Exchange, name: str) -> int | None:
    try:
        return read_count(load_json(exchange).get(name), name)
    except UnreadableItemError:
        return None


def list_hits(exchange: Exchange) -> Sequence[object]:
    """The hits of an answer.

    Raises:
        MalformedError: It has none, not even an empty list.
    """
    answer = load_json(exchange)
    hits = answer.get("hits") if isinstance(answer, dict) else None
    if not isinstance(hits, list):
        raise MalformedError(f"{describe_url(exchange.url)}: no list of hits", exchange=exchange)
    return hits


def read_hit(item: Item, day: date) -> dict[str, Any]:
    """One hit as a trend of the day that was asked for.

    Raises:
        UnreadableItemError: It cannot be read, or was posted on another day.
    """
    hit = as_object(item.content, "hit")
    seen_at = item.exchange.fetched_at
    item_id = _read_item_id(hit.get("objectID"), "objectID")
    page = _discussion_url(item_id)
    posted_at = read_unix(hit.get("created_at_i"), "created_at_i", seen_at)
    if posted_at is not None and posted_at.date() != day:
        raise UnreadableItemError(f"created_at_i is not on the day that was asked for, {day}")
    return Trend(
        source="hn",
        item_id=item_id,
        observed_at=seen_at,
        title=read_title(hit.get("title"), is_html=True),
        url=read_url(hit.get("url"), "url") or page,
        discussion_url=page,
        published_at=posted_at,
        points=read_count(hit.get("points"), "points"),
        comments=read_count(hit.get("num_comments"), "num_comments"),
        list_name="by_date",
        is_promoted=False,
    ).to_row()


def rank_stories(ranking: Exchange) -> dict[str, int]:
    """The ids of the front page with their ranks; empty where the ranking is unreadable."""
    try:
        entries = _list_ranking(ranking)
    except MalformedError:
        return {}  # The parser will say so.
    return {str(entry): rank for rank, entry in enumerate(entries, start=1) if _is_item_id(entry)}


def list_ranking_slips(ranking: Exchange) -> Sequence[object]:
    """What stands in the ranking and cannot be asked for, since it is not an item's id.

    Raises:
        MalformedError: The ranking is not a list.
    """
    return [entry for entry in _list_ranking(ranking) if not _is_item_id(entry)]


def list_story(exchange: Exchange) -> Sequence[object]:
    """The one item of an item's document.

    Raises:
        MalformedError: It is not JSON.
    """
    return (load_json(exchange),)


def read_story(item: Item, ranks: Mapping[str, int]) -> dict[str, Any]:
    """One item as a trend.

    Raises:
        UnreadableItemError: It cannot be read, is gone, or is no story.
    """
    if item.content is None:
        raise UnreadableItemError("null instead of an item")
    story = as_object(item.content, "item")
    for state in ("deleted", "dead"):
        if story.get(state):
            raise UnreadableItemError(f"the item is {state}")
    kind = read_text(story.get("type"), "type")
    if kind not in _STORY_TYPES:
        raise UnreadableItemError(f"type {(kind or 'unknown')[:40]!r} is not a story")
    seen_at = item.exchange.fetched_at
    item_id = _read_item_id(story.get("id"), "id")
    page = _discussion_url(item_id)
    return Trend(
        source="hn",
        item_id=item_id,
        observed_at=seen_at,
        title=read_title(story.get("title"), is_html=True),
        url=read_url(story.get("url"), "url") or page,
        discussion_url=page,
        published_at=read_unix(story.get("time"), "time", seen_at),
        points=read_count(story.get("score"), "score"),
        comments=read_count(story.get("descendants"), "descendants"),
        list_name="front_page",
        rank=ranks.get(item_id),
        category="front_page",
        # Job posts are placed there by the site's owner and cannot be voted on.
        is_promoted=kind == "job",
    ).to_row()


def _list_ranking(ranking: Exchange) -> list[object]:
    entries = load_json(ranking)
    if not isinstance(entries, list):
        raise MalformedError(f"{describe_url(ranking.url)}: not a list", exchange=ranking)
    return entries[:_FRONT_PAGE]


def _is_item_id(entry: object) -> bool:
    return isinstance(entry, int) and _ITEM_ID.fullmatch(str(entry)) is not None


def _read_item_id(value: object, name: str) -> str:
    """An item id: Algolia writes it as text, Firebase as a number."""
    text = str(value) if isinstance(value, int | str) else ""
    if not _ITEM_ID.fullmatch(text):
        raise UnreadableItemError(f"{name} is missing or not an item id")
    return text


def _discussion_url(item_id: str) -> str:
    return f"https://news.ycombinator.com/item?id={item_id}"
