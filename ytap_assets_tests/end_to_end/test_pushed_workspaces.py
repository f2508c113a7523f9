"""The demo with workspaces in the lake and no folder of them is the demo with folders."""

from __future__ import annotations

import shutil
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.defs.launch import materialize_range
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import PUSHED_CONFIGS, PUSHED_FILES, TABLES
from ytap_assets_tests.end_to_end.conftest import DAYS, PROJECT, WORKSPACES, Demo
from ytap_assets_tests.pushing import push

_OF_ITS_RUN = {"run_id", "generated_at", "snapshot_id", "report_path", "collection_id", "stamp"}
"""What a second demo has of its own: names of runs and fetches, times of writing, stamps."""


def rows_of(demo: Demo, table: str) -> pl.DataFrame:
    return demo.rows(table).drop(_OF_ITS_RUN, strict=False)


def test_every_table_has_the_rows_that_it_has_with_folders(
    demo: Demo, tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    here, there = settings.data, tmp_path_factory.mktemp("pusher")
    shutil.copytree(PROJECT / "data" / "recordings", here / "recordings")
    shutil.copytree(PROJECT / "data" / "workspaces", there / "workspaces")
    platform = Platform(replace(settings, workspace_source="lake"))

    pushed = push(platform, settings=replace(settings, data=there))
    runs = materialize_range(platform, "*", workspace_ids=WORKSPACES, days=DAYS)
    made = Demo(platform, runs)

    assert not any(one.problems for one in pushed.values())
    assert [run.error for run in runs] == [None] * len(runs)
    assert not settings.workspaces.exists()
    for name in TABLES.keys() - {PUSHED_CONFIGS.name, PUSHED_FILES.name}:
        assert_frame_equal(rows_of(made, name), rows_of(demo, name), check_row_order=False)
    platform.lake.close()
