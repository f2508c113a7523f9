"""Publishing a partition of 500 rows: time, and losses when 8 processes publish at once.

Ours is compared with the I/O managers of dagster-duckdb-polars and dagster-polars. "call" is the
publish itself: `Lake.publish` with conforming, checks, lock and commit; ``handle_output`` with all
its work. "step" is the whole step of a Dagster run, as timed by Dagster; ours includes four asset
checks and the metadata. A partition is published when it is new, and again to replace it.

    python benchmarks/publish.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic.
"""

from __future__ import annotations

import sys
from statistics import quantiles
from time import perf_counter
from typing import Any

import dagster as dg
from _crowds import (
    PUBLISHES,
    ROWS,
    be_quiet,
    count_damaged,
    make_rows,
    measure_crowds,
    print_errors,
)
from _publishers import PUBLISHERS, Publisher, ephemeral_instance
from _report import finish, median_ms, print_table, read_arguments, temporary_folder
from _rows import day_after

from ytap_assets.defs.partitions import partition_key

CALLS = 40
STEPS = range(100, 115)
WRITERS = 8
OURS, STOCK = "ours", "dagster-duckdb-polars"
CASES = {"new": 1, "existing": 2}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Times = dict[tuple[str, str], list[float]]


def main() -> int:
    """Measure, print tables and one JSON object."""
    read_arguments(__doc__)
    be_quiet()
    with temporary_folder() as folder, ephemeral_instance() as instance:
        publishers = {name: make(folder, instance) for name, make in PUBLISHERS.items()}
        calls = measure_calls(publishers)
        steps = measure_steps(publishers, instance)
        damaged = {
            name: count_damaged(one.fetch(), CALLS + len(STEPS), CASES["existing"])
            for name, one in publishers.items()
        }
    with temporary_folder() as folder:
        crowds = measure_crowds(folder, PUBLISHERS, WRITERS)
    return report(calls, steps, damaged, crowds)


def measure_calls(publishers: dict[str, Publisher]) -> Times:
    """Seconds per publish, with the methods in turn, by case and method."""
    times: Times = {(case, name): [] for case in CASES for name in publishers}
    for case, version in CASES.items():
        for day in range(CALLS):
            frame = make_rows("tech", day, version)
            for name, publisher in publishers.items():
                call = publisher.prepare("tech", day_after(day), frame)
                began = perf_counter()
                call()
                times[case, name].append(perf_counter() - began)
    return times


def measure_steps(publishers: dict[str, Publisher], instance: dg.DagsterInstance) -> Times:
    """Seconds per step of a Dagster run, with the methods in turn."""
    times: Times = {(case, name): [] for case in CASES for name in publishers}
    for case, version in CASES.items():
        for day in STEPS:
            frame = make_rows("tech", day, version)
            for name, publisher in publishers.items():
                asset, resources = publisher.asset(frame)
                result = dg.materialize(
                    [asset],
                    partition_key=partition_key("tech", day_after(day)),
                    resources=resources,
                    instance=instance,
                    run_config=_QUIET,
                )
                (event,) = (one for one in result.all_events if one.is_step_success)
                times[case, name].append(event.step_success_data.duration_ms / 1000)
    return times


def report(
    calls: Times, steps: Times, damaged: dict[str, int], crowds: dict[str, dict[str, Any]]
) -> int:
    """Print the tables and the last line."""
    medians = {
        f"{case}_{kind}_ms": {name: median_ms(times[case, name]) for name in PUBLISHERS}
        for kind, times in (("call", calls), ("step", steps))
        for case in CASES
    }
    print_table(
        f"one partition of {ROWS} rows, median ms",
        ["", *(title.removesuffix("_ms").replace("_", ", ") for title in medians), "damaged"],
        [[n, *(values[n] for values in medians.values()), damaged[n]] for n in PUBLISHERS],
    )
    crowd_rows = []
    for name, crowd in crowds.items():
        cuts = quantiles(crowd["seconds"], n=20)
        row = [crowd["wall_s"], cuts[9], cuts[18], max(crowd["seconds"])]
        counts = [len(crowd["errors"]), crowd["damaged"]]
        crowd_rows.append([name, *(f"{value:.2f}" for value in row), *counts])
    print_table(
        f"{WRITERS} processes, {PUBLISHES} publishes each, at once",
        ["", "wall s", "median s", "p95 s", "slowest s", "errors", "lost or torn"],
        crowd_rows,
    )
    print_errors(crowds)
    held = {
        f"{case}_at_most_{STOCK}": values[OURS] <= values[STOCK]
        for case, values in medians.items()
        if "call" in case
    }
    ours = crowds[OURS]
    held["no_failures_at_8_writers"] = not ours["errors"] and not ours["damaged"]
    ratios = {case: round(values[OURS] / values[STOCK], 2) for case, values in medians.items()}
    figures = {
        **medians,
        f"ours_to_{STOCK}": ratios,
        "writers": {
            name: {
                "wall_s": round(crowd["wall_s"], 2),
                "median_ms": median_ms(crowd["seconds"]),
                "errors": len(crowd["errors"]),
                "lost_or_torn": crowd["damaged"],
            }
            for name, crowd in crowds.items()
        },
    }
    return finish("publish", figures, held)


if __name__ == "__main__":
    sys.exit(main())
