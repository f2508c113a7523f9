"""Two titles as one number."""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.stories import score_pairs


def test_scores() -> None:
    left = [
        "Bayer agrees to buy Monsanto for $66bn",
        "Bayer agrees to buy Monsanto for $66bn",
        "Google to buy Apigee",
        "Dragon Prince Zadia, episode 1",
        "",
    ]
    right = [
        "Bayer agrees to buy Monsanto for $66bn",
        "Monsanto accepts Bayer takeover of $66bn",
        "Google is down",
        "Dragon Prince Zadia, episode 2",
        "",
    ]
    same, alike, other, part, nothing = score_pairs(pl.Series(left), pl.Series(right)).to_list()
    assert same > alike > 1 > other
    assert part == nothing == 0
    assert score_pairs(pl.Series(right), pl.Series(left)).to_list()[:2] == [same, alike]
