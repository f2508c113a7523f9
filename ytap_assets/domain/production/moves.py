"""On which days scripts changed state, and which topics they had taken by then.

Belongs here: the log by days. Does not belong here: a record's whole content (`fold`).
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.production.fold import fold_events
from ytap_assets.domain.production.states import IN_PRODUCTION, PUBLISHED
from ytap_assets.domain.urls import canonical_urls

_SCRIPT = ("workspace_id", "script_id")
TAKEN = (*IN_PRODUCTION, PUBLISHED)
"""The states in which a script keeps its topic from others."""


def find_moves(events: pl.DataFrame) -> pl.DataFrame:
    """The days on which scripts changed state.

    Args:
        events: Rows of `production_events`, of any workspaces.

    Returns:
        ``workspace_id``, ``script_id``, ``day``, ``state``: the state at the end of each of these
        days, and of the days after it until the script's next row. In order of workspace, script
        and day.
    """
    moves = events.filter(pl.col("to_state").is_not_null()).select(
        *_SCRIPT,
        "seq",
        pl.col("occurred_at").dt.date().alias("day"),
        pl.col("to_state").alias("state"),
    )
    last = moves.group_by(*_SCRIPT, "day").agg(
        pl.col("seq").max(), pl.col("state").get(pl.col("seq").arg_max())
    )
    # A move recorded before one that occurred on an earlier day changes nothing.
    is_news = pl.col("seq") == pl.col("seq").cum_max().over(_SCRIPT)
    return last.sort(*_SCRIPT, "day").filter(is_news).select(*_SCRIPT, "day", "state")


def find_taken_topics(events: pl.DataFrame) -> pl.DataFrame:
    """The topics that scripts keep, and since when.

    A topic is taken from the day after a script on it was submitted (as of that day's beginning),
    until the day on which the script is rejected or cancelled.

    Args:
        events: Rows of `production_events`.

    Returns:
        ``script_id``, ``title``, ``canonical_url`` (null where the script names no page),
        ``first_day`` and ``last_day`` (null: until now). A script that comes back has several rows.
    """
    moves = find_moves(events)
    taken = moves.select(
        "script_id",
        pl.col("state").is_in(TAKEN).alias("is_taken"),
        pl.col("day").dt.offset_by("1d").alias("first_day"),
        pl.col("day").shift(-1).over("script_id").alias("last_day"),
    ).filter("is_taken")
    records = fold_events(events)
    topics = records.select("script_id", "title").with_columns(
        canonical_urls(records["topic_url"]).alias("canonical_url")
    )
    return topics.join(taken, on="script_id").select(
        "script_id", "title", "canonical_url", "first_day", "last_day"
    )
