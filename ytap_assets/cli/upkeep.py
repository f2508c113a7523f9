"""Commands that look after the installation: ``maintain``, ``backup``, ``restore``, ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.context import (
    new_run,
    open_platform,
    say,
    tell_problems,
    terminal_columns,
)
from ytap_assets.cli.group import FAILED
from ytap_assets.cli.options import FOLDER, NEW_FOLDER, examples, output_format
from ytap_assets.cli.text import clean

if TYPE_CHECKING:
    from ytap_assets.cli.results import Format


@click.command(epilog=examples("ytap maintain", "ytap maintain --keep 14"))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="How many automatic backups stay.",
)
def maintain(keep: int) -> None:
    """Back up the lake, then keep it small and fast.

    Payloads past their retention are deleted, small files merged, old snapshots expired, and files
    swept that nobody refers to. The newest automatic backups stay.
    """
    from ytap_assets.operations.maintain import maintain_lake

    done = maintain_lake(open_platform(), new_run("maintain the lake"), keep=keep)
    facts = done.as_metadata()
    longest = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{longest}}  {clean(str(value))}")
    tell_problems(done.problems)
    if done.problems:
        raise click.exceptions.Exit(FAILED)


@click.command(epilog=examples("ytap backup", "ytap backup /mnt/copies/friday"))
@click.argument("folder", type=NEW_FOLDER, required=False)
def backup(folder: Path | None) -> None:
    """Copy the lake, as it stands at one moment.

    FOLDER is a new folder; without one it is made under the data folder's backups.
    """
    from ytap_assets.operations.maintain import backup_lake

    made = backup_lake(open_platform(), folder)
    say(
        f"{clean(str(made.folder))}: {len(made.files)} files, {made.size_bytes / 10**6:.1f} MB,"
        f" DuckDB {made.duckdb_version}"
    )


@click.command(epilog=examples("ytap restore data/backups/backup-20261120T020000.000000Z"))
@click.argument("folder", type=FOLDER)
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")
def restore(folder: Path, is_sure: bool) -> None:
    """Put a backup back; the lake that is there is kept.

    Every file of the copy is compared with its checksum before anything is changed.
    """
    from ytap_assets.lakehouse.manifest import read_manifest
    from ytap_assets.operations.maintain import restore_lake

    platform = open_platform()
    found = read_manifest(folder.absolute())
    say(
        f"backup of {found.made_at:%Y-%m-%d %H:%M} UTC: {len(found.files)} files,"
        f" {found.size_bytes / 10**6:.1f} MB"
    )
    if not is_sure:
        click.confirm(f"Replace the lake at {clean(str(platform.settings.catalog))}?", abort=True)
    restore_lake(platform, folder)
    say("restored; the lake that was there is kept beside it as *.before-<time>")


@click.command(epilog=examples("ytap doctor", "ytap doctor --online", "ytap doctor -f json"))
@click.option(
    "--online", "is_online", is_flag=True, help="Ask every source's host whether it answers."
)
@output_format
def doctor(is_online: bool, shape: Format) -> None:
    """Check up what is set, reachable, stale, broken.

    Nothing is changed. Secrets are told by name, never by value. Ends with 1 where a check failed.
    """
    from ytap_assets.cli.results import write_rows
    from ytap_assets.operations.doctor import examine, probe_host
    from ytap_assets.settings import Settings

    settings = Settings.from_env()
    findings = examine(settings, now=settings.now(), probe=probe_host if is_online else None)
    rows = [(one.verdict, one.area, one.subject, one.detail) for one in findings]
    names = ("verdict", "area", "subject", "detail")
    write_rows(names, rows, shape, say, columns=terminal_columns(), whole_last=True)
    if any(one.verdict == "fail" for one in findings):
        raise click.exceptions.Exit(FAILED)


COMMANDS = (maintain, backup, restore, doctor)
