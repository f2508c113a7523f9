from __future__ import annotations

from datetime import date, timedelta

import pytest
from defusedxml.ElementTree import fromstring

from ytap_assets.reports.coverage import MAX_DAYS, arrange_coverage, draw_coverage
from ytap_assets.reports.words import name_coverage
from ytap_assets.tables.sources import COVERAGE_STATES

LAST = date(2026, 11, 20)
SVG = "{http://www.w3.org/2000/svg}"


def days(number: int) -> list[date]:
    return [LAST - timedelta(days=n) for n in reversed(range(number))]


def titles(svg: str) -> list[str]:
    return [node.text or "" for node in fromstring(svg).iter() if node.tag.endswith("title")]


def test_a_square_per_source_and_day_says_what_is_known() -> None:
    states = [(LAST, "hn", "answered"), (LAST - timedelta(days=1), "reddit", "unrecoverable")]
    svg = draw_coverage(states, LAST - timedelta(days=1), LAST)
    assert svg is not None
    assert titles(svg) == [
        "2026-11-19 Hacker News: nothing known",
        "2026-11-20 Hacker News: answered",
        "2026-11-19 Reddit: lost",
        "2026-11-20 Reddit: nothing known",
    ]


def test_only_the_last_days_of_a_long_range_are_drawn() -> None:
    wanted = days(MAX_DAYS + 30)
    svg = draw_coverage([(day, "hn", "answered") for day in wanted], wanted[0], LAST)
    assert svg is not None
    assert len(titles(svg)) == MAX_DAYS


def test_nothing_known_is_no_picture() -> None:
    assert draw_coverage([], LAST, LAST) is None
    outside = [(LAST - timedelta(days=9), "hn", "answered")]
    assert draw_coverage(outside, LAST, LAST) is None


def test_a_picture_carries_its_colours_and_no_script() -> None:
    svg = draw_coverage([(LAST, "hn", "healable")], LAST, LAST)
    assert svg is not None
    assert fromstring(svg).tag == f"{SVG}svg"
    assert ".healable{fill:#e0a52f}" in svg
    assert "<script" not in svg


def test_the_axis_names_the_first_day_and_mondays_that_have_room() -> None:
    calendar = arrange_coverage([(LAST, "hn", "answered")], date(2026, 10, 24), LAST)
    assert calendar is not None
    named = [
        (day, label) for day, label in zip(calendar.days, calendar.labels, strict=True) if label
    ]
    # 26 October is a Monday too near the first day.
    assert named == [
        (date(2026, 10, 24), "24 Oct"),
        (date(2026, 11, 2), "2 Nov"),
        (date(2026, 11, 9), "9 Nov"),
        (date(2026, 11, 16), "16 Nov"),
    ]
    short = arrange_coverage([(LAST, "hn", "answered")], LAST, LAST)
    assert short is not None
    assert short.labels == ("20 Nov",)


def test_every_source_has_a_state_on_every_day() -> None:
    calendar = arrange_coverage(
        [(LAST, "reddit", "open"), (days(3)[0], "hn", "answered")], days(3)[0], LAST
    )
    assert calendar is not None
    assert calendar.rows == (
        ("hn", ("answered", "unknown", "unknown")),
        ("reddit", ("unknown", "unknown", "open")),
    )
    assert calendar.states == ("answered", "open")


def test_a_hostile_name_of_a_source_is_text() -> None:
    svg = draw_coverage([(LAST, "<script>alert(1)</script>", "open")], LAST, LAST)
    assert svg is not None
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


@pytest.mark.parametrize("state", COVERAGE_STATES)
def test_every_state_has_a_name_and_a_colour(state: str) -> None:
    svg = draw_coverage([(LAST, "hn", state)], LAST, LAST)
    assert svg is not None
    assert f".{state}{{fill:" in svg
    assert name_coverage(state) in titles(svg)[0]
    assert name_coverage(state) != state or state == "answered"
