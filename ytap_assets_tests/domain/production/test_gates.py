from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.production.gates import (
    NO_PAGES,
    Gate,
    evaluate_generation_gates,
    evaluate_publication_gates,
    find_banned_topics,
    find_topic_rivals,
    read_topics,
)
from ytap_assets.domain.production.records import Record
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.tables.production import PRODUCTION_RECORDS
from ytap_assets_tests.domain.production.worlds import START, hours

RECORD = Record(
    script_id="one",
    state="script_pending_review",
    title="Five chips that changed phones",
    hook="Your phone has three of them.",
    generation_method="avatar",
    estimated_cost_usd_micros=2_000_000,
    cost_usd_micros=2_000_000,
    quality_score=90.0,
    script_quality=None,
    script_approvers=[],
    video_approvers=[],
    failed_gates=[],
    state_since=START,
    events=1,
)


def closed(gates: tuple[Gate, ...]) -> list[str]:
    return [str(gate) for gate in gates if not gate.passed]


def before_generation(text: str = "Said.", **changes: Any) -> list[str]:
    banned_topics = changes.pop("banned_topics", ())
    rival = changes.pop("rival", None)
    record = replace(RECORD, **changes)
    banned = find_banned_topics([record], {record.script_id: text}, banned_topics)
    gates = evaluate_generation_gates(
        record,
        text,
        approval=None,
        banned=banned.get(record.script_id),
        budget_usd_micros=3_000_000,
        rival=rival,
    )
    return closed(gates)


def before_publishing(**changes: Any) -> list[str]:
    options: dict[str, Any] = {
        "approval": changes.pop("approval", None),
        "budget_usd_micros": 3_000_000,
        "manifest_problems": changes.pop("manifest_problems", []),
    }
    return closed(evaluate_publication_gates(replace(RECORD, **changes), **options))


def test_gates_that_are_open_say_so() -> None:
    assert before_generation() == []
    assert before_publishing() == []
    assert str(Gate("budget", None)) == "budget: passed"


def test_a_script_must_be_whole() -> None:
    assert before_generation(" ", title=None, hook=" \n", generation_method="") == [
        "schema: missing title, hook, body or segments, generation_method"
    ]


@pytest.mark.parametrize(
    ("topic", "title"),
    [
        ("gambling", "GAMBLING, explained"),
        ("penny stocks", "Why penny\u00a0 stocks fall"),
        ("penny stocks", "Penny\nStocks!"),
        ("gambling", "g\u200bambling"),
        ("gambling", "\uff27\uff21\uff2d\uff22\uff2c\uff29\uff2e\uff27 tips"),
        ("C++", "Is C++ dead?"),
        ("straße", "STRASSE"),
        ("賭博", "今日は賭博の話をします"),
        ("ギャンブル", "ギャンブル依存症から抜け出す方法"),
        ("casino", "大阪のcasinoに行ってみた"),
        ("도박", "도박을 끊는 법"),
        ("قمار", "كل شيء عن القمار"),
        ("don't die", "Don\u2019t die young"),
        ("crash diet", "The crash\u2011diet, explained"),
    ],
)
def test_a_banned_topic_is_found_as_a_whole_word(topic: str, title: str) -> None:
    assert before_generation(title=title, banned_topics=["other", topic]) == [
        f"banned_topic: the title mentions {topic!r}"
    ]


@pytest.mark.parametrize(
    ("topic", "title"),
    [
        ("secret", "The Secretary of State"),
        ("gamble", "gambled"),
        ("penny stocks", "penny-pinching with stocks"),
        ("a.b", "acb"),
        ("", "anything"),
        ("\u200b", "anything"),
    ],
)
def test_a_banned_topic_is_no_part_of_a_word(topic: str, title: str) -> None:
    assert before_generation(title=title, banned_topics=[topic]) == []


def test_a_banned_topic_is_looked_for_everywhere() -> None:
    assert before_generation(hook="No gambling.", banned_topics=["gambling"]) == [
        "banned_topic: the hook mentions 'gambling'"
    ]
    assert before_generation("No gambling.", banned_topics=["gambling"]) == [
        "banned_topic: the body mentions 'gambling'"
    ]
    assert before_generation("# Win\n\n**free** <i>robux</i>", banned_topics=["free robux"]) == [
        "banned_topic: the body mentions 'free robux'"
    ]


