"""Conversion of text records into columns of `raw_trends`, as declared by a format.

Each kind of value has one Polars expression and one sentence. A text is parsed only if its meaning
is unambiguous. Every row gets either all its values or the reasons why it cannot be read. Does not
belong here: the kind of each column (`formats.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import NamedTuple

import polars as pl

from ytap_assets.sources.fields import COUNTS_END, decode_entities
from ytap_assets.sources.importing.formats import Column, Format, KindName
from ytap_assets.sources.importing.records import CELL, FAULT, DaySpan, Records
from ytap_assets.tables import RAW_TRENDS

INSTANT = pl.Datetime("us", "UTC")
LISTED_BY = ("list_name", "region")
"""The columns that distinguish the lists of one instant."""
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
"""Lower-case texts that mean unknown, except in text columns. Error values of spreadsheets
(`#NAME?`, `#REF!`) are invalid instead."""
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
"""True and false as written by programs and by spreadsheets in European languages."""
# Thousands separators. Two groups of three are unambiguous; one group is unambiguous only with a
# blank or an apostrophe: `1.234` is 1234 in one country and 1.234 in another.
_PLAIN = r"^[0-9]{1,18}(?:\.0{1,2})?$"
_GROUPED = r"^[0-9]{1,3}(?:(?:[ \x{a0}\x{202f}\x{2009}][0-9]{3})+|(?:['\x{2019}][0-9]{3})+)$"
_COMMAS = r"^[0-9]{1,3}(?:,[0-9]{3}){2,}$|^[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}$"
_DOTS = r"^[0-9]{1,3}(?:\.[0-9]{3}){2,}$"
_ONE_GROUP = r"^[1-9][0-9]{0,2}[,.][0-9]{3}$"
_DECIMAL_COMMA = r"^[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})$|^[0-9]{4,},[0-9]+$"
_DECIMAL_DOT = r"^[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})$|^[0-9]{4,}\.[0-9]+$"
# The notation of R for whole numbers. Spreadsheets write a capital E and round the value.
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
# Between 1990 and 2100, the number of digits distinguishes seconds from smaller units.
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
class FileContext:
    """What is known in addition to the file's content.

    Attributes:
        file_name: The file's name.
        observed_day: The day of observation, if the rows do not contain it.
        year: The range of dates that have no year.
    """

    file_name: str
    observed_day: date | None
    year: DaySpan | None


Parse = Callable[[pl.Expr, Column, FileContext], pl.Expr]


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        parse: How it is read.
        wants: The requirement that an unreadable text does not meet.
        shape: A regular expression for the whole of every text it reads; more may match. Empty
            where any text may be read.
        needs_observed_at: Whether it depends on the time of observation.
    """

    parse: Parse
    wants: str
    shape: str = ""
    needs_observed_at: bool = False

    @property
    def has_null_words(self) -> bool:
        """Whether `NULL_WORDS` mean unknown; they do not in text columns."""
        return self.parse not in {_text, _title, _encoded_title, _slug}


