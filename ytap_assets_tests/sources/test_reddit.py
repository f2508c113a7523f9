from __future__ import annotations

import gzip
import json
import logging
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.reddit import RedditHot, feed_url, listing_url
from ytap_assets.sources.source import Fetch, Parsed, Responses
from ytap_assets_tests.sources.support import (
    NOW,
    REDDIT,
    TODAY,
    FakeClock,
    answer,
    check_conservation,
    collect,
    make_session,
    make_settings,
    make_workspace,
    run,
)

LISTING = listing_url("r/rust")
FEED = feed_url("r/rust")
POSTED = NOW - timedelta(hours=3)


def post(**changes: object) -> dict[str, Any]:
    data = {
        "id": "1abc",
        "title": "A &amp; B",
        "url": "https://a.example/?x=1&y=2",
        "permalink": "/r/rust/comments/1abc/a_b/",
        "score": 120,
        "num_comments": 30,
        "created_utc": POSTED.timestamp(),
        "subreddit": "rust",
        "stickied": False,
        **changes,
    }
    return {"kind": "t3", "data": data}


def listing(*children: object, after: object = None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": after, "children": list(children)}}


def parse(*exchanges: Exchange) -> Parsed:
    return RedditHot().parse(Responses(TODAY, exchanges))


def entry(**changes: str) -> str:
    parts = {
        "id": "t3_1abc",
        "title": "A &amp;amp; B",
        "link": "https://www.reddit.com/r/rust/comments/1abc/a_b/",
        "published": POSTED.isoformat(),
        "content": '&lt;a href="https://a.example/?x=1&amp;amp;y=2"&gt;[link]&lt;/a&gt;',
        **changes,
    }
    return (
        f"<entry><id>{parts['id']}</id><title>{parts['title']}</title>"
        f"<category term='rust' label='r/rust'/><link href='{parts['link']}'/>"
        f"<published>{parts['published']}</published>"
        f"<content type='html'>{parts['content']}</content></entry>"
    )


def feed(*entries: str) -> bytes:
    return f"<feed xmlns='http://www.w3.org/2005/Atom'>{''.join(entries)}</feed>".encode()


def test_a_post_of_the_listing_becomes_a_row() -> None:
    (row,) = parse(answer(listing(post()), LISTING)).rows
    assert {name: value for name, value in row.items() if value is not None} == {
        "source": "reddit",
        "item_id": "1abc",
        "observed_at": NOW,
        "title": "A &amp; B",
        "url": "https://a.example/?x=1&y=2",
        "discussion_url": "https://www.reddit.com/r/rust/comments/1abc/a_b/",
        "published_at": POSTED,
        "points": 120,
        "comments": 30,
        "list_name": "r/rust/hot",
        "rank": 1,
        "category": "rust",
        "is_promoted": False,
    }


def test_an_entry_of_the_feed_becomes_a_row_without_counts() -> None:
    (row,) = parse(answer(feed(entry()), FEED)).rows
    assert {name: value for name, value in row.items() if value is not None} == {
        "source": "reddit",
        "item_id": "1abc",
        "observed_at": NOW,
        "title": "A &amp; B",
        "url": "https://a.example/?x=1&y=2",
        "discussion_url": "https://www.reddit.com/r/rust/comments/1abc/a_b/",
        "published_at": POSTED,
        "list_name": "r/rust/hot",
        "rank": 1,
        "category": "rust",
    }


def test_a_text_post_links_to_itself() -> None:
    page = "https://www.reddit.com/r/rust/comments/1abc/a_b/"
    (row,) = parse(answer(listing(post(url=page)), LISTING)).rows
    assert row["url"] == row["discussion_url"] == page
    (row,) = parse(answer(feed(entry(content="no link")), FEED)).rows
    assert row["url"] == row["discussion_url"] == page


def test_a_link_without_a_scheme_is_not_on_reddit() -> None:
    (row,) = parse(answer(listing(post(url="//b.example/q")), LISTING)).rows
    assert row["url"] == "https://b.example/q"


def test_a_gallery_is_on_reddit() -> None:
    (row,) = parse(answer(listing(post(url="/gallery/1abc")), LISTING)).rows
    assert row["url"] == "https://www.reddit.com/gallery/1abc"


@pytest.mark.parametrize(
    ("changes", "promoted"),
    [
        ({"stickied": True}, True),
        ({"promoted": True}, True),
        ({"stickied": False, "promoted": False}, False),
        ({"stickied": None}, None),
    ],
)
def test_what_is_stickied_or_paid_for_is_promoted(
    changes: dict[str, object], promoted: bool | None
) -> None:
    (row,) = parse(answer(listing(post(**changes)), LISTING)).rows
    assert row["is_promoted"] is promoted


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (None, "post is null, not an object"),
        ({"kind": "t1", "data": {}}, "kind 't1' is not a post"),
        ({"kind": "t3"}, "data is null, not an object"),
        (post(id="../x"), "id is missing or not a post's id"),
        (post(title=None), "title is missing"),
        (post(score=-2), "score is negative"),
        (post(score=1e300), "score is 1,000,000,000,000,000 or more"),
        (post(score=1.5), "score is a number, not a whole number"),
        (post(created_utc=1e300), "created_utc is outside 2005 to now"),
        (post(stickied="yes"), "stickied is a text, neither true nor false"),
        (post(url="data:text/html,x"), "url is not an http or https URL"),
        (post(url="///evil.example/x"), "url is not an http or https URL"),
    ],
)
def test_an_invalid_post_is_quarantined(child: object, reason: str) -> None:
    parsed = parse(answer(listing(post(), child, post()), LISTING))
    assert [row["rank"] for row in parsed.rows] == [1, 3]
    assert [(each.place, each.reason) for each in parsed.rejected] == [("post 2", reason)]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (entry(id="t1_1abc"), "id is not a post's id"),
        (entry(title=" "), "title is missing"),
        (entry(link="javascript:x"), "link is not an http or https URL"),
        (entry(published="today"), "published is not an ISO 8601 time"),
        ("<entry/>", "id is missing"),
    ],
)
def test_an_invalid_entry_is_quarantined(broken: str, reason: str) -> None:
    parsed = parse(answer(feed(entry(), broken), FEED))
    assert len(parsed.rows) == 1
    assert [each.reason for each in parsed.rejected] == [reason]


