"""When a platform's quota is full again (SPEC 4)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")


def next_quota_reset(at: datetime) -> datetime:
    """The next midnight on the Pacific coast strictly after an instant, in UTC.

    YouTube's daily quotas start anew then, whatever the season: at 07:00 or 08:00 UTC.
    """
    tomorrow = at.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=PACIFIC).astimezone(UTC)
