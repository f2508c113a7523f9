from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ytap_assets.domain.metrics import (
    Growth,
    engagement_rate_pct,
    follower_engagement_pct,
    is_settled,
    measure_growth,
    refresh_interval,
    weighted_engagement_pct,
)

Vectors = Callable[[str], list[dict[str, Any]]]
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_worked_engagement(vectors: Vectors) -> None:
    for case in vectors("engagement"):
        views, likes, comments = case["views"], case["likes"], case["comments"]
        rates = {
            "engagement_rate_pct": engagement_rate_pct(views, likes, comments, case["shares"]),
            "weighted_engagement_pct": weighted_engagement_pct(views, likes, comments),
            "follower_engagement_pct": follower_engagement_pct(case["followers"], likes, comments),
        }
        assert rates == {name: pytest.approx(case[name], abs=0.005) for name in rates}, case


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        ((1000, 10, 5, 5), 2.0),
        ((1000, 10, None, None), 1.0),
        ((1000, None, 5, 5), None),
        ((None, 10, 5, 5), None),
        ((0, 10, 5, 5), None),
        ((-1, 10, 5, 5), None),
        ((10, 13, 0, 0), 130.0),
        ((800, 1, 0, 0), 0.12),
        ((2**63 - 1, 2**63 - 1, 2**63 - 1, 0), 200.0),
    ],
)
def test_engagement_where_counts_are_missing(
    counts: tuple[int | None, int | None, int | None, int | None], rate: float | None
) -> None:
    assert engagement_rate_pct(*counts) == rate


def test_rates_without_likes_are_unknown() -> None:
    assert weighted_engagement_pct(100, None, 5) is None
    assert follower_engagement_pct(100, None, 5) is None


def test_worked_growth(vectors: Vectors) -> None:
    for case in vectors("growth"):
        growth = measure_growth(case["before"], case["now"])
        assert growth.growth_pct == pytest.approx(case["growth_pct"], abs=0.005), case
        assert list(growth.warnings) == case["warnings"], case


def test_growth_of_an_impossible_count_is_unknown() -> None:
    assert measure_growth(-5, 10) == Growth(None)
    assert measure_growth(0, -5) == Growth(0.0)


def test_worked_refresh_ladder(vectors: Vectors) -> None:
    for case in vectors("refresh_ladder"):
        every = case["every_hours"]
        expected = None if every is None else timedelta(hours=every)
        assert refresh_interval(timedelta(hours=case["age_hours"])) == expected, case


def test_a_video_that_is_not_out_yet_is_asked_for_hourly() -> None:
    assert refresh_interval(timedelta(hours=-5)) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "settled"),
    [
        (DAY, False),
        (DAY - timedelta(days=3), False),
        (DAY - timedelta(days=4), True),
        (DAY - timedelta(days=400), True),
        (DAY + timedelta(days=1), False),
    ],
)
def test_the_trailing_days_are_not_settled(day: date, settled: bool) -> None:
    assert is_settled(day, NOON) is settled
