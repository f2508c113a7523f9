"""Topics against the topics of their workspace."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.stories import find_same_topics, read_titles
from ytap_assets_tests.effort import examples

START = date(2026, 11, 1)
CABLE = "Undersea cable cut near Iceland leaves three countries offline"
AGAIN = "Three countries offline after undersea cable cut near Iceland"
WORDS = ["cable", "Iceland", "Monsanto", "takeover", "turbine", "glacier", "the", "how", "3", "II"]
LIKE = "I spent 24 hours robbing banks with {} cars on GTA roleplay"
KINDS = (
    *("cursed", "flying", "tiny", "wooden", "frozen", "invisible", "golden", "police"),
    *("broken", "striped", "paper", "giant", "square", "electric", "muddy", "haunted"),
)
FORMULA = [LIKE.format(kind) for kind in KINDS]
TITLES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join) | st.sampled_from(
    [CABLE, AGAIN, f"{CABLE}, part 2", "Just a moment...", "!!!"]
)
WORLDS = st.lists(
    st.tuples(TITLES, st.sampled_from([None, "https://a.example/1", "https://a.example/2"])),
    min_size=1,
    max_size=12,
)


def topics(*rows: dict[str, Any]) -> pl.DataFrame:
    """Topics of `tech`, one a day, as asked and known ones."""
    usual = {"workspace_id": "tech", "title": None, "canonical_url": None, "story_id": None}
    days = {"at": START, "since": START, "until": None}
    given_rows = [
        usual
        | {name: START + timedelta(number) if day else None for name, day in days.items()}
        | row
        for number, row in enumerate(rows)
    ]
    text = dict.fromkeys(usual, pl.String)
    frame = pl.DataFrame(given_rows, schema={**text, **dict.fromkeys(days, pl.Date)})
    return frame.with_columns(read_titles(frame["title"]).get_columns())


def titled(*titles: str | None) -> pl.DataFrame:
    return topics(*({"title": title} for title in titles))


def same(asked: pl.DataFrame, known: pl.DataFrame | None = None) -> list[tuple[int, int, str]]:
    """The pairs of different topics, the later one first."""
    pairs = find_same_topics(asked, asked if known is None else known)
    if known is None:
        pairs = pairs.filter(pl.col("asked") > pl.col("known"))
    return pairs.rows()


@pytest.mark.parametrize(
    ("title", "other"),
    [
        (CABLE, AGAIN),
        (CABLE, "BREAKING: undersea cable near Iceland cut, three countries are offline!"),
        (
            "Il cavo sottomarino tranciato al largo dell'Islanda: tre paesi senza internet",
            "Tre paesi senza internet: tranciato il cavo sottomarino al largo dell'Islanda",
        ),
        (
            "アイスランド沖で海底ケーブル切断、三カ国が停電",
            "海底ケーブル切断で三カ国が停電、アイスランド沖",
        ),
    ],
)
def test_a_reworded_title_is_similar(title: str, other: str) -> None:
    assert same(titled(title, other)) == [(1, 0, "similar")]


@pytest.mark.parametrize(
    ("title", "other"),
    [
        (f"{CABLE}, part 1", f"{CABLE}, part 2"),
        (f"{CABLE} (Teil drei)", f"{CABLE} (Teil vier)"),
        (f"{CABLE} - Parte II", f"{CABLE} - Parte III"),
        (f"{CABLE}: episode 12", f"{CABLE}: episode 13"),
        ("Python per principianti: lezione 1", "Python per principianti: lezione 2"),
        (CABLE, "A cheese museum opens its doors in Iceland"),
        (CABLE, "Undersea cable repaired"),
        (
            "Home office setup professionale - Tutti Ne Parlano!",
            "Strategie di produttività con AI tools - Tutti Ne Parlano!",
        ),
    ],
)
def test_parts_of_a_series_and_other_stories_are_different(title: str, other: str) -> None:
    assert same(titled(title, other)) == []


def test_equal_titles_are_the_same_topic_however_short() -> None:
    assert same(titled("T", "t!")) == [(1, 0, "title")]


@pytest.mark.parametrize("title", [None, "!!!", "", "Just a moment...", "[deleted]"])
def test_a_text_that_is_not_a_title_is_no_topic(title: str | None) -> None:
    assert same(titled(title, title)) == []


def test_pages_and_stories_are_compared() -> None:
    page = {"canonical_url": "https://a.example/1"}
    rows = topics(page, page | {"story_id": "s"}, {"story_id": "s"}, {"title": CABLE})
    assert same(rows) == [(1, 0, "page"), (2, 1, "story")]


def test_the_most_certain_reason_is_given() -> None:
    row = {"title": CABLE, "canonical_url": "https://a.example/1", "story_id": "s"}
    assert same(topics(row, row)) == [(1, 0, "page")]
    assert same(topics(row, {**row, "canonical_url": None})) == [(1, 0, "title")]
    assert same(topics(row, {"title": AGAIN, "story_id": "s"})) == [(1, 0, "similar")]


def test_what_a_channel_repeats_in_its_titles_proves_nothing() -> None:
    found = same(titled(*FORMULA))
    assert found[0] == (1, 0, "similar")  # nothing says yet that it is a formula
    assert not [pair for pair in found if pair[0] >= 12]
    assert same(titled(*FORMULA, CABLE, AGAIN))[-1] == (17, 16, "similar")


def test_topics_that_ended_or_come_later_are_no_earlier_topics() -> None:
    known = titled(*FORMULA)
    asked = titled(LIKE.format("rusty")).with_columns(at=pl.lit(START + timedelta(30)))
    assert same(asked, known) == []
    ended = known.with_columns(
        until=pl.when(pl.int_range(pl.len()) > 1).then(pl.lit(START + timedelta(20)))
    )
    assert len(same(asked, ended)) == known.height
    assert len(same(asked, known.with_columns(since=pl.lit(START + timedelta(30))))) == known.height
    assert same(asked, known.with_columns(since=pl.lit(None, pl.Date))) == []


def test_nothing_is_compared_with_nothing() -> None:
    rows = titled(CABLE)
    for asked, known in ((rows.clear(), rows), (rows, rows.clear()), (rows.clear(), rows.clear())):
        assert same(asked, known) == []


@settings(max_examples=examples(25), deadline=None)
@given(WORLDS, WORLDS, st.randoms(use_true_random=False))
def test_neither_other_workspaces_nor_the_order_of_rows_matter(
    world: list[tuple[str, str | None]], other: list[tuple[str, str | None]], chance: Any
) -> None:
    rows, others = (
        topics(*({"title": title, "canonical_url": url} for title, url in one))
        for one in (world, other)
    )
    alone = find_same_topics(rows, rows)
    both = pl.concat([rows, others.with_columns(workspace_id=pl.lit("food"))])
    order = chance.sample(range(both.height), both.height)
    shuffled = both[order]
    found = {
        (order[asked], order[known], what)
        for asked, known, what in find_same_topics(shuffled, shuffled).rows()
    }
    pairs = {row for row in found if min(row[0], row[1]) < rows.height}
    assert pairs == set(alone.rows())


@settings(max_examples=examples(25), deadline=None)
@given(WORLDS, st.integers(0, 11), st.integers(0, 11))
def test_a_few_have_the_pairs_that_they_have_among_all(
    world: list[tuple[str, str | None]], first: int, count: int
) -> None:
    rows = topics(*({"title": title, "canonical_url": url} for title, url in world))
    asked = rows.slice(first, count)
    whole = find_same_topics(rows, rows)
    expected = {row for row in whole.rows() if first <= row[0] < first + count}
    assert {(a + first, *rest) for a, *rest in same(asked, rows)} == expected
    # Later topics change nothing about earlier ones.
    earlier = rows.head(first)
    assert same(earlier, earlier) == [
        row for row in whole.rows() if row[0] < first and row[1] < first
    ]


@settings(max_examples=examples(25), deadline=None)
@given(
    st.lists(st.sampled_from("\u00ad\u200b\u200d\u2060\ufe0f\ufeff"), min_size=1, max_size=5),
    st.integers(0, len(CABLE)),
)
def test_invisible_characters_make_no_difference(signs: list[str], at: int) -> None:
    hidden = CABLE[:at] + "".join(signs) + CABLE[at:]
    assert same(titled(AGAIN, hidden)) == [(1, 0, "similar")]
    assert same(titled(CABLE, hidden)) == [(1, 0, "title")]
