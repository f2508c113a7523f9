"""From observations to the ranked list: detect spam, cluster stories, rank, show and count results.

Belongs here: the tables ``trend_stories``, ``story_aliases``, ``scored_trends`` and
``source_performance``, and queries of the ranked list. Does not belong here: the rules (`domain`),
or collecting (`collect`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache

import polars as pl

from ytap_assets.domain.performance import SourceInputs, measure_sources
from ytap_assets.domain.production.events import TAKEN
from ytap_assets.domain.production.records import TAKEN_COLUMNS, find_taken_topics
from ytap_assets.domain.scoring.final_score import RankingConfig, ScoringWeights, Topic
from ytap_assets.domain.scoring.items import ItemConfig, score_items
from ytap_assets.domain.scoring.ranking import (
    BASELINE_COLUMNS,
    BASELINE_DAYS,
    find_regrouped_days,
    rank_stories,
)
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.stories import STORY_MEMBERS, StoryOptions, group_stories, rename_stories
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.file_store import find_store
from ytap_assets.lakehouse.checks import CheckedRows, PublishRefusedError, Scope, check_batch
from ytap_assets.lakehouse.reader import Reader
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.later_days import Dependence, publish_with_later_days
from ytap_assets.operations.platform import Batch, Platform, Results, isolated
from ytap_assets.operations.records import read_changed_events
from ytap_assets.plain_yaml import unique_keys
from ytap_assets.settings import Settings
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
    VIDEO_METRICS,
    Table,
)
from ytap_assets.workspaces import Workspace

_STORY = ["workspace_id", "story_id"]
_SCRIPTS = [
    "workspace_id",
    "script_id",
    "created_at",
    "published_at",
    "topic_url",
    "video_id",
    "cost_usd_micros",
]
_KNOWN = ["workspace_id", "day", "source", "item_id", "story_id", "title", "canonical_url"]
_ITEM = ["workspace_id", "day", "source", "item_id"]
_ADDED = [name for name in STORY_MEMBERS if name not in _ITEM]
_LISTS = ("blocklist", "allowlist", "link_farms", "patterns")
_MAX_MODEL_BYTES = 20_000_000
_CACHED_MODELS = 4
"""Workspaces usually share a model, and parsing takes 13 ms for 20,000 features."""
_PAGE = ["workspace_id", "canonical_url"]
_SHORTEST_PREFIX = 4
_SOURCE_ITEM = ["source", "item_id"]
_SOURCE_DAY = ["workspace_id", "day", "source"]
_TOP = ["workspace_id", "day", "story_id", "is_spam", "position"]
_AT_ONCE = 365


@isolated
def cluster_stories(batch: Batch) -> Results:
    """Publish the batch's rows of ``trend_stories``, and those of later days that depend on them.

    The story of an item depends on the days before its own. On later days the items stay as they
    were measured, and are only grouped again. An id that no story has any more becomes an alias in
    the same commit.

    Returns:
        As `publish_with_later_days`, or what was raised (`isolated`), such as a `ConfigError` for
        a spam model that cannot be read.
    """
    options = StoryOptions()

    def group(_part: Batch, items: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        own = items.drop(_ADDED)
        stories = group_stories(own, before.select(_KNOWN), options=options)
        joined = own.join(stories, on=_ITEM, how="left", maintain_order="left")
        return joined.select(items.columns)

    def follow(
        transaction: Transaction, former: pl.DataFrame, now: pl.DataFrame
    ) -> list[CheckedRows]:
        return _rename(batch, transaction, former, now)

    return publish_with_later_days(
        batch,
        Dependence(
            TREND_STORIES,
            group,
            reach=options.window_days,
            before=options.window_days,
            renew=_measure_items,
            beside=follow,
        ),
    )


def _measure_items(batch: Batch) -> pl.DataFrame:
    """The batch's items as rows of ``trend_stories``, without their stories."""
    configs = {
        name: ItemConfig(
            source_weights=workspace.scoring.source_weights,
            views_per_engagement=workspace.scoring.views_per_engagement,
            spam_rules=spam_rules(workspace),
            spam_model=spam_model(batch.platform.settings, workspace),
        )
        for name, workspace in batch.workspaces.items()
    }
    measured = score_items(batch.read(RAW_TRENDS), configs=configs)
    return measured.with_columns(pl.lit(None).alias(name) for name in _ADDED)


