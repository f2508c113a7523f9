from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.sources.collect import collect_video_metrics, open_session
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.sources.source import Fetch, Responses
from ytap_assets.sources.youtube import YouTubeStats, batch_videos
from ytap_assets.sources.youtube_data import videos_url
from ytap_assets.tables import VIDEO_METRICS
from ytap_assets_tests.sources.support import (
    HN,
    NOW,
    TODAY,
    answer,
    check_conservation,
    make_session,
    make_settings,
    run,
)

IDS = ["ytapDemo002", "ytapDemo001"]
KEY = {"YOUTUBE_KEY": "youtube-key-0123456789"}


def video(video_id: str, **statistics: str) -> dict[str, Any]:
    return {
        "id": video_id,
        "snippet": {"title": "T", "publishedAt": "2026-11-18T12:00:00Z"},
        "statistics": statistics,
        "contentDetails": {"duration": "PT5M"},
    }


def fetch_metrics(root: Path, handler: Any, ids: list[str], day: date = TODAY) -> list[Fetch]:
    async def work() -> list[Fetch]:
        async with make_session(make_settings(root, **KEY), handler) as session:
            return await collect_video_metrics(HN, ids, day, session=session, run_id="run")

    return run(work())


def test_counts_become_rows_of_video_metrics(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        counts = {"viewCount": "2000", "likeCount": "90", "commentCount": "10"}
        return httpx.Response(200, json={"items": [video("ytapDemo001", **counts)]})

    (fetch,) = fetch_metrics(tmp_path, handler, IDS)
    assert [str(request.url) for request in asked] == [videos_url(id="ytapDemo001,ytapDemo002")]
    assert asked[0].headers["x-goog-api-key"] == KEY["YOUTUBE_KEY"]
    (row,) = VIDEO_METRICS.model.validate(fetch.rows).iter_rows(named=True)
    assert row.pop("collection_id") == fetch.log["collection_id"]
    assert row == {
        "workspace_id": "tech",
        "day": TODAY,
        "platform": "youtube",
        "video_id": "ytapDemo001",
        "observed_at": NOW,
        "views": 2000,
        "likes": 90,
        "comments": 10,
        "engagement_rate_pct": 5.0,
        "title": "T",
        "channel_id": None,
        "published_at": NOW - timedelta(days=2),
        "duration_s": 300,
        "is_settled": False,
    }
    assert fetch.log["outcome"] == "ok"
    assert "no counts for 1 of 2 videos" in fetch.log["detail"]
    assert "ytapDemo002" in fetch.log["detail"]


@pytest.mark.parametrize("statistics", [{}, {"viewCount": "0", "likeCount": "1"}])
def test_without_views_the_rate_is_null(tmp_path: Path, statistics: dict[str, str]) -> None:
    body = {"items": [video("ytapDemo001", **statistics)]}
    (fetch,) = fetch_metrics(tmp_path, lambda _: httpx.Response(200, json=body), IDS[1:])
    assert fetch.rows["engagement_rate_pct"].to_list() == [None]
    assert fetch.log["detail"] is None


def test_unknown_videos_are_an_empty_response(tmp_path: Path) -> None:
    (fetch,) = fetch_metrics(tmp_path, lambda _: httpx.Response(200, json={"items": []}), IDS)
    assert fetch.log["outcome"] == "ok"
    assert fetch.rows.is_empty()
    assert "no counts for 2 of 2 videos" in fetch.log["detail"]


def test_a_past_day_has_no_counts(tmp_path: Path) -> None:
    past = TODAY - timedelta(days=1)
    (fetch,) = fetch_metrics(tmp_path, lambda _: httpx.Response(500), IDS, past)
    assert fetch.log["outcome"] == "unrecoverable"
    assert fetch.log["attempts"] == 0


def test_a_future_day_is_not_fetched(tmp_path: Path) -> None:
    (fetch,) = fetch_metrics(tmp_path, lambda _: httpx.Response(500), IDS, TODAY + timedelta(1))
    assert fetch.log["outcome"] == "unrecoverable"
    assert "is in the future" in fetch.log["detail"]


def test_videos_are_requested_in_sorted_batches_of_fifty() -> None:
    ids = [f"video-{number:05d}" for number in range(120)]
    batches = batch_videos([*reversed(ids), *ids])
    assert [batch.count(",") + 1 for batch in batches] == [50, 50, 20]
    assert ",".join(batches).split(",") == ids
    assert batch_videos([]) == []


def test_an_invalid_video_id_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not YouTube video ids: 'a,b'"):
        batch_videos(["ytapDemo001", "a,b"])


def test_one_failing_batch_does_not_stop_the_other(tmp_path: Path) -> None:
    ids = [f"video-{number:05d}" for number in range(60)]

    def handler(request: httpx.Request) -> httpx.Response:
        if "video-00000" in str(request.url):
            return httpx.Response(400, json={"error": {"message": "bad"}})
        return httpx.Response(200, json={"items": [video(name) for name in ids[50:]]})

    first, second = fetch_metrics(tmp_path, handler, ids)
    assert (first.log["outcome"], first.rows.height) == ("permanent_error", 0)
    assert (second.log["outcome"], second.rows.height) == ("ok", 10)
    check_conservation(second)


@pytest.mark.parametrize(("age", "settled"), [(0, False), (3, False), (4, True), (30, True)])
def test_a_date_settles_four_days_later(age: int, settled: bool) -> None:
    body = answer({"items": [video("ytapDemo001")]}, videos_url(id="ytapDemo001"))
    later = Exchange(body.url, 200, {}, body.body, NOW + timedelta(days=age))
    (row,) = YouTubeStats().parse(Responses(TODAY, [later])).rows
    assert row["is_settled"] is settled


def record(root: Path, ids: list[str], views: int, at: datetime, status: int = 200) -> None:
    """Record one response with several videos and their views."""
    items = [video(one, viewCount=str(views)) for one in ids]
    body = json.dumps({"items": items}).encode()
    recording = Recording("GET", videos_url(id=",".join(ids)), at, status, {}, body)
    append_recording(day_folder(make_settings(root).recordings, TODAY), "youtube_stats", recording)


def replay_metrics(root: Path, ids: list[str]) -> list[Fetch]:
    async def work() -> list[Fetch]:
        async with open_session(make_settings(root, "replay")) as session:
            return await collect_video_metrics(HN, ids, TODAY, session=session, run_id="run")

    return run(work())


_NAMES = [f"video-{number:05d}" for number in range(6)]
_LISTS = st.lists(st.sampled_from(_NAMES), min_size=1, unique=True)


@settings(deadline=None, max_examples=40)
@given(recorded=st.lists(_LISTS, max_size=5), asked=_LISTS)
def test_a_replay_answers_each_video_of_any_list(
    recorded: list[list[str]], asked: list[str]
) -> None:
    last = {name: number for number, names in enumerate(recorded) for name in names}
    with TemporaryDirectory() as folder:
        for number, names in enumerate(recorded):
            record(Path(folder), names, number, NOW + timedelta(minutes=number))
        fetches = replay_metrics(Path(folder), asked)
    rows = [row for fetch in fetches for row in fetch.rows.iter_rows(named=True)]
    assert {row["video_id"]: row["views"] for row in rows} == {
        name: last[name] for name in asked if name in last
    }
    assert len(rows) == len({row["video_id"] for row in rows})
    for row in rows:
        assert row["observed_at"] == NOW + timedelta(minutes=row["views"])
    unknown = sorted(set(asked) - set(last))
    assert [fetch.log["target"] for fetch in fetches if fetch.log["outcome"] == "not_recorded"] == (
        [",".join(unknown)] if unknown else []
    )
    for fetch in fetches:
        assert fetch.log["outcome"] in {"ok", "not_recorded"}
        check_conservation(fetch)


def test_a_video_that_was_not_recorded_is_named_and_affects_no_other(
    tmp_path: Path,
) -> None:
    record(tmp_path, IDS, 7, NOW)
    known, unknown = replay_metrics(tmp_path, [*IDS, "ytapDemo999"])
    assert (known.log["outcome"], known.log["detail"], known.rows.height) == ("ok", None, 2)
    assert (unknown.log["target"], unknown.log["outcome"]) == ("ytapDemo999", "not_recorded")
    assert "not in the recording" in unknown.log["detail"]
    assert "ytapDemo999" in unknown.log["detail"]


def test_a_recorded_failure_is_replayed_for_its_own_videos_only(tmp_path: Path) -> None:
    record(tmp_path, ["ytapDemo001"], 7, NOW)
    record(tmp_path, ["ytapDemo002", "ytapDemo003"], 0, NOW, status=503)
    good, failed = replay_metrics(tmp_path, ["ytapDemo001", "ytapDemo003"])
    assert (good.log["outcome"], good.rows["views"].to_list()) == ("ok", [7])
    assert (failed.log["target"], failed.log["outcome"]) == ("ytapDemo003", "transient_error")


def test_a_video_that_was_missing_in_the_recording_is_missing(tmp_path: Path) -> None:
    record(tmp_path, ["ytapDemo001"], 7, NOW)
    folder = day_folder(make_settings(tmp_path).recordings, TODAY)
    gone = Recording("GET", videos_url(id=",".join(sorted(IDS))), NOW, 200, {}, b'{"items": []}')
    append_recording(folder, "youtube_stats", gone)
    (fetch,) = replay_metrics(tmp_path, ["ytapDemo001"])
    assert (fetch.log["outcome"], fetch.rows.height) == ("ok", 0)
    assert "no counts for 1 of 1 videos" in fetch.log["detail"]
