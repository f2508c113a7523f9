"""YouTube channels a workspace watches: what they published on a day, through the Data API.

A channel's uploads are a playlist, ``UU`` for its ``UC``, the newest first; it says when each was
published, so a past day can be answered, with the counts of now. Today is left to the feed
(`youtube_channel`), which needs no key and shows the latest videos of other days as well: so a day
is asked of the feed while it lasts and of the playlist when it is over, and the latter heals what
a feed of that day did not bring.

The order is not strict: with some channels a video comes pages too late. So pages are asked for
until one is wholly older than the day. That costs three units a channel and day at most, and one
more for each 50 videos since. Videos that are private by now have no time of publication and belong
to no day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.http.exchange import PermanentError
from ytap_assets.sources.paging import follow_pages
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
    read_upload,
)
from ytap_assets.sources.youtube_listed import Listing
from ytap_assets.workspaces import Workspace

_PLAYLIST = Listing("/youtube/v3/playlistItems", read_upload)
_ENDING = "/uploads"
_MAX_PAGES = 20


class YouTubeUploads(TrendSource):
    """What monitored channels published on a day that is over."""

    name = "youtube_channel"
    history = "date_queryable"
    hosts = frozenset({API_HOST})
    spacing_s = 0.1
    key = KEY_NAME

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per monitored channel that is active, ``UC.../uploads``."""
        watched = workspace.sources.youtube.monitored_channels
        return tuple(f"{channel.id}{_ENDING}" for channel in watched if channel.status == "active")

    def is_due(self, day: date, now: datetime) -> bool:
        """Once the day is over."""
        return day < now.astimezone(UTC).date()

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the playlist back to the day, then for the day's videos."""
        channel, day = query.target.removesuffix(_ENDING), query.visit.day
        older: str | None = None
        found: list[str] = []

        async def fetch(token: str | None) -> Exchange:
            return await get_page(query, uploads_url(channel, token))

        def next_older(page: Exchange) -> str | None:
            return None if _is_before(page, day) else next_page(page)

        async for page in follow_pages(fetch, next_older, most=_MAX_PAGES):
            yield page
            older = next_older(page)
            videos = _PLAYLIST.videos(page)
            found += [video.video_id for video in videos if _is_of(video, day)]
        async for answer in get_videos(query, found):
            yield answer
        if older is not None:
            raise PermanentError(
                f"{channel} published more than {_MAX_PAGES * PER_PAGE} videos since {day}:"
                " so far back it is not asked"
            )

    def parse(self, answers: Answers) -> Parsed:
        """Read the day's videos."""
        asked = (_read_playlist(each.url) for each in answers.exchanges)
        list_name = f"{next(filter(None, asked), '')}{_ENDING}"

        def make_row(video: Video, exchange: Exchange) -> dict[str, Any]:
            return make_trend(
                "youtube_channel", video, exchange, list_name=list_name, category="uploads"
            )

        return _PLAYLIST.parse(
            answers, is_wanted=lambda video: _is_of(video, answers.day), make_row=make_row
        )


def uploads_url(channel_id: str, page_token: str | None = None) -> str:
    """The URL of a page of a channel's uploads."""
    query = {
        "part": "snippet,contentDetails",
        "playlistId": f"UU{channel_id.removeprefix('UC')}",
        "maxResults": str(PER_PAGE),
    }
    query |= {"pageToken": page_token} if page_token else {}
    return f"https://{API_HOST}{_PLAYLIST.path}?{urlencode(query)}"


def _read_playlist(url: str) -> str | None:
    """The channel whose uploads a URL asks for; None where it asks for something else."""
    playlist = parse_qs(urlsplit(url).query).get("playlistId", [""])[0]
    return f"UC{playlist[2:]}" if playlist.startswith("UU") else None


def _is_of(video: Video, day: date) -> bool:
    return video.published_at is not None and video.published_at.date() == day


def _is_before(page: Exchange, day: date) -> bool:
    """Whether all of the page is older than the day."""
    start = datetime.combine(day, time(), UTC)
    times = [video.published_at for video in _PLAYLIST.videos(page) if video.published_at]
    return bool(times) and max(times) < start
