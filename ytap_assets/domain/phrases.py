"""Finding the words and phrases that people list in texts, one way for every list.

A phrase matches whole words, in any script; what whole means depends on the script, and which
spellings are one word is said by `normal_form`. `docs/matching.md` states the rules for users.
Belongs here: phrases, and regular expressions that people give, in the dialect of Polars, whose
engine takes linear time. Does not belong here: what a found phrase means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import polars as pl

from ytap_assets.domain.normal_form import ACCENTS, SCRIPT_EDGE, normalize_texts

MAX_PHRASE_CHARACTERS = 200
MAX_REGEX_CHARACTERS = 500
_GROUP_CHARACTERS = 20_000
"""The engine refuses expressions that compile to more than 10 MB; this is far below."""
_CACHED_LISTS = 2048
_NO_LETTERS = "\u0640\u115f\u1160\u3164\uffa0"
"""Letters to Unicode, nothing to a reader: they stretch a word or fill a place."""
_MASK = "\x00"
FOUND = pl.Schema({"row": pl.UInt32, "place": pl.UInt32, "phrase": pl.String})
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})

_PART = re.compile(rf"{SCRIPT_EDGE}([^{SCRIPT_EDGE}]+){SCRIPT_EDGE}|([^\s{SCRIPT_EDGE}-]+)")
_LETTER = re.compile(r"([\s\S])([\u0300-\u036f]*)")
# What may stand before a word and is written together with it.
_ARABIC_BEFORE = "[وف]?(?:ال|لل|[بك]ال|[بلك])?"
_ARABIC_BEFORE_ARTICLE = "[وف]?(?:[بك]?ال|لل)"
_HEBREW_BEFORE = "ו?(?:כ?ש)?(?:[בכל]|מה?|ה)?"
_ARTICLE = "ال"


def find_phrases(texts: pl.DataFrame, phrases: Iterable[str]) -> pl.DataFrame:
    """Which phrases each text holds.

    A plain search for each phrase's longest word goes first and spares nearly all texts the
    regular expressions, which are fifty times as slow.

    Args:
        texts: ``normal`` and ``searched`` of `normalize_texts`.
        phrases: Each can be looked for (`check_phrase`); others are found nowhere.

    Returns:
        ``row`` (the text's number), ``place`` (the phrase's number, both from 0) and ``phrase``,
        in the order of both. Of phrases that are the same in normal form the first is found.
    """
    known = _compile_phrases(tuple(phrases))
    if known.is_empty():
        return pl.DataFrame(schema=FOUND)
    words = known["word"].unique(maintain_order=True).to_list()
    may_hold = pl.col("searched").str.contains_any(words, ascii_case_insensitive=True)
    held = pl.col("searched").str.to_lowercase().str.extract_many(words, overlapping=True)
    pairs = (
        texts.select("normal", "searched")
        .with_row_index("row")
        .filter(may_hold)
        .select("row", "normal", word=held.list.unique())
        .explode("word")
        .join(known, on="word", maintain_order="left")
    )
    found = [
        group.filter(pl.col("normal").str.contains(group["regex"][0]))
        for group in pairs.partition_by("place")
    ]
    return order_found(pl.concat([pairs.clear(), *found]).select(*FOUND))


def order_found(found: pl.DataFrame) -> pl.DataFrame:
    """What `find_phrases` found here and there, in order, each phrase of a text once."""
    # One number to sort by takes a third of the time of two.
    key = pl.col("row").cast(pl.UInt64) * 2**32 + pl.col("place")
    ordered = found.with_columns(key=key).sort("key")
    is_new = pl.col("key").ne_missing(pl.col("key").shift())
    return ordered.filter(is_new).with_columns(pl.col("row").set_sorted()).select(*FOUND)


def mask_phrases(texts: pl.DataFrame, phrases: Iterable[str]) -> pl.DataFrame:
    """Put a mark in place of each phrase, so that its neighbours do not join.

    Args:
        texts: ``normal`` and ``searched`` of `normalize_texts`.
        phrases: As `find_phrases` takes them.

    Returns:
        ``row`` and ``masked``, the normal form with the marks: of the texts that hold a phrase.
    """
    phrases = tuple(phrases)
    rows = find_phrases(texts, phrases)["row"].unique().sort()
    masked = texts["normal"].gather(rows)
    for regex in join_regexes(_compile_phrases(phrases)["regex"]):
        masked = masked.str.replace_all(regex, _MASK)
    return pl.DataFrame({"row": rows, "masked": masked})


def check_phrase(text: str) -> str:
    """The phrase, where it can be looked for.

    Raises:
        ValueError: Nothing in it is compared (spaces, hyphens and invisible characters are not),
            or it has too many characters.
    """
    if len(text) > MAX_PHRASE_CHARACTERS:
        raise ValueError(f"a phrase has at most {MAX_PHRASE_CHARACTERS} characters")
    if not is_phrase(text):
        raise ValueError(
            "nothing in it can be found in a text: a phrase needs a letter, a digit, or a mark"
            " other than spaces, hyphens and underscores"
        )
    return text


def is_phrase(text: str) -> bool:
    """Whether a text has anything that can be looked for."""
    # Configs are read often, and hold many phrases: a letter or digit tells without compiling.
    if "&" not in text and any(one.isalnum() and one not in _NO_LETTERS for one in text):
        return True
    return _compile_phrases((text,)).height > 0


@lru_cache(maxsize=_CACHED_LISTS)
def _compile_phrases(phrases: tuple[str, ...]) -> pl.DataFrame:
    """The distinct phrases that can be looked for: ``place``, ``phrase``, ``word``, ``regex``.

    ``word`` is the longest of a phrase's words as the plain search looks for it.
    """
    forms = normalize_texts(pl.Series(phrases, dtype=pl.String))
    known = [
        (place, phrase, max(words, key=len), _phrase_regex(parts))
        for place, (phrase, normal, searched) in enumerate(
            zip(phrases, forms["normal"], forms["searched"].str.to_lowercase(), strict=True)
        )
        if (parts := _PART.findall(normal))
        and (
            words := [_without_article(free or spaced) for free, spaced in _PART.findall(searched)]
        )
    ]
    schema = {"place": pl.UInt32, "phrase": pl.String, "word": pl.String, "regex": pl.String}
    return (
        pl.DataFrame(known, schema=schema, orient="row")
        .with_columns(key=pl.col("regex").str.to_lowercase())
        .unique("key", keep="first", maintain_order=True)
        .drop("key")
    )


def _phrase_regex(parts: Sequence[tuple[str, str]]) -> str:
    """One phrase; where it begins or ends in a mark (``C++``), any neighbour will do.

    Args:
        parts: Pairs of which one is empty: a run of a script without spaces or of Korean, which is
            free with them and whose words carry particles; or a word of another script.
    """
    regex, before_is_free = "(?i)", False
    for number, (free, spaced) in enumerate(parts):
        if number:
            apart = rf"[\s{SCRIPT_EDGE}-]*" if free or before_is_free else r"(?:\s+|-)"
            regex += apart
        elif _is_korean(free) or _is_word_character(spaced[:1]):
            regex += r"\b"
        regex += pl.escape_regex(free) if free else _word_regex(spaced)
        before_is_free = bool(free)
    return regex + (r"\b" if _is_word_character(parts[-1][1][-1:]) else "")


def _word_regex(word: str) -> str:
    """A word of a script with spaces, with what may stand before it in Arabic and Hebrew."""
    script = unicodedata.name(word[0], "").partition(" ")[0]
    if script == "ARABIC":
        rest = _without_article(word)
        before = _ARABIC_BEFORE if rest == word else _ARABIC_BEFORE_ARTICLE
        return before + pl.escape_regex(rest)
    return (_HEBREW_BEFORE if script == "HEBREW" else "") + _letters_regex(word)


def _letters_regex(word: str) -> str:
    """A letter without accents fits any accents; one with accents itself, or its bare capital.

    Capitals are often written without accents.
    """
    regex = ""
    for base, accents in _LETTER.findall(word):
        letter = pl.escape_regex(base)
        if accents:
            regex += f"(?:{letter}{accents}|(?-i:{pl.escape_regex(base.upper())}))"
        elif unicodedata.name(base, "").startswith("LATIN "):
            regex += f"{letter}[{ACCENTS}]*"
        else:
            regex += letter
    return regex


def _without_article(word: str) -> str:
    rest = word.removeprefix(_ARTICLE)
    return rest if len(rest) > 1 else word


def _is_korean(run: str) -> bool:
    return unicodedata.name(run[:1], "").startswith("HANGUL ") if run else False


def _is_word_character(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in _WORD_CATEGORIES


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
