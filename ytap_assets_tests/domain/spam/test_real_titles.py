"""Detection on real titles."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.spam.training import train_spam_model
from ytap_assets.domain.urls import canonical_url, canonical_urls

pytestmark = pytest.mark.real_data

HACKER_NEWS = "hacker_news/stories_all_2016-09-07_to_16.csv.gz"
REDDIT = "reddit/top1000_2013/worldnews.csv.gz"
YOUTUBE = "youtube_trending_daily/{}/{}_20240915.csv.gz"


def read(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_trends(source: str, rows: list[dict[str, str]]) -> pl.DataFrame:
    """Titles as trends; counts are left unknown."""
    return pl.DataFrame(
        {
            "workspace_id": "w",
            "day": date(2026, 11, 20),
            "source": source,
            "item_id": [str(number) for number in range(len(rows))],
            "title": [row["title"] for row in rows],
            "url": [row.get("url") for row in rows],
        },
        schema_overrides={"url": pl.String},
    ).with_columns(
        points=pl.lit(None, pl.Int64),
        views=pl.lit(None, pl.Int64),
        channel_id=pl.lit(None, pl.String),
        channel_title=pl.lit(None, pl.String),
        is_promoted=pl.lit(None, pl.Boolean),
    )


def caught_by_text(source: str, rows: list[dict[str, str]]) -> pl.DataFrame:
    """The titles that a rule about texts catches."""
    return find_spam(as_trends(source, rows), SpamRules()).filter("is_spam")


def test_hacker_news_titles_pass(real_data: Path) -> None:
    rows = read(real_data / HACKER_NEWS)
    assert caught_by_text("hn", rows)["title"].to_list() == []


def test_world_news_passes(real_data: Path) -> None:
    assert caught_by_text("reddit", read(real_data / REDDIT))["title"].to_list() == []


@pytest.mark.parametrize("chart", ["default", "gaming", "music", "movies"])
def test_youtube_charts_pass(chart: str, real_data: Path) -> None:
    rows = read(real_data / YOUTUBE.format(chart, chart))
    caught = caught_by_text("youtube", rows)
    assert len(rows) >= 20
    assert caught["title"].to_list() == []


def recall_at_1pct(scores: pl.Series, is_spam: pl.Series) -> float:
    honest = scores.filter(~is_spam).sort(descending=True)
    share = (scores.filter(is_spam) > honest[honest.len() // 100]).mean()
    assert isinstance(share, float)
    return share


def test_rules_do_not_spoil_what_a_model_finds_on_unseen_comments(real_data: Path) -> None:
    learned, unseen = (
        pl.read_csv(real_data / "spam" / name, columns=["CONTENT", "CLASS"])
        for name in ("Youtube01-Psy.csv", "Youtube03-LMFAO.csv")
    )
    model = train_spam_model(learned["CONTENT"], learned["CLASS"] == 1)
    rows = as_trends("youtube", [{"title": one} for one in unseen["CONTENT"]])
    is_spam = unseen["CLASS"] == 1
    together = find_spam(rows, SpamRules(), model)["spam_probability"]
    alone = recall_at_1pct(model.probabilities(rows["title"]), is_spam)
    rules = recall_at_1pct(find_spam(rows, SpamRules())["spam_probability"], is_spam)
    assert recall_at_1pct(together, is_spam) >= max(alone, rules) - 0.02


def test_real_urls_keep_their_canonical_form(real_data: Path) -> None:
    urls = [row["url"] for row in read(real_data / HACKER_NEWS) if row["url"]]
    canonical = canonical_urls(pl.Series(urls))
    pairs = zip(canonical, urls, strict=True)
    assert all(one in {None, canonical_url(url)} for one, url in pairs)
    assert canonical.null_count() < len(urls) / 200
    assert canonical_urls(canonical).to_list() == canonical.to_list()
    assert 0.9 < canonical.n_unique() / len(set(urls)) < 1
