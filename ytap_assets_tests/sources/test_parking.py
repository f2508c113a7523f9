"""A host that asked to be left alone for long is left alone by the next process as well."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.fetch import Fetch
from ytap_assets.sources.parking import ParkedHosts
from ytap_assets_tests.sources.support import (
    NOW,
    REDDIT,
    TODAY,
    Answering,
    Present,
    make_session,
    make_settings,
    run,
)

FEED = httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")


def collect(root: Path, handler: Answering, present: Present) -> Fetch:
    """Collect a subreddit in a session of its own."""

    async def work() -> list[Fetch]:
        async with make_session(make_settings(root), handler, present) as session:
            return await collect_trends(REDDIT, [TODAY], session=session, run_id="run")

    (fetch,) = run(work())
    return fetch


def test_the_next_process_obeys_what_the_last_was_told(tmp_path: Path) -> None:
    handler = Answering(httpx.Response(429, headers={"Retry-After": "3600"}), FEED)
    present = Present()
    assert collect(tmp_path, handler, present).log["attempts"] == 1
    told = collect(tmp_path, handler, present).log
    assert (told["outcome"], told["attempts"]) == ("transient_error", 0)
    assert told["detail"] == "www.reddit.com asked to be left alone for 3600 s more"
    run(present.sleep(3600))
    assert collect(tmp_path, handler, present).log["outcome"] == "ok"
    assert len(handler.requests) == 2


def test_a_short_wait_is_not_worth_remembering(tmp_path: Path) -> None:
    handler = Answering(httpx.Response(429, headers={"Retry-After": "5"}), FEED)
    collect(tmp_path, handler, Present())
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("seconds", "later_s", "left"), [(60, 0, 60), (60, 60, None), (1e9, 0, 86_400)]
)
def test_a_wait_ends_and_is_a_day_at_most(
    tmp_path: Path, seconds: float, later_s: float, left: float | None
) -> None:
    ParkedHosts(tmp_path / "parked").park("a.example", seconds, NOW)
    waits = ParkedHosts(tmp_path / "parked").waits(NOW + timedelta(seconds=later_s))
    assert waits == ({} if left is None else {"a.example": left})


def test_a_clock_that_was_wrong_parks_nobody(tmp_path: Path) -> None:
    ParkedHosts(tmp_path / "parked").park("a.example", 60, NOW + timedelta(days=300))
    assert ParkedHosts(tmp_path / "parked").waits(NOW) == {}


def test_a_broken_file_is_as_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "parked"
    path.write_bytes(b"this is no database at all, not even a little one" * 99)
    assert ParkedHosts(path).waits(NOW) == {}
    ParkedHosts(path).park("a.example", 60, NOW)
    assert ParkedHosts(path).waits(NOW) == {"a.example": 60}


def test_a_wait_that_a_clock_ahead_wrote_down_is_void(tmp_path: Path) -> None:
    hosts = ParkedHosts(tmp_path / "parked")
    hosts.park("a.example", 3600, NOW + timedelta(days=1200))
    assert hosts.waits(NOW) == {}
    hosts.park("b.example", 60, NOW)
    assert hosts.waits(NOW) == {"b.example": 60}
    assert hosts.waits(NOW + timedelta(days=1200)) == {}
