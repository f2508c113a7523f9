"""Production: promote scripts on evidence, store people's decisions, keep the records current.

A run works on a batch of workspaces. It reads each table once, decides one promotion after the
other in memory until nothing moves, and appends everything in one commit, together with the records
and videos that follow from it and with the cursors of the inbox files. The commit is guarded: an
event is appended only if its script is still in the state the event found, so of two that decide at
once one wins and the other decides again.

Belongs here: that sequence. Does not belong here: the rules (`domain.production`), or the inbox
files (`inboxes`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl
from ulid import ULID

from ytap_assets.domain.production.events import (
    CANCELLED,
    IN_PRODUCTION,
    PUBLISHED,
    READY_FOR_PUBLISH,
    REJECTED,
    SCRIPT_PENDING_REVIEW,
    Event,
    Script,
    admit_frame,
    current_states,
    events_to_frame,
)
from ytap_assets.domain.production.evidence import (
    CONTENT_COLUMNS,
    CONTENT_TYPES,
    Claims,
    Evidence,
    Found,
    Original,
    Production,
    Rules,
    claim_content,
    fill_content_ids,
    find_copies,
)
from ytap_assets.domain.production.gates import TOPIC_COLUMNS
from ytap_assets.domain.production.inbox import (
    Decision,
    Obstacle,
    Upload,
    explain_ignored_decisions,
    merge_uploads,
)
from ytap_assets.domain.production.promotions import (
    PROMOTIONS,
    Promotion,
    is_held_as_copy,
    list_candidates,
)
from ytap_assets.domain.production.records import FOLD_VERSION, fold_events, videos_from_records
from ytap_assets.errors import ConfigError, UnknownScriptError
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_batch, check_rows
from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.reader import BatchReader, CrossReader
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    SCRIPTS,
    UPLOADS,
    InboxFile,
    find_foreign_uploads,
)
from ytap_assets.operations.inboxes import (
    SliceRefusedError,
    check_slices,
    decisions_and_uploads,
    find_new_bad_lines,
    find_news,
    open_inboxes,
    read_lines_of,
    read_wanted,
    store_inboxes,
)
from ytap_assets.operations.platform import Batch, Platform, Results, Slice, Written, split_slices
from ytap_assets.operations.video_folders import VideoFolders, stamp_folders
from ytap_assets.tables import (
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    VIDEOS,
    Table,
)
from ytap_assets.tables.production import STATES
from ytap_assets.workspaces import Workspace

ALL_PROMOTIONS = "all"
SUBMIT = "submit_scripts"
"""The promotion that reads the inbox: it moves the cursors, and puts bad lines into quarantine."""

_MAX_ROUNDS = 20
_MICROS = 1_000_000
_SHOWN_DECISIONS = 5
_LONG_TAIL_BYTES = 64 * 1024
_PROMOTED = tuple(state for state in STATES if state not in (REJECTED, CANCELLED))
_NOTES = ("decision_received", "gates_evaluated")
_SCRIPT = ["workspace_id", "script_id"]


def advance(batch: Batch, promotion: str) -> Results:
    """Promote scripts as far as evidence and gates allow.

    Scripts that another run, or another workspace of the batch, got ahead of are decided again.

    Args:
        batch: The workspaces.
        promotion: One of `PROMOTIONS`, or ``all``, repeated until no state changes.

    Returns:
        The events appended for each workspace, or why its production failed. The notes name bad
        lines and decisions without effect.

    Raises:
        ConfigError: There is no such promotion.
    """
    chosen = _choose(promotion)
    outcomes = {one.workspace_id: _Outcome() for one in batch.slices}
    waiting = batch.slices
    for _ in range(_MAX_ROUNDS):
        part = Batch(batch.platform, waiting, batch.run)
        view = _View(part)
        view.decide_all(chosen)
        moves_cursors = any(one.name == SUBMIT for one in chosen)
        for workspace_id, stored in _commit(view, moves_cursors=moves_cursors).items():
            outcomes[workspace_id].add(stored)
        for workspace_id, error in view.failed.items():
            outcomes[workspace_id].error = error
        for workspace_id, notes in view.describe().items():
            outcomes[workspace_id].notes = notes
        waiting = tuple(one for one in waiting if outcomes[one.workspace_id].is_unsettled)
        if not waiting:
            break
    return _to_results(batch, outcomes)


@dataclass
class _Outcome:
    """What became of one workspace's production."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    refused: int = 0
    is_unsettled: bool = False
    snapshot_id: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    def add(self, stored: _Stored) -> None:
        self.rows.append(stored.rows)
        self.refused += stored.refused
        self.is_unsettled = stored.is_unsettled
        self.snapshot_id = stored.snapshot_id
        self.error = stored.error


@dataclass(frozen=True)
class _Stored:
    """What a commit stored for one workspace.

    Attributes:
        rows: The events appended.
        refused: How many events came too late.
        is_unsettled: Whether something is to be decided again.
        snapshot_id: Their snapshot.
        error: Why nothing was stored.
    """

    rows: pl.DataFrame = field(default_factory=PRODUCTION_EVENTS.empty)
    refused: int = 0
    is_unsettled: bool = False
    snapshot_id: int = 0
    error: Exception | None = None


