"""Runs that were killed, and runs that live."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from ytap_assets.defs.liveness import PROCESS_TAG, announce_process, dead_runs, fail_dead_runs
from ytap_assets.operations.platform import Platform

_SAYS = "the process of this run ended"
ALIVE = """
import sys
from pathlib import Path
from ytap_assets.defs.liveness import announce_process
with announce_process(Path(sys.argv[1])) as tags:
    print(*tags.values(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A process that has announced itself, and the tags of its runs."""
    with subprocess.Popen(
        [sys.executable, "-c", ALIVE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, {PROCESS_TAG: process.stdout.readline().strip()}
        process.kill()


def begin(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run = dg.DagsterRun(
        job_name="any", run_id=str(uuid4()), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    return instance.add_run(run).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_of_a_living_process_is_left_alone(
    instance: dg.DagsterInstance,
    tmp_path: Path,
    other_process: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    with announce_process(tmp_path) as mine:
        runs = [begin(instance, other_process[1]), begin(instance, mine)]
        assert fail_dead_runs(instance, tmp_path, daemons_too=True) == []

    assert {status(instance, run) for run in runs} == {dg.DagsterRunStatus.STARTED}


def test_a_run_of_a_killed_process_fails_and_says_why(
    instance: dg.DagsterInstance,
    tmp_path: Path,
    other_process: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    process, tags = other_process
    run = begin(instance, tags)
    process.kill()
    process.wait()

    assert fail_dead_runs(instance, tmp_path, daemons_too=False) == [run]
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    assert fail_dead_runs(instance, tmp_path, daemons_too=False) == []
    assert any(_SAYS in str(entry.dagster_event) for entry in instance.all_logs(run))


@pytest.mark.parametrize("daemons_too", [True, False])
def test_a_daemons_run_is_dead_only_where_no_daemon_is(
    instance: dg.DagsterInstance, tmp_path: Path, daemons_too: bool
) -> None:
    run = begin(instance, {})

    assert fail_dead_runs(instance, tmp_path, daemons_too=daemons_too) == [run] * daemons_too


def test_the_sensor_frees_the_queue(platform: Platform, instance: dg.DagsterInstance) -> None:
    run = begin(instance, {PROCESS_TAG: "gone.lock"})
    with dg.build_sensor_context(instance=instance, resources={"platform": platform}) as context:
        tick = dead_runs(context)

    assert isinstance(tick, dg.SkipReason)
    assert tick.skip_message == f"marked as failed: {run}"
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
