"""``ytap ui``: Dagster's own web interface on the same lake."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import click

from ytap_assets.cli.context import note
from ytap_assets.cli.options import examples
from ytap_assets.errors import ConfigError

_HOST = "127.0.0.1"


@click.command(epilog=examples("ytap ui", "ytap ui --port 3333"))
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="Where it listens.",
)
def ui(port: int) -> None:
    """Open Dagster: graph, checks, backfills, automation.

    Only one at a time on a data folder: two daemons would start everything twice.
    """
    import dagster as dg

    from ytap_assets.defs.launch import prepare_home
    from ytap_assets.defs.liveness import fail_dead_runs
    from ytap_assets.settings import Settings

    home = prepare_home(Settings.from_env())
    _hold(home / "ui.lock")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        fail_dead_runs(instance, home, daemons_too=True)
    note(f"http://{_HOST}:{port} (Ctrl-C ends it)")
    # Without the notice that `dagster dev` has a successor, which is another package.
    command = [sys.executable, "-W", "ignore::FutureWarning", "-m", "dagster", "dev"]
    command += ["-m", "ytap_assets.definitions", "-h", _HOST, "-p", str(port)]
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    os.execve(sys.executable, command, environment)  # noqa: S606 - a fixed command, no shell


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
            f"{path.parent}: Dagster is open on it already; use that one, or end it first"
        ) from error
    os.set_inheritable(descriptor, True)  # or it would be closed where Dagster begins


COMMANDS = (ui,)
