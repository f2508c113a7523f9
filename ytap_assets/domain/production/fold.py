"""The fold: every script as its events leave it.

Belongs here: events in, records out, whatever their number. Does not belong here: whether an event
was allowed (`admission`); the fold takes the log as it is.

A record's columns are all of one kind: what the last event says that speaks of it. So one pass
finds, per script and column, that event's row, and the values are gathered from there. A million
events fold in about two seconds that way; filtering within each group took eleven.
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.production.states import (
    READY_FOR_GENERATION,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
)
from ytap_assets.tables.production import PRODUCTION_RECORDS

FOLD_VERSION = 1
"""Counted up with every change of these rules: records of an older version are computed again."""

_SCRIPT = ("workspace_id", "script_id")
_ABOUT_SCRIPT = ("script_submitted", "imported")
_ABOUT_VIDEO = ("video_completed", "quality_check", "imported")
_ABOUT_PUBLISHING = ("published", "imported")

_FACTS: dict[str, tuple[str, ...]] = {
    "title": _ABOUT_SCRIPT,
    "hook": _ABOUT_SCRIPT,
    "topic_url": _ABOUT_SCRIPT,
    "generation_method": _ABOUT_SCRIPT,
    "estimated_cost_usd_micros": _ABOUT_SCRIPT,
    "cost_usd_micros": _ABOUT_VIDEO,
    "quality_score": _ABOUT_VIDEO,
    "duration_s": _ABOUT_VIDEO,
    "video_id": _ABOUT_PUBLISHING,
    "channel_id": _ABOUT_PUBLISHING,
    "published_at": _ABOUT_PUBLISHING,
}
"""What payloads say about a record, and in which events."""

_SINCE = {
    "cost_usd_micros": "_video",
    "quality_score": "_video",
    "duration_s": "_video",
    "_script_approved": "_script_review",
    "_video_approved": "_video_review",
    "_gates": "_moved",
}
"""What no longer holds once something else happened."""


_TEXT_LIST = r"""^\[("([^"\\]|\\.)*",?)*\]$"""


def fold_events(events: pl.DataFrame) -> pl.DataFrame:
    """Fold the log into records.

    What a payload says about a script is taken from the last event that says it. What it says
    about a video begins anew with every ``video_completed``: a second video has no quality until
    someone measures it. An approval ends when its review begins anew, and failed gates are
    forgotten with every move.

    Args:
        events: Rows of `production_events`, in any order. ``seq`` gives the order.

    Returns:
        Rows of `production_records`, sorted by workspace and script. A script none of whose events
        enters a state has no record.
    """
    rows = events.sort("seq").with_row_index("_row")
    facts = rows.select(_read_fact(name) for name in _FACTS)
    found = _find_rows(pl.concat([rows, facts], how="horizontal"))
    found = found.filter(pl.col("_moved").is_not_null()).sort(_SCRIPT)

    def gather(values: pl.Series, at: str) -> pl.Series:
        return values.gather(found[at]).alias(at)

    records = found.select(
        *_SCRIPT,
        gather(rows["to_state"], "_moved").alias("state"),
        gather(rows["occurred_at"], "_moved").alias("state_since"),
        gather(rows["occurred_at"], "_first").alias("created_at"),
        gather(rows["seq"], "_last").alias("last_seq"),
        gather(rows["actor"], "_script_approved").alias("script_approved_by"),
        gather(rows["actor"], "_video_approved").alias("video_approved_by"),
        gather(rows["type"], "_job").str.strip_prefix("job_").alias("job_status"),
        _read_gates(gather(rows["payload"], "_gates")),
        *(gather(facts[name], name) for name in _FACTS),
        "job_attempts",
        "events",
        pl.lit(FOLD_VERSION).alias("fold_version"),
    )
    return records.select(
        pl.col(name).cast(dtype) for name, dtype in PRODUCTION_RECORDS.schema.items()
    )


def _find_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Per script, the row of the last event that speaks of each column."""
    kind, entered = pl.col("type"), pl.col("to_state")
    wanted = {
        "_moved": entered.is_not_null(),
        "_script_review": entered == SCRIPT_PENDING_REVIEW,
        "_video_review": entered.is_in([VIDEO_PENDING_REVIEW, READY_FOR_GENERATION]),
        "_video": kind == "video_completed",
        "_script_approved": kind == "script_approved",
        "_video_approved": kind == "video_approved",
        "_gates": kind == "gates_evaluated",
        "_job": kind.str.starts_with("job_"),
        **{name: pl.col(name).is_not_null() for name in _FACTS},
    }
    found = (
        rows.with_columns(
            pl.when(condition).then(pl.col("_row")).alias(name)
            for name, condition in wanted.items()
        )
        .group_by(_SCRIPT)
        .agg(
            pl.col(*wanted).max(),
            pl.col("_moved").min().alias("_first"),
            pl.col("_row").max().alias("_last"),
            (kind == "job_queued").sum().alias("job_attempts"),
            pl.len().alias("events"),
        )
    )
    return found.with_columns(
        pl.when(pl.col(name) >= pl.col(since).fill_null(0)).then(pl.col(name)).alias(name)
        for name, since in _SINCE.items()
    )


def _read_fact(name: str) -> pl.Expr:
    """What a payload says; a value of the wrong type is as good as none."""
    speaks = pl.col("type").is_in(list(_FACTS[name]))
    text = pl.when(speaks).then(pl.col("payload")).str.json_path_match(f"$.{name}")
    dtype = PRODUCTION_RECORDS.schema[name]
    if name == "published_at":
        value = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    else:
        value = text.cast(dtype, strict=False)
    if dtype == pl.Float64:
        value = pl.when(value.is_finite()).then(value)
    return value.alias(name)


def _read_gates(payloads: pl.Series) -> pl.Series:
    """The lists of failed gates; anything but a list of texts is as good as none."""
    text = pl.col("payload").str.json_path_match("$.failed_gates")
    lists = pl.when(text.str.contains(_TEXT_LIST)).then(text).str.json_decode(pl.List(pl.String))
    empty = pl.lit([], dtype=pl.List(pl.String))
    return pl.DataFrame({"payload": payloads}).select(lists.fill_null(empty).alias("failed_gates"))[
        "failed_gates"
    ]
