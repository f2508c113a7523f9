"""Gates: what must hold before a script goes into generation, and a video on a channel.

Belongs here: each gate's rule, and why it is closed, in words a person can act on. Does not belong
here: what follows from it (`decide`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.production.records import Record
from ytap_assets.domain.production.states import (
    PUBLISHED,
    READY_FOR_GENERATION,
    READY_FOR_PUBLISH,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
)
from ytap_assets.domain.stories.terms import INVISIBLE
from ytap_assets.domain.urls import canonical_urls

MIN_QUALITY = 85
_FORMAT_CHARACTERS = "Cf"
_TOLD = (READY_FOR_GENERATION, VIDEO_PENDING_REVIEW, READY_FOR_PUBLISH, PUBLISHED)


@dataclass(frozen=True)
class Gate:
    """One gate's verdict.

    Attributes:
        name: ``schema``, ``banned_topic``, ``topic``, ``budget``, ``approval``, ``quality``,
            ``manifest``, ``copy`` or ``upload``.
        why: Why it is closed; None where it is open.
    """

    name: str
    why: str | None

    @property
    def passed(self) -> bool:
        """Whether it is open."""
        return self.why is None

    def __str__(self) -> str:
        return f"{self.name}: {self.why or 'passed'}"


def evaluate_generation_gates(
    record: Record,
    text: str,
    *,
    banned_topics: Sequence[str],
    budget_usd_micros: int,
    rival: str | None,
    copy: str | None = None,
) -> tuple[Gate, ...]:
    """The gates before generation.

    Args:
        record: The script's record.
        text: What is said in it.
        banned_topics: Words and phrases the workspace never talks about.
        budget_usd_micros: What a video may cost.
        rival: What already tells the topic, from `find_topic_rivals`.
        copy: Which script of another workspace is the same, from `copies.describe_copy`.
    """
    return (
        Gate("schema", _find_missing(record, text)),
        Gate("banned_topic", _find_banned(record, text, banned_topics)),
        Gate("topic", rival),
        Gate("copy", copy),
        Gate("budget", _check_budget(record.estimated_cost_usd_micros, budget_usd_micros)),
    )


def evaluate_publication_gates(
    record: Record,
    *,
    approved_by: str | None,
    budget_usd_micros: int,
    manifest_problems: Sequence[str],
    copy: str | None = None,
) -> tuple[Gate, ...]:
    """The gates before publishing.

    Args:
        record: The script's record.
        approved_by: Who approved its video, or would.
        budget_usd_micros: What a video may cost.
        manifest_problems: What is wrong with its files by now.
        copy: Which script of another workspace is the same, from `copies.describe_copy`.
    """
    return (
        Gate("approval", None if approved_by else "nobody approved the video yet"),
        Gate("quality", _check_quality(record.quality_score)),
        Gate("budget", _check_budget(record.cost_usd_micros, budget_usd_micros)),
        Gate("manifest", "; ".join(manifest_problems) or None),
        Gate("copy", copy),
    )


def _find_missing(record: Record, text: str) -> str | None:
    said = {
        "title": record.title,
        "hook": record.hook,
        "body or segments": text,
        "generation_method": record.generation_method,
    }
    missing = [name for name, value in said.items() if not (value and value.strip())]
    return f"missing {', '.join(missing)}" if missing else None


def _find_banned(record: Record, text: str, banned_topics: Sequence[str]) -> str | None:
    places = {"title": record.title, "hook": record.hook, "body": text}
    plain = {place: normalize_text(said) for place, said in places.items() if said}
    for topic in banned_topics:
        words = [re.escape(word) for word in normalize_text(topic).split()]
        if not words:
            continue
        whole = re.compile(rf"(?<!\w){' '.join(words)}(?!\w)")
        for place, said in plain.items():
            if whole.search(said):
                return f"the {place} speaks of {topic!r}"
    return None


def normalize_text(text: str) -> str:
    """A text for comparing words: one form per character, lower case, single spaces.

    Characters that cannot be seen are dropped, so that none hides within a word.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    visible = (char for char in folded if unicodedata.category(char) != _FORMAT_CHARACTERS)
    return " ".join("".join(visible).split())


def _check_budget(cost_usd_micros: int | None, budget_usd_micros: int) -> str | None:
    if cost_usd_micros is None:
        return "the cost is unknown"
    if cost_usd_micros > budget_usd_micros:
        return f"{_dollars(cost_usd_micros)} is over the budget of {_dollars(budget_usd_micros)}"
    return None


def _dollars(micros: int) -> str:
    cents = f"${micros / 1_000_000:,.2f}"
    exact = f"${micros / 1_000_000:,.6f}"
    return cents if exact == f"{cents}0000" else exact


def _check_quality(score: float | None) -> str | None:
    if score is None:
        return "unknown; a quality check is awaited"
    return None if score >= MIN_QUALITY else f"{score:.10g} is below {MIN_QUALITY}"


def find_topic_rivals(records: pl.DataFrame) -> dict[str, str]:
    """Scripts in review whose topic another script tells already.

    Two scripts tell one topic when their titles are the same words, or their topic URLs are one
    page. What was rejected or cancelled tells nothing; of two scripts in review, the one submitted
    first does.

    Args:
        records: One workspace's rows of `production_records`.

    Returns:
        Per script in review that has a rival: who it is, in words.
    """
    active = records.filter(pl.col("state").is_in([SCRIPT_PENDING_REVIEW, *_TOLD]))
    if SCRIPT_PENDING_REVIEW not in active["state"]:
        return {}
    topics = active.select(
        "script_id",
        pl.when(pl.col("state") == SCRIPT_PENDING_REVIEW).then("created_at").alias("pending_since"),
        _title_words().alias("title"),
        canonical_urls(active["topic_url"]).alias("topic_url"),
    ).sort(pl.col("pending_since"), "script_id", nulls_last=False)
    rivals: dict[str, str] = {}
    for key, what in (("title", "title"), ("topic_url", "page")):
        for script_id, rival in _later_of_same(topics, key).iter_rows():
            # Not its state: that changes, and each change would be written down.
            rivals.setdefault(script_id, f"script {rival} has the same {what}")
    return rivals


def _title_words() -> pl.Expr:
    words = (
        pl.col("title")
        .str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(INVISIBLE, "")
        .str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ")
        .str.strip_chars()
    )
    return pl.when(words != "").then(words)


def _later_of_same(topics: pl.DataFrame, key: str) -> pl.DataFrame:
    """The scripts in review that are not the first of their topic, each with the first."""
    same = topics.filter(pl.col(key).is_not_null())
    firsts = same.unique(key, keep="first", maintain_order=True)
    return (
        same.filter(pl.col("pending_since").is_not_null())
        .join(firsts, on=key, suffix="_first", maintain_order="left")
        .filter(pl.col("script_id") != pl.col("script_id_first"))
        .select("script_id", "script_id_first")
    )
