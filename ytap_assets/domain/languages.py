"""A cheap, honest guess whether a title is clearly in another language than a workspace's.

Belongs here: scripts and the commonest words of a few languages. Does not belong here: what
follows from it (`relevance`). It says "other" only where that is plain: titles are short, names
are international, and a wrong yes costs a good topic.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

_LATIN = r"\p{Latin}"
_NOT_ASCII = r"[^\x00-\x7F]"
_LANGUAGES_OF_SCRIPT: Mapping[str, str] = {
    _LATIN: "af ca cs da de en es et eu fi fr ga gl hr hu id is it lt lv ms nl no pl pt ro sk"
    " sl sq sv sw tl tr vi",
    r"\p{Cyrillic}": "be bg mk ru uk",
    r"\p{Devanagari}": "hi mr ne",
    r"\p{Arabic}": "ar fa ur",
    r"\p{Bengali}": "bn",
    r"\p{Greek}": "el",
    r"\p{Hebrew}": "he",
    r"[\p{Han}\p{Hiragana}\p{Katakana}]": "ja",
    r"[\p{Hangul}\p{Han}]": "ko",
    r"\p{Tamil}": "ta",
    r"\p{Telugu}": "te",
    r"\p{Thai}": "th",
    r"\p{Han}": "zh",
}
_SCRIPT_OF = {
    code: script for script, codes in _LANGUAGES_OF_SCRIPT.items() for code in codes.split()
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


def other_language_column(text: pl.Expr, language: str) -> pl.Expr:
    """Whether a text is clearly not in a language; false where there is no telling.

    Two signs: fewer than a third of its letters (of at least 6) are of the language's script; or
    it holds at least two of another language's commonest words and none of its own.

    Args:
        text: Titles, normalized (NFKC).
        language: ISO 639-1, such as ``en`` or ``pt-BR``; of one that is not known here nothing
            is said.
    """
    code = language.lower().replace("_", "-").split("-")[0]
    script = _SCRIPT_OF.get(code)
    if script is None:
        return pl.lit(value=False)
    # Most titles need neither test: plain ASCII is Latin, and one word of the language is enough.
    is_latin = script == _LATIN
    doubtful = pl.when(text.str.contains(_NOT_ASCII)).then(text) if is_latin else text
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


def _words_regex(code: str) -> str:
    return rf"(?i)\b(?:{'|'.join(_COMMON_WORDS[code].split())})\b"
