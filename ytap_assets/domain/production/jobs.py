"""Generation jobs: what a generator reports, the events it becomes, and the pipeline's status.

Belongs here: the content of a report, its event, and the numbers of SPEC section 7. Does not belong
here: reading ``jobs.jsonl`` (`inbox_files`), or what the quantities cost.

A job moves no script by itself. A report counts from the moment at which its script is in
generation. A report that is read later, when the video is in review or published, counts as well:
what was consumed was consumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from ytap_assets.config_keys import find_nearest
from ytap_assets.domain.production.events import RULES, Event, evidence_id
from ytap_assets.domain.production.lines import (
    FieldError,
    Fields,
    read_instant,
    read_number,
    read_script_id,
    text_matching,
    text_up_to,
)

STATUSES = ("queued", "processing", "completed", "failed")
"""The statuses of a job, in order; a failed job may be queued again as another attempt."""
QUANTITIES: Mapping[str, str] = {
    "llm_tokens": "tokens of language models",
    "speech_characters": "characters that were spoken",
    "images": "images that were generated",
    "cpu_s": "seconds of a processor",
    "gpu_s": "seconds of a GPU",
    "storage_gb": "gigabytes that are stored",
    "bandwidth_gb": "gigabytes that were transferred",
    "stock_clips": "clips of stock footage",
}
"""What a job may consume."""
MAX_FAILURES = 5
"""From this number of failures within 24 hours, the pipeline is degraded."""
WINDOW = timedelta(hours=24)

_MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class JobReport:
    """What a generator reports about one attempt of a job.

    Attributes:
        script_id: The script whose video is generated.
        job_id: Names the job within its script.
        status: One of `STATUSES`.
        at: When it got this status, in UTC.
        attempt: The number of the attempt, from 1.
        method: How the video is generated, such as ``animation``.
        content_type: What it is, such as ``short``.
        quantities: What this attempt has consumed, by `QUANTITIES`: the totals so far.
        error: Why it failed, in words.
    """

    script_id: str
    job_id: str
    status: str
    at: datetime
    attempt: int = 1
    method: str | None = None
    content_type: str | None = None
    quantities: Mapping[str, float] = field(default_factory=dict, hash=False)
    error: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """It as an object that `read_job` reads."""
        named = {"script_id": self.script_id, "status": self.status, "at": self.at.isoformat()}
        return {**named, **self.payload}

    @cached_property
    def payload(self) -> dict[str, Any]:
        """What the event holds; absent parts are left out."""
        parts = {
            "job_id": self.job_id,
            "attempt": self.attempt,
            "method": self.method,
            "content_type": self.content_type,
            "quantities": dict(self.quantities) or None,
            "error": self.error,
        }
        return {key: value for key, value in parts.items() if value is not None}

    @cached_property
    def event_id(self) -> str:
        """The id of its event: an equal report is the same event."""
        content = [self.at.isoformat(), self.payload]
        return evidence_id(self.script_id, f"job_{self.status}", content)

    def event(self, workspace_id: str, state: str, actor: str, now: datetime) -> Event:
        """Its event, which did not happen in the future, whatever the generator's clock says.

        Args:
            workspace_id: The workspace.
            state: The script's state.
            actor: Who read or sent the report.
            now: The present.
        """
        return Event(
            event_id=self.event_id,
            workspace_id=workspace_id,
            script_id=self.script_id,
            type=f"job_{self.status}",
            from_state=state,
            to_state=None,
            actor=actor,
            occurred_at=min(self.at, now),
            reason=self.error,
            payload={**self.payload, "at": self.at.isoformat()},
        )


def read_job(fields: Fields) -> JobReport:
    """One line's object as a report.

    Raises:
        FieldError: It is not one; the message names the field.
    """
    script_id = fields.need("script_id", read_script_id)
    job_id = fields.need("job_id", text_matching(_is_job_id, "1-200 printable characters"))
    allowed = f"one of {', '.join(STATUSES)}"
    status = fields.need("status", text_matching(STATUSES.__contains__, allowed))
    at = fields.need("at", read_instant)
    attempt = fields.read("attempt", _read_attempt)
    method = fields.read("method", text_up_to(100))
    content_type = fields.read("content_type", text_up_to(100))
    quantities = fields.read("quantities", _read_quantities)
    error = fields.read("error", text_up_to(2_000))
    fields.check()
    return JobReport(
        script_id, job_id, status, at, attempt or 1, method, content_type, quantities or {}, error
    )


def _is_job_id(text: str) -> bool:
    return len(text) <= 200 and text.isprintable()


def _read_attempt(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_ATTEMPTS:
        raise FieldError(f"expected a whole number from 1 to {_MOST_ATTEMPTS}")
    return value


def _read_quantities(value: Any) -> dict[str, float]:
    """The quantities; a mistyped name would cost nothing, so it is an error."""
    if not isinstance(value, dict):
        raise FieldError("expected an object of names and numbers")
    quantities: dict[str, float] = {}
    for name, amount in value.items():
        if name not in QUANTITIES:
            nearest = find_nearest(name, QUANTITIES)
            advice = f"; did you mean {nearest}?" if nearest else ""
            raise FieldError(f"{name[:40]!r} is not one of {', '.join(QUANTITIES)}{advice}")
        number = read_number(amount)
        if number < 0:
            raise FieldError(f"{name}: expected a number of at least 0")
        quantities[name] = number
    return quantities


def find_new_jobs(earlier: Iterable[JobReport]) -> Callable[[JobReport], bool]:
    """Distinguishes new reports from repeated ones.

    Args:
        earlier: The reports in earlier lines.
    """
    seen = {one.event_id for one in earlier}

    def is_new(report: JobReport) -> bool:
        if report.event_id in seen:
            return False
        seen.add(report.event_id)
        return True

    return is_new


def decide_jobs(
    workspace_id: str,
    reports: Iterable[JobReport],
    states: Mapping[str, str],
    now: datetime,
) -> list[Event]:
    """The events of reports that count now: a report waits while its script is not in generation.

    Args:
        workspace_id: The workspace.
        reports: The reports that are not in the log, in order.
        states: The states of the scripts; those without a record are absent.
        now: The present.
    """
    return [
        report.event(workspace_id, state, "sensor:submit_scripts", now)
        for report in sorted(reports, key=lambda one: one.at)
        if (state := states.get(report.script_id)) is not None
        and state in RULES[f"job_{report.status}"].from_states
    ]


@dataclass(frozen=True)
class PipelineStatus:
    """The generation jobs of one workspace over 24 hours (SPEC section 7).

    Attributes:
        queued: The jobs whose last report within the window is this one; so the next three.
        processing: See `queued`.
        completed: See `queued`.
        failed: See `queued`.
        avg_completion_minutes: Mean minutes from the first report of a completed job to its
            completion; None without any.
        last_job_created: When the last of these jobs was queued; None without any.
    """

    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    avg_completion_minutes: float | None = None
    last_job_created: datetime | None = None

    @property
    def health(self) -> str:
        """``healthy`` below `MAX_FAILURES` failed jobs, else ``degraded``."""
        return "healthy" if self.failed < MAX_FAILURES else "degraded"


def summarize_jobs(events: pl.DataFrame, now: datetime) -> dict[str, PipelineStatus]:
    """The status of the pipeline by workspace; workspaces without a job in the window are absent.

    Args:
        events: Rows of `production_events`: all events of the jobs that had one within the window;
            others are ignored. Columns ``workspace_id``, ``script_id``, ``type``, ``seq``,
            ``occurred_at``, ``payload``.
        now: The present.
    """
    job = ["workspace_id", "script_id", "job_id"]
    rows = (
        events.filter(pl.col("type").str.starts_with("job_"), pl.col("occurred_at") <= now)
        .with_columns(pl.col("payload").str.json_path_match("$.job_id").alias("job_id"))
        .sort("occurred_at", "seq")
    )
    jobs = rows.group_by(job, maintain_order=True).agg(
        pl.col("type").last().str.strip_prefix("job_").alias("status"),
        pl.col("occurred_at").first().alias("first_at"),
        pl.col("occurred_at").last().alias("last_at"),
        pl.col("occurred_at").filter(type="job_queued").max().alias("queued_at"),
    )
    recent = jobs.filter(pl.col("last_at") > now - WINDOW)
    took = (pl.col("last_at") - pl.col("first_at")).dt.total_seconds(fractional=True) / 60
    is_completed = pl.col("status") == "completed"
    counts = recent.group_by("workspace_id").agg(
        *((pl.col("status") == status).sum().alias(status) for status in STATUSES),
        took.filter(is_completed).mean().alias("avg_completion_minutes"),
        pl.col("queued_at").max().alias("last_job_created"),
    )
    names = [*STATUSES, "avg_completion_minutes", "last_job_created"]
    return {
        workspace_id: PipelineStatus(*values)
        for workspace_id, *values in counts.select("workspace_id", *names).iter_rows()
    }
