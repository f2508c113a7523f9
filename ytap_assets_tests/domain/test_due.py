"""What is due: literal logs, and a simulated collector over days of outages and failures."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytap_assets.domain.due import (
    ASKED_FROM,
    LONGEST_RETRY,
    PAST_DAYS_PER_TICK,
    PLAN,
    choose_days,
    closes_at,
    find_due_metrics,
    find_due_targets,
    find_unreplayed_targets,
    limit_calls,
)
from ytap_assets.tables import COLLECTION_LOG
from ytap_assets.tables.evidence import OUTCOMES
from ytap_assets_tests.effort import examples

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 13, 10, tzinfo=UTC)
LONG_AGO = date(2026, 1, 1)
SIX_HOURS = timedelta(hours=6)
BY_DATE, FRONT_PAGE, UPLOADS, SEARCH = range(4)
TARGETS: dict[int, dict[str, Any]] = {
    BY_DATE: {"source": "hn", "target": "by_date", "is_queryable": True, "is_daily": False},
    FRONT_PAGE: {"source": "hn", "target": "front", "is_queryable": False, "is_daily": False},
    UPLOADS: {"source": "channel", "target": "uploads", "is_queryable": True, "is_daily": False},
    SEARCH: {"source": "youtube", "target": "search", "is_queryable": True, "is_daily": True},
}
LOG = COLLECTION_LOG.empty().select(
    "workspace_id", "day", "source", "target", "outcome", "started_at"
)
Asked = tuple[date, int, str, datetime]
"""A fetch: the day, the kind, the outcome, and when."""


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant in November."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def on(day: int) -> date:
    return date(2026, 11, day)


def plan(*kinds: int, **changed: Any) -> pl.DataFrame:
    common = {
        "workspace_id": "tech",
        "timezone": "UTC",
        "registered_on": LONG_AGO,
        "interval": SIX_HOURS,
        "lacks_key": False,
    }
    rows = [{**common, **TARGETS[kind], "kind": kind, **changed} for kind in kinds]
    return pl.DataFrame(rows, PLAN)


def asked_from(now: datetime = NOW, days: int = 30) -> pl.DataFrame:
    opens = {UPLOADS: timedelta(days=1), SEARCH: timedelta(hours=12)}
    rows = [
        (kind, day, datetime.combine(day, time(), UTC) + opens.get(kind, timedelta()))
        for kind in TARGETS
        for ago in range(days + 1)
        for day in [now.date() - timedelta(days=ago)]
    ]
    return pl.DataFrame(rows, ASKED_FROM, orient="row")


def log(fetches: Iterable[Asked], workspace_id: str = "tech") -> pl.DataFrame:
    rows = [
        (workspace_id, day, TARGETS[kind]["source"], TARGETS[kind]["target"], outcome, started)
        for day, kind, outcome, started in fetches
    ]
    return pl.DataFrame(rows, LOG.schema, orient="row")


def judge(
    planned: pl.DataFrame, *fetches: Asked, now: datetime = NOW
) -> list[tuple[int, int, str]]:
    """The due (day of the month, kind, reason)."""
    due = find_due_targets(planned, asked_from(now), log(fetches), now=now)
    return [(day.day, kind, why) for day, kind, why in due.select("day", "kind", "reason").rows()]


# --- today


def test_what_was_not_collected_today_is_due_at_once() -> None:
    assert judge(plan(BY_DATE, FRONT_PAGE)) == [(20, BY_DATE, "first"), (20, FRONT_PAGE, "first")]


@pytest.mark.parametrize(
    ("answered", "now", "is_due"),
    [
        (at(20, 12, 2), at(20, 13, 10), False),
        (at(20, 12, 2), at(20, 17, 59), False),
        (at(20, 12, 2), at(20, 18, 0), True),
        (at(20, 11, 55), at(20, 12, 5), False),
        (at(20, 11, 55), at(20, 14, 55), True),
        (at(20, 0, 5), at(20, 23, 0), True),
    ],
    ids=[
        "same slot",
        "end of the slot",
        "next slot",
        "just before the slot",
        "half an interval later",
        "slots were missed",
    ],
)
def test_today_is_collected_once_in_each_slot_of_the_interval(
    answered: datetime, now: datetime, is_due: bool
) -> None:
    found = judge(plan(FRONT_PAGE), (TODAY, FRONT_PAGE, "ok", answered), now=now)

    assert found == ([(20, FRONT_PAGE, "interval")] if is_due else [])


def test_a_workspace_has_its_own_interval() -> None:
    answered = (TODAY, FRONT_PAGE, "ok", at(20, 12, 2))

    hourly = plan(FRONT_PAGE, interval=timedelta(hours=1))

    assert judge(hourly, answered) == [(20, FRONT_PAGE, "interval")]
    assert judge(plan(FRONT_PAGE), answered) == []


def test_an_unchanged_answer_is_an_answer() -> None:
    assert judge(plan(FRONT_PAGE), (TODAY, FRONT_PAGE, "not_modified", at(20, 12, 2))) == []


def test_a_source_that_was_switched_on_is_due_while_the_others_wait() -> None:
    collected = [
        (on(day), BY_DATE, "ok", at(day + hours // 24, hours % 24, 5))
        for day in range(1, 20)
        for hours in (0, 26)
    ]

    found = judge(plan(BY_DATE, FRONT_PAGE), *collected, (TODAY, BY_DATE, "ok", at(20, 12, 2)))

    assert found == [(20, FRONT_PAGE, "first")]


@pytest.mark.parametrize(
    ("failures", "next_try"),
    [
        ([at(20, 6, 0)], at(20, 6, 15)),
        ([at(20, 6, 0), at(20, 6, 15)], at(20, 6, 45)),
        ([at(20, 6, 0), at(20, 6, 15), at(20, 6, 45)], at(20, 7, 45)),
        ([at(18, 6, 0), at(19, 6, 0), at(20, 6, 0)], at(20, 12, 0)),
    ],
    ids=["15 minutes", "30 minutes", "60 minutes", "the interval"],
)
def test_a_failed_target_is_tried_again_after_growing_pauses(
    failures: list[datetime], next_try: datetime
) -> None:
    failed = [(moment.date(), FRONT_PAGE, "transient_error", moment) for moment in failures]
    settled = [(moment.date(), FRONT_PAGE, "unrecoverable", at(20, 2)) for moment in failures[:-1]]
    before = next_try - timedelta(minutes=1)

    assert judge(plan(FRONT_PAGE), *failed, *settled, now=before) == []
    assert judge(plan(FRONT_PAGE), *failed, *settled, now=next_try) == [(20, FRONT_PAGE, "retry")]


def test_an_answer_ends_the_pauses() -> None:
    fetches = [
        (TODAY, FRONT_PAGE, "transient_error", at(20, 0, 5)),
        (TODAY, FRONT_PAGE, "ok", at(20, 6, 5)),
        (TODAY, FRONT_PAGE, "malformed", at(20, 12, 0)),
    ]

    assert judge(plan(FRONT_PAGE), *fetches, now=at(20, 12, 14)) == []
    assert judge(plan(FRONT_PAGE), *fetches, now=at(20, 12, 15)) == [(20, FRONT_PAGE, "retry")]


def test_a_failed_backfill_of_past_days_keeps_nobody_from_today() -> None:
    failed = [(on(18), BY_DATE, "transient_error", at(20, 13, 0))]

    assert (20, BY_DATE, "first") in judge(plan(BY_DATE), *failed)


def test_a_used_up_quota_is_asked_again_after_its_reset() -> None:
    exhausted = (TODAY, FRONT_PAGE, "quota_exhausted", at(20, 7, 0))

    assert judge(plan(FRONT_PAGE), exhausted, now=at(20, 7, 59)) == []
    assert judge(plan(FRONT_PAGE), exhausted, now=at(20, 8, 0)) == [(20, FRONT_PAGE, "first")]


def test_a_missing_key_is_logged_once_a_day_and_tried_when_it_is_there() -> None:
    disabled = (TODAY, FRONT_PAGE, "disabled", at(20, 0, 5))
    without = plan(FRONT_PAGE, lacks_key=True)

    assert judge(without) == [(20, FRONT_PAGE, "first")]
    assert judge(without, disabled) == []
    assert judge(plan(FRONT_PAGE), disabled) == [(20, FRONT_PAGE, "retry")]


def test_a_source_that_answers_without_its_key_waits_for_its_slot() -> None:
    answered = (TODAY, FRONT_PAGE, "ok", at(20, 12, 5))

    assert judge(plan(FRONT_PAGE, lacks_key=True), answered) == []


def test_a_key_that_is_refused_is_not_tried_at_every_tick() -> None:
    disabled = [(TODAY, FRONT_PAGE, "disabled", at(20, 13, minute)) for minute in (0, 5)]

    assert judge(plan(FRONT_PAGE), *disabled) == []


def test_a_daily_source_is_asked_today_only_if_it_never_answered() -> None:
    days = [(on(day), SEARCH, "ok", at(day + 1, 2, 5)) for day in range(1, 20)]

    assert judge(plan(SEARCH)) == [(20, SEARCH, "first")]
    assert judge(plan(SEARCH), now=at(20, 11, 59)) == []
    assert judge(plan(SEARCH), *days) == []


# --- past days


def daily(kind: int, first: int, last: int = 19) -> list[Asked]:
    """Collected on each day, and once more when it had closed."""
    return [
        (on(day), kind, "ok", moment)
        for day in range(first, last + 1)
        for moment in (at(day, 0, 5), at(day, 12, 5), at(day + 1, 2, 0))
    ]


def test_yesterday_is_collected_once_more_when_it_has_closed() -> None:
    collected = [
        *daily(BY_DATE, 1, 18),
        (on(19), BY_DATE, "ok", at(19, 18, 5)),
        (TODAY, BY_DATE, "ok", at(20, 0, 5)),
    ]

    assert judge(plan(BY_DATE), *collected, now=at(20, 1, 59)) == []
    assert judge(plan(BY_DATE), *collected, now=at(20, 2, 0)) == [(19, BY_DATE, "final")]
    done = (on(19), BY_DATE, "ok", at(20, 2, 0))
    assert judge(plan(BY_DATE), *collected, done, now=at(20, 2, 5)) == []


def test_what_a_source_shows_only_once_a_day_is_over_waits_for_the_close() -> None:
    collected = daily(BY_DATE, 1, 19) + daily(UPLOADS, 1, 18)

    now = at(20, 1, 0)
    assert judge(plan(UPLOADS), *collected, now=now) == []
    assert judge(plan(UPLOADS), *collected, now=at(20, 2, 0)) == [(19, UPLOADS, "missed")]


def test_after_an_outage_the_missed_days_are_due_and_the_gaps_are_recorded() -> None:
    collected = daily(BY_DATE, 1, 16) + daily(FRONT_PAGE, 1, 16)

    assert judge(plan(BY_DATE, FRONT_PAGE), *collected) == [
        *((day, kind, why) for day in (17, 18, 19) for kind, why in WHY),
        (20, BY_DATE, "first"),
        (20, FRONT_PAGE, "first"),
    ]


WHY = [(BY_DATE, "missed"), (FRONT_PAGE, "gap")]


def test_a_gap_is_recorded_once_and_a_day_that_was_seen_is_none() -> None:
    fetches = [
        (on(17), FRONT_PAGE, "ok", at(17, 0, 5)),
        (on(18), FRONT_PAGE, "transient_error", at(18, 0, 5)),
        (on(19), FRONT_PAGE, "unrecoverable", at(20, 2, 5)),
        (TODAY, FRONT_PAGE, "ok", at(20, 12, 5)),
    ]

    assert judge(plan(FRONT_PAGE), *fetches) == [(18, FRONT_PAGE, "gap")]


def test_days_before_a_workspace_was_registered_are_no_gaps() -> None:
    found = judge(plan(BY_DATE, FRONT_PAGE, registered_on=on(19)))

    assert {day for day, _, _ in found} == {19, 20}


def test_a_workspace_that_is_not_registered_yet_has_no_past() -> None:
    assert judge(plan(BY_DATE, registered_on=None)) == [(20, BY_DATE, "first")]


def test_a_registration_in_the_future_keeps_nobody_from_today() -> None:
    assert judge(plan(BY_DATE, registered_on=on(25))) == [(20, BY_DATE, "first")]


def test_an_outage_that_leaves_no_trace_is_not_caught_up() -> None:
    backfilled = (on(3), BY_DATE, "ok", at(20, 9, 0))

    assert judge(plan(BY_DATE), backfilled) == [(20, BY_DATE, "first")]


def test_a_target_that_is_new_has_no_past_but_the_days_nobody_collected() -> None:
    collected = daily(BY_DATE, 1, 16)

    found = judge(plan(FRONT_PAGE, UPLOADS), *collected)

    assert {day for day, _, _ in found} == {17, 18, 19, 20}


def test_the_first_day_of_a_workspace_is_asked_of_what_opens_later() -> None:
    morning = (on(19), BY_DATE, "ok", at(19, 9, 0))
    evening = (on(19), BY_DATE, "ok", at(20, 3, 0))
    young = plan(UPLOADS, SEARCH, registered_on=on(19))

    assert judge(young, morning)[:2] == [(19, UPLOADS, "missed"), (19, SEARCH, "missed")]
    assert {day for day, _, _ in judge(young, morning, evening)} == {20}


def test_a_target_that_was_left_out_of_a_collection_is_not_taken_for_a_newer_one() -> None:
    """It failed, so the collection of the day that had closed did not ask it."""
    fetches = [
        (on(19), SEARCH, "transient_error", at(19, 23, 0)),
        (on(18), BY_DATE, "ok", at(20, 3, 0)),
    ]

    due = judge(plan(SEARCH, registered_on=on(18)), *fetches)

    assert [(day, kind) for day, kind, _ in due if day < 20] == [(18, SEARCH), (19, SEARCH)]


def test_a_source_without_a_key_is_logged_once_for_a_past_day() -> None:
    without = plan(UPLOADS, lacks_key=True)
    collected = daily(UPLOADS, 1, 18)

    # Today it is logged at once, so that nobody waits for it in vain.
    assert judge(without, *collected) == [(19, UPLOADS, "missed")]
    assert judge(without, *collected, (on(19), UPLOADS, "disabled", at(20, 2))) == []
    assert judge(plan(UPLOADS), *collected, (on(19), UPLOADS, "disabled", at(20, 2))) == [
        (19, UPLOADS, "retry")
    ]


def test_a_day_that_a_source_refuses_for_good_is_settled() -> None:
    collected = [*daily(BY_DATE, 1, 18), (on(19), BY_DATE, "unrecoverable", at(20, 2))]

    assert judge(plan(BY_DATE), *collected, (TODAY, BY_DATE, "ok", at(20, 12, 5))) == []


def test_a_past_day_that_keeps_failing_is_tried_daily() -> None:
    collected = [*daily(BY_DATE, 1, 18), (TODAY, BY_DATE, "ok", at(20, 12, 5))]
    failed = [(on(19), BY_DATE, "permanent_error", at(20, hour)) for hour in (3, 4, 12)]

    assert judge(plan(BY_DATE), *collected, *failed) == []


def test_the_pause_of_a_past_day_is_never_longer_than_a_day() -> None:
    collected = [*daily(BY_DATE, 1, 16), *daily(BY_DATE, 18, 19)]
    collected += [(TODAY, BY_DATE, "ok", at(20, 9))]
    failed = [(on(17), BY_DATE, "permanent_error", moment) for moment in (at(18, 3), at(19, 11))]

    assert judge(plan(BY_DATE), *collected, *failed, now=at(20, 10, 59)) == []
    assert judge(plan(BY_DATE), *collected, *failed, now=at(20, 11)) == [(17, BY_DATE, "retry")]


# --- hostile and implausible logs


def test_entries_of_the_future_say_nothing_of_the_present() -> None:
    ahead = [
        (TODAY, FRONT_PAGE, "ok", at(25)),
        (TODAY, BY_DATE, "transient_error", at(25)),
        (on(22), BY_DATE, "ok", at(22)),
    ]

    assert judge(plan(BY_DATE, FRONT_PAGE), *ahead) == [
        (20, BY_DATE, "first"),
        (20, FRONT_PAGE, "first"),
    ]


def test_a_gap_that_was_answered_by_a_clock_ahead_is_none() -> None:
    # Such a gap would be refused by the store, and asked for again at every tick.
    fetches = [*daily(FRONT_PAGE, 1, 18), (on(19), FRONT_PAGE, "ok", at(28))]

    assert judge(plan(FRONT_PAGE), *fetches, (TODAY, FRONT_PAGE, "ok", at(20, 12, 5))) == []


@settings(max_examples=examples(12))
@given(
    fetches=st.lists(
        st.tuples(
            st.dates(on(10), on(28)),
            st.sampled_from(list(TARGETS)),
            st.sampled_from([*OUTCOMES, "no such outcome"]),
            st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(  # noqa: DTZ001
                lambda moment: moment.replace(tzinfo=UTC)
            ),
        ),
        max_size=12,
    )
)
def test_any_log_is_judged_and_the_order_and_repetition_of_entries_make_no_difference(
    fetches: list[Asked],
) -> None:
    planned = plan(*TARGETS)

    found = judge(planned, *fetches)

    assert found == judge(planned, *reversed(fetches), *fetches)
    assert len(set(found)) == len(found)


# --- replay


def test_under_replay_a_day_is_collected_once_whatever_came_of_it() -> None:
    planned = plan(BY_DATE, SEARCH, registered_on=TODAY)

    def find(*fetches: Asked) -> list[tuple[Any, ...]]:
        due = find_unreplayed_targets(planned, asked_from(), log(fetches), today=TODAY)
        return due.select("day", "kind").rows()

    # What opens during the day may not have been recorded: it is no reason for a run.
    assert find() == [(TODAY, BY_DATE)]
    assert find((TODAY, BY_DATE, "not_recorded", at(20, 23, 59))) == []


# --- limits


def due_rows(*rows: tuple[str, int, int]) -> pl.DataFrame:
    """Due rows of (workspace, day, kind)."""
    return pl.DataFrame(
        [
            {
                "workspace_id": name,
                "day": on(day),
                "kind": kind,
                "source": TARGETS[kind]["source"],
                "target": TARGETS[kind]["target"],
                "reason": "missed",
            }
            for name, day, kind in rows
        ]
    )


def test_a_quota_serves_the_oldest_days_first_and_one_answer_all_workspaces() -> None:
    due = due_rows(
        ("a", 19, SEARCH),
        ("b", 18, SEARCH),
        ("a", 18, SEARCH),
        ("a", 20, SEARCH),
        ("a", 19, BY_DATE),
    )

    limited = limit_calls(due, {SEARCH: 1}, left=1, today=TODAY)

    assert limited.select("workspace_id", "day", "kind").rows() == [
        ("a", on(18), SEARCH),
        ("b", on(18), SEARCH),
        ("a", on(19), BY_DATE),
        ("a", TODAY, SEARCH),
    ]
    assert limit_calls(due, {SEARCH: 1}, left=-5, today=TODAY)["day"].to_list() == [on(19), TODAY]


def test_the_oldest_days_are_chosen_and_today_always() -> None:
    days = range(10, 21)
    due = due_rows(*(("a", day, BY_DATE) for day in days), ("b", 19, BY_DATE))

    chosen = choose_days(due, today=TODAY)
    rest = choose_days(due, today=TODAY, in_progress={("a", on(10)), ("b", on(19))})

    oldest = [on(10 + number) for number in range(PAST_DAYS_PER_TICK)]
    assert chosen.filter(workspace_id="a")["day"].to_list() == [*oldest, TODAY]
    assert rest.select("workspace_id", "day").rows() == [
        *(("a", day) for day in oldest[1:]),
        ("a", TODAY),
    ]


# --- the close of a day

ZONES = [
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
    "Africa/Cairo",
]


@pytest.mark.parametrize(
    ("zone", "day", "closes"),
    [
        ("UTC", date(2026, 11, 19), datetime(2026, 11, 20, 2, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 11, 19), datetime(2026, 11, 20, 1, tzinfo=UTC)),
        ("America/Los_Angeles", date(2026, 11, 19), datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("Asia/Kolkata", date(2026, 11, 19), datetime(2026, 11, 20, 20, 30, tzinfo=UTC)),
        ("Europe/Berlin", date(2027, 3, 27), datetime(2027, 3, 28, 1, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 10, 24), datetime(2026, 10, 25, 0, tzinfo=UTC)),
    ],
    ids=["utc", "berlin", "los angeles", "kolkata", "02:00 is skipped", "02:00 comes twice"],
)
def test_a_day_closes_at_two_on_the_workspaces_clock(
    zone: str, day: date, closes: datetime
) -> None:
    assert closes_at(day, ZoneInfo(zone)) == closes


@settings(max_examples=examples(12))
@given(zone=st.sampled_from(ZONES), year=st.integers(2000, 2036))
def test_each_day_of_a_year_closes_once_around_two_on_the_clock(zone: str, year: int) -> None:
    clock, first = ZoneInfo(zone), date(year, 1, 1)
    days = [first + timedelta(days=number) for number in range(366)]

    closes = [closes_at(day, clock) for day in days]

    assert closes == sorted(closes)
    for day, moment in zip(days, closes, strict=True):
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        assert timedelta() <= moment - end < timedelta(hours=26)
        assert 2 <= moment.astimezone(clock).hour <= 4


# --- metrics


def metrics(
    *fetches: tuple[int, str, datetime, datetime],
    registered: date = LONG_AGO,
    lacks_key: bool = False,
) -> list[tuple[int, str]]:
    """What is due of a workspace whose first video came out on the 18th."""
    videos = pl.DataFrame(
        {
            "workspace_id": ["tech"],
            "registered_on": [registered],
            "published_on": [on(18)],
            "lacks_key": [lacks_key],
        }
    )
    instant = LOG.schema["started_at"]
    logged = pl.DataFrame(
        [("tech", on(day), *rest) for day, *rest in fetches],
        [
            ("workspace_id", pl.String),
            ("day", pl.Date),
            ("outcome", pl.String),
            ("first_at", instant),
            ("last_at", instant),
        ],
        orient="row",
    )
    hour = timedelta(hours=1)
    due = find_due_metrics(videos, logged, first_day=on(1), now=NOW, interval=hour)
    return [(day.day, why) for day, why in due.select("day", "reason").rows()]


SEEN = [(day, "ok", at(day, 1, 5), at(day, 23, 5)) for day in (18, 19)]


@pytest.mark.parametrize(
    ("today", "due"),
    [
        ([], [(20, "first")]),
        ([(20, "ok", at(20, 0, 5), at(20, 13, 5))], []),
        ([(20, "ok", at(20, 0, 5), at(20, 12, 5))], [(20, "interval")]),
        ([(20, "transient_error", at(20, 13, 0), at(20, 13, 0))], []),
        ([(20, "transient_error", at(20, 12, 50), at(20, 12, 50))], [(20, "retry")]),
        ([(20, "quota_exhausted", at(20, 9), at(20, 9))], []),
        ([(20, "quota_exhausted", at(20, 7), at(20, 7))], [(20, "first")]),
        ([(20, "ok", at(22), at(22))], [(20, "first")]),
        ([(20, "ok", at(20, 12, 5), at(22))], [(20, "interval")]),
    ],
    ids=[
        "none",
        "this hour",
        "last hour",
        "failed now",
        "failed",
        "no quota",
        "reset",
        "future",
        "past and future",
    ],
)
def test_metrics_are_collected_every_hour(
    today: list[tuple[int, str, datetime, datetime]], due: list[tuple[int, str]]
) -> None:
    assert metrics(*SEEN, *today) == due


def test_a_past_day_without_metrics_is_recorded_once() -> None:
    recorded = (19, "unrecoverable", at(20, 1), at(20, 1))
    today = (20, "ok", at(20, 13, 5), at(20, 13, 5))

    assert metrics(SEEN[0], today) == [(19, "gap")]
    assert metrics(SEEN[0], recorded, today) == []


def test_days_before_a_workspace_was_registered_are_no_gaps_in_metrics() -> None:
    assert metrics(registered=on(19)) == [(19, "gap"), (20, "first")]
    assert metrics() == [(20, "first")]


def test_metrics_without_a_key_are_logged_once_a_day() -> None:
    disabled = (20, "disabled", at(20, 0, 5), at(20, 0, 5))

    assert metrics(*SEEN, lacks_key=True) == [(20, "first")]
    assert metrics(*SEEN, disabled, lacks_key=True) == []
    assert metrics(*SEEN, disabled) == [(20, "retry")]


# --- a simulated collector

FIRST = date(2026, 10, 23)  # Berlin's clock is set back on the 25th
LAST = FIRST + timedelta(days=6)
TICK = timedelta(hours=1)


@dataclass(frozen=True)
class Life:
    """What happens to a workspace: its timezone, and when the daemon and its sources are down."""

    zone: str
    registered: datetime
    outages: list[tuple[datetime, timedelta]]
    failures: list[tuple[int, datetime, timedelta]]

    def is_up(self, now: datetime) -> bool:
        return now >= self.registered and not any(
            start <= now < start + length for start, length in self.outages
        )

    def fails(self, kind: int, now: datetime) -> bool:
        return any(
            kind == failing and start <= now < start + length
            for failing, start, length in self.failures
        )


BEGIN = datetime.combine(FIRST, time(), UTC)
TICKS = [BEGIN + TICK * number for number in range((LAST - FIRST) // TICK)]


def make_lives(seed: int, count: int) -> list[Life]:
    """Lives of which each is another; of an hour's precision, within the first three days."""
    chance = random.Random(seed)

    def hours(least: int, most: int) -> timedelta:
        return timedelta(hours=chance.randint(least, most))

    return [
        Life(
            chance.choice(ZONES),
            BEGIN + hours(0, 30),
            [(BEGIN + hours(0, 72), hours(0, 72)) for _ in range(chance.randint(0, 2))],
            [
                (chance.choice(list(TARGETS)), BEGIN + hours(0, 72), hours(1, 30))
                for _ in range(chance.randint(0, 3))
            ],
        )
        for _ in range(count)
    ]


