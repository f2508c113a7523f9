"""SQL statements, and the interactive shell."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from ytap_assets.cli.sql import QUESTIONS, is_complete
from ytap_assets.lakehouse.connection import attach_lines
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import VIDEOS
from ytap_assets_tests.cli.conftest import Ytap, append_trends, trend


@pytest.fixture
def lake(platform: Platform) -> Platform:
    append_trends(platform, trend("tech", "t1"), trend("tech", "t2"))
    append_trends(platform, trend("finance", "f1"))
    return platform


def test_a_bare_select_needs_no_lake(nowhere: Ytap) -> None:
    assert nowhere.ok("sql", "select 1 as one", "--format", "csv") == "one\n1\n"


def test_all_workspaces_are_seen_without_one(lake: Platform, ytap: Ytap) -> None:
    statement = "select workspace_id, count(*) as n from raw_trends group by all order by all"
    assert ytap.ok("sql", statement, "-f", "csv") == "workspace_id,n\nfinance,1\ntech,2\n"


def test_one_workspace_sees_its_own_rows_only(lake: Platform, ytap: Ytap) -> None:
    statement = "select distinct workspace_id from raw_trends"
    assert ytap.ok("sql", statement, "-w", "tech", "-f", "csv") == "workspace_id\ntech\n"


def test_as_of_a_snapshot(lake: Platform, ytap: Ytap) -> None:
    before = lake.lake.snapshot_id()
    append_trends(lake, trend("tech", "t3"))
    count = "select count(*)::int as n from raw_trends"
    now = ytap.ok("sql", count, "-w", "tech", "-f", "json")
    then = ytap.ok("sql", count, "-w", "tech", "-f", "json", "--as-of", str(before))
    assert (json.loads(now), json.loads(then)) == ([{"n": 3}], [{"n": 2}])
    for statement in (count, "select 1"):
        for whose in ((), ("-w", "tech")):
            line = ytap.refused(2, "sql", statement, "--as-of", "999", *whose)
            assert "snapshot 999" in line


def test_every_statement_of_a_text_is_answered(nowhere: Ytap) -> None:
    text = "select 1 as a; -- one; not two\nselect ';' as b;"
    assert nowhere.ok("sql", "-", "-f", "csv", stdin=text) == "a\n1\nb\n;\n"


@pytest.mark.parametrize("statement", ["selec 1", "select * from", "from nothing_there"])
def test_a_wrong_statement_is_told_in_a_line(ytap: Ytap, statement: str) -> None:
    line = ytap.refused(2, "sql", statement)
    assert "LINE 1" not in line
    assert "; " in line


def test_a_missing_table_says_how_to_list_them(ytap: Ytap) -> None:
    assert "ytap sql 'show tables'" in ytap.refused(2, "sql", "from nothing_there")


@pytest.mark.parametrize("arguments", [(), ("-w", "tech")])
def test_a_mistyped_table_is_answered_with_the_nearest(
    lake: Platform, ytap: Ytap, arguments: tuple[str, ...]
) -> None:
    line = ytap.refused(2, "sql", "from raw_trend", *arguments).casefold()
    assert "did you mean" in line
    assert "raw_trends" in line
    assert "?;" not in line


def test_the_text_of_a_statement_gives_no_hint(ytap: Ytap) -> None:
    line = ytap.refused(2, "sql", "select 'Parser Error, Out of Memory' + 1")
    assert "syntax" not in line
    assert "YTAP_SQL_MEMORY" not in line


def test_a_refused_statement_is_named(lake: Platform, ytap: Ytap) -> None:
    assert "this DELETE statement: not allowed" in ytap.refused(2, "sql", "delete from videos")


def test_an_error_cannot_steer_the_terminal(ytap: Ytap) -> None:
    assert "\x1b" not in ytap.refused(2, "sql", 'from "\x1b[2J"')


def test_the_lake_is_not_written(lake: Platform, ytap: Ytap) -> None:
    assert "read" in ytap.refused(2, "sql", "delete from lake.raw_trends")
    assert ytap.ok("sql", "select count(*) as n from raw_trends", "-f", "csv") == "n\n3\n"


def test_the_lake_cannot_be_destroyed_by_its_catalog(lake: Platform, ytap: Ytap) -> None:
    catalog = lake.settings.catalog
    text = f"attach '{catalog}' as x (type sqlite); delete from x.ducklake_snapshot"
    assert "ATTACH: not allowed" in ytap.refused(2, "sql", text)
    cleanup = "ducklake_cleanup_' || 'old_files(''lake'', cleanup_all => true)"
    assert "query: not allowed" in ytap.refused(2, "sql", f"from query('from {cleanup}')")
    assert ytap.ok("sql", "select count(*) as n from raw_trends", "-f", "csv") == "n\n3\n"


def test_without_a_workspace_no_other_files_are_reached(
    lake: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    line = ytap.refused(2, "sql", "from read_text('/etc/hostname')")
    assert "other files" in line
    line = ytap.refused(2, "sql", f"copy raw_trends to '{tmp_path}/out.csv'")
    assert "COPY" in line
    assert "--format csv" in line
    assert "--format csv" not in ytap.refused(2, "sql", "attach 'other.db'")
    result = ytap("shell", stdin=f"copy raw_trends to '{tmp_path}/out.csv';\n")
    assert (result.exit_code, "error: COPY: not allowed" in result.stderr) == (2, True)
    assert not (tmp_path / "out.csv").exists()


def test_a_workspace_reaches_no_files(lake: Platform, ytap: Ytap) -> None:
    line = ytap.refused(2, "sql", "from read_csv('/etc/passwd')", "-w", "tech")
    assert "other files" in line


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("delete from raw_trends", 2, "the lake is read-only here"),
        ("update raw_trends set points = 1", 2, "the lake is read-only here"),
        ("drop table raw_trends", 1, "the lake is read-only here"),
    ],
)
def test_a_change_of_rows_says_what_was_changed(
    lake: Platform, ytap: Ytap, statement: str, code: int, said: str
) -> None:
    refused = ytap.refused(code, "sql", statement)
    copy = ytap("sql", statement, "-w", "tech")
    asked = ytap("sql", "from raw_trends", "-w", "tech")

    assert said in refused
    assert (copy.exit_code, copy.stderr.count("the lake is unchanged")) == (0, 1)
    assert (asked.exit_code, asked.stderr) == (0, "")


def test_a_damaged_file_is_not_the_statements_fault(lake: Platform, ytap: Ytap) -> None:
    for file in lake.settings.data_path.rglob("*.parquet"):
        content = file.read_bytes()
        file.write_bytes(bytes(20) + content[20:])
    line = ytap.refused(1, "sql", "from raw_trends")
    assert "a file of the lake is missing or damaged" in line
    assert "fix the statement" not in line
    lake.settings.catalog.write_bytes(bytes(5000))
    assert "the catalog is damaged" in ytap.refused(1, "sql", "from raw_trends")


@pytest.mark.parametrize("arguments", [(), ("-w", "tech")])
@pytest.mark.parametrize(
    "statement",
    [
        "explain select 'copy' from raw_trends",
        "select 'sqlite_scan', 'query(', 'ATTACH' from raw_trends limit 1",
        "select title from raw_trends where title = 'COPY ducklake_cleanup_old_files'",
    ],
)
def test_words_are_only_words(
    lake: Platform, ytap: Ytap, statement: str, arguments: tuple[str, ...]
) -> None:
    assert ytap.ok("sql", statement, *arguments)


@pytest.mark.parametrize(
    "statement",
    [
        "from query('from raw_' || 'trends')",
        "from query_table('raw_trends')",
        "pivot raw_trends on source",
        "create table mine as from raw_trends; insert into mine from mine; from mine",
        "create macro double(x) as x * 2; select double(21)",
    ],
)
def test_a_workspaces_copy_takes_what_it_took(lake: Platform, ytap: Ytap, statement: str) -> None:
    assert ytap.ok("sql", statement, "-w", "tech", "-f", "csv").count("\n") > 1


def test_no_lake_and_no_such_workspace(nowhere: Ytap, ytap: Ytap) -> None:
    assert "there is no lake" in nowhere.refused(1, "sql", "from raw_trends")
    assert "../finance" in ytap.refused(2, "sql", "from raw_trends", "-w", "../finance")
    assert "'nope' does not exist" in ytap.refused(2, "sql", "from raw_trends", "-w", "nope")
    assert "'nope' does not exist" in ytap.refused(2, "shell", "-w", "nope", stdin="select 1;")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_statement_is_misuse(nowhere: Ytap, text: str) -> None:
    assert nowhere("sql", text).exit_code == 2
    assert nowhere("sql", "-", stdin=text).exit_code == 2


def test_csv_holds_what_the_lake_holds(lake: Platform, ytap: Ytap) -> None:
    hostile = "=cmd|'/c calc'!A0 \x1b[31m \"quoted\""
    append_trends(lake, trend("tech", "t9", title=hostile))
    text = ytap.ok("sql", "select title from raw_trends where item_id = 't9'", "-f", "csv")
    assert text == 'title\n"' + hostile.replace('"', '""') + '"\n'


def test_duckdbs_own_shell_attaches_the_lake_read_only(lake: Platform, ytap: Ytap) -> None:
    lines = ytap.ok("attach").splitlines()
    assert tuple(lines) == attach_lines(lake.settings)
    with duckdb.connect() as plain:
        for line in lines:
            plain.execute(line)
        setting = "select current_setting('disabled_optimizers')"
        assert plain.execute(setting).fetchall() == [("statistics_propagation",)]
        # DuckLake reads its catalog on connections of its own.
        setting = "select current_setting('sqlite_disable_multithreaded_scans')"
        assert plain.cursor().execute(setting).fetchall() == [(True,)]
        assert plain.execute("select count(*) from raw_trends").fetchall() == [(3,)]
        with pytest.raises(duckdb.Error, match="read-only"):
            plain.execute("delete from raw_trends")


def test_summary_counts_rows_and_its_questions_can_be_asked(lake: Platform, ytap: Ytap) -> None:
    lines = ytap.ok("summary").splitlines()
    [row] = [line.split() for line in lines if line.startswith("raw_trends")]
    assert row == ["raw_trends", "1", "2", "3"]
    asked = [line.strip() for line in lines if line.startswith("  ytap sql")]
    assert asked == [f'ytap sql "{question}"' for question in QUESTIONS]
    for question in QUESTIONS:
        ytap.ok("sql", question)


def test_summarys_questions_name_a_program_that_the_shell_finds(
    lake: Platform, ytap: Ytap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "a venv" / "ytap"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(program), "summary"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert f"  '{program}' sql \"" in ytap.ok("summary")
    monkeypatch.setenv("PATH", str(program.parent))
    assert '  ytap sql "' in ytap.ok("summary")


def test_summary_names_a_workspace_that_cannot_be_read(lake: Platform, ytap: Ytap) -> None:
    (lake.workspaces.folder("finance") / "config.yaml").write_text("name: [", encoding="utf-8")
    result = ytap("summary")
    assert (result.exit_code, "raw_trends" in result.stdout) == (0, True)
    assert "finance" in result.stderr


def test_summary_without_a_lake(nowhere: Ytap) -> None:
    assert "there is no lake" in nowhere.refused(1, "summary")


def test_completion_is_a_script_for_each_shell(nowhere: Ytap) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_YTAP_COMPLETE" in nowhere.ok("completion", shell)


def test_workspaces_are_completed(platform: Platform, ytap: Ytap) -> None:
    from ytap_assets.cli import app

    copy = platform.settings.workspaces / "tech (copy)" / "config.yaml"
    copy.parent.mkdir()
    copy.touch()
    environment = {
        "YTAP_DATA": str(ytap.data),
        "_YTAP_COMPLETE": "bash_complete",
        "COMP_WORDS": "ytap sql --workspace te",
        "COMP_CWORD": "3",
    }
    result = CliRunner(env=environment).invoke(app, prog_name="ytap")
    assert result.stdout == "plain,tech\n"


@pytest.mark.parametrize(
    "text",
    [
        "select 1;",
        "select 1;  \n",
        "select ';';",
        "select 'it''s; fine';",
        'select ";";',
        "select 1; -- done",
        "select /* ; */ 1;",
        "select $$;'$$;",
        "select $tag$ $$ ; $tag$;",
        "select 1;\nselect 2;",
    ],
)
def test_a_semicolon_at_the_end_ends_a_statement(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "select 1",
        "select ';",
        'select ";',
        "select 1 -- ;",
        "select /* ;",
        "select $$ ;",
        "; x",
    ],
)
def test_a_semicolon_elsewhere_does_not(text: str) -> None:
    assert not is_complete(text)


def test_statements_and_commands_from_a_pipe(ytap: Ytap) -> None:
    text = "select\n  1 as one;\n.format csv\nselect 2 as two;\n.quit\nselect 3 as three;\n"
    output = ytap.ok("shell", "-f", "json", stdin=text)
    assert output == '[{"one": 1}\n]\ntwo\n2\n'


def test_the_last_statement_needs_no_semicolon(ytap: Ytap) -> None:
    assert ytap.ok("shell", "-f", "csv", stdin="select 1 as one") == "one\n1\n"


def test_a_secret_is_no_damage_to_the_lake(ytap: Ytap, platform: Platform) -> None:
    append_trends(platform, trend("tech", "t1"))
    text = "create secret s (type s3);\n" * 2
    result = ytap("shell", "-w", "tech", stdin=text)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert "other files" in first
    assert "other files" in second
    assert "restore" not in result.stderr


def test_a_failure_does_not_end_it_and_is_in_the_exit_code(ytap: Ytap) -> None:
    result = ytap("shell", "-f", "csv", stdin="selec 1;\n.nonsense\nselect 2 as two;\n")
    assert (result.exit_code, result.stdout) == (2, "two\n2\n")
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert ".nonsense: unknown command" in errors[1]


def test_tables_and_what_their_columns_mean(platform: Platform, ytap: Ytap) -> None:
    asked = ("shell", "-f", "csv")
    meaning = next(one.comment for one in VIDEOS.columns if one.name == "video_id")
    for output in (
        ytap.ok(*asked, stdin=".tables\n.schema videos\n"),
        ytap.ok(*asked, "-w", "tech", stdin=".tables\n.schema videos\n"),
    ):
        assert "raw_trends,0" in output.splitlines()
        assert f"video_id,VARCHAR,{meaning}" in output.splitlines()


def test_a_workspace_is_all_there_is_to_see(platform: Platform, ytap: Ytap) -> None:
    append_trends(platform, trend("tech", "t1"))
    append_trends(platform, trend("finance", "f1"))
    text = "select item_id from raw_trends;\nfrom lake.raw_trends;\n"
    result = ytap("shell", "-w", "tech", "-f", "csv", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "item_id\nt1\n")
    assert "ATTACH" not in result.stderr


def test_it_begins_with_the_lines_for_duckdbs_own_shell(ytap: Ytap) -> None:
    result = ytap("shell", stdin="")
    assert "ATTACH" in result.stderr
    assert "READ_ONLY" in result.stderr
    assert result.stdout == ""


def test_help(ytap: Ytap) -> None:
    assert ".schema TABLE" in ytap.ok("shell", stdin=".help\n")


def test_a_statement_that_fails_while_it_runs_outweighs_one_that_is_wrong(ytap: Ytap) -> None:
    text = "selec 1;\nselect error('no');\nselec 1;\n"
    assert ytap("shell", stdin=text).exit_code == 1
