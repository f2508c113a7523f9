"""Rank a batch's stories."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import polars as pl

from ytap_assets.domain.production.records import TAKEN, TAKEN_COLUMNS, find_taken_topics
from ytap_assets.domain.scoring.final_score import RankingConfig, ScoringWeights, Topic
from ytap_assets.domain.scoring.ranking import (
    BASELINE_COLUMNS,
    BASELINE_DAYS,
    find_regrouped_days,
    rank_stories,
)
from ytap_assets.operations.later_days import Dependence, publish_with_later_days
from ytap_assets.operations.platform import Batch, Results, isolated
from ytap_assets.operations.records import read_changed_events
from ytap_assets.tables import PRODUCTION_RECORDS, SCORED_TRENDS, STORY_ALIASES, TREND_STORIES
from ytap_assets.workspaces import Workspace

_PAGE = ["workspace_id", "canonical_url"]


@isolated
def score(batch: Batch) -> Results:
    """Publish the batch's rows of ``scored_trends``, made from its rows of ``trend_stories``.

    What is usual for a source, and which stories a taken page belonged to, is known from the
    `BASELINE_DAYS` before a day. So the days after the slices are ranked again, as far as they
    change them. Any later day may have been grouped again (`cluster_stories`), also beyond days
    without a list, or with one that stays as it was; so those whose lists hold other stories are
    ranked again too.

    Returns:
        As `publish_with_later_days`, or what was raised (`isolated`).
    """
    topics = _read_topics(batch)

    def rank(part: Batch, stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _keep_first(part, _rank(part, topics), stored)

    return publish_with_later_days(
        batch, Dependence(SCORED_TRENDS, rank, reach=BASELINE_DAYS, also=_find_regrouped(batch))
    )


def _read_topics(batch: Batch) -> pl.DataFrame:
    """The topics that were taken on a day of the batch, or on a later one."""
    reader = batch.reader()
    first = min((day for one in batch.slices for day in one.each_day()), default=batch.now.date())
    events = read_changed_events(reader, datetime.combine(first, time(), UTC))
    records = reader.read(PRODUCTION_RECORDS, columns=TAKEN_COLUMNS, wanted={"state": TAKEN})
    return find_taken_topics(records, events)


def _find_regrouped(batch: Batch) -> dict[str, list[date]]:
    """`find_regrouped_days` after the slices, of every workspace that has some."""
    columns = ["workspace_id", "day", "story_id"]
    regrouped = find_regrouped_days(
        batch.read_later(TREND_STORIES, [*columns, "source"]),
        batch.read_later(SCORED_TRENDS, [*columns, "members", "sources"]),
    )
    found: dict[str, list[date]] = {}
    for name, day in regrouped.iter_rows():
        found.setdefault(name, []).append(day)
    return found


def _rank(part: Batch, topics: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``scored_trends`` of some days, as if each list were the first of its day."""
    return rank_stories(
        part.read(TREND_STORIES),
        part.read(TREND_STORIES, before=BASELINE_DAYS, columns=list(BASELINE_COLUMNS)),
        configs={name: _config(workspace) for name, workspace in part.workspaces.items()},
        taken=_name_stories(part, topics),
    )


def _keep_first(part: Batch, ranked: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The rows with the rank that each story had when its day's list first held it, and when.

    A story that has another id by now keeps its first rank. Of several that became one, the
    earliest counts. Of rows that are older than these columns it stays unknown.
    """
    if stored.is_empty():
        return ranked.with_columns(first_ranked_at=pl.lit(part.now))
    story = ["workspace_id", "day", "story_id"]
    columns = ["workspace_id", "former_story_id", "story_id"]
    aliases = part.read(STORY_ALIASES, columns=columns).rename({"story_id": "is_now"})
    known = (
        stored.join(
            aliases,
            left_on=["workspace_id", "story_id"],
            right_on=["workspace_id", "former_story_id"],
            how="left",
        )
        .select(
            "workspace_id",
            "day",
            pl.coalesce("is_now", "story_id").alias("story_id"),
            was_at="first_ranked_at",
            was="first_position",
            is_known=pl.lit(value=True),
        )
        .sort("was_at", "was")
        .unique(story, keep="first", maintain_order=True)
    )
    rows = ranked.join(known, on=story, how="left", maintain_order="left")
    return rows.with_columns(
        first_position=pl.when("is_known").then("was").otherwise("position"),
        first_ranked_at=pl.when("is_known").then("was_at").otherwise(pl.lit(part.now)),
    )


def _config(workspace: Workspace) -> RankingConfig:
    return RankingConfig(
        Topic(workspace.keywords, workspace.vertical, workspace.language),
        ScoringWeights(**workspace.scoring.weights),
    )


def _name_stories(part: Batch, taken: pl.DataFrame) -> pl.DataFrame:
    """The taken topics, and with each the stories that its page told on the days before.

    A story stays taken for `BASELINE_DAYS` after its page told it, also on days on which only other
    pages tell it; no day is ranked by what it or a later one told.
    """
    pages = taken["canonical_url"].drop_nulls().unique().to_list()
    if not pages:
        return taken.with_columns(story_id=pl.lit(None, pl.String))
    told = part.read(
        TREND_STORIES,
        before=BASELINE_DAYS,
        columns=[*_PAGE, "story_id", "day"],
        wanted={"canonical_url": pages},
    ).unique()
    named = taken.join(told, on=_PAGE).with_columns(
        pl.max_horizontal("first_day", pl.col("day").dt.offset_by("1d")).alias("first_day"),
        pl.min_horizontal("last_day", pl.col("day").dt.offset_by(f"{BASELINE_DAYS}d")).alias(
            "last_day"
        ),
    )
    return pl.concat([taken, named.drop("day")], how="diagonal")
