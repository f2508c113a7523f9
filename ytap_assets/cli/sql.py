"""Commands for SQL: ``sql``, ``shell``, ``attach``, ``summary``.

The shell keeps no history in a file, because statements may contain confidential values.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ytap_assets.cli.common import (
    FAILED,
    MISUSED,
    as_of,
    describe_database_error,
    examples,
    is_interrupt,
    is_misuse,
    maybe_workspace,
    output_format,
    own_command,
)
from ytap_assets.cli.output import (
    Format,
    clean,
    note,
    one_line,
    report_problems,
    say,
    terminal_columns,
    write_result,
    write_table,
)
from ytap_assets.errors import QuestionError, YtapError
from ytap_assets.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    import duckdb


_T = TypeVar("_T")
_GRACE_S = 10
_SPARE_BYTES = 256 * 1024**2
_HINTS = {
    "Parser Error": "the syntax is described at https://duckdb.org/docs/stable/sql/introduction",
    "Referenced column": "`ytap sql 'describe TABLE'` lists the columns of a table",
    "Table with name": "`ytap sql 'show tables'` lists the tables",
    "read-only": (
        "the lake is read-only here; `ytap materialize`, `import` and `script` write to it"
    ),
    "disabled by configuration": "a statement cannot access other files or settings",
    "Secret Storage": "a statement has no access to other files or to secrets",
    "Out of Memory": "select fewer rows or columns, or raise YTAP_SQL_MEMORY",
}


_EXCERPT = "\n\nLINE "


class StatementError(YtapError):
    """A user's statement failed."""


class WrongStatementError(StatementError, QuestionError):
    """A user's statement is not valid SQL, or refers to something that does not exist."""


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
    """Run a SQL statement on the lake.

    A STATEMENT of - is read from stdin.
    """
    from ytap_assets.lakehouse.sql_sandbox import open_sql

    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise click.UsageError("there is no statement to run")
    with explain_duckdb():
        settings = Settings.from_env()
        with closing(open_sql(settings, text, workspace_id=workspace, as_of=as_of)) as connection:
            run_statements(connection, text, shape, settings=settings)


@click.command(
    epilog=examples("ytap shell", "ytap shell --workspace tech", "ytap shell < questions.sql")
)
@maybe_workspace
@output_format
@as_of
def shell(workspace: str | None, shape: Format, as_of: int | None) -> None:
    """Run SQL statements interactively.

    A statement ends with a semicolon; see .help. Without a workspace the shell first shows how to
    attach the same lake in DuckDB's own shell.
    """
    from ytap_assets.lakehouse.connection import attach_lines
    from ytap_assets.lakehouse.sql_sandbox import open_shell

    settings = Settings.from_env()
    is_interactive = sys.stdin.isatty()
    with explain_duckdb():
        connection = open_shell(settings, workspace_id=workspace, as_of=as_of)
    with closing(connection):
        if workspace is None:
            note("The same lake in DuckDB's own shell, read-only:")
            for line in attach_lines(settings):
                note(f"  {line}")
        failed = Shell(connection, shape, is_interactive=is_interactive, settings=settings).run()
    if failed and not is_interactive:
        raise click.exceptions.Exit(failed)


@click.command(
    epilog=examples(
        "ytap attach",
        "ytap attach > lake.sql && duckdb -init lake.sql",
        "ytap attach --as europe >> lakes.sql",
    )
)
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Attach the lake under this name, beside others; the default database stays.",
)
def attach(name: str | None) -> None:
    """Print the statements that attach the lake in DuckDB.

    The first loads the extensions, the second attaches the lake read-only, the third makes reads of
    old snapshots (`AT (VERSION => n)`), and reads while files are merged, correct. They are for the
    DuckDB version of this installation; for another one use `INSTALL ducklake; INSTALL sqlite;`
    instead of the first.
    """
    from ytap_assets.lakehouse.connection import attach_lines

    for line in attach_lines(Settings.from_env(), name):
        say(line)


