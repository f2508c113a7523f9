"""State that outlives a process, in small SQLite files: cache, Retry-After delays, quota ledger.

`open_state_file` is one exclusive transaction on such a file. The response cache and the
Retry-After store are optional: a file that is corrupt, locked or missing counts as empty, a corrupt
one is replaced, and a warning is logged (`try_state_file`). The quota ledger is not: if it cannot
be read, requests that it counts are refused, since an empty ledger would allow the quota to be
spent twice (`docs/adr/0009-search-bucket.md`).

The cache is one file per installation, shared by its workspaces and processes. A fresh response is
reused. Concurrent requests for the same URL are coalesced into one. An older response is
revalidated with its ETag or Last-Modified (304). The cache stores only responses that do not depend
on the workspace (`Request.is_public`), without secrets, under a hash of their URL. hishel is not
used: it sends each of 40 concurrent requests, and takes freshness from the server instead of the
source (`docs/adr/0028-libraries.md`).

Does not belong here: which request counts against which bucket (the platforms' modules), when a
bucket is reset (`domain.source_profiles`), or how a request is sent (`client`, which passes it to
`send_cached`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

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

_LOG = logging.getLogger(__name__)
_ENVIRONMENT_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_LOCK_TIMEOUT_S = 10.0
"""How long to wait for another process's transaction; one takes milliseconds."""
_RETRY_AFTER_TABLE = (
    "CREATE TABLE IF NOT EXISTS parked (host TEXT PRIMARY KEY, ends_at REAL NOT NULL)"
)
_MAX_RETRY_AFTER_S = 86_400.0
"""A longer Retry-After is cut to a day; a longer stored one means that the clock jumped."""
_QUOTA_TABLE = (
    "CREATE TABLE spending (bucket TEXT NOT NULL, resets_at TEXT NOT NULL,"
    " calls INTEGER NOT NULL, is_parked INTEGER NOT NULL, PRIMARY KEY (bucket, resets_at))"
)
_RETAINED_RESETS = 60
"""How many resets are retained; older rows are deleted by insertion order, not by the clock."""
_TOLERANCE = timedelta(minutes=10)
"""Another process may be past a reset that this one is just before."""
_INSTANT = timedelta(microseconds=1)
_CACHE_TABLES = (
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


@contextmanager
def open_state_file(path: Path, *tables: str, is_durable: bool) -> Iterator[sqlite3.Connection]:
    """One exclusive transaction, committed as a whole or not at all.

    The file is closed afterwards, so that no process holds it for long.

    Args:
        path: The file; it and its folder are created if missing.
        *tables: The statements that create its tables if missing.
        is_durable: Whether a commit survives a loss of power; if not, the file may be corrupted.

    Raises:
        sqlite3.Error: The file cannot be used: locked for long, no space, or corrupt.
        OSError: Its folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(_connect(path, is_durable=is_durable)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for table in tables:
                    connection.execute(table)
                yield connection
            except BaseException:
                with suppress(sqlite3.Error):  # a corrupt file cannot be rolled back either
                    connection.rollback()
                raise
            connection.commit()
    except UnicodeDecodeError as error:  # a corrupt name, quoted in SQLite's error message
        raise sqlite3.DatabaseError(str(error)) from error


def create_state_file(path: Path, *tables: str) -> None:
    """Create a file with its tables if there is none; it is renamed to its path when complete.

    An existing file is left unchanged, whatever it holds: an empty one, which SQLite would take for
    a new database, was not created here and has no tables.

    Raises:
        sqlite3.Error: It cannot be created.
        OSError: Its folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        created = Path(folder, path.name)
        with open_state_file(created, *tables, is_durable=True):
            pass
        try:
            os.link(created, path)
        except OSError:  # another process created it meanwhile, or links are not supported
            if not path.exists():
                created.replace(path)


def _connect(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
    if not is_durable:
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
        except BaseException:
            connection.close()
            raise
    return connection


def try_state_file(path: Path, *tables: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """The result of ``work`` on an optional file; None if the file cannot be used.

    A corrupt file is removed, so that the next write creates it again. A warning is logged.
    """
    # Only the text is logged: a stored error would hold the connection, and so the lock.
    try:
        with open_state_file(path, *tables, is_durable=False) as connection:
            return work(connection)
    except OSError as error:
        _LOG.warning("%s is ignored: %s", path, str(error))
    except sqlite3.Error as error:
        if _is_environmental(error):
            _LOG.warning("%s is ignored: %s", path, str(error))
        else:
            _LOG.warning("%s is damaged (%s) and is created again", path, str(error))
            _remove(path)
    return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # for example a read-only folder
        _LOG.warning("%s cannot be removed: %s", path, str(error))


def _is_environmental(error: sqlite3.Error) -> bool:
    """Whether the cause is the environment (a lock, a full disk) and not the file's content."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _ENVIRONMENT_CODES


class RetryAfterStore:
    """Hosts that sent a long Retry-After, for the processes that run later.

    Workspaces may be collected by separate processes; without the store each of them would send
    its requests too early. The store is optional, like the response cache.
    """

    def __init__(self, path: Path) -> None:
        """Take the file, which is created with the first host."""
        self.path = path

    def add(self, host: str, seconds: float, now: datetime) -> None:
        """Store that ``host`` accepts no request for so many seconds."""
        ends_at = now.timestamp() + min(seconds, _MAX_RETRY_AFTER_S)

        def write(connection: sqlite3.Connection) -> None:
            at = now.timestamp()
            connection.execute(
                "DELETE FROM parked WHERE ends_at NOT BETWEEN ? AND ?",
                (at, at + _MAX_RETRY_AFTER_S),
            )
            connection.execute("INSERT OR REPLACE INTO parked VALUES (?, ?)", (host, ends_at))

        try_state_file(self.path, _RETRY_AFTER_TABLE, work=write)

    def remaining(self, now: datetime) -> Mapping[str, float]:
        """The seconds that remain for each such host."""
        if not self.path.is_file():
            return {}
        at = now.astimezone(UTC).timestamp()
        rows = try_state_file(
            self.path,
            _RETRY_AFTER_TABLE,
            work=lambda file: file.execute("SELECT host, ends_at FROM parked").fetchall(),
        )
        # A corrupt file may hold values of any type.
        waits = {str(host): end - at for host, end in rows or () if isinstance(end, float)}
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


class _Rows(Protocol):
    """A transaction on a ledger: `sqlite3.Connection`, or what behaves like it."""

    def execute(self, statement: str, values: tuple[object, ...] = ..., /) -> Any: ...


class QuotaLedger:
    """Calls per bucket and reset, for all workspaces and processes.

    Each attempt is reserved before it is sent, since platforms count retries too. A bucket that the
    platform reports as used up stays so until its reset, whatever was counted.
    """

    _order = "rowid"
    """The order in which rows were inserted."""

    def __init__(self, path: Path, buckets: Iterable[Bucket] = BUCKETS) -> None:
        """Take the ledger's file, which is created with the first call.

        If the file is missing, counting starts at 0: moving it away is how an operator resets it.

        Args:
            path: The file.
            buckets: The known buckets. A row of any other bucket is an error: its name may be
                corrupt, and its calls would be counted from 0 again.
        """
        self.path = path
        self._known = frozenset(bucket.name for bucket in buckets)

    def exists(self) -> bool:
        """Whether any call was counted."""
        return self.path.is_file()

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

    def _write(self, ledger: _Rows, bucket: Bucket, resets_at: datetime, usage: QuotaUsage) -> None:
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
            f" ORDER BY {self._order} DESC LIMIT ?)",
            (bucket.name, bucket.name, _RETAINED_RESETS),
        )

    @contextmanager
    def _open(self, now: datetime) -> Iterator[_Rows]:
        try:
            create_state_file(self.path, _QUOTA_TABLE)
            with open_state_file(self.path, is_durable=True) as connection:
                check_clock(read_resets(connection, self._known), now)
                yield connection
        except (sqlite3.Error, OSError, ValueError) as error:
            raise PermanentError(
                f"{self.path} cannot be used ({error}); requests that count against a quota are not"
                " sent. If it is damaged or was written with a wrong clock, move it away; the count"
                " then starts at 0",
                attempts=0,
            ) from error


def open_ledger(settings: Settings) -> QuotaLedger:
    """The ledger of the installation: in the catalog's database, where there is one.

    Raises:
        ConfigError: The packages for such a database are not installed.
    """
    if settings.database is None:
        return QuotaLedger(settings.state / "quota.sqlite")
    try:  # it is an extra, whose packages may be absent
        from ytap_assets.sources.http.shared_ledger import SharedQuotaLedger  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(NO_CLUSTER) from error
    return SharedQuotaLedger(settings.database)


def read_resets(ledger: _Rows, known: frozenset[str]) -> list[datetime]:
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


def _read_usage(ledger: _Rows, bucket: Bucket, resets_at: datetime) -> QuotaUsage:
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
        return try_state_file(self.path, *_CACHE_TABLES, work=work)


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
