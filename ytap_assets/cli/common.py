"""What commands share: errors as exit codes, options, the installation, and the terminal.

Exit codes: 0 done; 1 something that was requested failed; 2 the request was invalid (usage,
configuration, a file of no known format, a statement that DuckDB refuses, a script or snapshot that
does not exist); 130 interrupted. Errors that are neither ours nor a file's keep their traceback:
they are defects.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from ytap_assets.cli.output import note, one_line, report_problems
from ytap_assets.errors import ConfigError, ImportRefusedError, QuestionError, YtapError

if TYPE_CHECKING:
    from ytap_assets.lakehouse.transaction import Run
    from ytap_assets.operations.platform import Platform
    from ytap_assets.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def open_platform(*, may_only_read: bool = False) -> Platform:
    """Open the installation that the environment describes.

    Args:
        may_only_read: Whether a read-only lake is sufficient.

    Raises:
        ConfigError: A setting is invalid.
    """
    from ytap_assets.operations.platform import Platform
    from ytap_assets.settings import Settings

    return Platform(Settings.from_env(), may_only_read=may_only_read)


def announce_transport(settings: Settings) -> None:
    """Report the transport, and store it in the data folder."""
    text = settings.describe_transport()
    if settings.remembered is None and settings.transport != "record":
        settings.remember_transport()
        text = f"{settings.transport} (stored in {settings.transport_file} for later commands)"
    note(f"transport: {one_line(text)}")


def new_run(what: str) -> Run:
    """A run id for what this command writes; the lake stores it with the snapshot."""
    from ulid import ULID

    from ytap_assets.lakehouse.transaction import Run

    return Run(f"cli-{ULID()}", "cli", what)


def own_command() -> str:
    """The command that runs this program: its path if it is not on the PATH."""
    started_as = Path(sys.argv[0])
    if shutil.which("ytap") is None and started_as.name == "ytap" and started_as.is_file():
        return shlex.quote(sys.argv[0])
    return "ytap"


_AGO = re.compile(r"([0-9]{1,5}) ?d(?:ays?)?(?: ago)?")
_NAMED_DAYS = {"today": 0, "yesterday": 1}


def examples(*lines: str) -> str:
    """An epilog of examples, which the help shows unchanged."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class Day(click.ParamType[date]):
    """A day such as 2026-11-20, or relative to today: ``yesterday``, ``3 days ago``."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Parse a day; today is that of the installation, in UTC."""
        if isinstance(value, date):
            return value
        words = " ".join(value.replace("-", " ").split()).casefold()
        if (ago := _AGO.fullmatch(words)) is not None:
            return self._count_back(int(ago[1]))
        if words in _NAMED_DAYS:
            return self._count_back(_NAMED_DAYS[words])
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            self.fail(
                f"{value!r} is not a day such as 2026-11-20, today, yesterday or '3 days ago'",
                param,
                ctx,
            )

    @staticmethod
    def _count_back(days: int) -> date:
        from ytap_assets.settings import Settings

        return Settings.from_env().now().date() - timedelta(days)


class Moment(click.ParamType[datetime]):
    """An instant with its time zone, such as 2026-11-20T09:30Z, or the end of a `Day` in UTC."""

    name = "moment"
    _day = Day()

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse an instant that is not after today."""
        if isinstance(value, datetime):
            return value
        if ":" not in value:
            day = self._day.convert(value, param, ctx)
            moment = datetime.combine(day, time.max, UTC)
        else:
            moment = self._parse(value, param, ctx)
        today = self._day.convert("today", param, ctx)
        if moment.date() > today:
            self.fail(f"{value!r} is in the future: today is {today} (UTC)", param, ctx)
        return moment

    def _parse(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            moment = datetime.fromisoformat(value.strip())
            in_utc = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not an instant such as 2026-11-20T09:30Z, or a day", param, ctx
            )
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no time zone; write {value.strip()}Z for UTC", param, ctx)
        return in_utc


def complete_workspace(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The workspaces whose ids begin with the text."""
    from ytap_assets.domain.ids import is_workspace_id
    from ytap_assets.errors import ConfigError
    from ytap_assets.settings import Settings

    try:
        root = Settings.from_env().workspaces
    except ConfigError:
        return []
    names = sorted(path.parent.name for path in root.glob("*/config.yaml"))
    return [name for name in names if name.startswith(incomplete) and is_workspace_id(name)]


ANY_PATH = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _take_one(_ctx: click.Context, _param: click.Parameter, named: tuple[str, ...]) -> str | None:
    """The only workspace of a repeatable option: click would take the last one.

    Raises:
        click.BadParameter: Several were given.
    """
    if len(set(named)) > 1:
        raise click.BadParameter(f"this command takes one workspace, not {', '.join(named)}")
    return named[0] if named else None


_workspace = partial(
    click.option,
    "--workspace",
    "-w",
    multiple=True,
    metavar="ID",
    shell_complete=complete_workspace,
)
one_workspace = _workspace(required=True, callback=_take_one, help="The workspace.")
default_workspace = _workspace(callback=_take_one, help="Workspace of records that name none.")
maybe_workspace = _workspace(callback=_take_one, help="Run on a copy of this workspace's rows.")


