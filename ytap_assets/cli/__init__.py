"""The command line: ``ytap`` with its subcommands, and ``ytap completion``; `main` starts it.

- ``common``       errors and exit codes, shared options, the installation
- ``output``       escaping, tables, CSV, JSON, progress
- ``workspace``    ``workspace create | list | show | identify | archive | unarchive``
- ``life``         ``workspace rename | export | restore | delete``, ``erase``
- ``script``       ``script list | show | approve | reject | send-back | cancel | stuck | times``
- ``review``       ``review list | show | approve | reject | send-back``
- ``job``          ``job report | status``
- ``pipeline``     ``materialize``, ``import trends``, ``trends top | explain``
- ``script_files`` ``import records | scripts``, ``script export``
- ``sql``          ``sql``, ``shell``, ``attach``, ``summary``
- ``upkeep``       ``maintain``, ``backup``, ``restore``, ``lake``, ``doctor``
- ``ui``           ``ui``

Belongs here: arguments, output, exit codes. Does not belong here: anything useful to a sensor or
another program (`operations`). A module imports only what every command needs; a command imports
the rest when it runs, which keeps ``ytap --help`` and ``ytap sql`` fast.
"""

from __future__ import annotations

import io
import sys

import click

from ytap_assets.cli import (
    job,
    life,
    pipeline,
    review,
    script,
    script_files,
    sql,
    ui,
    upkeep,
    workspace,
)
from ytap_assets.cli.common import ErrorLineGroup, examples
from ytap_assets.cli.output import say

_COMPLETION_VARIABLE = "_YTAP_COMPLETE"


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
    """Run the data platform: collect, score, produce, report, and query the lake in SQL.

    Settings come from the environment: YTAP_DATA, YTAP_TRANSPORT and others. Exit codes: 0 success,
    1 something failed, 2 the request was invalid, 130 interrupted.
    """


@click.command(
    epilog=examples(
        'eval "$(ytap completion bash)"      # in ~/.bashrc',
        'eval "$(ytap completion zsh)"       # in ~/.zshrc',
        "ytap completion fish > ~/.config/fish/completions/ytap.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the shell's completion of commands and workspaces."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not supported")
    say(kind(ctx.find_root().command, {}, "ytap", _COMPLETION_VARIABLE).source())


_MODULES = (workspace, life, pipeline, sql, script, script_files, review, job, upkeep, ui)
for _module in _MODULES:
    for _command in _module.COMMANDS:
        app.add_command(_command)
app.add_command(completion)


def main() -> None:
    """Run the command line; the console script ``ytap``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may support few characters
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(
            errors="surrogateescape"
        )  # undecodable input is refused where it is used
    app(prog_name="ytap")
