from __future__ import annotations

from collections.abc import Sequence

from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import (
    RULES,
    Admission,
    Event,
    admit,
    admit_frame,
    current_states,
    events_to_frame,
)
from ytap_assets.tables.production import PRODUCTION_EVENTS
from ytap_assets_tests.domain.production.worlds import NOW, START, World, decided, hours, submission


def event(kind: str, from_state: str | None, script_id: str = "one", **changes: str) -> Event:
    return Event(
        event_id=changes.get("event_id", f"{script_id} {kind} {from_state}"),
        workspace_id=changes.get("workspace_id", "tech"),
        script_id=script_id,
        type=kind,
        from_state=from_state,
        to_state=RULES[kind].to_state,
        actor="person:ada",
        occurred_at=START,
    )


def reasons(admission: Admission) -> list[str]:
    return [refusal.reason for refusal in admission.refused]


def ids(events: Sequence[Event]) -> list[str]:
    return [event.event_id for event in events]


def test_of_two_reviewers_the_first_wins_and_the_second_is_told() -> None:
    state = "video_pending_review"
    rejected, sent_back = event("rejected", state), event("sent_back", state)
    admission = admit([rejected, sent_back], {("tech", "one"): state})
    assert admission.admitted == (rejected,)
    assert [refusal.event for refusal in admission.refused] == [sent_back]
    assert reasons(admission) == [
        "script one: sent_back expected video_pending_review, but it is now in rejected; "
        "check the script and decide again"
    ]


def test_events_of_one_batch_see_what_the_ones_before_did() -> None:
    batch = [
        event("script_submitted", None),
        event("script_approved", "script_pending_review"),
        event("generation_started", "script_pending_review"),
        event("job_queued", "ready_for_generation"),
        event("video_completed", "ready_for_generation"),
    ]
    admission = admit(batch, {})
    assert admission.admitted == tuple(batch)
    assert ids([refusal.event for refusal in admit(batch[::-1], {}).refused]) == ids(batch[:0:-1])


def test_scripts_and_workspaces_do_not_see_each_other() -> None:
    current = {("tech", "one"): "ready_for_publish", ("fitness", "one"): "rejected"}
    admission = admit(
        [
            event("published", "ready_for_publish"),
            event("published", "ready_for_publish", workspace_id="fitness"),
            event("published", "ready_for_publish", script_id="two"),
        ],
        current,
    )
    assert ids(admission.admitted) == ["one published ready_for_publish"]
    assert reasons(admission) == [
        "script one: published expected ready_for_publish, but it is now in rejected; "
        "check the script and decide again",
        "script two has no record",
    ]


def test_an_illegal_event_is_refused_even_where_the_state_agrees() -> None:
    admission = admit([event("script_approved", "published")], {("tech", "one"): "published"})
    assert reasons(admission) == [
        "script one: script_approved is not allowed in published; it needs script_pending_review"
    ]


def test_a_known_event_changes_nothing_and_is_no_refusal() -> None:
    submitted = event("script_submitted", None)
    admission = admit(
        [submitted], {("tech", "one"): "published"}, known_ids=[("tech", submitted.event_id)]
    )
    assert admission == Admission((), (), (submitted,))
    assert admit([submitted, submitted], {}) == Admission((submitted,), (), (submitted,))


def test_an_id_known_in_another_workspace_is_another_event() -> None:
    submitted = event("script_submitted", None)
    admission = admit([submitted], {}, known_ids=[("fitness", submitted.event_id)])
    assert admission.admitted == (submitted,)


def test_rows_are_admitted_like_events() -> None:
    world = World(
        submissions=[submission("one"), submission("two", title="Another")],
        decisions=[decided("one", "approve_script", hours(1))],
    )
    world.settle()
    late = event("rejected", "script_pending_review")
    fitting = event("job_queued", "ready_for_generation")
    new = events_to_frame([late, fitting, fitting], recorded_at=NOW)
    rows, admission = admit_frame(new, world.log.sample(fraction=1, shuffle=True, seed=1))
    assert_frame_equal(rows, new[1:2])
    assert (len(admission.refused), len(admission.duplicates)) == (1, 1)


def test_admitting_stored_rows_again_appends_none() -> None:
    world = World(submissions=[submission()], decisions=[decided("one", "cancel", hours(1))])
    world.settle()
    rows, admission = admit_frame(world.log, world.log)
    assert rows.is_empty()
    assert len(admission.duplicates) == world.log.height
    assert admit_frame(PRODUCTION_EVENTS.empty(), world.log)[0].is_empty()


def test_current_states_follow_the_sequence_not_the_rows() -> None:
    world = World(
        submissions=[submission()],
        decisions=[decided("one", "approve_script", hours(1)), decided("one", "cancel", hours(3))],
    )
    world.tick("submit_scripts")
    world.tick("start_generation")
    assert current_states(world.log.reverse()) == {("tech", "one"): "cancelled"}
    assert current_states(world.log.filter(seq=1)) == {("tech", "one"): "script_pending_review"}
    assert current_states(PRODUCTION_EVENTS.empty()) == {}
