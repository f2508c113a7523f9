"""The guide's example does what the guide says, and its table is the formats'."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import polars as pl

from ytap_assets.sources.importing import known_formats, parse_formats
from ytap_assets.sources.importing.refusals import known_refusals
from ytap_assets_tests.sources.files.conftest import Read

_GUIDE = (Path(__file__).parents[3] / "docs" / "importing.md").read_text(encoding="utf-8")


def _block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", _GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_worked_example_gives_what_it_says(read: Read) -> None:
    formats = parse_formats("formats:\n" + indent(_block("yaml"), "  "), origin="guide")
    fetch = read("plays_2024-05-01_US.csv", _block("csv"), formats=formats)
    shown = fetch.rows.select(
        "item_id",
        "title",
        pl.col("observed_at").dt.to_string("%Y-%m-%d %H:%M:%S"),
        pl.col("published_at").dt.to_string("%Y-%m-%d %H:%M"),
        "views",
        "likes",
        "rank",
        "region",
    )
    for row in shown.iter_rows():
        line = " | ".join("" if cell is None else str(cell) for cell in row)
        assert re.sub(r" +", " ", line) in re.sub(r" +", " ", _GUIDE)
    place, reason = fetch.quarantined.select("place", "reason").row(0)
    assert f"quarantined: {place}: {reason}" in _GUIDE
    assert (fetch.rows.height, fetch.quarantined.height) == (2, 1)


def test_every_known_format_is_in_the_guide() -> None:
    for one in known_formats():
        sources = ", ".join(one.sources)
        assert f"| `{one.name}` | {one.about} | {sources} | {one.observation} |\n" in _GUIDE


def test_every_known_refusal_is_in_the_guide() -> None:
    for one in known_refusals():
        assert f"| `{one.name}` | {one.about} |\n" in _GUIDE
