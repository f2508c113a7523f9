"""Stored responses are read again: what differs is shown, and only ever added."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.reparse import Reparsed, reparse_payloads
from ytap_assets.operations.store import store_fetches
from ytap_assets.sources.catalog import Catalog
from ytap_assets.sources.http.exchange import Exchange, MalformedError
from ytap_assets.sources.source import (
    Fetch,
    Parsed,
    Query,
    RejectedItem,
    Responses,
    Source,
    TrendSource,
)
from ytap_assets.tables import (
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
    VIDEO_METRICS,
    Table,
)
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.operations.test_store import AT, RUN
from ytap_assets_tests.sources.support import parse_again

DAY = AT.date()
AGAIN = Run("run-2", "test", "read again")


class Lines(TrendSource):
    """A JSON object per item. The parser of before knew no points and read only titles in lower
    case; an item without an id is unreadable to both.
    """

    name, history, hosts, spacing_s = "lines", "snapshot_only", frozenset({"a.example"}), 0.0

    def __init__(self, *, is_fixed: bool) -> None:
        self.is_fixed = is_fixed

    def targets(self, workspace: Workspace) -> Sequence[str]:
        return ["all"]

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        for exchange in list[Exchange]():
            yield exchange

    def parse(self, responses: Responses) -> Parsed:
        parsed = Parsed()
        for exchange in responses.exchanges:
            try:
                items = [json.loads(line) for line in exchange.body.splitlines()]
            except ValueError:
                parsed.error = MalformedError("no JSON")
                continue
            for number, item in enumerate(items):
                if item == "crash" and self.is_fixed:
                    raise ZeroDivisionError("no such item")
                self._read(item, number, exchange, parsed)
        return parsed

    def _read(self, item: Any, number: int, exchange: Exchange, parsed: Parsed) -> None:
        if not isinstance(item, dict) or "id" not in item:
            place = f"line {number}"
            rejected = RejectedItem(exchange.url, place, "no id", str(item), exchange.fetched_at)
            parsed.rejected.append(rejected)
        elif self.is_fixed or item["title"].islower():
            row = {"source": self.name, "item_id": item["id"], "title": item["title"]}
            row |= {"observed_at": exchange.fetched_at, "list_name": "all"}
            parsed.rows.append(row | ({"points": item.get("points")} if self.is_fixed else {}))


class Counts(Source):
    """A count per video; the parser of before read views as likes."""

    name, history, hosts, spacing_s = "counts", "as_of_now", frozenset({"b.example"}), 0.0
    table = VIDEO_METRICS

    def __init__(self, *, is_fixed: bool) -> None:
        self.is_fixed = is_fixed

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        for exchange in list[Exchange]():
            yield exchange

    def parse(self, responses: Responses) -> Parsed:
        (exchange,) = responses.exchanges
        row = {"platform": "p", "video_id": "v", "observed_at": exchange.fetched_at}
        count = "views" if self.is_fixed else "likes"
        return Parsed([row | {"is_settled": False, count: int(exchange.body)}])


FORMER = Catalog((Lines(is_fixed=False),), Counts(is_fixed=False))
FIXED = Catalog((Lines(is_fixed=True),), Counts(is_fixed=True))


def collect(
    platform: Platform,
    body: str,
    *,
    name: str = "c1",
    day: date = DAY,
    workspace_id: str = "tech",
    table: Table = RAW_TRENDS,
    outcome: str = "ok",
    source: str = "lines",
) -> None:
    """Store what the parsers of before read of a response."""
    host = "a.example" if table is RAW_TRENDS else "b.example"
    shared = {"workspace_id": workspace_id, "day": day, "collection_id": name, "source": source}
    payload = {
        **shared,
        "payload_id": f"{name}-0000",
        "url": f"https://{host}/{name}",
        "http_status": 200,
        "fetched_at": AT + (day - DAY),
        "size_bytes": len(body),
        "sha256": "0" * 64,
        "is_truncated": False,
        "body": body.encode(),
    }
    payloads = RAW_PAYLOADS.frame([payload])
    rows, quarantined = parse_again(payloads, FORMER)
    log = {
        **shared,
        "target": "all",
        "history": "snapshot_only",
        "outcome": outcome,
        "attempts": 1,
        "started_at": AT,
        "finished_at": AT,
        "fetched": rows.height + quarantined.height,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": RUN.run_id,
    }
    store_fetches(platform, table, [Fetch(log, rows, quarantined, payloads)], RUN)


def item(name: str, title: str, points: int | None = None) -> str:
    return json.dumps({"id": name, "title": title, "points": points})


def read_again(platform: Platform, *, writes: bool = False, **named: Any) -> Reparsed:
    return reparse_payloads(platform, "tech", AGAIN, writes=writes, catalog=FIXED, **named)


def count(done: Reparsed) -> dict[tuple[str, date], tuple[int, ...]]:
    """rows, added, changed, conflicting, quarantined: by source and day."""
    return {(row[2], row[1]): row[4:] for row in done.differences.rows()}


def contents(platform: Platform, workspace_id: str = "tech") -> list[pl.DataFrame]:
    reader = platform.lake.reader(workspace_id)
    return [
        reader.read(table).sort(table.key)
        for table in (RAW_TRENDS, VIDEO_METRICS, QUARANTINED_ROWS, COLLECTION_LOG)
    ]


def test_what_differs_is_shown_before_it_is_stored(platform: Platform) -> None:
    collect(platform, "\n".join([item("a", "same"), item("b", "new points", 5), item("c", "Big")]))
    before, snapshot = contents(platform), platform.lake.snapshot_id()

    shown = read_again(platform)

    assert count(shown) == {("lines", DAY): (3, 1, 1, 0, 0)}
    assert shown.differing.height == shown.fetches == 1
    assert platform.lake.snapshot_id() == snapshot
    for frame, other in zip(contents(platform), before, strict=True):
        assert frame.equals(other)

    assert count(read_again(platform, writes=True)) == count(shown)

    rows = platform.lake.reader("tech").read(RAW_TRENDS).sort("item_id", "part")
    assert rows.select("item_id", "part", "title", "points").rows() == [
        ("a", 0, "same", None),
        ("b", 0, "new points", None),
        ("b", 1, "new points", 5),
        ("c", 0, "Big", None),
    ]
    log = platform.lake.reader("tech").read(COLLECTION_LOG).sort("collection_id")
    names = ["collection_id", "fetched", "accepted", "quarantined", "duplicates", "run_id"]
    assert log.select(names).rows() == [
        ("c1", 2, 2, 0, 0, "run-1"),
        ("c1-2", 3, 2, 0, 1, "run-2"),
    ]
    assert count(read_again(platform)) == {("lines", DAY): (3, 0, 0, 0, 0)}
    after = platform.lake.snapshot_id()
    assert read_again(platform, writes=True).differing.is_empty()
    assert platform.lake.snapshot_id() == after


def test_items_that_cannot_be_read_are_quarantined_once(platform: Platform) -> None:
    collect(platform, "\n".join([item("a", "one"), "{}"]))
    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert count(read_again(platform)) == {("lines", DAY): (1, 0, 0, 0, 0)}
    with platform.lake.write(RUN) as transaction:
        transaction.delete_before(QUARANTINED_ROWS, ["tech"], DAY + timedelta(1))
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 0, 0, 0, 1)}
    again = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert again.drop("collection_id").equals(aside.drop("collection_id"))


def test_a_row_that_breaks_the_table_is_quarantined(platform: Platform) -> None:
    collect(platform, item("", "No id"))
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 0, 0, 0, 1)}
    assert read_again(platform).differing.is_empty()


def test_a_stored_key_keeps_its_row_where_keys_stand_once(platform: Platform) -> None:
    collect(platform, "7", table=VIDEO_METRICS, source="counts")
    before = contents(platform)
    assert count(read_again(platform, writes=True)) == {("counts", DAY): (1, 0, 0, 1, 0)}
    for frame, other in zip(contents(platform), before, strict=True):
        assert frame.equals(other)


def test_a_fetch_that_can_be_read_now_is_logged_as_read(platform: Platform) -> None:
    collect(platform, item("a", "One"), name="c1", outcome="malformed")
    collect(platform, f"{item('b', 'Two')}\nnone", name="c2", outcome="malformed")
    collect(platform, item("c", "Three"), name="c3", outcome="transient_error")
    read_again(platform, writes=True)
    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    outcomes = dict(log.select("collection_id", "outcome").rows())
    assert outcomes == {
        "c1": "malformed",
        "c1-2": "ok",
        "c2": "malformed",
        "c3": "transient_error",
        "c3-2": "transient_error",
    }


def test_a_parser_that_fails_on_one_fetch_stops_no_other(platform: Platform) -> None:
    collect(platform, '"crash"', name="c1")
    collect(platform, item("a", "One"), name="c2")
    done = read_again(platform, writes=True)
    assert [problem for problem in done.problems if "ZeroDivisionError" in problem]
    assert len(done.problems) == 1
    assert platform.lake.reader("tech").read(RAW_TRENDS)["item_id"].to_list() == ["a"]


def test_responses_of_a_source_that_is_gone_are_left_alone(platform: Platform) -> None:
    collect(platform, item("a", "One"))
    nothing = replace(FIXED, trends=())
    done = reparse_payloads(platform, "tech", AGAIN, writes=True, catalog=nothing)
    assert (done.fetches, done.problems) == (0, ())


@pytest.mark.parametrize("batch_bytes", [1, 100, 10**6])
def test_days_are_read_in_batches_that_change_nothing(platform: Platform, batch_bytes: int) -> None:
    for number in range(6):
        day = DAY - timedelta(number // 2)
        collect(platform, item(f"i{number}", "One"), name=f"c{number}", day=day)
    days = (DAY - timedelta(1), DAY)
    done = read_again(platform, days=days, batch_bytes=batch_bytes, writes=True)
    assert count(done) == {("lines", day): (2, 2, 0, 0, 0) for day in days}
    stored = platform.lake.reader("tech").read(RAW_TRENDS)
    assert sorted(stored["item_id"]) == ["i0", "i1", "i2", "i3"]


def test_a_batch_holds_no_more_than_it_may(
    platform: Platform,
) -> None:
    platform.register("tech", RUN)
    for number in range(4):
        collect(platform, item(f"i{number}", "One"), name=f"c{number}")
    size = len(item("i0", "One"))
    snapshot = platform.lake.snapshot_id()
    read_again(platform, batch_bytes=2 * size, writes=True)
    assert platform.lake.snapshot_id() == snapshot + 2


def test_workspaces_are_read_apart(platform: Platform) -> None:
    for workspace_id in ("tech", "finance"):
        collect(platform, item("a", "One"), workspace_id=workspace_id)
    before = contents(platform, "finance")
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 1, 0, 0, 0)}
    for frame, other in zip(contents(platform, "finance"), before, strict=True):
        assert frame.equals(other)


def test_an_archived_workspace_can_be_looked_at_and_not_written(platform: Platform) -> None:
    collect(platform, item("a", "One"))
    workspace = platform.workspaces.get("tech")
    platform.workspaces.save(workspace.model_copy(update={"status": "archived"}))
    assert read_again(platform).differing.height == 1
    with pytest.raises(ConfigError, match="archived"):
        read_again(platform, writes=True)
