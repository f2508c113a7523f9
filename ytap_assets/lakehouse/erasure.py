"""Erase rows so that nothing in the lake holds their values any more.

A `DELETE` marks rows as deleted: the data files, the statistics of columns in the catalog, older
snapshots and unused pages of the catalog's file still hold them. An erasure has two steps:

1. One commit deletes the rows. From then on no reader sees them, and there is no way back.
2. The completion removes what is left. It rewrites the data files that have deleted rows, expires
   every snapshot but the newest, deletes the files that only those referred to, computes the
   columns' statistics again, and lets the catalog rewrite its own storage.

Before the first step, an `Intent` is stored in the catalog, without any value of the rows; the last
step removes it. A process that is killed in between leaves the lake as it was, or an intent that
`finish` completes. The completion needs only the names of the tables, since whatever is deleted in
them has to go.

The time travel of all tables ends with an erasure: a snapshot is one of the whole lake, and
DuckLake expires it as a whole. Queries that began before and need a file that is deleted meanwhile
fail.

Belongs here: the rows and their traces in the lake. Does not belong here: which rows belong to a
workspace or a video, copies of the lake, and other files (`operations`).
"""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from secrets import token_hex
from uuid import uuid4

import duckdb

from ytap_assets.lakehouse.catalog import INTENT_KEY, LAKE, check_files, check_place, quote
from ytap_assets.lakehouse.checks import CheckedRows
from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.copies import hold_copies, remove_restoring
from ytap_assets.lakehouse.errors import ErasureError, translate_errors
from ytap_assets.lakehouse.files import COMMITS
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import clean_up, plan_sweep
from ytap_assets.lakehouse.reader import select_rows
from ytap_assets.lakehouse.schema import stored_columns
from ytap_assets.lakehouse.transaction import Run

log = logging.getLogger(__name__)
HASH_KEY = "ytap_erasure_key"
"""The key of ``ducklake_metadata`` whose value is the key of the hashes in records of erasures."""
_OWNER = "workspace_id"
_SEQ = "seq"
_INLINED = re.compile(r"ducklake_inlined_data_[0-9]+_[0-9]+")
_CASTS = (
    (re.compile(r"u?int[0-9]+"), "HUGEINT"),
    (re.compile(r"float(32|64)|decimal\(.*\)"), "DOUBLE"),
    (re.compile(r"date"), "DATE"),
    (re.compile(r"timestamptz"), "TIMESTAMPTZ"),
    (re.compile(r"varchar|blob|boolean"), "VARCHAR"),
)
"""DuckLake's names of types, and the type by which their values, which are texts, are compared."""
_KNOWN = """
SELECT known.table_id, known.column_id, c.column_type, known.min_value, known.max_value
FROM {tables}.ducklake_table_column_stats known
JOIN {tables}.ducklake_column c USING (table_id, column_id)
JOIN {tables}.ducklake_table t USING (table_id)
WHERE c.end_snapshot IS NULL AND t.end_snapshot IS NULL AND t.table_name IN ({names})
  AND NOT (c.column_name = '{seq}' AND c.parent_column IS NULL)
"""
_BOUNDS = """
SELECT f.table_id, f.column_id,
       arg_min(f.min_value, TRY_CAST(f.min_value AS {cast})),
       arg_max(f.max_value, TRY_CAST(f.max_value AS {cast})),
       bool_or((f.min_value IS NULL OR f.max_value IS NULL) AND f.value_count > f.null_count)
FROM {tables}.ducklake_file_column_stats f
JOIN {tables}.ducklake_data_file d USING (data_file_id)
JOIN {tables}.ducklake_column c ON c.table_id = f.table_id AND c.column_id = f.column_id
JOIN {tables}.ducklake_table t ON t.table_id = f.table_id
WHERE d.end_snapshot IS NULL AND c.end_snapshot IS NULL AND t.end_snapshot IS NULL
  AND t.table_name IN ({names}) AND c.column_type = '{kind}'
GROUP BY ALL
"""


@dataclass(frozen=True)
class Target:
    """Rows to be erased.

    Attributes:
        table: The name of a stored table.
        workspace_id: The workspace that owns them.
        wanted: Column -> values of the rows; all rows of the workspace if empty.
    """

    table: str
    workspace_id: str
    wanted: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Intent:
    """An erasure that is not complete. It has no value of the erased rows.

    Attributes:
        erasure_id: Identifies the erasure; the commit that deletes the rows has it, too.
        tables: The tables whose deleted rows are removed.
        began_at: When it began, as text in UTC.
        is_deleted: Whether the commit that deletes the rows is known to be made.
    """

    erasure_id: str
    tables: tuple[str, ...]
    began_at: str
    is_deleted: bool = False


