"""The one place where an error becomes a line on stderr and an exit code.

0: done. 1: something that was asked for failed. 2: the question was wrong (usage, configuration, a
file of no known format, a statement that DuckDB does not take, a script or snapshot that does not
exist). 130: interrupted. Errors that are neither ours nor a file's keep their
traceback: they are defects.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from ytap_assets.cli.context import note
from ytap_assets.cli.text import one_line
from ytap_assets.errors import ConfigError, ImportRefusedError, QuestionError, YtapError

FAILED = 1
MISUSED = 2
INTERRUPTED = 130
_ADVICE = {
    errno.ENOENT: "check the name",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EIO: "check the disk",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`)",
    errno.ENOTDIR: "name a folder",
    errno.EISDIR: "name a file",
    errno.EEXIST: "choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class ErrorLineGroup(click.Group):
    """A group whose commands may raise any `YtapError`, and any error about a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the group's own options; tell an error in one line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            fail_usage(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; tell an error in one line."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has gone away is noticed here, not at exit
        except click.UsageError as error:
            fail_usage(error)
        except click.exceptions.Exit:
            raise  # the command has said why
        except click.exceptions.Abort as error:  # at a question
            if isinstance(error.__context__, EOFError):
                fail("there was no answer; nothing was changed")
            fail("interrupted; nothing was changed", code=INTERRUPTED)
        except (Exception, KeyboardInterrupt) as error:
            if is_interrupt(error):
                fail("interrupted; what was committed before stays", code=INTERRUPTED)
            if (line := describe_error(error)) is None:
                raise
            fail(line, code=MISUSED if is_misuse(error) else FAILED)
        return result


def fail(message: str, *, code: int = FAILED) -> NoReturn:
    """End with a line on stderr.

    Raises:
        click.exceptions.Exit: Always.
    """
    _give_up_full_output()
    note(f"error: {one_line(message)}")
    raise click.exceptions.Exit(code)


def fail_usage(error: click.UsageError) -> NoReturn:
    """End with what was wrong in the command's words; a group without any explains itself.

    Raises:
        click.exceptions.Exit: Always, but where a group explains itself.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    command = error.ctx.command_path if error.ctx else "ytap"
    message = error.format_message().rstrip(".")
    fail(f"{message}; see `{command} --help`", code=MISUSED)


def is_misuse(error: BaseException) -> bool:
    """Whether the question was wrong, so that asking it again changes nothing."""
    return isinstance(error, ConfigError | ImportRefusedError | QuestionError)


def is_interrupt(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C; DuckDB makes another error of it."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)


def describe_error(error: BaseException) -> str | None:
    """What happened and what to do; None for a defect, and for a reader that has gone away.

    Libraries wrap the errors of their files (Dagster's databases those of SQLite, by way of
    SQLAlchemy), so what an error was raised from counts, too.
    """
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return None
    found = (_describe_one(one) for one in _causes(error))
    return next((line for line in found if line is not None), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _describe_one(error: BaseException) -> str | None:
    if isinstance(error, YtapError):
        return str(error)
    if isinstance(error, OSError):
        return describe_os_error(error)
    if "duckdb" in sys.modules and (line := describe_database_error(error)) is not None:
        return line
    return describe_sqlite_error(error) if isinstance(error, sqlite3.Error) else None


def describe_database_error(error: BaseException) -> str | None:
    """What DuckDB found wrong with a file, and what to do; None where it is no such error."""
    import duckdb

    from ytap_assets.lakehouse.disk import UNREADABLE, explain_error, is_unreadable
    from ytap_assets.settings import Settings

    if not isinstance(error, duckdb.Error):
        return None
    settings = Settings.from_env()
    explained = explain_error(error, settings.catalog, settings.data_path)
    if explained is not None:
        return str(explained)
    return f"{error}; {UNREADABLE}" if is_unreadable(error) else None


def describe_sqlite_error(error: sqlite3.Error) -> str:
    """What is wrong with a database of Dagster or of the sources; SQLite does not say which."""
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    return (
        f"a database in {settings.dagster_home} or {settings.state} cannot be used: {error}; check"
        " that there is space and that it can be written to, and end other programs that use it; a"
        " damaged one can be moved away, and begins anew"
    )


def describe_os_error(error: OSError) -> str:
    """What happened, to which file, what to do."""
    advice = _ADVICE.get(error.errno or 0, "try again, or choose another place")
    place = "the output, or a file" if error.filename is None else error.filename
    return f"{place}: {error.strerror or error}; {advice}"


def _give_up_full_output() -> None:
    """Let go of what cannot be written, or Python would try once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
