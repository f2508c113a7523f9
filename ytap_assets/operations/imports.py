"""Store rows without a request: import files, and parse stored responses again.

Recorded trending tables are imported into ``raw_trends``, as observations of their day. After a
parser was fixed, stored responses are parsed again, and rows that were not stored are added.
Belongs here: which files and responses are read at a time, and what became of them. Does not belong
here: parsers (`sources`), or what counts as stored already (`store`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.domain.plausibility import SKEW
from ytap_assets.errors import ConfigError, ImportRefusedError, YtapError
from ytap_assets.lakehouse.reader import Days, Reader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import Batches, Preview, Stored, preview_fetches, store_fetches
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import make_loggable, parse_payloads
from ytap_assets.sources.importing import check_region, describe_reasons, read_trend_file
from ytap_assets.sources.source import Fetch, Source
from ytap_assets.tables import COLLECTION_LOG, RAW_PAYLOADS, RAW_TRENDS, Table

_LOG = logging.getLogger(__name__)
DIFFERENCES = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "source": pl.String,
        "table": pl.String,
        "rows": pl.Int64,
        "added": pl.Int64,
        "changed": pl.Int64,
        "conflicting": pl.Int64,
        "quarantined": pl.Int64,
    }
)
"""What reading a day's responses of a source again gives.

``rows``: rows read. ``added``: rows of items that have none. ``changed``: rows that differ from the
stored ones of the same item; they are stored beside them. ``conflicting``: rows that differ from
one with the same key, which a table with unique keys keeps as it is. ``quarantined``: items that
cannot be read and are not in ``quarantined_rows`` yet.
"""
_OUTCOME = ("target", "first_day", "day", "fetched", "accepted", "quarantined", "duplicates")
_COUNTS = ("rows", "added", "changed", "conflicting", "quarantined")
_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_COLLECTIONS = 500


class ImportFailedError(YtapError):
    """Nothing was imported from some files; the rows of the others are stored.

    Attributes:
        outcome: What became of the files that were read, as `import_trends` returns it.
        problems: A line for each file of which nothing was imported: its name, and why.
        only_refused: Whether all of these were refused before anything of them was stored.
    """

    def __init__(self, outcome: pl.DataFrame, problems: Sequence[str], *, only_refused: bool):
        """Take what was imported and what was not."""
        super().__init__("; ".join(problems))
        self.outcome = outcome
        self.problems = tuple(problems)
        self.only_refused = only_refused


def import_trends(
    platform: Platform,
    files: Sequence[Path],
    *,
    workspace_id: str,
    source: str,
    run: Run,
    region: str | None = None,
    observed_on: date | None = None,
    progress: Callable[[Path], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Read files and append their rows; importing a file again changes nothing.

    Args:
        platform: Where to.
        files: What; each of a recognized format.
        workspace_id: Whose observations they become.
        source: The platform the tables are about.
        run: Who imports.
        region: The region of the lists, if the files do not contain it.
        observed_on: The day of observation, if the files do not contain it.
        progress: Called with each file before it is read.
        warn: Called with what a person should know about a file that is imported all the same.

    Returns:
        One row per file: target, first_day (of its rows that are new, null if none is), day (the
        last observed), fetched, accepted, quarantined, duplicates. A file whose rows are all there
        already is a success.

    Raises:
        ImportFailedError: Files were refused, or nothing of them was accepted: no row could be
            read, or there is none. All other files are stored, and the rows that could not be
            read are in ``quarantined_rows``.
        PublishRefusedError: A file's rows are not of the table's shape; the others are stored.
        ImportRefusedError: ``region`` is invalid.
        ConfigError: There is no such workspace, it is archived, or ``observed_on`` is still to
            come.
    """
    check_region(region)
    if observed_on is not None and observed_on > platform.now().date():
        raise ConfigError(f"{observed_on} is in the future; give the day of the observations")
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    refused: list[str] = []
    reasons: dict[str, str] = {}
    with Batches(platform, RAW_TRENDS, run) as batches:
        for file in files:
            progress(file)
            try:
                fetch = read_trend_file(
                    file,
                    workspace_id=workspace_id,
                    source=source,
                    region=region,
                    observed_on=observed_on,
                    now=platform.now(),
                    run_id=run.run_id,
                )
            except ImportRefusedError as error:
                refused.append(str(error))
                continue
            ahead = fetch.rows.filter(pl.col("observed_at") > platform.now() + SKEW)
            if not ahead.is_empty():
                warn(
                    f"{fetch.log['target']}: rows with a date in the future: {ahead.height}, up to"
                    f" {ahead['day'].max()!s}; check the year and the order of day and month"
                )
            if fetch.rows.is_empty():
                reasons[fetch.log["collection_id"]] = describe_reasons(fetch.quarantined)
            batches.add(fetch)
            batches.commit_if_large()
    stored = batches.total(workspace_id)
    if not isinstance(stored, Stored):
        raise stored
    days = stored.frame.group_by("collection_id").agg(first_day=pl.col("day").min())
    log = stored.log.join(days, on="collection_id", how="left", maintain_order="left")
    failed = _describe_failures(log, reasons)
    if refused or failed:
        raise ImportFailedError(log.select(_OUTCOME), [*refused, *failed], only_refused=not failed)
    return log.select(_OUTCOME)


