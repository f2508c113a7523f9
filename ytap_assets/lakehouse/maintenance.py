"""Keep the lake small and fast: merge files, expire snapshots, sweep what nobody refers to.

All of it runs under the write lock, so no file of a commit in the making can be taken for an
orphan. What operators decide per workspace (retention) is in `operations`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from ytap_assets.lakehouse.connection import LAKE
from ytap_assets.lakehouse.disk import naming_full_disk
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run

log = logging.getLogger(__name__)
_READERS_GRACE = timedelta(hours=1)
_HALF = 0.5
# With a SQLite catalog, DuckLake compares instants as text: `2026-11-20 23:00` comes before
# `2026-11-20T01:00`, so everything of the limit's own day counts as older. A day is kept instead.
_TEXT_COMPARED = timedelta(days=1)


@dataclass(frozen=True)
class Maintained:
    """What a maintenance did.

    Attributes:
        files_before: Parquet files the tables consisted of.
        files_after: The same, afterwards.
        snapshots_expired: Snapshots that can no longer be read.
        files_deleted: Files of expired snapshots, deleted.
        orphans_deleted: Files that no snapshot ever referred to, deleted.
    """

    files_before: int
    files_after: int
    snapshots_expired: int
    files_deleted: int
    orphans_deleted: int


def maintain(lake: Lake, now: datetime, run: Run) -> Maintained:
    """Merge small files, rewrite half-deleted ones, expire old snapshots, sweep files.

    Args:
        lake: The lake.
        now: The present; snapshots are kept for the settings' ``snapshot_days`` before it and up
            to a day longer, files that nobody refers to for an hour and up to a day longer.
        run: Who maintains; named in the snapshots that rewritten and merged files make.

    Raises:
        LockTimeoutError: Another process wrote for too long.
        DiskFullError: There is no space left to merge into.
    """
    keep_since = now - timedelta(days=lake.settings.snapshot_days)
    sweep_before = now - _READERS_GRACE
    with lake.cursor() as cursor:
        before = _count_files(cursor)
    with lake.all_cores(), lake.write(run) as transaction:
        transaction.compact("ducklake_rewrite_data_files", delete_threshold=_HALF)
    with lake.all_cores(), lake.write(run) as transaction:
        transaction.compact("ducklake_merge_adjacent_files")
    with naming_full_disk(lake.settings), lake.lock.hold(), lake.cursor() as cursor:
        expired = _call(cursor, "ducklake_expire_snapshots", keep_since - _TEXT_COMPARED)
        deleted = _call(cursor, "ducklake_cleanup_old_files", sweep_before - _TEXT_COMPARED)
        orphans = _call(cursor, "ducklake_delete_orphaned_files", sweep_before)
        log.debug("maintained")
        return Maintained(before, _count_files(cursor), len(expired), len(deleted), len(orphans))


def _call(
    cursor: duckdb.DuckDBPyConnection, function: str, older_than: datetime
) -> list[tuple[object, ...]]:
    log.debug("call %s", function)
    return cursor.execute(f"CALL {function}('{LAKE}', older_than => ?)", [older_than]).fetchall()


def _count_files(cursor: duckdb.DuckDBPyConnection) -> int:
    row = cursor.execute(
        f"SELECT coalesce(sum(file_count), 0) FROM ducklake_table_info('{LAKE}')"
    ).fetchone()
    return int(row[0]) if row else 0
