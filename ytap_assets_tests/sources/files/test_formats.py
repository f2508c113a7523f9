from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.ids import is_video_id
from ytap_assets.errors import ConfigError
from ytap_assets.sources.importing import known_formats, parse_formats
from ytap_assets.tables import RAW_TRENDS

_ENTRY = """
formats:
  - name: tracker
    about: plays
    sources: [{source}]
    columns:
      item_id: {{from: id}}
      title: {{from: name, as: title}}
      {extra}
"""


def test_every_known_format_has_a_name_of_its_own_and_fills_columns_that_exist() -> None:
    formats = known_formats()
    assert len({one.name for one in formats}) == len(formats)
    assert all(set(one.columns) <= set(RAW_TRENDS.schema) for one in formats)
    assert {source for one in formats for source in one.sources} >= {"youtube", "hn", "reddit"}


def test_says_where_the_time_of_observation_comes_from() -> None:
    said = {one.name: one.observation for one in known_formats()}
    assert said["youtube_daily_list"] == "file name or --observed-on"
    assert said["youtube_kaggle_2017_09"].startswith("column date; its year")
    assert said["hn_points_history"] == "column scraped_at"
    assert said["reddit_listings"] == "column recorded_at; else file name or --observed-on"
    asking = parse_formats(_ENTRY.format(source="youtube", extra=""), origin="x")
    assert asking[0].observation == "--observed-on"


@pytest.mark.parametrize(
    ("source", "extra", "named"),
    [
        ("tiktok", "", "sources"),
        ("youtube", "plays: {from: p}", "plays"),
        ("youtube", "collection_id: {from: p}", "collection_id"),
        ("youtube", "views: {from: p, as: number}", "views.as"),
        ("youtube", "views: {from: p, kind: count}", "views.kind"),
        ("youtube", "views: {from: p, as: count, patterns: ['%Y']}", "`patterns` go with"),
        ("youtube", "url: {from: p, matches: '('}", "regular expression"),
        ("youtube", "url: {or_from: [p]}", "`or_from` goes with `from`"),
        ("youtube", "url: {from: p}\n    records: ['a..b']", "is no step"),
        ("youtube", "url: {from: p}\n    only: {kind: [a]}", "only.kind"),
        ("youtube", "url: {from: p}\n    only: {kind: {is: [], rule: r}}", "only.kind.is"),
    ],
)
def test_refuses_an_entry_that_makes_no_sense(source: str, extra: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        parse_formats(_ENTRY.format(source=source, extra=extra), origin="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: format 'tracker'")


def test_refuses_an_entry_without_an_id() -> None:
    text = "formats: [{name: x, about: x, sources: [hn], columns: {title: {from: t}}}]"
    with pytest.raises(ConfigError, match="item_id must be declared"):
        parse_formats(text, origin="mine.yaml")


def test_refuses_a_key_or_a_name_that_stands_twice() -> None:
    entry = _ENTRY.format(source="youtube", extra="")
    with pytest.raises(ConfigError, match=r"mine\.yaml: the key `formats` stands twice"):
        parse_formats(f"{entry.rstrip()}\n{entry}", origin="mine.yaml")
    twice = entry.rstrip() + "\n" + entry.partition("formats:")[2].lstrip("\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: formats: 'tracker' and 'tracker'"):
        parse_formats(twice, origin="mine.yaml")


@pytest.mark.parametrize("text", ["formats: {", "- a", "formats: 3"])
def test_refuses_what_is_no_list_of_entries(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        parse_formats(text, origin="mine.yaml")


@given(st.text(alphabet="aZ09_-. \n", min_size=9, max_size=13))
def test_the_declared_rule_of_a_video_id_is_the_domain_s(text: str) -> None:
    for one in known_formats():
        rule = one.columns["item_id"].matches
        if one.sources[0] == "youtube":
            assert rule is not None
            assert pl.Series([text]).str.contains(rule).item() == is_video_id(text)
