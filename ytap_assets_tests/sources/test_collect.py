from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import (
    Session,
    collect_trends,
    collect_video_metrics,
    open_session,
)
from ytap_assets.sources.http.exchange import DisabledError, Exchange, RefusedUrlError, Request
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.sources.reddit import RedditHot, listing_url
from ytap_assets.sources.source import Fetch, Parsed, Query, Responses, Trend
from ytap_assets.sources.youtube import YouTubeCharts
from ytap_assets.tables import (
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
)
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.effort import examples
from ytap_assets_tests.sources.support import (
    CHANNEL,
    CHANNELS,
    CHARTS,
    HN,
    NOW,
    REDDIT,
    TODAY,
    FakeClock,
    Handler,
    check_conservation,
    collect,
    make_session,
    make_settings,
    make_workspace,
    parse_again,
    replay,
    run,
)
from ytap_assets_tests.storable import check_storable

SECRETS = {
    "YOUTUBE_KEY": "youtube-key-0123456789",
    "REDDIT_ID": "reddit-app-identity",
    "REDDIT_SECRET": "reddit-app-password",
}
TOKEN = "tok3n-value-xyz-98765"  # noqa: S105 - what the test looks for in everything that is kept
EVERYTHING = make_workspace(
    hn={"min_points": 50},
    reddit={"subreddits": ["rust"]},
    youtube={
        "regions": ["US"],
        "categories": ["20"],
        "monitored_channels": [{"id": CHANNEL}],
    },
)
TARGETS = ["by_date", "front_page", "r/rust", "US/20", CHANNEL]

GOOD: dict[str, bytes] = {
    "hn.algolia.com": json.dumps(
        {
            "nbHits": 2,
            "hits": [{"objectID": str(n), "title": f"T{n}", "points": 60} for n in (1, 2)],
        }
    ).encode(),
    "hacker-news.firebaseio.com": b"[7]",
    "oauth.reddit.com": json.dumps(
        {"data": {"after": None, "children": [{"kind": "t3", "data": {"id": "1a", "title": "R"}}]}}
    ).encode(),
    "www.googleapis.com": json.dumps(
        {"items": [{"id": "I_GUQdY01b0", "snippet": {"title": "V"}, "statistics": {}}]}
    ).encode(),
    "www.reddit.com": b"<feed xmlns='http://www.w3.org/2005/Atom'/>",
    "www.youtube.com": (
        b"<feed xmlns='http://www.w3.org/2005/Atom' xmlns:yt='http://www.youtube.com/xml/schemas/"
        b"2015'><entry><yt:videoId>I_GUQdY01b0</yt:videoId><title>F</title></entry></feed>"
    ),
}
ONLY = {
    "hn.algolia.com": HN,
    "hacker-news.firebaseio.com": HN,
    "oauth.reddit.com": REDDIT,
    "www.googleapis.com": CHARTS,
    "www.youtube.com": CHANNELS,
}
STORY = {"id": 7, "type": "story", "title": "S", "score": 3}


def network(replace: dict[str, httpx.Response | Exception] | None = None) -> Handler:
    """Every host works, except those that are replaced."""

    def handler(request: httpx.Request) -> httpx.Response:
        broken = (replace or {}).get(request.url.host)
        if isinstance(broken, Exception):
            raise broken
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 3600})
        if broken is not None:
            return broken
        if request.url.path.startswith("/v0/item/"):
            return httpx.Response(200, json=STORY)
        return httpx.Response(200, content=GOOD[request.url.host])

    return handler


def ok(body: bytes) -> httpx.Response:
    return httpx.Response(200, content=body)


