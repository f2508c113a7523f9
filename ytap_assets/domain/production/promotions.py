"""Promotions: what moves scripts from state to state, and their registry.

Belongs here: pure functions from evidence to events. Does not belong here: gathering evidence,
appending events (`operations`), or when to do it (`defs`).

Deciding twice on the same evidence gives the same event ids, so a decision may be repeated at any
time; what was decided on evidence that no longer holds is refused at the append (`events.admit`).
Every promotion first applies what people decided about the scripts that wait before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ytap_assets.domain.production.candidates import PromotionContext, list_candidates
from ytap_assets.domain.production.events import (
    PUBLISHED,
    READY_FOR_GENERATION,
    READY_FOR_PUBLISH,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
    Event,
    evidence_id,
)
from ytap_assets.domain.production.evidence import (
    Evidence,
    Original,
    describe_copy,
    script_content_id,
    upload_content_id,
    video_content_id,
)
from ytap_assets.domain.production.gates import (
    APPROVAL,
    Gate,
    evaluate_generation_gates,
    evaluate_publication_gates,
    find_banned_topics,
)
from ytap_assets.domain.production.inbox import (
    Upload,
    merge_uploads,
    reception_event,
)
from ytap_assets.domain.production.jobs import decide_jobs
from ytap_assets.domain.production.manifest import Manifest, VideoFolder, check_folder
from ytap_assets.domain.production.records import Record

_SHOWN_PROBLEMS = 5
_OWNED = " already"


def decide_submissions(evidence: Evidence, *, now: datetime) -> list[Event]:
    """Promotion 1: a line in the inbox becomes a script in review; a known one stays as it is.

    A script that another workspace has already is marked as a copy from the beginning. A decision
    about a script that is not there yet is received: it is not about the script that comes later.
    The reports of generators become events of their scripts.
    """
    events: list[Event] = []
    for script in evidence.found.submissions:
        if script.script_id in evidence.recorded:
            continue
        submitted = Event(
            event_id=evidence_id(script.script_id, "script_submitted", script.digest),
            workspace_id=evidence.workspace_id,
            script_id=script.script_id,
            type="script_submitted",
            from_state=None,
            to_state=SCRIPT_PENDING_REVIEW,
            actor="sensor:submit_scripts",
            occurred_at=min(script.created_at, now),
            payload={**script.payload, "created_at": script.created_at.isoformat()},
            content_id=script_content_id(script.payload),
        )
        events += [submitted, *_mark_copy(submitted, evidence, now)]
    states = {record.script_id: state for state, own in evidence.waiting.items() for record in own}
    jobs = decide_jobs(evidence.workspace_id, evidence.jobs, states, now)
    return [*_receive_early_decisions(evidence, now), *events, *jobs]


def _receive_early_decisions(evidence: Evidence, now: datetime) -> list[Event]:
    """The receptions of decisions about scripts that are neither recorded nor in the inbox."""
    there = evidence.recorded.union(one.script_id for one in evidence.found.submissions)
    return [
        reception_event(
            evidence.workspace_id, decision, None, actor="sensor:submit_scripts", now=now
        )
        for decision in evidence.found.decisions
        if decision.script_id not in there
        and decision.action != "cancel"
        and evidence.standings[decision] == "new"
    ]


def _describe_copy(candidate: PromotionContext, evidence: Evidence) -> str | None:
    script_id = candidate.record.script_id
    originals = evidence.copies.get(script_id, ())
    return describe_copy(originals, (candidate.workspace_id, script_id))


def _mark_copy(move: Event, evidence: Evidence, now: datetime) -> list[Event]:
    return mark_copy(move, evidence.copies.get(move.script_id, ()), now)


def mark_copy(move: Event, originals: Sequence[Original], now: datetime) -> list[Event]:
    """The closed gate of a copy, directly after the event by which it became one.

    Args:
        move: The event.
        originals: The scripts of other workspaces that had the same content before.
        now: The present.
    """
    why = describe_copy(
        originals,
        (move.workspace_id, move.script_id),
        is_published=move.to_state == PUBLISHED,
    )
    if why is None or move.to_state is None:
        return []
    failed = [f"copy: {why}"]
    return [
        Event(
            event_id=evidence_id(move.script_id, "gates_evaluated", [move.event_id, failed]),
            workspace_id=move.workspace_id,
            script_id=move.script_id,
            type="gates_evaluated",
            from_state=move.to_state,
            to_state=None,
            actor=move.actor,
            occurred_at=now,
            reason=failed[0],
            payload={"failed_gates": failed},
        )
    ]


def decide_generation(evidence: Evidence, *, now: datetime) -> list[Event]:
    """Promotion 2: an approved script whose gates are all open goes into generation."""
    banned = _find_banned(evidence)
    events: list[Event] = []
    for candidate in list_candidates(evidence, "start_generation", SCRIPT_PENDING_REVIEW, now):
        if not candidate.apply_decisions():
            candidate.pass_gates(
                _evaluate_script(candidate, evidence, banned),
                approval="script_approved",
                promotion="generation_started",
            )
        events += candidate.close()
    return events


def _find_banned(evidence: Evidence) -> dict[str, str]:
    texts = {script_id: context.text for script_id, context in evidence.contexts.items()}
    in_review = evidence.waiting.get(SCRIPT_PENDING_REVIEW, ())
    return find_banned_topics(in_review, texts, evidence.rules.banned_topics)


def _evaluate_script(
    candidate: PromotionContext, evidence: Evidence, banned: Mapping[str, str]
) -> tuple[Gate, ...]:
    return evaluate_generation_gates(
        candidate.record,
        candidate.context.text,
        approval=candidate.missing_approval,
        banned=banned.get(candidate.record.script_id),
        budget_usd_micros=evidence.rules.budget_usd_micros,
        rival=evidence.rivals.get(candidate.record.script_id),
        copy=_describe_copy(candidate, evidence),
    )


def decide_video_reviews(evidence: Evidence, *, now: datetime) -> list[Event]:
    """Promotion 3: a video with a complete manifest goes to review.

    A video that was sent back is not accepted again.
    """
    events: list[Event] = []
    for candidate in list_candidates(evidence, "review_videos", READY_FOR_GENERATION, now):
        if not candidate.apply_decisions():
            _take_video(candidate, evidence)
        events += candidate.close()
    return events


def _take_video(candidate: PromotionContext, evidence: Evidence) -> None:
    folder = evidence.found.folders.get(candidate.record.script_id)
    if folder is None:
        candidate.note_gates([])
        return
    manifest, problems = check_folder(candidate.record.script_id, folder)
    if manifest is not None and manifest.sha256 == candidate.context.manifest_sha256:
        candidate.note_gates(["manifest: this video was in review before; waiting for a new one"])
    elif manifest is None or problems:
        candidate.note_gates([f"manifest: {_shorten(problems)}"])
    else:
        candidate.promote(
            "video_completed",
            at=_date_completion(candidate, manifest),
            payload=_describe_video(manifest),
            evidence=manifest.sha256,
            content_id=video_content_id(
                (fact.size_bytes, fact.sha256 or "") for fact in manifest.files.values()
            ),
        )
        candidate.events += _mark_copy(candidate.events[-1], evidence, candidate.now)


def _date_completion(candidate: PromotionContext, manifest: Manifest) -> datetime | None:
    """When the video was finished; None (now) where the manifest gives no date that can be true.

    A video made after a send-back was not finished before it. Taken as given, such a date would
    let a decision about the earlier video count for this one.
    """
    is_another = candidate.context.manifest_sha256 is not None
    at = manifest.completed_at
    return None if is_another and at is not None and at < candidate.record.state_since else at


def _describe_video(manifest: Manifest) -> dict[str, object]:
    return {
        "cost_usd_micros": manifest.cost_usd_micros,
        "quality_score": manifest.quality_score,
        "duration_s": manifest.duration_s,
        "manifest_sha256": manifest.sha256,
        "files": [
            {"name": name, "size_bytes": fact.size_bytes, "sha256": fact.sha256}
            for name, fact in manifest.files.items()
        ],
    }


def decide_clearances(evidence: Evidence, *, now: datetime) -> list[Event]:
    """Promotion 4: an approved video that is good enough, within budget and whole may go out."""
    events: list[Event] = []
    for candidate in list_candidates(evidence, "clear_videos", VIDEO_PENDING_REVIEW, now):
        if not candidate.apply_decisions():
            candidate.pass_gates(
                _evaluate_video(candidate, evidence),
                approval="video_approved",
                promotion="publication_cleared",
            )
        events += candidate.close()
    return events


def _evaluate_video(candidate: PromotionContext, evidence: Evidence) -> tuple[Gate, ...]:
    folder = evidence.found.folders.get(candidate.record.script_id)
    return evaluate_publication_gates(
        candidate.record,
        approval=candidate.missing_approval,
        budget_usd_micros=evidence.rules.budget_usd_micros,
        manifest_problems=_recheck_video(candidate, folder),
        copy=_describe_copy(candidate, evidence),
    )


@dataclass(frozen=True)
class Review:
    """One script or video in review, as the next run would find it.

    Attributes:
        workspace_id: The workspace.
        record: Its record.
        text: The spoken text of the script.
        gates: All its gates, the approval among them.
        approvers: The actors who approved it.
        awaited: The approval that it waits for; None if it waits for none.
        decided: The decisions that the next run applies, in words.
    """

    workspace_id: str
    record: Record
    text: str
    gates: tuple[Gate, ...]
    approvers: tuple[str, ...]
    awaited: str | None
    decided: tuple[str, ...]

    @property
    def is_video(self) -> bool:
        """Whether the video is in review, and not the script."""
        return self.record.state == VIDEO_PENDING_REVIEW

    @property
    def closed(self) -> list[str]:
        """The closed gates, each with the reason; a missing approval is none of them."""
        return [str(gate) for gate in self.gates if not gate.passed and gate.name != APPROVAL]

    @property
    def waits_for(self) -> str:
        """What it waits for, in words: the next run, an approval, closed gates, or several."""
        if self.decided:
            return f"the next run: {', '.join(self.decided)}"
        waits = [self.awaited] if self.awaited else []
        waits += [f"gate {gate}" for gate in self.closed]
        return "; ".join(waits) or "the next run"


def list_reviews(evidence: Evidence, *, now: datetime) -> list[Review]:
    """The scripts and videos of a workspace in review, the longest waiting first.

    Decisions of the approvals file that the next run applies are counted already.
    """
    banned = _find_banned(evidence)
    reviews = []
    for state in (SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW):
        for candidate in list_candidates(evidence, "review", state, now):
            candidate.apply_decisions()
            reviews.append(
                Review(
                    workspace_id=candidate.workspace_id,
                    record=candidate.record,
                    text=candidate.context.text,
                    gates=_evaluate_script(candidate, evidence, banned)
                    if state == SCRIPT_PENDING_REVIEW
                    else _evaluate_video(candidate, evidence),
                    approvers=candidate.approvers,
                    awaited=evidence.rules.find_awaited(candidate.record, candidate.approvers),
                    decided=tuple(
                        f"{event.type} by {event.actor}"
                        for event in candidate.events
                        if event.type != "gates_evaluated"
                    ),
                )
            )
    return sorted(reviews, key=lambda one: (one.record.state_since, one.record.script_id))


def _recheck_video(candidate: PromotionContext, folder: VideoFolder | None) -> list[str]:
    """What is wrong with the files by now: they must still be the ones that were reviewed."""
    if folder is None:
        return ["it was removed" if candidate.context.manifest_sha256 else "there is none"]
    manifest, problems = check_folder(candidate.record.script_id, folder)
    reviewed = candidate.context.manifest_sha256
    if manifest is not None and reviewed not in (None, manifest.sha256):
        problems = [
            *problems,
            "it was changed during the review; send the video back to use the new one",
        ]
    return [_shorten(problems)] if problems else []


def _shorten(problems: list[str]) -> str:
    more = len(problems) - _SHOWN_PROBLEMS
    rest = f"; and {more} more" if more > 0 else ""
    return "; ".join(problems[:_SHOWN_PROBLEMS]) + rest


def decide_publications(evidence: Evidence, *, now: datetime) -> list[Event]:
    """Promotion 5: a video that the upload log, or its channel's feed, shows is published.

    A YouTube video is of one script. Where another workspace's script has the same text or video
    files, what is published is published, and the record says so.
    """
    uploads = merge_uploads(evidence.found.uploads)
    events: list[Event] = []
    for candidate in list_candidates(evidence, "confirm_publications", READY_FOR_PUBLISH, now):
        if not candidate.apply_decisions():
            upload = uploads.get(candidate.record.script_id)
            if upload and (owner := _find_owner(candidate, upload, evidence)):
                candidate.note_gates(
                    [f"upload: video {upload.video_id} belongs to {owner}{_OWNED}"]
                )
            elif upload:
                _publish(candidate, upload, evidence)
            else:
                candidate.note_gates([])
        events += candidate.close()
    return events


def is_held_as_copy(failed_gate: str) -> bool:
    """Whether a closed gate may be about a script or a video of another workspace."""
    return failed_gate.startswith("copy:") or (
        failed_gate.startswith("upload:") and failed_gate.endswith(_OWNED)
    )


def _find_owner(candidate: PromotionContext, upload: Upload, evidence: Evidence) -> str | None:
    """The other script whose YouTube video it is, in words."""
    owner = evidence.found.owners.get(upload.video_id)
    if owner not in (None, candidate.record.script_id):
        return f"script {owner}"
    originals: Sequence[Original] = evidence.copies.get(candidate.record.script_id, ())
    return next(
        (f"script {o.script_id} of workspace {o.workspace_id}" for o in originals if o.is_upload),
        None,
    )


def _publish(candidate: PromotionContext, upload: Upload, evidence: Evidence) -> None:
    published_at = upload.published_at or evidence.found.seen_videos.get(upload.video_id)
    if published_at is None:
        candidate.note_gates(
            [
                f"upload: video {upload.video_id} has no publication date yet; give published_at in"
                " uploads.jsonl, or wait for the channel's feed"
            ]
        )
        return
    if published_at > candidate.now:
        candidate.note_gates(
            [
                f"upload: published_at {published_at.isoformat()} is in the future; it counts from"
                " then on"
            ]
        )
        return
    cleared_at = candidate.record.state_since
    candidate.promote(
        "published",
        at=published_at,
        payload={
            "video_id": upload.video_id,
            "channel_id": upload.channel_id,
            "published_at": published_at.isoformat(),
        },
        evidence=upload.video_id,
        content_id=upload_content_id(upload.video_id),
        reason=f"public since {published_at:%Y-%m-%d %H:%M} UTC, before the script was cleared for"
        f" publication at {cleared_at:%Y-%m-%d %H:%M} UTC"
        if published_at < cleared_at
        else None,
    )
    candidate.events += _mark_copy(candidate.events[-1], evidence, candidate.now)


class Decide(Protocol):
    """A promotion's rule: the same evidence always gives the same event ids."""

    def __call__(self, evidence: Evidence, *, now: datetime) -> list[Event]:
        """The events that follow from the evidence, in order."""


