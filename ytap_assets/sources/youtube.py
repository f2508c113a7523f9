"""YouTube: charts, searches, monitored channels (feed and uploads), and counts of given videos.

Charts: since July 2025 only music (10), movies (30) and gaming (20) are filled; monitored channels
and searches cover other topics. Searches are limited to 100 calls a day for all workspaces.
Channels: today is fetched from the Atom feed, which needs no key; a day that is over is fetched
from the uploads playlist, which also has what the feed did not return. How the Data API is called
is in `youtube_data`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree.ElementTree import Element

from ytap_assets.domain.ids import is_channel_id, is_video_id
from ytap_assets.domain.performance import engagement_rate_pct, is_settled
from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH, YOUTUBE_UNITS, Bucket
from ytap_assets.sources.fields import (
    InvalidItemError,
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
    Item,
    Parsed,
    Query,
    Responses,
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
    Video,
    VideoList,
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
_RESULTS = VideoList("/youtube/v3/search", read_hit)
_SEARCH_PREFIX = "search/"
_SEARCH_MAX_AGE_S = 6 * 3600.0
_NOON = time(12)
_FEED_HOST = "www.youtube.com"
_ATOM = "{http://www.w3.org/2005/Atom}"
_YT = "{http://www.youtube.com/xml/schemas/2015}"
_MEDIA = "{http://search.yahoo.com/mrss/}"
_COMMUNITY = f"{_MEDIA}group/{_MEDIA}community"
_NOT_FOUND = 404
_PLAYLIST = VideoList("/youtube/v3/playlistItems", read_upload)
_UPLOADS_SUFFIX = "/uploads"
_MAX_UPLOAD_PAGES = 20


class _DataApiSource(Source):
    """A source that calls the YouTube Data API."""

    hosts = frozenset({API_HOST})
    spacing_s = 0.1
    key = KEY_NAME


class YouTubeCharts(_DataApiSource, TrendSource):
    """The most popular videos of a region, by category. A page costs one quota unit."""

    name = "youtube"
    history = "snapshot_only"
    losses: ClassVar[Mapping[str, str]] = {KEY_NAME: "YouTube charts"}
    calls: ClassVar[Mapping[Bucket, int]] = {YOUTUBE_UNITS: _MAX_CHART_PAGES}

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per region and category, ``US/10``; the region alone without categories."""
        wanted = workspace.sources.youtube
        if not wanted.categories:
            return wanted.regions
        return tuple(f"{region}/{name}" for region in wanted.regions for name in wanted.categories)

    def matches_url(self, url: str) -> bool:
        """Charts start with `videos.list`; searches of the same name start with a search."""
        return super().matches_url(url) and "chart" in parse_qs(urlsplit(url).query)

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the chart page by page."""

        async def get(token: str | None) -> Exchange:
            return await get_page(query, chart_url(query.target, token))

        async for page in follow_pages(get, next_page, max_pages=_MAX_CHART_PAGES):
            yield page

    def parse(self, responses: Responses) -> Parsed:
        """Parse the videos of the chart, ranked over its pages."""
        return parse_exchanges(
            responses.exchanges, list_items=list_items, read_item=_read_chart_item, noun="item"
        )


def chart_url(target: str, page_token: str | None = None) -> str:
    """The URL of a page of the chart ``REGION`` or ``REGION/CATEGORY``."""
    region, _, category = target.partition("/")
    query = {"chart": "mostPopular", "regionCode": region, "maxResults": str(PER_PAGE)}
    query |= {"videoCategoryId": category} if category else {}
    query |= {"pageToken": page_token} if page_token else {}
    return videos_url(**query)


def _read_chart_item(item: Item) -> dict[str, Any]:
    query = parse_qs(urlsplit(item.exchange.url).query)
    region, category = query.get("regionCode", []), query.get("videoCategoryId", [])
    return make_trend(
        "youtube",
        read_video(item),
        item.exchange,
        list_name="/".join([*region, *category]),
        rank=item.position,
        region=next(iter(region), None),
        category=next(iter(category), _ALL_CATEGORIES),
    )


class YouTubeSearch(_DataApiSource, TrendSource):
    """The most viewed videos of a day for each of a workspace's search phrases.

    Any day can be searched, by publication time, with current counts. The result is incomplete: the
    first 50, as the platform selects them; a note in the log says so. One call is made per phrase
    and day, and its response is reused for six hours. A day is not searched before its noon (UTC),
    when it has few videos. A day on which the quota was used up is logged ``quota_exhausted`` and
    can be fetched later. The counts cost one unit of the larger bucket.
    """

    name = "youtube"
    history = "date_queryable"
    losses: ClassVar[Mapping[str, str]] = {KEY_NAME: "YouTube searches"}
    is_daily = True
    calls: ClassVar[Mapping[Bucket, int]] = {YOUTUBE_SEARCH: 1, YOUTUBE_UNITS: 1}

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per phrase, ``search/PHRASE``."""
        return tuple(f"{_SEARCH_PREFIX}{phrase}" for phrase in workspace.sources.youtube.searches)

    def due_from(self, day: date) -> datetime:
        """Noon of the day."""
        return datetime.combine(day, _NOON, UTC)

    def matches_url(self, url: str) -> bool:
        """Searches start with a search; charts of the same name start with `videos.list`."""
        return super().matches_url(url) and _RESULTS.is_page(url)

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Search once, then fetch the counts of the results."""
        url = search_url(query.target.removeprefix(_SEARCH_PREFIX), query.context.day)
        results = await get_page(query, url, bucket=YOUTUBE_SEARCH, max_age_s=_SEARCH_MAX_AGE_S)
        yield results
        found = [video.video_id for video in _RESULTS.videos(results)]
        async for page in get_videos(query, found):
            yield page

    def parse(self, responses: Responses) -> Parsed:
        """Parse the results, each with its rank."""
        pages = [each for each in responses.exchanges if _RESULTS.is_page(each.url)]
        found = dict.fromkeys(video.video_id for page in pages for video in _RESULTS.videos(page))
        ranks = {video_id: rank for rank, video_id in enumerate(found, start=1)}
        list_name = _SEARCH_PREFIX + next((_read_parameter(page.url, "q") for page in pages), "")

        def make_row(video: Video, exchange: Exchange) -> dict[str, Any]:
            _check_day(video, responses.day)
            rank = ranks.get(video.video_id)
            return make_trend(
                "youtube", video, exchange, list_name=list_name, category="search", rank=rank
            )

        parsed = _RESULTS.parse(responses, is_wanted=lambda _: True, make_row=make_row)
        if any(next_page(page) is not None for page in pages):
            parsed.note = f"incomplete: only the {len(found)} most viewed results"
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


def _check_day(video: Video, day: date) -> None:
    """Reject videos of a neighbouring day: a search applies its bounds to the second at best."""
    if video.published_at is not None and video.published_at.date() != day:
        raise InvalidItemError(f"published on {video.published_at:%Y-%m-%d}, another day")


class YouTubeChannels(TrendSource):
    """The latest uploads of monitored channels, through the public Atom feed.

    The feed has the last 15 videos, including Shorts. Its own channel id is unreliable (empty for a
    while in 2022, without its UC since), so the id is that of the entry, else of the URL. Feeds of
    live channels occasionally answer 404.
    """

    name = "youtube_channel"
    history = "snapshot_only"
    hosts = frozenset({_FEED_HOST})
    spacing_s = 1.0

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per active monitored channel."""
        return _active_channels(workspace)

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the feed."""
        try:
            yield await query.get(channel_feed_url(query.target))
        except PermanentError as error:
            if error.exchange is None or error.exchange.status != _NOT_FOUND:
                raise
            raise TransientError(
                f"the feed of {query.target} returned 404, which happens occasionally for live"
                " channels; if it persists for days, check the id",
                exchange=error.exchange,
                attempts=error.attempts,
            ) from error

    def parse(self, responses: Responses) -> Parsed:
        """Parse the feed's entries."""
        return parse_exchanges(
            responses.exchanges, list_items=_list_entries, read_item=_read_entry, noun="entry"
        )


