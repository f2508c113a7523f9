"""Detection of a file's format, and the conversion of one file of recorded trends into a `Fetch`.

A format is detected by its required columns; where several fit, the one with the most required
columns is used. Belongs here: joining the caller's arguments (workspace, source, region, day) with
the file's content. Does not belong here: syntax, kinds of values, storing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.domain.languages import check_country
from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing.conversion import (
    REASON,
    FileContext,
    convert_records,
    has_year,
    make_record_test,
)
from ytap_assets.sources.importing.csv_records import match_names, read_csv_records, read_header
from ytap_assets.sources.importing.formats import (
    Column,
    Format,
    known_formats,
    known_refusals,
    name_formats,
)
from ytap_assets.sources.importing.json_records import (
    ABSENT,
    Found,
    as_text,
    find_records,
    looks_like_json,
    read_documents,
    read_json_records,
)
from ytap_assets.sources.importing.records import (
    Content,
    DaySpan,
    Records,
    find_exclusion,
    make_printable,
    read_content,
    read_name_days,
    year_from,
    year_up_to,
)
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS

_SAMPLE = 100
_NAMES_SHOWN = 25
_NAMES_READ = 1000
_BEGINNING_CHARS = 4096
_MIN_SIMILARITY = 0.5
"""The minimum share of a format's columns for a file to be reported as similar."""
_HOW_TO_ADD = "docs/importing.md explains how to declare a format"


@dataclass(frozen=True)
class Candidate:
    """A format the file may have, with the columns that were found."""

    format: Format
    path: str | None
    columns: tuple[str, ...]

    def has(self, column: Column) -> bool:
        """Whether the file has what the column is read from."""
        return any(name in self.columns for name in (column.source, *column.or_from))

    def with_matched_names(self) -> Candidate:
        """The same, with column names matched without regard to case and spaces."""
        if self.path is not None:
            return self
        wanted = (*chain.from_iterable(self.format.required), *self.format.wanted)
        return replace(self, columns=tuple(match_names(self.columns, wanted)))

    @property
    def missing(self) -> list[str]:
        """The columns the format needs and the file lacks; `or` is between alternatives."""
        present = frozenset(self.columns)
        return [" or ".join(one) for one in self.format.required if present.isdisjoint(one)]


def detect_format(content: Content, formats: Sequence[Format], *, source: str) -> Candidate:
    """Detect the format of a file.

    Args:
        content: The file.
        formats: The known formats.
        source: The source it is to be imported as.

    Raises:
        ImportRefusedError: No format fits, or only one of another source; the message has the
            file's columns, the most similar format, and what is missing.
    """
    values = _sample_json(content)
    candidates = tuple(
        _csv_candidates(content, formats) if values is None else _json_candidates(values, formats)
    )
    fitting = [one for one in candidates if not one.missing]
    if not fitting:
        fitting = [alike for one in candidates if not (alike := one.with_matched_names()).missing]
    of_source = [one for one in fitting if source in one.format.sources]
    if of_source:
        return max(of_source, key=lambda one: len(one.format.required))
    if fitting:
        other = max(fitting, key=lambda one: len(one.format.required)).format
        raise ImportRefusedError(
            f"{content.name}: has the format {other.name} ({other.about}); import it with --source"
            f" {' or '.join(other.sources)}, not {source}"
        )
    known = _find_refusal(content, values)
    if known is not None:
        raise ImportRefusedError(f"{content.name}: {known}")
    raise ImportRefusedError(_explain(content, candidates, formats, source=source))


def read_records(content: Content, candidate: Candidate) -> Records:
    """Read the file's records as the format found."""
    wanted, only = candidate.format.wanted, candidate.format.only
    with content.open_text() as text:
        if candidate.path is None:
            return read_csv_records(text, wanted, only, make_record_test(candidate.format))
        return read_json_records(text, candidate.path, wanted, only, candidate.format.inherited)


def _csv_candidates(content: Content, formats: Iterable[Format]) -> Iterator[Candidate]:
    with content.open_text() as text:
        header = tuple(read_header(text).names)
    return (Candidate(one, None, header) for one in formats if one.records is None)


def _sample_json(content: Content) -> list[object] | None:
    """The first documents; None if the file does not look like JSON."""
    with content.open_text() as text:
        if not looks_like_json(text):
            return None
    with content.open_text() as text:
        documents = list(islice(read_documents(text), _SAMPLE))
    if all(document.fault is not None for document in documents):
        raise ImportRefusedError(f"{content.name}: {documents[0].fault}")
    return [document.value for document in documents if document.fault is None]


