"""Records within one JSON document, found along a path such as ``hits.*``.

A path is steps divided by dots: a key, ``*`` for every element, ``{x}`` for every element with its
key kept as column ``x``, ``@json`` for text that is a JSON document itself. Each step is taken as
often as it is written, so JSON in JSON in JSON costs what the path asks and no more. Does not
belong here: reading files, and what the records mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

AS_JSON = "@json"
"""The step into a text that is a JSON document."""
MAX_JSON_STEPS = 2
"""How often a path may step into text: a recorded exchange asks it once."""
_STEP = re.compile(r"\*|\{[a-z_]+\}|@json|[^*{}@.]+")
_BLANKS = re.compile(r"[\s\ufeff]*")
_AFTER_DOCUMENT = re.compile(r"[ \t\ufeff]*(?:[\r\n{\[]|\Z)")
ABSENT = object()
"""What a record has under a name that it does not have."""
_Scope = Mapping[str, object]


class _Key(dict[str, object]):
    """A key kept as a column, by the name of the column."""


class Found(NamedTuple):
    """One record found in a document, or the place where there should have been one.

    Attributes:
        scopes: The record and the objects passed on the way to it, the nearest first.
        original: The record as it came, or what stood in its place.
        fault: Why there is no record; None where there is one.
        inherited: The names it may have from the objects passed on the way, beside kept keys.
    """

    scopes: tuple[_Scope, ...]
    original: object
    fault: str | None
    inherited: frozenset[str] = frozenset()

    def get(self, name: str) -> object:
        """The value under a name, such as ``score`` or ``status.code``; else `ABSENT`.

        A record also has the inherited plain values of the objects on the way, the nearest first.
        """
        for scope in self.scopes:
            value = _dig(scope, name)
            if value is not ABSENT and (
                self._is_own(scope) or self._is_inherited(scope, name, value)
            ):
                return value
        return ABSENT

    def names(self) -> Iterator[str]:
        """The names of its values, its own first; those within objects are left out."""
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
        ValueError: A step is empty or unknown, a column is named twice, or text is taken apart
            more than `MAX_JSON_STEPS` times.
    """
    steps = path.split(".") if path else []
    names = [step for step in steps if step.startswith("{")]
    if unknown := [step for step in steps if not _STEP.fullmatch(step)]:
        raise ValueError(f"{path!r}: {unknown[0]!r} is no step: a key, `*`, `{{x}}` or `{AS_JSON}`")
    if len(set(names)) < len(names):
        raise ValueError(f"{path!r}: keeps two keys as one column")
    if steps.count(AS_JSON) > MAX_JSON_STEPS:
        raise ValueError(f"{path!r}: takes `{AS_JSON}` more than {MAX_JSON_STEPS} times")


def as_text(value: object) -> str | None:
    """A plain value as a cell; unknown for null, for what is absent and for what is not plain."""
    if value is None or value is ABSENT or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


class Contradiction(dict[str, object]):
    """An object that names a key twice, with different values: none of them is to be believed.

    Attributes:
        pairs: All its keys and values, as they came.
    """

    pairs: list[tuple[str, object]]

    @property
    def keys_named_twice(self) -> list[str]:
        """The keys that have several values."""
        return [key for key in self if any(k == key and v != self[key] for k, v in self.pairs)]


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) == len(pairs) or all(made[key] == value for key, value in pairs):
        return made
    contradiction = Contradiction(made)
    contradiction.pairs = pairs
    return contradiction


_DECODER = json.JSONDecoder(object_pairs_hook=_make_object)


def parse_json(text: str) -> tuple[object, str | None]:
    """Parse a document: its value, and why it has none."""
    try:
        return _DECODER.decode(text), None
    except RecursionError:
        return None, "is not readable JSON: nested too deeply"
    except ValueError as error:
        return None, f"is not readable JSON: {error}"


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def parse_joined_json(text: str) -> Iterator[tuple[str, object, str | None]]:
    """Documents written one after the other: text (with the blanks after it), value, fault of each.

    A document is an object or an array that ends its line, or is followed there by another one.
    Anything else is a fault up to the next line that begins with a document; if the text begins
    with an array, so do the documents, as objects may be elements of an array that is damaged.
    """
    start = rest = _skip_blanks(text, 0)
    for document, value, end in _parse_in_sequence(text, start):
        rest = end
        yield document, value, None
    brackets = "[" if text[start : start + 1] == "[" else "[{"
    # Each part is parsed by itself: after a fault, the cost must not grow with the rest.
    for part in re.split(rf"(?<=[\r\n])(?=\ufeff*[{re.escape(brackets)}])", text[rest:]):
        yield from _parse_part(part)


def _parse_part(part: str) -> Iterator[tuple[str, object, str | None]]:
    """The documents at the start of a text, then what follows them as one fault."""
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
    """Documents one after the other up to the first fault: text, value, where the next begins."""
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
    if not steps or isinstance(node, Contradiction):
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
        if isinstance(each, Contradiction):
            names = ", ".join(map(repr, each.keys_named_twice[:3]))
            return f"names {names} more than once, with different values"
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
