"""Store the results of sources and files: rows, evidence and counts.

Belongs here: the content of a commit (`store_fetches`), and when to commit (`Batches`), so that a
fetch is not lost by later failures. Does not belong here: fetching (`collect`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

import polars as pl

from ytap_assets.lakehouse.checks import (
    PASSED,
    CheckedRows,
    CheckResult,
    PublishRefusedError,
    Scope,
    check_batch,
    check_rows,
    outside_calendar,
)
from ytap_assets.lakehouse.reader import BatchReader, Days
from ytap_assets.lakehouse.transaction import Appended, Run, Transaction
from ytap_assets.operations.platform import Platform
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, Table
from ytap_assets.tables.evidence import ANSWERED, HISTORIES

Refusal = PublishRefusedError | pl.exceptions.PolarsError
"""Why nothing of a workspace's fetches was stored: a whole frame is not of its table's shape."""

_NUMBER = "__number"
_AGAIN = "-"
_NEW_NAME = "__new_name"
_COLLECTION = ("workspace_id", "collection_id")
_LOG = logging.getLogger(__name__)
_ROWS_PER_COMMIT = 50_000
_BYTES_PER_COMMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Stored:
    """What was stored of a workspace's fetches.

    Attributes:
        frame: The rows that were new.
        log: The entries of ``collection_log`` with their counts.
        payloads: The day of each payload.
        results: The structural checks.
        snapshot_id: Their snapshot.
    """

    frame: pl.DataFrame
    log: pl.DataFrame
    payloads: pl.Series
    results: tuple[CheckResult, ...]
    snapshot_id: int

    def within(self, days: Days | None) -> Stored:
        """The part of some days; all of it if None."""
        if days is None:
            return self
        is_within = pl.col("day").is_between(*days)
        return replace(
            self,
            frame=self.frame.filter(is_within),
            log=self.log.filter(is_within),
            payloads=self.payloads.filter(self.payloads.is_between(*days)),
        )


@dataclass(frozen=True)
class _Checked:
    """The checked rows of a workspace's fetches."""

    rows: CheckedRows
    payloads: CheckedRows
    quarantined: CheckedRows
    log: CheckedRows


@dataclass(frozen=True)
class Preview:
    """What `store_fetches` would add to a table and to ``quarantined_rows``."""

    rows: Appended
    quarantined: Appended


def preview_fetches(
    platform: Platform, workspace_id: str, table: Table, fetches: Sequence[Fetch]
) -> Preview:
    """Preview `store_fetches`; nothing is written.

    Returns:
        Rows with the ``collection_id`` of their fetch, also where it is in the log already.

    Raises:
        PublishRefusedError: As `store_fetches`.
    """
    checked = _check_fetches(table, {workspace_id: fetches}, platform.now())[workspace_id]
    if not isinstance(checked, _Checked):
        raise checked
    lake = platform.lake
    names = _name_again(lake.reader(workspace_id), checked.log.frame)
    given = dict(names.select(_NEW_NAME, "collection_id").iter_rows())
    parts = (checked.rows, checked.quarantined)
    split = (lake.preview_append(_rename(part, names)) for part in parts)
    return Preview(*(_restore_names(one, given) for one in split))


def _restore_names(split: Appended, given: Mapping[str, str]) -> Appended:
    name = pl.col("collection_id").replace(given)
    return Appended(split.accepted.with_columns(name), split.duplicates.with_columns(name))


