from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from ytap_assets.domain.production.events import RULES, check_event
from ytap_assets.errors import TransitionRefusedError
from ytap_assets.tables.production import EVENT_TYPES, STATES


def is_legal(from_state: str | None, to_state: str) -> bool:
    """Whether an event of some type moves a script so; an import is no move."""
    for event_type in RULES:
        with suppress(TransitionRefusedError):
            check_event(event_type, from_state, to_state)
            return True
    return False


def test_transitions_agree_with_the_worked_examples(
    vectors: Callable[[str], list[dict[str, Any]]],
) -> None:
    for candidate in vectors("transitions"):
        legal = is_legal(candidate["from_state"], candidate["to_state"])
        assert legal == candidate["legal"], candidate


def test_a_legal_move_is_let_through() -> None:
    check_event("published", "ready_for_publish", "published")


@pytest.mark.parametrize(
    ("from_state", "reached"),
    [
        (None, ["script_pending_review"]),
        ("ready_for_generation", ["video_pending_review", "cancelled"]),
        ("ready_for_publish", ["published", "cancelled"]),
        ("published", []),
        ("rejected", []),
        ("nowhere", []),
    ],
)
def test_the_states_that_can_follow(from_state: str | None, reached: list[str]) -> None:
    assert [state for state in STATES if is_legal(from_state, state)] == reached


def test_every_type_of_event_has_its_rule() -> None:
    assert {*RULES, "imported"} == set(EVENT_TYPES)


@pytest.mark.parametrize("to_state", STATES)
@pytest.mark.parametrize("from_state", [None, *STATES])
def test_an_import_may_enter_any_state(from_state: str | None, to_state: str) -> None:
    check_event("imported", from_state, to_state)


@pytest.mark.parametrize("from_state", STATES)
def test_an_older_import_leaves_the_state_as_it_is(from_state: str) -> None:
    check_event("imported", from_state, None)


@pytest.mark.parametrize(
    ("event_type", "from_state", "to_state", "says"),
    [
        ("imported", None, None, "imported into None"),
        ("imported", None, "nowhere", "imported into 'nowhere'"),
        ("exploded", None, None, "'exploded' is not an event type"),
        ("script_approved", "ready_for_generation", None, "it needs script_pending_review"),
        ("script_submitted", "published", "script_pending_review", "it needs no record"),
        ("script_approved", "script_pending_review", "ready_for_generation", "no other state"),
        ("published", "ready_for_publish", None, "leads to published"),
        ("sent_back", "video_pending_review", "rejected", "leads to ready_for_generation"),
    ],
)
def test_an_event_must_fit_the_states_it_names(
    event_type: str, from_state: str | None, to_state: str | None, says: str
) -> None:
    with pytest.raises(TransitionRefusedError, match=says):
        check_event(event_type, from_state, to_state)
