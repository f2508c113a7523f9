"""Parts of a series, which share almost every word and are different stories.

Belongs here: the words of a title that identify its part (an episode, a date, a version, the sides
of a match, a number or weekday in a title that otherwise repeats), and which groups conflict
because of them. Does not belong here: how numbers are written (`numerals`), similarity.
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
    "gameweek",
)
_FAMILIES = {
    **numerals.COUNTING,
    "nr": "nr no num",
    "season": """
        season saison staffel temporada temporad temp stagione seizoen säsong sæson sesong
        kausi sezon évad seria sezonul сезон الموسم עונה
    """,
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
# What these count, they stand before: `two groups` are no group 2.
_BEFORE_ONLY = ("group", "section", "exhibit", "appendix", "disc", "side", "session")
_AMOUNTS_BEFORE = ("part", "episod")  # an 8-part series, 1,000 part-time workers
_UNSPACED_FAMILIES = {
    counter: family
    for family, counters in {
        "episode": "話话集回期화회",
        "part": "節节部篇編부편",
        "chapter": "章장",
        "season": "季",
        "volume": "巻卷권",
    }.items()
    for counter in counters
}
_COUNTED_BY = "[话話集回期章節节部篇編季巻卷夜課课講讲弾日月年週周화회부편권탄장강일월년주]"
_RELEASES = "releas relea announc availabl changelog beta rc lts out"
_AMOUNTS = "billion million trillion thousand percent magnitud bn inch km gb tb ghz"
_THREADS = "thread megathread discussion roundup brief newslett mov recap"
_LINKS = ("of", "de", "del", "di", "do")
_NO_NAMES = ("on", "in", "to", "and", "or", "for", "with", "from", "of", "at", "by", "than")
_AGAINST = ("vs", "v")
# Also words of their own, or parts of names: no title is looked at for their sake, but at its end.
_NO_ROMANS = ("i", "v", "x", "vi", "xi", "xx", "xxx", "lx")
# Sizes, signs between words, names, and what is left of `live`.
_NOT_ROMAN = ("l", "xl", "li", "liv", "lv")
# Different names of the part of one whole: a part 3 is no first half, no ① and no episode 1.
_PARTS = "^(?:episode|part|nr|第|of [0-9]+)$"
# What may have a last one that is one of those counted, unlike the last week or season.
_ENDING = ("episode", "part", "day", "round", "chapter", "lesson")
_MOST_LAST = 60


_MARKING = {word: family for family, words in _FAMILIES.items() for word in words.split()}
_PREFIXES = {word: family for family, words in _GLUED.items() for word in words.split()}
_ROMANS = {
    word: number for word, number in numerals.roman_numbers().items() if word not in _NOT_ROMAN
}
_TENS = {word: f"{ten}0" for ten, word in enumerate(numerals.TENS.split(), start=2)}


def _by_stems(*dictionaries: Mapping[str, str]) -> list[dict[str, str]]:
    """Dictionaries by the stems of their words; if words have one stem, the first is used."""
    words = [word for words in dictionaries for word in words]
    stems = dict(zip(words, fold(words), strict=True))
    return [
        {stems[word]: value for word, value in reversed(list(words.items()))}
        for words in dictionaries
    ]


(
    _MARKERS,
    _CARDINALS,
    _ORDINALS,
    _MONTHS,
    _WEEKDAYS,
    _SEASONS,
    _HOURS,
    _STAGES,
    _SHORT_WEEKDAYS,
    _SHORT_MONTHS,
    _LAST,
) = _by_stems(
    _MARKING,
    numerals.number_lines(numerals.CARDINALS) | _TENS,
    *map(numerals.number_lines, (numerals.ORDINALS, numerals.MONTHS, numerals.WEEKDAYS)),
    *map(numerals.number_lines, (numerals.SEASONS, numerals.HOURS)),
    numerals.STAGES,
    *map(numerals.number_lines, (numerals.SHORT_WEEKDAYS, numerals.SHORT_MONTHS)),
    dict.fromkeys(numerals.LAST.split(), "last"),
)
_NAMED = {
    word: f"{name} {number}"
    for name, words in (
        ("stage", _STAGES),
        ("hour", _HOURS),
        ("season", _SEASONS),
        ("month", _MONTHS),
        ("weekday", _WEEKDAYS),
        ("half", numerals.HALVES | numerals.LONE_HALVES),
    )
    for word, number in words.items()
}
"""Words that say when, which half, or where in a whole, with their class and which one of it."""
_SHORT = {
    word: f"{name} {number}"
    for name, words in (("weekday", _SHORT_WEEKDAYS), ("month", _SHORT_MONTHS))
    for word, number in words.items()
    if word not in _NAMED
}
_LONE = {
    word: f"weekday {number}"
    for words in numerals.LONE_WEEKDAYS.split()
    for number, word in enumerate(words, start=1)
}
_LETTER = r"^0(\p{L})$"
_PART_OF_PART = "^[0-9]{1,2}[bc]$"
_NUMBER = r"^[0-9]+$"
_PART_NUMBER = r"^[0-9]{1,3}$"
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
_PREFIXED_ROMAN = r"^(part|pt|teil|chapter|episode|vol|volume)([ivxl]{2,7})$"
_VERSION = r"^v([0-9]+(?:\.[0-9]+)*)$"


def read_marks(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """What says which part of a series a title is.

    Args:
        words: ``title_no`` and ``word``, in order (`terms.number_words`).
        vocabulary: The words by number.

    Returns:
        ``title_no``, ``key`` (what is counted), ``value`` (which one), without repetitions.
    """
    candidates = _with_neighbours(_find_candidates(words, vocabulary), vocabulary)
    # `pl.format` panics on some columns in several pieces (Polars 2.1).
    words = _read_numbers(candidates, vocabulary).rechunk()
    marks = [
        _counted(words),
        _glued(words),
        _dated(words),
        _versions(words),
        _named(words),
        _repeated(words),
        _opposed(words),
    ]
    found = pl.concat(marks)
    # `Last episode 28` has its number.
    unnumbered = _last(words).join(found, on=["title_no", "key"], how="anti")
    found = pl.concat([found, unnumbered])
    return pl.concat([found, _parts(found)]).unique()


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
    """A number next to a word that is counted.

    ``Episode 12``, ``12. Bölüm``, ``第12話``, ``Part II``, ``Teil drei``, ``the second part``,
    ``2 of 5``. An ordinal belongs to the word after it, a Roman numeral to the name before it.
    """
    words = words.filter(
        pl.any_horizontal(pl.col("digits", "nth", "letters", "roman").is_not_null())
    ).rechunk()
    before, after, after_that = pl.col("before"), pl.col("after"), pl.col("after_that")
    marker_after = _value(after, _MARKERS)
    is_amount = marker_after.is_in(_BEFORE_ONLY)
    is_amount |= after.is_in(_AMOUNTS_BEFORE) & pl.col("digits").is_not_null()
    marker_after = pl.when(~is_amount).then(marker_after)
    # `Episode #3` and `第①話` have a sign of the number between.
    is_nr = before == "nr"
    ahead = pl.when(is_nr).then(pl.col("before_that")).otherwise(before)
    marker_before = _value(ahead, _MARKERS)
    # In `12 episode 13`, the marker belongs to the second.
    is_number = after_that.str.contains(_NUMBER) | after_that.is_in([*_ROMANS, *_CARDINALS])
    is_last = ~is_number.fill_null(value=False)
    is_last &= _value(before, _MONTHS).is_null()  # nor is it in `April 14 episode`
    in_a_row = pl.when(after.str.contains(f"^{_COUNTED_BY}")).then(
        after.str.slice(0, 1).replace(_UNSPACED_FAMILIES)
    )
    in_order = pl.when(ahead.str.contains("(?:第|その|之|\u0e35\u0e48)$")).then(pl.lit("第"))
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
                pl.when(is_nr).then(pl.lit("nr")),
                pl.when(is_last).then(marker_after),
            )
        ),
        pl.when(pl.col("nth").is_not_null()).then(
            pl.coalesce(
                # A season premiere is no first season.
                pl.when(pl.col("word") != "premier").then(marker_before),
                marker_after,
                pl.format("nth {}", after),
            )
        ),
        # `No one` is no number 1.
        pl.when(pl.col("letters").is_not_null() & (marker_before != "nr")).then(marker_before),
        pl.when(pl.col("roman").is_not_null()).then(pl.format("name {}", before)),
    )
    value = pl.coalesce("digits", "nth", "letters", "roman")
    return words.select("title_no", key=key, value=value).drop_nulls()


def _last(words: pl.DataFrame) -> pl.DataFrame:
    """The values that a last part may have: all but 1, so ``final day`` may be day 5, not day 1."""
    words = words.filter(pl.col("word").is_in(list(_LAST)))
    counted = words.select("title_no", key=_value(pl.col("after"), _MARKERS))
    counted = counted.filter(pl.col("key").is_in(_ENDING))
    numbers = pl.DataFrame({"value": [str(number) for number in range(2, _MOST_LAST)] + ["last"]})
    return counted.join(numbers, how="cross")


def _parts(marks: pl.DataFrame) -> pl.DataFrame:
    """The part that a title is, however parts are called: ``第三話`` is not ``①`` or ``上``."""
    is_part = pl.col("key").str.contains(_PARTS) & pl.col("value").str.contains(_PART_NUMBER)
    numbered = marks.filter(is_part)
    halves = marks.filter(pl.col("key") == "half").with_columns(
        value=pl.col("value").str.strip_prefix("half ").replace_strict(numerals.NUMBERS_OF_HALVES)
    )
    return pl.concat([numbered, halves.explode("value")]).with_columns(key=pl.lit("any part"))


def _glued(words: pl.DataFrame) -> pl.DataFrame:
    """A number in one word with what it counts: ``S01E06``, ``1x06``, ``ep12``, ``PartII``."""
    word = pl.col("word")
    in_roman = words.filter(word.str.contains(_PREFIXED_ROMAN)).select(
        "title_no",
        key=_value(word.str.extract(_PREFIXED_ROMAN, 1), _PREFIXES),
        value=_value(word.str.extract(_PREFIXED_ROMAN, 2), _ROMANS),
    )
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
    return pl.concat(part.drop_nulls() for part in (*parts, one, in_roman, version))


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
    words = words.filter(word.str.contains("^[0-9]")).rechunk()
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
    # A title may name several years. Years next to the same word are compared.
    name = pl.when(before.is_in(_NO_NAMES)).then(before_that).otherwise(pl.coalesce(before, after))
    yearly = words.filter(word.str.contains(_WHOLE_YEAR)).select(
        "title_no", key=pl.format("year {}", name), value=word
    )
    return pl.concat([named, monthly, written, yearly]).drop_nulls()


def _versions(words: pl.DataFrame) -> pl.DataFrame:
    """A number with dots after a name: with two dots, or in a title about a release.

    ``Rust 1.80 released``, but not ``6.3 earthquake`` or ``1.2 billion``.
    """
    before, after = pl.col("before"), pl.col("after")
    word = pl.col("word")
    dotted = words.filter(word.str.contains(_DOTTED), ~word.str.contains(_WRITTEN_DATE))
    releases = words.filter(word.is_in(_RELEASES.split())).select("title_no").unique()
    amounts = _AMOUNTS.split()
    is_amount = before.is_in(amounts) | after.is_in(amounts).fill_null(value=False)
    in_releases = dotted.join(releases, on="title_no", how="semi").filter(~is_amount)
    exact = dotted.filter(word.str.count_matches(".", literal=True) > 1, ~before.is_in(_NO_NAMES))
    return (
        pl.concat([in_releases, exact], rechunk=True)
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
    # Short names are words of other senses, such as `sun` and `car`.
    days = words.filter(pl.col("word").is_in(list(_WEEKDAYS)))
    of_threads = days.select("title_no", key=pl.lit("weekday"), value="named").join(
        threads, on="title_no", how="semi"
    )
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


def _neighbour(by: int, column: str = "word") -> pl.Expr:
    is_same = pl.col("title_no") == pl.col("title_no").shift(by)
    return pl.when(is_same).then(pl.col(column).shift(by))


def _find_candidates(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """The words of the titles that may have marks."""
    word = pl.col("word")
    is_name = word.is_in([one for one in _ROMANS if one not in _NO_ROMANS])
    # There are few distinct words, so each is tested once.
    tests = (
        vocabulary.alias("word")
        .to_frame()
        .select(
            is_candidate=word.str.contains(r"\p{N}")
            | word.is_in([*_AGAINST, *_ORDINALS, *_NAMED, *_LAST, *_LONE])
            | is_name
            | word.str.contains(_PREFIXED_ROMAN),
            is_short=word.is_in(list(_SHORT)),
            is_last_name=word.is_in(list(_NO_ROMANS)),
            in_letters=word.is_in([*_ROMANS, *_CARDINALS]),
            is_marker=word.is_in(list(_MARKERS)),
            is_number=word.str.contains(_NUMBER),
        )
    )

    def result_of(test: str, by: str = "word") -> pl.Expr:
        return pl.lit(tests[test]).gather(pl.col(by))

    near = words.with_columns(before=_neighbour(1), after=_neighbour(-1))
    before, after = pl.col("before"), pl.col("after")
    is_apart = (
        before.is_null()
        | after.is_null()
        | result_of("is_number", "before")
        | result_of("is_number", "after")
    )
    candidates = near.filter(
        result_of("is_candidate")
        | (result_of("is_short") & is_apart)
        | (result_of("is_last_name") & after.is_null())
        | (result_of("in_letters") & result_of("is_marker", "before"))
    )
    has_candidate = pl.col("title_no").is_in(candidates.get_column("title_no").unique().implode())
    return words.filter(has_candidate)


def _with_neighbours(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """Each word with the two words before and after it, and its ``number`` in the vocabulary."""
    words = words.with_columns(number="word").with_columns(
        pl.lit(vocabulary).gather(pl.col("word")).alias("word")
    )
    return words.with_columns(
        before=_neighbour(1),
        before_that=_neighbour(2),
        after=_neighbour(-1),
        after_that=_neighbour(-2),
    )


def _read_numbers(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """What each word says, if anything.

    ``digits``, ``nth``: the number it is; ``letters``: the same, of numerals that count only what
    stands before them; ``roman``: of those that may follow a name; ``named``: its entry in
    `_NAMED`; ``left_open``, ``filled``: what is always the same of it, and what differs.
    """
    numbers = _read_vocabulary(vocabulary)
    words = words.with_columns(numbers.select(pl.all().gather(words["number"])).get_columns())
    words = words.with_columns(is_number=pl.col("digits").is_not_null())
    before, after = _neighbour(1, "is_number"), _neighbour(-1, "is_number")
    # At the start or end of the title, or beside a number.
    is_apart = before.fill_null(value=True) | after.fill_null(value=True)
    named = pl.coalesce(
        "named",
        pl.when(is_apart).then(pl.col("short")),
        pl.when(~before.fill_null(value=False)).then(pl.col("lone")),  # 5月 is no Monday
    )
    kind = named.str.extract("^([a-z]+)")
    # A final stands where another title has a number, or a semifinal.
    left_open = pl.when(pl.col("any_number").is_not_null() | (kind == "stage")).then(pl.lit("0"))
    return words.with_columns(
        named=named,
        left_open=pl.coalesce(left_open, kind, "without_digits"),
        filled=pl.coalesce("any_number", named, "own_digits"),
    )


def _read_vocabulary(vocabulary: pl.Series) -> pl.DataFrame:
    """What each word of a vocabulary says, wherever it stands."""
    word = pl.col("word")
    roman = _value(word, _ROMANS)
    nth = pl.coalesce(word.str.extract(_NTH, 1), _value(word, _ORDINALS))
    digits = pl.when(word.str.contains(_NUMBER)).then(word.str.replace("^0+([0-9])", "${1}"))
    letter = pl.coalesce(
        word.str.extract(_LETTER, 1), pl.when(word.str.contains(_PART_OF_PART)).then(word)
    )
    return (
        vocabulary.alias("word")
        .to_frame()
        .select(
            digits=digits,
            nth=nth,
            letters=pl.coalesce(roman, _value(word, _CARDINALS), letter),
            roman=roman,
            any_number=pl.coalesce(digits, nth, roman, letter),
            named=_value(word, _NAMED),
            short=_value(word, _SHORT),
            lone=_value(word, _LONE),
            without_digits=word.str.replace_all("[0-9]+", "0"),
            own_digits=word.str.extract_all("[0-9]+").list.join(" "),
        )
    )


def _value(word: pl.Expr, values: Mapping[str, str]) -> pl.Expr:
    """The value of a word in a dictionary; null if there is none."""
    return word.replace_strict(
        list(values), list(values.values()), default=None, return_dtype=pl.String
    )
