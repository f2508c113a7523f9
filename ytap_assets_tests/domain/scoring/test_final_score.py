from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.scoring.baselines import measure_baselines
from ytap_assets.domain.scoring.final_score import (
    BOOST_RANGE,
    BOUNDS,
    LEARNED_RANGE,
    LEARNED_SCHEMA,
    PRODUCED_SCHEMA,
    RELEVANCE_RANGE,
    RankingConfig,
    ScoringWeights,
    Topic,
    score_stories,
)
from ytap_assets.domain.scoring.items import (
    hours_old_column,
    latest_observations,
    measure_gains,
    measure_items,
    merge_observations,
)
from ytap_assets.domain.scoring.ranking import explain_stories
from ytap_assets.errors import ConfigError
from ytap_assets.tables import RAW_TRENDS
from ytap_assets_tests.effort import examples

SCHEMA = {
    "workspace_id": pl.String,
    "day": pl.Date,
    "story_id": pl.String,
    "source": pl.String,
    "item_id": pl.String,
    "title": pl.String,
    "category": pl.String,
    "canonical_url": pl.String,
    "is_spam": pl.Boolean,
    "momentum_basis": pl.String,
    "expected_engagement": pl.Float64,
    "engagement_per_hour": pl.Float64,
    "velocity": pl.Float64,
    "rank_share": pl.Float64,
    "gained_per_hour": pl.Float64,
}
MEMBER = {
    "workspace_id": "tech",
    "day": date(2026, 11, 20),
    "story_id": "s1",
    "source": "hn",
    "item_id": "1",
    "title": "A title",
    "canonical_url": "https://example.com/a",
    "is_spam": False,
    "momentum_basis": "points",
    "expected_engagement": 100.0,
    "engagement_per_hour": 55.0,
    "velocity": 50.0,
}
NO_BASELINES = measure_baselines(pl.DataFrame(schema=SCHEMA))
TOPIC = Topic(keywords=("rust", "database"))


def config(topic: Topic, weights: ScoringWeights | None = None) -> dict[str, RankingConfig]:
    return {"tech": RankingConfig(topic, weights or ScoringWeights())}


def members(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{**MEMBER, **row} for row in rows], schema=SCHEMA)


def score(*rows: dict[str, Any], **given_: Any) -> list[dict[str, Any]]:
    return score_stories(members(*rows), NO_BASELINES, **given_).to_dicts()


def score_one(*rows: dict[str, Any], **given_: Any) -> dict[str, Any]:
    (story,) = score(*rows, **given_)
    return story


def learned(**weights: float) -> pl.DataFrame:
    rows = [
        {
            "workspace_id": "tech",
            "kind": kind_value.split("_")[0],
            "value": kind_value.split("_")[1],
            "weight": weight,
        }
        for kind_value, weight in weights.items()
    ]
    return pl.DataFrame(rows, schema=LEARNED_SCHEMA)


def produced(**row: str) -> pl.DataFrame:
    return pl.DataFrame([{"workspace_id": "tech", **row}], schema=PRODUCED_SCHEMA)


def test_a_story_with_nothing_for_or_against_it_has_its_momentum_as_score() -> None:
    story = score_one({})
    factors = ("relevance", "cross_source_boost", "learned_weight", "production_factor")
    assert {story[name] for name in (*factors, "spam_factor")} == {1.0}
    assert story["final_score"] == story["momentum"] > 0
    assert story["position"] == 1


def test_heat_adds_up_within_a_source() -> None:
    story = score_one({}, {"item_id": "2", "gained_per_hour": 5.0})
    assert story["expected_engagement"] == 200
    assert story["engagement_per_hour"] == 110
    assert story["gained_per_hour"] == 5
    assert story["momentum"] > score_one({})["momentum"]


def test_the_source_where_a_story_stands_highest_gives_its_momentum() -> None:
    weak = {"source": "reddit", "velocity": 1.0, "expected_engagement": 1.0}
    story = score_one({}, weak)
    assert story["momentum_source"] == "hn"
    assert story["momentum"] == score_one({})["momentum"]


def test_a_count_speaks_before_the_unknown() -> None:
    unknown = {"source": "lobsters", "momentum_basis": "unknown"}
    silent = {**unknown, "expected_engagement": None, "velocity": None}
    low = {"expected_engagement": 0.1, "velocity": 0.0}
    assert score_one(low, silent)["momentum"] < score_one(silent)["momentum"]
    assert score_one(silent)["expected_engagement"] is None


def test_a_source_that_nothing_is_known_of_neither_lifts_nor_buries() -> None:
    article = {"source": "articles", "momentum_basis": "likes", "expected_engagement": 320.0}
    cold = {"expected_engagement": 0.1, "velocity": 0.0}
    assert score_one(article)["momentum"] == 1.591
    assert score_one(cold, article)["momentum_source"] == "hn"
    assert score_one(cold, article)["momentum"] == score_one(cold)["momentum"]


