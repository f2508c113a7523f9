"""Recorded trending tables become ranked days and reports, each range as one run."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.defs.launch import materialize_range
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.imports import import_trends
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_TRENDS, SCORED_TRENDS, TREND_STORIES, WORKSPACE_REPORTS
from ytap_assets.workspaces import Workspace

pytestmark = pytest.mark.real_data

_COUNTS = ("fetched", "accepted", "quarantined", "duplicates")


@pytest.fixture
def history(settings: Settings) -> Iterator[Platform]:
    """Two workspaces that collect nothing."""
    platform = Platform(settings)
    for name in ("us", "daily"):
        platform.workspaces.save(Workspace(workspace_id=name, name=name, vertical="news"))
    yield platform
    platform.lake.close()


def load(platform: Platform, workspace_id: str, files: list[Path]) -> list[tuple[int, ...]]:
    outcome = import_trends(
        platform,
        files,
        workspace_id=workspace_id,
        source="youtube",
        region="US",
        run=Run("run-1", "test", "import"),
    )
    assert outcome.height == len(files)
    return outcome.select(_COUNTS).rows()


def read_rows(file: Path) -> list[dict[str, str]]:
    """The file's rows, read without any of the project's readers."""
    with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def count_videos(file: Path, dates: set[str]) -> int:
    """Distinct videos of each of these dates."""
    return len({(row["date"], row["video_id"]) for row in read_rows(file) if row["date"] in dates})


def count_distinct(file: Path) -> int:
    """Distinct videos of a daily list."""
    return len({row["videoId"] for row in read_rows(file)})


def backfill(platform: Platform, workspace_id: str, days: Days) -> None:
    before = platform.lake.snapshot_id()
    runs = materialize_range(
        platform, "key:trend_stories or key:scored_trends+", workspace_ids=[workspace_id], days=days
    )
    assert [(sorted(run.assets), run.error) for run in runs] == [
        (["scored_trends", "source_performance", "trend_stories"], None),
        (["workspace_reports"], None),
    ]
    written = platform.lake.snapshots().filter(pl.col("snapshot_id") > before)
    ranked, reported = (run.run_id for run in runs)
    assert written["run_id"].to_list() == [ranked] * 3 + [reported]


def check_days(platform: Platform, workspace_id: str, days: Days, items: int) -> None:
    reader = platform.lake.reader(workspace_id)
    scored = reader.read(SCORED_TRENDS)
    assert reader.read(TREND_STORIES).height == scored["members"].sum() == items
    wanted = pl.date_range(*days, eager=True).to_list()
    by_day = scored.group_by("day", maintain_order=True).agg(pl.col("position").sort(), pl.len())
    assert sorted(by_day["day"]) == wanted
    assert all(row["position"] == list(range(1, row["len"] + 1)) for row in by_day.to_dicts())
    reports = reader.read(WORKSPACE_REPORTS).sort("day")
    assert reports["day"].to_list() == wanted
    assert reports["stories"].sum() == scored.height
    assert all((platform.settings.data / path).is_file() for path in reports["report_path"])


def test_days_of_2017_are_ranked_and_reported(history: Platform, real_data: Path) -> None:
    file = real_data / "youtube_trending_kaggle" / "v1_2017-09_US_USvideos.csv.gz"
    assert load(history, "us", [file]) == [(8000, 7998, 1, 1)]
    observed = history.lake.reader("us").read(RAW_TRENDS)
    assert (observed["part"] == 0).sum() == 7992
    days = (date(2017, 9, 13), date(2017, 9, 22))
    backfill(history, "us", days)
    check_days(history, "us", days, count_videos(file, {f"{day}.09" for day in range(13, 23)}))


def test_daily_files_are_ranked_and_reported(history: Platform, real_data: Path) -> None:
    files = sorted((real_data / "youtube_trending_daily" / "default").glob("default_202410*"))[:10]
    counts = load(history, "daily", files)
    assert all(fetched == sum(parts) for fetched, *parts in counts)
    assert load(history, "daily", files[:1])[0][1] == 0
    days = (date(2024, 10, 1), date(2024, 10, 10))
    backfill(history, "daily", days)
    check_days(history, "daily", days, sum(count_distinct(file) for file in files))