def end_of(day: pl.Expr) -> pl.Expr:
    """The last second of a UTC date."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("23h59m59s")


def _text(text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
    return pl.when(~text.str.contains("\0", literal=True)).then(text)


def _title(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    return _text(text, column, reading)


def _encoded_title(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    return _text(text, column, reading).map_batches(_decode_all, return_dtype=pl.String)


def _decode_all(titles: pl.Series) -> pl.Series:
    encoded = titles.filter(titles.str.contains("&", literal=True)).unique()
    if encoded.is_empty():
        return titles
    return titles.replace(encoded, [decode_entities(title) for title in encoded])


def _url(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    text = text.str.replace(r"^//", "https://")
    if column.base:
        text = text.str.replace(r"^/", f"{column.base}/", literal=False)
    is_web = text.str.contains(r"^(?i)https?://\S")
    return pl.when(is_web).then(_text(text, column, reading))


def _encoded_url(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    return _url(text.str.replace_all("&amp;", "&", literal=True), column, reading)


def _read_in_turn(
    text: pl.Expr, dtype: pl.DataType, *parses: Callable[[pl.Expr], pl.Expr]
) -> pl.Expr:
    """Apply several parsers in turn until every text is parsed."""

    def read(texts: pl.Series) -> pl.Series:
        frame = texts.alias("text").to_frame()
        values = pl.Series([None], dtype=dtype).new_from_index(0, texts.len())
        for parse in parses:
            # No parser makes a value of a null.
            if values.null_count() == texts.null_count():
                break
            found = frame.select(parse(pl.col("text")).cast(dtype)).to_series()
            is_first = values.null_count() == values.len()
            values = found if is_first else values.zip_with(values.is_not_null(), found)
        return values

    return text.map_batches(read, return_dtype=dtype)


def _count(text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
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
    """Whether the thousands separator of a column is unambiguous."""
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


def _grouped_count(text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
    grouped = _grouped_number(text, has_commas=pl.lit(value=True), has_dots=pl.lit(value=False))
    return pl.coalesce(_plain_number(text), grouped)


def _integer(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    magnitude = _count(text.str.strip_prefix("-"), column, reading)
    return pl.when(text.str.starts_with("-")).then(-magnitude).otherwise(magnitude)


def _plausible(instant: pl.Expr) -> pl.Expr:
    return pl.when(instant.is_between(_EARLIEST, _END, closed="left")).then(instant)


def _instant(text: pl.Expr, column: Column, _reading: FileContext) -> pl.Expr:
    if not column.patterns:
        return _plausible(_standard_time(text))
    declared = pl.coalesce(_trust(text, pattern, _parse_time) for pattern in column.patterns)
    return _plausible(pl.coalesce(declared, _standard_time(_left(text, declared))))


def _left(text: pl.Expr, read: pl.Expr) -> pl.Expr:
    """The texts that are not parsed yet, since each further parser costs time."""
    return pl.when(read.is_null()).then(text)


def _trust(text: pl.Expr, pattern: str, parse: Callable[[pl.Expr, str], pl.Expr]) -> pl.Expr:
    """Times parsed by a pattern; none if the column probably has day and month exchanged.

    That is so if some texts can be read only with day and month exchanged, and none only as
    declared. Other texts, such as `9/7/2016`, could be either.
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


