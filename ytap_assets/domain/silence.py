"""Targets that have gone silent: asked on several days, and no answer on any of them.

One failed look says nothing: feeds of live channels answer 404 now and then. Days of them do.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from ytap_assets.tables.evidence import ANSWERED

LEAST_DAYS = 3
_UNANSWERED = ("transient_error", "permanent_error", "malformed", "too_large")
"""A look that was made and brought nothing; a used-up quota or a missing key is no look."""


def find_silent(
    log: pl.DataFrame, *, asked_since: date, least_days: int = LEAST_DAYS
) -> pl.DataFrame:
    """Targets that answered on none of the last days on which they were asked.

    Days are those on which somebody looked, whatever day was asked about: thirty days that were
    backfilled at one go, in vain, are one look.

    Args:
        log: Rows of ``collection_log``: ``workspace_id``, ``source``, ``target``, ``outcome``,
            ``detail``, ``http_status``, ``started_at``.
        asked_since: Targets that were last asked before this date are let be: nobody wants them
            any more.
        least_days: On how many days, at least, no answer came.

    Returns:
        ``workspace_id``, ``source``, ``target``, ``days`` (looked at in vain since the last
        answer), ``since`` (the first of them), ``outcome``, ``detail`` and ``http_status`` of the
        last look; the most silent first.
    """
    target = ["workspace_id", "source", "target"]
    looks = log.filter(pl.col("outcome").is_in([*ANSWERED, *_UNANSWERED])).with_columns(
        pl.col("started_at").dt.date().alias("looked_on"),
        pl.col("outcome").is_in(ANSWERED).alias("is_answer"),
    )
    answered_on = pl.col("looked_on").filter("is_answer").max().over(target)
    since = looks.filter((pl.col("looked_on") > answered_on) | answered_on.is_null())
    return (
        since.sort("started_at")
        .group_by(target)
        .agg(
            pl.col("looked_on").n_unique().cast(pl.Int64).alias("days"),
            pl.col("looked_on").min().alias("since"),
            pl.col("looked_on").max().alias("last"),
            pl.col("outcome", "detail", "http_status").last(),
        )
        .filter(pl.col("days") >= least_days, pl.col("last") >= asked_since)
        .drop("last")
        .sort("days", *target, descending=[True, False, False, False])
    )
