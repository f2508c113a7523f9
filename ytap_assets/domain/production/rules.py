"""The production rules of a workspace's config, and what they require of an approval.

Belongs here: who may decide, how many persons must approve, and when the policy approves. Does not
belong here: the other conditions for a promotion (`gates`), or when a decision has an effect
(`inbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ytap_assets.config_keys import find_nearest
from ytap_assets.domain.production.events import VIDEO_PENDING_REVIEW
from ytap_assets.domain.production.records import Record

Approver = Literal["person", "policy"]
PERSON = "person:"
POLICY = "policy"
BY_PERSON = "a person approves"
"""Why the policy does not approve what the config leaves to persons."""
_MAX_NAMES = 3


@dataclass(frozen=True)
class Rules:
    """The production settings of a workspace's config.

    Attributes:
        script_approval: Who approves scripts.
        video_approval: Who approves videos.
        budget_usd_micros: What a video may cost.
        banned_topics: Words and phrases it never talks about.
        approvers: The names of the persons who may decide; empty if anyone may.
        policy_min_score: The score below which the policy does not approve; None for no limit.
        policy_max_cost_usd_micros: The cost above which the policy does not approve.
        two_persons_above_usd_micros: The cost above which two different persons must approve.
        max_hours: By state, after how many hours a script counts as stuck; a state that is absent,
            or None, has no limit.
    """

    script_approval: Approver = "person"
    video_approval: Approver = "person"
    budget_usd_micros: int = 3_000_000
    banned_topics: Sequence[str] = ()
    approvers: Sequence[str] = ()
    policy_min_score: float | None = None
    policy_max_cost_usd_micros: int | None = None
    two_persons_above_usd_micros: int | None = None
    max_hours: Mapping[str, float | None] = field(default_factory=dict, hash=False)

    def find_stranger(self, name: str) -> str | None:
        """Why a person may not decide; None if they may."""
        if not self.approvers or name in self.approvers:
            return None
        nearest = find_nearest(name, self.approvers)
        advice = f"; did you mean {nearest}?" if nearest else ""
        return f"{name} is not one of the workspace's `approval.approvers`{advice}"

    def find_missing(self, record: Record, approvers: Sequence[str]) -> str | None:
        """Which approval is missing, in words; None if none is.

        Args:
            record: A script in a review.
            approvers: The actors who approved what is in review. A person counts only while they
                may decide.
        """
        if POLICY in approvers and self._need_two(record) is None:
            return None
        persons = self._list_persons(approvers)
        if not persons:
            subject = "video" if record.state == VIDEO_PENDING_REVIEW else "script"
            return f"the {subject} is not approved yet"
        if len(persons) == 1 and (reason := self._need_two(record)):
            return f"approved by {persons[0]}; another person must approve, too: {reason}"
        return None

    def find_repetition(self, record: Record, approvers: Sequence[str], actor: str) -> str | None:
        """Who approved already, so that another approval changes nothing; None if it counts.

        Args:
            record: A script in a review.
            approvers: The actors who approved what is in review.
            actor: Who would approve.
        """
        if actor in approvers or self.find_missing(record, approvers) is None:
            return f"already approved by {describe_approvers(approvers)}"
        return None

    def find_policy_obstacle(self, record: Record) -> str | None:
        """Why the policy does not approve what is in review; None if it does.

        Args:
            record: A script in a review.
        """
        is_video = record.state == VIDEO_PENDING_REVIEW
        if (self.video_approval if is_video else self.script_approval) != "policy":
            return BY_PERSON
        if reason := self._need_two(record):
            return reason
        score = record.quality_score if is_video else record.script_quality
        limit = self.policy_min_score
        if limit is not None and (score is None or score < limit):
            found = "is unknown" if score is None else f"{score:.10g} is below {limit:.10g}"
            return f"the score {found} (approval.policy_min_score: {limit:.10g})"
        most, cost = self.policy_max_cost_usd_micros, _read_cost(record)
        if most is not None and (cost is None or cost > most):
            found = "is unknown" if cost is None else f"of {format_usd(cost)} is higher"
            return f"the cost {found} (approval.policy_max_cost_usd: {format_usd(most)})"
        return None

    def find_awaited(self, record: Record, approvers: Sequence[str]) -> str | None:
        """The approval that a review waits for, in words; None if the next run approves it.

        Args:
            record: A script in a review.
            approvers: The actors who approved what is in review.
        """
        missing, obstacle = self.find_missing(record, approvers), self.find_policy_obstacle(record)
        if missing is None or obstacle is None:
            return None
        others = [name for name in self.approvers if f"{PERSON}{name}" not in approvers]
        more = len(others) - _MAX_NAMES
        names = [*others[:_MAX_NAMES], *([f"{more} others"] if more > 0 else [])]
        who = f"approval by {' or '.join(names) or 'a person'}"
        if approvers:
            return f"{who}: {missing}"
        return who if obstacle == BY_PERSON else f"{who}: the policy does not approve: {obstacle}"

    def _need_two(self, record: Record) -> str | None:
        """Why two persons must approve; None if one is enough. An unknown cost may be high."""
        limit, cost = self.two_persons_above_usd_micros, _read_cost(record)
        if limit is None or (cost is not None and cost <= limit):
            return None
        found = "is unknown" if cost is None else f"is {format_usd(cost)}"
        return f"the cost {found} (approval.two_persons_above_usd: {format_usd(limit)})"

    def _list_persons(self, approvers: Sequence[str]) -> list[str]:
        actors = [actor for actor in approvers if actor.startswith(PERSON)]
        names = [actor.removeprefix(PERSON) for actor in actors]
        return [name for name in dict.fromkeys(names) if self.find_stranger(name) is None]


def list_approvers(record: Record) -> Sequence[str]:
    """The actors who approved what is in review."""
    if record.state == VIDEO_PENDING_REVIEW:
        return record.video_approvers or ()
    return record.script_approvers or ()


def describe_approvers(approvers: Sequence[str]) -> str:
    """The actors as one text, as events have it in ``approved_by``."""
    return ", ".join(approvers)


def format_usd(micros: int) -> str:
    """Micro-dollars in dollars and cents, with more digits only where there are more."""
    cents = f"${micros / 1_000_000:,.2f}"
    exact = f"${micros / 1_000_000:,.6f}"
    return cents if exact == f"{cents}0000" else exact


def _read_cost(record: Record) -> int | None:
    is_video = record.state == VIDEO_PENDING_REVIEW
    return record.cost_usd_micros if is_video else record.estimated_cost_usd_micros
