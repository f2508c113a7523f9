"""Housekeeping: copy the lake, prune old copies, apply retention, merge, expire, sweep."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.backup import back_up, list_copies
from ytap_assets.lakehouse.maintenance import Maintained, maintain
from ytap_assets.lakehouse.manifest import Backup
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.backups import (
    KEEP_BACKUPS,
    find_doubt,
    new_backup_folder,
    prune_backups,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import RAW_PAYLOADS


@dataclass(frozen=True)
class Maintenance:
    """What a housekeeping did.

    Attributes:
        backup: The copy that was made first.
        payloads_deleted: Payloads past their retention, by workspace.
        problems: Workspaces whose retention could not be applied, and why.
        lake: What was merged, expired and swept.
        backups_removed: Older automatic copies that were removed.
        doubt: Why no copy was removed, and nothing expired or deleted.
    """

    backup: Backup
    payloads_deleted: dict[str, int]
    problems: tuple[str, ...]
    lake: Maintained
    backups_removed: tuple[Path, ...]
    doubt: str | None = None

    @property
    def refusals(self) -> tuple[str, ...]:
        """What was refused because it was not proved to be safe, and what to do about it."""
        found = (self.doubt, self.lake.refusal)
        return tuple(dict.fromkeys(reason for reason in found if reason is not None))

    def as_metadata(self) -> dict[str, str | int]:
        """The counts by name, for people."""
        return {
            "backup": str(self.backup.folder),
            "backup_bytes": self.backup.size_bytes,
            "backups_removed": len(self.backups_removed),
            "payloads_deleted": sum(self.payloads_deleted.values()),
            **{name: value for name, value in asdict(self.lake).items() if name != "refusal"},
            "problems": "; ".join(self.problems) or "none",
            "refused": "; ".join(self.refusals) or "none",
        }


def maintain_lake(
    platform: Platform,
    run: Run,
    *,
    keep: int = KEEP_BACKUPS,
    sweep_anyway: Path | None = None,
    now: datetime | None = None,
) -> Maintenance:
    """Back up, prune old copies, delete what is past its retention, merge, expire and sweep.

    Nothing is deleted before a copy of the lake was made and verified; where it is implausible
    against those that are there, only small files are merged.

    Args:
        platform: The installation.
        run: Who maintains.
        keep: How many automatic backups stay.
        sweep_anyway: The data path, named by somebody who wants the files swept although the
            result is implausible.
        now: The machine's time, by default. Snapshots and files are dated by the machine, so it is
            not the replayed present that says how old they are; retention of rows goes by that.

    Raises:
        ConfigError: ``sweep_anyway`` names another folder than the data path.
        LakeError: The lock could not be had, or the lake not be copied. What was done stays done.
    """
    settings = platform.settings
    if sweep_anyway is not None and sweep_anyway.resolve() != settings.data_path.resolve():
        raise ConfigError(f"{sweep_anyway} is not the data path, which is {settings.data_path}")
    moment = now or datetime.now(UTC)
    platform.lake.snapshot_id()  # a lake that is not there yet is made: an empty one is maintained
    earlier = list_copies(settings)
    folder = new_backup_folder(settings, moment, is_automatic=True)
    backup = back_up(settings, folder, moment)
    doubt = find_doubt(backup, earlier)
    removed = [] if doubt else prune_backups(settings, backup, keep=keep, now=moment)
    hold_back = None if sweep_anyway else doubt
    deleted, problems = (
        ({}, []) if hold_back else apply_retention(platform, run, platform.now().date())
    )
    maintained = maintain(
        platform.lake, moment, run, sweep_anyway=sweep_anyway is not None, doubt=hold_back
    )
    return Maintenance(backup, deleted, tuple(problems), maintained, tuple(removed), doubt)


def apply_retention(platform: Platform, run: Run, today: date) -> tuple[dict[str, int], list[str]]:
    """Delete every workspace's payloads that are older than its config keeps them.

    Returns:
        Payloads deleted by workspace, and what kept a workspace from it.
    """
    readable, broken = platform.workspaces.readable()
    problems = [str(problem) for problem in broken.values()]
    if not readable:
        return {}, problems
    with platform.lake.write(run) as transaction:
        deleted = {
            one.workspace_id: transaction.delete_before(
                RAW_PAYLOADS,
                one.workspace_id,
                today - timedelta(days=one.retention.raw_payloads_days),
            )
            for one in readable
        }
    return deleted, problems
