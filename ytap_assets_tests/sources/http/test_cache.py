"""The response cache: within a process, across processes, for every workspace."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.source_profiles import YOUTUBE_UNITS
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.cache import ResponseCache, is_fresh
from ytap_assets.sources.http.client import RateLimiter
from ytap_assets.sources.http.exchange import Exchange, PermanentError, Request
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.sources.source import Fetch
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.sources.support import (
    CHANNELS,
    CHARTS,
    HOST,
    NOW,
    FakeClock,
    Handler,
    ScriptedHandler,
    SharedClock,
    make_client,
    make_session,
    make_settings,
    run,
)

URL = f"https://{HOST}/feed"
FEED = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"
OTHER = CHANNELS.model_copy(update={"workspace_id": "other"})
ASKED = Request(URL, "hn", is_public=True)
LATER_S = 301.0
"""Slightly longer than a response is fresh."""


def ask(
    path: Path, handler: Handler, waits: list[float], request: Request = ASKED
) -> list[Exchange]:
    """Send a request, then again after each wait, each time with a new client."""
    clock = FakeClock()

    async def work(wait: float) -> Exchange:
        await clock.sleep(wait)
        kept = ResponseCache(path)
        async with make_client(handler, clock, cache=kept) as client:
            return await client.send(request)

    return [run(work(wait)) for wait in [0.0, *waits]]


def test_an_unchanged_response_has_the_cached_body(tmp_path: Path) -> None:
    first = httpx.Response(200, content=b"[1]", headers={"etag": '"v1"', "content-type": "a/b"})
    handler = ScriptedHandler(first, httpx.Response(304))
    before, after = ask(tmp_path / "answers", handler, [LATER_S])
    assert (before.status, after.status) == (200, 304)
    assert after.body == before.body == b"[1]"
    assert after.content_type == "a/b"
    assert after.is_usable
    assert after.fetched_at - before.fetched_at == timedelta(seconds=LATER_S)
    assert [each.headers.get("if-none-match") for each in handler.requests] == [None, '"v1"']


def test_last_modified_is_used_without_an_etag(tmp_path: Path) -> None:
    stamp = "Fri, 20 Nov 2026 10:00:00 GMT"
    first = httpx.Response(200, content=b"x", headers={"last-modified": stamp})
    handler = ScriptedHandler(first, httpx.Response(304))
    ask(tmp_path / "answers", handler, [LATER_S])
    assert handler.requests[1].headers["if-modified-since"] == stamp


def test_a_fresh_response_is_reused(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    first, again, later = ask(tmp_path / "answers", handler, [299.0, 1.0])
    assert again == replace(first, attempts=0)
    assert again.fetched_at == NOW
    assert later.attempts == 1
    assert len(handler.requests) == 2


def test_a_revalidated_response_is_fresh_again(tmp_path: Path) -> None:
    handler = ScriptedHandler(
        httpx.Response(200, content=b"[1]", headers={"etag": "1"}), httpx.Response(304)
    )
    _, confirmed, again = ask(tmp_path / "answers", handler, [LATER_S, 10.0])
    assert (again.status, again.attempts, again.body) == (200, 0, b"[1]")
    assert again.fetched_at == confirmed.fetched_at


def test_yesterdays_response_is_not_fresh() -> None:
    midnight = NOW.replace(hour=0)
    kept = Exchange(URL, 200, {}, b"x", midnight - timedelta(seconds=5))
    assert is_fresh(kept, ASKED, midnight - timedelta(seconds=1))
    assert not is_fresh(kept, ASKED, midnight + timedelta(seconds=1))


def test_a_response_from_the_future_is_not_fresh() -> None:
    assert not is_fresh(Exchange(URL, 200, {}, b"x", NOW + timedelta(hours=1)), ASKED, NOW)


@pytest.mark.parametrize(
    ("answered", "ending"),
    [
        (httpx.Response(304), nullcontext()),
        (
            httpx.Response(404, content=b"x", headers={"etag": '"x"'}),
            pytest.raises(PermanentError, match="404"),
        ),
        (httpx.Response(200, content=b""), nullcontext()),
    ],
    ids=["304 unasked for", "404", "nothing"],
)
def test_error_responses_are_not_cached(
    tmp_path: Path, answered: httpx.Response, ending: AbstractContextManager[object]
) -> None:
    path = tmp_path / "answers"

    async def work() -> None:
        async with make_client(
            lambda _: answered, FakeClock(), cache=ResponseCache(path)
        ) as client:
            with ending:
                await client.send(ASKED)

    run(work())
    assert ResponseCache(path).find(URL) is None


def test_responses_that_are_not_public_are_not_cached(tmp_path: Path) -> None:
    private = Request(URL, "hn", secrets={"Authorization": "Bearer one-of-many-tokens"})
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]", headers={"etag": '"v1"'}))
    ask(tmp_path / "answers", handler, [1.0], private)
    assert len(handler.requests) == 2
    assert "if-none-match" not in handler.requests[1].headers
    assert list(tmp_path.iterdir()) == []


def collect_each(
    root: Path, handler: Handler, *workspaces: Workspace, **secrets: str
) -> list[Fetch]:
    """Collect each workspace in a session of its own."""

    async def work(workspace: Workspace) -> list[Fetch]:
        session = make_session(make_settings(root, **secrets), handler, use_cache=True)
        async with session:
            return await collect_trends(workspace, NOW.date(), session=session, run_id="run")

    return [fetch for workspace in workspaces for fetch in run(work(workspace))]


def test_a_feed_of_two_workspaces_is_fetched_once(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=FEED))
    first, second = collect_each(tmp_path, handler, CHANNELS, OTHER)
    assert len(handler.requests) == 1
    assert (first.log["outcome"], second.log["outcome"]) == ("ok", "ok")
    assert (first.log["attempts"], second.log["attempts"]) == (1, 0)
    assert second.payloads["body"].to_list() == first.payloads["body"].to_list() == [FEED]
    assert second.payloads["fetched_at"].to_list() == [NOW]
    assert second.payloads["workspace_id"].to_list() == ["other"]


def test_a_chart_is_shared_by_workspaces_and_counted_once(
    tmp_path: Path,
) -> None:
    handler = ScriptedHandler(httpx.Response(200, json={"items": []}))
    other = CHARTS.model_copy(update={"workspace_id": "other"})
    first, second = collect_each(tmp_path, handler, CHARTS, other, YOUTUBE_KEY="a-key-of-ours")
    assert len(handler.requests) == 1
    assert (first.log["attempts"], second.log["attempts"]) == (1, 0)
    ledger = open_ledger(make_settings(tmp_path))
    assert ledger.usage(YOUTUBE_UNITS, NOW).calls == 1


def test_the_cache_does_not_store_the_workspace(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=FEED))
    _, second = collect_each(tmp_path, handler, CHANNELS, OTHER)
    told = str(second.log) + str(second.payloads.drop("body").rows())
    assert "'tech'" not in told
    stored = (tmp_path / "state" / "answers.sqlite").read_bytes()
    for word in (b"tech", b"other", CHANNELS.sources.youtube.monitored_channels[0].id.encode()):
        assert word not in stored


def test_a_malformed_page_is_removed_from_the_cache(tmp_path: Path) -> None:
    handler = ScriptedHandler(
        httpx.Response(200, content=b"<!DOCTYPE html><title>Before you continue</title>"),
        httpx.Response(200, content=FEED),
    )
    first, second = collect_each(tmp_path, handler, CHANNELS, OTHER)
    assert (first.log["outcome"], second.log["outcome"]) == ("malformed", "ok")


def ask_at_once(path: Path, handler: Handler) -> list[Exchange | BaseException]:
    """Three concurrent clients send the same request; a response takes half a second."""
    clock = SharedClock()

    async def ask_one() -> Exchange:
        async with make_client(handler, clock, cache=ResponseCache(path)) as client:
            return await client.send(ASKED)

    async def work() -> list[Exchange | BaseException]:
        return await asyncio.gather(*(ask_one() for _ in range(3)), return_exceptions=True)

    return run(work())


def test_concurrent_requests_are_coalesced(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    answers = ask_at_once(tmp_path / "answers", handler)
    assert len(handler.requests) == 1
    told = [answer for answer in answers if isinstance(answer, Exchange)]
    assert [answer.body for answer in told] == [b"[1]"] * 3
    assert sorted(answer.attempts for answer in told) == [0, 0, 1]


def test_concurrent_requests_in_a_long_queue_are_sent_once(tmp_path: Path) -> None:
    """The host's queue is longer than a claim lasts."""
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    present = SharedClock()
    others = [replace(ASKED, url=f"{URL}/{number}") for number in range(40)]

    async def work() -> list[Exchange]:
        limiter = RateLimiter({HOST: 2.0}, present.monotonic)
        cache = ResponseCache(tmp_path / "answers")
        async with make_client(handler, present, cache=cache, rate_limiter=limiter) as client:
            asked = [client.send(request) for request in [*others, *[ASKED] * 10]]
            return await asyncio.gather(*asked)

    responses = run(work())
    assert len(handler.requests) == len(others) + 1
    assert sorted(one.attempts for one in responses[len(others) :]) == [0] * 9 + [1]


