from __future__ import annotations

from datetime import date

import polars as pl

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
