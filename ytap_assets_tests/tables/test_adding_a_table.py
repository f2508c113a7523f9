"""The guide's table and asset, as the guide has them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.defs import assets
from ytap_assets.domain import performance as domain
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import VIDEO_METRICS, base
from ytap_assets.tables import workspaces as tables

_GUIDE = (Path(__file__).parents[2] / "docs" / "adding-a-table.md").read_text(encoding="utf-8")
RUN = Run("run-1", "test", "follow the guide")
DAY = date(2026, 11, 20)


def block(kind: str) -> str:
    """The guide's one block of a kind."""
    (found,) = re.findall(rf"```python {kind}\n(.*?)```", _GUIDE, re.DOTALL)
    return str(found)


def run_block(kind: str, names: dict[str, Any]) -> dict[str, Any]:
    """The names of a module after a block was added to it."""
    names = dict(names)
    code = compile(block(kind), f"guide: {kind}", "exec", dont_inherit=True)
    exec(code, names)  # noqa: S102 - our own guide
    return names


@pytest.fixture
def guide() -> dict[str, Any]:
    """The names of `defs/assets.py` after each block was added to its module."""
    declared = run_block("tables", {**vars(base), **vars(tables)})
    ruled = run_block("domain", vars(domain))
    imported = {
        "CHANNEL_VIEWS": declared["CHANNEL_VIEWS"],
        "measure_channels": ruled["measure_channels"],
    }
    return run_block("entry", run_block("assets", {**vars(assets), **imported}))


def metric(video_id: str, views: int | None, *, hour: int = 8) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": DAY,
        "platform": "youtube",
        "video_id": video_id,
        "observed_at": datetime(2026, 11, 20, hour, tzinfo=UTC),
        "views": views,
        "channel_id": "c",
        "is_settled": False,
        "collection_id": "f",
    }


def test_the_guides_asset_is_published(platform: Platform, guide: dict[str, Any]) -> None:
    table = guide["CHANNEL_VIEWS"]
    platform.lake.evolve({table.name: table})
    rows = [metric("a", 10), metric("a", 30, hour=9), metric("b", 10), metric("c", None)]
    frame = VIDEO_METRICS.frame(rows)
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(VIDEO_METRICS, frame, Scope("tech")))
    batch, _ = platform.batch({"tech": [(DAY, DAY)], "finance": [(DAY, DAY)]}, RUN)
    entry = guide["TABLE_ASSETS"][-1]
    assert entry.table is table
    results = entry.compute(batch, {})
    assert {scope.workspace_id: one.rows for scope, one in results.items()} == {
        "tech": 1,
        "finance": 0,
    }
    stored = platform.lake.reader("tech").read(table)
    assert stored.rows() == [("tech", DAY, "c", 3, 20.0)]
