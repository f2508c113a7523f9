"""Where every script stood at the end of a day.

A script's state at the end of a day is where the last of its moves, in the log's order, led to,
among those that had occurred by then. An event that is recorded late counts from the day on which
it occurred.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from ytap_assets.domain.production.events import (
    IN_PRODUCTION,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
)
from ytap_assets.domain.production.records import find_moves, fold_events
from ytap_assets.domain.reporting.inputs import carry_forward
from ytap_assets.tables.production import PRODUCTION_RECORDS, STATES

WAITING = (SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW)
"""The states a script leaves only when somebody has looked at it."""


def count_states(calendar: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """How many scripts are in each state at the end of each day: ``day`` and a column a state."""
    is_in = [(pl.col("state") == state).cast(pl.Int64).alias(state) for state in STATES]
    standing = find_moves(events).with_columns(is_in)
    before = pl.col(STATES).shift(1, fill_value=0).over("script_id")
    changes = standing.select("day", pl.col(STATES) - before)
    return carry_forward(calendar, changes).with_columns(pl.col(STATES).fill_null(0))


def count_scripts(calendar: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """``day``, ``scripts_waiting``, ``scripts_in_production``, at the end of each day."""
    return count_states(calendar, events).select(
        "day",
        pl.sum_horizontal(WAITING).alias("scripts_waiting"),
        pl.sum_horizontal(IN_PRODUCTION).alias("scripts_in_production"),
    )


def records_in_production(
    calendar: pl.DataFrame, events: pl.DataFrame
) -> Iterator[tuple[date, pl.DataFrame]]:
    """The records of the scripts in production, as they were at the end of each day.

    Yields:
        The day, and rows of `production_records`, those longest in their state first. The same
        frame again where nothing happened since.
    """
    moves = find_moves(events)
    dated = events.with_columns(pl.col("occurred_at").dt.date().alias("_day"))
    eventful = set(dated["_day"].unique())
    records: pl.DataFrame | None = None
    seen: date | None = None
    for day in calendar["day"]:
        changed = seen is None or any(seen < when <= day for when in eventful)
        if records is None or changed:
            records = _fold_open(
                moves.filter(pl.col("day") <= day), dated.filter(pl.col("_day") <= day)
            )
        seen = day
        yield day, records


def _fold_open(moves: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    standing = moves.group_by("script_id").agg(pl.col("state").last())
    still_open = standing.filter(pl.col("state").is_in(IN_PRODUCTION))
    theirs = events.join(still_open.select("script_id"), on="script_id", how="semi")
    if theirs.is_empty():
        return PRODUCTION_RECORDS.empty()
    return fold_events(theirs.drop("_day")).sort("state_since", "script_id")
