from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from ulid import ULID

from ytap_assets.domain.production.candidates import list_candidates
from ytap_assets.domain.production.events import IN_PRODUCTION, Event, check_event, evidence_id
from ytap_assets.domain.production.inbox import ACTIONS, Decision, Upload, is_possible
from ytap_assets.domain.production.manifest import FileFact, VideoFolder, parse_manifest
from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.production.rules import Rules
from ytap_assets.errors import TransitionRefusedError
from ytap_assets_tests.domain.production.test_states import is_legal
from ytap_assets_tests.domain.production.worlds import (
    NOW,
    START,
    World,
    decided,
    hours,
    submission,
    video_folder,
)
from ytap_assets_tests.effort import examples

POLICY = Rules(script_approval="policy", video_approval="policy")
PUBLISHED = Upload("one", "ytapDemo001", "UC" + "a" * 22, hours(48))
WAY = [
    "script_submitted",
    "script_approved",
    "generation_started",
    "video_completed",
    "video_approved",
    "publication_cleared",
    "published",
]


def full_world(**changes: Any) -> World:
    """A script with all that takes it to publishing."""
    options: dict[str, Any] = {
        "submissions": [submission()],
        "decisions": [
            decided("one", "approve_script", hours(2)),
            decided("one", "approve_video", hours(30)),
        ],
        "folders": {"one": video_folder()},
        "uploads": [PUBLISHED],
    }
    return World(**(options | changes))


def test_a_script_goes_all_the_way_by_people() -> None:
    world = full_world()
    world.settle()
    assert world.types() == WAY
    record = world.record()
    assert record["state"] == "published"
    assert (record["script_approved_by"], record["video_approved_by"]) == ("person:ada",) * 2
    assert (record["video_id"], record["published_at"]) == ("ytapDemo001", hours(48))
    assert (record["cost_usd_micros"], record["quality_score"]) == (2_000_000, 90.0)


def test_a_script_goes_all_the_way_by_policy() -> None:
    world = full_world(rules=POLICY, decisions=[])
    world.settle()
    assert world.types() == WAY
    assert (world.record()["script_approved_by"], world.record()["video_approved_by"]) == (
        "policy",
        "policy",
    )


def test_events_are_dated_by_their_evidence_and_in_order() -> None:
    world = full_world()
    world.settle()
    dates = dict(world.log.select("type", "occurred_at").iter_rows())
    assert dates["script_submitted"] == START
    assert dates["script_approved"] == dates["generation_started"] == hours(2)
    assert dates["video_completed"] == hours(20)
    assert dates["publication_cleared"] == hours(30)
    assert dates["published"] == hours(48)
    assert world.log["occurred_at"].is_sorted()
    assert world.log["recorded_at"].unique().to_list() == [NOW]


def test_the_registry_leads_from_state_to_state() -> None:
    way = [*(promotion.from_state for promotion in PROMOTIONS.values()), "published"]
    assert all(is_legal(from_state, str(to_state)) for from_state, to_state in pairwise(way))
    assert all(promotion.description.endswith(".") for promotion in PROMOTIONS.values())


@pytest.mark.parametrize("name", list(PROMOTIONS))
def test_deciding_twice_gives_the_same_ids(name: str) -> None:
    world = full_world(rules=replace(POLICY, banned_topics=["two"]))
    world.submissions = [submission(), submission("two")]
    for earlier in PROMOTIONS:
        if earlier == name:
            break
        world.tick(earlier)
    decide = PROMOTIONS[name].decide
    first = decide(world.evidence(), now=NOW)
    later = decide(world.evidence(), now=NOW + timedelta(hours=1))
    assert first
    assert [event.event_id for event in first] == [event.event_id for event in later]
    assert len(world.append(first).admitted) == len(first)
    again = world.append(later)
    assert (len(again.admitted), len(again.duplicates)) == (0, len(first))


def test_nothing_more_is_decided_when_all_is_settled() -> None:
    world = full_world(rules=replace(POLICY, banned_topics=["story"]))
    world.settle()
    world.now += timedelta(days=1)
    assert [world.tick(name) for name in PROMOTIONS] == [[]] * len(PROMOTIONS)


# 1: submissions


def test_a_known_script_stays_as_it_is() -> None:
    world = World(submissions=[submission()])
    world.settle()
    world.submissions = [submission(title="Another"), submission("two")]
    assert [event.script_id for event in world.tick("submit_scripts")] == ["two"]
    assert world.record()["title"] == "A story called one"


