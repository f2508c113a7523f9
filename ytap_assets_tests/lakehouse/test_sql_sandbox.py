"""SQL for people: what it answers, over one workspace and over all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse import sql_sandbox
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import attach, find_catalog
from ytap_assets.lakehouse.errors import (
    LakeError,
    LakeMissingError,
    SnapshotMissingError,
    StatementRefusedError,
)
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.sql_sandbox import open_shell, open_sql, parse
from ytap_assets.settings import Settings
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    SAMPLES,
    SIGHTINGS,
    append,
    logs,
    notes,
    one_day,
    publish,
    sightings,
)

Rows = list[tuple[object, ...]]


@pytest.fixture(scope="module")
def two(shared_lake: Lake) -> Lake:
    """Two notes of tech, three of finance, one log entry of each."""
    for name, ids in (("tech", "ab"), ("finance", "cde")):
        frame = notes(name, [DAY], ids, version=1, tags=["x"], body=b"\x00")
        publish(shared_lake, NOTES, frame, one_day(name))
        append(shared_lake, LOGS, logs(name, ids[0]), name)
    return shared_lake


@pytest.fixture(scope="module")
def whole(two: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection over the whole lake, for tests that leave it as it was."""
    with closing(open_shell(two.settings, workspace_id=None)) as connection:
        yield connection


def _ask(
    lake: Lake, statement: str, workspace_id: str | None = "tech", as_of: int | None = None
) -> Rows:
    opened = open_sql(lake.settings, statement, workspace_id=workspace_id, as_of=as_of)
    with closing(opened) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SELECT count(*) FROM notes", [(2,)]),
        ('WITH x AS (FROM "notes") SELECT count(*) FROM x, LOGS', [(2,)]),
        ("SELECT count(*) FROM query('FROM ' || 'notes')", [(2,)]),
        ("SELECT count(*) FROM query_table('no' || 'tes')", [(2,)]),
        ("SELECT tags, octet_length(body), day FROM notes LIMIT 1", [(["x"], 1, DAY)]),
        ("SELECT 1", [(1,)]),
        ("CREATE TABLE mine AS FROM notes; SELECT count(*) FROM mine", [(2,)]),
    ],
)
def test_a_workspaces_statement_is_answered(two: Lake, statement: str, answer: Rows) -> None:
    assert _ask(two, statement) == answer


def test_every_table_is_listed_though_only_the_named_are_filled(two: Lake) -> None:
    assert _ask(two, "SHOW TABLES") == [(name,) for name in sorted(SAMPLES)]
    assert [name for name, *_ in _ask(two, "DESCRIBE notes")] == list(NOTES.schema)


def test_a_shell_sees_every_table_of_its_workspace(two: Lake) -> None:
    with closing(open_shell(two.settings, workspace_id="tech")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchall()
            for table in ("notes", "logs", "marks")
        ]
    assert counts == [[(2,)], [(1,)], [(0,)]]


def test_without_a_workspace_the_whole_lake_is_seen_read_only(two: Lake) -> None:
    assert _ask(two, "SELECT count(*) FROM notes", None) == [(5,)]
    assert _ask(two, "SELECT count(*) FROM lake.notes", None) == [(5,)]
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        _ask(two, "DELETE FROM notes", None)
    with closing(open_shell(two.settings, workspace_id=None)) as connection:
        assert connection.execute("SELECT count(*) FROM logs").fetchall() == [(2,)]


@pytest.mark.folder
def test_of_the_files_only_the_lakes_own_are_in_reach(two: Lake, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "beside").mkdir()
    own = next(two.settings.data_path.rglob("*.parquet"))
    with closing(open_shell(two.settings, workspace_id=None)) as connection:
        assert connection.execute(f"SELECT count(*) > 0 FROM '{own}'").fetchall() == [(True,)]
        for reach in (
            f"FROM '{tmp_path}/x.csv'",
            f"FROM read_text('{two.settings.data_path}/../../../x.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/y.csv'",
            "COPY (SELECT 1) TO '.tmp/y.csv'",
            f"ATTACH '{tmp_path}/z.duckdb'",
            f"EXPORT DATABASE '{tmp_path}/beside'",
            f"IMPORT DATABASE '{tmp_path}/beside'",
        ):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(reach)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("SET enable_external_access = true")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside", "x.csv"]