def quote(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def run_statements(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    shape: Format,
    values: Sequence[str] | None = None,
    *,
    settings: Settings,
) -> None:
    """Run every statement of a text and write its rows.

    Args:
        connection: From `open_sql` or `open_shell`.
        text: The statements.
        shape: The format of the rows.
        values: The statement's parameters.
        settings: Where the lake is, and the time limit of DuckDB for a statement; the time to
            write the rows is not counted.

    Raises:
        StatementRefusedError: One could reach more than the lake; none is run.
        WrongStatementError: The text is not UTF-8.
        StatementError: A statement takes too long or too much memory.
    """
    from ytap_assets.lakehouse.connection import find_catalog
    from ytap_assets.lakehouse.sql_sandbox import WRITING, parse, reads_lake

    if not all(map(_is_utf8, (text, *(values or ())))):
        raise WrongStatementError("the statement is not UTF-8 text; save it as UTF-8")
    with explain_duckdb(reads_lake=reads_lake(connection)), _bounded_memory(connection):
        catalog, seconds = find_catalog(settings), settings.sql_seconds
        for statement in _Work(connection, seconds).do(lambda: parse(connection, text, catalog)):
            work = _Work(connection, seconds)
            result = work.do(partial(connection.execute, statement, values))
            fetch = partial(_fetch, work, result)
            write_result(result, shape, say, columns=terminal_columns(), fetch=fetch)
            if not isinstance(statement, str) and statement.type in WRITING:
                note("Only the copy of the rows was changed; the lake is unchanged.")


def _fetch(work: _Work, result: duckdb.DuckDBPyConnection, count: int) -> list[Any]:
    return work.do(partial(result.fetchmany, count))


class _Work:
    """DuckDB's work for one statement, ended by Ctrl-C and by a timeout."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, seconds: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._left = float(seconds)

    def do(self, part: Callable[[], _T]) -> _T:
        """Run a part of it, on a separate thread.

        DuckDB reacts to Ctrl-C only if its main thread has work, which depends on the thread that
        runs the statement: a long count continued for 20 minutes.

        Raises:
            StatementError: The time limit was reached.
        """
        from concurrent.futures import Future

        ended: Future[_T] = Future()
        begun = Event()

        def run() -> None:
            begun.set()
            try:
                ended.set_result(part())
            except BaseException as error:  # raised in the waiting thread
                ended.set_exception(error)

        worker = Thread(target=run, daemon=True)
        began = monotonic()
        try:
            worker.start()
            return ended.result(timeout=self._left)
        except TimeoutError:
            if ended.done():  # just now, or with a TimeoutError
                return ended.result()
            self._stop(worker, begun, ended)
            raise StatementError(self._too_long()) from None
        except KeyboardInterrupt:
            self._stop(worker, begun, ended)
            raise
        finally:
            self._left = max(0.0, self._left - (monotonic() - began))

    def _stop(self, worker: Thread, begun: Event, ended: Future[_T]) -> None:
        """Interrupt repeatedly until it ends; an interrupt before its start has no effect."""
        give_up = monotonic() + _GRACE_S
        while begun.wait(timeout=1) and not ended.done():
            if monotonic() > give_up:
                # One function call is running, such as one on a text of two billion characters; the
                # connection cannot be closed before it returns.
                note(f"error: {self._too_long()}")
                sys.stdout.flush()
                os._exit(FAILED)
            self._connection.interrupt()
            worker.join(timeout=0.05)

    def _too_long(self) -> str:
        return (
            f"the statement ran for longer than {self._seconds} seconds and was cancelled; select"
            " fewer rows, or raise YTAP_SQL_SECONDS"
        )


@contextmanager
def _bounded_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Limit the process to the memory of its connection: some functions exceed DuckDB's limit.

    `to_json` of a long list took five times the limit. Only Linux counts such memory.

    Raises:
        StatementError: There was not enough.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        yield
        return
    import resource

    sizes = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    used = int(sizes["VmData"].split()[0]) * 1024
    with connection.cursor() as cursor:
        row = cursor.execute(
            "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
        ).fetchone()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = used + _SPARE_BYTES + (int(row[0]) if row else 0)
    if before[0] != resource.RLIM_INFINITY:
        most = min(most, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (most, before[1]))
    try:
        yield
    except MemoryError:
        raise StatementError(
            f"the rows do not fit into memory; {_HINTS['Out of Memory']}"
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _is_utf8(text: str) -> bool:
    """Whether it has no lone surrogates, which stand for undecodable bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def explain_duckdb(*, reads_lake: bool = True) -> Iterator[None]:
    """Convert DuckDB's errors to one line.

    Args:
        reads_lake: Whether files of the lake are read, which may be the cause.

    Raises:
        WrongStatementError: A statement is not valid SQL, or refers to an unknown name.
        StatementError: A statement failed.
    """
    import duckdb

    try:
        yield
    except _wrong_statements() as error:
        raise WrongStatementError(_explain(error, reads_lake=reads_lake)) from error
    except duckdb.Error as error:
        raise StatementError(_explain(error, reads_lake=reads_lake)) from error


def _wrong_statements() -> tuple[type[duckdb.Error], ...]:
    """DuckDB's errors for an invalid statement."""
    import duckdb

    return (
        duckdb.ParserException,
        duckdb.SyntaxException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.PermissionException,
    )


def _explain(error: duckdb.Error, *, reads_lake: bool) -> str:
    """DuckDB's message without the excerpt of the statement, and what to do if it does not say."""
    text, _, _ = str(error).partition(_EXCERPT)
    hint = next((hint for sign, hint in _HINTS.items() if sign in text), None)
    if hint is None and reads_lake and (line := describe_database_error(error)) is not None:
        return line
    # Advice on settings, which are locked, follows these.
    for end in ("\nDatabase is launched", "\nPossible solutions"):
        text = text.partition(end)[0]
    text = " ".join(text.split())
    if hint is None:
        return text
    return f"{text} {hint}" if text.endswith("?") else f"{text.rstrip('.:!')}; {hint}"


_PROMPT, _MORE = "ytap> ", "  ... "
_HELP = """\
A statement ends with a semicolon and can span several lines.
.tables            the tables
.schema TABLE      a table's columns and their descriptions
.format SHAPE      table, csv or json
.help              this text
.quit              exit (also at the end of input)"""
_SHAPES: dict[str, Format] = {"table": "table", "csv": "csv", "json": "json"}
_WHOLE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$""", re.DOTALL
)
_OPEN = re.compile(r"""['"]|/\*|\$\w*\$""")
_TABLES = """
    SELECT table_name AS "table", estimated_size AS "rows" FROM duckdb_tables()
    WHERE database_name = current_database() ORDER BY ALL"""
_SCHEMA = """
    SELECT column_name AS "column", data_type AS "type", comment AS "meaning"
    FROM duckdb_columns()
    WHERE database_name = current_database() AND table_name = $1 ORDER BY column_index"""


def is_complete(text: str) -> bool:
    """Whether the text ends with a semicolon outside of quotes and comments."""
    rest = _WHOLE.sub(" ", text).rstrip()
    return rest.endswith(";") and _OPEN.search(rest) is None


class Shell:
    """The interactive shell; piped input is processed in the same way."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        shape: Format,
        *,
        is_interactive: bool,
        settings: Settings,
    ) -> None:
        self._connection = connection
        self._shape = shape
        self._is_interactive = is_interactive
        self._settings = settings
        self._failed = 0  # the exit code
        if is_interactive:
            import readline

            readline.set_auto_history(True)

    def run(self) -> int:
        """Run statements and commands until the end of input.

        Returns:
            The exit code: 0 if all statements ran, 1 if one failed, 2 if all failed statements
            were invalid.
        """
        if self._is_interactive:
            note(_HELP)
        pending = ""
        while (line := self._read(_MORE if pending.strip() else _PROMPT)) is not None:
            if not pending.strip() and line.lstrip().startswith("."):
                if line.split()[0] in (".quit", ".exit"):
                    return self._failed
                self._command(line.split())
                continue
            pending += f"{line}\n"
            if is_complete(pending):
                self._execute(pending)
                pending = ""
        if pending.strip():
            self._execute(pending)
        return self._failed

    def _read(self, prompt: str) -> str | None:
        if not self._is_interactive:
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input(prompt)
        except EOFError:
            return None
        except KeyboardInterrupt:
            note("(.quit leaves)")
            return ""

    def _command(self, words: list[str]) -> None:
        match words:
            case [".help"]:
                say(_HELP)
            case [".tables"]:
                self._execute(_TABLES)
            case [".schema", table]:
                self._execute(_SCHEMA, [table])
            case [".format", shape] if shape in _SHAPES:
                self._shape = _SHAPES[shape]
            case _:
                self._fail(f"{' '.join(words)}: unknown command; .help lists the commands", MISUSED)

    def _execute(self, text: str, values: list[str] | None = None) -> None:
        try:
            run_statements(self._connection, text, self._shape, values, settings=self._settings)
        except YtapError as error:
            self._fail(str(error), MISUSED if is_misuse(error) else FAILED)
        except (KeyboardInterrupt, RuntimeError) as error:
            if not self._is_interactive or not is_interrupt(error):
                raise
            self._fail("interrupted")

    def _fail(self, message: str, code: int = FAILED) -> None:
        self._failed = FAILED if FAILED in (self._failed, code) else code
        note(f"error: {one_line(message)}")


_TABLE_NAMES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"""
_REPORTS = """
    SELECT workspace_id, count(*), max(day), arg_max(report_path, day) FROM workspace_reports
    GROUP BY ALL ORDER BY ALL"""
QUESTIONS = (
    "select workspace_id, day, position, final_score, title from scored_trends"
    " where position <= 3 and not is_spam order by all",
    "select workspace_id, state, count(*) as scripts from production_records"
    " group by all order by all",
    "select source, outcome, count(*) as fetches, sum(accepted)::bigint as accepted"
    " from collection_log group by all order by all",
)


@click.command(epilog=examples("ytap summary"))
def summary() -> None:
    """Show rows per table, the newest reports, and queries."""
    from ytap_assets.lakehouse.sql_sandbox import open_shell
    from ytap_assets.operations.pushed_files import open_workspaces

    settings = Settings.from_env()
    with explain_duckdb(), closing(open_shell(settings, workspace_id=None)) as lake:
        _show_rows(lake)
        _show_reports(lake, settings)
    report_problems(open_workspaces(settings).readable()[1].values())
    say("\nExample queries:")
    for question in QUESTIONS:
        say(f'  {own_command()} sql "{question}"')


def _show_rows(lake: duckdb.DuckDBPyConnection) -> None:
    tables = [name for (name,) in lake.execute(_TABLE_NAMES).fetchall()]
    counts: dict[str, dict[str, int]] = {}
    for table in tables:
        rows = lake.execute(f'SELECT workspace_id, count(*) FROM "{table}" GROUP BY ALL').fetchall()
        counts[table] = dict(rows)
    owners = sorted({owner for count in counts.values() for owner in count})
    shown = [
        (table, *(count.get(owner, 0) for owner in owners), sum(count.values()))
        for table, count in counts.items()
    ]
    names = ("table", *owners, "rows")
    right = [False, *[True] * (len(owners) + 1)]
    write_table(names, shown, say, right=right, columns=terminal_columns())


def _show_reports(lake: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    from ytap_assets.file_store import find_store
    from ytap_assets.reports.files import OVERVIEW

    store = find_store(settings)
    reports = lake.execute(_REPORTS).fetchall()
    say(f"\nReports: {sum(count for _, count, _, _ in reports)}, the newest of each workspace:")
    for workspace_id, _, day, path in reports:
        say(f"  {workspace_id} {day}  {clean(str(store.locate(path)))}")
    if store.exists(OVERVIEW):
        say(f"All workspaces: {clean(str(store.locate(OVERVIEW)))}")


COMMANDS = (sql, shell, attach, summary)
