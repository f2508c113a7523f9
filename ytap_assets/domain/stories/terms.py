"""Titles as weighted terms: the words of a title, and the information of each.

Belongs here: reading words out of titles of any script, and weighing them by how rare they are.
Does not belong here: comparing titles (`clustering`), or which words are common (`common_words`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import polars as pl

from ytap_assets.domain.stories.common_words import COMMON_SHARES
from ytap_assets.domain.stories.numerals import fold_letters, fold_numbers, split_signs, unaccent
from ytap_assets.domain.text import NO_TITLE

SCALE = 1024
"""Weights are whole numbers, this for a length of 1: sums of them do not depend on their order."""

MAX_CHARACTERS = 300
"""What a title says, it says early; the rest of a longer one is not read."""

RAREST_SHARE = 1 / 20_000
"""No word counts as rarer than this: in a small window every other word occurs once."""

GENERAL_TITLES = 30_000
"""A window's counts are shares of its titles and so many others: a small one proves little."""

_NUMBER_SHARE = 0.01
_CERTAIN = 2.0
_FORM_SHARE = 0.05
_FORM = """
    official video audio lyrics lyric visualizer trailer teaser promo clip mv music highlights full
    game match fight show episode ep part season vol volume chapter preview recap review reaction
    reacts watch live stream livestream premiere ft feat featuring remix cover version hd 4k uhd vs
    weekly daily monthly yearly quarterly thread discussion megathread questions question self
    promotion moronic newbie beginner noob casual lounge showcase portfolio ama update updates news
    breaking report january february march april may june july august september october november
    december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday
    friday saturday sunday today tonight tomorrow yesterday day week month year
"""
_PRECISION = 2**23
_ROWS_AT_ONCE = 1_000_000
_PHRASE_FACTOR = 0.5
_PHRASE_EVIDENCE = 0.8
_UNSPACED_FACTOR = 0.6
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]+|[\p{{L}}\p{{M}}\p{{N}}--[{_UNSPACED}]]+(?:[.,]\p{{N}}+)*"
INVISIBLE = (
    r"[\p{Cf}\x{00}-\x{08}\x{0e}-\x{1f}\x{7f}-\x{84}\x{86}-\x{9f}\x{115f}\x{1160}\x{17b4}\x{17b5}"
    r"\x{180b}-\x{180f}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0100}-\x{e01ef}]"
)
"""Characters that nobody sees, as a regular expression: soft hyphens and other format characters,
controls, fillers, variation selectors."""
Words = TypeVar("Words", pl.Expr, pl.Series)

_NUMBER = r"^(?:[\p{N}.,]+|0\p{L})$"


def read_words(titles: pl.DataFrame) -> pl.DataFrame:
    """The words of titles, in their order.

    Case, accents, possessives, English endings and invisible characters are removed; numerals are
    written in digits (`numerals.fold_numbers`). Scripts that put no spaces between words, and
    Korean, whose words carry their particles, give pairs of characters.

    Args:
        titles: ``title_no`` and ``title``.

    Returns:
        ``title_no`` and ``word``; no row for a title without words.
    """
    return spell_words(*number_words(titles))