REFUSED = {
    "kinds": """
        ATTACH 'x.db' AS x (TYPE sqlite); DELETE FROM x.ducklake_snapshot
        SELECT 1; ATTACH 'x.sqlite' (TYPE sqlite)
        COPY (SELECT 1) TO 'x'
        PREPARE p AS COPY (SELECT 1) TO 'x'
        EXECUTE p
        DEALLOCATE p
        EXPORT DATABASE 'x'
        COPY FROM DATABASE lake TO memory
        INSTALL httpfs
        LOAD 'x'
        DETACH lake
        CALL duckdb_tables()
        CALL ducklake_cleanup_old_files('lake', cleanup_all => true)
        PRAGMA enable_profiling
        CHECKPOINT
        VACUUM
        ANALYZE notes
        UPDATE notes SET day = day
        DELETE FROM notes
        MERGE INTO notes USING notes n ON true WHEN MATCHED THEN DELETE
        ALTER TABLE notes ADD COLUMN x INT
        DROP VIEW notes
        COMMENT ON TABLE notes IS 'x'
        SET memory_limit = '1TB'
        SET VARIABLE x = 1; RESET memory_limit
    """,
    "definitions": """
        CREATE TABLE t AS SELECT 1
        CREATE TEMP VIEW v AS FROM 'x.db'
        CREATE TEMP MACRO m() AS TABLE FROM 'x.db'
        CREATE MACRO count(x) AS 1
        CREATE TYPE e AS ENUM (FROM 'x.db')
        CREATE SECRET (TYPE s3)
        CREATE SCHEMA s
        CREATE SEQUENCE s
        CREATE TEMP TABLE t AS FROM 'x.db'
        CREATE OR REPLACE /* x */ TEMP TABLE t AS (FROM "x.db")
        CREATE TEMP TABLE "x.db" AS SELECT 1
        INSERT INTO t FROM 'x.db'
        INSERT INTO t (a) VALUES ((FROM 'x.db'))
        SET VARIABLE x = (FROM 'x.db')
        USE "x.db"
    """,
    "explained": """
        EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'
        EXPLAIN/**/ANALYZE /* x */ cOpY (SELECT 1) TO 'x'
        EXPLAIN ANALYZE CREATE TABLE t AS FROM 'x.db'
        EXPLAIN FROM 'x.db'
        EXPLAIN (FORMAT json) FROM query('FROM notes')
        EXPLAIN ANALYZE FROM notes UNION FROM 'x.db'
        /* EXPLAIN SELECT 1 */ EXPLAIN FROM "x.db"
    """,
    "functions": """
        FROM query('FROM notes')
        FROM query('FROM ducklake_cleanup_' || 'old_files(''lake'', cleanup_all => true)')
        FROM query_table('no' || 'tes')
        fRoM "QUERY"('FROM notes')
        FROM system.main.query('FROM notes')
        FROM system.main."sqlite_scan"('x.db', 't')
        FROM sqlite_query('x.db', 'FROM t')
        FROM sqlite_attach('x.db')
        FROM ducklake_cleanup_old_files('lake', cleanup_all => true)
        FROM DuckLake_Expire_Snapshots('lake', older_than => now())
        FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)
        FROM ducklake_merge_adjacent_files('lake')
        FROM ducklake_add_data_files('lake', 'notes', 'x')
        FROM lake.set_option('data_inlining_row_limit', 10)
        FROM lake.cleanup_old_files(cleanup_all => true)
        FROM checkpoint('lake')
        FROM force_checkpoint('lake')
        FROM enable_logging(storage = 'file')
        FROM read_text('x')
        FROM read_blob('x')
        FROM read_csv('x')
        FROM read_duckdb('x')
        FROM parquet_scan('x')
        FROM glob('*')
        FROM sniff_csv('x')
        FROM parquet_metadata('x')
        FROM histogram('x.db', a)
        FROM duckdb_secrets()
        FROM which_secret('x', 's3')
        FROM python_map_function(1)
        FROM arrow_scan(1, 2, 3)
        FROM json_execute_serialized_sql('{}')
        SELECT json_serialize_plan('FROM sqlite_scan(''x.db'', ''t'')')
        SELECT getenv('HOME')
        SELECT write_log('x')
    """,
    "tables": """
        FROM 'x.db'
        FROM "x.db"
        FROM x.db
        FROM main.sqlite
        FROM lake.db
        FROM information_schema.db
        FROM 'https://localhost/x.parquet'
        TABLE "x.db"
        DESCRIBE 'x.db'
        SUMMARIZE "x.db"
        SHOW "x.db"
        FROM (DESCRIBE 'x.db')
        FROM (SUMMARIZE 'x.db')
        UNPIVOT 'x.db' ON a
        PIVOT 'x.db' ON a IN (1)
        PIVOT notes ON note_id
        FROM (PIVOT notes ON note_id)
        FROM __ducklake_metadata_lake.ducklake_snapshot
        FROM pg_catalog.pg_tables
        FROM sqlite_master
        FROM nothing_there
    """,
    "places": """
        SELECT (FROM 'x.db')
        FROM notes WHERE day IN (FROM "x.db")
        FROM notes JOIN 'x.db' USING (day)
        FROM notes POSITIONAL JOIN 'x.db'
        FROM notes ASOF JOIN 'x.db' USING (day)
        FROM notes, LATERAL (FROM 'x.db')
        FROM notes UNION ALL BY NAME FROM 'x.db'
        FROM notes ORDER BY (FROM 'x.db')
        FROM notes LIMIT (SELECT count(*) FROM 'x.db')
        FROM notes QUALIFY row_number() OVER (ORDER BY (FROM "x.db")) = 1
        FROM notes AT (VERSION => (FROM 'x.db'))
        FROM range((SELECT count(*) FROM 'x.db'))
        VALUES ((FROM 'x.db'))
        SELECT * REPLACE ((FROM 'x.db') AS day) FROM notes
        SELECT DISTINCT ON ((FROM 'x.db')) day FROM notes
        SELECT sum(version) FILTER ((FROM 'x.db') IS NULL) FROM notes
        SELECT max(version ORDER BY (FROM 'x.db')) FROM notes
        SELECT day FROM notes GROUP BY GROUPING SETS ((day), ((FROM 'x.db')))
        SELECT CASE WHEN true THEN (FROM 'x.db') END
        SELECT [a FOR a IN (FROM 'x.db')]
        SELECT list_transform([1], lambda x: (FROM 'x.db'))
        SELECT COLUMNS(c -> c IN (FROM 'x.db')) FROM notes
        SELECT {'a': (FROM 'x.db')}
        SELECT count(*) OVER (ROWS BETWEEN (FROM 'x.db') PRECEDING AND CURRENT ROW) FROM notes
        WITH a AS (FROM 'x.db') FROM a
        WITH RECURSIVE a AS (FROM "x.db" UNION ALL FROM a) FROM a
        WITH RECURSIVE a AS (SELECT 1 UNION ALL FROM "x.db") FROM a
        WITH a AS MATERIALIZED (FROM 'x.db') SELECT 1
    """,
    "names that look defined": """
        WITH "x.db" AS (FROM "x.db") SELECT 1
        FROM (WITH "x.db" AS (SELECT 1) FROM "x.db"), "x.db"
        WITH a AS (FROM "x.db"), "x.db" AS (SELECT 1) FROM a
        WITH "x.db" AS (SELECT 1) FROM main."x.db"
        WITH RECURSIVE "x.db" AS (FROM "x.db" UNION ALL SELECT 1) SELECT 1
        CREATE TEMP TABLE sqlite_master AS SELECT 1; DROP TABLE sqlite_master; FROM sqlite_master
        WITH sqlite_master AS (SELECT 1) FROM main.sqlite_master
    """,
}


