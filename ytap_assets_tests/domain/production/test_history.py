"""Stays in states, records as of an instant, and waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import IN_PRODUCTION
from ytap_assets.domain.production.history import (
    OCCURRED,
    RECORDED,
    Clock,
    describe_waits,
    fold_until,
    measure_stays,
    states_at,
    summarize_waits,
)
from ytap_assets.domain.production.records import find_moves, find_visits, fold_events
from ytap_assets.domain.production.rules import Rules
from ytap_assets.tables.production import PRODUCTION_EVENTS, PRODUCTION_RECORDS, SCRIPT_STATES
from ytap_assets_tests.domain.production.test_fold import fold_slowly, logs
from ytap_assets_tests.domain.production.worlds import START, hours
from ytap_assets_tests.effort import examples

NOW = hours(48)
SCRIPT = ["workspace_id", "script_id"]
MINUTES = st.integers(-6, 6).map(lambda minutes: START + timedelta(minutes=minutes))


def log(*moves: tuple[str, float, str | None], workspace_id: str = "tech") -> pl.DataFrame:
    """Script, hours after the beginning, and the state that was entered; in order of seq."""
    return PRODUCTION_EVENTS.frame(
        [
            {
                "workspace_id": workspace_id,
                "event_id": str(seq),
                "seq": seq,
                "script_id": script,
                "type": "imported" if state else "gates_evaluated",
                "to_state": state,
                "actor": f"person:{seq}",
                "occurred_at": hours(at),
                "recorded_at": hours(at + 100 - seq),
                "payload": "{}",
            }
            for seq, (script, at, state) in enumerate(moves, start=1)
        ]
    )


SENT_BACK = log(
    ("one", 0, "script_pending_review"),
    ("one", 1, None),
    ("one", 2, "ready_for_generation"),
    ("one", 5, "video_pending_review"),
    ("one", 6, "ready_for_generation"),
    ("one", 6, "video_pending_review"),
)


@given(logs(), MINUTES)
@settings(max_examples=examples(60), deadline=None)
def test_stays_at_an_instant_are_the_fold_of_what_had_occurred(
    events: pl.DataFrame, at: datetime
) -> None:
    folded = fold_slowly(events.filter(pl.col("occurred_at") <= at))
    then = states_at(find_visits(events), at).sort(SCRIPT)
    assert_frame_equal(
        then.select(*SCRIPT, "state", pl.col("entered_at").alias("state_since")),
        folded.select(*SCRIPT, "state", "state_since"),
    )


@given(logs())
@settings(max_examples=examples(30), deadline=None)
def test_the_last_stay_is_the_record(events: pl.DataFrame) -> None:
    visits = find_visits(events)
    last = visits.filter(pl.col("left_at").is_null())
    assert_frame_equal(
        last.select(*SCRIPT, "state", "entered_at"),
        fold_events(events).select(*SCRIPT, "state", pl.col("state_since").alias("entered_at")),
    )
    assert (visits.filter(pl.col("left_at").is_not_null())["hours"] >= 0).all()


@given(logs())
@settings(max_examples=examples(30), deadline=None)
def test_stays_of_a_script_follow_each_other_without_gaps(events: pl.DataFrame) -> None:
    for own in find_visits(events).partition_by(SCRIPT):
        assert own["left_at"].to_list() == [*own["entered_at"][1:], None]
        assert own["next_state"].to_list() == [*own["state"][1:], None]
        numbers = own.with_row_index().with_columns(pl.int_range(1, pl.len() + 1).over("state"))
        assert own["visit"].to_list() == numbers["literal"].to_list()


@given(logs(), st.integers(0, 1000), st.sampled_from("ab"))
@settings(max_examples=examples(15), deadline=None)
def test_stays_depend_on_the_script_alone(
    events: pl.DataFrame, seed: int, workspace_id: str
) -> None:
    shuffled = events.sample(fraction=1, shuffle=True, seed=seed)
    own = pl.col("workspace_id") == workspace_id
    assert_frame_equal(find_visits(shuffled.filter(own)), find_visits(events).filter(own))


@given(logs(), st.integers(-2, 2))
@settings(max_examples=examples(30), deadline=None)
def test_the_moves_of_days_are_the_states_at_their_ends(events: pl.DataFrame, days: int) -> None:
    spread = events.with_columns(
        pl.col("occurred_at") + pl.duration(days=pl.col("occurred_at").dt.minute() % 3)
    )
    end = START.replace(hour=0) + timedelta(days=days + 1)
    moves = find_moves(spread).filter(pl.col("day") < end.date())
    then = states_at(find_visits(spread), end - timedelta(microseconds=1))
    assert_frame_equal(
        moves.group_by(SCRIPT, maintain_order=True).agg(pl.col("state").last()),
        then.select(*SCRIPT, "state"),
    )


def test_a_script_that_was_sent_back_has_a_second_visit() -> None:
    visits = find_visits(SENT_BACK)
    assert dict(visits.schema) == dict(SCRIPT_STATES.schema)
    columns = ("entered_seq", "state", "visit", "hours", "actor", "next_state")
    assert visits.select(columns).rows() == [
        (1, "script_pending_review", 1, 2.0, "person:1", "ready_for_generation"),
        (3, "ready_for_generation", 1, 3.0, "person:3", "video_pending_review"),
        (4, "video_pending_review", 1, 1.0, "person:4", "ready_for_generation"),
        (5, "ready_for_generation", 2, 0.0, "person:5", "video_pending_review"),
        (6, "video_pending_review", 2, None, "person:6", None),
    ]


def test_of_moves_at_one_time_the_last_stored_counts() -> None:
    [then] = states_at(find_visits(SENT_BACK), hours(6)).to_dicts()
    assert (then["state"], then["visit"]) == ("video_pending_review", 2)


def test_a_move_that_occurred_after_a_later_one_was_never_true() -> None:
    visits = find_visits(
        log(("one", 0, "published"), ("one", 9, "rejected"), ("one", 4, "cancelled"))
    )
    assert visits.select("state", "entered_at", "left_at").rows() == [
        ("published", hours(0), hours(4)),
        ("cancelled", hours(4), None),
    ]


def test_an_empty_log_has_no_stays() -> None:
    assert_frame_equal(find_visits(PRODUCTION_EVENTS.empty()), SCRIPT_STATES.empty())


@pytest.mark.parametrize(
    ("clock", "state"), [(OCCURRED, "ready_for_generation"), (RECORDED, "script_pending_review")]
)
def test_what_was_true_differs_from_what_was_known(clock: Clock, state: str) -> None:
    moves = log(("one", 0, "script_pending_review"), ("one", 1, "ready_for_generation"))
    events = moves.with_columns(recorded_at=pl.Series([hours(2), hours(8)]))
    assert fold_until(events, hours(5), clock)["state"].to_list() == [state]


def test_an_instant_before_a_script_has_no_record_of_it() -> None:
    events = log(("one", 1, "script_pending_review"))
    assert fold_until(events, hours(1) - timedelta(microseconds=1)).is_empty()
    assert fold_until(events, hours(1)).height == 1


def test_time_in_state_is_of_the_stays_that_ended_in_the_period() -> None:
    ends = {"a": 1, "b": 2, "c": 11, "late": 30}
    moves = [(name, 0.0, "script_pending_review") for name in ends]
    moves += [(name, float(at), "rejected") for name, at in ends.items()]
    visits = find_visits(pl.concat([log(*moves), log(*moves[:1], workspace_id="finance")]))
    found = {
        (row["workspace_id"], row["state"]): row
        for row in measure_stays(visits, hours(1), hours(30)).to_dicts()
    }
    assert list(found) == [("tech", "rejected"), ("tech", "script_pending_review")]
    waited, rejected = found["tech", "script_pending_review"], found["tech", "rejected"]
    assert (waited["entered"], waited["left"]) == (0, 3)
    assert (waited["median_hours"], waited["max_hours"]) == (2.0, 11.0)
    assert waited["p90_hours"] == pytest.approx(9.2)
    assert (rejected["entered"], rejected["median_hours"]) == (3, None)


@given(logs())
@settings(max_examples=examples(20), deadline=None)
def test_whoever_entered_a_state_left_it_or_is_in_it(events: pl.DataFrame) -> None:
    visits = find_visits(events)
    totals = (
        measure_stays(visits, START - timedelta(days=1), START + timedelta(days=1))
        .with_columns((pl.col("entered") - pl.col("left")).alias("now"))
        .select("workspace_id", "state", "now")
    )
    now = {(name, state): count for name, state, count in totals.iter_rows() if count}
    records = fold_events(events).group_by("workspace_id", "state").len().iter_rows()
    assert now == {(name, state): count for name, state, count in records}


def record(state: str, waited: float, **given: Any) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "script_id": f"{state}-{waited}",
        "state": state,
        "failed_gates": [],
        "job_attempts": 0,
        "created_at": START,
        "state_since": NOW - timedelta(hours=waited),
        "events": 1,
        "last_seq": 1,
        **given,
    }


def limits(max_hours: float | None, **given: Any) -> dict[str, Rules]:
    return {"tech": Rules(max_hours=dict.fromkeys(IN_PRODUCTION, max_hours), **given)}


def waits(rules: dict[str, Rules], *rows: dict[str, Any]) -> pl.DataFrame:
    return describe_waits(PRODUCTION_RECORDS.frame(list(rows)), rules, NOW)


@pytest.mark.parametrize(("max_hours", "is_stuck"), [(9.99, True), (10.0, False), (None, False)])
def test_a_script_is_stuck_beyond_the_limit_of_its_state(
    max_hours: float | None, *, is_stuck: bool
) -> None:
    [found] = waits(limits(max_hours), record("ready_for_publish", 10)).to_dicts()
    assert (found["hours"], found["is_stuck"]) == (10.0, is_stuck)


def test_a_state_without_a_limit_has_no_stuck_scripts() -> None:
    rules = {"tech": Rules(max_hours={"ready_for_generation": 1.0})}
    found = waits(rules, record("ready_for_publish", 10), record("ready_for_generation", 9))
    assert found.select("max_hours", "is_stuck").rows() == [(None, False), (1.0, True)]


def test_each_workspace_has_its_own_limits() -> None:
    rows = [record("ready_for_publish", 10, workspace_id=name) for name in ("tech", "finance")]
    found = waits({**limits(1), "finance": Rules()}, *rows)
    assert found.select("workspace_id", "is_stuck").rows() == [("finance", False), ("tech", True)]


SCRIPT_POLICY = {"script_approval": "policy"}
TWO = {"approvers": ("Ada", "Bo", "Cy", "Di", "Ed", "Flo"), "two_persons_above_usd_micros": 1}


@pytest.mark.parametrize(
    ("given", "rules", "expected"),
    [
        ({"state": "script_pending_review"}, {}, ["approval by a person"]),
        ({"state": "script_pending_review"}, SCRIPT_POLICY, ["the next run"]),
        (
            {"state": "script_pending_review"},
            {**SCRIPT_POLICY, "policy_min_score": 80},
            [
                "approval by a person: the policy does not approve: the score is unknown"
                " (approval.policy_min_score: 80)"
            ],
        ),
        (
            {"state": "script_pending_review"},
            TWO,
            ["approval by Ada or Bo or Cy or 3 others"],
        ),
        (
            {"state": "script_pending_review", "script_approvers": ["person:Bo"]},
            {**TWO, "approvers": ("Ada", "Bo")},
            [
                "approval by Ada: approved by Bo; another person must approve, too: the cost is"
                " unknown (approval.two_persons_above_usd: $0.000001)"
            ],
        ),
        (
            {"state": "video_pending_review", "failed_gates": ["quality: 78 is below 85"]},
            {},
            ["gate quality: 78 is below 85", "approval by a person"],
        ),
        (
            {
                "state": "video_pending_review",
                "failed_gates": ["a: b"],
                "video_approvers": ["policy"],
            },
            {},
            ["gate a: b"],
        ),
        (
            {"state": "video_pending_review", "script_approvers": ["person:Ada"]},
            {},
            ["approval by a person"],
        ),
        ({"state": "ready_for_generation"}, {}, ["a finished video"]),
        (
            {"state": "ready_for_generation", "job_status": "failed"},
            {},
            ["another generation: the last one failed"],
        ),
        ({"state": "ready_for_publish"}, {}, ["an upload of the video"]),
        (
            {"state": "ready_for_publish", "failed_gates": ["upload: it is in the future"]},
            {},
            ["gate upload: it is in the future"],
        ),
    ],
)
def test_a_wait_names_what_is_missing(
    given: dict[str, Any], rules: dict[str, Any], expected: list[str]
) -> None:
    state = given["state"]
    rest = {name: value for name, value in given.items() if name != "state"}
    [found] = waits(limits(1, **rules), record(state, 1, **rest)).to_dicts()
    assert found["waits_for"] == expected


@given(logs())
@settings(max_examples=examples(20), deadline=None)
def test_every_script_in_production_waits_for_something(events: pl.DataFrame) -> None:
    records = fold_events(events)
    found = describe_waits(records, {"a": Rules(), "b": Rules()}, NOW)
    in_production = records.filter(pl.col("state").is_in(IN_PRODUCTION))
    assert found.height == in_production.height == summarize_waits(found)["scripts"].sum()
    assert (found["waits_for"].list.len() > 0).all()


def test_waits_are_summarized_by_state() -> None:
    found = waits(
        limits(20),
        record("video_pending_review", 5),
        record("script_pending_review", 30),
        record("script_pending_review", 10),
        record("published", 99),
    )
    columns = ("state", "scripts", "oldest_hours", "max_hours", "stuck")
    assert summarize_waits(found).select(columns).rows() == [
        ("script_pending_review", 2, 30.0, 20.0, 1),
        ("video_pending_review", 1, 5.0, 20.0, 0),
    ]
