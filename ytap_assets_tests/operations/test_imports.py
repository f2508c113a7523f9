"""Files are imported in batches, and what is hostile in one stays with its rows.

Stored responses are read again: what differs is shown, and only ever added.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.scoring.items import merge_observations
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import imports
from ytap_assets.operations.imports import (
    ImportFailedError,
    Reparsed,
    import_trends,
    reparse_payloads,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import store_fetches
from ytap_assets.operations.trends import cluster_stories
from ytap_assets.sources.catalog import Catalog
from ytap_assets.sources.http.exchange import Exchange, MalformedError
from ytap_assets.sources.importing import read_trend_file
from ytap_assets.sources.source import (
    Fetch,
    Parsed,
    Query,
    RejectedItem,
    Responses,
    Source,
    TrendSource,
)
from ytap_assets.tables import (
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    RAW_PAYLOADS,
    RAW_TRENDS,
    VIDEO_METRICS,
    Table,
)
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.operations.test_store import AT
from ytap_assets_tests.sources.importing.samples import DAILY_HEADER
from ytap_assets_tests.sources.support import parse_again

RUN = Run("run-1", "test", "import")
HEADER = DAILY_HEADER.replace("\r\n", ",creatorOnRise\n")


def write_list(path: Path, *ages: str, views: str = "5") -> Path:
    """A daily list with a video for each age."""
    lines = [
        f"Title,,{number:011d},,Cooks,UCcooks,,True,{age},,5 views,{views},"
        f"https://www.youtube.com/watch?v={number:011d},90,1:30,False,False\n"
        for number, age in enumerate(ages)
    ]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


CHART_HEADER = (
    "video_id,trending_date,title,channel_title,category_id,publish_time,tags,views,likes,dislikes,"
    "comment_count,thumbnail_link,comments_disabled,ratings_disabled,video_error_or_removed,"
    "description\n"
)


def write_chart(path: Path, *videos: str, views: int = 1000) -> Path:
    """A country's chart of one day, the first video on top."""
    lines = [
        f"{video * 11},18.01.11,Video {video},Cooks,24,2018-10-31T10:00:00.000Z,[none],{views},10,"
        "1,5,https://example.org/a.jpg,False,False,False,\n"
        for video in videos
    ]
    path.write_text(CHART_HEADER + "".join(lines), encoding="utf-8")
    return path


def write_answers(folder: Path) -> tuple[Path, Path]:
    """A search that found a video, and what `videos.list` said of it, both of one day."""
    snippet = {
        "publishedAt": "2024-04-30T00:00:00Z",
        "channelId": "UCcooks",
        "title": "Ten knots",
        "channelTitle": "Cooks",
    }
    hit = {
        "kind": "youtube#searchResult",
        "id": {"kind": "youtube#video", "videoId": "a" * 11},
        "snippet": snippet,
    }
    video = {
        "kind": "youtube#video",
        "id": "a" * 11,
        "snippet": {**snippet, "categoryId": "10"},
        "statistics": {"viewCount": "77", "likeCount": "5"},
    }
    found, told = folder / "search_2024-05-01.json", folder / "videos_2024-05-01.json"
    found.write_text(json.dumps({"kind": "youtube#searchListResponse", "items": [hit]}))
    told.write_text(json.dumps({"kind": "youtube#videoListResponse", "items": [video]}))
    return found, told


def read_trends(platform: Platform, *columns: str) -> list[tuple[Any, ...]]:
    return platform.lake.reader("tech").read(RAW_TRENDS).select(columns).sort(columns).rows()


def import_all(platform: Platform, *files: Path) -> pl.DataFrame:
    return import_trends(platform, files, workspace_id="tech", source="youtube", run=RUN)


