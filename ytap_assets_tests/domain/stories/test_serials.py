"""What sets the parts of a series apart."""

from __future__ import annotations

import polars as pl
import pytest

from ytap_assets.domain.stories.serials import find_conflicts, read_marks
from ytap_assets.domain.stories.terms import number_words

PARTS = [
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
    # Letters.
    ("The keel of a boat, Part A", "The mast of a ship, Part B"),
    ("Part A: the keel", "The mast (Part C)"),
    ("Repair a boat, Teil A", "Repair a boat, Teil B"),
    ("partie A du film", "Le film, partie B"),
    ("Le film (partie A)", "Le film (partie B)"),
    ("Volume C", "Volume D"),
    ("World Cup Group A: the table", "The table of Group B"),
    ("Exhibit B of the trial", "Exhibit C of the trial"),
    ("Section B explained", "Section C explained"),
    ("My boat - A", "My boat - B"),
    ("My boat (A)", "My boat (C)"),
    ("Часть \u0410. Киль", "Мачта, часть Б"),
    ("μέρος \u0392: πλοίο", "πλοίο, μέρος Γ"),
    ("פרק א", "פרק ב"),
    ("Part 2b: keel", "Part 2c: mast"),
    ("Part 2a: keel", "Part 2b: mast"),
    ("Part H", "Part I"),
    # Short names of weekdays and months.
    ("The opening bell Mon", "The opening bell Tue"),
    ("The opening bell Wed.", "The opening bell Thu."),
    ("The opening bell Sat", "The opening bell Sun"),
    ("Sat: the opening bell", "Sun: the opening bell"),
    ("The opening bell, Tues", "The opening bell Thursday"),
    ("Jobs report Jan", "Jobs report Feb"),
    ("Jobs report Jan.", "Jobs report Mar."),
    ("Jobs report May", "Jobs report Jun"),
    ("Informe de empleo ene", "Informe de empleo dic"),
    ("Rapport emploi janv", "Rapport emploi févr."),
    ("Новости пн", "Новости вт"),
    ("ニュース(月)", "ニュース(火)"),
    ("뉴스 (월)", "뉴스 (화)"),
    # Different names of a part of one whole.
    ("第三話 竜骨", "① 竜骨"),
    ("제2화 배", "상편 배"),
    ("第2話 竜骨", "上編 竜骨"),
    ("第3話 竜骨", "Episode 4: 竜骨"),
    ("Episode #3: keel", "Mast, episode 4"),
    ("Part 3: the keel", "The mast, episode 1"),
    ("Boat ③", "Part 1 of a boat"),
    ("Part ❷", "Part ❸"),
    ("Boat 1/3: the keel", "The mast, part 2"),
    # First and last parts, stages.
    ("Boat [Pilot]", "Boat [Finale]"),
    ("Boat show season premiere", "Boat show season finale"),
    ("Opening ceremony of the games", "Closing ceremony of the games"),
    ("The test match, day 1", "The test match, final day"),
    ("Cup semi-final: all goals", "Cup final: all goals"),
    ("Cup semi-final: all goals", "Cup quarter-final: all goals"),
    ("Cup round of 16 highlights", "Cup round of 32 highlights"),
    ("Boat race first half", "Boat race second half"),
    ("The boat, morning edition", "The boat, evening edition"),
    ("Acme results Q1", "Acme results Q2"),
    ("Acme results H1 2025", "Acme results H2 2025"),
    ("Acme Q1 2025 results", "Acme Q2 2025 results"),
    ("Letzte Folge: Boot", "Folge 1: Boot"),
    # More ways to write numbers, days and times.
    ("PartII", "PartIII: keel"),
    ("Super Bowl LVIII", "Super Bowl LIX"),
    ("Gameweek 12 tips", "Tips for gameweek 13"),
    ("segunda-feira: notícias", "terça-feira: notícias"),
    ("Новости январь", "Новости февраль"),
    ("星期六新闻", "星期天新闻"),
    ("三月新闻", "四月新闻"),
    ("三日目の旅", "四日目の旅"),
    ("旅 前半", "旅 後半"),
    ("小说 第贰集", "小说 第叁集"),
    ("旅 之三", "旅 之四"),
    ("午前のニュース", "午後のニュース"),
    ("배 (상)", "배 (하)"),
    ("Sale this fall", "Sale this spring"),
    ("Journal du matin", "Journal du soir"),
    ("Boot Sonnabend", "Boot Sonntag"),
    ("パート三 竜骨", "パート四 帆"),
    ("Saga - episode 27", "Saga - Last episode 28"),
]
OTHERS = [
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
    ("An 8-part series on a boat", "The boat, episode 1"),
    ("No one saw the boat", "The boat, part 2"),
    ("Apple moves into the car", "Tue: Apple moves in"),
    ("Q1 outlook", "Shares fall on fourth-quarter results"),
    ("Part a of the wood", "Part B of the wood"),
    ("Plan B fails in Leeds", "Plan C is what failed Leeds"),
    ("Vitamin C helps colds", "Vitamin D might help colds"),
    ("The part a mother plays", "The part B. plays"),
    ("The Day A Man Walked", "The Day B"),
    ("Episode 12 (Part 3)", "Episode 12: the keel"),
    ("Season 4 finale of a show", "The season finale of a show"),
    ("Season premiere of a show", "A show, season 4"),
    ("前編 竜骨", "第1話 竜骨"),
    ("後編 竜骨", "第3話 竜骨"),
    ("第三話 竜骨", "③ 竜骨"),
    ("제2화 배", "하편 배"),
    ("Day 5 of the test", "The test's final day"),
    ("Sun sets over Leeds", "Sat in Leeds, sun sets"),
    ("X reaches semi-final by beating Y in quarter-final", "X in semifinal"),
    ("Section A", "section a"),
    ("Two groups sue", "3 groups sue"),
    ("Apple rose 5% last week", "Apple week 1"),
    ("5月1日の雑談", "雑談 5月1日"),
    ("The semi-final", "The semifinal"),
    ("Part A", "Part \uff21"),
    ("Part A", "Part\u200b A"),
    ("Ed sings in the Live Lounge", "Ed sings Live in X"),
]


