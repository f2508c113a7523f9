"""What the YouTube Data API holds: videos, as `videos.list`, playlists and search describe them.

Counts are texts, and are missing where the owner hides them: missing is unknown, not 0.
Belongs here: the wire format. Does not belong here: asking for it (`youtube_api`, the sources).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from ytap_assets.domain.ids import is_video_id
from ytap_assets.domain.quota import YOUTUBE_UNITS, Bucket
from ytap_assets.sources.fields import (
    UnreadableItemError,
    as_object,
    load_json,
    optional_object,
    read_channel_id,
    read_count,
    read_duration,
    read_instant,
    read_text,
    read_title,
)
from ytap_assets.sources.http.exchange import FRESH_S, Exchange, MalformedError
from ytap_assets.sources.source import Answers, Item, Parsed, Query, Trend, parse_exchanges

API_HOST = "www.googleapis.com"
KEY_NAME = "YOUTUBE_KEY"
KEY_HEADER = "X-Goog-Api-Key"
PER_PAGE = 50


@dataclass(frozen=True)
class Video:
    """One video as the API describes it now."""

    video_id: str
    title: str
    published_at: datetime | None
    channel_id: str | None
    channel_title: str | None
    duration_s: int | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None


def videos_url(**query: str) -> str:
    """The URL of a `videos.list` request for what is read here."""
    parts = {"part": "snippet,statistics,contentDetails", **query}
    return f"https://{API_HOST}/youtube/v3/videos?{urlencode(parts)}"


def watch_url(video_id: str) -> str:
    """A video's page."""
    return f"https://www.youtube.com/watch?v={video_id}"


def list_items(exchange: Exchange) -> Sequence[object]:
    """The items of an answer.

    Raises:
        MalformedError: The answer has none, not even an empty list.
    """
    answer = load_json(exchange)
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise MalformedError(f"{API_HOST}: the answer has no list of items", exchange=exchange)
    return items


def next_page(exchange: Exchange) -> str | None:
    """The token of the next page, or None on the last."""
    try:
        answer = load_json(exchange)
    except MalformedError:
        return None  # The parser will say so.
    token = answer.get("nextPageToken") if isinstance(answer, dict) else None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


def read_video(item: Item) -> Video:
    """One item.

    Raises:
        UnreadableItemError: It cannot be read.
    """
    video = as_object(item.content, "item")
    snippet = as_object(video.get("snippet"), "snippet")
    statistics = optional_object(video.get("statistics"), "statistics")
    details = optional_object(video.get("contentDetails"), "contentDetails")
    seen_at = item.exchange.fetched_at
    return Video(
        video_id=read_video_id(video.get("id"), "id"),
        title=read_title(snippet.get("title")),
        published_at=read_instant(snippet.get("publishedAt"), "publishedAt", seen_at),
        channel_id=read_channel_id(snippet.get("channelId"), "channelId"),
        channel_title=read_text(snippet.get("channelTitle"), "channelTitle"),
        duration_s=read_duration(details.get("duration"), "duration"),
        views=read_count(statistics.get("viewCount"), "viewCount"),
        likes=read_count(statistics.get("likeCount"), "likeCount"),
        comments=read_count(statistics.get("commentCount"), "commentCount"),
    )


def read_upload(item: Item) -> Video:
    """One item of a playlist: no counts, and no time of publication once it is private.

    Raises:
        UnreadableItemError: It cannot be read.
    """
    entry = as_object(item.content, "item")
    snippet = as_object(entry.get("snippet"), "snippet")
    details = as_object(entry.get("contentDetails"), "contentDetails")
    # The snippet's time is when it was put on the list; its channel is the list's owner.
    published, seen_at = details.get("videoPublishedAt"), item.exchange.fetched_at
    return Video(
        video_id=read_video_id(details.get("videoId"), "videoId"),
        title=read_title(snippet.get("title")),
        published_at=read_instant(published, "videoPublishedAt", seen_at),
        channel_id=read_channel_id(snippet.get("channelId"), "channelId"),
        channel_title=read_text(snippet.get("channelTitle"), "channelTitle"),
    )


def read_hit(item: Item) -> Video:
    """One result of a search: no counts, and its title, alone among its texts, is HTML.

    Raises:
        UnreadableItemError: It cannot be read.
    """
    hit = as_object(item.content, "item")
    snippet = as_object(hit.get("snippet"), "snippet")
    published, seen_at = snippet.get("publishedAt"), item.exchange.fetched_at
    return Video(
        video_id=read_video_id(as_object(hit.get("id"), "id").get("videoId"), "videoId"),
        title=read_title(snippet.get("title"), is_html=True),
        published_at=read_instant(published, "publishedAt", seen_at),
        channel_id=read_channel_id(snippet.get("channelId"), "channelId"),
        channel_title=read_text(snippet.get("channelTitle"), "channelTitle"),
    )


