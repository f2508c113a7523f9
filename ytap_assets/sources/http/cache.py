"""The response cache: reuse, revalidation and coalescing of requests.

A fresh response is reused. Concurrent requests for the same URL are coalesced into one. An older
response is revalidated with its ETag or Last-Modified (304).

The cache is one file per installation, shared by its workspaces and processes. It stores only
responses that do not depend on the workspace (`Request.is_public`), without secrets, under a hash
of their URL. A file that is corrupt, locked or missing counts as empty; a warning is logged.

hishel is not used: it sends each of 40 concurrent requests, and takes freshness from the server
instead of the source (`docs/adr/0028-libraries.md`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ytap_assets.sources.http.exchange import NOT_MODIFIED, OK, Exchange, Request
from ytap_assets.sources.http.state import try_state_file

_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (name TEXT PRIMARY KEY, fetched_at REAL NOT NULL,"
    " size INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL)",
    # A covering index for eviction, which then reads no bodies.
    "CREATE INDEX IF NOT EXISTS newest ON answers (fetched_at, size)",
    "CREATE TABLE IF NOT EXISTS claims (name TEXT PRIMARY KEY, ends_at REAL NOT NULL)",
)
_MAX_BODY_BYTES = 4 * 1024 * 1024
_MAX_AGE = timedelta(days=7)
_MAX_AHEAD_S = 86_400.0
_CLAIM_S = 60.0
"""How long a claim lasts, so that a killed process does not block the URL for longer."""
_POLL_S = 0.25
_MAX_POLLS = 300
"""Slightly longer than a claim lasts, in case the clock does not advance."""
T = TypeVar("T")


class ResponseCache:
    """The latest response to each URL, limited in number, size and age."""

    def __init__(
        self, path: Path, *, max_entries: int = 2_000, max_bytes: int = 64 * 1024 * 1024
    ) -> None:
        """Take the file, which is created on the first write, and its limits.

        Args:
            path: The file.
            max_entries: How many responses are stored.
            max_bytes: How many bytes of compressed bodies are stored.
        """
        self.path = path
        self._max_entries = max_entries
        self._max_bytes = max_bytes

    def find(self, url: str) -> Exchange | None:
        """The stored response to ``url``, or None."""
        if not self.path.is_file():
            return None
        name = _hash_url(url)

        def read(connection: sqlite3.Connection) -> tuple[float, str, bytes, str] | None:
            found = connection.execute(
                "SELECT fetched_at, headers, body, digest FROM answers WHERE name = ?", (name,)
            )
            row: tuple[float, str, bytes, str] | None = found.fetchone()
            if row is not None and not _is_intact(name, *row):
                raise sqlite3.DatabaseError("a response does not match its digest")
            return row

        row = self._try(read)
        if row is None:
            return None
        fetched_at, headers, body, _ = row
        return Exchange(
            url=url,
            status=OK,
            headers=json.loads(headers),
            body=zlib.decompress(body),
            fetched_at=datetime.fromtimestamp(fetched_at, UTC),
        )

    def claim(self, url: str, now: datetime) -> bool:
        """Claim the request for ``url``; False while another task or process holds the claim."""
        name, at = _hash_url(url), now.timestamp()

        def write(connection: sqlite3.Connection) -> bool:
            bounds = (at, at + _CLAIM_S)  # a claim from the future is as invalid as an expired one
            connection.execute("DELETE FROM claims WHERE ends_at NOT BETWEEN ? AND ?", bounds)
            claimed = connection.execute(
                "INSERT OR IGNORE INTO claims VALUES (?, ?)", (name, at + _CLAIM_S)
            )
            return claimed.rowcount == 1

        return self._try(write) is not False

    def release(self, url: str) -> None:
        """Release the claim of ``url``."""
        self._try(lambda file: file.execute("DELETE FROM claims WHERE name = ?", (_hash_url(url),)))

    def store(self, exchange: Exchange) -> None:
        """Store a response; a revalidated one (304) replaces the earlier one."""
        is_cacheable = exchange.status in {OK, NOT_MODIFIED} and exchange.body
        if not is_cacheable or len(exchange.body) > _MAX_BODY_BYTES:
            return
        name, at = _hash_url(exchange.url), exchange.fetched_at.timestamp()
        headers, body = json.dumps(dict(exchange.headers)), zlib.compress(exchange.body, 1)
        row = (name, at, len(body), headers, body, _digest(name, at, headers, body))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
            # Responses from the future, of a clock that was ahead, would displace all later ones.
            oldest, newest = at - _MAX_AGE.total_seconds(), at + _MAX_AHEAD_S
            connection.execute(
                "DELETE FROM answers WHERE fetched_at NOT BETWEEN ? AND ?", (oldest, newest)
            )
            self._evict(connection)

        self._try(write)

    def remove(self, urls: Iterable[str]) -> None:
        """Remove responses that could not be parsed, such as HTML in place of a feed."""
        names = [(_hash_url(url),) for url in urls]
        if names and self.path.is_file():
            self._try(lambda file: file.executemany("DELETE FROM answers WHERE name = ?", names))

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Remove the oldest responses above the limits, down to 90 % of them."""
        found = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM answers")
        entries, size = found.fetchone()
        if entries <= self._max_entries and size <= self._max_bytes:
            return
        connection.execute(
            "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM (SELECT rowid,"
            " row_number() OVER newest AS place, sum(size) OVER newest AS bytes"
            " FROM answers WINDOW newest AS (ORDER BY fetched_at DESC, rowid DESC))"
            " WHERE place > ? OR bytes > ?)",
            (self._max_entries * 0.9, self._max_bytes * 0.9),
        )

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        return try_state_file(self.path, *_TABLES, work=work)