@pytest.fixture(scope="module")
def conflicts() -> set[tuple[str, str]]:
    """The conflicting pairs of all cases, each tried in both directions, found at once."""
    tried = [pair for case in (*PARTS, *OTHERS) for pair in (case, case[::-1])]
    titles = pl.DataFrame({"title": [title for pair in tried for title in pair]})
    words = number_words(titles.with_row_index("title_no"))
    first = pl.int_range(0, 2 * len(tried), 2, dtype=pl.UInt32, eager=True)
    pairs = pl.DataFrame({"group": first, "other": first + 1})
    found = find_conflicts(pairs, read_marks(*words).rename({"title_no": "group"}))
    return {tried[group // 2] for group in found["group"]}


@pytest.mark.parametrize(("left", "right"), PARTS)
def test_parts_conflict(conflicts: set[tuple[str, str]], left: str, right: str) -> None:
    assert (left, right) in conflicts
    assert (right, left) in conflicts


@pytest.mark.parametrize(("left", "right"), OTHERS)
def test_others_do_not(conflicts: set[tuple[str, str]], left: str, right: str) -> None:
    assert (left, right) not in conflicts


def test_differences_that_cannot_be_seen_are_none() -> None:
    titles = [
        "A boat, Part A",
        "A boat, Part\u00a0A",
        "A bo\u00adat, Part \u200bA",
        "\uff21 boat, \uff30art \uff21",
        "A BOAT, PART A",
    ]
    words, vocabulary = number_words(pl.DataFrame({"title": titles}).with_row_index("title_no"))
    assert words.group_by("title_no").agg("word").get_column("word").n_unique() == 1
    assert read_marks(words, vocabulary).group_by("key").len().get_column(
        "len"
    ).unique().to_list() == [5]
