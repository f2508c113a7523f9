from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.reporting import numbers, pages
from ytap_assets.domain.reporting.numbers import ReportInputs, as_calendar
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    SCORED_TRENDS,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
)
from ytap_assets.tables.evidence import OUTCOMES
from ytap_assets.tables.production import STATES
from ytap_assets_tests.domain.reporting.examples import (
    EDITION,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    at,
    event,
    fetch,
    metric,
    raw,
    report_days,
    story,
    summarize_days,
    unread,
    video,
)

RAW = ReportInputs().raw.schema
QUARANTINED = ReportInputs().quarantined.schema
A, B = "vid-aaaaaaa", "vid-bbbbbbb"

INPUTS = ReportInputs(
    raw=pl.DataFrame(
        [raw(MONDAY), raw(MONDAY, item_id="2"), raw(MONDAY, "reddit"), raw(TUESDAY)], schema=RAW
    ),
    scored=SCORED_TRENDS.frame(
        [
            story(MONDAY, 1, title="Winner, if it were not spam", spam_reasons=["blocklist"]),
            story(MONDAY, 2, title="Best of Monday", final_score=11.5),
            story(MONDAY, 3, title="Third"),
            story(TUESDAY, 1, title="Only spam", spam_reasons=["link_farm", "blocklist"]),
        ]
    ),
    quarantined=pl.DataFrame([unread("line 2"), unread("line 1")], schema=QUARANTINED),
    log=COLLECTION_LOG.frame(
        [
            fetch(MONDAY, "r/python", "transient_error", http_status=503),
            fetch(MONDAY, "r/rust"),
            fetch(MONDAY, "r/go", "unrecoverable"),
        ]
    ),
    events=PRODUCTION_EVENTS.frame(
        [
            event(1, MONDAY, "one", "script_submitted", "script_pending_review"),
            event(2, MONDAY, "two", "script_submitted", "script_pending_review"),
            event(3, TUESDAY, "one", "generation_started", "ready_for_generation"),
            event(4, WEDNESDAY, "one", "video_completed", "video_pending_review"),
            event(5, WEDNESDAY, "two", "rejected", "rejected"),
            event(6, THURSDAY, "one", "publication_cleared", "ready_for_publish"),
        ]
    ),
    videos=VIDEOS.frame([video(A, MONDAY), video(B, TUESDAY)]),
    metrics=VIDEO_METRICS.frame(
        [
            metric(MONDAY, A, 100, 4.0),
            metric(TUESDAY, A, 150, 5.0, observed_at=at(TUESDAY, 8)),
            metric(TUESDAY, A, 160, 5.5, observed_at=at(TUESDAY, 20)),
            metric(TUESDAY, B, 10, 130.0),
            metric(THURSDAY, A, 155, 5.25),
            metric(THURSDAY, B, 30, 10.0),
        ]
    ),
)


def summary(inputs: ReportInputs, *days: date) -> list[dict[str, Any]]:
    return summarize_days(days, inputs).to_dicts()


def column(name: str, inputs: ReportInputs = INPUTS) -> list[Any]:
    return [row[name] for row in summary(inputs, MONDAY, TUESDAY, WEDNESDAY, THURSDAY)]


def test_a_day_is_summed_up_by_hand() -> None:
    [row] = summary(INPUTS, MONDAY)
    assert row == {
        "workspace_id": "tech",
        "day": MONDAY,
        "trends_observed": 3,
        "stories": 3,
        "stories_spam": 1,
        "top_title": "Best of Monday",
        "top_score": 11.5,
        "scripts_waiting": 2,
        "scripts_in_production": 2,
        "videos_published": 1,
        "views": 100,
        "views_gained": 100,
        "engagement_rate_pct": 4.0,
        "fetches": 3,
        "fetches_failed": 1,
        "rows_quarantined": 2,
        "missing": [
            "Reddit: no response for r/python (503)",
            "Reddit: unrecoverable for this day: r/go",
            "Inbox: 2 rows could not be parsed; the first: scripts.jsonl, line 1: not JSON",
        ],
    }


