"""A present is compared with what was done before it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ytap_assets.domain.plausibility import doubt_clock, doubt_expiry, doubt_retention

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()


def ago(*days: float) -> list[datetime]:
    return [NOW - timedelta(days=one) for one in days]


@pytest.mark.parametrize(
    "commits",
    [
        [],
        ago(0),
        ago(40, 2, 1, 0.1),
        ago(89),  # switched off for three months
        ago(150, 61, 0),  # for two
        ago(300, 100, *range(15, 0, -1)),  # for longer, and two weeks of work since
        ago(2, 1, -0.01),  # another machine's clock is a quarter of an hour ahead
        ago(2, -1200, -1201, 1),  # it was ahead, and is right again
        ago(2, 700, 1),  # it was behind, and is right again
    ],
)
def test_a_plausible_present(commits: list[datetime]) -> None:
    assert doubt_clock(commits, NOW) is None


@pytest.mark.parametrize(
    ("commits", "reason"),
    [
        (ago(1200), "no commit for 1200 days between 2023-08-08 12:00 UTC and 2026-11-20 12:00"),
        (ago(1201, 1200, 1, 0.5), "no commit for 1199 days between"),  # jobs ran before
        (ago(110, 13, 12), "no commit for 97 days"),
        (ago(2, 1, -0.1), "before the newest commit of 2026-11-20 14:24 UTC"),
    ],
)
def test_an_implausible_present(commits: list[datetime], reason: str) -> None:
    found = doubt_clock(commits, NOW)
    assert found is not None
    assert found.startswith("the clock says 2026-11-20 12:00 UTC")
    assert reason in found


@pytest.mark.parametrize(
    ("ages", "is_doubted"),
    [
        ([*range(40, 30, -1), 0], True),  # 10 of 11
        ([*range(40, 31, -1), 0], False),  # ten snapshots are few
        ([*range(39, -1, -1)], False),  # the nightly turn of a month
        ([40] * 90 + [0] * 10, False),
        ([40] * 91 + [0] * 9, True),
        ([40] * 11, True),
    ],
)
def test_nearly_all_of_many_snapshots(ages: list[int], is_doubted: bool) -> None:
    found = doubt_expiry(ago(*ages), NOW - timedelta(days=30))
    assert (found is not None) == is_doubted


@pytest.mark.parametrize(
    ("ages", "is_doubted"),
    [
        (range(184), False),  # every night
        (range(183, 200), False),  # the last rows of a workspace that ended
        (range(60, 240), False),  # two months switched off: 57 of 180 days
        (range(150, 220), True),
        (range(300, 332), True),  # an archive that was imported today
        (range(300, 331), False),
    ],
)
def test_most_rows_of_many_days(ages: range, is_doubted: bool) -> None:
    rows = {TODAY - timedelta(days=age): 20 for age in ages}
    found = doubt_retention(rows, TODAY - timedelta(days=183))
    assert (found is not None) == is_doubted


def test_what_would_go_is_named() -> None:
    rows = {date(2026, 1, 1) + timedelta(days=n): 10 for n in range(40)}
    found = doubt_retention(rows, date(2026, 2, 5))
    assert found == (
        "350 of 400 rows would be deleted, those of 35 days from 2026-01-01 to 2026-02-04"
    )
    assert doubt_retention({}, TODAY) is None
