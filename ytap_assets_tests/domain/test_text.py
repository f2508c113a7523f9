"""Text normalization, and the comparison of titles."""

from __future__ import annotations

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.text import (
    CLEAN_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    comparable_titles,
    join_scripts,
    normalize_texts,
    plain_punctuation,
)
from ytap_assets_tests.effort import examples


def forms(text: str) -> tuple[str, str, str]:
    clean, normal, searched = normalize_texts(pl.Series([text])).row(0)
    return clean, normal, searched


@pytest.mark.parametrize(
    ("text", "clean", "normal", "searched"),
    [
        ("Plain Text", "Plain Text", "Plain Text", "Plain Text"),
        ("a_b", "a_b", "a b", "a b"),
        ("AT&amp;T", "AT&T", "AT&T", "at&t"),
        ("R&D & more;", "R&D & more;", "R&D & more;", "r&d & more;"),
        ("X\u2122 y", "X  y", "X  y", "x  y"),
        ("\uff21\uff22", "AB", "AB", "ab"),
        ("Caf\u00e9", "Caf\u00e9", "Cafe\u0301", "cafe"),
        ("AIの話", "AIの話", "AI\x1fの話\x1f", "ai\x1fの話\x1f"),
        ("don\u2019t", "don\u2019t", "don't", "don't"),
    ],
)
def test_the_forms_of_a_text(text: str, clean: str, normal: str, searched: str) -> None:
    assert forms(text) == (clean, normal, searched)


def test_unknown_texts_stay_unknown() -> None:
    texts = pl.Series([None, "Café", None], dtype=pl.String)
    assert normalize_texts(texts).select(pl.all().null_count()).row(0) == (2, 2, 2)
    assert texts.to_list() == [None, "Café", None]


def test_a_text_without_edges_reads_on() -> None:
    normal = normalize_texts(pl.Series(["Café、AIの話"]))
    assert normal.select(join_scripts(pl.col("normal"))).item() == "Café、AIの話"


@given(st.text())
def test_a_clean_text_is_normalized_and_holds_nothing_invisible(text: str) -> None:
    clean, _, _ = forms(text)
    assert unicodedata.is_normalized("NFKC", clean)
    unseen = [c for c in clean if unicodedata.category(c) in {"Cf", "Cc"} and not c.isspace()]
    assert unseen == []


def test_characters_that_need_no_cleaning_are_clean_next_to_any_other() -> None:
    """None of them changes, and none joins with the character before it."""
    spans = re.findall(r"(\\x\{?\w+\}?|\\[tnr])(?:-(\\x\{?\w+\}?))?", CLEAN_CHARACTERS)
    letters = {r"\t": 9, r"\n": 10, r"\r": 13}

    def code(text: str) -> int:
        return letters.get(text) or int(text.strip("\\x{}"), 16)

    clean = {chr(n) for a, b in spans for n in range(code(a), code(b or a) + 1)}
    assert len(clean) > 40_000
    assert [c for c in clean if not unicodedata.is_normalized("NFKC", c)] == []
    assert [c for c in clean if unicodedata.combining(c)] == []
    every = map(chr, range(0xFFFF))
    apart = (unicodedata.decomposition(c).split() for c in every)
    second = {chr(int(pair[1], 16)) for pair in apart if len(pair) == 2 and "<" not in pair[0]}
    assert clean & second == set()
    assert clean & set("\u2122\u00ae\u00a9\u00b4\u200b\u00ad") == set()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&")))
def test_printable_ascii_is_clean_but_for_entities(text: str) -> None:
    """What is checked of a pattern's characters relies on it."""
    assert plain_punctuation(normalize_texts(pl.Series([text]))["clean"]).to_list() == [text]