def number_words(titles: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The words of titles as `read_words` gives them, each as its number in a vocabulary.

    Args:
        titles: ``title_no`` and ``title``.

    Returns:
        ``title_no`` and ``word`` (UInt32), and the vocabulary: distinct words, sorted.
    """
    spelled = titles.select("title_no", word=_plain(titles["title"]).str.extract_all(_WORD))
    words = spelled.explode("word").drop_nulls()
    is_unspaced = words.get_column("word").str.contains(rf"^[{_UNSPACED}]")
    if is_unspaced.any():
        runs = words.with_row_index("run")
        spaced = runs.filter(~is_unspaced).with_columns(at=pl.lit(0, pl.UInt32))
        in_pairs = _character_pairs(runs.filter(is_unspaced))
        # One number to sort by takes a third of the time of two.
        place = pl.col("run").cast(pl.UInt64) * 2**32 + pl.col("at")
        words = pl.concat([spaced, in_pairs]).sort(place)
    # Groups of rows take half the time of distinct words and a join with them.
    distinct = words.select("word").with_row_index("row").group_by("word").agg("row")
    stems = stem(distinct.get_column("word"))
    vocabulary = stems.unique().sort().alias("word")
    places = distinct.select("row", number=vocabulary.search_sorted(stems)).explode("row")
    numbers = pl.zeros(words.height, pl.UInt32, eager=True)
    numbers.scatter(places["row"], places["number"].cast(pl.UInt32))
    return words.select("title_no", word=numbers), vocabulary


def spell_words(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """``words`` with the words themselves in place of their numbers."""
    return words.with_columns(word=pl.lit(vocabulary).gather(pl.col("word")))


def weigh_terms(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """Each title's distinct words and phrases of two words, weighed; each title's length is 1.

    A word says -ln(share): its share of titles in general (`common_words`; `_FORM` for words that
    say what kind of thing a title names), or in this window, as far as its count proves that
    (count - 2 sqrt(count)), whichever is largest. A phrase says half of what its words say.

    Args:
        words: ``title_no`` (UInt32) and ``word``, in order (`number_words`). With
            ``workspace_no`` (UInt32), the titles of each workspace are a window of their own, and
            so are its terms.
        vocabulary: The words by number, sorted.

    Returns:
        ``title_no``, ``term`` (UInt32), ``weight`` (Int32, `SCALE` = 1), ``evidence`` (Int32, 1/100
        nat: what sharing the term proves, negative for phrases, since their words have been counted
        each for itself) and ``titles`` (how many have the term), in the order of the terms: those
        of words before those of phrases.
    """
    numbered, terms = _number_terms(words)
    singles = _deduplicate(numbered.select("title_no", key=pl.col("term").cast(pl.UInt64)))
    terms = terms.with_columns(titles=_run_lengths(singles))
    terms = terms.with_columns(information=_information(terms, vocabulary))
    phrases = _deduplicate(_pair_words(numbered))
    both = _weigh_phrases(phrases, terms)
    offset = terms.height
    rows = pl.concat(
        [
            singles.select("title_no", term=pl.col("key").cast(pl.UInt32)),
            phrases.select("title_no", term=pl.col("key").rle_id() + offset),
        ]
    )
    del numbered, singles, phrases
    known = pl.concat([terms.select("titles", "information", evidence="information"), both])
    return _scale(rows, known)


def _number_terms(words: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``title_no, term`` of each word, and of each term ``workspace_no, word, size``."""
    if "workspace_no" not in words.columns:
        words = words.with_columns(workspace_no=pl.lit(0, pl.UInt32))
    key = pl.col("workspace_no").cast(pl.UInt64) * 2**32 + pl.col("word")
    keyed = words.select("title_no", key=key)
    keys = keyed.select(pl.col("key").unique().sort()).with_row_index("term")
    sizes = (
        words.select("workspace_no", "title_no")
        .unique()
        .group_by("workspace_no")
        .agg(size=pl.len().cast(pl.Int64))
    )
    terms = keys.select(
        workspace_no=(pl.col("key") // 2**32).cast(pl.UInt32),
        word=(pl.col("key") % 2**32).cast(pl.UInt32),
    ).join(sizes, on="workspace_no", how="left", maintain_order="left")
    numbered = keyed.join(keys, on="key", how="left", maintain_order="left")
    return numbered.select("title_no", "term"), terms


def _pair_words(numbered: pl.DataFrame) -> pl.DataFrame:
    """Each two words that follow each other in a title: ``title_no``, ``key`` (both terms)."""
    following = numbered.shift(-1)
    is_same = numbered["title_no"] == following["title_no"]
    key = numbered["term"].cast(pl.UInt64) * 2**32 + following["term"]
    return pl.DataFrame({"title_no": numbered["title_no"], "key": key}).filter(is_same)


def _deduplicate(rows: pl.DataFrame) -> pl.DataFrame:
    """``title_no, key`` in the order of the keys, each once; rows come in order of the titles."""
    rows = rows.sort("key", maintain_order=True)
    is_new = pl.col("key").ne_missing(pl.col("key").shift())
    is_new |= pl.col("title_no").ne_missing(pl.col("title_no").shift())
    return rows.filter(is_new)


def _run_lengths(rows: pl.DataFrame) -> pl.Series:
    return rows.get_column("key").rle().struct.field("len").cast(pl.Int64)


def _information(terms: pl.DataFrame, vocabulary: pl.Series) -> pl.Series:
    """What each word says (nats)."""
    word = pl.col("word")
    common = word.replace_strict(_COMMON_WORDS, _SHARES, default=0.0, return_dtype=pl.Float64)
    form = pl.when(word.is_in(_FORM_WORDS.implode())).then(_FORM_SHARE).otherwise(0.0)
    number = pl.when(word.str.contains(_NUMBER)).then(_NUMBER_SHARE).otherwise(0.0)
    is_unspaced = word.str.contains(rf"^[{_UNSPACED}]")
    general = (
        vocabulary.alias("word")
        .to_frame()
        .select(
            share=pl.max_horizontal(common, form, number),
            factor=pl.when(is_unspaced).then(_UNSPACED_FACTOR).otherwise(1.0),
        )
    )
    known = terms.with_columns(general.select(pl.all().gather(terms["word"])).get_columns())
    share = pl.max_horizontal(_share(), "share")
    return known.select(-share.log() * pl.col("factor")).to_series()


def _share() -> pl.Expr:
    """What part of all titles have a term for certain, at least `RAREST_SHARE`."""
    certain = pl.col("titles") - _CERTAIN * pl.col("titles").sqrt()
    return (certain / (pl.col("size") + GENERAL_TITLES)).clip(lower_bound=RAREST_SHARE)


def _weigh_phrases(phrases: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """``titles, information, evidence`` of each distinct phrase, in order."""
    runs = phrases.get_column("key").rle()
    pair = runs.struct.field("value")
    first, second = (pair // 2**32).cast(pl.UInt32), (pair % 2**32).cast(pl.UInt32)
    information = terms.get_column("information")
    words = pl.DataFrame(
        {
            "titles": runs.struct.field("len").cast(pl.Int64),
            "size": terms.get_column("size").gather(first),
            "one": information.gather(first),
            "two": information.gather(second),
        }
    )
    mean = pl.mean_horizontal("one", "two") * _PHRASE_FACTOR
    return words.select(
        "titles",
        information=pl.min_horizontal(mean, -_share().log()),
        evidence=-pl.min_horizontal("one", "two") * _PHRASE_EVIDENCE,
    )


def _scale(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The rows with what is known of their terms, and the weights of a title of length 1."""
    # Whole numbers, since a sum of floats depends on their order.
    whole = (known.get_column("information") * _PRECISION).round().cast(pl.Int64)
    square = (whole * whole).alias("square")
    squares = rows.select("title_no", square=square.gather(rows["term"]))
    lengths = squares.group_by("title_no").agg(pl.col("square").sum().sqrt() / _PRECISION)
    del squares
    length = number_values(lengths["title_no"], lengths["square"])
    known = known.select(
        "information",
        evidence=(pl.col("evidence") * 100).round().cast(pl.Int32),
        titles=pl.col("titles").cast(pl.UInt32),
    )
    # Some rows at a time, since floats of all would take more memory than anything else here.
    starts = range(0, max(1, rows.height), _ROWS_AT_ONCE)
    return pl.concat(
        _scale_part(rows.slice(start, _ROWS_AT_ONCE), known, length) for start in starts
    )


def _scale_part(rows: pl.DataFrame, known: pl.DataFrame, length: pl.Series) -> pl.DataFrame:
    told = rows.with_columns(known.select(pl.all().gather(rows["term"])).get_columns())
    weight = pl.col("information") / pl.lit(length).gather(pl.col("title_no")) * SCALE
    return told.filter(pl.col("information") > 0).select(
        "title_no", "term", weight.round().cast(pl.Int32).alias("weight"), "evidence", "titles"
    )


def number_values(numbers: pl.Series, values: pl.Series) -> pl.Series:
    """The value of each number from 0 to the greatest; null if there is none."""
    count = 0 if numbers.is_empty() else int(numbers.max()) + 1  # type: ignore[arg-type]
    return pl.repeat(None, count, dtype=values.dtype, eager=True).scatter(numbers, values)


def stem(word: Words) -> Words:
    """English endings off, lightly: two words that fall together by mistake cost precision."""
    return (
        word.str.replace(r"^([a-z]{2,})ies$", "${1}y")
        .str.replace(r"^([a-z]{3,}(?:[sxz]|ch|sh))es$", "${1}")
        .str.replace(r"^([a-z]{2,}[^sui])s$", "${1}")
        .str.replace(r"^([a-z]{3,})(?:ing|ed|er)$", "${1}")
        .str.replace(r"^([a-z]{3,})e$", "${1}")
    )


_FORM_WORDS = stem(pl.Series(_FORM.split())).unique()
_COMMON_WORDS, _SHARES = list(COMMON_SHARES), list(COMMON_SHARES.values())


def fold(words: Iterable[str]) -> list[str]:
    """Words of a vocabulary, in the form that `read_words` returns."""
    plain = unaccent(pl.lit(pl.Series(list(words)))).str.to_lowercase()
    return stem(pl.select(plain).to_series()).to_list()


def _plain(titles: pl.Series) -> pl.Expr:
    seen = titles.str.replace_all(INVISIBLE, "").str.slice(0, MAX_CHARACTERS)
    seen = seen.set(seen.str.contains(NO_TITLE), None)
    # Most titles are plain ASCII, which has no accents.
    rows = (seen.str.len_bytes() != seen.str.len_chars()).arg_true()
    plain = pl.select(unaccent(split_signs(pl.lit(seen.gather(rows))))).to_series()
    return fold_numbers(
        fold_letters(pl.lit(seen.scatter(rows, plain)))
        .str.to_lowercase()
        .str.replace_all(r"#(\p{N})", " nr ${1}")
        .str.replace_all(r"['\u2019\u02bc`]s\b", "")
        .str.replace_all(r"['\u2019\u02bc`]", "")
    )


def _character_pairs(runs: pl.DataFrame) -> pl.DataFrame:
    """Overlapping pairs of characters; a run of one character is itself."""
    characters = runs.with_columns(pl.col("word").str.extract_all(r".")).explode("word")
    following = pl.col("word").shift(-1).over("run")
    return (
        characters.with_columns(
            following=following,
            at=pl.int_range(pl.len(), dtype=pl.UInt32).over("run"),
            length=pl.len().over("run"),
        )
        .filter(pl.col("following").is_not_null() | (pl.col("length") == 1))
        .select("run", "title_no", pl.col("word") + pl.col("following").fill_null(""), "at")
    )
