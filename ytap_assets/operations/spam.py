"""A workspace's spam rules and its learned model, from its config and the model's file."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.errors import ConfigError
from ytap_assets.plain_yaml import unique_keys
from ytap_assets.safe_files import describe_kind
from ytap_assets.settings import Settings
from ytap_assets.workspaces import Workspace

_LISTS = ("blocklist", "allowlist", "link_farms", "patterns")
_MAX_MODEL_BYTES = 20_000_000
_CACHED_MODELS = 4
"""Workspaces usually share a model, and parsing takes 13 ms for 20,000 features."""


def spam_rules(workspace: Workspace) -> SpamRules:
    """The general spam rules with the additions and settings of the workspace's config."""
    spam = workspace.spam
    given = spam.model_dump(exclude_none=True, exclude={*_LISTS, "model", "rules_off"})
    return SpamRules().extended(
        minimums=workspace.sources.minimums,
        blocklist=spam.blocklist,
        allowlist=spam.allowlist,
        link_farms=spam.link_farms,
        patterns=spam.patterns,
        limits={**given, "rules_off": frozenset(spam.rules_off)},
    )


def spam_model(settings: Settings, workspace: Workspace) -> SpamModel | None:
    """The learned model named by the workspace's config; None if there is none.

    Raises:
        ConfigError: The file is missing or is not a model; the message names the file and the key.
    """
    name = workspace.spam.model
    if name is None:
        return None
    path = settings.models / name
    try:
        return _parse_model(_read_model(path))
    except ConfigError as error:
        raise ConfigError(
            f"spam.model of workspace {workspace.workspace_id!r}: {path}: {error}"
        ) from error


def _read_model(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise ConfigError(f"{describe_kind(path.stat().st_mode)}; put the model's file there")
        with path.open("rb") as file:
            content = file.read(_MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{error.strerror}; scripts/train_spam_model.py makes one, or leave the key out"
        ) from error
    if len(content) > _MAX_MODEL_BYTES:
        raise ConfigError(f"larger than {_MAX_MODEL_BYTES} bytes, so not a spam model")
    return content


@lru_cache(maxsize=_CACHED_MODELS)
def _parse_model(content: bytes) -> SpamModel:
    try:
        parsed = json.loads(content, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not a spam model: not JSON, or with a key twice: {error}") from error
    return SpamModel.from_dict(parsed)
