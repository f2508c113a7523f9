from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import zlib
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.sources.http.client import RateLimiter, RetryPolicy, read_retry_after
from ytap_assets.sources.http.exchange import (
    Exchange,
    MalformedError,
    PermanentError,
    QuotaExhaustedError,
    RefusedUrlError,
    Request,
    RetryLaterError,
    SourceError,
    TooLargeError,
    TransientError,
)
from ytap_assets_tests.effort import examples
from ytap_assets_tests.sources.support import (
    HOST,
    NOW,
    FakeClock,
    Handler,
    ScriptedHandler,
    SharedClock,
    make_client,
    raw,
    run,
)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "349"}, 349.0),
        ({"x-ratelimit-remaining": "599.0", "x-ratelimit-reset": "349"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"retry-after": "3", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 3.0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], expected: float | None) -> None:
    assert read_retry_after(headers, NOW) == expected


@st.composite
def http_dates(draw: st.DrawFn) -> str:
    """HTTP dates, with numbers outside the calendar."""
    number = st.integers(-(10**20), 10**20) | st.integers(0, 60)
    day, year, hour, minute, second = (draw(number | st.sampled_from([1, 12])) for _ in range(5))
    month = draw(st.sampled_from(["Jan", "Dec", "January", "Foo", "13"]))
    offset = draw(
        st.sampled_from(["GMT", "-0000", "PST", ""])
        | st.builds("{:+05d}".format, number)
        | st.builds("{:+05d}".format, st.integers(-9999, 9999))
    )
    year = draw(st.just(year) | st.sampled_from([1, 99, 1970, 9999, 10_000]))
    weekday = draw(st.sampled_from(["Thu, ", ""]))
    return f"{weekday}{day} {month} {year} {hour}:{minute}:{second} {offset}"


@settings(deadline=None, max_examples=examples(200))
@given(st.text() | http_dates())
@example("Thu, 01 Jan 1970 00:00:00 +9999999999999999")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_any_header_is_read_or_ignored(text: str) -> None:
    wait = read_retry_after({"retry-after": text}, datetime(2026, 1, 1, tzinfo=UTC))
    assert wait is None or wait >= 0


def test_delays_double_up_to_a_limit_and_end() -> None:
    policy = RetryPolicy(attempts=5, base_s=10, cap_s=30, jitter=lambda: 0.0)
    assert [policy.wait(n, None) for n in range(1, 6)] == [10, 20, 30, 30, None]


def test_jitter_adds_up_to_half() -> None:
    assert RetryPolicy(base_s=10, jitter=lambda: 0.999).wait(1, None) == pytest.approx(15, abs=0.1)


def test_a_retry_after_is_waited_for_exactly_or_not_at_all() -> None:
    policy = RetryPolicy(max_retry_after_s=120)
    assert policy.wait(1, 120) == 120
    assert policy.wait(1, 121) is None


def test_slots_are_spaced_per_host() -> None:
    rate_limiter = RateLimiter({"a": 2.0}, lambda: 100.0)
    assert [rate_limiter.reserve_slot("a") for _ in range(3)] == [0, 2, 4]
    assert [rate_limiter.reserve_slot("b") for _ in range(2)] == [0, 0]


def test_a_blocked_host_has_no_slot_until_the_end() -> None:
    clock = [100.0]
    rate_limiter = RateLimiter({}, lambda: clock[0])
    rate_limiter.block("a", 50)
    rate_limiter.block("a", 10)
    assert rate_limiter.blocked_for("a") == 50
    assert rate_limiter.reserve_slot("a") == 50
    clock[0] = 151.0
    assert rate_limiter.blocked_for("a") == 0
    assert rate_limiter.reserve_slot("a") == 0


URL = f"https://{HOST}/v1/list?page=1"
KEY = "s3cret-key-0123456789"
QUOTA = {"error": {"errors": [{"reason": "quotaExceeded"}]}}


def send(
    handler: Handler,
    clock: FakeClock | None = None,
    request: Request | None = None,
    **options: object,
) -> Exchange:
    async def work() -> Exchange:
        async with make_client(handler, clock or FakeClock(), **options) as client:
            return await client.send(request or Request(URL, "hn"))

    return run(work())


