"""What people decide: approve, reject, send back, cancel; by hand or in `approvals.jsonl`.

Belongs here: the acts, the file they are written in, and the event each becomes. Does not belong
here: what follows from them (`decide`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from ytap_assets.domain.production.events import Event, evidence_id
from ytap_assets.domain.production.fields import (
    Fields,
    read_instant,
    read_script_id,
    text_matching,
    text_up_to,
)
from ytap_assets.domain.production.lines import Parsed, parse_lines
from ytap_assets.domain.production.states import RULES, check_event
from ytap_assets.errors import TransitionRefusedError

ACTS: Mapping[str, str] = {
    "approve_script": "script_approved",
    "approve_video": "video_approved",
    "reject": "rejected",
    "send_back": "sent_back",
    "cancel": "cancelled",
}
"""What a person can do, and the event it becomes."""


@dataclass(frozen=True)
class Act:
    """One decision of one person about one script.

    Attributes:
        script_id: The script.
        act: A key of `ACTS`.
        actor: The person's name.
        at: When they decided, in UTC.
        reason: Why, in words.
    """

    script_id: str
    act: str
    actor: str
    at: datetime
    reason: str | None = None


def parse_acts(text: bytes | str) -> Parsed[Act]:
    """Parse `approvals.jsonl`; the same line again changes nothing."""
    seen: set[Act] = set()

    def parse(content: dict[str, Any]) -> Act | None:
        act = parse_act(content)
        if act in seen:
            return None
        seen.add(act)
        return act

    return parse_lines(text, parse)


def parse_act(content: Mapping[str, Any]) -> Act:
    """One line's object as an act.

    Raises:
        FieldError: It is not one; the message names the field.
    """
    fields = Fields(content)
    script_id = fields.need("script_id", read_script_id)
    act = fields.need("act", text_matching(ACTS.__contains__, f"one of {', '.join(ACTS)}"))
    actor = fields.need(
        "actor", text_matching(_is_name, "a name in one line of up to 100 characters")
    )
    at = fields.need("at", read_instant)
    reason = fields.read("reason", text_up_to(2_000))
    fields.check()
    return Act(script_id, act, actor.strip(), at, reason)


def _is_name(text: str) -> bool:
    return len(text) <= 100 and text.isprintable()


def is_possible(act: str, state: str) -> bool:
    """Whether a script in ``state`` can be subject to the act."""
    return state in RULES[ACTS[act]].from_states


def act_event(
    workspace_id: str, act: Act, state: str | None, *, event_id: str | None = None
) -> Event:
    """The event an act becomes.

    Args:
        workspace_id: The workspace.
        act: The act.
        state: Where the script stands; None where there is no such script.
        event_id: A ULID for an act at a keyboard; None for one in a file, whose line names it.

    Raises:
        TransitionRefusedError: The act is not possible there; the message says where it is.
    """
    if act.act not in ACTS:
        raise TransitionRefusedError(f"{act.act!r} is no act: expected one of {', '.join(ACTS)}")
    event_type = ACTS[act.act]
    to_state = RULES[event_type].to_state
    try:
        check_event(event_type, state, to_state)
    except TransitionRefusedError as error:
        raise TransitionRefusedError(f"script {act.script_id}: {act.act}: {error}") from error
    return Event(
        event_id=event_id or _name_act(workspace_id, act),
        workspace_id=workspace_id,
        script_id=act.script_id,
        type=event_type,
        from_state=state,
        to_state=to_state,
        actor=f"person:{act.actor}",
        occurred_at=act.at,
        reason=act.reason,
    )


def _name_act(workspace_id: str, act: Act) -> str:
    line = [act.act, act.actor, act.at.isoformat(), act.reason]
    return evidence_id(workspace_id, act.script_id, ACTS[act.act], line)


def explain_idle_acts(
    workspace_id: str, acts: Iterable[Act], records: pl.DataFrame, event_ids: Collection[str]
) -> list[tuple[Act, str]]:
    """The acts in a file that did nothing so far, each with the reason.

    Args:
        workspace_id: The workspace.
        acts: What people wrote.
        records: The workspace's rows of `production_records`.
        event_ids: The ids of its events: an act whose event is among them was applied.
    """
    known = {
        row["script_id"]: row
        for row in records.select(
            "script_id", "state", "state_since", "script_approved_by", "video_approved_by"
        ).iter_rows(named=True)
    }
    reasons = [
        (act, _explain(act, known.get(act.script_id)))
        for act in acts
        if _name_act(workspace_id, act) not in event_ids
    ]
    return [(act, reason) for act, reason in reasons if reason]


def _explain(act: Act, record: Mapping[str, Any] | None) -> str | None:
    if record is None:
        return "there is no script of this id yet"
    state, since = record["state"], record["state_since"]
    if not is_possible(act.act, state):
        needed = ", ".join(str(state) for state in RULES[ACTS[act.act]].from_states)
        return f"the script is in {state}; {act.act} needs {needed}"
    if act.at < since:
        return f"decided before the script came into {state} ({since.isoformat()}); decide again"
    approved_by = {
        "approve_script": record["script_approved_by"],
        "approve_video": record["video_approved_by"],
    }.get(act.act)
    return f"approved already by {approved_by}" if approved_by else None
