"""The final score of stories: what is worth a video, each factor a column.

    final_score = momentum x relevance x cross_source_boost x learned_weight
                  x production_factor x spam_factor

Belongs here: the factors of a story, from its members, and their product. Does not belong here:
what is measured of one item (`momentum`, `relevance`), what is usual (`norms`), which items tell
one story, or the sentences about it (`explain`). The weight of a source, part of the base score,
is not a factor: momentum already compares an item with its own source alone.
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.momentum import UNKNOWN
from ytap_assets.domain.norms import place
from ytap_assets.domain.relevance import Topic, match_topic
from ytap_assets.domain.rounding import round_exactly
from ytap_assets.domain.scoring_weights import ScoringWeights
from ytap_assets.domain.source_profiles import SOURCE_PROFILES
from ytap_assets.domain.text import comparable_titles

RELEVANCE_RANGE = (0.5, 2.0)
BOOST_RANGE = (1.0, 1.5)
LEARNED_RANGE = (0.5, 2.0)
LEARNED_SCHEMA = pl.Schema({"kind": pl.String, "value": pl.String, "weight": pl.Float64})
PRODUCED_SCHEMA = pl.Schema({"story_id": pl.String, "canonical_url": pl.String, "title": pl.String})

_SPAN = ("first_day", "last_day")
_DAY = ("workspace_id", "day")
_STORY = (*_DAY, "story_id")
_SAME_PLATFORM = {
    name: profile.platform for name, profile in SOURCE_PROFILES.items() if profile.platform
}


def score_stories(
    members: pl.DataFrame,
    norms: pl.DataFrame,
    *,
    topic: Topic | None = None,
    weights: ScoringWeights | None = None,
    learned: pl.DataFrame | None = None,
    produced: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score the stories of each workspace and day.

    Heat adds up: the measures of a story's members are summed within a source before the sum is
    placed among that source's items; the source where the story stands highest gives its
    momentum. A source with too few items to compare with speaks only where no other does. Members
    that are spam add nothing, unless all are.

    Args:
        members: One row per workspace, day, story and item: ``workspace_id``, ``day``,
            ``story_id``, ``source``, ``title``, ``category``, ``canonical_url``, ``is_spam``,
            and what `momentum.measure_items` gives. Measures are summed in the order of the rows.
        norms: What is usual for each source (`norms.measure_norms`), of earlier days.
        topic: What the workspace is about; without one every story is as relevant.
        weights: What the factors weigh.
        learned: Weights as known on the day (`LEARNED_SCHEMA`): ``kind`` is ``source`` or
            ``topic`` (a matched phrase), ``value`` which; 1 where there is none.
        produced: What was produced already (`PRODUCED_SCHEMA`): a story is recognized by its id,
            by a member's canonical URL, or by a member's title. With ``first_day`` and
            ``last_day`` (null: until now), on these days only.

    Returns:
        One row per story, ordered by workspace, day and ``position``: the keys, each factor,
        ``final_score`` (4 decimals), and what the factors were found from (``momentum_source``,
        ``momentum_basis``, ``top_share``, the measures and the gain summed in that source,
        ``platforms``, ``relevance_reasons``, ``category_reasons``: those of them that no title
        holds, only a category, ``is_other_language``).
    """
    topic, weights = topic or Topic(), weights or ScoringWeights()
    heard = match_topic(
        members.filter(~pl.col("is_spam") | pl.col("is_spam").all().over(_STORY)), topic
    )
    stories = _gather(heard)
    hottest = _find_hottest(heard, norms)
    known = learned if learned is not None else LEARNED_SCHEMA.to_frame()
    done = produced if produced is not None else PRODUCED_SCHEMA.to_frame()
    stories = (
        stories.join(hottest, on=_STORY, how="left", maintain_order="left")
        .join(_learn(stories, known), on=_STORY, how="left", maintain_order="left")
        .join(_find_produced(members, done), on=_STORY, how="left", maintain_order="left")
    )
    return _rank(
        stories.with_columns(*_factor_columns(weights, has_keywords=bool(topic.keywords))), weights
    )


def _gather(heard: pl.DataFrame) -> pl.DataFrame:
    """One row per story: what its members say together."""
    platform = pl.col("source").replace(_SAME_PLATFORM)
    gathered = heard.group_by(_STORY, maintain_order=True).agg(
        pl.col("is_spam").all().alias("is_all_spam"),
        platform.alias("platforms"),
        pl.col("source").alias("sources"),
        pl.col("matched").explode(empty_as_null=False).alias("relevance_reasons"),
        pl.col("matched_in_title").explode(empty_as_null=False).alias("title_reasons"),
        # One member in the workspace's language is enough to make a video of.
        pl.col("is_other_language").all(),
    )
    return gathered.with_columns(
        pl.col("platforms", "sources", "relevance_reasons").list.unique().list.sort(),
        pl.col("relevance_reasons")
        .list.set_difference("title_reasons")
        .list.sort()
        .alias("category_reasons"),
    )


