from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.events import TAKEN
from ytap_assets.domain.production.records import (
    TAKEN_COLUMNS,
    find_taken_topics,
    fold_events,
)
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS


def events(*rows: tuple[int, str, str, str | None]) -> pl.DataFrame:
    """Day of November, script, type, state it led to."""

    def payload(script: str, kind: str) -> str:
        named = '{"title": "On %s", "topic_url": "https://www.a.example/%s/?utm_source=x"}'
        return named % (script, script) if kind == "script_submitted" else "{}"

    common: dict[str, Any] = {"workspace_id": "tech", "actor": "policy"}
    return PRODUCTION_EVENTS.frame(
        [
            {
                **common,
                "event_id": str(seq),
                "seq": seq,
                "script_id": script,
                "type": kind,
                "to_state": state,
                "occurred_at": datetime(2026, 11, day, 9, tzinfo=UTC),
                "recorded_at": datetime(2026, 11, day, 9, tzinfo=UTC),
                "payload": payload(script, kind),
            }
            for seq, (day, script, kind, state) in enumerate(rows, start=1)
        ]
    )


def november(day: int) -> date:
    return date(2026, 11, day)


NO_RECORDS = PRODUCTION_RECORDS.empty()


def spans(log: pl.DataFrame) -> list[tuple[Any, ...]]:
    found = find_taken_topics(NO_RECORDS, log)
    return found.select("script_id", "first_day", "last_day").sort("first_day").rows()


def test_a_topic_is_taken_from_the_day_after_its_script_was_submitted() -> None:
    log = events((3, "one", "script_submitted", "script_pending_review"))
    assert spans(log) == [("one", november(4), None)]
    (topic,) = find_taken_topics(NO_RECORDS, log).rows(named=True)
    assert (topic["title"], topic["canonical_url"]) == ("On one", "https://a.example/one")


def test_a_rejected_script_gives_its_topic_back() -> None:
    log = events(
        (3, "one", "script_submitted", "script_pending_review"),
        (5, "one", "rejected", "rejected"),
    )
    assert spans(log) == [("one", november(4), november(5))]


def test_a_script_that_moves_on_goes_on_keeping_its_topic() -> None:
    log = events(
        (3, "one", "script_submitted", "script_pending_review"),
        (3, "one", "generation_started", "ready_for_generation"),
        (6, "one", "published", "published"),
        (4, "two", "script_submitted", "script_pending_review"),
    )
    assert spans(log) == [
        ("one", november(4), november(6)),
        ("two", november(5), None),
        ("one", november(7), None),
    ]


def test_no_events_take_no_topics() -> None:
    assert find_taken_topics(NO_RECORDS, PRODUCTION_EVENTS.empty()).is_empty()


def test_scripts_that_did_not_change_are_taken_as_their_records_say() -> None:
    log = events(
        (1, "one", "script_submitted", "script_pending_review"),
        (2, "one", "generation_started", "ready_for_generation"),
        (1, "two", "script_submitted", "script_pending_review"),
        (2, "two", "rejected", "rejected"),
        (1, "three", "script_submitted", "script_pending_review"),
        (4, "three", "cancelled", "cancelled"),
    )
    is_changed = pl.col("script_id") == "three"
    records = fold_events(log.filter(~is_changed))
    found = find_taken_topics(
        records.filter(pl.col("state").is_in(TAKEN)).select(TAKEN_COLUMNS), log.filter(is_changed)
    )

    whole = find_taken_topics(NO_RECORDS, log)
    third = november(3)  # from this day on nothing happened to any script but the third
    theirs, all_of_it = (
        rows.filter(pl.col("last_day").fill_null(date.max) >= third)
        .with_columns(pl.max_horizontal("first_day", pl.lit(third)))
        .sort("script_id")
        for rows in (found, whole)
    )
    assert_frame_equal(theirs, all_of_it)
    assert theirs["script_id"].to_list() == ["one", "three"]
