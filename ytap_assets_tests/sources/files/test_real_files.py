"""The recorded tables as people left them; skipped where they are absent."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple, cast

import polars as pl
import pytest

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.files import Format, known_formats, read_trend_file
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


@pytest.mark.parametrize(
    ("kind", "rows", "duplicates", "unknown_views", "unknown_durations"),
    [
        ("default", 28_839, 3_491, 627, 614),
        ("gaming", 5_498, 0, 0, 0),
        ("music", 3_578, 0, 0, 0),
        ("movies", 839, 0, 0, 0),
    ],
)
def test_daily_lists(
    real_data: Path,
    kind: str,
    rows: int,
    duplicates: int,
    unknown_views: int,
    unknown_durations: int,
) -> None:
    tally = _read_all((real_data / "youtube_trending_daily" / kind).glob("*.gz"), "youtube")
    assert (tally.fetched, tally.readable, tally.duplicates) == (rows, rows, duplicates)
    assert tally.rows.get_column("category").unique().to_list() == [kind]
    nulls = tally.rows.null_count().row(0, named=True)
    assert (nulls["views"], nulls["duration_s"]) == (unknown_views, unknown_durations)
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
        "column video_id holds 'sxcaeyJTx4Co', w"[:38]
    ]
    days = tally.rows.get_column("day")
    assert (days.min(), days.max(), days.n_unique()) == (date(2017, 9, 13), date(2017, 10, 22), 40)
    assert tally.rows.get_column("region").unique().to_list() == ["US"]
    nulls = tally.rows.null_count().row(0, named=True)
    assert (nulls["views"], nulls["likes"], nulls["comments"]) == (10, 84, 253)
    assert tally.rows.get_column("rank").max() == 200


@pytest.mark.parametrize(
    ("pattern", "fetched", "quarantined", "duplicates"),
    [
        ("v2_*.csv.gz", 3_586, 0, 0),
        ("v3_*.csv.gz", 47_162, 520, 0),
        ("scraper_*.csv.gz", 1_077, 0, 0),
        ("new_*.csv.gz", 5_063, 0, 5),
    ],
)
def test_the_other_kaggle_editions(
    real_data: Path, pattern: str, fetched: int, quarantined: int, duplicates: int
) -> None:
    tally = _read_all((real_data / "youtube_trending_kaggle").glob(pattern), "youtube")
    found = (tally.fetched, tally.fetched - tally.readable, tally.duplicates)
    assert found == (fetched, quarantined, duplicates)
    assert all("'#NOME?'" in reason for reason in tally.reasons)
    assert tally.rows.get_column("region").null_count() == 0


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
    tally = _read_all((folder / "algolia_stories_monthly").glob("*.gz"), "hn")
    assert (tally.fetched, tally.readable, tally.duplicates) == (8_749, 8_749, 0)
    # Two topics hold some of the stories: each is a list of its own.
    items = tally.rows.select("item_id", "observed_at").n_unique()
    assert (items, set(tally.rows["list_name"])) == (8_735, set(tally.rows["category"]))
    assert tally.rows.get_column("observed_at").n_unique() == 8
    assert set(tally.rows.get_column("category")) == {"philosophy", "history", "literature"}
    early = folder / "algolia_responses_2014.json"
    tally = _read_all([early], "hn", date(2014, 6, 20))
    assert (tally.fetched, tally.readable, tally.duplicates) == (18, 18, 5)
    with pytest.raises(ImportRefusedError, match="--observed-on"):
        _read_all([early], "hn")


def test_histories_of_points(real_data: Path) -> None:
    paths = (real_data / "hacker_news").glob("points_history_datasette*.jsonl.gz")
    tally = _read_all(paths, "hn")
    assert (tally.fetched, tally.readable, tally.duplicates) == (2_691, 2_691, 0)
    assert tally.rows.get_column("observed_at").n_unique() > 150


def test_snapshots_by_keyword(real_data: Path) -> None:
    tally = _read_all((real_data / "youtube_keyword_snapshots").glob("*.csv"), "youtube")
    assert (tally.fetched, tally.readable, tally.duplicates) == (462, 462, 0)
    assert tally.rows.get_column("comments").null_count() == 7


def test_tables_of_reddit(real_data: Path) -> None:
    top = (real_data / "reddit" / "top1000_2013").glob("*.gz")
    tally = _read_all(top, "reddit", date(2013, 8, 31))
    assert (tally.fetched, tally.readable, tally.duplicates) == (13_999, 13_999, 0)
    assert tally.rows.get_column("category").n_unique() == 14
    # Three were encoded twice by who posted them; they are decoded once.
    assert tally.rows.filter(pl.col("url").str.contains("&amp;")).height == 3
    tally = _read_all((real_data / "reddit").glob("*.csv.gz"), "reddit")
    assert (tally.fetched, tally.readable, tally.duplicates) == (600, 600, 0)


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
        assert all(reason.startswith("column status.code holds") for reason in tally.reasons)
        frames.append(tally.rows)
    rows = pl.concat(frames)
    # What was seen is seen after it was posted, and soon after for the newest.
    age = (rows.get_column("observed_at") - rows.get_column("published_at")).dt.total_seconds()
    assert 0 <= cast(int, age.min()) < 60


def test_histories_of_scores(real_data: Path) -> None:
    tally = _read_all((real_data / "reddit").glob("score_history*/*.json.gz"), "reddit")
    assert (tally.fetched, tally.readable, tally.duplicates) == (47_010, 47_010, 0)
    assert tally.rows.get_column("item_id").n_unique() == 3_129
    assert not tally.rows.get_column("title").str.contains("_").any()
    assert (tally.rows.get_column("observed_at") > tally.rows.get_column("published_at")).all()


def test_items_of_hacker_news_own_api(real_data: Path) -> None:
    path = real_data / "hacker_news" / "firebase_item_examples.json"
    tally = _read_all([path], "hn", date(2026, 1, 1))
    assert (tally.fetched, tally.readable, tally.duplicates) == (8, 3, 0)
    assert sum("not a story" in reason for reason in tally.reasons.elements()) == 3


def test_recorded_answers_of_youtube(real_data: Path) -> None:
    tally = _read_all((real_data / "youtube_api").glob("recorded_*.jsonl.gz"), "youtube")
    assert (tally.fetched, tally.readable, tally.duplicates) == (635, 112, 0)
    kinds = Counter[str]()
    for reason, count in tally.reasons.items():
        kinds[" ".join(reason.split()[:2])] += count
    assert kinds == {"column kind": 477, "column snippet.title": 33, "column status.code": 13}
    assert tally.rows.get_column("views").null_count() == 62


def test_single_answers_of_youtube(real_data: Path) -> None:
    read, refused = 0, Counter[str]()
    api = [
        *(real_data / "youtube_api").rglob("*.json"),
        *(real_data / "youtube_trending_kaggle").rglob("*.json"),
    ]
    for path in sorted(api):
        try:
            tally = _read_all([path], "youtube", date(2026, 11, 1))
        except ImportRefusedError as error:
            refused[str(error).removeprefix(f"{path.name}: ").split(";")[0]] += 1
        else:
            read += 1
            assert tally.fetched == tally.readable > 0
    assert read == 8
    assert refused == {
        "a list of YouTube's categories": 18,
        "a list of YouTube playlists or of what is on them": 7,
        "a list of YouTube channels or of their sections": 6,
        "a list of YouTube's languages, regions or reasons to report a video": 3,
        "one's own ratings of videos": 1,
        "an error that an API answered": 4,
    }
