"""A learned judge of texts: weights of features, read from a file that its owner trained.

Belongs here: what a model is, reading it from hostile content, judging texts. Does not belong here:
the features (`spam_text`), learning (`spam_training`), files (`operations.spam`), or how a model
and the rules make one probability (`spam`). A judgement is a sum of whole numbers, so that it is
the same on every machine and in every order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import polars as pl

from ytap_assets.domain.spam.model import (
    FEATURES_VERSION,
    GRAM_LENGTHS,
    MARKS,
    features_of,
    read_texts,
)
from ytap_assets.domain.spam.rules import declared_precision
from ytap_assets.errors import ConfigError

KIND = "ytap spam model"
FORMAT_VERSION = 2
"""2: the bias is calibrated for the place of use, and the file says how far rules are right."""
UNIT = 1000
"""Weights are thousandths of log-odds, precisions thousandths of a probability."""
MAX_FEATURES = 200_000
_MAX_WEIGHT = 100 * UNIT
_MAX_RULES = 1_000
_VERSIONS = {"format_version": FORMAT_VERSION, "features_version": FEATURES_VERSION}
_MARK_SIGN = "#"
_NAMES = {mark: f"{_MARK_SIGN}{name}" for name, mark in MARKS.items()}
_BY_NAME = {name: mark for mark, name in _NAMES.items()}


@dataclass(frozen=True)
class SpamModel:
    """What each feature says for spam.

    Attributes:
        bias: What is said of every text, in thousandths of log-odds.
        weights: What each feature (`features_of`) adds, in thousandths of log-odds.
        precisions: How often a rule was right, beyond chance, on the texts that the model learned
            from, by the name of its evidence (`spam.match_texts`), in thousandths.
    """

    bias: int
    weights: Mapping[str, int]
    precisions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_dict(cls, content: object) -> SpamModel:
        """Read what `to_dict` gave, or what somebody else wrote.

        Raises:
            ConfigError: It is no model, or one of another version; the message names the part.
        """
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise ConfigError(f"not a spam model: no `kind: {KIND}`")
        for key, expected in _VERSIONS.items():
            version = content.get(key)
            if version != expected or isinstance(version, bool):
                raise ConfigError(
                    f"{key}: {str(version)[:20]}, expected {expected}; train the model again"
                )
        weights = content.get("weights")
        if not isinstance(weights, dict) or len(weights) > MAX_FEATURES:
            raise ConfigError(f"weights: not a mapping of at most {MAX_FEATURES} features")
        read = {_feature(name): _weight(f"weights.{name}", at) for name, at in weights.items()}
        rules = content.get("rules")
        if not isinstance(rules, dict) or len(rules) > _MAX_RULES:
            raise ConfigError(f"rules: not a mapping of at most {_MAX_RULES} rules")
        precisions = {
            str(name): _whole(f"rules.{name}", at, least=0, most=UNIT - 1)
            for name, at in rules.items()
        }
        bias = _weight("bias", content.get("bias"))
        return cls(bias, MappingProxyType(read), MappingProxyType(precisions))

    def to_dict(self) -> dict[str, Any]:
        """The model as plain values, features in order."""
        named = {_NAMES.get(feature, feature): at for feature, at in self.weights.items()}
        return {
            "kind": KIND,
            **_VERSIONS,
            "bias": self.bias,
            "rules": dict(sorted(self.precisions.items())),
            "weights": dict(sorted(named.items())),
        }

    def precision(self, evidence: str) -> float:
        """How likely a match of a general rule is right, whatever the text's words say, 0 to 1.

        At most what is declared: what a model learned takes weight from a rule, and adds none.
        """
        return min(declared_precision(evidence), self.precisions.get(evidence, UNIT) / UNIT)

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
    return _whole(key, value, least=-_MAX_WEIGHT, most=_MAX_WEIGHT)


def _whole(key: str, value: object, *, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ConfigError(f"{key[:60]}: not a whole number from {least} to {most}")
    return value
