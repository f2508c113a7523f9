from __future__ import annotations

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.text import CLEAN_CHARACTERS, join_scripts, normalize_texts, read_plainly


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
    assert read_plainly(normalize_texts(pl.Series([text]))["clean"]).to_list() == [text]
