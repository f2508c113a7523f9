"""Which known format a file is of, judged by its content.

A format is recognized by the columns it needs; where several fit, the one that needs most of them
is meant. Does not belong here: reading the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing.cells import Records, find_breach
from ytap_assets.sources.importing.convert import make_record_test
from ytap_assets.sources.importing.csv_records import match_names, read_csv_records, read_header
from ytap_assets.sources.importing.formats import Column, Format, name_formats
from ytap_assets.sources.importing.json_paths import ABSENT, Found, as_text, find_records
from ytap_assets.sources.importing.json_records import (
    looks_like_json,
    read_documents,
    read_json_records,
)
from ytap_assets.sources.importing.records import Content, make_printable
from ytap_assets.sources.importing.refusals import known_refusals

_SAMPLE = 100
_NAMES_SHOWN = 25
_NAMES_READ = 1000
_BEGINNING_CHARS = 4096
_LIKE = 0.5
"""The share of a format's columns from which on a file is said to look like it."""
_HOW_TO_ADD = "docs/importing.md tells how to declare another"


@dataclass(frozen=True)
class Candidate:
    """One way to read the file: as a format, with the columns that were found."""

    format: Format
    path: str | None
    columns: tuple[str, ...]

    def has(self, column: Column) -> bool:
        """Whether the file has what the column is read from."""
        return any(name in self.columns for name in (column.source, *column.or_from))

    def with_names_alike(self) -> Candidate:
        """The same, with a table's columns that are spelled in other capitals or with spaces."""
        if self.path is not None:
            return self
        wanted = (*chain.from_iterable(self.format.required), *self.format.wanted)
        return replace(self, columns=tuple(match_names(self.columns, wanted)))

    @property
    def missing(self) -> list[str]:
        """The columns the format needs and the file lacks; `or` is between alternatives."""
        present = frozenset(self.columns)
        return [" or ".join(one) for one in self.format.required if present.isdisjoint(one)]


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
    values = _sample_json(content)
    candidates = tuple(
        _csv_candidates(content, formats) if values is None else _json_candidates(values, formats)
    )
    fitting = [one for one in candidates if not one.missing]
    if not fitting:
        fitting = [alike for one in candidates if not (alike := one.with_names_alike()).missing]
    of_source = [one for one in fitting if source in one.format.sources]
    if of_source:
        return max(of_source, key=lambda one: len(one.format.required))
    if fitting:
        other = max(fitting, key=lambda one: len(one.format.required)).format
        raise ImportRefusedError(
            f"{content.name}: is of the format {other.name} ({other.about}); import it with "
            f"--source {' or '.join(other.sources)}, not {source}"
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
    """The first documents; None where the file does not look like JSON."""
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
    """The names of the values of the first records that the format takes."""
    found = (each for value in values for each in find_records(value, path, declared.inherited))
    taken = (each for each in found if each.fault is None and not _is_barred(each, declared))
    names: dict[str, None] = {}
    for each in islice(taken, _SAMPLE):
        names |= dict.fromkeys(islice(each.names(), _NAMES_READ))
        asked = (*chain.from_iterable(declared.required), *declared.wanted)
        names |= dict.fromkeys(name for name in asked if each.get(name) is not ABSENT)
    return tuple(names)


def _is_barred(found: Found, declared: Format) -> bool:
    return find_breach(declared.only, lambda name: as_text(found.get(name))) is not None


def _find_refusal(content: Content, values: Sequence[object] | None) -> str | None:
    if values is not None:
        said = (one.explain_json(values) for one in known_refusals())
    else:
        with content.open_text() as text:
            beginning = text.read(_BEGINNING_CHARS)
        with content.open_text() as text:
            header = read_header(text).names
        said = (one.explain_text(beginning, header) for one in known_refusals())
    return next((one for one in said if one is not None), None)


def _explain(
    content: Content, candidates: Sequence[Candidate], formats: Sequence[Format], *, source: str
) -> str:
    """What the file holds, and the nearest of the formats of the source it was said to be of."""
    ours = [one for one in formats if source in one.sources]
    known = f"Known formats of {source}: {name_formats(ours)}; {_HOW_TO_ADD}"
    columns = max((one.columns for one in candidates), key=len, default=())
    if not columns:
        return f"{content.name}: holds no rows of named columns (CSV, JSON, JSON lines). {known}"
    shown = ", ".join(repr(make_printable(name[:40])) for name in columns[:_NAMES_SHOWN])
    parts = [f"{content.name}: of no known format. Its columns: {shown}"]
    nearest = max(candidates, key=_nearness)
    if source not in nearest.format.sources and _nearness(nearest) >= _LIKE:
        parts.append(
            f"It looks like --source {' or '.join(nearest.format.sources)} "
            f"({nearest.format.name} also needs {', '.join(nearest.missing)})"
        )
    nearest = max((one for one in candidates if source in one.format.sources), key=_nearness)
    if _nearness(nearest) > 0:
        parts.append(
            f"Nearest is {nearest.format.name} ({nearest.format.about}), which also needs "
            f"{', '.join(nearest.missing)}"
        )
    return ". ".join([*parts, known])


def _nearness(one: Candidate) -> float:
    """The share of the columns it needs that the file has."""
    return 1 - len(one.missing) / max(1, len(one.format.required))
