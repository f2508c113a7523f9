"""Rows of the tables a report is made of, with everything that does not matter filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from ytap_assets.domain.reporting import pages
from ytap_assets.domain.reporting.numbers import ReportInputs, as_calendar
from ytap_assets.domain.reporting.pages import Edition, ReportDay

MONDAY = date(2026, 11, 16)
TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)
THURSDAY = MONDAY + timedelta(days=3)
WEEK = [MONDAY + timedelta(days=n) for n in range(7)]

EDITION = Edition(
    workspace_id="tech",
    name="Tech Pulse",
    vertical="technology",
    timezone="America/New_York",
    snapshot_id=412,
    run_id="3f0b1c9e",
    generated_at=datetime(2026, 11, 20, 2, 0, tzinfo=UTC),
)


def summarize_days(days: Iterable[date], inputs: ReportInputs) -> pl.DataFrame:
    """The numbers of the days of the one workspace of these rows."""
    calendar = as_calendar((EDITION.workspace_id, day) for day in days)
    return pages.summarize_days(calendar, inputs)


def report_days(
    edition: Edition, days: Iterable[date], inputs: ReportInputs
) -> Iterator[ReportDay]:
    """What the pages of the days of the one workspace of these rows show."""
    return pages.report_days({edition.workspace_id: edition}, summarize_days(days, inputs), inputs)


def at(day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def raw(day: date, source: str = "hn", hour: int = 12, item_id: str = "1") -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": day,
        "source": source,
        "item_id": item_id,
        "observed_at": at(day, hour),
    }


def story(day: date, position: int, **given: Any) -> dict[str, Any]:
    reasons = given.get("spam_reasons", [])
    return {
        "workspace_id": "tech",
        "day": day,
        "story_id": f"story-{position}",
        "source": "hn",
        "item_id": str(position),
        "title": f"Story {position}",
        "canonical_url": f"https://example.org/{position}",
        "url": f"https://example.org/{position}",
        "discussion_url": f"https://news.ycombinator.com/item?id={position}",
        "observed_at": at(day),
        "engagement": 1000.0,
        "engagement_basis": "points+comments",
        "hours_old": 2.0,
        "engagement_score": 1.0,
        "recency_score": 9.0,
        "source_weight": 1.2,
        "is_spam": bool(reasons),
        "spam_reasons": reasons,
        "base_score": 12.0,
        "momentum": 4.0,
        "momentum_source": "hn",
        "momentum_basis": "points",
        "relevance": 1.25,
        "relevance_reasons": ["rust"],
        "is_other_language": False,
        "cross_source_boost": 1.0,
        "learned_weight": 1.0,
        "production_factor": 1.0,
        "spam_factor": 0.1 if reasons else 1.0,
        "final_score": 5.0,
        "reasons": ["23 points an hour, top 10 % of Hacker News", "matches: rust: x1.25"],
        "position": position,
        "members": 1,
        "sources": ["hn"],
        **given,
    }


def result(day: date, source: str = "hn", **given: Any) -> dict[str, Any]:
    counts = ("observations", "items", "spam_items", "stories", "top_ten", "chosen", "published")
    return {
        "workspace_id": "tech",
        "day": day,
        "source": source,
        **dict.fromkeys(counts, 1),
        **given,
    }


def coverage(
    day: date, source: str = "hn", state: str = "answered", **given: Any
) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": day,
        "source": source,
        "target": "t",
        "history": "snapshot_only",
        "state": state,
        "fetches": 1,
        "rows": 3,
        **given,
    }


def fetch(
    day: date, target: str, outcome: str = "ok", hour: int = 2, **given: Any
) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": day,
        "collection_id": f"{target} {hour}",
        "source": "reddit",
        "target": target,
        "history": "snapshot_only",
        "outcome": outcome,
        "attempts": 1,
        "started_at": at(day, hour),
        "finished_at": at(day, hour, 1),
        "fetched": 0,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": "run",
        **given,
    }


def unread(place: str, day: date = MONDAY, **given: Any) -> dict[str, Any]:
    row = {
        "workspace_id": "tech",
        "day": day,
        "source": "inbox",
        "origin": "scripts.jsonl",
        "reason": "not JSON",
    }
    return {**row, "place": place, **given}


def event(
    seq: int, day: date, script: str, kind: str, to_state: str | None = None, **given: Any
) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "event_id": f"event-{seq}",
        "seq": seq,
        "script_id": script,
        "type": kind,
        "from_state": None,
        "to_state": to_state,
        "actor": given.pop("actor", "person:ada"),
        "occurred_at": at(day, given.pop("hour", 9)),
        "recorded_at": at(day, 10),
        "reason": None,
        "payload": json.dumps(given),
    }


def video(video_id: str, published: date | None, **given: Any) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "video_id": video_id,
        "script_id": f"script of {video_id}",
        "title": f"Title of {video_id}",
        "published_at": None if published is None else at(published, 18),
        **given,
    }


def metric(
    day: date, video_id: str, views: int | None, rate: float | None = None, **given: Any
) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": day,
        "platform": "youtube",
        "video_id": video_id,
        "observed_at": at(day, 22),
        "views": views,
        "engagement_rate_pct": rate,
        "is_settled": False,
        "collection_id": "c",
        **given,
    }