def test_a_submission_dated_in_the_future_is_dated_now() -> None:
    world = World(submissions=[submission(created_at="2030-01-01T00:00:00Z")])
    world.tick("submit_scripts")
    assert world.record()["created_at"] == NOW
    assert "2030-01-01" in world.log["payload"].item()


# 2: generation


def test_an_unapproved_script_waits_for_a_person() -> None:
    world = World(submissions=[submission()])
    world.settle()
    assert world.types() == ["script_submitted"]
    world.decisions = [decided("one", "approve_script", hours(1))]
    world.settle()
    assert world.types() == WAY[:3]


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"hook": None}, ["schema: missing hook"]),
        ({"body": None}, ["schema: missing body or segments"]),
        ({"body": "Bet on GAMBLING"}, ["banned_topic: the body mentions 'gambling'"]),
        ({"estimated_cost_usd": 3.01}, ["budget: $3.01 is over the budget of $3.00"]),
        (
            {"estimated_cost_usd": None, "title": None},
            ["schema: missing title", "budget: the cost is unknown"],
        ),
    ],
)
def test_closed_gates_hold_an_approved_script_back(
    changes: dict[str, Any], failed: list[str]
) -> None:
    world = full_world(
        submissions=[submission(**changes)],
        rules=Rules(banned_topics=["gambling"]),
        decisions=[decided("one", "approve_script", hours(2))],
    )
    world.settle()
    assert world.types() == ["script_submitted", "script_approved", "gates_evaluated"]
    assert world.record()["failed_gates"] == failed
    assert world.log["reason"].to_list()[-1] == "; ".join(failed)


def test_the_policy_does_not_approve_what_a_gate_holds_back() -> None:
    world = World(submissions=[submission(hook=None)], rules=POLICY)
    world.settle()
    assert world.types() == ["script_submitted", "gates_evaluated"]


def test_gates_are_noted_when_they_change_and_only_then() -> None:
    world = World(submissions=[submission(estimated_cost_usd=4)], rules=POLICY)
    world.settle()
    world.rules = replace(POLICY, banned_topics=["story"])
    world.settle()
    assert len(world.record()["failed_gates"]) == 2
    world.rules = POLICY
    world.settle()
    assert world.record()["failed_gates"] == ["budget: $4.00 is over the budget of $3.00"]
    world.settle()
    world.rules = replace(POLICY, budget_usd_micros=4_000_000, script_approval="person")
    world.settle()
    assert world.record()["failed_gates"] == []
    assert world.types() == ["script_submitted", *["gates_evaluated"] * 4]


def test_the_id_of_a_note_depends_on_its_script_alone() -> None:
    ids = []
    for others in ([], ["another", "third"]):
        scripts = [*(submission(name) for name in others), submission(hook=None)]
        world = World(submissions=scripts, rules=POLICY)
        world.settle()
        notes = world.log.filter(script_id="one", type="gates_evaluated")
        ids.append(notes["event_id"].item())
    assert ids[0] == ids[1]


def test_a_gate_that_opens_promotes_now() -> None:
    world = full_world(submissions=[submission(estimated_cost_usd=4)])
    world.settle()
    world.now += timedelta(hours=1)
    world.rules = Rules(budget_usd_micros=4_000_000)
    (started,) = world.tick("start_generation")
    assert (started.type, started.occurred_at) == ("generation_started", world.now)


def test_of_two_scripts_about_one_topic_the_first_goes_on() -> None:
    late = submission("a", title="A story called ONE!", created_at=hours(1).isoformat())
    world = World(submissions=[late, submission("one")], rules=POLICY)
    world.settle()
    assert world.types("a") == ["script_submitted", "gates_evaluated"]
    assert world.record("one")["state"] == "ready_for_generation"
    assert world.record("a")["failed_gates"] == ["topic: script one has the same story: same title"]


def test_a_topic_is_free_again_when_its_script_was_cancelled() -> None:
    world = World(submissions=[submission("one"), submission("two", title="A story called one")])
    world.settle()
    assert world.record("two")["failed_gates"] == [
        "topic: script one has the same story: same title"
    ]
    world.decisions = [decided("one", "cancel", hours(1))]
    world.settle()
    world.settle()
    assert world.record("two")["failed_gates"] == []


# People


@pytest.mark.parametrize("what", ["reject", "cancel"])
def test_a_script_is_given_up_even_where_the_policy_approves(what: str) -> None:
    world = full_world(rules=POLICY, decisions=[decided("one", what, hours(1), "No.")])
    world.settle()
    assert world.types() == ["script_submitted", ACTIONS[what]]
    assert world.log["reason"].to_list()[-1] == "No."


