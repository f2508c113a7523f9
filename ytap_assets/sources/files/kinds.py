"""How each kind of value is read from text: one Polars expression and one sentence per kind.

A text that a kind cannot read becomes null here; `convert` tells it apart from an unknown value
and puts the row aside. Belongs here: parsing by kind. Does not belong here: which column is of
which kind (`formats.yaml`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

import polars as pl

from ytap_assets.sources.fields import COUNTS_END
from ytap_assets.sources.files.formats import Column, KindName
from ytap_assets.sources.files.names import DaySpan

INSTANT = pl.Datetime("us", "UTC")
LISTED_BY = ("list_name", "region")
"""The columns that tell one list of an instant from another."""
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_END = datetime(2100, 1, 1, tzinfo=UTC)
_AGE = r"(?i)\b(\d{1,4}) (second|minute|hour|day|week|month|year)s? ago\b"
# Days, hours, minutes, seconds: at least one; each few enough digits not to overflow.
_DURATION = r"^P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$"
# With its semicolon: `&copy=1` and `AT&T` are no entities.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BELOW = f"below {COUNTS_END:,}"
_UNITS = {
    "second": "s",
    "minute": "m",
    "hour": "h",
    "day": "d",
    "week": "w",
    "month": "mo",
    "year": "y",
}


@dataclass(frozen=True)
class Reading:
    """What is known beside the file's content.

    Attributes:
        file_name: The file's name.
        observed_day: The day of observation, where not each row says it.
        year: Where dates without a year lie.
    """

    file_name: str
    observed_day: date | None
    year: DaySpan | None


Parse = Callable[[pl.Expr, Column, Reading], pl.Expr]


class Kind(NamedTuple):
    """A kind of value: how it is read, and what a text that cannot be read is not."""

    parse: Parse
    wants: str
    needs_observed_at: bool = False


def end_of(day: pl.Expr) -> pl.Expr:
    """The last second of a UTC date."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("23h59m59s")


def _text(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return pl.when(~text.str.contains("\0", literal=True)).then(text)


def _title(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    return _text(text, column, reading).map_batches(_decode_entities, return_dtype=pl.String)


def _decode_entities(titles: pl.Series) -> pl.Series:
    encoded = titles.filter(titles.str.contains("&", literal=True)).unique()
    if encoded.is_empty():
        return titles
    return titles.replace(
        encoded, [_ENTITY.sub(lambda one: html.unescape(one[0]), title) for title in encoded]
    )


def _url(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    if column.base:
        text = text.str.replace(r"^/", f"{column.base}/", literal=False)
    is_web = text.str.contains(r"^(?i)https?://\S")
    return pl.when(is_web).then(_text(text, column, reading))


def _encoded_url(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    return _url(text.str.replace_all("&amp;", "&", literal=True), column, reading)


def _count(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return _bounded(pl.when(text.str.contains(r"^[0-9]{1,18}$")).then(text))


def _bounded(digits: pl.Expr) -> pl.Expr:
    number = digits.cast(pl.Int64, strict=False)
    return pl.when(number.abs() < COUNTS_END).then(number)


def _grouped_count(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    is_grouped = text.str.contains(r"^[0-9]{1,3}(,[0-9]{3})*$|^[0-9]+$")
    return _count(pl.when(is_grouped).then(text.str.replace_all(",", "")), column, reading)


def _integer(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return _bounded(pl.when(text.str.contains(r"^-?[0-9]{1,18}$")).then(text))


def _plausible(instant: pl.Expr) -> pl.Expr:
    return pl.when(instant.is_between(_EARLIEST, _END, closed="left")).then(instant)


def _instant(text: pl.Expr, column: Column, _reading: Reading) -> pl.Expr:
    return _plausible(
        pl.coalesce(
            text.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
            for pattern in column.patterns
        )
    )


def _unix_seconds(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    seconds = text.cast(pl.Float64, strict=False)
    return _plausible((seconds * 1_000_000).cast(pl.Int64, strict=False).cast(INSTANT))


def _day(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    days = [_parse_day(text, pattern, reading) for pattern in column.patterns]
    return _plausible(end_of(pl.coalesce(days)))


def _parse_day(text: pl.Expr, pattern: str, reading: Reading) -> pl.Expr:
    if has_year(pattern):
        # As an instant, since a pattern of a day may hold a time of day.
        return text.str.to_datetime(
            pattern, strict=False, time_unit="us", time_zone="UTC"
        ).dt.date()
    if reading.year is None:
        return pl.lit(None, pl.Date)
    first, last = reading.year
    candidates = (
        pl.concat_str(text, pl.lit(f" {year}")).str.to_date(f"{pattern} %Y", strict=False)
        for year in sorted({first.year, last.year})
    )
    return pl.coalesce(pl.when(day.is_between(first, last)).then(day) for day in candidates)


def has_year(pattern: str) -> bool:
    """Whether dates written after the pattern hold a year."""
    return "%y" in pattern.lower()


def _file_day(_text: pl.Expr, _column: Column, reading: Reading) -> pl.Expr:
    return end_of(pl.lit(reading.observed_day, pl.Date))


def _age(text: pl.Expr, column: Column, _reading: Reading) -> pl.Expr:
    counted_from = pl.col("observed_at").dt.truncate("1d").dt.offset_by(column.at)
    unit = text.str.extract(_AGE, 2).str.to_lowercase().replace_strict(_UNITS, default=None)
    back = pl.concat_str(pl.lit("-"), text.str.extract(_AGE, 1), unit)
    return _plausible(counted_from.dt.offset_by(back))


def _iso_duration(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    """Whole seconds; a duration of none (`P0D`, a live stream) is 0, which an entry may void."""
    parts = [text.str.extract(_DURATION, group).cast(pl.Int64) for group in range(1, 5)]
    seconds = pl.sum_horizontal(
        part * unit for part, unit in zip(parts, (86_400, 3_600, 60, 1), strict=True)
    )
    return pl.when(text.str.contains(_DURATION) & text.str.contains("[0-9]")).then(seconds)


def _slug(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    words = text.str.replace_all("_", " ", literal=True).str.strip_chars()
    return _text(pl.when(words != "").then(words), column, reading)


def _flag(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return text.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
    )


def _row_order(_text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("observed_at", *LISTED_BY)
    return pl.when(pl.col("observed_at").is_not_null()).then(position)


KINDS: dict[KindName, Kind] = {
    "text": Kind(_text, "holds a NUL character"),
    "title": Kind(_title, "holds a NUL character"),
    "url": Kind(_url, "is not an http or https address"),
    "encoded_url": Kind(_encoded_url, "is not an http or https address"),
    "count": Kind(_count, f"is not a whole number of at least 0, {_BELOW}"),
    "grouped_count": Kind(_grouped_count, f"is not a whole number such as 1,234, {_BELOW}"),
    "integer": Kind(_integer, f"is not a whole number, {_BELOW}"),
    "instant": Kind(_instant, "is not a time such as {patterns}"),
    "unix_seconds": Kind(_unix_seconds, "is not a time in seconds since 1970"),
    "day": Kind(_day, "is not a day such as {patterns}"),
    "file_day": Kind(_file_day, "is not a day"),
    "age": Kind(_age, "is not an age such as '2 weeks ago', since 1990", needs_observed_at=True),
    "iso_duration": Kind(_iso_duration, "is not a duration such as PT4M13S"),
    "slug": Kind(_slug, "is not words divided by _"),
    "flag": Kind(_flag, "is not true or false"),
    "row_order": Kind(_row_order, "is not a position", needs_observed_at=True),
}