class Collector:
    """Collects what is due, and logs what the sources would answer."""

    def __init__(self, lives: list[Life]) -> None:
        self.lives = {f"w{number}": life for number, life in enumerate(lives)}
        self.rows: list[tuple[Any, ...]] = []
        self.found: dict[tuple[Any, ...], list[datetime]] = defaultdict(list)
        self.requests: Counter[tuple[str, str, date, date]] = Counter()

    def plan(self, now: datetime) -> pl.DataFrame:
        known = {name: life for name, life in self.lives.items() if life.is_up(now)}
        plans = [
            plan(
                *TARGETS,
                workspace_id=name,
                timezone=life.zone,
                registered_on=life.registered.date(),
            )
            for name, life in known.items()
        ]
        return pl.concat([pl.DataFrame(schema=PLAN), *plans])

    def tick(self, now: datetime) -> None:
        logged = pl.DataFrame(self.rows, LOG.schema, orient="row")
        days = (now.date() - FIRST).days
        due = find_due_targets(self.plan(now), asked_from(now, days), logged, now=now)
        for name, day, kind, source, target in (
            choose_days(due, today=now.date()).drop("reason").iter_rows()
        ):
            outcome = "transient_error" if self.lives[name].fails(kind, now) else "ok"
            if day < now.date() and not TARGETS[kind]["is_queryable"]:
                outcome = "unrecoverable"
            self.requests[name, target, day, now.date()] += 1
            self.rows.append((name, day, source, target, outcome, now))
            self.found[name, day, source, target, outcome].append(now)

    def count(self, name: str, day: date, kind: int, outcome: str) -> list[datetime]:
        """When a day was asked with an outcome."""
        wanted = (name, day, TARGETS[kind]["source"], TARGETS[kind]["target"], outcome)
        return self.found[wanted]


