"""Everything the page of one day shows, picked out of the frames.

Belongs here: which rows a page shows, in which order. Does not belong here: the records they become
(`records`); words, colours and links (`reports`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, TypeVar

import polars as pl

from ytap_assets.domain.coverage import summarize_by_source
from ytap_assets.domain.production.events import READY_FOR_GENERATION
from ytap_assets.domain.reporting.collection import describe_sources
from ytap_assets.domain.reporting.inputs import (
    COVERAGE_DAYS,
    RESULT_DAYS,
    ReportInputs,
    as_calendar,
)
from ytap_assets.domain.reporting.metrics import VIDEO, latest_by_video
from ytap_assets.domain.reporting.production import WAITING, count_states, records_in_production
from ytap_assets.domain.reporting.records import (
    CoveredDay,
    Edition,
    Numbers,
    ReportDay,
    Script,
    SourceHealth,
    SourceResult,
    SourceStories,
    SpamRule,
    Story,
    Video,
)
from ytap_assets.domain.reporting.summary import summarize_days
from ytap_assets.domain.reporting.trends import (
    count_by_source,
    count_spam_rules,
    pick_top_stories,
)
from ytap_assets.tables.production import STATES

STORIES_SHOWN = 10
VIDEOS_SHOWN = 15
SCRIPTS_SHOWN = 25


def report_days(
    edition: Edition, days: Iterable[date], inputs: ReportInputs
) -> Iterator[ReportDay]:
    """Everything the pages of the days show, one by one, in order.

    The numbers are those of `summarize_days` on the same inputs.

    Args:
        edition: Whose reports they are.
        days: The days to report.
        inputs: The workspace's rows.
    """
    calendar = as_calendar(days)
    summary = summarize_days(edition.workspace_id, calendar["day"], inputs)
    stories = _by_day(pick_top_stories(inputs.scored, limit=STORIES_SHOWN))
    sources = _by_day(count_by_source(inputs.scored, inputs.raw))
    coverage = summarize_by_source(inputs.coverage)
    rules = _by_day(count_spam_rules(inputs.scored))
    health = _by_day(describe_sources(inputs.log))
    states = count_states(calendar, inputs.events)
    scripts = records_in_production(calendar, inputs.events)
    metrics = latest_by_video(calendar, inputs.metrics, inputs.videos)
    rows = summary.iter_rows(named=True)
    for row, counts, (day, records), (_, seen) in zip(
        rows, states.iter_rows(named=True), scripts, metrics, strict=True
    ):
        waiting, held_back = _pick_scripts(records)
        videos = _pick_videos(inputs.videos, seen, day)
        yield ReportDay(
            edition=edition,
            day=day,
            numbers=_record(Numbers, row),
            missing=tuple(row["missing"]),
            stories=_records(Story, stories.get(day)),
            by_source=_records(SourceStories, sources.get(day)),
            spam_rules=_records(SpamRule, rules.get(day)),
            results=_records(SourceResult, sum_results(inputs.performance, day)),
            coverage=_records(CoveredDay, _until(coverage, day, COVERAGE_DAYS)),
            states=tuple((state, counts[state]) for state in STATES),
            waiting=waiting,
            held_back=held_back,
            videos=_records(Video, videos.head(VIDEOS_SHOWN)),
            videos_total=videos.height,
            collection=_records(SourceHealth, health.get(day)),
        )


def _pick_scripts(records: pl.DataFrame) -> tuple[tuple[Script, ...], tuple[Script, ...]]:
    is_waiting = pl.col("state").is_in(WAITING)
    has_failed = (pl.col("state") == READY_FOR_GENERATION) & pl.col("job_status").eq_missing(
        "failed"
    )
    has_gate = pl.col("failed_gates").list.len() > 0
    waiting = records.filter(is_waiting).sort(has_gate, descending=True, maintain_order=True)
    held = records.filter(~is_waiting & (has_failed | has_gate))
    return (
        _records(Script, waiting.head(SCRIPTS_SHOWN)),
        _records(Script, held.head(SCRIPTS_SHOWN)),
    )


def _pick_videos(videos: pl.DataFrame, seen: pl.DataFrame, day: date) -> pl.DataFrame:
    """The videos there were at the end of the day, and those only the metrics know of."""
    published = pl.col("published_at").dt.date()
    there = videos.filter(published.is_null() | (published <= day)).unique("video_id")
    known = there.select("video_id", "title", "published_at")
    observed = seen.rename({"day": "seen_on"})
    both = known.join(observed, on="video_id", how="full", coalesce=True, suffix="_seen")
    return both.with_columns(
        pl.coalesce("title", "title_seen").alias("title"),
        pl.coalesce("published_at", "published_at_seen").alias("published_at"),
    ).sort("views", *VIDEO, descending=[True, False, False], nulls_last=True)


def sum_results(performance: pl.DataFrame, day: date) -> pl.DataFrame:
    """What came of each source over `RESULT_DAYS` until a day; columns of `SourceResult`.

    An amount is the sum of what is known of it; null where nothing is. ``views_per_usd`` is the
    views gained in these days per dollar that the videos published in them cost. Sources without a
    row in these days are left out.
    """
    counts = ("items", "spam_items", "stories", "top_ten", "chosen", "published")
    amounts = ("views_gained", "cost_usd_micros", "revenue_usd_micros")
    sums = (
        _until(performance, day, RESULT_DAYS)
        .group_by("source")
        .agg(
            pl.col(counts).sum(),
            *(
                pl.when(pl.col(a).is_not_null().any()).then(pl.col(a).sum()).alias(a)
                for a in amounts
            ),
        )
    )
    cost, revenue = pl.col("cost_usd_micros"), pl.col("revenue_usd_micros")
    per_usd = pl.when(cost > 0).then(pl.col("views_gained") * 1_000_000.0 / cost)
    roi = pl.when(cost > 0).then((revenue - cost) / cost * 100)
    return sums.with_columns(per_usd.alias("views_per_usd"), roi.alias("roi_pct")).sort(
        "chosen", "stories", "source", descending=[True, True, False]
    )


def _until(frame: pl.DataFrame, day: date, days: int) -> pl.DataFrame:
    return frame.filter(pl.col("day").is_between(day - timedelta(days=days - 1), day))


def _by_day(frame: pl.DataFrame) -> dict[date, pl.DataFrame]:
    parts = frame.partition_by("day", as_dict=True, maintain_order=True)
    return {day: part for (day,), part in parts.items()}


_Record = TypeVar("_Record")


def _records(kind: type[_Record], frame: pl.DataFrame | None) -> tuple[_Record, ...]:
    if frame is None:
        return ()
    return tuple(_record(kind, row) for row in frame.iter_rows(named=True))


def _record(kind: type[_Record], row: dict[str, Any]) -> _Record:
    names = kind.__annotations__
    return kind(**{name: _frozen(row[name]) for name in names})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
