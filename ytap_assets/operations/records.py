"""Keep the tables that follow from ``production_events`` up to date with it.

The commit that appends events replaces the records, stays in states and videos that follow from
them, and no others. Belongs here: that, and reading records as the log has them, now or as of an
instant. Does not belong here: how a record is computed (`domain.production`), or which events are
appended (`production`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import polars.selectors as cs

from ytap_assets.domain.production.events import PUBLISHED
from ytap_assets.domain.production.history import OCCURRED, Clock, fold_until
from ytap_assets.domain.production.records import (
    FOLD_VERSION,
    find_visits,
    fold_events,
    videos_from_records,
)
from ytap_assets.lakehouse.checks import PASSED, CheckedRows, Scope, check_batch
from ytap_assets.lakehouse.reader import BatchReader
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.inboxes import check_slices, read_wanted
from ytap_assets.operations.platform import Batch, Platform, Results, Written
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, SCRIPT_STATES, VIDEOS, Table

SCRIPT = ["workspace_id", "script_id"]
_VIDEO = ["workspace_id", "video_id"]
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Unfolded:
    """The scripts with events that the stored records do not know.

    Attributes:
        last_seqs: The last event of each workspace that is known by now.
        scripts: The scripts: ``workspace_id``, ``script_id``.
        records: Their records, as rows of ``production_records``.
        visits: Their stays in states, as rows of ``script_states``.
    """

    last_seqs: dict[str, int]
    scripts: pl.DataFrame
    records: pl.DataFrame
    visits: pl.DataFrame


@dataclass(frozen=True)
class _Change:
    """Rows that replace stored ones.

    Attributes:
        table: Their table.
        keys: The keys of the rows that are replaced: the columns of the table's key.
        rows: The new rows.
    """

    table: Table
    keys: pl.DataFrame
    rows: pl.DataFrame


def fold_records(batch: Batch) -> Results:
    """Update ``production_records`` and ``script_states`` from the log.

    Only scripts with events after those of the stored records are folded, and all of a workspace
    whose records an older version of the rules has computed. What `advance` appends is folded in
    its own commit, so mostly there is nothing to do.

    Returns:
        The records of each workspace.
    """
    return _replace_changed(batch, _find_records)


def list_videos(batch: Batch) -> Results:
    """Update ``videos`` from ``production_records``.

    Returns:
        The videos of each workspace.
    """
    return _replace_changed(batch, lambda reader: (_find_videos(reader),))


def refresh_tables(transaction: Transaction, scopes: Collection[Scope]) -> None:
    """Bring records, stays and videos up to date with what the transaction has appended.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused.
    """
    reader = transaction.batch_reader([scope.workspace_id for scope in scopes])
    records, visits = _find_records(reader)
    if records.keys.is_empty():
        return
    before = read_scripts(reader, PRODUCTION_RECORDS, records.keys)
    about = pl.concat([before, records.rows]).select(_VIDEO).drop_nulls().unique()
    _replace(transaction, records, scopes)
    _replace(transaction, visits, scopes)
    _replace(transaction, _find_videos(reader, about), scopes)


def _replace(transaction: Transaction, change: _Change, scopes: Collection[Scope]) -> None:
    if not change.keys.is_empty():
        parts = check_slices(change.table, split_rows(change.rows, scopes))
        transaction.replace_all(parts, change.keys)


def refold_records(batch: Batch) -> dict[str, int]:
    """Compute all records and stays from the whole log, and replace those that differ.

    Returns:
        The number of scripts whose stored record or stays differed from the computed ones, by
        workspace.
    """
    with batch.platform.lake.write(batch.run) as transaction:
        reader = transaction.batch_reader(batch.workspace_ids)
        events = reader.read(PRODUCTION_EVENTS)
        folded, visits = fold_events(events), find_visits(events)
        differing = pl.concat(
            [
                find_differences(reader.read(PRODUCTION_RECORDS), folded),
                find_differences(reader.read(SCRIPT_STATES), visits),
            ]
        ).unique()
        counts = dict(differing.group_by("workspace_id").len().iter_rows())
        scopes = [one.scope for one in batch.slices if one.workspace_id in counts]
        for table, rows in (
            (PRODUCTION_RECORDS, folded),
            (SCRIPT_STATES, visits),
            (VIDEOS, videos_from_records(folded)),
        ):
            transaction.publish_all(check_slices(table, split_rows(rows, scopes)))
    return {name: counts.get(name, 0) for name in batch.workspace_ids}


def find_differences(stored: pl.DataFrame, computed: pl.DataFrame) -> pl.DataFrame:
    """The scripts whose rows differ between two frames of one table.

    Args:
        stored: Rows about scripts.
        computed: Rows about scripts, with the same columns.

    Returns:
        ``workspace_id``, ``script_id``; each script once.
    """
    marked = [
        rows.with_columns(cs.list().list.join("\n"), pl.lit(origin).alias("_origin"))
        for origin, rows in enumerate((stored, computed))
    ]
    alike = pl.concat(marked).group_by(stored.columns).agg(pl.col("_origin").n_unique())
    return alike.filter(pl.col("_origin") == 1).select(SCRIPT).unique()


def list_records(platform: Platform, workspace_id: str) -> pl.DataFrame:
    """A workspace's current records: columns as in ``production_records``."""
    platform.workspace(workspace_id)
    reader = platform.lake.reader(workspace_id)
    return read_records(reader, fold_unfolded(reader))