HUGE = b"[" + b"0," * (5 * 1024 * 1024) + b"0]"
MISHAPS: list[tuple[str, httpx.Response | Exception, str]] = [
    ("HTML", ok(b"<!DOCTYPE html><html><body>Log in</body></html>"), "malformed"),
    ("cut off", ok(b'{"hits": [{"objectID": "1", "ti'), "malformed"),
    ("empty", ok(b""), "malformed"),
    ("null", ok(b"null"), "malformed"),
    ("number", ok(b"17"), "malformed"),
    ("bytes", ok(bytes(range(256))), "malformed"),
    ("deep", ok(b"[" * 200_000), "malformed"),
    ("bomb", ok(b"<!DOCTYPE x [<!ENTITY a 'ha'>]><feed>&a;</feed>"), "malformed"),
    ("10 MB", ok(HUGE), "too_large"),
    ("404", httpx.Response(404, content=b"<html>"), "permanent_error"),
    ("503", httpx.Response(503), "transient_error"),
    ("429", httpx.Response(429, headers={"retry-after": "86400"}), "transient_error"),
    ("timeout", httpx.ReadTimeout("slow"), "transient_error"),
    ("refused", httpx.ConnectError("refused"), "transient_error"),
    ("away", httpx.Response(302, headers={"location": "http://10.0.0.1/"}), "permanent_error"),
    (
        "quota",
        httpx.Response(403, content=b'{"error": {"errors": [{"reason": "quotaExceeded"}]}}'),
        "quota_exhausted",
    ),
]


@pytest.mark.parametrize("host", ONLY)
@pytest.mark.parametrize(
    ("mishap", "outcome"),
    [(mishap, outcome) for _, mishap, outcome in MISHAPS],
    ids=[name for name, _, _ in MISHAPS],
)
def test_every_fault_has_its_outcome_and_affects_no_other_target(
    tmp_path: Path, host: str, mishap: httpx.Response | Exception, outcome: str
) -> None:
    fetches = collect(EVERYTHING, make_settings(tmp_path, **SECRETS), network({host: mishap}))
    assert [fetch.log["target"] for fetch in fetches] == TARGETS
    expected = ["ok"] * len(TARGETS)
    if host == "www.youtube.com" and outcome == "permanent_error" and mishap_is_missing(mishap):
        outcome = "transient_error"
    expected[list(ONLY).index(host)] = outcome
    assert [fetch.log["outcome"] for fetch in fetches] == expected
    for fetch in fetches:
        check_conservation(fetch)
        check_storable(COLLECTION_LOG, COLLECTION_LOG.frame([fetch.log]))
        check_storable(RAW_PAYLOADS, fetch.payloads)
        assert fetch.rows.height == {"by_date": 2}.get(fetch.log["target"], 1) or (
            fetch.log["outcome"] != "ok"
        )
        assert (fetch.log["outcome"] == "ok") == (fetch.log["detail"] is None)


def mishap_is_missing(mishap: httpx.Response | Exception) -> bool:
    return isinstance(mishap, httpx.Response) and mishap.status_code == 404


def test_a_truncated_response_is_stored_as_truncated(tmp_path: Path) -> None:
    handler = network({"hn.algolia.com": ok(HUGE)})
    fetch = collect(EVERYTHING, make_settings(tmp_path, **SECRETS), handler)[0]
    (payload,) = fetch.payloads.iter_rows(named=True)
    assert payload["is_truncated"] is True
    assert payload["size_bytes"] == len(payload["body"]) == 8 * 1024 * 1024


JSON_HOSTS = [host for host in GOOD if host != "www.youtube.com"]


@st.composite
def mangled(draw: st.DrawFn, host: str) -> bytes:
    """A valid body with a random mutation."""
    body = GOOD[host]
    kind = draw(st.sampled_from(["bytes", "cut", "splice", "value"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    at = draw(st.integers(0, len(body)))
    if kind == "cut":
        return body[:at]
    if kind == "splice" or host not in JSON_HOSTS:
        return body[:at] + draw(st.binary(max_size=8)) + body[at + draw(st.integers(0, 9)) :]
    return json.dumps(mangle_value(draw, json.loads(body))).encode()


ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "\x00", "javascript:x", "9" * 400, [], {}, [None], {"a": {}}]),
)
FIELDS = [
    *("objectID", "title", "url", "points", "num_comments", "created_at_i"),
    *("id", "type", "time", "score", "descendants", "dead"),
    *("kind", "data", "permalink", "created_utc", "stickied"),
    *("snippet", "statistics", "contentDetails"),
]


@st.composite
def odd_values(draw: st.DrawFn, value: Any) -> Any:
    """A document with one unusual value."""
    return mangle_value(draw, value)