def test_a_response_has_its_time_and_attempts() -> None:
    headers = {"content-type": "application/json", "etag": '"a"', "set-cookie": "a=b", "date": "x"}
    exchange = send(ScriptedHandler(httpx.Response(200, content=b"[1]", headers=headers)))
    assert exchange.url == URL
    assert exchange.status == 200
    assert exchange.body == b"[1]"
    assert exchange.headers == {"content-type": "application/json", "etag": '"a"'}
    assert exchange.fetched_at == NOW
    assert exchange.attempts == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(503),
        httpx.Response(429),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("reset"),
        httpx.RemoteProtocolError("cut"),
        TimeoutError(),
    ],
)
def test_a_transient_failure_is_retried(failure: httpx.Response | Exception) -> None:
    clock, handler = FakeClock(), ScriptedHandler(failure, failure, httpx.Response(200))
    exchange = send(handler, clock)
    assert exchange.attempts == len(handler.requests) == 3
    assert clock.slept == [1, 2]


def test_a_transient_failure_that_stays_ends_after_four_attempts() -> None:
    clock, handler = FakeClock(), ScriptedHandler(httpx.Response(503, content=b"down"))
    with pytest.raises(TransientError, match="returned 503") as caught:
        send(handler, clock)
    assert len(handler.requests) == caught.value.attempts == 4
    assert clock.slept == [1, 2, 4]
    assert caught.value.exchange is not None
    assert caught.value.exchange.body == b"down"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.Response(404), PermanentError),
        (httpx.Response(401), PermanentError),
        (httpx.Response(403, json=QUOTA), QuotaExhaustedError),
        (httpx.Response(429, json=QUOTA), QuotaExhaustedError),
    ],
)
def test_permanent_errors_are_not_retried(
    failure: httpx.Response, error: type[SourceError]
) -> None:
    clock, handler = FakeClock(), ScriptedHandler(failure)
    with pytest.raises(error) as caught:
        send(handler, clock)
    assert len(handler.requests) == caught.value.attempts == 1
    assert clock.slept == []


@pytest.mark.parametrize(("header", "slept"), [("9", 9.0), ("Fri, 20 Nov 2026 12:00:40 GMT", 40.0)])
def test_retry_after_is_obeyed_in_both_forms(header: str, slept: float) -> None:
    clock = FakeClock()
    handler = ScriptedHandler(
        httpx.Response(429, headers={"Retry-After": header}), httpx.Response(200)
    )
    send(handler, clock)
    assert sum(clock.slept) == slept


def test_a_retry_after_above_the_limit_ends_the_fetch_and_blocks_the_host() -> None:
    clock = FakeClock()
    handler = ScriptedHandler(
        httpx.Response(429, headers={"Retry-After": "3600"}), httpx.Response(200)
    )

    async def work() -> None:
        async with make_client(handler, clock) as client:
            for message in ("too many requests", "Retry-After header that ends in 3600 s"):
                with pytest.raises(TransientError, match=message):
                    await client.send(Request(URL, "reddit"))
            await clock.sleep(3600)
            await client.send(Request(URL, "reddit"))

    run(work())
    assert len(handler.requests) == 2


