"""Start workers as real processes, hear what they report, kill them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Self

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 600.0
"""Longer than the product waits: a turn of a writer acquires the write lock several times, and may
wait for 120 s each time."""


class WorkerError(Exception):
    """A worker ended before it should have, or stayed silent for too long."""


class Worker:
    """A process that runs a role of `workers` and reports a line at a time.

    It starts at once, but touches nothing before it is told to `go`.
    """

    def __init__(self, role: str, *, prefix: tuple[str, ...] = (), **arguments: object) -> None:
        module = "ytap_assets_tests.lakehouse.workers"
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, role, json.dumps(arguments)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._partial = b""
        self.reports: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def go(self) -> None:
        """Let it begin."""
        stream = _stream(self._process.stdin)
        stream.write(b"go\n")
        stream.flush()

    def stop(self) -> None:
        """Tell it, by closing its input, that it may end."""
        _stream(self._process.stdin).close()

    def next_report(self) -> str | None:
        """Its next line; None once it has ended and everything is read.

        Raises:
            WorkerError: It stayed silent for too long.
        """
        while b"\n" not in self._partial:
            output = _stream(self._process.stdout).fileno()
            if not select.select([output], [], [], _PATIENCE_S)[0]:
                raise WorkerError(f"silent for {_PATIENCE_S:.0f} s after {self.reports[-3:]}")
            piece = os.read(output, 65536)
            if not piece:
                return None
            self._partial += piece
        line, self._partial = self._partial.split(b"\n", 1)
        self.reports.append(line.decode())
        return self.reports[-1]

    def wait_for(self, beginning: str) -> str:
        """Read its reports up to one that begins so.

        Raises:
            WorkerError: It ended without.
        """
        while (report := self.next_report()) is not None:
            if report.startswith(beginning):
                return report
        raise WorkerError(f"ended without {beginning!r}; last: {self.reports[-3:]}")

    def finish(self) -> int:
        """Read it to its end; its exit code."""
        while self.next_report() is not None:
            pass
        return self._process.wait(_PATIENCE_S)

    def kill(self, *, after_s: float = 0.0) -> None:
        """SIGKILL, after a moment measured by spinning, then read what it still said."""
        until = time.perf_counter() + after_s
        while time.perf_counter() < until:
            pass
        self._process.kill()
        self._process.wait(_PATIENCE_S)
        while not _stream(self._process.stdout).closed and self.next_report() is not None:
            pass
        for stream in (self._process.stdin, self._process.stdout):
            _close(_stream(stream))


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise WorkerError("the process has no pipes")
    return stream


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:  # what was still to be written has no reader any more
        return
