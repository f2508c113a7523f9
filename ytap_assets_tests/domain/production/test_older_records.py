from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import Event, admit, events_to_frame
from ytap_assets.domain.production.evidence import script_content_id
from ytap_assets.domain.production.lines import Fields, parse_object
from ytap_assets.domain.production.older_records import (
    LEGACY_STATES,
    BadRecord,
    OlderRecord,
    plan_import,
    read_older_record,
)
from ytap_assets.domain.production.records import fold_events, videos_from_records
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets_tests.domain.production.worlds import NOW

SAVED = "2025-10-25T18:18:04.536095"


def content(**changes: Any) -> dict[str, Any]:
    """A record of the datastore with which nothing is wrong, but for the changes."""
    record = {
        "script_internal_id": "e067cb54-b978-4df4-a96b-7f823ec171cc",
        "production_state": "SCRIPT_PENDING_REVIEW",
        "saved_at": SAVED,
        "title": "Python for beginners",
        "script": {"hook": "Attention!", "full_voiceover_text": "First this, then that."},
        "final_script": "HOOK: Attention!",
        "youtube_video_id": None,
        "voice_provider_used": None,
        "visuals": {"scenes": [{"scene_id": 1, "est_duration_seconds": 4.5}]},
    }
    return record | changes


def read(**changes: Any) -> OlderRecord | BadRecord:
    line = json.dumps(content(**changes)).encode()
    return read_older_record(Fields(parse_object(line)), NOW)


def good(**changes: Any) -> OlderRecord:
    record = read(**changes)
    assert isinstance(record, OlderRecord), record
    return record


def plan(*records: OlderRecord, stored: pl.DataFrame | None = None) -> list[Event]:
    log = PRODUCTION_EVENTS.empty() if stored is None else stored
    planned = plan_import("tech", [(one, "file, line 1") for one in records], log)
    return [event for events in planned.values() for event in events]


def append(log: pl.DataFrame, events: list[Event]) -> pl.DataFrame:
    """The log with events that the lake would admit."""
    states = {
        ("tech", row[0]): row[1]
        for row in fold_events(log).select("script_id", "state").iter_rows()
    }
    admission = admit(events, states)
    assert list(admission.admitted) == events
    seq = pl.int_range(1, len(events) + 1, dtype=pl.Int64) + log.height
    return log.vstack(events_to_frame(events, recorded_at=NOW).with_columns(seq=seq))


def record_of(log: pl.DataFrame) -> dict[str, Any]:
    return fold_events(log).row(0, named=True)


def test_a_record_becomes_one_event_with_its_whole_content() -> None:
    [event] = plan(good(video_provider_used="VEO"))
    assert (event.type, event.from_state, event.to_state) == (
        "imported",
        None,
        "script_pending_review",
    )
    assert event.occurred_at == datetime.fromisoformat(SAVED).replace(tzinfo=UTC)
    assert json.loads(json.dumps(event.payload["extra"], default=float)) == content(
        video_provider_used="VEO"
    )
    assert event.content_id == script_content_id(
        {"title": "Python for beginners", "body": "First this, then that."}
    )
    folded = record_of(append(PRODUCTION_EVENTS.empty(), [event]))
    assert (folded["title"], folded["hook"], folded["generation_method"]) == (
        "Python for beginners",
        "Attention!",
        "VEO",
    )


def test_the_text_is_the_voiceover_or_else_the_final_script() -> None:
    assert good().payload["body"] == "First this, then that."
    assert good(script={"hook": "Attention!"}).payload["body"] == "HOOK: Attention!"
    assert "body" not in good(script=None, final_script=None).payload


@pytest.mark.parametrize(("theirs", "ours"), LEGACY_STATES.items())
def test_every_state_of_the_datastore_is_one_of_ours(theirs: str, ours: str) -> None:
    assert good(production_state=theirs).state == ours
    assert plan(good(production_state=theirs))[-1].to_state == ours


