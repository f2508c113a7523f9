from __future__ import annotations

from datetime import date, timedelta

import pytest
from defusedxml.ElementTree import fromstring

from ytap_assets.reports.coverage import MAX_DAYS, draw_coverage
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
    svg = draw_coverage(states, LAST - timedelta(days=1), LAST, alone=True)
    assert svg is not None
    assert titles(svg) == [
        "2026-11-19 Hacker News: nothing known",
        "2026-11-20 Hacker News: answered",
        "2026-11-19 Reddit: lost",
        "2026-11-20 Reddit: nothing known",
    ]


def test_only_the_last_days_of_a_long_range_are_drawn() -> None:
    wanted = days(MAX_DAYS + 30)
    svg = draw_coverage([(day, "hn", "answered") for day in wanted], wanted[0], LAST, alone=True)
    assert svg is not None
    assert len(titles(svg)) == MAX_DAYS


def test_nothing_known_is_no_picture() -> None:
    assert draw_coverage([], LAST, LAST, alone=True) is None
    outside = [(LAST - timedelta(days=9), "hn", "answered")]
    assert draw_coverage(outside, LAST, LAST, alone=True) is None


def test_a_picture_of_its_own_carries_its_colours_and_no_script() -> None:
    alone = draw_coverage([(LAST, "hn", "healable")], LAST, LAST, alone=True)
    within = draw_coverage([(LAST, "hn", "healable")], LAST, LAST, alone=False)
    assert alone is not None
    assert within is not None
    assert fromstring(alone).tag == f"{SVG}svg"
    assert ".healable{fill:#e0a52f}" in alone
    assert "<style" not in within
    assert "<script" not in alone + within


def test_a_hostile_name_of_a_source_is_text() -> None:
    svg = draw_coverage([(LAST, "<script>alert(1)</script>", "open")], LAST, LAST, alone=True)
    assert svg is not None
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


@pytest.mark.parametrize("state", COVERAGE_STATES)
def test_every_state_has_a_name_and_a_colour(state: str) -> None:
    svg = draw_coverage([(LAST, "hn", state)], LAST, LAST, alone=True)
    assert svg is not None
    assert f".{state}{{fill:" in svg
    assert name_coverage(state) in titles(svg)[0]
    assert name_coverage(state) != state or state == "answered"
