"""Production: promote scripts on evidence, and store people's decisions.

A run works on a batch of workspaces. It reads each table once, decides one promotion after the
other in memory until nothing moves, and appends everything in one commit, together with the records
and videos that follow from it and with the cursors of the inbox files. The commit is guarded: an
event is appended only if its script is still in the state the event found, so of two that decide at
once one wins and the other decides again.

Belongs here: that sequence. Does not belong here: the rules (`domain.production`), what they are
given (`production_inputs`), or the records and videos (`records`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from ulid import ULID

from ytap_assets.domain.production.events import (
    TAKEN,
    Event,
    Script,
    admit_frame,
    events_to_frame,
)
from ytap_assets.domain.production.evidence import (
    Claim,
    Claims,
    ContentLog,
    Evidence,
    Found,
    Original,
    Production,
    claim_content,
)
from ytap_assets.domain.production.inbox import Decision
from ytap_assets.domain.production.promotions import (
    PROMOTIONS,
    Promotion,
    is_held_as_copy,
    list_candidates,
)
from ytap_assets.domain.production.records import fold_events
from ytap_assets.errors import ConfigError, UnknownScriptError
from ytap_assets.lakehouse.checks import PASSED, Scope, check_rows
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.operations.inbox_files import APPROVALS
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
from ytap_assets.operations.platform import Batch, Platform, Results, Slice, Written
from ytap_assets.operations.production_inputs import (
    NO_TOPICS,
    IgnoredDecision,
    ProductionInputs,
    read_holders,
    scripts_frame,
)
from ytap_assets.operations.records import SCRIPT, read_records, refresh_tables, split_rows
from ytap_assets.tables import PRODUCTION_EVENTS

ALL_PROMOTIONS = "all"
SUBMIT = "submit_scripts"
"""The promotion that reads the inbox: it moves the cursors, and puts bad lines into quarantine."""

_MAX_ROUNDS = 20
_Question = tuple[Script, tuple[Claim, ...]]
_NOTES = ("decision_received", "gates_evaluated")


def advance(batch: Batch, promotion: str) -> Results:
    """Promote scripts as far as evidence and gates allow.

    The workspaces are decided as if they were stored one after another. Scripts that another run
    got ahead of are decided again.

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
    try:
        for _ in range(_MAX_ROUNDS):
            inputs = ProductionInputs(Batch(batch.platform, waiting, batch.run))
            made = _Decisions(inputs, chosen)
            made.decide_all()
            moves_cursors = any(one.name == SUBMIT for one in chosen)
            for workspace_id, stored in _commit(made, moves_cursors=moves_cursors).items():
                outcomes[workspace_id].add(stored)
            notes_of = made.inputs.describe()
            for workspace_id, error in made.failed.items():
                outcomes[workspace_id].fail(error)
            for workspace_id, notes in notes_of.items():
                outcomes[workspace_id].notes = notes
            waiting = tuple(one for one in waiting if outcomes[one.workspace_id].is_unsettled)
            if not waiting:
                break
        else:
            busy = CatalogBusyError(
                f"{batch.platform.settings.catalog_name}: other runs promoted the same scripts in"
                f" each of {_MAX_ROUNDS} attempts; the next run decides them"
            )
            for one in waiting:
                outcomes[one.workspace_id].fail(busy)
    except Exception as raised:  # whatever it is: what earlier rounds stored is reported
        for one in waiting:
            outcomes[one.workspace_id].fail(raised)
    finally:  # also where it is interrupted
        batch.note(_describe_stored(batch, outcomes))
    newest = batch.platform.lake.snapshot_id()
    return {
        one.scope: outcomes[one.workspace_id].error or outcomes[one.workspace_id].describe(newest)
        for one in batch.slices
    }


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
        self.snapshot_id = stored.snapshot_id or self.snapshot_id

    def fail(self, error: Exception) -> None:
        self.error, self.is_unsettled = error, False

    def describe(self, newest: int) -> Written:
        """The events stored so far; without any, the newest snapshot is theirs."""
        rows = pl.concat([PRODUCTION_EVENTS.empty(), *self.rows])
        notes = {"events_refused": self.refused, **self.notes}
        # The rows were checked before they were appended.
        return Written(rows.height, self.snapshot_id or newest, PASSED, rows, notes)


@dataclass(frozen=True)
class _Stored:
    """What a commit stored for one workspace.

    Attributes:
        rows: The events appended.
        refused: How many events came too late.
        is_unsettled: Whether something is to be decided again.
        snapshot_id: Their snapshot.
    """

    rows: pl.DataFrame = field(default_factory=PRODUCTION_EVENTS.empty)
    refused: int = 0
    is_unsettled: bool = False
    snapshot_id: int = 0


