"""How much an item is about what a workspace is about.

Belongs here: matching a workspace's keywords and vertical against titles and categories, and its
language against titles. Does not belong here: what relevance does to a score (`final_score`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.languages import other_language_column
from ytap_assets.domain.phrases import FOUND, find_phrases, is_phrase, order_found
from ytap_assets.domain.text import normalize_texts

_MOST_CHARACTERS = 1000
"""No platform has longer titles; what hostile input holds beyond is not read."""


@dataclass(frozen=True)
class Topic:
    """What a workspace is about.

    Attributes:
        keywords: Words and phrases; matched whole, whatever the case.
        vertical: One more such phrase, such as ``fitness``.
        language: ISO 639-1.
    """

    keywords: tuple[str, ...] = ()
    vertical: str = ""
    language: str = "en"

    @property
    def phrases(self) -> list[str]:
        """Keywords and vertical, each once, without what cannot be looked for."""
        tidy = (" ".join(phrase.split()) for phrase in (*self.keywords, self.vertical))
        return list({phrase.casefold(): phrase for phrase in tidy if is_phrase(phrase)}.values())


def match_topic(items: pl.DataFrame, topic: Topic) -> pl.DataFrame:
    """Tell which of a workspace's phrases each item's title and category hold.

    Args:
        items: ``title`` and ``category`` (a subreddit's name says what its posts are about).
        topic: What the workspace is about.

    Returns:
        ``items`` with ``matched`` (the phrases, as the config spells them, in its order),
        ``matched_in_title`` (those of them that the title holds) and ``is_other_language``
        (clearly not in the workspace's language).
    """
    titles = normalize_texts(items["title"].str.slice(0, _MOST_CHARACTERS))
    in_titles = find_phrases(titles, topic.phrases)
    in_categories = _find_in_categories(items["category"], topic.phrases)
    found = order_found(pl.concat([in_titles, in_categories]))
    in_titles = order_found(in_titles)
    is_other = other_language_column(pl.col("clean"), topic.language).fill_null(value=False)
    return items.with_columns(
        _list_phrases(found, items.height, "matched"),
        _list_phrases(in_titles, items.height, "matched_in_title"),
        titles.select(is_other_language=is_other).to_series(),
    )


def _find_in_categories(category: pl.Series, phrases: list[str]) -> pl.DataFrame:
    """As `find_phrases` of every item's category; there are few, so each is searched once."""
    distinct = category.unique().drop_nulls()
    found = find_phrases(normalize_texts(distinct.str.slice(0, _MOST_CHARACTERS)), phrases)
    told = found.with_columns(category=distinct.gather(found["row"])).drop("row")
    rows = category.alias("category").to_frame().with_row_index("row")
    return rows.join(told, on="category").select(*FOUND)


def _list_phrases(found: pl.DataFrame, count: int, name: str) -> pl.Series:
    """A list for each text, of the phrases in their order."""
    lists = found.group_by("row", maintain_order=True).agg(pl.col("phrase").alias(name))
    rows = pl.select(row=pl.int_range(count, dtype=pl.UInt32))
    return rows.join(lists, on="row", how="left", maintain_order="left")[name].fill_null([])
