"""Records of text into columns of `raw_trends`, as one format declares them.

Every row comes out with either all its values or the reasons why it cannot be read. Belongs here:
the way from cells to values. Does not belong here: how one kind of value is parsed (`kinds`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import polars as pl

from ytap_assets.sources.importing.cells import CELL, FAULT, Records
from ytap_assets.sources.importing.formats import Column, Format
from ytap_assets.sources.importing.kinds import KINDS, LISTED_BY, NULL_WORDS, Reading, read_flag
from ytap_assets.tables import RAW_TRENDS

REASON = "reason"
"""The column with the reasons a row cannot be read; null where it can."""
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


def convert_records(records: Records, declared: Format, reading: Reading) -> pl.DataFrame:
    """Convert all records.

    Args:
        records: The file's records.
        declared: Its format.
        reading: What is known beside the content.

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
    # Most files are well: expressions are built only for columns that lack a value.
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
    """Whether cells look like a record of a format, judged by their shapes, without converting.

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


def _with_observed_at(declared: Format, reading: Reading) -> dict[str, Column]:
    if reading.observed_day is None:
        return declared.columns
    return {**declared.columns, "observed_at": Column.model_validate({"as": "file_day"})}


def _required(declared: Format) -> set[str]:
    needed = {column.name for column in RAW_TRENDS.columns if not column.nullable}
    return needed | {declared.day}


def _cell(column: Column, present: list[str], reading: Reading) -> pl.Expr:
    """The text to be read; null where the value is unknown."""
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
    """A cell to be compared: a whole number in its shortest form, `0.0` as `0`."""
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


def _parse(name: str, column: Column, reading: Reading) -> pl.Expr:
    text = pl.col(f"{_TEXT}{name}")
    if column.extract is not None:
        text = text.str.extract(column.extract, 1)
    if column.matches is not None:
        text = pl.when(text.str.contains(column.matches)).then(text)
    parsed = KINDS[column.kind].parse(text, column, reading)
    return parsed.cast(RAW_TRENDS.schema[name]).alias(name)


def _reason(name: str, column: Column, *, required: bool) -> pl.Expr:
    text = pl.col(f"{_TEXT}{name}")
    if name == "list_name":  # which list it was is worth less than the row
        return pl.lit(None, pl.String)
    called = column.source or name
    shown = text.str.slice(0, _SHOWN_CHARS).str.replace_all("\0", "\\x00", literal=True)
    unreadable = pl.concat_str(
        pl.lit(f"column {called} holds '"), shown, pl.lit(f"', which {_wants(column)}")
    )
    is_null = pl.col(name).is_null()
    missing = pl.lit(f"column {called} is empty, and every row needs it")
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