def _active_channels(workspace: Workspace) -> tuple[str, ...]:
    channels = workspace.sources.youtube.monitored_channels
    return tuple(channel.id for channel in channels if channel.status == "active")


def channel_feed_url(channel_id: str) -> str:
    """The URL of a channel's feed."""
    return f"https://{_FEED_HOST}/feeds/videos.xml?{urlencode({'channel_id': channel_id})}"


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
    requested = _read_parameter(item.exchange.url, "channel_id")
    ids = ((entry.findtext(f"{_YT}channelId") or "").strip(), requested)
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
        list_name=requested,
        category="shorts" if is_short else "videos",
        channel_id=next(filter(is_channel_id, ids), None),
        channel_title=read_text(entry.findtext(f"{_ATOM}author/{_ATOM}name"), "author"),
        is_promoted=False,
    ).to_row()


def _read_views(entry: Element) -> int | None:
    statistics = entry.find(f"{_COMMUNITY}/{_MEDIA}statistics")
    return None if statistics is None else read_count(statistics.get("views"), "views")


def _read_likes(entry: Element) -> int | None:
    """The count of ratings, if all of them are likes.

    Until 2021 the count included dislikes, which gave an average below 5.
    """
    rating = entry.find(f"{_COMMUNITY}/{_MEDIA}starRating")
    if rating is None or rating.get("average") != "5.00":
        return None
    return read_count(rating.get("count"), "starRating count")


