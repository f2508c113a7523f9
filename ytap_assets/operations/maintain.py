"""Housekeeping: copy the lake aside, apply retention, merge, expire, sweep; keep few copies."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.errors import BackupError
from ytap_assets.lakehouse.maintenance import Maintained, maintain
from ytap_assets.lakehouse.manifest import Backup
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_PAYLOADS

KEEP_BACKUPS = 7
_AUTOMATIC = "auto-"
_BY_HAND = "backup-"
_PARTIAL = ".part"
_PARTIAL_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Maintenance:
    """What a housekeeping did.

    Attributes:
        backup: The copy that was made first.
        payloads_deleted: Payloads past their retention, by workspace.
        problems: Workspaces whose retention could not be applied, and why.
        lake: What was merged, expired and swept.
        backups_removed: Older automatic copies that were given up.
    """

    backup: Backup
    payloads_deleted: dict[str, int]
    problems: tuple[str, ...]
    lake: Maintained
    backups_removed: tuple[Path, ...]

    def as_metadata(self) -> dict[str, str | int]:
        """The counts by name, for people."""
        return {
            "backup": str(self.backup.folder),
            "backup_bytes": self.backup.size_bytes,
            "backups_removed": len(self.backups_removed),
            "payloads_deleted": sum(self.payloads_deleted.values()),
            **asdict(self.lake),
            "problems": "; ".join(self.problems) or "none",
        }


def maintain_lake(
    platform: Platform, run: Run, *, keep: int = KEEP_BACKUPS, now: datetime | None = None
) -> Maintenance:
    """Back up, delete what is past its retention, merge and sweep, and keep the newest backups.

    Args:
        platform: The installation.
        run: Who maintains.
        keep: How many automatic backups stay.
        now: The machine's time, by default. Snapshots and files are dated by the machine, so it is
            not the replayed present that says how old they are; retention of rows goes by that.

    Raises:
        LakeError: The lock could not be had, or the lake not be copied. What was done stays done,
            and old automatic backups are given up all the same: they would fill the disk.
    """
    moment = now or datetime.now(UTC)
    platform.lake.snapshot_id()  # a lake that is not there yet is made: an empty one is maintained
    folder = new_backup_folder(platform.settings, moment, is_automatic=True)
    try:
        backup = back_up(platform.settings, folder, moment)
        deleted, problems = apply_retention(platform, run, platform.now().date())
        maintained = maintain(platform.lake, moment, run)
    finally:
        removed = prune_backups(platform.settings, keep=keep, now=moment)
    return Maintenance(backup, deleted, tuple(problems), maintained, tuple(removed))


def apply_retention(platform: Platform, run: Run, today: date) -> tuple[dict[str, int], list[str]]:
    """Delete every workspace's payloads that are older than its config keeps them.

    Returns:
        Payloads deleted by workspace, and what kept a workspace from it.
    """
    usable, broken = platform.usable()
    problems = [str(problem) for problem in broken.values()]
    if not usable:
        return {}, problems
    with platform.lake.write(run) as transaction:
        deleted = {
            one.workspace_id: transaction.delete_before(
                RAW_PAYLOADS,
                one.workspace_id,
                today - timedelta(days=one.retention.raw_payloads_days),
            )
            for one in usable
        }
    return deleted, problems


def backup_lake(platform: Platform, folder: Path | None, *, now: datetime | None = None) -> Backup:
    """Copy the lake into a folder of the user's, or a new one under ``data/backups``.

    Raises:
        LakeMissingError: There is no lake.
        BackupError: The folder is there already.
    """
    moment = now or datetime.now(UTC)
    target = folder or new_backup_folder(platform.settings, moment, is_automatic=False)
    return back_up(platform.settings, target.absolute(), moment)


def restore_lake(platform: Platform, folder: Path, *, now: datetime | None = None) -> Backup:
    """Put a backup back; what was there is kept beside it.

    Raises:
        BackupError: The backup is damaged, or was made by a newer DuckDB.
    """
    return restore(platform.settings, folder.absolute(), now or datetime.now(UTC))


def backups_folder(settings: Settings) -> Path:
    """Where backups without a place of their own are."""
    return settings.data / "backups"


def new_backup_folder(settings: Settings, now: datetime, *, is_automatic: bool) -> Path:
    """A folder for a backup that is not there yet; names sort by time."""
    prefix = _AUTOMATIC if is_automatic else _BY_HAND
    return backups_folder(settings) / f"{prefix}{now:%Y%m%dT%H%M%S.%fZ}"


def prune_backups(settings: Settings, *, keep: int, now: datetime) -> list[Path]:
    """Remove automatic backups but the newest, and halves that a killed backup left behind.

    Backups that a person asked for are never removed.

    Raises:
        BackupError: Fewer than one backup was to be kept.
    """
    if keep < 1:
        raise BackupError(f"keep={keep}: at least one backup is kept")
    folders = sorted(path for path in backups_folder(settings).glob(f"{_AUTOMATIC}*"))
    halves = [path for path in folders if path.name.endswith(_PARTIAL)]
    whole = [path for path in folders if path not in halves and path.is_dir()]
    since = (now - _PARTIAL_FOR).timestamp()
    removed = whole[:-keep] + [path for path in halves if path.stat().st_mtime < since]
    for path in removed:
        shutil.rmtree(path)
    return removed
