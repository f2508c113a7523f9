"""Every table of the lake. The one place a column is declared; everything else is generated.

A table is a pandera model (its columns and structural checks) and a `Table` (its key, partitioning
and storage). The lake's schema, the asset checks, the UI's column descriptions and the docs all
come from here. To add one, declare it in the module of its subject: every `Table` of these modules
is in `TABLES`. List it in the imports and in `__all__` below, since other packages import it from
here.
"""

from __future__ import annotations

from types import ModuleType

from ytap_assets.tables import evidence, production, trends, workspaces
from ytap_assets.tables.base import Column, Table
from ytap_assets.tables.evidence import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    ERASURES,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
)
from ytap_assets.tables.production import (
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    SCRIPT_STATES,
)
from ytap_assets.tables.trends import (
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
)
from ytap_assets.tables.workspaces import (
    ACCOUNTS,
    CHANNELS,
    PUSHED_CONFIGS,
    PUSHED_FILES,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    WORKSPACES,
)

__all__ = [
    "ACCOUNTS",
    "CHANNELS",
    "COLLECTION_COVERAGE",
    "COLLECTION_LOG",
    "ERASURES",
    "INBOX_CURSORS",
    "INBOX_LINES",
    "PRODUCTION_EVENTS",
    "PRODUCTION_RECORDS",
    "PUSHED_CONFIGS",
    "PUSHED_FILES",
    "QUARANTINED_ROWS",
    "RAW_PAYLOADS",
    "RAW_TRENDS",
    "SCORED_TRENDS",
    "SCRIPT_STATES",
    "SOURCE_PERFORMANCE",
    "STORY_ALIASES",
    "TABLES",
    "TREND_STORIES",
    "VIDEOS",
    "VIDEO_METRICS",
    "WORKSPACES",
    "WORKSPACE_REPORTS",
    "Column",
    "Table",
    "collect_tables",
]


def collect_tables(*modules: ModuleType) -> dict[str, Table]:
    """The tables that modules declare, by name, in the order of the modules and declarations.

    Raises:
        ValueError: Two tables have one name; in the lake they would be one table.
    """
    tables: dict[str, Table] = {}
    for module in modules:
        for table in vars(module).values():
            if isinstance(table, Table) and tables.setdefault(table.name, table) is not table:
                raise ValueError(f"{module.__name__}: duplicate table {table.name!r}")
    return tables


TABLES = collect_tables(evidence, production, workspaces, trends)
"""Every table by its name."""
