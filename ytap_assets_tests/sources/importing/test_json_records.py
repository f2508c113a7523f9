"""Records of JSON documents and of JSON lines, found along paths."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.sources.importing import json_records
from ytap_assets.sources.importing.json_records import (
    ABSENT,
    as_text,
    check_path,
    find_records,
    looks_like_json,
    parse_json,
    read_documents,
    read_json_records,
)
from ytap_assets.sources.importing.records import FAULT, Records


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
        ("<html>", "is not valid JSON: Expecting value"),
        ("[" * 100_000, "is not valid JSON: nested too deeply"),
        ('{"n": ' + "1" * 5_000 + "}", "is not valid JSON: Exceeds the limit"),
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
    assert first.fault == "contains 'score' more than once, with different values"
    assert (second.fault, second.get("score")) == (None, 1)
    assert third.fault == "contains 'views' more than once, with different values"
    (page,) = find_records(parse_json('{"hits": [{"id": 1}], "hits": []}')[0], "hits.*")
    assert page.fault == "contains 'hits' more than once, with different values"


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
        ("a..b", "'' is not a step"),
        ("a.**", "not a step"),
        ("@jsn", "'@jsn' is not a step"),
        ("{}", "not a step"),
        ("{A}", "not a step"),
        ("{x}.{x}", "two keys have the same column name"),
        ("@json.a.@json.b.@json", "more than 2 "),
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


def _read(text: str, path: str, *wanted: str) -> Records:
    stream = io.StringIO(text, newline="")
    return read_json_records(stream, path, wanted or ("id",), inherited=frozenset({"at", "id"}))


def _cells(records: Records) -> list[tuple[object, ...]]:
    return records.frame.drop(FAULT).rows()


def _faults(records: Records) -> list[str | None]:
    return records.frame.get_column(FAULT).to_list()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hits.*", '{"hits": [{"id": 1}, {"id": 2}]}'),
        ("*", '[{"id": 1},\n {"id": 2}]'),
        ("*.*", '{"a": [{"id": 1}], "b": [{"id": 2}]}'),
        ("*.reply.hits.*", '[{"reply": {"hits": [{"id": 1}]}}, {"reply": {"hits": [{"id": 2}]}}]'),
        ("*.data", '[{"data": {"id": 1}}, {"data": {"id": 2}}]'),
    ],
)
def test_finds_the_records_of_a_document(path: str, text: str) -> None:
    records = _read(text, path)
    assert _cells(records) == [("1",), ("2",)]
    assert list(records.places) == ["item 1", "item 2"]


def test_keys_and_plain_values_on_the_way_are_columns_and_the_nearer_wins() -> None:
    text = '{"at": "noon", "id": 9, "all": {"x": [{"id": 1}], "y": [{"id": 2, "at": "one"}]}}'
    records = _read(text, "all.{topic}.*", "id", "topic", "at")
    assert _cells(records) == [("1", "x", "noon"), ("2", "y", "one")]
    assert records.original(0) == '{"id": 1}'


def test_json_lines_are_read_line_by_line() -> None:
    text = '\ufeff{"id": 1}\r\n\r\n{"id": \n{"id": 3}'
    records = _read(text, "")
    assert _cells(records) == [("1",), (None,), ("3",)]
    assert list(records.places) == ["line 1", "line 3", "line 4"]
    assert str(_faults(records)[1]).startswith("is not valid JSON")
    assert records.original(1) == '{"id": '


def test_records_within_json_lines_are_counted_by_line() -> None:
    records = _read('{"items": [{"id": 1}, {"id": 2}]}\n{"items": []}\n', "items.*")
    assert list(records.places) == ["line 1, item 1", "line 1, item 2"]


def test_a_damaged_first_line_of_json_lines_is_one_fault() -> None:
    records = _read('{"id": 1\n{"id": 2}\n{"id": 3}\n', "")
    assert [fault is None for fault in _faults(records)] == [False, True, True]
    assert list(records.places) == ["line 1", "line 2", "line 3"]


def test_documents_written_one_after_the_other_are_all_read() -> None:
    records = _read('{"id": 1}{"id": 2}\n', "")
    assert _cells(records) == [("1",), ("2",)]
    pretty = '{\n "id": 1\n}\n{\n "id": 2\n}\n{\n "id": 3'
    records = _read(pretty, "")
    assert _cells(records) == [("1",), ("2",), (None,)]
    assert str(_faults(records)[2]).startswith("is not valid JSON")
    assert records.original(2) == '{\n "id": 3'


def test_reading_goes_on_after_a_document_that_is_damaged() -> None:
    pretty = '{\n "id": 1\n}\n{\n "id": \n}\n{\n "id": 3\n}\n"id": 4}\n\ufeff{"id": 5}\n'
    records = _read(pretty, "")
    assert _cells(records) == [("1",), (None,), ("3",), (None,), ("5",)]
    assert records.original(1) == '{\n "id": \n}'
    assert records.original(3) == '"id": 4}'
    assert list(records.places) == ["line 1", "line 4", "line 7", "line 10", "line 11"]
    records = _read('"id": 1}\n{"id": 2\n{"id": 3}\n', "")
    assert _cells(records) == [(None,), (None,), ("3",)]


@pytest.mark.parametrize(
    "text",
    [
        '[\n{"id": 1},\n{"id": 2}\n,\n{"id": 3}\n',
        '{"hits": [\n{"id": 1},\n{"id" 2},\n{"id": 3}\n]}\n',
    ],
)
def test_elements_of_an_array_that_is_damaged_are_no_documents(text: str) -> None:
    records = _read(text, "")
    assert None not in _faults(records)
    originals = "\n".join(records.original(index) for index in range(len(records.places)))
    assert originals == text.rstrip()


def test_all_values_of_a_key_named_twice_are_kept() -> None:
    records = _read('{"id": 1, "score": 1, "score": [2]}', "", "id", "score")
    assert _faults(records) == ["contains 'score' more than once, with different values"]
    assert records.original(0) == '{"id": 1, "score": 1, "score": [2]}'


def test_values_become_text() -> None:
    text = '{"a": 1.5, "b": true, "c": false, "d": null, "e": "x", "f": 12345678901234567890}'
    assert _cells(_read(text, "", *"abcdefg")) == [
        ("1.5", "true", "false", None, "x", "12345678901234567890", None)
    ]


def test_what_is_no_record_is_a_fault() -> None:
    records = _read('{"hits": [null, 3, {"id": {"x": 1}}, {"id": "\\ud800"}]}', "hits.*")
    assert _faults(records) == [
        "is not a JSON object",
        "is not a JSON object",
        "column id contains a JSON object or array where a plain value was expected",
        "contains bytes that are not UTF-8",
    ]
    assert records.original(3) == '{"id": "\\ud800"}'
    assert _faults(_read('{"error": 1}', "hits.*")) == ["has no 'hits'"]
    assert _faults(_read('{"hits": 1}', "hits.*")) == ["is a plain value where a list was expected"]


@pytest.mark.parametrize(
    "text",
    ['{"hits": [{"id"', "[" * 100_000, '{"id": 1' + "0" * 5000 + "}", '{"a":1}]', "{}\n}{\n{}"],
)
def test_what_is_no_json_is_a_fault_and_no_crash(text: str) -> None:
    documents = list(read_documents(io.StringIO(text)))
    assert any("not valid JSON" in str(one.fault) for one in documents)


def test_a_document_too_large_to_be_held_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_DOCUMENT_CHARS", 100)
    text = "[\n" + '{"id": 1},\n' * 100 + "]"
    (only,) = read_documents(io.StringIO(text))
    assert only.fault == "is one JSON document of more than 0 MiB"


def test_a_value_nested_too_deeply_to_be_written_out_is_still_put_aside() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    records = Records(frame=_read("{}", "").frame, places=["item 1"], originals=[nested])
    assert "nested too deeply" in records.original(0)


@pytest.mark.parametrize(
    ("text", "is_json"), [('\ufeff\n {"a"', True), ("[", True), ("a,b", False)]
)
def test_json_is_told_by_its_first_character(text: str, is_json: bool) -> None:
    assert looks_like_json(io.StringIO(text)) is is_json
