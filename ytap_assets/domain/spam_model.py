"""A learned judge of texts: weights of features, read from a file that its owner trained.

Belongs here: what a model is, reading it from hostile content, judging texts. Does not belong here:
the features (`spam_text`), learning (`spam_training`), files (`operations.spam`). A judgement is a
sum of whole numbers, so that it is the same on every machine and in every order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from ytap_assets.domain.spam_text import (
    FEATURES_VERSION,
    GRAM_LENGTHS,
    MARKS,
    features_of,
    read_texts,
)
from ytap_assets.errors import ConfigError

KIND = "ytap spam model"
UNIT = 1000
"""Weights are thousandths of log-odds."""
MAX_FEATURES = 200_000
_MAX_WEIGHT = 100 * UNIT
_MARK_SIGN = "#"
_NAMES = {mark: f"{_MARK_SIGN}{name}" for name, mark in MARKS.items()}
_BY_NAME = {name: mark for mark, name in _NAMES.items()}


@dataclass(frozen=True)
class SpamModel:
    """What each feature says for spam.

    Attributes:
        bias: What is said of every text, in thousandths of log-odds.
        weights: What each feature (`features_of`) adds, in thousandths of log-odds.
    """

    bias: int
    weights: Mapping[str, int]

    @classmethod
    def from_dict(cls, content: object) -> SpamModel:
        """Read what `to_dict` gave, or what somebody else wrote.

        Raises:
            ConfigError: It is no model, or one of another version; the message names the part.
        """
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise ConfigError(f"not a spam model: no `kind: {KIND}`")
        version = content.get("features_version")
        if version != FEATURES_VERSION or isinstance(version, bool):
            raise ConfigError(
                f"features_version: {str(version)[:20]}, expected {FEATURES_VERSION};"
                " train the model again"
            )
        weights = content.get("weights")
        if not isinstance(weights, dict) or len(weights) > MAX_FEATURES:
            raise ConfigError(f"weights: not a mapping of at most {MAX_FEATURES} features")
        read = {_feature(name): _weight(f"weights.{name}", at) for name, at in weights.items()}
        return cls(_weight("bias", content.get("bias")), MappingProxyType(read))

    def to_dict(self) -> dict[str, Any]:
        """The model as plain values, features in order."""
        named = {_NAMES.get(feature, feature): at for feature, at in self.weights.items()}
        return {
            "kind": KIND,
            "features_version": FEATURES_VERSION,
            "bias": self.bias,
            "weights": dict(sorted(named.items())),
        }

    def log_odds(self, texts: pl.Series) -> pl.Series:
        """How much speaks for spam: the natural logarithm of its odds; null for null.

        Args:
            texts: Strings of any kind.
        """
        read = read_texts(texts)
        sums = [None if one is None else self._sum(one) for one in read]
        return (pl.Series(texts.name, sums, pl.Int64) / UNIT).alias(texts.name)

    def probabilities(self, texts: pl.Series) -> pl.Series:
        """How likely each text is spam, 0 to 1: 1 / (1 + exp(-log-odds)); null for null."""
        return (1 / (1 + (-self.log_odds(texts)).exp())).alias(texts.name)

    def _sum(self, read: str) -> int:
        weights = self.weights
        return self.bias + sum(weights[one] for one in features_of(read) if one in weights)


def _feature(name: object) -> str:
    """The feature that a file's name stands for."""
    if isinstance(name, str):
        if name in _BY_NAME:
            return _BY_NAME[name]
        if not name.startswith(_MARK_SIGN) and len(name) in GRAM_LENGTHS:
            return name
    raise ConfigError(f"weights: {str(name)[:40]!r} is not a feature")


def _weight(key: str, value: object) -> int:
    if type(value) is not int or abs(value) > _MAX_WEIGHT:
        raise ConfigError(f"{key[:60]}: not a whole number from -{_MAX_WEIGHT} to {_MAX_WEIGHT}")
    return value