def test_who_approves_and_then_rejects_has_rejected() -> None:
    world = World(
        submissions=[submission()],
        decisions=[decided("one", "reject", hours(2)), decided("one", "approve_script", hours(1))],
    )
    world.settle()
    assert world.types() == ["script_submitted", "script_approved", "rejected"]


@pytest.mark.parametrize(
    ("rules", "folders", "uploads", "state"),
    [
        (Rules(), {}, [], "script_pending_review"),
        (POLICY, {}, [], "ready_for_generation"),
        (Rules("policy"), {"one": video_folder()}, [], "video_pending_review"),
        (POLICY, {"one": video_folder()}, [], "ready_for_publish"),
    ],
)
def test_a_script_can_be_cancelled_from_any_state(
    rules: Rules, folders: dict[str, VideoFolder], uploads: list[Upload], state: str
) -> None:
    world = World(submissions=[submission()], rules=rules, folders=folders, uploads=uploads)
    world.settle()
    assert world.record()["state"] == state
    world.decisions = [decided("one", "cancel", NOW)]
    world.settle()
    assert world.record()["state"] == "cancelled"


def test_a_decision_about_an_earlier_state_is_left_alone() -> None:
    world = full_world(decisions=[decided("one", "reject", hours(10))], rules=POLICY)
    world.decisions = []
    world.tick("submit_scripts")
    world.tick("start_generation")
    world.tick("review_videos")
    world.decisions = [decided("one", "reject", hours(10))]
    assert [event.type for event in world.tick("clear_videos")] == WAY[4:6]


def in_review(**changes: Any) -> World:
    """A video that waits for a person's approval."""
    world = full_world(
        decisions=[decided("one", "approve_script", hours(1))], uploads=[], **changes
    )
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    return world


AHEAD = NOW + timedelta(minutes=10)


def test_a_decision_dated_ahead_of_the_clock_waits_for_its_date() -> None:
    world = in_review()
    approval = decided("one", "approve_video", AHEAD)
    world.decisions = [*world.decisions, approval]
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.ignored() == {approval: "its date is in the future; it takes effect then"}
    world.settle()
    assert world.types().count("decision_received") == 1
    world.now = AHEAD
    world.settle()
    assert world.record()["state"] == "ready_for_publish"
    assert world.ignored() == {}
    assert world.log.filter(type="video_approved")["occurred_at"].to_list() == [AHEAD]


def test_an_approval_that_waits_does_not_clear_a_later_video() -> None:
    world = in_review()
    approval = decided("one", "approve_video", AHEAD)
    world.decisions = [*world.decisions, approval, decided("one", "send_back", NOW, "No sound.")]
    world.settle()
    assert world.types()[-2:] == ["sent_back", "gates_evaluated"]
    world.now += timedelta(minutes=5)
    world.folders = {"one": video_folder(completed_at=world.now.isoformat())}
    world.settle()
    world.now = AHEAD + timedelta(minutes=1)
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.record()["video_approved_by"] is None
    assert "decide again" in world.ignored()[approval]


def test_a_line_above_a_send_back_is_about_the_video_that_was_sent_back() -> None:
    world = in_review()
    approval = decided("one", "approve_video", AHEAD)
    world.decisions = [*world.decisions, approval, decided("one", "send_back", NOW)]
    another = video_folder(completed_at=(NOW + timedelta(minutes=5)).isoformat())
    world.now = AHEAD + timedelta(minutes=1)
    world.settle()
    world.folders = {"one": another}
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.ignored()[approval].startswith("written before a decision")


@pytest.mark.parametrize("lower", ["deleted", "edited", "truncated"])
def test_an_overtaken_approval_stays_so_when_the_send_back_is_gone_from_the_file(
    lower: str,
) -> None:
    world = in_review()
    approval = decided("one", "approve_video", NOW + timedelta(minutes=5))
    back = decided("one", "send_back", NOW + timedelta(minutes=3))
    first = world.decisions
    world.decisions = [*first, approval, back]
    world.now += timedelta(minutes=7)
    world.settle()
    assert world.record()["state"] == "ready_for_generation"
    edited = replace(back, reason="The music drowns the voice.")
    made = (NOW + timedelta(minutes=4)).isoformat()
    world.decisions = [approval, edited] if lower == "edited" else []
    world.folders = {"one": video_folder(completed_at=made, renderer="v2")}
    world.now += timedelta(minutes=5)
    if lower == "deleted":
        world.decisions = [*first, approval]
    world.settle()
    world.decisions = world.decisions or [approval]
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert "decide again" in world.ignored()[approval]


