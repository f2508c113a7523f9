"""Attempts to break out of a workspace through SQL. None may bring anything out.

Canaries stand wherever something could be found: in another workspace's rows, in its config, in
files of every kind, in the environment, in Python's variables. They must never be seen, neither in
a result nor in an error's text; and nothing may be written.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from ytap_assets.lakehouse.connection import attach, find_catalog, find_files
from ytap_assets.lakehouse.errors import StatementRefusedError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.sql_sandbox import open_shell, open_sql, parse
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import Lakes
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    SAMPLES,
    append,
    logs,
    notes,
    one_day,
    publish,
)

CANARY = "CANARY"


@dataclass(frozen=True)
class Prison:
    """A lake with something to find around it.

    Attributes:
        settings: The lake's.
        places: What the attempts may name: paths of files and folders.
        old: A snapshot in which finance had other rows.
    """

    settings: Settings
    places: dict[str, str]
    old: int


@pytest.fixture(scope="module")
def prison(
    made_lake: Settings, lakes: Lakes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prison]:
    root = tmp_path_factory.mktemp("prison")
    with lakes.copy(made_lake, root / "data") as copied:
        yield from _imprison(replace(copied, sql_memory=2**30), root)


def _imprison(settings: Settings, root: Path) -> Iterator[Prison]:
    old = 0
    with Lake.open(settings, tables=SAMPLES) as lake:
        for number in (1, 2):
            for name, text in (("finance", f"{CANARY}-ROW-{number}"), ("tech", f"mine-{number}")):
                frame = notes(name, [DAY], [text], tags=[text], body=text.encode())
                publish(lake, NOTES, frame, one_day(name))
                append(lake, LOGS, logs(name, [text]), name)
            old = old or lake.snapshot_id()
    places = _plant(root, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YTAP_SECRET_FINANCE", f"{CANARY}-ENVIRONMENT")
        patch.chdir(root)
        yield Prison(settings, places, old)


def _plant(root: Path, settings: Settings) -> dict[str, str]:
    config = settings.workspaces / "finance" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"name: {CANARY}-CONFIG\n")
    (root / "plain.csv").write_text(f"a,b\n{CANARY}-CSV,1\n")
    (root / "plain.json").write_text(f'{{"a": "{CANARY}-JSON"}}\n')
    (root / ".tmp").mkdir()  # where DuckDB puts by default what does not fit into memory
    (root / ".tmp" / "spilled.csv").write_text(f"a,b\n{CANARY}-SPILLED,1\n")
    frame = pl.DataFrame({"a": [f"{CANARY}-PARQUET"]})
    frame.write_parquet(root / "plain.parquet")
    with closing(sqlite3.connect(root / "plain.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", [f"{CANARY}-SQLITE"])
        connection.commit()
    with closing(duckdb.connect(root / "plain.duckdb")) as database:
        database.execute(f"CREATE TABLE t AS SELECT '{CANARY}-DUCKDB' AS a")
    files = find_files(settings)
    [rows, *_] = [name for name in files.list_parquet() if "notes/workspace_id=finance/" in name]
    return {
        "root": str(root),
        "config": str(config),
        "csv": str(root / "plain.csv"),
        "json": str(root / "plain.json"),
        "parquet": str(root / "plain.parquet"),
        "sqlite": str(root / "plain.sqlite"),
        "duckdb": str(root / "plain.duckdb"),
        "rows": files.root + rows,
        "files": files.root.rstrip("/"),
        "catalog": str(settings.catalog),
        "out": str(root / "out"),
    }


GROUPS: dict[str, dict[str, str]] = {
    "files": {
        "read a config": "SELECT * FROM read_text('{config}')",
        "read a blob": "SELECT content::VARCHAR FROM read_blob('{config}')",
        "read a csv": "SELECT * FROM read_csv('{csv}')",
        "sniff a csv": "SELECT * FROM sniff_csv('{csv}')",
        "read json": "SELECT * FROM read_json('{json}')",
        "read json objects": "SELECT * FROM read_json_objects('{json}')",
        "read ndjson": "SELECT * FROM read_ndjson_auto('{json}')",
        "read parquet": "SELECT * FROM read_parquet('{parquet}')",
        "read the lake's own files": "SELECT * FROM read_parquet('{rows}')",
        "read the lake's own folder": "SELECT * FROM parquet_scan('{files}/**/*.parquet')",
        "read many files": "SELECT * FROM read_text(['{config}', '{csv}'])",
        "a file as a table": "SELECT * FROM '{parquet}'",
        "a csv as a table": 'SELECT * FROM "{csv}"',
        "a relative file": "SELECT * FROM 'plain.csv'",
        "list files": "SELECT * FROM glob('{root}/**')",
        "parquet's metadata": "SELECT * FROM parquet_metadata('{rows}')",
        "parquet's schema": "SELECT * FROM parquet_schema('{rows}')",
        "parquet's own words": "SELECT * FROM parquet_kv_metadata('{rows}')",
        "a file by query": "SELECT * FROM query('FROM ''{csv}''')",
        "a file by name": "SELECT * FROM query_table('{csv}')",
        "copy from": "COPY notes FROM '{csv}'",
        "copy into a new table": "CREATE TABLE t (a VARCHAR, b INT); COPY t FROM '{csv}'; FROM t",
        "import a database": "IMPORT DATABASE '{root}'",
        "a standard stream": "SELECT * FROM read_text('/dev/stdin')",
        "the environment's file": "SELECT * FROM read_text('/proc/self/environ')",
        "an address": "SELECT * FROM read_csv('https://localhost/x.csv')",
        "a bucket": "SELECT * FROM read_parquet('s3://finance/x.parquet')",
    },
    "writing": {
        "copy to": "COPY (SELECT 1) TO '{out}.csv'",
        "copy notes to parquet": "COPY notes TO '{out}.parquet' (FORMAT parquet)",
        "export": "EXPORT DATABASE '{out}'",
        "profile to a file": "PRAGMA profiling_output = '{out}'",
        "copy to the spilling folder": "COPY (SELECT 'x') TO '{root}/.tmp/x' (HEADER false)",
        "attach in the spilling folder": (
            "SELECT 1; ATTACH '{root}/.tmp/x.duckdb' AS y; CREATE VIEW y.v AS SELECT 1"
        ),
        "pivot what was spilled": "SELECT 1; PIVOT '{root}/.tmp/spilled.csv' ON a USING first(b)",
    },
    "databases": {
        "attach the catalog": "ATTACH '{catalog}' AS c (TYPE sqlite); FROM c.ducklake_table",
        "attach sqlite": "ATTACH '{sqlite}' AS s (TYPE sqlite); SELECT * FROM s.t",
        "attach duckdb": "ATTACH '{duckdb}' AS d; SELECT * FROM d.t",
        "attach the lake": "ATTACH 'ducklake:sqlite:{catalog}' AS again; SELECT * FROM again.notes",
        "scan sqlite": "SELECT * FROM sqlite_scan('{sqlite}', 't')",
        "copy a database": "ATTACH ':memory:' AS m; COPY FROM DATABASE lake TO m; FROM m.notes",
        "the lake by name": "SELECT * FROM lake.notes",
        "the lake by schema": "SELECT * FROM lake.main.notes",
        "use the lake": "USE lake; SELECT * FROM notes",
        "the lake's metadata": "SELECT * FROM __ducklake_metadata_lake.ducklake_table",
        "the lake's snapshots": "SELECT * FROM ducklake_snapshots('lake')",
        "the lake's files": "SELECT * FROM ducklake_list_files('lake', 'notes')",
        "the lake's changes": "FROM ducklake_table_changes('lake', 'main', 'notes', 0, 99)",
        "an older version": "SELECT * FROM notes AT (VERSION => {old})",
    },
    "extensions": {
        "install": "INSTALL httpfs; LOAD httpfs",
        "install by force": "FORCE INSTALL sqlite",
        "load": "LOAD sqlite_scanner",
        "load a file": "LOAD '{duckdb}'",
    },
    "configuration": {
        "allow files": "SET enable_external_access = true; SELECT * FROM read_text('{config}')",
        "allow a folder": "SET allowed_directories = ['{root}']; FROM read_text('{config}')",
        "allow a path": "SET GLOBAL allowed_paths = ['{csv}']; SELECT * FROM read_csv('{csv}')",
        "reset": "RESET enable_external_access; SELECT * FROM read_text('{config}')",
        "unlock": "SET lock_configuration = false; SET enable_external_access = true",
        "allow unsigned": "SET allow_unsigned_extensions = true",
        "replace by Python": "SET python_enable_replacements = true; SELECT * FROM hidden_frame",
        "search Python": "SET python_scan_all_frames = true; SELECT * FROM hidden_frame",
        "search path": "SET search_path = 'lake.main'; SELECT * FROM notes",
        "home": "SET home_directory = '{root}'; SELECT * FROM read_text('~/plain.csv')",
        "more memory": "SET memory_limit = '1TB'; SET threads = 99; SET temp_directory = '{root}'",
        "a pragma": "PRAGMA enable_external_access = true",
        "load by itself": "SET autoload_known_extensions = true; FROM sqlite_scan('{sqlite}', 't')",
    },
    "knowledge": {
        "settings": "SELECT * FROM duckdb_settings()",
        "databases": "SELECT * FROM duckdb_databases()",
        "database list": "PRAGMA database_list",
        "secrets": "SELECT * FROM duckdb_secrets()",
        "a secret": "CREATE SECRET s (TYPE s3, PROVIDER credential_chain); FROM duckdb_secrets()",
        "tables of all": "SELECT * FROM information_schema.tables",
        "columns of all": "SELECT * FROM information_schema.columns",
        "schemata": "SELECT * FROM information_schema.schemata",
        "all tables": "SHOW ALL TABLES",
        "views": "SELECT * FROM duckdb_views()",
        "variables": "SELECT * FROM duckdb_variables()",
        "logs": "SELECT * FROM duckdb_logs",
        "temporary files": "SELECT * FROM duckdb_temporary_files()",
        "cached files": "SELECT * FROM duckdb_external_file_cache()",
        "statistics": "SELECT * FROM pragma_storage_info('notes')",
        "a summary": "SUMMARIZE notes",
        "the plan": "EXPLAIN ANALYZE SELECT * FROM notes",
        "the environment": "SELECT getenv('YTAP_SECRET_FINANCE')",
        "a variable": "SET VARIABLE x = getenv('YTAP_SECRET_FINANCE'); SELECT getvariable('x')",
    },
    "python": {
        "a frame": "SELECT * FROM hidden_frame",
        "an arrow table": "SELECT * FROM hidden_arrow",
        "checksum differs": "SELECT * FROM incoming",
        "pandas": "SELECT * FROM python_map_function(1)",
    },
    "words": {
        "another workspace": "SELECT * FROM notes WHERE workspace_id = 'finance'",
        "no condition": "SELECT * FROM notes WHERE 1 = 1 OR true",
        "a comment": "SELECT 1 /* FROM lake.notes */ FROM notes -- logs\n UNION ALL SELECT 2",
        "many statements": "SELECT 1; SELECT 2; SELECT * FROM notes; SELECT * FROM logs",
        "a macro": "CREATE MACRO m() AS TABLE SELECT * FROM lake.notes; SELECT * FROM m()",
        "a macro over files": "CREATE MACRO f(p) AS TABLE FROM read_text(p); FROM f('{config}')",
        "a view": "CREATE VIEW v AS SELECT * FROM '{parquet}'; SELECT * FROM v",
        "prepared": "PREPARE p AS SELECT * FROM read_text($1); EXECUTE p('{config}')",
        "serialized": (
            "SELECT * FROM json_execute_serialized_sql("
            "json_serialize_sql('SELECT * FROM read_text(''{config}'')'))"
        ),
        "a name in pieces": "SELECT * FROM query('FROM la' || 'ke.no' || 'tes')",
        "an escaped name": 'SELECT * FROM U&"n\\006ftes"',
        "a cross join of all": "SELECT * FROM notes, logs, marks, sightings",
        "insert and read": "INSERT INTO notes BY NAME SELECT 'finance' AS workspace_id; FROM notes",
        "change and read": "UPDATE notes SET workspace_id = 'finance'; SELECT * FROM notes",
        "drop and read": "DROP TABLE notes; SELECT * FROM notes",
        "a transaction": "BEGIN; SELECT * FROM lake.notes; ROLLBACK; SELECT * FROM notes",
        "checkpoint": "FORCE CHECKPOINT",
        "detach": "ATTACH ':memory:' AS m; USE m; DETACH memory; SELECT * FROM notes",
    },
}
ATTEMPTS = {name: attempt for group in GROUPS.values() for name, attempt in group.items()}


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """Everything that comes out: every statement's rows and names, and the errors' texts."""
    hidden_frame = pl.DataFrame({"a": [f"{CANARY}-FRAME"]})
    hidden_arrow = hidden_frame.to_arrow()
    out = [str(hidden_frame.height + hidden_arrow.num_rows)]
    try:
        parts: list[duckdb.Statement | str] = [*connection.extract_statements(statement)]
    except duckdb.Error as error:
        parts = [statement]
        out.append(str(error))
    for part in parts:
        try:
            result = connection.execute(part)
            out += [str(result.description), str(result.fetchall())]
        except (duckdb.Error, RuntimeError) as error:
            out.append(str(error))
    return "\n".join(out)


def _state(prison: Prison) -> dict[str, int]:
    root = Path(prison.places["root"])
    return {
        str(path): path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def _statement(prison: Prison, attempt: str) -> str:
    places = {**prison.places, "old": str(prison.old)}
    for name, place in places.items():
        attempt = attempt.replace(f"{{{name}}}", place)
    return attempt


def _attempt(prison: Prison, connection: duckdb.DuckDBPyConnection, attempts: list[str]) -> None:
    before = _state(prison)
    for attempt in attempts:
        assert CANARY not in _run(connection, attempt), attempt
    again = _statement(prison, "FROM read_text('{config}'); FROM lake.notes; FROM hidden_frame")
    assert CANARY not in _run(connection, again)
    assert "(False,)" in _run(connection, "SELECT current_setting('enable_external_access')")
    assert "cannot change configuration" in _run(connection, "SET threads = 99").lower()
    assert _state(prison) == before


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_nothing_of_others_comes_out(prison: Prison, group: dict[str, str]) -> None:
    attempts = [_statement(prison, attempt) for attempt in group.values()]
    with closing(open_sql(prison.settings, "\n".join(attempts), workspace_id="tech")) as connection:
        _attempt(prison, connection, attempts)
        assert "1.0 GiB" in _run(connection, "SELECT current_setting('memory_limit')")


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_nothing_comes_out_of_a_shell_either(prison: Prison, group: dict[str, str]) -> None:
    attempts = [_statement(prison, attempt) for attempt in group.values()]
    with closing(open_shell(prison.settings, workspace_id="tech")) as connection:
        assert "mine-2" in _run(connection, "FROM notes")
        _attempt(prison, connection, attempts)


@pytest.mark.soak
@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_nothing_comes_out_of_an_attempt_alone(prison: Prison, attempt: str) -> None:
    statement = _statement(prison, attempt)
    with closing(open_sql(prison.settings, statement, workspace_id="tech")) as connection:
        _attempt(prison, connection, [statement])


@pytest.mark.folder
@pytest.mark.sqlite
def test_a_log_file_neither_is_written_nor_ends_the_process(prison: Prison) -> None:
    """DuckDB ended the process over these, so they run in a process of their own."""
    options = f"storage = 'file', storage_path = '{prison.places['out']}'"
    quoted = options.replace("'", "''")
    statements = [
        f"CALL enable_logging({options})",
        f"FROM enable_logging({options})",
        f"FROM query('FROM enable_' || 'logging({quoted})')",
    ]
    code = (
        "import duckdb\n"
        "from ytap_assets.lakehouse.sql_sandbox import open_sql\n"
        "from ytap_assets.settings import Settings\n"
        f"settings = Settings.from_env({{'YTAP_DATA': {str(prison.settings.data)!r}}})\n"
        "for text in ('FROM notes', 'SELECT 1'):\n"
        "    connection = open_sql(settings, text, workspace_id='tech')\n"
        f"    for statement in {statements!r}:\n"
        "        try:\n"
        "            connection.execute(statement).fetchall()\n"
        "        except duckdb.Error as error:\n"
        "            print(error)\n"
        "    print(connection.execute('SELECT 42').fetchall())\n"
    )
    before = _state(prison)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("[(42,)]")) == (0, 2), done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert _state(prison) == before


FOREIGN = re.compile(rf"{CANARY}-(?!ROW)\w+")
"""What stands outside the lake; over the whole of it, every workspace's rows are to be seen."""