def test_a_scheduled_record_keeps_its_schedule_and_its_approvals() -> None:
    record = good(
        production_state="SCHEDULED_ON_YOUTUBE",
        youtube_video_id="ytapDemo001",
        actual_publish_at="2025-10-26T20:00:00+02:00",
        script_approved_by="ada@example.com",
        script_approved_at="2025-10-25T18:30:00",
        approved_by="bob@example.com",
        approved_at_iso="2025-10-25T19:00:00Z",
    )
    log = append(PRODUCTION_EVENTS.empty(), plan(record))
    folded = record_of(log)
    assert (folded["state"], folded["video_id"]) == ("ready_for_publish", "ytapDemo001")
    assert folded["script_approved_by"] == "person:ada@example.com"
    assert folded["video_approved_by"] == "person:bob@example.com"
    assert folded["published_at"] is None
    payload = json.loads(log["payload"][0])
    assert payload["scheduled_for"] == "2025-10-26T18:00:00+00:00"
    assert payload["script_approved_at"] == "2025-10-25T18:30:00+00:00"
    assert payload["video_approved_at"] == "2025-10-25T19:00:00+00:00"


def test_without_a_date_of_the_upload_the_schedule_is_the_planned_one() -> None:
    record = good(
        production_state="SCHEDULED_ON_YOUTUBE", proposed_publish_at="2025-10-27T18:00:00Z"
    )
    assert record.payload["scheduled_for"] == "2025-10-27T18:00:00+00:00"
    assert "scheduled_for" not in good(proposed_publish_at="2025-10-27T18:00:00Z").payload


def test_a_published_video_is_an_event_of_its_own_that_names_the_video() -> None:
    record = good(
        production_state="PUBLISHED",
        youtube_video_id="ytapDemo001",
        actual_publish_at="2025-10-26T18:00:00Z",
    )
    events = plan(record)
    assert [event.type for event in events] == ["imported", "published"]
    assert events[1].content_id == "youtube:ytapDemo001"
    log = append(PRODUCTION_EVENTS.empty(), events)
    assert record_of(log)["published_at"] == datetime(2025, 10, 26, 18, tzinfo=UTC)
    assert videos_from_records(fold_events(log))["video_id"].to_list() == ["ytapDemo001"]
    assert not plan(record, stored=log)


def test_a_placeholder_is_no_video() -> None:
    assert "video_id" not in good(youtube_video_id="PENDING_HUMAN_REVIEW").payload


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"script_internal_id": None}, "script_internal_id: missing"),
        ({"script_internal_id": "../up"}, "script_internal_id"),
        ({"production_state": "DONE"}, "'DONE' is not one of"),
        ({"production_state": "published"}, "'published' is not one of"),
        ({"production_state": None}, "production_state: missing"),
        ({"saved_at": None}, "saved_at: missing"),
        ({"saved_at": "yesterday"}, "saved_at: 'yesterday' is not an instant"),
        ({"saved_at": "2026-11-20T12:00:01Z"}, "is in the future"),
        ({"saved_at": "0001-01-01T00:00:00"}, "is before 2005"),
        ({"title": 5}, "title: expected a text"),
        ({"script": "text"}, "script: expected an object"),
        ({"script": {"hook": 5}}, "hook: expected a text"),
        ({"youtube_video_id": "mock_video_123"}, "is not a YouTube video's id"),
        ({"script_approved_by": "two\nlines"}, "a name in one line"),
        ({"savedAt": SAVED}, "did you mean `saved_at`"),
        (
            {"production_state": "PUBLISHED", "actual_publish_at": "2027-01-01T00:00:00Z"},
            "is in the future, but the state is PUBLISHED",
        ),
    ],
)
def test_what_is_no_record_is_told(changes: dict[str, Any], says: str) -> None:
    bad = read(**changes, workspace_id="theirs")
    assert isinstance(bad, BadRecord)
    assert says in bad.reason
    assert bad.owner == "theirs"


