from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.spam import find_spam
from ytap_assets.domain.spam_rules import MAX_TERM_CHARACTERS, Minimum, SpamRules
from ytap_assets.errors import ConfigError

SCHEMA = {
    "source": pl.String,
    "title": pl.String,
    "url": pl.String,
    "points": pl.Int64,
    "views": pl.Int64,
    "is_promoted": pl.Boolean,
}


def trends(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{"source": "hn", "title": "", **row} for row in rows], schema=SCHEMA)


def reasons(rules: SpamRules | None = None, **row: Any) -> list[str]:
    found = find_spam(trends(row), rules or SpamRules())
    texts: list[str] = found["spam_reasons"].to_list()[0]
    assert found["is_spam"].to_list() == [bool(texts)]
    return texts


def full_width(text: str) -> str:
    return "".join(one if one == " " else chr(ord(one) + 0xFEE0) for one in text)


def mathematical(text: str) -> str:
    return "".join(one if one == " " else chr(ord(one) - ord("a") + 0x1D5EE) for one in text)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"source": "reddit", "points": 99},
            ["minimum_engagement: 99 points, at least 100"],
        ),
        ({"source": "reddit", "points": 100}, []),
        ({"source": "reddit", "points": None}, []),
        ({"source": "hn", "points": 49}, ["minimum_engagement: 49 points, at least 50"]),
        ({"source": "youtube", "views": 999}, ["minimum_engagement: 999 views, at least 1000"]),
        ({"source": "youtube", "views": None, "points": 1}, []),
        ({"source": "youtube_channel", "views": 0}, []),
        ({"source": "tiktok", "points": 0, "views": 0}, []),
        ({"is_promoted": True}, ["promoted: stickied, pinned or paid for"]),
        ({"is_promoted": False}, []),
    ],
)
def test_counts_and_marks(row: dict[str, Any], expected: list[str]) -> None:
    assert reasons(**row) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Get rich  QUICK with this", ["blocklist: get rich quick"]),
        (full_width("GET RICH QUICK"), ["blocklist: get rich quick"]),
        (mathematical("get rich quick"), ["blocklist: get rich quick"]),
        ("Get ri\u200bch quick", ["blocklist: get rich quick"]),
        ("Budget richest quickly", []),
        ("Earn $5,000 per day from home", ["pattern: earnings promise"]),
        ("We earn $5,000 per customer", []),
        ("Join WhatsApp +1 202 555 0100 now", ["pattern: messenger number"]),
        ("WhatsApp has 2 billion users", []),
        ("Win 🔥🔥🔥🔥🔥🔥", ["emoji_excess: 6 emoji"]),
        ("Win 🔥🔥🔥🔥🔥", []),
        ("Family 👨‍👩‍👧‍👦👨‍👩‍👧‍👦 flags 🇩🇪🇫🇷 hand 👋🏽", []),
        ("Acme™ © ® ™ © ® ™ © ®", []),
        ("THIS IS THE LOUDEST TITLE OF TODAY", ["capitals_excess: 100 % capitals"]),
        ("NASA AND ESA", []),
        ("NASA, ESA, JAXA, ISRO and CNES agree on a mission for the 2030s", []),
        ("Gooooooooal!", ["repeated_characters: oooooooo"]),
        ("WON!!!!!!!!!", ["repeated_characters: !!!!!!!!"]),
        ("Cooool!!!", []),
        ("1000000000 and ..........", []),
        ("free free free free free money", ["repeated_words: 2 different of 6"]),
        ("Chicken chicken chicken: chicken programming language", []),
        ("a   b   c   d   e   f", []),
        ("", []),
    ],
)
def test_titles(title: str, expected: list[str]) -> None:
    assert reasons(title=title) == expected


def test_capitals_are_normal_on_youtube() -> None:
    title = "THIS IS THE OFFICIAL MUSIC VIDEO OF A SONG"
    assert reasons(title=title, source="youtube") == []
    assert reasons(title=title, source="reddit") != []


@pytest.mark.parametrize(
    "url",
    [
        "https://adf.ly/1a",
        "HTTP://X.ADF.LY/1a",
        "http://adf.ly.:80/1a",
        "http:\\\\adf.ly\\1a",
        "https://good.example@adf.ly/",
    ],
)
def test_link_farms_are_known_by_their_host(url: str) -> None:
    assert reasons(url=url) == ["link_farm: adf.ly"]


