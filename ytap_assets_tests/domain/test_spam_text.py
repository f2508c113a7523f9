from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.spam.model import MARKS, features_of, read_texts


def read(text: str) -> tuple[set[str], str]:
    """The names of the marks, and the words."""
    names = {mark: name for name, mark in MARKS.items()}
    marks, _, words = str(read_texts(pl.Series([text])).item()).partition(" ")
    return {names[mark] for mark in marks}, words.strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Check OUT my channel", "check out my channel"),
        ("so funny\ufeff", "so funny"),
        ("a&amp;b &#39;c&#39;<br />d", "a b c d"),
        ("it&#39;s <b>bold</b>", "it's bold"),
        ("see http://a.example/x?y=1 now", "see now"),
        ("www.youtube. com/watch?v=1 nice", "nice"),
        ("kidsmedia  . com ok", "ok"),
        ("\uff46\uff52\uff45\uff45", "free"),
        ("2,126,521 views", "0 000 000 views"),
        ("i <3 you > me", "i 0 you me"),
        ("", ""),
    ],
)
def test_the_words(text: str, words: str) -> None:
    assert read(text)[1] == words


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("nice", {"short"}),
        ("suscribe plz", {"subscribe", "please", "asks 1", "asks 2", "short"}),
        ("https://a.example/", {"link", "link away", "only a link", "short"}),
        ("a.com and b.net", {"link", "links", "link away", "only a link", "short"}),
        ("see youtu.be/x and watch?v=y", {"link", "links"}),
        ("me@mail.example", {"mail", "own", "asks 1", "short"}),
        ("THIS IS THE BEST!!!", {"capitals", "shouting", "short"}),
        ("win $50 with 12345 friends", {"money", "digits", "asks 1"}),
    ],
)
def test_the_marks(text: str, marks: set[str]) -> None:
    assert read(text)[0] == marks


def test_nothing_is_read_in_an_unknown_text() -> None:
    assert read_texts(pl.Series([None], dtype=pl.String)).to_list() == [None]


def test_runs_of_letters_stay_within_words() -> None:
    found = features_of(f"{MARKS['link']} ab cde ")
    assert found == {MARKS["link"], " ab", "ab ", " ab ", " cd", "cde", "de ", " cde", "cde "}


def test_every_mark_has_a_character_of_its_own() -> None:
    assert len(set(MARKS.values())) == len(MARKS)
    assert all(len(mark) == 1 for mark in MARKS.values())


@given(st.text())
def test_any_text_is_read_as_marks_and_words(text: str) -> None:
    one = str(read_texts(pl.Series([text])).item())
    marks, space, words = one.partition(" ")
    assert space
    assert set(marks) <= set(MARKS.values())
    assert not set(words) & set(MARKS.values())
