"""Matching of listed words and phrases in texts, the same for every list.

A phrase matches whole words, in any script; word boundaries depend on the script, and `text`
determines which spellings are equal. `docs/matching.md` states the rules for users. Belongs here:
phrases, and regular expressions of users, in the dialect of Polars, whose engine takes linear time.
Does not belong here: the meaning of a match.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import polars as pl

from ytap_assets.domain.text import ACCENTS, GAPS, SCRIPT_EDGE, normalize_texts, plain_punctuation

MAX_PHRASES = 2_000
"""The maximum number of phrases in one list of a workspace."""
MAX_PHRASE_CHARACTERS = 200
MAX_REGEX_CHARACTERS = 500
_GROUP_CHARACTERS = 20_000
"""Far below the engine's limit, 10 MB when compiled."""
_LONG_BYTES = 20_000
_CACHED_LISTS = 2048
_CACHED_TEXTS = 4_096
_MANY_SHARE = 20
"""If more phrases than this share their longest word, a rarer word is searched for."""
_NO_LETTERS = "\u0640\u115f\u1160\u3164\uffa0"
"""Letters to Unicode that are not visible as letters."""
_TAKING_ACCENTS = ("LATIN ", "CYRILLIC ", "GREEK ")
_MASK = "\x00"
FOUND = pl.Schema({"row": pl.UInt32, "place": pl.UInt32, "phrase": pl.String})
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})

_PART = re.compile(rf"{SCRIPT_EDGE}([^{SCRIPT_EDGE}]+){SCRIPT_EDGE}|([^\s{SCRIPT_EDGE}-]+)")
_LETTER = re.compile(r"([\s\S])([\u0300-\u036f]*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_BREAK = re.compile(r"[\n\r\x0b\x0c\x85\u2028\u2029]")
_HAS_ALTERNATIVES = re.compile(r"[|?*]|\{0?,")
"""With alternatives, an expression can match although one character never occurs."""
_LIKE_REGEX = re.compile(
    r"\(\?[a-zA-Z:=!<-]|^\s*\\b|\\b\s*$|\\[swd][+*?{]|\.[*+](?!\S)|\.[*+]\??\w|\w\|\w|^\s*\^[^\W_]"
    r"|^/.+/g?i$"
)
# One star next to at least two letters: `A*` is a name, and `f***` a masked word.
_WILDCARD = re.compile(r"(?<!\S)[^\W_]{2,}\*(?!\S)|(?<!\S)\*[^\W_]{2,}(?!\S)")
_LISTED_APART = re.compile(r"[,;](?=\s)|[\u060c\u3001\uff0c\uff1b]")
_WRITTEN_CHARACTER = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[xuU]\{([0-9A-Fa-f]{1,6})\})"
)
_CLASS = re.compile(r"\[(?:\\.|[^\[\]\\])+\]")
_ANY_ESCAPE = re.compile(r"\\[\s\S]")
_SLASHED = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
# White space or a hyphen between words, with the marks of Markdown around: `**free** - #robux`.
_APART = r"[*~\]\\]*(?:[\s-]+|[\s-]*\n[\s>-]+)[*~#\[]*\s*"
# Korean words are separated, so a space within a short one makes it other words.
_JAPANESE_ENDING = r"\p{Hiragana}"
_KOREAN_GAPS = rf"{SCRIPT_EDGE}-"
_SHORTEST_KOREAN_WORD = 2
# Prefixes that are written together with a word.
_ARABIC_BEFORE = "[وف]?(?:ال|لل|[بك]ال|[بلك])?"
_ARABIC_BEFORE_ARTICLE = "[وف]?(?:[بك]?ال|لل)"
_HEBREW_BEFORE = "ו?(?:כ?ש)?(?:[בכל]|מה?|ה)?"
_ARTICLE = "ال"


def find_phrases(texts: pl.DataFrame, phrases: Iterable[str]) -> pl.DataFrame:
    """Find the phrases in each text.

    A plain search for a word of each phrase, its longest or, where many have that, a rarer one,
    goes first and spares nearly all texts the regular expressions, which are fifty times as slow.

    Args:
        texts: ``normal`` and ``searched`` of `normalize_texts`.
        phrases: Valid ones (`check_phrase`); others never match.

    Returns:
        ``row`` (the text's number), ``place`` (the phrase's number, both from 0) and ``phrase``,
        in the order of both. Of phrases with the same normal form the first is reported.
    """
    known = _compile_phrases(tuple(phrases))
    if known.is_empty():
        return pl.DataFrame(schema=FOUND)
    words = known["word"].unique(maintain_order=True).to_list()
    may_hold = pl.col("searched").str.contains_any(words, ascii_case_insensitive=True)
    holding = texts.select("normal", "searched").with_row_index("row").filter(may_hold)
    pairs = _find_words(holding.with_columns(pl.col("searched").str.to_lowercase()), words).join(
        known, on="word", maintain_order="left"
    )
    found = [
        group.filter(pl.col("normal").str.contains(group["regex"][0]))
        for group in pairs.partition_by("place")
    ]
    return order_found(pl.concat([pairs.clear(), *found]).select(*FOUND))


