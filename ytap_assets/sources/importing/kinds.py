"""How each kind of value is read from text: one Polars expression and one sentence per kind.

A text is read where its meaning is certain, and never guessed. What a kind cannot read becomes null
here; `convert` tells it apart from an unknown value and quarantines the row. Belongs here: parsing
by kind. Does not belong here: which column is of which kind (`formats.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import NamedTuple

import polars as pl

from ytap_assets.sources.fields import COUNTS_END, decode_entities
from ytap_assets.sources.importing.cells import FAULT
from ytap_assets.sources.importing.formats import Column, KindName
from ytap_assets.sources.importing.names import DaySpan

INSTANT = pl.Datetime("us", "UTC")
LISTED_BY = ("list_name", "region")
"""The columns that tell one list of an instant from another."""
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_END = datetime(2100, 1, 1, tzinfo=UTC)
_AGE = r"(?i)\b(\d{1,4}) (second|minute|hour|day|week|month|year)s? ago\b"
# Days, hours, minutes, seconds: at least one; each few enough digits not to overflow.
_DURATION = r"^P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$"
_BELOW = f"below {COUNTS_END:,}"
_DASHES = ("-", "--", "\u2013", "\u2014")
NULL_WORDS = frozenset(
    ["n/a", "na", "<na>", "nan", "nat", "null", "none", "nil", "#n/a", "#na", "\\n", *_DASHES]
)
"""Small-lettered texts that mean unknown, except where text itself is read. Spreadsheets' error
values (`#NAME?`, `#REF!`) are damage instead."""
_TRUE_WORDS = (
    "true t yes y 1 1.0 wahr ja vrai oui verdadero vero verdadeiro waar sant sand sann tosi prawda"
    " pravda igaz doğru истина"
)
_FALSE_WORDS = (
    "false f no n 0 0.0 falsch nein faux non falso onwaar falskt falsk usann epätosi fałsz"
    " nepravda hamis yanl\u0131ş ложь"
)
FLAG_WORDS = {
    **dict.fromkeys(_TRUE_WORDS.split(), True),
    **dict.fromkeys(_FALSE_WORDS.split(), False),
}
"""How programs, and spreadsheets in the languages of Europe, write true and false."""
# A separator within a number. Two groups of three are certain; of one group it is certain only for
# a blank or an apostrophe: `1.234` is a thousand and more in one country, about one in another.
_PLAIN = r"^[0-9]{1,18}(?:\.0{1,2})?$"
_GROUPED = r"^[0-9]{1,3}(?:(?:[ \x{a0}\x{202f}\x{2009}][0-9]{3})+|(?:['\x{2019}][0-9]{3})+)$"
_COMMAS = r"^[0-9]{1,3}(?:,[0-9]{3}){2,}$|^[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}$"
_DOTS = r"^[0-9]{1,3}(?:\.[0-9]{3}){2,}$"
_ONE_GROUP = r"^[1-9][0-9]{0,2}[,.][0-9]{3}$"
_DECIMAL_COMMA = r"^[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})$|^[0-9]{4,},[0-9]+$"
_DECIMAL_DOT = r"^[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})$|^[0-9]{4,}\.[0-9]+$"
# As R writes whole numbers. With a capital letter it is a spreadsheet's, which rounds.
_EXPONENT = r"^[1-9](?:\.[0-9]{1,14})?e\+?[0-9]{1,2}$"
_ZONE = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_STANDARD_TIMES = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%dT%H:%M",
    "%a, %d %b %Y %H:%M:%S %#z",
    "%d %b %Y %H:%M:%S %#z",
)
# Between 1990 and 2100, the number of digits tells seconds from smaller units.
_SINCE_1970 = r"^([0-9]{9,10}|[0-9]{12,13}|[0-9]{15,16}|[0-9]{18,19})(?:\.([0-9]{1,9}))?$"
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
    """A kind of value.

    Attributes:
        parse: How it is read.
        wants: What a text that cannot be read is not, in words.
        shape: A regular expression for the whole of every text it reads; more may match. Empty
            where any text may be read.
        needs_observed_at: Whether it is read after the time of observation.
    """

    parse: Parse
    wants: str
    shape: str = ""
    needs_observed_at: bool = False

    @property
    def has_null_words(self) -> bool:
        """Whether `NULL_WORDS` mean unknown: not where any text is a value."""
        return self.parse not in {_text, _title, _encoded_title, _slug}


def end_of(day: pl.Expr) -> pl.Expr:
    """The last second of a UTC date."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("23h59m59s")


