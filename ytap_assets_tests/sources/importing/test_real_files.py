"""The recorded tables as people left them; skipped where they are absent."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple, cast

import polars as pl
import pytest
from polars.testing import assert_series_equal

from ytap_assets.domain.ids import is_video_id
from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import Format, known_formats, read_trend_file
from ytap_assets.tables import RAW_TRENDS

pytestmark = pytest.mark.real_data

_NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Tally(NamedTuple):
    """What a family of files held."""

    fetched: int
    readable: int
    duplicates: int
    reasons: Counter[str]
    rows: pl.DataFrame


def _read_all(
    paths: Iterable[Path],
    source: str,
    observed_on: date | None = None,
    formats: tuple[Format, ...] | None = None,
) -> Tally:
    frames, reasons, fetched, duplicates = [], Counter[str](), 0, 0
    for path in sorted(paths):
        fetch = read_trend_file(
            path,
            workspace_id="tech",
            source=source,
            observed_on=observed_on,
            now=_NOW,
            run_id="r",
            formats=formats,
        )
        assert fetch.log["fetched"] == fetch.rows.height + fetch.quarantined.height
        fetched += fetch.log["fetched"]
        duplicates += fetch.rows.height - fetch.rows.select(RAW_TRENDS.key).unique().height
        reasons.update(fetch.quarantined.get_column("reason"))
        frames.append(fetch.rows)
    rows = pl.concat(frames)
    return Tally(fetched, rows.height, duplicates, reasons, rows)


def _unpack(path: Path) -> str:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return content.decode("utf-8-sig", errors="replace")


def _records(path: Path) -> list[dict[str, str]]:
    """The records as Python's own reader takes them: none of these files is torn in the middle."""
    return list(csv.DictReader(io.StringIO(_unpack(path), newline="")))


def _find(folder: Path, pattern: str) -> list[Path]:
    """Files that are there: a pattern that finds none would pass every test."""
    paths = sorted(folder.glob(pattern))
    assert paths, f"{folder}: no {pattern}"
    return paths


@pytest.mark.parametrize("kind", ["default", "gaming", "music", "movies"])
def test_daily_lists(real_data: Path, kind: str) -> None:
    paths = _find(real_data / "youtube_trending_daily" / kind, "*.gz")
    records = [(path.name, one) for path in paths for one in _records(path)]
    tally = _read_all(paths, "youtube")
    assert tally.fetched == tally.readable == len(records)
    assert tally.duplicates == len(records) - len({(name, one["videoId"]) for name, one in records})
    assert tally.rows.get_column("category").unique().to_list() == [kind]
    nulls = tally.rows.null_count().row(0, named=True)
    assert nulls["views"] == sum(
        one["views"] in ("", "0") and not one["viewsText"] for _, one in records
    )
    assert nulls["duration_s"] == sum(one["duration"] in ("", "-1") for _, one in records)
    assert nulls["published_at"] == nulls["rank"] == 0


def test_shown_ages_say_what_published_date_says_where_it_is_right(real_data: Path) -> None:
    """The later edition has both, so it shows that the earlier one may be read by its ages."""
    by_name = {one.name: one for one in known_formats()}
    declared = by_name["youtube_daily_list_with_creator_on_rise"].model_dump(by_alias=True)
    early = Format.model_validate({**declared, "requires": ()})
    paths = sorted((real_data / "youtube_trending_daily" / "default").glob("*_2024100*.gz"))
    by_date = _read_all(paths, "youtube").rows
    by_age = _read_all(paths, "youtube", formats=(early,)).rows
    apart = (by_date.get_column("published_at") - by_age.get_column("published_at")).abs()
    assert by_date.height > 500
    close = apart.dt.total_minutes() <= 15
    assert close.sum() > 0.99 * close.len()


def test_the_first_kaggle_edition(real_data: Path) -> None:
    path = real_data / "youtube_trending_kaggle" / "v1_2017-09_US_USvideos.csv.gz"
    tally = _read_all([path], "youtube")
    assert (tally.fetched, tally.readable, tally.duplicates) == (8_000, 7_999, 7)
    assert [reason[:38] for reason in tally.reasons] == [
        "column video_id contains 'sxcaeyJTx4Co', w"[:38]
    ]
    days = tally.rows.get_column("day")
    assert (days.min(), days.max(), days.n_unique()) == (date(2017, 9, 13), date(2017, 10, 22), 40)
    assert tally.rows.get_column("region").unique().to_list() == ["US"]
    nulls = tally.rows.null_count().row(0, named=True)
    assert (nulls["views"], nulls["likes"], nulls["comments"]) == (10, 84, 253)
    assert tally.rows.get_column("rank").max() == 200


