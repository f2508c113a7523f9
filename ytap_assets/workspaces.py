"""The config of a workspace: `data/workspaces/<workspace_id>/config.yaml`.

Belongs here: a workspace, and reading and writing its config. Does not belong here: the config's
sections (`workspace_sections`), configs in the lake (`operations.pushed_files`), or operations on a
workspace's data. Every error names the file and the key.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from ytap_assets.config_keys import (
    explain_unknown,
    find_nearest,
    fold_handle,
    fold_name,
    refuse_repeats,
    render_template,
    show_item,
)
from ytap_assets.domain.ids import check_workspace_id, is_workspace_id, read_uid
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.plain_yaml import Document, Path, dump_yaml, load_document, show_key
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
    Production,
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
    "render_config",
]
CONFIG_NAME = "config.yaml"
_MAX_CONFIG_BYTES = 1_000_000
_SHOWN_IDS = 20
_CACHED_CONFIGS = 1024
"""A run reads each config several times, and parsing takes 5 ms."""
_MAY_BE_SECRET = ("credential_ref",)
_NUMBER, _WHOLE_NUMBER = "expected a number", "expected a whole number"
_EXPECTED_VALUE = {
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
}
_EXPECTED = {
    "missing": "missing; it is required",
    "tuple_type": "expected a list: `- ` lines below it, or [a, b]",
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type"),
        "expected `key: value` lines below it, indented",
    ),
}
_BOUNDS = {
    "greater_than_equal": ("of at least", "ge"),
    "less_than_equal": ("of at most", "le"),
}
_REMOVED: Mapping[Path, str] = {
    ("reports",): "ytap sends no reports; remove it, or move it below `extra:`",
    ("retention", "metrics_days"): "metrics are never deleted; remove it",
}
"""Keys of before that had no effect, and what to do with them."""
_HEAD = """\
# The config of a workspace. docs/config.md explains every key.
# A line that begins with # is not read: to set its key, remove the "# " before it and before the
# line of the block that it is in. After a space, # begins a comment: put a text that contains " #"
# in quotes.

