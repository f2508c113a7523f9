from __future__ import annotations

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from ytap_assets.domain.rounding import round_exactly


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=5))
@example([2.675, 1.005, 0.125, -0.125, 8.345])
def test_rounds_as_python_does(values: list[float | None]) -> None:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Float64})
    rounded = frame.select(round_exactly(pl.col("value"), 2))["value"].to_list()
    assert rounded == [None if value is None else round(value, 2) for value in values]