def test_columns_are_the_tables_own_without_how_the_report_was_made() -> None:
    made_later = {"report_path", "snapshot_id", "generated_at"}
    expected = {n: t for n, t in WORKSPACE_REPORTS.schema.items() if n not in made_later}
    assert summarize_days([MONDAY], INPUTS).schema == pl.Schema(expected)


def test_a_day_without_any_data_has_a_row_that_says_so() -> None:
    [row] = summary(ReportInputs(), MONDAY)
    assert row["missing"] == ["no trends observed"]
    assert (row["stories"], row["fetches"], row["scripts_waiting"]) == (0, 0, 0)
    assert (row["views"], row["engagement_rate_pct"], row["top_title"]) == (None, None, None)


def test_days_come_once_and_in_order() -> None:
    rows = summary(INPUTS, THURSDAY, MONDAY, THURSDAY)
    assert [row["day"] for row in rows] == [MONDAY, THURSDAY]
    assert summary(INPUTS) == []


def test_a_day_of_spam_has_no_best_story() -> None:
    [row] = summary(INPUTS, TUESDAY)
    assert (row["stories"], row["stories_spam"], row["top_title"]) == (1, 1, None)


def test_scripts_stand_where_the_events_until_the_end_of_the_day_left_them() -> None:
    assert column("scripts_waiting") == [2, 1, 1, 0]
    assert column("scripts_in_production") == [2, 2, 1, 1]


def test_an_event_recorded_late_counts_from_the_day_it_occurred_on() -> None:
    events = PRODUCTION_EVENTS.frame(
        [
            event(1, MONDAY, "one", "script_submitted", "script_pending_review"),
            event(2, THURSDAY, "one", "generation_started", "ready_for_generation"),
            event(3, TUESDAY, "one", "imported", "rejected"),
        ]
    )
    # The log's order rules: the import is its last word, from Tuesday on.
    assert column("scripts_in_production", ReportInputs(events=events)) == [1, 0, 0, 0]


def test_events_that_move_nothing_change_no_count() -> None:
    more = PRODUCTION_EVENTS.frame([event(9, TUESDAY, "two", "gates_evaluated", failed_gates=[])])
    inputs = ReportInputs(events=pl.concat([INPUTS.events, more]))
    assert column("scripts_waiting", inputs) == [2, 1, 1, 0]


def test_views_are_the_latest_known_and_gains_those_of_two_known_days() -> None:
    assert column("views") == [100, 170, 170, 185]
    # A is published on Monday, B on Tuesday: both first days count from 0.
    assert column("views_gained") == [100, 70, None, None]


@pytest.mark.parametrize(
    ("published_at", "gained"),
    [
        (at(TUESDAY, 0), 60),
        (at(TUESDAY, 15), 60),
        (at(MONDAY, 23), 60),  # after Monday's last look: it had no views then
        (at(MONDAY, 22), 60),
        (at(MONDAY, 21), 0),  # it could have been looked at on Monday, and was not
        (None, 0),
    ],
)
def test_a_first_day_counts_from_0_where_the_video_was_published_since(
    published_at: datetime | None, gained: int
) -> None:
    seen = [metric(MONDAY, A, 100), metric(TUESDAY, A, 100)]
    new = [metric(TUESDAY, B, 60), metric(WEDNESDAY, B, 90)]
    says = VIDEO_METRICS.frame(seen + [{**row, "published_at": published_at} for row in new])
    assert column("views_gained", ReportInputs(metrics=says)) == [None, gained, 30, None]
    silent = VIDEO_METRICS.frame(seen + new)
    videos = VIDEOS.frame([{**video(B, TUESDAY), "published_at": published_at}])
    inputs = ReportInputs(metrics=silent, videos=videos)
    assert column("views_gained", inputs) == [None, gained, 30, None]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4), st.booleans())
def test_the_gains_of_a_video_add_up_to_its_views(steps: list[int], is_alone: bool) -> None:
    counts = [sum(steps[: number + 1]) for number in range(len(steps))]
    rows = [
        metric(MONDAY + timedelta(days=number), A, views, published_at=at(MONDAY, 9))
        for number, views in enumerate(counts)
    ]
    others = [] if is_alone else [metric(MONDAY - timedelta(days=1), B, 5)]
    inputs = ReportInputs(metrics=VIDEO_METRICS.frame(rows + others))
    gains = [gain for gain in column("views_gained", inputs) if gain is not None]
    assert gains == steps
    assert sum(gains) == counts[-1]


