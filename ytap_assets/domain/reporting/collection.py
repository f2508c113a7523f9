"""How the day's fetches went, by source."""

from __future__ import annotations

import polars as pl

FAILED = (
    "transient_error",
    "permanent_error",
    "quota_exhausted",
    "malformed",
    "too_large",
    "not_recorded",
)
"""Outcomes of fetches that should have brought rows and did not.

A source that is switched off, or cannot answer for a past day, has not failed.
"""
ANSWERED = ("ok", "not_modified")


def count_fetches(log: pl.DataFrame) -> pl.DataFrame:
    """``day``, ``fetches``, ``fetches_failed``."""
    return log.group_by("day").agg(
        pl.len().alias("fetches"),
        pl.col("outcome").is_in(FAILED).sum().alias("fetches_failed"),
    )


def describe_sources(log: pl.DataFrame) -> pl.DataFrame:
    """How each source did on each day.

    Returns:
        ``day``, ``source``, ``fetches``, ``failed``, ``answered``, ``accepted``, ``quarantined``,
        ``duplicates``, ``last_answer_at``, ``problems`` (what did not end well, each text once).
    """
    failed = pl.col("outcome").is_in(FAILED)
    answered = pl.col("outcome").is_in(ANSWERED)
    words = pl.col("detail").fill_null(pl.col("outcome").str.replace_all("_", " "))
    text = pl.format("{}: {}", "target", words)
    return (
        log.sort("started_at", "collection_id")
        .group_by("day", "source")
        .agg(
            pl.len().cast(pl.Int64).alias("fetches"),
            failed.sum().cast(pl.Int64).alias("failed"),
            answered.sum().cast(pl.Int64).alias("answered"),
            pl.col("accepted", "quarantined", "duplicates").sum(),
            pl.col("finished_at").filter(answered).max().alias("last_answer_at"),
            text.filter(~answered).unique(maintain_order=True).alias("problems"),
        )
        .sort("day", "source")
    )


def last_outcomes(log: pl.DataFrame) -> pl.DataFrame:
    """How each target's last fetch of the day ended.

    Returns:
        ``day``, ``source``, ``target``, ``outcome``, ``detail``, ``http_status`` and
        ``answer_at``: when it last answered on that day; null if it never did.
    """
    answered = pl.col("outcome").is_in(ANSWERED)
    return (
        log.sort("started_at", "collection_id")
        .group_by("day", "source", "target")
        .agg(
            pl.col("outcome", "detail", "http_status").last(),
            pl.col("finished_at").filter(answered).max().alias("answer_at"),
        )
    )
