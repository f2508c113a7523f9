"""Records of text into columns of `raw_trends`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from ytap_assets.sources.importing.conversion import REASON, FileContext, convert_records
from ytap_assets.sources.importing.formats import Format
from ytap_assets.sources.importing.records import DaySpan, RecordsBuilder

BELOW = "below 1,000,000,000,000,000"
_DAY = date(2024, 3, 31)
_ASIDE = FileContext("lists_2024-03-31_US.csv", _DAY, None)


def _convert(column: dict[str, Any], *cells: str, name: str = "views") -> list[Any]:
    """What the cells become; a text is the reason where one cannot be read."""
    columns = {"item_id": {"from": "id"}, "title": {"from": "id"}, name: {"from": "x", **column}}
    declared = Format.model_validate(
        {"name": "f", "about": "", "sources": ["hn"], "columns": columns}
    )
    builder = RecordsBuilder(("id", "x"))
    for cell in cells:
        builder.add(("1", cell), place="", original="")
    frame = convert_records(builder.build(), declared, _ASIDE)
    pairs = zip(frame.get_column(name).to_list(), frame.get_column(REASON).to_list(), strict=True)
    return [value if reason is None else reason for value, reason in pairs]


def _unread(cell: str, wants: str) -> str:
    return f"column x contains '{cell}', which {wants}"


def test_counts() -> None:
    no_count = f"is not a whole number of at least 0, {BELOW}"
    assert _convert({"as": "count"}, "12", " 0 ", "", "  ") == [12, 0, None, None]
    large = ["1" + "0" * 15, "9" * 18, "9" * 19]
    bad = ["-1", "1,204", "1.204", "12.5", "=1+1", "#NOME?", "#REF!", "\u0661", "true", *large]
    bad += ["1.2M", "12K views", "1E5", "1.23E+05", "1.5e0", "0x1F", "+5", "1 2345", "'12"]
    assert _convert({"as": "count"}, *bad) == [_unread(cell, no_count) for cell in bad]
    assert _convert({"as": "count"}, "9" * 15, "0" * 3 + "9" * 15) == [10**15 - 1] * 2
    assert _convert({"as": "integer"}, "-12", "12", "-1" + "0" * 15) == [
        -12,
        12,
        _unread("-1000000000000000", f"is not a whole number, {BELOW}"),
    ]
    assert _convert({"as": "grouped_count"}, "1,204", "86400", "1,2") == [
        1204,
        86400,
        _unread("1,2", f"is not a whole number such as 1,234, {BELOW}"),
    ]


def test_whole_numbers_are_read_in_every_way_that_is_certain() -> None:
    written = [
        "1234.0",
        "1234.00",
        "1,234,567",
        "1.234.567",
        "12,34,567",
        "1 234",
        "1\u00a0234\u202f567",
    ]
    read = [1234, 1234, 1234567, 1234567, 1234567, 1234, 1234567]
    for cell, number in zip(
        [*written, "1'234'567", "1e5", "1.2e+07"], [*read, 1234567, 100000, 12000000], strict=True
    ):
        assert _convert({"as": "count"}, cell) == [number]
        assert _convert({"as": "integer"}, f"-{cell}") == [-number]


def test_one_group_of_thousands_is_read_where_the_column_proves_what_divides_them() -> None:
    no_count = f"is not a whole number of at least 0, {BELOW}"
    assert _convert({"as": "count"}, "1,234", "1,234,567", "12") == [1234, 1234567, 12]
    assert _convert({"as": "count"}, "1.234", "1.234.567") == [1234, 1234567]
    contradicted = ["1,234", "1,234,567", "1,5"]
    assert _convert({"as": "count"}, *contradicted) == [
        _unread("1,234", no_count),
        1234567,
        _unread("1,5", no_count),
    ]
    assert _convert({"as": "count"}, "1.234", "1,234,567") == [_unread("1.234", no_count), 1234567]


_BLANK = [
    "",
    "  ",
    "N/A",
    "n/a",
    "NA",
    "NaN",
    "nan",
    "null",
    "NULL",
    "None",
    "-",
    "\u2014",
    "#N/A",
    "\\N",
]


@pytest.mark.parametrize("kind", ["count", "integer", "instant", "url", "flag"])
def test_words_for_unknown_are_unknown(kind: str) -> None:
    names = {"instant": "published_at", "url": "url", "flag": "is_promoted"}
    cells = _convert({"as": kind}, *_BLANK, name=names.get(kind, "views"))
    assert cells == [None] * len(_BLANK)


def test_words_for_unknown_are_words_in_a_title() -> None:
    assert _convert({"as": "title"}, "None", "N/A", name="channel_title") == ["None", "N/A"]


_TRUE = ["True", "TRUE", "true", "1", "yes", "WAHR", "VRAI", "\u0418\u0421\u0422\u0418\u041d\u0410"]
_FALSE = ["False", "FALSE", "0", "0.0", "no", "FALSCH", "FAUX", " false "]


@pytest.mark.parametrize("zero", ["0", "0.0", "00"])
def test_a_zero_is_a_count_only_where_the_flag_says_false(zero: str) -> None:
    def read(flag: str, count: str) -> object:
        columns = {
            "item_id": {"from": "id"},
            "title": {"from": "id"},
            "likes": {"from": "likes", "as": "count", "disabled_by": "disabled"},
        }
        declared = Format.model_validate(
            {"name": "f", "about": "", "sources": ["hn"], "columns": columns}
        )
        builder = RecordsBuilder(("id", "likes", "disabled"))
        builder.add(("1", count, flag), place="", original="")
        return convert_records(builder.build(), declared, _ASIDE).get_column("likes").item()

    assert [read(flag, zero) for flag in _FALSE] == [0] * len(_FALSE)
    unknown = [*_TRUE, "", "maybe", "\u771f"]
    assert [read(flag, zero) for flag in unknown] == [None] * len(unknown)
    assert [read(flag, "7") for flag in unknown] == [7] * len(unknown)


def test_texts_that_mean_unknown() -> None:
    assert _convert({"as": "count", "null_values": ["0"]}, "0.0", "00", "10") == [None, None, 10]
    assert _convert({"as": "count", "null_values": ["-1", "n/a"]}, "-1", "n/a", "1") == [
        None,
        None,
        1,
    ]
    assert _convert({"as": "count", "null_when": {"x": "0", "id": "1"}}, "0", "5") == [None, 5]
    assert _convert({"as": "count", "null_when": {"x": "0", "id": "2"}}, "0") == [0]
    assert _convert({"as": "count", "null_when": {"x": "0", "absent": ""}}, "0") == [0]


def test_encoded_titles_have_their_entities_decoded_once() -> None:
    cells = ["Fish &amp; chips", "&amp;lt;", "AT&T &copy=1", "&#39;x&#x27;", "  padded "]
    assert _convert({"as": "title"}, *cells, name="channel_title") == cells
    assert _convert({"as": "encoded_title"}, *cells, name="channel_title") == [
        "Fish & chips",
        "&lt;",
        "AT&T &copy=1",
        "'x'",
        "  padded ",
    ]
    formula = '=HYPERLINK("http://x","y")'
    assert _convert({"as": "title"}, formula, name="channel_title") == [formula]


def test_a_nul_character_is_not_read() -> None:
    assert _convert({}, "a\0b", name="category") == [_unread("a\\x00b", "contains a NUL character")]


def test_addresses() -> None:
    wants = "is not an http or https address"
    cells = ["https://x.org/a?b=1&amp;c", "HTTP://x.org", "javascript:alert(1)", "file:///etc"]
    assert _convert({"as": "url"}, *cells, name="url") == [
        "https://x.org/a?b=1&amp;c",
        "HTTP://x.org",
        _unread("javascript:alert(1)", wants),
        _unread("file:///etc", wants),
    ]
    assert _convert({"as": "encoded_url"}, cells[0], name="url") == ["https://x.org/a?b=1&c"]
    based = {"as": "url", "base": "https://x.org"}
    assert _convert(based, "/r/a", "//b.example/q", "../a", name="url") == [
        "https://x.org/r/a",
        "https://b.example/q",
        _unread("../a", wants),
    ]


def test_unknown_becomes_what_is_declared() -> None:
    declared = {"as": "url", "else": "https://x.org/{item_id}/"}
    assert _convert(declared, "", name="url") == ["https://x.org/1/"]


def test_only_a_part_of_a_text_may_be_read() -> None:
    declared = {"extract": "/r/([a-z]+)/", "rule": "an address of a post"}
    assert _convert(declared, "http://x/r/cats/1", "http://x/1", name="category") == [
        "cats",
        _unread("http://x/1", "is not an address of a post"),
    ]


@pytest.mark.parametrize(
    ("pattern", "cell", "expected"),
    [
        ("%m/%d/%Y %H:%M", "9/7/2016 8:04", datetime(2016, 9, 7, 8, 4, tzinfo=UTC)),
        (
            "%Y-%m-%dT%H:%M:%S%.f%#z",
            "2017-11-13T17:13:01.000Z",
            datetime(2017, 11, 13, 17, 13, 1, tzinfo=UTC),
        ),
        (
            "%Y-%m-%dT%H:%M:%S%.f%#z",
            "2022-03-14T02:24:00+02:00",
            datetime(2022, 3, 14, 0, 24, tzinfo=UTC),
        ),
    ],
)
def test_times(pattern: str, cell: str, expected: datetime) -> None:
    declared = {"as": "instant", "patterns": [pattern]}
    assert _convert(declared, cell, name="published_at") == [expected]


def test_times_that_are_none() -> None:
    declared = {"as": "instant", "patterns": ["%m/%d/%Y %H:%M"]}
    wants = "is not a time such as MM/DD/YYYY hh:mm or YYYY-MM-DD hh:mm:ss or seconds since 1970"
    bad = ["2/30/2016 1:00", "9/7/1016 8:04", "9/7/99999 8:04", "today", "42629.33"]
    assert _convert(declared, *bad, name="published_at") == [_unread(cell, wants) for cell in bad]


@pytest.mark.parametrize(
    "cell",
    [
        "2018-03-02T14:13:20Z",
        "2018-03-02T14:13:20.000+00:00",
        "2018-03-02T16:13:20+02:00",
        "2018-03-02T16:13:20+0200",
        "2018-03-02 14:13:20",
        "2018-03-02 14:13:20 UTC",
        "2018-03-02 14:13:20.000000+00:00",
        "Fri, 02 Mar 2018 14:13:20 GMT",
        "Fri, 02 Mar 2018 16:13:20 +0200",
        "1520000000",
        "1520000000.0",
        "1520000000000",
        "1520000000000000",
        "1520000000000000000",
    ],
)
def test_standard_times_need_no_pattern_and_are_utc_without_a_zone(cell: str) -> None:
    at = datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)
    assert _convert({"as": "instant"}, cell, name="published_at") == [at]
    assert _convert({"as": "day"}, cell, name="published_at") == [at]


def test_a_day_is_taken_at_its_last_second_however_it_is_written() -> None:
    cells = [
        "2018-03-02",
        "2018-03-02T00:00:00Z",
        "2018-03-02 00:00:00",
        "2018-03-02T00:00:00+09:00",
        "1519948800",
        "1519948800000",
    ]
    last = datetime(2018, 3, 2, 23, 59, 59, tzinfo=UTC)
    assert _convert({"as": "day"}, *cells, name="published_at") == [last] * len(cells)
    bad = ["43161", "43161.0", "20180302", "2018-02-30", "02.03.2018", "3/2/18"]
    read = _convert({"as": "day"}, *bad, name="published_at")
    assert read == [_unread(cell, "is not a day such as YYYY-MM-DD") for cell in bad]


def test_where_day_and_month_stand_the_other_way_none_is_guessed() -> None:
    declared = {"as": "instant", "patterns": ["%m/%d/%Y %H:%M"]}
    read = _convert(declared, "16/9/2016 1:00", "9/7/2016 8:04", name="published_at")
    assert all(isinstance(reason, str) for reason in read)
    read = _convert(
        declared, "16/9/2016 1:00", "9/16/2016 8:04", "9/7/2016 8:04", name="published_at"
    )
    assert [isinstance(reason, str) for reason in read] == [True, False, False]
    days = _days(["%y.%d.%m"], FileContext("x", None, None), "17.11.14", "17.11.12")
    assert days.get_column("day").to_list() == [None, None]


def test_seconds_since_1970() -> None:
    declared = {"as": "instant"}
    wants = "is not a time such as YYYY-MM-DD hh:mm:ss or seconds since 1970"
    bad = ["inf", "1e30", "1.52e9", "0", "-5", "soon", "201803021413", "1520000000000.5"]
    assert _convert(declared, "1354107205.5", *bad, name="published_at") == [
        datetime(2012, 11, 28, 12, 53, 25, 500_000, tzinfo=UTC),
        *(_unread(cell, wants) for cell in bad),
    ]


def test_ages_are_counted_back_from_the_day_of_observation() -> None:
    declared = {"as": "age", "at": "20h"}
    cells = ["1 hour ago", "Streamed 2 days ago", "2 weeks ago", "1 month ago", "1 year ago"]
    assert _convert(declared, *cells, name="published_at") == [
        datetime(2024, 3, 31, 19, tzinfo=UTC),
        datetime(2024, 3, 29, 20, tzinfo=UTC),
        datetime(2024, 3, 17, 20, tzinfo=UTC),
        datetime(2024, 2, 29, 20, tzinfo=UTC),
        datetime(2023, 3, 31, 20, tzinfo=UTC),
    ]
    far = ["9999 years ago", "9999 months ago", "2100 years ago", "35 years ago"]
    bad = ["yesterday", "99999 days ago", "1 moon ago", *far]
    wants = "is not an age such as '2 weeks ago', since 1990"
    assert _convert(declared, *bad, name="published_at") == [_unread(cell, wants) for cell in bad]


def _days(patterns: list[str], reading: FileContext, *cells: str | None) -> pl.DataFrame:
    """The converted records; None stands for one that cannot be read."""
    columns = {
        "item_id": {"from": "x"},
        "title": {"from": "x"},
        "observed_at": {"from": "x", "as": "day", "patterns": patterns},
        "rank": {"as": "row_order"},
    }
    declared = Format.model_validate(
        {"name": "f", "about": "", "sources": ["hn"], "columns": columns}
    )
    builder = RecordsBuilder(("x",))
    for cell in cells:
        if cell is None:
            builder.add_fault("torn", place="", original="")
        else:
            builder.add((cell,), place="", original="")
    return convert_records(builder.build(), declared, reading)


def test_a_record_that_cannot_be_read_keeps_its_place() -> None:
    cells = ["17.14.11", None, "17.14.11", "17.15.11", None]
    frame = _days(["%y.%d.%m"], FileContext("x", None, None), *cells)
    ranks = frame.filter(pl.col("observed_at").is_not_null())["rank"].to_list()
    assert ranks == [1, 3, 1]


def test_days_are_taken_at_their_last_second_and_rows_are_counted_by_day() -> None:
    reading = FileContext("x", None, None)
    patterns = ["%y.%d.%m"]
    frame = _days(patterns, reading, "17.14.11", "2020-08-12T00:00:00Z", "17.14.11", "17.14.13")
    first = datetime(2017, 11, 14, 23, 59, 59, tzinfo=UTC)
    assert frame.get_column("observed_at").to_list() == [
        first,
        datetime(2020, 8, 12, 23, 59, 59, tzinfo=UTC),
        first,
        None,
    ]
    assert frame.get_column("day").to_list() == [
        date(2017, 11, 14),
        date(2020, 8, 12),
        date(2017, 11, 14),
        None,
    ]
    assert frame.get_column("rank").to_list() == [1, 1, 2, None]
    assert frame.get_column(REASON).to_list()[3] == (
        "column x contains '17.14.13', which is not a day such as YY.DD.MM or YYYY-MM-DD"
    )


def test_days_without_a_year_lie_in_the_year_that_is_known() -> None:
    reading = FileContext("x", None, DaySpan(date(2015, 9, 1), date(2016, 8, 31)))
    frame = _days(["%d.%m"], reading, "13.09", "31.08", "29.02", "30.02")
    assert frame.get_column("day").to_list() == [
        date(2015, 9, 13),
        date(2016, 8, 31),
        date(2016, 2, 29),
        None,
    ]


def test_what_every_row_needs_must_be_there() -> None:
    frame = _days(["%y.%d.%m"], FileContext("x", None, None), "")
    assert frame.get_column(REASON).to_list() == [
        "; ".join(["column x is empty, but is required"] * 3)
    ]


def test_a_long_value_is_cut_in_the_reason() -> None:
    (reason,) = _convert({"as": "count"}, "x" * 500)
    assert len(reason) < 200
