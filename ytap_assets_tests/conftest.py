"""What every test may ask for: the worked examples, the real data, a fixed present."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.workspaces import Approval, Brand, Workspace, Workspaces
from ytap_assets_tests.databases import Lakes, Server, find_server, run_s3
from ytap_assets_tests.effort import examples

_SHARED = Path(os.environ.get("YTAP_SHARED", Path(__file__).parents[2] / "shared"))

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

# No test asserts a time.
hypothesis.settings.register_profile("ours", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-snapshot` accepts the asset graph as it is; two options choose the lakes."""
    parser.addoption("--update-snapshot", action="store_true", default=False)
    parser.addoption("--catalog", choices=["sqlite", "postgres"], default="sqlite")
    parser.addoption("--files", choices=["folder", "s3"], default="folder")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of one kind of lake with the other kinds."""
    if item.get_closest_marker("sqlite") and item.config.getoption("--catalog") != "sqlite":
        pytest.skip("about a catalog in a SQLite file")
    if item.get_closest_marker("folder") and item.config.getoption("--files") != "folder":
        pytest.skip("about files in a folder")


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage; nothing of it becomes any."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Read the migration scripts of each of Dagster's databases once per session.

    Dagster reads all 89 of them, twice, for every database that it makes, and every run has one.
    """
    read: dict[str | None, ScriptDirectory] = {}
    from_config = ScriptDirectory.from_config

    def find(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in read:
            read[place] = from_config(config)
        return read[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", find)
        yield


@pytest.fixture
def now() -> datetime:
    """The present, as far as tests go."""
    return NOW


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server; the test is skipped where there is none."""
    with find_server() as found:
        yield found


@pytest.fixture(scope="session")
def lakes(request: pytest.FixtureRequest) -> Lakes:
    """Makes lakes of the kind that `--catalog` and `--files` name."""
    is_default = request.config.getoption("--catalog") == "sqlite"
    has_folder = request.config.getoption("--files") == "folder"
    return Lakes(
        None if is_default else request.getfixturevalue("server"),
        None if has_folder else request.getfixturevalue("bucket"),
    )


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URL of a place in S3, on a server of the session's own."""
    with run_s3() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
        yield url


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory, lakes: Lakes) -> Settings:
    """An empty lake; copied, never opened again."""
    settings = lakes.place(tmp_path_factory.mktemp("empty_lake"))
    Lake.create(settings).close()
    return settings


@pytest.fixture
def settings(tmp_path: Path, empty_lake: Settings, lakes: Lakes) -> Iterator[Settings]:
    """Replay without recordings, on a temporary data folder with an empty lake.

    Copying a lake is several times faster than making one.
    """
    with lakes.copy(empty_lake, tmp_path) as copied:
        yield replace(copied, transport="replay")


@pytest.fixture
def platform(settings: Settings) -> Iterator[Platform]:
    """Two workspaces: `tech`, whose policy approves, and `finance`, where people do."""
    workspaces = Workspaces(settings)
    workspaces.save(
        Workspace(
            workspace_id="tech",
            name="Tech",
            vertical="technology",
            approval=Approval(scripts="policy", videos="policy"),
            brand=Brand(banned_topics=("gambling",)),
        )
    )
    workspaces.save(Workspace(workspace_id="finance", name="Finance", vertical="finance"))
    platform = Platform(settings, now=lambda: NOW)
    yield platform
    platform.lake.close()


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], list[dict[str, Any]]]:
    """Worked examples by name; the test is skipped where they are absent."""

    def load(name: str) -> list[dict[str, Any]]:
        path = _SHARED / "vectors" / f"{name}.json"
        if not path.is_file():
            pytest.skip(f"worked examples absent: {path}")
        cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cases"]
        return cases

    return load


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    folder = _SHARED / "real"
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder}")
    return folder
