from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import (
    RULES,
    Event,
    admit,
    check_event,
    current_states,
    events_from_frame,
    events_to_frame,
)
from ytap_assets.domain.production.records import FOLD_VERSION, fold_events
from ytap_assets.tables.production import (
    EVENT_TYPES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    STATES,
)
from ytap_assets_tests.domain.production.worlds import NOW, START
from ytap_assets_tests.effort import examples

SCRIPT_FACTS = (
    *("title", "hook", "topic_url", "generation_method", "estimated_cost_usd_micros"),
    "script_quality",
)
VIDEO_FACTS = ("cost_usd_micros", "quality_score", "duration_s")
PUBLISHING_FACTS = ("video_id", "channel_id")
KEYS = {"script_quality": "quality"}
SAYS = {
    "script_submitted": SCRIPT_FACTS,
    "video_completed": VIDEO_FACTS,
    "quality_check": VIDEO_FACTS,
    "published": PUBLISHING_FACTS,
    "imported": (*SCRIPT_FACTS, *VIDEO_FACTS, *PUBLISHING_FACTS),
}


def apply_event(record: Mapping[str, Any], seq: int, event: Event) -> dict[str, Any]:
    """One event on one record: the slow and plain form of the fold."""
    new: dict[str, Any] = dict(record) or {
        **dict.fromkeys(PRODUCTION_RECORDS.schema.names()),
        "workspace_id": event.workspace_id,
        "script_id": event.script_id,
        "failed_gates": [],
        "script_approvers": [],
        "video_approvers": [],
        "job_attempts": 0,
        "events": 0,
    }
    if event.to_state is not None:
        new["created_at"] = new["created_at"] or event.occurred_at
        new.update(state=event.to_state, state_since=event.occurred_at, failed_gates=[])
        if event.to_state == "script_pending_review":
            new.update(script_approved_by=None, script_approvers=[])
        if event.to_state in ("video_pending_review", "ready_for_generation"):
            new.update(video_approved_by=None, video_approvers=[])
    if event.type == "video_completed":
        new.update(dict.fromkeys(VIDEO_FACTS))
    if event.type == "script_edited":
        new.update(edited_at=event.occurred_at, script_approved_by=None, script_approvers=[])
    said = {name: value for name, value in stated(event).items() if value is not None}
    new.update(said)
    for kind in ("script", "video"):
        if actor := said.get(f"{kind}_approved_by"):
            known = new[f"{kind}_approvers"]
            new[f"{kind}_approvers"] = list(dict.fromkeys([*known, actor]))
    if event.type == "gates_evaluated":
        new["failed_gates"] = event.payload.get("failed_gates", [])
    new.update(report_job(new, event))
    new.update(events=new["events"] + 1, last_seq=seq, fold_version=FOLD_VERSION)
    return new


def report_job(record: Mapping[str, Any], event: Event) -> dict[str, Any]:
    """What a report about a job changes: the latest one counts."""
    if not event.type.startswith("job_"):
        return {}
    attempts = record["job_attempts"] + (event.type == "job_queued")
    if event.occurred_at < record.get("_job_at", event.occurred_at):
        return {"job_attempts": attempts}
    status = event.type.removeprefix("job_")
    return {"job_attempts": attempts, "job_status": status, "_job_at": event.occurred_at}


def stated(event: Event) -> dict[str, Any]:
    """What an event says about its record."""
    if event.type == "script_edited":
        keys = {name: KEYS.get(name, name) for name in SCRIPT_FACTS}
        edits = {name: event.payload[key] for name, key in keys.items() if key in event.payload}
        return {name: edit["new"] for name, edit in edits.items()}
    if event.type in ("script_approved", "video_approved"):
        return {f"{event.type}_by": event.actor}
    facts = {name: event.payload.get(KEYS.get(name, name)) for name in SAYS.get(event.type, ())}
    if event.type == "imported":
        people = {
            name: event.payload.get(name) for name in ("script_approved_by", "video_approved_by")
        }
        facts |= {name: f"person:{one}" for name, one in people.items() if one is not None}
    return facts


def fold_slowly(log: pl.DataFrame) -> pl.DataFrame:
    records: dict[tuple[str, str], dict[str, Any]] = {}
    ordered = log.sort("seq")
    for seq, event in zip(ordered["seq"], events_from_frame(ordered), strict=True):
        script = (event.workspace_id, event.script_id)
        records[script] = apply_event(records.get(script, {}), seq, event)
    entered = [script for script in sorted(records) if records[script].get("state")]
    names = PRODUCTION_RECORDS.schema.names()
    rows = [{name: records[script][name] for name in names} for script in entered]
    return PRODUCTION_RECORDS.frame(rows)


