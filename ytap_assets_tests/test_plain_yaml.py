"""YAML without aliases, tags and endless nesting."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.errors import ConfigError
from ytap_assets.plain_yaml import dump_yaml, load_document, load_mapping

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
        ('a: "\\ud800"\n', "lone surrogate"),
        ('"\\udfff": a\n', "lone surrogate"),
        (b"a: \xff\n", "not YAML"),
        ("{[]: 1}\n", "a key must be text"),
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


@pytest.mark.parametrize(
    ("text", "key", "first", "second"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", 1, 3),
        ("a: 1\n'a': 3\n", "a", 1, 2),
        ("x:\n  a: 1\n  b: 1\n  a: 1\n", "x.a", 2, 4),
        ("x:\n- {a: 1,\n   a: 1}\n", "x.0.a", 2, 3),
        ("? a\n? a\n", "a", 1, 2),
        ("a\u200b: 1\na\u200b: 1\n", r"'a\u200b'", 1, 2),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(
    text: str, key: str, first: int, second: int
) -> None:
    said = f"here: the key `{key}` occurs twice, in lines {first} and {second}"
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_mapping(text, origin="here")
    with pytest.raises(ConfigError, match="twice"):
        load_mapping(text, origin="here", allows_aliases=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n<<: {b: 1}\n", "line 2: merge keys"),
        ("a: 1\nno: 1\n", "line 2: YAML does not read the key no as text"),
        ("196: 1\n", "line 1: YAML does not read the key 196 as text"),
        ("a:\n  2026-01-01: 1\n", "line 2: YAML does not read the key a.2026-01-01 as text"),
        ("a: 010\n", "line 1: .*to the base of 8"),
        ("a:\n- 1\n- -007\n", "line 3: .*to the base of 8"),
        ("a: 1:30\n", "line 1: .*to the base of 60"),
        ("a: 190:20:30.15\n", "line 1: .*to the base of 60"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins"),
        ("a:\n\tb: 1\n", "line 2: .*indent with spaces"),
        ("a: 1\nb: [x,\nc: 1\nd: 1\n", "flow sequence from line 2 on: "),
        ("a: 1\nb: caf\u00e9\n".encode("latin-1"), "line 2: not UTF-8 text"),
        ("a: 1\n".encode("utf-16-le"), "not UTF-8 text"),
    ],
    ids=ascii,
)
def test_what_yaml_would_change_or_cannot_read_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_mapping(text, origin="here")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marked_encodings_are_read(encoding: str) -> None:
    assert load_mapping("a: \u00e9\n".encode(encoding), origin="here") == {"a": "\u00e9"}


def test_quoted_values_are_texts_whatever_they_look_like() -> None:
    text = "a: '010'\nb: \"1:30\"\nc: 'NO'\n'no': 1\n"
    assert load_mapping(text, origin="here") == {"a": "010", "b": "1:30", "c": "NO", "no": 1}


def test_a_document_knows_lines_and_what_was_written() -> None:
    document = load_document("a: NO\nb:\n  - 18_19\n  - x\nc:\n", origin="here")
    assert document.lines == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("c",): 5}
    assert document.unquoted == {("a",): "NO", ("b", 0): "18_19", ("c",): ""}


@pytest.mark.parametrize(
    "text",
    ["\x85", "a\x85b", "a\u2028b\u2029", " a\n", "\ufeff", "NO", "1_0", "#", "a: b"],
    ids=ascii,
)
@pytest.mark.parametrize("in_one_line", [True, False])
def test_what_is_written_reads_back(text: str, in_one_line: bool) -> None:
    content = {"a": text, "b": [text]}
    written = dump_yaml(content, default_flow_style=in_one_line)
    assert load_mapping(written, origin="here") == content


def test_our_own_files_may_use_aliases() -> None:
    text = "a: &a {b: 1}\nc: {<<: *a, d: 2}\n"
    content = load_mapping(text, origin="here", allows_aliases=True)
    assert content == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


WORDS = st.text("abc", min_size=1, max_size=2)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_keys_are_all_read_or_refused(keys: list[str]) -> None:
    text = "".join(f"{key}: {place}\n" for place, key in enumerate(keys))
    if len(set(keys)) < len(keys):
        with pytest.raises(ConfigError, match="occurs twice"):
            load_mapping(text, origin="here")
    else:
        assert load_mapping(text, origin="here") == {key: n for n, key in enumerate(keys)}


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a: 1\nhandle: @x\n", "put the text in quotes"),
        ("a: 1\ntone: `x`\n", "put the text in quotes"),
        ("a: 1\ntone: dry]]\nb: [x]]\n", "put the text in quotes"),
        ("a: 1\n# brand:\n  tone: dry\n", "remove the `# ` before the line of its section"),
        ("a:\n  # b:\n    c: 1\n  d: 2\n", "remove the `# ` before the line of its section"),
        ("a: 1\n  tone: dry\n", "align the line"),
        ("a: dry: very\n", "in quotes"),
        ("a: 1\nb 2\nc: 3\n", "write `key: value`"),
        ("a: 1\n\tb: 2\n", "indent with spaces"),
        ("a: 'x\nb: 2\n", "close the quotes"),
        ("a: [x, y\nb: 2\n", "close the bracket"),
        ("a: ,x\n", "put the text in quotes"),
        ("a: {b: 3,5}\n", "decimal comma"),
    ],
)
def test_what_is_not_yaml_says_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=r"line [1-4]: ") as refused:
        load_mapping(text, origin="here")
    assert advice in str(refused.value)
