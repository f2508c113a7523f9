from __future__ import annotations

import json
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import events_to_frame
from ytap_assets.domain.production.jobs import JobReport
from ytap_assets.domain.production.lines import FieldError, Lines, read_lines
from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.production.rules import Rules
from ytap_assets.domain.production.script_lines import (
    HISTORY_LIMITS,
    History,
    find_missing,
    read_history,
    write_histories,
)
from ytap_assets_tests.domain.production.test_decide import full_world
from ytap_assets_tests.domain.production.test_edits import edit
from ytap_assets_tests.domain.production.test_fold import PAYLOADS, logs
from ytap_assets_tests.domain.production.worlds import NOW, World, hours, submission
from ytap_assets_tests.effort import examples

RECORDED = NOW
VALID = PAYLOADS.map(
    lambda payload: {
        **payload,
        "job_id": "j",
        "topic_url": payload.get("topic_url") and "https://news.example/a",
        "video_id": payload.get("video_id") and "ytapDemo001",
    }
)
"""Payloads that no rule of a file refuses."""


def read(text: str) -> Lines[History]:
    return read_lines(text, partial(read_history, now=NOW), limits=HISTORY_LIMITS)


def read_back(log: pl.DataFrame) -> pl.DataFrame:
    """The log as another lake gets it: its histories, numbered anew in their order."""
    lines = read("\n".join(write_histories(log)))
    assert not lines.bad
    events = [one.event for line in lines.good for one in line.row.events]
    assert {one.recorded_at for line in lines.good for one in line.row.events} <= {RECORDED}
    frame = events_to_frame(events, recorded_at=RECORDED)
    return frame.with_columns(seq=pl.int_range(1, frame.height + 1, dtype=pl.Int64))


def without_seq(log: pl.DataFrame) -> pl.DataFrame:
    order = pl.col("seq").rank("ordinal").over("script_id")
    return log.with_columns(seq=order.cast(pl.Int64)).sort("workspace_id", "script_id", "seq")


def test_all_events_of_a_script_come_back() -> None:
    world = full_world(rules=Rules())
    world.settle()
    assert_frame_equal(without_seq(read_back(world.log)), without_seq(world.log))


@given(logs(VALID))
@settings(max_examples=examples(30))
def test_any_log_comes_back(log: pl.DataFrame) -> None:
    assume("e-3" not in "".join(log["payload"]))  # such a number comes in no line of a file
    own = log.filter(workspace_id="a").with_columns(
        content_id=pl.lit(None, pl.String), recorded_at=pl.lit(RECORDED)
    )
    # An edit of any type of value is no edit that could have been stored.
    edited = own.filter(type="script_edited")["script_id"].implode()
    own = own.filter(~pl.col("script_id").is_in(edited))
    back = read_back(own)
    columns = [name for name in own.columns if name not in ("seq", "content_id")]
    assert_frame_equal(without_seq(back)[columns], without_seq(own)[columns])
    assert_frame_equal(fold_events(back).drop("last_seq"), fold_events(own).drop("last_seq"))


def test_what_an_edit_brings_is_computed_from_the_script() -> None:
    world = World(submissions=[submission(body="First this.")])
    world.tick("submit_scripts")
    changed = edit(hours(3), text="Then that.")
    world.append([changed])
    back = read_back(world.log)
    expected = edit(hours(3), title=submission().payload["title"], text="Then that.").content_id
    assert back["content_id"].to_list() == [world.log["content_id"][0], expected]


