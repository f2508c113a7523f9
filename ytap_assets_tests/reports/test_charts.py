from __future__ import annotations

import sys
from datetime import date, timedelta

import pytest
from defusedxml.ElementTree import fromstring

from ytap_assets.domain.reporting.pages import SourceStories
from ytap_assets.reports.charts import (
    HISTORY_DAYS,
    MAX_DAYS,
    arrange_coverage,
    draw_coverage,
    draw_sources,
    draw_views,
)
from ytap_assets.reports.words import name_coverage
from ytap_assets.tables.evidence import COVERAGE_STATES
from ytap_assets_tests.domain.reporting.examples import MONDAY

LAST = date(2026, 11, 20)
SVG = "{http://www.w3.org/2000/svg}"
DAYS = [MONDAY - timedelta(days=n) for n in range(HISTORY_DAYS)]


def titles(svg: str | None) -> list[str]:
    assert svg is not None
    root = fromstring(svg)
    return [node.text or "" for node in root.iter() if node.tag.endswith("title")]


def test_every_known_day_is_a_bar() -> None:
    svg = draw_views({MONDAY: 1_500, DAYS[1]: None, DAYS[2]: 0}, MONDAY)
    assert titles(svg) == ["2026-11-14: 0 views", "2026-11-16: 1,500 views"]


def test_days_outside_of_the_chart_are_left_out() -> None:
    known = {MONDAY - timedelta(days=n): n for n in range(-3, 40)}
    assert len(titles(draw_views(known, MONDAY))) == HISTORY_DAYS


@pytest.mark.parametrize("known", [{}, {MONDAY: None}, {MONDAY - timedelta(days=14): 5}])
def test_without_views_there_is_no_chart(known: dict[date, int | None]) -> None:
    assert draw_views(known, MONDAY) is None


@pytest.mark.parametrize("views", [0, 1, 10**15, -5])
def test_any_count_can_be_drawn(views: int) -> None:
    assert len(titles(draw_views(dict.fromkeys(DAYS, views), MONDAY))) == HISTORY_DAYS


def test_sources_are_bars_of_what_was_kept_and_what_was_spam() -> None:
    svg = draw_sources([SourceStories("hn", 9, 5, 0), SourceStories("reddit", 9, 7, 2)])
    assert titles(svg) == [
        "Hacker News: 5 stories that are not spam",
        "Reddit: 5 stories that are not spam",
        "Hacker News: 0 stories that are spam",
        "Reddit: 2 stories that are spam",
    ]


def test_of_many_sources_the_largest_are_drawn() -> None:
    sources = [SourceStories(f"s{n}", n, n, 0) for n in range(20)]
    kept = [title for title in titles(draw_sources(sources)) if "not spam" in title]
    assert kept[-1] == "s19: 19 stories that are not spam"
    assert len(kept) == 6


def test_without_stories_there_is_no_chart() -> None:
    assert draw_sources([SourceStories("hn", 9, 0, 0)]) is None


def test_a_chart_has_no_script_style_id_or_comment() -> None:
    svg = draw_views(dict.fromkeys(DAYS, 5), MONDAY)
    assert svg is not None
    for unwanted in ("<script", "<style", "<defs", "<desc", "<!--", " id=", "style=", "href"):
        assert unwanted not in svg


def test_the_same_numbers_give_the_same_chart() -> None:
    assert draw_views(dict.fromkeys(DAYS, 5), MONDAY) == draw_views(dict.fromkeys(DAYS, 5), MONDAY)


def test_drawing_leaves_nothing_behind_in_the_import_system() -> None:
    assert all(hasattr(finder, "find_spec") for finder in sys.meta_path)


def days(number: int) -> list[date]:
    return [LAST - timedelta(days=n) for n in reversed(range(number))]


def test_a_square_per_source_and_day_says_what_is_known() -> None:
    states = [(LAST, "hn", "answered"), (LAST - timedelta(days=1), "reddit", "unrecoverable")]
    svg = draw_coverage(states, LAST - timedelta(days=1), LAST)
    assert svg is not None
    assert titles(svg) == [
        "2026-11-19 Hacker News: no data",
        "2026-11-20 Hacker News: collected",
        "2026-11-19 Reddit: cannot be backfilled",
        "2026-11-20 Reddit: no data",
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
    assert name_coverage(state) != state
