"""How much of a platform's allowance is spent: one ledger for all workspaces and processes.

A call is reserved before it is sent, a retry like a first try, since a platform counts both. What
the platform itself calls used up stays so until the reset, however much was counted. Unlike what
is remembered for convenience (`kept_answers`), a ledger that cannot be read stops what it counts:
taken for an empty one, it would spend the allowance twice. So does one that is no ledger, and one
whose counts and the present are far apart: a clock jumped. `docs/adr/0009-search-bucket.md` says
why it is a file.

Belongs here: counting. Does not belong here: which request counts (the platforms' modules), and
when a bucket is full again (`domain.quota`).
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

from ytap_assets.domain.clock import LONGEST_PAUSE
from ytap_assets.domain.quota import BUCKETS, Bucket, next_quota_reset
from ytap_assets.settings import Settings
from ytap_assets.sources.http.exchange import PermanentError, QuotaExhaustedError

_LOG = logging.getLogger(__name__)
_CIRCUMSTANCES = frozenset(
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
T = TypeVar("T")
_PATIENCE_S = 10.0
"""How long another process's transaction is waited for; one takes milliseconds."""


@contextmanager
def open_state(path: Path, *tables: str, is_durable: bool) -> Iterator[sqlite3.Connection]:
    """One transaction: nobody else reads or writes meanwhile, and it is kept as a whole or not.

    The file is opened for it and closed after it, so that no process holds one for long.

    Args:
        path: The file; it and its folder are made where they are missing.
        *tables: The statements that make its tables, where they are missing.
        is_durable: Whether it has to outlive a loss of power; if not, it may be broken by one.

    Raises:
        sqlite3.Error: The file cannot be used: locked for long, no room, or broken.
        OSError: Its folder cannot be made.
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
                with suppress(sqlite3.Error):  # what is broken cannot be rolled back either
                    connection.rollback()
                raise
            connection.commit()
    except UnicodeDecodeError as error:  # its own words are damaged, and quoted in a complaint
        raise sqlite3.DatabaseError(str(error)) from error


def make_state(path: Path, *tables: str) -> None:
    """Make a file with its tables, where there is none: it gets its name when it is complete.

    What is there already stays as it is, whatever it holds: an empty file, which SQLite would take
    for a new database, was not made here, and has no tables.

    Raises:
        sqlite3.Error: It cannot be made.
        OSError: Its folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        made = Path(folder, path.name)
        with open_state(made, *tables, is_durable=True):
            pass
        try:
            os.link(made, path)
        except OSError:  # another process made it meanwhile, or there are no links here
            if not path.exists():
                made.replace(path)


