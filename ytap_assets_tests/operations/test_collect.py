"""A range of days is collected in parts, each of them kept whatever comes of the next."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import collect as collecting
from ytap_assets.operations.collect import NothingCollectedError, collect_trends
from ytap_assets.operations.platform import Platform
from ytap_assets.sources import collect
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.operations.test_store import AT, fetch, trend

RUN = Run("run-1", "test", "collect")
FIRST = AT.date()


def days(number: int) -> Days:
    return FIRST, FIRST + timedelta(days=number - 1)


def stored_days(platform: Platform) -> list[date]:
    return platform.lake.reader("tech").read(COLLECTION_LOG).get_column("day").sort().to_list()


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days asked for, each of which answers with a story; the tenth ends the process."""
    asked: list[date] = []

    async def answer(_: Workspace, days: list[date], **__: Any) -> list[Fetch]:
        (day,) = days
        asked.append(day)
        if len(asked) == 10:
            raise KeyboardInterrupt
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
    written = collect_trends(platform.slice("tech", days(9), RUN))

    assert seen == [0] * 7 + [7] * 2
    assert (written.rows, written.frame.height) == (9, 9)
    assert written.notes["fetches ok"] == written.notes["fetches"] == 9
    assert written.snapshot_id == platform.lake.snapshot_id()


def test_what_was_answered_is_kept_when_a_later_day_ends_the_run(
    platform: Platform, answered: list[date]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        collect_trends(platform.slice("tech", days(12), RUN))
    assert stored_days(platform) == answered[:9]


def test_few_days_are_one_commit(platform: Platform, answered: list[date]) -> None:
    slice_ = platform.slice("tech", days(collecting._DAYS_PER_COMMIT), RUN)
    before = platform.lake.snapshot_id()
    collect_trends(slice_)
    assert platform.lake.snapshot_id() == before + 1


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target of every day fails alike."""

    async def fail(_: Workspace, days: list[date], **__: Any) -> list[Fetch]:
        (day,) = days
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
        collect_trends(platform.slice("tech", days(2), RUN))

    assert "4 of 4 targets failed: host name could not be resolved (4)" in str(raised.value)
    assert stored_days(platform) == [FIRST, FIRST, *[FIRST + timedelta(1)] * 2]


def test_every_day_has_its_own_notes(platform: Platform, answered: list[date]) -> None:
    written = collect_trends(platform.slice("tech", days(3), RUN))

    assert list(written.day_notes) == [FIRST + timedelta(number) for number in range(3)]
    assert {notes["fetches"] for notes in written.day_notes.values()} == {1}
