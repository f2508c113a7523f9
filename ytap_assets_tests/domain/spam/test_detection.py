"""Rule-based spam detection."""

from __future__ import annotations

from datetime import date
from typing import Any, get_args

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.phrases import MAX_PHRASE_CHARACTERS, MAX_PHRASES
from ytap_assets.domain.source_profiles import Minimum
from ytap_assets.domain.spam.detection import PATTERN_CHARACTERS, RULES, find_spam, match_texts
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import (
    RULE_PRECISION,
    RuleName,
    SpamRules,
    find_weak_rules,
)
from ytap_assets.errors import ConfigError
from ytap_assets_tests.effort import examples

DAY = date(2026, 11, 20)
SCHEMA = {
    "workspace_id": pl.String,
    "day": pl.Date,
    "source": pl.String,
    "item_id": pl.String,
    "title": pl.String,
    "url": pl.String,
    "points": pl.Int64,
    "views": pl.Int64,
    "channel_id": pl.String,
    "channel_title": pl.String,
    "is_promoted": pl.Boolean,
}
STRICT = SpamRules(style_signs=1)


def trends(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of one day; each is an item of its own."""
    return pl.DataFrame(
        [
            {"workspace_id": "w", "day": DAY, "source": "hn", "item_id": str(n), "title": "", **row}
            for n, row in enumerate(rows)
        ],
        schema=SCHEMA,
    )


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
        ("More like this: subscribe to our channel", ["pattern: begging for subscribers"]),
        ("How our subscribers met my channel", []),
        ("Check out my new YouTube channel", ["pattern: own channel"]),
        ("Check out the full episode on my channel", []),
        ("Check out this video on YouTube:", ["pattern: shared video"]),
        ("Follow me on Instagram", ["pattern: follow me"]),
        ("Follow me, said the robot", []),
        ("Family 👨‍👩‍👧‍👦👨‍👩‍👧‍👦 flags 🇩🇪🇫🇷 hand 👋🏽", []),
        ("Acme™ © ® ™ © ® ™ © ®", []),
        ("1000000000 and ..........", []),
        ("free free free free free money", ["repeated_words: 2 different of 6"]),
        ("Chicken chicken chicken: chicken programming language", []),
        ("a   b   c   d   e   f", []),
        ("", []),
    ],
)
def test_titles(title: str, expected: list[str]) -> None:
    assert reasons(title=title) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Win 🔥🔥🔥🔥🔥🔥", ["emoji_excess: 6 emoji"]),
        ("Win 🔥🔥🔥🔥🔥", []),
        ("THIS IS THE LOUDEST TITLE OF TODAY", ["capitals_excess: 100 % capitals"]),
        ("NASA AND ESA", []),
        ("NASA, ESA, JAXA, ISRO and CNES agree on a mission for the 2030s", []),
        ("Gooooooooal!", ["repeated_characters: oooooooo"]),
        ("WON!!!!!!!!!", ["repeated_characters: !!!!!!!!"]),
        ("Cooool!!!", []),
    ],
)
def test_one_sign_of_shouting_is_spam_only_where_a_workspace_says_so(
    title: str, expected: list[str]
) -> None:
    assert reasons(STRICT, title=title) == expected
    assert reasons(title=title) == []


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (
            "THE LOUDEST TITLE OF ALL TODAY!!!!!!!!",
            ["capitals_excess: 100 % capitals", "repeated_characters: !!!!!!!!"],
        ),
        ("Gooooooooal ⚽⚽⚽⚽⚽⚽", ["emoji_excess: 6 emoji", "repeated_characters: oooooooo"]),
        ("🔥" * 15, []),
        ("🔥" * 16, ["emoji_excess: 16 emoji"]),
        ("no" + "o" * 20, []),
        ("no" + "o" * 21, ["repeated_characters: oooooooo"]),
    ],
)
def test_signs_of_shouting_add_up(title: str, expected: list[str]) -> None:
    assert reasons(title=title) == expected


def test_a_rule_that_is_off_gives_no_sign() -> None:
    title = "THE LOUDEST TITLE OF ALL TODAY!!!!!!!!"
    assert reasons(SpamRules(rules_off=frozenset({"capitals_excess"})), title=title) == []


def test_capitals_are_normal_on_youtube() -> None:
    title = "THIS IS THE OFFICIAL MUSIC VIDEO OF A SONG"
    assert reasons(STRICT, title=title, source="youtube") == []
    assert reasons(STRICT, title=title, source="reddit") != []


@pytest.mark.parametrize(
    "url",
    [
        "https://adf.ly/1a",
        "HTTP://X.ADF.LY/1a",
        "http://adf.ly.:80/1a",
        "http:\\\\adf.ly\\1a",
        "https://good.example@adf.ly/",
        "//adf.ly/1a",
        "https://a%64f.ly/1a",
        "https://out.reddit.com/t3_x?url=https%3A%2F%2Fadf.ly%2Fx&token=x",
        "https://www.google.com/url?q=https://x.adf.ly/1",
        "https://google.com/url?q=https%3A%2F%2F%61df.ly%2F1",
        "https://web.archive.org/web/2020/https://adf.ly/1a",
        "https://www.google.com/amp/s/adf.ly/1a",
    ],
)
def test_link_farms_are_known_by_their_host(url: str) -> None:
    assert reasons(url=url) == ["link_farm: adf.ly"]


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://a.example/?u=adf.ly",
        "https://a.example/%E3%81%82",
        "https://notadf.ly/",
        "https://adf.ly.example/",
        "https://a.example/adf.ly",
        "adf",
    ],
)
def test_other_hosts_are_no_link_farms(url: str | None) -> None:
    assert reasons(url=url) == []


def test_every_rule_that_catches_gives_its_reason() -> None:
    found = reasons(
        source="reddit",
        points=1,
        title="GET RICH QUICK GET RICH QUICK GET RICH QUICK AAAAAAAA " * 2 + "🔥" * 6,
        url="https://ouo.io/x",
        is_promoted=True,
    )
    assert [reason.partition(":")[0] for reason in found] == [
        "minimum_engagement",
        "blocklist",
        "link_farm",
        "emoji_excess",
        "capitals_excess",
        "repeated_characters",
        "repeated_words",
        "promoted",
    ]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["free", "Free", "money", "now", "", "\u00e9"]), max_size=30)
    | st.lists(st.sampled_from(list("abcdefghij ")), max_size=30)
)
@example(list("abcdefgh") * 3)
def test_repeated_words_are_those_of_the_whole_title(words: list[str]) -> None:
    said = [word.lower() for word in " ".join(words).split()]
    is_repeated = len(said) >= 6 and len(set(said)) * 3 <= len(said)
    found = reasons(title=" ".join(words))
    assert [one for one in found if one.startswith("repeated_words")] == (
        [f"repeated_words: {len(set(said))} different of {len(said)}"] if is_repeated else []
    )


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


def test_the_allowlist_beats_the_patterns_and_link_farms() -> None:
    rules = SpamRules().extended(
        patterns={"side job": "副業.*万円"},
        allowlist=["副業解禁", "https://www.ouo.io/"],
        link_farms=["https://Spam.Example/"],
    )
    assert reasons(rules, title="副業で月収百万円") == ["pattern: side job"]
    assert reasons(rules, title="副業解禁で万円") == []
    assert reasons(rules, title="副業解禁、副業で月収百万円") == ["pattern: side job"]
    assert reasons(rules, url="https://cdn.ouo.io/1") == []
    assert reasons(rules, url="https://google.com/url?q=https://ouo.io/1") == []
    assert reasons(rules, url="https://www.spam.example./1") == ["link_farm: spam.example"]


@pytest.mark.parametrize(
    ("listed", "title"),
    [
        ("副業", "誰でもできる副業で月収百万円"),
        ("don't miss", "Don\u2019t miss this"),
        ("AT&T deals", "AT&amp;T deals today"),
        ("Guaranteed profit", "Guaranteed\u2122 profit-for-all"),
        ("guaranteed profit", "guaranteed_profit"),
    ],
)
def test_a_blocked_phrase_is_found_in_any_spelling_and_named_as_listed(
    listed: str, title: str
) -> None:
    rules = SpamRules().extended(blocklist=[listed])
    assert reasons(rules, title=title) == [f"blocklist: {listed}"]


@pytest.mark.parametrize(
    ("farm", "url", "shown"),
    [
        ("xn--mll-hoa.example", "https://müll.example/1", "müll.example"),
        ("müll.example", "https://www.xn--mll-hoa.example/1", "müll.example"),
        (" *.müll.example", "https://a.MÜLL.example/1", "müll.example"),
        (".zip", "https://report.zip/", "zip"),
        ("www.müll.example.", "http://müll.example", "müll.example"),
        ("xn--strae-oqa.example", "https://STRAẞE.example", "straße.example"),
        ("straße.example", "https://xn--strae-oqa.example", "straße.example"),
        ("xn--99999999.example", "https://xn--99999999.example", "xn--99999999.example"),
    ],
)
def test_a_link_farm_is_known_in_every_form_of_its_name(farm: str, url: str, shown: str) -> None:
    rules = SpamRules().extended(link_farms=[farm])
    assert reasons(rules, url=url) == [f"link_farm: {shown}"]


@pytest.mark.parametrize(
    "farm", ["zip", "https://a.example/x", "a.example:80", "a b.example", "a..b"]
)
def test_what_is_no_host_is_refused(farm: str) -> None:
    with pytest.raises(ConfigError, match="link_farms"):
        SpamRules().extended(link_farms=[farm])


@pytest.mark.parametrize("term", ["", " ", "x" * (MAX_PHRASE_CHARACTERS + 1)])
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


def same_titles(count: int, **row: Any) -> pl.DataFrame:
    rows = [{"source": "youtube", "title": "Live now", "channel_id": "UC1", **row}] * count
    return find_spam(trends(*rows), SpamRules())


def test_a_channel_that_posts_a_title_again_and_again() -> None:
    expected = [["repeated_title: 4 items of one channel"]] * 4
    assert same_titles(4)["spam_reasons"].to_list() == expected
    assert (
        same_titles(4, channel_id=None, channel_title="One")["spam_reasons"].to_list() == expected
    )
    assert not same_titles(3)["is_spam"].any()


@pytest.mark.parametrize(
    "row", [{"channel_id": None}, {"title": ""}, {"title": " "}, {"item_id": "the same"}]
)
def test_a_title_that_many_post_is_no_spam(row: dict[str, Any]) -> None:
    assert not same_titles(9, **row)["is_spam"].any()


@pytest.mark.parametrize("differs", ["workspace_id", "source", "channel_id", "title"])
def test_same_titles_are_counted_by_workspace_source_and_channel(differs: str) -> None:
    rows = trends(
        *({"source": "youtube", "title": "x", "channel_id": "c", differs: v} for v in "aaabbb")
    )
    assert not find_spam(rows, SpamRules())["is_spam"].any()


def test_same_titles_are_counted_by_day() -> None:
    days = [DAY.replace(day=n // 3 + 1) for n in range(6)]
    rows = trends(*({"title": "x", "channel_id": "c", "day": day} for day in days))
    assert not find_spam(rows, SpamRules())["is_spam"].any()


ROW_OF_EACH_RULE: dict[str, dict[str, Any]] = {
    "minimum_engagement": {"points": 1},
    "blocklist": {"title": "get rich quick"},
    "pattern": {"title": "Earn $5,000 per day from home"},
    "link_farm": {"url": "https://adf.ly/1"},
    "emoji_excess": {"title": "🔥" * 20},
    "capitals_excess": {"title": "THIS IS THE LOUDEST TITLE OF TODAY"},
    "repeated_characters": {"title": "no" + "o" * 30},
    "repeated_words": {"title": "free " * 6},
    "promoted": {"is_promoted": True},
    "model": {"title": "subscribe"},
}
MODEL = SpamModel(9000, {})


@pytest.mark.parametrize("name", ROW_OF_EACH_RULE)
def test_every_rule_names_itself_and_can_be_off(name: RuleName) -> None:
    rules = SpamRules(style_signs=1)
    row = trends(ROW_OF_EACH_RULE[name])
    model = MODEL if name == "model" else None
    (found,) = find_spam(row, rules, model)["spam_reasons"].to_list()
    assert [reason.partition(":")[0] for reason in found] == [name]
    off = rules.extended(limits={"rules_off": frozenset({name})})
    assert not find_spam(row, off, model)["is_spam"].any()


def test_all_rules_can_be_off() -> None:
    names: tuple[RuleName, ...] = get_args(RuleName)
    assert {*RULES, "model"} == set(names) == {*ROW_OF_EACH_RULE, "repeated_title"}
    row = {**ROW_OF_EACH_RULE["emoji_excess"], **ROW_OF_EACH_RULE["promoted"]}
    found = find_spam(trends(row), SpamRules(rules_off=frozenset(names)), MODEL)
    assert found["spam_reasons"].to_list() == [[]]


def probability(
    rules: SpamRules | None = None, model: SpamModel | None = None, **row: Any
) -> float:
    found = find_spam(trends(row), rules or SpamRules(), model)
    value: float = found["spam_probability"].item()
    return value


def test_a_model_says_how_sure_it_is() -> None:
    (found,) = find_spam(trends({"title": "x"}), SpamRules(), MODEL)["spam_reasons"].to_list()
    assert found == ["model: 0.9998"]
    unsure = SpamModel(-1, {})  # 0.49975
    assert not find_spam(trends({"title": "x"}), SpamRules(), unsure)["is_spam"].any()
    lenient = SpamRules(min_spam_pct=49)
    assert find_spam(trends({"title": "x"}), lenient, unsure)["is_spam"].all()


def test_without_a_model_matches_make_the_probability() -> None:
    wrong = 1 - RULE_PRECISION
    assert probability(title="A chip") == 0
    assert probability(title="get rich quick") == pytest.approx(RULE_PRECISION)
    assert probability(title="get rich quick, follow me on X") == pytest.approx(1 - wrong**2)


def test_rules_and_a_model_make_one_probability() -> None:
    title = "get rich quick"
    even = SpamModel(0, {})
    assert probability(model=even, title=title) == pytest.approx(1 - 0.5 * (1 - RULE_PRECISION))
    sure = SpamModel(5000, {})
    odds = [one / (1 - one) for one in (probability(model=sure, title=t) for t in (title, "x"))]
    assert 1 < odds[0] / odds[1] < 1 / (1 - RULE_PRECISION) + 0.1


def test_a_rule_does_not_outrank_what_a_model_is_sure_of() -> None:
    """Joined by OR, a wrong match would stand before all that the model finds."""
    matched = probability(model=SpamModel(-5000, {}), title="get rich quick")
    assert matched < probability(model=SpamModel(2000, {}), title="x")


def test_what_a_model_learned_about_a_rule_takes_its_veto() -> None:
    row = trends({"title": "get rich quick"})
    doubtful = SpamModel(-9000, {}, {"blocklist": 300})
    assert not find_spam(row, SpamRules(), doubtful)["is_spam"].any()
    assert find_spam(row, SpamRules(), doubtful)["spam_reasons"].to_list() == [[]]
    useless = SpamModel(5000, {}, {"blocklist": 0})
    assert find_spam(row, SpamRules(), useless)["spam_reasons"].to_list() == [["model: 0.9933"]]
    # Together with a model that is undecided it suffices, and both are named.
    undecided = SpamModel(-500, {}, {"blocklist": 300})  # 0.3775
    (found,) = find_spam(row, SpamRules(), undecided)["spam_reasons"].to_list()
    assert found == ["blocklist: get rich quick", "model: 0.3775"]
    off = SpamRules(rules_off=frozenset({"model"}))
    assert find_spam(row, off, doubtful)["is_spam"].all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_rule_may_be_off(count: int) -> None:
    rows = trends(*[{"title": "get rich quick", "is_promoted": True}] * count)
    found = find_spam(rows, SpamRules(rules_off=frozenset(get_args(RuleName))))
    assert found["is_spam"].to_list() == [False] * count
    assert found["spam_reasons"].to_list() == [[]] * count


@pytest.mark.parametrize("least", [30, 50, 51, 60, 61, 100])
def test_which_rules_are_too_weak_alone_is_what_happens(least: float) -> None:
    titles = {"blocklist": "get rich quick", "repeated_words": "spam ham " * 6}
    weak = find_weak_rules(least)
    for name, title in titles.items():
        assert (reasons(SpamRules(min_spam_pct=least), title=title) == []) == (name in weak)


def test_several_phrases_of_one_list_are_one_match() -> None:
    assert probability(title="get rich quick, free robux") == pytest.approx(RULE_PRECISION)


def test_above_the_precision_of_a_rule_a_match_alone_is_no_spam() -> None:
    assert reasons(SpamRules(min_spam_pct=90), title="get rich quick") == []
    assert reasons(SpamRules(min_spam_pct=80), title="get rich quick, follow me on X") != []


@pytest.mark.parametrize(
    "row",
    [
        {"title": "My secret sauce"},
        {"title": "code: A1"},
        {"url": "https://mine.example"},
        {"points": 1},
        {"is_promoted": True},
        {"title": "Weekly questions thread"},
    ],
    ids=["phrase", "pattern", "host", "minimum", "promoted", "thread"],
)
def test_what_a_workspace_or_a_platform_decided_is_no_matter_of_probability(
    row: dict[str, Any],
) -> None:
    honest = SpamModel(-90_000, {}, {"blocklist": 0, "pattern: own": 0, "link_farm": 0})
    rules = SpamRules(min_spam_pct=100).extended(
        blocklist=["secret sauce"], patterns={"own": "code:"}, link_farms=["mine.example"]
    )
    found = find_spam(trends(row), rules, honest)
    assert found["is_spam"].item()
    assert found["spam_probability"].item() == 1
    assert len(found["spam_reasons"].item()) == 1


def test_a_general_entry_that_a_workspace_repeats_is_its_own() -> None:
    rules = SpamRules(min_spam_pct=100).extended(
        blocklist=["get rich quick"], link_farms=["adf.ly"], patterns={"follow me": r"follow me\b"}
    )
    assert reasons(rules, title="get rich quick") == ["blocklist: get rich quick"]
    assert reasons(rules, url="https://adf.ly/1") == ["link_farm: adf.ly"]
    assert reasons(rules, title="follow me on X") == ["pattern: follow me"]


def test_a_general_entry_is_a_workspaces_own_in_whatever_spelling() -> None:
    rules = SpamRules(min_spam_pct=100).extended(
        blocklist=["Get-Rich  Quick"], link_farms=["https://www.ADF.LY/"]
    )
    assert reasons(rules, title="get rich quick") == ["blocklist: Get-Rich Quick"]
    assert reasons(rules, url="https://adf.ly/1") == ["link_farm: adf.ly"]


def test_own_and_general_phrases_are_both_named() -> None:
    rules = SpamRules().extended(blocklist=["副業"])
    title = "副業でget rich quick"
    assert reasons(rules, title=title) == ["blocklist: get rich quick", "blocklist: 副業"]
    assert probability(rules, title=title) == 1


@settings(max_examples=20, deadline=None)
@given(
    st.floats(-20, 20),
    st.integers(0, 999),
    st.sampled_from(["get rich quick", "follow me on X", "get rich quick, follow me on X", "x"]),
)
def test_evidence_never_makes_spam_less_likely(odds: float, learned: int, title: str) -> None:
    names = ("blocklist", "pattern: follow me")
    model = SpamModel(round(odds * 1000), {}, dict.fromkeys(names, learned))
    alone = probability(model=model, title="x")
    assert alone - 1e-12 <= probability(model=model, title=title) <= 1
    assert probability(title=title) >= (0 if title == "x" else RULE_PRECISION) - 1e-12


def test_texts_are_matched_by_the_general_rules() -> None:
    matched = match_texts(pl.Series(["get rich quick", "follow me on X", None, "A chip"]))
    assert matched["blocklist"].to_list() == [True, False, False, False]
    assert matched["pattern: follow me"].to_list() == [False, True, False, False]
    assert "model" not in matched.columns
    assert "promoted" not in matched.columns


def test_limits_and_patterns_of_a_workspace_replace_ours() -> None:
    rules = SpamRules().extended(
        patterns={"earnings promise": r"(?i)\bnever\b", "own": r"\bsecret sauce\b"},
        limits={"max_emoji": 1, "style_signs": 1},
    )
    assert reasons(rules, title="Earn $5,000 per day from home") == []
    assert reasons(rules, title="secret sauce 🔥🔥") == ["pattern: own", "emoji_excess: 2 emoji"]


@pytest.mark.parametrize(
    "regex", ["(", "(?=look)around", r"(a)\1", "a*", "", "x" * 501, "(a{1000}){1000}"]
)
def test_a_pattern_that_the_engine_cannot_take_is_refused(regex: str) -> None:
    with pytest.raises(ConfigError, match=r"spam\.patterns\.mine"):
        SpamRules().extended(patterns={"mine": regex})


def test_a_pattern_sees_the_beginning_of_an_endless_title() -> None:
    rules = SpamRules().extended(patterns={"mine": r"\bhere\b"})
    filler = "ab " * (PATTERN_CHARACTERS // 3)
    assert "pattern: mine" in reasons(rules, title=filler[:-9] + " here")
    assert "pattern: mine" not in reasons(rules, title=filler + " here")


@pytest.mark.parametrize("name", ["", " ", "a\x1fb", "x" * 61])
def test_a_pattern_needs_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(ConfigError, match=r"spam\.patterns: "):
        SpamRules().extended(patterns={name: "x"})


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(ConfigError, match="more than 100"):
        SpamRules().extended(patterns={str(n): "x" for n in range(100)})


def test_no_rows_give_no_rows() -> None:
    found = find_spam(trends(), SpamRules())
    added = {"is_spam": pl.Boolean, "spam_probability": pl.Float64}
    assert found.schema == {**SCHEMA, **added, "spam_reasons": pl.List(pl.String)}


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


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(rows, max_size=6))
def test_without_channels_each_row_is_judged_alone(given_rows: list[dict[str, Any]]) -> None:
    given_trends = trends(*given_rows)
    together = find_spam(given_trends, STRICT)
    added = ("is_spam", "spam_probability", "spam_reasons")
    assert_frame_equal(together.drop(added), given_trends)
    alone = [find_spam(row, STRICT) for row in given_trends.iter_slices(1)]
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


def test_a_host_in_letters_that_look_alike_is_known() -> None:
    assert reasons(url="https://lin\N{KELVIN SIGN}vertise.com/1") == ["link_farm: linkvertise.com"]


@pytest.mark.parametrize("farm", ["MÜLL.example", "Mull.Example"])
def test_a_link_farm_is_found_whatever_its_letters(farm: str) -> None:
    rules = SpamRules().extended(link_farms=[farm])
    assert reasons(rules, url=f"https://www.{farm.upper()}/x") == [f"link_farm: {farm.lower()}"]


@pytest.mark.parametrize("title", ["Don\u2019t miss it", "Don't miss it", "Don&rsquo;t miss it"])
def test_a_pattern_sees_plain_apostrophes(title: str) -> None:
    rules = SpamRules().extended(patterns={"urgent": "(?i)don't miss"})
    assert reasons(rules, title=title) == ["pattern: urgent"]


def test_a_pattern_sees_plain_quotes_and_dashes() -> None:
    rules = SpamRules().extended(patterns={"deal": '"free" - now'})
    assert reasons(rules, title="\u201cfree\u201d \u2013 now") == ["pattern: deal"]


@pytest.mark.parametrize(
    "text", ["ouo.io/x", "ouo.io:443", "*.ouo.io/x", "//ouo.io/x", "ouo.io?a=1", "192.0.2.1/x"]
)
def test_an_allowed_host_has_no_path_and_no_port(text: str) -> None:
    with pytest.raises(ConfigError, match="without a path or a port"):
        SpamRules().extended(allowlist=[text])


def test_an_allowed_phrase_may_have_a_slash_or_a_colon() -> None:
    allowed = ("TCP/IP", "24/7", "and/or", "16:9", "ouo.io")
    assert SpamRules().extended(allowlist=allowed).allowlist == allowed


def test_a_workspace_lists_so_many_phrases_at_most() -> None:
    listed = [f"phrase {number}" for number in range(MAX_PHRASES + 1)]
    assert SpamRules().extended(blocklist=listed[1:]).own.blocklist[-1] == listed[-1]
    with pytest.raises(ConfigError, match=r"spam\.blocklist: more than 2,000"):
        SpamRules().extended(blocklist=listed)