@pytest.mark.parametrize(
    "url",
    [None, "", "https://notadf.ly/", "https://adf.ly.example/", "https://a.example/adf.ly", "adf"],
)
def test_other_hosts_are_no_link_farms(url: str | None) -> None:
    assert reasons(url=url) == []


def test_every_rule_that_catches_gives_its_reason() -> None:
    found = reasons(
        source="reddit",
        points=1,
        title="GET RICH QUICK GET RICH QUICK GET RICH QUICK AAAAAAAA " * 2,
        url="https://ouo.io/x",
        is_promoted=True,
    )
    assert [reason.partition(":")[0] for reason in found] == [
        "minimum_engagement",
        "blocklist",
        "link_farm",
        "capitals_excess",
        "repeated_characters",
        "repeated_words",
        "promoted",
    ]


def test_a_workspace_adds_its_own() -> None:
    rules = SpamRules().extended(
        minimums={"hn": Minimum("points", 5)}, blocklist=["secret"], link_farms=["Spam.Example "]
    )
    assert reasons(rules, points=5, title="Secretary of State") == []
    assert reasons(rules, points=4, title="The Secret", url="https://www.spam.example") == [
        "minimum_engagement: 4 points, at least 5",
        "blocklist: secret",
        "link_farm: spam.example",
    ]
    assert reasons(rules, source="reddit", points=4) != []


def test_the_allowlist_beats_the_blocklist() -> None:
    rules = SpamRules().extended(
        blocklist=["casino", "free money"], allowlist=["Casino Royale", "adf.ly"]
    )
    assert reasons(rules, title="Casino royale, reviewed") == []
    assert reasons(rules, title="Casino Royale at our casino") == ["blocklist: casino"]
    assert reasons(rules, title="free casino royale money") == []
    assert reasons(rules, url="https://adf.ly/1") == []


@pytest.mark.parametrize("term", ["", " ", "x" * (MAX_TERM_CHARACTERS + 1)])
def test_a_phrase_that_would_match_everything_is_refused(term: str) -> None:
    with pytest.raises(ConfigError, match="blocklist"):
        SpamRules(blocklist=(term,))
    with pytest.raises(ConfigError, match="allowlist"):
        SpamRules().extended(allowlist=[term])
    with pytest.raises(ConfigError, match="link_farms"):
        SpamRules().extended(link_farms=["good.example", term])


def test_rules_can_be_empty() -> None:
    rules = SpamRules(minimums={}, blocklist=(), patterns=(), link_farms=())
    assert reasons(rules, title="get rich quick", url="https://adf.ly", points=0) == []


def test_no_rows_give_no_rows() -> None:
    found = find_spam(trends(), SpamRules())
    assert found.schema == {**SCHEMA, "is_spam": pl.Boolean, "spam_reasons": pl.List(pl.String)}


rows = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["hn", "reddit", "youtube", "other"]),
        "title": st.one_of(
            st.text(), st.sampled_from(["get rich quick", "\x1f", "\x00", "A" * 99])
        ),
        "url": st.one_of(st.none(), st.text(), st.just("https://adf.ly/1")),
        "points": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "views": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "is_promoted": st.one_of(st.none(), st.booleans()),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, max_size=6))
def test_whatever_the_titles_each_row_is_judged_alone(given_rows: list[dict[str, Any]]) -> None:
    together = find_spam(trends(*given_rows), SpamRules())
    assert_frame_equal(together.drop("is_spam", "spam_reasons"), trends(*given_rows))
    alone = [find_spam(trends(row), SpamRules()) for row in given_rows]
    if alone:
        assert_frame_equal(together, pl.concat(alone))
    for texts in together["spam_reasons"].to_list():
        assert all(": " in text for text in texts)


@pytest.mark.parametrize(
    ("hostile", "rule"),
    [
        ("a" * 1_000_000, "repeated_characters"),
        ("get " * 300_000, "repeated_words"),
        ("!a" * 500_000, None),
        ("make $" + "1" * 1_000_000, None),
        ("\U0001f525\u200d" * 200_000, "emoji_excess"),
    ],
    ids=["letters", "words", "marks", "digits", "emoji"],
)
def test_endless_titles_are_judged(hostile: str, rule: str | None) -> None:
    found = [reason.partition(":")[0] for reason in reasons(title=hostile)]
    assert found == ([rule] if rule else [])
