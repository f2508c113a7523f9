from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.exchange import Request
from ytap_assets.sources.fetch import Fetch
from ytap_assets.sources.http.exchange import RefusedUrlError
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.sources.session import open_session
from ytap_assets.tables import RAW_TRENDS
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.sources.support import (
    HN,
    NOW,
    REDDIT,
    TODAY,
    Handler,
    Present,
    make_session,
    make_settings,
    replay,
    run,
)

FEED = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"


def test_the_catalog_is_consistent() -> None:
    assert {source.table for source in CATALOG.trends} == {RAW_TRENDS}
    assert set(CATALOG.spacing_s) == CATALOG.hosts
    assert all(seconds > 0 for seconds in CATALOG.spacing_s.values())
    assert CATALOG.find("hn", "https://www.reddit.com/") is None
    assert CATALOG.find("digg", "https://www.reddit.com/") is None


def test_no_host_is_asked_that_no_source_declares(tmp_path: Path) -> None:
    async def work() -> None:
        session = make_session(make_settings(tmp_path), lambda _: httpx.Response(200))
        async with session:
            client = (await session.visit(TODAY)).client
            with pytest.raises(RefusedUrlError):
                await client.send(Request("https://news.ycombinator.com/", "hn"))

    run(work())


def test_the_present_of_a_replay_is_the_end_of_what_was_recorded(tmp_path: Path) -> None:
    day = date(2026, 11, 17)
    folder = day_folder(tmp_path / "recordings", day)
    for hour in (8, 21, 13):
        moment = datetime(2026, 11, 17, hour, 5, tzinfo=UTC)
        url = f"https://hn.algolia.com/{hour}"
        append_recording(folder, "hn", Recording("GET", url, moment, 200, {}, b"{}"))

    async def work() -> list[datetime]:
        async with open_session(make_settings(tmp_path, "replay")) as session:
            recorded, other = await session.visit(day), await session.visit(date(2026, 11, 18))
            return [recorded.now(), recorded.now(), other.now()]

    first, again, unrecorded = run(work())
    assert first == again == datetime(2026, 11, 17, 21, 5, tzinfo=UTC)
    assert unrecorded.date() == date(2026, 11, 18)


def collect_by(
    root: Path, transport: str, workspace: Workspace, handler: Handler, *days: date
) -> list[Fetch]:
    async def work() -> list[Fetch]:
        settings = make_settings(root, transport)
        async with make_session(settings, handler, Present()) as session:
            return await collect_trends(workspace, days, session=session, run_id="run")

    return run(work())


def test_a_recorded_day_replays_to_the_same_fetches(tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "hacker-news.firebaseio.com":
            return httpx.Response(200, json=[])
        return httpx.Response(200, json={"hits": [{"objectID": "1", "title": "T"}, None]})

    def refuse(_: httpx.Request) -> httpx.Response:
        raise AssertionError("a replay asked the network")

    recorded = collect_by(tmp_path, "record", HN, handler, TODAY)
    for replayed in (collect_by(tmp_path, "replay", HN, refuse, TODAY) for _ in range(2)):
        for before, after in zip(recorded, replayed, strict=True):
            assert before.log == after.log
            assert before.rows.equals(after.rows)
            assert before.quarantined.equals(after.quarantined)
            assert before.payloads.equals(after.payloads)


def test_a_backfilled_day_replays_as_it_was_collected(tmp_path: Path) -> None:
    past = TODAY - timedelta(days=3)

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"hits": [{"objectID": "1", "title": "T"}]})

    recorded = collect_by(tmp_path, "record", HN, handler, past)
    replayed = collect_by(tmp_path, "replay", HN, handler, past)
    assert [fetch.log["outcome"] for fetch in recorded] == ["ok", "unrecoverable"]
    assert [fetch.log for fetch in replayed] == [fetch.log for fetch in recorded]
    assert replayed[0].rows["day"].to_list() == [past]
    assert replayed[0].rows["observed_at"].to_list() == [NOW]


def test_a_day_without_recordings_is_said_to_have_none(tmp_path: Path) -> None:
    fetches = replay(HN, [TODAY], make_settings(tmp_path, "replay"))
    assert [fetch.log["outcome"] for fetch in fetches] == ["not_recorded"] * 2
    assert all(fetch.rows.is_empty() and fetch.payloads.is_empty() for fetch in fetches)


def test_days_are_visited_once_each_in_order(tmp_path: Path) -> None:
    days = [TODAY, TODAY - timedelta(days=1), TODAY]
    fetches = collect_by(
        tmp_path, "live", REDDIT, lambda _: httpx.Response(200, content=FEED), *days
    )
    assert [fetch.log["day"] for fetch in fetches] == [TODAY - timedelta(days=1), TODAY]


def test_a_live_session_opens_nothing_before_it_asks(tmp_path: Path) -> None:
    async def work() -> bool:
        async with open_session(make_settings(tmp_path), now=Present().now) as session:
            visit = await session.visit(TODAY)
            return visit.now() == NOW and not visit.is_replay

    assert run(work())
    assert list(tmp_path.iterdir()) == []
