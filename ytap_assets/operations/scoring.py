"""Score a slice's trends."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.scoring import score_trends
from ytap_assets.domain.spam import Minimum, SpamRules
from ytap_assets.operations.platform import Slice
from ytap_assets.tables import RAW_TRENDS
from ytap_assets.workspaces import Workspace


def score_slice(slice_: Slice) -> pl.DataFrame:
    """The slice's rows of ``scored_trends``, made from its rows of ``raw_trends``."""
    workspace = slice_.workspace
    return score_trends(
        slice_.read(RAW_TRENDS),
        source_weights=workspace.scoring.source_weights,
        views_per_engagement=workspace.scoring.views_per_engagement,
        spam_rules=spam_rules(workspace),
    )


def spam_rules(workspace: Workspace) -> SpamRules:
    """The spam rules with what the workspace's config adds to them."""
    sources, spam = workspace.sources, workspace.spam
    return SpamRules().extended(
        minimums={
            "reddit": Minimum("points", sources.reddit.min_score),
            "hn": Minimum("points", sources.hn.min_points),
            "youtube": Minimum("views", sources.youtube.min_views),
        },
        blocklist=spam.blocklist,
        allowlist=spam.allowlist,
        link_farms=spam.link_farms,
    )
