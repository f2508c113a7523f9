"""Lakes to test on: one shared by a module, and fresh ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from ytap_assets.lakehouse.lake import Lake
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import Lakes
from ytap_assets_tests.lakehouse.samples import SAMPLES

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def made_lake(tmp_path_factory: pytest.TempPathFactory, lakes: Lakes) -> Settings:
    """An empty lake of the sample tables; copied, never opened again."""
    settings = lakes.place(tmp_path_factory.mktemp("made"))
    Lake.create(settings, tables=SAMPLES).close()
    return settings


@pytest.fixture(scope="module")
def shared_lake(
    made_lake: Settings, lakes: Lakes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    """A lake for the tests of a module that each keep to a workspace of their own."""
    with (
        lakes.copy(made_lake, tmp_path_factory.mktemp("shared") / "data") as settings,
        Lake.open(settings, tables=SAMPLES) as lake,
    ):
        yield lake


@pytest.fixture
def workspace() -> str:
    """The name of a workspace that no other test uses."""
    return f"ws-{next(_numbers)}"


@pytest.fixture
def settings(made_lake: Settings, lakes: Lakes, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a lake of one's own, with the sample tables."""
    with lakes.copy(made_lake, tmp_path / "data") as copied:
        yield copied


@pytest.fixture
def empty_settings(lakes: Lakes, tmp_path: Path) -> Settings:
    """The settings of a place where there is no lake yet."""
    return lakes.place(tmp_path / "nothing")


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    """A lake of one's own, with the sample tables."""
    with Lake.open(settings, tables=SAMPLES) as lake:
        yield lake
