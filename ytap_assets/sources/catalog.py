"""The list of sources. `docs/adding-a-source.md` shows how to add one.

Belongs here: the list, what follows from it (hosts, spacing), and the source of a stored payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ytap_assets.sources.hn import HackerNewsByDate, HackerNewsFrontPage
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
        trends: The sources of `raw_trends`.
        video_stats: The source of `video_metrics`.
    """

    trends: tuple[TrendSource, ...]
    video_stats: Source

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources."""
        return (*self.trends, self.video_stats)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The only hosts that requests are sent to."""
        return frozenset().union(*(source.hosts for source in self.sources))

    @cached_property
    def spacing_s(self) -> Mapping[str, float]:
        """Seconds between two requests to each host."""
        return {
            host: max(source.spacing_s for source in self.sources if host in source.hosts)
            for host in self.hosts
        }

    def find(self, name: str, url: str) -> Source | None:
        """The source of this name whose fetches start with ``url``, or None."""
        named = (source for source in self.sources if source.name == name)
        return next((source for source in named if source.matches_url(url)), None)


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
