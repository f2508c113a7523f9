"""The learned text classifier: its features, its weights, and reading it from a file.

Belongs here: the features, the same for training and prediction, and validation of a model's
content. Does not belong here: training (`training`), reading its file (`operations.trends`), or how
a model and the rules are combined (`detection`). A score is a sum of integers, so it is the same on
every machine and in every order. The features are marks of advertising (links, requests to
subscribe, money, shouting), which transfer between platforms, and runs of three and four letters
within words, which cover misspellings (``suscribe``, ``chanell``).

A changed feature needs a new `FEATURES_VERSION`: weights learned for other features are invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import polars as pl

from ytap_assets.domain.spam.rules import declared_precision
from ytap_assets.errors import ConfigError

FEATURES_VERSION = 1
MAX_CHARACTERS = 2_000
"""Only the beginning of a text is classified."""
MAX_WORD_CHARACTERS = 40
"""Only the beginning of a word is used, which bounds the size of cached words."""
GRAM_LENGTHS = (3, 4)
_CACHED_WORDS = 16_384

_PRIVATE = 0xE000
_ENTITIES = {
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#39;": "'",
    "&apos;": "'",
    "&nbsp;": " ",
    "&#160;": " ",
}
_TAG = r"</?[A-Za-z][^<>]{0,500}>"
_UNSEEN = r"[\p{Cc}\p{Co}\x{00AD}\x{200B}-\x{200F}\x{2060}\x{FEFF}]"
_LINK = (
    r"https?[:\s]\S*|/?watch\?v=\S*"
    r"|\b[\w-]+(?:\.[\w-]+)*\s{0,2}\.\s?"
    r"(?:com|net|org|info|biz|co|io|ly|me|tv|be|de|uk|gl|us|ru)\b\S*"
    r"|\bwww\.\s?\S*"
)
_OWN_LINK = r"youtu\.?be|watch\?v="
_WORD = r"[^\W_]+(?:'[^\W_]+)?"
_REQUESTS: Mapping[str, str] = {
    "subscribe": r"\bsu\w{0,3}[bs]?c\w{0,2}r[iy]?\w*b\w*|\bsubs?\b",
    "place": r"\bchann?e?ll?s?\b|\bcanal\b|\b(?:pages?|playlists?|websites?|site|blog)\b",
    "own": r"\b(?:my|our|me|mi|meu)\b",
    "visit": (
        r"\b(?:check\w*|visit|go to|click\w*|join|(?:watch|see|look at|listen to) (?:my|our))\b"
    ),
    "check out": r"\bcheck\w* (?:\w+ ){0,4}out\b|\bcheck (?:my|me|our)\b|\bout (?:my|our|this)\b",
    "please": r"\b(?:pl+[ea]*s+e*|plz+|pls|help|support|give|share|vote|donate|follow\w*)\b",
    "likes": r"\blike (?:this|my|if|for)\b|\bthumbs? up (?:if|for)\b",
    "money": (
        r"[$€£]\s?\d|\b(?:money|cash|free|earn\w*|win|buy|sell|dollars?|gift ?cards?|paypal|paid"
        r"|cheap|discount|sale|income)\b"
    ),
    "elsewhere": (
        r"\b(?:downloads?|apps?|itunes|spotify|soundcloud|facebook|instagram|twitter|tumblr"
        r"|google|android|iphone)\b"
    ),
    "own work": (
        r"\b(?:my|our) (?:new |own |first |latest )?(?:chann?el|chanel|videos?|vids?|vidios?|songs?"
        r"|music|covers?|tracks?|beats?|raps?|remix|page|profile|site|website|blog|account"
        r"|instagram|twitter|facebook|band|mixtape|album)\b"
    ),
    "introduction": r"\b(?:we are|i am a|i'?m a)\b",
    "greeting": (
        r"\b(?:hey|hi|hello)\b.{0,12}\b(?:guys|everyone|every ?body|all|people|friends)\b"
        r"|^\W*(?:hey|hi|hello)\b"
    ),
}
_LONGER_THAN = (40, 80, 160, 320)
_SHORT = 25


def tokenize_texts(texts: pl.Series) -> pl.Series:
    r"""Convert each text to its marks, followed by its words separated by single spaces.

    Args:
        texts: Strings or nulls. Untrusted: may contain entities, tags, invisible characters.

    Returns:
        Strings such as ``"\ue000\ue004 check out my channel "``: one private character per
        mark, then the words in lower case, every digit a 0, links left out. Null stays null.
    """
    seen = pl.DataFrame({"raw": texts.cast(pl.String)}).select(text=_plain(pl.col("raw")))
    lower = pl.col("text").str.to_lowercase()
    seen = seen.with_columns(
        links=lower.str.count_matches(_LINK),
        away=lower.str.extract_all(_LINK)
        .list.eval(~pl.element().str.contains(_OWN_LINK))
        .list.any(),
        rest=lower.str.replace_all(_LINK, " ").str.replace_all(r"\d", "0"),
    )
    words = pl.col("rest").str.extract_all(_WORD).list.join(" ")
    seen = seen.with_columns(words=words, **_requests())
    marks = [
        pl.when(mark).then(pl.lit(MARKS[name])).otherwise(pl.lit(""))
        for name, mark in _marks().items()
    ]
    return seen.select(pl.concat_str(*marks, pl.lit(" "), "words", pl.lit(" "))).to_series()


def extract_features(read: str) -> set[str]:
    """The features of a text from `tokenize_texts`: its marks and its runs of letters.

    A run lies within a word; a space marks the beginning or the end of the word.
    """
    marks, _, words = read.partition(" ")
    return set(marks).union(*map(_runs_of, words.split()))


@lru_cache(maxsize=_CACHED_WORDS)
def _runs_of(word: str) -> frozenset[str]:
    """The runs of letters of a word; cached, because most words repeat."""
    padded = f" {word[:MAX_WORD_CHARACTERS]} "
    return frozenset(
        padded[at : at + length]
        for length in GRAM_LENGTHS
        for at in range(len(padded) - length + 1)
    )


def _plain(text: pl.Expr) -> pl.Expr:
    return (
        text.str.slice(0, MAX_CHARACTERS)
        .str.replace_many(_ENTITIES)
        .str.replace_all(_TAG, " ")
        .str.normalize("NFKC")
        .str.replace_all(r"\s", " ")
        .str.replace_all(_UNSEEN, "")
    )


def _requests() -> dict[str, pl.Expr]:
    return {name: pl.col("rest").str.contains(regex) for name, regex in _REQUESTS.items()}


def _marks() -> dict[str, pl.Expr]:
    """The name and condition of each mark, over text, links, away, rest, words and the requests.

    Links to other sites are a separate mark: legitimate texts link to the platform's own videos.
    """
    text, links, rest = pl.col("text"), pl.col("links"), pl.col("rest")
    length, requests = text.str.len_chars(), pl.sum_horizontal(*_REQUESTS)
    capitals = text.str.count_matches(r"\p{Lu}")
    return {
        **{name: pl.col(name) for name in _REQUESTS},
        **{f"asks {n}": requests >= n for n in range(1, 5)},
        **{f"longer {n}": length > n for n in _LONGER_THAN},
        "short": length < _SHORT,
        "link": links > 0,
        "link away": pl.col("away"),
        "links": links > 1,
        "only a link": (links > 0) & (pl.col("words").str.len_chars() < 6),
        "mail": text.str.contains(r"\S@\S+\.\w"),
        "handle": text.str.contains(r"(?:^|\s)[@+]\w"),
        "capitals": (capitals >= 10) & (capitals > text.str.count_matches(r"\p{Ll}")),
        "shouting": text.str.count_matches("!", literal=True) >= 3,
        "digits": rest.str.contains("0000"),
    }


MARKS: Mapping[str, str] = MappingProxyType(
    {name: chr(_PRIVATE + number) for number, name in enumerate(_marks())}
)
"""The marks by name, each with its private-use character."""


KIND = "ytap spam model"
FORMAT_VERSION = 2
"""2: the bias is calibrated for the place of use, and the file has the precisions of rules."""
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
    """Weights of features.

    Attributes:
        bias: The log-odds of a text without features, in thousandths.
        weights: The log-odds added by each feature (`extract_features`), in thousandths.
        precisions: The precision of each rule, beyond chance, on the training texts, by the name of
            its evidence (`detection.match_texts`), in thousandths.
    """

    bias: int
    weights: Mapping[str, int]
    precisions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_dict(cls, content: object) -> SpamModel:
        """Parse a model, from `to_dict` or from an untrusted file.

        Raises:
            ConfigError: It is not a model, or of another version; the message names the part.
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
        """The model as plain values, with sorted features."""
        named = {_NAMES.get(feature, feature): at for feature, at in self.weights.items()}
        return {
            "kind": KIND,
            **_VERSIONS,
            "bias": self.bias,
            "rules": dict(sorted(self.precisions.items())),
            "weights": dict(sorted(named.items())),
        }

    def precision(self, evidence: str) -> float:
        """The precision of a general rule, independent of the text's words, 0 to 1.

        At most the declared one: a model can reduce the weight of a rule, not increase it.
        """
        return min(declared_precision(evidence), self.precisions.get(evidence, UNIT) / UNIT)

    def log_odds(self, texts: pl.Series) -> pl.Series:
        """The natural logarithm of the odds of spam; null for null.

        Args:
            texts: Strings or nulls.
        """
        read = tokenize_texts(texts)
        sums = [None if one is None else self._sum(one) for one in read]
        return (pl.Series(texts.name, sums, pl.Int64) / UNIT).alias(texts.name)

    def probabilities(self, texts: pl.Series) -> pl.Series:
        """The probability of spam, 0 to 1: 1 / (1 + exp(-log-odds)); null for null."""
        return (1 / (1 + (-self.log_odds(texts)).exp())).alias(texts.name)

    def _sum(self, read: str) -> int:
        weights = self.weights
        return self.bias + sum(weights[one] for one in extract_features(read) if one in weights)


def _feature(name: object) -> str:
    """The feature for a name in a model's file."""
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
