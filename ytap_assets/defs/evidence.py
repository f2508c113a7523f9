"""The evidence tables in the graph: written beside the rows they are evidence of.

They have no step of their own. Whoever collects appends to them in the same commit as the rows, so
they are shown as downstream of the collectors, and their checks look at what is stored.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from ytap_assets.defs.checks import check_specs, evaluate_stored
from ytap_assets.defs.table_assets import OWNERS, definition_metadata, show_beside
from ytap_assets.lakehouse.stored import STORED_CHECKS, check_stored, columns_to_check
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS

EVIDENCE = (COLLECTION_LOG, RAW_PAYLOADS, QUARANTINED_ROWS)
_COLLECTORS = ("raw_trends", "video_metrics")
_CHECKED_DAYS = 7


def evidence_specs() -> list[dg.AssetSpec]:
    """The evidence tables, as assets that others write."""
    return [
        dg.AssetSpec(
            key=table.name,
            deps=list(_COLLECTORS),
            description=table.description,
            group_name=table.group,
            owners=OWNERS,
            kinds={"duckdb"},
            metadata=definition_metadata(table),
        )
        for table in EVIDENCE
    ]


def evidence_checks() -> dg.AssetChecksDefinition:
    """The checks that every table has, over what is stored since a week ago, of all workspaces."""

    @dg.multi_asset_check(
        name="evidence_checks",
        specs=[spec for table in EVIDENCE for spec in check_specs(table, texts=STORED_CHECKS)],
    )
    def check_evidence(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        show_beside(context.op_execution_context, platform, EVIDENCE, anew=True)
        today = platform.now().date()
        since = today - timedelta(days=_CHECKED_DAYS - 1)
        reader = platform.lake.cross_reader()
        for table in EVIDENCE:
            columns = columns_to_check(table)
            frame = reader.read_across(table, days=(since, date.max), columns=columns)
            results = check_stored(
                table, frame, workspace_ids=platform.workspaces.ids(), today=today
            )
            yield from evaluate_stored(table, results, f"all workspaces since {since}")

    return check_evidence
