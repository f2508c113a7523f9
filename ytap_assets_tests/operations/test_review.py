"""Review: what waits for people, on what evidence, and their decisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ytap_assets.domain.production.promotions import Review
from ytap_assets.errors import QuestionError, TransitionRefusedError, UnknownScriptError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.records import list_records
from ytap_assets.operations.review import decide_on_script, find_reviews, show_review
from ytap_assets.operations.script_imports import import_records
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets.workspaces import Approval
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.operations.test_production import script, write_lines, write_video
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "review")


def promote(platform: Platform, workspace_id: str = "tech") -> None:
    advance_one(platform.slice(workspace_id, None, RUN), ALL_PROMOTIONS)


def set_rules(platform: Platform, **approval: object) -> None:
    workspace = platform.workspaces.get("tech")
    platform.workspaces.save(workspace.model_copy(update={"approval": Approval(**approval)}))


def submit(platform: Platform, *scripts: dict[str, object]) -> None:
    write_lines(platform, "tech", "scripts.jsonl", *scripts)
    promote(platform)


def reviews(platform: Platform, *names: str) -> dict[str, list[Review] | Exception]:
    batch, unusable = platform.batch({name: [None] for name in names or ("tech",)}, RUN)
    assert not unusable
    return find_reviews(batch)


def own(platform: Platform) -> list[Review]:
    found = reviews(platform)["tech"]
    assert not isinstance(found, Exception)
    return found


def decide(platform: Platform, action: str, actor: str, **options: int) -> str:
    return decide_on_script(
        platform, "tech", "one", action, actor=actor, reason=None, run=RUN, **options
    )


def test_what_waits_is_listed_with_every_gate(platform: Platform) -> None:
    set_rules(platform)
    submit(platform, script("one", estimated_cost_usd=9), script("two", hook=None))
    first, second = own(platform)
    assert (first.record.script_id, second.record.script_id) == ("one", "two")
    assert [gate.name for gate in first.gates if not gate.passed] == ["approval", "budget"]
    assert [gate.name for gate in second.gates if not gate.passed] == ["approval", "schema"]
    assert "gate budget" in first.waits_for
    assert "approval by a person" in first.waits_for


def test_a_decision_that_no_run_has_applied_yet_is_counted(
    platform: Platform,
) -> None:
    set_rules(platform)
    submit(platform, script("one"))
    line = {"script_id": "one", "act": "approve_script", "actor": "Ada", "at": NOW.isoformat()}
    write_lines(platform, "tech", "approvals.jsonl", line)
    [one] = own(platform)
    assert one.approvers == ("person:Ada",)
    assert one.waits_for == "the next run: script_approved by person:Ada"


def test_two_persons_approve_and_nobody_twice(platform: Platform) -> None:
    set_rules(platform, approvers=("Ada", "Bob"), two_persons_above_usd=0.5)
    submit(platform, script("one", estimated_cost_usd=1))
    decide(platform, "approve_script", "Ada")
    [one] = own(platform)
    assert "another person must approve" in one.waits_for
    promote(platform)
    assert [one.record.script_id for one in own(platform)] == ["one"]
    with pytest.raises(TransitionRefusedError, match="already approved by person:Ada"):
        decide(platform, "approve_script", "Ada")
    decide(platform, "approve_script", "Bob")
    promote(platform)
    assert own(platform) == []


def test_only_approvers_decide(platform: Platform) -> None:
    set_rules(platform, approvers=("Ada",))
    submit(platform, script("one"))
    for action in ("approve_script", "reject", "cancel"):
        with pytest.raises(TransitionRefusedError, match=r"approval\.approvers"):
            decide(platform, action, "Eve")
    assert decide(platform, "reject", "Ada") == "rejected"


def test_the_loser_is_told_who_decided(platform: Platform) -> None:
    set_rules(platform)
    submit(platform, script("one"))
    decide(platform, "reject", "Ada")
    with pytest.raises(TransitionRefusedError, match="rejected by person:Ada"):
        decide(platform, "approve_script", "Bob")


def test_a_decision_about_what_was_seen_is_not_one_about_what_came_later(
    platform: Platform,
) -> None:
    set_rules(platform, scripts="policy")
    submit(platform, script("one"))
    write_video(platform, "tech", "one")
    promote(platform)
    seen = show_review(platform, "tech", "one").events["seq"].max()
    assert isinstance(seen, int)
    decide(platform, "send_back", "Ada", seen=seen)
    write_video(platform, "tech", "one", duration_s=301)
    promote(platform)
    assert show_review(platform, "tech", "one").review.is_video
    with pytest.raises(QuestionError, match="no event"):
        decide(platform, "approve_video", "Ada", seen=99_999)
    with pytest.raises(TransitionRefusedError, match=f"since event {seen}"):
        decide(platform, "approve_video", "Ada", seen=seen)
    later = show_review(platform, "tech", "one").events["seq"].max()
    assert isinstance(later, int)
    decide(platform, "approve_video", "Ada", seen=later)


def test_a_script_is_shown_with_its_evidence(platform: Platform) -> None:
    set_rules(platform, scripts="policy")
    submit(platform, script("one"))
    write_video(platform, "tech", "one")
    promote(platform)
    found = show_review(platform, "tech", "one")
    assert found.review.is_video
    assert [name for name, _ in found.files] == ["video.mp4"]
    assert found.events["type"].to_list()[0] == "script_submitted"
    with pytest.raises(UnknownScriptError):
        show_review(platform, "tech", "two")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, "\ud800"])
def test_an_invalid_name_is_refused_before_anything_is_stored(
    platform: Platform, name: str
) -> None:
    set_rules(platform)
    submit(platform, script("one"))
    with pytest.raises(QuestionError):
        decide(platform, "approve_script", name)
    types = platform.lake.reader("tech").read(PRODUCTION_EVENTS)["type"]
    assert "script_approved" not in types.to_list()


def test_workspaces_are_examined_together_and_apart(platform: Platform) -> None:
    set_rules(platform)
    submit(platform, script("one"))
    write_lines(platform, "finance", "scripts.jsonl", script("two", body="Something else."))
    promote(platform, "finance")
    found = reviews(platform, "tech", "finance")
    scripts = {
        name: [(one.workspace_id, one.record.script_id) for one in own]
        for name, own in found.items()
        if not isinstance(own, Exception)
    }
    assert scripts == {"tech": [("tech", "one")], "finance": [("finance", "two")]}


def test_a_copy_is_shown_as_one(platform: Platform) -> None:
    set_rules(platform)
    submit(platform, script("one"))
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    promote(platform, "finance")
    found = reviews(platform, "finance")["finance"]
    assert not isinstance(found, Exception)
    assert [gate.split(":")[0] for one in found for gate in one.closed] == ["copy"]


def test_an_imported_video_in_review_is_listed_with_its_closed_gates(
    platform: Platform, tmp_path: Path
) -> None:
    record = {
        "script_internal_id": "one",
        "production_state": "HUMAN_REVIEW_PENDING",
        "saved_at": "2026-11-01T10:00:00",
        "title": "A title",
    }
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    import_records(platform, [file], run=RUN, workspace_id="tech")
    [one] = own(platform)
    assert one.is_video
    assert {gate.split(":")[0] for gate in one.closed} == {"quality", "budget", "manifest"}
    promote(platform)
    [stored] = list_records(platform, "tech")["failed_gates"].to_list()
    assert stored == one.closed