def store_fetches(
    platform: Platform, table: Table, fetches: Sequence[Fetch], run: Run
) -> dict[str, Stored | Refusal]:
    """Append the rows of fetches to a table, with their evidence, in one commit.

    Stored rows are counted as duplicates. Rows that violate the table's structure are stored in
    ``quarantined_rows``, so that fetched = accepted + quarantined + duplicates holds for every
    entry of ``collection_log``. A fetch that is stored again with additional rows (its parser was
    fixed, or the definition of duplicates changed) gets another entry; one without additional rows
    gets none.

    Args:
        platform: Where to.
        table: The table of the fetched rows.
        fetches: Fetches of any workspaces, in order. The same collection is among them once.
        run: Who stores them.

    Returns:
        What was stored, by workspace. If one of a workspace's frames is not of its table's shape,
        nothing of this workspace is stored, and its entry is the refusal.
    """
    owned: dict[str, list[Fetch]] = {}
    for fetch in fetches:
        owned.setdefault(str(fetch.log["workspace_id"]), []).append(fetch)
    found = _check_fetches(table, owned, platform.now())
    checked = {name: one for name, one in found.items() if isinstance(one, _Checked)}
    stored: dict[str, Stored | Refusal] = {
        name: one for name, one in found.items() if not isinstance(one, _Checked)
    }
    if checked:
        with platform.lake.write(run) as transaction:
            appended, log = _append(transaction, checked)
        logs = log.partition_by("workspace_id", as_dict=True, maintain_order=True)
        for (name, one), new in zip(checked.items(), appended, strict=True):
            stored[name] = Stored(
                frame=new.accepted,
                log=logs.get((name,), log.clear()),
                payloads=one.payloads.frame.get_column("day"),
                results=one.rows.results,
                snapshot_id=transaction.snapshot_id or 0,
            )
    return stored


def _append(
    transaction: Transaction, checked: Mapping[str, _Checked]
) -> tuple[list[Appended], pl.DataFrame]:
    """Append everything; what became of each workspace's rows, and the log with its counts."""
    reader = transaction.batch_reader(list(checked))
    log = pl.concat([one.log.frame for one in checked.values()])
    names = _name_again(reader, log)
    unreadable = [_rename(one.quarantined, names) for one in checked.values()]
    appended = transaction.append_all([_rename(one.rows, names) for one in checked.values()])
    newly_unreadable = transaction.append_all(unreadable)
    transaction.append_all([one.payloads for one in checked.values()])
    log = _complete_log(log, names, appended, [part.frame for part in unreadable])
    log = _drop_answered(reader, log)
    news = _drop_unchanged(log, names, [*appended, *newly_unreadable])
    entries = news.partition_by("workspace_id", as_dict=True, maintain_order=True)
    transaction.append_all(
        [
            # Its checks hold as before: it has other names and counts now.
            replace(one.log, frame=entries.get((name,), news.clear()))
            for name, one in checked.items()
        ]
    )
    return appended, log


def _check_fetches(
    table: Table, owned: Mapping[str, Sequence[Fetch]], now: datetime
) -> dict[str, _Checked | Refusal]:
    """The frames of each workspace's fetches, checked, or why they are refused."""
    refused: dict[str, Refusal] = {}
    rows: dict[Scope, pl.DataFrame] = {}
    evidence: dict[Scope, list[pl.DataFrame]] = {}
    for name, fetches in owned.items():
        scope = Scope(name)
        try:
            rows[scope] = _stack(table, [fetch.rows for fetch in fetches])
            evidence[scope] = [
                _stack(RAW_PAYLOADS, [fetch.payloads for fetch in fetches]),
                _stack(QUARANTINED_ROWS, [fetch.quarantined for fetch in fetches]),
                COLLECTION_LOG.frame([fetch.log for fetch in fetches]),
            ]
        except pl.exceptions.PolarsError as error:
            rows.pop(scope, None)
            refused[name] = error
    passed: dict[Scope, list[CheckedRows]] = {}
    for scope, found in check_batch(table, rows).items():
        try:
            checked, broken = _keep_whole(table, rows[scope], scope, found)
        except PublishRefusedError as error:
            refused[scope.workspace_id] = error
            continue
        passed[scope] = [checked]
        payloads, quarantined, log = evidence[scope]
        quarantined = quarantined.vstack(_quarantine(broken, scope.workspace_id, now))
        evidence[scope] = [payloads, quarantined, log]
    for place, each in enumerate((RAW_PAYLOADS, QUARANTINED_ROWS, COLLECTION_LOG)):
        frames = {scope: evidence[scope][place] for scope in passed}
        for scope, found in check_batch(each, frames).items():
            if isinstance(found, CheckedRows):
                passed[scope].append(found)
            else:
                del passed[scope]
                refused[scope.workspace_id] = found
    return refused | {scope.workspace_id: _Checked(*parts) for scope, parts in passed.items()}


