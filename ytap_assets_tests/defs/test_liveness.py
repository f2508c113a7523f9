"""Runs whose process was killed, on this machine and on others."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa

from ytap_assets.defs import liveness
from ytap_assets.defs.automation import dead_runs
from ytap_assets.defs.liveness import (
    HOST_TAG,
    PROCESS_TAG,
    LockTakenError,
    StopOnRequest,
    announce_process,
    fail_dead_runs,
    hold_lock,
    is_locked,
)
from ytap_assets.operations.platform import Platform
from ytap_assets_tests.databases import Server
from ytap_assets_tests.defs.clusters import Cluster

_SAYS = "the process of this run ended"
ALIVE = """
import json
import sys
from pathlib import Path
import dagster as dg
from ytap_assets.defs.liveness import announce_process
instance = dg.DagsterInstance.ephemeral()
with announce_process(Path(sys.argv[1]), instance) as tags:
    print(json.dumps(tags), flush=True)
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
        yield process, json.loads(process.stdout.readline())
        process.kill()


def begin(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run = dg.DagsterRun(
        job_name="any", run_id=str(uuid4()), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    return instance.add_run(run).run_id


def get(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    return get(instance, run_id).status


def test_a_run_of_a_living_process_is_left_alone(
    instance: dg.DagsterInstance,
    tmp_path: Path,
    other_process: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    with announce_process(tmp_path, instance) as mine:
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


def test_a_process_of_another_machine_is_not_judged(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    begin(instance, {PROCESS_TAG: "gone.lock", HOST_TAG: "another"})
    mine = begin(instance, {PROCESS_TAG: "gone.lock", HOST_TAG: socket.gethostname()})

    assert fail_dead_runs(instance, tmp_path, daemons_too=False) == [mine]


def test_the_sensor_frees_the_queue(platform: Platform, instance: dg.DagsterInstance) -> None:
    run = begin(instance, {PROCESS_TAG: "gone.lock"})
    with dg.build_sensor_context(instance=instance, resources={"platform": platform}) as context:
        tick = dead_runs(context)

    assert isinstance(tick, dg.SkipReason)
    assert tick.skip_message == f"marked as failed: {run}"
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE


def test_a_workers_run_is_left_to_run_monitoring(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.open() as instance:
        begin(instance, {})

        assert fail_dead_runs(instance, tmp_path, daemons_too=True) == []


def test_a_lock_has_one_holder_and_ends_with_it(cluster: Cluster) -> None:
    with cluster.open() as instance:
        assert not is_locked(instance, "one")
        with hold_lock(instance, "one"):
            assert is_locked(instance, "one")
            assert not is_locked(instance, "two")
            with pytest.raises(LockTakenError), hold_lock(instance, "one"):
                pass
        assert not is_locked(instance, "one")


def find_holders(cluster: Cluster) -> set[int]:
    """The sessions that hold locks."""
    query = sa.text(
        "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )
    engine = sa.create_engine(cluster.environment["DAGSTER_STORAGE_URL"], poolclass=sa.NullPool)
    with engine.connect() as session:
        return set(session.scalars(query))


def test_a_lock_that_the_server_ended_is_acquired_again(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = threading.Semaphore(0)
    monkeypatch.setattr(liveness, "CHECK_S", 0.01)
    with cluster.open() as instance, hold_lock(instance, "one", checks.release):
        before = find_holders(cluster)
        server.end_sessions(cluster.url)
        while find_holders(cluster) in (before, set()):
            assert checks.acquire(timeout=60)
        assert is_locked(instance, "one")
    assert len(before) == 1


def test_the_command_line_holds_a_lock_on_every_machine(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.open() as instance:
        with announce_process(tmp_path, instance) as tags:
            assert is_locked(instance, tags[PROCESS_TAG])
        assert not is_locked(instance, tags[PROCESS_TAG])


@pytest.mark.parametrize("ended", [dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.FAILURE])
def test_a_run_that_others_ended_is_interrupted(
    instance: dg.DagsterInstance, ended: dg.DagsterRunStatus
) -> None:
    run = begin(instance, {})
    check = StopOnRequest(instance, run)
    check()
    if ended == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceling(get(instance, run))
    else:
        instance.report_run_failed(get(instance, run))

    with pytest.raises(KeyboardInterrupt):
        check()
