"""Commands that look after the lake, from ``maintain`` to ``doctor``."""

from __future__ import annotations

import shlex
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.common import (
    ANY_PATH,
    FAILED,
    FOLDER,
    Day,
    choose_workspaces,
    examples,
    fail,
    new_run,
    one_workspace,
    open_platform,
    output_format,
    some_workspaces,
)
from ytap_assets.cli.output import (
    Format,
    clean,
    note,
    one_line,
    report_problems,
    say,
    terminal_columns,
    write_rows,
)

if TYPE_CHECKING:
    from ytap_assets.lakehouse.lake_copy import History
    from ytap_assets.tables.base import Entity

_SHOWN_EACH = 100


@click.command(epilog=examples("ytap maintain", "ytap maintain --keep 14"))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="Number of automatic backups to keep.",
)
@click.option(
    "--sweep-anyway",
    metavar="DATA-PATH",
    help="Delete unreferenced files also if they are more than half of all files. DATA-PATH is the"
    " lake's place of files, as a confirmation.",
)
@click.option(
    "--trust-clock",
    is_flag=True,
    help="Accept a clock that is far from the lake's commits.",
)
@click.option(
    "--allow-large-deletion",
    is_flag=True,
    help="Allow the deletion of most payloads or snapshots.",
)
def maintain(
    keep: int, sweep_anyway: str | None, trust_clock: bool, allow_large_deletion: bool
) -> None:
    """Back up the lake, merge its files, and apply the retention.

    Payloads past their retention are deleted, small files merged, old snapshots expired, and
    unreferenced files deleted. The newest automatic backups are kept. A deletion that cannot be
    verified as safe is refused, with exit code 1.
    """
    from ytap_assets.operations.maintenance import maintain_lake

    platform, run = open_platform(), new_run("maintain the lake")
    done = maintain_lake(
        platform,
        run,
        keep=keep,
        sweep_anyway=sweep_anyway,
        trust_clock=trust_clock,
        allow_large_deletion=allow_large_deletion,
    )
    facts = done.as_metadata()
    longest = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{longest}}  {clean(str(value))}")
    report_problems(done.problems)
    for refusal in done.refusals:
        note(f"error: {one_line(refusal)}")
    if done.problems or done.refusals:
        raise click.exceptions.Exit(FAILED)


@click.command(
    epilog=examples(
        "ytap backup",
        "ytap backup /mnt/copies/friday",
        "ytap backup --verify",
        "ytap backup --verify /mnt/copies/friday",
    )
)
@click.argument("folder", type=ANY_PATH, required=False)
@click.option("--verify", "verifies", is_flag=True, help="Verify a backup instead of making one.")
def backup(folder: Path | None, verifies: bool) -> None:
    """Back up the lake, or verify a backup.

    Not included are the workspaces' folders: configs with their uids, inbox files, decisions and
    videos. Back them up separately; without its config a workspace cannot use a restored lake.

    FOLDER is a new folder; by default one in the data folder's backups. With --verify it is a
    backup, by default the newest: the checksum of every file is compared, the backup is restored
    into a temporary folder, and the rows of its tables are counted.
    """
    from ytap_assets.operations.maintenance import backup_lake

    if verifies:
        _verify(folder)
        return
    platform = open_platform()
    made = backup_lake(platform, folder)
    say(
        f"{clean(str(made.folder))}: {len(made.files)} files, {made.size_bytes / 10**6:.1f} MB,"
        f" DuckDB {made.duckdb_version}"
    )
    if platform.settings.workspace_source == "lake":
        note("included as far as they were pushed: configs, inbox files, decisions; not: videos")
        return
    folders = clean(str(platform.settings.workspaces))
    note(
        f"not included: {folders} (configs, inbox files, decisions, videos); back it up separately"
    )


def _verify(folder: Path | None) -> None:
    from ytap_assets.operations.maintenance import drill_restore, verify_backup
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    if folder is None:
        drill = drill_restore(settings)
        if drill.problem is not None:
            fail(drill.problem)
        place, tables, rows = drill.folder, drill.tables, drill.rows
    else:
        found = verify_backup(settings, folder)
        place, tables = str(folder), len(found.tables)
        rows = sum(found.tables.values())
    say(
        f"{clean(place)}: verified; {tables} restored tables have {rows:,} rows, as in the manifest"
    )


