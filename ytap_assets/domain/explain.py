"""Why a story ranks where it does, in a few plain lines.

Belongs here: sentences made of a scored story's columns. Does not belong here: any number that is
not already a column (`final_score`).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ytap_assets.domain.momentum import COUNTS, RANK
from ytap_assets.domain.source_profiles import SOURCE_NAMES

_MOST_PHRASES = 5


def explain_stories(stories: pl.DataFrame) -> pl.DataFrame:
    """Give each story the lines that explain its score.

    Args:
        stories: As `final_score.score_stories` gives them. Phrases of ``category_reasons``, which
            no title has, are marked as such.

    Returns:
        ``stories`` with ``reasons``: a list of lines, what speaks most first; a factor that
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
    """Where a line is said, and the line; what speaks most first."""
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
        ("learned_weight", "what was learned from published videos"),
        ("production_factor", "already produced"),
        ("spam_factor", "every item of it is spam"),
    ):
        yield pl.col(name) != 1, pl.format(f"{words}: x{{}}", _number(pl.col(name), 2))


def _momentum_line() -> pl.Expr:
    source = _name("momentum_source")
    basis, top = pl.col("momentum_basis"), _top_pct()
    return (
        pl.when(basis.is_in(COUNTS))
        .then(pl.format("{} {} an hour, {} {}", _short("engagement_per_hour"), basis, top, source))
        .when(basis == RANK)
        .then(pl.format("by its rank {} its list on {}", top, source))
        .otherwise(pl.format("no count is known on {}: taken as a usual item", source))
    )


def _top_pct() -> pl.Expr:
    """``top 2 % of``; below the middle there is no boasting about a top."""
    pct = pl.col("top_share") * 100
    return (
        pl.when(pct.is_null())
        .then(pl.lit("nothing known to compare it with on"))
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
