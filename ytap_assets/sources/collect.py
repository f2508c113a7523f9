"""Collecting: every source a workspace wants, for every day asked for.

No source stops another: each fetch ends in a `Fetch` with its outcome. Belongs here: which fetches
there are. Does not belong here: storing them (`operations`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date

from ytap_assets.sources.fetch import Fetch
from ytap_assets.sources.fetching import fetch_target
from ytap_assets.sources.session import Session
from ytap_assets.sources.source import Source, Visit
from ytap_assets.sources.youtube_stats import batch_videos
from ytap_assets.workspaces import Workspace

_Plan = list[tuple[Source, str]]
Targets = Mapping[date, Collection[tuple[str, str]]]
"""For each day the targets that are asked, as (source, target)."""


async def collect_trends(
    workspace: Workspace,
    days: Iterable[date],
    *,
    session: Session,
    run_id: str,
    targets: Targets | None = None,
) -> list[Fetch]:
    """Ask every source the workspace wants about every day.

    Args:
        workspace: Whose config says what is wanted. One that does not collect gives nothing.
        days: The days, in any order. Past days are asked only of sources that can answer for
            them; the others' fetches end ``unrecoverable``, without a request.
        session: An open session.
        run_id: What ``collection_log`` calls this run.
        targets: The targets that are asked, such as `operations.due` finds; all where None.

    Returns:
        One fetch per day, source that is due and target, in this order; ``rows`` are `raw_trends`.
    """
    if not workspace.collects:
        return []
    plan: _Plan = [
        (source, target)
        for source in session.catalog.trends
        for target in source.targets(workspace)
    ]

    def choose(visit: Visit) -> _Plan:
        if targets is None:
            return plan
        chosen = targets.get(visit.day, ())
        return [(source, target) for source, target in plan if (source.name, target) in chosen]

    return await _collect(choose, workspace, days, session, run_id)


async def collect_video_metrics(
    workspace: Workspace,
    video_ids: Sequence[str],
    days: Iterable[date],
    *,
    session: Session,
    run_id: str,
) -> list[Fetch]:
    """Ask for the present counts of given videos.

    Args:
        workspace: Whose videos they are. One that does not collect gives nothing.
        video_ids: YouTube ids; asked in batches of 50, sorted, each once. On replay, those that
            were not recorded are a fetch of their own, which ends ``not_recorded``.
        days: The metric dates. The counts are as of now, so a day that is over cannot be had.
        session: An open session.
        run_id: What ``collection_log`` calls this run.

    Returns:
        One fetch per day and batch; ``rows`` are `video_metrics`.

    Raises:
        ValueError: One of the ids is not a video id.
    """
    if not workspace.collects:
        return []
    stats = session.catalog.video_stats

    def plan(visit: Visit) -> _Plan:
        return [(stats, target) for target in batch_videos(video_ids, visit.find_recording)]

    return await _collect(plan, workspace, days, session, run_id)


async def _collect(
    plan: Callable[[Visit], _Plan],
    workspace: Workspace,
    days: Iterable[date],
    session: Session,
    run_id: str,
) -> list[Fetch]:
    """The plan for each day: its fetches at once, kept apart by the hosts' spacing."""
    fetches: list[Fetch] = []
    for day in sorted(set(days)):
        visit = await session.visit(day)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(fetch_target(source, target, workspace, visit, run_id=run_id))
                for source, target in plan(visit)
                if source.due_from(visit.day) <= visit.now()
            ]
        fetches += [task.result() for task in tasks]
    return fetches
