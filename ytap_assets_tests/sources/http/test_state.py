"""The quota ledger, the Retry-After store and the response cache, also with corrupt files."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.source_profiles import BUCKETS, YOUTUBE_SEARCH, YOUTUBE_UNITS, Bucket
from ytap_assets.settings import parse_database
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.client import RateLimiter
from ytap_assets.sources.http.exchange import (
    Exchange,
    PermanentError,
    QuotaExhaustedError,
    Request,
    SourceError,
    TransientError,
)
from ytap_assets.sources.http.shared_state import StateDatabase
from ytap_assets.sources.http.state import (
    QuotaLedger,
    QuotaUsage,
    ResponseCache,
    RetryAfterStore,
    is_fresh,
    open_ledger,
)
from ytap_assets.sources.http.state_file import State, StateFile
from ytap_assets.sources.source import Fetch
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.databases import Server
from ytap_assets_tests.sources.support import (
    CHANNELS,
    CHARTS,
    HOST,
    NOW,
    REDDIT,
    TODAY,
    FakeClock,
    Handler,
    ScriptedHandler,
    SharedClock,
    make_client,
    make_session,
    make_settings,
    run,
)

FEW = Bucket("a few", 3)
RESET = datetime(2026, 11, 21, 8, tzinfo=UTC)
ASKED = Request(f"https://{HOST}/", "youtube", bucket=FEW)
QUOTA = {"error": {"errors": [{"reason": "quotaExceeded"}]}}
NAMED = (
    b'{"error": {"message": "Quota exceeded for quota metric \'Search Queries\' and limit'
    b" 'Search Queries per day'\"}}"
)


OpenPlace = Callable[[], State]


@pytest.fixture(params=["file", "database"])
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenPlace]:
    """Opens the same empty place as another process does; of each kind."""
    if request.param == "file":
        yield lambda: StateFile(tmp_path / "state")
        return
    server: Server = request.getfixturevalue("server")
    url = server.url()
    yield lambda: StateDatabase(parse_database(url, "url"))
    server.drop(url)


def make_ledger(path: Path) -> QuotaLedger:
    """A ledger that also knows `FEW`."""
    return QuotaLedger(StateFile(path), (*BUCKETS, FEW))


def test_a_bucket_has_its_limit_and_is_full_after_its_reset(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "quota")
    for _ in range(3):
        ledger.reserve(FEW, NOW)
    for at in (NOW, RESET - timedelta(seconds=1)):
        with pytest.raises(QuotaExhaustedError, match="no request before 2026-11-21 08:00 UTC"):
            ledger.reserve(FEW, at)
    assert ledger.usage(FEW, NOW) == QuotaUsage(3, is_exhausted=False)
    ledger.reserve(FEW, RESET)
    assert ledger.usage(FEW, RESET) == QuotaUsage(1, is_exhausted=False)


def test_buckets_are_counted_separately_and_across_processes(tmp_path: Path) -> None:
    make_ledger(tmp_path / "quota").reserve(YOUTUBE_SEARCH, NOW)
    make_ledger(tmp_path / "quota").reserve(YOUTUBE_SEARCH, NOW)
    ledger = make_ledger(tmp_path / "quota")
    assert ledger.usage(YOUTUBE_SEARCH, NOW).calls == 2
    assert ledger.usage(YOUTUBE_UNITS, NOW).calls == 0


def test_a_bucket_reported_as_used_up_stays_so_until_the_reset(tmp_path: Path) -> None:
    make_ledger(tmp_path / "quota").mark_exhausted(FEW, NOW)
    ledger = make_ledger(tmp_path / "quota")
    with pytest.raises(QuotaExhaustedError, match="the platform reports that it is exhausted"):
        ledger.reserve(FEW, NOW)
    ledger.reserve(YOUTUBE_UNITS, NOW)
    ledger.reserve(FEW, RESET)


def test_a_ledger_that_cannot_be_read_refuses_requests(tmp_path: Path) -> None:
    path = tmp_path / "quota"
    path.write_bytes(b"this is no database at all, not even a little one" * 99)
    with pytest.raises(PermanentError, match="are not sent"):
        make_ledger(path).reserve(FEW, NOW)


def make_other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")


@pytest.mark.parametrize(
    "make",
    [
        Path.touch,
        make_other_database,
        lambda path: path.write_bytes(b"{}"),
        Path.mkdir,
    ],
    ids=["0 bytes", "another program's", "text", "a folder"],
)
def test_another_file_refuses_requests_and_is_not_changed(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "quota"
    make(path)
    before = path.stat().st_size
    for work in (
        make_ledger(path).reserve,
        make_ledger(path).mark_exhausted,
        make_ledger(path).usage,
    ):
        with pytest.raises(PermanentError, match="the count then starts at 0"):
            work(FEW, NOW)
    assert path.stat().st_size == before
    path.rename(tmp_path / "away")
    make_ledger(path).reserve(FEW, NOW)
    assert {file.name for file in tmp_path.iterdir()} == {"away", "quota"}


@pytest.mark.parametrize(
    "change",
    [
        "resets_at = '9999-12-31T23:59:59-14:00'",
        "resets_at = '2026-11-21'",
        "resets_at = '2026-11-21T08:00:00'",
        "resets_at = '2026-11-21 08:00:00+00:00'",
        "resets_at = '2026-11-21T09:00:00+01:00'",
        "resets_at = '2026-11-21T08:00:01+00:00'",
        "resets_at = '0001-01-01T00:00:00+00:00'",
        "resets_at = 20261121",
        "resets_at = x'32'",
        "bucket = 'A FEW'",
        "bucket = 'a few '",
        "bucket = x'6120666577'",
        "calls = -1",
        "calls = 'one'",
        "calls = 1.5",
        "is_parked = 2",
        "is_parked = 'no'",
    ],
)
def test_an_invalid_row_refuses_requests(tmp_path: Path, change: str) -> None:
    ledger = make_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    with closing(sqlite3.connect(tmp_path / "quota")) as connection:
        connection.execute(f"UPDATE spending SET {change}")
        connection.commit()
    for work in (ledger.reserve, ledger.mark_exhausted, ledger.usage):
        with pytest.raises(PermanentError, match=r"the row .*move it away"):
            work(FEW, NOW)


def test_a_clock_that_was_ahead_loses_no_count(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    ledger.reserve(FEW, NOW + timedelta(days=3))
    with pytest.raises(PermanentError, match="the clock is behind, or was ahead") as caught:
        ledger.reserve(FEW, NOW)
    assert "until the reset of 2026-11-24 08:00 UTC" in str(caught.value)
    with closing(sqlite3.connect(tmp_path / "quota")) as connection:
        assert connection.execute("SELECT sum(calls) FROM spending").fetchone() == (2,)


@pytest.mark.parametrize("days", [-1, -1200, 1200])
def test_a_clock_that_jumped_refuses_requests(tmp_path: Path, days: int) -> None:
    ledger = make_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    with pytest.raises(PermanentError, match="correct the clock"):
        ledger.reserve(FEW, NOW + timedelta(days=days))
    assert ledger.usage(FEW, NOW).calls == 1
    ledger.reserve(FEW, NOW + timedelta(days=60))  # no call for two months


def test_a_process_that_is_just_before_a_reset_is_not_behind(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "quota")
    ledger.reserve(FEW, RESET + timedelta(seconds=1))
    ledger.reserve(FEW, RESET - timedelta(seconds=1))
    for moment in (RESET - timedelta(seconds=1), RESET + timedelta(seconds=1)):
        assert ledger.usage(FEW, moment).calls == 1


def test_the_ledger_is_bounded(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "quota")
    for day in range(70):
        for bucket in (FEW, YOUTUBE_UNITS):
            ledger.reserve(bucket, NOW + timedelta(days=day))
    with closing(sqlite3.connect(tmp_path / "quota")) as connection:
        assert connection.execute("SELECT count(*) FROM spending").fetchone() == (120,)
    assert ledger.usage(FEW, NOW + timedelta(days=69)).calls == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2**14), scar=st.binary(min_size=1, max_size=200), is_cut=st.booleans())
def test_a_corrupt_ledger_counts_or_refuses(
    tmp_path: Path, at: int, scar: bytes, is_cut: bool
) -> None:
    path = tmp_path / "quota"
    path.unlink(missing_ok=True)
    make_ledger(path).reserve(FEW, NOW)
    good = path.read_bytes()
    at %= len(good)
    path.write_bytes(good[:at] + scar + (b"" if is_cut else good[at + len(scar) :]))
    with suppress(PermanentError, QuotaExhaustedError):
        make_ledger(path).reserve(FEW, NOW)
        assert make_ledger(path).usage(FEW, NOW).calls >= 1


_SPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH
from ytap_assets.sources.http.exchange import QuotaExhaustedError
from ytap_assets.sources.http.state import QuotaLedger
from ytap_assets.sources.http.state_file import StateFile
had = 0
ledger = QuotaLedger(StateFile(Path(sys.argv[1])))
for _ in range(60):
    try:
        ledger.reserve(YOUTUBE_SEARCH, datetime(2026, 11, 20, tzinfo=UTC))
        had += 1
    except QuotaExhaustedError:
        pass
print(had)
"""


