"""What a command works with: the installation, a name for its run, and the terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ytap_assets.cli.text import one_line

if TYPE_CHECKING:
    from ytap_assets.lakehouse.transaction import Run
    from ytap_assets.operations.platform import Platform
    from ytap_assets.settings import Settings


def open_platform(*, may_only_read: bool = False) -> Platform:
    """The installation the environment describes.

    Args:
        may_only_read: Whether a lake that cannot be written to will do.

    Raises:
        ConfigError: A setting is wrong.
    """
    from ytap_assets.operations.platform import Platform
    from ytap_assets.settings import Settings

    return Platform(Settings.from_env(), may_only_read=may_only_read)


def announce_transport(settings: Settings) -> None:
    """Say where what is collected comes from; the data folder remembers it from now on."""
    text = settings.describe_transport()
    if settings.remembered is None and settings.transport != "record":
        settings.remember_transport()
        text = f"{settings.transport} (remembered from now on, in {settings.transport_file})"
    note(f"transport: {one_line(text)}")


def new_run(what: str) -> Run:
    """A name for what this command writes; the lake keeps it with the snapshot."""
    from ulid import ULID

    from ytap_assets.lakehouse.transaction import Run

    return Run(f"cli-{ULID()}", "cli", what)


def terminal_columns() -> int | None:
    """How wide the terminal is; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def own_command() -> str:
    """What to type to run this program: its path where a shell does not find it by its name."""
    started_as = Path(sys.argv[0])
    if shutil.which("ytap") is None and started_as.name == "ytap" and started_as.is_file():
        return shlex.quote(sys.argv[0])
    return "ytap"


def say(line: str) -> None:
    """Write a line of output, unchanged: `click.echo` would take escape sequences out of data."""
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """Write a line that is no output: progress, advice."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def tell_problems(problems: Iterable[object]) -> None:
    """Name on stderr every workspace that was left out, and why."""
    for problem in problems:
        note(f"error: {one_line(str(problem))}; mend it, then try again")
