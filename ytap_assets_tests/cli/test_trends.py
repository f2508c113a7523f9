"""The ranked list on the command line."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets.operations.trends import cluster_stories, score
from ytap_assets.tables import SCORED_TRENDS
from ytap_assets_tests.cli.conftest import DAY, Ytap, append_trends, trend
from ytap_assets_tests.operations.alone import run_alone

HOSTILE = "Title \x1b[31m\u202eevil"


@pytest.fixture
def ranked(platform: Platform) -> Platform:
    """Twelve stories, the best of them hostile, and one that is spam."""
    morning = datetime(2026, 11, 20, 5, tzinfo=UTC)

    def see(name: str, **given: Any) -> dict[str, Any]:
        return trend("tech", name, url=f"https://{name}.example/", published_at=morning, **given)

    rows = [see(str(n), points=100 + 10 * n) for n in range(11)]
    best = see("best", points=9000, title=HOSTILE)
    append_trends(platform, *rows, best, see("spam", title="Free gift cards for all"))
    for work in (cluster_stories, score):
        run_alone(work, platform, "tech", DAY)
    return platform


def test_the_best_are_listed_with_their_reasons(ranked: Platform, ytap: Ytap) -> None:
    listed = ytap.ok("trends", "top", "-w", "tech")
    first, *lines = listed.splitlines()
    assert first == "tech, 2026-11-20: 10 of 12 stories"
    assert lines[0].split()[0] == "1"
    assert "evil" in lines[0]
    assert "Hacker News" in lines[1]
    assert "\x1b" not in listed
    assert "\u202e" not in listed
    assert "gift cards" not in listed


def test_more_are_listed_where_they_are_asked_for(ranked: Platform, ytap: Ytap) -> None:
    listed = ytap.ok("trends", "top", "-w", "tech", "--limit", "99", "--spam", "--day", str(DAY))
    assert "13 of 13 stories" in listed
    assert "blocklist: free gift cards" in listed


def test_programs_get_every_column(ranked: Platform, ytap: Ytap) -> None:
    rows = json.loads(ytap.ok("trends", "top", "-w", "tech", "-f", "json", "--limit", "2"))
    assert [set(row) for row in rows] == [set(SCORED_TRENDS.schema)] * 2
    assert rows[0]["title"] == HOSTILE
    table = csv.DictReader(io.StringIO(ytap.ok("trends", "top", "-w", "tech", "-f", "csv")))
    assert len(list(table)) == 10


def test_a_story_is_explained_by_its_place_and_by_its_id(ranked: Platform, ytap: Ytap) -> None:
    by_place = ytap.ok("trends", "explain", "1", "-w", "tech")
    assert "position 1 of 13" in by_place
    assert "https://best.example/" in by_place
    assert "cross_source_boost     1.00" in by_place
    assert "\x1b" not in by_place
    story_id = by_place.partition("story ")[2].partition(",")[0]
    assert ytap.ok("trends", "explain", story_id[:8], "-w", "tech") == by_place


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["top", "-w", "finance"], "no scored trends yet"),
        (["top", "-w", "nobody"], "does not exist"),
        (["top", "-w", "tech", "--day", "2026-11-19"], "no scored trends on 2026-11-19"),
        (["explain", "99", "-w", "tech"], "no story at position 99"),
        (["explain", "nothing", "-w", "tech"], "no story 'nothing'"),
        (["explain", "\x1b[31m", "-w", "tech"], "no story"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(
    ranked: Platform, ytap: Ytap, arguments: list[str], said: str
) -> None:
    assert said in ytap.refused(2, "trends", *arguments)
