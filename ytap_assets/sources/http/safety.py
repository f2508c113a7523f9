"""Untrusted URLs and responses: allowed hosts, bounded bodies, redacted secrets.

Does not belong here: what a status means (`exchange`), reading a document (`sources.fields`).
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

DEFAULT_BODY_LIMIT = 8 * 1024 * 1024
ACCEPT_ENCODING = "gzip"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MASK = "REDACTED"
_HTTP_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11")
"""Loggers that repeat response headers and reason phrases."""
_MIN_SECRET_LENGTH = 8
"""A shorter value may be a common word; no platform issues keys this short."""


def check_url(url: httpx.URL, hosts: Collection[str], *, hops: int) -> None:
    """Refuse every URL except https on one of ``hosts``, on its default port, without a user.

    Host names are compared as a whole and never resolved, so no spelling of a private address
    (decimal, hex, IPv6, a DNS name) is accepted.

    Raises:
        RefusedUrlError: ``hops`` includes the request that is not sent.
    """
    if url.scheme != "https" or url.host not in hosts or url.port is not None or url.userinfo:
        shown = f"{url.scheme}://{url.host}"[:200]
        raise RefusedUrlError(
            f"{shown} is not allowed; only https requests to the hosts of the source are",
            attempts=hops - 1,
        )


def is_redirect(exchange: Exchange) -> bool:
    """Whether the response redirects to another URL."""
    return exchange.status in _REDIRECTS and "location" in exchange.headers


def join_location(url: httpx.URL, location: str, hops: int) -> httpx.URL:
    """The target of a redirect.

    Raises:
        PermanentError: It is not a URL.
    """
    try:
        return url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise invalid_redirect(url, hops) from error


def invalid_redirect(url: httpx.URL, hops: int = 0) -> PermanentError:
    """The error of a redirect whose target is not a URL."""
    return PermanentError(f"{describe_url(str(url))}: redirects to an invalid URL", attempts=hops)


async def read_bounded(response: httpx.Response, limit: int, *, host: str) -> bytes:
    """Read and decompress a body, stopping one byte past ``limit``.

    httpx decompresses a chunk as a whole, and a chunk of 64 KiB can expand to 64 MiB; so the raw
    bytes are decompressed here, up to the limit.

    Returns:
        At most ``limit + 1`` bytes: more than ``limit`` means that the body was cut.

    Raises:
        MalformedError: The compression is invalid, incomplete, or was not requested.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return await _read_plain(response, limit)
    if encoding in {"gzip", "x-gzip"}:
        try:
            return await _read_gzip(response, limit, host)
        except zlib.error as error:
            raise MalformedError(f"{host}: invalid gzip: {error}") from error
    raise MalformedError(f"{host}: compressed as {encoding[:40]!r}, but only gzip was requested")


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
        raise MalformedError(f"{host}: the compressed body is incomplete")
    return bytes(body)


class Redactor:
    """Replaces known secrets in texts and bodies.

    Secrets are sent in headers only; this covers platforms that repeat them, and httpx, which logs
    response headers.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def add(self, header: str) -> None:
        """Add the value of a secret header, with and without its scheme (``Bearer ...``)."""
        for secret in (header, header.rpartition(" ")[2]):
            if len(secret) >= _MIN_SECRET_LENGTH:
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


class _RedactingFilter(logging.Filter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(record.getMessage()), None
        return True


@contextmanager
def redacted_logs(redactor: Redactor) -> Iterator[None]:
    """Redact the log records of httpx inside the context."""
    redacting = _RedactingFilter(redactor)
    loggers = [logging.getLogger(name) for name in _HTTP_LOGGERS]
    for logger in loggers:
        logger.addFilter(redacting)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redacting)
