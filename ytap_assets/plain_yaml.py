"""Strict reading of hand-written YAML and JSON.

A config needs keys, values and lists. Other features of YAML are expensive (a few lines of aliases
can expand to millions of values, deep nesting exhausts the stack) or change a value silently: of
two equal keys the first is dropped, `010` is the number 8 and `1:30` the number 90. Each of these
is an error with the line. In JSON, a duplicate key is an error.

PyYAML parses, and its `SafeLoader` alone accepts all of these. `ruamel.yaml` (0.19) refuses
duplicate keys and reads YAML 1.2 (`010` is 10, `1:30` and `NO` are texts), but accepts aliases,
keys that are not texts and lone surrogates, and takes 8 ms of processor time for the demo's config
instead of 5 (`SafeLoader` alone: 4.5); a switch would also change the meaning of `yes` and `no` in
existing configs. pydantic validates values, but sees neither lines nor duplicate keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ytap_assets.errors import ConfigError

Path = tuple[str | int, ...]
"""The path of a value: keys of mappings, and indexes in lists."""

_MAX_DEPTH = 50
_LONGEST_SHOWN = 60
_TAG = "tag:yaml.org,2002:"
_TEXT, _MERGE, _NULL = f"{_TAG}str", f"{_TAG}merge", f"{_TAG}null"
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_QUOTES = "put the text in quotes"
# By a part of the parser's message; the first match is used.
_ADVICE = {
    "'\\t' that cannot": "indent with spaces",
    "that cannot start any token": _QUOTES,
    "mapping values are not": (
        "put a text that contains `: ` in quotes, and align the line with the other keys of its"
        " block"
    ),
    "could not find expected ':'": "write `key: value`, with a space after the colon",
    "<block end>, but found ']'": _QUOTES,
    "<block end>, but found '}'": _QUOTES,
    "expected <block end>": (
        "give all lines of a block the same indentation; for a key that was a comment, remove the"
        " `# ` before the line of its section too"
    ),
    "expected ',' or": "close the bracket, and put texts with `: ` or a bracket in quotes",
    "node content": f"{_QUOTES} if it begins with this character",
    "indentation indicators": f"{_QUOTES} if it begins with `|` or `>`",
    "unexpected end of stream": "close the quotes",
    "unknown escape character": "write a backslash twice, or use single quotes",
}


@dataclass(frozen=True)
class Document:
    """The content of a text, with the positions and spellings of its values.

    Attributes:
        content: The keys and values.
        lines: The line of each value, from 1; of a value with a key, the line of the key.
        unquoted: The spelling of unquoted values that are not texts: `NO` for False. Empty for a
            key without a value.
    """

    content: dict[str, Any]
    lines: Mapping[Path, int]
    unquoted: Mapping[Path, str]


def load_document(text: bytes | str, *, origin: str) -> Document:
    """Parse a mapping, with the lines of its values.

    Args:
        text: YAML.
        origin: The origin of the text, for errors.

    Raises:
        ConfigError: It is not YAML, uses a refused feature, has a duplicate key, or is not a
            mapping.
    """
    values, content = _load(text, origin=origin, allows_aliases=False)
    lines: dict[Path, int] = {}
    unquoted: dict[Path, str] = {}
    for path, key, value in values:
        lines[path] = (key or value).start_mark.line + 1
        if isinstance(value, yaml.ScalarNode) and value.style is None and value.tag != _TEXT:
            unquoted[path] = value.value
    return Document(content, lines, unquoted)


def load_mapping(text: bytes | str, *, origin: str, allows_aliases: bool = False) -> dict[str, Any]:
    """Parse a mapping; arguments and errors as `load_document`.

    Args:
        text: YAML.
        origin: The origin of the text, for errors.
        allows_aliases: Whether aliases and merge keys are accepted: only for files of this package,
            since a few lines of them can expand to millions of values.
    """
    return _load(text, origin=origin, allows_aliases=allows_aliases)[1]


def dump_yaml(value: Any, **options: Any) -> str:
    """Write a value as YAML that reads back equal.

    Args:
        value: Plain values.
        options: Options of `yaml.safe_dump`.

    Raises:
        yaml.YAMLError: It has values of other types.
    """
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **options)
    return text


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The ``object_pairs_hook`` for JSON files that people may write.

    Raises:
        ValueError: A duplicate key; one of its values would be lost.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {names.most_common(1)[0][0][:80]!r} occurs twice in one object")
    return content


def show_key(name: str) -> str:
    """A key for a message: invisible characters are escaped, a long key is truncated."""
    shown = name if name.isprintable() else ascii(name)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."


def _load(
    text: bytes | str, *, origin: str, allows_aliases: bool
) -> tuple[list[_Value], dict[str, Any]]:
    try:
        loader = _PlainLoader(text, allows_aliases=allows_aliases)
        node: yaml.Node | None = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            values = _check_tree(node, allows_merging=allows_aliases)
            content: Any = loader.construct_document(node)
            return values, content
    except _RefusedError as error:
        raise ConfigError(f"{origin}: {error}") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # Not chained: the loader's message shows the line, which may contain a secret.
        raise ConfigError(f"{origin}: not YAML: {_explain(error, text)}") from None
    raise ConfigError(f"{origin}: expected `key: value` lines")


class _Dumper(yaml.SafeDumper):
    """Writes U+0085 in double quotes; unquoted, the library reads a line break."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(_TEXT, text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _represent_text)


