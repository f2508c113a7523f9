"""Maintenance and the restore drill as assets: what was refused or failed fails the run."""

from __future__ import annotations

import os
import shutil
from typing import Any

import dagster as dg

from ytap_assets.defs.maintenance import lake_maintenance, restore_drill
from ytap_assets.operations.backups import backup_lake, last_drill
from ytap_assets.operations.platform import Platform
from ytap_assets_tests.operations.test_maintain import append_payloads


def _materialize(platform: Platform, asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    resources: dict[str, Any] = {"platform": platform}
    return dg.materialize([asset], resources=resources, raise_on_error=False)


def _failure(result: dg.ExecuteInProcessResult) -> dg.Failure:
    [event] = result.get_step_failure_events()
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    return dg.Failure(failure.description, metadata=failure.metadata)


def test_a_drill_that_passes_shows_what_it_counted(platform: Platform) -> None:
    append_payloads(platform, "tech", 0, 1)
    made = backup_lake(platform, None)
    result = _materialize(platform, restore_drill)
    [materialization] = result.asset_materializations_for_node("restore_drill")
    assert materialization.metadata["backup"].value == str(made.folder)
    assert materialization.metadata["rows"].value == 2


def test_a_drill_that_fails_fails_the_run(platform: Platform) -> None:
    made = backup_lake(platform, None)
    os.truncate(made.folder / "catalog.sqlite", 100)
    result = _materialize(platform, restore_drill)
    assert not result.success
    assert "catalog.sqlite: missing or not" in (_failure(result).description or "")
    drill = last_drill(platform.settings)
    assert drill is not None
    assert drill.problem is not None


def test_a_refused_sweep_fails_the_run(platform: Platform) -> None:
    append_payloads(platform, "tech", 0)
    settings = platform.settings
    platform.lake.close()
    shutil.move(settings.data_path, settings.data / "kept")
    settings.catalog.unlink()
    other = Platform(settings, now=platform.now)
    other.lake.close()
    shutil.rmtree(settings.data_path)
    shutil.move(settings.data / "kept", settings.data_path)
    again = Platform(settings, now=platform.now)
    result = _materialize(again, lake_maintenance)
    again.lake.close()
    assert not result.success
    assert "refers to no file" in (_failure(result).description or "")
    assert _failure(result).metadata["orphans_deleted"].value == 0
    assert len(list(settings.data_path.rglob("*.parquet"))) == 1