def _find_hottest(heard: pl.DataFrame, norms: pl.DataFrame) -> pl.DataFrame:
    """The source in which each story stands highest, and where."""
    known = pl.col("expected_engagement").is_not_null()
    sums = heard.group_by(*_STORY, "source", "momentum_basis").agg(
        *(
            pl.when(known.any()).then(pl.col(name).sum()).alias(name)
            for name in ("expected_engagement", "engagement_per_hour", "pace")
        ),
        pl.when(pl.col("gained_per_hour").is_not_null().any())
        .then(pl.col("gained_per_hour").sum())
        .alias("gained_per_hour"),
        pl.col("rank_share").min(),
    )
    # Where a story is compared with others of its source, what cannot be compared says nothing.
    return (
        place(sums, norms)
        .sort(
            "is_compared",
            pl.col("momentum_basis") == UNKNOWN,
            "momentum",
            "source",
            "momentum_basis",
            descending=[True, False, True, False, False],
        )
        .unique(_STORY, keep="first", maintain_order=True)
        .rename({"source": "momentum_source"})
        .drop("is_compared", "rank_share")
    )


def _learn(stories: pl.DataFrame, learned: pl.DataFrame) -> pl.DataFrame:
    """The geometric mean of the weights that are known of a story's sources and phrases."""
    known = learned.select(LEARNED_SCHEMA.names()).cast(LEARNED_SCHEMA)
    things = pl.concat(
        stories.select(*_STORY, pl.lit(kind).alias("kind"), pl.col(name).alias("value"))
        .explode("value")
        .drop_nulls("value")
        for kind, name in (("source", "sources"), ("topic", "relevance_reasons"))
    )
    return (
        things.join(known, on=("kind", "value"))
        .sort("kind", "value")  # the mean of floats depends on their order
        .group_by(_STORY)
        .agg(pl.col("weight").log().mean().exp().alias("learned_weight"))
    )


def _find_produced(members: pl.DataFrame, produced: pl.DataFrame) -> pl.DataFrame:
    """The stories that were produced, each with ``is_produced``."""
    if produced.is_empty():  # no title to compare with
        return members.select(*_STORY, is_produced=pl.lit(value=True)).clear()
    always = [pl.lit(None, pl.Date).alias(name) for name in _SPAN if name not in produced.columns]
    spans = produced.with_columns(always)
    day = pl.col("day")
    is_then = (day >= pl.col("first_day")).fill_null(value=True) & (
        day <= pl.col("last_day")
    ).fill_null(value=True)
    members, spans = (
        each.with_columns(comparable_titles(each["title"]).alias("title"))
        for each in (members, spans)
    )
    found = [
        members.select(*_STORY, same=name)
        .join(spans.select(*_SPAN, same=name).drop_nulls("same"), on="same")
        .filter(is_then)
        .select(_STORY)
        for name in ("story_id", "canonical_url", "title")
    ]
    return pl.concat(found).unique().with_columns(is_produced=pl.lit(value=True))


def _factor_columns(weights: ScoringWeights, *, has_keywords: bool) -> tuple[pl.Expr, ...]:
    """Each factor within its range."""
    matches = pl.col("relevance_reasons").list.len()
    none_matches = weights.no_keyword if has_keywords else 1.0
    of_matches = pl.when(matches > 0).then(1 + weights.keyword_step * matches)
    language = pl.when("is_other_language").then(weights.other_language).otherwise(1.0)
    boost = 1 + weights.source_step * (pl.col("platforms").list.len().cast(pl.Float64) - 1)
    return (
        (of_matches.otherwise(none_matches) * language).clip(*RELEVANCE_RANGE).alias("relevance"),
        boost.clip(*BOOST_RANGE).alias("cross_source_boost"),
        pl.col("learned_weight").clip(*LEARNED_RANGE).fill_null(1.0),
        pl.when(pl.col("is_produced").fill_null(value=False))
        .then(0.0)
        .otherwise(1.0)
        .alias("production_factor"),
        pl.when("is_all_spam").then(weights.spam).otherwise(1.0).alias("spam_factor"),
    )


def _rank(stories: pl.DataFrame, weights: ScoringWeights) -> pl.DataFrame:
    """The product of the factors, and the place it gives; equal ones in the order of their ids."""
    product = (
        pl.col("momentum").pow(weights.momentum)
        * pl.col("relevance").pow(weights.relevance)
        * pl.col("cross_source_boost").pow(weights.cross_source)
        * pl.col("learned_weight").pow(weights.learned)
        * pl.col("production_factor")
        * pl.col("spam_factor")
    )
    return (
        stories.with_columns(final_score=round_exactly(product, 4))
        .sort(
            *_DAY,
            "final_score",
            "momentum",
            "story_id",
            descending=[False, False, True, True, False],
        )
        .with_columns(position=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(_DAY))
        .select(_COLUMNS)
    )


_COLUMNS = (
    *_STORY,
    "momentum",
    "momentum_source",
    "momentum_basis",
    "top_share",
    "engagement_per_hour",
    "gained_per_hour",
    "pace",
    "expected_engagement",
    "relevance",
    "relevance_reasons",
    "category_reasons",
    "is_other_language",
    "platforms",
    "cross_source_boost",
    "learned_weight",
    "production_factor",
    "spam_factor",
    "final_score",
    "position",
)
