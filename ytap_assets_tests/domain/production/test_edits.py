from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ytap_assets.domain.production.events import Event, admit_frame, events_to_frame
from ytap_assets.domain.production.evidence import script_content_id
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.domain.production.rules import Rules
from ytap_assets_tests.domain.production.worlds import NOW, World, decided, hours, submission


def edit(at: datetime, event_id: str = "edit-1", **new: Any) -> Event:
    """An edit of the script `one` in review."""
    return Event(
        event_id=event_id,
        workspace_id="tech",
        script_id="one",
        type="script_edited",
        from_state="script_pending_review",
        to_state=None,
        actor="person:eve",
        occurred_at=at,
        payload={name: {"old": "before", "new": value} for name, value in new.items()},
        content_id=script_content_id({"title": new.get("title"), "body": new.get("text", "x")}),
    )


def reviewed(**options: Any) -> World:
    """A script in review, which nobody approved yet."""
    world = World(submissions=[submission()], **options)
    world.tick("submit_scripts")
    return world


def test_an_edit_changes_the_fields_that_it_names_and_no_others() -> None:
    world = reviewed()
    before = world.record()
    world.append([edit(hours(3), title="Another title", estimated_cost_usd_micros=1_500_000)])
    after = world.record()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "title",
        "estimated_cost_usd_micros",
        "edited_at",
        "events",
        "last_seq",
    }
    assert (after["title"], after["edited_at"]) == ("Another title", hours(3))
    assert after["estimated_cost_usd_micros"] == 1_500_000


def test_an_approval_before_an_edit_does_not_count_and_one_after_it_does() -> None:
    world = reviewed(rules=Rules(banned_topics=["gambling"]))
    world.append([edit(hours(1), "edit-1", text="About gambling.")])
    world.decisions = [decided("one", "approve_script", hours(2))]
    world.settle()
    assert world.record()["script_approved_by"] == "person:ada"
    assert world.record()["failed_gates"] == ["banned_topic: the body mentions 'gambling'"]

    world.append([edit(hours(3), "edit-2", text="About gardens.")])
    assert world.record()["script_approved_by"] is None
    world.settle()
    assert world.record()["state"] == "script_pending_review"

    world.decisions = [*world.decisions, decided("one", "approve_script", hours(4))]
    world.settle()
    assert world.record()["state"] == "ready_for_generation"


def test_a_decision_written_before_an_edit_but_read_after_it_has_no_effect() -> None:
    world = reviewed()
    world.append([edit(hours(3), title="Another title")])
    early = decided("one", "reject", hours(2))
    world.decisions = [early]
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert world.ignored()[early].startswith("decided before the script was edited")


def test_a_decision_that_waits_for_its_date_is_void_after_an_edit() -> None:
    world = reviewed(now=hours(4))
    waiting = decided("one", "approve_script", hours(10))
    world.decisions = [waiting]
    world.settle()
    world.append([edit(hours(4), title="Another title")])
    world.now = hours(20)
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert "or was edited" in world.ignored()[waiting]


def test_a_cancellation_is_about_the_script_whatever_its_text() -> None:
    world = reviewed()
    world.append([edit(hours(3), title="Another title")])
    world.decisions = [decided("one", "cancel", hours(2))]
    world.settle()
    assert world.record()["state"] == "cancelled"


def test_the_gates_are_evaluated_on_the_edited_fields() -> None:
    rules = Rules(script_approval="policy", banned_topics=["gambling"])
    world = World(rules=rules, submissions=[submission(generation_method="", title="On gambling")])
    world.settle()
    assert [gate.split(":")[0] for gate in world.record()["failed_gates"]] == [
        "schema",
        "banned_topic",
    ]
    world.append([edit(hours(3), title="On gardens", generation_method="stock")])
    world.settle()
    record = world.record()
    assert record["state"] == "ready_for_generation"
    assert record["state_since"] > hours(3)


def test_the_policy_approves_an_edited_script_again() -> None:
    world = reviewed(rules=Rules(script_approval="policy"))
    [approved, _] = PROMOTIONS["start_generation"].decide(world.evidence(), now=NOW)
    world.append([approved])
    world.append([edit(hours(3), title="Another title")])
    assert world.record()["script_approved_by"] is None
    world.settle()
    assert world.record()["state"] == "ready_for_generation"
    assert world.types().count("script_approved") == 2


def test_a_promotion_decided_before_an_edit_is_refused_after_it() -> None:
    world = reviewed(rules=Rules(script_approval="policy"))
    late = PROMOTIONS["start_generation"].decide(world.evidence(), now=NOW)
    known = {"tech": world.log.height}
    world.append([edit(hours(3), title="Another title")])
    _, admission = admit_frame(events_to_frame(late, recorded_at=NOW), world.log, decided_at=known)
    assert not admission.admitted
    assert "changed since" in admission.refused[0].reason


def test_an_edited_script_has_other_content() -> None:
    world = reviewed()
    first = world.production().contents["tech", "one"]["script"]
    changed = edit(hours(3), title="Another title")
    world.append([changed])
    second = world.production().contents["tech", "one"]["script"]
    assert second.content_id == changed.content_id != first.content_id


@pytest.mark.parametrize("state", ["ready_for_generation", "published", "rejected"])
def test_only_a_script_in_review_can_be_edited(state: str) -> None:
    world = reviewed()
    world.append(
        [
            Event("i", "tech", "one", "imported", "script_pending_review", state, "import", NOW),
            edit(hours(30), title="Another title"),
        ]
    )
    assert world.types() == ["script_submitted", "imported"]
