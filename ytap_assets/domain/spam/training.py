"""Training of a `SpamModel` from labelled texts: deterministic logistic regression.

Belongs here: learning the weights and the precision of each rule. Does not belong here: reading
files (`scripts/train_spam_model.py`). The result depends neither on the order of the texts nor on
chance, and duplicate texts count once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from types import MappingProxyType

import polars as pl

from ytap_assets.domain.spam.detection import match_texts
from ytap_assets.domain.spam.model import MARKS, UNIT, SpamModel, extract_features, tokenize_texts
from ytap_assets.domain.spam.rules import declared_precision
from ytap_assets.errors import ConfigError

PENALTY = 1.0
"""The weight of the squared weights relative to the sum of the texts' losses."""
MARK_VARIANCE = 9.0
"""The prior variance of the weights of marks; that of runs of letters is 1."""
MIN_TEXTS = 2
"""A run of letters in fewer texts is ignored."""
STEPS = 150
PRIOR_MATCHES = 20
"""The declared precision of a rule has the weight of this many matched texts."""
SPAM_SHARE_OF_TITLES = 0.0002
"""About 20 of 94,340 titles of charts and front pages are spam of the kinds that the rules and a
model of comments detect."""
_MARKS = frozenset(MARKS.values())


@dataclass(frozen=True)
class _Problem:
    """The sparse matrix of texts and features, by rows and by columns."""

    rows: Sequence[Sequence[int]]
    columns: Sequence[Sequence[int]]
    variances: Sequence[float]
    labels: Sequence[float]


def train_spam_model(
    texts: pl.Series, is_spam: pl.Series, *, spam_share: float | None = None
) -> SpamModel:
    """Train a model.

    L2-penalized logistic regression over `extract_features`, by `STEPS` of Nesterov's accelerated
    gradient descent. Texts with equal features count once; texts with as many labels of either
    kind are ignored.

    Args:
        texts: Strings; nulls are ignored.
        is_spam: Booleans, of the same length.
        spam_share: The share of spam where the model will be used, between 0 and 1; by default
            that of the texts. The bias is moved by the difference of the two log-odds, so that
            the probabilities are those of the place of use.

    Raises:
        ConfigError: All texts have the same label; or ``spam_share`` is not
            between 0 and 1.
    """
    if spam_share is not None and not 0 < spam_share < 1:
        raise ConfigError(f"spam share: {spam_share} is not between 0 and 1")
    labelled = _distinct(texts, is_spam)
    share = sum(labelled.values()) / len(labelled) if labelled else 0.0
    if not 0 < share < 1:
        raise ConfigError("the labelled texts must contain both spam and other texts")
    found = [sorted(extract_features(read)) for read in labelled]
    names = _vocabulary(found)
    problem = _number(found, names, list(labelled.values()))
    weights, bias = _descend(problem)
    bias += 0.0 if spam_share is None else _log_odds(spam_share) - _log_odds(share)
    rounded = {
        name: rounded
        for name, weight in zip(names, weights, strict=True)
        if (rounded := round(weight * UNIT))
    }
    precisions = _measure_rules(texts, labelled, share)
    return SpamModel(round(bias * UNIT), MappingProxyType(rounded), MappingProxyType(precisions))


def _log_odds(share: float) -> float:
    return log(share / (1 - share))


def _measure_rules(texts: pl.Series, labelled: Mapping[str, float], share: float) -> dict[str, int]:
    """The precision of each rule beyond chance on the labelled texts, in thousandths.

    With a share s of spam among all texts and p among the texts that a rule matches, it is
    (p - s) / (1 - s), or 0 if p is below s. The declared precision has the weight of
    `PRIOR_MATCHES` texts. Of texts with equal features, the rules are matched with the first in the
    order of characters.
    """
    labels = pl.DataFrame({"read": labelled.keys(), "spam": labelled.values()})
    distinct = (
        pl.DataFrame({"text": texts, "read": tokenize_texts(texts)})
        .join(labels, on="read")
        .group_by("read")
        .agg(pl.col("text").min(), pl.col("spam").first())
    )
    matches = match_texts(distinct["text"])
    precisions = {}
    for name in matches.columns:
        spam = distinct["spam"].filter(matches[name]).to_list()
        if count := len(spam):
            expected = 1 - (1 - share) * (1 - declared_precision(name))
            right = (PRIOR_MATCHES * expected + sum(spam)) / (PRIOR_MATCHES + count)
            beyond_chance = max(0.0, (right - share) / (1 - share))
            precisions[name] = min(UNIT - 1, round(beyond_chance * UNIT))
    return precisions


