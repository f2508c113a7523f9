"""Commands that rename, export, restore and delete workspaces, and erase rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets_tests.cli.conftest import Ytap
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.planting import ROWS, plant

NAME = "zqtech"


@pytest.fixture
def planted(ytap: Ytap, settings: Settings) -> Ytap:
    """A workspace with rows in every table."""
    platform = Platform(settings, now=lambda: NOW)
    plant(platform, NAME, "01M6A6FT007CVZTYRQDW4HP9SJ")
    platform.lake.close()
    return ytap


def _count(ytap: Ytap, name: str = NAME) -> str:
    query = f"select count(*) as n from production_events where workspace_id = '{name}'"
    return ytap.ok("sql", query, "--format", "csv").split()[-1]


def test_a_workspace_is_exported_deleted_and_restored(planted: Ytap, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    assert "22 tables" in planted.ok("workspace", "export", NAME, "--output", out)
    assert "already exists" in planted.refused(2, "workspace", "export", NAME, "-o", out)

    assert "not repeated" in planted.refused(2, "workspace", "delete", NAME, stdin="other\n")
    assert "not repeated" in planted.refused(2, "workspace", "delete", NAME, "--confirm", "x")
    assert _count(planted) == str(ROWS)
    done = planted.ok("workspace", "delete", NAME, stdin=f"{NAME}\n")
    assert "rows of 22 tables erased" in done
    [export] = (planted.data / "exports").iterdir()
    assert str(export) in done
    assert _count(planted) == "0"
    assert NAME not in planted.ok("workspace", "list")

    assert "restored" in planted.ok("workspace", "restore", export)
    assert _count(planted) == str(ROWS)
    assert "already exists" in planted.refused(2, "workspace", "restore", out)
    planted.ok("workspace", "restore", out, "--as", "zqcopy")
    assert _count(planted, "zqcopy") == str(ROWS)


def test_a_workspace_is_renamed(planted: Ytap) -> None:
    assert "is now zqnew" in planted.ok("workspace", "rename", NAME, "zqnew")
    assert (_count(planted), _count(planted, "zqnew")) == ("0", str(ROWS))
    assert "does not exist" in planted.refused(2, "workspace", "rename", NAME, "zqother")


def test_rows_about_a_script_are_shown_and_then_erased(planted: Ytap) -> None:
    script = f"{NAME}-1"
    shown = planted.ok("erase", "script", script, "-w", NAME)
    assert "production_events" in shown
    assert _count(planted) == str(ROWS)
    assert "not repeated" in planted.refused(
        1, "erase", "script", script, "-w", NAME, "--confirm", "other"
    )
    assert "6 rows of 6 tables erased" in planted.ok(
        "erase", "script", script, "-w", NAME, "--confirm", script
    )
    assert _count(planted) == str(ROWS - 1)
    assert "no row about" in planted.refused(
        2, "erase", "script", script, "-w", NAME, "--confirm", script
    )
