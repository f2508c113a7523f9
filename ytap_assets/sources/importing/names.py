"""The days a file's name speaks of: `default_20240703`, `2015-09_to_2016-08`, `2016-09-07_to_16`.

Belongs here: dates in names, and the year in which dates without one lie. Does not belong here:
what they mean for the rows (`convert`).
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import NamedTuple

_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)"
    r"(?:(?P<gap>[-_.])(?P<month>\d\d)(?:(?P=gap)(?P<day>\d\d))?|(?P<compact>\d{4}))(?!\d)"
)
_SHORT_END = re.compile(r"_to_(?:(?P<month>\d\d)-)?(?P<day>\d\d)(?![\d-])")


class DaySpan(NamedTuple):
    """The first and the last of some days, both included."""

    first: date
    last: date


def read_name_days(name: str) -> DaySpan | None:
    """Read the days a file's name speaks of.

    A month stands for all its days; ``A_to_B`` and several dates stand for all days between. A
    year alone says too little and is not taken.

    Args:
        name: The file's name, without folders.

    Returns:
        The days, or None where the name holds none.
    """
    spans = []
    for found in _DATE.finditer(name):
        span = _span(found)
        if span is None:
            continue
        spans.append(span)
        end = _SHORT_END.match(name, found.end())
        if end is not None and (last := _short_end(end, start=span.first)) is not None:
            spans.append(DaySpan(last, last))
    if not spans:
        return None
    return DaySpan(min(span.first for span in spans), max(span.last for span in spans))


def _span(found: re.Match[str]) -> DaySpan | None:
    year = int(found["year"])
    month = int(found["month"] or found["compact"][:2])
    day_text = found["day"] or (found["compact"] or "")[2:]
    if not 1 <= month <= 12:
        return None
    days_in_month = calendar.monthrange(year, month)[1]
    if not day_text:
        return DaySpan(date(year, month, 1), date(year, month, days_in_month))
    if not 1 <= int(day_text) <= days_in_month:
        return None
    day = date(year, month, int(day_text))
    return DaySpan(day, day)


def _short_end(end: re.Match[str], *, start: date) -> date | None:
    month = int(end["month"] or start.month)
    try:
        return date(start.year, month, int(end["day"]))
    except ValueError:
        return None


def year_from(first: date) -> DaySpan:
    """The year of days that begins with ``first``: each day and month comes once."""
    return DaySpan(first, _same_day(first, first.year + 1) - timedelta(days=1))


def year_up_to(last: date) -> DaySpan:
    """The year of days that ends with ``last``: each day and month comes once."""
    after = last + timedelta(days=1)
    return DaySpan(_same_day(after, after.year - 1), last)


def _same_day(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 3, 1)
