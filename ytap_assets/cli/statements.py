"""Commands that ask in SQL: ``sql``, ``shell``, ``attach``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ytap_assets.cli.context import note, say, terminal_columns
from ytap_assets.cli.group import FAILED
from ytap_assets.cli.options import as_of, examples, maybe_workspace, output_format
from ytap_assets.errors import QuestionError, YtapError
from ytap_assets.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from ytap_assets.cli.results import Format

_T = TypeVar("_T")
_GRACE_S = 10
_SPARE_BYTES = 256 * 1024**2
_HINTS = {
    "Table with name": "`ytap sql 'show tables'` lists the tables",
    "read-only": "the lake is only read here: materialize, import and script write to it",
    "disabled by configuration": "a statement reaches no other files, and no settings",
    "Secret Storage": "a statement reaches no other files, and needs no secrets",
    "Out of Memory": "narrow the statement down, or raise YTAP_SQL_MEMORY",
}


_EXCERPT = "\n\nLINE "


class StatementError(YtapError):
    """A statement that a user gave could not be run to its end."""


class WrongStatementError(StatementError, QuestionError):
    """A statement that a user gave is not SQL, or names what does not exist."""


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
    from ytap_assets.lakehouse.sql_sandbox import open_sql

    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise click.UsageError("there is no statement to run")
    with explain_duckdb():
        settings = Settings.from_env()
        with closing(open_sql(settings, text, workspace_id=workspace, as_of=as_of)) as connection:
            run_statements(connection, text, shape, seconds=settings.sql_seconds)


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
        seconds = settings.sql_seconds
        failed = Shell(connection, shape, is_interactive=is_interactive, seconds=seconds).run()
    if failed and not is_interactive:
        raise click.exceptions.Exit(failed)


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
    *,
    seconds: int,
) -> None:
    """Run every statement of a text and write its rows.

    Args:
        connection: What `open_sql` or `open_shell` gave.
        text: The statements.
        shape: In which format rows are written.
        values: What stands for the statement's parameters.
        seconds: How long DuckDB may work on a statement; what the reader of the rows takes is not
            counted.

    Raises:
        StatementRefusedError: One could reach more than the lake; none is run.
        WrongStatementError: The text is not UTF-8.
        StatementError: A statement takes too long or too much memory.
    """
    from ytap_assets.cli.results import write_result
    from ytap_assets.lakehouse.sql_sandbox import WRITING, parse, reads_lake

    if not all(map(_is_utf8, (text, *(values or ())))):
        raise WrongStatementError("the statement is not UTF-8 text; save it as UTF-8")
    with explain_duckdb(reads_lake=reads_lake(connection)), _bounded_memory(connection):
        for statement in _Work(connection, seconds).do(lambda: parse(connection, text)):
            work = _Work(connection, seconds)
            result = work.do(partial(connection.execute, statement, values))
            fetch = partial(_fetch, work, result)
            write_result(result, shape, say, columns=terminal_columns(), fetch=fetch)
            if not isinstance(statement, str) and statement.type in WRITING:
                note("Only this command's copy of the rows was changed; the lake is as it was.")


def _fetch(work: _Work, result: duckdb.DuckDBPyConnection, count: int) -> list[Any]:
    return work.do(partial(result.fetchmany, count))


class _Work:
    """What DuckDB does for one statement: ended by Ctrl-C, and when its time is up."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, seconds: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._left = float(seconds)

    def do(self, part: Callable[[], _T]) -> _T:
        """Do a part of it, on a thread of its own.

        DuckDB hears of Ctrl-C only where its main thread has work of its own, which depends on
        which of its threads took the statement: a long count went on for 20 minutes.

        Raises:
            StatementError: The time is up.
        """
        ended: Future[_T] = Future()
        begun = Event()

        def run() -> None:
            begun.set()
            try:
                ended.set_result(part())
            except BaseException as error:  # whatever it is: raised where it is waited for
                ended.set_exception(error)

        worker = Thread(target=run, daemon=True)
        began = monotonic()
        try:
            worker.start()
            return ended.result(timeout=self._left)
        except TimeoutError:
            if ended.done():  # just now, or with an error of this kind
                return ended.result()
            self._stop(worker, begun, ended)
            raise StatementError(self._too_long()) from None
        except KeyboardInterrupt:
            self._stop(worker, begun, ended)
            raise
        finally:
            self._left = max(0.0, self._left - (monotonic() - began))

    def _stop(self, worker: Thread, begun: Event, ended: Future[_T]) -> None:
        """Interrupt what runs until it has ended; one that is about to begin does not hear it."""
        give_up = monotonic() + _GRACE_S
        while begun.wait(timeout=1) and not ended.done():
            if monotonic() > give_up:
                # It is inside one call of a function, such as a text of two billion characters,
                # and the connection cannot be closed before it returns.
                note(f"error: {self._too_long()}")
                sys.stdout.flush()
                os._exit(FAILED)
            self._connection.interrupt()
            worker.join(timeout=0.05)

    def _too_long(self) -> str:
        return (
            f"the statement ran for longer than {self._seconds} seconds and was ended; narrow it"
            " down, or raise YTAP_SQL_SECONDS"
        )


@contextmanager
def _bounded_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Hold the process to what its connection may take: some functions allocate beside it.

    `to_json` of a long list took five times DuckDB's limit. Only Linux counts such memory.

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
    """Whether no byte of it was kept as a lone surrogate because it could not be read."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def explain_duckdb(*, reads_lake: bool = True) -> Iterator[None]:
    """Tell DuckDB's errors in a line.

    Args:
        reads_lake: Whether files of the lake are read, which may be to blame.

    Raises:
        WrongStatementError: A statement is not SQL, or names what does not exist.
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
    """The errors by which DuckDB says that a statement cannot be meant."""
    import duckdb

    return (
        duckdb.ParserException,
        duckdb.SyntaxException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.PermissionException,
    )


def _explain(error: duckdb.Error, *, reads_lake: bool) -> str:
    """DuckDB's message without the excerpt of the statement, and what to do."""
    from ytap_assets.cli.group import describe_database_error

    whole = text = str(error)
    hint = next((hint for sign, hint in _HINTS.items() if sign in whole), None)
    if hint is None and reads_lake and (line := describe_database_error(error)) is not None:
        return line
    # Behind these come an excerpt of the statement, and advice on settings that cannot be changed.
    for end in (_EXCERPT, "\nDatabase is launched", "\nPossible solutions"):
        text = text.partition(end)[0]
    return f"{' '.join(text.split())}; {hint or 'fix the statement'}"


COMMANDS = (sql, shell, attach)
