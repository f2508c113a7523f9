"""The inbox files: scripts, people's decisions and uploads, one JSON object per line.

Belongs here: the required content of a line of each file, the event of a decision, and whether it
has an effect. Does not belong here: reading the files, checking scripts (`gates`), or the effects
of decisions and uploads (`promotions`).

A line of `scripts.jsonl` is bad if no record can be made of it. A script that only lacks a field is
submitted, and a gate that names the field stays closed.

When a decision of `approvals.jsonl` has an effect:

- Once. Its content is its identity and the id of its event; equal lines are one decision.
- Not before its date.
- Only in the state in which it was first read. A decision that is read without an effect is
  received: an event binds it to the current state of the script, or to the time before there was a
  script. It has no effect after the script has left that state, since a video that came into review
  later is not the one that was decided about. This depends on the log only; the file may be
  truncated or edited afterwards.
- Only on the state at the time it was written. A decision that is dated before the script entered
  its state has no effect. The same applies to one above a line that has moved the script since:
  lines are appended, so it was written before that move.
- Only on the text at the time it was written: an edit of the script in review counts as if the
  script had entered its state then.

A cancellation applies to the script and not to what is in review: only the first two rules apply,
and it is not bound to a state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

import polars as pl

from ytap_assets.domain.ids import is_channel_id, is_video_id
from ytap_assets.domain.production.events import (
    CHANGES_SUBJECT,
    PUBLISHED,
    READY_FOR_PUBLISH,
    RULES,
    Event,
    digest,
    dump_json,
    evidence_id,
    named_evidence_id,
)
from ytap_assets.domain.production.lines import (
    FieldError,
    Fields,
    parse_object,
    read_instant,
    read_number,
    read_script_id,
    read_usd_micros,
    text_matching,
    text_up_to,
)
from ytap_assets.domain.production.records import Record
from ytap_assets.domain.production.rules import PERSON, Rules, list_approvers
from ytap_assets.errors import QuestionError, TransitionRefusedError

_LONGEST_NAME = 100
_LONGEST_REASON = 2_000
_NOT_IN_PAYLOAD = ("script_id", "created_at", "estimated_cost_usd")


@dataclass(frozen=True)
class Submission:
    """A script as its generator submitted it.

    Attributes:
        script_id: Names it; safe as the name of a folder.
        created_at: When it was created, according to its generator, in UTC.
        payload: Every other key of the line, the unknown ones too, with the cost as
            ``estimated_cost_usd_micros``.
    """

    script_id: str
    created_at: datetime
    payload: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Names the submission's whole content."""
        return digest([self.script_id, self.created_at.isoformat(), self.payload])


def find_new_scripts(
    earlier: Mapping[str, str], accepted: Mapping[str, str]
) -> Callable[[Submission], bool]:
    """Tells new scripts from repeated ones; another script of the same id is a bad line.

    Args:
        earlier: The digests of the scripts in earlier lines, by script id.
        accepted: The same of lines that were accepted before the file was rewritten: an equal line
            is a line of the new file, an edited one is a bad line.
    """
    seen = dict(earlier)

    def is_new(script: Submission) -> bool:
        script_id = script.script_id
        first = seen.get(script_id, "")
        if not first and accepted.get(script_id, script.digest) != script.digest:
            raise FieldError(
                f"script_id: the line differs from the accepted one of script {script_id} and has"
                " no effect; cancel the script and submit it under another script_id"
            )
        if not first:
            seen[script_id] = script.digest
        elif first != script.digest:
            raise FieldError(f"script_id: an earlier line has another script {script_id}")
        return not first

    return is_new


def read_submission(fields: Fields) -> Submission:
    """One line's object as a submission.

    Raises:
        FieldError: No record can be made of it; the message names the fields.
    """
    script_id = fields.need("script_id", read_script_id)
    created_at = fields.need("created_at", read_instant)
    estimated = fields.read("estimated_cost_usd", read_usd_micros)
    for key, read in SCRIPT_TEXTS.items():
        fields.read(key, read)
    fields.read("segments", read_segments)
    fields.read("quality", read_number)
    fields.check()
    payload = {key: value for key, value in fields.content.items() if key not in _NOT_IN_PAYLOAD}
    return Submission(script_id, created_at, {**payload, "estimated_cost_usd_micros": estimated})


