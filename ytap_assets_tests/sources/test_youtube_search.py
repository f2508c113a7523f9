from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import ValidationError

from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH, YOUTUBE_UNITS
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.sources.http.state import QuotaLedger
from ytap_assets.sources.http.state_file import StateFile
from ytap_assets.sources.source import Fetch, Responses
from ytap_assets.sources.youtube import YouTubeCharts, YouTubeSearch, chart_url, search_url
from ytap_assets.sources.youtube_data import videos_url
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.sources.support import (
    CHANNEL,
    NOW,
    TODAY,
    FakeClock,
    answer,
    check_conservation,
    make_session,
    make_settings,
    make_workspace,
    parse_again,
    reasons,
    replay,
    run,
)

DAY = TODAY - timedelta(days=3)
KEY = {"YOUTUBE_KEY": "youtube-key-0123456789"}
SEARCHES = make_workspace(youtube={"searches": ["rust async"]})


def hit(name: str, published: str = f"{DAY}T10:00:00Z", **changes: Any) -> dict[str, Any]:
    snippet = {
        "title": f"H &amp; {name}",
        "publishedAt": published,
        "channelId": CHANNEL,
        "channelTitle": "The Bench Lab",
    }
    return {"id": {"kind": "youtube#video", "videoId": name}, "snippet": snippet, **changes}


def video(name: str, published: str = f"{DAY}T10:00:00Z") -> dict[str, Any]:
    snippet = {"title": f"V {name}", "publishedAt": published, "channelId": CHANNEL}
    return {"id": name, "snippet": snippet, "statistics": {"viewCount": "77"}}


class Platform:
    """Returns these hits, and the details of every requested video."""

    def __init__(self, *hits: Any, more: bool = False) -> None:
        self.found: dict[str, Any] = {"items": list(hits)} | (
            {"nextPageToken": "CBkQAA"} if more else {}
        )
        self.asked: list[httpx.Request] = []
        self.broken: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.broken is not None:
            return self.broken
        if request.url.path.endswith("/search"):
            return httpx.Response(200, json=self.found)
        names = parse_qs(request.url.query.decode())["id"][0].split(",")
        # The platform returns its own order.
        return httpx.Response(200, json={"items": [video(name) for name in reversed(names)]})

    @property
    def searches(self) -> int:
        return sum(request.url.path.endswith("/search") for request in self.asked)


def collect(
    root: Path,
    platform: Platform,
    workspace: Workspace = SEARCHES,
    day: date = DAY,
    clock: FakeClock | None = None,
) -> list[Fetch]:
    """Collect in a session of its own with the response cache, as a run does."""

    async def work() -> list[Fetch]:
        settings = make_settings(root, **KEY)
        async with make_session(settings, platform, clock, use_cache=True) as session:
            return await collect_trends(workspace, day, session=session, run_id="run")

    return run(work())


def test_a_phrase_finds_the_videos_of_a_day_with_their_counts(tmp_path: Path) -> None:
    platform = Platform(hit("videoAAAAAA"), hit("videoBBBBBB"))
    (fetch,) = collect(tmp_path, platform)
    assert fetch.log["outcome"] == "ok"
    assert fetch.log["target"] == "search/rust async"
    rows = fetch.rows.sort("rank").select(
        "source", "item_id", "title", "views", "rank", "category", "published_at", "observed_at"
    )
    assert rows["item_id"].to_list() == ["videoAAAAAA", "videoBBBBBB"]
    assert rows["rank"].to_list() == [1, 2]
    assert rows["views"].to_list() == [77, 77]
    assert set(rows["source"]) == {"youtube"}
    assert set(rows["category"]) == {"search"}
    assert set(fetch.rows["list_name"]) == {"search/rust async"}
    assert set(rows["published_at"].dt.date()) == {DAY}
    assert set(rows["observed_at"]) == {NOW + timedelta(seconds=YouTubeSearch.spacing_s)}
    asked = parse_qs(platform.asked[0].url.query.decode())
    assert asked == {
        "part": ["snippet"],
        "type": ["video"],
        "q": ["rust async"],
        "order": ["viewCount"],
        "publishedAfter": ["2026-11-17T00:00:00Z"],
        "publishedBefore": ["2026-11-18T00:00:00Z"],
        "maxResults": ["50"],
    }


