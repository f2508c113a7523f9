from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.quota import PACIFIC, last_quota_reset, next_quota_reset


def test_worked_resets(vectors: Callable[[str], list[dict[str, Any]]]) -> None:
    for case in vectors("quota_reset"):
        reset = next_quota_reset(datetime.fromisoformat(case["at"]))
        assert reset == datetime.fromisoformat(case["next_reset"]), case


def test_any_timezone_will_do() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_quota_reset(at.astimezone(PACIFIC)) == next_quota_reset(at)


@given(st.integers(0, 10 * 366 * 24 * 3600))
def test_a_reset_is_ahead_at_most_a_day_and_at_midnight(seconds: int) -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    reset = next_quota_reset(at)
    assert at < reset <= at + timedelta(hours=25)
    assert last_quota_reset(reset - timedelta(microseconds=1)) <= at
    assert last_quota_reset(reset) == reset
    assert reset.tzinfo is UTC
    assert reset.astimezone(PACIFIC).time().isoformat() == "00:00:00"
