"""Two titles: do they tell the same story?

Belongs here: the rule of `clustering` for two single titles, as one number. Does not belong here:
grouping many.
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.stories.clustering import Rules, proof_needed
from ytap_assets.domain.stories.serials import find_conflicts, read_marks
from ytap_assets.domain.stories.terms import SCALE, read_words, weigh_terms


def score_pairs(left: pl.Series, right: pl.Series, rules: Rules | None = None) -> pl.Series:
    """How surely the titles of each pair tell the same story: 1 and above is yes.

    The smaller of likeness / needed likeness and evidence / needed evidence; 0 for parts of one
    series.

    Args:
        left: Titles.
        right: As many titles.
        rules: When titles are the same story.

    Returns:
        One Float64 per pair.
    """
    rules = rules or Rules()
    titles = pl.concat([left, right]).unique().sort().alias("title").to_frame()
    titles = titles.with_row_index("title_no")
    words = read_words(titles)
    terms = weigh_terms(words).with_columns(pl.col("weight").cast(pl.Int64))
    number = dict(titles.select("title", "title_no").rows())
    pairs = pl.DataFrame(
        {
            "group": left.replace_strict(number, return_dtype=pl.UInt32),
            "other": right.replace_strict(number, return_dtype=pl.UInt32),
        }
    )
    mine = terms.rename({"title_no": "group"})
    theirs = terms.select(pl.col("title_no").alias("other"), "term", "weight")
    sums = (
        pairs.unique()
        .join(mine, on="group")
        .join(theirs, on=["other", "term"], suffix="_b")
        .group_by("group", "other")
        .agg(
            likeness=(pl.col("weight") * pl.col("weight_b")).sum() / SCALE**2,
            evidence=pl.col("evidence").sum() / 100,
        )
    )
    likeness, one = pl.col("likeness"), pl.lit(1.0)
    score = pl.min_horizontal(
        likeness / (rules.similarity + rules.similarity_of_two),
        pl.col("evidence") / proof_needed(rules, likeness, one),
    )
    conflicts = find_conflicts(pairs, read_marks(words).rename({"title_no": "group"}))
    sums = sums.with_columns(score=score).join(conflicts, on=["group", "other"], how="anti")
    scored = pairs.join(sums, on=["group", "other"], how="left", maintain_order="left")
    return scored.get_column("score").fill_null(0.0)
