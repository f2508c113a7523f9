"""The one write lock, and who holds it.

DuckLake lets two transactions that each read a state and then append both commit. Whatever must
hold at commit (a key, a record's state) is therefore read inside this lock. A process that dies
releases it: the kernel holds the lock of a file, the server that of a database.

Belongs here: what a lock is, and the lock of a file. Does not belong here: the lock of a database
(`postgres_catalog`).
"""

from __future__ import annotations

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ytap_assets.lakehouse.errors import LockTimeoutError

TIMEOUT_S = 120.0
_PATIENCE_S = 5.0
_POLL_S = 0.005
_PROC = Path("/proc")


class Lock(ABC):
    """Only one holder at a time, over all processes and their threads. `str` is its name.

    Attributes:
        timeout_s: How long to wait for it, in seconds.
    """

    timeout_s: float

    @abstractmethod
    def hold(self) -> AbstractContextManager[None]:
        """Wait for the lock and hold it.

        Raises:
            LockTimeoutError: Others held it, one or several in turn, for longer than the timeout.
            OSError: The lock's file cannot be opened for writing.
            CatalogUnreachableError: The server cannot be asked.
        """

    @abstractmethod
    def check(self) -> None:
        """See that the lock is still held, by who holds it.

        Raises:
            LockLostError: Its server ended the session that held it.
        """

    @abstractmethod
    def find_holder(self) -> LockHolder | None:
        """The current holder of the lock; None if it is free. Nothing is written for it.

        Raises:
            OSError: The lock's file cannot be read.
            CatalogUnreachableError: The server cannot be asked.
        """

    def _timed_out(self) -> LockTimeoutError:
        holder = self.find_holder()
        return LockTimeoutError(
            f"{self}: waited for {self.timeout_s:.0f} s while others wrote to the lake; it is"
            f" {f'held by {holder}' if holder else 'free'} now. Try again; end a process that does"
            " not release it (the lock ends with its process)"
        )


class WriteLock(Lock):
    """A lock of this machine.

    A free lock goes to the process that polls first. A process that has waited for ``patience_s``
    locks a second file, and the others do not try until it has had the lock, so that no process
    starves. A strict order of arrival is not used: each commit would wait until the next process in
    line is scheduled.
    """

    def __init__(
        self, catalog: Path, *, timeout_s: float = TIMEOUT_S, patience_s: float = _PATIENCE_S
    ) -> None:
        """Configure the lock; nothing is opened yet.

        Args:
            catalog: The file beside which the lock's files are.
            timeout_s: How long to wait, in seconds.
            patience_s: After how many seconds of waiting others have to wait.
        """
        self.path = catalog.with_name(f"{catalog.name}.lock")
        self.timeout_s = timeout_s
        self._patience_s = patience_s
        self._next = catalog.with_name(f"{catalog.name}.next.lock")

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See `Lock.hold`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A descriptor of its own each time: with a shared one, two threads would hold it at once.
        with _open(self.path) as descriptor:
            if not self._acquire(descriptor):
                raise self._timed_out()
            os.utime(descriptor)  # when it was acquired
            yield

    def check(self) -> None:
        """See `Lock.check`. The kernel holds it for as long as the process lives."""

    def _acquire(self, descriptor: int) -> bool:
        """Whether the lock was acquired in time."""
        began = time.monotonic()
        with ExitStack() as turn:
            place: int | None = None
            while True:
                may_try = self._is_nobody_next() if place is None else _try_lock(place)
                if may_try and _try_lock(descriptor):
                    return True
                waited = time.monotonic() - began
                if waited >= self.timeout_s:
                    return False
                if place is None and waited >= self._patience_s:
                    place = turn.enter_context(_open(self._next))
                time.sleep(_POLL_S)

    def _is_nobody_next(self) -> bool:
        """Whether no other process or thread has claimed the next turn."""
        try:
            with _open(self._next, os.O_RDONLY) as place:
                return _try_lock(place, fcntl.LOCK_SH)
        except FileNotFoundError:
            return True

    def find_holder(self) -> LockHolder | None:
        """See `Lock.find_holder`."""
        if not self.path.is_file():
            return None
        with _open(self.path, os.O_RDONLY) as descriptor:
            return None if _try_lock(descriptor) else _identify(self.path)


@contextmanager
def _open(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    """A file's descriptor; closing it releases its lock, too."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class LockHolder:
    """The process that holds the write lock.

    Attributes:
        since: When it acquired the lock, in UTC.
        pid: The process; None if the system does not say.
        program: Its name.
        host: Its machine; None for this one.
    """

    since: datetime
    pid: int | None = None
    program: str | None = None
    host: str | None = None

    def __str__(self) -> str:
        """For messages: `process 4711 (ytap) since 2026-11-20 12:00:00 UTC`."""
        who = "another process" if self.pid is None else f"process {self.pid} ({self.program})"
        who += f" on {self.host}" if self.host else ""
        return f"{who} since {self.since:%Y-%m-%d %H:%M:%S} UTC"


def _identify(path: Path) -> LockHolder:
    """The holder; without its process on systems other than Linux."""
    facts = path.stat()
    since = datetime.fromtimestamp(facts.st_mtime, UTC)
    locks = _PROC / "locks"
    if locks.is_file():
        for line in locks.read_text(encoding="ascii").splitlines():
            match line.split():
                case [_, "FLOCK", _, "WRITE", pid, place, *_] if place.endswith(f":{facts.st_ino}"):
                    return LockHolder(since, int(pid), _name_program(int(pid)))
    return LockHolder(since)


def _name_program(pid: int) -> str | None:
    try:
        return (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it has ended meanwhile, or is another user's
        return None
