"""The benchmarks fit the product they measure; what they measure is no test's concern."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, RAW_TRENDS, SCORED_TRENDS

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("_rows")


def test_synthetic_rows_are_rows_of_their_tables(rows: Any) -> None:
    days = Scope("tech", rows.FIRST_DAY, rows.day_after(1))
    for table, frame in (
        (SCORED_TRENDS, rows.scored_trends("tech", 2, 30)),
        (RAW_TRENDS, rows.raw_trends("tech", 2, 30)),
    ):
        assert check_rows(table, frame, days).frame.height == 60
    events = rows.production_events("tech", 3)
    assert check_rows(PRODUCTION_EVENTS, events, Scope("tech")).frame.height == 24
    records = rows.production_records("tech", 3, 4)
    assert check_rows(PRODUCTION_RECORDS, records, Scope("tech")).frame.height == 12


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("[a-z]*.py")))
def test_a_benchmark_can_be_imported(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    assert importlib.import_module(name).__doc__
