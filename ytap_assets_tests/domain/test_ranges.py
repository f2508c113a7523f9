from __future__ import annotations

import math

import polars as pl
from polars.testing import assert_frame_equal

from ytap_assets.domain.ranges import flag_ranges
from ytap_assets.tables import TABLES, VIDEO_METRICS, Column


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
