"""Production: promote scripts on evidence, let people act on them, fold the log.

Deciding is repeated under the write lock's protection: an event is appended only if its script is
still in the state the event found, so of two that decide at once one wins and the other is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl
from ulid import ULID

from ytap_assets.domain.production.acts import Act
from ytap_assets.domain.production.admission import Admission, admit_frame, current_states
from ytap_assets.domain.production.cases import open_cases
from ytap_assets.domain.production.copies import (
    CONTENT_COLUMNS,
    CONTENT_TYPES,
    Claims,
    Copies,
    Original,
    claim_content,
    fill_content_ids,
    find_copies,
)
from ytap_assets.domain.production.decide import is_held_as_copy
from ytap_assets.domain.production.events import Event, events_to_frame
from ytap_assets.domain.production.evidence import Evidence, Rules, gather_evidence
from ytap_assets.domain.production.fold import fold_events
from ytap_assets.domain.production.promotions import PROMOTIONS, Promotion
from ytap_assets.domain.production.states import CANCELLED, REJECTED
from ytap_assets.domain.production.videos import videos_from_records
from ytap_assets.errors import ConfigError, UnknownScriptError
from ytap_assets.lakehouse.checks import CheckResult, Scope, check_rows
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.bad_lines import store_bad_lines
from ytap_assets.operations.idle_acts import list_idle_acts
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    SCRIPTS,
    UPLOADS,
    InboxFile,
    find_folders,
    find_foreign_uploads,
    fingerprint,
    read_inbox,
    read_inboxes,
)
from ytap_assets.operations.platform import Platform, Slice, Written
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, RAW_TRENDS
from ytap_assets.tables.production import STATES
from ytap_assets.workspaces import Workspace

ALL_PROMOTIONS = "all"
_MAX_ROUNDS = 20
_MICROS = 1_000_000
_SHOWN_ACTS = 5
_PROMOTED = tuple(state for state in STATES if state not in (REJECTED, CANCELLED))
_NOTES = ("decision_received", "gates_evaluated")


@dataclass(frozen=True)
class _Decision:
    """What a promotion decided, and on what.

    Attributes:
        events: What it would append.
        copies: The copies in other workspaces that it took into account.
        last_seq: The last event of the workspace that it knew.
    """

    events: list[Event]
    copies: Copies
    last_seq: int


def advance(slice_: Slice, promotion: str) -> Written:
    """Promote a workspace's scripts as far as evidence and gates allow.

    Args:
        slice_: The workspace.
        promotion: One of `PROMOTIONS`, or ``all``, which goes on until nothing moves.

    Raises:
        ConfigError: There is no such promotion.
    """
    chosen = _choose(promotion)
    appended: list[pl.DataFrame] = [PRODUCTION_EVENTS.empty()]
    # Where nothing moves, what was written is no row at all, and that passes too.
    results = check_rows(PRODUCTION_EVENTS, appended[0], slice_.scope).results
    snapshot_id = slice_.platform.lake.snapshot_id()
    refused = 0
    for _ in range(_MAX_ROUNDS):
        moved = False
        for one in chosen:
            decision = _decide(slice_, one)
            if not decision.events:
                continue
            rows, results, snapshot_id, admission = _append(slice_, decision)
            appended.append(rows)
            refused += len(admission.refused)
            # What another workspace took meanwhile is decided again, as a copy.
            moved = moved or bool(admission.admitted)
        if not moved:
            break
    frame = pl.concat(appended)
    notes = {"events_refused": refused, **_examine_inboxes(slice_)}
    return Written(frame.height, snapshot_id, results, frame, notes)


def _examine_inboxes(slice_: Slice) -> dict[str, Any]:
    """Put bad lines into quarantine, and note what else in the inbox files has no effect."""
    files = _inbox_files(slice_)
    idle = list_idle_acts(slice_.platform, slice_.workspace_id, files)
    problems = [problem for file in files.values() for problem in file.find_problems()]
    problems += find_foreign_uploads(files, slice_.workspace)
    lines = [text for file in files.values() for text in file.describe_lines()]
    notes: dict[str, Any] = {
        "bad_lines": store_bad_lines(slice_, files),
        "ignored_decisions": sum(not act.waits for act in idle),
        "waiting_decisions": sum(act.waits for act in idle),
    }
    for name, waits in (("ignored_decisions", False), ("waiting_decisions", True)):
        if reasons := [act.text for act in idle if act.waits == waits]:
            notes[f"{name}_reasons"] = reasons[:_SHOWN_ACTS]
    if problems:
        notes["inbox_problems"] = problems
    if lines:
        notes["inbox_lines"] = lines
    return notes


def decide(slice_: Slice, promotion: Promotion) -> list[Event]:
    """What a promotion would append now; appends nothing."""
    return _decide(slice_, promotion).events


def foresee(slice_: Slice, promotion: Promotion) -> list[Event]:
    """What a promotion would probably append: `decide` without the checksums of large files.

    Files of the right size are taken for right, and scripts for those of this workspace alone: the
    run that is asked for looks closer. Only where a run found a video wanting, or a script to be a
    copy, is that looked at here too, so that it is not asked for again and again.
    """
    return _decide(slice_, promotion, closely=False).events


def list_due(platform: Platform, workspace_id: str) -> dict[str, list[str]]:
    """What the next run would take in or promote: the scripts, by promotion.

    Raises:
        ConfigError: There is no such workspace.
    """
    slice_ = platform.slice(workspace_id, None, Run("look", "cli", "look"), writes=False)
    if slice_.workspace.status == "archived":
        return {}
    due = {
        name: [event.script_id for event in foresee(slice_, one) if event.type not in _NOTES]
        for name, one in PROMOTIONS.items()
    }
    return {name: list(dict.fromkeys(scripts)) for name, scripts in due.items() if scripts}


def production_mark(platform: Platform, workspace_id: str, last_seq: int) -> str:
    """Changes with the log, the inbox files, the manifests and the config.

    Not with all that a promotion looks at: the channels' feeds, the clock and the video files are
    not in it.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        last_seq: The number of its last event; 0 where it has none.
    """
    return f"{last_seq} {fingerprint(platform.workspaces.folder(workspace_id))}"


def fold_records(slice_: Slice) -> pl.DataFrame:
    """The workspace's rows of ``production_records``."""
    return fold_events(slice_.read(PRODUCTION_EVENTS))


