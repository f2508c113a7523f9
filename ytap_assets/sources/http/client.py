"""The HTTP client of the sources: retries, rate limits, redirects, size limits.

The client sends requests only to declared hosts and only over https (`safety`). It spaces requests
to a host, retries transient failures, obeys Retry-After, revalidates cached responses and counts
calls against quotas (`state`), and stops reading at the size limit. The transport is the network or
a recording (`recordings`).

Does not belong here: which URLs to request (a module per platform), what a response means
(`exchange`, and the platform's parser).

stamina and aiolimiter are not used: stamina sleeps by itself, and aiolimiter cannot block a host
until a Retry-After ends (`docs/adr/0028-libraries.md`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from random import SystemRandom
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

import httpx

from ytap_assets.domain.source_profiles import Bucket
from ytap_assets.sources.http.exchange import (
    RECORDED_AT,
    SOURCE,
    Exchange,
    PermanentError,
    QuotaExhaustedError,
    Request,
    RetryLaterError,
    SourceError,
    TooLargeError,
    TransientError,
    classify_response,
    describe_failure,
    describe_url,
    select_headers,
)
from ytap_assets.sources.http.safety import (
    ACCEPT_ENCODING,
    DEFAULT_BODY_LIMIT,
    Redactor,
    check_url,
    invalid_redirect,
    is_redirect,
    join_location,
    read_bounded,
)
from ytap_assets.sources.http.state import QuotaLedger, ResponseCache, RetryAfterStore, send_cached

_JITTER = SystemRandom().random
_MAX_REDIRECTS = 3


@dataclass(frozen=True)
class Timeouts:
    """Timeouts, in seconds.

    Attributes:
        connect_s: Until the connection is made.
        read_s: Between two parts of a response.
        total_s: Until the response is complete.
    """

    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 90.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after what delay a transient failure is retried.

    Attributes:
        attempts: Requests in all, including the first.
        base_s: The delay before the first retry; it doubles each time, plus up to half of jitter.
        cap_s: The longest delay without a Retry-After.
        max_retry_after_s: The longest Retry-After that is waited for; a longer one ends the fetch.
        jitter: A number in [0, 1), so that several clients do not retry in step.
    """

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 60.0
    max_retry_after_s: float = 120.0
    jitter: Callable[[], float] = field(default=_JITTER, repr=False)

    def wait(self, failed: int, retry_after: float | None) -> float | None:
        """Seconds to wait after ``failed`` failed attempts, or None to give up.

        Args:
            failed: How many attempts failed so far, at least 1.
            retry_after: The platform's Retry-After, in seconds.
        """
        if failed >= self.attempts:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.max_retry_after_s else None
        doubled: float = min(self.base_s * 2.0 ** (failed - 1), self.cap_s)
        return doubled * (1 + self.jitter() / 2)


