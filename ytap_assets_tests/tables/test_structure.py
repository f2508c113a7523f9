"""What a table refuses, and what it keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from pandera.errors import SchemaError, SchemaErrors

from ytap_assets.tables import CHANNELS, RAW_TRENDS, VIDEO_METRICS, VIDEOS, Table

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

CHANNEL = {
    "workspace_id": "tech",
    "channel_id": "UCaaaaaaaaaaaaaaaaaaaaaa",
    "is_own": True,
    "status": "active",
}
TREND = {
    "workspace_id": "tech",
    "day": date(2026, 11, 20),
    "source": "hn",
    "item_id": "1",
    "observed_at": NOON,
    "title": "",
    "collection_id": "c",
}
METRICS = {
    "workspace_id": "tech",
    "day": date(2026, 11, 20),
    "platform": "youtube",
    "video_id": "v",
    "observed_at": NOON,
    "is_settled": False,
    "collection_id": "c",
}
VIDEO = {"workspace_id": "tech", "video_id": "dQw4w9WgXcQ", "script_id": "s"}


def check(table: Table, frame: pl.DataFrame) -> None:
    table.model.validate(frame, lazy=True)


@pytest.mark.parametrize(
    ("table", "row"),
    [(CHANNELS, CHANNEL), (RAW_TRENDS, TREND), (VIDEO_METRICS, METRICS), (VIDEOS, VIDEO)],
)
def test_a_row_with_only_what_is_required_is_taken(table: Table, row: dict[str, Any]) -> None:
    check(table, table.frame([row]))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (CHANNELS, {**CHANNEL, "workspace_id": None}),
        (CHANNELS, {**CHANNEL, "workspace_id": "../tech"}),
        (CHANNELS, {**CHANNEL, "workspace_id": "tech\n"}),
        (CHANNELS, {**CHANNEL, "channel_id": "UCaaaaaaaaaaaaaaaaaaaaaa\n"}),
        (CHANNELS, {**CHANNEL, "channel_id": "UCaaaaaaaaaaaaaaaaaaaaaaa"}),
        (CHANNELS, {**CHANNEL, "status": "gone"}),
        (CHANNELS, {**CHANNEL, "is_own": None}),
        (VIDEOS, {**VIDEO, "video_id": "#NAME?"}),
        (RAW_TRENDS, {**TREND, "item_id": ""}),
        (RAW_TRENDS, {**TREND, "title": None}),
        (RAW_TRENDS, {**TREND, "day": None}),
        (RAW_TRENDS, {**TREND, "observed_at": None}),
    ],
)
def test_a_broken_row_is_refused(table: Table, row: dict[str, Any]) -> None:
    with pytest.raises(SchemaErrors):
        check(table, table.frame([row]))


@pytest.mark.parametrize(
    "counts",
    [
        {"engagement_rate_pct": 130.0},
        {"duration_s": 20},
        {"views": -1},
        {"likes": 2**62},
    ],
)
def test_a_surprising_row_is_kept(counts: dict[str, Any]) -> None:
    check(VIDEO_METRICS, VIDEO_METRICS.frame([{**METRICS, **counts}]))


@pytest.mark.parametrize(
    "frame",
    [
        RAW_TRENDS.empty().drop("points"),
        RAW_TRENDS.empty().with_columns(extra=pl.lit(1)),
        RAW_TRENDS.empty().cast({"points": pl.Float64}),
        RAW_TRENDS.empty().cast({"observed_at": pl.Datetime("us")}),
        RAW_TRENDS.empty().cast({"observed_at": pl.Datetime("us", "Europe/Berlin")}),
    ],
    ids=["missing column", "extra column", "other type", "no timezone", "other timezone"],
)
def test_another_shape_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises((SchemaError, SchemaErrors)):
        check(RAW_TRENDS, frame)


def test_frames_take_columns_by_name() -> None:
    frame = CHANNELS.frame([dict(reversed(CHANNEL.items()))])
    assert frame.rows(named=True) == [{**CHANNEL, "title": None}]
    assert frame.columns == CHANNELS.schema.names()
