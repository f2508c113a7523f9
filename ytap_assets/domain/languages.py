"""A cheap, honest guess whether a title is clearly in another language than a workspace's.

Belongs here: scripts and the commonest words of a few languages. Does not belong here: what
follows from it (`relevance`). It says "other" only where that is plain: titles are short, names
are international, and a wrong yes costs a good topic.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

_LATIN = r"\p{Latin}"
# Codes that are more often written by mistake, for a country (br, ch, kr, se), have no script here.
_LANGUAGES_OF_SCRIPT: Mapping[str, str] = {
    _LATIN: "af ca cs cy da de en eo es et eu fi fo fr fy ga gd gl hr ht hu id ig is it jv la lb lt"
    " lv mg mi ms mt nb nl nn no oc pl pt qu rm ro rw sk sl sm sn so sq st su sv sw tl tn to tr ts"
    " vi wo xh yo zu",
    r"\p{Cyrillic}": "ba be bg ce cv ky mk ru tg tt uk",
    r"[\p{Cyrillic}\p{Latin}]": "az bs kk sr tk uz",
    r"\p{Devanagari}": "hi mr ne sa",
    r"\p{Arabic}": "ar fa ps sd ug ur",
    r"[\p{Arabic}\p{Latin}]": "ha ku",
    r"\p{Armenian}": "hy",
    r"\p{Bengali}": "as bn",
    r"\p{Ethiopic}": "am ti",
    r"\p{Georgian}": "ka",
    r"\p{Greek}": "el",
    r"\p{Gujarati}": "gu",
    r"[\p{Gurmukhi}\p{Arabic}]": "pa",
    r"\p{Hebrew}": "he yi",
    r"[\p{Han}\p{Hiragana}\p{Katakana}]": "ja",
    r"[\p{Hangul}\p{Han}]": "ko",
    r"\p{Kannada}": "kn",
    r"\p{Khmer}": "km",
    r"\p{Lao}": "lo",
    r"\p{Malayalam}": "ml",
    r"[\p{Mongolian}\p{Cyrillic}]": "mn",
    r"\p{Myanmar}": "my",
    r"\p{Oriya}": "or",
    r"\p{Sinhala}": "si",
    r"\p{Tamil}": "ta",
    r"\p{Telugu}": "te",
    r"\p{Thaana}": "dv",
    r"\p{Thai}": "th",
    r"\p{Tibetan}": "bo dz",
    r"\p{Han}": "zh",
}
_SCRIPT_OF = {
    code: script for script, codes in _LANGUAGES_OF_SCRIPT.items() for code in codes.split()
}
_NAMED_SCRIPTS: Mapping[str, str] = {
    "arab": r"\p{Arabic}",
    "cyrl": r"\p{Cyrillic}",
    "deva": r"\p{Devanagari}",
    "guru": r"\p{Gurmukhi}",
    "latn": _LATIN,
}
_COMMON_WORDS: Mapping[str, str] = {
    "de": "der das und ist nicht ein eine ich mit für auf wie wir auch sich vom beim",
    "en": "the and of to is for with you this that how why what my from are it was on in by a i",
    "es": "el los las una por para con del que más cómo qué es y mi",
    "fr": "le les des une est et pour dans sur avec qui pas vous du je ce",
    "it": "il gli della che di per con non una sono è come nel la",
    "nl": "het een van niet voor met ik dat wat naar ook",
    "pt": "não uma com para você dos das os em mais que é do na um",
}
_FEWEST_LETTERS = 6
_FEWEST_COMMON_WORDS = 2


def has_other_languages(language: str) -> bool:
    """Whether titles can be told to be in another language than the given one.

    Args:
        language: As in `other_language_column`.
    """
    return _find_script(language) is not None


def other_language_column(text: pl.Expr, language: str) -> pl.Expr:
    """Whether a text is clearly not in a language; false where there is no telling.

    Two signs: fewer than a third of its letters (of at least 6) are of the language's script; or
    it holds at least two of another language's commonest words and none of its own.

    Args:
        text: Titles, normalized (NFKC).
        language: ISO 639-1, such as ``en`` or ``pt-BR``. Where `has_other_languages` is false for
            it, no text is said to be in another language.
    """
    code, script = _split_tag(language)[0], _find_script(language)
    if script is None:
        # One value for each text: a literal would be a single row where it is selected alone.
        return pl.repeat(value=False, n=text.len(), dtype=pl.Boolean)
    # Most titles need neither test: plain ASCII is Latin, and one word of the language is enough.
    is_latin = script == _LATIN
    is_ascii = text.str.len_bytes() == text.str.len_chars()
    doubtful = pl.when(~is_ascii).then(text) if is_latin else text
    letters = doubtful.str.count_matches(r"\p{Alphabetic}")
    few = doubtful.str.count_matches(script) * 3 < letters
    foreign_script = ((letters >= _FEWEST_LETTERS) & few).fill_null(value=False)
    if code not in _COMMON_WORDS:
        return foreign_script
    without_own = pl.when(~text.str.contains(_words_regex(code))).then(text)
    others = [
        without_own.str.count_matches(_words_regex(other)) >= _FEWEST_COMMON_WORDS
        for other in _COMMON_WORDS
        if other != code
    ]
    return foreign_script | pl.any_horizontal(others).fill_null(value=False)


def _split_tag(language: str) -> list[str]:
    return language.lower().replace("_", "-").split("-")


def _find_script(language: str) -> str | None:
    """The characters that a language is written with: those that its tag names go first."""
    code, *subtags = _split_tag(language)
    named = (_NAMED_SCRIPTS[subtag] for subtag in subtags if subtag in _NAMED_SCRIPTS)
    return next(named, _SCRIPT_OF.get(code))


def _words_regex(code: str) -> str:
    return rf"(?i)\b(?:{'|'.join(_COMMON_WORDS[code].split())})\b"