def test_snapshots_become_a_history_in_the_order_in_which_they_were_saved() -> None:
    first = good(script_approved_by="ada", production_state="READY_FOR_GENERATION")
    second = good(saved_at="2025-10-25T19:00:00", production_state="VIDEO_PENDING_REVIEW")
    log = append(PRODUCTION_EVENTS.empty(), plan(second, first, second))
    assert log["to_state"].to_list() == ["ready_for_generation", "video_pending_review"]
    folded = record_of(log)
    assert folded["script_approved_by"] == "person:ada"
    assert folded["created_at"] == datetime.fromisoformat(SAVED).replace(tzinfo=UTC)


def test_of_snapshots_saved_at_once_the_later_state_follows() -> None:
    states = ["SCHEDULED_ON_YOUTUBE", "VIDEO_PENDING_REVIEW", "READY_FOR_GENERATION"]
    log = append(PRODUCTION_EVENTS.empty(), plan(*(good(production_state=one) for one in states)))
    assert log["to_state"].to_list() == [
        "ready_for_generation",
        "video_pending_review",
        "ready_for_publish",
    ]
    assert log["occurred_at"].is_sorted()
    assert log["occurred_at"].n_unique() == 3


def test_an_older_snapshot_does_not_move_the_script_back() -> None:
    newer = good(saved_at="2025-10-26T08:00:00", production_state="VIDEO_PENDING_REVIEW")
    log = append(PRODUCTION_EVENTS.empty(), plan(newer))
    before = record_of(log)
    log = append(log, plan(good(title="An older title"), stored=log))
    after = record_of(log)
    assert {name for name in after if after[name] != before[name]} == {"events", "last_seq"}
    older = log.row(1, named=True)
    assert (older["from_state"], older["to_state"]) == ("video_pending_review", None)
    assert json.loads(older["payload"])["older"]["title"] == "An older title"
    assert not plan(good(title="An older title"), stored=log)


def test_a_snapshot_that_is_older_than_our_own_decision_does_not_undo_it() -> None:
    log = append(PRODUCTION_EVENTS.empty(), plan(good()))
    script_id = log["script_id"][0]
    cancelled = Event(
        "c", "tech", script_id, "cancelled", "script_pending_review", "cancelled", "person:a", NOW
    )
    log = append(log, [cancelled])
    later = good(saved_at="2025-12-01T08:00:00", production_state="PUBLISHED")
    log = append(log, plan(later, stored=log))
    assert record_of(log)["state"] == "cancelled"


STATES_OF_SNAPSHOTS = st.sampled_from(sorted(LEGACY_STATES))
SNAPSHOTS = st.builds(
    lambda script, state, minute, title: good(
        script_internal_id=script,
        production_state=state,
        saved_at=f"2025-10-25T18:{minute:02}:00",
        title=title,
        youtube_video_id="ytapDemo00" + script,
    ),
    st.sampled_from("12"),
    STATES_OF_SNAPSHOTS,
    st.integers(0, 3),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(SNAPSHOTS, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_files_makes_no_difference_and_repeating_adds_nothing(
    records: list[OlderRecord], random: Any
) -> None:
    shuffled = [*records, *records]
    random.shuffle(shuffled)
    log = append(PRODUCTION_EVENTS.empty(), plan(*records))
    assert_frame_equal(append(PRODUCTION_EVENTS.empty(), plan(*shuffled)), log)
    assert not plan(*shuffled, stored=log)
    imported = log.filter(type="imported")
    assert imported.height == len({(one.script_id, one.content) for one in records})


@given(st.lists(SNAPSHOTS, min_size=1, max_size=8), st.data())
def test_files_imported_one_after_another_end_in_the_same_state(
    records: list[OlderRecord], data: st.DataObject
) -> None:
    at_once = append(PRODUCTION_EVENTS.empty(), plan(*records))
    log = PRODUCTION_EVENTS.empty()
    for record in data.draw(st.permutations(records)):
        log = append(log, plan(record, stored=log.filter(script_id=record.script_id)))
    facts = ["script_id", "state", "title", "video_id"]
    assert_frame_equal(fold_events(log)[facts], fold_events(at_once)[facts])
