"""YouTube's charts: the most popular videos of a region and category, through the Data API.

Since July 2025 only the music (10), movies (30) and gaming (20) charts are filled; what trends in
other fields is seen through monitored channels (`youtube_channel`) and search (`youtube_search`).
A page costs one quota unit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree.ElementTree import Element

from ytap_assets.domain.ids import is_channel_id, is_video_id
from ytap_assets.domain.metrics import engagement_rate_pct, is_settled
from ytap_assets.domain.quota import YOUTUBE_SEARCH
from ytap_assets.sources.fields import (
    UnreadableItemError,
    load_xml,
    read_count,
    read_instant,
    read_text,
    read_title,
)
from ytap_assets.sources.http.exchange import (
    Exchange,
    MalformedError,
    PermanentError,
    TransientError,
    describe_url,
)
from ytap_assets.sources.source import (
    Answers,
    Item,
    Parsed,
    Query,
    Source,
    Trend,
    TrendSource,
    follow_pages,
    parse_exchanges,
)
from ytap_assets.sources.youtube_data import (
    API_HOST,
    KEY_NAME,
    PER_PAGE,
    Listing,
    Video,
    batch_ids,
    get_page,
    get_videos,
    list_items,
    make_trend,
    next_page,
    read_hit,
    read_upload,
    read_video,
    read_video_id,
    videos_url,
    watch_url,
)
from ytap_assets.tables import VIDEO_METRICS
from ytap_assets.workspaces import Workspace

_MAX_CHART_PAGES = 4
_ALL_CATEGORIES = "mostPopular"


class YouTubeCharts(TrendSource):
    """The most popular videos of a region, by category."""

    name = "youtube"
    history = "snapshot_only"
    hosts = frozenset({API_HOST})
    spacing_s = 0.1
    key = KEY_NAME

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per region and category, ``US/10``; the region alone without categories."""
        wanted = workspace.sources.youtube
        if not wanted.categories:
            return wanted.regions
        return tuple(f"{region}/{name}" for region in wanted.regions for name in wanted.categories)

    def begins_with(self, url: str) -> bool:
        """Begins with `videos.list`; the searches of the same name begin with a search."""
        return super().begins_with(url) and "chart" in parse_qs(urlsplit(url).query)

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the chart page by page."""

        async def fetch(token: str | None) -> Exchange:
            return await get_page(query, chart_url(query.target, token))

        async for page in follow_pages(fetch, next_page, most=_MAX_CHART_PAGES):
            yield page

    def parse(self, answers: Answers) -> Parsed:
        """Read the videos of the chart, ranked over its pages."""
        return parse_exchanges(
            answers.exchanges, list_items=list_items, read_item=_read_chart_item, noun="item"
        )


def chart_url(target: str, page_token: str | None = None) -> str:
    """The URL of a page of the chart ``REGION`` or ``REGION/CATEGORY``."""
    region, _, category = target.partition("/")
    query = {"chart": "mostPopular", "regionCode": region, "maxResults": str(PER_PAGE)}
    query |= {"videoCategoryId": category} if category else {}
    query |= {"pageToken": page_token} if page_token else {}
    return videos_url(**query)


def _read_chart_item(item: Item) -> dict[str, Any]:
    asked = parse_qs(urlsplit(item.exchange.url).query)
    region, category = asked.get("regionCode", []), asked.get("videoCategoryId", [])
    return make_trend(
        "youtube",
        read_video(item),
        item.exchange,
        list_name="/".join([*region, *category]),
        rank=item.position,
        region=next(iter(region), None),
        category=next(iter(category), _ALL_CATEGORIES),
    )


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


_PLAYLIST = Listing("/youtube/v3/playlistItems", read_upload)
_ENDING = "/uploads"
_MAX_UPLOAD_PAGES = 20


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

        async for page in follow_pages(fetch, next_older, most=_MAX_UPLOAD_PAGES):
            yield page
            older = next_older(page)
            videos = _PLAYLIST.videos(page)
            found += [video.video_id for video in videos if _is_of(video, day)]
        async for answer in get_videos(query, found):
            yield answer
        if older is not None:
            raise PermanentError(
                f"{channel} published more than {_MAX_UPLOAD_PAGES * PER_PAGE} videos since {day}:"
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
