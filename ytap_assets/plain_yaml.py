"""YAML that people write by hand, read without its traps.

A config needs keys, values and lists. Aliases let a few lines stand for millions of values, tags
name types of YAML's own, and endless nesting exhausts the stack: each is refused by name.
"""

from __future__ import annotations

from typing import Any

import yaml

from ytap_assets.errors import ConfigError

_MAX_DEPTH = 50


def load_mapping(text: bytes | str, *, origin: str) -> dict[Any, Any]:
    """The keys and values of a text.

    Args:
        text: YAML.
        origin: Where it is from, for errors.

    Raises:
        ConfigError: It is not YAML, is more than plain YAML, or is no mapping.
    """
    try:
        content = _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # Not chained: the loader's own text shows the line, which may hold a secret.
        raise ConfigError(f"{origin}: not YAML: {_explain(error)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: expected `key: value` lines")
    return content


class _PlainLoader(yaml.SafeLoader):
    def __init__(self, stream: bytes | str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one value, unless it is more than plain YAML."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("an alias (*name) is refused here: write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refusal("a tag (!name) is refused here: write a plain value", event)
        if isinstance(event, yaml.ScalarEvent) and not _is_text(event.value):
            raise _refusal("half of a character (such as \\ud800) is refused here", event)
        if self._depth == _MAX_DEPTH:
            raise _refusal(f"nested deeper than {_MAX_DEPTH} levels", event)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _RefusedError(yaml.YAMLError):
    """A part of YAML that has no place in a config."""


def _refusal(problem: str, event: yaml.Event) -> _RefusedError:
    line = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
    return _RefusedError(f"{line}{problem}")


def _is_text(value: str) -> bool:
    """Whether a text can be written: an escape may name half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _explain(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())  # such as a date that is none: `2026-13-45`
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    return line + " ".join(part for part in (error.context, error.problem) if part)
