"""Upkeep from the command line: copies, putting them back, check-ups."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.files import MARK
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import COLLECTION_LOG, RAW_PAYLOADS
from ytap_assets_tests.cli.conftest import DAY, Ytap, append_trends, trend

RUN = Run("run-1", "test", "make it older")
COUNT = ("sql", "select count(*) as n from raw_trends", "-f", "csv")


def test_a_backup_is_put_back(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")
    append_trends(platform, trend("tech", "t2"))
    platform.lake.close()
    asked = ytap("restore", tmp_path / "copy", stdin="n\n")
    assert (asked.exit_code, ytap.ok(*COUNT)) == (1, "n\n2\n")
    assert "error: not restored; the lake is unchanged" in asked.stderr
    assert "--yes" in asked.output
    assert "not in the backup: 1;" in asked.stdout
    restored = ytap.ok("restore", tmp_path / "copy", "--yes")
    assert "not in the backup: 1;" in restored
    assert ytap.ok(*COUNT) == "n\n1\n"
    kept = [Path(name) for name in restored.splitlines()[-1].split() if ".before-" in name]
    assert [path.exists() for path in kept] == [True, True]


def test_a_backup_is_restored_where_there_is_no_lake(
    platform: Platform, ytap: Ytap, nowhere: Ytap, tmp_path: Path
) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")

    restored = nowhere("restore", tmp_path / "copy", "--yes")

    assert restored.exit_code == 0
    assert "materialize" not in restored.output
    assert "kept" not in restored.output


def test_nobody_to_ask_means_no(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")
    append_trends(platform, trend("tech", "t2"))
    line = ytap.refused(1, "restore", tmp_path / "copy", stdin="")
    assert line == "no confirmation was given; nothing was changed"
    assert ytap.ok(*COUNT) == "n\n2\n"


def test_a_backup_names_what_it_does_not_include(ytap: Ytap, tmp_path: Path) -> None:
    made = ytap("backup", tmp_path / "copy")
    assert made.exit_code == 0
    assert f"not included: {ytap.data / 'workspaces'}" in made.stderr
    assert "Not included" in ytap.ok("backup", "--help")


def test_a_backup_is_never_written_over(ytap: Ytap, tmp_path: Path) -> None:
    ytap.ok("backup", tmp_path / "copy")
    assert "already exists" in ytap.refused(1, "backup", tmp_path / "copy")


def test_what_is_no_backup(ytap: Ytap, nowhere: Ytap, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "not a complete backup" in ytap.refused(1, "restore", tmp_path / "empty", "--yes")
    assert ytap("restore", tmp_path / "missing", "--yes").exit_code == 2


def test_a_folder_without_anything_is_told_in_the_same_words(nowhere: Ytap) -> None:
    lines = {
        nowhere.refused(1, *command)
        for command in (["backup"], ["maintain"], ["summary"], ["sql", "from raw_trends"])
    }
    lines.add(nowhere("workspace", "list").stderr.rstrip("\n"))

    [line] = lines
    assert "check YTAP_DATA" in line
    assert not nowhere.data.exists()


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


def test_maintain_elsewhere_is_told_in_a_line(platform: Platform, ytap: Ytap) -> None:
    append_trends(platform, trend("tech", "t1"))
    append_trends(platform, trend("tech", "t2"))
    platform.lake.close()
    for file in platform.settings.data_path.rglob("*.parquet"):
        file.unlink()
    assert "check YTAP_DATA_PATH" in ytap.refused(1, "maintain")


def test_a_mistyped_catalog_deletes_nothing(platform: Platform, ytap: Ytap) -> None:
    append_trends(platform, trend("tech", "t1"))
    platform.lake.close()
    files = sorted(platform.settings.data.rglob("*.parquet"))
    typo = Ytap(ytap.data, catalog=ytap.data / "lake" / "catlog.sqlite")
    for command in (["maintain"], ["sql", "from raw_trends"], ["backup"], ["summary"]):
        line = typo.refused(1, *command)
        assert "catlog.sqlite (YTAP_CATALOG=" in line
        assert "1 Parquet files of a missing catalog" in line
    assert "Parquet files" in typo.refused(1, "lake", "create")
    found = json.loads(typo("doctor", "-f", "json").stdout)
    assert [row["subject"] for row in found if row["verdict"] == "fail"] == ["lake"]
    assert not typo.catalog or not typo.catalog.exists()
    assert sorted(platform.settings.data.rglob("*.parquet")) == files


def test_an_emptied_catalog_is_restored(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    platform.lake.close()
    ytap.ok("backup", tmp_path / "copy")
    os.truncate(platform.settings.catalog, 0)
    for command in (["maintain"], ["sql", "from raw_trends"], ["backup"], ["summary"]):
        line = ytap.refused(1, *command)
        assert "the catalog is damaged" in line
        assert "ytap restore" in line
    found = json.loads(ytap("doctor", "-f", "json").stdout)
    assert [row["subject"] for row in found if row["verdict"] == "fail"] == ["lake", "last backup"]
    ytap.ok("restore", tmp_path / "copy", "--yes")
    found = json.loads(ytap("doctor", "-f", "json").stdout)
    assert not [row["subject"] for row in found if row["verdict"] == "fail"]
    assert ytap.ok(*COUNT) == "n\n1\n"


def test_a_lake_elsewhere_is_made_when_asked(ytap: Ytap, tmp_path: Path) -> None:
    catalog, data_path = tmp_path / "c.sqlite", tmp_path / "apart"
    apart = Ytap(ytap.data, catalog=catalog, data_path=data_path)
    assert "`ytap lake create`" in apart.refused(1, "sql", "from raw_trends")
    assert str(catalog) in apart.ok("lake", "create")
    assert apart.ok(*COUNT) == "n\n0\n"
    assert "existing lake" in apart.refused(1, "lake", "create")
    moved = catalog.rename(tmp_path / "moved.sqlite")
    assert Ytap(ytap.data, catalog=moved, data_path=data_path).ok(*COUNT) == "n\n0\n"


def test_a_copy_is_verified(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    ytap.ok("backup", tmp_path / "copy")
    assert "have 1 rows" in ytap.ok("backup", "--verify", tmp_path / "copy")
    assert "no backup of the lake" in ytap.refused(1, "backup", "--verify")
    ytap.ok("backup")
    ytap.ok("backup", "--verify")
    [file] = (tmp_path / "copy").rglob("*.parquet")
    file.write_bytes(bytes(file.stat().st_size))
    assert f"{file}: damaged" in ytap.refused(1, "backup", "--verify", tmp_path / "copy")


def test_a_refused_sweep_ends_with_1(platform: Platform, ytap: Ytap) -> None:
    append_trends(platform, trend("tech", "t1"))
    platform.lake.close()
    lake = platform.settings.data / "lake"
    shutil.move(lake / "files", lake / "kept")
    (lake / "catalog.sqlite").unlink()
    ytap.ok("lake", "create")
    shutil.move(lake / "files" / MARK, lake / "kept" / MARK)
    shutil.rmtree(lake / "files")
    shutil.move(lake / "kept", lake / "files")
    result = ytap("maintain")
    assert result.exit_code == 1
    assert "refers to no file" in result.stderr
    assert "files_after" in result.stdout
    assert len(list(lake.rglob("*.parquet"))) == 1
    assert ytap("maintain", "--sweep-anyway", lake).exit_code == 2
    assert ytap("maintain", "--sweep-anyway", lake / "files").exit_code == 0


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


def test_an_older_lake_is_upgraded_once_it_was_shown(platform: Platform, ytap: Ytap) -> None:
    columns = ("sql", "select count(*) from duckdb_columns() where column_name = 'region'")
    append_trends(platform, trend("tech", "t1", region="US"))
    with platform.lake.write(RUN), platform.lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.raw_trends DROP COLUMN region")
    platform.lake.close()
    before = ytap.ok(*columns)
    shown = ytap.ok("lake", "upgrade", "--dry-run")
    assert 'ALTER TABLE lake.raw_trends ADD COLUMN "region" VARCHAR;' in shown.splitlines()
    assert '-- undo: ALTER TABLE lake.raw_trends DROP COLUMN "region";' in shown.splitlines()
    assert ytap.ok(*columns) == before
    assert ytap.ok("lake", "upgrade") == shown
    assert ytap.ok(*columns) != before
    assert ytap.ok("lake", "upgrade") == ""
    undo = ytap.ok(
        "sql",
        "select unnest(json_extract_string(commit_extra_info, '$.undo[*]')) as undo"
        " from ducklake_snapshots('lake') order by snapshot_id desc limit 1",
        "-f",
        "csv",
    )
    assert 'DROP COLUMN ""region""' in undo


def test_an_upgrade_that_would_lose_data_is_refused(platform: Platform, ytap: Ytap) -> None:
    with platform.lake.write(RUN), platform.lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.raw_trends ADD COLUMN mine VARCHAR")
    platform.lake.close()
    for command in (("lake", "upgrade", "--dry-run"), ("lake", "upgrade")):
        assert "raw_trends.mine is in the lake" in ytap.refused(1, *command)


def test_stored_responses_are_read_again(platform: Platform, ytap: Ytap) -> None:
    body = b'{"hits": [{"objectID": "1", "title": "T", "created_at_i": 1795161600}], "nbHits": 1}'
    shared = {"workspace_id": "tech", "day": DAY, "collection_id": "c1", "source": "hn"}
    at = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    payload = {"payload_id": "c1-0000", "http_status": 200, "fetched_at": at, "body": body}
    payload |= {"size_bytes": len(body), "sha256": "0" * 64, "is_truncated": False}
    payload |= {"url": "https://hn.algolia.com/api/v1/search?tags=front_page"}
    log = {"target": "front_page", "history": "snapshot_only", "outcome": "ok", "attempts": 1}
    log |= {"fetched": 0, "accepted": 0, "quarantined": 0, "duplicates": 0, "run_id": "run-1"}
    log |= {"started_at": at, "finished_at": at}
    with platform.lake.write(RUN) as transaction:
        for table, row in ((RAW_PAYLOADS, payload), (COLLECTION_LOG, log)):
            frame = table.frame([shared | row])
            transaction.append(check_rows(table, frame, Scope("tech")))
    platform.lake.close()
    shown = ytap.ok("reparse", "-w", "tech", "-f", "csv")
    assert shown.splitlines()[1:] == ["tech,2026-11-20,hn,raw_trends,1,1,0,0,0"]
    assert ytap.ok(*COUNT) == "n\n0\n"
    assert ytap.ok("reparse", "-w", "tech", "-f", "csv", "--to", "2026-11-19") == (
        shown.splitlines()[0] + "\n"
    )
    none = "no stored response to parse in these days"
    assert none in ytap("reparse", "-w", "tech", "--to", "2026-11-19").stderr
    assert none not in ytap("reparse", "-w", "tech").stderr
    backwards = ("--from", "2026-11-20", "--to", "2026-11-19")
    assert "earlier day first" in ytap.refused(2, "reparse", "-w", "tech", *backwards)
    assert ytap.ok("reparse", "--all-workspaces", "--write", "-f", "csv") == shown
    assert ytap.ok(*COUNT) == "n\n1\n"
    assert ytap.ok("reparse", "-w", "tech", "-f", "csv") == shown.splitlines()[0] + "\n"
    assert "nope" in ytap.refused(2, "reparse", "-w", "nope")
    assert ytap("reparse").exit_code == 2
    for name in ("tech", "finance"):
        ytap.ok("workspace", "archive", name)
    assert "unarchive" in ytap.refused(2, "reparse", "--all-workspaces")


def test_what_a_removal_means_is_shown(platform: Platform, ytap: Ytap) -> None:
    append_trends(platform, trend("tech", "t1"), trend("tech", "t2"))
    platform.lake.close()
    rows = json.loads(ytap.ok("impact", "source", "hn", "-w", "tech", "-f", "json"))
    assert {row["table"]: row["rows"] for row in rows}["raw_trends"] == 2
    assert "warning" not in ytap("impact", "source", "hn", "-w", "tech").stderr
    assert "`hn`" in ytap("impact", "source", "hackernews", "-w", "tech").stderr
    assert "workspace" in ytap.refused(2, "impact", "workspace", "tech", "-w", "tech")


def test_a_lake_is_copied_and_used_at_its_new_place(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    append_trends(platform, trend("tech", "t1"), trend("tech", "t2"))
    append_trends(platform, trend("finance", "t1"))
    catalog, files = tmp_path / "new place" / "catalog.sqlite", tmp_path / "new place" / "files"
    command = ("lake", "copy", "--to-catalog", catalog, "--to-data", files)

    made = ytap(*command, "-f", "json")

    assert made.exit_code == 0
    rows = {row["table"]: row for row in json.loads(made.stdout)}
    assert rows["raw_trends"] == {
        "table": "raw_trends",
        "workspaces": 2,
        "rows": 3,
        "checksum": "equal",
    }
    assert f"YTAP_CATALOG='{catalog}'\nYTAP_DATA_PATH='{files}'\n" in made.stderr
    assert Ytap(ytap.data, catalog=catalog, data_path=files).ok(*COUNT) == "n\n3\n"
    assert "existing file" in ytap.refused(1, *command)
    assert "--to-data" in ytap.refused(2, "lake", "copy", "--to-catalog", catalog)


def test_a_copy_without_history_says_so(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    append_trends(platform, trend("tech", "t1"))
    place = ("--to-catalog", tmp_path / "c.sqlite", "--to-data", tmp_path / "files")
    made = ytap("lake", "copy", *place, "--history", "leave")
    assert made.exit_code == 0
    assert "readable snapshots in the copy: 1 (without history)" in made.stderr


def test_a_password_in_the_place_of_a_copy_is_not_repeated(ytap: Ytap, tmp_path: Path) -> None:
    url = "postgresql://ytap:swordfish@db.example/lakes"
    line = ytap.refused(2, "lake", "copy", "--to-catalog", url, "--to-data", tmp_path / "files")
    assert line.startswith("--to-catalog")
    assert "swordfish" not in line
