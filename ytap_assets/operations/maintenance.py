"""Maintenance: copies of the lake, retention, merging, expiring and sweeping.

Copies are made, verified, restored and pruned. Nothing is deleted from the lake before a copy was
made. Belongs here: which copies are made where, which stay, and what is deleted when. Does not
belong here: how a copy is made or restored (`lakehouse.backup`), how files are merged and snapshots
expired (`lakehouse.maintenance`), or what a check-up says of them (`doctor`).
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import polars as pl

from ytap_assets.domain.plausibility import doubt_clock, doubt_expiry, doubt_retention
from ytap_assets.domain.production.inbox import ACTIONS
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.lakehouse.backup import Verified, back_up, restore, verify
from ytap_assets.lakehouse.catalog import Commits
from ytap_assets.lakehouse.connection import find_catalog, find_files
from ytap_assets.lakehouse.copies import (
    Backup,
    Copy,
    check_sizes,
    find_newer_copy,
    hold_copies,
    list_copies,
    open_copied,
    read_manifest,
    read_restored,
)
from ytap_assets.lakehouse.erasure import finish
from ytap_assets.lakehouse.errors import BackupError, LakeError, LakeMissingError
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.maintenance import Maintained, maintain
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.workspace_life import remove_deleted
from ytap_assets.safe_files import read_below, write_below
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_EVENTS, RAW_PAYLOADS, TABLES

KEEP_BACKUPS = 7
_AUTOMATIC = "auto-"
_BY_HAND = "backup-"
_AUTOMATIC_NAME = re.compile(r"auto-\d{8}T\d{6}(\.\d{6})?Z")
_OLD_PARTIAL_NAME = re.compile(r"auto-\d{8}T\d{6}(\.\d{6})?Z\.part")
_PARTIAL_FOR = timedelta(days=1)
_ATTEMPT, _DRILL = "last_backup.json", "restore_drill.json"
_MAX_RECORD_BYTES = 1_000_000
_ALLOW = "--allow-large-deletion"
_HALF = 0.5
_FEW_ROWS = 100
_SHOWN_DECISIONS = 10
_PERSON = "person:"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """The last backup below the folder of backups, and its outcome.

    Attributes:
        at: When it was, by the machine's clock.
        folder: The copy, or what it would have been.
        problem: What went wrong; None if nothing did.
    """

    at: datetime
    folder: str
    problem: str | None


@dataclass(frozen=True)
class Drill(Attempt):
    """The last restore drill, and its outcome.

    Attributes:
        tables: How many tables the restored lake has.
        rows: How many rows.
    """

    tables: int = 0
    rows: int = 0


_Record = TypeVar("_Record", bound=Attempt)


def backup_lake(platform: Platform, folder: Path | None, *, now: datetime | None = None) -> Backup:
    """Copy the lake into a folder of the user's, or a new one under ``data/backups``.

    Raises:
        LakeMissingError: There is no lake.
        BackupError: The folder is there already, or has an automatic copy's name, or the lake is
            damaged.
    """
    moment = now or datetime.now(UTC)
    if folder is not None and _is_automatic(folder):
        raise BackupError(
            f"{folder} has the name of an automatic backup, which maintenance deletes; choose"
            " another name"
        )
    target = folder or new_backup_folder(platform.settings, moment, is_automatic=False)
    return make_copy(platform.settings, target.absolute(), moment)


def make_copy(settings: Settings, folder: Path, now: datetime, *, reads_all: bool = True) -> Backup:
    """Copy the lake, and keep the outcome for the check-up where the copy is among the backups.

    Args:
        settings: The installation.
        folder: The new copy.
        now: The present.
        reads_all: See `back_up`. All is read anyway after a backup or a drill that failed: a copy's
            damaged file is replaced where it is read.

    Raises:
        LakeError: As `back_up` does.
        OSError: Likewise.
    """
    try:
        made = back_up(settings, folder, now, reads_all=reads_all or _has_failed(settings))
    except (LakeError, OSError) as error:
        _keep_attempt(settings, Attempt(now, str(folder), _one_line(error)))
        raise
    _keep_attempt(settings, Attempt(now, str(folder), None))
    return made


def _has_failed(settings: Settings) -> bool:
    attempt, drill = last_attempt(settings), last_drill(settings)
    return any(one is not None and one.problem is not None for one in (attempt, drill))


def _keep_attempt(settings: Settings, attempt: Attempt) -> None:
    if not Path(attempt.folder).is_relative_to(settings.backups) or not (
        find_catalog(settings).exists()
    ):
        return
    try:
        _keep_record(settings, _ATTEMPT, attempt)
    except OSError as error:  # a full disk, say; the outcome of the backup is still reported
        _LOG.warning("the outcome of the backup cannot be recorded: %s", error)


def restore_lake(platform: Platform, folder: Path, *, now: datetime | None = None) -> list[str]:
    """Restore a copy; the previous lake is kept beside it.

    Returns:
        Where the previous catalog and its files are kept; empty if there were none.

    Raises:
        BackupError: The copy is damaged, or was made by a newer DuckDB.
    """
    settings = platform.settings
    kept = restore(settings, folder.absolute(), now or datetime.now(UTC))
    # A backup that failed was one of the lake that is replaced.
    (settings.state / _ATTEMPT).unlink(missing_ok=True)
    return kept


def describe_dropped(settings: Settings, folder: Path) -> list[str]:
    """What a restore of a copy would drop: commits, and people's decisions among them, in words.

    Names in the texts are untrusted input.

    Raises:
        BackupError: The copy is incomplete.
    """
    check_sizes(folder.absolute())
    columns = ["workspace_id", "script_id", "type", "occurred_at", "actor", "seq"]
    try:
        known = open_copied(folder.absolute()).read_commits()
        with inspect_lake(settings) as inspection:
            commits = find_catalog(settings).read_commits()
            if commits.lake_id != known.lake_id:
                return ["the backup is of another lake; no commit of the current lake is in it"]
            last, is_certain = _find_last_common(settings, folder.absolute(), commits, known)
            events = inspection.read(PRODUCTION_EVENTS, columns, known="snapshot_id", after=last)
    except LakeMissingError:
        there = find_files(settings).list_parquet()
        kept = f"; {len(there)} files in {settings.files_name} are of a lake whose catalog is lost"
        return [
            f"no lake is replaced: there is none at {settings.catalog_name}"
            + (f"{kept} or elsewhere, and are kept beside it" if there else "")
        ]
    except LakeError as error:
        return [f"it is not known which commits of the current lake the backup lacks: {error}"]
    decided = events.filter(pl.col("actor").str.starts_with(_PERSON)).sort("seq", descending=True)
    actions = {event: action for action, event in ACTIONS.items()}
    more = decided.height - _SHOWN_DECISIONS
    return [
        f"commits of the current lake that are not in the backup:"
        f" {'' if is_certain else 'at least '}{commits.newest - last};"
        f" decisions of people in them: {decided.height}",
        *(
            f"{actions.get(event, event)} of script {script_id} of {workspace_id},"
            f" {at:%Y-%m-%d %H:%M} by {actor.removeprefix(_PERSON)}"
            for workspace_id, script_id, event, at, actor, _ in decided.head(
                _SHOWN_DECISIONS
            ).iter_rows()
        ),
        *([f"and {more} earlier decisions"] if more > 0 else []),
    ]


def _find_last_common(
    settings: Settings, folder: Path, commits: Commits, known: Commits
) -> tuple[int, bool]:
    """The newest commit that the current lake shares with a copy, and whether that is certain.

    It is not the copy's newest commit in every case: after a restore of an older copy, other
    commits have the same numbers. The record of that restore says where they began, also once the
    snapshots of that time have expired.
    """
    common = [number for number, at in known.times.items() if not commits.lacks(number, at)]
    last = max(common, default=0)
    restored, sequence = read_restored(settings), read_manifest(folder).sequence or 0
    if restored and restored.lake_id == commits.lake_id and sequence <= restored.sequence:
        last = min(last, restored.snapshot_id)
    return last, last in commits.times or restored is None


def verify_backup(settings: Settings, folder: Path, *, now: datetime | None = None) -> Verified:
    """Check a copy in full, restore it into a temporary place and compare the numbers of rows.

    Raises:
        BackupError: The copy cannot be restored as it was copied.
    """
    return verify(settings, folder.absolute(), now or datetime.now(UTC))


def drill_restore(settings: Settings, *, now: datetime | None = None) -> Drill:
    """Verify the newest copy, and keep the outcome for the check-up.

    Raises:
        BackupError: There is no copy.
    """
    moment = now or datetime.now(UTC)
    copies = list_copies(settings)
    if not copies:
        raise BackupError(f"{settings.backups}: no backup of the lake; make one with `ytap backup`")
    folder = copies[-1].folder
    try:
        found = verify_backup(settings, folder, now=moment)
    except (LakeError, OSError) as error:
        drill = Drill(moment, str(folder), _one_line(error))
    else:
        drill = Drill(moment, str(folder), None, len(found.tables), sum(found.tables.values()))
    _keep_record(settings, _DRILL, drill)
    return drill


def last_attempt(settings: Settings) -> Attempt | None:
    """The last backup below the folder of backups; None if there was none."""
    return _read_record(settings, _ATTEMPT, Attempt)


def last_drill(settings: Settings) -> Drill | None:
    """The last restore drill; None if there was none."""
    return _read_record(settings, _DRILL, Drill)


def new_backup_folder(settings: Settings, now: datetime, *, is_automatic: bool) -> Path:
    """A folder for a copy that is not there yet."""
    prefix = _AUTOMATIC if is_automatic else _BY_HAND
    return settings.backups / f"{prefix}{now:%Y%m%dT%H%M%S.%fZ}"


def find_doubt(made: Backup, earlier: Sequence[Copy]) -> str | None:
    """What makes a new copy implausible against the automatic ones that are there.

    It is compared with each that can be restored, not with the last alone: a lake that was emptied
    by mistake is as empty the next night.

    Returns:
        What is wrong, and what to do where nothing is; None if nothing seems to be.
    """
    for copy in reversed(earlier):
        if not _is_automatic(copy.folder) or copy.backup is None or copy.problem is not None:
            continue
        if reason := _compare(made, copy.backup):
            return (
                f"{made.folder} differs from the backup {copy.folder}: {reason}; no backup was"
                " deleted, no snapshot expired and no file was deleted; check YTAP_DATA,"
                " YTAP_CATALOG and YTAP_DATA_PATH, or restore that backup with `ytap restore`; if"
                f" the lake is correct, move {copy.folder} to another folder"
            )
    return None


def prune_backups(settings: Settings, made: Backup, *, keep: int, now: datetime) -> list[Path]:
    """Remove automatic copies that are older than the newest ``keep`` which can be restored.

    What is older goes by the copies' sequence, not by a clock. The copy just made stays, and so do
    copies that a person asked for and folders that are no copies of ours.

    Args:
        settings: The installation.
        made: The copy that was just made and verified.
        keep: How many automatic copies stay.
        now: The present; unfinished copies of older versions of ytap go a day after it.

    Raises:
        BackupError: Fewer than one copy was to be kept; or a backup or restore is running.
    """
    if keep < 1:
        raise BackupError(f"keep={keep}: expected at least 1")
    with hold_copies(settings):
        good, removed = 0, _old_partials(settings, now)
        for copy in reversed(
            [copy for copy in list_copies(settings) if _is_automatic(copy.folder)]
        ):
            if good >= keep and copy.backup is not None and copy.folder != made.folder:
                removed.append(copy.folder)
            good += copy.problem is None
        for path in removed:
            shutil.rmtree(path)
    return removed


def _keep_record(settings: Settings, name: str, record: Attempt) -> None:
    content = {**asdict(record), "at": record.at.isoformat()}
    write_below(settings.state, name, json.dumps(content, indent=1).encode())


def _read_record(settings: Settings, name: str, kind: type[_Record]) -> _Record | None:
    """A stored record of a backup; one that cannot be read counts as that of a failure."""
    path = settings.state / name
    if not path.exists():
        return None
    try:
        kept = read_below(settings.state, name, max_bytes=_MAX_RECORD_BYTES)
        if kept is None:
            return None
        content = json.loads(kept.content)
        at = datetime.fromisoformat(content["at"])
        return kind(**{**content, "at": at if at.tzinfo else at.replace(tzinfo=UTC)})
    except (FileRefusedError, ValueError, TypeError, KeyError) as error:
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return kind(at, str(path), f"its record {path} cannot be read: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_automatic(folder: Path) -> bool:
    return _AUTOMATIC_NAME.fullmatch(folder.name) is not None


def _compare(made: Backup, before: Backup) -> str | None:
    """Why a backup is suspiciously smaller than an earlier one; None if it is not.

    Rows are compared and not files, since merging reduces the number of files.
    """
    if made.lake_id != before.lake_id:
        return "it is a backup of another lake"
    if before.tables is None or before.rows is None:
        return None
    now = made.tables or {}
    kept = {name for name, table in TABLES.items() if table.mode == "append"} - {RAW_PAYLOADS.name}
    pairs = {name: (rows, now.get(name, 0)) for name, rows in before.tables.items() if name in kept}
    for name, (old, new) in {**pairs, "all tables": (before.rows, made.rows or 0)}.items():
        if old >= _FEW_ROWS and new < _HALF * old:
            return f"{name} had {old:,} rows and has {new:,}"
    return None


def _old_partials(settings: Settings, now: datetime) -> list[Path]:
    """What killed backups of older versions left, which had no marker."""
    return [
        path
        for path in settings.backups.glob(f"{_AUTOMATIC}*.part")
        if _OLD_PARTIAL_NAME.fullmatch(path.name)
        and path.is_dir()
        and not path.is_symlink()
        and abs(now.timestamp() - path.stat().st_mtime) > _PARTIAL_FOR.total_seconds()
    ]


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
    sweep_anyway: str | Path | None = None,
    trust_clock: bool = False,
    allow_large_deletion: bool = False,
    now: datetime | None = None,
) -> Maintenance:
    """Back up, prune old copies, apply the retention, merge files, expire snapshots and clean up.

    An erasure that was interrupted is completed first, so the backup does not have its rows.

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
    if sweep_anyway is not None and not _is_data_path(settings, str(sweep_anyway)):
        raise ConfigError(f"{sweep_anyway} is not the data path, which is {settings.files_name}")
    moment = now or datetime.now(UTC)
    platform.lake.snapshot_id()  # a lake that is not there yet is made: an empty one is maintained
    finish(platform.lake, run)
    remove_deleted(settings)
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
    return (
        f"{reason}; no backup was deleted, no snapshot expired and no file was deleted"
        if reason
        else None
    )


