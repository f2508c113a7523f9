"""Tables without a step of their own in the graph: written beside the rows that they belong to.

The evidence, which collectors append to, the aliases of stories, and what was read of inbox files.
They are written in the same commit as the rows, so they are shown as downstream of whoever writes
them, and their checks look at what is stored.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import dagster as dg

from ytap_assets.defs.checks import check_specs, evaluate_stored
from ytap_assets.defs.run_events import RunEvents
from ytap_assets.defs.table_assets import OWNERS, TableAsset, definition_metadata
from ytap_assets.lakehouse.stored import STORED_CHECKS, check_stored, columns_to_check
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import (
    COLLECTION_LOG,
    INBOX_CURSORS,
    INBOX_LINES,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    STORY_ALIASES,
)

EVIDENCE = (COLLECTION_LOG, RAW_PAYLOADS, QUARANTINED_ROWS)
WRITTEN_BESIDE = (*EVIDENCE, STORY_ALIASES, INBOX_CURSORS, INBOX_LINES)
_CHECKED_DAYS = 7


def evidence_specs(assets: Iterable[TableAsset]) -> list[dg.AssetSpec]:
    """These tables, as assets that others write."""
    writers = {
        table: [one.table.name for one in assets if table in one.beside] for table in WRITTEN_BESIDE
    }
    return [
        dg.AssetSpec(
            key=table.name,
            deps=writers[table],
            description=table.description,
            group_name=table.group,
            owners=OWNERS,
            kinds={"duckdb"},
            metadata=definition_metadata(table),
        )
        for table in WRITTEN_BESIDE
    ]


def evidence_checks() -> dg.AssetChecksDefinition:
    """The checks that every table has, over a week's rows, or all without a day, of everybody."""

    @dg.multi_asset_check(
        name="evidence_checks",
        specs=[
            spec for table in WRITTEN_BESIDE for spec in check_specs(table, texts=STORED_CHECKS)
        ],
    )
    def check_evidence(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        events = RunEvents(context.op_execution_context)
        events.add_row_counts(platform, WRITTEN_BESIDE, anew=True)
        events.flush()
        today = platform.now().date()
        since = today - timedelta(days=_CHECKED_DAYS - 1)
        reader = platform.lake.cross_reader()
        for table in WRITTEN_BESIDE:
            columns = columns_to_check(table)
            days = (since, date.max) if table.by_day else None
            frame = reader.read_across(table, days=days, columns=columns)
            results = check_stored(
                table, frame, workspace_ids=platform.workspaces.ids(), today=today
            )
            yield from evaluate_stored(table, results, f"all workspaces since {since}")

    return check_evidence