@pytest.mark.parametrize("pattern", ["v2_*", "v3_*", "scraper_*", "new_*"])
def test_the_other_kaggle_editions(real_data: Path, pattern: str) -> None:
    for path in _find(real_data / "youtube_trending_kaggle", f"{pattern}.csv.gz"):
        records = _records(path)
        good = [one for one in records if is_video_id(one["video_id"])]
        tally = _read_all([path], "youtube")
        assert (tally.fetched, tally.readable) == (len(records), len(good)), path.name
        assert len({(one["video_id"], one["trending_date"]) for one in good}) == (
            tally.readable - tally.duplicates
        )
        assert all("'#NOME?'" in reason for reason in tally.reasons)
        assert tally.rows.get_column("region").null_count() == 0
        for name, flag in (("likes", "ratings_disabled"), ("comments", "comments_disabled")):
            if flag in records[0]:
                off = sum(one[flag] == "True" for one in good)
                assert tally.rows.get_column(name).null_count() == off, (path.name, name)


@pytest.mark.parametrize(
    ("name", "rows", "without_link", "first", "last"),
    [
        ("stories_all_2016-09-07_to_16.csv.gz", 8_024, 429, "2016-09-07", "2016-09-16"),
        ("stories_sample_2015-09_to_2016-08.csv.gz", 18_823, 2_270, "2015-09-06", "2016-08-31"),
    ],
)
def test_stories_of_hacker_news(
    real_data: Path, name: str, rows: int, without_link: int, first: str, last: str
) -> None:
    tally = _read_all([real_data / "hacker_news" / name], "hn")
    assert (tally.fetched, tally.readable, tally.duplicates) == (rows, rows, 0)
    own_page = tally.rows.filter(pl.col("url") == pl.col("discussion_url"))
    assert own_page.height == without_link
    days = tally.rows.get_column("day")
    assert (days.min(), days.max()) == (date.fromisoformat(first), date.fromisoformat(last))
    observed = tally.rows.get_column("observed_at").dt.date().unique().to_list()
    assert observed == [date.fromisoformat(last)]


def test_stories_are_timed_in_utc_as_algolia_times_them(real_data: Path) -> None:
    folder = real_data / "hacker_news"
    ours = _read_all(folder.glob("stories_*.csv.gz"), "hn").rows
    theirs = _read_all(
        [folder / "algolia_stories_monthly" / "stories_2026-02-01.json.gz"], "hn"
    ).rows
    both = ours.join(theirs.unique("item_id"), on="item_id", suffix="_there")
    assert both.height >= 20
    there = both.get_column("published_at_there").dt.truncate("1m")
    assert (both.get_column("published_at") == there).all()


def test_answers_of_algolia(real_data: Path) -> None:
    folder = real_data / "hacker_news"
    paths = _find(folder / "algolia_stories_monthly", "*.gz")
    topics = [json.loads(_unpack(path)) for path in paths]
    # A story of two topics is in two lists.
    lists = [[hit["objectID"] for hit in hits] for one in topics for hits in one.values()]
    tally = _read_all(paths, "hn")
    assert tally.fetched == tally.readable == sum(map(len, lists))
    assert tally.duplicates == sum(len(ids) - len(set(ids)) for ids in lists)
    assert tally.rows.get_column("observed_at").n_unique() == len(paths)
    assert set(tally.rows.get_column("category")) == {name for one in topics for name in one}
    assert_series_equal(
        tally.rows.get_column("list_name"), tally.rows.get_column("category"), check_names=False
    )
    early = folder / "algolia_responses_2014.json"
    tally = _read_all([early], "hn", date(2014, 6, 20))
    assert (tally.fetched, tally.readable, tally.duplicates) == (18, 18, 5)
    with pytest.raises(ImportRefusedError, match="--observed-on"):
        _read_all([early], "hn")


def test_histories_of_points(real_data: Path) -> None:
    for path in _find(real_data / "hacker_news", "points_history_datasette*.jsonl.gz"):
        snapshots = [json.loads(line) for line in _unpack(path).splitlines()]
        seen = [(one["scraped_at"], item["id"]) for one in snapshots for item in one["items"]]
        tally = _read_all([path], "hn")
        assert tally.fetched == tally.readable == len(seen)
        assert tally.duplicates == len(seen) - len(set(seen))
        times = tally.rows.get_column("observed_at")
        assert times.n_unique() == len({at for at, _ in seen})


def test_snapshots_by_keyword(real_data: Path) -> None:
    paths = _find(real_data / "youtube_keyword_snapshots", "*.csv")
    records = [one for path in paths for one in _records(path)]
    tally = _read_all(paths, "youtube")
    assert tally.fetched == tally.readable == len(records)
    assert tally.duplicates == len(records) - len(
        {(one["video_id"], one["fetched_at"]) for one in records}
    )
    unknown = sum(not one["comment_count"] for one in records)
    assert tally.rows.get_column("comments").null_count() == unknown


def test_tables_of_reddit(real_data: Path) -> None:
    for path in _find(real_data / "reddit" / "top1000_2013", "*.gz"):
        records = _records(path)
        tally = _read_all([path], "reddit", date(2013, 8, 31))
        assert tally.fetched == tally.readable == len({one["id"] for one in records}), path.name
        assert tally.rows.get_column("category").unique().to_list() == [path.name.partition(".")[0]]
        # What was encoded twice by who posted it is decoded once.
        twice = sum("&amp;amp;" in one["url"] for one in records)
        assert tally.rows.filter(pl.col("url").str.contains("&amp;")).height == twice
    for path in _find(real_data / "reddit", "*.csv.gz"):
        tally = _read_all([path], "reddit")
        assert tally.fetched == tally.readable == len({one["id"] for one in _records(path)})


