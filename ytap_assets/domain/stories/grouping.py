"""The items of workspaces into stories, day after day, under ids that stay.

Belongs here: the order of work, what is one story before any title is compared, the ids of stories
and what former ids stand for, why each item is in its story. Does not belong here: similarity of
titles (`terms`, `clustering`), tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from ytap_assets.domain.stories.clustering import (
    Rules,
    Segments,
    join_key,
    merge_groups,
    split_rows,
)
from ytap_assets.domain.stories.serials import read_marks
from ytap_assets.domain.stories.terms import (
    SCALE,
    number_values,
    number_words,
    weigh_terms,
)
from ytap_assets.domain.urls import story_ids_of

STORY_MEMBERS = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "source": pl.String,
        "item_id": pl.String,
        "story_id": pl.String,
        "joined_by": pl.String,
        "similarity": pl.Float64,
    }
)
ITEM = ("workspace_id", "day", "source", "item_id")

_TITLES_AT_ONCE = 100_000
_STORY_UNITS, _WORDS_UNITS = 2**33, 2**34
# What is observed later comes after, so a story keeps its name while its day goes on; counts, which
# grow, have no say. The rest orders what was observed at once, as by a backfill.
_LEAD_ORDER = ("first_observed_at", "published_at", "source", "item_id")
_STORY = ("workspace_no", "story_id")
_PAGE = ("workspace_no", "page_no")


@dataclass(frozen=True)
class StoryOptions:
    """How stories are distinguished.

    Attributes:
        window_days: A story continues where it was seen at most so many days before.
        rules: When titles are the same story.
    """

    window_days: int = 3
    rules: Rules = field(default_factory=Rules)


def group_stories(
    items: pl.DataFrame, known: pl.DataFrame, *, options: StoryOptions = StoryOptions()
) -> pl.DataFrame:
    """Assign each item to a story, within each workspace.

    Items with the same canonical URL are one story; so are items whose titles are similar enough.
    A story that continues keeps its id. A new story's id is made of the canonical URL of its lead
    member: the first observed, of these the first published.

    The result for a day depends on that day and the `StoryOptions.window_days` before it, never on
    later days, on other workspaces, on what was called how before, on the order of rows, or on
    which days are asked for together. So days can be grouped in any order, as long as every day is
    grouped again once a day before it came or changed.

    Args:
        items: ``workspace_id``, ``day``, ``source``, ``item_id``, ``title``, ``canonical_url``,
            ``first_observed_at``, ``published_at``; unique by `ITEM`.
        known: Members of the days before the first of a workspace's days in ``items``, as they were
            grouped: `ITEM`, ``story_id``, ``title``, ``canonical_url``. Later ones are ignored.
        options: How stories are distinguished.

    Returns:
        `STORY_MEMBERS`, one row per item, ordered by `ITEM`: ``joined_by`` is ``first`` for the
        lead member of a story's day, ``url`` where an earlier member has the same canonical URL,
        else ``title``, with ``similarity``: the mean over the story's other titles of the day and
        the window before it, 0 to 1.
    """
    workspaces = items.get_column("workspace_id").unique().sort()
    rows, titles = _read(items, known, workspaces)
    new = rows.filter("is_item").sort("day", *_LEAD_ORDER, nulls_last=True)
    days = new.partition_by("day", maintain_order=True)[::-1]
    near = rows.filter(~pl.col("is_item"))
    del rows, new  # a day is held once
    before = timedelta(days=options.window_days)
    explained = []
    while days:
        today = days.pop()
        day = today.item(0, "day")
        near = near.filter(pl.col("day") >= day - before)
        past = near.filter(pl.col("workspace_no").is_in(today["workspace_no"].unique().implode()))
        terms, proofs = titles.weigh(pl.concat([today["title_no"], past["title_no"]]))
        least = options.rules.evidence_of_same * 100
        proven = proofs.filter(pl.col("evidence") >= least).get_column("title_no")
        today, groups, titled = _unite_surely(today, past, proven)
        vectors = [_sum_vectors(titled, terms)]
        terms = terms.drop("evidence")  # memory that merging needs
        into = merge_groups(groups, vectors.pop(), titles.marks(titled), options.rules)
        grouped = _name_stories(today, groups, into).select(near.columns)
        explained.append(_explain_day(grouped, past, terms))
        near = pl.concat([near, grouped])
    workspace = pl.lit(workspaces).gather(pl.col("workspace_no")).alias("workspace_id")
    names = [workspace if name == "workspace_id" else name for name in STORY_MEMBERS]
    members = (some.select(names) for some in explained)
    return pl.concat([STORY_MEMBERS.to_frame(), *members]).sort(ITEM)


def _read(
    items: pl.DataFrame, known: pl.DataFrame, workspaces: pl.Series
) -> tuple[pl.DataFrame, _Titles]:
    """All rows in one form, with ``workspace_no`` and ``title_no``, and their titles."""
    nothing = pl.lit(None)
    first = items.group_by("workspace_id").agg(first=pl.col("day").min())
    known = known.join(first, on="workspace_id").filter(pl.col("day") < pl.col("first"))
    both = (*ITEM, "title", "canonical_url")
    rows = pl.concat(
        [
            items.select(
                *both,
                "first_observed_at",
                "published_at",
                story_id=nothing.cast(pl.String),
                is_item=True,
            ),
            known.select(
                *both,
                nothing.cast(items.schema["first_observed_at"]).alias("first_observed_at"),
                nothing.cast(items.schema["published_at"]).alias("published_at"),
                "story_id",
                is_item=False,
            ),
        ]
    )
    own_page = pl.concat_str("source", "item_id", separator=":")
    url = pl.col("canonical_url").fill_null("")
    number = workspaces.search_sorted(rows["workspace_id"]).cast(pl.UInt32)
    rows = rows.with_columns(
        canonical_url=pl.when(url == "").then(own_page).otherwise(url), workspace_no=number
    ).with_columns(page_no=pl.col("canonical_url").rank("dense"))
    distinct = rows.select(pl.col("title").drop_nulls().unique()).with_row_index("text_no")
    texts = _read_texts(distinct.get_column("title"))
    distinct = distinct.with_columns(texts.spelling)
    spelled = rows.select("workspace_no", "title").join(
        distinct, on="title", how="left", maintain_order="left"
    )
    # Of texts of the same words any stands for all.
    titles = (
        spelled.drop_nulls("spelling")
        .unique(["workspace_no", "spelling"], keep="any")
        .sort("workspace_no", "spelling")
        .with_row_index("title_no")
    )
    numbered = spelled.join(
        titles.select("title_no", "workspace_no", "spelling"),
        on=["workspace_no", "spelling"],
        how="left",
        maintain_order="left",
    )
    rows = rows.drop("workspace_id", "title").hstack([numbered["title_no"]])
    return rows, _Titles(titles.select("workspace_no", "text_no"), texts)


@dataclass(frozen=True, eq=False)
class _Texts:
    """Distinct texts, by their number.

    Attributes:
        spelling: A number for each text, in the order of their words; texts of the same words have
            the same, those without words none.
        words: ``word``, as a number.
        vocabulary: What these are numbers of.
        marks: ``key``, ``value`` of `serials.read_marks`, as numbers.
    """

    spelling: pl.Series
    words: Segments
    vocabulary: pl.Series
    marks: Segments


@dataclass(frozen=True, eq=False)
class _Titles:
    """The distinct titles of each workspace; their ``title_no`` is the row.

    Titles with the same words are one. They are numbered in the order of their words, so any two of
    a workspace have the same order in any set of them.

    Attributes:
        rows: ``workspace_no``, ``text_no``.
        texts: The words and marks of the texts.
    """

    rows: pl.DataFrame
    texts: _Texts

    def weigh(self, title_no: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Weigh the terms of some of the titles.

        Args:
            title_no: The titles of rows, so one may be there several times.

        Returns:
            `terms.weigh_terms`, but for terms of one row alone, and what each title's terms prove
            together: ``title_no``, ``evidence``.
        """
        title_no = title_no.drop_nulls()
        wanted = title_no.unique().sort()
        titles = self.rows.select(pl.all().gather(wanted)).with_columns(title_no=wanted)
        words = self.texts.words.join(titles, "text_no").drop("text_no")
        terms = weigh_terms(words, self.texts.vocabulary)
        proofs = terms.group_by("title_no").agg(pl.col("evidence").sum())
        repeated = title_no.filter(title_no.is_duplicated()).unique()
        is_shared = (pl.col("titles") > 1) | pl.col("title_no").is_in(repeated.implode())
        return terms.filter(is_shared).drop("titles"), proofs

    def marks(self, titled: pl.DataFrame) -> pl.DataFrame:
        """What says which part of a series groups (``group``, ``title_no``) are.

        Returns:
            ``group, key, value`` of `serials.read_marks`, as numbers.
        """
        groups = self.rows.select(pl.all().gather(titled["title_no"])).with_columns(titled["group"])
        marks = self.texts.marks.join(groups, "text_no")
        key = pl.col("workspace_no").cast(pl.UInt64) * 2**32 + pl.col("key")
        return marks.select("group", "value", key=key).unique()


