"""A small world for the production tests: one workspace, its log in memory, its files as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from ytap_assets.domain.production.events import Admission, Event, admit_frame, events_to_frame
from ytap_assets.domain.production.evidence import Evidence, Found, Production
from ytap_assets.domain.production.gates import TOPIC_COLUMNS
from ytap_assets.domain.production.inbox import (
    Decision,
    Submission,
    Upload,
    find_new_decisions,
    find_new_scripts,
    find_new_uploads,
    read_decision,
    read_submission,
    read_upload,
)
from ytap_assets.domain.production.jobs import JobReport
from ytap_assets.domain.production.lines import Fields, Parsed, compare_lines, read_lines
from ytap_assets.domain.production.manifest import FileFact, VideoFolder
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.production.rules import Rules
from ytap_assets.tables.production import PRODUCTION_EVENTS

START = datetime(2026, 11, 10, 9, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
VIDEO = b"moving pictures"


def hours(count: float) -> datetime:
    """An instant so many hours after the beginning."""
    return START + timedelta(hours=count)


def parse_scripts(text: bytes | str) -> Parsed[Submission]:
    """The lines of an inbox that is read for the first time."""
    return compare_lines(read_lines(text, read_submission), find_new_scripts({}, {}))


def parse_uploads(text: bytes | str) -> Parsed[Upload]:
    """The lines of an upload log that is read for the first time."""
    return compare_lines(read_lines(text, read_upload), find_new_uploads(()))


def parse_decisions(text: bytes | str) -> Parsed[Decision]:
    """The lines of a file of decisions that is read for the first time."""
    return compare_lines(read_lines(text, read_decision), find_new_decisions(()))


def submission(script_id: str = "one", **changes: Any) -> Submission:
    """A script with which nothing is wrong, but for the changes."""
    content: dict[str, Any] = {
        "script_id": script_id,
        "title": f"A story called {script_id}",
        "hook": "You will not believe how simple it is.",
        "body": "First this, then that.",
        "generation_method": "avatar",
        "estimated_cost_usd": 2,
        "created_at": START.isoformat(),
    }
    return read_submission(Fields(content | changes))


def video_folder(script_id: str = "one", **changes: Any) -> VideoFolder:
    """A video with which nothing is wrong, but for the changes to its manifest."""
    fact = FileFact(len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    content: dict[str, Any] = {
        "script_id": script_id,
        "files": [{"name": "video.mp4", "size_bytes": fact.size_bytes, "sha256": fact.sha256}],
        "cost_usd": 2,
        "quality_score": 90,
        "duration_s": 300,
        "completed_at": hours(20).isoformat(),
    }
    return VideoFolder(json.dumps(content | changes).encode(), {"video.mp4": fact})


def decided(
    script_id: str, what: str, at: datetime, reason: str | None = None, actor: str = "ada"
) -> Decision:
    """What a person decided: Ada, if no other is named."""
    return Decision(script_id, what, actor, at, reason)


@dataclass
class World:
    """One workspace: what lies in its folder, and its log."""

    rules: Rules = field(default_factory=Rules)
    submissions: Sequence[Submission] = ()
    decisions: Sequence[Decision] = ()
    decisions_problem: str | None = None
    folders: Mapping[str, VideoFolder] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    jobs: Sequence[JobReport] = ()
    seen_videos: Mapping[str, datetime] = field(default_factory=dict)
    log: pl.DataFrame = field(default_factory=PRODUCTION_EVENTS.empty)
    now: datetime = NOW
    _folded: tuple[pl.DataFrame, pl.DataFrame] | None = None
    """A log and its records: most looks are at a log that did not change."""

    @property
    def records(self) -> pl.DataFrame:
        """The records of the log."""
        if self._folded is None or self._folded[0] is not self.log:
            self._folded = (self.log, fold_events(self.log))
        return self._folded[1]

    def production(self) -> Production:
        """The workspace's production as its log has it."""
        records = self.records
        return Production(records, self.log, records.select(TOPIC_COLUMNS))

    def found(self) -> Found:
        """What lies in the folder."""
        records = self.records
        return Found(
            self.rules,
            submissions=self.submissions,
            decisions=self.decisions,
            decisions_problem=self.decisions_problem,
            folders=self.folders,
            uploads=self.uploads,
            jobs=self.jobs,
            seen_videos=self.seen_videos,
            owners=dict(records.drop_nulls("video_id").select("video_id", "script_id").iter_rows()),
        )

    def evidence(self) -> Evidence:
        """What a decision may look at now."""
        return self.production().gather({"tech": self.found()})["tech"]

    def append(self, events: Sequence[Event]) -> Admission:
        """Append as the lake does: what is admitted, numbered on."""
        if not events:
            return Admission((), (), ())
        new = events_to_frame(events, recorded_at=self.now)
        rows, admission = admit_frame(new, self.log)
        seq = pl.int_range(1, rows.height + 1, dtype=pl.Int64) + self.log.height
        self.log = self.log.vstack(rows.with_columns(seq=seq))
        return admission

    def tick(self, name: str) -> list[Event]:
        """One promotion decides and appends; returns what was appended."""
        decided = PROMOTIONS[name].decide(self.evidence(), now=self.now)
        return list(self.append(decided).admitted)

    def settle(self) -> None:
        """All promotions decide in turn, until none has anything to say."""
        while any(self.tick(name) for name in PROMOTIONS):
            pass

    def ignored(self) -> dict[Decision, str]:
        """The decisions that did nothing so far, each with the reason."""
        records = self.records
        production = Production(records, self.log, records.select(TOPIC_COLUMNS))
        found = {"tech": Found(self.rules, decisions=self.decisions)}
        ignored = production.find_ignored(found, self.now)["tech"]
        return {decision: obstacle.reason for decision, obstacle in ignored}

    def record(self, script_id: str = "one") -> dict[str, Any]:
        """One script's record."""
        return self.records.row(by_predicate=pl.col("script_id") == script_id, named=True)

    def types(self, script_id: str = "one") -> list[str]:
        """The types of a script's events, in order."""
        own = self.log.filter(pl.col("script_id") == script_id).sort("seq")
        return own["type"].to_list()
