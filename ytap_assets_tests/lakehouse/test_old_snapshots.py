"""Old snapshots and the change feed read what they held, whatever was deleted and rewritten since.

DuckLake keeps the newest column statistics only, and DuckDB's optimizer believes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.sql_sandbox import open_sql
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import Lakes
from ytap_assets_tests.lakehouse.samples import (
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    append,
    days,
    logs,
    notes,
    publish,
)

DAYS = days(10)
LATER = DAYS[3]
IDS = [f"n{number:02}" for number in range(50)]
WHOLE = Scope("tech", DAYS[0], DAYS[-1])
SHAPES = (
    "SELECT count(*) FROM {}",
    "SELECT count(*) FROM {} WHERE day >= DATE '2026-11-05'",
    "SELECT count(*) FROM {} WHERE day BETWEEN DATE '2026-11-04' AND DATE '2026-11-06'"
    " AND workspace_id = 'tech'",
    "SELECT count(*) FROM {} WHERE day < DATE '2026-11-03' OR note_id > 'n3'",
    "SELECT count(version), count(weight) FROM {}",
    "SELECT count(*) FROM {} WHERE version IS NULL",
    "SELECT count(*) FROM {} WHERE version IS NOT NULL",
    "SELECT count(*) FROM {} WHERE version > 100",
    "SELECT min(day), max(day), min(version), max(version), min(note_id), max(weight) FROM {}",
    "SELECT day, count(*), sum(version) FROM {} GROUP BY day ORDER BY day",
    "SELECT version, count(*) FROM {} GROUP BY version ORDER BY version",
    "SELECT count(DISTINCT day), count(DISTINCT version) FROM {}",
    "SELECT count(*) FROM {} a JOIN {} b USING (day, note_id) WHERE b.version > 1",
    "SELECT count(*) FROM {} WHERE version IN (SELECT version FROM {} WHERE day > '2026-11-06')",
    "SELECT day, note_id FROM {} ORDER BY day DESC, note_id LIMIT 3",
    "SELECT day, version + 1 FROM {} WHERE day > DATE '2026-11-04' ORDER BY ALL LIMIT 3",
)


def _rewrite(lake: Lake) -> None:
    for function, options in (
        ("ducklake_rewrite_data_files", {"delete_threshold": 0.0}),
        ("ducklake_merge_adjacent_files", {}),
    ):
        with lake.write(RUN) as transaction:
            transaction.compact(function, **options)


def _answer(connection: duckdb.DuckDBPyConnection, shape: str, rows: str) -> list[tuple[Any, ...]]:
    return connection.execute(shape.replace("{}", rows)).fetchall()


@pytest.fixture(scope="module")
def shrunk(
    made_lake: Settings, lakes: Lakes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, int]]:
    """A lake whose later days, with the nulls, are deleted and rewritten; and a snapshot before."""
    with lakes.copy(made_lake, tmp_path_factory.mktemp("shrunk") / "data") as settings:
        yield settings, _shrink(settings)


def _shrink(settings: Settings) -> int:
    earlier = notes("tech", DAYS[:3], IDS, version=1)
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("art", DAYS[:1], IDS[:5]), Scope("art", DAYS[0], DAYS[0]))
        publish(lake, NOTES, pl.concat([earlier, notes("tech", DAYS[3:], IDS)]), WHOLE)
        append(lake, LOGS, logs("tech", ["before"]), "tech")
        before = lake.snapshot_id()
        publish(lake, NOTES, NOTES.empty(), Scope("art"))
        publish(lake, NOTES, NOTES.empty(), Scope("tech", LATER, DAYS[-1]))
        _rewrite(lake)
    return before


def test_readers_of_an_old_snapshot_see_its_rows(shrunk: tuple[Settings, int]) -> None:
    settings, before = shrunk
    later = (LATER, DAYS[-1])
    with Lake.open(settings, tables=SAMPLES) as lake:
        assert lake.reader("tech", as_of=before).read(NOTES, days=later).height == 350
        assert (
            lake.batch_reader(["tech", "art"], as_of=before).read(NOTES, days=later).height == 350
        )
        assert lake.reader("tech").read(NOTES, days=later).height == 0
        assert lake.reader("tech", as_of=before).read(LOGS, columns=["seq"]).rows() == [(1,)]


@pytest.mark.parametrize(("workspace_id", "rows"), [("tech", 350), ("art", 5), (None, 355)])
def test_sql_as_of_an_old_snapshot_sees_its_rows(
    shrunk: tuple[Settings, int], workspace_id: str | None, rows: int
) -> None:
    settings, before = shrunk
    statement = (
        f"SELECT count(*), count(version) FROM notes WHERE day >= DATE '{LATER}' OR version IS NULL"
    )
    opened = open_sql(settings, statement, workspace_id=workspace_id, as_of=before)
    with closing(opened) as connection:
        assert connection.execute(statement).fetchall() == [(rows, 0)]


def test_a_statement_that_names_an_old_version_sees_its_rows(
    shrunk: tuple[Settings, int],
) -> None:
    settings, before = shrunk
    with closing(open_sql(settings, "FROM notes", workspace_id=None)) as connection:
        rows = f"(FROM notes AT (VERSION => {before}))"
        nulls = _answer(connection, "SELECT count(*) FROM {} WHERE version IS NULL", rows)
        days_of_tech = "SELECT day, count(*) FROM {} WHERE workspace_id = 'tech' GROUP BY day"
        assert nulls == [(355,)]
        assert dict(_answer(connection, days_of_tech, rows)) == dict.fromkeys(DAYS, 50)


@pytest.mark.parametrize(
    "feed",
    [
        "ducklake_table_changes('lake', 'main', 'notes', 0, {})",
        "lake.table_changes('notes', 0, {})",
    ],
)
def test_the_change_feed_tells_of_rows_that_are_gone(
    shrunk: tuple[Settings, int], feed: str
) -> None:
    settings, _ = shrunk
    with closing(open_sql(settings, "FROM notes", workspace_id=None)) as connection:
        [(newest,)] = connection.execute(
            "SELECT id FROM ducklake_current_snapshot('lake')"
        ).fetchall()
        changes = connection.execute(
            f"SELECT change_type, count(*) FROM {feed.format(newest)}"
            f" WHERE day >= DATE '{LATER}' GROUP BY ALL"
        ).fetchall()
    assert dict(changes) == {"insert": 350, "delete": 350}


def test_a_transaction_that_began_before_keeps_its_rows(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", DAYS, IDS, version=1), WHOLE)
    with closing(attach(lake.settings, read_only=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM marks").fetchall() == [(0,)]
        publish(lake, NOTES, NOTES.empty(), Scope("tech", LATER, DAYS[-1]))
        _rewrite(lake)
        after = f"SELECT count(*) FROM notes WHERE day >= DATE '{LATER}'"
        assert reader.execute(after).fetchall() == [(350,)]


Change = tuple[int, int, int | None]
CHANGES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([None, 1, 2, 200])),
    min_size=2,
    max_size=4,
)


@settings(
    max_examples=4,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES, is_empty=st.booleans())
def test_every_snapshot_answers_as_it_did(
    made_lake: Settings,
    lakes: Lakes,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[Change],
    *,
    is_empty: bool,
) -> None:
    with lakes.copy(made_lake, tmp_path_factory.mktemp("old") / "data") as settings:
        _compare_snapshots(settings, changes, is_empty=is_empty)


def _compare_snapshots(settings: Settings, changes: list[Change], *, is_empty: bool) -> None:
    truth: dict[int, pl.DataFrame] = {}
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", DAYS, IDS[:20], version=3, weight=0.5), WHOLE)
        for one, other, version in changes:
            truth[lake.snapshot_id()] = lake.reader("tech").read(NOTES)
            first, last = sorted((DAYS[one], DAYS[other]))
            span = [day for day in DAYS if first <= day <= last]
            frame = NOTES.empty() if is_empty else notes("tech", span, IDS[:7], version=version)
            publish(lake, NOTES, frame, Scope("tech", first, last))
            _rewrite(lake)
    with closing(attach(settings, read_only=True)) as old, duckdb.connect() as plain:
        for snapshot, rows in truth.items():
            plain.register("rows", rows)
            for shape in SHAPES:
                answer = _answer(old, shape, f"(FROM lake.notes AT (VERSION => {snapshot}))")
                assert answer == _answer(plain, shape, "rows"), shape
