"""A table's asset: what is good is published, what is refused is shown and changes nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.defs import table_assets
from ytap_assets.defs.assets import EVIDENCE
from ytap_assets.defs.checks import Failing, Watch, list_unanswered, update_failing
from ytap_assets.defs.partitions import group_partitions, partition_key
from ytap_assets.defs.run_events import preview
from ytap_assets.defs.table_assets import (
    FAILED_TAG,
    Stage,
    TableAsset,
    batch_config,
    build_job,
    build_stage,
    stage_lock,
)
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.errors import LakeError, LockLostError, LockTimeoutError
from ytap_assets.lakehouse.lock import Lock
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import NothingCollectedError
from ytap_assets.operations.platform import (
    Batch,
    Markdown,
    Picture,
    Platform,
    Results,
    Slice,
    Written,
    for_each_slice,
    isolated,
    publish_batch,
)
from ytap_assets.operations.store import store_fetches
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_LOG,
    RAW_TRENDS,
    WORKSPACE_REPORTS,
    Table,
)
from ytap_assets.workspaces import Status
from ytap_assets_tests.operations.alone import publish_alone
from ytap_assets_tests.operations.test_store import fetch, trend

DAY = date(2026, 11, 16)
DAYS = (DAY, DAY + timedelta(2))

Make = Callable[[Slice], pl.DataFrame]
BY_WORKSPACE = Stage("by_workspace", "Made for a test.", by_day=False)
BY_DAY = Stage("by_day", "Made for a test.", by_day=True)


@dataclass(frozen=True)
class Ran:
    """A run as its instance knows it."""

    instance: dg.DagsterInstance
    run_id: str
    success: bool
    failure: str

    def materializations(self, table: Table | str) -> list[dg.AssetMaterialization]:
        """Those of a table, in the order in which they were stored."""
        name = table if isinstance(table, str) else table.name
        entries = self.instance.all_logs(
            self.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        made = [entry.asset_materialization for entry in entries]
        return [one for one in made if one is not None and one.asset_key == dg.AssetKey(name)]

    def partitions(self, table: Table) -> set[str]:
        """The partitions of a table that were materialized."""
        return {str(one.partition) for one in self.materializations(table)}

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """The result of each check, by name."""
        entries = self.instance.all_logs(
            self.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        found = [entry.dagster_event for entry in entries]
        results = [event.asset_check_evaluation_data for event in found if event is not None]
        return {one.check_name: one for one in results}


def make_asset(table: Table, make: Make, **options: Any) -> TableAsset:
    """An asset whose frames a function of one slice makes."""

    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        return publish_batch(batch, table, for_each_slice(batch, make))

    return TableAsset(table, compute, BY_DAY if table.by_day else BY_WORKSPACE, **options)


def write_asset(table: Table, work: Callable[[Slice], Written], **options: Any) -> TableAsset:
    """An asset that a function of one slice writes."""

    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        return dict(for_each_slice(batch, work))

    return TableAsset(table, compute, BY_DAY if table.by_day else BY_WORKSPACE, **options)


def run_stage(
    platform: Platform,
    instance: dg.DagsterInstance,
    assets: Sequence[TableAsset],
    parts: Sequence[Scope],
    **options: Any,
) -> Ran:
    """Run the job of a stage for some slices."""
    result = build_job(assets).execute_in_process(
        instance=instance,
        resources={"platform": platform},
        run_config=batch_config(assets[0].stage, parts, **options),
        raise_on_error=False,
    )
    return _read_run(instance, result)


def run_partitions(
    platform: Platform,
    instance: dg.DagsterInstance,
    assets: Sequence[TableAsset],
    **options: Any,
) -> Ran:
    """Run the multi-asset of a stage for partition keys, as the UI does."""
    result = dg.materialize(
        [build_stage(assets, platform.day_range())],
        instance=instance,
        resources={"platform": platform},
        raise_on_error=False,
        **options,
    )
    return _read_run(instance, result)


def _read_run(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> Ran:
    failures = [event.step_failure_data for event in result.get_step_failure_events()]
    texts = [str(one.user_failure_data or one.error) for one in failures]
    return Ran(instance, result.run_id, result.success, "; ".join(texts))


def run(
    platform: Platform,
    instance: dg.DagsterInstance,
    table: Table,
    make: Make,
    *parts: Scope,
) -> Ran:
    """Run the job of a stage of one table."""
    return run_stage(platform, instance, [make_asset(table, make)], parts)


def days_of(workspace_id: str, days: tuple[date, date] = DAYS) -> Scope:
    """A slice of days."""
    return Scope(workspace_id, *days)


TECH = Scope("tech")


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
            for day in slice_.own_days
        ]
    )


def stored(platform: Platform, table: Table, workspace_id: str, column: str) -> list[Any]:
    return platform.lake.reader(workspace_id).read(table)[column].to_list()


def test_good_rows_are_published_with_their_checks_and_what_a_person_wants_to_see(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@a|b"), TECH)

    assert result.success
    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@a|b"]
    assert {name: one.passed for name, one in result.checks.items()} == {
        "schema": True,
        "key": True,
        "partition": True,
    }
    [shown] = result.materializations(ACCOUNTS)
    values = {name: one.value for name, one in shown.metadata.items()}
    assert values["rows"] == values["dagster/partition_row_count"] == 1
    assert values["snapshot_id"] == platform.lake.snapshot_id()
    assert "| `@a¦b` |" in str(values["preview"])


def test_refused_rows_fail_the_check_show_the_cases_and_leave_the_previous_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@old"), TECH)
    before = platform.lake.snapshot_id()

    twice = run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@a", "@a"), TECH)

    assert not twice.success
    assert {name: one.passed for name, one in twice.checks.items()} == {
        "schema": True,
        "key": False,
        "partition": True,
    }
    shown = twice.checks["key"].metadata
    assert shown["failing cases"].value == 2
    cases = shown["first cases"]
    assert isinstance(cases, dg.TableMetadataValue)
    assert [case.data["row"] for case in cases.records] == ["0", "1"]
    assert all("@a" in str(case.data["case"]) for case in cases.records)
    assert twice.materializations(ACCOUNTS) == []
    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@old"]
    assert platform.lake.snapshot_id() == before


def test_rows_of_another_workspace_are_refused(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def wrong(slice_: Slice) -> pl.DataFrame:
        return accounts(slice_, "@a").with_columns(pl.lit("finance").alias("workspace_id"))

    result = run(platform, instance, ACCOUNTS, wrong, TECH)

    assert not result.checks["partition"].passed
    assert stored(platform, ACCOUNTS, "finance", "handle") == []


def test_a_range_is_one_snapshot_and_every_day_knows_its_own_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    days = [DAY + timedelta(number) for number in range(3)]
    platform.register("tech", Run("run-1", "test", "register"))
    before = platform.lake.snapshot_id()

    result = run(
        platform,
        instance,
        WORKSPACE_REPORTS,
        lambda s: reports(s, stories=1).filter(pl.col("day") != DAYS[1]),
        days_of("tech"),
    )

    assert platform.lake.snapshot_id() == before + 1
    shown = result.materializations(WORKSPACE_REPORTS)
    assert {
        str(one.partition): one.metadata["dagster/partition_row_count"].value for one in shown
    } == {
        str(partition_key("tech", DAY)): 1,
        str(partition_key("tech", DAY + timedelta(1))): 1,
        str(partition_key("tech", DAYS[1])): 0,
    }
    assert [one.metadata["rows"].value for one in shown] == [1, 1, 0]
    previews = [str(one.metadata["preview"].value) for one in shown]
    own = [f"{day}" in text for day, text in zip(days, previews, strict=True)]
    assert own == [True, True, False]
    assert "2026-11-17" not in previews[0]


def test_a_later_day_that_was_brought_up_to_date_is_a_materialization_of_its_partition(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    later = DAYS[1] + timedelta(5)

    def work(slice_: Slice) -> Written:
        written = publish_alone(slice_, WORKSPACE_REPORTS, reports(slice_, stories=1))
        return replace(written, later={DAYS[1]: 1, later: 4}, notes={"looked at": 7})

    asset = write_asset(WORKSPACE_REPORTS, work)
    result = run_stage(platform, instance, [asset], [days_of("tech")])

    shown = {str(one.partition): one.metadata for one in result.materializations(WORKSPACE_REPORTS)}
    assert all(
        "looked at (2026-11-16..2026-11-18)" in shown[str(partition_key("tech", day))]
        for day in DAYS
    )
    assert len(shown) == 4  # the run's own three, once each
    metadata = shown[str(partition_key("tech", later))]
    assert metadata["rows"].value == metadata["dagster/partition_row_count"].value == 4
    assert metadata["brought_up_to_date_with"].value == "tech 2026-11-16..2026-11-18"


def test_one_refused_workspace_does_not_keep_another_from_its_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(slice_: Slice) -> pl.DataFrame:
        return reports(slice_, stories=-1 if slice_.workspace_id == "finance" else 1)

    parts = [days_of("finance"), days_of("tech")]
    result = run(platform, instance, WORKSPACE_REPORTS, make, *parts)

    assert not result.success
    run_of_both = instance.get_run_by_id(result.run_id)
    assert run_of_both is not None
    assert (run_of_both.tags["workspace"], run_of_both.tags["days"]) == (
        "finance, tech",
        "2026-11-16..2026-11-18",
    )
    assert stored(platform, WORKSPACE_REPORTS, "tech", "stories") == [1, 1, 1]
    assert stored(platform, WORKSPACE_REPORTS, "finance", "stories") == []
    schema = result.checks["schema"]
    assert not schema.passed
    assert schema.metadata["failing cases"].value == 3
    assert schema.metadata["partitions"].value == (
        "finance 2026-11-16..2026-11-18, tech 2026-11-16..2026-11-18"
    )
    assert result.partitions(WORKSPACE_REPORTS) == {
        str(partition_key("tech", DAYS[0] + timedelta(n))) for n in range(3)
    }
    assert list_failed(instance, WORKSPACE_REPORTS) == {
        str(partition_key("finance", DAYS[0] + timedelta(n))) for n in range(3)
    }


def list_failed(instance: dg.DagsterInstance, table: Table) -> set[str]:
    """The partitions that the UI shows as failed."""
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        log = instance.event_log_storage
        name = "get_latest_asset_partition_materialization_attempts_without_materializations"
        return set(getattr(log, name)(dg.AssetKey(table.name)))


def test_one_failed_workspace_does_not_keep_another_from_its_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [")
    rows = lambda s: accounts(s, "@a")  # noqa: E731

    result = run(platform, instance, ACCOUNTS, rows, Scope("finance"), TECH)

    assert not result.success
    assert "config.yaml: not YAML" in result.failure
    assert stored(platform, ACCOUNTS, "tech", "handle") == ["@a"]
    assert result.partitions(ACCOUNTS) == {"tech"}
    assert list_failed(instance, ACCOUNTS) == {"finance"}


def test_a_range_of_partition_keys_is_made_as_a_batch_is(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    made = make_asset(WORKSPACE_REPORTS, lambda s: reports(s, stories=1))
    tags = {
        "dagster/asset_partition_range_start": partition_key("finance", DAYS[0]),
        "dagster/asset_partition_range_end": partition_key("tech", DAYS[1]),
    }
    result = run_partitions(platform, instance, [made], tags=tags)

    assert result.success
    keys = {
        str(partition_key(name, DAYS[0] + timedelta(n)))
        for name in ("finance", "tech")
        for n in range(3)
    }
    assert result.partitions(WORKSPACE_REPORTS) == keys
    assert list_failed(instance, WORKSPACE_REPORTS) == set()
    assert result.checks["schema"].passed


def test_a_run_touches_exactly_the_partitions_that_were_asked_for(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    asked = {"tech": (0, 2), "finance": (1,), "nobody": (0,)}  # no range of two dimensions
    keys = [partition_key(name, DAY + timedelta(n)) for name, on in asked.items() for n in on]
    made = make_asset(WORKSPACE_REPORTS, lambda s: reports(s, stories=1))
    result = run_stage(platform, instance, [made], group_partitions(keys))

    good = {str(key) for key in keys[:-1]}
    assert result.partitions(WORKSPACE_REPORTS) == good
    assert list_failed(instance, WORKSPACE_REPORTS) == {str(keys[-1])}
    assert not result.success
    rows = platform.lake.cross_reader().read_across(WORKSPACE_REPORTS)
    found = rows.select("workspace_id", "day").rows()
    assert {str(partition_key(name, day)) for name, day in found} == good


def test_a_value_that_business_does_not_expect_is_a_warning_and_stays(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(slice_: Slice) -> pl.DataFrame:
        return reports(slice_, stories=1).with_columns(engagement_rate_pct=pl.lit(250.0))

    result = run(platform, instance, WORKSPACE_REPORTS, make, days_of("tech", (DAY, DAY)))

    assert result.success
    assert not result.checks["ranges"].passed
    assert result.checks["ranges"].severity == dg.AssetCheckSeverity.WARN
    assert stored(platform, WORKSPACE_REPORTS, "tech", "engagement_rate_pct") == [250.0]


def test_what_needs_refused_rows_is_not_made_for_that_workspace_alone(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def refused(slice_: Slice) -> pl.DataFrame:
        return accounts(slice_, "@a", *(["@a"] if slice_.workspace_id == "tech" else []))

    made = [
        make_asset(CHANNELS, lambda _: CHANNELS.empty(), reads=(ACCOUNTS,)),
        make_asset(ACCOUNTS, refused),
    ]
    result = run_stage(platform, instance, made, [Scope("finance"), TECH])

    assert not result.success
    assert result.partitions(ACCOUNTS) == result.partitions(CHANNELS) == {"finance"}
    assert "tech" in result.failure
    assert "finance" not in result.failure


def list_retries(instance: dg.DagsterInstance, ran: Ran) -> Any:
    """What of a run is to be tried again."""
    failed = instance.get_run_by_id(ran.run_id)
    assert failed is not None
    return json.loads(failed.tags[FAILED_TAG])


def test_what_failed_is_a_tag_of_the_run(platform: Platform, instance: dg.DagsterInstance) -> None:
    made = make_asset(WORKSPACE_REPORTS, lambda s: reports(s, stories=-1))
    result = run_stage(platform, instance, [made], [days_of("tech", (DAY, DAY))])

    assert list_retries(instance, result) == {"tech": ["2026-11-16"]}


def test_a_batch_that_fails_as_a_whole_stops_no_other(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        if batch.workspace_ids == ("finance",):
            raise OSError("the disk is gone")
        rows = for_each_slice(batch, lambda s: accounts(s, "@a"))
        return publish_batch(batch, ACCOUNTS, rows)

    small = Platform(replace(platform.settings, batch_workspaces=1), now=platform.now)
    asset = TableAsset(ACCOUNTS, compute, BY_WORKSPACE)
    result = run_stage(small, instance, [asset], [Scope("finance"), TECH])
    small.lake.close()

    assert not result.success
    assert "the disk is gone" in result.failure
    assert result.partitions(ACCOUNTS) == {"tech"}


def is_red(instance: dg.DagsterInstance, table: Table, check: str) -> bool:
    """Whether the newest result of a check, which the UI shows, is a failure."""
    record = instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(dg.AssetKey(table.name), check)
    )
    assert record is not None
    assert record.evaluation is not None
    return not record.evaluation.passed


def test_a_refused_workspace_stays_red_until_it_passes_itself(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(workspace_id: str, *handles: str) -> Ran:
        rows = lambda s: accounts(s, *handles)  # noqa: E731
        return run(platform, instance, ACCOUNTS, rows, Scope(workspace_id))

    refused = make("tech", "@a", "@a")
    other = make("finance", "@b")

    assert not refused.success
    assert other.success  # its own rows passed
    assert stored(platform, ACCOUNTS, "finance", "handle") == ["@b"]
    key = other.checks["key"]
    assert not key.passed
    assert "tech" in str(key.description)
    failing = key.metadata["failing partitions"]
    assert isinstance(failing, dg.TableMetadataValue)
    assert [(row.data["workspace"], row.data["run"]) for row in failing.records] == [
        ("tech", refused.run_id)
    ]
    assert other.checks["schema"].passed
    make("tech", "@a")
    assert not is_red(instance, ACCOUNTS, "key")


def test_days_that_were_refused_stay_red_until_each_passes(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(days: tuple[date, date], stories: int) -> None:
        rows = lambda s: reports(s, stories=stories)  # noqa: E731
        run(platform, instance, WORKSPACE_REPORTS, rows, days_of("tech", days))

    make(DAYS, -1)
    make((DAYS[0], DAYS[0]), 1)
    assert is_red(instance, WORKSPACE_REPORTS, "schema")
    make((DAYS[1], DAYS[1]), 1)
    assert is_red(instance, WORKSPACE_REPORTS, "schema")
    make(DAYS, 1)
    assert not is_red(instance, WORKSPACE_REPORTS, "schema")


def test_a_warning_of_one_workspace_outlasts_the_run_of_another(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def make(workspace_id: str, rate: float) -> Ran:
        def rows(slice_: Slice) -> pl.DataFrame:
            return reports(slice_, stories=1).with_columns(engagement_rate_pct=pl.lit(rate))

        return run(platform, instance, WORKSPACE_REPORTS, rows, days_of(workspace_id))

    make("finance", 250.0)
    other = make("tech", 2.0).checks["ranges"]
    assert (other.passed, other.severity) == (False, dg.AssetCheckSeverity.WARN)
    make("finance", 2.0)
    assert not is_red(instance, WORKSPACE_REPORTS, "ranges")


def test_a_workspace_without_a_partition_keeps_no_check_red(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@a", "@a"), TECH)
    instance.delete_dynamic_partition("workspace", "tech")

    run(platform, instance, ACCOUNTS, lambda s: accounts(s, "@a"), Scope("finance"))

    assert not is_red(instance, ACCOUNTS, "key")


_NUMBERS = st.integers(0, 20)
_RUNS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        _NUMBERS,
        _NUMBERS,
        st.dictionaries(_NUMBERS, st.sampled_from(dg.AssetCheckSeverity)),
    ),
    max_size=12,
)


@given(_RUNS)
def test_what_fails_is_every_day_whose_newest_result_is_a_failure(
    runs: list[tuple[str, int, int, dict[int, dg.AssetCheckSeverity]]],
) -> None:
    def days(first: int, last: int) -> tuple[date, date]:
        return DAY + timedelta(first), DAY + timedelta(last)

    newest: dict[tuple[str, int], dg.AssetCheckSeverity | None] = {}
    failing: list[Failing] = []
    for number, (owner, one, other, bad) in enumerate(runs):
        covered = range(min(one, other), max(one, other) + 1)
        newest |= {(owner, day): bad.get(day) for day in covered}
        found = [
            Failing(Scope(owner, *days(day, day)), bad[day], f"run-{number}")
            for day in sorted(bad.keys() & set(covered))
        ]
        judged = [Scope(owner, *days(covered[0], covered[-1]))]
        failing = update_failing(failing, judged, found)

    told = [
        ((one.part.workspace_id, (day - DAY).days), one.severity)
        for one in failing
        for day in one.part.each_day()
    ]
    assert len(told) == len(dict(told))
    assert dict(told) == {part: severity for part, severity in newest.items() if severity}


def test_a_watch_warns_of_the_rows_it_finds_and_a_picture_is_shown(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def work(slice_: Slice) -> Written:
        written = publish_alone(slice_, ACCOUNTS, accounts(slice_, "@one", "@two"))
        written.notes["how it looks"] = Picture("<svg/>", "two accounts")
        return written

    watch = Watch("second", "Nobody is second.", lambda rows: rows.filter(handle="@two"))
    asset = write_asset(ACCOUNTS, work, watches=(watch,))
    result = run_stage(platform, instance, [asset], [TECH])

    assert result.success
    second = result.checks["second"]
    assert (second.passed, second.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "@two" in str(second.metadata["to look at"])
    (made,) = result.materializations(ACCOUNTS)
    shown = made.metadata["how it looks"].value
    encoded = base64.b64encode(b"<svg/>").decode()
    assert shown == f"![two accounts](data:image/svg+xml;base64,{encoded})"


def test_what_follows_the_slices_is_done_once_a_run_and_its_failure_loses_no_rows(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def work(slice_: Slice) -> Written:
        written = publish_alone(slice_, WORKSPACE_REPORTS, reports(slice_, stories=1))
        written.day_notes[DAYS[1]] = {"essentials": Markdown("**all** is well")}
        return written

    done: list[Platform] = []

    def finish(platform: Platform) -> None:
        done.append(platform)
        raise OSError("no room for the page")

    asset = write_asset(WORKSPACE_REPORTS, work, finish=finish)
    result = run_stage(platform, instance, [asset], [days_of("tech")])

    assert done == [platform]
    # The next run of the first slice does it, too.
    assert list_retries(instance, result) == {"tech": ["2026-11-16", "2026-11-17", "2026-11-18"]}
    assert not result.success
    assert stored(platform, WORKSPACE_REPORTS, "tech", "stories") == [1, 1, 1]
    assert "no room for the page" in result.failure
    made = result.materializations(WORKSPACE_REPORTS)
    assert len(made) == 3
    shown = {one.metadata["essentials"] for one in made if "essentials" in one.metadata}
    assert shown == {dg.MetadataValue.md("**all** is well")}


def collected_row(target: str, outcome: str) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "source": "hn",
        "target": target,
        "history": "date_queryable",
        "outcome": outcome,
        "detail": None if outcome == "ok" else "example.org: timed out",
        "attempts": 1,
        "started_at": datetime(2026, 11, 20, tzinfo=UTC),
        "finished_at": datetime(2026, 11, 20, tzinfo=UTC),
        "fetched": 0,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": "run-1",
    }


def collected(*outcomes: str) -> TableAsset:
    """``raw_trends`` as a collection whose fetches end in these ways; with none it asks nobody."""
    log = COLLECTION_LOG.frame(
        [
            {**collected_row(f"list {number}", outcome), "day": DAY, "collection_id": str(number)}
            for number, outcome in enumerate(outcomes)
        ]
    )

    def work(slice_: Slice) -> Written:
        if outcomes and "ok" not in outcomes:
            raise NothingCollectedError(slice_.scope, log)
        rows = check_rows(RAW_TRENDS, RAW_TRENDS.empty(), slice_.scope)
        return Written(0, 0, rows.results, rows.frame, log=log)

    return write_asset(RAW_TRENDS, work, is_collected=True, beside=EVIDENCE)


def collect(
    platform: Platform, instance: dg.DagsterInstance, *outcomes: str, workspace_id: str = "tech"
) -> Ran:
    parts = [days_of(workspace_id, (DAY, DAY))]
    return run_stage(platform, instance, [collected(*outcomes)], parts)


def test_targets_that_did_not_answer_are_a_warning_with_counts_and_reasons(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = collect(platform, instance, "ok", "transient_error", "ok")

    assert result.success
    answered = result.checks["answered"]
    assert (answered.passed, answered.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert answered.metadata["failed targets"].value == "1 of 3 targets failed: timed out (1)"


def test_a_day_that_gave_no_answer_is_named_with_the_reason_by_later_runs() -> None:
    days = (date(2026, 11, 16), date(2026, 11, 20))
    fetched = {date(2026, 11, 18): "transient_error", date(2026, 11, 19): "ok"}
    log = COLLECTION_LOG.frame(
        [
            {
                **collected_row("list 0", outcome),
                "day": day,
                "collection_id": str(day),
            }
            for day, outcome in fetched.items()
        ]
    )
    assert list_unanswered(Scope("tech", *days), log) == {
        Scope("tech", date(2026, 11, 18), date(2026, 11, 18)): (
            "1 of 1 targets failed: timed out (1)"
        )
    }


def test_a_reason_outlasts_the_run_that_found_it(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    collect(platform, instance, "ok", "transient_error")
    result = collect(platform, instance, "ok", workspace_id="finance")

    assert result.checks["answered"].description == (
        "this run: passed; failing since earlier runs: tech 2026-11-16"
        " (1 of 2 targets failed: timed out (1))"
    )


def test_a_preview_shows_a_few_columns_and_names_the_others() -> None:
    shown = preview(RAW_TRENDS.frame([trend("1")]))
    header, *_, rest = shown.splitlines()
    assert header.count("|") == 9
    assert "collection_id" in rest


def test_a_collection_that_asks_nobody_is_no_failure(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = collect(platform, instance)

    assert result.success
    assert result.checks["answered"].passed


def test_a_collection_without_any_answer_is_a_failure(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = collect(platform, instance, "transient_error", "transient_error")

    assert not result.success
    answered = result.checks["answered"]
    assert (answered.passed, answered.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert result.materializations(RAW_TRENDS) == []
    assert "2 of 2 targets failed: timed out (2)" in result.failure
    assert collect(platform, instance, "ok").checks["answered"].passed


def test_a_collection_shows_how_many_rows_of_evidence_there_are(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    collect(platform, instance, "ok")
    row = fetch([trend("a", day=DAY)], day=DAY)
    store_fetches(platform, RAW_TRENDS, [row], Run("1", "test", ""))
    collect(platform, instance, "ok")

    for name, rows in (("collection_log", 1), ("raw_payloads", 0), ("quarantined_rows", 0)):
        # Only the first is a materialization: a later one would make the nightly checks outdated.
        (made,) = instance.fetch_materializations(dg.AssetKey(name), limit=9).records
        assert made.asset_materialization is not None
        assert made.asset_materialization.metadata["dagster/row_count"].value == 0
        (seen,) = instance.fetch_observations(dg.AssetKey(name), limit=9).records
        observation = seen.event_log_entry.asset_observation
        assert observation is not None
        assert observation.metadata["dagster/row_count"].value == rows


def test_an_appended_partition_shows_all_its_rows_and_those_that_are_new(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    store_fetches(
        platform, RAW_TRENDS, [fetch([trend("a", day=DAY)], day=DAY)], Run("1", "test", "")
    )

    (made,) = collect(platform, instance, "ok").materializations(RAW_TRENDS)

    assert made.metadata["rows"].value == made.metadata["dagster/partition_row_count"].value == 1
    assert made.metadata["rows_appended"].value == 0


def test_a_run_in_which_nothing_can_be_judged_still_marks_its_partitions_as_failed(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [")
    made = [
        make_asset(ACCOUNTS, lambda s: accounts(s, "@a")),
        make_asset(CHANNELS, lambda _: CHANNELS.empty(), reads=(ACCOUNTS,)),
    ]

    result = run_stage(platform, instance, made, [Scope("finance")])

    assert not result.success
    assert list_failed(instance, ACCOUNTS) == list_failed(instance, CHANNELS) == {"finance"}


@pytest.mark.parametrize(
    ("status", "day"),
    [("archived", DAY), ("active", date(1999, 1, 1)), ("active", date(2999, 1, 1))],
    ids=["archived", "before the first day", "after today"],
)
def test_a_slice_that_is_not_to_be_worked_on_fails_alone(
    platform: Platform, instance: dg.DagsterInstance, status: Status, day: date
) -> None:
    workspace = platform.workspaces.get("finance").model_copy(update={"status": status})
    platform.workspaces.save(workspace)
    rows = lambda s: reports(s, stories=1)  # noqa: E731
    parts = [Scope("finance", day, day), days_of("tech", (DAY, DAY))]

    result = run(platform, instance, WORKSPACE_REPORTS, rows, *parts)

    assert not result.success
    assert result.partitions(WORKSPACE_REPORTS) == {str(partition_key("tech", DAY))}
    assert stored(platform, WORKSPACE_REPORTS, "finance", "stories") == []
    assert list_retries(instance, result) == {}


def test_rows_that_are_published_are_reported_although_the_run_is_interrupted(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def interrupt(_slice: Slice) -> pl.DataFrame:
        raise KeyboardInterrupt

    made = [
        make_asset(ACCOUNTS, lambda s: accounts(s, "@a")),
        make_asset(CHANNELS, interrupt, reads=(ACCOUNTS,)),
    ]
    with suppress(KeyboardInterrupt):
        run_stage(platform, instance, made, [TECH])

    (found,) = instance.fetch_materializations(dg.AssetKey("accounts"), limit=9).records
    assert found.partition_key == "tech"


def publish_first(batch: Batch, table: Table, rows: Make) -> Results:
    """Publish the first slice alone."""
    first = replace(batch, slices=batch.slices[:1])
    return publish_batch(first, table, for_each_slice(first, rows))


def newest_check(instance: dg.DagsterInstance, table: Table, check: str) -> bool | None:
    """Whether a check passed in the newest run that made it; None where none did."""
    key = dg.AssetCheckKey(dg.AssetKey(table.name), check)
    records = instance.event_log_storage.get_asset_check_summary_records([key])
    last = records[key].last_completed_check_execution_record
    return last.evaluation.passed if last and last.evaluation else None


def test_a_slice_that_was_published_before_an_interruption_is_reported_and_checked(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        publish_first(batch, ACCOUNTS, lambda s: accounts(s, "@a"))
        raise KeyboardInterrupt

    asset = TableAsset(ACCOUNTS, compute, BY_WORKSPACE)
    with suppress(KeyboardInterrupt):
        run_stage(platform, instance, [asset], [Scope("finance"), TECH])

    (found,) = instance.fetch_materializations(dg.AssetKey("accounts"), limit=9).records
    assert found.partition_key == "finance"
    assert newest_check(instance, ACCOUNTS, "key") is True


def test_a_slice_that_was_published_before_the_lake_failed_is_no_failure(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    @isolated
    def publish(batch: Batch) -> Results:
        if len(batch.slices) > 1:
            raise ValueError("try halves")
        if batch.workspace_ids == ("tech",):
            raise LakeError("the lake cannot be written")
        return publish_batch(batch, ACCOUNTS, for_each_slice(batch, lambda s: accounts(s, "@a")))

    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        return publish(batch)

    asset = TableAsset(ACCOUNTS, compute, BY_WORKSPACE)
    result = run_stage(platform, instance, [asset], [Scope("finance"), TECH])

    assert "tech: the lake cannot be written" in result.failure
    assert "1 of 2 slices failed" in result.failure
    assert result.partitions(ACCOUNTS) == {"finance"}
    assert list_failed(instance, ACCOUNTS) == {"tech"}
    assert list_retries(instance, result) == {"tech": []}


def test_an_error_after_every_slice_was_published_fails_the_run(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        publish_first(batch, ACCOUNTS, lambda s: accounts(s, "@a"))
        raise OSError("no space")

    asset = TableAsset(ACCOUNTS, compute, BY_WORKSPACE)
    result = run_stage(platform, instance, [asset], [TECH])

    assert "no space" in result.failure
    assert result.partitions(ACCOUNTS) == {"tech"}
    assert list_retries(instance, result) == {"tech": []}


def test_later_days_of_a_first_try_are_reported_with_those_of_the_next(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    later = DAY + timedelta(days=5)
    tries = []

    @isolated
    def publish(batch: Batch) -> Results:
        tries.append(batch.workspace_ids)
        made = for_each_slice(batch, lambda s: reports(s, stories=1))
        for scope, one in publish_batch(batch, WORKSPACE_REPORTS, made).items():
            if len(tries) == 1 and isinstance(one, Written):
                batch.note({scope: replace(one, later={later: 7})})
        if len(tries) == 1:
            raise ValueError("after the commit")
        return publish_batch(batch, WORKSPACE_REPORTS, made)

    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        return publish(batch)

    asset = TableAsset(WORKSPACE_REPORTS, compute, BY_DAY)
    parts = [days_of("finance", (DAY, DAY)), days_of("tech", (DAY, DAY))]
    result = run_stage(platform, instance, [asset], parts)

    assert tries == [("finance", "tech"), ("finance",), ("tech",)]
    assert result.success
    keys = [partition_key(name, day) for name in ("finance", "tech") for day in (DAY, later)]
    assert result.partitions(WORKSPACE_REPORTS) == set(map(str, keys))
    made = result.materializations(WORKSPACE_REPORTS)
    counts = [one.metadata.get("later_days_updated") for one in made]
    assert counts.count(dg.MetadataValue.int(1)) == 2


def test_a_slice_that_fails_after_its_rows_are_stored_is_a_failure_with_a_materialization(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        publish_first(batch, ACCOUNTS, lambda s: accounts(s, "@a"))
        return {one.scope: OSError("no room for the index") for one in batch.slices}

    asset = TableAsset(ACCOUNTS, compute, BY_WORKSPACE)
    result = run_stage(platform, instance, [asset], [TECH])

    assert "no room for the index" in result.failure
    assert result.partitions(ACCOUNTS) == {"tech"}
    assert list_retries(instance, result) == {"tech": []}


def test_a_day_that_fails_leaves_the_other_days_of_its_slice(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    bad = DAY + timedelta(days=1)

    def compute(batch: Batch, _config: Mapping[str, Any]) -> Results:
        """Made for a test."""
        (slice_,) = batch.slices
        days = [replace(slice_, days=(day, day)) for day in slice_.own_days]
        frames: dict[Scope, pl.DataFrame | Exception] = {
            one.scope: reports(one, stories=1) for one in days
        }
        frames[Scope("tech", bad, bad)] = OSError("no room for the page")
        return publish_batch(batch, WORKSPACE_REPORTS, frames)

    asset = TableAsset(WORKSPACE_REPORTS, compute, BY_DAY)
    result = run_stage(platform, instance, [asset], [days_of("tech")])

    assert "no room for the page" in result.failure
    assert result.partitions(WORKSPACE_REPORTS) == {str(partition_key("tech", day)) for day in DAYS}
    assert list_failed(instance, WORKSPACE_REPORTS) == {str(partition_key("tech", bad))}
    assert list_retries(instance, result) == {"tech": [str(bad)]}


def test_a_run_excludes_other_runs_of_its_stage_until_it_ends(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    lock = stage_lock(platform, BY_WORKSPACE.name, ["tech"], timeout_s=0)

    def make(slice_: Slice) -> pl.DataFrame:
        with pytest.raises(LockTimeoutError), lock.hold():
            pass
        return accounts(slice_, "@a")

    for _ in range(2):
        assert run_stage(platform, instance, [make_asset(ACCOUNTS, make)], [TECH]).success
        with lock.hold():
            pass


def test_a_run_whose_lock_was_lost_writes_nothing_more(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(Lock):
        timeout_s = 0.0

        def hold(self) -> AbstractContextManager[None]:
            return nullcontext()

        def find_holder(self) -> None:
            return None

        def check(self) -> None:
            raise LockLostError("the lock was lost")

    monkeypatch.setattr(table_assets, "stage_lock", lambda *_, **__: Lost())

    result = run_stage(
        platform, instance, [make_asset(ACCOUNTS, lambda s: accounts(s, "@a"))], [TECH]
    )

    assert "the lock was lost" in result.failure
    assert stored(platform, ACCOUNTS, "tech", "handle") == []


def test_a_run_waits_for_another_run_of_its_stage(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Event()

    def note(
        platform: Platform, name: str, workspace_ids: Collection[str], *, timeout_s: float
    ) -> Lock:
        if timeout_s:
            waits.set()
        return stage_lock(platform, name, workspace_ids, timeout_s=timeout_s)

    monkeypatch.setattr(table_assets, "stage_lock", note)
    assets = [make_asset(ACCOUNTS, lambda s: accounts(s, "@a"))]
    with ThreadPoolExecutor(1) as pool:
        with stage_lock(platform, BY_WORKSPACE.name, ["tech"], timeout_s=0).hold():
            run = pool.submit(run_stage, platform, instance, assets, [TECH])
            assert waits.wait(timeout=60)
            assert stored(platform, ACCOUNTS, "tech", "handle") == []
        assert run.result().success


def test_a_slice_of_which_nothing_was_made_fails(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    made = TableAsset(ACCOUNTS, lambda _batch, _config: {}, BY_WORKSPACE)

    assert not run_stage(platform, instance, [made], [TECH]).success
    assert list_failed(instance, ACCOUNTS) == {"tech"}


def test_failures_and_checks_are_reported_although_evidence_cannot_be_counted(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise LakeError("the lake cannot be read")

    monkeypatch.setattr(CrossReader, "count_rows", fail)

    result = collect(platform, instance, "transient_error")

    assert not result.checks["answered"].passed
    assert "1 of 1 targets failed: timed out (1)" in result.failure
    assert "the lake cannot be read" in result.failure


def test_a_run_that_asks_nobody_clears_no_failure(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    collect(platform, instance, "transient_error")
    collect(platform, instance)
    assert is_red(instance, RAW_TRENDS, "answered")
    collect(platform, instance, "ok")
    assert not is_red(instance, RAW_TRENDS, "answered")


def test_a_run_without_partitions_or_with_a_day_that_is_none_is_refused(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    made = [make_asset(WORKSPACE_REPORTS, lambda s: reports(s, stories=1))]
    assert "has no partitions" in run_stage(platform, instance, made, []).failure
    config = batch_config(BY_DAY, [days_of("tech")])
    config["ops"]["make_by_day"]["config"]["workspaces"]["tech"] = ["today"]
    result = build_job(made).execute_in_process(
        instance=instance,
        resources={"platform": platform},
        run_config=config,
        raise_on_error=False,
    )
    assert not result.success
