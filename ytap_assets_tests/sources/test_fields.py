from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.sources.fields import (
    InvalidItemError,
    decode_entities,
    dump_item,
    load_json,
    load_xml,
    read_channel_id,
    read_count,
    read_duration,
    read_flag,
    read_instant,
    read_text,
    read_title,
    read_unix,
    read_url,
)
from ytap_assets.sources.http.exchange import MalformedError
from ytap_assets_tests.sources.support import NOW, answer

LARGE = "1,000,000,000,000,000 or more"

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (0, 0),
        ("0", 0),
        ("17", 17),
        (10**15 - 1, 10**15 - 1),
        (str(10**15 - 1), 10**15 - 1),
    ],
)
def test_counts(value: object, expected: int | None) -> None:
    assert read_count(value, "points") == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "points is negative"),
        ("-1", "points is a text, not a whole number"),
        (10**15, f"points is {LARGE}"),
        (2**63 - 1, f"points is {LARGE}"),
        (2**63, f"points is {LARGE}"),
        (str(10**15), f"points is {LARGE}"),
        (str(2**63), f"points is {LARGE}"),
        ("9" * 5000, "points has 5000 digits"),
        (1.5, "points is a number, not a whole number"),
        (True, "points is true or false, not a whole number"),
        ("٣", "points is a text, not a whole number"),
        ("", "points is a text, not a whole number"),
        ([], "points is a list, not a whole number"),
    ],
)
def test_invalid_counts(value: object, reason: str) -> None:
    with pytest.raises(InvalidItemError, match=f"^{reason}$"):
        read_count(value, "points")


def test_titles_have_no_line_breaks() -> None:
    assert read_title(" Q&A:\n\t'why' ") == "Q&A: 'why'"
    assert read_title("a\ud800b\x00c") == "a\ufffdb\ufffdc"


def test_titles_that_are_html_are_decoded_once() -> None:
    assert read_title("Q&amp;A: &#39;why&#x27; &amp;lt;", is_html=True) == "Q&A: 'why' &lt;"
    assert read_title("Q&amp;A: &#39;why&#x27;") == "Q&amp;A: &#39;why&#x27;"
    with pytest.raises(InvalidItemError, match="missing"):
        read_title("&nbsp;", is_html=True)


@pytest.mark.parametrize(
    "text",
    ["?id=5&region=eu&copy=2&notes=1", "AT&T", "&copy", "&#39", "&notes;", "&ampere;", "&;", "&#;"],
)
def test_incomplete_entities_are_not_decoded(text: str) -> None:
    assert decode_entities(text) == text


@pytest.mark.parametrize("title", [None, "", "   ", 7, ["a"], "x" * 1001])
def test_invalid_titles(title: object) -> None:
    with pytest.raises(InvalidItemError, match="title"):
        read_title(title)


def test_instants() -> None:
    moment = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    assert read_instant("2026-11-20T08:30:00Z", "at", NOW) == moment
    assert read_instant("2026-11-20T10:30:00.000+02:00", "at", NOW) == moment
    assert read_unix(moment.timestamp(), "at", NOW) == moment
    assert read_unix(int(moment.timestamp()), "at", NOW) == moment
    assert read_instant(None, "at", NOW) is None
    assert read_unix(None, "at", NOW) is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T08:30:00",
        "2026-11-22T12:00:00Z",
        "1969-12-31T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "yesterday",
        "2026-13-01T00:00:00Z",
        1_795_000_000,
    ],
)
def test_invalid_instants(value: object) -> None:
    with pytest.raises(InvalidItemError):
        read_instant(value, "at", NOW)


@pytest.mark.parametrize(
    "value",
    [0, -1, 10**18, 1e300, float("nan"), float("inf"), True, "1795000000", 99_999_999_999],
)
def test_invalid_unix_times(value: object) -> None:
    with pytest.raises(InvalidItemError):
        read_unix(value, "at", NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("PT3M2S", 182),
        ("PT1H", 3600),
        ("P1DT1S", 86_401),
        ("P1W", 604_800),
        ("PT12.5S", 12),
        ("P0D", None),
        (None, None),
    ],
)
def test_durations(value: object, expected: int | None) -> None:
    assert read_duration(value, "duration") == expected


@pytest.mark.parametrize("value", ["P", "PT", "3:02", "PT" + "9" * 40 + "S", "PT-3S", 3])
def test_invalid_durations(value: object) -> None:
    with pytest.raises(InvalidItemError):
        read_duration(value, "duration")


def test_links() -> None:
    assert read_url(" https://a.example/x?y#z ", "url") == "https://a.example/x?y#z"
    assert read_url("", "url") is None


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example/",
        "/path",
        "https:///x",
        "ftp://a.example/",
        "https://[",
        "https://a.example/\nx: y",
        "https://a.example/" + "x" * 5000,
        5,
    ],
)
def test_invalid_links(value: object) -> None:
    with pytest.raises(InvalidItemError):
        read_url(value, "url")


READERS: list[Callable[[Any], object]] = [
    read_title,
    lambda value: read_text(value, "x"),
    lambda value: read_count(value, "x"),
    lambda value: read_flag(value, "x"),
    lambda value: read_unix(value, "x", NOW),
    lambda value: read_instant(value, "x", NOW),
    lambda value: read_url(value, "x"),
    lambda value: read_duration(value, "x"),
    lambda value: read_channel_id(value, "x"),
]


@settings(deadline=None)
@given(ANYTHING, st.sampled_from(READERS))
def test_every_value_is_read_or_rejected_and_what_is_read_can_be_stored(
    value: object, reader: Callable[[Any], object]
) -> None:
    try:
        read = reader(value)
    except InvalidItemError as error:
        read = str(error)
    assert pl.Series([read]).to_list() == [read]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>Sign in</body></html>",
        b'{"hits": [{"a": 1}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1} trailing',
    ],
)
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError, match="expected JSON") as caught:
        load_json(answer(body))
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_a_number_with_too_many_digits_rejects_only_its_item() -> None:
    assert load_json(answer(b"[1, " + b"9" * 5000 + b"]")) == [1, "9" * 5000]


LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><feed>&b;</feed>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><feed>&a;</feed>"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<feed><entry></feed>",
        b"<feed><entry>",
        b'{"json": true}',
        b"<feed>&undefined;</feed>",
        b'<?xml version="1.0" encoding="x-nonsense"?><feed/>',
        LAUGHS,
        OUTSIDE,
    ],
)
def test_a_body_that_is_not_plain_xml_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError, match="expected XML"):
        load_xml(answer(body))


def test_an_item_is_stored_as_received() -> None:
    assert dump_item({"t": "Grüße"}) == '{"t": "Grüße"}'
    assert dump_item({"t": "\ud800"}) == '{"t": "?"}'
    assert dump_item(load_xml(answer("<a b='1'>ü</a>".encode()))) == '<a b="1">ü</a>'
    deep = answer(b"<a>" * 5000 + b"</a>" * 5000)
    assert dump_item(load_xml(deep)) == "(nested too deeply to be stored)"
