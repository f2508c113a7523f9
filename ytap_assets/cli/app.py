"""Every command, put together."""

from __future__ import annotations

import io
import sys

import click

from ytap_assets.cli import (
    collecting,
    completion,
    script,
    sql,
    summary,
    trends,
    ui,
    upkeep,
    workspace,
)
from ytap_assets.cli.common import ErrorLineGroup


def _show_version(ctx: click.Context, _param: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"ytap-assets {version('ytap-assets')}")
        ctx.exit()


@click.group(cls=ErrorLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Run the data platform: collect, score, produce, report; ask it all in SQL.

    Settings come from the environment: YTAP_DATA, YTAP_TRANSPORT and others. Exit codes: 0 done,
    1 something failed, 2 the question was wrong, 130 interrupted.
    """


_MODULES = (
    workspace,
    collecting,
    trends,
    sql,
    summary,
    script,
    upkeep,
    ui,
    completion,
)
for _module in _MODULES:
    for _command in _module.COMMANDS:
        app.add_command(_command)


def run() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know few characters
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(
            errors="surrogateescape"
        )  # what is no text is refused where it is read
    app(prog_name="ytap")