@pytest.mark.parametrize("body", [[], {}, {"data": []}, {"data": {"children": {}}}, b"<html>"])
def test_a_response_without_a_listing_is_malformed(body: object) -> None:
    parsed = parse(answer(body, LISTING))
    assert parsed.error is not None
    assert parsed.rows == []


def test_a_response_without_a_feed_is_malformed() -> None:
    assert parse(answer(b"<html><body/></html>", FEED)).error is not None


class Reddit:
    """Reddit with an app: a token, then pages."""

    def __init__(self, *pages: httpx.Response) -> None:
        self.pages = list(pages)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "POST":
            token = {"access_token": "tok3n-value-xyz", "expires_in": 3600, "token_type": "bearer"}
            return httpx.Response(200, json=token)
        return self.pages.pop(0)


APP = {"REDDIT_ID": "app-identity", "REDDIT_SECRET": "app-password"}


def fetch_with_app(root: Path, reddit: Any, **more: str) -> Fetch:
    (fetch,) = collect(REDDIT, make_settings(root, **APP, **more), reddit)
    return fetch


def test_without_an_app_the_feed_is_fetched(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=feed(entry()))

    (fetch,) = collect(REDDIT, make_settings(tmp_path), handler)
    assert asked == [FEED]
    assert fetch.log["outcome"] == "ok"
    assert fetch.rows["points"].to_list() == [None]


def test_with_an_app_the_listing_is_paged_with_its_token(tmp_path: Path) -> None:
    reddit = Reddit(
        httpx.Response(200, json=listing(post(id="a"), after="t3_a")),
        httpx.Response(200, json=listing(post(id="b"), after="t3_b")),
    )
    fetch = fetch_with_app(tmp_path, reddit, REDDIT_USER="owner_1")
    token, *pages = reddit.requests
    basic = b64encode(b"app-identity:app-password").decode()
    assert str(token.url) == "https://www.reddit.com/api/v1/access_token"
    assert token.headers["authorization"] == f"Basic {basic}"
    assert token.content == b"grant_type=client_credentials"
    assert [str(page.url) for page in pages] == [LISTING, listing_url("r/rust", "t3_a")]
    assert {page.headers["authorization"] for page in pages} == {"Bearer tok3n-value-xyz"}
    assert {page.headers["user-agent"] for page in reddit.requests} == {
        "python:ytap-assets:0.1.0 (by /u/owner_1)"
    }
    assert fetch.rows.select("item_id", "rank").rows() == [("a", 1), ("b", 2)]


