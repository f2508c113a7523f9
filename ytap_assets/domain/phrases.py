"""Finding phrases in texts as whole words, in any script, never as parts of words.

Belongs here: phrases that people list (blocklists, allowlists), turned into regular expressions in
the dialect of Polars, whose engine takes linear time. Does not belong here: what a found phrase
means.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import reduce

import polars as pl

_GROUP_CHARACTERS = 20_000
"""The engine refuses expressions that compile to more than 10 MB; this is far below."""
_MASK = "\x00"
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})


def mask_phrases(text: pl.Expr, phrases: Iterable[str]) -> pl.Expr:
    """The text with a mark in place of each phrase, so that its neighbours do not join."""
    return reduce(
        lambda masked, regex: masked.str.replace_all(regex, _MASK), phrase_regexes(phrases), text
    )


def phrase_regexes(phrases: Iterable[str]) -> list[str]:
    """Regular expressions, as few as possible, that find any of the phrases whatever the case.

    Args:
        phrases: Each with at least one character that is no white space. Full-width and other
            compatible letters stand for the plain ones, so match against normalized (NFKC)
            texts; a space stands for any white space.
    """
    return [f"(?i){regex}" for regex in join_regexes(map(_phrase_regex, phrases))]


def join_regexes(regexes: Iterable[str]) -> list[str]:
    """The alternatives joined, ``a|b|c``, into as few expressions as the engine's limit allows."""
    groups: list[list[str]] = []
    size = _GROUP_CHARACTERS
    for regex in regexes:
        size += len(regex)
        if size > _GROUP_CHARACTERS:
            groups.append([])
            size = len(regex)
        groups[-1].append(regex)
    return ["|".join(group) for group in groups]


def _phrase_regex(phrase: str) -> str:
    """One phrase; where it begins or ends in a mark (``C++``), any neighbour will do."""
    words = unicodedata.normalize("NFKC", phrase).split()
    head = r"\b" if _is_word_character(words[0][0]) else ""
    tail = r"\b" if _is_word_character(words[-1][-1]) else ""
    return head + r"\s+".join(pl.escape_regex(word) for word in words) + tail


def _is_word_character(character: str) -> bool:
    return unicodedata.category(character) in _WORD_CATEGORIES
