"""A record as the rules see it: one row of `production_records`, and what its log adds to it.

Belongs here: typed views of rows. Does not belong here: how records come about (`fold`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime

import polars as pl

from ytap_assets.domain.production.inbox import script_text


@dataclass(frozen=True)
class Record:
    """The columns of `production_records` that decisions look at."""

    script_id: str
    state: str
    title: str | None
    hook: str | None
    generation_method: str | None
    estimated_cost_usd_micros: int | None
    cost_usd_micros: int | None
    quality_score: float | None
    script_approved_by: str | None
    video_approved_by: str | None
    failed_gates: list[str]
    state_since: datetime
    last_seq: int


def iter_records(records: pl.DataFrame) -> Iterator[tuple[str, Record]]:
    """The records with their workspaces; the longest in their state first."""
    names = [field.name for field in fields(Record)]
    ordered = records.sort("state_since", "script_id").select("workspace_id", *names)
    for workspace_id, *values in ordered.iter_rows():
        yield workspace_id, Record(*values)


@dataclass(frozen=True)
class ScriptContext:
    """What a script's log says that its record does not.

    Attributes:
        text: What is said in the video.
        manifest_sha256: Names the last manifest that completed its video; None where none did.
    """

    text: str = ""
    manifest_sha256: str | None = None


CONTEXT_TYPES = ("script_submitted", "imported", "video_completed")
"""The types of events that contexts are read from."""


def read_contexts(events: pl.DataFrame) -> dict[tuple[str, str], ScriptContext]:
    """The contexts of scripts, by workspace and script.

    Args:
        events: Rows of `production_events`, in any order. Columns ``workspace_id``, ``seq``,
            ``script_id``, ``type``, ``payload``.
    """
    contexts: dict[tuple[str, str], ScriptContext] = {}
    rows = events.filter(pl.col("type").is_in(CONTEXT_TYPES)).sort("seq")
    columns = ("workspace_id", "script_id", "type", "payload")
    for workspace_id, script_id, kind, payload in rows.select(columns).iter_rows():
        content = json.loads(payload)
        before = contexts.get((workspace_id, script_id), ScriptContext())
        contexts[workspace_id, script_id] = (
            replace(before, manifest_sha256=content.get("manifest_sha256"))
            if kind == "video_completed"
            else replace(before, text=script_text(content) or before.text)
        )
    return contexts
