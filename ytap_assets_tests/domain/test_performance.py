from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from math import isnan
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.domain.performance import (
    UNATTRIBUTED,
    SourceInputs,
    credit_scripts,
    engagement_rate_pct,
    is_settled,
    measure_sources,
)
from ytap_assets.tables import (
    PRODUCTION_RECORDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    TREND_STORIES,
    VIDEO_METRICS,
)
from ytap_assets_tests.storable import check_storable

Vectors = Callable[[str], list[dict[str, Any]]]
DAY = date(2026, 11, 18)
NEXT = DAY + timedelta(days=1)
AT = datetime(2026, 11, 18, 9, tzinfo=UTC)
TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_worked_engagement(vectors: Vectors) -> None:
    for case in vectors("engagement"):
        counts = [case[name] for name in ("views", "likes", "comments", "shares")]
        rate = engagement_rate_pct(*counts)
        assert rate == pytest.approx(case["engagement_rate_pct"], abs=0.005), case


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        ((1000, 10, 5, 5), 2.0),
        ((1000, 10, None, None), 1.0),
        ((1000, None, 5, 5), None),
        ((None, 10, 5, 5), None),
        ((0, 10, 5, 5), None),
        ((-1, 10, 5, 5), None),
        ((10, 13, 0, 0), 130.0),
        ((800, 1, 0, 0), 0.12),
        ((2**63 - 1, 2**63 - 1, 2**63 - 1, 0), 200.0),
    ],
)
def test_engagement_where_counts_are_missing(
    counts: tuple[int | None, int | None, int | None, int | None], rate: float | None
) -> None:
    assert engagement_rate_pct(*counts) == rate


@pytest.mark.parametrize(
    ("day", "settled"),
    [
        (TODAY, False),
        (TODAY - timedelta(days=3), False),
        (TODAY - timedelta(days=4), True),
        (TODAY - timedelta(days=400), True),
        (TODAY + timedelta(days=1), False),
    ],
)
def test_the_trailing_days_are_not_settled(day: date, settled: bool) -> None:
    assert is_settled(day, NOON) is settled


def observed(*rows: tuple[date, str]) -> pl.DataFrame:
    schema = {"workspace_id": pl.String, "day": pl.Date, "source": pl.String}
    return pl.DataFrame([("tech", *row) for row in rows], schema, orient="row")


def members(*rows: dict[str, Any]) -> pl.DataFrame:
    common = {"workspace_id": "tech", "day": DAY, "observed_at": AT, "is_spam": False}
    return TREND_STORIES.frame([{**common, **row} for row in rows])


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    common = {"workspace_id": "tech", "created_at": AT + timedelta(hours=2)}
    return PRODUCTION_RECORDS.frame([{**common, **row} for row in rows])


def metrics(*rows: tuple[date, str, int | None]) -> pl.DataFrame:
    return VIDEO_METRICS.frame(
        [
            {
                "workspace_id": "tech",
                "platform": "youtube",
                "video_id": video,
                "day": day,
                "observed_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
                "views": views,
            }
            for day, video, views in rows
        ]
    )


def topic_members(*rows: tuple[str, str, str, datetime]) -> pl.DataFrame:
    names = ("story_id", "source", "canonical_url", "observed_at")
    return members(*(dict(zip(names, row, strict=True)) for row in rows))


PAGE = "https://a.example/page"


def test_a_script_is_credited_to_the_first_source_that_showed_its_topic() -> None:
    stories = topic_members(
        ("s1", "reddit", "https://other.example/", AT + timedelta(minutes=30)),
        ("s1", "hn", "a.example/page", AT + timedelta(hours=1)),
        ("s2", "youtube", "b.example/", AT),
    )
    stories = stories.with_columns(pl.col("canonical_url").replace("a.example/page", PAGE))
    credited = credit_scripts(
        records({"script_id": "one", "topic_url": f"{PAGE}?utm_source=x"}), stories
    )
    assert credited["source"].to_list() == ["reddit"]


def test_what_was_seen_only_after_the_script_gets_no_credit() -> None:
    late = topic_members(("s1", "hn", PAGE, AT + timedelta(days=1)))
    credited = credit_scripts(
        records(
            {"script_id": "late", "topic_url": PAGE},
            {"script_id": "silent", "topic_url": None},
            {"script_id": "elsewhere", "topic_url": "https://c.example/"},
        ),
        late,
    )
    assert credited["source"].to_list() == [UNATTRIBUTED] * 3


def test_what_a_source_brought_is_counted_by_day() -> None:
    inputs = SourceInputs(
        observed=observed((DAY, "hn"), (DAY, "hn"), (DAY, "reddit"), (NEXT, "hn")),
        members=members(
            {"source": "hn", "item_id": "1", "story_id": "a"},
            {"source": "hn", "item_id": "2", "story_id": "b", "is_spam": True},
            {"source": "reddit", "item_id": "3", "story_id": "a"},
        ),
        scored=SCORED_TRENDS.frame(
            [
                {"workspace_id": "tech", "day": DAY, "story_id": "a", "position": 1}
                | {"is_spam": False},
                {"workspace_id": "tech", "day": DAY, "story_id": "b", "position": 2}
                | {"is_spam": True},
            ]
        ),
    )
    rows = measure_sources(pl.Series([DAY, NEXT]), inputs)
    check_storable(SOURCE_PERFORMANCE, rows)
    counts = rows.select(
        "day", "source", "observations", "items", "spam_items", "stories", "top_ten"
    )
    assert counts.rows() == [
        (DAY, "hn", 2, 2, 1, 2, 1),
        (DAY, "reddit", 1, 1, 0, 1, 1),
        (NEXT, "hn", 1, 0, None, 0, 0),
    ]


