"""What Hacker News' documents hold: Algolia's hits, Firebase's ranking and items.

Titles are HTML in both: `<` is written `&lt;`. Belongs here: the wire formats. Does not belong
here: asking for them (`hn`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from ytap_assets.sources.fields import (
    UnreadableItemError,
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
    Answers,
    Item,
    Parsed,
    Query,
    Trend,
    TrendSource,
    parse_exchanges,
)
from ytap_assets.workspaces import Workspace

MOST_HITS = 1_000
"""Algolia shows no more hits for one query, however it is paged."""
HIT_FIELDS = ("objectID", "title", "url", "points", "num_comments", "created_at_i")
"""What is read of a hit."""
_ALGOLIA = "hn.algolia.com"
_FIREBASE = "hacker-news.firebaseio.com"
_TOP_STORIES = f"https://{_FIREBASE}/v0/topstories.json"
_MAX_REQUESTS = 64
_MAX_FAILED_ITEMS = 3


class HackerNewsByDate(TrendSource):
    """The stories posted on a day with at least so many points."""

    name = "hn"
    history = "date_queryable"
    hosts = frozenset({_ALGOLIA})
    spacing_s = 0.5

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target, where Hacker News is wanted."""
        return ("by_date",) if workspace.sources.hn.enabled else ()

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the day in one window, halving every window that has more than can be shown.

        The answer to such a window is left out: its halves bring all of it. One request serves a
        day of up to 999 stories, three one of up to about 1,900.

        Raises:
            PermanentError: The day is not read to its beginning after `_MAX_REQUESTS` requests.
        """
        begin = datetime.combine(query.visit.day, time(), UTC)
        windows = [(begin, begin + timedelta(days=1))]
        left_out = 0
        for _ in range(_MAX_REQUESTS):
            start, end = windows.pop()
            exchange = await query.get(by_date_url(start, end))
            middle = start + timedelta(seconds=(end - start) // timedelta(seconds=2))
            if is_full(exchange) and start < middle:
                windows += [(start, middle), (middle, end)]
                left_out += exchange.attempts
            else:
                yield replace(
                    exchange,
                    url=mark_wanted(exchange.url, query.workspace.sources.hn.min_points),
                    # The log counts requests, also those whose answers are left out.
                    attempts=exchange.attempts + left_out,
                )
                left_out = 0
            if not windows:
                return
        raise PermanentError(
            f"{_ALGOLIA}: {query.visit.day} has too many stories for {_MAX_REQUESTS} requests;"
            f" those posted before {windows[-1][1]:%H:%M:%S} UTC are missing",
            attempts=left_out,
        )

    def parse(self, answers: Answers) -> Parsed:
        """Read hits of `search_by_date`, and remark on those that Algolia did not show."""

        def read_item(item: Item) -> dict[str, object]:
            return read_hit(item, answers.day)

        parsed = parse_exchanges(
            answers.exchanges,
            list_items=list_hits,
            read_item=read_item,
            noun="hit",
            is_wanted=is_wanted,
        )
        counts = [count_hits(each) for each in answers.exchanges if each.is_answer]
        shown, found = (sum(count) for count in zip(*counts, strict=True)) if counts else (0, 0)
        if shown < found:
            parsed.remark = f"incomplete: {shown:,} of {found:,} stories were shown"
        return parsed


class HackerNewsFrontPage(TrendSource):
    """The front page as it stands, with ranks."""

    name = "hn"
    history = "snapshot_only"
    hosts = frozenset({_FIREBASE})
    spacing_s = 0.05

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target, where Hacker News is wanted."""
        return ("front_page",) if workspace.sources.hn.enabled else ()

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the ranking, then for its first stories one by one.

        A story that cannot be had does not stop the others, up to a few of them.
        """
        ranking = await query.get(_TOP_STORIES)
        yield ranking
        failed: list[SourceError] = []
        ranks = rank_stories(ranking)
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
                f"{len(failed)} of {len(ranks)} stories could not be had; the first: {first}",
                exchange=first.exchange,
                attempts=sum(error.attempts for error in failed),
            )

    def parse(self, answers: Answers) -> Parsed:
        """Read items, each with its place in the ranking that came with them."""
        ranks: dict[str, int] = {}
        for exchange in answers.exchanges:
            if _is_ranking(exchange):
                ranks |= rank_stories(exchange)

        def read_item(item: Item) -> dict[str, object]:
            return read_story(item, ranks)

        return parse_exchanges(
            answers.exchanges, list_items=_list_items, read_item=read_item, noun="item"
        )


def by_date_url(start: datetime, end: datetime, hits: int = MOST_HITS) -> str:
    """The URL that asks Algolia for the stories posted from ``start`` until before ``end``.

    Args:
        start: The first second.
        end: The second after the last.
        hits: How many stories it may show; no more than `MOST_HITS` are.
    """
    query = {
        "tags": "story",
        "numericFilters": (
            f"created_at_i>={int(start.timestamp())},created_at_i<{int(end.timestamp())}"
        ),
        "hitsPerPage": str(hits),
        # Without these a hit is several times as long.
        "attributesToRetrieve": ",".join(HIT_FIELDS),
        "attributesToHighlight": "none",
    }
    return f"https://{_ALGOLIA}/api/v1/search_by_date?{urlencode(query)}"


def top_stories_url() -> str:
    """The URL of the front page's ranking."""
    return _TOP_STORIES


def item_url(item_id: str) -> str:
    """The URL of one item."""
    return f"https://{_FIREBASE}/v0/item/{item_id}.json"


def _is_ranking(exchange: Exchange) -> bool:
    return exchange.url == _TOP_STORIES


def _list_items(exchange: Exchange) -> Sequence[object]:
    """The one item of an item's document; of the ranking, what cannot be asked for."""
    return list_ranking_slips(exchange) if _is_ranking(exchange) else list_story(exchange)


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