def test_one_call_is_made_and_more_results_are_noted(tmp_path: Path) -> None:
    platform = Platform(hit("videoAAAAAA"), more=True)
    (fetch,) = collect(tmp_path, platform)
    assert fetch.log["outcome"] == "ok"
    assert fetch.log["detail"] == "incomplete: only the 1 most viewed results"
    assert platform.searches == 1


def test_a_neighbouring_day_is_quarantined(tmp_path: Path) -> None:
    (fetch,) = collect(tmp_path, Platform(hit("videoAAAAAA")), day=DAY + timedelta(days=1))
    assert fetch.rows.is_empty()
    assert reasons(fetch) == ["published on 2026-11-17, another day"]
    check_conservation(fetch)


def test_invalid_results_are_quarantined(tmp_path: Path) -> None:
    broken = [None, hit("short"), hit("videoCCCCCC", snippet={}), {"id": "flat", "snippet": {}}]
    (fetch,) = collect(tmp_path, Platform(hit("videoAAAAAA"), *broken))
    assert fetch.rows["item_id"].to_list() == ["videoAAAAAA"]
    assert fetch.quarantined.height == 4
    check_conservation(fetch)


def test_results_are_stored_if_their_counts_fail(tmp_path: Path) -> None:
    ledger = QuotaLedger(StateFile(tmp_path / "state" / "quota.sqlite"))
    ledger.mark_exhausted(YOUTUBE_UNITS, NOW)
    (fetch,) = collect(tmp_path, Platform(hit("videoAAAAAA")))
    assert fetch.log["outcome"] == "quota_exhausted"
    (row,) = fetch.rows.iter_rows(named=True)
    assert (row["title"], row["views"], row["rank"]) == ("H & videoAAAAAA", None, 1)


def test_the_bucket_is_shared_by_workspaces_and_missed_days_can_be_fetched_later(
    tmp_path: Path,
) -> None:
    """12 workspaces with 10 phrases need 120 calls: 100 today, the rest tomorrow."""
    platform, clock = Platform(), FakeClock()
    wanting = [
        SEARCHES.model_copy(
            update={
                "workspace_id": f"w{number}",
                "sources": make_workspace(
                    youtube={"searches": [f"phrase {number} {each}" for each in range(10)]}
                ).sources,
            }
        )
        for number in range(12)
    ]
    first = [fetch for each in wanting for fetch in collect(tmp_path, platform, each)]
    outcomes = [fetch.log["outcome"] for fetch in first]
    assert (outcomes.count("ok"), outcomes.count("quota_exhausted")) == (100, 20)
    assert platform.searches == 100
    missed = [fetch.log for fetch in first if fetch.log["outcome"] == "quota_exhausted"]
    assert {log["attempts"] for log in missed} == {0}
    assert all("the limit of 100 calls a day is reached" in log["detail"] for log in missed)

    run(clock.sleep(20 * 3600 + 1))  # past midnight Pacific
    for each in wanting[10:]:
        for fetch in collect(tmp_path, platform, each, clock=clock):
            assert fetch.log["outcome"] == "ok"
    assert platform.searches == 120


def test_an_exhausted_bucket_is_not_used_by_the_next_process(tmp_path: Path) -> None:
    platform = Platform()
    platform.broken = httpx.Response(
        429, content=b"Quota exceeded for quota metric 'Search Queries' and limit 'per day'"
    )
    for attempts in (1, 0):
        (fetch,) = collect(tmp_path, platform)
        assert (fetch.log["outcome"], fetch.log["attempts"]) == ("quota_exhausted", attempts)
    assert len(platform.asked) == 1


def test_a_search_is_cached_for_hours_while_the_counts_are_fetched_again(tmp_path: Path) -> None:
    platform, clock = Platform(hit("videoAAAAAA")), FakeClock()
    collect(tmp_path, platform, clock=clock)
    run(clock.sleep(3600))
    (fetch,) = collect(tmp_path, platform, clock=clock)
    assert [request.url.path[-6:] for request in platform.asked] == ["search", "videos", "videos"]
    assert fetch.rows["observed_at"].to_list() == [clock.now()]
    ledger = QuotaLedger(StateFile(tmp_path / "state" / "quota.sqlite"))
    assert ledger.usage(YOUTUBE_SEARCH, NOW).calls == 1


