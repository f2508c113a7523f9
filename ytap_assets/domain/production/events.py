"""An event: one thing that happened to one script, and its row in `production_events`.

Belongs here: the event's shape, its identity, its conversion to and from rows. Does not belong
here: which events are made (`decide`, `decisions`) or accepted (`admission`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from ytap_assets.tables.production import PRODUCTION_EVENTS


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
        to_state: The state it leads to; None where it moves nothing.
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
        ValueError: A number that JSON cannot hold.
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
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def digest(content: object) -> str:
    """The SHA-256 of the content's canonical JSON, in hex."""
    return hashlib.sha256(dump_json(content).encode()).hexdigest()


def evidence_id(workspace_id: str, script_id: str, event_type: str, evidence: object) -> str:
    """The id of an event that follows from evidence: the same evidence gives the same id."""
    return digest([workspace_id, script_id, event_type, evidence])[:32]


def events_to_frame(events: Iterable[Event], *, recorded_at: datetime) -> pl.DataFrame:
    """Events as rows of `production_events`, in order; ``seq`` is null until the lake gives it."""
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
