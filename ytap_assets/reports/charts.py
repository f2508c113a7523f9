"""Charts as inline SVG: drawn by pygal, coloured by the page's own style sheet.

Belongs here: what is drawn. Does not belong here: colours and fonts (``templates/style.css``), so
that charts follow the reader's light or dark scheme.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from ytap_assets.reports.words import clip, name_source, shorten_number, spell_number

if TYPE_CHECKING:
    from ytap_assets.domain.reporting.records import SourceStories

# pygal leaves a finder without `find_spec` behind, for plugins we have none of; Python would warn
# of it whenever a later import finds nothing.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

WIDE, NARROW = 460, 270
"""Widths at which a chart's texts are as large as the page's: of half a page, and of a phone."""
_HEIGHT = 200
_SOURCES = 6
HISTORY_DAYS = 14
_LABEL = 18

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
    """Stories by source, kept and caught as spam, as bars; None without any story."""
    told = sorted((s for s in sources if s.stories), key=lambda s: (s.stories, s.source))
    told = told[-_SOURCES:]
    if not told:
        return None
    chart = pygal.HorizontalStackedBar(
        width=width,
        height=52 + 34 * len(told),
        value_formatter=shorten_number,
        rounded_bars=2,
        **_COMMON,
    )
    chart.x_labels = [clip(name_source(s.source), _LABEL) for s in told]
    chart.add("kept", [source.stories - source.spam for source in told])
    chart.add("spam", [source.spam for source in told])
    names = [
        f"{clip(name_source(s.source))}: {spell_number(s.stories - s.spam)} stories kept"
        for s in told
    ]
    names += [f"{clip(name_source(s.source))}: {spell_number(s.spam)} caught as spam" for s in told]
    return _finish(chart, names, width)


def _name(day: date) -> str:
    return f"{day.day} {day:%b}"


def _finish(chart: Any, names: Sequence[str], width: int) -> str:
    """The chart's SVG: without script, style and ids; each bar with its name as a tooltip.

    Bars come in the order of the data, series by series; a value of None has none.
    """
    root: ElementTree.Element = chart.render_tree()
    root.attrib.pop("id")
    size = "narrow" if width == NARROW else "wide"
    root.attrib.update({"class": f"chart {size}", "aria-hidden": "true", "focusable": "false"})
    _prune(root)
    bars = [node for node in root.iter("g") if node.attrib.get("class") == "bar"]
    for node, name in zip(bars, names, strict=True):
        ElementTree.SubElement(node, "title").text = name
    return ElementTree.tostring(root, encoding="unicode")


def _prune(node: ElementTree.Element) -> None:
    """Take out what needs a script, what the page styles itself, and comments."""
    for child in list(node):
        if child.tag in _KEPT and "overlay" not in child.attrib.get("class", ""):
            _prune(child)
        else:
            node.remove(child)


_KEPT = {"g", "path", "rect", "text"}
