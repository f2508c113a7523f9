from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.scoring.items import (
    GrowthCurves,
    latest_observations,
    measure_gains,
    measure_items,
    merge_observations,
)
from ytap_assets.domain.source_profiles import GrowthCurve
from ytap_assets.tables import RAW_TRENDS
from ytap_assets_tests.effort import examples

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ITEM = ["workspace_id", "day", "source", "item_id"]
NO_GAINS = measure_gains(RAW_TRENDS.empty())
MEASURES = ["momentum_basis", "engagement_per_hour", "expected_engagement", "rank_share"]


def observation(minute: float = 0, **given_values: Any) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": DAY,
        "source": "reddit",
        "item_id": "1",
        "observed_at": NOON + timedelta(minutes=minute),
        "title": "A title",
        "collection_id": "c",
        **given_values,
    }


def measure(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Measures of items given as rows of raw_trends with ``hours_old``."""
    ages = [row.pop("hours_old", None) for row in rows]
    frame = RAW_TRENDS.frame([observation(**{"item_id": str(i), **r}) for i, r in enumerate(rows)])
    frame = frame.with_columns(pl.Series("hours_old", ages, dtype=pl.Float64))
    return measure_items(merge_observations(frame), NO_GAINS).select(MEASURES).to_dicts()


def gains(*rows: dict[str, Any]) -> list[tuple[int, float | None]]:
    found = measure_gains(merge_observations(RAW_TRENDS.frame(list(rows)))).sort("item_id")
    return found.select("observation_count", "gained_per_hour").rows()


@pytest.mark.parametrize(
    ("counts", "basis"),
    [
        ({"points": 3, "views": 5, "hours_old": 1.0}, "points"),
        ({"views": 5, "likes": 2, "comments": 1, "hours_old": 1.0}, "views"),
        ({"likes": 2, "comments": 1, "hours_old": 1.0}, "likes"),
        ({"comments": 1, "hours_old": 1.0}, "comments"),
        ({"points": 3, "rank": 2}, "rank"),
        ({"rank": 2, "hours_old": 1.0}, "rank"),
        ({"points": 3}, "unknown"),
        ({"hours_old": 1.0}, "unknown"),
        ({"rank": 0, "hours_old": 1.0}, "unknown"),
    ],
)
def test_says_what_speaks_for_an_item(counts: dict[str, Any], basis: str) -> None:
    (measures,) = measure(counts)
    assert measures["momentum_basis"] == basis
    counted = basis not in {"rank", "unknown"}
    assert (measures["engagement_per_hour"] is not None) == counted
    assert (measures["expected_engagement"] is not None) == counted
    assert (measures["rank_share"] is not None) == (basis == "rank")


def test_speed_is_by_age_and_young_items_count_as_eighteen_minutes_old() -> None:
    old, young, new = measure(
        {"points": 1000, "hours_old": 10.0},
        {"points": 6, "hours_old": 0.01},
        {"points": 6, "hours_old": 0.0},
    )
    assert old["engagement_per_hour"] == pytest.approx(100, rel=1e-6)
    assert young["engagement_per_hour"] == pytest.approx(20, rel=1e-6)
    assert new["engagement_per_hour"] == pytest.approx(20)


def test_expected_is_the_count_over_the_share_gathered_by_its_age() -> None:
    (measures,) = measure({"points": 99, "hours_old": 1.0})
    share = 1 - math.exp(-(1 / 0.5 + 0.2))
    assert measures["expected_engagement"] == pytest.approx(100 / share / (1 + (1 / 24) ** 2))


def test_what_is_old_fades() -> None:
    day, year = measure(
        {"points": 10_000, "hours_old": 24.0}, {"points": 10_000, "hours_old": 8760.0}
    )
    assert day["expected_engagement"] == pytest.approx(10_001 / 2)
    assert year["expected_engagement"] < 1


def test_each_source_has_its_course() -> None:
    curves = GrowthCurves({"hn": GrowthCurve(1, 1, 1)}, other=GrowthCurve(2, 2, 2))
    rows = RAW_TRENDS.frame(
        [observation(source=source, points=10, item_id=source) for source in ("hn", "lobsters")]
    ).with_columns(hours_old=pl.lit(0.0))
    measured = measure_items(merge_observations(rows), NO_GAINS, curves)
    assert measured["engagement_per_hour"].to_list() == [10.0, 5.0]


@pytest.mark.parametrize(
    ("gained", "left"),
    [
        (None, 1.0),
        (500.0, 1.0),
        (100.0, 1.0),
        (50.0, 0.5**0.2),
        (25.0, 0.25**0.2),
        (0.0, 0.25**0.2),
    ],
)
def test_what_slows_down_loses_a_little_of_its_pace(gained: float | None, left: float) -> None:
    item = RAW_TRENDS.frame([observation(points=1000)]).with_columns(hours_old=pl.lit(10.0))
    seen = measure_gains(item).with_columns(gained_per_hour=pl.lit(gained, pl.Float64))
    assert measure_items(merge_observations(item), seen)["velocity"].item() == pytest.approx(
        100 * left, rel=1e-6
    )


def test_rank_is_taken_within_its_list_which_is_at_least_25_long() -> None:
    ranks = measure(
        {"rank": 1, "category": "rust"},
        {"rank": 5, "category": "rust"},
        {"rank": 1, "category": "python"},
        {"rank": 99, "category": "python"},
    )
    assert [row["rank_share"] for row in ranks] == [1 / 26, 5 / 26, 1 / 100, 99 / 100]


def test_a_rank_fades_with_age_where_that_is_known() -> None:
    week = {"rank": 1, "source": "reddit", "hours_old": 168.0}
    fresh, day, old = (
        measure({**week, "hours_old": hours})[0]["rank_share"] for hours in (0.0, 24.0, 168.0)
    )
    assert fresh == 1 / 26
    assert day == pytest.approx(2 / 26)
    assert old == 25 / 26


@pytest.mark.parametrize("age", [0.0, 1e-9, 87_600.0, 1e9])
@pytest.mark.parametrize("count", [-(10**15), 0, 1, 10**15, 2**63 - 1])
def test_no_count_or_age_gives_an_impossible_measure(age: float, count: int) -> None:
    (measures,) = measure({"points": count, "hours_old": age})
    for name in ("engagement_per_hour", "expected_engagement"):
        assert math.isfinite(measures[name])
        assert measures[name] >= 0


@settings(max_examples=examples(40))
@given(
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.floats(0, 1e5),
    st.sampled_from(["reddit", "hn", "youtube", "other"]),
)
def test_more_counts_never_measure_less(few: int, more: int, age: float, source: str) -> None:
    low, high = measure(
        {"points": min(few, more), "hours_old": age, "source": source},
        {"points": max(few, more), "hours_old": age, "source": source},
    )
    assert low["engagement_per_hour"] <= high["engagement_per_hour"]
    assert low["expected_engagement"] <= high["expected_engagement"]


def test_one_look_tells_no_gain() -> None:
    assert gains(observation(points=10)) == [(1, None)]


def test_gain_is_what_was_added_between_the_looks() -> None:
    assert gains(observation(0, points=10), observation(30, points=60)) == [(2, 100.0)]


def test_votes_that_fall_are_no_loss() -> None:
    assert gains(observation(0, points=60), observation(30, points=10)) == [(2, 0.0)]


def test_gain_is_since_the_latest_look_a_quarter_of_an_hour_earlier() -> None:
    observed = [observation(m, points=p) for m, p in ((0, 0), (60, 500), (80, 590), (90, 600))]
    assert gains(*observed) == [(4, 200.0)]


def test_looks_too_close_together_tell_no_gain() -> None:
    assert gains(observation(0, points=1), observation(1, points=9)) == [(2, None)]


def test_different_counts_are_not_compared() -> None:
    assert gains(observation(0, points=1), observation(60, views=900)) == [(2, None)]


def test_what_came_too_late_is_no_look() -> None:
    late = observation(3 * 24 * 60, points=5000)
    assert gains(observation(0, points=10), observation(60, points=20), late) == [(2, 10.0)]


def test_late_looks_count_for_an_item_that_was_not_seen_in_time() -> None:
    late = [observation(3 * 24 * 60 + m, points=m) for m in (0, 60)]
    assert gains(*late) == [(2, 60.0)]


def test_items_are_those_of_the_latest_observations() -> None:
    rows = RAW_TRENDS.frame(
        [observation(m, points=m, item_id=str(m % 7)) for m in range(0, 6000, 30)]
    )
    assert_frame_equal(
        measure_gains(rows).select(ITEM),
        latest_observations(rows).select(ITEM),
        check_row_order=False,
    )


@settings(max_examples=examples(40))
@given(st.permutations(range(8)), st.lists(st.integers(0, 10**15), min_size=8, max_size=8))
def test_the_order_of_rows_changes_no_gain(order: list[int], points: list[int]) -> None:
    rows = [observation(20 * i, points=p, item_id=str(i % 3)) for i, p in enumerate(points)]
    assert gains(*rows) == gains(*(rows[i] for i in order))


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.floats(0, 4000), st.integers(0, 10**15)), min_size=1, max_size=6))
def test_a_gain_is_never_negative(observed: list[tuple[float, int]]) -> None:
    unique = {round(minute): points for minute, points in observed}
    ((_, gained),) = gains(*(observation(m, points=p) for m, p in unique.items()))
    assert gained is None or (math.isfinite(gained) and gained >= 0)


def test_the_order_of_rows_changes_no_measure() -> None:
    rows = [
        {"points": 10 * i, "rank": i, "hours_old": float(i) if i % 3 else None, "item_id": str(i)}
        for i in range(1, 20)
    ]
    shuffled = random.Random(1).sample(rows, len(rows))
    key = [row["item_id"] for row in rows]
    key_shuffled = [row["item_id"] for row in shuffled]
    first = dict(zip(key, measure(*map(dict, rows)), strict=True))
    second = dict(zip(key_shuffled, measure(*map(dict, shuffled)), strict=True))
    assert first == second
