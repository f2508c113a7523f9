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


@pytest.fixture
def imported(platform: Platform, ytap: Ytap, tmp_path: Path) -> Platform:
    """A script of `finance` in review, whose title a spreadsheet would run."""
    file = write(tmp_path / "records.jsonl", record("ep-1", title="=1+1"), record("ep-2"))
    ytap.ok("import", "records", file, "-w", "finance")
    return platform


def test_a_table_is_exported_edited_previewed_and_applied(
    imported: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    table = tmp_path / "scripts.csv"
    assert "scripts: 2" in ytap.ok(
        "script", "export", "-w", "finance", "-f", "csv", "--output", table
    )
    text = table.read_text(encoding="utf-8")
    assert text.startswith("id,title,hook,created_at,state,views,")
    assert text == ytap.ok("script", "export", "-w", "finance", "-f", "csv")
    assert "'=1+1" in text
    table.write_text(text.replace("Attention!", "=Look!", 1), encoding="utf-8")

    command = ("import", "scripts", table, "-w", "finance")
    preview = ytap(*command, "--format", "json")
    assert preview.exit_code == 0, preview.output
    assert json.loads(preview.stdout) == [
        {"script_id": "ep-1", "column": "hook", "old": "Attention!", "new": "=Look!"}
    ]
    assert "Nothing was stored" in preview.stderr
    assert "Attention!" in ytap.ok("script", "show", "ep-1", "-w", "finance")

    applied = ytap(*command, "--apply", "--as", "Eve")
    assert "scripts edited by Eve: 1" in applied.stderr
    shown = ytap.ok("script", "show", "ep-1", "-w", "finance")
    assert "=Look!" in shown
    assert "person:Eve" in shown
    again = ytap(*command)
    assert again.exit_code == 0
    assert "No edits to store" in again.stderr


def test_refused_cells_are_named_and_fail_the_command(
    imported: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    table = tmp_path / "edited.csv"
    table.write_text(
        "id;title;state\nep-1;Another;published\nep-2;Second;\nep-9;x;\n", encoding="utf-8"
    )
    result = ytap("import", "scripts", table, "-w", "finance", "--apply", "--as", "Eve")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == [
        "edited.csv, line 2",
        "edited.csv, line 3",
        "edited.csv, line 4",
    ]
    assert "`ytap script approve`" in errors[0]
    assert "warning: without the column `revision`" in result.stderr
    assert "Another" not in ytap.ok("script", "show", "ep-1", "-w", "finance")


def test_an_edited_text_is_shown_with_the_script(
    imported: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    assert "The text of ep-1." in ytap.ok("script", "show", "ep-1", "-w", "finance")
    table = tmp_path / "edited.csv"
    table.write_text("id,text\nep-1,Another text.\n", encoding="utf-8")
    ytap.ok("import", "scripts", table, "-w", "finance", "--apply", "--as", "Eve")
    shown = ytap.ok("script", "show", "ep-1", "-w", "finance")
    assert "Another text." in shown
    assert "The text of ep-1." not in shown


def test_histories_are_exported_and_imported(
    imported: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    file = tmp_path / "scripts.jsonl"
    ytap.ok("script", "export", "-w", "finance", "--format", "jsonl", "-o", file)
    again = ytap("import", "scripts", file, "-w", "finance")
    assert again.exit_code == 0
    assert "nothing new in finance" in again.stderr
    other = ytap("import", "scripts", file, "-w", "tech")
    assert "exported from: finance; imported into tech" in other.stderr
    assert list_states(ytap, "tech") == list_states(ytap, "finance")
    assert "--apply is for CSV files" in ytap.refused(
        2, "import", "scripts", file, "-w", "tech", "--apply"
    )
    file.write_text('{"format": "other"}\n', encoding="utf-8")
    assert "scripts.jsonl, line 1: format" in ytap.refused(
        1, "import", "scripts", file, "-w", "tech"
    )


def test_an_export_does_not_replace_a_file(imported: Platform, ytap: Ytap, tmp_path: Path) -> None:
    file = tmp_path / "edited.csv"
    file.write_text("my edits", encoding="utf-8")
    command = ("script", "export", "-w", "finance", "-f", "csv", "--output", file)
    assert "exists; give the name of a new file" in ytap.refused(2, *command)
    assert file.read_text(encoding="utf-8") == "my edits"
    assert [path.name for path in tmp_path.glob(".*")] == []
    wrong = ("script", "export", "-w", "finance", "-f", "csv", "--state", "done")
    assert "expected one of" in ytap.refused(2, *wrong)