def history(**changes: Any) -> dict[str, Any]:
    world = World(submissions=[submission()])
    world.tick("submit_scripts")
    [line] = write_histories(world.log)
    content: dict[str, Any] = json.loads(line)
    event = {
        name.removeprefix("event_"): changes.pop(name)
        for name in list(changes)
        if name.startswith("event_")
    }
    content["events"][0] |= event
    return content | changes


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "version: 2 is not 1"),
        ({"script_id": "../up"}, "script_id"),
        ({"events": []}, "events: expected a list of objects"),
        ({"events": [1]}, "events: expected a list of objects"),
        ({"events": None}, "events: missing"),
        ({"event_type": "exploded"}, "event 1: type"),
        ({"event_to_state": "nowhere"}, "event 1: to_state"),
        ({"event_to_state": "published"}, "do not follow from each other"),
        ({"event_from_state": "published"}, "do not follow from each other"),
        ({"event_payload": "text"}, "event 1: payload: expected an object"),
        ({"event_reason": 5}, "event 1: reason: expected a text"),
        ({"event_recorded_at": "2027-01-01T00:00:00Z"}, "is in the future"),
        ({"event_occurred_at": "0001-01-01T00:00:00Z"}, "is not between 1970"),
        ({"event_actor": "two\nlines"}, "a name in one line"),
        ({"event_event_id": "x" * 101}, "longer than 100"),
    ],
)
def test_what_is_no_history_is_told(changes: dict[str, Any], says: str) -> None:

    lines = read(json.dumps(history(**changes)) + "\n")
    assert not lines.good
    assert says in lines.bad[0].reason


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "text"},
        {"title": {"new": "a"}},
        {"title": {"old": None, "new": None}},
        {"title": {"old": None, "new": 5}},
        {"state": {"old": "a", "new": "b"}},
        {"estimated_cost_usd_micros": {"old": 1, "new": "2"}},
        {"text": {"old": "a", "new": ["b"]}},
    ],
)
def test_an_edit_that_could_not_have_been_stored_is_told(payload: dict[str, Any]) -> None:
    content = history()
    first = content["events"][0]
    edited = first | {
        "event_id": "e",
        "type": "script_edited",
        "from_state": "script_pending_review",
        "to_state": None,
        "payload": payload,
    }
    lines = read(json.dumps(content | {"events": [first, edited]}) + "\n")
    assert "event 2: payload" in lines.bad[0].reason


def test_an_event_that_is_there_twice_is_told() -> None:
    content = history()
    lines = read(json.dumps(content | {"events": content["events"] * 2}) + "\n")
    assert "is in it twice" in lines.bad[0].reason


@given(st.integers(0, 4), st.integers(0, 4))
def test_a_log_lacks_what_follows_its_own_events(stored: int, exported: int) -> None:
    world = full_world()
    world.settle()
    line = read(next(iter(write_histories(world.log)))).good[0].row
    ids = [one.event.event_id for one in line.events]
    part = History(line.script_id, line.workspace_id, line.events[:exported])
    missing = find_missing(part, {name: place for place, name in enumerate(ids[:stored])})
    assert [one.event.event_id for one in missing] == ids[stored:exported]


def test_another_history_of_the_script_is_refused() -> None:
    world = full_world()
    world.settle()
    line = read(next(iter(write_histories(world.log)))).good[0].row
    with pytest.raises(FieldError, match="other events here"):
        find_missing(line, {line.events[0].event.event_id: 1, "other": 2})


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("script_submitted", {"estimated_cost_usd_micros": -5}),
        ("script_submitted", {"estimated_cost_usd_micros": True}),
        ("script_submitted", {"topic_url": "javascript:alert(1)"}),
        ("script_submitted", {"title": ["a"]}),
        ("script_submitted", {"title": "a" * 501}),
        ("script_submitted", {"segments": "a"}),
        ("imported", {"cost_usd_micros": -7_000_000}),
        ("imported", {"video_id": "nope"}),
    ],
)
def test_values_that_a_file_may_not_have_are_refused(kind: str, payload: dict[str, Any]) -> None:
    world = World(submissions=[submission()])
    world.tick("submit_scripts")
    [line] = map(json.loads, write_histories(world.log))
    line["events"][0] |= {"type": kind, "payload": payload}
    [bad] = read(json.dumps(line)).bad
    assert f"payload: {next(iter(payload))}" in bad.reason


def test_a_report_about_a_job_is_checked_as_in_its_file() -> None:
    rules = Rules(script_approval="policy")
    world = World(
        rules=rules, submissions=[submission()], jobs=[JobReport("one", "j", "queued", NOW)]
    )
    world.settle()
    [line] = map(json.loads, write_histories(world.log))
    assert not read(json.dumps(line)).bad
    line["events"][-1]["payload"]["quantities"] = {"images": -1}
    assert "quantities" in read(json.dumps(line)).bad[0].reason
