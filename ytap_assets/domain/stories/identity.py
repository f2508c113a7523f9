"""What is one story before any title is compared, what a story is called, why an item is in it.

Belongs here: canonical URLs, ids, leads, reasons, and what former ids stand for. Does not belong
here: likeness of different titles (`terms`, `clustering`).
"""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from ytap_assets.domain.stories.clustering import Rules
from ytap_assets.domain.stories.terms import SCALE, weigh_terms
from ytap_assets.domain.urls import story_ids_of

ITEM = ("day", "source", "item_id")
_DIGITS = 10
# What is observed later comes after, so a story keeps its name while its day goes on; counts, which
# grow, have no say. The rest orders what was observed at once, as by a backfill.
_LEAD_ORDER = ("first_observed_at", "published_at", "source", "item_id")


def unite_surely(
    today: pl.DataFrame, near: pl.DataFrame, terms: pl.DataFrame, rules: Rules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Groups of the members that are one story for certain.

    An item belongs to the story that knows its canonical URL (the nearest day's) or was named
    after it; otherwise to the items with the same canonical URL, or the same words, if those prove
    enough.

    Args:
        today: The day's items: `ITEM`, ``title_no``, ``canonical_url``, and what leads are
            chosen by.
        near: Members of the days before: `ITEM`, ``story_id``, ``title_no``, ``canonical_url``.
        terms: `terms.weigh_terms` of their titles.
        rules: What the same words must prove.

    Returns:
        Groups (``group``, ``story_id`` or null, ``n`` titles, ``is_fixed``, ``is_away``), and
        members (``group`` and the rows' columns, ``is_today``).
    """
    proof = rules.evidence_of_same * 100
    proven = terms.group_by("title_no").agg(pl.col("evidence").sum())
    proven = proven.filter(pl.col("evidence") >= proof).select("title_no", same_words="title_no")
    today = _with_known_story(today, near, proven)
    first_words = pl.col("same_words").min().over("canonical_url")
    page = pl.lit("page ") + pl.col("canonical_url")
    story = pl.lit("story ") + pl.col("story_id")
    # Numbers of equal length sort as numbers do, so groups keep their order in any set of titles.
    words = pl.lit("words ") + first_words.cast(pl.String).str.zfill(_DIGITS)
    unit = pl.coalesce(story, words, page)
    columns = ["unit", *today.drop("same_words").columns, "is_today"]
    members = pl.concat(
        [
            today.with_columns(unit=unit, is_today=True).select(columns),
            near.with_columns(unit=story, is_today=False).select(columns),
        ]
    )
    units = members.select(pl.col("unit").unique().sort()).with_row_index("group")
    members = members.join(units, on="unit").drop("unit")
    groups = members.group_by("group").agg(
        story_id=pl.col("story_id").min(),
        n=pl.col("title_no").drop_nulls().n_unique().clip(lower_bound=1).cast(pl.Int64),
        is_fixed=pl.col("story_id").is_not_null().any(),
        is_away=~pl.col("is_today").any(),
    )
    return groups, members


def name_stories(members: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The day's items under the ids of their stories.

    Args:
        members: Those of `unite_surely` with ``into``, the group their group went into.
        groups: Those of `unite_surely`.

    Returns:
        The columns of ``today``, with ``story_id``.
    """
    named = (
        members.select("group", "into")
        .unique()
        .join(groups.drop_nulls("story_id").select("group", known="story_id"), on="group")
        .select("into", "known")
    )
    today = members.filter("is_today").join(named, on="into", how="left")
    lead = pl.col("canonical_url").sort_by(_LEAD_ORDER, nulls_last=True)
    today = today.with_columns(lead=lead.first().over("into"))
    made = story_ids_of(today.get_column("lead"))
    return today.with_columns(story_id=pl.coalesce("story_id", "known", made))


def explain_day(day: date, rows: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """Why each item of a day is in its story.

    Args:
        day: The day.
        rows: The members of the day and of the days before, with their ``story_id``.
        words: The words of their titles.

    Returns:
        `ITEM`, ``story_id``, ``joined_by``, ``similarity``.
    """
    rows = rows.sort(_LEAD_ORDER, nulls_last=True)
    page = ["story_id", "canonical_url"]
    before = rows.filter(pl.col("day") < day).select(page).unique().with_columns(is_old=True)
    today = rows.filter(pl.col("day") == day).join(
        before, on=page, how="left", maintain_order="left"
    )
    is_first = pl.int_range(pl.len()).over("story_id") == 0
    has_page = pl.col("is_old").is_not_null() | (pl.int_range(pl.len()).over(page) > 0)
    reason = pl.when(is_first).then(pl.lit("first")).when(has_page).then(pl.lit("url"))
    today = today.with_columns(joined_by=reason.otherwise(pl.lit("title")))
    told = today.filter(joined_by="title").select(*ITEM, "story_id", "title_no")
    if told.is_empty():  # nothing to weigh, as on most days of few items
        unlike = pl.lit(None, pl.Float64).alias("similarity")
        return today.select(*ITEM, "story_id", "joined_by", unlike)
    stories = rows.join(told, on="story_id", how="semi").select("story_id", "title_no")
    similarity = _similarity(told, stories.drop_nulls().unique(), words)
    return today.join(similarity, on=ITEM, how="left").select(
        *ITEM, "story_id", "joined_by", "similarity"
    )


def rename_stories(
    aliases: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    in_use: pl.Series,
    at: datetime,
) -> pl.DataFrame:
    """What former ids of stories stand for, once items were grouped again.

    An id that no item has any more stands for the story that most of its items tell now; so do the
    ids that stood for it.

    Args:
        aliases: What is known so far: ``former_story_id``, ``story_id``, ``renamed_at``.
        before: `ITEM` and ``story_id`` of items as they were published.
        after: The same items as they are now; items that are new have no part in it.
        in_use: Ids that items have now, on any day: those of ``after`` are known, of the ids in
            ``aliases`` and ``before`` all others that are in use belong here.
        at: The present.

    Returns:
        ``former_story_id``, ``story_id``, ``renamed_at``: no former id is in use, and every id that
        one stands for is, in order of the former ids.
    """
    item = list(ITEM)
    in_use = pl.concat([in_use, after["story_id"]]).unique()
    moved = before.select(*item, former_story_id="story_id").join(
        after.select(*item, "story_id"), on=item
    )
    heirs = (
        moved.filter(~pl.col("former_story_id").is_in(in_use.implode()))
        .group_by("former_story_id", "story_id")
        .len()
        .sort("len", "story_id", descending=[True, False])
        .unique("former_story_id", keep="first", maintain_order=True)
        .select("former_story_id", "story_id", renamed_at=pl.lit(at, pl.Datetime("us", "UTC")))
    )
    followed = (
        aliases.select("former_story_id", gone="story_id", was_at="renamed_at")
        .join(heirs.rename({"former_story_id": "gone"}), on="gone", how="left")
        .select(
            "former_story_id",
            pl.coalesce("story_id", "gone").alias("story_id"),
            pl.coalesce("renamed_at", "was_at").alias("renamed_at"),
        )
    )
    known = pl.concat([followed, heirs]).unique("former_story_id", keep="last", maintain_order=True)
    names = in_use.implode()
    return known.filter(
        ~pl.col("former_story_id").is_in(names), pl.col("story_id").is_in(names)
    ).sort("former_story_id")


def _similarity(told: pl.DataFrame, titles: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """Of each item, to the other titles of its story; 1 where there are none."""
    terms = weigh_terms(words).select("title_no", "term", pl.col("weight").cast(pl.Int64))
    sums = (
        titles.join(terms, on="title_no")
        .group_by("story_id", "term")
        .agg(total=pl.col("weight").sum())
    )
    others = titles.group_by("story_id").agg(others=pl.len().cast(pl.Int64) - 1)
    found = (
        told.select("story_id", "title_no")
        .unique()
        .join(terms, on="title_no")
        .join(sums, on=["story_id", "term"])
        .group_by("story_id", "title_no")
        .agg(shared=(pl.col("weight") * (pl.col("total") - pl.col("weight"))).sum())
    )
    mean = pl.col("shared") / (pl.col("others") * SCALE**2)
    similarity = pl.when(pl.col("others") > 0).then(mean.clip(0, 1).round(4)).otherwise(1.0)
    return (
        told.join(found, on=["story_id", "title_no"], how="left", nulls_equal=True)
        .join(others, on="story_id", how="left")
        .select(*ITEM, similarity=similarity.fill_null(0.0))
    )


def _with_known_story(
    today: pl.DataFrame, near: pl.DataFrame, proven: pl.DataFrame
) -> pl.DataFrame:
    """With ``story_id`` where it is known, and ``same_words``: titles that prove enough."""
    nearest = near.sort("day", "story_id", descending=[True, False])
    today = today.join(proven, on="title_no", how="left")
    by_page = nearest.select("canonical_url", by_page="story_id")
    by_words = nearest.select(same_words="title_no", by_words="story_id")
    named = nearest.select(made="story_id", by_name="story_id").unique()
    today = (
        today.with_columns(made=story_ids_of(today.get_column("canonical_url")))
        .join(
            by_page.unique("canonical_url", keep="first", maintain_order=True),
            on="canonical_url",
            how="left",
        )
        .join(
            by_words.unique("same_words", keep="first", maintain_order=True),
            on="same_words",
            how="left",
        )
        .join(named, on="made", how="left")
    )
    by_words_of_page = pl.col("by_words").min().over("canonical_url")
    story = pl.coalesce("by_page", "by_name", by_words_of_page)
    return today.with_columns(story_id=story).drop("by_page", "by_words", "by_name", "made")
