from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.scoring.final_score import Topic, match_topics
from ytap_assets.sources.importing import read_trend_file
from ytap_assets_tests.effort import examples

TECH = Topic(keywords=("Rust", "machine learning", "C++"), vertical="technology")
Matched = list[tuple[list[str], bool]]


def match(titles: list[str], topic: Topic, category: str | None = None) -> Matched:
    items = pl.DataFrame(
        {"workspace_id": "tech", "title": titles, "category": [category] * len(titles)},
        schema={"workspace_id": pl.String, "title": pl.String, "category": pl.String},
    )
    return match_topics(items, {"tech": topic}).select("matched", "is_other_language").rows()


@pytest.mark.parametrize(
    ("title", "matched"),
    [
        ("Why RUST is fast", ["Rust"]),
        ("Trust nobody", []),
        ("C++ and rust for machine\tlearning", ["Rust", "machine learning", "C++"]),
        ("The technology behind it", ["technology"]),
        ("\uff32\uff55\uff53\uff54", ["Rust"]),
        ("", []),
        ("\x00", []),
    ],
)
def test_matches_whole_phrases_in_the_order_of_the_config(title: str, matched: list[str]) -> None:
    assert match([title], TECH) == [(matched, False)]


@pytest.mark.parametrize(
    ("title", "matched"),
    [
        ("日本の人工知能研究が急成長している理由", ["人工知能"]),
        ("最新のAIモデルを比較してみた", ["AI"]),
        ("AT&amp;T\u2019s AI\u2122", ["AI", "AT&T"]),
        ("京都の紅葉が見頃を迎える", []),
    ],
)
def test_keywords_are_found_in_every_script(title: str, matched: list[str]) -> None:
    topic = Topic(keywords=("人工知能", "量子", "AI", "AT&T"), vertical="テック", language="ja")
    assert match([title], topic)[0][0] == matched


def test_a_phrase_of_title_and_category_counts_once() -> None:
    assert match(["Rust and C++"], TECH, category="C++ technology") == [
        (["Rust", "C++", "technology"], False)
    ]


def test_a_subreddit_says_what_its_posts_are_about() -> None:
    assert match(["Look at this"], TECH, category="rust") == [(["Rust"], False)]


def test_what_only_the_category_holds_is_told_from_what_the_title_holds() -> None:
    items = pl.DataFrame(
        {
            "workspace_id": "tech",
            "title": ["Rust and C++", "Look at this"],
            "category": ["C++ technology", "rust"],
        }
    )
    assert match_topics(items, {"tech": TECH})["matched_in_title"].to_list() == [
        ["Rust", "C++"],
        [],
    ]


def test_without_phrases_nothing_matches() -> None:
    assert match(["Rust", "Go"], Topic()) == [([], False), ([], False)]
    assert match([], Topic()) == []
    assert match([], TECH) == []


def test_blank_and_repeated_phrases_are_left_out() -> None:
    assert Topic(keywords=("rust", " ", "RUST", ""), vertical="Rust").phrases == ["Rust"]


def test_a_phrase_far_into_a_huge_title_is_not_looked_for() -> None:
    assert match(["x " * 5_000_000 + "rust"], TECH) == [([], False)]


@pytest.mark.parametrize(
    ("language", "title", "is_other"),
    [
        ("en", "Медведь и Маша: Halloween песни для детей", True),
        ("en", "제주도 뱃고동 대신 울리는 클락션", True),
        ("en", "Das ist nicht der Weg", True),
        ("en", "Der Spiegel: the story behind it", False),
        ("en", "Angela Merkel", False),
        ("en", "Москва: the city that never sleeps", False),
        ("en", "東京", False),
        ("en", "🎃🎃🎃🎃🎃🎃🎃", False),
        ("en", "", False),
        ("de", "How to make bread with the kids", True),
        ("de-AT", "Das ist nicht der Weg", False),
        ("ru", "25 COOL HAIRSTYLES TO MAKE UNDER A MINUTE", True),
        ("ru", "Как сделать хлеб", False),
        ("ja", "新しいMacBook Air、登場", False),
        ("pl", "Jak zrobić chleb", False),
        ("pl", "Как сделать хлеб", True),
        ("tlh", "Как сделать хлеб", False),
        ("ka", "Как сделать хлеб", True),
        ("ka", "როგორ გამოვაცხოთ პური", False),
        ("hi", "Roti kaise banaye ghar par", True),
        ("hi-Latn", "Roti kaise banaye ghar par", False),
        ("hi_Latn_IN", "रोटी कैसे बनाएं", True),
        ("sr-Cyrl", "Kako se pravi hleb", True),
        ("zh_Hant", "如何製作麵包的方法", False),
        ("sr", "Kako se pravi hleb", False),
        ("sr", "Домаћи ђувеч и љута паприка", False),
        ("sr", "日本の人工知能研究が急成長", True),
    ],
)
def test_only_what_is_plainly_another_language_is_called_so(
    language: str, title: str, is_other: bool
) -> None:
    assert match([title], Topic(language=language)) == [([], is_other)]


@pytest.mark.parametrize("language", ["tlh", "br", "ka", "pl", "en"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_title_is_judged_in_every_language(language: str, count: int) -> None:
    found = match(["25 COOL HAIRSTYLES"] * count, Topic(language=language))
    assert found == [([], language == "ka")] * count


@pytest.mark.real_data
def test_english_titles_are_not_taken_for_another_language(real_data: Path) -> None:
    files = sorted((real_data / "hacker_news").glob("stories_*.csv.gz"))
    if not files:
        pytest.skip("no tables of Hacker News stories")
    fetch = read_trend_file(
        files[0],
        workspace_id="tech",
        source="hn",
        observed_on=date(2026, 1, 1),
        now=datetime(2026, 11, 20, tzinfo=UTC),
        run_id="test",
    )
    flagged = match_topics(fetch.rows, {"tech": Topic(language="en")})["is_other_language"]
    assert fetch.rows.height > 0
    assert flagged.sum() <= 0.001 * fetch.rows.height


@settings(max_examples=examples(40))
@given(st.lists(st.text(max_size=60), max_size=5), st.lists(st.text(max_size=20), max_size=4))
def test_any_title_and_any_phrase_can_be_matched(titles: list[str], phrases: list[str]) -> None:
    topic = Topic(keywords=tuple(phrases))
    found = match(titles, topic)
    assert len(found) == len(titles)
    assert {phrase for matched, _ in found for phrase in matched} <= set(topic.phrases)


def shuffled_pairs() -> list[tuple[str, list[str]]]:
    return [("rust", ["Rust"]), ("go", []), ("technology", ["technology"])]


@pytest.mark.parametrize("arrange", [list, lambda pairs: pairs[::-1]])
def test_each_title_is_matched_by_itself(
    arrange: Callable[[list[tuple[str, list[str]]]], list[tuple[str, list[str]]]],
) -> None:
    pairs = arrange(shuffled_pairs())
    assert [m for m, _ in match([t for t, _ in pairs], TECH)] == [m for _, m in pairs]