def _describe_failures(log: pl.DataFrame, reasons: Mapping[str, str]) -> list[str]:
    """A line for each file of which no row is in the lake."""
    nothing = log.filter((pl.col("accepted") == 0) & (pl.col("duplicates") == 0))
    broken = "its rows do not match the declaration of raw_trends"
    kept = {True: "; the rows are in quarantined_rows", False: ""}
    return [
        f"{row['target']}: nothing was imported: {reasons.get(row['collection_id'], broken)}"
        f"{kept[row['quarantined'] > 0]}"
        for row in nothing.iter_rows(named=True)
    ]


@dataclass(frozen=True)
class Reparsed:
    """What reading a workspace's responses again gave.

    Attributes:
        differences: A row per day, source and table; columns of `DIFFERENCES`.
        fetches: Fetches whose responses were read.
        problems: A line for each fetch that could not be read.
    """

    differences: pl.DataFrame
    fetches: int
    problems: tuple[str, ...]

    @property
    def differing(self) -> pl.DataFrame:
        """The rows in which something differs from what was stored."""
        return self.differences.filter(pl.any_horizontal(pl.col(_COUNTS[1:]) > 0))


@dataclass(frozen=True)
class _Batch:
    fetches: dict[Table, list[Fetch]]
    problems: list[str]


def reparse_payloads(
    platform: Platform,
    workspace_id: str,
    run: Run,
    *,
    days: Days | None = None,
    writes: bool = False,
    catalog: Catalog = CATALOG,
    batch_bytes: int = _BATCH_BYTES,
) -> Reparsed:
    """Parse a workspace's stored responses again, and report the differences from stored rows.

    Whole fetches are read at a time, in the order of their days, up to ``batch_bytes`` of bodies
    (and at least one fetch), so memory does not grow with history; with ``writes`` each batch is a
    commit. A fetch that cannot be read stops no other. Rows are only added: what a parser of before
    read stays.

    Args:
        platform: The installation.
        workspace_id: Whose responses.
        run: Who asks for it.
        days: First and last requested day; all stored days if None.
        writes: Whether what is new is stored; otherwise nothing is written.
        catalog: The sources there are. Responses of a source that is gone are left alone.
        batch_bytes: How many bytes of bodies are read at a time.

    Raises:
        ConfigError: There is no such workspace, its rows are another's, or it is archived and
            ``writes`` is set.
        LakeError: The lake cannot be read, or not be written to. Earlier batches stay stored.
    """
    if writes:
        platform.workspaces.get_open(workspace_id)
        platform.register(workspace_id, run)
    else:
        platform.workspace(workspace_id)
    reader = platform.lake.reader(workspace_id)
    differences, problems, fetches = [pl.DataFrame(schema=DIFFERENCES)], [], 0
    for part in _list_batches(reader, days, batch_bytes):
        batch = _parse_batch(reader, part, run, catalog)
        problems += batch.problems
        for table, parsed in batch.fetches.items():
            fetches += len(parsed)
            preview = preview_fetches(platform, workspace_id, table, parsed)
            differences.append(_compare(reader, table, parsed, preview))
            if writes and (news := _select_new(parsed, preview)):
                stored = store_fetches(platform, table, news, run)[workspace_id]
                if isinstance(stored, Exception):
                    raise stored
    total = pl.concat(differences)
    grouped = total.group_by("workspace_id", "day", "source", "table", maintain_order=True)
    return Reparsed(grouped.agg(pl.col(_COUNTS).sum()), fetches, tuple(problems))


def _list_batches(reader: Reader, days: Days | None, most_bytes: int) -> Iterator[pl.DataFrame]:
    """Fetches to be read together: ``day`` and ``collection_id``."""
    sizes = reader.read(RAW_PAYLOADS, days=days, columns=["day", "collection_id", "size_bytes"])
    whole = sizes.group_by("day", "collection_id").agg(pl.col("size_bytes").sum())
    waiting: list[tuple[date, str]] = []
    size = 0
    for day, collection_id, size_bytes in whole.sort("day", "collection_id").iter_rows():
        is_full = size + size_bytes > most_bytes or len(waiting) == _BATCH_COLLECTIONS
        if waiting and is_full:
            yield _frame(waiting)
            waiting, size = [], 0
        waiting.append((day, collection_id))
        size += size_bytes
    if waiting:
        yield _frame(waiting)


