from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.source import Parsed, Responses
from ytap_assets.sources.youtube import YouTubeCharts, chart_url
from ytap_assets_tests.sources.support import (
    CHANNEL,
    CHARTS,
    NOW,
    TODAY,
    answer,
    check_conservation,
    collect,
    make_settings,
    make_workspace,
    reasons,
)

CHART = chart_url("US/20")
KEY = {"YOUTUBE_KEY": "youtube-key-0123456789"}


def video(**changes: Any) -> dict[str, Any]:
    return {
        "id": "I_GUQdY01b0",
        "snippet": {
            "publishedAt": "2026-11-20T08:00:00Z",
            "channelId": CHANNEL,
            "channelTitle": "The Bench Lab",
            "title": "A &amp; B",
        },
        "statistics": {"viewCount": "1000", "likeCount": "90", "commentCount": "7"},
        "contentDetails": {"duration": "PT3M2S"},
        **changes,
    }


def parse(*bodies: object) -> Parsed:
    return YouTubeCharts().parse(Responses(TODAY, [answer(body, CHART) for body in bodies]))


def test_a_video_becomes_a_row() -> None:
    (row,) = parse({"items": [video()]}).rows
    assert {name: value for name, value in row.items() if value is not None} == {
        "source": "youtube",
        "item_id": "I_GUQdY01b0",
        "observed_at": NOW,
        "title": "A &amp; B",
        "url": "https://www.youtube.com/watch?v=I_GUQdY01b0",
        "discussion_url": "https://www.youtube.com/watch?v=I_GUQdY01b0",
        "published_at": NOW - timedelta(hours=4),
        "likes": 90,
        "comments": 7,
        "views": 1000,
        "list_name": "US/20",
        "rank": 1,
        "region": "US",
        "category": "20",
        "channel_id": CHANNEL,
        "channel_title": "The Bench Lab",
        "duration_s": 182,
        "is_promoted": False,
    }


def test_hidden_counts_are_unknown_not_zero() -> None:
    bare = video(statistics={"commentCount": "0"}, contentDetails={})
    (row,) = parse({"items": [bare]}).rows
    assert (row["views"], row["likes"], row["comments"], row["duration_s"]) == (None, None, 0, None)


def test_ranks_continue_over_the_pages() -> None:
    page = {"items": [video(), video()]}
    assert [row["rank"] for row in parse(page, page).rows] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "item is null, not an object"),
        (video(id={"videoId": "I_GUQdY01b0"}), "id is missing or not a video id"),
        (video(id="I_GUQdY01b0\n"), "id is missing or not a video id"),
        (video(snippet=None), "snippet is null, not an object"),
        (video(snippet={"title": ""}), "title is missing"),
        (video(snippet={"title": "x", "channelId": "UC"}), "channelId is not a channel id"),
        (video(statistics={"viewCount": "-1"}), "viewCount is a text, not a whole number"),
        (video(statistics={"viewCount": "9" * 30}), "viewCount has 30 digits"),
        (video(contentDetails={"duration": "3:02"}), "duration is not an ISO 8601 duration"),
    ],
)
def test_an_invalid_video_is_quarantined(item: object, reason: str) -> None:
    parsed = parse({"items": [video(), item, video()]})
    assert [row["rank"] for row in parsed.rows] == [1, 3]
    assert [each.reason for each in parsed.rejected] == [reason]


@pytest.mark.parametrize("body", [b"<html>", [], {"items": None}, {"error": "error message"}])
def test_a_response_without_a_list_of_videos_is_malformed(body: object) -> None:
    assert parse(body).error is not None


