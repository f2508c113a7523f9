from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.scoring.items import (
    ItemConfig,
    base_score_columns,
    engagement_columns,
    hours_old_column,
    latest_observations,
    merge_observations,
    score_items,
)
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.tables import RAW_TRENDS, TREND_STORIES
from ytap_assets_tests.effort import examples
from ytap_assets_tests.storable import check_storable

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
END_OF_DAY = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)


def observation(**given_values: Any) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": DAY,
        "source": "hn",
        "item_id": "1",
        "observed_at": NOON,
        "published_at": NOON,
        "title": "A title",
        "url": "https://example.com/a",
        "points": 1000,
        "collection_id": "c",
        **given_values,
    }


def score(*rows: dict[str, Any], **settings_: Any) -> list[dict[str, Any]]:
    frame = RAW_TRENDS.frame([observation(**row) for row in rows])
    frame = score_items(frame, configs={"tech": ItemConfig(**settings_)})
    return frame.to_dicts()


def test_worked_base_scores(vectors: Callable[[str], list[dict[str, Any]]]) -> None:
    cases = pl.DataFrame(vectors("base_score")).with_columns(pl.col("hours_old").cast(pl.Float64))
    scored = cases.rename({"base_score": "expected"}).with_columns(*base_score_columns({}))
    off = scored.filter((pl.col("base_score") - pl.col("expected")).abs() > 0.01)
    assert off.rows(named=True) == []
    assert scored.height > 0


@pytest.mark.parametrize(
    ("counts", "engagement", "basis"),
    [
        ({"points": 3, "comments": 4}, 7.0, "points+comments"),
        ({"points": 3}, 3.0, "points"),
        ({"points": 0, "comments": 0, "views": 500}, 0.0, "points+comments"),
        ({"likes": 3, "comments": 4, "views": 10**6}, 7.0, "likes+comments"),
        ({"likes": 3, "views": 10**6}, 3.0, "likes"),
        ({"views": 500}, 10.0, "views/50"),
        ({"views": 500, "comments": 4}, 10.0, "views/50"),
        ({"comments": 4}, 4.0, "comments"),
        ({}, None, "none"),
        ({"points": 2**63 - 1, "comments": 2**63 - 1}, 2.0**64, "points+comments"),
    ],
)
def test_engagement_says_what_it_counts(
    counts: dict[str, int], engagement: float | None, basis: str
) -> None:
    schema = dict.fromkeys(("points", "comments", "likes", "views"), pl.Int64)
    frame = pl.DataFrame([counts], schema=schema).select(*engagement_columns(50))
    assert frame.rows() == [(engagement, basis)]


def test_views_per_engagement_is_a_setting() -> None:
    (story,) = score({"source": "youtube", "points": None, "views": 5000}, views_per_engagement=25)
    assert (story["engagement"], story["engagement_basis"]) == (200.0, "views/25")


@pytest.mark.parametrize(
    ("published_at", "hours_old"),
    [
        (NOON - timedelta(hours=3, minutes=30), 3.5),
        (NOON + timedelta(hours=3), 0.0),
        (None, None),
    ],
)
def test_age_is_counted_from_the_observation(
    published_at: datetime | None, hours_old: float | None
) -> None:
    frame = RAW_TRENDS.frame([observation(published_at=published_at)])
    assert frame.select(hours_old_column()).rows() == [(hours_old,)]


def test_a_later_backfill_leaves_the_day_as_it_was() -> None:
    seen = {"published_at": NOON - timedelta(hours=4), "points": 200}
    weeks_later = {**seen, "points": 900, "observed_at": NOON + timedelta(days=19)}
    assert score(seen, weeks_later) == score(seen)


def test_the_look_of_the_next_morning_counts_at_the_days_end() -> None:
    seen = {"published_at": NOON - timedelta(hours=4), "points": 200}
    (story,) = score(seen, {**seen, "points": 900, "observed_at": NOON + timedelta(hours=16)})
    assert (story["engagement"], story["observed_at"]) == (900, END_OF_DAY)
    assert story["hours_old"] == pytest.approx(15.9997, abs=1e-4)


def test_what_only_a_backfill_saw_is_as_old_as_on_its_day() -> None:
    late = {"published_at": NOON, "points": 900, "observed_at": NOON + timedelta(days=19)}
    (story,) = score(late)
    assert (story["engagement"], story["observed_at"]) == (900, END_OF_DAY)
    assert story["hours_old"] == pytest.approx(12, abs=1e-3)


