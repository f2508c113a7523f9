from __future__ import annotations

from typing import Any

from polars.testing import assert_frame_equal

from ytap_assets.domain.production.records import videos_from_records
from ytap_assets.tables.production import PRODUCTION_RECORDS
from ytap_assets.tables.workspaces import VIDEOS
from ytap_assets_tests.domain.production.worlds import hours


def record(script_id: str, video_id: str | None, **changes: Any) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "script_id": script_id,
        "state": "published",
        "title": script_id.upper(),
        "generation_method": "avatar",
        "video_id": video_id,
        "published_at": hours(1),
    } | changes


def test_published_records_with_a_video_are_the_registry() -> None:
    records = PRODUCTION_RECORDS.frame(
        [
            record("two", "ytapDemo002"),
            record("one", "ytapDemo001", channel_id="UC" + "a" * 22),
            record("none", None),
            record("broken", "ytapDemo003\n"),
            record("scheduled", "ytapDemo004", state="ready_for_publish"),
        ]
    )
    expected = VIDEOS.frame(
        [
            {
                "workspace_id": "tech",
                "video_id": f"ytapDemo00{number}",
                "script_id": script_id,
                "channel_id": channel_id,
                "title": script_id.upper(),
                "generation_method": "avatar",
                "published_at": hours(1),
            }
            for number, script_id, channel_id in ((1, "one", "UC" + "a" * 22), (2, "two", None))
        ]
    )
    assert_frame_equal(videos_from_records(records), expected)


def test_of_records_that_claim_one_video_the_first_published_keeps_it() -> None:
    records = PRODUCTION_RECORDS.frame(
        [
            record("unknown", "ytapDemo001", published_at=None),
            record("late", "ytapDemo001", published_at=hours(2)),
            record("early", "ytapDemo001", published_at=hours(1)),
            record("other", "ytapDemo001", workspace_id="fitness"),
        ]
    )
    videos = videos_from_records(records)
    assert videos["script_id"].to_list() == ["other", "early"]


def test_no_records_are_no_videos() -> None:
    assert_frame_equal(videos_from_records(PRODUCTION_RECORDS.empty()), VIDEOS.empty())
