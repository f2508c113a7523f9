"""The declarations of formats: `formats.yaml`, files refused by name, and the guide's examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.ids import is_video_id
from ytap_assets.errors import ConfigError, ImportRefusedError
from ytap_assets.sources.importing import known_formats, parse_formats
from ytap_assets.sources.importing.formats import known_refusals, parse_refusals
from ytap_assets.tables import RAW_TRENDS
from ytap_assets_tests.sources.importing.conftest import Read

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
        ("youtube", "views: {from: p, as: count, patterns: ['%Y']}", "`patterns` needs"),
        ("youtube", "url: {from: p, matches: '('}", "regular expression"),
        ("youtube", "url: {or_from: [p]}", "`or_from` needs `from`"),
        ("youtube", "url: {from: p}\n    records: ['a..b']", "is not a step"),
        ("youtube", "url: {from: p}\n    only: {kind: [a]}", "only.kind"),
        ("youtube", "url: {from: p}\n    only: {kind: {is: [], rule: r}}", "only.kind.is"),
    ],
)
def test_refuses_an_invalid_format(source: str, extra: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        parse_formats(_ENTRY.format(source=source, extra=extra), origin="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: format 'tracker'")


def test_refuses_an_entry_without_an_id() -> None:
    text = "formats: [{name: x, about: x, sources: [hn], columns: {title: {from: t}}}]"
    with pytest.raises(ConfigError, match="item_id must be declared"):
        parse_formats(text, origin="mine.yaml")


def test_refuses_a_key_or_a_name_that_stands_twice() -> None:
    entry = _ENTRY.format(source="youtube", extra="")
    with pytest.raises(ConfigError, match=r"mine\.yaml: the key `formats` occurs twice"):
        parse_formats(f"{entry.rstrip()}\n{entry}", origin="mine.yaml")
    twice = entry.rstrip() + "\n" + entry.partition("formats:")[2].lstrip("\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: formats: 'tracker' and 'tracker'"):
        parse_formats(twice, origin="mine.yaml")


@pytest.mark.parametrize("text", ["formats: {", "- a", "formats: 3"])
def test_refuses_formats_that_are_no_list(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        parse_formats(text, origin="mine.yaml")


@given(st.text(alphabet="aZ09_-. \n", min_size=9, max_size=13))
def test_the_declared_rule_of_a_video_id_is_the_domain_s(text: str) -> None:
    for one in known_formats():
        rule = one.columns["item_id"].matches
        if one.sources[0] == "youtube":
            assert rule is not None
            assert pl.Series([text]).str.contains(rule).item() == is_video_id(text)


def _exchange(code: int, message: str, body: str) -> dict[str, object]:
    return {
        "recorded_at": "2016-08-08T04:32:00",
        "request": {"method": "GET", "uri": "https://x.org/?key=SECRET"},
        "status": {"code": code, "message": message},
        "body": body,
    }


_ERROR = {"error": {"code": 403, "message": "no <b>quota</b>"}}
_REFUSED = {
    "youtube_categories": {"kind": "youtube#videoCategoryListResponse", "items": [{"id": "1"}]},
    "youtube_channels": [{"kind": "youtube#channel"}, {"kind": "youtube#channel"}],
    "youtube_playlists": {"kind": "youtube#playlistItemListResponse", "items": []},
    "youtube_settings": {"kind": "youtube#i18nRegionListResponse", "items": []},
    "youtube_own_ratings": {"kind": "youtube#videoGetRatingResponse", "items": []},
    "youtube_without_videos": {"kind": "youtube#videoListResponse", "items": []},
    "reddit_comments": [{"id": "c", "link_id": "t3_1a", "body": "Aw", "score": 1}],
    "studio_table": "Content,Video title,Video publish time,Views\nTotal,,,5\n",
    "bandit_log": ",timestamp,item_id,position,click,propensity_score\n0,x,1,1,0,0.5\n",
    "bandit_items": ",item_id,item_feature_0\n0,1,0.5\n",
    "headline_test": "test,headline,impressions,clicks\nt,Fish,10,1\n",
    "time_series": "timestamp,value\n2014-04-01 00:00:00,1.5\n",
    "daily_totals": '\ufeffDay Index,Pageviews\r\n1/1/13,"92,812"',
    "archive": "PK\x03\x04\0\0",
    "parquet": "PAR1\x15\x04",
    "reddit_without_posts": [_exchange(200, "OK", '{"kind": "Listing", "data": {"children": []}}')],
    "reddit_history_without_updates": {"collected_utc": 1.5, "from_sub": "memes", "posts": {}},
    "api_errors": _ERROR,
    "api_error_messages": {"message": "Forbidden", "error": 403},
    "failed_exchanges": [
        _exchange(403, "Forbidden", '{"error": 403}'),
        _exchange(400, "Bad", "<html>"),
    ],
    "damaged_exchanges": _exchange(200, "OK", '{"kind": "Listing", "data'),
    "exchanges_without_trends": [_exchange(200, "OK", '{"kind": "t2"}')],
    "web_page": "<!DOCTYPE html>\n<html><body>Not found</body></html>",
}


@pytest.mark.parametrize("name", [one.name for one in known_refusals()])
@pytest.mark.parametrize("source", ["youtube", "hn", "reddit"])
def test_what_holds_no_observations_is_refused_with_what_it_is(
    read: Read, name: str, source: str
) -> None:
    content = _REFUSED[name]
    text = content if isinstance(content, str) else json.dumps(content)
    about = {one.name: one.about for one in known_refusals()}[name]
    with pytest.raises(ImportRefusedError) as caught:
        read("mine.json", text, source=source)
    assert str(caught.value).startswith(f"mine.json: {about}")
    assert "SECRET" not in str(caught.value)
    assert "unknown format" not in str(caught.value)


def test_the_message_shows_by_what_it_was_told(read: Read) -> None:
    with pytest.raises(ImportRefusedError) as caught:
        read("quota.json", json.dumps(_ERROR))
    assert str(caught.value) == (
        "quota.json: an error that an API answered; it holds no trends "
        "(code is '403', message is 'no <b>quota</b>')"
    )


def test_errors_within_exchanges_are_told_by_what_they_say(read: Read) -> None:
    exchanges = [{"status": 429, "body": _ERROR}, {"status": 429, "body": _ERROR}]
    with pytest.raises(ImportRefusedError, match="an error that an API answered"):
        read("limits.json", json.dumps(exchanges))


def test_hostile_values_are_shown_harmless_and_short(read: Read) -> None:
    message = "\x1b[31m\0\ud800" + "x" * 100_000
    with pytest.raises(ImportRefusedError) as caught:
        read("quota.json", json.dumps({"error": {"code": 403, "message": message}}))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_file_of_several_kinds_is_not_called_by_one(read: Read) -> None:
    mixed = [{"kind": "youtube#channel"}, {"kind": "youtube#playlist"}]
    with pytest.raises(ImportRefusedError, match="unknown format"):
        read("mine.json", json.dumps(mixed))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("", "one of `where`"),
        ("where: {kind: x}, begins: x", "one of `where`"),
        ("where: {kind: '('}", "where.kind"),
        ("where: {kind: x}, records: ['a..b']", "is not a step"),
        ("when: {kind: x}", "when"),
    ],
)
def test_refuses_an_invalid_refusal(extra: str, said: str) -> None:
    text = f"refused: [{{name: x, about: x{', ' if extra else ''}{extra}}}]"
    with pytest.raises(ConfigError, match=r"^mine.yaml: format 'x'") as caught:
        parse_refusals(text, origin="mine.yaml")
    assert said in str(caught.value)


def test_refuses_refusals_that_are_no_list() -> None:
    with pytest.raises(ConfigError, match="expected `refused:` with a list of entries"):
        parse_refusals("formats: []", origin="mine.yaml")


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
