"""One script or video in several workspaces: how it is recognized, and who has it.

What a script says, a video's largest file and a YouTube video have an id that does not depend on
the workspace. Of two workspaces with the same content, the one whose event came first has the
original; the other one's script is a copy, for as long as the original is not rejected or
cancelled. Belongs here: these rules. Does not belong here: reading other workspaces' events
(`operations`).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ytap_assets.domain.production.admission import Script
from ytap_assets.domain.production.events import Event, digest
from ytap_assets.domain.production.inbox import script_text
from ytap_assets.domain.production.states import CANCELLED, REJECTED

CONTENT_TYPES = ("script_submitted", "imported", "video_completed", "published")
"""The types of events that bring content."""

CONTENT_COLUMNS = ("workspace_id", "script_id", "type", "seq", "content_id")
_FORMAT_CHARACTERS = "Cf"
_SCRIPT, _VIDEO, _YOUTUBE = "script:", "video:", "youtube:"
_WORDS = {_SCRIPT: "text", _VIDEO: "video", _YOUTUBE: "YouTube video"}


@dataclass(frozen=True)
class Original:
    """A script of another workspace that had the same content before.

    Attributes:
        workspace_id: The other workspace.
        script_id: Its script.
        content_id: What is the same.
    """

    workspace_id: str
    script_id: str
    content_id: str

    @property
    def is_upload(self) -> bool:
        """Whether it is the YouTube video that is the same."""
        return self.content_id.startswith(_YOUTUBE)

    def __str__(self) -> str:
        kind = content_kind(self.content_id) + ":"
        return (
            f"script {self.script_id} of workspace {self.workspace_id} has the same"
            f" {_WORDS.get(kind, 'content')}"
        )


@dataclass(frozen=True)
class Claim:
    """Content that a script brings; ``seq`` is None where its event is still to be appended."""

    content_id: str
    seq: int | None


Claims = Mapping[Script, Sequence[Claim]]
"""What scripts bring."""

Copies = Mapping[str, Sequence[Original]]
"""The originals of one workspace's scripts, by script; scripts without one are absent."""