def test_a_line_put_above_an_applied_send_back_never_counts() -> None:
    world = in_review()
    back = decided("one", "send_back", NOW)
    world.decisions = [*world.decisions, back]
    world.settle()
    world.now += timedelta(hours=1)
    world.folders = {"one": video_folder(completed_at=hours(245).isoformat(), renderer="v2")}
    world.settle()
    inserted = decided("one", "approve_video", world.now)
    world.decisions = [inserted, back]
    world.settle()
    world.decisions = [inserted]
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.ignored()[inserted].startswith("written before a decision")


def test_an_approval_read_before_there_is_a_video_does_not_clear_the_first() -> None:
    world = full_world(folders={}, uploads=[])
    world.settle()
    assert world.types() == [*WAY[:3], "decision_received"]
    world.folders = {"one": video_folder()}
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert "decide again" in world.ignored()[decided("one", "approve_video", hours(30))]


def test_approvals_read_before_there_is_a_script_do_not_count_for_it() -> None:
    world = full_world(submissions=[], uploads=[])
    world.settle()
    assert world.types() == ["decision_received"] * 2
    assert fold_events(world.log).is_empty()
    world.submissions = [submission()]
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert world.record()["created_at"] == START
    assert set(world.ignored()) == set(world.decisions)


def test_an_approval_of_a_finished_video_that_was_not_looked_at_yet_counts() -> None:
    world = full_world(
        folders={}, decisions=[decided("one", "approve_script", hours(2))], uploads=[]
    )
    world.settle()
    world.folders = {"one": video_folder()}
    world.decisions = [*world.decisions, decided("one", "approve_video", hours(21))]
    world.settle()
    assert world.record()["state"] == "ready_for_publish"


def test_an_approval_written_while_another_video_is_awaited_does_not_clear_it() -> None:
    world = in_review()
    world.decisions = [*world.decisions, decided("one", "send_back", NOW)]
    world.settle()
    world.now += timedelta(minutes=2)
    late = decided("one", "approve_video", NOW + timedelta(minutes=1))
    world.decisions = [*world.decisions, late]
    world.settle()
    # Its maker's clock is behind: it was finished after the approval was written.
    made = (NOW + timedelta(seconds=30)).isoformat()
    world.folders = {"one": video_folder(completed_at=made)}
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert "decide again" in world.ignored()[late]


def test_another_video_with_the_date_of_the_first_is_completed_now() -> None:
    world = in_review()
    world.decisions = [*world.decisions, decided("one", "send_back", NOW)]
    world.settle()
    world.now += timedelta(hours=1)
    world.decisions = [
        *world.decisions,
        decided("one", "approve_video", NOW + timedelta(minutes=1)),
    ]
    world.folders = {"one": video_folder(renderer="v2")}
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.record()["state_since"] == world.now


def test_a_send_back_dated_ahead_counts_once_and_blocks_nothing() -> None:
    world = in_review()
    back = decided("one", "send_back", NOW + timedelta(seconds=30))
    world.decisions = [*world.decisions, back]
    world.settle()
    world.now += timedelta(seconds=30)
    world.settle()
    assert world.types().count("sent_back") == 1
    world.now += timedelta(hours=1)
    world.folders = {"one": video_folder(completed_at=world.now.isoformat())}
    world.settle()
    world.now += timedelta(hours=1)
    world.decisions = [*world.decisions, decided("one", "approve_video", world.now)]
    world.settle()
    assert world.record()["state"] == "ready_for_publish"
    assert world.types().count("sent_back") == 1


def test_a_decision_that_waits_does_not_keep_others_from_counting() -> None:
    world = in_review()
    world.decisions = [
        *world.decisions,
        decided("one", "send_back", hours(10_000)),
        decided("one", "approve_video", NOW),
    ]
    world.settle()
    assert world.record()["state"] == "ready_for_publish"


def test_a_cancellation_that_waits_cancels_in_whatever_state() -> None:
    world = in_review(rules=Rules("person", "person"))
    cancellation = decided("one", "cancel", AHEAD)
    world.decisions = [*world.decisions, cancellation, decided("one", "approve_video", NOW)]
    world.settle()
    assert world.record()["state"] == "ready_for_publish"
    world.now = AHEAD
    world.settle()
    assert world.record()["state"] == "cancelled"