def test_the_ten_best_are_those_that_the_report_lists() -> None:
    stories = [f"s{number:02}" for number in range(1, 13)]
    inputs = SourceInputs(
        observed=observed(),
        members=members(
            *({"source": "hn", "item_id": story, "story_id": story} for story in stories)
        ),
        scored=SCORED_TRENDS.frame(
            [
                {"workspace_id": "tech", "day": DAY, "story_id": story, "position": place}
                | {"is_spam": place == 1}
                for place, story in enumerate(stories, start=1)
            ]
        ),
    )
    assert measure_sources(pl.Series([DAY]), inputs)["top_ten"].to_list() == [10]


def test_what_was_made_of_it_counts_on_the_day_it_happened() -> None:
    inputs = SourceInputs(
        observed=observed(),
        topic_members=topic_members(("s1", "hn", PAGE, AT)),
        records=records(
            {
                "script_id": "one",
                "topic_url": PAGE,
                "published_at": AT + timedelta(days=1),
                "video_id": "v1",
                "cost_usd_micros": 1_500_000,
            },
            {
                "script_id": "two",
                "published_at": AT + timedelta(days=1),
                "video_id": "v2",
                "cost_usd_micros": None,
            },
        ),
        metrics=metrics((DAY, "v1", 100), (NEXT, "v1", 160), (NEXT, "v2", 5)),
    )
    rows = measure_sources(pl.Series([DAY, NEXT]), inputs)
    made = rows.select("day", "source", "chosen", "published", "views_gained", "cost_usd_micros")
    assert made.rows() == [
        (DAY, "hn", 1, 0, None, None),
        (DAY, UNATTRIBUTED, 1, 0, None, None),
        (NEXT, "hn", 0, 1, 60, 1_500_000),
        (NEXT, UNATTRIBUTED, 0, 1, 5, None),
    ]
    assert rows["roi_pct"].null_count() == rows.height


def test_a_number_that_is_unknown_is_null_and_says_why() -> None:
    inputs = SourceInputs(
        observed=observed((DAY, "hn")),
        members=members(
            {"source": "hn", "item_id": "1", "story_id": "a", "is_spam": True},
            {"source": "hn", "item_id": "2", "story_id": "b"},
            {"source": "hn", "item_id": "3", "story_id": "c"},
        ),
        records=records(
            {"script_id": "one", "published_at": AT, "video_id": "v1", "cost_usd_micros": None}
        ),
    )
    rows = measure_sources(pl.Series([DAY]), inputs)
    check_storable(SOURCE_PERFORMANCE, rows)
    assert rows.select("source", "items", "spam_items", "spam_pct").rows() == [
        ("hn", 3, 1, 33.33),
        (UNATTRIBUTED, 0, None, None),
    ]
    for row in rows.iter_rows(named=True):
        explained = {name for text in row["missing"] for name in text.partition(":")[0].split(", ")}
        assert explained == {name for name, value in row.items() if value is None}
        assert not any(isinstance(value, float) and isnan(value) for value in row.values())
    assert "cost_usd_micros: the cost of its videos is unknown" in rows["missing"][1]


def test_only_the_days_asked_for_are_counted() -> None:
    rows = measure_sources(
        pl.Series([NEXT]), SourceInputs(observed=observed((DAY, "hn"), (NEXT, "hn")))
    )
    assert rows["day"].to_list() == [NEXT]


def test_workspaces_together_are_measured_as_one_at_a_time() -> None:
    def of(workspace: str, first_source: str, best: int, views: int) -> SourceInputs:
        """The same ids in each workspace, with other facts."""
        stories = [
            {"day": DAY, "story_id": str(n), "position": 1 + (n + best) % 12, "is_spam": False}
            for n in range(12)
        ]
        frames = {
            "observed": observed((DAY, "hn"), (DAY, "reddit"), *[(NEXT, "hn")] * best),
            "members": members(
                *(
                    {"source": "hn" if n % 2 else "reddit", "item_id": str(n), "story_id": str(n)}
                    for n in range(12)
                )
            ),
            "scored": SCORED_TRENDS.frame([{"workspace_id": "tech", **row} for row in stories]),
            "topic_members": topic_members(
                ("s", first_source, PAGE, AT), ("s", "youtube", PAGE, AT)
            ),
            "records": records(
                {"script_id": "one", "topic_url": PAGE, "video_id": "v", "published_at": AT}
            ),
            "metrics": metrics((DAY, "v", 10), (NEXT, "v", views)),
        }
        return SourceInputs(
            **{
                name: frame.with_columns(workspace_id=pl.lit(workspace))
                for name, frame in frames.items()
            }
        )

    days = pl.Series([DAY, NEXT])
    each = [of("a", "hn", 0, 20), of("b", "reddit", 5, 35), of("c", "hn", 7, 5)]
    names = [field.name for field in fields(SourceInputs)]
    together = SourceInputs(
        **{name: pl.concat(getattr(inputs, name) for inputs in each) for name in names}
    )
    alone = [measure_sources(days, inputs) for inputs in each]
    assert {gained for rows in alone for gained in rows["views_gained"].drop_nulls()} == {
        10,
        25,
        -5,
    }
    assert_frame_equal(measure_sources(days, together), pl.concat(alone))
