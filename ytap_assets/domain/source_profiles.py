"""The declarations of the sources: one `SourceProfile` for each source of trends, and the quotas.

A source without a profile uses the defaults of `SourceProfile`. The constants of growth curves and
baselines are measured; `docs/scoring.md` describes the data.

Does not belong here: how a source is fetched (`sources`), the formulas (`scoring`, `spam`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class GrowthCurve:
    """How the counts of a source's items usually grow, in hours.

    Attributes:
        first_hours: The age used for the speed of younger items: in the first minutes a few votes
            would be hundreds an hour.
        settling_hours: The age at which a usual item has about 70 % of its final count.
        decay_hours: The age at which a count is weighted by half.
    """

    first_hours: float = 2
    settling_hours: float = 8
    decay_hours: float = 48


DEFAULT_GROWTH = GrowthCurve()


@dataclass(frozen=True)
class Baseline:
    """The usual measures of a source's items.

    Attributes:
        basis: The count that is measured.
        expected: The median of ``expected_engagement``.
        velocity: The median of ``velocity``.
        hotness: The hotness that 95, 75, 50, 25, 10 and 1 % of the items reach, ascending.
        steepness: The exponent of relative speed (`scoring.baselines`).
    """

    basis: Literal["points", "views"]
    expected: float
    velocity: float
    hotness: tuple[float, ...]
    steepness: float = 1


@dataclass(frozen=True)
class Minimum:
    """The minimum of a count; an item of the source below it is spam."""

    count: Literal["points", "views"]
    at_least: int


@dataclass(frozen=True)
class SourceProfile:
    """A source of trends.

    Attributes:
        name: The name in the rows, as in ``raw_trends.source``.
        title: The name in reports and reasons.
        spellings: Other names, for advice on a misspelt one in a config.
        platform: Sources of one platform count once in the boost for several platforms; by default
            the source's name.
        weight: The default weight in the base score.
        growth: How counts grow.
        baseline: The measures before the workspace has items of its own; None if not measured:
            items are then compared with the workspace's own only.
        minimum: The default minimum of a count; None if there is none.
        allows_capitals: Whether legitimate titles are often in capitals.
    """

    name: str
    title: str
    spellings: tuple[str, ...] = ()
    platform: str = ""
    weight: float = 1.0
    growth: GrowthCurve = DEFAULT_GROWTH
    baseline: Baseline | None = None
    minimum: Minimum | None = None
    allows_capitals: bool = False


HOTNESS_OF_VOTES = (0.35, 0.7, 1.05, 2.0, 8.8, 25_000)
HOTNESS_OF_VIEWS = (0.25, 0.76, 1.45, 3.1, 7.1, 40)
_VIDEO_GROWTH = GrowthCurve(first_hours=6, settling_hours=48, decay_hours=168)

_PROFILES = (
    SourceProfile(
        name="reddit",
        title="Reddit",
        growth=GrowthCurve(first_hours=0.3, settling_hours=0.5, decay_hours=24),
        # New posts of one large subreddit.
        baseline=Baseline(
            "points", expected=46, velocity=30, hotness=HOTNESS_OF_VOTES, steepness=6
        ),
        minimum=Minimum("points", 100),
    ),
    SourceProfile(
        name="hn",
        title="Hacker News",
        spellings=("hackernews", "hacker_news"),
        weight=1.2,
        growth=GrowthCurve(first_hours=2, settling_hours=8, decay_hours=24),
        # Stories with at least 50 points in their first day.
        baseline=Baseline(
            "points", expected=150, velocity=13.5, hotness=HOTNESS_OF_VOTES, steepness=6
        ),
        minimum=Minimum("points", 50),
    ),
    # Charts and searches.
    SourceProfile(
        name="youtube",
        title="YouTube",
        spellings=("yt",),
        weight=0.8,
        growth=_VIDEO_GROWTH,
        # The daily chart of one country.
        baseline=Baseline("views", expected=1.4e6, velocity=22_000, hotness=HOTNESS_OF_VIEWS),
        minimum=Minimum("views", 1000),
        allows_capitals=True,
    ),
    # Monitored channels: selected by the workspace, so every video counts from the first view.
    SourceProfile(
        name="youtube_channel",
        title="YouTube channels",
        platform="youtube",
        weight=0.8,
        growth=_VIDEO_GROWTH,
        allows_capitals=True,
    ),
)
SOURCE_PROFILES: Mapping[str, SourceProfile] = {profile.name: profile for profile in _PROFILES}
SOURCES = tuple(SOURCE_PROFILES)
SOURCE_NAMES: Mapping[str, str] = {
    **{profile.name: profile.title for profile in _PROFILES},
    "youtube_stats": "YouTube statistics",
    "unattributed": "No trend seen before",
    "inbox": "Inbox",
    "records": "Imported records",
    "scripts": "Imported scripts",
}
"""The names of sources in reports and reasons; any other source is shown by its id."""


def default_minimums() -> dict[str, Minimum]:
    """The default minimum of each source that has one."""
    return {name: profile.minimum for name, profile in SOURCE_PROFILES.items() if profile.minimum}


PACIFIC = ZoneInfo("America/Los_Angeles")


@dataclass(frozen=True)
class Bucket:
    """A daily quota that is reset at midnight Pacific.

    Attributes:
        name: Its name in the ledger and in messages.
        limit: Calls a day; every call costs 1.
    """

    name: str
    limit: int


YOUTUBE_SEARCH = Bucket("YouTube search", 100)
YOUTUBE_UNITS = Bucket("YouTube units", 10_000)
"""All calls except search and uploads: each page of a list costs one unit."""
BUCKETS = (YOUTUBE_SEARCH, YOUTUBE_UNITS)


def last_quota_reset(at: datetime) -> datetime:
    """The last midnight on the Pacific coast up to an instant, in UTC."""
    today = at.astimezone(PACIFIC).date()
    return datetime.combine(today, time(), tzinfo=PACIFIC).astimezone(UTC)


def next_quota_reset(at: datetime) -> datetime:
    """The next midnight on the Pacific coast strictly after an instant, in UTC.

    YouTube resets daily quotas then: at 07:00 or 08:00 UTC, depending on the season.
    """
    tomorrow = at.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=PACIFIC).astimezone(UTC)