def _distinct(texts: pl.Series, is_spam: pl.Series) -> dict[str, float]:
    """The label of each distinct tokenized text (1: spam, 0: other), sorted; without ties."""
    votes = (
        pl.DataFrame({"read": tokenize_texts(texts), "spam": is_spam})
        .drop_nulls()
        .group_by("read")
        .agg(spam=pl.col("spam").mean())
        .filter(pl.col("spam") != 0.5)
        .sort("read")
    )
    return {read: float(spam > 0.5) for read, spam in votes.iter_rows()}


def _vocabulary(found: Iterable[Sequence[str]]) -> list[str]:
    counts = Counter(name for names in found for name in names)
    return sorted(name for name, count in counts.items() if count >= MIN_TEXTS)


def _number(found: Sequence[Sequence[str]], names: list[str], labels: list[float]) -> _Problem:
    place = {name: number for number, name in enumerate(names)}
    rows = [[place[name] for name in one if name in place] for one in found]
    columns: list[list[int]] = [[] for _ in names]
    for number, row in enumerate(rows):
        for feature in row:
            columns[feature].append(number)
    variances = [MARK_VARIANCE if name in _MARKS else 1.0 for name in names]
    return _Problem(rows, columns, variances, labels)


def _descend(problem: _Problem) -> tuple[list[float], float]:
    """The weights and the bias; steps are scaled by the variance of each feature."""
    variances = problem.variances
    step = 1 / (0.25 * _largest_curvature(problem) + PENALTY)
    weights, bias = [0.0] * len(variances), 0.0
    ahead, bias_ahead, inertia = weights, bias, 1.0
    for _ in range(STEPS):
        residuals = _residuals(problem, ahead, bias_ahead)
        at = residuals.__getitem__
        moved = [
            weight - step * (variance * sum(map(at, column)) + PENALTY * weight)
            for weight, variance, column in zip(ahead, variances, problem.columns, strict=True)
        ]
        bias_moved = bias_ahead - step * sum(residuals)
        next_inertia = (1 + sqrt(1 + 4 * inertia * inertia)) / 2
        momentum = (inertia - 1) / next_inertia
        ahead = [new + momentum * (new - old) for new, old in zip(moved, weights, strict=True)]
        bias_ahead = bias_moved + momentum * (bias_moved - bias)
        weights, bias, inertia = moved, bias_moved, next_inertia
    return weights, bias


def _residuals(problem: _Problem, weights: Sequence[float], bias: float) -> list[float]:
    at = weights.__getitem__
    return [
        1 / (1 + exp(-min(max(bias + sum(map(at, row)), -60.0), 60.0))) - label
        for row, label in zip(problem.rows, problem.labels, strict=True)
    ]


def _largest_curvature(problem: _Problem) -> float:
    """A bound of the largest eigenvalue of X V X' (with the bias), by power iteration."""
    vector = [1.0] * len(problem.rows)
    size = 1.0
    for _ in range(20):
        at = vector.__getitem__
        total = sum(vector)
        sums = [
            variance * sum(map(at, column))
            for variance, column in zip(problem.variances, problem.columns, strict=True)
        ]
        product = [total + sum(map(sums.__getitem__, row)) for row in problem.rows]
        size = sqrt(sum(one * one for one in product))
        vector = [one / size for one in product]
    return 1.1 * size
