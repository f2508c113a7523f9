from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ytap_assets.sources.collect import collect_trends
from ytap_assets.sources.hn import (
    HackerNewsByDate,
    HackerNewsFrontPage,
    by_date_url,
    item_url,
    top_stories_url,
)
from ytap_assets.sources.source import Parsed, Responses
from ytap_assets_tests.sources.support import (
    HN,
    NOW,
    TODAY,
    answer,
    check_conservation,
    collect,
    make_session,
    make_settings,
    make_workspace,
    parse_again,
    reasons,
    run,
)

POSTED = int(NOW.timestamp()) - 3600
BY_DATE = by_date_url(NOW, NOW)


def hit(**changes: object) -> dict[str, Any]:
    return {
        "objectID": "123",
        "title": "A &amp; B",
        "url": "https://a.example/",
        "points": 77,
        "num_comments": 5,
        "created_at_i": POSTED,
        **changes,
    }


def by_date(*hits: object) -> Parsed:
    return HackerNewsByDate().parse(Responses(TODAY, [answer({"hits": hits}, BY_DATE)]))


def story(**changes: object) -> dict[str, Any]:
    return {
        "id": 123,
        "type": "story",
        "title": "A &amp; B",
        "url": "https://a.example/",
        "score": 77,
        "descendants": 5,
        "time": POSTED,
        **changes,
    }


def front_page(*items: object, ids: object = (9, 123)) -> Parsed:
    exchanges = [answer(ids, top_stories_url())]
    exchanges += [answer(item, item_url("123")) for item in items]
    return HackerNewsFrontPage().parse(Responses(TODAY, exchanges))


def test_a_hit_becomes_a_row() -> None:
    assert by_date(hit()).rows == [
        {
            "source": "hn",
            "item_id": "123",
            "observed_at": NOW,
            "title": "A & B",
            "url": "https://a.example/",
            "discussion_url": "https://news.ycombinator.com/item?id=123",
            "published_at": datetime.fromtimestamp(POSTED, UTC),
            "points": 77,
            "comments": 5,
            "likes": None,
            "views": None,
            "list_name": "by_date",
            "rank": None,
            "region": None,
            "category": None,
            "channel_id": None,
            "channel_title": None,
            "duration_s": None,
            "is_promoted": False,
        }
    ]


def test_titles_are_html_whose_entities_have_semicolons() -> None:
    text = "?id=5&region=eu&copy=2 &lt;b&gt; &amp;lt;"
    title = "?id=5&region=eu&copy=2 <b> &lt;"
    assert by_date(hit(title=text)).rows[0]["title"] == title
    assert front_page(story(title=text)).rows[0]["title"] == title


@pytest.mark.parametrize("url", [None, "", "absent"])
def test_a_question_links_to_its_discussion(url: str | None) -> None:
    asked = hit(url=url)
    if url == "absent":
        del asked["url"]
    (row,) = by_date(asked).rows
    assert row["url"] == row["discussion_url"] == "https://news.ycombinator.com/item?id=123"


def test_missing_counts_are_null() -> None:
    (row,) = by_date(hit(points=None, num_comments=None, created_at_i=None)).rows
    assert (row["points"], row["comments"], row["published_at"]) == (None, None, None)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (None, "hit is null, not an object"),
        ("text", "hit is a text, not an object"),
        (hit(title=None), "title is missing"),
        (hit(objectID=None), "objectID is missing or not an item id"),
        (hit(objectID="12/../3"), "objectID is missing or not an item id"),
        (hit(points=-3), "points is negative"),
        (hit(points=2**70), "points is 1,000,000,000,000,000 or more"),
        (hit(points="many"), "points is a text, not a whole number"),
        (hit(created_at_i=10**12), "created_at_i is outside 2005 to now"),
        (hit(url="javascript:alert(1)"), "url is not an http or https URL"),
    ],
)
def test_an_invalid_hit_is_quarantined_and_the_others_are_read(broken: object, reason: str) -> None:
    parsed = by_date(hit(objectID="1"), broken, hit(objectID="2"))
    assert [row["item_id"] for row in parsed.rows] == ["1", "2"]
    (aside,) = parsed.rejected
    assert aside.reason == reason
    assert aside.place == "hit 2"
    assert json.loads(aside.original) == broken
    assert aside.origin == BY_DATE


