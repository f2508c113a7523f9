"""The cost of one more day after 30, 120 and 365 days of history.

Three installations with the same workspaces differ only in the length of their history. In turn,
each gets new days: the whole product is materialized for the day, then the lake is maintained,
which makes a copy of it first, and the check-up is run. Processor time is compared.

The history is made of one day that ran through the whole graph: its rows are published again for
every earlier day, under ids of their own, and the lake is maintained once. Per day and workspace
it adds 40 trends, 32 scripts of which one is published, 69 events, and a row of counts for every
video published so far; 365 days of four workspaces have 100,000 events. Dagster's event log holds
the runs of the measured days only.

    python benchmarks/growth.py [DATA_FOLDER]

The data folder is not used: the trends are synthetic, the scripts and videos are the demo's.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

import polars as pl
from _report import finish, print_table, read_arguments, temporary_folder
from backfill import DEMO, prepare, record_day, run

from ytap_assets.defs.launch import materialize_range
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.doctor import examine
from ytap_assets.operations.maintain import maintain_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources.http.recordings import append_recording, day_folder
from ytap_assets.tables import (
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    TABLES,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACES,
    Table,
)

HISTORIES = (30, 120, 365)
WORKSPACES_MADE = ("w1", "w2", "w3", "w4")
TEMPLATE = "tech"
TODAY = date(2026, 11, 20)
ROUNDS = 3
REJECTED = 31
LIMIT = 1.2
STAGES = {
    "collect": "key:raw_trends or key:video_metrics or key:collection_coverage",
    "trends": "key:trend_stories or key:scored_trends or key:source_performance",
    "promote and fold": "key:production_events or key:production_records or key:videos",
    "report": "key:workspace_reports",
}
WHOLE = "key:channels or key:accounts or key:production_records or key:videos"
_RUN = Run("benchmark", "benchmark", "make a history")
_BESIDE = {PRODUCTION_EVENTS, PRODUCTION_RECORDS, VIDEOS, VIDEO_METRICS, WORKSPACES}
_IDS = ("item_id", "story_id", "former_story_id", "collection_id", "payload_id", "quarantine_id")
_PUBLISHED, _REJECTED = "one-file-catalog", "telemetry-in-your-tools"
_VIDEO = "ytapDemo001"


@dataclass
class Installation:
    """One with a history.

    Attributes:
        platform: The installation, at the present of the day that is measured.
        times: Processor seconds by what was done.
    """

    platform: Platform
    times: dict[str, list[float]] = field(default_factory=dict)


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    present = [TODAY]
    with temporary_folder() as folder:
        template = prepare(folder / "template", [TODAY])
        run(template, "*", (TODAY, TODAY))
        made = {
            days: Installation(make_history(folder / str(days), template, days, present))
            for days in HISTORIES
        }
        for turn in range(ROUNDS + 1):
            present[0] = TODAY + timedelta(days=turn + 1)
            for one in made.values():
                live_through(one, present[0], is_counted=turn > 0)
    return report({days: one.times for days, one in made.items()})


def make_history(data: Path, template: Platform, days: int, present: list[date]) -> Platform:
    """An installation with so many days before the first that is measured."""
    for name in WORKSPACES_MADE:
        shutil.copytree(DEMO / TEMPLATE, data / "workspaces" / name)
        config = data / "workspaces" / name / "config.yaml"
        text = re.sub(r"^uid:.*\n", "", config.read_text(encoding="utf-8"), flags=re.MULTILINE)
        config.write_text(re.sub(r"^name:.*$", f"name: {name}", text, flags=re.MULTILINE))
    settings = Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"})
    for turn in range(ROUNDS + 2):
        day = TODAY + timedelta(days=turn)
        append_recording(day_folder(settings.recordings, day), "hn", record_day(day))
    platform = Platform(settings, now=lambda: datetime.combine(present[0], time(22), UTC))
    reader = template.lake.reader(TEMPLATE)
    for name in WORKSPACES_MADE:
        platform.register(name, _RUN)
        for table in (one for one in TABLES.values() if one not in _BESIDE):
            rows = reader.read(table).with_columns(pl.lit(name).alias("workspace_id"))
            store(platform, table, repeat_days(rows, days) if table.by_day else rows, name)
        events = repeat_events(reader.read(PRODUCTION_EVENTS), days, name)
        store(platform, PRODUCTION_EVENTS, events, name)
    materialize(platform, WHOLE, TODAY)
    for name in WORKSPACES_MADE:
        videos = platform.lake.reader(name).read(VIDEOS)
        store(platform, VIDEO_METRICS, count_views(videos, days), name)
    maintain_lake(platform, _RUN)
    return platform


def store(platform: Platform, table: Table, rows: pl.DataFrame, workspace_id: str) -> None:
    """Publish or append rows in one commit."""
    if rows.is_empty():
        return
    days = (rows["day"].min(), rows["day"].max()) if table.by_day else ()
    checked = check_rows(table, rows, Scope(workspace_id, *days))
    with platform.lake.write(_RUN) as transaction:
        (transaction.append_all if table.mode == "append" else transaction.publish_all)([checked])


def repeat_days(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """A day's rows for each of so many days until today, under ids of their own."""
    ids = [name for name in _IDS if name in rows.columns]
    instants = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime)]
    ages = pl.DataFrame({"_age": range(days)}, schema={"_age": pl.Int64})
    age = pl.duration(days=pl.col("_age"))
    return (
        rows.join(ages, how="cross")
        .with_columns(
            pl.col("day").dt.offset_by(pl.format("-{}d", "_age")),
            *(pl.col(name) - age for name in instants),
            *(pl.format("{}-{}", name, "_age") for name in ids),
        )
        .select(rows.columns)
    )