def _to_results(batch: Batch, outcomes: Mapping[str, _Outcome]) -> Results:
    frames = {
        one.scope: pl.concat([PRODUCTION_EVENTS.empty(), *outcomes[one.workspace_id].rows])
        for one in batch.slices
    }
    # Where nothing moves, what was written is no row at all, and that passes too.
    checked = check_batch(PRODUCTION_EVENTS, frames)
    newest = batch.platform.lake.snapshot_id()
    results: Results = {}
    for one in batch.slices:
        outcome, rows = outcomes[one.workspace_id], checked[one.scope]
        if outcome.error is not None:
            results[one.scope] = outcome.error
            continue
        if isinstance(rows, Exception):
            results[one.scope] = rows
            continue
        frame = frames[one.scope]
        notes = {"events_refused": outcome.refused, **outcome.notes}
        snapshot_id = outcome.snapshot_id or newest
        results[one.scope] = Written(frame.height, snapshot_id, rows.results, frame, notes)
    return results


@dataclass(frozen=True)
class Preview:
    """A preview of the next run for one workspace.

    Attributes:
        events: The events by promotion; promotions without any are absent.
        lines: The ids of lines for quarantine, and of inbox files that have grown much.
        waiting: The scripts that wait for a video, or may in a moment.
        stamps: The state of their manifests, by script.
    """

    events: dict[str, list[Event]]
    lines: list[str]
    waiting: Collection[str]
    stamps: dict[str, str]

    def reasons(self, promotion: str) -> list[str]:
        """The reasons to run a promotion: ids of events, and of lines for the first promotion."""
        events = [event.event_id for event in self.events.get(promotion, [])]
        return [*events, *self.lines] if promotion == SUBMIT else events


def preview(batch: Batch) -> dict[str, Preview | Exception]:
    """What each promotion would probably append now, by workspace.

    It is less exact than a run: files of the right size are taken for right, and scripts are not
    compared with those of other workspaces. Where a run found a video incomplete, or a script to be
    a copy, that is examined here too, so that the same run is not requested again and again.
    """
    view = _View(batch, is_preview=True)
    events: dict[str, dict[str, list[Event]]] = defaultdict(dict)
    for promotion in PROMOTIONS.values():
        for workspace_id, decided in view.decide(promotion).items():
            if decided:
                events[workspace_id][promotion.name] = decided
    bad = find_new_bad_lines(view.inboxes.files, view.reader, view.now)
    previews: dict[str, Preview | Exception] = {}
    for one in batch.slices:
        name = one.workspace_id
        previews[name] = view.failed.get(name) or Preview(
            events[name],
            [*bad.get(name, []), *view.long_tails(name)],
            view.waiting[name],
            view.stamps[name],
        )
    return previews


def decide(slice_: Slice, promotion: Promotion) -> list[Event]:
    """Preview the events of a promotion; nothing is appended."""
    view = _View(Batch(slice_.platform, (slice_,), slice_.run))
    decided = view.decide(promotion)
    if slice_.workspace_id in view.failed:
        raise view.failed[slice_.workspace_id]
    return decided[slice_.workspace_id]


def list_due(platform: Platform, workspace_id: str) -> dict[str, list[str]]:
    """The scripts that the next run would accept or promote, by promotion.

    Raises:
        ConfigError: There is no such workspace.
    """
    run = Run("preview", "cli", "preview")
    slice_ = platform.slice(workspace_id, None, run, writes=False)
    if slice_.workspace.status == "archived":
        return {}
    found = preview(Batch(platform, (slice_,), run))[workspace_id]
    if isinstance(found, Exception):
        raise found
    due = {
        name: [event.script_id for event in events if event.type not in _NOTES]
        for name, events in found.events.items()
    }
    return {name: list(dict.fromkeys(scripts)) for name, scripts in due.items() if scripts}


def fold_records(batch: Batch) -> Results:
    """Update ``production_records`` from the log.

    Only scripts with events after those of the stored records are folded, and all of a workspace
    whose records an older version of the rules has computed. What `advance` appends is folded in
    its own commit, so mostly there is nothing to do.

    Returns:
        The records of each workspace.
    """
    return _publish_changed(batch, PRODUCTION_RECORDS, _refresh_records)


def list_videos(batch: Batch) -> Results:
    """Update ``videos`` from ``production_records``.

    Returns:
        The videos of each workspace.
    """
    return _publish_changed(batch, VIDEOS, _refresh_videos)


def refold_records(batch: Batch) -> dict[str, int]:
    """Compute all records from the whole log, and replace those that differ.

    Returns:
        How many stored records differed from the computed ones, by workspace.
    """
    with batch.platform.lake.write(batch.run) as transaction:
        reader = transaction.batch_reader(batch.workspace_ids)
        stored = reader.read(PRODUCTION_RECORDS)
        folded = fold_events(reader.read(PRODUCTION_EVENTS))
        differing = count_differences(stored, folded)
        changed = {name for name, count in differing.items() if count}
        scopes = [one.scope for one in batch.slices if one.workspace_id in changed]
        _publish(transaction, PRODUCTION_RECORDS, folded, scopes)
        _publish(transaction, VIDEOS, videos_from_records(folded), scopes)
    return {name: differing.get(name, 0) for name in batch.workspace_ids}


