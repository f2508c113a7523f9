"""Plausibility checks: the clock, deletions, values outside expected ranges, unresponsive targets.

Belongs here: comparing the present and the stored rows with what is expected. Does not belong here:
reading a clock, and the reaction to a finding. Values outside their range are counted, never
dropped or blocked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import polars as pl

from ytap_assets.tables import Column
from ytap_assets.tables.evidence import ANSWERED, REQUEST_FAILED

LONGEST_PAUSE = timedelta(days=90)
"""After a longer pause the clock is considered wrong unless the operator confirms it."""
SKEW = timedelta(hours=1)
"""The maximum difference between the clocks of an installation's machines."""
_SETTLED = timedelta(days=14)
_FEW_SNAPSHOTS, _MOST_SNAPSHOTS = 10, 0.9
_FEW_DAYS, _MOST_ROWS = 31, 0.5


def doubt_clock(commits: Sequence[datetime], now: datetime) -> str | None:
    """Why the present is implausible, compared with the commits.

    It is implausible if the newest commit is later, or if the present or a commit of the last 14
    days is more than 90 days after all earlier commits: then the clock jumped, or the installation
    was off. After 14 days of regular commits a new time is accepted. Earlier commits with a future
    time, left by a wrong clock, do not affect later ones.

    Args:
        commits: The times of commits, in their order.
        now: The present.

    Returns:
        The reason; None if the present is plausible.
    """
    if not commits:
        return None
    if commits[-1] > now + SKEW:
        return f"the clock ({_show(now)}) is before the newest commit ({_show(commits[-1])})"
    newest = None
    for at in (*(at for at in commits if at <= now), now):
        if newest and at - newest > LONGEST_PAUSE and now - at < _SETTLED:
            days = (at - newest).days
            return (
                f"the clock is at {_show(now)}, and there was no commit for {days} days between"
                f" {_show(newest)} and {_show(at)}"
            )
        newest = at if newest is None else max(at, newest)
    return None


def doubt_expiry(commits: Sequence[datetime], keep_since: datetime) -> str | None:
    """Why expiring the snapshots before a time is implausible: over 90 % of more than 10.

    Args:
        commits: The times of all snapshots, in order; the newest one is never expired.
        keep_since: Snapshots before it would be expired.
    """
    gone = sum(at < keep_since for at in commits[:-1])
    if len(commits) <= _FEW_SNAPSHOTS or gone <= _MOST_SNAPSHOTS * len(commits):
        return None
    return f"{gone:,} of {len(commits):,} snapshots would expire, more than {_MOST_SNAPSHOTS:.0%}"


def doubt_retention(rows: Mapping[date, int], keep_since: date) -> str | None:
    """Why deleting the rows before a day is implausible: over half of them, on over 31 days.

    Retention deletes one day each night, and also the last rows of a workspace that ended.

    Args:
        rows: The number of rows of each day.
        keep_since: Rows of earlier days would be deleted.
    """
    gone = {day: count for day, count in rows.items() if day < keep_since}
    count, total = sum(gone.values()), sum(rows.values())
    if len(gone) <= _FEW_DAYS or count <= _MOST_ROWS * total:
        return None
    return (
        f"{count:,} of {total:,} rows would be deleted, of {len(gone)} days from {min(gone)} to"
        f" {max(gone)}"
    )


def _show(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


_SCHEMA = pl.Schema(
    {
        "column": pl.String,
        "expected_min": pl.Float64,
        "expected_max": pl.Float64,
        "outside": pl.Int64,
        "example": pl.Float64,
    }
)


def flag_ranges(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Count the values outside each column's expected range.

    Args:
        frame: Rows of a table.
        columns: The table's columns; those without an expected range are ignored.

    Returns:
        One row per column with a range: ``column``, ``expected_min``, ``expected_max``,
        ``outside`` (the number of values; null is not outside, NaN is) and ``example`` (the most
        distant one, or null).
    """
    rows = [
        _flag_column(frame[column.name], column.name, *column.expected)
        for column in columns
        if column.expected
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _flag_column(
    values: pl.Series, name: str, low: float, high: float
) -> tuple[str, float, float, int, float | None]:
    numbers = values.cast(pl.Float64).drop_nulls()
    outside = numbers.filter(~numbers.is_between(low, high))
    distance = (low - outside).clip(0) + (outside - high).clip(0)
    farthest = distance.arg_max()
    return name, low, high, len(outside), None if farthest is None else outside[farthest]


MIN_UNRESPONSIVE_DAYS = 3


def find_unresponsive_targets(log: pl.DataFrame, *, asked_since: date) -> pl.DataFrame:
    """Targets without a response on their last `MIN_UNRESPONSIVE_DAYS` or more days with requests.

    Days are those of the requests, not the requested days: a failed backfill of thirty days counts
    once. A single failure is not reported: feeds of live channels answer 404 now and then. An
    exhausted quota or a missing key is not a request.

    Args:
        log: Rows of ``collection_log``: ``workspace_id``, ``source``, ``target``, ``outcome``,
            ``detail``, ``http_status``, ``started_at``.
        asked_since: Targets last requested before this date are ignored as no longer configured.

    Returns:
        ``workspace_id``, ``source``, ``target``, ``days`` (without a response since the
        last one), ``since`` (the first of them), ``outcome``, ``detail`` and ``http_status`` of the
        last request; most days first.
    """
    target = ["workspace_id", "source", "target"]
    requests = log.filter(pl.col("outcome").is_in([*ANSWERED, *REQUEST_FAILED])).with_columns(
        pl.col("started_at").dt.date().alias("requested_on"),
        pl.col("outcome").is_in(ANSWERED).alias("is_response"),
    )
    responded_on = pl.col("requested_on").filter("is_response").max().over(target)
    since = requests.filter((pl.col("requested_on") > responded_on) | responded_on.is_null())
    return (
        since.sort("started_at")
        .group_by(target)
        .agg(
            pl.col("requested_on").n_unique().cast(pl.Int64).alias("days"),
            pl.col("requested_on").min().alias("since"),
            pl.col("requested_on").max().alias("last"),
            pl.col("outcome", "detail", "http_status").last(),
        )
        .filter(pl.col("days") >= MIN_UNRESPONSIVE_DAYS, pl.col("last") >= asked_since)
        .drop("last")
        .sort("days", *target, descending=[True, False, False, False])
    )
