"""Rank a slice's stories."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from ytap_assets.domain.production.moves import find_taken_topics
from ytap_assets.domain.ranking import NORM_COLUMNS, NORM_DAYS, rank_stories
from ytap_assets.domain.relevance import Topic
from ytap_assets.domain.scoring_weights import ScoringWeights
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.platform import Slice
from ytap_assets.tables import PRODUCTION_EVENTS, TREND_STORIES
from ytap_assets.workspaces import Workspace


def score_slice(slice_: Slice) -> pl.DataFrame:
    """The slice's rows of ``scored_trends``, made from its rows of ``trend_stories``."""
    workspace = slice_.workspace
    first, last = slice_.days or (slice_.now.date(), slice_.now.date())
    past: Days = (first - timedelta(days=NORM_DAYS), last)
    return rank_stories(
        slice_.read(TREND_STORIES),
        slice_.read(TREND_STORIES, days=past, columns=list(NORM_COLUMNS)),
        topic=_topic(workspace),
        weights=ScoringWeights(**workspace.scoring.weights),
        taken=_name_stories(slice_, find_taken_topics(slice_.read(PRODUCTION_EVENTS))),
    )


def _topic(workspace: Workspace) -> Topic:
    return Topic(workspace.keywords, workspace.vertical, workspace.language)


def _name_stories(slice_: Slice, taken: pl.DataFrame) -> pl.DataFrame:
    """The taken topics, and with each every story that told its page, from the day after it did.

    So a story stays taken on days on which other pages tell it, and no day is ranked by what a
    later one told.
    """
    pages = taken["canonical_url"].drop_nulls().unique().to_list()
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    told = reader.read(
        TREND_STORIES, columns=["canonical_url", "story_id", "day"], wanted={"canonical_url": pages}
    )
    since = told.group_by("canonical_url", "story_id").agg(pl.col("day").min())
    named = taken.join(since, on="canonical_url").with_columns(
        pl.max_horizontal("first_day", pl.col("day").dt.offset_by("1d")).alias("first_day")
    )
    return pl.concat([taken, named.drop("day")], how="diagonal")