def test_stored_payloads_of_charts_and_searches_are_distinguished(tmp_path: Path) -> None:
    (fetch,) = collect(tmp_path, Platform(hit("videoAAAAAA"), None))
    rows, aside = parse_again(fetch.payloads)
    assert rows.equals(fetch.rows)
    assert aside.height == 1
    assert isinstance(CATALOG.find("youtube", search_url("x", DAY)), YouTubeSearch)
    assert isinstance(CATALOG.find("youtube", chart_url("US/10")), YouTubeCharts)


@pytest.mark.parametrize(("day", "searches"), [(TODAY, 1), (TODAY + timedelta(days=1), 0)])
def test_a_day_is_searched_from_its_noon_on(tmp_path: Path, day: date, searches: int) -> None:
    platform = Platform()
    collect(tmp_path, platform, day=day)
    assert NOW.hour == 12
    assert platform.searches == searches


def test_a_morning_is_not_searched(tmp_path: Path) -> None:
    platform, clock = Platform(), FakeClock()
    run(clock.sleep(23.5 * 3600))
    assert collect(tmp_path, platform, day=TODAY + timedelta(days=1), clock=clock) == []
    assert platform.asked == []


def test_nothing_is_searched_unless_the_config_asks(tmp_path: Path) -> None:
    assert list(YouTubeSearch().targets(make_workspace())) == []


@pytest.mark.parametrize(
    "phrases",
    [[""], [" rust"], ["a\nb"], ["x" * 101], ["Rust", "rust"], [f"p{n}" for n in range(11)]],
)
def test_search_phrases_are_validated(phrases: list[str]) -> None:
    with pytest.raises(ValidationError):
        make_workspace(youtube={"searches": phrases})


def test_a_response_without_a_list_is_malformed() -> None:
    parsed = YouTubeSearch().parse(Responses(DAY, [answer({"items": 3}, search_url("x", DAY))]))
    assert parsed.error is not None


def test_recorded_searches_are_read(real_data: Path) -> None:
    folder = real_data / "youtube_api" / "python-youtube"
    total = 0
    for path in sorted(folder.glob("apidata__search__*.json")):
        for item in json.loads(path.read_bytes())["items"]:
            body = json.dumps({"items": [item]}).encode()
            page = Exchange(search_url("x", DAY), 200, {}, body, NOW)
            day = date.fromisoformat(item["snippet"]["publishedAt"][:10])
            parsed = YouTubeSearch().parse(Responses(day, [page]))
            is_video = item["id"]["kind"] == "youtube#video"
            assert (len(parsed.rows), len(parsed.rejected)) == (is_video, not is_video)
            total += 1
    assert total > 20


def test_a_replay_takes_counts_from_any_recorded_list(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "replay")
    found = {"items": [hit("videoAAAAAA"), hit("videoBBBBBB"), hit("videoCCCCCC")]}
    recorded = {search_url("rust async", DAY): found} | {
        videos_url(id=",".join(names)): {"items": [video(name) for name in names]}
        for names in (["videoAAAAAA", "videoZZZZZZ"], ["videoBBBBBB"])
    }
    for url, body in recorded.items():
        answered = Recording(
            "GET", url, NOW - timedelta(days=3), 200, {}, json.dumps(body).encode()
        )
        append_recording(day_folder(settings.recordings, DAY), "youtube", answered)
    fetch = next(
        fetch
        for fetch in replay(SEARCHES, [DAY], settings)
        if fetch.log["target"] == "search/rust async"
    )
    views = dict(fetch.rows.select("item_id", "views").iter_rows())
    assert views == {"videoAAAAAA": 77, "videoBBBBBB": 77, "videoCCCCCC": None}
    # The ids that were not recorded come last.
    assert fetch.log["outcome"] == "not_recorded"
    assert "videoCCCCCC" in fetch.log["detail"]
    assert "videoAAAAAA" not in fetch.log["detail"]