def _rename(
    batch: Batch, transaction: Transaction, former: pl.DataFrame, now: pl.DataFrame
) -> list[CheckedRows]:
    """The aliases of the workspaces in which they change with these rows.

    Args:
        batch: The workspaces.
        transaction: In which the rows are written already.
        former: The rows that are replaced.
        now: The new rows.
    """
    reader = transaction.batch_reader(batch.workspace_ids)
    aliases = reader.read(STORY_ALIASES)
    renamed = former.join(now, on=_STORY, how="anti")
    old_name = ["workspace_id", "former_story_id"]
    revived = aliases.join(now, left_on=old_name, right_on=_STORY, how="semi")
    affected = {*renamed["workspace_id"], *revived["workspace_id"]}
    if not affected:
        return []
    asked = pl.concat([renamed["story_id"], aliases["former_story_id"], aliases["story_id"]])
    in_use = transaction.batch_reader(sorted(affected)).read(
        TREND_STORIES, columns=_STORY, wanted={"story_id": asked.unique().to_list()}
    )
    known, before, after = (
        frame.filter(pl.col("workspace_id").is_in(affected)) for frame in (aliases, former, now)
    )
    found = rename_stories(known, before, after, in_use.unique(), batch.now)
    owned = found.partition_by("workspace_id", as_dict=True)
    rows = {Scope(name): owned.get((name,), found.clear()) for name in sorted(affected)}
    return [_passed(one) for one in check_batch(STORY_ALIASES, rows).values()]


def _passed(checked: CheckedRows | PublishRefusedError) -> CheckedRows:
    if isinstance(checked, PublishRefusedError):
        raise checked
    return checked


def spam_rules(workspace: Workspace) -> SpamRules:
    """The general spam rules with the additions and settings of the workspace's config."""
    spam = workspace.spam
    given = spam.model_dump(exclude_none=True, exclude={*_LISTS, "model", "rules_off"})
    return SpamRules().extended(
        minimums=workspace.sources.minimums,
        blocklist=spam.blocklist,
        allowlist=spam.allowlist,
        link_farms=spam.link_farms,
        patterns=spam.patterns,
        limits={**given, "rules_off": frozenset(spam.rules_off)},
    )


def spam_model(settings: Settings, workspace: Workspace) -> SpamModel | None:
    """The learned model named by the workspace's config; None if there is none.

    Raises:
        ConfigError: The file is missing or is not a model; the message names the file and the key.
    """
    name = workspace.spam.model
    if name is None:
        return None
    store, file = find_store(settings), f"models/{name}"
    try:
        return _parse_model(store.read(file, max_bytes=_MAX_MODEL_BYTES))
    except (ConfigError, FileRefusedError) as error:
        raise ConfigError(
            f"spam.model of workspace {workspace.workspace_id!r}: {store.locate(file)}: {error}"
        ) from error


