from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.sources.http.exchange import (
    Exchange,
    NotRecordedError,
    PermanentError,
    Request,
    TooLargeError,
)
from ytap_assets.sources.http.recordings import (
    Recording,
    append_recording,
    day_folder,
    read_recordings,
    request_key,
)
from ytap_assets_tests.sources.support import (
    NOW,
    TODAY,
    FakeClock,
    Handler,
    ScriptedHandler,
    make_session,
    make_settings,
    raw,
    run,
)


def recording(url: str = "https://a.example/x", body: bytes = b"[]") -> Recording:
    return Recording("GET", url, NOW, 200, {"content-type": "application/json"}, body)


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40))
def test_a_line_holds_the_recorded_exchange(body: bytes, header: str) -> None:
    before = Recording("GET", "https://a.example/x", NOW, 503, {"etag": header}, body)
    line = before.to_line().encode()
    assert b"\n" not in line
    assert Recording.from_line(line) == before


def test_a_line_is_readable_text() -> None:
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
def test_an_incomplete_line_is_skipped_with_a_warning(
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
    assert "hn.jsonl line 2 is skipped" in caplog.text


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


URL = "https://hn.algolia.com/api/v1/search_by_date?tags=story"
KEY = "s3cret-key-0123456789"


def ask(root: Path, transport: str, handler: Handler, request: Request, day: date) -> Exchange:
    async def work() -> Exchange:
        session = make_session(make_settings(root, transport), handler, FakeClock())
        async with session:
            return await (await session.context(day)).client.send(request)

    return run(work())


def refuse(_: httpx.Request) -> httpx.Response:
    raise AssertionError("a replay asked the network")


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    headers = {"content-type": "application/json", "etag": '"v"', "server": "x", "date": "y"}
    network = ScriptedHandler(httpx.Response(200, content=b'{"a": 1}', headers=headers))
    live = ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    replayed = ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY)
    assert live == replayed
    assert replayed.fetched_at == NOW
    assert replayed.headers == {"content-type": "application/json", "etag": '"v"'}
    assert [path.name for path in day_folder(tmp_path / "recordings", TODAY).iterdir()] == [
        "hn.jsonl"
    ]


def test_a_compressed_response_is_recorded_as_text(tmp_path: Path) -> None:
    network = raw(gzip.compress(b"plain"), headers={"content-encoding": "gzip"})
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    (recorded,) = read_recordings(day_folder(tmp_path / "recordings", TODAY))
    assert recorded.body == b"plain"
    assert "content-encoding" not in recorded.headers
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"plain"


def test_invalid_headers_are_not_recorded(tmp_path: Path) -> None:
    headers = [(b"etag", "é".encode()), (b"content-type", b"a/b")]
    network = ScriptedHandler(httpx.Response(200, headers=headers))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    replayed = ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY)
    assert replayed.headers == {"content-type": "a/b"}


def test_a_recording_that_cannot_be_written_is_an_error_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way", encoding="utf-8")
    with pytest.raises(PermanentError, match="could not be recorded"):
        ask(tmp_path, "record", ScriptedHandler(httpx.Response(200)), Request(URL, "hn"), TODAY)


def test_another_day_is_not_replayed(tmp_path: Path) -> None:
    network = ScriptedHandler(httpx.Response(200))
    ask(tmp_path, "record", network, Request(URL, "hn"), date(2026, 11, 19))
    for day in (date(2026, 11, 18), TODAY):
        with pytest.raises(NotRecordedError, match="no recording of hn"):
            ask(tmp_path, "replay", refuse, Request(URL, "hn"), day)


def test_another_request_is_not_recorded(tmp_path: Path) -> None:
    ask(tmp_path, "record", ScriptedHandler(httpx.Response(200)), Request(URL, "hn"), TODAY)
    with pytest.raises(NotRecordedError):
        ask(tmp_path, "replay", refuse, Request(URL + "&page=1", "hn"), TODAY)