def _json_candidates(values: Sequence[object], formats: Iterable[Format]) -> Iterator[Candidate]:
    for one in formats:
        for path in one.records or ():
            yield Candidate(one, path, _names(values, path, one))


def _names(values: Iterable[object], path: str, declared: Format) -> tuple[str, ...]:
    """The names of the values of the first records that the format accepts."""
    found = (each for value in values for each in find_records(value, path, declared.inherited))
    taken = (each for each in found if each.fault is None and not _is_excluded(each, declared))
    names: dict[str, None] = {}
    for each in islice(taken, _SAMPLE):
        names |= dict.fromkeys(islice(each.names(), _NAMES_READ))
        asked = (*chain.from_iterable(declared.required), *declared.wanted)
        names |= dict.fromkeys(name for name in asked if each.get(name) is not ABSENT)
    return tuple(names)


def _is_excluded(found: Found, declared: Format) -> bool:
    return find_exclusion(declared.only, lambda name: as_text(found.get(name))) is not None


def _find_refusal(content: Content, values: Sequence[object] | None) -> str | None:
    if values is not None:
        messages = (one.explain_json(values) for one in known_refusals())
    else:
        with content.open_text() as text:
            beginning = text.read(_BEGINNING_CHARS)
        with content.open_text() as text:
            header = read_header(text).names
        messages = (one.explain_text(beginning, header) for one in known_refusals())
    return next((one for one in messages if one is not None), None)


def _explain(
    content: Content, candidates: Sequence[Candidate], formats: Sequence[Format], *, source: str
) -> str:
    """The message: the file's columns, and the most similar format of the given source."""
    ours = [one for one in formats if source in one.sources]
    known = f"Known formats of {source}: {name_formats(ours)}; {_HOW_TO_ADD}"
    columns = max((one.columns for one in candidates), key=len, default=())
    if not columns:
        return (
            f"{content.name}: contains no rows with named columns (CSV, JSON, JSON lines). {known}"
        )
    shown = ", ".join(repr(make_printable(name[:40])) for name in columns[:_NAMES_SHOWN])
    parts = [f"{content.name}: unknown format. Its columns: {shown}"]
    nearest = max(candidates, key=_similarity)
    if source not in nearest.format.sources and _similarity(nearest) >= _MIN_SIMILARITY:
        parts.append(
            f"It looks like --source {' or '.join(nearest.format.sources)} "
            f"({nearest.format.name} also needs {', '.join(nearest.missing)})"
        )
    nearest = max((one for one in candidates if source in one.format.sources), key=_similarity)
    if _similarity(nearest) > 0:
        parts.append(
            f"The nearest format is {nearest.format.name} ({nearest.format.about}), which also"
            f" needs {', '.join(nearest.missing)}"
        )
    return ". ".join([*parts, known])


def _similarity(one: Candidate) -> float:
    """The share of the columns it needs that the file has."""
    return 1 - len(one.missing) / max(1, len(one.format.required))


_ID_CHARS = 32
_NO_LIST = "items"


