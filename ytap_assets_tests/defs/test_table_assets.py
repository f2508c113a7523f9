"""A table's asset: what is good is published, what is refused is shown and changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ytap_assets.defs.checks import Watch
from ytap_assets.defs.partitions import partition_key, range_tags
from ytap_assets.defs.table_assets import TableAsset, build_asset
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import (
    Markdown,
    Picture,
    Platform,
    Slice,
    Written,
    publish_slice,
)
from ytap_assets.tables import ACCOUNTS, RAW_TRENDS, WORKSPACE_REPORTS, Table

DAY = date(2026, 11, 16)
DAYS = (DAY, DAY + timedelta(2))

Make = Callable[[Slice], pl.DataFrame]


def run(
    platform: Platform, instance: dg.DagsterInstance, table: Table, make: Make, **options: Any
) -> dg.ExecuteInProcessResult:
    def compute(slice_: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
        """Made for a test."""
        return make(slice_)

    asset = build_asset(TableAsset(table, compute), platform.settings)
    return dg.materialize(
        [asset],
        instance=instance,
        resources={"platform": platform},
        raise_on_error=False,
        **options,
    )


def accounts(slice_: Slice, *handles: str) -> pl.DataFrame:
    flags = {"has_consent": True, "is_enabled": True}
    rows = [{"workspace_id": slice_.workspace_id, "handle": handle, **flags} for handle in handles]
    return ACCOUNTS.frame(rows).with_columns(pl.lit("youtube").alias("platform"))


def reports(slice_: Slice, *, stories: int) -> pl.DataFrame:
    """A row of ``workspace_reports`` for each of the slice's days."""
    numbers = {
        column.name: 0
        for column in WORKSPACE_REPORTS.columns
        if column.dtype == pl.Int64 and not column.nullable
    }
    return WORKSPACE_REPORTS.frame(
        [
            numbers
            | {
                "workspace_id": slice_.workspace_id,
                "day": day,
                "report_path": f"reports/{day}.html",
                "generated_at": datetime(2026, 11, 20, tzinfo=UTC),
                "stories": stories,
                "missing": [],
            }
            for day in slice_.each_day()
        ]
    )


