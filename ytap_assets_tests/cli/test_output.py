"""Escaping, layout, and formats of rows."""

from __future__ import annotations

import base64
import csv
import io
import json
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.cli.output import (
    Format,
    clean,
    fit,
    layout,
    one_line,
    to_json,
    width,
    write_csv,
    write_json,
    write_rows,
    write_table,
)
from ytap_assets.lakehouse.connection import connect


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("plain, caffè 漢字 🎬", "plain, caffè 漢字 🎬"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("non\u00a0breaking", "non breaking"),
        ("lone\ud800", "lone\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(hostile: str, harmless: str) -> None:
    assert clean(hostile) == harmless


@given(st.text())
def test_cleaned_text_is_printable_and_cleaning_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.replace("\u200d", "").isprintable()
    assert clean(cleaned) == cleaned


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_wide_and_combining_characters_are_measured() -> None:
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "")] == [3, 4, 1, 0]


@pytest.mark.parametrize("text", ["👨\u200d👩\u200d👧", "👍🏽", "\u2764\ufe0f", "1\ufe0f\u20e3"])
def test_an_emoji_of_several_characters_has_two_columns(text: str) -> None:
    assert width(text) == 2
    assert fit(text * 5, 5) == f"{text * 2}…"


@given(st.text().map(clean), st.integers(1, 30))
def test_text_is_cut_to_the_columns_given(text: str, columns: int) -> None:
    fitted = fit(text, columns)
    assert width(fitted) <= columns
    assert fitted == text or fitted.endswith("…")


def test_columns_line_up() -> None:
    lines = layout(["name", "n"], [["a", "1"], ["漢字漢字", "20"]], right=[False, True])
    assert lines == [
        "name       n",
        "────────  ──",
        "a          1",
        "漢字漢字  20",
    ]


@given(
    st.lists(st.tuples(st.text().map(clean), st.text().map(clean)), max_size=5),
    st.integers(12, 40),
)
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str]], columns: int) -> None:
    lines = layout(["first", "second"], rows, columns=columns)
    assert max(map(width, lines)) <= columns


def test_the_widest_column_gives_way_first() -> None:
    lines = layout(["id", "title"], [["story-1", "x" * 60]], columns=20)
    assert lines[2] == "story-1  " + "x" * 10 + "…"


def test_prose_in_the_last_column_is_never_cut() -> None:
    advice = "what to do " * 30
    lines = layout(["verdict", "advice"], [["fail", advice]], columns=40, whole_last=True)
    assert lines[2] == f"fail     {advice}".rstrip()


def test_a_huge_cell_does_not_make_a_huge_table() -> None:
    lines = layout(["title"], [["x" * 1_000_000], ["short"]])
    assert max(map(len, lines)) <= 120


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def write(names: list[str], rows: list[tuple[Any, ...]], shape: Format) -> str:
    lines: list[str] = []
    write_rows(names, rows, shape, lines.append)
    return "\n".join(lines) + "\n"


@given(st.lists(st.tuples(TEXT, TEXT), max_size=4))
def test_csv_reads_back_as_it_was(rows: list[tuple[str, str]]) -> None:
    text = write(["a", "b"], rows, "csv")
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read == [["a", "b"], *map(list, rows)]


def test_infinities_are_not_the_last_and_first_instants() -> None:
    asked = (
        "SELECT TIMESTAMPTZ 'infinity', TIMESTAMP '-infinity',"
        " TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"
    )
    with closing(connect()) as connection:
        row = connection.execute(asked).fetchone()
    assert row is not None
    text = write(["a", "b", "c"], [row], "csv")
    assert text == "a,b,c\ninfinity,-infinity,9999-12-31T23:59:59.999999+00:00\n"


def test_csv_tells_null_from_an_empty_text() -> None:
    assert write(["a", "b"], [(None, "")], "csv") == 'a,b\n,""\n'


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(JSON_VALUES)
def test_json_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(to_json(value)) == value


@given(st.text())
def test_json_holds_nothing_that_steers_a_terminal(text: str) -> None:
    encoded = to_json(text).replace("\u200d", "")
    steering = {"\x1b", "\x9b", "\x7f", "\u202e", "\u2028", "\n"}
    assert not steering & set(encoded)
    encoded.encode()  # no lone surrogates


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+3"), "1000"),
        (2**70, str(2**70)),
        (float("nan"), '"nan"'),
        (float("-inf"), '"-inf"'),
        (datetime(2026, 11, 20, 8, 30, tzinfo=UTC), '"2026-11-20T08:30:00+00:00"'),
        (date(2026, 11, 20), '"2026-11-20"'),
        (time(8, 30), '"08:30:00"'),
        (b"\xff\x00", f'"{base64.b64encode(bytes([255, 0])).decode()}"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ({"k": [b"x", None]}, '{"k": ["eA==", null]}'),
        ((1, 2), "[1, 2]"),
    ],
)
def test_values_as_json(value: object, encoded: str) -> None:
    assert to_json(value) == encoded


def test_json_keeps_columns_of_the_same_name_apart() -> None:
    assert json.loads(write(["a", "a", "a_2"], [(1, 2, 3)], "json")) == [
        {"a": 1, "a_2": 2, "a_2_2": 3}
    ]


@pytest.mark.parametrize("rows", [[], [(1,)], [(1,), (2,)]])
def test_json_is_one_array(rows: list[tuple[int]]) -> None:
    assert json.loads(write(["n"], list(rows), "json")) == [{"n": n} for (n,) in rows]


def test_a_table_tells_null_from_texts_that_look_like_it() -> None:
    lines = write(["v"], [(None,), ("NULL",), ("∅",), ("",)], "table").splitlines()
    assert lines[2:6] == ["∅", "NULL", "\\u2205", ""]
    assert lines[-1] == "(4 rows)"


def test_a_table_is_harmless() -> None:
    text = write(["\x1b]0;title\x07"], [("\x1b[2J",), (["\x1b[2J"],)], "table")
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_long_table_is_cut_and_says_so() -> None:
    lines: list[str] = []
    write_table(["n"], [(n,) for n in range(5)], lines.append, limit=3)
    assert lines[2:] == ["0", "1", "2", "(5 rows; the first 3 are shown; --format csv has all)"]


def test_every_row_reaches_csv_and_json() -> None:
    csv_lines: list[str] = []
    json_lines: list[str] = []
    rows = [(n,) for n in range(2_500)]
    write_csv(["n"], rows, csv_lines.append)
    write_json(["n"], rows, json_lines.append)
    assert len(csv_lines) == 2_501
    assert len(json.loads("".join(json_lines))) == 2_500


def test_columns_that_do_not_fit_are_left_out_and_counted() -> None:
    lines: list[str] = []
    names = [f"column_{n}" for n in range(20)]
    write_table(names, [["value " * 5] * 20], lines.append, columns=40)
    assert lines[0].split() == ["column_0", "column_1", "column_2"]
    assert lines[-1] == "(1 row; 3 of 20 columns fit; --format csv has all)"
    assert max(map(len, lines[:-1])) <= 40
