"""How much an item is about what a workspace is about.

Belongs here: matching a workspace's keywords and vertical against titles and categories, and its
language against titles. Does not belong here: what relevance does to a score (`final_score`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from ytap_assets.domain.languages import other_language_column
from ytap_assets.domain.phrases import FOUND, find_phrases, is_phrase, order_found
from ytap_assets.domain.text import normalize_texts

_MOST_CHARACTERS = 1000
"""No platform has longer titles; what hostile input holds beyond is not read."""
_NOTHING = pl.DataFrame(schema={"phrase": pl.String, "item": pl.UInt32})
_NO_LANGUAGE = pl.DataFrame(schema={"item": pl.UInt32, "is_other_language": pl.Boolean})
_Key = TypeVar("_Key", bound=Hashable)


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


def match_topics(items: pl.DataFrame, topics: Mapping[str, Topic]) -> pl.DataFrame:
    """Tell which of its workspace's phrases each item's title and category hold.

    Args:
        items: ``workspace_id``, ``title`` and ``category`` (a subreddit's name says what its posts
            are about).
        topics: What each workspace of the items is about.

    Returns:
        ``items`` with ``matched`` (the phrases, as the config spells them, in its order),
        ``matched_in_title`` (those of them that the title holds) and ``is_other_language``
        (clearly not in the workspace's language).
    """
    titles = normalize_texts(items["title"].str.slice(0, _MOST_CHARACTERS))
    asked = titles.with_columns(items["category"], items["workspace_id"]).with_row_index("item")
    in_titles, anywhere = [_NOTHING], [_NOTHING]
    for phrases, workspaces in _group_by(topics, lambda topic: tuple(topic.phrases)).items():
        if not phrases:
            continue
        rows = asked.filter(pl.col("workspace_id").is_in(workspaces))
        titled = find_phrases(rows, phrases)
        both = pl.concat([titled, _find_in_categories(rows["category"], phrases)])
        for found, some in ((in_titles, titled), (anywhere, both)):
            ordered = order_found(some)
            found.append(ordered.select("phrase", item=rows["item"].gather(ordered["row"])))
    languages = [
        asked.filter(pl.col("workspace_id").is_in(workspaces)).select(
            "item",
            is_other_language=other_language_column(pl.col("clean"), language).fill_null(
                value=False
            ),
        )
        for language, workspaces in _group_by(topics, lambda topic: topic.language).items()
    ]
    is_other = pl.concat([_NO_LANGUAGE, *languages]).sort("item")
    return items.with_columns(
        _list_phrases(pl.concat(anywhere), items.height, "matched"),
        _list_phrases(pl.concat(in_titles), items.height, "matched_in_title"),
        is_other["is_other_language"],
    )


def _group_by(topics: Mapping[str, Topic], key: Callable[[Topic], _Key]) -> dict[_Key, list[str]]:
    """The workspaces by what their topics have in common."""
    groups: dict[_Key, list[str]] = {}
    for workspace, topic in topics.items():
        groups.setdefault(key(topic), []).append(workspace)
    return groups


def _find_in_categories(category: pl.Series, phrases: Sequence[str]) -> pl.DataFrame:
    """As `find_phrases` of every item's category; there are few, so each is searched once."""
    distinct = category.unique().drop_nulls()
    found = find_phrases(normalize_texts(distinct.str.slice(0, _MOST_CHARACTERS)), phrases)
    told = found.with_columns(category=distinct.gather(found["row"])).drop("row")
    rows = category.alias("category").to_frame().with_row_index("row")
    return rows.join(told, on="category").select(*FOUND)


def _list_phrases(found: pl.DataFrame, count: int, name: str) -> pl.Series:
    """A list for each item, of the phrases in their order."""
    found = found.sort("item", maintain_order=True)
    lists = found.group_by("item", maintain_order=True).agg(pl.col("phrase").alias(name))
    rows = pl.select(item=pl.int_range(count, dtype=pl.UInt32))
    return rows.join(lists, on="item", how="left", maintain_order="left")[name].fill_null([])