def test_a_chart_is_paged_with_the_key_in_a_header(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        page = {"items": [video()], "nextPageToken": f"P{len(asked)}"}
        return httpx.Response(200, json=page)

    (fetch,) = collect(CHARTS, make_settings(tmp_path, **KEY), handler)
    assert [str(request.url) for request in asked] == [
        CHART,
        *(chart_url("US/20", f"P{number}") for number in (1, 2, 3)),
    ]
    assert {request.headers["x-goog-api-key"] for request in asked} == set(KEY.values())
    assert fetch.rows["rank"].to_list() == [1, 2, 3, 4]
    assert not any(KEY["YOUTUBE_KEY"] in url for url in fetch.payloads["url"])


def test_without_a_key_the_chart_is_disabled_and_names_the_variable(tmp_path: Path) -> None:
    (fetch,) = collect(CHARTS, make_settings(tmp_path), lambda _: httpx.Response(500))
    assert fetch.log["outcome"] == "disabled"
    assert fetch.log["detail"] == "set YTAP_SECRET_YOUTUBE_KEY to collect this"
    assert fetch.log["attempts"] == 0


def test_a_key_that_is_invalid_in_a_header_is_rejected_without_showing_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, YOUTUBE_KEY="schlüssel\nx: y")
    (fetch,) = collect(CHARTS, settings, lambda _: httpx.Response(200))
    assert fetch.log["outcome"] == "disabled"
    assert "schl" not in fetch.log["detail"]


def test_a_used_up_quota_stores_the_pages_before_it(tmp_path: Path, real_data: Path) -> None:
    quota = (real_data / "youtube_api" / "quotaExceeded_403.json").read_bytes()
    pages = [
        httpx.Response(200, json={"items": [video()], "nextPageToken": "P1"}),
        httpx.Response(403, content=quota),
    ]
    (fetch,) = collect(CHARTS, make_settings(tmp_path, **KEY), lambda _: pages.pop(0))
    assert fetch.log["outcome"] == "quota_exhausted"
    assert fetch.log["http_status"] == 403
    assert fetch.rows.height == 1
    assert fetch.payloads["http_status"].to_list() == [200, 403]
    check_conservation(fetch)


def test_a_region_without_categories_is_one_target() -> None:
    workspace = make_workspace(youtube={"regions": ["US", "GB"]})
    assert list(YouTubeCharts().targets(workspace)) == ["US", "GB"]
    assert "videoCategoryId" not in chart_url("US")
    (row,) = (
        YouTubeCharts()
        .parse(Responses(TODAY, [answer({"items": [video()]}, chart_url("GB"))]))
        .rows
    )
    assert (row["region"], row["category"]) == ("GB", "mostPopular")


def test_the_same_video_twice_is_two_rows(tmp_path: Path) -> None:
    body = {"items": [video(), video(), {}]}
    settings = make_settings(tmp_path, **KEY)
    (fetch,) = collect(CHARTS, settings, lambda _: httpx.Response(200, json=body))
    assert fetch.log["fetched"] == 3
    assert reasons(fetch) == ["snippet is null, not an object"]
    check_conservation(fetch)


def test_recorded_responses_are_read(real_data: Path) -> None:
    seen_at = datetime(2020, 2, 13, tzinfo=UTC)
    path = real_data / "youtube_api" / "recorded_responses_2020-02.jsonl.gz"
    exchanges: list[Exchange] = []
    items = 0
    for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines():
        recorded = json.loads(line)
        url = recorded["request"]["uri"]
        if "/videos?" in url and "snippet" in url and recorded["status"]["code"] == 200:
            body = recorded["body"].encode()
            exchanges.append(Exchange(url, 200, {}, body, seen_at))
            items += len(json.loads(body)["items"])
    parsed = YouTubeCharts().parse(Responses(TODAY, exchanges))
    assert parsed.error is None
    assert items > 10
    assert len(parsed.rows) == items
    assert [each.reason for each in parsed.rejected] == []


def test_the_documented_videos_are_read(real_data: Path) -> None:
    folder = real_data / "youtube_api" / "python-youtube"
    bodies = [path.read_bytes() for path in sorted(folder.glob("apidata__videos__videos_info_*"))]
    asked = [item["id"] for body in bodies for item in json.loads(body)["items"]]
    assert asked
    parsed = parse(*bodies)
    assert [row["item_id"] for row in parsed.rows] == asked
    assert parsed.rejected == []
