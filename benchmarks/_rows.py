"""Synthetic rows for the benchmarks, valid for their tables and the same at each call."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from ytap_assets.domain.production.records import FOLD_VERSION
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, RAW_TRENDS, SCORED_TRENDS
from ytap_assets.tables.production import STATES

FIRST_DAY = date(2025, 1, 1)
_WORDS = ("rust", "database", "kernel", "browser", "chip", "compiler", "robot", "battery", "orbit")


def day_after(days: int) -> date:
    """The day so many days after the first."""
    return FIRST_DAY + timedelta(days=days)


def scored_trends(workspace_id: str, days: int, per_day: int, *, first: int = 0) -> pl.DataFrame:
    """Rows of ``scored_trends`` of one workspace, for consecutive days."""
    number = pl.col("number")
    return _conformed(
        _by_day(workspace_id, days, per_day, first)
        .with_columns(
            story_id=_hex(number),
            source=_pick(("hn", "reddit", "youtube"), number),
            item_id=number.cast(pl.String),
            title=_title(number),
            canonical_url=pl.format("https://news.example/{}/story", _hex(number)),
            discussion_url=pl.format("https://forum.example/item?id={}", number),
            published_at=pl.col("observed_at") - pl.duration(hours=pl.col("place") % 23),
            engagement=(number * 37 % 5000).cast(pl.Float64),
            engagement_basis=pl.lit("points + comments"),
            hours_old=(pl.col("place") % 23).cast(pl.Float64),
            engagement_score=(number * 37 % 5000) / 1000,
            recency_score=10 - (pl.col("place") % 20) / 2,
            source_weight=pl.lit(1.2),
            is_spam=pl.col("place") % 17 == 0,
            spam_reasons=_list(pl.col("place") % 17 == 0, "emoji"),
            base_score=(number * 37 % 5000) / 1000 + 10 - (pl.col("place") % 20) / 2,
            position=pl.col("place") + 1,
            first_position=pl.col("place") + 1,
            first_ranked_at=pl.col("observed_at"),
            final_score=pl.lit(10.0) / (pl.col("place") + 1),
            momentum=pl.lit(8.0) / (pl.col("place") + 1),
            momentum_source=pl.lit("hn"),
            momentum_basis=pl.lit("points"),
            top_share=(pl.col("place") + 1) / 100,
            engagement_per_hour=(number * 37 % 500).cast(pl.Float64),
            gained_per_hour=pl.lit(None, pl.Float64),
            expected_engagement=(number * 37 % 5000).cast(pl.Float64),
            relevance=pl.lit(1.25),
            relevance_reasons=_list(pl.lit(value=True), "rust"),
            is_other_language=pl.lit(value=False),
            cross_source_boost=pl.lit(1.0),
            learned_weight=pl.lit(1.0),
            production_factor=pl.lit(1.0),
            spam_factor=pl.lit(1.0),
            reasons=_list(pl.lit(value=True), "23 points an hour, top 10 % of Hacker News"),
            total_engagement=(number * 37 % 5000).cast(pl.Float64),
            members=pl.col("place") % 4 + 1,
            sources=_list(pl.lit(value=True), "hn"),
        )
        .with_columns(url=pl.format("{}?utm_source=feed", "canonical_url")),
        SCORED_TRENDS.schema,
    )


def raw_trends(workspace_id: str, days: int, per_day: int) -> pl.DataFrame:
    """Rows of ``raw_trends`` of one workspace, for consecutive days."""
    number = pl.col("number")
    return _conformed(
        _by_day(workspace_id, days, per_day, 0).with_columns(
            source=_pick(("hn", "reddit"), number),
            item_id=number.cast(pl.String),
            title=_title(number),
            url=pl.format("https://news.example/{}/story?ref=front", _hex(number)),
            discussion_url=pl.format("https://forum.example/item?id={}", number),
            published_at=pl.col("observed_at") - pl.duration(hours=pl.col("place") % 23),
            points=number * 37 % 5000,
            comments=number * 13 % 900,
            likes=pl.lit(None, pl.Int64),
            views=pl.lit(None, pl.Int64),
            list_name=pl.lit("front_page"),
            part=pl.lit(0),
            rank=pl.col("place") + 1,
            region=pl.lit(None, pl.String),
            category=pl.lit("technology"),
            channel_id=pl.lit(None, pl.String),
            channel_title=pl.lit(None, pl.String),
            duration_s=pl.lit(None, pl.Int64),
            is_promoted=pl.lit(value=False),
            collection_id=pl.format("synthetic {}", "day"),
        ),
        RAW_TRENDS.schema,
    )


def production_records(workspace_id: str, per_state: int, states: int) -> pl.DataFrame:
    """Rows of ``production_records`` of one workspace, evenly distributed over the first states."""
    number = pl.col("number")
    start = datetime.combine(FIRST_DAY, time(), UTC)
    is_made = number % 5 > 0
    frame = pl.select(number=pl.int_range(per_state * states, dtype=pl.Int64)).with_columns(
        workspace_id=pl.lit(workspace_id),
        script_id=pl.format("{}-{}", pl.lit(workspace_id), _hex(number)),
        state=_pick(STATES[:states], number),
        title=_title(number),
        hook=pl.format("What nobody tells you about number {}.", number),
        topic_url=pl.format("https://news.example/{}/story", _hex(number)),
        generation_method=_pick(("stock", "animated", "avatar"), number),
        estimated_cost_usd_micros=number * 7919 % 3_200_000,
        cost_usd_micros=pl.when(is_made).then(number * 104_729 % 3_200_000),
        quality_score=pl.when(is_made).then((number * 31 % 600) / 10 + 40),
        duration_s=pl.when(is_made).then((number * 17 % 6000) / 10 + 30),
        video_id=pl.when(is_made).then(_hex(number).str.slice(0, 11)),
        channel_id=pl.lit("UCkPc1TechDemoAb3dEfGh2A"),
        script_approved_by=pl.lit("policy"),
        video_approved_by=pl.lit("person:editor"),
        script_approvers=_list(pl.lit(value=True), "policy"),
        video_approvers=_list(pl.lit(value=True), "person:editor"),
        script_quality=pl.lit(None, pl.Float64),
        edited_at=pl.lit(None, pl.Datetime("us", "UTC")),
        failed_gates=_list(pl.lit(value=False), "cost"),
        job_status=pl.lit("completed"),
        job_attempts=pl.lit(1, pl.Int64),
        created_at=pl.lit(start) + pl.duration(minutes=number),
        state_since=pl.lit(start) + pl.duration(minutes=number + 90),
        published_at=pl.lit(None, pl.Datetime("us", "UTC")),
        events=number % 7 + 3,
        last_seq=number + 1,
        fold_version=pl.lit(FOLD_VERSION, pl.Int64),
    )
    return _conformed(frame, PRODUCTION_RECORDS.schema)


EVENTS_PER_SCRIPT = (
    ("script_submitted", None, "script_pending_review"),
    ("gates_evaluated", "script_pending_review", None),
    ("script_approved", "script_pending_review", None),
    ("generation_started", "script_pending_review", "ready_for_generation"),
    ("video_completed", "ready_for_generation", "video_pending_review"),
    ("video_approved", "video_pending_review", None),
    ("publication_cleared", "video_pending_review", "ready_for_publish"),
    ("published", "ready_for_publish", "published"),
)


def production_events(workspace_id: str, scripts: int) -> pl.DataFrame:
    """Rows of ``production_events`` of one workspace: each script is published after 3.5 hours.

    A script is submitted every 1.4 hours, 500 of them in a month. ``seq`` is null.
    """
    number, place = pl.col("number"), pl.col("place")
    start = datetime.combine(FIRST_DAY, time(), UTC)
    steps = pl.DataFrame(
        EVENTS_PER_SCRIPT, schema=["type", "from_state", "to_state"], orient="row"
    ).with_row_index("place")
    minute = number * 84 + place.cast(pl.Int64) * 30
    submitted = pl.struct(
        title=_title(number),
        hook=pl.format("What nobody tells you about number {}.", number),
        generation_method=pl.lit("stock"),
        estimated_cost_usd_micros=number * 7919 % 3_200_000,
        body=pl.lit("A sentence of the spoken text. " * 8),
    )
    completed = pl.struct(
        cost_usd_micros=number * 104_729 % 3_200_000,
        quality_score=pl.lit(91),
        duration_s=pl.lit(480),
    )
    published = pl.struct(video_id=_hex(number).str.slice(0, 11))
    payload = (
        pl.when(place == 0)
        .then(submitted.struct.json_encode())
        .when(place == 4)
        .then(completed.struct.json_encode())
        .when(place == 7)
        .then(published.struct.json_encode())
        .otherwise(pl.lit("{}"))
    )
    frame = (
        pl.select(number=pl.int_range(scripts, dtype=pl.Int64))
        .join(steps, how="cross")
        .with_columns(
            workspace_id=pl.lit(workspace_id),
            event_id=pl.format("{}-{}-{}", pl.lit(workspace_id), number, place),
            seq=pl.lit(None, pl.Int64),
            script_id=pl.format("{}-{}", pl.lit(workspace_id), number),
            actor=pl.when(place.is_in([2, 5]))
            .then(pl.lit("person:Ada"))
            .otherwise(pl.lit("policy")),
            occurred_at=pl.lit(start) + pl.duration(minutes=minute),
            recorded_at=pl.lit(start) + pl.duration(minutes=minute + 5),
            reason=pl.lit(None, pl.String),
            payload=payload,
            content_id=pl.lit(None, pl.String),
        )
    )
    return _conformed(frame, PRODUCTION_EVENTS.schema)


def _by_day(workspace_id: str, days: int, per_day: int, first: int) -> pl.DataFrame:
    """One row per day and place; ``number`` counts over all days."""
    number = pl.col("number")
    day = pl.lit(FIRST_DAY) + pl.duration(days=number // per_day)
    rows = pl.int_range(first * per_day, (first + days) * per_day, dtype=pl.Int64)
    return pl.select(number=rows).with_columns(
        workspace_id=pl.lit(workspace_id),
        day=day.cast(pl.Date),
        place=number % per_day,
        observed_at=day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        + pl.duration(hours=23, seconds=number % per_day),
    )


def _conformed(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(schema.names()).cast(schema)


def _hex(number: pl.Expr) -> pl.Expr:
    """Sixteen hexadecimal digits that look random but are computed from the number."""
    return number.hash(seed=1).cast(pl.String).str.pad_start(20, "0").str.slice(0, 16)


def _title(number: pl.Expr) -> pl.Expr:
    first, second = _pick(_WORDS, number), _pick(_WORDS, number // len(_WORDS))
    return pl.format(
        "Show: a {} for every {}, number {}, in {} days", first, second, number, number
    )


def _pick(values: tuple[str, ...], number: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(values)).gather(number % len(values))


def _list(condition: pl.Expr, value: str) -> pl.Expr:
    empty = pl.lit([], pl.List(pl.String))
    return pl.when(condition).then(pl.concat_list(pl.lit(value))).otherwise(empty)
