"""Records as of an instant, stays and waits, on a lake."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.history import OCCURRED, RECORDED, Clock, fold_until
from ytap_assets.domain.production.records import find_visits, fold_events
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.history import add_production_notes, list_waits, measure_states
from ytap_assets.operations.platform import Markdown, Platform, Written
from ytap_assets.operations.records import (
    fold_records,
    list_records_at,
    read_visits,
    refold_records,
    refresh_tables,
)
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, SCRIPT_STATES
from ytap_assets.tables.production import STATES

RUN = Run("run", "test", "histories")
NAMES = ("tech", "finance")


def random_events(platform: Platform, seed: int, count: int) -> pl.DataFrame:
    """Imported states of a few scripts of two workspaces, some of them recorded late."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        recorded = platform.now() - timedelta(hours=10 * (count - number))
        row = {
            "workspace_id": chance.choice(NAMES),
            "event_id": f"{seed}-{number}",
            "script_id": f"script-{chance.randrange(4)}",
            "type": "imported",
            "to_state": chance.choice(STATES),
            "actor": "import",
            "occurred_at": recorded - timedelta(hours=chance.choice([0, 0, 0, 15, 35])),
            "recorded_at": recorded,
            "payload": f'{{"title":"Title {number}"}}',
        }
        rows.append(row)
    return PRODUCTION_EVENTS.frame(rows)


def append(platform: Platform, events: pl.DataFrame, *, refreshed: bool = True) -> None:
    """Append events, and refresh what follows from them in the same commit."""
    parts = events.partition_by("workspace_id", as_dict=True).items()
    scopes = [Scope(str(name)) for (name,), _ in parts]
    with platform.lake.write(RUN) as transaction:
        transaction.append_all(
            [check_rows(PRODUCTION_EVENTS, part, Scope(str(name))) for (name,), part in parts]
        )
        if refreshed:
            refresh_tables(transaction, scopes)


def fill(platform: Platform, seed: int, counts: Sequence[int]) -> None:
    events = random_events(platform, seed, sum(counts))
    for count in counts:
        append(platform, events.head(count))
        events = events.slice(count)


def read_all(platform: Platform, name: str) -> pl.DataFrame:
    return platform.lake.reader(name).read(PRODUCTION_EVENTS)


@pytest.mark.parametrize("clock", [OCCURRED, RECORDED])
@pytest.mark.parametrize("seed", [1, 2])
def test_records_as_of_an_instant_are_the_fold_of_the_events_until_then(
    platform: Platform, clock: Clock, seed: int
) -> None:
    fill(platform, seed, [10, 7, 3])
    late = random_events(platform, seed + 100, 2)
    append(platform, late, refreshed=False)
    for name in NAMES:
        events = read_all(platform, name)
        instants: list[datetime] = events[clock].sample(6, seed=seed).to_list()
        for at in [*instants, platform.now() - timedelta(days=900), platform.now()]:
            found = list_records_at(platform, name, at, clock)
            expected = fold_until(events, at, clock)
            assert_frame_equal(found, expected, check_row_order=False)


@pytest.mark.parametrize("seed", [3, 4])
def test_stays_kept_commit_by_commit_are_those_of_the_whole_log(
    platform: Platform, seed: int
) -> None:
    fill(platform, seed, [5, 1, 8, 2])
    for name in NAMES:
        stored = platform.lake.reader(name).read(SCRIPT_STATES)
        expected = find_visits(read_all(platform, name))
        assert_frame_equal(stored, expected, check_row_order=False)
    batch, _ = platform.batch({name: [None] for name in NAMES}, RUN)
    assert refold_records(batch) == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize("refreshed", [True, False])
