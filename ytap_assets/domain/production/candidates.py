"""Scripts in front of a promotion: the decisions about them, and the events that follow.

Belongs here: applying and receiving decisions, approvals, and how an event is named and dated. Does
not belong here: which condition each promotion has (`promotions`), or when a decision has an effect
(`inbox`).

How events are dated: an event happened when the last thing it rests on happened: the approval, the
manifest, the publishing; ``recorded_at`` says when the platform noticed. Where the evidence has no
date, or a gate was closed until now, it happened now. It never happened before the script came into
the state it leaves, so a script's moves are in order of time too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ytap_assets.domain.production.events import (
    IN_PRODUCTION,
    RULES,
    Event,
    evidence_id,
)
from ytap_assets.domain.production.evidence import (
    Evidence,
)
from ytap_assets.domain.production.gates import (
    APPROVAL,
    Gate,
)
from ytap_assets.domain.production.inbox import (
    ACTIONS,
    Decision,
    Standing,
    decision_event,
    find_obstacle,
    reception_event,
)
from ytap_assets.domain.production.records import Record, ScriptContext
from ytap_assets.domain.production.rules import (
    POLICY,
    Rules,
    describe_approvers,
    list_approvers,
)
from ytap_assets.errors import TransitionRefusedError

_INSTANT = timedelta(microseconds=1)


@dataclass
class PromotionContext:
    """One script in front of one promotion.

    Attributes:
        promotion: The promotion's name.
        workspace_id: The workspace.
        record: The script.
        context: Information of its log that the record does not contain.
        decisions: The decisions about it in the approvals file, in the order of the file.
        standings: The status of each of them, according to the log.
        decisions_problem: Why the approvals file cannot be read; None if it can.
        now: The present.
        rules: The workspace's rules.
        events: What happens to it, in order; grows with the calls.
    """

    promotion: str
    workspace_id: str
    record: Record
    context: ScriptContext
    decisions: Sequence[Decision]
    standings: Mapping[Decision, Standing]
    decisions_problem: str | None
    now: datetime
    rules: Rules
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._approvers = list(list_approvers(self.record))
        self._approved_at: datetime | None = None
        self._applied: list[Decision] = []

    @property
    def approvers(self) -> tuple[str, ...]:
        """The actors who approved the script or video in review."""
        return tuple(self._approvers)

    @property
    def missing_approval(self) -> str | None:
        """Which approval of what is in review is missing; None if none is."""
        return self.rules.find_missing(self.record, self._approvers)

    def apply_decisions(self) -> bool:
        """Apply the decisions that take effect now (`decisions`).

        If the approvals file cannot be read, the script is not promoted: the file may contain a
        cancellation.

        Returns:
            Whether the script cannot be promoted further here: a decision changed its state, or the
            decisions are unknown.
        """
        if self.decisions_problem is not None:
            self.note_gates([f"approvals: {self.decisions_problem}"])
            return True
        for decision in self._list_applicable():
            event = decision_event(self.workspace_id, decision, self.record.state)
            if event.to_state is not None:
                self._applied.append(decision)
                self.events.append(replace(event, occurred_at=self.date(decision.at)))
                return True
            if self._find_repetition(event.actor) is None:
                self._applied.append(decision)
                self.events.append(event)
                self._approvers.append(event.actor)
                self._approved_at = decision.at
        return False

    def _list_applicable(self) -> list[Decision]:
        return [
            decision
            for decision in sorted(self.decisions, key=lambda decision: decision.at)
            if self.standings[decision] != "applied"
            and find_obstacle(decision, self.standings[decision], self.record, self.now, self.rules)
            is None
        ]

    def _find_repetition(self, actor: str) -> str | None:
        return self.rules.find_repetition(self.record, self._approvers, actor)

    def close(self) -> list[Event]:
        """Everything that happens to the script: decisions received, then the other events.

        A decision that was read and did not count is received, so that it never counts for what
        comes into review later (`_list_received`).
        """
        return [*map(self._receive, self._list_received()), *self.events]

    def _list_received(self) -> list[Decision]:
        """The decisions to bind to the state that the script is in, or leaves.

        If the script stays in its state, all decisions without an effect. If a promotion moves it,
        the others may be about the next state, so only those with a future date are bound. If a
        decision moves it, those above that one in the file are bound, too; a decision of `ytap
        script` follows the whole file.
        """
        unbound = [
            decision
            for decision in self.decisions
            if self.standings[decision] in ("new", "overtaken")
            and decision.action != "cancel"
            and decision not in self._applied
        ]
        if not any(event.to_state is not None for event in self.events):
            return unbound
        bound = self._list_before_move()
        return [
            decision
            for decision in unbound
            if decision.at > self.now
            or decision in bound
            or self.standings[decision] == "overtaken"
        ]

    def _list_before_move(self) -> Sequence[Decision]:
        """The decisions written before the one that sends the script back, if one does."""
        if not any(event.to_state in IN_PRODUCTION for event in self.events):
            return []
        mover = next(
            (decision for decision in self._applied if RULES[ACTIONS[decision.action]].to_state),
            None,
        )
        if mover is None:
            return []
        return (
            self.decisions[: self.decisions.index(mover)]
            if mover in self.decisions
            else self.decisions
        )

    def _receive(self, decision: Decision) -> Event:
        return reception_event(
            self.workspace_id,
            decision,
            self.record.state,
            actor=f"sensor:{self.promotion}",
            now=self.now,
            overtaken=self.standings[decision] == "overtaken"
            or decision in self._list_before_move(),
        )

    def decide(self, decision: Decision, event_id: str) -> list[Event]:
        """What a decision at a keyboard does to the script.

        Raises:
            TransitionRefusedError: The person may not decide, the decision is not possible in the
                script's state, or it approves again what is approved already.
        """
        if stranger := self.rules.find_stranger(decision.actor):
            raise TransitionRefusedError(
                f"script {decision.script_id}: {stranger}; nothing was stored"
            )
        event = decision_event(self.workspace_id, decision, self.record.state, event_id=event_id)
        repetition = self._find_repetition(event.actor) if event.to_state is None else None
        if repetition:
            raise TransitionRefusedError(
                f"script {decision.script_id} has the state {self.record.state}: {repetition};"
                " nothing was stored"
            )
        if event.to_state is not None:
            event = replace(event, occurred_at=self.date(decision.at))
        self.events.append(event)
        self._applied.append(decision)
        return self.close()

    def append(self, event: Event) -> list[Event]:
        """What an event at a keyboard that is no decision does to the script."""
        self.events.append(event)
        return self.close()

    def pass_gates(self, gates: Sequence[Gate], *, approval: str, promotion: str) -> None:
        """Promote the script if it is approved, or the policy approves it, and all gates are open.

        Args:
            gates: The verdicts. A missing approval is no failure: it is what the review is for.
            approval: The type of event by which the policy approves.
            promotion: The type of event that moves the script.
        """
        failed = [str(gate) for gate in gates if not gate.passed and gate.name != APPROVAL]
        is_approved = self.missing_approval is None
        if failed or not (is_approved or self.rules.find_policy_obstacle(self.record) is None):
            self.note_gates(failed)
            return
        if not is_approved:
            self._approvers.append(POLICY)
            self._approved_at = self.record.subject_since
            self._add(approval, actor=POLICY, at=self.record.subject_since, evidence=None)
        at = self.now if self.record.failed_gates else self._approved_at
        payload = {"approved_by": describe_approvers(self._approvers)}
        self.promote(promotion, at=at, payload=payload)

    def promote(
        self,
        event_type: str,
        *,
        at: datetime | None,
        payload: Mapping[str, Any],
        evidence: object = None,
        content_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Move the script; ``at`` None is now."""
        self._add(
            event_type,
            actor=f"sensor:{self.promotion}",
            at=self.date(at or self.now),
            evidence=evidence,
            reason=reason,
            payload=payload,
            content_id=content_id,
        )

    def note_gates(self, failed: Sequence[str]) -> None:
        """Record which gates are closed, if this differs from the record."""
        if list(failed) == self.record.failed_gates:
            return
        self._add(
            "gates_evaluated",
            actor=f"sensor:{self.promotion}",
            at=self.now,
            # Named, as ids were once made of a sequence number in its place.
            evidence=["events", self.record.events, list(failed)],
            reason="; ".join(failed) or "all gates are open now",
            payload={"failed_gates": list(failed)},
        )

    def date(self, at: datetime) -> datetime:
        """An instant as the date of a move: not in the future, and after the move before.

        An edit of the script in review counts as a move.
        """
        return max(min(at, self.now), self.record.subject_since + _INSTANT)

    def _add(
        self,
        event_type: str,
        *,
        actor: str,
        at: datetime,
        evidence: object,
        reason: str | None = None,
        payload: Mapping[str, Any] | None = None,
        content_id: str | None = None,
    ) -> None:
        # A script enters no state twice at one instant (`date`), so this names the visit; an edit
        # begins another one, since the policy may approve the script again.
        visit = self.record.subject_since.isoformat()
        script_id = self.record.script_id
        self.events.append(
            Event(
                event_id=evidence_id(script_id, event_type, [visit, evidence]),
                workspace_id=self.workspace_id,
                script_id=script_id,
                type=event_type,
                from_state=self.record.state,
                to_state=RULES[event_type].to_state,
                actor=actor,
                occurred_at=at,
                reason=reason,
                payload=payload or {},
                content_id=content_id,
            )
        )


def list_candidates(
    evidence: Evidence, promotion: str, state: str, now: datetime
) -> Iterator[PromotionContext]:
    """The scripts that wait in a state, the longest waiting first."""
    waiting = evidence.waiting.get(state, ())
    if not waiting:
        return
    decisions: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in evidence.found.decisions:
        decisions[decision.script_id].append(decision)
    for record in waiting:
        yield PromotionContext(
            promotion=promotion,
            workspace_id=evidence.workspace_id,
            record=record,
            context=evidence.contexts.get(record.script_id, ScriptContext()),
            decisions=decisions[record.script_id],
            standings=evidence.standings,
            decisions_problem=evidence.found.decisions_problem,
            now=now,
            rules=evidence.rules,
        )