@pytest.mark.parametrize(
    "statement", [line.strip() for text in REFUSED.values() for line in text.strip().splitlines()]
)
def test_a_statement_that_could_reach_more_is_not_run(
    whole: duckdb.DuckDBPyConnection, two: Lake, statement: str
) -> None:
    with pytest.raises(StatementRefusedError, match=r"`ytap attach`|`PIVOT t ON|lake is read-only"):
        parse(whole, statement, two.catalog)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM notes",
        "EXPLAIN ANALYZE FROM notes",
        "EXPLAIN SELECT 'copy'; -- why\n EXPLAIN /* ; */ (FORMAT json) (SELECT 'sqlite_scan')",
        "SELECT 'query(', 'ducklake_cleanup_old_files', 'ATTACH' AS \"x.db\"",
        "PIVOT notes ON note_id IN ('a', 'b') USING count(*)",
        "SHOW TABLES; DESCRIBE notes; SUMMARIZE notes; PRAGMA table_info('notes'); SHOW notes",
        "SHOW ALL TABLES; SHOW DATABASES; SHOW VARIABLES; PRAGMA show_tables; PRAGMA version",
        "CREATE TEMP TABLE t AS FROM notes; INSERT INTO t FROM t; FROM t; DROP TABLE t",
        "CREATE OR REPLACE TEMPORARY TABLE t AS (SELECT 1 AS a); INSERT INTO t (a) VALUES (2);"
        " INSERT INTO t BY NAME SELECT 3 AS a; SELECT a FROM temp.t; DROP TABLE IF EXISTS t",
        "BEGIN; ROLLBACK; USE lake; SET VARIABLE x = 1; SELECT getvariable('x')",
        "START TRANSACTION; COMMIT; SET VARIABLE latest = (SELECT max(day) FROM notes)",
        "FROM lake.main.notes; FROM main.notes; FROM lake.notes; FROM NOTES; TABLE notes",
        "FROM ducklake_snapshots('lake'); FROM lake.snapshots(); FROM ducklake_table_info('lake')",
        "FROM notes AT (VERSION => 5); FROM lake.table_changes('notes', 0, 5)",
        "FROM ducklake_table_changes('lake', 'main', 'notes', 0, 5)",
        "FROM information_schema.columns; FROM duckdb_tables(); FROM duckdb_columns",
        "FROM range(3) r(n), unnest([1, 2]) u(v), LATERAL (SELECT n + v)",
        "WITH a AS (FROM notes), b AS (FROM a) FROM b UNION ALL FROM a",
        "WITH notes AS (FROM notes) SELECT (SELECT count(*) FROM notes)",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3) FROM a",
        "WITH RECURSIVE a(k, n) USING KEY (k) AS (SELECT 1, 1 UNION SELECT k, n + 1"
        " FROM recurring.a WHERE n < 3) FROM a",
        "SELECT workspace_id, count(*), list(note_id ORDER BY note_id), sum(version) OVER ()"
        " FROM notes GROUP BY workspace_id, version QUALIFY true ORDER BY ALL LIMIT 5",
        "SELECT COLUMNS('d.*'), [n FOR n IN tags IF n > 'a'], tags[1:2], day::VARCHAR,"
        " try_cast(note_id AS DECIMAL(3, 1)), {'a': 1}.a, day + INTERVAL 1 DAY FROM notes",
        "SELECT lower(note_id), note_id.upper(), current_date, note_id COLLATE nocase,"
        " day BETWEEN '2026-01-01' AND now(), CASE WHEN version > 1 THEN 1 END FROM notes",
    ],
)
def test_statements_that_read_are_run(
    whole: duckdb.DuckDBPyConnection, two: Lake, statement: str
) -> None:
    for part in parse(whole, statement, two.catalog):
        whole.execute(part).fetchall()