ESCAPES = (
    "FROM query('FROM sqlite_' || 'scan(''{sqlite}'', ''t'')')",
    "FROM query('FROM read_' || 'text(''{config}'')')",
    "FROM sqlite_scan('{sqlite}', 't')",
    "FROM sqlite_query('{sqlite}', 'SELECT * FROM t')",
    "FROM '{sqlite}'",
    'FROM "{sqlite}"',
    "FROM plain.sqlite",
    "SELECT (SELECT a FROM plain.sqlite)",
    "FROM query_table('{sqlite}')",
    'WITH "{sqlite}" AS (FROM "{sqlite}") FROM "{sqlite}"',
    "SUMMARIZE '{sqlite}'",
    "DESCRIBE '{sqlite}'",
    "PRAGMA table_info('{sqlite}')",
    "FROM pragma_table_info('{sqlite}')",
    "FROM histogram('{sqlite}', a)",
    "CREATE TEMP TABLE t AS FROM '{sqlite}'; FROM t",
    "CREATE TEMP VIEW v AS FROM '{sqlite}'; FROM v",
    "CREATE TEMP MACRO m() AS TABLE FROM '{sqlite}'; FROM m()",
    "SET VARIABLE x = (SELECT a FROM '{sqlite}'); SELECT getvariable('x')",
    "EXPLAIN ANALYZE FROM '{sqlite}'",
    "PREPARE p AS FROM '{sqlite}'; EXECUTE p",
    "SELECT json_serialize_plan('FROM sqlite_scan(''{sqlite}'', ''t'')')",
    "FROM sqlite_attach('{sqlite}'); FROM t",
    "FROM parquet_scan('{parquet}')",
    "FROM '{parquet}'",
    "IMPORT DATABASE '{root}'",
    "FROM __ducklake_metadata_lake.ducklake_metadata",
)