TEXTS = st.none() | st.sampled_from(["a", 'with "quotes" and \\', "zwölf\nLinien", "[1]", "null"])
NUMBERS = st.none() | st.integers(0, 5_000_000)
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("title", "hook", "topic_url", "video_id", "generation_method"), TEXTS),
        **dict.fromkeys(("estimated_cost_usd_micros", "cost_usd_micros"), NUMBERS),
        **dict.fromkeys(("quality", "quality_score", "duration_s"), st.none() | st.floats(0, 100)),
        **dict.fromkeys(("script_approved_by", "video_approved_by"), st.none() | st.just("eve")),
        "failed_gates": st.lists(st.sampled_from(["topic: told", 'schema: "no" title', "[x], ]"])),
    },
)
CHANGES = st.fixed_dictionaries({"old": TEXTS, "new": TEXTS})
EDITS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("title", "hook", "topic_url", "generation_method"), CHANGES)
)


@st.composite
def logs(draw: st.DrawFn, payloads: st.SearchStrategy[dict[str, Any]] = PAYLOADS) -> pl.DataFrame:
    """A log as the lake would hold it: events at random, those that are refused left out."""
    states: dict[tuple[str, str], str] = {}
    admitted: list[Event] = []
    for number in range(draw(st.integers(0, 25))):
        script = (draw(st.sampled_from("ab")), draw(st.sampled_from("xyz")))
        state = states.get(script)
        possible = [kind for kind, rule in RULES.items() if state in rule.from_states]
        kind = draw(st.sampled_from([*possible, "imported"]))
        into = draw(st.sampled_from(STATES)) if kind == "imported" else RULES[kind].to_state
        event = Event(
            event_id=str(number),
            workspace_id=script[0],
            script_id=script[1],
            type=kind,
            from_state=state,
            to_state=into,
            actor=f"person:{draw(st.sampled_from(['ada', 'bob']))}",
            occurred_at=START + timedelta(minutes=draw(st.integers(-5, 5))),
            payload=draw(EDITS if kind == "script_edited" else payloads),
        )
        admitted += admit([event], states).admitted
        if into:
            states[script] = into
    frame = events_to_frame(admitted, recorded_at=NOW)
    return frame.with_columns(seq=3 * pl.int_range(1, frame.height + 1, dtype=pl.Int64))


@given(logs())
@settings(max_examples=examples(30), deadline=None)
def test_folding_is_applying_events_one_by_one(log: pl.DataFrame) -> None:
    assert_frame_equal(fold_events(log), fold_slowly(log))


@given(logs(), st.integers(0, 1000))
@settings(max_examples=examples(15), deadline=None)
def test_the_order_of_rows_does_not_matter(log: pl.DataFrame, seed: int) -> None:
    shuffled = log.sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(fold_events(shuffled), fold_events(log))


@given(logs())
@settings(max_examples=examples(15), deadline=None)
def test_every_state_was_reached_by_legal_events(log: pl.DataFrame) -> None:
    states: dict[tuple[str, str], str] = {}
    for event in events_from_frame(log):
        script = (event.workspace_id, event.script_id)
        assert event.from_state == states.get(script)
        check_event(event.type, event.from_state, event.to_state)
        if event.to_state:
            states[script] = event.to_state
    folded = {(row[0], row[1]): row[2] for row in fold_events(log).iter_rows()}
    assert folded == states == current_states(log)


@given(logs(), st.sampled_from("ab"))
@settings(max_examples=examples(10), deadline=None)
def test_workspaces_fold_apart(log: pl.DataFrame, workspace_id: str) -> None:
    own = pl.col("workspace_id") == workspace_id
    assert_frame_equal(fold_events(log.filter(own)), fold_events(log).filter(own))


def log_of(*events: tuple[str, str | None, str]) -> pl.DataFrame:
    """Events of one script: type, to_state and payload as written."""
    return PRODUCTION_EVENTS.frame(
        [
            {
                "workspace_id": "tech",
                "event_id": str(seq),
                "seq": seq,
                "script_id": "one",
                "type": kind,
                "to_state": to_state,
                "actor": "import",
                "occurred_at": START,
                "recorded_at": NOW,
                "payload": payload,
            }
            for seq, (kind, to_state, payload) in enumerate(events, start=1)
        ]
    )


def test_an_empty_log_folds_into_no_records() -> None:
    assert_frame_equal(fold_events(PRODUCTION_EVENTS.empty()), PRODUCTION_RECORDS.empty())