def test_concurrent_processes_stay_within_the_limit(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _SPENDER, str(tmp_path / "quota")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert sum(map(int, told)) == YOUTUBE_SEARCH.limit


_COUNTER = """
import itertools, sys
from datetime import UTC, datetime
from pathlib import Path
from ytap_assets.domain.source_profiles import YOUTUBE_UNITS
from ytap_assets.sources.http.state import QuotaLedger
from ytap_assets.sources.http.state_file import StateFile
ledger = QuotaLedger(StateFile(Path(sys.argv[1])))
for number in itertools.count(1):
    ledger.reserve(YOUTUBE_UNITS, datetime(2026, 11, 20, tzinfo=UTC))
    print(number, flush=True)
"""


def test_a_killed_process_leaves_its_counts(tmp_path: Path) -> None:
    path = tmp_path / "quota"
    counted = 0
    for _ in range(3):
        command = [sys.executable, "-W", "error", "-c", _COUNTER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(5):
                process.stdout.readline()
            process.kill()
            later = len(process.stdout.read().splitlines())
        least = counted + 5 + later
        counted = make_ledger(path).usage(YOUTUBE_UNITS, NOW - timedelta(hours=12)).calls
        assert least <= counted <= least + 1


def ask(path: Path, handler: ScriptedHandler, request: Request = ASKED) -> SourceError | None:
    """Send a request with a new client; the error."""

    async def work() -> SourceError | None:
        async with make_client(handler, FakeClock(), ledger=make_ledger(path)) as client:
            try:
                await client.send(request)
            except SourceError as error:
                return error
        return None

    return run(work())


def test_a_retry_is_counted(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(503), httpx.Response(503), httpx.Response(200))
    assert ask(tmp_path / "quota", handler) is None
    refused = ask(tmp_path / "quota", handler)
    assert isinstance(refused, QuotaExhaustedError)
    assert refused.attempts == 0
    assert len(handler.requests) == 3


def test_retries_end_with_the_bucket(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(503))
    refused = ask(tmp_path / "quota", handler)
    assert isinstance(refused, QuotaExhaustedError)
    assert refused.attempts == len(handler.requests) == 3


@pytest.mark.parametrize(
    "answered",
    [httpx.Response(403, json=QUOTA), httpx.Response(429, content=NAMED)],
    ids=["403 quotaExceeded", "429 naming the bucket"],
)
def test_a_used_up_bucket_is_not_used_by_any_process(
    tmp_path: Path, answered: httpx.Response
) -> None:
    handler = ScriptedHandler(answered)
    for attempts in (1, 0, 0):
        refused = ask(tmp_path / "quota", handler)
        assert isinstance(refused, QuotaExhaustedError)
        assert refused.attempts == attempts
    assert len(handler.requests) == 1


def test_a_rate_limit_does_not_exhaust_the_bucket(tmp_path: Path) -> None:
    hasty = httpx.Response(429, content=b'{"error": {"message": "Queries per minute"}}')
    plenty = Request(f"https://{HOST}/", "youtube", bucket=YOUTUBE_UNITS)
    assert isinstance(ask(tmp_path / "quota", ScriptedHandler(hasty), plenty), TransientError)
    assert not make_ledger(tmp_path / "quota").usage(YOUTUBE_UNITS, NOW).is_exhausted


def test_requests_without_a_bucket_are_not_counted(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200))
    assert ask(tmp_path / "quota", handler, Request(f"https://{HOST}/", "hn")) is None
    assert list(tmp_path.iterdir()) == []


FEED_RESPONSE = httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")


def collect(root: Path, handler: ScriptedHandler, clock: FakeClock) -> Fetch:
    """Collect a subreddit in a session of its own."""

    async def work() -> list[Fetch]:
        async with make_session(make_settings(root), handler, clock) as session:
            return await collect_trends(REDDIT, TODAY, session=session, run_id="run")

    (fetch,) = run(work())
    return fetch


def test_the_next_process_obeys_a_stored_retry_after(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(429, headers={"Retry-After": "3600"}), FEED_RESPONSE)
    clock = FakeClock()
    assert collect(tmp_path, handler, clock).log["attempts"] == 1
    told = collect(tmp_path, handler, clock).log
    assert (told["outcome"], told["attempts"]) == ("transient_error", 0)
    assert told["detail"] == "www.reddit.com sent a Retry-After header that ends in 3600 s"
    run(clock.sleep(3600))
    assert collect(tmp_path, handler, clock).log["outcome"] == "ok"
    assert len(handler.requests) == 2


def test_a_short_retry_after_is_not_stored(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(429, headers={"Retry-After": "5"}), FEED_RESPONSE)
    collect(tmp_path, handler, FakeClock())
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("seconds", "later_s", "left"), [(60, 0, 60), (60, 60, None), (1e9, 0, 86_400)]
)
def test_a_stored_retry_after_ends_and_is_at_most_a_day(
    open_place: OpenPlace, seconds: float, later_s: float, left: float | None
) -> None:
    RetryAfterStore(open_place()).add("a.example", seconds, NOW)
    waits = RetryAfterStore(open_place()).remaining(NOW + timedelta(seconds=later_s))
    assert waits == ({} if left is None else {"a.example": left})


