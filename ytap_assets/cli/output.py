"""Output: untrusted text escaped for a terminal; rows as a table, CSV or JSON; progress.

A table is for people: cells are escaped and truncated. CSV and JSON are for programs: nothing is
truncated or changed, and JSON escapes what a terminal would interpret. Null is `∅` in a table, an
empty field in CSV (an empty text is `""`), and null in JSON. Instants are ISO 8601, bytes are
base64.

`rich.cells` measures text. `rich.Table` is not used: it takes 10 times the processor time for 1,000
rows, and 80 ms more to import. Nor is `csv`: before Python 3.12 it cannot distinguish null from an
empty text (`docs/adr/0028-libraries.md`).
"""

from __future__ import annotations

import binascii
import json
import math
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import duckdb


ELLIPSIS = "…"
GAP = "  "
_MAX_CELL = 120
_NARROWEST = 10
_JOINER = "\u200d"
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def terminal_columns() -> int | None:
    """The terminal's width; None if the output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def say(line: str) -> None:
    """Write a line of output, unchanged; `click.echo` would strip escape sequences from data."""
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """Write a line to stderr: progress, advice."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def report_problems(problems: Iterable[object]) -> None:
    """Write to stderr why workspaces were skipped."""
    for problem in problems:
        note(f"error: {one_line(str(problem))}; fix this and run the command again")


def clean(text: str) -> str:
    """Escape everything that could move a cursor, change a colour or hide a word.

    Escaped are control characters (which begin a terminal's escape sequences), line breaks,
    characters that change the writing direction, and lone surrogates; other spaces become plain
    ones. The joiner inside an emoji is kept.
    """
    if text.isprintable():
        return text
    return "".join(_escape_character(character) for character in text)


def one_line(text: str) -> str:
    """The text in one line: white space is collapsed, the rest is escaped by `clean`."""
    return clean(" ".join(text.split()))


