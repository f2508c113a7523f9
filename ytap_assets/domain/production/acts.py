"""What people decide: approve, reject, send back, cancel; by hand or in `approvals.jsonl`.

Belongs here: the decisions, the file they are written in, the event each becomes, and whether one
counts. Does not belong here: what follows from them (`decide`).

When a decision of the file counts:

- Once. Its content is its identity and the id of its event; equal lines are one decision.
- Not before its date.
- Only in the state in which it was first read. One that is read and does not count is received: an
  event binds it to the state that the script is in, or to the time before there was a script. It
  does not count after the script has left that state: a video that came into review later is not
  the one that was decided about. This rests on the log; the file may be cut or edited afterwards.
- About what stood there when it was written: not if it is dated before the script came into its
  state, nor if it stands above a line that has moved the script since. Lines are appended, so it
  was written before that move.

A cancellation is about the script and not about what is in review: only the first two hold for it,
and no state binds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
from ytap_assets.domain.production.records import Record, iter_records
from ytap_assets.domain.production.states import RULES
from ytap_assets.errors import TransitionRefusedError

ACTS: Mapping[str, str] = {
    "approve_script": "script_approved",
    "approve_video": "video_approved",
    "reject": "rejected",
    "send_back": "sent_back",
    "cancel": "cancelled",
}
"""What a person can do, and the event it becomes."""

_CANNOT: Mapping[str, str] = {
    "approve_script": "the script cannot be approved",
    "approve_video": "a video cannot be approved",
    "reject": "it cannot be rejected",
    "send_back": "a video cannot be sent back",
    "cancel": "it cannot be cancelled",
}


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

    def parse(fields: Fields) -> Act | None:
        act = read_act(fields)
        if act in seen:
            return None
        seen.add(act)
        return act

    return parse_lines(text, parse)


def read_act(fields: Fields) -> Act:
    """One line's object as an act.

    Raises:
        FieldError: It is not one; the message names the field.
    """
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
    if state not in RULES[event_type].from_states:
        found = "has no record yet" if state is None else f"is in {state}"
        possible = " or ".join(str(one) for one in RULES[event_type].from_states)
        raise TransitionRefusedError(
            f"script {act.script_id} {found}: {_CANNOT[act.act]}, which is possible in {possible}"
        )
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


def reception_event(
    workspace_id: str,
    act: Act,
    state: str | None,
    *,
    actor: str,
    now: datetime,
    overtaken: bool = False,
) -> Event:
    """The event that binds a decision of the file to the state its script is in.

    Args:
        workspace_id: The workspace.
        act: The decision.
        state: Where the script stands; None where there is no such script yet.
        actor: Who read the file.
        now: The present.
        overtaken: Whether it was written before a decision that moved the script: it never counts.
    """
    return Event(
        event_id=_name_reception(workspace_id, act),
        workspace_id=workspace_id,
        script_id=act.script_id,
        type="decision_received",
        from_state=state,
        to_state=None,
        actor=actor,
        occurred_at=now,
        reason=f"{act.act} by {act.actor}, dated {act.at.isoformat()}",
        payload={
            "act": act.act,
            "actor": act.actor,
            "at": act.at.isoformat(),
            "event_id": _name_act(workspace_id, act),
            "overtaken": overtaken,
        },
    )


def _name_reception(workspace_id: str, act: Act) -> str:
    decided = _name_act(workspace_id, act)
    return evidence_id(workspace_id, act.script_id, "decision_received", decided)


Standing = Literal["new", "applied", "received", "expired", "overtaken", "void"]
"""What the log says of a decision of the file: nothing; that it was applied; that it was received
in the state the script is in, or in an earlier one; nothing, but a line below it moved the script;
that it was received as written before a decision that moved the script."""


def trace_acts(workspace_id: str, acts: Sequence[Act], events: pl.DataFrame) -> dict[Act, Standing]:
    """What the log says of each decision of the file.

    Args:
        workspace_id: The workspace.
        acts: The decisions in the order of the file.
        events: Rows of `production_events`, in any order: all events of the scripts concerned.
    """
    applied = {act: _name_act(workspace_id, act) for act in acts}
    received = {act: _name_reception(workspace_id, act) for act in acts}
    names = [*applied.values(), *received.values()]
    found = events.filter(pl.col("event_id").is_in(names))
    seqs: dict[str, int] = dict(found.select("event_id", "seq").iter_rows())
    is_void = pl.col("payload").str.json_path_match("$.overtaken") == "true"
    void = set(found.filter(pl.col("type") == "decision_received").filter(is_void)["event_id"])
    moves = events.filter(pl.col("to_state").is_not_null()).group_by("script_id")
    moved: dict[str, int] = dict(moves.agg(pl.col("seq").max()).iter_rows())
    standings: dict[Act, Standing] = {}
    overtaken: set[str] = set()
    for act in reversed(acts):
        if applied[act] in seqs:
            standings[act] = "applied"
            if RULES[ACTS[act.act]].to_state is not None:
                overtaken.add(act.script_id)
        elif received[act] not in seqs:
            standings[act] = "overtaken" if act.script_id in overtaken else "new"
        elif received[act] in void:
            standings[act] = "void"
        else:
            is_bound = seqs[received[act]] > moved.get(act.script_id, 0)
            standings[act] = "received" if is_bound else "expired"
    return standings


@dataclass(frozen=True)
class Obstacle:
    """Why a decision of the file does not count now.

    Attributes:
        reason: In words.
        waits: Whether it will count when its date has come, if nothing else happens before.
    """

    reason: str
    waits: bool = False


def find_obstacle(
    act: Act, standing: Standing, record: Record | None, now: datetime
) -> Obstacle | None:
    """Why a decision that was not applied does not count now; None where it does.

    Args:
        act: The decision.
        standing: What the log says of it.
        record: Its script; None where there is none.
        now: The present.
    """
    if record is None:
        return Obstacle("there is no script of this id yet")
    if not is_possible(act.act, record.state):
        needed = ", ".join(str(state) for state in RULES[ACTS[act.act]].from_states)
        return Obstacle(f"the script is in {record.state}; {act.act} needs {needed}")
    if act.act != "cancel" and (reason := _find_other_subject(act, standing, record, now)):
        return Obstacle(reason)
    if act.at > now:
        return Obstacle("dated ahead of the clock: waits until then", waits=True)
    approved_by = {
        "approve_script": record.script_approved_by,
        "approve_video": record.video_approved_by,
    }.get(act.act)
    return Obstacle(f"approved already by {approved_by}") if approved_by else None


def _find_other_subject(act: Act, standing: Standing, record: Record, now: datetime) -> str | None:
    """How it is known that a decision is not about what is in the script's state now."""
    state, since = record.state, record.state_since
    if standing == "expired":
        return f"received before the script came into {state}; decide again"
    if standing in ("overtaken", "void"):
        return "written before a decision that has moved the script since; decide again"
    if act.at >= since:
        return None
    if since > now:
        return (
            f"the script came into {state} at a date ahead of the clock ({since.isoformat()});"
            " decide with `ytap script`"
        )
    return f"decided before the script came into {state} ({since.isoformat()}); decide again"


def explain_idle_acts(
    workspace_id: str,
    acts: Sequence[Act],
    records: pl.DataFrame,
    events: pl.DataFrame,
    *,
    now: datetime,
) -> list[tuple[Act, Obstacle]]:
    """The decisions of the file that did nothing so far, each with the reason.

    Args:
        workspace_id: The workspace.
        acts: The decisions in the order of the file.
        records: The workspace's rows of `production_records`.
        events: Its rows of `production_events`.
        now: The present.
    """
    known = {record.script_id: record for record in iter_records(records)}
    standings = trace_acts(workspace_id, acts, events)
    obstacles = [
        (act, find_obstacle(act, standings[act], known.get(act.script_id), now))
        for act in acts
        if standings[act] != "applied"
    ]
    return [(act, obstacle) for act, obstacle in obstacles if obstacle is not None]
