"""The evidence for decisions: what was found outside the event log, and copies in other workspaces.

Belongs here: the evidence of a batch of workspaces, and the rules by which one script or video in
several workspaces is recognized. Does not belong here: reading files or other workspaces' events
(`operations`).

The text of a script, a video's largest file and a YouTube video have an id that does not depend on
the workspace. Of two workspaces with the same content, the one with the earlier event has the
original. The script of the other one is a copy until the original is rejected or cancelled.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from ytap_assets.domain.production.events import (
    SCRIPT_PENDING_REVIEW,
    TAKEN,
    Event,
    Script,
    admit,
    digest,
    events_to_frame,
)
from ytap_assets.domain.production.gates import (
    NO_PAGES,
    TOPIC_COLUMNS,
    find_topic_rivals,
    read_topics,
)
from ytap_assets.domain.production.inbox import (
    Decision,
    DecisionLog,
    Obstacle,
    Standing,
    Submission,
    Upload,
    find_obstacles,
    read_decision_logs,
    trace_decisions,
)
from ytap_assets.domain.production.jobs import JobReport
from ytap_assets.domain.production.manifest import VideoFolder
from ytap_assets.domain.production.records import (
    CONTEXT_TYPES,
    Record,
    ScriptContext,
    fold_events,
    iter_records,
    read_contexts,
    script_text,
)
from ytap_assets.domain.production.rules import Rules

CONTENT_TYPES = ("script_submitted", "imported", "script_edited", "video_completed", "published")
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
    """The content of a script; ``seq`` is None if its event is not appended yet."""

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
    # Each character is looked up once, however often it occurs: a script has thousands.
    invisible = {c for c in set(folded) if unicodedata.category(c) == _FORMAT_CHARACTERS}
    return " ".join(folded.translate(dict.fromkeys(map(ord, invisible))).split())


def script_content_id(payload: Mapping[str, Any]) -> str | None:
    """The content id of a script, from the words of title and text; None if there is no text.

    Capitals, spaces, characters that cannot be seen, and how the text is cut into segments make no
    difference.
    """
    text, title = normalize_text(script_text(payload)), payload.get("title")
    if not text:
        return None
    return _SCRIPT + digest([normalize_text(title if isinstance(title, str) else ""), text])


def video_content_id(files: Iterable[tuple[int, str]]) -> str | None:
    """The content id of a video, from its largest file; None if there is none with a checksum.

    Other files, such as captions and thumbnails, are ignored.

    Args:
        files: Each file's size in bytes and its checksum.
    """
    _, checksum = max((file for file in files if file[1]), default=(0, ""))
    return _VIDEO + digest([checksum]) if checksum else None


def upload_content_id(video_id: str) -> str:
    """Names a YouTube video."""
    return _YOUTUBE + video_id


def read_content_id(event_type: str, payload: Mapping[str, Any]) -> str | None:
    """The content id of an event that is older than the column."""
    if event_type in ("script_submitted", "imported"):
        return script_content_id(payload)
    if event_type == "script_edited":  # not older; it names its content unless there is no text
        return None
    if event_type == "video_completed":
        files = payload.get("files")
        return video_content_id(map(_read_file, files if isinstance(files, list) else []))
    video_id = payload.get("video_id")
    return upload_content_id(video_id) if isinstance(video_id, str) else None


def _read_file(file: Mapping[str, Any]) -> tuple[int, str]:
    size, checksum = file.get("size_bytes"), file.get("sha256")
    return size if isinstance(size, int) else 0, checksum if isinstance(checksum, str) else ""


def fill_content_ids(events: pl.DataFrame) -> pl.DataFrame:
    """The events with content, each with its content id.

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
    """The content of scripts by kind: of each kind, that of their last event in the log.

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
    """The content of scripts: of each kind, the last one in the log, or the pending one.

    Args:
        scripts: The scripts.
        contents: Their content in the log (`read_contents`).
        new: Events that are not stored yet.
    """
    claims = {script: dict(contents.get(script, {})) for script in scripts}
    for event in new:
        kinds = claims.get((event.workspace_id, event.script_id))
        if event.content_id is not None and kinds is not None:
            kinds[content_kind(event.content_id)] = Claim(event.content_id, None)
    return {script: list(kinds.values()) for script, kinds in claims.items() if kinds}


class ContentLog:
    """Which scripts have which content: in the lake, and in a batch of workspaces to be stored.

    The workspaces of the batch are compared as if they were stored one after another: a workspace
    with the final content and states of those before it, and with what the lake has of all others.
    """

    def __init__(self, workspace_ids: Iterable[str]) -> None:
        """Begin with nothing.

        Args:
            workspace_ids: The workspaces of the batch, in the order in which they are stored.
        """
        self._places = {name: place for place, name in enumerate(workspace_ids)}
        self._stored: defaultdict[str, dict[tuple[int, str, str], bool]] = defaultdict(dict)
        self._states: dict[Script, str] = {}
        self._pending: defaultdict[str, list[Original]] = defaultdict(list)
        self._moved: dict[Script, str] = {}

    def add_stored(self, events: pl.DataFrame, states: Mapping[Script, str]) -> None:
        """Add what the lake has.

        Args:
            events: Events that bring content, of any workspaces. Columns `CONTENT_COLUMNS`, and
                ``is_older``: whether the event was appended before events named their content.
                Such an event is compared with scripts of the same name only.
            states: The current states of these events' scripts.
        """
        columns = ("content_id", "seq", "workspace_id", "script_id", "is_older")
        for content_id, seq, workspace_id, script_id, is_older in events.select(
            columns
        ).iter_rows():
            self._stored[content_id][seq, workspace_id, script_id] = is_older
        self._states |= states

    def replace_pending(self, events: Iterable[Event]) -> None:
        """Take the events that the batch will append, in place of those taken before.

        Args:
            events: The events in order, one workspace after another.
        """
        self._pending.clear()
        self._moved.clear()
        for event in events:
            script = (event.workspace_id, event.script_id)
            if event.content_id is not None:
                self._pending[event.content_id].append(Original(*script, event.content_id))
            if event.to_state is not None:
                self._moved[script] = event.to_state

    def find_originals(self, script: Script, claims: Sequence[Claim]) -> tuple[Original, ...]:
        """The first original of each of the contents of a script of the batch, where there is one.

        Args:
            script: The script.
            claims: Its content.
        """
        firsts = (next(self._iter_originals(script, claim), None) for claim in claims)
        return tuple(first for first in firsts if first is not None)

    def _iter_originals(self, script: Script, claim: Claim) -> Iterator[Original]:
        workspace_id, script_id = script
        stored = self._stored.get(claim.content_id, {})
        for (seq, other_id, other_script), is_older in sorted(stored.items()):
            if claim.seq is not None and seq >= claim.seq:
                return
            original = Original(other_id, other_script, claim.content_id)
            is_comparable = not is_older or original.script_id == script_id
            if is_comparable and self._is_original(original, workspace_id):
                yield original
        if claim.seq is None:
            for original in self._pending.get(claim.content_id, ()):
                is_visible = self._is_before(original.workspace_id, workspace_id)
                if is_visible and self._is_original(original, workspace_id):
                    yield original

    def _is_before(self, workspace_id: str, other: str) -> bool:
        """Whether a workspace is stored before another one of the batch."""
        places = self._places
        return workspace_id in places and places[workspace_id] < places[other]

    def _is_original(self, holder: Original, workspace_id: str) -> bool:
        """Whether a script keeps its content from a workspace."""
        if holder.workspace_id == workspace_id:
            return False
        script = (holder.workspace_id, holder.script_id)
        state = self._states.get(script)
        if self._is_before(holder.workspace_id, workspace_id):
            state = self._moved.get(script, state)
        return state in TAKEN


def describe_copy(
    originals: Sequence[Original], copy: Script, *, is_published: bool = False
) -> str | None:
    """Why a copy is blocked, and how to resolve it; None if there is no original.

    Args:
        originals: The scripts with the same content.
        copy: The copy.
        is_published: Whether the copy is published, so that it cannot be cancelled.
    """
    if not originals:
        return None
    if is_published:
        return f"{originals[0]}; this script is published and cannot be cancelled"
    workspace_id, script_id = copy
    return (
        f"{originals[0]}; cancel this script, which came later: `ytap script cancel {script_id} -w"
        f" {workspace_id}`"
    )


_KEY = ("workspace_id", "script_id")
_NOT_STORED = 2**62
"""Where the numbers of events begin that are not stored yet: after all that are."""


@dataclass(frozen=True)
class Found:
    """The evidence of one workspace outside its log.

    Attributes:
        rules: Its rules.
        submissions: The scripts in its inbox that are not known to be recorded.
        decisions: The decisions in its approvals file, in order: all that are about scripts in
            production, and the new ones about any other.
        decisions_problem: Why its approvals file cannot be read; None if it can.
        folders: Its video folders with a manifest, per script.
        uploads: Its upload log, in order: all lines about scripts that are ready to be published.
        jobs: The reports of its generators, in order: all that are about scripts in production, and
            the new ones about any other.
        seen_videos: The publication times of videos in its own channels' feeds, per video id.
        owners: The scripts of the uploaded videos that are recorded already, per video id.
        known: Those of the submissions' and decisions' scripts that have a record.
    """

    rules: Rules = field(default_factory=Rules)
    submissions: Sequence[Submission] = ()
    decisions: Sequence[Decision] = ()
    decisions_problem: str | None = None
    folders: Mapping[str, VideoFolder] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    jobs: Sequence[JobReport] = ()
    seen_videos: Mapping[str, datetime] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    known: Collection[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """One workspace's scripts, and the evidence for their promotions.

    Attributes:
        workspace_id: The workspace.
        found: The evidence outside the log.
        waiting: Its scripts by state, ordered by waiting time, the longest first.
        contexts: Information of the log that the records do not contain, per script.
        standings: The status of each decision, according to the log.
        rivals: Per script in review with the same story as another script: that script, as text.
        copies: Per script, the scripts of other workspaces that had the same content before.
        jobs: The reports of its generators that are not in the log.
    """

    workspace_id: str
    found: Found
    waiting: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    contexts: Mapping[str, ScriptContext] = field(default_factory=dict)
    standings: Mapping[Decision, Standing] = field(default_factory=dict)
    rivals: Mapping[str, str] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)
    jobs: Sequence[JobReport] = ()

    @property
    def rules(self) -> Rules:
        """The workspace's rules."""
        return self.found.rules

    @cached_property
    def recorded(self) -> set[str]:
        """The scripts that have a record, as far as they were found or are waiting."""
        waiting = (record.script_id for records in self.waiting.values() for record in records)
        return {*self.found.known, *waiting}