@pytest.mark.parametrize("workspace_id", [None, "tech"])
def test_a_statement_that_takes_long_to_plan_is_not_run(
    two: Lake, workspace_id: str | None
) -> None:
    longest = "SELECT true" + " AND true" * 20_000
    with closing(open_shell(two.settings, workspace_id=workspace_id)) as connection:
        with pytest.raises(StatementRefusedError, match="characters"):
            parse(connection, f"SELECT 1; {longest}", two.catalog)
        assert parse(connection, "SELECT 'x'" + " " * 1000, two.catalog)


def test_what_is_run_is_what_was_checked(whole: duckdb.DuckDBPyConnection, two: Lake) -> None:
    text = (
        "/* EXPLAIN */ EXPLAIN -- FROM 'x.db'\n ANALYZE SELECT 1 /* '*/;"
        " CREATE /* ' */ TEMP TABLE t AS/**/SELECT 2"
    )
    assert parse(whole, text, two.catalog) == [
        "EXPLAIN   ANALYZE  SELECT 1 /* '*/",
        "CREATE   TEMP TABLE t AS /**/SELECT 2",
    ]


def test_a_failed_transaction_can_be_rolled_back(
    whole: duckdb.DuckDBPyConnection, two: Lake
) -> None:
    whole.execute("BEGIN")
    with pytest.raises(duckdb.ConversionException):
        whole.execute("SELECT 'x'::INT")
    for part in parse(whole, "ROLLBACK", two.catalog):
        whole.execute(part)
    [count] = parse(whole, "SELECT count(*) FROM notes", two.catalog)
    assert whole.execute(count).fetchall() == [(5,)]