def test_an_applied_decision_is_not_applied_again_in_a_later_visit() -> None:
    back = decided("one", "send_back", NOW)
    world = in_review()
    world.decisions = [*world.decisions, back]
    world.settle()
    # A clock that went back gives the next review an earlier date than the send-back has.
    world.log = world.log.with_columns(
        pl.when(pl.col("type") == "sent_back")
        .then(pl.lit(hours(40), pl.Datetime("us", "UTC")))
        .otherwise("occurred_at")
        .alias("occurred_at")
    )
    world.folders = {"one": video_folder(completed_at=hours(50).isoformat())}
    world.settle()
    world.decisions = [*world.decisions, decided("one", "approve_video", NOW)]
    world.settle()
    assert world.record()["state"] == "ready_for_publish"


def test_after_a_clock_that_was_ahead_the_reason_names_it() -> None:
    world = in_review()
    world.now = START
    approval = decided("one", "approve_video", hours(0))
    world.decisions = [*world.decisions, approval]
    world.settle()
    assert "a date in the future" in world.ignored()[approval]
    assert "`ytap script`" in world.ignored()[approval]


def test_where_the_approvals_cannot_be_read_nothing_moves() -> None:
    world = full_world(
        rules=POLICY, decisions=[], decisions_problem="approvals.jsonl is a symbolic link"
    )
    world.settle()
    assert world.types() == ["script_submitted", "gates_evaluated"]
    assert world.record()["failed_gates"] == ["approvals: approvals.jsonl is a symbolic link"]
    world.decisions_problem = None
    world.settle()
    assert world.record()["state"] == "published"


def test_an_act_at_the_keyboard_needs_no_file() -> None:
    world = World(submissions=[submission()])
    world.settle()
    approval = Event(
        event_id="01K9ZQ",
        workspace_id="tech",
        script_id="one",
        type="script_approved",
        from_state="script_pending_review",
        to_state=None,
        actor="person:ada",
        occurred_at=hours(3),
    )
    assert world.append([approval]).admitted == (approval,)
    world.settle()
    assert world.types() == WAY[:3]


# 3: videos


@pytest.mark.parametrize(
    ("folder", "failed"),
    [
        (
            replace(video_folder(), found={}),
            "manifest: video.mp4 is missing",
        ),
        (
            replace(video_folder(), found={"video.mp4": FileFact(15, "b" * 64)}),
            "manifest: the checksum of video.mp4 differs from the manifest",
        ),
        (video_folder("two"), "manifest: manifest.json belongs to script two"),
        (VideoFolder(b"{}", {}), "manifest: manifest.json: script_id: missing"),
    ],
)
def test_an_incomplete_video_is_not_taken(folder: VideoFolder, failed: str) -> None:
    world = full_world(folders={"one": folder})
    world.settle()
    assert world.record()["state"] == "ready_for_generation"
    assert world.record()["failed_gates"] == [failed]
    world.folders = {"one": video_folder()}
    world.settle()
    assert world.record()["failed_gates"] == []
    # The approval was read before this video was there: it is about none.
    assert world.record()["state"] == "video_pending_review"
    world.decisions = [*world.decisions, decided("one", "approve_video", NOW)]
    world.settle()
    assert world.record()["state"] == "published"


def test_many_problems_are_told_in_short() -> None:
    files = [{"name": f"{n}.png", "size_bytes": 1, "sha256": "a" * 64} for n in range(8)]
    world = full_world(folders={"one": video_folder(files=files)})
    world.settle()
    (failed,) = world.record()["failed_gates"]
    assert failed.endswith("4.png is missing; and 3 more")


def test_failed_gates_are_forgotten_when_the_folder_is_gone() -> None:
    world = full_world(folders={"one": VideoFolder(b"", {})})
    world.settle()
    world.folders = {}
    world.settle()
    assert world.record()["failed_gates"] == []


def test_a_video_without_a_date_is_completed_now() -> None:
    world = full_world(folders={"one": video_folder(completed_at=None)}, decisions=[], rules=POLICY)
    world.settle()
    completed = world.log.filter(type="video_completed")
    assert completed["occurred_at"].to_list() == [NOW]
    assert world.record()["state"] == "published"


def test_a_video_that_was_sent_back_is_not_taken_again() -> None:
    back = decided("one", "send_back", hours(25), "The music drowns the voice.")
    world = full_world(decisions=[decided("one", "approve_script", hours(1)), back])
    world.settle()
    record = world.record()
    assert record["state"] == "ready_for_generation"
    assert record["failed_gates"] == [
        "manifest: this video was in review before; waiting for a new one"
    ]
    world.folders = {"one": video_folder(completed_at=hours(28).isoformat())}
    world.decisions = [*world.decisions, decided("one", "approve_video", hours(29))]
    world.settle()
    assert world.types() == [
        *WAY[:4],
        "sent_back",
        "gates_evaluated",
        "video_completed",
        *WAY[4:],
    ]


