"""The registry of published videos, made from the records."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.production.states import PUBLISHED
from ytap_assets.tables.registries import VIDEOS

_VIDEO_ID = r"^[A-Za-z0-9_-]{11}$"


def videos_from_records(records: pl.DataFrame) -> pl.DataFrame:
    """The videos a workspace published.

    Args:
        records: Rows of `production_records`.

    Returns:
        Rows of `videos`, sorted by workspace and video: the records in ``published`` that name a
        valid YouTube id. Where imported records claim one video, the first published keeps it.
    """
    return (
        records.filter((pl.col("state") == PUBLISHED) & pl.col("video_id").str.contains(_VIDEO_ID))
        .sort("published_at", "script_id", nulls_last=True)
        .unique(["workspace_id", "video_id"], keep="first", maintain_order=True)
        .sort("workspace_id", "video_id")
        .select(VIDEOS.schema.names())
    )
