from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.source import Parsed, Responses
from ytap_assets.sources.youtube import YouTubeChannels, channel_feed_url
from ytap_assets_tests.sources.support import (
    CHANNEL,
    CHANNELS,
    NOW,
    TODAY,
    answer,
    collect,
    make_settings,
    make_workspace,
)

FEED = channel_feed_url(CHANNEL)
NAMES = (
    "xmlns:yt='http://www.youtube.com/xml/schemas/2015'"
    " xmlns:media='http://search.yahoo.com/mrss/' xmlns='http://www.w3.org/2005/Atom'"
)


def entry(**changes: str) -> str:
    parts = {
        "id": "I_GUQdY01b0",
        "channel": CHANNEL,
        "title": "A &amp;amp; B",
        "form": "watch?v=",
        "published": "2026-11-20T10:00:00+00:00",
        "rating": "count='50' average='5.00'",
        "views": "views='1000'",
        **changes,
    }
    return (
        f"<entry><yt:videoId>{parts['id']}</yt:videoId><yt:channelId>{parts['channel']}"
        f"</yt:channelId><title>{parts['title']}</title>"
        f"<link href='https://www.youtube.com/{parts['form']}{parts['id']}'/>"
        f"<author><name>The Bench Lab</name></author><published>{parts['published']}</published>"
        f"<media:group><media:community><media:starRating {parts['rating']}/>"
        f"<media:statistics {parts['views']}/></media:community></media:group></entry>"
    )


def parse(*entries: str) -> Parsed:
    body = f"<feed {NAMES}><yt:channelId/>{''.join(entries)}</feed>".encode()
    return YouTubeChannels().parse(Responses(TODAY, [answer(body, FEED)]))


def test_an_entry_becomes_a_row() -> None:
    (row,) = parse(entry()).rows
    assert {name: value for name, value in row.items() if value is not None} == {
        "source": "youtube_channel",
        "item_id": "I_GUQdY01b0",
        "observed_at": NOW,
        "title": "A &amp; B",
        "url": "https://www.youtube.com/watch?v=I_GUQdY01b0",
        "discussion_url": "https://www.youtube.com/watch?v=I_GUQdY01b0",
        "published_at": NOW - timedelta(hours=2),
        "likes": 50,
        "views": 1000,
        "list_name": CHANNEL,
        "category": "videos",
        "channel_id": CHANNEL,
        "channel_title": "The Bench Lab",
        "is_promoted": False,
    }


def test_a_short_is_a_video_with_a_page_like_any_other() -> None:
    (row,) = parse(entry(form="shorts/")).rows
    assert row["category"] == "shorts"
    assert row["url"] == "https://www.youtube.com/watch?v=I_GUQdY01b0"


@pytest.mark.parametrize("written", ["", CHANNEL.removeprefix("UC"), "junk"])
def test_an_entry_without_its_channel_belongs_to_the_requested_one(written: str) -> None:
    assert parse(entry(channel=written)).rows[0]["channel_id"] == CHANNEL


def test_ratings_that_hold_dislikes_are_not_likes() -> None:
    assert parse(entry(rating="count='50' average='4.93'")).rows[0]["likes"] is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (entry(id="short"), "videoId is missing or not a video id"),
        (entry(title=""), "title is missing"),
        (entry(published="2031-01-01T00:00:00+00:00"), "published is outside 2005 to now"),
        (entry(views="views='-4'"), "views is a text, not a whole number"),
        (entry(views="views='" + "9" * 40 + "'"), "views has 40 digits"),
        ("<entry/>", "videoId is missing or not a video id"),
    ],
)
def test_an_invalid_entry_is_quarantined(broken: str, reason: str) -> None:
    parsed = parse(entry(), broken)
    assert len(parsed.rows) == 1
    assert [each.reason for each in parsed.rejected] == [reason]


def test_only_active_channels_are_fetched() -> None:
    paused = {"id": "UC0hTfS5uLa-Gr3BiXpM7eQw", "status": "paused"}
    workspace = make_workspace(youtube={"monitored_channels": [{"id": CHANNEL}, paused]})
    assert list(YouTubeChannels().targets(workspace)) == [CHANNEL]


def test_a_missing_feed_is_a_transient_error(tmp_path: Path, real_data: Path) -> None:
    (page,) = (real_data / "youtube_feeds" / "errors").glob("*_404.html")
    missing = httpx.Response(404, content=page.read_bytes(), headers={"content-type": "text/html"})
    (fetch,) = collect(CHANNELS, make_settings(tmp_path), lambda _: missing)
    assert fetch.log["outcome"] == "transient_error"
    assert "happens occasionally" in fetch.log["detail"]
    assert fetch.log["attempts"] == 1
    assert fetch.payloads["http_status"].to_list() == [404]


def test_a_consent_page_is_malformed(tmp_path: Path) -> None:
    page = httpx.Response(200, content=b"<!DOCTYPE html><title>Before you continue</title>")
    (fetch,) = collect(CHANNELS, make_settings(tmp_path), lambda _: page)
    assert fetch.log["outcome"] == "malformed"


def test_recorded_feeds_of_five_years_are_read(real_data: Path) -> None:
    folder = real_data / "youtube_feeds"
    paths = [*sorted((folder / "kurzgesagt").glob("*.xml")), folder / "NASA_20260818.xml"]
    assert len(paths) > 1
    for path in paths:
        exchange = Exchange(FEED, 200, {}, path.read_bytes(), NOW)
        parsed = YouTubeChannels().parse(Responses(TODAY, [exchange]))
        assert parsed.error is None
        assert len(parsed.rows) == 15, path.name
        assert parsed.rejected == []
        channels = {row["channel_id"] for row in parsed.rows}
        nasa = path.name.startswith("NASA")
        assert channels == {"UCLA_DiR1FfKNvjuUpBHmylQ" if nasa else "UCsXVk37bltHxD1rDPwtNM8Q"}
        shorts = sum(row["category"] == "shorts" for row in parsed.rows)
        assert shorts == (3 if nasa else 0)
        assert all((row["likes"] is None) == ("2021" in path.name) for row in parsed.rows) or (
            path.name.startswith("2022")
        )