@pytest.mark.parametrize(
    ("cost", "problems"),
    [
        (0, []),
        (3_000_000, []),
        (3_000_001, ["budget: $3.000001 is over the budget of $3.00"]),
        (4_200_000, ["budget: $4.20 is over the budget of $3.00"]),
        (None, ["budget: the cost is unknown"]),
    ],
)
def test_the_cost_is_within_the_budget(cost: int | None, problems: list[str]) -> None:
    assert before_generation(estimated_cost_usd_micros=cost) == problems
    assert before_publishing(cost_usd_micros=cost) == problems


@pytest.mark.parametrize(
    ("score", "problems"),
    [
        (85.0, []),
        (100.0, []),
        (84.999999, ["quality: 84.999999 is below 85"]),
        (0.0, ["quality: 0 is below 85"]),
        (None, ["quality: unknown; waiting for a quality check"]),
    ],
)
def test_the_quality_is_high_enough(score: float | None, problems: list[str]) -> None:
    assert before_publishing(quality_score=score) == problems


def test_a_video_is_approved_and_whole() -> None:
    assert before_publishing(
        approval="the video is not approved yet", manifest_problems=["a is missing", "b too"]
    ) == [
        "approval: the video is not approved yet",
        "manifest: a is missing; b too",
    ]


def records(*rows: tuple[str, str, str | None, str | None]) -> pl.DataFrame:
    """Records of script, state, title and topic_url, submitted one after another."""
    return PRODUCTION_RECORDS.frame(
        [
            {
                "workspace_id": "tech",
                "script_id": script_id,
                "state": state,
                "title": title,
                "topic_url": url,
                "created_at": hours(number),
            }
            for number, (script_id, state, title, url) in enumerate(rows)
        ]
    )


PENDING = "script_pending_review"


def rivals_of(told: pl.DataFrame) -> dict[str, str]:
    """What is found of one workspace, beside another one with the same scripts."""
    other = told.with_columns(pl.lit("food").alias("workspace_id"))
    found = find_topic_rivals(read_topics(pl.concat([told, other])))
    assert found.get("food") == found.get("tech")
    return found.get("tech", {})


@pytest.mark.parametrize("state", ["ready_for_generation", "ready_for_publish", "published"])
def test_a_topic_that_was_told_is_not_told_again(state: str) -> None:
    found = rivals_of(
        records(
            ("new", PENDING, "Five  CHIPS -- that changed phones?", None),
            ("old", state, "\uff26ive chips that changed \u200bphones!", None),
        )
    )
    assert found == {"new": "script old has the same story: same title"}


def test_a_page_that_was_told_is_not_told_again() -> None:
    found = rivals_of(
        records(
            ("old", "published", "One title", "https://www.example.com/story?utm_source=feed"),
            ("new", PENDING, "Another title", "http://example.com/story#top"),
            ("third", PENDING, "A third title", "https://example.com/other"),
        )
    )
    assert found == {"new": "script old has the same story: same page"}


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_what_was_given_up_tells_nothing(state: str) -> None:
    assert rivals_of(records(("a", state, "T", None), ("b", PENDING, "T", None))) == {}


def test_of_scripts_in_review_the_first_submitted_tells() -> None:
    found = rivals_of(
        records(("z", PENDING, "T", None), ("b", PENDING, "T", None), ("a", PENDING, "t!", None))
    )
    assert found == dict.fromkeys("ab", "script z has the same story: same title")


def test_what_has_no_words_is_no_topic() -> None:
    nothing = [("a", PENDING, "!!!", None), ("b", PENDING, "???", None), ("c", PENDING, None, None)]
    assert rivals_of(records(*nothing, ("d", PENDING, "\U0001f600", None))) == {}
    assert rivals_of(PRODUCTION_RECORDS.empty()) == {}
    assert rivals_of(records(("a", "published", "T", None))) == {}


def test_what_cannot_be_seen_makes_no_other_title() -> None:
    told = records(
        ("a", "published", "Vol\u00adcano \u2764\ufe0f", None),
        ("b", PENDING, "volcano \u2764", None),
    )
    assert set(rivals_of(told)) == {"b"}


def test_an_entity_makes_no_other_title() -> None:
    told = records(
        ("a", "published", "Title &amp; thirty", None), ("b", PENDING, "Title & thirty", None)
    )
    assert set(rivals_of(told)) == {"b"}


