from __future__ import annotations

import csv
import io

from ytap_assets.sources.files.csv_records import (
    MAX_RECORD_CHARS,
    read_csv_records,
    read_header,
)
from ytap_assets.sources.files.records import FAULT, Only, Records

_TABLE = "id,title,note\n"


def _read(text: str, *wanted: str) -> Records:
    return read_csv_records(io.StringIO(text, newline=""), wanted or ("id", "title"))


def _cells(records: Records) -> list[tuple[object, ...]]:
    return records.frame.drop(FAULT).rows()


def _faults(records: Records) -> list[str | None]:
    return records.frame.get_column(FAULT).to_list()


def test_reads_the_wanted_columns_with_their_lines() -> None:
    records = _read(_TABLE + '1,"a\nb",x\n\n2,"c\rd",y\r\n3,e,z', "title", "id", "absent")
    assert records.frame.columns == ["cell:title", "cell:id", FAULT]
    assert _cells(records) == [("a\nb", "1"), ("c\rd", "2"), ("e", "3")]
    assert list(records.places) == ["line 2", "line 5", "line 6"]
    assert records.original(0) == '1,"a\nb",x'


def test_names_of_columns_are_trimmed_and_the_first_of_two_is_read() -> None:
    text = "\ufeff id ,title,title\n1,a,b\n"
    assert read_header(io.StringIO(text)) == ["id", "title", "title"]
    assert _cells(_read(text)) == [("1", "a")]


def test_a_header_that_is_no_text_has_no_names() -> None:
    assert read_header(io.StringIO("")) == []
    assert read_header(io.StringIO("PK\0\3,b\n")) == []
    assert read_header(io.StringIO("id\udcff,b\n")) == []
    assert read_header(io.StringIO("x" * (csv.field_size_limit() + 1))) == []


def test_rows_of_another_width_have_a_fault() -> None:
    records = _read(_TABLE + "1,a\n2,b,c,d\n3,e,f\n")
    assert _faults(records) == [
        "has 2 columns where the header has 3",
        "has 4 columns where the header has 3",
        None,
    ]
    assert _cells(records) == [(None, None), (None, None), ("3", "e")]


def test_quotes_inside_quoted_cells_are_taken_as_they_come() -> None:
    records = _read(_TABLE + '1,"a"|"b"|"c",x\n2,say "hi",y\n')
    assert _cells(records) == [("1", 'a|"b"|"c"'), ("2", 'say "hi"')]


def test_reading_goes_on_after_a_cell_that_is_too_long() -> None:
    huge = "x" * (csv.field_size_limit() + 1)
    records = _read(_TABLE + f"1,{huge},x\n2,b,y\n")
    assert _faults(records)[0] is not None
    assert "field larger than field limit" in str(_faults(records)[0])
    assert _cells(records)[1] == ("2", "b")
    assert list(records.places) == ["line 2", "line 3"]
    assert records.original(0) == f"1,{huge},x"


def test_reading_goes_on_after_a_quote_that_is_not_closed() -> None:
    lines = [f"{number},b,y" for number in range(60_000)]
    records = _read(_TABLE + '1,a,"never closed\n' + "\n".join(lines))
    swallowed = records.original(0).split("\n")[1:]
    assert 1000 < len(swallowed) < 20_000
    assert swallowed + [records.original(i) for i in range(1, len(records.places))] == lines
    assert [fault is None for fault in _faults(records)] == [False] + [True] * (
        len(lines) - len(swallowed)
    )
    assert records.places[-1] == "line 60002"


def test_a_record_of_many_cells_that_is_too_long_is_put_aside() -> None:
    cell = '"' + "x" * 100_000 + '\n"'
    wide = ",".join([cell] * (MAX_RECORD_CHARS // 100_000 + 1))
    records = _read(_TABLE + wide)
    assert (
        _faults(records)[0] == f"cannot be taken apart: longer than {MAX_RECORD_CHARS} characters"
    )
    assert wide.startswith(records.original(0))


def test_a_file_cut_inside_a_cell_nobody_reads_keeps_the_row() -> None:
    assert _faults(_read(_TABLE + '1,a,"cut in the midd')) == [None]


def test_a_file_cut_inside_a_wanted_cell_loses_the_row() -> None:
    records = _read("title,id,views\n" + 'a,1,"12', "id", "views")
    assert _faults(records) == ["column views is cut: the file ends inside it"]


def test_an_unclosed_quote_that_swallowed_rows_is_a_fault() -> None:
    records = _read(_TABLE + '1,a,"never closed\n2,b,y\n3,c,z\n')
    assert _faults(records) == ["a quote that is never closed swallowed the records after it"]
    assert records.original(0) == '1,a,"never closed\n2,b,y\n3,c,z'


def test_text_that_is_not_utf8_is_a_fault_where_it_is_read() -> None:
    records = _read(_TABLE + "1,caf\udce9,x\n2,b,caf\udce9\n")
    assert _faults(records) == ["holds bytes that are not UTF-8 text", None]
    assert records.original(0) == "1,caf\\xe9,x"


def test_a_record_of_another_kind_is_put_aside() -> None:
    only = {"kind": Only.model_validate({"is": ["a"], "rule": "no a"})}
    text = io.StringIO("id,kind\n1,a\n2,b\n3,\x00\n", newline="")
    records = read_csv_records(text, ["id", "kind"], only)
    assert records.frame.get_column(FAULT).to_list() == [
        None,
        "column kind holds 'b': no a",
        "column kind holds '\\x00': no a",
    ]
