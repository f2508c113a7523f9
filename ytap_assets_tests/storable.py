"""Whether rows could be stored, asked as the lake asks it."""

from __future__ import annotations

import polars as pl

from ytap_assets.lakehouse.checks import check_schema
from ytap_assets.tables import Table


def check_storable(table: Table, frame: pl.DataFrame) -> None:
    """Fail where columns, types, nulls or values of a frame are not those of its table.

    The whole pandera model says the same, at two to three times the cost.
    """
    result = check_schema(table, frame)
    assert result.passed, f"{table.name}: {result.summary}"