def _read_texts(titles: pl.Series) -> _Texts:
    """Read distinct titles, in batches to limit the memory."""
    texts = titles.alias("title").to_frame().with_row_index("title_no")
    all_words, vocabularies, all_marks = [], [], []
    for start in range(0, max(1, texts.height), _TITLES_AT_ONCE):
        words, vocabulary = number_words(texts.slice(start, _TITLES_AT_ONCE))
        all_words.append(words)
        vocabularies.append(vocabulary)
        all_marks.append(read_marks(words, vocabulary))
    vocabulary = pl.concat(vocabularies).unique().sort()
    places = [vocabulary.search_sorted(some).cast(pl.UInt32) for some in vocabularies]
    words = pl.concat(
        some.select(pl.col("title_no").set_sorted(), place.gather(some["word"]).alias("word"))
        for some, place in zip(all_words, places, strict=True)
    )
    spelled = words.group_by("title_no", maintain_order=True).agg("word")
    spelled = spelled.select("title_no", spelling=pl.col("word").rank("dense"))
    spelling = pl.repeat(None, texts.height, dtype=pl.UInt32, eager=True).alias("spelling")
    spelling = spelling.scatter(spelled["title_no"], spelled["spelling"])
    marks = pl.concat(all_marks).with_columns(pl.col("key", "value").rank("dense"))
    return _Texts(
        spelling, Segments(texts.height, words), vocabulary, Segments(texts.height, marks)
    )