def _describe_stored(batch: Batch, outcomes: Mapping[str, _Outcome]) -> dict[Scope, Written]:
    """What was stored so far, of the workspaces of which something was."""
    return {
        one.scope: outcomes[one.workspace_id].describe(0)
        for one in batch.slices
        if outcomes[one.workspace_id].snapshot_id
    }


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
    return _preview(ProductionInputs(batch, is_preview=True))


def _preview(inputs: ProductionInputs) -> dict[str, Preview | Exception]:
    made = _Decisions(inputs, list(PROMOTIONS.values()))
    events: dict[str, dict[str, list[Event]]] = defaultdict(dict)
    for promotion in made.promotions:
        for workspace_id, decided in made.decide(promotion).items():
            if decided:
                events[workspace_id][promotion.name] = decided
    bad = find_new_bad_lines(inputs.inboxes.files, inputs.reader, inputs.now)
    previews: dict[str, Preview | Exception] = {}
    for one in inputs.batch.slices:
        name = one.workspace_id
        previews[name] = made.failed.get(name) or Preview(
            events[name],
            [*bad.get(name, []), *inputs.long_tails(name)],
            inputs.waiting[name],
            inputs.stamps[name],
        )
    return previews


@dataclass(frozen=True)
class ScriptSurvey:
    """A workspace's scripts, and what a person should know of its inbox files.

    Names and texts are untrusted input.

    Attributes:
        records: Its records as the log has them: columns as in ``production_records``.
        ignored: The decisions of the approvals file that have no effect as things stand, in order.
        problems: What is wrong with its inbox files; each text begins with a file's name.
        due: The scripts that the next run would take in or promote, by promotion.
    """

    records: pl.DataFrame
    ignored: list[IgnoredDecision]
    problems: list[str]
    due: dict[str, list[str]]


