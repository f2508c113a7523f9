"""Hacker News: the stories of a day (Algolia), and the current front page (Firebase).

Algolia returns the stories posted on any past day, with their current points. It is queried by time
only: since June 2026 it has been reported to reject a filter by points with status 400. The parser
drops stories with too few points, so one response serves every workspace. Firebase returns the
current front page only. Both have the source name ``hn``. Titles are HTML in both.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from ytap_assets.sources.fields import (
    InvalidItemError,
    as_object,
    load_json,
    read_count,
    read_text,
    read_title,
    read_unix,
    read_url,
)
from ytap_assets.sources.http.exchange import (
    Exchange,
    MalformedError,
    PermanentError,
    SourceError,
    describe_url,
)
from ytap_assets.sources.source import (
    Item,
    Parsed,
    Query,
    Responses,
    Trend,
    TrendSource,
    parse_exchanges,
)
from ytap_assets.workspaces import Workspace

MAX_HITS = 1_000
"""Algolia returns no more hits for one query, however it is paged."""
_HIT_FIELDS = ("objectID", "title", "url", "points", "num_comments", "created_at_i")
_ALGOLIA = "hn.algolia.com"
_FIREBASE = "hacker-news.firebaseio.com"
_MAX_REQUESTS = 64
_MAX_FAILED_ITEMS = 3
_FRONT_PAGE = 30
_STORY_TYPES = frozenset({"story", "job", "poll"})
_MIN_POINTS = re.compile(r"points>=([0-9]{1,18})")
_ITEM_ID = re.compile(r"[0-9]{1,18}")


class HackerNewsByDate(TrendSource):
    """The stories posted on a day, with at least the configured points."""

    name = "hn"
    history = "date_queryable"
    hosts = frozenset({_ALGOLIA})
    spacing_s = 0.5

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target, if Hacker News is enabled."""
        return ("by_date",) if workspace.sources.hn.enabled else ()

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the day in one window, and halve every window with more stories than are returned.

        The response to a window that is halved is dropped, since its halves contain all of it. A
        day of up to 999 stories takes one request, one of up to about 1,900 three.

        Raises:
            PermanentError: The day is not complete after `_MAX_REQUESTS` requests.
        """
        begin = datetime.combine(query.context.day, time(), UTC)
        windows = [(begin, begin + timedelta(days=1))]
        dropped = 0
        for _ in range(_MAX_REQUESTS):
            start, end = windows.pop()
            exchange = await query.get(by_date_url(start, end))
            middle = start + timedelta(seconds=(end - start) // timedelta(seconds=2))
            if _is_full(exchange) and start < middle:
                windows += [(start, middle), (middle, end)]
                dropped += exchange.attempts
            else:
                yield replace(
                    exchange,
                    url=_add_min_points(exchange.url, query.workspace.sources.hn.min_points),
                    # The log counts all requests, including those whose responses are dropped.
                    attempts=exchange.attempts + dropped,
                )
                dropped = 0
            if not windows:
                return
        raise PermanentError(
            f"{_ALGOLIA}: {query.context.day} has too many stories for {_MAX_REQUESTS} requests;"
            f" those posted before {windows[-1][1]:%H:%M:%S} UTC are missing",
            attempts=dropped,
        )

    def parse(self, responses: Responses) -> Parsed:
        """Parse the hits; a note names the number of stories that Algolia did not return."""
        parsed = parse_exchanges(
            responses.exchanges,
            list_items=_list_hits,
            read_item=lambda item: _read_hit(item, responses.day),
            noun="hit",
            is_wanted=_has_min_points,
        )
        counts = [_count_hits(each) for each in responses.exchanges if each.is_usable]
        shown, found = (sum(count) for count in zip(*counts, strict=True)) if counts else (0, 0)
        if shown < found:
            parsed.note = f"incomplete: {shown:,} of {found:,} stories were returned"
        return parsed


def by_date_url(start: datetime, end: datetime, hits: int = MAX_HITS) -> str:
    """The Algolia URL of the stories posted from ``start`` until before ``end``.

    Args:
        start: The first second.
        end: The second after the last.
        hits: The most stories to return, up to `MAX_HITS`.
    """
    query = {
        "tags": "story",
        "numericFilters": (
            f"created_at_i>={int(start.timestamp())},created_at_i<{int(end.timestamp())}"
        ),
        "hitsPerPage": str(hits),
        # Without these a hit is several times as long.
        "attributesToRetrieve": ",".join(_HIT_FIELDS),
        "attributesToHighlight": "none",
    }
    return f"https://{_ALGOLIA}/api/v1/search_by_date?{urlencode(query)}"


def _is_full(exchange: Exchange) -> bool:
    """Whether a window may have more stories than were returned, so that it is halved."""
    shown, found = _count_hits(exchange)
    page = (_read_number(exchange, "hitsPerPage") if shown else None) or MAX_HITS
    return found >= MAX_HITS or found > shown >= page


def _count_hits(exchange: Exchange) -> tuple[int, int]:
    """The number of stories returned for a window, and the number that Algolia reports.

    If it reports no readable number: the number returned, plus one if they fill a page.
    """
    try:
        shown = len(_list_hits(exchange))
    except MalformedError:
        return 0, 0  # The parser reports it.
    found = _read_number(exchange, "nbHits")
    if found is None:
        page = _read_number(exchange, "hitsPerPage")
        found = shown + 1 if page is not None and shown >= page > 0 else shown
    return shown, max(shown, found)


def _read_number(exchange: Exchange, name: str) -> int | None:
    try:
        return read_count(load_json(exchange).get(name), name)
    except InvalidItemError:
        return None


def _add_min_points(url: str, min_points: int) -> str:
    """The URL with the workspace's minimum as its fragment.

    A fragment is not sent, so the response is the same for all workspaces, and the minimum is
    stored with it in ``raw_payloads``.
    """
    return f"{url}#points>={min_points}"


def _has_min_points(item: Item) -> bool:
    """Whether a hit has at least the points in the URL's fragment.

    True if the points are unknown; an invalid hit is left to the parser.
    """
    minimum = _MIN_POINTS.fullmatch(urlsplit(item.exchange.url).fragment)
    try:
        points = read_count(as_object(item.content, "hit").get("points"), "points")
    except InvalidItemError:
        return True
    return points is None or minimum is None or points >= int(minimum[1])


def _list_hits(exchange: Exchange) -> Sequence[object]:
    response = load_json(exchange)
    hits = response.get("hits") if isinstance(response, dict) else None
    if not isinstance(hits, list):
        raise MalformedError(f"{describe_url(exchange.url)}: no list of hits", exchange=exchange)
    return hits


def _read_hit(item: Item, day: date) -> dict[str, Any]:
    hit = as_object(item.content, "hit")
    seen_at = item.exchange.fetched_at
    item_id = _read_item_id(hit.get("objectID"), "objectID")
    page = _discussion_url(item_id)
    posted_at = read_unix(hit.get("created_at_i"), "created_at_i", seen_at)
    if posted_at is not None and posted_at.date() != day:
        raise InvalidItemError(f"created_at_i is not on the requested day, {day}")
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


class HackerNewsFrontPage(TrendSource):
    """The current front page, with ranks."""

    name = "hn"
    history = "snapshot_only"
    hosts = frozenset({_FIREBASE})
    spacing_s = 0.05

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target, if Hacker News is enabled."""
        return ("front_page",) if workspace.sources.hn.enabled else ()

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the ranking, then its first stories one by one.

        The fetch continues after a story that fails, up to `_MAX_FAILED_ITEMS` of them.
        """
        ranking = await query.get(top_stories_url())
        yield ranking
        failed: list[SourceError] = []
        ranks = _rank_stories(ranking)
        for item_id in ranks:
            try:
                exchange = await query.get(item_url(item_id))
            except SourceError as error:
                failed.append(error)
                if len(failed) > _MAX_FAILED_ITEMS:
                    break
            else:
                yield exchange
        if failed:
            first = failed[0]
            raise type(first)(
                f"{len(failed)} of {len(ranks)} stories failed; the first: {first}",
                exchange=first.exchange,
                attempts=sum(error.attempts for error in failed),
            )

    def parse(self, responses: Responses) -> Parsed:
        """Parse the items, each with its rank."""
        ranks: dict[str, int] = {}
        for exchange in responses.exchanges:
            if _is_ranking(exchange):
                ranks |= _rank_stories(exchange)
        return parse_exchanges(
            responses.exchanges,
            list_items=_list_front_page_items,
            read_item=lambda item: _read_story(item, ranks),
            noun="item",
        )


def top_stories_url() -> str:
    """The URL of the front page's ranking."""
    return f"https://{_FIREBASE}/v0/topstories.json"


