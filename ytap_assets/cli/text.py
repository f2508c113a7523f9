"""Text for a terminal: what comes from titles, files and configs is hostile.

Belongs here: making text harmless and laying it out. Does not belong here: values of other types
(`results`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

ELLIPSIS = "…"
GAP = "  "
_MAX_CELL = 120
_NARROWEST = 10
_JOINER = "\u200d"
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str) -> str:
    """The text with everything escaped that could move a cursor, change a colour or hide a word.

    Escaped are control characters (a terminal's escape sequences begin with one), line breaks,
    characters that turn the direction of writing, and lone surrogates; other spaces become plain
    ones. The joiner inside an emoji stays.
    """
    if text.isprintable():
        return text
    return "".join(_harmless(character) for character in text)


def one_line(text: str) -> str:
    """The text in one line: any run of white space becomes a space, the rest is cleaned."""
    return clean(" ".join(text.split()))


def width(text: str) -> int:
    """How many columns a terminal gives the text."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def fit(text: str, columns: int) -> str:
    """The text, cut with an ellipsis where it needs more columns."""
    if len(text) <= columns // 2 or width(text) <= columns:
        return text
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > columns - 1:
            return text[:place] + ELLIPSIS
    return text


def layout(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    columns: int | None = None,
    right: Sequence[bool] | None = None,
    whole_last: bool = False,
) -> list[str]:
    """Rows of harmless text as lines of aligned columns.

    Args:
        header: The columns' names; at least one.
        rows: The cells; as many as names in each.
        columns: The terminal's width, where there is a terminal: wide columns are cut to it.
        right: Which columns are aligned to the right.
        whole_last: Whether the last column is prose, which is never cut: the terminal breaks it.
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
    """How many of the first columns a terminal can show, each readably; at least one."""
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
    """Cut the widest columns, as little as it takes, and none below `_NARROWEST`."""
    room = columns - len(GAP) * (len(wanted) - 1)
    cap = max(wanted)
    while sum(min(one, cap) for one in wanted) > room and cap > _NARROWEST:
        cap -= 1
    return [min(one, cap) for one in wanted]


def _harmless(character: str) -> str:
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


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character == _JOINER:
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
