"""YouTube's counts for given videos, as of now: rows of `video_metrics`.

One request and one quota unit per 50 videos. Videos that are gone, private or not yet public are
simply not in the answer; the log names them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ytap_assets.domain.ids import is_video_id
from ytap_assets.domain.metrics import engagement_rate_pct, is_settled
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.parsing import Item, Parsed, parse_exchanges
from ytap_assets.sources.source import Answers, Query, Source
from ytap_assets.sources.youtube_api import batch_ids, get_videos
from ytap_assets.sources.youtube_data import (
    API_HOST,
    KEY_NAME,
    list_items,
    read_video,
    videos_url,
)
from ytap_assets.tables import VIDEO_METRICS


class YouTubeStats(Source):
    """Views, likes and comments of given videos."""

    name = "youtube_stats"
    history = "as_of_now"
    hosts = frozenset({API_HOST})
    spacing_s = 0.1
    key = KEY_NAME
    table = VIDEO_METRICS

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for one batch."""
        async for answer in get_videos(query, query.target.split(",")):
            yield answer

    def parse(self, answers: Answers) -> Parsed:
        """Read the videos, and remark on those that were asked for and are not there."""
        parsed = parse_exchanges(
            answers.exchanges,
            list_items=list_items,
            read_item=lambda item: _read_metrics(item, answers.day),
            noun="item",
        )
        asked = [
            name for each in answers.exchanges if each.is_answer for name in _asked_ids(each.url)
        ]
        missing = sorted(set(asked) - {str(row["video_id"]) for row in parsed.rows})
        if missing:
            parsed.remark = (
                f"no counts for {len(missing)} of {len(asked)} videos"
                f" (gone, private, not yet public, or put aside): {', '.join(missing)}"
            )
        return parsed


def batch_videos(
    video_ids: Sequence[str], find_recording: Callable[[str], object | None] = lambda _: None
) -> list[str]:
    """The targets for given videos: up to 50 ids each, sorted, joined by commas.

    Args:
        video_ids: The videos.
        find_recording: See `Visit`; on replay, what was recorded together is one target.

    Raises:
        ValueError: One of them is not a video id.
    """
    wrong = [video_id for video_id in video_ids if not is_video_id(video_id)]
    if wrong:
        raise ValueError(f"not YouTube video ids: {', '.join(map(repr, wrong[:5]))}")
    return [",".join(batch) for batch in batch_ids(sorted(video_ids), find_recording)]


def stats_url(target: str) -> str:
    """The URL that asks for the counts of a batch."""
    return videos_url(id=target)


def _asked_ids(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query).get("id", [""])[0].split(",")


def _read_metrics(item: Item, day: date) -> dict[str, Any]:
    video = read_video(item)
    return {
        "platform": "youtube",
        "video_id": video.video_id,
        "observed_at": item.exchange.fetched_at,
        "views": video.views,
        "likes": video.likes,
        "comments": video.comments,
        "engagement_rate_pct": engagement_rate_pct(video.views, video.likes, video.comments, None),
        "title": video.title,
        "channel_id": video.channel_id,
        "published_at": video.published_at,
        "duration_s": video.duration_s,
        "is_settled": is_settled(day, item.exchange.fetched_at),
    }
