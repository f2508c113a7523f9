from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.production.lines import (
    MAX_LINE_BYTES,
    MAX_ORIGINAL,
    MAX_UNREAD,
    BadLine,
    FieldError,
    Fields,
    Parsed,
    UnfinishedLine,
    compare_lines,
    parse_object,
    read_lines,
    read_number,
)


def parse_lines(text: bytes | str, read: Callable[[Fields], Any]) -> Parsed[Any]:
    return compare_lines(read_lines(text, read), lambda _: True)


def find_unfinished(text: bytes) -> UnfinishedLine | None:
    return read_lines(text, keep).unfinished


def keep(fields: Fields) -> dict[str, Any]:
    return dict(fields.content)


def test_lines_are_read_one_by_one_and_bad_ones_put_aside() -> None:
    parsed = parse_lines('{"a":1}\n\n[2]\r\n{"a":3}\r\n   \n{"a":', keep)
    assert parsed.rows == ({"a": 1}, {"a": 3})
    assert parsed.bad == (BadLine(3, "expected a JSON object: {...}", "[2]\r"),)
    assert parsed.unfinished is not None
    assert (parsed.unfinished.line, parsed.unfinished.size_bytes) == (6, 5)
    assert (parsed.unfinished.reason[:8], parsed.unfinished.original) == ("not JSON", '{"a":')


def test_a_last_line_without_an_end_is_read_if_it_is_whole() -> None:
    parsed = parse_lines('{"a":1}\n{"a":2}', keep)
    assert parsed.rows == ({"a": 1}, {"a": 2})
    assert parsed.unfinished is None


def test_a_cut_line_with_an_end_is_bad() -> None:
    parsed = parse_lines('{"a":\n', keep)
    assert [bad.line for bad in parsed.bad] == [1]
    assert parsed.unfinished is None


def test_a_refused_last_line_is_bad_although_it_has_no_end() -> None:
    def refuse(_: Fields) -> None:
        raise FieldError("not this one")

    parsed: Parsed[None] = parse_lines('{"a":1}', refuse)
    assert parsed.bad == (BadLine(1, "not this one", '{"a":1}'),)


def test_a_byte_order_mark_and_line_separators_within_texts_are_harmless() -> None:
    text = '\ufeff{"a":"x\u2028y\x85z"}\n'
    assert parse_lines(text, keep).rows == ({"a": "x\u2028y\x85z"},)
    assert parse_lines(b"", keep).rows == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} {"b": 2}', "Extra data"),
        (b"null", "expected a JSON object"),
        (b'"text"', "expected a JSON object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999999999999999999999}', "too large"),
        (b'{"a": ' + b"9" * 6000 + b"}", "too large or too small"),
        (b'{"a": 1e400}', "too large or too small"),
        (b'{"a": 1e-400}', "too large or too small"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": [[{"b": ["\\u0000"]}]]}', "NUL"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "nested deeper than 50"),
        (b'{"a":' + b"[" * 200_000, "nested deeper than 50"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', f"longer than {MAX_LINE_BYTES}"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    with pytest.raises(FieldError, match=reason):
        parse_object(text)
    parsed = parse_lines(text + b'\n{"a":1}\n', keep)
    assert len(parsed.bad) == 1
    assert parsed.rows == ({"a": 1},)


def test_a_huge_line_without_an_end_is_bad_and_shown_in_part() -> None:
    parsed = parse_lines(b"\x00" * (MAX_LINE_BYTES + 1), keep)
    assert parsed.unfinished is None
    assert len(parsed.bad[0].original) == MAX_ORIGINAL
    assert parsed.bad[0].original.startswith("\\x00\\x00")


def test_fractions_stay_exact() -> None:
    assert parse_object(b'{"cost": 2.35}') == {"cost": Decimal("2.35")}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_is_known(end: str, last: bool) -> None:
    text = '{"a":1}' + end + '{"a":2}' + end + "{" + end + '{"a":3}' + (end if last else "")
    parsed = parse_lines(text, keep)
    assert parsed.rows == ({"a": 1}, {"a": 2}, {"a": 3})
    assert [bad.line for bad in parsed.bad] == [3]
    assert parsed.unfinished is None


def test_a_file_is_the_same_before_and_after_the_second_half_of_a_line_end() -> None:
    half, whole = (parse_lines(text, keep) for text in (b'{"a":1}\r', b'{"a":1}\r\n'))
    assert half == whole
    assert find_unfinished(b'{"a"\r') == find_unfinished(b'{"a"')


def test_a_line_may_begin_with_a_byte_order_mark() -> None:
    text = b'\xef\xbb\xbf{"a":1}\n\xef\xbb\xbf{"a":2}\n'
    assert parse_lines(text, keep).rows == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_named(encoding: str) -> None:
    parsed = parse_lines('{"a":1}\r\n{"a":2}\r\n'.encode(encoding), keep)
    assert parsed.rows == ()
    assert ["UTF-16" in bad.reason for bad in parsed.bad] == [True, True]
    assert parsed.unfinished is None


@given(st.binary(max_size=300) | st.text('\r\n{}"a:1\x00 ').map(str.encode))
def test_any_bytes_are_accounted_for(text: bytes) -> None:
    parsed = parse_lines(text, keep)
    lines = [
        line
        for line in text.removeprefix(b"\xef\xbb\xbf").splitlines()
        if line.strip() not in (b"", b"\x00")
    ]
    accounted = len(parsed.rows) + len(parsed.bad) + (parsed.unfinished is not None)
    assert accounted == len(lines)
    assert find_unfinished(text) == parsed.unfinished


@given(st.lists(st.dictionaries(st.text("abc"), st.integers() | st.text('ab\n\\"é'))))
def test_what_was_written_is_read(contents: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(content) + "\n" for content in contents)
    parsed = parse_lines(text, keep)
    assert list(parsed.rows) == contents
    assert parsed.bad == ()


def test_rows_that_were_there_before_are_counted() -> None:
    lines = read_lines('{"a":1}\n{"a":2}\n', keep)
    parsed = compare_lines(lines, lambda row: row["a"] == 1)
    assert (len(parsed.rows), len(parsed.repeated)) == (1, 1)


def test_keys_that_nothing_asks_for_are_named_once() -> None:
    def read(fields: Fields) -> float:
        return fields.need("a", read_number)

    parsed = parse_lines('{"a":1,"x":1}\n{"a":2,"y":1,"x":2}\n{"a":"bad","z":1}\n', read)
    assert parsed.unread == ("x", "y")
    many = ({"a": 1, f"x{place}": 1, f"y{place}": 1} for place in range(20))
    parsed = parse_lines("\n".join(map(json.dumps, many)), read)
    assert len(parsed.rows) == 20
    assert len(parsed.unread) == MAX_UNREAD


def test_a_key_that_stands_twice_is_a_bad_line() -> None:
    text = '{"a": 1, "b": {"c": 1, "c": 2}}\n{"a": 1, "a": 1}\n{"a": 1}\n'
    parsed = parse_lines(text, keep)
    assert [(bad.line, bad.reason) for bad in parsed.bad] == [
        (1, "the key 'c' occurs twice in one object"),
        (2, "the key 'a' occurs twice in one object"),
    ]
    assert len(parsed.rows) == 1
