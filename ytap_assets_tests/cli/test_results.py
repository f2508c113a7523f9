"""Rows as tables for eyes, CSV and JSON for programs: nothing lost in the latter two."""

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

from ytap_assets.cli.output import Format, to_json, write_csv, write_json, write_rows, write_table
from ytap_assets.lakehouse.connection import connect

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