@dataclass(frozen=True)
class Erased:
    """The result of an erasure.

    Attributes:
        erasure_id: Identifies it in the commit's information.
        rows: The erased rows, by table.
        snapshot_id: The only snapshot that is left.
        files_rewritten: Data files that were written again without deleted rows.
        files_deleted: Files that were deleted.
        snapshots_expired: Snapshots that can no longer be read.
        foreign_files: Names of Parquet files in the lake's folders that the lake did not write.
            They are not deleted, and may contain anything.
    """

    erasure_id: str
    rows: Mapping[str, int]
    snapshot_id: int
    files_rewritten: int
    files_deleted: int
    snapshots_expired: int
    foreign_files: tuple[str, ...]


Record = Callable[[str, Mapping[str, int], int], Sequence[CheckedRows]]
"""Rows that record an erasure, from its id, the rows by table, and the newest snapshot before it.
They are appended in the commit that deletes the rows, one table each."""


def list_owned_tables(lake: Lake) -> list[str]:
    """The stored tables whose rows belong to workspaces, in order, whether declared or not."""
    with lake.cursor() as cursor:
        stored = stored_columns(cursor, lake.catalog)
    return sorted(name for name, columns in stored.items() if _OWNER in columns)


def count_rows(lake: Lake, targets: Sequence[Target]) -> dict[str, int]:
    """How many rows an erasure would delete, by table."""
    with lake.cursor() as cursor:
        return _count(cursor, targets)


def erase(
    lake: Lake,
    targets: Sequence[Target],
    run: Run,
    now: datetime,
    *,
    record: Record = lambda _id, _rows, _snapshot: (),
) -> Erased:
    """Erase rows, and see that no file of the lake contains them any more.

    The cost is that of the files which have rows to be erased, or other deleted rows in the same
    tables, and of one read of the columns of the targets in all files of these tables.

    Args:
        lake: The lake.
        targets: The rows.
        run: Who erases. Its description must not contain a value of the rows.
        now: The present.
        record: The rows that record it.

    Raises:
        ErasureError: A table or column is not stored, or rows are left afterwards.
        LakeError: The catalog or the place is not as expected: see `catalog.check_place`,
            `catalog.check_files` and `maintenance.plan_sweep`. Nothing was changed.
        CatalogBusyError: Another program used the catalog for too long. If the rows are deleted,
            `finish` completes the erasure.
        BackupError: A backup or a restore is running.
    """
    tables = tuple(dict.fromkeys(target.table for target in targets))
    _check_targets(lake, targets)
    with hold_copies(lake.settings, timeout_s=0):
        _prove(lake)
        unfinished = _settle(lake)
        # The tables of an erasure that was interrupted are completed with these.
        together = tuple(dict.fromkeys([*tables, *(unfinished.tables if unfinished else ())]))
        intent = Intent(uuid4().hex, together, str(now), is_deleted=unfinished is not None)
        _store_intent(lake, intent)
        with lake.write(run) as transaction:
            rows = dict.fromkeys(tables, 0)
            for target in targets:
                rows[target.table] += transaction.erase(
                    intent.erasure_id, target.table, target.workspace_id, target.wanted
                )
            for part in record(intent.erasure_id, rows, transaction.newest_snapshot()):
                transaction.append(part)
        intent = replace(intent, is_deleted=True)
        return replace(_complete(lake, intent, run, targets), rows=rows)


def make_hash(lake: Lake, *parts: str) -> str:
    """A hash of texts that cannot be computed without the lake: HMAC-SHA256, in hex.

    The lake gets a key with the first one.
    """
    select = f"SELECT value FROM ducklake_metadata WHERE key = '{HASH_KEY}'"
    with lake.lock.hold():
        with lake.cursor() as cursor:
            known = [str(value) for (value,) in lake.catalog.query(cursor, select)]
        key = known[0] if known else token_hex(32)
        if not known:
            lake.wait_for_catalog()
            with _change_catalog(lake) as (cursor, tables):
                cursor.execute(
                    f"INSERT INTO {tables}.ducklake_metadata (key, value) VALUES (?, ?)",
                    [HASH_KEY, key],
                )
    content = json.dumps(parts).encode()
    return hmac.new(bytes.fromhex(key), content, "sha256").hexdigest()


def find_unfinished(lake: Lake) -> Intent | None:
    """The erasure that is not complete; None if there is none."""
    with lake.cursor() as cursor:
        rows = lake.catalog.query(
            cursor, f"SELECT value FROM ducklake_metadata WHERE key = '{INTENT_KEY}'"
        )
    for (value,) in rows:
        content = json.loads(str(value))
        return Intent(**{**content, "tables": tuple(content["tables"])})
    return None