def test_a_used_up_rate_limit_delays_the_next_request() -> None:
    clock = FakeClock()
    spent = httpx.Response(200, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"})

    async def work() -> None:
        async with make_client(ScriptedHandler(spent, httpx.Response(200)), clock) as client:
            await client.send(Request(URL, "reddit"))
            await client.send(Request(URL, "reddit"))

    run(work())
    assert clock.slept == [30]


def test_requests_to_a_host_are_spaced() -> None:
    clock = FakeClock()
    rate_limiter = RateLimiter({HOST: 2.0}, clock.monotonic)

    async def work() -> None:
        async with make_client(
            ScriptedHandler(httpx.Response(200)), clock, rate_limiter=rate_limiter
        ) as client:
            for _ in range(3):
                await client.send(Request(URL, "hn"))

    run(work())
    assert clock.slept == [2, 2]


def ask_at_once(*answers: httpx.Response) -> tuple[list[float], list[str]]:
    """Five targets of one host: the times of the requests, and the outcomes."""
    clock, handler, asked_at = SharedClock(), ScriptedHandler(*answers), list[float]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked_at.append(clock.monotonic())
        return handler(request)

    async def work() -> list[str]:
        rate_limiter = RateLimiter({HOST: 2.0}, clock.monotonic)
        async with make_client(answer, clock, rate_limiter=rate_limiter) as client:
            request = Request(URL, "reddit")
            ends = await asyncio.gather(
                *(client.send(request) for _ in range(5)), return_exceptions=True
            )
        return [type(end).__name__ for end in ends]

    ends = run(work())
    return asked_at, ends


def test_a_long_retry_after_applies_to_waiting_targets() -> None:
    asked_at, ends = ask_at_once(httpx.Response(429, headers={"Retry-After": "600"}))
    assert asked_at == [0.5]
    assert ends == ["TransientError", *["RetryLaterError"] * 4]


def test_a_short_retry_after_delays_waiting_targets() -> None:
    slow_down = httpx.Response(429, headers={"Retry-After": "30"})
    asked_at, ends = ask_at_once(slow_down, httpx.Response(200))
    assert asked_at == [0.5, 31, 33, 35, 37, 39]
    assert ends == ["Exchange"] * 5


def test_a_blocked_host_is_not_requested_by_a_redirect() -> None:
    moved = httpx.Response(302, headers={"location": "https://other.example/"})
    clock, handler = FakeClock(), ScriptedHandler(moved)
    rate_limiter = RateLimiter({}, clock.monotonic)
    rate_limiter.block("other.example", 600)
    with pytest.raises(RetryLaterError) as caught:
        send(handler, clock, rate_limiter=rate_limiter)
    assert (len(handler.requests), caught.value.attempts, clock.slept) == (1, 1, [])


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/",
        "https://evil.example/",
        f"https://{HOST}.evil.example/",
        f"https://{HOST}:8443/",
        f"https://user:pass@{HOST}/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "ftp://api.example/",
        "file:///etc/passwd",
    ],
)
def test_other_hosts_are_refused_directly_and_by_redirect(url: str) -> None:
    handler = ScriptedHandler(httpx.Response(200))
    with pytest.raises(RefusedUrlError):
        send(handler, request=Request(url, "hn"))
    assert handler.requests == []

    handler = ScriptedHandler(httpx.Response(302, headers={"location": url}), httpx.Response(200))
    with pytest.raises(RefusedUrlError):
        send(handler)
    assert len(handler.requests) == 1


def test_a_redirect_to_a_declared_host_is_followed_without_the_secret() -> None:
    moved = httpx.Response(301, headers={"location": "https://other.example/new"})
    handler = ScriptedHandler(moved, httpx.Response(200, content=b"there"))
    exchange = send(handler, request=Request(URL, "hn", secrets={"X-Key": KEY}))
    assert exchange.body == b"there"
    assert exchange.url == URL
    assert exchange.attempts == 2
    assert [request.headers.get("x-key") for request in handler.requests] == [KEY, None]


def test_a_redirect_within_the_host_keeps_the_secret() -> None:
    handler = ScriptedHandler(httpx.Response(308, headers={"location": "/v2"}), httpx.Response(200))
    send(handler, request=Request(URL, "hn", secrets={"X-Key": KEY}))
    assert handler.requests[1].url == f"https://{HOST}/v2"
    assert handler.requests[1].headers["x-key"] == KEY


def test_redirects_end_after_three() -> None:
    handler = ScriptedHandler(httpx.Response(302, headers={"location": URL}))
    with pytest.raises(PermanentError, match="more than 3 redirects"):
        send(handler)
    assert len(handler.requests) == 4