@pytest.mark.parametrize("depth", [200, 900, 100_000])
@pytest.mark.parametrize(
    ("before", "opening", "middle", "ending"),
    [("SELECT ", "[", "1", "]"), ("", "FROM (", "SELECT 1", ")"), ("SELECT 1", "+1", "", "")],
)
def test_deep_nesting_is_no_traceback(
    whole: duckdb.DuckDBPyConnection,
    two: Lake,
    before: str,
    opening: str,
    middle: str,
    ending: str,
    depth: int,
) -> None:
    with suppress(StatementRefusedError, duckdb.Error):
        parse(whole, before + opening * depth + middle + ending * depth, two.catalog)
    assert whole.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("kind", ['USE "x"', "CREATE TABLE t (a INT)", "DROP VIEW v"])
def test_comments_do_not_make_the_check_slow(
    whole: duckdb.DuckDBPyConnection, two: Lake, kind: str
) -> None:
    with pytest.raises(StatementRefusedError):
        parse(whole, "/*x*/" * 3000 + kind, two.catalog)


def test_macros_and_views_of_another_writer_are_not_run(settings: Settings) -> None:
    with closing(attach(settings, read_only=False)) as writer:
        writer.execute("CREATE MACRO lake.lower(x) AS (SELECT max(note_id) FROM notes)")
        writer.execute("CREATE MACRO lake.range(x) AS TABLE FROM notes")
        writer.execute("CREATE VIEW lake.duckdb_tables AS SELECT 1")
        writer.execute("CREATE VIEW lake.mine AS SELECT 1")
        writer.execute("CREATE SCHEMA lake.other; CREATE TABLE lake.other.mine (a INT)")
    with closing(open_shell(settings, workspace_id=None)) as connection:
        for statement in (
            "SELECT lower('x')",
            "FROM range(1)",
            "FROM duckdb_tables",
            "FROM mine",
            "SELECT LOWER(note_id) OVER () FROM notes",
        ):
            with pytest.raises(StatementRefusedError):
                parse(connection, statement, find_catalog(settings))


def test_functions_that_sound_like_more_than_computing_are_known() -> None:
    """A newer DuckDB's functions are looked at before they may be called in an expression."""
    sound = "attach|env|exec|file|glob|http|load|log|open|plan|query|read|scan|secret|serial|write"
    with closing(duckdb.connect()) as connection:
        found = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN"
            " ('scalar', 'aggregate', 'macro') AND regexp_matches(function_name, ?)",
            [sound],
        ).fetchall()
    assert {name for (name,) in found} - sql_sandbox.REFUSED_FUNCTIONS == {
        "current_catalog",
        "current_query",
        "current_query_id",
        "json_deserialize_sql",
        "json_serialize_sql",
        "log",
        "log10",
        "log2",
        "parse_duckdb_log_message",
        "parse_filename",
        "pg_conf_load_time",
    }


@pytest.mark.parametrize("workspace_id", ["tech", None])
@pytest.mark.parametrize("statement", ["SELECT 1", "FROM notes"])
def test_memory_is_bounded_and_locked(two: Lake, workspace_id: str | None, statement: str) -> None:
    settings = replace(two.settings, sql_memory=128 * 1024**2)
    with closing(open_sql(settings, statement, workspace_id=workspace_id)) as connection:
        limit = connection.execute("SELECT current_setting('memory_limit')").fetchall()
        assert limit == [("128.0 MiB",)]
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("SET memory_limit = '1TB'")


def test_memory_is_a_quarter_of_the_machines_by_default(two: Lake) -> None:
    with closing(duckdb.connect()) as plain:
        [(fifths,)] = plain.execute(
            "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
        ).fetchall()
    with closing(open_sql(two.settings, "SELECT 1", workspace_id=None)) as connection:
        [(limit,)] = connection.execute(
            "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
        ).fetchall()
    assert limit == pytest.approx(min(2 * 1024**3, fifths * 5 / 16), rel=0.05)


def _make_folder(settings: Settings, workspace_id: str) -> None:
    config = settings.workspaces / workspace_id / "config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()


def test_a_workspace_that_never_was_is_refused(two: Lake) -> None:
    for statement in ("SELECT count(*) FROM notes", "SHOW TABLES"):
        with pytest.raises(ConfigError, match="'nope' does not exist"):
            _ask(two, statement, "nope")
    with pytest.raises(ConfigError, match="'nope' does not exist"):
        open_shell(two.settings, workspace_id="nope")