"""
SectionT = TypeVar("SectionT", bound=Section)


class Workspace(Section):
    """One workspace: a YouTube channel or a group of channels, and its settings."""

    workspace_id: str = Field(exclude=True)
    uid: str | None = Field(
        default=None,
        description="Identifies the workspace's folder; `ytap workspace create` writes it",
        examples=["01M6A6FT007CVZTYRQDW4HP9SJ"],
    )
    name: str = Field(description="Display name", examples=["Kernel Panic Club"])
    vertical: str = Field(
        description="Its subject area; matched with titles and categories like a keyword",
        examples=["technology"],
    )
    language: Language = Field(
        default="en", description="Its language, as an ISO 639 code", examples=["en", "pt-BR"]
    )
    timezone: str = Field(
        default="UTC",
        description="Timezone of the report's footer and of the last collection of a day, at 02:00;"
        " days are UTC days",
        examples=["Europe/Berlin"],
    )
    status: Status = Field(
        default="active",
        description="`active`; `paused`: nothing is collected; `archived`: nothing is processed",
    )
    data_collection_enabled: bool = Field(
        default=True, description="Whether data is collected for it"
    )
    brand: Brand = Brand()
    keywords: Phrases = Field(
        default=(),
        description="Topics: a story with one of them in a title or category ranks higher",
        examples=[["open source", "database", "rust"]],
    )
    sources: Sources = Field(default_factory=Sources)
    spam: Spam = Field(
        default=Spam(), description="Additions to the spam rules, and limits that differ"
    )
    scoring: Scoring = Field(
        default=Scoring(), description="Weights of the base and the final score"
    )
    channels: tuple[Channel, ...] = Field(
        default=(), description="Its own YouTube channels, on which it publishes videos"
    )
    accounts: tuple[Account, ...] = Field(
        default=(), description="Its accounts on platforms; the table `accounts` lists them"
    )
    approval: Approval = Approval()
    budget: Budget = Budget()
    production: Production = Production()
    retention: Retention = Retention()
    extra: dict[str, Any] = Field(
        default_factory=dict,
        description="Any other keys; custom sources can read them",
        examples=[{"contact": "desk 4"}],
    )

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

    @field_validator("channels")
    @classmethod
    def _check_channels(cls, value: tuple[Channel, ...]) -> tuple[Channel, ...]:
        refuse_repeats((channel.id.casefold(), channel.id) for channel in value)
        return value

    @field_validator("accounts")
    @classmethod
    def _check_accounts(cls, value: tuple[Account, ...]) -> tuple[Account, ...]:
        refuse_repeats(
            ((fold_name(one.platform), fold_handle(one.handle)), f"{one.platform} {one.handle}")
            for one in value
        )
        return value

    @field_validator("extra")
    @classmethod
    def _check_extra(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Every value must be writable."""
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).encode()
        except TypeError as error:
            raise ValueError(str(error)) from error
        return value

    def read_extra(self, key: str, shape: type[SectionT]) -> SectionT | None:
        """The section under a key of ``extra``, validated by its model.

        It is validated as strictly as the rest of the config: a text in place of a list, or an
        unknown key, is an error.

        Args:
            key: The key under ``extra``.
            shape: The section. `Section` is its base, and every key has a default.

        Returns:
            The section; None if the key is absent, null or false. True means the defaults.

        Raises:
            ConfigError: A value is invalid; the message names its key.
        """
        value = self.extra.get(key)
        if value is None or value is False:
            return None
        try:
            return shape.model_validate({} if value is True else value)
        except ValidationError as error:
            why = "; ".join(
                _describe_problem(("extra", key, *problem["loc"]), _explain(problem, shape), {})
                for problem in error.errors()
            )
            raise ConfigError(f"workspace {self.workspace_id!r}: {why}") from None

    @property
    def is_archived(self) -> bool:
        """Whether nothing may be done with it but reading its rows."""
        return self.status == "archived"

    @property
    def collects(self) -> bool:
        """Whether data may be collected for it."""
        return self.status == "active" and self.data_collection_enabled


