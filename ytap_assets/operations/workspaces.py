"""Create, list, identify, archive and unarchive workspaces; show the effects of a removal.

Belongs here: user operations on a whole workspace, and the conversion of the older JSON configs.
Does not belong here: the schema of the config (`ytap_assets.workspaces`), or writing a workspace's
rows.

Both older generations of configs have seven settings that the current config has, too. They are
converted if they have the expected type. Everything else (voices, personas, visual manuals, hints
of earlier migrations) is stored unchanged under ``extra``.

The effects of deleting or disabling something are declared for every table in `tables`:
`Table.about`, `ENTITIES` and `REMOVALS`. Nothing here deletes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ulid import ULID

from ytap_assets.domain.languages import has_other_languages
from ytap_assets.domain.spam.rules import RuleName, find_weak_rules
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.connection import find_catalog
from ytap_assets.lakehouse.inspection import Age, Inspection, inspect_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.pushed_files import PushedWorkspaces
from ytap_assets.operations.registries import (
    IDENTITY_COLUMNS,
    Orphan,
    Registered,
    find_conflict,
    find_conflicts,
    find_orphans,
)
from ytap_assets.plain_yaml import dump_yaml, unique_keys
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES, WORKSPACES, Table
from ytap_assets.tables.base import ENTITIES, REMOVALS, Entity, Removal
from ytap_assets.workspace_sections import suggest_source
from ytap_assets.workspaces import (
    CONFIG_NAME,
    Status,
    Workspace,
    Workspaces,
    parse_workspace,
    render_config,
)

_VERTICAL = "general"
_RULE_OF: Mapping[str, RuleName] = {
    "blocklist": "blocklist",
    "patterns": "pattern",
    "link_farms": "link_farm",
    "max_emoji": "emoji_excess",
    "max_capitals_pct": "capitals_excess",
    "min_capitals": "capitals_excess",
    "max_run": "repeated_characters",
    "min_repeated_words": "repeated_words",
    "max_same_title": "repeated_title",
    "model": "model",
}
# A name on one line: the next one is not indented.
_NAME_LINE = re.compile(rb"^name[ \t]*:[ \t]*[^\s#|>][^\r\n]*(?=\r?\n(?![ \t])|\Z)", re.MULTILINE)
_FIRST_KEY = re.compile(rb"^[A-Za-z_\"'][^\r\n]*:", re.MULTILINE)
_MAX_LEGACY_BYTES = 1_000_000
_LEGACY_ID = "workspace_id"
_BETWEEN = " "
_NAMES: Mapping[Entity, tuple[str, str]] = {
    "script": ("the id of the script", "select script_id from production_records"),
    "source": ("the source, for example hn", "select distinct source from raw_trends"),
    "channel": ("the channel's id, for example UC...", "from channels"),
    "account": ("the platform and the handle, for example 'youtube @me'", "from accounts"),
    "video": ("the video's YouTube id", "from videos"),
}
"""What names an entity, and the query that lists those of a workspace."""


@dataclass(frozen=True)
class Listed:
    """A workspace in a list: its config, and why it cannot be read or worked on."""

    workspace_id: str
    workspace: Workspace | None
    problem: str | None = None


@dataclass(frozen=True)
class Survey:
    """The folders' workspaces against those of the lake.

    Attributes:
        registered: The registry; empty if there is no lake.
        orphans: Names in the lake that no folder has.
    """

    registered: Registered
    orphans: Sequence[Orphan]


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
    """Create a workspace's folder and config; keys that are not set are comments in it.

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
        raise ConfigError(f"workspace {workspace_id!r} already exists; edit {config_path}")
    content: dict[str, Any] = {}
    if origin is not None:
        content = convert_legacy_config(workspace_id, read_legacy_config(origin))
    given = {"name": name, "vertical": vertical, "language": language, "timezone": timezone}
    content |= {key: value for key, value in given.items() if value is not None}
    content = {"uid": str(ULID()), "name": workspace_id, "vertical": _VERTICAL, **content}
    workspace = _validate(workspace_id, content, origin=str(origin or f"workspace {workspace_id}"))
    return workspace, workspaces.write_config(workspace_id, render_config(workspace).encode())


