"""Copies of the lake: make, verify, restore and prune them.

Belongs here: which copies are made where, and which stay. Does not belong here: how a copy is made
or restored (`lakehouse.backup`), or what a check-up says of them (`doctor`).
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ytap_assets.errors import FileRefusedError
from ytap_assets.lakehouse.backup import Verified, back_up, restore, verify
from ytap_assets.lakehouse.copies import (
    Copy,
    hold_copies,
    list_copies,
)
from ytap_assets.lakehouse.errors import BackupError, LakeError
from ytap_assets.lakehouse.manifest import Backup
from ytap_assets.operations.platform import Platform
from ytap_assets.safe_files import read_below, write_below
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_PAYLOADS, TABLES

KEEP_BACKUPS = 7
_AUTOMATIC = "auto-"
_BY_HAND = "backup-"
_AUTOMATIC_NAME = re.compile(r"auto-\d{8}T\d{6}(\.\d{6})?Z")
_OLD_PARTIAL_NAME = re.compile(r"auto-\d{8}T\d{6}(\.\d{6})?Z\.part")
_PARTIAL_FOR = timedelta(days=1)
_ATTEMPT, _DRILL = "last_backup.json", "restore_drill.json"
_MAX_RECORD_BYTES = 1_000_000
_HALF = 0.5
_FEW_ROWS = 100
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
            f"{folder} is named like an automatic copy, which is pruned: choose another name"
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
    if not Path(attempt.folder).is_relative_to(settings.backups) or not settings.catalog.exists():
        return
    try:
        _keep_record(settings, _ATTEMPT, attempt)
    except OSError as error:  # a full disk, say; what became of the copy is told all the same
        _LOG.warning("the outcome of the backup cannot be kept: %s", error)


def restore_lake(platform: Platform, folder: Path, *, now: datetime | None = None) -> Backup:
    """Restore a copy; the previous lake is kept beside it.

    Raises:
        BackupError: The copy is damaged, or was made by a newer DuckDB.
    """
    settings = platform.settings
    backup = restore(settings, folder.absolute(), now or datetime.now(UTC))
    # A backup that failed was one of the lake that is replaced.
    (settings.state / _ATTEMPT).unlink(missing_ok=True)
    return backup


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
        raise BackupError(f"{settings.backups}: no copy of the lake; `ytap backup` makes one")
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
                f"{made.folder} is not like the copy {copy.folder}: {reason}: no older copy was"
                " removed, and nothing was expired or deleted; check YTAP_DATA, YTAP_CATALOG and"
                " YTAP_DATA_PATH, or put that copy back with `ytap restore`; if the lake is as it"
                f" should be, move {copy.folder} to another folder"
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
        raise BackupError(f"keep={keep}: at least one backup is kept")
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
    """A record as it was kept; one that cannot be read is one of a failure."""
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
    """How far a copy falls short of one before; rows, since merging makes files few."""
    if made.lake_id != before.lake_id:
        return "it is of another lake"
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
