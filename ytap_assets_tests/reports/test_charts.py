from __future__ import annotations

import sys
from datetime import date, timedelta

import pytest
from defusedxml import ElementTree

from ytap_assets.domain.reporting.records import SourceStories
from ytap_assets.reports.charts import HISTORY_DAYS, draw_sources, draw_views
from ytap_assets_tests.domain.reporting.examples import MONDAY

DAYS = [MONDAY - timedelta(days=n) for n in range(HISTORY_DAYS)]


def titles(svg: str | None) -> list[str]:
    assert svg is not None
    root = ElementTree.fromstring(svg)
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
        "Hacker News: 5 stories kept",
        "Reddit: 5 stories kept",
        "Hacker News: 0 caught as spam",
        "Reddit: 2 caught as spam",
    ]


def test_of_many_sources_the_largest_are_drawn() -> None:
    sources = [SourceStories(f"s{n}", n, n, 0) for n in range(20)]
    kept = [title for title in titles(draw_sources(sources)) if "kept" in title]
    assert kept[-1] == "s19: 19 stories kept"
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