def list_videos(slice_: Slice) -> pl.DataFrame:
    """The workspace's rows of ``videos``."""
    return videos_from_records(slice_.read(PRODUCTION_RECORDS))


def list_records(platform: Platform, workspace_id: str, state: str | None = None) -> pl.DataFrame:
    """A workspace's records as its log stands now, optionally of one state.

    Columns as in ``production_records``.
    """
    platform.workspace(workspace_id)
    records = fold_events(platform.lake.reader(workspace_id).read(PRODUCTION_EVENTS))
    return records if state is None else records.filter(pl.col("state") == state)


def act_on_script(
    platform: Platform,
    workspace_id: str,
    script_id: str,
    act: str,
    *,
    actor: str,
    reason: str | None,
    run: Run,
) -> str:
    """Write down what a person decided about a script.

    Returns:
        The state the script is in afterwards. Promotions follow at the next tick of their sensor.

    Decisions of the approvals file that do not count yet are received before it (`Case.close`).

    Raises:
        ConfigError: There is no such workspace, or it is archived.
        UnknownScriptError: There is no such script.
        TransitionRefusedError: The act is not possible where the script stands.
    """
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    approvals = read_inbox(platform.workspaces.folder(workspace_id), APPROVALS)
    others = [other for other in approvals.parsed.rows if other.script_id == script_id]
    now = platform.now()
    decision = Act(script_id=script_id, act=act, actor=actor, at=now, reason=reason)
    with platform.lake.write(run) as transaction:
        stored = transaction.reader(workspace_id).read(
            PRODUCTION_EVENTS, wanted={"script_id": [script_id]}
        )
        state = current_states(stored).get((workspace_id, script_id))
        if state is None:
            raise UnknownScriptError(f"workspace {workspace_id} has no script {script_id!r}")
        evidence = gather_evidence(workspace_id, Rules(), stored, acts=others)
        [case] = open_cases(evidence, "decide", state, now)
        events = case.decide(decision, str(ULID.from_datetime(now)))
        rows = events_to_frame(events, recorded_at=now)
        transaction.append(check_rows(PRODUCTION_EVENTS, rows, Scope(workspace_id)))
    return events[-1].to_state or state


def _decide(slice_: Slice, promotion: Promotion, *, closely: bool = True) -> _Decision:
    """What a promotion would append.

    Other workspaces are read only for scripts that would be promoted or are held back as copies.
    """
    log = slice_.read(PRODUCTION_EVENTS)
    evidence = _gather(slice_, promotion, log, closely=closely)
    events = promotion.decide(evidence, now=slice_.now)
    asked = _held_as_copies(evidence.records, promotion.from_state or "")
    if closely:
        asked |= {event.script_id for event in events if event.to_state in _PROMOTED}
    claims = claim_content(sorted(asked), log, events)
    copies = _read_copies(slice_.platform.lake.cross_reader(), slice_.workspace_id, claims)
    if copies:
        events = promotion.decide(replace(evidence, copies=copies), now=slice_.now)
    return _Decision(events, copies, evidence.last_seq)


def _held_as_copies(records: pl.DataFrame, state: str) -> set[str]:
    """The scripts in a state whose record says that another workspace has the same."""
    waiting = records.filter(pl.col("state") == state).select("script_id", "failed_gates")
    return {
        script_id
        for script_id, failed_gates in waiting.iter_rows()
        if any(map(is_held_as_copy, failed_gates))
    }