def list_workspaces(workspaces: Workspaces, registered: Registered | None = None) -> list[Listed]:
    """Every workspace, in order of their names, including those with an invalid config.

    Args:
        workspaces: The folders.
        registered: The registry; where it is given, folders that were renamed, copied or replaced
            have a problem.
    """
    readable, problems = workspaces.readable()
    conflicts = find_conflicts(readable, registered or {})
    listed = [Listed(one.workspace_id, one, conflicts.get(one.workspace_id)) for one in readable]
    listed += [Listed(name, None, str(problem)) for name, problem in problems.items()]
    return sorted(listed, key=lambda one: one.workspace_id)


def find_idle_settings(workspace: Workspace) -> list[tuple[str, str]]:
    """The settings of a config that are allowed and have no effect, or less than they look.

    Returns:
        Keys, each with what does not apply and what to do.
    """
    spam, idle = workspace.spam, []
    if not has_other_languages(workspace.language):
        idle.append(
            (
                "language",
                f"the script of {workspace.language} is not known, so titles in other languages are"
                " not recognized; give the code of a language, not of a country",
            )
        )
    off = set(spam.rules_off)
    for key, rule in _RULE_OF.items():
        if rule in off and getattr(spam, key):
            idle.append(
                (f"spam.{key}", f"has no effect; the rule is disabled (spam.rules_off: {rule})")
            )
    has_model = spam.model is not None and "model" not in off
    weak = [] if has_model else find_weak_rules(spam.min_spam_pct or 0)
    if weak:
        idle.append(
            (
                "spam.min_spam_pct",
                f"at {spam.min_spam_pct:g} without a model, one match of {', '.join(weak)} does not"
                " count as spam (docs/spam.md); lower the value, or set spam.model",
            )
        )
    return idle


def survey_workspaces(settings: Settings, workspaces: Workspaces) -> Survey:
    """Compare the folders with the workspaces in the lake; empty if there is no lake.

    It counts the rows of each table by workspace, which takes as long as `ytap summary`.

    Raises:
        LakeError: The lake cannot be read.
    """
    if not find_catalog(settings).exists():
        return Survey({}, ())
    with inspect_lake(settings) as inspection:
        return compare_workspaces(inspection, workspaces, inspection.ages(TABLES.values()))


def read_registry(settings: Settings) -> Registered:
    """The registry, without changing the lake; empty if there is no lake.

    Raises:
        LakeError: The lake cannot be read.
    """
    if not find_catalog(settings).exists():
        return {}
    with inspect_lake(settings) as inspection:
        return _read_registry(inspection)


def compare_workspaces(
    inspection: Inspection, workspaces: Workspaces, ages: Sequence[Age]
) -> Survey:
    """`survey_workspaces` with known ages."""
    registered = _read_registry(inspection)
    readable, problems = workspaces.readable()
    folders = {one.workspace_id for one in readable} | problems.keys()
    is_in_lake = isinstance(workspaces, PushedWorkspaces)
    orphans = find_orphans(ages, registered, readable, folders, is_in_lake=is_in_lake)
    return Survey(registered, orphans)


def _read_registry(inspection: Inspection) -> Registered:
    return dict(inspection.read(WORKSPACES, IDENTITY_COLUMNS).iter_rows())


def identify_workspace(
    workspaces: Workspaces,
    workspace_id: str,
    registered: Registered,
    *,
    new: bool = False,
    adopt: bool = False,
) -> str | None:
    """Write a uid into a workspace's config, without other changes to the file.

    Args:
        workspaces: The folders.
        workspace_id: Which.
        registered: The registry; empty if there is no lake.
        new: Replace its uid by a new one: for the copy of another workspace's folder.
        adopt: Use the uid that the registry has for its name: for a folder that was recreated.

    Returns:
        The uid that was written; None if it has one already.

    Raises:
        ConfigError: There is no such workspace; the registry has another uid for its name, or none
            that can be adopted; or no line can be added because of the config's layout.
    """
    workspace = workspaces.get(workspace_id)
    known = registered.get(workspace_id)
    if adopt:
        uid = _adoptable(workspaces, workspace, known)
    elif workspace.uid is not None and not new:
        if conflict := find_conflict(workspace, registered, workspaces.readable()[0]):
            raise ConfigError(conflict)
        return None
    elif known is not None and known == workspace.uid:
        raise ConfigError(
            f"workspace {workspace_id!r}: its uid is already the lake's; nothing to do"
        )
    elif known is not None:
        raise ConfigError(
            f"workspace {workspace_id!r}: the lake's rows of that name belong to the uid {known};"
            " with another uid, they would not belong to it. Adopt that uid with `ytap workspace"
            f" identify {workspace_id} --adopt`"
        )
    else:
        uid = str(ULID())
    if uid == workspace.uid:
        return None
    edited = set_line(workspaces.read_config(workspace_id), "uid", uid)
    if _try_parse(workspace_id, edited) != workspace.model_copy(update={"uid": uid}):
        path = workspaces.folder(workspace_id) / CONFIG_NAME
        raise ConfigError(f"{path}: its layout is not supported; add the line `uid: {uid}`")
    workspaces.write_config(workspace_id, edited)
    return uid


