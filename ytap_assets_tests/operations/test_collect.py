"""A range of days is collected in parts, each of them kept whatever comes of the next."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.errors import LockTimeoutError
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import collect as collecting
from ytap_assets.operations.collect import NothingCollectedError, collect_trends
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.operations.store import Batches
from ytap_assets.sources import collect
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.operations.test_store import AT, fetch, of, trend

RUN = Run("run-1", "test", "collect")
FIRST = AT.date()


def days(number: int) -> Days:
    return FIRST, FIRST + timedelta(days=number - 1)


def stored_days(platform: Platform) -> list[date]:
    return platform.lake.reader("tech").read(COLLECTION_LOG).get_column("day").sort().to_list()


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days asked for, each of which answers with a story; the tenth is interrupted."""
    asked: list[date] = []

    async def answer(_: Workspace, day: date, **__: Any) -> list[Fetch]:
        asked.append(day)
        if len(asked) == 10:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
        name = day.isoformat()
        row = trend(name, day=day, collection_id=name)
        return [fetch([row], collection_id=name, day=day)]

    monkeypatch.setattr(collect, "collect_trends", answer)
    monkeypatch.setattr(collecting, "_DAYS_PER_COMMIT", 7)
    return asked


def test_days_are_stored_while_later_ones_are_asked_for(
    platform: Platform, answered: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    ask = collect.collect_trends

    async def look_first(*arguments: Any, **named: Any) -> list[Fetch]:
        seen.append(len(stored_days(platform)))
        return await ask(*arguments, **named)

    monkeypatch.setattr(collect, "collect_trends", look_first)
    written = run_alone(collect_trends, platform, "tech", days(9))

    assert seen == [0] * 7 + [7] * 2
    assert (written.rows, written.frame.height) == (9, 9)
    assert written.notes["fetches ok"] == written.notes["fetches"] == 9
    assert written.snapshot_id == platform.lake.snapshot_id()


def test_what_was_answered_is_kept_when_a_later_day_ends_the_run(
    platform: Platform, answered: list[date]
) -> None:
    batch, _ = platform.batch({"tech": [days(12)]}, RUN)
    with pytest.raises(KeyboardInterrupt):
        collect_trends(batch)
    assert stored_days(platform) == answered[:9]
    assert [(scope.first_day, one.rows) for scope, one in batch.published.items()] == [
        (day, 1) for day in answered[:9]
    ]


def test_a_day_of_which_a_part_is_stored_when_the_lake_fails_is_a_failure(
    platform: Platform, answered: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Batches.commit

    def fail_at_the_end(self: Batches) -> None:
        commit(self)
        raise LockTimeoutError("another process holds the lock")

    ask = collect.collect_trends

    async def fail_for_finance(workspace: Workspace, *rest: Any, **named: Any) -> list[Fetch]:
        if workspace.workspace_id == "finance":
            raise ValueError("no target")
        return await ask(workspace, *rest, **named)

    monkeypatch.setattr(collect, "collect_trends", fail_for_finance)
    monkeypatch.setattr(Batches, "commit", fail_at_the_end)
    batch, _ = platform.batch({"tech": [(FIRST, FIRST)], "finance": [(FIRST, FIRST)]}, RUN)
    failing, own = collect_trends(batch).values()

    assert isinstance(failing, LockTimeoutError)
    assert isinstance(own, ValueError)  # a slice's own reason is kept
    assert list(batch.published) == [Scope("tech", FIRST, FIRST)]
    assert stored_days(platform) == [FIRST]


def test_a_day_that_cannot_be_begun_fails_the_slices_that_have_it(
    platform: Platform, answered: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = collect.Session.context

    async def fail_on_second(self: collect.Session, day: date) -> Any:
        if day == FIRST + timedelta(days=1):
            raise OSError("the cache cannot be opened")
        return await begin(self, day)

    monkeypatch.setattr(collect.Session, "context", fail_on_second)
    last = FIRST + timedelta(days=5)
    batch, _ = platform.batch({"tech": [days(3), (last, last)]}, RUN)
    failing, fine = collect_trends(batch).values()

    assert str(failing) == "the cache cannot be opened"
    assert isinstance(fine, Written)
    # The first day of the slice that failed is stored, and is reported.
    assert list(batch.published) == [Scope("tech", FIRST, FIRST)]
    assert stored_days(platform) == [FIRST, last]


def test_days_are_asked_in_order(platform: Platform, answered: list[date]) -> None:
    later = FIRST + timedelta(days=2)
    batch, _ = platform.batch({"tech": [(later, later), (FIRST, FIRST)]}, RUN)
    collect_trends(batch)
    assert answered == [FIRST, later]


def test_few_days_are_one_commit(platform: Platform, answered: list[date]) -> None:
    batch, _ = platform.batch({"tech": [days(collecting._DAYS_PER_COMMIT)]}, RUN)
    before = platform.lake.snapshot_id()
    collect_trends(batch)
    assert platform.lake.snapshot_id() == before + 1


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target of every day fails alike."""

    async def fail(_: Workspace, day: date, **__: Any) -> list[Fetch]:
        detail = "hn.algolia.com/api: host name could not be resolved"
        return [
            fetch(
                [],
                collection_id=f"{day} {target}",
                day=day,
                target=target,
                outcome="transient_error",
                detail=detail,
            )
            for target in ("front_page", "by_date")
        ]

    monkeypatch.setattr(collect, "collect_trends", fail)


def test_a_collection_in_which_every_target_failed_is_an_error_and_is_logged(
    platform: Platform, offline: None
) -> None:
    with pytest.raises(NothingCollectedError) as raised:
        run_alone(collect_trends, platform, "tech", days(2))

    assert "4 of 4 targets failed: host name could not be resolved (4)" in str(raised.value)
    assert stored_days(platform) == [FIRST, FIRST, *[FIRST + timedelta(1)] * 2]


def test_every_day_has_its_own_notes(platform: Platform, answered: list[date]) -> None:
    written = run_alone(collect_trends, platform, "tech", days(3))

    assert list(written.day_notes) == [FIRST + timedelta(number) for number in range(3)]
    assert {notes["fetches"] for notes in written.day_notes.values()} == {1}


def test_workspaces_that_fail_stop_no_other_and_all_are_one_commit(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five workspaces one has a faulty config, one no answer, one a frame that is refused."""
    names = ["answered", "faulty", "refused", "silent", "split"]
    for name in names:
        platform.workspaces.save(Workspace(workspace_id=name, name=name, vertical="any"))

    async def answer(workspace: Workspace, day: date, **__: Any) -> list[Fetch]:
        name = workspace.workspace_id
        if name == "faulty" and day > FIRST:
            raise ValueError("no target")
        if name == "silent":
            return [of(name, day=day, outcome="transient_error", collection_id=f"{day}")]
        row = trend(f"item of {day}", day=day, collection_id=f"{day}")
        found = of(name, row, day=day, collection_id=f"{day}")
        if name == "refused" and day > FIRST:
            return [dataclasses.replace(found, rows=found.rows.drop("title"))]
        return [found]

    monkeypatch.setattr(collect, "collect_trends", answer)
    third = FIRST + timedelta(days=2)
    parts = {name: [days(2)] for name in names[:-1]} | {"split": [days(1), (third, third)]}
    batch, _ = platform.batch(parts, RUN)
    before = platform.lake.snapshot_id()

    results = collect_trends(batch)

    assert list(results) == [slice_.scope for slice_ in batch.slices]
    answered, faulty, refused, silent, first, last = results.values()
    assert isinstance(answered, Written)
    assert (answered.rows, answered.notes["fetches ok"]) == (2, 2)
    assert isinstance(faulty, ValueError)
    assert isinstance(refused, pl.exceptions.ShapeError)
    assert isinstance(silent, NothingCollectedError)
    assert set(silent.log["workspace_id"]) == {"silent"}
    for part, day in ((first, FIRST), (last, third)):
        assert isinstance(part, Written)
        assert part.frame["day"].to_list() == part.log["day"].to_list() == list(part.day_notes)
        assert part.frame["day"].to_list() == [day]
    log = platform.lake.cross_reader().read_across(COLLECTION_LOG)
    stored = dict(log.group_by("workspace_id").len().iter_rows())
    assert stored == {"answered": 2, "faulty": 1, "refused": 1, "silent": 2, "split": 2}
    # The refused workspace's fetches were stored one by one afterwards.
    assert platform.lake.snapshot_id() == before + 2
