from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.scoring.ranking import explain_stories

SCHEMA = pl.Schema(
    {
        "momentum_source": pl.String(),
        "momentum_basis": pl.String(),
        "top_share": pl.Float64(),
        "engagement_per_hour": pl.Float64(),
        "gained_per_hour": pl.Float64(),
        "relevance": pl.Float64(),
        "relevance_reasons": pl.List(pl.String),
        "category_reasons": pl.List(pl.String),
        "is_other_language": pl.Boolean(),
        "platforms": pl.List(pl.String),
        "cross_source_boost": pl.Float64(),
        "learned_weight": pl.Float64(),
        "production_factor": pl.Float64(),
        "spam_factor": pl.Float64(),
    }
)
PLAIN = {
    "momentum_source": "hn",
    "momentum_basis": "points",
    "top_share": 0.0134,
    "engagement_per_hour": 350.4,
    "relevance": 1.0,
    "relevance_reasons": [],
    "category_reasons": [],
    "is_other_language": False,
    "platforms": ["hn"],
    "cross_source_boost": 1.0,
    "learned_weight": 1.0,
    "production_factor": 1.0,
    "spam_factor": 1.0,
}


def explain(**given_values: Any) -> list[str]:
    frame = pl.DataFrame([{**PLAIN, **given_values}], schema=SCHEMA)
    reasons: list[str] = explain_stories(frame)["reasons"].to_list()[0]
    return reasons


def test_momentum_is_said_first() -> None:
    assert explain() == ["350 points an hour, top 2 % of Hacker News"]


@pytest.mark.parametrize(
    ("given_values", "line"),
    [
        ({"top_share": 1e-9}, "350 points an hour, top 0.1 % of Hacker News"),
        ({"top_share": 0.004}, "350 points an hour, top 0.4 % of Hacker News"),
        ({"top_share": 0.5}, "350 points an hour, top 50 % of Hacker News"),
        ({"top_share": 0.6}, "350 points an hour, in the lower half of Hacker News"),
        (
            {"top_share": None, "momentum_source": "articles"},
            "350 points an hour, no past items to compare it with on articles",
        ),
        ({"engagement_per_hour": 3.14}, "3.1 points an hour, top 2 % of Hacker News"),
        (
            {"engagement_per_hour": 12_345.0, "momentum_basis": "views"},
            "12.3 thousand views an hour, top 2 % of Hacker News",
        ),
        ({"engagement_per_hour": 2e6}, "2 million points an hour, top 2 % of Hacker News"),
        (
            {"momentum_basis": "rank", "momentum_source": "reddit", "top_share": 1 / 26},
            "ranked in the top 4 % of its list on Reddit",
        ),
        (
            {"momentum_basis": "rank", "momentum_source": "reddit", "top_share": 0.7},
            "ranked in the lower half of its list on Reddit",
        ),
        (
            {"momentum_basis": "rank", "momentum_source": "reddit", "top_share": None},
            "no past items to compare it with on Reddit",
        ),
        (
            {"momentum_basis": "unknown", "momentum_source": "lobsters", "top_share": None},
            "no count is known on lobsters; ranked as a typical item",
        ),
    ],
)
def test_momentum_in_words(given_values: dict[str, Any], line: str) -> None:
    assert explain(**given_values) == [line]


@pytest.mark.parametrize(
    ("given_values", "line"),
    [
        ({"gained_per_hour": 420.0}, "gained 420 an hour between the latest observations"),
        ({"gained_per_hour": 0.0}, "gained 0 an hour between the latest observations"),
        (
            {"platforms": ["hn", "reddit"], "cross_source_boost": 1.25},
            "on Hacker News and Reddit: x1.25",
        ),
        (
            {"relevance_reasons": ["database", "rust"], "relevance": 1.5},
            "matches: database, rust: x1.5",
        ),
        (
            {
                "relevance_reasons": ["gaming", "rust"],
                "category_reasons": ["gaming"],
                "relevance": 1.5,
            },
            "matches: rust, gaming (category): x1.5",
        ),
        (
            {"relevance_reasons": list("abcdefg"), "relevance": 2.0},
            "matches: a, b, c, d, e and 2 more: x2",
        ),
        ({"relevance": 0.75}, "matches none of the keywords: x0.75"),
        ({"relevance": 0.5, "is_other_language": True}, "clearly in another language: x0.5"),
        (
            {"relevance": 0.625, "is_other_language": True, "relevance_reasons": ["rust"]},
            "matches: rust; clearly in another language: x0.62",
        ),
        ({"learned_weight": 1.2}, "learned from published videos: x1.2"),
        ({"production_factor": 0.0}, "already produced: x0"),
        ({"spam_factor": 0.1}, "all of its items are spam: x0.1"),
    ],
)
def test_each_factor_that_changes_something_has_a_line(
    given_values: dict[str, Any], line: str
) -> None:
    assert explain(**given_values) == ["350 points an hour, top 2 % of Hacker News", line]


def test_no_stories_no_lines() -> None:
    assert explain_stories(pl.DataFrame(schema=SCHEMA))["reasons"].to_list() == []
