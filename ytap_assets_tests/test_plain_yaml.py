"""YAML without aliases, tags and endless nesting."""

from __future__ import annotations

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.plain_yaml import load_mapping

ALIASES = "a0: &x0 [1, 1]\n" + "".join(
    f"a{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 10)}]\n" for level in range(1, 8)
)


def test_plain_values() -> None:
    text = "a: 1\nb: [x, 1.5, true, null]\nc: {d: '2'}\ne: &unused y\n"
    content = {"a": 1, "b": ["x", 1.5, True, None], "c": {"d": "2"}, "e": "y"}
    assert load_mapping(text, origin="here") == content


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ALIASES, "alias"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "alias"),
        ("a: !!timestamp x\n", "tag"),
        ("a: !!int ''\n", "tag"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("a: " + "[" * 51 + "]" * 51, "nested deeper"),
        ("a: 2026-13-45\n", "not YAML"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: 1" + ":1" * 200 + ".0\n", "base of 60"),
        ("a: \x00\n", "not YAML"),
        ('a: "\\ud800"\n', "half of a character"),
        ('"\\udfff": a\n', "half of a character"),
        (b"a: \xff\n", "not YAML"),
        ("{[]: 1}\n", "a key is a text"),
        ("- a\n", "expected `key: value` lines"),
        ("", "expected `key: value` lines"),
    ],
)
def test_more_than_that_is_refused_in_a_line(text: str | bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        load_mapping(text, origin="here")
    assert str(refused.value).startswith("here: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["a: 1\nkey: {sesame: [}\n", "a: 1\nkey: *sesame\n", "a: 1\nkey: !sesame x\n"]
)
def test_the_line_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="line 2: ") as refused:
        load_mapping(text, origin="here")
    assert "sesame" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_fifty_levels_are_enough() -> None:
    assert load_mapping("a: " + "[" * 48 + "]" * 48, origin="here").keys() == {"a"}
