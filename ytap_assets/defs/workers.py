"""Dagster's runs on workers: Celery takes each run to one of many machines (ADR 0034).

Belongs here: the run launcher that `dagster.yaml` names, and the Celery app of the workers. Does
not belong here: what a run does, and how it is known that it is alive (`liveness`). Needs the extra
`cluster`.

A worker executes each run in a process of its own, which holds the run's lock in Dagster's database
for as long as it lives. The lock, and no report of a worker, says whether the run is alive. So a
message may be delivered more than once: who does not get the lock leaves the run alone.
"""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from celery import Celery
from dagster._cli.api import _execute_run_command_body
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import (
    CheckRunHealthResult,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster._utils.interrupts import capture_interrupts
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from ytap_assets.defs.launch import EVENTS_PER_BATCH, open_instance
from ytap_assets.defs.liveness import (
    CHECK_S,
    GONE,
    PROCESS_TAG,
    LockTakenError,
    StopOnRequest,
    find_database,
    hold_lock,
    is_locked,
)
from ytap_assets.errors import ConfigError

_LOG = logging.getLogger(__name__)
_TASK = "ytap.execute_run"
_QUEUE = "ytap-runs"
_GRACE_S = 6 * CHECK_S
"""How long a run may be without its lock, in seconds. A restart of the database ends all locks at
once, and the processes acquire them again."""
_APP = {
    "task_default_queue": _QUEUE,
    # A message is confirmed when its run has ended, and a worker takes one for each free process:
    # none waits on a busy machine, and those of a machine that is gone are delivered again.
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    # Each thread starts a process for its run and waits for it. Celery's own processes are forks,
    # in which the threads of Polars and DuckDB are missing: a run hangs there.
    "worker_pool": "threads",
    # What became of a run is in Dagster's database, and its console is this process's.
    "task_ignore_result": True,
    "worker_redirect_stdouts": False,
    # Runs go on while the broker is away, for however long.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_heartbeat": 20,
    # Who sends a run does not wait long for the broker: Dagster's queue keeps the run.
    "broker_connection_timeout": 4,
    "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_max": 0.5},
}
_ATTEMPTS, _PAUSE_S = 10, 15
"""How often a run's process is started that cannot begin, and after how many seconds again."""
_NOT_BEGUN = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)


class WorkerRunLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Sends each run to a worker. Its lock says whether it is alive, also on the command line."""

    def __init__(self, broker: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Configure it; nothing is connected yet.

        Args:
            broker: The URL of RabbitMQ (`amqp://`) or Redis (`redis://`).
            inst_data: Dagster's own.

        Raises:
            ConfigError: The URL is empty, or of no broker.
        """
        if not broker.strip():
            raise ConfigError("the broker of the workers is empty; set DAGSTER_BROKER_URL")
        if broker.partition(":")[0].partition("+")[0] not in TRANSPORT_ALIASES:
            raise ConfigError(
                "the URL of the workers' broker begins with no known scheme; set DAGSTER_BROKER_URL"
                " to one of RabbitMQ (amqp://, amqps://) or Redis (redis://, rediss://)"
            )
        self._inst_data = inst_data
        self._missing_since: dict[str, float] = {}
        self.celery = Celery("ytap", broker=broker, config_source=_APP)
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Dagster's own."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What `dagster.yaml` says of it."""
        return {"broker": dg.Field(dg.StringSource, description="The URL of RabbitMQ or Redis.")}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "WorkerRunLauncher":
        """Create it from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Send a run to the broker; the message has its id.

        Raises:
            DagsterUserCodeUnreachableError: The broker cannot be reached. Dagster's daemon puts the
                run into its queue again, as often as `max_user_code_failure_retries` says.
        """
        run = context.dagster_run
        try:
            self.celery.send_task(_TASK, args=[run.run_id], ignore_result=True)
        except (OperationalError, OSError) as error:
            raise DagsterUserCodeUnreachableError(
                f"the broker of the workers cannot be reached: {type(error).__name__}"
            ) from None
        self._instance.report_engine_event("Sent to the workers.", run, cls=type(self))

    def terminate(self, run_id: str) -> bool:
        """Ask a run to stop. Its process sees that, or the worker that has not begun it."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """See `check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a process executes a run that has begun.

        Raises:
            sqlalchemy.exc.OperationalError: The database cannot be reached.
        """
        if is_locked(self._instance, run.tags.get(PROCESS_TAG, run.run_id)):
            self._missing_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._missing_since.setdefault(run.run_id, time.monotonic())
        if time.monotonic() - since < _GRACE_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its lock is free for now")
        del self._missing_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, GONE)


def build_worker() -> Celery:
    """The Celery app of a worker, by the `dagster.yaml` in DAGSTER_HOME.

    Raises:
        ConfigError: DAGSTER_HOME is not set, or `dagster.yaml` is invalid, names another run
            launcher, or a storage that is no PostgreSQL database, or that cannot be reached.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    if not home:
        raise ConfigError("DAGSTER_HOME is not set; a worker needs the dagster.yaml in it")
    with open_instance(Path(home)) as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, WorkerRunLauncher) or find_database(instance) is None:
            raise ConfigError(
                f"{instance.root_directory}/dagster.yaml: a worker needs the run launcher"
                f" {WorkerRunLauncher.__name__} and a storage in PostgreSQL; see docs/deploying.md"
            )
        app = launcher.celery
    app.task(execute, name=_TASK)
    return app


def execute(run_id: str) -> None:
    """Execute a run in a process of its own, and wait for it.

    The process is tried again where it cannot begin, for instance as the database cannot be
    reached. It goes on if the worker is killed.
    """
    command = f"from {__name__} import run_process; run_process()"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            [sys.executable, "-P", "-c", command, run_id], check=False, start_new_session=True
        )
        if done.returncode == 0:
            return
        _LOG.warning("run %s: its process ended with %d", run_id, done.returncode)


def run_process() -> None:
    """Execute the run that is named on the command line, unless it has begun before."""
    [run_id] = sys.argv[1:]
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_PER_BATCH))
    with capture_interrupts(), dg.DagsterInstance.get() as instance:
        try:
            with hold_lock(instance, run_id, StopOnRequest(instance, run_id)):
                _execute_once(instance, run_id)
        except LockTakenError:
            _LOG.warning("run %s is left alone: another process executes it", run_id)


def _execute_once(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    status = None if run is None else run.status
    if run is not None and status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    elif run is not None and status in _NOT_BEGUN:
        instance.report_engine_event(f"Executed on {socket.gethostname()}.", run)
        _execute_run_command_body(run_id, instance, lambda _: None, set_exit_code_on_failure=False)
    else:
        # Where it has begun, its process is gone: run monitoring marks it as failed.
        _LOG.warning("run %s is left alone: it is %s", run_id, status and status.value)