def test_ranks_speak_where_nothing_else_does() -> None:
    ranked = {
        "source": "reddit",
        "momentum_basis": "rank",
        "expected_engagement": None,
        "velocity": None,
    }
    high, low = score(
        {**ranked, "story_id": "high", "rank_share": 1 / 26},
        {**ranked, "story_id": "low", "rank_share": 25 / 26},
    )
    assert (high["story_id"], low["story_id"]) == ("high", "low")


def test_each_further_platform_adds_a_quarter_up_to_a_half() -> None:
    sources = ["hn", "reddit", "youtube", "lobsters"]
    boosts = [
        score_one(*({"source": source} for source in sources[:n]))["cross_source_boost"]
        for n in (1, 2, 3, 4)
    ]
    assert boosts == [1.0, 1.25, 1.5, 1.5]


def test_youtube_charts_and_channels_are_one_platform() -> None:
    story = score_one({"source": "youtube"}, {"source": "youtube_channel"})
    assert story["platforms"] == ["youtube"]
    assert story["cross_source_boost"] == 1


def test_relevance_counts_different_phrases_of_all_members() -> None:
    rows = [{"title": "Rust"}, {"title": "Rust and a database"}]
    story = score_one(*rows, configs=config(TOPIC))
    assert story["relevance_reasons"] == ["database", "rust"]
    assert story["relevance"] == 1.5


def test_what_matches_nothing_is_less_relevant_and_another_language_still_less() -> None:
    assert score_one({"title": "Cats"}, configs=config(TOPIC))["relevance"] == 0.75
    assert score_one({"title": "Das ist nicht der Weg"}, configs=config(TOPIC))["relevance"] == 0.5
    assert score_one({"title": "Das ist nicht der Weg"})["relevance"] == 0.5
    assert (
        score_one({"title": "Rust ist nicht das Ende"}, configs=config(TOPIC))["relevance"] == 0.625
    )


def test_learned_weights_of_source_and_phrases_are_averaged_and_bounded() -> None:
    weights = learned(source_hn=2.0, topic_rust=0.5, source_reddit=9.0)
    assert (
        score_one({"title": "Rust"}, configs=config(TOPIC), learned=weights)["learned_weight"]
        == 1.0
    )
    assert score_one({}, configs=config(TOPIC), learned=weights)["learned_weight"] == 2.0
    assert score_one({"source": "reddit"}, learned=weights)["learned_weight"] == 2.0
    assert score_one({"source": "youtube"}, learned=weights)["learned_weight"] == 1.0


@pytest.mark.parametrize(
    "done",
    [
        produced(story_id="s1"),
        produced(canonical_url="https://example.com/b"),
        produced(title="  THE other\ttitle "),
        produced(title="The oth\u00ader\u200b title\ufe0f"),
        produced(title="&quot;The other title&quot;!"),
    ],
)
def test_what_was_produced_is_worth_nothing_more(done: pl.DataFrame) -> None:
    rows = [
        {},
        {"item_id": "2", "title": "The other title", "canonical_url": "https://example.com/b"},
        {"story_id": "s2", "title": "New", "canonical_url": "https://example.com/new"},
    ]
    first, second = score(*rows, produced=done)
    assert (first["story_id"], first["production_factor"]) == ("s2", 1.0)
    assert (second["story_id"], second["final_score"], second["position"]) == ("s1", 0.0, 2)


def test_an_empty_produced_title_is_nobodys() -> None:
    assert score_one({"title": " "}, produced=produced(title="  "))["production_factor"] == 1


def test_what_a_site_answers_in_place_of_a_title_was_never_produced() -> None:
    blocked = "Just a moment..."
    assert score_one({"title": blocked}, produced=produced(title=blocked))["production_factor"] == 1


def test_spam_members_add_nothing_unless_all_are_spam() -> None:
    spam = {"item_id": "2", "is_spam": True, "source": "reddit", "expected_engagement": 1e9}
    mixed = score_one({}, spam)
    assert mixed["spam_factor"] == 1
    assert mixed["momentum"] == score_one({})["momentum"]
    assert mixed["platforms"] == ["hn"]
    story = score_one(spam)
    assert story["spam_factor"] == 0.1
    assert story["final_score"] == pytest.approx(story["momentum"] * 0.1, abs=1e-4)


def test_equal_scores_stand_in_the_order_of_their_ids() -> None:
    stories = score(*({"story_id": name} for name in ("b", "c", "a")))
    assert [(s["story_id"], s["position"]) for s in stories] == [("a", 1), ("b", 2), ("c", 3)]


def test_each_workspace_and_day_has_its_own_positions() -> None:
    stories = score({}, {"workspace_id": "finance"}, {"day": date(2026, 11, 21)})
    assert [s["position"] for s in stories] == [1, 1, 1]


