"""A calendar of coverage as SVG: a row per source, a square per day, coloured by what is known.

Belongs here: drawing. Does not belong here: judging a day (`domain.coverage`). Within a report the
page's style sheet colours it; as a picture of its own it carries its colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from xml.etree.ElementTree import Element, SubElement, tostring  # writes only; nothing is parsed

from ytap_assets.reports.words import clip, name_coverage, name_source

MAX_DAYS = 92
"""The last days of a longer range are drawn."""
_CELL, _GAP, _LABELS, _AXIS, _LEGEND = 14, 3, 130, 20, 26
_STEP = _CELL + _GAP
_LEGEND_STEP, _LEGEND_COLUMNS = 118, 6
_COLOURS = {
    "answered": "#2f9e62",
    "imported": "#6cb3e4",
    "open": "#b9c3d0",
    "healable": "#e0a52f",
    "disabled": "#8d84b8",
    "not_recorded": "#d8dde4",
    "unrecoverable": "#c9564c",
    "unknown": "#eef1f5",
}


def draw_coverage(
    states: Iterable[tuple[date, str, str]], first: date, last: date, *, alone: bool
) -> str | None:
    """Draw which days each source covers; None where there is nothing to draw.

    Args:
        states: Day, source, state; at most one per day and source.
        first: The first day; of more than `MAX_DAYS` the last ones are drawn.
        last: The last day.
        alone: Whether the picture stands alone, with its colours in it.
    """
    first = max(first, last - timedelta(days=MAX_DAYS - 1))
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    known = {(source, day): state for day, source, state in states if first <= day <= last}
    sources = sorted({source for source, _ in known})
    if not sources:
        return None
    used = [state for state in _COLOURS if state in known.values()]
    width = _LABELS + max(len(days) * _STEP, min(len(used), _LEGEND_COLUMNS) * _LEGEND_STEP)
    height = _AXIS + len(sources) * _STEP + _LEGEND * -(-len(used) // _LEGEND_COLUMNS) + 6
    root = _root(width, height, alone=alone)
    _draw_axis(root, days)
    for row, source in enumerate(sources):
        _draw_row(root, _AXIS + row * _STEP, source, days, known)
    _draw_legend(root, _AXIS + len(sources) * _STEP + 8, used)
    return tostring(root, encoding="unicode")


def _root(width: int, height: int, *, alone: bool) -> Element:
    root = Element("svg", {"viewBox": f"0 0 {width} {height}", "class": "coverage"})
    if alone:
        root.attrib.update(
            {"xmlns": "http://www.w3.org/2000/svg", "width": str(width), "height": str(height)}
        )
        style = SubElement(root, "style")
        style.text = "text{font:12px sans-serif;fill:#5a6472}" + "".join(
            f".{state}{{fill:{colour}}}" for state, colour in _COLOURS.items()
        )
    return root


def _draw_axis(root: Element, days: Sequence[date]) -> None:
    """The first day and every Monday by their dates, as far as they have room."""
    free_from = 0
    for number, day in enumerate(days):
        x = _LABELS + number * _STEP
        if x >= free_from and (number == 0 or day.weekday() == 0):
            _text(root, x, _AXIS - 7, f"{day.day} {day:%b}")
            free_from = x + 52


def _draw_row(
    root: Element,
    y: int,
    source: str,
    days: Sequence[date],
    known: Mapping[tuple[str, date], str],
) -> None:
    _text(root, 0, y + _CELL - 3, clip(name_source(source), 20))
    for number, day in enumerate(days):
        state = known.get((source, day), "unknown")
        square = _square(root, _LABELS + number * _STEP, y, state)
        words = f"{day} {clip(name_source(source), 40)}: {name_coverage(state)}"
        SubElement(square, "title").text = words


def _draw_legend(root: Element, y: int, used: Sequence[str]) -> None:
    for number, state in enumerate(used):
        row, column = divmod(number, _LEGEND_COLUMNS)
        x = _LABELS + column * _LEGEND_STEP
        _square(root, x, y + row * _LEGEND, state)
        _text(root, x + _STEP + 3, y + row * _LEGEND + _CELL - 3, name_coverage(state))


def _square(root: Element, x: int, y: int, state: str) -> Element:
    place = {"x": str(x), "y": str(y), "width": str(_CELL), "height": str(_CELL), "rx": "2"}
    return SubElement(root, "rect", {**place, "class": state})


def _text(root: Element, x: int, y: int, words: str) -> None:
    SubElement(root, "text", {"x": str(x), "y": str(y)}).text = words
