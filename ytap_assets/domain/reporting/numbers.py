"""The numbers of a day: stories, scripts, views and fetches, counted in frames.

Belongs here: the frames a report is made from, and counting in them. Does not belong here: naming
gaps, or selecting the rows of a page (`pages`).

Frames hold rows of any number of workspaces, and every count is of one workspace's day: adding
workspaces to the frames changes no number of another.

An observation of a video counts for its ``day``, whenever it was made; of several for one day, the
latest counts. A count that is not known on a day is the latest known before it; a gain is only ever
the difference of two days' own observations, since what was not looked at did not stand still. A
video that was published after the last observation of the day before had no views then: its first
day counts from 0.

A script's state at the end of a day is where the last of its moves, in the log's order, led to,
among those that had occurred by then. An event that is recorded late counts from the day on which
it occurred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from ytap_assets.domain.production.events import IN_PRODUCTION
from ytap_assets.domain.production.history import WAIT_COLUMNS, WAITING, measure_stays
from ytap_assets.domain.production.records import find_moves, fold_events
from ytap_assets.domain.rounding import round_exactly
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    QUARANTINED_ROWS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SCRIPT_STATES,
    SOURCE_PERFORMANCE,
    VIDEO_METRICS,
    VIDEOS,
    Table,
)
from ytap_assets.tables.evidence import ANSWERED, FAILED
from ytap_assets.tables.production import STATES

COVERAGE_DAYS = 28
"""How far back a page shows which days are known."""
RESULT_DAYS = 28
"""Over how many days a page adds up what came of each source."""
KEY = ("workspace_id", "day")
VIDEO = ("workspace_id", "platform", "video_id")
SCRIPT = ("workspace_id", "script_id")
FLOW_DAYS = 7
"""Over how many days a page shows throughput and time in state."""
OBSERVED = ("views", "likes", "comments", "engagement_rate_pct", "title", "published_at")
"""The columns of an observation of a video; null if unknown."""
RECORD_COLUMNS = tuple(
    dict.fromkeys(
        (*WAIT_COLUMNS, "job_attempts", "script_approved_by", "video_approved_by"),
    )
)
INPUT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    SCORED_TRENDS.name: (
        *KEY,
        "story_id",
        "source",
        "title",
        "url",
        "discussion_url",
        "observed_at",
        "is_spam",
        "spam_reasons",
        "position",
        "final_score",
        "base_score",
        "momentum",
        "relevance",
        "cross_source_boost",
        "learned_weight",
        "reasons",
        "engagement",
        "hours_old",
        "members",
        "sources",
    ),
    RAW_TRENDS.name: (*KEY, "source", "item_id", "observed_at"),
    QUARANTINED_ROWS.name: (*KEY, "source", "origin", "place", "reason"),
    COLLECTION_LOG.name: (
        *KEY,
        "collection_id",
        "source",
        "target",
        "outcome",
        "detail",
        "http_status",
        "started_at",
        "finished_at",
        "accepted",
        "quarantined",
        "duplicates",
    ),
    COLLECTION_COVERAGE.name: (*KEY, "source", "state"),
    SOURCE_PERFORMANCE.name: (
        *KEY,
        "source",
        "items",
        "spam_items",
        "stories",
        "top_ten",
        "chosen",
        "published",
        "views_gained",
        "cost_usd_micros",
        "revenue_usd_micros",
    ),
    PRODUCTION_EVENTS.name: tuple(PRODUCTION_EVENTS.schema),
    PRODUCTION_RECORDS.name: RECORD_COLUMNS,
    SCRIPT_STATES.name: tuple(SCRIPT_STATES.schema),
    VIDEOS.name: ("workspace_id", "video_id", "title", "published_at"),
    VIDEO_METRICS.name: (
        *VIDEO,
        "day",
        "observed_at",
        "views",
        "likes",
        "comments",
        "engagement_rate_pct",
        "title",
        "published_at",
    ),
}
"""The columns that a report needs of each table."""

_MILLIONTHS = 1_000_000


def _none_of(table: Table) -> pl.DataFrame:
    return table.empty().select(INPUT_COLUMNS[table.name])


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Rows of any workspaces, with the columns of `INPUT_COLUMNS`.

    A frame that is not given is empty, and its absence is reported.

    Attributes:
        scored: Rows of `scored_trends` of the days reported.
        raw: Rows of `raw_trends` of these days.
        quarantined: Rows of `quarantined_rows` of these days.
        log: Rows of `collection_log` of these days.
        coverage: Rows of `collection_coverage` of these days and the `COVERAGE_DAYS` before.
        performance: Rows of `source_performance` of these days and the `RESULT_DAYS` before.
        events: All rows of `production_events` of the scripts to which something happened after
            the first of the days, or that is not in the records yet.
        records: Rows of `production_records`: they hold on all days for scripts without a row in
            ``events``. Of scripts that are out of production, only the state is needed.
        visits: Rows of `script_states`: the stays that began or ended on these days or the
            `FLOW_DAYS` before.
        videos: All rows of `videos`.
        metrics: Rows of `video_metrics` of these days and the one before, and of every video that
            was not observed on the day before, the latest counts known before it.
    """

    scored: pl.DataFrame = field(default_factory=lambda: _none_of(SCORED_TRENDS))
    raw: pl.DataFrame = field(default_factory=lambda: _none_of(RAW_TRENDS))
    quarantined: pl.DataFrame = field(default_factory=lambda: _none_of(QUARANTINED_ROWS))
    log: pl.DataFrame = field(default_factory=lambda: _none_of(COLLECTION_LOG))
    coverage: pl.DataFrame = field(default_factory=lambda: _none_of(COLLECTION_COVERAGE))
    performance: pl.DataFrame = field(default_factory=lambda: _none_of(SOURCE_PERFORMANCE))
    events: pl.DataFrame = field(default_factory=lambda: _none_of(PRODUCTION_EVENTS))
    records: pl.DataFrame = field(default_factory=lambda: _none_of(PRODUCTION_RECORDS))
    visits: pl.DataFrame = field(default_factory=lambda: _none_of(SCRIPT_STATES))
    videos: pl.DataFrame = field(default_factory=lambda: _none_of(VIDEOS))
    metrics: pl.DataFrame = field(default_factory=lambda: _none_of(VIDEO_METRICS))


