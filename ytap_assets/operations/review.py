"""Review: what waits for people, on what evidence, and what they decide.

Belongs here: the scripts and videos in review with their gates, what a person should know of a
workspace's scripts, and storing a decision. A decision of the command line and of Dagster's UI is
stored by the same function. Does not belong here: promotions (`production`), or the rules
(`domain.production`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from ulid import ULID

from ytap_assets.domain.production.candidates import list_candidates
from ytap_assets.domain.production.events import (
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
    events_to_frame,
)
from ytap_assets.domain.production.evidence import Evidence, Found, Production
from ytap_assets.domain.production.inbox import make_decision
from ytap_assets.domain.production.lines import SCRIPT_ID_RULE, is_script_id
from ytap_assets.domain.production.promotions import PROMOTIONS, Review, list_reviews
from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.errors import QuestionError, TransitionRefusedError, UnknownScriptError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.reader import Reader
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.operations.inbox_files import APPROVALS
from ytap_assets.operations.inboxes import collect_lines, open_inboxes, read_lines_of, read_wanted
from ytap_assets.operations.platform import Batch, Platform, Slice
from ytap_assets.operations.production import Decisions, preview_inputs
from ytap_assets.operations.production_inputs import (
    NO_TOPICS,
    IgnoredDecision,
    ProductionInputs,
    workspace_rules,
)
from ytap_assets.operations.records import read_records, refresh_tables
from ytap_assets.tables import PRODUCTION_EVENTS, SCORED_TRENDS, TREND_STORIES

_NOTES = ("decision_received", "gates_evaluated")


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
    found = preview_inputs(inputs)[workspace_id]
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
    seen: int | None = None,
) -> str:
    """Store what a person decided about a script, with the record and video that follow from it.

    Decisions of the approvals file that do not count yet are received before it
    (`PromotionContext.close`).

    Args:
        platform: The installation.
        workspace_id: The workspace.
        script_id: The script.
        action: A key of `ACTIONS`.
        actor: The person's name. It is not authenticated here.
        reason: Why, in words.
        run: What writes.
        seen: The number of the script's last event that the person saw. If the script has changed
            its state or was edited since, the decision is refused: another video may be in review.
            None if the decision is about whatever is in review.

    Returns:
        The state the script is in afterwards. Promotions follow at the next tick of their sensor.

    Raises:
        ConfigError: There is no such workspace, or it is archived.
        UnknownScriptError: There is no such script.
        QuestionError: The name or the reason is invalid, or there is no event ``seen``.
        TransitionRefusedError: The person may not decide, the decision is not possible in the
            script's state, it approves again what is approved already, or the state has changed
            since ``seen``. The message names who changed it.
    """
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    slice_ = platform.slice(workspace_id, None, run)
    now = platform.now()
    if not is_script_id(script_id):
        raise UnknownScriptError(
            f"workspace {workspace_id} has no script {script_id!r}: an id has {SCRIPT_ID_RULE}"
        )
    decision = make_decision(script_id, action, actor, now, reason)
    with platform.lake.write(run) as transaction:
        production, evidence = gather_decisions(transaction, slice_, [script_id])
        if production.records.is_empty():
            raise UnknownScriptError(f"workspace {workspace_id} has no script {script_id!r}")
        state = production.records.item(0, "state")
        [candidate] = list_candidates(evidence, "decide", state, now)
        changes = pl.col("to_state").is_not_null() | (pl.col("type") == "script_edited")
        last_move = production.events.filter(changes).sort("seq").row(-1, named=True)
        if seen is not None and production.events.filter(pl.col("seq") >= seen).is_empty():
            raise QuestionError(f"script {script_id} has no event {seen}; see `ytap review show`")
        if seen is not None and last_move["seq"] > seen:
            raise TransitionRefusedError(
                f"script {script_id} has changed since event {seen}; nothing was stored."
                f" Review it again ({_describe_move(last_move)})"
            )
        try:
            events = candidate.decide(decision, str(ULID.from_datetime(now)))
        except TransitionRefusedError as error:
            raise TransitionRefusedError(f"{error} ({_describe_move(last_move)})") from error
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
    own = [one for one in collect_lines(rows, inboxes).decisions[name] if one.script_id in scripts]
    stored = read_wanted(reader, PRODUCTION_EVENTS, "script_id", scripts)
    production = Production(fold_events(stored), stored, NO_TOPICS)
    found = Found(rules=workspace_rules(slice_.workspace), decisions=own)
    return production, production.gather({name: found})[name]


def find_reviews(batch: Batch) -> dict[str, list[Review] | Exception]:
    """The scripts and videos in review, by workspace, or why a workspace could not be examined.

    Each table is read once for the batch. The gates are those of the next run, with two
    differences: video files of the right size are taken for right, unless a run found them
    incomplete, and an upload is not examined.
    """
    inputs = ProductionInputs(batch, is_preview=True)
    made = Decisions(inputs, list(PROMOTIONS.values()))
    evidence = made.gather_with_copies((SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW))
    found: dict[str, list[Review] | Exception] = dict(made.failed)
    for workspace_id, one in evidence.items():
        found[workspace_id] = list_reviews(one, now=inputs.now)
    return found


@dataclass(frozen=True)
class Background:
    """What a person should know about a script in review. Texts are untrusted input.

    Attributes:
        review: The script or video, with its gates.
        stories: The last ranking of the stories about the script's topic: columns ``day``,
            ``position``, ``final_score``, ``title``, ``members``, ``total_engagement``.
        files: The files of the video in review: name and size in bytes.
        events: All its events: columns as in ``production_events``.
        ignored: The decisions about it in the approvals file that have no effect, in order.
    """

    review: Review
    stories: pl.DataFrame
    files: Sequence[tuple[str, int]]
    events: pl.DataFrame
    ignored: Sequence[IgnoredDecision]


def show_review(platform: Platform, workspace_id: str, script_id: str) -> Background:
    """A script or video in review, and what a person should know to decide about it.

    Raises:
        ConfigError: There is no such workspace.
        UnknownScriptError: No script of that name is in review.
    """
    run = Run("preview", "cli", "preview")
    slice_ = platform.slice(workspace_id, None, run, writes=False)
    found = find_reviews(Batch(platform, (slice_,), run))[workspace_id]
    if isinstance(found, Exception):
        raise found
    review = next((one for one in found if one.record.script_id == script_id), None)
    if review is None:
        raise UnknownScriptError(
            f"workspace {workspace_id} has no script {script_id!r} in review; `ytap review list -w"
            f" {workspace_id}` lists those that are, `ytap script show {script_id} -w"
            f" {workspace_id}` shows any other"
        )
    reader = platform.lake.reader(workspace_id)
    events = reader.read(PRODUCTION_EVENTS, wanted={"script_id": [script_id]}).sort("seq")
    survey = survey_scripts(platform, workspace_id)
    return Background(
        review=review,
        stories=_find_stories(reader, survey.records.filter(script_id=script_id)),
        files=_list_files(events) if review.is_video else [],
        events=events,
        ignored=[one for one in survey.ignored if one.script_id == script_id],
    )


def _find_stories(reader: Reader, record: pl.DataFrame) -> pl.DataFrame:
    """The last ranking of the stories that contain a script's topic page."""
    names = ["day", "position", "final_score", "title", "members", "total_engagement"]
    pages = canonical_urls(record["topic_url"]).drop_nulls().to_list()
    wanted = {"canonical_url": pages}
    ids = reader.read(TREND_STORIES, columns=["story_id"], wanted=wanted)["story_id"].unique()
    rows = reader.read(
        SCORED_TRENDS, columns=[*names, "story_id"], wanted={"story_id": ids.to_list()}
    )
    last = rows.sort("day").unique("story_id", keep="last", maintain_order=True)
    return last.select(names)


def _list_files(events: pl.DataFrame) -> list[tuple[str, int]]:
    """The files of the last finished video."""
    payloads = events.filter(type="video_completed")["payload"]
    files = json.loads(payloads[-1]).get("files", []) if len(payloads) else []
    return [(str(file["name"]), int(file["size_bytes"])) for file in files]


def _describe_move(move: Mapping[str, Any]) -> str:
    at = move["recorded_at"].isoformat()
    return f"its last change: {move['type']} by {move['actor']} at {at}"
