from __future__ import annotations

import json
from typing import Any

import pytest

from ytap_assets.domain.production.inbox import read_submission
from ytap_assets.domain.production.lines import FieldError, Fields
from ytap_assets.domain.production.records import script_text
from ytap_assets_tests.domain.production.worlds import START, parse_scripts

LINE: dict[str, Any] = {
    "script_id": "one",
    "title": "One",
    "hook": "Look.",
    "segments": ["First.", {"text": "Then.", "visual": {"caption": "A chart"}}],
    "topic_url": "https://example.com/one?utm_source=x",
    "generation_method": "avatar",
    "estimated_cost_usd": 2.35,
    "created_at": "2026-11-10T10:00:00+01:00",
    "quality": 88,
    "model": {"name": "writer", "temperature": 0.5},
}


def inbox(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_a_line_becomes_a_submission_and_keeps_its_unknown_keys() -> None:
    (script,) = parse_scripts(inbox(LINE)).rows
    assert (script.script_id, script.created_at) == ("one", START)
    assert script.payload["estimated_cost_usd_micros"] == 2_350_000
    assert script.payload["model"]["name"] == "writer"
    assert "estimated_cost_usd" not in script.payload
    assert script_text(script.payload) == "First.\nThen.\nA chart"


def test_a_script_that_lacks_something_is_still_a_script() -> None:
    (script,) = parse_scripts(inbox({"script_id": "one", "created_at": "2026-11-10T09:00Z"})).rows
    assert script.payload == {"estimated_cost_usd_micros": None}
    assert script_text(script.payload) == ""


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("Body", "body"),
        ("BODY", "body"),
        ("\uff42\uff4f\uff44\uff59", "body"),
        ("bo\u200bdy", "body"),
        ("body ", "body"),
        ("topicUrl", "topic_url"),
        ("Topic_URL", "topic_url"),
        ("topic-url", "topic_url"),
        ("topicurl", "topic_url"),
        ("generationMethod", "generation_method"),
        ("createdAt", "created_at"),
    ],
)
def test_a_key_that_is_a_known_one_written_otherwise_is_a_bad_line(key: str, meant: str) -> None:
    """What it holds would be seen by no gate, whether or not the known key is there too."""
    parsed = parse_scripts(inbox({**LINE, "body": "Fine.", key: "free robux"}))
    assert parsed.rows == ()
    assert f"did you mean `{meant}`?" in parsed.bad[0].reason


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("boddy", "body"),
        ("segment", "segments"),
        ("estimated_cost", "estimated_cost_usd"),
        ("estimated_cost_usd_micros", "estimated_cost_usd"),
    ],
)
def test_a_slip_is_a_bad_line_where_the_known_key_is_not_there(key: str, meant: str) -> None:
    line = {name: value for name, value in LINE.items() if name != meant}
    parsed = parse_scripts(inbox({**line, key: "free robux"}))
    assert parsed.rows == ()
    assert f"did you mean `{meant}`?" in parsed.bad[0].reason


@pytest.mark.parametrize(
    "key", ["created_by", "generation_model", "titles", "title_1", "hooks", "topic_uri"]
)
def test_a_key_that_differs_by_a_word_or_stands_beside_the_known_one_is_kept(key: str) -> None:
    line = {**LINE, "topic_url": "https://news.example/story", key: "anna"}
    assert parse_scripts(inbox(line)).bad == ()


@pytest.mark.parametrize(
    "key", ["tags", "subtitle", "topic", "topic_id", "quality_score", "title_de", "lang", "x" * 999]
)
def test_any_other_key_is_kept_and_named(key: str) -> None:
    parsed = parse_scripts(inbox({**LINE, key: 1}, {**LINE, "script_id": "two", key: 1}))
    assert [script.payload[key] for script in parsed.rows] == [1, 1]
    assert parsed.unread == ("model", key)


def test_a_missing_key_is_looked_for_in_other_spellings() -> None:
    line = {("scriptId" if key == "script_id" else key): value for key, value in LINE.items()}
    (bad,) = parse_scripts(inbox(line)).bad
    assert bad.reason == "script_id: missing; did you mean it by 'scriptId'?"


def test_an_unknown_cost_is_not_taken_from_another_key() -> None:
    line = {**LINE, "estimated_cost_usd": None, "cost_usd": 1}
    assert read_submission(Fields(line)).payload["estimated_cost_usd_micros"] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"script_id": None}, "script_id: missing"),
        ({"script_id": "../../etc"}, "script_id: '../../etc' is not a script's id: 1-100 char"),
        ({"script_id": 7}, "script_id: expected a text"),
        ({"created_at": None}, "created_at: missing"),
        ({"created_at": "2026-11-10T09:00:00"}, "has no timezone"),
        ({"title": ["a"]}, "title: expected a text"),
        ({"title": "x" * 501}, "title: longer than 500"),
        ({"hook": 1}, "hook: expected a text"),
        ({"body": {}}, "body: expected a text"),
        ({"segments": "text"}, "segments: expected a list of texts or objects"),
        ({"segments": [["a"]]}, "segments: expected a list of texts or objects"),
        ({"estimated_cost_usd": "2.35"}, "estimated_cost_usd: expected a number"),
        ({"estimated_cost_usd": True}, "estimated_cost_usd: expected a number"),
        ({"estimated_cost_usd": -1}, "estimated_cost_usd: expected an amount"),
        ({"quality": "good"}, "quality: expected a number"),
        ({"topic_url": "javascript:alert(1)"}, "is not an http or https address"),
        ({"topic_url": "https://"}, "is not an http or https address"),
        ({"topic_url": "https://[::1"}, "is not an http or https address"),
        ({"topic_url": "https://example.com/\u202e"}, "is not an http or https address"),
        ({"title": 1, "hook": 2}, "title: expected a text; hook: expected a text"),
    ],
)
def test_a_line_of_which_no_record_can_be_made_is_bad(changes: dict[str, Any], reason: str) -> None:
    parsed = parse_scripts(inbox(LINE | changes, {**LINE, "script_id": "two"}))
    assert [script.script_id for script in parsed.rows] == ["two"]
    assert reason in parsed.bad[0].reason
    assert json.loads(parsed.bad[0].original) == LINE | changes


def test_the_same_script_twice_changes_nothing_and_another_of_its_name_is_bad() -> None:
    reordered = dict(reversed(LINE.items()))
    parsed = parse_scripts(inbox(LINE, reordered, LINE | {"title": "Two"}, LINE))
    assert [script.payload["title"] for script in parsed.rows] == ["One"]
    assert len(parsed.repeated) == 2
    assert [(bad.line, bad.reason) for bad in parsed.bad] == [
        (3, "script_id: an earlier line has another script one")
    ]


def test_the_digest_names_the_content() -> None:
    script = read_submission(Fields(LINE))
    assert script.digest == read_submission(Fields(dict(reversed(LINE.items())))).digest
    assert script.digest != read_submission(Fields({**LINE, "title": "Two"})).digest


def test_errors_of_single_lines_name_the_fields() -> None:
    with pytest.raises(FieldError, match="quality: expected a number"):
        read_submission(Fields({**LINE, "quality": "x"}))
