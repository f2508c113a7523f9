"""Generation jobs: reports, their events, and the status of the pipeline."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.production.events import events_to_frame
from ytap_assets.domain.production.jobs import (
    MAX_FAILURES,
    QUANTITIES,
    STATUSES,
    JobReport,
    PipelineStatus,
    find_new_jobs,
    read_job,
    summarize_jobs,
)
from ytap_assets.domain.production.lines import FieldError, Fields, compare_lines, read_lines
from ytap_assets.domain.production.rules import Rules
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets_tests.domain.production.test_decide import full_world
from ytap_assets_tests.domain.production.worlds import NOW, World, hours, submission, video_folder
from ytap_assets_tests.effort import examples

LINE = {
    "script_id": "one",
    "job_id": "render-7",
    "status": "completed",
    "at": "2026-11-20T09:00:00Z",
    "attempt": 2,
    "method": "animation",
    "content_type": "short",
    "quantities": {"images": 12, "gpu_s": 340.5},
}


def job(status: str, at: float, job_id: str = "render-7", **changes: Any) -> JobReport:
    return JobReport("one", job_id, status, hours(at), **changes)


def test_a_line_is_read_and_written_without_loss() -> None:
    report = read_job(Fields(LINE))
    assert (report.attempt, report.method, report.content_type) == (2, "animation", "short")
    assert report.quantities == {"images": 12.0, "gpu_s": 340.5}
    assert read_job(Fields(report.content)) == report


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "done"}, "one of queued"),
        ({"job_id": ""}, "job_id: missing"),
        ({"at": "2026-11-20T09:00:00"}, "timezone"),
        ({"attempt": 0}, "whole number from 1"),
        ({"attempt": True}, "whole number from 1"),
        ({"quantities": {"image": 1}}, "did you mean images"),
        ({"quantities": {"images": -1}}, "at least 0"),
        ({"quantities": {"images": "12"}}, "expected a number"),
        ({"quantities": [1]}, "expected an object"),
        ({"Status": "queued", "status": None}, "status: missing"),
    ],
)
def test_an_invalid_report_names_the_field(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError, match=said):
        read_job(Fields(LINE | changes))


def test_equal_reports_are_one() -> None:
    lines = [LINE, LINE, LINE | {"attempt": 3}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    parsed = compare_lines(read_lines(text, read_job), find_new_jobs(()))
    assert (len(parsed.accepted), parsed.repeated) == (2, (2,))
    again = compare_lines(read_lines(text, read_job), find_new_jobs(parsed.rows))
    assert again.accepted == ()


def test_a_report_becomes_an_event_once_its_script_is_in_generation() -> None:
    world = World(submissions=[submission()], jobs=[job("queued", 3), job("processing", 4)])
    world.settle()
    assert "job_queued" not in world.types()
    world.rules = Rules(script_approval="policy")
    world.settle()
    assert world.types()[-2:] == ["job_queued", "job_processing"]
    assert (world.record()["job_status"], world.record()["job_attempts"]) == ("processing", 1)
    assert world.record()["state"] == "ready_for_generation"


def test_a_report_that_is_read_late_counts() -> None:
    world = full_world()
    world.settle()
    world.jobs = [job("completed", 19, quantities={"images": 3.0})]
    world.settle()
    assert world.record()["state"] == "published"
    assert world.record()["job_status"] == "completed"


def test_a_date_ahead_of_the_clock_is_the_present() -> None:
    world = World(
        rules=Rules(script_approval="policy"),
        submissions=[submission()],
        jobs=[job("queued", 24 * 365)],
    )
    world.settle()
    [(at, payload)] = world.log.filter(type="job_queued").select("occurred_at", "payload").rows()
    assert at == world.now
    assert json.loads(payload)["at"] == hours(24 * 365).isoformat()


def test_reports_of_one_reading_are_in_order_of_time() -> None:
    world = World(
        rules=Rules(script_approval="policy"),
        submissions=[submission()],
        folders={},
        jobs=[job("failed", 5), job("queued", 3), job("processing", 4)],
    )
    world.settle()
    assert world.types()[-3:] == ["job_queued", "job_processing", "job_failed"]
    world.folders = {"one": video_folder()}
    world.settle()
    assert world.record()["state"] == "video_pending_review"


def test_the_record_has_the_latest_report_whichever_arrived_last() -> None:
    world = World(
        rules=Rules(script_approval="policy"),
        submissions=[submission()],
        jobs=[job("completed", 5)],
    )
    world.settle()
    world.jobs = [*world.jobs, job("failed", 4)]
    world.settle()
    assert world.types()[-2:] == ["job_completed", "job_failed"]
    assert world.record()["job_status"] == "completed"


def log(*jobs: JobReport) -> pl.DataFrame:
    events = [one.event("tech", "ready_for_generation", "person:ada", NOW) for one in jobs]
    frame = events_to_frame(events, recorded_at=NOW)
    return frame.with_columns(seq=pl.int_range(1, frame.height + 1, dtype=pl.Int64))


def recent(status: str, minutes: float, job_id: str) -> JobReport:
    return JobReport("one", job_id, status, NOW - timedelta(minutes=minutes))


def test_the_status_counts_jobs_by_their_last_report() -> None:
    status = summarize_jobs(
        log(
            recent("queued", 90, "a"),
            recent("completed", 30, "a"),
            recent("queued", 50, "b"),
            recent("completed", 30, "b"),
            recent("queued", 20, "c"),
            recent("failed", 10, "d"),
            recent("processing", 5, "e"),
            recent("completed", 25 * 60, "long ago"),
        ),
        NOW,
    )["tech"]
    assert status == PipelineStatus(
        queued=1,
        processing=1,
        completed=2,
        failed=1,
        avg_completion_minutes=40.0,
        last_job_created=NOW - timedelta(minutes=20),
    )
    assert status.health == "healthy"


def test_the_pipeline_is_degraded_from_five_failures_on() -> None:
    failed = [recent("failed", one, f"job-{one}") for one in range(MAX_FAILURES)]
    assert summarize_jobs(log(*failed[1:]), NOW)["tech"].health == "healthy"
    assert summarize_jobs(log(*failed), NOW)["tech"].health == "degraded"


def test_without_jobs_there_is_no_status() -> None:
    assert summarize_jobs(PRODUCTION_EVENTS.empty(), NOW) == {}
    assert PipelineStatus().health == "healthy"


REPORTS = st.builds(
    JobReport,
    script_id=st.sampled_from(["one", "two"]),
    job_id=st.sampled_from(["a", "b"]),
    status=st.sampled_from(STATUSES),
    at=st.integers(0, 48 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    attempt=st.integers(1, 3),
    quantities=st.dictionaries(st.sampled_from(sorted(QUANTITIES)), st.floats(0, 1e9)),
)


@given(st.lists(REPORTS, max_size=12), st.integers(0, 1000))
@settings(max_examples=examples(25), deadline=None)
def test_the_status_counts_each_job_once_in_any_order(reports: list[JobReport], seed: int) -> None:
    rows = log(*reports)
    found = summarize_jobs(rows, NOW).get("tech", PipelineStatus())
    cutoff = NOW - timedelta(hours=24)
    jobs = {(one.script_id, one.job_id) for one in reports if one.at > cutoff}
    assert sum(getattr(found, status) for status in STATUSES) == len(jobs)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    assert summarize_jobs(shuffled, NOW).get("tech", PipelineStatus()) == found


@given(REPORTS)
@settings(max_examples=examples(25), deadline=None)
def test_reports_survive_their_line(report: JobReport) -> None:
    assert read_job(Fields(json.loads(json.dumps(report.content)))) == report
