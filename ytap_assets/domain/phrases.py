"""Finding phrases in texts as whole words, in any script, never as parts of words.

Belongs here: phrases that people list (blocklists, allowlists), turned into regular expressions in
the dialect of Polars, whose engine takes linear time. Does not belong here: what a found phrase
means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import reduce

import polars as pl

MAX_REGEX_CHARACTERS = 500
_GROUP_CHARACTERS = 20_000
"""The engine refuses expressions that compile to more than 10 MB; this is far below."""
_MASK = "\x00"
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})


def mask_phrases(text: pl.Expr, phrases: Iterable[str]) -> pl.Expr:
    """The text with a mark in place of each phrase, so that its neighbours do not join."""
    return reduce(
        lambda masked, regex: masked.str.replace_all(regex, _MASK), phrase_regexes(phrases), text
    )


def find_phrases(text: pl.Expr, phrases: Iterable[str]) -> list[pl.Expr]:
    """The first phrase found in each text, null where none is, by as few expressions as possible.

    A plain search for each phrase's longest word goes first and spares nearly all texts the
    regular expressions, which are fifty times as slow.

    Args:
        text: Normalized (NFKC) texts.
        phrases: As `phrase_regexes` takes them.
    """
    phrases = tuple(phrases)
    words = [_telling_word(phrase) for phrase in phrases]
    if all(word.isascii() for word in words):
        may_hold = text.str.contains_any(words, ascii_case_insensitive=True)
        text = pl.when(may_hold).then(text)
    return [text.str.extract(regex, 0) for regex in phrase_regexes(phrases)]


def _telling_word(phrase: str) -> str:
    return max(unicodedata.normalize("NFKC", phrase).split(), key=len)


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


def check_regex(regex: str) -> str:
    """The regular expression, where the engine takes it.

    The engine has no look-around and no back-references, and needs time that grows with the text
    alone, so a hostile expression can be wrong but never endless.

    Raises:
        ValueError: It is too long, not in the engine's dialect, too large when compiled, or
            matches the empty text and with it every text.
    """
    if len(regex) > MAX_REGEX_CHARACTERS:
        raise ValueError(f"a pattern has at most {MAX_REGEX_CHARACTERS} characters")
    try:
        matches_nothing = pl.Series([""]).str.contains(regex).item()
    except (pl.exceptions.ComputeError, UnicodeEncodeError) as error:
        raise ValueError(f"not a pattern that the engine takes: {_said(error)}") from error
    if matches_nothing:
        raise ValueError("a pattern that matches the empty text matches every text")
    return regex


def _said(error: Exception) -> str:
    """What the engine holds against the expression, without the drawing of where."""
    said = re.findall(r"error: (\S.*)", str(error))
    return said[-1] if said else type(error).__name__


def _phrase_regex(phrase: str) -> str:
    """One phrase; where it begins or ends in a mark (``C++``), any neighbour will do."""
    words = unicodedata.normalize("NFKC", phrase).split()
    head = r"\b" if _is_word_character(words[0][0]) else ""
    tail = r"\b" if _is_word_character(words[-1][-1]) else ""
    return head + r"\s+".join(pl.escape_regex(word) for word in words) + tail


def _is_word_character(character: str) -> bool:
    return unicodedata.category(character) in _WORD_CATEGORIES
