"""Plausibility of clocks, deletions, values and targets."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.domain.plausibility import (
    doubt_clock,
    doubt_expiry,
    doubt_retention,
    find_unresponsive_targets,
    flag_ranges,
)
from ytap_assets.tables import COLLECTION_LOG, TABLES, VIDEO_METRICS, Column

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
        (ago(2, 1, -0.1), "before the newest commit (2026-11-20 14:24 UTC"),
    ],
)
def test_an_implausible_present(commits: list[datetime], reason: str) -> None:
    found = doubt_clock(commits, NOW)
    assert found is not None
    assert found.startswith("the clock")
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
    assert found == "350 of 400 rows would be deleted, of 35 days from 2026-01-01 to 2026-02-04"
    assert doubt_retention({}, TODAY) is None


def ranged(name: str, expected: tuple[float, float] | None) -> Column:
    return Column(name, pl.Float64(), nullable=True, comment="", default=None, expected=expected)


def test_counts_what_lies_outside_and_shows_the_farthest() -> None:
    frame = pl.DataFrame(
        {
            "cost": [0, 3, 4, -1, 9, None],
            "rate": [0.0, 99.9, None, 50.0, 100.0, 1.0],
            "other": [-1, -1, -1, -1, -1, -1],
        }
    )
    columns = (ranged("cost", (0, 3)), ranged("rate", (0, 100)), ranged("other", None))
    assert_frame_equal(
        flag_ranges(frame, columns),
        pl.DataFrame(
            {
                "column": ["cost", "rate"],
                "expected_min": [0.0, 0.0],
                "expected_max": [3.0, 100.0],
                "outside": [3, 0],
                "example": [9.0, None],
            }
        ),
    )


def test_what_is_no_number_is_outside() -> None:
    flagged = flag_ranges(pl.DataFrame({"rate": [math.nan, math.inf]}), [ranged("rate", (0, 1))])
    assert flagged["outside"].to_list() == [2]


def test_a_table_with_impossible_rows_is_flagged_and_kept() -> None:
    row = {"views": 10, "engagement_rate_pct": 130.0, "duration_s": 20}
    flagged = flag_ranges(VIDEO_METRICS.frame([row]), VIDEO_METRICS.columns)
    outside = flagged.filter(pl.col("outside") > 0)
    assert outside.select("column", "example").rows() == [
        ("engagement_rate_pct", 130.0),
        ("duration_s", 20.0),
    ]


def test_no_rows_are_never_outside() -> None:
    for table in TABLES.values():
        flagged = flag_ranges(table.empty(), table.columns)
        assert flagged["outside"].sum() == 0
        assert flagged.height == sum(column.expected is not None for column in table.columns)


def log(*looks: tuple[int, str], target: str = "UC1", **changes: Any) -> list[dict[str, Any]]:
    """Looks at a target: how many days ago, and how each ended."""
    return [
        {
            "workspace_id": "tech",
            "source": "youtube_channel",
            "target": target,
            "outcome": outcome,
            "detail": f"{outcome} {ago} days ago",
            "http_status": 404,
            "started_at": NOW - timedelta(days=ago),
            "day": (NOW - timedelta(days=ago)).date(),
            **changes,
        }
        for ago, outcome in looks
    ]


def silent(*looks: dict[str, Any]) -> pl.DataFrame:
    frame = COLLECTION_LOG.frame([*looks])
    return find_unresponsive_targets(frame, asked_since=NOW.date() - timedelta(days=2))


LOST, ODD, WELL = "transient_error", "malformed", "ok"


@pytest.mark.parametrize(
    ("looks", "days"),
    [
        ([(0, LOST)], None),
        ([(1, LOST), (0, LOST)], None),
        ([(2, LOST), (1, ODD), (0, "permanent_error")], 3),
        ([(3, WELL), (2, LOST), (1, LOST), (0, LOST)], 3),
        ([(2, LOST), (1, WELL), (0, LOST)], None),
        ([(2, LOST), (1, "not_modified"), (0, LOST)], None),
        ([(0, LOST), (0, LOST), (0, LOST), (0, LOST)], None),
        ([(4, LOST), (2, LOST), (0, LOST)], 3),
        ([(9, LOST), (5, LOST), (4, LOST), (3, LOST)], None),
        ([(3, LOST), (2, "quota_exhausted"), (1, "disabled"), (0, LOST)], None),
        ([(3, LOST), (2, LOST), (1, LOST), (0, LOST), (0, WELL)], None),
    ],
)
def test_days_in_a_row_without_an_answer_are_counted(
    looks: list[tuple[int, str]], days: int | None
) -> None:
    found = silent(*log(*looks))
    assert found["days"].to_list() == ([] if days is None else [days])


def test_the_last_look_is_told_and_when_it_began() -> None:
    (row,) = silent(*log((2, LOST), (1, LOST), (0, ODD))).iter_rows(named=True)
    assert row == {
        "workspace_id": "tech",
        "source": "youtube_channel",
        "target": "UC1",
        "days": 3,
        "since": NOW.date() - timedelta(days=2),
        "outcome": "malformed",
        "detail": "malformed 0 days ago",
        "http_status": 404,
    }


def test_a_backfill_in_vain_is_one_look() -> None:
    looks = log(*[(0, LOST)] * 30)
    for number, look in enumerate(looks):
        look["day"] = (NOW - timedelta(days=number)).date()
    assert silent(*looks).is_empty()


def test_targets_and_workspaces_are_told_apart() -> None:
    lost = [(2, LOST), (1, LOST), (0, LOST)]
    found = silent(
        *log(*lost, target="UC1"),
        *log((2, LOST), (1, WELL), (0, LOST), target="UC2"),
        *log(*lost, target="UC2", workspace_id="finance"),
        *log((3, LOST), *lost, target="r/gone", source="reddit"),
    )
    assert found.select("workspace_id", "target", "days").rows() == [
        ("tech", "r/gone", 4),
        ("finance", "UC2", 3),
        ("tech", "UC1", 3),
    ]


def test_nothing_was_asked() -> None:
    assert silent().is_empty()