def stored(platform: Platform, table: Table, workspace_id: str, column: str) -> list[Any]:
    return platform.lake.reader(workspace_id).read(table)[column].to_list()


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_good_rows_are_published_with_their_checks_and_what_a_person_wants_to_see(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@a|b"), partition_key="tech")

    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@a|b"]
    assert {name: one.passed for name, one in checks(result).items()} == {
        "schema": True,
        "key": True,
        "partition": True,
    }
    [shown] = result.asset_materializations_for_node("accounts")
    values = {name: one.value for name, one in shown.metadata.items()}
    assert values["rows"] == values["dagster/partition_row_count"] == 1
    assert values["partitions"] == "tech"
    assert values["snapshot_id"] == platform.lake.snapshot_id()
    assert "| `@a¦b` |" in str(values["preview"])


def test_refused_rows_fail_the_check_show_the_cases_and_leave_the_previous_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@old"), partition_key="tech")
    before = platform.lake.snapshot_id()

    twice = run(
        platform, instance, ACCOUNTS, lambda s: accounts(s, "@a", "@a"), partition_key="tech"
    )

    assert not twice.success
    assert {name: one.passed for name, one in checks(twice).items()} == {
        "schema": True,
        "key": False,
        "partition": True,
    }
    shown = checks(twice)["key"].metadata
    assert shown["failing cases"].value == 2
    cases = shown["first cases"]
    assert isinstance(cases, dg.TableMetadataValue)
    assert [case.data["row"] for case in cases.records] == ["0", "1"]
    assert all("@a" in str(case.data["case"]) for case in cases.records)
    assert twice.asset_materializations_for_node("accounts") == []
    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@old"]
    assert platform.lake.snapshot_id() == before


def test_rows_of_another_workspace_are_refused(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def wrong(slice_: Slice) -> pl.DataFrame:
        return accounts(slice_, "@a").with_columns(pl.lit("finance").alias("workspace_id"))

    result = run(platform, instance, ACCOUNTS, wrong, partition_key="tech")

    assert not checks(result)["partition"].passed
    assert stored(platform, ACCOUNTS, "finance", "handle") == []


def test_a_range_is_one_snapshot_and_every_day_knows_its_own_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.register("tech", Run("run-1", "test", "register"))
    before = platform.lake.snapshot_id()

    result = run(
        platform,
        instance,
        WORKSPACE_REPORTS,
        lambda s: reports(s, stories=1).filter(pl.col("day") != DAYS[1]),
        tags=range_tags("tech", DAYS),
    )

    assert platform.lake.snapshot_id() == before + 1
    shown = result.asset_materializations_for_node("workspace_reports")
    assert {
        str(one.partition): one.metadata["dagster/partition_row_count"].value for one in shown
    } == {
        str(partition_key("tech", DAY)): 1,
        str(partition_key("tech", DAY + timedelta(1))): 1,
        str(partition_key("tech", DAYS[1])): 0,
    }
    assert {one.metadata["rows"].value for one in shown} == {2}
    assert {one.metadata["partitions"].value for one in shown} == {"tech 2026-11-16..2026-11-18"}


def test_a_later_day_that_was_brought_up_to_date_is_a_materialization_of_its_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    later = DAYS[1] + timedelta(5)

    def compute(slice_: Slice, _config: Mapping[str, Any]) -> Written:
        """Made for a test."""
        written = publish_slice(slice_, WORKSPACE_REPORTS, reports(slice_, stories=1))
        return replace(written, later={DAYS[1]: 1, later: 4})

    asset = build_asset(TableAsset(WORKSPACE_REPORTS, compute), platform.settings)
    result = dg.materialize(
        [asset], instance=instance, resources={"platform": platform}, tags=range_tags("tech", DAYS)
    )

    shown = {
        str(one.partition): one.metadata
        for one in result.asset_materializations_for_node("workspace_reports")
    }
    assert len(shown) == 4  # the run's own three, once each
    metadata = shown[str(partition_key("tech", later))]
    assert metadata["rows"].value == metadata["dagster/partition_row_count"].value == 4
    assert metadata["brought_up_to_date_with"].value == "tech 2026-11-16..2026-11-18"


def test_one_refused_workspace_does_not_keep_another_from_its_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(slice_: Slice) -> pl.DataFrame:
        return reports(slice_, stories=-1 if slice_.workspace_id == "finance" else 1)

    tags = {
        "dagster/asset_partition_range_start": partition_key("finance", DAYS[0]),
        "dagster/asset_partition_range_end": partition_key("tech", DAYS[1]),
    }
    result = run(platform, instance, WORKSPACE_REPORTS, make, tags=tags)

    assert not result.success
    assert stored(platform, WORKSPACE_REPORTS, "tech", "stories") == [1, 1, 1]
    assert stored(platform, WORKSPACE_REPORTS, "finance", "stories") == []
    schema = checks(result)["schema"]
    assert not schema.passed
    assert schema.metadata["failing cases"].value == 3
    assert schema.metadata["partitions"].value == (
        "finance 2026-11-16..2026-11-18, tech 2026-11-16..2026-11-18"
    )
    shown = result.asset_materializations_for_node("workspace_reports")
    assert {str(one.partition) for one in shown} == {
        str(partition_key("tech", DAYS[0] + timedelta(n))) for n in range(3)
    }
    assert {one.metadata["dagster/partition_row_count"].value for one in shown} == {1}


def test_one_failed_workspace_does_not_keep_another_from_its_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [")

    result = run(
        platform,
        instance,
        ACCOUNTS,
        lambda s: accounts(s, "@a"),
        tags={
            "dagster/asset_partition_range_start": "finance",
            "dagster/asset_partition_range_end": "tech",
        },
    )

    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "config.yaml: not YAML" in str(failure.step_failure_data.error)
    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@a"]
    (shown,) = result.asset_materializations_for_node("accounts")
    assert shown.partition == "tech"


def test_a_value_that_business_does_not_expect_is_a_warning_and_stays(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(slice_: Slice) -> pl.DataFrame:
        return reports(slice_, stories=1).with_columns(engagement_rate_pct=pl.lit(250.0))

    result = run(
        platform,
        instance,
        WORKSPACE_REPORTS,
        make,
        partition_key=partition_key("tech", DAY),
    )

    assert result.success
    assert not checks(result)["ranges"].passed
    assert checks(result)["ranges"].severity == dg.AssetCheckSeverity.WARN
    assert stored(platform, WORKSPACE_REPORTS, "tech", "engagement_rate_pct") == [250.0]


@pytest.mark.parametrize("table", [ACCOUNTS, RAW_TRENDS], ids=lambda table: table.name)
def test_structural_checks_block_and_business_ones_do_not(platform: Platform, table: Table) -> None:
    def compute(_slice: Slice, _config: Mapping[str, Any]) -> pl.DataFrame:
        """Made for a test."""
        return table.empty()

    specs = build_asset(TableAsset(table, compute), platform.settings).check_specs

    assert {spec.name for spec in specs if spec.blocking} == {"schema", "key", "partition"}


def test_a_watch_warns_of_the_rows_it_finds_and_a_picture_is_shown(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(slice_: Slice, _config: Mapping[str, Any]) -> Written:
        """Made for a test."""
        written = publish_slice(slice_, ACCOUNTS, accounts(slice_, "@one", "@two"))
        written.notes["how it looks"] = Picture("<svg/>", "two accounts")
        return written

    watch = Watch("second", "Nobody is second.", lambda rows: rows.filter(handle="@two"))
    asset = build_asset(TableAsset(ACCOUNTS, compute, watches=(watch,)), platform.settings)
    result = dg.materialize(
        [asset], instance=instance, resources={"platform": platform}, partition_key="tech"
    )

    assert result.success
    second = checks(result)["second"]
    assert (second.passed, second.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "@two" in str(second.metadata["to look at"])
    (made,) = result.asset_materializations_for_node("accounts")
    shown = made.metadata["how it looks"].value
    encoded = base64.b64encode(b"<svg/>").decode()
    assert shown == f"![two accounts](data:image/svg+xml;base64,{encoded})"


def test_what_follows_the_slices_is_done_once_a_run_and_its_failure_loses_no_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(slice_: Slice, _config: Mapping[str, Any]) -> Written:
        """Made for a test."""
        written = publish_slice(slice_, WORKSPACE_REPORTS, reports(slice_, stories=1))
        written.day_notes[DAYS[1]] = {"essentials": Markdown("**all** is well")}
        return written

    done: list[Platform] = []

    def finish(platform: Platform) -> None:
        done.append(platform)
        raise OSError("no room for the page")

    asset = TableAsset(WORKSPACE_REPORTS, compute, finish=finish)
    result = dg.materialize(
        [build_asset(asset, platform.settings)],
        instance=instance,
        resources={"platform": platform},
        raise_on_error=False,
        tags=range_tags("tech", DAYS),
    )

    assert done == [platform]
    assert not result.success
    assert stored(platform, WORKSPACE_REPORTS, "tech", "stories") == [1, 1, 1]
    made = result.asset_materializations_for_node("workspace_reports")
    assert len(made) == 3
    shown = {one.metadata["essentials"] for one in made if "essentials" in one.metadata}
    assert shown == {dg.MetadataValue.md("**all** is well")}