def _find_words(texts: pl.DataFrame, words: Sequence[str]) -> pl.DataFrame:
    """``row``, ``normal`` and ``word``: the distinct words of each text.

    In a long text each word is searched separately: the list of all positions could be as long as
    the text times the number of words that contain each other.
    """
    is_long = pl.col("searched").str.len_bytes() > _LONG_BYTES
    held = pl.col("searched").str.extract_many(words, overlapping=True).list.unique()
    short = texts.filter(~is_long).select("row", "normal", word=held)
    long = texts.filter(is_long)
    found = [[word for word in words if word in text] for text in long["searched"]]
    column = pl.Series("word", found, dtype=pl.List(pl.String))
    return pl.concat([short, long.select("row", "normal", column)]).explode("word").drop_nulls()


def order_found(found: pl.DataFrame) -> pl.DataFrame:
    """Sort and deduplicate results of `find_phrases`."""
    # Sorting by one number takes a third of the time of two.
    key = pl.col("row").cast(pl.UInt64) * 2**32 + pl.col("place")
    ordered = found.with_columns(key=key).sort("key")
    is_new = pl.col("key").ne_missing(pl.col("key").shift())
    return ordered.filter(is_new).with_columns(pl.col("row").set_sorted()).select(*FOUND)


def mask_phrases(texts: pl.DataFrame, phrases: Iterable[str]) -> pl.DataFrame:
    """Replace each phrase by a mark, so that its neighbours are not joined.

    Args:
        texts: ``normal`` and ``searched`` of `normalize_texts`.
        phrases: As in `find_phrases`.

    Returns:
        ``row`` and ``masked``, the normal form with the marks: for the texts with a phrase.
    """
    phrases = tuple(phrases)
    rows = find_phrases(texts, phrases)["row"].unique().sort()
    masked = texts["normal"].gather(rows)
    for regex in join_regexes(_compile_phrases(phrases)["regex"]):
        masked = masked.str.replace_all(regex, _MASK)
    return pl.DataFrame({"row": rows, "masked": masked})


def check_phrase(text: str) -> str:
    """Validate a phrase.

    Raises:
        ValueError: It has nothing to compare (spaces, hyphens and invisible characters are
            ignored), has too many characters, or is written as a regular expression, with a
            wildcard, or on several lines.
    """
    if len(text) > MAX_PHRASE_CHARACTERS:
        raise ValueError(f"a phrase has at most {MAX_PHRASE_CHARACTERS} characters")
    if _LINE_BREAK.search(text.strip()):
        raise ValueError("a phrase has one line; list each phrase as an entry of its own")
    if _LIKE_REGEX.search(text):
        raise ValueError(
            "a phrase is not a regular expression; write the words, with alternatives as separate"
            " entries; regular expressions belong under spam.patterns"
        )
    if _WILDCARD.search(text):
        raise ValueError(
            "`*` is not a wildcard: a phrase matches whole words; list each form of a word; if it"
            " is part of a name, omit it"
        )
    if not is_phrase(text):
        raise ValueError(
            "it has no searchable character; a phrase needs a letter, a digit, or a mark other than"
            " spaces, hyphens and underscores"
        )
    return text


def is_listing(phrase: str) -> bool:
    """Whether a phrase looks like a list with commas; it would match only with its commas."""
    return len([part for part in _LISTED_APART.split(phrase) if is_phrase(part)]) > 1


def is_phrase(text: str) -> bool:
    """Whether a text has anything that can match."""
    # Configs are read often and have many phrases: a letter or digit decides without compiling.
    if "&" not in text and any(one.isalnum() and one not in _NO_LETTERS for one in text):
        return True
    return _compile_phrases((text,)).height > 0