def test_an_item_becomes_a_row_with_its_rank() -> None:
    (row,) = front_page(story()).rows
    assert (row["list_name"], row["rank"]) == ("front_page", 2)
    assert row["category"] == "front_page"
    assert row["title"] == "A & B"
    assert (row["points"], row["comments"], row["is_promoted"]) == (77, 5, False)


def test_a_job_is_promoted() -> None:
    (row,) = front_page(story(type="job")).rows
    assert row["is_promoted"] is True


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "null instead of an item"),
        (story(dead=True), "the item is dead"),
        ({"id": 123, "deleted": True, "type": "story"}, "the item is deleted"),
        (story(type="comment"), "type 'comment' is not a story"),
        (story(type=None), "type 'unknown' is not a story"),
        (story(time="now"), "time is a text, not seconds since 1970"),
        ([], "item is a list, not an object"),
    ],
)
def test_an_item_that_is_not_a_story_is_quarantined(item: object, reason: str) -> None:
    parsed = front_page(item)
    assert parsed.rows == []
    assert [aside.reason for aside in parsed.rejected] == [reason]


def test_invalid_entries_of_a_ranking_are_quarantined() -> None:
    parsed = front_page(story(), ids=[None, "x", -4, 123])
    assert [row["rank"] for row in parsed.rows] == [4]
    assert [aside.reason for aside in parsed.rejected] == [
        "null instead of an item",
        "item is a text, not an object",
        "item is a number, not an object",
    ]


class Algolia:
    """A handler with stories posted at given seconds of the day, in limited pages.

    It refuses to filter by points, as it has been reported to since June 2026.
    """

    def __init__(self, seconds: list[int], page: int = 1000) -> None:
        start = datetime.combine(TODAY, datetime.min.time(), UTC)
        self.posted = [int(start.timestamp()) + second for second in seconds]
        self.page = page
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "hn.algolia.com":
            return httpx.Response(200, json=[])
        self.asked += 1
        (filters,) = parse_qs(urlsplit(str(request.url)).query)["numericFilters"]
        if "points" in filters:
            return httpx.Response(400, json={"message": "invalid numeric attribute(points)"})
        at_least, before = filters.split(",")
        low, high = int(at_least.partition(">=")[2]), int(before.partition("<")[2])
        found = [second for second in enumerate(self.posted) if low <= second[1] < high]
        hits = [hit(objectID=str(number), created_at_i=at) for number, at in found[: self.page]]
        answered = {"hits": hits, "nbHits": len(found), "hitsPerPage": self.page}
        return httpx.Response(200, json=answered)


