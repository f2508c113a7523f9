"""The declarations of file formats, and the entries of `formats.yaml`.

Belongs here: the permitted content of an entry, both of known formats and of files without
observations (section ``refused``). Does not belong here: how a kind of value is parsed
(`conversion`), or any particular format (`formats.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ytap_assets.config_keys import refuse_repeats
from ytap_assets.domain.source_profiles import SOURCES
from ytap_assets.errors import ConfigError
from ytap_assets.plain_yaml import load_mapping
from ytap_assets.sources.importing.json_records import Found, as_text, check_path, find_records
from ytap_assets.sources.importing.records import Only, make_printable
from ytap_assets.tables import RAW_TRENDS

KindName = Literal[
    "text",
    "title",
    "encoded_title",
    "url",
    "encoded_url",
    "count",
    "grouped_count",
    "integer",
    "instant",
    "day",
    "file_day",
    "age",
    "iso_duration",
    "slug",
    "flag",
    "row_order",
]
_FILLED_BY_US = {"workspace_id", "source", "day", "collection_id", "part"}
_TARGETS = frozenset(RAW_TRENDS.schema) - _FILLED_BY_US
_WITH_PATTERNS = ("instant", "day")
DECLARED_IN = Path(__file__).with_name("formats.yaml")
"""Where the known formats are declared."""
_Entry = TypeVar("_Entry", bound=BaseModel)


class Column(BaseModel):
    """How one column of `raw_trends` is filled.

    Attributes:
        source: The file's column (``from``); in JSON ``a.b`` is ``b`` within the object ``a``.
        or_from: Fallback columns, in order.
        file_name: A regular expression on the file's name; its first group is the value.
        kind: How the text is read (``as``); see `conversion`.
        patterns: For ``instant`` and ``day``: strptime patterns, tried in order, before the
            standard forms that both always read. A text without a zone is taken as UTC; a day
            without a year takes it from the file name or ``--observed-on``.
        at: For ``age``: the time of the observation day from which ages are counted back (`20h`).
        base: For ``url``: the prefix of an address that begins with ``/``.
        extract: A regular expression; its first group is the value.
        matches: A regular expression the whole text must match.
        rule: The requirement in words; by default that of the kind.
        null_values: Texts that mean unknown; an empty text always does.
        null_when: Texts of other columns that together mean unknown.
        disabled_by: The flag column that says whether the platform did not count at all: a 0 is
            a count only where the flag is false, and unknown where it is true or not readable.
        optional: Whether the file may lack the column. Where a file lacks that of
            ``observed_at``, its name or ``--observed-on`` says it.
        otherwise: What an unknown value becomes (``else``); ``{item_id}`` is filled in, where it
            stands.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | None = Field(default=None, alias="from")
    or_from: tuple[str, ...] = ()
    file_name: str | None = None
    kind: KindName = Field(default="text", alias="as")
    patterns: tuple[str, ...] = ()
    at: str = Field(default="0h", pattern=r"^\d+h$")
    base: str = ""
    extract: str | None = None
    matches: str | None = None
    rule: str | None = None
    null_values: tuple[str, ...] = ()
    null_when: dict[str, str] = Field(default_factory=dict)
    disabled_by: str | None = None
    optional: bool = False
    otherwise: str | None = Field(default=None, alias="else")

    @property
    def guards(self) -> tuple[str, ...]:
        """The columns that determine whether the value is known."""
        return (*self.null_when, *([self.disabled_by] if self.disabled_by else []))

    @field_validator("file_name", "extract", "matches")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _check_patterns(self) -> Column:
        if self.patterns and self.kind not in _WITH_PATTERNS:
            raise ValueError("`patterns` needs `as: instant` or `as: day`")
        if self.or_from and self.source is None:
            raise ValueError("`or_from` needs `from`")
        return self