def merge(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return merge_observations(RAW_TRENDS.frame([observation(**row) for row in rows])).to_dicts()


def test_an_item_of_several_lists_stands_where_it_stands_highest() -> None:
    american: dict[str, Any] = {"list_name": "chart", "region": "US", "category": "24", "rank": 7}
    canadian: dict[str, Any] = {"list_name": "chart", "region": "CA", "category": "10", "rank": 2}
    found: dict[str, Any] = {"list_name": "search", "rank": None}
    for rows in permutations((american, canadian, found)):
        (row,) = merge(*rows)
        place = (row["list_name"], row["region"], row["category"], row["rank"])
        assert place == ("chart", "CA", "10", 2)
        assert row["list_length"] == 2


def test_the_parts_of_an_observation_complete_each_other() -> None:
    rows: tuple[dict[str, Any], ...] = (
        {"views": 100, "points": None, "title": "First", "url": None, "part": 0},
        {"views": None, "points": 5, "title": "Second", "url": "https://b.example", "part": 1},
        {"views": 120, "points": 4, "title": "First", "url": None, "part": 2},
    )
    for order in permutations(rows):
        (row,) = merge(*order)
        assert (row["views"], row["points"], row["likes"]) == (120, 5, None)
        assert (row["title"], row["url"]) == ("First", "https://b.example")


def test_looks_at_different_times_are_not_merged() -> None:
    later = {"observed_at": NOON + timedelta(minutes=20), "points": None, "rank": 1}
    rows = merge({"points": 900}, later)
    assert sorted((row["observed_at"], row["points"]) for row in rows) == [
        (NOON, 900),
        (NOON + timedelta(minutes=20), None),
    ]


def test_a_list_is_as_long_as_its_lowest_rank_of_the_day() -> None:
    rows = merge(
        {"item_id": "1", "list_name": "US", "category": "24", "rank": 1},
        {"item_id": "2", "list_name": "US", "category": "10", "rank": 200},
        {"item_id": "3", "list_name": "US/10", "category": "10", "rank": 30},
        {"item_id": "4", "list_name": "", "category": "24", "rank": 5},
        {"item_id": "5", "list_name": "", "category": "10", "rank": 6},
    )
    assert [row["list_length"] for row in rows] == [200, 200, 30, 5, 6]


def test_lists_of_one_instant_are_one_look() -> None:
    lists = [{"list_name": name, "rank": rank} for name, rank in (("hot", 9), ("new", 3))]
    (item,) = score(*lists, {"observed_at": NOON + timedelta(hours=1), "points": 1500})
    assert (item["observation_count"], item["gained_per_hour"]) == (2, 500.0)


def test_nothing_known_scores_nothing() -> None:
    (story,) = score({"points": None, "published_at": None})
    assert story["hours_old"] is None
    assert story["engagement"] is None
    assert (story["engagement_score"], story["recency_score"], story["base_score"]) == (0, 0, 0)
    assert story["engagement_basis"] == "none"


def test_an_item_in_full() -> None:
    (item,) = score({"comments": 234, "published_at": NOON - timedelta(hours=4)})
    expected = {
        "workspace_id": "tech",
        "day": DAY,
        "source": "hn",
        "item_id": "1",
        "title": "A title",
        "canonical_url": "https://example.com/a",
        "url": "https://example.com/a",
        "discussion_url": None,
        "published_at": NOON - timedelta(hours=4),
        "observed_at": NOON,
        "observation_count": 1,
        "engagement": 1234.0,
        "engagement_basis": "points+comments",
        "hours_old": 4.0,
        "momentum_basis": "points",
        "gained_per_hour": None,
        "engagement_score": 1.234,
        "recency_score": 8.0,
        "source_weight": 1.2,
        "is_spam": False,
        "spam_reasons": [],
        "base_score": 11.08,
    }
    assert {name: item[name] for name in expected} == expected


def test_no_trends_give_no_items() -> None:
    assert score_items(RAW_TRENDS.empty()).is_empty()


def test_spam_keeps_a_tenth() -> None:
    (story,) = score({"points": 49})
    assert story["is_spam"]
    assert story["spam_reasons"] == ["minimum_engagement: 49 points, at least 50"]
    assert story["base_score"] == round((0.049 + 10) * 1.2 * 0.1, 2)
    (story,) = score({"points": 49}, spam_rules=SpamRules(minimums={}))
    assert not story["is_spam"]


def test_weights_come_from_the_workspace() -> None:
    weights = {"hn": 2.0, "mastodon": 0.5}
    stories = score(
        {"item_id": "1", "url": "https://a.example"},
        {"item_id": "2", "url": "https://b.example", "source": "mastodon"},
        {"item_id": "3", "url": "https://c.example", "source": "reddit"},
        {"item_id": "4", "url": "https://d.example", "source": "tiktok"},
        source_weights=weights,
    )
    assert {story["source"]: story["source_weight"] for story in stories} == {
        "hn": 2.0,
        "mastodon": 0.5,
        "reddit": 1.0,
        "tiktok": 1.0,
    }


def test_the_latest_observation_of_the_day_counts() -> None:
    stories = score(
        {"points": 300, "title": "Edited"},
        {"points": 900, "observed_at": NOON - timedelta(hours=1)},
        {"points": 100, "observed_at": NOON - timedelta(days=1), "day": DAY - timedelta(days=1)},
    )
    assert [(story["day"], story["engagement"], story["title"]) for story in stories] == [
        (DAY - timedelta(days=1), 100.0, "A title"),
        (DAY, 300.0, "Edited"),
    ]


def test_items_without_a_page_stay_apart() -> None:
    stories = score(
        {"item_id": "1", "url": None, "discussion_url": "http://news.ycombinator.com/item?id=1"},
        {"item_id": "2", "url": None},
        {"item_id": "3", "url": " "},
        {"item_id": "3", "url": "", "source": "reddit"},
        {"item_id": "4", "url": "n/a", "discussion_url": "https://redd.it/4"},
        {"item_id": "5", "url": "https://www.nytimes.com/", "discussion_url": "http://"},
    )
    assert sorted(story["canonical_url"] for story in stories) == [
        "hn:2",
        "hn:3",
        "hn:5",
        "https://news.ycombinator.com/item?id=1",
        "https://www.reddit.com/comments/4",
        "reddit:3",
    ]


counts = st.one_of(st.none(), st.integers(-10, 10**7), st.integers(-(2**63), 2**63 - 1))
instants = st.integers(-20_000, 20_000).map(lambda minutes: NOON + timedelta(minutes=minutes))
observations = st.fixed_dictionaries(
    {
        "day": st.sampled_from([DAY, DAY + timedelta(days=1)]),
        "source": st.sampled_from(["hn", "reddit", "youtube", "youtube_channel", "tiktok"]),
        "item_id": st.sampled_from(["1", "2", "3", "x"]),
        "observed_at": instants,
        "published_at": st.one_of(st.none(), instants),
        "title": st.text(max_size=20),
        "url": st.one_of(
            st.none(),
            st.text(max_size=10),
            st.sampled_from(
                ["https://a.example/1", "http://www.a.example/1/", "https://b.example"]
            ),
        ),
        "points": counts,
        "comments": counts,
        "likes": counts,
        "views": counts,
        "is_promoted": st.one_of(st.none(), st.booleans()),
        "rank": st.one_of(st.none(), st.integers(1, 3)),
        "list_name": st.sampled_from(["hot", "new"]),
        "part": st.integers(0, 1),
    }
).map(lambda values: observation(**values))
trends = st.lists(
    observations,
    max_size=12,
    unique_by=lambda row: tuple(row[name] for name in ("source", "item_id", "observed_at", "part")),
).map(RAW_TRENDS.frame)


@settings(max_examples=examples(25))
@given(trends, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(frame: pl.DataFrame, chance: random.Random) -> None:
    order = list(range(frame.height))
    chance.shuffle(order)
    assert_frame_equal(score_items(frame[order]), score_items(frame))


@settings(max_examples=examples(25))
@given(trends)
def test_scoring_a_range_is_scoring_its_days(frame: pl.DataFrame) -> None:
    days = [score_items(frame.filter(pl.col("day") == day)) for day in sorted(set(frame["day"]))]
    whole = score_items(frame)
    assert_frame_equal(whole, pl.concat([whole.clear(), *days]))


@settings(max_examples=examples(15))
@given(st.lists(trends, min_size=3, max_size=3))
def test_workspaces_together_are_scored_as_one_at_a_time(frames: list[pl.DataFrame]) -> None:
    own = ItemConfig({"hn": 3.0}, 10.0, SpamRules(blocklist=("free robux",), minimums={}))
    configs = {"a": own, "b": own}  # the third has none
    each = [
        frame.with_columns(workspace_id=pl.lit(name))
        for name, frame in zip("abc", frames, strict=True)
    ]
    alone = [score_items(frame, configs=configs) for frame in each]
    assert_frame_equal(score_items(pl.concat(each), configs=configs), pl.concat(alone))


@settings(max_examples=examples(25))
@given(trends)
def test_items_fit_their_table_and_none_is_lost(frame: pl.DataFrame) -> None:
    items = score_items(frame)
    told = {"story_id": pl.lit("s"), "joined_by": pl.lit("first"), "similarity": pl.lit(None)}
    members = items.with_columns(**told).select(TREND_STORIES.schema.names())
    check_storable(TREND_STORIES, members.cast(TREND_STORIES.schema))
    assert items.select(TREND_STORIES.key).is_unique().all()
    assert items.height == latest_observations(frame).height
