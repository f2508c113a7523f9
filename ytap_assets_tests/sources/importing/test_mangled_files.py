"""Whatever happens to a file: every record is a row or put aside, and nothing crashes."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import read_trend_file
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import QUARANTINED_ROWS, RAW_TRENDS
from ytap_assets_tests.effort import examples
from ytap_assets_tests.sources.importing.samples import DAILY, HN, KAGGLE
from ytap_assets_tests.storable import check_storable

_FILES = {
    "gaming_20241002.csv": ("youtube", DAILY),
    "v1_2017-09_US_USvideos.csv": ("youtube", KAGGLE),
    "stories_2016-09-16.csv": ("hn", HN),
}
_IDS = ("abcdefghijk", "lmnopqrstuv", "12518265", "12405698")
_BITS = [
    b"\0",
    b'"',
    b"\r",
    b"\n",
    b",",
    b"\xff",
    b"\xef\xbb\xbf",
    b"=1+1",
    b"&#0;",
    b"\xed\xa0\x80",
]
Mangle = Callable[[bytes], bytes]


def _truncate(at: float) -> Mangle:
    return lambda content: content[: int(at * len(content))]


def _insert(at: float, bit: bytes) -> Mangle:
    return lambda content: (
        content[: int(at * len(content))] + bit + content[int(at * len(content)) :]
    )


def _drop(at: float, count: int) -> Mangle:
    return lambda content: (
        content[: int(at * len(content))] + content[int(at * len(content)) + count :]
    )


def _drop_cell(at: float) -> Mangle:
    def mangle(content: bytes) -> bytes:
        lines = content.split(b"\n")
        index = int(at * (len(lines) - 1))
        lines[index] = lines[index].partition(b",")[2]
        return b"\n".join(lines)

    return mangle


_places = st.floats(min_value=0, max_value=1)
_mangles = st.lists(
    st.one_of(
        st.builds(_truncate, st.floats(min_value=0.3, max_value=1)),
        st.builds(_insert, _places, st.sampled_from(_BITS)),
        st.builds(_drop, _places, st.integers(1, 40)),
        st.builds(_drop_cell, st.floats(min_value=0.2, max_value=1)),
    ),
    min_size=1,
    max_size=4,
)


def _count_records(content: bytes) -> int:
    text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    return sum(1 for cells in csv.reader(io.StringIO(text, newline="")) if cells) - 1


def _read(name: str, source: str, content: bytes) -> Fetch:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_trend_file(path, workspace_id="tech", source=source, now=now, run_id="r")


@settings(max_examples=examples(50), deadline=None)
@given(name=st.sampled_from(sorted(_FILES)), mangles=_mangles)
@example(name="gaming_20241002.csv", mangles=[_drop_cell(0.5), _drop(0.2421875, 3)])
@example(name="gaming_20241002.csv", mangles=[_drop(0.2421875, 3)])
@example(name="gaming_20241002.csv", mangles=[_truncate(0.7265625), _drop(0.33203125, 24)])
@example(
    name="gaming_20241002.csv",
    mangles=[_truncate(0.71875), _drop(0.3359375, 24), _truncate(0.5)],
)
def test_every_record_of_a_mangled_table_is_accounted_for(name: str, mangles: list[Mangle]) -> None:
    source, text = _FILES[name]
    content = text.encode()
    for mangle in mangles:
        content = mangle(content)
    try:
        fetch = _read(name, source, content)
    except ImportRefusedError:
        return
    assert fetch.log["fetched"] == fetch.rows.height + fetch.quarantined.height
    # Python's reader swallows records behind a quote that is never closed; ours keeps them.
    assert fetch.log["fetched"] >= _count_records(content.replace(b"\xef\xbb\xbf", b""))
    kept = {*fetch.rows.get_column("item_id")}
    originals = "\n".join(fetch.quarantined.get_column("original"))
    decoded = content.decode("utf-8", errors="replace")
    for item_id in _IDS:
        assert item_id in kept or item_id in originals or item_id not in decoded
    assert fetch.log["quarantined"] == fetch.quarantined.height
    check_storable(RAW_TRENDS, fetch.rows)
    check_storable(QUARANTINED_ROWS, fetch.quarantined)
    assert fetch.quarantined.get_column("quarantine_id").is_unique().all()


_HITS = b"".join(
    b'{"objectID": "%d", "title": "Story", "points": 5, "num_comments": 1, '
    b'"created_at": "2014-10-13T19:31:46Z"}\n' % number
    for number in range(87_001, 87_006)
)


@settings(max_examples=examples(35), deadline=None)
@given(mangles=_mangles)
@example(mangles=[_drop_cell(0.5), _insert(0.09375, b"\r")])
@example(mangles=[_drop(0, 1), _drop_cell(0.3), _insert(0.7, b"\r")])
def test_every_line_of_mangled_json_lines_is_accounted_for(mangles: list[Mangle]) -> None:
    content = _HITS
    for mangle in mangles:
        content = mangle(content)
    try:
        fetch = _read("stories_2025-07-26.jsonl", "hn", content)
    except ImportRefusedError:
        return
    text = content.decode("utf-8", errors="replace")
    lines = [line for line in io.StringIO(text, newline=None) if line.strip("\ufeff \t\r\n")]
    # A break between two values of an object is white space of JSON, not the end of a record.
    assert fetch.log["fetched"] == fetch.rows.height + fetch.quarantined.height <= len(lines)
    unharmed = {line.strip() for line in lines} & {*_HITS.decode().splitlines()}
    read = {*fetch.rows["item_id"]}
    assert {json.loads(line)["objectID"] for line in unharmed} <= read
    originals = "\n".join(fetch.quarantined["original"])
    for item_id in map(str, range(87_001, 87_006)):
        is_named = f'"objectID": "{item_id}"' in text  # Under a damaged name it is no id.
        assert item_id in read or item_id in originals or not is_named
    check_storable(RAW_TRENDS, fetch.rows)


_POST = {
    "id": "1a",
    "title": "Post",
    "url": "https://example.org/",
    "permalink": "/r/food/comments/1a/post/",
    "created_utc": 1470629600.0,
    "score": 3,
    "num_comments": 4,
    "subreddit": "food",
}
_EXCHANGES = b"".join(
    json.dumps(
        {
            "recorded_at": f"2016-08-08T04:3{minute}:00",
            "status": {"code": 200 if minute != 3 else 403},
            "body": json.dumps({"data": {"children": [{"kind": "t3", "data": _POST}] * 2}}),
        }
    ).encode()
    + b"\n"
    for minute in range(5)
)


@settings(max_examples=examples(35), deadline=None)
@given(mangles=_mangles)
def test_mangled_answers_within_text_are_rows_or_put_aside(mangles: list[Mangle]) -> None:
    content = _EXCHANGES
    for mangle in mangles:
        content = mangle(content)
    try:
        fetch = _read("answers.jsonl", "reddit", content)
    except ImportRefusedError:
        return
    assert fetch.log["fetched"] == fetch.rows.height + fetch.quarantined.height
    check_storable(RAW_TRENDS, fetch.rows)
    check_storable(QUARANTINED_ROWS, fetch.quarantined)
    assert fetch.quarantined.get_column("quarantine_id").is_unique().all()


def test_the_answers_themselves_are_whole() -> None:
    fetch = _read("answers.jsonl", "reddit", _EXCHANGES)
    assert (fetch.rows.height, fetch.quarantined.height) == (8, 2)


@pytest.mark.parametrize("name", sorted(_FILES))
def test_the_tables_themselves_are_whole(name: str) -> None:
    source, text = _FILES[name]
    fetch = _read(name, source, text.encode())
    assert fetch.rows.height == _count_records(text.encode())
