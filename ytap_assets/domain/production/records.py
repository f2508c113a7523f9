"""A record as the rules see it: one row of `production_records`, and what its log adds to it.

Belongs here: typed views of rows. Does not belong here: how records come about (`fold`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
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


def iter_records(records: pl.DataFrame, state: str | None = None) -> Iterator[Record]:
    """The records in a state, or all of them; the longest there first."""
    chosen = records if state is None else records.filter(pl.col("state") == state)
    chosen = chosen.sort("state_since", "script_id")
    for row in chosen.select(field.name for field in fields(Record)).iter_rows(named=True):
        yield Record(**row)


@dataclass(frozen=True)
class Dossier:
    """What a script's log says that its record does not.

    Attributes:
        text: What is said in the video.
        manifest_sha256: Names the last manifest that completed its video; None where none did.
    """

    text: str = ""
    manifest_sha256: str | None = None


def read_dossiers(
    events: pl.DataFrame, script_ids: Collection[str] | None = None
) -> dict[str, Dossier]:
    """The dossiers of one workspace's scripts.

    Args:
        events: Rows of `production_events`, in any order. Columns ``seq``, ``script_id``,
            ``type``, ``payload``.
        script_ids: Whose; None for all of them.
    """
    speaking = pl.col("type").is_in(["script_submitted", "imported", "video_completed"])
    if script_ids is not None:
        speaking &= pl.col("script_id").is_in(list(script_ids))
    dossiers: dict[str, Dossier] = {}
    rows = events.filter(speaking).sort("seq").select("script_id", "type", "payload")
    for script_id, kind, payload in rows.iter_rows():
        content = json.loads(payload)
        before = dossiers.get(script_id, Dossier())
        if kind == "video_completed":
            dossiers[script_id] = Dossier(before.text, content.get("manifest_sha256"))
        else:
            dossiers[script_id] = Dossier(
                script_text(content) or before.text, before.manifest_sha256
            )
    return dossiers
