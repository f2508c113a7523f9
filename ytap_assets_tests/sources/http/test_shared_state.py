"""The ledger, the cache and the parked hosts that several machines share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ytap_assets.domain.source_profiles import BUCKETS, YOUTUBE_SEARCH, YOUTUBE_UNITS, Bucket
from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.doctor import examine
from ytap_assets.settings import Settings
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.exchange import Exchange, PermanentError, QuotaExhaustedError
from ytap_assets.sources.http.shared_state import StateDatabase
from ytap_assets.sources.http.state import (
    QuotaLedger,
    QuotaUsage,
    ResponseCache,
    RetryAfterStore,
    open_ledger,
)
from ytap_assets.sources.source import Fetch
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.databases import Server, change_catalog
from ytap_assets_tests.sources.support import (
    CHANNELS,
    HOST,
    ScriptedHandler,
    make_session,
    run,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW = Bucket("few", 3)
URL = f"https://{HOST}/feed"
FEED = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"
MANY = Bucket("many", 40)


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Iterator[Settings]:
    url = server.url()
    yield Settings.from_env({"YTAP_DATA": str(tmp_path / "one"), "YTAP_CATALOG": url})
    server.drop(url)


@pytest.fixture
def make_ledger(settings: Settings) -> Callable[[], QuotaLedger]:
    """The ledger as another machine opens it."""
    assert settings.database is not None
    database = settings.database
    return lambda: QuotaLedger(StateDatabase(database), (*BUCKETS, FEW, MANY))


def test_machines_count_in_one_ledger(
    settings: Settings, make_ledger: Callable[[], QuotaLedger], tmp_path: Path
) -> None:
    assert not make_ledger().exists()
    for _ in range(FEW.limit):
        make_ledger().reserve(FEW, NOW)
    assert make_ledger().exists()
    with pytest.raises(QuotaExhaustedError, match="limit of 3 calls"):
        make_ledger().reserve(FEW, NOW)
    assert make_ledger().usage(FEW, NOW) == QuotaUsage(3, is_exhausted=False)
    make_ledger().reserve(FEW, NOW + timedelta(days=1))
    other = replace(settings, data=tmp_path / "two")
    assert open_ledger(other).exists()
    assert not settings.state.exists()


def test_a_bucket_that_the_platform_calls_exhausted_is_so_for_all(
    make_ledger: Callable[[], QuotaLedger],
) -> None:
    make_ledger().mark_exhausted(FEW, NOW)
    with pytest.raises(QuotaExhaustedError, match="platform reports"):
        make_ledger().reserve(FEW, NOW)
    make_ledger().reserve(YOUTUBE_UNITS, NOW)


def test_nobody_spends_one_call_too_many(make_ledger: Callable[[], QuotaLedger]) -> None:
    def spend(_: int) -> int:
        ledger, made = make_ledger(), 0
        for _ in range(10):
            try:
                ledger.reserve(MANY, NOW)
            except QuotaExhaustedError:
                break
            made += 1
        return made

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(8))) == MANY.limit
    assert make_ledger().usage(MANY, NOW).calls == MANY.limit


def test_a_wrong_clock_and_a_corrupt_row_refuse_requests(
    settings: Settings, make_ledger: Callable[[], QuotaLedger]
) -> None:
    make_ledger().reserve(FEW, NOW + timedelta(days=3))
    with pytest.raises(PermanentError, match="the clock is behind"):
        make_ledger().reserve(FEW, NOW)
    change_catalog(settings, "UPDATE ytap_state.spending SET bucket = 'feu'")
    with pytest.raises(PermanentError, match="unknown bucket"):
        make_ledger().usage(FEW, NOW + timedelta(days=3))


def test_the_ledger_is_bounded(settings: Settings, make_ledger: Callable[[], QuotaLedger]) -> None:
    for day in range(70):
        make_ledger().reserve(FEW, NOW + timedelta(days=day))
    assert change_catalog(settings, "SELECT count(*) FROM ytap_state.spending") == [(60,)]
    assert make_ledger().usage(FEW, NOW + timedelta(days=69)).calls == 1


def test_a_server_that_does_not_answer_refuses_requests(settings: Settings) -> None:
    assert settings.database is not None
    parameters = tuple((dict(settings.database.parameters) | {"port": "1"}).items())
    ledger = QuotaLedger(StateDatabase(replace(settings.database, parameters=parameters)))
    with pytest.raises(PermanentError, match=r"127\.0\.0\.1:1/"):
        ledger.reserve(YOUTUBE_UNITS, NOW)


def test_a_restore_of_the_lake_leaves_the_ledger_alone(
    settings: Settings, make_ledger: Callable[[], QuotaLedger], tmp_path: Path
) -> None:
    Lake.create(settings).close()
    backup = back_up(settings, tmp_path / "backup", NOW)
    make_ledger().reserve(FEW, NOW)
    restore(settings, backup.folder, NOW)
    assert make_ledger().usage(FEW, NOW).calls == 1


def test_a_check_up_shows_what_is_counted_there(settings: Settings) -> None:
    Lake.create(settings).close()
    open_ledger(settings).reserve(YOUTUBE_UNITS, NOW)
    subjects = {one.subject: one.detail for one in examine(settings, now=NOW)}
    assert subjects[f"quota {YOUTUBE_UNITS.name}"].startswith("1 of ")


def place_of(settings: Settings) -> StateDatabase:
    assert settings.database is not None
    return StateDatabase(settings.database)


def test_hosts_that_asked_for_a_pause_are_known_to_all(settings: Settings) -> None:
    RetryAfterStore(place_of(settings)).add("a.example", 60, NOW)
    assert RetryAfterStore(place_of(settings)).remaining(NOW) == {"a.example": 60}


def test_two_machines_ask_for_a_page_once(settings: Settings, tmp_path: Path) -> None:
    handler = ScriptedHandler(httpx.Response(200, content=FEED))
    there = replace(settings, data=tmp_path / "two", transport="live")
    here = replace(settings, transport="live")

    async def work(place: Settings, workspace: Workspace) -> list[Fetch]:
        async with make_session(place, handler, use_cache=True) as session:
            return await collect_trends(workspace, NOW.date(), session=session, run_id="run")

    [first] = run(work(here, CHANNELS))
    [second] = run(work(there, CHANNELS.model_copy(update={"workspace_id": "other"})))

    assert len(handler.requests) == 1
    assert (first.log["attempts"], second.log["attempts"]) == (1, 0)
    assert second.payloads["body"].to_list() == [FEED]
    assert not any(place.state.exists() for place in (here, there))


def test_a_server_that_is_gone_fails_no_fetch(
    settings: Settings, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings.database is not None
    parameters = tuple((dict(settings.database.parameters) | {"port": "1"}).items())
    cache = ResponseCache(StateDatabase(replace(settings.database, parameters=parameters)))
    assert cache.claim(URL, NOW)
    cache.store(Exchange(URL, 200, {}, b"x", NOW))
    assert cache.find(URL) is None
    cache.release(URL)
    assert "a moment ago" in caplog.text  # it is not asked again for each of them


def test_a_connection_that_ended_is_made_again(settings: Settings, server: Server) -> None:
    place = place_of(settings)
    cache, ledger = ResponseCache(place), QuotaLedger(place, (FEW,))
    cache.store(Exchange(URL, 200, {}, b"x", NOW))
    ledger.reserve(FEW, NOW)
    server.end_sessions(str(settings.database))
    ledger.reserve(FEW, NOW)
    server.end_sessions(str(settings.database))
    found = cache.find(URL)
    assert found is not None
    assert found.body == b"x"
    assert ledger.usage(FEW, NOW).calls == 2


def test_a_schema_that_was_dropped_is_made_again(settings: Settings) -> None:
    place = place_of(settings)
    cache, ledger = ResponseCache(place), QuotaLedger(place, (FEW,))
    cache.store(Exchange(URL, 200, {}, b"x", NOW))
    ledger.reserve(FEW, NOW)
    change_catalog(settings, "DROP SCHEMA ytap_state CASCADE; COMMIT")
    ledger.reserve(FEW, NOW)
    assert ledger.usage(FEW, NOW).calls == 1
    assert cache.find(URL) is None
    cache.store(Exchange(URL, 200, {}, b"x", NOW))
    assert cache.find(URL) is not None


def test_a_response_that_was_changed_is_not_used(settings: Settings) -> None:
    cache = ResponseCache(place_of(settings))
    cache.store(Exchange(URL, 200, {}, b"x", NOW))
    change_catalog(settings, "UPDATE ytap_state.answers SET body = 'y'; COMMIT")
    assert cache.find(URL) is None
    cache.store(Exchange(URL, 200, {}, b"z", NOW))
    assert cache.find(URL) is not None


def test_a_ledger_that_is_locked_for_long_refuses_and_does_not_hang(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ytap_assets.sources.http.shared_state.LOCK_TIMEOUT_S", 0.05)
    with place_of(settings).open(is_durable=True):
        with pytest.raises(PermanentError, match="lock timeout"):
            QuotaLedger(place_of(settings), (FEW,)).reserve(FEW, NOW)
        assert ResponseCache(place_of(settings)).find(URL) is None
    QuotaLedger(place_of(settings), (FEW,)).reserve(FEW, NOW)


_SPENDER = """
import itertools, sys
from datetime import UTC, datetime
from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH
from ytap_assets.settings import Settings
from ytap_assets.sources.http.exchange import QuotaExhaustedError
from ytap_assets.sources.http.state import open_ledger
ledger = open_ledger(Settings.from_env())
print("ready", flush=True)
sys.stdin.readline()
for number in itertools.count(1):
    try:
        ledger.reserve(YOUTUBE_SEARCH, datetime(2026, 11, 20, 12, tzinfo=UTC))
    except QuotaExhaustedError:
        break
    print(number, flush=True)
