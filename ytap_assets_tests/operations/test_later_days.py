"""Days in any order give the same stories, ids and ranks; no published id is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.performance import measure_slice
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import advance
from ytap_assets.operations.scoring import score_slice
from ytap_assets.operations.stories import tell_stories
from ytap_assets.tables import (
    PRODUCTION_EVENTS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
)
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.operations.test_production import script, write_lines

RUN = Run("run-1", "test", "rank")
FIRST = date(2026, 11, 10)
LAST = 6
TITLES = (
    "Undersea cable cut near Iceland leaves three countries offline",
    "Three countries offline after undersea cable cut near Iceland",
    "Iceland: undersea cable repaired, three countries back online",
    "Three countries back online as undersea cable is repaired",
    "A cheese museum opens its doors",
)
NUMBERS = count()


def day_of(number: int) -> date:
    return FIRST + timedelta(days=number)


def new_workspace(platform: Platform) -> str:
    name = f"w{next(NUMBERS)}"
    platform.workspaces.save(Workspace(workspace_id=name, name=name, vertical="technology"))
    platform.register(name, RUN)
    return name


def observe(platform: Platform, name: str, seen: list[tuple[int, int, int, int]]) -> None:
    """Looks at items: day, page, title, hour."""
    rows = [
        {
            "workspace_id": name,
            "day": day_of(day),
            "source": ("hn", "reddit")[page % 2],
            "item_id": f"{page}-{title}",
            "observed_at": datetime.combine(day_of(day), time(hour), UTC),
            "published_at": datetime.combine(day_of(day), time(), UTC) - timedelta(hours=title),
            "title": TITLES[title],
            "url": f"https://page{page}.example/",
            "points": 50 * hour + page,
            "list_name": "front_page",
            "collection_id": "c1",
        }
        for day, page, title, hour in seen
    ]
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(RAW_TRENDS, RAW_TRENDS.frame(rows), Scope(name)))


def make(platform: Platform, name: str, first: int, last: int | None = None) -> None:
    slice_ = platform.slice(name, (day_of(first), day_of(first if last is None else last)), RUN)
    tell_stories(slice_)
    score_slice(slice_)
    measure_slice(slice_)


def rows_of(platform: Platform, name: str) -> list[pl.DataFrame]:
    """What has to be the same in whatever order days are made."""
    reader = platform.lake.reader(name)
    return [
        reader.read(table).sort(table.key).drop("workspace_id", *unlike)
        for table, unlike in (
            (TREND_STORIES, ()),
            (SCORED_TRENDS, ("first_position", "first_ranked_at")),
            (SOURCE_PERFORMANCE, ()),
        )
    ]


@pytest.fixture
def taken(platform: Platform) -> pl.DataFrame:
    """Events of a script on the first page, submitted on the second day."""
    created = datetime.combine(day_of(1), time(9), UTC).isoformat()
    line = script("cable", created_at=created, topic_url="https://page0.example/")
    write_lines(platform, "tech", "scripts.jsonl", line)
    advance(platform.slice("tech", None, RUN), "all")
    return platform.lake.reader("tech").read(PRODUCTION_EVENTS)


def take(platform: Platform, name: str, events: pl.DataFrame) -> None:
    events = events.with_columns(
        workspace_id=pl.lit(name), event_id=pl.format("{}-{}", pl.lit(name), "event_id")
    )
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(PRODUCTION_EVENTS, events, Scope(name)))


LOOKS = st.lists(
    st.tuples(
        st.integers(0, LAST), st.integers(0, 4), st.integers(0, len(TITLES) - 1), st.integers(1, 23)
    ),
    min_size=6,
    max_size=14,
    unique_by=lambda look: look[:3],
)
DAYS = st.lists(st.integers(0, LAST), max_size=4)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LOOKS, LOOKS, DAYS, st.permutations(range(LAST + 1)))
def test_any_order_of_days_gives_the_same(
    platform: Platform,
    taken: pl.DataFrame,
    looks: list[tuple[int, int, int, int]],
    late: list[tuple[int, int, int, int]],
    early_days: list[int],
    order: list[int],
) -> None:
    straight, mixed = new_workspace(platform), new_workspace(platform)
    for name in (straight, mixed):
        take(platform, name, taken)
        observe(platform, name, looks)
    published: set[str] = set()
    reader = platform.lake.reader(mixed)
    for number in early_days:
        make(platform, mixed, number)
        published.update(reader.read(TREND_STORIES)["story_id"])
    for name in (straight, mixed):
        observe(platform, name, late)
    make(platform, straight, 0, LAST)
    for number in order:
        make(platform, mixed, number)
        published.update(reader.read(TREND_STORIES)["story_id"])

    for one, other in zip(
        rows_of(platform, mixed), rows_of(platform, straight), strict=True
    ):
        assert_frame_equal(one, other)
    in_use = set(reader.read(TREND_STORIES)["story_id"])
    aliases = dict(reader.read(STORY_ALIASES)["former_story_id", "story_id"].rows())
    assert set(aliases) == published - in_use
    assert set(aliases.values()) <= in_use
