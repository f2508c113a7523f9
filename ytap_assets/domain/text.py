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

_BREAK = "\x00"
SCRIPT_EDGE = "\x1f"
"""Stands where a script without spaces, or Korean, begins and ends; no text holds it otherwise."""

UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\x{3099}\x{309A}\x{30FC}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
)
"""Scripts written without spaces between words, for a class of characters."""

GAPS = rf"\s{SCRIPT_EDGE}*~#\[\]\\-"
"""What may stand between the characters of a script without spaces, for a class of characters."""

ACCENTS = r"\x{300}-\x{344}\x{346}-\x{36F}"
"""The marks that a Latin letter may carry. Without U+0345: it is a letter iota to `(?i)`."""

_MAY_BE_ENTITY = "&[#A-Za-z]"
_MAY_BE_MARKUP = r"<[/!A-Za-z]|\]\(|\*\*|~~|\\[^\s\w]"
_ODD = rf"[^\x20-\x5E\x61-\x7E]|{_MAY_BE_ENTITY}|{_MAY_BE_MARKUP}"
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
# The lunate sigma is a small letter in both cases: it looks like c, not like the capital sigma.
_SIGNS = {
    **dict.fromkeys("\u2122\u2120\u00ae\u00a9\u2117\u2800", " "),
    "\u00b4": "'",
    "\u03f9": "\u03c2",
}

# Tags of HTML and of speech markup (SSML). Those within a line join what they stand between.
_INLINE_TAGS = (
    "a|abbr|acronym|b|bd[io]|big|cite|code|data|del|dfn|em|emphasis|font|ins?|i|kbd|label|lang|mark"
    "|nobr|phoneme|prosody|q|ruby|s|samp|say-as|small|span|speak|strike|strong|su[bp]|time|tt|u|var"
    "|voice|wbr"
)
_OTHER_TAGS = (
    "address|article|aside|audio|blockquote|body|break|br|button|caption|center|col|dd|details|div"
    "|d[lt]|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|input"
    "|legend|li|main|nav|ol|option|p|picture|pre|r[pt]|script|section|select|source|style|summary"
    "|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
)
_ATTRIBUTES = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+))*\s*/?"""
_INLINE_TAG = rf"(?i:</?(?:{_INLINE_TAGS}){_ATTRIBUTES}>)|<!--(?s:.*?)-->"
_OTHER_TAG = rf"(?i:</?(?:{_OTHER_TAGS}){_ATTRIBUTES}>)"
_LINK_TARGET = r"\]\([^()]*\)"
_MARKUP = rf"{_INLINE_TAG}|{_OTHER_TAG}|{_LINK_TARGET}"
# Emphasis of a part of a word; that of whole words is between words to `phrases`.
_SPACED_LETTER = rf"[\p{{L}}--[{UNSPACED}]]"
_PART_EMPHASIS = tuple(
    regex
    for mark in (r"\*\*", "~~")
    for regex in (
        rf"({_SPACED_LETTER}){mark}({_SPACED_LETTER}+){mark}",
        rf"{mark}({_SPACED_LETTER}+){mark}({_SPACED_LETTER})",
    )
)
_ESCAPED_MARK = r"\\([!#*+.&_~`<>\[\]-])"

_ALIKE = r"[\p{Cyrillic}\p{Greek}\p{Armenian}]"
_MIXED = rf"\p{{Latin}}\p{{M}}*{_ALIKE}|{_ALIKE}\p{{M}}*\p{{Latin}}"
# A word of an alphabet: what is written without spaces next to it is no part of it.
_LETTER = r"(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ufaff\uff66-\uffdc])[^\W\d_])"
_MIXED_WORD = re.compile(rf"{_LETTER}+(?:[\u0300-\u036f]+{_LETTER}+)*")
_LATIN = re.compile("[A-Za-z]")
_OTHER_ALPHABET = re.compile("[\u0370-\u058f]")
_CYRILLIC_ALIKE = ("аеіјкорсухАВЕІЈКМНОРСТУХ", "aeijkopcyxABEIJKMHOPCTYX")
_GREEK_ALIKE = ("αικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aikvoptuxABEZHIKMNOPTYX")
# They look like a Latin letter that nobody writes in their place: Greek, Cyrillic, Armenian.
_LATIN_LOOKS = {
    **dict(zip("γεηςω", "yencw", strict=True)),
    **dict(zip("вгмнпт", "brmhnt", strict=True)),
    **dict(zip("һѕԁԛԝѵӏЅѴӀ", "hsdqwvlSVI", strict=True)),
    **dict(zip("\u0585\u057d\u0570\u0578\u0581\u0575\u0566", "ouhngjq", strict=True)),
    **dict(zip("\u0555\u054f\u054d\u053c", "OSUL", strict=True)),
}
_TO_LATIN = str.maketrans(_LATIN_LOOKS) | str.maketrans(
    _CYRILLIC_ALIKE[0] + _GREEK_ALIKE[0], _CYRILLIC_ALIKE[1] + _GREEK_ALIKE[1]
)
_TO_OTHERS = tuple(str.maketrans(latin, other) for other, latin in (_CYRILLIC_ALIKE, _GREEK_ALIKE))
_SMALL_CAPITALS = (
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f"
    "\u1d18\ua7af\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22\u0261\u0251",
    "abcdefghijklmnopqrstuvwyzga",
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2e3a\u2e3b"
_APOSTROPHES = "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u2035"
_QUOTATION_MARKS = "\u201c\u201d\u201e\u201f\u2033"
_TYPOGRAPHIC = {
    **dict.fromkeys(_APOSTROPHES, "'"),
    **dict.fromkeys(_QUOTATION_MARKS, '"'),
    **dict.fromkeys(_DASHES, "-"),
}


def normalize_texts(texts: pl.Series) -> pl.DataFrame:
    """The texts in the forms that matching needs; null stays null.

    Args:
        texts: Strings, hostile ones too.

    Returns:
        ``clean`` (as a reader sees it: entities decoded, full-width and mathematical letters
        plain, invisible characters and trade mark signs gone), ``normal`` (the form in which
        words are compared, capitals kept, `SCRIPT_EDGE` at the edges of scripts), and ``searched``
        (without accents and gaps within a script without spaces, and in lower case where it is
        not ASCII: for a plain search).
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
        .str.replace_all(f"{SCRIPT_EDGE}[{GAPS}]*{SCRIPT_EDGE}", "")
    )
    return pl.DataFrame(
        {
            "clean": texts.clone().scatter(rows, clean),
            "normal": texts.clone().scatter(rows, normal),
            "searched": texts.clone().scatter(rows, searched),
        }
    )


