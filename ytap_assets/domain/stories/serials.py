"""Parts of a series, which share almost every word and are different stories.

Belongs here: what of a title says which part it is (an episode, a date, the sides of a match, a
number in a title that otherwise repeats), and which groups contradict each other by it. Does not
belong here: likeness.
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.stories.terms import stem

_MARKING = """
    # nr no num episode ep eps episodio episodul folge teil part parte partie pt chapter capitulo
    chapitre bolum tap phan seria season saison staffel temporada temporad temp stagione vol volume
    tome day dia tag week semana woche semaine round rodada jornada matchday game level lesson
    lecture class odcinek odc серия серии сезон часть выпуск эпизод الحلقة حلقة الجزء ตอนที ตอนที่
"""
_MONTH_NAMES = """
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
"""
_MARKERS = stem(pl.Series(sorted(_MARKING.split()))).unique()
_MONTHS = stem(pl.Series(_MONTH_NAMES.split())).unique()
_NUMBER = r"^\p{N}+$"
_DAY = r"^(?:0?[1-9]|[12][0-9]|3[01])$"
_YEAR = r"^(?:[0-9]{2}|(?:19|20)[0-9]{2})$"
_WRITTEN_DATE = (
    r"^(?:(?:20)?[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"|[0-9]{1,4}\.[0-9]{1,2}\.[0-9]{2,4})$"
)
_AGAINST = ("vs", "v")
_GLUED = r"^(?:s([0-9]+)e([0-9]+)|(?:ep|e|pt|part|vol)([0-9]+))$"


def read_marks(words: pl.DataFrame) -> pl.DataFrame:
    """What says which part of a series a title is.

    Args:
        words: ``title_no`` and ``word``, in order (`terms.read_words`).

    Returns:
        ``title_no``, ``key`` (what is counted), ``value`` (which one), without repetitions.
    """
    words = _with_neighbours(words)
    marks = [_counted(words), _dated(words), _repeated(words), _opposed(words)]
    return pl.concat(marks).unique()


def find_conflicts(pairs: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """The pairs that count the same thing and have no value of it in common.

    Args:
        pairs: ``group`` and ``other``.
        marks: ``group``, ``key``, ``value``.

    Returns:
        ``group`` and ``other``, once per pair.
    """
    both = pairs.select("group", "other").join(marks, on="group")
    both = both.join(marks, left_on=["other", "key"], right_on=["group", "key"], suffix="_other")
    agrees = (pl.col("value") == pl.col("value_other")).any()
    found = both.group_by("group", "other", "key").agg(agrees=agrees).filter(~pl.col("agrees"))
    return found.select("group", "other").unique()


def _counted(words: pl.DataFrame) -> pl.DataFrame:
    """A number beside a word that counts: ``Episode 12``, ``12. Bölüm``, ``S01E06``, ``第12話``."""
    word, before, after = pl.col("word"), pl.col("before"), pl.col("after")
    counts_next = before.is_in(_MARKERS.implode()) | before.str.ends_with("第")
    counts_last = after.is_in(_MARKERS.implode()) | after.str.contains("^[화회話集期]")
    counts_another = pl.col("after_that").str.contains(_NUMBER).fill_null(value=False)
    marker = pl.when(counts_next).then(before).when(counts_last & ~counts_another).then(after)
    beside = words.filter(word.str.contains(_NUMBER)).select("title_no", key=marker, value=word)
    glued = words.filter(word.str.contains(_GLUED)).select(
        "title_no",
        key=pl.lit("episod"),
        value=pl.coalesce(word.str.extract(_GLUED, 2), word.str.extract(_GLUED, 3)),
    )
    marks = pl.concat([beside.drop_nulls(), glued])
    return marks.with_columns(pl.col("value").str.strip_chars_start("0"))


def _dated(words: pl.DataFrame) -> pl.DataFrame:
    """A day with its month in letters, or a date in numbers."""
    word, before, after = pl.col("word"), pl.col("before"), pl.col("after")
    day = pl.when(after.str.contains(_DAY)).then(after).otherwise(before)
    named = words.filter(word.is_in(_MONTHS.implode()), day.str.contains(_DAY)).select(
        "title_no",
        key=pl.lit("day"),
        value=word.str.slice(0, 3) + day.str.strip_chars_start("0"),
    )
    is_written = word.str.contains(_WRITTEN_DATE)
    parts = pl.concat_str(word, after, "after_that", separator="-")
    is_parted = (
        word.str.contains(_DAY)
        & after.str.contains(_DAY)
        & pl.col("after_that").str.contains(_YEAR)
    )
    written = words.select(
        "title_no",
        key=pl.lit("date"),
        value=pl.when(is_written).then(word).when(is_parted).then(parts),
    )
    return pl.concat([named, written.drop_nulls()])


def _repeated(words: pl.DataFrame) -> pl.DataFrame:
    """The title with its numbers left open, and the numbers."""
    word = pl.col("word")
    return words.group_by("title_no", maintain_order=True).agg(
        key=word.str.replace_all(r"\p{N}+", "0").str.join(" "),
        value=word.str.extract_all(r"\p{N}+").list.join(" ").str.join(" "),
    )


def _opposed(words: pl.DataFrame) -> pl.DataFrame:
    """The names on both sides of a ``vs``: two matches with no name in common are two."""
    matches = words.filter(pl.col("word").is_in(_AGAINST))
    sides = [
        matches.select("title_no", key=pl.lit("against"), value=side)
        for side in ("before", "after")
    ]
    return pl.concat(sides).drop_nulls()


def _with_neighbours(words: pl.DataFrame) -> pl.DataFrame:
    """The titles that may have marks; each word with the one before and the two after."""
    word = pl.col("word")
    telling = words.filter(word.str.contains(r"\p{N}") | word.is_in(_AGAINST))
    words = words.join(telling, on="title_no", how="semi", maintain_order="left")

    def neighbour(by: int) -> pl.Expr:
        is_same = pl.col("title_no") == pl.col("title_no").shift(by)
        return pl.when(is_same).then(pl.col("word").shift(by))

    return words.with_columns(before=neighbour(1), after=neighbour(-1), after_that=neighbour(-2))