"""


def start_spender(settings: Settings, home: Path, program: str = _SPENDER) -> subprocess.Popen[str]:
    """A process of another machine: with a home and a data folder of its own."""
    home.mkdir(exist_ok=True)
    places = {"HOME": str(home), "YTAP_DATA": str(home / "data")}
    env = {**os.environ, **places, "YTAP_CATALOG": str(settings.database)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


_HOLDER = """
import sys
from ytap_assets.settings import Settings
from ytap_assets.sources.http.state import open_state
with open_state(Settings.from_env())("quota.sqlite").open(is_durable=True):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_process_that_is_killed_in_a_reservation_holds_nobody_up(
    settings: Settings, tmp_path: Path
) -> None:
    with start_spender(settings, tmp_path / "host", _HOLDER) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        process.wait()
        QuotaLedger(place_of(settings), (FEW,)).reserve(FEW, NOW)


def release(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.soak
@pytest.mark.parametrize("killed", [0, 3])
def test_processes_of_two_machines_spend_to_the_last_call_and_no_further(
    settings: Settings, tmp_path: Path, killed: int
) -> None:
    """Eight processes; some are killed in the middle of their reservations."""
    processes = [start_spender(settings, tmp_path / f"host{number % 2}") for number in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        release(process)
    counted = 0
    for process in processes[:killed]:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()  # SIGKILL: between a reservation and the call, or within one
    for process in processes:
        told, _ = process.communicate(timeout=60)
        counted += len(told.splitlines())
    had = counted + killed  # each of those killed has told one line before
    usage = open_ledger(settings).usage(YOUTUBE_SEARCH, NOW)
    assert usage.calls == YOUTUBE_SEARCH.limit
    # What a killed process reserved without a call counts: at most one each.
    assert YOUTUBE_SEARCH.limit - killed <= had <= YOUTUBE_SEARCH.limit
    assert [process.returncode for process in processes[killed:]] == [0] * (8 - killed)
    with pytest.raises(QuotaExhaustedError):
        open_ledger(settings).reserve(YOUTUBE_SEARCH, NOW)
    assert not any(tmp_path.glob("host*/data/state"))
