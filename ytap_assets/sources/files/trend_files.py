"""One file of recorded trends into one `Fetch`.

Belongs here: what the caller says (workspace, source, region, day) joined with what the file says.
Does not belong here: syntax, kinds of values, storing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.domain.iso_codes import check_country
from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.files.content import Content, read_content
from ytap_assets.sources.files.convert import REASON, convert_records
from ytap_assets.sources.files.formats import Format, known_formats
from ytap_assets.sources.files.kinds import Reading, has_year
from ytap_assets.sources.files.names import DaySpan, read_name_days, year_from, year_up_to
from ytap_assets.sources.files.recognize import Candidate, read_records, recognize
from ytap_assets.sources.files.records import Records
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS

_ID_CHARS = 32
_NO_LIST = "items"


@dataclass(frozen=True)
class _Import:
    """One import: the file, and what the caller said."""

    content: Content
    workspace_id: str
    source: str
    region: str | None
    observed_on: date | None
    now: datetime
    run_id: str

    @property
    def collection_id(self) -> str:
        """The same file imported in the same way always gets the same id."""
        said = [self.workspace_id, self.source, self.region, self.observed_on, self.content.name]
        return _hash(self.content.sha256, *said)


def read_trend_file(
    path: Path,
    *,
    workspace_id: str,
    source: str,
    region: str | None = None,
    observed_on: date | None = None,
    now: datetime,
    run_id: str,
    formats: Sequence[Format] | None = None,
) -> Fetch:
    """Read one file of recorded trends.

    Rows of the same key stay in ``rows``, in the file's order: the lake counts duplicates. Rows
    that cannot be read are in ``quarantined``, with the file, the line or item, the column and
    the value. The ids depend on the bytes and the arguments alone, so importing a file twice
    changes nothing.

    Args:
        path: The file: CSV, JSON or JSON lines, packed by gzip or zstd or not.
        workspace_id: The workspace to import into.
        source: ``youtube``, ``hn`` or ``reddit``.
        region: The country of the list, where the content does not say it. Goes before the
            file's name.
        observed_on: The day of observation, where the content does not say it; for dates
            without a year, the last day they can mean. Goes before the file's name.
        now: The present.
        run_id: The run that imports.
        formats: The formats to recognize; by default the known ones.

    Returns:
        ``rows`` of `raw_trends` and ``quarantined``; ``log["day"]`` is the last day observed.

    Raises:
        ImportRefusedError: The file is of no known format or of another source, cannot be read,
            or does not say when it was observed and ``observed_on`` is not given; or not one of
            its rows can be read, and nothing says which day it speaks of.
        ConfigError: The workspace's name breaks the rule.
    """
    check_workspace_id(workspace_id)
    check_region(region)
    content = read_content(path)
    job = _Import(content, workspace_id, source, region, observed_on, now, run_id)
    candidate = recognize(content, formats or known_formats(), source=source)
    reading = _read_around(job, candidate)
    records = read_records(content, candidate)
    converted = convert_records(records, candidate.format, reading)
    rows = _rows(converted.filter(pl.col(REASON).is_null()), candidate.format, job)
    _check_observed_on(rows, job)
    day = _last_day(rows, converted, reading, job)
    quarantined = _quarantine(converted, records, job, day)
    log = _log(job, day, rows.height, quarantined.height)
    return Fetch(log=log, rows=rows, quarantined=quarantined, payloads=RAW_PAYLOADS.empty())


def check_region(region: str | None) -> None:
    """Check a region as given.

    Raises:
        ImportRefusedError: It is not the code of a country.
    """
    if region is None:
        return
    try:
        check_country(region)
    except ValueError as error:
        raise ImportRefusedError(f"--region: {error}") from error


def describe_reasons(reasons: pl.DataFrame) -> str:
    """The most frequent reason why rows cannot be read, with an example.

    Args:
        reasons: Rows with ``reason`` and ``place``, such as those of `quarantined_rows`.
    """
    if reasons.is_empty():
        return "it holds no rows"
    # Reasons differ by the value they show.
    kind = pl.col("reason").str.replace_all(r"holds '.*?'(, which|:)", "holds a value$1")
    kinds = reasons.with_columns(kind=kind, count=pl.len().over(kind))
    first = kinds.sort("count", descending=True, maintain_order=True).row(0, named=True)
    return (
        f"of {reasons.height} rows {first['count']} for this reason: {first['reason']} "
        f"({first['place']})"
    )


def _read_around(job: _Import, candidate: Candidate) -> Reading:
    """What the name and the caller say about the time of observation."""
    name, declared = job.content.name, candidate.format
    days = read_name_days(name)
    said = declared.columns.get("observed_at")
    if said is None or not candidate.has(said):
        from_name = days.last if days is not None and said is not None else None
        observed_day = job.observed_on or from_name
        if observed_day is None:
            raise ImportRefusedError(_ask(name, declared, "the day it was observed on"))
        return Reading(name, observed_day, None)
    if said.kind == "day" and not all(has_year(pattern) for pattern in said.patterns):
        year = _find_year(days, job.observed_on)
        if year is None:
            raise ImportRefusedError(_ask(name, declared, "the year of its dates"))
        return Reading(name, None, year)
    if job.observed_on is not None:
        raise ImportRefusedError(
            f"{name}: its column {said.source} says when each row was observed; import it "
            "without --observed-on"
        )
    return Reading(name, None, None)


def _ask(name: str, declared: Format, what: str) -> str:
    return (
        f"{name}: {declared.name} ({declared.about}): neither content nor file name holds {what}; "
        "give it with --observed-on DAY, such as --observed-on 2024-01-31"
    )


def _find_year(days: DaySpan | None, observed_on: date | None) -> DaySpan | None:
    if observed_on is not None:
        return year_up_to(observed_on)
    if days is not None:
        return year_from(days.first)
    return None


def _rows(accepted: pl.DataFrame, declared: Format, job: _Import) -> pl.DataFrame:
    ours = {
        "workspace_id": pl.lit(job.workspace_id),
        "source": pl.lit(job.source),
        "collection_id": pl.lit(job.collection_id),
        "region": _region(declared, job),
        "list_name": _list_name(declared),
        "part": pl.lit(0),
    }
    frame = accepted.with_columns(**ours)
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in RAW_TRENDS.schema.items()
    )


def _region(declared: Format, job: _Import) -> pl.Expr:
    """What the rows say, else what the caller says, else what the file's name says."""
    said = pl.lit(job.region, pl.String)
    column = declared.columns.get("region")
    if column is None:
        return said
    return pl.coalesce("region", said) if column.source else pl.coalesce(said, "region")


