"""The part of the spam benchmark about comments: each video left out once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from _report import print_table
from _spam_data import Comments

from ytap_assets.domain.spam import find_spam
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import RuleName, SpamRules
from ytap_assets.domain.spam_training import train_spam_model

MAX_FALSE = 0.01
FOLDS = 5
SUBSTRINGS = (
    "subscribe",
    "check out",
    "my channel",
    "http",
    "www.",
    ".com",
    "free",
    "money",
    "follow",
    "click",
    "win",
    "giveaway",
)
"""What a user would write down first."""
BLOCKLIST, RULES, MODEL, BOTH = "substring blocklist", "rules", "model", "rules + model"
WORDS = "rules, without looks"
LOOKS: tuple[RuleName, ...] = (
    "emoji_excess",
    "capitals_excess",
    "repeated_characters",
    "repeated_words",
)
"""Rules about how a title looks. Comments are loud, spam or not, so for them these are off."""
Scorer = Callable[[pl.DataFrame], list[float]]


def leave_one_out(comments: Sequence[Comments]) -> dict[str, Any]:
    """Recall of each contestant on each file, learned from the others."""
    curve: dict[str, list[float]] = {}
    fixed: dict[str, list[tuple[float, float]]] = {}
    unseen = []
    for held_out in comments:
        others = [one for one in comments if one is not held_out]
        labels = held_out.rows["is_labelled_spam"].to_list()
        known = pl.concat([one.rows["title"] for one in others])
        found = {name: scorer(held_out.rows) for name, scorer in contestants(train(others)).items()}
        for name, scores in found.items():
            threshold = threshold_of(scores, labels)
            curve.setdefault(name, []).append(recall(scores, labels, threshold))
            if name == BOTH:
                new = (~held_out.rows["title"].is_in(known.implode())).to_list()
                unseen.append(recall(scores, labels, threshold, new))
        for name, threshold in fixed_thresholds(others).items():
            scores = found[name]
            fixed.setdefault(name, []).append(
                (recall(scores, labels, threshold), false_rate(scores, labels, threshold))
            )
    names = [one.name for one in comments]
    _print_recalls(names, curve, fixed)
    both = [round(value, 3) for value in curve[BOTH]]
    return {
        "recall_at_1pct": round(_mean(curve[BOTH]), 4),
        "recall_at_1pct_by_file": dict(zip(names, both, strict=True)),
        "recall_at_1pct_texts_not_learned": round(_mean(unseen), 4),
        "recall_at_1pct_others": {
            name: round(_mean(values), 4) for name, values in curve.items() if name != BOTH
        },
        "fixed_threshold": {
            name: {
                "recall": round(_mean(r for r, _ in at), 4),
                "fpr": round(_mean(f for _, f in at), 4),
            }
            for name, at in fixed.items()
        },
    }


def train(comments: Sequence[Comments], honest: pl.Series | None = None) -> SpamModel:
    """The product's model of labelled comments, and of titles taken to be honest."""
    texts = [one.rows["title"] for one in comments]
    labels = [one.rows["is_labelled_spam"] for one in comments]
    if honest is not None:
        texts.append(honest)
        labels.append(pl.Series([False] * len(honest)))
    return train_spam_model(pl.concat(texts), pl.concat(labels))


def contestants(model: SpamModel) -> dict[str, Scorer]:
    """What gives each row a score; the higher, the more speaks for spam."""
    words = SpamRules(rules_off=frozenset(LOOKS))
    return {
        BLOCKLIST: lambda rows: [float(count) for count in count_substrings(rows["title"])],
        RULES: lambda rows: count_reasons(rows, SpamRules()),
        WORDS: lambda rows: count_reasons(rows, words),
        MODEL: lambda rows: model.log_odds(rows["title"]).to_list(),
        BOTH: lambda rows: [
            math.inf if reasons else odds
            for reasons, odds in zip(
                count_reasons(rows, words), model.log_odds(rows["title"]), strict=True
            )
        ],
    }


def count_substrings(texts: pl.Series) -> pl.Series:
    """How many of the substrings each text holds."""
    lower = texts.str.to_lowercase()
    return pl.select(
        pl.sum_horizontal(lower.str.contains(one, literal=True) for one in SUBSTRINGS)
    ).to_series()


def count_reasons(rows: pl.DataFrame, rules: SpamRules) -> list[float]:
    """How many reasons each row has."""
    found = find_spam(rows, rules)["spam_reasons"].list.len()
    return found.cast(pl.Float64).to_list()


def fixed_thresholds(others: Sequence[Comments]) -> dict[str, float]:
    """The thresholds that the other files suggest, each part judged by what the rest taught."""
    scores: dict[str, list[float]] = {}
    labels: list[bool] = []
    for learned, judged in _folds(others):
        for name, scorer in contestants(train(learned)).items():
            scores.setdefault(name, []).extend(scorer(judged.rows))
        labels += judged.rows["is_labelled_spam"].to_list()
    return {name: threshold_of(values, labels) for name, values in scores.items()}


def _folds(others: Sequence[Comments]) -> list[tuple[list[Comments], Comments]]:
    """File by file; a single file in parts."""
    if len(others) > 1:
        return [([one for one in others if one is not judged], judged) for judged in others]
    rows = others[0].rows.with_row_index("number")
    parts = [rows.filter(pl.col("number") % FOLDS == fold).drop("number") for fold in range(FOLDS)]
    pieces = [Comments(str(fold), part) for fold, part in enumerate(parts)]
    return [([one for one in pieces if one is not judged], judged) for judged in pieces]


def threshold_of(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The lowest score above which at most 1 % of the honest texts lie."""
    honest = sorted((s for s, spam in zip(scores, labels, strict=True) if not spam), reverse=True)
    return honest[int(MAX_FALSE * len(honest))]


def recall(
    scores: Sequence[float],
    labels: Sequence[bool],
    threshold: float,
    counted: Sequence[bool] | None = None,
) -> float:
    """The share of the spam above the threshold."""
    counted = counted or [True] * len(scores)
    spam = [s for s, is_spam, one in zip(scores, labels, counted, strict=True) if is_spam and one]
    return sum(s > threshold for s in spam) / len(spam) if spam else math.nan


def false_rate(scores: Sequence[float], labels: Sequence[bool], threshold: float) -> float:
    """The share of the honest texts above the threshold."""
    return recall(scores, [not one for one in labels], threshold)


def _mean(values: Any) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def _print_recalls(
    names: Sequence[str],
    curve: dict[str, list[float]],
    fixed: dict[str, list[tuple[float, float]]],
) -> None:
    print_table(
        "Comments, each file left out once: recall at a false-positive rate of at most 1 %",
        ["", *names, "mean"],
        [
            [name, *(f"{one:.3f}" for one in values), f"{_mean(values):.3f}"]
            for name, values in curve.items()
        ],
    )
    print_table(
        "The same with the threshold fixed on the other files: recall / false-positive rate",
        ["", *names, "mean"],
        [
            [
                name,
                *(f"{r:.3f} / {f:.3f}" for r, f in values),
                f"{_mean(r for r, _ in values):.3f} / {_mean(f for _, f in values):.3f}",
            ]
            for name, values in fixed.items()
        ],
    )
