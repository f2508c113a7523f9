"""Fill every table of a workspace, and its folder, with rows whose texts have a marker."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from ytap_assets.file_store import find_store
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.reports.files import name_index, name_report
from ytap_assets.tables import ERASURES, TABLES, WORKSPACES, Table
from ytap_assets.workspaces import Workspace

ROWS = 3
DAY = date(2026, 11, 18)
RUN = Run("plant", "test", "plant rows")
_AT = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)


def plant(platform: Platform, marker: str, uid: str) -> None:
    """Make a workspace that is named by a marker, with rows in all tables that belong to it.

    Args:
        platform: The installation.
        marker: Six characters that a workspace's name may have.
        uid: The workspace's uid.
    """
    workspaces = platform.workspaces
    workspaces.save(Workspace(workspace_id=marker, uid=uid, name=f"{marker} name", vertical=marker))
    folder = workspaces.folder(marker)
    (folder / "scripts.jsonl").write_text(f'{{"title": "{marker}"}}\n', encoding="utf-8")
    (folder / "videos" / f"{marker}-0").mkdir(parents=True)
    (folder / "videos" / f"{marker}-0" / "cut.mp4").write_bytes(marker.encode() * 100)
    store = find_store(platform.settings)
    for name in (name_index(marker), name_report(marker, DAY)):
        store.write(name, f"<p>{marker}</p>".encode())
    platform.slice(marker, None, RUN)  # registers it
    days = Scope(marker, DAY, DAY + timedelta(ROWS - 1))
    with platform.lake.write(RUN) as transaction:
        for table in TABLES.values():
            if table in (ERASURES, WORKSPACES):
                continue
            scope = days if table.by_day else Scope(marker)
            rows = check_rows(table, make_rows(table, marker), scope)
            if table.mode == "append":
                transaction.append(rows)
            else:
                transaction.publish_all([rows])


def make_rows(table: Table, marker: str) -> pl.DataFrame:
    """Rows of a table, in which each text that may be anything has the marker."""
    allowed = {
        name: [check.statistics for check in column.checks]
        for name, column in table.model.to_schema().columns.items()
    }
    return table.frame(
        [
            {
                column.name: _make_value(column.name, column.dtype, allowed[column.name], marker, n)
                for column in table.columns
            }
            | {"workspace_id": marker}
            for n in range(ROWS)
        ]
    )


def _make_value(name: str, dtype: Any, checks: list[Any], marker: str, n: int) -> object:
    values = next((one["allowed_values"] for one in checks if "allowed_values" in one), None)
    if values is not None:
        return values[0]
    by_name = {"channel_id": f"UC{marker:x<21}{n}", "video_id": f"{marker:x<10}{n}"}
    by_type = {
        pl.String: f"{marker}-{n}",
        pl.List(pl.String): [f"{marker} {name}"],
        pl.Binary: f"{marker} {name}".encode(),
        pl.Date: DAY + timedelta(n),
        pl.Datetime("us", "UTC"): _AT,
        pl.Boolean: True,
        pl.Int64: n + 1,
        pl.Float64: 1.25,
    }
    return by_name.get(name, by_type[dtype])