def test_a_waiting_request_is_sent_if_the_first_fails(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(404), httpx.Response(200, content=b"[1]"))
    answers = ask_at_once(tmp_path / "answers", handler)
    assert len(handler.requests) == 2
    assert sum(isinstance(answer, PermanentError) for answer in answers) == 1


def test_the_claim_of_a_killed_process_expires_after_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    assert ResponseCache(path).claim(URL, NOW)
    assert not ResponseCache(path).claim(URL, NOW)
    clock = FakeClock()

    async def work() -> Exchange:
        handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
        async with make_client(handler, clock, cache=ResponseCache(path)) as client:
            return await client.send(ASKED)

    assert run(work()).attempts == 1
    assert 60 <= sum(clock.slept) < 61


def test_waiting_for_a_claim_ends_if_the_clock_does_not_advance(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    assert ResponseCache(path).claim(URL, NOW)
    clock = FakeClock()

    async def work() -> Exchange:
        handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
        cache = ResponseCache(path)
        async with make_client(handler, clock, clock=lambda: NOW, cache=cache) as client:
            return await client.send(ASKED)

    assert run(work()).body == b"[1]"


def test_a_claim_from_the_future_is_invalid(tmp_path: Path) -> None:
    kept = ResponseCache(tmp_path / "answers")
    assert kept.claim(URL, NOW + timedelta(days=400))
    assert kept.claim(URL, NOW)


def test_only_the_newest_responses_are_cached(tmp_path: Path) -> None:
    kept = ResponseCache(tmp_path / "answers", max_entries=10)
    for number in range(25):
        at = NOW + timedelta(seconds=number)
        kept.store(Exchange(f"{URL}/{number}", 200, {}, b"x", at))
        known = [each for each in range(25) if kept.find(f"{URL}/{each}")]
        assert known == list(range(known[0], number + 1))
        assert min(number + 1, 9) <= len(known) <= 10


def test_the_cache_stays_within_its_size(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    kept = ResponseCache(path, max_bytes=100_000)
    for number in range(60):
        noise = b"".join(b"%x" % (number * 7919 + n**3) for n in range(4000))
        at = NOW + timedelta(seconds=number)
        kept.store(Exchange(f"{URL}/{number}", 200, {}, noise, at))
    assert kept.find(f"{URL}/59") is not None
    assert kept.find(f"{URL}/0") is None
    assert path.stat().st_size < 250_000


def test_a_response_of_last_month_is_removed(tmp_path: Path) -> None:
    kept = ResponseCache(tmp_path / "answers")
    kept.store(Exchange(f"{URL}/old", 200, {}, b"x", NOW - timedelta(days=30)))
    kept.store(Exchange(URL, 200, {}, b"x", NOW))
    assert kept.find(f"{URL}/old") is None
    assert kept.find(URL) is not None


def test_responses_from_the_future_are_removed(tmp_path: Path) -> None:
    kept = ResponseCache(tmp_path / "answers", max_entries=10)
    for number in range(12):
        at = NOW + timedelta(days=1200, seconds=number)
        kept.store(Exchange(f"{URL}/{number}", 200, {}, b"x", at))
    kept.store(Exchange(URL, 200, {}, b"x", NOW))
    assert kept.find(URL) is not None
    assert kept.find(f"{URL}/11") is None


def damage_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET body = body || x'00'")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database at all, not even a little one" * 99),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096)),
        lambda path: path.write_bytes(b""),
        damage_row,
        lambda path: path.unlink(),
    ],
    ids=["other bytes", "cut off", "zeros", "empty", "a changed body", "gone"],
)
def test_a_corrupt_file_counts_as_empty(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "answers"
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]", headers={"etag": "1"}))
    ask(path, handler, [])
    damage(path)
    before, after = ask(path, handler, [1.0])
    assert before.body == after.body == b"[1]"
    assert after.attempts == 0
    assert len(handler.requests) == 2


