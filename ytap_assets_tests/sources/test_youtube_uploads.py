from __future__ import annotations

import gzip
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx

from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.source import Fetch, Responses
from ytap_assets.sources.youtube import YouTubeUploads, uploads_url
from ytap_assets_tests.sources.support import (
    CHANNEL,
    CHANNELS,
    NOW,
    TODAY,
    Handler,
    answer,
    check_conservation,
    collect,
    make_settings,
    make_workspace,
    parse_again,
    reasons,
)

DAY = TODAY - timedelta(days=3)
KEY = {"YOUTUBE_KEY": "youtube-key-0123456789"}


def video_id(number: int) -> str:
    return f"video{number:06d}"


def upload(number: int, published: str | None, **changes: Any) -> dict[str, Any]:
    details = {"videoId": video_id(number)}
    details |= {"videoPublishedAt": published} if published else {}
    return {
        "snippet": {"title": f"U{number}", "channelId": CHANNEL, "channelTitle": "The Bench Lab"},
        "contentDetails": details,
        **changes,
    }


def video(name: str, published: str) -> dict[str, Any]:
    return {
        "id": name,
        "snippet": {"title": f"V {name}", "publishedAt": published, "channelId": CHANNEL},
        "statistics": {"viewCount": "1000", "likeCount": "50"},
        "contentDetails": {"duration": "PT3M2S"},
    }


def at(day: date, hour: int = 12) -> str:
    return f"{day.isoformat()}T{hour:02d}:00:00Z"


class Channel:
    """A channel with one video a day, as the API returns it, in pages of ten."""

    def __init__(self, days: int = 35, **replace: Any) -> None:
        self.items = [upload(n, at(TODAY - timedelta(days=n))) for n in range(days)]
        self.asked: list[str] = []
        self.replace = replace

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        asked = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        if self.asked[-1] in self.replace:
            answer: httpx.Response = self.replace[self.asked[-1]]
            return answer
        if self.asked[-1] == "videos":
            times = {
                item["contentDetails"]["videoId"]: item["contentDetails"].get("videoPublishedAt")
                for item in self.items
            }
            shown = [video(name, times[name]) for name in asked["id"].split(",") if times[name]]
            return httpx.Response(200, json={"items": shown})
        assert asked["playlistId"] == f"UU{CHANNEL.removeprefix('UC')}"
        first = int(asked.get("pageToken", "0"))
        page: dict[str, Any] = {"items": self.items[first : first + 10]}
        if first + 10 < len(self.items):
            page["nextPageToken"] = str(first + 10)
        return httpx.Response(200, json=page)


def ask(root: Path, handler: Handler, day: date = DAY, **secrets: str) -> Fetch:
    fetches = collect(CHANNELS, make_settings(root, **{**KEY, **secrets}), handler, day)
    return next(each for each in fetches if each.log["target"] == f"{CHANNEL}/uploads")


def test_a_past_day_has_the_videos_published_on_it(tmp_path: Path) -> None:
    channel = Channel()
    fetch = ask(tmp_path, channel)
    assert fetch.log["outcome"] == "ok"
    assert fetch.log["history"] == "date_queryable"
    (row,) = fetch.rows.drop("collection_id", "workspace_id").iter_rows(named=True)
    assert {name: value for name, value in row.items() if value is not None} == {
        "day": DAY,
        "source": "youtube_channel",
        "item_id": video_id(3),
        "observed_at": NOW + timedelta(seconds=2 * YouTubeUploads.spacing_s),
        "title": f"V {video_id(3)}",
        "url": f"https://www.youtube.com/watch?v={video_id(3)}",
        "discussion_url": f"https://www.youtube.com/watch?v={video_id(3)}",
        "published_at": datetime.fromisoformat(at(DAY)),
        "views": 1000,
        "likes": 50,
        "list_name": f"{CHANNEL}/uploads",
        "part": 0,
        "category": "uploads",
        "channel_id": CHANNEL,
        "duration_s": 182,
        "is_promoted": False,
    }
    assert channel.asked == ["playlistItems"] * 2 + ["videos"]


def test_pages_are_fetched_back_to_the_day_and_no_further(tmp_path: Path) -> None:
    channel = Channel()
    fetch = ask(tmp_path, channel, TODAY - timedelta(days=14))
    assert fetch.rows["item_id"].to_list() == [video_id(14)]
    assert channel.asked == ["playlistItems"] * 3 + ["videos"]


def test_a_video_one_page_too_late_is_found(tmp_path: Path) -> None:
    channel = Channel()
    channel.items.insert(12, channel.items.pop(3))
    assert ask(tmp_path, channel).rows["item_id"].to_list() == [video_id(3)]


def test_a_day_without_videos_is_ok(tmp_path: Path) -> None:
    channel = Channel()
    del channel.items[3]
    fetch = ask(tmp_path, channel)
    assert (fetch.log["outcome"], fetch.log["fetched"]) == ("ok", 0)
    assert channel.asked == ["playlistItems"] * 2