def _stack(table: Table, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([table.empty(), *frames], how="vertical")


def _keep_whole(
    table: Table, rows: pl.DataFrame, scope: Scope, found: CheckedRows | PublishRefusedError
) -> tuple[CheckedRows, pl.DataFrame]:
    """The valid rows, and the others with their ``number`` within the fetch and ``reason``.

    A row is refused for its types before other checks, so the check is repeated until all remaining
    rows pass.

    Args:
        table: The table.
        rows: A workspace's rows.
        scope: The workspace.
        found: The result of their check.

    Raises:
        PublishRefusedError: The frame itself is wrong.
    """
    if isinstance(found, CheckedRows):
        return found, rows.clear().with_columns(
            pl.lit(0, pl.Int64).alias(_NUMBER), reason=pl.lit("")
        )
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("collection_id")
    rows = rows.with_columns(number.alias(_NUMBER))
    broken = [rows.clear().with_columns(reason=pl.lit(""))]
    while True:
        try:
            return check_rows(table, rows.drop(_NUMBER), scope), pl.concat(broken)
        except PublishRefusedError as error:
            cases = pl.concat([result.cases for result in error.results])
            if cases.get_column("row").null_count():  # not about rows: the frame itself is wrong
                raise
        reason = pl.format("{}: {}: {}", "column", "check", pl.col("case").fill_null("null"))
        reasons = (
            cases.with_columns(reason=reason)
            .group_by("row", maintain_order=True)
            .agg(pl.col("reason").str.join("; "))
        )
        indexed = rows.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
        broken.append(indexed.join(reasons, on="row", maintain_order="left").drop("row"))
        rows = indexed.join(reasons, on="row", how="anti", maintain_order="left").drop("row")


def _quarantine(broken: pl.DataFrame, workspace_id: str, now: datetime) -> pl.DataFrame:
    """Invalid rows as rows of ``quarantined_rows`` of the workspace that fetched them."""
    if broken.is_empty():
        return QUARANTINED_ROWS.empty()
    rows: list[dict[str, Any]] = []
    texts = pl.DataFrame([_as_text(values) for values in broken])
    days = broken.get_column("day")
    days = pl.select(pl.when(~outside_calendar(days)).then(days)).to_series()
    for row, day in zip(texts.iter_rows(named=True), days, strict=True):
        reason, number = row.pop("reason"), row.pop(_NUMBER)
        text = repr(row)
        name = f"{row['collection_id']} {number} {text}"
        rows.append(
            {
                "workspace_id": workspace_id,
                "day": day or now.date(),
                "quarantine_id": hashlib.sha256(name.encode()).hexdigest()[:32],
                "collection_id": row["collection_id"],
                "source": row.get("source") or row.get("platform"),
                "origin": row["collection_id"],
                "place": f"row {number}",
                "reason": reason,
                "original": text,
                "quarantined_at": now,
            }
        )
    return QUARANTINED_ROWS.frame(rows)


def _as_text(values: pl.Series) -> pl.Series:
    """Every value as text; a time beyond the calendar, which has no text, as its number."""
    outside = outside_calendar(values)
    readable = pl.when(~outside).then(values).cast(pl.String, strict=False)
    number = pl.when(outside).then(values.to_physical()).cast(pl.String)
    return pl.select(pl.coalesce(readable, number).alias(values.name)).to_series()


def _name_again(reader: BatchReader, log: pl.DataFrame) -> pl.DataFrame:
    """New names for collections that are in the log already: the old one, and which time it is.

    Returns:
        ``workspace_id``, ``collection_id`` and the new name, of these collections alone.
    """
    known = log.join(
        reader.read(
            COLLECTION_LOG,
            columns=_COLLECTION,
            wanted={"collection_id": log["collection_id"].unique().to_list()},
        ),
        on=_COLLECTION,
        how="semi",
    )
    if known.is_empty():
        return known.select(*_COLLECTION, pl.lit("").alias(_NEW_NAME))
    wanted = {name: known[name].unique().to_list() for name in ("source", "target")}
    entries = reader.read(COLLECTION_LOG, columns=_COLLECTION, wanted=wanted)
    first = pl.col("collection_id").str.replace(rf"{_AGAIN}\d+$", "")
    again = entries.with_columns(first).group_by(_COLLECTION).len("times")
    counted = known.join(again, on=_COLLECTION, how="left")
    name = pl.format("{}{}{}", "collection_id", pl.lit(_AGAIN), pl.col("times").fill_null(1) + 1)
    return counted.select(*_COLLECTION, name.alias(_NEW_NAME))


def _rename(rows: CheckedRows, names: pl.DataFrame) -> CheckedRows:
    """The rows with the new names of their collections; their checks hold as before."""
    own = names.filter(workspace_id=rows.scope.workspace_id) if names.height else names
    if own.is_empty():
        return rows
    renamed = pl.col("collection_id").replace(dict(own.drop("workspace_id").iter_rows()))
    return replace(rows, frame=rows.frame.with_columns(renamed))


def _drop_unchanged(
    log: pl.DataFrame, names: pl.DataFrame, added: Sequence[Appended]
) -> pl.DataFrame:
    """The log without the entries of stored collections that have no new rows."""
    again = names.select("workspace_id", collection_id=_NEW_NAME)
    brought = pl.concat([part.accepted.select(_COLLECTION) for part in added])
    unchanged = again.join(brought, on=_COLLECTION, how="anti")
    return log.join(unchanged, on=_COLLECTION, how="anti", maintain_order="left")


def _complete_log(
    log: pl.DataFrame,
    names: pl.DataFrame,
    appended: Sequence[Appended],
    quarantined: Sequence[pl.DataFrame],
) -> pl.DataFrame:
    """The log's rows, under their new names, with the counts that are known only now."""
    log = log.drop("accepted", "quarantined", "duplicates")
    log = (
        log.join(names, on=_COLLECTION, how="left", maintain_order="left")
        .with_columns(pl.coalesce(_NEW_NAME, "collection_id").alias("collection_id"))
        .drop(_NEW_NAME)
    )
    for name, frames in (
        ("accepted", [part.accepted for part in appended]),
        ("quarantined", quarantined),
        ("duplicates", [part.duplicates for part in appended]),
    ):
        rows = pl.concat([frame.select(_COLLECTION) for frame in frames])
        counts = rows.group_by(_COLLECTION).agg(pl.len().cast(pl.Int64).alias(name))
        log = log.join(counts, on=_COLLECTION, how="left", maintain_order="left")
        log = log.with_columns(pl.col(name).fill_null(0))
    fetched = pl.sum_horizontal("accepted", "quarantined", "duplicates")
    return log.with_columns(fetched=fetched).select(COLLECTION_LOG.schema.names())


def _drop_answered(reader: BatchReader, log: pl.DataFrame) -> pl.DataFrame:
    """Without the entries that say a day cannot be asked any more, where it was answered then."""
    lost = log.filter(pl.col("outcome") == "unrecoverable")
    if lost.is_empty():
        return log
    days: list[date] = lost["day"].to_list()
    what = ["workspace_id", "day", "source", "target"]
    answered = reader.read(
        COLLECTION_LOG,
        days=(min(days), max(days)),
        columns=what,
        # A file of this name was no answer of the target.
        wanted={"outcome": ANSWERED, "history": [one for one in HISTORIES if one != "file"]},
    )
    gone = lost.join(answered, on=what, how="semi")
    return log.join(gone, on=_COLLECTION, how="anti", maintain_order="left")


class Batches:
    """Takes fetches one by one and stores many in a commit: ``with Batches(...) as batches``.

    However the block ends, what was added is stored. A fetch whose frames are refused does not
    keep the others from being stored.
    """

    def __init__(self, platform: Platform, table: Table, run: Run) -> None:
        """Begin without fetches; they are rows of the table, stored in the name of the run."""
        self._platform = platform
        self._table = table
        self._run = run
        self._waiting: dict[tuple[str, str], Fetch] = {}
        self._rows = self._bytes = 0
        self._stored: dict[str, list[Stored]] = {}
        self._refused: dict[str, dict[date, Refusal]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.commit()

    def add(self, fetch: Fetch) -> None:
        """Take a fetch."""
        name = (str(fetch.log["workspace_id"]), str(fetch.log["collection_id"]))
        if name in self._waiting:
            self.commit()  # in one commit, both would be given the counts of the two
        self._waiting[name] = fetch
        self._rows += fetch.rows.height + fetch.quarantined.height
        self._bytes += int(fetch.payloads.get_column("size_bytes").sum())

    def commit_if_large(self) -> None:
        """Store the rows added since the last commit, if there are enough."""
        if self._rows >= _ROWS_PER_COMMIT or self._bytes >= _BYTES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Store what was added since the last commit."""
        waiting = list(self._waiting.values())
        if not waiting:
            return
        refused = self._store(waiting)  # where the lake fails, they wait for the end of the block
        self._waiting = {}
        self._rows = self._bytes = 0
        # One fetch of each of these workspaces is refused: alone, each of the others passes.
        for fetch in waiting:
            name = str(fetch.log["workspace_id"])
            if name in refused and (refusal := self._store([fetch]).get(name)) is not None:
                _LOG.error(
                    "%s %s %s is not stored: %s",
                    name,
                    fetch.log["source"],
                    fetch.log["target"],
                    refusal,
                )
                self._refused.setdefault(name, {}).setdefault(fetch.log["day"], refusal)

    def _store(self, fetches: list[Fetch]) -> dict[str, Refusal]:
        """Store fetches; the refusals of the workspaces of which nothing was stored."""
        try:
            found = store_fetches(self._platform, self._table, fetches, self._run)
        except pl.exceptions.PolarsError as error:
            return {str(fetch.log["workspace_id"]): error for fetch in fetches}
        refused: dict[str, Refusal] = {}
        for name, one in found.items():
            if isinstance(one, Stored):
                self._stored.setdefault(name, []).append(one)
            else:
                refused[name] = one
        return refused

    def stored_days(self, workspace_id: str) -> list[date]:
        """The days of which fetches of a workspace are stored, in order."""
        logs = [part.log.get_column("day") for part in self._stored.get(workspace_id, ())]
        return sorted({day for days in logs for day in days})

    def total(self, workspace_id: str, days: Days | None = None) -> Stored | Refusal:
        """What was stored of a workspace, as if it had been one commit.

        Args:
            workspace_id: The workspace.
            days: Of which days; of all if None.

        Returns:
            What was stored; or the first refusal, if a fetch of these days was refused. Then the
            others are stored nevertheless.
        """
        for day, refusal in self._refused.get(workspace_id, {}).items():
            if days is None or days[0] <= day <= days[1]:
                return refusal
        parts = self._stored.get(workspace_id)
        if parts is None:
            return Stored(
                frame=self._table.empty(),
                log=COLLECTION_LOG.empty(),
                payloads=pl.Series("day", dtype=pl.Date),
                results=PASSED,
                snapshot_id=self._platform.lake.snapshot_id(),
            )
        if len(parts) > 1:
            whole = Stored(
                frame=pl.concat([part.frame for part in parts]),
                log=pl.concat([part.log for part in parts]),
                payloads=pl.concat([part.payloads for part in parts]),
                results=tuple(result for part in parts for result in part.results),
                snapshot_id=parts[-1].snapshot_id,
            )
            self._stored[workspace_id] = parts = [whole]
        return parts[0].within(days)
