"""Convert the older JSON configs of a workspace, without loss.

Both generations name seven things that the config of today names too; they go where they belong
if they are of the type expected there. Everything else (voices, personas, visual manuals, hints of
earlier migrations) is kept as it is under ``extra``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ytap_assets.errors import ConfigError
from ytap_assets.plain_yaml import unique_keys

_MAX_BYTES = 1_000_000
_ID = "workspace_id"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_filled_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


PLACES: Mapping[str, tuple[tuple[str, ...], Callable[[object], bool]]] = {
    "workspace_name": (("name",), _is_filled_text),
    "vertical_id": (("vertical",), _is_filled_text),
    "target_language": (("language",), _is_filled_text),
    "brand_tone": (("brand", "tone"), _is_text),
    "visual_style": (("brand", "visual_style"), _is_text),
    "banned_topics": (("brand", "banned_topics"), _is_texts),
}
"""Old key -> where its value goes, and what it has to be to go there."""


def read_legacy_config(path: Path) -> dict[str, Any]:
    """Read a JSON config of either older generation.

    Raises:
        ConfigError: Too large, not JSON, not an object, or a key stands twice (one would be lost).
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_BYTES} bytes, so not a config")
    try:
        parsed = json.loads(content, object_pairs_hook=unique_keys, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a JSON config: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{path}: expected a JSON object of keys and values")
    return parsed


def convert_legacy_config(workspace_id: str, old: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an older config into a current one, without loss.

    Args:
        workspace_id: The name of the workspace; if the old name differs, it is kept.
        old: The old config.

    Returns:
        Keys and values of a config; keys without an equivalent are under ``extra``.
    """
    config: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in old.items():
        place, is_fit = PLACES.get(key, ((), _is_text))
        if place and is_fit(value):
            *sections, name = place
            target = config
            for section in sections:
                target = target.setdefault(section, {})
            target[name] = value
        elif not (key == _ID and value == workspace_id):
            extra[key] = value
    return {**config, "extra": extra} if extra else config


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON value")
