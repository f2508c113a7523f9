"""Every fault, on a faulty server; the table of the documentation is checked against it."""

from __future__ import annotations

import gzip
import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ytap_assets.sources.collect import Session, collect_trends
from ytap_assets.sources.http.client import RetryPolicy, Timeouts
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, RAW_PAYLOADS
from ytap_assets_tests.sources.faulty_server import Behaviour, Call, Wired, serving, to_json
from ytap_assets_tests.sources.support import (
    CHANNEL,
    TODAY,
    FakeClock,
    check_conservation,
    make_settings,
    make_workspace,
    run,
)

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

_GUIDE = Path(__file__).parents[2] / "docs" / "sources.md"
SECRETS = {
    "YOUTUBE_KEY": "youtube-key-0123456789",
    "REDDIT_ID": "reddit-app-identity",
    "REDDIT_SECRET": "reddit-app-password",
}
EVERYTHING = make_workspace(
    hn={"min_points": 50},
    reddit={"subreddits": ["rust"]},
    youtube={
        "regions": ["US"],
        "categories": ["20"],
        "searches": ["rust async"],
        "monitored_channels": [{"id": CHANNEL}],
    },
)
HN, FRONT, REDDIT = "hn.algolia.com", "hacker-news.firebaseio.com", "oauth.reddit.com"
API, FEED = "www.googleapis.com", "www.youtube.com"
TARGETS = {
    HN: ["by_date"],
    FRONT: ["front_page"],
    REDDIT: ["r/rust"],
    API: ["US/20", "search/rust async"],
    FEED: [CHANNEL],
}
HITS = to_json({"nbHits": 1, "hits": [{"objectID": "1", "title": "T", "points": 60}]})
POSTS = {"after": None, "children": [{"kind": "t3", "data": {"id": "1a", "title": "R"}}]}
VIDEOS = {"items": [{"id": "I_GUQdY01b0", "snippet": {"title": "V"}, "statistics": {}}]}
ENTRIES = (
    b"<feed xmlns='http://www.w3.org/2005/Atom' xmlns:yt='http://www.youtube.com/xml/schemas/2015'>"
    b"<entry><yt:videoId>I_GUQdY01b0</yt:videoId><title>F</title></entry></feed>"
)


def well(call: Call) -> None:
    """The normal response of every host."""
    if call.method == "POST":
        call.reply(200, to_json({"access_token": "tok3n-value-xyz-98765", "expires_in": 3600}))
    elif call.host == HN:
        call.reply(200, HITS)
    elif call.host == FRONT:
        item = {"id": 7, "type": "story", "title": "S", "score": 3}
        call.reply(200, to_json(item) if "/item/" in call.path else b"[7]")
    elif call.host == REDDIT:
        call.reply(200, to_json({"data": POSTS}))
    elif call.host == API:
        found = {"id": {"videoId": "I_GUQdY01b0"}, "snippet": {"title": "V"}}
        call.reply(200, to_json({"items": [found]} if "/search" in call.path else VIDEOS))
    else:
        call.reply(200, ENTRIES, content_type="text/xml")


def always(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    return lambda call: call.reply(status, body, **headers)


def at_first(times: int, behaviour: Behaviour) -> Behaviour:
    """A fault for the first requests, then normal responses."""
    return lambda call: behaviour(call) if call.number <= times else well(call)


def say_nothing(call: Call) -> None:
    call.wait_for_the_end()


def stop_in_the_middle(call: Call) -> None:
    call.begin(5000)
    call.send(HITS[:20])
    call.wait_for_the_end()


def drip(call: Call) -> None:
    call.begin()
    call.connection.settimeout(0.02)
    while True:
        call.send(b"1\r\n \r\n")
        try:
            call.connection.recv(1)
        except TimeoutError:
            continue
        return


def reset_in_the_middle(call: Call) -> None:
    call.begin(5000)
    call.send(HITS[:20])
    call.reset()


def hang_up_in_the_middle(call: Call) -> None:
    call.begin(5000)
    call.send(HITS[:20])


def leave_chunks_out(call: Call) -> None:
    call.begin()
    call.send(b'5\r\n{"hit\r\n40\r\ns": [')


def hang_up(call: Call) -> None:
    call.connection.shutdown(2)


def flood(call: Call) -> None:
    call.begin()
    while True:
        call.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")


def flood_with_headers(call: Call) -> None:
    call.send(b"HTTP/1.1 200 So\r\n")
    while True:
        call.send(b"x-more: " + b"y" * 60_000 + b"\r\n")


def talk_nonsense(call: Call) -> None:
    call.send(b"\x16\x03\x01 this is no HTTP \r\n\r\n")


def redirect_in_circles(call: Call) -> None:
    call.reply(302, location=f"https://{HN}/elsewhere/{call.number}")


def repeat_a_page(call: Call) -> None:
    posts = {**POSTS, "after": "t3_1a"}
    call.reply(200, to_json({"data": posts}))


def repeat_a_chart(call: Call) -> None:
    if "chart=" in call.path:
        call.reply(200, to_json({**VIDEOS, "nextPageToken": "CAUQAA"}))
    else:
        well(call)


def always_full(call: Call) -> None:
    call.reply(200, to_json({"nbHits": 5000, "hits": []}))


BOMB = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
QUOTA = to_json({"error": {"errors": [{"reason": "quotaExceeded"}]}})
NAMED = to_json({"error": {"message": "Quota exceeded for quota metric 'Queries' per day"}})
HTML = b"<!DOCTYPE html><html><body>Log in</body></html>"


@dataclass(frozen=True)
class Fault:
    """A fault, and the host that has it."""

    name: str
    behaviour: Behaviour
    host: str = HN
    targets: tuple[str, ...] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)


