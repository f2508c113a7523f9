from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ytap_assets.domain.reporting.pages import Script
from ytap_assets.reports import words
from ytap_assets.reports.words import find_link, find_video_link

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (None, words.UNKNOWN),
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_240, "1.2k"),
        (999_949, "999.9k"),
        (999_950, "1M"),
        (35_000_000, "35M"),
        (2_500_000_000, "2.5B"),
        (-1_240, f"{MINUS}1.2k"),
    ],
)
def test_numbers_are_shortened(value: float | None, short: str) -> None:
    assert words.shorten_number(value) == short


def test_numbers_are_spelled() -> None:
    assert words.spell_number(1_234_567) == "1,234,567"
    assert words.spell_number(-5) == f"{MINUS}5"
    assert [words.spell_gain(n) for n in (1_200, 0, -3, None)] == [
        "+1,200",
        "0",
        f"{MINUS}3",
        words.UNKNOWN,
    ]
    assert words.spell_percent(3.8) == "3.80 %"
    assert words.spell_percent(None) == words.UNKNOWN
    assert words.spell_money(2_410_000) == "$2.41"
    assert words.count(1, "story", "stories") == "1 story"
    assert words.count(1_200, "row") == "1,200 rows"


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (None, words.UNKNOWN),
        (-0.2, "0 min"),
        (0.5, "30 min"),
        (7.4, "7 h"),
        (47.9, "48 h"),
        (72, "3 days"),
    ],
)
def test_ages_are_spelled(hours: float | None, text: str) -> None:
    assert words.spell_hours(hours) == text


def test_waiting_is_counted_until_the_end_of_the_day() -> None:
    since = datetime(2026, 11, 16, 18, tzinfo=UTC)
    later = datetime(2026, 11, 21, tzinfo=UTC)
    assert words.spell_wait(since, date(2026, 11, 16), later) == "6 h"
    assert words.spell_wait(since, date(2026, 11, 19), later) == "3 days"


def test_waiting_of_an_unfinished_day_is_counted_until_the_report() -> None:
    since = datetime(2026, 11, 16, 18, tzinfo=UTC)
    assert words.spell_wait(since, since.date(), datetime(2026, 11, 16, 19, tzinfo=UTC)) == "1 h"


@pytest.mark.parametrize(
    ("timezone", "text"),
    [
        ("America/New_York", "2026-07-01 12:00 UTC (08:00 in New York)"),
        ("UTC", "2026-07-01 12:00 UTC"),
        ("No/Such_Place", "2026-07-01 12:00 UTC"),
        ("../../etc/passwd", "2026-07-01 12:00 UTC"),
        ("", "2026-07-01 12:00 UTC"),
    ],
)
def test_instants_are_shown_in_the_workspaces_timezone_too(timezone: str, text: str) -> None:
    assert words.spell_instant(datetime(2026, 7, 1, 12, tzinfo=UTC), timezone) == text


@pytest.mark.parametrize(
    ("text", "clipped"),
    [
        (None, ""),
        ("  two\n\twords ", "two words"),
        ("a\x00b\x9bc", "a b c"),
        ("0123456789", "0123456789"),
        ("0123456789x", "012345678…"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_texts_are_clipped_to_one_line(text: str | None, clipped: str) -> None:
    assert words.clip(text, 10) == clipped


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org/a?b=1&c=2#d",
        "https://example.org:8443/x",
        "https://пример.рф/путь",
    ],
)
def test_web_addresses_are_links(url: str) -> None:
    assert find_link(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "example.org",
        "/x",
        "mailto:a@example.org",
        "https:",
        "https:///x",
        "https://a/" + "x" * 2_000,
    ],
)
def test_other_addresses_are_not(url: str | None) -> None:
    assert find_link(url) is None


def test_only_ids_of_youtube_lead_to_a_video() -> None:
    assert (
        find_video_link("youtube", "dQw4w9WgXcQ") == "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    )
    assert find_video_link(None, "dQw4w9WgXcQ") is not None
    assert find_video_link("mastodon", "dQw4w9WgXcQ") is None
    assert find_video_link("youtube", 'dQw4w9WgX"Q') is None


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({}, "Review the script"),
        ({"state": "video_pending_review"}, "Review the video"),
        ({"failed_gates": ("budget",)}, "Review the script"),
        (
            {"failed_gates": ("budget",), "script_approved_by": "person:ada"},
            "Approved; check the gate",
        ),
        (
            {
                "state": "video_pending_review",
                "failed_gates": ("quality",),
                "script_approved_by": "policy",
            },
            "Review the video",
        ),
        ({"state": "ready_for_generation", "job_status": "failed"}, "Generation failed"),
        ({"state": "ready_for_publish", "job_status": "failed"}, "Check the gate"),
    ],
)
def test_a_task_says_what_is_to_be_done(given: dict[str, Any], task: str) -> None:
    script: dict[str, Any] = dict.fromkeys(Script.__annotations__) | {
        "state": "script_pending_review",
        "failed_gates": (),
    }
    assert words.name_task(Script(**(script | given))) == task
