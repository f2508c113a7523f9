from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.sources.collect import (
    collect_trends,
    collect_video_metrics,
)
from ytap_assets.sources.payloads import parse_payloads
from ytap_assets.sources.reddit import listing_url
from ytap_assets.sources.trend import Trend
from ytap_assets.tables import (
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
    VIDEO_METRICS,
)
from ytap_assets_tests.sources.support import (
    CHANNEL,
    CHANNELS,
    CHARTS,
    HN,
    REDDIT,
    TODAY,
    Handler,
    check_conservation,
    collect,
    make_session,
    make_settings,
    make_workspace,
    replay,
    run,
)

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
    """Everything works, but for the hosts that are replaced."""

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
def test_every_mishap_has_its_outcome_and_stays_where_it_happened(
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
        COLLECTION_LOG.model.validate(COLLECTION_LOG.frame([fetch.log]))
        RAW_PAYLOADS.model.validate(fetch.payloads)
        assert fetch.rows.height == {"by_date": 2}.get(fetch.log["target"], 1) or (
            fetch.log["outcome"] != "ok"
        )
        assert (fetch.log["outcome"] == "ok") == (fetch.log["detail"] is None)


def mishap_is_missing(mishap: httpx.Response | Exception) -> bool:
    return isinstance(mishap, httpx.Response) and mishap.status_code == 404


def test_an_answer_that_was_cut_is_kept_as_such(tmp_path: Path) -> None:
    handler = network({"hn.algolia.com": ok(HUGE)})
    fetch = collect(EVERYTHING, make_settings(tmp_path, **SECRETS), handler)[0]
    (payload,) = fetch.payloads.iter_rows(named=True)
    assert payload["is_truncated"] is True
    assert payload["size_bytes"] == len(payload["body"]) == 8 * 1024 * 1024


JSON_HOSTS = [host for host in GOOD if host != "www.youtube.com"]


@st.composite
def mangled(draw: st.DrawFn, host: str) -> bytes:
    """A body that was good before something happened to it."""
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
    """A document with one odd value in it."""
    return mangle_value(draw, value)


def mangle_value(draw: st.DrawFn, value: Any) -> Any:
    """Replace one value somewhere, or add a field that a platform might have filled oddly."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from([*value, *FIELDS]))
        return {**value, key: mangle_value(draw, value.get(key))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mangle_value(draw, value[at]), *value[at + 1 :]]
    return draw(ODD)


PATIENT = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    assert broken.log["outcome"] in {"ok", "malformed"}
    check_conservation(broken)
    RAW_TRENDS.model.validate(broken.rows)
    QUARANTINED_ROWS.model.validate(broken.quarantined)


@PATIENT
@given(story=odd_values(STORY))
def test_a_mangled_story_is_a_row_or_put_aside(tmp_path: Path, story: object) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        is_item = request.url.path.startswith("/v0/item/")
        return ok(json.dumps(story).encode()) if is_item else network()(request)

    front = collect(HN, make_settings(tmp_path), handler)[1]
    check_conservation(front)
    RAW_TRENDS.model.validate(front.rows)
    assert (front.log["outcome"], front.log["fetched"]) in {("ok", 1), ("malformed", 0)}


def test_every_failure_is_logged_with_its_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ytap_assets")
    collect(EVERYTHING, make_settings(tmp_path), network({"hn.algolia.com": httpx.Response(500)}))
    told = {record.getMessage().partition(": ")[0]: record for record in caplog.records}
    assert told["tech hn by_date"].levelno == logging.WARNING
    assert "answered 500" in told["tech hn by_date"].getMessage()
    assert told["tech youtube US/20"].levelno == logging.WARNING
    assert told["tech hn front_page"].levelno == logging.INFO


def test_the_same_present_gives_the_same_names(tmp_path: Path) -> None:
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
def test_a_workspace_that_does_not_collect_asks_nothing(
    tmp_path: Path, update: dict[str, Any]
) -> None:
    workspace = EVERYTHING.model_copy(update=update)
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    async def work() -> list[Any]:
        async with make_session(make_settings(tmp_path), handler) as session:
            trends = await collect_trends(workspace, [TODAY], session=session, run_id="run")
            metrics = await collect_video_metrics(
                workspace, ["ytapDemo001"], [TODAY], session=session, run_id="run"
            )
            return [*trends, *metrics]

    assert run(work()) == []
    assert asked == []


def test_only_the_chosen_targets_are_asked(tmp_path: Path) -> None:
    past = TODAY - timedelta(days=1)

    async def work() -> list[Any]:
        async with make_session(make_settings(tmp_path), lambda _: httpx.Response(404)) as session:
            return await collect_trends(
                EVERYTHING,
                [past, TODAY],
                session=session,
                run_id="run",
                targets={TODAY: {("hn", "by_date"), ("hn", "no such target")}},
            )

    (fetch,) = run(work())
    assert (fetch.log["day"], fetch.log["target"]) == (TODAY, "by_date")


def test_a_workspace_that_wants_nothing_gets_nothing(tmp_path: Path) -> None:
    assert replay(make_workspace(), [TODAY], make_settings(tmp_path, "replay")) == []


def test_a_trend_has_the_columns_of_the_table() -> None:
    shared = {"workspace_id", "day", "collection_id", "part"}
    assert set(Trend.__dataclass_fields__) | shared == set(RAW_TRENDS.schema)


def test_every_source_names_the_lists_it_shows(tmp_path: Path) -> None:
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
    rows, quarantined = parse_payloads(stored)
    order = ["collection_id", "item_id"]
    before = pl.concat([fetch.rows for fetch in fetches])
    assert_frame_equal(rows.sort(order), before.sort(order))
    aside = pl.concat([fetch.quarantined for fetch in fetches])
    assert aside.height == 1
    assert_frame_equal(quarantined, aside)


def test_payloads_of_a_source_that_is_gone_are_left_alone(tmp_path: Path) -> None:
    fetch = collect(EVERYTHING, make_settings(tmp_path, **SECRETS), network())[0]
    gone = fetch.payloads.with_columns(source=pl.lit("digg"))
    rows, quarantined = parse_payloads(gone)
    assert rows.is_empty()
    assert quarantined.is_empty()
    assert parse_payloads(fetch.payloads, VIDEO_METRICS)[0].is_empty()


def test_a_listing_that_was_not_recorded_gives_way_to_the_feed(tmp_path: Path) -> None:
    workspace = make_workspace(reddit={"subreddits": ["rust"]})
    feed = httpx.Response(200, content=b"<feed xmlns='http://www.w3.org/2005/Atom'/>")
    collect(workspace, make_settings(tmp_path, "record"), lambda _: feed)

    def refuse(_: httpx.Request) -> httpx.Response:
        raise AssertionError("a replay asked the network")

    (fetch,) = collect(workspace, make_settings(tmp_path, "replay"), refuse)
    assert fetch.log["outcome"] == "ok"
    assert listing_url("r/rust") not in fetch.payloads["url"].to_list()


def test_a_second_page_that_was_not_recorded_is_said_to_be_missing(tmp_path: Path) -> None:
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