def item_url(item_id: str) -> str:
    """The URL of one item."""
    return f"https://{_FIREBASE}/v0/item/{item_id}.json"


def _is_ranking(exchange: Exchange) -> bool:
    return exchange.url == top_stories_url()


def _list_front_page_items(exchange: Exchange) -> Sequence[object]:
    """The item of an item's document; of the ranking, the entries that are not item ids."""
    if not _is_ranking(exchange):
        return (load_json(exchange),)
    return [entry for entry in _list_ranking(exchange) if not _is_item_id(entry)]


def _list_ranking(ranking: Exchange) -> list[object]:
    entries = load_json(ranking)
    if not isinstance(entries, list):
        raise MalformedError(f"{describe_url(ranking.url)}: not a list", exchange=ranking)
    return entries[:_FRONT_PAGE]


def _rank_stories(ranking: Exchange) -> dict[str, int]:
    """The ids of the front page with their ranks; empty if the ranking is malformed."""
    try:
        entries = _list_ranking(ranking)
    except MalformedError:
        return {}  # The parser reports it.
    return {str(entry): rank for rank, entry in enumerate(entries, start=1) if _is_item_id(entry)}


def _read_story(item: Item, ranks: Mapping[str, int]) -> dict[str, Any]:
    if item.content is None:
        raise InvalidItemError("null instead of an item")
    story = as_object(item.content, "item")
    for state in ("deleted", "dead"):
        if story.get(state):
            raise InvalidItemError(f"the item is {state}")
    kind = read_text(story.get("type"), "type")
    if kind not in _STORY_TYPES:
        raise InvalidItemError(f"type {(kind or 'unknown')[:40]!r} is not a story")
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
        # Job posts are placed by the site's owner and cannot be voted on.
        is_promoted=kind == "job",
    ).to_row()


def _is_item_id(entry: object) -> bool:
    return isinstance(entry, int) and _ITEM_ID.fullmatch(str(entry)) is not None


def _read_item_id(value: object, name: str) -> str:
    """An item id: a text in Algolia, a number in Firebase."""
    text = str(value) if isinstance(value, int | str) else ""
    if not _ITEM_ID.fullmatch(text):
        raise InvalidItemError(f"{name} is missing or not an item id")
    return text


def _discussion_url(item_id: str) -> str:
    return f"https://news.ycombinator.com/item?id={item_id}"
