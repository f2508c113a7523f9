"""Records of a JSON document or of JSON lines.

Belongs here: reading documents, and turning the records found in them (`json_paths`) into cells of
text. Does not belong here: what cells mean.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from ytap_assets.sources.importing.cells import Only, Records, RecordsBuilder, find_breach
from ytap_assets.sources.importing.json_paths import (
    Found,
    as_text,
    find_records,
    parse_joined_json,
    parse_json,
)

MAX_DOCUMENT_CHARS = 64 * 1024 * 1024
"""The longest JSON document, or line of JSON lines: it is held in memory whole."""
_BOM = "\ufeff"


class Document(NamedTuple):
    """One document: a file of JSON has one, a file of JSON lines one per line."""

    line: int | None
    text: str
    value: object
    fault: str | None


def looks_like_json(text: TextIO) -> bool:
    """Whether the text begins as a JSON object or array."""
    return text.read(4096).lstrip(_BOM).lstrip()[:1] in {"{", "["}


def read_documents(text: TextIO) -> Iterator[Document]:
    """Read the documents, in order; blank lines are none.

    A file is JSON lines where its first line is a document by itself and more follow, or where
    it is no document as a whole but its second line is one (the first is then a damaged line).
    Else it is one document, or several written one after the other.

    Args:
        text: The file's text, from its start.
    """
    lines = _Lines(text)
    opening, second = lines.read(), lines.read()
    if second.text and opening.value is not None:
        yield from (opening, second, *lines)
        return
    if not second.text:
        yield from _split_joined(opening._replace(line=None), opening.line or 1)
        return
    start = opening.text + second.text
    whole = _parse(start + text.read(max(0, MAX_DOCUMENT_CHARS - len(start))), line=None)
    if text.read(1):
        fault = f"is one JSON document of more than {MAX_DOCUMENT_CHARS // 2**20} MiB"
        yield whole._replace(value=None, fault=fault)
        return
    if whole.fault is None or not isinstance(second.value, dict | list):
        yield from _split_joined(whole, opening.line or 1)
        return
    yield from (opening, second, *_Lines(io.StringIO(whole.text, newline=""), skip=2))


def _split_joined(whole: Document, line: int) -> Iterator[Document]:
    """The documents of a file that holds several, one after the other but not one a line."""
    if whole.fault is None:
        yield whole
        return
    for text, value, fault in parse_joined_json(whole.text):
        is_all = len(text) == len(whole.text)
        yield whole if is_all else Document(line, text, value, fault)
        line += text.count("\n")


class _Lines:
    """The lines of a file that are not blank, each read as a document."""

    def __init__(self, text: TextIO, *, skip: int = 0) -> None:
        self._text = text
        self._number = 0
        for _ in range(skip):
            self.read()

    def read(self) -> Document:
        """The next line that is not blank; an empty document at the end of the file."""
        while True:
            line = self._text.readline(MAX_DOCUMENT_CHARS)
            self._number += 1
            if line.strip(_BOM).strip():
                return _parse(line.lstrip(_BOM), line=self._number)
            if not line:
                return Document(self._number, "", None, "is empty")

    def __iter__(self) -> Iterator[Document]:
        while (document := self.read()).text:
            yield document


def _parse(text: str, *, line: int | None) -> Document:
    value, fault = parse_json(text)
    return Document(line, text, value, fault)


def read_json_records(
    text: TextIO,
    path: str,
    wanted: Sequence[str],
    only: Mapping[str, Only] | None = None,
    inherited: frozenset[str] = frozenset(),
) -> Records:
    """Read all records along a path.

    Args:
        text: The file's text.
        path: Where the records are.
        wanted: The names to read; a record's missing ones are unknown values.
        only: What the values of some columns must be.
        inherited: The names a record may have from the objects passed on the way to it.
    """
    builder = RecordsBuilder(tuple(wanted))
    for document in read_documents(text):
        if document.fault is not None:
            place = _place(document.line, None)
            builder.add_fault(document.fault, place=place, original=document.text)
            continue
        many = bool(path)
        for number, found in enumerate(find_records(document.value, path, inherited), start=1):
            place = _place(document.line, number if many or document.line is None else None)
            _add(builder, found, place=place, only=only or {})
    return builder.build()


def _place(line: int | None, item: int | None) -> str:
    parts = [f"line {line}" if line is not None else "", f"item {item}" if item is not None else ""]
    return ", ".join(part for part in parts if part) or "the whole file"


def _add(builder: RecordsBuilder, found: Found, *, place: str, only: Mapping[str, Only]) -> None:
    fault = find_breach(only, lambda name: as_text(found.get(name))) or found.fault
    values = [] if fault else [found.get(name) for name in builder.columns]
    for name, value in zip(builder.columns, values, strict=False):
        if isinstance(value, dict | list):
            fault = f"column {name} holds a JSON object or array where a plain value was expected"
    if fault is not None:
        builder.add_fault(fault, place=place, original=found.original)
    else:
        builder.add([as_text(value) for value in values], place=place, original=found.original)
