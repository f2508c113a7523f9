from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.scoring.final_score import (
    LEARNED_SCHEMA,
    RankingConfig,
    ScoringWeights,
    Topic,
)
from ytap_assets.domain.scoring.items import score_items
from ytap_assets.domain.scoring.ranking import BASELINE_COLUMNS, find_regrouped_days, rank_stories
from ytap_assets.domain.urls import story_ids_of
from ytap_assets.tables import RAW_TRENDS, SCORED_TRENDS, TREND_STORIES
from ytap_assets_tests.domain.scoring.test_items import DAY, NOON, observation, trends
from ytap_assets_tests.effort import examples
from ytap_assets_tests.storable import check_storable

NO_PAST = TREND_STORIES.empty().select(BASELINE_COLUMNS)
TAKEN = {
    "workspace_id": "tech",
    "script_id": "s",
    "title": None,
    "canonical_url": None,
    "story_id": None,
}


def members_of(frame: pl.DataFrame) -> pl.DataFrame:
    """Items as members of stories, one story per page."""
    items = score_items(frame)
    told = {"joined_by": pl.lit("first"), "similarity": pl.lit(None, pl.Float64)}
    named = items.with_columns(story_ids_of(items["canonical_url"]).alias("story_id"), **told)
    return named.select(TREND_STORIES.schema.names()).cast(TREND_STORIES.schema)


def rank(*rows: dict[str, Any], **named: Any) -> list[dict[str, Any]]:
    frame = RAW_TRENDS.frame([observation(**row) for row in rows])
    return rank_stories(members_of(frame), NO_PAST, **named).to_dicts()


def taken(**given_values: Any) -> pl.DataFrame:
    schema = dict.fromkeys(TAKEN, pl.String) | {"first_day": pl.Date, "last_day": pl.Date}
    row = {**TAKEN, "first_day": date(2000, 1, 1), "last_day": None, **given_values}
    return pl.DataFrame([row], schema)


def test_one_page_is_one_row_for_which_its_best_member_speaks() -> None:
    stories = rank(
        {"item_id": "1", "url": "https://www.example.com/a/?utm_source=hn", "points": 100},
        {"item_id": "2", "url": "http://m.example.com/a", "source": "reddit", "points": 5000},
        {"item_id": "3", "url": "https://example.com/a#top", "points": 70},
        {"item_id": "4", "url": "https://example.com/b", "points": 60},
    )
    assert [(s["item_id"], s["members"], s["sources"], s["total_engagement"]) for s in stories] == [
        ("2", 3, ["hn", "reddit"], 5170.0),
        ("4", 1, ["hn"], 60.0),
    ]
    assert stories[0]["cross_source_boost"] > 1
    assert any("Reddit" in reason for reason in stories[0]["reasons"])


def test_an_honest_member_speaks_before_one_that_is_spam() -> None:
    (story,) = rank(
        {"item_id": "1", "points": 9000, "title": "Free gift cards for all"},
        {"item_id": "2", "points": 80, "title": "What became of the gift shops"},
    )
    assert (story["item_id"], story["is_spam"], story["spam_factor"]) == ("2", False, 1.0)
    (story,) = rank({"points": 9000, "title": "Free gift cards for all"})
    assert (story["is_spam"], story["spam_factor"]) == (True, 0.1)
    assert story["spam_reasons"] == ["blocklist: free gift cards"]


def test_what_fits_the_workspace_ranks_before_what_does_not() -> None:
    stories = rank(
        {"item_id": "1", "url": "https://a.example", "title": "Cheese of the year"},
        {"item_id": "2", "url": "https://b.example", "title": "A new release of Rust"},
        configs={"tech": RankingConfig(Topic(("rust",), "", "en"))},
    )
    assert [s["item_id"] for s in stories] == ["2", "1"]
    assert stories[0]["relevance_reasons"] == ["rust"]
    assert stories[0]["base_score"] == stories[1]["base_score"]


def test_a_vertical_alone_holds_nothing_against_other_stories() -> None:
    titles = {"item_id": "1", "title": "A technology"}, {"item_id": "2", "title": "Cheese"}
    rows = [{**row, "url": f"https://{row['item_id']}.example"} for row in titles]
    said = {
        s["item_id"]: s["relevance"]
        for s in rank(*rows, configs={"tech": RankingConfig(Topic((), "technology", "en"))})
    }
    assert said == {"1": 1.25, "2": 1.0}
    said = {
        s["item_id"]: s["relevance"]
        for s in rank(*rows, configs={"tech": RankingConfig(Topic(("rust",), "", "en"))})
    }
    assert said == {"1": 0.75, "2": 0.75}