def test_an_exponent_of_zero_leaves_a_factor_out() -> None:
    weights = ScoringWeights(relevance=0, cross_source=0)
    story = score_one({"title": "Cats"}, {"source": "reddit"}, configs=config(TOPIC, weights))
    assert story["final_score"] == story["momentum"]
    assert story["relevance"] != 1


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_weights_out_of_bounds_are_refused_by_name(name: str) -> None:
    least, greatest = BOUNDS[name]
    ScoringWeights(**{name: least})
    ScoringWeights(**{name: greatest})
    for value in (least - 0.01, greatest + 0.01, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=rf"^{name}: "):
            ScoringWeights(**{name: value})


def test_no_members_are_no_stories() -> None:
    assert score() == []


member_rows = st.lists(
    st.fixed_dictionaries(
        {
            "story_id": st.sampled_from("abc"),
            "source": st.sampled_from(["hn", "reddit", "youtube", "youtube_channel", "other"]),
            "title": st.sampled_from(["Rust", "database", "Das ist nicht der Weg", "", "x"]),
            "is_spam": st.booleans(),
            "expected_engagement": st.floats(0, 1e18),
            "velocity": st.floats(0, 1e18),
            "gained_per_hour": st.none() | st.floats(0, 1e15),
        }
    ),
    max_size=12,
)
weight_values = st.fixed_dictionaries(
    {name: st.floats(least, greatest) for name, (least, greatest) in BOUNDS.items()}
)


@settings(max_examples=examples(30))
@given(member_rows, weight_values, st.floats(0.001, 1000))
def test_factors_stay_within_their_ranges(
    rows: list[dict[str, Any]], weights: dict[str, float], weight: float
) -> None:
    stories = score_stories(
        members(*rows),
        NO_BASELINES,
        configs=config(TOPIC, ScoringWeights(**weights)),
        learned=learned(source_hn=weight),
        produced=produced(story_id="a"),
    )
    assert stories["story_id"].n_unique() == len({row["story_id"] for row in rows})
    for name, (least, greatest) in {
        "momentum": (0, 10),
        "relevance": RELEVANCE_RANGE,
        "cross_source_boost": BOOST_RANGE,
        "learned_weight": LEARNED_RANGE,
        "production_factor": (0, 1),
        "spam_factor": (0, 1),
    }.items():
        assert stories[name].is_between(least, greatest).all()
    assert stories["final_score"].is_finite().all()
    assert (stories["final_score"] >= 0).all()


@settings(max_examples=examples(30))
@given(member_rows, st.randoms())
def test_the_order_of_members_changes_nothing(rows: list[dict[str, Any]], rng: Any) -> None:
    numbered = [{**row, "item_id": str(number)} for number, row in enumerate(rows)]
    shuffled = rng.sample(numbered, len(numbered))
    first = score_stories(members(*numbered), NO_BASELINES, configs=config(TOPIC))
    assert_frame_equal(
        first, score_stories(members(*shuffled), NO_BASELINES, configs=config(TOPIC))
    )


@settings(max_examples=examples(30))
@given(st.floats(0, 1e15), st.floats(0, 1e15))
def test_a_hotter_story_never_stands_lower(one: float, other: float) -> None:
    stories = score(
        {"story_id": "low", "expected_engagement": min(one, other)},
        {"story_id": "high", "expected_engagement": max(one, other)},
    )
    by_id = {story["story_id"]: story for story in stories}
    assert by_id["low"]["final_score"] <= by_id["high"]["final_score"]


def test_from_observations_to_reasons() -> None:
    """The whole way, on counts and titles that nobody expects."""
    day = date(2026, 11, 20)
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    titles = ["Rust\x00", "", "\u202eevil", "\U0001f469\u200d\U0001f4bb" * 50, "x" * 10_000_000]
    rows = [
        {
            "workspace_id": "tech",
            "day": day,
            "source": source,
            "item_id": f"{number}",
            "observed_at": noon + timedelta(minutes=20 * look),
            "published_at": published_at,
            "title": titles[number % len(titles)],
            "points": points,
            "views": 2**63 - 1 if number % 8 == 0 else None,
            "rank": None if number % 16 == 4 else number,
            "collection_id": "c",
        }
        for number, (source, published_at, points) in enumerate(
            product(
                ("reddit", "youtube", "lobsters"),
                (noon, noon + timedelta(days=1), noon - timedelta(days=3650), None),
                (None, -(10**15), 0, 10**15),
            )
        )
        for look in (0, 1)
    ]
    trends = merge_observations(RAW_TRENDS.frame(rows))
    items = latest_observations(trends).with_columns(
        hours_old_column(), is_spam=pl.lit(value=False)
    )
    measured = measure_items(items, measure_gains(trends))
    members_ = measured.with_columns(story_id="item_id", canonical_url="item_id")
    stories = explain_stories(
        score_stories(members_, measure_baselines(measured), configs=config(TOPIC))
    )
    assert stories.height == 48
    assert stories["final_score"].is_finite().all()
    assert stories["reasons"].list.len().min() == 2
    assert set(stories["momentum_basis"]) == {"points", "views", "rank", "unknown"}
