"""Store what sources and files handed over: rows, evidence and counts, in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.conform import outside_calendar
from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.reader import Reader
from ytap_assets.lakehouse.transaction import Appended, Run
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.sources.fetch import Fetch
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, Table

_NUMBER = "__number"
_AGAIN = "-"


@dataclass(frozen=True)
class Stored:
    """What was stored, and the entries of ``collection_log`` with their counts."""

    written: Written
    log: pl.DataFrame


@dataclass(frozen=True)
class Preview:
    """What `store_fetches` would add to a table and to ``quarantined_rows``."""

    rows: Appended
    quarantined: Appended


def preview_fetches(
    platform: Platform, workspace_id: str, table: Table, fetches: Sequence[Fetch]
) -> Preview:
    """What `store_fetches` would do now; nothing is written.

    Returns:
        Rows with the ``collection_id`` of their fetch, also where it is in the log already.

    Raises:
        PublishRefusedError: As `store_fetches`.
    """
    lake = platform.lake
    rows, aside = _check_fetched(platform, workspace_id, table, fetches)
    names = _name_again(lake.reader(workspace_id), [f.log for f in fetches])
    given = {new: name for name, new in names.items()}
    split = (lake.preview_append(_rename(frame, names)) for frame in (rows, aside))
    return Preview(*(_restore_names(one, given) for one in split))


def _restore_names(split: Appended, given: Mapping[str, str]) -> Appended:
    name = pl.col("collection_id").replace(given)
    return Appended(split.accepted.with_columns(name), split.duplicates.with_columns(name))


def store_fetches(
    platform: Platform, workspace_id: str, table: Table, fetches: Sequence[Fetch], run: Run
) -> Stored:
    """Append the rows of fetches to a table, with their evidence, in one commit.

    Rows that are stored already are counted as duplicates. Rows that break the table's structure
    are put into ``quarantined_rows``, so that fetched = accepted + quarantined + duplicates holds
    for every entry of ``collection_log``. A fetch that is stored again and brings more than it did
    (its parser was fixed, or what counts as a duplicate changed) gets an entry of its own; one that
    brings nothing more gets none.

    Raises:
        PublishRefusedError: A whole frame is not of its table's columns; nothing was written.
    """
    scope = Scope(workspace_id)
    rows, quarantined = _check_fetched(platform, workspace_id, table, fetches)
    payloads = check_rows(RAW_PAYLOADS, _stack(RAW_PAYLOADS, [f.payloads for f in fetches]), scope)
    with platform.lake.write(run) as transaction:
        reader = transaction.reader(workspace_id)
        names = _name_again(reader, [f.log for f in fetches])
        unreadable = _rename(quarantined, names)
        appended = transaction.append(_rename(rows, names))
        newly_unreadable = transaction.append(unreadable)
        transaction.append(payloads)
        log = _complete_log([f.log for f in fetches], names, appended, unreadable.frame)
        log = _drop_answered(reader, log)
        news = _drop_unchanged(log, names, (appended.accepted, newly_unreadable.accepted))
        transaction.append(check_rows(COLLECTION_LOG, news, scope))
    notes = {
        "fetches": log.height,
        "rows_fetched": rows.frame.height + quarantined.frame.height,
        "rows_quarantined": quarantined.frame.height,
        "rows_duplicate": appended.duplicates.height,
        "payloads": payloads.frame.height,
    }
    written = Written(
        rows=appended.accepted.height,
        snapshot_id=transaction.snapshot_id or 0,
        results=rows.results,
        frame=appended.accepted,
        notes=notes,
    )
    return Stored(written, log)


def _check_fetched(
    platform: Platform, workspace_id: str, table: Table, fetches: Sequence[Fetch]
) -> tuple[CheckedRows, CheckedRows]:
    """The rows of the fetches that pass, and those that go to ``quarantined_rows``."""
    scope = Scope(workspace_id)
    rows, broken = _split_broken(table, _stack(table, [f.rows for f in fetches]), scope)
    unreadable = _stack(QUARANTINED_ROWS, [f.quarantined for f in fetches])
    unreadable = unreadable.vstack(_quarantine(broken, workspace_id, platform.now()))
    return rows, check_rows(QUARANTINED_ROWS, unreadable, scope)


def _stack(table: Table, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([table.empty(), *frames], how="vertical")


def _split_broken(
    table: Table, rows: pl.DataFrame, scope: Scope
) -> tuple[CheckedRows, pl.DataFrame]:
    """The rows that pass, and the others with their ``number`` within the fetch and ``reason``.

    A row is refused for its types before anything else is looked at, so it goes on until all that
    is left passes.
    """
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
    """Broken rows as rows of ``quarantined_rows`` of the workspace that fetched them."""
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


def _name_again(reader: Reader, logs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """New names for collections that are in the log already: the old one, and which time it is."""
    asked = {log["collection_id"]: (log["source"], log["target"]) for log in logs}
    known = reader.read(
        COLLECTION_LOG, columns=["collection_id"], wanted={"collection_id": list(asked)}
    ).get_column("collection_id")
    if known.is_empty():
        return {}
    sources, targets = zip(*(asked[name] for name in known), strict=True)
    entries = reader.read(
        COLLECTION_LOG,
        columns=["collection_id"],
        wanted={"source": sources, "target": targets},
    ).get_column("collection_id")
    times = {name: 1 + entries.str.starts_with(f"{name}{_AGAIN}").sum() for name in known}
    return {name: f"{name}{_AGAIN}{count + 1}" for name, count in times.items()}


def _rename(rows: CheckedRows, names: Mapping[str, str]) -> CheckedRows:
    """The rows with the new names of their collections; their checks hold as before."""
    if not names:
        return rows
    renamed = rows.frame.with_columns(pl.col("collection_id").replace(names))
    return replace(rows, frame=renamed)


def _drop_unchanged(
    log: pl.DataFrame, names: Mapping[str, str], added: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Without the entries of collections that were in the log and brought nothing more."""
    brought = pl.concat([frame.get_column("collection_id") for frame in added])
    unchanged = set(names.values()) - set(brought)
    return log.filter(~pl.col("collection_id").is_in(unchanged))


def _complete_log(
    logs: Sequence[dict[str, Any]],
    names: Mapping[str, str],
    appended: Appended,
    quarantined: pl.DataFrame,
) -> pl.DataFrame:
    """The log's rows, under their new names, with the counts that are known only now."""
    log = COLLECTION_LOG.frame(list(logs)).drop("accepted", "quarantined", "duplicates")
    log = log.with_columns(pl.col("collection_id").replace(names))
    for name, frame in (
        ("accepted", appended.accepted),
        ("quarantined", quarantined),
        ("duplicates", appended.duplicates),
    ):
        counts = frame.group_by("collection_id").agg(pl.len().cast(pl.Int64).alias(name))
        log = log.join(counts, on="collection_id", how="left", maintain_order="left")
        log = log.with_columns(pl.col(name).fill_null(0))
    fetched = pl.sum_horizontal("accepted", "quarantined", "duplicates")
    return log.with_columns(fetched=fetched).select(COLLECTION_LOG.schema.names())


def _drop_answered(reader: Reader, log: pl.DataFrame) -> pl.DataFrame:
    """Without the entries that say a day cannot be asked any more, where it was answered then."""
    lost = log.filter(pl.col("outcome") == "unrecoverable")
    if lost.is_empty():
        return log
    what = ["day", "source", "target"]
    answered = reader.read(COLLECTION_LOG, columns=what, wanted={"outcome": ["ok"]})
    return log.join(lost.join(answered, on=what, how="semi"), on="collection_id", how="anti")
