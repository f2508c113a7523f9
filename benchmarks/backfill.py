"""A backfill of one workspace over 365 days through the whole graph: as one range, or day by day.

The range is what `ytap materialize '*' --from --to` and a backfill in the UI do: one run per
stage of the graph. A run per partition is what Dagster does with assets without
`BackfillPolicy.single_run()`; here it is measured over 10 days and extrapolated. Both run in this
process, so the start of a process per run (some seconds each under the daemon) is not counted.
Every day, Hacker News returns 40 stories.

The share of Dagster's own event log is measured by timing its writes.

    python benchmarks/backfill.py [DATA_FOLDER]

The data folder is not used: the stories are synthetic, the scripts and videos are the demo's.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from _report import finish, print_table, read_arguments, temporary_folder

from ytap_assets.defs.event_log import BatchedEventLog
from ytap_assets.defs.launch import RunOutcome, materialize_range
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources.hn import by_date_url
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.tables import TABLES, TREND_STORIES, WORKSPACE_REPORTS

DEMO = Path(__file__).parents[1] / "data" / "workspaces"
WORKSPACE = "tech"
LAST = date(2026, 11, 20)
DAYS = 365
SAMPLE = 10
_SYLLABLES = ("ba", "ko", "ri", "ten", "lu", "mar", "do", "sil", "ve", "na", "qui", "tor", "pel")
STORIES = 40
LIMIT = 15.0
WHOLE = (
    "key:channels or key:accounts or key:videos or key:production_events or key:production_records"
)
BY_DAY = " or ".join(
    f"key:{table.name}"
    for table in TABLES.values()
    if table.by_day and table.name not in {"raw_payloads", "collection_log", "quarantined_rows"}
)


@dataclass(frozen=True)
class Cost:
    """The cost of the runs of the day-grained assets."""

    seconds: float
    event_log: float
    runs: int


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    log = time_event_log()
    days = [LAST - timedelta(n) for n in reversed(range(DAYS))]
    with temporary_folder() as folder:
        ours = measure(prepare(folder / "range", days), [(days[0], days[-1])], log)
        sample = days[len(days) // 2 :][:SAMPLE]
        single = measure(prepare(folder / "single", sample), [(d, d) for d in sample], log)
    return report(ours, single)


def time_event_log() -> list[float]:
    """Time every following write to Dagster's event log; the seconds are added to the list."""
    seconds: list[float] = []

    def timed(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                return write(*args, **kwargs)
            finally:
                seconds.append(perf_counter() - began)

        return call

    # A batch stores its events one by one within its own call; only the call of the batch counts.
    depth = [0]

    def outermost(write: Callable[..., Any]) -> Callable[..., Any]:
        counted = timed(write)

        def call(*args: Any, **kwargs: Any) -> Any:
            depth[0] += 1
            try:
                return (counted if depth[0] == 1 else write)(*args, **kwargs)
            finally:
                depth[0] -= 1

        return call

    log = BatchedEventLog
    log.store_event = outermost(log.store_event)  # type: ignore[method-assign]
    log.store_event_batch = outermost(log.store_event_batch)  # type: ignore[method-assign]
    return seconds


def prepare(data: Path, days: Sequence[date]) -> Platform:
    """An installation with the demo's workspace and a recording of every day."""
    shutil.copytree(DEMO / WORKSPACE, data / "workspaces" / WORKSPACE)
    settings = Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"})
    platform = Platform(settings, now=lambda: datetime.combine(LAST, time(22), UTC))
    for day in days:
        append_recording(day_folder(settings.recordings, day), "hn", record_day(day))
    return platform


def make_title(chance: random.Random) -> str:
    """Seven made-up words, so that most stories of a day are unrelated."""
    return " ".join("".join(chance.choices(_SYLLABLES, k=3)) for _ in range(7))


def record_day(day: date) -> Recording:
    """The response of Hacker News for a day."""
    begin, chance = datetime.combine(day, time(), UTC), random.Random(day.toordinal())

    hits = [
        {
            "objectID": str(day.toordinal() * 100 + n),
            "title": make_title(chance),
            "url": f"https://news.example/{day}/{n}",
            "created_at_i": int(begin.timestamp()) + n * 1800,
            "points": 60 + n * 13,
            "num_comments": 7 * n,
        }
        for n in range(STORIES)
    ]
    return Recording(
        method="GET",
        url=by_date_url(begin, begin + timedelta(days=1)),
        recorded_at=begin + timedelta(hours=23),
        status=200,
        headers={"content-type": "application/json"},
        body=json.dumps({"hits": hits, "nbHits": STORIES}).encode(),
    )


def measure(platform: Platform, ranges: Sequence[tuple[date, date]], log: list[float]) -> Cost:
    """Materialize the day-grained assets for each range; the others are made before, uncounted.

    Raises:
        RuntimeError: A run failed, or rows are missing.
    """
    run(platform, WHOLE, ranges[0])
    log.clear()
    outcomes = [outcome for days in ranges for outcome in run(platform, BY_DAY, days)]
    event_log = sum(log)
    days = sum((last - first).days + 1 for first, last in ranges)
    reader = platform.lake.reader(WORKSPACE)
    for table, rows in ((TREND_STORIES, days * STORIES), (WORKSPACE_REPORTS, days)):
        if (found := reader.read(table).height) != rows:
            raise RuntimeError(f"{table.name} has {found} rows instead of {rows}")
    platform.lake.close()
    return Cost(sum(outcome.seconds for outcome in outcomes), event_log, len(outcomes))


def run(platform: Platform, selection: str, days: tuple[date, date]) -> list[RunOutcome]:
    """Materialize a selection for a range of days.

    Raises:
        RuntimeError: A run failed.
    """
    outcomes = materialize_range(platform, selection, workspace_ids=[WORKSPACE], days=days)
    for outcome in outcomes:
        if not outcome.ok:
            raise RuntimeError(f"{outcome.assets}: {outcome.error}")
    return outcomes


def report(ours: Cost, single: Cost) -> int:
    """Print the table and the last line."""
    scale = DAYS / SAMPLE
    extrapolated = Cost(
        single.seconds * scale, single.event_log * scale, round(single.runs * scale)
    )
    rows = {
        f"one range of {DAYS} days": ours,
        f"day by day, {SAMPLE} days": single,
        f"day by day, {DAYS} days (extrapolated)": extrapolated,
    }
    print_table(
        "one workspace through the day-grained assets, seconds",
        ["", "runs", "seconds", "of them event log", "share"],
        [
            [
                name,
                c.runs,
                f"{c.seconds:.1f}",
                f"{c.event_log:.1f}",
                f"{c.event_log / c.seconds:.0%}",
            ]
            for name, c in rows.items()
        ],
    )
    faster = round(extrapolated.seconds / ours.seconds, 1)
    figures = {
        "range_s": round(ours.seconds, 1),
        "per_partition_s": round(extrapolated.seconds, 1),
        "faster": faster,
        "event_log_share": {
            "range": round(ours.event_log / ours.seconds, 2),
            "per_partition": round(single.event_log / single.seconds, 2),
        },
        "days": DAYS,
        "sampled_days": SAMPLE,
    }
    return finish(
        "backfill", figures, {f"{LIMIT:g}x_faster_than_run_per_partition": faster >= LIMIT}
    )


if __name__ == "__main__":
    sys.exit(main())
