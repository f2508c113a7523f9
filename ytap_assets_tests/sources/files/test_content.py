from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import records
from ytap_assets.sources.importing.records import is_damaged, make_printable, read_content
from ytap_assets_tests.sources.files.conftest import pack_zstd


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
        with pytest.raises(ImportRefusedError, match="compressed data is broken"):
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
        (pack_zstd(b"a,b\n" * 1000)[:-6], "compressed data is broken"),
        (pack_zstd(b"a,b\n") + b"garbage", "compressed data is broken"),
        (gzip.compress(b"a,b\n") + b"garbage", "compressed data is broken"),
        (_LONG_WINDOW, "use `zstd -d --long=31`"),
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
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(ImportRefusedError, match="no such file"):
            read_content(path)