def test_a_fall_of_views_is_kept() -> None:
    metrics = VIDEO_METRICS.frame([metric(MONDAY, A, 100), metric(TUESDAY, A, 90)])
    assert column("views_gained", ReportInputs(metrics=metrics)) == [None, -10, None, None]


def test_views_unknown_on_a_day_are_those_known_before() -> None:
    metrics = VIDEO_METRICS.frame([metric(MONDAY, A, 100), metric(TUESDAY, A, None)])
    inputs = ReportInputs(metrics=metrics)
    assert column("views", inputs) == [100, 100, 100, 100]
    assert column("views_gained", inputs) == [None, None, None, None]


def test_engagement_is_the_mean_of_the_latest_rates_without_those_above_100() -> None:
    # Tuesday: A 5.5, B left out at 130. Thursday: (5.25 + 10) / 2 = 7.625, which rounds to even.
    assert column("engagement_rate_pct") == [4.0, 5.5, 5.5, 7.62]


def test_engagement_that_is_no_number_is_unknown() -> None:
    metrics = VIDEO_METRICS.frame([metric(MONDAY, A, 5, float("nan")), metric(TUESDAY, A, 5, 2.0)])
    rates = column("engagement_rate_pct", ReportInputs(metrics=metrics))
    assert rates == [None, 2.0, 2.0, 2.0]


def test_videos_are_counted_on_the_day_they_were_published() -> None:
    videos = VIDEOS.frame([video(A, MONDAY), video(B, MONDAY), video("vid-ccccccc", None)])
    assert column("videos_published", ReportInputs(videos=videos)) == [2, 0, 0, 0]


# Frames are made anew for every example; how long that takes is the machine's business.
few = settings(deadline=None, max_examples=25)
days = st.sampled_from(WEEK)
small = st.integers(0, 9)


@st.composite
def some_inputs(draw: st.DrawFn) -> ReportInputs:
    stories = draw(st.lists(st.tuples(days, st.booleans()), max_size=8))
    fetches = draw(
        st.lists(st.tuples(days, st.sampled_from("abc"), st.sampled_from(OUTCOMES)), max_size=8)
    )
    moves = draw(
        st.lists(st.tuples(days, st.sampled_from("xyz"), st.sampled_from(STATES)), max_size=8)
    )
    seen = draw(
        st.lists(
            st.tuples(days, st.sampled_from([A, B]), small, st.none() | small),
            max_size=8,
            unique_by=lambda row: row[:3],
        )
    )
    published = draw(st.lists(st.none() | days, max_size=2))
    return ReportInputs(
        raw=pl.DataFrame(
            [raw(day, hour=hour) for day, hour in draw(st.lists(st.tuples(days, small)))],
            schema=RAW,
        ),
        scored=SCORED_TRENDS.frame(
            [
                story(day, n + 1, spam_reasons=["blocklist"] if spam else [])
                for n, (day, spam) in enumerate(stories)
            ]
        ),
        quarantined=pl.DataFrame(
            [unread("line 1", day) for day in draw(st.lists(days))], schema=QUARANTINED
        ),
        log=COLLECTION_LOG.frame(
            [
                fetch(day, target, outcome, collection_id=str(n))
                for n, (day, target, outcome) in enumerate(fetches)
            ]
        ),
        events=PRODUCTION_EVENTS.frame(
            [
                event(n + 1, day, script, "imported", state)
                for n, (day, script, state) in enumerate(moves)
            ]
        ),
        videos=VIDEOS.frame(
            [video(name, day) for name, day in zip([A, B], published, strict=False)]
        ),
        metrics=VIDEO_METRICS.frame(
            [
                metric(
                    day, name, views and views * 10, rate and rate * 12.5, observed_at=at(day, hour)
                )
                for day, name, hour, rate in seen
                for views in [hour if rate != 3 else None]
            ]
        ),
    )


