"""What can go wrong between a platform and us; each error knows the outcome it is logged as.

- `SourceError`: a platform did not give what was asked.
    - `TransientError`: it may work in a moment; the client has retried already.
        - `ParkedError`: the host asked to be left alone for longer than is waited.
    - `PermanentError`: asking again gives the same; the request, a key or the config must change.
        - `UnexpectedError`: our own code failed; it must change.
        - `RefusedUrlError`: the URL, or where it redirects to, is not one the sources declare.
    - `QuotaExhaustedError`: the platform's allowance is used up; nothing to do before its reset.
    - `MalformedError`: the answer is not what its format says (HTML for JSON, cut in the middle).
    - `TooLargeError`: the answer is larger than the cap.
    - `NotRecordedError`: on replay, the day's recordings do not hold the request.
    - `UnrecoverableError`: the source cannot answer for that day any more.
    - `DisabledError`: the source needs something that is not set.

Belongs here: the tree, and what an HTTP answer means for it. Does not belong here: when to retry
(`client`).
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

from ytap_assets.domain.quota import Bucket
from ytap_assets.errors import YtapError
from ytap_assets.tables.evidence import Outcome

_KEPT_HEADERS = (
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-ratelimit-used",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)
RECORDED_AT = "recorded_at"
"""The response extension in which a replay says when the answer was recorded."""
SOURCE = "source"
"""The request extension that says on whose behalf it is asked."""

FRESH_S = 300.0
"""Workspaces that are collected one after the other look at the same page of the same feed."""

OK = 200
NOT_MODIFIED = 304


@dataclass(frozen=True)
class Request:
    """What to ask.

    Attributes:
        url: The URL; secrets never go here.
        source: On whose behalf; names the recording.
        headers: Ordinary headers.
        secrets: Headers that hold secrets; sent to the URL's own host only.
        is_public: Whether the answer is the same whoever asks, so that it may be kept and may
            serve another workspace.
        fresh_s: For how many seconds such an answer serves without asking again.
        bucket: The allowance that each sending of it is counted in.
        form: A form to POST; None for GET.
    """

    url: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_public: bool = False
    fresh_s: float = FRESH_S
    bucket: Bucket | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def method(self) -> Literal["GET", "POST"]:
        """The HTTP method."""
        return "GET" if self.form is None else "POST"


@dataclass(frozen=True)
class Exchange:
    """One answered request.

    Attributes:
        url: The URL asked for, without secrets.
        status: The HTTP status. 304: the body is the one that was kept from before.
        headers: The few headers that mean something here, names in lower case.
        body: The decompressed body; cut at the size cap where ``is_truncated``.
        fetched_at: When the answer arrived; on replay, when it was recorded.
        attempts: Requests sent for it, retries and redirects included; 0 where an answer of
            a moment ago served again.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fetched_at: datetime
    attempts: int = 1
    is_truncated: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the body is what was asked for: not an error page and not cut."""
        is_usable = OK <= self.status < 300 or self.status == NOT_MODIFIED
        return is_usable and not self.is_truncated

    @property
    def content_type(self) -> str | None:
        """The Content-Type header."""
        return self.headers.get("content-type")


def keep_headers(headers: Mapping[str, str], redact: Callable[[str], str]) -> dict[str, str]:
    """The few headers that mean something here, without secrets.

    What is not plain printable ASCII is left out: it could not be sent back, as a validator is,
    nor replayed.
    """
    return {
        name: redact(headers[name])
        for name in _KEPT_HEADERS
        if name in headers and headers[name].isascii() and headers[name].isprintable()
    }


class SourceError(YtapError):
    """A platform did not give what was asked.

    Attributes:
        outcome: How the fetch is logged.
        exchange: The answer that was refused, where there was one.
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
    """It may work in a moment: a timeout, a lost connection, a server's bad minute."""

    outcome = "transient_error"


class ParkedError(TransientError):
    """The host asked to be left alone for longer than a fetch waits; it is not asked."""


class PermanentError(SourceError):
    """Asking again gives the same answer."""

    outcome = "permanent_error"


class UnexpectedError(PermanentError):
    """The code that asks or reads failed in a way it does not know. What arrived is kept."""


class RefusedUrlError(PermanentError):
    """The URL is not https, or its host is not one that the sources declare."""


class QuotaExhaustedError(SourceError):
    """The platform's allowance is used up until its reset."""

    outcome = "quota_exhausted"


class MalformedError(SourceError):
    """The answer is not what its format says."""

    outcome = "malformed"


class TooLargeError(SourceError):
    """The answer is larger than the cap."""

    outcome = "too_large"


class NotRecordedError(SourceError):
    """On replay: the day's recordings do not hold the request."""

    outcome = "not_recorded"


