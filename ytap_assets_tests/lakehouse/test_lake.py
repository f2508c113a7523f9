"""The lake as a whole: opened twice, moved, with the real tables."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach, find_catalog, find_files
from ytap_assets.lakehouse.errors import LakeDamagedError, LakeError, LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets.tables import COLLECTION_LOG, PRODUCTION_EVENTS, RAW_PAYLOADS
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.databases import change_catalog
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    NOTES,
    RUN,
    SAMPLES,
    append,
    notes,
    one_day,
    publish,
)

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_lake_opened_again_is_the_same(settings: Settings) -> None:
    frame = notes("tech", [DAY], "ab", version=1)
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, frame, one_day("tech"))
        snapshot = lake.snapshot_id()
    with Lake.open(settings, tables=SAMPLES) as again:
        assert again.snapshot_id() == snapshot
        assert_frame_equal(again.reader("tech").read(NOTES), frame, check_row_order=False)


def test_two_lakes_in_one_process_see_each_others_commits(lake: Lake) -> None:
    with Lake.open(lake.settings, tables=SAMPLES) as other:
        publish(lake, NOTES, notes("tech", [DAY], "a", version=1), one_day("tech"))
        assert other.reader("tech").read(NOTES).height == 1
        publish(other, NOTES, notes("tech", [DAY], "ab", version=2), one_day("tech"))
        assert lake.reader("tech").read(NOTES).height == 2
        assert lake.snapshot_id() == other.snapshot_id()


@pytest.mark.folder
def test_the_data_folder_can_be_moved(settings: Settings, tmp_path: Path) -> None:
    frame = notes("tech", [DAY], "ab", version=1)
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, frame, one_day("tech"))
    moved = Settings.from_env({"YTAP_DATA": str(tmp_path / "else where" / "data")})
    moved = replace(moved, database=settings.database)
    moved.data.parent.mkdir()
    shutil.move(settings.data, moved.data)
    with Lake.open(moved, tables=SAMPLES) as lake:
        assert_frame_equal(lake.reader("tech").read(NOTES), frame, check_row_order=False)
        publish(lake, NOTES, notes("tech", [DAY], "c", version=2), one_day("tech"))
        # What the moved catalog refers to must not be taken for orphans.
        maintain(lake, datetime(2027, 11, 1, tzinfo=UTC), RUN)
        assert lake.reader("tech").read(NOTES).get_column("note_id").to_list() == ["c"]
    assert not settings.data.exists()


def test_files_and_catalog_can_live_apart(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            "YTAP_DATA": str(tmp_path / "data"),
            "YTAP_CATALOG": str(tmp_path / "catalogs" / "lake.sqlite"),
            "YTAP_DATA_PATH": str(tmp_path / "big" / "files"),
        }
    )
    with Lake.create(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
        assert lake.reader("tech").read(NOTES).height == 1
    assert list((tmp_path / "big" / "files").rglob("*.parquet"))
    assert not (tmp_path / "data").exists()


@pytest.mark.folder
@pytest.mark.sqlite
def test_a_large_payload_stays_out_of_the_catalog(empty_settings: Settings) -> None:
    body = bytes(range(256)) * 40_000
    row = {
        "workspace_id": "tech", "day": DAY, "payload_id": "p", "collection_id": "c",
        "source": "hn", "url": "https://example.org", "http_status": 200, "fetched_at": AT,
        "size_bytes": len(body), "sha256": "0" * 64, "is_truncated": False, "body": body,
    }  # fmt: skip
    with Lake.open(empty_settings) as lake:
        before = empty_settings.catalog.stat().st_size
        append(lake, RAW_PAYLOADS, RAW_PAYLOADS.frame([row]), "tech")
        [stored] = lake.reader("tech").read(RAW_PAYLOADS, columns=["body"]).rows()
        assert stored == (body,)
        assert empty_settings.catalog.stat().st_size - before < 100_000


def test_evidence_and_events_are_appended_in_one_commit(empty_settings: Settings) -> None:
    event = {
        "workspace_id": "tech", "event_id": "e", "script_id": "s", "type": "script_submitted",
        "to_state": "script_pending_review", "actor": "person:ann", "occurred_at": AT,
        "recorded_at": AT, "payload": "{}",
    }  # fmt: skip
    entry = {
        "workspace_id": "tech", "day": DAY, "collection_id": "c", "source": "hn", "target": "top",
        "history": "snapshot_only", "outcome": "ok", "attempts": 1, "started_at": AT,
        "finished_at": AT, "fetched": 0, "accepted": 0, "quarantined": 0, "duplicates": 0,
        "run_id": "r",
    }  # fmt: skip
    with Lake.create(empty_settings) as lake, lake.write(RUN) as transaction:
        for table, row in ((PRODUCTION_EVENTS, event), (COLLECTION_LOG, entry)):
            rows = check_rows(table, table.frame([row]), Scope("tech"))
            assert transaction.append(rows).accepted.height == 1


@pytest.mark.parametrize("module", ["sql_sandbox", "connection"])
def test_sql_answers_without_loading_frames(module: str) -> None:
    code = f"import sys, ytap_assets.lakehouse.{module}; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _elsewhere(settings: Settings, **values: Path) -> Settings:
    names = {"catalog": "YTAP_CATALOG", "data_path": "YTAP_DATA_PATH"}
    changes = {names[name]: str(path) for name, path in values.items()}
    return Settings.from_env({"YTAP_DATA": str(settings.data), **changes})


def _move_catalog(settings: Settings) -> Settings:
    settings.catalog.rename(settings.catalog.with_name("moved.sqlite"))
    return settings


def _leave_journal(settings: Settings) -> Settings:
    shutil.rmtree(settings.data_path)
    settings.catalog.rename(settings.catalog.with_name("catalog.sqlite-wal"))
    return settings


def _link_catalog(settings: Settings) -> Settings:
    shutil.rmtree(settings.data_path)
    settings.catalog.unlink()
    settings.catalog.symlink_to(settings.data / "gone.sqlite")
    return settings


def _make_folder(settings: Settings) -> Settings:
    settings.catalog.unlink()
    settings.catalog.mkdir()
    return settings


def _lose_lake(settings: Settings) -> Settings:
    back_up(settings, settings.backups / "one", AT)
    shutil.rmtree(settings.catalog.parent)
    settings.catalog.parent.mkdir()
    return settings


MISSING: dict[str, tuple[Callable[[Settings], Settings], str]] = {
    "a mistyped catalog": (
        lambda s: _elsewhere(s, catalog=s.data / "lake" / "catlog.sqlite"),
        r"YTAP_CATALOG=.*catlog.sqlite\), and .* 1 Parquet files of a missing catalog",
    ),
    "a catalog in a new folder": (
        lambda s: _elsewhere(s, catalog=s.data / "new" / "catalog.sqlite", data_path=s.data / "x"),
        r"YTAP_CATALOG=.*, YTAP_DATA_PATH=.*`ytap lake create`",
    ),
    "a moved catalog": (_move_catalog, r"YTAP_DATA=.*1 Parquet files of a missing catalog"),
    "a journal left alone": (_leave_journal, "-wal is the journal"),
    "a broken link": (_link_catalog, "is a broken symbolic link"),
    "a disk that is not mounted": (_lose_lake, r"YTAP_DATA=.*backups contains backups"),
    "a folder": (_make_folder, "is a folder"),
}


@pytest.mark.folder
@pytest.mark.sqlite
@pytest.mark.parametrize(("change", "message"), MISSING.values(), ids=MISSING.keys())
def test_a_missing_lake_is_not_an_empty_lake(
    settings: Settings, change: Callable[[Settings], Settings], message: str
) -> None:
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    changed = change(settings)
    before = sorted(settings.data.rglob("*"))
    with pytest.raises(LakeMissingError, match=f"{message}.*`ytap restore FOLDER`"):
        Lake.open(changed, tables=SAMPLES)
    with pytest.raises(LakeMissingError, match=message):
        attach(changed, read_only=True)
    assert sorted(settings.data.rglob("*")) == before


def test_a_lake_is_made_where_it_is_asked_for(settings: Settings) -> None:
    apart = _elsewhere(
        settings, catalog=settings.data / "new" / "c.sqlite", data_path=settings.data / "x"
    )
    Lake.create(apart, tables=SAMPLES).close()
    with Lake.open(apart, tables=SAMPLES) as lake:
        assert lake.reader("tech").read(NOTES).is_empty()


@pytest.mark.folder
@pytest.mark.sqlite
def test_no_lake_is_made_over_another(settings: Settings) -> None:
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    content = settings.catalog.read_bytes()
    with pytest.raises(LakeError, match="an existing file; no lake was created"):
        Lake.create(settings)
    typo = _elsewhere(settings, catalog=settings.data / "typo.sqlite")
    with pytest.raises(LakeError, match="contains 1 Parquet files"):
        Lake.create(typo)
    typo.catalog.touch()
    with pytest.raises(LakeError, match="an existing file"):
        Lake.create(replace(typo, data_path=settings.data / "empty"))
    assert (settings.catalog.read_bytes(), typo.catalog.stat().st_size) == (content, 0)


def _run_on(catalog: Path, statement: str) -> None:
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute(statement)
        connection.commit()


def _other_database(catalog: Path) -> None:
    catalog.unlink()
    _run_on(catalog, "CREATE TABLE something (else_ INT)")


DAMAGED: dict[str, Callable[[Path], object]] = {
    "empty": lambda catalog: os.truncate(catalog, 0),
    "text": lambda catalog: catalog.write_text("a lake\n" * 1000),
    "cut": lambda catalog: os.truncate(catalog, catalog.stat().st_size // 2),
    "no snapshot": lambda catalog: _run_on(catalog, "DELETE FROM ducklake_snapshot"),
    "another database": _other_database,
}


@pytest.mark.sqlite
@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_catalog_is_named_with_the_way_back(
    settings: Settings, damage: Callable[[Path], object]
) -> None:
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    damage(settings.catalog)
    size = settings.catalog.stat().st_size
    message = r"catalog.sqlite: the catalog is damaged.*`ytap restore FOLDER`"
    for read_only in (True, False):
        with pytest.raises(LakeDamagedError, match=message):
            attach(settings, read_only=read_only)
    with pytest.raises(LakeDamagedError, match=message):
        Lake.open(settings, tables=SAMPLES)
    with pytest.raises(LakeDamagedError, match=message):
        find_catalog(settings).read_facts()
    assert settings.catalog.stat().st_size == size


def test_nothing_is_written_into_another_lake_that_was_restored_meanwhile(
    settings: Settings, tmp_path: Path
) -> None:
    other = Settings.from_env({"YTAP_DATA": str(tmp_path / "other")})
    with Lake.create(other, tables=SAMPLES) as lake:
        backup = back_up(other, tmp_path / "backup", datetime.now(UTC))
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
        restore(settings, backup.folder, datetime.now(UTC))
        with pytest.raises(LakeError, match="another lake was restored"):
            publish(lake, NOTES, notes("tech", [DAY], "b"), one_day("tech"))


def test_files_of_another_catalog_are_not_written_to(lake: Lake, empty_settings: Settings) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    Lake.create(empty_settings, tables=SAMPLES).close()
    mixed = replace(empty_settings, data_path=lake.settings.data_path, bucket=lake.settings.bucket)
    before = find_files(mixed).list_parquet()
    with pytest.raises(LakeError, match="the place of another catalog's files"):
        Lake.open(mixed, tables=SAMPLES)
    assert find_files(mixed).list_parquet() == before


@pytest.mark.parametrize("has_files", [True, False])
def test_a_place_without_the_files_of_the_catalog_is_not_written_to(
    lake: Lake, tmp_path: Path, has_files: bool
) -> None:
    if has_files:
        publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    elsewhere = replace(lake.settings, data_path=tmp_path / "elsewhere", bucket=None)
    with pytest.raises(LakeError, match="is not the place of the files"):
        Lake.open(elsewhere, tables=SAMPLES)
    assert not (tmp_path / "elsewhere").exists() or find_files(elsewhere).read_mark() is None


def test_files_that_were_moved_without_their_mark_are_marked_again(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    files = find_files(lake.settings)
    before = files.read_mark()
    files.remove_mark()
    with Lake.open(lake.settings, tables=SAMPLES) as moved:
        publish(moved, NOTES, notes("tech", [DAY], "abc"), one_day("tech"))
    assert files.read_mark() not in {None, before}
    with Lake.open(lake.settings, tables=SAMPLES) as again:
        assert again.reader("tech").read(NOTES).height == 3


def test_a_lake_from_before_marks_gets_one(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    find_files(lake.settings).remove_mark()
    change_catalog(lake.settings, "DELETE FROM ducklake_metadata WHERE key = 'ytap_place'")
    Lake.open(lake.settings, tables=SAMPLES).close()
    assert find_files(lake.settings).read_mark() is not None


def _leave_mark(lake: Lake, text: str) -> None:
    find_files(lake.settings).write_mark(text)


@pytest.mark.parametrize("has_files", [True, False])
def test_who_only_reads_needs_no_mark_and_who_writes_needs_it(
    empty_settings: Settings, has_files: bool
) -> None:
    lake = Lake.create(empty_settings, tables=SAMPLES)
    if has_files:
        publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    _leave_mark(lake, "another")
    with Lake.open(lake.settings, tables=SAMPLES, may_only_read=True) as reader:
        assert reader.reader("tech").read(NOTES).height == 2 * has_files
        with pytest.raises(LakeError, match="the place of another catalog's files"):
            publish(reader, NOTES, notes("tech", [DAY], "c"), one_day("tech"))
    with pytest.raises(LakeError, match="the place of another catalog's files"):
        maintain(lake, NOW, RUN)
    find_files(lake.settings).remove_mark()
    Lake.open(lake.settings, tables=SAMPLES).close()
    assert find_files(lake.settings).read_mark() not in {None, "another"}
    lake.close()


def test_an_old_lake_that_lost_its_only_file_says_a_way_that_works(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    files = find_files(lake.settings)
    files.remove_mark()
    change_catalog(lake.settings, "DELETE FROM ducklake_metadata WHERE key = 'ytap_place'")
    files.delete(files.list_parquet())
    with pytest.raises(LakeError, match=r"write [0-9a-f]{32} to ") as raised:
        Lake.open(lake.settings, tables=SAMPLES)
    mark = re.search(r"write ([0-9a-f]{32}) to ", str(raised.value))
    assert mark is not None
    files.write_mark(mark[1])
    with Lake.open(lake.settings, tables=SAMPLES) as again:
        publish(again, NOTES, notes("finance", [DAY], "c"), one_day("finance"))
        assert again.reader("finance").read(NOTES).height == 1


def test_a_catalog_without_files_does_not_take_the_place_of_others(
    lake: Lake, empty_settings: Settings
) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    Lake.create(empty_settings, tables=SAMPLES).close()
    find_files(lake.settings).remove_mark()
    mixed = replace(empty_settings, data_path=lake.settings.data_path, bucket=lake.settings.bucket)
    with pytest.raises(LakeError, match="is not the place of the files"):
        Lake.open(mixed, tables=SAMPLES)
    Lake.open(lake.settings, tables=SAMPLES).close()


def test_no_lake_is_made_in_the_place_of_another(lake: Lake, empty_settings: Settings) -> None:
    mixed = replace(empty_settings, data_path=lake.settings.data_path, bucket=lake.settings.bucket)
    with pytest.raises(LakeError, match="the place of another catalog's files"):
        Lake.create(mixed, tables=SAMPLES)