def test_recent_stays_are_those_that_began_or_ended_since(
    platform: Platform, *, refreshed: bool
) -> None:
    fill(platform, 5, [12])
    append(platform, random_events(platform, 6, 4), refreshed=refreshed)
    since = platform.now() - timedelta(hours=60)
    found = read_visits(platform.lake.batch_reader(NAMES), since)
    visits = find_visits(pl.concat([read_all(platform, name) for name in NAMES]))
    recent = visits.filter((pl.col("entered_at") >= since) | (pl.col("left_at") >= since))
    assert 0 < recent.height < visits.height
    assert_frame_equal(found, recent, check_row_order=False)


def one_script(platform: Platform, state: str, days: int, **given: Any) -> pl.DataFrame:
    at = platform.now() - timedelta(days=days)
    return PRODUCTION_EVENTS.frame(
        [
            {
                "workspace_id": "tech",
                "event_id": f"{state} {days}",
                "script_id": f"s{days}",
                "type": "imported",
                "to_state": state,
                "actor": "import",
                "occurred_at": at,
                "recorded_at": at,
                "payload": '{"title":"<b>|`"}',
                **given,
            }
        ]
    )


def test_waits_follow_the_config_of_the_workspace(platform: Platform) -> None:
    append(platform, one_script(platform, "ready_for_generation", 2))
    append(platform, one_script(platform, "script_pending_review", 1))
    waits = list_waits(platform, "tech")
    assert waits.select("script_id", "max_hours", "is_stuck").rows() == [
        ("s2", 24.0, True),
        ("s1", 48.0, False),
    ]
    assert list_waits(platform, "finance").is_empty()


def test_times_of_the_last_days_count_no_earlier_moves(platform: Platform) -> None:
    append(platform, one_script(platform, "script_pending_review", 9, script_id="one"))
    append(platform, one_script(platform, "ready_for_generation", 5, script_id="one"))
    append(platform, one_script(platform, "video_pending_review", 0, script_id="one"))
    columns = ("state", "entered", "left", "median_hours")
    assert measure_states(platform, "tech", 7).select(columns).rows() == [
        ("script_pending_review", 0, 1, 96.0),
        ("ready_for_generation", 1, 1, 120.0),
        ("video_pending_review", 1, 0, None),
    ]


def test_the_records_of_a_run_come_with_counts_and_stuck_scripts(platform: Platform) -> None:
    for days in range(1, 14):
        append(platform, one_script(platform, "ready_for_generation", days))
    append(platform, one_script(platform, "published", 30))
    batch, _ = platform.batch({name: [None] for name in NAMES}, RUN)

    results = add_production_notes(batch, fold_records(batch))

    tech, finance = (results[Scope(name)] for name in NAMES)
    assert isinstance(tech, Written)
    assert isinstance(finance, Written)
    assert tech.frame.height == 14
    assert tech.notes["scripts_ready_for_generation"] == 13
    assert tech.notes["scripts_published"] == 1
    assert tech.notes["oldest_hours_ready_for_generation"] == 312.0
    assert "oldest_hours_video_pending_review" not in tech.notes
    assert tech.notes["stuck_scripts"] == 12
    table = tech.notes["stuck"]
    assert isinstance(table, Markdown)
    lines = table.text.splitlines()
    assert (
        lines[2] == "| `` <b>¦` `` | ready_for_generation | 13 days | 24 h | `a finished video` |"
    )
    assert lines[-1] == "and 2 more; `ytap script stuck` lists them"
    assert finance.notes["stuck_scripts"] == 0
    assert "stuck" not in finance.notes


def test_records_that_are_refused_have_no_notes(platform: Platform) -> None:
    append(platform, one_script(platform, "published", 1))
    batch, _ = platform.batch({"tech": [None]}, RUN)
    failed = ValueError("refused")
    assert add_production_notes(batch, {Scope("tech"): failed}) == {Scope("tech"): failed}


def test_the_stored_records_are_what_is_folded(platform: Platform) -> None:
    fill(platform, 7, [6])
    for name in NAMES:
        stored = platform.lake.reader(name).read(PRODUCTION_RECORDS)
        assert_frame_equal(stored, fold_events(read_all(platform, name)), check_row_order=False)
