"""Score a slice's trends."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.scoring import score_trends
from ytap_assets.operations.platform import Slice
from ytap_assets.operations.spam import spam_model, spam_rules
from ytap_assets.tables import RAW_TRENDS


def score_slice(slice_: Slice) -> pl.DataFrame:
    """The slice's rows of ``scored_trends``, made from its rows of ``raw_trends``."""
    workspace = slice_.workspace
    return score_trends(
        slice_.read(RAW_TRENDS),
        source_weights=workspace.scoring.source_weights,
        views_per_engagement=workspace.scoring.views_per_engagement,
        spam_rules=spam_rules(workspace),
        spam_model=spam_model(slice_.platform.settings, workspace),
    )