def read_segments(value: Any) -> None:
    """Check the segments of a script.

    Raises:
        FieldError: Not a list of texts or objects.
    """
    if not isinstance(value, list) or not all(isinstance(part, (str, dict)) for part in value):
        raise FieldError("expected a list of texts or objects")


def _is_web_address(text: str) -> bool:
    try:
        address = urlsplit(text)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname) and text.isprintable()


SCRIPT_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "title": text_up_to(500),
    "generation_method": text_up_to(500),
    "hook": text_up_to(5_000),
    "body": text_up_to(200_000),
    "topic_url": text_matching(_is_web_address, "an http or https address"),
}
"""The readers of a script's texts."""


@dataclass(frozen=True)
class Upload:
    """A video on a channel.

    Attributes:
        script_id: The script it was made from.
        video_id: Its YouTube id.
        channel_id: The channel, if the line has one.
        published_at: When it was published, in UTC; None if it is uploaded but not yet known
            to be public.
    """

    script_id: str
    video_id: str
    channel_id: str | None
    published_at: datetime | None


def find_new_uploads(earlier: Iterable[Upload]) -> Callable[[Upload], bool]:
    """Distinguishes new uploads from repeated ones.

    A later line about the same script and video adds to it (`merge_uploads`). A script with a
    second video, or a video of a second script, is a bad line.

    Args:
        earlier: The uploads in earlier lines, in order.
    """
    seen = set(earlier)
    video_of = {upload.script_id: upload.video_id for upload in seen}
    script_of = {upload.video_id: upload.script_id for upload in seen}

    def is_new(upload: Upload) -> bool:
        if upload in seen:
            return False
        video = video_of.get(upload.script_id, upload.video_id)
        if video != upload.video_id:
            raise FieldError(f"video_id: in an earlier line, this script has the video {video}")
        script = script_of.get(upload.video_id, upload.script_id)
        if script != upload.script_id:
            raise FieldError(f"video_id: in an earlier line, this video belongs to script {script}")
        video_of[upload.script_id], script_of[upload.video_id] = upload.video_id, upload.script_id
        seen.add(upload)
        return True

    return is_new


def merge_uploads(uploads: Iterable[Upload]) -> dict[str, Upload]:
    """Merge all lines of a script: of each field, the last value that is not null.

    Args:
        uploads: The lines, in order; all lines of one script are about one video.
    """
    merged: dict[str, Upload] = {}
    for upload in uploads:
        before = merged.get(upload.script_id, upload)
        merged[upload.script_id] = replace(
            upload,
            channel_id=upload.channel_id or before.channel_id,
            published_at=upload.published_at or before.published_at,
        )
    return merged


def find_upload_problem(upload: Upload, state: str | None, now: datetime) -> str | None:
    """Why an upload is not of a script that was cleared for publication; None if it is.

    A video that is not public yet may be uploaded before that.

    Args:
        upload: The upload.
        state: The script's state; None if there is no such script.
        now: The present.
    """
    if state is None:
        return f"there is no script with this id yet (video {upload.video_id})"
    if state in (READY_FOR_PUBLISH, PUBLISHED):
        return None
    if upload.published_at is None or upload.published_at > now:
        return None
    return (
        f"the video {upload.video_id} is public since {upload.published_at:%Y-%m-%d %H:%M} UTC, but"
        f" the script has the state {state}"
    )


def read_upload(fields: Fields) -> Upload:
    """One line's object as an upload.

    Raises:
        FieldError: It is not one; the message names the field.
    """
    script_id = fields.need("script_id", read_script_id)
    video_id = fields.need("video_id", text_matching(is_video_id, "a YouTube video's id"))
    channel_id = fields.read("channel_id", text_matching(is_channel_id, "a YouTube channel's id"))
    published_at = fields.read("published_at", read_instant)
    fields.check()
    return Upload(script_id, video_id, channel_id, published_at)