def test_a_topic_is_taken_on_the_days_on_which_a_script_keeps_it() -> None:
    page = "https://example.com/a"
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    rows = [
        {"day": day, "observed_at": datetime(day.year, day.month, day.day, 9, tzinfo=UTC)}
        for day in days
    ]
    on_one_day = taken(canonical_url=page, first_day=DAY, last_day=DAY)
    assert [story["production_factor"] for story in rank(*rows, taken=on_one_day)] == [1, 0, 1]
    for_ever = taken(title="A  TITLE", first_day=DAY)
    stories = rank(*rows, taken=for_ever)
    assert [story["final_score"] > 0 for story in stories] == [True, False, False]


def test_norms_are_those_of_the_days_before_alone() -> None:
    def past(day: date) -> pl.DataFrame:
        rows = [
            {"item_id": str(n), "url": f"https://{n}.example", "points": 100_000, "day": day}
            for n in range(200)
        ]
        members = members_of(RAW_TRENDS.frame([observation(**row) for row in rows]))
        return members.select(BASELINE_COLUMNS)

    frame = members_of(RAW_TRENDS.frame([observation(points=2000)]))
    alone = rank_stories(frame, NO_PAST)["momentum"].item()
    after_giants = rank_stories(frame, past(DAY - timedelta(days=1)))["momentum"].item()
    assert after_giants < alone
    for other in (DAY, DAY + timedelta(days=1), DAY - timedelta(days=60)):
        assert rank_stories(frame, past(other))["momentum"].item() == alone


def test_ranks_are_the_same_to_the_last_digit_in_any_order_of_rows() -> None:
    """Sums of floats differ with the order of their parts, and files hold rows in any order."""
    frame = members_of(
        RAW_TRENDS.frame(
            [
                observation(
                    item_id=str(n),
                    url=f"https://example.com/{n % 2}",
                    points=None,
                    comments=None,
                    views=1003 + 37 * n * n,
                    published_at=NOON - timedelta(minutes=7 * n),
                )
                for n in range(60)
            ]
        )
    )
    ranked = rank_stories(frame, NO_PAST)
    for seed in range(5):
        shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
        assert rank_stories(shuffled, NO_PAST).equals(ranked)


def test_days_whose_lists_hold_other_stories_are_found() -> None:
    days = [DAY + timedelta(days=number) for number in range(5)]
    members = pl.DataFrame(
        [(day, story, source) for day in days for story, source in ("ax", "ay", "bx")],
        ["day", "story_id", "source"],
        orient="row",
    )
    lists = [
        (days[0], "a", 2, ["x", "y"]),
        (days[0], "b", 1, ["x"]),
        (days[1], "a", 2, ["x", "y"]),
        (days[1], "c", 1, ["x"]),  # it has another id now
        (days[2], "a", 1, ["x"]),  # a member moved
        (days[2], "b", 2, ["x", "y"]),
        (days[3], "a", 2, ["x"]),  # members were exchanged
        (days[3], "b", 1, ["x"]),
    ]  # the last day has no list
    scored = pl.DataFrame(lists, ["day", "story_id", "members", "sources"], orient="row")
    right = members.group_by("day", "story_id").agg(
        members=pl.len().cast(pl.Int64), sources=pl.col("source").unique()
    )
    # What differs in one workspace is right in another.
    members, scored = (
        pl.concat(
            [
                of_a.with_columns(workspace_id=pl.lit("a")),
                of_b.with_columns(workspace_id=pl.lit("b")),
            ]
        )
        for of_a, of_b in ((members, members), (scored, right))
    )
    assert find_regrouped_days(members, scored).rows() == [("a", day) for day in days[1:]]
    assert find_regrouped_days(members.clear(), scored.clear()).is_empty()


def articles(day: date, likes: list[int]) -> list[dict[str, Any]]:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return [
        {
            "source": "articles",
            "item_id": f"{day}:{n}",
            "url": f"https://articles.example/{day}/{n}",
            "title": f"Article {n} of {day}",
            "points": None,
            "comments": None,
            "likes": count,
            "day": day,
            "observed_at": at,
            "published_at": at - timedelta(hours=10),
        }
        for n, count in enumerate(likes)
    ]


def test_an_item_of_a_source_without_a_norm_is_not_buried() -> None:
    others = [
        {"item_id": str(n), "url": f"https://{n}.example", "points": 20 * 2**n} for n in range(8)
    ]
    alone = articles(DAY, [320])
    (story,) = [one for one in rank(*others, *alone) if one["source"] == "articles"]
    assert story["momentum"] == pytest.approx(1.591, abs=0.1)
    assert 1 < story["position"] < 9