def test_an_age_beyond_all_plausible_times_puts_its_row_aside(
    platform: Platform, tmp_path: Path
) -> None:
    good = write_list(tmp_path / "default_20240702.csv", "3 weeks ago")
    bad = write_list(
        tmp_path / "default_20240703.csv", "3 weeks ago", "9999 years ago", "9999 months ago"
    )
    outcome = import_all(platform, good, bad)
    assert outcome.select("target", "fetched", "accepted", "quarantined").rows() == [
        ("default_20240702.csv", 1, 1, 0),
        ("default_20240703.csv", 3, 1, 2),
    ]
    reasons = platform.lake.reader("tech").read(QUARANTINED_ROWS).get_column("reason").sort()
    assert reasons.to_list() == [
        f"column publishedText contains '9999 {unit} ago', which is not an age such as"
        " '2 weeks ago', since 1990"
        for unit in ("months", "years")
    ]


def test_counts_that_would_overflow_a_sum_put_their_rows_aside(
    platform: Platform, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "default_20240702.csv", "1 day ago", views="9" * 18)
    with pytest.raises(ImportFailedError) as caught:
        import_all(platform, file)
    assert caught.value.outcome.select("accepted", "quarantined").row(0) == (0, 1)


def test_a_file_of_which_nothing_is_accepted_is_a_failure_that_says_why(
    platform: Platform, tmp_path: Path
) -> None:
    good = write_list(tmp_path / "default_20240702.csv", "3 weeks ago")
    bad = write_list(
        tmp_path / "default_20240703.csv", "soon", "never", "3 weeks ago", views="many"
    )
    empty = write_list(tmp_path / "default_20240704.csv")
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("a,b\n1,2\n", encoding="utf-8")
    last = write_list(tmp_path / "default_20240705.csv", "3 weeks ago")
    with pytest.raises(ImportFailedError) as caught:
        import_all(platform, unknown, bad, empty, good, last)
    failed = caught.value
    assert not failed.only_refused
    assert [problem.partition(":")[0] for problem in failed.problems] == [
        "unknown.csv",
        "default_20240703.csv",
        "default_20240704.csv",
    ]
    assert "of 3 rows 2 for this reason: column views contains 'many'" in failed.problems[1]
    assert "column publishedText contains 'soon'" in failed.problems[1]
    assert "(line 2)" in failed.problems[1]
    assert "the rows are in quarantined_rows" in failed.problems[1]
    assert failed.problems[2].endswith("nothing was imported: it contains no rows")
    assert failed.outcome.select("target", "accepted", "quarantined").rows() == [
        ("default_20240703.csv", 0, 3),
        ("default_20240704.csv", 0, 0),
        ("default_20240702.csv", 1, 0),
        ("default_20240705.csv", 1, 0),
    ]
    reader = platform.lake.reader("tech")
    assert reader.read(RAW_TRENDS).height == 2
    assert reader.read(QUARANTINED_ROWS).height == 3


