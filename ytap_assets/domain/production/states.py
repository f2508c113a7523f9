"""Which moves a script can make, and which event makes each (SPEC section 3).

Belongs here: the state machine. Does not belong here: whether a move should be made now (`gates`,
`decide`), or whether the record still is in the state an event found (`admission`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ytap_assets.errors import TransitionRefusedError
from ytap_assets.tables.production import STATES

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


@dataclass(frozen=True)
class Rule:
    """What a type of event requires.

    Attributes:
        from_states: The states it may find; None stands for "no record yet".
        to_state: The state it leads to; None where it moves nothing.
    """

    from_states: tuple[str | None, ...]
    to_state: str | None


RULES: Mapping[str, Rule] = {
    "script_submitted": Rule((None,), SCRIPT_PENDING_REVIEW),
    "script_approved": Rule((SCRIPT_PENDING_REVIEW,), None),
    "gates_evaluated": Rule(STATES, None),
    "generation_started": Rule((SCRIPT_PENDING_REVIEW,), READY_FOR_GENERATION),
    "job_queued": Rule((READY_FOR_GENERATION,), None),
    "job_processing": Rule((READY_FOR_GENERATION,), None),
    "job_completed": Rule((READY_FOR_GENERATION,), None),
    "job_failed": Rule((READY_FOR_GENERATION,), None),
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
"""Every type of event but ``imported``, which may enter any state from any state."""


def next_states(from_state: str | None) -> tuple[str, ...]:
    """The states that can follow; ``from_state`` None is a script without a record."""
    reached = {rule.to_state for rule in RULES.values() if from_state in rule.from_states}
    return tuple(state for state in STATES if state in reached)


def check_transition(from_state: str | None, to_state: str) -> None:
    """Refuse a move that is not in the state machine.

    Imports are no moves of the machine and are not checked here.

    Raises:
        TransitionRefusedError: It is not legal; the message says what is possible from there.
    """
    possible = next_states(from_state)
    if to_state not in possible:
        raise TransitionRefusedError(
            f"cannot move from {_name(from_state)} to {to_state}: {_ways_out(from_state, possible)}"
        )


def check_event(event_type: str, from_state: str | None, to_state: str | None) -> None:
    """Refuse an event whose type does not fit the states it names.

    Raises:
        TransitionRefusedError: The type is unknown, cannot happen in ``from_state``, or does not
            lead to ``to_state``.
    """
    if event_type == "imported":
        if from_state not in (None, *STATES) or to_state not in STATES:
            raise TransitionRefusedError(
                f"imported into {to_state!r}: expected {', '.join(STATES)}"
            )
        return
    rule = RULES.get(event_type)
    if rule is None:
        raise TransitionRefusedError(f"{event_type!r} is no event: expected {', '.join(RULES)}")
    if from_state not in rule.from_states:
        found = ", ".join(_name(state) for state in rule.from_states)
        raise TransitionRefusedError(
            f"{event_type} cannot happen in {_name(from_state)}: it needs {found}"
        )
    if to_state != rule.to_state:
        raise TransitionRefusedError(
            f"{event_type} leads to {rule.to_state or 'no other state'}, not to {to_state}"
        )


def _name(state: str | None) -> str:
    return "no record" if state is None else state


def _ways_out(from_state: str | None, possible: tuple[str, ...]) -> str:
    if possible:
        return f"possible from there: {', '.join(possible)}"
    if from_state in STATES:
        return f"{from_state} is final"
    return f"there is no such state; the states are {', '.join(STATES)}"
