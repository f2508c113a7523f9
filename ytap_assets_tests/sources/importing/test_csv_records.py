from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.sources.importing.csv_records import (
    MAX_RECORD_CHARS,
    match_names,
    read_csv_records,
    read_header,
)
from ytap_assets.sources.importing.records import FAULT, Only, Records
from ytap_assets_tests.effort import examples

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
    assert read_header(io.StringIO(text)).names == ["id", "title", "title"]
    assert _cells(_read(text)) == [("1", "a")]


def test_a_header_that_is_no_text_has_no_names() -> None:
    assert read_header(io.StringIO("")).names == []
    assert read_header(io.StringIO("PK\0\3,b\n")).names == []
    assert read_header(io.StringIO("id\udcff,b\n")).names == []
    assert read_header(io.StringIO("x" * (csv.field_size_limit() + 1))).names == []


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
    assert [records.original(index) for index in range(60_001)] == ['1,a,"never closed', *lines]
    assert _faults(records) == [None] * 60_001
    assert records.places[-1] == "line 60002"


def test_a_record_of_many_cells_that_is_too_long_is_quarantined() -> None:
    cell = '"' + "x" * 100_000 + '\n"'
    wide = ",".join([cell] * (MAX_RECORD_CHARS // 100_000 + 1))
    records = _read(_TABLE + wide)
    assert _faults(records)[0] == f"cannot be parsed: longer than {MAX_RECORD_CHARS} characters"
    assert wide.startswith(records.original(0))


def test_a_file_cut_inside_a_cell_nobody_reads_keeps_the_row() -> None:
    assert _faults(_read(_TABLE + '1,a,"cut in the midd')) == [None]


def test_a_file_cut_inside_a_wanted_cell_loses_the_row() -> None:
    records = _read("title,id,views\n" + 'a,1,"12', "id", "views")
    assert _faults(records) == ["column views is truncated: a quote is not closed"]


@pytest.mark.parametrize("last", ["4,d,w", '4,d,"w"', '4,d,"w\nw"', '4,d,""', '4,d,"""w"'])
@pytest.mark.parametrize("end", ["", "\n", "\r\n5,e,v\r\n"])
def test_records_that_an_unclosed_quote_absorbed_are_read(last: str, end: str) -> None:
    records = _read(_TABLE + f'1,a,"never closed\n2,b,y\n3,c,"z"\n{last}{end}')
    ids = ["1", "2", "3", "4", *(["5"] if "5" in end else [])]
    assert [cells[0] for cells in _cells(records)] == ids
    assert _faults(records) == [None] * len(ids)
    assert records.original(0) == '1,a,"never closed'


def test_a_record_cut_within_a_cell_that_is_wanted_is_quarantined_and_the_next_is_read() -> None:
    records = _read("note,id,title\n" + 'x,1,"never clo\ny,2,b\nz,3,"c"\n')
    assert _faults(records) == ["column title is truncated: a quote is not closed", None, None]
    assert _cells(records)[1:] == [("2", "b"), ("3", "c")]
    records = _read("title,note,id\n" + 'a,"never clo\nb,"y\ny",2\nc,z,3\n', "id", "title")
    assert str(_faults(records)[0]).startswith("has 2 columns where the header has 3: a quote is")
    assert _cells(records)[1:] == [("2", "b"), ("3", "c")]


def test_a_record_appended_to_the_line_on_which_another_was_cut_is_not_lost() -> None:
    cut = '1,a,"never closed2,b,y\n'
    records = _read(_TABLE + cut + "3,c,z\n")
    assert _faults(records) == [
        "another record begins within its last cell",
        None,
    ]
    assert records.original(0) == cut.rstrip()
    records = _read("id,title,x,note\n" + '1,a,"never closed2,b,"y",z\n3,c,y,z\n')
    assert _faults(records) == [
        "a quote is not closed, and ends where another record opens one",
        None,
    ]


def test_lines_that_look_like_records_within_a_closed_cell_are_quarantined() -> None:
    records = _read(_TABLE + '1,a,"honest\n2,b,forged\n3,c,forged\nend"\n4,d,z\n')
    inside = "looks like a record, but is inside a cell of line 2"
    assert _faults(records) == [None, inside, inside, None]
    assert list(records.places) == ["line 2", "line 3", "line 4", "line 6"]
    assert records.original(1) == "2,b,forged"
    assert _cells(records)[3] == ("4", "d")


def test_what_looks_like_a_record_is_for_the_caller_to_say() -> None:
    text = io.StringIO(_TABLE + '1,a,"salt, pepper\none, two, three\nend"\n4,d,z\n', newline="")
    records = read_csv_records(
        text, ["id"], is_record=lambda cells: cells.get("id", "").isdecimal()
    )
    assert _faults(records) == [None, None]


def test_tables_written_one_after_the_other() -> None:
    records = _read("\ufeffid,title,note\n1,a,x\n\ufeffid,title,note\n2,b,y\n")
    assert _faults(records) == [None, "repeats the header", None]
    records = _read(_TABLE + '1,a,x\ntitle,more,note,id\nb,"m",y,2\n\ufeff"c",m,z,3\n')
    assert _faults(records) == [None, "is a second header, of other columns", None, None]
    assert _cells(records)[2:] == [("2", "b"), ("3", "c")]


def test_a_header_to_which_a_record_is_joined_is_quarantined_with_the_records() -> None:
    for joined in ("1,a,x", '1,"a\nb",x'):
        records = _read(f"id,title,note{joined}\n2,b,y\n")
        assert _faults(records) == [
            "has 3 columns where the header has 5",
            "is a header of 5 columns, but no record has as many",
        ]
        assert records.original(1) == f"id,title,note{joined}"
        assert records.places[1] == "line 1"
    records = _read('id,title,note1,"a\n2,b,"y"\n3,c,z\n')
    assert [records.original(index) for index in range(3)] == [
        '2,b,"y"',
        "3,c,z",
        'id,title,note1,"a',
    ]


def test_a_header_of_records_that_are_cut_is_no_record() -> None:
    for text in ("", "1\n", "1,a\n2,b\n", '1,"2,b,"a,"\n'):
        records = _read("id,title,note,rest\n" + text, "id", "note")
        assert len(records.places) == text.count("\n")
    assert not _read("id,title,note,Price [EUR],2024\n", "id", "note").places


def test_what_follows_a_header_without_the_columns_is_quarantined() -> None:
    text = "id,title,views,note\n1,a,5,x\ntitle,id,likes,note\nb,2,6,y\n"
    records = _read(text, "id", "title", "views")
    assert _faults(records) == [
        None,
        "is a second header, of other columns",
        "follows the second header in line 3, which does not have all columns",
    ]


def test_a_record_that_may_be_damaged_is_quarantined_with_the_one_it_may_contain() -> None:
    """Cut in a description, then a record whose last cell begins with a line break: well quoted."""
    records = _read(_TABLE + '1,a,"cut he\n2,b,"\nnote"\n3,c,z\n')
    faults = _faults(records)
    assert str(faults[0]) == "may be damaged: a cell ends where another record begins"
    assert str(faults[1]).startswith("may be damaged: ")
    assert [records.original(index) for index in range(4)] == [
        '1,a,"cut he',
        '2,b,"',
        'note"',
        "3,c,z",
    ]
    assert faults[2] == "has 1 columns where the header has 3"
    assert faults[3] is None


# Texts that begin with a letter: a quote followed by a line break or a delimiter may close a cell
# as well as open one, and where it stands after a cut no reader can tell.
_texts = st.from_regex(r'([ab\u00e9][ab,"\n;\u00e9]{0,12})?', fullmatch=True)


def _write(number: int, title: str, note: str) -> str:
    sink = io.StringIO(newline="")
    csv.writer(sink, lineterminator="\n").writerow([f"id{number:09d}", title, 7, note])
    return sink.getvalue()


def _is_story(cells: Mapping[str, str]) -> bool:
    is_id = re.fullmatch("id[0-9]{9}", cells.get("id", "id000000000"))
    return is_id is not None and cells["views"] == "7"


@settings(max_examples=examples(80))
@given(
    rows=st.lists(st.tuples(_texts, _texts), min_size=2, max_size=6),
    torn=st.integers(0, 4),
    cut=st.floats(0, 1),
    joint=st.sampled_from(["\n", "", "\r\n"]),
)
@example(rows=[("a;;;;;;;,", ""), ("a\n;", "")], torn=0, cut=0.5, joint="")
def test_no_line_of_a_damaged_table_is_lost(
    rows: list[tuple[str, str]], torn: int, cut: float, joint: str
) -> None:
    """A writer is killed within a record, and another appends to the file."""
    written = [_write(number, *texts) for number, texts in enumerate(rows)]
    torn = min(torn, len(rows) - 2)
    written[torn] = written[torn][: int(cut * (len(written[torn]) - 1))] + joint
    text = "id,title,views,note\n" + "".join(written)
    records = read_csv_records(io.StringIO(text, newline=""), ["id", "views"], is_record=_is_story)
    originals = [records.original(index) for index in range(len(records.places))]
    # A header that no record has the columns of is quarantined, too.
    kept = "".join(one for one in originals if one.strip() != "id,title,views,note")
    assert kept.replace("\n", "") == "".join(written).replace("\n", "").replace("\r", "")
    read, quarantined = set(), []
    for original, (item_id, views, fault) in zip(originals, records.frame.rows(), strict=True):
        if fault is None and _is_story({"id": item_id, "views": views}):
            read.add(item_id)
        else:
            quarantined.append(original)
    for number, whole in enumerate(written):
        item_id = f"id{number:09d}"
        is_kept = any(item_id in original for original in quarantined)
        assert item_id in read or is_kept or item_id not in whole, (number, text)


def test_text_that_is_not_utf8_is_a_fault_where_it_is_read() -> None:
    records = _read(_TABLE + "1,caf\udce9,x\n2,b,caf\udce9\n")
    assert _faults(records) == ["contains bytes that are not UTF-8", None]
    assert records.original(0) == "1,caf\\xe9,x"


def test_a_record_of_another_kind_is_quarantined() -> None:
    only = {"kind": Only.model_validate({"is": ["a"], "rule": "no a"})}
    text = io.StringIO("id,kind\n1,a\n2,b\n3,\x00\n", newline="")
    records = read_csv_records(text, ["id", "kind"], only)
    assert records.frame.get_column(FAULT).to_list() == [
        None,
        "column kind contains 'b': no a",
        "column kind contains '\\x00': no a",
    ]


@pytest.mark.parametrize("sign", [";", ",", "|", "\t"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "\ufeffsep={}", "SEP={}"])
def test_the_line_in_which_a_spreadsheet_names_its_separator_is_no_header(
    sign: str, line: str
) -> None:
    text = f"{line.format(sign)}\r\nid{sign}title\r\n1{sign}a, b; c\r\n"
    if sign in ",;":
        text = text.replace("a, b; c", "'a'")
    records = _read(text, "id", "title")
    assert [cells[0] for cells in _cells(records)] == ["1"]
    assert list(records.places) == ["line 3"]


def test_capitals_and_spaces_in_names_make_no_difference_where_they_are_clear() -> None:
    assert match_names(["Video ID", "Title", "URL"], ["video_id", "title", "url"]) == [
        "video_id",
        "title",
        "url",
    ]
    assert match_names(["Title", "title"], ["title"]) == ["Title", "title"]
    assert match_names(["Title", "TITLE"], ["title"]) == ["Title", "TITLE"]
    records = _read("ID,Title\n1,a\nID,Title\n2,b\n", "id", "title")
    assert _faults(records) == [None, "repeats the header", None]
