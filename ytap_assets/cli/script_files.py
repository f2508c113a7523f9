"""Commands that read and write scripts as files: ``import records``.

Belongs here: their arguments, and what they report. Does not belong here: decisions about scripts
(`script`), or recorded trends (`pipeline`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.common import (
    ANY_PATH,
    FAILED,
    MISUSED,
    default_workspace,
    examples,
    new_run,
    open_platform,
)
from ytap_assets.cli.output import (
    clean,
    note,
    one_line,
    say,
    show_steps,
    terminal_columns,
    write_table,
)
from ytap_assets.cli.pipeline import expand_folders, imports

if TYPE_CHECKING:
    import polars as pl

_COUNTS = ("fetched", "accepted", "quarantined", "duplicates")


@imports.command(
    "records",
    epilog=examples(
        "ytap import records records.jsonl --workspace tech",
        "ytap import records data/ -w tech --map tech_ai_creator=tech --map gym_pro=fitness",
    ),
)
@click.argument("files", type=ANY_PATH, nargs=-1, required=True)
@default_workspace
@click.option(
    "--map",
    "pairs",
    metavar="THEIRS=OURS",
    multiple=True,
    help="Workspace of records with this workspace_id; can be repeated.",
)
def import_records(files: tuple[Path, ...], workspace: str | None, pairs: tuple[str, ...]) -> None:
    """Import the records of yt_autopilot, with the history of each script.

    A record with a workspace_id belongs to the workspace that --map gives. All files are imported
    in one commit. Importing a file again changes nothing.
    """
    from ytap_assets.operations.imports import ImportFailedError
    from ytap_assets.operations.script_imports import import_records as store_records

    owners = _read_pairs(pairs)
    found = list(expand_folders(files))
    platform = open_platform()
    try:
        with show_steps(len(found)) as on_step:
            outcome = store_records(
                platform,
                found,
                run=new_run("import records"),
                workspace_id=workspace,
                owners=owners,
                progress=lambda path: on_step(str(path)),
            )
    except ImportFailedError as error:
        _show_outcome(error.outcome)
        for problem in error.problems:
            note(f"error: {one_line(problem)}")
        raise click.exceptions.Exit(MISUSED if error.only_refused else FAILED) from error
    _show_outcome(outcome)


def _read_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for pair in pairs:
        theirs, _, ours = pair.rpartition("=")
        if not theirs or not ours:
            raise click.BadParameter(
                f"{pair!r} is not THEIRS=OURS, such as tech_ai_creator=tech", param_hint="--map"
            )
        if owners.setdefault(theirs, ours) != ours:
            raise click.BadParameter(
                f"{theirs!r} is given twice, for {owners[theirs]} and {ours}", param_hint="--map"
            )
    return owners


def _show_outcome(outcome: pl.DataFrame) -> None:
    """A row per file and workspace, and where the bad lines are."""
    if outcome.is_empty():
        return
    names = ("target", "workspace_id", *_COUNTS)
    rows = [*outcome.select(names).iter_rows()]
    rows.append(("total", None, *outcome.select(_COUNTS).sum().row(0)))
    right = [name in _COUNTS for name in names]
    shown = ("file", "workspace", *_COUNTS)
    write_table(shown, rows, say, right=right, columns=terminal_columns(), limit=None)
    for workspace_id in outcome.remove(quarantined=0)["workspace_id"].unique().sort():
        query = "select origin, place, reason, original from quarantined_rows"
        note(f'Lines in quarantine: ytap sql "{query}" -w {workspace_id}')
    for row in outcome.filter(accepted=0).iter_rows(named=True):
        if row["duplicates"]:
            note(f"{clean(row['target'])}: nothing new in {row['workspace_id']}")


COMMANDS: tuple[click.Command, ...] = ()
"""None at the top: these are commands of the groups ``import`` and ``script``."""
