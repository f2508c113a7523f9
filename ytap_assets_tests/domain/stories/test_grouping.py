"""What becomes one story, what does not, and that ids stay."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.stories import STORY_MEMBERS, StoryOptions, group_stories
from ytap_assets.domain.urls import story_id_of
from ytap_assets_tests.domain.stories.days import FIRST, NOTHING, as_known, items, parts
from ytap_assets_tests.effort import examples

APIGEE = (
    "Google to acquire Apigee",
    "Google acquires Apigee for $625M",
    "Apigee Acquired by Google for $625 million",
)
SNOWDEN = (
    "Edward Snowden speaks to SXSW crowd from Moscow",
    "Snowden tells SXSW crowd from Moscow: encrypt everything",
)
STORIES = (
    ("Volcano erupts near Reykjavik, flights grounded", "Reykjavik volcano grounds flights"),
    ("Bayer agrees to buy Monsanto for $66bn", "Monsanto accepts Bayer takeover of $66bn"),
    ("Chipotle burritos by Google drone in Virginia", "Google drone brings Chipotle burritos"),
    ("Кот спас хозяина от пожара в Самаре", "Самарский кот от пожара спас хозяина в Самаре"),
    ("東京で大雪の予報 交通に影響", "大雪の予報 東京の交通に影響か"),
)


def is_one_story(*titles: str) -> bool:
    return group_stories(items(titles), NOTHING)["story_id"].n_unique() == 1


def test_likeness_makes_a_story() -> None:
    members = group_stories(items([*APIGEE, *SNOWDEN, "Gmail is down"]), NOTHING)
    assert parts(members) == {
        frozenset({"d0-0", "d0-1", "d0-2"}),
        frozenset({"d0-3", "d0-4"}),
        frozenset({"d0-5"}),
    }
    assert members.schema == STORY_MEMBERS


@pytest.mark.parametrize("titles", STORIES)
def test_scripts(titles: tuple[str, ...]) -> None:
    assert is_one_story(*titles)


@pytest.mark.parametrize(
    "titles",
    [
        ("Official Video", "Official Video"),
        ("Full Game Highlights", "FULL GAME HIGHLIGHTS"),
        ("Weekly discussion thread", "Weekly Discussion Thread"),
        ("Ask HN: What are you working on?", "Ask HN: What should I learn?"),
        ("12 March 2026", "12 March 2026"),
        ("", ""),
        ("🔥🔥🔥", "🔥🔥🔥"),
        ("今日", "今日"),
        ("Gülperi 8. Bölüm", "Gülperi 9. Bölüm"),
        ("The Dragon Prince: Episode 12", "The Dragon Prince: Episode 13"),
        ("Hermitcraft Grian S09E12: The Heist", "Hermitcraft Grian S09E13: The Trial"),
        ("進撃の巨人 第12話 予告", "進撃の巨人 第13話 予告"),
        ("Eat Bulaga Sugod Bahay November 13", "Eat Bulaga Sugod Bahay November 14"),
        ("Satisfying Slime Videos #272", "Satisfying Slime Videos #273"),
        ("Patriots vs. Bills Week 8 Highlights", "Browns vs. Steelers Week 8 Highlights"),
        (
            "AC Milan vs. Liverpool: Extended Highlights | UCL League Phase",
            "Galatasaray vs. PAOK: Extended Highlights | UCL League Phase",
        ),
        ("How to learn Python", "How to learn Rust"),
    ],
)
def test_what_repeats_is_not_a_story(titles: tuple[str, str]) -> None:
    assert not is_one_story(*titles)


def test_the_same_page_is_the_same_story() -> None:
    pages = ["https://example.org/a", "https://example.org/a", "https://example.org/b"]
    members = group_stories(items(["One", "Two", "Three"], canonical_url=pages), NOTHING)
    assert members["joined_by"].to_list() == ["first", "url", "first"]
    assert members["similarity"].to_list() == [None, None, None]
    assert members["story_id"].to_list() == [story_id_of(page) for page in [pages[0], *pages[1:]]]


def test_no_page_is_no_story() -> None:
    members = group_stories(items(["One", "Two"], canonical_url=["", ""]), NOTHING)
    assert members["story_id"].n_unique() == 2


def test_the_first_published_leads() -> None:
    rows = items(APIGEE)
    later = rows.with_columns(pl.col("published_at").reverse())
    members = group_stories(later, NOTHING)
    assert members["joined_by"].to_list() == ["title", "title", "first"]
    assert set(members["story_id"]) == {story_id_of("https://example.org/0/2")}
    assert members["similarity"].is_between(0.3, 1).to_list() == [True, True, None]


def test_an_unknown_time_does_not_lead() -> None:
    rows = items(APIGEE).with_columns(
        published_at=pl.when(pl.col("item_id") != "d0-0").then("published_at")
    )
    assert group_stories(rows, NOTHING)["joined_by"].to_list() == ["title", "first", "title"]


def test_a_story_goes_on_the_next_day() -> None:
    before = items(SNOWDEN[:1])
    known = as_known(group_stories(before, NOTHING), before)
    members = group_stories(items(SNOWDEN[1:], day=1), known)
    assert set(members["story_id"]) == set(known["story_id"])
    assert members["joined_by"].to_list() == ["first"]


def test_the_same_page_goes_on_the_next_day() -> None:
    pages = ["https://example.org/a", "https://example.org/b"]
    before = items(SNOWDEN, canonical_url=pages)
    known = as_known(group_stories(before, NOTHING), before)
    after = items(["Renamed", "And renamed"], day=1, canonical_url=pages)
    members = group_stories(after, known)
    assert set(members["story_id"]) == {story_id_of(pages[0])}
    assert members["joined_by"].to_list() == ["first", "url"]


def test_a_story_ends_with_its_window() -> None:
    before = items(SNOWDEN[:1])
    known = as_known(group_stories(before, NOTHING), before)
    options = StoryOptions(window_days=2)
    for day, same in ((2, True), (3, False)):
        members = group_stories(items(SNOWDEN[1:], day=day), known, options=options)
        assert (members["story_id"].to_list() == known["story_id"].to_list()) is same


def test_what_is_observed_later_changes_no_id() -> None:
    rows = items([SNOWDEN[1], "Gmail is down"])
    before = dict(group_stories(rows, NOTHING).select("item_id", "story_id").rows())
    more = items([SNOWDEN[0]], item_id=["later"], canonical_url=["https://example.org/new"])
    more = more.with_columns(
        pl.col("first_observed_at") + timedelta(hours=1),
        pl.col("published_at") - timedelta(hours=1),
    )
    after = dict(
        group_stories(pl.concat([more, rows]), NOTHING).select("item_id", "story_id").rows()
    )
    assert after == {**before, "later": before["d0-0"]}


def test_what_later_days_and_former_answers_say_has_no_say() -> None:
    rows = items(APIGEE)
    members = group_stories(rows, NOTHING)
    former = as_known(members, rows).with_columns(story_id="item_id")
    later = former.with_columns(pl.col("day").dt.offset_by("1d"))
    assert_frame_equal(group_stories(rows, pl.concat([former, later])), members)


def test_nothing() -> None:
    assert_frame_equal(group_stories(items([]), NOTHING), pl.DataFrame(schema=STORY_MEMBERS))


def test_a_story_keeps_one_id_from_day_to_day() -> None:
    days = [
        items([story[day % 2] for story in STORIES] + [f"Nothing {day}"], day=day)
        for day in range(4)
    ]
    members = group_stories(pl.concat(days), NOTHING)
    for number in range(len(STORIES)):
        ids = members.filter(pl.col("item_id").str.ends_with(f"-{number}"))["story_id"]
        assert ids.n_unique() == 1
    assert members["story_id"].n_unique() == len(STORIES) + 4


WORDS = st.sampled_from(
    ["snowden", "sxsw", "moscow", "the", "official", "video", "12", "13", "episode", "東京", "кот"]
)
TITLES = st.one_of(st.lists(WORDS, max_size=6).map(" ".join), st.text(max_size=30), st.none())


GIVEN = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), TITLES), max_size=14)


def made_of(given_rows: list[tuple[int, int, str | None]]) -> pl.DataFrame:
    return pl.concat(
        [
            items([]),
            *(
                items(
                    [title],
                    day=day,
                    item_id=[str(n)],
                    canonical_url=[f"https://example.org/{page}"],
                )
                for n, (day, page, title) in enumerate(given_rows)
            ),
        ]
    )


@settings(deadline=None, max_examples=examples(10))
@given(GIVEN)
def test_every_item_comes_back_once_in_any_order_and_again(
    given_rows: list[tuple[int, int, str | None]],
) -> None:
    rows = made_of(given_rows)
    members = group_stories(rows, NOTHING)
    key = ["workspace_id", "day", "source", "item_id"]
    assert_frame_equal(members.select(key), rows.select(key).sort(key))
    assert_frame_equal(group_stories(rows.reverse(), NOTHING), members)
    assert_frame_equal(group_stories(rows, as_known(members, rows)), members)
    firsts = members.filter(joined_by="first")
    assert firsts.height == members.select("day", "story_id").unique().height
    assert (members["similarity"].is_not_null() == (members["joined_by"] == "title")).all()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Daily Discussion Thread", "Daily Discussion Thread"),
        ("Monthly Self-Promotion Thread", "Monthly Self-Promotion Thread"),
        ("Moronic Monday - Your weekly questions thread",) * 2,
        ("Ask me anything", "Ask me anything"),
        ("Official Music Video", "Official Music Video"),
        ("Breaking News, Latest News and Videos | CNN",) * 2,
        ("Are you a robot? | Bloomberg", "Are you a robot? | Bloomberg"),
        ("Home | The New York Times", "Opinion | The New York Times"),
        ("Sable Finch (Official Video)", "Paper Lungs (Official Video)"),
        ("Cat rides a train - YouTube", "Song of a dog - YouTube"),
        ("Election results tonight | BBC News World", "New species of frog | BBC News World"),
    ],
)
def test_what_titles_have_in_common_with_all_others_is_no_story(left: str, right: str) -> None:
    members = group_stories(items([left, right]), NOTHING)
    assert members["story_id"].n_unique() == 2


@settings(deadline=None, max_examples=examples(8))
@given(GIVEN, st.sets(st.integers(1, 5)))
def test_days_together_are_grouped_as_one_after_the_other(
    given_rows: list[tuple[int, int, str | None]], cuts: set[int]
) -> None:
    rows = made_of(given_rows)
    at_once = group_stories(rows, NOTHING)
    known, parts_of = NOTHING, [at_once.clear()]
    edges = [0, *sorted(cuts), 6]
    for first, end in pairwise(edges):
        day = (pl.col("day") - FIRST).dt.total_days()
        some = rows.filter(day >= first, day < end)
        parts_of.append(group_stories(some, known))
        known = pl.concat([known, as_known(parts_of[-1], some)])
    assert_frame_equal(pl.concat(parts_of), at_once)


@settings(deadline=None, max_examples=examples(10))
@given(st.lists(GIVEN, min_size=2, max_size=3), st.integers(0, 4))
def test_workspaces_together_are_grouped_as_one_at_a_time(
    given_workspaces: list[list[tuple[int, int, str | None]]], cut: int
) -> None:
    alone, rows, known = [], [], []
    for number, given_rows in enumerate(given_workspaces):
        all_days = made_of(given_rows).with_columns(workspace_id=pl.lit(f"w{number}"))
        # What one workspace knows of the first days is not what another does.
        is_known = (pl.col("day") - FIRST).dt.total_days() < cut - number
        before, some = all_days.filter(is_known), all_days.filter(~is_known)
        known.append(as_known(group_stories(before, NOTHING), before))
        rows.append(some)
        alone.append(group_stories(some, known[-1]))
    together = group_stories(pl.concat(rows), pl.concat(known))
    assert_frame_equal(together, pl.concat(alone))


@pytest.mark.parametrize("seed", range(3))
def test_many_titles_of_workspaces_together_are_grouped_as_one_at_a_time(seed: int) -> None:
    chance = Random(seed)
    words = [f"{a}{b}" for a in ("ba", "ko", "mi", "tu") for b in ("rel", "don", "sik", "vam")]

    def made(workspace: int, day: int) -> pl.DataFrame:
        count = chance.randrange(5, 120)
        titles = [" ".join(chance.choices(words, k=chance.randrange(2, 6))) for _ in range(count)]
        return items(titles, day=day, workspace_id=[f"w{workspace}"] * count)

    each = [pl.concat(made(workspace, day) for day in range(2)) for workspace in range(3)]
    alone = [group_stories(rows, NOTHING) for rows in each]
    assert sum(some["joined_by"].eq("title").sum() for some in alone) > 0
    assert_frame_equal(group_stories(pl.concat(each), NOTHING), pl.concat(alone))