def test_a_wrong_clock_blocks_no_host(open_place: OpenPlace) -> None:
    RetryAfterStore(open_place()).add("a.example", 60, NOW + timedelta(days=300))
    assert RetryAfterStore(open_place()).remaining(NOW) == {}


def test_a_corrupt_file_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "parked"
    path.write_bytes(b"this is no database at all, not even a little one" * 99)
    assert RetryAfterStore(StateFile(path)).remaining(NOW) == {}
    RetryAfterStore(StateFile(path)).add("a.example", 60, NOW)
    assert RetryAfterStore(StateFile(path)).remaining(NOW) == {"a.example": 60}


def test_a_retry_after_stored_by_a_clock_ahead_is_invalid(open_place: OpenPlace) -> None:
    hosts = RetryAfterStore(open_place())
    hosts.add("a.example", 3600, NOW + timedelta(days=1200))
    assert hosts.remaining(NOW) == {}
    hosts.add("b.example", 60, NOW)
    assert hosts.remaining(NOW) == {"b.example": 60}
    assert hosts.remaining(NOW + timedelta(days=1200)) == {}


URL = f"https://{HOST}/feed"
FEED = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"
OTHER = CHANNELS.model_copy(update={"workspace_id": "other"})
PUBLIC = Request(URL, "hn", is_public=True)
LATER_S = 301.0
"""Slightly longer than a response is fresh."""