@lru_cache(maxsize=_CACHED_MODELS)
def _parse_model(content: bytes | None) -> SpamModel:
    if content is None:
        raise ConfigError(
            "No such file; train a model with scripts/train_spam_model.py, or remove the key"
        )
    try:
        parsed = json.loads(content, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not a spam model: not JSON, or a duplicate key: {error}") from error
    return SpamModel.from_dict(parsed)


@isolated
def score(batch: Batch) -> Results:
    """Publish the batch's rows of ``scored_trends``, made from its rows of ``trend_stories``.

    What is usual for a source, and which stories a taken page belonged to, is known from the
    `BASELINE_DAYS` before a day. So the days after the slices are ranked again, as far as they
    change them. Any later day may have been grouped again (`cluster_stories`), also beyond days
    without a list, or with one that stays as it was; so those whose lists hold other stories are
    ranked again too.

    Returns:
        As `publish_with_later_days`, or what was raised (`isolated`).
    """
    topics = _read_topics(batch)

    def rank(part: Batch, stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _keep_first(part, _rank_days(part, topics), stored)

    return publish_with_later_days(
        batch, Dependence(SCORED_TRENDS, rank, reach=BASELINE_DAYS, also=_find_regrouped(batch))
    )


def _read_topics(batch: Batch) -> pl.DataFrame:
    """The topics that were taken on a day of the batch or later."""
    reader = batch.reader()
    first = min((day for one in batch.slices for day in one.own_days), default=batch.now.date())
    events = read_changed_events(reader, datetime.combine(first, time(), UTC))
    records = reader.read(PRODUCTION_RECORDS, columns=TAKEN_COLUMNS, wanted={"state": TAKEN})
    return find_taken_topics(records, events)


def _find_regrouped(batch: Batch) -> dict[str, list[date]]:
    """`find_regrouped_days` after the slices, of every workspace that has some."""
    columns = ["workspace_id", "day", "story_id"]
    regrouped = find_regrouped_days(
        batch.read_later(TREND_STORIES, [*columns, "source"]),
        batch.read_later(SCORED_TRENDS, [*columns, "members", "sources"]),
    )
    found: dict[str, list[date]] = {}
    for name, day in regrouped.iter_rows():
        found.setdefault(name, []).append(day)
    return found


def _rank_days(part: Batch, topics: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``scored_trends`` of some days, without regard to stored ranks."""
    return rank_stories(
        part.read(TREND_STORIES),
        part.read(TREND_STORIES, before=BASELINE_DAYS, columns=list(BASELINE_COLUMNS)),
        configs={name: _ranking_config(workspace) for name, workspace in part.workspaces.items()},
        taken=_name_stories(part, topics),
    )


def _keep_first(part: Batch, ranked: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The rows with the rank that each story had when its day's list first held it, and when.

    A story that has another id by now keeps its first rank. Of several that became one, the
    earliest counts. Of rows that are older than these columns it stays unknown.
    """
    if stored.is_empty():
        return ranked.with_columns(first_ranked_at=pl.lit(part.now))
    story = ["workspace_id", "day", "story_id"]
    columns = ["workspace_id", "former_story_id", "story_id"]
    aliases = part.read(STORY_ALIASES, columns=columns).rename({"story_id": "is_now"})
    known = (
        stored.join(
            aliases,
            left_on=["workspace_id", "story_id"],
            right_on=["workspace_id", "former_story_id"],
            how="left",
        )
        .select(
            "workspace_id",
            "day",
            pl.coalesce("is_now", "story_id").alias("story_id"),
            was_at="first_ranked_at",
            was="first_position",
            is_known=pl.lit(value=True),
        )
        .sort("was_at", "was")
        .unique(story, keep="first", maintain_order=True)
    )
    rows = ranked.join(known, on=story, how="left", maintain_order="left")
    return rows.with_columns(
        first_position=pl.when("is_known").then("was").otherwise("position"),
        first_ranked_at=pl.when("is_known").then("was_at").otherwise(pl.lit(part.now)),
    )


def _ranking_config(workspace: Workspace) -> RankingConfig:
    return RankingConfig(
        Topic(workspace.keywords, workspace.vertical, workspace.language),
        ScoringWeights(**workspace.scoring.weights),
    )


def _name_stories(part: Batch, taken: pl.DataFrame) -> pl.DataFrame:
    """The taken topics, and with each the stories that its page belonged to on the days before.

    A story stays taken for `BASELINE_DAYS` after its page was in it, also on days on which it has
    only other pages; the rank of a day does not depend on the pages of that day or a later one.
    """
    pages = taken["canonical_url"].drop_nulls().unique().to_list()
    if not pages:
        return taken.with_columns(story_id=pl.lit(None, pl.String))
    members = part.read(
        TREND_STORIES,
        before=BASELINE_DAYS,
        columns=[*_PAGE, "story_id", "day"],
        wanted={"canonical_url": pages},
    ).unique()
    pages_of_stories = taken.join(members, on=_PAGE)
    named = pages_of_stories.select(
        "workspace_id",
        "script_id",
        "story_id",
        pl.max_horizontal("first_day", pl.col("day").dt.offset_by("1d")).alias("first_day"),
        pl.min_horizontal("last_day", pl.col("day").dt.offset_by(f"{BASELINE_DAYS}d")).alias(
            "last_day"
        ),
    )
    return pl.concat([taken, named], how="diagonal")


@dataclass(frozen=True, eq=False)
class StoryAccount:
    """All rows of the lake about one story.

    Attributes:
        day: The explained day.
        story: Its row of `scored_trends` on that day.
        of: The number of stories of the day.
        members: Its rows of `trend_stories` on that day, the hottest first.
        days: Its rows of `scored_trends` on all days, in order.
        former_ids: Its former ids, in order.
    """

    day: date
    story: dict[str, object]
    of: int
    members: pl.DataFrame
    days: pl.DataFrame
    former_ids: tuple[str, ...] = ()


def list_top(
    platform: Platform, workspace_id: str, day: date | None = None, *, with_spam: bool = False
) -> tuple[date, pl.DataFrame]:
    """The ranked list of a day, the best first.

    Args:
        platform: The installation.
        workspace_id: Whose list.
        day: Which day; the last one that was scored if None.
        with_spam: Whether stories that a spam rule caught are listed, too.

    Returns:
        The day, and rows of `scored_trends`.

    Raises:
        ConfigError: There is no such workspace, or nothing was scored.
    """
    reader = _open_reader(platform, workspace_id)
    day = day or _last_day(reader)
    stories = reader.read(SCORED_TRENDS, days=(day, day)).sort("position")
    if stories.is_empty():
        raise ConfigError(
            f"workspace {workspace_id} has no scored trends on {day};"
            f" {_advise_ranking(platform, workspace_id, day)}"
        )
    return day, stories if with_spam else stories.filter(~pl.col("is_spam"))


def _advise_ranking(platform: Platform, workspace_id: str, day: date) -> str:
    """How a day without a list is ranked, or why it cannot be."""
    try:
        platform.check_days((day, day))
    except ConfigError as error:
        return str(error)
    command = f"`ytap materialize '*' -w {workspace_id} --from {day} --to {day}`"
    if day >= platform.now().date():
        return f"{command} collects and ranks it"
    return (
        f"{command} ranks the rows of that day, and collects it from the sources that return past"
        " days"
    )


def explain_story(
    platform: Platform, workspace_id: str, story: str, day: date | None = None
) -> StoryAccount:
    """One story in detail.

    Args:
        platform: The installation.
        workspace_id: Whose story.
        story: Its id, a former id, the beginning of one, or its position in the day's list.
        day: Which day; the last one the story was scored on if None (for a position: the last
            one that was scored).

    Raises:
        ConfigError: There is no such workspace or story, or several stories begin so.
    """
    reader = _open_reader(platform, workspace_id)
    aliases = reader.read(STORY_ALIASES, columns=["former_story_id", "story_id"])
    if story.isdecimal() and len(story) < _SHORTEST_PREFIX:
        day, listed = list_top(platform, workspace_id, day, with_spam=True)
        chosen = listed.filter(pl.col("position") == int(story))
        if chosen.is_empty():
            raise ConfigError(
                f"{day} has no story at position {story}; it has {listed.height} stories"
            )
        story_id = str(chosen["story_id"].item())
    else:
        story_id = _find_story(reader, aliases, story)
    days = reader.read(SCORED_TRENDS, wanted={"story_id": [story_id]}).sort("day")
    shown = days.filter(pl.col("day") == (day or days["day"].max()))
    if shown.is_empty():
        scored = ", ".join(str(one) for one in days["day"].to_list())
        raise ConfigError(f"story {story_id} was not scored on {day}; it was on {scored}")
    row = shown.row(0, named=True)
    that_day = (row["day"], row["day"])
    members = reader.read(TREND_STORIES, days=that_day, wanted={"story_id": [story_id]})
    ranked = reader.read(SCORED_TRENDS, days=that_day, columns=["position"])
    hottest = ["expected_engagement", "source", "item_id"]
    members = members.sort(hottest, descending=[True, False, False], nulls_last=True)
    former = aliases.filter(story_id=story_id)["former_story_id"].sort().to_list()
    return StoryAccount(row["day"], row, ranked.height, members, days, tuple(former))


def _open_reader(platform: Platform, workspace_id: str) -> Reader:
    platform.workspace(workspace_id)
    return platform.lake.reader(workspace_id)


def _last_day(reader: Reader) -> date:
    last: date | None = reader.read(SCORED_TRENDS, columns=["day"])["day"].max()  # type: ignore[assignment]
    if last is None:
        raise ConfigError(
            f"workspace {reader.workspace_id} has no scored trends yet;"
            f" `ytap materialize '*' -w {reader.workspace_id}` collects and ranks today"
        )
    return last


def _find_story(reader: Reader, aliases: pl.DataFrame, beginning: str) -> str:
    """The story whose id, or a former id, begins so."""
    if len(beginning) < _SHORTEST_PREFIX:
        raise ConfigError(
            f"{beginning!r}: give a position, or at least {_SHORTEST_PREFIX} characters of an id"
        )
    ids = reader.read(SCORED_TRENDS, columns=["story_id"]).unique()
    names = pl.concat(
        [
            ids.with_columns(name="story_id"),
            aliases.join(ids, on="story_id", how="semi").select("story_id", name="former_story_id"),
        ]
    )
    begins = pl.col("name").str.starts_with(beginning.lower())
    found = names.filter(begins)["story_id"].unique().to_list()
    if not found:
        raise ConfigError(
            f"workspace {reader.workspace_id} has no story {beginning!r};"
            f" `ytap trends top -w {reader.workspace_id}` lists a day's"
        )
    if len(found) > 1:
        raise ConfigError(f"{len(found)} stories begin with {beginning!r}; give more of the id")
    return str(found[0])


@isolated
def measure_results(batch: Batch) -> Results:
    """Publish the batch's rows of ``source_performance``, and those of later days that changed.

    All later days are counted again, a year at a time, since the stories and the lists of any of
    them may have changed (`cluster_stories`, `score`), and a count that comes out as before says
    nothing of those of the days after it.

    Returns:
        As `publish_with_later_days`, or what was raised (`isolated`).
    """
    records = batch.read(PRODUCTION_RECORDS, columns=_SCRIPTS)
    later = batch.read_later(SOURCE_PERFORMANCE, ["workspace_id", "day"]).unique()

    def count(part: Batch, _stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _measure_results(part, records)

    also: dict[str, list[date]] = {}
    for name, day in later.iter_rows():
        also.setdefault(name, []).append(day)
    return publish_with_later_days(
        batch, Dependence(SOURCE_PERFORMANCE, count, reach=_AT_ONCE, also=also)
    )


def _measure_results(part: Batch, records: pl.DataFrame) -> pl.DataFrame:
    days = sorted({day for slice_ in part.slices for day in slice_.own_days})
    metrics = part.read(VIDEO_METRICS, before=1)
    is_dated = pl.any_horizontal(
        pl.col(name).dt.date().is_in(days).fill_null(value=False)
        for name in ("created_at", "published_at")
    )
    watched = records.filter(~is_dated).join(metrics, on=["workspace_id", "video_id"], how="semi")
    counted = pl.concat([records.filter(is_dated), watched])
    inputs = SourceInputs(
        observed=part.read(RAW_TRENDS, columns=_SOURCE_DAY),
        members=part.read(TREND_STORIES, columns=[*_SOURCE_DAY, "story_id", "is_spam"]),
        scored=part.read(SCORED_TRENDS, columns=_TOP),
        topic_members=_read_topic_members(part, counted),
        records=counted,
        metrics=metrics,
    )
    sources = measure_sources(pl.Series("day", days, dtype=pl.Date), inputs)
    return sources.filter(part.is_within())


def _read_topic_members(batch: Batch, records: pl.DataFrame) -> pl.DataFrame:
    """The members of every story about a script's topic, of any day, and when first seen.

    When comes from `raw_trends`: in `trend_stories` it is the last observation of an item, which
    the collection of the next night makes the end of the day.
    """
    topics = records.select("workspace_id", canonical_urls(records["topic_url"]).alias("page"))
    reader = batch.reader()

    def read(table: Table, columns: list[str], name: str, values: pl.Series) -> pl.DataFrame:
        found = values.drop_nulls().unique().to_list()
        return reader.read(table, columns=["workspace_id", *columns], wanted={name: found})

    matched = read(TREND_STORIES, ["canonical_url", "story_id"], "canonical_url", topics["page"])
    matched = matched.join(
        topics,
        left_on=["workspace_id", "canonical_url"],
        right_on=["workspace_id", "page"],
        how="semi",
    )
    columns = ["story_id", *_SOURCE_ITEM, "canonical_url"]
    members = read(TREND_STORIES, columns, "story_id", matched["story_id"]).unique()
    members = members.join(matched, on=["workspace_id", "story_id"], how="semi")
    observations = read(RAW_TRENDS, [*_SOURCE_ITEM, "observed_at"], "item_id", members["item_id"])
    item = ["workspace_id", *_SOURCE_ITEM]
    first = observations.group_by(item).agg(pl.col("observed_at").min())
    return members.join(first, on=item)
