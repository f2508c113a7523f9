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
    ],
)
def test_others_do_not(left: str, right: str) -> None:
    assert not do_conflict(left, right)