def test_a_workspace_without_a_folder_stays_readable(two: Lake) -> None:
    assert not (two.settings.workspaces / "finance").exists()
    assert _ask(two, "SELECT count(*) FROM notes", "finance") == [(3,)]
    assert _ask(two, "SELECT count(*) FROM marks", "finance") == [(0,)]


def test_a_workspace_without_rows_gets_empty_tables(two: Lake) -> None:
    _make_folder(two.settings, "fitness")
    assert _ask(two, "SELECT count(*) FROM notes", "fitness") == [(0,)]


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_as_of_a_snapshot(lake: Lake, workspace_id: str | None) -> None:
    _make_folder(lake.settings, "tech")
    statement = "SELECT count(*) FROM notes"
    seen = [lake.snapshot_id()]
    for ids in ("a", "ab"):
        publish(lake, NOTES, notes("tech", [DAY], ids), one_day("tech"))
        seen.append(lake.snapshot_id())
    publish(lake, NOTES, NOTES.empty(), one_day("tech"))
    asked = [_ask(lake, statement, workspace_id, snapshot) for snapshot in seen]
    assert asked == [[(0,)], [(1,)], [(2,)]]
    assert _ask(lake, statement, workspace_id) == [(0,)]


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_as_of_a_time_before_some_tables(
    empty_settings: Settings, workspace_id: str | None
) -> None:
    with Lake.create(empty_settings, tables={"notes": NOTES}) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
        before = lake.snapshot_id()
        lake.evolve({"sightings": SIGHTINGS})
        append(lake, SIGHTINGS, sightings("tech", [(DAY, "a")]), "tech")
        both = "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM sightings)"
        assert _ask(lake, both, workspace_id) == [(1, 1)]
        assert _ask(lake, both, workspace_id, before) == [(1, 0)]


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_a_missing_snapshot_is_an_error(two: Lake, workspace_id: str | None) -> None:
    with pytest.raises(SnapshotMissingError, match="snapshot 999 "):
        _ask(two, "SELECT count(*) FROM notes", workspace_id, 999)


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_there_must_be_a_lake(empty_settings: Settings, workspace_id: str | None) -> None:
    with pytest.raises(LakeMissingError, match="there is no lake at"):
        open_sql(empty_settings, "FROM notes", workspace_id=workspace_id)
    with closing(open_sql(empty_settings, "SELECT 1", workspace_id=workspace_id)) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert not empty_settings.data.exists()


@pytest.mark.parametrize(
    "name", ["tech' OR 1=1 --", "../finance", "Tech", "", "tech\n", "tech/../finance", "*", "\x00"]
)
def test_a_name_that_is_no_workspaces_is_refused(two: Lake, name: str) -> None:
    with pytest.raises(ConfigError, match="a workspace's name is 1-63 characters"):
        open_sql(two.settings, "SELECT 1", workspace_id=name)
    with pytest.raises(ConfigError, match="a workspace's name is 1-63 characters"):
        open_shell(two.settings, workspace_id=name)


def test_more_rows_than_fit_are_refused_with_the_way_out(lake: Lake) -> None:
    body = bytes(range(256)) * 400
    span = [f"n{number}" for number in range(300)]
    frame = notes("tech", [DAY], span).with_row_index("n")
    large = frame.select(body=frame.get_column("n").map_elements(lambda n: body + bytes([n % 7])))
    rows = frame.drop("n").with_columns(large.get_column("body"))
    publish(lake, NOTES, rows, Scope("tech", DAY, DAY))
    settings = replace(lake.settings, sql_memory=16 * 1024**2)
    with pytest.raises(LakeError, match=r"rows of tech need more .*YTAP_SQL_MEMORY.* name fewer"):
        open_sql(settings, "SELECT count(*) FROM notes", workspace_id="tech")
    with closing(open_sql(settings, "FROM logs", workspace_id="tech")) as connection:
        assert connection.execute("SELECT count(*) FROM logs").fetchall() == [(0,)]


def test_a_table_that_is_not_named_has_the_shape_it_has_when_it_is(two: Lake) -> None:
    shapes = (
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() ORDER BY table_name, column_index"
    )
    with closing(open_shell(two.settings, workspace_id="tech")) as connection:
        named = connection.execute(shapes).fetchall()
    assert _ask(two, shapes) == named
    assert {name for name, *_ in named} == set(SAMPLES)
