"""One request and its answer, as a parser or an error sees it.

Belongs here: the shape of an exchange. Does not belong here: how it came about (`client`), or
how it is kept (`recordings` for replaying, `fetching` for the lake).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ytap_assets.domain.quota import Bucket

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
