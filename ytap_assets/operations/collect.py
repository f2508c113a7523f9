"""Collect: ask the sources for a batch's days, store the answers, and say which days are covered.

Belongs here: the tables that a collection fills, and ``collection_coverage``. Does not belong here:
what is due (`due`), or what a commit holds (`store`).

Two months go into each commit, so that a process that dies has lost at most that much asking.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.coverage import (
    describe_coverage,
    is_nothing_collected,
    summarize_by_source,
    summarize_failed_targets,
)
from ytap_assets.errors import YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.operations.platform import (
    Batch,
    Picture,
    Results,
    Slice,
    Written,
    for_each_slice,
    isolated,
    publish_batch,
    split_slices,
)
from ytap_assets.operations.store import Batches, Stored
from ytap_assets.reports.charts import draw_coverage
from ytap_assets.sources import collect
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import Session, open_session
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    RAW_TRENDS,
    VIDEO_METRICS,
    VIDEOS,
    Table,
)

_DAYS_PER_COMMIT = 60
_COVERAGE_PLAN = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "source": pl.String,
        "target": pl.String,
        "history": pl.String,
        "lacks_key": pl.Boolean,
    }
)


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
            day,
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
            day,
            session=session,
            run_id=batch.run.run_id,
        )

    return _collect(batch, VIDEO_METRICS, ask, CATALOG)


def _collect(batch: Batch, table: Table, ask: _Ask, catalog: Catalog) -> Results:
    failed: dict[Scope, Exception] = {}
    batches = Batches(batch.platform, table, batch.run)
    unfinished: Iterable[Slice] = batch.slices
    try:
        with batches:
            asyncio.run(_fetch_each_day(batch, ask, batches, catalog, failed))
        results = {
            slice_.scope: failed.get(slice_.scope) or _describe(slice_, batches)
            for slice_ in batch.slices
        }
        unfinished = [one for one in batch.slices if isinstance(results[one.scope], Exception)]
    except Exception as error:  # whatever it is: no slice is known to be stored as a whole
        results = {one.scope: failed.get(one.scope, error) for one in batch.slices}
    finally:
        # Also where it is interrupted: the days that are stored are reported.
        for slice_ in unfinished:
            batch.note(_describe_days(slice_, batches))
    return results


def _describe_days(slice_: Slice, batches: Batches) -> dict[Scope, Written]:
    """What was stored for each day of a slice on which a target answered."""
    own = set(slice_.own_days).intersection(batches.stored_days(slice_.workspace_id))
    days = [replace(slice_, days=(day, day)) for day in sorted(own)]
    found = {one.scope: _describe(one, batches) for one in days}
    return {scope: one for scope, one in found.items() if isinstance(one, Written)}


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
            day: _count_fetches(logs.get(day, stored.log.clear())) for day in slice_.own_days
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


async def _fetch_each_day(
    batch: Batch, ask: _Ask, batches: Batches, catalog: Catalog, failed: dict[Scope, Exception]
) -> None:
    """Ask for one day after the other, on each for all workspaces at once.

    A commit makes every request wait, so it is made between days.
    """
    by_day: dict[date, list[Slice]] = {}
    for slice_ in batch.slices:
        for day in slice_.own_days:
            by_day.setdefault(day, []).append(slice_)
    platform = batch.platform
    async with open_session(platform.settings, now=platform.now, catalog=catalog) as session:
        for number, day in enumerate(sorted(by_day), start=1):
            slices = [one for one in by_day[day] if one.scope not in failed]
            failed |= await _fetch_day(session, ask, day, slices, batches)
            batches.commit_if_large()
            if number % _DAYS_PER_COMMIT == 0:
                batches.commit()


async def _fetch_day(
    session: Session, ask: _Ask, day: date, slices: Sequence[Slice], batches: Batches
) -> dict[Scope, Exception]:
    """Ask for a day of some slices at once; those that failed, and why."""
    failed: dict[Scope, Exception] = {}

    async def fetch_one(slice_: Slice) -> None:
        try:
            for fetch in await ask(session, slice_, day):
                batches.add(fetch)
        except Exception as error:  # whatever it is: the others go on
            failed[slice_.scope] = error

    try:
        await session.context(day)  # opened once, not by each of them
    except Exception as error:  # whatever it is: the other days go on
        return dict.fromkeys((one.scope for one in slices), error)
    async with asyncio.TaskGroup() as group:
        for slice_ in slices:
            group.create_task(fetch_one(slice_))
    return failed


@isolated
def cover_slices(batch: Batch) -> Results:
    """Publish the batch's rows of ``collection_coverage``, with a picture of each workspace.

    What is wanted is what the config says today: what it said then is not recorded, but a target
    that was asked then counts.

    Returns:
        As `publish_batch`, or what was raised (`isolated`).
    """
    plans = for_each_slice(batch, _plan_coverage)
    planned = [plan for plan in plans.values() if isinstance(plan, pl.DataFrame)]
    coverage = describe_coverage(
        pl.concat([pl.DataFrame(schema=_COVERAGE_PLAN), *planned]),
        _trend_log(batch),
        _read_imported(batch),
        today=batch.now.date(),
    )
    failed = {scope: plan for scope, plan in plans.items() if isinstance(plan, Exception)}
    results = publish_batch(batch, COLLECTION_COVERAGE, {**split_slices(batch, coverage), **failed})
    for slice_ in batch.slices:
        written = results[slice_.scope]
        if isinstance(written, Written):
            _describe_coverage(slice_, written)
    return results


def _describe_coverage(slice_: Slice, written: Written) -> None:
    """Add the counts of each day, and the picture."""
    days = slice_.own_days
    states: dict[date, Counter[str]] = {day: Counter() for day in days}
    for day, state in written.frame.select("day", "state").iter_rows():
        states[day][f"targets {state}"] += 1
    written.day_notes.update({day: dict(sorted(each.items())) for day, each in states.items()})
    drawn = draw_coverage(summarize_by_source(written.frame).iter_rows(), days[0], days[-1])
    if drawn:
        name = f"coverage of {slice_.workspace_id}"
        written.notes[name] = Picture(drawn, f"{name}, {slice_.scope.days_text}")


def _plan_coverage(slice_: Slice) -> pl.DataFrame:
    workspace = slice_.workspace
    if not workspace.collects:
        return pl.DataFrame(schema=_COVERAGE_PLAN)
    settings = slice_.platform.settings
    is_replay = settings.transport == "replay"

    def present(day: date) -> datetime:
        """Under replay a day is visited in its own present."""
        return datetime.combine(day, time.max, UTC) if is_replay else slice_.now

    lacks_key = {one: not is_replay and one.lacks_key(settings) for one in CATALOG.trends}
    rows = [
        (workspace.workspace_id, day, source.name, target, source.history, lacks_key[source])
        for source in CATALOG.trends
        for target in source.targets(workspace)
        for day in slice_.own_days
        if source.due_from(day) <= present(day)
    ]
    return pl.DataFrame(rows, schema=_COVERAGE_PLAN, orient="row")


def _trend_log(batch: Batch) -> pl.DataFrame:
    """The fetches of trends; those of video counts belong to no list."""
    names = sorted({source.name for source in CATALOG.trends})
    return batch.read(COLLECTION_LOG, wanted={"source": names})


def _read_imported(batch: Batch) -> pl.DataFrame:
    """The batch's observations that came from files.

    A file's entry in the log is that of its last day, so the names are looked for in all days.
    """
    collection = ["workspace_id", "collection_id"]
    files = batch.reader().read(COLLECTION_LOG, columns=collection, wanted={"history": ["file"]})
    columns = [*collection, "day", "source"]
    if files.is_empty():
        return RAW_TRENDS.empty().select(columns)
    return batch.read(RAW_TRENDS, columns=columns).join(files, on=collection, how="semi")
