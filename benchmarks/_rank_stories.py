"""From observations to final scores with the product's functions, each item as its own story.

Spam rules are disabled: the histories have no usable titles, and a minimum of 100 votes would hide
the posts whose growth is to be predicted.
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.scoring.final_score import score_stories
from ytap_assets.domain.scoring.items import (
    add_base_scores,
    latest_observations,
    measure_gains,
    measure_items,
    merge_observations,
)


def measure(rows: pl.DataFrame) -> pl.DataFrame:
    """The measured items of rows of `raw_trends`, with their base scores."""
    seen = merge_observations(rows)
    items = latest_observations(seen).with_columns(is_spam=pl.lit(value=False))
    return measure_items(add_base_scores(items), measure_gains(seen))


def rank(items: pl.DataFrame, baselines: pl.DataFrame) -> pl.DataFrame:
    """``items`` with their ``final_score``."""
    members = items.with_columns(
        story_id=pl.format("{}:{}", "source", "item_id"), canonical_url=pl.col("url")
    )
    scores = score_stories(members, baselines).select(
        "workspace_id", "day", "story_id", "final_score"
    )
    keys = ["workspace_id", "day", "story_id"]
    return members.join(scores, on=keys, how="left", maintain_order="left")


# Simple formulas to compare with, each of a row's points or views, comments and age.
RIVALS = {
    "raw count": pl.coalesce("points", "views").cast(pl.Float64),
    "base score": pl.col("base_score"),
    "engagement per hour": pl.col("engagement") / (pl.col("hours_old") + 0.25),
    "count / (hours + 2)^1.8": pl.coalesce("points", "views") / (pl.col("hours_old") + 2).pow(1.8),
}
OURS = "final score"