def test_words_keep_their_marks() -> None:
    different = records(("a", "published", "मै", None), ("b", PENDING, "म", None))
    assert rivals_of(different) == {}


@pytest.mark.parametrize(
    "form", ["http://nasa.example/news.php?feature={}", "https://a.example/?ref={}"]
)
def test_what_names_a_page_on_its_host_tells_topics_apart(form: str) -> None:
    told = [
        ("a", "published", "Mars", form.format(5052)),
        ("b", PENDING, "Moon", form.format(6618)),
    ]
    assert rivals_of(records(*told)) == {}
    again = records(*told, ("c", PENDING, "Venus", form.format(5052) + "&utm_source=x"))
    assert set(rivals_of(again)) == {"c"}


@pytest.mark.parametrize(
    "url", ["n/a", "https://example.com", "http://", "https://www.youtube.com/", "about:blank"]
)
def test_a_url_that_names_no_page_holds_no_script(url: str) -> None:
    told = records(("a", "published", "Mars", url), ("b", PENDING, "Moon", url))
    assert rivals_of(told) == {}


CABLE = "Undersea cable cut near Iceland leaves three countries offline"
AGAIN = "Three countries offline after undersea cable cut near Iceland"


def test_a_story_that_was_told_in_other_words_is_not_told_again() -> None:
    found = rivals_of(records(("old", "published", CABLE, None), ("new", PENDING, AGAIN, None)))
    assert found == {"new": "script old has the same story: similar title"}


def test_the_next_part_of_a_series_is_another_story() -> None:
    parts = (("one", "published", f"{CABLE}, part 1"), ("two", PENDING, f"{CABLE}, part 2"))
    assert rivals_of(records(*((*part, None) for part in parts))) == {}


def test_the_reason_is_the_same_whatever_becomes_of_the_rivals() -> None:
    states = [("published", PENDING), (PENDING, "published"), ("ready_for_publish",) * 2]
    found = [
        rivals_of(
            records(
                ("z", first, CABLE, None),
                ("a", second, AGAIN, "https://example.com/a"),
                ("new", PENDING, AGAIN, "https://example.com/a"),
                ("later", "published", AGAIN, None),
            )
        )["new"]
        for first, second in states
    ]
    assert found == ["script z has the same story: similar title"] * len(states)


def pages(*rows: tuple[str, str, int]) -> pl.DataFrame:
    """Members of stories of `tech`: page, story, and days after the scripts were submitted."""
    urls = canonical_urls(
        pl.Series([f"https://example.com/{page}" for page, _, _ in rows], dtype=pl.String)
    )
    members = [
        ("tech", url, story, START.date() + timedelta(days))
        for url, (_, story, days) in zip(urls, rows, strict=True)
    ]
    return pl.DataFrame(members, schema=NO_PAGES.schema, orient="row")


@pytest.mark.parametrize(
    ("members", "is_held"),
    [
        ([("a", "s", 0), ("b", "s", 0)], True),
        ([("a", "s", -28), ("b", "s", 3)], True),
        ([("a", "s", 0), ("b", "t", 0)], False),
        ([("a", "s", 0)], False),
        ([("a", "s", -29), ("b", "s", 0)], False),
        ([("a", "s", 0), ("b", "s", -29)], False),
        ([], False),
    ],
)
def test_pages_of_one_story_are_one_topic(
    members: list[tuple[str, str, int]], is_held: bool
) -> None:
    told = records(
        ("old", "published", "One title", "https://example.com/a"),
        ("new", PENDING, "Another title", "https://www.example.com/b"),
    )
    expected = {"new": "script old has the same story: pages of one story"} if is_held else {}
    other = told.with_columns(pl.lit("food").alias("workspace_id"))
    found = find_topic_rivals(read_topics(pl.concat([told, other])), pages(*members))
    assert found == ({"tech": expected} if is_held else {})


def test_the_real_scripts_with_one_title_are_one_topic(real_data: Path) -> None:
    lines = [
        json.loads(line)
        for path in sorted((real_data / "yt_autopilot" / "data").iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    titles = {row["video_internal_id"]: row["title"] for row in lines if row.get("title")}
    told = records(*((f"s{n}", PENDING, title, None) for n, title in enumerate(titles.values())))
    held = rivals_of(told)
    assert len(titles) - len(set(titles.values())) == len(held) > 0
    assert all(reason.endswith("same title") for reason in held.values())
