"""Scripts as files: ``import records``, ``import scripts`` and ``script export``.

Belongs here: their arguments, and what they report. Does not belong here: decisions about scripts
(`script`), or recorded trends (`pipeline`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ytap_assets.cli.common import (
    ANY_PATH,
    FAILED,
    MISUSED,
    default_workspace,
    examples,
    new_run,
    one_workspace,
    open_platform,
    output_format,
)
from ytap_assets.cli.output import (
    Format,
    clean,
    note,
    one_line,
    say,
    show_steps,
    terminal_columns,
    write_rows,
    write_table,
)
from ytap_assets.cli.pipeline import expand_folders, imports
from ytap_assets.cli.script import check_state, read_actor, scripts

if TYPE_CHECKING:
    import polars as pl

    from ytap_assets.operations.imports import ImportFailedError
    from ytap_assets.operations.platform import Platform

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
        _fail(error)
    _show_outcome(outcome)


@imports.command(
    "scripts",
    epilog=examples(
        "ytap import scripts scripts.jsonl --workspace tech",
        "ytap import scripts edited.csv -w tech",
        "ytap import scripts edited.csv -w tech --apply --as Ada",
    ),
)
@click.argument("file", type=ANY_PATH)
@one_workspace
@click.option("--apply", "is_applied", is_flag=True, help="Store the edits of a CSV file.")
@click.option(
    "--as", "actor", metavar="NAME", help="Name of the person who edits; by default the login name."
)
@output_format
def import_scripts(
    file: Path, workspace: str, is_applied: bool, actor: str | None, shape: Format
) -> None:
    """Import scripts, or edits of scripts in review.

    A file with the JSON lines of `ytap script export` is imported with all events. Of a CSV file,
    the edited cells are shown; --apply stores them. A row that cannot be stored as it is, is
    refused with the reason.
    """
    from ytap_assets.operations.script_imports import looks_like_histories

    platform = open_platform()
    if not looks_like_histories(file):
        _import_edits(platform, file, workspace, read_actor(actor) if is_applied else None, shape)
    elif is_applied:
        raise click.UsageError("--apply is for CSV files; JSON lines are imported without it")
    else:
        _import_histories(platform, file, workspace)


def _import_histories(platform: Platform, file: Path, workspace: str) -> None:
    from ytap_assets.operations.imports import ImportFailedError
    from ytap_assets.operations.script_imports import import_histories

    run = new_run("import scripts")
    try:
        outcome, others = import_histories(platform, file, workspace_id=workspace, run=run)
    except ImportFailedError as error:
        _fail(error)
    _show_outcome(outcome)
    if others:
        note(f"exported from: {', '.join(map(clean, others))}; imported into {workspace}")


def _import_edits(
    platform: Platform, file: Path, workspace: str, actor: str | None, shape: Format
) -> None:
    """Show the edits of a table, and store them if somebody has applied them."""
    from ytap_assets.operations.script_tables import read_edits, store_edits

    table = read_edits(platform, file, workspace)
    edits, refused = table.plan.edits, list(table.plan.refused)
    if actor is not None:
        run = new_run("edit scripts")
        edits, late = store_edits(platform, edits, workspace_id=workspace, actor=actor, run=run)
        refused += late
    names = ("script_id", "column", "old", "new")
    rows = [
        (edit.script_id, one.column, one.show(one.old), one.show(one.new))
        for edit in edits
        for one in edit.changes
    ]
    write_rows(names, rows, shape, say, columns=terminal_columns())
    if table.ignored:
        note(f"ignored columns: {', '.join(map(clean, table.ignored))}")
    if not table.has_revision:
        note(
            "warning: without the column `revision`, a value that was changed since the export"
            " cannot be told from an edit"
        )
    if actor is None:
        note("Nothing was stored; `--apply` stores these edits" if edits else "No edits to store")
    else:
        note(f"scripts edited by {clean(actor)}: {len(edits)}")
    for one in refused:
        note(f"error: {one_line(str(one))}")
    if refused:
        raise click.exceptions.Exit(FAILED)


@scripts.command(
    "export",
    epilog=examples(
        "ytap script export -w tech --format csv --output scripts.csv",
        "ytap script export -w tech --format csv --state script_pending_review > review.csv",
        "ytap script export -w tech --format jsonl --output scripts.jsonl",
    ),
)
@one_workspace
@click.option(
    "--format",
    "-f",
    "shape",
    type=click.Choice(["csv", "jsonl"]),
    required=True,
    help="csv: a table for people; jsonl: all events, to be imported again.",
)
@click.option("--output", "-o", type=ANY_PATH, help="A new file; by default the standard output.")
@click.option("--state", help="Only scripts in this state.")
def export(workspace: str, shape: str, output: Path | None, state: str | None) -> None:
    """Export a workspace's scripts.

    Texts that a spreadsheet would run as a formula get an apostrophe before them, which the import
    removes.
    """
    from ytap_assets.operations.script_tables import export_histories, export_table

    check_state(state)
    platform = open_platform(may_only_read=True)
    lines = (export_table if shape == "csv" else export_histories)(platform, workspace, state)
    if output is None:
        for line in lines:
            sys.stdout.write(line)
        return
    count = _write_new(output, lines)
    say(f"{clean(str(output))}: scripts: {count - 1 if shape == 'csv' else count}")


def _write_new(path: Path, lines: Iterable[str]) -> int:
    """Write a file as a whole; one that is there already is left alone.

    Returns:
        The number of lines.
    """
    if path.exists() or path.is_symlink():
        raise click.BadParameter(
            f"{clean(str(path))} exists; give the name of a new file", param_hint="--output"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("x", encoding="utf-8", newline="") as file:
            count = sum(1 for line in lines if file.write(line))
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _fail(error: ImportFailedError) -> NoReturn:
    _show_outcome(error.outcome)
    for problem in error.problems:
        note(f"error: {one_line(problem)}")
    raise click.exceptions.Exit(MISUSED if error.only_refused else FAILED) from error


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
