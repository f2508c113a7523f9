"""YouTube search: the most viewed videos of a day that a phrase finds, through the Data API.

Any day can be asked for, by time of publication, with the counts of now. What it gives is
incomplete: the first 50 of what may be a million, as the platform chooses to find them; the log
says so. Search is scarce: 100 calls a day for all workspaces together (`domain.quota`), so one
call is made per phrase and day, its answer serves for six hours, and a day is left alone before
noon (UTC), when it has little to find. A day that found the bucket used up is logged
``quota_exhausted`` and can be asked for again later. Results bring no counts: `videos.list` does,
for one more unit of the larger bucket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ytap_assets.domain.quota import YOUTUBE_SEARCH
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import UnreadableItemError
from ytap_assets.sources.parsing import Parsed
from ytap_assets.sources.source import Answers, Query, TrendSource
from ytap_assets.sources.youtube_api import get_page, get_videos
from ytap_assets.sources.youtube_data import (
    API_HOST,
    KEY_NAME,
    PER_PAGE,
    Video,
    make_trend,
    next_page,
    read_hit,
)
from ytap_assets.sources.youtube_listed import Listing
from ytap_assets.workspaces import Workspace

_RESULTS = Listing("/youtube/v3/search", read_hit)
_BEGINNING = "search/"
_FRESH_S = 6 * 3600.0
_NOON = time(12)


class YouTubeSearch(TrendSource):
    """The most viewed videos of a day for each of a workspace's phrases."""

    name = "youtube"
    history = "date_queryable"
    hosts = frozenset({API_HOST})
    spacing_s = 0.1
    key = KEY_NAME

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per phrase, ``search/PHRASE``; none unless the config asks for some."""
        return tuple(f"{_BEGINNING}{phrase}" for phrase in workspace.sources.youtube.searches)

    def is_due(self, day: date, now: datetime) -> bool:
        """From the day's noon on."""
        return now >= datetime.combine(day, _NOON, UTC)

    def begins_with(self, url: str) -> bool:
        """Begins with a search; the charts of the same name begin with `videos.list`."""
        return super().begins_with(url) and _RESULTS.is_page(url)

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Search once, then ask for the counts of what was found."""
        url = search_url(query.target.removeprefix(_BEGINNING), query.visit.day)
        results = await get_page(query, url, bucket=YOUTUBE_SEARCH, fresh_s=_FRESH_S)
        yield results
        found = [video.video_id for video in _RESULTS.videos(results)]
        async for answer in get_videos(query, found):
            yield answer

    def parse(self, answers: Answers) -> Parsed:
        """Read the videos that were found, each with its place among the results."""
        pages = [each for each in answers.exchanges if _RESULTS.is_page(each.url)]
        found = dict.fromkeys(video.video_id for page in pages for video in _RESULTS.videos(page))
        ranks = {video_id: rank for rank, video_id in enumerate(found, start=1)}
        list_name = _BEGINNING + next((_read_phrase(page.url) for page in pages), "")

        def make_row(video: Video, exchange: Exchange) -> dict[str, Any]:
            _check_day(video, answers.day)
            rank = ranks.get(video.video_id)
            return make_trend(
                "youtube", video, exchange, list_name=list_name, category="search", rank=rank
            )

        parsed = _RESULTS.parse(answers, is_wanted=lambda _: True, make_row=make_row)
        if any(next_page(page) is not None for page in pages):
            parsed.remark = f"incomplete: the {len(found)} most viewed of more that were found"
        return parsed


def search_url(phrase: str, day: date) -> str:
    """The URL that searches for videos published on a day."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    query = {
        "part": "snippet",
        "type": "video",
        "q": phrase,
        "order": "viewCount",
        "publishedAfter": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "publishedBefore": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "maxResults": str(PER_PAGE),
    }
    return f"https://{API_HOST}{_RESULTS.path}?{urlencode(query)}"


def _read_phrase(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("q", [""])[0]


def _check_day(video: Video, day: date) -> None:
    """The bounds of a search are kept to the second at best: a neighbouring day stays out."""
    if video.published_at is not None and video.published_at.date() != day:
        raise UnreadableItemError(f"published on {video.published_at:%Y-%m-%d}, another day")
