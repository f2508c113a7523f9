"""YouTube's charts: the most popular videos of a region and category, through the Data API.

Since July 2025 only the music (10), movies (30) and gaming (20) charts are filled; what trends in
other fields is seen through monitored channels (`youtube_channel`) and search (`youtube_search`).
A page costs one quota unit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.paging import follow_pages
from ytap_assets.sources.parsing import Item, Parsed, parse_exchanges
from ytap_assets.sources.source import Answers, Query, TrendSource
from ytap_assets.sources.youtube_api import get_page
from ytap_assets.sources.youtube_data import (
    API_HOST,
    KEY_NAME,
    PER_PAGE,
    list_items,
    make_trend,
    next_page,
    read_video,
    videos_url,
)
from ytap_assets.workspaces import Workspace

_MAX_PAGES = 4
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

        async for page in follow_pages(fetch, next_page, most=_MAX_PAGES):
            yield page

    def parse(self, answers: Answers) -> Parsed:
        """Read the videos of the chart, ranked over its pages."""
        return parse_exchanges(
            answers.exchanges, list_items=list_items, read_item=_read_entry, noun="item"
        )


def chart_url(target: str, page_token: str | None = None) -> str:
    """The URL of a page of the chart ``REGION`` or ``REGION/CATEGORY``."""
    region, _, category = target.partition("/")
    query = {"chart": "mostPopular", "regionCode": region, "maxResults": str(PER_PAGE)}
    query |= {"videoCategoryId": category} if category else {}
    query |= {"pageToken": page_token} if page_token else {}
    return videos_url(**query)


def _read_entry(item: Item) -> dict[str, Any]:
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