class Format(BaseModel):
    """One known format.

    Attributes:
        name: Names the format.
        about: One line: what such a file is.
        sources: The sources it may be imported as.
        requires: Columns the file must have in addition to those that are read.
        records: None for CSV. For JSON and JSON lines: where the records are, as alternatives;
            paths (see `json_records`); the empty one is the document itself.
        inherited: JSON only: the columns that a record may have from the objects passed on the
            way to it. Others are not inherited: a list has its own title and counts.
        only: The allowed values of some columns; any other record is quarantined.
        day: The instant whose date is the row's ``day``.
        columns: How each column of `raw_trends` is filled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    about: str
    sources: tuple[str, ...] = Field(min_length=1)
    requires: tuple[str, ...] = ()
    records: tuple[str, ...] | None = None
    inherited: frozenset[str] = frozenset()
    only: dict[str, Only] = Field(default_factory=dict)
    day: Literal["observed_at", "published_at"] = "observed_at"
    columns: dict[str, Column]

    @field_validator("sources")
    @classmethod
    def _check_sources(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(value) - set(SOURCES):
            raise ValueError(f"{sorted(unknown)} are not among {', '.join(SOURCES)}")
        return value

    @field_validator("records")
    @classmethod
    def _check_records(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in value or ():
            check_path(path)
        return value

    @model_validator(mode="after")
    def _check_columns(self) -> Format:
        if unknown := set(self.columns) - _TARGETS:
            raise ValueError(f"raw_trends has no column {', '.join(sorted(unknown))} for files")
        if missing := {"item_id", "title", self.day} - set(self.columns) - {"observed_at"}:
            raise ValueError(f"{', '.join(sorted(missing))} must be declared")
        return self

    @cached_property
    def required(self) -> tuple[tuple[str, ...], ...]:
        """The columns by which the format is detected: one of each group."""
        groups: list[tuple[str, ...]] = []
        for column in self.columns.values():
            if not column.optional:
                groups += [(column.source, *column.or_from)] if column.source else []
                groups += [(name,) for name in column.guards]
        return tuple(dict.fromkeys([*groups, *((name,) for name in self.requires)]))

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """The file's columns that are read if present."""
        return tuple(dict.fromkeys([*_read_by(self.columns.values()), *self.only]))

    @property
    def layout(self) -> str:
        """``CSV`` or ``JSON``."""
        return "CSV" if self.records is None else "JSON"

    @property
    def observation(self) -> str:
        """The origin of the time of observation, in words."""
        declared = self.columns.get("observed_at")
        if declared is None:
            return "--observed-on"
        if declared.source is None:
            return "file name or --observed-on"
        if declared.patterns and not any("%y" in one.lower() for one in declared.patterns):
            return f"column {declared.source}; its year from the file name or --observed-on"
        if declared.optional:
            return f"column {declared.source}; else file name or --observed-on"
        return f"column {declared.source}"


def _read_by(columns: Iterable[Column]) -> Iterator[str]:
    for column in columns:
        if column.source is not None:
            yield column.source
        yield from column.or_from
        yield from column.guards


def parse_formats(text: str, *, origin: str) -> tuple[Format, ...]:
    """Parse declarations.

    Raises:
        ConfigError: Not YAML, or an entry is invalid; the message names entry and key.
    """
    return parse_entries(text, "formats", Format, origin=origin)


def parse_entries(
    text: str, section: str, model: type[_Entry], *, origin: str
) -> tuple[_Entry, ...]:
    """Parse the entries of one section; raises as `parse_formats`."""
    content = load_mapping(text, origin=origin, allows_aliases=True)
    if not isinstance(content.get(section), list):
        raise ConfigError(f"{origin}: expected `{section}:` with a list of entries")
    entries = tuple(_parse_entry(entry, model, origin=origin) for entry in content[section])
    try:
        refuse_repeats((name, name) for name in (entry["name"] for entry in content[section]))
    except ValueError as error:
        raise ConfigError(f"{origin}: {section}: {error}") from error
    return entries


