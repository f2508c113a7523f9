"""``ytap workspace rename | export | restore | delete``, and ``ytap erase``."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ytap_assets.cli.common import (
    ANY_PATH,
    examples,
    fail,
    new_run,
    one_workspace,
    open_platform,
    workspace_id,
)
from ytap_assets.cli.output import clean, note, say, terminal_columns, write_table
from ytap_assets.cli.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ytap_assets.lakehouse.erasure import Erased
    from ytap_assets.operations.platform import Platform
    from ytap_assets.operations.workspace_life import Remainder

_EXISTING = click.Path(exists=True, path_type=Path)


@workspace.command("rename", epilog=examples("ytap workspace rename tech gadgets"))
@workspace_id
@click.argument("new", metavar="NEW")
def rename(workspace_id: str, new: str) -> None:
    """Rename a workspace: its rows in the lake, and its folder.

    The uid stays. Earlier snapshots and reports keep the old name.
    """
    from ytap_assets.operations.workspace_life import rename_workspace

    platform = open_platform()
    active = _find_active(platform, workspace_id)
    rows = rename_workspace(
        platform, workspace_id, new, new_run("rename a workspace"), active=active
    )
    say(f"{workspace_id} is now {new}: {sum(rows.values()):,} rows in {len(rows)} tables")


@workspace.command(
    "export",
    epilog=examples(
        "ytap workspace export tech --output tech.zip",
        "ytap workspace export tech --output /mnt/other/tech",
    ),
)
@workspace_id
@click.option(
    "--output", "-o", type=ANY_PATH, required=True, help="A new folder, or a new .zip file."
)
def export(workspace_id: str, output: Path) -> None:
    """Export a workspace in open formats.

    The export contains a Parquet file per table, the files of the workspace's folder, and a
    manifest with row counts and checksums, by which it is verified.
    """
    from ytap_assets.operations.exports import export_workspace

    platform = open_platform()
    made = export_workspace(platform, workspace_id, output.absolute(), platform.now())
    say(
        f"{clean(str(made.path))}: {made.rows:,} rows of {len(made.manifest.tables)} tables and"
        f" {len(made.manifest.files)} files"
    )
    for name, reason in made.manifest.skipped.items():
        note(f"warning: {clean(name)} is not in the export: {clean(reason)}")


@workspace.command(
    "restore",
    epilog=examples(
        "ytap workspace restore tech.zip", "ytap workspace restore tech.zip --as tech-copy"
    ),
)
@click.argument("export", type=_EXISTING)
@click.option("--as", "name", metavar="NAME", help="The workspace's name; if omitted, the old one.")
def restore(export: Path, name: str | None) -> None:
    """Restore an exported workspace.

    EXPORT is verified before anything is written. The lake and the folder of workspaces must not
    have the workspace.
    """
    from ytap_assets.operations.exports import restore_workspace

    made = restore_workspace(
        open_platform(), export.absolute(), new_run("restore a workspace"), name=name
    )
    say(
        f"{made.workspace_id} restored: {sum(made.rows.values()):,} rows of"
        f" {len(made.rows)} tables and {made.files} files"
    )


@workspace.command(
    "delete",
    epilog=examples(
        "ytap workspace delete tech",
        "ytap workspace delete tech --confirm tech --export /mnt/other/tech.zip",
    ),
)
@workspace_id
@click.option("--confirm", metavar="NAME", help="The name again; if omitted, it is asked for.")
@click.option(
    "--export",
    "export_to",
    type=ANY_PATH,
    help="Where it is exported to before; if omitted, a file in the folder exports of the data"
    " folder.",
)
def delete(workspace_id: str, confirm: str | None, export_to: Path | None) -> None:
    """Export a workspace, and then delete everything of it.

    Its rows are erased from every file, snapshot and statistic of the lake, which ends time travel.
    Its folder and reports are deleted. A record without content stays in the table erasures. Lists
    what still holds its data.
    """
    from ytap_assets.operations.workspace_life import delete_workspace

    platform = open_platform()
    if export_to is None:
        made_at = f"{platform.now():%Y%m%dT%H%M%SZ}"
        export_to = platform.settings.data / "exports" / f"{workspace_id}-{made_at}.zip"
    if confirm is None:
        confirm = click.prompt(
            f"This deletes the workspace {clean(workspace_id)}. Type its name again"
        )
    done = delete_workspace(
        platform,
        workspace_id,
        new_run("delete a workspace"),
        confirmed=confirm,
        actor=getpass.getuser(),
        export_to=export_to.absolute(),
        find_active=lambda: _find_active(platform, workspace_id),
    )
    _report(done.erased)
    say(f"{done.reports} files of reports deleted")
    if done.has_folder:
        say("its folder was deleted")
    _list(done.remainders)


@click.command(
    epilog=examples(
        "ytap erase script s-17 -w tech",
        "ytap erase script s-17 -w tech --confirm s-17",
        "ytap erase video dQw4w9WgXcQ -w tech --confirm dQw4w9WgXcQ",
    )
)
@click.argument("entity", type=click.Choice(["script", "video"]))
@click.argument("name", metavar="ID")
@one_workspace
@click.option("--confirm", metavar="ID", help="The id again; without it, nothing is erased.")
def erase(
    entity: Literal["script", "video"], name: str, workspace: str, confirm: str | None
) -> None:
    """Erase the rows about a script or video of a workspace.

    Without --confirm, only shows how many rows would be erased. The rows go from every file,
    snapshot and statistic of the lake, which ends time travel for all tables. Inbox files, other
    rows that mention the id, and copies of the lake are listed, and not changed.
    """
    from ytap_assets.operations.workspace_life import (
        Subject,
        erase_subject,
        find_remainders,
        plan_erasure,
    )

    platform, subject = open_platform(), Subject(workspace, entity, name)
    if confirm is None:
        rows = [(table, count) for table, count in plan_erasure(platform, subject).items()]
        write_table(("table", "rows"), rows, say, columns=terminal_columns())
        note(f"nothing was erased; to erase these rows, add --confirm {clean(name)}")
        return
    if confirm != name:
        fail(f"the id was not repeated: {confirm!r} is not {name!r}; nothing was erased")
    erased = erase_subject(platform, subject, new_run(f"erase a {entity}"), actor=getpass.getuser())
    _report(erased)
    _list(find_remainders(platform, workspace))


def _find_active(platform: Platform, workspace: str) -> list[str]:
    """The runs of Dagster that work on a workspace, or may."""
    if not platform.settings.dagster_home.is_dir():
        return []
    from ytap_assets.defs.launch import open_instance, prepare_home
    from ytap_assets.defs.liveness import fail_dead_runs
    from ytap_assets.defs.runs import find_active_runs

    home = prepare_home(platform.settings)
    with open_instance(home) as instance:
        fail_dead_runs(instance, home, daemons_too=False)
        return find_active_runs(instance, workspace)


def _report(erased: Erased) -> None:
    rows = {table: count for table, count in erased.rows.items() if count}
    say(
        f"{sum(rows.values()):,} rows of {len(rows)} tables erased; files rewritten:"
        f" {erased.files_rewritten}, deleted: {erased.files_deleted}; snapshots expired:"
        f" {erased.snapshots_expired}"
    )
    for name in erased.foreign_files:
        note(f"warning: {clean(name)} was not written by the lake, and was not searched or deleted")


def _list(remainders: Sequence[Remainder]) -> None:
    if not remainders:
        return
    note("These may still hold the data:")
    rows = [(one.what, one.where, one.until) for one in remainders]
    names = ("what", "where", "until")
    write_table(names, rows, say, columns=terminal_columns(), whole_last=True)


COMMANDS = (erase,)
