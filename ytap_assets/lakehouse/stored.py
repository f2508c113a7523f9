"""The three checks on stored rows of all workspaces.

Belongs here: checks of rows as the lake has them. Does not belong here: checks before a write
(`checks`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import polars as pl

from ytap_assets.lakehouse.checks import CheckName, CheckResult, check_key, check_schema
from ytap_assets.tables import Table

STORED_CHECKS: dict[CheckName, str] = {
    "schema": "Stored values match the declared types, patterns and null constraints.",
    "key": "No key column is null, and the key is unique among the checked rows.",
    "partition": "Every row belongs to an existing workspace, and no row is dated in the future.",
}


def columns_to_check(table: Table) -> list[str]:
    """The columns that are checked: all but bytes, which are large and have no rules."""
    return [column.name for column in table.columns if column.dtype != pl.Binary]


def check_stored(
    table: Table, frame: pl.DataFrame, *, workspace_ids: Collection[str], today: date
) -> tuple[CheckResult, ...]:
    """Check rows of all workspaces.

    Args:
        table: The table of the rows.
        frame: The rows, with the columns of `columns_to_check`.
        workspace_ids: The existing workspaces.
        today: The last day that a row may have.

    Returns:
        The results of ``schema``, ``key`` and ``partition``.
    """
    return (
        check_schema(table, frame, columns=columns_to_check(table)),
        check_key(table, frame, is_stored=True),
        _check_owners(frame, workspace_ids, today),
    )


def _check_owners(frame: pl.DataFrame, workspace_ids: Collection[str], today: date) -> CheckResult:
    """Find rows of a workspace that does not exist, or of a day in the future."""
    is_known = pl.col("workspace_id").is_in(list(workspace_ids)).fill_null(value=False)
    day = pl.col("day") if "day" in frame.columns else pl.lit(today)
    is_past = (day <= today).fill_null(value=False)
    reason = (
        pl.when(is_known).then(pl.lit(f"up to {today}")).otherwise(pl.lit("an existing workspace"))
    )
    bad = (
        frame.select("workspace_id", day=day)
        .with_row_index("row")
        .filter(~(is_known & is_past))
        .select(
            pl.lit("workspace_id, day").alias("column"),
            reason.alias("check"),
            pl.concat_str(
                "workspace_id", pl.col("day").cast(pl.String), separator=" ", ignore_nulls=True
            ).alias("case"),
            pl.col("row").cast(pl.Int64),
        )
    )
    return CheckResult("partition", bad)
