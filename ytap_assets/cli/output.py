"""A statement's rows as a table, as CSV or as JSON.

The table is for eyes: cells are made harmless and cut. CSV and JSON are for programs: nothing is
cut or changed, and JSON escapes what could steer a terminal. Null is `∅` in a table, nothing at all
in CSV (an empty text is `""`), and null in JSON. Instants are ISO 8601, bytes are base64.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from ytap_assets.cli.text import clean, count_fitting, layout

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json"]
Write = Callable[[str], object]
NULL = "∅"
MAX_TABLE_ROWS = 1_000
_BATCH = 1_000
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$|^$')
# Valid in JSON, yet a terminal would obey them, or an encoder refuse them.
_RISKY = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_CELL_TEXT = 2_000
# What DuckDB gives for infinities: of instants with a zone, only these come without one.
_INFINITE = {
    datetime(9999, 12, 31, 23, 59, 59, 999_999): "infinity",  # noqa: DTZ001
    datetime(1, 1, 1): "-infinity",  # noqa: DTZ001
}


def write_result(
    result: duckdb.DuckDBPyConnection,
    shape: Format,
    write: Write,
    *,
    columns: int | None,
    fetch: Callable[[int], list[Any]] | None = None,
) -> None:
    """Write all rows of a result, as they come: they need not fit into memory.

    Args:
        result: What `execute` returned.
        shape: In which format.
        write: Takes one line, without its end.
        columns: The terminal's width; None where there is no terminal.
        fetch: Fetches a number of rows; `result.fetchmany` where None.
    """
    described = result.description or []
    names = [str(column[0]) for column in described]
    if not names or (names == ["Success"] and shape == "table"):
        return
    right = [_NUMERIC.fullmatch(str(column[1])) is not None for column in described]
    write_rows(names, _fetch(fetch or result.fetchmany), shape, write, right=right, columns=columns)


def write_rows(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    shape: Format,
    write: Write,
    *,
    right: Sequence[bool] | None = None,
    columns: int | None = None,
    whole_last: bool = False,
) -> None:
    """Write rows in a format; arguments as `write_table`."""
    if shape == "csv":
        write_csv(names, rows, write)
    elif shape == "json":
        write_json(names, rows, write)
    else:
        write_table(names, rows, write, right=right, columns=columns, whole_last=whole_last)


def write_table(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    write: Write,
    *,
    right: Sequence[bool] | None = None,
    columns: int | None = None,
    limit: int | None = MAX_TABLE_ROWS,
    whole_last: bool = False,
) -> None:
    """Write aligned columns and the number of rows.

    Args:
        names: The columns.
        rows: The values; as many as names in each.
        write: Takes one line, without its end.
        right: Which columns are aligned to the right.
        columns: The terminal's width; None where there is no terminal.
        limit: How many rows are shown; all where None.
        whole_last: Whether the last column is prose, which is never cut.
    """
    shown: list[list[str]] = []
    count = 0
    for row in rows:
        count += 1
        if limit is None or count <= limit:
            shown.append([to_cell(value) for value in row])
    header = [clean(name) for name in names]
    fitting = len(header) if whole_last else count_fitting(header, shown, columns)
    lines = layout(
        header[:fitting],
        [row[:fitting] for row in shown],
        columns=columns,
        right=right and right[:fitting],
        whole_last=whole_last,
    )
    for line in lines:
        write(line)
    notes = [f"{count} row{'' if count == 1 else 's'}"]
    if count > len(shown):
        notes.append(f"the first {len(shown)} are shown")
    if fitting < len(header):
        notes.append(f"{fitting} of {len(header)} columns fit")
    if len(notes) > 1:
        notes.append("--format csv has all")
    write(f"({'; '.join(notes)})")


def write_csv(names: Sequence[str], rows: Iterable[Sequence[object]], write: Write) -> None:
    """Write comma-separated values, quoted where they have to be, unchanged."""
    for row in chain([names], rows):
        write(",".join("" if value is None else _csv_field(value) for value in row))


def write_json(names: Sequence[str], rows: Iterable[Sequence[object]], write: Write) -> None:
    """Write an array of objects, one row a line; a name that stands twice gets a number."""
    keys = [_encode_text(name) for name in _distinct(names)]
    before = "["
    for row in rows:
        pairs = zip(keys, map(to_json, row), strict=True)
        write(before + "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}")
        before = ","
    write("[]" if before == "[" else "]")


def to_text(value: object) -> str:
    """A value as text, nothing lost."""
    match value:
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case datetime() if value in _INFINITE:
            text = _INFINITE[value]
        case datetime() | date() | time():
            text = value.isoformat()
        case bytes() | bytearray():
            text = base64.b64encode(value).decode("ascii")
        case Decimal():
            text = format(value, "f")
        case list() | tuple() | dict():
            text = to_json(value)
        case _:
            text = str(value)
    return text


def to_cell(value: object) -> str:
    """A value as harmless text of a table's cell."""
    if value is None:
        return NULL
    text = to_text(value)[:_MAX_CELL_TEXT]
    return "\\u2205" if text == NULL else clean(text)


def to_json(value: object) -> str:
    """A value as JSON. Exact numbers stay numbers; NaN and infinities, which JSON lacks, text."""
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'"{value}"'
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_json, value)) + "]"
    if isinstance(value, dict):
        pairs = ((_encode_text(to_text(key)), to_json(one)) for key, one in value.items())
        return "{" + ", ".join(f"{key}: {one}" for key, one in pairs) + "}"
    return _encode_text(to_text(value))


def _fetch(fetch: Callable[[int], list[Any]]) -> Iterator[tuple[Any, ...]]:
    while rows := fetch(_BATCH):
        yield from rows


def _csv_field(value: object) -> str:
    text = to_text(value)
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _encode_text(text: str) -> str:
    encoded = json.dumps(text, ensure_ascii=False)
    return _RISKY.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)


def _distinct(names: Sequence[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken[free] = None
    return list(taken)
