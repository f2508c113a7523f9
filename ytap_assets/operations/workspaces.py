"""Create, list and archive workspaces.

Belongs here: what a person does to a workspace as a whole. Does not belong here: the config's shape
(`ytap_assets.workspaces`), or a workspace's rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ytap_assets.errors import ConfigError
from ytap_assets.operations.legacy_config import convert_legacy_config, read_legacy_config
from ytap_assets.workspaces import (
    CONFIG_NAME,
    Workspace,
    Workspaces,
    dump_workspace,
    parse_workspace,
)

_STATUS = re.compile(rb"^status[ \t]*:[^\r\n]*", re.MULTILINE)
_VERTICAL = "general"


@dataclass(frozen=True)
class Listed:
    """A workspace in a list: its config, or why it cannot be read."""

    workspace_id: str
    workspace: Workspace | None
    problem: str | None = None


def create_workspace(
    workspaces: Workspaces,
    workspace_id: str,
    *,
    name: str | None = None,
    vertical: str | None = None,
    language: str | None = None,
    timezone: str | None = None,
    origin: Path | None = None,
) -> tuple[Workspace, Path]:
    """Make a workspace's folder and config.

    Args:
        workspaces: Where.
        workspace_id: Its name in the lake.
        name: Its name for people; by default the old config's, or its id.
        vertical: Its field; by default the old config's, or ``general``.
        language: Its language; by default the old config's, or ``en``.
        timezone: Its timezone; by default UTC.
        origin: An older JSON config, which is converted without loss.

    Returns:
        The workspace and its config file.

    Raises:
        ConfigError: It is there already, its name breaks the rule, or a value cannot be.
        OSError: The old config cannot be read.
    """
    config_path = workspaces.folder(workspace_id) / CONFIG_NAME
    if config_path.exists():
        raise ConfigError(f"workspace {workspace_id!r} is there already: edit {config_path}")
    content: dict[str, Any] = {}
    if origin is not None:
        content = convert_legacy_config(workspace_id, read_legacy_config(origin))
    given = {"name": name, "vertical": vertical, "language": language, "timezone": timezone}
    content |= {key: value for key, value in given.items() if value is not None}
    content = {"name": workspace_id, "vertical": _VERTICAL, **content}
    workspace = _validate(workspace_id, content, origin=str(origin or f"workspace {workspace_id}"))
    return workspace, workspaces.save(workspace)


def list_workspaces(workspaces: Workspaces) -> list[Listed]:
    """Every workspace, in order of their names; a broken config does not hide the others."""
    readable, problems = workspaces.readable()
    listed = [Listed(workspace.workspace_id, workspace) for workspace in readable]
    listed += [Listed(name, None, str(problem)) for name, problem in problems.items()]
    return sorted(listed, key=lambda one: one.workspace_id)


def archive_workspace(workspaces: Workspaces, workspace_id: str) -> bool:
    """Stop a workspace's collection and keep its data.

    Only the status changes in the config: what people wrote around it, comments too, stays.

    Returns:
        Whether it was still to be done.

    Raises:
        ConfigError: There is no such workspace, or its config cannot be read.
    """
    workspace = workspaces.get(workspace_id)
    if workspace.status == "archived":
        return False
    text = workspaces.read_config(workspace_id)
    line = b"status: archived"
    edited, count = _STATUS.subn(line, text)
    if not count:
        edited = text.rstrip() + b"\n" + line + b"\n"
    wanted = workspace.model_copy(update={"status": "archived"})
    if _try_parse(workspace_id, edited) != wanted:
        workspaces.save(wanted)  # an unusual layout: rather lose its comments than its meaning
        return True
    workspaces.write_config(workspace_id, edited)
    return True


def _validate(workspace_id: str, content: dict[str, Any], *, origin: str) -> Workspace:
    """The workspace, if its config can be written and reads back as it was."""
    try:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        workspace = parse_workspace(workspace_id, text, origin=origin)
        again = parse_workspace(workspace_id, dump_workspace(workspace), origin=origin)
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise ConfigError(f"{origin}: cannot be written as YAML: {error}") from error
    if again != workspace or workspace.extra != content.get("extra", {}):
        raise ConfigError(f"{origin}: holds values that YAML would change: write them otherwise")
    return workspace


def _try_parse(workspace_id: str, text: bytes) -> Workspace | None:
    try:
        return parse_workspace(workspace_id, text, origin=workspace_id)
    except ConfigError:
        return None
