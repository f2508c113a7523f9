"""Which known format a file is of, judged by its content.

A format is recognized by the columns it needs; where several fit, the one that needs most of them
is meant. Does not belong here: reading the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.files.content import Content, make_printable
from ytap_assets.sources.files.csv_records import read_csv_records, read_header
from ytap_assets.sources.files.formats import Format, name_formats
from ytap_assets.sources.files.json_records import (
    find_records,
    looks_like_json,
    read_documents,
    read_json_records,
)
from ytap_assets.sources.files.records import Records

_SAMPLE = 100
_NAMES_SHOWN = 25
_HOW_TO_ADD = "docs/importing.md tells how to declare another"


@dataclass(frozen=True)
class Candidate:
    """One way to read the file: as a format, with the columns that were found."""

    format: Format
    path: str | None
    columns: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """The columns the format needs and the file lacks."""
        return [name for name in self.format.required if name not in self.columns]


def recognize(content: Content, formats: Sequence[Format], *, source: str) -> Candidate:
    """Find the format of a file.

    Args:
        content: The file.
        formats: The known formats.
        source: The source it is to be imported as.

    Raises:
        ImportRefusedError: None fits, or only one of another source; the message says what the
            file holds, the nearest format, and what is missing.
    """
    with content.open_text() as text:
        is_json = looks_like_json(text)
    candidates = list(
        _json_candidates(content, formats) if is_json else _csv_candidates(content, formats)
    )
    fitting = [one for one in candidates if not one.missing]
    of_source = [one for one in fitting if source in one.format.sources]
    if of_source:
        return max(of_source, key=lambda one: len(one.format.required))
    if fitting:
        other = fitting[0].format
        raise ImportRefusedError(
            f"{content.name}: is of the format {other.name} ({other.about}); import it with "
            f"--source {other.sources[0]}, not {source}"
        )
    raise ImportRefusedError(_explain(content, candidates, formats))


def read_records(content: Content, candidate: Candidate) -> Records:
    """Read the file's records as the format found."""
    wanted = candidate.format.wanted
    with content.open_text() as text:
        if candidate.path is None:
            return read_csv_records(text, wanted)
        return read_json_records(text, candidate.path, wanted)


def _csv_candidates(content: Content, formats: Iterable[Format]) -> Iterator[Candidate]:
    with content.open_text() as text:
        header = tuple(read_header(text))
    return (Candidate(one, None, header) for one in formats if one.records is None)


def _json_candidates(content: Content, formats: Iterable[Format]) -> Iterator[Candidate]:
    with content.open_text() as text:
        documents = list(islice(read_documents(text), _SAMPLE))
    if all(document.fault is not None for document in documents):
        raise ImportRefusedError(f"{content.name}: {documents[0].fault}")
    values = [document.value for document in documents if document.fault is None]
    for one in formats:
        for path in one.records or ():
            yield Candidate(one, path, _keys(values, path))


def _keys(values: Iterable[object], path: str) -> tuple[str, ...]:
    found = (each.record for value in values for each in find_records(value, path))
    records = islice((record for record in found if record is not None), _SAMPLE)
    return tuple(dict.fromkeys(name for record in records for name in record))


def _explain(content: Content, candidates: Sequence[Candidate], formats: Sequence[Format]) -> str:
    known = f"Known formats: {name_formats(formats)}; {_HOW_TO_ADD}"
    columns = max((one.columns for one in candidates), key=len, default=())
    if not columns:
        return f"{content.name}: holds no rows of named columns (CSV, JSON, JSON lines). {known}"
    shown = ", ".join(repr(make_printable(name[:40])) for name in columns[:_NAMES_SHOWN])
    nearest = max(candidates, key=_nearness)
    return (
        f"{content.name}: of no known format. Its columns: {shown}. Nearest is "
        f"{nearest.format.name} ({nearest.format.about}), which also needs "
        f"{', '.join(nearest.missing)}. {known}"
    )


def _nearness(one: Candidate) -> float:
    return 1 - len(one.missing) / max(1, len(one.format.required))
