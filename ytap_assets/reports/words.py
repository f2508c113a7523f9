"""Numbers, dates, states and outcomes as people read them, and which URLs may be links.

Belongs here: wording and formatting, from values. Does not belong here: HTML; what comes out is
text, and is escaped like all text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ytap_assets.domain.ids import is_video_id
from ytap_assets.domain.source_profiles import SOURCE_NAMES

if TYPE_CHECKING:
    from ytap_assets.domain.reporting.pages import ReportDay, Script

UNKNOWN = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_TITLE = 160
# From where on, the unit, its letter: 999,950 is the first number that rounds to 1M.
_UNITS = ((999_950_000, 10**9, "B"), (999_950, 10**6, "M"), (1_000, 10**3, "k"))
# Joiners are no control characters: emoji and some scripts need them.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
_DIRECTIONS = dict.fromkeys([0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_BACKTICKS = re.compile("`+")
_MAX_URL = 2_000
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"'`{}|^\u2028\u2029]")

STATE_NAMES = {
    "script_pending_review": "Script in review",
    "ready_for_generation": "In generation",
    "video_pending_review": "Video in review",
    "ready_for_publish": "Ready to publish",
    "published": "Published",
    "rejected": "Rejected",
    "cancelled": "Cancelled",
}
_TASKS = {
    "script_pending_review": "Review the script",
    "video_pending_review": "Review the video",
    "ready_for_generation": "Check the generation",
    "ready_for_publish": "Check the gate",
}
_COVERAGE_NAMES = {
    "answered": "collected",
    "imported": "from files",
    "open": "day not over",
    "healable": "can be backfilled",
    "disabled": "needs a key",
    "not_recorded": "not recorded",
    "unrecoverable": "cannot be backfilled",
    "unknown": "no data",
}


def _sign(text: str) -> str:
    return text.replace("-", _MINUS)


def spell_number(value: float | None) -> str:
    """A whole number with thousands separated: ``1,234``."""
    return UNKNOWN if value is None else _sign(f"{value:,.0f}")


def shorten_number(value: float | None) -> str:
    """A number in three or four characters: ``1.2k``, ``35M``."""
    if value is None:
        return UNKNOWN
    for threshold, size, unit in _UNITS:
        if abs(value) >= threshold:
            text = f"{value / size:.1f}".removesuffix(".0")
            return _sign(f"{text}{unit}")
    return _sign(f"{value:.0f}")


def spell_gain(value: int | None) -> str:
    """A difference with its sign: ``+1,234``."""
    if value is None:
        return UNKNOWN
    return f"+{value:,}" if value > 0 else spell_number(value)


def spell_decimal(value: float | None) -> str:
    """A number with two decimals."""
    return UNKNOWN if value is None else _sign(f"{value:,.2f}")


def spell_percent(value: float | None) -> str:
    """A percentage with two decimals."""
    return UNKNOWN if value is None else f"{spell_decimal(value)} %"


def spell_money(micros: int | None) -> str:
    """Micro-dollars as dollars and cents."""
    return UNKNOWN if micros is None else f"${micros / 1_000_000:,.2f}"


def spell_day(day: date) -> str:
    """A date in words: ``Thursday, 19 November 2026``."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def spell_hours(hours: float | None) -> str:
    """An age: ``40 min``, ``7 h``, ``3 days``."""
    if hours is None:
        return UNKNOWN
    if hours < 1:
        return f"{max(hours, 0) * 60:.0f} min"
    if hours < 48:
        return f"{hours:.0f} h"
    return f"{hours / 24:,.0f} days"


def spell_wait(since: datetime, day: date, generated_at: datetime) -> str:
    """How long something had waited at the end of a day, or at the report's time in that day."""
    end = min(datetime.combine(day + timedelta(days=1), time(), UTC), generated_at)
    return spell_hours((end - since).total_seconds() / 3600)


def spell_clock(instant: datetime | None) -> str:
    """The time of day, in UTC."""
    return UNKNOWN if instant is None else f"{instant:%H:%M}"


def spell_instant(instant: datetime, timezone: str) -> str:
    """An instant in UTC, and in the workspace's timezone where that is another."""
    text = f"{instant:%Y-%m-%d %H:%M} UTC"
    try:
        local = instant.astimezone(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return text
    if local.utcoffset() == timedelta():
        return text
    city = timezone.rpartition("/")[2].replace("_", " ")
    return f"{text} ({local:%H:%M} in {city})"


def name_state(state: str) -> str:
    """A production state's name."""
    return STATE_NAMES.get(state, state)


def name_source(source: str) -> str:
    """A platform's name."""
    return SOURCE_NAMES.get(source, source)


def name_coverage(state: str) -> str:
    """What is known of a source's day."""
    return _COVERAGE_NAMES.get(state, state)


def name_rule(rule: str) -> str:
    """A spam rule's name."""
    return clip(rule.replace("_", " "), 60)


def count(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 story``, ``1,200 stories``."""
    return f"{spell_number(number)} {one if number == 1 else many or one + 's'}"


def clip(text: str | None, length: int = _TITLE) -> str:
    """Text on one line, without control characters, cut where it is longer than ``length``."""
    # Ten times the length holds that many characters besides blanks in any real text.
    words = " ".join((text or "")[: length * 10].translate(_CONTROLS).split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def quote_code(text: str | None, length: int = _TITLE) -> str:
    """Text as Markdown code, in which nothing is markup, a link or HTML.

    Backticks within it are kept: the fence is longer than any run of them. Characters that turn
    the direction of what follows are left out.
    """
    words = clip((text or "").translate(_DIRECTIONS), length)
    if not words:
        return UNKNOWN
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(words)), default=0) + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{pad}{words}{pad}{fence}"


def name_task(script: Script) -> str:
    """The task of a person for a script."""
    if script.job_status == "failed" and script.state == "ready_for_generation":
        return "Generation failed"
    approver = script.video_approved_by
    if script.state != "video_pending_review":
        approver = approver or script.script_approved_by
    if script.failed_gates and approver:
        return "Approved; check the gate"
    return _TASKS.get(script.state, name_state(script.state))


def write_headline(report: ReportDay) -> str:
    """The day in a sentence or three."""
    numbers = report.numbers
    stories = f"{_some(numbers.stories, 'story', 'stories')} scored"
    if numbers.stories_spam:
        stories += f", {spell_number(numbers.stories_spam)} of them spam"
    parts = [stories, f"{_some(numbers.videos_published, 'video', 'videos')} published"]
    if numbers.views is not None:
        views = f"{shorten_number(numbers.views)} views in all"
        if numbers.views_gained:
            direction = "up" if numbers.views_gained > 0 else "down"
            views += f", {direction} {spell_number(abs(numbers.views_gained))}"
        parts.append(views)
    return ". ".join(parts) + "."


def _some(number: int, one: str, many: str) -> str:
    return count(number, one, many) if number else f"No {one}"


def find_link(url: str | None) -> str | None:
    """The URL if it is one a reader may be sent to, else None.

    Only absolute ``http`` and ``https`` URLs with a host, without credentials, blanks or control
    characters, of at most 2,000 characters.
    """
    if url is None or len(url) > _MAX_URL or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return url if port_is_valid else None


def find_video_link(platform: str | None, video_id: str) -> str | None:
    """The page of a video; None if its id is not a YouTube id."""
    if platform not in {None, "youtube"} or not is_video_id(video_id):
        return None
    return f"https://www.youtube.com/watch?v={video_id}"
