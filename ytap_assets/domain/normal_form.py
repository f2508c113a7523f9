"""Texts in the form in which words are compared: spellings of one word become one spelling.

Belongs here: which differences between two texts make no difference. Does not belong here: finding
phrases in them (`phrases`). `docs/matching.md` states the rules for users.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

import polars as pl

SCRIPT_EDGE = "\x1f"
"""Stands where a script without spaces, or Korean, begins and ends; no text holds it otherwise."""

UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\x{3099}\x{309A}\x{30FC}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
)
"""Scripts written without spaces between words, for a class of characters."""

ACCENTS = r"\x{300}-\x{344}\x{346}-\x{36F}"
"""The marks that a Latin letter may carry. Without U+0345: it is a letter iota to `(?i)`."""

_MAY_BE_ENTITY = "&[#A-Za-z]"
_ODD = rf"[^\x20-\x5E\x61-\x7E]|{_MAY_BE_ENTITY}"
CLEAN_CHARACTERS = (
    r"\t\n\r\x20-\x7E\x{A1}\x{A7}\x{AB}\x{BB}\x{BF}-\x{131}\x{134}-\x{13E}\x{141}-\x{148}"
    r"\x{14A}-\x{17E}\x{391}-\x{3A1}\x{3A3}-\x{3CE}\x{400}-\x{482}\x{48A}-\x{52F}"
    r"\x{5D0}-\x{5EA}\x{621}-\x{64A}\x{E01}-\x{E32}\x{1EA0}-\x{1EF9}\x{2010}\x{2012}-\x{2016}"
    r"\x{2018}-\x{2023}\x{2027}\x{3001}-\x{3029}\x{3041}-\x{3096}\x{30A1}-\x{30FE}"
    r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}\x{1F300}-\x{1FAFF}"
)
"""What cleaning leaves as it is, next to anything: a text of these alone is clean."""

_UNCLEAN = rf"[^{CLEAN_CHARACTERS}]|{_MAY_BE_ENTITY}"
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_UNSEEN = (
    r"[[\p{Cf}\p{Cc}--\s]\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{3164}"
    r"\x{FE00}-\x{FE0F}\x{FFA0}\x{E0100}-\x{E01EF}]"
)
# Before the normalization, which makes TM of a trade mark, and a space of an acute accent.
_SIGNS = {**dict.fromkeys("\u2122\u2120\u00ae\u00a9\u2117\u2800", " "), "\u00b4": "'"}

_MIXED = r"\p{Latin}\p{M}*[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{M}*\p{Latin}"
_MIXED_WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f]+[^\W\d_]+)*")
_LATIN = re.compile("[A-Za-z]")
_CYRILLIC_OR_GREEK = re.compile("[\u0370-\u052f]")
_CYRILLIC_ALIKE = ("аеһіјкорсѕухԁԛԝАВЕНІЈКМОРСЅТУХ", "aehijkopcsyxdqwABEHIJKMOPCSTYX")
_GREEK_ALIKE = ("αονρΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aovpABEZHIKMNOPTYX")
_TO_LATIN = str.maketrans(
    _CYRILLIC_ALIKE[0] + _GREEK_ALIKE[0], _CYRILLIC_ALIKE[1] + _GREEK_ALIKE[1]
)
_TO_CYRILLIC = str.maketrans(_CYRILLIC_ALIKE[1], _CYRILLIC_ALIKE[0])


def normalize_texts(texts: pl.Series) -> pl.DataFrame:
    """The texts in the forms that matching needs; null stays null.

    Args:
        texts: Strings, hostile ones too.

    Returns:
        ``clean`` (as a reader sees it: entities decoded, full-width and mathematical letters
        plain, invisible characters and trade mark signs gone), ``normal`` (the form in which
        words are compared, capitals kept, `SCRIPT_EDGE` at the edges of scripts), and ``searched``
        (without accents, and in lower case where it is not ASCII: for a plain search).
    """
    texts = texts.cast(pl.String)
    # Most texts are plain ASCII, which is in normal form but for its capitals.
    rows = texts.str.contains(_ODD).arg_true()
    if rows.is_empty():
        return pl.DataFrame({"clean": texts, "normal": texts, "searched": texts})
    clean = _change(texts.gather(rows), _UNCLEAN, _clean)
    normal = _spell(clean)
    searched = (
        normal.str.to_lowercase()
        .str.replace_all(f"[{ACCENTS}]", "")
        .str.replace_all("\u03c2", "\u03c3", literal=True)
    )
    return pl.DataFrame(
        {
            "clean": texts.clone().scatter(rows, clean),
            "normal": texts.clone().scatter(rows, normal),
            "searched": texts.clone().scatter(rows, searched),
        }
    )


def join_scripts(normal: pl.Expr) -> pl.Expr:
    """A normal form as running text again: without edges, accents on their letters."""
    return normal.str.replace_all(SCRIPT_EDGE, "", literal=True).str.normalize("NFC")


def _change(texts: pl.Series, regex: str, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The texts, changed where they hold something: a step costs nothing where it has no work."""
    rows = texts.str.contains(regex).arg_true()
    return texts.clone().scatter(rows, change(texts.gather(rows))) if rows.len() else texts


