"""The YouTube Data API: requests, their quota cost, and the videos in the responses.

Every page costs one call of a quota bucket. Responses do not depend on the workspace, since the key
belongs to the installation. Counts are texts, and are missing if the owner hides them: missing is
null, not 0. Playlists and search results contain videos without counts; `VideoList` joins them with
the response of `videos.list`.

Does not belong here: which lists are collected (`youtube`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from ytap_assets.domain.ids import is_video_id
from ytap_assets.domain.source_profiles import YOUTUBE_UNITS, Bucket
from ytap_assets.sources.fields import (
    InvalidItemError,
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
from ytap_assets.sources.http.exchange import DEFAULT_MAX_AGE_S, Exchange, MalformedError
from ytap_assets.sources.source import Item, Parsed, Query, Responses, Trend, parse_exchanges

API_HOST = "www.googleapis.com"
KEY_NAME = "YOUTUBE_KEY"
PER_PAGE = 50
_KEY_HEADER = "X-Goog-Api-Key"


async def get_page(
    query: Query,
    url: str,
    *,
    bucket: Bucket = YOUTUBE_UNITS,
    max_age_s: float = DEFAULT_MAX_AGE_S,
) -> Exchange:
    """One page of a list.

    Raises:
        DisabledError: The key is not set.
        QuotaExhaustedError: The bucket is used up; no request is sent before its reset.
        SourceError: The request failed.
    """
    secrets = query.context.key_header(KEY_NAME, _KEY_HEADER)
    return await query.get(url, secrets=secrets, is_public=True, bucket=bucket, max_age_s=max_age_s)


async def get_videos(query: Query, video_ids: Iterable[str]) -> AsyncIterator[Exchange]:
    """The details of given videos, 50 a page, without repeats.

    Raises:
        SourceError: A page could not be fetched.
    """
    for batch in batch_ids(video_ids, query.context.find_recording):
        yield await get_page(query, videos_url(id=",".join(batch)))


def batch_ids(
    video_ids: Iterable[str], find_recording: Callable[[str], object | None]
) -> Iterator[list[str]]:
    """Batches of up to 50 ids, in order and without repeats.

    On replay, ids that were recorded together are a batch, so that one response has one time. Ids
    that were not recorded come last, in batches of their own, so that the others are answered.

    Args:
        video_ids: The ids.
        find_recording: See `FetchContext`.
    """
    groups: dict[object | None, list[str]] = {}
    for video_id in dict.fromkeys(video_ids):
        groups.setdefault(find_recording(videos_url(id=video_id)), []).append(video_id)
    for group in sorted(groups, key=lambda found: found is None):
        ids = groups[group]
        yield from (ids[first : first + PER_PAGE] for first in range(0, len(ids), PER_PAGE))


def videos_url(**query: str) -> str:
    """The URL of a `videos.list` request."""
    parts = {"part": "snippet,statistics,contentDetails", **query}
    return f"https://{API_HOST}/youtube/v3/videos?{urlencode(parts)}"


def watch_url(video_id: str) -> str:
    """A video's page."""
    return f"https://www.youtube.com/watch?v={video_id}"


def list_items(exchange: Exchange) -> Sequence[object]:
    """The items of a response.

    Raises:
        MalformedError: The response has no list of items.
    """
    response = load_json(exchange)
    items = response.get("items") if isinstance(response, dict) else None
    if not isinstance(items, list):
        raise MalformedError(f"{API_HOST}: the response has no list of items", exchange=exchange)
    return items


def next_page(exchange: Exchange) -> str | None:
    """The token of the next page, or None on the last."""
    try:
        response = load_json(exchange)
    except MalformedError:
        return None  # The parser reports it.
    token = response.get("nextPageToken") if isinstance(response, dict) else None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


@dataclass(frozen=True)
class Video:
    """The details of a video."""

    video_id: str
    title: str
    published_at: datetime | None
    channel_id: str | None
    channel_title: str | None
    duration_s: int | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None