def width(text: str) -> int:
    """The number of columns of the text in a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, columns: int) -> str:
    """The text, truncated with an ellipsis to a number of columns."""
    if len(text) <= columns // 2 or width(text) <= columns:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, columns - 1).rstrip() + ELLIPSIS


def layout(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    columns: int | None = None,
    right: Sequence[bool] | None = None,
    whole_last: bool = False,
) -> list[str]:
    """Format rows of escaped text as lines of aligned columns.

    Args:
        header: The columns' names; at least one.
        rows: The cells; as many as names in each row.
        columns: The terminal's width; wide columns are truncated to it. None: no limit.
        right: Which columns are aligned to the right.
        whole_last: Whether the last column is prose, which is not truncated: the terminal wraps it.
    """
    table = [header, *rows]
    wanted = [min(_MAX_CELL, max(width(row[i]) for row in table)) for i in range(len(header))]
    if whole_last:
        wanted[-1] = width(header[-1])
    given = wanted if columns is None else _share(wanted, columns)
    sides = right or [False] * len(header)
    lines = [_line(row, given, sides, whole_last=whole_last) for row in table]
    lines.insert(1, GAP.join("─" * columns for columns in given))
    return lines if columns is None or whole_last else [fit(line, columns) for line in lines]


def count_fitting(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> int:
    """The number of leading columns that fit a terminal; at least one."""
    if columns is None:
        return len(header)
    taken, fitting = -len(GAP), 0
    for place in range(len(header)):
        wanted = max(width(row[place]) for row in (header, *rows))
        taken += len(GAP) + min(wanted, _NARROWEST)
        fitting += taken <= columns
    return max(1, fitting)


def _line(
    row: Sequence[str], given: Sequence[int], right: Sequence[bool], *, whole_last: bool
) -> str:
    cells = []
    for place, (cell, columns, is_right) in enumerate(zip(row, given, right, strict=True)):
        is_whole = whole_last and place == len(row) - 1
        shown = cell if is_whole else fit(cell, columns)
        padding = " " * (columns - width(shown))
        cells.append(padding + shown if is_right else shown + padding)
    return GAP.join(cells).rstrip()


def _share(wanted: Sequence[int], columns: int) -> list[int]:
    """Reduce the widest columns as little as necessary, and none below `_NARROWEST`."""
    room = columns - len(GAP) * (len(wanted) - 1)
    cap = max(wanted)
    while sum(min(one, cap) for one in wanted) > room and cap > _NARROWEST:
        cap -= 1
    return [min(one, cap) for one in wanted]


def _escape_character(character: str) -> str:
    if character.isprintable() or character == _JOINER:
        return character
    if character in _NAMED:
        return _NAMED[character]
    if unicodedata.category(character) == "Zs":
        return " "
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


Format = Literal["table", "csv", "json"]
Write = Callable[[str], object]
NULL = "∅"
MAX_TABLE_ROWS = 1_000
_BATCH = 1_000
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$|^$')
# Valid in JSON, but interpreted by a terminal or refused by an encoder.
_RISKY = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_CELL_TEXT = 2_000
# DuckDB's infinities: the only values of a zoned type without a zone.
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
    """Write all rows of a result in batches, so that they need not fit into memory.

    Args:
        result: What `execute` returned.
        shape: The format.
        write: Takes one line, without its end.
        columns: The terminal's width; None without a terminal.
        fetch: Fetches a number of rows; default: `result.fetchmany`.
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
        rows: The values; as many as names in each row.
        write: Takes one line, without its end.
        right: Which columns are aligned to the right.
        columns: The terminal's width; None without a terminal.
        limit: The maximum number of rows shown; None: all.
        whole_last: Whether the last column is prose, which is not truncated.
    """
    shown: list[list[str]] = []
    count = 0
    for row in rows:
        count += 1
        if limit is None or count <= limit:
            last = len(row) - 1 if whole_last else None
            shown.append([to_cell(value, whole=n == last) for n, value in enumerate(row)])
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
    """Write comma-separated values, unchanged, with quotes where necessary."""
    for row in chain([names], rows):
        write(",".join("" if value is None else _csv_field(value) for value in row))


def write_json(names: Sequence[str], rows: Iterable[Sequence[object]], write: Write) -> None:
    """Write an array of objects, one row per line; a repeated name gets a number."""
    keys = [_encode_text(name) for name in _distinct(names)]
    before = "["
    for row in rows:
        pairs = zip(keys, map(to_json, row), strict=True)
        write(before + "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}")
        before = ","
    write("[]" if before == "[" else "]")


def to_text(value: object) -> str:
    """A value as text, without loss."""
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
            text = binascii.b2a_base64(value, newline=False).decode("ascii")
        case Decimal():
            text = format(value, "f")
        case list() | tuple() | dict():
            text = to_json(value)
        case _:
            text = str(value)
    return text


def to_cell(value: object, *, whole: bool = False) -> str:
    """A value as escaped text of a table's cell, truncated unless ``whole``."""
    if value is None:
        return NULL
    text = to_text(value)
    if not whole:
        text = text[:_MAX_CELL_TEXT]
    return "\\u2205" if text == NULL else clean(text)


def to_json(value: object) -> str:
    """A value as JSON. Decimals stay numbers; NaN and infinities, which JSON lacks, become text."""
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


_WIDTH = 48


@contextmanager
def show_steps(total: int) -> Iterator[Callable[[str], None]]:
    """Show the progress of steps: a bar on a terminal, else a line per step; always on stderr.

    Args:
        total: The expected number of steps.

    Yields:
        A function to call with each step's name when it begins.
    """
    if not sys.stderr.isatty():
        count = 0

        def write(step: str) -> None:
            nonlocal count
            count += 1
            note(f"[{count}/{total}] {clean(step)}")

        yield write
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = False

        def advance(step: str) -> None:
            nonlocal begun
            shown = escape(fit(clean(step), _WIDTH))
            bar.update(task, advance=int(begun), description=shown)
            begun = True

        yield advance
        bar.update(task, completed=total)
