"""HTTP requests, responses and errors, as sources and parsers see them.

Each error knows the outcome it is logged as in ``collection_log``:

- `SourceError`: a platform did not return what was requested.
    - `TransientError`: a later attempt may work; the client has retried already.
        - `RetryLaterError`: the host sent a longer Retry-After than the client waits.
    - `PermanentError`: every attempt fails; the request, a key or the config must change.
        - `UnexpectedError`: a bug in this program.
        - `RefusedUrlError`: the URL, or a redirect's target, is not on a declared host.
    - `QuotaExhaustedError`: the quota is used up until its reset.
    - `MalformedError`: the response does not have the expected format (HTML, truncated JSON).
    - `TooLargeError`: the response is larger than the limit.
    - `NotRecordedError`: on replay, the recordings of the day do not contain the request.
    - `UnrecoverableError`: the source cannot return data for that day any more.
    - `DisabledError`: a required setting is missing.

Does not belong here: sending requests and retrying (`client`).
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import httpx

from ytap_assets.domain.source_profiles import Bucket
from ytap_assets.errors import YtapError
from ytap_assets.tables.evidence import Outcome

RECORDED_AT = "recorded_at"
"""The httpx response extension that holds the time at which a replayed response was recorded."""
SOURCE = "source"
"""The httpx request extension that holds the name of the requesting source."""
DEFAULT_MAX_AGE_S = 300.0
"""Workspaces that are collected one after the other request the same page of the same feed."""
OK = 200
NOT_MODIFIED = 304
_STORED_HEADERS = (
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-ratelimit-used",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        url: The URL, without secrets.
        source: The source that sends it; names the recording.
        headers: Headers without secrets.
        secrets: Headers with secrets; sent to the URL's own host only.
        is_public: Whether the response does not depend on the workspace, so that it may be cached
            and shared.
        max_age_s: How old a cached response may be, in seconds.
        bucket: The quota bucket that each attempt is counted in.
        form: A form to POST; None for GET.
    """

    url: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_public: bool = False
    max_age_s: float = DEFAULT_MAX_AGE_S
    bucket: Bucket | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def method(self) -> Literal["GET", "POST"]:
        """The HTTP method."""
        return "GET" if self.form is None else "POST"


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    Attributes:
        url: The requested URL, without secrets.
        status: The HTTP status. With 304 the body is the cached one.
        headers: The stored headers (`select_headers`), names in lower case.
        body: The decompressed body; cut at the size limit if ``is_truncated``.
        fetched_at: When the response arrived; on replay, when it was recorded.
        attempts: Requests sent, including retries and redirects; 0 for a cached response.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fetched_at: datetime
    attempts: int = 1
    is_truncated: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether the body is the requested document: no error page and not truncated."""
        is_success = OK <= self.status < 300 or self.status == NOT_MODIFIED
        return is_success and not self.is_truncated

    @property
    def content_type(self) -> str | None:
        """The Content-Type header."""
        return self.headers.get("content-type")


def select_headers(headers: Mapping[str, str], redact: Callable[[str], str]) -> dict[str, str]:
    """The headers that are stored with a response, without secrets.

    Values that are not printable ASCII are dropped: they could not be sent as a validator or
    replayed.
    """
    return {
        name: redact(headers[name])
        for name in _STORED_HEADERS
        if name in headers and headers[name].isascii() and headers[name].isprintable()
    }


class SourceError(YtapError):
    """A platform did not return what was requested.

    Attributes:
        outcome: The outcome of the fetch in ``collection_log``.
        exchange: The rejected response, if there was one.
        attempts: Requests sent before giving up.
    """

    outcome: ClassVar[Outcome] = "permanent_error"

    def __init__(
        self, message: str, *, exchange: Exchange | None = None, attempts: int | None = None
    ) -> None:
        super().__init__(message)
        self.exchange = exchange
        self.attempts = attempts if attempts is not None else (exchange.attempts if exchange else 0)


class TransientError(SourceError):
    """A later attempt may work: a timeout, a lost connection, a server error."""

    outcome = "transient_error"


class RetryLaterError(TransientError):
    """The host sent a longer Retry-After than the client waits; no request is sent until then."""


class PermanentError(SourceError):
    """Every further attempt fails the same way."""


class UnexpectedError(PermanentError):
    """The fetching or parsing code raised an unknown exception. Responses received are stored."""


class RefusedUrlError(PermanentError):
    """The URL is not https, or its host is not declared by a source."""


class QuotaExhaustedError(SourceError):
    """The platform's quota is used up until its reset."""

    outcome = "quota_exhausted"


class MalformedError(SourceError):
    """The response does not have the expected format."""

    outcome = "malformed"


class TooLargeError(SourceError):
    """The response is larger than the limit."""

    outcome = "too_large"