def test_whatever_is_down_for_a_while_all_that_could_be_had_is_there_afterwards() -> None:
    collector = Collector(make_lives(seed=5, count=60))
    for now in TICKS:
        collector.tick(now)

    checked = 0
    for name, life in collector.lives.items():
        day = life.registered.date()
        while closes_at(day, ZoneInfo(life.zone)) < find_recovery(life):
            check_day(collector, name, life, day)
            day += timedelta(days=1)
            checked += 1
    assert checked > 60
    # 5 tries in each of 4 slots at most, however often it fails.
    assert max(collector.requests.values()) <= 20


def find_recovery(life: Life) -> datetime:
    """Up to when a day must have closed to be collected at the end, the longest pause later."""
    ends = [start + length for start, length in life.outages]
    ends += [start + length for _, start, length in life.failures]
    last = TICKS[-1] - LONGEST_RETRY
    return last if max([BEGIN, *ends]) < last else BEGIN


def check_day(collector: Collector, name: str, life: Life, day: date) -> None:
    closes = closes_at(day, ZoneInfo(life.zone))
    for kind in (BY_DATE, UPLOADS, SEARCH):
        answers = collector.count(name, day, kind, "ok")
        assert [moment for moment in answers if moment >= closes], (name, day, kind)
    seen = collector.count(name, day, FRONT_PAGE, "ok")
    gaps = collector.count(name, day, FRONT_PAGE, "unrecoverable")
    assert len(gaps) == (0 if seen else 1), (name, day)
    up = [moment for moment in TICKS if moment.date() == day and life.is_up(moment)]
    if up and not any(life.fails(FRONT_PAGE, moment) for moment in up):
        assert seen, (name, day)