def mangle_value(draw: st.DrawFn, value: Any) -> Any:
    """Replace one value, or add a field with an unusual value."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from([*value, *FIELDS]))
        return {**value, key: mangle_value(draw, value.get(key))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mangle_value(draw, value[at]), *value[at + 1 :]]
    return draw(ODD)


PATIENT = settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("host", ONLY)
@PATIENT
@given(data=st.data())
def test_nothing_is_lost_however_a_body_is_mangled(
    tmp_path: Path, host: str, data: st.DataObject
) -> None:
    body = data.draw(mangled(host))
    fetches = collect(ONLY[host], make_settings(tmp_path, **SECRETS), network({host: ok(body)}))
    broken = fetches[host == "hacker-news.firebaseio.com"]
    if "too many stories" in (broken.log["detail"] or ""):  # a count of 1,000 or more is full
        assert (host, broken.log["attempts"]) == ("hn.algolia.com", 64)
    else:
        assert broken.log["outcome"] in {"ok", "malformed"}
    check_conservation(broken)
    check_storable(RAW_TRENDS, broken.rows)
    check_storable(QUARANTINED_ROWS, broken.quarantined)


@PATIENT
@given(story=odd_values(STORY))
def test_a_mangled_story_is_a_row_or_quarantined(tmp_path: Path, story: object) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        is_item = request.url.path.startswith("/v0/item/")
        return ok(json.dumps(story).encode()) if is_item else network()(request)

    front = collect(HN, make_settings(tmp_path), handler)[1]
    check_conservation(front)
    check_storable(RAW_TRENDS, front.rows)
    assert (front.log["outcome"], front.log["fetched"]) in {("ok", 1), ("malformed", 0)}


def test_every_failure_is_logged_with_its_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ytap_assets")
    collect(EVERYTHING, make_settings(tmp_path), network({"hn.algolia.com": httpx.Response(500)}))
    told = {record.getMessage().partition(": ")[0]: record for record in caplog.records}
    assert told["tech hn by_date"].levelno == logging.WARNING
    assert "returned 500" in told["tech hn by_date"].getMessage()
    assert told["tech youtube US/20"].levelno == logging.WARNING
    assert told["tech hn front_page"].levelno == logging.INFO


def test_the_same_clock_gives_the_same_ids(tmp_path: Path) -> None:
    one, two = (
        collect(EVERYTHING, make_settings(tmp_path, **SECRETS), network()) for _ in range(2)
    )
    ids = [fetch.log["collection_id"] for fetch in one]
    assert ids == [fetch.log["collection_id"] for fetch in two]
    assert len(set(ids)) == len(ids)
    for before, after in zip(one, two, strict=True):
        assert_frame_equal(before.payloads, after.payloads)


@pytest.mark.parametrize(
    "update", [{"status": "paused"}, {"status": "archived"}, {"data_collection_enabled": False}]
)
def test_a_workspace_that_does_not_collect_sends_no_request(
    tmp_path: Path, update: dict[str, Any]
) -> None:
    workspace = EVERYTHING.model_copy(update=update)
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    async def work() -> list[Any]:
        async with make_session(make_settings(tmp_path), handler) as session:
            trends = await collect_trends(workspace, TODAY, session=session, run_id="run")
            metrics = await collect_video_metrics(
                workspace, ["ytapDemo001"], TODAY, session=session, run_id="run"
            )
            return [*trends, *metrics]

    assert run(work()) == []
    assert asked == []


def test_only_the_given_targets_are_fetched(tmp_path: Path) -> None:
    past = TODAY - timedelta(days=1)

    async def work() -> list[Any]:
        async with make_session(make_settings(tmp_path), lambda _: httpx.Response(404)) as session:
            targets = {TODAY: {("hn", "by_date"), ("hn", "no such target")}}
            return [
                fetch
                for day in (past, TODAY)
                for fetch in await collect_trends(
                    EVERYTHING, day, session=session, run_id="run", targets=targets
                )
            ]

    (fetch,) = run(work())
    assert (fetch.log["day"], fetch.log["target"]) == (TODAY, "by_date")


def test_a_workspace_without_targets_gives_no_fetches(tmp_path: Path) -> None:
    assert replay(make_workspace(), [TODAY], make_settings(tmp_path, "replay")) == []


def test_a_trend_has_the_columns_of_the_table() -> None:
    shared = {"workspace_id", "day", "collection_id", "part"}
    assert set(Trend.__dataclass_fields__) | shared == set(RAW_TRENDS.schema)


def test_every_source_sets_the_list_name(tmp_path: Path) -> None:
    fetches = collect(EVERYTHING, make_settings(tmp_path, **SECRETS), network())
    names = {fetch.log["target"]: set(fetch.rows["list_name"]) for fetch in fetches}
    shown = [name for one in names.values() for name in one]
    assert "" not in shown
    assert sorted(shown) == sorted(set(shown))
    assert all(len(one) <= 1 for one in names.values())
    assert sum(map(bool, names.values())) > 3


def test_stored_payloads_are_read_again_to_the_same_rows(tmp_path: Path) -> None:
    broken = json.dumps({"nbHits": 2, "hits": [{"objectID": "1", "title": "T"}, None]}).encode()
    fetches = collect(
        EVERYTHING,
        make_settings(tmp_path, **SECRETS),
        network({"hn.algolia.com": ok(broken), "www.youtube.com": httpx.Response(503)}),
    )
    stored = pl.concat([fetch.payloads for fetch in fetches]).sample(
        fraction=1, shuffle=True, seed=1
    )
    rows, quarantined = parse_again(stored)
    order = ["collection_id", "item_id"]
    before = pl.concat([fetch.rows for fetch in fetches])
    assert_frame_equal(rows.sort(order), before.sort(order))
    aside = pl.concat([fetch.quarantined for fetch in fetches])
    assert aside.height == 1
    assert_frame_equal(quarantined, aside)


def test_the_feed_is_replayed_if_the_listing_was_not_recorded(tmp_path: Path) -> None:
    workspace = make_workspace(reddit={"subreddits": ["rust"]})
    feed = httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")
    collect(workspace, make_settings(tmp_path, "record"), lambda _: feed)

    def refuse(_: httpx.Request) -> httpx.Response:
        raise AssertionError("a replay asked the network")

    (fetch,) = collect(workspace, make_settings(tmp_path, "replay"), refuse)
    assert fetch.log["outcome"] == "ok"
    assert listing_url("r/rust") not in fetch.payloads["url"].to_list()


def test_a_second_page_that_was_not_recorded_is_reported(tmp_path: Path) -> None:
    pages = [
        httpx.Response(200, json={"data": {"after": "t3_1a", "children": [post]}})
        for post in ({"kind": "t3", "data": {"id": "1a", "title": "R"}}, None)
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return network()(request)
        return pages.pop(0)

    collect(REDDIT, make_settings(tmp_path, "record", **SECRETS), handler)
    (path,) = (tmp_path / "recordings").rglob("reddit.jsonl")
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    (fetch,) = collect(REDDIT, make_settings(tmp_path, "replay"), handler)
    assert fetch.log["outcome"] == "not_recorded"
    assert fetch.rows["item_id"].to_list() == ["1a"]


EMPTY_FEED = (
    b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>t3_1a</id><title>R</title>"
    b"<link href='https://www.reddit.com/r/rust/1a'/></entry></feed>"
)
BOTH = make_workspace(hn={"min_points": 50}, reddit={"subreddits": ["rust"]})
SECRET = "youtube-key-0123456789"  # noqa: S105 - what must not be said
PAST = TODAY - timedelta(days=3)


def answering(request: httpx.Request) -> httpx.Response:
    if "reddit" in request.url.host:
        return httpx.Response(200, content=EMPTY_FEED)
    return httpx.Response(200, json=[] if "firebase" in request.url.host else {"hits": []})


def outcomes(fetches: list[Fetch]) -> dict[str, str]:
    return {fetch.log["target"]: fetch.log["outcome"] for fetch in fetches}


def break_parsing(monkeypatch: pytest.MonkeyPatch, parse: object) -> None:
    monkeypatch.setattr(RedditHot, "parse", parse)


def test_a_bug_in_a_parser_fails_its_target_only_and_its_payloads_can_be_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: RedditHot, __: Responses) -> Parsed:
        raise ZeroDivisionError("by\ud800 zero")

    with monkeypatch.context() as broken:
        break_parsing(broken, fail)
        fetches = collect(BOTH, make_settings(tmp_path), answering)

    assert outcomes(fetches) == {"by_date": "ok", "front_page": "ok", "r/rust": "permanent_error"}
    reddit = fetches[2]
    check_conservation(reddit)
    check_storable(COLLECTION_LOG, COLLECTION_LOG.frame([reddit.log]))
    assert reddit.log["detail"].startswith("ZeroDivisionError: by\ufffd zero: an error in ytap")
    assert reddit.log["http_status"] == 200
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Traceback (most recent call last):\n" in told.getMessage()
    assert "\ufffd zero" in told.getMessage().encode().decode()
    rows, _ = parse_again(reddit.payloads)
    assert rows["item_id"].to_list() == ["1a"]


def test_rows_that_do_not_fit_the_table_fail_their_target_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [{"item_id": "1", "points": "many"}, {"item_id": "2", "points": 1}]
    break_parsing(monkeypatch, lambda _, __: Parsed(rows=rows))
    (fetch,) = collect(REDDIT, make_settings(tmp_path), answering)
    check_conservation(fetch)
    assert (fetch.log["outcome"], fetch.log["fetched"]) == ("permanent_error", 0)
    assert fetch.payloads["body"].to_list() == [EMPTY_FEED]


def test_a_bug_while_fetching_stores_earlier_responses_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = RedditHot.fetch

    async def fetch(self: RedditHot, query: Query) -> AsyncIterator[Exchange]:
        async for exchange in asked(self, query):
            yield exchange
        raise RuntimeError(f"cannot go on with {SECRET}")

    monkeypatch.setattr(RedditHot, "fetch", fetch)
    fetches = collect(BOTH, make_settings(tmp_path, YOUTUBE_KEY=SECRET), answering)
    reddit = fetches[2]
    assert outcomes(fetches)["by_date"] == "ok"
    assert reddit.log["outcome"] == "permanent_error"
    assert "RuntimeError: cannot go on with REDACTED" in reddit.log["detail"]
    assert reddit.rows["item_id"].to_list() == ["1a"]
    assert reddit.payloads.height == 1
    assert "cannot go on with REDACTED" in caplog.text
    assert SECRET not in caplog.text


def test_an_invalid_header_fails_its_target_only(tmp_path: Path) -> None:
    absurd = {"retry-after": "Thu, 01 Jan 1970 00:00:00 +9999999999999999"}

    def handler(request: httpx.Request) -> httpx.Response:
        is_reddit = "reddit" in request.url.host
        return httpx.Response(429, headers=absurd) if is_reddit else answering(request)

    fetches = collect(BOTH, make_settings(tmp_path), handler)
    assert outcomes(fetches) == {"by_date": "ok", "front_page": "ok", "r/rust": "transient_error"}


def collect_in(session: Session, day: date) -> list[Fetch]:
    async def work() -> list[Fetch]:
        async with session:
            return await collect_trends(BOTH, day, session=session, run_id="run")

    return run(work())


def test_a_session_that_crosses_midnight_finishes_its_day(tmp_path: Path) -> None:
    clock = FakeClock()
    session = make_session(make_settings(tmp_path), answering, clock)
    clock.slept.append(13 * 3600)

    fetches = collect_in(session, TODAY)

    assert set(outcomes(fetches).values()) == {"ok"}
    assert fetches[2].rows["observed_at"].to_list() == [NOW + timedelta(hours=13)]
    assert fetches[2].rows["day"].to_list() == [TODAY]


def test_a_session_opened_after_midnight_cannot_fetch_the_day_before(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.slept.append(13 * 3600)
    session = make_session(make_settings(tmp_path), answering, clock)
    assert outcomes(collect_in(session, TODAY)) == {
        "by_date": "ok",
        "front_page": "unrecoverable",
        "r/rust": "unrecoverable",
    }


def ids(root: Path, hours: int, day: date) -> dict[str, str]:
    clock = FakeClock()
    clock.slept.append(hours * 3600)
    session = make_session(make_settings(root), answering, clock)
    return {fetch.log["target"]: fetch.log["collection_id"] for fetch in collect_in(session, day)}


def test_an_unrecoverable_day_is_one_entry_however_often_it_is_fetched(tmp_path: Path) -> None:
    once, again, other = ids(tmp_path, 0, PAST), ids(tmp_path, 5, PAST), ids(tmp_path, 0, TODAY)
    assert once["front_page"] == again["front_page"] != other["front_page"]
    assert once["by_date"] != again["by_date"]
    assert len({*once.values(), *again.values()}) == 4


class _RefusesItsKey(YouTubeCharts):
    """A source that rejects the key that is set."""

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        if query.target:
            raise DisabledError("another key is required")
        yield await query.get(query.target)


@pytest.mark.parametrize(
    ("secrets", "catalog", "entries"),
    [
        ({}, CATALOG, 1),
        ({"YOUTUBE_KEY": "of ümlauts"}, CATALOG, 1),
        ({"YOUTUBE_KEY": "k"}, replace(CATALOG, trends=(_RefusesItsKey(),)), 2),
    ],
    ids=["no key", "a key that cannot be sent", "a key that is refused"],
)
def test_a_missing_key_is_one_entry_and_a_refused_one_an_entry_each_time(
    tmp_path: Path, secrets: dict[str, str], catalog: Catalog, entries: int
) -> None:
    names = set()
    for hours in (0, 2):
        clock = FakeClock()
        clock.slept.append(hours * 3600)
        session = make_session(make_settings(tmp_path, **secrets), answering, clock)
        session.catalog = catalog

        async def work(session: Session = session) -> list[Fetch]:
            async with session:
                return await collect_trends(CHARTS, TODAY, session=session, run_id="run")

        (fetch,) = run(work())
        assert fetch.log["outcome"] == "disabled"
        names.add(fetch.log["collection_id"])
    assert len(names) == entries


FEED = b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>"


def test_the_catalog_is_consistent() -> None:
    assert {source.table for source in CATALOG.trends} == {RAW_TRENDS}
    assert set(CATALOG.spacing_s) == CATALOG.hosts
    assert all(seconds > 0 for seconds in CATALOG.spacing_s.values())
    assert CATALOG.find("hn", "https://www.reddit.com/") is None
    assert CATALOG.find("digg", "https://www.reddit.com/") is None


def test_only_declared_hosts_are_requested(tmp_path: Path) -> None:
    async def work() -> None:
        session = make_session(make_settings(tmp_path), lambda _: httpx.Response(200))
        async with session:
            client = (await session.context(TODAY)).client
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
            recorded, other = await session.context(day), await session.context(date(2026, 11, 18))
            return [recorded.now(), recorded.now(), other.now()]

    first, again, unrecorded = run(work())
    assert first == again == datetime(2026, 11, 17, 21, 5, tzinfo=UTC)
    assert unrecorded.date() == date(2026, 11, 18)


def collect_by(
    root: Path, transport: str, workspace: Workspace, handler: Handler, day: date
) -> list[Fetch]:
    async def work() -> list[Fetch]:
        settings = make_settings(root, transport)
        async with make_session(settings, handler, FakeClock()) as session:
            return await collect_trends(workspace, day, session=session, run_id="run")

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


def test_a_day_without_recordings_is_not_recorded(tmp_path: Path) -> None:
    fetches = replay(HN, [TODAY], make_settings(tmp_path, "replay"))
    assert [fetch.log["outcome"] for fetch in fetches] == ["not_recorded"] * 2
    assert all(fetch.rows.is_empty() and fetch.payloads.is_empty() for fetch in fetches)


def test_a_live_session_opens_nothing_before_the_first_request(tmp_path: Path) -> None:
    async def work() -> bool:
        async with open_session(make_settings(tmp_path), now=FakeClock().now) as session:
            visit = await session.context(TODAY)
            return visit.now() == NOW and not visit.is_replay

    assert run(work())
    assert list(tmp_path.iterdir()) == []
