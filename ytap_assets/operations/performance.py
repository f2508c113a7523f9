"""What came of what each source brought, for a slice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl

from ytap_assets.domain.performance import SourceInputs, measure_sources
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.later_days import publish_with_later_days
from ytap_assets.operations.platform import Slice, Written
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    TREND_STORIES,
    VIDEO_METRICS,
)

_ITEM = ["source", "item_id"]
_KEY = ["workspace_id", "day", "source"]
_TOP = ["workspace_id", "day", "story_id", "is_spam", "position"]
_AT_ONCE = 365


def measure_slice(slice_: Slice) -> Written:
    """Publish the slice's rows of ``source_performance``, and those of later days that changed.

    All later days are counted again, a year at a time, since the stories and the lists of any of
    them may have changed (`tell_stories`, `score_slice`), and a count that comes out as before says
    nothing of those of the days after it.

    Raises:
        PublishRefusedError: A check failed; nothing was written.
        CatalogBusyError: Another run kept changing the days around; nothing was written.
    """
    records = slice_.read(PRODUCTION_RECORDS)
    told = _read_told(slice_, records)

    def count(days: Days, _stored: pl.DataFrame, _before: pl.DataFrame) -> pl.DataFrame:
        return _count(replace(slice_, days=days), records, told)

    return publish_with_later_days(
        slice_,
        SOURCE_PERFORMANCE,
        count,
        reach=_AT_ONCE,
        also=slice_.read_later(SOURCE_PERFORMANCE, ["day"])["day"].unique(),
    )


def _count(slice_: Slice, records: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    days = slice_.days or (slice_.now.date(), slice_.now.date())
    inputs = SourceInputs(
        observed=slice_.read(RAW_TRENDS, columns=_KEY),
        members=slice_.read(TREND_STORIES, columns=[*_KEY, "story_id", "is_spam"]),
        scored=slice_.read(SCORED_TRENDS, columns=_TOP),
        told=told,
        records=records,
        metrics=slice_.read(VIDEO_METRICS, days=(days[0] - timedelta(days=1), days[1])),
    )
    return measure_sources(pl.Series("day", list(slice_.each_day()), dtype=pl.Date), inputs)


def _read_told(slice_: Slice, records: pl.DataFrame) -> pl.DataFrame:
    """The members of every story that tells a script's topic, of any day, and when first seen.

    When comes from `raw_trends`: in `trend_stories` it is the last look at an item, which the
    collection of the next night makes the end of the day.
    """
    topics = canonical_urls(records["topic_url"]).drop_nulls().unique().to_list()
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    telling = reader.read(TREND_STORIES, columns=["story_id"], wanted={"canonical_url": topics})
    stories = telling["story_id"].unique().to_list()
    columns = ["workspace_id", "story_id", *_ITEM, "canonical_url"]
    members = reader.read(TREND_STORIES, columns=columns, wanted={"story_id": stories}).unique()
    items = members["item_id"].unique().to_list()
    looks = reader.read(RAW_TRENDS, columns=[*_ITEM, "observed_at"], wanted={"item_id": items})
    first = looks.group_by(_ITEM).agg(pl.col("observed_at").min())
    return members.join(first, on=_ITEM)
