"""Detection of formats, and one file of recorded trends as a fetch."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError, ImportRefusedError
from ytap_assets.sources.importing import read_trend_file
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS
from ytap_assets_tests.sources.importing.conftest import Read
from ytap_assets_tests.sources.importing.samples import (
    DAILY,
    DAILY_HEADER,
    DAILY_NAME,
    HN,
    HN_HEADER,
    KAGGLE,
)
from ytap_assets_tests.storable import check_storable


def test_a_file_of_no_known_format_is_refused_with_the_nearest_one(read: Read) -> None:
    text = HN.replace("num_points", "score_of_story").replace("created_at", "made")
    with pytest.raises(ImportRefusedError) as caught:
        read("mine.csv", text, source="hn")
    message = str(caught.value)
    assert message.startswith("mine.csv: unknown format. Its columns: 'id', 'title', 'url', ")
    assert "hn_stories (Hacker News stories" in message
    assert "which also needs created_at, num_points" in message or (
        "which also needs num_points" in message
    )
    assert "Known formats of hn: hn_stories, " in message
    assert "youtube" not in message
    assert "docs/importing.md" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"SQ\x03\x04\0\0\0\0lite",
        "id,title".encode("utf-16-le"),
        b"\xff\xfd\xfd",
        b"[]",
    ],
)
def test_a_file_without_named_columns_is_refused(read: Read, content: bytes) -> None:
    with pytest.raises(ImportRefusedError, match="contains no rows with named columns"):
        read("mine.bin", content)


def test_broken_json_is_refused(read: Read) -> None:
    with pytest.raises(ImportRefusedError, match=r"mine\.json: is not valid JSON"):
        read("mine.json", '{"hits": [{"objectID": "1"')


def test_hostile_names_of_columns_are_shown_harmless_and_short(read: Read) -> None:
    header = ",".join(["\x1b[31mred", "x" * 10_000, *(f"c{number}" for number in range(500))])
    with pytest.raises(ImportRefusedError) as caught:
        read("mine.csv", header + "\n1,2\n")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_a_file_of_another_source_is_refused_with_the_right_one(read: Read) -> None:
    with pytest.raises(ImportRefusedError, match="import it with --source youtube, not hn"):
        read(DAILY_NAME, DAILY, source="hn")


def test_the_nearest_format_is_of_the_source_that_was_asked_for(read: Read) -> None:
    header = "id,title,score,num_comments,created_utc,subreddit,link\n"
    with pytest.raises(ImportRefusedError) as caught:
        read("posts.csv", header + "a,b,1,2,3,c,d\n", source="youtube")
    assert "It looks like --source reddit (reddit_" in str(caught.value)
    nearest = str(caught.value).partition("The nearest format is ")[2]
    assert nearest.startswith("youtube_")
    with pytest.raises(ImportRefusedError) as caught:
        read("posts.csv", header + "a,b,1,2,3,c,d\n", source="reddit")
    assert "It looks like" not in str(caught.value)
    assert "nearest format is reddit_posts" in str(caught.value)
    assert "also needs url" in str(caught.value)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_tables_of_other_delimiters_are_read(read: Read, delimiter: str) -> None:
    name, text = "stories_2016-09-16.csv", HN.replace('""quoted""', "quoted, too")
    fetch = read(name, text.replace(",", delimiter), source="hn")
    assert fetch.rows.get_column("item_id").to_list() == ["12518265", "12405698"]
    packed = read(name, text.replace(",", delimiter).encode("utf-16"), source="hn")
    assert packed.rows.drop("collection_id").equals(fetch.rows.drop("collection_id"))


def test_the_name_does_not_matter_for_the_format(read: Read) -> None:
    fetch = read("data.txt", HN, source="hn", observed_on=date(2016, 9, 16))
    assert fetch.rows.height == 2


def test_a_table_saved_by_a_spreadsheet_in_other_capitals_is_read(read: Read) -> None:
    header = "ID;Title;URL;Num Points;num-comments;Author;Created_At"
    row = "1;Story;https://example.org/1;12;3;u;9/16/2016 3:21"
    fetch = read("stories_2016-09-17.csv", f"sep=;\r\n{header}\r\n{row}\r\n", source="hn")
    assert fetch.rows.select("item_id", "title", "points", "comments").rows() == [
        ("1", "Story", 12, 3)
    ]


def test_names_that_fit_as_they_are_go_before_those_that_are_like_them(read: Read) -> None:
    header = "id,title,Title,url,num_points,num_comments,author,created_at"
    row = "1,Story,Other,https://example.org/1,12,3,u,9/16/2016 3:21"
    fetch = read("stories_2016-09-17.csv", f"{header}\n{row}\n", source="hn")
    assert fetch.rows["title"].to_list() == ["Story"]


BELOW = "below 1,000,000,000,000,000"
_KAGGLE_NAME = "v1_2017-09_US_USvideos.csv.gz"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _column(fetch: Fetch, name: str) -> list[Any]:
    return fetch.rows.get_column(name).to_list()


def _reasons(fetch: Fetch) -> list[tuple[str, str]]:
    return [tuple(row) for row in fetch.quarantined.select("place", "reason").iter_rows()]


def test_a_daily_list(read: Read, now: datetime) -> None:
    fetch = read(DAILY_NAME, DAILY)
    assert fetch.rows.schema == RAW_TRENDS.schema
    first = fetch.rows.row(0, named=True)
    collection_id = first.pop("collection_id")
    assert first == {
        "workspace_id": "tech",
        "day": date(2024, 10, 2),
        "source": "youtube",
        "item_id": "abcdefghijk",
        "observed_at": _at("2024-10-02T23:59:59"),
        "title": "Fish &amp; chips",
        "url": "https://www.youtube.com/watch?v=abcdefghijk",
        "discussion_url": "https://www.youtube.com/watch?v=abcdefghijk",
        "published_at": _at("2024-10-01T20:00:02.500000"),
        "points": None,
        "comments": None,
        "likes": None,
        "views": 1204,
        "list_name": "gaming",
        "part": 0,
        "rank": 1,
        "region": None,
        "category": "gaming",
        "channel_id": "UCcooks",
        "channel_title": "Cooks",
        "duration_s": 90,
        "is_promoted": None,
    }
    assert fetch.log == {
        "workspace_id": "tech",
        "day": date(2024, 10, 2),
        "collection_id": collection_id,
        "source": "youtube",
        "target": DAILY_NAME,
        "history": "file",
        "outcome": "ok",
        "detail": None,
        "http_status": None,
        "attempts": 0,
        "started_at": now,
        "finished_at": now,
        "fetched": 3,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": "run-1",
    }
    assert_frame_equal(fetch.payloads, RAW_PAYLOADS.empty())


def test_what_is_unknown_in_a_daily_list_is_null_and_the_duplicate_stays(read: Read) -> None:
    fetch = read(DAILY_NAME, DAILY)
    assert _column(fetch, "views") == [1204, None, None]
    assert _column(fetch, "duration_s") == [90, None, None]
    assert _column(fetch, "rank") == [1, 2, 3]
    assert _column(fetch, "item_id")[1:] == ["lmnopqrstuv"] * 2


@pytest.mark.parametrize(
    ("name", "list_name"), [("gaming_20241002.csv", "gaming"), ("20241002.csv", "chart")]
)
def test_a_daily_list_is_called_as_its_file(read: Read, name: str, list_name: str) -> None:
    assert _column(read(name, DAILY), "list_name") == [list_name] * 3


def test_what_no_list_is_known_of_has_one_name_for_it(read: Read) -> None:
    fetch = read("stories_2016-09-16.csv", HN, source="hn")
    assert _column(fetch, "list_name") == ["items"] * 2


def test_the_edition_with_creator_on_rise_takes_the_shown_age(read: Read) -> None:
    header, *rows = DAILY.split("\r\n")[0], *DAILY[len(DAILY_HEADER) :].split("\r\n")[:2]
    text = "\r\n".join([f"{header},creatorOnRise", *(f"{row},False" for row in rows)])
    fetch = read("default_20240703.csv", text)
    assert _column(fetch, "published_at") == [
        _at("2024-07-02T20:00:00"),
        _at("2024-07-03T19:00:00"),
    ]


def test_a_table_of_many_days_without_years(read: Read) -> None:
    fetch = read(_KAGGLE_NAME, KAGGLE)
    assert _column(fetch, "observed_at") == [
        _at("2017-12-30T23:59:59"),
        _at("2017-12-30T23:59:59"),
        _at("2018-01-02T23:59:59"),
    ]
    assert _column(fetch, "day") == [date(2017, 12, 30), date(2017, 12, 30), date(2018, 1, 2)]
    assert _column(fetch, "rank") == [1, 2, 1]
    assert _column(fetch, "region") == ["US"] * 3
    assert _column(fetch, "views") == [1000, None, 20]
    assert _column(fetch, "likes") == [50, None, 0]
    assert _column(fetch, "comments") == [7, None, 1]
    assert fetch.log["day"] == date(2018, 1, 2)


def test_the_year_may_come_from_the_caller(read: Read) -> None:
    fetch = read("USvideos.csv", KAGGLE, observed_on=date(2020, 1, 10))
    assert _column(fetch, "day") == [date(2019, 12, 30), date(2019, 12, 30), date(2020, 1, 2)]
    with pytest.raises(ImportRefusedError, match="the year of its dates; give it with --obs"):
        read("USvideos.csv", KAGGLE)


def test_stories_of_hacker_news(read: Read) -> None:
    fetch = read("stories_all_2016-09-07_to_16.csv.gz", HN, source="hn")
    assert _column(fetch, "title") == ['A "quoted" title', "Ask HN: no link"]
    assert _column(fetch, "published_at") == [_at("2016-09-16T23:55"), _at("2016-09-07T08:04")]
    assert _column(fetch, "day") == [date(2016, 9, 16), date(2016, 9, 7)]
    assert _column(fetch, "observed_at") == [_at("2016-09-16T23:59:59")] * 2
    page = "https://news.ycombinator.com/item?id="
    assert _column(fetch, "url") == ["https://example.org/a", f"{page}12405698"]
    assert _column(fetch, "discussion_url") == [f"{page}12518265", f"{page}12405698"]
    assert _column(fetch, "comments") == [17, 0]
    assert fetch.log["day"] == date(2016, 9, 16)


def test_a_file_that_does_not_say_when_it_was_observed_asks(read: Read) -> None:
    with pytest.raises(
        ImportRefusedError, match=r"hacker_news\.csv: hn_stories .*--observed-on DAY"
    ):
        read("hacker_news.csv", HN, source="hn")
    fetch = read("hacker_news.csv", HN, source="hn", observed_on=date(2016, 9, 26))
    assert _column(fetch, "observed_at") == [_at("2016-09-26T23:59:59")] * 2
    assert fetch.log["day"] == date(2016, 9, 26)


def test_the_caller_goes_before_the_name_of_the_file(read: Read) -> None:
    fetch = read(DAILY_NAME, DAILY, observed_on=date(2024, 10, 5), region="GB")
    assert set(_column(fetch, "day")) == {date(2024, 10, 5)}
    assert _column(read(_KAGGLE_NAME, KAGGLE, region="GB"), "region") == ["GB"] * 3


def test_a_day_before_what_the_file_holds_is_refused(read: Read) -> None:
    with pytest.raises(ImportRefusedError, match="published up to 2016-09-16, after --observed-on"):
        read("hacker_news.csv", HN, source="hn", observed_on=date(2016, 9, 10))


@pytest.mark.parametrize("region", ["us", "USA", "U\n", "", "EU", "XX"])
def test_a_region_that_is_none_is_refused(read: Read, region: str) -> None:
    with pytest.raises(ImportRefusedError, match="--region"):
        read(DAILY_NAME, DAILY, region=region)


def test_a_workspace_that_cannot_be_is_refused(read: Read) -> None:
    with pytest.raises(ConfigError, match="Tech"):
        read(DAILY_NAME, DAILY, workspace_id="Tech")


_HIT = (
    '{"objectID": "8450147", "title": "A &amp; B", "points": 573, "num_comments": 119, '
    '"created_at": "2014-10-13T19:31:46Z", "url": "https://example.org"}'
)
_ASK = (
    '{"objectID": "3746692", "title": "Ask", "points": 5, "num_comments": null, '
    '"created_at": "2012-03-23T19:19:37.000Z", "url": null}'
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'{{"nbHits": 3, "hits": [{_HIT}, {_ASK}, null]}}', "item 3"),
        (f'[{{"url": "/api", "reply": {{"hits": [{_HIT}, {_ASK}, null]}}}}]', "item 3"),
        (f"[{_HIT}, {_ASK}, null]", "item 3"),
        (f'{{"go": [{_HIT}], "rust": [{_ASK}, null]}}', "item 3"),
        (f"{_HIT}\n{_ASK}\nnull\n", "line 3"),
        (f"{_HIT}\n{_ASK}\n{{nonsense\n", "line 3"),
    ],
)
def test_answers_of_algolia_in_every_wrapping(read: Read, text: str, place: str) -> None:
    fetch = read("stories_2025-07-26.json.gz", text, source="hn")
    assert _column(fetch, "item_id") == ["8450147", "3746692"]
    assert _column(fetch, "title") == ["A & B", "Ask"]
    assert _column(fetch, "day") == [date(2014, 10, 13), date(2012, 3, 23)]
    assert _column(fetch, "observed_at") == [_at("2025-07-26T23:59:59")] * 2
    assert _column(fetch, "comments") == [119, None]
    assert _column(fetch, "url") == [
        "https://example.org",
        "https://news.ycombinator.com/item?id=3746692",
    ]
    assert fetch.quarantined.get_column("place").to_list() == [place]
    assert fetch.log["fetched"] == 3


def test_the_topic_of_a_list_is_the_category(read: Read) -> None:
    fetch = read("stories_2025-07-26.json", f'{{"go": [{_HIT}], "rust": [{_ASK}]}}', source="hn")
    assert _column(fetch, "category") == ["go", "rust"]


def test_a_history_of_snapshots_says_itself_when_it_was_observed(read: Read) -> None:
    item = (
        '{"id": "1", "title": "t", "url": "https://x.org", "dt": "2022-03-06T05:15:00 1646543700", '
        '"commentsUrl": "https://x.org/1"'
    )
    text = (
        f'{{"scraped_at": "2022-03-14T02:24:00+00:00", "items": [{item}, "numComments": 2}}]}}\n'
        f'{{"scraped_at": "2022-03-14T03:24:00+00:00", "items": []}}\n'
        f'{{"scraped_at": "2022-03-15T02:24:00+00:00", '
        f'"items": [{item}, "numComments": NaN, "points": 5}}]}}\n'
    )
    fetch = read("history.jsonl", text, source="hn")
    assert _column(fetch, "observed_at") == [_at("2022-03-14T02:24"), _at("2022-03-15T02:24")]
    assert _column(fetch, "points") == [None, 5]
    assert _column(fetch, "comments") == [2, None]
    assert _column(fetch, "published_at") == [_at("2022-03-06T05:15")] * 2
    with pytest.raises(ImportRefusedError, match="the column scraped_at contains the time"):
        read("history.jsonl", text, source="hn", observed_on=date(2022, 3, 15))


def test_other_editions_are_entries_too(read: Read) -> None:
    full = (
        "video_id,trending_date,title,channel_title,category_id,publish_time,tags,views,likes,"
        "dislikes,comment_count,thumbnail_link,comments_disabled,ratings_disabled,"
        "video_error_or_removed,description\n"
        'abcdefghijk,17.14.11,T,C,10,2017-11-10T17:00:03.000Z,"a"|"b",9,0,0,0,x,True,True,False,"d'
    )
    fetch = read("CAvideos.csv", full)
    assert _column(fetch, "day") == [date(2017, 11, 14)]
    assert (_column(fetch, "likes"), _column(fetch, "comments")) == ([None], [None])
    assert _column(fetch, "region") == ["CA"]
    reduced = (
        "video_id,trending_date,title,category_id,views\n"
        "#NOME?,17.14.11,T,10,9\nabcdefghijk,18.14.06,T,10,0\n"
    )
    fetch = read("CA_videos.csv", reduced)
    assert _column(fetch, "rank") == [None]
    assert _column(fetch, "views") == [0]
    assert _reasons(fetch)[0][1].startswith(
        "column video_id contains '#NOME?', which is not a YouTube"
    )
    new = (
        "video_id,title,publishedAt,channelId,channelTitle,categoryId,trending_date,tags,"
        "view_count,likes,dislikes,comment_count,thumbnail_link,comments_disabled,"
        "ratings_disabled,description\n"
        '"abcdefghijk","T","2020-08-11T19:20:14Z","UCx","C","22","2020-08-12T00:00:00Z","t",'
        '"5","0","0","0","x","False","False","cut in the\nmid'
    )
    fetch = read("new_2020-08_JP_truncated.csv", new)
    assert _column(fetch, "day") == [date(2020, 8, 12)]
    assert (_column(fetch, "likes"), _column(fetch, "comments")) == ([0], [0])


def test_snapshots_by_keyword(read: Read) -> None:
    text = (
        "\ufeffvideo_id,title,channel_id,channel_name,category_id,category_name,published_at,"
        "view_count,like_count,comment_count,duration_seconds,thumbnail_url,tags,fetched_at,region\r\n"
        'abcdefghijk,T,UCx,C,custom_LLM,LLM,2026-03-19T12:01:45Z,9,8,,436,x,"[""a"", ""b""]",'
        "2026-03-22T15:14:39.454332+00:00,US\r\n"
    )
    fetch = read("any.csv", text, source="youtube_channel", region="GB")
    assert _column(fetch, "observed_at") == [_at("2026-03-22T15:14:39.454332")]
    assert _column(fetch, "comments") == [None]
    assert _column(fetch, "region") == ["US"]
    assert _column(fetch, "source") == ["youtube_channel"]


def test_tables_of_reddit(read: Read) -> None:
    top = (
        "created_utc,score,domain,id,title,num_comments,permalink,selftext,url\r\n"
        '1354107205.0,-5,x,13xj6d,A &gt; B,596,http://www.reddit.com/r/Music/comments/13xj6d/a/,"a\nb",'
        "http://x.org/?a=1&amp;b=2\r\n"
    )
    fetch = read("Music.csv", top, source="reddit", observed_on=date(2013, 8, 31))
    assert _column(fetch, "title") == ["A > B"]
    assert _column(fetch, "points") == [-5]
    assert _column(fetch, "url") == ["http://x.org/?a=1&b=2"]
    assert _column(fetch, "category") == ["Music"]
    posts = (
        "id,title,selftext,score,num_comments,created_utc,subreddit,url\n"
        "1lqrgwv,T,,24,8,2025-07-03T14:47:51+00:00,technology,/r/x/comments/1lhn1x9/\n"
    )
    fetch = read("posts_2025-07.csv", posts, source="reddit")
    assert _column(fetch, "url") == ["https://www.reddit.com/r/x/comments/1lhn1x9/"]
    assert _column(fetch, "day") == [date(2025, 7, 31)]


def test_rows_that_cannot_be_read_are_put_aside_with_their_line(read: Read, now: datetime) -> None:
    text = (
        HN_HEADER.encode()
        + b'1,"two\nlines",,1,2,u,9/7/2016 8:04\n'
        + b"-,bad id,,1,2,u,9/7/2016 8:04\n"
        + b"2,caf\xe9,,1,2,u,9/7/2016 8:04\n"
        + b"3,nul\0,,1,2,u,9/7/2016 8:04\n"
        + b"4,formula,,=1+1,2,u,9/7/2016 8:04\n"
        + b"5,,,1,2,u,7.9.2016\n"
        + b"6,few\n"
    )
    fetch = read("stories_2016-09-16.csv", text, source="hn")
    assert _column(fetch, "item_id") == ["1"]
    assert _reasons(fetch) == [
        ("line 4", "column id contains '-', which is not a Hacker News id (a whole number)"),
        ("line 5", "contains bytes that are not UTF-8"),
        ("line 6", "column title contains 'nul\\x00', which contains a NUL character"),
        ("line 7", f"column num_points contains '=1+1', which is not a whole number, {BELOW}"),
        (
            "line 8",
            "column title is empty, but is required; column created_at contains '7.9.2016', "
            "which is not a time such as MM/DD/YYYY hh:mm or YYYY-MM-DD hh:mm:ss or seconds since"
            " 1970",
        ),
        ("line 9", "has 2 columns where the header has 7"),
    ]
    assert fetch.quarantined.get_column("original").to_list()[1:3] == [
        "2,caf\\xe9,,1,2,u,9/7/2016 8:04",
        "3,nul\\x00,,1,2,u,9/7/2016 8:04",
    ]
    one = fetch.quarantined.row(0, named=True)
    assert one["origin"] == "stories_2016-09-16.csv"
    assert one["collection_id"] == fetch.log["collection_id"]
    assert one["day"] == fetch.log["day"] == date(2016, 9, 16)
    assert one["quarantined_at"] == now
    assert fetch.log["fetched"] == 7
    assert fetch.log["quarantined"] == 6
    assert fetch.log["detail"] == "6 of 7 rows could not be parsed; see quarantined_rows"
    assert fetch.log["outcome"] == "ok"


def test_a_file_without_a_readable_row_is_malformed(read: Read) -> None:
    fetch = read("stories_2016-09-16.csv", HN_HEADER + "x\n", source="hn")
    assert (fetch.log["outcome"], fetch.log["fetched"]) == ("malformed", 1)
    fetch = read("stories_2016-09-16.csv", HN_HEADER, source="hn")
    assert (fetch.log["outcome"], fetch.log["fetched"]) == ("malformed", 0)
    assert fetch.log["detail"] == "the file contains no rows"
    assert fetch.log["day"] == date(2016, 9, 16)
    assert fetch.rows.schema == RAW_TRENDS.schema


def test_a_day_without_its_zero_is_not_taken_for_another(read: Read) -> None:
    """20 October, read as a number and written again, is `20.1`."""
    fetch = read(_KAGGLE_NAME, KAGGLE.replace("30.12", "20.1"))
    assert _column(fetch, "day") == [date(2018, 1, 2)]
    assert "which is not a day such as DD.MM, with two digits each" in _reasons(fetch)[0][1]


_FLAGGED = (
    "video_id,trending_date,title,channel_title,category_id,publish_time,views,likes,comment_count,"
    "comments_disabled,ratings_disabled\n"
)


def test_flags_as_a_spreadsheet_writes_them(read: Read) -> None:
    rows = [
        f"abcdefghij{number},{day},T,C,24,2024-01-10T10:00:00.000Z,9,0,0.0,{flag},{flag}\n"
        for number, (day, flag) in enumerate(
            [("2024-01-11", "TRUE"), ("24.11.01", "WAHR"), ("2024-01-11", "FALSE"), ("x", "?")]
        )
    ]
    fetch = read("USvideos.csv", _FLAGGED + "".join(rows))
    assert _column(fetch, "day") == [date(2024, 1, 11)] * 3
    assert _column(fetch, "likes") == [None, None, 0]
    assert _column(fetch, "comments") == [None, None, 0]


def test_the_day_of_a_file_without_readable_rows_is_evidence_or_the_file_is_refused(
    read: Read,
) -> None:
    row = "abcdefghij{},{},,C,24,2024-01-10T10:00:00.000Z,9,0,0,False,False\n"
    fetch = read("trending.csv", _FLAGGED + row.format(1, "2024-01-11") + row.format(2, "soon"))
    assert (fetch.log["day"], fetch.log["fetched"], fetch.rows.height) == (date(2024, 1, 11), 2, 0)
    dayless = _FLAGGED + row.format(1, "soon") + row.format(2, "later")
    assert read("trending_2024-02-03.csv", dayless).log["day"] == date(2024, 2, 3)
    with pytest.raises(ImportRefusedError) as caught:
        read("trending_2024.csv", dayless)
    message = str(caught.value)
    assert message.startswith(
        "trending_2024.csv: no row can be parsed, and the day of observation is unknown"
    )
    assert "of 2 rows 2 for this reason: " in message
    assert "column trending_date contains 'soon', which is not a day" in message
    with pytest.raises(ImportRefusedError, match="it contains no rows"):
        read("trending_2024.csv", _FLAGGED)


_VIDEOS_HEADER = (
    "video_id,title,publishedAt,channelId,channelTitle,categoryId,trending_date,tags,view_count,"
    "likes,dislikes,comment_count,thumbnail_link,comments_disabled,ratings_disabled,description\n"
)


def _video_line(letter: str, description: str) -> str:
    return (
        f"{letter * 11},{letter},2020-08-11T19:20:14Z,UCx,C,22,2020-08-12T00:00:00Z,[None],1001,"
        f"3,0,1,x,False,False,{description}\n"
    )


def test_records_after_a_description_that_was_cut_are_read(read: Read) -> None:
    text = (
        _VIDEOS_HEADER
        + _video_line("a", '"fine, quoted\nover, two, lines"')
        + _video_line("b", '"cut here')
        + _video_line("c", "plain")
        + _video_line("d", '"quoted, again"')
        + _video_line("e", '"cut, too').rstrip("\n")
        + _video_line("f", "on the same line")
        + _video_line("g", "plain")
    )
    fetch = read("US_trending.csv", text)
    assert _column(fetch, "title") == ["a", "b", "c", "d", "g"]
    assert _reasons(fetch) == [("line 7", "another record begins within its last cell")]
    assert "fffffffffff" in fetch.quarantined.get_column("original").item()
    assert fetch.log["fetched"] == 6


def test_a_description_cannot_add_a_video(read: Read) -> None:
    forged = _video_line("z", "forged").rstrip("\n")
    text = _VIDEOS_HEADER + _video_line("a", f'"see:\n{forged}\nbye"') + _video_line("b", "x")
    fetch = read("US_trending.csv", text)
    assert _column(fetch, "title") == ["a", "b"]
    assert fetch.quarantined.get_column("original").to_list() == [f'{forged}\nbye"']


def test_posts_as_praw_and_pandas_write_them(read: Read) -> None:
    header = "id,title,score,num_comments,created_utc,subreddit,url"
    post = "abc{},A post,10.0,3,{},technology,https://example.com/a"
    fetch = read(
        "posts_2018-03-08.csv",
        f"{header},permalink\n"
        f"{post.format(0, '1520000000.0')},/r/technology/comments/abc0/a_post/\n"
        f"{post.format(1, '2018-03-02 14:13:20')},/r/technology/comments/abc1/a_post/\n",
        source="reddit",
    )
    assert _column(fetch, "published_at") == [_at("2018-03-02T14:13:20")] * 2
    page = "https://www.reddit.com/r/technology/comments/abc0/a_post/"
    assert _column(fetch, "discussion_url")[0] == page
    assert _column(fetch, "points") == [10, 10]
    fetch = read(
        "posts_2018-03-08.csv",
        f"{header}\n{post.format(0, '2018-03-02 14:13:20')}\n{post.format(1, 1520000000)}\n",
        source="reddit",
    )
    assert _column(fetch, "published_at") == [_at("2018-03-02T14:13:20")] * 2


def test_hacker_news_as_bigquery_exports_it(read: Read) -> None:
    text = (
        "title,url,text,dead,by,score,time,timestamp,type,id,parent,descendants,ranking,deleted\n"
        "A story,https://x.org,,,u,5,1520000000,2018-03-02 14:13:20 UTC,story,1,,7,,\n"
        "Ask,,Text,,u,5,,2018-03-02 14:13:20 UTC,story,2,,,,\n"
        ",,Aw,,u,,1520000000,2018-03-02 14:13:20 UTC,comment,3,1,,1,\n"
        "Gone,,,,u,5,1520000000,2018-03-02 14:13:20 UTC,story,4,,,,true\n"
    )
    fetch = read("full_2018-03-09.csv", text, source="hn")
    assert fetch.rows.select("item_id", "points", "comments", "published_at").rows() == [
        ("1", 5, 7, _at("2018-03-02T14:13:20")),
        ("2", 5, None, _at("2018-03-02T14:13:20")),
    ]
    assert [place for place, _ in _reasons(fetch)] == ["line 4", "line 5"]
    stories = (
        "id,by,score,time,time_ts,title,url,text,deleted,dead,descendants,author\n"
        "1,u,5,1520000000,2018-03-02 14:13:20 UTC,A story,https://x.org,,,,7,u\n"
    )
    assert read("stories_2018-03-09.csv", stories, source="hn").rows.height == 1


def test_what_comes_out_has_the_tables_structure(read: Read) -> None:
    fetch = read("stories_2016-09-16.csv", HN + "x,bad,,1,2,u,9/7/2016 8:04\n" * 2, source="hn")
    check_storable(RAW_TRENDS, fetch.rows)
    check_storable(QUARANTINED_ROWS, fetch.quarantined)
    check_storable(COLLECTION_LOG, COLLECTION_LOG.frame([fetch.log]))
    assert fetch.quarantined.get_column("quarantine_id").n_unique() == 2


def test_the_same_file_gets_the_same_ids_and_another_import_gets_others(read: Read) -> None:
    def ids(fetch: Fetch) -> tuple[Any, ...]:
        assert set(_column(fetch, "collection_id")) == {fetch.log["collection_id"]}
        return (fetch.log["collection_id"], *fetch.quarantined.get_column("quarantine_id"))

    text = DAILY + "broken\n"
    first = ids(read(DAILY_NAME, text))
    assert ids(read(DAILY_NAME, text)) == first
    others = [
        ids(read(DAILY_NAME, text + "broken\n")),
        ids(read("music_20241002.csv.gz", text)),
        ids(read(DAILY_NAME, text, workspace_id="fitness")),
        ids(read(DAILY_NAME, text, region="US")),
        ids(read(DAILY_NAME, text, observed_on=date(2024, 10, 3))),
    ]
    assert len({first[0], *(one[0] for one in others)}) == 6
    assert len({first[1], *(one[1] for one in others)}) == 6


@pytest.mark.parametrize(
    "name",
    [
        b"../x_2016-09-16.csv",
        b"a\nb_2016-09-16.csv",
        b"caf\xe9_2016-09-16.csv",
        b"=x_2016-09-16.csv",
    ],
)
def test_names_of_files_are_hostile_too(tmp_path: Path, now: datetime, name: bytes) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = folder / os.fsdecode(name)
    path.write_text(HN, encoding="utf-8")
    fetch = read_trend_file(path, workspace_id="tech", source="hn", now=now, run_id="r")
    target = fetch.log["target"]
    assert "/" not in target
    assert target.encode()
    assert pl.Series([target]).item() == target
