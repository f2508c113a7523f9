"""The one write lock.

DuckLake lets two transactions that each read a state and then append both commit. Whatever must
hold at commit (a key, a record's state) is therefore read inside this lock. A process that dies
releases it: the kernel holds the lock, not the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ytap_assets.lakehouse.errors import LockTimeoutError

_TIMEOUT_S = 120.0
_POLL_S = 0.005


class WriteLock:
    """Only one holder at a time, over all processes of this machine."""

    def __init__(self, catalog: Path, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.path = catalog.with_name(f"{catalog.name}.lock")
        self.timeout_s = timeout_s

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            LockTimeoutError: Somebody else held it for longer than the timeout.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A new object each time: a shared one would let two threads of a process in at once.
        lock = FileLock(self.path, timeout=self.timeout_s)
        try:
            lock.acquire(poll_interval=_POLL_S)
        except Timeout as error:
            raise LockTimeoutError(
                f"{self.path}: another process has been writing for {self.timeout_s:.0f} s;"
                " wait for it, or end it (the lock ends with its process)"
            ) from error
        try:
            yield
        finally:
            lock.release()