def _connect(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    if not is_durable:
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
        except BaseException:
            connection.close()
            raise
    return connection


def try_state(path: Path, *tables: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """What ``work`` brings from a file that is a mere convenience; None where it cannot be used.

    A broken file is removed and begins anew; either way the log tells.
    """
    # The log gets words: an error it held on to would hold on to the lock as well.
    try:
        with open_state(path, *tables, is_durable=False) as connection:
            return work(connection)
    except OSError as error:
        _LOG.warning("%s is left alone: %s", path, str(error))
    except sqlite3.Error as error:
        if _is_passing(error):
            _LOG.warning("%s is left alone: %s", path, str(error))
        else:
            _LOG.warning("%s is broken (%s) and begins anew", path, str(error))
            _remove(path)
    return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # its folder is read-only, say: then nothing can be remembered
        _LOG.warning("%s cannot be removed: %s", path, str(error))


def _is_passing(error: sqlite3.Error) -> bool:
    """Whether the circumstances are to blame (a lock, a full disk) and not what the file holds."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CIRCUMSTANCES


_RETRY_AFTER_TABLE = (
    "CREATE TABLE IF NOT EXISTS parked (host TEXT PRIMARY KEY, ends_at REAL NOT NULL)"
)
_LONGEST_S = 86_400.0
"""No host is left alone for longer than a day on its word, nor for a slip of our clock."""


class ParkedHosts:
    """Which hosts are not to be asked, and until when; a convenience, as `KeptAnswers` is."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is made with the first host."""
        self.path = path

    def park(self, host: str, seconds: float, now: datetime) -> None:
        """Remember that ``host`` asked to be left alone for so many seconds."""
        ends_at = now.timestamp() + min(seconds, _LONGEST_S)

        def write(connection: sqlite3.Connection) -> None:
            at = now.timestamp()
            connection.execute(
                "DELETE FROM parked WHERE ends_at NOT BETWEEN ? AND ?", (at, at + _LONGEST_S)
            )
            connection.execute("INSERT OR REPLACE INTO parked VALUES (?, ?)", (host, ends_at))

        try_state(self.path, _RETRY_AFTER_TABLE, work=write)

    def waits(self, now: datetime) -> Mapping[str, float]:
        """The hosts that are to be left alone, and for how many seconds more."""
        if not self.path.is_file():
            return {}
        at = now.astimezone(UTC).timestamp()
        rows = try_state(
            self.path,
            _RETRY_AFTER_TABLE,
            work=lambda file: file.execute("SELECT host, ends_at FROM parked").fetchall(),
        )
        # A damaged file may hold anything.
        waits = {str(host): end - at for host, end in rows or () if isinstance(end, float)}
        return {host: wait for host, wait in waits.items() if 0 < wait <= _LONGEST_S}


_TABLE = (
    "CREATE TABLE spending (bucket TEXT NOT NULL, resets_at TEXT NOT NULL,"
    " calls INTEGER NOT NULL, is_parked INTEGER NOT NULL, PRIMARY KEY (bucket, resets_at))"
)
_KEPT_RESETS = 60
"""Counts of so many resets are kept: what is deleted goes by their sequence, not by the clock."""
_TOLERANCE = timedelta(minutes=10)
"""Another process may be past a reset already that this one is just before."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Spending:
    """What is known of a bucket until its next reset.

    Attributes:
        calls: Calls made.
        is_parked: Whether the platform said that it is used up.
    """

    calls: int
    is_parked: bool


class QuotaLedger:
    """What was spent of each bucket since its last reset."""

    def __init__(self, path: Path, buckets: Iterable[Bucket] = BUCKETS) -> None:
        """Take the ledger's file, which is made with the first call.

        Where it is gone, counting begins at 0: to move it away is how a person says so.

        Args:
            path: The file.
            buckets: All that it may count. A count of another one stops everything: the bucket's
                name may be damaged, and its calls would be counted from 0 again.
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
            spending = _look_up(ledger, bucket, resets_at)
            if spending.is_parked or spending.calls >= bucket.limit:
                raise QuotaExhaustedError(_refusal(bucket, spending, resets_at))
            _write(ledger, bucket, resets_at, Spending(spending.calls + 1, is_parked=False))

    def park(self, bucket: Bucket, now: datetime) -> None:
        """Take note that the platform calls the bucket used up: no call before its reset.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        resets_at = next_quota_reset(now)
        with self._open(now) as ledger:
            calls = _look_up(ledger, bucket, resets_at).calls
            _write(ledger, bucket, resets_at, Spending(calls, is_parked=True))

    def spending(self, bucket: Bucket, now: datetime) -> Spending:
        """What is known of a bucket.

        Raises:
            PermanentError: The ledger cannot be used.
        """
        with self._open(now) as ledger:
            return _look_up(ledger, bucket, next_quota_reset(now))

    @contextmanager
    def _open(self, now: datetime) -> Iterator[sqlite3.Connection]:
        try:
            make_state(self.path, _TABLE)
            with open_state(self.path, is_durable=True) as connection:
                _check_clock(_read_resets(connection, self._known), now)
                yield connection
        except (sqlite3.Error, OSError, ValueError) as error:
            raise PermanentError(
                f"{self.path} cannot be used ({error}), and nothing is asked that it counts;"
                " if it is broken or was written under a wrong clock, move it away: counting then"
                " begins at 0",
                attempts=0,
            ) from error


def open_ledger(settings: Settings) -> QuotaLedger:
    """The ledger of the installation."""
    return QuotaLedger(settings.state / "quota.sqlite")


def _read_resets(ledger: sqlite3.Connection, known: frozenset[str]) -> list[datetime]:
    """The resets up to which calls are counted; every line is looked at, there are few.

    Raises:
        ValueError: A line is not as it was written, so that its calls would not be found.
    """
    resets = []
    for line in ledger.execute("SELECT bucket, resets_at, calls, is_parked FROM spending"):
        bucket, text, calls, is_parked = line
        if bucket not in known:
            raise ValueError(f"the line {line} counts calls of a bucket that is not known")
        try:
            reset = datetime.fromisoformat(text)
            is_reset = next_quota_reset(reset - _INSTANT).isoformat() == text
        except (ValueError, TypeError, OverflowError):
            is_reset = False
        if not is_reset:
            raise ValueError(f"the line {line} counts up to what is no reset")
        if not isinstance(calls, int) or calls < 0 or is_parked not in {0, 1}:
            raise ValueError(f"the line {line} has no count")
        resets.append(reset)
    return resets


def _check_clock(resets: list[datetime], now: datetime) -> None:
    """See that the counts and the present are of one time.

    Raises:
        ValueError: There are counts of a reset that is still to come, or none for very long.
    """
    if not resets:
        return
    counted_to = max(resets)
    if counted_to > next_quota_reset(now + _TOLERANCE):
        raise ValueError(
            f"it counts calls up to the reset of {counted_to:%Y-%m-%d %H:%M} UTC, and the clock"
            f" says {now:%Y-%m-%d %H:%M} UTC: the clock is behind, or was ahead; set it right"
        )
    if now - counted_to > LONGEST_PAUSE:
        raise ValueError(
            f"it counted its last call before {counted_to:%Y-%m-%d}, and the clock says"
            f" {now:%Y-%m-%d}: the clock is ahead, or nothing was asked for"
            f" {LONGEST_PAUSE.days} days; set it right"
        )


def _look_up(ledger: sqlite3.Connection, bucket: Bucket, resets_at: datetime) -> Spending:
    found = ledger.execute(
        "SELECT calls, is_parked FROM spending WHERE bucket = ? AND resets_at = ?",
        (bucket.name, resets_at.isoformat()),
    ).fetchone()
    return Spending(found[0], bool(found[1])) if found else Spending(0, is_parked=False)


def _write(
    ledger: sqlite3.Connection, bucket: Bucket, resets_at: datetime, spending: Spending
) -> None:
    row = (bucket.name, resets_at.isoformat(), spending.calls, spending.is_parked)
    ledger.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?)", row)
    ledger.execute(  # a row that is written gets a new number
        "DELETE FROM spending WHERE bucket = ? AND rowid NOT IN"
        " (SELECT rowid FROM spending WHERE bucket = ? ORDER BY rowid DESC LIMIT ?)",
        (bucket.name, bucket.name, _KEPT_RESETS),
    )


def _refusal(bucket: Bucket, spending: Spending, resets_at: datetime) -> str:
    why = (
        "the platform says it is used up"
        if spending.is_parked
        else f"its {bucket.limit:,} calls a day are made"
    )
    return f"{bucket.name}: {why}; not asked before {resets_at:%Y-%m-%d %H:%M} UTC"
