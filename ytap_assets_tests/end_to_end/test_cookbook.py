"""The SQL cookbook, and the page about trends: every answer in them is the demo's."""

from __future__ import annotations

import re
import shlex

import pytest

from ytap_assets_tests.end_to_end.conftest import PROJECT, Demo

_TEXT = (PROJECT / "docs" / "sql-cookbook.md").read_text(encoding="utf-8")
_QUESTION = re.compile(
    r"^## (?P<number>\d+)\. (?P<title>[^\n]+)\n(?P<rest>.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE
)
_PAIR = re.compile(r"```sql\n(?P<sql>.*?)\n```\n\n```text\n(?P<answer>.*?)\n```\n", re.DOTALL)
_COMMAND = re.compile(
    r"```sh\nytap (?P<words>[^\n]+)\n```\n```text\n(?P<answer>.*?)\n```\n", re.DOTALL
)
COMMANDS = [
    found.group("words", "answer")
    for found in _COMMAND.finditer((PROJECT / "docs" / "trends.md").read_text(encoding="utf-8"))
]
QUESTIONS = {found["title"]: found["rest"] for found in _QUESTION.finditer(_TEXT)}


def test_there_are_fourteen_questions_each_with_its_answer() -> None:
    assert [int(found["number"]) for found in _QUESTION.finditer(_TEXT)] == list(range(1, 15))
    assert _TEXT.count("```sql\n") == len(_PAIR.findall(_TEXT)) == len(QUESTIONS) == 14


@pytest.mark.parametrize("title", QUESTIONS)
def test_an_answer_is_the_demos(demo: Demo, title: str) -> None:
    pair = _PAIR.search(QUESTIONS[title])
    assert pair is not None
    rows = demo.ytap.ok("sql", pair["sql"])
    assert [line.rstrip() for line in rows.splitlines()] == pair["answer"].splitlines()
    assert not rows.endswith("(0 rows)\n")


def test_the_page_about_trends_shows_the_demos_list(demo: Demo) -> None:
    [(words, answer)] = COMMANDS
    assert demo.ytap.ok(*shlex.split(words)).splitlines() == answer.splitlines()
