"""Which topics are the same story as another topic of their workspace.

Belongs here: the comparison of some topics (scripts in review, stories of a day) with many others
(taken scripts). Does not belong here: which of two scripts is blocked (`production.gates`), the
effect on a rank (`scoring`), the measure of two titles (`clustering`).

Titles are compared by the clusters' measure for titles of different days. A second condition
ignores what a channel repeats in its titles ("| Full Game Highlights | ESPN"): the shared words
must have enough information among the workspace's earlier topics as well. Both depend on the two
titles and on earlier topics only. So later topics do not change a result, and a comparison of a few
topics with all has the same pairs as one of all with all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from ytap_assets.domain.stories.clustering import Rules, score_numbered, split_rows
from ytap_assets.domain.stories.terms import inform, number_words, spell_words
from ytap_assets.domain.text import comparable_titles

_OF_CLUSTERS = Rules()
TOPIC_RULES = replace(
    _OF_CLUSTERS,
    similarity=_OF_CLUSTERS.similarity * _OF_CLUSTERS.across_days,
    similarity_of_two=_OF_CLUSTERS.similarity_of_two * _OF_CLUSTERS.across_days,
)
"""When two titles are similar: as two titles of different days are one story."""

LEAST_INFORMATION = 18.0
"""The least information (nats) of the words that two topics share, among the earlier topics."""

EXTRA_TOPICS = 20
"""Added to the number of earlier topics: of few topics, one repetition proves little."""

SAME = pl.Enum(["page", "title", "similar", "story"])
"""What two topics have in common, the most certain first: the canonical URL, the title
(`comparable_titles`), a similar title, or a story that contains the pages of both."""

_PAIR = ("asked", "known")
_WORD = ("workspace_id", "word")


def read_titles(titles: pl.Series) -> pl.DataFrame:
    """Titles as `find_same_topics` compares them.

    Args:
        titles: Strings, untrusted.

    Returns:
        ``title`` (`comparable_titles`) and ``words`` (`terms.read_words`, a list), in the order of
        the titles; both are null for a text that is not a title.
    """
    distinct = titles.cast(pl.String).unique().drop_nulls().alias("raw").to_frame()
    words, vocabulary = number_words(distinct.select(title="raw").with_row_index("title_no"))
    lists = spell_words(words, vocabulary).group_by("title_no").agg(words="word")
    read = (
        distinct.with_row_index("title_no")
        .with_columns(comparable_titles(distinct["raw"]).alias("title"))
        .join(lists, on="title_no", how="left")
    )
    is_title = pl.col("title").is_not_null()
    return (
        titles.cast(pl.String)
        .alias("raw")
        .to_frame()
        .join(read, on="raw", how="left", maintain_order="left")
        .select("title", pl.when(is_title).then("words").alias("words"))
    )


def find_same_topics(asked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The topics that are the same story as others of their workspace.

    Time is proportional to the asked topics and their candidates, with one pass over the words of
    the known topics.

    Args:
        asked: ``workspace_id``, ``title`` and ``words`` (`read_titles`), ``canonical_url``,
            ``story_id``, ``at`` (a date or time: topics before it are earlier). All but
            ``workspace_id`` and ``at`` may be null.
        known: ``workspace_id``, ``title``, ``words``, ``canonical_url``, ``story_id``, ``since``,
            ``until`` (as ``at``; null: always). These two say which topics are earlier; the result
            is not limited to them. May contain the asked topics.

    Returns:
        ``asked`` and ``known`` (UInt32, row numbers) and ``same`` (`SAME`, the most certain); each
        pair of rows once, in order.
    """
    asked, known = asked.with_row_index("asked"), known.with_row_index("known")
    found = [
        _join_on(asked, known, ("workspace_id", column)).with_columns(same=pl.lit(same, SAME))
        for column, same in (("canonical_url", "page"), ("title", "title"), ("story_id", "story"))
    ]
    found.append(_find_similar(asked, known).with_columns(same=pl.lit("similar", SAME)))
    return pl.concat(found).group_by(_PAIR).agg(pl.col("same").min()).sort(_PAIR)


def _join_on(asked: pl.DataFrame, known: pl.DataFrame, on: tuple[str, ...]) -> pl.DataFrame:
    return asked.select("asked", *on).join(known.select("known", *on), on=on).select(_PAIR)


