"""Measure a slice's items and recognize the stories they tell."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from ytap_assets.domain.items import score_items
from ytap_assets.domain.stories import StoryOptions, group_stories
from ytap_assets.operations.platform import Slice
from ytap_assets.operations.spam import spam_model, spam_rules
from ytap_assets.tables import RAW_TRENDS, TREND_STORIES

_KNOWN = ["day", "source", "item_id", "story_id", "title", "canonical_url"]
_ITEM = ["day", "source", "item_id"]


def tell_stories(slice_: Slice) -> pl.DataFrame:
    """The slice's rows of ``trend_stories``.

    What the days around it, and its own former version, called a story goes on being called so.
    """
    workspace = slice_.workspace
    items = score_items(
        slice_.read(RAW_TRENDS),
        source_weights=workspace.scoring.source_weights,
        views_per_engagement=workspace.scoring.views_per_engagement,
        spam_rules=spam_rules(workspace),
        spam_model=spam_model(slice_.platform.settings, workspace),
    )
    options = StoryOptions()
    told = group_stories(items, _read_known(slice_, options.window_days), options=options)
    rows = items.join(told, on=_ITEM, how="left", maintain_order="left")
    return rows.select(TREND_STORIES.schema.names())


def _read_known(slice_: Slice, window_days: int) -> pl.DataFrame:
    first, last = slice_.days or (slice_.now.date(), slice_.now.date())
    around = (first - timedelta(days=window_days), last + timedelta(days=window_days))
    return slice_.read(TREND_STORIES, days=around, columns=_KNOWN)
