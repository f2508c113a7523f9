"""The small records a page is made of.

Belongs here: their fields. Texts and URLs in them came from outside: hostile input. Does not belong
here: how they are picked (`pages`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Edition:
    """Whose report it is, and what it was made from.

    Attributes:
        workspace_id: The workspace.
        name: Its name. Hostile input, like all texts of its config.
        vertical: What it is about.
        timezone: Its timezone, for display.
        snapshot_id: The lake's snapshot that was read.
        run_id: The run that made it.
        generated_at: When it was made.
    """

    workspace_id: str
    name: str
    vertical: str
    timezone: str
    snapshot_id: int
    run_id: str
    generated_at: datetime


@dataclass(frozen=True)
class Numbers:
    """The day's row of `workspace_reports`."""

    trends_observed: int
    stories: int
    stories_spam: int
    top_title: str | None
    top_score: float | None
    scripts_waiting: int
    scripts_in_production: int
    videos_published: int
    views: int | None
    views_gained: int | None
    engagement_rate_pct: float | None
    fetches: int
    fetches_failed: int
    rows_quarantined: int


@dataclass(frozen=True)
class Story:
    """A story, with what made its score. Texts and URLs are hostile input."""

    position: int
    title: str
    url: str | None
    discussion_url: str | None
    source: str
    sources: tuple[str, ...]
    members: int
    hours_old: float | None
    engagement: float | None
    engagement_basis: str
    engagement_score: float
    recency_score: float
    source_weight: float
    base_score: float
    momentum: float
    relevance: float
    cross_source_boost: float
    learned_weight: float
    final_score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SourceStories:
    """What a source brought: rows observed, stories, and those caught as spam."""

    source: str
    observed: int
    stories: int
    spam: int


@dataclass(frozen=True)
class SourceResult:
    """What came of what a source brought, over the days before the report and its own."""

    source: str
    items: int
    spam_items: int
    stories: int
    top_ten: int
    chosen: int
    published: int
    views_gained: int | None
    cost_usd_micros: int | None
    views_per_usd: float | None
    roi_pct: float | None


@dataclass(frozen=True)
class CoveredDay:
    """What is known of a source's day; see `collection_coverage`."""

    day: date
    source: str
    state: str


@dataclass(frozen=True)
class SpamRule:
    """A spam rule and how many stories it caught."""

    rule: str
    stories: int


@dataclass(frozen=True)
class Script:
    """A script in production, as it was at the end of the day."""

    script_id: str
    state: str
    title: str | None
    hook: str | None
    state_since: datetime
    failed_gates: tuple[str, ...]
    job_status: str | None
    job_attempts: int
    quality_score: float | None
    cost_usd_micros: int | None
    estimated_cost_usd_micros: int | None
    script_approved_by: str | None
    video_approved_by: str | None


@dataclass(frozen=True)
class Video:
    """A video, and what is known of it at the end of the day.

    Attributes:
        seen_on: The last day it was observed on; None if it never was.
        gained: Views since the day before, from 0 on its first; None unless observed on both days.
    """

    video_id: str
    platform: str | None
    title: str | None
    published_at: datetime | None
    views: int | None
    gained: int | None
    likes: int | None
    comments: int | None
    engagement_rate_pct: float | None
    seen_on: date | None


@dataclass(frozen=True)
class SourceHealth:
    """How a source's fetches went."""

    source: str
    fetches: int
    failed: int
    answered: int
    accepted: int
    quarantined: int
    duplicates: int
    last_answer_at: datetime | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ReportDay:
    """Everything the page of one day shows.

    Attributes:
        results: What came of each source over `RESULT_DAYS`.
        coverage: What is known of each source over `COVERAGE_DAYS`.
        states: How many scripts are in each state, in the states' order.
        waiting: The scripts that wait for a person: those a gate holds back, then the longest;
            the first few only.
        held_back: The other scripts in production that failed a gate or their generation; the
            first few only.
        videos: The most viewed first; the first few of ``videos_total``.
    """

    edition: Edition
    day: date
    numbers: Numbers
    missing: tuple[str, ...]
    stories: tuple[Story, ...]
    by_source: tuple[SourceStories, ...]
    spam_rules: tuple[SpamRule, ...]
    results: tuple[SourceResult, ...]
    coverage: tuple[CoveredDay, ...]
    states: tuple[tuple[str, int], ...]
    waiting: tuple[Script, ...]
    held_back: tuple[Script, ...]
    videos: tuple[Video, ...]
    videos_total: int
    collection: tuple[SourceHealth, ...]
