"""The one write lock, and who holds it.

DuckLake lets two transactions that each read a state and then append both commit. Whatever must
hold at commit (a key, a record's state) is therefore read inside this lock. A process that dies
releases it: the kernel holds the lock, not the file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from ytap_assets.lakehouse.errors import LockTimeoutError

_TIMEOUT_S = 120.0
_POLL_S = 0.005
_PROC = Path("/proc")


class WriteLock:
    """Only one holder at a time, over all processes of this machine."""

    def __init__(self, catalog: Path, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.path = catalog.with_name(f"{catalog.name}.lock")
        self.timeout_s = timeout_s

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            LockTimeoutError: Another process held it for longer than the timeout.
            OSError: The lock's file cannot be opened for writing.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A new object each time: a shared one would let two threads of a process in at once.
        lock = FileLock(self.path, timeout=self.timeout_s)
        try:
            lock.acquire(poll_interval=_POLL_S)
        except Timeout as error:
            who = self.find_holder() or LockHolder()
            raise LockTimeoutError(
                f"{self.path}: held for more than {self.timeout_s:.0f} s by {who}, which writes to"
                " the lake; wait for it, or end it (the lock ends with its process)"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def find_holder(self) -> LockHolder | None:
        """The current holder of the lock; None if it is free. Nothing is written for it.

        Raises:
            OSError: The lock's file cannot be read.
        """
        if not self.path.is_file():
            return None
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _identify(self.path)
        finally:
            os.close(descriptor)  # which releases it, too
        return None


@dataclass(frozen=True)
class LockHolder:
    """The process that holds the write lock.

    Attributes:
        pid: The process; None if the system does not say.
        program: Its name.
        runs_for: How long it has been running: it cannot have held the lock for longer.
    """

    pid: int | None = None
    program: str | None = None
    runs_for: timedelta | None = None

    def __str__(self) -> str:
        """For messages: `process 4711 (ytap)`."""
        return "another process" if self.pid is None else f"process {self.pid} ({self.program})"


def _identify(path: Path) -> LockHolder:
    """The holder, as Linux names it; other systems do not."""
    locks = _PROC / "locks"
    if not locks.is_file():
        return LockHolder()
    inode = str(path.stat().st_ino)
    for line in locks.read_text(encoding="ascii").splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", pid, place, *_] if place.endswith(f":{inode}"):
                return LockHolder(int(pid), *_describe(int(pid)))
    return LockHolder()


def _describe(pid: int) -> tuple[str | None, timedelta | None]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        uptime = float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
    except OSError:  # it has ended meanwhile, or is another user's
        return None, None
    # The name stands in parentheses and may hold any character; the 20th field after it is the
    # start, in clock ticks since the machine's.
    program = text[text.index("(") + 1 : text.rindex(")")]
    started = int(text[text.rindex(")") + 1 :].split()[19]) / os.sysconf("SC_CLK_TCK")
    return program, timedelta(seconds=round(max(0.0, uptime - started)))