class NotRecordedError(SourceError):
    """On replay: the recordings of the day do not contain the request."""

    outcome = "not_recorded"


class UnrecoverableError(SourceError):
    """The source cannot return data for that day any more."""

    outcome = "unrecoverable"


class DisabledError(SourceError):
    """A required setting is missing; the message names it."""

    outcome = "disabled"


@dataclass(frozen=True)
class _Rule:
    """An error, for statuses and, where these are ambiguous, a pattern in the body."""

    statuses: range | frozenset[int]
    error: type[SourceError]
    advice: str
    body: re.Pattern[bytes] | None = None

    def matches(self, status: int, head: bytes) -> bool:
        return status in self.statuses and (self.body is None or bool(self.body.search(head)))


def _reasons(*names: str) -> re.Pattern[bytes]:
    return re.compile(rb'"reason"\s*:\s*"(?:%s)"' % "|".join(names).encode())


# The first match wins. Google uses 403 for three cases and 429 for two: a daily quota that is used
# up until midnight Pacific, and a limit per minute.
_RULES: tuple[_Rule, ...] = (
    _Rule(
        frozenset({403, 429}),
        QuotaExhaustedError,
        "the quota is exhausted; it resets at midnight Pacific time",
        _reasons("quotaExceeded", "dailyLimitExceeded"),
    ),
    _Rule(
        frozenset({403, 429}),
        TransientError,
        "too many requests",
        re.compile(rb"per minute|per 100 seconds", re.IGNORECASE),
    ),
    _Rule(
        frozenset({429}),
        QuotaExhaustedError,
        "the quota of the named bucket is exhausted; it resets at midnight Pacific time",
        re.compile(rb"Quota exceeded for quota metric", re.IGNORECASE),
    ),
    _Rule(
        frozenset({403}),
        TransientError,
        "too many requests",
        _reasons("rateLimitExceeded", "userRateLimitExceeded"),
    ),
    _Rule(frozenset({408, 425}), TransientError, "the server timed out"),
    _Rule(frozenset({429}), TransientError, "too many requests"),
    _Rule(range(500, 600), TransientError, "server error"),
    _Rule(frozenset({401}), PermanentError, "the key or token was rejected; check it"),
    _Rule(frozenset({403}), PermanentError, "access was denied; check the key's permissions"),
    _Rule(frozenset({404, 410}), PermanentError, "not found; check the name"),
)
_OTHERWISE = _Rule(range(1000), PermanentError, "the request was refused")
# The first match wins for each error of a chain, so the narrower types come first.
_FAILURES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (socket.gaierror, "host name could not be resolved"),
    (ssl.SSLCertVerificationError, "the certificate is not valid"),
    (ssl.SSLError, "no TLS connection could be made"),
    (ConnectionRefusedError, "connection refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "connection lost"),
    (httpx.ConnectTimeout, "timed out while connecting"),
    ((httpx.TimeoutException, TimeoutError), "timed out"),
    (httpx.ProxyError, "the proxy refused the request"),
    (httpx.UnsupportedProtocol, "only http and https are supported"),
    (httpx.ConnectError, "no connection could be made"),
    (httpx.RemoteProtocolError, "the response was incomplete or not valid HTTP"),
    (httpx.NetworkError, "connection lost"),
)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_MAX_SEARCHED_BYTES = 65_536
_MESSAGE = re.compile(rb'"message"\s*:\s*"((?:[^"\\]|\\.){1,300})')


def classify_response(exchange: Exchange) -> SourceError | None:
    """The error that a response stands for, or None for a usable one.

    A used-up quota (403 ``quotaExceeded``, or 429 naming a bucket) is distinguished from a limit
    per minute: only the latter is retried.
    """
    if OK <= exchange.status < 300 or exchange.status == NOT_MODIFIED:
        return None
    head = exchange.body[:_MAX_SEARCHED_BYTES]
    rule = next((rule for rule in _RULES if rule.matches(exchange.status, head)), _OTHERWISE)
    found = _MESSAGE.search(head)
    quote = f" ({_printable(found[1])})" if found else ""
    message = f"{describe_url(exchange.url)} returned {exchange.status}: {rule.advice}{quote}"
    return rule.error(message, exchange=exchange)


def describe_url(url: str) -> str:
    """Host and path of a URL, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def describe_failure(error: BaseException) -> str:
    """Why no response arrived: the first known cause in the error's chain.

    The text of the error is not used: it may contain a URL with a secret, or another language.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
            return "network unreachable"
        for kinds, words in _FAILURES:
            if isinstance(cause, kinds):
                return words
    return f"the request failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The chain of causes, innermost first; every error of a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)
    yield error


def _printable(text: bytes) -> str:
    words = text.decode("utf-8", "replace").split()
    return "".join(char for char in " ".join(words) if char.isprintable())
