"""Gates: the conditions for generating a script's video, and for publishing it.

Belongs here: each gate's rule, and why it is closed, in words a person can act on. Does not belong
here: what follows from it (`promotions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.phrases import find_phrases
from ytap_assets.domain.production.events import SCRIPT_PENDING_REVIEW, TAKEN
from ytap_assets.domain.production.records import Record
from ytap_assets.domain.production.rules import format_usd
from ytap_assets.domain.text import comparable_titles, normalize_texts
from ytap_assets.domain.urls import canonical_urls

MIN_QUALITY = 85
APPROVAL = "approval"
"""The gate that waits for a person or the policy: closed, it is no failure."""
TOPIC_COLUMNS = ("workspace_id", "script_id", "state", "title", "topic_url", "created_at")
"""The columns of `production_records` that say what a script is about, and whether it counts."""


@dataclass(frozen=True)
class Gate:
    """The result of one gate.

    Attributes:
        name: ``schema``, ``banned_topic``, ``topic``, ``budget``, ``approval``, ``quality``,
            ``manifest``, ``copy`` or ``upload``.
        why: Why it is closed; None if it is open.
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
    approval: str | None,
    banned: str | None,
    budget_usd_micros: int,
    rival: str | None,
    copy: str | None = None,
) -> tuple[Gate, ...]:
    """The gates before generation.

    Args:
        record: The script's record.
        text: Its spoken text.
        approval: Which approval is missing, from `Rules.find_missing`.
        banned: Which banned topic it mentions, from `find_banned_topics`.
        budget_usd_micros: What a video may cost.
        rival: The other script with its topic, from `find_topic_rivals`.
        copy: Which script of another workspace is the same, from `evidence.describe_copy`.
    """
    return (
        Gate(APPROVAL, approval),
        Gate("schema", _find_missing(record, text)),
        Gate("banned_topic", banned),
        Gate("topic", rival),
        Gate("copy", copy),
        Gate("budget", _check_budget(record.estimated_cost_usd_micros, budget_usd_micros)),
    )


def evaluate_publication_gates(
    record: Record,
    *,
    approval: str | None,
    budget_usd_micros: int,
    manifest_problems: Sequence[str],
    copy: str | None = None,
) -> tuple[Gate, ...]:
    """The gates before publishing.

    Args:
        record: The script's record.
        approval: Which approval is missing, from `Rules.find_missing`.
        budget_usd_micros: What a video may cost.
        manifest_problems: The current problems of its files.
        copy: The script of another workspace with the same content, from `evidence.describe_copy`.
    """
    return (
        Gate(APPROVAL, approval),
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


def _check_budget(cost_usd_micros: int | None, budget_usd_micros: int) -> str | None:
    if cost_usd_micros is None:
        return "the cost is unknown"
    if cost_usd_micros > budget_usd_micros:
        cost, budget = format_usd(cost_usd_micros), format_usd(budget_usd_micros)
        return f"{cost} is over the budget of {budget}"
    return None


def _check_quality(score: float | None) -> str | None:
    if score is None:
        return "unknown; waiting for a quality check"
    return None if score >= MIN_QUALITY else f"{score:.10g} is below {MIN_QUALITY}"


def find_banned_topics(
    records: Sequence[Record], texts: Mapping[str, str], banned_topics: Sequence[str]
) -> dict[str, str]:
    """Scripts that mention a banned topic of their workspace.

    Args:
        records: One workspace's scripts in review.
        texts: The text of each script.
        banned_topics: Words and phrases, found as `phrases` finds them.

    Returns:
        Per script that mentions one: which, and where, in words.
    """
    if not banned_topics or not records:
        return {}
    places = [
        (one.script_id, place, said)
        for one in records
        for place, said in (
            ("title", one.title),
            ("hook", one.hook),
            ("body", texts.get(one.script_id)),
        )
    ]
    normalized = normalize_texts(pl.Series([said for _, _, said in places], dtype=pl.String))
    found = find_phrases(normalized, banned_topics).sort("place", "row")
    banned: dict[str, str] = {}
    for row, topic in found.select("row", "phrase").iter_rows():
        script_id, place, _ = places[row]
        banned.setdefault(script_id, f"the {place} mentions {topic!r}")
    return banned


def read_topics(records: pl.DataFrame) -> pl.DataFrame:
    """The topics of scripts, as they are compared.

    Args:
        records: Rows of `production_records`. Columns `TOPIC_COLUMNS`.

    Returns:
        `TOPIC_COLUMNS`: the titles as `comparable_titles`, the URLs as `canonical_urls`.
    """
    return records.select(TOPIC_COLUMNS).with_columns(
        comparable_titles(records["title"]).alias("title"),
        canonical_urls(records["topic_url"]).alias("topic_url"),
    )


def find_topic_rivals(topics: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Scripts in review whose topic another script of their workspace has already.

    Two scripts have one topic when their titles are the same (`comparable_titles`), or their topic
    URLs are one page. What was rejected or cancelled has no topic; of two scripts in review, the
    one submitted first has it.

    Args:
        topics: The scripts' topics, as `read_topics` makes them.

    Returns:
        By workspace, per script in review that has a rival: who it is, in words.
    """
    in_review = pl.col("state") == SCRIPT_PENDING_REVIEW
    reviewing = topics.filter(in_review).get_column("workspace_id").unique()
    active = topics.filter(
        pl.col("workspace_id").is_in(reviewing.implode()),
        pl.col("state").is_in(TAKEN),
    )
    if active.is_empty():
        return {}
    ordered = active.select(
        "workspace_id",
        "script_id",
        pl.when(in_review).then("created_at").alias("pending_since"),
        "title",
        "topic_url",
    ).sort(pl.col("pending_since"), "script_id", nulls_last=False)
    rivals: dict[str, dict[str, str]] = {}
    for key, what in (("title", "title"), ("topic_url", "page")):
        for workspace_id, script_id, rival in _later_of_same(ordered, key).iter_rows():
            # Not its state: that changes, and each change would be written down.
            own = rivals.setdefault(workspace_id, {})
            own.setdefault(script_id, f"script {rival} has the same {what}")
    return rivals


def _later_of_same(topics: pl.DataFrame, key: str) -> pl.DataFrame:
    """The scripts in review that are not the first of their topic, each with the first one."""
    same = topics.filter(pl.col(key).is_not_null())
    names = ["workspace_id", key]
    firsts = same.unique(names, keep="first", maintain_order=True)
    return (
        same.filter(pl.col("pending_since").is_not_null())
        .join(firsts, on=names, suffix="_first", maintain_order="left")
        .filter(pl.col("script_id") != pl.col("script_id_first"))
        .select("workspace_id", "script_id", "script_id_first")
    )