def survey_scripts(platform: Platform, workspace_id: str) -> ScriptSurvey:
    """A workspace's scripts, and what its inbox files hold beside them.

    Raises:
        ConfigError: There is no such workspace.
    """
    run = Run("preview", "cli", "preview")
    slice_ = platform.slice(workspace_id, None, run, writes=False)
    inputs = ProductionInputs(Batch(platform, (slice_,), run), is_preview=True)
    found = _preview(inputs)[workspace_id]
    if isinstance(found, Exception):
        raise found
    due: dict[str, list[str]] = {}
    if not slice_.workspace.is_archived:
        for name, events in found.events.items():
            if scripts := [event.script_id for event in events if event.type not in _NOTES]:
                due[name] = list(dict.fromkeys(scripts))
    records = read_records(inputs.reader, inputs.unfolded)
    return ScriptSurvey(
        records,
        inputs.list_ignored(workspace_id, records),
        inputs.list_problems(workspace_id, records),
        due,
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
        TransitionRefusedError: The decision is not possible in the script's state, or approves
            again what is approved already.
    """
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    slice_ = platform.slice(workspace_id, None, run)
    now = platform.now()
    decision = Decision(script_id, action, actor, now, reason)
    with platform.lake.write(run) as transaction:
        production, evidence = gather_decisions(transaction, slice_, [script_id])
        records = production.records
        if records.is_empty():
            raise UnknownScriptError(f"workspace {workspace_id} has no script {script_id!r}")
        state = records.item(0, "state")
        [candidate] = list_candidates(evidence, "decide", state, now)
        events = candidate.decide(decision, str(ULID.from_datetime(now)))
        new = events_to_frame(events, recorded_at=now)
        transaction.append(check_rows(PRODUCTION_EVENTS, new, Scope(workspace_id)))
        refresh_tables(transaction, [Scope(workspace_id)])
    return events[-1].to_state or state


def gather_decisions(
    transaction: Transaction, slice_: Slice, scripts: Collection[str]
) -> tuple[Production, Evidence]:
    """Scripts as they are under the lock, and the decisions about them in the approvals file.

    Args:
        transaction: The commit that will append events of these scripts.
        slice_: Their workspace.
        scripts: The scripts.
    """
    name = slice_.workspace_id
    reader = transaction.reader(name)
    inboxes = open_inboxes([slice_], reader)
    if name in inboxes.failed:
        raise inboxes.failed[name]
    rows = read_lines_of(reader, scripts, files=(APPROVALS,))
    decisions = decisions_and_uploads(rows, inboxes)[0][name]
    own = [one for one in decisions if one.script_id in scripts]
    stored = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts)
    production = Production(fold_events(stored), stored, NO_TOPICS)
    return production, production.gather({name: Found(decisions=own)})[name]


class _Decisions:
    """What follows from the inputs: the promotions' events, in memory.

    The workspaces are decided together, with the result of deciding and storing one after another:
    a script is compared with the lake, and with what the workspaces before it will have stored,
    which is known only after they are decided. So the first pass decides each workspace without
    the others. Each further pass repeats the workspaces in which a script has other originals than
    those by which it was decided, without each other again. The first of them in order is final
    after the pass, so this ends. Workspaces with the same script take two passes, or one if all of
    them are rejected at once.

    Attributes:
        inputs: What decides on the scripts.
        promotions: The promotions, in the order in which a script meets them.
        failed: The workspaces that failed, and why.
        events: What was decided for each workspace, in order.
    """

    def __init__(self, inputs: ProductionInputs, promotions: Sequence[Promotion]) -> None:
        self.inputs = inputs
        self.promotions = promotions
        self.failed: dict[str, Exception] = dict(inputs.inboxes.failed)
        self.events: dict[str, list[Event]] = {}
        self._contents = ContentLog(one.workspace_id for one in inputs.batch.slices)
        self._is_read: set[tuple[Script, str]] = set()
        self._answers: dict[str, dict[_Question, tuple[Original, ...]]] = defaultdict(dict)
        self._evidence: dict[str, Evidence] | None = None
        self._deciding: Collection[str] = inputs.found.keys()

    def decide_all(self) -> None:
        """Decide one promotion after the other, until nothing moves; fills `events`."""
        self._decide_again(self.inputs.found)

    def leave_out(self, reasons: Mapping[str, Exception]) -> None:
        """Mark workspaces as failed, and repeat those in which a script has other originals now."""
        self.failed |= reasons
        self._take_pending()
        self._decide_again({name for name, _ in self._find_outdated()})

    def find_late(
        self, refused: Collection[Script], events: pl.DataFrame, states: Mapping[Script, str]
    ) -> set[Script]:
        """The scripts that must be decided again: the refused ones, and those with other originals.

        Args:
            refused: The scripts whose events are refused.
            events: What the lake has now of the content that will be appended (`read_holders`).
            states: The states of these events' scripts.
        """
        self._contents.add_stored(events, states)
        late = set(refused)
        while True:
            self._take_pending(late)
            outdated = self._find_outdated() - late
            if not outdated:
                return late
            late |= outdated

    def decide(self, promotion: Promotion) -> dict[str, list[Event]]:
        """What a promotion would append for each workspace.

        Other workspaces are read only for scripts that would be promoted or are held back as
        copies: one read for all of them.
        """
        if self._evidence is None:
            found = self.inputs.found
            self._evidence = self.inputs.production.gather(
                {name: one for name, one in found.items() if name in self._deciding}
            )
        evidence = {name: one for name, one in self._evidence.items() if name not in self.failed}
        decided = {name: self._try(promotion, one) for name, one in evidence.items()}
        asked = {
            (name, record.script_id)
            for name, one in evidence.items()
            for record in one.waiting.get(promotion.from_state or "", ())
            if any(map(is_held_as_copy, record.failed_gates))
        }
        events = [event for own in decided.values() for event in own]
        if not self.inputs.is_preview:
            asked |= {
                (event.workspace_id, event.script_id) for event in events if event.to_state in TAKEN
            }
        copies: dict[str, dict[str, tuple[Original, ...]]] = defaultdict(dict)
        claims = claim_content(sorted(asked), self.inputs.production.contents, events)
        for (workspace_id, script_id), originals in self._find_originals(claims).items():
            copies[workspace_id][script_id] = originals
        for name, own in copies.items():
            decided[name] = self._try(promotion, replace(evidence[name], copies=own))
        return {name: own for name, own in decided.items() if name not in self.failed}

    def _try(self, promotion: Promotion, evidence: Evidence) -> list[Event]:
        try:
            return promotion.decide(evidence, now=self.inputs.now)
        except Exception as error:  # whatever it is: the other workspaces are worked on
            self.failed[evidence.workspace_id] = error
            return []

    def _decide_again(self, names: Collection[str]) -> None:
        """Decide workspaces from the beginning, and then any with other originals."""
        while names:
            for name in names:
                self.failed.pop(name, None)
                self.events[name] = []
                self._answers[name] = {}
            self.inputs.production.restart(names)
            self._take_pending()
            self._deciding, self._evidence = names, None
            self._decide_until_nothing_moves()
            self._take_pending()
            names = {name for name, _ in self._find_outdated()}

    def _decide_until_nothing_moves(self) -> None:
        for _ in range(_MAX_ROUNDS):
            has_moved = False
            for promotion in self.promotions:
                new = [event for decided in self.decide(promotion).values() for event in decided]
                admitted = self.inputs.production.apply(new, self.inputs.now)
                for event in admitted:
                    self.events[event.workspace_id].append(event)
                if admitted:
                    self._evidence, has_moved = None, True
            if not has_moved:
                return

    def _take_pending(self, without: Collection[Script] = ()) -> None:
        """Compare with what was decided so far, except for some scripts."""
        self._contents.replace_pending(
            event
            for one in self.inputs.batch.slices
            if one.workspace_id not in self.failed
            for event in self.events.get(one.workspace_id, ())
            if (event.workspace_id, event.script_id) not in without
        )

    def _find_outdated(self) -> set[Script]:
        """The scripts that have other originals than those by which they were decided."""
        return {
            script
            for answers in self._answers.values()
            for (script, claims), originals in answers.items()
            if self._contents.find_originals(script, claims) != originals
        }

    def _find_originals(self, claims: Claims) -> dict[Script, tuple[Original, ...]]:
        """The originals of scripts; a question is answered once in a pass."""
        new = {
            script: own
            for script, own in claims.items()
            if any((script, claim.content_id) not in self._is_read for claim in own)
        }
        reader = self.inputs.batch.platform.lake.cross_reader()
        self._contents.add_stored(*read_holders(reader, new))
        self._is_read |= {(script, one.content_id) for script, own in new.items() for one in own}
        copies: dict[Script, tuple[Original, ...]] = {}
        for script, own in claims.items():
            answers, question = self._answers[script[0]], (script, tuple(own))
            if question not in answers:
                answers[question] = self._contents.find_originals(script, own)
            if answers[question]:
                copies[script] = answers[question]
        return copies


def _commit(made: _Decisions, *, moves_cursors: bool) -> dict[str, _Stored]:
    """Store what was decided; a workspace whose rows are refused is left out of the commit."""
    while True:
        try:
            return _try_commit(made, moves_cursors=moves_cursors)
        except SliceRefusedError as error:
            made.leave_out(error.reasons)


def _try_commit(made: _Decisions, *, moves_cursors: bool) -> dict[str, _Stored]:
    """Append what is admitted, in one commit with everything that follows from it.

    Scripts that have other originals now than when they were decided are left out.

    Raises:
        SliceRefusedError: Rows of some workspaces are refused; nothing was written.
    """
    inputs = made.inputs
    slices = [one for one in inputs.batch.slices if one.workspace_id not in made.failed]
    names = [one.workspace_id for one in slices]
    events = [event for name in names for event in made.events[name]]
    news = (
        find_news(inputs.inboxes, inputs.reader, inputs.now, names) if moves_cursors else set[str]()
    )
    if not events and not news:
        return {name: _Stored() for name in names}
    now = inputs.batch.now
    new = events_to_frame(events, recorded_at=now)
    claims = claim_content({(event.workspace_id, event.script_id) for event in events}, {}, events)
    with inputs.batch.platform.lake.write(inputs.batch.run) as transaction:
        stored = read_wanted(
            transaction.batch_reader(names),
            PRODUCTION_EVENTS,
            "script_id",
            {event.script_id for event in events},
        )
        rows, admission = admit_frame(new, stored, decided_at=inputs.last_seqs)
        refused = [(one.event.workspace_id, one.event.script_id) for one in admission.refused]
        holders = read_holders(transaction.cross_reader(), claims, with_older=False)
        late = made.find_late(refused, *holders)
        rows = rows.join(scripts_frame(sorted(late)), on=SCRIPT, how="anti", maintain_order="left")
        parts = check_slices(PRODUCTION_EVENTS, split_rows(rows, [one.scope for one in slices]))
        appended = transaction.append_all([part for part in parts if not part.frame.is_empty()])
        accepted = {
            one.accepted.item(0, "workspace_id"): one.accepted
            for one in appended
            if not one.accepted.is_empty()
        }
        if accepted:
            refresh_tables(
                transaction, [one.scope for one in slices if one.workspace_id in accepted]
            )
        unsettled = {name for name, _ in late}
        if moves_cursors:
            settled = [one for one in slices if one.workspace_id not in unsettled]
            store_inboxes(transaction, inputs.inboxes, settled, now)
    counts = Counter(name for name, _ in refused)
    return {
        name: _Stored(
            rows=accepted.get(name, PRODUCTION_EVENTS.empty()),
            refused=counts[name],
            is_unsettled=name in unsettled,
            snapshot_id=transaction.snapshot_id or 0 if name in accepted else 0,
        )
        for name in names
    }


def _choose(promotion: str) -> list[Promotion]:
    if promotion == ALL_PROMOTIONS:
        return list(PROMOTIONS.values())
    if promotion not in PROMOTIONS:
        known = ", ".join([*PROMOTIONS, ALL_PROMOTIONS])
        raise ConfigError(f"promotion {promotion!r} does not exist; there are {known}")
    return [PROMOTIONS[promotion]]
