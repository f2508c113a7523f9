"""The page of promises names tests that exist, for every promise."""

from __future__ import annotations

import ast
import re

import pytest

from ytap_assets_tests.end_to_end.conftest import PROJECT

_PAGE = (PROJECT / "docs" / "promises.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_PROMISES = re.findall(r"^\| (\d)\. .*$", _PAGE, re.MULTILINE)


def test_the_promises_each_have_tests() -> None:
    assert list("123456789") == _PROMISES
    for line in _PAGE.splitlines():
        if re.match(r"\| \d\. ", line):
            assert len(_TEST.findall(line)) >= 3, line[:60]


@pytest.mark.parametrize("file", sorted({file for file, _ in _TEST.findall(_PAGE)}))
def test_every_named_test_exists(file: str) -> None:
    tree = ast.parse((PROJECT / "ytap_assets_tests" / file).read_text(encoding="utf-8"))
    there = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = {test for where, test in _TEST.findall(_PAGE) if where == file}
    assert named <= there