@click.command(epilog=examples("ytap restore data/backups/backup-20261120T020000.000000Z"))
@click.argument("folder", type=FOLDER)
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Skip the confirmation.")
def restore(folder: Path, is_sure: bool) -> None:
    """Restore a backup; the current lake is kept beside it.

    First shows how many commits of the current lake the backup does not contain, and the last
    decisions of people in them. The checksum of every file of the backup is verified before
    anything is changed. To undo a restore, move the kept catalog and files back: docs/recovery.md.
    """
    from ytap_assets.lakehouse.copies import read_manifest
    from ytap_assets.operations.maintenance import describe_dropped, restore_lake

    platform = open_platform()
    found = read_manifest(folder.absolute())
    say(
        f"backup of {found.made_at:%Y-%m-%d %H:%M} UTC: {len(found.files)} files,"
        f" {found.size_bytes / 10**6:.1f} MB"
    )
    dropped = describe_dropped(platform.settings, folder)
    for text in dropped:
        say(one_line(text))
    if not is_sure:
        question = (
            f"Replace the lake at {clean(platform.settings.catalog_name)}, with its files in"
            f" {clean(platform.settings.files_name)}? (--yes skips this question)"
        )
        if not click.confirm(question):
            fail("not restored; the lake is unchanged")
    kept = restore_lake(platform, folder)
    places = " and ".join(clean(place) for place in kept)
    say(f"restored; the previous lake is kept: {places}" if kept else "restored")
    if len(dropped) > 1:
        note(
            "The decisions listed above are not in the restored lake; repeat those that were made"
            " with `ytap script`."
        )


@click.command(epilog=examples("ytap doctor", "ytap doctor --online", "ytap doctor -f json"))
@click.option(
    "--online", "is_online", is_flag=True, help="Also check that every source's host responds."
)
@output_format
def doctor(is_online: bool, shape: Format) -> None:
    """Check setup, sources, freshness, health and versions.

    Changes nothing. Secrets are shown by name, never by value. Exits with 1 if a check failed.
    """
    from ytap_assets.operations.doctor import examine, probe_host
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    findings = examine(settings, now=settings.now(), probe=probe_host if is_online else None)
    rows = [(one.verdict, one.area, one.subject, one.detail) for one in findings]
    names = ("verdict", "area", "subject", "detail")
    write_rows(names, rows, shape, say, columns=terminal_columns(), whole_last=True)
    if any(one.verdict == "fail" for one in findings):
        raise click.exceptions.Exit(FAILED)


@click.group()
def lake() -> None:
    """Create, copy or upgrade a lake."""


@lake.command("create", epilog=examples("YTAP_CATALOG=/srv/lake/catalog.sqlite ytap lake create"))
def create() -> None:
    """Create an empty lake.

    A lake is created automatically only at the default path of a data folder. Use this command if
    YTAP_CATALOG or YTAP_DATA_PATH is set. Fails if a catalog or Parquet files exist there.
    """
    from ytap_assets.lakehouse.lake import Lake
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    Lake.create(settings).close()
    say(
        f"{clean(settings.catalog_name)}: created an empty lake; its files are in"
        f" {clean(settings.files_name)}"
    )


@lake.command(
    "copy",
    epilog=examples(
        "ytap lake copy --to-catalog postgresql://ytap@db.example/lakes --to-data s3://bucket/lake",
        "ytap lake copy --to-catalog /srv/lake/catalog.sqlite --to-data /srv/lake/files",
    ),
)
@click.option("--to-catalog", required=True, help="The new catalog; a value as of YTAP_CATALOG.")
@click.option("--to-data", required=True, help="The new files; a value as of YTAP_DATA_PATH.")
@click.option(
    "--history",
    type=click.Choice(["keep", "leave"]),
    default="keep",
    show_default=True,
    help="Copy all readable snapshots, or the newest rows only.",
)
@output_format
def copy(to_catalog: str, to_data: str, history: History, shape: Format) -> None:
    """Copy the lake to another catalog and place of files, of any kind.

    The copy is of the newest snapshot. Every row is read at both ends and compared; with a
    difference, the exit code is 1 and there is no lake at the target. Run the command again to
    continue a copy that was interrupted. The lake itself is not changed.
    """
    from ytap_assets.lakehouse.lake_copy import copy_lake
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    target = settings.at(("--to-catalog", to_catalog), ("--to-data", to_data))
    made = copy_lake(settings, target, new_run("copy the lake"), history, _show_sent)
    rows = [
        (one.table, one.workspaces, one.rows, "different" if one.problems else "equal")
        for one in made.tables
    ]
    names = ("table", "workspaces", "rows", "checksum")
    write_rows(names, rows, shape, say, columns=terminal_columns())
    for one in made.tables:
        for problem in one.problems:
            note(f"{clean(one.table)}: {one_line(problem)}")
    if not made.is_equal:
        fail(
            "the copy is not usable, and is not a lake: its rows differ. The lake is unchanged. Run"
            " the command again: files that differ are sent again"
        )
    note(
        f"copied snapshot {made.snapshot_id} of {made.snapshot_at}: {made.files} files, of which"
        f" {made.sent} ({made.sent_bytes / 10**6:.1f} MB) were sent now; readable snapshots in the"
        f" copy: {made.snapshots} ({'all' if history == 'keep' else 'without history'})"
    )
    note(
        "to use the copy, set these variables for every process, and do not write to the old lake"
        " any more:"
    )
    note(f"YTAP_CATALOG={shlex.quote(target.catalog_name)}")
    note(f"YTAP_DATA_PATH={shlex.quote(target.files_name)}")


