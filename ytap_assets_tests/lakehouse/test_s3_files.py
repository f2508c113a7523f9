"""What is particular to files in S3.

Everything that holds for any files is tested with `pytest --files s3`, too.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.backup import back_up, restore, verify
from ytap_assets.lakehouse.catalog import check_files
from ytap_assets.lakehouse.connection import attach, attach_lines, find_catalog, find_files
from ytap_assets.lakehouse.errors import BackupError, FilesUnreachableError, LakeDamagedError
from ytap_assets.lakehouse.files import Files
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.s3_files import S3Files
from ytap_assets.lakehouse.sql_sandbox import open_sql
from ytap_assets.settings import Bucket, Settings, parse_bucket
from ytap_assets_tests.databases import Lakes
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    append,
    logs,
    notes,
    one_day,
    publish,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def place(bucket: str, tmp_path: Path) -> Settings:
    """Where there is no lake yet."""
    return Lakes(None, bucket).place(tmp_path / "remote")


@pytest.fixture
def remote(place: Settings) -> Iterator[Lake]:
    """A lake whose files are in S3."""
    with Lake.create(place, tables=SAMPLES) as lake:
        yield lake


@pytest.fixture
def files(place: Settings) -> Files:
    return find_files(place)


def _publish(lake: Lake, version: int) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))


def _versions(lake: Lake) -> list[int]:
    return lake.reader("tech").read(NOTES)["version"].to_list()


def _put(files: Files, name: str, content: bytes, tmp_path: Path) -> None:
    assert isinstance(files, S3Files)
    source = tmp_path / "sent"
    source.write_bytes(content)
    files.put(source, name)


def test_files_are_put_listed_fetched_and_deleted(files: Files, tmp_path: Path) -> None:
    assert (files.list_parquet(), files.exists()) == ({}, False)
    _put(files, "main/notes/a b=%2F.parquet", b"content", tmp_path)
    [(name, state)] = files.list_parquet().items()
    assert (name, state.size_bytes) == ("main/notes/a b=%2F.parquet", 7)
    copied = files.fetch(name, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"content"
    assert files.describe(name) == copied
    beside = files.beside(".before-1")
    files.keep([name], beside)
    assert beside.describe(name) == copied
    for _ in range(2):
        files.delete([name])
    assert files.list_parquet() == {}
    assert beside.exists()
    beside.remove()
    assert not beside.exists()


@pytest.mark.parametrize("name", ["../other.parquet", "/a.parquet", "a\n.parquet", "a//b.parquet"])
def test_no_name_leads_out_of_the_prefix(files: Files, name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the name"):
        _put(files, name, b"", tmp_path)
    assert files.find_name(files.root + name) is None
    assert files.find_name("s3://another/lake/a.parquet") is None


def test_a_backup_moves_a_lake_into_s3_and_back(
    tmp_path: Path, place: Settings, files: Files
) -> None:
    local = Settings.from_env({"YTAP_DATA": str(tmp_path / "local")})
    with Lake.create(local, tables=SAMPLES) as lake:
        for version in (1, 2):
            _publish(lake, version)
            append(lake, LOGS, logs("tech", [f"{version}"]), "tech")
        rows = lake.cross_reader().read_across(LOGS)
        old = lake.snapshot_id() - 2
        back_up(local, tmp_path / "from folder", NOW)
    assert restore(place, tmp_path / "from folder", NOW) == []
    with Lake.open(place, tables=SAMPLES) as lake:
        assert set(files.list_parquet()) == set(lake.catalog.read_facts().files)
        assert_frame_equal(lake.cross_reader().read_across(LOGS), rows, check_row_order=False)
        assert lake.reader("tech", as_of=old).read(NOTES)["version"].to_list() == [1, 1]
        _publish(lake, 3)
        backup = back_up(place, tmp_path / "from s3", NOW)
        assert verify(place, backup.folder, NOW).tables["logs"] == 2
        again = back_up(place, tmp_path / "again", NOW, reads_all=False)
        assert again.files == backup.files
    other = Settings.from_env({"YTAP_DATA": str(tmp_path / "other")})
    restore(other, backup.folder, NOW)
    with Lake.open(other, tables=SAMPLES) as lake:
        assert _versions(lake) == [3, 3]


def test_a_restore_keeps_the_previous_files(remote: Lake, files: Files, tmp_path: Path) -> None:
    _publish(remote, 1)
    backup = back_up(remote.settings, tmp_path / "backup", NOW)
    _publish(remote, 2)
    before = set(files.list_parquet())
    remote.close()
    catalog, kept = restore(remote.settings, backup.folder, NOW)
    assert set(files.list_parquet()) == set(backup.files)
    with Lake.open(remote.settings, tables=SAMPLES) as lake:
        assert _versions(lake) == [1, 1]
    previous = parse_bucket(kept, "kept")
    assert set(S3Files(previous).list_parquet()) == before
    undone = replace(remote.settings, catalog=Path(catalog), bucket=previous)
    with Lake.open(undone, tables=SAMPLES) as lake:
        assert _versions(lake) == [2, 2]


def test_a_restore_that_fails_leaves_the_files_as_they_were(
    remote: Lake, files: Files, tmp_path: Path
) -> None:
    _publish(remote, 1)
    backup = back_up(remote.settings, tmp_path / "backup", NOW)
    _publish(remote, 2)
    before = {name: files.describe(name) for name in files.list_parquet()}
    catalog = remote.settings.catalog
    with closing(sqlite3.connect(catalog)) as reader, closing(sqlite3.connect(catalog)) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM ducklake_snapshot").fetchone()
        writer.execute("UPDATE ducklake_snapshot SET next_catalog_id = next_catalog_id + 1")
        writer.commit()
        with pytest.raises(BackupError, match="another program still uses it"):
            restore(remote.settings, backup.folder, NOW, readers_s=0.1)
    assert {name: files.describe(name) for name in files.list_parquet()} == before
    assert not files.beside(".before-20261120T120000000000").exists()
    assert _versions(remote) == [2, 2]


def test_maintenance_merges_expires_and_sweeps(remote: Lake, files: Files, tmp_path: Path) -> None:
    for version in range(4):
        _publish(remote, version)
        append(remote, LOGS, logs("tech", [f"{version}"]), "tech")
    orphan = "main/notes/ducklake-01234567-89ab-cdef-0123-456789abcdef.parquet"
    foreign = "main/notes/mine.parquet"
    for name in (orphan, foreign):
        _put(files, name, b"x", tmp_path)
    done = maintain(remote, datetime.now(UTC) + timedelta(days=90), RUN)
    assert done.refusal is None
    assert done.files_after < done.files_before
    assert (done.orphans_deleted, done.foreign_files) == (1, 1)
    assert done.files_deleted > 0
    referred = set(remote.catalog.read_facts().files)
    assert set(files.list_parquet()) == referred | {foreign}
    assert _versions(remote) == [3, 3]


def test_a_file_that_is_gone_or_of_another_size_is_damage(
    remote: Lake, files: Files, tmp_path: Path
) -> None:
    _publish(remote, 1)
    [name] = files.list_parquet()
    facts = remote.catalog.read_facts()
    for content in (b"short", None):
        if content is None:
            files.delete([name])
        else:
            _put(files, name, content, tmp_path)
        with pytest.raises(LakeDamagedError, match="missing or damaged"):
            check_files(facts, remote.catalog, files)
        with pytest.raises(BackupError, match="no backup was made"):
            back_up(remote.settings, tmp_path / "backup", NOW)


def test_a_server_that_does_not_answer_is_named(remote: Lake) -> None:
    _publish(remote, 1)
    assert remote.settings.bucket is not None
    gone = replace(remote.settings.bucket, endpoint="http://127.0.0.1:1")
    settings = replace(remote.settings, bucket=gone)
    with pytest.raises(FilesUnreachableError, match=r"127\.0\.0\.1:1"):
        find_files(settings).list_parquet()
    with pytest.raises(FilesUnreachableError, match=r"127\.0\.0\.1:1"):
        Lake.open(settings, tables=SAMPLES)
    with (
        closing(attach(settings, read_only=True)) as connection,
        pytest.raises(duckdb.Error, match=r"127\.0\.0\.1:1"),
    ):
        connection.execute("FROM notes")


def test_a_bucket_that_does_not_exist_is_told_before_a_lake_is_made(place: Settings) -> None:
    assert place.bucket is not None
    settings = replace(place, bucket=replace(place.bucket, name="no-such-bucket"))
    with pytest.raises(FilesUnreachableError, match=r"'no-such-bucket' does not exist"):
        Lake.create(settings, tables=SAMPLES)
    assert not find_catalog(settings).exists()
    Lake.create(place, tables=SAMPLES).close()
    assert find_files(place).exists() is False


def test_a_statement_reads_nothing_beside_the_lake(remote: Lake, tmp_path: Path) -> None:
    _publish(remote, 1)
    outside = find_files(remote.settings).beside("-private")
    _put(outside, "a.parquet", b"CANARY", tmp_path)
    statement = "SELECT count(*) FROM notes"
    with closing(open_sql(remote.settings, statement, workspace_id=None)) as connection:
        assert connection.execute(statement).fetchall() == [(2,)]
        with pytest.raises(duckdb.Error):
            connection.execute(f"FROM read_blob('{outside.root}a.parquet')")
    with closing(open_sql(remote.settings, statement, workspace_id="tech")) as connection:
        assert connection.execute(statement).fetchall() == [(2,)]


def test_no_key_is_in_what_is_printed_or_stored(remote: Lake) -> None:
    _publish(remote, 1)
    settings = remote.settings
    with remote.cursor() as cursor:
        shown = [*attach_lines(settings), repr(settings), settings.files_name]
        shown += [str(row) for row in cursor.execute("FROM duckdb_secrets()").fetchall()]
        shown += [str(row) for row in cursor.execute("FROM duckdb_databases()").fetchall()]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in json.dumps(shown)
    stored = b"".join(file.read_bytes() for file in settings.data.rglob("*") if file.is_file())
    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in stored


def test_a_missing_key_is_no_damage(remote: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nothing")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(FilesUnreachableError, match="AWS_ACCESS_KEY_ID"):
        Lake.open(remote.settings, tables=SAMPLES)


def test_the_printed_statements_attach_it(remote: Lake) -> None:
    _publish(remote, 1)
    with duckdb.connect() as plain:
        for line in attach_lines(remote.settings):
            plain.execute(line)
        assert plain.execute("SELECT count(*) FROM notes").fetchall() == [(2,)]


def test_lakes_of_different_kinds_are_attached_side_by_side(remote: Lake, lake: Lake) -> None:
    _publish(remote, 1)
    publish(lake, NOTES, notes("tech", [DAY], "abc", version=1), one_day("tech"))
    with duckdb.connect() as plain:
        for name, settings in {"asia": remote.settings, "europe": lake.settings}.items():
            for line in attach_lines(settings, name):
                plain.execute(line)
        plain.execute("CREATE VIEW notes AS FROM asia.notes UNION ALL BY NAME FROM europe.notes")
        assert plain.execute("SELECT count(*) FROM notes").fetchall() == [(5,)]
    with pytest.raises(ConfigError, match="a lake's name"):
        attach_lines(lake.settings, 'x" (READ_ONLY); --')


def test_a_bucket_is_told_as_it_is_given() -> None:
    bucket = Bucket("lakes", "night/one", "http://127.0.0.1:9000", "us-east-1")
    assert parse_bucket(str(bucket), "url") == bucket


def test_a_lake_below_the_prefix_of_another_keeps_its_files(
    remote: Lake, files: Files, tmp_path: Path
) -> None:
    _publish(remote, 1)
    backup = back_up(remote.settings, tmp_path / "backup", NOW)
    assert remote.settings.bucket is not None
    inner = replace(remote.settings.bucket, prefix=f"{remote.settings.bucket.prefix}/inner")
    nested = replace(remote.settings, catalog=tmp_path / "nested.sqlite", bucket=inner)
    with Lake.create(nested, tables=SAMPLES) as lake:
        _publish(lake, 7)
        remote.close()
        restore(remote.settings, backup.folder, NOW)
        assert _versions(lake) == [7, 7]


def test_keys_that_no_lake_has_are_nobodys(remote: Lake, files: Files, tmp_path: Path) -> None:
    assert isinstance(files, S3Files)
    strange = "main/notes/a\\b/ducklake-01234567-89ab-cdef-0123-456789abcdef.parquet"
    with files._system.open_output_stream(f"{files._place}/{strange}") as stream:
        stream.write(b"x")
    assert strange not in files.list_parquet()
    done = maintain(remote, datetime.now(UTC) + timedelta(days=90), RUN)
    assert done.refusal is None