def count_differences(stored: pl.DataFrame, folded: pl.DataFrame) -> dict[str, int]:
    """The number of records that differ between two frames, by workspace, if there are any.

    Args:
        stored: Rows of ``production_records``.
        folded: Rows of ``production_records``.
    """
    marked = [
        rows.with_columns(pl.col("failed_gates").list.join("\n"), pl.lit(origin).alias("_origin"))
        for origin, rows in enumerate((stored, folded))
    ]
    names = [name for name in PRODUCTION_RECORDS.schema if name != "_origin"]
    alike = pl.concat(marked).group_by(names).agg(pl.col("_origin").n_unique())
    differing = alike.filter(pl.col("_origin") == 1)
    counts = differing.group_by("workspace_id").agg(pl.col("script_id").n_unique())
    return dict(counts.iter_rows())


def list_records(platform: Platform, workspace_id: str, state: str | None = None) -> pl.DataFrame:
    """A workspace's current records, optionally of one state.

    Columns as in ``production_records``.
    """
    platform.workspace(workspace_id)
    records, _ = _refresh_records(platform.lake.reader(workspace_id))
    return records if state is None else records.filter(pl.col("state") == state)


def list_ignored_decisions(
    platform: Platform, workspace_id: str, decisions: Sequence[Decision]
) -> list[IgnoredDecision]:
    """The decisions of the approvals file that currently have no effect, in its order.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        decisions: All decisions of its approvals file.
    """
    if not decisions:
        return []
    reader = platform.lake.reader(workspace_id)
    scripts = {decision.script_id for decision in decisions}
    records, _ = _refresh_records(reader)
    events = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts)
    explained = explain_ignored_decisions(
        workspace_id, decisions, records, events, now=platform.now()
    )
    return [_tell_ignored(*one) for one in explained]


@dataclass(frozen=True)
class IgnoredDecision:
    """A decision in the approvals file that currently has no effect.

    Script ids and names in the text are hostile input.

    Attributes:
        script_id: The script.
        text: Whose decision, about what, and why it has no effect.
        waits: Whether it will have one when its date has come.
    """

    script_id: str
    text: str
    waits: bool


def _tell_ignored(decision: Decision, obstacle: Obstacle) -> IgnoredDecision:
    return IgnoredDecision(
        decision.script_id,
        f"{decision.script_id}: {decision.action} by {decision.actor} at"
        f" {decision.at.isoformat()}: {obstacle.reason}",
        obstacle.waits,
    )


def decide_on_script(
    platform: Platform,
    workspace_id: str,
    script_id: str,
    action: str,
    *,
    actor: str,
    reason: str | None,
    run: Run,
) -> str:
    """Store what a person decided about a script, with the record and video that follow from it.

    Decisions of the approvals file that do not count yet are received before it
    (`PromotionContext.close`).

    Returns:
        The state the script is in afterwards. Promotions follow at the next tick of their sensor.

    Raises:
        ConfigError: There is no such workspace, or it is archived.
        UnknownScriptError: There is no such script.
        TransitionRefusedError: The decision is not possible in the script's state.
    """
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    slice_ = platform.slice(workspace_id, None, run)
    now = platform.now()
    decision = Decision(script_id, action, actor, now, reason)
    with platform.lake.write(run) as transaction:
        reader = transaction.reader(workspace_id)
        inboxes = open_inboxes([slice_], reader)
        if workspace_id in inboxes.failed:
            raise inboxes.failed[workspace_id]
        rows = read_lines_of(reader, [script_id], files=(APPROVALS,))
        others = [
            one
            for one in decisions_and_uploads(rows, inboxes)[0][workspace_id]
            if one.script_id == script_id
        ]
        stored = reader.read(PRODUCTION_EVENTS, wanted={"script_id": [script_id]})
        state = current_states(stored).get((workspace_id, script_id))
        if state is None:
            raise UnknownScriptError(f"workspace {workspace_id} has no script {script_id!r}")
        production = Production(fold_events(stored), stored, _NO_TOPICS)
        evidence = production.gather({workspace_id: Found(decisions=others)})[workspace_id]
        [candidate] = list_candidates(evidence, "decide", state, now)
        events = candidate.decide(decision, str(ULID.from_datetime(now)))
        new = events_to_frame(events, recorded_at=now)
        transaction.append(check_rows(PRODUCTION_EVENTS, new, Scope(workspace_id)))
        _refresh_tables(transaction, [Scope(workspace_id)])
    return events[-1].to_state or state


_NO_TOPICS = PRODUCTION_RECORDS.empty().select(TOPIC_COLUMNS)