@dataclass(frozen=True)
class _Import:
    """One import: the file and the caller's arguments."""

    content: Content
    workspace_id: str
    source: str
    region: str | None
    observed_on: date | None
    now: datetime
    run_id: str

    @property
    def collection_id(self) -> str:
        """A deterministic id: the same file with the same arguments gets the same id."""
        arguments = [
            self.workspace_id,
            self.source,
            self.region,
            self.observed_on,
            self.content.name,
        ]
        return _hash(self.content.sha256, *arguments)


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
        path: The file: CSV, JSON or JSON lines, optionally compressed by gzip or zstd.
        workspace_id: The workspace to import into.
        source: ``youtube``, ``hn`` or ``reddit``.
        region: The country of the list, if the content does not contain it. Takes
            precedence over the file's name.
        observed_on: The day of observation, if the content does not contain it; for dates
            without a year, their last possible day. Takes precedence over the file's name.
        now: The present.
        run_id: The run that imports.
        formats: The formats to detect; by default the known ones.

    Returns:
        ``rows`` of `raw_trends` and ``quarantined``; ``log["day"]`` is the last day observed.

    Raises:
        ImportRefusedError: The file is of no known format or of another source, cannot be read,
            or does not say when it was observed and ``observed_on`` is not given; or not one of
            its rows can be read, and its day is unknown.
        ConfigError: The workspace's name is invalid.
    """
    check_workspace_id(workspace_id)
    check_region(region)
    content = read_content(path)
    job = _Import(content, workspace_id, source, region, observed_on, now, run_id)
    candidate = detect_format(content, formats or known_formats(), source=source)
    context = _make_context(job, candidate)
    records = read_records(content, candidate)
    converted = convert_records(records, candidate.format, context)
    rows = _rows(converted.filter(pl.col(REASON).is_null()), candidate.format, job)
    _check_observed_on(rows, job)
    day = _last_day(rows, converted, context, job)
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
        return "it contains no rows"
    # Reasons differ in the values they show.
    kind = pl.col("reason").str.replace_all(r"contains '.*?'(, which|:)", "contains a value$1")
    kinds = reasons.with_columns(kind=kind, count=pl.len().over(kind))
    first = kinds.sort("count", descending=True, maintain_order=True).row(0, named=True)
    return (
        f"of {reasons.height} rows {first['count']} for this reason: {first['reason']} "
        f"({first['place']})"
    )


def _make_context(job: _Import, candidate: Candidate) -> FileContext:
    """The time of observation from the file's name and the caller."""
    name, declared = job.content.name, candidate.format
    days = read_name_days(name)
    observed = declared.columns.get("observed_at")
    if observed is None or not candidate.has(observed):
        from_name = days.last if days is not None and observed is not None else None
        observed_day = job.observed_on or from_name
        if observed_day is None:
            raise ImportRefusedError(_explain_missing(name, declared, "the day it was observed on"))
        return FileContext(name, observed_day, None)
    if observed.kind == "day" and not all(has_year(pattern) for pattern in observed.patterns):
        year = _find_year(days, job.observed_on)
        if year is None:
            raise ImportRefusedError(_explain_missing(name, declared, "the year of its dates"))
        return FileContext(name, None, year)
    if job.observed_on is not None:
        raise ImportRefusedError(
            f"{name}: the column {observed.source} contains the time of observation of each row;"
            " import the file without --observed-on"
        )
    return FileContext(name, None, None)


def _explain_missing(name: str, declared: Format, what: str) -> str:
    return (
        f"{name}: {declared.name} ({declared.about}): neither the content nor the file name"
        f" contains {what}; give it with --observed-on DAY, such as --observed-on 2024-01-31"
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
    """The region of the row, else of the caller, else of the file's name."""
    given = pl.lit(job.region, pl.String)
    column = declared.columns.get("region")
    if column is None:
        return given
    return pl.coalesce("region", given) if column.source else pl.coalesce(given, "region")


def _list_name(declared: Format) -> pl.Expr:
    """The list's name as the format declares it; items without one get a constant."""
    if "list_name" not in declared.columns:
        return pl.lit(_NO_LIST)
    return pl.when(pl.col("list_name") != "").then("list_name").otherwise(pl.lit(_NO_LIST))


def _check_observed_on(rows: pl.DataFrame, job: _Import) -> None:
    """Refuse items that were published after the given day of observation."""
    if job.observed_on is None:
        return
    later = rows.filter(pl.col("published_at") > pl.col("observed_at"))
    if not later.is_empty():
        newest = later.select(pl.col("published_at").max().dt.date()).item()
        raise ImportRefusedError(
            f"{job.content.name}: contains items published up to {newest}, after --observed-on"
            f" {job.observed_on}; give the day on which the file was created"
        )


def _last_day(
    rows: pl.DataFrame, converted: pl.DataFrame, context: FileContext, job: _Import
) -> date:
    """The last day observed: of the readable rows, else of the others, else of the name."""
    for frame in (rows, converted):
        last: date | None = frame.select(pl.col("observed_at").max().dt.date()).item()
        if last is not None:
            return last
    days = read_name_days(job.content.name)
    day = context.observed_day or job.observed_on or (days.last if days else None)
    if day is None:
        bad = converted.select(reason=REASON).with_row_index("place", offset=1)
        raise ImportRefusedError(
            f"{job.content.name}: no row can be parsed, and the day of observation is unknown:"
            f" {describe_reasons(bad.with_columns(pl.format('row {}', 'place').alias('place')))}"
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
    detail = f"{quarantined} of {fetched} rows could not be parsed; see quarantined_rows"
    if not fetched:
        detail = "the file contains no rows"
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