def _text(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return pl.when(~text.str.contains("\0", literal=True)).then(text)


def _title(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    return _text(text, column, reading)


def _encoded_title(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    return _text(text, column, reading).map_batches(_decode_all, return_dtype=pl.String)


def _decode_all(titles: pl.Series) -> pl.Series:
    encoded = titles.filter(titles.str.contains("&", literal=True)).unique()
    if encoded.is_empty():
        return titles
    return titles.replace(encoded, [decode_entities(title) for title in encoded])


def _url(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    text = text.str.replace(r"^//", "https://")
    if column.base:
        text = text.str.replace(r"^/", f"{column.base}/", literal=False)
    is_web = text.str.contains(r"^(?i)https?://\S")
    return pl.when(is_web).then(_text(text, column, reading))


def _encoded_url(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    return _url(text.str.replace_all("&amp;", "&", literal=True), column, reading)


def _read_in_turn(
    text: pl.Expr, dtype: pl.DataType, *parses: Callable[[pl.Expr], pl.Expr]
) -> pl.Expr:
    """Read a column in several ways in turn, as long as texts are left that none could read."""

    def read(texts: pl.Series) -> pl.Series:
        frame = texts.alias("text").to_frame()
        values = pl.Series([None], dtype=dtype).new_from_index(0, texts.len())
        for parse in parses:
            # No way to read makes a value of a null.
            if values.null_count() == texts.null_count():
                break
            found = frame.select(parse(pl.col("text")).cast(dtype)).to_series()
            is_first = values.null_count() == values.len()
            values = found if is_first else values.zip_with(values.is_not_null(), found)
        return values

    return text.map_batches(read, return_dtype=dtype)


def _count(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    return _read_in_turn(text, pl.Int64(), _plain_number, _proven_number)


def _plain_number(text: pl.Expr) -> pl.Expr:
    digits = pl.when(text.str.contains(_PLAIN)).then(text.str.replace(r"\.0+$", ""))
    return _bounded(digits.cast(pl.Int64, strict=False))


def _proven_number(text: pl.Expr) -> pl.Expr:
    return _grouped_number(
        text,
        has_commas=_shows(text, _COMMAS, but_no=f"{_DECIMAL_COMMA}|{_DOTS}"),
        has_dots=_shows(text, _DOTS, but_no=f"{_DECIMAL_DOT}|{_COMMAS}"),
    )


def _shows(text: pl.Expr, proof: str, *, but_no: str) -> pl.Expr:
    """Whether a column proves how it writes thousands."""
    return text.str.contains(proof).any() & ~text.str.contains(but_no).any()


def _grouped_number(text: pl.Expr, *, has_commas: pl.Expr, has_dots: pl.Expr) -> pl.Expr:
    one_group = text.str.contains(_ONE_GROUP)
    has_comma = text.str.contains(",", literal=True)
    is_grouped = (
        text.str.contains(f"{_GROUPED}|{_COMMAS}|{_DOTS}")
        | (one_group & has_comma & has_commas)
        | (one_group & ~has_comma & has_dots)
    )
    digits = pl.when(is_grouped).then(text.str.replace_all("[^0-9]", ""))
    scientific = pl.when(text.str.contains(_EXPONENT)).then(text).cast(pl.Float64, strict=False)
    is_whole = (scientific == scientific.floor()) & (scientific < COUNTS_END)
    whole = pl.when(is_whole).then(scientific).cast(pl.Int64, strict=False)
    return _bounded(pl.coalesce(digits.cast(pl.Int64, strict=False), whole))


def _bounded(number: pl.Expr) -> pl.Expr:
    return pl.when(number.abs() < COUNTS_END).then(number)


def _grouped_count(text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    grouped = _grouped_number(text, has_commas=pl.lit(value=True), has_dots=pl.lit(value=False))
    return pl.coalesce(_plain_number(text), grouped)


def _integer(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    magnitude = _count(text.str.strip_prefix("-"), column, reading)
    return pl.when(text.str.starts_with("-")).then(-magnitude).otherwise(magnitude)


def _plausible(instant: pl.Expr) -> pl.Expr:
    return pl.when(instant.is_between(_EARLIEST, _END, closed="left")).then(instant)


def _instant(text: pl.Expr, column: Column, _reading: Reading) -> pl.Expr:
    if not column.patterns:
        return _plausible(_standard_time(text))
    declared = pl.coalesce(_trust(text, pattern, _parse_time) for pattern in column.patterns)
    return _plausible(pl.coalesce(declared, _standard_time(_left(text, declared))))


def _left(text: pl.Expr, read: pl.Expr) -> pl.Expr:
    """The texts that were not read: each further way to read them costs its time."""
    return pl.when(read.is_null()).then(text)


def _trust(text: pl.Expr, pattern: str, parse: Callable[[pl.Expr, str], pl.Expr]) -> pl.Expr:
    """Times after a pattern; none where the column shows that day and month stand the other way.

    That is where some texts can be read with day and month exchanged only, and none as declared
    only: the others, such as `9/7/2016`, could be either.
    """
    read = parse(text, pattern)
    exchanged = {"%d": "%m", "%m": "%d"}
    other = parse(text, re.sub("%[dm]", lambda found: exchanged[found[0]], pattern))
    is_refuted = (read.is_null() & other.is_not_null()).any()
    is_proven = (read.is_not_null() & other.is_null()).any()
    return pl.when(~is_refuted | is_proven).then(read)


def _parse_time(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")


def _normalize_time(text: pl.Expr) -> pl.Expr:
    """ISO 8601 with one letter between date and time, and the zone UTC as `Z`."""
    return text.str.replace(r"(?i)\s*\b(?:utc|gmt|z)$", "Z").str.replace(
        r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[tT ]+([0-9])", "${1}T${2}"
    )


def _standard_time(text: pl.Expr) -> pl.Expr:
    """ISO 8601, RFC 2822, and numbers since 1970; without a zone it is UTC."""
    first, *others = [partial(_parse_time, pattern=pattern) for pattern in _STANDARD_TIMES]
    return _read_in_turn(_normalize_time(text), INSTANT, first, _since_1970, *others)


def _since_1970(text: pl.Expr) -> pl.Expr:
    """Seconds, or by their digits milli-, micro- or nanoseconds; only seconds have a fraction."""
    whole, fraction = text.str.extract(_SINCE_1970, 1), text.str.extract(_SINCE_1970, 2)
    digits = whole.str.len_chars()
    number = whole.cast(pl.Int64, strict=False)
    small = ("0." + fraction.fill_null("0")).cast(pl.Float64, strict=False)
    seconds = number * 1_000_000 + (small * 1_000_000).round().cast(pl.Int64, strict=False)
    smaller = pl.when(small == 0).then(
        pl.when(digits <= 13)
        .then(number * 1_000)
        .when(digits <= 16)
        .then(number)
        .otherwise(number // 1_000)
    )
    return pl.when(digits <= 10).then(seconds).otherwise(smaller).cast(INSTANT)


def _day(text: pl.Expr, column: Column, reading: Reading) -> pl.Expr:
    """A date, taken at its last second; a time of day, where there is one, as it is.

    Midnight is how tables write a date, in whatever zone.
    """

    def parse(dates: pl.Expr, pattern: str) -> pl.Expr:
        return _parse_day(dates, pattern, reading)

    declared = [_trust(text, pattern, parse) for pattern in column.patterns]
    date_alone = rf"^([0-9-]{{10}})(?:T00:00(?::00(?:\.0+)?)?{_ZONE}?)?$"
    written = _normalize_time(text).str.extract(date_alone, 1).str.to_date("%Y-%m-%d", strict=False)
    date = pl.coalesce(*declared, written)
    instant = _standard_time(_left(text, date))
    is_date = instant == instant.dt.truncate("1d")
    return _plausible(
        pl.coalesce(
            end_of(date),
            pl.when(is_date).then(end_of(instant.dt.date())).otherwise(instant),
        )
    )


def _parse_day(text: pl.Expr, pattern: str, reading: Reading) -> pl.Expr:
    if has_year(pattern):
        return text.str.to_date(pattern, strict=False)
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
    return read_flag(text)


def read_flag(text: pl.Expr) -> pl.Expr:
    """True or false as the words of `FLAG_WORDS` say; null for any other."""
    small = text.str.strip_chars().str.to_lowercase()
    return small.replace_strict(FLAG_WORDS, default=None, return_dtype=pl.Boolean)


def _row_order(_text: pl.Expr, _column: Column, _reading: Reading) -> pl.Expr:
    """The place among the records of one list; one that cannot be read keeps its place.

    It has no cells that say which list it is of: it belongs to that of the record before it.
    """
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    nearest = pl.when(pl.col(FAULT).is_null()).then(number).forward_fill().backward_fill()
    lists = [pl.col(name).gather(nearest.fill_null(0)) for name in ("observed_at", *LISTED_BY)]
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(lists)
    return pl.when(pl.col("observed_at").is_not_null()).then(position)


_DIGITS_SHAPE = r"[0-9][0-9.,'e+ \xa0\u202f\u2009\u2019]*"
_TIME_SHAPE = r"(?=.*[0-9]).{4,60}"
KINDS: dict[KindName, Kind] = {
    "text": Kind(_text, "holds a NUL character"),
    "title": Kind(_title, "holds a NUL character"),
    "encoded_title": Kind(_encoded_title, "holds a NUL character"),
    "url": Kind(_url, "is not an http or https address", r"(?i:https?://\S|/).*"),
    "encoded_url": Kind(_encoded_url, "is not an http or https address", r"(?i:https?://\S|/).*"),
    "count": Kind(_count, f"is not a whole number of at least 0, {_BELOW}", _DIGITS_SHAPE),
    "grouped_count": Kind(
        _grouped_count, f"is not a whole number such as 1,234, {_BELOW}", _DIGITS_SHAPE
    ),
    "integer": Kind(_integer, f"is not a whole number, {_BELOW}", f"-?{_DIGITS_SHAPE}"),
    "instant": Kind(_instant, "is not a time such as {patterns}", _TIME_SHAPE),
    "day": Kind(_day, "is not a day such as {patterns}", _TIME_SHAPE),
    "file_day": Kind(_file_day, "is not a day"),
    "age": Kind(_age, "is not an age such as '2 weeks ago', since 1990", needs_observed_at=True),
    "iso_duration": Kind(_iso_duration, "is not a duration such as PT4M13S", "P.*"),
    "slug": Kind(_slug, "is not words divided by _"),
    "flag": Kind(_flag, "is not true or false"),
    "row_order": Kind(_row_order, "is not a position", needs_observed_at=True),
}
