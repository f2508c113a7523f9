"""Whether a present is plausible: a clock that was wrong once must not delete what is needed.

Belongs here: comparing a present with the times of what was done before. Does not belong here:
reading a clock, or what is refused where it is implausible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

LONGEST_PAUSE = timedelta(days=90)
"""An installation that was switched off for longer has to say so, or its clock is to blame."""
SKEW = timedelta(hours=1)
"""How far apart the clocks of an installation's machines may be."""
_SETTLED = timedelta(days=14)
_FEW_SNAPSHOTS, _MOST_SNAPSHOTS = 10, 0.9
_FEW_DAYS, _MOST_ROWS = 31, 0.5


def doubt_clock(commits: Sequence[datetime], now: datetime) -> str | None:
    """Why a present is implausible against the commits before it.

    It is where the newest commit lies after it, and where it, or a commit of the last 14 days,
    comes more than 90 days after all that went before: then the clock jumped, or the installation
    was switched off. After 14 days of regular commits a new time counts as settled. Commits of the
    future, which a clock that is right again left behind, say nothing of later ones.

    Args:
        commits: The times of commits, in their order.
        now: The present.

    Returns:
        What was compared; None where the present is plausible.
    """
    if not commits:
        return None
    if commits[-1] > now + SKEW:
        return f"the clock says {_show(now)}, before the newest commit of {_show(commits[-1])}"
    newest = None
    for at in (*(at for at in commits if at <= now), now):
        if newest and at - newest > LONGEST_PAUSE and now - at < _SETTLED:
            days = (at - newest).days
            return (
                f"the clock says {_show(now)}, and there was no commit for {days} days between"
                f" {_show(newest)} and {_show(at)}"
            )
        newest = at if newest is None else max(at, newest)
    return None


def doubt_expiry(commits: Sequence[datetime], keep_since: datetime) -> str | None:
    """Why it is implausible to expire the snapshots before a time: nearly all of many would go.

    Args:
        commits: The times of all snapshots, in their order; the newest one is never expired.
        keep_since: Those before it would be expired.
    """
    gone = sum(at < keep_since for at in commits[:-1])
    if len(commits) <= _FEW_SNAPSHOTS or gone <= _MOST_SNAPSHOTS * len(commits):
        return None
    return f"{gone:,} of {len(commits):,} snapshots would expire, more than {_MOST_SNAPSHOTS:.0%}"


def doubt_retention(rows: Mapping[date, int], keep_since: date) -> str | None:
    """Why it is implausible to delete the rows before a day: more than half, of over 31 days.

    Retention deletes a day's rows each night, and the last ones of a workspace that ended, too.

    Args:
        rows: How many rows there are of each day.
        keep_since: Those of the days before it would be deleted.
    """
    gone = {day: count for day, count in rows.items() if day < keep_since}
    count, total = sum(gone.values()), sum(rows.values())
    if len(gone) <= _FEW_DAYS or count <= _MOST_ROWS * total:
        return None
    return (
        f"{count:,} of {total:,} rows would be deleted, those of {len(gone)} days from"
        f" {min(gone)} to {max(gone)}"
    )


def _show(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