def as_calendar(days: Iterable[tuple[str, date]]) -> pl.DataFrame:
    """Workspaces' days as a frame: ``workspace_id``, ``day``; each pair once, in order."""
    schema = {"workspace_id": pl.String, "day": pl.Date}
    return pl.DataFrame(sorted(set(days)), schema=schema, orient="row")


def carry_forward(calendar: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """What changes amount to by the end of each day.

    Args:
        calendar: ``workspace_id`` and ``day``, in order.
        changes: ``workspace_id``, ``day`` and columns of differences, in any order.

    Returns:
        The calendar with the running sums; null before a workspace's first change.
    """
    columns = [name for name in changes.columns if name not in KEY]
    totals = (
        changes.group_by(KEY)
        .agg(pl.col(columns).sum())
        .sort(KEY)
        .with_columns(pl.col(columns).cum_sum().over("workspace_id"))
    )
    return join_before(calendar, totals)


def join_before(calendar: pl.DataFrame, rows: pl.DataFrame, *, right: str = "day") -> pl.DataFrame:
    """Each day with its workspace's last row until then; both frames in order of the day."""
    return calendar.join_asof(
        rows,
        left_on="day",
        right_on=right,
        by="workspace_id",
        check_sortedness=False,  # Polars cannot check it within groups, and would warn of that
    )


def pick_top_stories(scored: pl.DataFrame, *, limit: int) -> pl.DataFrame:
    """The best stories of each workspace's days that no spam rule caught, the best first."""
    return (
        scored.filter(~pl.col("is_spam"))
        .sort(*KEY, "position")
        .group_by(KEY, maintain_order=True)
        .head(limit)
    )


def count_by_source(scored: pl.DataFrame, raw: pl.DataFrame) -> pl.DataFrame:
    """The items of each source.

    A story counts for the source of its best-scoring member.

    Returns:
        ``workspace_id``, ``day``, ``source``, ``observed``, ``stories``, ``spam``.
    """
    observed = raw.group_by(*KEY, "source").agg(pl.len().alias("observed"))
    stories = scored.group_by(*KEY, "source").agg(
        pl.len().alias("stories"), pl.col("is_spam").sum().alias("spam")
    )
    counts = pl.col("observed", "stories", "spam")
    return (
        observed.join(stories, on=[*KEY, "source"], how="full", coalesce=True)
        .with_columns(counts.fill_null(0).cast(pl.Int64))
        .sort(*KEY, "stories", "source", descending=[False, False, True, False])
    )


def count_spam_rules(scored: pl.DataFrame) -> pl.DataFrame:
    """Stories each spam rule caught; a story may be in several.

    The rule is the part of a reason before the colon.

    Returns:
        ``workspace_id``, ``day``, ``rule``, ``stories``.
    """
    return (
        scored.filter("is_spam")
        .select(*KEY, "story_id", pl.col("spam_reasons").alias("rule"))
        .explode("rule", empty_as_null=False, keep_nulls=False)
        .with_columns(pl.col("rule").str.splitn(":", 2).struct.field("field_0").alias("rule"))
        .group_by(*KEY, "rule")
        .agg(pl.col("story_id").n_unique().cast(pl.Int64).alias("stories"))
        .sort(*KEY, "stories", "rule", descending=[False, False, True, False])
    )


def count_states(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """How many scripts are in each state at the end of each day.

    Returns:
        ``workspace_id``, ``day`` and a column for each state.
    """
    is_in = [(pl.col("state") == state).cast(pl.Int64).alias(state) for state in STATES]
    standing = find_moves(inputs.events).with_columns(is_in)
    before = pl.col(STATES).shift(1, fill_value=0).over(SCRIPT)
    moves = standing.select(*KEY, pl.col(STATES) - before)
    # One row for each workspace, of a day before all others.
    others = find_unmoved(inputs).with_columns(pl.lit(date.min).alias("day"), *is_in)
    changes = pl.concat([others.group_by(KEY).agg(pl.col(STATES).sum()), moves])
    return carry_forward(calendar, changes).with_columns(pl.col(STATES).fill_null(0))


def measure_flow(day: date, visits: pl.DataFrame) -> pl.DataFrame:
    """Throughput and time in state of the `FLOW_DAYS` that end with a day; as `measure_stays`."""
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    return measure_stays(visits, end - timedelta(days=FLOW_DAYS), end)


def find_unmoved(inputs: ReportInputs) -> pl.DataFrame:
    """The records that hold on all days: of scripts to which nothing happened since the first."""
    return inputs.records.join(inputs.events.select(SCRIPT).unique(), on=SCRIPT, how="anti")


def records_in_production(
    days: Iterable[date], inputs: ReportInputs
) -> Iterator[tuple[date, pl.DataFrame]]:
    """The records of the scripts in production, as they were at the end of each day.

    Yields:
        The day, and rows of `production_records` with `RECORD_COLUMNS`, those longest in their
        state first. The same frame again where nothing happened since.
    """
    events = inputs.events
    moves = find_moves(events)
    dated = events.with_columns(pl.col("occurred_at").dt.date().alias("_day"))
    eventful = set(dated["_day"].unique())
    unmoved = find_unmoved(inputs).filter(pl.col("state").is_in(IN_PRODUCTION))
    records: pl.DataFrame | None = None
    seen: date | None = None
    for day in days:
        changed = seen is None or any(seen < when <= day for when in eventful)
        if records is None or changed:
            moved = _fold_open(
                moves.filter(pl.col("day") <= day), dated.filter(pl.col("_day") <= day)
            )
            both = pl.concat([unmoved.select(RECORD_COLUMNS), moved.select(RECORD_COLUMNS)])
            records = both.sort("state_since", "script_id")
        seen = day
        yield day, records


def _fold_open(moves: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    standing = moves.group_by(SCRIPT).agg(pl.col("state").last())
    still_open = standing.filter(pl.col("state").is_in(IN_PRODUCTION))
    theirs = events.join(still_open.select(SCRIPT), on=SCRIPT, how="semi")
    return PRODUCTION_RECORDS.empty() if theirs.is_empty() else fold_events(theirs.drop("_day"))


def find_gains(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """What each video gained on each day.

    Args:
        metrics: Rows of `video_metrics` of the days and of the one before.
        videos: ``workspace_id``, ``video_id`` and ``published_at``, for videos whose metrics do not
            say it.

    Returns:
        ``workspace_id``, ``platform``, ``video_id``, ``day``, ``gained``.
    """
    known = metrics.filter(pl.col("views").is_not_null()).sort("observed_at")
    daily = known.group_by(*VIDEO, "day").agg(
        pl.col("views", "observed_at").last(), pl.col("published_at").drop_nulls().last()
    )
    gains = _add_gains(daily, videos).filter(pl.col("gained").is_not_null())
    return gains.select(*VIDEO, "day", "gained")


def latest_by_video(
    days: Iterable[date], metrics: pl.DataFrame, videos: pl.DataFrame
) -> Iterator[tuple[date, pl.DataFrame]]:
    """What is known of every observed video at the end of each day.

    Yields:
        The day, and one row per video: ``workspace_id``, ``platform``, ``video_id``, the counts,
        ``title``, ``published_at``, ``gained`` (null unless observed on this day, and on the one
        before or published since) and ``day``, the last one it was observed on.
    """
    daily = _all_by_day(metrics, videos)
    by_day = {when: frame for (when,), frame in daily.partition_by("day", as_dict=True).items()}
    waiting = sorted(by_day)
    known = daily.clear()
    for day in days:
        due = [when for when in waiting if when <= day]
        waiting = waiting[len(due) :]
        if due:
            news = pl.concat([*(by_day[when] for when in reversed(due)), known])
            known = news.unique(VIDEO, keep="first", maintain_order=True)
        current = pl.when(pl.col("day") == day).then(pl.col("gained"))
        yield day, known.with_columns(current.alias("gained"))


def describe_sources(log: pl.DataFrame) -> pl.DataFrame:
    """The results of each source on each day.

    Returns:
        ``workspace_id``, ``day``, ``source``, ``fetches``, ``failed``, ``answered``, ``accepted``,
        ``quarantined``, ``duplicates``, ``last_answer_at``, ``problems`` (distinct
        texts of failures).
    """
    failed = pl.col("outcome").is_in(FAILED)
    answered = pl.col("outcome").is_in(ANSWERED)
    words = pl.col("detail").fill_null(pl.col("outcome").str.replace_all("_", " "))
    text = pl.format("{}: {}", "target", words)
    return (
        log.sort("started_at", "collection_id")
        .group_by(*KEY, "source")
        .agg(
            pl.len().cast(pl.Int64).alias("fetches"),
            failed.sum().cast(pl.Int64).alias("failed"),
            answered.sum().cast(pl.Int64).alias("answered"),
            pl.col("accepted", "quarantined", "duplicates").sum(),
            pl.col("finished_at").filter(answered).max().alias("last_answer_at"),
            text.filter(~answered).unique(maintain_order=True).alias("problems"),
        )
        .sort(*KEY, "source")
    )


def count_rows(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Rows of each workspace's day: ``workspace_id``, ``day`` and the name's column."""
    return rows.group_by(KEY).agg(pl.len().alias(name))


def count_stories(scored: pl.DataFrame) -> pl.DataFrame:
    """``workspace_id``, ``day``, ``stories``, ``stories_spam``."""
    return scored.group_by(KEY).agg(
        pl.len().alias("stories"), pl.col("is_spam").sum().alias("stories_spam")
    )


def pick_top_story(scored: pl.DataFrame) -> pl.DataFrame:
    """The best story that no spam rule caught.

    Returns:
        ``workspace_id``, ``day``, ``top_title``, ``top_score``.
    """
    best = pl.col("position").arg_min()
    return (
        scored.filter(~pl.col("is_spam"))
        .group_by(KEY)
        .agg(
            pl.col("title").get(best).alias("top_title"),
            pl.col("final_score").get(best).alias("top_score"),
        )
    )


def count_scripts(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """Scripts at the end of each day.

    Returns:
        ``workspace_id``, ``day``, ``scripts_waiting``, ``scripts_in_production``.
    """
    return count_states(calendar, inputs).select(
        *KEY,
        pl.sum_horizontal(WAITING).alias("scripts_waiting"),
        pl.sum_horizontal(IN_PRODUCTION).alias("scripts_in_production"),
    )


def count_published(videos: pl.DataFrame) -> pl.DataFrame:
    """Videos by the date of publication: ``workspace_id``, ``day``, ``videos_published``."""
    dated = videos.filter(pl.col("published_at").is_not_null())
    return dated.group_by("workspace_id", pl.col("published_at").dt.date().alias("day")).agg(
        pl.col("video_id").n_unique().alias("videos_published")
    )


def count_fetches(log: pl.DataFrame) -> pl.DataFrame:
    """``workspace_id``, ``day``, ``fetches``, ``fetches_failed``."""
    return log.group_by(KEY).agg(
        pl.len().alias("fetches"),
        pl.col("outcome").is_in(FAILED).sum().alias("fetches_failed"),
    )


def sum_views(calendar: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """The sum of the latest counts known on each day; null if none is.

    Returns:
        ``workspace_id``, ``day``, ``views``.
    """
    known = _latest(metrics, "views").sort(*VIDEO, "day")
    before = pl.col("views").shift(1, fill_value=0).over(VIDEO)
    return carry_forward(calendar, known.select(*KEY, pl.col("views") - before))


def sum_gains(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Views gained since the day before.

    Videos observed on both days count, and from 0 those published in between; a day without any is
    absent. A fall is kept.

    Returns:
        ``workspace_id``, ``day``, ``views_gained``.
    """
    gains = find_gains(metrics, videos)
    return gains.group_by(KEY).agg(pl.col("gained").sum().alias("views_gained"))


def mean_engagement(calendar: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """The mean of the latest engagement rates known on each day.

    Rates above 100 % are flagged elsewhere and are left out of the mean.

    Returns:
        ``workspace_id``, ``day`` and ``engagement_rate_pct`` in percent, two decimals; null if no
        rate is known.
    """
    rates = metrics.with_columns(pl.col("engagement_rate_pct").fill_nan(None))
    known = _latest(rates, "engagement_rate_pct").sort(*VIDEO, "day")
    rate = pl.col("engagement_rate_pct")
    counted = rate.is_between(0, 100)
    # Whole numbers add up to the same sum in any order.
    parts = known.select(
        *VIDEO,
        "day",
        pl.when(counted).then(rate * _MILLIONTHS).otherwise(0).round().cast(pl.Int64).alias("sum"),
        counted.cast(pl.Int64).alias("n"),
    )
    before = pl.col("sum", "n").shift(1, fill_value=0).over(VIDEO)
    totals = carry_forward(calendar, parts.select(*KEY, pl.col("sum", "n") - before))
    mean = pl.when(pl.col("n") > 0).then(pl.col("sum") / (pl.col("n") * _MILLIONTHS))
    return totals.select(*KEY, round_exactly(mean, 2).alias("engagement_rate_pct"))


def _latest(metrics: pl.DataFrame, column: str) -> pl.DataFrame:
    """The latest known value per video and day."""
    known = metrics.filter(pl.col(column).is_not_null())
    return known.group_by(*VIDEO, "day").agg(pl.col(column).get(pl.col("observed_at").arg_max()))


def _all_by_day(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """All known values of a video on each day with an observation."""
    observed = metrics.sort("observed_at").group_by(*VIDEO, "day")
    daily = observed.agg(pl.col(OBSERVED).drop_nulls().last(), pl.col("observed_at").last())
    gains = _add_gains(daily, videos).drop("observed_at").sort(*VIDEO, "day")
    return gains.with_columns(pl.col(OBSERVED).forward_fill().over(VIDEO))


def _add_gains(daily: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Add ``gained``: views minus the same video's views of the day before; null if unknown.

    Args:
        daily: One row per video and day: ``workspace_id``, ``platform``, ``video_id``, ``day``,
            ``views``, ``published_at`` and ``observed_at``, the last observation for that day.
        videos: ``workspace_id``, ``video_id`` and ``published_at``.
    """
    owned = ["workspace_id", "video_id"]
    dated = videos.select(*owned, pl.col("published_at").alias("_published")).drop_nulls()
    next_day = pl.col("day") + timedelta(days=1)
    before = daily.select(*VIDEO, next_day, pl.col("views").alias("_was"))
    seen = daily.group_by("workspace_id", next_day).agg(pl.col("observed_at").max().alias("_seen"))
    begin = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    published = pl.coalesce("published_at", "_published")
    was_published_since = published.is_between(pl.min_horizontal(begin, "_seen"), "observed_at")
    was = pl.coalesce("_was", pl.when(was_published_since).then(0))
    return (
        daily.join(before, on=[*VIDEO, "day"], how="left", maintain_order="left")
        .join(seen, on=KEY, how="left", maintain_order="left")
        .join(dated.unique(owned), on=owned, how="left", maintain_order="left")
        .with_columns((pl.col("views") - was).alias("gained"))
        .drop("_was", "_seen", "_published")
    )
