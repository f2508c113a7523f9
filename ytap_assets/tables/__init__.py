"""Every table of the lake. The one place a column is declared; everything else is generated.

A table is a pandera model (its columns and structural checks) and a `Table` (its key, partitioning
and storage). The lake's schema, the asset checks, the UI's column descriptions and the docs all
come from here. To add one: declare it in the module of its group and list it in `TABLES`.
"""

from __future__ import annotations

from ytap_assets.tables.base import Column, Rows, Table
from ytap_assets.tables.evidence import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
)
from ytap_assets.tables.metrics import VIDEO_METRICS
from ytap_assets.tables.production import (
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
)
from ytap_assets.tables.registries import ACCOUNTS, CHANNELS, VIDEOS, WORKSPACES
from ytap_assets.tables.reports import WORKSPACE_REPORTS
from ytap_assets.tables.trends import (
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        WORKSPACES,
        CHANNELS,
        ACCOUNTS,
        RAW_PAYLOADS,
        COLLECTION_LOG,
        QUARANTINED_ROWS,
        COLLECTION_COVERAGE,
        RAW_TRENDS,
        TREND_STORIES,
        STORY_ALIASES,
        SCORED_TRENDS,
        SOURCE_PERFORMANCE,
        INBOX_CURSORS,
        INBOX_LINES,
        PRODUCTION_EVENTS,
        PRODUCTION_RECORDS,
        VIDEOS,
        VIDEO_METRICS,
        WORKSPACE_REPORTS,
    )
}

__all__ = [
    "ACCOUNTS",
    "CHANNELS",
    "COLLECTION_COVERAGE",
    "COLLECTION_LOG",
    "INBOX_CURSORS",
    "INBOX_LINES",
    "PRODUCTION_EVENTS",
    "PRODUCTION_RECORDS",
    "QUARANTINED_ROWS",
    "RAW_PAYLOADS",
    "RAW_TRENDS",
    "SCORED_TRENDS",
    "SOURCE_PERFORMANCE",
    "STORY_ALIASES",
    "TABLES",
    "TREND_STORIES",
    "VIDEOS",
    "VIDEO_METRICS",
    "WORKSPACES",
    "WORKSPACE_REPORTS",
    "Column",
    "Rows",
    "Table",
]
