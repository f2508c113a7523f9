"""Data of the spam benchmark: labelled comments, titles of trends, and labels of some titles."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import read_trend_file

LABELS = Path(__file__).parent / "labels" / "titles.csv"
TITLE_FOLDERS = (
    ("youtube_trending_daily", "youtube"),
    ("youtube_trending_kaggle", "youtube"),
    ("youtube_keyword_snapshots", "youtube"),
    ("hacker_news", "hn"),
    ("reddit", "reddit"),
)
# The day of files that do not give theirs; no rule about texts uses it.
_SOME_DAY = date(2026, 1, 1)
_NOW = datetime(2026, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Comments:
    """The labelled comments of one video."""

    name: str
    rows: pl.DataFrame
    """As `find_spam` takes them, with ``is_labelled_spam``."""


def read_comments(data: Path) -> list[Comments]:
    """Every CSV file of comments with the columns CONTENT and CLASS."""
    found = []
    for path in sorted((data / "spam").glob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            records = list(csv.DictReader(file))
        if records and {"CONTENT", "CLASS"} <= set(records[0]):
            found.append(Comments(path.stem, _as_trends(records)))
    return found


def _as_trends(records: list[dict[str, str]]) -> pl.DataFrame:
    labelled = [one for one in records if one["CLASS"] in {"0", "1"}]
    return pl.DataFrame(
        {
            "item_id": [str(number) for number in range(len(labelled))],
            "title": [one["CONTENT"] for one in labelled],
            "channel_id": [one.get("AUTHOR") for one in labelled],
            "is_labelled_spam": [one["CLASS"] == "1" for one in labelled],
        },
        schema_overrides={"channel_id": pl.String},
    ).with_columns(
        workspace_id=pl.lit("w"),
        day=pl.lit(_SOME_DAY),
        source=pl.lit("youtube"),
        url=pl.lit(None, pl.String),
        channel_title=pl.lit(None, pl.String),
        points=pl.lit(None, pl.Int64),
        views=pl.lit(None, pl.Int64),
        is_promoted=pl.lit(None, pl.Boolean),
    )


def read_titles(data: Path) -> pl.DataFrame | None:
    """Rows of `raw_trends`, each item once, from every file that can be imported."""
    frames = list(_import_all(data))
    if not frames:
        return None
    rows = pl.concat(frames).filter(pl.col("item_id") != "#NOME?")
    return rows.unique(["source", "item_id"], keep="first", maintain_order=True)


def _import_all(data: Path) -> Iterator[pl.DataFrame]:
    for folder, source in TITLE_FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            if path.is_file() and (rows := _import(path, source)) is not None:
                yield rows


def _import(path: Path, source: str) -> pl.DataFrame | None:
    """The file's rows; None if its format is unknown (category lists, error bodies)."""
    for day in (None, _SOME_DAY):
        try:
            fetch = read_trend_file(
                path, workspace_id="w", source=source, observed_on=day, now=_NOW, run_id="benchmark"
            )
        except ImportRefusedError:
            continue
        return fetch.rows
    return None


def read_labels() -> pl.DataFrame:
    """The labels of titles: source, item_id, label (spam or honest), why."""
    return pl.read_csv(LABELS, schema_overrides=dict.fromkeys(("item_id", "why"), pl.String))