def archive_workspace(workspaces: Workspaces, workspace_id: str) -> bool:
    """Stop a workspace's collection and keep its data.

    Only the status changes in the config: what people wrote around it, comments too, stays.

    Returns:
        Whether it was still to be done.

    Raises:
        ConfigError: There is no such workspace, or its config cannot be read.
    """
    workspace = workspaces.get(workspace_id)
    if workspace.is_archived:
        return False
    _set_status(workspaces, workspace, "archived")
    return True


def unarchive_workspace(workspaces: Workspaces, workspace_id: str) -> bool:
    """Make an archived workspace active again; as `archive_workspace`."""
    workspace = workspaces.get(workspace_id)
    if not workspace.is_archived:
        return False
    _set_status(workspaces, workspace, "active")
    return True


def _set_status(workspaces: Workspaces, workspace: Workspace, status: Status) -> None:
    edited = set_line(workspaces.read_config(workspace.workspace_id), "status", status)
    wanted = workspace.model_copy(update={"status": status})
    if _try_parse(workspace.workspace_id, edited) == wanted:
        workspaces.write_config(workspace.workspace_id, edited)
    else:
        workspaces.save(wanted)  # an unusual layout: rather lose its comments than its meaning


def _adoptable(workspaces: Workspaces, workspace: Workspace, known: str | None) -> str:
    """The uid that the registry has for a workspace's name.

    Raises:
        ConfigError: There is none, or another folder has it.
    """
    name = workspace.workspace_id
    if known is None:
        raise ConfigError(
            f"workspace {name!r}: the lake has no uid for it, so there is none to adopt"
        )
    holders = [one.workspace_id for one in workspaces.readable()[0] if one.uid == known]
    others = [holder for holder in holders if holder != name]
    if others:
        raise ConfigError(
            f"workspace {name!r}: the folder {others[0]!r} has the uid {known}. If that folder was"
            f" renamed, rename it back to {name!r}. If it is a copy, first run `ytap workspace"
            f" identify {others[0]} --new`"
        )
    return known


def set_line(text: bytes, key: str, value: str) -> bytes:
    """A config with one of its own keys set: on the key's line, or on a new one at the top.

    A new line goes below the name, where `create` has it too, or else above the first key.
    """
    line = yaml.safe_dump({key: value}).strip().encode()
    # The value alone: a comment behind it stays.
    present = re.compile(
        rb"^(%s)?%s[ \t]*:[^\r\n]*?(?=[ \t]+#|[ \t]*\r?$)"
        % (codecs.BOM_UTF8, re.escape(key.encode())),
        re.MULTILINE,
    )
    edited, count = present.subn(lambda found: (found[1] or b"") + line, text)
    if count:
        return edited
    end = b"\r\n" if b"\r\n" in text else b"\n"
    if name := _NAME_LINE.search(text):
        return text[: name.end()] + end + line + text[name.end() :]
    if first := _FIRST_KEY.search(text):
        return text[: first.start()] + line + end + text[first.start() :]
    return text.rstrip() + end + line + end


def _validate(workspace_id: str, content: dict[str, Any], *, origin: str) -> Workspace:
    """The workspace, if its config can be written and reads back as it was."""
    try:
        text = dump_yaml(content)
        workspace = parse_workspace(workspace_id, text, origin=origin)
        again = parse_workspace(workspace_id, render_config(workspace), origin=origin)
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise ConfigError(f"{origin}: cannot be written as YAML: {error}") from error
    if again != workspace or workspace.extra != content.get("extra", {}):
        raise ConfigError(
            f"{origin}: contains values that YAML would change; write them differently"
        )
    return workspace


