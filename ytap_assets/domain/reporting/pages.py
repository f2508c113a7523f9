"""Each day's row of `workspace_reports`, and the content of the day's page.

Belongs here: the records of a page, the selection and order of their rows, and what is stale,
failed or missing in a day's report. Does not belong here: counting (`numbers`), checks of single
rows, or colors and links (`reports`). Texts and URLs in the records come from outside and are
untrusted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import Any, TypeVar

import polars as pl

from ytap_assets.domain.coverage import summarize_by_source
from ytap_assets.domain.production.events import IN_PRODUCTION, READY_FOR_GENERATION
from ytap_assets.domain.production.history import WAITING, describe_waits, summarize_waits
from ytap_assets.domain.production.rules import Rules
from ytap_assets.domain.reporting import numbers
from ytap_assets.domain.reporting.numbers import (
    COVERAGE_DAYS,
    KEY,
    RESULT_DAYS,
    VIDEO,
    ReportInputs,
    carry_forward,
    join_before,
)
from ytap_assets.domain.scoring.items import latest_observations
from ytap_assets.domain.source_profiles import SOURCE_NAMES
from ytap_assets.tables import WORKSPACE_REPORTS
from ytap_assets.tables.evidence import ANSWERED, FAILED
from ytap_assets.tables.production import STATES

STORIES_SHOWN = 10
VIDEOS_SHOWN = 15
SCRIPTS_SHOWN = 25
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
_NAMED = 3
_TOLERANCE = timedelta(hours=1)
_CLOCK = "%H:%M"
_FAILED_WORDS = {
    "transient_error": "no response for",
    "permanent_error": "no response for",
    "quota_exhausted": "quota exhausted before",
    "malformed": "malformed response for",
    "too_large": "response too large for",
    "not_recorded": "no recording of",
}
_ABSENT_WORDS = {
    "unrecoverable": "unrecoverable for this day:",
    "disabled": "not requested:",
}


@dataclass(frozen=True)
class Edition:
    """Whose report it is, and what it was made from.

    Attributes:
        workspace_id: The workspace.
        name: Its name. Untrusted input, like all texts of its config.
        vertical: What it is about.
        timezone: Its timezone, for display.
        snapshot_id: The lake's snapshot that was read.
        run_id: The run that made it.
        generated_at: When it was made.
        rules: Its production rules: after how long a script is stuck, and who approves.
    """

    workspace_id: str
    name: str
    vertical: str
    timezone: str
    snapshot_id: int
    run_id: str
    generated_at: datetime
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Numbers:
    """The day's row of `workspace_reports`."""

    trends_observed: int
    stories: int
    stories_spam: int
    top_title: str | None
    top_score: float | None
    scripts_waiting: int
    scripts_in_production: int
    videos_published: int
    views: int | None
    views_gained: int | None
    engagement_rate_pct: float | None
    fetches: int
    fetches_failed: int
    rows_quarantined: int


@dataclass(frozen=True)
class Story:
    """A story, with what made its score. Texts and URLs are untrusted input."""

    position: int
    title: str
    url: str | None
    discussion_url: str | None
    sources: tuple[str, ...]
    members: int
    hours_old: float | None
    engagement: float | None
    base_score: float
    momentum: float
    relevance: float
    cross_source_boost: float
    learned_weight: float
    final_score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SourceStories:
    """The items of a source: rows observed, stories, and spam."""

    source: str
    observed: int
    stories: int
    spam: int


@dataclass(frozen=True)
class SourceResult:
    """The performance of a source over the days before the report and its own day."""

    source: str
    items: int
    spam_items: int
    stories: int
    top_ten: int
    chosen: int
    published: int
    views_gained: int | None
    cost_usd_micros: int | None
    views_per_usd: float | None
    roi_pct: float | None


@dataclass(frozen=True)
class CoveredDay:
    """The state of a source's day; see `collection_coverage`."""

    day: date
    source: str
    state: str


@dataclass(frozen=True)
class SpamRule:
    """A spam rule and how many stories it matched."""

    rule: str
    stories: int


