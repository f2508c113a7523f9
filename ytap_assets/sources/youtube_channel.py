"""YouTube channels a workspace watches: the latest uploads, through the public Atom feed.

The feed needs no key and holds the last 15 videos, Shorts among them. Its feed-level channel id
cannot be trusted (empty for a while in 2022, without its UC since), so the id is the entry's own,
else the one asked for. Feeds of live channels answer 404 now and then. Days that are over are
asked of the uploads playlist (`youtube_uploads`), where there is a key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree.ElementTree import Element

from ytap_assets.domain.ids import is_channel_id
from ytap_assets.sources.documents import load_xml
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import (
    read_count,
    read_instant,
    read_text,
    read_title,
)
from ytap_assets.sources.http.exchange import (
    MalformedError,
    PermanentError,
    TransientError,
    describe_url,
)
from ytap_assets.sources.parsing import Item, Parsed, parse_exchanges
from ytap_assets.sources.source import Answers, Query, TrendSource
from ytap_assets.sources.trend import Trend
from ytap_assets.sources.youtube_data import read_video_id, watch_url
from ytap_assets.workspaces import Workspace

_HOST = "www.youtube.com"
_ATOM = "{http://www.w3.org/2005/Atom}"
_YT = "{http://www.youtube.com/xml/schemas/2015}"
_MEDIA = "{http://search.yahoo.com/mrss/}"
_COMMUNITY = f"{_MEDIA}group/{_MEDIA}community"
_NOT_FOUND = 404


class YouTubeChannels(TrendSource):
    """The latest uploads of monitored channels."""

    name = "youtube_channel"
    history = "snapshot_only"
    hosts = frozenset({_HOST})
    spacing_s = 1.0

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per monitored channel that is active."""
        watched = workspace.sources.youtube.monitored_channels
        return tuple(channel.id for channel in watched if channel.status == "active")

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the feed."""
        try:
            yield await query.get(channel_feed_url(query.target))
        except PermanentError as error:
            if error.exchange is None or error.exchange.status != _NOT_FOUND:
                raise
            raise TransientError(
                f"the feed of {query.target} answered 404, as feeds of live channels do"
                " now and then; if it lasts for days, check the id",
                exchange=error.exchange,
                attempts=error.attempts,
            ) from error

    def parse(self, answers: Answers) -> Parsed:
        """Read the feed's entries."""
        return parse_exchanges(
            answers.exchanges, list_items=_list_entries, read_item=_read_entry, noun="entry"
        )


def channel_feed_url(channel_id: str) -> str:
    """The URL of a channel's feed."""
    return f"https://{_HOST}/feeds/videos.xml?{urlencode({'channel_id': channel_id})}"


def _list_entries(exchange: Exchange) -> Sequence[Element]:
    root = load_xml(exchange)
    if root.tag != f"{_ATOM}feed":
        raise MalformedError(f"{describe_url(exchange.url)}: not a feed", exchange=exchange)
    return root.findall(f"{_ATOM}entry")


def _read_entry(item: Item) -> dict[str, Any]:
    entry = cast("Element", item.content)
    seen_at = item.exchange.fetched_at
    video_id = read_video_id(entry.findtext(f"{_YT}videoId"), "videoId")
    link = entry.find(f"{_ATOM}link")
    is_short = link is not None and "/shorts/" in (link.get("href") or "")
    page = watch_url(video_id)
    return Trend(
        source="youtube_channel",
        item_id=video_id,
        observed_at=seen_at,
        title=read_title(entry.findtext(f"{_ATOM}title")),
        url=page,
        discussion_url=page,
        published_at=read_instant(entry.findtext(f"{_ATOM}published"), "published", seen_at),
        likes=_read_likes(entry),
        views=_read_views(entry),
        list_name=_read_asked(item.exchange.url),
        category="shorts" if is_short else "videos",
        channel_id=_read_channel(entry, item.exchange.url),
        channel_title=read_text(entry.findtext(f"{_ATOM}author/{_ATOM}name"), "author"),
        is_promoted=False,
    ).to_row()


def _read_channel(entry: Element, url: str) -> str | None:
    written = (entry.findtext(f"{_YT}channelId") or "").strip()
    if is_channel_id(written):
        return written
    asked = _read_asked(url)
    return asked if is_channel_id(asked) else None


def _read_asked(url: str) -> str:
    """The channel whose feed a URL asks for."""
    return parse_qs(urlsplit(url).query).get("channel_id", [""])[0]


def _read_views(entry: Element) -> int | None:
    statistics = entry.find(f"{_COMMUNITY}/{_MEDIA}statistics")
    return None if statistics is None else read_count(statistics.get("views"), "views")


def _read_likes(entry: Element) -> int | None:
    """The count of ratings, where they are all likes.

    Until 2021 the count held dislikes as well, as an average below 5 shows.
    """
    rating = entry.find(f"{_COMMUNITY}/{_MEDIA}starRating")
    if rating is None or rating.get("average") != "5.00":
        return None
    return read_count(rating.get("count"), "starRating count")
