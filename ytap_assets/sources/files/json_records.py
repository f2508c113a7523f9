"""Records of a JSON document or of JSON lines, found along a path such as ``hits.*``.

Belongs here: finding records in documents and turning their values into cells of text. Does not
belong here: what cells mean.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from ytap_assets.sources.files.records import Records, RecordsBuilder

MAX_DOCUMENT_CHARS = 64 * 1024 * 1024
"""The longest JSON document, or line of JSON lines: it is held in memory whole."""
_BOM = "\ufeff"


class Document(NamedTuple):
    """One document: a file of JSON has one, a file of JSON lines one per line."""

    line: int | None
    text: str
    value: object
    fault: str | None


class Found(NamedTuple):
    """One record found in a document; ``record`` is None where there should have been one."""

    record: Mapping[str, object] | None
    original: object
    fault: str | None


def looks_like_json(text: TextIO) -> bool:
    """Whether the text begins as a JSON object or array."""
    return text.read(4096).lstrip(_BOM).lstrip()[:1] in {"{", "["}


def read_documents(text: TextIO) -> Iterator[Document]:
    """Read the documents, in order; blank lines are none.

    A file is JSON lines where its first line is a document by itself and more follow, or where
    it is no document as a whole but its second line is one (the first is then a damaged line).

    Args:
        text: The file's text, from its start.
    """
    lines = _Lines(text)
    opening, second = lines.read(), lines.read()
    if second.text and opening.value is not None:
        yield from (opening, second, *lines)
        return
    if not second.text:
        yield opening._replace(line=None)
        return
    start = opening.text + second.text
    whole = _parse(start + text.read(max(0, MAX_DOCUMENT_CHARS - len(start))), line=None)
    if text.read(1):
        fault = f"is one JSON document of more than {MAX_DOCUMENT_CHARS // 2**20} MiB"
        whole = whole._replace(value=None, fault=fault)
    if whole.fault is None or not isinstance(second.value, dict | list):
        yield whole
        return
    yield from (opening, second, *_Lines(io.StringIO(whole.text, newline=""), skip=2))


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
    try:
        return Document(line, text, json.loads(text), None)
    except RecursionError:
        return Document(line, text, None, "is not readable JSON: nested too deeply")
    except ValueError as error:
        return Document(line, text, None, f"is not readable JSON: {error}")


def find_records(value: object, path: str) -> Iterator[Found]:
    """Find the records of a document along a path (see `formats.Format`).

    A record also has the plain values of the objects passed on the way to it.
    """
    return _walk(value, tuple(path.split(".")) if path else (), {})


def _walk(node: object, steps: tuple[str, ...], above: Mapping[str, object]) -> Iterator[Found]:
    if not steps:
        if isinstance(node, dict):
            yield Found({**above, **node}, node, None)
        else:
            yield Found(None, node, "is not a JSON object")
        return
    step, rest = steps[0], steps[1:]
    if step == "*" or step.startswith("{"):
        yield from _walk_each(node, step, rest, above)
    elif isinstance(node, dict) and step in node:
        plain = {key: one for key, one in node.items() if not isinstance(one, dict | list)}
        yield from _walk(node[step], rest, {**above, **plain})
    else:
        yield Found(None, node, f"has no {step!r}")


def _walk_each(
    node: object, step: str, rest: tuple[str, ...], above: Mapping[str, object]
) -> Iterator[Found]:
    pairs: Iterator[tuple[object, object]]
    if isinstance(node, dict):
        pairs = iter(node.items())
    elif isinstance(node, list):
        pairs = iter(enumerate(node))
    else:
        yield Found(None, node, "is a plain value where a list was expected")
        return
    name = step[1:-1] if step.startswith("{") else None
    for key, element in pairs:
        yield from _walk(element, rest, {**above, name: str(key)} if name else above)


def read_json_records(text: TextIO, path: str, wanted: Sequence[str]) -> Records:
    """Read all records along a path.

    Args:
        text: The file's text.
        path: Where the records are.
        wanted: The keys to read; a record's missing keys are unknown values.
    """
    builder = RecordsBuilder(tuple(wanted))
    for document in read_documents(text):
        if document.fault is not None:
            place = _place(document.line, None)
            builder.add_fault(document.fault, place=place, original=document.text)
            continue
        many = bool(path)
        for number, found in enumerate(find_records(document.value, path), start=1):
            place = _place(document.line, number if many or document.line is None else None)
            _add(builder, found, place=place, wanted=wanted)
    return builder.build()


def _place(line: int | None, item: int | None) -> str:
    parts = [f"line {line}" if line is not None else "", f"item {item}" if item is not None else ""]
    return ", ".join(part for part in parts if part) or "the whole file"


def _add(builder: RecordsBuilder, found: Found, *, place: str, wanted: Sequence[str]) -> None:
    if found.record is None:
        fault = found.fault or "is not a JSON object"
        builder.add_fault(fault, place=place, original=found.original)
        return
    values = [found.record.get(name) for name in wanted]
    for name, value in zip(wanted, values, strict=True):
        if isinstance(value, dict | list):
            fault = f"column {name} holds a JSON object or array where a plain value was expected"
            builder.add_fault(fault, place=place, original=found.original)
            return
    cells = [_as_text(value) for value in values]
    builder.add(cells, place=place, original=found.original)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
