"""Reading: one workspace's rows and no other's, whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.errors import SnapshotMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import Reader
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    MARKS,
    NOTES,
    append,
    days,
    logs,
    notes,
    one_day,
    publish,
)

CANARY = "CANARY-ROW"


@pytest.fixture(scope="module")
def two(shared_lake: Lake) -> Lake:
    """A lake with rows of tech, and rows of finance that nobody else may see."""
    for name, note in (("tech", "mine"), ("finance", CANARY)):
        frame = notes(name, days(3), [note, f"{note}-2"], version=1, tags=[note])
        publish(shared_lake, NOTES, frame, Scope(name, days(3)[0], days(3)[2]))
        append(shared_lake, LOGS, logs(name, [note]), name)
    return shared_lake


def test_a_reader_sees_its_workspace_alone(two: Lake) -> None:
    rows = two.reader("tech").read(NOTES)
    assert rows.height == 6
    assert rows.schema == NOTES.schema
    assert rows.get_column("workspace_id").unique().to_list() == ["tech"]
    assert two.reader("nobody").read(NOTES).is_empty()


def test_reading_across_is_another_step(two: Lake) -> None:
    assert not hasattr(two.reader("tech"), "read_across")
    rows = two.cross_reader().read_across(NOTES, columns=["workspace_id"])
    assert set(rows.get_column("workspace_id")) == {"tech", "finance"}


def test_the_last_numbers_of_all_workspaces_are_one_question(two: Lake) -> None:
    before = two.cross_reader().last_seqs(LOGS)
    append(two, LOGS, logs("tech", ["another"]), "tech")
    after = two.cross_reader().last_seqs(LOGS)

    assert set(before) == {"tech", "finance"}
    assert after == {**before, "tech": max(before.values()) + 1}
    with pytest.raises(KeyError, match="notes has no column seq"):
        two.cross_reader().last_seqs(NOTES)


def test_a_batch_reads_from_the_least_value_on_and_its_own_workspaces(two: Lake) -> None:
    reader = two.batch_reader(["tech"])
    last = max(two.reader("tech").read(LOGS)["seq"])
    assert reader.read(LOGS, at_least={"seq": last})["seq"].to_list() == [last]
    assert reader.read(LOGS, at_least={"seq": last + 1}).is_empty()
    assert reader.read(LOGS, wanted={"workspace_id": ["finance"]}).is_empty()
    with pytest.raises(KeyError, match="logs has no column nothing"):
        reader.read(LOGS, at_least={"nothing": 1})


def test_the_newest_rows_are_those_of_the_last_day_of_each_workspace(lake: Lake) -> None:
    first, second, third = days(3)
    for name, on, version in (("tech", [first, second, third], None), ("finance", [first], 7)):
        for day in on:
            rows = notes(name, [day], ["a"], version=version if day == on[-1] else 1)
            publish(lake, NOTES, rows, Scope(name, day, day))
    newest = lake.cross_reader().read_newest(NOTES, columns=["workspace_id", "day", "version"])
    assert newest.rows() == [("finance", first, 7, 1), ("tech", third, None, 3)]


def test_days_columns_and_values_narrow_a_reading(two: Lake) -> None:
    reader = two.reader("tech")
    first, second, third = days(3)
    assert reader.read(NOTES, days=(second, third)).height == 4
    assert reader.read(NOTES, days=(third, first)).is_empty()
    assert reader.read(NOTES, wanted={"note_id": ["mine", "else"]}).height == 3
    assert reader.read(NOTES, wanted={"note_id": []}).is_empty()
    chosen = reader.read(NOTES, days=(DAY, DAY), columns=["note_id", "day"])
    assert chosen.columns == ["note_id", "day"]
    assert sorted(chosen.rows()) == [("mine", DAY), ("mine-2", DAY)]


def test_the_first_and_the_last_instant_of_groups_are_read_across(lake: Lake) -> None:
    times = [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (5, 9, 7)]
    seen = pl.concat(
        notes("tech", [DAY], [str(moment)], seen_at=moment, tags=["t"]) for moment in times
    )
    publish(lake, NOTES, seen, one_day("tech"))
    reader, by = lake.cross_reader(), ["workspace_id", "day"]

    spans = reader.read_spans(NOTES, "seen_at", by=by)

    assert spans.rows() == [("tech", DAY, times[0], times[1])]
    one = reader.read_spans(NOTES, "seen_at", by=by, wanted={"note_id": [str(times[2])]})
    assert one.rows() == [("tech", DAY, times[2], times[2])]
    none = reader.read_spans(NOTES, "seen_at", by=by, days=(days(2)[1], days(2)[1]))
    assert none.schema == spans.schema
    assert none.is_empty()


def test_an_empty_answer_has_the_tables_types(two: Lake) -> None:
    assert two.reader("tech").read(MARKS).schema == MARKS.schema


@pytest.mark.parametrize("name", ["nope", "Note_id", '"', 'day") OR (1=1', "rowid", "*"])
def test_a_column_that_is_not_declared_is_refused(two: Lake, name: str) -> None:
    with pytest.raises(KeyError, match="has no column"):
        two.reader("tech").read(NOTES, columns=[name])
    with pytest.raises(KeyError, match="has no column"):
        two.reader("tech").read(NOTES, wanted={name: ["x"]})


HOSTILE: dict[str, Callable[[Reader], Any]] = {
    "another workspace": lambda r: r.read(NOTES, wanted={"workspace_id": ["finance"]}),
    "both workspaces": lambda r: r.read(NOTES, wanted={"workspace_id": ["tech", "finance"]}),
    "quote": lambda r: r.read(NOTES, wanted={"note_id": ["x') OR ('1'='1"]}),
    "comment": lambda r: r.read(NOTES, wanted={"note_id": ["x') OR 1=1 --"]}),
    "union": lambda r: r.read(NOTES, wanted={"note_id": ["') UNION FROM lake.notes --"]}),
    "nul": lambda r: r.read(NOTES, wanted={"note_id": ["x\x00' OR 1=1 --"]}),
    "its name": lambda r: r.read(NOTES, wanted={"note_id": [CANARY]}),
    "a pattern": lambda r: r.read(NOTES, wanted={"note_id": ["%", "*", "_________"]}),
    "a list": lambda r: r.read(NOTES, wanted={"note_id": [["mine", CANARY]]}),  # type: ignore[list-item]
    "days": lambda r: r.read(NOTES, days=("2020-01-01' OR '1'='1", "2030-01-01")),  # type: ignore[arg-type]
    "log": lambda r: r.read(LOGS, wanted={"log_id": [CANARY]}),
}


@pytest.mark.parametrize("attempt", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_bring_out_no_other_workspace(
    two: Lake, attempt: Callable[[Reader], Any]
) -> None:
    answer = _answer(attempt, two.reader("tech"))
    assert "finance" not in answer
    assert CANARY not in answer


def _answer(attempt: Callable[[Reader], Any], reader: Reader) -> str:
    """The rows; or the error, without the values that the attempt itself put in."""
    try:
        return str(attempt(reader).rows())
    except duckdb.Error as error:
        return str(error).replace(f"'{CANARY}'", "")


@pytest.mark.parametrize(
    "name",
    ["tech' OR '1'='1", "finance' --", "%", "", "tech\x00finance", "tech OR true", "*", "TECH"],
)
def test_a_reader_with_a_hostile_name_reads_nothing(two: Lake, name: str) -> None:
    assert two.reader(name).read(NOTES).is_empty()
    assert two.reader(name).read(LOGS).is_empty()


def test_a_hostile_snapshot_is_no_number(two: Lake) -> None:
    hostile: Any = "1) UNION ALL FROM lake.notes --"
    with pytest.raises(ValueError, match="invalid literal"):
        two.reader("tech", as_of=hostile).read(NOTES)


def test_reading_as_of_a_snapshot(lake: Lake) -> None:
    seen = []
    for version in range(3):
        publish(lake, NOTES, notes("tech", [DAY], "ab", version=version), one_day("tech"))
        seen.append(lake.snapshot_id())
    publish(lake, NOTES, NOTES.empty(), one_day("tech"))
    for version, snapshot in enumerate(seen):
        rows = lake.reader("tech", as_of=snapshot).read(NOTES)
        assert rows.get_column("version").to_list() == [version, version]
        across = lake.batch_reader(["tech", "art"], as_of=snapshot).read(NOTES)
        assert across.get_column("version").to_list() == [version, version]
    assert lake.reader("tech").read(NOTES).is_empty()


@pytest.mark.parametrize("snapshot", [999, -1, 2**62, 2**64, -(10**30)])
def test_a_snapshot_that_never_was_is_told(two: Lake, snapshot: int) -> None:
    with pytest.raises(SnapshotMissingError, match=f"snapshot {snapshot} "):
        two.reader("tech", as_of=snapshot).read(NOTES)


def test_reading_leaves_no_file_open(two: Lake) -> None:
    for _ in range(10):
        two.reader("tech").read(NOTES)
    held = [path for path in Path("/proc/self/fd").glob("*") if _points_into(path, two)]
    assert held == []


def _points_into(link: Path, lake: Lake) -> bool:
    try:
        return link.readlink().is_relative_to(lake.settings.data)
    except OSError:  # closed meanwhile
        return False
