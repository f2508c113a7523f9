"""Every source there is, in one list. To add one: its module, its entry here, its recording.

`docs/adding-a-source.md` shows it. Belongs here: the list, what follows from it (which hosts are
asked, how far apart), and finding a source by what it left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ytap_assets.sources.hackernews import HackerNewsByDate, HackerNewsFrontPage
from ytap_assets.sources.reddit import RedditHot
from ytap_assets.sources.source import Source, TrendSource
from ytap_assets.sources.youtube import (
    YouTubeChannels,
    YouTubeCharts,
    YouTubeSearch,
    YouTubeStats,
    YouTubeUploads,
)


@dataclass(frozen=True)
class Catalog:
    """The sources of an installation.

    Attributes:
        trends: What `raw_trends` is collected from.
        video_stats: What `video_metrics` is collected from.
    """

    trends: tuple[TrendSource, ...]
    video_stats: Source

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them."""
        return (*self.trends, self.video_stats)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The only hosts that are ever asked."""
        return frozenset().union(*(source.hosts for source in self.sources))

    @cached_property
    def spacing_s(self) -> Mapping[str, float]:
        """Seconds between two requests to a host."""
        return {
            host: max(source.spacing_s for source in self.sources if host in source.hosts)
            for host in self.hosts
        }

    def find(self, name: str, url: str) -> Source | None:
        """The source whose fetch began with ``url``, or None where there is none (any more)."""
        named = (source for source in self.sources if source.name == name)
        return next((source for source in named if source.begins_with(url)), None)


TREND_SOURCES: tuple[TrendSource, ...] = (
    HackerNewsByDate(),
    HackerNewsFrontPage(),
    RedditHot(),
    YouTubeCharts(),
    YouTubeSearch(),
    YouTubeChannels(),
    YouTubeUploads(),
)
CATALOG = Catalog(TREND_SOURCES, YouTubeStats())
