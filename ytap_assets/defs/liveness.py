"""Runs whose process is gone are marked as failed; Dagster would count them as running for ever.

A process that runs anything holds a lock on a file of its own, and its runs carry the file's name.
The kernel holds the lock, not the file: it ends with the process, however that ends. Runs of the
daemon carry no such name. Their code server notices a worker that died; what it leaves behind when
it dies itself is seen to when Dagster is opened again, by whoever holds the only daemon's lock.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg

from ytap_assets.operations.platform import Platform

PROCESS_TAG = ".dagster/ytap_process"
"""Tags with this prefix are hidden in the UI: nobody there has a use for a process's lock."""
_FOLDER = "processes"
_SECONDS = 60
_GONE = (
    "the process of this run ended (it was killed, or the machine stopped); uncommitted changes"
    " were rolled back, and it is safe to run it again"
)
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def announce_process(home: Path) -> Iterator[dict[str, str]]:
    """Mark this process as alive, until the end of the block or of the process.

    Yields:
        The tags its runs carry.
    """
    path = home / _FOLDER / f"{uuid4()}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield {PROCESS_TAG: path.name}
        finally:
            path.unlink()


def fail_dead_runs(instance: dg.DagsterInstance, home: Path, *, daemons_too: bool) -> list[str]:
    """Mark runs as failed whose process is gone.

    Args:
        instance: Where the runs are known.
        home: DAGSTER_HOME.
        daemons_too: Also those of daemons; only for one who knows that no daemon is running.

    Returns:
        The ids of these runs.
    """
    dead = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(PROCESS_TAG)
        if daemons_too if process is None else not _is_alive(home / _FOLDER / process):
            instance.report_run_failed(run, _GONE)
            dead.append(run.run_id)
    return dead


def _is_alive(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


@dg.sensor(
    minimum_interval_seconds=_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose process was killed as failed, so that the queue is not blocked.",
)
def dead_runs(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SkipReason:
    """Mark killed runs of the command line as failed, every minute."""
    dead = fail_dead_runs(context.instance, platform.settings.dagster_home, daemons_too=False)
    return dg.SkipReason(f"marked as failed: {', '.join(dead)}" if dead else "no run is dead")