def _day(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
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


def _parse_day(text: pl.Expr, pattern: str, reading: FileContext) -> pl.Expr:
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


def _file_day(_text: pl.Expr, _column: Column, reading: FileContext) -> pl.Expr:
    return end_of(pl.lit(reading.observed_day, pl.Date))


def _age(text: pl.Expr, column: Column, _reading: FileContext) -> pl.Expr:
    counted_from = pl.col("observed_at").dt.truncate("1d").dt.offset_by(column.at)
    unit = text.str.extract(_AGE, 2).str.to_lowercase().replace_strict(_UNITS, default=None)
    back = pl.concat_str(pl.lit("-"), text.str.extract(_AGE, 1), unit)
    return _plausible(counted_from.dt.offset_by(back))


def _iso_duration(text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
    """Whole seconds; an empty duration (`P0D`, a live stream) is 0 unless declared null."""
    parts = [text.str.extract(_DURATION, group).cast(pl.Int64) for group in range(1, 5)]
    seconds = pl.sum_horizontal(
        part * unit for part, unit in zip(parts, (86_400, 3_600, 60, 1), strict=True)
    )
    return pl.when(text.str.contains(_DURATION) & text.str.contains("[0-9]")).then(seconds)


def _slug(text: pl.Expr, column: Column, reading: FileContext) -> pl.Expr:
    words = text.str.replace_all("_", " ", literal=True).str.strip_chars()
    return _text(pl.when(words != "").then(words), column, reading)


def _flag(text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
    return read_flag(text)


def read_flag(text: pl.Expr) -> pl.Expr:
    """True or false as the words of `FLAG_WORDS` say; null for any other."""
    small = text.str.strip_chars().str.to_lowercase()
    return small.replace_strict(FLAG_WORDS, default=None, return_dtype=pl.Boolean)


def _row_order(_text: pl.Expr, _column: Column, _reading: FileContext) -> pl.Expr:
    """The position within one list; a record that cannot be read keeps its position.

    Such a record belongs to the list of the record before it.
    """
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    nearest = pl.when(pl.col(FAULT).is_null()).then(number).forward_fill().backward_fill()
    lists = [pl.col(name).gather(nearest.fill_null(0)) for name in ("observed_at", *LISTED_BY)]
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(lists)
    return pl.when(pl.col("observed_at").is_not_null()).then(position)


_DIGITS_SHAPE = r"[0-9][0-9.,'e+ \xa0\u202f\u2009\u2019]*"
_TIME_SHAPE = r"(?=.*[0-9]).{4,60}"
KINDS: dict[KindName, Kind] = {
    "text": Kind(_text, "contains a NUL character"),
    "title": Kind(_title, "contains a NUL character"),
    "encoded_title": Kind(_encoded_title, "contains a NUL character"),
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
    "slug": Kind(_slug, "is not a list of words separated by _"),
    "flag": Kind(_flag, "is not true or false"),
    "row_order": Kind(_row_order, "is not a position", needs_observed_at=True),
}


REASON = "reason"
"""The column with the reasons a row cannot be read; null for readable rows."""
_TEXT = "text:"
_NULL_WORDS = pl.lit(pl.Series([sorted(NULL_WORDS)]))
_SHOWN_CHARS = 80
_TITLES = ("title", "encoded_title")
_STANDARD_FORMS = {
    "instant": "YYYY-MM-DD hh:mm:ss or seconds since 1970",
    "day": "YYYY-MM-DD",
}
_SPELLED = {
    "%Y": "YYYY",
    "%y": "YY",
    "%m": "MM",
    "%d": "DD",
    "%a": "Mon",
    "%b": "Jan",
    "%H": "hh",
    "%M": "mm",
    "%S": "ss",
    "%.f": "",
    "%#z": "+00:00",
}


def convert_records(records: Records, declared: Format, reading: FileContext) -> pl.DataFrame:
    """Convert all records.

    Args:
        records: The file's records.
        declared: Its format.
        reading: What is known in addition to the content.

    Returns:
        One row per record, in order: the declared columns of `raw_trends`, ``day``, and
        ``reason``.
    """
    columns = _with_observed_at(declared, reading)
    present = records.frame.columns
    texts = [_cell(one, present, reading).alias(f"{_TEXT}{name}") for name, one in columns.items()]
    listed = [pl.lit(None, pl.String).alias(name) for name in LISTED_BY if name not in columns]
    frame = records.frame.with_columns(*texts, *listed)
    for needs_observed_at in (False, True):
        frame = frame.with_columns(
            _parse(name, column, reading)
            for name, column in columns.items()
            if KINDS[column.kind].needs_observed_at is needs_observed_at
        )
    required = _required(declared)
    # Most files are valid, so expressions are built only for columns that lack a value.
    reasons = [
        _reason(name, column, required=name in required)
        for name, column in columns.items()
        if frame.get_column(name).null_count()
    ]
    frame = frame.with_columns(
        pl.coalesce(FAULT, _join(reasons)).alias(REASON),
        pl.col(declared.day).dt.date().alias("day"),
    )
    return frame.with_columns(
        _fill(name, column.otherwise) for name, column in columns.items() if column.otherwise
    ).select(*columns, "day", REASON)


def make_record_test(declared: Format) -> Callable[[Mapping[str, str]], bool]:
    """A test whether cells look like a record of a format, by regular expressions only.

    At least two cells must hold a value, and none a text that its column cannot be read from.
    """
    shapes = {
        column.source: (re.compile(column.matches or f"^(?:{KINDS[column.kind].shape})$"), column)
        for column in declared.columns.values()
        if column.source and not column.extract and (column.matches or KINDS[column.kind].shape)
    }

    def is_record(cells: Mapping[str, str]) -> bool:
        values = 0
        for name in cells.keys() & shapes.keys():
            shape, column = shapes[name]
            text = cells[name].strip()
            if not text or text.lower() in NULL_WORDS or text in column.null_values:
                continue
            if not shape.search(text):
                return False
            values += 1
        return values >= 2

    return is_record


def _with_observed_at(declared: Format, reading: FileContext) -> dict[str, Column]:
    if reading.observed_day is None:
        return declared.columns
    return {**declared.columns, "observed_at": Column.model_validate({"as": "file_day"})}


def _required(declared: Format) -> set[str]:
    needed = {column.name for column in RAW_TRENDS.columns if not column.nullable}
    return needed | {declared.day}


def _cell(column: Column, present: list[str], reading: FileContext) -> pl.Expr:
    """The text to parse; null if the value is unknown."""
    if column.file_name is not None:
        found = re.search(column.file_name, reading.file_name)
        return pl.lit(found[1] if found else None, pl.String)
    cells = [f"{CELL}{source}" for source in (column.source, *column.or_from) if source]
    read = [_read_cell(cell, column) for cell in cells if cell in present]
    if not read:
        return pl.lit(None, pl.String)
    text = pl.coalesce(read)
    if column.null_when and all(f"{CELL}{name}" in present for name in column.null_when):
        unknown = pl.all_horizontal(
            _plain(pl.col(f"{CELL}{name}").fill_null("")) == value
            for name, value in column.null_when.items()
        )
        text = pl.when(~unknown).then(text)
    if column.disabled_by is not None and f"{CELL}{column.disabled_by}" in present:
        is_counted = read_flag(pl.col(f"{CELL}{column.disabled_by}")).eq_missing(other=False)
        text = pl.when(is_counted | (_plain(text) != "0")).then(text)
    return text


def _plain(cell: pl.Expr) -> pl.Expr:
    """A cell for comparison: a whole number in its shortest form, `0.0` as `0`."""
    return cell.str.strip_chars().str.replace(r"^(-?)0*([0-9]+)(?:\.0+)?$", "${1}${2}")


def _read_cell(cell: str, column: Column) -> pl.Expr:
    raw = pl.col(cell)
    stripped = raw.str.strip_chars()
    unknown = stripped == ""
    if column.null_values:
        unknown |= stripped.is_in(column.null_values) | _plain(raw).is_in(column.null_values)
    if KINDS[column.kind].has_null_words:
        unknown |= stripped.str.to_lowercase().is_in(_NULL_WORDS)
    return pl.when(~unknown).then(raw if column.kind in _TITLES else stripped)


def _parse(name: str, column: Column, reading: FileContext) -> pl.Expr:
    text = pl.col(f"{_TEXT}{name}")
    if column.extract is not None:
        text = text.str.extract(column.extract, 1)
    if column.matches is not None:
        text = pl.when(text.str.contains(column.matches)).then(text)
    parsed = KINDS[column.kind].parse(text, column, reading)
    return parsed.cast(RAW_TRENDS.schema[name]).alias(name)


def _reason(name: str, column: Column, *, required: bool) -> pl.Expr:
    text = pl.col(f"{_TEXT}{name}")
    if name == "list_name":  # an unreadable list name does not quarantine the row
        return pl.lit(None, pl.String)
    called = column.source or name
    shown = text.str.slice(0, _SHOWN_CHARS).str.replace_all("\0", "\\x00", literal=True)
    unreadable = pl.concat_str(
        pl.lit(f"column {called} contains '"), shown, pl.lit(f"', which {_wants(column)}")
    )
    is_null = pl.col(name).is_null()
    missing = pl.lit(f"column {called} is empty, but is required")
    return (
        pl.when(is_null & text.is_not_null())
        .then(unreadable)
        .when(is_null & pl.lit(required))
        .then(missing)
        .otherwise(None)
    )


def _wants(column: Column) -> str:
    if column.rule is not None:
        return f"is not {column.rule}"
    patterns = [*map(_spell, column.patterns), _STANDARD_FORMS.get(column.kind, "")]
    return KINDS[column.kind].wants.format(patterns=" or ".join(patterns))


def _spell(pattern: str) -> str:
    for code, words in _SPELLED.items():
        pattern = pattern.replace(code, words)
    return pattern


def _join(reasons: list[pl.Expr]) -> pl.Expr:
    if not reasons:
        return pl.lit(None, pl.String)
    joined = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def _fill(name: str, template: str) -> pl.Expr:
    before, place, after = template.partition("{item_id}")
    filled = [pl.lit(before), pl.col("item_id"), pl.lit(after)] if place else [pl.lit(template)]
    return pl.col(name).fill_null(pl.concat_str(filled))
