"""Events of scripts: the state machine, the event and its row, and which events may be appended.

Belongs here: which moves are legal and which event makes each, an event's shape, identity and row,
and the admission of events given where the scripts stand (compare and set). Does not belong here:
which events are made (`promotions`, `inbox`), or the lock under which they are admitted: the
lakehouse reads the current states and appends inside one write transaction, so that of two
reviewers, one succeeds and the other gets an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from ytap_assets.errors import TransitionRefusedError
from ytap_assets.tables.production import PRODUCTION_EVENTS, STATES

SCRIPT_PENDING_REVIEW = "script_pending_review"
READY_FOR_GENERATION = "ready_for_generation"
VIDEO_PENDING_REVIEW = "video_pending_review"
READY_FOR_PUBLISH = "ready_for_publish"
PUBLISHED = "published"
REJECTED = "rejected"
CANCELLED = "cancelled"

IN_PRODUCTION = (
    SCRIPT_PENDING_REVIEW,
    READY_FOR_GENERATION,
    VIDEO_PENDING_REVIEW,
    READY_FOR_PUBLISH,
)
"""The states a script can still leave."""
TAKEN = (*IN_PRODUCTION, PUBLISHED)
"""The states in which a script keeps its topic, and its content, from others."""


CHANGES_SUBJECT = pl.col("to_state").is_not_null() | (pl.col("type") == "script_edited")
"""Whether an event changes what is decided about: the script's state, or its text."""


@dataclass(frozen=True)
class Rule:
    """What a type of event requires.

    Attributes:
        from_states: The allowed states before it; None means "no record yet".
        to_state: The state after it; None if it does not change the state.
    """

    from_states: tuple[str | None, ...]
    to_state: str | None


_AFTER_REVIEW = tuple(state for state in STATES if state != SCRIPT_PENDING_REVIEW)
"""Where a report about a generation job counts: it may be read after the video is in review."""

RULES: Mapping[str, Rule] = {
    "script_submitted": Rule((None,), SCRIPT_PENDING_REVIEW),
    "script_edited": Rule((SCRIPT_PENDING_REVIEW,), None),
    "script_approved": Rule((SCRIPT_PENDING_REVIEW,), None),
    "gates_evaluated": Rule(STATES, None),
    "generation_started": Rule((SCRIPT_PENDING_REVIEW,), READY_FOR_GENERATION),
    "job_queued": Rule(_AFTER_REVIEW, None),
    "job_processing": Rule(_AFTER_REVIEW, None),
    "job_completed": Rule(_AFTER_REVIEW, None),
    "job_failed": Rule(_AFTER_REVIEW, None),
    "video_completed": Rule((READY_FOR_GENERATION,), VIDEO_PENDING_REVIEW),
    "quality_check": Rule(STATES, None),
    "video_approved": Rule((VIDEO_PENDING_REVIEW,), None),
    "publication_cleared": Rule((VIDEO_PENDING_REVIEW,), READY_FOR_PUBLISH),
    "published": Rule((READY_FOR_PUBLISH,), PUBLISHED),
    "rejected": Rule((SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW), REJECTED),
    "sent_back": Rule((VIDEO_PENDING_REVIEW,), READY_FOR_GENERATION),
    "cancelled": Rule(IN_PRODUCTION, CANCELLED),
    "decision_received": Rule((None, *IN_PRODUCTION), None),
}
"""Every type of event but ``imported``, which may enter any state from any state.

An ``imported`` event without a ``to_state`` is older than the script's state: it is kept in the
log, and changes nothing.
"""


def check_event(event_type: str, from_state: str | None, to_state: str | None) -> None:
    """Refuse an event whose type does not fit the states it names.

    Raises:
        TransitionRefusedError: The type is unknown, cannot happen in ``from_state``, or does not
            lead to ``to_state``.
    """
    if event_type == "imported":
        is_older = to_state is None and from_state in STATES
        if from_state not in (None, *STATES) or not (to_state in STATES or is_older):
            raise TransitionRefusedError(
                f"imported into {to_state!r}: expected one of {', '.join(STATES)}"
            )
        return
    rule = RULES.get(event_type)
    if rule is None:
        raise TransitionRefusedError(
            f"{event_type!r} is not an event type: expected one of {', '.join(RULES)}"
        )
    if from_state not in rule.from_states:
        found = ", ".join(_name(state) for state in rule.from_states)
        raise TransitionRefusedError(
            f"{event_type} is not allowed in {_name(from_state)}; it needs {found}"
        )
    if to_state != rule.to_state:
        raise TransitionRefusedError(
            f"{event_type} leads to {rule.to_state or 'no other state'}, not to {to_state}"
        )


def _name(state: str | None) -> str:
    return "no record" if state is None else state


