"""Keep ``production_records`` and ``videos`` up to date with ``production_events``.

The commit that appends events replaces the records and videos that follow from them, and no others.
Belongs here: that, and reading records as the log has them. Does not belong here: how a record is
computed (`domain.production.records`), or which events are appended (`production`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from ytap_assets.domain.production.events import PUBLISHED
from ytap_assets.domain.production.records import FOLD_VERSION, fold_events, videos_from_records
from ytap_assets.lakehouse.checks import PASSED, CheckedRows, Scope, check_batch
from ytap_assets.lakehouse.reader import BatchReader
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.inboxes import check_slices, read_wanted
from ytap_assets.operations.platform import Batch, Platform, Results, Written
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, VIDEOS, Table

SCRIPT = ["workspace_id", "script_id"]
_VIDEO = ["workspace_id", "video_id"]


@dataclass(frozen=True)
class Unfolded:
    """The scripts with events that the stored records do not know.

    Attributes:
        last_seqs: The last event of each workspace that is known by now.
        scripts: The scripts: ``workspace_id``, ``script_id``.
        records: Their records, as rows of ``production_records``.
    """

    last_seqs: dict[str, int]
    scripts: pl.DataFrame
    records: pl.DataFrame


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
    """Update ``production_records`` from the log.

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
    return _replace_changed(batch, _find_videos)


def refresh_tables(transaction: Transaction, scopes: Collection[Scope]) -> None:
    """Bring records and videos up to date with what the transaction has appended.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused.
    """
    reader = transaction.batch_reader([scope.workspace_id for scope in scopes])
    records = _find_records(reader)
    if records.keys.is_empty():
        return
    before = read_scripts(reader, PRODUCTION_RECORDS, records.keys)
    transaction.replace_all(
        check_slices(PRODUCTION_RECORDS, split_rows(records.rows, scopes)), records.keys
    )
    videos = pl.concat([before, records.rows]).select(_VIDEO).drop_nulls().unique()
    change = _find_videos(reader, videos)
    transaction.replace_all(check_slices(VIDEOS, split_rows(change.rows, scopes)), change.keys)


def refold_records(batch: Batch) -> dict[str, int]:
    """Compute all records from the whole log, and replace those that differ.

    Returns:
        How many stored records differed from the computed ones, by workspace.
    """
    with batch.platform.lake.write(batch.run) as transaction:
        reader = transaction.batch_reader(batch.workspace_ids)
        stored = reader.read(PRODUCTION_RECORDS)
        folded = fold_events(reader.read(PRODUCTION_EVENTS))
        differing = count_differences(stored, folded)
        changed = {name for name, count in differing.items() if count}
        scopes = [one.scope for one in batch.slices if one.workspace_id in changed]
        for table, rows in (
            (PRODUCTION_RECORDS, folded),
            (VIDEOS, videos_from_records(folded)),
        ):
            transaction.publish_all(check_slices(table, split_rows(rows, scopes)))
    return {name: differing.get(name, 0) for name in batch.workspace_ids}


def count_differences(stored: pl.DataFrame, folded: pl.DataFrame) -> dict[str, int]:
    """The number of records that differ between two frames, by workspace, if there are any.

    Args:
        stored: Rows of ``production_records``.
        folded: Rows of ``production_records``.
    """
    marked = [
        rows.with_columns(pl.col("failed_gates").list.join("\n"), pl.lit(origin).alias("_origin"))
        for origin, rows in enumerate((stored, folded))
    ]
    names = [name for name in PRODUCTION_RECORDS.schema if name != "_origin"]
    alike = pl.concat(marked).group_by(names).agg(pl.col("_origin").n_unique())
    differing = alike.filter(pl.col("_origin") == 1)
    counts = differing.group_by("workspace_id").agg(pl.col("script_id").n_unique())
    return dict(counts.iter_rows())


def list_records(platform: Platform, workspace_id: str) -> pl.DataFrame:
    """A workspace's current records: columns as in ``production_records``."""
    platform.workspace(workspace_id)
    reader = platform.lake.reader(workspace_id)
    return read_records(reader, fold_unfolded(reader))