def _show_sent(_name: str, sent: int, files: int) -> None:
    if sent % _SHOWN_EACH == 0:
        note(f"{sent:,} of {files:,} files sent")


@lake.command("upgrade", epilog=examples("ytap lake upgrade --dry-run", "ytap lake upgrade"))
@click.option("--dry-run", "is_dry", is_flag=True, help="Show the changes without making them.")
def upgrade(is_dry: bool) -> None:
    """Upgrade the lake's tables to this version.

    Each change is shown with the statement that undoes it. Any other command that writes to the
    lake makes the same changes when it opens it.
    """
    from ytap_assets.lakehouse.inspection import inspect_lake
    from ytap_assets.lakehouse.lake import Lake
    from ytap_assets.settings import Settings
    from ytap_assets.tables import TABLES

    settings = Settings.from_env()
    with inspect_lake(settings) as inspection:
        changes = inspection.pending(TABLES)
    for change in changes:
        for statement in change.statements:
            say(f"{statement};")
        say(f"-- undo: {change.undo};")
    if not changes:
        note("the tables are as declared; nothing to do")
    elif is_dry:
        note(f"{len(changes)} pending changes; nothing was changed")
    else:
        Lake.open(settings).close()
        note(
            f"{len(changes)} changes made; the newest snapshot contains the statements that undo"
            " them"
        )


@click.command(
    epilog=examples(
        "ytap reparse -w tech --from 2026-11-01",
        "ytap reparse --all-workspaces --write",
    )
)
@some_workspaces
@click.option("--from", "first", type=Day(), help="First day; if omitted, the first stored day.")
@click.option("--to", "last", type=Day(), help="Last day; if omitted, the last stored day.")
@click.option("--write", "writes", is_flag=True, help="Store the new rows.")
@output_format
def reparse(
    workspaces: tuple[str, ...],
    all_workspaces: bool,
    first: date | None,
    last: date | None,
    writes: bool,
    shape: Format,
) -> None:
    """Parse stored responses again, and show the differences.

    Use it after a parser was fixed: the current parsers are used. Rows are only added: those of
    items without a row (added), and those that differ from an item's stored rows (changed). In a
    table with unique keys the stored row is kept (conflicting). The network is not used.
    """
    from ytap_assets.operations.imports import DIFFERENCES, reparse_payloads
    from ytap_assets.operations.platform import check_order

    days = (first or date.min, last or date.max)
    check_order(days)
    platform, run = open_platform(may_only_read=not writes), new_run("parse stored responses again")
    wanted, broken = choose_workspaces(platform, workspaces, all_workspaces=all_workspaces)
    problems = [str(error) for error in broken]
    find = platform.workspaces.get_open if writes else platform.workspace
    for workspace_id in wanted:
        find(workspace_id)  # report a wrong name before anything is done
    differing: list[tuple[object, ...]] = []
    fetches = 0
    for workspace_id in wanted:
        done = reparse_payloads(platform, workspace_id, run, days=days, writes=writes)
        differing += done.differing.rows()
        fetches += done.fetches
        problems += (f"workspace {workspace_id}: {problem}" for problem in done.problems)
    write_rows(DIFFERENCES.names(), differing, shape, say, columns=terminal_columns())
    if differing:
        what = "stored" if writes else "not stored; store it with --write"
    elif fetches or problems:
        what = "nothing differs"
    else:
        what = "no stored response to parse in these days"
    note(f"fetches parsed again: {fetches}; {what}")
    report_problems(problems)
    if problems:
        raise click.exceptions.Exit(FAILED)


@click.command(
    epilog=examples(
        "ytap impact channel UCbR7vQxk2mT9dWnLs4HyPzA -w tech",
        "ytap impact account 'youtube @kernelpanicclub' -w tech",
        "ytap impact workspace -w tech",
    )
)
@click.argument(
    "entity", type=click.Choice(["workspace", "script", "source", "channel", "account", "video"])
)
@click.argument("name", required=False)
@one_workspace
@output_format
def impact(entity: Entity, name: str | None, workspace: str, shape: Format) -> None:
    """Show the effect of deleting or disabling something.

    The effect is that on the rows about it. NAME is a source, the id of a script, channel or video,
    or an account's platform and handle. Changes nothing.
    """
    from ytap_assets.operations.workspaces import explain_no_rows, preview_removal
    from ytap_assets.tables.base import ENTITIES, REMOVALS

    impacts = preview_removal(open_platform(may_only_read=True), workspace, entity, name)
    note(ENTITIES[entity])
    if name is not None and not any(one.rows for one in impacts):
        note(f"warning: {explain_no_rows(entity, name)}")
    rows = [(one.table, one.rows, REMOVALS[one.removal]) for one in impacts]
    names = ("table", "rows", "what happens to them")
    write_rows(names, rows, shape, say, columns=terminal_columns(), whole_last=True)


COMMANDS = (maintain, backup, restore, lake, reparse, impact, doctor)
