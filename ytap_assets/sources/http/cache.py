"""What was answered before: so that a platform may say "as before", or need not be asked at all.

One file for the installation, shared by its workspaces and processes. It holds only answers that
are the same whoever asks (`Request.is_public`), after secrets were blanked, under a hash of their
URL: nothing in it says who asked. It is a convenience: one that is broken, locked or gone is as an
empty one, which the log tells.

Belongs here: keeping answers. Does not belong here: when one serves (`sharing`).
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
from ytap_assets.sources.http.state import try_state

_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (name TEXT PRIMARY KEY, fetched_at REAL NOT NULL,"
    " size INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL)",
    # Covers the question of what is too much, which reads no bodies then.
    "CREATE INDEX IF NOT EXISTS newest ON answers (fetched_at, size)",
    "CREATE TABLE IF NOT EXISTS claims (name TEXT PRIMARY KEY, ends_at REAL NOT NULL)",
)
_LARGEST_BODY = 4 * 1024 * 1024
_LONGEST_KEPT = timedelta(days=7)
_AHEAD_S = 86_400.0
_CLAIM_S = 60.0
"""How long others leave a question to whoever asks it; one that is killed holds it no longer."""
T = TypeVar("T")


class KeptAnswers:
    """The latest answer to each URL: the newest so many, for a week at most."""

    def __init__(
        self, path: Path, *, most_entries: int = 2_000, most_bytes: int = 64 * 1024 * 1024
    ) -> None:
        """Take the file, which is made when there is something to keep, and its bounds.

        Args:
            path: The file.
            most_entries: How many answers are kept.
            most_bytes: How many bytes of (compressed) bodies are kept.
        """
        self.path = path
        self._most_entries = most_entries
        self._most_bytes = most_bytes

    def find(self, url: str) -> Exchange | None:
        """The answer to ``url`` as it was kept, or None."""
        if not self.path.is_file():
            return None
        name = _name(url)

        def look(connection: sqlite3.Connection) -> tuple[float, str, bytes, str] | None:
            found = connection.execute(
                "SELECT fetched_at, headers, body, digest FROM answers WHERE name = ?", (name,)
            )
            row: tuple[float, str, bytes, str] | None = found.fetchone()
            if row is not None and not _is_whole(name, *row):
                raise sqlite3.DatabaseError("an answer is not as it was kept")
            return row

        row = self._try(look)
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
        """Take it on to ask for ``url``, or hear that somebody else is asking at this moment."""
        name, at = _name(url), now.timestamp()

        def write(connection: sqlite3.Connection) -> bool:
            bounds = (at, at + _CLAIM_S)  # one from the future is as void as one that has ended
            connection.execute("DELETE FROM claims WHERE ends_at NOT BETWEEN ? AND ?", bounds)
            claimed = connection.execute(
                "INSERT OR IGNORE INTO claims VALUES (?, ?)", (name, at + _CLAIM_S)
            )
            return claimed.rowcount == 1

        return self._try(write) is not False

    def release(self, url: str) -> None:
        """Let others ask, the answer being there or not to be had."""
        self._try(lambda file: file.execute("DELETE FROM claims WHERE name = ?", (_name(url),)))

    def keep(self, exchange: Exchange) -> None:
        """Remember an answer; one that confirmed an earlier one (304) brings it up to date."""
        is_answer = exchange.status in {OK, NOT_MODIFIED} and exchange.body
        if not is_answer or len(exchange.body) > _LARGEST_BODY:
            return
        name, at = _name(exchange.url), exchange.fetched_at.timestamp()
        headers, body = json.dumps(dict(exchange.headers)), zlib.compress(exchange.body, 1)
        row = (name, at, len(body), headers, body, _digest(name, at, headers, body))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
            # Answers of the future, of a clock that was ahead, would crowd out all that come.
            oldest, newest = at - _LONGEST_KEPT.total_seconds(), at + _AHEAD_S
            connection.execute(
                "DELETE FROM answers WHERE fetched_at NOT BETWEEN ? AND ?", (oldest, newest)
            )
            self._make_room(connection)

        self._try(write)

    def forget(self, urls: Iterable[str]) -> None:
        """Drop answers that turned out to be none, such as a page of HTML instead of a feed."""
        names = [(_name(url),) for url in urls]
        if names and self.path.is_file():
            self._try(lambda file: file.executemany("DELETE FROM answers WHERE name = ?", names))

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Drop the oldest where there is too much: a tenth more than that, so that it is rare."""
        found = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM answers")
        entries, size = found.fetchone()
        if entries <= self._most_entries and size <= self._most_bytes:
            return
        connection.execute(
            "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM (SELECT rowid,"
            " row_number() OVER newest AS place, sum(size) OVER newest AS bytes"
            " FROM answers WINDOW newest AS (ORDER BY fetched_at DESC, rowid DESC))"
            " WHERE place > ? OR bytes > ?)",
            (self._most_entries * 0.9, self._most_bytes * 0.9),
        )

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        return try_state(self.path, *_TABLES, work=work)


