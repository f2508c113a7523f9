"""Waits and times of scripts, for people: lists, a summary for the UI, and measures.

Belongs here: reading what these are made of, and which rules apply. Does not belong here: how they
are computed (`domain.production.history`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl

from ytap_assets.domain.production.history import (
    describe_waits,
    measure_stays,
    summarize_waits,
)
from ytap_assets.operations.platform import Batch, Markdown, Platform, Results, Written
from ytap_assets.operations.production_inputs import workspace_rules
from ytap_assets.operations.records import list_records, read_visits
from ytap_assets.reports.words import quote_code, spell_hours
from ytap_assets.tables.production import PRODUCTION_RECORDS, STATES

_SHOWN = 10


def list_waits(platform: Platform, workspace_id: str) -> pl.DataFrame:
    """What each script in production of a workspace waits for; columns as `describe_waits`.

    Raises:
        ConfigError: There is no such workspace.
    """
    records = list_records(platform, workspace_id)
    rules = workspace_rules(platform.workspace(workspace_id))
    return describe_waits(records, {workspace_id: rules}, platform.now())


def measure_states(platform: Platform, workspace_id: str, days: int) -> pl.DataFrame:
    """Throughput and time in state of a workspace over the last days; columns as `measure_stays`.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        days: How many times 24 hours, up to now.

    Raises:
        ConfigError: There is no such workspace.
    """
    platform.workspace(workspace_id)
    now = platform.now()
    since = now - timedelta(days=days)
    visits = read_visits(platform.lake.reader(workspace_id), since)
    order = pl.col("state").cast(pl.Enum(STATES))
    return measure_stays(visits, since, now + timedelta(microseconds=1)).sort(order)


def add_production_notes(batch: Batch, results: Results) -> Results:
    """Add a summary of production to the results of ``production_records``.

    Args:
        batch: The workspaces.
        results: All records of each workspace, or why they were not written.
    """
    written = {scope: one for scope, one in results.items() if isinstance(one, Written)}
    records = pl.concat([PRODUCTION_RECORDS.empty(), *(one.frame for one in written.values())])
    notes = describe_production(batch, records)
    return results | {
        scope: replace(one, notes=one.notes | notes[scope.workspace_id])
        for scope, one in written.items()
    }


def describe_production(batch: Batch, records: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """What a person wants to see of each workspace's production.

    Args:
        batch: The workspaces.
        records: Rows of ``production_records``: all of these workspaces.

    Returns:
        By workspace: ``scripts_STATE``, how many scripts are in each state; of the states of
        production ``oldest_hours_STATE``, the longest wait, unless no script is in it;
        ``stuck_scripts``; and if there are any, ``stuck``, a table of the first ones.
    """
    rules = {name: workspace_rules(one) for name, one in batch.workspaces.items()}
    waits = describe_waits(records, rules, batch.now)
    notes: dict[str, dict[str, Any]] = {
        name: {**{f"scripts_{state}": 0 for state in STATES}, "stuck_scripts": 0}
        for name in batch.workspace_ids
    }
    for name, state, scripts in records.group_by("workspace_id", "state").len().iter_rows():
        notes[name][f"scripts_{state}"] = scripts
    for row in summarize_waits(waits).iter_rows(named=True):
        own = notes[row["workspace_id"]]
        own[f"oldest_hours_{row['state']}"] = round(row["oldest_hours"], 1)
        own["stuck_scripts"] += row["stuck"]
    for (name,), stuck in (
        waits.filter("is_stuck")
        .partition_by("workspace_id", as_dict=True, maintain_order=True)
        .items()
    ):
        notes[str(name)]["stuck"] = Markdown("\n".join(_show_stuck(stuck)))
    return notes


def _show_stuck(stuck: pl.DataFrame) -> Iterable[str]:
    """Lines of a Markdown table; all texts are code in it."""
    yield "| script | state | for | limit | waits for |"
    yield "|---|---|---|---|---|"
    for row in stuck.head(_SHOWN).iter_rows(named=True):
        title = _cell(row["title"] or row["script_id"])
        waited, limit = spell_hours(row["hours"]), spell_hours(row["max_hours"])
        why = _cell("; ".join(row["waits_for"]))
        yield f"| {title} | {row['state']} | {waited} | {limit} | {why} |"
    if (more := stuck.height - _SHOWN) > 0:
        yield f"\nand {more} more; `ytap script stuck` lists them"


def _cell(text: str) -> str:
    # A bar ends a cell, in code as well.
    return quote_code(text.replace("|", "\N{BROKEN BAR}"))
