"""Commands that ask in SQL: ``sql``, ``shell``, ``attach``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.context import note, say, terminal_columns
from ytap_assets.cli.group import FAILED
from ytap_assets.cli.options import as_of, examples, maybe_workspace, output_format
from ytap_assets.errors import YtapError
from ytap_assets.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from ytap_assets.cli.results import Format

_HINTS = {
    "Table with name": "`ytap sql 'show tables'` lists the tables",
    "read-only": "the lake is read here, and written by materialize and import",
    "disabled by configuration": "a statement reaches no other files, and no settings",
}


_EXCERPT = "\n\nLINE "


class StatementError(YtapError):
    """A statement that a user gave cannot be run."""


@click.command(
    epilog=examples(
        'ytap sql "select 1"',
        'ytap sql "from scored_trends where position <= 3" --workspace tech',
        'ytap sql "from collection_log" --format csv > log.csv',
        'ytap sql "from video_metrics" --as-of 42 --format json',
        "ytap sql - < questions.sql",
    )
)
@click.argument("statement")
@maybe_workspace
@output_format
@as_of
def sql(statement: str, workspace: str | None, shape: Format, as_of: int | None) -> None:
    """Ask the lake in SQL, while pipelines are writing.

    A STATEMENT of - is read from stdin.
    """
    from ytap_assets.lakehouse.scoped import open_sql

    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise click.UsageError("there is no statement to run")
    with explain_duckdb():
        settings = Settings.from_env()
        with closing(open_sql(settings, text, workspace_id=workspace, as_of=as_of)) as connection:
            run_statements(connection, text, shape)


@click.command(
    epilog=examples("ytap shell", "ytap shell --workspace tech", "ytap shell < questions.sql")
)
@maybe_workspace
@output_format
@as_of
def shell(workspace: str | None, shape: Format, as_of: int | None) -> None:
    """Ask in SQL, one statement after another.

    Each ends with a semicolon; .help tells the rest. Without a workspace it begins by telling how
    DuckDB's own shell attaches the same lake.
    """
    from ytap_assets.cli.shell import Shell
    from ytap_assets.lakehouse.scoped import open_shell

    settings = Settings.from_env()
    is_interactive = sys.stdin.isatty()
    with explain_duckdb():
        connection = open_shell(settings, workspace_id=workspace, as_of=as_of)
    with closing(connection):
        if workspace is None:
            note("The same lake in DuckDB's own shell, read-only:")
            for line in attach_lines(settings):
                note(f"  {line}")
        failed = Shell(connection, shape, is_interactive=is_interactive).run()
    if failed and not is_interactive:
        raise click.exceptions.Exit(FAILED)


@click.command(epilog=examples("ytap attach", "ytap attach > lake.sql && duckdb -init lake.sql"))
def attach() -> None:
    """Print the lines that attach the lake in DuckDB's own shell.

    The first loads the extensions, the second attaches the lake read-only. Both are made for the
    DuckDB of this installation; another one takes `INSTALL ducklake; INSTALL sqlite;` instead of
    the first.
    """
    for line in attach_lines(Settings.from_env()):
        say(line)


def attach_lines(settings: Settings) -> tuple[str, str]:
    """The lines: load the extensions; attach and use the lake."""
    from ytap_assets.lakehouse.connection import LAKE, attach_statement, extension_file

    files = {name: extension_file(name) for name in ("ducklake", "sqlite_scanner")}
    loads = [
        f"LOAD {quote(str(file))};" if file else f"INSTALL {name}; LOAD {name};"
        for name, file in files.items()
    ]
    return " ".join(loads), f"{attach_statement(settings, read_only=True)}; USE {LAKE};"


def quote(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def run_statements(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    shape: Format,
    values: Sequence[str] | None = None,
) -> None:
    """Run every statement of a text and write its rows.

    Raises:
        StatementRefusedError: One could reach more than the lake; none is run.
        StatementError: The text is not UTF-8.
    """
    from ytap_assets.cli.results import write_result
    from ytap_assets.lakehouse.scoped import parse

    if not all(map(_is_utf8, (text, *(values or ())))):
        raise StatementError("the statement is not UTF-8 text; save it as UTF-8")
    for statement in parse(connection, text):
        result = _execute(connection, statement, values)
        write_result(result, shape, say, columns=terminal_columns())


def _execute(
    connection: duckdb.DuckDBPyConnection,
    statement: duckdb.Statement,
    values: Sequence[str] | None,
) -> duckdb.DuckDBPyConnection:
    """Run a statement so that Ctrl-C ends it at once.

    DuckDB hears of it only where its main thread has work of its own, which depends on which of
    its threads took the statement: a long count went on for 20 minutes.
    """
    ended: Future[duckdb.DuckDBPyConnection] = Future()

    begun = Event()

    def run() -> None:
        begun.set()
        try:
            ended.set_result(connection.execute(statement, values))
        except BaseException as error:  # whatever it is: raised where it is waited for
            ended.set_exception(error)

    worker = Thread(target=run, daemon=True)
    try:
        worker.start()
        return ended.result()
    except KeyboardInterrupt:
        while begun.wait(timeout=1) and not ended.done():
            connection.interrupt()  # a statement that is only about to begin does not hear it
            worker.join(timeout=0.05)
        raise


def _is_utf8(text: str) -> bool:
    """Whether no byte of it was kept as a lone surrogate because it could not be read."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def explain_duckdb() -> Iterator[None]:
    """Tell DuckDB's errors in a line.

    Raises:
        StatementError: DuckDB refused a statement.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise StatementError(explain(error)) from error


def explain(error: duckdb.Error) -> str:
    """DuckDB's message without the excerpt of the statement, and what to do."""
    from ytap_assets.cli.group import describe_database_error

    text = str(error)
    hint = next((hint for sign, hint in _HINTS.items() if sign in text), None)
    if hint is None and (line := describe_database_error(error)) is not None:
        return line
    message = " ".join(text.partition(_EXCERPT)[0].split())
    return f"{message}; {hint or 'fix the statement'}"


COMMANDS = (sql, shell, attach)
