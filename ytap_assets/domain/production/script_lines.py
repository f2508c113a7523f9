"""Histories of scripts as JSON lines: all events of a script in one line, for another lake or copy.

Belongs here: how a history is written and read, and which of its events a log lacks. Does not
belong here: files, or storing events (`operations.script_imports`).

The ids of the events are kept, so a history that is read again adds nothing. The numbers of the
events are not: they are those of the lake. What an event brings is computed from its payload, not
taken from the line: it decides which script is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl

from ytap_assets.domain.ids import is_channel_id, is_video_id
from ytap_assets.domain.production.edits import read_changes
from ytap_assets.domain.production.events import Event, admit, dump_json, events_from_frame
from ytap_assets.domain.production.evidence import (
    CONTENT_TYPES,
    read_content_id,
    script_content_id,
)
from ytap_assets.domain.production.inbox import SCRIPT_TEXTS, read_segments
from ytap_assets.domain.production.jobs import read_job
from ytap_assets.domain.production.lines import (
    LINE_LIMITS,
    FieldError,
    Fields,
    Limits,
    read_instant,
    read_number,
    read_script_id,
    text_matching,
    text_up_to,
)
from ytap_assets.domain.production.records import script_text
from ytap_assets.tables.production import EVENT_TYPES, STATES

FORMAT = "ytap_script"
VERSION = 1
HISTORY_LIMITS = Limits(64 * 1024 * 1024, LINE_LIMITS.depth + 10)
"""A history has many events, each of which may be as large as a line of another file."""
_YEARS = range(1970, 2200)
_MOST_MICROS = 10**15


@dataclass(frozen=True)
class Recorded:
    """An event of a history, and when it was first stored."""

    event: Event
    recorded_at: datetime


@dataclass(frozen=True)
class History:
    """All events of a script, in order.

    Attributes:
        script_id: The script.
        workspace_id: The workspace that it was exported from.
        events: Its events, with the workspace that it was exported from.
    """

    script_id: str
    workspace_id: str
    events: tuple[Recorded, ...]


def write_histories(events: pl.DataFrame) -> Iterator[str]:
    """One line per script, without its end; the scripts in the order of their first events.

    Args:
        events: Rows of `production_events`: all events of some scripts of a workspace.
    """
    ordered = events.sort("seq")
    for (workspace_id, script_id), rows in ordered.group_by(
        "workspace_id", "script_id", maintain_order=True
    ):
        recorded = rows["recorded_at"].to_list()
        yield dump_json(
            {
                "format": FORMAT,
                "version": VERSION,
                "workspace_id": workspace_id,
                "script_id": script_id,
                "events": [
                    {
                        "event_id": event.event_id,
                        "type": event.type,
                        "from_state": event.from_state,
                        "to_state": event.to_state,
                        "actor": event.actor,
                        "occurred_at": event.occurred_at.isoformat(),
                        "recorded_at": at.isoformat(),
                        "reason": event.reason,
                        "payload": event.payload,
                    }
                    for event, at in zip(events_from_frame(rows), recorded, strict=True)
                ],
            }
        )


def read_history(fields: Fields, now: datetime) -> History:
    """One line's object as a history.

    Args:
        fields: The object.
        now: The present; nothing was stored after it.

    Raises:
        FieldError: It is not one, or its events do not follow from each other.
    """
    fields.need("format", text_matching(FORMAT.__eq__, f"{FORMAT}, as `ytap script export` writes"))
    if (version := fields.need("version", lambda value: value)) != VERSION:
        raise FieldError(f"version: {version!r} is not {VERSION}; use a newer ytap")
    script_id = fields.need("script_id", read_script_id)
    workspace_id = fields.need("workspace_id", text_up_to(100))
    rows = fields.need("events", _read_list)
    fields.check()
    events = []
    for number, row in enumerate(rows, start=1):
        try:
            events.append(_read_event(Fields(row), workspace_id, script_id, now))
        except FieldError as error:
            raise FieldError(f"event {number}: {error}") from error
    admission = admit([one.event for one in events], {})
    if admission.refused:
        raise FieldError(f"the events do not follow from each other: {admission.refused[0].reason}")
    if admission.duplicates:
        raise FieldError(f"event {admission.duplicates[0].event_id} is in it twice")
    return History(script_id, workspace_id, tuple(_name_contents(events)))


def _read_list(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value) or not value:
        raise FieldError("expected a list of objects")
    return value


def _read_event(fields: Fields, workspace_id: str, script_id: str, now: datetime) -> Recorded:
    one_line = partial(text_matching, str.isprintable)
    event_type = fields.need("type", _read_one_of(EVENT_TYPES))
    recorded_at = fields.need("recorded_at", _read_date)
    event = Event(
        event_id=fields.need("event_id", one_line("an id in one line")),
        workspace_id=workspace_id,
        script_id=script_id,
        type=event_type,
        from_state=fields.read("from_state", _read_one_of(STATES)),
        to_state=fields.read("to_state", _read_one_of(STATES)),
        actor=fields.need("actor", one_line("a name in one line")),
        occurred_at=fields.need("occurred_at", _read_date),
        reason=fields.content.get("reason"),
        payload=fields.content.get("payload", {}),
    )
    for key in ("reason", "payload"):
        fields.read(key, lambda value: value)
    fields.check()
    if not isinstance(event.reason, str | None):
        raise FieldError("reason: expected a text")
    if not isinstance(event.payload, dict):
        raise FieldError("payload: expected an object")
    if len(event.event_id) > 100:
        raise FieldError("event_id: longer than 100 characters")
    if recorded_at > now:
        raise FieldError(f"recorded_at: {recorded_at.isoformat()} is in the future")
    _check_payload(event)
    return Recorded(event, recorded_at)


def _check_payload(event: Event) -> None:
    """See that the values which rules use are what the files would allow.

    Raises:
        FieldError: They are not.
    """
    if event.type == "script_edited":
        read_changes(event.payload)
    for key, read in _READERS.get(event.type, {}).items():
        if (value := event.payload.get(key)) not in (None, ""):
            try:
                read(value)
            except FieldError as error:
                raise FieldError(f"payload: {key}: {error}") from error
    if event.type.startswith("job_"):
        status, at = event.type.removeprefix("job_"), event.occurred_at.isoformat()
        about = {"script_id": event.script_id, "status": status}
        read_job(Fields({"at": at, **event.payload, **about}))


def _read_micros(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_MICROS:
        raise FieldError("expected a whole number of micro-dollars of at least 0")


_OF_SCRIPT = {
    **SCRIPT_TEXTS,
    "quality": read_number,
    "segments": read_segments,
    "estimated_cost_usd_micros": _read_micros,
}
_OF_VIDEO = {
    "cost_usd_micros": _read_micros,
    "quality_score": read_number,
    "duration_s": read_number,
}
_OF_PUBLICATION = {
    "video_id": text_matching(is_video_id, "a YouTube video's id"),
    "channel_id": text_matching(is_channel_id, "a YouTube channel's id"),
    "published_at": read_instant,
}
_READERS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "script_submitted": _OF_SCRIPT,
    "imported": {**_OF_SCRIPT, **_OF_VIDEO, **_OF_PUBLICATION},
    "video_completed": _OF_VIDEO,
    "quality_check": _OF_VIDEO,
    "published": _OF_PUBLICATION,
}
"""The values of payloads that rules use, as in the files that they come from otherwise."""


def _read_one_of(known: Iterable[str]) -> Any:
    names = tuple(known)
    return text_matching(names.__contains__, f"one of {', '.join(names)}")


def _read_date(value: Any) -> datetime:
    instant = read_instant(value)
    if instant.year not in _YEARS:
        raise FieldError(f"{instant.isoformat()} is not between {_YEARS[0]} and {_YEARS[-1]}")
    return instant


def _name_contents(events: Iterable[Recorded]) -> Iterator[Recorded]:
    """The events with the ids of what they bring."""
    title, text = "", ""
    for one in events:
        event, payload = one.event, one.event.payload
        content_id = None
        if event.type == "script_edited":
            title = payload.get("title", {}).get("new") or title
            text = payload.get("text", {}).get("new") or text
            content_id = script_content_id({"title": title, "body": text})
        elif event.type in CONTENT_TYPES:
            content_id = read_content_id(event.type, payload)
            named = payload.get("title")
            title = named if isinstance(named, str) else title
            text = script_text(payload) or text
        yield replace(one, event=replace(event, content_id=content_id))


def find_missing(history: History, known: Mapping[str, int]) -> tuple[Recorded, ...]:
    """The events of a history that a log lacks.

    Args:
        history: The history.
        known: The ids of the script's events in the log, each with its place in their order.

    Returns:
        Its last events, or none. The log has those before them, and no others.

    Raises:
        FieldError: The log has other events of the script, and lacks some of the history.
    """
    ids = [one.event.event_id for one in history.events]
    if known.keys() >= set(ids):
        return ()
    stored = sorted(known, key=known.__getitem__)
    if ids[: len(stored)] != stored:
        raise FieldError(
            f"script {history.script_id} has other events here than in the file; nothing of it was"
            " imported"
        )
    return history.events[len(stored) :]
