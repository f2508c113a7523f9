from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ytap_assets.domain.metrics import engagement_rate_pct, is_settled

Vectors = Callable[[str], list[dict[str, Any]]]
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_worked_engagement(vectors: Vectors) -> None:
    for case in vectors("engagement"):
        counts = [case[name] for name in ("views", "likes", "comments", "shares")]
        rate = engagement_rate_pct(*counts)
        assert rate == pytest.approx(case["engagement_rate_pct"], abs=0.005), case


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
