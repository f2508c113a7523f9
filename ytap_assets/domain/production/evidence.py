"""Everything a decision may look at, gathered before it is taken.

Belongs here: what that is. Does not belong here: gathering it (`operations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import polars as pl

from ytap_assets.domain.production.acts import Act, Standing, trace_acts
from ytap_assets.domain.production.copies import Copies
from ytap_assets.domain.production.fold import fold_events
from ytap_assets.domain.production.inbox import Submission
from ytap_assets.domain.production.manifest import VideoFolder
from ytap_assets.domain.production.records import Dossier, read_dossiers
from ytap_assets.domain.production.states import IN_PRODUCTION
from ytap_assets.domain.production.uploads import Upload

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
class Evidence:
    """One workspace's production as it stands, and what was found beside it.

    Attributes:
        workspace_id: The workspace.
        rules: Its rules.
        records: Its rows of `production_records`, folded from its whole log.
        dossiers: What the log says beyond the records, per script.
        submissions: The scripts in its inbox.
        acts: The decisions in its approvals file, in order: about scripts in production, and about
            scripts there is no record of.
        standings: What the log says of each of them.
        acts_problem: Why its approvals file cannot be read; None where it can.
        folders: Its video folders that hold a manifest, per script.
        uploads: Its upload log, in order.
        seen_videos: When the videos seen in its own channels' feeds were published, per video id.
        copies: The scripts of other workspaces that had the same content before, per script.
    """

    workspace_id: str
    rules: Rules
    records: pl.DataFrame
    dossiers: Mapping[str, Dossier] = field(default_factory=dict)
    submissions: Sequence[Submission] = ()
    acts: Sequence[Act] = ()
    standings: Mapping[Act, Standing] = field(default_factory=dict)
    acts_problem: str | None = None
    folders: Mapping[str, VideoFolder] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    seen_videos: Mapping[str, datetime] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        """The number of the last event that is in it; 0 where there is none."""
        return int(self.records["last_seq"].max() or 0)  # type: ignore[arg-type]


def gather_evidence(
    workspace_id: str,
    rules: Rules,
    events: pl.DataFrame,
    *,
    submissions: Sequence[Submission] = (),
    acts: Sequence[Act] = (),
    acts_problem: str | None = None,
    folders: Mapping[str, VideoFolder] | None = None,
    uploads: Sequence[Upload] = (),
    seen_videos: Mapping[str, datetime] | None = None,
) -> Evidence:
    """The evidence there is, with records and dossiers from the workspace's log.

    Args:
        workspace_id: The workspace.
        rules: Its rules.
        events: All its rows of `production_events`, in any order.
        submissions: See `Evidence`; so are the rest.
        acts: What people wrote into its approvals file, in order.
        acts_problem: See `Evidence`.
        folders: See `Evidence`; only scripts in ``ready_for_generation`` and
            ``video_pending_review`` are looked up.
        uploads: See `Evidence`.
        seen_videos: See `Evidence`.
    """
    own = events.filter(pl.col("workspace_id") == workspace_id)
    records = fold_events(own)
    moving = set(records.filter(pl.col("state").is_in(IN_PRODUCTION))["script_id"])
    closed = set(records["script_id"]) - moving
    open_acts = [act for act in acts if act.script_id not in closed]
    return Evidence(
        workspace_id=workspace_id,
        rules=rules,
        records=records,
        dossiers=read_dossiers(own, moving),
        submissions=submissions,
        acts=open_acts,
        standings=trace_acts(workspace_id, open_acts, own),
        acts_problem=acts_problem,
        folders=folders or {},
        uploads=uploads,
        seen_videos=seen_videos or {},
    )
