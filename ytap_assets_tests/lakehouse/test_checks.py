"""What may be written, and how a refusal reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse import checks
from ytap_assets.lakehouse.checks import (
    CASES,
    CHECKS,
    CheckResult,
    PublishRefusedError,
    Scope,
    check_batch,
    check_key,
    check_partition,
    check_rows,
    check_schema,
    conform,
)
from ytap_assets.tables import SCORED_TRENDS, TABLES, Table
from ytap_assets.tables.base import Rows, Text, column
from ytap_assets_tests.effort import examples
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    MARKS,
    NOTES,
    SIGHTINGS,
    days,
    logs,
    marks,
    notes,
    one_day,
    sightings,
)

Change = Callable[[pl.DataFrame], pl.DataFrame]
TOO_LATE = pl.lit(2**62).cast(pl.Datetime("us", "UTC"))


def _cases(result: CheckResult) -> list[tuple[object, ...]]:
    return result.cases.rows()


def _refusal(table: Table, frame: pl.DataFrame, scope: Scope) -> PublishRefusedError:
    with pytest.raises(PublishRefusedError) as caught:
        check_rows(table, frame, scope)
    return caught.value


def test_a_good_frame_passes_all_three_checks() -> None:
    checked = check_rows(NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    assert [result.name for result in checked.results] == list(CHECKS)
    assert all(result.passed and result.summary == "passed" for result in checked.results)
    assert_frame_equal(checked.frame, notes("tech", [DAY], "ab"))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_an_empty_frame_is_a_valid_partition_of_every_table(table: Table) -> None:
    days = (DAY, DAY) if table.by_day else (None, None)
    assert check_rows(table, table.empty(), Scope("tech", *days)).frame.is_empty()


def test_columns_are_taken_by_name_not_by_position() -> None:
    frame = notes("tech", [DAY], "a", version=7, body=b"x", tags=["y"])
    checked = check_rows(NOTES, frame.select(reversed(frame.columns)), one_day("tech"))
    assert_frame_equal(checked.frame, frame)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f.drop("tags"), "tags: present: missing column"),
        (lambda f: f.with_columns(more=1), "more: declared: unexpected column"),
        (lambda f: f.rename({"version": "Version"}), "Version: declared: unexpected column"),
        (lambda f: f.with_columns(pl.col("day").cast(pl.String)), "day: type: String instead of"),
        (lambda f: f.with_columns(version=1.5), "version: type: Float64 instead of Int64"),
        (lambda f: f.with_columns(version=pl.lit(1, pl.UInt64)), "UInt64 instead of Int64"),
        (lambda f: f.with_columns(weight=pl.lit(1, pl.Int64)), "Int64 instead of Float64"),
        (lambda f: f.with_columns(is_read=1), "is_read: type: Int32 instead of Boolean"),
        (lambda f: f.with_columns(body=pl.lit("x")), "body: type: String instead of Binary"),
        (lambda f: f.with_columns(tags=pl.lit("x")), "tags: type: String instead of List"),
        (lambda f: f.with_columns(tags=[1]), "tags: type: List"),
        (
            lambda f: f.with_columns(pl.col("seen_at").dt.replace_time_zone(None)),
            "time_zone=None",
        ),
        (lambda f: f.with_columns(pl.col("seen_at").dt.cast_time_unit("ns")), "time_unit='ns'"),
        (lambda f: f.with_columns(seen_at=TOO_LATE), "seen_at: type: outside the years 1 to 9999"),
        (
            lambda f: f.with_columns(seen_at=pl.lit(2**62).cast(pl.Datetime("ms", "UTC"))),
            "seen_at: type: outside the years 1 to 9999",
        ),
        (
            lambda f: f.with_columns(day=pl.lit(2**30, pl.Int32).cast(pl.Date)),
            "day: type: outside the years 1 to 9999",
        ),
    ],
)
def test_drift_is_refused_as_a_whole_and_named(change: Change, expected: str) -> None:
    seen_at = datetime(2026, 11, 1, tzinfo=UTC)
    error = _refusal(NOTES, change(notes("tech", [DAY], "a", seen_at=seen_at)), one_day("tech"))
    assert [result.name for result in error.results] == ["schema"]
    assert expected in str(error)
    assert str(error).startswith("notes: not published, the previous rows are unchanged: schema: ")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"version": pl.lit(3, pl.Int8)}, {"version": 3}),
        ({"version": pl.lit(3, pl.UInt32)}, {"version": 3}),
        ({"weight": pl.lit(3, pl.Int32)}, {"weight": 3.0}),
        ({"weight": pl.lit(0.5, pl.Float32)}, {"weight": 0.5}),
        ({"version": pl.lit(None)}, {"version": None}),
        ({"tags": pl.lit([], pl.List(pl.Null))}, {"tags": []}),
        ({"note_id": pl.lit("a").cast(pl.Categorical)}, {"note_id": "a"}),
        ({"note_id": pl.lit("a").cast(pl.Enum(["a"]))}, {"note_id": "a"}),
        (
            {"seen_at": pl.lit(datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo")))},
            {"seen_at": datetime(2026, 1, 1, 3, tzinfo=UTC)},
        ),
        (
            {"seen_at": pl.lit(1000).cast(pl.Datetime("ms", "UTC"))},
            {"seen_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)},
        ),
    ],
)
def test_a_type_that_loses_nothing_is_widened(
    given: dict[str, pl.Expr], kept: dict[str, object]
) -> None:
    frame, problems = conform(NOTES, notes("tech", [DAY], "a").with_columns(**given))
    assert problems == []
    assert frame.schema == NOTES.schema
    assert frame.select(list(kept)).to_dicts() == [kept]


@pytest.mark.parametrize(
    ("cells", "column", "check", "case"),
    [
        ({"note_id": None}, "note_id", "not_nullable", "null"),
        ({"day": None}, "day", "not_nullable", "null"),
        ({"weight": float("nan")}, "weight", "finite", "NaN"),
        ({"weight": float("inf")}, "weight", "finite", "inf"),
        ({"weight": -float("inf")}, "weight", "finite", "-inf"),
    ],
)
def test_a_cell_that_breaks_the_structure_is_told_with_its_row(
    cells: dict[str, object], column: str, check: str, case: str
) -> None:
    rows = notes("tech", [DAY], "ab").to_dicts()
    result = check_schema(NOTES, NOTES.frame([rows[0], {**rows[1], **cells}]))
    assert result.cases.schema == CASES
    assert result.cases.with_columns(pl.col("case").fill_null("null")).rows() == [
        (column, check, case, 1)
    ]


def test_declared_checks_block_with_or_without_nulls_elsewhere() -> None:
    bad = marks("tech", a=-1)
    assert _cases(check_schema(MARKS, bad)) == [("value", "greater_than_or_equal_to(0)", "-1", 0)]
    both = pl.concat([bad, marks("tech", b=2).with_columns(value=pl.lit(None, pl.Int64))])
    assert {(column, row) for column, _, _, row in _cases(check_schema(MARKS, both))} == {
        ("value", 0),
        ("value", 1),
    }


@pytest.mark.parametrize(
    "name", ["Tech", "tech\n", "../finance", "tech'--", "", "x" * 64, "-tech", "tech.finance"]
)
def test_a_workspace_with_a_bad_name_owns_no_row(name: str) -> None:
    result = check_schema(MARKS, marks(name, a=1))
    assert [(column, row) for column, _, _, row in _cases(result)] == [("workspace_id", 0)]


def test_a_business_range_never_blocks() -> None:
    columns = {column.name: column.expected for column in TABLES["video_metrics"].columns}
    assert columns["views"] is not None
    at = datetime(2026, 11, 1, tzinfo=UTC)
    row: dict[str, object] = {
        "workspace_id": "tech",
        "day": DAY,
        "platform": "youtube",
        "video_id": "v",
    }
    row |= {"observed_at": at, "views": -5, "is_settled": False, "collection_id": "c"}
    table = TABLES["video_metrics"]
    assert check_rows(table, table.frame([row]), one_day("tech")).frame.height == 1


def test_a_key_stands_once_in_a_derived_frame() -> None:
    frame = pl.concat([notes("tech", [DAY], "aba"), notes("tech", days(2)[1:], "a")])
    assert _cases(check_key(NOTES, frame)) == [
        ("workspace_id, day, note_id", "unique", "tech, 2026-11-01, a", 0),
        ("workspace_id, day, note_id", "unique", "tech, 2026-11-01, a", 2),
    ]


def test_a_key_may_stand_twice_in_an_appended_frame_but_is_never_null() -> None:
    assert check_key(LOGS, logs("tech", "aa")).passed
    null = pl.concat([logs("tech", "a"), LOGS.frame([{"workspace_id": "tech"}])])
    assert _cases(check_key(LOGS, null)) == [("workspace_id, log_id", "not null", "tech", 1)]


@pytest.mark.parametrize(
    ("scope", "bad"),
    [
        (Scope("tech", DAY, DAY), ["tech 2026-11-02", "other 2026-11-01", "other 2026-11-02"]),
        (Scope("tech", DAY, DAY + timedelta(1)), ["other 2026-11-01", "other 2026-11-02"]),
        (Scope("tech"), ["other", "other"]),
    ],
)
def test_every_row_belongs_where_it_is_written(scope: Scope, bad: list[str]) -> None:
    frame = pl.concat([notes("tech", days(2), "a"), notes("other", days(2), "a")])
    result = check_partition(NOTES, frame, scope)
    assert result.cases.get_column("case").to_list() == bad
    assert {check for _, check, _, _ in _cases(result)} == {f"belongs to {scope}"}


def test_rows_without_workspace_or_day_belong_nowhere() -> None:
    rows = notes("tech", [DAY], "ab").to_dicts()
    frame = NOTES.frame([{**rows[0], "workspace_id": None}, {**rows[1], "day": None}])
    assert check_partition(NOTES, frame, one_day("tech")).cases.height == 2


def test_a_refusal_holds_every_check_and_its_cases() -> None:
    frame = pl.concat([marks("tech", a=-1, b=1), marks("other", b=1), marks("tech", b=1)])
    error = _refusal(MARKS, frame, Scope("tech"))
    assert {result.name: result.passed for result in error.results} == {
        "schema": False,
        "key": False,
        "partition": False,
    }
    assert [result.cases.height for result in error.results] == [1, 2, 1]
    assert str(error) == (
        "marks: not published, the previous rows are unchanged:"
        " schema: value: greater_than_or_equal_to(0): -1 (row 0);"
        " key: workspace_id, mark_id: unique: tech, b (row 1), and 1 more;"
        " partition: workspace_id: belongs to tech: other (row 2)"
    )


def test_a_hostile_value_is_shown_cut_and_on_one_line() -> None:
    title = "\x1b]0;owned\x07\n\u202e" + "x" * 1000
    error = _refusal(MARKS, marks("tech", **{title: 1}), Scope("tech"))
    assert "\\x1b]0;owned\\x07\\n\\u202exxx" in str(error)
    assert "xxx… (row 0)" in str(error)
    assert len(str(error)) < 300
    assert str(error).isprintable()


def test_a_sequence_is_not_the_writers_to_give() -> None:
    frame = logs("tech", "ab").with_columns(seq=pl.Series([99, -1]))
    assert check_rows(LOGS, frame, Scope("tech")).frame.get_column("seq").to_list() == [1, 2]
    without = check_rows(LOGS, frame.drop("seq"), Scope("tech"))
    assert without.frame.get_column("seq").to_list() == [1, 2]


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope("tech"), "tech"),
        (Scope("tech", DAY, DAY), "tech 2026-11-01"),
        (Scope("tech", DAY, date(2026, 11, 3)), "tech 2026-11-01..2026-11-03"),
    ],
)
def test_a_scope_reads_well(scope: Scope, text: str) -> None:
    assert str(scope) == text


def test_a_whole_day_of_a_real_table_is_checked() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    row = {
        "workspace_id": "tech", "day": DAY, "story_id": "s", "source": "hn", "item_id": "1",
        "title": "t", "canonical_url": "u", "observed_at": at, "engagement_basis": "points",
        "engagement_score": 1.0, "recency_score": 1.0, "source_weight": 1.2, "is_spam": False,
        "spam_reasons": [], "base_score": 2.4, "position": 1, "members": 1, "sources": ["hn"],
        "final_score": 4.0, "momentum": 4.0, "momentum_source": "hn", "momentum_basis": "points",
        "relevance": 1.0, "relevance_reasons": [], "is_other_language": False, "reasons": [],
        "cross_source_boost": 1.0, "learned_weight": 1.0, "production_factor": 1.0,
        "spam_factor": 1.0,
    }  # fmt: skip
    good = SCORED_TRENDS.frame([row])
    assert check_rows(SCORED_TRENDS, good, one_day("tech")).frame.height == 1
    bad = SCORED_TRENDS.frame([{**row, "position": 0, "base_score": float("nan")}])
    error = _refusal(SCORED_TRENDS, bad, one_day("tech"))
    assert {column for column, *_ in _cases(error.results[0])} == {"position", "base_score"}


class Graded(Rows):
    """A table with a column that older rows lack."""

    note: Text = column("A note.", default="none")


def test_a_default_is_for_older_rows_and_fills_no_null_of_a_new_one() -> None:
    table = Table("graded", Graded, ("workspace_id",), "workspace", "derived", "test", ())
    rows = pl.DataFrame({"workspace_id": ["tech"], "note": [None]}, table.schema)
    error = _refusal(table, rows, Scope("tech"))
    assert [column for column, *_ in _cases(error.results[0])] == ["note"]


def test_an_empty_append_is_checked_too() -> None:
    assert check_rows(SIGHTINGS, sightings("tech", []), Scope("tech")).frame.is_empty()


_FRAMES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.tuples(
        st.lists(st.sampled_from("xyz"), max_size=3),
        st.sampled_from(["own", "other workspace", "other day", "wrong type"]),
    ),
    max_size=4,
)


@settings(max_examples=examples(30))
@given(_FRAMES)
def test_frames_checked_together_pass_as_each_does_alone(
    cases: dict[str, tuple[list[str], str]],
) -> None:
    frames: dict[Scope, pl.DataFrame] = {}
    for name, (ids, kind) in cases.items():
        owner = "elsewhere" if kind == "other workspace" else name
        day = DAY + timedelta(days=kind == "other day")
        frame = notes(owner, [day], ids)
        if kind == "wrong type":
            frame = frame.with_columns(pl.lit(1).alias("note_id"))
        frames[one_day(name)] = frame
    together = check_batch(NOTES, frames)
    assert list(together) == list(frames)
    for scope, frame in frames.items():
        found = together[scope]
        if isinstance(found, PublishRefusedError):
            with pytest.raises(PublishRefusedError, match=re.escape(str(found))):
                check_rows(NOTES, frame, scope)
            continue
        alone = check_rows(NOTES, frame, scope)
        assert_frame_equal(found.frame, alone.frame)
        assert [one.passed for one in found.results] == [one.passed for one in alone.results]


def test_one_refused_frame_among_many_costs_the_checks_of_its_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, calls = checks.check_schema, []

    def count(table: Table, frame: pl.DataFrame) -> checks.CheckResult:
        calls.append(frame.height)
        return whole(table, frame)

    monkeypatch.setattr(checks, "check_schema", count)
    scopes = [one_day(f"w{number:03}") for number in range(256)]
    frames = {scope: notes(scope.workspace_id, [DAY], "a") for scope in scopes}
    frames[scopes[99]] = frames[scopes[99]].with_columns(pl.lit(None, pl.String).alias("note_id"))

    found = check_batch(NOTES, frames)

    refused = [scope for scope, one in found.items() if isinstance(one, PublishRefusedError)]
    assert refused == [scopes[99]]
    assert len(calls) == 1 + 2 * 8  # the whole, and two halves eight times