def test_a_video_sent_back_and_made_anew_with_an_old_date_goes_on() -> None:
    back = decided("one", "send_back", hours(25))
    world = full_world(decisions=[back], rules=POLICY)
    world.settle()
    world.folders = {"one": video_folder(renderer="v2")}
    world.settle()
    assert world.record()["state"] == "published"
    assert world.types().count("sent_back") == 1


# 4: clearance


@pytest.mark.parametrize(
    ("folder", "failed"),
    [
        (video_folder(quality_score=84.9), "quality: 84.9 is below 85"),
        (video_folder(quality_score=None), "quality: unknown; waiting for a quality check"),
        (video_folder(cost_usd=3.4), "budget: $3.40 is over the budget of $3.00"),
        (video_folder(cost_usd=None), "budget: the cost is unknown"),
    ],
)
@pytest.mark.parametrize("rules", [Rules(), POLICY])
def test_closed_gates_hold_a_video_back(folder: VideoFolder, failed: str, rules: Rules) -> None:
    world = full_world(folders={"one": folder}, rules=rules)
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.record()["failed_gates"] == [failed]


def test_a_quality_check_opens_the_gate() -> None:
    world = full_world(folders={"one": video_folder(quality_score=None)})
    world.settle()
    check = Event(
        event_id=evidence_id("one", "quality_check", 1),
        workspace_id="tech",
        script_id="one",
        type="quality_check",
        from_state="video_pending_review",
        to_state=None,
        actor="sensor:quality",
        occurred_at=NOW,
        payload={"quality_score": 86},
    )
    world.append([check])
    world.settle()
    assert world.record()["state"] == "published"


@pytest.mark.parametrize(
    ("folders", "failed"),
    [
        ({}, "manifest: it was removed"),
        (
            {"one": replace(video_folder(), found={})},
            "manifest: video.mp4 is missing",
        ),
        (
            {"one": video_folder(quality_score=99)},
            "manifest: it was changed during the review; send the video back to use the new one",
        ),
    ],
)
def test_what_goes_out_is_what_was_reviewed(folders: dict[str, VideoFolder], failed: str) -> None:
    world = full_world(decisions=[decided("one", "approve_script", hours(1))])
    world.settle()
    world.folders = folders
    world.decisions = [decided("one", "approve_video", NOW)]
    world.settle()
    assert world.record()["state"] == "video_pending_review"
    assert world.record()["failed_gates"] == [failed]


# 5: publication


def test_without_an_upload_nothing_is_published() -> None:
    world = full_world(uploads=[])
    world.settle()
    assert (world.record()["state"], world.record()["failed_gates"]) == ("ready_for_publish", [])


def test_an_upload_without_a_date_says_what_it_waits_for() -> None:
    world = full_world(uploads=[replace(PUBLISHED, published_at=None)])
    world.settle()
    assert world.record()["state"] == "ready_for_publish"
    [gate] = world.record()["failed_gates"]
    assert gate.startswith("upload: video ytapDemo001 has no publication date yet")
    assert "gates_evaluated" in world.log["type"].to_list()
    world.uploads = [*world.uploads, PUBLISHED]
    world.settle()
    assert (world.record()["state"], world.record()["failed_gates"]) == ("published", [])


def test_a_gate_of_an_upload_that_is_no_longer_there_is_taken_back() -> None:
    world = full_world(uploads=[replace(PUBLISHED, published_at=None)])
    world.settle()
    world.uploads = []
    world.settle()
    assert world.record()["failed_gates"] == []


def test_a_video_scheduled_for_later_is_published_then() -> None:
    world = full_world(uploads=[replace(PUBLISHED, published_at=NOW + timedelta(hours=1))])
    world.settle()
    assert world.record()["state"] == "ready_for_publish"
    assert world.record()["failed_gates"] == [
        "upload: published_at 2026-11-20T13:00:00+00:00 is in the future; it counts from then on"
    ]
    world.now += timedelta(hours=1)
    world.settle()
    assert world.record()["published_at"] == NOW + timedelta(hours=1)


def test_an_upload_seen_in_the_channel_is_published() -> None:
    uploads = [replace(PUBLISHED, published_at=None)]
    world = full_world(uploads=uploads, seen_videos={"ytapDemo001": hours(50)})
    world.settle()
    assert world.record()["published_at"] == hours(50)