def _parse_entry(entry: object, model: type[_Entry], *, origin: str) -> _Entry:
    name = entry.get("name") if isinstance(entry, dict) else entry
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{origin}: format {name!r}: {key}: {message}") from error


def read_declarations() -> str:
    """The text of `formats.yaml`."""
    return DECLARED_IN.read_text(encoding="utf-8")


@cache
def known_formats() -> tuple[Format, ...]:
    """The formats that `read_trend_file` detects, in the order of declaration."""
    return parse_formats(read_declarations(), origin=DECLARED_IN.name)


def name_formats(formats: Sequence[Format]) -> str:
    """The formats' names for messages."""
    return ", ".join(one.name for one in formats)


_SAMPLED_RECORDS = 100
_SHOWN_CHARS = 80


class Refusal(BaseModel):
    """One kind of file without observations.

    Attributes:
        name: Names it.
        about: One line: what such a file is, and why there is nothing to import.
        records: For JSON: where to look, as alternatives (see `json_records`).
        where: A regular expression for each column that must match its whole value, in every
            record found. The message shows the values.
        fault: Instead, for JSON: a regular expression that must match why there is no record, at
            every place where one should be. The message shows the first.
        begins: For other files: a regular expression that the file's beginning must match.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    about: str
    records: tuple[str, ...] = ("",)
    where: dict[str, re.Pattern[str]] = Field(default_factory=dict)
    fault: re.Pattern[str] | None = None
    columns: tuple[str, ...] = ()
    begins: re.Pattern[str] | None = None

    @field_validator("records")
    @classmethod
    def _check_records(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            check_path(path)
        return value

    @model_validator(mode="after")
    def _check_one_of(self) -> Refusal:
        if sum(map(bool, (self.where, self.fault, self.columns, self.begins))) != 1:
            raise ValueError(
                "one of `where`, `fault` (JSON), `columns` (CSV) and `begins` must be given"
            )
        return self

    def explain_json(self, values: Sequence[object]) -> str | None:
        """The message for a file of these documents; None if it is of another kind."""
        if not (self.where or self.fault):
            return None
        for path in self.records:
            found = list(
                islice(
                    (one for value in values for one in find_records(value, path)), _SAMPLED_RECORDS
                )
            )
            if found and all(map(self._fits, found)):
                return f"{self.about} ({self._show(found[0])})"
        return None

    def explain_text(self, beginning: str, header: Sequence[str]) -> str | None:
        """The message for a file with this beginning and header; None for another kind."""
        if self.begins is not None:
            return self.about if self.begins.match(beginning) else None
        if self.columns and frozenset(self.columns) <= frozenset(header):
            return f"{self.about} (its columns are {', '.join(map(repr, self.columns))})"
        return None

    def _fits(self, found: Found) -> bool:
        if self.fault is not None:
            return found.fault is not None and self.fault.match(found.fault) is not None
        cells = ((as_text(found.get(name)), pattern) for name, pattern in self.where.items())
        return found.fault is None and all(
            cell is not None and pattern.fullmatch(cell) for cell, pattern in cells
        )

    def _show(self, found: Found) -> str:
        pairs = ((name, as_text(found.get(name)) or "") for name in self.where)
        shown = [f"{name} is {make_printable(cell[:_SHOWN_CHARS])!r}" for name, cell in pairs]
        return ", ".join(shown) or str(found.fault)


def parse_refusals(text: str, *, origin: str) -> tuple[Refusal, ...]:
    """Parse declarations.

    Raises:
        ConfigError: Not YAML, or an entry is invalid; the message names entry and key.
    """
    return parse_entries(text, "refused", Refusal, origin=origin)


@cache
def known_refusals() -> tuple[Refusal, ...]:
    """The files that `read_trend_file` refuses by name, in the order of declaration."""
    return parse_refusals(read_declarations(), origin=DECLARED_IN.name)