@pytest.mark.parametrize("as_of", [False, True])
def test_nothing_outside_comes_out_of_the_whole_lake(prison: Prison, *, as_of: bool) -> None:
    before = _state(prison)
    snapshot = prison.old if as_of else None
    with closing(open_shell(prison.settings, workspace_id=None, as_of=snapshot)) as connection:
        for attempt in (*ATTEMPTS.values(), *ESCAPES):
            out = _run_checked(connection, prison, _statement(prison, attempt))
            assert not FOREIGN.search(out), attempt
        assert f"{CANARY}-ROW" in _run_checked(connection, prison, "FROM notes")
    assert _state(prison) == before


def _run_checked(connection: duckdb.DuckDBPyConnection, prison: Prison, statement: str) -> str:
    """What `ytap sql` would bring out."""
    out = []
    try:
        for part in parse(connection, statement, find_catalog(prison.settings)):
            result = connection.execute(part)
            out += [str(result.description), str(result.fetchall())]
    except (duckdb.Error, StatementRefusedError) as error:
        out.append(str(error))
    return "\n".join(out)


DELETIONS = (
    "FROM query('FROM ducklake_cleanup_' || 'old_files(''lake'', cleanup_all => true)')",
    "FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "FROM lake.cleanup_old_files(cleanup_all => true)",
    "EXPLAIN ANALYZE FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "CREATE TEMP TABLE t AS FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "SET VARIABLE n = (FROM ducklake_cleanup_old_files('lake', cleanup_all => true))",
    "WITH a AS (FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)) FROM a",
    "SELECT (SELECT count(*) FROM \"DUCKLAKE_cleanup_old_files\"('lake', cleanup_all => true))",
)


