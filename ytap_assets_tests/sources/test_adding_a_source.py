"""The guide's source, as it is printed: one module, one profile, one recording."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ytap_assets.domain import source_profiles
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import collect_trends
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS, Table
from ytap_assets.workspaces import Workspace, Workspaces

_GUIDE = (Path(__file__).parents[2] / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
DAY = date(2026, 11, 20)
SEEN_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TABLES: dict[str, Table] = {
    table.name: table for table in (RAW_TRENDS, COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS)
}


def block(kind: str, number: int = 0, *, of: int = 1) -> str:
    """A block of the guide, of all that are of a kind."""
    found = re.findall(rf"```{kind}\n(.*?)```", _GUIDE, re.DOTALL)
    assert len(found) == of
    return str(found[number])


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    """The guide's module, imported from a file."""
    path = tmp_path / "lobsters.py"
    path.write_text(block("python", of=2), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("lobsters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lobsters"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["lobsters"]


@pytest.fixture
def lobsters(settings: Settings, module: ModuleType) -> Iterator[Platform]:
    """An installation with the guide's recording and its config."""
    folder = settings.recordings / DAY.isoformat()
    folder.mkdir(parents=True)
    (folder / "lobsters.jsonl").write_text(block("json"), encoding="utf-8")
    Workspaces(settings).save(
        Workspace(
            workspace_id="tech", name="Tech", vertical="technology", **yaml.safe_load(block("yaml"))
        )
    )
    platform = Platform(settings)
    yield platform
    platform.lake.close()


def select(platform: Platform, statement: str) -> list[str]:
    """The result of one of the guide's statements."""
    found = re.fullmatch(r"select (.*) from (\w+)(?: order by (\w+))?", statement)
    assert found is not None
    columns, table, order = found[1].split(", "), TABLES[found[2]], found[3]
    rows = platform.lake.reader("tech").read(table)
    rows = rows.filter(source="lobsters").sort(order or columns[0]).select(columns)
    return [
        " | ".join(str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in row)
        for row in rows.iter_rows()
    ]


def test_the_guides_source_is_collected_as_printed(lobsters: Platform, module: ModuleType) -> None:
    catalog = Catalog((*CATALOG.trends, module.Lobsters()), CATALOG.video_stats)
    batch, _ = lobsters.batch({"tech": [(DAY, DAY)]}, Run("run-1", "test", "collect"))
    (written,) = collect_trends(batch, catalog=catalog).values()
    assert isinstance(written, Written)
    assert written.rows == 2
    for result in block("text").strip().split("\n\n"):
        statement, *lines = result.splitlines()
        assert select(lobsters, statement) == lines
    observed = lobsters.lake.reader("tech").read(RAW_TRENDS)["observed_at"]
    assert set(observed) == {SEEN_AT}


def test_it_has_targets_only_if_the_config_names_it(lobsters: Platform, module: ModuleType) -> None:
    wanting = lobsters.workspaces.get("tech")
    source = module.Lobsters()
    assert list(source.targets(wanting)) == ["hottest"]
    assert list(source.targets(wanting.model_copy(update={"extra": {}}))) == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"lists": "hottest"}, r"extra\.lobsters\.lists: expected a list"),
        ({"lists": ["coldest"]}, r"extra\.lobsters\.lists\.0: "),
        ({"list": ["hottest"]}, r"extra\.lobsters\.list: .*did you mean `lists`"),
        ("hottest", r"extra\.lobsters: "),
    ],
    ids=["a text for a list", "an unknown value", "an unknown key", "a text for a section"],
)
def test_its_section_of_the_config_is_validated(
    lobsters: Platform, module: ModuleType, said: object, why: str
) -> None:
    wanting = lobsters.workspaces.get("tech")
    wrong = wanting.model_copy(update={"extra": {"lobsters": said}})
    with pytest.raises(ConfigError, match=why):
        module.Lobsters().targets(wrong)


@pytest.mark.parametrize(("said", "targets"), [(True, ["hottest"]), (False, []), (None, [])])
def test_true_means_the_defaults(
    lobsters: Platform, module: ModuleType, said: object, targets: list[str]
) -> None:
    wanting = lobsters.workspaces.get("tech").model_copy(update={"extra": {"lobsters": said}})
    assert list(module.Lobsters().targets(wanting)) == targets


def test_its_host_is_allowed_only_if_it_is_in_the_catalog(module: ModuleType) -> None:
    catalog = Catalog((module.Lobsters(),), CATALOG.video_stats)
    assert "lobste.rs" in catalog.hosts
    assert "lobste.rs" not in CATALOG.hosts
    assert catalog.spacing_s["lobste.rs"] == 1.0


def test_the_guides_profile_is_that_of_its_source(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = eval(block("python", 1, of=2), vars(source_profiles))  # noqa: S307 - the guide's own
    assert profile.name == module.Lobsters.name
    profiles = {**source_profiles.SOURCE_PROFILES, profile.name: profile}
    monkeypatch.setattr(source_profiles, "SOURCE_PROFILES", profiles)
    assert SpamRules().minimums["lobsters"] == profile.minimum


def test_every_source_of_the_catalog_is_in_the_overview() -> None:
    overview = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    for source in CATALOG.sources:
        row = f"| `{type(source).__name__}` | `{source.name}` | {source.history} |"
        assert row in overview, row
        assert all(host in overview for host in source.hosts)
