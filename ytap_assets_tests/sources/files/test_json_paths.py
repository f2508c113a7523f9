from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.sources.importing.json_paths import (
    ABSENT,
    as_text,
    check_path,
    find_records,
    parse_json,
)


def _values(document: object, path: str, *names: str) -> list[tuple[object, ...]]:
    found = find_records(document, path, frozenset({"at", "made"}))
    return [tuple(one.get(name) for name in names) for one in found]


def test_text_that_is_json_is_walked_on() -> None:
    document = [{"at": "noon", "body": json.dumps({"items": [{"id": 1}, {"id": 2}]})}]
    path = "*.body.@json.items.*"
    assert _values(document, path, "id", "at") == [(1, "noon"), (2, "noon")]


def test_keys_become_columns_at_every_level() -> None:
    document = {"posts": {"a": {"made": 5, "updates": {"10": {"score": 1}, "20": {"score": 2}}}}}
    path = "posts.{post}.updates.{seen}"
    assert _values(document, path, "post", "made", "seen", "score") == [
        ("a", 5, "10", 1),
        ("a", 5, "20", 2),
    ]


def test_names_reach_into_objects_of_the_record_and_on_the_way() -> None:
    document = {"status": {"code": 200}, "items": [{"snippet": {"title": "T"}, "a.b": 1}]}
    (found,) = find_records(document, "items.*", frozenset({"status.code"}))
    assert found.get("snippet.title") == "T"
    assert found.get("status.code") == 200
    assert found.get("a.b") == 1
    assert found.get("status") is found.get("snippet.none") is found.get("none.x") is ABSENT
    assert found.get("snippet") == {"title": "T"}
    assert list(found.names()) == ["snippet", "a.b"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<html>", "is not readable JSON: Expecting value"),
        ("[" * 100_000, "is not readable JSON: nested too deeply"),
        ('{"n": ' + "1" * 5_000 + "}", "is not readable JSON: Exceeds the limit"),
        (7, "is not text where JSON within text was expected"),
        ("7", "is not a JSON object"),
    ],
)
def test_text_that_is_no_json_is_a_fault_which_knows_what_was_passed(
    body: object, fault: str
) -> None:
    document = {"status": {"code": 400}, "body": body}
    (found,) = find_records(document, "body.@json", frozenset({"status.code"}))
    assert str(found.fault).startswith(fault)
    assert found.get("status.code") == 400


def test_nothing_is_inherited_that_is_not_said_to_be() -> None:
    document = {"title": "a list", "view_count": 9, "entries": [{"id": 1}]}
    assert _values(document, "entries.*", "id", "title", "view_count") == [(1, ABSENT, ABSENT)]


def test_a_key_named_twice_with_two_values_makes_its_object_a_fault() -> None:
    text = (
        '[{"id": 1, "score": 1, "score": 2}, {"id": 2, "score": 1, "score": 1}, '
        '{"id": 3, "statistics": {"views": "1", "views": "2"}}]'
    )
    value, fault = parse_json(text)
    assert fault is None
    first, second, third = find_records(value, "*")
    assert first.fault == "names 'score' more than once, with different values"
    assert (second.fault, second.get("score")) == (None, 1)
    assert third.fault == "names 'views' more than once, with different values"
    (page,) = find_records(parse_json('{"hits": [{"id": 1}], "hits": []}')[0], "hits.*")
    assert page.fault == "names 'hits' more than once, with different values"


def test_json_within_json_is_taken_apart_as_often_as_the_path_says() -> None:
    innermost = json.dumps({"id": 1})
    document = {"body": json.dumps({"body": json.dumps({"body": innermost})})}
    assert _values(document, "body.@json.body.@json", "body") == [(innermost,)]


@pytest.mark.parametrize("path", ["", "*", "{topic}.*", "a_b.@json.hits.*", "posts.{a}.of.{b}"])
def test_paths(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a..b", "'' is no step"),
        ("a.**", "no step"),
        ("@jsn", "'@jsn' is no step"),
        ("{}", "no step"),
        ("{A}", "no step"),
        ("{x}.{x}", "keeps two keys as one column"),
        ("@json.a.@json.b.@json", "more than 2 times"),
    ],
)
def test_paths_that_are_none(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_path(path)
    assert said in str(caught.value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(document=_json, path=st.sampled_from(["", "*", "{x}.*", "*.@json", "a.*.@json.b", "*.*.*"]))
def test_any_document_is_walked_without_a_crash(document: object, path: str) -> None:
    for found in find_records(document, path):
        assert found.fault is not None or isinstance(found.original, dict)
        for name in found.names():
            assert found.get(name) is not ABSENT
            as_text(found.get(name))
