"""A workspace's items into stories, day after day.

Belongs here: what is asked and answered, and the order of work. Does not belong here: likeness of
titles (`terms`, `clustering`), names and reasons (`identity`), tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from ytap_assets.domain.stories.clustering import Rules, merge_groups
from ytap_assets.domain.stories.identity import ITEM, explain_day, name_stories, unite_surely
from ytap_assets.domain.stories.serials import read_marks
from ytap_assets.domain.stories.terms import read_words, weigh_terms

STORY_MEMBERS = pl.Schema(
    {
        "day": pl.Date,
        "source": pl.String,
        "item_id": pl.String,
        "story_id": pl.String,
        "joined_by": pl.String,
        "similarity": pl.Float64,
    }
)


@dataclass(frozen=True)
class StoryOptions:
    """How stories are told apart.

    Attributes:
        window_days: A story goes on where it was seen at most so many days before.
        rules: When titles are the same story.
    """

    window_days: int = 3
    rules: Rules = field(default_factory=Rules)


def group_stories(
    items: pl.DataFrame, known: pl.DataFrame, *, options: StoryOptions = StoryOptions()
) -> pl.DataFrame:
    """Say of each item which story it tells.

    Items with the same canonical URL tell the same story; so do items whose titles are alike
    enough. A story that is met again keeps the id it has. A new story's id is made of the canonical
    URL of its lead member: the first observed, of these the first published.

    What a day's items tell depends on that day and the `StoryOptions.window_days` before it, never
    on later days, on what was called how before, on the order of rows, or on which days are asked
    for together. So days can be grouped in any order, as long as every day is grouped again once a
    day before it came or changed.

    Args:
        items: The items of one workspace: ``day``, ``source``, ``item_id``, ``title``,
            ``canonical_url``, ``first_observed_at``, ``published_at``; unique by day, source and
            id.
        known: Members of the days before the first of the items' days, as they were grouped:
            ``day``, ``source``, ``item_id``, ``story_id``, ``title``, ``canonical_url``. Those of
            later days are left aside.
        options: How stories are told apart.

    Returns:
        `STORY_MEMBERS`, one row per item, ordered by day, source and id: ``joined_by`` is
        ``first`` for the lead member of a story's day, ``url`` where an earlier member has the
        same canonical URL, else ``title``, with ``similarity``: the mean over the story's other
        titles of the day and the window before it, 0 to 1.
    """
    first = pl.lit(items.get_column("day").min(), pl.Date)
    known = known.filter(pl.col("day") < first)
    rows, words = _read(items, known)
    marks = read_marks(words)
    new = rows.filter("is_item").drop("story_id")
    told = rows.filter(~pl.col("is_item"))
    before = timedelta(days=options.window_days)
    members = [pl.DataFrame(schema=STORY_MEMBERS)]
    for day in new.get_column("day").unique().sort():
        near = told.filter(pl.col("day").is_between(day - before, day, closed="left"))
        today = new.filter(pl.col("day") == day)
        grouped = _group_day(today, near, words, marks, options.rules).select(told.columns)
        near = pl.concat([near, grouped])
        members.append(explain_day(day, near, _of_titles(words, near)))
        told = near
    return pl.concat(members).sort(ITEM)


def _read(items: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All rows in one form, with ``title_no`` of titles with the same words, and those words."""
    nothing = pl.lit(None)
    rows = pl.concat(
        [
            items.select(
                *ITEM,
                "title",
                "canonical_url",
                "first_observed_at",
                "published_at",
                story_id=nothing.cast(pl.String),
                is_item=True,
            ),
            known.select(
                *ITEM,
                "title",
                "canonical_url",
                nothing.cast(items.schema["first_observed_at"]).alias("first_observed_at"),
                nothing.cast(items.schema["published_at"]).alias("published_at"),
                "story_id",
                is_item=False,
            ),
        ]
    )
    own_page = pl.concat_str("source", "item_id", separator=":")
    url = pl.col("canonical_url").fill_null("")
    rows = rows.with_columns(canonical_url=pl.when(url == "").then(own_page).otherwise(url))
    titles = rows.select(pl.col("title").unique().sort()).with_row_index("title_no")
    words = read_words(titles)
    spelled = words.group_by("title_no").agg(spelling=pl.col("word").str.join(" "))
    # Numbered by their words, so that any two titles have the same order in any set of them.
    same = spelled.select("title_no", "spelling", same=pl.col("spelling").rank("dense"))
    first = same.group_by("same").agg(pl.col("title_no").min())
    words = (
        words.join(first, on="title_no", maintain_order="left")
        .select(title_no="same", word="word")
        .sort("title_no", maintain_order=True)
    )
    titles = titles.join(same.drop("spelling"), on="title_no", how="left")
    rows = rows.join(
        titles.select("title", title_no="same"), on="title", how="left", nulls_equal=True
    )
    return rows.drop("title"), words


def _group_day(
    today: pl.DataFrame, near: pl.DataFrame, words: pl.DataFrame, marks: pl.DataFrame, rules: Rules
) -> pl.DataFrame:
    """The day's items with their ``story_id``."""
    terms = weigh_terms(_of_titles(words, today, near))
    groups, members = unite_surely(today, near, terms, rules)
    titled = members.select("group", "title_no").drop_nulls().unique()
    vectors = (
        titled.join(terms, on="title_no")
        .group_by("group", "term")
        .agg(pl.col("weight").cast(pl.Int64).sum(), pl.col("evidence").first())
    )
    into = merge_groups(
        groups.select("group", "n", "is_fixed", "is_away"),
        vectors,
        titled.join(marks, on="title_no").select("group", "key", "value").unique(),
        rules,
    )
    return name_stories(members.join(into, on="group"), groups)


def _of_titles(words: pl.DataFrame, *rows: pl.DataFrame) -> pl.DataFrame:
    wanted = pl.concat([some.select("title_no") for some in rows]).unique()
    return words.join(wanted, on="title_no", how="semi", maintain_order="left")