def test_many_videos_of_a_day_are_requested_in_batches_of_fifty(tmp_path: Path) -> None:
    channel = Channel()
    channel.items = [upload(n, at(DAY)) for n in range(120)]
    fetch = ask(tmp_path, channel)
    assert fetch.rows.height == 120
    assert channel.asked.count("videos") == 3


def test_today_is_left_to_the_feed(tmp_path: Path) -> None:
    feed = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"
    fetches = collect(
        CHANNELS, make_settings(tmp_path, **KEY), lambda _: httpx.Response(200, content=feed)
    )
    assert [(fetch.log["target"], fetch.log["outcome"]) for fetch in fetches] == [(CHANNEL, "ok")]


def test_without_a_key_a_past_day_names_the_variable(tmp_path: Path) -> None:
    fetches = collect(CHANNELS, make_settings(tmp_path), Channel(), DAY)
    told = {fetch.log["target"]: fetch.log for fetch in fetches}
    assert told[CHANNEL]["outcome"] == "unrecoverable"
    assert told[f"{CHANNEL}/uploads"]["outcome"] == "disabled"
    assert "YTAP_SECRET_YOUTUBE_KEY" in told[f"{CHANNEL}/uploads"]["detail"]


def test_a_list_is_stored_with_null_counts_if_the_counts_fail(tmp_path: Path) -> None:
    fetch = ask(tmp_path, Channel(videos=httpx.Response(503)))
    assert fetch.log["outcome"] == "transient_error"
    (row,) = fetch.rows.iter_rows(named=True)
    assert (row["item_id"], row["title"], row["views"]) == (video_id(3), "U3", None)
    assert row["channel_title"] == "The Bench Lab"


def test_a_video_deleted_since_is_read_from_the_list(tmp_path: Path) -> None:
    fetch = ask(tmp_path, Channel(videos=httpx.Response(200, json={"items": []})))
    assert fetch.log["outcome"] == "ok"
    assert fetch.rows["views"].to_list() == [None]


def test_private_videos_have_no_day_and_invalid_entries_are_quarantined(
    tmp_path: Path,
) -> None:
    channel = Channel(5)
    channel.items += [upload(90, None), upload(91, at(DAY), snippet=None), upload(92, "long ago")]

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("videos"):
            return httpx.Response(200, json={"items": [{"id": video_id(3), "snippet": None}]})
        return channel(request)

    fetch = ask(tmp_path, handler)
    assert sorted(reasons(fetch)) == [
        "snippet is null, not an object",
        "snippet is null, not an object",
        "videoPublishedAt is not an ISO 8601 time",
    ]
    check_conservation(fetch)


def test_a_playlist_with_a_repeated_page_token_ends(tmp_path: Path) -> None:
    items = [upload(n, at(TODAY)) for n in range(2)]
    page = httpx.Response(200, json={"items": items, "nextPageToken": "again"})
    channel = Channel(playlistItems=page)
    fetch = ask(tmp_path, channel)
    assert fetch.log["outcome"] == "malformed"
    assert "repeated page token" in fetch.log["detail"]
    assert channel.asked == ["playlistItems"] * 2


def test_a_day_too_far_back_is_an_error(tmp_path: Path) -> None:
    channel = Channel()
    channel.items = [upload(n, at(TODAY)) for n in range(300)]
    fetch = ask(tmp_path, channel)
    assert fetch.log["outcome"] == "permanent_error"
    assert "older ones are not fetched" in fetch.log["detail"]
    assert channel.asked == ["playlistItems"] * 20


def test_stored_payloads_are_assigned_to_their_source(tmp_path: Path) -> None:
    fetch = ask(tmp_path, Channel())
    rows, _ = parse_again(fetch.payloads)
    assert rows.equals(fetch.rows)
    assert isinstance(CATALOG.find("youtube_channel", uploads_url(CHANNEL)), YouTubeUploads)


def test_a_paused_channel_is_not_fetched() -> None:
    paused = {"id": CHANNEL, "status": "paused"}
    workspace = make_workspace(youtube={"monitored_channels": [paused]})
    assert list(YouTubeUploads().targets(workspace)) == []


def test_recorded_playlists_are_read(real_data: Path) -> None:
    """They were recorded without `contentDetails`, which is derived from the snippet."""
    path = real_data / "youtube_api" / "recorded_responses_2020-02.jsonl.gz"
    read = 0
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        recorded = json.loads(line)
        if "/playlistItems?" not in recorded["request"]["uri"]:
            continue
        entries = [
            entry for entry in json.loads(recorded["body"]).get("items", []) if "snippet" in entry
        ]
        for entry in entries:
            snippet = entry["snippet"]
            entry["contentDetails"] = {
                "videoId": snippet["resourceId"]["videoId"],
                "videoPublishedAt": snippet["publishedAt"],
            }
        page = answer({"items": entries}, uploads_url(CHANNEL))
        days = {date.fromisoformat(entry["snippet"]["publishedAt"][:10]) for entry in entries}
        parsed = [YouTubeUploads().parse(Responses(day, [page])) for day in days]
        assert sum(len(each.rows) for each in parsed) == len(entries)
        assert not any(each.rejected for each in parsed)
        read += len(entries)
    assert read > 50
