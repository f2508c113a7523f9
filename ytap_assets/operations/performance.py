"""The performance of each source, for a batch."""

from __future__ import annotations

from datetime import date

import polars as pl

from ytap_assets.domain.performance import SourceInputs, measure_sources
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.operations.later_days import Dependence, publish_with_later_days
from ytap_assets.operations.platform import Batch, Results, isolated
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    TREND_STORIES,
    VIDEO_METRICS,
    Table,
)

_ITEM = ["source", "item_id"]
_KEY = ["workspace_id", "day", "source"]
_TOP = ["workspace_id", "day", "story_id", "is_spam", "position"]
_AT_ONCE = 365


@isolated
def measure(batch: Batch) -> Results:
    """Publish the batch's rows of ``source_performance``, and those of later days that changed.

    All later days are counted again, a year at a time, since the stories and the lists of any of
    them may have changed (`cluster_stories`, `score`), and a count that comes out as before says
    nothing of those of the days after it.

    Returns:
        As `publish_with_later_days`, or what was raised (`isolated`).
    """
    records = batch.read(PRODUCTION_RECORDS)
    told = _read_told(batch, records)
    later = batch.read_later(SOURCE_PERFORMANCE, ["workspace_id", "day"]).unique()

    def count(part: Batch, _stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _count(part, records, told)

    also: dict[str, list[date]] = {}
    for name, day in later.iter_rows():
        also.setdefault(name, []).append(day)
    return publish_with_later_days(
        batch, Dependence(SOURCE_PERFORMANCE, count, reach=_AT_ONCE, also=also)
    )


def _count(part: Batch, records: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    inputs = SourceInputs(
        observed=part.read(RAW_TRENDS, columns=_KEY),
        members=part.read(TREND_STORIES, columns=[*_KEY, "story_id", "is_spam"]),
        scored=part.read(SCORED_TRENDS, columns=_TOP),
        told=told,
        records=records,
        metrics=part.read(VIDEO_METRICS, before=1),
    )
    days = sorted({day for slice_ in part.slices for day in slice_.each_day()})
    counted = measure_sources(pl.Series("day", days, dtype=pl.Date), inputs)
    return counted.filter(part.is_within())


def _read_told(batch: Batch, records: pl.DataFrame) -> pl.DataFrame:
    """The members of every story that tells a script's topic, of any day, and when first seen.

    When comes from `raw_trends`: in `trend_stories` it is the last observation of an item, which
    the collection of the next night makes the end of the day.
    """
    topics = records.select("workspace_id", canonical_urls(records["topic_url"]).alias("page"))
    reader = batch.reader()

    def read(table: Table, columns: list[str], name: str, values: pl.Series) -> pl.DataFrame:
        found = values.drop_nulls().unique().to_list()
        return reader.read(table, columns=["workspace_id", *columns], wanted={name: found})

    telling = read(TREND_STORIES, ["canonical_url", "story_id"], "canonical_url", topics["page"])
    telling = telling.join(
        topics,
        left_on=["workspace_id", "canonical_url"],
        right_on=["workspace_id", "page"],
        how="semi",
    )
    columns = ["story_id", *_ITEM, "canonical_url"]
    members = read(TREND_STORIES, columns, "story_id", telling["story_id"]).unique()
    members = members.join(telling, on=["workspace_id", "story_id"], how="semi")
    observations = read(RAW_TRENDS, [*_ITEM, "observed_at"], "item_id", members["item_id"])
    item = ["workspace_id", *_ITEM]
    first = observations.group_by(item).agg(pl.col("observed_at").min())
    return members.join(first, on=item)
