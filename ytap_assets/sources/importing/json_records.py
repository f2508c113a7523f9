"""Records of a JSON document or of JSON lines, found along a path such as ``hits.*``.

The steps of a path are separated by dots: a key, ``*`` for every element, ``{x}`` for every element
with its key as column ``x``, ``@json`` for text that is itself a JSON document. Each step is
applied as often as it occurs in the path, which limits the cost of JSON nested in JSON. Does not
belong here: the meaning of the cells.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TextIO

from ytap_assets.sources.importing.records import (
    ConflictingObject,
    Only,
    Records,
    RecordsBuilder,
    find_exclusion,
)

AS_JSON = "@json"
"""The step into a text that is a JSON document."""
MAX_JSON_STEPS = 2
"""The maximum depth of JSON within text; a recorded exchange needs one level."""
_STEP = re.compile(r"\*|\{[a-z_]+\}|@json|[^*{}@.]+")
_BLANKS = re.compile(r"[\s\ufeff]*")
_AFTER_DOCUMENT = re.compile(r"[ \t\ufeff]*(?:[\r\n{\[]|\Z)")
ABSENT = object()
"""The value of a name that a record does not have."""
_Scope = Mapping[str, object]


class _Key(dict[str, object]):
    """A key kept as a column."""


class Found(NamedTuple):
    """One record found in a document, or the position of a missing one.

    Attributes:
        scopes: The record and its enclosing objects, the nearest first.
        original: The record's value, or the value found instead.
        fault: Why there is no record; None if there is one.
        inherited: The names it may inherit from enclosing objects, in addition to kept keys.
    """

    scopes: tuple[_Scope, ...]
    original: object
    fault: str | None
    inherited: frozenset[str] = frozenset()

    def get(self, name: str) -> object:
        """The value under a name, such as ``score`` or ``status.code``; else `ABSENT`.

        Inherited plain values of enclosing objects are included, the nearest first.
        """
        for scope in self.scopes:
            value = _dig(scope, name)
            if value is not ABSENT and (
                self._is_own(scope) or self._is_inherited(scope, name, value)
            ):
                return value
        return ABSENT

    def names(self) -> Iterator[str]:
        """The names of its values, its own first, without those of nested objects."""
        return chain.from_iterable(
            (
                name
                for name, value in scope.items()
                if self._is_own(scope) or self._is_inherited(scope, name, value)
            )
            for scope in self.scopes
        )

    def _is_own(self, scope: _Scope) -> bool:
        return self.fault is None and scope is self.scopes[0]

    def _is_inherited(self, scope: _Scope, name: str, value: object) -> bool:
        is_named = name in self.inherited or isinstance(scope, _Key)
        return is_named and not isinstance(value, dict | list)


def _dig(scope: _Scope, name: str) -> object:
    if name in scope:
        return scope[name]
    first, dot, rest = name.partition(".")
    within = scope.get(first) if dot else None
    return _dig(within, rest) if isinstance(within, dict) else ABSENT


def check_path(path: str) -> None:
    """Check a path as declared.

    Raises:
        ValueError: A step is empty or unknown, a column is named twice, or text is parsed
            more than `MAX_JSON_STEPS` times.
    """
    steps = path.split(".") if path else []
    names = [step for step in steps if step.startswith("{")]
    if unknown := [step for step in steps if not _STEP.fullmatch(step)]:
        raise ValueError(
            f"{path!r}: {unknown[0]!r} is not a step: a key, `*`, `{{x}}` or `{AS_JSON}`"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"{path!r}: two keys have the same column name")
    if steps.count(AS_JSON) > MAX_JSON_STEPS:
        raise ValueError(f"{path!r}: more than {MAX_JSON_STEPS} `{AS_JSON}` steps")


def as_text(value: object) -> str | None:
    """A plain value as a cell; None for null, absent and nested values."""
    if value is None or value is ABSENT or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) == len(pairs) or all(made[key] == value for key, value in pairs):
        return made
    conflicting = ConflictingObject(made)
    conflicting.pairs = pairs
    return conflicting


_DECODER = json.JSONDecoder(object_pairs_hook=_make_object)


def parse_json(text: str) -> tuple[object, str | None]:
    """Parse a document; return its value and the fault."""
    try:
        return _DECODER.decode(text), None
    except RecursionError:
        return None, "is not valid JSON: nested too deeply"
    except ValueError as error:
        return None, f"is not valid JSON: {error}"


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def parse_joined_json(text: str) -> Iterator[tuple[str, object, str | None]]:
    """Parse concatenated documents: text (with the blanks after it), value and fault of each.

    A document is an object or an array that ends its line, or is followed there by another one.
    Anything else is a fault up to the next line that begins with a document; if the text begins
    with an array, so do the documents, as objects may be elements of an array that is damaged.
    """
    start = rest = _skip_blanks(text, 0)
    for document, value, end in _parse_in_sequence(text, start):
        rest = end
        yield document, value, None
    brackets = "[" if text[start : start + 1] == "[" else "[{"
    # Each part is parsed separately, so that the cost after a fault stays linear.
    for part in re.split(rf"(?<=[\r\n])(?=\ufeff*[{re.escape(brackets)}])", text[rest:]):
        yield from _parse_part(part)


def _parse_part(part: str) -> Iterator[tuple[str, object, str | None]]:
    """The documents at the start of a text, then the rest as one fault."""
    found = list(_parse_in_sequence(part, _skip_blanks(part, 0)))
    at = found[-1][2] if found else 0
    if part[at : at + 1] in {"]", "}"}:  # They were elements of what it closes.
        found, at = [], 0
    for document, value, _ in found:
        yield document, value, None
    if at < len(part):
        _, fault = parse_json(part[at:])
        yield part[at:], None, fault or "is not a JSON object or array"


def _parse_in_sequence(text: str, at: int) -> Iterator[tuple[str, object, int]]:
    """Documents up to the first fault: text, value, start of the next."""
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (RecursionError, ValueError):
            return
        if not isinstance(value, dict | list) or not _AFTER_DOCUMENT.match(text, end):
            return
        start, at = at, _skip_blanks(text, end)
        yield text[start:at], value, at


def find_records(
    value: object, path: str, inherited: frozenset[str] = frozenset()
) -> Iterator[Found]:
    """Find the records of a document along a path."""
    found = _walk(value, tuple(path.split(".")) if path else (), ())
    return (one._replace(inherited=inherited) for one in found)


def _walk(node: object, steps: tuple[str, ...], above: tuple[_Scope, ...]) -> Iterator[Found]:
    passed = (node, *above) if isinstance(node, dict) else above
    if not steps or isinstance(node, ConflictingObject):
        yield Found(passed, node, _find_fault(node))
        return
    step, rest = steps[0], steps[1:]
    if step == AS_JSON:
        yield from _walk_text(node, rest, above)
    elif step == "*" or step.startswith("{"):
        yield from _walk_each(node, step, rest, above)
    elif isinstance(node, dict) and step in node:
        yield from _walk(node[step], rest, passed)
    else:
        yield Found(passed, node, f"has no {step!r}")


def _find_fault(node: object) -> str | None:
    if not isinstance(node, dict):
        return "is not a JSON object"
    for each in (node, *node.values()):
        if isinstance(each, ConflictingObject):
            names = ", ".join(map(repr, each.duplicate_keys[:3]))
            return f"contains {names} more than once, with different values"
    return None


def _walk_text(node: object, rest: tuple[str, ...], above: tuple[_Scope, ...]) -> Iterator[Found]:
    if not isinstance(node, str):
        yield Found(above, node, "is not text where JSON within text was expected")
        return
    value, fault = parse_json(node)
    if fault is not None:
        yield Found(above, node, fault)
        return
    yield from _walk(value, rest, above)


def _walk_each(
    node: object, step: str, rest: tuple[str, ...], above: tuple[_Scope, ...]
) -> Iterator[Found]:
    pairs: Iterable[tuple[object, object]]
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    else:
        yield Found(above, node, "is a plain value where a list was expected")
        return
    name = step[1:-1] if step.startswith("{") else None
    for key, element in pairs:
        yield from _walk(element, rest, (_Key({name: str(key)}), *above) if name else above)


MAX_DOCUMENT_CHARS = 64 * 1024 * 1024
"""The longest JSON document, or line of JSON lines: it is held in memory."""
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
    """Read the documents, in order; blank lines are skipped.

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
    """The documents of a file of several concatenated documents that are not lines."""
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
        wanted: The names to read; missing ones are null.
        only: The allowed values of some columns.
        inherited: The names a record may inherit from enclosing objects.
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
    fault = find_exclusion(only, lambda name: as_text(found.get(name))) or found.fault
    values = [] if fault else [found.get(name) for name in builder.columns]
    for name, value in zip(builder.columns, values, strict=False):
        if isinstance(value, dict | list):
            fault = (
                f"column {name} contains a JSON object or array where a plain value was expected"
            )
    if fault is not None:
        builder.add_fault(fault, place=place, original=found.original)
    else:
        builder.add([as_text(value) for value in values], place=place, original=found.original)
