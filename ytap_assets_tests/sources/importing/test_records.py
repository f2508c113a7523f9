"""Files: bytes, compression, sizes, damage, and the days in their names."""

from __future__ import annotations

import gzip
import hashlib
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import records
from ytap_assets.sources.importing.records import (
    DaySpan,
    is_damaged,
    make_printable,
    read_content,
    read_name_days,
    year_from,
    year_up_to,
)
from ytap_assets_tests.sources.importing.conftest import pack_zstd


def _text(path: Path) -> str:
    with read_content(path).open_text() as text:
        return text.read()


@pytest.mark.parametrize("packed", [False, True])
def test_hands_out_text_as_it_is_without_its_mark(tmp_path: Path, packed: bool) -> None:
    stored = "\ufeffa,b\r\n\rc\n".encode()
    stored = gzip.compress(stored) if packed else stored
    path = tmp_path / "whatever"
    path.write_bytes(stored)
    assert _text(path) == "a,b\r\n\rc\n"
    assert read_content(path).sha256 == hashlib.sha256(stored).hexdigest()


def test_bytes_that_are_not_utf8_are_damage_and_can_be_written_out(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("caf\u00e9\0".encode("latin-1"))
    text = _text(path)
    assert is_damaged(text)
    assert make_printable(text) == "caf\\xe9\\x00"
    assert make_printable("\ud800 \u00e9") == "\\ud800 \u00e9"
    assert not is_damaged("caf\u00e9")


def test_broken_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" * 1000)
    for number, stored in enumerate([whole[:-9], whole[:30] + b"xx" + whole[32:]]):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(stored)
        with pytest.raises(ImportRefusedError, match="compressed data is damaged"):
            _text(path)


def test_zstd_is_unpacked_and_several_frames_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "posts.zst"
    path.write_bytes(pack_zstd(b"a,b\n") + pack_zstd(b"c,d\n"))
    assert _text(path) == "a,b\nc,d\n"


# A frame whose window of 2 GiB is what `zstd --long=31` asks for, with one raw block.
_LONG_WINDOW = bytes.fromhex("28b52ffd 00 a8 290000") + b"hello"


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (pack_zstd(b"a,b\n" * 1000)[:-6], "compressed data is damaged"),
        (pack_zstd(b"a,b\n") + b"garbage", "compressed data is damaged"),
        (gzip.compress(b"a,b\n") + b"garbage", "compressed data is damaged"),
        (_LONG_WINDOW, "unpack it with `zstd -d --long=31`"),
    ],
    ids=["cut", "garbage behind zstd", "garbage behind gzip", "long window"],
)
def test_what_cannot_be_unpacked_whole_is_refused(tmp_path: Path, stored: bytes, said: str) -> None:
    path = tmp_path / "posts"
    path.write_bytes(stored)
    with pytest.raises(ImportRefusedError, match=said):
        _text(path)


def test_members_of_gzip_written_one_after_the_other_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "days.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n") + gzip.compress(b"c,d\n"))
    assert _text(path) == "a,b\nc,d\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_told_by_its_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "sheet.txt"
    path.write_bytes("\ufeffé\tb\r\n".encode(encoding))
    assert _text(path) == "é\tb\r\n"


def test_more_than_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_BYTES", 2 * 2**20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(3 * 2**20)))
    with pytest.raises(ImportRefusedError, match=r"bomb\.gz: unpacks to more than 2 MiB"):
        _text(path)
    path.write_bytes(bytes(3 * 2**20))
    with pytest.raises(ImportRefusedError, match="larger than 2 MiB"):
        read_content(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="contains no files"):
        read_content(tmp_path)
    with pytest.raises(ImportRefusedError, match="no such file"):
        read_content(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("default_20240703.csv.gz", "2024-07-03", "2024-07-03"),
        ("2026-03-22.csv", "2026-03-22", "2026-03-22"),
        ("stories_2025-07-26.json.gz", "2025-07-26", "2025-07-26"),
        ("stories_all_2016-09-07_to_16.csv.gz", "2016-09-07", "2016-09-16"),
        ("stories_2016-09-28_to_10-02.csv", "2016-09-28", "2016-10-02"),
        ("stories_sample_2015-09_to_2016-08.csv.gz", "2015-09-01", "2016-08-31"),
        ("2016-01-05_2016-01-02.csv", "2016-01-02", "2016-01-05"),
        ("v1_2016-02_US_USvideos.csv.gz", "2016-02-01", "2016-02-29"),
        ("US_2017_11_14.csv", "2017-11-14", "2017-11-14"),
    ],
)
def test_reads_the_days_of_a_name(name: str, first: str, last: str) -> None:
    assert read_name_days(name) == DaySpan(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "name",
    [
        "USvideos.csv",
        "algolia_responses_2014.json",
        "history_2022-2023.jsonl",
        "run_1611505252.json",
        "memes_01-24-18-51.json.gz",
        "x_20241399.csv",
        "x_2024-02-30.csv",
        "x_201609.csv",
    ],
)
def test_takes_nothing_for_a_day_that_is_none(name: str) -> None:
    assert read_name_days(name) is None


def test_an_end_that_is_no_day_is_left_out() -> None:
    assert read_name_days("x_2016-09-07_to_31.csv") == DaySpan(date(2016, 9, 7), date(2016, 9, 7))


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2099, 12, 31)))
def test_a_year_of_days_holds_each_day_and_month_at_most_once(day: date) -> None:
    for span in (year_from(day), year_up_to(day)):
        assert day in span
        days = [span.first + timedelta(n) for n in range((span.last - span.first).days + 1)]
        names = [(one.month, one.day) for one in days]
        assert len(set(names)) == len(names)
        assert len(names) in {365, 366}