@dataclass(frozen=True)
class Promotion:
    """One promotion.

    Attributes:
        name: Its name; events have the actor ``sensor:NAME``.
        from_state: The state scripts wait in; None for the inbox.
        decide: From evidence to events.
        description: What it does, in one sentence.
    """

    name: str
    from_state: str | None
    decide: Decide
    description: str


PROMOTIONS: Mapping[str, Promotion] = {
    promotion.name: promotion
    for promotion in (
        Promotion(
            "submit_scripts",
            None,
            decide_submissions,
            "Submits the scripts of the inbox for review, and stores the reports of generators.",
        ),
        Promotion(
            "start_generation",
            SCRIPT_PENDING_REVIEW,
            decide_generation,
            "Moves approved scripts to generation when all their gates are open.",
        ),
        Promotion(
            "review_videos",
            READY_FOR_GENERATION,
            decide_video_reviews,
            "Submits videos with a complete manifest for review.",
        ),
        Promotion(
            "clear_videos",
            VIDEO_PENDING_REVIEW,
            decide_clearances,
            "Moves approved videos to publishing when all their gates are open.",
        ),
        Promotion(
            "confirm_publications",
            READY_FOR_PUBLISH,
            decide_publications,
            "Marks videos as published when the upload log or the channel's feed shows them.",
        ),
    )
}
"""Every promotion by name, in the order in which a script meets them."""
