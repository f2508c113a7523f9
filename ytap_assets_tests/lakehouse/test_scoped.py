"""SQL for people: what it answers, over one workspace and over all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse import scoped
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.errors import (
    LakeError,
    LakeMissingError,
    SnapshotMissingError,
    StatementRefusedError,
)
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.scoped import open_shell, open_sql, parse
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


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'catalog.sqlite' AS x (TYPE sqlite); DELETE FROM x.ducklake_snapshot",
        "SELECT 1; ATTACH 'x.sqlite' (TYPE sqlite)",
        "COPY (SELECT 1) TO 'x'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'",
        "EXPLAIN/**/ANALYZE /* x */ cOpY (SELECT 1) TO 'x'",
        "PREPARE p AS COPY (SELECT 1) TO 'x'",
        "EXECUTE p",
        "EXPORT DATABASE 'x'",
        "COPY FROM DATABASE lake TO memory",
        "INSTALL httpfs",
        "LOAD 'x'",
        "DETACH lake",
        "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "FROM sqlite_scan('x', 't')",
        "PRAGMA enable_profiling",
    ],
)
def test_a_statement_that_could_reach_more_is_not_run(statement: str) -> None:
    with (
        closing(duckdb.connect()) as connection,
        pytest.raises(StatementRefusedError, match="nothing else is reached; `ytap attach`"),
    ):
        parse(connection, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM notes",
        "EXPLAIN ANALYZE FROM notes",
        "PIVOT notes ON note_id",
        "SHOW TABLES; DESCRIBE notes; SUMMARIZE notes; PRAGMA table_info('notes')",
        "CREATE TEMP TABLE t AS FROM notes; INSERT INTO t FROM t; DROP TABLE t",
        "BEGIN; ROLLBACK; USE lake; SET VARIABLE x = 1",
        "FROM ducklake_snapshots('lake')",
    ],
)
def test_statements_that_read_are_run(two: Lake, statement: str) -> None:
    with closing(open_shell(two.settings, workspace_id=None)) as connection:
        for part in parse(connection, statement):
            connection.execute(part)


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
    with Lake.open(empty_settings, tables={"notes": NOTES}) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
        before = lake.snapshot_id()
        lake.evolve({"sightings": SIGHTINGS})
        append(lake, SIGHTINGS, sightings("tech", [(DAY, "a")]), "tech")
        both = "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM sightings)"
        assert _ask(lake, both, workspace_id) == [(1, 1)]
        assert _ask(lake, both, workspace_id, before) == [(1, 0)]


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_a_snapshot_that_never_was_is_told(two: Lake, workspace_id: str | None) -> None:
    with pytest.raises(SnapshotMissingError, match="never was, or has expired"):
        _ask(two, "SELECT count(*) FROM notes", workspace_id, 999)


@pytest.mark.parametrize("workspace_id", ["tech", None])
def test_there_must_be_a_lake(empty_settings: Settings, workspace_id: str | None) -> None:
    with pytest.raises(LakeMissingError, match="materialize or import something first"):
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


def test_more_rows_than_fit_are_refused_with_the_way_out(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(range(256)) * 400
    span = [f"n{number}" for number in range(300)]
    frame = notes("tech", [DAY], span).with_row_index("n")
    large = frame.select(body=frame.get_column("n").map_elements(lambda n: body + bytes([n % 7])))
    rows = frame.drop("n").with_columns(large.get_column("body"))
    publish(lake, NOTES, rows, Scope("tech", DAY, DAY))
    monkeypatch.setattr(scoped, "MAX_COPY_BYTES", 16 * 1024**2)
    with pytest.raises(LakeError, match=r"tech's rows need more than .* name fewer tables"):
        _ask(lake, "SELECT count(*) FROM notes")
    assert _ask(lake, "SELECT count(*) FROM logs") == [(0,)]


def test_a_table_that_is_not_named_has_the_shape_it_has_when_it_is(two: Lake) -> None:
    shapes = (
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() ORDER BY table_name, column_index"
    )
    with closing(open_shell(two.settings, workspace_id="tech")) as connection:
        named = connection.execute(shapes).fetchall()
    assert _ask(two, shapes) == named
    assert {name for name, *_ in named} == set(SAMPLES)