class _View:
    """A batch's production at one moment: what is stored, what was found, what follows from it.

    Attributes:
        now: The present.
        inboxes: The inbox files.
        production: The scripts that may move, in memory.
        waiting: The scripts that wait for a video, or may in a moment, by workspace.
        stamps: The state of their manifests, by workspace and script.
        last_seqs: The last event of each workspace that is known.
        failed: The workspaces that failed, and why.
        events: What was decided for each workspace, in order.
        originals: The originals in other workspaces that were taken into account, by script.
    """

    def __init__(self, batch: Batch, *, is_preview: bool = False) -> None:
        """Read what is needed, each table once.

        Args:
            batch: The workspaces.
            is_preview: Whether nothing will be appended (`preview`).
        """
        self.batch = batch
        self.now = batch.now
        self.reader = batch.reader()
        self.originals: dict[Script, tuple[Original, ...]] = {}
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.deferred: set[Script] = set()
        self._is_preview = is_preview
        self._owners: dict[str, str] = {}
        self._asked: dict[tuple[Script, tuple[str, ...]], tuple[Original, ...]] = {}
        self._evidence: dict[str, Evidence] | None = None
        self.inboxes = open_inboxes(batch.slices, self.reader)
        self.failed: dict[str, Exception] = dict(self.inboxes.failed)
        self._read()

    @cached_property
    def _slices(self) -> list[Slice]:
        """The workspaces whose files could be looked at."""
        return [one for one in self.batch.slices if one.workspace_id in self.inboxes.files]

    def _read(self) -> None:
        self.last_seqs, folded = _fold_stale(self.reader)
        stored = self.reader.read(PRODUCTION_RECORDS, wanted={"state": IN_PRODUCTION})
        is_open = pl.col("state").is_in(IN_PRODUCTION)
        open_records = _replace(stored, folded, folded).filter(is_open)
        submitted, asked = self._scripts_of_new_lines()
        strangers = set() if self._is_preview else self._find_strangers()
        about = {*open_records["script_id"], *submitted, *strangers}
        lines = read_lines_of(self.reader, about, files=(APPROVALS, UPLOADS))
        self._decisions, self._uploads = decisions_and_uploads(lines, self.inboxes)
        self.waiting = self._find_waiting(open_records)
        folder = self.batch.platform.workspaces.folder
        self.stamps = {name: stamp_folders(folder(name), own) for name, own in self.waiting.items()}
        candidates = self._find_candidates(open_records)
        others = read_wanted(
            self.reader, PRODUCTION_RECORDS, "script_id", asked - {*candidates["script_id"]}
        )
        known = pl.concat([rows.select(_SCRIPT) for rows in (candidates, folded, others)])
        records = pl.concat([candidates, folded, others]).unique(_SCRIPT, keep="first")
        scripts = {*records["script_id"], *asked, *strangers}
        events = read_wanted(self.reader, PRODUCTION_EVENTS, "script_id", scripts)
        self.production = Production(records, events, self._read_topics(open_records))
        self._found = self._find(_group_scripts(known), open_records)

    def _scripts_of_new_lines(self) -> tuple[set[str], set[str]]:
        """The scripts that are submitted by new lines, and all that new lines speak of."""
        submitted, decided = (
            {row.script_id for name in self.inboxes.files for row in self.inboxes.rows(name, file)}
            for file in (SCRIPTS, APPROVALS)
        )
        return submitted, submitted | decided

    def _find_strangers(self) -> set[str]:
        """The scripts without a record that earlier decisions are about."""
        if not any(
            files[APPROVALS].opened.cursor.accepted for files in self.inboxes.files.values()
        ):
            return set()
        rows = self.reader.read_unmatched(
            INBOX_LINES, PRODUCTION_RECORDS, _SCRIPT, wanted={"file": [APPROVALS]}
        )
        return set(rows["script_id"])

    def _find_waiting(self, records: pl.DataFrame) -> dict[str, set[str]]:
        """The scripts that wait for a video, or may in a moment, by workspace."""
        waiting = _group_scripts(records.filter(pl.col("state") != READY_FOR_PUBLISH))
        return {
            name: {*waiting[name], *(row.script_id for row in self.inboxes.rows(name, SCRIPTS))}
            for name in self.inboxes.files
        }

    def _find_candidates(self, records: pl.DataFrame) -> pl.DataFrame:
        """The records that a promotion may change.

        A script after the first review changes only with a decision, a video folder, an upload or a
        closed gate. Thousands may wait without any of them.
        """
        named = [
            (workspace_id, script_id)
            for workspace_id in self.inboxes.files
            for script_id in {
                *(one.script_id for one in self._decisions[workspace_id]),
                *(one.script_id for one in self._uploads[workspace_id]),
                *self.stamps[workspace_id],
            }
        ]
        schema = {"workspace_id": pl.String, "script_id": pl.String}
        marked = pl.DataFrame(named, schema=schema, orient="row").with_columns(
            pl.lit(value=True).alias("_is_named")
        )
        is_candidate = (
            (pl.col("state") == SCRIPT_PENDING_REVIEW)
            | (pl.col("failed_gates").list.len() > 0)
            | pl.col("_is_named").fill_null(value=False)
        )
        if any(files[APPROVALS].problem for files in self.inboxes.files.values()):
            is_candidate = pl.lit(value=True)
        joined = records.join(marked, on=_SCRIPT, how="left")
        return joined.filter(is_candidate).drop("_is_named")

    def _read_topics(self, open_records: pl.DataFrame) -> pl.DataFrame:
        """What scripts are about, where some are in review or will be."""
        in_review = open_records.filter(pl.col("state") == SCRIPT_PENDING_REVIEW)
        reviewing = set(in_review["workspace_id"])
        reviewing |= {name for name in self.inboxes.files if self.inboxes.rows(name, SCRIPTS)}
        if not reviewing:
            return _NO_TOPICS
        reader = self.batch.platform.lake.batch_reader(sorted(reviewing))
        stored = reader.read(
            PRODUCTION_RECORDS, columns=list(TOPIC_COLUMNS), wanted={"state": _PROMOTED}
        )
        own = open_records.select(TOPIC_COLUMNS)
        return pl.concat([own, stored]).unique(_SCRIPT, keep="first")

    def _find(
        self, known: Mapping[str, Collection[str]], open_records: pl.DataFrame
    ) -> dict[str, Found]:
        """What was found in each workspace beside its log."""
        uploads = {name: merge_uploads(self._uploads[name]) for name in self.inboxes.files}
        owners = self._read_owners(uploads)
        seen = self._read_seen(uploads)
        is_incomplete = (
            pl.col("failed_gates").list.eval(pl.element().str.starts_with("manifest")).list.any()
        )
        incomplete = _group_scripts(open_records.filter(is_incomplete))
        found: dict[str, Found] = {}
        for one in self._slices:
            name = one.workspace_id
            hashed = {
                script_id: not self._is_preview or script_id in incomplete.get(name, ())
                for script_id in self.stamps[name]
            }
            folder = self.batch.platform.workspaces.folder(name)
            found[name] = Found(
                rules=workspace_rules(one.workspace),
                submissions=self.inboxes.rows(name, SCRIPTS),
                decisions=self._decisions[name],
                decisions_problem=self.inboxes.files[name][APPROVALS].problem,
                folders=VideoFolders(folder, hashed),
                uploads=self._uploads[name],
                seen_videos=seen.get(name, {}),
                owners=owners.get(name, {}),
                known=known.get(name, frozenset()),
            )
        return found

    def _read_owners(
        self, uploads: Mapping[str, Mapping[str, Upload]]
    ) -> dict[str, dict[str, str]]:
        """The recorded scripts of uploaded videos, by workspace and video."""
        videos = {upload.video_id for own in uploads.values() for upload in own.values()}
        rows = read_wanted(
            self.reader,
            PRODUCTION_RECORDS,
            "video_id",
            videos,
            columns=["workspace_id", "video_id", "script_id"],
        )
        owners: dict[str, dict[str, str]] = defaultdict(dict)
        for workspace_id, video_id, script_id in rows.iter_rows():
            owners[workspace_id][video_id] = script_id
        return owners

    def _read_seen(
        self, uploads: Mapping[str, Mapping[str, Upload]]
    ) -> dict[str, dict[str, datetime]]:
        """When undated uploads seen in the workspaces' own channels were published."""
        undated = {
            upload.video_id
            for own in uploads.values()
            for upload in own.values()
            if upload.published_at is None
        }
        rows = read_wanted(
            self.reader,
            RAW_TRENDS,
            "item_id",
            undated,
            columns=["workspace_id", "channel_id", "item_id", "published_at"],
            wanted={"source": ["youtube_channel"]},
        )
        own = {
            (one.workspace_id, channel.id)
            for one in self._slices
            for channel in one.workspace.channels
        }
        seen: dict[str, dict[str, datetime]] = defaultdict(dict)
        for workspace_id, channel_id, item_id, published_at in rows.drop_nulls().iter_rows():
            if (workspace_id, channel_id) in own:
                earlier = seen[workspace_id].get(item_id, published_at)
                seen[workspace_id][item_id] = min(earlier, published_at)
        return seen

    def decide_all(self, promotions: Sequence[Promotion]) -> None:
        """Decide one promotion after the other, until nothing moves; fills `events`."""
        for _ in range(_MAX_ROUNDS):
            has_moved = False
            for promotion in promotions:
                new = [
                    event
                    for decided in self.decide(promotion).values()
                    for event in self._leave_out_deferred(decided)
                ]
                admitted = self.production.apply(new, self.now)
                for event in admitted:
                    self.events[event.workspace_id].append(event)
                if admitted:
                    self._evidence, has_moved = None, True
            if not has_moved:
                return

    def _leave_out_deferred(self, decided: Sequence[Event]) -> list[Event]:
        """The events of scripts that bring nothing that another workspace brings just now.

        Which of two is the original is known when the first one is stored: the other is decided
        again after that.
        """
        for event in decided:
            if event.content_id is not None:
                owner = self._owners.setdefault(event.content_id, event.workspace_id)
                if owner != event.workspace_id:
                    self.deferred.add((event.workspace_id, event.script_id))
        return [one for one in decided if (one.workspace_id, one.script_id) not in self.deferred]

    def decide(self, promotion: Promotion) -> dict[str, list[Event]]:
        """What a promotion would append for each workspace.

        Other workspaces are read only for scripts that would be promoted or are held back as
        copies: one read for all of them.
        """
        if self._evidence is None:
            self._evidence = self.production.gather(self._found)
        evidence = {name: one for name, one in self._evidence.items() if name not in self.failed}
        decided = {name: self._try(promotion, one) for name, one in evidence.items()}
        asked = {
            (name, record.script_id)
            for name, one in evidence.items()
            for record in one.waiting.get(promotion.from_state or "", ())
            if any(map(is_held_as_copy, record.failed_gates))
        }
        events = [event for own in decided.values() for event in own]
        if not self._is_preview:
            asked |= {
                (event.workspace_id, event.script_id)
                for event in events
                if event.to_state in _PROMOTED
            }
        copies: dict[str, dict[str, tuple[Original, ...]]] = defaultdict(dict)
        claims = claim_content(sorted(asked), self.production.contents, events)
        for (workspace_id, script_id), originals in self._find_copies(claims).items():
            copies[workspace_id][script_id] = originals
        for name, own in copies.items():
            decided[name] = self._try(promotion, replace(evidence[name], copies=own))
        return {name: own for name, own in decided.items() if name not in self.failed}

    def _try(self, promotion: Promotion, evidence: Evidence) -> list[Event]:
        try:
            return promotion.decide(evidence, now=self.now)
        except Exception as error:  # whatever it is: the other workspaces are worked on
            self.failed[evidence.workspace_id] = error
            return []

    def _find_copies(self, claims: Claims) -> dict[Script, tuple[Original, ...]]:
        """The originals of scripts; the same question is asked once."""
        questions = {
            script: (script, tuple(sorted(claim.content_id for claim in own)))
            for script, own in claims.items()
        }
        new = {
            script: claims[script] for script, one in questions.items() if one not in self._asked
        }
        found = _read_copies(self.batch.platform.lake.cross_reader(), new)
        for script in new:
            self._asked[questions[script]] = found.get(script, ())
        copies = {script: self._asked[one] for script, one in questions.items() if self._asked[one]}
        self.originals |= copies
        return copies

    def long_tails(self, workspace_id: str) -> list[str]:
        """Names the inbox files that have grown so much that their cursors should be moved."""
        return [
            f"{name} {file.opened.cursor.size_bytes}"
            for name, file in self.inboxes.files[workspace_id].items()
            if file.opened.lines.ended > _LONG_TAIL_BYTES
        ]

    def describe(self) -> dict[str, dict[str, Any]]:
        """The problems of each workspace's inbox files, for the metadata."""
        ignored = self.production.find_ignored(self._found, self.now)
        foreign = self._find_foreign_uploads()
        return {
            name: _describe(files, ignored[name], foreign[name], self.now)
            for name, files in self.inboxes.files.items()
        }

    def _find_foreign_uploads(self) -> dict[str, list[str]]:
        """The uploads on channels that the config does not list, in words, by workspace."""
        last: dict[str, list[Upload]] = defaultdict(list)
        if any(files[UPLOADS].opened.cursor.accepted for files in self.inboxes.files.values()):
            columns = ["workspace_id", "file", "generation", "line", "script_id"]
            rows = self.reader.read(
                INBOX_LINES,
                columns=[*columns, "video_id", "channel_id"],
                wanted={"file": [UPLOADS]},
            )
            current = self.inboxes.read
            stored = rows.join(current, on=current.columns, how="semi").drop_nulls("channel_id")
            latest = stored.sort("line").unique(_SCRIPT, keep="last", maintain_order=True)
            columns = ["workspace_id", "script_id", "video_id", "channel_id"]
            for name, script_id, video_id, channel_id in latest.select(columns).iter_rows():
                last[name].append(Upload(script_id, video_id, channel_id, None))
        return {
            one.workspace_id: find_foreign_uploads(
                [*last[one.workspace_id], *self.inboxes.rows(one.workspace_id, UPLOADS)],
                one.workspace,
            )
            for one in self._slices
        }