def finish(lake: Lake, run: Run) -> Erased | None:
    """Complete an erasure that was interrupted, if there is one.

    Returns:
        What was done, without the erased rows; None if there is nothing to complete: no erasure
        was interrupted, or it was before any row was deleted.

    Raises:
        LakeError: As `erase`.
    """
    if find_unfinished(lake) is None:
        return None
    with hold_copies(lake.settings, timeout_s=0):
        _prove(lake)
        intent = _settle(lake)
        return None if intent is None else _complete(lake, intent, run, ())


def _check_targets(lake: Lake, targets: Sequence[Target]) -> None:
    with lake.cursor() as cursor:
        stored = stored_columns(cursor, lake.catalog)
    for target in targets:
        needed = {_OWNER, *target.wanted}
        if missing := sorted(needed - stored.get(target.table, {}).keys()):
            raise ErasureError(
                f"{target.table}: the lake has no such table, or none with the columns"
                f" {', '.join(missing)}; nothing was erased"
            )


def _prove(lake: Lake) -> None:
    """See that the catalog and the files are those of one lake, and plausible.

    Raises:
        LakeError: They are not.
    """
    if lake.refusal is not None:
        raise lake.refusal
    with lake.lock.hold():
        lake.recover_commits()
        facts, files = lake.catalog.read_facts(), find_files(lake.settings)
        check_place(facts, lake.catalog, files)
        check_files(facts, lake.catalog, files)
        plan_sweep(lake.settings, None)


def _settle(lake: Lake) -> Intent | None:
    """The interrupted erasure whose rows are deleted; an intent of which nothing was done goes.

    The snapshot of its commit is there until the completion expires it, which stores before that
    the commit was made.
    """
    intent = find_unfinished(lake)
    if intent is None or intent.is_deleted:
        return intent
    with lake.lock.hold():
        is_deleted = lake.catalog.find_commit(f"erasure {intent.erasure_id}") is not None
    if is_deleted:
        return replace(intent, is_deleted=True)
    _store_intent(lake, None)
    return None


def _store_intent(lake: Lake, intent: Intent | None) -> None:
    log.debug("intent")
    with lake.lock.hold():
        lake.wait_for_catalog()
        with _change_catalog(lake) as (cursor, tables):
            metadata = f"{tables}.ducklake_metadata"
            cursor.execute(f"DELETE FROM {metadata} WHERE key = ?", [INTENT_KEY])
            if intent is not None:
                cursor.execute(
                    f"INSERT INTO {metadata} (key, value) VALUES (?, ?)",
                    [INTENT_KEY, json.dumps(asdict(intent))],
                )


@contextmanager
def _change_catalog(lake: Lake) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """One transaction on the catalog's own tables: a cursor, and what precedes their names."""
    with translate_errors(lake.settings), lake.cursor() as cursor:
        cursor.execute("BEGIN")
        yield cursor, lake.catalog.tables
        cursor.execute("COMMIT")


def _complete(lake: Lake, intent: Intent, run: Run, targets: Sequence[Target]) -> Erased:
    """Remove what the deleted rows of the tables left.

    Raises:
        ErasureError: Something is left.
    """
    _store_intent(lake, intent)
    rewritten = _rewrite(lake, intent, run)
    settings = lake.settings
    files = find_files(settings)
    with translate_errors(settings), lake.lock.hold():
        lake.wait_for_catalog()
        lake.recover_commits()
        # From the first commit on, no earlier one can be made any more, so nobody needs these.
        files.beside(COMMITS).remove()
        remove_restoring(settings)
        sweep = plan_sweep(settings, None, anyway=True)
        with lake.cursor() as cursor:
            expired = _expire_all(cursor)
            deleted = clean_up(cursor, settings, None)
        log.debug("sweep")
        files.delete(sweep.orphans)
        files.remove_empty_folders()
        _forget_values(lake, intent.tables)
        log.debug("purge")
        lake.catalog.purge()
        _verify(lake, intent.tables, targets)
        snapshot = lake.snapshot_id()
    _store_intent(lake, None)
    log.debug("erased")
    return Erased(
        intent.erasure_id,
        {},
        snapshot,
        rewritten,
        deleted + len(sweep.orphans),
        expired,
        sweep.foreign,
    )


def _rewrite(lake: Lake, intent: Intent, run: Run) -> int:
    """Write the data files that have deleted rows again, without these."""
    with lake.all_cores(), lake.write(run) as transaction:
        marked = transaction.count_marked_files()
        tables = [table for table in intent.tables if table in marked]
        for table in tables:
            transaction.rewrite_marked_files(table)
    return sum(marked[table] for table in tables)


def _expire_all(cursor: duckdb.DuckDBPyConnection) -> int:
    """Expire every snapshot but the newest."""
    log.debug("expire")
    rows = cursor.execute(
        f"SELECT snapshot_id FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
    ).fetchall()
    older = [int(number) for (number,) in rows][:-1]
    if older:
        versions = ", ".join(map(str, older))
        cursor.execute(f"CALL ducklake_expire_snapshots('{LAKE}', versions => [{versions}])")
    return len(older)


