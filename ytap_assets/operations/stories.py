"""Measure a batch's items and group them into stories."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.scoring.items import ItemConfig, score_items
from ytap_assets.domain.stories import STORY_MEMBERS, StoryOptions, group_stories, rename_stories
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_batch
from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.later_days import Dependence, publish_with_later_days
from ytap_assets.operations.platform import Batch, Results, isolated
from ytap_assets.operations.spam import spam_model, spam_rules
from ytap_assets.tables import RAW_TRENDS, STORY_ALIASES, TREND_STORIES

_STORY = ["workspace_id", "story_id"]
_KNOWN = ["workspace_id", "day", "source", "item_id", "story_id", "title", "canonical_url"]
_ITEM = ["workspace_id", "day", "source", "item_id"]
_ADDED = [name for name in STORY_MEMBERS if name not in _ITEM]


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
            renew=_measure,
            beside=follow,
        ),
    )


def _measure(batch: Batch) -> pl.DataFrame:
    """The batch's items as rows of ``trend_stories`` whose stories are not known yet."""
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