def list_records_at(
    platform: Platform, workspace_id: str, at: datetime, clock: Clock
) -> pl.DataFrame:
    """A workspace's records as of an instant: columns as in ``production_records``.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        at: The instant.
        clock: Whether the records are those that were true, or those that were known.
    """
    platform.workspace(workspace_id)
    reader = platform.lake.reader(workspace_id)
    # Nothing happened to the other scripts since, so their records are of the instant, too.
    events = read_changed_events(reader, at + _INSTANT, clock)
    changed = events.select(SCRIPT).unique()
    return replace_scripts(reader.read(PRODUCTION_RECORDS), fold_until(events, at, clock), changed)


def read_records(reader: BatchReader, new: Unfolded) -> pl.DataFrame:
    """All records as the log has them: the stored ones, with what `fold_unfolded` computed."""
    return replace_scripts(reader.read(PRODUCTION_RECORDS), new.records, new.scripts)


def fold_unfolded(reader: BatchReader) -> Unfolded:
    """Fold the scripts with events that the stored records do not know."""
    last_seqs, touched = _find_unfolded(reader)
    events = read_scripts(reader, PRODUCTION_EVENTS, touched)
    folded = fold_events(events)
    newest = folded.group_by("workspace_id").agg(pl.col("last_seq").max()).iter_rows()
    return Unfolded(last_seqs | dict(newest), touched, folded, find_visits(events))


def _find_unfolded(reader: BatchReader) -> tuple[dict[str, int], pl.DataFrame]:
    """The last event in the stored records, by workspace, and the scripts with later ones.

    All scripts of a workspace are included if an older version of the rules computed its records.
    """
    versions = reader.read_bounds(PRODUCTION_RECORDS, "fold_version")
    bounds = reader.read_bounds(PRODUCTION_RECORDS, "last_seq")
    last_seqs = {name: last for name, (_, last) in bounds.items()}
    known = {name: seq for name, seq in last_seqs.items() if versions[name][0] == FOLD_VERSION}
    return last_seqs, reader.read_after(PRODUCTION_EVENTS, known, columns=SCRIPT).unique()


def read_changed_events(
    reader: BatchReader, since: datetime, clock: Clock = OCCURRED
) -> pl.DataFrame:
    """All events of the scripts to which something happened at an instant or after it.

    So are those of scripts with events that the stored records do not know. The record of any other
    script holds for every moment from the instant on.

    Args:
        reader: Reads the workspaces.
        since: The instant.
        clock: The time of an event that is compared with it.

    Returns:
        Rows of ``production_events``.
    """
    changed = reader.read(PRODUCTION_EVENTS, columns=SCRIPT, at_least={clock: since})
    _, unfolded = _find_unfolded(reader)
    return read_scripts(reader, PRODUCTION_EVENTS, pl.concat([changed, unfolded]).unique())


def read_visits(reader: BatchReader, since: datetime) -> pl.DataFrame:
    """Stays of scripts in states as the log has them: those that began or ended since an instant.

    Returns:
        Rows of ``script_states``.
    """
    moments = ("entered_at", "left_at")
    found = [reader.read(SCRIPT_STATES, at_least={moment: since}) for moment in moments]
    stored = pl.concat(found).unique(SCRIPT_STATES.key)
    new = fold_unfolded(reader)
    recent = pl.any_horizontal(pl.col(moments) >= since)
    return replace_scripts(stored, new.visits.filter(recent), new.scripts)


