"""One observed item, as every trend source hands it over: a row of `raw_trends` in the making.

Belongs here: the fields a source can know. Does not belong here: the columns that all rows of a
fetch share (workspace, day, collection), which `fetching` adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One observation of one item; what the platform does not tell is None.

    A source that shows several lists names the one in ``list_name``: what is seen in two lists in
    the same second is two observations.
    """

    source: str
    item_id: str
    observed_at: datetime
    title: str
    url: str | None = None
    discussion_url: str | None = None
    published_at: datetime | None = None
    points: int | None = None
    comments: int | None = None
    likes: int | None = None
    views: int | None = None
    list_name: str = ""
    rank: int | None = None
    region: str | None = None
    category: str | None = None
    channel_id: str | None = None
    channel_title: str | None = None
    duration_s: int | None = None
    is_promoted: bool | None = None

    def to_row(self) -> dict[str, Any]:
        """The fields by column name."""
        return dict(vars(self))
