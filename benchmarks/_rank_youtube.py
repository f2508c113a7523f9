"""Ranking of videos when first observed in daily lists, against their views five days later."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from _rank_constants import judge_left_out
from _rank_measures import ndcg, spearman
from _rank_stories import OURS, RIVALS, measure, rank
from _report import print_table

from ytap_assets.domain.scoring.baselines import measure_baselines
from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import read_trend_file
from ytap_assets.tables import RAW_TRENDS

LATER = timedelta(days=5)
FEWEST = 20
_NOW = datetime(2100, 1, 1, tzinfo=UTC)


def rank_youtube(data: Path) -> tuple[dict[str, Any], dict[str, bool]]:
    """Rank each month's new videos, print tables; returns figures and which requirements hold."""
    folder = data / "youtube_trending_daily"
    files = sorted(folder.glob("default/*.csv*")) or sorted(folder.glob("*/*.csv*"))
    rows = [rows for file in files if (rows := _read(file)) is not None]
    if not rows:
        print("No daily YouTube lists (youtube_trending_daily): left out.")
        return {}, {}
    key = list(RAW_TRENDS.key)
    items = measure(pl.concat(rows).unique(key, keep="first", maintain_order=True))
    months = _first_sights(items)
    if not months:
        print(f"Daily YouTube lists, but no month with {FEWEST} videos seen five days later.")
        return {}, {}
    ways = {**RIVALS, OURS: pl.col("final_score")}
    values: dict[str, list[list[float]]] = {name: [] for name in ways}
    for videos in months:
        later, gained = ([math.log1p(max(v, 0)) for v in videos[n]] for n in ("later", "gained"))
        for name, way in ways.items():
            scores = videos.select(way.alias("score"))["score"].to_list()
            both = [measure_(scores, truth) for truth in (later, gained) for measure_ in _MEASURES]
            values[name].append(both)
    means = {
        name: [round(statistics.fmean(column), 4) for column in zip(*per_month, strict=True)]
        for name, per_month in values.items()
    }
    videos_seen = sum(month.height for month in months)
    print_table(
        f"YouTube, {videos_seen} videos at first sight in {len(months)} months: means of months",
        ["", "NDCG@10 views", "Spearman", "NDCG@10 gain", "Spearman", "best of months"],
        [[name, *means[name], _best_months(values, name)] for name in ways],
    )
    parts = {
        f"{videos['month'][0]:%Y-%m}": [videos.with_columns(count="views", final="later")]
        for videos in months
    }
    figures, held = judge_left_out(parts, "youtube", "month", 1)
    return {
        **figures,
        "youtube_ndcg10": means[OURS][0],
        "youtube_spearman": means[OURS][1],
        "youtube_gain_ndcg10": means[OURS][2],
        "youtube_gain_spearman": means[OURS][3],
        "youtube_months": len(months),
        "youtube_others": {name: means[name] for name in RIVALS},
    }, held


_MEASURES = (ndcg, spearman)


def _read(file: Path) -> pl.DataFrame | None:
    try:
        fetch = read_trend_file(
            file, workspace_id="benchmark", source="youtube", now=_NOW, run_id="benchmark"
        )
    except ImportRefusedError as error:
        print(f"left out: {error}")
        return None
    return fetch.rows


def _first_sights(items: pl.DataFrame) -> list[pl.DataFrame]:
    """Each month's new videos with final scores, ``later`` views and ``gained`` views."""
    known = items.filter(pl.col("views").is_not_null())
    first = known.sort("day").unique("item_id", keep="first", maintain_order=True)
    afterwards = known.select("item_id", pl.col("day") - LATER, later="views")
    first = first.join(afterwards, on=("item_id", "day"), maintain_order="left").with_columns(
        gained=pl.col("later") - pl.col("views"), month=pl.col("day").dt.truncate("1mo")
    )
    months = []
    for (month,), videos in sorted(first.group_by("month"), key=lambda group: group[0]):
        baselines = measure_baselines(items.filter(pl.col("day") < pl.lit(month)))
        if videos.height >= FEWEST:
            months.append(rank(videos.sort("item_id"), baselines))
    return months


def _best_months(values: dict[str, list[list[float]]], name: str) -> int:
    """The number of months in which a method has the best Spearman with the views."""
    months = zip(*(values[other] for other in values), strict=True)
    place = list(values).index(name)
    return sum(max(both[1] for both in month) == month[place][1] for month in months)
