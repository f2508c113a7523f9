from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.errors import DisabledError
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fetch import Fetch
from ytap_assets.sources.parsing import Parsed
from ytap_assets.sources.payloads import parse_payloads
from ytap_assets.sources.reddit import RedditHot
from ytap_assets.sources.session import Session
from ytap_assets.sources.source import Answers, Query
from ytap_assets.sources.youtube import YouTubeCharts
from ytap_assets.tables import COLLECTION_LOG
from ytap_assets_tests.sources.support import (
    CHARTS,
    NOW,
    REDDIT,
    TODAY,
    Present,
    check_conservation,
    collect,
    make_session,
    make_settings,
    make_workspace,
    run,
)

FEED = (
    b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>t3_1a</id><title>R</title>"
    b"<link href='https://www.reddit.com/r/rust/1a'/></entry></feed>"
)
BOTH = make_workspace(hn={"min_points": 50}, reddit={"subreddits": ["rust"]})
SECRET = "youtube-key-0123456789"  # noqa: S105 - what must not be said
PAST = TODAY - timedelta(days=3)


def answering(request: httpx.Request) -> httpx.Response:
    if "reddit" in request.url.host:
        return httpx.Response(200, content=FEED)
    return httpx.Response(200, json=[] if "firebase" in request.url.host else {"hits": []})


def outcomes(fetches: list[Fetch]) -> dict[str, str]:
    return {fetch.log["target"]: fetch.log["outcome"] for fetch in fetches}


def break_parsing(monkeypatch: pytest.MonkeyPatch, parse: object) -> None:
    monkeypatch.setattr(RedditHot, "parse", parse)


def test_a_fault_in_a_parser_stays_with_its_target_and_its_answers_can_be_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: RedditHot, __: Answers) -> Parsed:
        raise ZeroDivisionError("by\ud800 zero")

    with monkeypatch.context() as broken:
        break_parsing(broken, fail)
        fetches = collect(BOTH, make_settings(tmp_path), answering)

    assert outcomes(fetches) == {"by_date": "ok", "front_page": "ok", "r/rust": "permanent_error"}
    reddit = fetches[2]
    check_conservation(reddit)
    COLLECTION_LOG.model.validate(COLLECTION_LOG.frame([reddit.log]))
    assert reddit.log["detail"].startswith("ZeroDivisionError: by\ufffd zero: a fault of this")
    assert reddit.log["http_status"] == 200
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Traceback (most recent call last):\n" in told.getMessage()
    assert "\ufffd zero" in told.getMessage().encode().decode()
    rows, _ = parse_payloads(reddit.payloads)
    assert rows["item_id"].to_list() == ["1a"]


def test_rows_that_fit_no_table_are_a_fault_of_their_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [{"item_id": "1", "points": "many"}, {"item_id": "2", "points": 1}]
    break_parsing(monkeypatch, lambda _, __: Parsed(rows=rows))
    (fetch,) = collect(REDDIT, make_settings(tmp_path), answering)
    check_conservation(fetch)
    assert (fetch.log["outcome"], fetch.log["fetched"]) == ("permanent_error", 0)
    assert fetch.payloads["body"].to_list() == [FEED]


def test_a_fault_while_asking_keeps_what_was_answered_before_it_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = RedditHot.ask

    async def ask(self: RedditHot, query: Query) -> AsyncIterator[Exchange]:
        async for exchange in asked(self, query):
            yield exchange
        raise RuntimeError(f"cannot go on with {SECRET}")

    monkeypatch.setattr(RedditHot, "ask", ask)
    fetches = collect(BOTH, make_settings(tmp_path, YOUTUBE_KEY=SECRET), answering)
    reddit = fetches[2]
    assert outcomes(fetches)["by_date"] == "ok"
    assert reddit.log["outcome"] == "permanent_error"
    assert "RuntimeError: cannot go on with REDACTED" in reddit.log["detail"]
    assert reddit.rows["item_id"].to_list() == ["1a"]
    assert reddit.payloads.height == 1
    assert "cannot go on with REDACTED" in caplog.text
    assert SECRET not in caplog.text


