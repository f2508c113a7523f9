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
from ytap_assets.domain.scoring.ranking import BASELINE_DAYS
from ytap_assets.domain.stories import find_same_topics, read_titles
from ytap_assets.domain.text import normalize_texts
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.tables.trends import TREND_STORIES

MIN_QUALITY = 85
APPROVAL = "approval"
"""The gate that waits for a person or the policy: closed, it is no failure."""
TOPIC_COLUMNS = ("workspace_id", "script_id", "state", "title", "topic_url", "created_at")
"""The columns of `production_records` that say what a script is about, and whether it counts."""

PAGE_COLUMNS = ("workspace_id", "canonical_url", "story_id", "day")
"""The columns of `trend_stories` that say which pages belong to a story."""
NO_PAGES = TREND_STORIES.empty().select(PAGE_COLUMNS)
_SAME = {
    "page": "same page",
    "title": "same title",
    "similar": "similar title",
    "story": "pages of one story",
}


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
        rival: The other script with the same story, from `find_topic_rivals`.
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
        ``workspace_id``, ``script_id``, ``state``, ``created_at``, ``canonical_url``, ``title`` and
        ``words`` (`stories.read_titles`).
    """
    titles = read_titles(records["title"])
    return records.select("workspace_id", "script_id", "state", "created_at").with_columns(
        canonical_urls(records["topic_url"]).alias("canonical_url"), *titles.get_columns()
    )


def find_topic_rivals(
    topics: pl.DataFrame, pages: pl.DataFrame = NO_PAGES
) -> dict[str, dict[str, str]]:
    """Scripts in review with the same story as another script of their workspace.

    `stories.find_same_topics` says which topics are the same story. Pages of one story of
    `trend_stories` count if the story contained both in the `BASELINE_DAYS` before the script in
    review was submitted, or later. Rejected and cancelled scripts have no topic. Of two scripts in
    review, the one that was submitted first has it.

    Args:
        topics: The scripts' topics, as `read_topics` returns them.
        pages: Members of stories that contain pages of scripts in review: columns `PAGE_COLUMNS`,
            rows of `trend_stories`.

    Returns:
        By workspace, per script in review with a rival: the rival that was submitted first and what
        is the same, as text. Neither depends on the rival's state or on later scripts.
    """
    in_review = pl.col("state") == SCRIPT_PENDING_REVIEW
    reviewing = topics.filter(in_review).get_column("workspace_id").unique()
    if reviewing.is_empty():
        return {}
    active = topics.filter(
        pl.col("workspace_id").is_in(reviewing.implode()), pl.col("state").is_in(TAKEN)
    ).filter(pl.len().over("workspace_id") > 1)
    if active.is_empty():
        return {}
    rows = _add_stories(active, pages)
    asked = rows.filter(in_review).with_columns(at="created_at")
    pairs = find_same_topics(asked, rows)
    mine = asked.select(pl.all().gather(pairs["asked"]))
    rival = rows.select(pl.all().gather(pairs["known"])).select(pl.all().name.prefix("rival_"))
    found = pl.concat([pairs.select("same"), mine, rival], how="horizontal")
    submitted, rival_submitted = pl.col("created_at"), pl.col("rival_created_at")
    is_earlier = (rival_submitted < submitted) | (
        (rival_submitted == submitted) & (pl.col("rival_script_id") < pl.col("script_id"))
    )
    first_day = submitted.dt.date().dt.offset_by(f"-{BASELINE_DAYS}d")
    is_near = pl.min_horizontal("last_day", "rival_last_day") >= first_day
    first = (
        found.filter(
            pl.col("script_id") != pl.col("rival_script_id"),
            (pl.col("rival_state") != SCRIPT_PENDING_REVIEW) | is_earlier,
            (pl.col("same") != "story") | is_near,
        )
        .sort("rival_created_at", "rival_script_id", "same")
        .unique(["workspace_id", "script_id"], keep="first", maintain_order=True)
    )
    rivals: dict[str, dict[str, str]] = {}
    columns = ("workspace_id", "script_id", "rival_script_id", "same")
    for workspace_id, script_id, rival, same in first.select(columns).iter_rows():
        # Not its state: that changes, and each change would be stored.
        own = rivals.setdefault(workspace_id, {})
        own[script_id] = f"script {rival} has the same story: {_SAME[same]}"
    return rivals


def _add_stories(topics: pl.DataFrame, pages: pl.DataFrame) -> pl.DataFrame:
    """The topics, and a row for each story of a topic's page, with its ``last_day``."""
    page = ["workspace_id", "canonical_url"]
    stories = pages.group_by(*page, "story_id").agg(last_day=pl.col("day").max())
    who = ["workspace_id", "script_id", "state", "created_at"]
    of_pages = topics.select(*who, "canonical_url").join(stories, on=page).drop("canonical_url")
    always = pl.lit(None, topics.schema["created_at"])
    return pl.concat([topics, of_pages], how="diagonal").with_columns(
        since="created_at", until=always
    )
