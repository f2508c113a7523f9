"""Everything that is measured of an item before it is known which story it tells.

Belongs here: joining spam, the base score, the page and momentum's measures. Does not belong here:
any of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ytap_assets.domain.momentum import measure_gains, measure_items
from ytap_assets.domain.scoring import (
    VIEWS_PER_ENGAGEMENT,
    add_base_scores,
    latest_observations,
    merge_observations,
)
from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.urls import canonical_urls

_ITEM = ("workspace_id", "day", "source", "item_id")


def score_items(
    trends: pl.DataFrame,
    *,
    source_weights: Mapping[str, float] | None = None,
    views_per_engagement: float = VIEWS_PER_ENGAGEMENT,
    spam_rules: SpamRules | None = None,
    spam_model: SpamModel | None = None,
) -> pl.DataFrame:
    """Measure and score the items of each workspace and day.

    Of every item's observations (`merge_observations`) one counts (`latest_observations`).

    Args:
        trends: Rows of `raw_trends`, unique by its key, of any days and workspaces, in any order.
        source_weights: Weights by source, over `SOURCE_WEIGHTS`.
        views_per_engagement: How many views are worth one like.
        spam_rules: The workspace's rules; the general ones by default.
        spam_model: The workspace's learned model, where it has one.

    Returns:
        One row per workspace, day, source and item, in this order: the columns of `trend_stories`
        but for those that say which story it tells.
    """
    observations = merge_observations(trends)
    items = latest_observations(observations)
    items = find_spam(items, spam_rules or SpamRules(), spam_model)
    items = add_base_scores(
        items, source_weights=source_weights, views_per_engagement=views_per_engagement
    )
    items = items.with_columns(_canonical_urls(items))
    return measure_items(items, measure_gains(observations)).sort(_ITEM)


def _canonical_urls(items: pl.DataFrame) -> pl.Series:
    """The canonical URL of each item's page, of its discussion where that names none, or a key."""
    keys = items.select(pl.format("{}:{}", "source", "item_id")).to_series()
    discussions = canonical_urls(items.get_column("discussion_url")).fill_null(keys)
    return canonical_urls(items.get_column("url")).fill_null(discussions).alias("canonical_url")
