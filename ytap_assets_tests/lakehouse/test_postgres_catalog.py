"""What is particular to a catalog in a PostgreSQL database.

Everything that holds for any catalog is tested with `pytest --catalog postgres`, too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.backup import back_up, restore, verify
from ytap_assets.lakehouse.catalog import Catalog, CatalogFacts
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach, attach_lines, find_catalog, find_files
from ytap_assets.lakehouse.copies import Backup, read_restored
from ytap_assets.lakehouse.errors import (
    BackupError,
    CatalogBusyError,
    CatalogUnreachableError,
    LakeDamagedError,
    LakeMissingError,
    LockLostError,
    LockTimeoutError,
    RestoreInDoubtError,
    StatementRefusedError,
)
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.lock import Lock
from ytap_assets.lakehouse.postgres_catalog import PostgresCatalog
from ytap_assets.lakehouse.sql_sandbox import open_shell, parse
from ytap_assets.settings import Settings, parse_database
from ytap_assets_tests.databases import Server, attach_plainly, change_catalog
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
def url(server: Server) -> Iterator[str]:
    """An empty database."""
    url = server.url()
    yield url
    server.drop(url)


@pytest.fixture
def place(url: str, tmp_path: Path) -> Settings:
    """Where there is no lake yet."""
    return Settings.from_env({"YTAP_DATA": str(tmp_path / "served"), "YTAP_CATALOG": url})


@pytest.fixture
def served(place: Settings) -> Iterator[Lake]:
    """A lake in a database."""
    with Lake.create(place, tables=SAMPLES) as lake:
        yield lake


def _publish(lake: Lake, version: int) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))


def _back_up_older(lake: Lake, tmp_path: Path) -> Backup:
    """A backup of version 1 of a lake that has version 2 and is closed."""
    _publish(lake, 1)
    backup = back_up(lake.settings, tmp_path / "backup", NOW)
    _publish(lake, 2)
    lake.close()
    return backup


def _versions(lake: Lake) -> list[int]:
    return lake.reader("tech").read(NOTES)["version"].to_list()


def test_a_lake_in_a_database_is_made_on_request_only(place: Settings) -> None:
    with pytest.raises(LakeMissingError, match="ytap lake create"):
        Lake.open(place, tables=SAMPLES)
    assert not find_catalog(place).exists()


def test_what_a_killed_making_left_is_removed(place: Settings) -> None:
    def die(_: Catalog) -> None:
        raise KeyboardInterrupt

    catalog = find_catalog(place)
    with pytest.raises(KeyboardInterrupt):
        catalog.create(die)
    assert (catalog.exists(), catalog.find_obstacle()) == (False, None)
    with Lake.create(place, tables=SAMPLES) as lake:
        _publish(lake, 1)


def _moved(facts: CatalogFacts, lake: Lake) -> CatalogFacts:
    """What a catalog holds, in the place of another lake."""
    files = find_files(lake.settings)
    return replace(facts, data_path=files.root, mark=files.read_mark())


def test_a_backup_moves_a_lake_from_a_file_into_a_database_and_back(
    tmp_path: Path, place: Settings
) -> None:
    filed = Settings.from_env({"YTAP_DATA": str(tmp_path / "filed")})
    with Lake.create(filed, tables=SAMPLES) as lake:
        for version in (1, 2):
            _publish(lake, version)
            append(lake, LOGS, logs("tech", [f"{version}"]), "tech")
        rows, snapshots = lake.cross_reader().read_across(LOGS), lake.snapshots()
        old = lake.snapshot_id() - 2
        facts = lake.catalog.read_facts()
        back_up(filed, tmp_path / "from file", NOW)
    restore(place, tmp_path / "from file", NOW)
    with Lake.open(place, tables=SAMPLES) as lake:
        assert lake.catalog.read_facts() == _moved(facts, lake)
        assert_frame_equal(lake.cross_reader().read_across(LOGS), rows, check_row_order=False)
        assert_frame_equal(lake.snapshots(), snapshots)
        assert lake.reader("tech", as_of=old).read(NOTES)["version"].to_list() == [1, 1]
        _publish(lake, 3)
        append(lake, LOGS, logs("tech", ["3"]), "tech")
        facts, snapshots = lake.catalog.read_facts(), lake.snapshots()
        assert lake.cross_reader().read_across(LOGS)["seq"].sort().to_list() == [1, 2, 3]
        backup = back_up(place, tmp_path / "from database", NOW)
        assert verify(place, backup.folder, NOW).tables["logs"] == 3
    again = Settings.from_env({"YTAP_DATA": str(tmp_path / "again")})
    restore(again, backup.folder, NOW)
    with Lake.open(again, tables=SAMPLES) as lake:
        assert lake.catalog.read_facts() == _moved(facts, lake)
        assert_frame_equal(lake.snapshots(), snapshots)
        assert _versions(lake) == [3, 3]
        _publish(lake, 4)


def test_a_restore_keeps_the_previous_catalog_and_its_files(served: Lake, tmp_path: Path) -> None:
    settings = served.settings
    _publish(served, 1)
    backup = back_up(settings, tmp_path / "backup", NOW)
    _publish(served, 2)
    facts = served.catalog.read_facts()
    served.close()
    restore(settings, backup.folder, NOW)
    with Lake.open(settings, tables=SAMPLES) as lake:
        assert _versions(lake) == [1, 1]
    restored = read_restored(settings)
    assert restored is not None
    assert restored.snapshot_id == backup.snapshot_id
    assert settings.database is not None
    kept = replace(settings.database, schema="ytap_before_20261120t120000000000")
    files = settings.data_path.with_name("files.before-20261120T120000000000")
    before = replace(settings, database=kept, data_path=files)
    assert find_catalog(before).read_facts() == facts
    with Lake.open(before, tables=SAMPLES) as lake:
        assert _versions(lake) == [2, 2]


def test_a_restore_waits_for_readers_and_changes_nothing_where_they_stay(
    served: Lake, tmp_path: Path
) -> None:
    _publish(served, 1)
    backup = back_up(served.settings, tmp_path / "backup", NOW)
    _publish(served, 2)
    with served.cursor() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM lake.notes").fetchall()
        with pytest.raises(BackupError, match="another program still uses it"):
            restore(served.settings, backup.folder, NOW, readers_s=0.1)
        reader.execute("ROLLBACK")
    assert _versions(served) == [2, 2]
    assert not list(served.settings.data.rglob("*before*"))


def test_of_two_commits_from_one_snapshot_the_second_fails(served: Lake) -> None:
    """Also where somebody writes without the lock: DuckLake would append the rows of both."""
    append(served, LOGS, logs("tech", ["a"]), "tech")

    def append_meanwhile() -> None:
        with served.write(RUN) as transaction:
            assert transaction.reader("tech").read(LOGS).height == 1
            with closing(attach(served.settings, read_only=False)) as other:
                other.execute(
                    "INSERT INTO lake.logs BY NAME"
                    " SELECT * REPLACE (9 AS seq, 'x' AS log_id) FROM lake.logs"
                )
            transaction.append(check_rows(LOGS, logs("tech", ["b"]), Scope("tech")))

    with pytest.raises(CatalogBusyError, match="wrote to the lake at the same time"):
        append_meanwhile()
    assert served.reader("tech").read(LOGS)["seq"].sort().to_list() == [1, 9]


def test_the_lock_has_one_holder_who_is_named(served: Lake) -> None:
    lock, other = served.catalog.lock(), served.catalog.lock(timeout_s=0.05)
    assert other.find_holder() is None
    with lock.hold():
        holder = other.find_holder()
        assert holder is not None
        with pytest.raises(LockTimeoutError, match=f"held by process {holder.pid}"), other.hold():
            pass
        with served.catalog.lock("another").hold():
            pass
    with other.hold():
        assert lock.find_holder() is not None


def test_the_lock_ends_with_its_session(served: Lake, server: Server) -> None:
    lock, other = served.catalog.lock(), served.catalog.lock(timeout_s=0.05)
    with lock.hold():
        server.end_sessions(str(served.settings.database))
        with other.hold():
            pass
    with lock.hold():
        pass


def test_parts_of_a_lock_exclude_each_other_only_where_they_are_the_same(served: Lake) -> None:
    def lock(*parts: str) -> Lock:
        return served.catalog.lock("stage", parts=parts, timeout_s=0.05)

    with lock("a", "b").hold():
        with lock("c", "d").hold(), served.catalog.lock().hold():
            pass
        with pytest.raises(LockTimeoutError), lock("0", "b", "c").hold():
            pass
        # What was acquired before the other part is free again.
        with lock("0").hold(), lock("c").hold():
            pass
    with lock("b").hold():
        pass


def test_a_run_that_lost_its_lock_commits_nothing(served: Lake, server: Server) -> None:
    lock = served.catalog.lock("stage", parts=["tech"], timeout_s=0.05)
    run = replace(RUN, check=lock.check)
    frame = check_rows(LOGS, logs("tech", ["a"]), Scope("tech"))
    with lock.hold():
        with served.write(run) as transaction:
            transaction.append(frame)
        server.end_sessions(str(served.settings.database))
        served.reader("tech").read(LOGS)  # its connection is made again
        again = check_rows(LOGS, logs("tech", ["b"]), Scope("tech"))
        with pytest.raises(LockLostError), served.write(run) as transaction:
            transaction.append(again)
    assert served.reader("tech").read(LOGS).height == 1


def test_a_writer_that_lost_the_lock_commits_nothing_over_others(
    served: Lake, server: Server
) -> None:
    _publish(served, 1)

    def publish_late() -> None:
        with served.write(RUN) as transaction:
            transaction.reader("tech").read(NOTES)
            server.end_sessions(str(served.settings.database))
            with Lake.open(served.settings, tables=SAMPLES) as other:
                _publish(other, 2)
            frame = notes("tech", [DAY], "ab", version=3)
            transaction.publish_all([check_rows(NOTES, frame, one_day("tech"))])

    with pytest.raises(CatalogUnreachableError):
        publish_late()
    assert _versions(served) == [2, 2]
    _publish(served, 4)
    assert _versions(served) == [4, 4]


def test_connections_that_dropped_are_made_again(served: Lake, server: Server) -> None:
    _publish(served, 1)
    server.end_sessions(str(served.settings.database))
    assert _versions(served) == [1, 1]
    server.end_sessions(str(served.settings.database))
    _publish(served, 2)
    assert _versions(served) == [2, 2]


def test_a_server_that_does_not_answer_is_named(place: Settings) -> None:
    assert place.database is not None
    parameters = dict(place.database.parameters) | {"port": "1"}
    settings = replace(
        place, database=replace(place.database, parameters=tuple(parameters.items()))
    )
    for use in (
        lambda: Lake.open(settings),
        lambda: attach(settings, read_only=True),
        lambda: find_catalog(settings).lock().find_holder(),
        lambda: find_catalog(settings).lock().hold().__enter__(),
    ):
        with pytest.raises(CatalogUnreachableError, match=r"127\.0\.0\.1:1/"):
            use()


def test_no_password_is_in_what_is_printed(
    place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "swordfish")
    with Lake.create(place, tables=SAMPLES) as lake, lake.cursor() as cursor:
        shown = [*attach_lines(place), repr(place), str(lake.lock), str(lake.catalog)]
        shown += [str(row) for row in cursor.execute("FROM duckdb_databases()").fetchall()]
    assert "swordfish" not in json.dumps(shown)
    assert str(parse_database(place.catalog_name, "url")) == place.catalog_name


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW hostile AS SELECT 1",
        "CREATE RULE hostile AS ON INSERT TO ducklake_snapshot DO ALSO DELETE FROM ducklake_tag",
        "CREATE FUNCTION hostile() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER hostile BEFORE INSERT ON ducklake_data_file FOR EACH ROW"
        " EXECUTE FUNCTION hostile()",
    ],
)
def test_what_a_catalog_would_do_by_itself_is_refused(served: Lake, statement: str) -> None:
    served.catalog.check_integrity()
    change_catalog(served.settings, statement)
    with pytest.raises(LakeDamagedError, match=r"hostile|_RETURN"):
        served.catalog.check_integrity()


def test_statistics_of_columns_are_found_by_an_index(served: Lake) -> None:
    rows = change_catalog(
        served.settings,
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'ducklake_file_column_stats'",
    )
    assert any("(table_id, column_id)" in str(row) for row in rows)


def test_rows_in_the_catalog_are_copied_too(served: Lake, tmp_path: Path) -> None:
    """Another program may have written them; no file holds them."""
    with closing(attach(served.settings, read_only=False)) as writer:
        writer.execute("CALL lake.set_option('data_inlining_row_limit', 10)")
        writer.execute("USE memory; DETACH lake")
        writer.execute(attach_plainly(served.settings))
        writer.execute(
            "INSERT INTO lake.sightings BY NAME SELECT 'tech' AS workspace_id, 'i' AS item_id"
        )
    with inspect_lake(served.settings) as inspection:
        assert inspection.inlined_rows() == {"sightings": 1}
    backup = back_up(served.settings, tmp_path / "backup", NOW)
    again = Settings.from_env({"YTAP_DATA": str(tmp_path / "again")})
    restore(again, backup.folder, NOW)
    with inspect_lake(again) as inspection:
        assert inspection.inlined_rows() == {"sightings": 1}


@pytest.mark.parametrize(
    "schema", ["ytap_making", "ytap_staging", "ytap_restoring", "ytap_state", "a_before_b"]
)
def test_no_lake_has_the_name_of_a_schema_of_ours(url: str, schema: str) -> None:
    with pytest.raises(ConfigError, match="schema="):
        Settings.from_env({"YTAP_CATALOG": url.replace("schema=ytap", f"schema={schema}")})


@pytest.mark.parametrize("schema", ["ytap_making", "ytap_staging", "ytap_restoring"])
def test_a_schema_that_is_not_ours_is_never_dropped(
    place: Settings, served: Lake, tmp_path: Path, schema: str
) -> None:
    backup = back_up(place, tmp_path / "backup", NOW)
    change_catalog(place, f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.mine (a int)")
    uses: dict[str, Callable[[], object]] = {
        "ytap_making": lambda: find_catalog(place).create(lambda _: None),
        "ytap_staging": lambda: restore(place, backup.folder, NOW),
        "ytap_restoring": lambda: restore(place, backup.folder, NOW),
    }
    with pytest.raises(BackupError, match="not made by ytap"):
        uses[schema]()
    assert change_catalog(place, f"SELECT count(*) FROM {schema}.mine") == [(0,)]


def test_a_name_of_a_table_in_a_copy_is_no_statement(
    served: Lake, place: Settings, tmp_path: Path
) -> None:
    backup = back_up(place, tmp_path / "backup", NOW)
    catalog = backup.folder / "catalog.sqlite"
    hostile = 'z" AS SELECT 1 AS a; DROP TABLE lake.notes; --'
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute('CREATE TABLE "' + hostile.replace('"', '""') + '" (a int)')
    with pytest.raises(BackupError, match="which DuckLake does not create"):
        find_catalog(place).stage(catalog, "", None)


def test_a_statement_reads_no_other_table_of_the_database(served: Lake) -> None:
    _publish(served, 1)
    change_catalog(served.settings, "CREATE TABLE public.customers AS SELECT 'CANARY' AS name")
    change_catalog(served.settings, "CREATE TABLE public.notes AS SELECT 'CANARY' AS name")
    metadata = "__ducklake_metadata_lake.public"
    for text in (
        f"USE {metadata}; FROM notes",
        f"BEGIN; CREATE TEMP TABLE customers AS SELECT 1; ROLLBACK; USE {metadata}; FROM customers",
        "BEGIN; CREATE TEMP TABLE customers AS SELECT 1; ROLLBACK; FROM customers",
        f"FROM {metadata}.customers",
    ):
        with (
            closing(open_shell(served.settings, workspace_id=None)) as connection,
            pytest.raises(StatementRefusedError),
        ):
            parse(connection, text, served.catalog)


def test_a_refusal_of_the_server_is_no_conflict(served: Lake) -> None:
    change_catalog(
        served.settings, "ALTER TABLE ytap.ducklake_snapshot ADD CHECK (snapshot_id < 3)"
    )
    _publish(served, 1)
    with pytest.raises(Exception, match="violates check constraint") as refused:
        _publish(served, 2)
    assert not isinstance(refused.value, CatalogBusyError)


def test_a_lock_outlives_the_servers_limit_on_idle_sessions(served: Lake) -> None:
    name = dict(served.settings.database.parameters)["dbname"] if served.settings.database else ""
    change_catalog(served.settings, f'ALTER DATABASE "{name}" SET idle_session_timeout = 1')
    with served.catalog.lock().hold():
        change_catalog(served.settings, "SELECT pg_sleep(0.2)")
        assert served.catalog.lock().find_holder() is not None


@pytest.mark.parametrize("is_made", [True, False])
def test_a_restore_whose_answer_is_lost_is_known_by_its_note(
    served: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_made: bool
) -> None:
    """No transport stands between the driver and the server, so its call is replaced."""
    backup = _back_up_older(served, tmp_path)
    replace_it = PostgresCatalog._replace_by

    def lose_the_answer(catalog: PostgresCatalog, *arguments: Any) -> None:
        if is_made:
            replace_it(catalog, *arguments)
        raise CatalogUnreachableError("the answer is lost")

    monkeypatch.setattr(PostgresCatalog, "_replace_by", lose_the_answer)
    if is_made:
        assert len(restore(served.settings, backup.folder, NOW)) == 2
    else:
        with pytest.raises(CatalogUnreachableError):
            restore(served.settings, backup.folder, NOW)
    with Lake.open(served.settings, tables=SAMPLES) as lake:
        assert _versions(lake) == ([1, 1] if is_made else [2, 2])


def test_a_restore_in_doubt_undoes_nothing(
    served: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = _back_up_older(served, tmp_path)
    replace_it = PostgresCatalog._replace_by

    def go_away(catalog: PostgresCatalog, *arguments: Any) -> None:
        replace_it(catalog, *arguments)
        monkeypatch.setattr(PostgresCatalog, "read_note", lose)
        lose()

    def lose(*_: object) -> None:
        raise CatalogUnreachableError("the server is gone")

    monkeypatch.setattr(PostgresCatalog, "_replace_by", go_away)
    with pytest.raises(RestoreInDoubtError, match="not known"):
        restore(served.settings, backup.folder, NOW)
    with Lake.open(served.settings, tables=SAMPLES) as lake:
        assert _versions(lake) == [1, 1]
    files = served.settings.data_path.with_name("files.before-20261120T120000000000")
    assert len(list(files.rglob("*.parquet"))) == 2
