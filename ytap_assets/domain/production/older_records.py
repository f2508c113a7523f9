"""Records of yt_autopilot's datastore, and the events that they become.

The datastore is a file of JSON lines. Each line is a snapshot of one script: its state, its text,
and what was made of it until `saved_at`. Belongs here: the content of a line, and the order in
which the snapshots of a script become its history. Does not belong here: which workspace a record
belongs to, or storing events (`operations.script_imports`).

Snapshots of a script are ordered by `saved_at`. Approvals and uploads change a record of the
datastore in place and leave its `saved_at` as it is, so of snapshots with the same `saved_at` the
one with the later state follows. A snapshot that comes before what is recorded already does not
change the record: its event has no state, and its content is in the payload under ``older``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from ytap_assets.domain.ids import is_video_id
from ytap_assets.domain.production.events import (
    PUBLISHED,
    READY_FOR_PUBLISH,
    VIDEO_PENDING_REVIEW,
    Event,
    digest,
    evidence_id,
)
from ytap_assets.domain.production.evidence import script_content_id, upload_content_id
from ytap_assets.domain.production.inbox import read_name
from ytap_assets.domain.production.lines import (
    FieldError,
    Fields,
    read_script_id,
    show_value,
    text_up_to,
)
from ytap_assets.tables.production import STATES

ACTOR = "import"
LEGACY_STATES: Mapping[str, str] = {
    **{state.upper(): state for state in STATES},
    "HUMAN_REVIEW_PENDING": VIDEO_PENDING_REVIEW,
    "SCHEDULED_ON_YOUTUBE": READY_FOR_PUBLISH,
}
"""The states of the datastore, and ours."""

_NO_VIDEO_YET = "PENDING_HUMAN_REVIEW"
"""Stands for a YouTube id in records of videos that are not uploaded."""
_FIRST_YEAR = 2005
"""No platform is older."""
_INSTANT = timedelta(microseconds=1)
_UNUSED = (
    "ai_selected_format",
    "character_description",
    "character_profile_id",
    "files",
    "format_rationale",
    "llm_raw_script",
    "proposed_publish_at",
    "status",
    "thumb_provider_used",
    "thumbnail_prompt",
    "upload_result",
    "upload_timestamp",
    "video_internal_id",
    "video_plan",
    "video_style_mode",
    "visual_context_id",
    "visual_context_name",
    "visuals",
    "voice_provider_used",
)
"""Keys of the datastore that no rule reads; a similar key is not one of those misspelled."""


@dataclass(frozen=True)
class OlderRecord:
    """One snapshot of a script.

    Attributes:
        script_id: The script (``script_internal_id``).
        owner: The ``workspace_id`` of the record, as its datastore names it; None without one.
        state: The state it was in, one of `STATES`.
        saved_at: When it was saved, in UTC.
        published_at: When its video was published, in UTC, if it is published and has a date.
        payload: What is known of the script: ``title``, ``hook``, ``body``, ``generation_method``,
            ``video_id``, ``scheduled_for``, ``script_approved_by``, ``script_approved_at``,
            ``video_approved_by``, ``video_approved_at``, each only if it is known; ``saved_at``;
            and in ``extra`` the whole record.
        content: Names the whole record.
    """

    script_id: str
    owner: str | None
    state: str
    saved_at: datetime
    published_at: datetime | None
    payload: Mapping[str, Any]
    content: str

    @cached_property
    def order(self) -> tuple[datetime, int, str]:
        """The order of the snapshots of one script."""
        return self.saved_at, STATES.index(self.state), self.content


@dataclass(frozen=True)
class BadRecord:
    """A line that is JSON, but no record.

    Attributes:
        owner: The ``workspace_id`` in the line; None without one that can be read.
        reason: What is wrong.
    """

    owner: str | None
    reason: str


def read_older_record(fields: Fields, now: datetime) -> OlderRecord | BadRecord:
    """One line's object as a record, or why it is none.

    Args:
        fields: The object.
        now: The present; a record is not saved after it.
    """
    owner = fields.content.get("workspace_id")
    try:
        return _read_record(fields, now)
    except FieldError as error:
        return BadRecord(owner if isinstance(owner, str) and owner.strip() else None, str(error))


def _read_record(fields: Fields, now: datetime) -> OlderRecord:
    script_id = fields.need("script_internal_id", read_script_id)
    state = fields.need("production_state", _read_state)
    saved_at = fields.need("saved_at", _read_instant)
    owner = fields.read("workspace_id", text_up_to(200))
    title = fields.read("title", text_up_to(500))
    script = fields.read("script", _read_object) or {}
    publishing = fields.read("publishing", _read_object) or {}
    final_script = fields.read("final_script", text_up_to(200_000))
    known = {
        "title": title or _text_of(publishing, "final_title", 500),
        "hook": _text_of(script, "hook", 5_000),
        "body": _text_of(script, "full_voiceover_text", 200_000) or final_script,
        "generation_method": fields.read("video_provider_used", text_up_to(500)),
        "video_id": fields.read("youtube_video_id", _read_video_id),
        "script_approved_by": fields.read("script_approved_by", read_name),
        "script_approved_at": fields.read("script_approved_at", _read_instant),
        "video_approved_by": fields.read("approved_by", read_name),
        "video_approved_at": fields.read("approved_at_iso", _read_instant),
    }
    publish_at = fields.read("actual_publish_at", _read_instant)
    if state == READY_FOR_PUBLISH:
        planned = fields.read("proposed_publish_at", _read_instant)
        known["scheduled_for"] = publish_at or planned
    for key in _UNUSED:
        fields.read(key, lambda value: value)
    fields.check()
    if saved_at > now:
        raise FieldError(f"saved_at: {saved_at.isoformat()} is in the future")
    if state == PUBLISHED and publish_at is not None and publish_at > now:
        raise FieldError(
            f"actual_publish_at: {publish_at.isoformat()} is in the future, but the state is"
            f" {fields.content['production_state']}"
        )
    payload = {
        **{key: _as_json(value) for key, value in known.items() if value is not None},
        "saved_at": saved_at.isoformat(),
        "extra": fields.content,
    }
    return OlderRecord(
        script_id=script_id,
        owner=owner,
        state=state,
        saved_at=saved_at,
        published_at=publish_at if state == PUBLISHED else None,
        payload=payload,
        content=digest(fields.content),
    )


def _as_json(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else value


def _read_state(value: Any) -> str:
    name = text_up_to(100)(value)
    if name not in LEGACY_STATES:
        raise FieldError(f"{show_value(name)} is not one of {', '.join(LEGACY_STATES)}")
    return LEGACY_STATES[name]


def _read_instant(value: Any) -> datetime:
    """An ISO 8601 instant in UTC; without a zone it is taken for UTC."""
    text = text_up_to(64)(value)
    try:
        instant = datetime.fromisoformat(text)
        in_utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FieldError(f"{text!r} is not an instant such as 2026-01-31T09:00:00") from error
    if in_utc.year < _FIRST_YEAR:
        raise FieldError(f"{text!r} is before {_FIRST_YEAR}")
    return in_utc


def _read_video_id(value: Any) -> str | None:
    text = text_up_to(200)(value)
    if text == _NO_VIDEO_YET:
        return None
    if not is_video_id(text):
        raise FieldError(f"{show_value(text)} is not a YouTube video's id")
    return text


def _read_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FieldError("expected an object")
    return value


def _text_of(content: Mapping[str, Any], key: str, limit: int) -> str | None:
    try:
        return Fields(content).need(key, text_up_to(limit)) if content.get(key) else None
    except FieldError as error:
        raise FieldError(f"in the object: {error}") from error


@dataclass(frozen=True)
class _Last:
    """The last change of a script's state.

    Attributes:
        state: The state that the script entered.
        at: When.
        order: The order of the snapshot that it came from; None if it came from none.
    """

    state: str
    at: datetime
    order: tuple[datetime, int, str] | None


def plan_import(
    workspace_id: str, records: Iterable[tuple[OlderRecord, str]], stored: pl.DataFrame
) -> dict[str, list[Event]]:
    """The events that snapshots become, after those that are stored.

    The order of the snapshots makes no difference, and one that is equal to another, or stored
    already, adds nothing.

    Args:
        workspace_id: The workspace.
        records: Its snapshots, each with its place in words.
        stored: Rows of `production_events`: all events of these scripts. Columns ``event_id``,
            ``script_id``, ``seq``, ``actor``, ``to_state``, ``occurred_at``, ``payload``.

    Returns:
        The events by the ``content`` of the snapshot, in order: one, or two for a published video.
    """
    known = set(stored["event_id"])
    last = _find_last(stored)
    distinct: dict[tuple[str, str], tuple[OlderRecord, str]] = {}
    for record, place in records:
        key = (record.script_id, record.content)
        distinct[key] = min((record, place), distinct.get(key, (record, place)), key=_by_place)
    planned: dict[str, list[Event]] = {}
    for record, place in sorted(
        distinct.values(), key=lambda one: (one[0].script_id, one[0].order)
    ):
        event_id = _name_import(record)
        if event_id in known:
            continue
        before = last.get(record.script_id)
        events = _make_events(workspace_id, record, place, before)
        planned[record.content] = events
        if (moved := events[-1]).to_state is not None:
            last[record.script_id] = _Last(moved.to_state, moved.occurred_at, record.order)
    return planned


def _by_place(one: tuple[OlderRecord, str]) -> str:
    return one[1]


def _name_import(record: OlderRecord) -> str:
    return evidence_id(record.script_id, "imported", record.content)


def _find_last(stored: pl.DataFrame) -> dict[str, _Last]:
    moves = stored.filter(pl.col("to_state").is_not_null()).sort("seq")
    newest = moves.unique("script_id", keep="last", maintain_order=True)
    last: dict[str, _Last] = {}
    columns = ("script_id", "to_state", "occurred_at", "actor", "payload")
    orders = newest.select(
        pl.col("payload").str.json_path_match("$.saved_at").alias("saved_at"),
        pl.col("payload").str.json_path_match("$.record").alias("record"),
    )
    for (script_id, state, at, actor, _), (saved_at, record) in zip(
        newest.select(columns).iter_rows(), orders.iter_rows(), strict=True
    ):
        order = None
        if actor == ACTOR and saved_at and record:
            order = (datetime.fromisoformat(saved_at), STATES.index(state), record)
        last[script_id] = _Last(state, at, order)
    return last


def _make_events(
    workspace_id: str, record: OlderRecord, place: str, before: _Last | None
) -> list[Event]:
    payload = {**record.payload, "record": record.content}
    imported = Event(
        event_id=_name_import(record),
        workspace_id=workspace_id,
        script_id=record.script_id,
        type="imported",
        from_state=before.state if before else None,
        to_state=record.state,
        actor=ACTOR,
        occurred_at=max(record.saved_at, before.at + _INSTANT) if before else record.saved_at,
        reason=f"from {place}",
        payload=payload,
        content_id=script_content_id(payload),
    )
    if before is not None and _is_older(record, before):
        return [
            replace(
                imported,
                to_state=None,
                occurred_at=record.saved_at,
                reason=f"from {place}; older than what is recorded, so the state stays",
                payload={"older": payload},
                content_id=None,
            )
        ]
    if record.state != PUBLISHED or "video_id" not in payload:
        return [imported]
    imported = replace(imported, to_state=READY_FOR_PUBLISH)
    return [imported, _make_publication(imported, record)]


def _is_older(record: OlderRecord, before: _Last) -> bool:
    if before.order is not None:
        return record.order < before.order
    return record.saved_at < before.at


def _make_publication(imported: Event, record: OlderRecord) -> Event:
    """The publication of an imported video: another event, since it names other content."""
    video_id = str(record.payload["video_id"])
    published_at = record.published_at
    return replace(
        imported,
        event_id=evidence_id(imported.script_id, "published", [imported.event_id, video_id]),
        type="published",
        from_state=READY_FOR_PUBLISH,
        to_state=PUBLISHED,
        occurred_at=max(published_at or imported.occurred_at, imported.occurred_at + _INSTANT),
        payload={
            "video_id": video_id,
            "published_at": published_at.isoformat() if published_at else None,
            "saved_at": record.payload["saved_at"],
            "record": record.content,
        },
        content_id=upload_content_id(video_id),
    )
