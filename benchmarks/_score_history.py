"""A history of Reddit scores, read from files, as rows of `raw_trends`.

A file contains ``posts``, by id or as a list: each with ``created_utc`` and ``updates``, by Unix
time ``{score, num_comments, ...}``. There can be any number of folders ``reddit/score_history_*``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.tables import RAW_TRENDS

WORKSPACE = "benchmark"


def find_histories(data: Path) -> dict[str, list[Path]]:
    """The files of each history, by its folder's name."""
    folders = sorted((data / "reddit").glob("score_history_*"))
    return {
        folder.name: files
        for folder in folders
        if (files := sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")]))
    }


def read_history(files: list[Path]) -> pl.DataFrame:
    """Every observation as a row of `raw_trends`, unique by its key, in the order of time."""
    rows = [row for file in files for row in _read_file(file)]
    key = list(RAW_TRENDS.key)
    return RAW_TRENDS.frame(rows).unique(key, keep="first", maintain_order=True).sort("observed_at")


def _read_file(file: Path) -> Iterator[dict[str, Any]]:
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    posts = json.loads(text)["posts"]
    for post in posts.values() if isinstance(posts, dict) else posts:
        for seconds, seen in post["updates"].items():
            at = datetime.fromtimestamp(float(seconds), UTC)
            yield {
                "workspace_id": WORKSPACE,
                "day": at.date(),
                "source": "reddit",
                "item_id": post["name"].removeprefix("t3_"),
                "observed_at": at,
                "title": post["permalink"].rstrip("/").rpartition("/")[2],
                "url": f"https://www.reddit.com{post['permalink']}",
                "published_at": datetime.fromtimestamp(post["created_utc"], UTC),
                "points": seen["score"],
                "comments": seen["num_comments"],
                "category": file.parent.name,
                "is_promoted": seen["stickied"],
                "collection_id": file.name,
            }
