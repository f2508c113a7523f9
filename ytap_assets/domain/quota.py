"""A platform's quotas: which buckets there are, and when they are full again (SPEC 4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")


@dataclass(frozen=True)
class Bucket:
    """An allowance that starts anew at midnight Pacific.

    Attributes:
        name: What it is called, in the ledger and in messages.
        limit: Calls a day; every call that is made here costs 1.
    """

    name: str
    limit: int


YOUTUBE_SEARCH = Bucket("YouTube search", 100)
YOUTUBE_UNITS = Bucket("YouTube units", 10_000)
"""What is not search (or an upload): each page of a list costs one unit."""
BUCKETS = (YOUTUBE_SEARCH, YOUTUBE_UNITS)


def last_quota_reset(at: datetime) -> datetime:
    """The last midnight on the Pacific coast up to an instant, in UTC."""
    today = at.astimezone(PACIFIC).date()
    return datetime.combine(today, time(), tzinfo=PACIFIC).astimezone(UTC)


def next_quota_reset(at: datetime) -> datetime:
    """The next midnight on the Pacific coast strictly after an instant, in UTC.

    YouTube's daily quotas start anew then, whatever the season: at 07:00 or 08:00 UTC.
    """
    tomorrow = at.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=PACIFIC).astimezone(UTC)
