"""The final score of stories: what is worth a video, each factor a column.

    final_score = momentum x relevance x cross_source_boost x learned_weight
                  x production_factor x spam_factor

Belongs here: the factors of a story, from its members, and their product; what a workspace is about
and what its config may weigh. Does not belong here: what is measured of one item (`items`), what is
usual (`baselines`), which items belong to a story, or the sentences about it (`ranking`). The
weight of a source, part of the base score, is not a factor: momentum already compares an item with
its own source alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import reduce
from operator import mul
from typing import TypeVar

import polars as pl

from ytap_assets.domain.languages import detect_other_language
from ytap_assets.domain.phrases import FOUND, find_phrases, is_phrase, order_found
from ytap_assets.domain.rounding import round_exactly
from ytap_assets.domain.scoring.baselines import place
from ytap_assets.domain.scoring.items import UNKNOWN, may_repeat
from ytap_assets.domain.source_profiles import SOURCE_PROFILES
from ytap_assets.domain.stories import find_same_topics, read_titles
from ytap_assets.domain.text import normalize_texts, replace_lists
from ytap_assets.errors import ConfigError

_EXPONENT = (0.0, 3.0)
BOUNDS = {
    "momentum": _EXPONENT,
    "relevance": _EXPONENT,
    "cross_source": _EXPONENT,
    "learned": _EXPONENT,
    "keyword_step": (0.0, 1.0),
    "no_keyword": (0.5, 1.0),
    "other_language": (0.5, 1.0),
    "source_step": (0.0, 0.5),
    "spam": (0.0, 1.0),
}
"""The least and the greatest value of each of `ScoringWeights`."""
_MOST_CHARACTERS = 1000
"""No platform has longer titles; what untrusted input holds beyond is not read."""
_NOTHING = pl.DataFrame(schema={"phrase": pl.String, "item": pl.UInt32})
_Key = TypeVar("_Key", bound=Hashable)
RELEVANCE_RANGE = (0.5, 2.0)
BOOST_RANGE = (1.0, 1.5)
LEARNED_RANGE = (0.5, 2.0)
LEARNED_SCHEMA = pl.Schema(
    {"workspace_id": pl.String, "kind": pl.String, "value": pl.String, "weight": pl.Float64}
)
PRODUCED_SCHEMA = pl.Schema(
    {
        "workspace_id": pl.String,
        "story_id": pl.String,
        "canonical_url": pl.String,
        "title": pl.String,
    }
)
_SPAN = ("first_day", "last_day")
_DAY = ("workspace_id", "day")
_STORY = (*_DAY, "story_id")
_SAME_PLATFORM = {
    name: profile.platform for name, profile in SOURCE_PROFILES.items() if profile.platform
}
_OF_MEMBERS = (
    *_STORY,
    "source",
    "title",
    "category",
    "canonical_url",
    "is_spam",
    "momentum_basis",
    "expected_engagement",
    "engagement_per_hour",
    "velocity",
    "gained_per_hour",
    "rank_share",
)
_COLUMNS = (
    *_STORY,
    "momentum",
    "momentum_source",
    "momentum_basis",
    "top_share",
    "engagement_per_hour",
    "gained_per_hour",
    "velocity",
    "expected_engagement",
    "relevance",
    "relevance_reasons",
    "category_reasons",
    "is_other_language",
    "platforms",
    "cross_source_boost",
    "learned_weight",
    "production_factor",
    "spam_factor",
    "final_score",
    "position",
)


@dataclass(frozen=True)
class ScoringWeights:
    """What the factors of the final score weigh.

    Attributes:
        momentum: The exponent of momentum; 0 leaves the factor out, 1 takes it as it is.
        relevance: The exponent of relevance.
        cross_source: The exponent of the boost for several platforms.
        learned: The exponent of the learned weight.
        keyword_step: What each matched phrase adds to relevance.
        no_keyword: The relevance of a story that matches none of the workspace's phrases.
        other_language: What relevance is multiplied with for a title clearly in another language.
        source_step: What each further platform adds to the boost.
        spam: The spam factor of a story all of whose members are spam.

    Raises:
        ConfigError: A value is outside its `BOUNDS`.
    """

    momentum: float = 1.0
    relevance: float = 1.0
    cross_source: float = 1.0
    learned: float = 1.0
    keyword_step: float = 0.25
    no_keyword: float = 0.75
    other_language: float = 0.5
    source_step: float = 0.25
    spam: float = 0.1

    def __post_init__(self) -> None:
        for name in (one.name for one in fields(self)):
            least, greatest = BOUNDS[name]
            if not least <= getattr(self, name) <= greatest:
                raise ConfigError(
                    f"{name}: {getattr(self, name)} is not between {least:g} and {greatest:g}"
                )


@dataclass(frozen=True)
class Topic:
    """A workspace's topics.

    Attributes:
        keywords: Words and phrases; matched as whole words, ignoring case.
        vertical: Another such phrase, for example ``fitness``.
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
    """Find which of its workspace's phrases each item's title and category contain.

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
    texts_of = titles.with_columns(items["category"])
    in_titles, anywhere = [_NOTHING], [_NOTHING]
    is_in_category = False
    for phrases, workspaces in _group_by(topics, lambda topic: tuple(topic.phrases)).items():
        if not phrases:
            continue
        rows = _find_rows(items["workspace_id"], workspaces)
        texts = _gather_rows(texts_of, rows)
        titled = find_phrases(texts, phrases)
        in_categories = _find_in_categories(texts["category"], phrases)
        is_in_category |= not in_categories.is_empty()
        both = order_found(pl.concat([titled, in_categories])) if in_categories.height else titled
        for found, some in ((in_titles, titled), (anywhere, both)):
            found.append(some.select("phrase", item=rows.gather(some["row"])))
    is_other = pl.repeat(value=False, n=items.height, dtype=pl.Boolean, eager=True)
    for language, workspaces in _group_by(topics, lambda topic: topic.language).items():
        rows = _find_rows(items["workspace_id"], workspaces)
        texts = _gather_rows(titles.select("clean"), rows)
        is_other = is_other.scatter(rows, detect_other_language(texts["clean"], language))
    matched_in_title = _list_phrases(pl.concat(in_titles), items.height)
    matched = matched_in_title
    if is_in_category:
        matched = _list_phrases(pl.concat(anywhere), items.height)
    return items.with_columns(
        matched.alias("matched"),
        matched_in_title.alias("matched_in_title"),
        is_other.alias("is_other_language"),
    )


def _find_rows(workspace_ids: pl.Series, workspaces: Sequence[str]) -> pl.Series:
    return workspace_ids.is_in(workspaces).arg_true()


def _gather_rows(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Some rows of a frame, in order; often these are all rows, and nothing is copied."""
    return frame if rows.len() == frame.height else frame[rows]


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
    matched = found.with_columns(category=distinct.gather(found["row"])).drop("row")
    rows = category.alias("category").to_frame().with_row_index("row")
    return rows.join(matched, on="category").select(*FOUND)