def test_a_later_line_about_an_upload_takes_nothing_back() -> None:
    bare = replace(PUBLISHED, published_at=None, channel_id=None)
    world = full_world(uploads=[PUBLISHED, bare])
    world.settle()
    record = world.record()
    assert (record["state"], record["published_at"], record["channel_id"]) == (
        "published",
        PUBLISHED.published_at,
        PUBLISHED.channel_id,
    )


def test_the_last_line_about_an_upload_counts() -> None:
    world = full_world(uploads=[replace(PUBLISHED, published_at=None), PUBLISHED])
    world.settle()
    assert world.record()["published_at"] == hours(48)


def test_a_video_published_before_it_was_cleared_keeps_its_date() -> None:
    world = full_world(uploads=[replace(PUBLISHED, published_at=hours(1))])
    world.settle()
    record = world.record()
    assert record["published_at"] == hours(1)
    assert record["state_since"] == hours(30) + timedelta(microseconds=1)
    reason = world.log["reason"].to_list()[-1]
    assert f"{hours(1):%Y-%m-%d %H:%M} UTC, before" in reason
    assert f"at {hours(30):%Y-%m-%d %H:%M} UTC" in reason


def test_a_video_published_after_it_was_cleared_needs_no_reason() -> None:
    world = full_world()
    world.settle()
    assert (world.types()[-1], world.log["reason"].to_list()[-1]) == ("published", None)


def test_a_video_belongs_to_one_script() -> None:
    world = full_world(rules=POLICY, decisions=[])
    world.settle()
    world.submissions = [*world.submissions, submission("two")]
    world.folders = {**world.folders, "two": video_folder("two")}
    world.uploads = [*world.uploads, replace(PUBLISHED, script_id="two")]
    world.settle()
    assert world.record("two")["state"] == "ready_for_publish"
    assert world.record("two")["failed_gates"] == [
        "upload: video ytapDemo001 belongs to script one already"
    ]


# All together


ACT = st.builds(
    Decision,
    script_id=st.sampled_from(["one", "two", "three"]),
    action=st.sampled_from(sorted(ACTIONS)),
    actor=st.just("ada"),
    at=st.integers(0, 300).map(hours),
)


@given(
    st.lists(ACT, max_size=12),
    st.sampled_from([Rules(), POLICY, Rules("policy"), Rules("person", "policy")]),
    st.permutations(list(PROMOTIONS)),
)
@settings(max_examples=examples(8), deadline=None)
def test_whatever_people_do_the_line_settles_and_stays(
    decisions: list[Decision], rules: Rules, order: list[str]
) -> None:
    scripts = ["one", "two", "three"]
    world = World(
        rules=rules,
        submissions=[submission(script_id) for script_id in scripts],
        folders={script_id: video_folder(script_id) for script_id in scripts[:2]},
        uploads=[PUBLISHED],
        decisions=decisions,
    )
    rounds = 0
    while any(world.tick(name) for name in order):
        rounds += 1
        assert rounds < 30
    settled = fold_events(world.log)
    for event in (
        world.log.sort("seq").filter(pl.col("to_state").is_not_null()).iter_rows(named=True)
    ):
        check_event(event["type"], event["from_state"], event["to_state"])
    world.settle()
    assert_frame_equal(fold_events(world.log), settled)
    assert set(settled["script_id"]) == set(scripts)


# Clocks that are wrong

SKEW = st.integers(-60, 60).map(lambda minutes: timedelta(minutes=minutes))
STEP = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(sorted(ACTIONS)), SKEW, st.booleans()),
    st.tuples(st.just("keyboard"), st.sampled_from(["send_back", "approve_video"]), SKEW),
    st.tuples(st.just("video"), SKEW),
    st.tuples(st.just("rotate"), st.integers(0, 7)),
    st.tuples(st.just("wait"), st.integers(1, 90).map(lambda minutes: timedelta(minutes=minutes))),
)