class Workspaces:
    """The workspaces of an installation, read from their folders.

    Attributes:
        root: The folder with one folder per workspace.
        place: Where the workspaces are, for messages.
        first_step: What to do where there is none.
        way_back: What to do where there is none any more.
    """

    first_step = "check YTAP_DATA, or create one with `ytap workspace create`"
    way_back = "check YTAP_DATA, or bring the folders back"

    def __init__(self, settings: Settings) -> None:
        self.root = settings.workspaces
        self.place = str(settings.workspaces)

    def folder(self, workspace_id: str) -> pathlib.Path:
        """The workspace's folder, whether or not it exists.

        Raises:
            ConfigError: The id is invalid.
        """
        return self.root / check_workspace_id(workspace_id)

    def ids(self) -> list[str]:
        """The ids of all workspaces with a config, readable or not, in order.

        Folders with invalid names are not workspaces: `readable` reports them.
        """
        return [name for name in self._list() if is_workspace_id(name)]

    def readable(self) -> tuple[list[Workspace], dict[str, ConfigError]]:
        """All workspaces with a readable config, so that one error does not affect the others.

        Returns:
            The workspaces in order of their ids, and the errors of the others, by folder.
        """
        found = self.get_all()
        workspaces = [one for one in found.values() if isinstance(one, Workspace)]
        problems = {name: one for name, one in found.items() if isinstance(one, ConfigError)}
        return workspaces, problems

    def get(self, workspace_id: str) -> Workspace:
        """Read one workspace's config.

        Raises:
            ConfigError: It does not exist, or is invalid; the message names file and key.
        """
        return self.parse(workspace_id, self.read_config(workspace_id))

    def get_all(self, names: Iterable[str] | None = None) -> dict[str, Workspace | ConfigError]:
        """Read several workspaces' configs, or all: each config, or why it cannot be read."""
        found: dict[str, Workspace | ConfigError] = {}
        for name, text in self.read_configs(names).items():
            try:
                found[name] = text if isinstance(text, ConfigError) else self.parse(name, text)
            except ConfigError as error:
                found[name] = error
        return found

    def read_configs(self, names: Iterable[str] | None = None) -> dict[str, bytes | ConfigError]:
        """Read several workspaces' configs as bytes, or all; as `get_all`."""
        found: dict[str, bytes | ConfigError] = {}
        for name in self._list() if names is None else names:
            try:
                found[name] = self.read_config(name)
            except ConfigError as error:
                found[name] = error
        return found

    def parse(self, workspace_id: str, text: bytes) -> Workspace:
        """Parse the config that was read for a workspace.

        Raises:
            ConfigError: It is invalid; the message names file and key.
        """
        return parse_workspace(workspace_id, text, origin=self.origin(workspace_id))

    def origin(self, workspace_id: str) -> str:
        """Where a workspace's config is, for messages."""
        return str(self.folder(workspace_id) / CONFIG_NAME)

    def get_open(self, workspace_id: str) -> Workspace:
        """`get`, for an operation that changes the workspace's data.

        Raises:
            ConfigError: As `get`; or it is archived.
        """
        workspace = self.get(workspace_id)
        if workspace.is_archived:
            raise ConfigError(
                f"workspace {workspace_id!r} is archived: it is read-only; make it active with"
                f" `ytap workspace unarchive {workspace_id}`"
            )
        return workspace

    def read_config(self, workspace_id: str) -> bytes:
        """Read one workspace's config as bytes; links are not followed.

        Raises:
            ConfigError: It does not exist, or cannot be read.
        """
        folder = self.folder(workspace_id)
        try:
            found = read_below(folder, CONFIG_NAME, max_bytes=_MAX_CONFIG_BYTES)
        except FileRefusedError as error:
            raise ConfigError(f"{folder}: {error}") from error
        if found is None:
            raise self._describe_missing(workspace_id)
        return found.content

    def _describe_missing(self, workspace_id: str) -> ConfigError:
        return ConfigError(
            f"workspace {workspace_id!r} does not exist; {self._advise(workspace_id)}"
        )

    def _advise(self, workspace_id: str) -> str:
        """What to do about the id of a workspace that does not exist."""
        known = self.ids()
        if not known:
            return f"there is none in {self.place}; {self.first_step}"
        nearest = find_nearest(workspace_id, known)
        question = f"did you mean {nearest}? " if nearest else ""
        more = ", ..." if len(known) > _SHOWN_IDS else ""
        return f"{question}the workspaces are {', '.join(known[:_SHOWN_IDS])}{more}"

    def save(self, workspace: Workspace) -> pathlib.Path:
        """Write a workspace's config; the file is replaced atomically."""
        return self.write_config(workspace.workspace_id, dump_workspace(workspace).encode())

    def write_config(self, workspace_id: str, text: bytes) -> pathlib.Path:
        """Replace a workspace's config atomically; a link in its place is replaced too."""
        return write_below(self.folder(workspace_id), CONFIG_NAME, text)

    def _list(self) -> list[str]:
        """The folders with a config, in order; empty if there is no workspaces folder."""
        return sorted(path.parent.name for path in self.root.glob(f"*/{CONFIG_NAME}"))


@lru_cache(maxsize=_CACHED_CONFIGS)
def parse_workspace(workspace_id: str, text: bytes | str, *, origin: str) -> Workspace:
    """Parse a config; the result is cached by the arguments.

    Raises:
        ConfigError: Not YAML, not a mapping, or a key is invalid; the message names them.
    """
    check_workspace_id(workspace_id)
    if len(text) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{origin}: larger than {_MAX_CONFIG_BYTES} bytes; not a config")
    document = load_document(text, origin=origin)
    problems = _find_empty(document)
    workspace = None
    try:
        content = {**document.content, "workspace_id": workspace_id}
        workspace = Workspace.model_validate(content)
    except ValidationError as error:
        for problem in error.errors():
            problems.setdefault(problem["loc"], _explain(problem, Workspace, document))
    if workspace is None or problems:
        texts = [
            _describe_problem(path, problem, document.lines) for path, problem in problems.items()
        ]
        raise ConfigError(f"{origin}: {'; '.join(texts)}")  # not chained: errors hold the values
    return workspace


