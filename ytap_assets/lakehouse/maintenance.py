"""Maintain the lake: merge files, expire snapshots, delete unreferenced files.

All of it runs under the write lock, so no file of a commit in the making can be taken for an
orphan. What operators decide per workspace (retention) is in `operations`.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf
from pathlib import PurePosixPath

import duckdb

from ytap_assets.lakehouse.catalog import LAKE, CatalogFacts, LakeFile, check_files, check_place
from ytap_assets.lakehouse.connection import find_catalog, find_files
from ytap_assets.lakehouse.copies import hold_copies, remove_restoring
from ytap_assets.lakehouse.errors import BackupError, SweepRefusedError, translate_errors
from ytap_assets.lakehouse.files import is_below, is_made_by_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings

log = logging.getLogger(__name__)
MERGE_BELOW = (2**18, 2**22, 2**26)
"""Sizes in bytes. Files are merged with others of a workspace that lie between the same two sizes.

Were all of them merged, each night would write every workspace's whole history again.
"""
_READERS_GRACE = timedelta(hours=1)
_HALF = 0.5
# So many orphans are swept however few other files there are: one killed write left them.
_FEW_FILES = 3
_LARGEST_SHARE = 0.5
# With a SQLite catalog, DuckLake compares instants as text: `2026-11-20 23:00` comes before
# `2026-11-20T01:00`, so everything of the limit's own day counts as older. A day is kept instead.
_TEXT_COMPARED = timedelta(days=1)


@dataclass(frozen=True)
class Maintained:
    """The result of a maintenance.

    Attributes:
        files_before: Parquet files of the tables before it.
        files_after: Parquet files of the tables after it.
        snapshots_expired: Snapshots that can no longer be read.
        files_deleted: Files of expired snapshots, deleted.
        orphans_deleted: Files of tables that no snapshot refers to, deleted.
        foreign_files: Parquet files in the lake's folders that it did not write; not deleted.
        refusal: Why no file was deleted and no snapshot expired, and what to do; None if all
            was done.
    """

    files_before: int
    files_after: int
    snapshots_expired: int
    files_deleted: int
    orphans_deleted: int
    foreign_files: int = 0
    refusal: str | None = None


@dataclass(frozen=True)
class Sweep:
    """What a sweep would delete: names below the data path.

    Attributes:
        orphans: Files that the lake made for its tables, old enough, that no snapshot refers to.
        foreign: Parquet files that the lake did not make, or not for a table: never deleted.
    """

    orphans: tuple[str, ...]
    foreign: tuple[str, ...]


def maintain(
    lake: Lake,
    now: datetime,
    run: Run,
    *,
    sweep_anyway: bool = False,
    doubt: str | None = None,
) -> Maintained:
    """Merge small files, rewrite half-deleted ones, expire old snapshots, sweep files.

    Args:
        lake: The lake.
        now: The present; snapshots are kept for the settings' ``snapshot_days`` before it and up
            to a day longer, files that nobody refers to for an hour and up to a day longer.
        run: Who maintains; named in the snapshots that rewritten and merged files make.
        sweep_anyway: Sweep also where the catalog refers to nothing, or where most files would go.
        doubt: Why nothing is to be expired or deleted this time; the merges are done all the same.

    Returns:
        What was done. A sweep that is refused deletes nothing; the merges stay done.

    Raises:
        LakeDamagedError: The catalog cannot be read, or files that it refers to are not there.
        LockTimeoutError: Other processes wrote for too long.
        DiskFullError: There is no space left to merge into.
    """
    with lake.lock.hold():
        lake.recover_commits(now)
        facts = lake.catalog.read_facts()
        check_place(facts, lake.catalog, find_files(lake.settings))
        check_files(facts, lake.catalog, find_files(lake.settings))
    with lake.cursor() as cursor:
        before = _count_files(cursor)
    if find_rewritten(facts.files):
        _compact(lake, run)
    swept = _Swept(refusal=doubt)
    if doubt is None:
        try:
            _expire_and_sweep(lake, now, swept, sweep_anyway=sweep_anyway)
        except (SweepRefusedError, BackupError) as error:
            swept.refusal = str(error)
    with lake.cursor() as cursor:
        return Maintained(before, _count_files(cursor), **asdict(swept))


def _compact(lake: Lake, run: Run) -> None:
    """Rewrite half-deleted files and merge small ones; each call reads every table's statistics."""
    with lake.all_cores(), lake.write(run) as transaction:
        transaction.compact("ducklake_rewrite_data_files", delete_threshold=_HALF)
    for least, most in pairwise((0, *MERGE_BELOW)):
        with lake.all_cores(), lake.write(run) as transaction:
            transaction.compact(
                "ducklake_merge_adjacent_files", min_file_size=least, max_file_size=most
            )


def find_rewritten(files: Mapping[str, LakeFile]) -> frozenset[str]:
    """The files that the next maintenance may read and write anew.

    Args:
        files: What a catalog refers to, by name.
    """
    current = {name: file for name, file in files.items() if file.deleted is not None}
    alike: dict[tuple[str, int], list[str]] = {}
    for name, file in current.items():
        size = bisect_right(MERGE_BELOW, file.size_bytes)
        alike.setdefault((str(PurePosixPath(name).parent), size), []).append(name)
    merged = {
        name
        for (_, size), names in alike.items()
        for name in names
        if len(names) > 1 and size < len(MERGE_BELOW)
    }
    halved = {name for name, file in current.items() if (file.deleted or 0) >= _HALF * file.rows}
    return frozenset(merged | halved)


