"""The product's own way from observations to final scores, each item a story of its own.

Spam rules are off: the histories hold no titles of use, and a floor of 100 votes would hide what
is to be foretold.
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
    """The items of some rows of `raw_trends`, measured, with their base scores."""
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


# What a user would pick instead, each from a row's points or views, comments and age.
RIVALS = {
    "raw count": pl.coalesce("points", "views").cast(pl.Float64),
    "base score": pl.col("base_score"),
    "engagement per hour": pl.col("engagement") / (pl.col("hours_old") + 0.25),
    "count / (hours + 2)^1.8": pl.coalesce("points", "views") / (pl.col("hours_old") + 2).pow(1.8),
}
OURS = "final score"