class UnrecoverableError(SourceError):
    """The source cannot answer for that day any more."""

    outcome = "unrecoverable"


class DisabledError(SourceError):
    """The source needs something that is not set; the message says what."""

    outcome = "disabled"


@dataclass(frozen=True)
class _Rule:
    """Statuses (and a pattern in the body, where they alone do not tell) that mean an error."""

    statuses: range | frozenset[int]
    error: type[SourceError]
    advice: str
    body: re.Pattern[bytes] | None = None


def _reasons(*names: str) -> re.Pattern[bytes]:
    return re.compile(rb'"reason"\s*:\s*"(?:%s)"' % "|".join(names).encode())


# First match wins. Google answers 403 for three different things, and 429 for two: a bucket that
# is empty till midnight Pacific, and a pace that is too fast this minute.
_RULES: tuple[_Rule, ...] = (
    _Rule(
        frozenset({403, 429}),
        QuotaExhaustedError,
        "the quota is used up; it resets at midnight Pacific time",
        _reasons("quotaExceeded", "dailyLimitExceeded"),
    ),
    _Rule(
        frozenset({403, 429}),
        TransientError,
        "asked too fast",
        re.compile(rb"per minute|per 100 seconds", re.IGNORECASE),
    ),
    _Rule(
        frozenset({429}),
        QuotaExhaustedError,
        "the named bucket is used up; it resets at midnight Pacific time",
        re.compile(rb"Quota exceeded for quota metric", re.IGNORECASE),
    ),
    _Rule(
        frozenset({403}),
        TransientError,
        "asked too fast",
        _reasons("rateLimitExceeded", "userRateLimitExceeded"),
    ),
    _Rule(frozenset({408, 425}), TransientError, "the server gave up waiting"),
    _Rule(frozenset({429}), TransientError, "asked too fast"),
    _Rule(range(500, 600), TransientError, "the server failed"),
    _Rule(frozenset({401}), PermanentError, "the key or token was not accepted; check it"),
    _Rule(frozenset({403}), PermanentError, "access was refused; check the key's rights"),
    _Rule(frozenset({404, 410}), PermanentError, "nothing is there; check the name"),
)
# First match wins for each error of a chain, so the narrower kinds stand first.
_FAILURES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (socket.gaierror, "host name could not be resolved"),
    (ssl.SSLCertVerificationError, "certificate not accepted"),
    (ssl.SSLError, "no secure connection could be made"),
    (ConnectionRefusedError, "connection refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "connection lost"),
    (httpx.ConnectTimeout, "timed out while connecting"),
    ((httpx.TimeoutException, TimeoutError), "timed out"),
    (httpx.ProxyError, "the proxy refused the request"),
    (httpx.UnsupportedProtocol, "only http and https are supported"),
    (httpx.ConnectError, "no connection could be made"),
    (httpx.RemoteProtocolError, "the response broke off or was not valid HTTP"),
    (httpx.NetworkError, "connection lost"),
)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_OTHERWISE = _Rule(range(1000), PermanentError, "the request was refused")
_LOOKED_AT = 65_536
_MESSAGE = re.compile(rb'"message"\s*:\s*"((?:[^"\\]|\\.){1,300})')


def classify_response(exchange: Exchange) -> SourceError | None:
    """The error an answer amounts to, or None for a usable one.

    A quota that is used up (403 ``quotaExceeded``, or 429 naming a bucket) is told from a pace
    that is too fast: only the latter is worth a retry.
    """
    if 200 <= exchange.status < 300 or exchange.status == 304:
        return None
    head = exchange.body[:_LOOKED_AT]
    rule = next((rule for rule in _RULES if _applies(rule, exchange.status, head)), _OTHERWISE)
    said = _MESSAGE.search(head)
    quote = f" ({_printable(said[1])})" if said else ""
    message = f"{describe_url(exchange.url)} answered {exchange.status}: {rule.advice}{quote}"
    return rule.error(message, exchange=exchange)


def describe_url(url: str) -> str:
    """Host and path of a URL, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def describe_failure(error: BaseException) -> str:
    """Why no response arrived, in words: the first cause in the error's chain that says it.

    The text of an error is not used: it may hold a URL with a secret, or another language.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
            return "network unreachable"
        for kinds, words in _FAILURES:
            if isinstance(cause, kinds):
                return words
    return f"the request failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error came from, innermost first; every error of a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)
    yield error


def _applies(rule: _Rule, status: int, head: bytes) -> bool:
    return status in rule.statuses and (rule.body is None or rule.body.search(head) is not None)


def _printable(text: bytes) -> str:
    words = text.decode("utf-8", "replace").split()
    return "".join(char for char in " ".join(words) if char.isprintable())