def _frame(waiting: Sequence[tuple[date, str]]) -> pl.DataFrame:
    return pl.DataFrame(waiting, schema=["day", "collection_id"], orient="row")


def _parse_batch(reader: Reader, part: pl.DataFrame, run: Run, catalog: Catalog) -> _Batch:
    """Read a batch's responses; the fetches by the table that they feed."""
    days = (part.item(0, "day"), part.item(-1, "day"))
    wanted = {"collection_id": part["collection_id"].to_list()}
    log = reader.read(COLLECTION_LOG, days=days, wanted=wanted)
    entries = {entry["collection_id"]: entry for entry in log.iter_rows(named=True)}
    payloads = reader.read(RAW_PAYLOADS, days=days, wanted=wanted).sort("payload_id")
    fetches: dict[Table, list[Fetch]] = {}
    problems: list[str] = []
    for (name,), responses in payloads.group_by("collection_id", maintain_order=True):
        source = catalog.find(responses.item(0, "source"), responses.item(0, "url"))
        entry = entries.get(str(name))
        if source is None:
            continue
        if entry is None:
            problems.append(f"fetch {name} is not in collection_log; it was not parsed")
            continue
        try:
            fetch = _parse_fetch(source, responses, entry, run)
        except Exception as error:  # whatever a parser does with one fetch, others go on
            failed = f"{entry['source']} {entry['target']} of {entry['day']}: the parser failed"
            problems.append(f"{failed}: {type(error).__name__}: {error}")
            if not isinstance(error, YtapError):
                # Not `exception`: the trace may quote the response, with what steers a terminal.
                trace = "".join(traceback.format_exception(error))
                _LOG.error("%s:\n%s", make_loggable(failed), make_loggable(trace, keep="\n"))
        else:
            fetches.setdefault(source.table, []).append(fetch)
    return _Batch(fetches, problems)


def _parse_fetch(source: Source, responses: pl.DataFrame, entry: dict[str, Any], run: Run) -> Fetch:
    rows, quarantined, error = parse_payloads(source, responses)
    outcome, detail = entry["outcome"], entry["detail"]
    if error is not None:
        outcome, detail = error.outcome, str(error)
    elif outcome == "malformed":
        outcome, detail = "ok", None
    again = "parsed again from raw_payloads"
    changed = {"outcome": outcome, "detail": f"{again}; {detail}" if detail else again}
    log = entry | changed | {"run_id": run.run_id}
    return Fetch(log=log, rows=rows, quarantined=quarantined, payloads=RAW_PAYLOADS.empty())


def _compare(
    reader: Reader, table: Table, fetches: Sequence[Fetch], preview: Preview
) -> pl.DataFrame:
    """A row per fetch, with the columns of `DIFFERENCES`."""
    asked = COLLECTION_LOG.frame([fetch.log for fetch in fetches])
    accepted = preview.rows.accepted
    is_part = pl.col("part") > 0 if table.in_parts else pl.lit(value=False)
    conflicting = accepted.clear() if table.in_parts else _find_conflicting(reader, table, preview)
    counted = {
        "rows": pl.concat([fetch.rows for fetch in fetches]),
        "added": accepted.filter(~is_part),
        "changed": accepted.filter(is_part),
        "conflicting": conflicting,
        "quarantined": preview.quarantined.accepted,
    }
    for name, frame in counted.items():
        counts = frame.group_by("collection_id").agg(pl.len().cast(pl.Int64).alias(name))
        asked = asked.drop(name, strict=False).join(counts, on="collection_id", how="left")
    return asked.with_columns(
        pl.col(_COUNTS).fill_null(0), pl.lit(table.name).alias("table")
    ).select(DIFFERENCES.names())


def _find_conflicting(reader: Reader, table: Table, preview: Preview) -> pl.DataFrame:
    """Rows whose key is stored with other values."""
    rows = preview.rows.duplicates
    if rows.is_empty():
        return rows
    days = rows["day"].sort()
    stored = reader.read(table, days=(days[0], days[-1]))
    return rows.join(stored, on=[*table.key, *table.said], how="anti", nulls_equal=True)


def _select_new(fetches: Sequence[Fetch], preview: Preview) -> list[Fetch]:
    """The fetches that bring a row or a quarantined item."""
    frames = (preview.rows.accepted, preview.quarantined.accepted)
    news = {name for frame in frames for name in frame["collection_id"]}
    return [fetch for fetch in fetches if fetch.log["collection_id"] in news]
