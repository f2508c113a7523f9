"""What sets the parts of a series apart."""

from __future__ import annotations

import polars as pl
import pytest

from ytap_assets.domain.stories.serials import find_conflicts, read_marks
from ytap_assets.domain.stories.terms import read_words


def do_conflict(left: str, right: str) -> bool:
    titles = pl.DataFrame({"title": [left, right]}).with_row_index("title_no")
    marks = read_marks(read_words(titles)).rename({"title_no": "group"})
    pairs = pl.DataFrame({"group": [0], "other": [1]}).cast(pl.UInt32)
    return find_conflicts(pairs, marks).height == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Episode 12: The Heist", "The Trial, episode 13"),
        ("Grian S09E12", "Grian S09E13"),
        ("Cartola #2", "Cartola #3"),
        ("Avlu 18. Bölüm", "Avlu 19. Bölüm Fragman"),
        ("第12話 前編", "第13話"),
        ("Sugod Bahay | October 31", "November 13 Sugod Bahay"),
        ("Show 30-10-2018", "Show 31-10-2018"),
        ("Show 20171110", "Show 20171111"),
        ("Slime 272 videos", "Slime 273 videos"),
        ("Bills vs Patriots", "Browns vs. Steelers"),
        # Numerals in letters, Roman, in other digits, in signs of one character.
        ("A boat alone, Part II", "A boat alone, Part III: the keel"),
        ("Part \u2161: the keel", "Part \u2162: the mast"),
        ("Act I", "Act II"),
        ("World War I", "A history of World War II"),
        ("Rocky II review", "Review: Rocky III"),
        ("A boat (Part One)", "The mast of a boat (Part Two)"),
        ("Part Twenty-One", "The keel, part twenty-two"),
        ("Season two trailer", "Trailer: season three"),
        ("Half-Life 2: Episode One", "Half-Life 2: Episode Two"),
        ("Second test, day four", "Second test, day five: rain"),
        ("2nd ODI live", "3rd ODI highlights"),
        ("Teil drei: Das Boot", "Das Boot, Teil vier"),
        ("Zweite Staffel", "Die dritte Staffel kommt"),
        ("La première partie du film", "Le film, deuxième partie"),
        ("La segunda temporada", "Tercera temporada: tráiler"),
        ("Часть первая: киль", "Лодка, часть вторая"),
        ("الحلقة الأولى", "الحلقة الثانية كاملة"),
        ("भाग ३ नाव", "नाव भाग ४"),
        ("ตอนที่ ๓ เรือ", "เรือ ตอนที่ ๔"),
        ("제3회 배", "배 제4회"),
        ("修复帆船 第十二集", "修复帆船 第十三集"),
        ("第三話", "物語 第四話"),
        ("第3季第5集", "帆船 第3季第6集"),
        ("第12話前編", "第13話後編"),
        ("日记\uff08三\uff09", "日记\uff08四\uff09"),
        ("その一 竜骨", "その二 帆柱"),
        ("Boat \u2460", "Boat \u2461"),
        ("第\u2460話 竜骨", "第\u2461話 帆柱"),
        ("\uff25\uff50\uff49\uff53\uff4f\uff44\uff45\u3000\uff11\uff12", "Episode 13: the mast"),
        # Parts and glued forms.
        ("Boat 1/3: the keel", "The mast 2/3"),
        ("Boat (2 of 5)", "The mast (3 of 5)"),
        ("Boat pt. 2", "The mast, pt.3"),
        ("Vol.3 the keel", "Vol.4 the mast"),
        ("\u2116 5: the keel", "\u2116 6: the mast"),
        ("Grian S01E06", "Grian S02E06"),
        ("Grian 1x06", "Grian 1x07 again"),
        ("物語【前編】", "物語【後編】"),
        ("沈没船の物語前編", "沈没船の物語後編"),
        ("小说(上)", "小说(下)"),
        ("상편 배", "하편 배"),
        # Weekdays, months, years, dates, versions.
        ("The opening bell Monday", "The opening bell Tuesday"),
        ("Monday Thread: ask anything", "Thread for Tuesday"),
        ("Lundi matin", "Mardi matin"),
        ("月曜日の雑談", "火曜日の雑談"),
        ("周一早报", "周二早报"),
        ("월요일 토론", "화요일 토론"),
        ("Morning briefing", "Evening briefing"),
        ("Summer sale", "Winter sale"),
        ("Jobs report January", "Jobs report February"),
        ("Who is hiring? (March 2023)", "Who is hiring in April 2023"),
        ("Best laptops 2023", "Best laptops 2024"),
        ("The best budget laptops in 2023", "Laptops 2024: the best on a budget"),
        ("May 1st: marches", "Photos of May 2nd"),
        ("1st of May marches", "Photos, 2nd of May"),
        ("1. Mai Demo", "Demo am 2. Mai"),
        ("1 de mayo: fotos", "Fotos del 2 de mayo"),
        ("Show 2024-05-01", "2024-05-02 the show"),
        ("5月1日の雑談", "雑談 5月2日"),
        ("Python v2.1 notes", "Notes on Python v2.2"),
        ("Rust 1.80 released", "Announcing Rust 1.81"),
        ("Kernel 6.1.2", "What Kernel 6.1.3 fixes"),
    ],
)
def test_parts_conflict(left: str, right: str) -> None:
    assert do_conflict(left, right)
    assert do_conflict(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Episode 12: The Heist", "The Heist"),
        ("Episode 12: The Heist", "The Heist (episode 012)"),
        ("6.8 quake strikes off Solomon Islands", "Magnitude 6.3 quake strikes Solomon Islands"),
        ("8 dead in Pittsburgh shooting", "Pittsburgh shooting: 11 are dead"),
        ("Bills vs Patriots", "Patriots vs Bills highlights"),
        ("A title", "Another"),
        ("Rocky II review", "Rocky 2 review"),
        ("Part II", "Part 2: the keel"),
        ("Teil drei", "Teil 3"),
        ("第三話", "第3話 竜骨"),
        ("Season 4 of a show", "A show, season four"),
        ("Apple may launch Monday", "Apple to launch on Tuesday"),
        ("Two dead in Leeds shooting", "Three dead in Leeds shooting"),
        ("I was there", "We were there"),
        ("Magnitude 6.8 quake", "Magnitude 6.3 quake: update released"),
        ("Uber announces 1.2 billion round", "Uber announced 1.6 billion"),
        ("April 14 episode of a show", "The first episode of a show"),
        ("One day in Leeds", "Two days in Leeds"),
        ("Xi visits Moscow", "Putin visits Moscow"),
        ("Founded in 1994, a shop opens", "A shop to open in 2016"),
        ("All tests pass on 2.7.2", "Tests of the port pass on 2.5.4 and 2.7.2"),
        ("May 1 protests", "1st of May protests"),
        ("Day one patch", "Out on March 11"),
        ("Q1 outlook", "Shares fall on fourth-quarter results"),
    ],
)
def test_others_do_not(left: str, right: str) -> None:
    assert not do_conflict(left, right)
