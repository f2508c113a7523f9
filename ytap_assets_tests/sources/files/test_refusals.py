from __future__ import annotations

import json

import pytest

from ytap_assets.errors import ConfigError, ImportRefusedError
from ytap_assets.sources.importing.refusals import known_refusals, parse_refusals
from ytap_assets_tests.sources.files.conftest import Read


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
    assert "no known format" not in str(caught.value)


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
    with pytest.raises(ImportRefusedError, match="of no known format"):
        read("mine.json", json.dumps(mixed))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("", "one of `where`"),
        ("where: {kind: x}, begins: x", "one of `where`"),
        ("where: {kind: '('}", "where.kind"),
        ("where: {kind: x}, records: ['a..b']", "is no step"),
        ("when: {kind: x}", "when"),
    ],
)
def test_refuses_an_entry_that_makes_no_sense(extra: str, said: str) -> None:
    text = f"refused: [{{name: x, about: x{', ' if extra else ''}{extra}}}]"
    with pytest.raises(ConfigError, match=r"^mine.yaml: format 'x'") as caught:
        parse_refusals(text, origin="mine.yaml")
    assert said in str(caught.value)


def test_refuses_what_is_no_list_of_entries() -> None:
    with pytest.raises(ConfigError, match="expected `refused:` with a list of entries"):
        parse_refusals("formats: []", origin="mine.yaml")