def make_trend(
    source: str,
    video: Video,
    exchange: Exchange,
    *,
    list_name: str,
    category: str,
    rank: int | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """A row of `raw_trends`: the video as ``exchange`` showed it, and where it was listed."""
    page = watch_url(video.video_id)
    return Trend(
        source=source,
        item_id=video.video_id,
        observed_at=exchange.fetched_at,
        title=video.title,
        url=page,
        discussion_url=page,
        published_at=video.published_at,
        views=video.views,
        likes=video.likes,
        comments=video.comments,
        list_name=list_name,
        rank=rank,
        region=region,
        category=category,
        channel_id=video.channel_id,
        channel_title=video.channel_title,
        duration_s=video.duration_s,
        is_promoted=False,
    ).to_row()


def read_video_id(value: Any, name: str) -> str:
    """A video's id.

    Raises:
        UnreadableItemError: It is missing or is none.
    """
    if not isinstance(value, str) or not is_video_id(value):
        raise UnreadableItemError(f"{name} is missing or not a video id")
    return value


async def get_page(
    query: Query, url: str, *, bucket: Bucket = YOUTUBE_UNITS, fresh_s: float = FRESH_S
) -> Exchange:
    """One page of a list.

    Raises:
        DisabledError: The key is not set.
        QuotaExhaustedError: The bucket is used up; it is not asked before its reset.
        SourceError: It did not work.
    """
    secrets = query.visit.key_header(KEY_NAME, KEY_HEADER)
    return await query.get(url, secrets=secrets, is_public=True, bucket=bucket, fresh_s=fresh_s)


async def get_videos(query: Query, video_ids: Iterable[str]) -> AsyncIterator[Exchange]:
    """What the API tells of given videos, 50 a page; each is asked for once.

    Raises:
        SourceError: A page could not be had.
    """
    for batch in batch_ids(video_ids, query.visit.find_recording):
        yield await get_page(query, videos_url(id=",".join(batch)))


def batch_ids(
    video_ids: Iterable[str], find_recording: Callable[[str], object | None]
) -> Iterator[list[str]]:
    """The ids that are asked for together: up to 50, each once, in order.

    On replay, the ids that were recorded together are: so one answer tells of one moment, whatever
    the list was when it was recorded. Those that were not recorded come last, by themselves: they
    keep no other from its answer.

    Args:
        video_ids: The ids.
        find_recording: See `Visit`.
    """
    groups: dict[object | None, list[str]] = {}
    for video_id in dict.fromkeys(video_ids):
        groups.setdefault(find_recording(videos_url(id=video_id)), []).append(video_id)
    for group in sorted(groups, key=lambda found: found is None):
        ids = groups[group]
        yield from (ids[first : first + PER_PAGE] for first in range(0, len(ids), PER_PAGE))


@dataclass(frozen=True)
class Listing:
    """One kind of such a list.

    Attributes:
        path: Where in the API it is; tells its pages from those of `videos.list`.
        read: Reads one of its items; raises `UnreadableItemError` where it cannot.
    """

    path: str
    read: Callable[[Item], Video]

    def is_page(self, url: str) -> bool:
        """Whether a URL is that of such a list."""
        return urlsplit(url).path == self.path

    def videos(self, page: Exchange) -> list[Video]:
        """The videos of a page, without what cannot be read: the parser will tell of that."""
        read = (self._try_to_read(content, page) for content in _try_to_list(page))
        return [video for video in read if video is not None]

    def parse(
        self,
        answers: Answers,
        *,
        is_wanted: Callable[[Video], bool],
        make_row: Callable[[Video, Exchange], dict[str, Any]],
    ) -> Parsed:
        """Read the videos of a fetch.

        Args:
            answers: The list's pages and those of `videos.list`.
            is_wanted: Which videos of the list were asked for; the others are no part of it.
            make_row: A row of one video; raises `UnreadableItemError` where there is none.
        """
        told = {
            content.get("id")
            for exchange in answers.exchanges
            if exchange.is_answer and not self.is_page(exchange.url)
            for content in _try_to_list(exchange)
            if isinstance(content, dict)
        }

        def is_left(content: object, page: Exchange) -> bool:
            video = self._try_to_read(content, page)
            return video is None or (is_wanted(video) and video.video_id not in told)

        def list_left(exchange: Exchange) -> Sequence[object]:
            contents = list_items(exchange)
            if not self.is_page(exchange.url):
                return contents
            return [content for content in contents if is_left(content, exchange)]

        def read_item(item: Item) -> dict[str, Any]:
            read = self.read if self.is_page(item.exchange.url) else read_video
            return make_row(read(item), item.exchange)

        return parse_exchanges(
            answers.exchanges, list_items=list_left, read_item=read_item, noun="item"
        )

    def _try_to_read(self, content: object, page: Exchange) -> Video | None:
        try:
            return self.read(Item(content, "", 0, page))
        except UnreadableItemError:
            return None


def _try_to_list(exchange: Exchange) -> Sequence[object]:
    try:
        return list_items(exchange)
    except MalformedError:
        return ()
