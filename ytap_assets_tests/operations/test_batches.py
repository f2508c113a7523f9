"""What was fetched is stored while more is being fetched; what is refused takes nothing along."""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations import batches as batching
from ytap_assets.operations.batches import Batches
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import Stored
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, RAW_PAYLOADS, RAW_TRENDS
from ytap_assets_tests.operations.test_store import AT, RUN, fetch, of, trend


def batches_of(platform: Platform) -> Batches:
    return Batches(platform, RAW_TRENDS, RUN)


def one(name: str, **log: Any) -> Fetch:
    return fetch([trend(name, collection_id=name)], collection_id=name, **log)


def total_of(batches: Batches, days: Days | None = None) -> Stored:
    total = batches.total("tech", days)
    assert isinstance(total, Stored)
    return total


def stored(platform: Platform) -> list[str]:
    names = platform.lake.reader("tech").read(COLLECTION_LOG).get_column("collection_id")
    return sorted(names.to_list())


def refused(name: str) -> Fetch:
    good = one(name)
    return dataclasses.replace(good, rows=good.rows.drop("title"))


def store_all(platform: Platform, *fetches: Fetch, end: BaseException | None = None) -> Batches:
    with batches_of(platform) as batches:
        for each in fetches:
            batches.add(each)
            batches.commit_if_large()
        if end is not None:
            raise end
    return batches


def test_everything_is_one_commit_while_it_is_little(platform: Platform) -> None:
    before = platform.lake.snapshot_id()
    with batches_of(platform) as batches:
        batches.add(one("a"))
        batches.add(one("b"))
        assert stored(platform) == []
    assert stored(platform) == ["a", "b"]
    total = total_of(batches)
    assert total.snapshot_id == platform.lake.snapshot_id() == before + 1


def test_many_rows_are_stored_before_the_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_ROWS_PER_COMMIT", 2)
    with batches_of(platform) as batches:
        for name in "abc":
            batches.add(one(name))
            batches.commit_if_large()
        assert stored(platform) == ["a", "b"]
    assert stored(platform) == ["a", "b", "c"]


def test_large_bodies_are_stored_before_the_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_BYTES_PER_COMMIT", 3)
    payload = {
        "workspace_id": "tech",
        "day": AT.date(),
        "payload_id": "a-0000",
        "collection_id": "a",
        "source": "hn",
        "url": "https://hn.algolia.com/",
        "http_status": 200,
        "fetched_at": AT,
        "size_bytes": 3,
        "sha256": "0",
        "is_truncated": False,
        "body": b"[1]",
    }
    with batches_of(platform) as batches:
        batches.add(dataclasses.replace(one("a"), payloads=RAW_PAYLOADS.frame([payload])))
        batches.commit_if_large()
        assert stored(platform) == ["a"]


def test_the_total_speaks_of_all_commits(platform: Platform) -> None:
    with batches_of(platform) as batches:
        batches.add(one("a"))
        batches.commit()
        batches.add(fetch([trend("a"), trend("b")]))
    total = total_of(batches)
    assert total.frame.get_column("item_id").to_list() == ["a", "b"]
    assert total.snapshot_id == platform.lake.snapshot_id()
    assert total.log.get_column("duplicates").to_list() == [0, 1]
    assert {result.name for result in total.results} == {"schema", "key", "partition"}
    assert total.log.get_column("collection_id").to_list() == ["a", "c1"]


def test_the_total_of_nothing_has_its_checks(platform: Platform) -> None:
    with batches_of(platform) as batches:
        pass
    total = total_of(batches)
    assert (total.frame.height, total.log.height, len(total.results)) == (0, 0, 3)


def test_what_was_added_is_stored_whatever_ends_the_block(platform: Platform) -> None:
    with pytest.raises(KeyboardInterrupt):
        store_all(platform, one("a"), end=KeyboardInterrupt())
    assert stored(platform) == ["a"]


def test_a_refused_fetch_takes_no_other_along(
    platform: Platform, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_ROWS_PER_COMMIT", 3)
    of_another_day = one("d", day=AT.date() + timedelta(days=1))
    batches = store_all(
        platform, one("a"), refused("b"), one("c"), of("finance", trend("e")), of_another_day
    )
    assert stored(platform) == ["a", "c", "d"]
    assert isinstance(batches.total("tech"), pl.exceptions.ShapeError)
    assert isinstance(batches.total("finance"), Stored)
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.getMessage().startswith("tech hn front_page is not stored: ")


def test_a_total_of_some_days_speaks_of_these_alone(platform: Platform) -> None:
    later = AT.date() + timedelta(days=1)
    rows = [trend("b", day=later, collection_id="b")]
    batches = store_all(platform, refused("a"), fetch(rows, collection_id="b", day=later))
    assert isinstance(batches.total("tech", (AT.date(), AT.date())), pl.exceptions.ShapeError)
    total = total_of(batches, (later, later))
    assert total.frame["item_id"].to_list() == total.log["collection_id"].to_list() == ["b"]
    other = total_of(batches, (later + timedelta(days=1),) * 2)
    assert (other.frame.height, other.log.height) == (0, 0)


def test_a_lake_that_fails_is_not_tried_fetch_by_fetch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(self: Lake, run: object) -> None:
        calls.append(run)
        raise OSError("no space")

    monkeypatch.setattr(Lake, "write", fail)
    with pytest.raises(OSError, match="no space"):
        store_all(platform, one("a"), one("b"))
    assert len(calls) == 1
