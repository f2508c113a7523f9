"""One row of numbers per day: what `workspace_reports` stores of a report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import reduce

import polars as pl

from ytap_assets.domain.reporting.collection import count_fetches
from ytap_assets.domain.reporting.inputs import ReportInputs, as_calendar
from ytap_assets.domain.reporting.metrics import (
    count_published,
    mean_engagement,
    sum_gains,
    sum_views,
)
from ytap_assets.domain.reporting.missing import find_missing
from ytap_assets.domain.reporting.production import count_scripts
from ytap_assets.domain.reporting.trends import count_stories, pick_top_story
from ytap_assets.tables import WORKSPACE_REPORTS

MADE_LATER = ("report_path", "snapshot_id", "generated_at")
"""Columns of `workspace_reports` that say how the report was made, not what is in it."""

_COUNTS = (
    "trends_observed",
    "stories",
    "stories_spam",
    "scripts_waiting",
    "scripts_in_production",
    "videos_published",
    "fetches",
    "fetches_failed",
    "rows_quarantined",
)


def summarize_days(workspace_id: str, days: Iterable[date], inputs: ReportInputs) -> pl.DataFrame:
    """The numbers of every day's report.

    Production and metrics are as of the end of the day: later events and observations of later
    days change nothing.

    Args:
        workspace_id: The workspace the frames are of.
        days: The days to report.
        inputs: The workspace's rows.

    Returns:
        Rows of `workspace_reports` without ``report_path``, ``snapshot_id`` and ``generated_at``:
        one per day, in order, for days without any data too.
    """
    calendar = as_calendar(days)
    parts = [
        _count_rows(inputs.raw, "trends_observed"),
        count_stories(inputs.scored),
        pick_top_story(inputs.scored),
        count_scripts(calendar, inputs.events),
        count_published(inputs.videos),
        sum_views(calendar, inputs.metrics),
        sum_gains(inputs.metrics, inputs.videos),
        mean_engagement(calendar, inputs.metrics),
        count_fetches(inputs.log),
        _count_rows(inputs.quarantined, "rows_quarantined"),
        find_missing(calendar, inputs),
    ]
    joined = reduce(
        lambda left, right: left.join(right, on="day", how="left", maintain_order="left"),
        parts,
        calendar,
    )
    rows = joined.with_columns(
        pl.lit(workspace_id).alias("workspace_id"),
        pl.col(_COUNTS).fill_null(0),
        pl.col("missing").fill_null([]),
    )
    schema = WORKSPACE_REPORTS.schema
    return rows.select(
        pl.col(name).cast(dtype) for name, dtype in schema.items() if name not in MADE_LATER
    )


def _count_rows(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.group_by("day").agg(pl.len().alias(name))