def ask_public(
    open_place: OpenPlace, handler: Handler, waits: list[float], request: Request = PUBLIC
) -> list[Exchange]:
    """Send a request, then again after each wait, each time with a new client."""
    clock = FakeClock()

    async def work(wait: float) -> Exchange:
        await clock.sleep(wait)
        kept = ResponseCache(open_place())
        async with make_client(handler, clock, cache=kept) as client:
            return await client.send(request)

    return [run(work(wait)) for wait in [0.0, *waits]]


def test_an_unchanged_response_has_the_cached_body(open_place: OpenPlace) -> None:
    first = httpx.Response(200, content=b"[1]", headers={"etag": '"v1"', "content-type": "a/b"})
    handler = ScriptedHandler(first, httpx.Response(304))
    before, after = ask_public(open_place, handler, [LATER_S])
    assert (before.status, after.status) == (200, 304)
    assert after.body == before.body == b"[1]"
    assert after.content_type == "a/b"
    assert after.is_usable
    assert after.fetched_at - before.fetched_at == timedelta(seconds=LATER_S)
    assert [each.headers.get("if-none-match") for each in handler.requests] == [None, '"v1"']


def test_last_modified_is_used_without_an_etag(open_place: OpenPlace) -> None:
    stamp = "Fri, 20 Nov 2026 10:00:00 GMT"
    first = httpx.Response(200, content=b"x", headers={"last-modified": stamp})
    handler = ScriptedHandler(first, httpx.Response(304))
    ask_public(open_place, handler, [LATER_S])
    assert handler.requests[1].headers["if-modified-since"] == stamp


def test_a_fresh_response_is_reused(open_place: OpenPlace) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    first, again, later = ask_public(open_place, handler, [299.0, 1.0])
    assert again == replace(first, attempts=0)
    assert again.fetched_at == NOW
    assert later.attempts == 1
    assert len(handler.requests) == 2


