"""Connecting: what is loaded, what is locked, which paths are safe."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ytap_assets.lakehouse.catalog import LAKE
from ytap_assets.lakehouse.connection import (
    attach,
    connect,
    extension_file,
    find_catalog,
    list_tables,
    make_catalog,
)
from ytap_assets.lakehouse.errors import LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.settings import Settings
from ytap_assets_tests.lakehouse.samples import DAY, NOTES, SAMPLES, notes, one_day, publish


def _setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    row = connection.execute("SELECT current_setting(?)", [name]).fetchone()
    return row[0] if row else None


def _tamper(file: Path) -> Path:
    """An extension with one byte that is not what was signed."""
    genuine = extension_file("sqlite_scanner")
    assert genuine is not None
    content = bytearray(genuine.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    "name",
    [
        "python_enable_replacements",
        "allow_unsigned_extensions",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
    ],
)
def test_connections_and_their_cursors_are_closed_to_surprises(name: str) -> None:
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        assert _setting(connection, name) is False
        assert _setting(cursor, name) is False


def test_cursors_are_in_utc_wherever_the_machine_is() -> None:
    code = (
        "from ytap_assets.lakehouse.connection import connect\n"
        "print(connect().cursor().execute(\"SELECT current_setting('TimeZone')\").fetchall())"
    )
    environment = {**os.environ, "TZ": "Asia/Kolkata"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[('UTC',)]"


def test_pinned_packages_hold_the_extensions() -> None:
    for name in ("ducklake", "sqlite_scanner"):
        file = extension_file(name)
        assert file is not None
        assert file.is_file()
    assert extension_file("no_such_extension") is None


@pytest.mark.parametrize("_time", ["first", "second"])
def test_nothing_unsigned_is_loaded_once_the_lake_is_attached(
    settings: Settings, tmp_path: Path, _time: str
) -> None:
    changed = _tamper(tmp_path / "changed.duckdb_extension")
    with closing(attach(settings, read_only=True)) as connection:
        assert _setting(connection, "allow_unsigned_extensions") is False
        with pytest.raises(duckdb.InvalidInputException, match="while database is running"):
            connection.execute("SET GLOBAL allow_unsigned_extensions = true")
        with pytest.raises(duckdb.IOException, match="signature is either missing or invalid"):
            connection.execute(f"LOAD '{changed}'")


@pytest.mark.sqlite
def test_an_extension_that_was_changed_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(settings, read_only=True).close()
    folder = tmp_path / "packages" / "duckdb_extension_sqlite_scanner"
    file = folder / "extensions" / f"v{duckdb.__version__}" / "sqlite_scanner.duckdb_extension"
    file.parent.mkdir(parents=True)
    (folder / "__init__.py").touch()
    genuine = extension_file("sqlite_scanner")
    assert genuine is not None
    shutil.copy(genuine, file)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for _ in range(2):
        attach(settings, read_only=True).close()
    _tamper(file.with_suffix(".new")).rename(file)
    for _ in range(2):
        with pytest.raises(duckdb.IOException, match="signature is either missing or invalid"):
            attach(settings, read_only=True)


def test_a_table_without_rows_is_read_without_a_question_for_each_column(lake: Lake) -> None:
    """DuckLake keeps no statistics of it, and would ask its catalog again for every column."""
    with lake.cursor() as cursor:
        cursor.execute("CALL enable_logging('QueryLog')")
        lake.reader("tech").read(NOTES)
        cursor.execute("CALL disable_logging()")
        asked = cursor.execute(
            "SELECT count(*) FROM duckdb_logs WHERE contains(message, 'ducklake_table_stats')"
            " AND NOT contains(message, 'duckdb_logs')"
        ).fetchall()
    assert asked == [(1,)]


@pytest.mark.parametrize(("few_files", "is_skipped"), [(1, True), (0, False), (None, False)])
def test_joins_are_ordered_where_there_are_many_files(
    lake: Lake, few_files: int | None, is_skipped: bool
) -> None:
    publish(lake, NOTES, notes("tech", [DAY], ["one"]), one_day("tech"))
    publish(lake, NOTES, notes("tech", [DAY], ["two"]), one_day("tech"))
    with closing(attach(lake.settings, read_only=True, few_files=few_files)) as connection:
        disabled = str(_setting(connection, "disabled_optimizers"))
    assert "statistics_propagation" in disabled
    assert ("join_order" in disabled) is is_skipped


@pytest.mark.sqlite
@pytest.mark.parametrize("read_only", [True, False])
def test_a_scan_of_the_catalog_is_not_split_by_rowids(lake: Lake, read_only: bool) -> None:
    """Split, the first read of a table whose files are being merged may find it empty."""
    with closing(attach(lake.settings, read_only=read_only)) as connection:
        assert _setting(connection, "sqlite_disable_multithreaded_scans") is True


def test_tables_are_listed_with_their_schemas(lake: Lake) -> None:
    with lake.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {LAKE}.own")
        cursor.execute(f"CREATE TABLE {LAKE}.own.more (n INTEGER)")
        cursor.execute(f"CREATE VIEW {LAKE}.seen AS SELECT 1 AS n")
        cursor.execute(f"DROP TABLE {LAKE}.{NOTES.name}")
        expected = [("main", name) for name in SAMPLES if name != NOTES.name]
        assert list_tables(cursor, lake.catalog) == sorted([*expected, ("own", "more")])


@pytest.mark.parametrize("read_only", [True, False])
def test_attaching_makes_no_lake(empty_settings: Settings, read_only: bool) -> None:
    with pytest.raises(LakeMissingError, match="there is no lake at"):
        attach(empty_settings, read_only=read_only)
    assert not empty_settings.data.exists()


def test_a_read_only_lake_refuses_writes(settings: Settings) -> None:
    with (
        closing(attach(settings, read_only=True)) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute(f"DELETE FROM {LAKE}.notes")


@pytest.mark.sqlite
def test_the_attach_statement_is_one_a_person_can_type(settings: Settings) -> None:
    statement = find_catalog(settings).attach_statement(f"{settings.data_path}/", "read")
    assert statement == (
        f"ATTACH 'ducklake:sqlite:{settings.catalog}' AS lake (DATA_PATH '{settings.data_path}/',"
        " OVERRIDE_DATA_PATH true, META_BUSY_TIMEOUT 30000, READ_ONLY)"
    )


def test_a_data_folder_may_have_an_odd_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's a läke 20% #1; -- (x)"
    settings = Settings.from_env({"YTAP_DATA": str(folder)})
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
        assert lake.reader("tech").read(NOTES).height == 2
    assert list(folder.rglob("*.parquet"))


@pytest.mark.sqlite
def test_a_catalog_is_complete_as_soon_as_it_is_seen(empty_settings: Settings) -> None:
    catalog = empty_settings.catalog
    catalog.parent.mkdir(parents=True)
    maker = threading.Thread(target=make_catalog, args=[empty_settings])
    maker.start()
    while not catalog.exists() and maker.is_alive():
        pass
    with closing(sqlite3.connect(catalog)) as connection:
        snapshots = connection.execute("SELECT count(*) FROM ducklake_snapshot").fetchone()
    maker.join()
    assert snapshots == (1,)


@pytest.mark.folder
@pytest.mark.sqlite
def test_what_a_killed_making_left_is_no_obstacle(empty_settings: Settings) -> None:
    catalog = empty_settings.catalog
    catalog.parent.mkdir(parents=True)
    for suffix in ("", "-journal", "-wal"):
        catalog.with_name(f"{catalog.name}.making{suffix}").write_bytes(b"half a catalog")
    with Lake.open(empty_settings, tables=SAMPLES) as lake:
        assert lake.reader("tech").read(NOTES).is_empty()
    assert not list(catalog.parent.glob("*.making*"))