def _find_similar(asked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The pairs of rows with similar titles."""
    of_asked, of_known = ["workspace_id", "words", "at"], ["workspace_id", "words"]
    titled = known.drop_nulls("words")
    mine = asked.select(of_asked).drop_nulls().unique().with_row_index("mine")
    theirs = titled.select(of_known).unique().with_row_index("theirs")
    parts = (_score(pairs, mine, theirs) for pairs in _find_candidates(mine, theirs, titled))
    similar = pl.concat([_no_pairs(), *parts])
    found = similar.join(mine, on="mine").select("theirs", *of_asked)
    rows = asked.select("asked", *of_asked).join(found, on=of_asked).select("asked", "theirs")
    titles = theirs.join(similar, on="theirs", how="semi")
    others = titled.select("known", *of_known).join(titles, on=of_known).select("known", "theirs")
    return rows.join(others, on="theirs").select(_PAIR)


def _find_candidates(
    mine: pl.DataFrame, theirs: pl.DataFrame, topics: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """The pairs of titles whose shared words have enough information, in parts.

    The most frequent words of a title that do not have enough together are not used to find pairs:
    a pair that shares only these does not have enough. So no pair is lost.
    """
    words = mine.explode("words").select("mine", "workspace_id", "at", word="words").unique()
    wanted = words.select(_WORD).unique()
    postings = theirs.explode("words").select("theirs", "workspace_id", word="words")
    postings = postings.join(wanted, on=_WORD, how="semi").unique()
    words = _weigh(words, postings, topics)
    is_used = pl.col("information").cum_sum().over("mine") >= LEAST_INFORMATION * 100
    used = words.filter(is_used)
    for part in split_rows(used, used["frequency"], by="mine"):
        pairs = part.select("mine", *_WORD).join(postings, on=_WORD).select("mine", "theirs")
        shared = (
            pairs.unique()
            .join(words.select("mine", "word", "information"), on="mine")
            .join(postings.select("theirs", "word"), on=["theirs", "word"], how="semi")
            .group_by("mine", "theirs")
            .agg(pl.col("information").sum())
        )
        is_enough = pl.col("information") >= LEAST_INFORMATION * 100
        yield shared.filter(is_enough).select("mine", "theirs")


def _weigh(words: pl.DataFrame, postings: pl.DataFrame, topics: pl.DataFrame) -> pl.DataFrame:
    """The words with ``frequency`` and ``information`` (1/100 nat), the most frequent first.

    The information of a word is at most -ln(its share of the earlier topics). One of them does not
    count: it is the topic that shares the word.
    """
    vocabulary = words["word"].unique().sort()
    general = pl.DataFrame({"word": vocabulary, "general": inform(vocabulary)})
    used = topics.select("workspace_id", "since", "until", word=pl.col("words").list.unique())
    used = used.explode("word").join(postings.select(_WORD).unique(), on=_WORD, how="semi")
    known = words.join(general, on="word").join(
        postings.group_by(_WORD).agg(frequency=pl.len()), on=_WORD
    )
    known = _count_earlier(known, used, _WORD, "count")
    known = _count_earlier(known, topics, ("workspace_id",), "topics")
    share = pl.when(pl.col("count") > 1).then(
        (pl.col("count") - 1) / (pl.col("topics") + EXTRA_TOPICS)
    )
    nats = pl.min_horizontal("general", -share.log())
    # Whole numbers, since a sum of floats depends on their order.
    return known.with_columns(information=(nats * 100).round().cast(pl.Int64)).sort(
        "mine", "frequency", "word", descending=[False, True, False]
    )


def _count_earlier(
    rows: pl.DataFrame, known: pl.DataFrame, by: tuple[str, ...], name: str
) -> pl.DataFrame:
    """``rows`` with the number of known rows, with the same ``by``, that began before ``at``.

    Those that ended before it do not count.
    """
    always = known.filter(pl.col("since").is_null()).group_by(by).agg(always=pl.len())
    rows = rows.sort("at").join(always, on=by, how="left", maintain_order="left")
    for edge in ("since", "until"):
        dated = known.drop_nulls(edge).select(*by, at=edge).sort("at")
        dated = dated.with_columns((pl.int_range(pl.len()).over(by) + 1).alias(f"{edge}_count"))
        rows = rows.join_asof(
            dated,
            on="at",
            by=list(by),
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
    began, ended, all_along = (
        pl.col(column).fill_null(0).cast(pl.Int64)
        for column in ("since_count", "until_count", "always")
    )
    count = (all_along + began - ended).alias(name)
    return rows.with_columns(count).drop("since_count", "until_count", "always")


def _score(pairs: pl.DataFrame, mine: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """The candidates that are similar by the clusters' measure."""
    sides = ((mine, "mine"), (theirs, "theirs"))
    texts = pl.concat(rows.join(pairs, on=name, how="semi").select("words") for rows, name in sides)
    texts = texts.unique().with_row_index("title_no")
    spelled = texts.explode("words").select("title_no", word="words")
    vocabulary = spelled["word"].unique().sort()
    numbers = vocabulary.search_sorted(spelled["word"]).cast(pl.UInt32)
    words = spelled.select("title_no", word=numbers)
    numbered = pairs
    for (rows, name), side in zip(sides, ("group", "other"), strict=True):
        of_side = rows.select(name, "words").join(texts, on="words").select(name, "title_no")
        numbered = numbered.join(of_side.rename({"title_no": side}), on=name)
    both = numbered.select("group", "other").unique()
    scored = score_numbered(both, words, vocabulary, TOPIC_RULES, with_window=False)
    similar = scored.filter(pl.col("score") >= 1)
    return numbered.join(similar, on=["group", "other"], how="semi").select("mine", "theirs")


def _no_pairs() -> pl.DataFrame:
    return pl.DataFrame(schema={"mine": pl.UInt32, "theirs": pl.UInt32})