def test_recorded_listings_of_reddit(real_data: Path) -> None:
    folder = real_data / "reddit" / "api_responses"
    frames = []
    for path in sorted(folder.glob("*.json.gz")):
        recorded = json.loads(gzip.decompress(path.read_bytes()))
        posts = sum(one["t3"] for one in recorded if one["status"]["code"] == 200)
        if not posts:
            with pytest.raises(ImportRefusedError):
                _read_all([path], "reddit")
            continue
        tally = _read_all([path], "reddit")
        errors = sum(one["status"]["code"] != 200 for one in recorded)
        assert (tally.readable, tally.fetched) == (posts, posts + errors), path.name
        assert all(reason.startswith("column status.code contains") for reason in tally.reasons)
        frames.append(tally.rows)
    rows = pl.concat(frames)
    # What was seen is seen after it was posted, and soon after for the newest.
    age = (rows.get_column("observed_at") - rows.get_column("published_at")).dt.total_seconds()
    assert 0 <= cast(int, age.min()) < 60


def test_histories_of_scores(real_data: Path) -> None:
    paths = _find(real_data / "reddit", "score_history*/*.json.gz")
    posts = [json.loads(_unpack(path))["posts"] for path in paths]
    tally = _read_all(paths, "reddit")
    looks = sum(len(post["updates"]) for one in posts for post in one.values())
    assert (tally.fetched, tally.readable, tally.duplicates) == (looks, looks, 0)
    assert set(tally.rows.get_column("item_id")) == {post_id for one in posts for post_id in one}
    assert not tally.rows.get_column("title").str.contains("_").any()
    assert (tally.rows.get_column("observed_at") > tally.rows.get_column("published_at")).all()


def test_items_of_hacker_news_own_api(real_data: Path) -> None:
    path = real_data / "hacker_news" / "firebase_item_examples.json"
    items = json.loads(_unpack(path))
    kinds = [one.get("type") if isinstance(one, dict) else None for one in items]
    tally = _read_all([path], "hn", date(2026, 1, 1))
    assert tally.fetched == len(kinds)
    assert tally.readable == sum(kind in ("story", "poll") for kind in kinds)
    others = sum(kind in ("comment", "job", "pollopt") for kind in kinds)
    assert sum("not a story" in reason for reason in tally.reasons.elements()) == others


def test_recorded_answers_of_youtube(real_data: Path) -> None:
    for path in _find(real_data / "youtube_api", "recorded_*.jsonl.gz"):
        tally = _read_all([path], "youtube")
        expected = Counter[str]()
        unknown_views = 0
        for line in _unpack(path).splitlines():
            exchange = json.loads(line)
            items = json.loads(exchange["body"]).get("items")
            expected["column status.code"] += exchange["status"]["code"] != 200
            for item in items or []:
                if item["kind"] != "youtube#video":
                    expected["column kind"] += 1
                elif "title" not in item.get("snippet", {}):
                    expected["column snippet.title"] += 1
                else:
                    expected["read"] += 1
                    unknown_views += "viewCount" not in item.get("statistics", {})
        found = Counter({"read": tally.readable})
        for reason, count in tally.reasons.items():
            found[" ".join(reason.split()[:2])] += count
        assert found == expected
        assert tally.fetched == expected.total()
        assert tally.rows.get_column("views").null_count() == unknown_views


_VIDEO_LISTS = {"youtube#videoListResponse", "youtube#searchListResponse"}


def test_single_answers_of_youtube(real_data: Path) -> None:
    """What is read and what is refused by name is as the answer's own kind says."""
    paths = [
        *_find(real_data / "youtube_api", "**/*.json"),
        *_find(real_data / "youtube_trending_kaggle", "**/*.json"),
    ]
    for path in paths:
        content = json.loads(_unpack(path))
        kind = (content[0] if isinstance(content, list) else content).get("kind", "error")
        if kind in _VIDEO_LISTS:
            tally = _read_all([path], "youtube", date(2026, 11, 1))
            assert tally.fetched == tally.readable == len(content["items"]), path.name
            continue
        with pytest.raises(ImportRefusedError) as caught:
            _read_all([path], "youtube", date(2026, 11, 1))
        said = {"error": "an error that an API answered"}.get(kind, f"kind is '{kind}'")
        assert said in str(caught.value), path.name


@pytest.mark.parametrize(
    "pattern",
    [
        "studio_exports/*.csv",
        "experiments/*.parquet",
        "bandit/**/*.csv*",
        "anomaly/**/*.csv*",
        "other_platforms/youtube_analytics/*.json",
    ],
)
def test_what_holds_no_trends_is_refused_by_name(real_data: Path, pattern: str) -> None:
    for path in _find(real_data, pattern):
        for source in ("youtube", "hn", "reddit"):
            with pytest.raises(ImportRefusedError) as caught:
                _read_all([path], source, date(2026, 11, 1))
            assert "unknown format" not in str(caught.value), path.name