def _hash_url(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(name: str, fetched_at: float, headers: str, body: bytes) -> str:
    return hashlib.sha256(f"{name} {fetched_at!r} {headers} ".encode() + body).hexdigest()


def _is_intact(
    name: str, fetched_at: object, headers: object, body: object, digest: object
) -> bool:
    """Whether a row matches its digest; a corrupt file may hold values of any type."""
    return (
        isinstance(fetched_at, float)
        and isinstance(headers, str)
        and isinstance(body, bytes)
        and _digest(name, fetched_at, headers, body) == digest
    )


async def send_cached(
    cache: ResponseCache,
    request: Request,
    *,
    send: Callable[[Request], Awaitable[Exchange]],
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> Exchange:
    """The response to a public request, from the cache while it is fresh, else from ``send``.

    Args:
        cache: The cache, shared by the processes of the installation.
        request: The request; its ``max_age_s`` is how long a response is fresh.
        send: Sends the request to the platform.
        clock: The present.
        sleep: Waits the given number of seconds.

    Raises:
        SourceError: The request was sent and failed.
    """
    for _ in range(_MAX_POLLS):
        if cache.claim(request.url, clock()):
            break
        await sleep(_POLL_S)
    try:
        cached = cache.find(request.url)
        if cached is not None and is_fresh(cached, request, clock()):
            return replace(cached, attempts=0)
        exchange = _restore_body(await send(_add_validator(request, cached)), cached)
        cache.store(exchange)
        return exchange
    finally:
        cache.release(request.url)


def is_fresh(cached: Exchange, request: Request, now: datetime) -> bool:
    """Whether a cached response can be reused without a request.

    Never after midnight UTC: an observation of yesterday is not one of today.
    """
    age_s = (now - cached.fetched_at).total_seconds()
    is_same_day = now.astimezone(UTC).date() == cached.fetched_at.astimezone(UTC).date()
    return is_same_day and 0 <= age_s < request.max_age_s


def _add_validator(request: Request, cached: Exchange | None) -> Request:
    """The request with the cached response's ETag, else its Last-Modified."""
    for header, condition in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")):
        if cached is not None and header in cached.headers:
            headers = {**request.headers, condition: cached.headers[header]}
            return replace(request, headers=headers)
    return request


def _restore_body(exchange: Exchange, cached: Exchange | None) -> Exchange:
    """A 304 with the cached body; any other response unchanged."""
    if exchange.status != NOT_MODIFIED or cached is None:
        return exchange
    return replace(exchange, body=cached.body, headers={**cached.headers, **exchange.headers})