@dataclass(frozen=True)
class Script:
    """A script in production, as it was at the end of the day."""

    script_id: str
    state: str
    title: str | None
    hook: str | None
    state_since: datetime
    failed_gates: tuple[str, ...]
    job_status: str | None
    job_attempts: int
    quality_score: float | None
    cost_usd_micros: int | None
    estimated_cost_usd_micros: int | None
    script_approved_by: str | None
    video_approved_by: str | None


@dataclass(frozen=True)
class StateFlow:
    """One state of production: throughput and time over `FLOW_DAYS`, and the end of the day.

    Attributes:
        state: The state.
        entered: How many times a script entered it.
        left: How many times a script left it.
        median_hours: Of the stays that ended; None if none did. So are the next two.
        p90_hours: Nine of ten stays were as long or shorter.
        longest_hours: The longest of them.
        oldest_hours: How long the script that is in it for the longest time has been; None if no
            script is in it.
        max_hours: After how many hours a script is stuck; None for never.
        stuck: How many scripts are stuck.
    """

    state: str
    entered: int
    left: int
    median_hours: float | None
    p90_hours: float | None
    longest_hours: float | None
    oldest_hours: float | None
    max_hours: float | None
    stuck: int


@dataclass(frozen=True)
class StuckScript:
    """A script that was stuck at the end of the day, and what it waited for. Untrusted texts."""

    script_id: str
    state: str
    title: str | None
    hours: float
    max_hours: float
    waits_for: tuple[str, ...]


@dataclass(frozen=True)
class Video:
    """A video, and what is known of it at the end of the day.

    Attributes:
        seen_on: The last day it was observed on; None if it never was.
        gained: Views since the day before, from 0 on its first; None unless observed on both days.
    """

    video_id: str
    platform: str | None
    title: str | None
    published_at: datetime | None
    views: int | None
    gained: int | None
    likes: int | None
    comments: int | None
    engagement_rate_pct: float | None
    seen_on: date | None


@dataclass(frozen=True)
class SourceHealth:
    """How a source's fetches went."""

    source: str
    fetches: int
    failed: int
    answered: int
    accepted: int
    quarantined: int
    duplicates: int
    last_answer_at: datetime | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ReportDay:
    """Everything the page of one day shows.

    Attributes:
        results: The performance of each source over `RESULT_DAYS`.
        coverage: What is known of each source over `COVERAGE_DAYS`.
        states: How many scripts are in each state, in the states' order.
        waiting: The scripts that wait for a person: those a gate holds back, then the longest;
            the first few only.
        held_back: The other scripts in production that failed a gate or their generation; the
            first few only.
        flow: Each state of production, in order.
        stuck: The scripts that are stuck, the longest waits first; the first few only.
        videos: The most viewed first; the first few of ``videos_total``.
    """

    edition: Edition
    day: date
    numbers: Numbers
    missing: tuple[str, ...]
    stories: tuple[Story, ...]
    by_source: tuple[SourceStories, ...]
    spam_rules: tuple[SpamRule, ...]
    results: tuple[SourceResult, ...]
    coverage: tuple[CoveredDay, ...]
    states: tuple[tuple[str, int], ...]
    waiting: tuple[Script, ...]
    held_back: tuple[Script, ...]
    flow: tuple[StateFlow, ...]
    stuck: tuple[StuckScript, ...]
    videos: tuple[Video, ...]
    videos_total: int
    collection: tuple[SourceHealth, ...]


