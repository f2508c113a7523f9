"""Numbers as titles write them."""

from __future__ import annotations

import polars as pl
import pytest

from ytap_assets.domain.stories import numerals


def fold(title: str) -> str:
    folded = numerals.fold_numbers(numerals.split_signs(pl.lit(title)).str.normalize("NFKC"))
    return " ".join(str(pl.select(folded).item()).split())


@pytest.mark.parametrize(
    ("title", "folded"),
    [
        ("第一話", "第1話"),
        ("第十話", "第10話"),
        ("第十二集", "第12集"),
        ("第二十集", "第20集"),
        ("第二十三回", "第23回"),
        ("第百話 第一百零五集 第一百一十集", "第100話 第105集 第110集"),
        ("第一二集", "第12集"),
        ("(三) 其の四", "(3) 其の4"),
        ("一生一世", "一生一世"),
        ("\u0661\u0662 \u0967\u0968 \u0e51\u0e52 \uff11\uff12", "12 12 12 12"),
        ("\u2460話 a\u2776b Part\u2161", "1 話 a ❶ b Part II"),
        ("twenty-one ninety nine thirty-third", "21 99 33th"),
        ("twenty thirteen", "twenty thirteen"),
        ("vol.3 ep.12 v2.1 3.14", "vol 3 ep 12 v2.1 3.14"),
        ("(2/5) 1 / 3", "(2 of 5) 1 of 3"),
        ("5/12/2024 100/200 0/3", "5/12/2024 100/200 0/3"),
        ("物語前編", "物語 前編"),
        ("今日は月曜日", "今日は 月曜 日"),
        ("", ""),
    ],
)
def test_numbers_are_folded(title: str, folded: str) -> None:
    assert fold(title) == folded


def test_han_numerals_count_to_their_end() -> None:
    digits = "〇一二三四五六七八九"
    for number in range(1, 100):
        tens, ones = divmod(number, 10)
        ten = ("" if tens == 1 else digits[tens]) + "十" if tens else ""
        assert fold(f"第{ten}{digits[ones] if ones else ''}回") == f"第{number}回"


def test_roman_numerals() -> None:
    romans = numerals.roman_numbers()
    texts = ("i", "iv", "ix", "xiv", "xxxix")
    assert [romans[text] for text in texts] == ["1", "4", "9", "14", "39"]
    assert "iiii" not in romans


@pytest.mark.parametrize(("lines", "length"), [(numerals.WEEKDAYS, 7), (numerals.MONTHS, 12)])
def test_every_language_has_all_of_them(lines: str, length: int) -> None:
    assert {len(line.split()) for line in lines.strip().splitlines()} == {length}


def test_lines_count_from_one_and_pass_over_gaps() -> None:
    assert numerals.number_lines("a b - c\nd - e") == {
        "a": "1",
        "b": "2",
        "c": "4",
        "d": "1",
        "e": "3",
    }
