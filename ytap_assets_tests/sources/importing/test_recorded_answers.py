"""Recorded answers of APIs, alone and in exchanges, and histories under their times."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.source import Fetch
from ytap_assets_tests.sources.importing.conftest import Read, pack_zstd

_DAY = date(2024, 5, 1)
_AT = "2016-08-08T04:32:00"


def _post(post_id: str, **fields: object) -> dict[str, Any]:
    post = {
        "id": post_id,
        "title": "Fish &amp; chips",
        "url": "https://example.org/a?b=1&amp;c=2",
        "permalink": f"/r/food/comments/{post_id}/fish_chips/",
        "created_utc": 1470629600.0,
        "score": -3,
        "num_comments": 4,
        "subreddit": "food",
        "stickied": False,
    }
    return {"kind": "t3", "data": post | fields}


def _listing(*children: object) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": None, "children": list(children)}}


def _exchange(
    body: object, code: int = 200, *, at: str | None = None, date_header: str | None = None
) -> dict[str, Any]:
    return {
        "status": {"code": code, "message": "M"},
        "headers": {} if date_header is None else {"date": date_header},
        "body": body if isinstance(body, str) else json.dumps(body),
        **({} if at is None else {"recorded_at": at}),
    }


def _reasons(fetch: Fetch) -> list[tuple[str, str]]:
    return [tuple(row) for row in fetch.quarantined.select("place", "reason").iter_rows()]


def test_a_listing_of_reddit_in_a_recorded_exchange(read: Read) -> None:
    content = [_exchange(_listing(_post("1a", stickied=True), _post("2b")), at=_AT)]
    fetch = read("hot.json.gz", json.dumps(content), source="reddit")
    assert fetch.log["fetched"] == fetch.rows.height == 2
    row = fetch.rows.row(1, named=True)
    assert row["observed_at"] == datetime(2016, 8, 8, 4, 32, tzinfo=UTC)
    assert row["published_at"] == datetime(2016, 8, 8, 4, 13, 20, tzinfo=UTC)
    assert (row["item_id"], row["title"], row["points"], row["comments"], row["rank"]) == (
        "2b",
        "Fish & chips",
        -3,
        4,
        2,
    )
    assert row["url"] == "https://example.org/a?b=1&c=2"
    assert row["discussion_url"] == "https://www.reddit.com/r/food/comments/2b/fish_chips/"
    assert (row["category"], row["is_promoted"]) == ("food", False)
    assert fetch.rows.get_column("is_promoted").to_list() == [True, False]


@pytest.mark.parametrize(
    ("uri", "list_name"),
    [
        ("https://oauth.reddit.com/r/food/hot?limit=100&raw_json=1", "r/food/hot"),
        ("https://www.reddit.com/r/food/new.json", "r/food/new"),
        ("https://oauth.reddit.com/best/", "best"),
        ("https://oauth.reddit.com/?after=t3_1a", "items"),
        ("no address", "items"),
        (None, "items"),
    ],
)
def test_a_recorded_listing_is_called_as_it_was_asked_for(
    read: Read, uri: str | None, list_name: str
) -> None:
    exchange = _exchange(_listing(_post("1a")), at=_AT)
    if uri is not None:
        exchange["request"] = {"method": "GET", "uri": uri}
    fetch = read("hot.json", json.dumps([exchange]), source="reddit")
    assert fetch.rows.get_column("list_name").to_list() == [list_name]
    assert fetch.quarantined.is_empty()


def test_each_list_of_one_second_is_ranked_by_itself(read: Read) -> None:
    content = [
        {
            **_exchange(_listing(*posts), at=_AT),
            "request": {"uri": f"https://oauth.reddit.com/{name}"},
        }
        for name, posts in (("hot", [_post("1a"), _post("2b")]), ("new", [_post("2b")]))
    ]
    fetch = read("lists.json", json.dumps(content), source="reddit")
    assert fetch.rows.select("list_name", "item_id", "rank").rows() == [
        ("hot", "1a", 1),
        ("hot", "2b", 2),
        ("new", "2b", 1),
    ]


def test_a_search_is_called_by_its_phrase_and_by_nothing_secret(read: Read) -> None:
    snippet = {"publishedAt": "2024-04-30T00:00:00Z", "title": "T", "channelTitle": "C"}
    hit = {
        "kind": "youtube#searchResult",
        "id": {"kind": "youtube#video", "videoId": "a" * 11},
        "snippet": {**snippet, "channelId": "UCcooks"},
    }
    address = "https://www.googleapis.com/youtube/v3/search?key=SECRET&q=ten+knots&type=video"
    exchange = _exchange({"items": [hit]}, at=_AT) | {"request": {"uri": address}}
    for content, name in ((exchange, "ten+knots"), ({"items": [hit]}, "search")):
        fetch = read("search_2024-05-01.json", json.dumps(content), source="youtube")
        assert fetch.rows.get_column("list_name").to_list() == [name]


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
@pytest.mark.parametrize("fraction", ["", ".25"])
def test_the_time_of_an_exchange_may_have_a_fraction_and_a_zone(
    read: Read, fraction: str, zone: str
) -> None:
    content = [_exchange(_listing(_post("1a")), at=f"{_AT}{fraction}{zone}")]
    fetch = read("hot.json", json.dumps(content), source="reddit")
    microsecond = 250_000 if fraction else 0
    expected = datetime(2016, 8, 8, 4, 32, 0, microsecond, tzinfo=UTC)
    assert fetch.rows.get_column("observed_at").to_list() == [expected]


def test_the_header_says_the_time_where_the_exchange_does_not(read: Read) -> None:
    listing = _listing(_post("1a"))
    content = [_exchange(listing, date_header="Mon, 08 Aug 2016 04:32:00 GMT")]
    fetch = read("hot.json", json.dumps(content), source="reddit")
    assert fetch.rows.item(0, "observed_at") == datetime(2016, 8, 8, 4, 32, tzinfo=UTC)


@pytest.mark.parametrize("alone", [True, False])
def test_a_listing_without_a_time_is_of_the_day_that_is_given(read: Read, *, alone: bool) -> None:
    listing = _listing(_post("1a"))
    text = json.dumps(listing if alone else [_exchange(listing)])
    with pytest.raises(ImportRefusedError, match="--observed-on"):
        read("hot.json", text, source="reddit")
    fetch = read("hot.json", text, source="reddit", observed_on=_DAY)
    assert fetch.rows.get_column("day").to_list() == [_DAY]


def test_a_listing_with_its_time_takes_no_other(read: Read) -> None:
    content = [_exchange(_listing(_post("1a")), at=_AT)]
    with pytest.raises(ImportRefusedError, match="without --observed-on"):
        read("hot.json", json.dumps(content), source="reddit", observed_on=_DAY)


def test_errors_among_the_answers_are_put_aside_by_status_whatever_their_body(read: Read) -> None:
    content = [
        _exchange({"error": 403}, 403, at=_AT),
        _exchange("<html>", 400, at=_AT),
        _exchange(_listing(_post("1a"), {"kind": "t1", "data": {"body": "x"}}), at=_AT),
        _exchange("{cut", at=_AT),
        _exchange("[" * 100_000, at=_AT),
    ]
    fetch = read("hot.json", json.dumps(content), source="reddit")
    assert fetch.rows.get_column("item_id").to_list() == ["1a"]
    rule = "an error or a redirect, which holds no posts"
    assert [reason[:60] for _, reason in _reasons(fetch)] == [
        f"column status.code contains '403': {rule}"[:60],
        f"column status.code contains '400': {rule}"[:60],
        "column kind contains 't1': not a post (those are t3)",
        "is not valid JSON: Expecting property name enclosed in doubl",
        "is not valid JSON: nested too deeply",
    ]
    assert fetch.log["fetched"] == 6 == fetch.rows.height + fetch.quarantined.height


def _history(permalink: str, **updates: object) -> str:
    post = {"created_utc": 1611505241.0, "permalink": permalink, "updates": updates}
    return json.dumps({"from_sub": "memes", "posts": {"l42cyn": post}})


def test_a_history_of_scores_is_one_observation_per_update(read: Read) -> None:
    update = {"score": 1, "num_comments": 0, "stickied": False}
    text = _history(
        "/r/memes/comments/l42cyn/had_to_make_ünis_one/",
        **{"1611505255.5": update, "1611505872": {**update, "score": 10}, "soon": update},
    )
    fetch = read("memes.json", text, source="reddit")
    assert fetch.rows.select("observed_at", "points", "title", "category").rows() == [
        (
            datetime(2021, 1, 24, 16, 20, 55, 500_000, tzinfo=UTC),
            1,
            "had to make ünis one",
            "memes",
        ),
        (datetime(2021, 1, 24, 16, 31, 12, tzinfo=UTC), 10, "had to make ünis one", "memes"),
    ]
    assert _reasons(fetch) == [
        (
            "item 3",
            "column seen contains 'soon', which is not a time such as YYYY-MM-DD hh:mm:ss or"
            " seconds since 1970",
        )
    ]
    again = read("memes.json", text, source="reddit")
    assert again.rows.equals(fetch.rows)


@pytest.mark.parametrize("slug", ["", "_/", "?x=1"])
def test_a_permalink_without_words_gives_no_title(read: Read, slug: str) -> None:
    update = {"score": 1, "num_comments": 0, "stickied": False}
    text = _history(f"/r/memes/comments/l42cyn/{slug}", **{"1611505255.5": update})
    fetch = read("memes.json", text, source="reddit")
    assert fetch.rows.is_empty()
    assert "which is not an address with the words of a title" in _reasons(fetch)[0][1]


def test_of_hacker_news_items_stories_and_polls_are_taken(read: Read) -> None:
    story = {"id": 8863, "type": "story", "title": "My app", "time": 1175714200, "score": 111}
    items = [
        story | {"descendants": 71, "url": "http://example.org/"},
        story | {"id": 8864, "type": "poll"},
        {"id": 3, "type": "comment", "time": 1175714200, "text": "Aw"},
        story | {"id": 4, "type": "job"},
        {"id": 5, "type": "story", "deleted": True, "time": 1175714200},
        9130260,
    ]
    fetch = read("items.json", json.dumps(items), source="hn", observed_on=_DAY)
    assert fetch.rows.select("item_id", "points", "comments", "url", "day").rows() == [
        ("8863", 111, 71, "http://example.org/", date(2007, 4, 4)),
        ("8864", 111, None, "https://news.ycombinator.com/item?id=8864", date(2007, 4, 4)),
    ]
    rule = "not a story (comments, advertised jobs and poll options are not)"
    assert _reasons(fetch) == [
        ("item 3", f"column type contains 'comment': {rule}"),
        ("item 4", f"column type contains 'job': {rule}"),
        ("item 5", "column title is empty, but is required"),
        ("item 6", "is not a JSON object"),
    ]


def _video(**parts: object) -> dict[str, Any]:
    snippet = {
        "publishedAt": "2020-01-30T18:17:25.000Z",
        "title": "Checkup",
        "channelId": "UCx",
        "channelTitle": "Gaming",
        "categoryId": "20",
    }
    return {"kind": "youtube#video", "id": "QVVk3tnrVmQ", "snippet": snippet, **parts}


def test_videos_of_recorded_answers_hidden_counts_unknown(read: Read) -> None:
    videos = [
        _video(statistics={"viewCount": "12"}, contentDetails={"duration": "PT1H4M13S"}),
        _video(id="lmnopqrstuv", contentDetails={"duration": "P0D"}),
        _video(id="abcdefghijk", statistics={"viewCount": "1,2"}, contentDetails={"duration": "P"}),
    ]
    at = "Thu, 06 Feb 2020 07:15:46 GMT"
    lines = [
        _exchange({"kind": "youtube#playlistListResponse", "items": [{"id": "PL"}]}, at=at),
        _exchange({"kind": "youtube#videoListResponse", "items": videos}, at=at),
        _exchange({"error": {"code": 404}}, 404, at=at),
        _exchange({"kind": "youtube#videoListResponse", "items": []}, at=at),
    ]
    fetch = read("recorded.jsonl", "\n".join(map(json.dumps, lines)))
    shown = fetch.rows.select("item_id", "views", "likes", "duration_s", "observed_at")
    seen = datetime(2020, 2, 6, 7, 15, 46, tzinfo=UTC)
    assert shown.rows() == [
        ("QVVk3tnrVmQ", 12, None, 3853, seen),
        ("lmnopqrstuv", None, None, None, seen),
    ]
    assert _reasons(fetch) == [
        ("line 1, item 1", "column kind contains 'youtube#playlistListResponse': not a video"),
        (
            "line 2, item 3",
            "column statistics.viewCount contains '1,2', which is not a whole number of at least"
            " 0, below 1,000,000,000,000,000; column contentDetails.duration contains 'P', which is"
            " not a duration such as PT4M13S",
        ),
        ("line 3, item 1", "column status.code contains '404': an error, which holds no videos"),
    ]


def test_results_of_a_search_that_are_videos(read: Read) -> None:
    def result(kind: str, **ids: str) -> dict[str, Any]:
        return {**_video(), "kind": "youtube#searchResult", "id": {"kind": kind, **ids}}

    content = {
        "regionCode": "JP",
        "items": [
            result("youtube#video", videoId="gQ_1zX-F_No"),
            result("youtube#channel", channelId="UCx"),
        ],
    }
    fetch = read("search.json", json.dumps(content), observed_on=_DAY)
    assert fetch.rows.select("item_id", "title", "region").rows() == [
        ("gQ_1zX-F_No", "Checkup", "JP")
    ]
    assert _reasons(fetch) == [("item 2", "column id.kind contains 'youtube#channel': not a video")]


def _search_result(video_id: str) -> dict[str, Any]:
    ids = {"kind": "youtube#video", "videoId": video_id}
    return {**_video(), "kind": "youtube#searchResult", "id": ids}


_PAGES = {
    "youtube": [
        {"kind": "youtube#videoListResponse", "items": [_video(id=video_id)]}
        for video_id in ("abcdefghijk", "lmnopqrstuv")
    ],
    "search": [
        {
            "kind": "youtube#searchListResponse",
            "regionCode": "JP",
            "items": [_search_result(video_id)],
        }
        for video_id in ("abcdefghijk", "lmnopqrstuv")
    ],
    "reddit": [_listing(_post("1a")), _listing(_post("2b"))],
    "hn": [
        {
            "hits": [
                {
                    "objectID": str(number),
                    "title": "T",
                    "points": 5,
                    "num_comments": None,
                    "created_at": "2014-10-13T19:31:46Z",
                }
            ]
        }
        for number in (1, 2)
    ],
}
_ITEMS = {
    "youtube": [one["items"][0] for one in _PAGES["youtube"]],
    "search": [one["items"][0] for one in _PAGES["search"]],
    "reddit": [_post("1a"), _post("2b")],
    "hn": [one["hits"][0] for one in _PAGES["hn"]],
}


@pytest.mark.parametrize("saved", [_PAGES, _ITEMS])
@pytest.mark.parametrize("name", sorted(_PAGES))
def test_pages_and_items_of_apis_in_a_list_and_one_a_line(
    read: Read, saved: dict[str, list[Any]], name: str
) -> None:
    source = {"search": "youtube"}.get(name, name)
    content = saved[name]
    whole = read("saved.json", json.dumps(content), source=source, observed_on=_DAY)
    assert (whole.rows.height, whole.quarantined.height) == (2, 0)
    lines = "\n".join(map(json.dumps, content))
    by_line = read("saved.json", lines, source=source, observed_on=_DAY)
    assert by_line.rows.drop("collection_id").equals(whole.rows.drop("collection_id"))


def _submission(**fields: object) -> dict[str, Any]:
    return {**_post("1a")["data"], "retrieved_on": 1470640000, **fields}


@pytest.mark.parametrize("name", ["RS_2016-08.jsonl", "RS_2016-08.zst"])
def test_submissions_of_reddit_as_archives_keep_them(read: Read, name: str) -> None:
    posts = [
        _submission(),
        _submission(id="2b", created_utc="1470629600", permalink=None),
        _submission(id="3c", _meta={"retrieved_2nd_on": 1470770000}),
    ]
    content = "\n".join(map(json.dumps, posts)).encode()
    fetch = read(name, pack_zstd(content) if name.endswith("zst") else content, source="reddit")
    first, second = datetime.fromtimestamp(1470640000, UTC), datetime.fromtimestamp(1470770000, UTC)
    shown = fetch.rows.select("item_id", "observed_at", "discussion_url", "points", "category")
    assert shown.rows() == [
        ("1a", first, "https://www.reddit.com/r/food/comments/1a/fish_chips/", -3, "food"),
        ("2b", first, "https://www.reddit.com/comments/2b", -3, "food"),
        ("3c", second, "https://www.reddit.com/r/food/comments/1a/fish_chips/", -3, "food"),
    ]
    answer = json.dumps({"data": posts})
    assert read("answer.json", answer, source="reddit").rows.height == 3


def _clip(video_id: str, **fields: object) -> dict[str, Any]:
    return {
        "id": video_id,
        "title": "Clip",
        "description": None,
        "duration": 62.0,
        "view_count": 1200,
        "channel": "Cooks",
        "channel_id": "UCx",
        "extractor_key": "Youtube",
        "_type": "video",
        **fields,
    }


def test_videos_saved_by_yt_dlp(read: Read) -> None:
    lines = [
        _clip("abcdefghijk", epoch=1700000000, timestamp=1690000000, like_count=5, formats=[{}]),
        _clip("lmnopqrstuv", epoch=1700000000, like_count=None, comment_count=0),
        _clip("v123456789x", epoch=1700000000, extractor_key="Vimeo"),
    ]
    fetch = read("clips.jsonl", "\n".join(map(json.dumps, lines)))
    seen = datetime.fromtimestamp(1700000000, UTC)
    shown = fetch.rows.select("item_id", "observed_at", "views", "likes", "comments", "duration_s")
    assert shown.rows() == [
        ("abcdefghijk", seen, 1200, 5, None, 62),
        ("lmnopqrstuv", seen, 1200, None, 0, 62),
    ]
    assert _reasons(fetch) == [
        ("line 3", "column extractor_key contains 'Vimeo': not a video of YouTube")
    ]


def test_a_list_saved_by_yt_dlp_gives_its_entries_nothing_but_its_time(read: Read) -> None:
    entry = _clip("abcdefghijk", _type="url", ie_key="Youtube")
    untitled = _clip("lmnopqrstuv", _type="url", ie_key="Youtube")
    del untitled["title"], entry["extractor_key"], untitled["extractor_key"]
    entry["view_count"] = None
    playlist = {
        "id": "PL1",
        "title": "A list",
        "_type": "playlist",
        "extractor_key": "YoutubeTab",
        "view_count": 99,
        "epoch": 1700000000,
        "entries": [entry, untitled],
    }
    fetch = read("list.json", json.dumps(playlist))
    assert fetch.rows.select("item_id", "views", "observed_at").rows() == [
        ("abcdefghijk", None, datetime.fromtimestamp(1700000000, UTC))
    ]
    assert _reasons(fetch) == [("item 2", "column title is empty, but is required")]