def _name(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(name: str, fetched_at: float, headers: str, body: bytes) -> str:
    return hashlib.sha256(f"{name} {fetched_at!r} {headers} ".encode() + body).hexdigest()


def _is_whole(name: str, fetched_at: object, headers: object, body: object, digest: object) -> bool:
    """Whether a row is as it was written; a damaged file may hold anything."""
    return (
        isinstance(fetched_at, float)
        and isinstance(headers, str)
        and isinstance(body, bytes)
        and _digest(name, fetched_at, headers, body) == digest
    )


_LOOK_AGAIN_S = 0.25
_MOST_LOOKS = 300
"""A little more than a claim lasts, should the clock stand still."""


async def share_answer(
    store: KeptAnswers,
    request: Request,
    *,
    ask: Callable[[Request], Awaitable[Exchange]],
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> Exchange:
    """The answer to a public request: a fresh one that is there, else what ``ask`` brings.

    Args:
        store: Where answers are kept, shared by the processes of the installation.
        request: What is asked for; its ``fresh_s`` says for how long an answer serves.
        ask: Asks the platform.
        clock: The present.
        sleep: Waits so many seconds.

    Raises:
        SourceError: It was asked for and could not be had.
    """
    for _ in range(_MOST_LOOKS):
        if store.claim(request.url, clock()):
            break
        await sleep(_LOOK_AGAIN_S)
    try:
        kept = store.find(request.url)
        if kept is not None and is_fresh(kept, request, clock()):
            return replace(kept, attempts=0)
        answer = await ask(_ask_if_changed(request, kept))
        exchange = _fill_unchanged(answer, kept)
        store.keep(exchange)
        return exchange
    finally:
        store.release(request.url)


def is_fresh(kept: Exchange, request: Request, now: datetime) -> bool:
    """Whether an earlier answer serves as it is, and nothing need be asked.

    Never past midnight (UTC): a look at yesterday is no look at today.
    """
    age_s = (now - kept.fetched_at).total_seconds()
    is_same_day = now.astimezone(UTC).date() == kept.fetched_at.astimezone(UTC).date()
    return is_same_day and 0 <= age_s < request.fresh_s


def _ask_if_changed(request: Request, kept: Exchange | None) -> Request:
    """The request with the validators of an earlier answer, where it came with some."""
    for header, asks in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")):
        if kept is not None and header in kept.headers:
            return replace(request, headers={**request.headers, asks: kept.headers[header]})
    return request


def _fill_unchanged(exchange: Exchange, kept: Exchange | None) -> Exchange:
    """A 304 with the body it stands for; every other exchange as it is."""
    if exchange.status != NOT_MODIFIED or kept is None:
        return exchange
    return replace(exchange, body=kept.body, headers={**kept.headers, **exchange.headers})