def summarize_days(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """The numbers of every day's report.

    Production and metrics are as of the end of the day: later events and observations of later
    days change nothing.

    Args:
        calendar: ``workspace_id`` and ``day`` to report, in order.
        inputs: The workspaces' rows.

    Returns:
        Rows of `workspace_reports` without ``report_path``, ``snapshot_id`` and ``generated_at``:
        one per row of the calendar, for days without any data too.
    """
    parts = [
        numbers.count_rows(inputs.raw, "trends_observed"),
        numbers.count_stories(inputs.scored),
        numbers.pick_top_story(inputs.scored),
        numbers.count_scripts(calendar, inputs),
        numbers.count_published(inputs.videos),
        numbers.sum_views(calendar, inputs.metrics),
        numbers.sum_gains(inputs.metrics, inputs.videos),
        numbers.mean_engagement(calendar, inputs.metrics),
        numbers.count_fetches(inputs.log),
        numbers.count_rows(inputs.quarantined, "rows_quarantined"),
        find_missing(calendar, inputs),
    ]
    joined = reduce(
        lambda left, right: left.join(right, on=KEY, how="left", maintain_order="left"),
        parts,
        calendar,
    )
    rows = joined.with_columns(pl.col(_COUNTS).fill_null(0), pl.col("missing").fill_null([]))
    schema = WORKSPACE_REPORTS.schema
    return rows.select(
        pl.col(name).cast(dtype) for name, dtype in schema.items() if name not in MADE_LATER
    )


def report_days(
    editions: Mapping[str, Edition], summary: pl.DataFrame, inputs: ReportInputs
) -> Iterator[ReportDay]:
    """Everything the pages of the days show, day by day.

    Args:
        editions: Whose reports they are, by workspace.
        summary: The days' numbers, as `summarize_days` makes them of the same inputs.
        inputs: The workspaces' rows.

    Yields:
        One report for each row of the summary: in order of the day, then of the workspace.
    """
    rows = summary.sort("day", "workspace_id", maintain_order=True)
    days = rows["day"].unique(maintain_order=True)
    stories = _split(numbers.pick_top_stories(inputs.scored, limit=STORIES_SHOWN))
    sources = _split(numbers.count_by_source(inputs.scored, inputs.raw))
    rules = _split(numbers.count_spam_rules(inputs.scored))
    health = _split(numbers.describe_sources(inputs.log))
    states = {
        (row["workspace_id"], row["day"]): row
        for row in numbers.count_states(rows.select(KEY).sort(KEY), inputs).iter_rows(named=True)
    }
    coverage = {
        workspace_id: _records(CoveredDay, summarize_by_source(frame))
        for workspace_id, frame in _split_by_workspace(inputs.coverage).items()
    }
    scripts = numbers.records_in_production(days, inputs)
    observed = numbers.latest_by_video(days, inputs.metrics, inputs.videos)
    by_day = rows.partition_by("day", maintain_order=True)
    for (day, records), (_, known), reported in zip(scripts, observed, by_day, strict=True):
        waiting, held_back = _pick_scripts(records)
        waits = _describe_waits(records, editions, day)
        stuck = _split_by_workspace(_head(waits.filter("is_stuck"), SCRIPTS_SHOWN))
        flow = _describe_flow(numbers.measure_flow(day, inputs.visits), waits)
        videos, totals = _pick_videos(inputs.videos, known, day)
        results = _split_by_workspace(sum_results(inputs.performance, day))
        for row in reported.iter_rows(named=True):
            owner = row["workspace_id"]
            key = (owner, day)
            yield ReportDay(
                edition=editions[owner],
                day=day,
                numbers=_record(Numbers, row),
                missing=tuple(row["missing"]),
                stories=_records(Story, stories.get(key)),
                by_source=_records(SourceStories, sources.get(key)),
                spam_rules=_records(SpamRule, rules.get(key)),
                results=_records(SourceResult, results.get(owner)),
                coverage=tuple(
                    one for one in coverage.get(owner, ()) if _begin(day) <= one.day <= day
                ),
                states=tuple((state, states[key][state]) for state in STATES),
                waiting=_records(Script, waiting.get(owner)),
                held_back=_records(Script, held_back.get(owner)),
                flow=_complete_flow(flow.get(owner, {}), editions[owner].rules),
                stuck=_records(StuckScript, stuck.get(owner)),
                videos=_records(Video, videos.get(owner)),
                videos_total=totals.get(owner, 0),
                collection=_records(SourceHealth, health.get(key)),
            )


def _pick_scripts(
    records: pl.DataFrame,
) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """The scripts that wait for a review, and the others with a closed gate, by workspace."""
    is_waiting = pl.col("state").is_in(WAITING)
    has_failed = (pl.col("state") == READY_FOR_GENERATION) & pl.col("job_status").eq_missing(
        "failed"
    )
    has_gate = pl.col("failed_gates").list.len() > 0
    waiting = records.filter(is_waiting).sort(has_gate, descending=True, maintain_order=True)
    held = records.filter(~is_waiting & (has_failed | has_gate))
    shown = [_head(frame, SCRIPTS_SHOWN) for frame in (waiting, held)]
    return _split_by_workspace(shown[0]), _split_by_workspace(shown[1])


def _describe_waits(
    records: pl.DataFrame, editions: Mapping[str, Edition], day: date
) -> pl.DataFrame:
    """What scripts waited for at the end of a day, or at the time of the report on that day."""
    rules = {name: edition.rules for name, edition in editions.items()}
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    end = min([end, *(edition.generated_at for edition in editions.values())])
    return describe_waits(records, rules, end)


def _describe_flow(
    stays: pl.DataFrame, waits: pl.DataFrame
) -> dict[str, dict[str, dict[str, Any]]]:
    """By workspace and state, the values of `StateFlow` that are known."""
    found: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    measured = stays.rename({"max_hours": "longest_hours"})
    current = summarize_waits(waits).select("workspace_id", "state", "oldest_hours", "stuck")
    for frame in (measured, current):
        for row in frame.iter_rows(named=True):
            found[row["workspace_id"]].setdefault(row["state"], {}).update(row)
    return found


def _complete_flow(found: Mapping[str, Mapping[str, Any]], rules: Rules) -> tuple[StateFlow, ...]:
    """One row for each state of production, also where nothing happened."""
    unknown = dict.fromkeys(StateFlow.__annotations__)
    none: dict[str, Any] = {**unknown, "entered": 0, "left": 0, "stuck": 0}
    return tuple(
        _record(
            StateFlow,
            {
                **none,
                **found.get(state, {}),
                "state": state,
                "max_hours": rules.max_hours.get(state),
            },
        )
        for state in IN_PRODUCTION
    )


def _pick_videos(
    videos: pl.DataFrame, observed: pl.DataFrame, day: date
) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    """The most viewed videos there were at the end of the day, and how many there were.

    Those that only the metrics know of are among them.
    """
    owned = ["workspace_id", "video_id"]
    published = pl.col("published_at").dt.date()
    there = videos.filter(published.is_null() | (published <= day)).unique(owned)
    known = there.select(*owned, "title", "published_at")
    seen = observed.rename({"day": "seen_on"})
    both = known.join(seen, on=owned, how="full", coalesce=True, suffix="_seen")
    ordered = both.with_columns(
        pl.coalesce("title", "title_seen").alias("title"),
        pl.coalesce("published_at", "published_at_seen").alias("published_at"),
    ).sort("views", *VIDEO, descending=[True, *(False for _ in VIDEO)], nulls_last=True)
    totals = dict(ordered.group_by("workspace_id").len().iter_rows())
    return _split_by_workspace(_head(ordered, VIDEOS_SHOWN)), totals


def sum_results(performance: pl.DataFrame, day: date) -> pl.DataFrame:
    """The performance of each source over `RESULT_DAYS` until a day.

    An amount is the sum of what is known of it; null if nothing is. ``views_per_usd`` is the
    views gained in these days per dollar that the videos published in them cost. Sources without a
    row in these days are left out.

    Returns:
        ``workspace_id`` and the columns of `SourceResult`.
    """
    counts = ("items", "spam_items", "stories", "top_ten", "chosen", "published")
    amounts = ("views_gained", "cost_usd_micros", "revenue_usd_micros")
    sums = (
        performance.filter(pl.col("day").is_between(day - timedelta(days=RESULT_DAYS - 1), day))
        .group_by("workspace_id", "source")
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


def _begin(day: date) -> date:
    return day - timedelta(days=COVERAGE_DAYS - 1)


def _head(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    return frame.group_by("workspace_id", maintain_order=True).head(rows)


def _split(frame: pl.DataFrame) -> dict[tuple[str, date], pl.DataFrame]:
    parts = frame.partition_by(KEY, as_dict=True, maintain_order=True)
    return {(workspace_id, day): part for (workspace_id, day), part in parts.items()}


def _split_by_workspace(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("workspace_id", as_dict=True, maintain_order=True)
    return {workspace_id: part for (workspace_id,), part in parts.items()}


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


def find_missing(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """The gaps that every day's report lists.

    Args:
        calendar: ``workspace_id`` and ``day`` to report, in order.
        inputs: The frames the report is made from.

    Returns:
        ``workspace_id``, ``day``, ``missing``: a list of texts, the gravest first; days without a
        gap are absent.
    """
    found = [
        _missing_trends(calendar, inputs),
        _stale_scores(inputs),
        _missing_targets(inputs.log, _FAILED_WORDS),
        _missing_targets(inputs.log, _ABSENT_WORDS),
        _missing_metrics(calendar, inputs),
        _unreadable_rows(inputs.quarantined),
    ]
    texts = pl.concat(
        frame.select(*KEY, pl.lit(rank).alias("rank"), "text") for rank, frame in enumerate(found)
    )
    return (
        texts.join(calendar, on=KEY, how="semi")
        .sort(*KEY, "rank", "text")
        .group_by(KEY, maintain_order=True)
        .agg(pl.col("text").unique(maintain_order=True).alias("missing"))
    )


def _missing_trends(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """Days on which nothing was observed, or nothing was made of it."""
    there = calendar
    for name, rows in (("raw", inputs.raw), ("scored", inputs.scored)):
        days = rows.select(KEY).unique().with_columns(pl.lit(value=True).alias(name))
        there = there.join(days, on=KEY, how="left")
    text = (
        pl.when(pl.col("raw").is_null())
        .then(pl.lit("no trends observed"))
        .when(pl.col("scored").is_null())
        .then(pl.lit("trends observed, but not scored"))
    )
    return there.select(*KEY, text.alias("text")).drop_nulls()


def _stale_scores(inputs: ReportInputs) -> pl.DataFrame:
    """Days whose scores are not made from everything observed: a publish was refused or not run."""
    items = latest_observations(inputs.raw)
    observed = items.group_by(KEY).agg(
        pl.len().cast(pl.Int64).alias("items"), pl.col("observed_at").max().alias("observed")
    )
    scored = inputs.scored.group_by(KEY).agg(
        pl.col("members").sum(), pl.col("observed_at").max().alias("scored")
    )
    both = observed.join(scored, on=KEY)
    text = (
        pl.when(pl.col("items") != pl.col("members"))
        .then(
            pl.format(
                "scores are stale: they contain {} of {} observed items; the checks of"
                " scored_trends show whether a materialization failed",
                "members",
                "items",
            )
        )
        # A story shows its best member's time, which may be a little before the day's last.
        .when(pl.col("observed") - pl.col("scored") > _TOLERANCE)
        .then(
            pl.format(
                "scores are stale: computed from observations until {}; the latest observation is"
                " of {} UTC",
                pl.col("scored").dt.strftime(_CLOCK),
                pl.col("observed").dt.strftime(_CLOCK),
            )
        )
    )
    return both.select(*KEY, text.alias("text")).drop_nulls()


def _missing_targets(log: pl.DataFrame, words: dict[str, str]) -> pl.DataFrame:
    """Targets without a response, and those that no longer respond."""
    never = pl.col("answer_at").is_null()
    relevant = pl.col("outcome").is_in(list(words)) & (never | pl.col("outcome").is_in(FAILED))
    said = pl.col("outcome").replace_strict(words, default=None, return_dtype=pl.String)
    stale = pl.format("no response since {} UTC for", pl.col("answer_at").dt.strftime(_CLOCK))
    why = (
        pl.when(pl.col("outcome") == "disabled")
        .then("detail")
        .otherwise(pl.col("http_status").cast(pl.String))
    )
    gaps = (
        _last_outcomes(log)
        .filter(relevant)
        .select(
            *KEY,
            "source",
            "target",
            pl.when(never).then(said).otherwise(stale).alias("words"),
            pl.when(why.is_null()).then(pl.lit("")).otherwise(pl.format(" ({})", why)).alias("why"),
        )
    )
    grouped = gaps.group_by(*KEY, "source", "words", "why").agg(pl.col("target").sort())
    text = pl.format("{}: {} {}{}", _name_source(), "words", _enumerate("target"), "why")
    return grouped.select(*KEY, text.alias("text"))


def _last_outcomes(log: pl.DataFrame) -> pl.DataFrame:
    """How each target's last fetch of the day ended.

    Returns:
        ``workspace_id``, ``day``, ``source``, ``target``, ``outcome``, ``detail``, ``http_status``
        and ``answer_at``: when it last answered on that day; null if it never did.
    """
    answered = pl.col("outcome").is_in(ANSWERED)
    return (
        log.sort("started_at", "collection_id")
        .group_by(*KEY, "source", "target")
        .agg(
            pl.col("outcome", "detail", "http_status").last(),
            pl.col("finished_at").filter(answered).max().alias("answer_at"),
        )
    )


def _name_source() -> pl.Expr:
    return pl.col("source").replace(SOURCE_NAMES)


def _enumerate(column: str) -> pl.Expr:
    """The first names of a list, and how many more there are."""
    names = pl.col(column)
    more = names.list.len().cast(pl.Int64) - _NAMED
    first = names.list.head(_NAMED).list.join(", ")
    return pl.when(more > 0).then(pl.format("{} and {} more", first, more)).otherwise(first)


def _missing_metrics(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """Videos without any observation, and days on which no video was observed."""
    owned = ("workspace_id", "video_id")
    first = inputs.metrics.group_by(owned).agg(pl.col("day").min().alias("known"))
    # A video whose time of publication is unknown may have been there on any day.
    since = pl.col("published_at").dt.date().fill_null(date.min)
    videos = inputs.videos.select(*owned, since.alias("day")).unique(owned)
    here = videos.select(*KEY, pl.lit(1).alias("videos"), pl.lit(1).alias("unknown"))
    learned = (
        videos.join(first, on=owned)
        .select("workspace_id", pl.max_horizontal("day", "known").alias("day"))
        .with_columns(pl.lit(0).alias("videos"), pl.lit(-1).alias("unknown"))
    )
    counts = carry_forward(calendar, pl.concat([here, learned])).filter(pl.col("videos") > 0)
    last = inputs.metrics.select("workspace_id", pl.col("day").alias("last")).unique().sort("last")
    dated = join_before(counts, last, right="last")
    text = (
        pl.when(pl.col("unknown") > 0)
        .then(pl.format("no metrics for {} of {} videos", "unknown", "videos"))
        .when(pl.col("last") < pl.col("day"))
        .then(pl.format("no metrics of this day; the views are of {}", "last"))
    )
    return dated.select(*KEY, text.alias("text")).drop_nulls()


def _unreadable_rows(quarantined: pl.DataFrame) -> pl.DataFrame:
    """Rows that could not be read: how many of each source, and the first of them by name."""
    # By the length first: `line 9` comes before `line 12`.
    first = quarantined.sort("origin", pl.col("place").str.len_chars(), "place", "reason")
    counts = first.group_by(*KEY, "source", maintain_order=True).agg(
        pl.len().alias("rows"), pl.col("origin", "place", "reason").first()
    )
    rows = pl.when(pl.col("rows") == 1).then(pl.lit("row")).otherwise(pl.lit("rows"))
    count = pl.format("{}: {} {} could not be parsed", _name_source(), "rows", rows)
    which = pl.when(pl.col("rows") == 1).then(pl.lit("")).otherwise(pl.lit("the first: "))
    # A URL's query is long, and says nothing to a reader.
    origin = pl.col("origin").str.replace(r"^(https?://[^?#]*)[?#].*$", "$1")
    place = pl.format("{}{}, {}: {}", which, origin, "place", "reason")
    return counts.select(*KEY, pl.format("{}; {}", count, place).alias("text"))
