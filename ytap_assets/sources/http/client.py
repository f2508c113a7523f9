"""The one HTTP client of the sources.

It asks only hosts that the sources declare, only over https (`addresses`); spaces its requests;
retries what is transient and nothing else; obeys Retry-After; asks for what changed only, and not
at all for what was just answered (`sharing`); counts what costs quota (`ledger`); stops
reading at the size cap; and keeps secrets in headers, out of everything it hands back. What answers
is a transport (`transports`): the network, or a day's recordings.

Belongs here: how to ask. Does not belong here: what to ask (a module per platform), or what an
answer means (`errors`, the platform's parser).
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

import httpx

from ytap_assets.domain.quota import Bucket
from ytap_assets.sources.http.cache import KeptAnswers, share_answer
from ytap_assets.sources.http.exchange import (
    RECORDED_AT,
    SOURCE,
    Exchange,
    ParkedError,
    PermanentError,
    QuotaExhaustedError,
    Request,
    SourceError,
    TooLargeError,
    TransientError,
    classify_response,
    describe_failure,
    describe_url,
    keep_headers,
)
from ytap_assets.sources.http.safety import (
    ACCEPT_ENCODING,
    DEFAULT_LIMIT,
    Redactor,
    check_address,
    is_redirect,
    join_location,
    no_url,
    read_bounded,
)
from ytap_assets.sources.http.state import ParkedHosts, QuotaLedger

_JITTER = SystemRandom().random


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a transient failure is tried again.

    Attributes:
        attempts: Requests in all, the first one included.
        base_s: The wait before the first retry; it doubles each time, plus up to half of jitter.
        cap_s: The longest wait of our own.
        obeyed_s: The longest Retry-After that is waited for; a longer one ends the fetch, since
            asking sooner than told is worse than asking tomorrow.
        jitter: A number in [0, 1), so that many clients do not retry in step.
    """

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 60.0
    obeyed_s: float = 120.0
    jitter: Callable[[], float] = field(default=_JITTER, repr=False)

    def wait(self, failed: int, asked_for: float | None) -> float | None:
        """Seconds to wait after ``failed`` failed attempts, or None to give up.

        Args:
            failed: How many attempts failed so far, at least 1.
            asked_for: What the platform asked for (Retry-After), in seconds.
        """
        if failed >= self.attempts:
            return None
        if asked_for is not None:
            return asked_for if asked_for <= self.obeyed_s else None
        doubled: float = min(self.base_s * 2.0 ** (failed - 1), self.cap_s)
        return doubled * (1 + self.jitter() / 2)