def test_a_script_that_never_entered_a_state_has_no_record() -> None:
    assert fold_events(log_of(("quality_check", None, "{}"))).is_empty()


def test_a_second_video_has_no_quality_until_someone_measures_it() -> None:
    first = [
        ("imported", "ready_for_generation", "{}"),
        ("video_completed", "video_pending_review", '{"quality_score":91,"cost_usd_micros":5}'),
        ("video_approved", None, "{}"),
        ("sent_back", "ready_for_generation", "{}"),
    ]
    second = ("video_completed", "video_pending_review", '{"duration_s":60}')
    record = fold_events(log_of(*first, second)).row(0, named=True)
    assert (record["quality_score"], record["cost_usd_micros"]) == (None, None)
    assert (record["duration_s"], record["video_approved_by"]) == (60.0, None)
    measured = fold_events(log_of(*first, second, ("quality_check", None, '{"quality_score":88}')))
    assert measured["quality_score"].item() == 88.0


def test_payloads_speak_only_of_what_is_theirs() -> None:
    log = log_of(
        ("script_submitted", "script_pending_review", '{"title":"Mine","video_id":"ytapDemo001"}'),
        ("quality_check", None, '{"title":"Not mine","state":"published","failed_gates":["x"]}'),
    )
    record = fold_events(log).row(0, named=True)
    assert (record["title"], record["video_id"]) == ("Mine", None)
    assert (record["state"], record["failed_gates"]) == ("script_pending_review", [])


@pytest.mark.parametrize(
    "payload",
    [
        '{"quality_score":"NaN"}',
        '{"quality_score":"Infinity"}',
        '{"quality_score":[90]}',
        '{"quality_score":{"a":90}}',
        '{"quality_score":null}',
        '{"cost_usd_micros":99999999999999999999}',
        '{"published_at":"yesterday"}',
        '{"published_at":17}',
        "[90]",
        "not json",
        "",
    ],
)
def test_a_payload_of_the_wrong_shape_says_nothing(payload: str) -> None:
    record = fold_events(log_of(("imported", "published", payload))).row(0, named=True)
    assert record["state"] == "published"
    assert record["quality_score"] is None
    assert record["cost_usd_micros"] is None
    assert record["published_at"] is None


@pytest.mark.parametrize(
    ("failed", "read"),
    [
        (["topic: told", 'schema: "no", [title] \\'], ["topic: told", 'schema: "no", [title] \\']),
        ([], []),
        (["", "é\n"], ["", "é\n"]),
        ("text", []),
        ([1], []),
        ([["a"]], []),
        ([{"a": 1}], []),
        ({"a": "b"}, []),
        (None, []),
    ],
)
def test_failed_gates_are_a_list_of_texts_or_none(failed: object, read: list[str]) -> None:
    log = log_of(
        ("imported", "video_pending_review", "{}"),
        ("gates_evaluated", None, json.dumps({"failed_gates": failed})),
    )
    assert fold_events(log)["failed_gates"].to_list() == [read]


def test_the_publishing_instant_is_read_whatever_its_zone() -> None:
    payload = '{"published_at":"2026-11-14T10:30:00+01:00","video_id":"ytapDemo001"}'
    record = fold_events(log_of(("imported", "published", payload))).row(0, named=True)
    assert record["published_at"] == START.replace(day=14, hour=9, minute=30)


def test_every_type_of_event_folds() -> None:
    log = log_of(("imported", "published", "{}"), *((kind, None, "{}") for kind in EVENT_TYPES))
    assert fold_events(log)["events"].to_list() == [1 + len(EVENT_TYPES)]


def test_a_hundred_thousand_events_fold_quickly() -> None:
    one = log_of(
        (
            "script_submitted",
            "script_pending_review",
            json.dumps({"title": "t", "body": "b" * 300}),
        ),
        ("script_approved", None, "{}"),
        ("generation_started", "ready_for_generation", "{}"),
        ("video_completed", "video_pending_review", '{"quality_score":88.5,"cost_usd_micros":1}'),
        ("gates_evaluated", None, '{"failed_gates":["quality: 70 is below 85"]}'),
    )
    numbers = pl.DataFrame({"number": pl.int_range(20_000, eager=True)})
    log = one.join(numbers, how="cross").with_columns(
        script_id=pl.col("number").cast(pl.String),
        seq=pl.col("number") * 5 + pl.col("seq"),
    )
    began = time.perf_counter()
    records = fold_events(log.select(PRODUCTION_EVENTS.schema.names()))
    # A quarter of a second is usual; the bound only catches a fall back to row by row.
    assert time.perf_counter() - began < 5
    assert records.height == 20_000
