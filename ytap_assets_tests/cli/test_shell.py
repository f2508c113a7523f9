"""The shell: statements over several lines, commands, failures that do not end it."""

from __future__ import annotations

import pytest

from ytap_assets.cli.shell import is_complete
from ytap_assets.operations.platform import Platform
from ytap_assets_tests.cli.conftest import Ytap, append_trends, trend


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
    assert "a statement reaches no other files" in first
    assert "a statement reaches no other files" in second
    assert "restore" not in result.stderr


def test_a_failure_does_not_end_it_and_is_in_the_exit_code(ytap: Ytap) -> None:
    result = ytap("shell", "-f", "csv", stdin="selec 1;\n.nonsense\nselect 2 as two;\n")
    assert (result.exit_code, result.stdout) == (2, "two\n2\n")
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert ".nonsense: no such command" in errors[1]


def test_tables_and_what_their_columns_mean(platform: Platform, ytap: Ytap) -> None:
    asked = ("shell", "-f", "csv")
    for output in (
        ytap.ok(*asked, stdin=".tables\n.schema videos\n"),
        ytap.ok(*asked, "-w", "tech", stdin=".tables\n.schema videos\n"),
    ):
        assert "raw_trends,0" in output.splitlines()
        assert "video_id,VARCHAR,The YouTube id." in output.splitlines()


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
