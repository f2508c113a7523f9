"""Collect: ask the sources for a slice's days, and store what came of it.

Two months go into each commit, so that a process that dies has lost at most that much asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.coverage import is_nothing_collected, summarize_failed_targets
from ytap_assets.errors import YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.batches import Batches
from ytap_assets.operations.platform import Slice, Written
from ytap_assets.sources import collect
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import Session, open_session
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import RAW_TRENDS, VIDEO_METRICS, VIDEOS, Table

_DAYS_PER_COMMIT = 60


class NothingCollectedError(YtapError):
    """Every target that was asked failed.

    Attributes:
        log: The fetches, as rows of ``collection_log``.
    """

    def __init__(self, scope: Scope, log: pl.DataFrame) -> None:
        super().__init__(f"{scope}: nothing was collected: {summarize_failed_targets(log)}")
        self.log = log


_Ask = Callable[[Session, date], Awaitable[list[Fetch]]]


def collect_trends(slice_: Slice, *, catalog: Catalog = CATALOG) -> Written:
    """Ask every source of the workspace for every day, and append to ``raw_trends``.

    A source that fails is an outcome in ``collection_log``; if every one fails, that is an error.

    Args:
        slice_: The workspace and the days.
        catalog: The sources there are.

    Raises:
        NothingCollectedError: No target that was asked answered; the log says why, and is stored.
    """

    async def ask(session: Session, day: date) -> list[Fetch]:
        return await collect.collect_trends(
            slice_.workspace, [day], session=session, run_id=slice_.run.run_id
        )

    return _collect(slice_, RAW_TRENDS, ask, catalog)


def collect_metrics(slice_: Slice) -> Written:
    """Ask for the counts of the videos that were out by each day; append to ``video_metrics``.

    Raises:
        NothingCollectedError: As `collect_trends`.
    """
    videos = slice_.read(VIDEOS)

    async def ask(session: Session, day: date) -> list[Fetch]:
        end = datetime.combine(day, time.max, UTC)
        out = videos.filter(pl.col("published_at").is_null() | (pl.col("published_at") <= end))
        return await collect.collect_video_metrics(
            slice_.workspace,
            out.get_column("video_id").to_list(),
            [day],
            session=session,
            run_id=slice_.run.run_id,
        )

    return _collect(slice_, VIDEO_METRICS, ask, CATALOG)


def _collect(slice_: Slice, table: Table, ask: _Ask, catalog: Catalog) -> Written:
    with Batches(slice_.platform, slice_.workspace_id, table, slice_.run) as batches:
        asyncio.run(_ask_each_day(slice_, ask, batches, catalog))
    total = batches.total()
    if is_nothing_collected(total.log):
        raise NothingCollectedError(slice_.scope, total.log)
    day_notes = {day: _count_fetches(log) for (day,), log in total.log.group_by("day")}
    days = {
        day: day_notes.get(day) or _count_fetches(total.log.clear()) for day in slice_.each_day()
    }
    notes = total.written.notes | _count_fetches(total.log)
    return replace(total.written, notes=notes, day_notes=days, log=total.log)


def _count_fetches(log: pl.DataFrame) -> dict[str, int]:
    """What came of a day's fetches, as notes."""
    outcomes = log.group_by("outcome").len().sort("outcome").iter_rows()
    names = {"fetched": "rows_fetched", "quarantined": "rows_quarantined"}
    names |= {"duplicates": "rows_duplicate"}
    return {
        "fetches": log.height,
        **{shown: int(log.get_column(name).sum()) for name, shown in names.items()},
        **{f"fetches {outcome}": count for outcome, count in outcomes},
    }


async def _ask_each_day(slice_: Slice, ask: _Ask, batches: Batches, catalog: Catalog) -> None:
    platform = slice_.platform
    async with open_session(platform.settings, now=platform.now, catalog=catalog) as session:
        for number, day in enumerate(slice_.each_day(), start=1):
            for fetch in await ask(session, day):
                batches.add(fetch)
            if number % _DAYS_PER_COMMIT == 0:
                batches.commit()
