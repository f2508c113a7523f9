"""How a day's stories rank: `scored_trends` from `trend_stories` (SPEC 2).

Belongs here: joining what the factors say (`final_score`), why (`explain`) and the member that
speaks for a story. Does not belong here: any factor.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ytap_assets.domain.explain import explain_stories
from ytap_assets.domain.final_score import RankingConfig, score_stories
from ytap_assets.domain.norms import FOR_DAY, is_declared, measure_norms
from ytap_assets.tables import SCORED_TRENDS

NORM_DAYS = 28
"""What is usual for a source is measured on so many days before the one that is ranked."""
NORM_COLUMNS = ("workspace_id", "day", "source", "momentum_basis", "expected_engagement", "pace")

_DAY = ("workspace_id", "day")
_STORY = (*_DAY, "story_id")
# Of members with the same score the one with more engagement speaks for the story; the source and
# the id make the order the same whatever the order of rows.
_BEST_FIRST = ("is_spam", "base_score", "engagement", "source", "item_id")
_DESCENDING = (False, True, True, False, False)


def rank_stories(
    members: pl.DataFrame,
    past: pl.DataFrame,
    *,
    configs: Mapping[str, RankingConfig] | None = None,
    learned: pl.DataFrame | None = None,
    taken: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rank the stories of each workspace and day.

    Every day is ranked with what was known when it began: the norms of the days before it, the
    topics that were taken. A source without a declared norm has no other scale than its own items,
    so those of the day count for it as well.

    Args:
        members: Rows of `trend_stories` of the days that are ranked.
        past: `NORM_COLUMNS` of `trend_stories` of the `NORM_DAYS` before each of them.
        configs: By workspace; the defaults where a workspace has none.
        learned: Weights as known then; see `score_stories`.
        taken: What was produced already, and on which days: `score_stories`' ``produced``.

    Returns:
        Rows of `scored_trends`, ordered by workspace, day and position, as if each list were the
        first of its day; when that is (``first_ranked_at``) is null.
    """
    ranked = [SCORED_TRENDS.empty()]
    # A sum of floats depends on their order, and rows come in the order in which files hold them.
    members = members.sort(*_DAY, "source", "item_id")
    days = members["day"].unique().sort()
    for start in range(0, days.len(), NORM_DAYS):
        some = days.slice(start, NORM_DAYS)
        theirs = members.filter(pl.col("day").is_in(some.implode()))
        scored = score_stories(
            theirs,
            measure_norms(pl.concat([_past_of(past, some), _without_norm(theirs)])),
            configs=configs,
            learned=learned,
            produced=taken,
        )
        ranked.append(_complete(explain_stories(scored), theirs))
    return pl.concat(ranked).sort(*_DAY, "position")


def find_regrouped_days(members: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """The days whose list does not hold the day's stories with as many members and sources.

    Args:
        members: ``workspace_id``, ``day``, ``story_id`` and ``source`` of rows of `trend_stories`.
        scored: ``workspace_id``, ``day``, ``story_id``, ``members`` and ``sources`` of rows of
            `scored_trends`.

    Returns:
        ``workspace_id``, ``day``, in order.
    """
    sizes = [
        members.group_by(_STORY).agg(
            pl.len().cast(pl.Int64).alias("members"),
            pl.col("source").n_unique().cast(pl.Int64).alias("sources"),
        ),
        scored.select(*_STORY, "members", pl.col("sources").list.len().cast(pl.Int64)),
    ]
    either = pl.concat(sizes)
    return either.filter(either.is_unique()).select(_DAY).unique().sort(_DAY)


def _past_of(past: pl.DataFrame, days: pl.Series) -> pl.DataFrame:
    """The past of each of the days, with the day it is the past of (`FOR_DAY`)."""
    since = pl.col(FOR_DAY) - pl.duration(days=NORM_DAYS)
    first, last = days.min(), days.max()
    window = past.filter(
        (pl.col("day") >= pl.lit(first) - pl.duration(days=NORM_DAYS)) & (pl.col("day") < last)
    )
    return window.join(days.rename(FOR_DAY).to_frame(), how="cross").filter(
        pl.col("day") >= since, pl.col("day") < pl.col(FOR_DAY)
    )


def _without_norm(members: pl.DataFrame) -> pl.DataFrame:
    """The items of the days themselves whose source and basis have no declared norm."""
    own = members.filter(~is_declared()).select(NORM_COLUMNS)
    return own.with_columns(pl.col("day").alias(FOR_DAY))


def _complete(scored: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """The scored stories with the members that speak for them, and how many there are."""
    told = members.group_by(_STORY).agg(
        pl.len().cast(pl.Int64).alias("members"),
        pl.col("source").unique().sort().alias("sources"),
        pl.when(pl.col("engagement").is_not_null().any())
        .then(pl.col("engagement").sum())
        .alias("heat"),
        pl.col("is_spam").all().alias("is_all_spam"),
    )
    rows = members.select(*_STORY, *_BEST_FIRST).with_row_index("row")
    best = rows.sort(_BEST_FIRST, descending=_DESCENDING, nulls_last=True).unique(
        _STORY, keep="first", maintain_order=True
    )
    speakers = members.select(pl.all().gather(best["row"]))
    # What the story has of its own goes before what its speaker says.
    speakers = speakers.drop(set(speakers.columns) & set(scored.columns) - set(_STORY))
    whole = scored.join(told, on=_STORY, how="left").join(speakers, on=_STORY, how="left")
    named = whole.with_columns(
        pl.col("is_all_spam").alias("is_spam"),
        pl.col("position").alias("first_position"),
        pl.lit(None).alias("first_ranked_at"),
    )
    return named.select(SCORED_TRENDS.schema.names()).cast(SCORED_TRENDS.schema)
