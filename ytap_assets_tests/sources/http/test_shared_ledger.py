"""The quota ledger that several machines share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ytap_assets.domain.source_profiles import BUCKETS, YOUTUBE_UNITS, Bucket
from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.doctor import examine
from ytap_assets.settings import Settings
from ytap_assets.sources.http.exchange import PermanentError, QuotaExhaustedError
from ytap_assets.sources.http.shared_ledger import SharedQuotaLedger
from ytap_assets.sources.http.state import QuotaUsage, open_ledger
from ytap_assets_tests.databases import Server, change_catalog

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW = Bucket("few", 3)
MANY = Bucket("many", 40)


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Iterator[Settings]:
    url = server.url()
    yield Settings.from_env({"YTAP_DATA": str(tmp_path / "one"), "YTAP_CATALOG": url})
    server.drop(url)


@pytest.fixture
def make_ledger(settings: Settings) -> Callable[[], SharedQuotaLedger]:
    """The ledger as another machine opens it."""
    assert settings.database is not None
    database = settings.database
    return lambda: SharedQuotaLedger(database, (*BUCKETS, FEW, MANY))


def test_machines_count_in_one_ledger(
    settings: Settings, make_ledger: Callable[[], SharedQuotaLedger], tmp_path: Path
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
    assert isinstance(open_ledger(other), SharedQuotaLedger)
    assert not settings.state.exists()


def test_a_bucket_that_the_platform_calls_exhausted_is_so_for_all(
    make_ledger: Callable[[], SharedQuotaLedger],
) -> None:
    make_ledger().mark_exhausted(FEW, NOW)
    with pytest.raises(QuotaExhaustedError, match="platform reports"):
        make_ledger().reserve(FEW, NOW)
    make_ledger().reserve(YOUTUBE_UNITS, NOW)


def test_nobody_spends_one_call_too_many(make_ledger: Callable[[], SharedQuotaLedger]) -> None:
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
    settings: Settings, make_ledger: Callable[[], SharedQuotaLedger]
) -> None:
    make_ledger().reserve(FEW, NOW + timedelta(days=3))
    with pytest.raises(PermanentError, match="the clock is behind"):
        make_ledger().reserve(FEW, NOW)
    change_catalog(settings, "UPDATE ytap_state.spending SET bucket = 'feu'")
    with pytest.raises(PermanentError, match="unknown bucket"):
        make_ledger().usage(FEW, NOW + timedelta(days=3))


def test_the_ledger_is_bounded(
    settings: Settings, make_ledger: Callable[[], SharedQuotaLedger]
) -> None:
    for day in range(70):
        make_ledger().reserve(FEW, NOW + timedelta(days=day))
    assert change_catalog(settings, "SELECT count(*) FROM ytap_state.spending") == [(60,)]
    assert make_ledger().usage(FEW, NOW + timedelta(days=69)).calls == 1


def test_a_server_that_does_not_answer_refuses_requests(settings: Settings) -> None:
    assert settings.database is not None
    parameters = tuple((dict(settings.database.parameters) | {"port": "1"}).items())
    ledger = SharedQuotaLedger(replace(settings.database, parameters=parameters))
    with pytest.raises(PermanentError, match=r"127\.0\.0\.1:1/"):
        ledger.reserve(YOUTUBE_UNITS, NOW)


def test_a_restore_of_the_lake_leaves_the_ledger_alone(
    settings: Settings, make_ledger: Callable[[], SharedQuotaLedger], tmp_path: Path
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