@lru_cache(maxsize=_CACHED_LISTS)
def _compile_phrases(phrases: tuple[str, ...]) -> pl.DataFrame:
    """Compile the distinct valid phrases: ``place``, ``phrase``, ``word``, ``regex``.

    ``word`` is the word of the phrase used by the literal search.
    """
    forms = normalize_texts(pl.Series(phrases, dtype=pl.String))
    known = [
        (place, phrase, words, _phrase_regex(parts))
        for place, (phrase, normal, searched) in enumerate(
            zip(phrases, forms["normal"], forms["searched"].str.to_lowercase(), strict=True)
        )
        if (parts := _PART.findall(normal))
        and (
            words := [_without_article(free or spaced) for free, spaced in _PART.findall(searched)]
        )
    ]
    places, texts, words_of, regexes = zip(*known, strict=True) if known else ((), (), (), ())
    columns = {
        "place": pl.Series(places, dtype=pl.UInt32),
        "phrase": pl.Series(texts, dtype=pl.String),
        "word": pl.Series(_choose_words(words_of), dtype=pl.String),
        "regex": pl.Series(regexes, dtype=pl.String),
    }
    return (
        pl.DataFrame(columns)
        .with_columns(key=pl.col("regex").str.to_lowercase())
        .unique("key", keep="first", maintain_order=True)
        .drop("key")
    )


def _choose_words(words_of: Sequence[list[str]]) -> list[str]:
    """Choose each phrase's search word: its longest, or one that occurs in fewer phrases.

    A title that contains a word of all phrases would be tested against each of them.
    """
    longest = Counter(max(words, key=len) for words in words_of)
    shared = Counter(word for words in words_of for word in set(words))
    return [
        min(words, key=lambda word: (shared[word], -len(word)))
        if longest[most] > _MANY_SHARE
        else most
        for words in words_of
        for most in [max(words, key=len)]
    ]


def _phrase_regex(parts: Sequence[tuple[str, str]]) -> str:
    """The regex of one phrase; next to a symbol at its end (``C++``), any character is allowed.

    Args:
        parts: Pairs of which one is empty: a run of a script without spaces or of Korean, in which
            spaces are optional and words may have particles; or a word of another script.
    """
    regex, before_is_free = "(?i)", False
    for number, (free, spaced) in enumerate(parts):
        if number:
            regex += f"[{GAPS}]*" if free or before_is_free else _APART
        elif _is_korean(free) or _is_word_character(spaced[:1]):
            regex += r"\b"
        regex += _run_regex(free) if free else _word_regex(spaced)
        before_is_free = bool(free)
    return regex + (r"\b" if _is_word_character(parts[-1][1][-1:]) else "")


def _run_regex(run: str) -> str:
    """The regex of a run of a script without spaces, or of Korean, with gaps between characters.

    With gaps, the run must be complete except for a Japanese particle, because the end of one word
    and the beginning of the next could form another. In Korean, particles may follow, so gaps are
    allowed only between parts that are long enough to be words.
    """
    letters: list[str] = []
    for character in run:
        is_mark = unicodedata.category(character).startswith("M")
        if letters and is_mark:
            letters[-1] += pl.escape_regex(character)
        else:
            letters.append(pl.escape_regex(character))
    if len(letters) == 1:
        return letters[0]
    if not _is_korean(run):
        apart = f"[{GAPS}]*".join(letters)
        return f"(?:{''.join(letters)}|{SCRIPT_EDGE}{apart}(?:{SCRIPT_EDGE}|{_JAPANESE_ENDING}))"
    last = len(letters) - _SHORTEST_KOREAN_WORD
    regex = letters[0]
    for number, letter in enumerate(letters[1:], start=1):
        is_free = _SHORTEST_KOREAN_WORD <= number <= last
        regex += f"[{GAPS if is_free else _KOREAN_GAPS}]*{letter}"
    return regex


def _word_regex(word: str) -> str:
    """The regex of a word in a script with spaces, including the prefixes of Arabic and Hebrew."""
    script = unicodedata.name(word[0], "").partition(" ")[0]
    if script == "ARABIC":
        rest = _without_article(word)
        before = _ARABIC_BEFORE if rest == word else _ARABIC_BEFORE_ARTICLE
        return before + pl.escape_regex(rest)
    return (_HEBREW_BEFORE if script == "HEBREW" else "") + _letters_regex(word)


def _letters_regex(word: str) -> str:
    """A letter without accents matches any accents; others only themselves or the plain capital.

    Capitals are often written without accents.
    """
    regex = ""
    for base, accents in _LETTER.findall(word):
        letter = pl.escape_regex(base)
        if accents:
            regex += f"(?:{letter}{accents}|(?-i:{pl.escape_regex(base.upper())}))"
        elif unicodedata.name(base, "").startswith(_TAKING_ACCENTS):
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
    """Join alternatives, ``a|b|c``, into as few expressions as the engine's limit allows."""
    groups: list[list[str]] = []
    size = _GROUP_CHARACTERS
    for regex in regexes:
        size += len(regex)
        if size > _GROUP_CHARACTERS:
            groups.append([])
            size = len(regex)
        groups[-1].append(regex)
    return ["|".join(group) for group in groups]