def _list_name(declared: Format) -> pl.Expr:
    """What the format says; items that no list is known of have one name in every format."""
    if "list_name" not in declared.columns:
        return pl.lit(_NO_LIST)
    return pl.when(pl.col("list_name") != "").then("list_name").otherwise(pl.lit(_NO_LIST))


def _check_observed_on(rows: pl.DataFrame, job: _Import) -> None:
    """What was published after the day that was given cannot have been seen on it."""
    if job.observed_on is None:
        return
    later = rows.filter(pl.col("published_at") > pl.col("observed_at"))
    if not later.is_empty():
        newest = later.select(pl.col("published_at").max().dt.date()).item()
        raise ImportRefusedError(
            f"{job.content.name}: holds items published up to {newest}, after --observed-on "
            f"{job.observed_on}; give the day the file was made"
        )


def _last_day(rows: pl.DataFrame, converted: pl.DataFrame, reading: Reading, job: _Import) -> date:
    """The last day observed: of the readable rows, else of the others, else as the name says."""
    for frame in (rows, converted):
        last: date | None = frame.select(pl.col("observed_at").max().dt.date()).item()
        if last is not None:
            return last
    days = read_name_days(job.content.name)
    day = reading.observed_day or job.observed_on or (days.last if days else None)
    if day is None:
        bad = converted.select(reason=REASON).with_row_index("place", offset=1)
        raise ImportRefusedError(
            f"{job.content.name}: no row can be read, and nothing says which day it speaks of: "
            f"{describe_reasons(bad.with_columns(pl.format('row {}', 'place').alias('place')))}"
        )
    return day


def _quarantine(converted: pl.DataFrame, records: Records, job: _Import, day: date) -> pl.DataFrame:
    bad = converted.with_row_index("index").filter(pl.col(REASON).is_not_null())
    rows = []
    for index, reason in bad.select("index", REASON).iter_rows():
        original = records.original(index)
        row = {
            "workspace_id": job.workspace_id,
            "day": day,
            "quarantine_id": _hash(job.collection_id, index, original),
            "collection_id": job.collection_id,
            "source": job.source,
            "origin": job.content.name,
            "place": records.places[index],
            "reason": reason,
            "original": original,
            "quarantined_at": job.now,
        }
        rows.append(row)
    return QUARANTINED_ROWS.frame(rows)


def _log(job: _Import, day: date, readable: int, quarantined: int) -> dict[str, Any]:
    fetched = readable + quarantined
    detail = f"{quarantined} of {fetched} rows could not be read: see quarantined_rows"
    if not fetched:
        detail = "the file holds no rows"
    return {
        "workspace_id": job.workspace_id,
        "day": day,
        "collection_id": job.collection_id,
        "source": job.source,
        "target": job.content.name,
        "history": "file",
        "outcome": "ok" if readable else "malformed",
        "detail": detail if quarantined or not fetched else None,
        "http_status": None,
        "attempts": 0,
        "started_at": job.now,
        "finished_at": job.now,
        "fetched": fetched,
        "accepted": 0,
        "quarantined": quarantined,
        "duplicates": 0,
        "run_id": job.run_id,
    }


def _hash(*parts: object) -> str:
    text = "\0".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]
