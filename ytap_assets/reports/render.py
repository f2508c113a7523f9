"""Pages: a report from a `ReportDay`, indexes from rows of `workspace_reports`.

Belongs here: the template environment and the values passed to templates. The environment escapes
every text, except charts, which are escaped by their serializer, and Markdown, whose template
quotes every text from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from statistics import median
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from ytap_assets.domain.reporting.numbers import COVERAGE_DAYS, FLOW_DAYS, RESULT_DAYS
from ytap_assets.domain.reporting.pages import ReportDay
from ytap_assets.domain.urls import distinct_pages
from ytap_assets.reports import words
from ytap_assets.reports.charts import (
    HISTORY_DAYS,
    NARROW,
    WIDE,
    arrange_coverage,
    draw_sources,
    draw_views,
)

OVERVIEW_COLUMNS = (
    "workspace_id",
    "day",
    "stories",
    "scripts_waiting",
    "videos_published",
    "views",
    "views_gained",
    "fetches_failed",
)
"""What the page over all workspaces knows of them: counts, and no text of a workspace's content."""
INDEX_COLUMNS = (
    "workspace_id",
    "day",
    "top_title",
    "stories",
    "scripts_waiting",
    "videos_published",
    "views",
    "views_gained",
    "missing",
)
"""What the list of a workspace's reports shows of each."""
INDEX_DAYS = 92
"""How many days the index lists; older months have pages of their own."""
COMPARED = ("views", "views_gained", "stories")
"""What a page compares with the days before."""
_USUAL_AT_LEAST = 3
_INDEX_LINK = '<a href="index.html">All days</a>'
"""As in `report.html`; texts cannot contain it, because their tags are escaped."""


def render_report(report: ReportDay, history: pl.DataFrame) -> str:
    """The page of one day: one HTML document that needs nothing but itself.

    Args:
        report: What the page shows.
        history: Rows of `workspace_reports`, of any days; columns ``day``,
            ``views``, ``views_gained``, ``stories``. Of these, the 14 days before the report's are
            used; days may be missing.
    """
    first = report.day - timedelta(days=HISTORY_DAYS)
    before = {
        day: numbers
        for day, *numbers in history.select("day", *COMPARED).iter_rows()
        if first <= day < report.day
    }
    views: dict[date, int | None] = {day: numbers[0] for day, numbers in before.items()}
    views[report.day] = report.numbers.views
    yesterday = report.day - timedelta(days=1)
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            edition=report.edition,
            numbers=report.numbers,
            states=dict(report.states),
            views_charts=[draw_views(views, report.day, width=width) for width in (WIDE, NARROW)],
            sources_charts=[draw_sources(report.by_source, width=one) for one in (WIDE, NARROW)],
            calendar=arrange_coverage(
                [(one.day, one.source, one.state) for one in report.coverage],
                report.day - timedelta(days=COVERAGE_DAYS - 1),
                report.day,
            ),
            coverage_days=COVERAGE_DAYS,
            result_days=RESULT_DAYS,
            flow_days=FLOW_DAYS,
            usual_gain=_usual([numbers[1] for numbers in before.values()]),
            usual_stories=_usual([numbers[2] for numbers in before.values()]),
            previous=yesterday if yesterday in before else None,
            top_score=max((story.final_score for story in report.stories), default=0.0),
            days_drawn=HISTORY_DAYS,
        )
    )


def link_next_day(page: str, day: date) -> str:
    """Add a link to the report of the next day to a page, if it has none; nothing else changes."""
    link = f'<a href="{day}.html" rel="next">{day} →</a>'
    return page if link in page else page.replace(_INDEX_LINK, link + _INDEX_LINK, 1)


def render_index(name: str, rows: pl.DataFrame, *, total: int, months: Sequence[date] = ()) -> str:
    """The list of a workspace's latest reports, the latest first.

    Args:
        name: The workspace's name.
        rows: Rows of `workspace_reports` with `INDEX_COLUMNS`.
        total: How many reports there are.
        months: The months that have pages of their own, in order, by their first days.
    """
    return _render_list(name, rows, total=total, months=months, month=None)


def render_month(name: str, month: date, rows: pl.DataFrame) -> str:
    """The list of a workspace's reports of a month; arguments as `render_index`."""
    return _render_list(name, rows, total=rows.height, months=(), month=month)


def _render_list(name: str, rows: pl.DataFrame, **given: Any) -> str:
    latest = rows.select(INDEX_COLUMNS).sort("day", descending=True)
    template = _environment().get_template("index.html")
    return template.render(name=name, rows=latest.to_dicts(), **given)


def render_overview(names: Mapping[str, str], rows: pl.DataFrame) -> str:
    """The list of all workspaces, with the numbers of the latest report of each.

    Args:
        names: The workspaces' names, by id; one without a name here is shown by its id.
        rows: The last row of `workspace_reports` of each workspace, with `OVERVIEW_COLUMNS`, and
            ``rows``: how many reports it has.
    """
    reported = {row["workspace_id"]: row for row in rows.iter_rows(named=True)}
    workspaces = [
        {"workspace_id": one, "name": names.get(one, one), "latest": reported.get(one)}
        for one in sorted({*names, *reported})
    ]
    template = _environment().get_template("overview.html")
    return template.render(workspaces=workspaces, total=rows["rows"].sum())


def render_essentials(report: ReportDay) -> str:
    """A summary of a day, in Markdown: what happened, what to do, the numbers.

    Everything that came from outside is code in it (`words.quote_code`).
    """
    template = _markdown().get_template("essentials.md")
    return template.render(report=report, numbers=report.numbers, edition=report.edition)


def _usual(numbers: Sequence[int | None]) -> float | None:
    """The median of the days before, where there are enough of them to speak of a habit."""
    known = [number for number in numbers if number is not None]
    return float(median(known)) if len(known) >= _USUAL_AT_LEAST else None


@cache
def _markdown() -> Environment:
    return _environment().overlay(autoescape=False)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ytap_assets.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        link=words.find_link,
        distinct_pages=distinct_pages,
        video_link=words.find_video_link,
        file_name=lambda day: f"{day.isoformat()}.html",
        headline=words.write_headline,
        task=words.name_task,
        count=words.count,
    )
    environment.filters.update(
        number=words.spell_number,
        short=words.shorten_number,
        gain=words.spell_gain,
        decimal=words.spell_decimal,
        percent=words.spell_percent,
        money=words.spell_money,
        day=words.spell_day,
        hours=words.spell_hours,
        clock=words.spell_clock,
        state=words.name_state,
        source=words.name_source,
        coverage=words.name_coverage,
        rule=words.name_rule,
        clip=words.clip,
        code=words.quote_code,
        wait=words.spell_wait,
        instant=words.spell_instant,
    )
    return environment
