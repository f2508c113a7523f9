from __future__ import annotations

import json
from typing import Any

import pytest

from ytap_assets.domain.production.inbox import Upload, find_upload_problem
from ytap_assets_tests.domain.production.worlds import hours, parse_uploads

CHANNEL = "UC" + "a" * 22
LINE: dict[str, Any] = {
    "script_id": "one",
    "video_id": "ytapDemo001",
    "channel_id": CHANNEL,
    "published_at": "2026-11-10T09:00:00Z",
}


def log(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_a_video_may_be_uploaded_first_and_published_later() -> None:
    waiting = LINE | {"published_at": None, "channel_id": None}
    parsed = parse_uploads(log(waiting, LINE, LINE))
    assert parsed.rows == (
        Upload("one", "ytapDemo001", None, None),
        Upload("one", "ytapDemo001", CHANNEL, hours(0)),
    )
    assert len(parsed.repeated) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"video_id": "short"}, "video_id: 'short' is not a YouTube video's id"),
        ({"video_id": "ytapDemo001\n"}, "is not a YouTube video's id"),
        ({"video_id": None}, "video_id: missing"),
        ({"channel_id": "@handle"}, "channel_id: '@handle' is not a YouTube channel's id"),
        ({"published_at": "2026-11-10"}, "published_at: '2026-11-10' has no timezone"),
        ({"publishedAt": None}, "'publishedAt': unknown key; did you mean `published_at`?"),
        ({"published_at": None, "published": "2026-11-10"}, "did you mean `published_at`?"),
        ({"Channel_ID": CHANNEL}, "did you mean `channel_id`?"),
        ({"script_id": "a/b"}, "script_id: 'a/b' is not a script's id"),
    ],
)
def test_what_is_no_upload_is_a_bad_line(changes: dict[str, Any], reason: str) -> None:
    parsed = parse_uploads(log(LINE | changes))
    assert parsed.rows == ()
    assert reason in parsed.bad[0].reason


@pytest.mark.parametrize(
    ("state", "published", "problem"),
    [
        (None, None, "no script with this id"),
        (None, 5, "no script with this id"),
        ("rejected", 5, "public since"),
        ("cancelled", 5, "public since"),
        ("video_pending_review", 5, "public since"),
        ("video_pending_review", 7, None),
        ("rejected", None, None),
        ("ready_for_publish", 5, None),
        ("published", 5, None),
    ],
)
def test_a_public_video_needs_a_script_that_was_cleared(
    state: str | None, published: int | None, problem: str | None
) -> None:
    at = None if published is None else hours(published)
    found = find_upload_problem(Upload("one", "ytapDemo001", None, at), state, hours(6))
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_a_script_has_one_video_and_a_video_one_script() -> None:
    parsed = parse_uploads(
        log(LINE, LINE | {"video_id": "ytapDemo002"}, LINE | {"script_id": "two"})
    )
    assert len(parsed.rows) == 1
    assert [bad.reason for bad in parsed.bad] == [
        "video_id: in an earlier line, this script has the video ytapDemo001",
        "video_id: in an earlier line, this video belongs to script one",
    ]
