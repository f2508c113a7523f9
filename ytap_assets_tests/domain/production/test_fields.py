from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.production.lines import (
    FieldError,
    Fields,
    is_script_id,
    read_instant,
    read_number,
    read_script_id,
    read_usd_micros,
    text_up_to,
    usd_to_micros,
)


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        (2.35, 2_350_000),
        (0.1 + 0.2, 300_000),
        (Decimal("2.3499999999999996"), 2_350_000),
        (Decimal("0.0000005"), 1),
        (Decimal("0.00000049"), 0),
        (0, 0),
        (3, 3_000_000),
        ("3.00", 3_000_000),
        (10**9, 10**15),
    ],
)
def test_dollars_become_whole_micro_dollars(amount: Decimal | float | str, micros: int) -> None:
    assert usd_to_micros(amount) == micros


@pytest.mark.parametrize(
    "amount", [-1, -0.01, "NaN", "Infinity", "1e999999", "three", "", 10**9 + 1, float("nan")]
)
def test_what_is_no_amount_is_refused(amount: float | str) -> None:
    with pytest.raises(FieldError, match="amount of dollars"):
        usd_to_micros(amount)


@given(st.integers(0, 10**15))
def test_micro_dollars_survive_being_written_as_dollars(micros: int) -> None:
    assert usd_to_micros(Decimal(micros) / 1_000_000) == micros


@pytest.mark.parametrize(
    "script_id",
    ["one", "0", "a_b-c", "e067cb54-b978-4df4-a96b-7f823ec171cc", "a" * 100],
)
def test_script_ids_that_are_safe_as_folder_names(script_id: str) -> None:
    assert is_script_id(script_id)


@pytest.mark.parametrize(
    "script_id",
    [
        "",
        ".",
        "..",
        "../one",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:",
        "a.b",
        "-rf",
        "_a",
        "One",
        "a b",
        "one\n",
        "é",
        "a\x00",
        "a" * 101,
        "\u0661",
        "%2e%2e",
    ],
)
def test_path_tricks_are_no_script_ids(script_id: str) -> None:
    assert not is_script_id(script_id)
    with pytest.raises(FieldError, match=r"script_id: (missing|.*1-100 characters of a-z)"):
        Fields({"script_id": script_id}).need("script_id", read_script_id)


@pytest.mark.parametrize(
    ("read", "value", "says"),
    [
        (read_number, True, "expected a number"),
        (read_number, "90", "expected a number, not '90'"),
        (read_number, float("nan"), "between"),
        (read_number, 10**10, "between -1,000,000,000 and 1,000,000,000"),
        (read_number, Decimal("-1e200"), "between"),
        (read_usd_micros, -1, "between 0 and 1,000,000,000"),
        (read_usd_micros, "2.50", "expected a number"),
        (read_usd_micros, [2], "expected a number"),
        (read_instant, 17, "expected a text"),
        (read_instant, "yesterday", "is not an instant"),
        (read_instant, "2026-11-10T09:00:00", "has no timezone"),
        (read_instant, "2026-11-10", "has no timezone"),
        (read_instant, "0001-01-01T00:00:00+14:00", "is not an instant"),
        (read_instant, "9" * 1000, "longer than 64"),
        (text_up_to(3), "four", "longer than 3"),
        (text_up_to(3), {"a": 1}, "expected a text"),
    ],
)
def test_a_reader_says_what_it_expected(
    read: Callable[[Any], Any], value: object, says: str
) -> None:
    with pytest.raises(FieldError, match=says):
        read(value)


def test_instants_are_read_in_any_zone() -> None:
    expected = datetime(2026, 11, 10, 9, 0, tzinfo=UTC)
    for text in ("2026-11-10T09:00:00Z", "2026-11-10T10:00:00+01:00", "2026-11-10 09:00+00:00"):
        read = read_instant(text)
        assert read == expected
        assert read.tzinfo is UTC


def test_all_problems_of_optional_fields_are_told_at_once() -> None:
    fields = Fields({"a": 1, "b": "x" * 9, "c": "fine", "d": " "})
    read = [fields.read(key, text_up_to(5)) for key in "abcde"]
    assert read == [None, None, "fine", None, None]
    with pytest.raises(FieldError, match=r"^a: expected a text; b: longer than 5 characters$"):
        fields.check()


def test_what_is_needed_must_be_there() -> None:
    with pytest.raises(FieldError, match=r"^a: missing$"):
        Fields({"a": " "}).need("a", text_up_to(5))
    with pytest.raises(FieldError, match=r"^a: expected a number, not 'x'$"):
        Fields({"a": "x"}).need("a", read_number)
    assert Fields({"a": 0}).need("a", read_number) == 0
