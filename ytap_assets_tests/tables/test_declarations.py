"""What holds for every declared table, whichever it is."""

from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType
from typing import get_args

import polars as pl
import pytest

import ytap_assets.tables
from ytap_assets.domain.plausibility import flag_ranges
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    TABLES,
    Table,
    base,
    collect_tables,
    evidence,
    trends,
)
from ytap_assets.workspace_sections import Budget

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


def test_tables_are_found_by_their_names() -> None:
    assert {name: table.name for name, table in TABLES.items()} == {name: name for name in TABLES}
    assert len({table.model for table in TABLES.values()}) == len(TABLES)


def test_every_table_is_a_name_of_the_package() -> None:
    constants = {name for name in ytap_assets.tables.__all__ if name.isupper()}
    assert constants == {"TABLES", *(name.upper() for name in TABLES)}


def test_two_tables_of_one_name_are_refused() -> None:
    module = ModuleType("more_trends")
    module.RAW_TRENDS = trends.RAW_TRENDS  # type: ignore[attr-defined]
    again = collect_tables(trends, module)
    assert again == collect_tables(trends)
    module.OTHER = replace(evidence.RAW_PAYLOADS, name="raw_trends")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"more_trends: .*'raw_trends'"):
        collect_tables(trends, module)


@every_table
def test_names_are_words(table: Table) -> None:
    for name in (table.name, table.group, *table.schema.names()):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name


@every_table
def test_everything_is_described(table: Table) -> None:
    assert table.description.endswith(".")
    for column in table.columns:
        assert len(column.comment) > 5, column.name


@every_table
def test_a_comment_lists_the_values_of_its_column(table: Table) -> None:
    for name, declared in table.model.to_schema().columns.items():
        for check in declared.checks:
            for value in check.statistics.get("allowed_values", ()):
                assert f"`{value}`" in declared.description, name


def test_values_are_listed_with_their_meanings() -> None:
    named = base.column("The size.", isin=("small", "large"))
    told = base.column("The size.", isin={"small": "below 10", "large": "the others"})
    assert named.description == "The size. Values: `small`, `large`."
    assert told.description == "The size. Values: `small`: below 10; `large`: the others."
    assert base.column("The size.").description == "The size."


def test_every_outcome_and_state_has_a_meaning() -> None:
    assert get_args(evidence.Outcome) == evidence.OUTCOMES
    assert get_args(evidence.CoverageState) == evidence.COVERAGE_STATES


@every_table
def test_the_key_identifies_rows_of_a_workspace(table: Table) -> None:
    columns = {column.name: column for column in table.columns}
    assert table.key[0] == "workspace_id"
    assert len(set(table.key)) == len(table.key)
    assert not any(columns[name].nullable for name in table.key)


@every_table
def test_rows_are_stored_in_an_order_that_exists(table: Table) -> None:
    assert table.sort_by
    assert set(table.sort_by) <= set(table.schema.names())


@every_table
def test_the_partition_is_in_the_row(table: Table) -> None:
    columns = {column.name: column for column in table.columns}
    assert not columns["workspace_id"].nullable
    assert table.by_day is ("day" in columns)
    if table.by_day:
        assert columns["day"].dtype == pl.Date
        assert not columns["day"].nullable


@every_table
def test_a_sequenced_table_is_appended_and_has_its_number(table: Table) -> None:
    assert table.sequenced is (table.schema.get("seq") == pl.Int64)
    if table.sequenced:
        assert table.mode == "append"


@every_table
def test_instants_are_utc_and_money_is_whole(table: Table) -> None:
    for name, dtype in table.schema.items():
        if name.endswith("_at") or isinstance(dtype, pl.Datetime):
            assert dtype == pl.Datetime("us", "UTC"), name
            assert name.endswith(("_at", "_since")), name
        if "usd" in name:
            assert name.endswith("_usd_micros"), name
            assert dtype == pl.Int64, name
        if name.startswith(("is_", "has_")):
            assert dtype == pl.Boolean, name


@every_table
def test_expected_ranges_are_ranges_of_numbers(table: Table) -> None:
    for column in table.columns:
        if column.expected:
            low, high = column.expected
            assert low < high, column.name
            assert column.dtype.is_numeric(), column.name


def test_no_budget_of_a_config_is_outside_the_expected_range_of_a_cost() -> None:
    largest = round(Budget(per_video_usd=1_000_000).per_video_usd * 10**6)
    costs = [name for name in PRODUCTION_RECORDS.schema if name.endswith("cost_usd_micros")]
    rows = PRODUCTION_RECORDS.frame([dict.fromkeys(costs, largest)])
    flags = flag_ranges(rows, PRODUCTION_RECORDS.columns)
    flagged = dict(flags.select("column", "outside").iter_rows())
    assert [flagged[name] for name in costs] == [0, 0]


@every_table
def test_a_former_name_is_no_present_one_and_belongs_to_one_column(table: Table) -> None:
    former = [name for column in table.columns for name in column.renamed_from]
    assert len(set(former)) == len(former)
    assert not set(former) & set(table.schema)


@every_table
def test_what_rows_are_about_is_named_by_their_columns(table: Table) -> None:
    assert "workspace" in table.removals
    for columns, _ in table.removals.values():
        assert columns
        assert set(columns) <= set(table.schema)
        assert all(table.schema[name] == pl.String for name in columns)
    # Every id of a channel or video by which rows could be found is declared.
    named = {name for columns, _ in table.removals.values() for name in columns}
    assert {"channel_id", "video_id"} & set(table.schema) <= named
    if table.mode == "append":
        assert {removal for _, removal in table.removals.values()} <= {"stays", "continues"}


@every_table
def test_no_rows_are_a_valid_partition(table: Table) -> None:
    empty = table.empty()
    assert empty.schema == table.schema
    assert table.model.validate(empty).is_empty()


def test_former_names_are_a_tuple() -> None:
    with pytest.raises(TypeError, match="title"):
        base.column("The title.", renamed_from="title")  # type: ignore[arg-type]
