"""How a day's stories rank: `scored_trends` from `trend_stories`, and why, in words.

Belongs here: joining the factors (`final_score`), the story's best member, and sentences made of a
scored story's columns. Does not belong here: any factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from ytap_assets.domain.scoring.baselines import FOR_DAY, is_declared, measure_baselines
from ytap_assets.domain.scoring.final_score import RankingConfig, score_stories
from ytap_assets.domain.scoring.items import COUNTS, RANK
from ytap_assets.domain.source_profiles import SOURCE_NAMES
from ytap_assets.tables import SCORED_TRENDS

BASELINE_DAYS = 28
"""What is usual for a source is measured on so many days before the one that is ranked."""
BASELINE_COLUMNS = (
    "workspace_id",
    "day",
    "source",
    "momentum_basis",
    "expected_engagement",
    "velocity",
)
_DAY = ("workspace_id", "day")
_STORY = (*_DAY, "story_id")
# Of members with the same score the one with more engagement represents the story; the source and
# the id make the order the same whatever the order of rows.
_BEST_FIRST = ("is_spam", "base_score", "engagement", "source", "item_id")
_DESCENDING = (False, True, True, False, False)
_MOST_PHRASES = 5


def rank_stories(
    members: pl.DataFrame,
    past: pl.DataFrame,
    *,
    configs: Mapping[str, RankingConfig] | None = None,
    learned: pl.DataFrame | None = None,
    taken: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rank the stories of each workspace and day.

    Every day is ranked with what was known when it began: the baselines of the preceding days, and
    the topics that were already produced. The baseline of a source without a declared one includes
    the day's own items.

    Args:
        members: Rows of `trend_stories` of the days that are ranked.
        past: `BASELINE_COLUMNS` of `trend_stories` of the `BASELINE_DAYS` before each of them.
        configs: By workspace; the defaults where a workspace has none.
        learned: Weights as known then; see `score_stories`.
        taken: The topics already produced, and on which days: `score_stories`' ``produced``.

    Returns:
        Rows of `scored_trends`, ordered by workspace, day and position, as if each list were the
        first of its day; when that is (``first_ranked_at``) is null.
    """
    ranked = [SCORED_TRENDS.empty()]
    # A sum of floats depends on their order, and rows come in the order in which files hold them.
    members = members.sort(*_DAY, "source", "item_id")
    days = members["day"].unique().sort()
    for start in range(0, days.len(), BASELINE_DAYS):
        some = days.slice(start, BASELINE_DAYS)
        theirs = members.filter(pl.col("day").is_in(some.implode()))
        scored = score_stories(
            theirs,
            measure_baselines(pl.concat([_past_of(past, some), _without_baseline(theirs)])),
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
    since = pl.col(FOR_DAY) - pl.duration(days=BASELINE_DAYS)
    first, last = days.min(), days.max()
    window = past.filter(
        (pl.col("day") >= pl.lit(first) - pl.duration(days=BASELINE_DAYS)) & (pl.col("day") < last)
    )
    return window.join(days.rename(FOR_DAY).to_frame(), how="cross").filter(
        pl.col("day") >= since, pl.col("day") < pl.col(FOR_DAY)
    )


def _without_baseline(members: pl.DataFrame) -> pl.DataFrame:
    """The items of the days themselves whose source and basis have no declared baseline."""
    own = members.filter(~is_declared()).select(BASELINE_COLUMNS)
    return own.with_columns(pl.col("day").alias(FOR_DAY))


def _complete(scored: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """The scored stories with the members that represent them, and how many there are."""
    sums = members.group_by(_STORY).agg(
        pl.len().cast(pl.Int64).alias("members"),
        pl.col("source").unique().sort().alias("sources"),
        pl.when(pl.col("engagement").is_not_null().any())
        .then(pl.col("engagement").sum())
        .alias("total_engagement"),
        pl.col("is_spam").all().alias("is_all_spam"),
    )
    rows = members.select(*_STORY, *_BEST_FIRST).with_row_index("row")
    best = rows.sort(_BEST_FIRST, descending=_DESCENDING, nulls_last=True).unique(
        _STORY, keep="first", maintain_order=True
    )
    leads = members.select(pl.all().gather(best["row"]))
    # What the story has of its own goes before what its member says.
    leads = leads.drop(set(leads.columns) & set(scored.columns) - set(_STORY))
    whole = scored.join(sums, on=_STORY, how="left").join(leads, on=_STORY, how="left")
    named = whole.with_columns(
        pl.col("is_all_spam").alias("is_spam"),
        pl.col("position").alias("first_position"),
        pl.lit(None).alias("first_ranked_at"),
    )
    return named.select(SCORED_TRENDS.schema.names()).cast(SCORED_TRENDS.schema)


def explain_stories(stories: pl.DataFrame) -> pl.DataFrame:
    """Give each story the lines that explain its score.

    Args:
        stories: As `final_score.score_stories` gives them. Phrases of ``category_reasons``, which
            no title has, are marked as such.

    Returns:
        ``stories`` with ``reasons``: a list of lines, the most important first; a factor that
        changes nothing has no line.
    """
    # `pl.format` panics on some columns in several pieces (Polars 2.1).
    numbered = stories.with_row_index("row").rechunk()
    lines = []
    for place, (where, line) in enumerate(_lines()):
        # Most lines are said of few stories, and making a text is dear.
        some = numbered.filter(where)
        lines.append(some.select("row", place=pl.lit(place), line=line))
    said = pl.concat(lines).sort("row", "place").group_by("row", maintain_order=True).agg("line")
    reasons = numbered.select("row").join(said, on="row", how="left", maintain_order="left")
    return stories.with_columns(reasons=reasons["line"].fill_null([]))


def _lines() -> Iterator[tuple[pl.Expr, pl.Expr]]:
    """Where a line is said, and the line; the most important first."""
    yield pl.lit(value=True), _momentum_line()
    gained = pl.format(
        "gained {} an hour between the latest observations", _short("gained_per_hour")
    )
    yield pl.col("gained_per_hour").is_not_null(), gained
    names = pl.col("platforms").list.eval(pl.element().replace(SOURCE_NAMES)).list.join(" and ")
    boost = pl.col("cross_source_boost")
    yield boost > 1, pl.format("on {}: x{}", names, _number(boost, 2))
    matches = pl.col("relevance_reasons").list.len() > 0
    is_other = pl.col("is_other_language")
    yield matches, _relevance_line()
    only = pl.format("clearly in another language: x{}", _number(pl.col("relevance"), 2))
    yield ~matches & is_other, only
    nothing = pl.format("matches none of the keywords: x{}", _number(pl.col("relevance"), 2))
    yield ~matches & ~is_other & (pl.col("relevance") != 1), nothing
    for name, words in (
        ("learned_weight", "learned from published videos"),
        ("production_factor", "already produced"),
        ("spam_factor", "all of its items are spam"),
    ):
        yield pl.col(name) != 1, pl.format(f"{words}: x{{}}", _number(pl.col(name), 2))


def _momentum_line() -> pl.Expr:
    source = _name("momentum_source")
    basis, top = pl.col("momentum_basis"), _top_pct()
    place = pl.when(pl.col("top_share") <= 0.5).then(pl.format("in the {}", top)).otherwise(top)
    return (
        pl.when(basis.is_in(COUNTS))
        .then(pl.format("{} {} an hour, {} {}", _short("engagement_per_hour"), basis, top, source))
        .when((basis == RANK) & pl.col("top_share").is_null())
        .then(pl.format("{} {}", top, source))
        .when(basis == RANK)
        .then(pl.format("ranked {} its list on {}", place, source))
        .otherwise(pl.format("no count is known on {}; ranked as a typical item", source))
    )


def _top_pct() -> pl.Expr:
    """``top 2 % of``; below the middle there is no boasting about a top."""
    pct = pl.col("top_share") * 100
    return (
        pl.when(pct.is_null())
        .then(pl.lit("no past items to compare it with on"))
        .when(pct < 0.1)
        .then(pl.lit("top 0.1 % of"))
        .when(pct < 1)
        .then(pl.format("top {} % of", _number(pct, 1)))
        .when(pct <= 50)
        .then(pl.format("top {} % of", pct.ceil().cast(pl.Int64)))
        .otherwise(pl.lit("in the lower half of"))
    )


def _relevance_line() -> pl.Expr:
    """The phrases that match, and the factor."""
    reasons = pl.col("relevance_reasons")
    in_titles = reasons.list.set_difference("category_reasons").list.sort()
    marked = pl.col("category_reasons").list.eval(pl.format("{} (category)", pl.element()))
    phrases = in_titles.list.concat(marked).list.head(_MOST_PHRASES).list.join(", ")
    more = reasons.list.len().cast(pl.Int64) - _MOST_PHRASES
    rest = pl.when(more > 0).then(pl.format(" and {} more", more)).otherwise(pl.lit(""))
    language = pl.when("is_other_language").then(pl.lit("; clearly in another language"))
    return pl.format(
        "matches: {}{}{}: x{}",
        phrases,
        rest,
        language.otherwise(pl.lit("")),
        _number(pl.col("relevance"), 2),
    )


def _name(column: str) -> pl.Expr:
    return pl.col(column).replace(SOURCE_NAMES)


def _number(value: pl.Expr, decimals: int) -> pl.Expr:
    """A number without needless zeros: ``1.25``, ``1.5``, ``2``."""
    return value.round(decimals).cast(pl.String).str.replace(r"\.0$", "")


def _short(name: str) -> pl.Expr:
    """A count as one says it: ``350``, ``12.5 thousand``, ``3.1 million``."""
    value = pl.col(name)
    return (
        pl.when(value >= 1e6)
        .then(pl.format("{} million", _number(value / 1e6, 1)))
        .when(value >= 1e4)
        .then(pl.format("{} thousand", _number(value / 1e3, 1)))
        .when(value >= 10)
        .then(value.round(0).cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(_number(value, 1))
    )
