"""Histories of scripts: records as of an instant, time in state, throughput and waits.

Belongs here: what was true or known at an instant, how long stays in states take, what a script in
production waits for, and whether for too long. Does not belong here: the fold of events to records
and stays (`records`), or the config in which the limits are set.

An event has two times. ``occurred_at`` is the time of its evidence, and ``recorded_at`` the time at
which it was stored. So there are two questions about an instant: what was true then, according to
all events that are stored by now (`OCCURRED`), and what was known then (`RECORDED`). Both are the
fold of the events with that time at or before the instant, in order of ``seq``. An event that
occurred early and was stored late is true from its own time on, except where an event with a higher
``seq`` had occurred already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

import polars as pl

from ytap_assets.domain.production.events import (
    IN_PRODUCTION,
    READY_FOR_GENERATION,
    READY_FOR_PUBLISH,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
)
from ytap_assets.domain.production.records import Record, fold_events, in_hours
from ytap_assets.domain.production.rules import Rules, list_approvers

Clock = Literal["occurred_at", "recorded_at"]
OCCURRED: Clock = "occurred_at"
RECORDED: Clock = "recorded_at"

_RECORD = tuple(one.name for one in fields(Record))
WAIT_COLUMNS = ("workspace_id", *_RECORD, "job_status")
"""The columns of `production_records` that say what a script waits for."""

_STATE = ("workspace_id", "state")
WAITING = (SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW)
"""The states in which a script waits for a review."""
_NEXT: Mapping[str, str] = {
    SCRIPT_PENDING_REVIEW: "the next run",
    READY_FOR_GENERATION: "a finished video",
    VIDEO_PENDING_REVIEW: "the next run",
    READY_FOR_PUBLISH: "an upload of the video",
}
"""What a script waits for if it is approved and all gates are open."""
_WAIT_SCHEMA: dict[str, Any] = {"max_hours": pl.Float64, "waits_for": pl.List(pl.String)}


def states_at(visits: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """The stays during an instant: of each script that had a state then, one row of `visits`."""
    has_left = (pl.col("left_at") <= at).fill_null(value=False)
    return visits.filter((pl.col("entered_at") <= at) & ~has_left)


def fold_until(events: pl.DataFrame, at: datetime, clock: Clock = OCCURRED) -> pl.DataFrame:
    """The records as of an instant.

    Args:
        events: Rows of `production_events`, in any order: all events of the scripts.
        at: The instant.
        clock: Whether the records are those that were true, or those that were known.

    Returns:
        Rows of `production_records`, without scripts that had no record.
    """
    return fold_events(events.filter(pl.col(clock) <= at))


def measure_stays(visits: pl.DataFrame, since: datetime, until: datetime) -> pl.DataFrame:
    """How many scripts entered and left each state in a period, and how long they had been in it.

    A stay of no time counts. A script that enters a state twice counts twice.

    Args:
        visits: Rows of `script_states`, of any workspaces: all stays that began or ended in the
            period.
        since: The beginning of the period.
        until: Its end, which does not belong to it.

    Returns:
        ``workspace_id``, ``state``, ``entered``, ``left``, and of the stays that ended in the
        period ``median_hours``, ``p90_hours`` and ``max_hours``; null if none did. In order of
        workspace and state; a state that nothing entered or left has no row.
    """
    entered = pl.col("entered_at").is_between(since, until, closed="left")
    left = pl.col("left_at").is_between(since, until, closed="left").fill_null(value=False)
    hours = pl.col("hours").filter(left)
    return (
        visits.filter(entered | left)
        .group_by(_STATE)
        .agg(
            entered.sum().cast(pl.Int64).alias("entered"),
            left.sum().cast(pl.Int64).alias("left"),
            hours.median().alias("median_hours"),
            hours.quantile(0.9, interpolation="linear").alias("p90_hours"),
            hours.max().alias("max_hours"),
        )
        .sort(_STATE)
    )


def describe_waits(
    records: pl.DataFrame, rules: Mapping[str, Rules], now: datetime
) -> pl.DataFrame:
    """What each script in production waits for, and whether it has waited for too long.

    Args:
        records: Rows of `production_records`. Columns `WAIT_COLUMNS`.
        rules: The rules of their workspaces, by workspace.
        now: The instant up to which waits are counted.

    Returns:
        ``workspace_id``, ``script_id``, ``state``, ``title``, ``state_since``, ``hours`` (in the
        state), ``max_hours`` (null for no limit), ``is_stuck`` (``hours`` are more than
        ``max_hours``), ``waits_for``: a list of texts, each a closed gate with its reason, a
        missing approval, or the next step. The longest wait of a workspace first. Titles and
        reasons are untrusted input.
    """
    waiting = (
        records.select(WAIT_COLUMNS)
        .filter(pl.col("state").is_in(IN_PRODUCTION))
        .sort("workspace_id", "state_since", "script_id")
    )
    found = [
        (rules[workspace_id].max_hours.get(state), _list_reasons(values, job, rules[workspace_id]))
        for workspace_id, state, job, *values in waiting.select(
            "workspace_id", pl.col("state").alias("_state"), "job_status", *_RECORD
        ).iter_rows()
    ]
    hours = in_hours(pl.lit(now) - pl.col("state_since"))
    return (
        pl.concat(
            [waiting, pl.DataFrame(found, schema=_WAIT_SCHEMA, orient="row")], how="horizontal"
        )
        .with_columns(hours.alias("hours"))
        .select(
            *("workspace_id", "script_id", "state", "title", "state_since", "hours", "max_hours"),
            (pl.col("hours") > pl.col("max_hours")).fill_null(value=False).alias("is_stuck"),
            "waits_for",
        )
    )


def summarize_waits(waits: pl.DataFrame) -> pl.DataFrame:
    """The scripts of each workspace and state.

    Args:
        waits: As `describe_waits` makes them.

    Returns:
        ``workspace_id``, ``state``, ``scripts``, ``oldest_since``, ``oldest_hours``,
        ``max_hours``, ``stuck`` (how many scripts are stuck). In order of workspace and of the
        states; a state without a script has no row.
    """
    order = pl.col("state").cast(pl.Enum(IN_PRODUCTION))
    return (
        waits.group_by(_STATE)
        .agg(
            pl.len().cast(pl.Int64).alias("scripts"),
            pl.col("state_since").min().alias("oldest_since"),
            pl.col("hours").max().alias("oldest_hours"),
            pl.col("max_hours").first(),
            pl.col("is_stuck").sum().cast(pl.Int64).alias("stuck"),
        )
        .sort(pl.col("workspace_id"), order)
    )


def _list_reasons(values: Sequence[Any], job_status: str | None, rules: Rules) -> list[str]:
    """What a script in production waits for, the gates first; never empty."""
    record = Record(*values)
    reasons = [f"gate {gate}" for gate in record.failed_gates]
    if record.state in WAITING:
        if approval := rules.find_awaited(record, list_approvers(record)):
            reasons.append(approval)
    elif record.state == READY_FOR_GENERATION and job_status == "failed":
        reasons.append("another generation: the last one failed")
    return reasons or [_NEXT[record.state]]
