"""Charts as SVG: bars within a page, and a calendar of coverage.

The bars are drawn by pygal and colored by the page's own style sheet (``templates/style.css``), so
that they follow the reader's light or dark scheme. The calendar has a row per source and a square
per day, colored by the state of the day. Within a page it is HTML, so that its text is readable on
a phone; as a separate picture it contains its colors. Does not belong here: the state of a day
(`domain.coverage`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, tostring  # writes only; nothing is parsed

import pygal
from pygal.style import Style

from ytap_assets.reports.words import (
    clip,
    name_coverage,
    name_source,
    shorten_number,
    spell_number,
)

if TYPE_CHECKING:
    from ytap_assets.domain.reporting.pages import SourceStories

# pygal leaves a finder without `find_spec` behind, for plugins we have none of; Python would warn
# of it whenever a later import finds nothing.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

WIDE, NARROW = 460, 270
"""Widths at which a chart's texts are as large as the page's: of half a page, and of a phone."""
_HEIGHT = 200
_SOURCES = 6
HISTORY_DAYS = 14
_LABEL = 18
_KEPT = {"g", "path", "rect", "text"}
MAX_DAYS = 92
"""The last days of a longer range are shown."""
_CELL, _GAP, _LABELS, _AXIS, _LEGEND = 14, 3, 130, 20, 26
_STEP = _CELL + _GAP
_LEGEND_STEP, _LEGEND_COLUMNS = 118, 6
_LABEL_DAYS = 4
"""How many days the name of a day is wide."""
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

# Sizes only: they are what pygal lays the chart out with.
_STYLE = Style(label_font_size=13, major_label_font_size=13)
_COMMON: dict[str, Any] = {
    "style": _STYLE,
    "css": (),
    "js": (),
    "no_prefix": True,
    "show_legend": False,
    "truncate_label": -1,
    "margin": 4,
    "margin_right": 14,
    "min_scale": 2,
    "max_scale": 4,
    "include_x_axis": True,
}


def draw_views(
    known: Mapping[date, int | None], last_day: date, *, width: int = WIDE
) -> str | None:
    """Views of the workspace's videos over the last 14 days, as bars; None without any.

    Args:
        known: Views by day; days may be missing.
        last_day: The last day drawn.
        width: `WIDE` or `NARROW`.
    """
    days = [last_day - timedelta(days=n) for n in reversed(range(HISTORY_DAYS))]
    values = [known.get(day) for day in days]
    if all(value is None for value in values):
        return None
    # Bars, not a line: a day that nothing is known of is a gap one sees.
    chart = pygal.Bar(
        width=width,
        height=_HEIGHT,
        spacing=6,
        rounded_bars=2,
        show_minor_x_labels=False,
        x_labels_major=[_name(day) for day in days[-1::-4]],
        value_formatter=shorten_number,
        **_COMMON,
    )
    chart.x_labels = [_name(day) for day in days]
    chart.add("views", values)
    seen = [day for day, value in zip(days, values, strict=True) if value is not None]
    return _finish(chart, [f"{day}: {spell_number(known[day])} views" for day in seen], width)


def draw_sources(sources: Sequence[SourceStories], *, width: int = WIDE) -> str | None:
    """Stories by source, spam and others, as bars; None without any story."""
    shown = sorted((s for s in sources if s.stories), key=lambda s: (s.stories, s.source))
    shown = shown[-_SOURCES:]
    if not shown:
        return None
    chart = pygal.HorizontalStackedBar(
        width=width,
        height=52 + 34 * len(shown),
        value_formatter=shorten_number,
        rounded_bars=2,
        **_COMMON,
    )
    chart.x_labels = [clip(name_source(s.source), _LABEL) for s in shown]
    chart.add("kept", [source.stories - source.spam for source in shown])
    chart.add("spam", [source.spam for source in shown])
    names = [
        f"{clip(name_source(s.source))}: {spell_number(s.stories - s.spam)} stories that are not"
        " spam"
        for s in shown
    ]
    names += [
        f"{clip(name_source(s.source))}: {spell_number(s.spam)} stories that are spam"
        for s in shown
    ]
    return _finish(chart, names, width)


def _name(day: date) -> str:
    return f"{day.day} {day:%b}"


def _finish(chart: Any, names: Sequence[str], width: int) -> str:
    """The chart's SVG: without script, style and ids; each bar with its name as a tooltip.

    Bars come in the order of the data, series by series; a value of None has none.
    """
    root: Element = chart.render_tree()
    root.attrib.pop("id")
    size = "narrow" if width == NARROW else "wide"
    root.attrib.update({"class": f"chart {size}", "aria-hidden": "true", "focusable": "false"})
    _prune(root)
    bars = [node for node in root.iter("g") if node.attrib.get("class") == "bar"]
    for node, name in zip(bars, names, strict=True):
        SubElement(node, "title").text = name
    return tostring(root, encoding="unicode")


def _prune(node: Element) -> None:
    """Remove elements that need a script, styles that the page has, and comments."""
    for child in list(node):
        if child.tag in _KEPT and "overlay" not in child.attrib.get("class", ""):
            _prune(child)
        else:
            node.remove(child)


@dataclass(frozen=True)
class Calendar:
    """What is known of some sources' days.

    Attributes:
        days: Every day, in order.
        labels: The axis label of each day; empty if it has none.
        rows: Each source with its state on every day.
        states: The states there are, as the legend lists them.
    """

    days: tuple[date, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    states: tuple[str, ...]


def arrange_coverage(
    states: Iterable[tuple[date, str, str]], first: date, last: date
) -> Calendar | None:
    """Arrange which days each source covers; None if nothing is known.

    Args:
        states: Day, source, state; at most one per day and source.
        first: The first day; of more than `MAX_DAYS` the last ones are shown.
        last: The last day.
    """
    first = max(first, last - timedelta(days=MAX_DAYS - 1))
    days = tuple(first + timedelta(n) for n in range((last - first).days + 1))
    known = {(source, day): state for day, source, state in states if first <= day <= last}
    sources = sorted({source for source, _ in known})
    if not sources:
        return None
    return Calendar(
        days,
        _label(days),
        tuple((one, tuple(known.get((one, day), "unknown") for day in days)) for one in sources),
        tuple(state for state in _COLOURS if state in known.values()),
    )


def _label(days: tuple[date, ...]) -> tuple[str, ...]:
    """The dates of the first day and of every Monday, if there is space."""
    labels, free_from = [], 0
    for number, day in enumerate(days):
        has_room = number == 0 or len(days) - number >= _LABEL_DAYS
        is_named = number >= free_from and (number == 0 or day.weekday() == 0) and has_room
        labels.append(f"{day.day} {day:%b}" if is_named else "")
        free_from = number + _LABEL_DAYS if is_named else free_from
    return tuple(labels)


def draw_coverage(states: Iterable[tuple[date, str, str]], first: date, last: date) -> str | None:
    """Draw the calendar as SVG; arguments and None as `arrange_coverage`."""
    calendar = arrange_coverage(states, first, last)
    if calendar is None:
        return None
    used, rows = calendar.states, len(calendar.rows)
    columns = min(len(used), _LEGEND_COLUMNS)
    width = _LABELS + max(len(calendar.days) * _STEP, columns * _LEGEND_STEP)
    height = _AXIS + rows * _STEP + _LEGEND * -(-len(used) // _LEGEND_COLUMNS) + 6
    root = _root(width, height)
    for number, label in enumerate(calendar.labels):
        if label:
            _text(root, _LABELS + number * _STEP, _AXIS - 7, label)
    for number in range(rows):
        _draw_row(root, _AXIS + number * _STEP, calendar, number)
    _draw_legend(root, _AXIS + rows * _STEP + 8, used)
    return tostring(root, encoding="unicode")


def _root(width: int, height: int) -> Element:
    size = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size})
    style = SubElement(root, "style")
    style.text = "text{font:12px sans-serif;fill:#5a6472}" + "".join(
        f".{state}{{fill:{colour}}}" for state, colour in _COLOURS.items()
    )
    return root


def _draw_row(root: Element, y: int, calendar: Calendar, number: int) -> None:
    source, states = calendar.rows[number]
    _text(root, 0, y + _CELL - 3, clip(name_source(source), 20))
    for place, (day, state) in enumerate(zip(calendar.days, states, strict=True)):
        square = _square(root, _LABELS + place * _STEP, y, state)
        words = f"{day} {clip(name_source(source), 40)}: {name_coverage(state)}"
        SubElement(square, "title").text = words


def _draw_legend(root: Element, y: int, used: tuple[str, ...]) -> None:
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
