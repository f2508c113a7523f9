"""Hostile text is harmless on a terminal, and columns line up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.cli.text import clean, fit, layout, one_line, width


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("plain, caffè 漢字 🎬", "plain, caffè 漢字 🎬"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("non\u00a0breaking", "non breaking"),
        ("lone\ud800", "lone\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(hostile: str, harmless: str) -> None:
    assert clean(hostile) == harmless


@given(st.text())
def test_cleaned_text_is_printable_and_cleaning_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.replace("\u200d", "").isprintable()
    assert clean(cleaned) == cleaned


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_wide_and_combining_characters_are_measured() -> None:
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "")] == [3, 4, 1, 0]


@given(st.text().map(clean), st.integers(1, 30))
def test_text_is_cut_to_the_columns_given(text: str, columns: int) -> None:
    fitted = fit(text, columns)
    assert width(fitted) <= columns
    assert fitted == text or fitted.endswith("…")


def test_columns_line_up() -> None:
    lines = layout(["name", "n"], [["a", "1"], ["漢字漢字", "20"]], right=[False, True])
    assert lines == [
        "name       n",
        "────────  ──",
        "a          1",
        "漢字漢字  20",
    ]


@given(
    st.lists(st.tuples(st.text().map(clean), st.text().map(clean)), max_size=5),
    st.integers(12, 40),
)
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str]], columns: int) -> None:
    lines = layout(["first", "second"], rows, columns=columns)
    assert max(map(width, lines)) <= columns


def test_the_widest_column_gives_way_first() -> None:
    lines = layout(["id", "title"], [["story-1", "x" * 60]], columns=20)
    assert lines[2] == "story-1  " + "x" * 10 + "…"


def test_prose_in_the_last_column_is_never_cut() -> None:
    advice = "what to do " * 30
    lines = layout(["verdict", "advice"], [["fail", advice]], columns=40, whole_last=True)
    assert lines[2] == f"fail     {advice}".rstrip()


def test_a_huge_cell_does_not_make_a_huge_table() -> None:
    lines = layout(["title"], [["x" * 1_000_000], ["short"]])
    assert max(map(len, lines)) <= 120