def test_files_that_are_refused_stop_no_other(platform: Platform, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("a,b\n1,2\n", encoding="utf-8")
    good = write_list(tmp_path / "default_20240702.csv", "3 weeks ago")
    with pytest.raises(ImportFailedError, match="unknown format") as caught:
        import_all(platform, unknown, good)
    assert caught.value.only_refused
    assert caught.value.outcome.get_column("accepted").to_list() == [1]


def test_what_is_there_already_is_no_failure(platform: Platform, tmp_path: Path) -> None:
    file = write_list(tmp_path / "default_20240702.csv", "3 weeks ago", "never")
    for accepted, duplicates in ((1, 0), (0, 1)):
        outcome = import_all(platform, file)
        counts = outcome.select("accepted", "quarantined", "duplicates").row(0)
        assert counts == (accepted, 1, duplicates)


def test_a_file_that_is_refused_takes_no_other_along(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, **named: Any) -> Fetch:
        fetch = read_trend_file(path, **named)
        if path.name != "default_20240703.csv":
            return fetch
        return replace(fetch, rows=fetch.rows.drop("title"))

    monkeypatch.setattr(imports, "read_trend_file", read)
    files = [write_list(tmp_path / f"default_2024070{day}.csv", "1 day ago") for day in (2, 3, 4)]
    with pytest.raises(pl.exceptions.ShapeError):
        import_all(platform, *files)
    days = platform.lake.reader("tech").read(RAW_TRENDS).get_column("day").sort()
    assert [day.day for day in days] == [2, 4]


def test_nothing_was_observed_tomorrow(platform: Platform, tmp_path: Path) -> None:
    file = write_list(tmp_path / "list.csv", "3 weeks ago")
    with pytest.raises(ConfigError, match="2026-11-21 is in the future"):
        import_trends(
            platform,
            [file],
            workspace_id="tech",
            source="youtube",
            run=RUN,
            observed_on=date(2026, 11, 21),
        )


def test_a_file_named_twice_is_counted_by_itself_each_time(
    platform: Platform, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "default_20240702.csv", "1 day ago", "2 days ago")
    counts = import_all(platform, file, file).select("fetched", "accepted", "duplicates").rows()
    assert counts == [(2, 2, 0), (2, 0, 2)]


def test_recorded_answers_are_accounted_for_and_imported_once(
    platform: Platform, tmp_path: Path
) -> None:
    post = {
        "id": "1a",
        "title": "Post",
        "url": "https://example.org/",
        "permalink": "/r/food/comments/1a/post/",
        "created_utc": 1470629600.0,
        "score": 3,
        "num_comments": 4,
        "subreddit": "food",
    }
    body = json.dumps({"data": {"children": [{"kind": "t3", "data": post}] * 2}})
    answer = {"recorded_at": "2016-08-08T04:32:00", "status": {"code": 200}, "body": body}
    path = tmp_path / "hot.json"
    path.write_text(json.dumps([answer, {**answer, "status": {"code": 302}, "body": "{}"}]))
    counts = []
    for _ in range(2):
        outcome = import_trends(platform, [path], workspace_id="tech", source="reddit", run=RUN)
        counts.append(outcome.select("fetched", "accepted", "quarantined", "duplicates").row(0))
    assert counts[0] == (3, 1, 1, 1)
    reader = platform.lake.reader("tech")
    assert reader.read(RAW_TRENDS).height == 1
    assert reader.read(QUARANTINED_ROWS).height == 1


@pytest.mark.parametrize("order", [*permutations(("US", "CA", "GB"))])
def test_every_country_keeps_its_whole_chart(
    platform: Platform, tmp_path: Path, order: Sequence[str]
) -> None:
    charts = {"US": "ab", "CA": "ca", "GB": "ba"}
    files = [write_chart(tmp_path / f"{name}videos.csv", *charts[name]) for name in order]
    for _ in range(2):
        import_all(platform, *files)
    assert read_trends(platform, "region", "rank", "title") == [
        (name, rank, f"Video {video}")
        for name in sorted(charts)
        for rank, video in enumerate(charts[name], start=1)
    ]
    stories = run_alone(cluster_stories, platform, "tech", date(2018, 11, 1)).frame
    assert stories.sort("title").select("title", "observation_count", "rank").rows() == [
        ("Video a", 1, 1),
        ("Video b", 1, 1),
        ("Video c", 1, 1),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_counts_of_a_video_that_a_search_found_are_kept(
    platform: Platform, tmp_path: Path, order: tuple[int, int]
) -> None:
    files = write_answers(tmp_path)
    outcome = import_all(platform, *(files[number] for number in order))
    assert outcome["accepted"].to_list() == [1, 1]
    assert import_all(platform, *files)["accepted"].to_list() == [0, 0]
    assert read_trends(platform, "list_name", "views", "likes") == [
        ("items", 77, 5),
        ("search", None, None),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_exports_of_one_day_are_both_kept_and_the_higher_counts_hold(
    platform: Platform, tmp_path: Path, order: tuple[int, int]
) -> None:
    for name, views in (("noon", 1000), ("night", 1200)):
        (tmp_path / name).mkdir()
        write_chart(tmp_path / name / "USvideos.csv", "a", views=views)
    files = [tmp_path / name / "USvideos.csv" for name in ("noon", "night")]
    outcome = import_all(platform, *(files[number] for number in order))
    assert outcome["accepted"].to_list() == [1, 1]
    assert read_trends(platform, "views") == [(1000,), (1200,)]
    seen = merge_observations(platform.lake.reader("tech").read(RAW_TRENDS))
    assert seen.select("views", "rank").rows() == [(1200, 1)]


def test_a_country_that_is_named_later_is_not_lost(platform: Platform, tmp_path: Path) -> None:
    file = write_chart(tmp_path / "chart.csv", "a")
    import_all(platform, file)
    outcome = import_trends(
        platform, [file], workspace_id="tech", source="youtube", region="US", run=RUN
    )
    assert outcome["accepted"].item() == 1
    assert import_all(platform, file)["duplicates"].item() == 1
    assert read_trends(platform, "part", "region") == [(0, None), (1, "US")]


DAY = AT.date()
AGAIN = Run("run-2", "test", "read again")


class Lines(TrendSource):
    """A JSON object per item. The parser of before knew no points and read only titles in lower
    case; an item without an id is unreadable to both.
    """

    name, history, hosts, spacing_s = "lines", "snapshot_only", frozenset({"a.example"}), 0.0

    def __init__(self, *, is_fixed: bool) -> None:
        self.is_fixed = is_fixed

    def targets(self, workspace: Workspace) -> Sequence[str]:
        return ["all"]

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        for exchange in list[Exchange]():
            yield exchange

    def parse(self, responses: Responses) -> Parsed:
        parsed = Parsed()
        for exchange in responses.exchanges:
            try:
                items = [json.loads(line) for line in exchange.body.splitlines()]
            except ValueError:
                parsed.error = MalformedError("no JSON")
                continue
            for number, item in enumerate(items):
                if item == "crash" and self.is_fixed:
                    raise ZeroDivisionError("no such item\x1b[2J")
                self._read(item, number, exchange, parsed)
        return parsed

    def _read(self, item: Any, number: int, exchange: Exchange, parsed: Parsed) -> None:
        if not isinstance(item, dict) or "id" not in item:
            place = f"line {number}"
            rejected = RejectedItem(exchange.url, place, "no id", str(item), exchange.fetched_at)
            parsed.rejected.append(rejected)
        elif self.is_fixed or item["title"].islower():
            row = {"source": self.name, "item_id": item["id"], "title": item["title"]}
            row |= {"observed_at": exchange.fetched_at, "list_name": "all"}
            parsed.rows.append(row | ({"points": item.get("points")} if self.is_fixed else {}))


class Counts(Source):
    """A count per video; the parser of before read views as likes."""

    name, history, hosts, spacing_s = "counts", "as_of_now", frozenset({"b.example"}), 0.0
    table = VIDEO_METRICS

    def __init__(self, *, is_fixed: bool) -> None:
        self.is_fixed = is_fixed

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        for exchange in list[Exchange]():
            yield exchange

    def parse(self, responses: Responses) -> Parsed:
        (exchange,) = responses.exchanges
        row = {"platform": "p", "video_id": "v", "observed_at": exchange.fetched_at}
        count = "views" if self.is_fixed else "likes"
        return Parsed([row | {"is_settled": False, count: int(exchange.body)}])


FORMER = Catalog((Lines(is_fixed=False),), Counts(is_fixed=False))
FIXED = Catalog((Lines(is_fixed=True),), Counts(is_fixed=True))


def collect(
    platform: Platform,
    body: str,
    *,
    name: str = "c1",
    day: date = DAY,
    workspace_id: str = "tech",
    table: Table = RAW_TRENDS,
    outcome: str = "ok",
    source: str = "lines",
) -> None:
    """Store what the parsers of before read of a response."""
    host = "a.example" if table is RAW_TRENDS else "b.example"
    shared = {"workspace_id": workspace_id, "day": day, "collection_id": name, "source": source}
    payload = {
        **shared,
        "payload_id": f"{name}-0000",
        "url": f"https://{host}/{name}",
        "http_status": 200,
        "fetched_at": AT + (day - DAY),
        "size_bytes": len(body),
        "sha256": "0" * 64,
        "is_truncated": False,
        "body": body.encode(),
    }
    payloads = RAW_PAYLOADS.frame([payload])
    rows, quarantined = parse_again(payloads, FORMER)
    log = {
        **shared,
        "target": "all",
        "history": "snapshot_only",
        "outcome": outcome,
        "attempts": 1,
        "started_at": AT,
        "finished_at": AT,
        "fetched": rows.height + quarantined.height,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": RUN.run_id,
    }
    store_fetches(platform, table, [Fetch(log, rows, quarantined, payloads)], RUN)


def item(name: str, title: str, points: int | None = None) -> str:
    return json.dumps({"id": name, "title": title, "points": points})


def read_again(platform: Platform, *, writes: bool = False, **named: Any) -> Reparsed:
    return reparse_payloads(platform, "tech", AGAIN, writes=writes, catalog=FIXED, **named)


def count(done: Reparsed) -> dict[tuple[str, date], tuple[int, ...]]:
    """rows, added, changed, conflicting, quarantined: by source and day."""
    return {(row[2], row[1]): row[4:] for row in done.differences.rows()}


def contents(platform: Platform, workspace_id: str = "tech") -> list[pl.DataFrame]:
    reader = platform.lake.reader(workspace_id)
    return [
        reader.read(table).sort(table.key)
        for table in (RAW_TRENDS, VIDEO_METRICS, QUARANTINED_ROWS, COLLECTION_LOG)
    ]


def test_what_differs_is_shown_before_it_is_stored(platform: Platform) -> None:
    collect(platform, "\n".join([item("a", "same"), item("b", "new points", 5), item("c", "Big")]))
    before, snapshot = contents(platform), platform.lake.snapshot_id()

    shown = read_again(platform)

    assert count(shown) == {("lines", DAY): (3, 1, 1, 0, 0)}
    assert shown.differing.height == shown.fetches == 1
    assert platform.lake.snapshot_id() == snapshot
    for frame, other in zip(contents(platform), before, strict=True):
        assert frame.equals(other)

    assert count(read_again(platform, writes=True)) == count(shown)

    rows = platform.lake.reader("tech").read(RAW_TRENDS).sort("item_id", "part")
    assert rows.select("item_id", "part", "title", "points").rows() == [
        ("a", 0, "same", None),
        ("b", 0, "new points", None),
        ("b", 1, "new points", 5),
        ("c", 0, "Big", None),
    ]
    log = platform.lake.reader("tech").read(COLLECTION_LOG).sort("collection_id")
    names = ["collection_id", "fetched", "accepted", "quarantined", "duplicates", "run_id"]
    assert log.select(names).rows() == [
        ("c1", 2, 2, 0, 0, "run-1"),
        ("c1-2", 3, 2, 0, 1, "run-2"),
    ]
    assert count(read_again(platform)) == {("lines", DAY): (3, 0, 0, 0, 0)}
    after = platform.lake.snapshot_id()
    assert read_again(platform, writes=True).differing.is_empty()
    assert platform.lake.snapshot_id() == after


def test_items_that_cannot_be_read_are_quarantined_once(platform: Platform) -> None:
    collect(platform, "\n".join([item("a", "one"), "{}"]))
    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert count(read_again(platform)) == {("lines", DAY): (1, 0, 0, 0, 0)}
    with platform.lake.write(RUN) as transaction:
        transaction.delete_before(QUARANTINED_ROWS, ["tech"], DAY + timedelta(1))
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 0, 0, 0, 1)}
    again = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert again.drop("collection_id").equals(aside.drop("collection_id"))


def test_a_row_that_breaks_the_table_is_quarantined(platform: Platform) -> None:
    collect(platform, item("", "No id"))
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 0, 0, 0, 1)}
    assert read_again(platform).differing.is_empty()


