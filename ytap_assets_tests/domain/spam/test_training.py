"""Training of a model."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.spam.rules import RULE_PRECISION
from ytap_assets.domain.spam.training import train_spam_model
from ytap_assets.errors import ConfigError

SPAM = ("check out my channel", "please subscribe to me", "subscribe to my channel please")
HONEST = ("what a lovely song", "two billion views", "the robot dances well", "lovely robot")
TEXTS = pl.Series([*SPAM, *HONEST])
LABELS = pl.Series([True] * len(SPAM) + [False] * len(HONEST))
MODEL = train_spam_model(TEXTS, LABELS)


def test_what_was_learned_is_told_apart() -> None:
    assert (MODEL.log_odds(TEXTS) > 0).to_list() == LABELS.to_list()


def test_it_carries_over_to_other_words_and_slips() -> None:
    spam, honest = MODEL.log_odds(pl.Series(["suscribe to my chanell", "a song of the view"]))
    assert spam > 0 > honest


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(TEXTS))))
def test_the_order_of_the_texts_does_not_matter(order: list[int]) -> None:
    assert train_spam_model(TEXTS[order], LABELS[order]) == MODEL


def test_a_text_that_comes_often_counts_once() -> None:
    again = train_spam_model(pl.concat([TEXTS, TEXTS[:2]]), pl.concat([LABELS, LABELS[:2]]))
    assert again == MODEL


def test_texts_without_a_clear_label_are_left_out() -> None:
    texts = pl.Series(["so so", "so so", None, "unlabelled"])
    labels = pl.Series([True, False, True, None])
    assert train_spam_model(pl.concat([TEXTS, texts]), pl.concat([LABELS, labels])) == MODEL


@pytest.mark.parametrize("label", [True, False])
def test_there_must_be_spam_and_honest_texts(label: bool) -> None:
    with pytest.raises(ConfigError, match="both spam and other texts"):
        train_spam_model(TEXTS, pl.Series([label] * len(TEXTS)))
    with pytest.raises(ConfigError, match="both spam and other texts"):
        train_spam_model(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.Boolean))


def test_probabilities_are_those_of_the_place_of_use() -> None:
    rare = train_spam_model(TEXTS, LABELS, spam_share=0.001)
    share = len(SPAM) / len(TEXTS)
    shift = math.log(share / (1 - share)) - math.log(0.001 / 0.999)
    moved = MODEL.log_odds(TEXTS) - rare.log_odds(TEXTS)
    assert moved.to_list() == pytest.approx([shift] * len(TEXTS), abs=0.002)


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, math.nan])
def test_a_share_of_spam_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="spam share"):
        train_spam_model(TEXTS, LABELS, spam_share=share)


def test_how_often_rules_are_right_beyond_chance_is_learned() -> None:
    matched = [f"follow me on {n} stars" for n in "abcdefgh"]
    others = [f"a {n} day" for n in "abcdefg"]
    texts = pl.Series([*matched, "get rich quick", *others])
    spam = pl.Series([True] * 5 + [False] * 3 + [True] + [True] * 2 + [False] * 5)
    learned = train_spam_model(texts, spam)
    assert set(learned.precisions) == {"pattern: follow me", "blocklist"}
    # Half of the texts are spam; with the prior, 21 of 28 matches are right.
    assert learned.precision("pattern: follow me") == pytest.approx(
        (21 / 28 - 0.5) / 0.5, abs=0.001
    )
    assert learned.precision("blocklist") == RULE_PRECISION


def test_a_rule_that_is_right_less_often_than_chance_is_no_evidence() -> None:
    texts = pl.Series([*(f"no{'o' * 30} {n}" for n in "abcdefghijkl"), *SPAM])
    spam = pl.Series([False] * 12 + [True] * 3)
    assert train_spam_model(texts, spam).precision("repeated_characters") < 0.25
    spam = pl.Series([False] * 12 + [True] * 3)
    many = pl.concat(
        [texts, pl.Series([f"check out my channel {n}" for n in "abcdefghijklmnopqrst"])]
    )
    labels = pl.concat([spam, pl.Series([True] * 20)])
    assert train_spam_model(many, labels).precision("repeated_characters") == 0


def test_the_largest_curvature_bounds_the_steps() -> None:
    """A step too long would make the weights grow without end."""
    assert all(abs(weight) < 5_000 for weight in MODEL.weights.values())
