"""Rank a slice's stories."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from ytap_assets.domain.production.moves import find_taken_topics
from ytap_assets.domain.scoring.final_score import RankingConfig, ScoringWeights, Topic
from ytap_assets.domain.scoring.ranking import (
    BASELINE_COLUMNS,
    BASELINE_DAYS,
    find_regrouped_days,
    rank_stories,
)
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.later_days import publish_with_later_days
from ytap_assets.operations.platform import Slice, Written
from ytap_assets.tables import PRODUCTION_EVENTS, SCORED_TRENDS, STORY_ALIASES, TREND_STORIES
from ytap_assets.workspaces import Workspace


def score_slice(slice_: Slice) -> Written:
    """Publish the slice's rows of ``scored_trends``, made from its rows of ``trend_stories``.

    What is usual for a source, and which stories a taken page belonged to, is known from the
    `BASELINE_DAYS` before a day. So the days after the slice are ranked again, as far as it changes
    them. Any later day may have been grouped again (`tell_stories`), also beyond days without a
    list, or with one that stays as it was; so those whose lists hold other stories are ranked again
    too.

    Raises:
        PublishRefusedError: A check failed; nothing was written.
        CatalogBusyError: Another run kept changing the days around; nothing was written.
    """
    topics = find_taken_topics(slice_.read(PRODUCTION_EVENTS))

    def rank(days: Days, stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _keep_first(slice_, _rank(slice_, days, topics), stored)

    regrouped = find_regrouped_days(
        slice_.read_later(TREND_STORIES, ["workspace_id", "day", "story_id", "source"]),
        slice_.read_later(SCORED_TRENDS, ["workspace_id", "day", "story_id", "members", "sources"]),
    )["day"]
    return publish_with_later_days(slice_, SCORED_TRENDS, rank, reach=BASELINE_DAYS, also=regrouped)


def _rank(slice_: Slice, days: Days, topics: pl.DataFrame) -> pl.DataFrame:
    workspace = slice_.workspace
    members = slice_.read(TREND_STORIES, days=days)
    before: Days = (days[0] - timedelta(days=BASELINE_DAYS), days[0] - timedelta(days=1))
    past = slice_.read(TREND_STORIES, days=before, columns=list(BASELINE_COLUMNS))
    return rank_stories(
        members,
        pl.concat([past, members.select(BASELINE_COLUMNS)]),
        configs={workspace.workspace_id: _config(workspace)},
        taken=_name_stories(slice_, (before[0], days[1]), topics).with_columns(
            workspace_id=pl.lit(workspace.workspace_id)
        ),
    )


def _keep_first(slice_: Slice, ranked: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The rows with the rank that each story had when its day's list first held it, and when.

    A story that has another id by now keeps its first rank. Of several that became one, the
    earliest counts. Of rows that are older than these columns it stays unknown.
    """
    if stored.is_empty():
        return ranked.with_columns(first_ranked_at=pl.lit(slice_.now))
    aliases = slice_.read(STORY_ALIASES, columns=["former_story_id", "story_id"])
    known = (
        stored.select(
            "day",
            pl.col("story_id").replace(dict(aliases.rows())),
            was_at="first_ranked_at",
            was="first_position",
            is_known=pl.lit(value=True),
        )
        .sort("was_at", "was")
        .unique(["day", "story_id"], keep="first", maintain_order=True)
    )
    rows = ranked.join(known, on=["day", "story_id"], how="left", maintain_order="left")
    return rows.with_columns(
        first_position=pl.when("is_known").then("was").otherwise("position"),
        first_ranked_at=pl.when("is_known").then("was_at").otherwise(pl.lit(slice_.now)),
    )


def _config(workspace: Workspace) -> RankingConfig:
    return RankingConfig(
        Topic(workspace.keywords, workspace.vertical, workspace.language),
        ScoringWeights(**workspace.scoring.weights),
    )


def _name_stories(slice_: Slice, past: Days, taken: pl.DataFrame) -> pl.DataFrame:
    """The taken topics, and with each the stories that its page told on the days before.

    A story stays taken for `BASELINE_DAYS` after its page told it, also on days on which only other
    pages tell it; no day is ranked by what it or a later one told.
    """
    pages = taken["canonical_url"].drop_nulls().unique().to_list()
    if not pages:
        return taken.with_columns(story_id=pl.lit(None, pl.String))
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    told = reader.read(
        TREND_STORIES,
        days=past,
        columns=["canonical_url", "story_id", "day"],
        wanted={"canonical_url": pages},
    ).unique()
    named = taken.join(told, on="canonical_url").with_columns(
        pl.max_horizontal("first_day", pl.col("day").dt.offset_by("1d")).alias("first_day"),
        pl.min_horizontal("last_day", pl.col("day").dt.offset_by(f"{BASELINE_DAYS}d")).alias(
            "last_day"
        ),
    )
    return pl.concat([taken, named.drop("day")], how="diagonal")
