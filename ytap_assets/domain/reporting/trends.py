"""A day's trends: how many stories, how many of them spam, and which was the best."""

from __future__ import annotations

import polars as pl


def count_stories(scored: pl.DataFrame) -> pl.DataFrame:
    """Stories and spam per day: ``day``, ``stories``, ``stories_spam``."""
    return scored.group_by("day").agg(
        pl.len().alias("stories"), pl.col("is_spam").sum().alias("stories_spam")
    )


def pick_top_story(scored: pl.DataFrame) -> pl.DataFrame:
    """The day's best story that no spam rule caught: ``day``, ``top_title``, ``top_score``."""
    best = pl.col("position").arg_min()
    return (
        scored.filter(~pl.col("is_spam"))
        .group_by("day")
        .agg(
            pl.col("title").get(best).alias("top_title"),
            pl.col("final_score").get(best).alias("top_score"),
        )
    )


def pick_top_stories(scored: pl.DataFrame, *, limit: int) -> pl.DataFrame:
    """The best stories of each day that no spam rule caught, the best first."""
    return (
        scored.filter(~pl.col("is_spam"))
        .sort("day", "position")
        .group_by("day", maintain_order=True)
        .head(limit)
    )


def count_by_source(scored: pl.DataFrame, raw: pl.DataFrame) -> pl.DataFrame:
    """What each source brought: ``day``, ``source``, ``observed``, ``stories``, ``spam``.

    A story counts for the source of its best-scoring member.
    """
    observed = raw.group_by("day", "source").agg(pl.len().alias("observed"))
    told = scored.group_by("day", "source").agg(
        pl.len().alias("stories"), pl.col("is_spam").sum().alias("spam")
    )
    counts = pl.col("observed", "stories", "spam")
    return (
        observed.join(told, on=["day", "source"], how="full", coalesce=True)
        .with_columns(counts.fill_null(0).cast(pl.Int64))
        .sort("day", "stories", "source", descending=[False, True, False])
    )


def count_spam_rules(scored: pl.DataFrame) -> pl.DataFrame:
    """Stories each spam rule caught: ``day``, ``rule``, ``stories``; a story may be in several.

    A reason may go on after a colon; the rule is what stands before it.
    """
    return (
        scored.filter("is_spam")
        .select("day", "story_id", pl.col("spam_reasons").alias("rule"))
        .explode("rule", empty_as_null=False, keep_nulls=False)
        .with_columns(pl.col("rule").str.splitn(":", 2).struct.field("field_0").alias("rule"))
        .group_by("day", "rule")
        .agg(pl.col("story_id").n_unique().cast(pl.Int64).alias("stories"))
        .sort("day", "stories", "rule", descending=[False, True, False])
    )