ACTIONS: Mapping[str, str] = {
    "approve_script": "script_approved",
    "approve_video": "video_approved",
    "reject": "rejected",
    "send_back": "sent_back",
    "cancel": "cancelled",
}
"""What a person can do, and the event it becomes."""

_RECEIVED = "decision_received"
_CANNOT: Mapping[str, str] = {
    "approve_script": "the script cannot be approved",
    "approve_video": "a video cannot be approved",
    "reject": "it cannot be rejected",
    "send_back": "a video cannot be sent back",
    "cancel": "it cannot be cancelled",
}


@dataclass(frozen=True)
class Decision:
    """One decision of one person about one script.

    Attributes:
        script_id: The script.
        action: A key of `ACTIONS`.
        actor: The person's name.
        at: When they decided, in UTC.
        reason: Why, in words.
    """

    script_id: str
    action: str
    actor: str
    at: datetime
    reason: str | None = None


def find_new_decisions(earlier: Iterable[Decision]) -> Callable[[Decision], bool]:
    """Distinguishes new decisions from repeated ones.

    Args:
        earlier: The decisions in earlier lines.
    """
    seen = set(earlier)

    def is_new(decision: Decision) -> bool:
        if decision in seen:
            return False
        seen.add(decision)
        return True

    return is_new


def read_decision(fields: Fields) -> Decision:
    """One line's object as a decision.

    Raises:
        FieldError: It is not one; the message names the field.
    """
    script_id = fields.need("script_id", read_script_id)
    action = fields.need("act", text_matching(ACTIONS.__contains__, f"one of {', '.join(ACTIONS)}"))
    actor = fields.need("actor", read_name)
    at = fields.need("at", read_instant)
    reason = fields.read("reason", text_up_to(_LONGEST_REASON))
    fields.check()
    return Decision(script_id, action, actor, at, reason)


def read_name(value: Any) -> str:
    """A name, without spaces around it.

    Raises:
        FieldError: It is not one.
    """
    name = text_up_to(2_000)(value).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise FieldError(
            f"{name[:80]!r} is not a name in one line of up to {_LONGEST_NAME} characters"
        )
    return name


def make_decision(
    script_id: str, action: str, actor: str, at: datetime, reason: str | None
) -> Decision:
    """A decision that a person makes now, checked like a line of the file.

    Raises:
        QuestionError: A part of it is invalid; the message names it.
    """
    content = {"script_id": script_id, "act": action, "actor": actor, "reason": reason}
    line = dump_json({**content, "at": at.isoformat()})
    try:
        return read_decision(Fields(parse_object(line.encode("utf-8", "surrogatepass"))))
    except FieldError as error:
        raise QuestionError(f"the decision is invalid: {error}") from error


def is_possible(action: str, state: str) -> bool:
    """Whether a script in ``state`` can be subject to the decision."""
    return state in RULES[ACTIONS[action]].from_states


def decision_event(
    workspace_id: str, decision: Decision, state: str | None, *, event_id: str | None = None
) -> Event:
    """The event a decision becomes.

    Args:
        workspace_id: The workspace.
        decision: The decision.
        state: The script's state; None if there is no such script.
        event_id: A ULID for a decision at a keyboard; None for one in a file, whose line names it.

    Raises:
        TransitionRefusedError: The decision is not possible in this state; the message names it.
    """
    if decision.action not in ACTIONS:
        raise TransitionRefusedError(
            f"{decision.action!r} is not an action: expected one of {', '.join(ACTIONS)}"
        )
    event_type = ACTIONS[decision.action]
    to_state = RULES[event_type].to_state
    if state not in RULES[event_type].from_states:
        found = "has no record yet" if state is None else f"has the state {state}"
        possible = " or ".join(str(one) for one in RULES[event_type].from_states)
        raise TransitionRefusedError(
            f"script {decision.script_id} {found}: {_CANNOT[decision.action]}; the action is"
            f" allowed in {possible}"
        )
    return Event(
        event_id=event_id or _name_decision(decision),
        workspace_id=workspace_id,
        script_id=decision.script_id,
        type=event_type,
        from_state=state,
        to_state=to_state,
        actor=PERSON + decision.actor,
        occurred_at=decision.at,
        reason=decision.reason,
    )


