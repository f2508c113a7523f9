from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.production.events import (
    Event,
    dump_json,
    events_from_frame,
    events_to_frame,
    evidence_id,
)
from ytap_assets.tables.production import PRODUCTION_EVENTS
from ytap_assets_tests.domain.production.worlds import NOW, START

EVENT = Event(
    event_id="01K9ABCDEF",
    workspace_id="tech",
    script_id="one",
    type="published",
    from_state="ready_for_publish",
    to_state="published",
    actor="sensor:confirm_publications",
    occurred_at=START,
    reason=None,
    payload={"video_id": "ytapDemo001", "published_at": "2026-11-14T09:00:00+00:00"},
)


def test_events_become_rows_of_the_table_and_come_back() -> None:
    frame = events_to_frame([EVENT, replace(EVENT, event_id="other")], recorded_at=NOW)
    assert frame.schema == PRODUCTION_EVENTS.schema
    assert frame["seq"].null_count() == 2
    assert frame["recorded_at"].to_list() == [NOW, NOW]
    assert events_from_frame(frame) == [EVENT, replace(EVENT, event_id="other")]


def test_no_events_become_an_empty_frame() -> None:
    frame = events_to_frame([], recorded_at=NOW)
    assert frame.schema == PRODUCTION_EVENTS.schema
    assert events_from_frame(frame) == []


def test_the_same_evidence_gives_the_same_id() -> None:
    first = evidence_id("one", "published", {"a": 1, "b": [2]})
    assert first == evidence_id("one", "published", {"b": [2], "a": 1})
    others = {
        evidence_id("two", "published", {"a": 1, "b": [2]}),
        evidence_id("one", "cancelled", {"a": 1, "b": [2]}),
        evidence_id("one", "published", {"a": 1, "b": [3]}),
        evidence_id("one\npublished", "", {"a": 1, "b": [2]}),
    }
    assert first not in others
    assert len(others) == 4


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_canonical_json_says_what_it_was_made_of(content: dict[str, object]) -> None:
    assert json.loads(dump_json(content)) == content


def test_canonical_json_holds_decimals_and_nothing_else_unknown() -> None:
    assert dump_json({"b": Decimal("0.10"), "a": "é"}) == '{"a":"é","b":0.1}'
    with pytest.raises(TypeError, match="datetime cannot be written"):
        dump_json(NOW)
    with pytest.raises(ValueError, match="Out of range"):
        dump_json(float("nan"))
