from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.sources.importing.names import DaySpan, read_name_days, year_from, year_up_to


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("default_20240703.csv.gz", "2024-07-03", "2024-07-03"),
        ("2026-03-22.csv", "2026-03-22", "2026-03-22"),
        ("stories_2025-07-26.json.gz", "2025-07-26", "2025-07-26"),
        ("stories_all_2016-09-07_to_16.csv.gz", "2016-09-07", "2016-09-16"),
        ("stories_2016-09-28_to_10-02.csv", "2016-09-28", "2016-10-02"),
        ("stories_sample_2015-09_to_2016-08.csv.gz", "2015-09-01", "2016-08-31"),
        ("2016-01-05_2016-01-02.csv", "2016-01-02", "2016-01-05"),
        ("v1_2016-02_US_USvideos.csv.gz", "2016-02-01", "2016-02-29"),
        ("US_2017_11_14.csv", "2017-11-14", "2017-11-14"),
    ],
)
def test_reads_the_days_of_a_name(name: str, first: str, last: str) -> None:
    assert read_name_days(name) == DaySpan(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "name",
    [
        "USvideos.csv",
        "algolia_responses_2014.json",
        "history_2022-2023.jsonl",
        "run_1611505252.json",
        "memes_01-24-18-51.json.gz",
        "x_20241399.csv",
        "x_2024-02-30.csv",
        "x_201609.csv",
    ],
)
def test_takes_nothing_for_a_day_that_is_none(name: str) -> None:
    assert read_name_days(name) is None


def test_an_end_that_is_no_day_is_left_out() -> None:
    assert read_name_days("x_2016-09-07_to_31.csv") == DaySpan(date(2016, 9, 7), date(2016, 9, 7))


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2099, 12, 31)))
def test_a_year_of_days_holds_each_day_and_month_at_most_once(day: date) -> None:
    for span in (year_from(day), year_up_to(day)):
        assert day in span
        days = [span.first + timedelta(n) for n in range((span.last - span.first).days + 1)]
        names = [(one.month, one.day) for one in days]
        assert len(set(names)) == len(names)
        assert len(names) in {365, 366}
