from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.phrases import (
    check_regex,
    find_phrases,
    join_regexes,
    mask_phrases,
    phrase_regexes,
)


def found(phrase: str, text: str) -> bool:
    (regex,) = phrase_regexes([phrase])
    return bool(pl.Series([text]).str.contains(regex)[0])


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("secret", "My SECRET recipe"),
        ("secret", "(secret)"),
        ("free robux", "Get Free\t ROBUX now"),
        ("café", "Le CAFÉ noir"),
        ("казино", "Лучшее КАЗИНО!"),
        ("c++", "C++ in 2026"),
        ("$$$", "win $$$ today"),
        ("\uff46\uff52\uff45\uff45", "free"),
        ("a.b", "a.b"),
        ("हिन्दी", "यह हिन्दी है"),
    ],
)
def test_finds_whole_words_in_any_script(phrase: str, text: str) -> None:
    assert found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("secret", "Secretary of State"),
        ("secret", "top-secrets"),
        ("ass", "Classic class"),
        ("caf", "café"),
        ("казино", "Казинорояль"),
        ("हिन्द", "हिन्दी"),
        ("a.b", "axb"),
        ("c++", "C+"),
        ("free robux", "free_robux"),
    ],
)
def test_never_finds_a_part_of_a_word(phrase: str, text: str) -> None:
    assert not found(phrase, text)


@given(st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip())), st.text())
def test_any_phrase_makes_a_valid_expression(phrase: str, text: str) -> None:
    assert found(phrase, text) in {True, False}


def test_a_very_long_list_is_split_into_expressions_that_compile() -> None:
    phrases = [f"phrase number {number} {'x' * 100}" for number in range(20_000)]
    regexes = phrase_regexes(phrases)
    assert len(regexes) > 1
    texts = pl.Series([phrases[0], phrases[-1], "phrase number"])
    hits = [texts.str.contains(regex).to_list() for regex in (regexes[0], regexes[-1])]
    assert hits == [[True, False, False], [False, True, False]]


def test_nothing_listed_is_nothing_to_find() -> None:
    assert phrase_regexes([]) == []
    assert join_regexes([]) == []


def test_masking_does_not_join_neighbours() -> None:
    frame = pl.DataFrame({"text": ["free lunch robux"]})
    masked = frame.select(mask_phrases(pl.col("text"), ["lunch"]))["text"]
    assert not masked.str.contains(phrase_regexes(["free robux"])[0])[0]
    assert not masked.str.contains("lunch")[0]


@given(
    st.lists(st.sampled_from(["Free Robux", "c++", "straße", "K9 unit", "$$$"]), max_size=3),
    st.lists(st.sampled_from(["free", "ROBUX", "C++", "STRASSE", "k9", "Unit", "$$$"]), max_size=5),
)
def test_the_quick_search_spares_no_text_that_holds_a_phrase(
    phrases: list[str], words: list[str]
) -> None:
    frame = pl.DataFrame({"text": ["  ".join(words)]})
    quick = frame.select(
        one.alias(str(n)) for n, one in enumerate(find_phrases(pl.col("text"), phrases))
    )
    slow = frame.select(
        pl.col("text").str.extract(regex, 0).alias(str(n))
        for n, regex in enumerate(phrase_regexes(phrases))
    )
    assert quick.to_dicts() == slow.to_dicts()


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("(", "unclosed group"),
        ("(?=x)", "look-around"),
        (r"(x)\1", "backreferences are not supported"),
        ("(a{1000}){1000}", "exceeds size limit"),
        ("x*", "empty text"),
        ("x" * 501, "at most 500"),
    ],
)
def test_an_expression_is_refused_in_the_engines_words(regex: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_regex(regex)


def test_an_expression_is_given_back() -> None:
    assert check_regex(r"(?i)\bx\b") == r"(?i)\bx\b"


@given(st.text(max_size=20))
def test_any_expression_is_taken_or_refused(regex: str) -> None:
    try:
        checked = check_regex(regex)
    except ValueError:
        return
    assert pl.Series(["abc"]).str.contains(checked).len() == 1