def test_an_invalid_page_token_ends_the_listing(tmp_path: Path) -> None:
    reddit = Reddit(httpx.Response(200, json=listing(post(), after="t3_a&limit=1")))
    assert fetch_with_app(tmp_path, reddit).log["outcome"] == "ok"


def test_one_token_is_used_for_all_subreddits(tmp_path: Path) -> None:
    reddit = Reddit(*[httpx.Response(200, json=listing(post())) for _ in range(3)])
    workspace = make_workspace(reddit={"subreddits": ["rust"]})

    async def work() -> None:
        async with make_session(make_settings(tmp_path, **APP), reddit) as session:
            for _ in range(3):
                await collect_trends(workspace, TODAY, session=session, run_id="run")

    run(work())
    assert [request.method for request in reddit.requests] == ["POST", "GET", "GET", "GET"]


def test_a_rejected_token_is_fetched_again(tmp_path: Path) -> None:
    reddit = Reddit(httpx.Response(401), httpx.Response(200, json=listing(post())))
    outcomes: list[str] = []

    async def work() -> None:
        async with make_session(make_settings(tmp_path, **APP), reddit) as session:
            for _ in range(2):
                fetches = await collect_trends(REDDIT, TODAY, session=session, run_id="run")
                outcomes.append(fetches[0].log["outcome"])

    run(work())
    assert outcomes == ["permanent_error", "ok"]
    assert [request.method for request in reddit.requests] == ["POST", "GET", "POST", "GET"]


def test_an_expired_token_is_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    reddit = Reddit(*[httpx.Response(200, json=listing(post())) for _ in range(2)])

    async def work() -> None:
        settings = make_settings(tmp_path, **APP)
        async with make_session(settings, reddit, clock) as session:
            await collect_trends(REDDIT, TODAY, session=session, run_id="run")
            await clock.sleep(3600)
            await collect_trends(REDDIT, TODAY, session=session, run_id="run")

    run(work())
    assert [request.method for request in reddit.requests] == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"<html>", "malformed"),
        (200, b"[]", "permanent_error"),
        (200, b'{"access_token": 7}', "permanent_error"),
        (200, b'{"access_token": "a b"}', "permanent_error"),
        (200, b'{"access_token": "a\\r\\nx: y"}', "permanent_error"),
        (401, b'{"access_token": "tok3n-value-xyz"}', "permanent_error"),
        (503, b'{"access_token": "tok3n-value-xyz"}', "transient_error"),
    ],
)
def test_a_failing_token_request_is_reported_and_not_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, body: bytes, outcome: str
) -> None:
    caplog.set_level(logging.DEBUG)
    fetch = fetch_with_app(tmp_path, lambda _: httpx.Response(status, content=body))
    assert fetch.log["outcome"] == outcome
    assert fetch.payloads.is_empty()
    for secret in ("tok3n-value-xyz", *APP.values()):
        assert secret not in caplog.text
        assert secret not in str(fetch)


def test_recorded_listings_are_read(real_data: Path) -> None:
    posts = 0
    for path in sorted((real_data / "reddit" / "api_responses").glob("*.json.gz")):
        for recorded in json.loads(gzip.decompress(path.read_bytes())):
            if recorded["status"]["code"] != 200:
                continue
            seen_at = datetime.fromisoformat(recorded["recorded_at"]).replace(tzinfo=UTC)
            body = recorded["body"].encode("utf-8", "replace")
            parsed = parse(Exchange(recorded["request"]["uri"], 200, {}, body, seen_at))
            assert (parsed.error, parsed.rejected) == (None, []), path.name
            assert len(parsed.rows) == recorded["t3"], path.name
            posts += len(parsed.rows)
    assert posts > 0


@pytest.mark.parametrize("name", ["html", "plain"])
def test_recorded_refusals_are_permanent(real_data: Path, tmp_path: Path, name: str) -> None:
    folder = real_data / "reddit" / "api_responses"
    path = folder / f"TestReddit.test_bad_request_without_json_text_{name}_response.json.gz"
    (recorded,) = json.loads(gzip.decompress(path.read_bytes()))
    refusal = httpx.Response(400, text=recorded["body"], headers=recorded["headers"])
    fetch = fetch_with_app(tmp_path, Reddit(refusal))
    assert fetch.log["outcome"] == "permanent_error"
    assert fetch.payloads["body"].to_list() == [recorded["body"].encode()]
    check_conservation(fetch)