@pytest.mark.folder
def test_no_statement_over_the_whole_lake_deletes_a_file(settings: Settings) -> None:
    with Lake.open(settings, tables=SAMPLES) as lake:
        for number in (1, 2):
            publish(lake, NOTES, notes("tech", [DAY], [f"n{number}"]), one_day("tech"))
        with lake.cursor() as cursor:
            cursor.execute("CALL ducklake_expire_snapshots('lake', versions => [2, 3])")
    files = sorted(settings.data_path.rglob("*.parquet"))
    with closing(open_shell(settings, workspace_id=None)) as connection:
        for attempt in DELETIONS:
            with pytest.raises(StatementRefusedError):
                parse(connection, attempt, lake.catalog)
        assert sorted(settings.data_path.rglob("*.parquet")) == files
        with suppress(duckdb.InvalidInputException):  # the catalog is read-only, the files are not
            connection.execute(DELETIONS[0]).fetchall()
    assert len(list(settings.data_path.rglob("*.parquet"))) < len(files)  # it would have


def test_nothing_of_others_comes_out_of_an_older_snapshot(prison: Prison) -> None:
    statement = "SELECT * FROM notes; SELECT * FROM logs"
    opened = open_sql(prison.settings, statement, workspace_id="tech", as_of=prison.old)
    with closing(opened) as connection:
        out = _run(connection, statement)
    assert "mine-1" in out
    assert "mine-2" not in out
    assert CANARY not in out


