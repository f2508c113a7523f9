"""The quota ledger and the Retry-After store, across processes and with corrupt files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.source_profiles import BUCKETS, YOUTUBE_SEARCH, YOUTUBE_UNITS, Bucket
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.exchange import (
    PermanentError,
    QuotaExhaustedError,
    Request,
    SourceError,
    TransientError,
)
from ytap_assets.sources.http.state import QuotaLedger, QuotaUsage, RetryAfterStore
from ytap_assets.sources.source import Fetch
from ytap_assets_tests.sources.support import (
    HOST,
    NOW,
    REDDIT,
    TODAY,
    FakeClock,
    ScriptedHandler,
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


def open_ledger(path: Path) -> QuotaLedger:
    """A ledger that also knows `FEW`."""
    return QuotaLedger(path, (*BUCKETS, FEW))


def test_a_bucket_has_its_limit_and_is_full_after_its_reset(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "quota")
    for _ in range(3):
        ledger.reserve(FEW, NOW)
    for at in (NOW, RESET - timedelta(seconds=1)):
        with pytest.raises(QuotaExhaustedError, match="no request before 2026-11-21 08:00 UTC"):
            ledger.reserve(FEW, at)
    assert ledger.usage(FEW, NOW) == QuotaUsage(3, is_exhausted=False)
    ledger.reserve(FEW, RESET)
    assert ledger.usage(FEW, RESET) == QuotaUsage(1, is_exhausted=False)


def test_buckets_are_counted_separately_and_across_processes(tmp_path: Path) -> None:
    open_ledger(tmp_path / "quota").reserve(YOUTUBE_SEARCH, NOW)
    open_ledger(tmp_path / "quota").reserve(YOUTUBE_SEARCH, NOW)
    ledger = open_ledger(tmp_path / "quota")
    assert ledger.usage(YOUTUBE_SEARCH, NOW).calls == 2
    assert ledger.usage(YOUTUBE_UNITS, NOW).calls == 0


def test_a_bucket_reported_as_used_up_stays_so_until_the_reset(tmp_path: Path) -> None:
    open_ledger(tmp_path / "quota").mark_exhausted(FEW, NOW)
    ledger = open_ledger(tmp_path / "quota")
    with pytest.raises(QuotaExhaustedError, match="the platform reports it as used up"):
        ledger.reserve(FEW, NOW)
    ledger.reserve(YOUTUBE_UNITS, NOW)
    ledger.reserve(FEW, RESET)


def test_a_ledger_that_cannot_be_read_refuses_requests(tmp_path: Path) -> None:
    path = tmp_path / "quota"
    path.write_bytes(b"this is no database at all, not even a little one" * 99)
    with pytest.raises(PermanentError, match="requests that it counts are not sent"):
        open_ledger(path).reserve(FEW, NOW)


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
        open_ledger(path).reserve,
        open_ledger(path).mark_exhausted,
        open_ledger(path).usage,
    ):
        with pytest.raises(PermanentError, match="move it away: counting then starts at 0"):
            work(FEW, NOW)
    assert path.stat().st_size == before
    path.rename(tmp_path / "away")
    open_ledger(path).reserve(FEW, NOW)
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
    ledger = open_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute(f"UPDATE spending SET {change}")
        connection.commit()
    for work in (ledger.reserve, ledger.mark_exhausted, ledger.usage):
        with pytest.raises(PermanentError, match=r"the row .*move it away"):
            work(FEW, NOW)


def test_a_clock_that_was_ahead_loses_no_count(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    ledger.reserve(FEW, NOW + timedelta(days=3))
    with pytest.raises(PermanentError, match="the clock is behind, or was ahead") as caught:
        ledger.reserve(FEW, NOW)
    assert "until the reset of 2026-11-24 08:00 UTC" in str(caught.value)
    with closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute("SELECT sum(calls) FROM spending").fetchone() == (2,)


@pytest.mark.parametrize("days", [-1, -1200, 1200])
def test_a_clock_that_jumped_refuses_requests(tmp_path: Path, days: int) -> None:
    ledger = open_ledger(tmp_path / "quota")
    ledger.reserve(FEW, NOW)
    with pytest.raises(PermanentError, match="correct it"):
        ledger.reserve(FEW, NOW + timedelta(days=days))
    assert ledger.usage(FEW, NOW).calls == 1
    ledger.reserve(FEW, NOW + timedelta(days=60))  # no call for two months


def test_a_process_that_is_just_before_a_reset_is_not_behind(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "quota")
    ledger.reserve(FEW, RESET + timedelta(seconds=1))
    ledger.reserve(FEW, RESET - timedelta(seconds=1))
    for moment in (RESET - timedelta(seconds=1), RESET + timedelta(seconds=1)):
        assert ledger.usage(FEW, moment).calls == 1


def test_the_ledger_is_bounded(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "quota")
    for day in range(70):
        for bucket in (FEW, YOUTUBE_UNITS):
            ledger.reserve(bucket, NOW + timedelta(days=day))
    with closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute("SELECT count(*) FROM spending").fetchone() == (120,)
    assert ledger.usage(FEW, NOW + timedelta(days=69)).calls == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2**14), scar=st.binary(min_size=1, max_size=200), is_cut=st.booleans())
def test_a_corrupt_ledger_counts_or_refuses(
    tmp_path: Path, at: int, scar: bytes, is_cut: bool
) -> None:
    path = tmp_path / "quota"
    path.unlink(missing_ok=True)
    open_ledger(path).reserve(FEW, NOW)
    good = path.read_bytes()
    at %= len(good)
    path.write_bytes(good[:at] + scar + (b"" if is_cut else good[at + len(scar) :]))
    with suppress(PermanentError, QuotaExhaustedError):
        open_ledger(path).reserve(FEW, NOW)
        assert open_ledger(path).usage(FEW, NOW).calls >= 1


_SPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH
from ytap_assets.sources.http.exchange import QuotaExhaustedError
from ytap_assets.sources.http.state import QuotaLedger
had = 0
for _ in range(60):
    try:
        QuotaLedger(Path(sys.argv[1])).reserve(YOUTUBE_SEARCH, datetime(2026, 11, 20, tzinfo=UTC))
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
for number in itertools.count(1):
    QuotaLedger(Path(sys.argv[1])).reserve(YOUTUBE_UNITS, datetime(2026, 11, 20, tzinfo=UTC))
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
        counted = open_ledger(path).usage(YOUTUBE_UNITS, NOW - timedelta(hours=12)).calls
        assert least <= counted <= least + 1


def ask(path: Path, handler: ScriptedHandler, request: Request = ASKED) -> SourceError | None:
    """Send a request with a new client; the error."""

    async def work() -> SourceError | None:
        async with make_client(handler, FakeClock(), ledger=open_ledger(path)) as client:
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
    assert not open_ledger(tmp_path / "quota").usage(YOUTUBE_UNITS, NOW).is_exhausted


def test_requests_without_a_bucket_are_not_counted(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200))
    assert ask(tmp_path / "quota", handler, Request(f"https://{HOST}/", "hn")) is None
    assert list(tmp_path.iterdir()) == []


FEED = httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")


def collect(root: Path, handler: ScriptedHandler, clock: FakeClock) -> Fetch:
    """Collect a subreddit in a session of its own."""

    async def work() -> list[Fetch]:
        async with make_session(make_settings(root), handler, clock) as session:
            return await collect_trends(REDDIT, TODAY, session=session, run_id="run")

    (fetch,) = run(work())
    return fetch


def test_the_next_process_obeys_a_stored_retry_after(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(429, headers={"Retry-After": "3600"}), FEED)
    clock = FakeClock()
    assert collect(tmp_path, handler, clock).log["attempts"] == 1
    told = collect(tmp_path, handler, clock).log
    assert (told["outcome"], told["attempts"]) == ("transient_error", 0)
    assert told["detail"] == "www.reddit.com sent a Retry-After, which ends in 3600 s"
    run(clock.sleep(3600))
    assert collect(tmp_path, handler, clock).log["outcome"] == "ok"
    assert len(handler.requests) == 2


def test_a_short_retry_after_is_not_stored(tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(429, headers={"Retry-After": "5"}), FEED)
    collect(tmp_path, handler, FakeClock())
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("seconds", "later_s", "left"), [(60, 0, 60), (60, 60, None), (1e9, 0, 86_400)]
)
def test_a_stored_retry_after_ends_and_is_at_most_a_day(
    tmp_path: Path, seconds: float, later_s: float, left: float | None
) -> None:
    RetryAfterStore(tmp_path / "parked").add("a.example", seconds, NOW)
    waits = RetryAfterStore(tmp_path / "parked").remaining(NOW + timedelta(seconds=later_s))
    assert waits == ({} if left is None else {"a.example": left})


def test_a_wrong_clock_blocks_no_host(tmp_path: Path) -> None:
    RetryAfterStore(tmp_path / "parked").add("a.example", 60, NOW + timedelta(days=300))
    assert RetryAfterStore(tmp_path / "parked").remaining(NOW) == {}


def test_a_corrupt_file_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "parked"
    path.write_bytes(b"this is no database at all, not even a little one" * 99)
    assert RetryAfterStore(path).remaining(NOW) == {}
    RetryAfterStore(path).add("a.example", 60, NOW)
    assert RetryAfterStore(path).remaining(NOW) == {"a.example": 60}


def test_a_retry_after_stored_by_a_clock_ahead_is_invalid(tmp_path: Path) -> None:
    hosts = RetryAfterStore(tmp_path / "parked")
    hosts.add("a.example", 3600, NOW + timedelta(days=1200))
    assert hosts.remaining(NOW) == {}
    hosts.add("b.example", 60, NOW)
    assert hosts.remaining(NOW) == {"b.example": 60}
    assert hosts.remaining(NOW + timedelta(days=1200)) == {}