@pytest.fixture(scope="module")
def good_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a few responses."""
    path = tmp_path_factory.mktemp("good") / "answers"
    for number in range(4):
        kept = Exchange(f"{URL}/{number}", 200, {"etag": "1"}, BODY * number, NOW)
        ResponseCache(path).store(kept)
    return path


BODY = b"an answer, and not a short one: " * 90


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2**15), scar=st.binary(min_size=1, max_size=200), is_cut=st.booleans())
def test_a_corrupt_file_never_gives_a_wrong_response(
    tmp_path: Path, good_file: Path, at: int, scar: bytes, is_cut: bool
) -> None:
    path = tmp_path / "answers"
    good = good_file.read_bytes()
    at %= len(good)
    path.write_bytes(good[:at] + scar + (b"" if is_cut else good[at + len(scar) :]))
    kept = ResponseCache(path)
    for number in range(1, 4):
        found = kept.find(f"{URL}/{number}")
        assert found is None or (found.body, found.fetched_at) == (BODY * number, NOW)
    fresh = Exchange(f"{URL}/fresh", 200, {}, BODY, NOW)
    for _ in range(2):  # the first may detect the corruption and create the file again
        kept.claim(fresh.url, NOW)
        kept.store(fresh)
    assert kept.find(fresh.url) == fresh


def test_a_corrupt_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "answers").write_bytes(b"this is no database at all, not even a little one" * 99)
    with caplog.at_level(logging.WARNING):
        assert ResponseCache(tmp_path / "answers").find(URL) is None
    assert "is corrupt" in caplog.text
    assert "is created again" in caplog.text


def test_a_corrupt_file_that_cannot_be_removed_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answers").write_bytes(b"this is no database at all, not even a little one" * 99)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with caplog.at_level(logging.WARNING):
        assert ResponseCache(tmp_path / "answers").find(URL) is None
    assert "cannot be removed: [Errno 30] Read-only file system" in caplog.text


def test_a_folder_that_cannot_be_created_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    answers = ask(tmp_path / "file" / "answers", handler, [1.0])
    assert [answer.body for answer in answers] == [b"[1]"] * 2
    assert "is not used" in caplog.text


_WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.http.cache import ResponseCache
kept = ResponseCache(Path(sys.argv[1]))
for number in range(40):
    at = datetime(2026, 11, 20, 12, 0, number, tzinfo=UTC)
    kept.store(Exchange(f"https://api.example/{sys.argv[2]}/{number}", 200, {}, b"x" * 999, at))
    assert kept.find("https://api.example/shared") is not None
    kept.store(Exchange("https://api.example/shared", 200, {}, sys.argv[2].encode() * 999, at))
"""


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    ResponseCache(path).store(Exchange("https://api.example/shared", 200, {}, b"x", NOW))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _WRITER, str(path), str(number)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        _, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, "")
    kept = ResponseCache(path)
    for number in range(3):
        for each in range(40):
            assert kept.find(f"https://api.example/{number}/{each}") is not None