def test_a_revalidated_response_is_fresh_again(open_place: OpenPlace) -> None:
    handler = ScriptedHandler(
        httpx.Response(200, content=b"[1]", headers={"etag": "1"}), httpx.Response(304)
    )
    _, confirmed, again = ask_public(open_place, handler, [LATER_S, 10.0])
    assert (again.status, again.attempts, again.body) == (200, 0, b"[1]")
    assert again.fetched_at == confirmed.fetched_at


def test_yesterdays_response_is_not_fresh() -> None:
    midnight = NOW.replace(hour=0)
    kept = Exchange(URL, 200, {}, b"x", midnight - timedelta(seconds=5))
    assert is_fresh(kept, PUBLIC, midnight - timedelta(seconds=1))
    assert not is_fresh(kept, PUBLIC, midnight + timedelta(seconds=1))


def test_a_response_from_the_future_is_not_fresh() -> None:
    assert not is_fresh(Exchange(URL, 200, {}, b"x", NOW + timedelta(hours=1)), PUBLIC, NOW)


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
    open_place: OpenPlace, answered: httpx.Response, ending: AbstractContextManager[object]
) -> None:

    async def work() -> None:
        async with make_client(
            lambda _: answered, FakeClock(), cache=ResponseCache(open_place())
        ) as client:
            with ending:
                await client.send(PUBLIC)

    run(work())
    assert ResponseCache(open_place()).find(URL) is None


def test_responses_that_are_not_public_are_not_cached(tmp_path: Path) -> None:
    private = Request(URL, "hn", secrets={"Authorization": "Bearer one-of-many-tokens"})
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]", headers={"etag": '"v1"'}))
    ask_public(lambda: StateFile(tmp_path / "answers"), handler, [1.0], private)
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


def ask_at_once(open_place: OpenPlace, handler: Handler) -> list[Exchange | BaseException]:
    """Three concurrent clients send the same request; a response takes half a second."""
    clock = SharedClock()

    async def ask_one() -> Exchange:
        async with make_client(handler, clock, cache=ResponseCache(open_place())) as client:
            return await client.send(PUBLIC)

    async def work() -> list[Exchange | BaseException]:
        return await asyncio.gather(*(ask_one() for _ in range(3)), return_exceptions=True)

    return run(work())


def test_concurrent_requests_are_coalesced(open_place: OpenPlace) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    answers = ask_at_once(open_place, handler)
    assert len(handler.requests) == 1
    told = [answer for answer in answers if isinstance(answer, Exchange)]
    assert [answer.body for answer in told] == [b"[1]"] * 3
    assert sorted(answer.attempts for answer in told) == [0, 0, 1]


def test_concurrent_requests_in_a_long_queue_are_sent_once(open_place: OpenPlace) -> None:
    """The host's queue is longer than a claim lasts."""
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    present = SharedClock()
    others = [replace(PUBLIC, url=f"{URL}/{number}") for number in range(40)]

    async def work() -> list[Exchange]:
        limiter = RateLimiter({HOST: 2.0}, present.monotonic)
        cache = ResponseCache(open_place())
        async with make_client(handler, present, cache=cache, rate_limiter=limiter) as client:
            asked = [client.send(request) for request in [*others, *[PUBLIC] * 10]]
            return await asyncio.gather(*asked)

    responses = run(work())
    assert len(handler.requests) == len(others) + 1
    assert sorted(one.attempts for one in responses[len(others) :]) == [0] * 9 + [1]


def test_a_waiting_request_is_sent_if_the_first_fails(open_place: OpenPlace) -> None:
    handler = ScriptedHandler(httpx.Response(404), httpx.Response(200, content=b"[1]"))
    answers = ask_at_once(open_place, handler)
    assert len(handler.requests) == 2
    assert sum(isinstance(answer, PermanentError) for answer in answers) == 1


def test_the_claim_of_a_killed_process_expires_after_a_minute(open_place: OpenPlace) -> None:
    assert ResponseCache(open_place()).claim(URL, NOW)
    assert not ResponseCache(open_place()).claim(URL, NOW)
    clock = FakeClock()

    async def work() -> Exchange:
        handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
        async with make_client(handler, clock, cache=ResponseCache(open_place())) as client:
            return await client.send(PUBLIC)

    assert run(work()).attempts == 1
    assert 60 <= sum(clock.slept) < 61