def _clean(texts: pl.Series) -> pl.Series:
    decoded = _change(texts, _MAY_BE_ENTITY, _decode_entities)
    return decoded.str.replace_many(_SIGNS).str.replace_all(_UNSEEN, "").str.normalize("NFKC")


def _spell(clean: pl.Series) -> pl.Series:
    spellings = _spellings()
    spelled = clean.str.replace_many(list(spellings), list(spellings.values()))
    unified = _change(spelled, _MIXED, _unify_mixed_words)
    return _change(
        unified,
        rf"[{UNSPACED}\p{{Hangul}}]",
        lambda texts: texts.str.replace_all(
            rf"[{UNSPACED}]+|\p{{Hangul}}+", f"{SCRIPT_EDGE}${{0}}{SCRIPT_EDGE}"
        ),
    )


def _decode_entities(texts: pl.Series) -> pl.Series:
    return _texts(_ENTITY.sub(lambda one: html.unescape(one[0]), text) for text in texts)


def _unify_mixed_words(texts: pl.Series) -> pl.Series:
    """Words that mix Latin with Cyrillic or Greek letters of the same look, in one script."""
    return _texts(_MIXED_WORD.sub(lambda one: _unify_word(one[0]), text) for text in texts)


def _texts(values: Iterable[str]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)


def _unify_word(word: str) -> str:
    latin, others = len(_LATIN.findall(word)), len(_CYRILLIC_OR_GREEK.findall(word))
    if not latin or not others:
        return word
    to_latin, to_cyrillic = word.translate(_TO_LATIN), word.translate(_TO_CYRILLIC)
    is_latin = not _CYRILLIC_OR_GREEK.search(to_latin)
    is_other = not _LATIN.search(to_cyrillic)
    if is_latin and (latin >= others or not is_other):
        return to_latin
    return to_cyrillic if is_other else word


@cache
def _spellings() -> Mapping[str, str]:
    """What is spelled otherwise in the normal form, character by character."""
    return {
        **dict(_accented_letters()),
        **dict(_other_letters()),
        **dict(_marks_to_drop()),
        **dict.fromkeys("\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u2035\u05f3\ua78c`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u05f4", '"'),
        **dict.fromkeys(
            "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u058a\u05be\u30fb\u2e3a\u2e3b", "-"
        ),
        **dict.fromkeys("_\u203f\u2040", " "),
    }


def _accented_letters() -> Iterator[tuple[str, str]]:
    """Accents beside their letters, so that a phrase can do without; Greek ones dropped.

    Greek capitals are written without them, and so are Cyrillic stress marks in most texts.
    """
    strokes = {"o": "øØ", "l": "łŁ", "d": "đĐ", "h": "ħĦ", "t": "ŧŦ"}
    stroked = {
        letter: (base if letter.islower() else base.upper()) + "\u0335"
        for base, letters in strokes.items()
        for letter in letters
    }
    ligatures = {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE"}
    simple = str.maketrans({**stroked, **ligatures})
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        letter = chr(code)
        apart = unicodedata.normalize("NFD", letter).translate(simple)
        if apart != letter:
            yield letter, apart
    for code in (*range(0x370, 0x400), *range(0x1F00, 0x2000)):
        letter = chr(code)
        apart = unicodedata.normalize("NFD", letter)
        if len(apart) > 1 and apart[0].isalpha():
            yield letter, apart[0]
    for vowel in "аеиоуыэюяАЕИОУЫЭЮЯ":
        yield f"{vowel}\u0301", vowel


def _other_letters() -> Iterator[tuple[str, str]]:
    # Turkish: one letter i, since I is the capital of one of them and İ of the other.
    yield from {"İ": "I", "ı": "i", "i\u0307": "i", "ё": "е", "Ё": "Е"}.items()
    # Arabic and Persian letters that keyboards and writers exchange.
    yield from zip("أإآٱىیکة", "ااااييكه", strict=True)
    for zero in (0x660, 0x6F0, 0x966, 0x9E6):
        yield from ((chr(zero + digit), str(digit)) for digit in range(10))
    # White on black, circled or squared: the normalization knows the other shapes alone.
    for first in (0x1F150, 0x1F170):
        yield from ((chr(first + number), chr(0x41 + number)) for number in range(26))


def _marks_to_drop() -> Iterator[tuple[str, str]]:
    """Arabic and Hebrew vowel marks, the Arabic letter that only stretches a word."""
    arabic = (*range(0x610, 0x61B), *range(0x64B, 0x660), 0x670, *range(0x6D6, 0x6DD))
    more = (*range(0x6DF, 0x6E9), *range(0x6EA, 0x6EE), 0x640, 0x345)
    hebrew = (*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7)
    yield from ((chr(code), "") for code in (*arabic, *more, *hebrew))
