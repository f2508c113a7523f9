"""Titles into weighted terms: which words a title has, and what each of them says.

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

    Case, accents, possessives, English endings and what cannot be seen are taken off; numerals are
    written in digits (`numerals.fold_numbers`). Scripts that put no spaces between words, and
    Korean, whose words carry their particles, give pairs of characters.

    Args:
        titles: ``title_no`` and ``title``.

    Returns:
        ``title_no`` and ``word``; no row for a title without words.
    """
    spelled = titles.select("title_no", word=_plain(pl.col("title")).str.extract_all(_WORD))
    runs = spelled.explode("word").drop_nulls().with_row_index("run")
    is_unspaced = pl.col("word").str.contains(rf"^[{_UNSPACED}]")
    spaced = runs.filter(~is_unspaced).with_columns(at=pl.lit(0, pl.UInt32))
    words = pl.concat([spaced, _character_pairs(runs.filter(is_unspaced))]).sort("run", "at")
    distinct = words.select(pl.col("word").unique()).with_columns(stem=stem(pl.col("word")))
    return words.join(distinct, on="word", how="left", maintain_order="left").select(
        "title_no", word="stem"
    )


def weigh_terms(words: pl.DataFrame) -> pl.DataFrame:
    """Each title's distinct words and phrases of two words, weighed; each title's length is 1.

    A word says -ln(share): its share of titles in general (`common_words`; `_FORM` for words that
    say what kind of thing a title names), or in this window, as far as its count proves that
    (count - 2 sqrt(count)), whichever is largest. A phrase says
    half of what its words say.

    Args:
        words: ``title_no`` and ``word``, in order (`read_words`), of one window.

    Returns:
        ``title_no``, ``term`` (UInt32), ``weight`` (Int32, `SCALE` = 1), and ``evidence``
        (Int32, 1/100 nat): what sharing the term proves, negative for phrases, since their
        words have been counted each for itself.
    """
    count = words.get_column("title_no").n_unique()
    known = _word_information(words, count).sort("word").with_row_index("term")
    told = words.join(known, on="word", how="left", maintain_order="left").drop("word")
    single = told.unique().with_columns(pl.col("term").cast(pl.UInt64), evidence="information")
    phrases = _phrases(told)
    frequent = _share(phrases.group_by("term").len(), count)
    phrases = phrases.join(frequent, on="term").with_columns(
        pl.min_horizontal("information", -pl.col("share").log())
    )
    terms = pl.concat([single, phrases.select(single.columns)]).filter(pl.col("information") > 0)
    # In the order of the terms, since a sum of floats depends on their order.
    length = (pl.col("information") ** 2).sum().over("title_no", order_by="term").sqrt()
    return terms.select(
        "title_no",
        term=pl.col("term").rank("dense"),
        weight=(pl.col("information") / length * SCALE).round().cast(pl.Int32),
        evidence=(pl.col("evidence") * 100).round().cast(pl.Int32),
    )


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


def fold(words: Iterable[str]) -> list[str]:
    """Words of a vocabulary as `read_words` gives them."""
    plain = unaccent(pl.lit(pl.Series(list(words)))).str.to_lowercase()
    return stem(pl.select(plain).to_series()).to_list()


def _plain(title: pl.Expr) -> pl.Expr:
    seen = title.str.replace_all(INVISIBLE, "").str.slice(0, MAX_CHARACTERS)
    seen = pl.when(~seen.str.contains(NO_TITLE)).then(seen)
    return fold_numbers(
        fold_letters(unaccent(split_signs(seen)))
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


def _word_information(words: pl.DataFrame, count: int) -> pl.DataFrame:
    seen = words.unique().group_by("word").len()
    common = pl.col("word").replace_strict(
        list(COMMON_SHARES), list(COMMON_SHARES.values()), default=0.0, return_dtype=pl.Float64
    )
    form = pl.when(pl.col("word").is_in(_FORM_WORDS.implode())).then(_FORM_SHARE).otherwise(0.0)
    number = pl.when(pl.col("word").str.contains(_NUMBER)).then(_NUMBER_SHARE).otherwise(0.0)
    is_unspaced = pl.col("word").str.contains(rf"^[{_UNSPACED}]")
    information = -pl.max_horizontal("share", common, form, number).log()
    return _share(seen, count).select(
        "word",
        information=information * pl.when(is_unspaced).then(_UNSPACED_FACTOR).otherwise(1.0),
    )


def _share(counts: pl.DataFrame, titles: int) -> pl.DataFrame:
    """With ``share``: how much of all titles have it for certain, at least `RAREST_SHARE`."""
    certain = pl.col("len") - _CERTAIN * pl.col("len").sqrt()
    return counts.with_columns(
        share=(certain / (titles + GENERAL_TITLES)).clip(lower_bound=RAREST_SHARE)
    )


def _phrases(told: pl.DataFrame) -> pl.DataFrame:
    following = pl.all().shift(-1).name.prefix("next_")
    pairs = told.with_columns(following).filter(pl.col("title_no") == pl.col("next_title_no"))
    # The numbers of both words in one, above those of single words.
    both = (pl.col("term").cast(pl.UInt64) + 1) * 2**32 + pl.col("next_term")
    return pairs.select(
        "title_no",
        term=both,
        information=pl.mean_horizontal("information", "next_information") * _PHRASE_FACTOR,
        evidence=-pl.min_horizontal("information", "next_information") * _PHRASE_EVIDENCE,
    ).unique(["title_no", "term"])
