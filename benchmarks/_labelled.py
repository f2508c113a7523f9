"""Labelled texts: pairs with a label, and headlines with their story.

Belongs here: reading them, and the quality measures. Does not belong here: the compared methods.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SAME_STORY_FROM = 4.0
"""STS: a pair with this score (of 5) or more is the same story."""


@dataclass(frozen=True)
class Pair:
    """Two texts, and whether people labelled them as the same."""

    left: str
    right: str
    is_same: bool


@dataclass(frozen=True)
class Headline:
    """A headline, its publisher, its time (milliseconds), and its story."""

    item_id: str
    title: str
    url: str
    at: int
    story: str


def read_pairs(folder: Path) -> dict[str, list[Pair]]:
    """The labelled pairs, by kind: ``MRPC``, ``STS headlines``, ``STS, other``."""
    found: dict[str, list[Pair]] = {}
    for path in sorted(folder.glob("*")):
        lines = [line.rstrip("\r") for line in _read_text(path).split("\n")]
        rows = [line.split("\t") for line in lines if line.strip()]
        if rows and len(rows[0]) == 5 and rows[0][0].lower() == "quality":
            pairs = [Pair(row[3], row[4], row[0] == "1") for row in rows[1:] if len(row) == 5]
            found.setdefault("MRPC", []).extend(pairs)
        elif rows and all(len(row) == 3 and _is_score(row[0]) for row in rows):
            kind = "STS headlines" if "headline" in path.name else "STS, other"
            scored = [(float(row[0]), row[1], row[2]) for row in rows if row[0]]
            pairs = [Pair(a, b, score >= SAME_STORY_FROM) for score, a, b in scored]
            found.setdefault(kind, []).extend(pairs)
    return found


def read_headlines(folder: Path) -> list[Headline]:
    """The headlines of every file with titles, stories and times."""
    found: list[Headline] = []
    for path in sorted(folder.glob("*.csv*")):
        rows = csv.DictReader(io.StringIO(_read_text(path), newline=""), escapechar="\\")
        if not {"TITLE", "STORY", "TIMESTAMP"} <= set(rows.fieldnames or ()):
            continue
        for row in rows:
            item_id = f"{path.name}:{row.get('ID') or rows.line_num}"
            url = row.get("URL") or item_id
            found.append(Headline(item_id, row["TITLE"], url, int(row["TIMESTAMP"]), row["STORY"]))
    return found


def is_held_out(text: str, salt: str = "") -> bool:
    """Whether a text is in the half that is reported and not used for tuning, by its hash."""
    return hashlib.sha256((salt + text).encode()).digest()[0] % 2 == 1


def precision_recall(hits: int, claimed: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    precision = hits / claimed if claimed else 1.0
    recall = hits / wanted if wanted else 1.0
    return precision, recall, _f1(precision, recall)


def b_cubed(found: Sequence[object], told: Sequence[str]) -> tuple[float, float, float]:
    """B-cubed precision, recall and F1: the mean over items of their cluster's purity and share."""
    by_found, by_told = Counter(found), Counter(told)
    both = Counter(zip(found, told, strict=True))
    precision = sum(n * n / by_found[cluster] for (cluster, _), n in both.items()) / len(told)
    recall = sum(n * n / by_told[story] for (_, story), n in both.items()) / len(told)
    return precision, recall, _f1(precision, recall)


def _f1(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return data.decode("utf-8-sig", "replace")


def _is_score(text: str) -> bool:
    try:
        return not text or 0 <= float(text) <= 5
    except ValueError:
        return False
