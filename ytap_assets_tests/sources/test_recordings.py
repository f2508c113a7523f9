from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.sources.http.recordings import (
    Recording,
    append_recording,
    read_recordings,
    request_key,
)
from ytap_assets_tests.sources.support import NOW


def recording(url: str = "https://a.example/x", body: bytes = b"[]") -> Recording:
    return Recording("GET", url, NOW, 200, {"content-type": "application/json"}, body)


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40))
def test_a_line_says_what_was_recorded(body: bytes, header: str) -> None:
    before = Recording("GET", "https://a.example/x", NOW, 503, {"etag": header}, body)
    line = before.to_line().encode()
    assert b"\n" not in line
    assert Recording.from_line(line) == before


def test_a_line_is_plain_to_read() -> None:
    assert json.loads(recording(body="ä".encode()).to_line()) == {
        "request": {"method": "GET", "url": "https://a.example/x"},
        "recorded_at": "2026-11-20T12:00:00+00:00",
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": "ä",
    }
    assert json.loads(recording(body=b"\xff").to_line())["body_base64"] == "/w=="


def test_recordings_are_read_in_order(tmp_path: Path) -> None:
    for number in range(3):
        append_recording(tmp_path / "day", "hn", recording(f"https://a.example/{number}"))
    urls = [each.url for each in read_recordings(tmp_path / "day")]
    assert urls == [f"https://a.example/{number}" for number in range(3)]


@pytest.mark.parametrize(
    "torn",
    [
        b'{"request": {"method": "GET"',
        b"null",
        b'{"status": 1e999}',
        b"\xff\xfe",
        b'{"request":{"method":"GET","url":"u"},"recorded_at":"x","status":1,"headers":{}}',
        b'{"request":{"method":"G","url":"u"},"recorded_at":"2026-11-20","status":1,"headers":[]}',
    ],
)
def test_a_torn_line_is_told_and_does_not_take_its_neighbours_along(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "day"
    append_recording(folder, "hn", recording("https://a.example/1"))
    with (folder / "hn.jsonl").open("ab") as file:
        file.write(torn)
    append_recording(folder, "hn", recording("https://a.example/2"))
    with caplog.at_level(logging.WARNING):
        urls = [each.url for each in read_recordings(folder)]
    assert urls == ["https://a.example/1", "https://a.example/2"]
    assert "hn.jsonl line 2 is left out" in caplog.text


def test_several_processes_append_without_losing_a_line(tmp_path: Path) -> None:
    program = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from ytap_assets.sources.http.recordings import Recording, append_recording\n"
        "for n in range(40):\n"
        "    url = f'https://a.example/{sys.argv[2]}/{n}'\n"
        "    now = datetime(2026, 11, 20, tzinfo=UTC)\n"
        "    recording = Recording('GET', url, now, 200, {}, b'x' * 20_000)\n"
        "    append_recording(Path(sys.argv[1]), 'hn', recording)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "day"), str(writer)])
        for writer in range(3)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    recorded = list(read_recordings(tmp_path / "day"))
    assert len({each.url for each in recorded}) == len(recorded) == 120
    assert all(len(each.body) == 20_000 for each in recorded)


def test_a_request_is_recognized_whatever_the_order_of_its_parameters() -> None:
    one = request_key("get", "https://A.example/x?b=2&a=1%2C3&empty=")
    assert one == request_key("GET", "https://a.example/x?a=1,3&empty=&b=2")
    assert one != request_key("GET", "https://a.example/x?a=1,3&b=2")
    assert one != request_key("POST", "https://a.example/x?a=1,3&empty=&b=2")
    assert one != request_key("GET", "https://a.example/y?a=1,3&empty=&b=2")


def test_times_keep_their_microseconds() -> None:
    moment = NOW + timedelta(microseconds=123_456)
    line = Recording("GET", "https://a.example/", moment, 200, {}, b"").to_line()
    assert Recording.from_line(line.encode()).recorded_at == moment