class Production:
    """The production of several workspaces in memory, as the log has it or will have it.

    Decisions of several promotions are made one after the other, each on what the ones before it
    will append: `apply` takes their events without storing them.
    """

    def __init__(
        self,
        records: pl.DataFrame,
        events: pl.DataFrame,
        topics: pl.DataFrame,
        pages: pl.DataFrame = NO_PAGES,
    ) -> None:
        """Take what is stored.

        Args:
            records: Rows of `production_records`: the scripts that may move, and others that
                decisions are about.
            events: Rows of `production_events`: all of these scripts, and of those without a record
                that decisions are about.
            topics: The scripts that have a topic: rows of `production_records` with the columns
                `TOPIC_COLUMNS`. May be empty if no script is in review.
            pages: Members of stories, as `find_topic_rivals` takes them.
        """
        self.records = records
        self._events = events
        self._topics = topics
        self._compared: pl.DataFrame | None = None
        self._pages = pages
        self._stored = (self.records, self._events, self._topics)
        self._applied = 0
        self._rivals: dict[str, dict[str, str]] | None = None
        self._contexts: dict[tuple[str, str], ScriptContext] | None = None

    @property
    def events(self) -> pl.DataFrame:
        """All events of the scripts: rows of `production_events`."""
        return self._events

    @cached_property
    def _states(self) -> dict[Script, str]:
        rows = self.records.select("workspace_id", "script_id", "state").iter_rows()
        return {(workspace_id, script_id): state for workspace_id, script_id, state in rows}

    @cached_property
    def _known_ids(self) -> set[tuple[str, str]]:
        return set(self._events.select("workspace_id", "event_id").iter_rows())

    @cached_property
    def _logs(self) -> dict[str, DecisionLog]:
        return read_decision_logs(self._events)

    @cached_property
    def contents(self) -> dict[Script, dict[str, Claim]]:
        """The content of each script, by kind; the ``seq`` of what is not stored is None."""
        return read_contents(self._events)

    def gather(self, found: Mapping[str, Found]) -> dict[str, Evidence]:
        """The evidence of each workspace.

        Args:
            found: What was found in the workspaces.
        """
        waiting: defaultdict[str, defaultdict[str, list[Record]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for workspace_id, record in iter_records(self.records):
            waiting[workspace_id][record.state].append(record)
        if self._contexts is None:
            self._contexts = read_contexts(self._events)
        contexts: defaultdict[str, dict[str, ScriptContext]] = defaultdict(dict)
        for (workspace_id, script_id), context in self._contexts.items():
            contexts[workspace_id][script_id] = context
        if self._rivals is None:
            self._rivals = self._find_rivals()
        return {
            workspace_id: Evidence(
                workspace_id=workspace_id,
                found=one,
                waiting=waiting.get(workspace_id, {}),
                contexts=contexts.get(workspace_id, {}),
                standings=trace_decisions(
                    workspace_id, one.decisions, self._logs.get(workspace_id, DecisionLog())
                ),
                rivals=self._rivals.get(workspace_id, {}),
                jobs=[
                    job for job in one.jobs if (workspace_id, job.event_id) not in self._known_ids
                ],
            )
            for workspace_id, one in found.items()
        }

    def _find_rivals(self) -> dict[str, dict[str, str]]:
        """The rivals of the scripts in review; a title is read once, unless its script changes."""
        if SCRIPT_PENDING_REVIEW not in self._topics["state"]:
            return {}
        if self._compared is None:
            self._compared = read_topics(self._topics)
        elif not (new := self._topics.join(self._compared, on=_KEY, how="anti")).is_empty():
            self._compared = pl.concat([self._compared, read_topics(new)])
        return find_topic_rivals(self._compared, self._pages)

    def find_ignored(
        self, found: Mapping[str, Found], now: datetime
    ) -> dict[str, list[tuple[Decision, Obstacle]]]:
        """The decisions that currently have no effect, by workspace, each with the reason.

        Args:
            found: What was found in the workspaces.
            now: The present.
        """
        records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        for workspace_id, record in iter_records(self.records):
            records[workspace_id][record.script_id] = record
        return {
            workspace_id: find_obstacles(
                one.decisions,
                trace_decisions(
                    workspace_id, one.decisions, self._logs.get(workspace_id, DecisionLog())
                ),
                records[workspace_id],
                now,
                one.rules,
            )
            for workspace_id, one in found.items()
        }

    def apply(self, events: Sequence[Event], now: datetime) -> list[Event]:
        """Take events that will be appended.

        Args:
            events: The events, in order.
            now: The present.

        Returns:
            Those that are new and find the state they expect.
        """
        admitted = list(admit(events, self._states, known_ids=self._known_ids).admitted)
        if not admitted:
            return []
        first = _NOT_STORED + self._applied
        seqs = pl.int_range(first, first + len(admitted), dtype=pl.Int64, eager=True)
        self._applied += len(admitted)
        rows = events_to_frame(admitted, recorded_at=now).with_columns(seqs.alias("seq"))
        self._events = pl.concat([self._events, rows])
        touched = rows.select("workspace_id", "script_id").unique()
        records = fold_events(self._events.join(touched, on=touched.columns, how="semi"))
        self.records = _replace(self.records, records, touched)
        self._topics = _replace(self._topics, records.select(TOPIC_COLUMNS), touched)
        if self._compared is not None:
            self._compared = self._compared.join(touched, on=touched.columns, how="anti")
        self._note(admitted)
        return admitted

    def restart(self, workspace_ids: Collection[str]) -> None:
        """Forget the events that were taken for some workspaces.

        Args:
            workspace_ids: The workspaces.
        """
        is_theirs = pl.col("workspace_id").is_in(list(workspace_ids))
        self.records, self._events, self._topics = (
            pl.concat([rows.filter(~is_theirs), stored.filter(is_theirs)])
            for rows, stored in zip(
                (self.records, self._events, self._topics), self._stored, strict=True
            )
        )
        if self._compared is not None:
            self._compared = self._compared.filter(~is_theirs)
        self._rivals = self._contexts = None
        for name, attribute in vars(type(self)).items():
            if isinstance(attribute, cached_property):
                self.__dict__.pop(name, None)

    def _note(self, events: Sequence[Event]) -> None:
        """Update the lookups by script and event with new events."""
        for event in events:
            script = (event.workspace_id, event.script_id)
            self._known_ids.add((event.workspace_id, event.event_id))
            if event.to_state is not None:
                self._states[script] = event.to_state
            if event.content_id is not None:
                self.contents.setdefault(script, {})[content_kind(event.content_id)] = Claim(
                    event.content_id, None
                )
        if any(event.type in CONTEXT_TYPES for event in events):
            self._contexts = None
        if any(event.to_state is not None for event in events):
            self._rivals = None
        self.__dict__.pop("_logs", None)


def _replace(rows: pl.DataFrame, new: pl.DataFrame, scripts: pl.DataFrame) -> pl.DataFrame:
    """The rows of some scripts exchanged for new ones."""
    return pl.concat([rows.join(scripts, on=scripts.columns, how="anti"), new])
