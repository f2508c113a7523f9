"""What counts mean: engagement, and when they are final.

Belongs here: formulas on the counts of one thing. Does not belong here:
sums over a workspace for a report (`reporting`), or money.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

UNSETTLED_DAYS = 4
"""Platforms revise the counts of the last days; these days, including today, are fetched again."""


def engagement_rate_pct(
    views: int | None, likes: int | None, comments: int | None, shares: int | None
) -> float | None:
    """(likes + comments + shares) / views x 100, in percent with two decimals.

    Null without views, or if likes are unknown: a rate without them would be far too low. Comments
    (which may be closed) and shares (which few platforms report) are omitted if unknown. Rates
    above 100 are possible and kept.
    """
    return None if likes is None else _pct(likes + (comments or 0) + (shares or 0), views)


def is_settled(day: date, now: datetime) -> bool:
    """Whether platforms no longer revise the counts of a UTC date."""
    return day <= now.date() - timedelta(days=UNSETTLED_DAYS)


def _pct(part: int, whole: int | None) -> float | None:
    return None if whole is None or whole <= 0 else round(part / whole * 100, 2)
