"""Scripts as files, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets_tests.cli.conftest import Ytap
from ytap_assets_tests.operations.test_script_imports import record, write


def list_states(ytap: Ytap, workspace: str) -> dict[str, Any]:
    rows = json.loads(ytap.ok("script", "list", "-w", workspace, "--format", "json"))
    return {row["script_id"]: row["state"] for row in rows}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A datastore with a record of another workspace, and a bad line."""
    return write(
        tmp_path / "records.jsonl",
        record("ep-1"),
        record("ep-2", workspace_id="money", production_state="REJECTED"),
        "{not json",
    )


def test_records_are_imported_and_counted(platform: Platform, ytap: Ytap, records: Path) -> None:
    command = ("import", "records", records, "--workspace", "tech", "--map", "money=finance")
    result = ytap(*command)
    assert result.exit_code == 0, result.output
    assert "Lines in quarantine: ytap sql" in result.stderr
    assert list_states(ytap, "tech") == {"ep-1": "script_pending_review"}
    assert list_states(ytap, "finance") == {"ep-2": "rejected"}

    again = ytap(*command)
    assert again.exit_code == 0
    assert "records.jsonl: nothing new in tech" in again.stderr


def test_lines_without_a_workspace_are_misuse(
    platform: Platform, ytap: Ytap, records: Path
) -> None:
    message = ytap.refused(2, "import", "records", records)
    assert "records.jsonl: lines 1, 3: no workspace_id" in message
    assert "--map money=WORKSPACE" in message
    assert list_states(ytap, "tech") == {}


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["money"], "is not THEIRS=OURS"),
        (["=tech"], "is not THEIRS=OURS"),
        (["money=tech", "money=finance"], "is given twice"),
        (["money=nowhere"], "nowhere"),
    ],
)
def test_a_wrong_map_is_misuse(
    platform: Platform, ytap: Ytap, records: Path, pairs: list[str], says: str
) -> None:
    options = [word for pair in pairs for word in ("--map", pair)]
    assert says in ytap.refused(2, "import", "records", records, "-w", "tech", *options)


def test_a_missing_file_and_a_file_without_a_record_have_other_exit_codes(
    platform: Platform, ytap: Ytap, tmp_path: Path, records: Path
) -> None:
    options = ("-w", "tech", "--map", "money=finance")
    assert "no such file" in ytap.refused(2, "import", "records", tmp_path / "gone", *options)
    bad = write(tmp_path / "bad.jsonl", "{")
    assert "nothing was imported" in ytap.refused(1, "import", "records", records, bad, *options)
    assert list_states(ytap, "tech") == {"ep-1": "script_pending_review"}