@few
@given(some_inputs())
def test_a_range_is_its_days_one_by_one(inputs: ReportInputs) -> None:
    whole = summarize_days(WEEK, inputs)
    assert_frame_equal(whole, pl.concat(summarize_days([day], inputs) for day in WEEK))


@few
@given(some_inputs(), days)
def test_what_comes_later_changes_nothing(inputs: ReportInputs, last: date) -> None:
    until = [day for day in WEEK if day <= last]
    known = ReportInputs(
        **{
            name: getattr(inputs, name).filter(pl.col("day") <= last)
            for name in ("raw", "scored", "quarantined", "log", "metrics")
        },
        events=inputs.events.filter(pl.col("occurred_at").dt.date() <= last),
        videos=inputs.videos.filter(
            pl.col("published_at").is_null() | (pl.col("published_at").dt.date() <= last)
        ),
    )
    assert_frame_equal(summarize_days(until, inputs), summarize_days(until, known))


@few
@given(some_inputs())
def test_order_of_rows_changes_nothing(inputs: ReportInputs) -> None:
    turned = ReportInputs(**{name: frame.reverse() for name, frame in vars(inputs).items()})
    assert_frame_equal(summarize_days(WEEK, inputs), summarize_days(WEEK, turned))


@few
@given(some_inputs())
def test_pages_show_the_numbers_of_the_rows(inputs: ReportInputs) -> None:
    rows = summarize_days(WEEK, inputs).to_dicts()
    pages = list(report_days(EDITION, WEEK, inputs))
    assert [page.day for page in pages] == WEEK
    for row, page in zip(rows, pages, strict=True):
        assert {**vars(page.numbers), "missing": list(page.missing)}.items() <= row.items()
        states = dict(page.states)
        in_production = sum(states[state] for state in STATES[:4])
        assert in_production == row["scripts_in_production"]
        assert len(page.waiting) == row["scripts_waiting"]
        assert sum(source.observed for source in page.by_source) == row["trends_observed"]
        assert sum(source.stories for source in page.by_source) == row["stories"]
        assert sum(source.fetches for source in page.collection) == row["fetches"]
        assert sum(source.failed for source in page.collection) == row["fetches_failed"]
        views = [v.views for v in page.videos if v.views is not None]
        assert (sum(views) if views else None) == row["views"]


def owned_by(workspace_id: str, inputs: ReportInputs) -> ReportInputs:
    owner = pl.lit(workspace_id).alias("workspace_id")
    return ReportInputs(**{name: frame.with_columns(owner) for name, frame in vars(inputs).items()})


@few
@given(some_inputs(), some_inputs())
def test_workspaces_of_a_batch_have_the_numbers_they_have_alone(
    one: ReportInputs, other: ReportInputs
) -> None:
    parts = {"one": owned_by("one", one), "other": owned_by("other", other)}
    both = ReportInputs(
        **{name: pl.concat(vars(part)[name] for part in parts.values()) for name in vars(one)}
    )
    editions = {name: replace(EDITION, workspace_id=name) for name in parts}
    whole = pages.summarize_days(as_calendar((name, day) for name in parts for day in WEEK), both)
    reports = list(pages.report_days(editions, whole, both))
    assert [report.day for report in reports] == sorted(WEEK * 2)
    for name, part in parts.items():
        alone = pages.summarize_days(as_calendar((name, day) for day in WEEK), part)
        assert_frame_equal(whole.filter(workspace_id=name), alone)
        theirs = [report for report in reports if report.edition.workspace_id == name]
        assert theirs == list(pages.report_days(editions, alone, part))


@few
@given(some_inputs(), days)
def test_records_stand_for_the_events_before_the_first_day(
    inputs: ReportInputs, first: date
) -> None:
    since = [day for day in WEEK if day >= first]
    happened = inputs.events.filter(pl.col("occurred_at").dt.date() > first)
    moved = pl.col("script_id").is_in(happened["script_id"].implode())
    records = fold_events(inputs.events).select(numbers.RECORD_COLUMNS)
    brief = replace(inputs, events=inputs.events.filter(moved), records=records)
    assert_frame_equal(summarize_days(since, inputs), summarize_days(since, brief))
    assert list(report_days(EDITION, since, inputs)) == list(report_days(EDITION, since, brief))