class Pacer:
    """Spaces requests to each host.

    A request takes the host's next free moment and moves it on; no lock is needed within one
    event loop.
    """

    def __init__(self, spacing: Mapping[str, float], monotonic: Callable[[], float]) -> None:
        """Take the seconds between two requests to each host, and a clock that never jumps."""
        self._spacing = spacing
        self._monotonic = monotonic
        self._free_at: dict[str, float] = {}
        self._parked_until: dict[str, float] = {}

    def take_turn(self, host: str) -> float:
        """Seconds to sleep before the next request to ``host``; the turn is taken."""
        now = self._monotonic()
        turn = max(now, self._free_at.get(host, now), self._parked_until.get(host, now))
        self._free_at[host] = turn + self._spacing.get(host, 0.0)
        return turn - now

    def park(self, host: str, seconds: float) -> None:
        """Let nobody ask ``host`` for so many seconds."""
        until = self._monotonic() + seconds
        self._parked_until[host] = max(until, self._parked_until.get(host, until))

    def parked(self, host: str) -> float:
        """For how many seconds more nobody may ask ``host``."""
        now = self._monotonic()
        return max(0.0, self._parked_until.get(host, now) - now)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the platform asks us to wait, or None where it does not say.

    ``Retry-After`` in its two forms (seconds, an HTTP date); Reddit's ``x-ratelimit-reset``
    counts once ``x-ratelimit-remaining`` has come down to nothing.
    """
    if "retry-after" in headers:
        return _read_wait(headers["retry-after"], now)
    remaining = _seconds(headers.get("x-ratelimit-remaining", ""))
    if remaining is not None and remaining < 1:
        return _seconds(headers.get("x-ratelimit-reset", ""))
    return None


def _read_wait(text: str, now: datetime) -> float | None:
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
class Patience:
    """For how long a host is waited for, in seconds.

    Attributes:
        connect_s: Until it takes the call.
        silence_s: Between two pieces of its answer.
        answer_s: Until the answer is whole, however steadily it drips.
    """

    connect_s: float = 10.0
    silence_s: float = 20.0
    answer_s: float = 90.0


@dataclass(frozen=True)
class Conduct:
    """How the client behaves; one value for all the clients of a session.

    Attributes:
        hosts: The only hosts that are asked.
        clock: The present, for when an answer arrived.
        sleep: Waits so many seconds.
        pacer: Spaces the requests; None asks as fast as it can, as a replay does.
        retries: How often a transient failure is tried again.
        patience: How long an answer may take.
        redactor: Knows the secrets that were sent.
        kept: Earlier answers, so that less is asked; None to ask for everything anew.
        parked: Remembers hosts that asked to be left alone for long; None forgets.
        ledger: Counts what is spent of the platforms' allowances; None counts nothing, as a
            replay costs nothing.
        body_limit: The size cap, in decompressed bytes.
        user_agent: Who is asking.
    """

    hosts: frozenset[str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    pacer: Pacer | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    patience: Patience = field(default_factory=Patience)
    redactor: Redactor = field(default_factory=Redactor)
    kept: KeptAnswers | None = None
    parked: ParkedHosts | None = None
    ledger: QuotaLedger | None = None
    body_limit: int = DEFAULT_LIMIT
    user_agent: str = "python:ytap-assets:0.1.0"


_MAX_REDIRECTS = 3


class HttpClient:
    """Asks for one thing at a time and answers with an `Exchange` or a `SourceError`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, conduct: Conduct) -> None:
        """Ask through ``transport``, which is closed with the client."""
        self.conduct = conduct
        patience = conduct.patience
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(patience.silence_s, connect=patience.connect_s),
            follow_redirects=False,
            headers={"User-Agent": conduct.user_agent, "Accept-Encoding": ACCEPT_ENCODING},
            # A cookie would carry something from one workspace's request to the next.
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
        """Send a request, unless an earlier answer serves.

        Raises:
            SourceError: It did not work; which kind says whether it ever will.
        """
        for secret in request.secrets.values():
            self.conduct.redactor.learn(secret)
        conduct = self.conduct
        if conduct.kept is None or not request.is_public:
            return await self._insist(request)
        return await share_answer(
            conduct.kept, request, ask=self._insist, clock=conduct.clock, sleep=conduct.sleep
        )

    async def _insist(self, request: Request) -> Exchange:
        """Send a request, again and again while its failures are transient."""
        failed = attempts = 0
        while True:
            try:
                exchange = await self._send_once(request)
            except ParkedError as error:
                raise self._final(error, attempts + error.attempts) from error
            except TransientError as error:
                failed += 1
                attempts += error.attempts
                wait = self._wait_before_retry(failed, error)
                if wait is None:
                    raise self._final(error, attempts) from error
                await self.conduct.sleep(wait)
            except SourceError as error:
                raise self._final(error, attempts + error.attempts) from error
            else:
                return replace(exchange, attempts=attempts + exchange.attempts)

    async def _take_turn(self, host: str, hops: int) -> None:
        """Wait until ``host`` may be asked.

        While one target slept, another's answer may have parked the host: what holds is what the
        host asked for last, so each looks again.
        """
        pacer = self.conduct.pacer
        if pacer is None:
            return
        self._check_parked(pacer, host, hops)
        turn = pacer.take_turn(host)
        while turn > 0:
            await self.conduct.sleep(turn)
            self._check_parked(pacer, host, hops)
            turn = pacer.take_turn(host) if pacer.parked(host) > 0 else 0.0

    def _check_parked(self, pacer: Pacer, host: str, hops: int) -> None:
        parked = pacer.parked(host)
        if parked > self.conduct.retries.obeyed_s:
            message = f"{host} asked to be left alone for {parked:.0f} s more"
            raise ParkedError(message, attempts=hops - 1)

    def _park(self, host: str, wait: float | None) -> None:
        conduct = self.conduct
        if conduct.pacer is None or wait is None:
            return
        conduct.pacer.park(host, wait)
        if conduct.parked is not None and wait > conduct.retries.obeyed_s:
            conduct.parked.park(host, wait, conduct.clock())

    def _wait_before_retry(self, failed: int, error: TransientError) -> float | None:
        headers = error.exchange.headers if error.exchange else {}
        return self.conduct.retries.wait(failed, asked_wait(headers, self.conduct.clock()))

    def _final(self, error: SourceError, attempts: int) -> SourceError:
        exchange = error.exchange and replace(error.exchange, attempts=attempts)
        text = self.conduct.redactor.text(str(error))
        return type(error)(text, exchange=exchange, attempts=attempts)

    async def _send_once(self, request: Request) -> Exchange:
        url, hops = httpx.URL(request.url), 0
        while True:
            hops += 1
            exchange = await self._ask(request, url, hops)
            if not is_redirect(exchange) or request.form is not None:
                break
            if hops > _MAX_REDIRECTS:
                raise PermanentError(
                    f"{describe_url(request.url)}: redirects more than {_MAX_REDIRECTS} times",
                    exchange=exchange,
                )
            url = join_location(url, exchange.headers["location"], hops)
        return self._judge(exchange, request.bucket)

    def _judge(self, exchange: Exchange, bucket: Bucket | None) -> Exchange:
        error = classify_response(exchange)
        ledger = self.conduct.ledger
        if isinstance(error, QuotaExhaustedError) and bucket is not None and ledger is not None:
            ledger.park(bucket, self.conduct.clock())
        if error is not None:
            raise error
        if exchange.is_truncated:
            raise TooLargeError(
                f"{describe_url(exchange.url)}: more than {self.conduct.body_limit} bytes",
                exchange=exchange,
            )
        return exchange

    async def _ask(self, request: Request, url: httpx.URL, hops: int) -> Exchange:
        check_address(url, self.conduct.hosts, hops=hops)
        await self._take_turn(url.host, hops)
        self._reserve(request.bucket, hops)
        message = self._build(request, url)
        try:
            async with asyncio.timeout(self.conduct.patience.answer_s):
                response = await self._send_message(message)
                try:
                    body = await read_bounded(response, self.conduct.body_limit, host=url.host)
                finally:
                    await response.aclose()
        except (httpx.TransportError, TimeoutError) as error:
            what = describe_failure(error)
            raise TransientError(f"{describe_url(str(url))}: {what}", attempts=hops) from error
        except SourceError as error:
            raise type(error)(str(error), attempts=hops) from error
        exchange = self._exchange(request, response, body, hops)
        self._park(url.host, asked_wait(exchange.headers, self.conduct.clock()))
        return exchange

    def _reserve(self, bucket: Bucket | None, hops: int) -> None:
        if bucket is None or self.conduct.ledger is None:
            return
        try:
            self.conduct.ledger.reserve(bucket, self.conduct.clock())
        except SourceError as error:
            raise type(error)(str(error), attempts=hops - 1) from error

    async def _send_message(self, message: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(message, stream=True)
        # httpx reads where a redirect leads even when it does not follow.
        except (httpx.InvalidURL, ValueError) as error:
            raise no_url(message.url) from error
        except httpx.RemoteProtocolError as error:
            if "location header" in str(error):
                raise no_url(message.url) from error
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
        redact = self.conduct.redactor
        limit = self.conduct.body_limit
        return Exchange(
            url=request.url,
            status=response.status_code,
            headers=keep_headers(response.headers, redact.text),
            body=redact.body(body[:limit]),
            fetched_at=response.extensions.get(RECORDED_AT) or self.conduct.clock(),
            attempts=hops,
            is_truncated=len(body) > limit,
        )