def _name_decision(decision: Decision) -> str:
    return evidence_id(decision.script_id, ACTIONS[decision.action], _list_facts(decision))


def _list_facts(decision: Decision) -> list[str | None]:
    return [decision.action, decision.actor, decision.at.isoformat(), decision.reason]


def reception_event(
    workspace_id: str,
    decision: Decision,
    state: str | None,
    *,
    actor: str,
    now: datetime,
    overtaken: bool = False,
) -> Event:
    """The event that binds a decision of the file to the state its script is in.

    Args:
        workspace_id: The workspace.
        decision: The decision.
        state: The script's state; None if there is no such script yet.
        actor: Who read the file.
        now: The present.
        overtaken: Whether it was written before a decision that moved the script: it never counts.
    """
    return Event(
        event_id=_name_reception(decision),
        workspace_id=workspace_id,
        script_id=decision.script_id,
        type=_RECEIVED,
        from_state=state,
        to_state=None,
        actor=actor,
        occurred_at=now,
        reason=f"{decision.action} by {decision.actor}, dated {decision.at.isoformat()}",
        payload={
            "act": decision.action,
            "actor": decision.actor,
            "at": decision.at.isoformat(),
            "event_id": _name_decision(decision),
            "overtaken": overtaken,
        },
    )


def _name_reception(decision: Decision) -> str:
    return evidence_id(decision.script_id, _RECEIVED, _name_decision(decision))


def _list_ids(workspace_id: str, decision: Decision) -> tuple[list[str], list[str]]:
    """The ids of a decision and of its reception: the present ones, and those of an older log."""
    script_id, facts = decision.script_id, _list_facts(decision)
    older = named_evidence_id(workspace_id, script_id, ACTIONS[decision.action], facts)
    received = named_evidence_id(workspace_id, script_id, _RECEIVED, older)
    return [_name_decision(decision), older], [_name_reception(decision), received]


Standing = Literal["new", "applied", "received", "expired", "overtaken", "void"]
"""What the log says of a decision of the file: nothing; that it was applied; that it was received
in the state the script is in, or in an earlier one; nothing, but a line below it moved the script;
that it was received as written before a decision that moved the script."""


@dataclass
class DecisionLog:
    """The information of one workspace's log about decisions.

    Attributes:
        seqs: The numbers of the events of decisions and receptions, by event id.
        void: The receptions of decisions that never count, by event id.
        moved: The number of the last move or edit of each script.
    """

    seqs: dict[str, int] = field(default_factory=dict)
    void: set[str] = field(default_factory=set)
    moved: dict[str, int] = field(default_factory=dict)


def read_decision_logs(events: pl.DataFrame) -> dict[str, DecisionLog]:
    """The information of the log about decisions, by workspace.

    Args:
        events: Rows of `production_events`, in any order: all events of the scripts concerned.
            Columns ``workspace_id``, ``event_id``, ``script_id``, ``seq``, ``type``, ``to_state``,
            ``payload``.
    """
    logs: defaultdict[str, DecisionLog] = defaultdict(DecisionLog)
    decided = events.filter(pl.col("type").is_in([*ACTIONS.values(), _RECEIVED])).select(
        "workspace_id",
        "event_id",
        "seq",
        (pl.col("type") == _RECEIVED)
        & (pl.col("payload").str.json_path_match("$.overtaken") == "true").fill_null(value=False),
    )
    for workspace_id, event_id, seq, is_void in decided.iter_rows():
        logs[workspace_id].seqs[event_id] = seq
        if is_void:
            logs[workspace_id].void.add(event_id)
    moves = events.filter(CHANGES_SUBJECT).group_by("workspace_id", "script_id")
    for workspace_id, script_id, seq in moves.agg(pl.col("seq").max()).iter_rows():
        logs[workspace_id].moved[script_id] = seq
    return dict(logs)