def _try_parse(workspace_id: str, text: bytes) -> Workspace | None:
    try:
        return parse_workspace(workspace_id, text, origin=workspace_id)
    except ConfigError:
        return None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_filled_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


LEGACY_PLACES: Mapping[str, tuple[tuple[str, ...], Callable[[object], bool]]] = {
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
        content = file.read(_MAX_LEGACY_BYTES + 1)
    if len(content) > _MAX_LEGACY_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_LEGACY_BYTES} bytes; not a config")
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
        place, is_fit = LEGACY_PLACES.get(key, ((), _is_text))
        if place and is_fit(value):
            *sections, name = place
            target = config
            for section in sections:
                target = target.setdefault(section, {})
            target[name] = value
        elif not (key == _LEGACY_ID and value == workspace_id):
            extra[key] = value
    return {**config, "extra": extra} if extra else config


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON value")


@dataclass(frozen=True)
class Impact:
    """What a removal means for the rows of one table.

    Attributes:
        table: The table.
        rows: How many of the workspace's rows are about what is removed.
        removal: What happens to them; see `REMOVALS`.
    """

    table: str
    rows: int
    removal: Removal


def preview_removal(
    platform: Platform, workspace_id: str, entity: Entity, name: str | None
) -> list[Impact]:
    """Count the rows about an entity, per table, with the effect of removing it.

    Each table is read once, only the columns that name the thing.

    Args:
        platform: The installation.
        workspace_id: Whose rows.
        entity: What is removed.
        name: Its name: a source's, the id of a channel or video, an account as ``PLATFORM HANDLE``;
            None for the workspace itself.

    Returns:
        One entry for each table with a column that names such a thing.

    Raises:
        ConfigError: There is no such workspace, or the name is missing or not of this kind.
    """
    platform.workspace(workspace_id)
    if entity == "workspace" and name is not None:
        raise ConfigError(f"impact workspace takes no NAME; {name!r} was given")
    if entity != "workspace" and name is None:
        what, query = _NAMES[entity]
        raise ConfigError(
            f'impact {entity} needs a NAME: {what} (`ytap sql "{query}" -w {workspace_id}`)'
        )
    reader = platform.lake.reader(workspace_id)
    impacts = []
    for table in TABLES.values():
        if entity not in table.removals:
            continue
        columns, removal = table.removals[entity]
        wanted = dict(
            zip(columns, split_name(entity, name, len(columns), workspace_id), strict=True)
        )
        rows = reader.read(
            table, columns=list(columns), wanted={key: [value] for key, value in wanted.items()}
        )
        impacts.append(Impact(table.name, rows.height, removal))
    return impacts


def explain_no_rows(entity: Entity, name: str) -> str:
    """The warning for a name that no row has, with the source that is probably meant."""
    nearest = suggest_source(name) if entity == "source" else None
    advice = f"; did you mean `{nearest}`?" if nearest else ""
    return f"no row refers to {entity} {name!r}{advice}"


def split_name(entity: Entity, name: str | None, parts: int, workspace_id: str) -> list[str]:
    """The values of the columns that name an entity.

    Raises:
        ConfigError: The name has fewer parts than there are columns.
    """
    if name is None:
        return [workspace_id]
    found = name.split(_BETWEEN, parts - 1)
    if len(found) != parts:
        raise ConfigError(f"{entity} {name!r}: expected its platform and its handle, as 'x @me'")
    return found


def render_removals(tables: Iterable[Table] = TABLES.values()) -> str:
    """The declarations in Markdown: what ends with each entity, and what each table does."""
    lines = ["| entity | how, and the effect |", "|---|---|"]
    lines += [f"| {entity} | {about} |" for entity, about in ENTITIES.items()]
    lines += ["", "| effect | meaning |", "|---|---|"]
    lines += [f"| {word} | {about} |" for word, about in REMOVALS.items()]
    lines += ["", f"| table | {' | '.join(ENTITIES)} |", "|---" * (1 + len(ENTITIES)) + "|"]
    for table in tables:
        cells = (table.removals.get(entity) for entity in ENTITIES)
        shown = (f"{cell[1]} (`{'`, `'.join(cell[0])}`)" if cell else "" for cell in cells)
        lines.append(f"| `{table.name}` | {' | '.join(shown)} |")
    return "\n".join(lines)