NOTHING = [
    *("Just a moment...", "Just a moment\u2026", "One moment, please...", "Nur einen Moment..."),
    *("Un momento...", "Un instant\u2026", "Um momento\u2026", "请稍候…"),
    *("しばらくお待ちください...", "Один момент…", "잠시만 기다리십시오…", "Bir dakika lütfen…"),
    *("Bloomberg - Are you a robot?", "Are you a human?", "Robot or human?"),
    *("Please verify you are a human", "Access to this page has been denied", "Human Verification"),
    *("Access to this page has been denied.", "Checking your browser before accessing a.example."),
    *("DDoS protection by Cloudflare", "Vercel Security Checkpoint", "Client Challenge"),
    *("Making sure you're not a bot!", "Making sure you\u2019re not a bot!", "reCAPTCHA"),
    *("Making sure you&#39;re not a bot!", "Attention Required! | Cloudflare", "Access Denied"),
    *("JavaScript is not available.", "Sorry, you have been blocked | Cloudflare"),
    *("400 Bad Request", "403 Forbidden", "404 Not Found", "404", "404 - Page not found"),
    *("429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway"),
    *("503 Service Temporarily Unavailable", "503 Service Unavailable", "504 Gateway Time-out"),
    *("Bad Gateway", "Error 404 (Not Found)!!1", "a.example | 502: Bad gateway", "Error 1020"),
    *(
        "HTTP Status 404 \u2013 Not Found",
        "Service Unavailable",
        "Page not found \u00b7 GitHub Pages",
    ),
    *(
        "[removed by moderator]",
        "[ Removed by Reddit ]",
        "[deleted by user]",
        "[removed]",
        "deleted",
    ),
    *("[Private video]", "[Deleted video]", "This video is unavailable", "Vídeo privado"),
    *("非公開動画", "[이 글은 삭제되었습니다]", "Dieses Video ist nicht verfügbar"),
    *("Reddit - Dive into anything", "Reddit - The heart of the internet", "Log in", "Sign in"),
    *("Subscribe to read | Financial Times", "Before you continue to YouTube"),
    *("Welcome to nginx!", "Index of /", "Untitled document", "Loading...", "Redirecting..."),
    *("just a mo\u00adment", "\uff2a\uff55\uff53\uff54 a moment", "???", "\U0001f525", "", "  "),
]
TITLES = [
    *("Robot or human? The question of our time", "Just a moment in time", "Are you a robot lover"),
    *("404 Media is hiring", "500 Miles", "500-million-year-old sea creature unearthed"),
    *("Forbidden City opens", "The 404 page as art", "Not found: the missing plane over the sea"),
    *("Removed from office", "Error handling in Rust", "Access denied to journalists in Gaza"),
    *('"Permission denied" - How I found and worked around an annoying quirk', "Deleted scenes"),
    *(
        "Show HN: A 404 page not found game",
        "Loading docks are back",
        "Gone girl",
        "One moment more",
    ),
    *(
        "[Removed] scenes of a film",
        "How Cloudflare's DDoS protection works",
        "Video privacy in 2025",
    ),
]


def compare(*titles: str | None) -> list[str | None]:
    return comparable_titles(pl.Series(titles, dtype=pl.String)).to_list()


@pytest.mark.parametrize("title", NOTHING)
def test_what_names_nothing_is_compared_with_nothing(title: str) -> None:
    assert compare(title, None) == [None, None]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_that_only_begins_so_is_one(title: str) -> None:
    assert compare(title) != [None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Title &amp; thirty", "Title & thirty"),
        ("Don&#39;t look up", "Don\u2019t  LOOK up!"),
        ("AT&amp;T", "AT&T"),
        ("Vol\u00adcano \u2764\ufe0f", "volcano \u2764"),
        ("\uff26ive chips -- that changed", "Five chips: that changed?"),
        ("STRASSE", "Straße"),
        ("caf\u00e9", "cafe\u0301"),
        ("c\u0430sino", "casino"),
        ("iPhone\u2122 17", "iPhone 17"),
        ("x" * MAX_TITLE_CHARACTERS, "x" * MAX_TITLE_CHARACTERS + "y"),
    ],
)
def test_spellings_of_a_title_are_one(one: str, other: str) -> None:
    first, second = compare(one, other)
    assert first is not None
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Learn C++ today", "Learn C# today"),
        ("Learn C++ today", "Learn C today"),
        ("Mi año", "Mi ano"),
        ("मै", "म"),
        ("Part 2", "Part 3"),
        ("東京 速報", "大阪 速報"),
    ],
)
def test_different_titles_stay_two(one: str, other: str) -> None:
    assert len({*compare(one, other)} - {None}) == 2


@settings(max_examples=examples(40))
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=6))
def test_a_title_is_compared_by_itself_alone(titles: list[str | None]) -> None:
    assert compare(*titles) == [one for title in titles for one in compare(title)]


@pytest.mark.parametrize(
    "title",
    [
        "Unusual traffic jams on I-95 baffle drivers",
        "DDoS protection by Cloudflare explained",
        "Checking your browser history: the law",
        "Application error rates at AWS rise",
        "Enable Cookies in Safari 12",
        "Prove you are human or die trying",
        "Deleted by user error: how GitLab lost data",
        "Please wait while we change the world",
        "[deleted scenes]!",
    ],
)
def test_headlines_that_begin_like_an_answer_are_titles(title: str) -> None:
    assert comparable_titles(pl.Series([title])).null_count() == 0