def _sum_vectors(titled: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """The terms of groups (``group``, ``title_no``), summed over their titles.

    Returns:
        ``group``, ``term``, ``weight``, ``evidence``, in the order of the terms.
    """
    is_alone = ~(pl.col("group").is_duplicated() | pl.col("title_no").is_duplicated())
    alone = titled.filter(is_alone)
    # Most titles are a group of their own: their rows are theirs as they are.
    group_of = number_values(alone["title_no"], alone["group"])
    several = titled.filter(~is_alone)
    names = ["group", "term", "weight", "evidence"]
    parts = [terms.clear().with_columns(group="term").select(names)]
    for part in split_rows(terms, pl.repeat(1, terms.height, eager=True), by="term"):
        of_one = part.filter(pl.col("title_no") < group_of.len()).with_columns(
            group=pl.lit(group_of).gather(pl.col("title_no"))
        )
        of_several = part.join(several, on="title_no").group_by("group", "term")
        summed = of_several.agg(pl.col("weight").sum(), pl.col("evidence").first())
        both = [of_one.drop_nulls("group").select(names), summed.select(names)]
        parts.append(pl.concat(both).sort("term"))
    return pl.concat(parts, rechunk=True)


def _unite_surely(
    today: pl.DataFrame, past: pl.DataFrame, proven: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Groups of the members that are one story for certain.

    An item belongs to the story that knows its canonical URL (the nearest day's) or was named
    after it; otherwise to the items with the same canonical URL, or the same words, if those prove
    enough.

    Args:
        today: The day's items.
        past: The members of the days before.
        proven: The titles whose words prove enough.

    Returns:
        The day's items with their ``group``, in their order; groups, in order of ``group``:
        ``workspace_no``, ``story_id`` or null, ``n`` titles, ``is_fixed``, ``is_away``; and
        ``group, title_no`` of the items and the past members, each once.
    """
    is_proven = pl.col("title_no").is_in(proven.implode())
    today = today.with_columns(same_words=pl.when(is_proven).then("title_no"))
    today = _with_known_story(today, past)
    first_words = pl.col("same_words").min().over(_PAGE)
    columns = ["workspace_no", "story_id", "title_no", "page_no", "first_words", "is_today"]
    members = pl.concat(
        [
            today.with_columns(first_words=first_words, is_today=True).select(columns),
            past.with_columns(first_words=pl.lit(None, pl.UInt32), is_today=False).select(columns),
        ]
    )
    story = pl.col("story_id").rank("dense").cast(pl.UInt64)
    # Groups are numbered in the same order in any set of workspaces and titles.
    unit = pl.coalesce(
        _STORY_UNITS + story,
        _WORDS_UNITS + pl.col("first_words"),
        pl.col("page_no").cast(pl.UInt64),
    )
    members = members.with_columns(unit=pl.col("workspace_no").cast(pl.UInt64) * 2**40 + unit)
    units = members.select(pl.col("unit").unique().sort()).with_row_index("group")
    members = members.join(units, on="unit", maintain_order="left")
    today = today.with_columns(members["group"].head(today.height)).drop("same_words")
    titled = members.select("group", "title_no").drop_nulls().unique()
    groups = (
        members.group_by("group")
        .agg(
            pl.col("workspace_no").first(),
            pl.col("story_id").min(),
            is_fixed=pl.col("story_id").is_not_null().any(),
            is_away=~pl.col("is_today").any(),
        )
        .join(titled.group_by("group").agg(n=pl.len().cast(pl.Int64)), on="group", how="left")
        .with_columns(pl.col("n").fill_null(1))
        .sort("group")
    )
    return today, groups, titled


def _with_known_story(today: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """The day's items with the ``story_id`` of past members, if known."""
    if past.is_empty():
        return today
    nearest = past.sort("day", "story_id", descending=[True, False])
    by_page = nearest.select(*_PAGE, by_page="story_id")
    by_words = nearest.select(same_words="title_no", by_words="story_id")
    named = nearest.select("workspace_no", made="story_id", by_name="story_id")
    known = today.with_columns(made=story_ids_of(today["canonical_url"]))
    for facts, key in (
        (by_page, list(_PAGE)),
        (by_words, ["same_words"]),
        (named, ["workspace_no", "made"]),
    ):
        first = facts.unique(key, keep="first", maintain_order=True)
        known = known.join(first, on=key, how="left", maintain_order="left")
    by_words_of_page = pl.col("by_words").min().over(_PAGE)
    story = pl.coalesce("by_page", "by_name", by_words_of_page)
    return known.with_columns(story_id=story).select(today.columns)


def _name_stories(today: pl.DataFrame, groups: pl.DataFrame, into: pl.Series) -> pl.DataFrame:
    """The day's items under the ids of their stories, in their order.

    Args:
        today: The items, as `_unite_surely` gives them, in the order in which leads are chosen.
        groups: Those of `_unite_surely`.
        into: For each group the one that stands for it.
    """
    named = groups.select(into=into, known="story_id").drop_nulls()
    today = today.with_columns(into=into.gather(today["group"])).join(
        named, on="into", how="left", maintain_order="left"
    )
    leads = today.select("into", "canonical_url").unique("into", keep="first", maintain_order=True)
    leads = leads.select("into", made=story_ids_of(leads["canonical_url"]))
    today = today.join(leads, on="into", how="left", maintain_order="left")
    return today.with_columns(story_id=pl.coalesce("story_id", "known", "made"))


def _explain_day(today: pl.DataFrame, past: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Why each item of a day is in its story.

    Args:
        today: The day's members, in the order in which leads are chosen.
        past: The members of the days before.
        terms: `terms.weigh_terms` of their titles.

    Returns:
        The columns of `STORY_MEMBERS`, with ``workspace_no`` for ``workspace_id``.
    """
    page = [*_STORY, "page_no"]
    old = past.select(page).unique().with_columns(is_old=True)
    members = today.join(old, on=page, how="left", maintain_order="left")
    has_page = pl.col("is_old").is_not_null() | ~pl.struct(page).is_first_distinct()
    reason = (
        pl.when(pl.struct(_STORY).is_first_distinct())
        .then(pl.lit("first"))
        .when(has_page)
        .then(pl.lit("url"))
        .otherwise(pl.lit("title"))
    )
    members = members.with_columns(joined_by=reason)
    by_title = members.filter(joined_by="title").select(*_STORY, "title_no").unique()
    if by_title.is_empty():  # nothing to weigh, as on most days of few items
        members = members.with_columns(similarity=pl.lit(None, pl.Float64))
    else:
        all_titles = pl.concat([today.select(by_title.columns), past.select(by_title.columns)])
        similarity = _measure_similarity(by_title, all_titles, terms)
        members = members.join(
            similarity.with_columns(joined_by=pl.lit("title")),
            on=[*by_title.columns, "joined_by"],
            how="left",
            nulls_equal=True,
        )
    return members.select("workspace_no", *STORY_MEMBERS.names()[1:])


def _measure_similarity(
    asked: pl.DataFrame, titles: pl.DataFrame, terms: pl.DataFrame
) -> pl.DataFrame:
    """The similarity of titles to the other titles of their story; 1 if there are none.

    Args:
        asked: ``workspace_no``, ``story_id``, ``title_no``, unique.
        titles: The same columns of all members of the day and of the days before.
        terms: `terms.weigh_terms` of their titles.

    Returns:
        ``asked`` with ``similarity``.
    """
    stories = asked.select(_STORY).unique().with_row_index("story")
    of_story = titles.join(stories, on=list(_STORY)).select("story", "title_no")
    of_story = of_story.drop_nulls().unique().with_row_index("member")
    asked = asked.join(stories, on=list(_STORY)).join(
        of_story, on=["story", "title_no"], how="left"
    )
    weights = (
        terms.select("title_no", "term", "weight")
        .join(of_story, on="title_no")
        .select("member", pl.col("weight").cast(pl.Int64), key=join_key("story", "term"))
    )
    sums = weights.group_by("key").agg(total=pl.col("weight").sum())
    others = of_story.group_by("story").agg(others=pl.len().cast(pl.Int64) - 1)
    found = (
        weights.join(asked.select("member"), on="member", how="semi")
        .join(sums, on="key")
        .group_by("member")
        .agg(shared=(pl.col("weight") * (pl.col("total") - pl.col("weight"))).sum())
    )
    mean = pl.col("shared") / (pl.col("others") * SCALE**2)
    similarity = pl.when(pl.col("others") > 0).then(mean.clip(0, 1).round(4)).otherwise(1.0)
    return (
        asked.join(found, on="member", how="left")
        .join(others, on="story", how="left")
        .select(*_STORY, "title_no", similarity=similarity.fill_null(0.0))
    )


def rename_stories(
    aliases: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    in_use: pl.DataFrame,
    at: datetime,
) -> pl.DataFrame:
    """What former ids of stories stand for, once items were grouped again.

    An id that no item has any more stands for the story that most of its items are in now; so do
    the ids that stood for it.

    Args:
        aliases: What is known so far: ``workspace_id``, ``former_story_id``, ``story_id``,
            ``renamed_at``.
        before: `ITEM` and ``story_id`` of items as they were published.
        after: The same items as they are now; items that are new have no part in it.
        in_use: ``workspace_id``, ``story_id``: ids that items have now, on any day. Those of
            ``after`` are known; of the ids in ``aliases`` and ``before`` all others that are in use
            belong here.
        at: The present.

    Returns:
        ``workspace_id``, ``former_story_id``, ``story_id``, ``renamed_at``: no former id is in use,
        and every id that one stands for is, in order of workspaces and former ids.
    """
    item, story = list(ITEM), ["workspace_id", "story_id"]
    former = ["workspace_id", "former_story_id"]
    in_use = pl.concat([in_use.select(story), after.select(story)]).unique()
    moved = before.select(*item, former_story_id="story_id").join(
        after.select(*item, "story_id"), on=item
    )
    heirs = (
        moved.join(in_use, left_on=former, right_on=story, how="anti")
        .group_by(*former, "story_id")
        .len()
        .sort("len", "story_id", descending=[True, False])
        .unique(former, keep="first", maintain_order=True)
        .select(*former, "story_id", renamed_at=pl.lit(at, pl.Datetime("us", "UTC")))
    )
    gone = ["workspace_id", "gone"]
    followed = (
        aliases.select(*former, gone="story_id", was_at="renamed_at")
        .join(heirs.rename({"former_story_id": "gone"}), on=gone, how="left")
        .select(
            *former,
            pl.coalesce("story_id", "gone").alias("story_id"),
            pl.coalesce("renamed_at", "was_at").alias("renamed_at"),
        )
    )
    known = pl.concat([followed, heirs]).unique(former, keep="last", maintain_order=True)
    return (
        known.join(in_use, left_on=former, right_on=story, how="anti")
        .join(in_use, on=story, how="semi")
        .sort(former)
    )