def _forget_values(lake: Lake, tables: Collection[str]) -> None:
    """Compute the statistics of columns again, and delete rows that were stored in the catalog.

    A commit writes minima and maxima that include those which its process read before. A process
    reads them again when the number of the next file has changed, so this changes it in the same
    transaction. The statistics of ``seq`` stay: the next number follows its maximum, and a number
    that is given twice would be lost to the readers that follow it.
    """
    log.debug("statistics")
    names = ", ".join(map(quote, tables))
    with _change_catalog(lake) as (cursor, place):
        known = cursor.execute(_KNOWN.format(tables=place, names=names, seq=_SEQ)).fetchall()
        bounds: dict[tuple[int, int], tuple[str | None, str | None]] = {}
        for kind in sorted({str(kind) for _, _, kind, _, _ in known}):
            cast = next((cast for name, cast in _CASTS if name.fullmatch(kind)), None)
            if cast is None:
                continue  # a list, which has none of its own, or a type that is not ours
            found = cursor.execute(
                _BOUNDS.format(tables=place, names=names, cast=cast, kind=kind.replace("'", "''"))
            ).fetchall()
            for table_id, column_id, least, most, is_unknown in found:
                if not is_unknown:
                    bounds[table_id, column_id] = (least, most)
        for table_id, column_id, _, least, most in known:
            now = bounds.get((table_id, column_id), (None, None))
            if (least, most) != now:
                cursor.execute(
                    f"UPDATE {place}.ducklake_table_column_stats SET min_value = ?, max_value = ?"
                    " WHERE table_id = ? AND column_id = ?",
                    [*now, table_id, column_id],
                )
        inlined = cursor.execute(
            f"SELECT table_name FROM {place}.ducklake_inlined_data_tables"
        ).fetchall()
        for (name,) in inlined:
            if _INLINED.fullmatch(str(name)):
                cursor.execute(f'DELETE FROM {place}."{name}" WHERE end_snapshot IS NOT NULL')
        cursor.execute(f"UPDATE {place}.ducklake_snapshot SET next_file_id = next_file_id + 1")


def _count(cursor: duckdb.DuckDBPyConnection, targets: Sequence[Target]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for target in targets:
        conditions, values = select_rows({_OWNER: [target.workspace_id], **target.wanted})
        row = cursor.execute(
            f'SELECT count(*) FROM {LAKE}."{target.table}" WHERE {conditions}', values
        ).fetchone()
        counts[target.table] = counts.get(target.table, 0) + (int(row[0]) if row else 0)
    return counts


def _verify(lake: Lake, tables: Collection[str], targets: Sequence[Target]) -> None:
    """See that the files that are left have no deleted rows, and none of the erased ones.

    The files of the place are exactly those of the newest snapshot. None of the tables has a file
    of deletes, so all rows in its files are those that a query reads. The query compares values by
    an expression, so that no file is skipped on the word of its statistics.

    Raises:
        ErasureError: It is not so.
    """
    log.debug("verify")
    settings, left = lake.settings, []
    facts, files = lake.catalog.read_facts(), find_files(settings)
    check_files(facts, lake.catalog, files)
    there = files.list_parquet().keys() - facts.files.keys()
    if orphans := there - set(plan_sweep(settings, None, anyway=True).foreign):
        left.append(f"{len(orphans)} files that no snapshot refers to, such as {min(orphans)}")
    if kept := files.beside(COMMITS).list_parquet():
        left.append(f"{len(kept)} files of commits in {files.beside(COMMITS)}")
    if facts.scheduled:
        left.append(f"{len(facts.scheduled)} files that wait for their deletion")
    if marked := sorted(
        name for name, file in facts.files.items() if file.table in tables and file.deleted
    ):
        left.append(f"{len(marked)} files with deleted rows, such as {marked[0]}")
    with lake.cursor() as cursor:
        for target in targets:
            wanted = {_OWNER: [target.workspace_id], **target.wanted}
            conditions = " AND ".join(
                f"concat(\"{name}\", '') IN ({', '.join('?' for _ in values)})"
                for name, values in wanted.items()
            )
            row = cursor.execute(
                f'SELECT count(*) FROM {LAKE}."{target.table}" WHERE {conditions}',
                [value for values in wanted.values() for value in values],
            ).fetchone()
            if row and row[0]:
                left.append(f"{row[0]} rows of {target.table}, written meanwhile")
    if left:
        raise ErasureError(
            f"{lake.catalog}: the erasure is not complete: {'; '.join(left)}; end other programs"
            " that write to the lake and run the command again"
        )
