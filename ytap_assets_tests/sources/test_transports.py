from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import httpx
import pytest

from ytap_assets.sources.exchange import Exchange, Request
from ytap_assets.sources.http.exchange import NotRecordedError, PermanentError, TooLargeError
from ytap_assets.sources.http.recordings import day_folder, read_recordings
from ytap_assets_tests.sources.support import (
    NOW,
    TODAY,
    Answering,
    Handler,
    Present,
    make_session,
    make_settings,
    raw,
    run,
)

URL = "https://hn.algolia.com/api/v1/search_by_date?tags=story"
KEY = "s3cret-key-0123456789"


def ask(root: Path, transport: str, handler: Handler, request: Request, day: date) -> Exchange:
    async def work() -> Exchange:
        session = make_session(make_settings(root, transport), handler, Present())
        async with session:
            return await (await session.visit(day)).client.send(request)

    return run(work())


def refuse(_: httpx.Request) -> httpx.Response:
    raise AssertionError("a replay asked the network")


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    headers = {"content-type": "application/json", "etag": '"v"', "server": "x", "date": "y"}
    network = Answering(httpx.Response(200, content=b'{"a": 1}', headers=headers))
    live = ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    replayed = ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY)
    assert live == replayed
    assert replayed.fetched_at == NOW
    assert replayed.headers == {"content-type": "application/json", "etag": '"v"'}
    assert [path.name for path in day_folder(tmp_path / "recordings", TODAY).iterdir()] == [
        "hn.jsonl"
    ]


def test_a_compressed_answer_is_recorded_as_text(tmp_path: Path) -> None:
    network = raw(gzip.compress(b"plain"), headers={"content-encoding": "gzip"})
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    (recorded,) = read_recordings(day_folder(tmp_path / "recordings", TODAY))
    assert recorded.body == b"plain"
    assert "content-encoding" not in recorded.headers
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"plain"


def test_odd_headers_do_not_spoil_a_recording(tmp_path: Path) -> None:
    headers = [(b"etag", "é".encode()), (b"content-type", b"a/b")]
    network = Answering(httpx.Response(200, headers=headers))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    replayed = ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY)
    assert replayed.headers == {"content-type": "a/b"}


def test_a_recording_that_cannot_be_written_is_an_error_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way", encoding="utf-8")
    with pytest.raises(PermanentError, match="could not be recorded"):
        ask(tmp_path, "record", Answering(httpx.Response(200)), Request(URL, "hn"), TODAY)


def test_another_day_is_never_an_answer(tmp_path: Path) -> None:
    network = Answering(httpx.Response(200))
    ask(tmp_path, "record", network, Request(URL, "hn"), date(2026, 11, 19))
    for day in (date(2026, 11, 18), TODAY):
        with pytest.raises(NotRecordedError, match="no recording of hn"):
            ask(tmp_path, "replay", refuse, Request(URL, "hn"), day)


def test_another_request_is_not_recorded(tmp_path: Path) -> None:
    ask(tmp_path, "record", Answering(httpx.Response(200)), Request(URL, "hn"), TODAY)
    with pytest.raises(NotRecordedError):
        ask(tmp_path, "replay", refuse, Request(URL + "&page=1", "hn"), TODAY)


def test_the_last_of_several_answers_is_replayed(tmp_path: Path) -> None:
    network = Answering(httpx.Response(503), httpx.Response(200, content=b"late"))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    folder = day_folder(tmp_path / "recordings", TODAY)
    assert [each.status for each in read_recordings(folder)] == [503, 200]
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"late"


def test_a_redirect_is_replayed_hop_by_hop(tmp_path: Path) -> None:
    moved = httpx.Response(302, headers={"location": "/elsewhere"})
    network = Answering(moved, httpx.Response(200, content=b"there"))
    ask(tmp_path, "record", network, Request(URL, "hn"), TODAY)
    assert ask(tmp_path, "replay", refuse, Request(URL, "hn"), TODAY).body == b"there"


def test_neither_secrets_nor_tokens_are_recorded(tmp_path: Path) -> None:
    echo = httpx.Response(200, content=f'{{"you_sent": "{KEY}"}}'.encode(), headers={"etag": KEY})
    request = Request(URL, "hn", secrets={"X-Goog-Api-Key": KEY})
    ask(tmp_path, "record", Answering(echo), request, TODAY)
    token = httpx.Response(200, json={"access_token": KEY})
    form = Request(URL, "reddit", form={"grant_type": "client_credentials"})
    ask(tmp_path, "record", Answering(token), form, TODAY)
    written = "".join(path.read_text() for path in (tmp_path / "recordings").rglob("*.jsonl"))
    assert KEY not in written
    assert "access_token" not in written
    assert written.count("\n") == 1


def test_an_answer_past_the_cap_is_refused_and_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        ask(tmp_path, "record", raw(b"x" * (8 * 1024 * 1024 + 1)), Request(URL, "hn"), TODAY)
    assert list((tmp_path / "recordings").rglob("*.jsonl")) == []


def record_lists(root: Path, *lists: tuple[str, bytes]) -> None:
    for url, body in lists:
        request = Request(url, "youtube_stats")
        ask(root, "record", Answering(httpx.Response(200, content=body)), request, TODAY)


VIDEOS = "https://www.googleapis.com/youtube/v3/videos?part=snippet&id="


def items(*ids: str) -> bytes:
    return json.dumps({"etag": "x", "items": [{"id": one} for one in ids]}).encode()


def test_a_list_of_ids_is_answered_from_several_recordings(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a,b", items("a", "b")), (VIDEOS + "c", items("c")))
    answer = ask(tmp_path, "replay", refuse, Request(VIDEOS + "c%2Ca", "youtube"), TODAY)
    assert [one["id"] for one in json.loads(answer.body)["items"]] == ["c", "a"]
    assert answer.fetched_at == NOW


def test_a_list_as_it_was_recorded_is_answered_to_the_byte(tmp_path: Path) -> None:
    body = b'{"items":   [{"id": "a"}, {"no": "id"}, null]}'
    record_lists(tmp_path, (VIDEOS + "b,a", body))
    assert ask(tmp_path, "replay", refuse, Request(VIDEOS + "a,b", "x"), TODAY).body == body
    part = ask(tmp_path, "replay", refuse, Request(VIDEOS + "a", "x"), TODAY)
    assert json.loads(part.body) == {"items": [{"id": "a"}]}


def test_ids_of_another_kind_of_request_are_no_answer(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a", items("a")))
    for url in (VIDEOS.replace("videos", "channels") + "a", VIDEOS.replace("snippet", "id") + "a"):
        with pytest.raises(NotRecordedError, match="not in the recording of"):
            ask(tmp_path, "replay", refuse, Request(url, "x"), TODAY)


def test_a_recorded_answer_that_is_no_list_stays_what_it_is(tmp_path: Path) -> None:
    record_lists(tmp_path, (VIDEOS + "a,b", b"<html>"), (VIDEOS + "c", items("c")))
    for ids in ("a", "a,c", "c,a"):
        answer = ask(tmp_path, "replay", refuse, Request(VIDEOS + ids, "x"), TODAY)
        assert answer.body == b"<html>"
