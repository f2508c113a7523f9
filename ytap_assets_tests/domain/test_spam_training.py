from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.spam_training import train_spam_model
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
    with pytest.raises(ConfigError, match="spam and honest"):
        train_spam_model(TEXTS, pl.Series([label] * len(TEXTS)))
    with pytest.raises(ConfigError, match="spam and honest"):
        train_spam_model(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.Boolean))


def test_the_largest_curvature_bounds_the_steps() -> None:
    """A step too long would make the weights grow without end."""
    assert all(abs(weight) < 5_000 for weight in MODEL.weights.values())