def test_waiting_for_a_claim_ends_if_the_clock_does_not_advance(open_place: OpenPlace) -> None:
    assert ResponseCache(open_place()).claim(URL, NOW)
    clock = FakeClock()

    async def work() -> Exchange:
        handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
        cache = ResponseCache(open_place())
        async with make_client(handler, clock, clock=lambda: NOW, cache=cache) as client:
            return await client.send(PUBLIC)

    assert run(work()).body == b"[1]"


def test_a_claim_from_the_future_is_invalid(open_place: OpenPlace) -> None:
    kept = ResponseCache(open_place())
    assert kept.claim(URL, NOW + timedelta(days=400))
    assert kept.claim(URL, NOW)


def test_only_the_newest_responses_are_cached(open_place: OpenPlace) -> None:
    kept = ResponseCache(open_place(), max_entries=10)
    for number in range(25):
        at = NOW + timedelta(seconds=number)
        kept.store(Exchange(f"{URL}/{number}", 200, {}, b"x", at))
        known = [each for each in range(25) if kept.find(f"{URL}/{each}")]
        assert known == list(range(known[0], number + 1))
        assert min(number + 1, 9) <= len(known) <= 10


def test_the_cache_stays_within_its_size(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    kept = ResponseCache(StateFile(path), max_bytes=100_000)
    for number in range(60):
        noise = b"".join(b"%x" % (number * 7919 + n**3) for n in range(4000))
        at = NOW + timedelta(seconds=number)
        kept.store(Exchange(f"{URL}/{number}", 200, {}, noise, at))
    assert kept.find(f"{URL}/59") is not None
    assert kept.find(f"{URL}/0") is None
    assert path.stat().st_size < 250_000


def test_a_response_of_last_month_is_removed(open_place: OpenPlace) -> None:
    kept = ResponseCache(open_place())
    kept.store(Exchange(f"{URL}/old", 200, {}, b"x", NOW - timedelta(days=30)))
    kept.store(Exchange(URL, 200, {}, b"x", NOW))
    assert kept.find(f"{URL}/old") is None
    assert kept.find(URL) is not None


def test_responses_from_the_future_are_removed(open_place: OpenPlace) -> None:
    kept = ResponseCache(open_place(), max_entries=10)
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
def test_a_corrupt_cache_counts_as_empty(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "answers"
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]", headers={"etag": "1"}))
    ask_public(lambda: StateFile(path), handler, [])
    damage(path)
    before, after = ask_public(lambda: StateFile(path), handler, [1.0])
    assert before.body == after.body == b"[1]"
    assert after.attempts == 0
    assert len(handler.requests) == 2


@pytest.fixture(scope="module")
def good_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a few responses."""
    path = tmp_path_factory.mktemp("good") / "answers"
    for number in range(4):
        kept = Exchange(f"{URL}/{number}", 200, {"etag": "1"}, BODY * number, NOW)
        ResponseCache(StateFile(path)).store(kept)
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
    kept = ResponseCache(StateFile(path))
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
        assert ResponseCache(StateFile(tmp_path / "answers")).find(URL) is None
    assert "is damaged" in caplog.text
    assert "is created again" in caplog.text


def test_a_corrupt_file_that_cannot_be_removed_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answers").write_bytes(b"this is no database at all, not even a little one" * 99)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with caplog.at_level(logging.WARNING):
        assert ResponseCache(StateFile(tmp_path / "answers")).find(URL) is None
    assert "cannot be removed: [Errno 30] Read-only file system" in caplog.text


def test_a_folder_that_cannot_be_created_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    handler = ScriptedHandler(httpx.Response(200, content=b"[1]"))
    answers = ask_public(lambda: StateFile(tmp_path / "file" / "answers"), handler, [1.0])
    assert [answer.body for answer in answers] == [b"[1]"] * 2
    assert "is ignored" in caplog.text


_WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.http.state import ResponseCache
from ytap_assets.sources.http.state_file import StateFile
kept = ResponseCache(StateFile(Path(sys.argv[1])))
for number in range(40):
    at = datetime(2026, 11, 20, 12, 0, number, tzinfo=UTC)
    kept.store(Exchange(f"https://api.example/{sys.argv[2]}/{number}", 200, {}, b"x" * 999, at))
    assert kept.find("https://api.example/shared") is not None
    kept.store(Exchange("https://api.example/shared", 200, {}, sys.argv[2].encode() * 999, at))
"""


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    ResponseCache(StateFile(path)).store(Exchange("https://api.example/shared", 200, {}, b"x", NOW))
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
    kept = ResponseCache(StateFile(path))
    for number in range(3):
        for each in range(40):
            assert kept.find(f"https://api.example/{number}/{each}") is not None