@dataclass
class Studio:
    """People, generators and the platform around one script, each with a clock of its own."""

    world: World = field(default_factory=in_review)
    videos: int = 1
    seen: dict[str, str] = field(default_factory=dict)
    """Event id of an approval -> the video that was there when it was written."""

    def take(self, step: tuple[Any, ...]) -> None:
        kind, *values = step
        getattr(self, f"_{kind}")(*values)

    @property
    def manifest(self) -> str:
        folder = self.world.folders.get("one")
        return parse_manifest(folder.manifest).sha256 if folder else "none"

    def _decide(self, what: str, skew: timedelta, runs: bool) -> None:
        if what == "cancel":
            return
        decision = decided("one", what, self.world.now + skew)
        if decision in self.world.decisions:
            return
        self.seen[act_event_id(decision)] = self.manifest
        self.world.decisions = [*self.world.decisions, decision]
        if runs:
            self.world.settle()

    def _keyboard(self, what: str, skew: timedelta) -> None:
        if fold_events(self.world.log).is_empty():
            return
        evidence = self.world.evidence()
        at = self.world.now + skew
        [candidate] = list_candidates(evidence, "decide", self.world.record()["state"], at)
        if is_possible(what, candidate.record.state):
            name = str(ULID())
            if what == "approve_video" and self._is_approved:
                with pytest.raises(TransitionRefusedError, match="already approved"):
                    candidate.decide(decided("one", what, at), name)
                return
            self.seen[name] = self.manifest
            self.world.append(candidate.decide(decided("one", what, at), name))

    @property
    def _is_approved(self) -> bool:
        """Whether the video was approved since the script has its state."""
        events = self.world.log.sort("seq")
        since = events.filter(pl.col("to_state").is_not_null())["seq"].max()
        return "video_approved" in events.filter(pl.col("seq") > since)["type"]

    def _rotate(self, mask: int) -> None:
        """Some of the lines that the platform has read are moved to another file."""
        self.world.settle()
        lines = enumerate(self.world.decisions)
        self.world.decisions = [line for number, line in lines if mask >> number % 3 & 1]

    def _video(self, skew: timedelta) -> None:
        self.world.settle()  # the platform looks more often than videos are made
        self.world.submissions = [submission()]
        self.videos += 1
        made = (self.world.now + skew).isoformat()
        self.world.folders = {"one": video_folder(completed_at=made, version=self.videos)}
        self.world.settle()

    def _wait(self, time: timedelta) -> None:
        self.world.now += time
        self.world.settle()


def begin(beginning: str) -> World:
    """A world in which there is no script yet, or no video, or a video in review."""
    if beginning == "in review":
        return in_review()
    world = full_world(
        folders={}, uploads=[], decisions=[decided("one", "approve_script", hours(2))]
    )
    if beginning == "no script":
        world.submissions = []
    world.settle()
    return world


@given(st.lists(STEP, max_size=8), st.sampled_from(["no script", "no video", "in review"]))
@example(
    [
        ("decide", "approve_video", timedelta(minutes=5), False),
        ("decide", "send_back", timedelta(minutes=3), False),
        ("wait", timedelta(minutes=7)),
        ("rotate", 2),
        ("video", timedelta(minutes=-3)),
    ],
    "in review",
)
@example(
    [
        ("decide", "approve_video", timedelta(minutes=-5), True),
        ("wait", timedelta(minutes=30)),
        ("video", timedelta(minutes=-60)),
    ],
    "no video",
)
@example(
    [("keyboard", "approve_video", timedelta()), ("keyboard", "approve_video", timedelta())],
    "in review",
)
@settings(max_examples=examples(12), deadline=None)
def test_whatever_the_clocks_say_no_video_goes_out_that_nobody_approved(
    steps: list[tuple[Any, ...]], beginning: str
) -> None:
    studio = Studio(begin(beginning))
    for step in steps:
        studio.take(step)
    world = studio.world
    world.settle()
    assert not any(world.tick(name) for name in PROMOTIONS)
    video, approved = None, None
    for event in world.log.sort("seq").iter_rows(named=True):
        if event["type"] == "video_completed":
            video, approved = json.loads(event["payload"])["manifest_sha256"], None
        elif event["type"] == "video_approved":
            approved = studio.seen[event["event_id"]]
        elif event["type"] == "publication_cleared":
            assert approved == video
    applied = set(world.log["event_id"])
    unapplied = {one for one in world.decisions if act_event_id(one) not in applied}
    assert set(world.ignored()) == unapplied
    # Whatever waits or was in vain, a cancellation gets through.
    world.decisions = [*world.decisions, decided("one", "cancel", world.now)]
    world.submissions = [submission()]
    records = fold_events(world.log)
    is_open = records.is_empty() or world.record()["state"] in IN_PRODUCTION
    world.settle()
    assert (world.record()["state"] == "cancelled") == is_open


def act_event_id(decision: Decision) -> str:
    line = [decision.action, decision.actor, decision.at.isoformat(), decision.reason]
    return evidence_id("one", ACTIONS[decision.action], line)
