from __future__ import annotations

import json
from typing import Any

import pytest
from ulid import ULID

from ytap_assets.domain.production.events import named_evidence_id
from ytap_assets.domain.production.inbox import (
    ACTIONS,
    Decision,
    decision_event,
    is_possible,
)
from ytap_assets.errors import TransitionRefusedError
from ytap_assets.tables.production import STATES
from ytap_assets_tests.domain.production.worlds import (
    World,
    decided,
    hours,
    parse_decisions,
    submission,
    video_folder,
)

LINE: dict[str, Any] = {
    "script_id": "one",
    "act": "reject",
    "actor": " Ada Lovelace ",
    "at": "2026-11-10T10:00:00+01:00",
    "reason": "We told this in May.",
}
REVIEWED = "video_pending_review"


def test_lines_become_acts() -> None:
    text = json.dumps(LINE) + "\n" + json.dumps({**LINE, "reason": None}) + "\n" + json.dumps(LINE)
    parsed = parse_decisions(text)
    expected = Decision("one", "reject", "Ada Lovelace", hours(0), "We told this in May.")
    assert parsed.rows[0] == expected
    assert parsed.rows[1].reason is None
    assert (len(parsed.rows), len(parsed.repeated)) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"act": "publish"}, "act: 'publish' is not one of approve_script, approve_video, reject"),
        ({"act": None}, "act: missing"),
        ({"actor": "a\nb"}, "actor: 'a\\nb' is not a name in one line"),
        ({"actor": "x" * 101}, "is not a name"),
        ({"actor": 1}, "actor: expected a text"),
        ({"at": "now"}, "at: 'now' is not an instant"),
        ({"script_id": ".."}, "script_id: '..' is not a script's id"),
        ({"Reason": "x"}, "'Reason': unknown key; did you mean `reason`?"),
        ({"scriptID": "two"}, "did you mean `script_id`?"),
        ({"reason": ["x"]}, "reason: expected a text"),
    ],
)
def test_what_is_no_act_is_a_bad_line(changes: dict[str, Any], reason: str) -> None:
    parsed = parse_decisions(json.dumps(LINE | changes) + "\n")
    assert parsed.rows == ()
    assert reason in parsed.bad[0].reason


def test_an_act_at_the_keyboard_becomes_an_event_of_its_own() -> None:
    event_id = str(ULID())
    event = decision_event(
        "tech", decided("one", "send_back", hours(1), "Too slow"), REVIEWED, event_id=event_id
    )
    assert event.event_id == event_id
    assert (event.type, event.from_state, event.to_state) == (
        "sent_back",
        "video_pending_review",
        "ready_for_generation",
    )
    assert (event.actor, event.reason, event.occurred_at) == ("person:ada", "Too slow", hours(1))


def test_an_approval_is_an_event_that_moves_nothing() -> None:
    event = decision_event("tech", decided("one", "approve_video", hours(1)), REVIEWED)
    assert (event.type, event.to_state) == ("video_approved", None)


def test_a_line_is_one_event_however_often_it_is_read() -> None:
    line = decided("one", "reject", hours(1))
    first = decision_event("tech", line, REVIEWED).event_id
    assert decision_event("tech", line, "script_pending_review").event_id == first
    assert decision_event("tech", decided("one", "reject", hours(2)), REVIEWED).event_id != first


@pytest.mark.parametrize(
    ("what", "state", "says"),
    [
        ("approve_video", None, "script one has no record yet: a video cannot be approved"),
        (
            "reject",
            "ready_for_generation",
            "allowed in script_pending_review or video_pending_review",
        ),
        ("cancel", "published", "script one has the state published: it cannot be cancelled"),
        (
            "published",
            "ready_for_publish",
            "'published' is not an action: expected one of approve_script",
        ),
    ],
)
def test_an_impossible_act_is_refused(what: str, state: str | None, says: str) -> None:
    with pytest.raises(TransitionRefusedError, match=says):
        decision_event("tech", decided("one", what, hours(1)), state)


def test_what_is_possible_where() -> None:
    possible = {what: [state for state in STATES if is_possible(what, state)] for what in ACTIONS}
    assert possible == {
        "approve_script": ["script_pending_review"],
        "approve_video": ["video_pending_review"],
        "reject": ["script_pending_review", "video_pending_review"],
        "send_back": ["video_pending_review"],
        "cancel": list(STATES[:4]),
    }


def test_acts_that_did_nothing_are_explained() -> None:
    world = World(
        submissions=[submission()],
        folders={"one": video_folder(quality_score=70)},
        decisions=[
            decided("one", "approve_script", hours(1)),
            decided("one", "reject", hours(2)),
            decided("one", "approve_video", hours(30)),
            decided("one", "approve_video", hours(31)),
            decided("one", "approve_script", hours(32)),
            decided("other", "cancel", hours(2)),
        ],
    )
    world.decisions, later = world.decisions[:1], world.decisions
    world.settle()
    world.decisions = later
    world.settle()
    ignored = world.ignored()
    assert [(decision.action, decision.at) for decision in ignored] == [
        ("reject", hours(2)),
        ("approve_video", hours(31)),
        ("approve_script", hours(32)),
        ("cancel", hours(2)),
    ]
    reasons = list(ignored.values())
    assert reasons[0].startswith("decided before the script entered video_pending_review")
    assert reasons[1] == "already approved by person:ada"
    assert reasons[2] == (
        "the script has the state video_pending_review; approve_script needs script_pending_review"
    )
    assert reasons[3] == "there is no script with this id yet"


def test_an_act_that_is_still_to_be_applied_is_not_idle() -> None:
    world = World(submissions=[submission()], decisions=[decided("one", "cancel", hours(1))])
    world.tick("submit_scripts")
    assert world.ignored() == {}


def test_decisions_of_a_log_whose_ids_name_the_workspace_are_known() -> None:
    line = decided("one", "reject", hours(2))
    world = World(submissions=[submission()])
    world.settle()
    older = named_evidence_id(
        "tech", "one", "rejected", ["reject", "ada", hours(2).isoformat(), None]
    )
    event = decision_event("tech", line, "script_pending_review", event_id=older)
    world.append([event])
    world.decisions = [line]
    world.settle()
    assert world.ignored() == {}
    assert world.types().count("rejected") == 1
