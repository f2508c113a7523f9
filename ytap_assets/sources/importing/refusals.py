"""Files that are known to hold no observations, and what to say of them.

Which they are is data (the section ``refused`` of `formats.yaml`). Asked only where no format fits:
a file with one readable answer among errors is read. Does not belong here: files of which nothing
is known (`recognize`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ytap_assets.sources.importing.formats import DECLARED_IN, parse_entries, read_declarations
from ytap_assets.sources.importing.json_paths import Found, as_text, check_path, find_records
from ytap_assets.sources.importing.records import make_printable

_SAMPLE = 100
_SHOWN_CHARS = 80


class Refusal(BaseModel):
    """One kind of file that holds no observations.

    Attributes:
        name: Names it.
        about: What such a file is, and why there is nothing to import, in a line.
        records: For JSON: where to look, as alternatives (see `json_paths`).
        where: A regular expression for each column that must match its whole value, in every
            record found. The values are shown in the message.
        fault: Instead, for JSON: a regular expression that must match why there is no record, at
            every place where one should be. The first is shown in the message.
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
        """What to say of a file of these documents; None where it is not of this kind."""
        if not (self.where or self.fault):
            return None
        for path in self.records:
            found = list(
                islice((one for value in values for one in find_records(value, path)), _SAMPLE)
            )
            if found and all(map(self._fits, found)):
                return f"{self.about} ({self._show(found[0])})"
        return None

    def explain_text(self, beginning: str, header: Sequence[str]) -> str | None:
        """What to say of a file that begins so, read as CSV; None where it is not of this kind."""
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
    """Read declarations.

    Raises:
        ConfigError: Not YAML, or an entry makes no sense; the message names entry and key.
    """
    return parse_entries(text, "refused", Refusal, origin=origin)


@cache
def known_refusals() -> tuple[Refusal, ...]:
    """The files that `read_trend_file` refuses by name, in the order they are declared."""
    return parse_refusals(read_declarations(), origin=DECLARED_IN.name)
