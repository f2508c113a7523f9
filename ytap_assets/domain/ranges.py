"""Which values lie outside the range one expects of the business (SPEC, opening).

Belongs here: counting them. Does not belong here: refusing them. The worst day is the one that
must be seen, so nothing is dropped and nothing is blocked.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ytap_assets.tables import Column

_SCHEMA = pl.Schema(
    {
        "column": pl.String,
        "expected_min": pl.Float64,
        "expected_max": pl.Float64,
        "outside": pl.Int64,
        "example": pl.Float64,
    }
)


def flag_ranges(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Count the values outside each column's expected range.

    Args:
        frame: Rows of a table.
        columns: The table's columns; those without an expected range are passed over.

    Returns:
        One row per column with a range: ``column``, ``expected_min``, ``expected_max``,
        ``outside`` (how many values; null is not outside, NaN is) and ``example`` (of those the
        one farthest out, null where there is none).
    """
    rows = [
        _flag_column(frame[column.name], column.name, *column.expected)
        for column in columns
        if column.expected
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _flag_column(
    values: pl.Series, name: str, low: float, high: float
) -> tuple[str, float, float, int, float | None]:
    numbers = values.cast(pl.Float64).drop_nulls()
    outside = numbers.filter(~numbers.is_between(low, high))
    distance = (low - outside).clip(0) + (outside - high).clip(0)
    farthest = distance.arg_max()
    return name, low, high, len(outside), None if farthest is None else outside[farthest]