def test_a_stored_key_keeps_its_row_where_keys_stand_once(platform: Platform) -> None:
    collect(platform, "7", table=VIDEO_METRICS, source="counts")
    before = contents(platform)
    assert count(read_again(platform, writes=True)) == {("counts", DAY): (1, 0, 0, 1, 0)}
    for frame, other in zip(contents(platform), before, strict=True):
        assert frame.equals(other)


def test_a_fetch_that_can_be_read_now_is_logged_as_read(platform: Platform) -> None:
    collect(platform, item("a", "One"), name="c1", outcome="malformed")
    collect(platform, f"{item('b', 'Two')}\nnone", name="c2", outcome="malformed")
    collect(platform, item("c", "Three"), name="c3", outcome="transient_error")
    read_again(platform, writes=True)
    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    outcomes = dict(log.select("collection_id", "outcome").rows())
    assert outcomes == {
        "c1": "malformed",
        "c1-2": "ok",
        "c2": "malformed",
        "c3": "transient_error",
        "c3-2": "transient_error",
    }


def test_a_parser_that_fails_on_one_fetch_stops_no_other(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    collect(platform, '"crash"', name="c1")
    collect(platform, item("a", "One"), name="c2")
    done = read_again(platform, writes=True)
    assert [problem for problem in done.problems if "ZeroDivisionError" in problem]
    assert len(done.problems) == 1
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "in parse\n" in record.getMessage()
    assert "ZeroDivisionError: no such item" in record.getMessage()
    assert "\x1b" not in caplog.text
    assert platform.lake.reader("tech").read(RAW_TRENDS)["item_id"].to_list() == ["a"]


def test_responses_of_a_source_that_is_gone_are_left_alone(platform: Platform) -> None:
    collect(platform, item("a", "One"))
    nothing = replace(FIXED, trends=())
    done = reparse_payloads(platform, "tech", AGAIN, writes=True, catalog=nothing)
    assert (done.fetches, done.problems) == (0, ())


@pytest.mark.parametrize("batch_bytes", [1, 100, 10**6])
def test_days_are_read_in_batches_that_change_nothing(platform: Platform, batch_bytes: int) -> None:
    for number in range(6):
        day = DAY - timedelta(number // 2)
        collect(platform, item(f"i{number}", "One"), name=f"c{number}", day=day)
    days = (DAY - timedelta(1), DAY)
    done = read_again(platform, days=days, batch_bytes=batch_bytes, writes=True)
    assert count(done) == {("lines", day): (2, 2, 0, 0, 0) for day in days}
    stored = platform.lake.reader("tech").read(RAW_TRENDS)
    assert sorted(stored["item_id"]) == ["i0", "i1", "i2", "i3"]


def test_a_batch_holds_no_more_than_it_may(
    platform: Platform,
) -> None:
    platform.register("tech", RUN)
    for number in range(4):
        collect(platform, item(f"i{number}", "One"), name=f"c{number}")
    size = len(item("i0", "One"))
    snapshot = platform.lake.snapshot_id()
    read_again(platform, batch_bytes=2 * size, writes=True)
    assert platform.lake.snapshot_id() == snapshot + 2


def test_workspaces_are_read_apart(platform: Platform) -> None:
    for workspace_id in ("tech", "finance"):
        collect(platform, item("a", "One"), workspace_id=workspace_id)
    before = contents(platform, "finance")
    assert count(read_again(platform, writes=True)) == {("lines", DAY): (1, 1, 0, 0, 0)}
    for frame, other in zip(contents(platform, "finance"), before, strict=True):
        assert frame.equals(other)


def test_an_archived_workspace_can_be_looked_at_and_not_written(platform: Platform) -> None:
    collect(platform, item("a", "One"))
    workspace = platform.workspaces.get("tech")
    platform.workspaces.save(workspace.model_copy(update={"status": "archived"}))
    assert read_again(platform).differing.height == 1
    with pytest.raises(ConfigError, match="archived"):
        read_again(platform, writes=True)