def trace_decisions(
    workspace_id: str, decisions: Sequence[Decision], log: DecisionLog
) -> dict[Decision, Standing]:
    """The status of each decision of the file, according to the log.

    Args:
        workspace_id: The workspace.
        decisions: The decisions in the order of the file.
        log: The information of its log about the scripts concerned.
    """
    standings: dict[Decision, Standing] = {}
    overtaken: set[str] = set()
    for decision in reversed(decisions):
        names, receptions = _list_ids(workspace_id, decision)
        received = next((name for name in receptions if name in log.seqs), None)
        if any(name in log.seqs for name in names):
            standings[decision] = "applied"
            if RULES[ACTIONS[decision.action]].to_state is not None:
                overtaken.add(decision.script_id)
        elif received is None:
            standings[decision] = "overtaken" if decision.script_id in overtaken else "new"
        elif received in log.void:
            standings[decision] = "void"
        else:
            is_bound = log.seqs[received] > log.moved.get(decision.script_id, 0)
            standings[decision] = "received" if is_bound else "expired"
    return standings


@dataclass(frozen=True)
class Obstacle:
    """Why a decision of the file does not count now.

    Attributes:
        reason: In words.
        waits: Whether it will count when its date has come, if nothing else happens before.
    """

    reason: str
    waits: bool = False


def find_obstacle(
    decision: Decision,
    standing: Standing,
    record: Record | None,
    now: datetime,
    rules: Rules,
) -> Obstacle | None:
    """Why a decision that was not applied does not count now; None if it does.

    Args:
        decision: The decision.
        standing: Its status, according to the log.
        record: Its script; None if there is none.
        now: The present.
        rules: The workspace's rules.
    """
    if record is None:
        return Obstacle("there is no script with this id yet")
    reason = _find_mismatch(decision, record) or rules.find_stranger(decision.actor)
    if reason is None and decision.action != "cancel":
        reason = _find_other_subject(decision, standing, record, now)
    if reason is None and decision.at > now:
        return Obstacle("its date is in the future; it takes effect then", waits=True)
    if reason is None and RULES[ACTIONS[decision.action]].to_state is None:
        actor = PERSON + decision.actor
        reason = rules.find_repetition(record, list_approvers(record), actor)
    return Obstacle(reason) if reason else None


def _find_mismatch(decision: Decision, record: Record) -> str | None:
    """Why a decision is not possible in the script's state; None if it is."""
    if is_possible(decision.action, record.state):
        return None
    needed = ", ".join(str(state) for state in RULES[ACTIONS[decision.action]].from_states)
    return f"the script has the state {record.state}; {decision.action} needs {needed}"


def _find_other_subject(
    decision: Decision, standing: Standing, record: Record, now: datetime
) -> str | None:
    """How it is known that a decision is not about what is in the script's state now."""
    state, since = record.state, record.subject_since
    was_edited = since > record.state_since
    if standing == "expired":
        return f"received before the script entered {state}, or was edited; decide again"
    if standing in ("overtaken", "void"):
        return "written before a decision that has changed the state since; decide again"
    if decision.at >= since:
        return None
    if since > now:
        return (
            f"the script entered {state} at a date in the future ({since.isoformat()}); decide with"
            " `ytap script`"
        )
    what = "was edited" if was_edited else f"entered {state}"
    return f"decided before the script {what} ({since.isoformat()}); decide again"


def find_obstacles(
    decisions: Sequence[Decision],
    standings: Mapping[Decision, Standing],
    records: Mapping[str, Record],
    now: datetime,
    rules: Rules,
) -> list[tuple[Decision, Obstacle]]:
    """The decisions that were not applied and do not count now, each with the reason.

    Args:
        decisions: The decisions in the order of the file.
        standings: The status of each, according to the log.
        records: Their scripts, by id; those without a record are absent.
        now: The present.
        rules: The workspace's rules.
    """
    obstacles = [
        (
            decision,
            find_obstacle(
                decision, standings[decision], records.get(decision.script_id), now, rules
            ),
        )
        for decision in decisions
        if standings[decision] != "applied"
    ]
    return [(decision, obstacle) for decision, obstacle in obstacles if obstacle is not None]
