"""The demo's items: when they appeared, what they are called, how they grow.

Belongs here: what is true of an item on any platform. Does not belong here: wire formats
(`demo_documents`).
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

Item = dict[str, Any]

DAYS = [date(2026, 11, 16) + timedelta(days=n) for n in range(5)]
RECORDED_FROM = time(21, 30, tzinfo=UTC)
"""When each day's recording begins."""

_MONTH = "2026-11"
_GROWTH_HOURS = 14.0
_FIRST_HN_ID = 45_900_000


def posted_at(item: Item) -> datetime:
    """When an item appeared."""
    return datetime.fromisoformat(f"{_MONTH}-{item['at'].replace(' ', 'T')}").replace(tzinfo=UTC)


def first_recorded_at(item: Item) -> datetime | None:
    """When the first recording was made that can show an item; None where none can."""
    starts = (datetime.combine(day, RECORDED_FROM) for day in DAYS)
    return next((at for at in starts if at >= posted_at(item)), None)


def age_hours(item: Item, at: datetime) -> float:
    """How old an item is at a moment; negative before it appeared."""
    return (at - posted_at(item)) / timedelta(hours=1)


def grown(item: Item, name: str, at: datetime) -> int:
    """How many of its points, comments or views an item has by then. Never falls."""
    share = 1 - math.exp(-max(age_hours(item, at), 0.0) / _GROWTH_HOURS)
    return int(item[name] * share)


def front_page_score(item: Item, at: datetime) -> float:
    """Points or views by then, divided by (age in hours + 2) ^ 1.5: the order of a front page."""
    points = grown(item, "p" if "p" in item else "v", at)
    gravity: float = (age_hours(item, at) + 2) ** 1.5
    return points / gravity


def letters(*parts: str) -> str:
    """A name made of what it names, in the alphabet of YouTube's ids."""
    digest = sha256("\x1f".join(parts).encode()).digest()
    return urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def author(title: str) -> str:
    """Somebody who does not exist."""
    first = ("quiet", "north", "paper", "copper", "tidal", "hollow", "amber", "gravel")
    last = ("otter", "lathe", "harbor", "finch", "signal", "orchard", "kettle", "ledger")
    digest = sha256(title.encode()).digest()
    return f"{first[digest[0] % 8]}_{last[digest[1] % 8]}{digest[2]}"


def hn_id(item: Item) -> int:
    """An item's number: later items have larger ones."""
    since = posted_at(item) - datetime(2026, 11, 14, tzinfo=UTC)
    return _FIRST_HN_ID + int(since.total_seconds()) // 20


def reddit_id(item: Item) -> str:
    """A post's id, in base 36."""
    number = int.from_bytes(sha256(item["t"].encode()).digest()[:4])
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return f"1p{digits.rjust(5, '0')[:5]}"


def reddit_path(item: Item, subreddit: str) -> str:
    """A post's page on Reddit."""
    words = "".join(char if char.isalnum() else "_" for char in item["t"].lower())
    slug = "_".join(word for word in words.split("_") if word)[:50].strip("_")
    return f"/r/{subreddit}/comments/{reddit_id(item)}/{slug}/"


def video_id(item: Item) -> str:
    """A video's id: its own, or one made of its title."""
    return str(item.get("id") or letters("video", item["t"])[:11])


def channel_id(title: str) -> str:
    """The id of a channel that is only known by its name."""
    return f"UC{letters('channel', title)[:22]}"
