"""Which runs are alive. Dagster would count one whose process is gone as running for ever.

There are two ways to know, both by locks that end with their process, however that ends:

- *On one machine*, a process of the command line holds a lock on a file of its own, and its runs
  carry the file's name and the machine's; no machine judges the processes of another. Runs of the
  daemon carry no such name. Their code server notices a process that died; what it leaves behind
  when it dies itself is seen to when Dagster is opened again, by whoever holds the only daemon's
  lock.
- *On several machines*, where Dagster's storage is a PostgreSQL database, a process holds an
  advisory lock of that database: a worker for its run, the command line for its process. The server
  releases it when the session ends, or is cut off for 25 s.
"""

import fcntl
import hashlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

PROCESS_TAG = ".dagster/ytap_process"
"""Tags with this prefix are hidden in the UI: nobody there has a use for a process's lock."""
HOST_TAG = ".dagster/ytap_host"
GONE = (
    "the process of this run ended (it was killed, or the machine stopped); uncommitted changes"
    " were rolled back, and the run can be started again"
)
BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_STOPPED = (
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.FAILURE,
)
_FOLDER = "processes"
CHECK_S = 5.0
"""How often a process checks its lock, and whether its run was stopped."""
_STOPPING_S = 60.0
"""How long a run may take to stop before its process is ended."""
_LOG = logging.getLogger(__name__)


@contextmanager
def announce_process(home: Path, instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """Mark this process as alive, until the end of the block or of the process.

    Yields:
        The tags its runs carry.
    """
    path = home / _FOLDER / f"{uuid4()}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file, ExitStack() as held:
        fcntl.flock(file, fcntl.LOCK_EX)
        if find_database(instance) is not None:
            held.enter_context(hold_lock(instance, path.name))
        try:
            yield {PROCESS_TAG: path.name, HOST_TAG: socket.gethostname()}
        finally:
            path.unlink()


def fail_dead_runs(instance: dg.DagsterInstance, home: Path, *, daemons_too: bool) -> list[str]:
    """Mark runs as failed whose process, on this machine, is gone.

    Args:
        instance: Where the runs are known.
        home: DAGSTER_HOME.
        daemons_too: Also those of daemons; only for one who knows that no daemon is running. Where
            runs are executed by workers, they are not judged here: Dagster's run monitoring asks
            the launcher.

    Returns:
        The ids of these runs.
    """
    dead, here = [], socket.gethostname()
    daemons_too = daemons_too and not instance.run_launcher.supports_check_run_worker_health
    for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)):
        if run.tags.get(HOST_TAG, here) != here:
            continue
        process = run.tags.get(PROCESS_TAG)
        if daemons_too if process is None else not _is_alive(home / _FOLDER / process):
            instance.report_run_failed(run, GONE)
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


def find_database(instance: dg.DagsterInstance) -> str | None:
    """The URL of the PostgreSQL database of Dagster's storage; None if it has another storage.

    The URL may contain a password.
    """
    return getattr(instance.run_storage, "postgres_url", None)


def is_locked(instance: dg.DagsterInstance, name: str) -> bool:
    """Whether a process holds the lock of a name, on any machine.

    Raises:
        sqlalchemy.exc.OperationalError: The database cannot be reached.
    """
    with _connect(instance) as session:
        # The lock that is acquired here ends with the session.
        return not session.scalar(sa.select(sa.func.pg_try_advisory_lock_shared(_number(name))))


class LockTakenError(Exception):
    """Another process holds the lock of a name."""


@contextmanager
def hold_lock(
    instance: dg.DagsterInstance, name: str, on_check: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock of a name, and acquire it again where the database ended the session.

    Args:
        instance: Its storage is a PostgreSQL database.
        name: The lock's name.
        on_check: Called every few seconds, in a thread of its own.

    Raises:
        LockTakenError: Another process holds it.
        sqlalchemy.exc.OperationalError: The database cannot be reached.
    """
    held = _Held(instance, name, on_check)
    held.acquire()
    held.start()
    try:
        yield
    finally:
        held.stop()


class _Held(threading.Thread):
    """The session that holds a lock, and the thread that sees to it."""

    def __init__(
        self, instance: dg.DagsterInstance, name: str, on_check: Callable[[], None]
    ) -> None:
        super().__init__(name=f"lock of {name}", daemon=True)
        self._instance = instance
        self._lock = name
        self._on_check = on_check
        self._is_over = threading.Event()
        self._session: sa.Connection | None = None

    def acquire(self) -> None:
        """Acquire it on a new session.

        Raises:
            LockTakenError: Another process holds it.
        """
        session = _connect(self._instance)
        # Who asks whether it is held may hold it for a moment.
        session.execute(sa.text("SET lock_timeout = '3s'"))
        try:
            session.execute(sa.select(sa.func.pg_advisory_lock(_number(self._lock))))
        except sa.exc.OperationalError as error:
            session.close()
            if getattr(error.orig, "pgcode", None) != "55P03":  # lock_not_available
                raise
            raise LockTakenError(self._lock) from None
        self._session = session

    def run(self) -> None:
        """Check the session and what else is to be checked, until it is over."""
        while not self._is_over.wait(CHECK_S):
            try:
                self._keep()
                self._on_check()
            except Exception as error:  # whatever it is: the next check may succeed
                _LOG.warning("%s: %s", self.name, type(error).__name__)

    def _keep(self) -> None:
        try:
            if self._session is not None:
                self._session.execute(sa.select(1))
                return
        except sa.exc.DBAPIError:
            self._close()
        self.acquire()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.invalidate()
            session.close()

    def stop(self) -> None:
        """End the session, and with it the lock."""
        self._is_over.set()
        self.join()
        # The server takes a moment to end a session that was closed.
        with suppress(sa.exc.DBAPIError):
            if self._session is not None:
                self._session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        self._close()


class StopOnRequest:
    """Interrupts this process where its run was stopped, or marked as failed, by somebody else."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """Take the run that this process executes."""
        self._instance = instance
        self._run_id = run_id
        self._asked_at: float | None = None

    def __call__(self) -> None:
        """Look at the run's status once."""
        run = self._instance.get_run_by_id(self._run_id)
        if run is not None and run.status not in _STOPPED:
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        elif time.monotonic() - self._asked_at > _STOPPING_S:
            # The run counts as ended; its process must write nothing any more.
            os.kill(os.getpid(), signal.SIGKILL)


def _connect(instance: dg.DagsterInstance) -> sa.Connection:
    """A connection of its own, whose statements commit at once."""
    # The driver is part of the extra `cluster`.
    from ytap_assets.postgres import keep_alive, name_application  # noqa: PLC0415

    url = sa.make_url(find_database(instance) or "")
    parameters = {"application_name": name_application(), **keep_alive("idle_session_timeout=0")}
    engine = sa.create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=parameters
    )
    return engine.connect()


def _number(name: str) -> int:
    digest = hashlib.blake2b(f"ytap {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
