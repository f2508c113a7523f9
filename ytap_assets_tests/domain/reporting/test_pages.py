from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.production.records import find_visits
from ytap_assets.domain.production.rules import Rules
from ytap_assets.domain.reporting.numbers import ReportInputs
from ytap_assets.domain.reporting.pages import (
    STORIES_SHOWN,
    ReportDay,
    SourceHealth,
    SourceStories,
    SpamRule,
)
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    SCORED_TRENDS,
    VIDEO_METRICS,
    VIDEOS,
)
from ytap_assets_tests.domain.reporting.examples import (
    EDITION,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
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

A, B = "vid-aaaaaaa", "vid-bbbbbbb"


def page(inputs: ReportInputs, day: date = MONDAY) -> ReportDay:
    [report] = report_days(EDITION, [day], inputs)
    return report


def test_stories_are_the_best_that_are_not_spam_in_their_order() -> None:
    rows = [story(MONDAY, n) for n in range(STORIES_SHOWN + 5, 0, -1)]
    rows[-2] = story(MONDAY, 2, spam_reasons=["blocklist"])
    shown = page(ReportInputs(scored=SCORED_TRENDS.frame(rows))).stories
    assert [s.position for s in shown] == [1, *range(3, STORIES_SHOWN + 2)]
    assert shown[0].sources == ("hn",)


def test_sources_show_what_they_brought_and_what_was_spam() -> None:
    inputs = ReportInputs(
        raw=pl.DataFrame([raw(MONDAY), raw(MONDAY), raw(MONDAY, "youtube")]),
        scored=SCORED_TRENDS.frame(
            [
                story(MONDAY, 1),
                story(MONDAY, 2, spam_reasons=["blocklist: casino", "capitals"]),
                story(MONDAY, 3, spam_reasons=["blocklist: crypto", "blocklist: casino"]),
            ]
        ),
    )
    report = page(inputs)
    assert report.by_source == (SourceStories("hn", 2, 3, 2), SourceStories("youtube", 1, 0, 0))
    assert report.spam_rules == (SpamRule("blocklist", 2), SpamRule("capitals", 1))


EVENTS = PRODUCTION_EVENTS.frame(
    [
        event(1, MONDAY, "old", "script_submitted", "script_pending_review", title="Old"),
        event(2, MONDAY, "gated", "script_submitted", "script_pending_review", hour=11),
        event(3, MONDAY, "gated", "gates_evaluated", failed_gates=["topic: already produced"]),
        event(4, MONDAY, "stuck", "imported", "ready_for_generation", hour=12),
        event(5, MONDAY, "stuck", "job_queued"),
        event(6, MONDAY, "stuck", "job_failed"),
        event(7, MONDAY, "fine", "imported", "ready_for_publish"),
        event(8, WEDNESDAY, "old", "generation_started", "ready_for_generation"),
        event(9, WEDNESDAY, "stuck", "job_queued"),
    ]
)


def test_scripts_wait_as_they_did_at_the_end_of_the_day() -> None:
    days = [MONDAY, TUESDAY, WEDNESDAY]
    monday, tuesday, wednesday = report_days(EDITION, days, ReportInputs(events=EVENTS))
    assert [s.script_id for s in monday.waiting] == ["gated", "old"]
    assert monday.waiting[0].failed_gates == ("topic: already produced",)
    assert monday.waiting[1].title == "Old"
    assert monday.waiting[1].state_since == at(MONDAY, 9)
    assert [s.script_id for s in monday.held_back] == ["stuck"]
    assert (tuesday.waiting, tuesday.held_back) == (monday.waiting, monday.held_back)
    assert [s.script_id for s in wednesday.waiting] == ["gated"]
    assert wednesday.held_back == ()


def test_a_range_that_begins_late_knows_what_came_before() -> None:
    first = page(ReportInputs(events=EVENTS), THURSDAY)
    assert [s.script_id for s in first.waiting] == ["gated"]
    assert dict(first.states)["ready_for_generation"] == 2


def test_each_day_shows_throughput_and_waits_as_they_were_at_its_end() -> None:
    old = MONDAY - timedelta(days=9)
    events = PRODUCTION_EVENTS.frame(
        [
            event(1, old, "one", "script_submitted", "script_pending_review"),
            event(2, old, "two", "script_submitted", "script_pending_review"),
            event(3, MONDAY, "one", "generation_started", "ready_for_generation"),
            event(4, TUESDAY, "two", "cancelled", "cancelled"),
        ]
    )
    inputs = ReportInputs(events=events, visits=find_visits(events))
    rules = Rules(max_hours={"script_pending_review": 200.0, "ready_for_generation": 30.0})
    edition = replace(EDITION, rules=rules)
    monday, tuesday = report_days(edition, [MONDAY, TUESDAY], inputs)
    columns = attrgetter("state", "entered", "left", "median_hours", "oldest_hours", "stuck")
    assert [columns(one) for one in monday.flow] == [
        ("script_pending_review", 0, 1, 216.0, 231.0, 1),
        ("ready_for_generation", 1, 0, None, 15.0, 0),
        ("video_pending_review", 0, 0, None, None, 0),
        ("ready_for_publish", 0, 0, None, None, 0),
    ]
    assert [(one.script_id, one.waits_for) for one in monday.stuck] == [
        ("two", ("approval by a person",))
    ]
    review, generation = tuesday.flow[:2]
    assert columns(review) == ("script_pending_review", 0, 2, 228.0, None, 0)
    assert (review.p90_hours, review.longest_hours) == (237.6, 240.0)
    assert (generation.oldest_hours, generation.max_hours, generation.stuck) == (39.0, 30.0, 1)
    assert [one.script_id for one in tuesday.stuck] == ["one"]


def test_a_wait_is_counted_until_the_report_is_made() -> None:
    events = PRODUCTION_EVENTS.frame(
        [event(1, MONDAY, "one", "script_submitted", "script_pending_review")]
    )
    rules = Rules(max_hours={"script_pending_review": 5.0})
    edition = replace(EDITION, rules=rules, generated_at=at(MONDAY, 13))
    [monday] = report_days(edition, [MONDAY], ReportInputs(events=events))
    assert monday.flow[0].oldest_hours == 4.0
    assert monday.stuck == ()


def test_videos_show_what_is_known_of_them_on_the_day() -> None:
    inputs = ReportInputs(
        videos=VIDEOS.frame([video(A, MONDAY), video(B, WEDNESDAY, title=None)]),
        metrics=VIDEO_METRICS.frame(
            [
                metric(MONDAY, A, 100, 4.0, likes=4),
                metric(TUESDAY, A, 130, None, likes=None),
                metric(TUESDAY, "vid-unknown", 7, title="Only the platform knows it"),
            ]
        ),
    )
    monday, tuesday, wednesday = report_days(EDITION, [MONDAY, TUESDAY, WEDNESDAY], inputs)
    assert [(v.video_id, v.views, v.gained, v.likes) for v in monday.videos] == [(A, 100, 100, 4)]
    assert [(v.video_id, v.views, v.gained, v.likes) for v in tuesday.videos] == [
        (A, 130, 30, 4),
        ("vid-unknown", 7, None, None),
    ]
    assert tuesday.videos[0].engagement_rate_pct == 4.0
    assert tuesday.videos[1].title == "Only the platform knows it"
    known = [(v.video_id, v.views, v.gained, v.seen_on) for v in wednesday.videos]
    assert known == [
        (A, 130, None, TUESDAY),
        ("vid-unknown", 7, None, TUESDAY),
        (B, None, None, None),
    ]
    assert wednesday.videos_total == 3


def test_sources_show_how_their_fetches_went() -> None:
    log = COLLECTION_LOG.frame(
        [
            fetch(MONDAY, "r/a", accepted=5, duplicates=2, fetched=8, quarantined=1),
            fetch(MONDAY, "r/b", "malformed", detail="HTML instead of JSON"),
            fetch(MONDAY, "r/b", "malformed", 3, detail="HTML instead of JSON"),
            fetch(MONDAY, "US", "quota_exhausted", source="youtube"),
        ]
    )
    assert page(ReportInputs(log=log)).collection == (
        SourceHealth(
            source="reddit",
            fetches=3,
            failed=2,
            answered=1,
            accepted=5,
            quarantined=1,
            duplicates=2,
            last_answer_at=at(MONDAY, 2, 1),
            problems=("r/b: HTML instead of JSON",),
        ),
        SourceHealth("youtube", 1, 1, 0, 0, 0, 0, None, ("US: quota exhausted",)),
    )


NO_TRENDS = "no trends observed"


def missing(inputs: ReportInputs, day: date = MONDAY) -> list[str]:
    [row] = summarize_days([day], inputs).to_dicts()
    return [text for text in row["missing"] if text != NO_TRENDS]


def log(*rows: dict[str, Any]) -> ReportInputs:
    return ReportInputs(log=COLLECTION_LOG.frame(list(rows)))


@pytest.mark.parametrize(
    ("outcome", "given", "text"),
    [
        ("transient_error", {"http_status": 503}, "Reddit: no response for r/python (503)"),
        ("permanent_error", {"http_status": 404}, "Reddit: no response for r/python (404)"),
        ("transient_error", {}, "Reddit: no response for r/python"),
        ("quota_exhausted", {"http_status": 403}, "Reddit: quota exhausted before r/python (403)"),
        ("malformed", {"http_status": 200}, "Reddit: malformed response for r/python (200)"),
        ("too_large", {"http_status": 200}, "Reddit: response too large for r/python (200)"),
        ("not_recorded", {}, "Reddit: no recording of r/python"),
        ("unrecoverable", {}, "Reddit: unrecoverable for this day: r/python"),
        (
            "disabled",
            {"detail": "set YTAP_SECRET_REDDIT_ID to collect this"},
            "Reddit: not requested: r/python (set YTAP_SECRET_REDDIT_ID to collect this)",
        ),
    ],
)
def test_a_target_that_gave_nothing_is_named(
    outcome: str, given: dict[str, Any], text: str
) -> None:
    assert missing(log(fetch(MONDAY, "r/python", outcome, **given))) == [text]


@pytest.mark.parametrize("outcome", ["ok", "not_modified"])
def test_a_target_that_answered_is_not(outcome: str) -> None:
    assert missing(log(fetch(MONDAY, "r/python", outcome))) == []


def test_a_target_that_answered_in_the_end_is_not_missing() -> None:
    assert missing(log(fetch(MONDAY, "r/a", "transient_error"), fetch(MONDAY, "r/a", hour=3))) == []


def test_a_target_that_no_longer_answers_is_stale() -> None:
    inputs = log(
        fetch(MONDAY, "r/a", hour=8), fetch(MONDAY, "r/a", "transient_error", 9, http_status=500)
    )
    assert missing(inputs) == ["Reddit: no response since 08:01 UTC for r/a (500)"]


@pytest.mark.parametrize("outcome", ["unrecoverable", "disabled"])
def test_what_was_collected_in_time_is_not_lost_by_asking_again(outcome: str) -> None:
    assert missing(log(fetch(MONDAY, "r/a"), fetch(MONDAY, "r/a", outcome, 20))) == []


def test_many_targets_make_one_line() -> None:
    rows = [fetch(MONDAY, f"r/{name}", "malformed") for name in "edcba"]
    assert missing(log(*rows)) == ["Reddit: malformed response for r/a, r/b, r/c and 2 more"]


def test_failures_come_before_what_cannot_be_had() -> None:
    inputs = log(
        fetch(MONDAY, "a", "unrecoverable", source="a"), fetch(MONDAY, "z", "malformed", source="z")
    )
    assert missing(inputs) == ["z: malformed response for z", "a: unrecoverable for this day: a"]


def test_a_gap_belongs_to_its_day() -> None:
    assert missing(log(fetch(MONDAY, "r/a", "malformed")), TUESDAY) == []


def test_trends_that_were_not_scored_are_told_from_none() -> None:
    inputs = ReportInputs(raw=pl.DataFrame([raw(MONDAY)]))
    assert missing(inputs) == ["trends observed, but not scored"]
    [row] = summarize_days([TUESDAY], inputs).to_dicts()
    assert row["missing"] == [NO_TRENDS]


@pytest.mark.parametrize(("hour", "is_stale"), [(12, False), (13, False), (14, True)])
def test_scores_older_than_the_observations_are_stale(hour: int, is_stale: bool) -> None:
    inputs = ReportInputs(
        raw=pl.DataFrame([raw(MONDAY, hour=12), raw(MONDAY, hour=hour)]),
        scored=SCORED_TRENDS.frame([story(MONDAY, 1)]),
    )
    text = (
        "scores are stale: computed from observations until 12:00;"
        " the latest observation is of 14:00 UTC"
    )
    assert missing(inputs) == ([text] if is_stale else [])


def test_scores_that_leave_items_out_are_stale() -> None:
    inputs = ReportInputs(
        raw=pl.DataFrame([raw(MONDAY), *(raw(MONDAY, item_id=f"{n}") for n in range(2, 50))]),
        scored=SCORED_TRENDS.frame([story(MONDAY, 1)]),
    )
    [text] = missing(inputs)
    assert text.startswith("scores are stale: they contain 1 of 49 observed items; the checks of")


def test_an_observation_after_its_time_leaves_the_scores_as_they_are() -> None:
    late = {**raw(MONDAY), "observed_at": at(WEDNESDAY, 9)}
    inputs = ReportInputs(
        raw=pl.DataFrame([raw(MONDAY), late]), scored=SCORED_TRENDS.frame([story(MONDAY, 1)])
    )
    assert missing(inputs) == []


def test_videos_without_metrics_are_counted_from_their_publication() -> None:
    inputs = ReportInputs(
        videos=VIDEOS.frame(
            [
                video("vid-aaaaaaa", MONDAY),
                video("vid-bbbbbbb", TUESDAY),
                video("vid-ccccccc", None),
            ]
        ),
        metrics=VIDEO_METRICS.frame(
            [metric(TUESDAY, "vid-aaaaaaa", 5), metric(WEDNESDAY, "vid-bbbbbbb", 5)]
        ),
    )
    assert missing(inputs, MONDAY) == ["no metrics for 2 of 2 videos"]
    assert missing(inputs, TUESDAY) == ["no metrics for 2 of 3 videos"]
    assert missing(inputs, WEDNESDAY) == ["no metrics for 1 of 3 videos"]


def test_a_day_on_which_no_video_was_looked_at_says_of_when_the_views_are() -> None:
    inputs = ReportInputs(
        videos=VIDEOS.frame([video("vid-aaaaaaa", MONDAY)]),
        metrics=VIDEO_METRICS.frame([metric(MONDAY, "vid-aaaaaaa", 5)]),
    )
    assert missing(inputs, MONDAY) == []
    assert missing(inputs, TUESDAY) == ["no metrics of this day; the views are of 2026-11-16"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([unread("line 9")], "Inbox: 1 row could not be parsed; scripts.jsonl, line 9: not JSON"),
        (
            [
                unread("line 12"),
                unread("line 9", reason="no id"),
                unread("line 1", origin="uploads.jsonl"),
            ],
            "Inbox: 3 rows could not be parsed; the first: scripts.jsonl, line 9: no id",
        ),
        (
            [unread("item 3", source="lobsters", origin="https://lobste.example/hot?page=1")],
            "lobsters: 1 row could not be parsed; https://lobste.example/hot, item 3: not JSON",
        ),
    ],
    ids=["one", "several", "a source"],
)
def test_rows_that_could_not_be_read_are_counted_and_the_first_is_named(
    rows: list[dict[str, Any]], text: str
) -> None:
    assert missing(ReportInputs(quarantined=pl.DataFrame(rows))) == [text]
