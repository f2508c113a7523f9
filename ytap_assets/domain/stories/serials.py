"""Parts of a series, which share almost every word and are different stories.

Belongs here: what of a title says which part it is (an episode, a date, a version, the sides of a
match, a number or weekday in a title that otherwise repeats), and which groups contradict each
other by it. Does not belong here: how numbers are written (`numerals`), likeness.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ytap_assets.domain.stories import numerals
from ytap_assets.domain.stories.terms import fold

_ALONE = (
    "game",
    "level",
    "lecture",
    "class",
    "book",
    "act",
    "edition",
    "phase",
    "version",
    "devlog",
)
_FAMILIES = {
    "nr": "nr no num",
    "episode": """
        episode ep eps episodio episodul folge bölüm odcinek odc aflevering avsnitt afsnit jakso
        epizoda díl tập серия выпуск эпизод серія випуск الحلقة حلقة ตอนที่ ตอนที एपिसोड επεισόδιο פרק
    """,
    "part": """
        part parts parte partie pt pts teil phần phan deel osa część czesc část rész bagian часть
        частина الجزء भाग μέρος חלק partea 번째
    """,
    "season": """
        season saison staffel temporada temporad temp stagione seizoen säsong sæson sesong
        kausi sezon évad seria sezonul сезон الموسم עונה
    """,
    "chapter": "chapter chapters chapitre capitulo capitolo kapitel hoofdstuk rozdział глава",
    "volume": "volume vol tome tomo том",
    "day": "day dia día jour giorno tag dag день",
    "week": "week semana semaine settimana woche неделя",
    "round": "round rodada jornada journée giornata matchday spieltag runde тур",
    "lesson": "lesson lektion leçon lección lezione lição урок",
    **dict(zip(_ALONE, _ALONE, strict=True)),
}
_GLUED = {
    "episode": "ep e eps episode folge",
    "season": "s season",
    "part": "pt part teil",
    "volume": "vol",
    "chapter": "ch chap chapter",
    "day": "day tag",
    "week": "week",
    "nr": "no nr",
    "version": "v ver",
}
_COUNTED_BY = "[话話集回期章節节部篇編季巻卷夜課课講讲弾日月年週周화회부편권탄장강일월년주]"
_RELEASES = "releas relea announc availabl changelog beta rc lts out"
_AMOUNTS = "billion million trillion thousand percent magnitud bn inch km gb tb ghz"
_THREADS = "thread megathread discussion roundup brief newslett mov recap"
_LINKS = ("of", "de", "del", "di", "do")
_NO_NAMES = ("on", "in", "to", "and", "or", "for", "with", "from", "of", "at", "by", "than")
_AGAINST = ("vs", "v")
# Also words of their own, or parts of names: no title is looked at for their sake, but at its end.
_NO_ROMANS = ("i", "v", "x", "vi", "xi", "xx", "xxx")


_MARKING = {word: family for family, words in _FAMILIES.items() for word in words.split()}
_PREFIXES = {word: family for family, words in _GLUED.items() for word in words.split()}
_ROMANS = numerals.roman_numbers()
_TENS = {word: f"{ten}0" for ten, word in enumerate(numerals.TENS.split(), start=2)}


def _by_stems(*dictionaries: Mapping[str, str]) -> list[dict[str, str]]:
    """Dictionaries by the stems of their words; where two have one stem, the first counts."""
    words = [word for words in dictionaries for word in words]
    stems = dict(zip(words, fold(words), strict=True))
    return [
        {stems[word]: value for word, value in reversed(list(words.items()))}
        for words in dictionaries
    ]


_MARKERS, _CARDINALS, _ORDINALS, _MONTHS, _WEEKDAYS, _SEASONS, _HOURS = _by_stems(
    _MARKING,
    numerals.number_lines(numerals.CARDINALS) | _TENS,
    *map(numerals.number_lines, (numerals.ORDINALS, numerals.MONTHS, numerals.WEEKDAYS)),
    *map(numerals.number_lines, (numerals.SEASONS, numerals.HOURS)),
)
_NAMED = {
    word: f"{name} {number}"
    for name, words in (
        ("hour", _HOURS),
        ("season", _SEASONS),
        ("month", _MONTHS),
        ("weekday", _WEEKDAYS),
        ("half", numerals.HALVES | numerals.LONE_HALVES),
    )
    for word, number in words.items()
}
"""Words that say when, or which half, with their class and which one of it."""
_NUMBER = r"^[0-9]+$"
_NTH = r"^([0-9]{1,3})(?:st|nd|rd|th|er|e|em|eme|ere|a|o|ª|º)$"
_DAY = r"^(?:0?[1-9]|[12][0-9]|3[01])$"
_YEAR = r"^(?:[0-9]{2}|(?:19|20)[0-9]{2})$"
_WHOLE_YEAR = r"^(?:19|20)[0-9]{2}$"
_WRITTEN_DATE = (
    r"^(?:(?:20)?[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"|[0-9]{1,4}\.[0-9]{1,2}\.[0-9]{2,4})$"
)
_SEASON_AND_EPISODE = r"^(?:s([0-9]{1,3})e([0-9]{1,4})|([0-9]{1,2})x([0-9]{2}))$"
_PREFIXED = r"^([a-z]{1,7})([0-9]{1,4})$"
_DOTTED = r"^[0-9]+(?:\.[0-9]+)+$"
_VERSION = r"^v([0-9]+(?:\.[0-9]+)*)$"


def read_marks(words: pl.DataFrame) -> pl.DataFrame:
    """What says which part of a series a title is.

    Args:
        words: ``title_no`` and ``word``, in order (`terms.read_words`).

    Returns:
        ``title_no``, ``key`` (what is counted), ``value`` (which one), without repetitions.
    """
    words = _read_numbers(_with_neighbours(words))
    marks = [
        _counted(words),
        _glued(words),
        _dated(words),
        _versions(words),
        _named(words),
        _repeated(words),
        _opposed(words),
    ]
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
    """A number beside a word that counts.

    ``Episode 12``, ``12. Bölüm``, ``第12話``, ``Part II``, ``Teil drei``, ``the second part``,
    ``2 of 5``; an ordinal counts the word behind it, a Roman numeral that of the name before it.
    """
    words = words.filter(
        pl.any_horizontal(pl.col("digits", "nth", "letters", "roman").is_not_null())
    )
    before, after, after_that = pl.col("before"), pl.col("after"), pl.col("after_that")
    marker_before, marker_after = _value(before, _MARKERS), _value(after, _MARKERS)
    # In `12 episode 13`, the marker belongs to the second.
    is_number = after_that.str.contains(_NUMBER) | after_that.is_in([*_ROMANS, *_CARDINALS])
    is_last = ~is_number.fill_null(value=False)
    is_last &= _value(before, _MONTHS).is_null()  # nor is it in `April 14 episode`
    in_a_row = pl.when(after.str.contains(f"^{_COUNTED_BY}")).then(after.str.slice(0, 1))
    in_order = pl.when(before.str.contains("(?:第|その|\u0e35\u0e48)$")).then(pl.lit("第"))
    of_all = (after == "of") & after_that.str.contains(_DAY)
    of_all &= after_that.cast(pl.Int64, strict=False) >= pl.col("digits").cast(
        pl.Int64, strict=False
    )
    key = pl.coalesce(
        pl.when(pl.col("digits").is_not_null()).then(
            pl.coalesce(
                marker_before,
                in_a_row,
                in_order,
                pl.when(of_all).then(pl.format("of {}", after_that)),
                pl.when(is_last).then(marker_after),
            )
        ),
        pl.when(pl.col("nth").is_not_null()).then(
            pl.coalesce(marker_before, marker_after, pl.format("nth {}", after))
        ),
        pl.when(pl.col("letters").is_not_null()).then(marker_before),
        pl.when(pl.col("roman").is_not_null()).then(pl.format("name {}", before)),
    )
    value = pl.coalesce("digits", "nth", "letters", "roman")
    return words.select("title_no", key=key, value=value).drop_nulls()


def _glued(words: pl.DataFrame) -> pl.DataFrame:
    """A number in one word with what it counts: ``S01E06``, ``1x06``, ``ep12``, ``v2.1``."""
    word = pl.col("word")
    words = words.filter(word.str.contains("[0-9]"))
    both = words.filter(word.str.contains(_SEASON_AND_EPISODE))
    parts = [
        both.select(
            "title_no",
            key=pl.lit(key),
            value=pl.coalesce(
                word.str.extract(_SEASON_AND_EPISODE, place),
                word.str.extract(_SEASON_AND_EPISODE, place + 2),
            ).str.strip_chars_start("0"),
        )
        for key, place in (("season", 1), ("episode", 2))
    ]
    one = words.select(
        "title_no",
        key=_value(word.str.extract(_PREFIXED, 1), _PREFIXES),
        value=word.str.extract(_PREFIXED, 2).str.strip_chars_start("0"),
    )
    version = words.select("title_no", key=pl.lit("version"), value=word.str.extract(_VERSION, 1))
    return pl.concat([*parts, one.drop_nulls(), version.drop_nulls()])


def _dated(words: pl.DataFrame) -> pl.DataFrame:
    """A day or a year with its month in letters, a date in numbers, the year of a word."""
    word, before, after = pl.col("word"), pl.col("before"), pl.col("after")
    after_that, before_that = pl.col("after_that"), pl.col("before_that")
    linked = pl.when(before.is_in(_LINKS)).then(before_that).otherwise(before)

    def day_of(text: pl.Expr) -> pl.Expr:
        digits = pl.coalesce(text.str.extract(_NTH, 1), text)
        return pl.when(digits.str.contains(_DAY)).then(digits.str.strip_chars_start("0"))

    months = words.with_columns(month=_value(word, _MONTHS)).drop_nulls("month")
    day = pl.coalesce(day_of(after), day_of(linked))
    named = months.select("title_no", key=pl.lit("month day"), value=pl.col("month") + "-" + day)
    year = pl.when(after.str.contains(_WHOLE_YEAR)).then(after)
    monthly = months.select("title_no", key=pl.lit("month"), value=pl.col("month") + "-" + year)
    words = words.filter(word.str.contains("^[0-9]"))
    is_written = word.str.contains(_WRITTEN_DATE)
    parts = pl.concat_str(word, after, "after_that", separator="-")
    is_middle = after.str.contains(_DAY)
    is_parted = word.str.contains(_DAY) & is_middle & after_that.str.contains(_YEAR)
    is_parted |= word.str.contains(_WHOLE_YEAR) & is_middle & after_that.str.contains(_DAY)
    written = words.select(
        "title_no",
        key=pl.lit("date"),
        value=pl.when(is_written).then(word).when(is_parted).then(parts),
    )
    # A title may tell of several years: the same word says that the year is of the same thing.
    name = pl.when(before.is_in(_NO_NAMES)).then(before_that).otherwise(pl.coalesce(before, after))
    yearly = words.filter(word.str.contains(_WHOLE_YEAR)).select(
        "title_no", key=pl.format("year {}", name), value=word
    )
    return pl.concat([named, monthly, written, yearly]).drop_nulls()


def _versions(words: pl.DataFrame) -> pl.DataFrame:
    """A number with dots behind a name: of two dots, or where the title tells of a release.

    ``Rust 1.80 released``, but not ``6.3 earthquake`` or ``1.2 billion``.
    """
    before, after = pl.col("before"), pl.col("after")
    word = pl.col("word")
    dotted = words.filter(word.str.contains(_DOTTED), ~word.str.contains(_WRITTEN_DATE))
    told = words.filter(word.is_in(_RELEASES.split())).select("title_no").unique()
    amounts = _AMOUNTS.split()
    is_amount = before.is_in(amounts) | after.is_in(amounts).fill_null(value=False)
    in_releases = dotted.join(told, on="title_no", how="semi").filter(~is_amount)
    exact = dotted.filter(word.str.count_matches(".", literal=True) > 1, ~before.is_in(_NO_NAMES))
    return (
        pl.concat([in_releases, exact])
        .select("title_no", key=pl.format("version {}", before), value="word")
        .drop_nulls()
    )


def _named(words: pl.DataFrame) -> pl.DataFrame:
    """The half of a story in two, and the weekday of a thread."""
    named = words.drop_nulls("named").select(
        "title_no",
        key=pl.col("named").str.extract("^([a-z]+)"),
        value="named",
    )
    threads = words.filter(pl.col("word").is_in(_THREADS.split())).select("title_no")
    of_threads = named.filter(key="weekday").join(threads, on="title_no", how="semi")
    return pl.concat([named.filter(key="half"), of_threads])


def _repeated(words: pl.DataFrame) -> pl.DataFrame:
    """The title with its numbers, days and the like left open, and what they are."""
    return words.group_by("title_no", maintain_order=True).agg(
        key=pl.col("left_open").str.join(" "), value=pl.col("filled").str.join(" ")
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
    """The titles that may have marks; each word with the two before and the two after."""

    def neighbour(by: int) -> pl.Expr:
        is_same = pl.col("title_no") == pl.col("title_no").shift(by)
        return pl.when(is_same).then(pl.col("word").shift(by))

    words = words.with_columns(
        before=neighbour(1),
        before_that=neighbour(2),
        after=neighbour(-1),
        after_that=neighbour(-2),
    )
    word = pl.col("word")
    in_letters = word.is_in([*_ROMANS, *_CARDINALS])
    is_name = word.is_in([one for one in _ROMANS if one not in _NO_ROMANS])
    is_name |= word.is_in(list(_NO_ROMANS)) & pl.col("after").is_null()
    telling = words.filter(
        word.str.contains(r"\p{N}")
        | word.is_in([*_AGAINST, *_ORDINALS, *_NAMED])
        | is_name
        | (in_letters & pl.col("before").is_in(list(_MARKERS)))
    )
    return words.join(telling, on="title_no", how="semi", maintain_order="left")


def _read_numbers(words: pl.DataFrame) -> pl.DataFrame:
    """What each word says, if anything.

    ``digits``, ``nth``: the number it is; ``letters``: the same, of numerals that count only what
    stands before them; ``roman``: of those that may follow a name; ``named``: its entry in
    `_NAMED`; ``left_open``, ``filled``: what is always the same of it, and what differs.
    """
    word, named = pl.col("word"), _value(pl.col("word"), _NAMED)
    roman = _value(word, _ROMANS)
    nth = pl.coalesce(word.str.extract(_NTH, 1), _value(word, _ORDINALS))
    digits = pl.when(word.str.contains(_NUMBER)).then(word.str.replace("^0+([0-9])", "${1}"))
    number = pl.coalesce(digits, nth, roman)
    numbers = words.select(word.unique()).with_columns(
        digits=digits,
        nth=nth,
        letters=pl.coalesce(roman, _value(word, _CARDINALS)),
        roman=roman,
        named=named,
        left_open=pl.when(number.is_not_null())
        .then(pl.lit("0"))
        .otherwise(
            pl.coalesce(named.str.extract("^([a-z]+)"), word.str.replace_all("[0-9]+", "0"))
        ),
        filled=pl.coalesce(number, named, word.str.extract_all("[0-9]+").list.join(" ")),
    )
    return words.join(numbers, on="word", how="left", maintain_order="left")


def _value(word: pl.Expr, values: Mapping[str, str]) -> pl.Expr:
    """What a dictionary says of a word; null where it does not have it."""
    return word.replace_strict(
        list(values), list(values.values()), default=None, return_dtype=pl.String
    )
