"""Whose clock has come to the hour: once per local date, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.defs.schedules import (
    daily_hour,
    due_daily,
)
from ytap_assets.workspaces import Status, Workspace


def _workspace(
    workspace_id: str, timezone: str, *, collects: bool = True, status: Status = "active"
) -> Workspace:
    return Workspace(
        workspace_id=workspace_id,
        name=workspace_id,
        vertical="technology",
        timezone=timezone,
        status=status,
        data_collection_enabled=collects,
    )


@pytest.mark.parametrize(
    ("tick", "due"),
    [
        (datetime(2026, 11, 20, 1, tzinfo=UTC), ["berlin"]),
        (datetime(2026, 7, 1, 0, tzinfo=UTC), ["berlin"]),
        (datetime(2026, 7, 1, 1, tzinfo=UTC), []),
        (datetime(2026, 11, 20, 2, tzinfo=UTC), ["utc"]),
        (datetime(2026, 11, 20, 10, tzinfo=UTC), ["los_angeles"]),
        (datetime(2026, 11, 20, 21, tzinfo=UTC), ["kolkata"]),
        (datetime(2026, 11, 20, 20, tzinfo=UTC), []),
    ],
)
def test_a_workspace_is_due_when_its_own_clock_shows_two(tick: datetime, due: list[str]) -> None:
    workspaces = [
        _workspace("berlin", "Europe/Berlin"),
        _workspace("utc", "UTC"),
        _workspace("los_angeles", "America/Los_Angeles"),
        _workspace("kolkata", "Asia/Kolkata"),
    ]

    assert due_daily(workspaces, tick) == due


def test_who_does_not_collect_is_never_due() -> None:
    workspaces = [
        _workspace("switched_off", "UTC", collects=False),
        _workspace("gone", "UTC", status="archived"),
        _workspace("at_rest", "UTC", status="paused"),
    ]

    assert due_daily(workspaces, datetime(2026, 11, 20, 2, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [
        ("Europe/Berlin", date(2027, 3, 28), datetime(2027, 3, 28, 1, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 0, tzinfo=UTC)),
        ("Asia/Kolkata", date(2026, 11, 21), datetime(2026, 11, 20, 21, tzinfo=UTC)),
    ],
    ids=["02:00 is leapt over", "02:00 comes twice", "half an hour off"],
)
def test_every_date_has_one_hour_whatever_the_clock_does(
    zone: str, day: date, hour: datetime
) -> None:
    workspaces = [_workspace("one", zone)]
    hours = [hour + timedelta(hours=n) for n in range(-6, 7)]

    assert daily_hour(ZoneInfo(zone), day) == hour
    assert [at for at in hours if due_daily(workspaces, at)] == [hour]


_ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/Lisbon",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Nuuk",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "Africa/Casablanca",
]


@settings(max_examples=25)
@given(zone=st.sampled_from(_ZONES), year=st.integers(2000, 2036))
def test_each_local_date_of_a_year_is_due_exactly_once(zone: str, year: int) -> None:
    clock = ZoneInfo(zone)
    workspaces = [_workspace("one", zone)]
    first, last = date(year, 1, 1), date(year, 12, 31)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    tick, due = datetime(year - 1, 12, 31, tzinfo=UTC), []
    while tick < datetime(year + 1, 1, 2, tzinfo=UTC):
        if due_daily(workspaces, tick):
            due.append(tick.astimezone(clock))
        tick += timedelta(hours=1)

    assert [at.date() for at in due if at.year == year] == days
    assert all(2 <= at.hour <= 4 for at in due)
