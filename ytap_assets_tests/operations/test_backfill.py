"""Thirty past days at one go: what can answer for them does, and today stays out of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import polars as pl
import pytest

from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import collect_trends
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.settings import Settings
from ytap_assets.sources import collect
from ytap_assets.tables import COLLECTION_LOG, RAW_TRENDS
from ytap_assets.workspaces import Workspaces
from ytap_assets_tests.sources.support import (
    CHANNEL,
    NOW,
    TODAY,
    make_session,
    make_settings,
    make_workspace,
    replay,
    run,
)

DAYS = [TODAY - timedelta(days=ago) for ago in range(30, 0, -1)]
WORKSPACE = make_workspace(
    hn={"min_points": 50},
    reddit={"subreddits": ["rust", "technology"]},
    youtube={
        "regions": ["US"],
        "searches": ["rust async"],
        "monitored_channels": [{"id": CHANNEL}],
    },
)
ANSWERING = {"by_date", "search/rust async", f"{CHANNEL}/uploads"}
PRESENT_ONLY = {"front_page", "r/rust", "r/technology", "US", CHANNEL}
KEYS = {"YOUTUBE_KEY": "youtube-key-0123456789"}


def moments(day: date) -> list[datetime]:
    """When something was posted on a day: at both of its ends, and in between."""
    start = datetime.combine(day, time(), UTC)
    return [start, start + timedelta(hours=9), start + timedelta(days=1, seconds=-1)]


POSTED = [at for day in [DAYS[0] - timedelta(days=1), *DAYS, TODAY] for at in moments(day)]
POSTED = [at for at in POSTED if at <= NOW]
STORIES = {at: str(40_000_000 + number) for number, at in enumerate(POSTED)}
VIDEOS = {at: f"video{number:06d}" for number, at in enumerate(POSTED)}
POSTED_AT = {name: at for at, name in [*STORIES.items(), *VIDEOS.items()]}


def stories(query: dict[str, str]) -> dict[str, Any]:
    """What Algolia has for a window."""
    since, before = query["numericFilters"].split(",")
    window = range(int(since.split(">=")[1]), int(before.split("<")[1]))
    hits = [
        {"objectID": name, "title": f"S{name}", "points": 60, "created_at_i": int(at.timestamp())}
        for at, name in STORIES.items()
        if int(at.timestamp()) in window
    ]
    return {"nbHits": len(hits), "hits": hits}


def videos(path: str, query: dict[str, str]) -> dict[str, Any]:
    """What the YouTube API has: the playlist, the newest first; a search; details."""
    newest = sorted(VIDEOS.items(), reverse=True)
    if path.endswith("/playlistItems"):
        first = int(query.get("pageToken", "0"))
        items = [
            {
                "snippet": {"title": name, "channelId": CHANNEL},
                "contentDetails": {"videoId": name, "videoPublishedAt": at.isoformat()},
            }
            for at, name in newest[first : first + 50]
        ]
        return {"items": items} | (
            {"nextPageToken": str(first + 50)} if first + 50 < len(newest) else {}
        )
    if path.endswith("/search"):
        since, before = (query[name][:10] for name in ("publishedAfter", "publishedBefore"))
        found = [
            (at, name) for at, name in newest if since <= at.date().isoformat() <= before
        ]  # an end too many, as a platform may see it
        return {
            "items": [
                {
                    "id": {"videoId": name},
                    "snippet": {"title": name, "publishedAt": at.isoformat()},
                }
                for at, name in found
            ]
        }
    return {
        "items": [
            {"id": name, "snippet": {"title": name, "publishedAt": POSTED_AT[name].isoformat()}}
            for name in query["id"].split(",")
        ]
    }


def answer(request: httpx.Request) -> httpx.Response:
    query = {name: each[0] for name, each in parse_qs(request.url.query.decode()).items()}
    match request.url.host:
        case "hn.algolia.com":
            return httpx.Response(200, json=stories(query))
        case "www.googleapis.com" if "chart" not in query:
            return httpx.Response(200, json=videos(request.url.path, query))
        case "www.googleapis.com":
            return httpx.Response(200, json={"items": []})
        case "hacker-news.firebaseio.com":
            return httpx.Response(200, json=[])
    return httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")


@pytest.fixture
def backfilled(settings: Settings) -> Iterator[Platform]:
    """An installation that replays what was answered when thirty days and today were asked for."""
    recording = make_settings(settings.data, "record", **KEYS)

    async def record() -> None:
        async with make_session(recording, answer) as session:
            for day in (*DAYS, TODAY):
                await collect.collect_trends(WORKSPACE, day, session=session, run_id="run")

    run(record())
    Workspaces(settings).save(WORKSPACE)
    platform = Platform(settings)
    yield platform
    platform.lake.close()


def fill(platform: Platform) -> Written:
    batch, _ = platform.batch({"tech": [(DAYS[0], TODAY)]}, Run("run-1", "test", "collect"))
    (written,) = collect_trends(batch).values()
    assert isinstance(written, Written)
    return written


def read(platform: Platform) -> tuple[pl.DataFrame, pl.DataFrame]:
    reader = platform.lake.reader("tech")
    return reader.read(RAW_TRENDS), reader.read(COLLECTION_LOG)


def test_what_can_answer_for_a_past_day_does_and_the_rest_says_it_cannot(
    backfilled: Platform,
) -> None:
    fill(backfilled)
    _, log = read(backfilled)
    past = log.filter(pl.col("day") < TODAY)
    ended = {
        (target, outcome): days
        for target, outcome, days in past.group_by("target", "outcome")
        .agg(pl.col("day").n_unique())
        .iter_rows()
    }
    assert ended == {
        **{(target, "ok"): 30 for target in ANSWERING},
        **{(target, "unrecoverable"): 30 for target in PRESENT_ONLY},
    }
    assert past.height == 30 * len(ANSWERING | PRESENT_ONLY)
    unanswered = past.filter(outcome="unrecoverable")
    assert unanswered.select("attempts", "fetched").sum().row(0) == (0, 0)
    today = log.filter(day=TODAY)
    assert set(today["target"]) == (ANSWERING | PRESENT_ONLY) - {f"{CHANNEL}/uploads"}
    assert set(today["outcome"]) == {"ok"}


def test_every_day_holds_what_was_posted_on_it_and_nothing_else(backfilled: Platform) -> None:
    fill(backfilled)
    rows, log = read(backfilled)
    for row in rows.iter_rows(named=True):
        assert row["published_at"] == POSTED_AT[row["item_id"]]
        assert row["published_at"].date() == row["day"]
        assert row["observed_at"].date() == TODAY  # the counts are of now, and say so
    for source in ("hn", "youtube", "youtube_channel"):
        per_day = rows.filter(source=source).group_by("day").len()
        expected = dict.fromkeys(DAYS, 3) | ({TODAY: 2} if source != "youtube_channel" else {})
        assert dict(per_day.iter_rows()) == expected
    fetched, *kept = log.select("fetched", "accepted", "quarantined", "duplicates").sum().row(0)
    assert fetched == sum(kept)
    assert all(kept[:2])  # the search's neighbouring day is put aside


def test_a_backfill_repeated_adds_nothing(backfilled: Platform) -> None:
    fill(backfilled)
    rows, log = read(backfilled)
    assert fill(backfilled).rows == 0
    again, logged = read(backfilled)
    assert again.height == rows.height
    assert logged.height == log.height


def test_days_may_be_asked_one_by_one_or_at_one_go(backfilled: Platform) -> None:
    at_one_go = replay(WORKSPACE, DAYS, backfilled.settings)
    one_by_one = [fetch for day in DAYS for fetch in replay(WORKSPACE, [day], backfilled.settings)]
    assert [fetch.log for fetch in at_one_go] == [fetch.log for fetch in one_by_one]
