from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.sources.pacing import Pacer, RetryPolicy, asked_wait
from ytap_assets_tests.sources.support import NOW


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "349"}, 349.0),
        ({"x-ratelimit-remaining": "599.0", "x-ratelimit-reset": "349"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"retry-after": "3", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 3.0),
    ],
)
def test_what_a_platform_asks_to_wait(headers: dict[str, str], expected: float | None) -> None:
    assert asked_wait(headers, NOW) == expected


@st.composite
def http_dates(draw: st.DrawFn) -> str:
    """Dates as headers spell them, with numbers far beyond a calendar's."""
    number = st.integers(-(10**20), 10**20) | st.integers(0, 60)
    day, year, hour, minute, second = (draw(number | st.sampled_from([1, 12])) for _ in range(5))
    month = draw(st.sampled_from(["Jan", "Dec", "January", "Foo", "13"]))
    offset = draw(
        st.sampled_from(["GMT", "-0000", "PST", ""])
        | st.builds("{:+05d}".format, number)
        | st.builds("{:+05d}".format, st.integers(-9999, 9999))
    )
    year = draw(st.just(year) | st.sampled_from([1, 99, 1970, 9999, 10_000]))
    weekday = draw(st.sampled_from(["Thu, ", ""]))
    return f"{weekday}{day} {month} {year} {hour}:{minute}:{second} {offset}"


@settings(deadline=None, max_examples=500)
@given(st.text() | http_dates())
@example("Thu, 01 Jan 1970 00:00:00 +9999999999999999")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_no_header_breaks_the_reading(text: str) -> None:
    wait = asked_wait({"retry-after": text}, datetime(2026, 1, 1, tzinfo=UTC))
    assert wait is None or wait >= 0


def test_waits_double_up_to_a_cap_and_end() -> None:
    policy = RetryPolicy(attempts=5, base_s=10, cap_s=30, jitter=lambda: 0.0)
    assert [policy.wait(n, None) for n in range(1, 6)] == [10, 20, 30, 30, None]


def test_jitter_adds_up_to_half() -> None:
    assert RetryPolicy(base_s=10, jitter=lambda: 0.999).wait(1, None) == pytest.approx(15, abs=0.1)


def test_an_asked_wait_is_kept_exactly_or_not_at_all() -> None:
    policy = RetryPolicy(obeyed_s=120)
    assert policy.wait(1, 120) == 120
    assert policy.wait(1, 121) is None


def test_turns_are_spaced_per_host() -> None:
    pacer = Pacer({"a": 2.0}, lambda: 100.0)
    assert [pacer.take_turn("a") for _ in range(3)] == [0, 2, 4]
    assert [pacer.take_turn("b") for _ in range(2)] == [0, 0]


def test_a_parked_host_waits_for_its_end() -> None:
    present = [100.0]
    pacer = Pacer({}, lambda: present[0])
    pacer.park("a", 50)
    pacer.park("a", 10)
    assert pacer.parked("a") == 50
    assert pacer.take_turn("a") == 50
    present[0] = 151.0
    assert pacer.parked("a") == 0
    assert pacer.take_turn("a") == 0
