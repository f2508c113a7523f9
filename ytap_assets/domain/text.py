"""Text normalization: the forms in which texts, words and titles are compared.

Belongs here: which differences between two texts are ignored, when two titles are equal, and what a
site shows in place of a title. Does not belong here: finding phrases (`phrases`), or the similarity
of different titles (`stories`). `docs/matching.md` states the rules for users.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TypeVar

import polars as pl

_Texts = TypeVar("_Texts", pl.Expr, pl.Series)
_BREAK = "\x00"
SCRIPT_EDGE = "\x1f"
"""Marks the beginning and end of a script without spaces, or of Korean; removed from all texts."""

UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\x{3099}\x{309A}\x{30FC}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
)
"""Scripts written without spaces between words, for a character class."""

GAPS = rf"\s{SCRIPT_EDGE}*~#\[\]\\-"
"""Characters allowed within a word of a script without spaces, for a character class."""

ACCENTS = r"\x{300}-\x{344}\x{346}-\x{36F}"
"""Accents of Latin letters. Without U+0345, which is a letter iota to `(?i)`."""

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
"""Characters that cleaning never changes: a text of only these is clean."""

_UNCLEAN = rf"[^{CLEAN_CHARACTERS}]|{_MAY_BE_ENTITY}"
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_UNSEEN = (
    r"[[\p{Cf}\p{Cc}--\s]\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{3164}"
    r"\x{FE00}-\x{FE0F}\x{FFA0}\x{E0100}-\x{E01EF}]"
)
# Replaced before NFKC, which turns a trade mark into TM, and an acute accent into a space.
# The capital lunate sigma becomes a small letter: it looks like c, not like a capital sigma.
_SIGNS = {
    **dict.fromkeys("\u2122\u2120\u00ae\u00a9\u2117\u2800", " "),
    "\u00b4": "'",
    "\u03f9": "\u03c2",
}

# Tags of HTML and of speech markup (SSML). Inline tags do not separate words.
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
# Emphasis of a part of a word; `phrases` handles emphasis of whole words.
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
# A letter of an alphabet; adjacent scripts without spaces are excluded.
_LETTER = r"(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ufaff\uff66-\uffdc])[^\W\d_])"
_MIXED_WORD = re.compile(rf"{_LETTER}+(?:[\u0300-\u036f]+{_LETTER}+)*")
_LATIN = re.compile("[A-Za-z]")
_OTHER_ALPHABET = re.compile("[\u0370-\u058f]")
_CYRILLIC_ALIKE = ("аеіјкорсухАВЕІЈКМНОРСТУХ", "aeijkopcyxABEIJKMHOPCTYX")
_GREEK_ALIKE = ("αικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aikvoptuxABEZHIKMNOPTYX")
# Greek, Cyrillic and Armenian letters that look like a Latin letter, one way only.
_LATIN_LOOKALIKES = {
    **dict(zip("γεηςω", "yencw", strict=True)),
    **dict(zip("вгмнпт", "brmhnt", strict=True)),
    **dict(zip("һѕԁԛԝѵӏЅѴӀ", "hsdqwvlSVI", strict=True)),
    **dict(zip("\u0585\u057d\u0570\u0578\u0581\u0575\u0566", "ouhngjq", strict=True)),
    **dict(zip("\u0555\u054f\u054d\u053c", "OSUL", strict=True)),
}
_TO_LATIN = str.maketrans(_LATIN_LOOKALIKES) | str.maketrans(
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
    """Normalize texts for matching; null stays null.

    Args:
        texts: Strings, untrusted.

    Returns:
        ``clean`` (as displayed: entities decoded, full-width and mathematical letters plain,
        invisible characters and trade mark signs removed), ``normal`` (the form in which
        words are compared, capitals kept, `SCRIPT_EDGE` at the edges of scripts), and ``searched``
        (without accents and gaps within a script without spaces, and in lower case where it is
        not ASCII: for a plain search).
    """
    texts = texts.cast(pl.String)
    # Most texts are plain ASCII, which is already in normal form.
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


def plain_punctuation(clean: pl.Series) -> pl.Series:
    """Replace typographic apostrophes, quotes and dashes, for patterns."""
    # None of them is ASCII, and most texts are.
    rows = has_non_ascii(clean).arg_true()
    if rows.is_empty():
        return clean
    return clean.clone().scatter(rows, clean.gather(rows).str.replace_many(_TYPOGRAPHIC))


def has_non_ascii(texts: _Texts) -> _Texts:
    """Whether each text has characters outside ASCII; null for null."""
    return texts.str.len_bytes() != texts.str.len_chars()


def replace_lists(lists: pl.Series, rows: pl.Series, new: pl.Series) -> pl.Series:
    """Lists of texts with those of some rows replaced: `Series.scatter` refuses lists."""
    places = pl.int_range(lists.len() + new.len(), dtype=pl.UInt32, eager=True)
    places = places.head(lists.len()).scatter(rows, places.tail(new.len()))
    # Polars gathers lists from several chunks many times slower.
    return pl.concat([lists, new.alias(lists.name)], rechunk=True).gather(places)


def join_scripts(normal: pl.Expr) -> pl.Expr:
    """Convert a normal form to text: without script edges, with composed accents."""
    return normal.str.replace_all(SCRIPT_EDGE, "", literal=True).str.normalize("NFC")


def _change(texts: pl.Series, regex: str, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Apply a change to the texts that match, so that other texts cost nothing."""
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
    """The displayed text of HTML and Markdown, followed by the addresses within the markup."""
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
    """Convert words that mix Latin with similar Cyrillic or Greek letters to one script."""
    return _texts(_MIXED_WORD.sub(lambda one: _unify_word(one[0]), text) for text in texts)