READ_TIMEOUT = Timeouts(read_s=0.8)
TOTAL_TIMEOUT = Timeouts(total_s=1.2)
FAULTS = [
    Fault("429, Retry-After 5 s, then ok", at_first(1, always(429, retry_after="5"))),
    Fault("429, Retry-After 2 h", always(429, retry_after="7200")),
    Fault("429 without Retry-After", always(429)),
    Fault("403 quotaExceeded", always(403, QUOTA), API),
    Fault("429 naming a used-up bucket", always(429, NAMED), API),
    Fault("500, permanently", always(500)),
    Fault("503 twice, then ok", at_first(2, always(503))),
    Fault("401", always(401), REDDIT),
    Fault("404", always(404, HTML, content_type="text/html")),
    Fault("404 of a channel's feed", always(404, HTML, content_type="text/html"), FEED),
    Fault("no response, connection open", say_nothing, timeouts=READ_TIMEOUT),
    Fault("half a body, connection open", stop_in_the_middle, timeouts=READ_TIMEOUT),
    Fault("a body that arrives too slowly", drip, timeouts=TOTAL_TIMEOUT),
    Fault("a reset in the middle of a body", reset_in_the_middle),
    Fault("a body shorter than its Content-Length", hang_up_in_the_middle),
    Fault("half of the chunks", leave_chunks_out),
    Fault("connection closed without a response", hang_up),
    Fault("a response that is not HTTP", talk_nonsense),
    Fault("endless headers", flood_with_headers),
    Fault("HTML instead of JSON", always(200, HTML, content_type="text/html")),
    Fault("HTML instead of a feed", always(200, HTML, content_type="text/html"), FEED),
    Fault("JSON with an HTML content type", always(200, HITS, content_type="text/html")),
    Fault("half of the JSON", always(200, HITS[:30])),
    Fault("10 MB of JSON", always(200, b"[" + b" " * 10_000_000 + b"]")),
    Fault("an endless body", flood),
    Fault("a gzip bomb (50 KB, 50 MB inside)", always(200, BOMB, content_encoding="gzip")),
    Fault("invalid gzip", always(200, HITS, content_encoding="gzip")),
    Fault("another compression", always(200, HITS, content_encoding="br")),
    Fault("a redirect to a private address", always(302, location="http://169.254.169.254/")),
    Fault("a redirect to an invalid URL", always(302, location="https://xn--xn--/")),
    Fault("a redirect loop", redirect_in_circles),
    Fault("repeated page tokens of a listing", repeat_a_page, REDDIT),
    Fault("repeated page tokens of a chart", repeat_a_chart, API, ("US/20",)),
    Fault("windows that stay full", always_full),
]


class Watched(RetryPolicy):
    """The default policy without jitter, which stores its delays."""

    def __init__(self) -> None:
        super().__init__(jitter=lambda: 0.0)
        object.__setattr__(self, "said", [])

    def wait(self, failed: int, retry_after: float | None) -> float | None:
        seconds = super().wait(failed, retry_after)
        self.said.append(seconds)  # type: ignore[attr-defined]
        return seconds

    @property
    def waits(self) -> list[str]:
        said: list[float | None] = self.said  # type: ignore[attr-defined]
        return [f"{seconds:g}" for seconds in said if seconds is not None]


@dataclass(frozen=True)
class Seen:
    """The result of a fault."""

    fetches: list[Fetch]
    requests: int
    waits: list[str]


def meet(fault: Fault, root: Path) -> Seen:
    """Collect everything while one host is faulty."""
    clock, retries = FakeClock(), Watched()

    async def work(port: int) -> list[Fetch]:
        session = Session(
            make_settings(root, **SECRETS),
            now=clock.now,
            use_cache=True,
            network=lambda: Wired(port),
            retries=retries,
            timeouts=fault.timeouts,
            sleep=clock.sleep,
            monotonic=clock.monotonic,
        )
        async with session:
            return await collect_trends(EVERYTHING, TODAY, session=session, run_id="run")

    with serving(well, {fault.host: fault.behaviour}) as server:
        fetches = run(work(server.port))
        return Seen(fetches, server.asked[fault.host], retries.waits)


