"""The nightly checks, the maintenance and the restore drill: what they find fails them."""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ytap_assets.defs.assets import WRITTEN_BESIDE, evidence_checks, lake_maintenance, restore_drill
from ytap_assets.lakehouse.catalog import LAKE
from ytap_assets.lakehouse.files import MARK
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.operations.maintenance import backup_lake, last_drill
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, Table
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.operations.test_maintenance import append_payloads

TODAY = NOW.date()
LOG: dict[str, Any] = {
    "workspace_id": "tech",
    "day": TODAY,
    "collection_id": "c1",
    "source": "hn",
    "target": "front page",
    "history": "snapshot_only",
    "outcome": "ok",
    "attempts": 1,
    "started_at": NOW,
    "finished_at": NOW,
    "fetched": 0,
    "accepted": 0,
    "quarantined": 0,
    "duplicates": 0,
    "run_id": "run-1",
}
PAYLOAD: dict[str, Any] = {
    "workspace_id": "tech",
    "day": TODAY,
    "payload_id": "p1",
    "collection_id": "c1",
    "source": "hn",
    "url": "https://example.org",
    "http_status": 200,
    "fetched_at": NOW,
    "size_bytes": 2,
    "sha256": "0" * 64,
    "is_truncated": False,
    "body": b"{}",
}
ASIDE: dict[str, Any] = {
    "workspace_id": "tech",
    "day": TODAY,
    "quarantine_id": "q1",
    "collection_id": "c1",
    "source": "hn",
    "origin": "o",
    "place": "line 1",
    "reason": "no title",
    "original": "{}",
    "quarantined_at": NOW,
}


def store(platform: Platform, table: Table, *rows: dict[str, Any]) -> None:
    """Put rows into the lake past every check."""
    frame = table.frame(list(rows))
    with platform.lake.cursor() as cursor:
        cursor.register("unchecked", frame)
        cursor.execute(f"INSERT INTO {LAKE}.{table.name} BY NAME SELECT * FROM unchecked")


def check(
    platform: Platform, instance: dg.DagsterInstance | None = None
) -> list[dg.AssetCheckEvaluation]:
    """Run the nightly checks."""
    specs = [dg.AssetSpec(table.name) for table in WRITTEN_BESIDE]
    job = dg.Definitions(
        assets=specs,
        asset_checks=[evidence_checks()],
        jobs=[dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())],
        resources={"platform": platform},
    ).resolve_job_def("check")
    done = job.execute_in_process(instance=instance).get_asset_check_evaluations()
    assert len(done) == 3 * len(WRITTEN_BESIDE)
    return list(done)


def failed(platform: Platform) -> set[tuple[str, str]]:
    """The checks that failed, by table."""
    done = check(platform)
    return {(one.asset_key.to_user_string(), one.check_name) for one in done if not one.passed}


def test_good_evidence_passes(platform: Platform) -> None:
    for workspace_id in ("tech", "finance"):
        store(platform, COLLECTION_LOG, LOG | {"workspace_id": workspace_id})
        store(platform, RAW_PAYLOADS, PAYLOAD | {"workspace_id": workspace_id})
        store(platform, QUARANTINED_ROWS, ASIDE | {"workspace_id": workspace_id})
    assert failed(platform) == set()


@pytest.mark.parametrize(
    ("table", "row"),
    [(COLLECTION_LOG, LOG), (RAW_PAYLOADS, PAYLOAD), (QUARANTINED_ROWS, ASIDE)],
    ids=lambda one: one.name if isinstance(one, Table) else "",
)
def test_a_row_that_stands_twice_fails_the_key(
    platform: Platform, table: Table, row: dict[str, Any]
) -> None:
    store(platform, table, row)
    store(platform, table, row | {"day": TODAY - timedelta(days=6)})
    assert failed(platform) == {(table.name, "key")}


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace_id": "nobody"},
        {"workspace_id": None},
        {"day": TODAY + timedelta(days=1)},
        {"day": date(9999, 12, 31)},
    ],
)
def test_a_row_that_belongs_nowhere_fails_the_partition(
    platform: Platform, changes: dict[str, Any]
) -> None:
    store(platform, COLLECTION_LOG, LOG, LOG | {"collection_id": "c2"} | changes)
    assert ("collection_log", "partition") in failed(platform)


@pytest.mark.parametrize("changes", [{"outcome": "fine"}, {"attempts": -1}, {"target": None}])
def test_a_value_that_was_not_declared_fails_the_schema(
    platform: Platform, changes: dict[str, Any]
) -> None:
    store(platform, COLLECTION_LOG, LOG, LOG | {"collection_id": "c2"} | changes)
    assert failed(platform) == {("collection_log", "schema")}


def test_a_nightly_check_is_of_the_newest_materialization(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    store(platform, COLLECTION_LOG, LOG)
    check(platform, instance)

    key = dg.AssetKey("collection_log")
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/row_count"].value == 1
    checked = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, "key"))
    assert checked is not None
    assert checked.run_id == event.run_id  # so the UI holds it for outdated by nothing


def test_bodies_are_not_read(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, list[str]] = {}
    read = CrossReader.read_across

    def note(self: CrossReader, table: Table, **options: Any) -> pl.DataFrame:
        asked[table.name] = options["columns"]
        return read(self, table, **options)

    monkeypatch.setattr(CrossReader, "read_across", note)
    store(platform, RAW_PAYLOADS, PAYLOAD)
    assert failed(platform) == set()
    assert set(RAW_PAYLOADS.schema) - set(asked["raw_payloads"]) == {"body"}
    assert set(asked["collection_log"]) == set(COLLECTION_LOG.schema)


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
    assert "catalog.sqlite: missing" in (_failure(result).description or "")
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
    shutil.move(settings.data_path / MARK, settings.data / "kept" / MARK)
    shutil.rmtree(settings.data_path)
    shutil.move(settings.data / "kept", settings.data_path)
    again = Platform(settings, now=platform.now)
    result = _materialize(again, lake_maintenance)
    again.lake.close()
    assert not result.success
    assert "refers to no file" in (_failure(result).description or "")
    assert _failure(result).metadata["orphans_deleted"].value == 0
    assert len(list(settings.data_path.rglob("*.parquet"))) == 1
