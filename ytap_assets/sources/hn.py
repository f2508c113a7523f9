"""Hacker News: the stories of a day (Algolia), and the front page as it stands (Firebase).

Algolia answers for any past day, by the time a story was posted; its points are those of now. It
is asked by that time alone: since June 2026 it has been reported to refuse a filter by points with
400. Stories with too few points are left out by the parser, so one answer serves every workspace.
Firebase shows the front page of this moment and nothing else. Both feed source ``hn``. What the
documents hold is read in `hn_items`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.hackernews import (
    HIT_FIELDS,
    MOST_HITS,
    count_hits,
    is_full,
    is_wanted,
    list_hits,
    list_ranking_slips,
    list_story,
    mark_wanted,
    rank_stories,
    read_hit,
    read_story,
)
from ytap_assets.sources.http.exchange import PermanentError, SourceError
from ytap_assets.sources.parsing import Item, Parsed, parse_exchanges
from ytap_assets.sources.source import Answers, Query, TrendSource
from ytap_assets.workspaces import Workspace

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
