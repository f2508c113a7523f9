"""``ytap workspace``: create, list, show, archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.context import say, terminal_columns
from ytap_assets.cli.group import FAILED
from ytap_assets.cli.options import FILE, examples, workspace_id
from ytap_assets.cli.text import clean

if TYPE_CHECKING:
    from ytap_assets.workspaces import Workspaces


@click.group()
def workspace() -> None:
    """Create, list, show and archive workspaces."""


@workspace.command(
    "create",
    epilog=examples(
        'ytap workspace create tech --name "Tech Channel" --vertical tech',
        "ytap workspace create finance --from old/finance_master.json",
    ),
)
@click.argument("workspace_id", metavar="ID")
@click.option("--name", help="Its name for people; else its id.")
@click.option("--vertical", help="Its field; else general.")
@click.option("--language", help="Its language; else en.")
@click.option("--timezone", help="Its timezone; else UTC.")
@click.option("--from", "origin", type=FILE, help="Convert an older JSON config, without loss.")
def create(
    workspace_id: str,
    name: str | None,
    vertical: str | None,
    language: str | None,
    timezone: str | None,
    origin: Path | None,
) -> None:
    """Make a workspace's folder and config."""
    from ytap_assets.operations.workspaces import create_workspace

    made, path = create_workspace(
        _workspaces(),
        workspace_id,
        name=name,
        vertical=vertical,
        language=language,
        timezone=timezone,
        origin=origin,
    )
    say(f"{made.workspace_id} is made: {clean(str(path))}")
    if made.extra:
        say(f"kept under extra: {clean(', '.join(made.extra))}")


@workspace.command("list", epilog=examples("ytap workspace list"))
def show_all() -> None:
    """List the workspaces; ends with 1 where a config cannot be read."""
    from ytap_assets.cli.results import write_table
    from ytap_assets.operations.workspaces import list_workspaces

    names = ("workspace", "status", "collects", "vertical", "name", "channels", "problem")
    rows: list[tuple[object, ...]] = []
    for one in list_workspaces(_workspaces()):
        if (config := one.workspace) is None:
            rows.append((one.workspace_id, *[None] * 5, one.problem))
            continue
        known = (config.status, config.collects, config.vertical, config.name, len(config.channels))
        rows.append((one.workspace_id, *known, None))
    has_problem = any(row[-1] for row in rows)
    shown = len(names) if has_problem else len(names) - 1
    write_table(
        names[:shown],
        [row[:shown] for row in rows],
        say,
        columns=terminal_columns(),
        whole_last=has_problem,
    )
    if has_problem:
        raise click.exceptions.Exit(FAILED)


@workspace.command("show", epilog=examples("ytap workspace show tech"))
@workspace_id
def show(workspace_id: str) -> None:
    """Show a workspace's config as it is understood; defaults are left out."""
    from ytap_assets.workspaces import dump_workspace

    workspaces = _workspaces()
    config = workspaces.get(workspace_id)
    say(f"# {clean(str(workspaces.folder(workspace_id)))}")
    for line in dump_workspace(config).splitlines():
        say(clean(line))


@workspace.command("archive", epilog=examples("ytap workspace archive tech"))
@workspace_id
def archive(workspace_id: str) -> None:
    """Stop a workspace's collection; its data stays."""
    from ytap_assets.operations.workspaces import archive_workspace

    was_open = archive_workspace(_workspaces(), workspace_id)
    say(f"{workspace_id} {'is' if was_open else 'was already'} archived; its data stays")


def _workspaces() -> Workspaces:
    from ytap_assets.settings import Settings
    from ytap_assets.workspaces import Workspaces

    return Workspaces(Settings.from_env())


COMMANDS = (workspace,)
