"""State that outlives a process, in small SQLite files: Retry-After delays and the quota ledger.

`open_state_file` is one exclusive transaction on such a file. The Retry-After store, like the
response cache, is optional: a broken file is replaced (`try_state_file`). The quota ledger is not:
if it cannot be read, requests that it counts are refused, since an empty ledger would allow the
quota to be spent twice (`docs/adr/0009-search-bucket.md`).

Does not belong here: which request counts against which bucket (the platforms' modules), when a
bucket is reset (`domain.source_profiles`).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ytap_assets.domain.plausibility import LONGEST_PAUSE
from ytap_assets.domain.source_profiles import BUCKETS, Bucket, next_quota_reset
from ytap_assets.settings import Settings
from ytap_assets.sources.http.exchange import PermanentError, QuotaExhaustedError

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
        _LOG.warning("%s is not used: %s", path, str(error))
    except sqlite3.Error as error:
        if _is_environmental(error):
            _LOG.warning("%s is not used: %s", path, str(error))
        else:
            _LOG.warning("%s is corrupt (%s) and is created again", path, str(error))
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


class QuotaLedger:
    """Calls per bucket and reset, for all workspaces and processes.

    Each attempt is reserved before it is sent, since platforms count retries too. A bucket that the
    platform reports as used up stays so until its reset, whatever was counted.
    """

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
            _write_usage(ledger, bucket, resets_at, QuotaUsage(usage.calls + 1, is_exhausted=False))

    def mark_exhausted(self, bucket: Bucket, now: datetime) -> None:
        """Store that the platform reports the bucket as used up: no call before its reset.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        resets_at = next_quota_reset(now)
        with self._open(now) as ledger:
            calls = _read_usage(ledger, bucket, resets_at).calls
            _write_usage(ledger, bucket, resets_at, QuotaUsage(calls, is_exhausted=True))

    def usage(self, bucket: Bucket, now: datetime) -> QuotaUsage:
        """The usage of a bucket.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        with self._open(now) as ledger:
            return _read_usage(ledger, bucket, next_quota_reset(now))

    @contextmanager
    def _open(self, now: datetime) -> Iterator[sqlite3.Connection]:
        try:
            create_state_file(self.path, _QUOTA_TABLE)
            with open_state_file(self.path, is_durable=True) as connection:
                _check_clock(_read_resets(connection, self._known), now)
                yield connection
        except (sqlite3.Error, OSError, ValueError) as error:
            raise PermanentError(
                f"{self.path} cannot be used ({error}); requests that it counts are not sent. If it"
                " is corrupt or was written with a wrong clock, move it away: counting then starts"
                " at 0",
                attempts=0,
            ) from error


def open_ledger(settings: Settings) -> QuotaLedger:
    """The ledger of the installation."""
    return QuotaLedger(settings.state / "quota.sqlite")


def _read_resets(ledger: sqlite3.Connection, known: frozenset[str]) -> list[datetime]:
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


def _check_clock(resets: list[datetime], now: datetime) -> None:
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
            f" {now:%Y-%m-%d %H:%M} UTC: the clock is behind, or was ahead; correct it"
        )
    if now - last > LONGEST_PAUSE:
        raise ValueError(
            f"its last call was before {last:%Y-%m-%d}, and the clock is at {now:%Y-%m-%d}: the"
            f" clock is ahead, or there was no call for {LONGEST_PAUSE.days} days; correct it"
        )


def _read_usage(ledger: sqlite3.Connection, bucket: Bucket, resets_at: datetime) -> QuotaUsage:
    found = ledger.execute(
        "SELECT calls, is_parked FROM spending WHERE bucket = ? AND resets_at = ?",
        (bucket.name, resets_at.isoformat()),
    ).fetchone()
    return QuotaUsage(found[0], bool(found[1])) if found else QuotaUsage(0, is_exhausted=False)


def _write_usage(
    ledger: sqlite3.Connection, bucket: Bucket, resets_at: datetime, usage: QuotaUsage
) -> None:
    row = (bucket.name, resets_at.isoformat(), usage.calls, usage.is_exhausted)
    ledger.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?)", row)
    ledger.execute(  # a row that is replaced gets a new rowid
        "DELETE FROM spending WHERE bucket = ? AND rowid NOT IN"
        " (SELECT rowid FROM spending WHERE bucket = ? ORDER BY rowid DESC LIMIT ?)",
        (bucket.name, bucket.name, _RETAINED_RESETS),
    )


def _describe_exhausted(bucket: Bucket, usage: QuotaUsage, resets_at: datetime) -> str:
    reason = (
        "the platform reports it as used up"
        if usage.is_exhausted
        else f"its {bucket.limit:,} calls a day are used up"
    )
    return f"{bucket.name}: {reason}; no request before {resets_at:%Y-%m-%d %H:%M} UTC"