class _PlainLoader(yaml.SafeLoader):
    def __init__(self, stream: bytes | str, *, allows_aliases: bool) -> None:
        super().__init__(stream)
        self._depth = 0
        self._allows_aliases = allows_aliases

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one value, or refuse a feature beyond plain YAML."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and not self._allows_aliases:
            raise _refusal("aliases (*name) are not supported; repeat the value", event)
        if getattr(event, "tag", None) is not None:
            raise _refusal("tags (!name) are not supported; write a plain value", event)
        if isinstance(event, yaml.ScalarEvent) and not _is_text(event.value):
            raise _refusal("a lone surrogate (such as \\ud800) is not a character", event)
        if self._depth == _MAX_DEPTH:
            raise _refusal(f"nested deeper than {_MAX_DEPTH} levels", event)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _RefusedError(yaml.YAMLError):
    """A refused feature of YAML."""


def _refusal(problem: str, place: yaml.Event | yaml.Node) -> _RefusedError:
    line = f"line {place.start_mark.line + 1}: " if place.start_mark else ""
    return _RefusedError(f"{line}{problem}")


_Value = tuple[Path, yaml.Node | None, yaml.Node]
"""The path of a value, its key, and the value."""


def _walk(root: yaml.Node) -> Iterator[_Value]:
    """Every value below a node once, with its path and its key; an alias is not visited again."""
    waiting: list[tuple[Path, yaml.Node]] = [((), root)]
    seen: set[int] = set()
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                below = (*path, str(key.value))
                yield below, key, value
                waiting.append((below, value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                yield (*path, index), None, value
                waiting.append(((*path, index), value))


def _check_tree(root: yaml.MappingNode, *, allows_merging: bool) -> list[_Value]:
    """Every value, or an error if YAML would change one silently.

    Raises:
        _RefusedError: A key is a duplicate or not a text, or a number has another base.
    """
    _check_keys((), root, allows_merging=allows_merging)
    values = []
    for found in _walk(root):
        path, _, value = found
        if isinstance(value, yaml.MappingNode):
            _check_keys(path, value, allows_merging=allows_merging)
        elif isinstance(value, yaml.ScalarNode) and value.style is None and value.tag in _NUMBERS:
            _check_number(value)
        values.append(found)
    return values


def _check_keys(path: Path, mapping: yaml.MappingNode, *, allows_merging: bool) -> None:
    lines: dict[str, int] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal("a key must be text, not a list or a mapping", key)
        if key.tag == _MERGE:
            if not allows_merging:
                raise _refusal("merge keys (<<) are not supported; repeat the keys", key)
        elif key.tag != _TEXT:
            is_number = mapping.flow_style and key.tag in _NUMBERS
            comma = "; a decimal comma is written as a point, as in 3.5" if is_number else ""
            raise _refusal(
                f"YAML does not read the key {_name(path, key) or '(empty)'} as text; put it in"
                f" quotes{comma}",
                key,
            )
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _RefusedError(
                f"the key `{_name(path, key)}` occurs twice, in lines {lines[key.value]} and"
                f" {line}; merge them"
            )
        lines[key.value] = line


def _name(path: Path, key: yaml.ScalarNode) -> str:
    return ".".join(show_key(str(part)) for part in (*path, key.value))


def _check_number(value: yaml.ScalarNode) -> None:
    if ":" in value.value:
        raise _refusal(
            "YAML reads an unquoted number with colons, such as 1:30, to the base of 60; put it in"
            " quotes",
            value,
        )
    if _OCTAL.fullmatch(value.value):
        raise _refusal(
            "YAML reads an unquoted number that begins with 0, such as 010, to the base of 8; put"
            " it in quotes if it is a text, or omit the 0",
            value,
        )


def _is_text(value: str) -> bool:
    """Whether a text can be encoded: an escape may be a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _explain(error: Exception, text: bytes | str) -> str:
    if isinstance(error, yaml.reader.ReaderError) and isinstance(text, bytes):
        line_number = text[: error.position].count(b"\n") + 1
        return f"line {line_number}: not UTF-8 text, or a control character; save it as UTF-8"
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())  # such as an invalid date: `2026-13-45`
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    if (error.context or "").startswith("expected a single document"):
        return f"{line}a second document begins (---); a file contains one config"
    problem = error.problem or ""
    advice = next((f"; {advice}" for sign, advice in _ADVICE.items() if sign in problem), "")
    begun = f" from line {error.context_mark.line + 1} on:" if error.context_mark else ""
    context = f"{error.context}{begun}" if error.context else None
    return line + " ".join(part for part in (context, problem) if part) + advice
