"""The code location, and the lake as `dagster-duckdb` knows it: readable, and only that."""

from __future__ import annotations

import warnings
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from ytap_assets.defs.build import LakeDuckDBResource, build_definitions
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.registries import list_accounts
from ytap_assets.tables import ACCOUNTS
from ytap_assets.workspaces import Account, Workspace

RUN = Run("run-1", "test", "publish")


def publish_account(platform: Platform) -> None:
    account = Account(platform="youtube", handle="@tech")
    workspace = Workspace(workspace_id="tech", name="Tech", vertical="tech", accounts=(account,))
    rows = check_rows(ACCOUNTS, list_accounts([workspace]), Scope("tech"))
    with platform.lake.write(RUN) as transaction:
        transaction.publish_all([rows])


def test_an_asset_reads_the_lake_in_sql(platform: Platform) -> None:
    publish_account(platform)
    seen: list[Any] = []

    def handles(duckdb: DuckDBResource) -> None:
        with duckdb.get_connection() as connection:
            seen.extend(connection.sql("SELECT workspace_id, handle FROM accounts").fetchall())

    handles.__annotations__["duckdb"] = DuckDBResource  # Dagster reads types, not their names
    resource = LakeDuckDBResource.of(platform.settings)
    assert dg.materialize([dg.asset(handles)], resources={"duckdb": resource}).success

    assert seen == [("tech", "@tech")]


def test_writing_through_it_is_refused(platform: Platform) -> None:
    publish_account(platform)
    resource = LakeDuckDBResource.of(platform.settings)

    with (
        resource.get_connection() as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("DELETE FROM accounts")


def test_joins_through_it_may_be_written_in_any_order(platform: Platform) -> None:
    publish_account(platform)
    resource = LakeDuckDBResource.of(platform.settings)

    with resource.get_connection() as connection:
        [disabled] = connection.execute("SELECT current_setting('disabled_optimizers')").fetchone()

    assert "join_order" not in disabled


def test_loading_the_code_location_warns_of_nothing(platform: Platform) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_definitions(platform=platform).get_repository_def()
