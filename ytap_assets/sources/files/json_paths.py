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
ABSENT = object()
"""What a record has under a name that it does not have."""
_Scope = Mapping[str, object]


class Found(NamedTuple):
    """One record found in a document, or the place where there should have been one.

    Attributes:
        scopes: The record and the objects passed on the way to it, the nearest first.
        original: The record as it came, or what stood in its place.
        fault: Why there is no record; None where there is one.
    """

    scopes: tuple[_Scope, ...]
    original: object
    fault: str | None

    def get(self, name: str) -> object:
        """The value under a name, such as ``score`` or ``status.code``; else `ABSENT`.

        A record also has the plain values of the objects passed on the way, the nearest first.
        """
        for scope in self.scopes:
            value = _dig(scope, name)
            if value is not ABSENT and (self._is_own(scope) or not isinstance(value, dict | list)):
                return value
        return ABSENT

    def names(self) -> Iterator[str]:
        """The names of its values, its own first; those within objects are left out."""
        return chain.from_iterable(
            (
                name
                for name, value in scope.items()
                if self._is_own(scope) or not isinstance(value, dict | list)
            )
            for scope in self.scopes
        )

    def _is_own(self, scope: _Scope) -> bool:
        return self.fault is None and scope is self.scopes[0]


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


def parse_json(text: str) -> tuple[object, str | None]:
    """Parse a document: its value, and why it has none."""
    try:
        return json.loads(text), None
    except RecursionError:
        return None, "is not readable JSON: nested too deeply"
    except ValueError as error:
        return None, f"is not readable JSON: {error}"


def find_records(value: object, path: str) -> Iterator[Found]:
    """Find the records of a document along a path."""
    return _walk(value, tuple(path.split(".")) if path else (), ())


def _walk(node: object, steps: tuple[str, ...], above: tuple[_Scope, ...]) -> Iterator[Found]:
    passed = (node, *above) if isinstance(node, dict) else above
    if not steps:
        yield Found(passed, node, None if isinstance(node, dict) else "is not a JSON object")
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
        yield from _walk(element, rest, ({name: str(key)}, *above) if name else above)
