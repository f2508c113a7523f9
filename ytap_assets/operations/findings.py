"""The results of `ytap doctor`: one `Finding` for each check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Area = Literal["setup", "sources", "freshness", "health", "versions"]
AREAS: tuple[Area, ...] = get_args(Area)
Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One result of `ytap doctor`.

    Attributes:
        area: The area of the check.
        subject: What was checked.
        verdict: ``ok``; ``warn``: it works, but needs attention; ``fail``: it does not work.
        detail: The result, and what to do if it is not ``ok``.
    """

    area: Area
    subject: str
    verdict: Verdict
    detail: str


def count(number: int, noun: str) -> str:
    """A number of things: `1 day`, `1,200 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time in words: `3 min`, `26 h`, `9 days`."""
    if seconds < 3600:
        return f"{max(0, seconds) / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
