"""Small frames of items and known members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

FIRST = date(2026, 3, 1)
KNOWN = pl.Schema(
    {
        "workspace_id": pl.String(),
        "day": pl.Date(),
        "source": pl.String(),
        "item_id": pl.String(),
        "story_id": pl.String(),
        "title": pl.String(),
        "canonical_url": pl.String(),
    }
)
NOTHING = pl.DataFrame(schema=KNOWN)
_ITEMS: dict[str, pl.DataType] = {
    "workspace_id": pl.String(),
    "day": pl.Date(),
    "source": pl.String(),
    "item_id": pl.String(),
    "title": pl.String(),
    "canonical_url": pl.String(),
    "first_observed_at": pl.Datetime("us", "UTC"),
    "published_at": pl.Datetime("us", "UTC"),
}


def items(titles: Sequence[str | None], *, day: int = 0, **columns: Any) -> pl.DataFrame:
    """Items of one day, each with its own page, published one after the other, observed at once."""
    count = len(titles)
    when = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day)
    rows = {
        "workspace_id": ["w"] * count,
        "day": [FIRST + timedelta(days=day)] * count,
        "source": ["hn"] * count,
        "item_id": [f"d{day}-{number}" for number in range(count)],
        "title": list(titles),
        "canonical_url": [f"https://example.org/{day}/{number}" for number in range(count)],
        "first_observed_at": [when + timedelta(hours=12)] * count,
        "published_at": [when + timedelta(minutes=number) for number in range(count)],
    }
    return pl.DataFrame(rows | columns, schema=_ITEMS)


def as_known(members: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """What was said of items, as the table keeps it."""
    return members.join(rows, on=["workspace_id", "day", "source", "item_id"]).select(KNOWN.names())


def parts(members: pl.DataFrame) -> set[frozenset[str]]:
    """The items of each story, whatever it is called."""
    grouped = members.group_by("story_id").agg("item_id")
    return {frozenset(ids) for ids in grouped.get_column("item_id").to_list()}
