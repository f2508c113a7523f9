"""A cheap, honest guess whether a title is clearly in another language than a workspace's.

Belongs here: scripts and the commonest words of a few languages. Does not belong here: what
follows from it (`relevance`). It says "other" only where that is plain: titles are short, names
are international, and a wrong yes costs a good topic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

_LATIN = r"\p{Latin}"
_LANGUAGES_OF_SCRIPT: Mapping[str, str] = {
    _LATIN: "af ca cs da de en es et eu fi fr ga gl hr hu id is it lt lv ms nb nl nn no pl pt ro sk"
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
_ISO_639_1 = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
    de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
    ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
    lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
    pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti
    tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_CODE = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE)
_COUNTRIES = {"cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "ua": "uk"}
_FEWEST_LETTERS = 6
_FEWEST_COMMON_WORDS = 2


def check_language(text: str) -> str:
    """The language's code as it is written, where it is one: ``en``, ``pt-BR``, ``zh_Hant``.

    Raises:
        ValueError: It is the name of a language, the code of a country, or another word: with it,
            no title would ever be in another language.
    """
    match = _CODE.fullmatch(text)
    code = match[1].lower() if match else ""
    if not code or (len(code) == 2 and code not in _ISO_639_1.split()):
        meant = f": {_COUNTRIES[code]}" if code in _COUNTRIES else ", such as en or pt-BR"
        raise ValueError(f"{text[:40]!r} is no language; write its ISO 639 code{meant}")
    return text


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


def _words_regex(code: str) -> str:
    return rf"(?i)\b(?:{'|'.join(_COMMON_WORDS[code].split())})\b"
