"""What the YouTube Data API holds: the videos of a `videos.list` answer.

Counts are texts, and are missing where the owner hides them: missing is unknown, not 0.
Belongs here: the wire format. Does not belong here: asking for it (`youtube`, `youtube_stats`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ytap_assets.domain.ids import is_video_id
from ytap_assets.sources.documents import load_json
from ytap_assets.sources.errors import MalformedError
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import (
    UnreadableItemError,
    as_object,
    optional_object,
    read_channel_id,
    read_count,
    read_duration,
    read_instant,
    read_text,
    read_title,
)
from ytap_assets.sources.parsing import Item

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
    duration_s: int | None
    views: int | None
    likes: int | None
    comments: int | None


def videos_url(**query: str) -> str:
    """The URL of a `videos.list` request for what is read here."""
    parts = {"part": "snippet,statistics,contentDetails", **query}
    return f"https://{API_HOST}/youtube/v3/videos?{urlencode(parts)}"


def watch_url(video_id: str) -> str:
    """A video's page."""
    return f"https://www.youtube.com/watch?v={video_id}"


def list_videos(exchange: Exchange) -> Sequence[object]:
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


def read_video_id(value: Any, name: str) -> str:
    """A video's id.

    Raises:
        UnreadableItemError: It is missing or is none.
    """
    if not isinstance(value, str) or not is_video_id(value):
        raise UnreadableItemError(f"{name} is missing or not a video id")
    return value
