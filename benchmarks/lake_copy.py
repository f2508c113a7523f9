"""Copying a lake of 250 workspaces x 365 days x 20 rows to PostgreSQL and S3, and back.

The lake has its catalog in SQLite and its files in a folder, and is maintained. It is copied with
its history by what ``ytap lake copy`` calls, each time in a process of its own. The seconds are
split into the catalog (copied, and staged at the target), the files, and the comparison of every
row. The S3 server is moto, which imitates one in a process of Python; what it takes for the same
files without a lake is measured as well: 8 threads of PyArrow's client, put and get. The way before
was a backup, and a restore with the settings of the target.

    python benchmarks/lake_copy.py [DATA_FOLDER]

The data folder is not used: the rows are synthetic. Without a PostgreSQL server, the lake is copied
to another folder.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from _lakes import DAYS, PER_DAY, WORKSPACES, fill_year
from _report import finish, print_table, read_arguments, temporary_folder
from _servers import LOCAL, REMOTE, find_places

from ytap_assets.lakehouse.backup import back_up, restore
from ytap_assets.lakehouse.connection import find_catalog, find_files
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.lake_copy import LakeCopy, copy_lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.s3_files import S3Files
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings

THREADS = 8
_RUN = Run("benchmark", "benchmark", "copy a lake")
_MB = 10**6


def main() -> int:
    """Measure, print a table and one JSON object."""
    read_arguments(__doc__)
    with find_places() as places, temporary_folder() as folder:
        source = _place(folder / "source", {})
        with Lake.open(source) as lake:
            fill_year(lake)
            maintain(lake, source.now(), _RUN)
        elsewhere = places[REMOTE if REMOTE in places else LOCAL]
        target = _place(folder / "target", elsewhere())
        home = _place(folder / "home", {})
        steps = {
            "there": _apart(copy_once, source, target),
            "back": _apart(copy_once, target, home),
        }
        server = _apart(measure_server, source, target)
        old = _apart(move_by_backup, source, _place(folder / "old", elsewhere()))
    return report(steps, server, old, is_remote=REMOTE in places)


def _place(data: Path, place: dict[str, str]) -> Settings:
    return Settings.from_env({"YTAP_DATA": str(data), **place})


def _apart(
    work: Callable[[Settings, Settings], dict[str, Any]], *places: Settings
) -> dict[str, Any]:
    """Do it in a process of its own, whose memory is that of the work alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *places).result()


def copy_once(source: Settings, target: Settings) -> dict[str, Any]:
    """Copy a lake: seconds by part, and the most memory in MB."""
    began = perf_counter()
    sent: list[float] = []
    made = copy_lake(source, target, _RUN, progress=lambda *_: sent.append(perf_counter()))
    ended = perf_counter()
    return {
        **_describe(made),
        "catalog_s": sent[0] - began,
        "files_s": sent[-1] - sent[0],
        "compare_s": ended - sent[-1],
        "total_s": ended - began,
        "cpu_s": _cpu(),
        "peak_mb": _peak_mb(),
    }


def _describe(made: LakeCopy) -> dict[str, Any]:
    return {
        "files": made.files,
        "mb": made.sent_bytes / _MB,
        "rows": sum(table.rows for table in made.tables),
        "workspaces": max(table.workspaces for table in made.tables),
        "is_equal": made.is_equal,
    }


def move_by_backup(source: Settings, target: Settings) -> dict[str, Any]:
    """Back a lake up and restore it elsewhere: seconds, and the most memory in MB."""
    began = perf_counter()
    folder = target.data / "backup"
    back_up(source, folder, source.now())
    restore(target, folder, source.now())
    return {"total_s": perf_counter() - began, "cpu_s": _cpu(), "peak_mb": _peak_mb()}


def measure_server(source: Settings, target: Settings) -> dict[str, Any]:
    """Seconds in which the target's server takes and gives the same files."""
    if target.bucket is None:
        return {}
    names = list(find_catalog(source).read_facts().files)
    place = find_files(target).beside(".server-alone")
    assert isinstance(place, S3Files)
    seconds = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for what, work in (
            ("put_s", lambda name: place.put(source.data_path / name, name)),
            ("get_s", place.describe),
        ):
            began = perf_counter()
            list(pool.map(work, names))
            seconds[what] = perf_counter() - began
    place.remove()
    return seconds


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    """Of this program alone: what `getrusage` says includes the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def report(
    steps: dict[str, dict[str, Any]],
    server: dict[str, Any],
    old: dict[str, Any],
    *,
    is_remote: bool,
) -> int:
    """Print the table and the last line."""
    names = ("catalog_s", "files_s", "compare_s", "total_s", "cpu_s", "peak_mb")
    print_table(
        f"{steps['there']['rows']:,} rows in {steps['there']['files']} files,"
        f" {steps['there']['mb']:.0f} MB",
        ["", *names],
        [
            [what, *(f"{one[name]:.1f}" if name in one else "-" for name in names)]
            for what, one in {**steps, "backup and restore": old}.items()
        ],
    )
    if server:
        print(f"the S3 server alone: put {server['put_s']:.1f} s, get {server['get_s']:.1f} s")
    rows = WORKSPACES * DAYS * PER_DAY
    held = {
        "same_rows_there_and_back": all(
            one["is_equal"] and one["rows"] == rows for one in steps.values()
        )
    }
    figures = {
        **{what: _rounded(one) for what, one in steps.items()},
        "server_alone": _rounded(server),
        "backup_and_restore": _rounded(old),
        "is_remote": is_remote,
    }
    return finish("lake_copy", figures, held)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 1) if isinstance(v, float) else v for k, v in values.items()}


if __name__ == "__main__":
    sys.exit(main())
