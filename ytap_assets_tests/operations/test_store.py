"""Rows, evidence and counts go into the lake in one commit, and the counts add up."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import PublishRefusedError
from ytap_assets.lakehouse.errors import LockTimeoutError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import store as storing
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import Batches, Stored, store_fetches
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS

RUN = Run("run-1", "test", "store")
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
NUMBERS = count()


def trend(item_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "workspace_id": "tech",
        "day": AT.date(),
        "source": "hn",
        "item_id": item_id,
        "observed_at": AT,
        "title": f"Title {item_id}",
        "collection_id": "c1",
    }
    return row | changes


def fetch(
    rows: list[dict[str, Any]], *, collection_id: str = "c1", outcome: str = "ok", **log: Any
) -> Fetch:
    entry = {
        "workspace_id": "tech",
        "day": AT.date(),
        "collection_id": collection_id,
        "source": "hn",
        "target": "front_page",
        "history": "snapshot_only",
        "outcome": outcome,
        "attempts": 1,
        "started_at": AT,
        "finished_at": AT,
        "fetched": len(rows),
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": RUN.run_id,
    }
    return Fetch(
        log=entry | log,
        rows=RAW_TRENDS.frame(rows),
        quarantined=QUARANTINED_ROWS.empty(),
        payloads=RAW_PAYLOADS.empty(),
    )


def store(platform: Platform, *fetches: Fetch) -> Stored:
    """Store fetches of `tech`, none of which is refused."""
    stored = store_fetches(platform, RAW_TRENDS, fetches, RUN)["tech"]
    assert isinstance(stored, Stored)
    return stored


def of(workspace_id: str, *rows: dict[str, Any], **log: Any) -> Fetch:
    """A fetch of another workspace."""
    owned = [row | {"workspace_id": workspace_id} for row in rows]
    return fetch(owned, workspace_id=workspace_id, **log)


def counts(platform: Platform) -> list[tuple[Any, ...]]:
    names = ["collection_id", "fetched", "accepted", "quarantined", "duplicates"]
    log = platform.lake.reader("tech").read(COLLECTION_LOG, columns=names)
    return log.sort("collection_id").rows()


def test_rows_and_counts_are_stored_together(platform: Platform) -> None:
    stored = store(platform, fetch([trend("a"), trend("b")]))

    assert stored.frame.height == 2
    assert counts(platform) == [("c1", 2, 2, 0, 0)]


def test_rows_that_are_there_already_are_counted_as_duplicates_of_the_fetch_that_brought_them(
    platform: Platform,
) -> None:
    store(platform, fetch([trend("a")]))
    again = [trend("a", collection_id="c2"), trend("b", collection_id="c2")]
    twice = [trend("b", collection_id="c3"), trend("c", collection_id="c3")]

    store(platform, fetch(again, collection_id="c2"), fetch(twice, collection_id="c3"))

    assert counts(platform) == [("c1", 1, 1, 0, 0), ("c2", 2, 1, 0, 1), ("c3", 2, 1, 0, 1)]
    titles = platform.lake.reader("tech").read(RAW_TRENDS).sort("item_id").get_column("title")
    assert titles.to_list() == ["Title a", "Title b", "Title c"]


def test_storing_the_same_fetch_again_changes_nothing(platform: Platform) -> None:
    store(platform, fetch([trend("a")]))
    before = counts(platform)

    stored = store(platform, fetch([trend("a")]))

    assert stored.frame.height == 0
    assert counts(platform) == before


def test_what_differs_from_what_is_stored_is_stored_beside_it(platform: Platform) -> None:
    store(platform, fetch([trend("a", points=5)]))

    other = [trend("a", points=6, collection_id="c2"), trend("a", points=5, collection_id="c2")]
    store(platform, fetch(other, collection_id="c2"))

    assert counts(platform) == [("c1", 1, 1, 0, 0), ("c2", 2, 1, 0, 1)]
    rows = platform.lake.reader("tech").read(RAW_TRENDS).sort("part")
    assert rows.select("part", "points", "collection_id").rows() == [(0, 5, "c1"), (1, 6, "c2")]


def test_a_fetch_that_brings_more_when_stored_again_has_an_entry_of_its_own(
    platform: Platform,
) -> None:
    store(platform, fetch([trend("a")]))

    for points in (None, 5, 5, 6):  # as parsers that were fixed one after the other
        stored = store(platform, fetch([trend("a", points=points), trend("b", title=None)]))
        assert stored.log.select("fetched", "quarantined").row(0) == (2, 1)

    assert counts(platform) == [
        ("c1", 1, 1, 0, 0),
        ("c1-2", 2, 0, 1, 1),
        ("c1-3", 2, 1, 1, 0),
        ("c1-4", 2, 1, 1, 0),
    ]
    rows = platform.lake.reader("tech").read(RAW_TRENDS)
    assert rows.sort("part")["collection_id"].to_list() == ["c1", "c1-3", "c1-4"]
    assert platform.lake.reader("tech").read(QUARANTINED_ROWS)["collection_id"].item() == "c1-2"


def test_a_row_that_breaks_the_structure_is_put_aside_and_the_others_stay(
    platform: Platform,
) -> None:
    rows = [trend("a"), trend("b", workspace_id="finance"), trend("c", title=None), trend("")]

    stored = store(platform, fetch(rows))

    assert stored.frame.height == 1
    assert counts(platform) == [("c1", 4, 1, 3, 0)]
    aside = platform.lake.cross_reader().read_across(QUARANTINED_ROWS)
    assert set(aside.get_column("workspace_id")) == {"tech"}
    reasons = "\n".join(aside.get_column("reason"))
    assert "belongs to tech" in reasons
    assert "title: not_nullable" in reasons
    assert "item_id" in reasons


def test_a_frame_of_other_columns_is_refused_as_a_whole(platform: Platform) -> None:
    wrong = fetch([trend("a")])
    wrong = Fetch(wrong.log, wrong.rows.drop("title"), wrong.quarantined, wrong.payloads)

    good = of("finance", trend("a"))
    found = store_fetches(platform, RAW_TRENDS, [wrong, good], RUN)

    assert isinstance(found["tech"], PublishRefusedError | pl.exceptions.ShapeError)
    assert isinstance(found["finance"], Stored)
    log = platform.lake.cross_reader().read_across(COLLECTION_LOG)
    assert log.select("workspace_id", "accepted").rows() == [("finance", 1)]


def test_the_fetches_of_several_workspaces_are_one_commit_and_stay_apart(
    platform: Platform,
) -> None:
    """The same items, and the same names of collections."""
    store(platform, fetch([trend("a")]))
    before = platform.lake.snapshot_id()

    broken = trend("c", title=None)
    found = store_fetches(
        platform,
        RAW_TRENDS,
        [
            fetch([trend("a"), trend("b"), broken]),
            of("finance", trend("a"), broken, trend("a")),
            of("sports", outcome="transient_error"),
        ],
        RUN,
    )

    assert platform.lake.snapshot_id() == before + 1
    rows = {}
    for name, stored in found.items():
        assert isinstance(stored, Stored)
        rows[name] = stored.frame["item_id"].to_list()
        assert set(stored.log["workspace_id"]) == set(stored.frame["workspace_id"]) | {name}
        assert stored.snapshot_id == before + 1
    assert rows == {"tech": ["b"], "finance": ["a"], "sports": []}
    names = ["workspace_id", "collection_id", "fetched", "accepted", "quarantined", "duplicates"]
    log = platform.lake.cross_reader().read_across(COLLECTION_LOG, columns=names)
    assert log.sort("workspace_id", "collection_id").rows() == [
        ("finance", "c1", 3, 1, 1, 1),
        ("sports", "c1", 0, 0, 0, 0),
        ("tech", "c1", 1, 1, 0, 0),
        ("tech", "c1-2", 3, 1, 1, 1),
    ]
    aside = platform.lake.cross_reader().read_across(QUARANTINED_ROWS)
    assert sorted(aside["workspace_id"]) == ["finance", "tech"]


def test_a_refused_entry_of_the_log_takes_no_other_workspace_along(platform: Platform) -> None:
    wrong = fetch([trend("a")], outcome="lost")
    found = store_fetches(platform, RAW_TRENDS, [wrong, of("finance", trend("a"))], RUN)
    assert isinstance(found["tech"], PublishRefusedError)
    assert isinstance(found["finance"], Stored)
    assert counts(platform) == []
    assert platform.lake.reader("tech").read(RAW_TRENDS).is_empty()


BATCHES = st.lists(
    st.tuples(
        st.sampled_from(["tech", "finance", "sports"]),
        st.sampled_from(["c1", "c2", "c3"]),
        st.lists(
            st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 2), st.booleans()),
            max_size=4,
        ),
    ),
    max_size=5,
    unique_by=lambda one: one[:2],
)


@settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(batches=st.lists(BATCHES, min_size=2, max_size=2))
def test_storing_a_batch_is_storing_each_workspace_alone(
    platform: Platform, batches: list[list[tuple[str, str, list[tuple[str, int | None, bool]]]]]
) -> None:
    """Twice, under names that are new for each example; some rows lack their title."""
    example = next(NUMBERS)

    def fetches_of(batch: Any, prefix: str) -> list[Fetch]:
        return [
            of(
                f"{prefix}{name}{example}",
                *(
                    trend(item, points=points, collection_id=called, title=item if whole else None)
                    for item, points, whole in rows
                ),
                collection_id=called,
            )
            for name, called, rows in batch
        ]

    for batch in batches:
        together = fetches_of(batch, "t")
        store_fetches(platform, RAW_TRENDS, together, RUN)
        alone = fetches_of(batch, "a")
        for name in {one.log["workspace_id"] for one in alone}:
            own = [one for one in alone if one.log["workspace_id"] == name]
            store_fetches(platform, RAW_TRENDS, own, RUN)

    for table in (RAW_TRENDS, COLLECTION_LOG, QUARANTINED_ROWS):
        for name in ("tech", "finance", "sports"):
            both = [
                platform.lake.reader(f"{prefix}{name}{example}")
                .read(table)
                .drop("workspace_id", "quarantine_id", "original", strict=False)
                for prefix in "ta"
            ]
            assert_frame_equal(*both, check_row_order=False)


def test_a_day_that_was_answered_is_not_called_unrecoverable_afterwards(
    platform: Platform,
) -> None:
    store(platform, fetch([trend("a")]))

    store(
        platform,
        fetch([], collection_id="c2", outcome="unrecoverable"),
        fetch([], collection_id="c3", outcome="unrecoverable", target="by_date"),
    )

    assert [row[0] for row in counts(platform)] == ["c1", "c3"]


def test_a_file_that_is_named_like_a_target_is_no_answer_of_it(platform: Platform) -> None:
    store(platform, fetch([trend("a")], history="file"))

    store(platform, fetch([], collection_id="c2", outcome="unrecoverable"))

    assert [row[0] for row in counts(platform)] == ["c1", "c2"]


BEYOND = 2**63 - 1
"""An instant so far off that nothing can show it."""


def test_a_row_beyond_the_calendar_is_put_aside_and_so_are_rows_that_break_otherwise(
    platform: Platform,
) -> None:
    good = fetch([trend("a"), trend("b"), trend("c"), trend("d")])
    item = pl.col("item_id")
    broken = good.rows.with_columns(
        published_at=pl.when(item == "b").then(pl.lit(BEYOND).cast(pl.Datetime("us", "UTC"))),
        day=pl.when(item == "c").then(pl.lit(2**30, pl.Int32).cast(pl.Date)).otherwise("day"),
        title=pl.when(item != "d").then("title"),
    )
    stored = store(platform, dataclasses.replace(good, rows=broken))

    assert stored.frame.height == 1
    assert counts(platform) == [("c1", 4, 1, 3, 0)]
    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS).sort("place")
    assert aside.select("day", "place", "reason").rows() == [
        (AT.date(), "row 2", "published_at: type: outside the years 1 to 9999"),
        (AT.date(), "row 3", "day: type: outside the years 1 to 9999"),
        (AT.date(), "row 4", "title: not_nullable: null"),
    ]
    assert [str(BEYOND) in text for text in aside.get_column("original")] == [True, False, False]


def test_rows_put_aside_have_the_same_names_in_any_company(platform: Platform) -> None:
    broken = fetch([trend("b", title=None, collection_id="c2")], collection_id="c2")
    store(platform, fetch([trend("a", title=None)]), broken)
    before = platform.lake.reader("tech").read(QUARANTINED_ROWS).height

    store(platform, broken)

    after = platform.lake.reader("tech").read(QUARANTINED_ROWS).height
    assert (before, after) == (2, 2)


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
    monkeypatch.setattr(storing, "_ROWS_PER_COMMIT", 2)
    with batches_of(platform) as batches:
        for name in "abc":
            batches.add(one(name))
            batches.commit_if_large()
        assert stored(platform) == ["a", "b"]
    assert stored(platform) == ["a", "b", "c"]


def test_large_bodies_are_stored_before_the_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_BYTES_PER_COMMIT", 3)
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


def test_a_commit_that_fails_within_the_block_is_made_at_its_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tries = storing.store_fetches, []

    def fail_first(*arguments: Any) -> Any:
        tries.append(arguments)
        if len(tries) == 1:
            raise LockTimeoutError("another process holds the lock")
        return store(*arguments)

    monkeypatch.setattr(storing, "store_fetches", fail_first)
    monkeypatch.setattr(storing, "_ROWS_PER_COMMIT", 1)
    with pytest.raises(LockTimeoutError):
        store_all(platform, one("a"), one("b"))
    assert stored(platform) == ["a"]


def test_a_refused_fetch_takes_no_other_along(
    platform: Platform, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_ROWS_PER_COMMIT", 3)
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