@pytest.mark.parametrize(("count", "asked"), [(0, 1), (999, 1), (1000, 3), (1900, 3), (2500, 7)])
def test_a_full_window_is_halved_until_it_is_complete(
    tmp_path: Path, count: int, asked: int
) -> None:
    algolia = Algolia([n * 86_400 // count for n in range(count)])
    fetch = collect(HN, make_settings(tmp_path), algolia)[0]
    assert fetch.log["target"] == "by_date"
    assert fetch.log["outcome"] == "ok"
    assert fetch.rows["item_id"].n_unique() == fetch.rows.height == count
    assert algolia.asked == asked


def test_more_stories_in_one_second_than_are_returned_are_reported(tmp_path: Path) -> None:
    algolia = Algolia([3600] * 1500)
    fetch = collect(HN, make_settings(tmp_path), algolia)[0]
    assert fetch.rows.height == 1000
    assert fetch.log["outcome"] == "ok"
    assert fetch.log["detail"] == "incomplete: 1,000 of 1,500 stories were returned"
    check_conservation(fetch)


def test_smaller_pages_than_requested_are_halved_too(tmp_path: Path) -> None:
    algolia = Algolia([n * 1_000 for n in range(80)], page=20)
    fetch = collect(HN, make_settings(tmp_path), algolia)[0]
    assert fetch.rows["item_id"].n_unique() == 80
    assert (fetch.log["outcome"], fetch.log["detail"]) == ("ok", None)
    assert fetch.log["attempts"] == algolia.asked > 4


def test_missing_stories_are_reported(tmp_path: Path) -> None:
    few = httpx.Response(200, json={"hits": [hit()], "nbHits": 3, "hitsPerPage": 1000})
    fetch = collect(HN, make_settings(tmp_path), lambda _: few)[0]
    assert fetch.log["detail"] == "incomplete: 1 of 3 stories were returned"


@pytest.mark.parametrize("found", ["900", 900.0])
def test_a_count_may_have_another_type(tmp_path: Path, found: object) -> None:
    few = httpx.Response(200, json={"hits": [hit()], "nbHits": found})
    fetch = collect(HN, make_settings(tmp_path), lambda _: few)[0]
    assert fetch.log["detail"] == "incomplete: 1 of 900 stories were returned"


@pytest.mark.parametrize("found", [None, True, "many", {}, -1])
def test_a_full_page_without_a_count_is_halved(tmp_path: Path, found: object) -> None:
    algolia = Algolia([n * 1_000 for n in range(80)], page=20)

    def handler(request: httpx.Request) -> httpx.Response:
        response = algolia(request)
        if request.url.host != "hn.algolia.com":
            return response
        return httpx.Response(200, json={**response.json(), "nbHits": found})

    fetch = collect(HN, make_settings(tmp_path), handler)[0]
    assert fetch.rows["item_id"].n_unique() == 80


def test_hits_of_another_day_are_quarantined(tmp_path: Path) -> None:
    start = int(datetime.combine(TODAY, datetime.min.time(), UTC).timestamp())
    posted = [start - 1, start, start + 86_399, start + 86_400]
    hits = [hit(objectID=str(n), created_at_i=at) for n, at in enumerate(posted)]
    answered = httpx.Response(200, json={"hits": hits, "nbHits": len(hits)})
    fetch = collect(HN, make_settings(tmp_path), lambda _: answered)[0]
    assert fetch.rows["item_id"].to_list() == ["1", "2"]
    assert set(fetch.rows["day"]) == {TODAY}
    assert reasons(fetch) == ["created_at_i is not on the requested day, 2026-11-20"] * 2
    check_conservation(fetch)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert by_date(hit(points=50.0)).rows[0]["points"] == 50
    (aside,) = by_date(hit(points=50.5)).rejected
    assert aside.reason == "points is a number, not a whole number"
    assert by_date(hit(points=1e300)).rows == []


def test_each_workspace_applies_its_own_minimum(
    tmp_path: Path,
) -> None:
    points = [0, 49, 50, 99, 100, None, "many"]
    hits = [hit(objectID=str(n), points=value) for n, value in enumerate(points)]
    found = httpx.Response(200, json={"hits": hits, "nbHits": len(hits)})
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host != "hn.algolia.com":
            return httpx.Response(200, json=[])
        asked.append(str(request.url))
        return found

    kept: dict[int, list[str]] = {}
    for least in (50, 100):
        wanting = make_workspace(hn={"min_points": least})
        fetch = collect(wanting, make_settings(tmp_path), handler)[0]
        kept[least] = fetch.rows["item_id"].to_list()
        assert reasons(fetch) == ["points is a text, not a whole number"]
        assert json.loads(fetch.payloads["body"][0])["hits"] == hits
        rows, _ = parse_again(fetch.payloads)
        assert rows["item_id"].to_list() == kept[least]
    assert kept == {50: ["2", "3", "4", "5"], 100: ["4", "5"]}
    assert len(set(asked)) == 1
    assert "points" not in parse_qs(urlsplit(asked[0]).query)["numericFilters"][0]


def test_a_malformed_response_is_not_cached(tmp_path: Path) -> None:
    answers = [httpx.Response(200, content=b"<html>"), httpx.Response(200, json={"hits": []})]

    def handler(_: httpx.Request) -> httpx.Response:
        return answers.pop(0)

    async def work() -> list[str]:
        settings = make_settings(tmp_path)
        outcomes = []
        for _ in range(2):
            async with make_session(settings, handler, use_cache=True) as session:
                past = date(2026, 11, 2)
                fetches = await collect_trends(HN, past, session=session, run_id="run")
                outcomes.append(str(fetches[0].log["outcome"]))
        return outcomes

    assert run(work()) == ["malformed", "ok"]


def test_windows_that_stay_full_end(tmp_path: Path) -> None:
    full = httpx.Response(200, json={"hits": [hit()], "nbHits": 10**6})
    fetch = collect(HN, make_settings(tmp_path), lambda _: full)[0]
    assert fetch.log["outcome"] == "permanent_error"
    assert "are missing" in fetch.log["detail"]
    assert fetch.log["attempts"] == 64
    check_conservation(fetch)


def test_past_days_are_fetched_by_date_and_not_by_front_page(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        posted = hit(created_at_i=int(start.timestamp()))
        return httpx.Response(200, json={"hits": [posted], "nbHits": 1})

    past = date(2026, 11, 2)
    start = datetime(2026, 11, 2, tzinfo=UTC)
    by_day, front = collect(HN, make_settings(tmp_path), handler, past)
    assert asked == [by_date_url(start, start + timedelta(days=1))]
    assert by_day.rows["day"].to_list() == [past]
    assert by_day.rows["observed_at"].to_list() == [NOW]
    assert front.log["outcome"] == "unrecoverable"
    assert front.log["attempts"] == 0
    assert front.rows.is_empty()


def firebase(broken: dict[str, httpx.Response], count: int = 40) -> Any:
    def handler(request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        if url == top_stories_url():
            return httpx.Response(200, json=list(range(1, count + 1)))
        number = url.rpartition("/")[2].removesuffix(".json")
        default = httpx.Response(200, json=story(id=int(number) if number.isdecimal() else 0))
        return broken.get(number, default)

    return handler


def test_the_front_page_is_its_first_thirty(tmp_path: Path) -> None:
    front = collect(HN, make_settings(tmp_path), firebase({}))[1]
    assert front.rows["rank"].to_list() == list(range(1, 31))
    assert front.log["attempts"] == front.payloads.height == 31


def test_a_story_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = {"2": httpx.Response(404), "5": httpx.Response(200, content=b"<html>")}
    front = collect(HN, make_settings(tmp_path), firebase(broken, 10))[1]
    assert front.rows.height == 8
    assert front.log["outcome"] == "permanent_error"
    assert "1 of 10 stories failed" in front.log["detail"]
    check_conservation(front)


def test_a_host_that_is_down_is_not_requested_for_every_story(tmp_path: Path) -> None:
    broken = {str(number): httpx.Response(503) for number in range(1, 31)}
    front = collect(HN, make_settings(tmp_path), firebase(broken))[1]
    assert front.log["outcome"] == "transient_error"
    assert front.log["attempts"] == 1 + 4 * 4


def parse_each_on_its_day(hits: list[dict[str, Any]]) -> list[Parsed]:
    days: dict[date, list[dict[str, Any]]] = {}
    for each in hits:
        days.setdefault(datetime.fromtimestamp(each["created_at_i"], UTC).date(), []).append(each)
    return [
        HackerNewsByDate().parse(Responses(day, [answer({"hits": posted}, BY_DATE)]))
        for day, posted in days.items()
    ]


def test_recorded_algolia_responses_are_read(real_data: Path) -> None:
    path = real_data / "hacker_news" / "algolia_responses_2014.json"
    replies = [each["reply"] for each in json.loads(path.read_text(encoding="utf-8"))]
    hits = [each for reply in replies for each in reply.get("hits", ())]
    parsed = parse_each_on_its_day(hits)
    unreadable = [aside for each in parsed for aside in each.rejected]
    rows = sum(len(each.rows) for each in parsed)
    assert all(each.error is None for each in parsed)
    assert rows + len(unreadable) == len(hits)
    assert {aside.reason for aside in unreadable} <= {"title is missing"}
    assert rows > 0


def test_months_of_recorded_hits_are_read(real_data: Path) -> None:
    folder = real_data / "hacker_news" / "algolia_stories_monthly"
    recorded: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json.gz")):
        topics = json.loads(gzip.decompress(path.read_bytes()))
        recorded += [each for hits in topics.values() for each in hits]
    parsed = parse_each_on_its_day(recorded)
    assert all(each.error is None for each in parsed)
    assert sum(len(each.rows) for each in parsed) == len(recorded) > 0
    assert [aside.reason for each in parsed for aside in each.rejected] == []


def test_the_documented_items_are_read(real_data: Path) -> None:
    path = real_data / "hacker_news" / "firebase_item_examples.json"
    examples = json.loads(path.read_text(encoding="utf-8"))
    items = [each for each in examples if isinstance(each, dict) and "type" in each]
    parsed = front_page(*items)
    assert len(parsed.rows) == 4
    assert sorted(aside.reason for aside in parsed.rejected) == [
        "type 'comment' is not a story",
        "type 'pollopt' is not a story",
    ]


def test_reasons_are_stored(tmp_path: Path) -> None:
    broken = httpx.Response(200, json={"hits": [hit(), hit(title=""), 5], "nbHits": 3})
    fetch = collect(HN, make_settings(tmp_path), lambda _: broken)[0]
    assert reasons(fetch) == ["title is missing", "hit is a number, not an object"]
    assert fetch.log["fetched"] == 3
    check_conservation(fetch)