@dataclass(frozen=True)
class Event:
    """One thing that happened to one script.

    Attributes:
        event_id: The idempotency key: `evidence_id` for what follows from evidence, a ULID for
            what a person does at a keyboard.
        workspace_id: The workspace.
        script_id: The script.
        type: What happened; one of `tables.production.EVENT_TYPES`.
        from_state: The state it found; None for a script without a record.
        to_state: The state after it; None if it does not change the state.
        actor: ``person:NAME``, ``policy``, ``sensor:NAME`` or ``import``.
        occurred_at: When it happened, in UTC.
        reason: Why, in words.
        payload: The evidence; JSON types, and `Decimal`.
        content_id: Names what the event brings, alike in every workspace (`copies`).
    """

    event_id: str
    workspace_id: str
    script_id: str
    type: str
    from_state: str | None
    to_state: str | None
    actor: str
    occurred_at: datetime
    reason: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    content_id: str | None = None


def dump_json(content: object) -> str:
    """JSON in one canonical form: sorted keys, no spaces, decimals as numbers.

    Raises:
        ValueError: A number that JSON cannot represent.
    """
    return json.dumps(
        content,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        default=_as_number,
    )


def _as_number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def digest(content: object) -> str:
    """The SHA-256 of the content's canonical JSON, in hex."""
    return hashlib.sha256(dump_json(content).encode()).hexdigest()


def evidence_id(script_id: str, event_type: str, evidence: object) -> str:
    """The id of an event that follows from evidence: the same evidence gives the same id.

    Ids are unique within a workspace. They do not contain its name, so they are the same after it
    is renamed or restored under another name.
    """
    return digest([script_id, event_type, evidence])[:32]


def named_evidence_id(workspace_id: str, script_id: str, event_type: str, evidence: object) -> str:
    """The id that `evidence_id` gave before: it contained the workspace's name."""
    return digest([workspace_id, script_id, event_type, evidence])[:32]


def events_to_frame(events: Iterable[Event], *, recorded_at: datetime) -> pl.DataFrame:
    """Events as rows of `production_events`, in order; ``seq`` is null until it is assigned."""
    rows = [
        {
            "workspace_id": event.workspace_id,
            "event_id": event.event_id,
            "script_id": event.script_id,
            "type": event.type,
            "from_state": event.from_state,
            "to_state": event.to_state,
            "actor": event.actor,
            "occurred_at": event.occurred_at,
            "recorded_at": recorded_at,
            "reason": event.reason,
            "payload": dump_json(event.payload),
            "content_id": event.content_id,
        }
        for event in events
    ]
    return PRODUCTION_EVENTS.frame(rows)


def events_from_frame(frame: pl.DataFrame) -> list[Event]:
    """Rows of `production_events` as events, in the frame's order."""
    names = [name for name in Event.__dataclass_fields__ if name != "payload"]
    return [
        Event(**{name: row[name] for name in names}, payload=json.loads(row["payload"]))
        for row in frame.select(*names, "payload").iter_rows(named=True)
    ]


Script = tuple[str, str]
"""A workspace's id and a script's id."""


@dataclass(frozen=True)
class Refusal:
    """An event that may not be appended, and why."""

    event: Event
    reason: str


@dataclass(frozen=True)
class Admission:
    """The result for a batch: every event is in one of the three lists, in the batch's order."""

    admitted: tuple[Event, ...]
    refused: tuple[Refusal, ...]
    duplicates: tuple[Event, ...]


def current_states(events: pl.DataFrame) -> dict[Script, str]:
    """The current states of scripts.

    Args:
        events: Rows of `production_events`, in any order: all events of the scripts.
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

    Several events of one script are applied in order.

    Args:
        events: The batch.
        current: The current states of the scripts; a script without a record is absent.
        known_ids: Pairs of workspace and event id that are stored already: these change nothing.
        moved: Scripts that moved or were edited since their events were decided: a script may have
            left its state and come back, with another video.
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
            return f"script {event.script_id} has no record"
        found = event.from_state or "no record"
        return (
            f"script {event.script_id}: {event.type} expected {found}, but it is now in {state};"
            " check the script and decide again"
        )
    if has_moved:
        return (
            f"script {event.script_id}: {event.type}: its state or text has changed since; check"
            " the script and decide again"
        )
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
            ``event_id``, ``script_id``, ``seq``, ``type``, ``to_state``.
        decided_at: By workspace, the last ``seq`` that was known when the events were decided:
            scripts that moved or were edited since are refused. None if that was under the same
            lock.

    Returns:
        The rows of ``new`` that may be appended, in order, and what became of each.
    """
    events = events_from_frame(new)
    known = stored.select("workspace_id", "event_id").iter_rows()
    moves = stored.filter(CHANGES_SUBJECT)
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