def _list_phrases(found: pl.DataFrame, count: int) -> pl.Series:
    """A list for each item, of the phrases in their order."""
    found = found.sort("item", maintain_order=True)
    lists = found.group_by("item", maintain_order=True).agg("phrase")
    none = pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, count)
    return replace_lists(none, lists["item"], lists["phrase"])


@dataclass(frozen=True)
class RankingConfig:
    """The ranking settings of a workspace.

    Attributes:
        topic: What it is about; without one every story is as relevant.
        weights: What the factors weigh.
    """

    topic: Topic = field(default_factory=Topic)
    weights: ScoringWeights = field(default_factory=ScoringWeights)


def score_stories(
    members: pl.DataFrame,
    baselines: pl.DataFrame,
    *,
    configs: Mapping[str, RankingConfig] | None = None,
    learned: pl.DataFrame | None = None,
    produced: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score the stories of each workspace and day.

    The measures of a story's members are summed per source before the sum is compared with that
    source's items; the source with the highest result gives the story's momentum. A source with too
    few items for comparison is used only if there is no other. Spam members are excluded, unless
    all members are spam.

    Args:
        members: One row per workspace, day, story and item: ``workspace_id``, ``day``,
            ``story_id``, ``source``, ``title``, ``category``, ``canonical_url``, ``is_spam``,
            and what `items.measure_items` gives. Measures are summed in the order of the rows.
        baselines: The baselines of each source (`baselines.measure_baselines`), of earlier days.
        configs: By workspace; the defaults if a workspace has none.
        learned: Weights as known on the day (`LEARNED_SCHEMA`): ``kind`` is ``source`` or
            ``topic`` (a matched phrase), ``value`` which; 1 where there is none.
        produced: Topics that were already produced (`PRODUCED_SCHEMA`): a story matches by its id,
            a member's canonical URL, or a member's title (`stories.find_same_topics`), on the days
            from ``first_day`` to ``last_day`` (null: until now).

    Returns:
        One row per story, ordered by workspace, day and ``position``: the keys, each factor,
        ``final_score`` (4 decimals), and the inputs of the factors (``momentum_source``,
        ``momentum_basis``, ``top_share``, the measures and the gain summed in that source,
        ``platforms``, ``relevance_reasons``, ``category_reasons``: those that are only in a
        category, ``is_other_language``).
    """
    workspaces = members.get_column("workspace_id").unique().to_list()
    config = {name: (configs or {}).get(name, RankingConfig()) for name in workspaces}
    stories, members = _number_stories(members.select(_OF_MEMBERS))
    counted = members.filter(
        ~pl.col("is_spam") | pl.lit(stories["is_all_spam"]).gather(pl.col("story"))
    )
    counted = match_topics(counted, {name: one.topic for name, one in config.items()})
    for facts in (_gather(counted), _find_highest(counted, baselines)):
        stories = stories.hstack(_by_story(facts, stories.height).get_columns())
    known = learned if learned is not None else LEARNED_SCHEMA.to_frame()
    done = produced if produced is not None else PRODUCED_SCHEMA.to_frame()
    stories = stories.with_columns(
        _learn(stories, known), _find_produced(members, done, stories.height)
    )
    return _rank(stories.join(_read_weights(config), on="workspace_id", maintain_order="left"))


def _number_stories(members: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The stories, and their members with ``story``, a number, and ``is_alone``.

    A number is quicker to join by than a key. A member that is alone in its story needs no
    grouping; where ``is_alone`` is false it may be the only one all the same.
    """
    rows = members.select(*_STORY, is_all_spam="is_spam").with_row_index("row")
    # Most stories have one member.
    may_be_shared = may_repeat(members, _STORY)
    alone = rows.filter(~may_be_shared)
    several = (
        rows.filter(may_be_shared)
        .group_by(_STORY, maintain_order=True)
        .agg(pl.col("is_all_spam").all(), pl.col("row"))
    )
    stories = pl.concat([alone.drop("row"), several.drop("row")], rechunk=True)
    shared = several.select("row", story=pl.int_range(alone.height, stories.height)).explode("row")
    numbers = pl.zeros(rows.height, dtype=pl.UInt32, eager=True)
    numbers = numbers.scatter(alone["row"], pl.int_range(alone.height, eager=True))
    numbers = numbers.scatter(shared["row"], shared["story"])
    return stories.with_row_index("story"), members.with_columns(
        numbers.alias("story"), (~may_be_shared).alias("is_alone")
    )


def _gather(counted: pl.DataFrame) -> pl.DataFrame:
    """The facts of each ``story``, from its members."""
    lists = ("platforms", "sources", "relevance_reasons", "title_reasons")
    rows = counted.select(
        "story",
        # One member in the workspace's language is enough to make a video of.
        "is_other_language",
        pl.col("source").replace(_SAME_PLATFORM).alias("platforms"),
        sources="source",
        relevance_reasons="matched",
        title_reasons="matched_in_title",
    )
    # One member names nothing twice.
    alone = rows.filter(counted["is_alone"]).with_columns(
        pl.concat_list("platforms").alias("platforms"), pl.concat_list("sources").alias("sources")
    )
    several = (
        rows.filter(~counted["is_alone"])
        .group_by("story")
        .agg(
            pl.col("is_other_language").all(),
            pl.col("platforms", "sources"),
            pl.col("relevance_reasons", "title_reasons").explode(empty_as_null=False),
        )
    )
    several = several.with_columns(pl.col(lists).list.unique())
    gathered = pl.concat([alone, several], rechunk=True).with_columns(
        category_reasons=pl.col("relevance_reasons").list.set_difference("title_reasons")
    )
    return gathered.select("story", "is_other_language").with_columns(
        _sort_lists(gathered[name])
        for name in ("platforms", "sources", "relevance_reasons", "category_reasons")
    )


def _sort_lists(lists: pl.Series) -> pl.Series:
    """Each list sorted; most have one value or none, and `list.sort` takes 7 us for any."""
    rows = (lists.list.len() > 1).arg_true()
    if rows.is_empty():
        return lists
    values = lists.gather(rows).alias("value").to_frame().with_columns(row=rows).explode("value")
    ordered = values.sort("row", "value").group_by("row", maintain_order=True).agg("value")
    return replace_lists(lists, rows, ordered["value"])


def _by_story(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """A row for each story, in order, of rows of which each is of another story."""
    # The rows' places by number: a join takes eight times as long.
    places = pl.repeat(None, count, dtype=pl.UInt32, eager=True)
    places.scatter(rows["story"], pl.int_range(rows.height, dtype=pl.UInt32, eager=True))
    return rows.drop("story")[places]


def _find_highest(counted: pl.DataFrame, baselines: pl.DataFrame) -> pl.DataFrame:
    """The source in which each ``story`` stands highest, and where."""
    placed = place(_sum_measures(counted), baselines)
    is_alone = placed["is_alone"]
    # Where a story is compared with others of its source, what cannot be compared says nothing.
    best = (
        placed.filter(~is_alone)
        .sort(
            "is_compared",
            pl.col("momentum_basis") == UNKNOWN,
            "momentum",
            "source",
            "momentum_basis",
            descending=[True, False, True, False, False],
        )
        .unique("story", keep="first", maintain_order=True)
    )
    return (
        pl.concat([placed.filter(is_alone), best], rechunk=True)
        .rename({"source": "momentum_source"})
        .drop("is_alone", "is_compared", "rank_share", *_DAY)
    )


def _sum_measures(counted: pl.DataFrame) -> pl.DataFrame:
    """The measures of each story's members in each source, by what they are ranked by."""
    known = pl.col("expected_engagement").is_not_null()
    measures = ("expected_engagement", "engagement_per_hour", "velocity")
    rows = counted.select(
        "story",
        "source",
        "momentum_basis",
        *_DAY,
        *measures,
        "gained_per_hour",
        "rank_share",
        "is_alone",
    )
    alone = rows.filter("is_alone").with_columns(
        pl.when(known).then(pl.col(measures).fill_null(0.0))
    )
    sums = (
        rows.filter(~pl.col("is_alone"))
        .group_by("story", "source", "momentum_basis")
        .agg(
            pl.col(_DAY).first(),
            *(pl.when(known.any()).then(pl.col(name).sum()).alias(name) for name in measures),
            pl.when(pl.col("gained_per_hour").is_not_null().any())
            .then(pl.col("gained_per_hour").sum())
            .alias("gained_per_hour"),
            pl.col("rank_share").min(),
            is_alone=pl.lit(value=False),
        )
    )
    return pl.concat([alone, sums], rechunk=True)


def _learn(stories: pl.DataFrame, learned: pl.DataFrame) -> pl.Series:
    """The geometric mean of the weights that are known of each story's sources and phrases."""
    known = learned.select(LEARNED_SCHEMA.names()).cast(LEARNED_SCHEMA)
    things = pl.concat(
        stories.select("story", "workspace_id", pl.lit(kind).alias("kind"), value=name)
        .explode("value")
        .drop_nulls("value")
        for kind, name in (("source", "sources"), ("topic", "relevance_reasons"))
    )
    means = (
        things.join(known, on=("workspace_id", "kind", "value"))
        .sort("kind", "value")  # the mean of floats depends on their order
        .group_by("story")
        .agg(pl.col("weight").log().mean().exp().alias("learned_weight"))
    )
    return _by_story(means, stories.height)["learned_weight"]


def _find_produced(members: pl.DataFrame, produced: pl.DataFrame, count: int) -> pl.Series:
    """Whether each story was produced: ``is_produced``."""
    if produced.is_empty():  # no title to compare with
        return pl.repeat(value=False, n=count, eager=True).alias("is_produced")
    always = [pl.lit(None, pl.Date).alias(name) for name in _SPAN if name not in produced.columns]
    known = produced.with_columns(always).with_columns(
        # A topic is taken from the day after the script was submitted.
        since=pl.col("first_day").dt.offset_by("-1d"),
        until="last_day",
    )
    workspaces = known.get_column("workspace_id").unique()
    asked = members.filter(pl.col("workspace_id").is_in(workspaces.implode()))
    asked = asked.with_columns(at="day")
    asked, known = (
        rows.with_columns(read_titles(rows["title"]).get_columns()) for rows in (asked, known)
    )
    pairs = find_same_topics(asked, known)
    spans = known.select(pl.col(_SPAN).gather(pairs["known"]))
    matched = asked.select(pl.col("story", "day").gather(pairs["asked"])).hstack(spans)
    is_then = (pl.col("day") >= pl.col("first_day")).fill_null(value=True) & (
        pl.col("day") <= pl.col("last_day")
    ).fill_null(value=True)
    matched = (
        matched.filter(is_then)
        .select("story")
        .unique()
        .with_columns(is_produced=pl.lit(value=True))
    )
    return _by_story(matched, count)["is_produced"].fill_null(value=False)


def _read_weights(configs: Mapping[str, RankingConfig]) -> pl.DataFrame:
    """The weights of each workspace, as columns, and ``none_matches``."""
    rows = [
        {
            "workspace_id": name,
            **{f"weight_{key}": value for key, value in asdict(config.weights).items()},
            "none_matches": config.weights.no_keyword if config.topic.keywords else 1.0,
        }
        for name, config in configs.items()
    ]
    names = (*(f"weight_{one.name}" for one in fields(ScoringWeights)), "none_matches")
    return pl.DataFrame(rows, {"workspace_id": pl.String, **dict.fromkeys(names, pl.Float64)})


def _factor_columns() -> tuple[pl.Expr, ...]:
    """Each factor within its range."""
    matches = pl.col("relevance_reasons").list.len()
    of_matches = pl.when(matches > 0).then(1 + pl.col("weight_keyword_step") * matches)
    language = pl.when("is_other_language").then("weight_other_language").otherwise(1.0)
    others = pl.col("platforms").list.len().cast(pl.Float64) - 1
    boost = 1 + pl.col("weight_source_step") * others
    relevance = of_matches.otherwise("none_matches") * language
    return (
        relevance.clip(*RELEVANCE_RANGE).alias("relevance"),
        boost.clip(*BOOST_RANGE).alias("cross_source_boost"),
        pl.col("learned_weight").clip(*LEARNED_RANGE).fill_null(1.0),
        pl.when("is_produced").then(0.0).otherwise(1.0).alias("production_factor"),
        pl.when("is_all_spam").then("weight_spam").otherwise(1.0).alias("spam_factor"),
    )


def _rank(stories: pl.DataFrame) -> pl.DataFrame:
    """The product of the factors, and the rank it gives; equal ones in the order of their ids."""
    powers = {
        "momentum": "momentum",
        "relevance": "relevance",
        "cross_source_boost": "cross_source",
        "learned_weight": "learned",
    }
    # A power takes ten times as long as a product, and most exponents are 1.
    factors = (
        pl.col(factor)
        if (stories[f"weight_{name}"] == 1).all()
        else pl.col(factor).pow(pl.col(f"weight_{name}"))
        for factor, name in powers.items()
    )
    product = reduce(mul, factors)
    product = product * pl.col("production_factor") * pl.col("spam_factor")
    stories = stories.with_columns(*_factor_columns())
    stories = stories.with_columns(final_score=round_exactly(product, 4))
    days = stories.select(_DAY).unique().sort(_DAY).with_row_index("day_no")
    keys = stories.select(*_DAY, "final_score", "momentum", "story_id")
    keys = keys.join(days, on=_DAY, maintain_order="left").drop(_DAY).with_row_index("row")
    # Texts are sorted last and slowest: ids are compared only where everything else is equal.
    is_tied = may_repeat(keys, ("day_no", "final_score", "momentum"))
    ties = keys.filter(is_tied).select("row", tie=pl.col("story_id").rank("dense"))
    tie = pl.zeros(keys.height, dtype=pl.UInt32, eager=True).scatter(ties["row"], ties["tie"])
    ordered = keys.drop("story_id").with_columns(tie=tie)
    # Column after column, the first one last: sorting by several at once takes 1.8 times as long.
    for name in ("tie", "momentum", "final_score", "day_no"):
        is_score = name in {"momentum", "final_score"}
        ordered = ordered.sort(name, descending=is_score, maintain_order=True)
    place = pl.int_range(pl.len())
    first = ordered.select("day_no", place=place).select(pl.col("place").min().over("day_no"))
    position = ordered.select(position=place + 1 - first.to_series())
    ranked = stories.select(name for name in _COLUMNS if name != "position")[ordered["row"]]
    return ranked.with_columns(position["position"]).select(_COLUMNS)
