"""Reports about generation jobs, and the pipeline's status, from the command line."""

from __future__ import annotations

import json

from ytap_assets.operations.platform import Platform
from ytap_assets_tests.cli.conftest import Ytap
from ytap_assets_tests.operations.test_production import script, write_lines
from ytap_assets_tests.operations.test_review import promote


def test_a_report_is_stored_once_and_counted(platform: Platform, ytap: Ytap) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    promote(platform)
    report = [
        *("job", "report", "one", "-w", "tech", "--job", "j", "--status", "failed"),
        *("--at", "2026-11-20T11:00:00Z", "-q", "images=2", "--error", "no GPU"),
    ]
    assert "stored" in ytap.ok(*report)
    assert "nothing was stored" in ytap.ok(*report)
    [row] = json.loads(ytap.ok("job", "status", "-w", "tech", "--format", "json"))
    assert row["workspace_id"] == "tech"
    assert row["health"] == "healthy"


def test_invalid_reports_are_refused(platform: Platform, ytap: Ytap) -> None:
    report = ("job", "report", "one", "-w", "tech", "--job", "j", "--status")
    assert "one of queued" in ytap.refused(2, *report, "done")
    assert "did you mean images" in ytap.refused(2, *report, "queued", "-q", "image=1")
    assert "twice" in ytap.refused(2, *report, "queued", "-q", "images=1", "-q", "images=2")
    assert "NAME=NUMBER" in ytap.refused(2, *report, "queued", "-q", "images=many")
    assert "no script" in ytap.refused(2, *report, "queued")
