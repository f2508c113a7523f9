"""Runs on workers: what is sent, who executes a run, and how its end is noticed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin

from ytap_assets.cli.ui import _check_launcher
from ytap_assets.defs.liveness import PROCESS_TAG, hold_lock, is_locked
from ytap_assets.defs.workers import WorkerRunLauncher, build_worker, run_process
from ytap_assets.errors import ConfigError
from ytap_assets_tests.defs.clusters import Cluster
from ytap_assets_tests.defs.jobs import marking

ROOT = Path(__file__).parents[2]
PASSWORD = "mellon-8412"  # noqa: S105
Status = dg.DagsterRunStatus


def launcher_of(instance: dg.DagsterInstance) -> WorkerRunLauncher:
    assert isinstance(instance.run_launcher, WorkerRunLauncher)
    return instance.run_launcher


def begin(
    instance: dg.DagsterInstance,
    status: Status = Status.STARTING,
    *,
    folder: Path | None = None,
    lasts_s: int = 0,
    tags: dict[str, str] | None = None,
) -> dg.DagsterRun:
    """A run of `marking` in a status."""
    origin = dg.reconstructable(marking).get_python_origin()
    assert isinstance(origin, JobPythonOrigin)
    config = {"folder": str(folder), "lasts_s": lasts_s}
    return instance.create_run_for_job(
        marking,
        run_config={"ops": {"write_marker": {"config": config}}},
        status=status,
        job_code_origin=origin,
        tags=tags,
    )


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Status:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_message_has_the_id_of_the_run_and_nothing_else(cluster: Cluster) -> None:
    with cluster.open() as instance:
        launcher, run = launcher_of(instance), begin(instance)
        launcher.launch_run(LaunchRunContext(run, None))
        with launcher.celery.connection_for_read() as connection:
            queue = connection.SimpleQueue(launcher.celery.conf.task_default_queue)
            message = queue.get(block=False)

    arguments, named, _ = json.loads(message.body)
    assert (arguments, named) == ([run.run_id], {})
    assert "postgresql" not in str(message.headers)


def test_a_broker_that_cannot_be_reached_is_an_error_after_which_dagster_queues_the_run_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAGSTER_BROKER_URL", f"redis+socket://:{PASSWORD}@/nowhere/redis.sock")
    with cluster.open() as instance:
        run = begin(instance)
        with pytest.raises(DagsterUserCodeUnreachableError, match="broker") as raised:
            launcher_of(instance).launch_run(LaunchRunContext(run, None))
        events = str(instance.all_logs(run.run_id))

    assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__} {events} {caplog.text}"


def test_a_run_is_alive_while_its_lock_is_held(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("ytap_assets.defs.workers.time.monotonic", lambda: now[0])
    with cluster.open() as instance:
        launcher = launcher_of(instance)
        run = begin(instance, Status.STARTED)
        seen = []
        with hold_lock(instance, run.run_id):
            seen.append(launcher.check_run_worker_health(run).status)
        for second in (0, 29):  # the database may have been restarted: locks are acquired again
            now[0] = 1000.0 + second
            seen.append(launcher.check_run_worker_health(run).status)
        with hold_lock(instance, run.run_id):
            seen.append(launcher.check_run_worker_health(run).status)
        for second in (40, 71):
            now[0] = 1000.0 + second
            seen.append(launcher.check_run_worker_health(run).status)

    assert seen == [WorkerStatus.RUNNING] * 5 + [WorkerStatus.NOT_FOUND]


def test_a_run_of_the_command_line_is_alive_while_its_process_is(cluster: Cluster) -> None:
    with cluster.open() as instance:
        launcher = launcher_of(instance)
        run = begin(instance, Status.STARTED, tags={PROCESS_TAG: "one.lock"})
        with hold_lock(instance, "one.lock"):
            assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_a_run_that_ended_cannot_be_stopped(cluster: Cluster) -> None:
    with cluster.open() as instance:
        run, ended = begin(instance), begin(instance, Status.SUCCESS)
        assert launcher_of(instance).terminate(run.run_id)
        assert not launcher_of(instance).terminate(ended.run_id)
        assert status_of(instance, run) == Status.CANCELING


def execute(run: dg.DagsterRun) -> None:
    """Execute a run as the process does that a worker starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["process", run.run_id])
        run_process()


def test_only_a_run_that_has_not_begun_is_executed(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.open() as instance:
        runs = {
            status: begin(instance, status, folder=tmp_path)
            for status in (Status.STARTED, Status.FAILURE, Status.CANCELING, Status.STARTING)
        }
        for run in runs.values():
            execute(run)
        after = {status: status_of(instance, run) for status, run in runs.items()}

    assert after == {
        Status.STARTED: Status.STARTED,
        Status.FAILURE: Status.FAILURE,
        Status.CANCELING: Status.CANCELED,
        Status.STARTING: Status.SUCCESS,
    }
    assert len([*tmp_path.glob("*.[0-9]*")]) == 1


def test_a_run_that_another_process_executes_is_left_alone(
    cluster: Cluster, tmp_path: Path
) -> None:
    with cluster.open() as instance:
        run = begin(instance, folder=tmp_path)
        with hold_lock(instance, run.run_id):
            execute(run)
        assert status_of(instance, run) == Status.STARTING


def test_a_worker_needs_its_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="WorkerRunLauncher"):
        build_worker()