class RateLimiter:
    """Spaces the requests to each host.

    A request takes the host's next free slot; one event loop needs no lock.
    """

    def __init__(self, spacing: Mapping[str, float], monotonic: Callable[[], float]) -> None:
        """Take the seconds between two requests to each host, and a monotonic clock."""
        self._spacing = spacing
        self._monotonic = monotonic
        self._free_at: dict[str, float] = {}
        self._blocked_until: dict[str, float] = {}

    def reserve_slot(self, host: str) -> float:
        """Reserve the next slot of ``host``; returns the seconds until then."""
        now = self._monotonic()
        slot = max(now, self._free_at.get(host, now), self._blocked_until.get(host, now))
        self._free_at[host] = slot + self._spacing.get(host, 0.0)
        return slot - now

    def block(self, host: str, seconds: float) -> None:
        """Send no request to ``host`` for the given number of seconds."""
        until = self._monotonic() + seconds
        self._blocked_until[host] = max(until, self._blocked_until.get(host, until))

    def blocked_for(self, host: str) -> float:
        """For how many more seconds ``host`` is blocked."""
        now = self._monotonic()
        return max(0.0, self._blocked_until.get(host, now) - now)


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The delay that the platform requests, in seconds, or None.

    ``Retry-After`` as seconds or as an HTTP date; Reddit's ``x-ratelimit-reset`` applies once
    ``x-ratelimit-remaining`` is below 1.
    """
    if "retry-after" in headers:
        return _read_delay(headers["retry-after"], now)
    remaining = _seconds(headers.get("x-ratelimit-remaining", ""))
    if remaining is not None and remaining < 1:
        return _seconds(headers.get("x-ratelimit-reset", ""))
    return None


def _read_delay(text: str, now: datetime) -> float | None:
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # no date; an offset beyond what a timedelta holds
        return None
    at = at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    return max(at - now, timedelta(0)).total_seconds()


def _seconds(text: str) -> float | None:
    text = text.strip()
    digits = text.replace(".", "", 1)
    return float(text) if digits.isascii() and digits.isdecimal() and len(text) < 16 else None


@dataclass(frozen=True)
class HttpConfig:
    """The configuration shared by the clients of a session.

    Attributes:
        hosts: The only hosts that requests are sent to.
        clock: The present.
        sleep: Waits the given number of seconds.
        rate_limiter: Spaces the requests; None for a replay.
        retries: How transient failures are retried.
        timeouts: How long a response may take.
        redactor: Replaces secrets in what is returned and logged.
        cache: Earlier responses; None to send every request.
        retry_after: Keeps long Retry-After delays for later processes; None keeps none.
        ledger: Counts calls against the platforms' quotas; None for a replay.
        body_limit: The size limit, in decompressed bytes.
        user_agent: The User-Agent header.
    """

    hosts: frozenset[str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    rate_limiter: RateLimiter | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    redactor: Redactor = field(default_factory=Redactor)
    cache: ResponseCache | None = None
    retry_after: RetryAfterStore | None = None
    ledger: QuotaLedger | None = None
    body_limit: int = DEFAULT_BODY_LIMIT
    user_agent: str = "python:ytap-assets:0.1.0"


def live_transport() -> httpx.AsyncBaseTransport:
    """The network, without a proxy from the environment."""
    return httpx.AsyncHTTPTransport(retries=0)


class HttpClient:
    """Sends a request; the result is an `Exchange` or a `SourceError`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, config: HttpConfig) -> None:
        """Send through ``transport``, which is closed with the client."""
        self.config = config
        self._sending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        timeouts = config.timeouts
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(timeouts.read_s, connect=timeouts.connect_s),
            follow_redirects=False,
            headers={"User-Agent": config.user_agent, "Accept-Encoding": ACCEPT_ENCODING},
            # A cookie would connect the requests of different workspaces.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def send(self, request: Request) -> Exchange:
        """Send a request, or return a cached response.

        Raises:
            SourceError: The request failed; the class says whether a later attempt may work.
        """
        for secret in request.secrets.values():
            self.config.redactor.add(secret)
        config = self.config
        if config.cache is None or not request.is_public:
            return await self._send_with_retries(request)
        # A claim ends while a long queue waits for its slots, so within the client a lock is held.
        async with self._sending.setdefault(request.url, asyncio.Lock()):
            return await send_cached(
                config.cache,
                request,
                send=self._send_with_retries,
                clock=config.clock,
                sleep=config.sleep,
            )

    async def _send_with_retries(self, request: Request) -> Exchange:
        failed = attempts = 0
        while True:
            try:
                exchange = await self._send_once(request)
            except RetryLaterError as error:
                raise self._final(error, attempts + error.attempts) from error
            except TransientError as error:
                failed += 1
                attempts += error.attempts
                wait = self._delay(failed, error)
                if wait is None:
                    raise self._final(error, attempts) from error
                await self.config.sleep(wait)
            except SourceError as error:
                raise self._final(error, attempts + error.attempts) from error
            else:
                return replace(exchange, attempts=attempts + exchange.attempts)

    def _delay(self, failed: int, error: TransientError) -> float | None:
        headers = error.exchange.headers if error.exchange else {}
        return self.config.retries.wait(failed, read_retry_after(headers, self.config.clock()))

    def _final(self, error: SourceError, attempts: int) -> SourceError:
        exchange = error.exchange and replace(error.exchange, attempts=attempts)
        text = self.config.redactor.text(str(error))
        return type(error)(text, exchange=exchange, attempts=attempts)

    async def _wait_for_slot(self, host: str, hops: int) -> None:
        """Wait until a request to ``host`` may be sent.

        While this task sleeps, the response to another may block the host. The latest Retry-After
        counts, so each task checks again.
        """
        limiter = self.config.rate_limiter
        if limiter is None:
            return
        self._check_blocked(limiter, host, hops)
        wait = limiter.reserve_slot(host)
        while wait > 0:
            await self.config.sleep(wait)
            self._check_blocked(limiter, host, hops)
            wait = limiter.reserve_slot(host) if limiter.blocked_for(host) > 0 else 0.0

    def _check_blocked(self, limiter: RateLimiter, host: str, hops: int) -> None:
        blocked_s = limiter.blocked_for(host)
        if blocked_s > self.config.retries.max_retry_after_s:
            message = f"{host} sent a Retry-After header that ends in {blocked_s:.0f} s"
            raise RetryLaterError(message, attempts=hops - 1)

    def _block(self, host: str, wait: float | None) -> None:
        config = self.config
        if config.rate_limiter is None or wait is None:
            return
        config.rate_limiter.block(host, wait)
        if config.retry_after is not None and wait > config.retries.max_retry_after_s:
            config.retry_after.add(host, wait, config.clock())

    async def _send_once(self, request: Request) -> Exchange:
        url, hops = httpx.URL(request.url), 0
        while True:
            hops += 1
            exchange = await self._request(request, url, hops)
            if not is_redirect(exchange) or request.form is not None:
                break
            if hops > _MAX_REDIRECTS:
                raise PermanentError(
                    f"{describe_url(request.url)}: more than {_MAX_REDIRECTS} redirects",
                    exchange=exchange,
                )
            url = join_location(url, exchange.headers["location"], hops)
        return self._check(exchange, request.bucket)

    def _check(self, exchange: Exchange, bucket: Bucket | None) -> Exchange:
        error = classify_response(exchange)
        ledger = self.config.ledger
        if isinstance(error, QuotaExhaustedError) and bucket is not None and ledger is not None:
            ledger.mark_exhausted(bucket, self.config.clock())
        if error is not None:
            raise error
        if exchange.is_truncated:
            raise TooLargeError(
                f"{describe_url(exchange.url)}: more than {self.config.body_limit} bytes",
                exchange=exchange,
            )
        return exchange

    async def _request(self, request: Request, url: httpx.URL, hops: int) -> Exchange:
        check_url(url, self.config.hosts, hops=hops)
        await self._wait_for_slot(url.host, hops)
        self._reserve_quota(request.bucket, hops)
        message = self._build(request, url)
        try:
            async with asyncio.timeout(self.config.timeouts.total_s):
                response = await self._send_message(message)
                try:
                    body = await read_bounded(response, self.config.body_limit, host=url.host)
                finally:
                    await response.aclose()
        except (httpx.TransportError, TimeoutError) as error:
            what = describe_failure(error)
            raise TransientError(f"{describe_url(str(url))}: {what}", attempts=hops) from error
        except SourceError as error:
            raise type(error)(str(error), attempts=hops) from error
        exchange = self._exchange(request, response, body, hops)
        self._block(url.host, read_retry_after(exchange.headers, self.config.clock()))
        return exchange

    def _reserve_quota(self, bucket: Bucket | None, hops: int) -> None:
        if bucket is None or self.config.ledger is None:
            return
        try:
            self.config.ledger.reserve(bucket, self.config.clock())
        except SourceError as error:
            raise type(error)(str(error), attempts=hops - 1) from error

    async def _send_message(self, message: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(message, stream=True)
        # httpx parses the target of a redirect even if it does not follow it.
        except (httpx.InvalidURL, ValueError) as error:
            raise invalid_redirect(message.url) from error
        except httpx.RemoteProtocolError as error:
            if "location header" in str(error):
                raise invalid_redirect(message.url) from error
            raise

    def _build(self, request: Request, url: httpx.URL) -> httpx.Request:
        headers = dict(request.headers)
        if url.host == httpx.URL(request.url).host:
            headers |= request.secrets
        return self._http.build_request(
            request.method,
            url,
            headers=headers,
            data=request.form,
            extensions={SOURCE: request.source},
        )

    def _exchange(
        self, request: Request, response: httpx.Response, body: bytes, hops: int
    ) -> Exchange:
        redactor = self.config.redactor
        limit = self.config.body_limit
        return Exchange(
            url=request.url,
            status=response.status_code,
            headers=select_headers(response.headers, redactor.text),
            body=redactor.body(body[:limit]),
            fetched_at=response.extensions.get(RECORDED_AT) or self.config.clock(),
            attempts=hops,
            is_truncated=len(body) > limit,
        )