def read_scripts(reader: BatchReader, table: Table, scripts: pl.DataFrame) -> pl.DataFrame:
    """Rows of a table about scripts (``workspace_id``, ``script_id``)."""
    rows = read_wanted(reader, table, "script_id", set(scripts["script_id"]))
    return rows.join(scripts, on=SCRIPT, how="semi")


def replace_scripts(rows: pl.DataFrame, new: pl.DataFrame, scripts: pl.DataFrame) -> pl.DataFrame:
    """The rows of some scripts exchanged for new ones."""
    return pl.concat([rows.join(scripts, on=SCRIPT, how="anti"), new])


def group_scripts(rows: pl.DataFrame) -> dict[str, set[str]]:
    """Scripts by workspace."""
    grouped: dict[str, set[str]] = defaultdict(set)
    for workspace_id, script_id in rows.select(SCRIPT).iter_rows():
        grouped[workspace_id].add(script_id)
    return grouped


def split_rows(rows: pl.DataFrame, scopes: Iterable[Scope]) -> dict[Scope, pl.DataFrame]:
    """Rows of several workspaces by scope; a scope without rows has an empty frame."""
    owned = rows.partition_by("workspace_id", as_dict=True)
    return {scope: owned.get((scope.workspace_id,), rows.clear()) for scope in scopes}


def _find_records(reader: BatchReader) -> tuple[_Change, _Change]:
    """The records and the stays that are not stored as the log has them."""
    new = fold_unfolded(reader)
    stored = read_scripts(reader, SCRIPT_STATES, new.scripts)
    return (
        _Change(PRODUCTION_RECORDS, new.scripts, new.records),
        _find_change(SCRIPT_STATES, stored, new.visits),
    )


def _find_change(table: Table, stored: pl.DataFrame, computed: pl.DataFrame) -> _Change:
    """The rows that are not stored as they were computed."""
    names = list(table.schema)
    new = computed.join(stored, on=names, how="anti", nulls_equal=True)
    old = stored.join(computed, on=names, how="anti", nulls_equal=True)
    return _Change(table, pl.concat([new, old]).select(table.key).unique(), new)


def _find_videos(reader: BatchReader, among: pl.DataFrame | None = None) -> _Change:
    """The videos that are not stored as the records have them.

    Args:
        reader: Reads the workspaces.
        among: The videos that are looked at: ``workspace_id``, ``video_id``; all where None.
    """
    wanted = {"state": [PUBLISHED]}
    if among is None:
        records = reader.read(PRODUCTION_RECORDS, wanted=wanted)
        stored = reader.read(VIDEOS)
    else:
        ids = set(among["video_id"])
        records = read_wanted(reader, PRODUCTION_RECORDS, "video_id", ids, wanted=wanted)
        stored = read_wanted(reader, VIDEOS, "video_id", ids)
    return _find_change(VIDEOS, stored, videos_from_records(records))


def _replace_changed(batch: Batch, find: Callable[[BatchReader], tuple[_Change, ...]]) -> Results:
    """Replace the rows that have changed, in one commit.

    A workspace whose rows of any table are refused stops no other.

    Args:
        batch: The workspaces.
        find: The changes of each table, the one that is made first.

    Returns:
        All rows of each workspace in the first table.
    """
    changes, reader = find(batch.reader()), batch.reader()
    scopes = [one.scope for one in batch.slices]
    refused: Results = {}
    snapshot_id = None
    if any(not change.keys.is_empty() for change in changes):
        with batch.platform.lake.write(batch.run) as transaction:
            changes = find(transaction.batch_reader(batch.workspace_ids))
            checked = [
                check_batch(change.table, split_rows(change.rows, scopes)) for change in changes
            ]
            for results in checked:
                refused |= {
                    scope: one for scope, one in results.items() if isinstance(one, Exception)
                }
            owners = [scope.workspace_id for scope in scopes if scope not in refused]
            for change, results in zip(changes, checked, strict=True):
                parts = [one for one in results.values() if isinstance(one, CheckedRows)]
                parts = [part for part in parts if part.scope not in refused]
                keys = change.keys.filter(pl.col("workspace_id").is_in(owners))
                if not keys.is_empty():
                    transaction.replace_all(parts, keys)
        snapshot_id = transaction.snapshot_id
    snapshot_id = snapshot_id or batch.platform.lake.snapshot_id()
    # What is stored was checked when it was written.
    table = changes[0].table
    rows = split_rows(reader.read(table), scopes)
    return {
        scope: refused.get(scope) or Written(own.height, snapshot_id, PASSED, own)
        for scope, own in rows.items()
    }
