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
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx

from ytap_assets.domain.quota import Bucket
from ytap_assets.sources.addresses import check_address, is_redirect, join_location, no_url
from ytap_assets.sources.bodies import ACCEPT_ENCODING, read_bounded
from ytap_assets.sources.conduct import Conduct
from ytap_assets.sources.exchange import (
    RECORDED_AT,
    SOURCE,
    Exchange,
    Request,
    keep_headers,
)
from ytap_assets.sources.http.exchange import (
    ParkedError,
    PermanentError,
    QuotaExhaustedError,
    SourceError,
    TooLargeError,
    TransientError,
    classify_response,
    describe_failure,
    describe_url,
)
from ytap_assets.sources.pacing import Pacer, asked_wait
from ytap_assets.sources.sharing import share_answer

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
