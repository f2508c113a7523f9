"""What is due to be collected, derived from `collection_log` and not from the clock alone.

Belongs here: the rules, on frames. Does not belong here: reading the log, the configs or the quota
ledger (`operations.due`), or starting runs. ADR 0024 gives the reasons.

Today is collected several times, in slots of the workspace's interval that begin at 00:00 UTC.
A past day is settled once it has closed: at the first 02:00 of the workspace's clock after the
day's end. Sources that return past days are then requested once more, or for the first time after
an outage. For the others the gap is recorded once, as ``unrecoverable``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from ytap_assets.domain.plausibility import SKEW
from ytap_assets.domain.source_profiles import last_quota_reset
from ytap_assets.tables.evidence import ANSWERED, REQUEST_FAILED

LOOKBACK_DAYS = 30
"""Past days that are caught up. Older gaps are filled by a backfill only."""
PAST_DAYS_PER_TICK = 5
"""How many past days of a workspace are requested at once, the oldest first."""
CLOSING_HOUR = 2
FIRST_RETRY = timedelta(minutes=15)
LONGEST_RETRY = timedelta(days=1)
"""The longest pause between two tries of a past day. Today's is the workspace's interval."""

Reason = Literal["first", "interval", "retry", "final", "missed", "gap"]
"""``first``: today was not collected yet. ``interval``: a new slot began. ``retry``: the last try
failed. ``final``: the day has closed since it was collected. ``missed``: a past day without an
answer. ``gap``: a past day that the source cannot return; it is recorded."""

_INSTANT: pl.DataType = pl.Datetime("us", "UTC")
_TARGET = ("workspace_id", "source", "target")
_FETCH = ("workspace_id", "day", "source", "target")
PLAN = pl.Schema(
    [
        ("workspace_id", pl.String),
        ("timezone", pl.String),
        ("registered_on", pl.Date),
        ("interval", pl.Duration("us")),
        ("kind", pl.Int64),
        ("source", pl.String),
        ("target", pl.String),
        ("is_queryable", pl.Boolean),
        ("is_daily", pl.Boolean),
        ("lacks_key", pl.Boolean),
    ]
)
ASKED_FROM = pl.Schema([("kind", pl.Int64), ("day", pl.Date), ("asked_from", _INSTANT)])
DUE = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "kind": pl.Int64,
        "source": pl.String,
        "target": pl.String,
        "reason": pl.String,
    }
)


def closes_at(day: date, zone: ZoneInfo) -> datetime:
    """The first 02:00 in a timezone at or after the end of a UTC day.

    If 02:00 occurs twice on a date, the first of the two is used. If it is skipped, the instant at
    which it would have been.
    """
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    local = end.astimezone(zone).date()
    dates = (local + timedelta(days=number) for number in range(-1, 3))
    instants = (
        datetime.combine(one, time(CLOSING_HOUR), tzinfo=zone).astimezone(UTC) for one in dates
    )
    return min(at for at in instants if at >= end)


def find_due_targets(
    plan: pl.DataFrame, asked_from: pl.DataFrame, log: pl.DataFrame, *, now: datetime
) -> pl.DataFrame:
    """The targets that are due on each day.

    Args:
        plan: `PLAN`: one row per workspace and target that its config names. ``registered_on`` is
            null for a workspace that is not in the registry yet. ``kind`` distinguishes sources
            of the same name. ``is_queryable``: the source returns past days. ``is_daily``: it is
            requested once for a day, when the day is over. ``lacks_key``: its key is missing.
        asked_from: `ASKED_FROM`: from when on a source is requested for a day, for every day that
            may be due: today and the past days, none of them more than `LOOKBACK_DAYS` ago.
        log: Rows of `collection_log` of these days: ``workspace_id``, ``day``, ``source``,
            ``target``, ``outcome``, ``started_at``. Without imported files.
        now: The present.

    Returns:
        `DUE`, in the order of days, workspaces, sources and targets.
    """
    today = now.date()
    fetches = log.with_columns(
        is_answer=pl.col("outcome").is_in(ANSWERED),
        is_failure=pl.col("outcome").is_in(REQUEST_FAILED),
        # A clock that was ahead left entries with future times; they are ignored.
        is_known=pl.col("started_at") <= now + SKEW,
    )
    wanted = (
        plan.join(_find_first_days(plan, fetches, today), on="workspace_id")
        .join(asked_from, on="kind")
        .filter(pl.col("day").is_between("first_day", today), pl.col("asked_from") <= now)
    )
    state = (
        wanted.join(_list_closings(wanted), on=["timezone", "day"])
        .join(_summarize_days(fetches), on=_FETCH, how="left")
        .join(_summarize_targets(fetches), on=_TARGET, how="left")
    )
    state = state.join(_find_newer_targets(state, fetches), on=_FETCH, how="left")
    reason = pl.when(day=today).then(_judge_today(now)).otherwise(_judge_past(now))
    return _select_due(state.with_columns(reason=reason))


def find_unreplayed_targets(
    plan: pl.DataFrame, asked_from: pl.DataFrame, log: pl.DataFrame, *, today: date
) -> pl.DataFrame:
    """`find_due_targets` under replay, where a day is collected once, whatever the outcome.

    The clock does not advance there, and a repeated collection adds nothing to the log.
    """
    fetches = log.with_columns(is_known=pl.lit(value=True))
    new = (
        plan.join(_find_first_days(plan, fetches, today), on="workspace_id")
        .join(asked_from, on="kind")
        .filter(
            pl.col("day").is_between("first_day", today),
            pl.col("asked_from") <= pl.col("day").cast(_INSTANT),
        )
        .join(log, on=["workspace_id", "day"], how="anti")
    )
    return _select_due(new.with_columns(reason=pl.lit("first")))


def limit_calls(
    due: pl.DataFrame, costs: Mapping[int, int], *, left: int, today: date
) -> pl.DataFrame:
    """Leave out past days of targets beyond what is left of a quota.

    The oldest days come first. One response serves all workspaces that request the same target and
    day. Today is not limited: the ledger refuses calls beyond the quota, and the log records it.

    Args:
        due: `DUE`.
        costs: Calls per target and day, by ``kind``; other kinds cost nothing.
        left: The calls that past days may cost.
        today: The UTC date.
    """
    cost = pl.col("kind").replace_strict(costs, default=0, return_dtype=pl.Int64)
    is_past = pl.col("day") < today
    is_new = is_past & pl.struct("kind", "target", "day").is_first_distinct()
    total = pl.when(is_new).then(cost).otherwise(0).cum_sum()
    return due.sort("day", *_TARGET).filter(~is_past | (cost == 0) | (total <= left))


def choose_days(
    due: pl.DataFrame, *, today: date, in_progress: Collection[tuple[str, date]] = ()
) -> pl.DataFrame:
    """The rows of today and of the `PAST_DAYS_PER_TICK` oldest past days of each workspace.

    Partitions in progress count as such days, and are not returned.
    """
    place = pl.col("day").cast(pl.Int32).rank("dense").over("workspace_id")
    chosen = due.filter((pl.col("day") == today) | (place <= PAST_DAYS_PER_TICK))
    return leave_out(chosen, in_progress)


def leave_out(due: pl.DataFrame, partitions: Collection[tuple[str, date]]) -> pl.DataFrame:
    """The rows whose ``workspace_id`` and ``day`` are none of the partitions."""
    schema = {"workspace_id": pl.String, "day": pl.Date}
    others = pl.DataFrame(list(partitions), schema, orient="row")
    return due.join(others, on=list(schema), how="anti", maintain_order="left")


def find_due_metrics(
    videos: pl.DataFrame,
    log: pl.DataFrame,
    *,
    first_day: date,
    now: datetime,
    interval: timedelta,
) -> pl.DataFrame:
    """The workspaces and days whose video metrics are due.

    A past day cannot be requested: one without an answer is due once, to be recorded.

    Args:
        videos: One row per workspace that collects and has a video: ``workspace_id``,
            ``registered_on`` (as in `PLAN`), ``published_on`` (of its first video), ``lacks_key``.
        log: The fetches of video metrics from the first day on, by ``workspace_id``, ``day`` and
            ``outcome``: ``first_at`` and ``last_at``, when the first and the last of them began.
        first_day: The first day that may be due.
        now: The present.
        interval: The time between two collections of today.

    Returns:
        ``workspace_id``, ``day``, ``reason``.
    """
    partition, today = ["workspace_id", "day"], now.date()
    days = pl.date_range(first_day, today, eager=True).alias("day").to_frame()
    latest = pl.lit(now + SKEW)
    log = log.with_columns(
        is_known=pl.col("first_at") <= latest,
        last_at=pl.when(pl.col("last_at") <= latest).then("last_at").otherwise("first_at"),
    )
    fetches = log.select("workspace_id", "is_known", started_at="first_at")
    published = (
        videos.join(_find_first_days(videos, fetches, today), on="workspace_id")
        .join(days, how="cross")
        .filter(pl.col("day") >= pl.max_horizontal("first_day", "published_on"))
    )
    is_answer, outcome = pl.col("outcome").is_in(ANSWERED), pl.col("outcome")
    is_failure, is_known = outcome.is_in([*REQUEST_FAILED, "disabled"]), pl.col("is_known")
    is_exhausted = (outcome == "quota_exhausted") & is_known
    state = published.join(
        log.group_by(partition).agg(
            pl.col("last_at").filter(is_answer & is_known).max().alias("answered_at"),
            pl.col("last_at").filter(is_exhausted).max().alias("exhausted_at"),
            pl.col("first_at").filter(is_failure & is_known).min().alias("first_failed_at"),
            pl.col("last_at").filter(is_failure & is_known).max().alias("last_failed_at"),
            (outcome == "disabled").any().alias("is_disabled"),
            (is_answer | outcome.is_in(["unrecoverable", "disabled"])).any().alias("is_settled"),
        ),
        on=partition,
        how="left",
    )
    has_failed = _is_later("last_failed_at", "answered_at")
    is_waiting = has_failed & _is_waiting("first_failed_at", "last_failed_at", interval, now)
    judged = (
        pl.when(_is_keyless() | _is_exhausted(now) | is_waiting)
        .then(None)
        .when(has_failed)
        .then(pl.lit("retry"))
        .when(pl.col("answered_at").is_null())
        .then(pl.lit("first"))
        .when(_is_new_slot(now, interval))
        .then(pl.lit("interval"))
    )
    past = pl.when(~_holds("is_settled")).then(pl.lit("gap"))
    reason = pl.when(day=today).then(judged).otherwise(past)
    due = state.with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    return due.select(*partition, "reason").sort(partition)


def _find_first_days(plan: pl.DataFrame, fetches: pl.DataFrame, today: date) -> pl.DataFrame:
    """``first_day``: the first day of each workspace that may be due.

    It is the day of the registration, at most `LOOKBACK_DAYS` ago. For a workspace that was
    registered earlier it is the day of the first fetch in the log: an outage of all these days is
    not caught up, since a wrong clock looks the same.
    """
    oldest = today - timedelta(days=LOOKBACK_DAYS)
    known_fetches = fetches.filter("is_known").group_by("workspace_id")
    since = plan.group_by("workspace_id").agg(pl.col("registered_on").first())
    both = since.join(
        known_fetches.agg(pl.col("started_at").min().dt.date().alias("asked_on")),
        on="workspace_id",
        how="left",
    )
    known = (
        pl.when(pl.col("registered_on") >= oldest)
        .then("registered_on")
        .otherwise(pl.max_horizontal(pl.coalesce("asked_on", pl.lit(today)), pl.lit(oldest)))
    )
    return both.select("workspace_id", first_day=pl.min_horizontal(known, pl.lit(today)))


def _list_closings(wanted: pl.DataFrame) -> pl.DataFrame:
    """``closes_at`` of each timezone and day."""
    pairs = wanted.select("timezone", "day").unique()
    times = [closes_at(day, ZoneInfo(zone)) for zone, day in pairs.iter_rows()]
    return pairs.with_columns(closes_at=pl.Series(times, dtype=_INSTANT))


def _summarize_days(fetches: pl.DataFrame) -> pl.DataFrame:
    """The fetches of each target and day.

    Returns:
        `_FETCH`, ``is_answered`` (ever), ``is_unrecoverable``, ``is_disabled``, ``answered_at``
        (the last time), ``day_failed_from`` and ``day_failed_at`` (the first and the last failure
        since).
    """
    outcome = pl.col("outcome")
    days = fetches.group_by(_FETCH).agg(
        pl.col("is_answer").any().alias("is_answered"),
        (outcome == "unrecoverable").any().alias("is_unrecoverable"),
        (outcome == "disabled").any().alias("is_disabled"),
        pl.col("started_at")
        .filter(pl.col("is_answer") & pl.col("is_known"))
        .max()
        .alias("answered_at"),
    )
    # A missing key counts as a failure of its day only: when the key is added, the next try follows
    # at once, not after a pause that grew over days.
    failed = fetches.filter(pl.col("is_failure") | (outcome == "disabled"))
    return _add_failures(days, failed, "answered_at", "day")


def _summarize_targets(fetches: pl.DataFrame) -> pl.DataFrame:
    """The fetches of each target, for any day.

    Returns:
        `_TARGET`, ``first_asked_at``; for all days ``any_answered_at``, ``any_failed_from``,
        ``any_failed_at`` and ``exhausted_at``; and for days that were requested before their end
        ``now_answered_at``, ``now_failed_from`` and ``now_failed_at``.
    """
    started, known = pl.col("started_at"), fetches.filter("is_known")
    is_present = pl.col("day") == started.dt.date()
    targets = known.group_by(_TARGET).agg(
        started.min().alias("first_asked_at"),
        started.filter("is_answer").max().alias("any_answered_at"),
        started.filter(pl.col("is_answer") & is_present).max().alias("now_answered_at"),
        started.filter(outcome="quota_exhausted").max().alias("exhausted_at"),
    )
    failed = known.filter("is_failure")
    targets = _add_failures(targets, failed, "any_answered_at", "any")
    return _add_failures(targets, failed.filter(is_present), "now_answered_at", "now")


def _add_failures(
    summary: pl.DataFrame, failed: pl.DataFrame, answered_at: str, name: str
) -> pl.DataFrame:
    """The summary with the first and the last failure after the last answer.

    Args:
        summary: By `_FETCH` or `_TARGET`.
        failed: The fetches that failed.
        answered_at: The column of the last answer.
        name: The new columns are ``NAME_failed_from`` and ``NAME_failed_at``.
    """
    keys = list(_FETCH if "day" in summary.columns else _TARGET)
    since = (
        failed.filter("is_known")
        .join(summary.select(*keys, answered_at), on=keys)
        .filter(_is_later("started_at", answered_at))
        .group_by(keys)
        .agg(
            pl.col("started_at").min().alias(f"{name}_failed_from"),
            pl.col("started_at").max().alias(f"{name}_failed_at"),
        )
    )
    return summary.join(since, on=keys, how="left")


def _find_newer_targets(state: pl.DataFrame, fetches: pl.DataFrame) -> pl.DataFrame:
    """The targets that did not exist yet when a day was collected.

    These are days of which something was collected when the target could have been requested, but
    before its first request. Later collections prove nothing: a known target may have been left
    out, since it failed or its quota was used up.

    Returns:
        `_FETCH`, and ``is_newer`` (true).
    """
    asked_from = (
        pl.when("is_daily")
        .then(pl.max_horizontal("asked_from", "closes_at"))
        .otherwise("asked_from")
    )
    unasked = state.filter(
        pl.col("is_answered").is_null(),
        _is_unknown_or(pl.col("day") < pl.col("first_asked_at").dt.date()),
    ).select(*_FETCH, "first_asked_at", asked_from)
    partition = ["workspace_id", "day"]
    collected = fetches.filter("is_known").join(unasked, on=partition, how="semi")
    times = collected.select(*partition, "started_at").unique()
    newer = unasked.join(times, on=partition).filter(
        pl.col("started_at") >= pl.col("asked_from"),
        _is_unknown_or(pl.col("started_at") < pl.col("first_asked_at")),
    )
    return newer.select(_FETCH).unique().with_columns(is_newer=pl.lit(value=True))


def _judge_today(now: datetime) -> pl.Expr:
    interval = pl.col("interval")
    is_open = (
        pl.when("is_daily")
        .then(pl.col("any_answered_at").is_null())
        .otherwise(pl.col("answered_at").is_null() | _is_new_slot(now, interval))
    )
    is_waiting = pl.any_horizontal(
        _is_waiting(f"{name}_failed_from", f"{name}_failed_at", interval, now)
        for name in ("now", "day")
    )
    return (
        pl.when(~is_open | _is_keyless() | is_waiting | _is_exhausted(now, "any_answered_at"))
        .then(None)
        .when(pl.col("now_failed_at").is_not_null() | pl.col("day_failed_at").is_not_null())
        .then(pl.lit("retry"))
        .when(pl.col("answered_at").is_null())
        .then(pl.lit("first"))
        .otherwise(pl.lit("interval"))
    )


def _judge_past(now: datetime) -> pl.Expr:
    is_settled = (
        pl.when("is_queryable")
        .then(_holds("is_unrecoverable") | _holds(pl.col("answered_at") >= pl.col("closes_at")))
        .otherwise(_holds("is_unrecoverable") | _holds("is_answered") | _holds("is_disabled"))
    )
    is_waiting = pl.any_horizontal(
        _is_waiting(f"{name}_failed_from", f"{name}_failed_at", LONGEST_RETRY, now)
        for name in ("day", "any")
    )
    return (
        pl.when((pl.col("closes_at") > now) | is_settled | _holds("is_newer"))
        .then(None)
        .when(~pl.col("is_queryable"))
        .then(pl.lit("gap"))
        .when(_is_keyless() | is_waiting | _is_exhausted(now, "any_answered_at"))
        .then(None)
        .when(pl.col("answered_at").is_not_null())
        .then(pl.lit("final"))
        .when(pl.col("day_failed_at").is_not_null())
        .then(pl.lit("retry"))
        .otherwise(pl.lit("missed"))
    )


def _is_new_slot(now: datetime, interval: timedelta | pl.Expr) -> pl.Expr:
    """Whether a slot of today began since the last answer, and half an interval has passed."""
    passed = pl.lit(now - datetime.combine(now.date(), time(), UTC))
    since = pl.lit(now) - pl.col("answered_at")
    length = pl.lit(interval) if isinstance(interval, timedelta) else interval
    in_slot = passed.dt.total_microseconds() % length.dt.total_microseconds()
    return (since.dt.total_microseconds() > in_slot) & (
        since.dt.total_microseconds() * 2 >= length.dt.total_microseconds()
    )


def _is_waiting(first: str, last: str, longest: timedelta | pl.Expr, now: datetime) -> pl.Expr:
    """Whether the pause after failures, the first at ``first`` and the last at ``last``, lasts.

    The pauses are 15, 30, 60 ... minutes, up to ``longest``. False if nothing failed.
    """
    pause = pl.col(last) - pl.col(first) + pl.lit(FIRST_RETRY)
    return _holds(pl.col(last) + pl.min_horizontal(pause, longest) > now)


def _is_exhausted(now: datetime, answered_at: str = "answered_at") -> pl.Expr:
    """Whether the quota was exhausted at the last try and has not been reset since."""
    is_last = _is_later("exhausted_at", answered_at)
    return is_last & _holds(pl.col("exhausted_at") >= last_quota_reset(now))


def _is_keyless() -> pl.Expr:
    """Whether the key is missing and the log already records it."""
    return pl.col("lacks_key") & _holds("is_disabled")


def _is_later(one: str, other: str) -> pl.Expr:
    """Whether an instant is known and later than another, or the other one is unknown."""
    return pl.col(one).is_not_null() & ~_holds(pl.col(one) <= pl.col(other))


def _is_unknown_or(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=True)


def _holds(condition: str | pl.Expr) -> pl.Expr:
    """A condition that is false if it is unknown."""
    return (pl.col(condition) if isinstance(condition, str) else condition).fill_null(value=False)


def _select_due(judged: pl.DataFrame) -> pl.DataFrame:
    due = judged.filter(pl.col("reason").is_not_null()).select(DUE.names())
    return due.cast(DUE).sort("day", *_TARGET)
