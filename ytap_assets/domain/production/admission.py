"""Which events may be appended, given where the scripts stand: compare and set.

Belongs here: the decision. Does not belong here: the lock it is taken under; the lakehouse reads
the current states and appends what was admitted inside one write transaction, so that of two
reviewers one wins and the other is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.production.events import Event, events_from_frame
from ytap_assets.domain.production.states import check_event
from ytap_assets.errors import TransitionRefusedError

Script = tuple[str, str]
"""A workspace's id and a script's id."""


@dataclass(frozen=True)
class Refusal:
    """An event that may not be appended, and why."""

    event: Event
    reason: str


@dataclass(frozen=True)
class Admission:
    """What became of a batch: every event is in exactly one of the three, in the batch's order."""

    admitted: tuple[Event, ...]
    refused: tuple[Refusal, ...]
    duplicates: tuple[Event, ...]


def current_states(events: pl.DataFrame) -> dict[Script, str]:
    """Where scripts stand.

    Args:
        events: Rows of `production_events`, in any order: all events of the scripts asked about.
            Columns ``workspace_id``, ``script_id``, ``seq``, ``to_state``.

    Returns:
        The state per script; scripts without a move are absent.
    """
    last = (
        events.filter(pl.col("to_state").is_not_null())
        .sort("seq")
        .group_by("workspace_id", "script_id")
        .agg(pl.col("to_state").last())
    )
    return {(workspace, script): state for workspace, script, state in last.iter_rows()}


def admit(
    events: Iterable[Event],
    current: Mapping[Script, str],
    *,
    known_ids: Iterable[tuple[str, str]] = (),
    moved: Collection[Script] = (),
) -> Admission:
    """Admit the events that find the state they expect.

    Several events of one script are taken in order, each seeing what the ones before it did.

    Args:
        events: The batch.
        current: Where the scripts concerned stand now; a script without a record is absent.
        known_ids: Pairs of workspace and event id that are stored already: these change nothing.
        moved: Scripts that moved since their events were decided: a script may have left its state
            and come back, with another video.
    """
    states: dict[Script, str] = dict(current)
    seen = set(known_ids)
    admitted: list[Event] = []
    refused: list[Refusal] = []
    duplicates: list[Event] = []
    for event in events:
        identity = (event.workspace_id, event.event_id)
        script = (event.workspace_id, event.script_id)
        if identity in seen:
            duplicates.append(event)
            continue
        problem = _find_problem(event, states.get(script), has_moved=script in moved)
        if problem:
            refused.append(Refusal(event, problem))
            continue
        seen.add(identity)
        admitted.append(event)
        if event.to_state is not None:
            states[script] = event.to_state
    return Admission(tuple(admitted), tuple(refused), tuple(duplicates))


def _find_problem(event: Event, state: str | None, *, has_moved: bool) -> str | None:
    if event.from_state != state:
        if state is None:
            return f"script {event.script_id}: there is no record of it to move"
        found = event.from_state or "no record"
        return (
            f"script {event.script_id}: {event.type} expected {found}, "
            f"but by now it is in {state}; look at it again"
        )
    if has_moved:
        return f"script {event.script_id}: {event.type}: it has moved since; look at it again"
    try:
        check_event(event.type, event.from_state, event.to_state)
    except TransitionRefusedError as error:
        return f"script {event.script_id}: {error}"
    return None


def admit_frame(
    new: pl.DataFrame, stored: pl.DataFrame, *, decided_at: Mapping[str, int] | None = None
) -> tuple[pl.DataFrame, Admission]:
    """`admit` on rows.

    Args:
        new: Rows of `production_events` to append, in order.
        stored: All stored rows of the scripts in ``new``, in any order. Columns ``workspace_id``,
            ``event_id``, ``script_id``, ``seq``, ``to_state``.
        decided_at: By workspace, the last ``seq`` that was known when the events were decided:
            scripts that have moved since are refused. None where that was under the same lock.

    Returns:
        The rows of ``new`` that may be appended, in order, and what became of each.
    """
    events = events_from_frame(new)
    known = stored.select("workspace_id", "event_id").iter_rows()
    moves = stored.filter(pl.col("to_state").is_not_null())
    moved = {
        (workspace_id, script_id)
        for workspace_id, script_id, seq in moves.select(
            "workspace_id", "script_id", "seq"
        ).iter_rows()
        if decided_at is not None and seq > decided_at.get(workspace_id, 0)
    }
    admission = admit(events, current_states(stored), known_ids=known, moved=moved)
    kept = {id(event) for event in admission.admitted}
    return new.filter(
        pl.Series([id(event) in kept for event in events], dtype=pl.Boolean)
    ), admission
