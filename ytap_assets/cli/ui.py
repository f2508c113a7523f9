"""``ytap ui``: Dagster's own web interface on the same lake."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.common import announce_transport, examples, open_platform
from ytap_assets.cli.output import note
from ytap_assets.errors import ConfigError

if TYPE_CHECKING:
    from dagster import DagsterInstance

_HOST = "127.0.0.1"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ - \S+ - ([A-Z]+) - ")
_SHOWN_LEVELS = ("WARNING", "ERROR", "CRITICAL")
_SHOWN = re.compile(
    r" - RUN_(START|SUCCESS|FAILURE|CANCELED) - | - (Launching|Shutting down) Dagster services"
    r"| - Serving dagster-webserver "
)
_HIDDEN = re.compile(r"EventLogConsumerDaemon - WARNING - No cursor for event type ")
"""Said once of every new data folder, and nothing is wrong."""
_TRACEBACK = "Traceback (most recent call last):"
_FAILURE = "dagster._core.definitions.events.Failure: "
_STACK = "Stack Trace:"
_BARE_PROBLEM = re.compile(r"(?:WARNING|ERROR|CRITICAL|[\w.]*(?:Error|Exception))\b")
"""How the web server (uvicorn) and Python begin an error that is no record of Dagster's."""


@click.command(epilog=examples("ytap ui", "ytap ui --port 3333", "ytap ui --verbose"))
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="The port of the web interface.",
)
@click.option(
    "--verbose", "-v", is_flag=True, help="Show all ticks and steps, not only runs and errors."
)
def ui(port: int, *, verbose: bool) -> None:
    """Start Dagster's web interface and its daemon.

    Only one instance can run on a data folder: two daemons would start every run twice.
    """
    from ytap_assets.defs.launch import open_instance, prepare_home
    from ytap_assets.defs.liveness import fail_dead_runs

    platform = open_platform()
    settings = platform.settings
    platform.check_lake()
    _check_port(port)
    home = prepare_home(settings)
    _hold(home / "ui.lock")
    with open_instance(home) as instance:
        _check_launcher(instance, home)
        fail_dead_runs(instance, home, daemons_too=True)
    announce_transport(settings)
    note(f"http://{_HOST}:{port} (stop it with Ctrl-C)")
    if not verbose:
        _filter_output()
    os.execve(  # noqa: S606 - a fixed command, no shell
        sys.executable, dagster_command(home, port), dagster_environment(home, settings.transport)
    )


def dagster_command(home: Path, port: int) -> list[str]:
    """Dagster's web server, daemon and code server, for a DAGSTER_HOME.

    None of them imports from the current folder (-P): a `duckdb.py` in it
    would be run. Dagster would put that folder first by itself, so another one is named.
    """
    return [
        *(sys.executable, "-P"),
        # Without the notice that `dagster dev` has a successor, which is another package.
        *("-W", "ignore::FutureWarning"),
        *("-m", "dagster", "dev", "-m", "ytap_assets.definitions"),
        *("--working-directory", str(home), "-h", _HOST, "-p", str(port)),
    ]


def dagster_environment(home: Path, transport: str) -> dict[str, str]:
    """The environment of Dagster's processes, inherited by the processes that they start.

    It includes the transport that was printed: each run starts a process, which would otherwise
    read the transport from the data folder, where it may have changed or been removed.
    """
    named = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    # Dagster drops the first entry of the path, where it expects the folder of a script.
    path = {"PYTHONPATH": os.pathsep.join([str(home), *named])} if named else {}
    fixed = {"PYTHONSAFEPATH": "1", "DAGSTER_HOME": str(home), "YTAP_TRANSPORT": transport}
    return {**os.environ, **path, **fixed}


def select_lines(lines: Iterable[str]) -> Iterator[str]:
    """What of Dagster's console is worth a look: runs that start or end, warnings and errors.

    Its daemon writes two lines for every sensor and tick, 200 a minute, whether or not there was
    anything to do. A line that begins no record belongs to the record before it, unless it begins
    an error that another process wrote without a record. A traceback is shown to its end, whatever
    other processes write between its lines. A `Failure` is one of ours and says its reason, so its
    stack trace, which Dagster writes for the step and again for the run, is left out.
    """
    is_shown, in_traceback, is_failure = True, False, False
    for line in lines:
        text = _COLOUR.sub("", line)
        if record := _RECORD.match(text):
            is_shown = record[1] in _SHOWN_LEVELS or bool(_SHOWN.search(text))
            is_shown = is_shown and not _HIDDEN.search(text)
            is_failure = False
            if is_shown:
                yield line
            continue
        is_failure = is_failure or text.startswith(_FAILURE)
        if is_failure and text.strip() == _STACK:
            is_shown = False
        begins = _TRACEBACK in text
        is_shown = is_shown or begins or bool(_BARE_PROBLEM.match(text))
        if is_shown or in_traceback:
            yield line
        # The line of the exception is the first that is not indented.
        in_traceback = begins or (in_traceback and text[:1] in (" ", "\t", "\n", ""))


def _filter_output() -> None:
    """Let what this process and its children write go through `select_lines`, in another process.

    That process ends when the last of them has closed its output, so nothing has to end it. Where
    the output is not one of the system's (it is captured in this process), it is left as it is.
    """
    import subprocess

    try:
        outputs = [stream.fileno() for stream in (sys.stdout, sys.stderr)]
    except io.UnsupportedOperation:
        return
    reader = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
        [sys.executable, "-P", "-c", f"from {__name__} import show_selected; show_selected()"],
        stdin=subprocess.PIPE,
    )
    if reader.stdin is not None:
        for output in outputs:
            os.dup2(reader.stdin.fileno(), output)


def show_selected() -> None:
    """Copy the selected lines of stdin to stdout until it ends; Ctrl-C is not for this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for line in select_lines(sys.stdin):
        sys.stdout.write(line)
        sys.stdout.flush()


def _check_launcher(instance: DagsterInstance, home: Path) -> None:
    """See that the instance is of one machine.

    Raises:
        ConfigError: Runs are sent to workers, containers or pods: their deployment has a daemon.
    """
    if instance.run_launcher.supports_check_run_worker_health:
        raise ConfigError(
            f"{home}/dagster.yaml names the run launcher {type(instance.run_launcher).__name__}:"
            " the deployment has a web server and a daemon of its own; see docs/deploying.md"
        )


def _check_port(port: int) -> None:
    """See that the port is free: the web server would end, and another one would answer there.

    Raises:
        ConfigError: Another program listens on it, or this user may not.
    """
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As the web server does: connections that were closed a moment ago are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = "is in use by another program, perhaps by another `ytap ui`"
            else:
                problem = f"cannot be opened: {error.strerror}"
            raise ConfigError(
                f"port {port} of {_HOST} {problem}; choose another one: `ytap ui --port N`,"
                " `make ui PORT=N`"
            ) from error


def _hold(path: Path) -> None:
    """Lock a file for as long as this process lives, as Dagster too.

    Raises:
        ConfigError: Another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(
            f"{path.parent}: another Dagster process uses this folder; use it, or end it first"
        ) from error
    os.set_inheritable(descriptor, True)  # or it would be closed where Dagster begins


COMMANDS = (ui,)
