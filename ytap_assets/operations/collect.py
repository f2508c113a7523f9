"""Collect: query the sources for a batch's days, and store the results.

Two months go into each commit, so that a process that dies has lost at most that much asking.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.coverage import is_nothing_collected, summarize_failed_targets
from ytap_assets.errors import YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.batches import Batches
from ytap_assets.operations.platform import Batch, Results, Slice, Written
from ytap_assets.operations.store import Stored
from ytap_assets.sources import collect
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import Session, open_session
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import RAW_TRENDS, VIDEO_METRICS, VIDEOS, Table

_DAYS_PER_COMMIT = 60


class NothingCollectedError(YtapError):
    """Every requested target failed.

    Attributes:
        log: The fetches, as rows of ``collection_log``.
    """

    def __init__(self, scope: Scope, log: pl.DataFrame) -> None:
        super().__init__(f"{scope}: nothing was collected: {summarize_failed_targets(log)}")
        self.log = log


_Ask = Callable[[Session, Slice, date], Awaitable[list[Fetch]]]


def collect_trends(
    batch: Batch,
    *,
    catalog: Catalog = CATALOG,
    targets: Mapping[str, collect.Targets] | None = None,
) -> Results:
    """Ask every source of each workspace for every day, and append to ``raw_trends``.

    A source that fails is an outcome in ``collection_log``; if every one fails, that is an error.

    Args:
        batch: The workspaces and the days.
        catalog: The sources there are.
        targets: The targets that are asked, by workspace and day; all of a workspace that is not
            among them, and of all workspaces if None.

    Returns:
        What was stored for each slice, or why it failed: a `NothingCollectedError` if no target
        that was asked answered; the log says why, and is stored.
    """

    async def ask(session: Session, slice_: Slice, day: date) -> list[Fetch]:
        return await collect.collect_trends(
            slice_.workspace,
            [day],
            session=session,
            run_id=batch.run.run_id,
            targets=None if targets is None else targets.get(slice_.workspace_id),
        )

    return _collect(batch, RAW_TRENDS, ask, catalog)


def collect_metrics(batch: Batch) -> Results:
    """Ask for the counts of the videos that were out by each day; append to ``video_metrics``.

    Returns:
        As `collect_trends`.
    """
    columns = ["workspace_id", "video_id", "published_at"]
    videos = batch.read(VIDEOS, columns=columns).partition_by("workspace_id", as_dict=True)
    none = VIDEOS.empty()

    async def ask(session: Session, slice_: Slice, day: date) -> list[Fetch]:
        end = datetime.combine(day, time.max, UTC)
        own = videos.get((slice_.workspace_id,), none)
        out = own.filter(pl.col("published_at").is_null() | (pl.col("published_at") <= end))
        return await collect.collect_video_metrics(
            slice_.workspace,
            out.get_column("video_id").to_list(),
            [day],
            session=session,
            run_id=batch.run.run_id,
        )

    return _collect(batch, VIDEO_METRICS, ask, CATALOG)


def _collect(batch: Batch, table: Table, ask: _Ask, catalog: Catalog) -> Results:
    failed: dict[Scope, Exception] = {}
    with Batches(batch.platform, table, batch.run) as batches:
        asyncio.run(_ask_each_day(batch, ask, batches, catalog, failed))
    return {
        slice_.scope: failed.get(slice_.scope) or _describe(slice_, batches)
        for slice_ in batch.slices
    }


def _describe(slice_: Slice, batches: Batches) -> Written | Exception:
    """What was stored for a slice, with its counts, or why it failed."""
    stored = batches.total(slice_.workspace_id, slice_.days)
    if not isinstance(stored, Stored):
        return stored
    if is_nothing_collected(stored.log):
        return NothingCollectedError(slice_.scope, stored.log)
    logs = {day: log for (day,), log in stored.log.group_by("day")}
    return Written(
        rows=stored.frame.height,
        snapshot_id=stored.snapshot_id,
        results=stored.results,
        frame=stored.frame,
        notes={"payloads": stored.payloads.len()} | _count_fetches(stored.log),
        day_notes={
            day: _count_fetches(logs.get(day, stored.log.clear())) for day in slice_.each_day()
        },
        log=stored.log,
    )


def _count_fetches(log: pl.DataFrame) -> dict[str, int]:
    """What came of fetches, as notes."""
    names = {"fetched": "rows_fetched", "quarantined": "rows_quarantined"}
    names |= {"duplicates": "rows_duplicate"}
    outcomes = sorted(Counter(log.get_column("outcome").to_list()).items())
    return {
        "fetches": log.height,
        **{shown: int(log.get_column(name).sum()) for name, shown in names.items()},
        **{f"fetches {outcome}": count for outcome, count in outcomes},
    }


async def _ask_each_day(
    batch: Batch, ask: _Ask, batches: Batches, catalog: Catalog, failed: dict[Scope, Exception]
) -> None:
    """Ask for one day after the other, on each for all workspaces at once.

    A commit makes every request wait, so it is made between days.
    """
    by_day: dict[date, list[Slice]] = {}
    for slice_ in batch.slices:
        for day in slice_.each_day():
            by_day.setdefault(day, []).append(slice_)
    platform = batch.platform
    async with open_session(platform.settings, now=platform.now, catalog=catalog) as session:

        async def ask_one(slice_: Slice, day: date) -> None:
            try:
                for fetch in await ask(session, slice_, day):
                    batches.add(fetch)
            except Exception as error:  # whatever it is: the others go on
                failed[slice_.scope] = error

        for number, day in enumerate(sorted(by_day), start=1):
            await session.context(day)  # opened once, not by each of them
            async with asyncio.TaskGroup() as group:
                for slice_ in by_day[day]:
                    if slice_.scope not in failed:
                        group.create_task(ask_one(slice_, day))
            batches.commit_if_large()
            if number % _DAYS_PER_COMMIT == 0:
                batches.commit()
