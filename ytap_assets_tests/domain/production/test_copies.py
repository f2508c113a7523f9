"""One script or video in two workspaces is recognized, and the later one is the copy."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.production.events import Event, Script
from ytap_assets.domain.production.evidence import (
    Claim,
    ContentLog,
    Original,
    claim_content,
    describe_copy,
    fill_content_ids,
    read_contents,
    script_content_id,
    video_content_id,
)
from ytap_assets.tables.production import PRODUCTION_EVENTS
from ytap_assets_tests.domain.production.worlds import START, World, submission

BODY = {"title": "Forty services", "body": "One binary. No regrets."}


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "FORTY  services", "body": "one binary.\nno regrets."},
        {"title": "Forty services", "segments": ["One binary.", {"text": "No regrets."}]},
        {"title": "Forty ser\u00advices", "body": "One bi\u200bnary. No regrets.", "hook": "Hm?"},
    ],
)
def test_the_same_words_are_the_same_script(payload: dict[str, Any]) -> None:
    assert script_content_id(payload) == script_content_id(BODY)


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "Fifty services", "body": BODY["body"]},
        {"title": BODY["title"], "body": "One binary. Some regrets."},
        {"body": BODY["body"]},
    ],
)
def test_a_template_with_another_title_or_text_is_another_script(payload: dict[str, Any]) -> None:
    assert script_content_id(payload) != script_content_id(BODY)


def test_a_script_that_says_nothing_is_like_no_other() -> None:
    assert script_content_id({"title": "Forty services", "body": " \u200b"}) is None
    assert script_content_id({}) is None


def test_a_video_is_its_largest_file_whatever_lies_beside_it() -> None:
    video, captions, other = (900, "v"), (20, "c"), (900, "w")
    assert video_content_id([video]) == video_content_id([captions, video])
    assert video_content_id([video, other]) == video_content_id([other, video])
    assert video_content_id([video]) != video_content_id([captions])
    assert video_content_id([video, captions]) != video_content_id([(899, "w"), captions])
    assert video_content_id([(900, ""), captions]) == video_content_id([captions])
    assert video_content_id([]) is video_content_id([(900, "")]) is None


def events(*rows: tuple[str, str, str, int, str | None, dict[str, Any]]) -> Any:
    names = ("workspace_id", "script_id", "type", "seq", "content_id", "payload")
    frame = [dict(zip(names, row, strict=True)) for row in rows]
    return PRODUCTION_EVENTS.frame([row | {"payload": json.dumps(row["payload"])} for row in frame])


def test_older_events_are_named_by_what_they_hold() -> None:
    found = fill_content_ids(
        events(
            ("tech", "one", "script_submitted", 1, None, BODY),
            ("tech", "one", "gates_evaluated", 2, None, {}),
            ("tech", "one", "video_completed", 3, None, {"files": [{"sha256": "a"}]}),
            ("tech", "one", "published", 4, None, {"video_id": "ytapDemo001"}),
            ("tech", "two", "imported", 5, None, {"video_id": 3}),
            ("tech", "two", "video_completed", 6, None, {"files": 3}),
            ("tech", "two", "script_submitted", 7, "script:x", {}),
        )
    )
    assert found["content_id"].to_list() == [
        script_content_id(BODY),
        video_content_id([(0, "a")]),
        "youtube:ytapDemo001",
        "script:x",
    ]


def test_the_last_of_each_kind_counts_and_what_is_to_come_counts_before() -> None:
    log = events(
        ("tech", "one", "script_submitted", 1, "script:a", {}),
        ("tech", "one", "video_completed", 3, "video:a", {}),
        ("tech", "one", "video_completed", 5, "video:b", {}),
        ("tech", "two", "script_submitted", 6, "script:c", {}),
    )
    one = ("tech", "one")
    contents = read_contents(log)
    assert claim_content([one], contents, []) == {one: [Claim("script:a", 1), Claim("video:b", 5)]}
    to_come = Event("e", *one, "video_completed", None, None, "x", START, content_id="video:c")
    claims = claim_content([one], contents, [to_come])
    assert claims == {one: [Claim("script:a", 1), Claim("video:c", None)]}


@pytest.mark.parametrize(
    ("own", "state", "is_copy"),
    [
        (None, "published", True),
        (None, "script_pending_review", True),
        (9, "ready_for_publish", True),
        (3, "ready_for_publish", False),
        (None, "rejected", False),
        (None, "cancelled", False),
        (None, None, False),
    ],
)
def test_the_first_is_the_original_while_it_is_not_given_up(
    own: int | None, state: str | None, is_copy: bool
) -> None:
    others = events(("tech", "one", "script_submitted", 5, "script:a", {}))
    log = stored(others, {("tech", "one"): state} if state else {})
    claims = [Claim("script:a", own)]
    originals = (Original("tech", "one", "script:a"),) if is_copy else ()
    assert log.find_originals(("food", "mine"), claims) == originals
    assert log.find_originals(("tech", "mine"), claims) == ()


def stored(rows: pl.DataFrame, states: dict[Script, str], *batch: str) -> ContentLog:
    log = ContentLog(batch)
    log.add_stored(
        fill_content_ids(rows).with_columns(is_older=rows["content_id"].is_null()), states
    )
    return log


def test_further_copies_do_not_change_the_original() -> None:
    rows = events(
        ("food", "late", "script_submitted", 7, "script:a", {}),
        ("tech", "one", "script_submitted", 5, "script:a", {}),
    )
    log = stored(rows, dict.fromkeys([("tech", "one"), ("food", "late")], "script_pending_review"))
    for seq in (None, 9):
        found = log.find_originals(("mine", "x"), [Claim("script:a", seq)])
        assert found == (Original("tech", "one", "script:a"),)


def test_an_older_event_is_compared_with_scripts_of_the_same_name() -> None:
    rows = events(("tech", "one", "script_submitted", 5, None, BODY))
    log = stored(rows, {("tech", "one"): "published"})
    claims = [Claim(str(script_content_id(BODY)), None)]
    assert len(log.find_originals(("food", "one"), claims)) == 1
    assert log.find_originals(("food", "other"), claims) == ()


def pending(workspace_id: str, to_state: str, content_id: str | None = "script:a") -> Event:
    return Event(
        event_id="e",
        workspace_id=workspace_id,
        script_id="one",
        type="script_submitted",
        from_state=None,
        to_state=to_state,
        actor="x",
        occurred_at=START,
        content_id=content_id,
    )


def test_a_workspace_sees_what_those_before_it_store_in_the_end() -> None:
    log = ContentLog(["a", "b", "c"])
    claims = [Claim("script:a", None)]
    log.replace_pending([pending("a", "script_pending_review"), pending("a", "rejected", None)])
    assert log.find_originals(("b", "one"), claims) == ()
    log.replace_pending([pending("b", "script_pending_review")])
    assert log.find_originals(("a", "one"), claims) == ()
    assert log.find_originals(("c", "one"), claims) == (Original("b", "one", "script:a"),)
    assert log.find_originals(("c", "one"), [Claim("script:a", 3)]) == ()


def test_a_stored_original_that_is_given_up_in_the_batch_is_free_for_those_after_it() -> None:
    rows = events(("b", "one", "script_submitted", 5, "script:a", {}))
    log = stored(rows, {("b", "one"): "script_pending_review"}, "a", "b", "c")
    log.replace_pending([pending("b", "cancelled", None)])
    claims = [Claim("script:a", None)]
    assert log.find_originals(("c", "one"), claims) == ()
    assert log.find_originals(("a", "one"), claims) == (Original("b", "one", "script:a"),)


def test_the_reason_names_the_other_script_and_the_way_out_once() -> None:
    one = [Original("tech", "one", "script:a"), Original("tech", "one", "video:b")]
    copy = ("finance", "later")
    why = str(describe_copy(one, copy))
    assert "script one of workspace tech has the same text; " in why
    assert "ytap script cancel later -w finance" in why
    assert "cancel one" not in why
    assert describe_copy([*one, Original("food", "x", "script:c")], copy) == why
    assert describe_copy([], copy) is None
    assert "ytap script cancel" not in str(describe_copy(one, copy, is_published=True))


def test_the_events_that_bring_content_name_it() -> None:
    world = World(submissions=[submission()])
    world.tick("submit_scripts")
    assert world.log["content_id"].to_list() == [script_content_id(submission().payload)]
