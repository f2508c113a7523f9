from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.rounding import divide_exactly, round_exactly


def rounded(values: list[float | None], decimals: int) -> list[float | None]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Float64})
    return frame.select(round_exactly(pl.col("value"), decimals))["value"].to_list()


def by_python(values: list[float | None], decimals: int) -> list[float | None]:
    return [None if value is None else round(value, decimals) for value in values]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=5),
    st.integers(0, 10),
)
@example([2.675, 1.005, 0.125, -0.125, 8.345, 57.735, 0.5, 1.5, 2.5], 2)
@example([2.675, 4.5e13 + 0.0546875, 2.0**53, 1e300, -1e-320], 2)
def test_rounds_as_python_does(values: list[float | None], decimals: int) -> None:
    assert rounded(values, decimals) == by_python(values, decimals)


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1),
    st.integers(0, 10),
    st.sampled_from([-1, 0, 1]),
)
def test_halves_and_their_neighbours(numbers: list[int], decimals: int, step: int) -> None:
    """What lies exactly between two results, as nearly as a float can say it, and beside it."""
    halves = [(2 * number + 1) / 2 / 10**decimals for number in numbers]
    values = [math.nextafter(half, step * math.inf) if step else half for half in halves]
    assert rounded([*values], decimals) == by_python([*values], decimals)


def test_what_is_not_finite_stays() -> None:
    infinite, minus, nan = rounded([math.inf, -math.inf, math.nan], 2)
    assert (infinite, minus) == (math.inf, -math.inf)
    assert nan is not None
    assert math.isnan(nan)


@pytest.mark.parametrize("decimals", [-1, 11])
def test_only_0_to_10_decimals(decimals: int) -> None:
    with pytest.raises(ValueError, match="decimals"):
        round_exactly(pl.col("value"), decimals)


@settings(deadline=None)
@given(
    st.lists(st.none() | st.floats(-1e15, 1e15), max_size=5),
    st.sampled_from([2.0, 50.0, 1000.0, 3.6e9, 0.3]),
)
@example([2675.0, 5773.0, None], 1000.0)
def test_divides_as_python_does(values: list[float | None], divisor: float) -> None:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Float64})
    quotients = frame.select(divide_exactly(pl.col("value"), divisor))["value"].to_list()
    assert quotients == [None if value is None else value / divisor for value in values]
