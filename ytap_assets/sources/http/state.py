"""State that outlives a process: cached responses, Retry-After delays, used quotas.

It is in files of the data folder, or in the catalog's database, where there is one, for all its
machines (`open_state`). The response cache and the Retry-After store are optional: what is corrupt,
locked, missing or out of reach counts as empty, what is corrupt is replaced, and a warning is
logged (`_try`). The quota ledger is not: if it cannot be read, requests that it counts are refused,
since an empty ledger would allow the quota to be spent twice (`docs/adr/0009-search-bucket.md`).

The cache is one per installation, shared by its workspaces and processes. A fresh response is
reused. Concurrent requests for the same URL are coalesced into one. An older response is
revalidated with its ETag or Last-Modified (304). The cache stores only responses that do not depend
on the workspace (`Request.is_public`), without secrets, under a hash of their URL. hishel is not
used: it sends each of 40 concurrent requests, and takes freshness from the server instead of the
source (`docs/adr/0028-libraries.md`).

Does not belong here: files and databases (`state_file`, `shared_state`), which request counts
against which bucket (the platforms' modules), when a bucket is reset (`domain.source_profiles`), or
how a request is sent (`client`, which passes it to `send_cached`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ytap_assets.domain.plausibility import LONGEST_PAUSE
from ytap_assets.domain.source_profiles import BUCKETS, Bucket, next_quota_reset
from ytap_assets.errors import ConfigError
from ytap_assets.settings import NO_CLUSTER, Settings
from ytap_assets.sources.http.exchange import (
    NOT_MODIFIED,
    OK,
    Exchange,
    PermanentError,
    QuotaExhaustedError,
    Request,
)
from ytap_assets.sources.http.state_file import Rows, State, StateError, StateFile

_LOG = logging.getLogger(__name__)
LEDGER, RETRY_AFTER, CACHE = "quota.sqlite", "parked.sqlite", "answers.sqlite"
"""The names of the files."""
_RETRY_AFTER_TABLE = (
    "CREATE TABLE IF NOT EXISTS parked (host TEXT PRIMARY KEY, ends_at DOUBLE PRECISION NOT NULL)"
)
_MAX_RETRY_AFTER_S = 86_400.0
"""A longer Retry-After is cut to a day; a longer stored one means that the clock jumped."""
_QUOTA_TABLE = (
    "CREATE TABLE spending (bucket TEXT NOT NULL, resets_at TEXT NOT NULL,"
    " calls BIGINT NOT NULL, is_parked INTEGER NOT NULL, PRIMARY KEY (bucket, resets_at))"
)
_RETAINED_RESETS = 60
"""How many resets are retained; older rows are deleted by insertion order, not by the clock."""
_TOLERANCE = timedelta(minutes=10)
"""Another process may be past a reset that this one is just before."""
_INSTANT = timedelta(microseconds=1)
_CACHE_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (name TEXT PRIMARY KEY,"
    " fetched_at DOUBLE PRECISION NOT NULL, size INTEGER NOT NULL, headers TEXT NOT NULL,"
    " body BLOB NOT NULL, digest TEXT NOT NULL)",
    # A covering index for eviction, which then reads no bodies.
    "CREATE INDEX IF NOT EXISTS newest ON answers (fetched_at, size)",
    "CREATE TABLE IF NOT EXISTS claims (name TEXT PRIMARY KEY, ends_at DOUBLE PRECISION NOT NULL)",
)
_ANSWER = ("name", "fetched_at", "size", "headers", "body", "digest")
_MAX_BODY_BYTES = 4 * 1024 * 1024
_MAX_AGE = timedelta(days=7)
_MAX_AHEAD_S = 86_400.0
_CLAIM_S = 60.0
"""How long a claim lasts, so that a killed process does not block the URL for longer."""
_POLL_S = 0.25
_MAX_POLLS = 300
"""Slightly longer than a claim lasts, in case the clock does not advance."""
T = TypeVar("T")


def open_state(settings: Settings) -> Callable[[str], State]:
    """The places of an installation's state, by the names of their files.

    Each is a file of the data folder. If the catalog is in a database, all are one place there,
    whatever their names: a process keeps one connection.

    Raises:
        ConfigError: The packages for such a database are not installed.
    """
    if settings.database is None:
        return lambda name: StateFile(settings.state / name)
    try:  # it is an extra, whose packages may be absent
        from ytap_assets.sources.http.shared_state import StateDatabase  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(NO_CLUSTER) from error
    shared = StateDatabase(settings.database)
    return lambda _: shared


def open_ledger(settings: Settings) -> QuotaLedger:
    """The ledger of the installation.

    Raises:
        ConfigError: As `open_state`.
    """
    return QuotaLedger(open_state(settings)(LEDGER))


def _try(state: State, *tables: str, work: Callable[[Rows], T]) -> T | None:
    """The result of ``work`` on optional state; None if it cannot be used.

    Damaged tables are removed, so that the next write creates them again. A warning is logged.
    """
    try:
        with state.open(*tables, is_durable=False) as rows:
            return work(rows)
    except StateError as error:
        if not error.is_damaged:
            _LOG.warning("%s is ignored: %s", state, error)
            return None
        _LOG.warning("%s is damaged (%s) and is created again", state, error)
    try:
        state.discard(*tables)
    except StateError as error:
        _LOG.warning("%s cannot be removed: %s", state, error)
    return None


class RetryAfterStore:
    """Hosts that sent a long Retry-After, for the processes that run later.

    Workspaces may be collected by separate processes; without the store each of them would send
    its requests too early. The store is optional, like the response cache.
    """

    def __init__(self, state: State) -> None:
        """Take the place."""
        self._state = state

    def add(self, host: str, seconds: float, now: datetime) -> None:
        """Store that ``host`` accepts no request for so many seconds."""
        ends_at = now.timestamp() + min(seconds, _MAX_RETRY_AFTER_S)

        def write(rows: Rows) -> None:
            at = now.timestamp()
            rows.execute(
                "DELETE FROM parked WHERE ends_at NOT BETWEEN ? AND ?",
                (at, at + _MAX_RETRY_AFTER_S),
            )
            rows.execute(
                "INSERT INTO parked VALUES (?, ?)"
                " ON CONFLICT (host) DO UPDATE SET ends_at = excluded.ends_at",
                (host, ends_at),
            )

        _try(self._state, _RETRY_AFTER_TABLE, work=write)

    def remaining(self, now: datetime) -> Mapping[str, float]:
        """The seconds that remain for each such host."""
        if self._state.is_absent():
            return {}
        at = now.astimezone(UTC).timestamp()
        found = _try(
            self._state,
            _RETRY_AFTER_TABLE,
            work=lambda rows: rows.execute("SELECT host, ends_at FROM parked").fetchall(),
        )
        # A corrupt file may hold values of any type.
        waits = {str(host): end - at for host, end in found or () if isinstance(end, float)}
        return {host: wait for host, wait in waits.items() if 0 < wait <= _MAX_RETRY_AFTER_S}


@dataclass(frozen=True)
class QuotaUsage:
    """The usage of a bucket since its last reset.

    Attributes:
        calls: Calls made.
        is_exhausted: Whether the platform answered that the quota is used up.
    """

    calls: int
    is_exhausted: bool


class QuotaLedger:
    """Calls per bucket and reset, for all workspaces and processes.

    Each attempt is reserved before it is sent, since platforms count retries too. A bucket that the
    platform reports as used up stays so until its reset, whatever was counted.
    """

    def __init__(self, state: State, buckets: Iterable[Bucket] = BUCKETS) -> None:
        """Take the ledger's place.

        If nothing is stored, counting starts at 0: `State.way_out` is how an operator resets it.

        Args:
            state: The place.
            buckets: The known buckets. A row of any other bucket is an error: its name may be
                corrupt, and its calls would be counted from 0 again.
        """
        self._state = state
        self._known = frozenset(bucket.name for bucket in buckets)

    def exists(self) -> bool:
        """Whether any call was counted."""
        return self._state.has("spending")

    def reserve(self, bucket: Bucket, now: datetime) -> None:
        """Count one call, before it is sent.

        Raises:
            QuotaExhaustedError: None is left before the reset; nothing is counted.
            PermanentError: The ledger cannot be used.
        """
        resets_at = next_quota_reset(now)
        with self._open(now) as ledger:
            usage = _read_usage(ledger, bucket, resets_at)
            if usage.is_exhausted or usage.calls >= bucket.limit:
                raise QuotaExhaustedError(_describe_exhausted(bucket, usage, resets_at))
            self._write(ledger, bucket, resets_at, QuotaUsage(usage.calls + 1, is_exhausted=False))

    def mark_exhausted(self, bucket: Bucket, now: datetime) -> None:
        """Store that the platform reports the bucket as used up: no call before its reset.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        resets_at = next_quota_reset(now)
        with self._open(now) as ledger:
            calls = _read_usage(ledger, bucket, resets_at).calls
            self._write(ledger, bucket, resets_at, QuotaUsage(calls, is_exhausted=True))

    def usage(self, bucket: Bucket, now: datetime) -> QuotaUsage:
        """The usage of a bucket.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        with self._open(now) as ledger:
            return _read_usage(ledger, bucket, next_quota_reset(now))

    def _write(self, ledger: Rows, bucket: Bucket, resets_at: datetime, usage: QuotaUsage) -> None:
        row = (bucket.name, resets_at.isoformat(), usage.calls, int(usage.is_exhausted))
        ledger.execute(
            "INSERT INTO spending (bucket, resets_at, calls, is_parked) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (bucket, resets_at)"
            " DO UPDATE SET calls = excluded.calls, is_parked = excluded.is_parked",
            row,
        )
        ledger.execute(
            "DELETE FROM spending WHERE bucket = ? AND resets_at NOT IN"
            " (SELECT resets_at FROM spending WHERE bucket = ?"
            f" ORDER BY {self._state.order} DESC LIMIT ?)",
            (bucket.name, bucket.name, _RETAINED_RESETS),
        )

    @contextmanager
    def _open(self, now: datetime) -> Iterator[Rows]:
        try:
            with self._state.open(_QUOTA_TABLE, is_durable=True) as ledger:
                check_clock(read_resets(ledger, self._known), now)
                yield ledger
        except (StateError, ValueError) as error:
            raise PermanentError(
                f"{self._state} cannot be used ({error}); requests that count against a quota are"
                " not sent. If it is damaged or was written with a wrong clock,"
                f" {self._state.way_out}; the count then starts at 0",
                attempts=0,
            ) from error


def read_resets(ledger: Rows, known: frozenset[str]) -> list[datetime]:
    """The resets that calls are counted for; every row is validated, there are few.

    Raises:
        ValueError: A row is corrupt, so that its calls would not be found.
    """
    resets = []
    for row in ledger.execute("SELECT bucket, resets_at, calls, is_parked FROM spending"):
        bucket, text, calls, is_exhausted = row
        if bucket not in known:
            raise ValueError(f"the row {row} has an unknown bucket")
        try:
            reset = datetime.fromisoformat(text)
            is_reset = next_quota_reset(reset - _INSTANT).isoformat() == text
        except (ValueError, TypeError, OverflowError):
            is_reset = False
        if not is_reset:
            raise ValueError(f"the row {row} has an invalid reset time")
        if not isinstance(calls, int) or calls < 0 or is_exhausted not in {0, 1}:
            raise ValueError(f"the row {row} has an invalid count")
        resets.append(reset)
    return resets


def check_clock(resets: list[datetime], now: datetime) -> None:
    """Check that the counts and the clock agree.

    Raises:
        ValueError: There are counts for a later reset, or none for very long.
    """
    if not resets:
        return
    last = max(resets)
    if last > next_quota_reset(now + _TOLERANCE):
        raise ValueError(
            f"it counts calls until the reset of {last:%Y-%m-%d %H:%M} UTC, and the clock is at"
            f" {now:%Y-%m-%d %H:%M} UTC: the clock is behind, or was ahead; correct the clock"
        )
    if now - last > LONGEST_PAUSE:
        raise ValueError(
            f"its last call was before {last:%Y-%m-%d}, and the clock is at {now:%Y-%m-%d}: the"
            f" clock is ahead, or there was no call for {LONGEST_PAUSE.days} days; correct the"
            " clock"
        )


def _read_usage(ledger: Rows, bucket: Bucket, resets_at: datetime) -> QuotaUsage:
    found = ledger.execute(
        "SELECT calls, is_parked FROM spending WHERE bucket = ? AND resets_at = ?",
        (bucket.name, resets_at.isoformat()),
    ).fetchone()
    return QuotaUsage(found[0], bool(found[1])) if found else QuotaUsage(0, is_exhausted=False)


def _describe_exhausted(bucket: Bucket, usage: QuotaUsage, resets_at: datetime) -> str:
    reason = (
        "the platform reports that it is exhausted"
        if usage.is_exhausted
        else f"the limit of {bucket.limit:,} calls a day is reached"
    )
    return f"{bucket.name}: {reason}; no request before {resets_at:%Y-%m-%d %H:%M} UTC"


class ResponseCache:
    """The latest response to each URL, limited in number, size and age."""

    def __init__(
        self, state: State, *, max_entries: int = 2_000, max_bytes: int = 64 * 1024 * 1024
    ) -> None:
        """Take the place, and its limits.

        Args:
            state: The place.
            max_entries: How many responses are stored.
            max_bytes: How many bytes of compressed bodies are stored.
        """
        self._state = state
        self._max_entries = max_entries
        self._max_bytes = max_bytes

    def find(self, url: str) -> Exchange | None:
        """The stored response to ``url``, or None."""
        if self._state.is_absent():
            return None
        name = _hash_url(url)

        def read(rows: Rows) -> tuple[float, str, bytes, str] | None:
            found = rows.execute(
                "SELECT fetched_at, headers, body, digest FROM answers WHERE name = ?", (name,)
            ).fetchone()
            if found is None:
                return None
            fetched_at, headers, body, digest = found
            row = (
                fetched_at,
                headers,
                bytes(body) if isinstance(body, memoryview) else body,
                digest,
            )
            if not _is_intact(name, *row):
                raise StateError("a response does not match its digest", is_damaged=True)
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

        def write(rows: Rows) -> bool:
            bounds = (at, at + _CLAIM_S)  # a claim from the future is as invalid as an expired one
            rows.execute("DELETE FROM claims WHERE ends_at NOT BETWEEN ? AND ?", bounds)
            claimed = rows.execute(
                "INSERT INTO claims VALUES (?, ?) ON CONFLICT DO NOTHING", (name, at + _CLAIM_S)
            )
            return bool(claimed.rowcount == 1)

        return self._try(write) is not False

    def release(self, url: str) -> None:
        """Release the claim of ``url``."""
        self._try(lambda rows: rows.execute("DELETE FROM claims WHERE name = ?", (_hash_url(url),)))

    def store(self, exchange: Exchange) -> None:
        """Store a response; a revalidated one (304) replaces the earlier one."""
        is_cacheable = exchange.status in {OK, NOT_MODIFIED} and exchange.body
        if not is_cacheable or len(exchange.body) > _MAX_BODY_BYTES:
            return
        name, at = _hash_url(exchange.url), exchange.fetched_at.timestamp()
        headers, body = json.dumps(dict(exchange.headers)), zlib.compress(exchange.body, 1)
        row = (name, at, len(body), headers, body, _digest(name, at, headers, body))

        def write(rows: Rows) -> None:
            changes = ", ".join(f"{one} = excluded.{one}" for one in _ANSWER[1:])
            rows.execute(
                f"INSERT INTO answers ({', '.join(_ANSWER)}) VALUES (?, ?, ?, ?, ?, ?)"
                f" ON CONFLICT (name) DO UPDATE SET {changes}",
                row,
            )
            # Responses from the future, of a clock that was ahead, would displace all later ones.
            oldest, newest = at - _MAX_AGE.total_seconds(), at + _MAX_AHEAD_S
            rows.execute(
                "DELETE FROM answers WHERE fetched_at NOT BETWEEN ? AND ?", (oldest, newest)
            )
            self._evict(rows)

        self._try(write)

    def remove(self, urls: Iterable[str]) -> None:
        """Remove responses that could not be parsed, such as HTML in place of a feed."""
        names = [_hash_url(url) for url in urls]
        if names and not self._state.is_absent():
            among = ", ".join("?" for _ in names)
            self._try(
                lambda rows: rows.execute(f"DELETE FROM answers WHERE name IN ({among})", names)
            )

    def _evict(self, rows: Rows) -> None:
        """Remove the oldest responses above the limits, down to 90 % of them."""
        found = rows.execute("SELECT count(*), coalesce(sum(size), 0) FROM answers")
        entries, size = found.fetchone()
        if entries <= self._max_entries and size <= self._max_bytes:
            return
        rows.execute(
            "DELETE FROM answers WHERE name IN (SELECT name FROM (SELECT name,"
            " row_number() OVER newest AS place, sum(size) OVER newest AS bytes"
            " FROM answers WINDOW newest AS (ORDER BY fetched_at DESC, name)) AS ranked"
            " WHERE place > ? OR bytes > ?)",
            (self._max_entries * 0.9, self._max_bytes * 0.9),
        )

    def _try(self, work: Callable[[Rows], T]) -> T | None:
        return _try(self._state, *_CACHE_TABLES, work=work)


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
