"""Coverage of the past: the days that each source returned, still can return, or no longer can.

Belongs here: the state of a day of a target, from what was planned, logged and imported. Does not
belong here: fetching (`sources`), or charts of it (`reports`).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from ytap_assets.tables import COLLECTION_COVERAGE
from ytap_assets.tables.evidence import ANSWERED, FAILED, NO_RESPONSE

FILES = "files"
"""The target that stands for everything imported."""
_TARGET = ("day", "source", "target")
_BEST_FIRST = (
    "answered",
    "imported",
    "open",
    "healable",
    "disabled",
    "not_recorded",
    "unrecoverable",
)
_PLACE = r"^[\w.-]+\.[\w-]+(?:/\S*)?(?:: | (returned \d+: ))"
_SHOWN_REASONS = 5


def describe_coverage(
    plan: pl.DataFrame, log: pl.DataFrame, imported: pl.DataFrame, *, today: date
) -> pl.DataFrame:
    """The state of every planned target on every day.

    Args:
        plan: What the workspace wants: ``workspace_id``, ``day``, ``source``, ``target``,
            ``history``, ``lacks_key`` (its key is missing). Days after ``today`` are left out.
        log: Rows of `collection_log` of these days. Targets that are no longer planned are
            included, but are never ``healable``.
        imported: Rows of `raw_trends` from files: ``workspace_id``, ``day``, ``source``.
        today: The UTC date.

    Returns:
        Rows of `collection_coverage`.
    """
    fetches = log.filter(pl.col("history") != "file")
    planned = plan.select(
        "workspace_id", *_TARGET, "history", "lacks_key", pl.lit(value=True).alias("is_planned")
    )
    wanted = pl.concat([planned, _planned_once(fetches)]).unique(
        ["workspace_id", *_TARGET], keep="first", maintain_order=True
    )
    known = wanted.filter(pl.col("day") <= today).join(
        _count_fetches(fetches), on=["workspace_id", *_TARGET], how="left"
    )
    judged = known.with_columns(
        _judge(today).alias("state"), pl.col("fetches", "rows").fill_null(0)
    )
    columns = COLLECTION_COVERAGE.schema.names()
    whole = pl.concat([judged.select(columns), _describe_files(imported).select(columns)])
    return whole.cast(COLLECTION_COVERAGE.schema).sort("workspace_id", *_TARGET)


def summarize_by_source(coverage: pl.DataFrame) -> pl.DataFrame:
    """The best state of each source on each day: ``day``, ``source``, ``state``.

    A day with imported rows is ``imported``, unless the source answered.
    """
    order = pl.Enum(_BEST_FIRST)
    return (
        coverage.group_by("day", "source")
        .agg(pl.col("state").cast(order).min().cast(pl.String))
        .sort("source", "day")
    )


def find_healable(coverage: pl.DataFrame) -> pl.DataFrame:
    """Past days without an answer that the source can still return.

    Returns:
        ``workspace_id``, ``source``, ``target``, ``days`` (how many), ``first_day``, ``last_day``.
    """
    return (
        coverage.filter(pl.col("state") == "healable")
        .group_by("workspace_id", "source", "target")
        .agg(
            pl.len().cast(pl.Int64).alias("days"),
            pl.col("day").min().alias("first_day"),
            pl.col("day").max().alias("last_day"),
        )
        .sort("workspace_id", "source", "target")
    )


def find_failed_targets(log: pl.DataFrame) -> pl.DataFrame:
    """The reasons for which requested targets failed.

    Args:
        log: Rows of `collection_log`.

    Returns:
        One row per workspace, source and reason: ``workspace_id``, ``source``, ``reason`` (the
        log's detail without host and path, or the outcome), ``targets`` (how many; one that failed
        on two days counts twice) and ``example`` (one of them); the most frequent first.
    """
    reason = pl.coalesce(pl.col("detail").str.replace(_PLACE, "${1}"), "outcome").alias("reason")
    return (
        log.filter(pl.col("outcome").is_in(FAILED))
        .group_by("workspace_id", "source", reason)
        .agg(
            pl.struct("day", "target").n_unique().cast(pl.Int64).alias("targets"),
            pl.col("target").min().alias("example"),
        )
        .sort("targets", "workspace_id", "source", "reason", descending=[True, False, False, False])
    )


def split_failed_days(log: pl.DataFrame) -> dict[date, pl.DataFrame]:
    """The log of each day on which a requested target did not answer, in order.

    Args:
        log: Rows of `collection_log`.
    """
    failed = log.filter(pl.col("outcome").is_in(FAILED))
    days = log.filter(pl.col("day").is_in(failed["day"].unique().implode())).sort("day")
    parts = days.partition_by("day", as_dict=True, maintain_order=True)
    return {day: part for (day,), part in parts.items()}


def summarize_failed_targets(log: pl.DataFrame) -> str | None:
    """How many of the requested targets failed, and why; None if none did.

    Args:
        log: Rows of `collection_log`.
    """
    failed = find_failed_targets(log).group_by("reason").agg(pl.col("targets").sum())
    if failed.is_empty():
        return None
    requested = log.filter(pl.col("outcome").is_in([*ANSWERED, *FAILED])).n_unique(
        ["workspace_id", *_TARGET]
    )
    reasons = failed.sort("targets", "reason", descending=[True, False])
    shown = [f"{reason} ({count})" for reason, count in reasons.head(_SHOWN_REASONS).iter_rows()]
    if more := reasons.height - len(shown):
        shown.append(f"{more} more reason{'s' if more > 1 else ''}")
    return f"{failed.get_column('targets').sum()} of {requested} targets failed: {'; '.join(shown)}"


def is_nothing_collected(log: pl.DataFrame) -> bool:
    """Whether targets were requested and none answered.

    A target without a recording does not count as requested: a retry under replay would not help.

    Args:
        log: Rows of `collection_log`.
    """
    outcomes = set(log.get_column("outcome"))
    is_failed = not outcomes.isdisjoint(NO_RESPONSE)
    return is_failed and outcomes.isdisjoint(ANSWERED)


def _planned_once(fetches: pl.DataFrame) -> pl.DataFrame:
    """The targets of past fetches, as targets that are no longer planned."""
    no_longer = (pl.lit(value=False).alias(name) for name in ("lacks_key", "is_planned"))
    return fetches.sort("started_at").select("workspace_id", *_TARGET, "history", *no_longer)


def _count_fetches(fetches: pl.DataFrame) -> pl.DataFrame:
    answered = pl.col("outcome").is_in(ANSWERED)
    return (
        fetches.sort("started_at", "collection_id")
        .group_by("workspace_id", *_TARGET)
        .agg(
            pl.col("outcome").last(),
            pl.col("detail").last(),
            pl.len().cast(pl.Int64).alias("fetches"),
            (pl.col("accepted") + pl.col("duplicates")).sum().alias("rows"),
            pl.col("finished_at").filter(answered).max().alias("answered_at"),
        )
    )


def _judge(today: date) -> pl.Expr:
    """The state of a target on a day, from its history and the outcomes of its fetches.

    ``disabled`` precedes ``healable``, since a backfill needs the key. Targets that the config no
    longer names, and those of workspaces that do not collect, are never ``healable``.
    """
    outcome = pl.col("outcome")
    return (
        pl.when(pl.col("answered_at").is_not_null())
        .then(pl.lit("answered"))
        .when(pl.col("lacks_key"))
        .then(pl.lit("disabled"))
        .when(outcome == "not_recorded")
        .then(pl.lit("not_recorded"))
        .when(pl.col("day") >= today)
        .then(pl.lit("open"))
        .when((pl.col("history") == "date_queryable") & pl.col("is_planned"))
        .then(pl.lit("healable"))
        .otherwise(pl.lit("unrecoverable"))
    )


def _describe_files(imported: pl.DataFrame) -> pl.DataFrame:
    counts = imported.group_by("workspace_id", "day", "source").agg(
        pl.len().cast(pl.Int64).alias("rows")
    )
    said = {"target": FILES, "history": "file", "state": "imported"}
    return counts.with_columns(
        *(pl.lit(value).alias(name) for name, value in said.items()),
        pl.lit(None, pl.String).alias("outcome"),
        pl.lit(None, pl.String).alias("detail"),
        pl.lit(0, pl.Int64).alias("fetches"),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("answered_at"),
    )