def read_video(item: Item) -> Video:
    """An item of `videos.list`.

    Raises:
        InvalidItemError: It is invalid.
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
    """An item of a playlist: no counts, and no publication time if the video is private.

    Raises:
        InvalidItemError: It is invalid.
    """
    entry = as_object(item.content, "item")
    snippet = as_object(entry.get("snippet"), "snippet")
    details = as_object(entry.get("contentDetails"), "contentDetails")
    # The snippet's time is when it was added to the list; its channel is the list's owner.
    published, seen_at = details.get("videoPublishedAt"), item.exchange.fetched_at
    return Video(
        video_id=read_video_id(details.get("videoId"), "videoId"),
        title=read_title(snippet.get("title")),
        published_at=read_instant(published, "videoPublishedAt", seen_at),
        channel_id=read_channel_id(snippet.get("channelId"), "channelId"),
        channel_title=read_text(snippet.get("channelTitle"), "channelTitle"),
    )


def read_hit(item: Item) -> Video:
    """A search result: no counts; only here titles are HTML.

    Raises:
        InvalidItemError: It is invalid.
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


def read_video_id(value: Any, name: str) -> str:
    """A video id.

    Raises:
        InvalidItemError: It is missing or invalid.
    """
    if not isinstance(value, str) or not is_video_id(value):
        raise InvalidItemError(f"{name} is missing or not a video id")
    return value


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
    """A row of `raw_trends`: the video in ``exchange``, and the list it is in."""
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


@dataclass(frozen=True)
class VideoList:
    """A kind of list that names videos without their counts: a playlist, search results.

    Each video becomes one row: from `videos.list` if that response has it, else, with null counts,
    from the list itself, so that the list is not lost if the second request fails.

    Attributes:
        path: The path of its URLs in the API; others are those of `videos.list`.
        read: Reads one of its items; raises `InvalidItemError`.
    """

    path: str
    read: Callable[[Item], Video]

    def is_page(self, url: str) -> bool:
        """Whether a URL is a page of such a list."""
        return urlsplit(url).path == self.path

    def videos(self, page: Exchange) -> list[Video]:
        """The valid videos of a page; the parser reports the others."""
        read = (self._try_to_read(content, page) for content in _try_to_list(page))
        return [video for video in read if video is not None]

    def parse(
        self,
        responses: Responses,
        *,
        is_wanted: Callable[[Video], bool],
        make_row: Callable[[Video, Exchange], dict[str, Any]],
    ) -> Parsed:
        """Parse the videos of a fetch.

        Args:
            responses: The list's pages and those of `videos.list`.
            is_wanted: Whether a video of the list was requested; others are not counted.
            make_row: The row of a video; raises `InvalidItemError`.
        """
        detailed = {
            content.get("id")
            for exchange in responses.exchanges
            if exchange.is_usable and not self.is_page(exchange.url)
            for content in _try_to_list(exchange)
            if isinstance(content, dict)
        }

        def lacks_details(content: object, page: Exchange) -> bool:
            video = self._try_to_read(content, page)
            return video is None or (is_wanted(video) and video.video_id not in detailed)

        def list_rest(exchange: Exchange) -> Sequence[object]:
            contents = list_items(exchange)
            if not self.is_page(exchange.url):
                return contents
            return [content for content in contents if lacks_details(content, exchange)]

        def read_item(item: Item) -> dict[str, Any]:
            read = self.read if self.is_page(item.exchange.url) else read_video
            return make_row(read(item), item.exchange)

        return parse_exchanges(
            responses.exchanges, list_items=list_rest, read_item=read_item, noun="item"
        )

    def _try_to_read(self, content: object, page: Exchange) -> Video | None:
        try:
            return self.read(Item(content, "", 0, page))
        except InvalidItemError:
            return None


def _try_to_list(exchange: Exchange) -> Sequence[object]:
    try:
        return list_items(exchange)
    except MalformedError:
        return ()