def _describe(
    files: Mapping[str, InboxFile],
    ignored: Sequence[tuple[Decision, Obstacle]],
    foreign: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    told = [_tell_ignored(*one) for one in ignored]
    problems = [problem for file in files.values() for problem in file.find_problems()]
    lines = [text for file in files.values() for text in file.describe_lines()]
    notes: dict[str, Any] = {
        "bad_lines": sum(file.count_bad_lines(now) for file in files.values()),
        "ignored_decisions": sum(not one.waits for one in told),
        "waiting_decisions": sum(one.waits for one in told),
    }
    for name, waits in (("ignored_decisions", False), ("waiting_decisions", True)):
        if reasons := [one.text for one in told if one.waits == waits]:
            notes[f"{name}_reasons"] = reasons[:_SHOWN_DECISIONS]
    if problems or foreign:
        notes["inbox_problems"] = [*problems, *foreign]
    if lines:
        notes["inbox_lines"] = lines
    return notes


def _commit(view: _View, *, moves_cursors: bool) -> dict[str, _Stored]:
    """Store what was decided; a workspace whose rows are refused is left out of the commit."""
    slices = [one for one in view.batch.slices if one.workspace_id not in view.failed]
    refused: dict[str, _Stored] = {}
    while slices:
        try:
            return refused | _try_commit(view, slices, moves_cursors=moves_cursors)
        except SliceRefusedError as error:
            refused |= {name: _Stored(error=why) for name, why in error.reasons.items()}
            slices = [one for one in slices if one.workspace_id not in refused]
    return refused


def _try_commit(view: _View, slices: Sequence[Slice], *, moves_cursors: bool) -> dict[str, _Stored]:
    """Append what is admitted, in one commit with everything that follows from it.

    Scripts whose content another workspace appended since they were decided are left out.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused; nothing was written.
    """
    names = [one.workspace_id for one in slices]
    events = [event for name in names for event in view.events[name]]
    deferred = {name for name, _ in view.deferred}
    news = find_news(view.inboxes, view.reader, view.now, names) if moves_cursors else set[str]()
    if not events and not news:
        return {name: _Stored(is_unsettled=name in deferred) for name in names}
    now = view.batch.now
    new = events_to_frame(events, recorded_at=now)
    claims = claim_content({(event.workspace_id, event.script_id) for event in events}, {}, events)
    with view.batch.platform.lake.write(view.batch.run) as transaction:
        stored = read_wanted(
            transaction.batch_reader(names),
            PRODUCTION_EVENTS,
            "script_id",
            {event.script_id for event in events},
        )
        rows, admission = admit_frame(new, stored, decided_at=view.last_seqs)
        originals = _read_copies(transaction.cross_reader(), claims, with_older=False)
        late = [
            script
            for script, found in originals.items()
            if set(found) - {*view.originals.get(script, ())}
        ]
        rows = rows.join(_scripts_frame(late), on=_SCRIPT, how="anti", maintain_order="left")
        parts = _check(PRODUCTION_EVENTS, rows, [one.scope for one in slices])
        appended = transaction.append_all([part for part in parts if not part.frame.is_empty()])
        accepted = {
            one.accepted.item(0, "workspace_id"): one.accepted
            for one in appended
            if not one.accepted.is_empty()
        }
        if accepted:
            _refresh_tables(
                transaction, [one.scope for one in slices if one.workspace_id in accepted]
            )
        refused = Counter(one.event.workspace_id for one in admission.refused)
        unsettled = {*deferred, *refused, *(name for name, _ in late)}
        if moves_cursors:
            settled = [one for one in slices if one.workspace_id not in unsettled]
            store_inboxes(transaction, view.inboxes, settled, now)
    return {
        name: _Stored(
            rows=accepted.get(name, PRODUCTION_EVENTS.empty()),
            refused=refused[name],
            is_unsettled=name in unsettled,
            snapshot_id=transaction.snapshot_id or 0 if name in accepted else 0,
        )
        for name in names
    }


def _check(table: Table, rows: pl.DataFrame, scopes: Iterable[Scope]) -> list[CheckedRows]:
    """Rows of several workspaces as checked parts, one for each scope.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused.
    """
    owned = rows.partition_by("workspace_id", as_dict=True)
    frames = {scope: owned.get((scope.workspace_id,), rows.clear()) for scope in scopes}
    return check_slices(table, frames)


def _refresh_tables(transaction: Transaction, scopes: Sequence[Scope]) -> None:
    """Bring records and videos up to date with what the transaction has appended."""
    reader = transaction.batch_reader([scope.workspace_id for scope in scopes])
    records, changed = _refresh_records(reader)
    _publish(
        transaction, PRODUCTION_RECORDS, records, [s for s in scopes if s.workspace_id in changed]
    )
    videos, changed = _compare_videos(records, reader.read(VIDEOS))
    _publish(transaction, VIDEOS, videos, [s for s in scopes if s.workspace_id in changed])


def _publish(
    transaction: Transaction, table: Table, rows: pl.DataFrame, scopes: Sequence[Scope]
) -> None:
    transaction.publish_all(_check(table, rows, scopes))


def _publish_changed(
    batch: Batch,
    table: Table,
    refresh: Callable[[BatchReader], tuple[pl.DataFrame, set[str]]],
) -> Results:
    """Replace the rows of the workspaces where they have changed, in one commit.

    Returns:
        All rows of each workspace.
    """
    rows, changed = refresh(batch.reader())
    checked = _check_each(batch, table, rows)
    snapshot_id = None
    if changed:
        with batch.platform.lake.write(batch.run) as transaction:
            rows, changed = refresh(transaction.batch_reader(batch.workspace_ids))
            checked = _check_each(batch, table, rows)
            transaction.publish_all(
                [
                    part
                    for scope, part in checked.items()
                    if scope.workspace_id in changed and isinstance(part, CheckedRows)
                ]
            )
        snapshot_id = transaction.snapshot_id
    snapshot_id = snapshot_id or batch.platform.lake.snapshot_id()
    return {
        scope: part
        if isinstance(part, Exception)
        else Written(part.frame.height, snapshot_id, part.results, part.frame)
        for scope, part in checked.items()
    }


def _check_each(
    batch: Batch, table: Table, rows: pl.DataFrame
) -> dict[Scope, CheckedRows | PublishRefusedError]:
    return check_batch(table, split_slices(batch, rows))


def _fold_stale(reader: BatchReader) -> tuple[dict[str, int], pl.DataFrame]:
    """What the stored records do not know yet.

    Returns:
        The last event that is known by now, by workspace; and the records of the scripts with
        events after those of the stored records.
    """
    versions = reader.read_bounds(PRODUCTION_RECORDS, "fold_version")
    bounds = reader.read_bounds(PRODUCTION_RECORDS, "last_seq")
    seqs = {name: last for name, (_, last) in bounds.items() if versions[name][0] == FOLD_VERSION}
    _, folded = _fold_new(reader, seqs)
    newest = folded.group_by("workspace_id").agg(pl.col("last_seq").max()).iter_rows()
    return {name: last for name, (_, last) in bounds.items()} | dict(newest), folded


def _fold_new(reader: BatchReader, seqs: Mapping[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fold the scripts with events that the stored records do not know.

    Args:
        reader: Reads the workspaces.
        seqs: The last event that the stored records know, by workspace; all events of a workspace
            that is absent are folded.

    Returns:
        The scripts, as ``workspace_id`` and ``script_id``; and their records.
    """
    touched = reader.read_after(PRODUCTION_EVENTS, seqs, columns=_SCRIPT).unique()
    if touched.is_empty():
        return touched, PRODUCTION_RECORDS.empty()
    events = read_wanted(reader, PRODUCTION_EVENTS, "script_id", set(touched["script_id"]))
    return touched, fold_events(events.join(touched, on=_SCRIPT, how="semi"))


def _refresh_records(reader: BatchReader) -> tuple[pl.DataFrame, set[str]]:
    """All records as the log has them, and the workspaces where stored ones differ."""
    stored = reader.read(PRODUCTION_RECORDS)
    done = stored.group_by("workspace_id").agg(
        pl.col("last_seq").max(), pl.col("fold_version").min() == FOLD_VERSION
    )
    seqs = {name: seq for name, seq, is_current in done.iter_rows() if is_current}
    touched, folded = _fold_new(reader, seqs)
    before = stored.join(touched, on=_SCRIPT, how="semi")
    return _replace(stored, folded, touched), set(count_differences(before, folded))


def _refresh_videos(reader: BatchReader) -> tuple[pl.DataFrame, set[str]]:
    """All videos as the records have them, and the workspaces where stored ones differ."""
    records = reader.read(PRODUCTION_RECORDS, wanted={"state": [PUBLISHED]})
    return _compare_videos(records, reader.read(VIDEOS))


def _compare_videos(records: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, set[str]]:
    videos = videos_from_records(records)
    names = list(VIDEOS.schema)
    differing = pl.concat(
        [
            videos.join(stored, on=names, how="anti", nulls_equal=True),
            stored.join(videos, on=names, how="anti", nulls_equal=True),
        ]
    )
    return videos, set(differing["workspace_id"])


def _replace(rows: pl.DataFrame, new: pl.DataFrame, scripts: pl.DataFrame) -> pl.DataFrame:
    """The rows of some scripts exchanged for new ones."""
    return pl.concat([rows.join(scripts, on=_SCRIPT, how="anti"), new])


def _group_scripts(rows: pl.DataFrame) -> dict[str, set[str]]:
    """Scripts by workspace."""
    grouped: dict[str, set[str]] = defaultdict(set)
    for workspace_id, script_id in rows.select(_SCRIPT).iter_rows():
        grouped[workspace_id].add(script_id)
    return grouped


def _scripts_frame(scripts: Sequence[Script]) -> pl.DataFrame:
    schema = {"workspace_id": pl.String, "script_id": pl.String}
    return pl.DataFrame(scripts, schema=schema, orient="row")


def _read_copies(
    reader: CrossReader, claims: Claims, *, with_older: bool = True
) -> dict[Script, tuple[Original, ...]]:
    """Look the scripts' content up in all other workspaces: one read for all of them.

    Args:
        reader: Reads across workspaces.
        claims: Their content.
        with_older: Also compare with scripts of the same name that were appended before events
            named their content: a second read, and a third where there are any.
    """
    if not claims:
        return {}
    ids = sorted({claim.content_id for own in claims.values() for claim in own})
    found = reader.read_across(
        PRODUCTION_EVENTS, columns=CONTENT_COLUMNS, wanted={"content_id": ids}
    )
    if with_older:
        alike = {"script_id": sorted({script_id for _, script_id in claims}), "type": CONTENT_TYPES}
        columns = ["workspace_id", "content_id"]
        unnamed = reader.read_across(PRODUCTION_EVENTS, columns=columns, wanted=alike).filter(
            pl.col("content_id").is_null()
        )
        if not unnamed.is_empty():
            older = reader.read_across(
                PRODUCTION_EVENTS, columns=[*CONTENT_COLUMNS, "payload"], wanted=alike
            ).filter(pl.col("content_id").is_null())
            named = fill_content_ids(older).filter(pl.col("content_id").is_in(ids))
            found = pl.concat([found, named])
    claimed = [(name, one.content_id) for (name, _), own in claims.items() for one in own]
    if set(found.select("workspace_id", "content_id").iter_rows()) <= set(claimed) and len(
        {content_id for _, content_id in claimed}
    ) == len(set(claimed)):
        return {}  # nobody else has any of it
    moves = reader.read_across(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id", "seq", "to_state"],
        wanted={name: found[name].unique().to_list() for name in _SCRIPT},
    )
    return find_copies(claims, found, current_states(moves))


def workspace_rules(workspace: Workspace) -> Rules:
    """The production settings of a workspace's config."""
    return Rules(
        script_approval=workspace.approval.scripts,
        video_approval=workspace.approval.videos,
        budget_usd_micros=round(workspace.budget.per_video_usd * _MICROS),
        banned_topics=workspace.brand.banned_topics,
    )


def _choose(promotion: str) -> list[Promotion]:
    if promotion == ALL_PROMOTIONS:
        return list(PROMOTIONS.values())
    if promotion not in PROMOTIONS:
        known = ", ".join([*PROMOTIONS, ALL_PROMOTIONS])
        raise ConfigError(f"promotion {promotion!r} does not exist; there are {known}")
    return [PROMOTIONS[promotion]]
