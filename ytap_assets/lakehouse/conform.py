"""Convert a frame to its table's columns and types without loss.

Belongs here: column order by name, and lossless casts. Does not belong here: checks of values
(`checks`).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from ytap_assets.tables import Table

_EPOCH = date(1970, 1, 1)
_FIRST_DAY = (date.min - _EPOCH).days
_LAST_DAY = (date.max - _EPOCH).days
_UNITS_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


def conform(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Convert a frame to the table's column order and types.

    Only lossless casts are made. A missing column, an undeclared column, a type that needs a lossy
    cast, and a date outside the years 1 to 9999 are problems.

    Returns:
        The converted frame and no problems, or the frame as it was and its problems (`CASES`).
    """
    expressions: list[pl.Expr] = []
    problems: list[dict[str, object]] = [
        {"column": name, "check": "declared", "case": "unexpected column"}
        for name in sorted(set(frame.columns) - set(table.schema))
    ]
    for name, dtype in table.schema.items():
        if name not in frame.columns:
            problems.append({"column": name, "check": "present", "case": "missing column"})
        elif (
            frame.schema[name].is_temporal()
            and (outside := outside_calendar(frame.get_column(name))).any()
        ):
            case = {"column": name, "check": "type", "case": "outside the years 1 to 9999"}
            problems += [{**case, "row": row} for row in outside.arg_true()]
        elif frame.schema[name] == dtype:
            expressions.append(pl.col(name))
        elif _widens(frame.schema[name], dtype):
            expressions.append(pl.col(name).cast(dtype))
        else:
            what = f"{frame.schema[name]} instead of {dtype}"
            problems.append({"column": name, "check": "type", "case": what})
    return (frame, problems) if problems else (frame.select(expressions), problems)


def outside_calendar(values: pl.Series) -> pl.Series:
    """Mark dates and instants that Python cannot represent; nulls are not marked."""
    if values.dtype == pl.Date:
        per_day = 1
    elif isinstance(values.dtype, pl.Datetime) and values.dtype.time_unit in _UNITS_PER_DAY:
        per_day = _UNITS_PER_DAY[values.dtype.time_unit]
    else:  # 64-bit nanoseconds cannot leave the calendar
        return pl.repeat(value=False, n=values.len(), dtype=pl.Boolean, eager=True)
    inside = values.to_physical().is_between(
        _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day, closed="left"
    )
    return ~inside.fill_null(value=True)


def _widens(have: pl.DataType, want: pl.DataType) -> bool:
    """Whether every value of one type can be represented in the other."""
    if have == pl.Null:
        return True
    if want == pl.Int64:
        return have.is_integer() and have not in (pl.UInt64, pl.Int128, pl.UInt128)
    if want == pl.Float64:
        return have == pl.Float32 or have in (
            pl.Int8,
            pl.Int16,
            pl.Int32,
            pl.UInt8,
            pl.UInt16,
            pl.UInt32,
        )
    if isinstance(want, pl.Datetime) and isinstance(have, pl.Datetime):
        return have.time_zone is not None and have.time_unit in ("us", "ms")
    if isinstance(want, pl.List) and isinstance(have, pl.List):
        return have.inner == pl.Null
    return want == pl.String and have in (pl.Categorical, pl.Enum)
