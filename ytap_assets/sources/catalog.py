"""Every source there is, in one list. To add one: its module, its entry here, its recording.

Belongs here: the list, and finding a source by what it left behind.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ytap_assets.sources.hn import HackerNewsByDate, HackerNewsFrontPage
from ytap_assets.sources.reddit import RedditHot
from ytap_assets.sources.source import Source, TrendSource
from ytap_assets.sources.youtube import YouTubeCharts
from ytap_assets.sources.youtube_channel import YouTubeChannels
from ytap_assets.sources.youtube_stats import YouTubeStats

TREND_SOURCES: tuple[TrendSource, ...] = (
    HackerNewsByDate(),
    HackerNewsFrontPage(),
    RedditHot(),
    YouTubeCharts(),
    YouTubeChannels(),
)
"""What `raw_trends` is collected from."""

VIDEO_STATS = YouTubeStats()
"""What `video_metrics` is collected from."""

SOURCES: tuple[Source, ...] = (*TREND_SOURCES, VIDEO_STATS)

HOSTS: frozenset[str] = frozenset().union(*(source.hosts for source in SOURCES))
"""The only hosts that are ever asked."""

SPACING_S: dict[str, float] = {
    host: max(source.spacing_s for source in SOURCES if host in source.hosts) for host in HOSTS
}
"""Seconds between two requests to a host."""


def find_source(name: str, url: str) -> Source | None:
    """The source that asked for ``url``, or None where there is none (any more)."""
    host = urlsplit(url).hostname
    return next((each for each in SOURCES if each.name == name and host in each.hosts), None)
