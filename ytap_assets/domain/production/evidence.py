"""Everything a decision may look at, gathered before it is taken.

Belongs here: what that is. Does not belong here: gathering it (`operations`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

import polars as pl

from ytap_assets.domain.production.admission import Script, admit
from ytap_assets.domain.production.copies import Claim, Copies, content_kind, read_contents
from ytap_assets.domain.production.decisions import (
    Decision,
    DecisionLog,
    Obstacle,
    Standing,
    find_obstacles,
    read_decision_logs,
    trace_decisions,
)
from ytap_assets.domain.production.events import Event, events_to_frame
from ytap_assets.domain.production.fold import fold_events
from ytap_assets.domain.production.gates import TOPIC_COLUMNS, find_topic_rivals
from ytap_assets.domain.production.inbox import Submission
from ytap_assets.domain.production.manifest import VideoFolder
from ytap_assets.domain.production.records import (
    CONTEXT_TYPES,
    Record,
    ScriptContext,
    iter_records,
    read_contexts,
)
from ytap_assets.domain.production.uploads import Upload

_NOT_STORED = 2**62
"""Where the numbers of events begin that are not stored yet: after all that are."""

Approver = Literal["person", "policy"]


@dataclass(frozen=True)
class Rules:
    """What a workspace's config says about its production.

    Attributes:
        script_approval: Who approves scripts.
        video_approval: Who approves videos.
        budget_usd_micros: What a video may cost.
        banned_topics: Words and phrases it never talks about.
    """

    script_approval: Approver = "person"
    video_approval: Approver = "person"
    budget_usd_micros: int = 3_000_000
    banned_topics: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """What was found in one workspace beside its log.

    Attributes:
        rules: Its rules.
        submissions: The scripts in its inbox that are not known to be recorded.
        decisions: The decisions in its approvals file, in order: all that are about scripts in
            production, and the new ones about any other.
        decisions_problem: Why its approvals file cannot be read; None where it can.
        folders: Its video folders that hold a manifest, per script.
        uploads: Its upload log, in order: all lines about scripts that are ready to be published.
        seen_videos: When the videos seen in its own channels' feeds were published, per video id.
        owners: The scripts of the uploaded videos that are recorded already, per video id.
        known: Those of the submissions' and decisions' scripts that have a record.
    """

    rules: Rules = field(default_factory=Rules)
    submissions: Sequence[Submission] = ()
    decisions: Sequence[Decision] = ()
    decisions_problem: str | None = None
    folders: Mapping[str, VideoFolder] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    seen_videos: Mapping[str, datetime] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    known: Collection[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """One workspace's production as it stands, and what was found beside it.

    Attributes:
        workspace_id: The workspace.
        found: What was found beside the log.
        waiting: Its scripts by state, those that wait longest first.
        contexts: What the log says beyond the records, per script.
        standings: What the log says of each decision.
        rivals: Per script in review whose topic another script has: which one, in words.
        copies: The scripts of other workspaces that had the same content before, per script.
    """

    workspace_id: str
    found: Found
    waiting: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    contexts: Mapping[str, ScriptContext] = field(default_factory=dict)
    standings: Mapping[Decision, Standing] = field(default_factory=dict)
    rivals: Mapping[str, str] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)

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

    def __init__(self, records: pl.DataFrame, events: pl.DataFrame, topics: pl.DataFrame) -> None:
        """Take what is stored.

        Args:
            records: Rows of `production_records`: the scripts that may move, and others that
                decisions are about.
            events: Rows of `production_events`: all of these scripts, and of those without a record
                that decisions are about.
            topics: The scripts that have a topic: rows of `production_records` with the columns
                `TOPIC_COLUMNS`. May be empty where no script is in review.
        """
        self.records = records
        self._events = events
        self._topics = topics
        self._applied = 0
        self._rivals: dict[str, dict[str, str]] | None = None
        self._contexts: dict[tuple[str, str], ScriptContext] | None = None

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
            self._rivals = find_topic_rivals(self._topics)
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
            )
            for workspace_id, one in found.items()
        }

    def find_ignored(
        self, found: Mapping[str, Found], now: datetime
    ) -> dict[str, list[tuple[Decision, Obstacle]]]:
        """The decisions that have no effect as things stand, by workspace, each with the reason.

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
        self._note(admitted)
        return admitted

    def _note(self, events: Sequence[Event]) -> None:
        """Keep what is looked up by script or event in step with the events."""
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