class YouTubeUploads(_DataApiSource, TrendSource):
    """What monitored channels published on a day that is over.

    A channel's uploads are a playlist (``UU`` in place of its ``UC``), the newest first, with
    publication times and current counts. The order is not strict: some videos come pages too late.
    So pages are fetched until one is entirely older than the day. That costs at most three units a
    channel and day, plus one for each 50 videos since. Videos that are private by now have no
    publication time and belong to no day.
    """

    name = "youtube_channel"
    history = "date_queryable"
    losses: ClassVar[Mapping[str, str]] = {KEY_NAME: "past days of YouTube channels"}
    calls: ClassVar[Mapping[Bucket, int]] = {YOUTUBE_UNITS: 3}

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per active monitored channel, ``UC.../uploads``."""
        return tuple(f"{channel}{_UPLOADS_SUFFIX}" for channel in _active_channels(workspace))

    def due_from(self, day: date) -> datetime:
        """The end of the day."""
        return datetime.combine(day + timedelta(days=1), time(), UTC)

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the playlist back to the day, then the counts of the day's videos."""
        channel, day = query.target.removesuffix(_UPLOADS_SUFFIX), query.context.day
        older: str | None = None
        found: list[str] = []

        async def get(token: str | None) -> Exchange:
            return await get_page(query, uploads_url(channel, token))

        def next_older(page: Exchange) -> str | None:
            return None if _is_before(page, day) else next_page(page)

        async for page in follow_pages(get, next_older, max_pages=_MAX_UPLOAD_PAGES):
            yield page
            older = next_older(page)
            found += [v.video_id for v in _PLAYLIST.videos(page) if _is_published_on(v, day)]
        async for page in get_videos(query, found):
            yield page
        if older is not None:
            raise PermanentError(
                f"{channel} published more than {_MAX_UPLOAD_PAGES * PER_PAGE} videos since {day};"
                " older ones are not fetched"
            )

    def parse(self, responses: Responses) -> Parsed:
        """Parse the day's videos."""
        channels = (_read_playlist_channel(each.url) for each in responses.exchanges)
        list_name = f"{next(filter(None, channels), '')}{_UPLOADS_SUFFIX}"

        def make_row(video: Video, exchange: Exchange) -> dict[str, Any]:
            return make_trend(
                "youtube_channel", video, exchange, list_name=list_name, category="uploads"
            )

        return _PLAYLIST.parse(
            responses,
            is_wanted=lambda video: _is_published_on(video, responses.day),
            make_row=make_row,
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


def _read_playlist_channel(url: str) -> str | None:
    """The channel of an uploads URL; None for other URLs."""
    playlist = _read_parameter(url, "playlistId")
    return f"UC{playlist[2:]}" if playlist.startswith("UU") else None


def _is_published_on(video: Video, day: date) -> bool:
    return video.published_at is not None and video.published_at.date() == day


def _is_before(page: Exchange, day: date) -> bool:
    """Whether all videos of the page are older than the day."""
    start = datetime.combine(day, time(), UTC)
    times = [video.published_at for video in _PLAYLIST.videos(page) if video.published_at]
    return bool(times) and max(times) < start


class YouTubeStats(_DataApiSource):
    """The current views, likes and comments of given videos: rows of `video_metrics`.

    One request and one quota unit per 50 videos. Videos that are deleted, private or not yet public
    are missing in the response; a note in the log names them.
    """

    name = "youtube_stats"
    history = "as_of_now"
    losses: ClassVar[Mapping[str, str]] = {KEY_NAME: "counts of published videos"}
    table = VIDEO_METRICS

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch one batch."""
        async for page in get_videos(query, query.target.split(",")):
            yield page

    def parse(self, responses: Responses) -> Parsed:
        """Parse the videos; a note names those that are missing."""
        parsed = parse_exchanges(
            responses.exchanges,
            list_items=list_items,
            read_item=lambda item: _read_metrics(item, responses.day),
            noun="item",
        )
        usable = [each for each in responses.exchanges if each.is_usable]
        requested = [name for each in usable for name in _read_parameter(each.url, "id").split(",")]
        missing = sorted(set(requested) - {str(row["video_id"]) for row in parsed.rows})
        if missing:
            parsed.note = (
                f"no counts for {len(missing)} of {len(requested)} videos"
                f" (deleted, private, not yet public, or quarantined): {', '.join(missing)}"
            )
        return parsed


def batch_videos(
    video_ids: Sequence[str], find_recording: Callable[[str], object | None] = lambda _: None
) -> list[str]:
    """The targets for given videos: up to 50 sorted ids each, joined by commas.

    Args:
        video_ids: The videos.
        find_recording: See `FetchContext`; on replay, ids recorded together are one target.

    Raises:
        ValueError: One of them is not a video id.
    """
    wrong = [video_id for video_id in video_ids if not is_video_id(video_id)]
    if wrong:
        raise ValueError(f"not YouTube video ids: {', '.join(map(repr, wrong[:5]))}")
    return [",".join(batch) for batch in batch_ids(sorted(video_ids), find_recording)]


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


def _read_parameter(url: str, name: str) -> str:
    """A parameter of a URL's query; empty if it is missing."""
    return parse_qs(urlsplit(url).query).get(name, [""])[0]
