"""The effect of deleting or disabling something on every table, and on its rows.

The declarations are in `tables`: `Table.about`, `ENTITIES` and `REMOVALS`. Nothing here deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ytap_assets.errors import ConfigError
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import TABLES, Table
from ytap_assets.tables.base import ENTITIES, REMOVALS, Entity, Removal
from ytap_assets.workspace_sections import suggest_source

_BETWEEN = " "
_NAMES: Mapping[Entity, tuple[str, str]] = {
    "source": ("the source, for example hn", "select distinct source from raw_trends"),
    "channel": ("the channel's id, for example UC...", "from channels"),
    "account": ("the platform and the handle, for example 'youtube @me'", "from accounts"),
    "video": ("the video's YouTube id", "from videos"),
}
"""What names an entity, and the query that lists those of a workspace."""


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
        raise ConfigError(f"impact workspace: no NAME is expected, {name!r} was given")
    if entity != "workspace" and name is None:
        what, query = _NAMES[entity]
        raise ConfigError(
            f"impact {entity}: NAME is missing; give {what}"
            f' (`ytap sql "{query}" -w {workspace_id}`)'
        )
    reader = platform.lake.reader(workspace_id)
    impacts = []
    for table in TABLES.values():
        if entity not in table.removals:
            continue
        columns, removal = table.removals[entity]
        wanted = dict(zip(columns, _split(entity, name, len(columns), workspace_id), strict=True))
        rows = reader.read(
            table, columns=list(columns), wanted={key: [value] for key, value in wanted.items()}
        )
        impacts.append(Impact(table.name, rows.height, removal))
    return impacts


def explain_no_rows(entity: Entity, name: str) -> str:
    """The warning for a name that no row has, with the source that is probably meant."""
    nearest = suggest_source(name) if entity == "source" else None
    return f"no row names {entity} {name!r}" + (f"; did you mean `{nearest}`?" if nearest else "")


def _split(entity: Entity, name: str | None, parts: int, workspace_id: str) -> list[str]:
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
