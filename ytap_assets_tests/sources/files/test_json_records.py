from __future__ import annotations

import io

import pytest

from ytap_assets.sources.importing import json_records
from ytap_assets.sources.importing.cells import FAULT, Records
from ytap_assets.sources.importing.json_records import (
    looks_like_json,
    read_documents,
    read_json_records,
)


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
    assert str(_faults(records)[1]).startswith("is not readable JSON")
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
    assert str(_faults(records)[2]).startswith("is not readable JSON")
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
    assert _faults(records) == ["names 'score' more than once, with different values"]
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
        "column id holds a JSON object or array where a plain value was expected",
        "holds bytes that are not UTF-8 text",
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
    assert any("not readable JSON" in str(one.fault) for one in documents)


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