def read_plainly(clean: pl.Series) -> pl.Series:
    """Clean texts as patterns see them: typographic apostrophes, quotes and dashes are plain."""
    return _change(
        clean, f"[{''.join(_TYPOGRAPHIC)}]", lambda texts: texts.str.replace_many(_TYPOGRAPHIC)
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
    quoted = _change(
        clean,
        "`",
        lambda texts: texts.str.replace_all(r"(^|\W)`+", "$1").str.replace_all(r"`+(\W|$)", "$1"),
    )
    spelled = quoted.str.replace_many(list(spellings), list(spellings.values()))
    shown = _change(spelled, _MAY_BE_MARKUP, _show_markup)
    unified = _change(shown, _MIXED, _unify_mixed_words)
    return _change(
        unified,
        rf"[{UNSPACED}\p{{Hangul}}]",
        lambda texts: texts.str.replace_all(
            rf"[{UNSPACED}]+|\p{{Hangul}}+", f"{SCRIPT_EDGE}${{0}}{SCRIPT_EDGE}"
        ),
    )


def _show_markup(texts: pl.Series) -> pl.Series:
    """What a reader sees of HTML and Markdown; what markup holds itself (addresses) comes last."""
    marks = texts.str.extract_all(_MARKUP).list.join(_BREAK)
    shown = (
        texts.str.replace_all(_INLINE_TAG, "")
        .str.replace_all(_OTHER_TAG, " ")
        .str.replace_all(_LINK_TARGET, "]")
        .str.replace_all(_ESCAPED_MARK, "$1")
    )
    for regex in _PART_EMPHASIS:
        shown = shown.str.replace_all(regex, "$1$2")
    frame = pl.DataFrame({"shown": shown, "marks": marks})
    has_marks = pl.col("marks") != ""
    whole = pl.concat_str("shown", pl.lit(_BREAK), "marks")
    return frame.select(pl.when(has_marks).then(whole).otherwise("shown")).to_series()


def _decode_entities(texts: pl.Series) -> pl.Series:
    return _texts(_ENTITY.sub(lambda one: html.unescape(one[0]), text) for text in texts)


def _unify_mixed_words(texts: pl.Series) -> pl.Series:
    """Words that mix Latin with Cyrillic or Greek letters of the same look, in one script."""
    return _texts(_MIXED_WORD.sub(lambda one: _unify_word(one[0]), text) for text in texts)


def _texts(values: Iterable[str]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)


def _unify_word(word: str) -> str:
    latin, others = len(_LATIN.findall(word)), len(_OTHER_ALPHABET.findall(word))
    if not latin or not others:
        return word
    to_latin = word.translate(_TO_LATIN)
    is_latin = not _OTHER_ALPHABET.search(to_latin)
    # Of the other alphabets, the one whose letters the word has already.
    to_other = min((word.translate(table) for table in _TO_OTHERS), key=_count_alphabets)
    is_other = not _LATIN.search(to_other) and _count_alphabets(to_other) == 1
    if is_latin and (latin >= others or not is_other):
        return to_latin
    return to_other if is_other else word


def _count_alphabets(word: str) -> int:
    letters = filter(str.isalpha, word)
    return len({unicodedata.name(letter, "").partition(" ")[0] for letter in letters})


@cache
def _spellings() -> Mapping[str, str]:
    """What is spelled otherwise in the normal form, character by character."""
    return {
        **dict(_accented_letters()),
        **dict(_other_letters()),
        **dict(_marks_to_drop()),
        **_TYPOGRAPHIC,
        **dict.fromkeys("\u05f3\ua78c`", "'"),
        "\u05f4": '"',
        # Middle dots and bullets stand between words as dashes do.
        **dict.fromkeys("\u058a\u05be\u30fb\u00b7\u2022\u2027\u2219\u22c5", "-"),
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
    yield from zip(*_SMALL_CAPITALS, strict=True)


def _marks_to_drop() -> Iterator[tuple[str, str]]:
    """Arabic and Hebrew vowel marks, the Arabic letter that only stretches a word, overlays."""
    arabic = (*range(0x610, 0x61B), *range(0x64B, 0x660), 0x670, *range(0x6D6, 0x6DD))
    more = (*range(0x6DF, 0x6E9), *range(0x6EA, 0x6EE), 0x640, 0x345)
    hebrew = (*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7)
    overlays = (
        *range(0x483, 0x48A),
        *range(0x1AB0, 0x1B00),
        *range(0x1DC0, 0x1E00),
        *range(0x20D0, 0x2100),
        *range(0xFE20, 0xFE30),
    )
    yield from ((chr(code), "") for code in (*arabic, *more, *hebrew, *overlays))