def _doubt_clock(commits: Sequence[datetime], now: datetime) -> str | None:
    if (reason := doubt_clock(commits, now)) is None:
        return None
    return (
        f"{reason}; nothing was expired or deleted; correct the clock; if it is correct (for"
        " example, the installation was switched off), run `ytap maintain --trust-clock`"
    )


def _doubt_expiry(platform: Platform, commits: Sequence[datetime], now: datetime) -> str | None:
    days = platform.settings.snapshot_days
    if (reason := doubt_expiry(commits, now - timedelta(days=days))) is None:
        return None
    return (
        f"{reason} (YTAP_SNAPSHOT_DAYS={days}, and today is {now:%Y-%m-%d}); nothing was expired or"
        f" deleted; to expire them, run `ytap maintain {_ALLOW}`"
    )


def _is_data_path(settings: Settings, place: str) -> bool:
    if settings.bucket is not None:
        return place.rstrip("/") in {settings.files_name, settings.files_name.partition("?")[0]}
    return Path(place).resolve() == settings.data_path.resolve()


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
                    f" (retention.raw_payloads_days={days}, today is {today}); none was deleted; to"
                    f" delete them, run `ytap maintain {_ALLOW}`"
                )
            else:
                deleted[name] = sum(rows for day, rows in own.items() if day < since)
                if deleted[name]:
                    due.setdefault(since, []).append(name)
        for since, names in due.items():
            transaction.delete_before(RAW_PAYLOADS, names, since)
    return deleted, problems, refused
