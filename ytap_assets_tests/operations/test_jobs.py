"""Generation jobs in the lake: from the inbox, from a caller, and the pipeline's status."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ytap_assets.domain.production.jobs import JobReport
from ytap_assets.errors import QuestionError, TransitionRefusedError, UnknownScriptError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.jobs import read_pipeline, report_job
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import list_records
from ytap_assets.tables import INBOX_LINES, PRODUCTION_EVENTS, QUARANTINED_ROWS
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.operations.test_production import script, write_lines, write_video
from ytap_assets_tests.operations.test_review import promote

RUN = Run("run-1", "test", "jobs")
LINE = {
    "script_id": "one",
    "job_id": "render-7",
    "status": "queued",
    "at": (NOW - timedelta(hours=2)).isoformat(),
}


def types(platform: Platform, script_id: str = "one") -> list[str]:
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS, wanted={"script_id": [script_id]})
    return events.sort("seq")["type"].to_list()


def report(status: str, hours: float = 1, script_id: str = "one") -> JobReport:
    return JobReport(script_id, "render-7", status, NOW - timedelta(hours=hours))


def test_lines_become_events_and_are_read_once(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    bad = LINE | {"quantities": {"token": 1}}
    write_lines(platform, "tech", "jobs.jsonl", LINE, LINE | {"script_id": "two"}, bad)
    promote(platform)
    assert types(platform).count("job_queued") == 1
    assert types(platform, "two") == []
    [place] = platform.lake.reader("tech").read(QUARANTINED_ROWS)["place"]
    assert place == "line 3"
    before = platform.lake.snapshot_id()
    promote(platform)
    assert platform.lake.snapshot_id() == before
    stored = platform.lake.reader("tech").read(INBOX_LINES, wanted={"file": ["jobs.jsonl"]})
    assert [json.loads(one)["status"] for one in stored["content"]] == ["queued", "queued"]


def test_a_report_before_its_script_counts_when_the_script_is_in_generation(
    platform: Platform,
) -> None:
    write_lines(platform, "tech", "jobs.jsonl", LINE)
    promote(platform)
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    promote(platform)
    assert types(platform)[-1] == "job_queued"


def test_a_report_of_a_published_script_is_kept(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    write_video(platform, "tech", "one")
    upload = {"script_id": "one", "video_id": "ytapDemo001", "published_at": NOW.isoformat()}
    write_lines(platform, "tech", "uploads.jsonl", upload)
    promote(platform)
    [state] = list_records(platform, "tech")["state"]
    assert state == "published"
    write_lines(platform, "tech", "jobs.jsonl", LINE | {"status": "completed"})
    promote(platform)
    record = list_records(platform, "tech").row(0, named=True)
    assert (record["state"], record["job_status"]) == ("published", "completed")


def test_a_caller_reports_once(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    promote(platform)
    assert report_job(platform, "tech", report("queued"), actor="farm", run=RUN)
    assert not report_job(platform, "tech", report("queued"), actor="farm", run=RUN)
    assert types(platform).count("job_queued") == 1
    [status] = list_records(platform, "tech")["job_status"]
    assert status == "queued"


def test_a_report_that_cannot_be_is_refused(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    promote(platform, "finance")
    with pytest.raises(TransitionRefusedError, match="script_pending_review"):
        report_job(platform, "finance", report("queued"), actor="farm", run=RUN)
    with pytest.raises(UnknownScriptError):
        report_job(platform, "finance", report("queued", script_id="two"), actor="farm", run=RUN)
    with pytest.raises(QuestionError):
        report_job(platform, "finance", report("queued"), actor=" ", run=RUN)


def test_the_pipelines_of_several_workspaces(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    promote(platform)
    report_job(platform, "tech", report("queued", hours=30), actor="farm", run=RUN)
    report_job(platform, "tech", report("completed", hours=1), actor="farm", run=RUN)
    found = read_pipeline(platform, ["tech", "finance"])
    assert (found["tech"].completed, found["tech"].queued) == (1, 0)
    assert found["tech"].avg_completion_minutes == pytest.approx(29 * 60)
    assert found["finance"].last_job_created is None
