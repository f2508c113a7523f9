"""The cost of another day after 30, 120 and 365 days of history.

Three installations with the same workspaces differ only in the length of their history. In turn,
each gets new days: all assets are materialized for the day, the lake is maintained, which makes a
backup first, and `ytap doctor` is run. Processor time is compared, by the medians of several days.

The history is made of one day that ran through the whole graph: its rows are published again for
every earlier day, with other ids and URLs, and the lake is maintained once. Every day, also a
measured one, brings each workspace 40 trends and 32 scripts about trends of the day before. One
script is published, the others are cancelled: 69 events of the history, 74 of a measured day. 365
days of four workspaces have 100,000 events, and inbox files with their lines. Every published video
has a row of counts for each day. Those of the measured days are stored before the measurement: the
number of requests for counts depends on the number of videos, not on the history of a video.
Dagster's event log contains the runs of the measured days only.

    python benchmarks/growth.py [DATA_FOLDER]

The data folder is not used: trends, scripts and videos are synthetic, and some are the demo's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
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
from backfill import DEMO, make_title, prepare, record_day, run

from ytap_assets.defs.launch import materialize_range
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.doctor import examine
from ytap_assets.operations.maintenance import maintain_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources.http.recordings import append_recording, day_folder
from ytap_assets.tables import (
    INBOX_CURSORS,
    INBOX_LINES,
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
ROUNDS = 5
SCRIPTS = 32
LIMIT = 1.2
STAGES = {
    "collect": "key:raw_trends or key:video_metrics or key:collection_coverage",
    "trends": "key:trend_stories or key:scored_trends or key:source_performance",
    "promote and fold": "key:production_events or key:production_records or key:videos",
    "report": "key:workspace_reports",
}
BACK_UP, CHECK_UP = "maintain, with a copy", "doctor"
WHOLE = "key:channels or key:accounts or key:production_records or key:videos"
_RUN = Run("benchmark", "benchmark", "make a history")
_BESIDE = {
    INBOX_CURSORS,
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    VIDEOS,
    VIDEO_METRICS,
    WORKSPACES,
}
_IDS = ("item_id", "story_id", "former_story_id", "collection_id", "payload_id", "quarantine_id")
_ADDRESSES = ("url", "canonical_url", "discussion_url")
_PUBLISHED, _REJECTED = "one-file-catalog", "telemetry-in-your-tools"
_ONE_DAY = timedelta(days=1)


@dataclass
class Installation:
    """An installation with a history.

    Attributes:
        platform: The installation; its present is the day that is measured.
        times: Processor seconds by step.
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
    """An installation with the given number of days before the first that is measured."""
    history = [TODAY - timedelta(days=age) for age in reversed(range(1, days + 1))]
    for name in WORKSPACES_MADE:
        shutil.copytree(DEMO / TEMPLATE, data / "workspaces" / name)
        config = data / "workspaces" / name / "config.yaml"
        text = re.sub(r"^uid:.*\n", "", config.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = text.replace("videos: person", "videos: policy")
        config.write_text(re.sub(r"^name:.*$", f"name: {name}", text, flags=re.MULTILINE))
        for day in history:
            submit_scripts(data / "workspaces" / name, name, day)
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
        events = repeat_events(reader.read(PRODUCTION_EVENTS), history, name)
        store(platform, PRODUCTION_EVENTS, events, name)
    materialize(platform, f"{WHOLE} or key:production_events", TODAY)
    count_views(platform, history)
    maintain_lake(platform, _RUN)
    return platform


def submit_scripts(folder: Path, workspace_id: str, day: date) -> None:
    """A day's scripts, as lines of the inbox: the first one is published, the others cancelled."""
    names = name_scripts(day)
    lines: dict[str, list[dict[str, object]]] = {"scripts": [], "approvals": [], "uploads": []}
    for number, name in enumerate(names):
        lines["scripts"].append(
            {
                "script_id": name,
                "title": make_title(random.Random(f"{workspace_id} {name}")),
                "hook": "Did you know?",
                "body": f"Something worth knowing about {workspace_id} {name}.",
                "topic_url": find_page(day, number),
                "generation_method": "stock",
                "estimated_cost_usd": 1.25,
                "created_at": f"{day}T08:00:00Z",
            }
        )
    decision = {"act": "cancel", "actor": "Ada", "at": f"{day}T09:00:00Z"}
    lines["approvals"] = [{"script_id": name, **decision} for name in names[1:]]
    upload = {"script_id": names[0], "video_id": name_video(workspace_id, day)}
    lines["uploads"] = [{**upload, "published_at": f"{day}T16:00:00Z"}]
    for name, rows in lines.items():
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    video = f"{workspace_id} {day}".encode()
    checksum = hashlib.sha256(video).hexdigest()
    manifest = {
        "script_id": names[0],
        "files": [{"name": "video.mp4", "size_bytes": len(video), "sha256": checksum}],
        "cost_usd": 1.5,
        "quality_score": 91,
    }
    target = folder / "videos" / names[0]
    target.mkdir(parents=True)
    (target / "video.mp4").write_bytes(video)
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def name_scripts(day: date) -> list[str]:
    """The ids of a day's scripts."""
    return [f"{day}-{number}" for number in range(SCRIPTS)]


def name_video(workspace_id: str, day: date) -> str:
    """The YouTube id of a workspace's video of a day."""
    return f"{workspace_id}-{day.toordinal():08}"


def find_page(day: date, number: int) -> str:
    """The page of a trend of the day before; see `repeat_days` for the days of the history."""
    before = day - _ONE_DAY
    if before > TODAY:
        return f"https://news.example/{before}/{number}"
    return f"https://news.example/{TODAY}/{number}-{(TODAY - before).days}"


def store(platform: Platform, table: Table, rows: pl.DataFrame, workspace_id: str) -> None:
    """Publish or append rows in one commit."""
    if rows.is_empty():
        return
    days = (rows["day"].min(), rows["day"].max()) if table.by_day else ()
    checked = check_rows(table, rows, Scope(workspace_id, *days))
    with platform.lake.write(_RUN) as transaction:
        (transaction.append_all if table.mode == "append" else transaction.publish_all)([checked])


def repeat_days(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """A day's rows for each of the given days until today, with other ids."""
    ids = [name for name in (*_IDS, *_ADDRESSES) if name in rows.columns]
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


def repeat_events(events: pl.DataFrame, days: list[date], workspace_id: str) -> pl.DataFrame:
    """The demo's events of a published script and of a rejected one for the scripts of each day."""
    template = {_PUBLISHED: date(2026, 11, 17), _REJECTED: date(2026, 11, 20)}
    scripts = pl.DataFrame(
        [
            (day, name, number, _REJECTED if number else _PUBLISHED)
            for day in days
            for number, name in enumerate(name_scripts(day))
        ],
        schema=["_day", "_name", "_number", "script_id"],
        orient="row",
    ).with_columns(
        _moved=pl.col("_day") - pl.col("script_id").replace_strict(template, return_dtype=pl.Date),
        _title=pl.col("_name").map_elements(
            lambda name: make_title(random.Random(f"{workspace_id} {name}")), pl.String
        ),
        _page=pl.struct("_day", "_number").map_elements(
            lambda one: find_page(one["_day"], one["_number"]), pl.String
        ),
        _video=pl.col("_day").map_elements(lambda day: name_video(workspace_id, day), pl.String),
    )
    payload = (
        pl.col("payload")
        .str.replace(r'"title":"[^"]*"', pl.format('"title":"{}"', "_title"))
        .str.replace(r'"topic_url":"[^"]*"', pl.format('"topic_url":"{}"', "_page"))
        .str.replace(r'"video_id":"[^"]*"', pl.format('"video_id":"{}"', "_video"))
        .str.replace(
            r'"published_at":"[^"]*"', pl.format('"published_at":"{}T16:00:00+00:00"', "_day")
        )
    )
    suffix = pl.format("{}-{}", pl.lit(workspace_id), "_name")
    return (
        events.join(scripts, on="script_id")
        .sort("_day", "_number", "seq")
        .with_columns(
            pl.lit(workspace_id).alias("workspace_id"),
            pl.format("{}-{}", "event_id", suffix).alias("event_id"),
            pl.col("_name").alias("script_id"),
            pl.format("{}-{}", "content_id", suffix).alias("content_id"),
            pl.col("occurred_at") + pl.col("_moved"),
            pl.col("recorded_at") + pl.col("_moved"),
            payload.alias("payload"),
        )
        .select(events.columns)
    )


def count_views(platform: Platform, days: list[date]) -> None:
    """Store a row of counts for each of the days and each video published by then."""
    for name in WORKSPACES_MADE:
        videos = platform.lake.reader(name).read(VIDEOS)
        published = pl.col("published_at").dt.date()
        rows = videos.join(pl.DataFrame({"day": days}), how="cross").filter(
            pl.col("day") >= published
        )
        counted = rows.select(
            "workspace_id",
            "video_id",
            pl.lit("youtube").alias("platform"),
            "day",
            (pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21)).alias(
                "observed_at"
            ),
            ((pl.col("day") - published).dt.total_days() * 100).alias("views"),
            pl.lit(7).alias("likes"),
            pl.lit(1).alias("comments"),
            pl.lit(4.0).alias("engagement_rate_pct"),
            pl.lit(value=True).alias("is_settled"),
            pl.format("history-{}", "day").alias("collection_id"),
        )
        store(platform, VIDEO_METRICS, VIDEO_METRICS.frame(counted.to_dicts()), name)


def live_through(one: Installation, day: date, *, is_counted: bool) -> None:
    """Do all work of a day.

    Raises:
        RuntimeError: A run failed, or the day's scripts were not promoted.
    """
    platform = one.platform
    for workspace_id in WORKSPACES_MADE:
        submit_scripts(platform.workspaces.folder(workspace_id), workspace_id, day)
    count_views(platform, [day])
    steps: dict[str, Callable[[], object]] = {
        name: partial(materialize, platform, selection, day) for name, selection in STAGES.items()
    }
    moment = datetime.combine(day, time(23), UTC)
    steps[BACK_UP] = lambda: maintain_lake(platform, _RUN, trust_clock=True)
    steps[CHECK_UP] = lambda: examine(platform.settings, now=moment)
    for name, step in steps.items():
        began = process_time()
        step()
        if is_counted:
            one.times.setdefault(name, []).append(process_time() - began)
    names = [name_video(workspace_id, day) for workspace_id in WORKSPACES_MADE]
    videos = platform.lake.batch_reader(WORKSPACES_MADE).read(VIDEOS, wanted={"video_id": names})
    if videos.height != len(WORKSPACES_MADE):
        raise RuntimeError(f"{videos.height} of {len(WORKSPACES_MADE)} videos were published")


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
        steps["the whole day"] = sum(seconds for name, seconds in steps.items() if name != CHECK_UP)
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
    held = {f"{name} within {LIMIT:g}": ratio <= LIMIT for name, ratio in grown.items()}
    return finish("growth", figures, held)


if __name__ == "__main__":
    sys.exit(main())