def test_a_source_without_a_norm_is_measured_on_its_own_items() -> None:
    usual = [2, 5, 8, 10, 12, 20, 40]
    today = articles(DAY, [*usual, 320])
    frame = members_of(RAW_TRENDS.frame([observation(**row) for row in today]))
    first_day = {one["title"]: one["momentum"] for one in rank_stories(frame, NO_PAST).to_dicts()}
    before = [row for n in range(1, 28) for row in articles(DAY - timedelta(days=n), usual)]
    past = members_of(RAW_TRENDS.frame([observation(**row) for row in before]))
    later = {
        one["title"]: one["momentum"]
        for one in rank_stories(frame, past.select(BASELINE_COLUMNS)).to_dicts()
    }
    best, worst = f"Article 7 of {DAY}", f"Article 0 of {DAY}"
    assert later[worst] < first_day[worst] < 1.591 < first_day[best] < later[best]
    assert later[best] > 5


def test_days_are_ranked_apart() -> None:
    stories = rank({}, {"day": DAY - timedelta(days=1)})
    assert [(story["day"], story["position"]) for story in stories] == [
        (DAY - timedelta(days=1), 1),
        (DAY, 1),
    ]


def test_no_members_give_no_stories() -> None:
    assert_frame_equal(rank_stories(TREND_STORIES.empty(), NO_PAST), SCORED_TRENDS.empty())


def test_what_came_out_long_ago_ranks_last_however_large() -> None:
    old = {"item_id": "2", "url": "https://b.example", "points": 5000}
    stories = rank({"points": 900}, {**old, "published_at": NOON - timedelta(days=60)})
    assert [story["item_id"] for story in stories] == ["1", "2"]


@settings(max_examples=examples(25))
@given(trends, st.randoms(use_true_random=False))
def test_stories_fit_their_table_and_lose_no_item(
    frame: pl.DataFrame, chance: random.Random
) -> None:
    members = members_of(frame)
    stories = rank_stories(
        members, NO_PAST, configs={"tech": RankingConfig(Topic(("title",), "tech", "en"))}
    )
    check_storable(SCORED_TRENDS, stories)
    assert stories.select(SCORED_TRENDS.key).is_unique().all()
    assert stories["members"].sum() == members.height
    for _, day in stories.group_by("day"):
        assert day["position"].to_list() == list(range(1, day.height + 1))
        assert day["final_score"].is_sorted(descending=True)
    order = list(range(members.height))
    chance.shuffle(order)
    again = rank_stories(
        members[order], NO_PAST, configs={"tech": RankingConfig(Topic(("title",), "tech", "en"))}
    )
    assert_frame_equal(stories, again)


@settings(deadline=None, max_examples=examples(12))
@given(st.randoms(use_true_random=False))
def test_workspaces_and_days_together_are_ranked_as_one_at_a_time(chance: random.Random) -> None:
    configs = {
        "a": RankingConfig(Topic(("rust", "go"), "cooking", "en")),
        "b": RankingConfig(Topic(("Rust",), "", "de"), ScoringWeights(momentum=2, spam=0.5)),
        # The third has none.
    }
    words = ["rust", "go", "das ist nicht der", "the", "cooking", "robux"]
    days = [DAY, DAY + timedelta(days=1)]
    each, pasts, done = [], [], []
    for workspace in ("a", "b", "c"):
        rows = [
            {
                "workspace_id": workspace,
                "day": day,
                "observed_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
                "published_at": datetime(day.year, day.month, day.day, tzinfo=UTC),
                "item_id": str(number),
                "source": chance.choice(["hn", "reddit", "articles"]),
                "url": f"https://example.org/{chance.randrange(6)}",
                "title": " ".join(chance.choices(words, k=3)),
                "points": chance.randrange(500),
            }
            for day in days
            for number in range(chance.randrange(1, 9))
        ]
        each.append(members_of(RAW_TRENDS.frame([observation(**row) for row in rows])))
        before = each[-1].select(BASELINE_COLUMNS).with_columns(pl.col("day") - timedelta(days=2))
        pasts.append(pl.concat([before, each[-1].select(BASELINE_COLUMNS)]))
        done.append(taken(workspace_id=workspace, title=chance.choice(rows)["title"]))
    learned = pl.DataFrame(
        [("a", "source", "hn", 2.0), ("b", "topic", "Rust", 0.5)], LEARNED_SCHEMA, orient="row"
    )

    def ranked(members: pl.DataFrame, past: pl.DataFrame, produced: pl.DataFrame) -> pl.DataFrame:
        return rank_stories(members, past, configs=configs, learned=learned, taken=produced)

    alone = [
        ranked(members.filter(day=day), past, produced)
        for members, past, produced in zip(each, pasts, done, strict=True)
        for day in days
    ]
    together = ranked(pl.concat(each), pl.concat(pasts), pl.concat(done))
    assert_frame_equal(together, pl.concat(alone))