@dataclass
class _Swept:
    """What was expired and deleted up to now; the same names as in `Maintained`."""

    snapshots_expired: int = 0
    files_deleted: int = 0
    orphans_deleted: int = 0
    foreign_files: int = 0
    refusal: str | None = None


def _expire_and_sweep(lake: Lake, now: datetime, swept: _Swept, *, sweep_anyway: bool) -> None:
    """Expire snapshots and delete files, once it is proved that nothing needs them.

    Raises:
        SweepRefusedError: It cannot be proved.
        BackupError: A backup or a restore is running, which may need the files.
    """
    settings, sweep_before = lake.settings, now - _READERS_GRACE
    keep_since = now - timedelta(days=settings.snapshot_days)
    with (
        hold_copies(settings, timeout_s=0),
        translate_errors(settings),
        lake.lock.hold(),
        lake.cursor() as cursor,
    ):
        lake.wait_for_catalog()
        remove_restoring(settings)
        plan = plan_sweep(settings, sweep_before, anyway=sweep_anyway)
        swept.foreign_files = len(plan.foreign)
        swept.snapshots_expired = _expire(cursor, keep_since - _TEXT_COMPARED)
        swept.files_deleted = clean_up(cursor, settings, sweep_before - _TEXT_COMPARED)
        find_files(settings).delete(plan.orphans)
        swept.orphans_deleted = len(plan.orphans)
        log.debug("maintained")


def plan_sweep(settings: Settings, older_than: datetime | None, *, anyway: bool = False) -> Sweep:
    """The files that a cleanup would delete; the caller holds the write lock.

    Args:
        settings: The installation.
        older_than: Files written since stay; None if none of them does.
        anyway: Do not ask whether the result is plausible.

    Raises:
        LakeDamagedError: The catalog cannot be read, or files that it refers to are not there.
        SweepRefusedError: The catalog refers to no file while the lake's files are there, or most
            of the files there would be deleted: it may be the catalog of another lake.
    """
    facts = find_catalog(settings).read_facts()
    files = find_files(settings)
    check_files(facts, settings.catalog_name, files)
    there = files.list_parquet()
    unknown = there.keys() - facts.files.keys() - facts.scheduled
    made = {name for name in unknown if is_made_by_lake(name)}
    ours = {name for name in made if is_below(name, facts.folders)}
    limit = inf if older_than is None else older_than.timestamp()
    orphans = {name for name in ours if there[name].modified_at < limit}
    if not anyway:
        _check_plausible(settings, facts, made, orphans, len(there))
    return Sweep(tuple(sorted(orphans)), tuple(sorted(unknown - ours)))


def _check_plausible(
    settings: Settings, facts: CatalogFacts, made: set[str], orphans: set[str], count: int
) -> None:
    way_out = (
        "nothing was deleted; check YTAP_CATALOG and YTAP_DATA_PATH, or restore a backup with `ytap"
        " restore FOLDER`; to delete these files, run `ytap maintain --sweep-anyway"
        f" {settings.files_name}`"
    )
    if made and not facts.files and not facts.scheduled:
        raise SweepRefusedError(
            f"the catalog {settings.catalog_name} refers to no file, but {settings.files_name}"
            f" contains {len(made)} files of a lake, such as {min(made)}; {way_out}"
        )
    if len(orphans) > max(_FEW_FILES, _LARGEST_SHARE * count):
        raise SweepRefusedError(
            f"the catalog {settings.catalog_name} does not refer to {len(orphans)} of the {count}"
            f" files in {settings.files_name}, such as {min(orphans)}, which is more than half;"
            f" {way_out}"
        )


def clean_up(
    cursor: duckdb.DuckDBPyConnection, settings: Settings, older_than: datetime | None
) -> int:
    """Delete the files of expired snapshots, once it is proved that nothing refers to them.

    Args:
        cursor: Where the lake is attached; the caller holds the write lock.
        settings: The installation.
        older_than: Files that were still referred to since stay; None if none of them does.

    Returns:
        How many files were deleted.

    Raises:
        SweepRefusedError: DuckLake would delete a file that a snapshot refers to, or one that is
            not the lake's.
    """
    function = "ducklake_cleanup_old_files"
    age = "cleanup_all => true" if older_than is None else "older_than => ?"
    values = [] if older_than is None else [older_than]
    rows = cursor.execute(f"CALL {function}('{LAKE}', dry_run => true, {age})", values).fetchall()
    facts = find_catalog(settings).read_facts()
    files = find_files(settings)
    for (path,) in rows:
        name = files.find_name(str(path))
        if name is None or not is_made_by_lake(name) or name in facts.files:
            raise SweepRefusedError(
                f"DuckLake would delete {path}, which belongs to a snapshot or not to the lake; no"
                " file of an expired snapshot was deleted; please report this"
            )
    if not rows:
        return 0
    log.debug("call %s", function)
    return len(cursor.execute(f"CALL {function}('{LAKE}', {age})", values).fetchall())


def _expire(cursor: duckdb.DuckDBPyConnection, older_than: datetime) -> int:
    log.debug("call ducklake_expire_snapshots")
    rows = cursor.execute(
        f"CALL ducklake_expire_snapshots('{LAKE}', older_than => ?)", [older_than]
    ).fetchall()
    return len(rows)


def _count_files(cursor: duckdb.DuckDBPyConnection) -> int:
    row = cursor.execute(
        f"SELECT coalesce(sum(file_count), 0) FROM ducklake_table_info('{LAKE}')"
    ).fetchone()
    return int(row[0]) if row else 0
