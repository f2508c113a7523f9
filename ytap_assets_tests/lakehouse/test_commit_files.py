"""Commits whose answer is lost: a proxy between the lake and its server loses it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.catalog import check_files
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.commit_files import CommitFiles
from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.errors import CatalogUnreachableError, LakeDamagedError
from ytap_assets.lakehouse.files import COMMITS
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.databases import Lakes, Server, change_catalog
from ytap_assets_tests.fault_proxies import Proxy, run_proxy
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    NOTES,
    RUN,
    SAMPLES,
    notes,
    one_day,
    publish,
)


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    """Between the lakes and the server."""
    with run_proxy("postgres", *server.address) as running:
        yield running


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest, server: Server, proxy: Proxy, tmp_path: Path
) -> Iterator[Settings]:
    """Where there is no lake yet; its catalog is reached through the proxy."""
    bucket = request.getfixturevalue("bucket") if request.param == "s3" else None
    settings = Lakes(server, bucket, proxy.port).place(tmp_path)
    yield settings
    proxy.order("pass")
    server.drop(str(settings.database))


@pytest.fixture
def lake(place: Settings) -> Iterator[Lake]:
    """A lake with version 1, which waits for nothing."""
    Lake.create(place, tables=SAMPLES).close()
    with Lake.open(place, tables=SAMPLES, sleep=lambda _: None) as lake:
        _publish(lake, 1)
        yield lake


def _publish(lake: Lake, version: int) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))


def _versions(lake: Lake) -> list[int]:
    return lake.reader("tech").read(NOTES)["version"].to_list()


def _kept(lake: Lake) -> set[str]:
    return set(find_files(lake.settings).beside(COMMITS).list_parquet())


@pytest.mark.parametrize("fault", ["lose-answer", "commit-later"])
def test_a_commit_whose_answer_is_lost_is_found_and_readable(
    lake: Lake, proxy: Proxy, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.order(fault)
    with caplog.at_level(logging.WARNING):
        _publish(lake, 2)
    assert proxy.order("pass") == 1
    assert "snapshot 3" in caplog.text
    assert (_versions(lake), _kept(lake)) == ([2, 2], set())
    with Lake.open(lake.settings, tables=SAMPLES) as other:
        assert _versions(other) == [2, 2]
        _publish(other, 3)
    assert _versions(lake) == [3, 3]


def test_a_commit_that_did_not_arrive_is_none(lake: Lake, proxy: Proxy) -> None:
    before = set(find_files(lake.settings).list_parquet())
    proxy.order("lose-commit")
    with pytest.raises(CatalogUnreachableError, match="run the command again"):
        _publish(lake, 2)
    assert proxy.order("pass") == 1
    assert (_versions(lake), _kept(lake)) == ([1, 1], set())
    assert set(find_files(lake.settings).list_parquet()) == before


def test_what_a_transaction_writes_and_replaces_is_not_looked_for(lake: Lake, proxy: Proxy) -> None:
    proxy.order("lose-answer")
    with lake.write(RUN) as transaction:
        for version in (2, 3):
            frame = notes("tech", [DAY], "ab", version=version)
            transaction.publish_all([check_rows(NOTES, frame, one_day("tech"))])
    assert proxy.order("pass") == 1
    assert (_versions(lake), _kept(lake)) == ([3, 3], set())


def test_a_merge_whose_answer_is_lost_is_found(lake: Lake, proxy: Proxy) -> None:
    for version in range(2, 6):
        publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))
        later = DAY + timedelta(days=version)
        publish(lake, NOTES, notes("tech", [later], "ab"), one_day("tech", later))
    rows = lake.reader("tech").read(NOTES).sort("day", "note_id")
    proxy.order("lose-answer")
    maintain(lake, NOW, RUN)
    assert proxy.order("pass") == 1
    assert lake.reader("tech").read(NOTES).sort("day", "note_id").equals(rows)
    assert _kept(lake) == set()


@pytest.mark.parametrize(("way", "is_made"), [("open", True), ("maintain", True), ("open", False)])
def test_a_commit_in_doubt_is_put_in_order_later(
    lake: Lake, proxy: Proxy, way: str, is_made: bool
) -> None:
    proxy.order("lose-answer-and-server" if is_made else "lose-commit-and-server")
    with pytest.raises(CatalogUnreachableError, match="not known"):
        _publish(lake, 2)
    assert len(_kept(lake)) == 1
    assert proxy.order("pass") == 1
    if is_made:
        with pytest.raises(LakeDamagedError, match="`ytap maintain` puts them back"):
            check_files(lake.catalog.read_facts(), lake.catalog, find_files(lake.settings))
    ways: dict[str, Callable[[], object]] = {
        "open": lambda: Lake.open(lake.settings, tables=SAMPLES).close(),
        "maintain": lambda: maintain(lake, NOW, RUN),
    }
    ways[way]()
    assert _versions(lake) == ([2, 2] if is_made else [1, 1])


def test_a_restore_keeps_the_files_of_a_commit_in_doubt(
    lake: Lake, proxy: Proxy, tmp_path: Path
) -> None:
    back_up(lake.settings, tmp_path / "backup", NOW)
    proxy.order("lose-answer-and-server")
    with pytest.raises(CatalogUnreachableError):
        _publish(lake, 2)
    proxy.order("pass")
    [file] = [name.partition("/")[2] for name in _kept(lake)]
    lake.close()
    restore(lake.settings, tmp_path / "backup", NOW)
    assert file in find_files(lake.settings).beside(f".before-{NOW:%Y%m%dT%H%M%S%f}").list_parquet()
    with Lake.open(lake.settings, tables=SAMPLES) as again:
        assert _versions(again) == [1, 1]


def test_what_was_kept_goes_after_an_hour(lake: Lake, proxy: Proxy) -> None:
    proxy.order("lose-answer-and-server")
    with pytest.raises(CatalogUnreachableError):
        _publish(lake, 2)
    proxy.order("pass")
    written = max(state.modified_at for state in find_files(lake.settings).list_parquet().values())
    now = NOW + timedelta(seconds=written - NOW.timestamp())
    files = CommitFiles(lake.catalog, find_files(lake.settings), lambda _: None)
    assert files.recover(now) == 1
    assert len(_kept(lake)) == 1
    assert files.recover(now + timedelta(hours=1, minutes=5)) == 0
    assert (_versions(lake), _kept(lake)) == ([2, 2], set())


def test_every_file_of_a_commit_is_kept(
    lake: Lake, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is what the catalog refers to since: of all partitions, and of deletes, too."""
    kept: list[set[str]] = []
    keep = CommitFiles.keep

    def note(files: CommitFiles, connection: object, commit_id: str) -> None:
        keep(files, connection, commit_id)  # type: ignore[arg-type]
        kept.append({name.partition("/")[2] for name in _kept(lake)})

    monkeypatch.setattr(CommitFiles, "keep", note)
    names = [f"w{number}" for number in range(40)]
    days = [DAY, DAY + timedelta(days=1)]
    parts = [
        check_rows(NOTES, notes(name, days, "ab", version=2), Scope(name, *days))
        for name in ("tech", *names)
    ]
    with lake.all_cores(), lake.write(RUN) as transaction:
        transaction.publish_all(parts)
    _publish(lake, 2)
    new = change_catalog(
        lake.settings,
        "SELECT path, begin_snapshot FROM ytap.ducklake_data_file UNION ALL"
        " SELECT path, begin_snapshot FROM ytap.ducklake_delete_file",
    )
    made = [{Path(name).name for name, snapshot in new if snapshot == number} for number in (3, 4)]
    assert [{Path(name).name for name in names} for names in kept] == made
    assert [len(names) for names in made] == [41, 2]
