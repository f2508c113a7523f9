"""When to ask: the space between requests to a host, and the wait before a retry.

Belongs here: arithmetic on times. Does not belong here: reading a clock or sleeping, which are
handed in, so that tests and replays do neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from random import SystemRandom

_JITTER = SystemRandom().random


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a transient failure is tried again.

    Attributes:
        attempts: Requests in all, the first one included.
        base_s: The wait before the first retry; it doubles each time, plus up to half of jitter.
        cap_s: The longest wait of our own.
        obeyed_s: The longest Retry-After that is waited for; a longer one ends the fetch, since
            asking sooner than told is worse than asking tomorrow.
        jitter: A number in [0, 1), so that many clients do not retry in step.
    """

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 60.0
    obeyed_s: float = 120.0
    jitter: Callable[[], float] = field(default=_JITTER, repr=False)

    def wait(self, failed: int, asked_for: float | None) -> float | None:
        """Seconds to wait after ``failed`` failed attempts, or None to give up.

        Args:
            failed: How many attempts failed so far, at least 1.
            asked_for: What the platform asked for (Retry-After), in seconds.
        """
        if failed >= self.attempts:
            return None
        if asked_for is not None:
            return asked_for if asked_for <= self.obeyed_s else None
        doubled: float = min(self.base_s * 2.0 ** (failed - 1), self.cap_s)
        return doubled * (1 + self.jitter() / 2)


class Pacer:
    """Spaces requests to each host.

    A request takes the host's next free moment and moves it on; no lock is needed within one
    event loop.
    """

    def __init__(self, spacing: Mapping[str, float], monotonic: Callable[[], float]) -> None:
        """Take the seconds between two requests to each host, and a clock that never jumps."""
        self._spacing = spacing
        self._monotonic = monotonic
        self._free_at: dict[str, float] = {}
        self._parked_until: dict[str, float] = {}

    def take_turn(self, host: str) -> float:
        """Seconds to sleep before the next request to ``host``; the turn is taken."""
        now = self._monotonic()
        turn = max(now, self._free_at.get(host, now), self._parked_until.get(host, now))
        self._free_at[host] = turn + self._spacing.get(host, 0.0)
        return turn - now

    def park(self, host: str, seconds: float) -> None:
        """Let nobody ask ``host`` for so many seconds."""
        until = self._monotonic() + seconds
        self._parked_until[host] = max(until, self._parked_until.get(host, until))

    def parked(self, host: str) -> float:
        """For how many seconds more nobody may ask ``host``."""
        now = self._monotonic()
        return max(0.0, self._parked_until.get(host, now) - now)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the platform asks us to wait, or None where it does not say.

    ``Retry-After`` in its two forms (seconds, an HTTP date); Reddit's ``x-ratelimit-reset``
    counts once ``x-ratelimit-remaining`` has come down to nothing.
    """
    if "retry-after" in headers:
        return _read_wait(headers["retry-after"], now)
    remaining = _seconds(headers.get("x-ratelimit-remaining", ""))
    if remaining is not None and remaining < 1:
        return _seconds(headers.get("x-ratelimit-reset", ""))
    return None


def _read_wait(text: str, now: datetime) -> float | None:
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # no date; an offset beyond what a timedelta holds
        return None
    at = at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    return max(at - now, timedelta(0)).total_seconds()


def _seconds(text: str) -> float | None:
    text = text.strip()
    digits = text.replace(".", "", 1)
    return float(text) if digits.isascii() and digits.isdecimal() and len(text) < 16 else None