def repeat_events(events: pl.DataFrame, days: int, workspace_id: str) -> pl.DataFrame:
    """One script that is published each day, and `REJECTED` that are rejected."""
    copies = pl.DataFrame({"_copy": range(REJECTED)}, schema={"_copy": pl.Int64})
    several = events.filter(script_id=_REJECTED).join(copies, how="cross")
    one = events.filter(script_id=_PUBLISHED).with_columns(pl.lit(0, pl.Int64).alias("_copy"))
    ages = pl.DataFrame({"_age": range(1, days + 1)}, schema={"_age": pl.Int64})
    age = pl.duration(days=pl.col("_age"))
    suffix = pl.format("{}-{}-{}", pl.lit(workspace_id), "_age", "_copy")
    return (
        pl.concat([one, several])
        .join(ages, how="cross")
        .sort("_age", "seq", descending=[True, False])
        .with_columns(
            pl.lit(workspace_id).alias("workspace_id"),
            pl.format("{}-{}", "event_id", suffix).alias("event_id"),
            pl.format("{}-{}", "script_id", suffix).alias("script_id"),
            pl.format("{}-{}", "content_id", suffix).alias("content_id"),
            pl.col("occurred_at") - age,
            pl.col("recorded_at") - age,
            pl.col("payload").str.replace(
                _VIDEO, pl.col("_age").cast(pl.String).str.pad_start(11, "0"), literal=True
            ),
        )
        .select(events.columns)
    )


def count_views(videos: pl.DataFrame, days: int) -> pl.DataFrame:
    """A row of counts for every video and day since its publication."""
    number = pl.col("video_id").str.to_integer(strict=False)
    ages = pl.DataFrame({"_age": range(days)}, schema={"_age": pl.Int64})
    day = pl.lit(TODAY).dt.offset_by(pl.format("-{}d", "_age"))
    rows = (
        videos.filter(number.is_not_null()).join(ages, how="cross").filter(pl.col("_age") < number)
    )
    counted = rows.select(
        "workspace_id",
        "video_id",
        pl.lit("youtube").alias("platform"),
        day.alias("day"),
        (day.cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21)).alias("observed_at"),
        ((number - pl.col("_age")) * 100).alias("views"),
        pl.lit(7).alias("likes"),
        pl.lit(1).alias("comments"),
        pl.lit(4.0).alias("engagement_rate_pct"),
        pl.lit(value=True).alias("is_settled"),
        pl.lit("history").alias("collection_id"),
    )
    return VIDEO_METRICS.frame(counted.to_dicts())


def live_through(one: Installation, day: date, *, is_counted: bool) -> None:
    """Do a day's work."""
    platform = one.platform
    steps: dict[str, Callable[[], object]] = {
        name: partial(materialize, platform, selection, day) for name, selection in STAGES.items()
    }
    moment = datetime.combine(day, time(23), UTC)
    steps["maintain, with a copy"] = lambda: maintain_lake(platform, _RUN, trust_clock=True)
    steps["doctor"] = lambda: examine(platform.settings, now=moment)
    for name, step in steps.items():
        began = process_time()
        step()
        if is_counted:
            one.times.setdefault(name, []).append(process_time() - began)


def materialize(platform: Platform, selection: str, day: date) -> None:
    """Materialize a selection for a day of all workspaces.

    Raises:
        RuntimeError: A run failed.
    """
    days = (day, day)
    for outcome in materialize_range(
        platform, selection, workspace_ids=list(WORKSPACES_MADE), days=days
    ):
        if not outcome.ok:
            raise RuntimeError(f"{outcome.assets}: {outcome.error}")


def report(times: dict[int, dict[str, list[float]]]) -> int:
    """Print the table and the last line."""
    cost = {
        days: {name: median(seconds) for name, seconds in steps.items()}
        for days, steps in times.items()
    }
    for steps in cost.values():
        steps["the whole day"] = sum(seconds for name, seconds in steps.items() if name != "doctor")
    least, most = HISTORIES[0], HISTORIES[-1]
    grown = {name: round(cost[most][name] / cost[least][name], 2) for name in cost[least]}
    print_table(
        f"one more day of {len(WORKSPACES_MADE)} workspaces, processor milliseconds",
        ["", *(f"after {days} days" for days in HISTORIES), f"{most} to {least}"],
        [
            [name, *(round(1000 * cost[days][name]) for days in HISTORIES), grown[name]]
            for name in cost[least]
        ],
    )
    figures = {"seconds": {str(days): steps for days, steps in cost.items()}, "grown": grown}
    return finish("growth", figures, {"flat": grown["the whole day"] <= LIMIT})


if __name__ == "__main__":
    sys.exit(main())