def _read_copies(
    reader: CrossReader, workspace_id: str, claims: Claims, *, with_older: bool = True
) -> dict[str, tuple[Original, ...]]:
    """Look the scripts' content up in all other workspaces: one read for all of them.

    Args:
        reader: Reads across workspaces.
        workspace_id: The scripts' workspace.
        claims: Their content.
        with_older: Also compare with scripts of the same name that were appended before events
            named their content: a second read.
    """
    if not claims:
        return {}
    ids = sorted({claim.content_id for own in claims.values() for claim in own})
    found = reader.read_across(
        PRODUCTION_EVENTS, columns=CONTENT_COLUMNS, wanted={"content_id": ids}
    )
    is_other = pl.col("workspace_id") != workspace_id
    if with_older:
        named_alike = reader.read_across(
            PRODUCTION_EVENTS,
            columns=[*CONTENT_COLUMNS, "payload"],
            wanted={"script_id": sorted(claims), "type": CONTENT_TYPES},
        )
        older = named_alike.filter(is_other & pl.col("content_id").is_null())
        found = pl.concat([found, fill_content_ids(older)])
    found = found.filter(is_other & pl.col("content_id").is_in(ids))
    if found.is_empty():
        return {}
    moves = reader.read_across(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id", "seq", "to_state"],
        wanted={name: found[name].unique().to_list() for name in ("workspace_id", "script_id")},
    )
    return find_copies(claims, found, current_states(moves))


def _append(
    slice_: Slice, decision: _Decision
) -> tuple[pl.DataFrame, tuple[CheckResult, ...], int, Admission]:
    """Append what is admitted, in one commit.

    Scripts whose content another workspace appended since it was decided are left out.
    """
    events, copies = decision.events, decision.copies
    claims = claim_content({event.script_id for event in events}, PRODUCTION_EVENTS.empty(), events)
    new = events_to_frame(events, recorded_at=slice_.now)
    scripts = new.get_column("script_id").unique().to_list()
    with slice_.platform.lake.write(slice_.run) as transaction:
        stored = transaction.reader(slice_.workspace_id).read(
            PRODUCTION_EVENTS, wanted={"script_id": scripts}
        )
        rows, admission = admit_frame(new, stored, decided_at=decision.last_seq)
        now_copies = _read_copies(
            transaction.cross_reader(), slice_.workspace_id, claims, with_older=False
        )
        late = [name for name, found in now_copies.items() if set(found) - {*copies.get(name, ())}]
        rows = rows.filter(~pl.col("script_id").is_in(late))
        checked = check_rows(PRODUCTION_EVENTS, rows, slice_.scope)
        accepted = transaction.append(checked).accepted
    return accepted, checked.results, transaction.snapshot_id or 0, admission


def _gather(slice_: Slice, promotion: Promotion, log: pl.DataFrame, *, closely: bool) -> Evidence:
    """Everything in the workspace that the promotion may look at.

    Args:
        slice_: The workspace.
        promotion: The promotion.
        log: The workspace's events.
        closely: Whether all videos' checksums are.
    """
    files = _inbox_files(slice_)
    evidence = gather_evidence(
        slice_.workspace_id,
        workspace_rules(slice_.workspace),
        log,
        submissions=files[SCRIPTS].parsed.rows,
        acts=files[APPROVALS].parsed.rows,
        acts_problem=files[APPROVALS].problem,
        uploads=files[UPLOADS].parsed.rows,
        seen_videos=_seen_videos(slice_) if "seen_videos" in promotion.reads else {},
    )
    if "folders" not in promotion.reads:
        return evidence
    waiting = evidence.records.filter(pl.col("state") == promotion.from_state)
    hashed = {
        script_id: closely or any(gate.startswith("manifest") for gate in failed_gates)
        for script_id, failed_gates in waiting.select("script_id", "failed_gates").iter_rows()
    }
    folder = slice_.platform.workspaces.folder(slice_.workspace_id)
    return replace(evidence, folders=find_folders(folder, hashed))


def workspace_rules(workspace: Workspace) -> Rules:
    """What the workspace's config says about its production."""
    return Rules(
        script_approval=workspace.approval.scripts,
        video_approval=workspace.approval.videos,
        budget_usd_micros=round(workspace.budget.per_video_usd * _MICROS),
        banned_topics=workspace.brand.banned_topics,
    )


def _inbox_files(slice_: Slice) -> dict[str, InboxFile]:
    return read_inboxes(slice_.platform.workspaces.folder(slice_.workspace_id))


def _seen_videos(slice_: Slice) -> dict[str, datetime]:
    """When the videos seen in the workspace's own channels were published."""
    own = [channel.id for channel in slice_.workspace.channels]
    seen = slice_.platform.lake.reader(slice_.workspace_id).read(
        RAW_TRENDS,
        columns=["item_id", "published_at"],
        wanted={"source": ["youtube_channel"], "channel_id": own},
    )
    published = seen.drop_nulls().group_by("item_id").agg(pl.col("published_at").min())
    return dict(published.iter_rows())


def _choose(promotion: str) -> list[Promotion]:
    if promotion == ALL_PROMOTIONS:
        return list(PROMOTIONS.values())
    if promotion not in PROMOTIONS:
        known = ", ".join([*PROMOTIONS, ALL_PROMOTIONS])
        raise ConfigError(f"promotion {promotion!r} does not exist; there are {known}")
    return [PROMOTIONS[promotion]]
