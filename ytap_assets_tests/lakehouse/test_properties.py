"""What holds for any rows: they read back equal, appends conserve, publishes replace exactly.

A NaN or an infinity is no value of a column (what is unknown is null), so none is made here;
`test_checks` shows that they are refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.lake import Lake
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    SIGHTINGS,
    append,
    days,
    logs,
    notes,
    publish,
    sightings,
)

_workspaces = (f"any-{number}" for number in count(1))
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=12) | st.sampled_from(["\x00", "'", "a\x00'; --", "\U0010ffff", "é" * 300])
INSTANTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
DATES = st.dates() | st.sampled_from([date.min, date.max])
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "day": DATES,
    "note_id": TEXT,
    "version": INT64 | st.none(),
    "weight": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    "is_read": st.booleans() | st.none(),
    "seen_at": INSTANTS | st.none(),
    "body": st.binary(max_size=40) | st.none(),
    "tags": st.lists(TEXT | st.none(), max_size=3) | st.none(),
}
NOTE_ROWS = st.lists(
    st.fixed_dictionaries(CELLS), max_size=8, unique_by=lambda row: (row["day"], row["note_id"])
)
SEEN = st.lists(st.tuples(st.sampled_from(days(3)), st.sampled_from("abcdef\x00é")), max_size=10)
SPANS = st.tuples(st.integers(0, 4), st.integers(0, 2))

for_any = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@for_any
@given(rows=NOTE_ROWS)
def test_any_rows_read_back_equal(shared_lake: Lake, rows: list[dict[str, Any]]) -> None:
    workspace = next(_workspaces)
    frame = NOTES.frame([{"workspace_id": workspace, **row} for row in rows])
    publish(shared_lake, NOTES, frame, Scope(workspace))
    stored = shared_lake.reader(workspace).read(NOTES)
    order = ["day", "note_id"]
    assert_frame_equal(stored.sort(order), frame.sort(order))
    for row in rows[:2]:  # the statistics of files must not hide what is there
        found = shared_lake.reader(workspace).read(
            NOTES, days=(row["day"], row["day"]), wanted={"note_id": [row["note_id"]]}
        )
        assert found.get_column("version").to_list() == [row["version"]]


@for_any
@given(batches=st.lists(SEEN, max_size=4))
def test_an_append_conserves_and_is_idempotent(
    shared_lake: Lake, batches: list[list[tuple[date, str]]]
) -> None:
    workspace = next(_workspaces)
    for seen in batches:
        done = append(shared_lake, SIGHTINGS, sightings(workspace, seen), workspace)
        assert done.accepted.height + done.duplicates.height == len(seen)
        again = append(shared_lake, SIGHTINGS, sightings(workspace, seen), workspace)
        assert (again.accepted.height, again.duplicates.height) == (0, len(seen))
    first = {item: day for seen in reversed(batches) for day, item in reversed(seen)}
    stored = shared_lake.reader(workspace).read(SIGHTINGS)
    assert dict(stored.select("item_id", "day").rows()) == first
    assert stored.height == len(first)


@for_any
@given(batches=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=4))
def test_a_log_keeps_its_order_and_numbers_without_gaps(
    shared_lake: Lake, batches: list[list[str]]
) -> None:
    workspace = next(_workspaces)
    for ids in batches:
        append(shared_lake, LOGS, logs(workspace, ids), workspace)
    stored = shared_lake.reader(workspace).read(LOGS).sort("seq")
    expected = list(dict.fromkeys(name for ids in batches for name in ids))
    assert stored.get_column("log_id").to_list() == expected
    steps = stored.get_column("seq").diff().drop_nulls()
    assert steps.to_list() == [1] * max(0, len(expected) - 1)


@for_any
@given(spans=st.lists(SPANS, min_size=1, max_size=4), empty=st.booleans())
def test_a_publish_replaces_exactly_its_range(
    shared_lake: Lake, spans: list[tuple[int, int]], empty: bool
) -> None:
    workspace = next(_workspaces)
    expected: dict[date, int] = {}
    for version, (low, length) in enumerate(spans):
        span = [DAY + timedelta(low + number) for number in range(length + 1)]
        clears = empty and version == len(spans) - 1
        frame = NOTES.empty() if clears else notes(workspace, span, "a", version=version)
        publish(shared_lake, NOTES, frame, Scope(workspace, span[0], span[-1]))
        for day in span:
            expected.pop(day, None)
            if not clears:
                expected[day] = version
    stored = shared_lake.reader(workspace).read(NOTES, columns=["day", "version"])
    assert dict(stored.rows()) == expected
    assert stored.height == len(expected)


def test_every_type_of_column_is_made_here() -> None:
    assert set(CELLS) | {"workspace_id"} == set(NOTES.schema)
    types = {pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Date, pl.Datetime, pl.Binary, pl.List}
    assert {dtype.base_type() for dtype in NOTES.schema.values()} == types
