"""The whole graph as it stands: a changed asset shows in review as a changed line here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ytap_assets.defs.build import build_definitions
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import TABLES

SNAPSHOT = Path(__file__).with_name("graph.json")


def describe(definitions: dg.Definitions) -> dict[str, Any]:
    """Every asset, check, job, schedule and sensor, in words that a reviewer reads."""
    graph = definitions.resolve_asset_graph()
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        assets[key.to_user_string()] = {
            "group": node.group_name,
            "description": node.description,
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
            "single_run": node.backfill_policy is not None,
            "executable": node.is_executable,
            "kinds": sorted(node.kinds),
            "owners": sorted(node.owners),
            "checks": sorted(check.name for check in node.check_keys),
            "columns": [column.name for column in _columns(node.metadata)],
        }
    repository = definitions.get_repository_def()
    return {
        "assets": assets,
        "jobs": sorted(job.name for job in repository.get_all_jobs() if "__" not in job.name),
        "schedules": {
            schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs
        },
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }


def _columns(metadata: Any) -> list[dg.TableColumn]:
    schema = metadata.get("dagster/column_schema")
    return list(schema.columns) if schema else []


def test_the_graph_is_as_reviewed(platform: Platform, request: pytest.FixtureRequest) -> None:
    graph = describe(build_definitions(platform=platform))
    if request.config.getoption("--update-snapshot"):
        SNAPSHOT.write_text(json.dumps(graph, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    assert graph == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_table_is_an_asset_of_the_same_name_with_its_checks_and_columns(
    platform: Platform,
) -> None:
    assets = describe(build_definitions(platform=platform))["assets"]

    for table in TABLES.values():
        asset = assets[table.name]
        assert {"schema", "key", "partition"} <= set(asset["checks"])
        assert asset["columns"] == table.schema.names()
        assert asset["description"].startswith(table.description)
        assert asset["owners"]


def test_a_table_with_business_ranges_has_a_check_of_them(platform: Platform) -> None:
    assets = describe(build_definitions(platform=platform))["assets"]

    for table in TABLES.values():
        has_ranges = any(column.expected for column in table.columns)
        assert ("ranges" in assets[table.name]["checks"]) == has_ranges


def test_nothing_loads_that_should_not(platform: Platform) -> None:
    dg.Definitions.validate_loadable(build_definitions(platform=platform))
