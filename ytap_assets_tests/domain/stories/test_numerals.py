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
        ("\u2460話 a\u2776b Part\u2161", "nr 1 話 a nr 1 b Part II"),
        ("twenty-one ninety nine thirty-third", "21 99 33th"),
        ("twenty thirteen", "twenty thirteen"),
        ("vol.3 ep.12 v2.1 3.14", "vol 3 ep 12 v2.1 3.14"),
        ("(2/5) 1 / 3", "(2 of 5) 1 of 3"),
        ("5/12/2024 100/200 0/3", "5/12/2024 100/200 0/3"),
        ("物語前編", "物語 前編"),
        ("第贰拾叁集 之三 三日目 四月 パート三 パート12", "第23集 之3 3日目 4月 part 3 part 12"),
        ("semi-final quarter finals segunda-feira", "semifinal quarterfinals segundafeira"),
        ("semi final semifinal", "semifinal semifinal"),
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


@pytest.mark.parametrize(
    ("title", "folded"),
    [
        ("A boat, Part A", "A boat, Part 0A"),
        ("A boat, part b", "A boat, part 0b"),
        ("Teil C: der Kiel", "Teil 0C: der Kiel"),
        ("(Volume D)", "(Volume 0D)"),
        ("Part A of a boat", "Part 0A of a boat"),
        ("Section B explained", "Section 0B explained"),
        ("Часть Б. Киль", "Часть 0Б. Киль"),
        ("פרק ב'", "פרק 0ב'"),
        ("A boat - B", "A boat - 0B"),
        ("A boat [C]", "A boat [0C]"),
        ("The part a mother plays", "The part a mother plays"),
        ("THE PART A MOTHER PLAYS", "THE PART A MOTHER PLAYS"),
        ("Part a: a boat", "Part a: a boat"),
        ("Plan B", "Plan B"),
        ("Vitamin C - a history", "Vitamin C - a history"),
        ("Part I, Part V, Part X", "Part I, Part V, Part X"),
        ("Depart B", "Depart B"),
        ("So happy :D", "So happy :D"),
        ("", ""),
    ],
)
def test_letters_that_count_are_marked(title: str, folded: str) -> None:
    assert pl.select(numerals.fold_letters(numerals.unaccent(pl.lit(title)))).item() == folded


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        (numerals.WEEKDAYS, 7),
        (numerals.SHORT_WEEKDAYS, 7),
        (numerals.MONTHS, 12),
        (numerals.SHORT_MONTHS, 12),
        (numerals.SEASONS, 4),
        (numerals.HOURS, 5),
    ],
)
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
