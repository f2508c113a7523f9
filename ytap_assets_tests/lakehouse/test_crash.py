"""Killed at any moment, the lake is as before or as after."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.lakehouse.backup import back_up
from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.copies import list_copies, open_backup
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import change_catalog, place_of
from ytap_assets_tests.lakehouse.processes import Worker
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    notes,
    one_day,
    publish,
)
from ytap_assets_tests.lakehouse.workers import CHURN_DAYS, ENTRIES, LATER, ROWS

AIMS = ["commit"] * 9 + ["insert"] * 3 + ["delete"] * 3 + ["begin"] * 2 + ["compact"] * 2 + ["call"]
"""The phases that are shot at, each as often as it stands here."""
INSIDE = {"begin", "delete", "insert", "compact", "commit"}
MOMENT_S = 0.02


@dataclass
class Expected:
    """What the lake must hold, as far as the workers were told that it does."""

    versions: dict[date, int] = field(default_factory=dict)
    logged: list[int] = field(default_factory=list)

    def after(self, kind: str, version: int, low: int, high: int) -> Expected:
        """The same, once an operation is done."""
        span = CHURN_DAYS[low : high + 1] if kind in {"publish", "both"} else []
        return Expected({**self.versions, **dict.fromkeys(span, version)}, [*self.logged, version])


def hear(reports: list[str], before: Expected) -> tuple[Expected, Expected]:
    """What was acknowledged, and what the operation that was cut off would have made of it."""
    done = intended = before
    for report in reports:
        match report.split():
            case ["intent", kind, version, low, high]:
                intended = done.after(kind, int(version), int(low), int(high))
            case ["ack", _]:
                done = intended
    return done, intended


def _phase(reports: list[str]) -> str:
    """The phase in which a worker was killed."""
    phases = [report.split()[1] for report in reports if report.startswith("phase ")]
    return phases[-1] if phases else "opening"


def find(lake: Lake) -> Expected:
    """What the lake holds; fails where a partition is torn or a row is there twice."""
    reader = lake.reader("tech")
    partitions = (
        reader.read(NOTES)
        .group_by("day")
        .agg(pl.len(), pl.col("note_id").n_unique().alias("ids"), pl.col("version").unique())
    )
    torn = partitions.filter(
        (pl.col("len") != len(ROWS))
        | (pl.col("ids") != len(ROWS))
        | (pl.col("version").list.len() != 1)
    )
    assert torn.is_empty(), f"torn partitions: {torn}"
    entries = reader.read(LOGS).sort("seq")
    assert entries.get_column("seq").to_list() == list(range(1, entries.height + 1))
    batches = entries.get_column("left").to_list()
    assert batches == [version for version in batches[::ENTRIES] for _ in range(ENTRIES)]
    assert entries.get_column("log_id").n_unique() == entries.height
    versions = {day: found[0] for day, _, _, found in partitions.rows()}
    return Expected(versions, batches[::ENTRIES])


def _shoot(worker: Worker, chance: random.Random) -> None:
    """Kill a worker a moment after it reported a phase that is aimed at."""
    aim, misses = chance.choice(AIMS), chance.randrange(3)
    if aim in {"compact", "call"}:
        misses = 0
    worker.go()
    for _ in range(misses + 1):
        worker.wait_for(f"phase {aim}")
    worker.kill(after_s=chance.uniform(0, MOMENT_S))


def _kill_many(settings: Settings, kills: int, seed: int) -> Counter[str]:
    """Kill so many workers, and look at the lake after each; the phases they were killed in."""
    chance = random.Random(seed)
    phases: Counter[str] = Counter()
    expected = Expected()
    worker = Worker("churn", **place_of(settings), seed=seed)
    for number in range(kills):
        successor = Worker("churn", **place_of(settings), seed=seed + number + 1)
        _shoot(worker, chance)
        phases[_phase(worker.reports)] += 1
        done, intended = hear(worker.reports, expected)
        with Lake.open(settings, tables=SAMPLES) as lake:
            expected = find(lake)
        assert expected in (done, intended), (number, worker.reports[-8:], done, expected)
        worker = successor
    worker.kill()
    return phases


def _referred(settings: Settings) -> set[str]:
    """Names of the files that the catalog refers to, or is about to delete."""
    tables = ("ducklake_data_file", "ducklake_delete_file", "ducklake_files_scheduled_for_deletion")
    rows = change_catalog(
        settings, " UNION ALL ".join(f"SELECT path FROM {table}" for table in tables)
    )
    return {Path(path).name for (path,) in rows}


def _check_kills(
    settings: Settings, kills: int, capsys: pytest.CaptureFixture[str]
) -> Counter[str]:
    phases = _kill_many(settings, kills, seed=20261120)
    with capsys.disabled():
        sys.stdout.write(f"\n{kills} kills, by the phase they fell in: {dict(phases)}\n")
    with Lake.open(settings, tables=SAMPLES) as lake:
        expected = find(lake)
        maintain(lake, datetime.now(UTC) + LATER, RUN)
        assert find(lake) == expected
        publish(lake, NOTES, notes("tech", [DAY], ROWS, version=0), one_day("tech"))
    files = {Path(name).name for name in find_files(settings).list_parquet()}
    assert files == _referred(settings)
    return phases


def test_ten_kills_tear_nothing_and_lose_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = _check_kills(settings, 10, capsys)
    assert sum(phases[phase] for phase in INSIDE) >= 5


@pytest.mark.soak
def test_a_hundred_kills_tear_nothing_and_lose_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = _check_kills(settings, 100, capsys)
    assert sum(phases[phase] for phase in INSIDE) >= 20
    assert phases["commit"] >= 5


def _kill_restores(settings: Settings, folder: Path, kills: int) -> None:
    chance = random.Random(kills)
    now = datetime.now(UTC)
    with Lake.open(settings, tables=SAMPLES) as lake:
        for version in (1, 2):
            publish(lake, NOTES, notes("tech", [DAY], ROWS, version=version), one_day("tech"))
            back_up(settings, folder / f"backup-{version}", now)
    backups = [str(folder / f"backup-{version}") for version in (1, 2)]
    for _ in range(kills):
        with Worker("put_back", **place_of(settings), backups=backups) as worker:
            worker.go()
            for _ in range(chance.randrange(1, 4)):
                worker.wait_for("restoring")
            worker.kill(after_s=chance.uniform(0, 3 * MOMENT_S))
        assert [report for report in worker.reports if report.startswith("missing")] == []
        with Lake.open(settings, tables=SAMPLES) as lake:
            rows = lake.reader("tech").read(NOTES)
            assert rows.height == len(ROWS)
            assert rows.get_column("version").n_unique() == 1
            assert rows.get_column("version").item(0) in {1, 2}


def test_a_killed_restore_leaves_a_whole_lake(settings: Settings, tmp_path: Path) -> None:
    _kill_restores(settings, tmp_path, 3)


@pytest.mark.soak
def test_many_killed_restores_leave_a_whole_lake(settings: Settings, tmp_path: Path) -> None:
    _kill_restores(settings, tmp_path, 30)


def test_a_killed_backup_leaves_whole_copies_alone(settings: Settings) -> None:
    chance = random.Random(3)
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], ROWS, version=1), one_day("tech"))
    for _ in range(3):
        with Worker("copy_often", **place_of(settings)) as worker:
            worker.go()
            for _ in range(chance.randrange(1, 4)):
                worker.wait_for("copying")
            worker.kill(after_s=chance.uniform(0, 5 * MOMENT_S))
    last = back_up(settings, settings.backups / "last", datetime.now(UTC))
    copies = list_copies(settings)
    assert [copy.problem for copy in copies] == [None] * len(copies)
    assert [open_backup(copy.folder).rows for copy in copies] == [len(ROWS)] * len(copies)
    assert copies[-1].backup == last
    assert {path.name for path in settings.backups.iterdir()} == {c.folder.name for c in copies}
