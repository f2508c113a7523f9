"""Metrics from counts: engagement, growth, and refresh intervals (SPEC 4).

Belongs here: formulas on the counts of one thing. Does not belong here:
sums over a workspace for a report (`reporting`), or money.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

GROWTH_WARNING_PCT = 100
LOSS_WARNING_PCT = 10
UNSETTLED_DAYS = 4
"""Platforms revise the counts of the last days; these days, including today, are fetched again."""

_REFRESH_LADDER = (
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(days=7), timedelta(hours=6)),
    (timedelta(days=30), timedelta(days=1)),
    (timedelta(days=90), timedelta(days=7)),
)


def engagement_rate_pct(
    views: int | None, likes: int | None, comments: int | None, shares: int | None
) -> float | None:
    """(likes + comments + shares) / views x 100, in percent with two decimals.

    Null without views, or if likes are unknown: a rate without them would be far too low. Comments
    (which may be closed) and shares (which few platforms report) are omitted if unknown. Rates
    above 100 are possible and kept.
    """
    return None if likes is None else _pct(likes + (comments or 0) + (shares or 0), views)


def weighted_engagement_pct(
    views: int | None, likes: int | None, comments: int | None
) -> float | None:
    """(likes + 2 x comments) / views x 100; null and unknown as in `engagement_rate_pct`."""
    return None if likes is None else _pct(likes + 2 * (comments or 0), views)


def follower_engagement_pct(
    followers: int | None, likes: int | None, comments: int | None
) -> float | None:
    """(likes + comments) / followers x 100; null and unknown as in `engagement_rate_pct`."""
    return None if likes is None else _pct(likes + (comments or 0), followers)


@dataclass(frozen=True)
class Growth:
    """Growth against the day before.

    Attributes:
        growth_pct: In percent with two decimals; null if either day is unknown.
        warnings: ``growth_over_100_pct`` or ``loss_over_10_pct``, from the exact value.
    """

    growth_pct: float | None
    warnings: tuple[str, ...] = ()


def measure_growth(before: int | None, now: int | None) -> Growth:
    """Growth of a count from one calendar day to the next.

    Args:
        before: The count of the day before; null if there is no row for that day.
        now: The count of the day.
    """
    if before is None or now is None or before < 0:
        return Growth(None)
    if before == 0:
        return Growth(100.0 if now > 0 else 0.0)
    pct = (now - before) / before * 100
    if pct > GROWTH_WARNING_PCT:
        return Growth(round(pct, 2), (f"growth_over_{GROWTH_WARNING_PCT}_pct",))
    if pct < -LOSS_WARNING_PCT:
        return Growth(round(pct, 2), (f"loss_over_{LOSS_WARNING_PCT}_pct",))
    return Growth(round(pct, 2))


def refresh_interval(age: timedelta) -> timedelta | None:
    """The interval between fetches of the counts of a video of that age; None: never."""
    return next((every for below, every in _REFRESH_LADDER if age < below), None)


def is_settled(day: date, now: datetime) -> bool:
    """Whether platforms no longer revise the counts of a UTC date."""
    return day <= now.date() - timedelta(days=UNSETTLED_DAYS)


def _pct(part: int, whole: int | None) -> float | None:
    return None if whole is None or whole <= 0 else round(part / whole * 100, 2)