@lru_cache(maxsize=_CACHED_TEXTS)
def check_regex(regex: str) -> str:
    """Validate a regular expression.

    The engine has no look-around and no back-references, and takes linear time, so an untrusted
    expression cannot block a run.

    Raises:
        ValueError: It is too long, not in the engine's dialect, too large when compiled, or
            matches the empty text and with it every text; or it has a character that is
            in no normalized text.
    """
    if len(regex) > MAX_REGEX_CHARACTERS:
        raise ValueError(f"a pattern has at most {MAX_REGEX_CHARACTERS} characters")
    slashed = _SLASHED.fullmatch(regex.strip())
    if slashed:
        flags = f"(?{slashed[2]})" if slashed[2] in {"i", "s", "m", "x"} else "(?i)"
        bare = f"{flags if slashed[2] else ''}{slashed[1]}"
        raise ValueError(f"slashes are not part of a pattern; write {bare} instead")
    _refuse_unmatchable(regex)
    try:
        matches_nothing = pl.Series([""]).str.contains(regex).item()
    except (pl.exceptions.ComputeError, UnicodeEncodeError) as error:
        raise ValueError(f"not a valid regular expression: {_engine_message(error)}") from error
    if matches_nothing:
        raise ValueError("a pattern that matches the empty text matches every text")
    return regex


def _engine_message(error: Exception) -> str:
    """The engine's message, without the marked position."""
    said = re.findall(r"error: (\S.*)", str(error))
    return said[-1] if said else type(error).__name__


def _refuse_unmatchable(regex: str) -> None:
    """Refuse a required character that is in no normalized text.

    Raises:
        ValueError: With the character and its replacement.
    """
    outside = _CLASS.sub(_without_class, regex)
    written = [_character_of(one) for one in _WRITTEN_CHARACTER.finditer(outside)]
    # Without escapes, which stand for a character or a class.
    literal = _ANY_ESCAPE.sub("\n", _WRITTEN_CHARACTER.sub("\n", outside))
    has_alternatives = _HAS_ALTERNATIVES.search(outside) is not None
    for character in (*written, *literal):
        if not has_alternatives or unicodedata.category(character) == "Cc":
            _refuse_character(character)
    seen = _seen(literal)
    if seen != literal and not has_alternatives:
        raise ValueError(
            "patterns are applied to texts with decoded HTML entities and composed accents; write"
            f" {seen.strip()!r} instead of {literal.strip()!r}"
        )


def _without_class(match: re.Match[str]) -> str:
    """A line break if some member of a class can be in a text; otherwise its first member."""
    inside = match[0][1:-1]
    characters = [_character_of(one) for one in _WRITTEN_CHARACTER.finditer(inside)]
    rest = _WRITTEN_CHARACTER.sub("", inside)
    if inside.startswith("^") or "-" in rest.strip("-") or "\\" in rest:
        return "\n"
    members = [*rest, *characters]
    return "\n" if any(_seen(one) == one for one in members) else members[0]


def _character_of(match: re.Match[str]) -> str:
    code = int(next(filter(None, match.groups())), 16)
    return chr(code) if code <= sys.maxunicode and not 0xD800 <= code <= 0xDFFF else "\n"


def _refuse_character(character: str) -> None:
    named = f"U+{ord(character):04X}"
    if unicodedata.category(character) == "Cc" and not character.isspace():
        advice = r"; in YAML, \b within double quotes is a backspace; use single quotes"
        raise ValueError(
            f"contains the control character {named}, which no text has"
            + (advice if character == "\b" else "")
        )
    seen = _seen(character)
    if seen != character:
        what = repr(seen) if seen.strip() else "a space" if seen else "nothing"
        raise ValueError(
            f"contains {named}, which is replaced in texts before matching; write {what} instead"
        )


@lru_cache(maxsize=_CACHED_TEXTS)
def _seen(text: str) -> str:
    """A text as patterns are applied to it; in ASCII, entities and control characters change."""
    if text.isascii() and "&" not in text and not _CONTROL.search(text):
        return text
    clean: str = plain_punctuation(normalize_texts(pl.Series([text]))["clean"]).item()
    return clean