def dump_workspace(workspace: Workspace) -> str:
    """The config as YAML, without defaults."""
    content = workspace.model_dump(mode="json", exclude_defaults=True)
    return dump_yaml(content)


def render_config(workspace: Workspace) -> str:
    """A config to edit: the keys that are set, and every other key as a comment."""
    content = workspace.model_dump(mode="json", exclude_defaults=True)
    return f"{_HEAD}{render_template(Workspace, content)}"


def _describe_problem(path: Path, problem: str, lines: Mapping[Path, int]) -> str:
    line = lines.get(path)
    key = ".".join(show_key(str(part)) for part in path)
    return f"{key}: {problem}{f' (line {line})' if line else ''}"


def _find_empty(document: Document) -> dict[Path, str]:
    """The keys without a value, except those below `extra`."""
    return {
        path: "it has no value; write one, or remove the key"
        for path, written in document.unquoted.items()
        if not written and path[0] != "extra" and isinstance(path[-1], str)
    }


def _explain(problem: ErrorDetails, model: type[Section], document: Document | None = None) -> str:
    """Describe a validation error, without terms of Python.

    Values are shown only if a type other than text is expected or was read, and never those of keys
    that may contain a secret.
    """
    path, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        removed = _REMOVED.get(path)
        return f"this key was removed: {removed}" if removed else explain_unknown(model, path)
    if kind == "string_type":
        written = None if document is None else document.unquoted.get(path, "")
        return _explain_misread(path, problem["input"], written)
    if kind in _EXPECTED_VALUE:
        return f"{_EXPECTED_VALUE[kind]}, not {_show_value(problem['input'])}"
    if kind == "model_type" and (item := show_item(model, path)) is not None:
        return f"expected keys and their values, such as `{item}`"
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    return _explain_limit(problem) or problem["msg"].removeprefix("Value error, ").replace(
        "Input should be", "expected", 1
    )


def _explain_limit(problem: ErrorDetails) -> str | None:
    """The limit that a number or a list exceeds; None for other errors."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "too_long":
        most, found = context["max_length"], context["actual_length"]
        return f"expected at most {most:,} entries, not {found:,}"
    if kind not in _BOUNDS:
        return None
    words, name = _BOUNDS[kind]
    bound = context[name]
    limit = int(bound) if bound == int(bound) else bound
    return f"expected a number {words} {limit:,}, not {_show_value(problem['input'])}"


def _show_value(value: object) -> str:
    """A value for a message about a number or a flag."""
    match value:
        case str():
            return f"'{show_key(value)}'"
        case bool() | int() | float():
            return show_key(str(value)).lower()
        case None:
            return "nothing"
        case list() | dict():
            return "a list" if isinstance(value, list) else "keys and values"
        case _:
            return "a date"


def _explain_misread(path: Path, value: object, written: str | None) -> str:
    """Describe an unquoted text that YAML read as another type.

    Args:
        path: The path of the key.
        value: The value read by YAML.
        written: Its spelling; empty if there is none, None if unknown.
    """
    match value:
        case list():
            return "expected a text, not a list"
        case dict():
            return "expected a text; `a: b` without quotes is a key and its value"
        case bool():
            read = f"{str(value).lower()} (as yes, no, on, off)"
        case None:
            read = "no value"
        case int() | float():
            read = f"the number {value}"
        case _:
            read = "a date"
    if written is None or path[-1] in _MAY_BE_SECRET:
        return "YAML does not read this as text; put it in quotes"
    if not written:
        return "it is empty (a # begins a comment); put the text in quotes"
    return f"YAML reads {written} as {read}; put it in quotes: '{written}'"