def some_workspaces(command: _Command) -> _Command:
    """The options ``--workspace``, which can be repeated, and ``--all-workspaces``."""
    named = _workspace("workspaces", help="A workspace; can be repeated.")
    every = click.option(
        "--all-workspaces", is_flag=True, help="All workspaces that are not archived."
    )
    return named(every(command))


def choose_workspaces(
    platform: Platform, named: Sequence[str], *, all_workspaces: bool
) -> tuple[list[str], list[ConfigError]]:
    """The workspaces that the options of `some_workspaces` select.

    Returns:
        The ids, each once; and why other workspaces cannot be used.

    Raises:
        click.UsageError: Neither option was given, or both, or every workspace is archived.
    """
    if all_workspaces == bool(named):
        both = ", not both" if named else ""
        raise click.UsageError(f"give --workspace or --all-workspaces{both}")
    if named:
        return list(dict.fromkeys(named)), []
    usable, problems = platform.usable()
    wanted = [one.workspace_id for one in usable if not one.is_archived]
    if not wanted:
        report_problems(problems.values())
        raise click.UsageError(
            f"there is no active workspace in {one_line(platform.workspaces.place)};"
            f" {platform.workspaces.first_step}, or restore an archived one with `ytap workspace"
            " unarchive`"
        )
    return wanted, list(problems.values())


workspace_id = click.argument("workspace_id", metavar="ID", shell_complete=complete_workspace)
as_of = click.option(
    "--as-of",
    type=click.IntRange(min=0),
    metavar="SNAPSHOT",
    help="Read the lake as of this snapshot.",
)
output_format = click.option(
    "--format",
    "-f",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)


FAILED = 1
MISUSED = 2
INTERRUPTED = 130
_ADVICE = {
    errno.ENOENT: "check the name",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose a writable folder",
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
    """A group that reports any `YtapError` and any file error of its commands as one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's own options; report an error as one line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            fail_usage(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; report an error as one line."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is noticed here, not at exit
        except click.UsageError as error:
            fail_usage(error)
        except click.exceptions.Exit:
            raise  # the command has reported the reason
        except click.exceptions.Abort as error:  # at a question
            if isinstance(error.__context__, EOFError):
                fail("no confirmation was given; nothing was changed")
            fail("interrupted; nothing was changed", code=INTERRUPTED)
        except (Exception, KeyboardInterrupt) as error:
            if is_interrupt(error):
                fail("interrupted; earlier commits are kept", code=INTERRUPTED)
            if (line := describe_error(error)) is None:
                raise
            fail(line, code=MISUSED if is_misuse(error) else FAILED)
        return result


def fail(message: str, *, code: int = FAILED) -> NoReturn:
    """Exit with a line on stderr.

    Raises:
        click.exceptions.Exit: Always.
    """
    _discard_output()
    note(f"error: {one_line(message)}")
    raise click.exceptions.Exit(code)


def fail_usage(error: click.UsageError) -> NoReturn:
    """Exit with a usage error; a group without arguments shows its help.

    Raises:
        click.exceptions.Exit: Always, except where a group shows its help.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    command = error.ctx.command_path if error.ctx else "ytap"
    message = error.format_message().rstrip(".")
    fail(f"{message}; see `{command} --help`", code=MISUSED)


def is_misuse(error: BaseException) -> bool:
    """Whether the request was invalid, so that repeating it does not help."""
    return isinstance(error, ConfigError | ImportRefusedError | QuestionError)


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C was pressed; DuckDB raises another error from it."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)


def describe_error(error: BaseException) -> str | None:
    """What happened and what to do; None for a defect, and for a closed pipe.

    Libraries wrap errors of their files (Dagster those of SQLite, through SQLAlchemy), so the
    causes of an error are examined too.
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
    """DuckDB's error about a file, and what to do; None for other errors."""
    import duckdb

    from ytap_assets.lakehouse.errors import UNREADABLE, explain_error, is_unreadable
    from ytap_assets.settings import Settings

    if not isinstance(error, duckdb.Error):
        return None
    settings = Settings.from_env()
    explained = explain_error(error, settings)
    if explained is not None:
        return str(explained)
    return f"{error}; {UNREADABLE}" if is_unreadable(error) else None


def describe_sqlite_error(error: sqlite3.Error) -> str:
    """An error of a database of Dagster or of the sources; SQLite does not name the file."""
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    return (
        f"a database in {settings.dagster_home} or {settings.state} cannot be used: {error}; check"
        " the free space and the permissions, and end other programs that use it; move a damaged"
        " database away, and it is created again"
    )


def describe_os_error(error: OSError) -> str:
    """What happened, to which file, what to do."""
    advice = _ADVICE.get(error.errno or 0, "run the command again, or choose another file")
    place = "the output or a file" if error.filename is None else error.filename
    return f"{place}: {error.strerror or error}; {advice}"


def _discard_output() -> None:
    """Discard output that cannot be written, or Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