def normalize_text(text: str) -> str:
    """A text for telling whether two are the same: lower case, single spaces, nothing invisible.

    It is part of what ids are made of, so it stays as it is; lists of words are matched otherwise
    (`phrases`).
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    visible = (char for char in folded if unicodedata.category(char) != _FORMAT_CHARACTERS)
    return " ".join("".join(visible).split())


def script_content_id(payload: Mapping[str, Any]) -> str | None:
    """Names what a script says: its title and text, as words; None where there is no text.

    Capitals, spaces, characters that cannot be seen, and how the text is cut into segments make no
    difference.
    """
    text, title = normalize_text(script_text(payload)), payload.get("title")
    if not text:
        return None
    return _SCRIPT + digest([normalize_text(title if isinstance(title, str) else ""), text])


def video_content_id(files: Iterable[tuple[int, str]]) -> str | None:
    """Names a video by its largest file; None where there is none with a checksum.

    Captions, thumbnails and the like that lie beside it make no difference.

    Args:
        files: Each file's size in bytes and its checksum.
    """
    _, checksum = max((file for file in files if file[1]), default=(0, ""))
    return _VIDEO + digest([checksum]) if checksum else None


def upload_content_id(video_id: str) -> str:
    """Names a YouTube video."""
    return _YOUTUBE + video_id


def read_content_id(event_type: str, payload: Mapping[str, Any]) -> str | None:
    """The content of an event that was appended before events named it."""
    if event_type in ("script_submitted", "imported"):
        return script_content_id(payload)
    if event_type == "video_completed":
        files = payload.get("files")
        return video_content_id(map(_read_file, files if isinstance(files, list) else []))
    video_id = payload.get("video_id")
    return upload_content_id(video_id) if isinstance(video_id, str) else None


def _read_file(file: Mapping[str, Any]) -> tuple[int, str]:
    size, checksum = file.get("size_bytes"), file.get("sha256")
    return size if isinstance(size, int) else 0, checksum if isinstance(checksum, str) else ""


def fill_content_ids(events: pl.DataFrame) -> pl.DataFrame:
    """The events that bring content, each with its id.

    Args:
        events: Rows of `production_events`. Columns `CONTENT_COLUMNS` and ``payload``.

    Returns:
        Columns `CONTENT_COLUMNS`, in the order of the rows.
    """
    rows = events.filter(pl.col("type").is_in(CONTENT_TYPES))
    ids = [
        content_id or read_content_id(kind, json.loads(payload))
        for content_id, kind, payload in rows.select("content_id", "type", "payload").iter_rows()
    ]
    named = rows.with_columns(pl.Series("content_id", ids, dtype=pl.String))
    return named.select(CONTENT_COLUMNS).drop_nulls("content_id")


def content_kind(content_id: str) -> str:
    """The kind of content that an id names: a script, a video or a YouTube video."""
    return content_id.partition(":")[0]


def read_contents(events: pl.DataFrame) -> dict[Script, dict[str, Claim]]:
    """What scripts bring, by kind: of each kind, what their last event in the log brings.

    Args:
        events: Rows of `production_events`.
    """
    contents: dict[Script, dict[str, Claim]] = {}
    columns = ("workspace_id", "script_id", "content_id", "seq")
    for workspace_id, script_id, content_id, seq in (
        fill_content_ids(events).sort("seq").select(columns).iter_rows()
    ):
        kinds = contents.setdefault((workspace_id, script_id), {})
        kinds[content_kind(content_id)] = Claim(content_id, seq)
    return contents


def claim_content(
    scripts: Iterable[Script], contents: Mapping[Script, Mapping[str, Claim]], new: Iterable[Event]
) -> Claims:
    """What scripts bring: of each kind, their last content, or the one to come.

    Args:
        scripts: The scripts asked about.
        contents: What they have brought (`read_contents`).
        new: Events to come.
    """
    claims = {script: dict(contents.get(script, {})) for script in scripts}
    for event in new:
        kinds = claims.get((event.workspace_id, event.script_id))
        if event.content_id is not None and kinds is not None:
            kinds[content_kind(event.content_id)] = Claim(event.content_id, None)
    return {script: list(kinds.values()) for script, kinds in claims.items() if kinds}


def find_copies(
    claims: Claims, others: pl.DataFrame, states: Mapping[Script, str]
) -> dict[Script, tuple[Original, ...]]:
    """The originals of scripts.

    Args:
        claims: What the scripts bring.
        others: Events of all workspaces. Columns `CONTENT_COLUMNS`.
        states: Where these events' scripts stand.

    Returns:
        Per script that has any, its originals in other workspaces, in the order of commits.
    """
    rows = others.sort("seq").select("content_id", "workspace_id", "script_id", "seq").iter_rows()
    holders: dict[str, list[tuple[Original, int]]] = {}
    for content_id, workspace_id, script_id, seq in rows:
        if states.get((workspace_id, script_id)) not in (None, REJECTED, CANCELLED):
            original = Original(workspace_id, script_id, content_id)
            holders.setdefault(content_id, []).append((original, seq))
    copies: dict[Script, tuple[Original, ...]] = {}
    for script, own in claims.items():
        found = [
            original
            for claim in own
            for original, seq in holders.get(claim.content_id, [])
            if original.workspace_id != script[0] and (claim.seq is None or seq < claim.seq)
        ]
        if found:
            copies[script] = tuple(dict.fromkeys(found))
    return copies


def describe_copy(originals: Sequence[Original]) -> str | None:
    """Why a copy is held back, and the way out; None where there is no original."""
    if not originals:
        return None
    first = originals[0]
    others = len({(one.workspace_id, one.script_id) for one in originals}) - 1
    more = f", and {others} more" if others else ""
    return (
        f"{first}{more}: cancel one of the two (`ytap script cancel {first.script_id}"
        f" -w {first.workspace_id}`, or the same for this one)"
    )
