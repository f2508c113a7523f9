"""Declarations of tables: a pandera model for the columns, a `Table` for everything else.

Belongs here: the types of declarations. Does not belong here: any particular table (a module
per group), or applying a declaration to the lake (`lakehouse`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import pandera.polars as pa
import polars as pl

Text = pl.String
Int = pl.Int64
Float = pl.Float64
Bool = pl.Boolean
Day = pl.Date
Bytes = pl.Binary
Instant = Annotated[pl.Datetime, "us", "UTC"]
Texts = Annotated[pl.List, pl.String]

PART = "part"
_NOT_SAID = ("day", "collection_id")

Entity = Literal["workspace", "script", "source", "channel", "account", "video"]
ENTITIES: Mapping[Entity, str] = {
    "workspace": "Archived (`ytap workspace archive`), or its folder removed where folders are"
    " read: nothing is collected, promoted or reported for it. `ytap workspace delete` also erases"
    " the rows.",
    "script": "Rejected or cancelled (`ytap script`): it is not produced or published.",
    "source": "Disabled, or its targets removed from the config: it is not queried.",
    "channel": "Removed, paused or archived in the config: a monitored channel is not queried."
    " Uploads to a removed own channel still count, and `ytap doctor` lists them.",
    "account": "Removed from the config, or `is_enabled: false`.",
    "video": "Deleted on YouTube (no config key): its counts are requested, but not returned.",
}
"""What can be deleted or disabled, how, and the effect."""

Removal = Literal["stays", "continues", "follows"]
REMOVALS: Mapping[Removal, str] = {
    "stays": "The rows stay; no rows are added for it.",
    "continues": "The rows stay; rows may still be added.",
    "follows": "The rows follow the config: the next materialization removes or changes them.",
}
"""The effect of deleting or disabling something on the rows about it. No row of a table of
observations or events is ever deleted by it."""

Grain = Literal["workspace", "workspace_day"]
Mode = Literal["append", "derived"]


def column(
    comment: str,
    *,
    null: bool = False,
    default: str | float | bool | None = None,
    expected: tuple[float, float] | None = None,
    renamed_from: tuple[str, ...] = (),
    isin: Sequence[str] | Mapping[Any, str] | None = None,
    **structure: Any,
) -> Any:
    """Declare one column.

    Args:
        comment: The meaning of the value, with its unit; shown in the lake and in the Dagster UI.
        null: Whether unknown values (null) are allowed.
        default: The value of the column in rows written before it existed.
        expected: A business range. Values outside it are flagged and kept; they never block.
        renamed_from: The column's former names. A lake that has one of them is upgraded by a
            rename, and snapshots from before it are read under the present name.
        isin: The only values allowed, if they are few; with their meanings, if the names do not
            say enough. The comment lists them. Any other value blocks.
        structure: Pandera's other checks (``str_matches``, ``ge`` ...), which block.

    Raises:
        TypeError: ``renamed_from`` is not a tuple; a text would be read as one-letter names.
    """
    if not isinstance(renamed_from, tuple):
        raise TypeError(f"renamed_from={renamed_from!r}: give a tuple, as in ('former_name',)")
    if isin is not None:
        comment = f"{comment} {_list_values(isin)}"
        structure["isin"] = tuple(isin)
    return pa.Field(
        description=comment,
        nullable=null,
        default=default,
        metadata={"expected": expected, "renamed_from": renamed_from},
        **structure,
    )


def _list_values(values: Sequence[str] | Mapping[Any, str]) -> str:
    if isinstance(values, Mapping):
        return f"Values: {'; '.join(f'`{name}`: {text}' for name, text in values.items())}."
    return f"Values: {', '.join(f'`{name}`' for name in values)}."


WORKSPACE_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"


# In the regular expressions of Polars, $ is the end of the text, never before a final newline.
class Rows(pa.DataFrameModel):
    """The base of every table's model: exactly these columns, each row owned by a workspace."""

    workspace_id: Text = column("The workspace that owns the row.", str_matches=WORKSPACE_ID)

    class Config:
        """The columns are exact: none is missing, none is added."""

        strict = True


@dataclass(frozen=True)
class Column:
    """One declared column, as used by the lake, the checks and the docs."""

    name: str
    dtype: pl.DataType
    nullable: bool
    comment: str
    default: str | float | bool | None
    expected: tuple[float, float] | None
    renamed_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    Attributes:
        name: The table's name in SQL and the asset's key in Dagster.
        model: The pandera model: columns and structural checks.
        key: The columns that identify a row; unique within the table.
        grain: ``workspace_day``: published by workspace and day (there is a ``day`` column);
            ``workspace``: published as the workspace's whole history.
        mode: ``append``: rows are only added; ``derived``: a partition is replaced as a whole.
        group: The asset group that shows it.
        sort_by: The sort order of stored rows, for pruning.
        sequenced: Whether the lake numbers appended rows (column ``seq``) in commit order.
        in_parts: Whether rows may complete each other: the lake numbers those that agree in the
            rest of the key (column ``part``), and omits only a row that adds nothing to a stored
            one.
        place: In a table in parts, the column with a row's position in its list. An item that a
            collection lists twice keeps its first position.
        cadence_minutes: The maximum age of the newest row before the table counts as stale.
        about: The entities that the rows are about, besides their workspace: the columns that name
            each, and the effect of deleting or disabling it.
    """

    name: str
    model: type[Rows]
    key: tuple[str, ...]
    grain: Grain
    mode: Mode
    group: str
    sort_by: tuple[str, ...]
    sequenced: bool = False
    in_parts: bool = False
    place: str | None = None
    cadence_minutes: int = 24 * 60
    about: Mapping[Entity, tuple[tuple[str, ...], Removal]] = field(
        default_factory=dict, hash=False
    )

    @property
    def description(self) -> str:
        """The model's docstring."""
        return " ".join((self.model.__doc__ or "").split())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The declared columns, in order."""
        schema = self.model.to_schema()
        return tuple(
            Column(
                name=name,
                dtype=declared.dtype.type,
                nullable=declared.nullable,
                comment=declared.description or "",
                default=declared.default,
                expected=(declared.metadata or {}).get("expected"),
                renamed_from=(declared.metadata or {}).get("renamed_from", ()),
            )
            for name, declared in schema.columns.items()
        )

    @cached_property
    def schema(self) -> pl.Schema:
        """Column names and types."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """The key without ``part``: the columns in which rows that complete each other agree."""
        return tuple(name for name in self.key if not (self.in_parts and name == PART))

    @cached_property
    def said(self) -> tuple[str, ...]:
        """Columns that hold values: neither key, day nor collection_id."""
        return tuple(name for name in self.schema if name not in {*self.key, *_NOT_SAID})

    @property
    def removals(self) -> Mapping[Entity, tuple[tuple[str, ...], Removal]]:
        """`about`, with the workspace that every row has."""
        return {"workspace": (("workspace_id",), "stays"), **self.about}

    @property
    def by_day(self) -> bool:
        """Whether the table is partitioned by day as well as by workspace."""
        return self.grain == "workspace_day"

    def empty(self) -> pl.DataFrame:
        """A frame of the table's columns and no rows; an empty partition is a valid one."""
        return pl.DataFrame(schema=self.schema)

    def frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Rows given as dictionaries, as a frame of the table's types.

        Absent keys are null, or the declared default of the column.
        """
        defaults = {one.name: one.default for one in self.columns if one.default is not None}
        return pl.DataFrame(
            [{**defaults, **row} for row in rows] if defaults else rows, schema=self.schema
        )