def tell(fault: Fault, seen: Seen) -> str:
    """The documentation's row of a fault."""
    hit = fault.targets or tuple(TARGETS[fault.host])
    logs = [fetch.log for fetch in seen.fetches if fetch.log["target"] in hit]
    log = logs[0]
    requests = log["attempts"]
    waits = ", ".join(seen.waits) or "-"
    detail = log["detail"] or "-"
    cells = [fault.name, f"`{log['outcome']}`", str(requests), waits, detail.replace("|", "/")]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_ends_as_documented_and_affects_no_other_target(
    fault: Fault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ytap_assets")
    seen = meet(fault, tmp_path)
    hit = fault.targets or tuple(TARGETS[fault.host])
    told = {
        record.getMessage().split(": ")[0].removeprefix("tech "): record
        for record in caplog.records
        if record.name.endswith("sources.collect")
    }
    assert [fetch.log["target"] for fetch in seen.fetches] == [
        *("by_date", "front_page", "r/rust", "US/20", "search/rust async", CHANNEL)
    ]
    for fetch in seen.fetches:
        log = fetch.log
        if log["target"] not in hit:
            assert (log["outcome"], log["fetched"]) == ("ok", 1), log
        check_conservation(fetch)
        COLLECTION_LOG.model.validate(COLLECTION_LOG.frame([log]))
        RAW_PAYLOADS.model.validate(fetch.payloads)
        line = told[f"{log['source']} {log['target']}"]
        assert log["outcome"] in line.getMessage()
        level = logging.INFO if log["outcome"] == "ok" else logging.WARNING
        assert line.levelno == level
    asked = [fetch.log for fetch in seen.fetches if fetch.log["target"] in TARGETS[fault.host]]
    assert sum(log["attempts"] for log in asked) == seen.requests
    assert tell(fault, seen) in _GUIDE.read_text(encoding="utf-8").splitlines(), tell(fault, seen)


def test_the_documentation_lists_exactly_these_faults() -> None:
    table = _GUIDE.read_text(encoding="utf-8").partition("| fault |")[2].partition("\n\n")[0]
    names = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    assert names == [fault.name for fault in FAULTS]


PRIVATE = [
    *("http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://127.0.0.1/"),
    *("https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/"),
    *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25lo]/"),
    *("https://localhost/", "https://localhost.localdomain/", "https://hn.algolia.com.localhost/"),
    *("https://10.0.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/"),
    *("https://metadata.google.internal/", "https://internal.example/", "https://0.0.0.0/"),
    *("https://hn.algolia.com@127.0.0.1/", "https://127.0.0.1#@hn.algolia.com/"),
    *("//127.0.0.1/", "https://hn.algolia.com:{port}/", "http://hn.algolia.com/"),
    *("ftp://hn.algolia.com/", "file:///etc/passwd", "https://hn.algolia.com.evil.example/"),
    "https://\uff11\uff12\uff17.0.0.1/",
]


@pytest.mark.parametrize("location", PRIVATE)
def test_a_redirect_is_followed_to_declared_hosts_only(location: str, tmp_path: Path) -> None:
    reached: list[str] = []

    def redirect(call: Call) -> None:
        port = call.connection.getsockname()[1]
        where = location.format(port=port).encode().decode("latin-1")
        head = f"HTTP/1.1 302 So\r\nlocation: {where}\r\ncontent-length: 0\r\n"
        call.send(head.encode("latin-1") + b"connection: close\r\n\r\n")

    def remember(call: Call) -> None:
        reached.append(call.host)
        well(call)

    clock = FakeClock()

    async def work(port: int) -> list[Fetch]:
        session = Session(
            make_settings(tmp_path),
            now=clock.now,
            network=lambda: Wired(port),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
        )
        wanting = make_workspace(hn={"min_points": 50})
        async with session:
            return await collect_trends(wanting, TODAY, session=session, run_id="run")

    with serving(remember, {HN: redirect}) as server:
        by_date, front_page = run(work(server.port))
        assert server.asked[HN] == 1
    assert set(reached) == {FRONT}
    assert by_date.log["outcome"] == "permanent_error"
    assert by_date.log["attempts"] == 1
    assert front_page.log["outcome"] == "ok"


def test_the_stored_part_of_a_large_response_is_bounded(tmp_path: Path) -> None:
    for name in ("10 MB of JSON", "an endless body", "a gzip bomb (50 KB, 50 MB inside)"):
        fault = next(fault for fault in FAULTS if fault.name == name)
        payloads = meet(fault, tmp_path).fetches[0].payloads
        assert payloads["size_bytes"].to_list() == [8 * 1024 * 1024]
        assert payloads["is_truncated"].to_list() == [True]
