"""A workspace's own config: `data/workspaces/<workspace_id>/config.yaml`.

Belongs here: a workspace, reading and writing its config. Does not belong here: the config's parts
(`workspace_sections`), or what is done with a workspace's data. Every error names the file and the
key.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import Field, ValidationError, field_validator

from ytap_assets.domain.ids import check_workspace_id, is_workspace_id, read_uid
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.plain_yaml import load_mapping
from ytap_assets.safe_files import read_below, write_below
from ytap_assets.settings import Settings
from ytap_assets.workspace_sections import (
    Account,
    Approval,
    Brand,
    Budget,
    Channel,
    Language,
    Phrases,
    Reports,
    Retention,
    Scoring,
    Section,
    Sources,
    Spam,
    Status,
)

__all__ = [
    "CONFIG_NAME",
    "Account",
    "Approval",
    "Brand",
    "Channel",
    "Retention",
    "Status",
    "Workspace",
    "Workspaces",
    "dump_workspace",
    "parse_workspace",
]
CONFIG_NAME = "config.yaml"
_MAX_CONFIG_BYTES = 1_000_000
SectionT = TypeVar("SectionT", bound=Section)


class Workspace(Section):
    """One workspace: a YouTube channel, or a group of channels, and how it is run."""

    workspace_id: str = Field(exclude=True)
    uid: str | None = None
    name: str
    vertical: str
    language: Language = "en"
    timezone: str = "UTC"
    status: Status = "active"
    data_collection_enabled: bool = True
    brand: Brand = Brand()
    keywords: Phrases = ()
    sources: Sources = Sources()
    spam: Spam = Spam()
    scoring: Scoring = Scoring()
    channels: tuple[Channel, ...] = ()
    accounts: tuple[Account, ...] = ()
    approval: Approval = Approval()
    budget: Budget = Budget()
    retention: Retention = Retention()
    reports: Reports = Reports()
    extra: dict[str, Any] = Field(default_factory=dict)

    @field_validator("uid", mode="before")
    @classmethod
    def _check_uid(cls, value: object) -> str | None:
        return None if value is None else read_uid(value)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a timezone such as Europe/Berlin") from error
        return value

    @field_validator("extra")
    @classmethod
    def _check_extra(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Whatever it holds has to survive being written again."""
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).encode()
        except TypeError as error:
            raise ValueError(str(error)) from error
        return value

    def read_extra(self, key: str, shape: type[SectionT]) -> SectionT | None:
        """What ``extra`` holds under a key, as the section that somebody declared for it.

        So it is checked as strictly as the rest of the config: a text in place of a list, or a key
        that is unknown, is an error.

        Args:
            key: The key under ``extra``.
            shape: The section. `Section` is its base, and every key has a default.

        Returns:
            The section; None where the key is absent, null or false. True stands for the defaults.

        Raises:
            ConfigError: A value is wrong; the message names its key.
        """
        value = self.extra.get(key)
        if value is None or value is False:
            return None
        try:
            return shape.model_validate({} if value is True else value)
        except ValidationError as error:
            why = _explain(error, f"extra.{key}")
            raise ConfigError(f"workspace {self.workspace_id!r}: {why}") from None

    @property
    def collects(self) -> bool:
        """Whether anything may be collected for it."""
        return self.status == "active" and self.data_collection_enabled


class Workspaces:
    """The workspaces of an installation, as their folders stand now."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.workspaces

    def folder(self, workspace_id: str) -> Path:
        """The workspace's folder, whether or not it exists.

        Raises:
            ConfigError: The name breaks the rule.
        """
        return self.root / check_workspace_id(workspace_id)

    def ids(self) -> list[str]:
        """The names of all workspaces that have a config, readable or not, in order.

        Folders whose names break the rule are no workspaces: `readable` tells of them.
        """
        return [name for name in self._folders() if is_workspace_id(name)]

    def readable(self) -> tuple[list[Workspace], dict[str, ConfigError]]:
        """Every workspace whose config can be read, so that one mistake stops nobody else.

        Returns:
            The workspaces in order of their names, and why the others cannot be read, by folder.
        """
        workspaces: list[Workspace] = []
        problems: dict[str, ConfigError] = {}
        for name in self._folders():
            try:
                workspaces.append(self.get(name))
            except ConfigError as error:
                problems[name] = error
        return workspaces, problems

    def get(self, workspace_id: str) -> Workspace:
        """Read one workspace's config.

        Raises:
            ConfigError: There is none, or it cannot be read; the message names file and key.
        """
        text = self.read_config(workspace_id)
        origin = str(self.folder(workspace_id) / CONFIG_NAME)
        return parse_workspace(workspace_id, text, origin=origin)

    def read_config(self, workspace_id: str) -> bytes:
        """Read one workspace's config as it is written; links are not followed.

        Raises:
            ConfigError: There is none, or it cannot be read.
        """
        folder = self.folder(workspace_id)
        try:
            found = read_below(folder, CONFIG_NAME, max_bytes=_MAX_CONFIG_BYTES)
        except FileRefusedError as error:
            raise ConfigError(f"{folder}: {error}") from error
        if found is None:
            known = ", ".join(self.ids()) or "none yet; `ytap workspace create` makes one"
            raise ConfigError(f"workspace {workspace_id!r} does not exist ({known})")
        return found.content

    def save(self, workspace: Workspace) -> Path:
        """Write a workspace's config; the file is replaced in one step."""
        return self.write_config(workspace.workspace_id, dump_workspace(workspace).encode())

    def write_config(self, workspace_id: str, text: bytes) -> Path:
        """Replace a workspace's config in one step; a link in its place is replaced too."""
        return write_below(self.folder(workspace_id), CONFIG_NAME, text)

    def _folders(self) -> list[str]:
        """The folders that hold a config, in order; none where there is no such place."""
        return sorted(path.parent.name for path in self.root.glob(f"*/{CONFIG_NAME}"))


def parse_workspace(workspace_id: str, text: bytes | str, *, origin: str) -> Workspace:
    """Parse a config.

    Raises:
        ConfigError: Not YAML, not a mapping, or a key is wrong; the message names them.
    """
    check_workspace_id(workspace_id)
    if len(text) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{origin}: larger than {_MAX_CONFIG_BYTES} bytes, so not a config")
    content = load_mapping(text, origin=origin)
    try:
        return Workspace.model_validate({**content, "workspace_id": workspace_id})
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error)}") from None  # it holds the values


def dump_workspace(workspace: Workspace) -> str:
    """The config as YAML; defaults are left out, so that the file holds what was decided."""
    content = workspace.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _explain(error: ValidationError, *before: str) -> str:
    problems = []
    for problem in error.errors():
        key = ".".join(str(part) for part in (*before, *problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{key}: {message}")
    return "; ".join(problems)
