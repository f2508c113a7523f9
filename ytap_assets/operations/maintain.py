"""Housekeeping: copy the lake, prune old copies, apply retention, merge, expire, sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ytap_assets.domain.plausibility import doubt_clock, doubt_expiry, doubt_retention
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.copies import Copy, find_newer_copy, list_copies
from ytap_assets.lakehouse.maintenance import Maintained, maintain
from ytap_assets.lakehouse.manifest import Backup
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.backups import (
    KEEP_BACKUPS,
    find_doubt,
    make_copy,
    new_backup_folder,
    prune_backups,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import RAW_PAYLOADS

_ALLOW = "--allow-large-deletion"


@dataclass(frozen=True)
class Maintenance:
    """The result of maintaining the lake and its backups.

    Attributes:
        backup: The copy that was made first.
        payloads_deleted: Payloads past their retention, by workspace.
        problems: Workspaces whose retention could not be applied, and why.
        lake: What was merged, expired and deleted.
        backups_removed: Older automatic copies that were removed.
        refusals: What was not deleted because it could not be verified as safe, and what to do.
    """

    backup: Backup
    payloads_deleted: dict[str, int]
    problems: tuple[str, ...]
    lake: Maintained
    backups_removed: tuple[Path, ...]
    refusals: tuple[str, ...] = ()

    def as_metadata(self) -> dict[str, str | int]:
        """The counts by display name."""
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
    trust_clock: bool = False,
    allow_large_deletion: bool = False,
    now: datetime | None = None,
) -> Maintenance:
    """Back up, prune old copies, apply the retention, merge files, expire snapshots and clean up.

    Nothing is deleted before a copy of the lake was made and verified. Only small files are merged
    if the copy is implausible compared with existing ones, or one of them has commits that the
    catalog lacks, or the present is implausible compared with the lake's commits, or nearly all
    snapshots would expire.

    Args:
        platform: The installation.
        run: The author of the maintenance.
        keep: The number of automatic backups to keep.
        sweep_anyway: The data path, to confirm an implausible deletion of files; it has no effect
            if a copy has commits that the catalog lacks.
        trust_clock: Accept an implausible clock.
        allow_large_deletion: Apply the retention and expire snapshots even if most of them would be
            deleted.
        now: The machine's time, by default. It determines the age of snapshots and files, also
            under replay; the age of rows is relative to the replayed present.

    Raises:
        ConfigError: ``sweep_anyway`` names another folder than the data path.
        LakeError: The lock was not available, or the lake could not be copied. Completed steps
            remain.
    """
    settings = platform.settings
    if sweep_anyway is not None and sweep_anyway.resolve() != settings.data_path.resolve():
        raise ConfigError(f"{sweep_anyway} is not the data path, which is {settings.data_path}")
    moment = now or datetime.now(UTC)
    platform.lake.snapshot_id()  # a lake that is not there yet is made: an empty one is maintained
    commits = platform.lake.commit_times()  # before the maintenance makes its own
    earlier = list_copies(settings)
    folder = new_backup_folder(settings, moment, is_automatic=True)
    backup = make_copy(settings, folder, moment, reads_all=False)
    older = _doubt_catalog(platform, earlier)
    doubt = older or find_doubt(backup, earlier)
    removed = [] if doubt else prune_backups(settings, backup, keep=keep, now=moment)
    copy = older if sweep_anyway else doubt
    clock = None if trust_clock else _doubt_clock(commits, moment)
    expiry = None if allow_large_deletion else _doubt_expiry(platform, commits, moment)
    deleted: dict[str, int] = {}
    problems: list[str] = []
    kept: list[str] = []
    # Under replay, rows are as old as the recordings say, whatever the machine's clock does.
    if copy is None and (not (clock or expiry) or settings.transport == "replay"):
        deleted, problems, kept = apply_retention(
            platform, run, platform.now().date(), allow_large_deletion=allow_large_deletion
        )
    hold_back = "; ".join(filter(None, (copy, clock or expiry))) or None
    maintained = maintain(
        platform.lake,
        moment,
        run,
        sweep_anyway=sweep_anyway is not None,
        doubt=hold_back,
    )
    found = (doubt, clock or expiry, None if hold_back else maintained.refusal, *kept)
    refusals = tuple(dict.fromkeys(reason for reason in found if reason is not None))
    return Maintenance(backup, deleted, tuple(problems), maintained, tuple(removed), refusals)


def _doubt_catalog(platform: Platform, earlier: Sequence[Copy]) -> str | None:
    settings = platform.settings
    with platform.lake.lock.hold():
        reason = find_newer_copy(settings, earlier)
    return f"{reason}: no copy was removed, and nothing was expired or deleted" if reason else None


def _doubt_clock(commits: Sequence[datetime], now: datetime) -> str | None:
    if (reason := doubt_clock(commits, now)) is None:
        return None
    return (
        f"{reason}: nothing was expired or deleted; set the clock right, or where it is right (the"
        " installation was switched off, say) run `ytap maintain --trust-clock`"
    )


def _doubt_expiry(platform: Platform, commits: Sequence[datetime], now: datetime) -> str | None:
    days = platform.settings.snapshot_days
    if (reason := doubt_expiry(commits, now - timedelta(days=days))) is None:
        return None
    return (
        f"{reason} (YTAP_SNAPSHOT_DAYS={days}, and the clock says {now:%Y-%m-%d}): nothing was"
        f" expired or deleted; if that is meant, run `ytap maintain {_ALLOW}`"
    )


def apply_retention(
    platform: Platform, run: Run, today: date, *, allow_large_deletion: bool = False
) -> tuple[dict[str, int], list[str], list[str]]:
    """Delete every workspace's payloads that are older than its config keeps them.

    Workspaces that keep them for the same time are one statement; those with nothing to delete,
    none.

    Args:
        platform: The installation.
        run: Who deletes.
        today: The day that ages are counted from.
        allow_large_deletion: Delete even if most payloads of a workspace would be deleted.

    Returns:
        Payloads deleted by workspace; what kept a workspace from it; and why the payloads of others
        were kept.
    """
    usable, broken = platform.usable()
    problems = [str(problem) for problem in broken.values()]
    if not usable:
        return {}, problems, []
    deleted: dict[str, int] = {}
    due: dict[date, list[str]] = {}
    refused: list[str] = []
    with platform.lake.write(run) as transaction:
        counts = transaction.cross_reader().count_days(RAW_PAYLOADS)
        for one in usable:
            name, days = one.workspace_id, one.retention.raw_payloads_days
            since = today - timedelta(days=days)
            own = counts.get(name, {})
            reason = doubt_retention(own, since)
            if reason is not None and not allow_large_deletion:
                refused.append(
                    f"workspace {name}: {RAW_PAYLOADS.name}: {reason}"
                    f" (retention.raw_payloads_days={days}, today is {today}): none was deleted;"
                    f" if that is meant, run `ytap maintain {_ALLOW}`"
                )
            else:
                deleted[name] = sum(rows for day, rows in own.items() if day < since)
                if deleted[name]:
                    due.setdefault(since, []).append(name)
        for since, names in due.items():
            transaction.delete_before(RAW_PAYLOADS, names, since)
    return deleted, problems, refused
