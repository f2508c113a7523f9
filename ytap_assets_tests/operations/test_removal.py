"""What deleting or disabling something means is as the tables declare it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.operations.platform import Platform, publish_slice
from ytap_assets.operations.registries import list_accounts, list_channels
from ytap_assets.operations.removal import explain_no_rows, preview_removal
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_LOG,
    RAW_TRENDS,
    TABLES,
    VIDEO_METRICS,
    VIDEOS,
    Table,
)
from ytap_assets.tables.base import Entity, Removal
from ytap_assets.workspaces import Account, Channel, Workspace
from ytap_assets_tests.operations.test_store import AT, RUN, fetch, trend

ROOT = Path(__file__).parents[2]
CHANNEL = f"UC{'a' * 22}"
VIDEO = "abcdefghijk"
WITH: Mapping[str, Any] = {
    "channels": (Channel(id=CHANNEL),),
    "accounts": (Account(platform="youtube", handle="@a"),),
    "sources": {"youtube": {"monitored_channels": [{"id": f"UC{'b' * 22}"}]}},
}


def configure(platform: Platform, **changes: Any) -> Workspace:
    """Save a config, and materialize the tables that follow it."""
    content = {"workspace_id": "tech", "name": "Tech", "vertical": "technology", **changes}
    workspace = Workspace.model_validate(content)
    platform.workspaces.save(workspace)
    slice_ = platform.slice("tech", None, RUN)
    publish_slice(slice_, CHANNELS, list_channels([workspace]))
    publish_slice(slice_, ACCOUNTS, list_accounts([workspace]))
    return workspace


def append(platform: Platform, table: Table, row: dict[str, Any]) -> None:
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(table, table.frame([row]), Scope("tech")))


@pytest.fixture
def filled(platform: Platform) -> Platform:
    """A workspace with a row about its channel, account and video in the tables that have some."""
    configure(platform, **WITH)
    seen = {"channel_id": CHANNEL, "item_id": VIDEO, "source": "youtube"}
    append(platform, RAW_TRENDS, trend(VIDEO) | seen)
    log = fetch([]).log | {"source": "youtube", "target": CHANNEL}
    append(platform, COLLECTION_LOG, log)
    video = {"workspace_id": "tech", "video_id": VIDEO, "channel_id": CHANNEL}
    metric = {"day": AT.date(), "platform": "youtube", "observed_at": AT, "is_settled": False}
    append(platform, VIDEO_METRICS, video | metric | {"collection_id": "c1"})
    slice_ = platform.slice("tech", None, RUN)
    publish_slice(slice_, VIDEOS, VIDEOS.frame([video | {"script_id": "s"}]))
    return platform


def count(platform: Platform, entity: Entity, name: str | None) -> dict[str, tuple[int, Removal]]:
    """The rows and what is said of them, of the tables that have some."""
    impacts = preview_removal(platform, "tech", entity, name)
    return {one.table: (one.rows, one.removal) for one in impacts if one.rows}


NAMES: Sequence[tuple[Entity, str | None]] = (
    ("workspace", None),
    ("source", "youtube"),
    ("channel", CHANNEL),
    ("account", "youtube @a"),
    ("video", VIDEO),
)


def test_the_rows_about_something_are_counted(filled: Platform) -> None:
    assert count(filled, "channel", CHANNEL) == {
        "channels": (1, "follows"),
        "collection_log": (1, "stays"),
        "raw_trends": (1, "stays"),
        "videos": (1, "continues"),
        "video_metrics": (1, "continues"),
    }
    assert count(filled, "account", "youtube @a") == {"accounts": (1, "follows")}
    assert count(filled, "account", "mastodon @a") == {}
    assert set(count(filled, "video", VIDEO)) == {"raw_trends", "videos", "video_metrics"}
    assert set(count(filled, "source", "youtube")) == {"raw_trends", "collection_log"}
    assert len(preview_removal(filled, "tech", "workspace", None)) == len(TABLES)


def test_what_is_removed_from_a_config_does_what_was_said(filled: Platform) -> None:
    said = {entity: count(filled, entity, name) for entity, name in NAMES}
    configure(filled)
    for entity, name in NAMES[1:]:
        found = count(filled, entity, name)
        expected = {table: one for table, one in said[entity].items() if one[1] != "follows"}
        assert found == expected, entity


def test_what_is_removed_or_switched_off_is_not_asked() -> None:
    def targets(**changes: Any) -> list[str]:
        content = {"workspace_id": "tech", "name": "T", "vertical": "t", **changes}
        workspace = Workspace.model_validate(content)
        return [target for source in CATALOG.trends for target in source.targets(workspace)]

    def monitored(status: str) -> dict[str, Any]:
        return {"youtube": {"monitored_channels": [{"id": CHANNEL, "status": status}]}}

    assert CHANNEL in targets(sources=monitored("active"))
    assert CHANNEL not in targets(sources=monitored("paused"))
    assert CHANNEL not in targets(sources={})
    assert targets(sources={"hn": {"enabled": False}}) == []


def test_archiving_keeps_every_row(filled: Platform) -> None:
    before = count(filled, "workspace", None)
    workspace = filled.workspaces.get("tech").model_copy(update={"status": "archived"})
    filled.workspaces.save(workspace)
    assert not workspace.collects
    assert count(filled, "workspace", None) == before


def test_another_workspace_is_not_counted(filled: Platform) -> None:
    impacts = preview_removal(filled, "finance", "channel", CHANNEL)
    assert {one.rows for one in impacts} == {0}


@pytest.mark.parametrize(
    ("entity", "name"), [("channel", None), ("workspace", "tech"), ("account", "@a")]
)
def test_a_wrong_name_is_refused(platform: Platform, entity: Entity, name: str | None) -> None:
    with pytest.raises(ConfigError, match=entity):
        preview_removal(platform, "tech", entity, name)


@pytest.mark.parametrize(
    ("entity", "listed"),
    [
        ("source", "raw_trends"),
        ("channel", "channels"),
        ("account", "accounts"),
        ("video", "videos"),
    ],
)
def test_a_missing_name_is_explained_with_where_names_are(
    platform: Platform, entity: Entity, listed: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{entity}: NAME is missing.*from {listed}\b.*-w tech"):
        preview_removal(platform, "tech", entity, None)


@pytest.mark.parametrize(
    ("entity", "name", "nearest"),
    [
        ("source", "hackernews", "hn"),
        ("source", "redit", "reddit"),
        ("source", "reddit", None),
        ("source", "letterboxd", None),
        ("video", "hackernews", None),
    ],
)
def test_a_source_without_rows_is_named_with_the_one_meant(
    entity: Entity, name: str, nearest: str | None
) -> None:
    warning = explain_no_rows(entity, name)
    assert repr(name) in warning
    assert re.findall("`(.*?)`", warning) == ([nearest] if nearest else [])


def test_the_page_is_in_step_with_the_tables() -> None:
    script = ROOT / "scripts" / "make_removal_docs.py"
    spec = importlib.util.spec_from_file_location("make_removal_docs", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "removal.md").read_text(encoding="utf-8")
    assert module.fill_page(page) == page, "run `python scripts/make_removal_docs.py`"