def read_records(reader: BatchReader, new: Unfolded) -> pl.DataFrame:
    """All records as the log has them: the stored ones, with what `fold_unfolded` computed."""
    return replace_scripts(reader.read(PRODUCTION_RECORDS), new.records, new.scripts)


def fold_unfolded(reader: BatchReader) -> Unfolded:
    """Fold the scripts with events that the stored records do not know."""
    last_seqs, touched = _find_unfolded(reader)
    folded = fold_events(read_scripts(reader, PRODUCTION_EVENTS, touched))
    newest = folded.group_by("workspace_id").agg(pl.col("last_seq").max()).iter_rows()
    return Unfolded(last_seqs | dict(newest), touched, folded)


def _find_unfolded(reader: BatchReader) -> tuple[dict[str, int], pl.DataFrame]:
    """The last event in the stored records, by workspace, and the scripts with later ones.

    All scripts of a workspace are included if an older version of the rules computed its records.
    """
    versions = reader.read_bounds(PRODUCTION_RECORDS, "fold_version")
    bounds = reader.read_bounds(PRODUCTION_RECORDS, "last_seq")
    last_seqs = {name: last for name, (_, last) in bounds.items()}
    known = {name: seq for name, seq in last_seqs.items() if versions[name][0] == FOLD_VERSION}
    return last_seqs, reader.read_after(PRODUCTION_EVENTS, known, columns=SCRIPT).unique()


def read_changed_events(reader: BatchReader, since: datetime) -> pl.DataFrame:
    """All events of the scripts to which something happened at an instant or after it.

    So are those of scripts with events that the stored records do not know. The record of any other
    script holds for every moment from the instant on.

    Returns:
        Rows of ``production_events``.
    """
    changed = reader.read(PRODUCTION_EVENTS, columns=SCRIPT, at_least={"occurred_at": since})
    _, unfolded = _find_unfolded(reader)
    return read_scripts(reader, PRODUCTION_EVENTS, pl.concat([changed, unfolded]).unique())


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


def _find_records(reader: BatchReader) -> _Change:
    new = fold_unfolded(reader)
    return _Change(PRODUCTION_RECORDS, new.scripts, new.records)


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
    videos, names = videos_from_records(records), list(VIDEOS.schema)
    new = videos.join(stored, on=names, how="anti", nulls_equal=True)
    old = stored.join(videos, on=names, how="anti", nulls_equal=True)
    return _Change(VIDEOS, pl.concat([new, old]).select(VIDEOS.key).unique(), new)


def _replace_changed(batch: Batch, find: Callable[[BatchReader], _Change]) -> Results:
    """Replace the rows that have changed, in one commit.

    A workspace whose rows are refused stops no other.

    Returns:
        All rows of each workspace.
    """
    change, reader = find(batch.reader()), batch.reader()
    scopes = [one.scope for one in batch.slices]
    refused: Results = {}
    snapshot_id = None
    if not change.keys.is_empty():
        with batch.platform.lake.write(batch.run) as transaction:
            change = find(transaction.batch_reader(batch.workspace_ids))
            checked = check_batch(change.table, split_rows(change.rows, scopes))
            parts = [part for part in checked.values() if isinstance(part, CheckedRows)]
            refused = {scope: one for scope, one in checked.items() if isinstance(one, Exception)}
            owners = [part.scope.workspace_id for part in parts]
            keys = change.keys.filter(pl.col("workspace_id").is_in(owners))
            transaction.replace_all(parts, keys)
        snapshot_id = transaction.snapshot_id
    snapshot_id = snapshot_id or batch.platform.lake.snapshot_id()
    # What is stored was checked when it was written.
    rows = split_rows(reader.read(change.table), scopes)
    return {
        scope: refused.get(scope) or Written(own.height, snapshot_id, PASSED, own)
        for scope, own in rows.items()
    }
