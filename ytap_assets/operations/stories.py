"""Measure a slice's items and recognize the stories they tell."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.scoring.items import ItemConfig, score_items
from ytap_assets.domain.stories import STORY_MEMBERS, StoryOptions, group_stories, rename_stories
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.reader import Days, Reader
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.later_days import publish_with_later_days
from ytap_assets.operations.platform import Slice, Written
from ytap_assets.operations.spam import spam_model, spam_rules
from ytap_assets.tables import RAW_TRENDS, STORY_ALIASES, TREND_STORIES

_KNOWN = ["workspace_id", "day", "source", "item_id", "story_id", "title", "canonical_url"]
_ITEM = ["workspace_id", "day", "source", "item_id"]
_ADDED = [name for name in STORY_MEMBERS if name not in _ITEM]


def tell_stories(slice_: Slice) -> Written:
    """Publish the slice's rows of ``trend_stories``, and those of later days that depend on them.

    What a day's items tell depends on the days before it. On later days the items stay as they were
    measured, and are only grouped again. An id that no story has any more becomes an alias in the
    same commit.

    Raises:
        PublishRefusedError: A check failed; nothing was written.
        CatalogBusyError: Another run kept changing the days around; nothing was written.
    """
    options = StoryOptions()
    first, last = slice_.days or (slice_.now.date(), slice_.now.date())

    def group(days: Days, stored: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        items = stored.drop(_ADDED)
        if days[0] == first:
            measured = _measure(slice_).select(items.columns).cast(items.schema)
            items = pl.concat([measured, items.filter(pl.col("day") > last)])
        told = group_stories(items, before.select(_KNOWN), options=options)
        return items.join(told, on=_ITEM, how="left", maintain_order="left")

    def follow(
        transaction: Transaction, former: pl.DataFrame, now: pl.DataFrame
    ) -> list[CheckedRows]:
        return _rename(slice_, transaction.reader(slice_.workspace_id), former, now)

    return publish_with_later_days(
        slice_,
        TREND_STORIES,
        group,
        reach=options.window_days,
        before=options.window_days,
        beside=follow,
    )


def _measure(slice_: Slice) -> pl.DataFrame:
    workspace = slice_.workspace
    config = ItemConfig(
        source_weights=workspace.scoring.source_weights,
        views_per_engagement=workspace.scoring.views_per_engagement,
        spam_rules=spam_rules(workspace),
        spam_model=spam_model(slice_.platform.settings, workspace),
    )
    return score_items(slice_.read(RAW_TRENDS), configs={workspace.workspace_id: config})


def _rename(
    slice_: Slice, reader: Reader, former: pl.DataFrame, now: pl.DataFrame
) -> list[CheckedRows]:
    """The aliases, where they change with these rows; ``reader`` sees the rows as they are now."""
    aliases = reader.read(STORY_ALIASES)
    renamed = former.join(now, on="story_id", how="anti")
    revived = aliases.join(now, left_on="former_story_id", right_on="story_id", how="semi")
    if renamed.is_empty() and revived.is_empty():
        return []
    asked = pl.concat([renamed["story_id"], aliases["former_story_id"], aliases["story_id"]])
    in_use = reader.read(
        TREND_STORIES,
        columns=["workspace_id", "story_id"],
        wanted={"story_id": asked.unique().to_list()},
    )
    rows = rename_stories(aliases, former, now, in_use.unique(), slice_.now)
    return [check_rows(STORY_ALIASES, rows, Scope(slice_.workspace_id))]
