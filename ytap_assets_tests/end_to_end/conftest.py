"""The demo, made once: every asset, every workspace, five days, as `make run` makes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.defs.launch import RunOutcome, materialize_range
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES
from ytap_assets_tests.cli.conftest import Ytap

PROJECT = Path(__file__).parents[2]
DAYS = (date(2026, 11, 16), date(2026, 11, 20))
WORKSPACES = ("finance", "fitness", "tech")


@dataclass(frozen=True)
class Demo:
    """The demo's lake and reports, and the runs that made them."""

    platform: Platform
    runs: list[RunOutcome]

    @property
    def ytap(self) -> Ytap:
        """The command line on the demo."""
        return Ytap(self.platform.settings.data)

    def rows(self, table: str) -> pl.DataFrame:
        """All rows of a table, in the order of its key."""
        declared = TABLES[table]
        return self.platform.lake.cross_reader().read_across(declared).sort(declared.key)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, as it is after one run of everything."""
    data = tmp_path_factory.mktemp("demo")
    for name in ("workspaces", "recordings"):
        shutil.copytree(PROJECT / "data" / name, data / name)
    platform = Platform(Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"}))
    runs = materialize_range(platform, "*", workspace_ids=WORKSPACES, days=DAYS)
    yield Demo(platform, runs)
    platform.lake.close()
