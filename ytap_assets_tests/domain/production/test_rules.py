"""Rules: who may decide, how many persons must approve, and when the policy approves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ytap_assets.domain.production.candidates import list_candidates
from ytap_assets.domain.production.rules import Rules, format_usd
from ytap_assets.errors import TransitionRefusedError
from ytap_assets_tests.domain.production.test_decide import full_world
from ytap_assets_tests.domain.production.test_gates import RECORD
from ytap_assets_tests.domain.production.worlds import (
    World,
    decided,
    hours,
    submission,
    video_folder,
)

ADA, BOB, EVE = (f"person:{name}" for name in ("ada", "bob", "eve"))
TWO = Rules(approvers=("ada", "bob"), two_persons_above_usd_micros=1_500_000)
VIDEO = replace(RECORD, state="video_pending_review")


def test_anyone_may_decide_without_a_list() -> None:
    assert Rules().find_stranger("whoever") is None
    assert TWO.find_stranger("ada") is None
    assert "approval.approvers" in str(TWO.find_stranger("Eve"))
    assert "did you mean ada?" in str(TWO.find_stranger("Ada"))


@pytest.mark.parametrize("record", [RECORD, VIDEO])
def test_above_the_limit_two_different_persons_must_approve(record: Any) -> None:
    assert TWO.find_missing(record, [])
    assert "$2.00" in str(TWO.find_missing(record, [ADA]))
    assert TWO.find_missing(record, [ADA, ADA])
    assert TWO.find_missing(record, [ADA, BOB]) is None
    cheap = replace(record, estimated_cost_usd_micros=1_500_000, cost_usd_micros=1_500_000)
    assert TWO.find_missing(cheap, [ADA]) is None
    unknown = replace(record, estimated_cost_usd_micros=None, cost_usd_micros=None)
    assert "unknown" in str(TWO.find_missing(unknown, [ADA]))


def test_the_approval_of_a_person_who_left_the_list_does_not_count() -> None:
    assert TWO.find_missing(RECORD, [ADA, EVE])
    assert Rules(approvers=("ada",)).find_missing(RECORD, [EVE])


def test_neither_the_policy_nor_an_unknown_kind_of_actor_replaces_a_person() -> None:
    assert TWO.find_missing(RECORD, [ADA, "policy"])
    assert TWO.find_missing(RECORD, [ADA, "bob"])
    assert Rules().find_missing(RECORD, ["policy"]) is None
    assert Rules().find_missing(RECORD, ["sensor:x"])


def test_an_approval_counts_until_nothing_is_missing() -> None:
    assert TWO.find_repetition(RECORD, [], ADA) is None
    assert TWO.find_repetition(RECORD, [ADA], ADA)
    assert TWO.find_repetition(RECORD, [ADA], BOB) is None
    assert "person:ada, person:bob" in str(TWO.find_repetition(RECORD, [ADA, BOB], ADA))
    assert Rules().find_repetition(RECORD, [ADA], BOB)


@pytest.mark.parametrize(
    ("limits", "changes", "why"),
    [
        ({}, {}, None),
        ({"script_approval": "person"}, {}, "a person"),
        ({"policy_min_score": 80}, {"script_quality": 80.0}, None),
        ({"policy_min_score": 80}, {"script_quality": 79.5}, "79.5 is below 80"),
        ({"policy_min_score": 80}, {"script_quality": None}, "unknown"),
        ({"policy_max_cost_usd_micros": 2_000_000}, {}, None),
        ({"policy_max_cost_usd_micros": 1_999_999}, {}, "$1.999999"),
        ({"policy_max_cost_usd_micros": 1}, {"estimated_cost_usd_micros": None}, "unknown"),
        ({"two_persons_above_usd_micros": 1_000_000}, {}, "two_persons_above_usd"),
    ],
)
def test_the_policy_approves_above_a_score_and_below_a_cost(
    limits: dict[str, Any], changes: dict[str, Any], why: str | None
) -> None:
    rules = Rules(**{"script_approval": "policy", **limits})
    found = rules.find_policy_obstacle(replace(RECORD, **changes))
    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


def test_a_video_is_judged_by_its_own_score_and_cost() -> None:
    rules = Rules(
        video_approval="policy", policy_min_score=95, policy_max_cost_usd_micros=3_000_000
    )
    assert rules.find_policy_obstacle(replace(VIDEO, quality_score=95.0)) is None
    assert rules.find_policy_obstacle(replace(VIDEO, quality_score=94.0, script_quality=99.0))
    assert rules.find_policy_obstacle(replace(VIDEO, quality_score=95.0, cost_usd_micros=3_000_001))


def test_dollars_show_no_more_digits_than_they_have() -> None:
    assert [format_usd(1_500_000), format_usd(1), format_usd(12_000_000_000)] == [
        "$1.50",
        "$0.000001",
        "$12,000.00",
    ]


def test_one_approval_of_two_moves_nothing() -> None:
    world = full_world(rules=TWO, decisions=[decided("one", "approve_script", hours(2))])
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert world.record()["script_approvers"] == [ADA]
    world.decisions = [*world.decisions, decided("one", "approve_script", hours(3), actor="bob")]
    world.settle()
    assert world.record()["script_approvers"] == [ADA, BOB]
    assert world.record()["state"] == "video_pending_review"
    [moved] = [
        payload
        for kind, payload in world.log.select("type", "payload").iter_rows()
        if kind == "generation_started"
    ]
    assert moved == '{"approved_by":"person:ada, person:bob"}'


def test_two_lines_of_one_person_are_one_approval() -> None:
    lines = [decided("one", "approve_script", hours(at)) for at in (2, 3)]
    world = full_world(rules=TWO, decisions=lines)
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert world.record()["script_approvers"] == [ADA]


@pytest.mark.parametrize("action", ["approve_script", "reject", "cancel"])
def test_a_decision_of_a_stranger_has_no_effect_and_is_reported(action: str) -> None:
    decision = decided("one", action, hours(2), actor="eve")
    world = World(rules=TWO, submissions=[submission()], decisions=[decision])
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert "approval.approvers" in world.ignored()[decision]


def test_the_policy_leaves_expensive_scripts_to_persons() -> None:
    rules = replace(TWO, script_approval="policy", video_approval="policy")
    world = full_world(rules=rules, decisions=[], folders={"one": video_folder()})
    world.settle()
    assert world.record()["state"] == "script_pending_review"
    assert world.record()["failed_gates"] == []


def test_a_stranger_at_the_keyboard_is_refused() -> None:
    world = World(rules=TWO, submissions=[submission()])
    world.settle()
    state = "script_pending_review"
    [candidate] = list_candidates(world.evidence(), "decide", state, world.now)
    with pytest.raises(TransitionRefusedError, match="approvers"):
        candidate.decide(decided("one", "reject", world.now, actor="eve"), "id")


def test_the_awaited_approval_names_who_may_give_it_and_why_the_policy_does_not() -> None:
    assert Rules().find_awaited(RECORD, []) == "approval by a person"
    assert Rules().find_awaited(RECORD, [ADA]) is None
    assert Rules(script_approval="policy").find_awaited(RECORD, []) is None
    assert TWO.find_awaited(RECORD, []) == "approval by ada or bob"
    second = str(TWO.find_awaited(RECORD, [ADA]))
    assert second.startswith("approval by bob: approved by ada")
    strict = Rules(script_approval="policy", policy_min_score=80)
    assert "score is unknown" in str(strict.find_awaited(RECORD, []))
