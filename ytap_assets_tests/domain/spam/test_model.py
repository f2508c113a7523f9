"""The learned classifier: features, weights, files of other people."""

from __future__ import annotations

import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from ytap_assets.domain.spam.model import (
    FEATURES_VERSION,
    FORMAT_VERSION,
    KIND,
    MARKS,
    MAX_FEATURES,
    SpamModel,
    extract_features,
    tokenize_texts,
)
from ytap_assets.domain.spam.rules import RULE_PRECISION
from ytap_assets.errors import ConfigError
from ytap_assets_tests.effort import examples


def read(text: str) -> tuple[set[str], str]:
    """The names of the marks, and the words."""
    names = {mark: name for name, mark in MARKS.items()}
    marks, _, words = str(tokenize_texts(pl.Series([text])).item()).partition(" ")
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
    assert tokenize_texts(pl.Series([None], dtype=pl.String)).to_list() == [None]


def test_runs_of_letters_stay_within_words() -> None:
    found = extract_features(f"{MARKS['link']} ab cde ")
    assert found == {MARKS["link"], " ab", "ab ", " ab ", " cd", "cde", "de ", " cde", "cde "}


def test_every_mark_has_a_character_of_its_own() -> None:
    assert len(set(MARKS.values())) == len(MARKS)
    assert all(len(mark) == 1 for mark in MARKS.values())


@given(st.text())
def test_any_text_is_read_as_marks_and_words(text: str) -> None:
    one = str(tokenize_texts(pl.Series([text])).item())
    marks, space, words = one.partition(" ")
    assert space
    assert set(marks) <= set(MARKS.values())
    assert not set(words) & set(MARKS.values())


CONTENT = {
    "kind": KIND,
    "format_version": FORMAT_VERSION,
    "features_version": FEATURES_VERSION,
    "bias": -2000,
    "rules": {"blocklist": 950, "emoji_excess": 200},
    "weights": {"#link": 3000, "#short": 0, " fr": 500, "free": 1500},
}
MODEL = SpamModel.from_dict(CONTENT)


def test_a_judgement_is_the_sum_of_what_each_feature_says() -> None:
    texts = pl.Series("title", ["free free", "see http://a.example", "Freedom", "", None])
    assert_series_equal(MODEL.log_odds(texts), pl.Series("title", [0.0, 1.0, 0.0, -2.0, None]))


def test_a_probability_is_the_odds_as_a_share() -> None:
    (free, none) = MODEL.probabilities(pl.Series(["free", None]))
    assert free == pytest.approx(0.5)
    assert none is None
    assert SpamModel(100_000, {}).probabilities(pl.Series(["x"])).item() == pytest.approx(1)


def test_what_was_learned_takes_weight_from_a_rule_and_adds_none() -> None:
    assert MODEL.precision("emoji_excess") == pytest.approx(0.2)
    assert MODEL.precision("blocklist") == MODEL.precision("unseen") == RULE_PRECISION


def test_a_model_survives_its_file() -> None:
    again = SpamModel.from_dict(json.loads(json.dumps(MODEL.to_dict())))
    assert again == MODEL
    assert again.to_dict() == CONTENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not a spam model"),
        ([], "not a spam model"),
        ({}, "not a spam model"),
        ({**CONTENT, "kind": "cat"}, "not a spam model"),
        ({**CONTENT, "features_version": FEATURES_VERSION + 1}, "features_version: 2, expected 1"),
        ({**CONTENT, "format_version": 1}, "format_version: 1, expected 2; train the model again"),
        ({**CONTENT, "rules": []}, "rules: not a mapping"),
        ({**CONTENT, "rules": {"blocklist": 1000}}, r"rules\.blocklist: not a whole number"),
        ({**CONTENT, "rules": {"blocklist": -1}}, r"rules\.blocklist: not a whole number"),
        ({**CONTENT, "rules": {"blocklist": 0.5}}, r"rules\.blocklist: not a whole number"),
        ({**CONTENT, "features_version": "1"}, "features_version"),
        ({**CONTENT, "features_version": True}, "features_version"),
        ({**CONTENT, "bias": None}, "bias: not a whole number"),
        ({**CONTENT, "bias": math.nan}, "bias: not a whole number"),
        ({**CONTENT, "bias": True}, "bias: not a whole number"),
        ({**CONTENT, "bias": 10**9}, "bias: not a whole number"),
        ({**CONTENT, "weights": []}, "weights: not a mapping"),
        ({**CONTENT, "weights": dict.fromkeys(range(MAX_FEATURES + 1), 1)}, "weights: not a"),
        ({**CONTENT, "weights": {"free": "1"}}, r"weights\.free: not a whole number"),
        ({**CONTENT, "weights": {"free": 1.5}}, r"weights\.free: not a whole number"),
        ({**CONTENT, "weights": {"freedom": 1}}, "'freedom' is not a feature"),
        ({**CONTENT, "weights": {"#free": 1}}, "'#free' is not a feature"),
        ({**CONTENT, "weights": {7: 1}}, "'7' is not a feature"),
    ],
)
def test_what_is_no_model_is_refused(content: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpamModel.from_dict(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(CONTENT)), json_values)
def test_any_content_is_a_model_or_refused(key: str, value: object) -> None:
    try:
        model = SpamModel.from_dict({**CONTENT, key: value})
    except ConfigError:
        return
    assert model.log_odds(pl.Series(["free"])).len() == 1


@settings(max_examples=examples(40))
@given(st.lists(st.none() | st.text(), max_size=8))
def test_each_text_is_judged_alone(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    together = MODEL.log_odds(series).to_list()
    assert together == MODEL.log_odds(series.reverse()).to_list()[::-1]
    assert together == [MODEL.log_odds(series[n : n + 1]).item() for n in range(len(texts))]


@pytest.mark.parametrize(
    "hostile",
    [
        "free " * 1_000_000,
        "\x00" * 1000,
        "<" * 100_000,
        "&amp;" * 100_000,
        "a." * 100_000,
        "\u202efree\u202c",
        "\U0001f525" * 100_000,
        "".join(MARKS.values()),
    ],
    ids=["long", "nul", "tags", "entities", "dots", "bidi", "emoji", "private"],
)
def test_hostile_texts_are_judged(hostile: str) -> None:
    assert math.isfinite(MODEL.log_odds(pl.Series([hostile])).item())


def test_a_text_cannot_bring_marks_of_its_own() -> None:
    assert MODEL.log_odds(pl.Series([MARKS["link"]])).item() == -2