def test_an_absurd_header_ends_in_an_outcome_of_its_target_alone(tmp_path: Path) -> None:
    absurd = {"retry-after": "Thu, 01 Jan 1970 00:00:00 +9999999999999999"}

    def handler(request: httpx.Request) -> httpx.Response:
        is_reddit = "reddit" in request.url.host
        return httpx.Response(429, headers=absurd) if is_reddit else answering(request)

    fetches = collect(BOTH, make_settings(tmp_path), handler)
    assert outcomes(fetches) == {"by_date": "ok", "front_page": "ok", "r/rust": "transient_error"}


def collect_in(session: Session, day: date) -> list[Fetch]:
    async def work() -> list[Fetch]:
        async with session:
            return await collect_trends(BOTH, [day], session=session, run_id="run")

    return run(work())


def test_a_session_that_crosses_midnight_finishes_its_day(tmp_path: Path) -> None:
    present = Present()
    session = make_session(make_settings(tmp_path), answering, present)
    present.slept.append(13 * 3600)

    fetches = collect_in(session, TODAY)

    assert set(outcomes(fetches).values()) == {"ok"}
    assert fetches[2].rows["observed_at"].to_list() == [NOW + timedelta(hours=13)]
    assert fetches[2].rows["day"].to_list() == [TODAY]


def test_a_session_made_after_midnight_cannot_have_the_day_before(tmp_path: Path) -> None:
    present = Present()
    present.slept.append(13 * 3600)
    session = make_session(make_settings(tmp_path), answering, present)
    assert outcomes(collect_in(session, TODAY)) == {
        "by_date": "ok",
        "front_page": "unrecoverable",
        "r/rust": "unrecoverable",
    }


def ids(root: Path, hours: int, day: date) -> dict[str, str]:
    present = Present()
    present.slept.append(hours * 3600)
    session = make_session(make_settings(root), answering, present)
    return {fetch.log["target"]: fetch.log["collection_id"] for fetch in collect_in(session, day)}


def test_what_cannot_be_had_is_one_entry_however_often_it_is_asked_for(tmp_path: Path) -> None:
    once, again, other = ids(tmp_path, 0, PAST), ids(tmp_path, 5, PAST), ids(tmp_path, 0, TODAY)
    assert once["front_page"] == again["front_page"] != other["front_page"]
    assert once["by_date"] != again["by_date"]
    assert len({*once.values(), *again.values()}) == 4


class _Particular(YouTubeCharts):
    """A source that refuses the key that it has."""

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        if query.target:
            raise DisabledError("another key is wanted")
        yield await query.get(query.target)


@pytest.mark.parametrize(
    ("secrets", "catalog", "entries"),
    [
        ({}, CATALOG, 1),
        ({"YOUTUBE_KEY": "of ümlauts"}, CATALOG, 1),
        ({"YOUTUBE_KEY": "k"}, replace(CATALOG, trends=(_Particular(),)), 2),
    ],
    ids=["no key", "a key that cannot be sent", "a key that is refused"],
)
def test_a_missing_key_is_one_entry_and_a_refused_one_an_entry_each_time(
    tmp_path: Path, secrets: dict[str, str], catalog: Catalog, entries: int
) -> None:
    names = set()
    for hours in (0, 2):
        present = Present()
        present.slept.append(hours * 3600)
        session = make_session(make_settings(tmp_path, **secrets), answering, present)
        session.catalog = catalog

        async def work(session: Session = session) -> list[Fetch]:
            async with session:
                return await collect_trends(CHARTS, [TODAY], session=session, run_id="run")

        (fetch,) = run(work())
        assert fetch.log["outcome"] == "disabled"
        names.add(fetch.log["collection_id"])
    assert len(names) == entries