@pytest.mark.parametrize("attempt", ["SELECT 1", "SELECT getenv('YTAP_SECRET_FINANCE')"])
@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_a_statement_that_reads_nothing_is_locked_in_too(
    prison: Prison, attempt: str, workspace_id: str | None
) -> None:
    with closing(open_sql(prison.settings, attempt, workspace_id=workspace_id)) as connection:
        _attempt(prison, connection, [_statement(prison, one) for one in ATTEMPTS.values()])


@pytest.mark.sqlite
def test_the_canaries_would_be_seen(prison: Prison) -> None:
    """The same readings on an open connection find what the locked one must not."""
    with closing(attach(prison.settings, read_only=True)) as connection:
        for name in ("config", "csv", "json"):
            assert CANARY in _run(connection, f"FROM read_text('{prison.places[name]}')")
        for name in ("parquet", "rows"):
            assert CANARY in _run(connection, f"FROM read_parquet('{prison.places[name]}')")
        assert CANARY in _run(connection, _statement(prison, ATTEMPTS["attach sqlite"]))
        assert CANARY in _run(connection, _statement(prison, ATTEMPTS["attach duckdb"]))
        assert CANARY in _run(connection, ATTEMPTS["the lake by name"])
    assert CANARY in os.environ["YTAP_SECRET_FINANCE"]
    with closing(duckdb.connect()) as connection:
        assert CANARY in _run(connection, ATTEMPTS["a frame"])