def test_the_last_of_several_responses_is_replayed(tmp_path: Path) -> None:
    network = ScriptedHandler(httpx.Response(503), httpx.Response(200, content=b"late"))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    folder = day_folder(tmp_path / "recordings", TODAY)
    assert [each.status for each in read_recordings(folder)] == [503, 200]
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"late"


def test_a_redirect_is_replayed_hop_by_hop(tmp_path: Path) -> None:
    moved = httpx.Response(302, headers={"location": "/elsewhere"})
    network = ScriptedHandler(moved, httpx.Response(200, content=b"there"))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"there"


def test_neither_secrets_nor_tokens_are_recorded(tmp_path: Path) -> None:
    echo = httpx.Response(200, content=f'{{"you_sent": "{KEY}"}}'.encode(), headers={"etag": KEY})
    request = Request(URL, "hn", secrets={"X-Goog-Api-Key": KEY})
    ask(tmp_path, "record", ScriptedHandler(echo), request, TODAY)
    token = httpx.Response(200, json={"access_token": KEY})
    form = Request(URL, "reddit", form={"grant_type": "client_credentials"})
    ask(tmp_path, "record", ScriptedHandler(token), form, TODAY)
    written = "".join(path.read_text() for path in (tmp_path / "recordings").rglob("*.jsonl"))
    assert KEY not in written
    assert "access_token" not in written
    assert written.count("\n") == 1


def test_a_response_above_the_size_limit_is_an_error_and_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        ask(tmp_path, "record", raw(b"x" * (8 * 1024 * 1024 + 1)), Request(URL, "hn"), TODAY)
    assert list((tmp_path / "recordings").rglob("*.jsonl")) == []


def record_lists(root: Path, *lists: tuple[str, bytes]) -> None:
    for url, body in lists:
        request = Request(url, "youtube_stats")
        ask(root, "record", ScriptedHandler(httpx.Response(200, content=body)), request, TODAY)


VIDEOS = "https://www.googleapis.com/youtube/v3/videos?part=snippet&id="


def items(*ids: str) -> bytes:
    return json.dumps({"etag": "x", "items": [{"id": one} for one in ids]}).encode()


def test_a_list_of_ids_is_answered_from_several_recordings(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a,b", items("a", "b")), (VIDEOS + "c", items("c")))
    answer = ask(tmp_path, "replay", refuse, Request(VIDEOS + "c%2Ca", "youtube"), TODAY)
    assert [one["id"] for one in json.loads(answer.body)["items"]] == ["c", "a"]
    assert answer.fetched_at == NOW


def test_a_list_as_recorded_is_replayed_byte_by_byte(tmp_path: Path) -> None:
    body = b'{"items":   [{"id": "a"}, {"no": "id"}, null]}'
    record_lists(tmp_path, (VIDEOS + "b,a", body))
    assert ask(tmp_path, "replay", refuse, Request(VIDEOS + "a,b", "x"), TODAY).body == body
    part = ask(tmp_path, "replay", refuse, Request(VIDEOS + "a", "x"), TODAY)
    assert json.loads(part.body) == {"items": [{"id": "a"}]}


def test_ids_of_another_request_are_not_replayed(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a", items("a")))
    for url in (VIDEOS.replace("videos", "channels") + "a", VIDEOS.replace("snippet", "id") + "a"):
        with pytest.raises(NotRecordedError, match="not in the recording of"):
            ask(tmp_path, "replay", refuse, Request(url, "x"), TODAY)


def test_a_recorded_response_that_is_not_a_list_is_replayed_unchanged(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a,b", b"<html>"), (VIDEOS + "c", items("c")))
    for ids in ("a", "a,c", "c,a"):
        answer = ask(tmp_path, "replay", refuse, Request(VIDEOS + ids, "x"), TODAY)
        assert answer.body == b"<html>"
