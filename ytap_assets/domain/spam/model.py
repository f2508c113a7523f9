"""How the learned model reads a text: as marks of advertising and as short runs of letters.

Belongs here: the features, the same for training and for judging. Does not belong here: what they
weigh (`spam_model`) or how that is learned (`spam_training`). The marks are what carries over from
one place to another (links, begging for subscribers, money, shouting); the runs of three and four
letters within words carry misspellings (``suscribe``, ``chanell``).

Whoever changes a feature changes `FEATURES_VERSION`: weights learned for others mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import polars as pl

FEATURES_VERSION = 1
MAX_CHARACTERS = 2_000
"""A text is judged by its beginning."""
MAX_WORD_CHARACTERS = 40
"""A word, too: so the words that are kept in memory stay small."""
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
_ASKS: Mapping[str, str] = {
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


def read_texts(texts: pl.Series) -> pl.Series:
    r"""Each text as the model reads it: its marks, then its words between single spaces.

    Args:
        texts: Strings, null for an unknown one. Hostile: entities, tags, invisible characters.

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
    seen = seen.with_columns(words=words, **_asks())
    marks = [
        pl.when(mark).then(pl.lit(MARKS[name])).otherwise(pl.lit(""))
        for name, mark in _marks().items()
    ]
    return seen.select(pl.concat_str(*marks, pl.lit(" "), "words", pl.lit(" "))).to_series()


def features_of(read: str) -> set[str]:
    """The features of a text that `read_texts` gave: its marks and its runs of letters.

    A run lies within a word; a space at its beginning or end stands for the word's own.
    """
    marks, _, words = read.partition(" ")
    return set(marks).union(*map(_runs_of, words.split()))


@lru_cache(maxsize=_CACHED_WORDS)
def _runs_of(word: str) -> frozenset[str]:
    """The runs of letters of a word: of a text's few words, most have been seen before."""
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


def _asks() -> dict[str, pl.Expr]:
    return {name: pl.col("rest").str.contains(regex) for name, regex in _ASKS.items()}


def _marks() -> dict[str, pl.Expr]:
    """Every mark's name and condition, over text, links, away, rest, words and the asks.

    Links away from the platform are a mark of their own: honest texts share its own videos.
    """
    text, links, rest = pl.col("text"), pl.col("links"), pl.col("rest")
    length, asks = text.str.len_chars(), pl.sum_horizontal(*_ASKS)
    capitals = text.str.count_matches(r"\p{Lu}")
    return {
        **{name: pl.col(name) for name in _ASKS},
        **{f"asks {n}": asks >= n for n in range(1, 5)},
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
"""The marks by name, each with the private character that stands for it."""
