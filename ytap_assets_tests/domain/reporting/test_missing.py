from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.reporting.numbers import ReportInputs
from ytap_assets.tables import COLLECTION_LOG, SCORED_TRENDS, VIDEO_METRICS, VIDEOS
from ytap_assets_tests.domain.reporting.examples import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    at,
    fetch,
    metric,
    raw,
    story,
    summarize_days,
    unread,
    video,
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
        ("transient_error", {"http_status": 503}, "Reddit: no answer for r/python (503)"),
        ("permanent_error", {"http_status": 404}, "Reddit: no answer for r/python (404)"),
        ("transient_error", {}, "Reddit: no answer for r/python"),
        ("quota_exhausted", {"http_status": 403}, "Reddit: quota used up before r/python (403)"),
        ("malformed", {"http_status": 200}, "Reddit: unreadable answer for r/python (200)"),
        ("too_large", {"http_status": 200}, "Reddit: answer too large for r/python (200)"),
        ("not_recorded", {}, "Reddit: nothing recorded for r/python"),
        ("unrecoverable", {}, "Reddit: unrecoverable for this day: r/python"),
        (
            "disabled",
            {"detail": "set YTAP_SECRET_REDDIT_ID to collect this"},
            "Reddit: not asked for r/python (set YTAP_SECRET_REDDIT_ID to collect this)",
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
    assert missing(inputs) == ["Reddit: no answer since 08:01 UTC for r/a (500)"]


@pytest.mark.parametrize("outcome", ["unrecoverable", "disabled"])
def test_what_was_collected_in_time_is_not_lost_by_asking_again(outcome: str) -> None:
    assert missing(log(fetch(MONDAY, "r/a"), fetch(MONDAY, "r/a", outcome, 20))) == []


def test_many_targets_make_one_line() -> None:
    rows = [fetch(MONDAY, f"r/{name}", "malformed") for name in "edcba"]
    assert missing(log(*rows)) == ["Reddit: unreadable answer for r/a, r/b, r/c and 2 more"]


def test_failures_come_before_what_cannot_be_had() -> None:
    inputs = log(
        fetch(MONDAY, "a", "unrecoverable", source="a"), fetch(MONDAY, "z", "malformed", source="z")
    )
    assert missing(inputs) == ["z: unreadable answer for z", "a: unrecoverable for this day: a"]


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
    text = "scores are stale: made from observations until 12:00, there are some until 14:00 UTC"
    assert missing(inputs) == ([text] if is_stale else [])


def test_scores_that_leave_items_out_are_stale() -> None:
    inputs = ReportInputs(
        raw=pl.DataFrame([raw(MONDAY), *(raw(MONDAY, item_id=f"{n}") for n in range(2, 50))]),
        scored=SCORED_TRENDS.frame([story(MONDAY, 1)]),
    )
    [text] = missing(inputs)
    assert text.startswith("scores are stale: 1 of 49 observed items are in them; the checks of")


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
    assert missing(inputs, TUESDAY) == ["no metrics from this day; views are as of 2026-11-16"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([unread("line 9")], "Inbox: 1 row could not be read; scripts.jsonl, line 9: not JSON"),
        (
            [
                unread("line 12"),
                unread("line 9", reason="no id"),
                unread("line 1", origin="uploads.jsonl"),
            ],
            "Inbox: 3 rows could not be read; the first: scripts.jsonl, line 9: no id",
        ),
        (
            [unread("item 3", source="lobsters", origin="https://lobste.example/hot?page=1")],
            "lobsters: 1 row could not be read; https://lobste.example/hot, item 3: not JSON",
        ),
    ],
    ids=["one", "several", "a source"],
)
def test_rows_that_could_not_be_read_are_counted_and_the_first_is_named(
    rows: list[dict[str, Any]], text: str
) -> None:
    assert missing(ReportInputs(quarantined=pl.DataFrame(rows))) == [text]
