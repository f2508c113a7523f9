"""Upkeep from the command line: copies, putting them back, check-ups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets_tests.cli.conftest import Ytap, append_trends, trend

COUNT = ("sql", "select count(*) as n from raw_trends", "-f", "csv")


def test_a_backup_is_put_back(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")
    append_trends(platform, trend("tech", "t2"))
    platform.lake.close()
    asked = ytap("restore", tmp_path / "copy", stdin="n\n")
    assert (asked.exit_code, ytap.ok(*COUNT)) == (1, "n\n2\n")
    ytap.ok("restore", tmp_path / "copy", "--yes")
    assert ytap.ok(*COUNT) == "n\n1\n"


def test_nobody_to_ask_means_no(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")
    append_trends(platform, trend("tech", "t2"))
    assert ytap("restore", tmp_path / "copy", stdin="").exit_code == 1
    assert ytap.ok(*COUNT) == "n\n2\n"


def test_a_backup_is_never_written_over(ytap: Ytap, tmp_path: Path) -> None:
    ytap.ok("backup", tmp_path / "copy")
    assert "is there already" in ytap.refused(1, "backup", tmp_path / "copy")


def test_what_is_no_backup(ytap: Ytap, nowhere: Ytap, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "not a complete backup" in ytap.refused(1, "restore", tmp_path / "empty", "--yes")
    assert ytap("restore", tmp_path / "missing", "--yes").exit_code == 2
    assert "no lake" in nowhere.refused(1, "backup")


def test_a_place_that_is_no_folder_is_told_in_a_line(ytap: Ytap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    line = ytap.refused(1, "backup", tmp_path / "file" / "copy")
    assert line.endswith("name a folder")


def test_maintain_tells_what_it_did(platform: Platform, ytap: Ytap) -> None:
    for number in range(3):
        append_trends(platform, trend("tech", f"t{number}"))
    facts = dict(line.split(maxsplit=1) for line in ytap.ok("maintain").splitlines())
    assert (facts["files_before"], facts["files_after"]) == ("3", "1")
    assert Path(facts["backup"]).parent == ytap.data / "backups"
    assert facts["problems"] == "none"


def test_maintain_goes_on_past_a_broken_config_and_ends_with_1(
    platform: Platform, ytap: Ytap
) -> None:
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")
    result = ytap("maintain")
    assert result.exit_code == 1
    assert "files_after" in result.stdout
    assert "finance" in result.stderr


def test_maintain_elsewhere_is_told_in_a_line(
    platform: Platform, ytap: Ytap, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_trends(platform, trend("tech", "t1"))
    append_trends(platform, trend("tech", "t2"))
    platform.lake.close()
    for file in platform.settings.data_path.rglob("*.parquet"):
        file.unlink()
    assert "check YTAP_DATA_PATH" in ytap.refused(1, "maintain")
    monkeypatch.setattr("ytap_assets.lakehouse.backup._check_complete", lambda *_: None)
    assert "check YTAP_DATA_PATH" in ytap.refused(1, "maintain")


def test_a_check_up_ends_with_1_where_something_failed(platform: Platform, ytap: Ytap) -> None:
    assert ytap("doctor").exit_code == 0
    (platform.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")
    result = ytap("doctor", "--format", "json")
    assert result.exit_code == 1
    failed = [row for row in json.loads(result.stdout) if row["verdict"] == "fail"]
    assert [row["subject"] for row in failed] == ["workspace finance"]


def test_a_wrong_setting_is_told_in_a_line(ytap: Ytap) -> None:
    wrong = Ytap(ytap.data, transport="pigeon")
    for command in (["doctor"], ["maintain"], ["sql", "from raw_trends"], ["workspace", "list"]):
        assert "YTAP_TRANSPORT" in wrong.refused(2, *command)