def _texts(values: Iterable[str]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)


def _unify_word(word: str) -> str:
    latin, others = len(_LATIN.findall(word)), len(_OTHER_ALPHABET.findall(word))
    if not latin or not others:
        return word
    to_latin = word.translate(_TO_LATIN)
    is_latin = not _OTHER_ALPHABET.search(to_latin)
    # Of the other alphabets, the one of the word's letters.
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
    """The replacements of single characters in the normal form."""
    return {
        **dict(_accented_letters()),
        **dict(_other_letters()),
        **dict(_marks_to_drop()),
        **_TYPOGRAPHIC,
        **dict.fromkeys("\u05f3\ua78c`", "'"),
        "\u05f4": '"',
        # Middle dots and bullets separate words, as dashes do.
        **dict.fromkeys("\u058a\u05be\u30fb\u00b7\u2022\u2027\u2219\u22c5", "-"),
        **dict.fromkeys("_\u203f\u2040", " "),
    }


def _accented_letters() -> Iterator[tuple[str, str]]:
    """Separate accents from letters, so that a phrase can omit them; remove Greek accents.

    Greek capitals are written without accents, and most Cyrillic texts without stress marks.
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
    # Arabic and Persian letters that are used interchangeably.
    yield from zip("أإآٱىیکة", "ااااييكه", strict=True)
    for zero in (0x660, 0x6F0, 0x966, 0x9E6):
        yield from ((chr(zero + digit), str(digit)) for digit in range(10))
    # White on black, circled or squared: NFKC covers only the other shapes.
    for first in (0x1F150, 0x1F170):
        yield from ((chr(first + number), chr(0x41 + number)) for number in range(26))
    yield from zip(*_SMALL_CAPITALS, strict=True)


def _marks_to_drop() -> Iterator[tuple[str, str]]:
    """Arabic and Hebrew vowel marks, the Arabic tatweel, and combining overlays."""
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


MAX_TITLE_CHARACTERS = 1000
"""Longer than the titles of any platform; the rest of a longer text is ignored."""

_APOSTROPHE = r"(?:['\x{2019}]|&#0?39;)?"
_ROBOT = r"(?:a |an )?(?:ro)?bot"
_TO_GO_ON = (
    r"(?:,? (?:(?:in order )?to (?:continue|proceed|access|view|use|read)\b.*|by completing\b.*"
    r"|before (?:continuing|proceeding)\b.*|and reload\b.*))?"
)
# Bot checks of Cloudflare, Akamai, PerimeterX, Imperva, Vercel, Anubis and others.
_CHECKS = (
    rf"are you (?:not )?(?:{_ROBOT}|(?:a )?human)(?: or {_ROBOT})?",
    rf"(?:robot or human|human or robot)|i{_APOSTROPHE}m not {_ROBOT}",
    rf"(?:please )?(?:verify|confirm|prove|make sure|verifying|confirming)(?: that)?"
    rf" you(?: are|{_APOSTROPHE}re) (?:(?:a )?human|not {_ROBOT}){_TO_GO_ON}",
    rf"making sure (?:that )?you(?: are|{_APOSTROPHE}re) (?:not {_ROBOT}|(?:a )?human)",
    r"access to (?:this|the) (?:page|site|website)(?: has been| is)? (?:denied|blocked|restricted)",
    r"(?:sorry,? )?you have been blocked",
    r"your (?:access|request) (?:has been|was) (?:denied|blocked)",
    r"(?:access|permission|request) (?:denied|blocked|rejected)",
    r"request unsuccessful(?:\W+incapsula.*)?",
    r"checking (?:your browser(?: before accessing.*)?|if the site connection is secure)",
    r"(?:ddos|bot) protection(?: by \w+)?|ddos-guard|protected by anubis",
    r"(?:vercel )?security (?:check|checkpoint|verification)|performing security verification",
    r"(?:human|bot|browser) (?:verification|check)|client challenge|challenge validation",
    r"(?:google )?(?:re|h)?captcha(?: (?:check|challenge|required))?|pardon our interruption",
    r"(?:we(?:'ve)? )?(?:detected )?unusual (?:traffic|activity)(?: from your .*)?",
    rf"(?:please )?(?:enable|turn on) (?:javascript|js|cookies)(?: and cookies)?{_TO_GO_ON}",
    r"javascript is (?:not available|disabled|required)|attention required",
    r"(?:just|one) a? ?moment(?:,? please)?|please wait(?: a moment)?"
    r"(?:,? while (?:we (?:are )?(?:verify|check|redirect)|your (?:request|browser)).*)?",
)
# "Just a moment" in other languages.
_WAITING = (
    r"nur einen moment(?: geduld)?|einen moment(?:,? bitte)?|bitte warten|un moment",
    r"un momento(?:,? por favor)?|espere un momento|un instant|veuillez patienter",
    r"attendere(?: prego)?|ci siamo quasi|(?:só )?um momento|aguarde(?: um momento)?",
    r"(?:nog )?een (?:moment|ogenblik)(?: geduld)?|even geduld(?: a\.?u\.?b\.?)?",
    r"ett ögonblick|vänta(?: lite)?|(?:lige )?et øjeblik|(?:bare )?et øyeblikk",
    r"hetkinen|odota hetki|egy pillanat|okamžik|(?:ještě )?chvíl(?:k)?u(?: strpení)?",
    r"jeszcze chwil[aę]|chwileczkę|proszę czekać|doar un moment|samo trenutak",
    r"bir dakika(?: lütfen)?|lütfen bekleyin|(?:mohon )?tunggu(?: sebentar)?",
    r"chờ một chút|vui lòng (?:chờ|đợi)(?: một chút)?",
    r"один момент|минуточку|минутку|подождите(?:,? пожалуйста)?|пожалуйста,? подождите",
    r"зачекайте|хвилинку|хвилиночку|един момент|μια στιγμή|ένα λεπτό|רק רגע|لحظة(?: من فضلك)?",
    r"یک لحظه|لطفا صبر کنید|एक क्षण|कृपया प्रतीक्षा करें|(?:โปรด)?รอสักครู่",
    r"しばらくお待ち(?:ください|下さい)|少々お待ち(?:ください|下さい)|お待ちください",
    r"[请請]稍[候等](?:片刻)?|稍等片刻|잠시만 기다(?:리십시오|려 ?주(?:십시오|세요))",
)
_FAILURES = (
    r"bad request",
    r"unauthori[sz]ed",
    r"forbidden",
    r"(?:page |file |site )?not found",
    r"method not allowed",
    r"not acceptable",
    r"request time-?d?[ -]?out",
    r"too many requests",
    r"unavailable for legal reasons",
    r"(?:internal )?server error",
    r"not implemented",
    r"bad gateway",
    r"(?:service |temporarily |service temporarily )unavailable",
    r"gateway time-?d?[ -]?out",
    r"(?:connection|origin|request)(?: connection)? timed out",
    r"(?:origin|web server) is (?:down|unreachable|returning an unknown error)",
    r"the service is unavailable",
)
_FAILURE = rf"(?:{'|'.join(_FAILURES)})"
_STATUS = r"(?:(?:http|error|status|code)[\W_]+){0,3}[45][0-9]{2}"
_STATUSES = (
    rf"{_STATUS}\W+(?:error\W+|http\W+)?(?:{_FAILURE}|gone)(?:\W*(?:error|access is denied|1))?",
)
_ERRORS = (
    rf"(?:http|error|status)[\W_]+{_STATUS}|[45][0-9]{{2}} error|error 1[0-9]{{3}}",
    rf"{_FAILURE}(?:\W+{_STATUS})?",
    r"(?:an )?error (?:has )?occurred|something went wrong|privacy error",
    r"application error(?:\W+a client-side exception.*)?",
    r"(?:oops\W+)?(?:this )?(?:page|site|content) (?:not available|unavailable|does not exist)",
    rf"(?:this|that) (?:page|content|site) (?:is|can)(?: not|not|n?{_APOSTROPHE}t)(?: be)?"
    r" (?:available|reached|found)(?: right now| anymore)?",
    r"(?:your )?connection is not private|(?:site |under |down for |scheduled )maintenance",
    r"(?:this )?account (?:has been )?suspended",
    r"(?:loading|redirecting)(?:\.{2}|…)",
)
_GONE = (
    r"(?:deleted|removed) by (?:the )?"
    r"(?:user|author|moderators?|mods?|reddit|admins?|automod(?:erator)?)",
    r"removed|deleted|(?:private|deleted|unavailable|removed) video|video (?:removed|deleted)",
    r"(?:this )?video (?:is )?(?:unavailable|private|not available|no longer available.*)",
    r"v[ií]deo (?:privado|eliminado|no disponible|não disponível|indisponível)",
    r"vidéo (?:privée|supprimée|non disponible)|video (?:privato|eliminato|non disponibile)",
    r"(?:privates|gelöschtes) video|(?:dieses )?video (?:ist )?nicht verfügbar",
    r"(?:非公開|削除された|限定公開)(?:の)?動画|この動画は(?:再生できません|非公開です|削除されました)",
    r"(?:私享|已删除的|已刪除的)(?:视频|影片)|비공개 동영상",
    r"삭제된 (?:동영상|게시물입니다)|이 글은 삭제되었습니다",
    r"личное видео|удал[её]нное видео|видео недоступно|(?:частное|скрытое) видео",
)
# Login pages, and default titles of servers and sites.
_DEFAULTS = (
    r"before you continue(?: to \w+)?|(?:log|sign) ?(?:in|up)",
    r"subscribe to (?:read|continue)(?: reading)?",
    r"(?:facebook|instagram|linkedin|x|twitter)\W+(?:log ?in|sign ?in)(?:\W+(?:or\W+)?sign ?up)?",
    r"(?:log|sign) ?in (?:to|on) (?:facebook|instagram|linkedin|x|twitter|your account|continue)",
    r"reddit\W+(?:dive into anything|the heart of the internet|the front page of the internet)",
    r"tiktok\W+make your day|(?:x|twitter)\W+it.s what.s happening(?: / (?:x|twitter))?",
    r"welcome to nginx|apache2? (?:\w+ )?default page.*|iis windows(?: server)?|it works",
    r"test page for (?:the )?(?:apache|nginx).*|index of /",
    r"(?:domain|default|parked) (?:parking )?page",
    r"(?:this )?(?:domain|domain name) (?:is |may be )?for sale|untitled(?: (?:document|page))?",
    r"n/a|home ?page|document moved|object moved|(?:301|302)\W+(?:moved permanently|found)",
)
_ANYWHERE = "|".join((*_CHECKS, *_STATUSES))
_ALONE = "|".join((*_WAITING, *_ERRORS, *_GONE, *_DEFAULTS))
_SITE = r"[^|\x{2013}\x{2014}-]{1,60}"
_SITE_SEPARATOR = r"[|:\x{b7}\x{2022}\x{2013}\x{2014}-]"
NO_TITLE = (
    rf"(?i)^[\W_]*(?:(?:(?:{_SITE} [|\x{{2013}}\x{{2014}}-] )?(?:{_ANYWHERE})|(?:{_ALONE}))"
    rf"[\W_]*?(?:\s{_SITE_SEPARATOR}(?:\W+[\w.]+){{1,5}})?|[45][0-9]{{2}})[\W_]*$"
    r"|^\s*\[\s*(?:deleted|removed|unavailable|redacted)(?: by\b[^\]]*)?\s*\]\W*$"
)
"""A text that is not a title: a site's answer in place of a page, or the remains of a deleted post.
A site's name may follow it, or precede a bot check or an HTTP status."""
_WORD = r"\b[a-z](?:\+\+|#)|[\p{L}\p{M}\p{N}]+"


def comparable_titles(titles: pl.Series) -> pl.Series:
    """The words of each title, for equality.

    Differences that `normalize_texts` removes are ignored, and so are case, punctuation and HTML
    entities; accents are not, and C++, C# and C differ. Null for a text without words and for one
    that is not a title (`NO_TITLE`).

    Args:
        titles: Strings, untrusted. Only the first `MAX_TITLE_CHARACTERS` are used.
    """
    distinct = titles.cast(pl.String).unique().drop_nulls()
    read = normalize_texts(distinct.str.slice(0, MAX_TITLE_CHARACTERS))
    words = join_scripts(pl.col("normal")).str.to_lowercase().str.extract_all(_WORD).list.join(" ")
    is_title = (words != "") & ~pl.col("clean").str.contains(NO_TITLE)
    words_of = read.select(pl.when(is_title).then(words).alias("words"))["words"]
    return titles.replace_strict(distinct, words_of, default=None, return_dtype=pl.String)
