"""Rounding as Python does it: by the exact value of the number, halves to the even digit.

Belongs here: the one way this project rounds. Polars scales by a power of ten first, which moves
values such as 2.675 (in truth 2.67499...) to the other side: one in twenty-five of the numbers
with three decimals comes out differently.
"""

from __future__ import annotations

import polars as pl


def round_exactly(value: pl.Expr, decimals: int) -> pl.Expr:
    """`round(value, decimals)` of each value; null stays null."""
    return value.map_batches(
        lambda values: pl.Series(
            values.name,
            [None if one is None else round(one, decimals) for one in values.to_list()],
            dtype=pl.Float64,
        ),
        return_dtype=pl.Float64,
        is_elementwise=True,
    )