LOCATION_PARTS = (
    *("/", "//", ":", "@", "[", "]", "?", "#", "%", "\\", " ", "..", "\x00", "\n", "\x7f", "é"),
    *("a", "0", "https", "://", "javascript:", "xn--", "[::1]", "999999", HOST),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(LOCATION_PARTS), max_size=7).map("".join))
@example("https://[")
@example(":javascript://[")
@example("https://xn--xn--")
@example("é")
def test_any_redirect_is_a_response_or_a_source_error(location: str) -> None:
    headers = [(b"location", location.encode())]
    handler = ScriptedHandler(httpx.Response(302, headers=headers), httpx.Response(200))
    with contextlib.suppress(SourceError):
        assert send(handler).status == 200
    assert {request.url.host for request in handler.requests} == {HOST}


def test_headers_that_could_not_be_sent_back_are_dropped() -> None:
    headers = [(b"etag", "é".encode()), (b"content-type", b"a/b\x07"), (b"last-modified", b"x")]
    exchange = send(ScriptedHandler(httpx.Response(200, headers=headers)))
    assert exchange.headers == {"last-modified": "x"}


def test_a_form_is_not_redirected() -> None:
    handler = ScriptedHandler(httpx.Response(307, headers={"location": "https://other.example/"}))
    with pytest.raises(PermanentError, match="returned 307"):
        send(handler, request=Request(URL, "reddit", form={"grant_type": "x"}))
    assert [request.method for request in handler.requests] == ["POST"]


def test_a_response_ends_at_the_size_limit() -> None:
    assert send(raw(b"x" * 1000), body_limit=1000).body == b"x" * 1000
    with pytest.raises(TooLargeError, match="more than 1000 bytes") as caught:
        send(raw(b"x" * 1001), body_limit=1000)
    assert caught.value.exchange is not None
    assert caught.value.exchange.is_truncated
    assert len(caught.value.exchange.body) == 1000


def test_a_gzip_bomb_ends_at_the_size_limit() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(TooLargeError) as caught:
        send(raw(bomb, headers={"content-encoding": "gzip"}))
    assert caught.value.exchange is not None
    assert len(caught.value.exchange.body) == 8 * 1024 * 1024


def test_a_compressed_response_is_decompressed() -> None:
    body = gzip.compress(b'{"a": 1}')
    assert send(raw(body, headers={"content-encoding": "gzip"})).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"abc" * 1000, mtime=0)[:-20], "gzip"),
        (b"not gzip at all", "gzip"),
        (zlib.compress(b"abc"), "br"),
        (gzip.compress(gzip.compress(b"abc", mtime=0), mtime=0), "gzip, gzip"),
    ],
)
def test_invalid_compression_is_malformed(body: bytes, encoding: str) -> None:
    with pytest.raises(MalformedError):
        send(raw(body, headers={"content-encoding": encoding}))


def test_cookies_are_not_carried_from_request_to_request() -> None:
    handler = ScriptedHandler(httpx.Response(200, headers={"set-cookie": "id=1; Path=/"}))

    async def work() -> None:
        async with make_client(handler, FakeClock()) as client:
            await client.send(Request(URL, "hn"))
            await client.send(Request(URL, "hn"))

    run(work())
    assert "cookie" not in handler.requests[1].headers


@pytest.mark.parametrize("status", [200, 400, 401, 403, 503])
def test_a_secret_in_a_response_is_redacted_everywhere(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = httpx.Response(
        status,
        json={"error": {"message": f"the key {KEY} is odd", "key": KEY}},
        headers={"etag": KEY, "content-type": "application/json"},
    )
    request = Request(URL, "youtube", secrets={"Authorization": f"Bearer {KEY}"})
    if status == 200:
        exchange, seen = send(ScriptedHandler(echo), request=request), []
    else:
        with pytest.raises(SourceError) as caught:
            send(ScriptedHandler(echo), request=request)
        assert caught.value.exchange is not None
        exchange, seen = caught.value.exchange, [caught.value, caught.value.__cause__]
    for what in (request, exchange, exchange.body, exchange.headers, caplog.text, *seen):
        assert KEY not in repr(what)
        assert KEY not in str(what)
    assert b"REDACTED" in exchange.body
