"""Secrets stay out of what is kept: logs, errors, recordings, payloads.

We only ever send secrets in headers; what is left is a platform that echoes one, and the HTTP
library, which logs what it is answered.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import httpx

from ytap_assets.sources.http.exchange import (
    Exchange,
    MalformedError,
    PermanentError,
    RefusedUrlError,
    describe_url,
)

_MASK = "REDACTED"
_TALKATIVE = ("httpx", "httpcore.connection", "httpcore.http11")
"""Loggers that repeat a platform's headers and reason phrases."""
_SHORTEST = 8
"""What is shorter may be a common word; no platform gives out such keys."""


class Redactor:
    """Blanks every secret it was told of."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def learn(self, header: str) -> None:
        """Take note of a secret header's value, with and without its scheme (``Bearer ...``)."""
        for secret in (header, header.rpartition(" ")[2]):
            if len(secret) >= _SHORTEST:
                self._secrets.add(secret)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._longest_first():
            text = text.replace(secret, _MASK)
        return text

    def body(self, body: bytes) -> bytes:
        """The body without the secrets."""
        for secret in self._longest_first():
            body = body.replace(secret.encode(), _MASK.encode())
        return body

    def _longest_first(self) -> list[str]:
        return sorted(self._secrets, key=lambda secret: (-len(secret), secret))


class _Blanking(logging.Filter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(record.getMessage()), None
        return True


@contextmanager
def blanked_logs(redactor: Redactor) -> Iterator[None]:
    """While it lasts, the HTTP library logs nothing the redactor knows."""
    blanking = _Blanking(redactor)
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(blanking)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(blanking)


DEFAULT_LIMIT = 8 * 1024 * 1024
ACCEPT_ENCODING = "gzip"


async def read_bounded(response: httpx.Response, limit: int, *, host: str) -> bytes:
    """Read and decompress a body, stopping one byte past ``limit``.

    Returns:
        At most ``limit + 1`` bytes: whoever gets more than ``limit`` knows it was cut.

    Raises:
        MalformedError: The compression is broken, cut, or one that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return await _read_plain(response, limit)
    if encoding in {"gzip", "x-gzip"}:
        try:
            return await _read_gzip(response, limit, host)
        except zlib.error as error:
            raise MalformedError(f"{host}: broken gzip: {error}") from error
    raise MalformedError(f"{host}: compressed as {encoding[:40]!r}, only gzip was asked for")


async def _read_plain(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk[: limit + 1 - len(body)]
        if len(body) > limit:
            break
    return bytes(body)


async def _read_gzip(response: httpx.Response, limit: int, host: str) -> bytes:
    gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += gunzip.decompress(chunk, limit + 1 - len(body))
        if len(body) > limit:
            return bytes(body)
    if response.num_bytes_downloaded and not gunzip.eof:
        raise MalformedError(f"{host}: the compressed body is cut off")
    return bytes(body)


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def check_address(url: httpx.URL, hosts: Collection[str], *, hops: int) -> None:
    """Refuse every address but those of ``hosts``, wherever a config or a redirect points.

    Raises:
        RefusedUrlError: It is none of them; ``hops`` counts the request that is not sent.
    """
    if url.scheme != "https" or url.host not in hosts or url.port is not None or url.userinfo:
        shown = f"{url.scheme}://{url.host}"[:200]
        raise RefusedUrlError(
            f"{shown}: only https to {', '.join(sorted(hosts))} is asked", attempts=hops - 1
        )


def is_redirect(exchange: Exchange) -> bool:
    """Whether the answer is to be had elsewhere."""
    return exchange.status in _REDIRECTS and "location" in exchange.headers


def join_location(url: httpx.URL, location: str, hops: int) -> httpx.URL:
    """Where a redirect leads.

    Raises:
        PermanentError: To something that is no URL.
    """
    try:
        return url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise no_url(url, hops) from error


def no_url(url: httpx.URL, hops: int = 0) -> PermanentError:
    """The error of a redirect to something that is no URL."""
    message = f"{describe_url(str(url))}: redirects to something that is no URL"
    return PermanentError(message, attempts=hops)