def test_a_worker_says_what_of_its_configuration_is_missing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(cluster.home))
    for name, value in (
        ("DAGSTER_BROKER_URL", " "),
        ("DAGSTER_BROKER_URL", "http://127.0.0.1:6379"),
        ("DAGSTER_BROKER_URL", None),
        ("DAGSTER_STORAGE_URL", None),
        ("DAGSTER_HOME", None),
    ):
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=name):
            build_worker()


def test_ytap_ui_starts_no_second_daemon_beside_that_of_the_workers(cluster: Cluster) -> None:
    with (
        cluster.open() as instance,
        pytest.raises(ConfigError, match=r"WorkerRunLauncher.*deploying"),
    ):
        _check_launcher(instance, cluster.home)
    with dg.DagsterInstance.ephemeral() as instance:
        _check_launcher(instance, cluster.home)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis server of the test's own; the test is skipped where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    socket, config = tmp_path / "redis.sock", tmp_path / "redis.conf"
    config.write_text(f'port 0\nunixsocket {socket}\nsave ""\nrequirepass {PASSWORD}\n')
    command = [program, str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as server:
        yield f"redis+socket://:{PASSWORD}@{socket}"
        server.terminate()


@contextmanager
def worker(cluster: Cluster, broker: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with two places; it and its runs' processes are killed at the end."""
    environment = {
        **os.environ, **cluster.environment,
        "DAGSTER_BROKER_URL": broker, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1",
    }  # fmt: skip
    command = [
        sys.executable,
        "-P",
        "-m",
        "celery",
        "-A",
        "ytap_assets.worker",
        "worker",
        "-c",
        "2",
    ]
    with (
        (cluster.home / "worker.log").open("ab") as log,
        subprocess.Popen(
            [*command, "-l", "DEBUG"],
            env=environment,
            cwd=cluster.home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        yield process
        process.kill()


def read_commands() -> bytes:
    """What the processes of this machine were started with."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            commands.append(path.read_bytes())
    return b"".join(commands)


def wait(condition: Callable[[], bool]) -> None:
    """Wait for other processes."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def send(cluster: Cluster, run: dg.DagsterRun, broker: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_BROKER_URL", broker)
        with cluster.open() as instance:
            launcher_of(instance).launch_run(LaunchRunContext(run, None))


@pytest.mark.soak
def test_a_worker_executes_stops_and_outlives_runs(
    cluster: Cluster, broker: str, tmp_path: Path
) -> None:
    with cluster.open() as instance, worker(cluster, broker):
        runs = [begin(instance, folder=tmp_path, lasts_s=n) for n in (0, 600, 600)]
        for run in runs:
            send(cluster, run, broker)
        short, stopped, killed = runs
        wait(lambda: status_of(instance, short) == Status.SUCCESS)
        for run in (stopped, killed):
            wait(lambda run=run: [*tmp_path.glob(f"{run.run_id}.*")] != [])  # type: ignore[misc]
        launcher_of(instance).terminate(stopped.run_id)
        wait(lambda: status_of(instance, stopped) == Status.CANCELED)
        [marker] = tmp_path.glob(f"{killed.run_id}.*")
        assert is_locked(instance, killed.run_id)
        os.kill(int(marker.suffix[1:]), signal.SIGKILL)
        wait(lambda: not is_locked(instance, killed.run_id))
        again = begin(instance, folder=tmp_path)
        send(cluster, again, broker)
        wait(lambda: status_of(instance, again) == Status.SUCCESS)
        events = "".join(str(entry) for run in runs for entry in instance.all_logs(run.run_id))
        commands = read_commands()
    log = (cluster.home / "worker.log").read_text(encoding="utf-8")
    assert "ytap.execute_run" in log
    assert b"ytap_assets.worker" in commands
    assert PASSWORD not in log + events + commands.decode(errors="replace")


@pytest.mark.soak
def test_a_run_outlives_its_worker_and_is_not_executed_by_another(
    cluster: Cluster, broker: str, tmp_path: Path
) -> None:
    with cluster.open() as instance:
        run = begin(instance, folder=tmp_path, lasts_s=20)
        with worker(cluster, broker) as first:
            send(cluster, run, broker)
            wait(lambda: [*tmp_path.glob(f"{run.run_id}.*")] != [])
            first.kill()
        with worker(cluster, broker):
            wait(lambda: status_of(instance, run) == Status.SUCCESS)
        assert len([*tmp_path.glob(f"{run.run_id}.*")]) == 1


@pytest.mark.soak
def test_a_worker_that_is_stopped_waits_for_its_runs(
    cluster: Cluster, broker: str, tmp_path: Path
) -> None:
    with cluster.open() as instance, worker(cluster, broker) as stopped:
        run = begin(instance, folder=tmp_path, lasts_s=10)
        send(cluster, run, broker)
        wait(lambda: [*tmp_path.glob(f"{run.run_id}.*")] != [])
        stopped.terminate()
        stopped.wait(timeout=60)
        assert status_of(instance, run) == Status.SUCCESS
