"""How much an item is about what a workspace is about.

Belongs here: matching a workspace's keywords, vertical and language against titles. Does not
belong here: what relevance does to a score (`final_score`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.languages import other_language_column
from ytap_assets.domain.phrases import phrase_regexes

_SEPARATOR = "\x1f"
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
        """Keywords and vertical, each once, without blank ones."""
        tidy = (" ".join(phrase.split()) for phrase in (*self.keywords, self.vertical))
        return list({phrase.casefold(): phrase for phrase in tidy if phrase}.values())


def match_topic(items: pl.DataFrame, topic: Topic) -> pl.DataFrame:
    """Tell which of a workspace's phrases each item's title and category hold.

    Args:
        items: ``title`` and ``category`` (a subreddit's name says what its posts are about).
        topic: What the workspace is about.

    Returns:
        ``items`` with ``matched`` (the phrases, as the config spells them, in its order) and
        ``is_other_language`` (clearly not in the workspace's language).
    """
    texts = items.select(
        title=_plain(pl.col("title")),
        text=_plain(pl.concat_str("title", "category", separator=" / ", ignore_nulls=True)),
    )
    other = texts.select(
        other_language_column(pl.col("title"), topic.language).fill_null(value=False)
    )
    return items.with_columns(
        _matched(texts["text"], topic.phrases).alias("matched"),
        other.to_series().alias("is_other_language"),
    )


def _plain(text: pl.Expr) -> pl.Expr:
    """The text as `phrases` wants it; only what is not ASCII needs normalizing."""
    short = text.str.slice(0, _MOST_CHARACTERS)
    foreign = pl.when(short.str.contains(r"[^\x00-\x7F]")).then(short)
    return pl.coalesce(foreign.str.normalize("NFKC"), short)


def _matched(texts: pl.Series, phrases: list[str]) -> pl.Series:
    """A list for each text. Phrase by phrase only where any of them is found: few texts."""
    frame = texts.to_frame("text").with_row_index("row")
    anything = [pl.col("text").str.contains(regex) for regex in phrase_regexes(phrases)]
    if not anything:
        return pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, texts.len())
    hits = frame.filter(pl.any_horizontal(anything))
    found = [
        pl.when(pl.col("text").str.contains(regex)).then(pl.lit(phrase))
        for phrase in phrases
        for regex in phrase_regexes([phrase])
    ]
    joined = pl.concat_str(found, separator=_SEPARATOR, ignore_nulls=True)
    lists = hits.select("row", matched=joined.str.split(_SEPARATOR))
    return frame.join(lists, on="row", how="left", maintain_order="left")["matched"].fill_null([])
